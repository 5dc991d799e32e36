//! What a client says, frame by frame.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use domain::{Asked, CommandId, ConversationId, shard_of};
use futures::FutureExt;
use futures::future::BoxFuture;
use nats::ask::Request;
use nats::signal::{self, Typing};
use nats::trace;
use store::log;

use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use super::close::Close;
use super::deliver::Read;
use super::frame::{self, ClientCommand, ClientFrame, ReplyCursor, ServerFrame, Snapshot};
use super::snapshot;
use super::socket::{Socket, Subscription};
use crate::auth::{AuthError, Identity};
use crate::edge::Edge;
use crate::error::Problem;
use crate::hub::{Cursor, Room};

/// The most requests of a socket that may be under way.
const MAX_DOING: usize = 64;
/// The most conversations that a socket may follow.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// How long it may take until a conversation can be followed.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// The most replies of which a client may say how much it has.
const MAX_CURSORS: usize = 16;
/// How many events a returning client is sent one by one; one that lacks more gets a snapshot.
const MAX_REPLAY: u64 = 1_000;
/// How long a room may take to hear what the log has, and the pause between two looks whether it has.
const HEARING_DEADLINE: Duration = Duration::from_secs(2);
const HEARING_PAUSE: Duration = Duration::from_millis(5);
/// The shortest time between two typing signals of a socket; those in between are left out.
const TYPING_EVERY: Duration = Duration::from_millis(500);

/// Something that a client asked for and that is done.
pub(super) enum Done {
    /// This is to be said.
    Told(Option<Utf8Bytes>),
    /// A token was checked.
    Authenticated(Result<Identity, AuthError>),
    /// A conversation can be followed, or not.
    Subscribed(Box<Subscribed>),
    /// Older events were read.
    Read(Box<Read>),
}

pub(super) struct Subscribed {
    /// Which of the socket's requests this is the answer to.
    number: u64,
    conversation: ConversationId,
    result: Result<(Arc<Room>, Cursor, Option<Snapshot>), Problem>,
}

/// Takes a frame in.
pub(super) async fn receive(socket: &mut Socket, text: &str) -> Result<(), Close> {
    let frame: ClientFrame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => return refuse_unreadable(socket, text, &error).await,
    };
    let (id, conversation) = named(&frame);
    match frame {
        ClientFrame::Ping {} => return socket.tell(&ServerFrame::Pong {}).await,
        ClientFrame::Auth { token } if socket.doing.len() < MAX_DOING => {
            socket.doing.push(authenticate(socket.edge.clone(), token));
        }
        ClientFrame::Auth { .. } => return refuse(socket, None, None, &too_much()).await,
        _ if socket.identity.is_none() => {
            let problem = Problem::unauthenticated("log in first: send an auth frame");
            return refuse(socket, id, conversation, &problem).await;
        }
        _ if socket.doing.len() >= MAX_DOING => {
            return refuse(socket, id, conversation, &too_much()).await;
        }
        ClientFrame::Command { id, conversation, expected_sequence, traceparent, command } => {
            let span = span(conversation, traceparent.as_deref());
            command_asked(socket, id, conversation, expected_sequence, command, span);
        }
        ClientFrame::Subscribe { conversation, after, replies } => {
            return subscribe(socket, conversation, after, &replies).await;
        }
        ClientFrame::Unsubscribe { conversation } => return socket.drop_subscription(conversation, "asked").await,
        ClientFrame::Typing { conversation } => typing(socket, conversation),
    }
    Ok(())
}

fn too_much() -> Problem {
    Problem::too_many("too many requests are under way on this socket")
}

/// Checks a token.
pub(super) fn authenticate(edge: Arc<Edge>, token: String) -> BoxFuture<'static, Done> {
    async move { Done::Authenticated(edge.verifier.verify(&token).await) }.boxed()
}

