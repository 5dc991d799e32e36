//! What the body of an answer comes to, in every protocol: what kind of body it is, its records, what they mean, and where
//! the answer ends. Pure: no sockets, no clock. Whoever calls feeds it bytes as they come, and waits for them.

use bytes::{Buf, BytesMut};
use serde::de::IgnoredAny;

use super::answer::{Answer, Chunk, MAX_ANSWER_BYTES};
use super::frames::Frames;
use super::refusal::Refusal;
use super::sse::BOM;
use super::wire::{Framing, Read, Wire};

/// The largest answer accepted that does not stream: the text, escaped, and what surrounds it.
const MAX_DOCUMENT_BYTES: usize = 2 * MAX_ANSWER_BYTES;
/// The most values of JSON in a record or a document. A value of two bytes takes hundreds of them once it is read, whatever it
/// is read into, so that the length alone bounds too little. Text is one value, however long.
const MAX_VALUES: usize = 128 * 1024;
const TOO_MANY_VALUES: &str = "the answer is made of too many values";

/// An answer that is being read.
pub(super) struct Decoder {
    framing: Framing,
    declared: Declared,
    form: Form,
    frames: Frames,
    reader: Box<dyn Read>,
    answer: Answer,
    /// What comes after the pieces that still wait in `answer`.
    failed: Option<Refusal>,
    ended: bool,
    over: bool,
}

/// What the head of an answer says that its body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Nothing,
    EventStream,
    Other,
}

/// What the body is. The content type alone does not tell: servers send errors as JSON under `text/event-stream`,
/// and streams as `text/plain`.
enum Form {
    /// Not known yet; at most the beginning of a byte order mark.
    Unknown(BytesMut),
    Stream,
    /// One JSON document: an error, or an answer that does not stream.
    Document(BytesMut),
}

impl Declared {
    /// By the content type; empty where there is none.
    pub(super) fn by(content_type: &str) -> Self {
        match content_type {
            "" => Self::Nothing,
            stream if stream.contains("event-stream") => Self::EventStream,
            _ => Self::Other,
        }
    }
}

impl Decoder {
    /// For an answer of this protocol.
    pub(super) fn new(wire: &dyn Wire, declared: Declared) -> Self {
        let framing = wire.framing();
        // Binary frames are told from anything else by their own checksums.
        let form = if framing == Framing::AwsFrames { Form::Stream } else { Form::Unknown(BytesMut::new()) };
        Self {
            framing,
            declared,
            form,
            frames: Frames::new(framing),
            reader: wire.reader(),
            answer: Answer::default(),
            failed: None,
            ended: false,
            over: false,
        }
    }

