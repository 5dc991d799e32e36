//! What a command has come to within its batch, before the batch is durable.

use domain::Decide;

use super::recent::First;
use super::{Accepted, Outcome, Refusal};

pub(super) enum Decided<A: Decide> {
    /// Whatever the log holds by now, this stands: a first result, or something that cannot be read or written.
    Settled(Outcome<A>),
    /// Carried out by events of this batch.
    Appended(Accepted),
    /// Refused, or true already, by the state as the batch sees it. It rests on nothing that the append confirms.
    Eventless(Outcome<A>),
}

impl First {
    /// The answer to a repeat of the command, or to another one under its id.
    pub(super) fn answer<A: Decide>(&self, digest: &str) -> Outcome<A> {
        if self.digest == digest { Ok(self.accepted) } else { Err(Refusal::CommandIdReused) }
    }
}

impl<A: Decide> Decided<A> {
    pub(super) fn is_eventless(&self) -> bool {
        matches!(self, Self::Eventless(_))
    }

    pub(super) fn into_outcome(self) -> Outcome<A> {
        match self {
            Self::Appended(accepted) => Ok(accepted),
            Self::Settled(outcome) | Self::Eventless(outcome) => outcome,
        }
    }
}
