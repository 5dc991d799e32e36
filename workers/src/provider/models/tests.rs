//! Lists as the documentation shows them, and what else a server may send.

use super::*;
use crate::provider::{Error, ErrorKind};

fn read(listing: Listing, body: impl AsRef<[u8]>) -> Result<Page, Error> {
    listing.read(body.as_ref()).map_err(|refusal| refusal.into_error("test", &[]))
}

/// The names of what is listed, with how much they take.
fn models(listing: Listing, body: impl AsRef<[u8]>) -> Vec<(String, Option<u64>)> {
    read(listing, body).unwrap().models.into_iter().map(|model| (model.id, model.context_window)).collect()
}

fn named(list: &[(&str, Option<u64>)]) -> Vec<(String, Option<u64>)> {
    list.iter().map(|(id, window)| ((*id).to_owned(), *window)).collect()
}

fn kind(listing: Listing, body: impl AsRef<[u8]>) -> ErrorKind {
    read(listing, body).unwrap_err().kind
}

#[test]
fn compatible_servers_say_more_than_they_need_to() {
    for (body, expected) in [
        // OpenAI.
        (
            r#"{"object":"list","data":[{"id":"gpt-6-luna","object":"model","created":1686935002,"owned_by":"openai"}]}"#,
            &[("gpt-6-luna", None)][..],
        ),
        // Groq.
        (
            r#"{"object":"list","data":[{"id":"a","object":"model","active":true,"context_window":131072,"public_apps":null,"max_completion_tokens":32768}]}"#,
            &[("a", Some(131_072))],
        ),
        // OpenRouter.
        (
            r#"{"data":[{"id":"x/y:free","name":"X: Y","context_length":163840,"architecture":{"modality":"text->text"},"top_provider":{"context_length":1},"pricing":{"prompt":"0"}}]}"#,
            &[("x/y:free", Some(163_840))],
        ),
        // Mistral.
        (
            r#"{"object":"list","data":[{"id":"ocr","type":"base","capabilities":{"completion_chat":false},"max_context_length":32768},
               {"id":"large","type":"base","capabilities":{"completion_chat":true,"vision":true},"max_context_length":131072,"aliases":["l"]}]}"#,
            &[("large", Some(131_072))],
        ),
        // Together: no object around it.
        (
            r#"[{"id":"a/b","object":"model","type":"chat","context_length":8192},{"id":"c","type":"embedding"}]"#,
            &[("a/b", Some(8_192))],
        ),
        // vLLM, llama.cpp, and Ollama without any.
        (
            r#"{"object":"list","data":[{"id":"m","object":"model","max_model_len":4096,"permission":[]}]}"#,
            &[("m", Some(4_096))],
        ),
        (
            r#"{"models":[{"name":"no","model":"no"}],"object":"list","data":[{"id":"m","meta":{"n_ctx_train":1}}]}"#,
            &[("m", None)],
        ),
        (r#"{"object":"list","data":null}"#, &[]),
    ] {
        assert_eq!(models(Listing::OpenAi, body), named(expected), "{body}");
    }
}

#[test]
fn each_protocol_lists_in_its_own_form() {
    let anthropic = r#"{"data":[{"id":"claude-opus-5","type":"model","display_name":"Claude Opus 5","created_at":"2026-02-04T00:00:00Z","max_input_tokens":1000000,"max_tokens":128000}],"has_more":true,"first_id":"claude-opus-5","last_id":"claude-opus-5"}"#;
    let page = read(Listing::Anthropic, anthropic).unwrap();
    assert_eq!((page.models[0].context_window, page.next.as_deref()), (Some(1_000_000), Some("claude-opus-5")));
    let last = anthropic.replace("true", "false");
    assert_eq!(read(Listing::Anthropic, last).unwrap().next, None);

    let gemini = r#"{"models":[
        {"name":"models/gemini-3.8-flash","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]},
        {"name":"models/embedding-001","inputTokenLimit":2048,"supportedGenerationMethods":["embedContent"]},
        {"name":"models/unsaid"}],"nextPageToken":"Ch=="}"#;
    assert_eq!(models(Listing::Gemini, gemini), named(&[("gemini-3.8-flash", Some(1_048_576))]));
    assert_eq!(read(Listing::Gemini, gemini).unwrap().next.as_deref(), Some("Ch=="));

    let cohere = r#"{"models":[{"name":"command-a-03-2025","endpoints":["chat"],"finetuned":false,"context_length":288000.0}],"next_page_token":""}"#;
    assert_eq!(models(Listing::Cohere, cohere), named(&[("command-a-03-2025", Some(288_000))]));
    assert_eq!(read(Listing::Cohere, cohere).unwrap().next, None);

    let ollama = r#"{"models":[{"name":"gemma3:4b","model":"gemma3:4b","size":3338801804,"details":{"format":"gguf","families":null}}]}"#;
    assert_eq!(models(Listing::Ollama, ollama), named(&[("gemma3:4b", None)]));
}

