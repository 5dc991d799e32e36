//! Models that are simply there: a key in the environment, an Ollama. What an edge calls the default is what answers.

use serde_json::{Value, json};

use crate::support::{Api, App, Client, SECRET, TENANT, address};
use crate::up::{dev_token, ready};

/// Nothing of the tests' own settings: no provider and no default.
const UNSET: [(&str, &str); 2] = [("BESTCHAT_CONFIG", ""), ("BESTCHAT_DATA", "data")];

async fn models(address: &str, token: &str) -> Vec<Value> {
    let url = format!("http://{address}/api/models");
    let list: Value = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    list["models"].as_array().unwrap().clone()
}

/// The models that are marked as the default.
fn defaults(models: &[Value]) -> Vec<&str> {
    models.iter().filter(|model| model["default"] == true).map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn up_offers_what_is_there_and_the_first_of_it_answers() {
    let app = App::new().await;
    let host = app.provider.base_url.strip_suffix("/v1").unwrap().to_owned();
    let key = [("OPENAI_API_KEY", "sk-test"), ("OPENAI_BASE_URL", app.provider.base_url.as_str())];
    let ollama = [("OLLAMA_HOST", host.strip_prefix("http://").unwrap())];
    let nothing = [("OLLAMA_HOST", "127.0.0.1:1")];
    for (environment, offered, answers) in [
        ([&key[..], &ollama[..]].concat(), &["openai", "ollama", "demo"][..], "openai/gpt-6-luna"),
        (ollama.to_vec(), &["ollama", "demo"][..], "ollama/tiny:1b"),
        (nothing.to_vec(), &["demo"][..], "demo/echo"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut up = app.start_with(&["up"], folder.path(), &[&UNSET[..], &environment[..]].concat());
        let (address, _) = ready(&mut up).await;
        let login = dev_token(&address, &address, "ann").await.unwrap();
        let models = models(&address, &login).await;
        let mut providers: Vec<&str> =
            models.iter().map(|model| model["id"].as_str().unwrap().split('/').next().unwrap()).collect();
        providers.dedup();
        assert_eq!((providers.as_slice(), defaults(&models)), (offered, vec![answers]));

        let mut ann = Client::connect(&address, &login).await.unwrap();
        let id = ann.start().await;
        ann.follow(&id).await;
        let reply = ann.submit(&id, "say 5 instant words").await;
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["model"]), (&json!("ReplyCompleted"), &json!(answers)));
        assert!(up.stop().await.success());
    }
}

#[tokio::test]
async fn an_edge_marks_no_default_that_only_the_workers_know() {
    let app = App::new().await;
    let issuers =
        format!("[{{tenant=\"{TENANT}\", issuer=\"https://login.test\", audience=\"chat\", secret=\"{SECRET}\"}}]");
    let unset = [&UNSET[..], &[("BESTCHAT_AUTH__ISSUERS", issuers.as_str()), ("OLLAMA_HOST", "127.0.0.1:1")]].concat();
    for (default_model, marked) in [("", None), ("demo/echo", Some("demo/echo"))] {
        let environment = [&unset[..], &[("BESTCHAT_DEFAULT_MODEL", default_model)]].concat();
        let empty = tempfile::tempdir().unwrap();
        let mut process = app.start_with(&["api"], empty.path(), &environment);
        let api = Api { address: address(&mut process).await, process };
        let models = api.read("ann", "/api/models").await;
        assert_eq!(defaults(models["models"].as_array().unwrap()), marked.into_iter().collect::<Vec<_>>());
    }
    let configured = app.api().await.read("ann", "/api/models").await;
    assert_eq!(defaults(configured["models"].as_array().unwrap()), ["fake/model"]);
}
