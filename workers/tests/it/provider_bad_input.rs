//! Whatever can be wrong with a request or an answer, in every protocol in which it can be: which kind of error it is, and
//! what people are told. Bodies are as the providers' documentation, or their users' reports, have them.

#![expect(clippy::print_stdout, reason = "what people would be told, for whoever reads the test's output")]

use std::time::Duration;

use workers::provider::recorded::ARGUMENTS;
use workers::provider::{Error, ErrorKind, Protocol};

use crate::provider_fake::{KEY, Step, send};
use crate::provider_protocols::{SPOKEN, Spoken, told};

/// The longest message that people are shown.
const LONGEST: usize = 400;

fn speaks(protocol: Protocol) -> impl Iterator<Item = &'static Spoken> {
    SPOKEN.iter().filter(move |spoken| spoken.protocol == protocol)
}

/// What becomes of a call that is answered by these bytes. Whatever it is, people can read it and no secret is in it.
async fn error(spoken: &Spoken, response: impl AsRef<[u8]>) -> Error {
    let (pieces, end) = spoken.play(vec![send(response), Step::Close]).await;
    let error = end.unwrap_err();
    let message = &error.message;
    println!("{:<16} {:<17} {message}", spoken.protocol.as_str(), error.code());
    assert!(spoken.answer().text.starts_with(&told(&pieces).text));
    assert!(!message.contains(KEY) && !message.contains("sk-") && !message.contains('<'), "{message}");
    assert!(message.chars().count() <= LONGEST && !message.contains('\n') && message.ends_with('.'), "{message}");
    error
}

