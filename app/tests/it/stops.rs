//! A stop wins at every moment, and hangs up on the provider.

use std::time::Duration;

use serde_json::json;
use sqlx::PgTransaction;
use tokio::time::Instant;

use crate::happy::assert_same_as_stored;
use crate::support::{App, answer, until, within};

/// How soon a stop is done.
const SOON: Duration = Duration::from_secs(3);

impl App {
    /// Keeps a conversation's running attempt from renewing its lease, and so from finding there that it shall stop: until this
    /// is rolled back, a stop reaches the provider only as the event that it is.
    pub(crate) async fn hold_lease(&self, conversation: &str) -> PgTransaction<'static> {
        let sql = "select state from open_replies where conversation = $1::uuid for update";
        until("the table of open replies has the attempt", async || {
            let state: Option<String> =
                sqlx::query_scalar(sql).bind(conversation).fetch_optional(&self.pool).await.unwrap();
            state.is_some_and(|state| state == "running")
        })
        .await;
        let mut held = store::begin(&self.pool).await.unwrap();
        sqlx::query(sql).bind(conversation).execute(&mut *held).await.unwrap();
        held
    }
}

#[tokio::test]
async fn a_stop_wins_at_every_moment() {
    let app = App::new().await;
    let (_commands, _projector) = (app.worker("commands").await, app.projector().await);
    let api = app.api().await;

    // No worker has taken it, or is there to take it.
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "say 5 unheard").await;
    ann.stop(&id, &reply).await.unwrap();
    let end = within(SOON, "the untaken reply is stopped", ann.end_of(&id, &reply)).await;
    assert_eq!((&end["type"], &end["parts"]), (&json!("ReplyStopped"), &json!([])));

    let worker = app.worker("reply").await;

    // In the middle of the text.
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "pace 2000 10 middle").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    ann.stop(&id, &reply).await.unwrap();
    let end = within(SOON, "the streaming reply is stopped", ann.end_of(&id, &reply)).await;
    assert_eq!(end["type"], "ReplyStopped");
    let said = end["parts"][0]["text"].as_str().unwrap();
    assert!(answer(2000).starts_with(said) && said.starts_with(&answer(20)), "what was said stays: {said}");
    within(SOON, "the provider is hung up on", app.provider.until_hung_up("pace 2000 10 middle")).await;
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;

    // Before the first token, the provider saying nothing at all.
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "hang for ever").await;
    app.provider.until_asked("hang for ever", 1).await;
    ann.stop(&id, &reply).await.unwrap();
    let end = within(SOON, "the hanging reply is stopped", ann.end_of(&id, &reply)).await;
    assert_eq!(end["type"], "ReplyStopped");
    within(SOON, "the provider is hung up on", app.provider.until_hung_up("hang for ever")).await;

    // After the end nothing changes: to want it stopped has already come true.
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "say 5 and done").await;
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert_eq!(ann.stop(&id, &reply).await.unwrap()["sequence"], ann.transcript(&id).sequence);
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;

    // While its worker is gone: the reaper ends it, as stopped.
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "hold 20 words").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    app.until_kept(&id, &reply, 1, &answer(20)).await;
    drop(worker);
    ann.stop(&id, &reply).await.unwrap();
    let asked = Instant::now();
    let end = within(Duration::from_secs(20), "the orphan is stopped", ann.end_of(&id, &reply)).await;
    println!("an orphan was stopped after {:?}", asked.elapsed());
    assert_eq!((&end["type"], end["parts"][0]["text"].as_str()), (&json!("ReplyStopped"), Some(answer(20).as_str())));
}

#[tokio::test]
async fn a_stop_is_heard_of_and_not_only_found_when_the_lease_is_renewed() {
    let app = App::new().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    for (question, said, deleted) in
        [("pace 2000 10 said", 20, false), ("hang for ever", 0, false), ("pace 2000 10 gone", 20, true)]
    {
        let (mut ann, id, reply) = app.asking(&api, "ann", None, question).await;
        app.provider.until_asked(question, 1).await;
        if said > 0 {
            ann.until_text(&id, &reply, answer(said).len()).await;
        }
        let held = app.hold_lease(&id).await;
        if deleted {
            ann.ask(&id, json!({ "type": "DeleteConversation" })).await.unwrap();
        } else {
            ann.stop(&id, &reply).await.unwrap();
        }
        app.provider.until_hung_up(question).await;
        held.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_conversations_reply_stops() {
    let app = App::new().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let question = "pace 2000 10 deleted";
    let (mut ann, id, reply) = app.asking(&api, "ann", None, question).await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    ann.ask(&id, json!({ "type": "DeleteConversation" })).await.unwrap();
    within(SOON, "the provider is hung up on", app.provider.until_hung_up(question)).await;
}

#[tokio::test]
async fn a_stop_at_any_moment_leaves_one_end() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 2).await;
    let stops = (0..24).map(async |nth: u64| {
        let (mut ann, id, reply) = app.asking(&api, "ann", None, &format!("pace 20 10 {nth}")).await;
        // Spread from right after the question to after the answer.
        let until = Instant::now() + Duration::from_millis(nth * 14);
        while Instant::now() < until {
            ann.read(until).await.unwrap();
        }
        let acked = ann.stop(&id, &reply).await.unwrap()["sequence"].as_u64().unwrap();
        let end = within(SOON, "the reply ends", ann.end_of(&id, &reply)).await;
        if end["type"] != "ReplyStopped" {
            let (ended, _) = ann.transcript(&id).events.iter().find(|(_, event)| *event == end).unwrap();
            assert!(*ended <= acked, "{nth}: a stop wins unless the reply had ended: {end}");
        }
        let next = ann.submit(&id, "say 3 next").await;
        assert_eq!(ann.end_of(&id, &next).await["type"], "ReplyCompleted");
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
        end["type"] == "ReplyStopped"
    });
    let stopped = futures::future::join_all(stops).await.into_iter().filter(|stopped| *stopped).count();
    println!("{stopped} of 24 were stopped in time");
    assert!(stopped > 0);
    let open: i64 = sqlx::query_scalar("select count(*) from open_replies").fetch_one(&app.pool).await.unwrap();
    assert_eq!(open, 0, "nothing is left to be done");
}
