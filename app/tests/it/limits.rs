//! Limits of people hold, however many replies are asked for at once, and give room again for what was not spent.

use std::time::Duration;

use domain::AccountId;
use serde_json::{Value, json};

use crate::support::{Api, App, Provider, SHARDS, TENANT, answer, token, until, within};

/// A reply's lease, and the reaper's and the finder's looks, with time to spare for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(20);
/// A model whose price is known, at the address of the tests' provider.
const PRICED: &str = "openai/gpt-6-luna";
/// Another one, which is left alone for a while once it has been refused.
const REFUSED: &str = "openai/gpt-6.1-sol";
/// How many replies are asked for at once.
const AT_ONCE: usize = 12;

async fn app() -> App {
    App::with_tables("", |base_url| {
        format!(
            "[[providers]]\nid = \"openai\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key = \"k\"\n"
        )
    })
    .await
}

impl Api {
    async fn set_limits(&self, user: &str, limits: Value) {
        let url = format!("http://{}/api/limits", self.address);
        let answer = reqwest::Client::new().put(url).bearer_auth(token(user)).json(&limits).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

impl App {
    /// How many of someone's calls something is set aside for.
    async fn set_aside(&self, user: &str) -> i64 {
        let sql = "select count(*) from reservations where account = $1";
        sqlx::query_scalar(sql).bind(account(user).0).fetch_one(&self.pool).await.unwrap()
    }

    /// What the table says that someone spent: money and tokens.
    async fn spent(&self, user: &str) -> (i64, i64) {
        let sql = "select coalesce(sum(micro_usd), 0)::bigint, coalesce(sum(tokens), 0)::bigint
                   from spent_by_day where account = $1";
        sqlx::query_as(sql).bind(account(user).0).fetch_one(&self.pool).await.unwrap()
    }

    /// The same as the log says it, of everyone.
    async fn spent_by_the_log(&self) -> (i64, i64) {
        let sql = "select coalesce(sum((payload->'spent'->'cost'->>'micros')::bigint), 0)::bigint,
                          coalesce(sum((select sum(value::text::bigint) from jsonb_each(payload->'spent'->'usage')
                                        where jsonb_typeof(value) = 'number')), 0)::bigint from events";
        sqlx::query_as(sql).fetch_one(&self.pool).await.unwrap()
    }
}

fn account(user: &str) -> AccountId {
    AccountId::of(&TENANT.parse().unwrap(), &user.parse().unwrap())
}

/// How the reply to a question ends.
async fn ask(app: &App, api: &Api, user: &str, model: Option<&str>, question: &str) -> Value {
    let (mut client, id, reply) = app.asking(api, user, model, question).await;
    client.end_of(&id, &reply).await
}

/// A question whose answer is as long as it may be, and whose prompt is not billed as more than it looks.
fn endless(nth: usize) -> String {
    format!("billed say 100000 {nth} {}", "x".repeat(400))
}

/// When a refused reply says that its limit resets.
fn resets_at(end: &Value, limit: &str, words: &str) -> Option<String> {
    let error = &end["error"];
    assert_eq!(
        (&end["type"], &error["code"], &error["limit"]["name"]),
        (&json!("ReplyFailed"), &json!("limit"), &json!(limit))
    );
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    let resets_at = error["limit"]["resets_at"].as_str().map(str::to_owned);
    if let Some(time) = &resets_at {
        let people_read = time.replace('T', " at ").replace(":00Z", " UTC");
        assert!(error["message"].as_str().unwrap().contains(&people_read), "{error}");
    }
    resets_at
}

#[tokio::test]
async fn replies_at_once_spend_no_more_than_the_limit_allows() {
    let app = app().await;
    let _workers = (app.worker("commands,reply").await, app.worker("reply").await, app.worker("reply").await);
    let api = app.api().await;
    for (user, model, limit, most, words) in [
        ("ann", None, "tokens_per_day", 10_000, "10000 tokens a day"),
        ("ben", Some(PRICED), "micro_usd_per_month", 20_000, "$0.02 a month"),
    ] {
        api.set_limits(user, json!({ limit: most })).await;
        let questions: Vec<String> = (0..AT_ONCE).map(endless).collect();
        let asked = questions.iter().map(|question| ask(&app, &api, user, model, question));
        let ends = futures::future::join_all(asked).await;
        let (whole, refused): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end["type"] == "ReplyCompleted");
        assert!(!whole.is_empty() && !refused.is_empty(), "{ends:#?}");
        assert!(whole.iter().all(|end| end["finish"] == "length"), "{whole:#?}");
        for end in &refused {
            resets_at(end, limit, words);
        }
        until("what was set aside is given back", async || app.set_aside(user).await == 0).await;
        let (money, tokens) = app.spent(user).await;
        let spent = if model.is_some() { money } else { tokens };
        println!("{user}: {} replies spent {spent} of {most}", whole.len());
        assert!((most * 9 / 10..=most).contains(&spent), "{spent} of {most}");
        // With nothing under way it is told when there is room again.
        let end = ask(&app, &api, user, model, &endless(AT_ONCE)).await;
        let time = resets_at(&end, limit, words).unwrap();
        assert!(time.ends_with("T00:00:00Z") && (model.is_none() || time.contains("-01T")), "{time}");
        api.set_limits(user, json!({ limit: 10 * most })).await;
        assert_eq!(ask(&app, &api, user, model, &endless(AT_ONCE + 1)).await["type"], "ReplyCompleted");
        api.set_limits(user, json!({})).await;
        assert_eq!(ask(&app, &api, user, model, "say 5 words").await["finish"], "stop");
    }
}

#[tokio::test]
async fn so_many_replies_run_at_once() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("reply").await);
    let api = app.api().await;
    api.set_limits("ann", json!({ "concurrent_replies": 2 })).await;
    let questions: Vec<String> = (0..6).map(|nth| format!("hold 5 {nth}")).collect();
    let asked = questions.iter().map(async |question| {
        let (mut ann, id, reply) = app.asking(&api, "ann", None, question).await;
        ann.read_until(&id, "it runs or is refused", |told| {
            told.running.contains_key(&reply) || told.end_of(&reply).is_some()
        })
        .await;
        let end = ann.transcript(&id).end_of(&reply).cloned();
        (ann, id, reply, end)
    });
    let (refused, running): (Vec<_>, Vec<_>) =
        futures::future::join_all(asked).await.into_iter().partition(|(.., end)| end.is_some());
    assert_eq!((running.len(), refused.len()), (2, 4));
    for (.., end) in &refused {
        assert_eq!(resets_at(end.as_ref().unwrap(), "concurrent_replies", "2 replies at once"), None);
    }
    assert_eq!(app.provider.all_calls(), 2, "nobody was asked for those that were refused");
    assert_eq!(app.set_aside("ann").await, 2);
    // Whoever has set no limits is not counted.
    let (mut ben, id, reply) = app.asking(&api, "ben", None, "hold 5 of another").await;
    ben.until_text(&id, &reply, answer(5).len()).await;
    assert_eq!(app.set_aside("ben").await, 0);
    app.provider.release();
    for (mut ann, id, reply, _) in running {
        assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    }
    until("there is room again", async || app.set_aside("ann").await == 0).await;
    assert_eq!(ask(&app, &api, "ann", None, "say 5 more").await["type"], "ReplyCompleted");
}

