//! What a reply was asked for, by whom.

use domain::{AccountId, ModelRef, Tenant, UserId};
use store::Recorded;

use super::choice::Tried;

/// A reply as it was asked for, and what has been tried since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Who asked: with their providers it is answered, by their limits it is bounded, on their account it goes. None when
    /// the log does not tell.
    pub(super) by: Option<Person>,
    /// The model or route; none means the asker's default.
    pub(super) model: Option<ModelRef>,
    /// The attempts so far.
    pub(super) tried: Tried,
}

/// A person of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) tenant: Tenant,
    pub(crate) user: UserId,
}

impl Person {
    /// Who asked for what was recorded; none when it was no person.
    pub(crate) fn who_asked_for(recorded: &Recorded) -> Option<Self> {
        let user = recorded.metadata()?.actor.user()?.clone();
        Some(Self { tenant: recorded.tenant.parse().ok()?, user })
    }

    /// Their account.
    pub(crate) fn account(&self) -> AccountId {
        AccountId::of(&self.tenant, &self.user)
    }
}
