//! Circuit breakers: a model that keeps failing is left alone for a while, by every process, but for one call that finds out
//! whether it is well again. A breaker belongs to a credential and a model, so that one person's bad key cools nobody else's.
//!
//! What counts is whether a model begins to answer. What an error says of the request rather than of the provider does not
//! count, and neither does what comes after the first word: such a provider is there.
//!
//! Breakers are shared over the bus (`nats::breaker`), and asked here, in memory: a call that is let through waits for nothing.
//! While the bus is out of reach they are closed, for they must never be the reason why nobody answers.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ModelRef;
use nats::breaker::{Change, Key, Open, Taken, Trouble};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::state::{Answer, Seen, State};
use crate::metrics;
use crate::provider::{Chunk, Deadline, Error, ErrorKind};

pub(super) use self::state::Shut;

/// The pause before the listener starts over.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// From how long a wait on a provider that limits the rate of calls counts: shorter ones are in the nature of limits.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// One breaker.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    pub(super) key: Key,
    /// What figures call the provider that is left alone.
    pub(super) provider: String,
}

/// The breakers of a process.
#[derive(Default)]
pub(super) struct Breakers(Mutex<Known>);

#[derive(Default)]
struct Known {
    state: State,
    /// Where they are shared; none when that is out of reach.
    bus: Option<Arc<nats::breaker::Breakers>>,
}

/// How a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like any other.
    Usual,
    /// Alone, to find out whether the provider is well again, whose breaker is open like this.
    Probe(Open),
}

/// What the beginning of an answer says of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is well.
    Well,
    /// It answers, though not this request, which says nothing of other ones.
    Answering,
    /// It is not, and perhaps says for how long it wants to be left alone.
    Unwell(Trouble, Option<Duration>),
    /// Nothing.
    Unknown,
}

impl Verdict {
    /// What the first thing says that comes of a call.
    pub(super) fn of(first: &Result<Chunk, Error>) -> Self {
        let Err(error) = first else { return Self::Well };
        let trouble = match error.kind {
            ErrorKind::Auth => Trouble::Auth,
            ErrorKind::Quota => Trouble::Quota,
            ErrorKind::Rate if error.retry_after.is_some_and(|wait| wait > LONG_WAIT) => Trouble::Rate,
            ErrorKind::Overload => Trouble::Overload,
            ErrorKind::Network => Trouble::Network,
            ErrorKind::Timeout(_) => Trouble::Timeout,
            ErrorKind::Rate
            | ErrorKind::Invalid
            | ErrorKind::UnknownModel
            | ErrorKind::ContextTooLong
            | ErrorKind::ContentFilter => return Self::Answering,
            ErrorKind::Interrupted | ErrorKind::Protocol => return Self::Unknown,
        };
        Self::Unwell(trouble, error.retry_after)
    }
}

impl Breakers {
    /// Listens to those of all processes until cancelled.
    pub(super) async fn share(&self, client: &nats::Client, over: CancellationToken) {
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                listened = self.listen(client) => if let Err(error) = listened {
                    tracing::warn!(%error, "circuit breakers are closed until they can be shared again");
                }
            }
            *self.known() = Known::default();
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn listen(&self, client: &nats::Client) -> Result<(), nats::Error> {
        let (bus, mut changes) = nats::breaker::share(client).await?;
        self.known().bus = Some(Arc::new(bus));
        tracing::info!("circuit breakers are shared");
        loop {
            let change = changes.next().await?;
            self.known().state.hear(change, Instant::now());
        }
    }

    /// Whether a call is let through, and how; else why not.
    pub(super) async fn ask(&self, breaker: &Breaker) -> Result<Pass, Shut> {
        let (answer, bus) = {
            let known = self.known();
            (known.state.ask(&breaker.key, Instant::now()), known.bus.clone())
        };
        match (answer, bus) {
            (Answer::Shut(shut), _) => Err(shut),
            // Seldom, and large beside the rest of an attempt.
            (Answer::HalfOpen(seen), Some(bus)) => Box::pin(self.take_over(&bus, breaker, seen)).await,
            (Answer::Closed | Answer::HalfOpen(_), _) => Ok(Pass::Usual),
        }
    }

