//! Processes that are told to stop: nobody notices but for a moment's wait.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use store::lease::TERM;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::happy::assert_same_as_stored;
use crate::support::{Api, App, Client, Load, Process, SHARDS, answer, id, until, within};

/// What app/src/drain.rs allows, and what it takes to end.
const EXIT: Duration = Duration::from_secs(25);

/// How long commands are held up while an edge closes its sockets: less than it waits for them.
const HELD: Duration = Duration::from_millis(700);

/// What a process says when it is ready.
const READY: &str = r#""message":"ready""#;

/// Stops a process, which must end well within its deadline; says how long that took.
async fn stop(what: &str, process: &mut Process) {
    let began = Instant::now();
    assert!(within(EXIT, "the process ends", process.stop()).await.success());
    println!("{what} ended {:?} after it was told to", began.elapsed());
}

#[tokio::test]
async fn a_rolling_restart_of_every_role_loses_and_doubles_nothing() {
    let app = App::new().await;
    let mut workers = vec![app.worker("commands,reply").await, app.worker("commands,reply").await];
    let mut projectors = vec![app.projector().await, app.projector().await];
    let mut edges = vec![app.api().await, app.api().await];
    app.until_owned("commands", 2).await;
    let addresses: Vec<String> = edges.iter().map(|edge| edge.address.clone()).collect();
    let load = Load::start(&addresses.iter().map(String::as_str).collect::<Vec<_>>(), 16);
    let over = CancellationToken::new();
    let mut chats = JoinSet::new();
    for nth in 0..4 {
        let ann = app.client(&edges[nth % 2], "ann").await;
        chats.spawn(chat(ann, nth, addresses.clone(), over.clone()));
    }
    load.until_acked(200).await;
    println!("the longest wait before: {:?}", load.longest_wait());

    for worker in &mut workers {
        stop("a worker", worker).await;
        load.until_all_acked_after(Instant::now()).await;
        println!("the longest wait while a worker stopped: {:?}", load.longest_wait());
        *worker = app.worker("commands,reply").await;
        load.until_all_acked_after(Instant::now()).await;
        println!("the longest wait while the next worker took over: {:?}", load.longest_wait());
    }
    for edge in &mut edges {
        stop("an edge", &mut edge.process).await;
        load.until_all_acked_after(Instant::now()).await;
        *edge = app.api_at(&edge.address).await;
        load.until_all_acked_after(Instant::now()).await;
        println!("the longest wait while an edge restarted: {:?}", load.longest_wait());
    }
    for projector in &mut projectors {
        stop("a projector", projector).await;
        *projector = app.projector().await;
        load.until_all_acked_after(Instant::now()).await;
        println!("the longest wait while a projector restarted: {:?}", load.longest_wait());
    }

    over.cancel();
    while let Some(ended) = chats.join_next().await {
        let (ann, conversation, replies) = ended.unwrap();
        assert_eq!(ann.transcript(&conversation).of_type("ReplyCompleted").len(), replies, "every reply was completed");
        assert_same_as_stored(&app, &edges[0], &ann, "ann", &conversation).await;
    }
    load.assert_nothing_lost(&app.pool).await;
}

/// Asks again and again and follows each answer to its end, wherever that takes it; gives how many there were.
async fn chat(mut ann: Client, nth: usize, edges: Vec<String>, over: CancellationToken) -> (Client, String, usize) {
    let conversation = ann.start().await;
    ann.follow(&conversation).await;
    let mut replies = 0;
    let mut longest = Duration::ZERO;
    while !over.is_cancelled() {
        let (command, reply) = (id(), id());
        let ask = json!({ "type": "SubmitMessage", "text": format!("pace 60 20 {nth} {replies}"), "reply": reply });
        let frame = json!({ "type": "command", "id": command, "conversation": conversation, "command": ask });
        loop {
            match ann.answer_to(&command, &frame).await {
                Ok(Ok(_)) => break,
                Ok(Err(refused)) => assert!(refused.retryable, "{refused:?}"),
                Err(_) => ann.come_back(&edges).await,
            }
        }
        replies += 1;
        let mut heard = Instant::now();
        while ann.transcript(&conversation).end_of(&reply).is_none() {
            if ann.read(heard + EXIT).await.is_err() {
                ann.come_back(&edges).await;
            }
            longest = longest.max(heard.elapsed());
            assert!(heard.elapsed() < EXIT, "something of the reply comes");
            heard = Instant::now();
        }
    }
    println!("a chat of {replies} replies waited {longest:?} at most for anything of a reply");
    (ann, conversation, replies)
}

#[tokio::test]
async fn a_worker_that_stops_is_not_ready_and_finishes_what_it_began() {
    let app = App::with("health_listen = \"127.0.0.1:0\"").await;
    let mut worker = app.worker("commands,reply").await;
    let health = worker.address("health is told").await;
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    assert_eq!(status(&health, "/readyz").await, 200);
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "hold 50 words").await;
    ann.until_text(&id, &reply, answer(50).len()).await;

    worker.signal("TERM");
    until("it is not ready", async || status(&health, "/readyz").await == 503).await;
    assert_eq!(status(&health, "/livez").await, 200);
    let free = (0..SHARDS).find(|shard| *shard != domain::shard_of(&id, SHARDS)).unwrap();
    let freed = "delete from leases where role = 'commands' and shard = $1 returning now()";
    let freed_at = sqlx::query_scalar(freed).bind(i32::from(free)).fetch_one(&app.pool).await.unwrap();
    // Its shards are its own until the reply is over: there is nobody else.
    ann.ask(&id, json!({ "type": "RenameConversation", "title": "while it stops" })).await.unwrap();
    // What comes meanwhile is left to others.
    let later = ann.submit_beside(&id, "say 3 later").await;
    // So is a shard that is free now.
    until("it has renewed its leases since", async || renewed_since(&app, freed_at).await).await;
    let owned = sqlx::query_scalar("select count(*) from leases where role = 'commands'");
    let owned: i64 = owned.fetch_one(&app.pool).await.unwrap();
    assert_eq!(owned, i64::from(SHARDS) - 1, "it keeps its own and takes nothing");
    app.provider.release();
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)), "finished, not handed back");
    until("it ends", async || worker.exit().is_some()).await;
    assert!(worker.exit().unwrap().success());
    assert_eq!(app.provider.calls("say 3 later"), 0);

    let _next = app.worker("commands,reply").await;
    assert_eq!(ann.end_of(&id, &later).await["type"], "ReplyCompleted");
    ann.transcript(&id).assert_clean();
}

