//! Binary frames of `application/vnd.amazon.eventstream`: bytes in, records out, within a bound.
//!
//! A frame is its length, the length of its headers, a checksum of both, the headers, the payload and a checksum of all of
//! it (`https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html`). The lengths are believed only when
//! their checksum fits, so that bytes of something else are recognised at once instead of being collected. Does no I/O and
//! does not know what the records mean.

use bytes::{Buf, BytesMut};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde_json::json;

use super::sse::text;
use super::wire::Record;

/// The largest frame accepted, in bytes.
pub(super) const MAX_FRAME_BYTES: usize = 1024 * 1024;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Both lengths and their checksum.
const PRELUDE: usize = 12;
const TRAILER: usize = 4;

/// What comes is not a stream of frames, or not within the bound. The framer is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    /// A frame says that it is larger than the bound.
    #[error("a frame of the stream is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A checksum does not fit, or a frame contradicts itself.
    #[error("the provider's address does not answer in its protocol")]
    Corrupt,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
}

/// Cuts a stream of bytes into records, however the bytes are split.
#[derive(Debug)]
pub(super) struct AwsFrames {
    limit: usize,
    buffer: BytesMut,
    ended: bool,
}

impl Default for AwsFrames {
    fn default() -> Self {
        Self::new(MAX_FRAME_BYTES)
    }
}

impl AwsFrames {
    /// A framer that accepts frames of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new(), ended: false }
    }

    /// Takes the next bytes. Call [`Self::next_record`] until it has none before feeding more: that is what bounds the
    /// memory.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// There are no more bytes: half a frame is now an error.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next record, if the bytes so far hold one.
    ///
    /// # Errors
    /// When the bytes are no frame, or a frame is larger than the bound.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, BadFrame> {
        let whole = self.frame_length()?.filter(|length| self.buffer.len() >= *length);
        let Some(length) = whole else {
            return if self.ended && !self.buffer.is_empty() { Err(BadFrame::Cut) } else { Ok(None) };
        };
        let frame = self.buffer.split_to(length).freeze();
        let (checked, mut trailer) = frame.split_at(length - TRAILER);
        if CHECKSUM.checksum(checked) != trailer.get_u32() {
            return Err(BadFrame::Corrupt);
        }
        let headers = (&checked[4..]).get_u32() as usize;
        let (headers, payload) = checked[PRELUDE..].split_at_checked(headers).ok_or(BadFrame::Corrupt)?;
        Headers::read(headers).map(|headers| Some(headers.into_record(payload))).ok_or(BadFrame::Corrupt)
    }

    /// How long the frame at the front is, once its prelude is there.
    fn frame_length(&self) -> Result<Option<usize>, BadFrame> {
        let Some((prelude, _)) = self.buffer.split_at_checked(PRELUDE) else { return Ok(None) };
        let (mut lengths, mut checksum) = prelude.split_at(8);
        if CHECKSUM.checksum(lengths) != checksum.get_u32() {
            return Err(BadFrame::Corrupt);
        }
        let length = lengths.get_u32() as usize;
        if length > self.limit {
            return Err(BadFrame::TooLarge { limit: self.limit });
        }
        if length < PRELUDE + TRAILER { Err(BadFrame::Corrupt) } else { Ok(Some(length)) }
    }
}

/// The headers that say what a frame is; others are skipped.
#[derive(Debug, Default)]
struct Headers {
    message_type: String,
    event_type: String,
    exception_type: String,
    error_code: String,
    error_message: String,
}

impl Headers {
    /// None when they are not sound.
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut headers = Self::default();
        while bytes.has_remaining() {
            let length = bytes.get_u8();
            let name = take(&mut bytes, length.into())?;
            let kind = bytes.try_get_u8().ok()?;
            let length = match kind {
                // True and false.
                0 | 1 => 0,
                // An integer of one, two, four or eight bytes; a time; a UUID.
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                9 => 16,
                // Bytes, a text.
                6 | 7 => bytes.try_get_u16().ok()?.into(),
                _ => return None,
            };
            let value = take(&mut bytes, length)?;
            if kind == 7
                && let Some(field) = headers.field(name)
            {
                *field = text(value).into_owned();
            }
        }
        Some(headers)
    }

    fn field(&mut self, name: &[u8]) -> Option<&mut String> {
        match name {
            b":message-type" => Some(&mut self.message_type),
            b":event-type" => Some(&mut self.event_type),
            b":exception-type" => Some(&mut self.exception_type),
            b":error-code" => Some(&mut self.error_code),
            b":error-message" => Some(&mut self.error_message),
            _ => None,
        }
    }

    fn into_record(self, payload: &[u8]) -> Record {
        let data = text(payload).into_owned();
        match self.message_type.as_str() {
            "exception" => Record { name: self.exception_type, data, is_exception: true },
            // An error that the service did not foresee: it stands in the headers, and the payload is empty.
            "error" => {
                let data = json!({ "message": self.error_message }).to_string();
                Record { name: self.error_code, data, is_exception: true }
            }
            _ => Record { name: self.event_type, data, is_exception: false },
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(any(test, feature = "test-support"))]
pub(super) mod encode;
#[cfg(test)]
mod tests;
