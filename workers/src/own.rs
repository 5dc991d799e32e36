//! A person's own provider as it is called: what they saved, and for what they left out, what the catalogue knows of a
//! provider of this name. Nothing of the installation's own settings or environment is in it, above all no key.

#[cfg(test)]
mod tests;

use domain::ProviderId;
use domain::account::{self, Model};

use crate::provider::address::Reach;
use crate::provider::known::{self, KnownProvider};
use crate::provider::{ModelConfig, Protocol, ProviderConfig};

/// Whether a provider that is saved with this address, or without one, may be called at all, as far as the address alone
/// tells: what its name stands for is looked at whenever a connection is made.
///
/// # Errors
/// Why not, for people, without a full stop.
pub fn check(reach: Reach, provider: &ProviderId, base_url: Option<&str>) -> Result<(), String> {
    let Some(address) = address(known::provider(provider.as_str()), base_url)? else { return Ok(()) };
    reach.check(&address).map(drop).map_err(|error| format!("the base_url cannot be used: {error}"))
}

/// It without its key.
///
/// # Errors
/// What it lacks, for people, without a full stop.
pub(crate) fn merged(provider: &ProviderId, own: &account::ProviderConfig) -> Result<ProviderConfig, String> {
    let known = known::provider(provider.as_str());
    let protocol = protocol(known, own.protocol.as_deref())?;
    Ok(ProviderConfig {
        id: provider.to_string(),
        protocol,
        base_url: address(known, own.base_url.as_deref())?,
        api_key: None,
        access_key_id: None,
        session_token: None,
        auth: own.auth.clone(),
        max_tokens: own.max_tokens,
        models: models(provider, own),
        open: own.models.is_empty() && protocol != Protocol::Demo,
    })
}

/// The models that the person named for it; else those that are known of it, beside which every name goes.
pub(crate) fn models(provider: &ProviderId, own: &account::ProviderConfig) -> Vec<ModelConfig> {
    if own.models.is_empty() {
        let known = known::provider(provider.as_str());
        return known.map(|known| known.configured(None, None).models).unwrap_or_default();
    }
    own.models.iter().map(model).collect()
}

/// A model that a person named, as it is asked.
pub(crate) fn model(Model { id, context_window, max_output, price }: &Model) -> ModelConfig {
    ModelConfig {
        id: id.clone(),
        context_window: context_window.map(u64::from),
        max_output: max_output.map(|most| most.get().into()),
        price: *price,
    }
}

fn protocol(known: Option<&KnownProvider>, given: Option<&str>) -> Result<Protocol, String> {
    match given {
        Some(name) => name.parse().map_err(|_| "its protocol is none that is spoken here".to_owned()),
        None => Ok(known.map_or(Protocol::OpenaiChat, |known| known.protocol)),
    }
}

/// None for what is in this binary.
fn address(known: Option<&KnownProvider>, given: Option<&str>) -> Result<Option<String>, String> {
    match (given, known) {
        (Some(given), _) => Ok(Some(given.to_owned())),
        (None, Some(known)) => known.address(|_, _| None).map_err(|_| {
            let name = &known.name;
            format!("where {name} is depends on the account there: save its base_url")
        }),
        (None, None) => Err("nobody knows where it is: save its base_url".to_owned()),
    }
}
