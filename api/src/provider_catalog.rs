//! The catalogue as clients see it: the providers that are known here, and how others can be spoken to. It is handed in: this
//! crate knows no provider.

use domain::ProviderId;
use serde::Serialize;
use ts_rs::TS;

use crate::edge::ModelView;

/// The catalogue: the providers that are known here, and how others can be spoken to.
#[derive(Clone, Debug, Default, Serialize, TS)]
#[ts(rename = "ProviderCatalog")]
pub struct Providers {
    /// The providers.
    pub providers: Vec<ProviderView>,
    /// The protocols that a person's own provider may speak.
    pub protocols: Vec<String>,
}

/// A provider of the catalogue.
#[derive(Clone, Debug, Default, Serialize, TS)]
pub struct ProviderView {
    /// Its id: what comes before the slash in a model's reference.
    pub id: String,
    /// How people call it.
    pub name: String,
    /// What it speaks.
    pub protocol: String,
    /// Whether the installation has configured it, as far as the edge can tell: everyone can use it then.
    pub configured: bool,
    /// Whether it wants a key. Where it is not configured, a person needs one of their own.
    pub needs_key: bool,
    /// Where it is for everyone. What stands in braces, `parameters` names.
    pub base_url: Option<String>,
    /// What is another for each account in `base_url`.
    pub parameters: Vec<String>,
    /// Whether a person who configures it has to say where it is.
    pub needs_base_url: bool,
    /// The models that it is known to offer.
    pub models: Vec<CatalogModel>,
}

/// A model of the catalogue.
#[derive(Clone, Debug, Default, Serialize, TS)]
pub struct CatalogModel {
    /// Its reference, `provider/model`.
    pub id: String,
    /// How people read it.
    pub label: String,
    /// How many tokens it can read and write in one call, if known.
    pub context_window: Option<u64>,
    /// Whether it answers where nobody chose a model. None is marked where the workers alone know.
    pub default: bool,
    /// How many tokens it can write in one call, if known.
    pub max_output: Option<u64>,
    /// What it is known to take beside text: `image`, `file`.
    pub takes: Vec<String>,
    /// What it is known to be able to do: `tools`, `cache`, `reasoning`.
    pub can: Vec<String>,
    /// What it costs, if known; as of the day on which the edge was started.
    pub price: Option<PriceView>,
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, TS)]
pub struct PriceView {
    /// Where it was read; costs name it.
    pub version: String,
    /// By how long the input of a call is: the last one that `above` fits holds for the whole call.
    pub rates: Vec<RateView>,
}

/// What tokens cost, in micro-USD per million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, TS)]
pub struct RateView {
    /// Of calls whose input is longer than this, in tokens; 0 for all.
    pub above: u64,
    /// Input read anew.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cached_read: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// Output.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
}

impl Providers {
    /// The provider of this name.
    pub(crate) fn get(&self, id: &ProviderId) -> Option<&ProviderView> {
        self.providers.iter().find(|provider| provider.id == id.as_str())
    }
}

impl CatalogModel {
    /// It as it is chosen.
    pub(crate) fn view(&self) -> ModelView {
        let Self { id, label, context_window, default, .. } = self.clone();
        ModelView { id, label, context_window, default }
    }
}
