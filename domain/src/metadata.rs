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
    /// The trace that the command belongs to, as W3C Trace Context writes it; only where it is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_actor_is_written_as_one_word() {
        for (actor, text) in [
            (Actor::User("ann".parse().unwrap()), "user:ann"),
            (Actor::User("worker:reply".parse().unwrap()), "user:worker:reply"),
            (Actor::User("auth0|1: 2".parse().unwrap()), "user:auth0|1: 2"),
            (Actor::Worker("reply".to_owned()), "worker:reply"),
            (Actor::Worker("a:b".to_owned()), "worker:a:b"),
        ] {
            assert_eq!(actor.to_string(), text);
            assert_eq!(text.parse(), Ok(actor.clone()));
            assert_eq!(serde_json::to_value(&actor).unwrap(), text);
            assert_eq!(serde_json::from_value::<Actor>(text.into()).unwrap(), actor);
        }
    }

    #[test]
    fn anything_else_is_no_actor() {
        for text in ["", "ann", ":ann", "user:", "worker:", "USER:ann", "admin:ann", "user:a\0", "worker:a\0"] {
            assert!(text.parse::<Actor>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<Actor>(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_people_are_users() {
        assert_eq!(Actor::User("ann".parse().unwrap()).user().map(UserId::as_str), Some("ann"));
        assert_eq!(Actor::Worker("reply".to_owned()).user(), None);
    }

    /// As it stands in the log, for ever, and as cqrs-es reads it: a flat map of strings.
    #[test]
    fn metadata_is_a_flat_map_of_strings() {
        let metadata = Metadata {
            actor: Actor::User("ann".parse().unwrap()),
            command: CommandId(Uuid::from_u128(1)),
            digest: "00ff".to_owned(),
            traceparent: None,
        };
        let recorded = json!({
            "actor": "user:ann",
            "command": "00000000-0000-0000-0000-000000000001",
            "digest": "00ff",
        });
        assert_eq!(serde_json::to_value(&metadata).unwrap(), recorded);
        assert_eq!(serde_json::from_value::<Metadata>(recorded.clone()).unwrap(), metadata);
        assert!(serde_json::from_value::<std::collections::HashMap<String, String>>(recorded.clone()).is_ok());
        let traced = Metadata { traceparent: Some("00-4bf9-00f0-01".to_owned()), ..metadata };
        let mut recorded = recorded;
        recorded["traceparent"] = "00-4bf9-00f0-01".into();
        assert_eq!(serde_json::to_value(&traced).unwrap(), recorded);
        assert_eq!(serde_json::from_value::<Metadata>(recorded.clone()).unwrap(), traced);
        assert!(serde_json::from_value::<std::collections::HashMap<String, String>>(recorded).is_ok());
    }
}
