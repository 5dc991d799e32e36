//! Server-sent events: bytes in, events out, within a bound.
//!
//! Our own framer, because a provider's address is configuration and its stream therefore hostile input: published
//! parsers panic on a byte order mark, take quadratic time on a long line, or drop a bare JSON error line without a
//! word. This one follows the standard (`https://html.spec.whatwg.org/multipage/server-sent-events.html`), with
//! three departures: a bound on an event's size, [`Event::Stray`], and an unfinished last event is handed out at the
//! end of the stream, since many servers leave out the last empty line.
//! It does no I/O and does not know what the events mean.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

/// The largest event accepted, in bytes, its unfinished line included.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// What a stream may begin with.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Something that the stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An event as the standard has it.
    Message {
        /// The `event:` field; empty when there was none.
        name: String,
        /// The `data:` lines, joined by line feeds.
        data: String,
    },
    /// JSON that stands in the stream without `data:`. Servers report errors like this; the standard would drop it.
    Stray(String),
}

/// An event, or a line, was larger than the framer's bound. The framer is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct TooLarge {
    /// The bound.
    pub limit: usize,
}

/// Cuts a stream of bytes into events, however the bytes are split. Takes time linear in the bytes.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end: what makes a long line in small reads linear.
    scanned: usize,
    at_start: bool,
    /// The last line ended in CR: a LF that follows belongs to it. Waiting for that LF instead would hold back an
    /// event until the next byte arrives.
    skip_lf: bool,
    ended: bool,
    name: String,
    data: Option<String>,
    stray: String,
    ready: VecDeque<Event>,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_EVENT_BYTES)
    }
}

impl Framer {
    /// A framer that accepts events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            scanned: 0,
            at_start: true,
            skip_lf: false,
            ended: false,
            name: String::new(),
            data: None,
            stray: String::new(),
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes. Call [`Self::next_event`] until it has none before feeding more: that is what bounds the
    /// memory.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// There are no more bytes; what is unfinished is now an event.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next event, if the bytes so far hold one.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.next_line()? {
                Some(line) => self.take_line(&line)?,
                None if self.ended && self.is_open() => self.dispatch(),
                None => return Ok(None),
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, TooLarge> {
        if self.at_start {
            if self.buffer.len() < BOM.len() && BOM.starts_with(&self.buffer) && !self.ended {
                return Ok(None);
            }
            if self.buffer.starts_with(BOM) {
                self.buffer.advance(BOM.len());
            }
            self.at_start = false;
        }
        if self.skip_lf && !self.buffer.is_empty() {
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
            self.skip_lf = false;
        }
        let Some(found) = memchr2(b'\r', b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            self.check(self.buffer.len())?;
            if self.ended && !self.buffer.is_empty() {
                self.scanned = 0;
                return Ok(Some(self.buffer.split().freeze()));
            }
            return Ok(None);
        };
        let line = self.buffer.split_to(self.scanned + found).freeze();
        self.scanned = 0;
        self.skip_lf = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        self.check(line.len())?;
        Ok(Some(line))
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), TooLarge> {
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        if !self.stray.is_empty() {
            if !is_field(line) {
                self.stray.push('\n');
                self.stray.push_str(&text(line));
                return self.check(0);
            }
            self.dispatch_stray();
        }
        if matches!(line[0], b'{' | b'[') {
            self.begin_stray(line);
        } else {
            self.take_field(line);
        }
        // Once more, because replacing invalid UTF-8 can make three bytes out of one.
        self.check(0)
    }

    fn begin_stray(&mut self, line: &[u8]) {
        self.stray = text(line).into_owned();
        // Usually it is one line, after which the server may stay silent: do not wait for what follows.
        if serde_json::from_str::<serde::de::IgnoredAny>(&self.stray).is_ok() {
            self.dispatch_stray();
        }
    }

    fn take_field(&mut self, line: &[u8]) {
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                let value = text(value);
                match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(&value);
                    }
                    None => self.data = Some(value.into_owned()),
                }
            }
            b"event" => self.name = text(value).into_owned(),
            // Comments, and fields that only matter to a reader that reconnects. We never do: a second POST is a
            // second bill.
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            self.ready.push_back(Event::Message { name, data });
        }
        self.dispatch_stray();
    }

    fn dispatch_stray(&mut self) {
        if !self.stray.is_empty() {
            self.ready.push_back(Event::Stray(std::mem::take(&mut self.stray)));
        }
    }

    fn is_open(&self) -> bool {
        self.data.is_some() || !self.stray.is_empty()
    }

    fn check(&self, line: usize) -> Result<(), TooLarge> {
        let held = self.data.as_ref().map_or(0, String::len) + self.stray.len() + self.name.len();
        if held + line > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

/// What is not UTF-8, replaced. Looks first whether anything is not, which is several times as fast.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Whether a line inside stray JSON is the stream's next field after all; no line of JSON begins like this.
fn is_field(line: &[u8]) -> bool {
    [&b":"[..], b"data:", b"event:", b"id:", b"retry:"].iter().any(|field| line.starts_with(field))
}
