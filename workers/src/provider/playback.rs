//! What the bytes of an answer come to, for tests of what protocols read: [`replay`](super::replay) in words that compare well.

use super::Error;
use super::answer::{Answer, Chunk};
use super::refusal::Refusal;
use super::replay;
use super::wire::Wire;

/// What was made of the bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Played {
    /// Neighbours of a kind are one; the end included.
    pub(super) chunks: Vec<Chunk>,
    /// The error that ended it.
    pub(super) error: Option<Error>,
}

impl Played {
    /// Whether the answer is whole.
    pub(super) fn finished(&self) -> bool {
        matches!(self.chunks.last(), Some(Chunk::Finished { .. }))
    }

    fn new(chunks: Vec<Chunk>, error: Option<Refusal>) -> Self {
        let chunks = chunks.into_iter().fold(Vec::new(), |mut merged, chunk| {
            match (merged.last_mut(), &chunk) {
                (Some(Chunk::Text(text)), Chunk::Text(more))
                | (Some(Chunk::Reasoning(text)), Chunk::Reasoning(more)) => text.push_str(more),
                _ => merged.push(without_raw_usage(chunk)),
            }
            merged
        });
        Self { chunks, error: error.map(|refusal| refusal.into_error("test", &[])) }
    }
}

/// Plays a stream.
pub(super) fn play(wire: &dyn Wire, body: impl AsRef<[u8]>) -> Played {
    let (chunks, error) = replay::play(wire, &[body.as_ref()]);
    Played::new(chunks, error)
}

/// Plays the document of an answer that does not stream.
pub(super) fn play_document(wire: &dyn Wire, json: &str) -> Played {
    let mut answer = Answer::default();
    let error = wire.reader().take_document(json.as_bytes(), &mut answer).err();
    let mut chunks: Vec<_> = std::iter::from_fn(|| answer.next()).collect();
    if error.is_none() {
        chunks.extend(answer.finished());
    }
    Played::new(chunks, error)
}

/// The provider's own words are what the test itself wrote.
fn without_raw_usage(mut chunk: Chunk) -> Chunk {
    if let Chunk::Finished { usage, .. } = &mut chunk {
        usage.raw = None;
    }
    chunk
}
