//! An account: what one person of a tenant has set for themselves. Providers with keys of their own, the default one, limits.
//!
//! An account is named after its person and begins with the first thing that they set. Keys come here sealed: this crate
//! neither seals nor opens one, and nothing of it shows in what `Debug` prints.

mod apply;
mod command;
mod decide;
mod error;
mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::Command;
pub use error::Error;
pub use event::{Auth, Event, Limit, Limits, Model, Price, SealedKey};

use crate::{AccountId, Ask, Asked, Asker, Decide, ProviderId, Tenant, UserId};

/// The aggregate's type: in the log, and in subjects.
pub const TYPE: &str = "account";
/// The most providers that a person configures.
pub const MAX_PROVIDERS: usize = 64;
/// The most models that a provider's configuration names.
pub const MAX_MODELS: usize = 256;
/// The most bytes of a model's name, a protocol's name, and a provider's address.
pub const MAX_MODEL_BYTES: usize = 200;
/// See [`MAX_MODEL_BYTES`].
pub const MAX_PROTOCOL_BYTES: usize = 64;
/// See [`MAX_MODEL_BYTES`].
pub const MAX_URL_BYTES: usize = 2_048;
/// The most bytes of a sealed key, as text.
pub const MAX_SEALED_BYTES: usize = 16 * 1024;
/// The most bytes of a key's key, as text.
pub const MAX_WRAPPED_BYTES: usize = 256;
/// The highest limit: what a number of JavaScript holds exactly.
pub const MAX_LIMIT: u64 = (1 << 53) - 1;

/// The state of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    owner: Option<Owner>,
    providers: BTreeMap<ProviderId, ProviderConfig>,
    default: Option<DefaultProvider>,
    limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    tenant: Tenant,
    user: UserId,
}

/// A provider as a person has configured it. What is none is as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderConfig {
    /// How it is spoken to.
    pub protocol: Option<String>,
    /// Where it is.
    pub base_url: Option<String>,
    /// The models that it is asked for; with none, every one that it has.
    pub models: Vec<Model>,
    /// Its key.
    pub key: Option<SealedKey>,
    /// How it is shown that.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whether it calls the limit of an answer `max_tokens`.
    #[serde(default)]
    pub max_tokens: bool,
}

/// The provider that answers where nobody chose one, and which of its models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultProvider {
    /// The provider.
    pub provider: ProviderId,
    /// Its model; none means the first that it offers.
    pub model: Option<String>,
}

impl Account {
    /// Whose it is, once it has begun.
    pub fn owner(&self) -> Option<(&Tenant, &UserId)> {
        self.owner.as_ref().map(|owner| (&owner.tenant, &owner.user))
    }

    /// The providers that are configured.
    pub fn providers(&self) -> &BTreeMap<ProviderId, ProviderConfig> {
        &self.providers
    }

    /// The default provider; none means the installation's.
    pub fn default_provider(&self) -> Option<&DefaultProvider> {
        self.default.as_ref()
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

impl Ask for Command {
    type Aggregate = Account;
    type Event = Event;
    type Id = AccountId;

    /// A person asks of no account but their own. One that has not begun has no other owner to tell them from.
    fn may_ask(id: &AccountId, asker: &Asker) -> bool {
        match (&asker.tenant, asker.actor.user()) {
            (Some(tenant), Some(user)) => *id == AccountId::of(tenant, user),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }
}

impl cqrs_es::Aggregate for Account {
    const TYPE: &'static str = TYPE;

    type Command = Asked<Command>;
    type Event = Event;
    type Error = Error;
    type Services = ();

    async fn handle(&mut self, command: Self::Command, (): &(), sink: &EventSink<Self>) -> Result<(), Error> {
        // Not on `self`: see `conversation`.
        let mut scratch = self.clone();
        for event in self.decide(&command)? {
            sink.write(event, &mut scratch).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.evolve(event);
    }
}
