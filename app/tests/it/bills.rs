//! What providers ask to be paid for is what the log says was spent, wherever a worker is killed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use workers::provider::known;

use crate::happy::assert_same_as_stored;
use crate::metrics::{figures, told_by};
use crate::support::{Api, App, Biller, Call, Client, HALF, Transcript, WHOLE, tokens, within};

/// Two leases of replies, one of shards, and the looks of reaper and finder, with time to spare for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(40);
/// Models whose price is known: one at each of the fakes.
const OPEN: &str = "openai/gpt-6-luna";
const SHUT: &str = "azure/gpt-6-luna";
const UNREAD: &str = "deepseek/deepseek-flash";
/// One whose provider counts in its own way, what it has cached too, and the prompt before it says anything.
const COUNTING: &str = "anthropic/claude-opus-5";

async fn app(billers: [&Biller; 3]) -> App {
    let tables = [OPEN, SHUT, UNREAD].into_iter().zip(billers);
    App::with_tables("", |_| tables.map(|(model, biller)| table(model, "openai-chat", biller)).collect()).await
}

fn table(model: &str, protocol: &str, biller: &Biller) -> String {
    let (id, name) = model.split_once('/').unwrap();
    format!(
        "[[providers]]\nid = \"{id}\"\nprotocol = \"{protocol}\"\nbase_url = \"{}\"\napi_key = \"k\"\nmodels = [{{ id = \"{name}\" }}]\n\n",
        biller.base_url
    )
}

/// A reply that is held somewhere.
struct Held {
    ann: Client,
    conversation: String,
    reply: String,
    question: &'static str,
    model: &'static str,
}

impl Held {
    async fn ask(app: &App, api: &Api, model: &'static str, question: &'static str) -> Self {
        let (ann, conversation, reply) = app.asking(api, "ann", Some(model), question).await;
        Self { ann, conversation, reply, question, model }
    }

    async fn until_claimed(&mut self) {
        let claimed = |told: &Transcript| !told.of_type("ReplyAttemptStarted").is_empty();
        self.ann.read_until(&self.conversation, "the attempt begins", claimed).await;
    }

    /// Waits for the whole answer; gives what each attempt spent.
    async fn end(&mut self) -> Vec<Value> {
        let ending = self.ann.end_of(&self.conversation, &self.reply);
        let end = within(TAKE_OVER, self.question, ending).await;
        assert_eq!(
            (&end["type"], &end["parts"][0]["text"]),
            (&json!("ReplyCompleted"), &json!(WHOLE)),
            "{}",
            self.question
        );
        let transcript = self.ann.transcript(&self.conversation);
        let spent = transcript.events.iter().filter_map(|(_, event)| event.get("spent").filter(|it| !it.is_null()));
        let spent: Vec<_> = spent.cloned().collect();
        assert_eq!(spent.len(), transcript.of_type("ReplyAttemptStarted").len(), "{:#?}", transcript.events);
        spent
    }
}

/// What was spent, or is billed.
#[derive(Debug, PartialEq)]
struct Counts {
    /// Tokens read, and read from the cache; tokens written.
    read: (u64, u64),
    written: u64,
    micros: u64,
}

fn counted(spent: &Value) -> Counts {
    let usage = |kinds: &[&str]| kinds.iter().filter_map(|kind| spent["usage"][*kind].as_u64()).sum();
    Counts {
        read: (usage(&["input"]), usage(&["cached_input"])),
        written: usage(&["output", "reasoning"]),
        micros: spent["cost"]["micros"].as_u64().unwrap_or(0),
    }
}

/// The same of a bill.
fn billed(call: &Call, model: &str) -> Counts {
    counts((call.input(), call.cached()), call.output(), model)
}

/// With what that costs.
fn counts(read: (u64, u64), written: u64, model: &str) -> Counts {
    let price = &known::model(&model.parse().unwrap()).unwrap().prices[0];
    let cached = read.1 * price.cached_read.unwrap_or(price.input);
    let micros = (read.0 * price.input + cached + written * price.output).div_ceil(1_000_000);
    Counts { read, written, micros }
}

/// Every call is in the log, as an attempt that spent what it is billed. All but the last ended with their worker.
fn assert_bill_is_ledger(held: &Held, calls: &[Call], spent: &[Value]) {
    assert!(calls.len() <= spent.len(), "{}: more calls than attempts", held.question);
    let bills: Vec<_> = calls.iter().map(|call| billed(call, held.model)).collect();
    let ledger: Vec<_> = spent.iter().map(counted).collect();
    assert_eq!(ledger, bills, "{}", held.question);
    assert_estimated(held, spent);
}

