//! What happened: the event log in Postgres, and the one place that appends to it.
//!
//! A shard's [`writer`] takes commands, decides them in memory against warm aggregates and appends the events of many
//! commands in one statement, behind the head that it expects, or not at all. The [`lease`] says which process writes a
//! shard; correctness never depends on it. Readers use [`log`].
//!
//! This crate knows nothing of the bus and nothing of who is connected.

pub mod append;
pub mod checkpoint;
pub mod codec;
mod connect;
pub mod dead_letter;
mod error;
mod event_store;
pub mod lease;
mod load;
pub mod log;
pub mod metrics;
mod migrate;
mod own;
pub mod sealing;
mod snapshot;
mod transaction;
pub mod writer;

pub use connect::{Role, connect, warm};
pub use error::Error;
pub use event_store::PostgresEventStore;
pub use load::state;
pub use log::{Position, Recorded};
pub use migrate::{MIGRATOR, migrate, shard_count};
pub use transaction::begin;

/// The target of the spans that make up traces. They are none of the log's: `app` sends them where the settings say.
pub const TRACE_TARGET: &str = "bestchat::trace";
