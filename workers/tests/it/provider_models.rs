//! Asking providers for their models: where and how each protocol is asked, and what becomes of whatever they answer.

use workers::provider::{Deadlines, Error, ErrorKind, Model, Protocol, ProviderConfig};

use crate::provider_fake::{Fake, KEY, Step, config_of, provider_of, send};

/// The answer of a provider that plays these steps to whoever asks for its models.
async fn list(config: impl FnOnce(&str) -> ProviderConfig, steps: Vec<Step>) -> (Result<Vec<Model>, Error>, Fake) {
    let fake = Fake::start(steps).await;
    let provider = provider_of(config(&fake.base_url), Deadlines::default());
    (provider.models().await, fake)
}

fn response(status: &str, body: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    vec![send(head + body)]
}

async fn refusal(steps: Vec<Step>) -> Error {
    list(|base_url| config_of(Protocol::OpenaiChat, base_url), steps).await.0.unwrap_err()
}

#[tokio::test]
async fn each_protocol_is_asked_in_its_own_way() {
    let by_id = r#"{"data":[{"id":"m1"}],"has_more":false,"last_id":"m1"}"#;
    let by_name = r#"{"models":[{"name":"models/m1","supportedGenerationMethods":["generateContent"]}]}"#;
    let plain = r#"{"models":[{"name":"m1"}]}"#;
    let bearer = "authorization: Bearer very-secret-key\r\n";
    for (protocol, path, asked, shown, body) in [
        (Protocol::OpenaiChat, "/v1", "/v1/models", bearer, by_id),
        (Protocol::OpenaiResponses, "/v1/", "/v1/models", bearer, by_id),
        (Protocol::Anthropic, "/v1", "/v1/models?limit=1000", "x-api-key: very-secret-key\r\n", by_id),
        (Protocol::Gemini, "/v1beta", "/v1beta/models?pageSize=1000", "x-goog-api-key: very-secret-key\r\n", by_name),
        (Protocol::Cohere, "/v2", "/v1/models?page_size=1000&endpoint=chat", bearer, plain),
        (Protocol::Cohere, "/proxy", "/proxy/v1/models?page_size=1000&endpoint=chat", bearer, plain),
        (Protocol::Ollama, "", "/api/tags", bearer, plain),
        // As Azure wants it.
        (Protocol::OpenaiChat, "/openai?api-version=1", "/openai/models?api-version=1", bearer, by_id),
    ] {
        let config = |base_url: &str| config_of(protocol, &base_url.replace("/v1", path));
        let (models, mut fake) = list(config, response("200 OK", body)).await;
        assert_eq!(models.unwrap(), [Model { id: "m1".to_owned(), context_window: None }], "{protocol:?}");
        let request = fake.request().await;
        assert!(request.starts_with(&format!("GET {asked} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains(shown) && !request.contains("content-type"), "{request}");
        let version = request.contains("anthropic-version: 2023-06-01\r\n");
        assert_eq!(version, protocol == Protocol::Anthropic, "{request}");
    }
}

#[tokio::test]
async fn pages_are_read_until_they_go_in_circles() {
    let page = r#"{"data":[{"id":"m1"},{"id":"m2"},{"id":"m1"}],"has_more":true,"last_id":"m/2"}"#;
    let (models, mut fake) = list(|base_url| config_of(Protocol::Anthropic, base_url), response("200 OK", page)).await;
    let names: Vec<String> = models.unwrap().into_iter().map(|model| model.id).collect();
    assert_eq!(names, ["m1", "m2"]);
    assert!(fake.request().await.starts_with("GET /v1/models?limit=1000 HTTP"));
    assert!(fake.request().await.starts_with("GET /v1/models?limit=1000&after_id=m%2F2 HTTP"));
    // Every request was seen before its answer was sent.
    let third = tokio::time::timeout(std::time::Duration::from_millis(50), fake.request()).await;
    assert!(third.is_err(), "{third:?}");
}

#[tokio::test]
async fn what_is_no_list_is_a_typed_error_without_the_key() {
    let refused = format!(r#"{{"error":{{"message":"Incorrect API key {KEY}","code":"invalid_api_key"}}}}"#);
    let slow = format!(r#"{{"error":{{"message":"Too many requests of {KEY}","type":"rate_limit_error"}}}}"#);
    for (steps, kind) in [
        (response("401 Unauthorized", &refused), ErrorKind::Auth),
        (response("403 Forbidden", &refused), ErrorKind::Auth),
        (response("403 Forbidden", "<html>"), ErrorKind::UnknownModel),
        (response("429 Too Many Requests", &slow), ErrorKind::Rate),
        (response("200 OK", &slow), ErrorKind::Rate),
        (response("404 Not Found", "<html>"), ErrorKind::UnknownModel),
        (response("503 Service Unavailable", "<html>"), ErrorKind::Overload),
        (response("302 Found\r\nlocation: /elsewhere", ""), ErrorKind::Invalid),
        (response("200 OK", "<!doctype html>"), ErrorKind::Protocol),
        (response("200 OK", r#"{"data":[{"id":"m"#), ErrorKind::Interrupted),
        (
            vec![send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\":[{\"id\":\"m1\"}"), Step::Close],
            ErrorKind::Interrupted,
        ),
        (vec![Step::Close], ErrorKind::Network),
        // Without end.
        (vec![send("HTTP/1.1 200 OK\r\n\r\n["), Step::Flood(b"{\"id\":\"m1\"},".repeat(1_000))], ErrorKind::Protocol),
    ] {
        let error = refusal(steps).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with("mock: ") && !error.message.contains(KEY), "{error}");
    }
}

#[tokio::test]
async fn who_lists_nothing_is_not_asked() {
    let bedrock = |base_url: &str| config_of(Protocol::Bedrock, base_url);
    let vertex = |base_url: &str| ProviderConfig { id: "vertex".to_owned(), ..config_of(Protocol::Gemini, base_url) };
    for config in [&bedrock as &dyn Fn(&str) -> ProviderConfig, &vertex] {
        let (models, fake) = list(config, vec![Step::Hang]).await;
        let error = models.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        drop(fake);
    }
}
