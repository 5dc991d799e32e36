//! Against a real Postgres, with a worker's rights.

use domain::conversation::{Cost, Event, ReplyError, Usage};
use domain::{MessageId, Metadata};
use serde_json::value::to_raw_value;
use sqlx::ConnectOptions;
use store::{Recorded, Role};
use uuid::Uuid;

use super::*;
use crate::open_replies;
use crate::reply::Person;

/// The name of the checkpoint up to which these tests have taken in.
const CHECKPOINT: &str = "open_replies";
/// What the calls of these tests take: so many tokens of prompt, and the shortest answer.
const INPUT: u64 = 744;
const TAKES: u64 = INPUT + 256;

fn ann() -> Person {
    Person { tenant: "acme".parse().unwrap(), user: "ann".parse().unwrap() }
}

/// The claim of the `n`th reply's first attempt.
fn claimed(n: u128) -> Claimed {
    let (conversation, reply) = (ConversationId(Uuid::from_u128(n)), MessageId(Uuid::from_u128(1_000 + n)));
    Claimed {
        attempt: OpenReply { conversation, reply, attempt: 1 },
        position: Position { shard: 0, pos: 10 },
        account: ann().account(),
    }
}

fn tokens_per_day(tokens: u64) -> Limits {
    Limits { tokens_per_day: Some(tokens), ..Limits::default() }
}

fn wanted() -> Wanted<'static> {
    Wanted { input: INPUT, can_write: Some(256), prices: &[], on: Utc::now().date_naive() }
}

/// The database as workers have it.
async fn workers(owner: &PgPool) -> PgPool {
    store::migrate(owner, Some(1), 1).await.unwrap();
    store::connect(owner.connect_options().to_url_lossy().as_str(), Role::Worker, 16).unwrap()
}