#[tokio::test]
async fn what_has_ended_is_in_nobodys_way() {
    let other = Provider::that_always("say 7").await;
    let base_url = other.base_url.clone();
    let app = App::with_tables("", move |_| {
        format!(
            "[[providers]]\nid = \"other\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\n\
             models = [{{ id = \"model\" }}]\n\n[[routes]]\nid = \"two\"\nmodels = [\"fake/model\", \"other/model\"]\n"
        )
    })
    .await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    api.set_limits("ann", json!({ "concurrent_replies": 1 })).await;
    for nth in 0..5 {
        // Neither the first attempt is in the way of the second, nor a whole reply in that of the next one.
        let end = ask(&app, &api, "ann", Some("route/two"), &format!("refused {nth}")).await;
        assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)), "{end}");
    }
}

#[tokio::test]
async fn what_nobody_knows_the_price_of_is_not_asked_under_a_limit_of_money() {
    let app = app().await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    let unpriced = Some("openai/of-tomorrow");
    assert_eq!(ask(&app, &api, "ann", unpriced, "say 5 freely").await["type"], "ReplyCompleted");
    api.set_limits("ann", json!({ "micro_usd_per_month": 1_000_000 })).await;
    let end = ask(&app, &api, "ann", unpriced, "say 5 words").await;
    assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!("unknown_model")));
    assert!(
        end["error"]["message"].as_str().unwrap().starts_with("Nobody knows what openai/of-tomorrow costs"),
        "{end}"
    );
    assert_eq!(app.provider.calls("say 5 words"), 0);
    // A server that nobody knows is thought to be one's own.
    assert_eq!(ask(&app, &api, "ann", None, "say 5 at home").await["type"], "ReplyCompleted");
}

#[tokio::test]
async fn an_installation_grants_no_more_than_it_says_whatever_people_say() {
    let app = App::with("limits.tokens_per_day = 1_000").await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    for limits in [json!({}), json!({ "tokens_per_day": 1_000_000 })] {
        api.set_limits("ann", limits).await;
        assert_eq!(ask(&app, &api, "ann", None, "say 5 words").await["type"], "ReplyCompleted");
    }
    api.set_limits("ben", json!({ "tokens_per_day": 10 })).await;
    resets_at(&ask(&app, &api, "ben", None, "say 5 words").await, "tokens_per_day", "10 tokens a day");
    let question = format!("say 5 {}", "x".repeat(3_000));
    resets_at(&ask(&app, &api, "ann", None, &question).await, "tokens_per_day", "1000 tokens a day");
}

