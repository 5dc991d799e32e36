//! A JSON document a line: bytes in, records out, within a bound. Servers that stream like this end every line, except now
//! and then the last. It does no I/O and does not know what the lines mean.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::sse::{BOM, MAX_EVENT_BYTES, TooLarge, text};
use super::wire::Record;

/// Cuts a stream of bytes into lines, however the bytes are split. Takes time linear in the bytes.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end: what makes a long line in small reads linear.
    scanned: usize,
    at_start: bool,
    ended: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(MAX_EVENT_BYTES)
    }
}

impl Lines {
    /// A framer that accepts lines of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new(), scanned: 0, at_start: true, ended: false }
    }

    /// Takes the next bytes. Call [`Self::next_record`] until it has none before feeding more: that is what bounds the
    /// memory.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// There are no more bytes; what is unfinished is now a line.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next line that is not blank, if the bytes so far hold one.
    ///
    /// # Errors
    /// When a line is larger than the bound. The framer is of no further use.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, TooLarge> {
        while let Some(line) = self.next_line()? {
            let line = text(&line);
            let line = line.trim();
            if !line.is_empty() {
                return Ok(Some(Record { name: String::new(), data: line.to_owned(), is_exception: false }));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<BytesMut>, TooLarge> {
        if self.at_start {
            if self.buffer.len() < BOM.len() && BOM.starts_with(&self.buffer) && !self.ended {
                return Ok(None);
            }
            if self.buffer.starts_with(BOM) {
                self.buffer.advance(BOM.len());
            }
            self.at_start = false;
        }
        let found = memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at);
        if found.unwrap_or(self.buffer.len()) > self.limit {
            return Err(TooLarge { limit: self.limit });
        }
        let Some(end) = found else {
            self.scanned = self.buffer.len();
            let is_last = self.ended && !self.buffer.is_empty();
            return Ok(is_last.then(|| {
                self.scanned = 0;
                self.buffer.split()
            }));
        };
        let line = self.buffer.split_to(end);
        self.buffer.advance(1);
        self.scanned = 0;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], limit: usize) -> Result<Vec<String>, TooLarge> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for piece in pieces.iter().map(Some).chain([None]) {
            match piece {
                Some(piece) => lines.feed(piece),
                None => lines.end(),
            }
            while let Some(record) = lines.next_record()? {
                found.push(record.data);
            }
        }
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_however_they_are_split() {
        let stream = "\u{feff}{\"a\":\"Grüße\"}\r\n\n  \n{}\n{\"last\":1}".as_bytes();
        let expected = ["{\"a\":\"Grüße\"}", "{}", "{\"last\":1}"];
        assert_eq!(lines(&[stream], 64).unwrap(), expected);
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(lines(&bytes, 64).unwrap(), expected);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert_eq!(lines(&[b"12345", b"67890"], 9), Err(TooLarge { limit: 9 }));
        assert_eq!(lines(&[b"1234567890\n"], 9), Err(TooLarge { limit: 9 }));
        assert_eq!(lines(&[b"123456789\n123456789"], 9).unwrap().len(), 2);
    }
}
