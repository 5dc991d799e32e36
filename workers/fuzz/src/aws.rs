//! Frames of AWS that are sound: no mutation finds a checksum.

use crc::{CRC_32_ISO_HDLC, Crc};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Both lengths and their checksum; the checksum at the end.
const PRELUDE: usize = 12;
const TRAILER: usize = 4;
/// Frames have at most this many bytes more than they need, so that several fit into an input.
const ROOM: usize = 512;

/// Each line as a frame: `event payload`, or `!exception payload`.
pub fn framed(lines: &[u8]) -> Vec<u8> {
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).flat_map(frame).collect()
}

fn frame(line: &[u8]) -> Vec<u8> {
    let (name, payload) =
        line.iter().position(|byte| *byte == b' ').map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
    let (kind, header, name) = match name.strip_prefix(b"!") {
        Some(name) => ("exception", ":exception-type", name),
        None => ("event", ":event-type", name),
    };
    let mut headers = Vec::new();
    for (header, value) in [(":message-type", kind.as_bytes()), (header, name)] {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        headers.push(u8::try_from(header.len()).unwrap_or_default());
        headers.extend_from_slice(header.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend_from_slice(value);
    }
    let length = PRELUDE + headers.len() + payload.len() + TRAILER;
    let mut frame = Vec::with_capacity(length);
    frame.extend_from_slice(&word(length));
    frame.extend_from_slice(&word(headers.len()));
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&[0; TRAILER]);
    seal(&mut frame);
    frame
}

/// The bytes as frames: lengths that fit what there is, and checksums that fit the bytes.
pub fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut rest = bytes.as_mut_slice();
    while rest.len() >= PRELUDE + TRAILER {
        let told = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let least = PRELUDE + TRAILER;
        let length = (least + told.saturating_sub(least) % ROOM).min(rest.len());
        let (frame, after) = rest.split_at_mut(length);
        frame[..4].copy_from_slice(&word(length));
        seal(frame);
        rest = after;
    }
    bytes
}

fn seal(frame: &mut [u8]) {
    let prelude = CHECKSUM.checksum(&frame[..8]);
    frame[8..PRELUDE].copy_from_slice(&prelude.to_be_bytes());
    let end = frame.len() - TRAILER;
    let whole = CHECKSUM.checksum(&frame[..end]);
    frame[end..].copy_from_slice(&whole.to_be_bytes());
}

fn word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}
