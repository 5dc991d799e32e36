//! The providers of this installation: those of the settings, and those that are simply there.

pub(crate) mod list;

use std::time::Duration;

use workers::provider::address::Reach;
use workers::provider::known::{self, Auth, KnownProvider};
use workers::provider::route::RouteConfig;
use workers::provider::{Catalog, Deadlines, ModelConfig, Protocol, ProviderConfig, found};

use crate::config::{self, Settings};
use crate::wire::Error;

/// Every provider, the first model being what answers where nobody chose one and no default is set: what is configured
/// comes first, then every known provider whose key is in the environment (`OPENAI_API_KEY` and the like), then an Ollama on
/// this machine or where `OLLAMA_HOST` says, then the demo.
pub(crate) async fn catalog(settings: &Settings) -> Result<Catalog, Error> {
    let configured = settings.providers.iter().map(|provider| configured(provider, environment));
    let mut providers = configured.collect::<Result<Vec<_>, _>>()?;
    let is_new = |providers: &[ProviderConfig], id: &str| providers.iter().all(|provider| provider.id != id);
    let offered = known::providers().iter().filter(|known| is_new(&providers, &known.id));
    let offered: Vec<_> = offered.filter_map(|known| by_key(known, environment)).collect();
    providers.extend(offered);
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
    let routes = settings.routes.iter().map(route).collect::<Result<_, _>>()?;
    let catalog = Catalog::with_routes(providers, routes, default, deadlines).map_err(Error::other)?;
    Ok(catalog.with_peoples_reach(peoples_reach(settings)).with_limits(settings.limits.into()))
}

/// How far the addresses of people's own providers may lead.
pub(crate) fn peoples_reach(settings: &Settings) -> Reach {
    if settings.allow_private_addresses { Reach::Anywhere } else { Reach::Public }
}

/// Whether the settings say which model answers where nobody chose one. Otherwise that is the first one found, and each
/// process looks around by itself: an edge need not find what the workers do.
pub(crate) fn default_is_configured(settings: &Settings) -> bool {
    let has_models = |provider: &config::Provider| {
        !provider.models.is_empty() || known(provider).is_some_and(|it| !it.models.is_empty())
    };
    settings.default_model.is_some() || settings.providers.iter().any(has_models)
}

fn route(route: &config::Route) -> Result<RouteConfig, Error> {
    let refusal = |error| Error::other(format!("route {:?}: {error}", route.id));
    let models = route.models.iter().map(|model| model.parse().map_err(refusal)).collect::<Result<_, _>>()?;
    Ok(RouteConfig { id: route.id.clone(), models })
}

/// A variable of the providers' own tools, unless it is empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn known(provider: &config::Provider) -> Option<&'static KnownProvider> {
    known::provider(&provider.id)
}

/// A provider of the settings; what they leave out is taken from what is known of it. Its key may come from the environment
/// too, but goes nowhere then but to the address that is known.
fn configured(
    provider: &config::Provider,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ProviderConfig, Error> {
    let known = known(provider);
    let parameter =
        |name: &str, variable: &str| provider.parameters.get(name).cloned().or_else(|| environment(variable));
    let refusal = |error| Error::other(format!("provider {:?}: {error}", provider.id));
    let secret = |secret: &Option<config::Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let (mut api_key, mut session_token) = (secret(&provider.api_key), secret(&provider.session_token));
    let mut access_key_id = provider.access_key_id.clone();
    let mut base_url = provider.base_url.clone();
    if let (Some(known), None) = (known, &base_url) {
        base_url = known.address(parameter).map_err(refusal)?;
        api_key = api_key.or_else(|| environment(known.key_variable.as_deref()?));
        if known.auth == Auth::SigV4 && api_key.is_none() {
            access_key_id = environment("AWS_ACCESS_KEY_ID");
            api_key = environment("AWS_SECRET_ACCESS_KEY");
            session_token = environment("AWS_SESSION_TOKEN");
        }
    }
    let model = |model: &config::Model| ModelConfig {
        id: model.id.clone(),
        context_window: model.context_window.map(u64::from),
        max_output: model.max_output.map(|most| most.get().into()),
        price: model.price.map(Into::into),
    };
    let mut config = ProviderConfig {
        id: provider.id.clone(),
        protocol: provider.protocol.or(known.map(|known| known.protocol)).unwrap_or(Protocol::OpenaiChat),
        base_url,
        api_key: api_key.map(Into::into),
        access_key_id,
        session_token: session_token.map(Into::into),
        auth: provider.auth.clone(),
        max_tokens: provider.max_tokens,
        models: provider.models.iter().map(model).collect(),
        open: false,
    };
    if let (Some(known), true) = (known, config.models.is_empty()) {
        let known = known.configured(None, None);
        (config.models, config.open) = (known.models, known.open);
    }
    Ok(config)
}

/// A known provider, if its key is in the environment and there for nothing else.
fn by_key(known: &KnownProvider, environment: impl Fn(&str) -> Option<String>) -> Option<ProviderConfig> {
    if known.shared_key {
        return None;
    }
    let key = environment(known.key_variable.as_deref()?)?;
    // Whoever speaks like OpenAI is reached in this way by OpenAI's own tools.
    let elsewhere = (known.id == "openai").then(|| environment("OPENAI_BASE_URL")).flatten();
    let address = elsewhere.map_or_else(|| known.address(|_, variable| environment(variable)), |url| Ok(Some(url)));
    match address {
        Ok(address) => Some(known.configured(address, Some(key.into()))),
        Err(error) => {
            tracing::warn!(provider = known.id, %error, "there is a key for a provider that cannot be reached yet");
            None
        }
    }
}

#[cfg(test)]
mod tests;
