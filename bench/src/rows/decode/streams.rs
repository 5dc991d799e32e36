//! Answers in every protocol, with the fields that their providers' documentation shows.

use crc::{CRC_32_ISO_HDLC, Crc};
use workers::provider::offline::PROTOCOLS;

/// As the frames of AWS have it.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An answer, event by event.
pub(super) struct Stream {
    pub(super) protocol: &'static str,
    pub(super) content_type: &'static str,
    /// As the bytes are on the wire.
    pub(super) events: Vec<Vec<u8>>,
    /// The JSON in them.
    pub(super) json: Vec<String>,
}

/// A protocol's events: name and JSON of those at the beginning, of each piece of text, and at the end.
struct Spoken {
    begin: &'static [(&'static str, &'static str)],
    text: (&'static str, &'static str),
    end: &'static [(&'static str, &'static str)],
}

impl Stream {
    /// One in each protocol, of so many pieces of text.
    pub(super) fn all(texts: usize) -> Vec<Self> {
        PROTOCOLS.into_iter().filter_map(|protocol| Some(Self::new(protocol, spoken(protocol)?, texts))).collect()
    }

    fn new(protocol: &'static str, Spoken { begin, text, end }: Spoken, texts: usize) -> Self {
        let events = begin.iter().copied().chain(std::iter::repeat_n(text, texts)).chain(end.iter().copied());
        let events: Vec<_> = events.collect();
        let (content_type, framed): (_, fn(&str, &str) -> Vec<u8>) = match protocol {
            "bedrock" => ("application/vnd.amazon.eventstream", aws_frame),
            "ollama" => ("application/x-ndjson", |_, json| format!("{json}\n").into_bytes()),
            _ => ("text/event-stream", server_sent),
        };
        Self {
            protocol,
            content_type,
            events: events.iter().map(|(name, json)| framed(name, json)).collect(),
            json: events.iter().filter(|(_, json)| *json != "[DONE]").map(|(_, json)| (*json).to_owned()).collect(),
        }
    }

    /// How many bytes it has on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(Vec::len).sum()
    }
}

fn server_sent(name: &str, json: &str) -> Vec<u8> {
    let name = if name.is_empty() { String::new() } else { format!("event: {name}\n") };
    format!("{name}data: {json}\n\n").into_bytes()
}

fn aws_frame(name: &str, json: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (header, value) in [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")] {
        // All of them are shorter than 256 bytes.
        headers.push(u8::try_from(header.len()).unwrap_or_default());
        headers.extend_from_slice(header.as_bytes());
        headers.extend_from_slice(&[7, 0, u8::try_from(value.len()).unwrap_or_default()]);
        headers.extend_from_slice(value.as_bytes());
    }
    let word = |length: usize| u32::try_from(length).unwrap_or_default().to_be_bytes();
    let mut frame = [word(16 + headers.len() + json.len()), word(headers.len())].concat();
    frame.extend_from_slice(&CHECKSUM.checksum(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(json.as_bytes());
    frame.extend_from_slice(&CHECKSUM.checksum(&frame).to_be_bytes());
    frame
}

#[expect(clippy::too_many_lines, reason = "what seven providers send, line by line")]
fn spoken(protocol: &str) -> Option<Spoken> {
    Some(match protocol {
        "openai-chat" => Spoken {
            begin: &[(
                "",
                r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            )],
            text: (
                "",
                r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"delta":{"content":" moon"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            ),
            end: &[
                (
                    "",
                    r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
                ),
                (
                    "",
                    r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":1000,"total_tokens":1019,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#,
                ),
                ("", "[DONE]"),
            ],
        },
        "openai-responses" => Spoken {
            begin: &[
                (
                    "response.created",
                    r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654","object":"response","created_at":1741487325,"status":"in_progress","error":null,"incomplete_details":null,"model":"gpt-4.1-2025-04-14","output":[],"store":false,"usage":null}}"#,
                ),
                (
                    "response.output_item.added",
                    r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
                ),
            ],
            text: (
                "response.output_text.delta",
                r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":" moon","logprobs":[],"obfuscation":"kNqWbJv3xq"}"#,
            ),
            end: &[(
                "response.completed",
                r#"{"type":"response.completed","sequence_number":1005,"response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654","object":"response","created_at":1741487325,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-4.1-2025-04-14","output":[],"store":false,"usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":0},"output_tokens":1000,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1037}}}"#,
            )],
        },
        "anthropic" => Spoken {
            begin: &[
                (
                    "message_start",
                    r#"{"type":"message_start","message":{"id":"msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY","type":"message","role":"assistant","content":[],"model":"claude-opus-4-1-20250805","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#,
                ),
                (
                    "content_block_start",
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                ),
            ],
            text: (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" moon"}}"#,
            ),
            end: &[
                ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
                (
                    "message_delta",
                    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1000}}"#,
                ),
                ("message_stop", r#"{"type":"message_stop"}"#),
            ],
        },
        "gemini" => Spoken {
            begin: &[],
            text: (
                "",
                r#"{"candidates":[{"content":{"parts":[{"text":" moon"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":50,"totalTokenCount":560,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10}],"thoughtsTokenCount":500},"modelVersion":"gemini-2.5-flash","responseId":"eD9iaKbVN4yVz7IP"}"#,
            ),
            end: &[(
                "",
                r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1000,"totalTokenCount":1510,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10}],"thoughtsTokenCount":500},"modelVersion":"gemini-2.5-flash","responseId":"eD9iaKbVN4yVz7IP"}"#,
            )],
        },
        "bedrock" => Spoken {
            begin: &[("messageStart", r#"{"p":"abcdefghijklmnop","role":"assistant"}"#)],
            text: (
                "contentBlockDelta",
                r#"{"contentBlockIndex":0,"delta":{"text":" moon"},"p":"abcdefghijklmnopqrstuvwxyzABCD"}"#,
            ),
            end: &[
                ("contentBlockStop", r#"{"contentBlockIndex":0,"p":"abcdefgh"}"#),
                ("messageStop", r#"{"p":"abcdefghijklmnopqrst","stopReason":"end_turn"}"#),
                (
                    "metadata",
                    r#"{"metrics":{"latencyMs":1275},"p":"abcdef","usage":{"inputTokens":30,"outputTokens":1000,"totalTokens":1030}}"#,
                ),
            ],
        },
        "cohere" => Spoken {
            begin: &[
                (
                    "message-start",
                    r#"{"id":"29f14a5a-11de-4cae-9800-25e4747408ea","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#,
                ),
                (
                    "content-start",
                    r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
                ),
            ],
            text: (
                "content-delta",
                r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" moon"}}}}"#,
            ),
            end: &[
                ("content-end", r#"{"type":"content-end","index":0}"#),
                (
                    "message-end",
                    r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":3,"output_tokens":1000},"tokens":{"input_tokens":69,"output_tokens":1000}}}}"#,
                ),
            ],
        },
        "ollama" => Spoken {
            begin: &[],
            text: (
                "",
                r#"{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":" moon"},"done":false}"#,
            ),
            end: &[(
                "",
                r#"{"model":"llama3.2","created_at":"2023-08-04T19:22:45.499127Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":1000,"eval_duration":4535599000}"#,
            )],
        },
        _ => return None,
    })
}
