//! The framer: the same events however the bytes are split, within its bounds.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use workers::provider::sse::{Event, Framer, TooLarge};

fn frame(pieces: &[&[u8]], limit: usize) -> (Vec<Event>, Option<TooLarge>) {
    let mut framer = Framer::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        if let Err(error) = drain(&mut framer, &mut events) {
            return (events, Some(error));
        }
    }
    framer.end();
    let error = drain(&mut framer, &mut events).err();
    (events, error)
}

fn drain(framer: &mut Framer, events: &mut Vec<Event>) -> Result<(), TooLarge> {
    while let Some(event) = framer.next_event()? {
        events.push(event);
    }
    Ok(())
}

fn message(name: &str, data: &str) -> Event {
    Event::Message { name: name.to_owned(), data: data.to_owned() }
}

fn events(stream: &str) -> Vec<Event> {
    let (events, error) = frame(&[stream.as_bytes()], 1000);
    assert_eq!(error, None);
    events
}

#[test]
fn the_standards_examples() {
    assert_eq!(events("data: YHOO\ndata: +2\ndata: 10\n\n"), [message("", "YHOO\n+2\n10")]);
    let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    assert_eq!(events(stream), [message("", "first event"), message("", "second event"), message("", " third event")]);
    assert_eq!(events("data\n\ndata\ndata\n\n"), [message("", ""), message("", "\n")]);
    assert_eq!(events("data:test\n\ndata: test\n\n"), [message("", "test"), message("", "test")]);
    assert_eq!(
        events("event: add\ndata: 1\n\ndata: 2\n\nevent: empty\n\ndata: 3\n\n"),
        [message("add", "1"), message("", "2"), message("", "3")]
    );
}

#[test]
fn every_line_end_ends_a_line_at_once() {
    for ends in ["\n", "\r", "\r\n"] {
        let mut framer = Framer::default();
        framer.feed(format!("\u{feff}data: 1{ends}{ends}").as_bytes());
        assert_eq!(framer.next_event(), Ok(Some(message("", "1"))), "{ends:?}");
        assert_eq!(framer.next_event(), Ok(None));
    }
}

#[test]
fn an_unfinished_event_comes_at_the_end() {
    assert_eq!(events("data: 1"), [message("", "1")]);
    assert_eq!(events("data: 1\ndata: 2\n"), [message("", "1\n2")]);
    assert_eq!(events("event: nothing"), []);
}

#[test]
fn stray_json_is_not_lost() {
    let stray = |json: &str| Event::Stray(json.to_owned());
    assert_eq!(events("{\"error\":1}\n"), [stray("{\"error\":1}")]);
    assert_eq!(events("{\"error\":1}"), [stray("{\"error\":1}")]);
    assert_eq!(
        events("data: 1\n\n[{\n  \"error\": 1\n}]\ndata: 2\n\n"),
        [message("", "1"), stray("[{\n  \"error\": 1\n}]"), message("", "2")]
    );
    assert_eq!(events("{\n\"a\":\n\ndata: 2\n\n"), [stray("{\n\"a\":"), message("", "2")]);
}

#[test]
fn sizes_have_a_bound() {
    let fits = format!("data: {}\n\n", "x".repeat(994));
    assert_eq!(frame(&[fits.as_bytes()], 1000), (vec![message("", &"x".repeat(994))], None));
    for stream in [
        format!("data: {}\n\n", "x".repeat(995)),
        "x".repeat(1001),
        format!(": {}", "x".repeat(1000)),
        "data: 0123456789\n".repeat(100),
        format!("{{\n{}", "\"0123456789\"\n".repeat(100)),
    ] {
        assert_eq!(frame(&[stream.as_bytes()], 1000), (vec![], Some(TooLarge { limit: 1000 })), "{stream}");
    }
    // Many small events are no large one.
    assert_eq!(events(&"data: 1\n\n".repeat(1000)).len(), 1000);
}

#[test]
fn a_long_line_takes_linear_time() {
    let line = [b"data: ", "x".repeat(4 * 1024 * 1024).as_bytes(), b"\n\n"].concat();
    let pieces: Vec<_> = line.chunks(100).collect();
    let began = Instant::now();
    let (events, error) = frame(&pieces, 8 * 1024 * 1024);
    assert_eq!((events.len(), error), (1, None));
    // Looking through the whole line at each of the 42,000 reads takes minutes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Streams made of what matters to a framer, and some noise.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "\n", "\r", "\r\n", "\n\n", "\u{feff}", ":", " ", "data", "data:", "data: ", "event: e", "id: 1", "{", "}",
            "{\"error\":1}", "[", "]", "é", "long enough to pass the bound",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_events(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        limit in prop_oneof![Just(40_usize), Just(10_000)],
    ) {
        let whole = frame(&[&stream], limit);
        let bytes: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(&frame(&bytes, limit), &whole);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(&frame(&pieces, limit), &whole);
    }

    #[test]
    fn what_is_written_as_events_is_read_as_the_same_events(
        written in prop::collection::vec(("[a-z]{0,5}", "[^\r\n\u{feff}]{0,20}(\n[^\r\n]{0,20}){0,3}"), 0..10),
        ends in prop::sample::select(vec!["\n", "\r", "\r\n"]),
    ) {
        let mut stream = String::new();
        for (name, data) in &written {
            stream.extend(["event: ", name, ends, ": comment", ends]);
            for line in data.split('\n') {
                stream.extend(["data: ", line, ends]);
            }
            stream += ends;
        }
        let expected: Vec<_> = written.iter().map(|(name, data)| message(name, data)).collect();
        prop_assert_eq!(frame(&[stream.as_bytes()], 10_000), (expected, None));
    }
}
