//! Providers that are simply there, without any configuration.

use std::time::Duration;

use serde::Deserialize;

use super::{ModelConfig, Protocol, ProviderConfig};

/// How long an Ollama on this machine has to say that it is there.
const OLLAMA_DEADLINE: Duration = Duration::from_millis(500);
const OLLAMA: &str = "http://127.0.0.1:11434";
/// The models offered with a key alone; `[[providers]]` names others.
const OPENAI_MODELS: &[(&str, u64)] = &[("gpt-5-mini", 400_000), ("gpt-5", 400_000), ("gpt-4.1", 1_047_576)];

/// `OpenAI`, with a key.
pub fn openai(key: String) -> ProviderConfig {
    let model = |(id, context): &(&str, u64)| ModelConfig { id: (*id).to_owned(), context_window: Some(*context) };
    ProviderConfig {
        id: "openai".to_owned(),
        protocol: Protocol::OpenaiChat,
        base_url: Some("https://api.openai.com/v1".to_owned()),
        api_key: Some(key.into()),
        models: OPENAI_MODELS.iter().map(model).collect(),
    }
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// An Ollama with at least one model, if one answers.
pub async fn ollama() -> Option<ProviderConfig> {
    let client = reqwest::Client::builder().timeout(OLLAMA_DEADLINE).no_proxy().build().ok()?;
    let tags: Tags = client.get(format!("{OLLAMA}/api/tags")).send().await.ok()?.json().await.ok()?;
    let model = |tag: Tag| ModelConfig { id: tag.name, context_window: None };
    let models: Vec<ModelConfig> = tags.models.into_iter().map(model).collect();
    (!models.is_empty()).then(|| ProviderConfig {
        id: "ollama".to_owned(),
        protocol: Protocol::OpenaiChat,
        base_url: Some(format!("{OLLAMA}/v1")),
        api_key: None,
        models,
    })
}
