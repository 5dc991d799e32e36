use domain::conversation::Finish;
use proptest::prelude::*;

use super::*;
use crate::provider::answer::Chunk;
use crate::provider::replay::{play, split};

const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

fn stream(frames: &[String]) -> String {
    frames.iter().flat_map(|frame| ["data: ", frame, "\n\n"]).collect()
}

fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

/// What frames with these deltas, and a stop after them, come to.
fn read(quirks: Quirks, deltas: &[&str]) -> Vec<Chunk> {
    let frames: Vec<_> = deltas.iter().map(|text| delta(text)).chain([STOP.to_owned()]).collect();
    let stream = stream(&frames);
    let (chunks, error) = play(&speaking(quirks), &[stream.as_bytes()]);
    assert_eq!(error, None);
    chunks
}

fn calls(deltas: &[&str]) -> Vec<(String, String, String)> {
    let mut chunks = read(Quirks::default(), deltas);
    assert!(matches!(chunks.pop(), Some(Chunk::Finished { finish: Finish::ToolCalls, .. })));
    let call = |chunk| match chunk {
        Chunk::ToolCall { id, name, arguments, .. } => (id, name, arguments),
        other => panic!("{other:?} is no call"),
    };
    chunks.into_iter().map(call).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn calls_come_in_fragments() {
    let read = calls(&[
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"weather","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"time","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Ulm\"}"}},{"index":1,"function":{"arguments":"}"}}]}"#,
    ]);
    assert_eq!(read, [call("call_a", "weather", r#"{"city":"Ulm"}"#), call("call_b", "time", "{}")]);
}

#[test]
fn calls_come_in_every_other_way_too() {
    let whole = |fields: &str, name: &str, arguments: &str| {
        format!(r#"{{"tool_calls":[{{{fields}"function":{{"name":"{name}","arguments":{arguments}}}}}]}}"#)
    };
    // Ollama: always index 0, told apart by their ids alone, or by nothing.
    let same_index = [whole(r#""index":0,"id":"a","#, "t", r#""{}""#), whole(r#""index":0,"id":"b","#, "t", r#""{}""#)];
    let no_ids = [whole(r#""index":0,"#, "t", r#""{}""#), whole(r#""index":0,"#, "t", r#""{\"n\":1}""#)];
    // Without an index; with arguments that are no text; none at all.
    let no_index = [whole(r#""id":"a","#, "t", r#"{"n":1}"#), whole(r#""id":"b","#, "u", "null")];
    let nothing = [whole("", "t", r#""""#), whole("", "u", r#""""#)];
    for (deltas, expected) in [
        (same_index, [call("a", "t", "{}"), call("b", "t", "{}")]),
        (no_ids, [call("call_0", "t", "{}"), call("call_1", "t", r#"{"n":1}"#)]),
        (no_index, [call("a", "t", r#"{"n":1}"#), call("b", "u", "{}")]),
        (nothing, [call("call_0", "t", "{}"), call("call_1", "u", "{}")]),
    ] {
        let deltas: Vec<_> = deltas.iter().map(String::as_str).collect();
        assert_eq!(calls(&deltas), expected);
    }
}

#[test]
fn calls_of_one_index_that_are_told_at_once_go_by_their_ids() {
    let fragment = |id: &str, arguments: &str| {
        format!(r#"{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"t","arguments":"{arguments}"}}}}]}}"#)
    };
    let fragments = [fragment("a", "{"), fragment("b", "{"), fragment("a", r#"\"n\":1}"#), fragment("b", "}")];
    let fragments: Vec<_> = fragments.iter().map(String::as_str).collect();
    assert_eq!(calls(&fragments), [call("a", "t", r#"{"n":1}"#), call("b", "t", "{}")]);
}

#[test]
fn a_call_that_repeats_its_id_and_name_is_one() {
    let fragment = |arguments: &str| {
        format!(r#"{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"t","arguments":"{arguments}"}}}}]}}"#)
    };
    let fragments = [fragment("{"), fragment(r#"\"n\":1"#), fragment("}")];
    let fragments: Vec<_> = fragments.iter().map(String::as_str).collect();
    assert_eq!(calls(&fragments), [call("a", "t", r#"{"n":1}"#)]);
    let old = [r#"{"function_call":{"name":"t","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#];
    assert_eq!(calls(&old), [call("call_0", "t", "{}")]);
}

fn thought_and_said(quirks: Quirks, deltas: &[&str]) -> (String, String) {
    let (mut thought, mut said) = (String::new(), String::new());
    for chunk in read(quirks, deltas) {
        match chunk {
            Chunk::Reasoning(text) => thought.push_str(&text),
            Chunk::Text(text) => said.push_str(&text),
            _ => {}
        }
    }
    (thought, said)
}

#[test]
fn thoughts_are_told_in_many_ways() {
    let text = r#"{"content":"Yes."}"#;
    for thought in [
        r#"{"reasoning_content":"Hm."}"#,
        r#"{"reasoning":"Hm."}"#,
        r#"{"reasoning":"Hm.","reasoning_content":"Hm."}"#,
        r#"{"reasoning":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","index":0}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"Hm."}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}]}"#,
        r#"{"content":"<think>Hm.</think>\n\n"}"#,
    ] {
        let (thought, said) = thought_and_said(Quirks::default(), &[thought, text]);
        assert_eq!((thought.as_str(), said.as_str()), ("Hm.", "Yes."));
    }
}

#[test]
fn tags_are_found_however_they_are_split() {
    let quirks = Quirks { begins_thinking: true, ..Quirks::default() };
    for (quirks, stream, thought, said) in [
        (Quirks::default(), "\n<think>\na < b</think>\nYes, <think> is a tag.", "\na < b", "Yes, <think> is a tag."),
        (Quirks::default(), "<thin ice>", "", "<thin ice>"),
        (Quirks::default(), "<thi", "", "<thi"),
        (Quirks::default(), " \n ", "", " \n "),
        (quirks, "a</b></think>Yes.", "a</b>", "Yes."),
        (quirks, "a</thi", "a</thi", ""),
    ] {
        let bytes: Vec<_> = stream.split("").filter(|piece| !piece.is_empty()).map(content).collect();
        for deltas in [bytes, vec![content(stream)]] {
            let deltas: Vec<_> = deltas.iter().map(String::as_str).collect();
            assert_eq!(thought_and_said(quirks, &deltas), (thought.to_owned(), said.to_owned()), "{stream}");
        }
    }
}

fn content(text: &str) -> String {
    serde_json::json!({ "content": text }).to_string()
}

#[test]
fn what_is_signed_or_hidden_of_a_thought_is_kept_as_it_was_told() {
    let signature = |deltas: &[&str]| {
        let signatures: Vec<_> = read(Quirks::default(), deltas)
            .into_iter()
            .filter_map(|chunk| match chunk {
                Chunk::ReasoningSignature(signature) => Some(signature),
                _ => None,
            })
            .collect();
        let [signature] = &signatures[..] else { panic!("{signatures:?}") };
        let details =
            signature.strip_prefix("reasoning_details:").map(|details| serde_json::from_str(details).unwrap());
        details.unwrap_or_else(|| serde_json::Value::String(signature.clone()))
    };
    let pieces = [
        r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"format":"anthropic-claude-v1"}]}"#,
        r#"{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","signature":"c2ln","index":0}]}"#,
        r#"{"content":"Yes."}"#,
    ];
    let text = serde_json::json!({
        "type": "reasoning.text", "text": "ab", "signature": "c2ln", "index": 0, "format": "anthropic-claude-v1",
    });
    assert_eq!(signature(&pieces), serde_json::json!([text]));
    let hidden = r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"aGk","id":"rs_1","index":0},{"type":"reasoning.encrypted","data":"aG8","index":0}]}"#;
    let (one, two) = (
        serde_json::json!({ "type": "reasoning.encrypted", "data": "aGk", "id": "rs_1", "index": 0 }),
        serde_json::json!({ "type": "reasoning.encrypted", "data": "aG8", "index": 0 }),
    );
    assert_eq!(signature(&[r#"{"content":"Yes."}"#, hidden]), serde_json::json!([one, two]));
    // Words alone need no more than the field that they came in.
    assert_eq!(signature(&pieces[..2]), "reasoning");
}

#[test]
fn a_thought_says_where_it_came() {
    let deltas = [r#"{"reasoning_content":"Hm."}"#, r#"{"reasoning_content":"So."}"#, r#"{"content":"a"}"#];
    let chunks = read(Quirks::default(), &deltas);
    let text = |text: &str| text.to_owned();
    assert_eq!(
        chunks[..4],
        [
            Chunk::Reasoning(text("Hm.")),
            Chunk::Reasoning(text("So.")),
            Chunk::ReasoningSignature(text("reasoning_content")),
            Chunk::Text(text("a"))
        ]
    );
}

#[test]
fn a_refusal_is_told_and_ends_the_answer_as_one() {
    let chunks = read(Quirks::default(), &[r#"{"refusal":"I can't "}"#, r#"{"refusal":"do that."}"#]);
    assert_eq!(chunks[0], Chunk::Text("I can't ".to_owned()));
    assert!(matches!(chunks.last(), Some(Chunk::Finished { finish: Finish::ContentFilter, .. })));
}

#[test]
fn usage_is_kept_as_it_came_too() {
    let usage = r#"{"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":7},"cost":0.1}"#;
    let frames = [STOP.to_owned(), format!(r#"{{"choices":[],"usage":{usage}}}"#)];
    let (chunks, _) = play(&speaking(Quirks::default()), &[stream(&frames).as_bytes()]);
    let Some(Chunk::Finished { usage: read, .. }) = chunks.last() else { panic!("{chunks:?}") };
    assert_eq!((read.input, read.cached_input, read.cache_write), (Some(8), Some(5), Some(7)));
    let raw: serde_json::Value = read.raw.as_ref().unwrap().parse().unwrap();
    assert_eq!(raw, usage.parse::<serde_json::Value>().unwrap());
}

fn frames() -> impl Strategy<Value = Vec<String>> {
    let frame = prop::sample::select(vec![
        delta(r#"{"content":"Grüße "}"#),
        delta(r#"{"content":"<think>"}"#),
        delta(r#"{"content":"</th"}"#),
        delta(r#"{"content":"ink>"}"#),
        delta(r#"{"reasoning":"🤔"}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"t","arguments":"{}"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"name":"u","arguments":"{"}}]}"#),
        delta(r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#),
        delta(r#"{"refusal":"No."}"#),
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.to_owned(),
        r#"{"error":{"message":"x","code":429}}"#.to_owned(),
        STOP.to_owned(),
        "[DONE]".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ]);
    prop::collection::vec(frame, 0..12)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(frames in frames(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        split(&speaking(Quirks::default()), stream(&frames).as_bytes(), &cuts)?;
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        play(&speaking(Quirks::default()), &[&bytes]);
        let framed = [b"data: ", bytes.as_slice(), b"\n\n"].concat();
        play(&speaking(Quirks::default()), &[&framed]);
    }
}
