//! What calls promise in every protocol: whole answers however they are split, breaks, requests that are taken, secrets.

use domain::conversation::{Finish, Usage};
use serde_json::Value;
use workers::provider::recorded::{ARGUMENTS, Recorded, TOOL};
use workers::provider::{
    Chunk, Deadlines, Error, ErrorKind, PromptMessage, PromptPart, Protocol, Reasoning, Request, Role, ToolCall, rules,
};

use crate::provider_fake::{Fake, KEY, Step, ask, collect_all, config_of, provider_of, send};

/// In how many ways each answer is split.
const SPLITS: u64 = 24;
/// The number of the answer.
const NUMBER: u32 = 7;

/// A protocol as it is on the wire.
pub(crate) struct Spoken {
    pub(crate) protocol: Protocol,
    /// As what the provider is configured.
    id: &'static str,
    /// What a request begins with, and how it shows the key.
    request: [&'static str; 2],
    /// What the answer tells of thinking and of the cache.
    counts: Counts,
}

/// Which tokens a protocol tells apart.
struct Counts {
    cached: bool,
    written: bool,
    reasoning: bool,
}

const BEARER: &str = "authorization: Bearer very-secret-key\r\n";
const ALL: Counts = Counts { cached: true, written: false, reasoning: true };
const GEMINI: &str = "POST /v1/models/gemini-3.1-pro-preview:streamGenerateContent?alt=sse HTTP/1.1\r\n";

pub(crate) static SPOKEN: [Spoken; 8] = [
    spoken(Protocol::OpenaiChat, ["POST /v1/chat/completions HTTP/1.1\r\n", BEARER], ALL),
    spoken(Protocol::OpenaiResponses, ["POST /v1/responses HTTP/1.1\r\n", BEARER], ALL),
    spoken(
        Protocol::Anthropic,
        ["POST /v1/messages HTTP/1.1\r\n", "x-api-key: very-secret-key\r\n"],
        Counts { cached: true, written: true, reasoning: false },
    ),
    spoken(Protocol::Gemini, [GEMINI, "x-goog-api-key: very-secret-key\r\n"], ALL),
    Spoken { id: "vertex", ..spoken(Protocol::Gemini, [GEMINI, BEARER], ALL) },
    spoken(
        Protocol::Bedrock,
        ["POST /v1/model/m1/converse-stream HTTP/1.1\r\n", BEARER],
        Counts { cached: true, written: true, reasoning: false },
    ),
    spoken(
        Protocol::Cohere,
        ["POST /v1/chat HTTP/1.1\r\n", BEARER],
        Counts { cached: true, written: false, reasoning: false },
    ),
    spoken(
        Protocol::Ollama,
        ["POST /v1/api/chat HTTP/1.1\r\n", BEARER],
        Counts { cached: false, written: false, reasoning: false },
    ),
];

const fn spoken(protocol: Protocol, request: [&'static str; 2], counts: Counts) -> Spoken {
    Spoken { protocol, id: "mock", request, counts }
}

impl Spoken {
    pub(crate) fn answer(&self) -> Recorded {
        Recorded::of(self.protocol, NUMBER)
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\ncontent-type: {}\r\n\r\n", self.answer().content_type).into_bytes()
    }

    /// What a server that does this makes of a request.
    pub(crate) async fn asked(&self, request: Request, steps: Vec<Step>) -> (Vec<Chunk>, Result<Chunk, Error>, Fake) {
        let fake = Fake::start(steps).await;
        let mut config = config_of(self.protocol, &fake.base_url);
        self.id.clone_into(&mut config.id);
        self.model().clone_into(&mut config.models[0].id);
        let provider = provider_of(config, Deadlines::default());
        let (pieces, end) = collect_all(&*provider, Request { model: self.model().to_owned(), ..request }).await;
        (pieces, end, fake)
    }

    /// The model that is asked. What Google refuses depends on its generation.
    fn model(&self) -> &'static str {
        if self.protocol == Protocol::Gemini { "gemini-3.1-pro-preview" } else { "m1" }
    }

    pub(crate) async fn play(&self, steps: Vec<Step>) -> (Vec<Chunk>, Result<Chunk, Error>) {
        let (pieces, end, _) = self.asked(ask("Hi"), steps).await;
        (pieces, end)
    }

    /// The recorded answer, as it must be read.
    fn told(&self) -> Told {
        let answer = self.answer();
        let calls = ARGUMENTS.map(|arguments| (TOOL.to_owned(), arguments.to_owned()));
        Told { thought: answer.thought, text: answer.text, calls: calls.to_vec() }
    }

    fn usage(&self) -> Usage {
        let Counts { cached, written, reasoning } = self.counts;
        Usage {
            input: Some(if cached { 60 } else { 100 }),
            cached_input: cached.then_some(40),
            cache_write: written.then_some(0),
            output: Some(if reasoning { 30 } else { 50 }),
            reasoning: reasoning.then_some(20),
            raw: None,
        }
    }
}

/// An answer, each kind of its pieces by itself; calls by name and arguments.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) thought: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<(String, String)>,
}

pub(crate) fn told(pieces: &[Chunk]) -> Told {
    let mut told = Told::default();
    for piece in pieces {
        match piece {
            Chunk::Reasoning(text) => told.thought.push_str(text),
            Chunk::Text(text) => told.text.push_str(text),
            Chunk::ToolCall { name, arguments, .. } => told.calls.push((name.clone(), arguments.clone())),
            Chunk::ReasoningSignature(_) | Chunk::Usage(_) | Chunk::Finished { .. } => {}
        }
    }
    told
}

