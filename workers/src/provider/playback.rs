//! Plays the bytes of an answer to a protocol's reader, without a socket: for tests of what protocols read.

use proptest::sample::Index;

use super::Error;
use super::answer::{Answer, Chunk};
use super::refusal::Refusal;
use super::sse::{Event, Framer};
use super::wire::{Read, Record, Wire};

/// What was made of the bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Played {
    /// As they came, the end included.
    pub(super) chunks: Vec<Chunk>,
    /// The error that ended it.
    pub(super) error: Option<Error>,
}

impl Played {
    /// Whether the answer is whole.
    pub(super) fn finished(&self) -> bool {
        matches!(self.chunks.last(), Some(Chunk::Finished { .. }))
    }

    /// The chunks, with neighbours of a kind as one.
    pub(super) fn merged(self) -> Vec<Chunk> {
        self.chunks.into_iter().fold(Vec::new(), |mut merged, chunk| {
            match (merged.last_mut(), &chunk) {
                (Some(Chunk::Text(text)), Chunk::Text(more))
                | (Some(Chunk::Reasoning(text)), Chunk::Reasoning(more)) => {
                    text.push_str(more);
                }
                _ => merged.push(chunk),
            }
            merged
        })
    }
}

/// Plays a stream of server-sent events in one piece.
pub(super) fn play(wire: &dyn Wire, body: impl AsRef<[u8]>) -> Played {
    play_split(wire, body.as_ref(), &[])
}

/// Plays a stream of server-sent events in pieces, cut at these places.
pub(super) fn play_split(wire: &dyn Wire, body: &[u8], cuts: &[Index]) -> Played {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([body.len()]).collect();
    cuts.sort_unstable();
    let (mut reader, mut answer, mut framer) = (wire.reader(), Answer::default(), Framer::default());
    let mut begin = 0;
    let mut result = Ok(());
    for cut in cuts {
        framer.feed(&body[begin..cut]);
        begin = cut;
        result = result.and_then(|()| drain(&mut framer, reader.as_mut(), &mut answer));
    }
    framer.end();
    result = result.and_then(|()| drain(&mut framer, reader.as_mut(), &mut answer));
    played(answer, result)
}

/// Plays the document of an answer that does not stream.
pub(super) fn play_document(wire: &dyn Wire, json: String) -> Played {
    let mut answer = Answer::default();
    let result = wire.reader().take_document(json.as_bytes(), &mut answer);
    played(answer, result)
}

fn drain(framer: &mut Framer, reader: &mut dyn Read, answer: &mut Answer) -> Result<(), Refusal> {
    loop {
        let record = match framer.next_event() {
            Ok(None) => return Ok(()),
            Ok(Some(Event::Message { name, data })) => Record { name, data, is_exception: false },
            Ok(Some(Event::Stray(data))) => Record { name: String::new(), data, is_exception: false },
            Err(_) => return Err(Refusal::protocol("an event is too large")),
        };
        reader.take(&record, answer)?;
    }
}

fn played(mut answer: Answer, result: Result<(), Refusal>) -> Played {
    let mut chunks: Vec<_> = std::iter::from_fn(|| answer.next()).collect();
    let error = result.err().map(|refusal| refusal.into_error("test", None));
    if error.is_none() {
        chunks.extend(answer.finished());
    }
    Played { chunks, error }
}
