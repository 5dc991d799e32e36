//! The whole way of a message over separate roles, and two sets of them sharing the work.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Api, App, Client, SHARDS, answer, within};

/// What a client put together is what the log and the views say.
pub(crate) async fn assert_same_as_stored(app: &App, api: &Api, client: &Client, user: &str, id: &str) {
    let transcript = client.transcript(id);
    transcript.assert_clean();
    let position = app.position(id).await;
    let log = api.read(user, &format!("/api/conversations/{id}/events?min_position={position}")).await;
    let recorded: Vec<(u64, Value)> = log["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["sequence"].as_u64().unwrap(), event["payload"].clone()))
        .collect();
    assert_eq!(transcript.events, recorded);
    let view = api.read(user, &format!("/api/conversations/{id}/messages?min_position={position}&limit=500")).await;
    for message in view["messages"].as_array().unwrap() {
        let said = match message["role"].as_str() {
            Some("user") => transcript.of_type("MessageSubmitted").into_iter().find(|e| e["message"] == message["id"]),
            _ => transcript.end_of(message["id"].as_str().unwrap()),
        };
        assert_eq!(said.unwrap()["parts"], message["parts"], "{message}");
    }
    let messages = transcript.of_type("MessageSubmitted").len() + transcript.of_type("ReplyRequested").len();
    assert_eq!(view["messages"].as_array().unwrap().len(), messages);
}

#[tokio::test]
async fn a_message_travels_through_separate_roles() {
    let app = App::new().await;
    let (_commands, _reply, _projector) =
        (app.worker("commands").await, app.worker("reply").await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    a_message_travels(&app, &api, &api).await;
}

#[tokio::test]
async fn a_message_travels_through_two_of_every_role() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("commands,reply").await);
    let _projectors = (app.projector().await, app.projector().await);
    let (one, two) = (app.api().await, app.api().await);
    app.until_owned("commands", 2).await;
    app.until_owned("projector", 2).await;
    // Several conversations, so that they lie in shards of both.
    for _ in 0..SHARDS {
        a_message_travels(&app, &one, &two).await;
    }
}

/// Ann asks on the one edge; Ben follows on the other.
async fn a_message_travels(app: &App, api: &Api, other: &Api) {
    let (mut ann, mut ben) = (app.client(api, "ann").await, app.client(other, "ben").await);
    let id = ann.start().await;
    ann.follow(&id).await;
    ann.ask(&id, json!({ "type": "AddParticipant", "user": "ben" })).await.unwrap();
    // The list of someone who was added changes without asking.
    let changed = ben.find(|frame| frame["type"] == "conversation_changed" && frame["id"] == id).await.unwrap();
    assert_eq!(changed["conversation"]["participants"], json!(["ann", "ben"]));
    ben.follow(&id).await;

    let question = format!("pace 40 10 in {id}");
    let reply = ann.submit(&id, &question).await;
    let end = ann.end_of(&id, &reply).await;
    assert_eq!(end["type"], "ReplyCompleted");
    assert_eq!(end["parts"][0]["text"], answer(40));
    assert!(!ann.transcript(&id).told[&reply].is_empty(), "it was streamed");
    ben.end_of(&id, &reply).await;
    assert_eq!(ann.transcript(&id).events, ben.transcript(&id).events);

    // A client that comes after the end finds the same.
    let mut late = app.client(other, "ben").await;
    late.follow(&id).await;
    assert_eq!(late.transcript(&id).events, ann.transcript(&id).events);
    for (client, user) in [(&ann, "ann"), (&ben, "ben"), (&late, "ben")] {
        assert_same_as_stored(app, api, client, user, &id).await;
    }
    assert_eq!(app.provider.calls(&question), 1);
}

#[tokio::test]
async fn a_command_is_acknowledged_only_when_it_is_durable() {
    let app = App::new().await;
    let _worker = app.worker("commands").await;
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;

    let mut held = store::begin(&app.pool).await.unwrap();
    sqlx::query("select * from shards for update").execute(&mut *held).await.unwrap();
    let asking = ann.ask(&id, json!({ "type": "RenameConversation", "title": "held" }));
    let mut asking = Box::pin(asking);
    let early = tokio::time::timeout(Duration::from_millis(700), &mut asking).await;
    assert!(early.is_err(), "nothing is acknowledged while the log cannot be written: {early:?}");
    held.rollback().await.unwrap();
    let ack = within(Duration::from_secs(10), "the acknowledgement", asking).await.unwrap();
    assert_eq!(ack["sequence"], 2);
    let recorded: i64 = sqlx::query_scalar("select max(sequence) from events where aggregate_id = $1")
        .bind(&id)
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(recorded, 2);
}

#[tokio::test]
async fn two_sets_of_processes_share_the_work() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("commands,reply").await);
    let _projectors = (app.projector().await, app.projector().await);
    let (one, two) = (app.api().await, app.api().await);
    let half = i64::from(SHARDS) / 2;
    assert_eq!(app.until_owned("commands", 2).await, [half, half]);
    assert_eq!(app.until_owned("projector", 2).await, [half, half]);

    let mut people = Vec::new();
    for nth in 0..24 {
        let api = if nth % 2 == 0 { &one } else { &two };
        let mut client = app.client(api, "ann").await;
        let id = client.start().await;
        client.follow(&id).await;
        let reply = client.submit(&id, &format!("pace 20 20 of {nth}")).await;
        people.push((client, id, reply));
    }
    for (client, id, reply) in &mut people {
        assert_eq!(client.end_of(id, reply).await["type"], "ReplyCompleted");
    }
    let workers: i64 = sqlx::query_scalar(
        "select count(distinct payload->>'worker') from events where event_type = 'ReplyAttemptStarted'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert_eq!(workers, 2, "both workers answer");
    for (client, id, _) in &people {
        assert_same_as_stored(&app, &one, client, "ann", id).await;
    }
}