fn assert_estimated(held: &Held, spent: &[Value]) {
    let estimated: Vec<_> = spent.iter().map(|spent| spent["estimated"] == true).collect();
    let expected: Vec<_> = (1..=spent.len()).map(|nth| nth < spent.len()).collect();
    assert_eq!(estimated, expected, "{}", held.question);
}

#[tokio::test]
async fn the_bill_is_the_ledger_wherever_a_worker_is_killed() {
    let (open, mut shut, mut unread) = (Biller::start().await, Biller::shut().await, Biller::unread().await);
    let app = app([&open, &shut, &unread]).await;
    let mut commands = app.worker("commands").await;
    let _projector = app.projector().await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;

    // Behind its end, which the log has; then held at each step.
    let mut ended = Held::ask(&app, &api, OPEN, "whole and recorded").await;
    let spent = ended.end().await;
    assert_bill_is_ledger(&ended, &open.calls(ended.question), &spent);
    let mut on_its_way = Held::ask(&app, &api, UNREAD, "silent behind the door").await;
    let mut silent = Held::ask(&app, &api, OPEN, "silent for ever").await;
    let mut headed = Held::ask(&app, &api, OPEN, "headed and no more").await;
    let mut middle = Held::ask(&app, &api, OPEN, "middle of it").await;
    let mut ending = Held::ask(&app, &api, OPEN, "ending unrecorded").await;
    on_its_way.until_claimed().await;
    for (held, said) in [(&silent, 0), (&headed, 0), (&middle, HALF.len()), (&ending, HALF.len())] {
        open.until_said(held.question, said).await;
    }
    for held in [&middle, &ending] {
        app.until_kept(&held.conversation, &held.reply, 1, HALF).await;
    }

    let mut claimed = Held::ask(&app, &api, SHUT, "whole in front of the door").await;
    claimed.until_claimed().await;

    // The end comes, and nobody is there to record it.
    commands.kill();
    open.end();
    app.until_kept(&ending.conversation, &ending.reply, 1, WHOLE).await;
    worker.kill();
    shut.open();
    unread.open();
    let _others = (app.worker("commands").await, app.worker("reply").await);

    for held in [&mut on_its_way, &mut silent, &mut headed, &mut middle, &mut ending] {
        let spent = held.end().await;
        let biller = if held.model == UNREAD { &unread } else { &open };
        assert_eq!(spent.len(), 2, "{}", held.question);
        assert_bill_is_ledger(held, &biller.calls(held.question), &spent);
        assert_same_as_stored(&app, &api, &held.ann, "ann", &held.conversation).await;
    }

    // Nobody knows whether a request has left a worker that is gone: it is counted as if it had. No more than its prompt is
    // counted too much.
    let spent = claimed.end().await;
    assert_estimated(&claimed, &spent);
    let [call] = &shut.calls(claimed.question)[..] else { panic!("the door was shut at the first attempt") };
    let whole = billed(call, claimed.model);
    assert_eq!(counted(&spent[1]), whole);
    let lost = counted(&spent[0]);
    assert_eq!((lost.read, lost.written), ((call.input(), 0), 0));
    assert_eq!(ended.end().await.len(), 1, "what was recorded stays as it is");
}

/// What was said last before a kill may be on its way to nobody. Of all that was said earlier, nothing is missing in the log.
const UNSEEN: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_a_lost_attempt_said_is_in_the_ledger_but_for_the_last_moment() {
    let (open, shut, unread) = (Biller::start().await, Biller::shut().await, Biller::unread().await);
    let app = app([&open, &shut, &unread]).await;
    let _commands = app.worker("commands").await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;
    let mut held = Held::ask(&app, &api, OPEN, "flowing on and on").await;
    open.until_said(held.question, 1_200).await;
    worker.kill();
    let killed = Instant::now();
    open.until_hung_up(held.question).await;
    let _other = app.worker("reply").await;
    let spent = held.end().await;
    assert_estimated(&held, &spent);
    let calls = open.calls(held.question);
    let (lost, bill) = (counted(&spent[0]), billed(&calls[0], held.model));
    let seen = tokens(calls[0].said_by(killed - UNSEEN));
    println!("billed {} for what was said, recorded {}; {seen} a second before the kill", bill.written, lost.written);
    assert_eq!(lost.read, bill.read);
    assert!((seen..=bill.written).contains(&lost.written), "{seen} <= {} <= {}", lost.written, bill.written);
    assert_eq!(counted(&spent[1]), billed(&calls[1], held.model));
}

