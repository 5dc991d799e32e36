//! What reading an answer costs: streams as providers send them, through the decoder that calls use, an event at a time; beside
//! parsing the same JSON and nothing else.

mod streams;

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use workers::provider::Chunk;
use workers::provider::offline::Offline;

use super::{Found, Plan};
use crate::Error;
use crate::measure::{median, number};
use crate::report::{Row, Target};
use streams::Stream;

/// How many pieces of text a stream has.
const TEXTS: usize = 1_000;
/// How many runs pass before they count.
const WARM_UP: usize = 20;

pub(super) fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let (streams, runs) = (Stream::all(TEXTS), plan.pick(150, 1_000));
    let mut times = vec![(Vec::new(), Vec::new()); streams.len()];
    for run in 0..WARM_UP + runs {
        for (stream, (decoded, parsed)) in streams.iter().zip(&mut times) {
            let (decoding, parsing) = (decode(stream)?, parse(stream)?);
            if run >= WARM_UP {
                decoded.push(per_event(decoding, stream));
                parsed.push(per_event(parsing, stream));
            }
        }
    }
    for (stream, (decoded, parsed)) in streams.iter().zip(times) {
        rows(found, stream, median(decoded), median(parsed));
    }
    Ok(())
}

fn rows(found: &mut Found, stream: &Stream, decoded: f64, parsed: f64) {
    let name = format!("Decode an event, {}", stream.protocol);
    let note = format!(
        "{TEXTS} pieces of text, {} events of {} bytes in the mean, each fed alone: framing, reading, the piece of text, and giving \
         its memory back",
        stream.events.len(),
        stream.bytes() / stream.events.len()
    );
    found.rows.push(Row::new(&name, decoded, "µs").target(Target::AtMost(2.0)).note(note));
    let beside = format!("{name}, beside parsing its JSON");
    found.rows.push(Row::new(beside, decoded, "µs").over(parsed, "serde_json, every value ignored"));
}

fn decode(stream: &Stream) -> Result<Duration, Error> {
    let unknown = || Error(format!("there is no protocol {}", stream.protocol));
    let mut answer = Offline::new(stream.protocol, stream.content_type).ok_or_else(unknown)?;
    let (mut texts, mut whole) = (0, false);
    let begun = Instant::now();
    for event in &stream.events {
        answer.feed(event);
        while let Some(piece) = answer.next_piece() {
            match black_box(piece).map_err(Error::other)? {
                Chunk::Text(_) => texts += 1,
                Chunk::Finished { .. } => whole = true,
                _ => {}
            }
        }
    }
    let took = begun.elapsed();
    // Gemini's answers have no mark at their end.
    answer.end();
    whole |= matches!(answer.next_piece(), Some(Ok(Chunk::Finished { .. })));
    if (texts, whole) == (TEXTS, true) {
        Ok(took)
    } else {
        Err(Error(format!("{}: {texts} pieces of text came, and the end: {whole}", stream.protocol)))
    }
}

fn parse(stream: &Stream) -> Result<Duration, Error> {
    let begun = Instant::now();
    for json in &stream.json {
        black_box(serde_json::from_slice::<IgnoredAny>(black_box(json.as_bytes())).map_err(Error::other)?);
    }
    Ok(begun.elapsed())
}

fn per_event(time: Duration, stream: &Stream) -> f64 {
    time.as_secs_f64() * 1e6 / number(stream.events.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_is_a_whole_answer() {
        let streams = Stream::all(TEXTS);
        assert_eq!(streams.len(), workers::provider::offline::PROTOCOLS.len());
        for stream in streams {
            assert!(decode(&stream).is_ok() && parse(&stream).is_ok(), "{:?}", decode(&stream));
        }
    }
}