#[tokio::test]
async fn an_edge_that_stops_refuses_newcomers_and_answers_what_it_was_asked() {
    let app = App::new().await;
    let _worker = app.worker("commands").await;
    let Api { mut process, address } = app.api().await;
    app.until_owned("commands", 1).await;
    let mut people = Vec::new();
    for nth in 0..20 {
        let mut client = Client::connect(&address, &crate::support::token(&format!("p{nth}"))).await.unwrap();
        let id = client.start().await;
        people.push((client, id));
    }
    // Commands that are under way while most of the sockets have their turn.
    let mut held = store::begin(&app.pool).await.unwrap();
    sqlx::query("select * from shards for update").execute(&mut *held).await.unwrap();
    for (client, conversation) in &mut people {
        let command = json!({ "type": "RenameConversation", "title": "under way" });
        let frame = json!({ "type": "command", "id": id(), "conversation": conversation, "command": command });
        client.send(&frame).await.unwrap();
    }
    process.signal("TERM");
    until("it is not ready", async || status(&address, "/readyz").await == 503).await;
    let releasing = tokio::spawn(async move {
        tokio::time::sleep(HELD).await;
        held.rollback().await.unwrap();
    });
    assert!(Client::connect(&address, &crate::support::token("late")).await.is_err(), "newcomers go elsewhere");
    let mut closed = Vec::new();
    for (client, conversation) in &mut people {
        let last = client.closed().await;
        let acked = client.frames.iter().filter(|frame| frame["type"] == "ack").count();
        assert_eq!(acked, 2, "the start of {conversation} and its new title");
        closed.push(last);
    }
    releasing.await.unwrap();
    assert!(closed.iter().all(|(code, _)| *code == 1012), "{closed:?}");
    let (first, last) =
        (closed.iter().map(|(_, at)| *at).min().unwrap(), closed.iter().map(|(_, at)| *at).max().unwrap());
    println!("sockets were closed over {:?}", last - first);
    until("it ends", async || process.exit().is_some()).await;
    assert!(process.exit().unwrap().success());
}

/// Whether every lease that there is was renewed after this moment of the database's.
async fn renewed_since(app: &App, moment: DateTime<Utc>) -> bool {
    let sql = "select bool_and(expires_at > $1 + make_interval(secs => $2)) from leases where role = 'commands'";
    let renewed = sqlx::query_scalar(sql).bind(moment).bind(TERM.as_secs_f64()).fetch_one(&app.pool).await;
    renewed.unwrap()
}

async fn status(address: &str, path: &str) -> u16 {
    reqwest::get(format!("http://{address}{path}")).await.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test]
async fn an_owner_that_leaves_tells_the_others() {
    let app = App::new().await;
    let mut worker = app.worker("commands").await;
    app.until_owned("commands", 1).await;
    let client = nats::connect(&app.nats.core_url(), "test", nats::Inbox::Core).await.unwrap();
    let mut freed = nats::signal::Freed::listen(&client, "commands").await;
    client.flush().await.unwrap();
    let (stopped, ()) = tokio::join!(worker.stop(), within(EXIT, "the others are told", freed.heard()));
    assert!(stopped.success());
}

#[tokio::test]
async fn a_process_is_not_ready_before_it_has_its_part_in_the_leases() {
    let app = App::new().await;
    let mut held = store::begin(&app.pool).await.unwrap();
    sqlx::query("lock table processes in exclusive mode").execute(&mut *held).await.unwrap();
    let arguments: [&[&str]; 2] = [&["worker", "--roles", "commands"], &["projector"]];
    let mut processes = arguments.map(|arguments| app.start_with(arguments, app.folder(), &[]));
    for process in &mut processes {
        process.says("the leases could not be renewed").await;
        assert!(!process.log().contains(READY), "others could not stop now: {}", process.log());
    }
    held.rollback().await.unwrap();
    for process in &mut processes {
        process.says(READY).await;
    }
    // Nor is it for ever when others own everything.
    let _another = app.worker("commands").await;
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_while_it_starts_ends() {
    let app = App::new().await;
    let nowhere = [("NATS_URL", "nats://127.0.0.1:1"), ("NATS_EDGE_URL", "nats://127.0.0.1:1")];
    let settings = &[&nowhere[..], &[("BESTCHAT_METRICS_LISTEN", "127.0.0.1:0")]].concat();
    let app = &app;
    let arguments: [&[&str]; 3] = [&["api"], &["worker"], &["projector"]];
    let told = arguments.map(|arguments| async move {
        let mut process = app.start_with(arguments, app.folder(), settings);
        // Said before anything is waited for.
        process.says("metrics are told").await;
        let took = Instant::now();
        assert!(within(EXIT, "the process ends", process.stop()).await.success());
        assert!(!process.log().contains(READY));
        took.elapsed()
    });
    println!("they ended after {:?}", futures::future::join_all(told).await);
}
