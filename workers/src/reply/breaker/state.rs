//! Circuit breakers as a process sees them: pure, on a clock that is passed in.
//!
//! Closed, a breaker counts what fails one after the other. Open, it lets nobody through until its cool-down is over. Then it
//! is half open for whoever asks: one of all processes takes the entry over and is let through, with a lease as the others'
//! cool-down. What that one call comes to closes the breaker, or opens it for longer; a call that comes to nothing is over with
//! its lease, and the next one is let through.

use std::collections::HashMap;
use std::time::Duration;

use nats::breaker::{Change, Key, MAX_AGE, Open, Trouble};
use tokio::time::Instant;

/// How many failures one after the other open a breaker. What is wrong with the account opens it at once.
pub(super) const FAILURES: u32 = 3;
/// Within what time they do.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// How long nobody is let through the first time; twice as long each further time.
pub(super) const FIRST_COOL_DOWN: Duration = Duration::from_secs(5);
/// The longest that nobody is let through, whatever the provider asks for: no more than a waiting reply waits at a time.
pub(super) const MAX_COOL_DOWN: Duration = Duration::from_millis(domain::conversation::MAX_RETRY_AFTER_MS);
/// How long nobody is let through when the account is the trouble, each time: whoever has put it right should not be told for
/// long that it is not.
pub(super) const ACCOUNT_COOL_DOWN: Duration = Duration::from_secs(10);
/// How long the one that is let through has to find out, before another one is.
pub(super) const PROBE_LEASE: Duration = Duration::from_secs(10);
/// The most breakers that a process knows to be open, and the most that it counts failures of.
const MAX_KNOWN: usize = 10_000;

/// What a process knows of all breakers.
#[derive(Debug, Default)]
pub(super) struct State {
    failures: HashMap<Key, Failures>,
    open: HashMap<Key, Seen>,
}

/// Failures one after the other.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

/// An open breaker as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) open: Open,
    pub(super) revision: u64,
    since: Instant,
}

/// Whether a call is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is.
    Closed,
    /// It is, if it takes this over.
    HalfOpen(Seen),
    /// It is not.
    Shut(Shut),
}

/// Why a call is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reply) struct Shut {
    /// What was wrong last.
    pub(super) trouble: Trouble,
    /// How long it stays like this.
    pub(super) rest: Duration,
}

impl State {
    pub(super) fn ask(&self, key: &Key, now: Instant) -> Answer {
        let Some(seen) = self.open.get(key) else { return Answer::Closed };
        let gone = now.saturating_duration_since(seen.since);
        let rest = Duration::from_millis(seen.open.shut_ms).saturating_sub(gone);
        if !rest.is_zero() {
            Answer::Shut(Shut { trouble: seen.open.trouble, rest })
        } else if gone < MAX_AGE {
            Answer::HalfOpen(*seen)
        } else {
            // By now it is forgotten where it is shared.
            Answer::Closed
        }
    }

    /// A call that was let through has failed; gives what the breaker opens with, if it does.
    pub(super) fn failed(
        &mut self,
        key: &Key,
        trouble: Trouble,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Option<Open> {
        // It began before the breaker opened: what it says is known.
        if self.ask(key, now) != Answer::Closed {
            return None;
        }
        if self.count(key, now)? < FAILURES && !is_of_account(trouble) {
            return None;
        }
        self.failures.remove(key);
        Some(opened(trouble, retry_after, 1))
    }

    /// The failures one after the other, this one among them; none when there is no room to count.
    fn count(&mut self, key: &Key, now: Instant) -> Option<u32> {
        let is_recent = |failures: &Failures| now.saturating_duration_since(failures.since) < WINDOW;
        if !self.failures.contains_key(key) && self.failures.len() >= MAX_KNOWN {
            self.failures.retain(|_, failures| is_recent(failures));
            if self.failures.len() >= MAX_KNOWN {
                return None;
            }
        }
        let first = Failures { count: 0, since: now };
        let failures = self.failures.entry(key.clone()).or_insert(first);
        if !is_recent(failures) {
            *failures = first;
        }
        failures.count += 1;
        Some(failures.count)
    }

    /// A call has been answered; whether that closes the breaker.
    pub(super) fn well(&mut self, key: &Key) -> bool {
        self.failures.remove(key);
        self.open.remove(key).is_some()
    }

    /// Hears what a breaker has become. Changes come in order, but this process' own may come before their echo.
    pub(super) fn hear(&mut self, change: Change, now: Instant) {
        let Change { key, revision, age, open } = change;
        if self.open.get(&key).is_some_and(|seen| seen.revision > revision) {
            return;
        }
        let Some(open) = open else {
            self.open.remove(&key);
            return;
        };
        if !self.open.contains_key(&key) && self.open.len() >= MAX_KNOWN {
            self.open.retain(|_, seen| now.saturating_duration_since(seen.since) < MAX_AGE);
            if self.open.len() >= MAX_KNOWN {
                return;
            }
        }
        let since = now.checked_sub(age).unwrap_or(now);
        self.open.insert(key, Seen { open, revision, since });
    }
}

/// Whether it is the account that is the trouble: then every call fails, until a person has put it right.
fn is_of_account(trouble: Trouble) -> bool {
    match trouble {
        Trouble::Auth | Trouble::Quota => true,
        Trouble::Rate | Trouble::Overload | Trouble::Network | Trouble::Timeout => false,
    }
}

/// Open, for the first time or once more.
pub(super) fn opened(trouble: Trouble, retry_after: Option<Duration>, times: u32) -> Open {
    let cool_down = if is_of_account(trouble) {
        ACCOUNT_COOL_DOWN
    } else {
        let doublings = times.saturating_sub(1).min(10);
        let usual = FIRST_COOL_DOWN.saturating_mul(1 << doublings);
        usual.max(retry_after.unwrap_or_default()).min(MAX_COOL_DOWN)
    };
    Open { trouble, times, shut_ms: millis(cool_down) }
}

/// Half open, with one call under way.
pub(super) fn probing(open: Open) -> Open {
    Open { shut_ms: millis(PROBE_LEASE), ..open }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
