//! Wake-ups: delivered until taken in or parked, whatever the server forgets.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::PullConsumer;
use futures::StreamExt;
use nats::consume::{self, Delivery, Failure, Wake};
use nats::{Client, relay};
use sqlx::PgPool;
use store::dead_letter;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::database::migrated;
use crate::mirror::compare;
use crate::owner::Owner;
use crate::wait::{DEADLINE, until};
use nats::test_server::Server;

/// So long that nothing else here lasts as long.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// The most events that a worker of these tests has at a time.
const SLOTS: usize = 16;

const WAKE: Wake =
    Wake { role: "test", aggregate: "conversation", event_types: &["ConversationRenamed"], ack_wait: ACK_WAIT };

/// A worker of the role, for as long as the guard is there.
fn worker(client: &Client, pool: &PgPool, wake: Wake) -> (mpsc::Receiver<Delivery>, DropGuard) {
    worker_with(client, pool, wake, Arc::new(Semaphore::new(SLOTS)))
}

fn worker_with(
    client: &Client,
    pool: &PgPool,
    wake: Wake,
    slots: Arc<Semaphore>,
) -> (mpsc::Receiver<Delivery>, DropGuard) {
    let (deliveries, worker) = mpsc::channel(1);
    let cancelled = CancellationToken::new();
    tokio::spawn(consume::run(relay::jetstream(client), pool.clone(), wake, 0, slots, deliveries, cancelled.clone()));
    (worker, cancelled.drop_guard())
}

async fn next(worker: &mut mpsc::Receiver<Delivery>) -> Delivery {
    timeout(DEADLINE, worker.recv()).await.expect("in time").unwrap()
}

async fn consumer(client: &Client) -> PullConsumer {
    let stream = relay::jetstream(client).get_stream("EVT_0").await.unwrap();
    stream.get_consumer("test_0").await.unwrap()
}