/// A token was checked: whoever is logged in may only hand over a newer token of their own.
pub(super) async fn authenticated(socket: &mut Socket, result: Result<Identity, AuthError>) -> Result<(), Close> {
    let identity = match result {
        Ok(identity) => identity,
        Err(AuthError::KeysUnavailable) => {
            return refuse(socket, None, None, &Problem::unavailable()).await;
        }
        Err(AuthError::Invalid | AuthError::Expired) => return Err(Close::Unauthenticated),
    };
    let (user, expires_at) = (identity.user.clone(), identity.expires_at);
    match &socket.identity {
        Some(known) if (&known.tenant, &known.user) != (&identity.tenant, &identity.user) => {
            return Err(Close::Unauthenticated);
        }
        Some(_) => {}
        None => socket.edge.hub.follow_list(&identity.tenant, &identity.user, &socket.wake),
    }
    socket.identity = Some(identity);
    socket.tell(&ServerFrame::Authenticated { user: &user, expires_at }).await
}

fn command_asked(
    socket: &Socket,
    id: CommandId,
    conversation: ConversationId,
    expected_sequence: Option<u64>,
    command: ClientCommand,
    span: Span,
) {
    let Some(asker) = socket.identity.as_ref().map(Identity::asker) else { return };
    let command = command.into_domain(id);
    let request = Request { command_id: id, id: conversation, expected_sequence, asked: Asked { asker, command } };
    let edge = socket.edge.clone();
    let asking = async move {
        let frame = match edge.asking.ask(&request).await {
            Ok(accepted) => frame::encode(&ServerFrame::Ack {
                id,
                sequence: accepted.sequence,
                position: &accepted.position.to_string(),
            }),
            Err(refusal) => refused(Some(id), Some(conversation), &Problem::from(refusal)),
        };
        Done::Told(frame)
    };
    socket.doing.push(asking.instrument(span).boxed());
}

/// From a command's frame to its answer: where a trace begins, or a client's own goes on.
fn span(conversation: ConversationId, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        "edge.command",
        otel.kind = "server",
        gen_ai.conversation.id = %conversation,
    );
    if let Some(traceparent) = traceparent {
        trace::follow_client(&span, traceparent);
    }
    span
}

async fn subscribe(
    socket: &mut Socket,
    conversation: ConversationId,
    after: Option<u64>,
    replies: &[ReplyCursor],
) -> Result<(), Close> {
    let Some(identity) = socket.identity.clone() else { return Ok(()) };
    let new = !socket.subscriptions.contains_key(&conversation);
    if new && socket.subscriptions.len() + socket.opening.len() >= MAX_SUBSCRIPTIONS {
        let problem = Problem::too_many(format!("a socket follows at most {MAX_SUBSCRIPTIONS} conversations"));
        return refuse(socket, None, Some(conversation), &problem).await;
    }
    let replies =
        replies.iter().take(MAX_CURSORS).map(|cursor| (cursor.reply, (cursor.attempt, cursor.offset as usize)));
    let cursor = Cursor { sequence: after.unwrap_or(0), replies: replies.collect() };
    socket.opened += 1;
    socket.opening.insert(conversation, socket.opened);
    let (edge, number) = (socket.edge.clone(), socket.opened);
    let opening = async move {
        let opening = open(&edge, &identity, conversation, after, cursor);
        let result = timeout(OPEN_DEADLINE, opening).await.unwrap_or_else(|_| Err(Problem::unavailable()));
        Done::Subscribed(Box::new(Subscribed { number, conversation, result }))
    };
    socket.doing.push(opening.boxed());
    Ok(())
}

async fn open(
    edge: &Edge,
    identity: &Identity,
    conversation: ConversationId,
    after: Option<u64>,
    cursor: Cursor,
) -> Result<(Arc<Room>, Cursor, Option<Snapshot>), Problem> {
    let room = edge.hub.room(conversation).await?;
    if !room.is_visible_to(identity) && !becomes_visible(edge, &room, identity).await? {
        return Err(Problem::not_found());
    }
    let sequence = room.sequence();
    if after.is_some_and(|after| after <= sequence && sequence - after <= MAX_REPLAY) {
        return Ok((room, cursor, None));
    }
    let shard = shard_of(&conversation.to_string(), edge.asking.shards());
    let (sequence, snapshot) = snapshot::read(&edge.pool, identity, shard, conversation).await?;
    Ok((room, Cursor { sequence, ..cursor }, Some(snapshot)))
}

