//! What must hold of the decoders, whatever bytes they get: they end, cost no more than what was sent, say the same however
//! it is cut, and say nothing after the end.
//!
//! An input begins with a head of eight bytes: what the answer's head declared, and the lengths of the pieces in which the rest
//! is fed, in turn. So a seed is a recorded answer behind eight characters.

use std::collections::BTreeSet;

use crate::aws;
use crate::provider::offline::{Offline, listed, refused};
use crate::provider::sse::{Event, Framer, TooLarge};
use crate::provider::{Chunk, Error, MAX_ANSWER_BYTES, MAX_TOOL_CALLS};

/// How long the head of an input is.
const HEAD: usize = 8;
/// How many bytes of pieces a byte of an answer may become: the Gemini reader writes arguments anew, and an invalid byte becomes
/// three.
const GROWTH: usize = 8;
/// What pieces may have beside: ids that were made up, marks of thoughts.
const SLACK: usize = 64 * 1024;
/// The longest message of an error, in characters: ours, and an excerpt of the provider's.
const MAX_MESSAGE_CHARS: usize = 400;
/// The longest wait that an error may ask for, in seconds.
const MAX_WAIT_SECONDS: u64 = 24 * 60 * 60;
/// What no error may tell.
const SECRET: &str = "hunter2";

/// The answer of a protocol: any bytes.
pub fn answer(protocol: &str, input: &[u8]) {
    if let Some((head, body)) = input.split_at_checked(HEAD) {
        check(protocol, head, body);
    }
}

/// The same where the framing is binary: lines `event {…}`, and `!exception {…}`, become sound frames.
pub fn events(protocol: &str, input: &[u8]) {
    if let Some((head, body)) = input.split_at_checked(HEAD) {
        check(protocol, head, &aws::framed(body));
    }
}

/// The frames themselves, their checksums put right unless the head says that they shall be as they are.
pub fn frames(protocol: &str, input: &[u8]) {
    if let Some((head, body)) = input.split_at_checked(HEAD) {
        let repaired = if head[0] == b'x' { body.to_vec() } else { aws::repaired(body) };
        check(protocol, head, &repaired);
    }
}

/// Server-sent events alone, within a bound that inputs reach.
pub fn server_sent_events(input: &[u8]) {
    let Some((head, body)) = input.split_at_checked(HEAD) else { return };
    let limit = usize::from(head[0]) * 4;
    let whole = heard(limit, [body].into_iter());
    assert_eq!(heard(limit, cut(body, &head[1..])), whole);
    assert_eq!(heard(limit, body.chunks(1)), whole);
}

/// The body of an answer whose status says that it is an error, behind a line `protocol status retry-after`.
pub fn refusal(input: &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let line = String::from_utf8_lossy(&input[..end]);
    let mut words = line.splitn(3, ' ');
    let (protocol, status) = (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse().ok()));
    let wait = words.next().unwrap_or_default();
    let Some(error) = refused(protocol, status.unwrap_or(500), wait, &input[end + 1..], &[SECRET]) else { return };
    is_presentable(&error);
    assert!(!error.message.contains(SECRET), "{}", error.message);
}

/// A page of a list of models, behind a line that says the protocol.
pub fn models(input: &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (protocol, body) = (String::from_utf8_lossy(&input[..end]), &input[end + 1..]);
    match listed(&protocol, body) {
        Some(Ok(names)) => {
            assert!(names.iter().all(|name| !name.is_empty() && !name.chars().any(char::is_control)), "{names:?}");
            assert!(names.iter().map(String::len).sum::<usize>() <= body.len() * GROWTH, "{names:?}");
        }
        Some(Err(error)) => is_presentable(&error),
        None => {}
    }
}

/// What an answer came to.
#[derive(Debug, Default, PartialEq)]
struct Played {
    chunks: Vec<Chunk>,
    error: Option<Error>,
}

fn check(protocol: &str, head: &[u8], body: &[u8]) {
    let declared = match head[0] {
        b'e' => "text/event-stream",
        b'j' => "application/json",
        _ => "",
    };
    let whole = play(protocol, declared, [body].into_iter());
    within_bounds(&whole, body.len());
    assert_eq!(play(protocol, declared, cut(body, &head[1..])), whole, "cut otherwise, it says something else");
    assert_eq!(play(protocol, declared, body.chunks(1)), whole, "byte by byte, it says something else");
}

fn play<'a>(protocol: &str, declared: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Played {
    let mut answer = Offline::new(protocol, declared).expect("the protocol is one of ours");
    let (mut played, mut over) = (Played::default(), false);
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => answer.feed(piece),
            None => answer.end(),
        }
        while let Some(told) = answer.next_piece() {
            assert!(!over, "something came after the end: {told:?}");
            over = matches!(told, Ok(Chunk::Finished { .. }) | Err(_));
            match told {
                Ok(chunk) => played.chunks.push(chunk),
                Err(error) => played.error = Some(error),
            }
        }
    }
    assert!(over, "it has no end");
    played
}

fn within_bounds(played: &Played, sent: usize) {
    let (mut bytes, mut ids) = (0, BTreeSet::new());
    for chunk in &played.chunks {
        match chunk {
            Chunk::Text(text) | Chunk::Reasoning(text) => {
                assert!(!text.is_empty(), "an empty piece");
                bytes += text.len();
            }
            Chunk::ReasoningSignature(signature) => bytes += signature.len(),
            Chunk::ToolCall { id, name, arguments, signature } => {
                bytes += name.len() + arguments.len() + signature.as_ref().map_or(0, String::len);
                assert!(!id.is_empty() && !name.is_empty(), "a call of nothing");
                assert!(ids.insert(id), "{id:?} twice");
            }
            Chunk::Usage(_) | Chunk::Finished { .. } => {}
        }
    }
    assert!(ids.len() <= MAX_TOOL_CALLS);
    assert!(bytes <= MAX_ANSWER_BYTES + SLACK && bytes <= sent * GROWTH + SLACK, "{bytes} bytes of {sent}");
    if let Some(error) = &played.error {
        is_presentable(error);
    }
}

/// One short line.
fn is_presentable(error: &Error) {
    assert!(error.message.chars().count() <= MAX_MESSAGE_CHARS, "{}", error.message);
    assert!(!error.message.contains(char::is_control), "{:?}", error.message);
    assert!(error.retry_after.is_none_or(|wait| wait.as_secs() <= MAX_WAIT_SECONDS));
}

fn heard<'a>(limit: usize, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<TooLarge>) {
    let (mut framer, mut events) = (Framer::new(limit), Vec::new());
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => framer.feed(piece),
            None => framer.end(),
        }
        loop {
            match framer.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

/// The body in pieces of these lengths, in turn.
fn cut<'a>(body: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let length = lengths.next().map_or(1, |length| usize::from(*length).max(1)).min(rest.len());
        let piece = rest.split_off(..length)?;
        (!piece.is_empty()).then_some(piece)
    })
}
