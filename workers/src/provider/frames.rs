//! The framings of the protocols behind one face: bytes in, records out, within a bound.

use super::aws_frames::AwsFrames;
use super::lines::Lines;
use super::sse::{Event, Framer};
use super::wire::{Framing, Record};

/// Cuts a stream of bytes into records, however the bytes are split.
#[derive(Debug)]
pub(super) enum Frames {
    Events(Framer),
    Lines(Lines),
    Aws(AwsFrames),
}

impl Frames {
    /// For a body of this framing.
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Events => Self::Events(Framer::default()),
            Framing::Lines => Self::Lines(Lines::default()),
            Framing::AwsFrames => Self::Aws(AwsFrames::default()),
        }
    }

    /// Takes the next bytes. Call [`Self::next_record`] until it has none before feeding more: that bounds the memory.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(framer) => framer.feed(bytes),
            Self::Lines(lines) => lines.feed(bytes),
            Self::Aws(frames) => frames.feed(bytes),
        }
    }

    /// There are no more bytes.
    pub(super) fn end(&mut self) {
        match self {
            Self::Events(framer) => framer.end(),
            Self::Lines(lines) => lines.end(),
            Self::Aws(frames) => frames.end(),
        }
    }

    /// The next record, if the bytes so far hold one.
    ///
    /// # Errors
    /// When the bytes are no records, or one is too large; says what, for people. The framer is of no further use.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, String> {
        match self {
            Self::Events(framer) => {
                framer.next_event().map(|event| event.map(record)).map_err(|error| error.to_string())
            }
            Self::Lines(lines) => lines.next_record().map_err(|error| error.to_string()),
            Self::Aws(frames) => frames.next_record().map_err(|error| error.to_string()),
        }
    }
}

fn record(event: Event) -> Record {
    let (name, data) = match event {
        Event::Message { name, data } => (name, data),
        Event::Stray(json) => (String::new(), json),
    };
    Record { name, data, is_exception: false }
}
