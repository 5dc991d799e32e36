//! What a provider refuses, or says that is no answer, is told to the client in words: what happened, and what helps.

use serde_json::json;

use crate::happy::assert_same_as_stored;
use crate::support::{App, Biller, Transcript, WHOLE};

/// What nobody may see.
const KEY: &str = "a-secret-of-the-operator";

/// Providers, each under the name of its protocol, at the biller's address.
async fn app(biller: &Biller, protocols: &[&str]) -> App {
    let table = |protocol: &&str| {
        format!(
            "[[providers]]\nid = \"my-{protocol}\"\nprotocol = \"{protocol}\"\nbase_url = \"{}\"\napi_key = \"{KEY}\"\n\n",
            biller.base_url
        )
    };
    App::with_tables("", |_| protocols.iter().map(table).collect()).await
}

#[tokio::test]
async fn a_client_is_told_what_was_wrong_and_what_to_do() {
    let biller = Biller::start().await;
    let app = app(&biller, &["openai-chat", "anthropic", "ollama"]).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    for (question, code, message) in [
        (
            r#"status 401 {"error":{"message":"Incorrect API key provided: a-secret-of-the-operator","code":"invalid_api_key"}}"#,
            "auth",
            "my-openai-chat: the API key is wrong, or is not allowed to do this (status 401). Check the key.",
        ),
        (
            r#"status 404 {"error":{"message":"The model `gpt-9` does not exist","code":"model_not_found"}}"#,
            "unknown_model",
            "my-openai-chat: the provider has no such model (status 404): The model `gpt-9` does not exist. Choose another model, or check the provider's address.",
        ),
        (
            r#"status 400 {"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
            "context_too_long",
            "my-openai-chat: the conversation is too long for the model (status 400): This model's maximum context length is 8192 tokens. Begin a new conversation, or choose a model that reads more.",
        ),
        (
            r#"status 429 {"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#,
            "quota",
            "my-openai-chat: the account's quota is used up (status 429): You exceeded your current quota. Add credit at the provider, or choose another model.",
        ),
        (
            r#"status 400 {"error":{"message":"This model does not support tools.","type":"invalid_request_error"}}"#,
            "invalid",
            "my-openai-chat: the provider does not accept the request (status 400): This model does not support tools. Another model may accept it.",
        ),
        (
            "html",
            "protocol",
            "my-openai-chat: the provider's address answers with a web page. Check the provider's address and protocol.",
        ),
        (
            r#"status 401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            "auth",
            "my-anthropic: the API key is wrong, or is not allowed to do this (status 401). Check the key.",
        ),
        (
            r#"status 404 {"error":"model 'llama9' not found"}"#,
            "unknown_model",
            "my-ollama: the provider has no such model (status 404): model 'llama9' not found. Choose another model, or check the provider's address.",
        ),
    ] {
        let (provider, _) = message.split_once(": ").unwrap();
        let model = format!("{provider}/m");
        let (id, reply) = ann.ask_anew(Some(model.as_str()), question).await;
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!(code)), "{question}");
        assert_eq!(end["error"]["message"], message);
        assert!(!end["error"].to_string().contains(KEY));
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_told_too_and_tried_again_as_the_provider_wants() {
    let biller = Biller::start().await;
    let app = app(&biller, &["openai-chat", "anthropic"]).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    for (question, code, wait, message) in [
        (
            r#"status 429 retry-after: 2 {"error":{"message":"Slow down","code":"rate_limit_exceeded"}}"#,
            "rate",
            Some(2_000),
            "my-openai-chat: too many calls at the moment (status 429): Slow down. Try again in 2 seconds.",
        ),
        (
            r#"status 429 {"error":{"message":"Limit 30000, used 29000. Please try again in 2.5s."}}"#,
            "rate",
            Some(2_500),
            "my-openai-chat: too many calls at the moment (status 429): Limit 30000, used 29000. Please try again in 2.5s. Try again in 3 seconds.",
        ),
        (
            r#"status 429 {"error":{"message":"Slow down"}}"#,
            "rate",
            None,
            "my-openai-chat: too many calls at the moment (status 429): Slow down. Try again a little later.",
        ),
        ("raw", "interrupted", None, "my-openai-chat: the answer broke off before it was complete. Try again."),
        (
            r#"raw data: {"choices":[{"index":0,"delta":{"cont"#,
            "interrupted",
            None,
            "my-openai-chat: the answer broke off before it was complete. Try again.",
        ),
        (
            "raw data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Na\"}}]}\n\ndata: {\"error\":{\"message\":\"It broke\",\"type\":\"server_error\"}}",
            "overload",
            None,
            "my-openai-chat: the provider has trouble at the moment: It broke. Try again a little later.",
        ),
        (
            r#"status 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            "overload",
            None,
            "my-anthropic: the provider has trouble at the moment (status 529): Overloaded. Try again a little later.",
        ),
        (
            "raw event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow down\"}}",
            "rate",
            None,
            "my-anthropic: too many calls at the moment: Slow down. Try again a little later.",
        ),
    ] {
        let (provider, _) = message.split_once(": ").unwrap();
        let model = format!("{provider}/m");
        let (id, reply) = ann.ask_anew(Some(model.as_str()), question).await;
        let failed = |told: &Transcript| !told.of_type("ReplyAttemptFailed").is_empty();
        ann.read_until(&id, "the attempt fails", failed).await;
        let failure = ann.transcript(&id).of_type("ReplyAttemptFailed")[0].clone();
        assert_eq!((&failure["error"]["code"], &failure["error"]["message"]), (&json!(code), &json!(message)));
        assert_eq!(failure["retry_after_ms"].as_u64(), wait, "{question}");
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["parts"][0]["text"]), (&json!("ReplyCompleted"), &json!(WHOLE)));
        assert_eq!((&end["attempt"], biller.calls(question).len()), (&json!(2), 2), "{question}");
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    }
    // A day is for a person to wait, not for a reply.
    let question = r#"status 429 retry-after: Wed, 21 Oct 2099 07:28:00 GMT {"error":{"message":"Not today"}}"#;
    let (id, reply) = ann.ask_anew(Some("my-openai-chat/m"), question).await;
    let end = ann.end_of(&id, &reply).await;
    assert_eq!(
        (&end["type"], &end["attempt"], &end["error"]["code"]),
        (&json!("ReplyFailed"), &json!(1), &json!("rate"))
    );
    let message = "my-openai-chat: too many calls at the moment (status 429): Not today. Try again in 24 hours.";
    assert_eq!(end["error"]["message"], message);
}
