//! Frames as Bedrock sends them, for tests.

use super::{CHECKSUM, PRELUDE, TRAILER};

/// A frame with headers of text.
pub(in crate::provider) fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.extend(length(name.len()).to_be_bytes().into_iter().skip(3));
        bytes.extend(name.bytes().chain([7]));
        bytes.extend(length(value.len()).to_be_bytes().into_iter().skip(2));
        bytes.extend(value.bytes());
    }
    raw_frame(&bytes, payload.as_bytes())
}

/// An event as Bedrock frames it.
pub(in crate::provider) fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// A frame with headers as they are on the wire.
pub(in crate::provider) fn raw_frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let whole = length(PRELUDE + headers.len() + payload.len() + TRAILER);
    let mut frame = [whole.to_be_bytes(), length(headers.len()).to_be_bytes()].concat();
    frame.extend(CHECKSUM.checksum(&frame).to_be_bytes());
    frame.extend(headers.iter().chain(payload));
    frame.extend(CHECKSUM.checksum(&frame).to_be_bytes());
    frame
}

/// No test's frame is longer than can be told.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
