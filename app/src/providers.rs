//! The providers of this installation: those of the settings, and those that are simply there.

use std::time::Duration;

use workers::provider::{Catalog, Deadlines, ModelConfig, Protocol, ProviderConfig, found};

use crate::config::{self, Settings};
use crate::wire::Error;

/// Every provider, the first model being what answers where nobody chose one and no default is set: what is configured
/// comes first, then OpenAI if there is a key (`OPENAI_API_KEY`, `OPENAI_BASE_URL`), then an Ollama on this machine or where
/// `OLLAMA_HOST` says, then the demo.
pub(crate) async fn catalog(settings: &Settings) -> Result<Catalog, Error> {
    let mut providers: Vec<ProviderConfig> = settings.providers.iter().map(configured).collect();
    let is_new = |providers: &[ProviderConfig], id: &str| providers.iter().all(|provider| provider.id != id);
    if let Some(key) = environment("OPENAI_API_KEY").filter(|_| is_new(&providers, "openai")) {
        providers.push(found::openai(key, environment("OPENAI_BASE_URL")));
    }
    if is_new(&providers, "ollama")
        && let Some(ollama) = found::ollama(environment("OLLAMA_HOST").as_deref()).await
    {
        providers.push(ollama);
    }
    if is_new(&providers, "demo") {
        providers.push(ProviderConfig::demo());
    }
    let default = settings.default_model.as_deref().map(str::parse).transpose().map_err(Error::other)?;
    let config::Deadlines { connect, first_token, between_tokens } = settings.deadlines;
    let deadlines = Deadlines {
        connect: Duration::from_secs(connect),
        first_token: Duration::from_secs(first_token),
        between_tokens: Duration::from_secs(between_tokens),
    };
    Catalog::new(providers, default, deadlines).map_err(Error::other)
}

/// Whether the settings say which model answers where nobody chose one. Otherwise that is the first one found, and each
/// process looks around by itself: an edge need not find what the workers do.
pub(crate) fn default_is_configured(settings: &Settings) -> bool {
    settings.default_model.is_some() || settings.providers.iter().any(|provider| !provider.models.is_empty())
}

/// A variable of the providers' own tools, unless it is empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
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
