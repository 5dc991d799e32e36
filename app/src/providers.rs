//! The providers of this installation: those of the settings, and those that are simply there.

use std::time::Duration;

use workers::provider::{Catalog, Deadlines, ModelConfig, Protocol, ProviderConfig, found};

use crate::config::{self, Settings};
use crate::wire::Error;

/// Every provider, the first model being what answers where nobody chose one and no default is set: what is configured
/// comes first, then OpenAI if there is a key, then an Ollama on this machine, then the demo.
pub(crate) async fn catalog(settings: &Settings) -> Result<Catalog, Error> {
    let mut providers: Vec<ProviderConfig> = settings.providers.iter().map(configured).collect();
    let is_new = |providers: &[ProviderConfig], id: &str| providers.iter().all(|provider| provider.id != id);
    let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.trim().is_empty());
    if let Some(key) = key.filter(|_| is_new(&providers, "openai")) {
        providers.push(found::openai(key));
    }
    if is_new(&providers, "ollama")
        && let Some(ollama) = found::ollama().await
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
