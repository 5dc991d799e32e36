//! The owner of shard 0: answers commands and tells the bus what it commits.

use domain::conversation::{Command, Conversation, Event, Finish, Part, Usage};
use domain::{Actor, Ask, Asked, Asker, CommandId, ConversationId, MessageId, account};
use nats::Client;
use nats::ask::Request;
use nats::live::{self, Delta, Kept, ReplyKey};
use nats::relay;
use nats::serve::{Incoming, Serving};
use sqlx::PgPool;
use store::writer::{self, Accepted, Execute, Handle};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub(crate) struct Owner {
    writer: Handle<Conversation>,
    client: Client,
    _running: DropGuard,
}

impl Owner {
    pub(crate) async fn start(client: &Client, pool: &PgPool) -> Self {
        let (committed, relayed) = mpsc::channel(64);
        let cancelled = CancellationToken::new();
        let writer = writer::spawn(pool.clone(), 0, committed);
        let jetstream = relay::jetstream(client);
        tokio::spawn(relay::run(jetstream, pool.clone(), 0, relayed, cancelled.clone()));
        tokio::spawn(live::serve_resumes(client.clone(), cancelled.clone()));
        let (mut serving, handle) = (Serving::start(client.clone(), 0).await.unwrap(), writer.clone());
        let serves = async move {
            while let Some(incoming) = serving.next().await {
                if incoming.aggregate() == Some(account::TYPE) {
                    answer::<account::Command>(&handle.of(), incoming);
                } else {
                    answer::<Command>(&handle, incoming);
                }
            }
        };
        tokio::spawn(cancelled.clone().run_until_cancelled_owned(serves));
        Self { writer, client: client.clone(), _running: cancelled.drop_guard() }
    }

    /// Does something as `ann` of `acme`, past the edge.
    pub(crate) async fn ann(&self, conversation: ConversationId, command: Command) -> Accepted {
        let ann = Asker { tenant: "acme".parse().ok(), actor: Actor::User("ann".parse().unwrap()) };
        self.ask(conversation, ann, command).await
    }

    /// Does something as a reply worker.
    pub(crate) async fn work(&self, conversation: ConversationId, command: Command) -> Accepted {
        self.ask(conversation, Asker { tenant: None, actor: Actor::Worker("reply".to_owned()) }, command).await
    }

    async fn ask(&self, conversation: ConversationId, asker: Asker, command: Command) -> Accepted {
        let command_id = CommandId(Uuid::new_v4());
        let request =
            Request { command_id, id: conversation, expected_sequence: None, asked: Asked { asker, command } };
        self.writer.execute(execute(request)).await.unwrap()
    }

    /// A new conversation of Ann's.
    pub(crate) async fn conversation(&self) -> ConversationId {
        let id = ConversationId(Uuid::new_v4());
        self.ann(id, Command::StartConversation { title: None, model: None, system_prompt: None }).await;
        id
    }

    pub(crate) async fn rename(&self, id: ConversationId, title: &str) -> Accepted {
        self.ann(id, Command::RenameConversation { title: title.to_owned() }).await
    }

    /// Ann says something that the model shall answer, and a worker takes it.
    pub(crate) async fn running_reply(&self, id: ConversationId) -> MessageId {
        let (message, reply) = (MessageId(Uuid::new_v4()), MessageId(Uuid::new_v4()));
        let parts = vec![Part::Text { text: "How?".to_owned() }];
        let parent = domain::conversation::Parent::ActiveLeaf;
        self.ann(id, Command::SubmitMessage { message, parent, parts, reply: Some(reply) }).await;
        self.claim(id, reply, 1).await;
        reply
    }

    pub(crate) async fn claim(&self, id: ConversationId, reply: MessageId, attempt: u32) {
        let worker = "w".to_owned();
        self.work(
            id,
            Command::ClaimReply {
                reply,
                attempt,
                worker,
                lease_ms: 60_000,
                model: None,
                alternatives: None,
                continues: false,
            },
        )
        .await;
    }

    pub(crate) async fn complete(&self, id: ConversationId, reply: MessageId, text: &str) {
        let parts = vec![Part::Text { text: text.to_owned() }];
        let (finish, model, usage) = (Finish::Stop, "demo/demo".parse().unwrap(), Usage::default());
        self.work(id, Command::CompleteReply { reply, attempt: 1, parts, finish, model, usage, spent: None }).await;
    }

    /// A piece of a running reply's text.
    pub(crate) async fn delta(&self, id: ConversationId, reply: MessageId, offset: usize, text: &str) {
        let delta = Delta { attempt: 1, offset, text: text.to_owned(), thinking: false };
        live::publish(&self.client, key(id, reply), &delta).await.unwrap();
    }

    /// The whole text so far, kept for those who join.
    pub(crate) async fn keep(&self, id: ConversationId, reply: MessageId, text: &str) {
        let whole = Delta { attempt: 1, offset: 0, text: text.to_owned(), thinking: false };
        live::keep(&self.client, key(id, reply), &Kept { whole, only_text: true }).await.unwrap();
    }
}

/// Events that someone else's process commits, of whom no writer and no relay hears: those that may come at any time.
pub(crate) async fn foreign(pool: &PgPool, id: ConversationId, sequence: i64, event: &Event) {
    let sql =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
               values ('conversation', $1, $2, $3, '1.0', $4, '{}')";
    let payload = serde_json::to_value(event).unwrap();
    sqlx::query(sql).bind(id.to_string()).bind(sequence).bind(event.name()).bind(payload).execute(pool).await.unwrap();
}

fn key(conversation: ConversationId, reply: MessageId) -> ReplyKey {
    ReplyKey { shard: 0, conversation, reply }
}

fn answer<C: Ask>(writer: &Handle<C::Aggregate>, incoming: Incoming) {
    let Some(request) = incoming.request::<C>() else { return };
    let outcome = writer.submit(execute(request));
    tokio::spawn(async move { incoming.answer(&outcome.await).await });
}

/// As workers do: people's command ids are their own.
fn execute<C: Ask>(request: Request<C>) -> Execute<C::Aggregate> {
    Execute {
        command_id: request.command_id.derive(&request.asked.asker.to_string()).into(),
        aggregate_id: request.id.to_string(),
        traceparent: None,
        expected_sequence: request.expected_sequence,
        actor: request.asked.asker.actor.clone(),
        command: request.asked,
    }
}
