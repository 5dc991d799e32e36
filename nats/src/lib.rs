//! Telling everyone: the subjects, the streams that mirror the log, and the ways to listen.
//!
//! Postgres is the only truth. NATS may lose everything at any time: [`relay`] rebuilds the streams from the log, and
//! every listener here drops what is not the next position and fills a gap by reading the log.
//!
//! Only this crate knows async-nats.

pub mod ask;
pub mod breaker;
mod connection;
pub mod consume;
mod kv;
pub mod live;
pub mod metrics;
pub mod model_lists;
pub mod probe;
pub mod relay;
pub mod serve;
pub mod signal;
mod streams;
pub mod subject;
pub mod tail;
#[cfg(feature = "test-support")]
pub mod test_server;
pub mod trace;

pub use async_nats::{Client, Subscriber};
pub use connection::{CLOSE_DEADLINE, Inbox, close, connect, is_connected};
pub use kv::opaque;

/// A failure of the bus, already in words.
#[derive(Debug, thiserror::Error)]
#[error("nats: {0}")]
pub struct Error(String);

impl Error {
    fn from_any(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// That what came cannot be read. It is not quoted.
    fn unreadable(error: &serde_json::Error) -> Self {
        Self(store::codec::reason(error))
    }
}
