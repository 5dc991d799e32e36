//! What is known about an event besides what happened: who asked, by which command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CommandId, UserId};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A person, verified by the edge.
    User(UserId),
    /// One of our own workers: `reply`, `reaper`.
    Worker(String),
}

impl Actor {
    /// The person who asks, if it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Worker(_) => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Worker(name) => write!(f, "worker:{name}"),
        }
    }
}

impl FromStr for Actor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", user)) => user.parse().map(Self::User).map_err(|e| format!("{e}")),
            Some(("worker", name)) if !name.is_empty() && !name.chars().any(char::is_control) => {
                Ok(Self::Worker(name.to_owned()))
            }
            _ => Err("an actor is user:<id> or worker:<name>".to_owned()),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

/// An event's metadata. A flat map of strings once serialised, as cqrs-es wants it; never any content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who asked.
    pub actor: Actor,
    /// The command that the event came of.
    pub command: CommandId,
    /// SHA-256 of the command's body, in hex: tells a repeated command from another one under the same id.
    pub digest: String,
}