    /// Takes the next bytes. Call [`Self::next`] until it has none before feeding more: that bounds the memory.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        match &mut self.form {
            Form::Stream => self.frames.feed(bytes),
            Form::Document(document) if document.len() + bytes.len() > MAX_DOCUMENT_BYTES => {
                self.failed = Some(Refusal::protocol("the answer is too large"));
            }
            Form::Document(document) => document.extend_from_slice(bytes),
            Form::Unknown(lead) => {
                let mut lead = std::mem::take(lead);
                lead.extend_from_slice(bytes);
                self.recognise(lead);
            }
        }
    }

    /// There are no more bytes.
    pub(super) fn end(&mut self) {
        if self.over || self.ended {
            return;
        }
        self.ended = true;
        self.frames.end();
        let Form::Document(document) = &self.form else { return };
        self.failed = if serde_json::from_slice::<IgnoredAny>(document).is_err_and(|error| error.is_eof()) {
            Some(self.broken_off())
        } else if has_too_many_values(document) {
            Some(Refusal::protocol(TOO_MANY_VALUES))
        } else {
            let taken = self.reader.take_document(document, &mut self.answer);
            self.understood(taken).err()
        };
    }

    /// The next piece, or the end: a [`Chunk::Finished`] or an error, after which nothing comes. None when more bytes must
    /// come first.
    pub(super) fn next(&mut self) -> Option<Result<Chunk, Refusal>> {
        while !self.over {
            if let Some(piece) = self.answer.next() {
                return Some(Ok(piece));
            }
            if let Some(usage) = self.answer.take_usage() {
                return Some(Ok(Chunk::Usage(usage)));
            }
            if let Some(refusal) = self.failed.take() {
                self.over = true;
                return Some(Err(refusal));
            }
            if self.answer.is_done() {
                self.over = true;
                return Some(self.answer.finished().ok_or_else(|| self.broken_off()));
            }
            match self.decode() {
                Ok(true) => {}
                // Hands out what the end itself completes.
                Ok(false) if self.ended => self.end_of_stream(),
                Ok(false) => return None,
                Err(refusal) => self.failed = Some(refusal),
            }
        }
        None
    }

    /// Whether [`Self::end`] was called.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the model has said why it stopped. The usage may still come.
    pub(super) fn is_finished(&self) -> bool {
        self.answer.is_finished()
    }

    /// Whether the model produced something since the last call of this.
    pub(super) fn take_spoke(&mut self) -> bool {
        self.answer.take_spoke()
    }

    /// Takes one record out of what has arrived; false when there is none.
    fn decode(&mut self) -> Result<bool, Refusal> {
        let taken = match self.frames.next_record() {
            Ok(Some(record)) if record.data.trim().is_empty() => return Ok(true),
            Ok(Some(record)) if has_too_many_values(record.data.as_bytes()) => Err(Refusal::protocol(TOO_MANY_VALUES)),
            Ok(Some(record)) => self.reader.take(&record, &mut self.answer),
            Ok(None) => return Ok(false),
            Err(what) => Err(Refusal::protocol(&what)),
        };
        self.understood(taken)?;
        Ok(true)
    }

    fn understood(&mut self, taken: Result<(), Refusal>) -> Result<(), Refusal> {
        match taken {
            Ok(()) => self.answer.begin(),
            // The model has said why it stopped: its answer is whole, and the error comes too late to matter.
            Err(_) if self.answer.is_finished() => self.answer.close(),
            // The end of the stream has cut its last record in two: a break, not bad grammar.
            Err(refusal) if self.ended && refusal.is_nonsense() && !self.is_document() => return Err(self.broken_off()),
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn recognise(&mut self, mut lead: BytesMut) {
        // In any order and number: what an answer is must not depend on where its bytes were cut.
        loop {
            let space = lead.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            lead.advance(space);
            if !lead.starts_with(BOM) {
                break;
            }
            lead.advance(BOM.len());
        }
        // White space alone keeps the line open; or a byte order mark in pieces.
        if BOM.starts_with(&lead) {
            self.form = Form::Unknown(lead);
            return;
        }
        let may_be_document = self.framing == Framing::Events && self.declared != Declared::EventStream;
        match lead[0] {
            b'<' => self.failed = Some(Refusal::protocol("the provider's address answers with a web page")),
            b'{' | b'[' if may_be_document => self.form = Form::Document(lead),
            _ => {
                self.form = Form::Stream;
                self.frames.feed(&lead);
            }
        }
    }

    /// Nothing more comes. Without the provider's mark, what there is is no answer.
    fn end_of_stream(&mut self) {
        if self.answer.is_finished() {
            self.answer.close();
        } else {
            self.failed = Some(self.broken_off());
        }
    }

    fn is_document(&self) -> bool {
        matches!(self.form, Form::Document(_))
    }

    /// The stream has ended, the answer has not.
    fn broken_off(&self) -> Refusal {
        let other_type = self.framing == Framing::Events && self.declared == Declared::Other;
        if other_type && !self.answer.is_begun() && !self.is_document() {
            return Refusal::protocol("the provider's address does not answer in its protocol");
        }
        Refusal::interrupted("the answer broke off before it was complete")
    }
}

/// Whether JSON holds more than [`MAX_VALUES`], told before anything is made of it.
fn has_too_many_values(json: &[u8]) -> bool {
    // Each takes a byte at least.
    json.len() > MAX_VALUES && values(json) > MAX_VALUES
}

/// How many values stand in JSON, by what must stand before each of them; what is empty counts, too.
fn values(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'{' | b'[' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::offline::Offline;
    use super::{MAX_VALUES, TOO_MANY_VALUES, values};

    /// What an answer of chat completions comes to, fed in these pieces.
    fn played(content_type: &str, pieces: &[&[u8]]) -> Vec<String> {
        played_in("openai-chat", content_type, pieces)
    }

    fn played_in(protocol: &str, content_type: &str, pieces: &[&[u8]]) -> Vec<String> {
        let mut answer = Offline::new(protocol, content_type).unwrap();
        let mut told = Vec::new();
        for piece in pieces.iter().map(Some).chain([None]) {
            match piece {
                Some(piece) => answer.feed(piece),
                None => answer.end(),
            }
            told.extend(std::iter::from_fn(|| answer.next_piece()).map(|piece| format!("{piece:?}")));
        }
        told
    }

    #[test]
    fn what_an_answer_is_does_not_depend_on_where_it_is_cut() {
        let document = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
        for lead in ["\u{feff}\u{feff} ", " \u{feff}", "\n\u{feff}\r\n\u{feff}"] {
            let whole = format!("{lead}{document}");
            let pieces: Vec<_> = whole.as_bytes().chunks(1).collect();
            let told = played("application/json", &[whole.as_bytes()]);
            assert!(told[0].contains("Text(\"a\")"), "{told:?}");
            assert_eq!(played("application/json", &pieces), told, "{lead:?}");
        }
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let end =
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let late = "data: {\"choices\":[{\"delta\":{\"content\":\"late\"}}]}\n\n";
        let told = played("text/event-stream", &[end.as_bytes(), late.as_bytes()]);
        assert_eq!(told.len(), 2, "{told:?}");
        let told = played("text/event-stream", &[b"data: nonsense\n\n", end.as_bytes()]);
        assert!(told.len() == 1 && told[0].starts_with("Err"), "{told:?}");
    }

    #[test]
    fn millions_of_small_values_are_refused_before_they_take_memory() {
        let many = |times: usize| vec!["{}"; times].join(",");
        let (document, record) = (many(2_000_000), many(300_000));
        for (protocol, open, close) in [
            ("openai-chat", r#"{"choices":["#, "]}"),
            ("openai-chat", r#"{"choices":[{"delta":{"tool_calls":["#, "]}}]}"),
            ("openai-responses", r#"{"object":"response","status":"completed","output":["#, "]}"),
            ("anthropic", r#"{"type":"message","content":["#, "]}"),
            ("gemini", "[", "]"),
            ("gemini", r#"{"candidates":[{"content":{"parts":["#, "]}}]}"),
        ] {
            let pieces = [open, document.as_str(), close].map(str::as_bytes);
            let told = played_in(protocol, "application/json", &pieces);
            assert!(told.len() == 1 && told[0].contains(TOO_MANY_VALUES), "{protocol} {open}: {told:?}");
            let event = format!("data: {open}{record}{close}\n\n");
            let told = played_in(protocol, "text/event-stream", &[event.as_bytes()]);
            assert!(told.len() == 1 && told[0].contains(TOO_MANY_VALUES), "{protocol} {open}: {told:?}");
        }
        let line = format!("{{\"message\":{{\"tool_calls\":[{record}]}}}}\n");
        let told = played_in("ollama", "application/x-ndjson", &[line.as_bytes()]);
        assert!(told.len() == 1 && told[0].contains(TOO_MANY_VALUES), "{told:?}");
        // Within the bound, at most so many are kept.
        assert!(values(many(MAX_VALUES / 2).as_bytes()) < MAX_VALUES);
    }

    #[test]
    fn a_long_text_is_one_value() {
        let text = r#"{\"a\":[1,2]},"#.repeat(MAX_VALUES);
        let document = format!(r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#);
        let told = played("application/json", &[document.as_bytes()]);
        assert_eq!((told.len(), told[0].starts_with("Ok(Text(")), (2, true));
    }
}
