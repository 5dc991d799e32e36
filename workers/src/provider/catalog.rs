//! Which providers and models this installation has, and which one a reply means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::ModelRef;
use serde::{Deserialize, Serialize};

use super::connect::connect;
use super::route::{self, RouteConfig};
use super::{Deadlines, Error, ErrorKind, Provider};

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
    /// The models that it offers; with none, every name is passed on to it.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
}

/// A model as it is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name, as the provider knows it.
    pub id: String,
    /// How many tokens it can read and write in one call.
    #[serde(default)]
    pub context_window: Option<u64>,
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

/// A secret that does not show itself in logs.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct ApiKey(String);

impl ApiKey {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ApiKey {
    /// Without the line end that a secret read from a file has.
    fn from(key: String) -> Self {
        Self(key.trim().to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

impl ProviderConfig {
    /// The provider that needs no key and no network.
    pub fn demo() -> Self {
        let models = vec![ModelConfig { id: "echo".to_owned(), context_window: None }];
        Self {
            id: "demo".to_owned(),
            protocol: Protocol::Demo,
            base_url: None,
            api_key: None,
            access_key_id: None,
            session_token: None,
            models,
        }
    }
}

/// Why a configuration of providers cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// One provider is not usable.
    #[error("provider {id:?}: {reason}")]
    Provider {
        /// Which.
        id: String,
        /// Why, without secrets.
        reason: String,
    },
    /// One route is not usable.
    #[error("route {id:?}: {reason}")]
    Route {
        /// Which.
        id: String,
        /// Why.
        reason: String,
    },
    /// The default model is none of the models.
    #[error("default_model {model} is not among the configured models")]
    DefaultModel {
        /// The default model.
        model: ModelRef,
    },
}

/// A model that a conversation can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its reference.
    pub model: ModelRef,
    /// How people read it.
    pub label: String,
    /// How many tokens it can read and write in one call, if configured.
    pub context_window: Option<u64>,
    /// Whether it answers where nobody chose a model.
    pub default: bool,
}

/// The providers of this installation.
pub struct Catalog {
    providers: BTreeMap<String, Entry>,
    routes: BTreeMap<ModelRef, Vec<ModelRef>>,
    models: Vec<ModelInfo>,
    default: Option<ModelRef>,
}

struct Entry {
    provider: Arc<dyn Provider>,
    /// No models are configured: every name goes.
    open: bool,
}

impl Catalog {
    /// Sets up every provider. Without a default model, the first one configured is it.
    ///
    /// # Errors
    /// Which setting cannot work, and why.
    pub fn new(
        configs: Vec<ProviderConfig>,
        default_model: Option<ModelRef>,
        deadlines: Deadlines,
    ) -> Result<Self, ConfigError> {
        Self::with_routes(configs, Vec::new(), default_model, deadlines)
    }

    /// The same, with routes over the providers' models.
    ///
    /// # Errors
    /// Which setting cannot work, and why.
    pub fn with_routes(
        configs: Vec<ProviderConfig>,
        routes: Vec<RouteConfig>,
        default_model: Option<ModelRef>,
        deadlines: Deadlines,
    ) -> Result<Self, ConfigError> {
        let mut catalog =
            Self { providers: BTreeMap::new(), routes: BTreeMap::new(), models: Vec::new(), default: None };
        for config in configs {
            catalog.add(&config, deadlines)?;
        }
        for route in routes {
            let id = route.id.clone();
            catalog.add_route(route).map_err(|reason| ConfigError::Route { id, reason })?;
        }
        if let Some(model) = &default_model {
            catalog.resolve(Some(model)).map_err(|_| ConfigError::DefaultModel { model: model.clone() })?;
            if !catalog.models.iter().any(|known| known.model == *model) {
                catalog.models.insert(0, ModelInfo::new(model.clone(), model.to_string(), None));
            }
        }
        catalog.default = default_model.or_else(|| catalog.models.first().map(|first| first.model.clone()));
        for known in &mut catalog.models {
            known.default = catalog.default.as_ref() == Some(&known.model);
        }
        Ok(catalog)
    }