/// Whether the room lets someone in once it has heard what the log has by now: who was added a moment ago may have heard of
/// it before the room did.
async fn becomes_visible(edge: &Edge, room: &Room, identity: &Identity) -> Result<bool, Problem> {
    let id = room.key.conversation.to_string();
    let last = log::last_sequence(&edge.pool, domain::conversation::TYPE, &id).await?;
    let deadline = Instant::now() + HEARING_DEADLINE;
    while room.sequence() < last && Instant::now() < deadline {
        tokio::time::sleep(HEARING_PAUSE).await;
    }
    Ok(room.is_visible_to(identity))
}

/// A conversation can be followed from here on: first what the client lacks, then news.
pub(super) async fn subscribed(socket: &mut Socket, subscribed: Subscribed) -> Result<(), Close> {
    let Subscribed { number, conversation, result } = subscribed;
    // Asked for anew since, or no longer wanted.
    if socket.opening.get(&conversation) != Some(&number) {
        return Ok(());
    }
    socket.opening.remove(&conversation);
    let visible = |room: &Room| socket.identity.as_ref().is_some_and(|identity| room.is_visible_to(identity));
    let (room, cursor, snapshot) = match result {
        Ok(opened) if visible(&opened.0) => opened,
        Ok(_) => return refuse(socket, None, Some(conversation), &Problem::not_found()).await,
        Err(problem) => return refuse(socket, None, Some(conversation), &problem).await,
    };
    room.follow(&socket.wake);
    let sequence = cursor.sequence;
    socket.subscriptions.insert(conversation, Subscription { room, cursor, is_live: false });
    socket.tell(&ServerFrame::Subscribed { conversation, sequence, snapshot }).await?;
    socket.deliver(conversation).await
}

fn typing(socket: &mut Socket, conversation: ConversationId) {
    let too_soon = socket.last_typing.is_some_and(|last| last.elapsed() < TYPING_EVERY);
    let (Some(identity), Some(subscription)) = (&socket.identity, socket.subscriptions.get(&conversation)) else {
        return;
    };
    if too_soon || !subscription.room.is_visible_to(identity) {
        return;
    }
    let (edge, typing) = (socket.edge.clone(), Typing { user: identity.user.clone() });
    let shard = subscription.room.key.shard;
    let telling = async move {
        if let Err(error) = signal::typing(&edge.client, shard, conversation, &typing).await {
            tracing::debug!(%error, "a typing signal was lost");
        }
        Done::Told(None)
    };
    socket.doing.push(telling.boxed());
    socket.last_typing = Some(Instant::now());
}

async fn refuse(
    socket: &mut Socket,
    id: Option<CommandId>,
    conversation: Option<ConversationId>,
    problem: &Problem,
) -> Result<(), Close> {
    let Problem { code, message, retryable, .. } = problem;
    socket.tell(&ServerFrame::Refused { id, conversation, code, message, retryable: *retryable }).await
}

fn refused(id: Option<CommandId>, conversation: Option<ConversationId>, problem: &Problem) -> Option<Utf8Bytes> {
    let Problem { code, message, retryable, .. } = problem;
    frame::encode(&ServerFrame::Refused { id, conversation, code, message, retryable: *retryable })
}

/// What cannot be read is refused by its id, if it has one, so that a client's promise does not wait for ever.
async fn refuse_unreadable(socket: &mut Socket, text: &str, error: &serde_json::Error) -> Result<(), Close> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: Option<CommandId>,
        conversation: Option<ConversationId>,
    }
    match serde_json::from_str::<Named>(text) {
        Ok(Named { id, conversation }) if id.is_some() || conversation.is_some() => {
            refuse(socket, id, conversation, &Problem::malformed(error.to_string())).await
        }
        _ => socket.refuse_malformed(&error.to_string()).await,
    }
}

fn named(frame: &ClientFrame) -> (Option<CommandId>, Option<ConversationId>) {
    match frame {
        ClientFrame::Command { id, conversation, .. } => (Some(*id), Some(*conversation)),
        ClientFrame::Subscribe { conversation, .. }
        | ClientFrame::Unsubscribe { conversation }
        | ClientFrame::Typing { conversation } => (None, Some(*conversation)),
        ClientFrame::Auth { .. } | ClientFrame::Ping {} => (None, None),
    }
}
