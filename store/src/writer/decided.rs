//! What a command has come to within its batch, before the batch is durable.

use std::any::Any;
use std::fmt;

use super::recent::First;
use super::{Accepted, Refusal};

/// An aggregate's own refusal, whose type the command alone knows that it answers.
#[derive(Debug)]
pub(super) struct Reason(Box<dyn Any + Send>);

impl Reason {
    pub(super) fn new<E: Send + 'static>(error: E) -> Self {
        Self(Box::new(error))
    }

    /// The refusal; none when it is another aggregate's.
    pub(super) fn of<E: 'static>(self) -> Option<E> {
        self.0.downcast().ok().map(|error| *error)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the aggregate refuses")
    }
}

/// What became of a command of any aggregate.
pub(super) type AnyOutcome = Result<Accepted, Refusal<Reason>>;

pub(super) enum Decided {
    /// Whatever the log holds by now, this stands: a first result, or something that cannot be read or written.
    Settled(AnyOutcome),
    /// Carried out by events of this batch.
    Appended(Accepted),
    /// Refused, or true already, by the state as the batch sees it. It rests on nothing that the append confirms.
    Eventless(AnyOutcome),
}

impl First {
    /// The answer to a repeat of the command, or to another one under its id.
    pub(super) fn answer(&self, digest: &str) -> AnyOutcome {
        if self.digest == digest { Ok(self.accepted) } else { Err(Refusal::CommandIdReused) }
    }
}

impl Decided {
    pub(super) fn is_eventless(&self) -> bool {
        matches!(self, Self::Eventless(_))
    }

    pub(super) fn into_outcome(self) -> AnyOutcome {
        match self {
            Self::Appended(accepted) => Ok(accepted),
            Self::Settled(outcome) | Self::Eventless(outcome) => outcome,
        }
    }
}
