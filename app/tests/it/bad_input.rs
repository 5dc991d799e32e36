//! What a provider refuses, or says that is no answer, is told to the client in words: what happened, and what helps.

use serde_json::json;

use crate::happy::assert_same_as_stored;
use crate::support::{App, Biller, id};

/// What nobody may see.
const KEY: &str = "a-secret-of-the-operator";

#[tokio::test]
async fn a_client_is_told_what_was_wrong_and_what_to_do() {
    let biller = Biller::start().await;
    let table = format!(
        "[[providers]]\nid = \"mine\"\nprotocol = \"openai-chat\"\nbase_url = \"{}\"\napi_key = \"{KEY}\"\n",
        biller.base_url
    );
    let app = App::with_tables("", |_| table).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    for (question, code, message) in [
        (
            r#"status 401 {"error":{"message":"Incorrect API key provided: a-secret-of-the-operator","code":"invalid_api_key"}}"#,
            "auth",
            "mine: the API key is wrong, or is not allowed to do this (status 401). Check the key.",
        ),
        (
            r#"status 404 {"error":{"message":"The model `gpt-9` does not exist","code":"model_not_found"}}"#,
            "unknown_model",
            "mine: the provider has no such model (status 404): The model `gpt-9` does not exist. Choose another model, or check the provider's address.",
        ),
        (
            r#"status 400 {"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
            "context_too_long",
            "mine: the conversation is too long for the model (status 400): This model's maximum context length is 8192 tokens. Begin a new conversation, or choose a model that reads more.",
        ),
        (
            r#"status 429 {"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#,
            "quota",
            "mine: the account's quota is used up (status 429): You exceeded your current quota. Add credit at the provider, or choose another model.",
        ),
        (
            r#"status 400 {"error":{"message":"This model does not support tools.","type":"invalid_request_error"}}"#,
            "invalid",
            "mine: the provider does not accept the request (status 400): This model does not support tools. Another model may accept it.",
        ),
        (
            "html",
            "protocol",
            "mine: the provider's address answers with a web page. Check the provider's address and protocol.",
        ),
    ] {
        // A model each: one that fails for what is wrong with the account is left alone for a while.
        let id = id();
        ann.ask(&id, json!({ "type": "StartConversation", "model": format!("mine/{code}") })).await.unwrap();
        ann.follow(&id).await;
        let reply = ann.submit(&id, question).await;
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!(code)), "{question}");
        assert_eq!(end["error"]["message"], message);
        assert!(!end["error"].to_string().contains(KEY));
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    }
}