/// A number that looks like chance and is the same in every run.
fn chance(seed: u64, below: usize) -> usize {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) % (below as u64)).unwrap()
}

/// The bytes in pieces of random sizes, each in a write of its own.
fn split(bytes: &[u8], seed: u64) -> Vec<Step> {
    let mut cuts: Vec<_> = (0..6).map(|nth| chance(seed * 100 + nth, bytes.len())).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    let pieces = cuts.windows(2).map(|cut| send(&bytes[cut[0]..cut[1]]));
    pieces.flat_map(|piece| [piece, Step::Pause(std::time::Duration::ZERO)]).collect()
}

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_split() {
    for spoken in &SPOKEN {
        let bytes = [spoken.head(), spoken.answer().whole()].concat();
        let splits = (0..SPLITS).map(|seed| split(&bytes, seed));
        for mut steps in [vec![send(&bytes)], vec![Step::Drip(bytes.clone())]].into_iter().chain(splits) {
            steps.push(Step::Close);
            let (pieces, end) = spoken.play(steps).await;
            assert_eq!(told(&pieces), spoken.told(), "{:?}", spoken.protocol);
            let whole = Chunk::Finished { finish: Finish::ToolCalls, usage: spoken.usage() };
            assert_eq!(end, Ok(whole), "{:?}", spoken.protocol);
        }
    }
}

#[tokio::test]
async fn what_a_provider_wants_back_is_kept_with_what_it_belongs_to() {
    for spoken in &SPOKEN {
        let answer = spoken.answer();
        let (pieces, _) = spoken.play(vec![send([spoken.head(), answer.whole()].concat()), Step::Close]).await;
        let signatures: Vec<_> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Chunk::ReasoningSignature(signature) | Chunk::ToolCall { signature: Some(signature), .. } => {
                    Some(signature.as_str())
                }
                _ => None,
            })
            .collect();
        let is_signed = !matches!(spoken.protocol, Protocol::OpenaiChat | Protocol::Cohere | Protocol::Ollama);
        let kept = signatures.iter().filter(|signature| signature.contains(&answer.signature)).count();
        assert_eq!((signatures.len(), kept), (1, usize::from(is_signed)), "{:?}: {signatures:?}", spoken.protocol);
        let ids: std::collections::BTreeSet<_> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Chunk::ToolCall { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
    }
}

#[tokio::test]
async fn an_answer_without_its_end_is_interrupted_and_one_with_it_is_not_waited_for() {
    for spoken in &SPOKEN {
        let (head, answer) = (spoken.head(), spoken.answer());
        let begun = answer.begun();
        let cuts = (0..SPLITS).map(|seed| chance(seed, begun.len())).chain([0, begun.len()]);
        for cut in cuts {
            let (pieces, end) = spoken.play(vec![send([&head, &begun[..cut]].concat()), Step::Close]).await;
            let error = end.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Interrupted, "{:?} after {cut}: {error}", spoken.protocol);
            assert!(spoken.told().text.starts_with(&told(&pieces).text));
            let counted = pieces.iter().any(|piece| matches!(piece, Chunk::Usage(_)));
            let is_told = spoken.protocol == Protocol::Anthropic && cut == begun.len();
            assert!(counted || !is_told, "what was counted until then is told");
        }
        let (_, end) = spoken.play(vec![send([head, answer.whole()].concat()), Step::Hang]).await;
        assert!(end.is_ok(), "{:?}", spoken.protocol);
    }
}

/// A conversation in which the model, and another one before it, thought, spoke and called.
fn history(answer: &Recorded, own: &str) -> Request {
    let turn = |model: &str, signature: &str| {
        let by = model.parse().unwrap();
        let thought = Reasoning { model: by, text: answer.thought.clone(), signature: Some(signature.to_owned()) };
        let call = |id: &str| {
            let (id, name, arguments) = (id.to_owned(), TOOL.to_owned(), ARGUMENTS[1].to_owned());
            PromptPart::ToolCall(ToolCall { id, name, arguments, signature: None })
        };
        let said = PromptPart::Text(answer.text.clone());
        let parts = vec![PromptPart::Reasoning(thought), said, call("call_1"), call("call_2")];
        [PromptMessage { role: Role::Assistant, parts }, PromptMessage::text(Role::User, "And then?")]
    };
    let mut request = ask("Hi");
    request.messages.extend(turn("other/m1", &answer.signature));
    request.messages.extend(turn(own, "not ours"));
    request
}

#[tokio::test]
async fn a_request_goes_where_it_should_and_is_one_that_the_provider_takes() {
    for spoken in &SPOKEN {
        let answer = spoken.answer();
        let bytes = [spoken.head(), answer.whole()].concat();
        for request in [ask("Hi"), history(&answer, &format!("{}/{}", spoken.id, spoken.model()))] {
            let (_, end, mut fake) = spoken.asked(request, vec![send(&bytes), Step::Close]).await;
            assert!(end.is_ok(), "{:?}: {end:?}", spoken.protocol);
            let request = fake.request().await;
            let [path, key] = spoken.request;
            assert!(request.starts_with(path) && request.contains(key), "{request}");
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.matches(KEY).count(), 1, "{head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(rules::check(spoken.protocol, &body), Ok(()), "{body:#}");
            assert!(!rules::thoughts(&body).contains(&answer.signature.as_str()), "another model's thought: {body:#}");
            let parts =
                body["contents"].as_array().into_iter().flatten().filter_map(|content| content["parts"].as_array());
            let with_ids = parts.flatten().any(|part| part["functionCall"]["id"].is_string());
            assert!(spoken.id != "vertex" || !with_ids, "Vertex knows no ids of calls: {body:#}");
        }
    }
}