/// Nothing is to be delivered any more, now or later.
async fn settled(client: &Client) {
    until("nothing is left", async || {
        let info = consumer(client).await.get_info().await.unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
}

async fn parked(pool: &PgPool) -> Vec<String> {
    dead_letter::list(pool).await.unwrap().into_iter().map(|letter| letter.error).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_event_wakes_one_worker_of_its_role(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    for nth in 0..10 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    let (mut one, _one) = worker(&client, &pool, WAKE);
    let (mut other, _other) = worker(&client, &pool, WAKE);
    let mut positions = Vec::new();
    while positions.len() < 10 {
        let delivery =
            tokio::select! { delivery = next(&mut one) => delivery, delivery = next(&mut other) => delivery };
        positions.push(delivery.event.pos);
        delivery.work_on(async { Ok(()) }).await;
    }
    positions.sort_unstable();
    assert_eq!(positions, (2..=11).collect::<Vec<_>>(), "each once, and not the event of another type");
    settled(&client).await;
    assert!(parked(&pool).await.is_empty());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_worker_that_stops_has_not_begun_goes_to_another_at_once(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    for nth in 0..3 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    let (mut stopping, guard) = worker(&client, &pool, WAKE);
    // One waits in the channel, another for room in it: the third may be on its way.
    until("wake-ups are pulled", async || consumer_has(&client, 2).await).await;
    drop(guard);
    // Before a delivery would be taken for lost, which takes half a minute.
    let (mut other, _other) = worker(&client, &pool, WAKE);
    next(&mut stopping).await.give_back().await;
    for _ in 0..3 {
        next(&mut other).await.work_on(async { Ok(()) }).await;
    }
    settled(&client).await;
    assert!(stopping.recv().await.is_none(), "it is given nothing more");
}

/// Whether so many wake-ups are under way.
async fn consumer_has(client: &Client, under_way: usize) -> bool {
    let Ok(stream) = relay::jetstream(client).get_stream("EVT_0").await else { return false };
    let Ok(mut consumer): Result<PullConsumer, _> = stream.get_consumer("test_0").await else { return false };
    consumer.info().await.is_ok_and(|info| info.num_ack_pending >= under_way)
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_failure_that_may_pass_comes_back_after_a_pause(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "title").await;
    let (mut worker, _guard) = worker(&client, &pool, WAKE);
    next(&mut worker).await.work_on(async { Err(Failure::Retry("busy".to_owned())) }).await;
    let failed = Instant::now();
    let again = next(&mut worker).await;
    assert!(failed.elapsed() >= Duration::from_millis(900), "not at once: {:?}", failed.elapsed());
    assert_eq!(again.event.pos, 2);
    again.work_on(async { Ok(()) }).await;
    settled(&client).await;
    assert!(parked(&pool).await.is_empty());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_failure_that_does_not_pass_in_time_is_parked(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "title").await;
    // The worker makes the consumer; what it is given is then given back at once, instead of after a minute and more.
    let (mut made, guard) = worker(&client, &pool, WAKE);
    let first = next(&mut made).await;
    drop(guard);
    first.work_on(async { Err(Failure::Retry("busy".to_owned())) }).await;
    let consumer = consumer(&client).await;
    for delivered in 2..=4 {
        // One at a time: of more that were asked for, one would take the next delivery away from the worker.
        let mut messages = consumer.fetch().max_messages(1).expires(DEADLINE).messages().await.unwrap();
        let message = timeout(DEADLINE, messages.next()).await.expect("in time").unwrap().unwrap();
        assert_eq!(message.info().unwrap().delivered, delivered);
        message.ack_with(AckKind::Nak(None)).await.unwrap();
    }
    let (mut worker, _guard) = worker(&client, &pool, WAKE);
    next(&mut worker).await.work_on(async { Err(Failure::Retry("still busy".to_owned())) }).await;
    settled(&client).await;
    assert_eq!(parked(&pool).await, ["still busy"]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_failure_that_will_not_pass_is_parked_at_once(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "title").await;
    let (mut worker, _guard) = worker(&client, &pool, WAKE);
    next(&mut worker).await.work_on(async { Err(Failure::Fatal("no such model".to_owned())) }).await;
    settled(&client).await;
    let letters = dead_letter::list(&pool).await.unwrap();
    assert_eq!((letters[0].consumer.as_str(), letters[0].position.pos), ("test", 2));
    assert_eq!(letters[0].error, "no such model");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_server_that_forgets_the_consumer_is_told_again(pool: PgPool) {
    let (mut server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "before").await;
    let (mut worker, _guard) = worker(&client, &pool, WAKE);
    next(&mut worker).await.work_on(async { Ok(()) }).await;
    server.wipe().await;
    owner.rename(conversation, "after").await;
    let mut woken = Vec::new();
    while woken.last() != Some(&3) {
        let delivery = next(&mut worker).await;
        woken.push(delivery.event.pos);
        delivery.work_on(async { Ok(()) }).await;
    }
    assert_eq!(woken, [2, 3], "a wake-up may come again; none is lost");
    compare(&client, &pool).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_role_that_learns_to_wake_on_more_is_woken_by_it(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "title").await;
    let (mut old, guard) = worker(&client, &pool, WAKE);
    next(&mut old).await.work_on(async { Ok(()) }).await;
    drop(guard);
    let more = Wake { event_types: &["ConversationStarted", "ConversationRenamed"], ..WAKE };
    let (mut new, _guard) = worker(&client, &pool, more);
    owner.start().await;
    while next(&mut new).await.event.pos != 3 {}
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_delivery_stays_its_workers_own_while_it_works_or_waits_for_room(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    owner.rename(conversation, "first").await;
    owner.rename(conversation, "second").await;
    let wake = Wake { ack_wait: Duration::from_secs(1), ..WAKE };
    let slots = Arc::new(Semaphore::new(1));
    let (mut worker, _guard) = worker_with(&client, &pool, wake, slots);
    let first = next(&mut worker).await;
    assert_eq!(first.event.pos, 2);
    // The second waits for the slot that the first has, for longer than either would be left alone.
    let working = first.work_on(async {
        tokio::time::sleep(3 * wake.ack_wait).await;
        Ok(())
    });
    working.await;
    let second = next(&mut worker).await;
    assert_eq!((second.event.pos, second.delivered()), (3, 1), "it was not given to anyone else meanwhile");
    second.work_on(async { Ok(()) }).await;
    settled(&client).await;
    let info = consumer(&client).await.get_info().await.unwrap();
    assert_eq!(info.num_redelivered, 0);
    assert_eq!(info.delivered.consumer_sequence, 2, "each was delivered once");
}