    /// Asks to be the one that is let through.
    async fn take_over(&self, bus: &nats::breaker::Breakers, breaker: &Breaker, seen: Seen) -> Result<Pass, Shut> {
        let Breaker { key, provider } = breaker;
        let probing = state::probing(seen.open);
        match bus.take_over(key, probing, seen.revision).await {
            Ok(Taken::Ours(revision)) => {
                metrics::breaker_changed(provider, "half_opened");
                self.hear(key, Some(probing), revision);
                Ok(Pass::Probe(seen.open))
            }
            Ok(Taken::Theirs(Some((open, revision)))) => {
                self.hear(key, Some(open), revision);
                match self.known().state.ask(key, Instant::now()) {
                    Answer::Shut(shut) => Err(shut),
                    Answer::Closed | Answer::HalfOpen(_) => Ok(Pass::Usual),
                }
            }
            Ok(Taken::Theirs(None)) => {
                self.hear(key, None, seen.revision);
                Ok(Pass::Usual)
            }
            Err(error) => {
                tracing::warn!(%error, "a circuit breaker could not be asked; the call is let through");
                Ok(Pass::Usual)
            }
        }
    }

    /// Learns what the beginning of an answer says.
    pub(super) async fn learn(&self, breaker: &Breaker, pass: Pass, verdict: Verdict) {
        match (verdict, pass) {
            (Verdict::Unknown, _) | (Verdict::Answering, Pass::Usual) => {}
            (Verdict::Well, _) | (Verdict::Answering, Pass::Probe(_)) => self.close(breaker),
            (Verdict::Unwell(trouble, wait), Pass::Probe(open)) => {
                self.open(breaker, state::opened(trouble, wait, open.times.saturating_add(1))).await;
            }
            (Verdict::Unwell(trouble, wait), Pass::Usual) => {
                let open = self.known().state.failed(&breaker.key, trouble, wait, Instant::now());
                if let Some(open) = open {
                    self.open(breaker, open).await;
                }
            }
        }
    }

    async fn open(&self, Breaker { key, provider }: &Breaker, open: Open) {
        let Some(bus) = self.known().bus.clone() else { return };
        match bus.open(key, open).await {
            Ok(revision) => {
                let Open { trouble, times, shut_ms } = open;
                tracing::info!(?trouble, times, shut_ms, "a model is left alone for a while");
                metrics::breaker_changed(provider, if times > 1 { "reopened" } else { "opened" });
                self.hear(key, Some(open), revision);
            }
            Err(error) => tracing::warn!(%error, "a circuit breaker could not be opened"),
        }
    }

    /// Closes one, for others a moment later: an answer does not wait for that.
    fn close(&self, breaker: &Breaker) {
        let bus = {
            let mut known = self.known();
            if !known.state.well(&breaker.key) {
                return;
            }
            known.bus.clone()
        };
        let (Some(bus), Breaker { key, provider }) = (bus, breaker.clone()) else { return };
        tokio::spawn(async move {
            match bus.close(&key).await {
                Ok(()) => metrics::breaker_changed(&provider, "closed"),
                // Its cool-down closes it for others, or the next call that is let through.
                Err(error) => tracing::warn!(%error, "a circuit breaker could not be closed"),
            }
        });
    }

    /// The call that was to find out was not made, or came to nothing: the next one is let through, at once.
    pub(super) fn give_back(&self, key: &Key, pass: Pass) {
        let (Pass::Probe(open), Some(bus)) = (pass, self.known().bus.clone()) else { return };
        // Called by a drop, which may be the process's end.
        let (Ok(runtime), key) = (Handle::try_current(), key.clone()) else { return };
        runtime.spawn(async move {
            // Otherwise the lease passes.
            if let Err(error) = bus.open(&key, Open { shut_ms: 0, ..open }).await {
                tracing::debug!(%error, "a circuit breaker could not be given back");
            }
        });
    }

    /// What this process itself has made of one: known before it comes back from the bus.
    fn hear(&self, key: &Key, open: Option<Open>, revision: u64) {
        let change = Change { key: key.clone(), revision, age: Duration::ZERO, open };
        self.known().state.hear(change, Instant::now());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shut {
    /// Why a call to this model was not made: in words, and as the kind of error that had come last.
    pub(super) fn into_error(self, model: &ModelRef) -> Error {
        let seconds = self.rest.as_millis().div_ceil(1_000);
        let (kind, why) = match self.trouble {
            Trouble::Auth => (ErrorKind::Auth, "has just refused this key"),
            Trouble::Quota => (ErrorKind::Quota, "has just said that this account has nothing left"),
            Trouble::Rate => (ErrorKind::Rate, "has been asked too often"),
            Trouble::Overload => (ErrorKind::Overload, "has been failing"),
            Trouble::Network => (ErrorKind::Network, "could not be reached"),
            Trouble::Timeout => (ErrorKind::Timeout(Deadline::FirstToken), "has been too slow to answer"),
        };
        let message = format!("{model} {why}; it is asked again in {seconds} s.");
        Error { retry_after: Some(self.rest), ..Error::new(kind, message) }
    }
}
