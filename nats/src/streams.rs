//! The streams: `EVT_<shard>`, which mirrors a shard of the log, and `SNAP`, which holds the text of running replies.

use std::time::Duration;

use async_nats::jetstream::context::{Context, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use domain::Shard;

use crate::{Error, subject};

/// The most events that a stream keeps; what is older is in the log.
const MAX_EVENTS: i64 = 1_000_000;
/// How long a stream keeps events.
const EVENTS_MAX_AGE: Duration = Duration::from_hours(7 * 24);
/// How many events a stream starts with that has to be made anew. Listeners read the log for what is older.
const REBUILT_EVENTS: u64 = 10_000;
/// How long the text of a running reply is kept after its last change.
const SNAPSHOT_MAX_AGE: Duration = Duration::from_mins(15);
/// The most bytes that all such texts may take in memory.
const SNAPSHOT_MAX_BYTES: i64 = 256 * 1024 * 1024;

/// The name of a shard's stream.
pub(crate) fn events_name(shard: Shard) -> String {
    format!("EVT_{shard}")
}

/// A shard's stream as it is on the server; none when it is not there.
pub(crate) async fn find_events(jetstream: &Context, shard: Shard) -> Result<Option<Stream>, Error> {
    match jetstream.get_stream(events_name(shard)).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(ref e)
                if e.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(Error::from_any(error)),
        },
    }
}

/// A message of a stream; none when the stream does not hold it, or no longer.
pub(crate) async fn message(stream: &Stream, sequence: u64) -> Result<Option<StreamMessage>, Error> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            _ => Err(Error::from_any(error)),
        },
    }
}

/// Makes a shard's stream so that its next sequence can be a position of the last [`REBUILT_EVENTS`] before `head`.
pub(crate) async fn create_events(jetstream: &Context, shard: Shard, head: u64) -> Result<Stream, Error> {
    let config = Config {
        name: events_name(shard),
        subjects: vec![subject::events(shard)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_messages: MAX_EVENTS,
        max_age: EVENTS_MAX_AGE,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        first_sequence: Some(head.saturating_sub(REBUILT_EVENTS) + 1),
        ..Config::default()
    };
    jetstream.create_stream(config).await.map_err(Error::from_any)
}

/// The stream of running replies' texts, made if need be.
pub(crate) async fn snapshots(jetstream: &Context) -> Result<Stream, Error> {
    let config = Config {
        name: "SNAP".to_owned(),
        subjects: vec![subject::SNAPSHOTS.to_owned()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::Memory,
        discard: DiscardPolicy::Old,
        max_messages_per_subject: 1,
        max_age: SNAPSHOT_MAX_AGE,
        max_bytes: SNAPSHOT_MAX_BYTES,
        allow_direct: true,
        ..Config::default()
    };
    jetstream.get_or_create_stream(config).await.map_err(Error::from_any)
}
