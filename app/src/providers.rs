//! The providers of this installation: those of the settings, and those that are simply there.

use std::time::Duration;

use serde::Deserialize;
use workers::provider::{Catalog, Deadlines, ModelConfig, Protocol, ProviderConfig};

use crate::config::{self, Settings};
use crate::wire::Error;

/// How long an Ollama on this machine has to say that it is there.
const OLLAMA_DEADLINE: Duration = Duration::from_millis(500);
const OLLAMA: &str = "http://127.0.0.1:11434";
/// The models offered with a key alone; `[[providers]]` names others.
const OPENAI_MODELS: &[(&str, u64)] = &[("gpt-5-mini", 400_000), ("gpt-5", 400_000), ("gpt-4.1", 1_047_576)];

/// Every provider, the first model being what answers where nobody chose one and no default is set: what is configured
/// comes first, then OpenAI if there is a key, then an Ollama on this machine, then the demo.
pub(crate) async fn catalog(settings: &Settings) -> Result<Catalog, Error> {
    let mut providers: Vec<ProviderConfig> = settings.providers.iter().map(configured).collect();
    let is_new = |providers: &[ProviderConfig], id: &str| providers.iter().all(|provider| provider.id != id);
    if let Some(openai) = openai().filter(|_| is_new(&providers, "openai")) {
        providers.push(openai);
    }
    if is_new(&providers, "ollama")
        && let Some(ollama) = ollama().await
    {
        providers.push(ollama);
    }
    if is_new(&providers, "demo") {
        providers.push(ProviderConfig::demo());
    }
    let default = settings.default_model.as_deref().map(str::parse).transpose().map_err(Error::other)?;
    Catalog::new(providers, default, Deadlines::default()).map_err(Error::other)
}

fn configured(provider: &config::Provider) -> ProviderConfig {
    let model = |model: &config::Model| ModelConfig {
        id: model.id.clone(),
        context_window: Some(u64::from(model.context_window)),
    };
    ProviderConfig {
        id: provider.id.clone(),
        protocol: match provider.protocol {
            config::Protocol::OpenaiChat => Protocol::OpenaiChat,
            config::Protocol::Demo => Protocol::Demo,
        },
        base_url: provider.base_url.clone(),
        api_key: provider.api_key.as_ref().map(|key| key.expose().to_owned().into()),
        models: provider.models.iter().map(model).collect(),
    }
}

fn openai() -> Option<ProviderConfig> {
    let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.trim().is_empty())?;
    let model = |(id, context): &(&str, u64)| ModelConfig { id: (*id).to_owned(), context_window: Some(*context) };
    Some(ProviderConfig {
        id: "openai".to_owned(),
        protocol: Protocol::OpenaiChat,
        base_url: Some("https://api.openai.com/v1".to_owned()),
        api_key: Some(key.into()),
        models: OPENAI_MODELS.iter().map(model).collect(),
    })
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
async fn ollama() -> Option<ProviderConfig> {
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