#[tokio::test]
async fn so_many_requests_are_made_in_a_minute() {
    let app = App::new().await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    let most = 3;
    api.set_limits("ann", json!({ "requests_per_minute": most })).await;
    let mut answered = 0;
    // A new minute may begin in the middle.
    let refused = loop {
        let end = ask(&app, &api, "ann", None, &format!("say 5 of {answered}")).await;
        if end["type"] != "ReplyCompleted" {
            break end;
        }
        answered += 1;
        assert!(answered <= 2 * most, "that is more than two minutes allow");
    };
    assert!(answered >= most, "{answered}");
    let time = resets_at(&refused, "requests_per_minute", "3 requests a minute").unwrap();
    assert!(time.ends_with(":00Z"), "{time}");
    assert_eq!(app.provider.all_calls(), answered);
}

#[tokio::test]
async fn whatever_ends_an_attempt_its_room_is_given_back_and_what_it_spent_is_counted() {
    let app = app().await;
    let _commands = app.worker("commands").await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;
    api.set_limits("ann", json!({ "tokens_per_day": 1_000_000, "micro_usd_per_day": 50_000_000 })).await;
    for (question, model, end) in [
        ("billed say 50 whole", Some(PRICED), "ReplyCompleted"),
        ("cut 5 failed", None, "ReplyFailed"),
        ("recover 5 retried", Some(PRICED), "ReplyCompleted"),
        ("refused at once", Some(REFUSED), "ReplyFailed"),
    ] {
        assert_eq!(ask(&app, &api, "ann", model, question).await["type"], end, "{question}");
    }

    let (mut ann, id, reply) = app.asking(&api, "ann", Some(PRICED), "pace 2000 10 stopped").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    assert_eq!(app.set_aside("ann").await, 1);
    ann.stop(&id, &reply).await.unwrap();
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyStopped");

    let (mut ann, id, reply) = app.asking(&api, "ann", Some(PRICED), "pace 2000 10 deleted").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    ann.ask(&id, json!({ "type": "DeleteConversation" })).await.unwrap();
    let of_deleted = async || {
        let sql = "select payload from events where event_type = 'ReplyStopped' and aggregate_id = $1";
        sqlx::query_scalar::<_, Value>(sql).bind(&id).fetch_optional(&app.pool).await.unwrap()
    };
    until("the deleted conversation's reply ends", async || of_deleted().await.is_some()).await;
    let end = of_deleted().await.unwrap();
    assert_eq!(end["parts"], json!([]), "nothing of what was said is kept");
    assert!(end["spent"]["usage"]["output"].as_u64().unwrap() >= 20, "{end}");

    let (mut ann, id, reply) = app.asking(&api, "ann", Some(PRICED), "hold 20 lost").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    app.until_kept(&id, &reply, 1, &answer(20)).await;
    worker.kill();
    let expired =
        ann.read_until(&id, "the lost attempt expires", |told| !told.of_type("ReplyAttemptExpired").is_empty());
    within(TAKE_OVER, "the reaper ends it", expired).await;
    until("nothing is set aside for a lost worker", async || app.set_aside("ann").await == 0).await;
    let estimate = &ann.transcript(&id).of_type("ReplyAttemptExpired")[0]["spent"];
    assert_eq!(
        (&estimate["estimated"], estimate["usage"]["output"].as_u64()),
        (&json!(true), Some(answer(20).len().div_ceil(4) as u64))
    );
    let _other = app.worker("reply").await;
    app.provider.release();
    assert_eq!(within(TAKE_OVER, "another goes on", ann.end_of(&id, &reply)).await["type"], "ReplyCompleted");

    let is_settled = async || app.set_aside("ann").await == 0 && app.spent("ann").await == app.spent_by_the_log().await;
    until("the table says what the log says", is_settled).await;
    let (money, tokens) = app.spent("ann").await;
    assert!(money > 0 && tokens > 0);

    // As a crash of Postgres does to what was not flushed: it is taken in again.
    let mut lost = store::begin(&app.pool).await.unwrap();
    for sql in [
        "delete from open_replies",
        "delete from spent_by_day",
        "update checkpoints set pos = 0 where projection = 'open_replies'",
    ] {
        sqlx::query(sql).execute(&mut *lost).await.unwrap();
    }
    lost.commit().await.unwrap();
    // In every shard the next event comes behind a gap.
    let mut ann = app.client(&api, "ann").await;
    for shard in 0..SHARDS {
        let id = std::iter::repeat_with(crate::support::id).find(|id| domain::shard_of(id, SHARDS) == shard).unwrap();
        ann.ask(&id, json!({ "type": "StartConversation" })).await.unwrap();
    }
    until("the table says what the log says", is_settled).await;
}
