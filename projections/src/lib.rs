//! Remembering what happened for reading: one file per read model, each a schema in Postgres.
//!
//! A projection takes events in batches: it loads the rows that the batch touches, folds the events over them in memory
//! and writes them back, together with its checkpoint, in one transaction. So a view is always the fold of the log up to
//! its checkpoint, and can be made anew from the log at any time ([`rebuild`]).

pub mod account;
#[cfg(test)]
mod batches;
pub mod conversation_list;
mod projection;
mod projector;
mod rebuild;
mod retry;
pub mod transcript;
pub mod usage;
mod view;
pub mod wait;

pub use account::{DefaultView, ProviderConfigView};
pub use projector::Projector;
pub use rebuild::{NAMES, RebuildError, rebuild};
pub use view::{ConversationView, MessageStatus, MessageView, Role};
