//! Which providers and models this installation has, and which one a reply means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::ModelRef;
use domain::account::Limits;

use super::address::Reach;
use super::call::Clients;
use super::config::{Protocol, ProviderConfig};
use super::connect::Connected;
use super::route::{self, RouteConfig};
use super::{Deadlines, Error, ErrorKind, Provider};

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

/// The providers of this installation, and the connections of this process, over which people's own are called too.
pub struct Catalog {
    providers: BTreeMap<String, Connected>,
    routes: BTreeMap<ModelRef, Vec<ModelRef>>,
    models: Vec<ModelInfo>,
    default: Option<ModelRef>,
    clients: Clients,
    /// How far the addresses may lead that people give.
    peoples_reach: Reach,
    /// What each person may use of the installation's providers.
    limits: Limits,
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
        let mut catalog = Self {
            providers: BTreeMap::new(),
            routes: BTreeMap::new(),
            models: Vec::new(),
            default: None,
            clients: Clients::new(deadlines),
            peoples_reach: Reach::Public,
            limits: Limits::default(),
        };
        for config in configs {
            catalog.add(config)?;
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

    /// Lets the addresses that people give lead so far; without this, to public ones alone.
    #[must_use]
    pub fn with_peoples_reach(self, peoples_reach: Reach) -> Self {
        Self { peoples_reach, ..self }
    }

    /// Grants each person no more than this on the installation's keys; without this, whatever they grant themselves.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    fn add(&mut self, config: ProviderConfig) -> Result<(), ConfigError> {
        let id = config.id.clone();
        let bad = |reason: &str| ConfigError::Provider { id: id.clone(), reason: reason.to_owned() };
        if config.id.is_empty() || config.id.contains('/') {
            return Err(bad("its id must not be empty and has no slash"));
        }
        if config.id == route::PREFIX {
            return Err(bad("its id is what routes are named by"));
        }
        let connected = Connected::new(config, &self.clients, Reach::Anywhere)?;
        let note = if connected.config.protocol == Protocol::Demo { " (demo, not a model)" } else { "" };
        for model in &connected.config.models {
            let reference = ModelRef::try_from(format!("{id}/{}", model.id));
            let reference = reference.map_err(|error| bad(&error.to_string()))?;
            let label = format!("{reference}{note}");
            self.models.push(ModelInfo::new(reference, label, model.context_window));
        }
        match self.providers.insert(id.clone(), connected) {
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
        let connected = self.connected(model.provider()).ok_or_else(|| unknown(model))?;
        connected.for_model(model)
    }

    /// A provider of the installation's.
    pub(crate) fn connected(&self, provider: &str) -> Option<&Connected> {
        self.providers.get(provider)
    }

    /// What people's own providers are called over, and how far they may be.
    pub(crate) fn for_people(&self) -> (&Clients, Reach) {
        (&self.clients, self.peoples_reach)
    }

    /// Opens a connection to each provider ahead of calls.
    pub(crate) async fn warm(&self) {
        let addresses = self.providers.values().filter_map(|connected| connected.config.base_url.as_deref());
        self.clients.warm(addresses).await;
    }

    /// The models to choose from, as configured; of a provider without a list, none but the default.
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }
}

/// That a model cannot be chosen, whoever's it would be.
pub(crate) fn unknown(model: &ModelRef) -> Error {
    Error::new(ErrorKind::UnknownModel, format!("The model {model} is not configured here."))
}

/// That there is no model at all.
pub(crate) fn nothing() -> Error {
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