#[tokio::test]
async fn what_a_provider_counts_in_its_own_way_is_the_ledger_and_what_is_lost_is_estimated() {
    let biller = Biller::start().await;
    let told = "metrics_listen = \"127.0.0.1:0\"";
    let app = App::with_tables(told, |_| table(COUNTING, "anthropic", &biller)).await;
    let _commands = app.worker("commands").await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;

    let mut ended = Held::ask(&app, &api, COUNTING, "whole and recorded").await;
    let spent = ended.end().await;
    assert_bill_is_ledger(&ended, &biller.calls(ended.question), &spent);

    // Stopped: what was counted of the prompt is no estimate, what was said is one.
    let mut stopped = Held::ask(&app, &api, COUNTING, "middle and stopped").await;
    stopped.ann.until_text(&stopped.conversation, &stopped.reply, HALF.len()).await;
    stopped.ann.stop(&stopped.conversation, &stopped.reply).await.unwrap();
    let end = stopped.ann.end_of(&stopped.conversation, &stopped.reply).await;
    let call = &biller.calls(stopped.question)[0];
    let so_far = counts((call.input(), call.cached()), tokens(HALF.len()), COUNTING);
    assert_eq!((counted(&end["spent"]), &end["spent"]["estimated"]), (so_far, &json!(true)), "{end:#}");
    let cached = biller.calls(ended.question)[0].cached() + call.cached();
    let labels = "provider=\"anthropic\",model=\"claude-opus-5\",kind=\"cached_input\"";
    let sample = format!("bestchat_tokens_total{{{labels}}} {cached}\n");
    let told = figures(&told_by(&mut worker).await).await;
    assert!(told.contains(&sample), "{sample} in\n{told}");

    let mut silent = Held::ask(&app, &api, COUNTING, "silent for ever").await;
    let mut headed = Held::ask(&app, &api, COUNTING, "headed and no more").await;
    let mut begun = Held::ask(&app, &api, COUNTING, "begun and no more").await;
    let mut middle = Held::ask(&app, &api, COUNTING, "middle of it").await;
    for (held, said) in [(&silent, 0), (&headed, 0), (&begun, 0), (&middle, HALF.len())] {
        biller.until_said(held.question, said).await;
    }
    app.until_kept(&middle.conversation, &middle.reply, 1, HALF).await;
    worker.kill();
    let _other = app.worker("reply").await;
    for (held, said) in [(&mut silent, ""), (&mut headed, ""), (&mut begun, ""), (&mut middle, HALF)] {
        let spent = held.end().await;
        let [lost, whole] = &biller.calls(held.question)[..] else { panic!("{} is asked twice", held.question) };
        assert_eq!(counted(&spent[1]), billed(whole, COUNTING), "{}", held.question);
        // A token for every four bytes: what it counted went with the worker.
        let estimate = counts((tokens(lost.prompt), 0), tokens(said.len()), COUNTING);
        assert_eq!(counted(&spent[0]), estimate, "{}", held.question);
        assert_estimated(held, &spent);
    }
}

/// Fails behind a word, and wants to be let alone for longer than it takes to kill a worker.
const LET_ALONE: &str = r#"raw data: {"choices":[{"index":0,"delta":{"content":"Naive"}}]}

data: {"error":{"message":"Overloaded, try again in 5s.","type":"server_error"}}"#;

#[tokio::test]
async fn what_a_failed_attempt_spent_is_kept_when_its_worker_is_killed_before_the_next() {
    let (open, shut, unread) = (Biller::start().await, Biller::shut().await, Biller::unread().await);
    let app = app([&open, &shut, &unread]).await;
    let _commands = app.worker("commands").await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;
    let mut held = Held::ask(&app, &api, OPEN, LET_ALONE).await;
    let failed = |told: &Transcript| !told.of_type("ReplyAttemptFailed").is_empty();
    held.ann.read_until(&held.conversation, "the attempt fails", failed).await;
    worker.kill();
    let _other = app.worker("reply").await;
    let spent = held.end().await;
    let [lost, whole] = &open.calls(held.question)[..] else { panic!("it is asked twice") };
    assert_eq!(counted(&spent[0]), counts((lost.input(), 0), tokens("Naive".len()), OPEN));
    assert_eq!(counted(&spent[1]), billed(whole, OPEN));
    assert_estimated(&held, &spent);
}
