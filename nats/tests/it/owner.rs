//! The owner of shard 0: a writer, and a relay that tells the bus what it commits.

use domain::conversation::{Command, Conversation};
use domain::{Actor, Asked, Asker, CommandId, ConversationId};
use nats::ask::Request;
use nats::{Client, relay};
use sqlx::PgPool;
use store::writer::{self, Accepted, Execute, Handle};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Owns while it is there.
pub(crate) struct Owner {
    pub(crate) writer: Handle<Conversation>,
    _relay: DropGuard,
}

impl Owner {
    pub(crate) fn new(client: &Client, pool: &PgPool) -> Self {
        Self::with_room(client, pool, 64)
    }

    /// With room for that many batches between writer and relay.
    pub(crate) fn with_room(client: &Client, pool: &PgPool, room: usize) -> Self {
        let (committed, relayed) = mpsc::channel(room);
        let cancelled = CancellationToken::new();
        let writer = writer::spawn(pool.clone(), 0, committed);
        tokio::spawn(relay::run(relay::jetstream(client), pool.clone(), 0, relayed, cancelled.clone()));
        Self { writer, _relay: cancelled.drop_guard() }
    }

    /// A new conversation.
    pub(crate) async fn start(&self) -> ConversationId {
        let conversation = ConversationId(Uuid::now_v7());
        self.say(&request(conversation, start())).await;
        conversation
    }

    /// Gives it another title, which is one event.
    pub(crate) async fn rename(&self, conversation: ConversationId, title: &str) -> Accepted {
        self.say(&request(conversation, Command::RenameConversation { title: title.to_owned() })).await
    }

    async fn say(&self, request: &Request) -> Accepted {
        self.writer.execute(execute(request)).await.unwrap()
    }
}

pub(crate) fn start() -> Command {
    Command::StartConversation { title: None, model: None, system_prompt: None }
}

/// Ann's request.
pub(crate) fn request(conversation: ConversationId, command: Command) -> Request {
    let ann = Asker { tenant: "acme".parse().ok(), actor: Actor::User("ann".parse().unwrap()) };
    let asked = Asked { asker: ann, command };
    Request { command_id: CommandId(Uuid::new_v4()), id: conversation, expected_sequence: None, asked }
}

/// A request as a writer takes it.
pub(crate) fn execute(request: &Request) -> Execute<Conversation> {
    Execute {
        command_id: request.command_id,
        aggregate_id: request.id.to_string(),
        traceparent: None,
        expected_sequence: request.expected_sequence,
        actor: request.asked.asker.actor.clone(),
        command: request.asked.clone(),
    }
}