#[test]
fn a_further_page_is_asked_for_by_its_mark() {
    for (listing, first, mark) in [
        (Listing::OpenAi, vec![], None),
        (Listing::Ollama, vec![], None),
        (Listing::Anthropic, vec![("limit", "1000")], Some("after_id")),
        (Listing::Gemini, vec![("pageSize", "1000")], Some("pageToken")),
        (Listing::Cohere, vec![("page_size", "1000"), ("endpoint", "chat")], Some("page_token")),
    ] {
        let asked = |next| listing.ask(next).query;
        let owned = |query: &[(&'static str, &str)]| -> Vec<_> {
            query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        assert_eq!(asked(None), owned(&first), "{listing:?}");
        if let Some(mark) = mark {
            assert!(asked(Some("m/2")).contains(&(mark, "m/2".to_owned())), "{listing:?}");
        }
    }
    assert_eq!(Listing::Anthropic.ask(None).headers, [anthropic::VERSION]);
    let long = format!(r#"{{"models":[],"nextPageToken":"{}"}}"#, "x".repeat(MAX_MARK_BYTES + 1));
    assert_eq!(read(Listing::Gemini, long).unwrap().next, None);
}

#[test]
fn what_is_of_another_type_is_passed_over() {
    let body = r#"{"data":[7,null,"x",[],{"id":7},{"id":null},{"id":""},{"id":"a\u0000b"},{"name":"n"},
        {"id":"a","context_length":"many","type":3,"capabilities":[]},
        {"id":"b","context_length":-1,"context_window":0},{"id":"c","context_length":1e400,"max_model_len":5}],"has_more":7}"#;
    assert_eq!(models(Listing::OpenAi, body), named(&[("a", None), ("b", None), ("c", Some(5))]));
    let long = format!(r#"{{"data":[{{"id":"{}"}}]}}"#, "x".repeat(ModelRef::MAX_BYTES));
    assert_eq!(models(Listing::OpenAi, long), named(&[]));
}

#[test]
fn no_more_than_so_many_are_taken() {
    let many: Vec<String> = (0..3 * MAX_MODELS).map(|nth| format!(r#"{{"id":"m{nth}"}}"#)).collect();
    let body = format!(r#"{{"data":[{}]}}"#, many.join(","));
    assert_eq!(models(Listing::OpenAi, &body).len(), MAX_MODELS);
    assert_eq!(models(Listing::OpenAi, format!("[{}]", many.join(","))).len(), MAX_MODELS);
    // Neither what is none, however often, nor how deep.
    assert_eq!(models(Listing::OpenAi, format!("[{}]", vec!["0"; 500_000].join(","))), named(&[]));
    let deep = format!(r#"{{"data":[{}{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(models(Listing::OpenAi, deep), named(&[]));
}

#[test]
fn what_is_no_list_is_a_typed_error() {
    for listing in [Listing::OpenAi, Listing::Anthropic, Listing::Gemini, Listing::Cohere, Listing::Ollama] {
        for (body, expected) in [
            ("<!doctype html><title>Sign in</title>", ErrorKind::Protocol),
            ("\u{feff} \n<html>", ErrorKind::Protocol),
            ("", ErrorKind::Interrupted),
            (r#"{"data":[{"id":"a"},{"id"#, ErrorKind::Interrupted),
            (r#"[{"id":"a"}"#, ErrorKind::Interrupted),
            ("It works!", ErrorKind::Protocol),
            ("[1,2,3]x", ErrorKind::Protocol),
            (r#"{"status":"ok"}"#, ErrorKind::Protocol),
            (r#"{"data":{"id":"a"}}"#, ErrorKind::Protocol),
            ("7", ErrorKind::Protocol),
            (r#"{"error":{"message":"no","type":"authentication_error"}}"#, ErrorKind::Auth),
            (r#"[{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}]"#, ErrorKind::Rate),
        ] {
            assert_eq!(kind(listing, body), expected, "{listing:?} {body}");
        }
        let cut = r#"{"data":[{"id":"a"}],"models":[{"name":"a"}]}"#;
        for at in 0..cut.len() {
            assert_eq!(kind(listing, &cut[..at]), ErrorKind::Interrupted, "{listing:?} {at}");
        }
    }
}
