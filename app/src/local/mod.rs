//! Private Postgres and NATS servers for `bestchat up` and for tests.
//!
//! Each server belongs to one folder, listens on loopback only, and is a child of this process in a
//! process group of its own: a Ctrl-C in the terminal reaches the app alone, which then stops its
//! servers in order. On Linux the kernel stops them also when the app is killed outright; what is
//! left running all the same (on macOS, say) is stopped by the next start in the same folder.
//!
//! This module knows how to run servers and nothing of what is stored in them.

mod binary;
mod error;
mod folder;
mod identity;
mod nats;
mod postgres;
mod process;
mod server;

pub use error::Error;
pub use nats::{Nats, NatsOptions};
pub use postgres::{Postgres, PostgresOptions};
pub use server::Server;
