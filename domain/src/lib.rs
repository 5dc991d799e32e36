//! What may happen in a chat: commands, the events they become, and the rules between them.
//!
//! This crate knows no I/O, no clock and no chance: `decide` is a pure function of state and command, `apply` of
//! state and event. Whatever depends on the world arrives inside the command.

pub mod account;
pub mod conversation;
mod decide;
mod id;
mod metadata;
mod shard;

pub use decide::{Ask, Asked, Asker, Decide};
pub use id::{
    AccountId, CommandId, ConversationId, MessageId, ModelRef, ModelRefError, NameError, ProviderId, ProviderIdError,
    Tenant, UserId,
};
pub use metadata::{Actor, Metadata};
pub use shard::{Shard, shard_of};
