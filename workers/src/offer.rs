//! What one person may use: the installation's providers, and before them their own, which they pay for.
//!
//! A provider that a person has saved stands in the place of the installation's of the same name, wholly: with its protocol,
//! its address, its models, and its key or none. The two are never mixed: the installation's key goes to no address of a person's,
//! and a person's key goes nowhere but where it was saved for. Routes are the installation's, and ask each model in the
//! way that the person would. Where no model was named, the person's default provider answers, else the installation's.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::account::{self, Account, Limits, SealedKey};
use domain::{ModelRef, ProviderId};
use nats::opaque;
use sqlx::PgPool;
use store::sealing::{Owner, Sealing};

use crate::metrics::Names;
use crate::own;
use crate::provider::catalog::{Catalog, unknown};
use crate::provider::price::Price;
use crate::provider::{ApiKey, ConfigError, Connected, Error, ErrorKind, ModelConfig, known};
use crate::reply::Person;

/// What one person may use, as it was when this was made.
pub(crate) struct Offer {
    catalog: Arc<Catalog>,
    sealing: Option<Arc<Sealing>>,
    /// None for a reply of which the log does not tell who asked: it has the installation's providers alone.
    person: Option<Person>,
    account: Account,
    /// What answers where no model was named; none means the installation's default.
    default: Result<Option<ModelRef>, Error>,
}

/// What a model can write, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The most tokens in one call, if that is known.
    pub(crate) max_output: Option<u64>,
    /// None where it costs nothing, as far as anyone knows.
    pub(crate) prices: Vec<Price>,
}

impl Offer {
    /// Reads what a person has set up to now. Someone who has set nothing costs one look.
    ///
    /// # Errors
    /// When their account cannot be read.
    pub(crate) async fn of(
        pool: &PgPool,
        sealing: Option<&Arc<Sealing>>,
        catalog: &Arc<Catalog>,
        person: Option<&Person>,
    ) -> Result<Self, store::Error> {
        let account = match person {
            Some(person) => store::state(pool, &person.account().to_string()).await?,
            None => Account::default(),
        };
        Ok(Self::with(account, sealing, catalog, person))
    }

    fn with(account: Account, sealing: Option<&Arc<Sealing>>, catalog: &Arc<Catalog>, person: Option<&Person>) -> Self {
        let default = default(&account, catalog);
        Self { catalog: Arc::clone(catalog), sealing: sealing.cloned(), person: person.cloned(), account, default }
    }

