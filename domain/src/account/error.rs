//! Why an account refuses a command.

use serde::{Deserialize, Serialize};

/// A refusal. `Unknown` also answers everyone whose account it is not: it does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind")]
pub enum Error {
    /// There is no such account, or not for the asker.
    #[error("no such account")]
    Unknown,
    /// The command is one that only an operator may ask.
    #[error("this command is not for people to ask")]
    NotPermitted,
    /// The provider is not configured in this account.
    #[error("this provider is not configured")]
    UnknownProvider,
    /// The account has as many providers as accepted.
    #[error("at most {limit} providers can be configured")]
    TooManyProviders {
        /// The limit.
        limit: usize,
    },
    /// A protocol's name is not one.
    #[error("a protocol's name has 1 to {limit} bytes, of letters, digits and hyphens")]
    InvalidProtocol {
        /// The limit in bytes.
        limit: usize,
    },
    /// The address is none that a provider can have.
    #[error(
        "an address begins with http:// or https://, has at most {limit} bytes, and holds no password, query or space"
    )]
    InvalidBaseUrl {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are too many models, or a name is not one.
    #[error("at most {models} models can be named, each once, in 1 to {bytes} bytes without control characters")]
    InvalidModels {
        /// The most models.
        models: usize,
        /// The most bytes of a name.
        bytes: usize,
    },
    /// What should be a sealed key is none, or is too long.
    #[error("the key is too long, or is none")]
    InvalidKey,
    /// The header that shall show a key is none that can.
    #[error("a key is shown in a header with a name of up to 64 letters, digits and hyphens that HTTP has no use for")]
    InvalidAuth,
    /// A key is for one address and protocol: a new one of these needs the key again.
    #[error("give the key again: it is kept for the protocol and the address that were set with it")]
    KeyNeeded,
    /// The key that was rewrapped is not there any more.
    #[error("the key was saved anew meanwhile")]
    StaleKey,
    /// A limit is higher than a number can be.
    #[error("a limit is at most {limit}")]
    LimitTooHigh {
        /// The highest.
        limit: u64,
    },
}
