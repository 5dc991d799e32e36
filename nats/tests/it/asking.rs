//! A command reaches the owner of its shard, wherever that is and whenever it comes, and on its own subject only.

use domain::conversation::{Command, Error};
use domain::{Actor, Asked, Asker, ConversationId, MessageId};
use futures::future::join;
use nats::ask::{Asking, Request};
use nats::serve::{Incoming, Serving};
use nats::{Client, subject};
use sqlx::PgPool;
use store::writer::Refusal;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::database::migrated;
use crate::owner::{Owner, execute, request, start};
use crate::wait::DEADLINE;
use nats::test_server::Server;

/// Answers commands as an owner does.
fn serve(client: &Client, pool: &PgPool) -> AbortOnDropHandle<()> {
    let (client, owner) = (client.clone(), Owner::new(client, pool));
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut serving = Serving::start(client, 0).await.unwrap();
        while let Some(incoming) = serving.next().await {
            let Some(request) = incoming.request::<Command>() else { continue };
            let outcome = owner.writer.execute(execute(&request)).await;
            incoming.answer(&outcome).await;
        }
    }))
}

fn new_conversation() -> Request {
    request(ConversationId(Uuid::now_v7()), start())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_command_waits_for_an_owner(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let core = server.core().await;
    let asking = Asking::for_people(server.edge().await, 1);
    let command = new_conversation();
    let mut serving = None;
    let owner = async {
        // Nobody answers yet, which the server says at once.
        let nobody = core.request(subject::command(0, "conversation", "x"), "".into()).await;
        assert!(nobody.is_err());
        serving = Some(serve(&core, &pool));
    };
    let (first, ()) = timeout(DEADLINE, join(asking.ask(&command), owner)).await.expect("in time");
    assert_eq!(first.as_ref().unwrap().sequence, 1);
    assert_eq!(asking.ask(&command).await, first, "asked again, it gets its first result again");
    let refused = asking.ask(&Request { command_id: Uuid::new_v4().into(), ..command }).await;
    assert_eq!(refused, Err(Refusal::Domain { error: Error::AlreadyStarted }));
    drop(serving);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_frozen_former_owner_takes_nothing_away(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    // It listens as an owner does and says nothing.
    let _frozen = Serving::start(server.core().await, 0).await.unwrap();
    let core = server.core().await;
    let _serving = serve(&core, &pool);
    let asking = Asking::for_people(server.edge().await, 1);
    for _ in 0..20 {
        timeout(DEADLINE, asking.ask(&new_conversation())).await.expect("in time").unwrap();
    }
}

/// What an owner makes of a body on a subject.
async fn received(core: &Client, serving: &mut Serving, subject: String, request: &Request) -> Incoming {
    core.publish(subject, serde_json::to_vec(request).unwrap().into()).await.unwrap();
    timeout(DEADLINE, serving.next()).await.expect("in time").unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_command_is_read_on_its_own_subject_only(pool: PgPool) {
    drop(pool);
    let server = Server::start().await;
    let core = server.core().await;
    let mut serving = Serving::start(core.clone(), 0).await.unwrap();
    let peoples = new_conversation();
    let id = peoples.id.to_string();
    let asker = Asker { tenant: None, actor: Actor::Worker("reply".to_owned()) };
    let reply = MessageId(Uuid::now_v7());
    let claim = Command::ClaimReply {
        reply,
        attempt: 1,
        worker: "w".to_owned(),
        lease_ms: 1_000,
        model: None,
        alternatives: None,
        continues: false,
    };
    let workers = Request { asked: Asked { asker, command: claim }, ..peoples.clone() };
    let elsewhere = ConversationId(Uuid::now_v7()).to_string();

    for (subject, request, reads) in [
        (subject::command(0, "conversation", &id), &peoples, true),
        (subject::internal_command(0, "conversation", &id), &workers, true),
        (subject::command(0, "conversation", &id), &workers, false),
        (subject::internal_command(0, "conversation", &id), &peoples, false),
        (subject::command(0, "conversation", &elsewhere), &peoples, false),
    ] {
        let incoming = received(&core, &mut serving, subject.clone(), request).await;
        assert_eq!(incoming.request::<Command>().is_some(), reads, "{subject} {:?}", request.asked.command);
    }
}