    fn add(&mut self, config: &ProviderConfig, deadlines: Deadlines) -> Result<(), ConfigError> {
        let bad = |reason: &str| ConfigError::Provider { id: config.id.clone(), reason: reason.to_owned() };
        if config.id.is_empty() || config.id.contains('/') {
            return Err(bad("its id must not be empty and has no slash"));
        }
        if config.id == route::PREFIX {
            return Err(bad("its id is what routes are named by"));
        }
        let provider = connect(config, deadlines)?;
        let note = if config.protocol == Protocol::Demo { " (demo, not a model)" } else { "" };
        for model in &config.models {
            let reference = ModelRef::try_from(format!("{}/{}", config.id, model.id));
            let reference = reference.map_err(|error| bad(&error.to_string()))?;
            let label = format!("{reference}{note}");
            self.models.push(ModelInfo::new(reference, label, model.context_window));
        }
        let entry = Entry { provider, open: config.models.is_empty() };
        match self.providers.insert(config.id.clone(), entry) {
            Some(_) => Err(bad("its id is used twice")),
            None => Ok(()),
        }
    }

    fn add_route(&mut self, route: RouteConfig) -> Result<(), String> {
        let reference = route.reference()?;
        for model in &route.models {
            self.provider(model).map_err(|error| error.message)?;
        }
        let window = |model: &ModelRef| self.models.iter().find(|known| known.model == *model)?.context_window;
        // As much as every one of them can read.
        let window = route.models.iter().filter_map(window).min();
        let names = route.models.iter().map(ModelRef::as_str).collect::<Vec<_>>().join(", ");
        self.models.push(ModelInfo::new(reference.clone(), format!("{} ({names})", route.id), window));
        match self.routes.insert(reference, route.models) {
            Some(_) => Err("its id is used twice".to_owned()),
            None => Ok(()),
        }
    }

    /// The provider that a reply calls, and the model that it asks there. None means the default; of a route, it is the first.
    ///
    /// # Errors
    /// When nothing of the kind is configured.
    pub fn resolve(&self, model: Option<&ModelRef>) -> Result<(Arc<dyn Provider>, ModelRef), Error> {
        let (models, _) = self.alternatives(model)?;
        let model = models.first().ok_or_else(nothing)?;
        Ok((self.provider(model)?, model.clone()))
    }

    /// The models that may answer a reply, in the order in which they are asked, and whether they are a route's. None means
    /// the default.
    ///
    /// # Errors
    /// When no model is configured at all. Whether the provider of one is, [`Self::resolve`] tells.
    pub fn alternatives<'a>(&'a self, model: Option<&'a ModelRef>) -> Result<(&'a [ModelRef], bool), Error> {
        let model = model.or(self.default.as_ref()).ok_or_else(nothing)?;
        Ok(self.routes.get(model).map_or((std::slice::from_ref(model), false), |models| (models.as_slice(), true)))
    }

    fn provider(&self, model: &ModelRef) -> Result<Arc<dyn Provider>, Error> {
        let unknown = || Error::new(ErrorKind::UnknownModel, format!("The model {model} is not configured here."));
        let entry = self.providers.get(model.provider()).ok_or_else(unknown)?;
        let known = entry.open || self.models.iter().any(|known| known.model == *model);
        if known { Ok(Arc::clone(&entry.provider)) } else { Err(unknown()) }
    }

    /// The models to choose from, as configured; of a provider without a list, none but the default.
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::UnknownModel, "No model is configured here.")
}

impl ModelInfo {
    fn new(model: ModelRef, label: String, context_window: Option<u64>) -> Self {
        Self { model, label, context_window, default: false }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("models", &self.models).field("default", &self.default).finish_non_exhaustive()
    }
}
