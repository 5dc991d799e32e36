//! The text of a running reply: its pieces as they come, and the whole so far for those who join. Neither is truth: the
//! finished reply is an event.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::{Client, Message};
use domain::{ConversationId, MessageId, Shard};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Error, relay, streams, subject};

/// How long an edge waits for the text of a running reply.
const RESUME_DEADLINE: Duration = Duration::from_secs(1);
/// How often the resume service sees to it that there is a stream to keep texts in.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause before the resume service starts over.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A piece of a reply's text, or, from offset 0, the whole so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The attempt whose text it is.
    pub attempt: u32,
    /// Where it begins, in bytes of the attempt's text.
    pub offset: usize,
    /// The text.
    pub text: String,
    /// A sign of life in place of text: the model thinks. It has offset 0 and no text, so that it joins any text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thinking: bool,
}

/// The whole text so far, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The text.
    #[serde(flatten)]
    pub whole: Delta,
    /// Whether the model has said nothing but this: no thought, no call of a tool. What an earlier version kept does not say.
    #[serde(default)]
    pub only_text: bool,
}

/// Which reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplyKey {
    /// The conversation's shard.
    pub shard: Shard,
    /// The conversation.
    pub conversation: ConversationId,
    /// The reply.
    pub reply: MessageId,
}

/// Tells everyone who listens.
///
/// # Errors
/// When the connection has ended.
pub async fn publish(client: &Client, key: ReplyKey, delta: &Delta) -> Result<(), Error> {
    let body = serde_json::to_vec(delta).map_err(Error::from_any)?;
    let subject = subject::live(key.shard, key.conversation, key.reply);
    client.publish(subject, body.into()).await.map_err(Error::from_any)
}

/// Keeps the whole text so far for those who join. Not waited for: the next one comes soon.
///
/// # Errors
/// When the connection has ended.
pub async fn keep(client: &Client, key: ReplyKey, kept: &Kept) -> Result<(), Error> {
    let body = serde_json::to_vec(kept).map_err(Error::from_any)?;
    let subject = subject::snapshot(key.shard, key.conversation, key.reply);
    client.publish(subject, body.into()).await.map_err(Error::from_any)
}

/// The whole text so far, as CORE sees it; none when nothing is kept.
///
/// # Errors
/// When the bus does not answer.
pub async fn kept(jetstream: &Context, key: ReplyKey) -> Result<Option<Kept>, Error> {
    let stream = jetstream.get_stream_no_info("SNAP").await.map_err(Error::from_any)?;
    match stream.direct_get_last_for_subject(subject::snapshot(key.shard, key.conversation, key.reply)).await {
        Ok(message) => serde_json::from_slice(&message.payload).map(Some).map_err(|error| Error::unreadable(&error)),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from_any(error)),
    }
}

/// The whole text so far, as an edge gets it: through the resume service. None when nothing is kept.
///
/// # Errors
/// When no one answers.
pub async fn resume(client: &Client, key: ReplyKey) -> Result<Option<Delta>, Error> {
    let subject = subject::resume(key.shard, key.conversation, key.reply);
    let answer = tokio::time::timeout(RESUME_DEADLINE, client.request(subject, bytes::Bytes::new())).await;
    let message = answer.map_err(Error::from_any)?.map_err(Error::from_any)?;
    if message.payload.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&message.payload).map(Some).map_err(|error| Error::unreadable(&error))
}

/// Answers edges' requests for the text of running replies, until cancelled. Edges have no access to streams.
pub async fn serve_resumes(client: Client, cancelled: CancellationToken) {
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            served = serve(&client) => if let Err(error) = served {
                tracing::warn!(%error, "the resume service starts over");
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn serve(client: &Client) -> Result<(), Error> {
    let jetstream = relay::jetstream(client);
    let mut requests = client.queue_subscribe(subject::RESUMES, "resume".to_owned()).await.map_err(Error::from_any)?;
    // The stream lives in memory alone and a server may forget even its name, which `keep` would not notice.
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut stream = streams::snapshots(&jetstream).await?;
    loop {
        tokio::select! {
            request = requests.next() => match request {
                Some(request) => answer(client.clone(), stream.clone(), request),
                None => return Err(Error("the subscription ended".to_owned())),
            },
            _ = look.tick() => stream = streams::snapshots(&jetstream).await?,
        }
    }
}

/// Answers one request beside the others.
fn answer(client: Client, stream: Stream, request: Message) {
    let (Some(reply), Some(subject)) = (request.reply, subject::snapshot_of_resume(&request.subject)) else { return };
    tokio::spawn(async move {
        let kept = stream.direct_get_last_for_subject(subject).await;
        let body = kept.map(|message| message.payload).unwrap_or_default();
        let _ = client.publish(reply, body).await;
    });
}
