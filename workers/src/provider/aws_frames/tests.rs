//! Frames as Amazon's own test vectors have them, and whatever a hostile server could send instead.

use proptest::prelude::*;

use super::encode::{event, frame, raw_frame};
use super::*;

fn read(pieces: &[&[u8]], limit: usize) -> (Vec<Record>, Option<BadFrame>) {
    let mut frames = AwsFrames::new(limit);
    let mut records = Vec::new();
    for piece in pieces {
        frames.feed(piece);
        if let Err(error) = drain(&mut frames, &mut records) {
            return (records, Some(error));
        }
    }
    frames.end();
    let error = drain(&mut frames, &mut records).err();
    (records, error)
}

fn drain(frames: &mut AwsFrames, records: &mut Vec<Record>) -> Result<(), BadFrame> {
    while let Some(record) = frames.next_record()? {
        records.push(record);
    }
    Ok(())
}

fn record(name: &str, data: &str, is_exception: bool) -> Record {
    Record { name: name.to_owned(), data: data.to_owned(), is_exception }
}

/// From the test vectors that Amazon's implementations share.
#[test]
fn published_frames() {
    let empty = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff";
    assert_eq!(read(&[empty], 1000), (vec![record("", "", false)], None));
    let bare = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96";
    assert_eq!(read(&[bare], 1000), (vec![record("", "{'foo':'bar'}", false)], None));
    let with_header =
        b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
    assert_eq!(read(&[with_header], 1000), (vec![record("", "{'foo':'bar'}", false)], None));
    assert_eq!(frame(&[("content-type", "application/json")], "{'foo':'bar'}"), with_header);
}

#[test]
fn events_exceptions_and_errors() {
    let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let error = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "An \"error\".")];
    let stream = [event("messageStart", "{}"), frame(&exception, r#"{"message":"slow"}"#), frame(&error, "")].concat();
    let expected = vec![
        record("messageStart", "{}", false),
        record("throttlingException", r#"{"message":"slow"}"#, true),
        record("InternalError", r#"{"message":"An \"error\"."}"#, true),
    ];
    assert_eq!(read(&[&stream], 1000), (expected, None));
}

#[test]
fn headers_of_every_type_are_skipped() {
    let headers = [
        &b"\x01a\x00\x01b\x01\x01c\x02!\x01d\x03!!\x01e\x04!!!!\x01f\x05!!!!!!!!\x01g\x06\x00\x03!!!"[..],
        b"\x01h\x08!!!!!!!!\x01i\x09!!!!!!!!!!!!!!!!\x0b:event-type\x07\x00\x01x",
    ];
    assert_eq!(read(&[&raw_frame(&headers.concat(), b"1")], 1000), (vec![record("x", "1", false)], None));
}

#[test]
fn what_is_not_sound_is_refused() {
    let sound = event("messageStart", "{}");
    for position in 0..sound.len() {
        let mut broken = sound.clone();
        broken[position] ^= 1;
        assert_eq!(read(&[&broken], 1000), (vec![], Some(BadFrame::Corrupt)), "{position}");
    }
    for headers in [&b"\x05ab"[..], b"\x01a", b"\x01a\x0a", b"\x01a\x04!", b"\x01a\x07\x00", b"\x01a\x07\x00\x02!"] {
        assert_eq!(read(&[&raw_frame(headers, b"")], 1000), (vec![], Some(BadFrame::Corrupt)), "{headers:?}");
    }
    assert_eq!(read(&[b"<!DOCTYPE html>"], 1000), (vec![], Some(BadFrame::Corrupt)));
    assert_eq!(read(&[&sound[..20]], 1000), (vec![], Some(BadFrame::Cut)));
    assert_eq!(read(&[&sound[..3]], 1000), (vec![], Some(BadFrame::Cut)));
}

#[test]
fn lengths_have_bounds() {
    let prelude = |length: u32, headers: u32| {
        let lengths = [length.to_be_bytes(), headers.to_be_bytes()].concat();
        [&lengths[..], &CHECKSUM.checksum(&lengths).to_be_bytes()].concat()
    };
    // Refused at once: nothing is collected for a length that cannot be.
    assert_eq!(read(&[&prelude(1001, 0)], 1000), (vec![], Some(BadFrame::TooLarge { limit: 1000 })));
    assert_eq!(read(&[&prelude(u32::MAX, u32::MAX)], 1000), (vec![], Some(BadFrame::TooLarge { limit: 1000 })));
    assert_eq!(read(&[&prelude(15, 0)], 1000), (vec![], Some(BadFrame::Corrupt)));
    // Headers that reach beyond their frame.
    let mut frame = prelude(20, 5);
    frame.extend(b"abcd");
    frame.extend(CHECKSUM.checksum(&frame).to_be_bytes());
    assert_eq!(read(&[&frame], 1000), (vec![], Some(BadFrame::Corrupt)));
    let largest = raw_frame(b"", &[b'x'; 984]);
    assert_eq!(read(&[&largest], 1000), (vec![record("", &"x".repeat(984), false)], None));
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => (prop::sample::select(vec!["messageStart", "metadata", ""]), ".{0,20}").prop_map(|(name, data)| event(name, &data)),
        1 => prop::collection::vec(any::<u8>(), 0..24),
        1 => prop::collection::vec(any::<u8>(), 0..24).prop_map(|headers| raw_frame(&headers, b"{}")),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_records(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        limit in prop_oneof![Just(100_usize), Just(10_000)],
    ) {
        let whole = read(&[&stream], limit);
        let bytes: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(&read(&bytes, limit), &whole);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(&read(&pieces, limit), &whole);
    }
}