fn refusal(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A status and a body, what kind of error they are, and words that people must find.
type Refused = (Protocol, &'static str, &'static str, ErrorKind, &'static str);

async fn check(table: &[Refused]) {
    for (protocol, status, body, kind, words) in table {
        for spoken in speaks(*protocol) {
            let error = error(spoken, refusal(status, "content-type: application/json\r\n", body)).await;
            assert_eq!(error.kind, *kind, "{status} {body}");
            assert!(error.message.contains(words), "{words:?} in {}", error.message);
        }
    }
}

use Protocol::{Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenaiChat, OpenaiResponses};

#[tokio::test]
async fn a_wrong_key() {
    const OPENAI: &str = r#"{"error":{"message":"Incorrect API key provided: sk-ver***ey. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let kind = ErrorKind::Auth;
    check(&[
        (OpenaiChat, "401 Unauthorized", OPENAI, kind, "Check the key"),
        (OpenaiResponses, "401 Unauthorized", OPENAI, kind, "Check the key"),
        (Anthropic, "401 Unauthorized", r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_1"}"#, kind, "key is wrong"),
        (Gemini, "400 Bad Request", r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#, kind, "key is wrong"),
        (Bedrock, "403 Forbidden", r#"{"message":"The security token included in the request is invalid."}"#, kind, "key is wrong"),
        (Cohere, "401 Unauthorized", r#"{"id":"7d6e","message":"invalid api token"}"#, kind, "key is wrong"),
        (Ollama, "401 Unauthorized", r#"{"error":"unauthorized"}"#, kind, "key is wrong"),
    ])
    .await;
}

#[tokio::test]
async fn an_unknown_model() {
    const OPENAI: &str = r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
    let kind = ErrorKind::UnknownModel;
    check(&[
        (OpenaiChat, "404 Not Found", OPENAI, kind, "`gpt-9` does not exist"),
        (OpenaiResponses, "400 Bad Request", OPENAI, kind, "Choose another model"),
        (Anthropic, "404 Not Found", r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"},"request_id":"req_1"}"#, kind, "model: claude-9"),
        (Gemini, "404 Not Found", r#"{"error":{"code":404,"message":"models/gemini-9 is not found for API version v1beta, or is not supported for generateContent.","status":"NOT_FOUND"}}"#, kind, "gemini-9 is not found"),
        (Bedrock, "400 Bad Request", r#"{"message":"The provided model identifier is invalid."}"#, kind, "Choose another model"),
        (Cohere, "404 Not Found", r#"{"id":"7d6e","message":"model 'command-9' not found, make sure the correct model ID was used"}"#, kind, "command-9"),
        (Ollama, "404 Not Found", r#"{"error":"model 'llama9' not found"}"#, kind, "llama9"),
    ])
    .await;
}

#[tokio::test]
async fn a_model_without_tools_or_images() {
    let kind = ErrorKind::Invalid;
    check(&[
        (OpenaiChat, "404 Not Found", r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#, kind, "support tool use"),
        (OpenaiChat, "404 Not Found", r#"{"error":{"message":"No endpoints found that support image input","code":404}}"#, kind, "image input"),
        (OpenaiChat, "400 Bad Request", r#"{"error":{"message":"Invalid content type. image_url is only supported by certain models.","type":"invalid_request_error","param":"messages.[1].content.[1].type","code":null}}"#, kind, "certain models"),
        (OpenaiResponses, "400 Bad Request", r#"{"error":{"message":"The requested model 'o1-mini' does not support tools.","type":"invalid_request_error","param":"tools","code":"unsupported_parameter"}}"#, kind, "does not support tools"),
        (Anthropic, "400 Bad Request", r#"{"type":"error","error":{"type":"invalid_request_error","message":"'claude-2.1' does not support image input."}}"#, kind, "does not support image"),
        (Gemini, "400 Bad Request", r#"{"error":{"code":400,"message":"Function calling is not enabled for models/gemma-3-27b-it","status":"INVALID_ARGUMENT"}}"#, kind, "Function calling is not enabled"),
        (Bedrock, "400 Bad Request", r#"{"message":"This model doesn't support tool use in streaming mode."}"#, kind, "doesn't support tool use"),
        (Cohere, "400 Bad Request", r#"{"message":"invalid request: tools are not supported with this model"}"#, kind, "tools are not supported"),
        (Ollama, "400 Bad Request", r#"{"error":"registry.ollama.ai/library/gemma:2b does not support tools"}"#, kind, "does not support tools"),
    ])
    .await;
}

#[tokio::test]
async fn a_prompt_that_is_too_long() {
    const OPENAI: &str = r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#;
    let (kind, advice) = (ErrorKind::ContextTooLong, "Begin a new conversation");
    check(&[
        (OpenaiChat, "400 Bad Request", OPENAI, kind, advice),
        (OpenaiChat, "400 Bad Request", r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error"}}"#, kind, advice),
        (OpenaiChat, "413 Payload Too Large", "<html>nginx</html>", kind, advice),
        (OpenaiChat, "400 Bad Request", r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}"#, kind, "537812 tokens"),
        (OpenaiChat, "400 Bad Request", r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}"#, kind, advice),
        (OpenaiChat, "400 Bad Request", r#"{"error":{"code":"invalid_parameter_error","param":null,"message":"Range of input length should be [1, 129024]","type":"invalid_request_error"}}"#, kind, advice),
        (OpenaiChat, "422 Unprocessable Entity", r#"{"error":{"message":"The input is longer than the model's context length.","type":"invalid_request_error","param":null,"code":null}}"#, kind, advice),
        (OpenaiResponses, "400 Bad Request", OPENAI, kind, advice),
        (Anthropic, "400 Bad Request", r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, kind, "210000 tokens"),
        (Anthropic, "413 Payload Too Large", r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#, kind, advice),
        (Gemini, "400 Bad Request", r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#, kind, "1048576"),
        (Bedrock, "400 Bad Request", r#"{"message":"Input is too long for requested model."}"#, kind, advice),
        (Cohere, "400 Bad Request", r#"{"message":"too many tokens: size limit exceeded by 1200 tokens. Try using shorter or fewer inputs. The limit for this model is 128000 tokens."}"#, kind, advice),
        (Ollama, "400 Bad Request", r#"{"error":"the input length exceeds the context length"}"#, kind, advice),
    ])
    .await;
}

#[tokio::test]
async fn a_quota_that_is_used_up() {
    const OPENAI: &str = r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let (kind, advice) = (ErrorKind::Quota, "Add credit");
    check(&[
        (OpenaiChat, "429 Too Many Requests", OPENAI, kind, advice),
        (OpenaiChat, "402 Payment Required", r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#, kind, advice),
        (OpenaiResponses, "429 Too Many Requests", OPENAI, kind, advice),
        (Anthropic, "400 Bad Request", r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}"#, kind, "credit balance"),
        (Gemini, "429 Too Many Requests", r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"50"}]}]}}"#, kind, advice),
        (Bedrock, "429 Too Many Requests", r#"{"message":"Too many tokens per day, please wait before trying again."}"#, kind, advice),
    ])
    .await;
}

#[tokio::test]
async fn too_many_calls_with_every_form_of_a_hint() {
    const OPENAI: &str = r#"{"error":{"message":"Rate limit reached for gpt-6 in organization org-abc123 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 7.66s. Visit https://platform.openai.com/account/rate-limits.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    const SLOW: &str = r#"{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}"#;
    const AZURE: &str = r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded token rate limit of your current pricing tier. Please retry after 60 seconds."}}"#;
    const CLAUDE: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50 requests per minute."}}"#;
    const GOOGLE: &str = r#"[{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38.5s"}]}}]"#;
    for (protocol, headers, body, wait) in [
        (OpenaiChat, "", OPENAI, Some(7_660)),
        (OpenaiChat, "retry-after-ms: 250\r\nretry-after: 1\r\n", OPENAI, Some(250)),
        (OpenaiChat, "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m12s\r\n", SLOW, Some(72_000)),
        (OpenaiChat, "retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n", SLOW, Some(86_400_000)),
        (OpenaiChat, "", SLOW, None),
        (OpenaiChat, "", AZURE, Some(60_000)),
        (OpenaiResponses, "retry-after: 20\r\n", SLOW, Some(20_000)),
        (Anthropic, "retry-after: 12\r\n", CLAUDE, Some(12_000)),
        (Gemini, "", GOOGLE, Some(38_500)),
        (Bedrock, "", r#"{"message":"Too many requests, please wait before trying again."}"#, None),
        (Cohere, "", r#"{"message":"Please wait and try again later"}"#, None),
        (Ollama, "retry-after: 3\r\n", r#"{"error":"too many requests"}"#, Some(3_000)),
    ] {
        for spoken in speaks(protocol) {
            let error = error(spoken, refusal("429 Too Many Requests", headers, body)).await;
            assert_eq!((error.kind, error.retry_after), (ErrorKind::Rate, wait.map(Duration::from_millis)), "{body}");
            assert!(error.message.contains("Try again "), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol() {
    for spoken in &SPOKEN {
        let name = spoken.protocol.as_str();
        let html = "<!doctype html><html><title>Sign in to the hotel's network</title></html>";
        for (response, kind) in [
            (refusal("403 Forbidden", "content-type: text/html\r\n", html).into_bytes(), ErrorKind::UnknownModel),
            (refusal("200 OK", "content-type: text/html\r\n", html).into_bytes(), ErrorKind::Protocol),
            ([spoken.head().as_slice(), html.as_bytes()].concat(), ErrorKind::Protocol),
            (refusal("502 Bad Gateway", "content-type: text/html\r\n", html).into_bytes(), ErrorKind::Overload),
            // Nothing at all; a document that was cut, where documents are known; a connection that ends at once.
            (spoken.head(), ErrorKind::Interrupted),
            (refusal("302 Found", "location: /elsewhere\r\n", "").into_bytes(), ErrorKind::Invalid),
            (Vec::new(), ErrorKind::Network),
        ] {
            let error = error(spoken, &response).await;
            assert_eq!(error.kind, kind, "{name}: {}", String::from_utf8_lossy(&response));
        }
        let cut =
            error(spoken, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"a").await;
        let binary = spoken.protocol == Bedrock;
        assert!(cut.kind == ErrorKind::Interrupted || binary && cut.kind == ErrorKind::Protocol, "{name}: {cut}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn an_error_in_an_answer_that_began_well() {
    let event = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n").into_bytes();
    let data = |data: &str| format!("data: {data}\n\n").into_bytes();
    let bedrock = workers::provider::recorded::bedrock_exception;
    for (protocol, record, kind) in [
        (
            OpenaiChat,
            data(r#"{"error":{"message":"The server had an error","type":"server_error"}}"#),
            ErrorKind::Overload,
        ),
        (
            OpenaiChat,
            data(r#"{"error":{"code":429,"message":"Rate limited"},"choices":[{"delta":{},"finish_reason":"error"}]}"#),
            ErrorKind::Rate,
        ),
        (
            OpenaiResponses,
            event(
                "error",
                r#"{"type":"error","code":"server_error","message":"The server had an error","param":null,"sequence_number":9}"#,
            ),
            ErrorKind::Overload,
        ),
        (
            OpenaiResponses,
            event(
                "response.failed",
                r#"{"type":"response.failed","response":{"object":"response","status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow down"}}}"#,
            ),
            ErrorKind::Rate,
        ),
        (
            Anthropic,
            event("error", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            ErrorKind::Overload,
        ),
        (
            OpenaiChat,
            data(
                r#"{"error":{"message":"Invalid 'tools'.","type":"invalid_request_error","param":"tools","code":null}}"#,
            ),
            ErrorKind::Invalid,
        ),
        (
            Anthropic,
            event(
                "error",
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages: roles must alternate"}}"#,
            ),
            ErrorKind::Invalid,
        ),
        (
            Anthropic,
            event("error", r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}"#),
            ErrorKind::UnknownModel,
        ),
        (
            Anthropic,
            event(
                "error",
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}"#,
            ),
            ErrorKind::ContextTooLong,
        ),
        (
            Gemini,
            data(
                r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
            ),
            ErrorKind::Overload,
        ),
        (Bedrock, bedrock("throttlingException", "Too many requests"), ErrorKind::Rate),
        (Bedrock, bedrock("modelStreamErrorException", "The model stopped"), ErrorKind::Interrupted),
        (
            Cohere,
            event(
                "message-end",
                r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"an internal error"}}"#,
            ),
            ErrorKind::Interrupted,
        ),
        (
            Ollama,
            b"{\"error\":\"an error was encountered while running the model: unexpected EOF\"}\n".to_vec(),
            ErrorKind::Interrupted,
        ),
    ] {
        for spoken in speaks(protocol) {
            let answer = spoken.answer();
            // At once, after the thought, in the middle of the calls.
            for begun in [0, 3, answer.records.len() / 2, answer.end] {
                let response = [spoken.head(), answer.records[..begun].concat(), record.clone()].concat();
                assert_eq!(error(spoken, response).await.kind, kind, "{protocol:?} after {begun}");
            }
        }
    }
}

#[tokio::test]
async fn line_ends_and_a_byte_order_mark_do_not_matter() {
    for spoken in SPOKEN.iter().filter(|spoken| spoken.protocol != Bedrock) {
        let text = String::from_utf8(spoken.answer().whole()).unwrap().replace("\r\n", "\n");
        let ends: &[&str] = if spoken.protocol == Ollama { &["\n", "\r\n"] } else { &["\n", "\r\n", "\r"] };
        for end in ends {
            let body = format!("\u{feff}{}", text.replace('\n', end));
            for step in [send(&body), Step::Drip(body.clone().into_bytes())] {
                let (pieces, whole) = spoken.play(vec![send(spoken.head()), step, Step::Close]).await;
                assert!(whole.is_ok(), "{:?} {end:?}: {whole:?}", spoken.protocol);
                assert_eq!(told(&pieces).text, spoken.answer().text, "{:?} {end:?}", spoken.protocol);
            }
        }
    }
}

#[tokio::test]
async fn two_calls_under_one_index_are_two_calls() {
    for (protocol, from, to) in [
        (Anthropic, "\"index\":3", "\"index\":2"),
        (Gemini, "call_2", "call_1"),
        (Cohere, "tool-call-start\",\"index\":1", "tool-call-start\",\"index\":0"),
        (Ollama, "\"index\":1", "\"index\":0"),
        (OpenaiResponses, "\"output_index\":3", "\"output_index\":2"),
        (OpenaiResponses, "call_2", "call_1"),
    ] {
        for spoken in speaks(protocol) {
            let mut answer = spoken.answer();
            for record in &mut answer.records {
                let mut text = String::from_utf8(record.clone()).unwrap().replace(from, to);
                // The pieces and the end of a call go by its beginning.
                if protocol == Cohere && text.contains("tool-call-") {
                    text = text.replace("\"index\":1", "\"index\":0");
                }
                *record = text.into_bytes();
            }
            let (pieces, end) = spoken.play(vec![send([spoken.head(), answer.whole()].concat()), Step::Close]).await;
            assert!(end.is_ok(), "{protocol:?}: {end:?}");
            let calls = told(&pieces).calls;
            let arguments: Vec<_> = calls.iter().map(|(_, arguments)| arguments.as_str()).collect();
            assert_eq!(arguments, ARGUMENTS, "{protocol:?}: {pieces:?}");
        }
    }
}
