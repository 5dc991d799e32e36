//! The JSON of a list of models, as far as it is needed, in every form that it has. What is missing, or of another type than
//! it should be, is passed over, entry by entry; what a hostile server repeats a million times takes no memory.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::MAX_MODELS;
use crate::provider::refusal::Refusal;
use crate::provider::sse::BOM;

/// The largest answer without a list that is searched for an error, in bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Kinds of models that do not chat, as compatible servers call them.
const OTHER_KINDS: &[&str] =
    &["audio", "embedding", "embeddings", "image", "moderation", "rerank", "transcribe", "video", "voice"];

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The first [`MAX_MODELS`] of them.
    pub(super) entries: Vec<Entry>,
    /// Whether others follow, where a server says so.
    pub(super) has_more: bool,
    /// The last one's name, where a server repeats it.
    pub(super) last_id: Option<String>,
    /// The mark of the next page.
    pub(super) next: Option<String>,
}

/// A model of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) id: Lenient<String>,
    pub(super) name: Lenient<String>,
    #[serde(rename = "type")]
    kind: Lenient<String>,
    /// Mistral.
    capabilities: Lenient<Capabilities>,
    /// Gemini.
    #[serde(rename = "supportedGenerationMethods")]
    methods: Lenient<Vec<String>>,
    /// `OpenRouter`, Together, Fireworks, Cohere.
    context_length: Lenient<Number>,
    /// Groq.
    context_window: Lenient<Number>,
    /// Mistral, LM Studio.
    max_context_length: Lenient<Number>,
    /// vLLM.
    max_model_len: Lenient<Number>,
    /// Anthropic.
    max_input_tokens: Lenient<Number>,
    /// Gemini.
    #[serde(rename = "inputTokenLimit")]
    input_token_limit: Lenient<Number>,
}

#[derive(Debug, Default, Deserialize)]
struct Capabilities {
    completion_chat: Option<bool>,
}

/// A list within an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    data: Lenient<Option<Entries>>,
    models: Lenient<Option<Entries>>,
    has_more: Lenient<bool>,
    last_id: Lenient<String>,
    #[serde(rename = "nextPageToken")]
    next_of_google: Lenient<String>,
    #[serde(rename = "next_page_token")]
    next_of_cohere: Lenient<String>,
}

impl Document {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body = body.strip_prefix(BOM).unwrap_or(body).trim_ascii();
        let broken = |error: serde_json::Error| match body.first() {
            Some(b'<') => Refusal::protocol("the provider's address answers with a web page"),
            _ if error.is_eof() => Refusal::interrupted("the list of models broke off before it was complete"),
            _ => Refusal::protocol("the provider's address does not answer with a list of models"),
        };
        if body.starts_with(b"[") {
            let Entries(entries) = serde_json::from_slice(body).map_err(broken)?;
            return error(body).map_or_else(|| Ok(Self { entries, ..Self::default() }), Err);
        }
        let object: Object = serde_json::from_slice(body).map_err(broken)?;
        // A server without any model says so in this way, too.
        let Some(entries) = object.data.0.or(object.models.0).map(Option::unwrap_or_default) else {
            return Err(error(body).unwrap_or_else(|| Refusal::protocol("the provider does not list its models")));
        };
        let next = object.next_of_google.0.or(object.next_of_cohere.0);
        let has_more = object.has_more.0.unwrap_or_default();
        Ok(Self { entries: entries.0, has_more, last_id: object.last_id.0, next })
    }
}

/// An error of the provider inside a good answer.
fn error(body: &[u8]) -> Option<Refusal> {
    if body.len() > MAX_ERROR_BYTES {
        return None;
    }
    Refusal::find(&serde_json::from_slice::<Value>(body).ok()?)
}

impl Entry {
    /// Whether the server says that it is no model for chats.
    pub(super) fn is_for_something_else(&self) -> bool {
        let kind = self.kind.0.as_deref().unwrap_or_default();
        let chats = self.capabilities.0.as_ref().and_then(|capabilities| capabilities.completion_chat);
        OTHER_KINDS.contains(&kind) || chats == Some(false)
    }

    /// Whether it says that it can be used in this way.
    pub(super) fn has_method(&self, name: &str) -> bool {
        self.methods.0.as_ref().is_some_and(|methods| methods.iter().any(|method| method == name))
    }

    /// How many tokens it takes, by whichever name the server tells it.
    pub(super) fn context_window(&self) -> Option<u64> {
        let told = [
            &self.context_length,
            &self.context_window,
            &self.max_context_length,
            &self.max_model_len,
            &self.max_input_tokens,
            &self.input_token_limit,
        ];
        told.into_iter().filter_map(|Lenient(number)| whole(number.as_ref()?)).find(|tokens| *tokens > 0)
    }
}

/// Some write whole numbers as floats.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| number.to_string().split('.').next()?.parse().ok())
}

/// The first [`MAX_MODELS`] of a list that are objects.
#[derive(Debug, Default)]
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of models")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(Lenient(entry)) = list.next_element()? {
            // To the list's end all the same: only then is it known to be whole.
            entries.extend(entry.filter(|_| entries.len() < MAX_MODELS));
        }
        Ok(Entries(entries))
    }
}

/// What a value is, if it is of this type.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}
