//! Postgres killed, NATS emptied: what was acknowledged stays, and everything goes on without a restart of ours.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::happy::assert_same_as_stored;
use crate::support::{Api, App, Client, Load, Process, SHARDS, answer, until};

struct Everything {
    api: Api,
    processes: [Process; 3],
}

async fn everything(app: &App) -> Everything {
    let processes = [app.worker("commands,reply").await, app.worker("commands,reply").await, app.projector().await];
    let api = app.api().await;
    app.until_owned("commands", 2).await;
    Everything { api, processes }
}

impl Everything {
    fn assert_running(&mut self) {
        for process in self.processes.iter_mut().chain([&mut self.api.process]) {
            assert!(process.exit().is_none(), "{}", process.log());
        }
    }

    /// Someone asks, and has been told half of the answer.
    async fn half_an_answer(&self, app: &App) -> (Client, String, String) {
        let mut ann = app.client(&self.api, "ann").await;
        let id = ann.start().await;
        ann.follow(&id).await;
        let reply = ann.submit(&id, "hold 50 words").await;
        ann.until_text(&id, &reply, answer(50).len()).await;
        (ann, id, reply)
    }
}

#[tokio::test]
async fn postgres_is_killed_and_nothing_acknowledged_is_lost() {
    let mut app = App::new().await;
    let mut all = everything(&app).await;
    let (mut ann, id, reply) = all.half_an_answer(&app).await;
    let load = Load::start(&[&all.api.address], 16);
    for _ in 0..2 {
        load.until_acked(200).await;
        app.postgres.kill().await;
        app.postgres.restart().await.unwrap();
        let up = Instant::now();
        load.until_all_acked_after(up).await;
        println!("every client was answered {:?} after Postgres was back", up.elapsed());
        assert!(up.elapsed() < Duration::from_secs(15));
    }
    load.assert_nothing_lost(&app.pool).await;
    app.provider.release();
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert_same_as_stored(&app, &all.api, &ann, "ann", &id).await;
    all.assert_running();
}

#[tokio::test]
async fn nats_loses_everything_and_nothing_acknowledged_is_lost() {
    let mut app = App::new().await;
    let mut all = everything(&app).await;
    let answered = answered(&app, &all.api).await;
    let (mut ann, id, reply) = all.half_an_answer(&app).await;
    let load = Load::start(&[&all.api.address], 16);
    for _ in 0..2 {
        load.until_acked(200).await;
        app.nats.wipe().await.unwrap();
        let up = Instant::now();
        load.until_all_acked_after(up).await;
        println!("every client was answered {:?} after NATS was back", up.elapsed());
        assert!(up.elapsed() < Duration::from_secs(15));
    }
    load.until_acked(100).await;
    load.assert_nothing_lost(&app.pool).await;
    until_streams_equal_the_log(&app).await;

    app.provider.release();
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((end["type"].as_str(), end["attempt"].as_u64()), (Some("ReplyCompleted"), Some(1)));
    let began = Instant::now();
    let next = ann.submit(&id, "say 20 more").await;
    assert_eq!(ann.end_of(&id, &next).await["type"], "ReplyCompleted");
    println!("the next reply took {:?}", began.elapsed());
    assert!(!ann.transcript(&id).told[&next].is_empty() || began.elapsed() < Duration::from_secs(1));
    assert_same_as_stored(&app, &all.api, &ann, "ann", &id).await;
    // Every wake-up has come again from the streams made anew.
    until_settled(&app).await;
    for question in answered {
        assert_eq!(app.provider.calls(&question), 1, "{question:?} is not asked again");
    }
    all.assert_running();
}

/// What a crash of Postgres does to a commit that was not flushed.
#[tokio::test]
async fn open_replies_that_postgres_lost_are_read_from_the_log_again() {
    let app = App::new().await;
    let _owner = app.worker("commands").await;
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.submit(&id, "say 5 once there is a worker").await;
    let open = async || {
        let count: i64 = sqlx::query_scalar("select count(*) from open_replies").fetch_one(&app.pool).await.unwrap();
        count == 1
    };
    until("the reply is open", open).await;
    let mut lost = store::begin(&app.pool).await.unwrap();
    for sql in ["delete from open_replies", "update checkpoints set pos = 0 where projection = 'open_replies'"] {
        sqlx::query(sql).execute(&mut *lost).await.unwrap();
    }
    lost.commit().await.unwrap();
    // The next event comes behind a gap.
    ann.ask(&id, json!({ "type": "RenameConversation", "title": "after" })).await.unwrap();
    until("the reply is open again", open).await;
}

/// Questions that were answered, and one whose answer was stopped.
async fn answered(app: &App, api: &Api) -> Vec<String> {
    let mut ann = app.client(api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let mut questions: Vec<String> = (0..5).map(|nth| format!("say 5 of {nth}")).collect();
    for question in &questions {
        let reply = ann.submit(&id, question).await;
        assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    }
    let stopped = "hang until it is stopped".to_owned();
    let reply = ann.submit(&id, &stopped).await;
    app.provider.until_asked(&stopped, 1).await;
    ann.stop(&id, &reply).await.unwrap();
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyStopped");
    questions.push(stopped);
    questions
}

/// No wake-up is under way or waits.
async fn until_settled(app: &App) {
    let client = nats::connect(&app.nats.core_url(), "test", nats::Inbox::Core).await.unwrap();
    let jetstream = nats::relay::jetstream(&client);
    for shard in 0..SHARDS {
        until("every wake-up is taken in", async || {
            let Ok(stream) = jetstream.get_stream(format!("EVT_{shard}")).await else { return false };
            let Ok(info) = stream.consumer_info(format!("reply_{shard}")).await else { return false };
            info.num_pending == 0 && info.num_ack_pending == 0
        })
        .await;
    }
}

/// Each stream ends where its shard ends, and holds the same events.
async fn until_streams_equal_the_log(app: &App) {
    let client = nats::connect(&app.nats.core_url(), "test", nats::Inbox::Core).await.unwrap();
    let jetstream = nats::relay::jetstream(&client);
    for shard in 0..SHARDS {
        let head = store::log::head(&app.pool, shard).await.unwrap();
        let name = format!("EVT_{shard}");
        until(&format!("{name} ends at {head}"), async || {
            let Ok(stream) = jetstream.get_stream(&name).await else { return false };
            stream.cached_info().state.last_sequence == head
        })
        .await;
        let stream = jetstream.get_stream(&name).await.unwrap();
        let first = stream.cached_info().state.first_sequence;
        assert!(first <= head, "{name} holds events");
        for pos in [first, first.midpoint(head), head] {
            let message = stream.get_raw_message(pos).await.unwrap();
            let published: Value = serde_json::from_slice(&message.payload).unwrap();
            let recorded = store::log::read(&app.pool, shard, pos - 1, 1).await.unwrap();
            assert_eq!(published, serde_json::to_value(&recorded[0]).unwrap(), "{name} at {pos}");
        }
    }
}
