//! Processes that are killed or frozen: others take over, and nothing counts twice.

use std::time::Duration;

use app::local::{Nats, NatsOptions};
use serde_json::json;
use tokio::time::Instant;

use crate::happy::assert_same_as_stored;
use crate::support::{App, Load, answer, within};

/// A reply's lease, and the reaper's and the finder's looks, with time to spare for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_killed_workers_reply_goes_on_elsewhere() {
    let app = App::new().await;
    let (_commands, _projector, mut first) =
        (app.worker("commands").await, app.projector().await, app.worker("reply").await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let question = "hold 50 words";
    let reply = ann.submit(&id, question).await;
    ann.until_text(&id, &reply, answer(50).len()).await;

    let _second = app.worker("reply").await;
    first.kill();
    let killed = Instant::now();
    app.provider.release();
    let end = within(TAKE_OVER, "the reply is completed by another worker", ann.end_of(&id, &reply)).await;
    println!("completed {:?} after the kill", killed.elapsed());
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)));
    assert_eq!(end["parts"][0]["text"], answer(100), "the text is not doubled");
    assert_eq!(app.provider.calls(question), 2);
    assert_eq!(ann.transcript(&id).of_type("ReplyAttemptExpired").len(), 1);
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
}

#[tokio::test]
async fn a_stopped_workers_reply_goes_on_elsewhere_at_once() {
    let app = App::new().await;
    let (_commands, mut first) = (app.worker("commands").await, app.worker("reply").await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "hold 50 words").await;
    ann.until_text(&id, &reply, answer(50).len()).await;
    let _second = app.worker("reply").await;
    let stopping = Instant::now();
    assert!(first.stop().await.success());
    app.provider.release();
    let end =
        within(Duration::from_secs(8), "the reply goes on without waiting for a lease", ann.end_of(&id, &reply)).await;
    println!("completed {:?} after the stop began", stopping.elapsed());
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)));
}

#[tokio::test]
async fn a_reply_whose_workers_all_die_ends() {
    let app = App::new().await;
    let (_commands, _projector) = (app.worker("commands").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let question = "hold 20 words";
    let reply = ann.submit(&id, question).await;
    for (attempt, calls) in (1..=3).zip(1..) {
        let mut worker = app.worker("reply").await;
        within(TAKE_OVER, "the next attempt asks", app.provider.until_asked(question, calls)).await;
        app.until_kept(&id, &reply, attempt, &answer(20)).await;
        worker.kill();
    }
    let end = within(TAKE_OVER, "the reply ends", ann.end_of(&id, &reply)).await;
    assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!("worker_lost")));
    assert_eq!(end["parts"][0]["text"], answer(20), "what was said last is kept");
    assert_eq!(app.provider.calls(question), 3);
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
}

#[tokio::test]
async fn commands_are_answered_again_soon_after_their_owner_is_killed() {
    let app = App::new().await;
    let (mut first, _second) = (app.worker("commands").await, app.worker("commands").await);
    let api = app.api().await;
    app.until_owned("commands", 2).await;
    let load = Load::start(&[&api.address], 16);
    load.until_acked(400).await;
    let killed = Instant::now();
    first.kill();
    load.until_all_acked_after(killed + Duration::from_millis(1)).await;
    let back = killed.elapsed();
    println!("every client was answered {back:?} after the kill");
    assert!(back < Duration::from_secs(10), "{back:?}");
    load.until_acked(100).await;

    // Also by those who come later, and when an owner leaves in peace.
    let third = app.worker("commands").await;
    app.until_owned("commands", 2).await;
    let mut third = third;
    assert!(third.stop().await.success());
    load.until_all_acked_after(Instant::now()).await;
    load.assert_nothing_lost(&app.pool).await;
}

#[tokio::test]
async fn a_frozen_worker_does_no_harm_when_it_comes_back() {
    let app = App::new().await;
    let (frozen, _projector) = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let question = "hold 50 words";
    let reply = ann.submit(&id, question).await;
    ann.until_text(&id, &reply, answer(50).len()).await;
    let _other = app.worker("commands,reply").await;
    app.until_owned("commands", 2).await;
    let load = Load::start(&[&api.address], 16);
    load.until_acked(200).await;

    frozen.signal("STOP");
    let stopped = Instant::now();
    load.until_all_acked_after(stopped + Duration::from_millis(1)).await;
    println!("every client was answered {:?} after the freeze", stopped.elapsed());
    // The rest of the answer waits in the frozen worker's socket; it finds it while another attempt runs.
    app.provider.release();
    let second_began =
        ann.read_until(&id, "another attempt begins", |told| told.of_type("ReplyAttemptStarted").len() == 2);
    within(TAKE_OVER, "another worker takes the reply", second_began).await;
    println!("taken over {:?} after the freeze", stopped.elapsed());
    frozen.signal("CONT");
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)));
    assert_eq!(end["parts"][0]["text"], answer(100));
    app.until_owned("commands", 2).await;
    load.until_all_acked_after(Instant::now()).await;
    load.assert_nothing_lost(&app.pool).await;
    let next = ann.submit(&id, "say 5 more").await;
    assert_eq!(ann.end_of(&id, &next).await["type"], "ReplyCompleted");
    let of_first: i64 = sqlx::query_scalar(
        "select count(*) from events where payload->>'reply' = $1 and (payload->>'attempt')::int = 1
         and event_type not in ('ReplyAttemptStarted', 'ReplyAttemptExpired')",
    )
    .bind(&reply)
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert_eq!(of_first, 0, "nothing of the frozen attempt was accepted");
    assert_eq!(ann.transcript(&id).of_type("ReplyCompleted").len(), 2);
    assert_eq!(app.provider.calls(question), 2);
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
}

/// An owner that no one can ask gives its shards up, however well it reaches Postgres.
#[tokio::test]
async fn an_owner_that_is_cut_off_from_the_bus_gives_its_shards_up() {
    let mut app = App::new().await;
    // On a bus of its own, which the edge and the other worker do not hear.
    let elsewhere = Nats::start(&app.folder().join("elsewhere"), NatsOptions::default()).await.unwrap();
    let common = std::mem::replace(&mut app.nats, elsewhere);
    let mut cut_off = app.worker("commands").await;
    app.until_owned("commands", 1).await;
    let lost = std::mem::replace(&mut app.nats, common);
    let _other = app.worker("commands").await;
    app.until_owned("commands", 2).await;
    drop(lost);
    app.until_owned("commands", 1).await;
    let api = app.api().await;
    let load = Load::start(&[&api.address], 8);
    load.until_acked(100).await;
    load.assert_nothing_lost(&app.pool).await;
    cut_off.kill();
}
