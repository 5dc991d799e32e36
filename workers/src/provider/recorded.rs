//! An answer in each protocol, as its documentation has it: the model thinks, says something, and calls a tool twice at once.
//! The bytes are in `workers/tests/bytes`. For tests alone (feature `test-support`): of how answers are read, and for fakes
//! that a whole application calls.

use super::Protocol;
use super::aws_frames::encode;

/// What every recorded answer is billed as, the prompt and what came from the cache included.
pub const TOKENS: u64 = 150;
/// The arguments of its calls.
pub const ARGUMENTS: [&str; 2] = [r#"{"city":"Oslo"}"#, r#"{"city":"Köln"}"#];
/// The tool that it calls.
pub const TOOL: &str = "get_weather";

/// A recorded answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Of the response that it is the body of.
    pub content_type: &'static str,
    /// What it consists of, in order: events, lines, frames.
    pub records: Vec<Vec<u8>>,
    /// Which of them says first why the model stopped.
    pub end: usize,
    /// What the model thinks.
    pub thought: String,
    /// What the provider wants back with the thought, or in Gemini's case with the call.
    pub signature: String,
    /// What the model says.
    pub text: String,
}

impl Recorded {
    /// The answer in a protocol, told from every other by its number: in what is thought, signed and said.
    pub fn of(protocol: Protocol, number: u32) -> Self {
        let (content_type, text, ends) = bytes(protocol);
        let (thought, said, signature) =
            (format!("Überlegung {number}."), format!("🌍{number}"), format!("c2lnbmVk{number:04}"));
        let text = text.replace("Überlegung.", &thought).replace('🌍', &said).replace("c2lnbmVk", &signature);
        // Lines of JSON have no blank line between them.
        let divider = if protocol == Protocol::Ollama { "\n" } else { "\n\n" };
        let records: Vec<_> = text.split_inclusive(divider).map(|record| framed(protocol, record)).collect();
        let end = records.len() - ends;
        let (thought, text) = (format!("Hm, {thought}"), format!("Grüße {said}"));
        Self { content_type, records, end, thought, signature, text }
    }

    /// All of it.
    pub fn whole(&self) -> Vec<u8> {
        self.records.concat()
    }

    /// Up to where it says why the model stopped.
    pub fn begun(&self) -> Vec<u8> {
        self.records[..self.end].concat()
    }
}

/// The content type, the records, and how many of them tell that the model has stopped and what it cost.
fn bytes(protocol: Protocol) -> (&'static str, &'static str, usize) {
    const EVENTS: &str = "text/event-stream";
    match protocol {
        Protocol::OpenaiChat => (EVENTS, include_str!("../../tests/bytes/openai-chat.txt"), 3),
        Protocol::OpenaiResponses => {
            ("text/event-stream; charset=utf-8", include_str!("../../tests/bytes/openai-responses.txt"), 1)
        }
        Protocol::Anthropic => ("text/event-stream; charset=utf-8", include_str!("../../tests/bytes/anthropic.txt"), 2),
        Protocol::Gemini => (EVENTS, include_str!("../../tests/bytes/gemini.txt"), 1),
        Protocol::Bedrock => ("application/vnd.amazon.eventstream", include_str!("../../tests/bytes/bedrock.txt"), 2),
        Protocol::Cohere => (EVENTS, include_str!("../../tests/bytes/cohere.txt"), 1),
        Protocol::Ollama => ("application/x-ndjson", include_str!("../../tests/bytes/ollama.txt"), 1),
        Protocol::Demo => ("", "", 0),
    }
}

/// A record as it is on the wire: Bedrock's are frames, and Google ends lines with CR LF.
fn framed(protocol: Protocol, record: &str) -> Vec<u8> {
    match (protocol, record.trim_end().split_once(' ')) {
        (Protocol::Bedrock, Some((name, payload))) => encode::event(name, payload),
        (Protocol::Gemini, _) => record.replace('\n', "\r\n").into_bytes(),
        _ => record.as_bytes().to_vec(),
    }
}

/// A frame by which Bedrock says that it cannot go on.
pub fn bedrock_exception(name: &str, message: &str) -> Vec<u8> {
    let payload = serde_json::json!({ "message": message }).to_string();
    encode::frame(&[(":exception-type", name), (":message-type", "exception")], &payload)
}
