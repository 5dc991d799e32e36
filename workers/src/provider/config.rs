//! What is said of a provider to call it: by the operator's settings, by the catalogue, by people.

use std::fmt;
use std::str::FromStr;

use domain::account::{Auth, Price};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A provider as it is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name in model references; without slashes.
    pub id: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is, up to what the protocol's own paths follow; not needed for `demo`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its key, if it needs one; the secret one where there is an `access_key_id`.
    #[serde(default)]
    pub api_key: Option<ApiKey>,
    /// Which key signs calls to AWS; without it, `api_key` is shown as it is.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// What a key of AWS comes with that expires.
    #[serde(default)]
    pub session_token: Option<ApiKey>,
    /// How it is shown its key; without this, as it is known, else as is usual for its protocol.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whether it calls the limit of an answer `max_tokens`, as servers do that are behind the newer name; `openai-chat` only.
    #[serde(default)]
    pub max_tokens: bool,
    /// The models that it offers; with none, every name is passed on to it.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// Whether nobody named these models: they are shown, and one of them is the default, but every name is passed on.
    #[serde(skip)]
    pub open: bool,
}

/// A model as it is configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name, as the provider knows it.
    pub id: String,
    /// How many tokens it can read and write in one call.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// How many tokens it can write in one call, its reasoning included.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// What it costs; without this, what is known.
    #[serde(default)]
    pub price: Option<Price>,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Chat completions, which most speak.
    OpenaiChat,
    /// Responses.
    OpenaiResponses,
    /// Messages.
    Anthropic,
    /// `generateContent`.
    Gemini,
    /// Converse.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
    /// Ollama's own chat.
    Ollama,
    /// Nothing: it is in this binary, and no model.
    Demo,
}

impl Protocol {
    /// Those that providers of people's own can speak: all but the demo's.
    pub const SPOKEN: [Self; 7] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Cohere,
        Self::Ollama,
    ];

    /// Its name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
            Self::Demo => "demo",
        }
    }
}

impl FromStr for Protocol {
    type Err = ValueError;

    fn from_str(name: &str) -> Result<Self, ValueError> {
        let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
        Self::deserialize(name)
    }
}

/// A secret that does not show itself in logs, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ApiKey {
    /// Without the line end that a secret read from a file has.
    fn from(key: String) -> Self {
        let key = Zeroizing::new(key);
        if key.trim().len() == key.len() { Self(key) } else { Self(Zeroizing::new(key.trim().to_owned())) }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

impl ProviderConfig {
    /// Whether it can be asked for a model of this name.
    pub(crate) fn offers(&self, model: &str) -> bool {
        self.open || self.models.is_empty() || self.models.iter().any(|offered| offered.id == model)
    }

    /// The provider that needs no key and no network.
    pub fn demo() -> Self {
        let models = vec![ModelConfig { id: "echo".to_owned(), ..ModelConfig::default() }];
        Self {
            id: "demo".to_owned(),
            protocol: Protocol::Demo,
            base_url: None,
            api_key: None,
            access_key_id: None,
            session_token: None,
            auth: None,
            max_tokens: false,
            models,
            open: false,
        }
    }
}
