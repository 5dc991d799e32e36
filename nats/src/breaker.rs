//! Circuit breakers as processes share them: which credential's model is left alone, and for how long.
//!
//! They are entries of a bucket that NATS keeps in memory; a closed breaker has none. All of it may be lost at any time, and
//! then they are closed. Whoever writes an entry knows its revision, and one of many takes an entry over by naming the
//! revision that it knows: that is how a single call is let through to find out whether the provider is well again. How
//! long an entry holds is said as a duration, from when it was written: the clocks of processes differ.
//!
//! When a breaker opens and what that means is the workers' to decide.

use std::time::{Duration, SystemTime};

use async_nats::Client;
use async_nats::jetstream::kv::{Entry, Operation, Store, UpdateErrorKind, Watch};
use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
use domain::ModelRef;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, interval};

use crate::kv::{self, Bucket, in_time};
use crate::{Error, relay};

/// How long an entry is kept after its last change. Who is let through no more often than that begins anew.
pub const MAX_AGE: Duration = Duration::from_mins(10);
/// The most bytes that all entries may take in memory: some ten thousand breakers. One that finds no room stays closed.
const MAX_BYTES: i64 = 4 * 1024 * 1024;
const BUCKET: Bucket = Bucket {
    name: "breakers",
    storage: StorageType::Memory,
    max_age: MAX_AGE,
    max_bytes: MAX_BYTES,
    discard: DiscardPolicy::New,
};
/// How often a listener looks whether the bucket is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A breaker's name: opaque, so that it may stand in a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The breaker of a credential's calls to a model.
    pub fn of(credential: &str, model: &ModelRef) -> Self {
        Self(kv::opaque(&[credential, model.as_str()]))
    }
}

/// What is wrong with a provider, or with a credential there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The key is not accepted.
    Auth,
    /// The account has nothing left.
    Quota,
    /// There are too many calls.
    Rate,
    /// It is overloaded or broken.
    Overload,
    /// It cannot be reached.
    Network,
    /// It does not begin to answer in time.
    Timeout,
}

/// An open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What was wrong last.
    pub trouble: Trouble,
    /// How often it has opened since it was closed.
    pub times: u32,
    /// For how long nobody is let through, in milliseconds from when this was written.
    pub shut_ms: u64,
}

/// What a breaker has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which breaker.
    pub key: Key,
    /// Higher than that of every earlier change, as long as the bucket is not lost.
    pub revision: u64,
    /// How long ago it changed; what was written while somebody listened is new.
    pub age: Duration,
    /// None when it is closed.
    pub open: Option<Open>,
}

/// What became of the attempt to take an entry over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is this one's, as this revision.
    Ours(u64),
    /// Somebody else was quicker, and made this of it, as this revision; none when it is closed.
    Theirs(Option<(Open, u64)>),
}

/// Where breakers are shared.
#[derive(Clone, Debug)]
pub struct Breakers(Store);

impl Breakers {
    /// Opens one, whatever it was before; gives the revision.
    ///
    /// # Errors
    /// When the bus does not answer in time, or has no room.
    pub async fn open(&self, key: &Key, open: Open) -> Result<u64, Error> {
        let body = serde_json::to_vec(&open).map_err(Error::from_any)?;
        in_time(self.0.put(&key.0, body.into())).await?.map_err(Error::from_any)
    }

    /// Takes over one that is open as of a revision, unless it has changed since.
    ///
    /// # Errors
    /// When the bus does not answer in time.
    pub async fn take_over(&self, key: &Key, open: Open, revision: u64) -> Result<Taken, Error> {
        let body = serde_json::to_vec(&open).map_err(Error::from_any)?;
        match in_time(self.0.update(&key.0, body.into(), revision)).await? {
            Ok(revision) => Ok(Taken::Ours(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                Ok(Taken::Theirs(self.look(key).await?))
            }
            Err(error) => Err(Error::from_any(error)),
        }
    }

    /// Closes one.
    ///
    /// # Errors
    /// When the bus does not answer in time.
    pub async fn close(&self, key: &Key) -> Result<(), Error> {
        in_time(self.0.delete(&key.0)).await?.map_err(Error::from_any)
    }

    async fn look(&self, key: &Key) -> Result<Option<(Open, u64)>, Error> {
        let entry = in_time(self.0.entry(&key.0)).await?.map_err(Error::from_any)?;
        Ok(entry.and_then(|entry| Some((open(&entry)?, entry.revision))))
    }

    /// Whether all of them are still there.
    async fn look_for_bucket(&self) -> Result<(), Error> {
        let found = in_time(self.0.stream.get_info()).await?.map_err(Error::from_any)?;
        let known = self.0.stream.cached_info().created;
        if found.created == known { Ok(()) } else { Err(Error("the bucket was lost".to_owned())) }
    }
}

/// The changes of all breakers, beginning with those that are open already.
pub struct Changes {
    watch: Watch,
    breakers: Breakers,
    /// The newest revision when it began to listen.
    before: u64,
    look: Interval,
}

/// Listens to the breakers of all processes, and gives what changes them.
///
/// # Errors
/// When the bus does not answer.
pub async fn share(client: &Client) -> Result<(Breakers, Changes), Error> {
    let bucket = kv::bucket(&relay::jetstream(client), BUCKET).await?;
    let before = bucket.stream.cached_info().state.last_sequence;
    let watch = bucket.watch_with_history(">").await.map_err(Error::from_any)?;
    let breakers = Breakers(bucket);
    Ok((breakers.clone(), Changes { watch, breakers, before, look: interval(LOOK_EVERY) }))
}

impl Changes {
    /// The next one.
    ///
    /// # Errors
    /// When the bus or the bucket was lost: nothing holds any more that was heard before.
    pub async fn next(&mut self) -> Result<Change, Error> {
        loop {
            tokio::select! {
                entry = self.watch.next() => {
                    let entry = entry.ok_or_else(|| Error("the watch ended".to_owned()))?.map_err(Error::from_any)?;
                    let age = if entry.revision <= self.before { age(&entry) } else { Duration::ZERO };
                    let open = open(&entry);
                    return Ok(Change { key: Key(entry.key), revision: entry.revision, age, open });
                }
                // The watch itself would wait for a lost bucket for ever.
                _ = self.look.tick() => self.breakers.look_for_bucket().await?,
            }
        }
    }
}

/// By our clock and the server's, which may differ: at worst it has just begun or is over.
fn age(entry: &Entry) -> Duration {
    SystemTime::now().duration_since(entry.created.into()).unwrap_or_default()
}

/// What an entry says. What another version wrote and this one cannot read is no reason not to ask.
fn open(entry: &Entry) -> Option<Open> {
    serde_json::from_slice(&entry.value).ok().filter(|_| entry.operation == Operation::Put)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_credentials_and_models_apart_and_nothing_of_them() {
        let key = |credential: &str, model: &str| Key::of(credential, &model.parse().unwrap());
        let one = key("mine", "a/b");
        assert_eq!(one, key("mine", "a/b"));
        assert_ne!(one, key("yours", "a/b"));
        assert_ne!(one, key("mine", "a/c"));
        assert_ne!(key("mine", "ax/b"), key("minea", "x/b"));
        assert!(one.0.len() == 32 && one.0.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one:?}");
    }
}
