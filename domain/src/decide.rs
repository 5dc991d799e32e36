//! The one question the system asks an aggregate: given what happened, what does this command make happen?

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Actor, Tenant};

/// Who asks, and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The tenant that the asker belongs to; none for our own workers, who serve all.
    pub tenant: Option<Tenant>,
    /// Who it is.
    pub actor: Actor,
}

impl std::fmt::Display for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}/{}", self.actor),
            None => self.actor.fmt(f),
        }
    }
}

/// A command with its asker: what a decision is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked<C> {
    /// Who asks.
    pub asker: Asker,
    /// What is asked.
    pub command: C,
}

/// What can be asked over the bus: says of which aggregate.
pub trait Ask: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The aggregate's type.
    type Aggregate: Decide<Command = Asked<Self>, Event = Self::Event, Error: Clone + Serialize + DeserializeOwned + Send + Sync>
        + Clone
        + 'static;
    /// What happens there.
    type Event: cqrs_es::DomainEvent + Clone + std::fmt::Debug + Send + Sync;
    /// The type's name: in the log, and in subjects.
    const TYPE: &'static str = <Self::Aggregate as cqrs_es::Aggregate>::TYPE;
    /// How one of them is named.
    type Id: std::fmt::Debug + std::fmt::Display + std::str::FromStr + Copy + Serialize + DeserializeOwned + Send + Sync;

    /// Whether this asker may ask an aggregate of this name at all, as far as the name alone tells.
    fn may_ask(_id: &Self::Id, _asker: &Asker) -> bool {
        true
    }
}

/// An aggregate whose decisions are pure, so that many can be taken in memory before one durable append.
///
/// `cqrs_es::Aggregate::handle` is glue over [`Decide::decide`]; nothing else decides.
pub trait Decide: cqrs_es::Aggregate {
    /// The version of the state's shape: raised with every change to it, so that older snapshots are left unread.
    const STATE_VERSION: i32;

    /// The events that the command adds; none when it has already come true.
    ///
    /// # Errors
    /// The refusal, as a value of the aggregate's own error type.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The tenant that the aggregate belongs to, once it exists.
    fn tenant(&self) -> Option<&Tenant>;
}
