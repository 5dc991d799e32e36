//! The lists of models that providers gave, kept for a day, so that a provider is asked once for what many want to know.
//!
//! They are entries of a bucket of NATS, which may lose them at any time: then providers are asked again. Whose credential a
//! list was got with is part of its key, which tells nothing to whoever reads it; so nobody is told what another's key opens.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::{DiscardPolicy, StorageType};

use crate::kv::{self, Bucket, in_time};
use crate::probe::Model;
use crate::{Error, relay};

/// How long a list is believed.
const MAX_AGE: Duration = Duration::from_hours(24);
/// The most bytes that all lists may take: some thousands of usual ones. The oldest make room for others: whoever has ever new
/// lists kept has others' asked for once more, and keeps nobody's from being kept.
const MAX_BYTES: i64 = 64 * 1024 * 1024;
/// The largest list that is kept, in bytes: of about a thousand models. Whose provider has more is asked each time.
const MAX_LIST_BYTES: usize = 64 * 1024;
const BUCKET: Bucket = Bucket {
    name: "models",
    storage: StorageType::File,
    max_age: MAX_AGE,
    max_bytes: MAX_BYTES,
    discard: DiscardPolicy::Old,
};

/// Where the lists are kept. Inside CORE: an edge asks by [`crate::probe`].
#[derive(Clone, Debug)]
pub struct ModelLists(Context);

impl ModelLists {
    /// Those of this bus.
    pub fn new(client: &Client) -> Self {
        Self(relay::jetstream(client))
    }

    /// The list of this key; none when it is not kept, or no longer.
    ///
    /// # Errors
    /// When the bus does not answer in time.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<Model>>, Error> {
        let bytes = in_time(async { self.bucket().await?.get(key).await.map_err(Error::from_any) }).await??;
        // What another version wrote and this one cannot read is asked for again.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Keeps a list. One that is too large is not kept.
    ///
    /// # Errors
    /// When the bus does not answer in time.
    pub async fn put(&self, key: &str, models: &[Model]) -> Result<(), Error> {
        let body = serde_json::to_vec(models).map_err(Error::from_any)?;
        if body.len() > MAX_LIST_BYTES {
            return Ok(());
        }
        in_time(async { self.bucket().await?.put(key, body.into()).await.map_err(Error::from_any) }).await??;
        Ok(())
    }

    /// Looked for each time: lists are asked for rarely, and a bucket may be lost.
    async fn bucket(&self) -> Result<Store, Error> {
        kv::bucket(&self.0, BUCKET).await
    }
}
