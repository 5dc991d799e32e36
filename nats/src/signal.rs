//! What is heard besides events: live text, signals, changed lists, shards that are free. All of it may be lost without
//! harm.

use async_nats::{Client, Subscriber};
use domain::{ConversationId, MessageId, Shard, Tenant, UserId};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::live::Delta;
use crate::{Error, subject};

/// Someone is typing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Who.
    pub user: UserId,
}

/// A change in someone's list of conversations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListChange {
    /// The conversation.
    pub id: ConversationId,
    /// Its row; none when it left the list.
    pub conversation: Option<Box<serde_json::value::RawValue>>,
}

/// Tells a conversation's other clients.
///
/// # Errors
/// When the connection has ended.
pub async fn typing(client: &Client, shard: Shard, conversation: ConversationId, typing: &Typing) -> Result<(), Error> {
    let body = serde_json::to_vec(typing).map_err(Error::from_any)?;
    client.publish(subject::signal(shard, conversation), body.into()).await.map_err(Error::from_any)
}

/// Tells a person's clients.
///
/// # Errors
/// When the connection has ended.
pub async fn list_changed(client: &Client, tenant: &Tenant, user: &UserId, change: &ListChange) -> Result<(), Error> {
    let body = serde_json::to_vec(change).map_err(Error::from_any)?;
    client.publish(subject::list(tenant, user), body.into()).await.map_err(Error::from_any)
}

/// What a shard's live text and signals subjects bring.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A piece of a reply's text.
    Delta(ConversationId, MessageId, Delta),
    /// Someone is typing.
    Typing(ConversationId, Typing),
}

/// Listens to a subject of [`subject::lives`], [`subject::signals`] or [`subject::LISTS`].
///
/// # Errors
/// When the connection has ended.
pub async fn listen(client: &Client, subject: impl Into<String>) -> Result<Subscriber, Error> {
    client.subscribe(subject.into()).await.map_err(Error::from_any)
}

/// Reads a message of a shard's live text or signals; none when it is not one.
pub fn heard(message: &async_nats::Message) -> Option<Heard> {
    let mut tokens = message.subject.as_str().split('.');
    let (kind, _shard) = (tokens.next()?, tokens.next()?);
    let conversation = tokens.next()?.parse().ok()?;
    match kind {
        "live" => {
            let reply = tokens.next()?.parse().ok()?;
            Some(Heard::Delta(conversation, reply, serde_json::from_slice(&message.payload).ok()?))
        }
        "sig" => Some(Heard::Typing(conversation, serde_json::from_slice(&message.payload).ok()?)),
        _ => None,
    }
}

/// Says that shards of a role were given up, so that others need not wait until they look. Whoever misses it looks anyway.
pub async fn freed(client: &Client, role: &str) {
    if let Err(error) = client.publish(subject::freed(role), bytes::Bytes::new()).await {
        tracing::debug!(%error, "nobody was told of free shards; they are looked for");
    }
}

/// Hears of shards that were given up.
#[derive(Debug)]
pub struct Freed(Option<Subscriber>);

impl Freed {
    /// Listens for a role's.
    pub async fn listen(client: &Client, role: &str) -> Self {
        Self(client.subscribe(subject::freed(role)).await.ok())
    }

    /// Returns when some were given up; never when nothing can be heard.
    pub async fn heard(&mut self) {
        let heard = match &mut self.0 {
            Some(subscriber) => subscriber.next().await.is_some(),
            None => false,
        };
        if !heard {
            self.0 = None;
            std::future::pending::<()>().await;
        }
    }
}