/// Has the events of a reply taken in, each as it is recorded now.
async fn take_in(pool: &PgPool, of: &Claimed, events: &[Event]) {
    let mut tx = store::begin(pool).await.unwrap();
    for event in events {
        let metadata = Metadata {
            actor: domain::Actor::User(ann().user),
            command: domain::CommandId(Uuid::nil()),
            digest: String::new(),
            traceparent: None,
        };
        let recorded = Recorded {
            shard: 0,
            pos: 1,
            tenant: ann().tenant.to_string(),
            aggregate_type: domain::conversation::TYPE.to_owned(),
            aggregate_id: of.attempt.conversation.to_string(),
            sequence: 1,
            event_type: event.name().to_owned(),
            event_version: "1.0".to_owned(),
            event_id: Uuid::new_v4(),
            command_id: None,
            recorded_at: Utc::now(),
            metadata: to_raw_value(&metadata).unwrap(),
            payload: to_raw_value(event).unwrap(),
        };
        open_replies::take_in(&mut tx, &recorded, of.attempt.conversation, event).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn requested(of: &Claimed) -> Event {
    let parent = MessageId(Uuid::nil());
    Event::ReplyRequested { reply: of.attempt.reply, parent, model: None, regenerate_of: None }
}

fn started(of: &Claimed) -> Event {
    Event::ReplyAttemptStarted {
        reply: of.attempt.reply,
        attempt: of.attempt.attempt,
        worker: "w".to_owned(),
        lease_ms: 60_000,
        model: None,
        alternatives: None,
        continues: false,
    }
}

fn spent(tokens: u64, micros: u64) -> Spent {
    let usage = Usage { output: Some(tokens), ..Usage::default() };
    Spent { usage, cost: Some(Cost { micros, price: "p".to_owned() }), estimated: false }
}

fn stopped(of: &Claimed, spent: Option<Spent>) -> Event {
    Event::ReplyStopped { reply: of.attempt.reply, attempt: of.attempt.attempt, parts: Vec::new(), spent }
}

/// What Ann has used, as the next of her calls would find it.
async fn now_used(pool: &PgPool) -> Used {
    let mut tx = store::begin(pool).await.unwrap();
    lock(&mut tx, ann().account()).await.unwrap();
    used(&mut tx, &claimed(999)).await.unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn calls_at_once_are_never_given_the_same_room(owner: PgPool) {
    let pool = workers(&owner).await;
    let limits = tokens_per_day(5 * TAKES + TAKES / 2);
    let asking = (1..=40).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move { set_aside(&pool, &claimed(n), &limits, &wanted()).await.unwrap() })
    });
    let answers = futures::future::join_all(asking).await.into_iter().map(Result::unwrap);
    let (granted, refused): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
    assert_eq!((granted.len(), refused.len()), (5, 35));
    let used = now_used(&pool).await;
    assert_eq!((used.running, used.calls, used.set_aside.tokens), (5, 5, 5 * TAKES));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_ends_is_settled_in_one_step(owner: PgPool) {
    let pool = workers(&owner).await;
    let (one, two) = (claimed(1), claimed(2));
    for of in [&one, &two] {
        set_aside(&pool, of, &tokens_per_day(100_000), &wanted()).await.unwrap().unwrap();
        take_in(&pool, of, &[requested(of), started(of)]).await;
    }
    take_in(&pool, &one, &[stopped(&one, Some(spent(70, 9)))]).await;
    let used = now_used(&pool).await;
    assert_eq!((used.running, used.set_aside.tokens), (1, TAKES));
    assert_eq!(used.today, Amount { micro_usd: 9, tokens: 70 });
    assert_eq!(used.this_month, used.today);
    // One that spent nothing gives everything back; a later attempt of the reply pays for itself.
    let error = ReplyError::new("rate", "");
    let failed = Event::ReplyAttemptFailed {
        reply: two.attempt.reply,
        attempt: 1,
        error,
        spent: None,
        switch: false,
        retry_after_ms: None,
        parts: Vec::new(),
    };
    take_in(&pool, &two, &[failed]).await;
    let used = now_used(&pool).await;
    assert_eq!((used.running, used.today.tokens), (0, 70));
    let again = Claimed { attempt: OpenReply { attempt: 2, ..two.attempt }, ..two };
    set_aside(&pool, &again, &tokens_per_day(100_000), &wanted()).await.unwrap().unwrap();
    take_in(&pool, &again, &[started(&again), stopped(&again, Some(spent(5, 1)))]).await;
    let used = now_used(&pool).await;
    assert_eq!((used.running, used.today), (0, Amount { micro_usd: 10, tokens: 75 }));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_end_of_an_attempt_leaves_alone_what_is_set_aside_for_the_next(owner: PgPool) {
    let pool = workers(&owner).await;
    let one = claimed(1);
    let two = Claimed { attempt: OpenReply { attempt: 2, ..one.attempt }, ..one };
    take_in(&pool, &one, &[requested(&one), started(&one)]).await;
    for of in [&one, &two] {
        set_aside(&pool, of, &tokens_per_day(100_000), &wanted()).await.unwrap().unwrap();
    }
    // The table comes behind the worker, who goes on at once.
    take_in(
        &pool,
        &one,
        &[Event::ReplyAttemptExpired { reply: one.attempt.reply, attempt: 1, spent: None, parts: Vec::new() }],
    )
    .await;
    assert_eq!(now_used(&pool).await.running, 1);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn days_and_months_and_minutes_begin_anew(owner: PgPool) {
    let pool = workers(&owner).await;
    let account = ann().account().0;
    for (days, tokens) in [("0", 1_i64), ("extract(day from now() at time zone 'UTC')::int", 10)] {
        let sql = format!(
            "insert into spent_by_day select $1, (now() at time zone 'UTC')::date - {days}, gen_random_uuid(), 0, $2"
        );
        sqlx::query(&sql).bind(account).bind(tokens).execute(&owner).await.unwrap();
    }
    let used = now_used(&pool).await;
    assert_eq!((used.today.tokens, used.this_month.tokens), (1, 1), "the last day of the month before is over");
    let call = Limits { requests_per_minute: Some(1), ..Limits::default() };
    sqlx::query("update call_counts set minute = now() - interval '1 minute', calls = 7")
        .execute(&owner)
        .await
        .unwrap();
    assert!(set_aside(&pool, &claimed(1), &call, &wanted()).await.unwrap().is_ok());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn whoever_asks_again_takes_the_same_room(owner: PgPool) {
    let pool = workers(&owner).await;
    for _ in 0..3 {
        set_aside(&pool, &claimed(1), &tokens_per_day(TAKES), &wanted()).await.unwrap().unwrap();
    }
    assert_eq!(now_used(&pool).await.set_aside.tokens, TAKES);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_comes_too_late_is_swept_and_nothing_else(owner: PgPool) {
    let pool = workers(&owner).await;
    let (over, failed, runs, ahead) = (claimed(1), claimed(2), claimed(3), claimed(4));
    let ahead = Claimed { position: Position { shard: 0, pos: 11 }, ..ahead };
    take_in(&pool, &over, &[requested(&over), started(&over), stopped(&over, None)]).await;
    let expired =
        Event::ReplyAttemptExpired { reply: failed.attempt.reply, attempt: 1, spent: None, parts: Vec::new() };
    take_in(&pool, &failed, &[requested(&failed), started(&failed), expired]).await;
    take_in(&pool, &runs, &[requested(&runs), started(&runs)]).await;
    for of in [&over, &failed, &runs, &ahead] {
        set_aside(&pool, of, &tokens_per_day(100_000), &wanted()).await.unwrap().unwrap();
    }
    assert_eq!(sweep(&pool, CHECKPOINT, 0).await.unwrap(), 0, "nothing has been taken in");
    let mut tx = store::begin(&pool).await.unwrap();
    store::checkpoint::advance(&mut tx, CHECKPOINT, 0, 10).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(sweep(&pool, CHECKPOINT, 0).await.unwrap(), 2);
    let left: Vec<Uuid> =
        sqlx::query_scalar("select conversation from reservations order by 1").fetch_all(&pool).await.unwrap();
    assert_eq!(left, [runs, ahead].map(|of| of.attempt.conversation.0));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_conversation_is_taken_in_anew(owner: PgPool) {
    let pool = workers(&owner).await;
    let one = claimed(1);
    let story = [requested(&one), started(&one), stopped(&one, Some(spent(70, 9)))];
    take_in(&pool, &one, &story).await;
    let mut tx = store::begin(&pool).await.unwrap();
    open_replies::forget(&mut tx, one.attempt.conversation).await.unwrap();
    tx.commit().await.unwrap();
    take_in(&pool, &one, &story).await;
    assert_eq!(now_used(&pool).await.today.tokens, 70);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn absurd_counts_are_only_very_many(owner: PgPool) {
    let pool = workers(&owner).await;
    for n in 1..=3 {
        let of = claimed(n % 2);
        take_in(&pool, &of, &[requested(&of), started(&of), stopped(&of, Some(spent(u64::MAX, u64::MAX)))]).await;
    }
    assert_eq!(now_used(&pool).await.today, Amount { micro_usd: MAX_LIMIT, tokens: MAX_LIMIT });
}