    /// The models that may answer a reply, in the order in which they are asked, and whether they are a route's. None means
    /// the default.
    ///
    /// # Errors
    /// When there is no default. Whether a model can be asked, [`Self::resolve`] tells.
    pub(crate) fn alternatives<'a>(&'a self, model: Option<&'a ModelRef>) -> Result<(&'a [ModelRef], bool), Error> {
        match (model, &self.default) {
            (None, Err(error)) => Err(error.clone()),
            (None, Ok(default)) => self.catalog.alternatives(default.as_ref()),
            (Some(_), _) => self.catalog.alternatives(model),
        }
    }

    /// The provider that is asked for a model.
    ///
    /// # Errors
    /// When the person has none such, or it cannot be called as they saved it.
    pub(crate) fn resolve(&self, model: &ModelRef) -> Result<Connected, Error> {
        let connected = self.provider(model.provider())?.ok_or_else(|| unknown(model))?;
        Ok(Connected { provider: connected.for_model(model)?, ..connected })
    }

    /// A provider as this person uses it: their own, else the installation's.
    ///
    /// # Errors
    /// When their own cannot be called as they saved it.
    pub(crate) fn provider(&self, id: &str) -> Result<Option<Connected>, Error> {
        match self.own(id) {
            Some((person, id, own)) => self.connect(person, id, own).map(Some),
            None => Ok(self.catalog.connected(id).cloned()),
        }
    }

    /// The terms of a model: as whoever has its provider says, else as the catalogue knows them.
    pub(crate) fn terms(&self, model: &ModelRef) -> Terms {
        let known = known::model(model);
        let configured = self.configured(model).unwrap_or_default();
        let prices = configured.price.map(|price| vec![Price::from(price)]);
        Terms {
            max_output: configured.max_output.or_else(|| known?.max_output),
            prices: prices.or_else(|| Some(known?.prices.clone())).unwrap_or_default(),
        }
    }

    fn configured(&self, model: &ModelRef) -> Option<ModelConfig> {
        if let Some((_, _, own)) = self.own(model.provider()) {
            return own.models.iter().find(|named| named.id == model.model()).map(own::model);
        }
        let config = &self.catalog.connected(model.provider())?.config;
        config.models.iter().find(|named| named.id == model.model()).cloned()
    }

    /// How much the person may use, with a call to this provider: as they have said themselves, and on the installation's keys no more
    /// than it grants each person.
    pub(crate) fn limits(&self, provider: &str) -> Limits {
        let limits = self.account.limits();
        if self.own(provider).is_some() { limits } else { limits.and(self.catalog.limits()) }
    }

    /// Which credential a call to this provider shows, in a name that reveals nothing of it: the same for the same key at the
    /// same address, and another for every other. Stays when a key is put under another key-encryption key.
    pub(crate) fn credential_id(&self, provider: &str) -> String {
        if let Some((person, id, own)) = self.own(provider) {
            let address = own.base_url.as_deref().unwrap_or_default();
            let sealed = own.key.as_ref().map(|key| key.sealed.as_str()).unwrap_or_default();
            return opaque(&[&person.account().to_string(), id.as_str(), address, sealed]);
        }
        let config = self.catalog.connected(provider).map(|connected| &connected.config);
        let address = config.and_then(|config| config.base_url.as_deref()).unwrap_or_default();
        let account = config.and_then(|config| config.access_key_id.as_deref()).unwrap_or_default();
        let key = config.and_then(|config| config.api_key.as_ref()).map(ApiKey::expose).unwrap_or_default();
        opaque(&["installation", provider, address, account, key])
    }

    /// What figures call a model. One of a provider of the person's own has no name there: it may be that of one of the
    /// installation's.
    pub(crate) fn names(&self, model: &ModelRef) -> Names {
        if self.own(model.provider()).is_some() { Names::own() } else { Names::of(&self.catalog, model) }
    }

    fn own(&self, id: &str) -> Option<(&Person, &ProviderId, &account::ProviderConfig)> {
        let (id, own) = self.account.providers().iter().find(|(saved, _)| saved.as_str() == id)?;
        Some((self.person.as_ref()?, id, own))
    }

    fn connect(&self, person: &Person, id: &ProviderId, own: &account::ProviderConfig) -> Result<Connected, Error> {
        let unusable = |reason: String| Error::new(ErrorKind::UnknownModel, format!("{id}: {reason}."));
        let mut config = own::merged(id, own).map_err(unusable)?;
        config.api_key = own.key.as_ref().map(|key| self.open(person, id, key)).transpose()?;
        let (clients, reach) = self.catalog.for_people();
        Connected::new(config, clients, reach).map_err(|error| match error {
            ConfigError::Provider { reason, .. } => unusable(reason),
            other => unusable(other.to_string()),
        })
    }

    fn open(&self, person: &Person, provider: &ProviderId, key: &SealedKey) -> Result<ApiKey, Error> {
        let closed = |why: &str| Error::new(ErrorKind::Auth, format!("{provider}: the key that was saved {why}."));
        let missing = || closed("cannot be opened: this installation has no key-encryption keys");
        let sealing = self.sealing.as_ref().ok_or_else(missing)?;
        let owner = Owner { tenant: &person.tenant, user: &person.user, provider };
        match sealing.open(owner, key) {
            Ok(plain) => Ok(ApiKey::from(plain.expose().to_owned())),
            Err(error) => {
                tracing::error!(%error, "a person's key of a provider cannot be opened");
                Err(closed("cannot be opened; save it again"))
            }
        }
    }
}

/// The model that answers where none was named, if the person has a say in it.
fn default(account: &Account, catalog: &Catalog) -> Result<Option<ModelRef>, Error> {
    let Some(default) = account.default_provider() else { return Ok(None) };
    let id = &default.provider;
    let model = match (&default.model, account.providers().get(id)) {
        (Some(model), _) => format!("{id}/{model}").parse().ok(),
        (None, Some(own)) => own::models(id, own).first().and_then(|model| format!("{id}/{}", model.id).parse().ok()),
        (None, None) => {
            let mut offered = catalog.models().iter().map(|offered| &offered.model);
            offered.find(|model| model.provider() == id.as_str()).cloned()
        }
    };
    let nameless = || format!("Of the default provider {id} no model is known: say which one answers.");
    model.map(Some).ok_or_else(|| Error::new(ErrorKind::UnknownModel, nameless()))
}
