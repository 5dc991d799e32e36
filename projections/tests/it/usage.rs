//! What people's replies spent, as the view has it.

use chrono::NaiveDate;
use domain::conversation::{Cost, Event, Finish, Part, ReplyError, Spent, Usage};
use domain::{AccountId, MessageId};
use projections::rebuild;
use projections::usage::{self, By, Figures, MAX_ROWS, Question, UsageRow, UsageView};
use sqlx::PgPool;

use crate::log::{USAGE, append, caught_up, dump_of, migrated};
use crate::projecting::project;
use crate::story::{id, message, said, started};
use crate::wait::until;
use nats::test_server::Server;

fn account(user: &str) -> AccountId {
    AccountId::of(&"acme".parse().unwrap(), &user.parse().unwrap())
}

fn asked(reply: MessageId) -> Event {
    Event::ReplyRequested { reply, parent: message(1), model: None, regenerate_of: None }
}

fn claimed(reply: MessageId, attempt: u32, model: &str) -> Event {
    let (worker, model) = ("w".to_owned(), model.parse().ok());
    Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms: 1, model, alternatives: None, continues: false }
}

/// So many tokens of each kind, from `first` on, and what they cost.
fn spent(first: u64, micros: Option<u64>, estimated: bool) -> Spent {
    let usage = Usage {
        input: Some(first),
        cached_input: Some(first + 1),
        cache_write: Some(first + 2),
        output: Some(first + 3),
        reasoning: None,
        raw: None,
    };
    Spent { usage, cost: micros.map(|micros| Cost { micros, price: "p".to_owned() }), estimated }
}

fn error() -> ReplyError {
    ReplyError::new("rate", "slow")
}

fn failed_attempt(reply: MessageId, spent: Option<Spent>) -> Event {
    Event::ReplyAttemptFailed {
        reply,
        attempt: 1,
        error: error(),
        spent,
        switch: true,
        retry_after_ms: None,
        parts: Vec::new(),
    }
}

fn completed(reply: MessageId, attempt: u32, model: &str, spent: Option<Spent>) -> Event {
    let (parts, finish, model, usage) = (Vec::new(), Finish::Stop, model.parse().unwrap(), Usage::default());
    Event::ReplyCompleted { reply, attempt, parts, finish, model, usage, spent }
}

fn stopped(reply: MessageId, attempt: u32, spent: Option<Spent>) -> Event {
    Event::ReplyStopped { reply, attempt, parts: vec![Part::Text { text: "half".to_owned() }], spent }
}

fn expired(reply: MessageId, spent: Option<Spent>) -> Event {
    Event::ReplyAttemptExpired { reply, attempt: 1, spent, parts: Vec::new() }
}

fn failed(reply: MessageId, spent: Option<Spent>) -> Event {
    Event::ReplyFailed { reply, attempt: 1, error: error(), parts: Vec::new(), spent }
}

/// Every way in which an attempt ends.
fn ends() -> Vec<Event> {
    let [switched, halted, vanished, unheard, last, gone] = [10, 20, 30, 40, 50, 60].map(message);
    vec![
        started("ann"),
        said(1, "How?"),
        asked(switched),
        claimed(switched, 1, "a/one"),
        failed_attempt(switched, None),
        claimed(switched, 2, "b/two/x"),
        // Whoever answers may call itself by another name: what was asked counts.
        completed(switched, 2, "b/two-of-may", Some(spent(100, Some(7), false))),
        asked(halted),
        claimed(halted, 1, "a/one"),
        stopped(halted, 1, Some(spent(200, Some(11), true))),
        asked(vanished),
        claimed(vanished, 1, "a/one"),
        // The attempt's end and the reply's: one attempt.
        expired(vanished, Some(spent(300, None, true))),
        failed(vanished, None),
        asked(unheard),
        claimed(unheard, 1, "a/one"),
        failed_attempt(unheard, Some(spent(400, Some(13), true))),
        // Stopped while nothing ran.
        stopped(unheard, 1, None),
        asked(last),
        claimed(last, 1, "b/two/x"),
        failed(last, Some(spent(u64::MAX - 3, Some(u64::MAX), false))),
        asked(gone),
        claimed(gone, 1, "a/one"),
        Event::ConversationDeleted {},
        stopped(gone, 1, Some(spent(500, Some(17), true))),
    ]
}

