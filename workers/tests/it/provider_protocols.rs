//! What calls promise, in protocols of other framings: whole answers however they are split, breaks, refusals, secrets.

use domain::conversation::Finish;
use workers::provider::{Chunk, Deadlines, ErrorKind, Protocol};

use crate::provider_fake::{Fake, KEY, Step, ask, collect_all, config_of, provider_of, send};

/// A protocol as it is on the wire.
struct Spoken {
    protocol: Protocol,
    /// What a request begins with, and how it shows the key.
    request: [&'static str; 2],
    content_type: &'static str,
    /// An answer that thinks "Hm." and says "Grüße 🌍"; what is behind the second one is its end.
    answer: [&'static str; 2],
}

const SPOKEN: [Spoken; 3] = [
    Spoken {
        protocol: Protocol::OpenaiChat,
        request: ["POST /v1/chat/completions HTTP/1.1\r\n", "authorization: Bearer very-secret-key\r\n"],
        content_type: "text/event-stream",
        answer: [
            "data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm.\"}}]}\n\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"Grüße 🌍\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ],
    },
    Spoken {
        protocol: Protocol::Anthropic,
        request: ["POST /v1/messages HTTP/1.1\r\n", "x-api-key: very-secret-key\r\n"],
        content_type: "text/event-stream; charset=utf-8",
        answer: [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"m1\",\"stop_reason\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
             event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n\
             event: ping\ndata: {\"type\":\"ping\"}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm.\"}}\n\n\
             event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
             event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße 🌍\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
             event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\n\
             event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
    },
    Spoken {
        protocol: Protocol::Ollama,
        request: ["POST /v1/api/chat HTTP/1.1\r\n", "authorization: Bearer very-secret-key\r\n"],
        content_type: "application/x-ndjson",
        answer: [
            "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"Hm.\"},\"done\":false}\n\
             {\"message\":{\"role\":\"assistant\",\"content\":\"Grüße 🌍\"},\"done\":false}\n",
            "{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n",
        ],
    },
];

impl Spoken {
    fn head(&self) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-type: {}\r\n\r\n", self.content_type)
    }

    async fn play(&self, steps: Vec<Step>) -> (Vec<Chunk>, Result<Chunk, workers::provider::Error>, Fake) {
        let fake = Fake::start(steps).await;
        let provider = provider_of(config_of(self.protocol, &fake.base_url), Deadlines::default());
        let (pieces, end) = collect_all(&*provider, ask("Hi")).await;
        (pieces, end, fake)
    }
}

/// What is thought and what is said, each in one piece.
fn told(pieces: &[Chunk]) -> (String, String) {
    let mut told = (String::new(), String::new());
    for piece in pieces {
        match piece {
            Chunk::Reasoning(text) => told.0.push_str(text),
            Chunk::Text(text) => told.1.push_str(text),
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn an_answer_split_at_every_byte_is_the_same_answer() {
    for spoken in SPOKEN {
        let bytes = spoken.head() + &spoken.answer.concat();
        for step in [Step::Drip(bytes.clone().into_bytes()), send(&bytes)] {
            let (pieces, end, mut fake) = spoken.play(vec![step, Step::Close]).await;
            assert_eq!(told(&pieces), ("Hm.".to_owned(), "Grüße 🌍".to_owned()), "{:?}", spoken.protocol);
            assert!(matches!(end, Ok(Chunk::Finished { finish: Finish::Stop, .. })), "{end:?}");
            let request = fake.request().await;
            let [path, key] = spoken.request;
            assert!(request.starts_with(path) && request.contains(key), "{request}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_its_end_is_interrupted_and_one_with_it_is_not_waited_for() {
    for spoken in SPOKEN {
        let [begun, end] = spoken.answer;
        for rest in ["", &end[..10]] {
            let (pieces, end, _) = spoken.play(vec![send(spoken.head() + begun + rest), Step::Close]).await;
            assert_eq!(told(&pieces).1, "Grüße 🌍");
            assert_eq!(end.unwrap_err().kind, ErrorKind::Interrupted, "{:?} {rest}", spoken.protocol);
            let counted = pieces.iter().any(|piece| matches!(piece, Chunk::Usage(usage) if usage.input == Some(3)));
            assert_eq!(counted, spoken.protocol == Protocol::Anthropic, "what was counted until then is told");
        }
        let (_, end, _) = spoken.play(vec![send(spoken.head() + begun + end), Step::Hang]).await;
        assert!(end.is_ok(), "{:?}", spoken.protocol);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_typed_error_without_the_key() {
    for spoken in SPOKEN {
        let refusal = format!("{{\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Not now, {KEY}\"}}}}");
        for (response, kind) in [
            (
                format!("HTTP/1.1 529 Overloaded\r\ncontent-length: {}\r\n\r\n{refusal}", refusal.len()),
                ErrorKind::Overload,
            ),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(), ErrorKind::Auth),
            ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_owned(), ErrorKind::Invalid),
            (spoken.head() + "<html>", ErrorKind::Protocol),
        ] {
            let (_, end, _) = spoken.play(vec![send(response), Step::Close]).await;
            let error = end.unwrap_err();
            assert_eq!(error.kind, kind, "{:?}: {error}", spoken.protocol);
            assert!(!error.message.contains(KEY), "{error}");
        }
    }
}
