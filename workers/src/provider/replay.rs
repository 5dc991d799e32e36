//! For tests of protocols: plays the bytes of an answer to a reader, in whatever pieces, and makes up prompts that went
//! through other models before.

use bytes::Bytes;
use domain::ModelRef;
use proptest::prelude::*;
use serde_json::json;

use super::answer::{Answer, Chunk};
use super::frames::Frames;
use super::refusal::Refusal;
use super::request::{
    Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, Tool, ToolCall, ToolChoice,
    ToolResult,
};
use super::wire::Wire;

/// What an answer comes to: its pieces, and the error that ended it.
pub(super) type Played = (Vec<Chunk>, Option<Refusal>);

/// Plays pieces of a stream.
pub(super) fn play(wire: &dyn Wire, pieces: &[&[u8]]) -> Played {
    let mut frames = Frames::new(wire.framing());
    let mut reader = wire.reader();
    let mut answer = Answer::default();
    let mut chunks = Vec::new();
    let mut error = None;
    'all: for piece in pieces.iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => frames.feed(piece),
            None => frames.end(),
        }
        while let Ok(Some(record)) = frames.next_record() {
            if record.data.trim().is_empty() {
                continue;
            }
            error = reader.take(&record, &mut answer).err();
            chunks.extend(std::iter::from_fn(|| answer.next()));
            if error.is_some() || answer.is_done() {
                break 'all;
            }
        }
    }
    if error.is_none() {
        chunks.extend(answer.finished());
    }
    (chunks, error)
}

/// The same, each byte by itself and cut where `cuts` say; both are what the whole gives.
pub(super) fn split(wire: &dyn Wire, stream: &[u8], cuts: &[prop::sample::Index]) -> Result<(), TestCaseError> {
    let whole = format!("{:?}", play(wire, &[stream]));
    let bytes: Vec<_> = stream.chunks(1).collect();
    prop_assert_eq!(format!("{:?}", play(wire, &bytes)), whole.as_str());
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
    prop_assert_eq!(format!("{:?}", play(wire, &pieces)), whole);
    Ok(())
}

/// The tool that every made-up request knows.
pub(super) fn tool() -> Tool {
    let parameters = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    Tool { name: "search".to_owned(), description: "Searches.".to_owned(), parameters }
}

/// A file that someone attached.
pub(super) fn attached(media_type: &str) -> PromptPart {
    let (media_type, name) = (media_type.to_owned(), Some("notes".to_owned()));
    PromptPart::Media(Media { media_type, name, bytes: Bytes::from_static(b"bytes") })
}

/// What stands for one of a type that a model does not take.
pub(super) const LEFT_OUT: &str = "(A file, notes, of type audio/wav, is left out.)";

/// What is said after something was attached that another model could read.
pub(super) fn heard() -> Vec<PromptMessage> {
    vec![PromptMessage::text(Role::Assistant, "Heard."), PromptMessage::text(Role::User, "Thanks.")]
}

/// A request with one question.
pub(super) fn question(model: &str) -> Request {
    let parts = vec![PromptPart::Text("What?".to_owned())];
    let messages = vec![PromptMessage { role: Role::User, parts }];
    Request { model: model.to_owned(), messages, ..Request::default() }
}

/// Requests whose history nobody put in order: parts that other models made, calls without results, results without calls, ids
/// used twice, blank texts. `own` is the model that is asked.
pub(super) fn requests(own: &'static str) -> impl Strategy<Value = Request> {
    let effort =
        prop::option::of(prop::sample::select(vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]));
    let choice = prop::option::weighted(
        0.3,
        prop::sample::select(vec![ToolChoice::None, ToolChoice::Any, ToolChoice::Tool("search".to_owned())]),
    );
    let output = OutputSchema { name: "answer".to_owned(), schema: json!({ "type": "object", "properties": {} }) };
    (
        prop::collection::vec(message(own), 1..8),
        prop::bool::ANY,
        choice,
        effort,
        prop::option::weighted(0.2, Just(output)),
        prop::option::of(prop::sample::select(vec![0, 500, 2_000, 16_000, 1_000_000])),
        prop::bool::ANY,
    )
        .prop_map(move |(messages, has_tools, tool_choice, effort, output, max_output, cache)| Request {
            model: own.split_once('/').unwrap().1.to_owned(),
            messages,
            tools: if has_tools { vec![tool()] } else { Vec::new() },
            tool_choice,
            output,
            max_output,
            effort,
            cache,
            user: Some("someone".to_owned()),
        })
}

fn message(own: &'static str) -> impl Strategy<Value = PromptMessage> {
    let system = prop::collection::vec(text(), 1..3).prop_map(|parts| PromptMessage { role: Role::System, parts });
    let user = prop::collection::vec(prop_oneof![3 => text(), 2 => result(), 1 => media()], 1..4)
        .prop_map(|parts| PromptMessage { role: Role::User, parts });
    let said = prop_oneof![3 => text(), 3 => call(), 3 => reasoning(own), 1 => media()];
    let assistant = prop::collection::vec(said, 1..5).prop_map(|parts| PromptMessage { role: Role::Assistant, parts });
    prop_oneof![1 => system, 4 => user, 4 => assistant]
}

fn text() -> impl Strategy<Value = PromptPart> {
    prop::sample::select(vec!["Hello", " ", "\n", "trailing space ", "é"])
        .prop_map(|text| PromptPart::Text(text.to_owned()))
}

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["toolu_1", "call.2", "call:3", "", "call_|_4", "ünicode"])
        .prop_map(str::to_owned)
        .boxed()
        .prop_union(Just("x".repeat(100)).boxed())
}

fn call() -> impl Strategy<Value = PromptPart> {
    let name = prop::sample::select(vec!["search", "functions.search", "", "gone"]);
    let arguments = prop::sample::select(vec!["{\"q\": \"a\"}", "{}", "", "{\"q\":", "[1]", "null"]);
    (id(), name, arguments).prop_map(|(id, name, arguments)| {
        PromptPart::ToolCall(ToolCall { id, name: name.to_owned(), arguments: arguments.to_owned(), signature: None })
    })
}

fn result() -> impl Strategy<Value = PromptPart> {
    (id(), prop::sample::select(vec!["42", "", " "]), prop::bool::ANY).prop_map(|(id, content, is_error)| {
        PromptPart::ToolResult(ToolResult { id, name: "search".to_owned(), content: content.to_owned(), is_error })
    })
}

fn reasoning(own: &'static str) -> impl Strategy<Value = PromptPart> {
    let model = prop::sample::select(vec![own, "other/model"]);
    let text = prop::sample::select(vec!["Hm.", ""]);
    let signature = prop::option::weighted(0.8, prop::sample::select(vec!["c2ln", "redacted:aGlkZGVu"]));
    (model, text, signature).prop_map(|(model, text, signature)| {
        let model: ModelRef = model.parse().unwrap();
        PromptPart::Reasoning(Reasoning { model, text: text.to_owned(), signature: signature.map(str::to_owned) })
    })
}

fn media() -> impl Strategy<Value = PromptPart> {
    let types = vec!["image/png", "application/pdf", "text/plain", "audio/wav"];
    (prop::sample::select(types), prop::option::of(Just("a_file.x".to_owned())), prop::bool::ANY).prop_map(
        |(media_type, name, is_empty)| {
            let bytes = if is_empty { Bytes::new() } else { Bytes::from_static(b"bytes") };
            PromptPart::Media(Media { media_type: media_type.to_owned(), name, bytes })
        },
    )
}
