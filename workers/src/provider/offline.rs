//! Answers without a call: what their bytes come to, wherever one has them. Not for the product, but for what measures and
//! fuzzes its decoders.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::anthropic::Messages;
use super::bedrock::Converse;
use super::cohere::Cohere;
use super::decode::{Declared, Decoder};
use super::gemini::{self, Gemini};
use super::ollama::Ollama;
use super::openai_chat::{ChatCompletions, Quirks};
use super::openai_responses::OpenAiResponses;
use super::refusal::Refusal;
use super::wire::Wire;
use super::{Chunk, Error};

/// The protocols, by their names in configurations.
pub const PROTOCOLS: [&str; 7] =
    ["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock", "cohere", "ollama"];

/// Whose answers they are.
const PROVIDER: &str = "offline";

/// An answer, read by the very code that reads answers of calls.
pub struct Offline(Decoder);

impl Offline {
    /// One of this protocol, whose head has this content type. None when there is no such protocol.
    pub fn new(protocol: &str, content_type: &str) -> Option<Self> {
        Some(Self(Decoder::new(wire(protocol)?.as_ref(), Declared::by(content_type))))
    }

    /// Takes the next bytes. Call [`Self::next_piece`] until it has none before more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.feed(bytes);
    }

    /// There are no more bytes.
    pub fn end(&mut self) {
        self.0.end();
    }

    /// The next piece, or the end; none when more bytes must come first, or it has ended.
    pub fn next_piece(&mut self) -> Option<Result<Chunk, Error>> {
        let told = self.0.next()?;
        Some(told.map_err(|refusal| refusal.into_error(PROVIDER, &[])))
    }
}

/// What a refusal means whose status was not a success; none when there is no such protocol.
pub fn refused(protocol: &str, status: u16, retry_after: &str, body: &[u8], secrets: &[&str]) -> Option<Error> {
    let wire = wire(protocol)?;
    let refusal =
        serde_json::from_slice(body).map_or_else(|_| Refusal::without_words(status), |json| wire.refusal(&json));
    let retry_after = HeaderValue::from_str(retry_after).ok();
    let headers: HeaderMap = retry_after.into_iter().map(|value| (RETRY_AFTER, value)).collect();
    Some(refusal.with_status(status, &headers).into_error(PROVIDER, secrets))
}

/// The names of the models on a page of a provider's list; none when there is no such protocol, or it lists nothing.
pub fn listed(protocol: &str, body: &[u8]) -> Option<Result<Vec<String>, Error>> {
    let page = wire(protocol)?.listing()?.read(body);
    let names = page.map(|page| page.models.into_iter().map(|model| model.id).collect());
    Some(names.map_err(|refusal| refusal.into_error(PROVIDER, &[])))
}

fn wire(protocol: &str) -> Option<Box<dyn Wire>> {
    let id = PROVIDER.to_owned();
    Some(match protocol {
        "openai-chat" => Box::new(ChatCompletions::new(id, Quirks::default(), BTreeMap::new())),
        "openai-responses" => Box::new(OpenAiResponses::new(id)),
        "anthropic" => Box::new(Messages::new(id, BTreeMap::new())),
        "gemini" => Box::new(Gemini::new(id, gemini::Quirks::AI_STUDIO)),
        "bedrock" => Box::new(Converse::new(id, BTreeMap::new())),
        "cohere" => Box::new(Cohere::new(id)),
        "ollama" => Box::new(Ollama::new(id)),
        _ => return None,
    })
}
