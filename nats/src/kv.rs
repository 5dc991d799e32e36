//! Buckets of JetStream's key-value store, for what processes share and may lose at any time.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};

use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::{Error, subject};

/// How long the bus may take: replies wait for it, and what is kept here can be had without it.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a bucket is like. It holds the newest value of each key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it is kept.
    pub(crate) storage: StorageType,
    /// How long a value is kept.
    pub(crate) max_age: Duration,
    /// The most bytes that it may take.
    pub(crate) max_bytes: i64,
    /// What gives way when it is full: further values, or the oldest ones.
    pub(crate) discard: DiscardPolicy,
}

/// A bucket, made if need be. One that exists stays as it is, but for what gives way when it is full.
///
/// # Errors
/// When the bus does not answer, or has no room.
pub(crate) async fn bucket(jetstream: &Context, like: Bucket) -> Result<Store, Error> {
    // As the client itself would make it, but without having to ask for what the account may.
    let config = Config {
        name: format!("KV_{}", like.name),
        subjects: vec![subject::bucket(like.name)],
        storage: like.storage,
        discard: like.discard,
        max_messages_per_subject: 1,
        max_age: like.max_age,
        max_bytes: like.max_bytes,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..Config::default()
    };
    let stream = jetstream.get_or_create_stream(config.clone()).await.map_err(Error::from_any)?;
    if stream.cached_info().config.discard != like.discard {
        // Of another version. Nobody here may change it, but what it holds may be lost at any time.
        jetstream.delete_stream(&config.name).await.map_err(Error::from_any)?;
        jetstream.create_stream(config).await.map_err(Error::from_any)?;
    }
    jetstream.get_key_value(like.name).await.map_err(Error::from_any)
}

/// What is asked of a bucket, if it answers in time.
pub(crate) async fn in_time<T>(asking: impl Future<Output = T>) -> Result<T, Error> {
    timeout(DEADLINE, asking).await.map_err(Error::from_any)
}

/// One name for all of these together, which tells nothing of them: fit for a key, and so for a subject.
pub fn opaque(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no two lists read the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    format!("{:032x}", u128::from_be_bytes(first))
}
