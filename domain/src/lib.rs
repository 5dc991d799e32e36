//! What may happen in a chat: commands, the events they become, and the rules between them.
//!
//! This crate knows no I/O, no clock and no chance: `decide` is a pure function of state and command, `apply` of
//! state and event. Whatever depends on the world arrives inside the command.

pub mod conversation;
mod decide;
mod id;
mod metadata;
mod shard;

pub use decide::{Asked, Asker, Decide};
pub use id::{CommandId, ConversationId, MessageId, ModelRef, ModelRefError, NameError, Tenant, UserId};
pub use metadata::{Actor, Metadata};
pub use shard::{Shard, shard_of};
