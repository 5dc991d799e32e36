//! What is known of providers and their models without asking them: `catalogue.toml`, which is part of this binary.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::ModelRef;
pub use domain::account::Auth;
use serde::Deserialize;

use super::config::{ApiKey, ModelConfig, Protocol, ProviderConfig};
use super::openai_chat::Quirks;
use super::price::Price;

const CATALOGUE: &str = include_str!("catalogue.toml");

/// A provider that many people use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownProvider {
    /// Its name in model references.
    pub id: String,
    /// How people call it.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is; what stands in braces is told by [`Self::parameters`]. None for what is in this binary.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How it is shown the key.
    pub auth: Auth,
    /// The variable of the environment where its own tools look for the key.
    #[serde(default)]
    pub key_variable: Option<String>,
    /// Whether that variable serves other purposes too, so that its presence alone means nothing.
    #[serde(default)]
    pub shared_key: bool,
    /// What the base URL lacks, and the variable of the environment that may hold it.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// In what it departs from chat completions.
    #[serde(default)]
    pub(super) quirks: Quirks,
    /// Whether it has no ids of tool calls, though its protocol has.
    #[serde(default)]
    pub(super) no_call_ids: bool,
    /// A few of its models, the one first that answers where nobody chose.
    #[serde(default)]
    pub models: Vec<KnownModel>,
}

/// How a provider is shown the key where nobody says, in the usual way of its protocol.
pub(super) fn usual_auth(protocol: Protocol) -> Auth {
    match protocol {
        Protocol::Anthropic => Auth::Header("x-api-key".to_owned()),
        Protocol::Gemini => Auth::Header("x-goog-api-key".to_owned()),
        Protocol::Bedrock => Auth::SigV4,
        Protocol::Demo => Auth::None,
        Protocol::OpenaiChat | Protocol::OpenaiResponses | Protocol::Cohere | Protocol::Ollama => Auth::Bearer,
    }
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can read and write in one call.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// How many tokens it can write in one call, its reasoning included.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// What it takes beside text.
    #[serde(default)]
    pub takes: Vec<Takes>,
    /// What it can do.
    #[serde(default)]
    pub can: Vec<Can>,
    /// In what it departs from chat completions, if its provider's other models do not do the same.
    #[serde(default)]
    pub(super) quirks: Option<Quirks>,
    /// What it costs, and did before: the oldest price first.
    #[serde(default)]
    pub prices: Vec<Price>,
}

/// What a model takes beside text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// Images.
    Image,
    /// Files, PDF at least.
    File,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Can {
    /// Call tools.
    Tools,
    /// Read the beginning of a prompt from a cache.
    Cache,
    /// Think before it answers.
    Reasoning,
    /// Go on with an answer whose beginning the prompt ends with.
    Prefill,
}

/// Why the address of a provider is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It lacks something of the account.
    #[error("its address needs `parameters.{name}`, or the variable {variable}")]
    Missing {
        /// The parameter.
        name: String,
        /// The variable that may hold it.
        variable: String,
    },
    /// What it is given could lead elsewhere.
    #[error("`parameters.{name}` may only hold letters, digits, `-`, `_` and `.`")]
    Malformed {
        /// The parameter.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    providers: Vec<KnownProvider>,
}

static PROVIDERS: LazyLock<Vec<KnownProvider>> = LazyLock::new(|| match toml::from_str::<Catalogue>(CATALOGUE) {
    Ok(catalogue) => catalogue.providers,
    // It is part of this binary, and a test reads it.
    Err(error) => {
        tracing::error!(%error, "the catalogue cannot be read");
        Vec::new()
    }
});

/// All of them.
pub fn providers() -> &'static [KnownProvider] {
    &PROVIDERS
}

/// The one of this id.
pub fn provider(id: &str) -> Option<&'static KnownProvider> {
    providers().iter().find(|provider| provider.id == id)
}

/// The model of this reference.
pub fn model(reference: &ModelRef) -> Option<&'static KnownModel> {
    provider(reference.provider())?.model(reference.model())
}

/// Whether a provider is known to want money, for whichever model.
pub fn charges(id: &str) -> bool {
    provider(id).is_some_and(|provider| provider.models.iter().any(|model| !model.prices.is_empty()))
}

/// Whether a model goes on with an answer whose beginning the prompt ends with. One that nobody knows is not thought to: it
/// might answer anew, behind that beginning.
pub fn prefills(reference: &ModelRef) -> bool {
    model(reference).is_some_and(|model| model.can.contains(&Can::Prefill))
}

impl KnownProvider {
    /// The model of this name.
    pub fn model(&self, id: &str) -> Option<&KnownModel> {
        self.models.iter().find(|model| model.id == id)
    }

    /// It at this address, with this key and the models that are known of it, which are a few of those that it has.
    pub fn configured(&self, base_url: Option<String>, api_key: Option<ApiKey>) -> ProviderConfig {
        // What else is known of a model is looked up when it is called.
        let model = |model: &KnownModel| ModelConfig {
            id: model.id.clone(),
            context_window: model.context_window,
            ..ModelConfig::default()
        };
        let models = self.models.iter().map(model).collect();
        ProviderConfig {
            id: self.id.clone(),
            protocol: self.protocol,
            base_url,
            api_key,
            access_key_id: None,
            session_token: None,
            auth: None,
            max_tokens: false,
            models,
            open: self.protocol != Protocol::Demo,
        }
    }

    /// Where it is, for the account that `value` tells the parameters of: by the parameter's name and its variable.
    ///
    /// # Errors
    /// When a parameter is not told, or is no name and could lead to another host.
    pub fn address(&self, value: impl Fn(&str, &str) -> Option<String>) -> Result<Option<String>, ParameterError> {
        let Some(mut address) = self.base_url.clone() else { return Ok(None) };
        for (name, variable) in &self.parameters {
            let missing = || ParameterError::Missing { name: name.clone(), variable: variable.clone() };
            let value = value(name, variable).ok_or_else(missing)?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if value.is_empty() || !value.bytes().all(is_name) {
                return Err(ParameterError::Malformed { name: name.clone() });
            }
            address = address.replace(&format!("{{{name}}}"), &value);
        }
        Ok(Some(address))
    }
}
