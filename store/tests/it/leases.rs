//! Shards shared out among processes that come, go and fall silent.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::Shard;
use futures::future::join_all;
use sqlx::PgPool;
use store::lease::{Leases, Owned, RENEW_EVERY, TERM};
use uuid::Uuid;

use crate::database::Database;

const ROLE: &str = "commands";
/// Renewals, half a second apart in production, until everyone has a fair share.
const ROUNDS: usize = 8;

fn process(pool: &PgPool) -> Leases {
    Leases::new(pool, ROLE, Uuid::new_v4())
}

/// A renewal as a process does it: what is to be given up is given up.
async fn renew(leases: &Leases) -> BTreeSet<Shard> {
    let Owned { keep, give_up, .. } = leases.renew().await.unwrap();
    leases.release(&give_up).await.unwrap();
    keep
}

/// Within a few rounds everyone has given up and taken: each shard has one owner, and no one owns much more than another.
async fn settle(processes: &[Leases], shards: Shard) {
    let mut owned = Vec::new();
    for _ in 0..ROUNDS {
        owned = join_all(processes.iter().map(renew)).await;
        let all: BTreeSet<Shard> = owned.iter().flatten().copied().collect();
        let sizes = owned.iter().map(BTreeSet::len);
        assert!(sizes.clone().sum::<usize>() == all.len(), "no shard has two owners: {owned:?}");
        if all.len() == usize::from(shards) && sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1 {
            return;
        }
    }
    panic!("each shard has an owner, and shares are fair: {owned:?}");
}

async fn come_and_go(pool: PgPool, shards: Shard) {
    let database = Database::new(pool, shards).await;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(process(&database.pool));
        settle(&processes, shards).await;
    }
    while processes.len() > 1 {
        processes.remove(0).leave().await.unwrap();
        settle(&processes, shards).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn four_shards_are_shared_fairly(pool: PgPool) {
    come_and_go(pool, 4).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn sixteen_shards_are_shared_fairly(pool: PgPool) {
    come_and_go(pool, 16).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_silent_process_owned_is_taken_over_when_its_term_is_over(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let (silent, other) = (process(&database.pool), process(&database.pool));
    let before = silent.renew().await.unwrap();
    let last_heard = Instant::now();
    assert_eq!(before.keep.len(), 4);
    let mut owned = BTreeSet::new();
    while owned.len() < 4 {
        owned = renew(&other).await;
        if !owned.is_empty() {
            assert!(Instant::now() >= before.valid_until, "not before the owner itself stops answering");
        }
        assert!(last_heard.elapsed() < TERM + RENEW_EVERY + Duration::from_secs(1), "in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let back = silent.renew().await.unwrap();
    assert!(back.keep.is_empty(), "who comes back does not take back: {back:?}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_released_or_left_is_free_at_once(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let (first, second) = (process(&database.pool), process(&database.pool));
    assert_eq!(renew(&first).await.len(), 4);
    assert_eq!(renew(&second).await.len(), 0, "nothing is free yet");
    assert_eq!(renew(&first).await.len(), 2);
    assert_eq!(renew(&second).await.len(), 2);
    first.leave().await.unwrap();
    assert_eq!(renew(&second).await.len(), 4);
    let mine = Leases::new(&database.pool, "reply", Uuid::new_v4());
    assert_eq!(renew(&mine).await.len(), 4, "roles do not touch each other");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn who_is_about_to_leave_keeps_its_own_and_takes_nothing_more(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let (first, second) = (process(&database.pool), process(&database.pool));
    assert_eq!(renew(&first).await.len(), 4);
    assert_eq!(renew(&second).await.len(), 0);
    assert_eq!(renew(&first).await.len(), 2);
    // Two were given up, and the other one is gone before it took them.
    second.leave().await.unwrap();
    let kept = first.renew_taking_nothing().await.unwrap();
    assert_eq!((kept.keep.len(), kept.give_up.len()), (2, 0));
    assert_eq!(renew(&first).await.len(), 4, "while it stays, they are its own");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_free_beside_one_that_is_about_to_leave_is_taken_by_those_who_stay(pool: PgPool) {
    let database = Database::new(pool, 6).await;
    let processes = [(); 3].map(|()| process(&database.pool));
    settle(&processes, 6).await;
    let [leaving, gone, staying] = processes;
    assert_eq!(leaving.renew_taking_nothing().await.unwrap().keep.len(), 2);
    gone.leave().await.unwrap();
    assert_eq!(renew(&staying).await.len(), 4, "no share is kept for the one that takes nothing");
    assert_eq!(leaving.renew_taking_nothing().await.unwrap().keep.len(), 2, "which keeps its own");
}

/// As a process leaves them that is frozen in the middle of something.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn rows_that_someone_holds_locked_keep_no_one_else_from_renewing(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    settle(&[process(&database.pool), process(&database.pool)], 4).await;
    overdue(&database.pool).await;
    let mut held = store::begin(&database.pool).await.unwrap();
    for table in ["processes", "leases"] {
        sqlx::query(&format!("select from {table} for update")).execute(&mut *held).await.unwrap();
    }
    let third = process(&database.pool);
    let owned = tokio::time::timeout(TERM, renew(&third)).await.expect("it waits for no one");
    assert!(owned.is_empty(), "what is held stays where it is");
    held.rollback().await.unwrap();
    assert_eq!(renew(&third).await.len(), 4);
}

/// Everyone has been silent for long.
async fn overdue(pool: &PgPool) {
    for sql in [
        "update leases set expires_at = now() - interval '1 hour'",
        "update processes set seen_at = now() - interval '1 hour'",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
}

/// As after a pause of the database, when everyone is overdue and everyone comes back at once.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn all_may_come_back_at_once(pool: PgPool) {
    let database = Database::new(pool, 16).await;
    let processes: Vec<_> = (0..4).map(|_| process(&database.connect())).collect();
    for _ in 0..20 {
        join_all(processes.iter().map(renew)).await;
        overdue(&database.pool).await;
    }
    settle(&processes, 16).await;
}

/// A process whose pool is busy still owns its shards.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_renewal_waits_for_no_shared_connection(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let scarce = database.connect_with(1);
    let leases = process(&scarce);
    assert_eq!(renew(&leases).await.len(), 1);
    let _taken = scarce.acquire().await.unwrap();
    let renewed = tokio::time::timeout(TERM, leases.renew()).await.expect("without the pool").unwrap();
    assert_eq!(renewed.keep.len(), 1);
}
