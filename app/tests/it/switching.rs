//! One conversation that goes from model to model, through all seven protocols, with thoughts and calls of tools in every
//! answer: no provider is asked anything that it would refuse, and each is shown its own model's thoughts alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde_json::{Value, json};
use workers::provider::Protocol;
use workers::provider::recorded::{ARGUMENTS, Recorded, TOKENS, TOOL};

use crate::happy::assert_same_as_stored;
use crate::support::{App, Client, Speaker};

/// As whom each protocol's fake is configured, and the model that is asked there: those that are most particular about
/// what they are shown.
const MODELS: [(Protocol, &str); 7] = [
    (Protocol::OpenaiChat, "deepseek/deepseek-flash"),
    (Protocol::OpenaiResponses, "responses/gpt-5.6"),
    (Protocol::Anthropic, "anthropic/claude-opus-5-5"),
    (Protocol::Gemini, "google/gemini-3.1-pro-preview"),
    (Protocol::Bedrock, "bedrock/global.anthropic.claude-sonnet-5-5"),
    (Protocol::Cohere, "cohere/command-a-plus-05-2026"),
    (Protocol::Ollama, "ollama/qwen3"),
];

/// The models in an order in which each follows each, itself too, exactly once.
fn every_switch() -> Vec<usize> {
    let mut order = Vec::new();
    for first in 0..MODELS.len() {
        order.push(first);
        order.extend((first + 1..MODELS.len()).flat_map(|second| [first, second]));
    }
    order.push(order[0]);
    order
}

fn tables(speakers: &[Speaker]) -> String {
    let table = |(speaker, (_, model)): (&Speaker, &(Protocol, &str))| {
        let (id, name) = model.split_once('/').unwrap();
        format!(
            "[[providers]]\nid = \"{id}\"\nprotocol = \"{}\"\nbase_url = \"{}\"\napi_key = \"k\"\nmodels = [{{ id = \"{name}\" }}]\n\n",
            speaker.protocol.as_str(),
            speaker.base_url
        )
    };
    speakers.iter().zip(&MODELS).map(table).collect()
}

/// Switches to a model and asks it; gives the event that ends the reply.
async fn ask(ann: &mut Client, id: &str, model: &str, question: &str) -> Value {
    let switch = json!({ "type": "ConfigureModel", "model": model, "system_prompt": "Be brief." });
    ann.ask(id, switch).await.unwrap();
    let reply = ann.submit(id, question).await;
    ann.end_of(id, &reply).await
}

/// What a reply must have kept of an answer.
fn assert_kept(end: &Value, protocol: Protocol, model: &str, number: u32) {
    let answer = Recorded::of(protocol, number);
    assert_eq!(
        (&end["type"], &end["model"], &end["finish"]),
        (&json!("ReplyCompleted"), &json!(model), &json!("tool_calls")),
        "{end:#}"
    );
    let parts = end["parts"].as_array().unwrap();
    let of = |kind: &str| parts.iter().filter(|part| part["type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("reasoning")[0]["text"], answer.thought, "{end:#}");
    assert_eq!(of("text")[0]["text"], answer.text);
    let calls: Vec<_> = of("tool_call")
        .iter()
        .map(|call| (&call["name"], &call["arguments"]))
        .map(|(name, arguments)| (name.as_str().unwrap(), arguments.as_str().unwrap()))
        .collect();
    assert_eq!(calls, ARGUMENTS.map(|arguments| (TOOL, arguments)));
    assert_eq!(spent(end), TOKENS, "{end:#}");
    assert_ne!(end["spent"]["estimated"], true);
}

fn spent(end: &Value) -> u64 {
    let kinds = ["input", "cached_input", "cache_write", "output", "reasoning"];
    kinds.iter().filter_map(|kind| end["spent"]["usage"][kind].as_u64()).sum()
}

#[tokio::test]
async fn a_conversation_goes_from_every_model_to_every_other() {
    let next = Arc::new(AtomicU32::new(0));
    let mut speakers = Vec::new();
    for (protocol, _) in MODELS {
        speakers.push(Speaker::start(protocol, Arc::clone(&next)).await);
    }
    let app = App::with_tables("", |_| tables(&speakers)).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;

    let order = every_switch();
    let switches: BTreeSet<_> = order.windows(2).map(|two| (two[0], two[1])).collect();
    assert_eq!((switches.len(), order.len()), (MODELS.len() * MODELS.len(), switches.len() + 1));
    let mut all = 0;
    for (number, nth) in order.into_iter().enumerate() {
        let (protocol, model) = MODELS[nth];
        let end = ask(&mut ann, &id, model, &format!("Question {number}")).await;
        speakers[nth].assert_content();
        assert_kept(&end, protocol, model, u32::try_from(number).unwrap());
        all += spent(&end);
    }
    assert_eq!(all, speakers.iter().map(Speaker::bill).sum::<u64>(), "the bills are what the log says");
    // Converse refuses calls where no tools are given, and none are: they are told as text, without the thoughts before them.
    for speaker in speakers.iter().filter(|speaker| speaker.protocol != Protocol::Bedrock) {
        assert!(speaker.shown() > 0, "{:?} gets its model's thoughts back", speaker.protocol);
    }
    for speaker in speakers.iter().filter(|it| matches!(it.protocol, Protocol::Anthropic | Protocol::Bedrock)) {
        assert!(speaker.is_told_what_to_keep(), "{:?} keeps nothing that it is not told to", speaker.protocol);
    }
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
}