async fn read(pool: &PgPool, user: &str, by: &[By]) -> UsageView {
    let today: NaiveDate = sqlx::query_scalar("select (now() at time zone 'UTC')::date").fetch_one(pool).await.unwrap();
    // What is written just before midnight is read just after it.
    let (from, to) = (today - chrono::Days::new(1), today);
    usage::read(pool, &Question { account: account(user), from, to, by: by.to_vec() }).await.unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_attempt_is_counted_once_however_it_ends(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let _projector = project(&pool, &server).await;
    // Some taken in one by one and some many at a time.
    for (sequence, event) in (1..).zip(ends()) {
        append(&owner, id(1), sequence, &event).await;
        if sequence % 4 == 0 {
            until("it is taken in", async || caught_up(&pool).await).await;
        }
    }
    append(&owner, id(2), 1, &asked(message(70))).await;
    until("all is taken in", async || caught_up(&pool).await).await;

    let UsageView { rows, total, more } = read(&pool, "ann", &[By::Model]).await;
    let most = (1 << 53) - 1;
    let one = Figures {
        attempts: 5,
        failed: 3,
        input: 1400,
        cached_input: 1404,
        cache_write: 1408,
        output: 1412,
        reasoning: 0,
        micro_usd: 41,
        unpriced: 1,
        estimated: 4,
    };
    let two = Figures {
        attempts: 2,
        failed: 1,
        input: most,
        cached_input: most,
        cache_write: most,
        output: most,
        micro_usd: most,
        ..Figures::default()
    };
    let figures: Vec<(Option<&str>, &Figures)> =
        rows.iter().map(|row| (row.model.as_ref().map(domain::ModelRef::as_str), &row.figures)).collect();
    assert_eq!(figures, [(Some("b/two/x"), &two), (Some("a/one"), &one)], "what cost most first");
    assert_eq!((total.attempts, total.failed, total.input, more), (7, 4, most, false));

    let names = async |by: &[By]| -> Vec<String> {
        let name = |row: &UsageRow| row.provider.clone().or(row.conversation.map(|id| id.to_string())).unwrap();
        read(&pool, "ann", by).await.rows.iter().map(name).collect()
    };
    assert_eq!(names(&[By::Provider]).await, ["b", "a"]);
    assert_eq!(names(&[By::Conversation]).await, [id(1).to_string()], "though it is deleted");
    assert_eq!(read(&pool, "bob", &[By::Day]).await.total, Figures::default());

    let open = dump_of(&owner, &["usage.replies"]).await;
    assert!(open.lines().count() == 1 && open.contains(&message(70).to_string()), "one has not ended: {open}");
    let live = dump_of(&owner, USAGE).await;
    rebuild(&owner, usage::NAME).await.unwrap();
    assert_eq!(dump_of(&owner, USAGE).await, live, "the view is the fold of the log");
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn days_are_told_apart_and_rows_are_bounded(owner: PgPool) {
    let pool = migrated(&owner, 1).await;
    let days = i32::try_from(MAX_ROWS + 1).unwrap();
    sqlx::query(
        "insert into usage.spending
         select $1, date '2026-01-01' + day, 'a/' || day % 2, gen_random_uuid(), 1, 0, day, 0, 0, 0, 0, 0, 0, 0
         from generate_series(0, $2 - 1) day",
    )
    .bind(account("ann").0)
    .bind(days)
    .execute(&owner)
    .await
    .unwrap();
    let day = |day: &str| day.parse::<NaiveDate>().unwrap();
    let question = |from: &str, to: &str, by: &[By]| Question {
        account: account("ann"),
        from: day(from),
        to: day(to),
        by: by.to_vec(),
    };
    let some = usage::read(&pool, &question("2026-01-02", "2026-01-04", &[By::Day, By::Provider])).await.unwrap();
    let rows: Vec<_> = some.rows.iter().map(|row| (row.day, row.provider.as_deref(), row.figures.input)).collect();
    let expected = [(1, "2026-01-02"), (2, "2026-01-03"), (3, "2026-01-04")];
    assert_eq!(rows, expected.map(|(input, on)| (Some(day(on)), Some("a"), input)));
    assert_eq!((some.total.attempts, some.total.input, some.more), (3, 6, false));

    let all = usage::read(&pool, &question("2020-01-01", "2030-01-01", &[By::Day])).await.unwrap();
    assert_eq!((all.rows.len(), all.total.attempts, all.more), (MAX_ROWS, MAX_ROWS as u64 + 1, true));
    assert_eq!(all.rows[0].day, Some(day("2026-01-01")));
    let models = usage::read(&pool, &question("2020-01-01", "2030-01-01", &[By::Model])).await.unwrap();
    assert_eq!((models.rows.len(), models.more), (2, false));
    pool.close().await;
}
