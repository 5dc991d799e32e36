//! What a command makes happen in an account. Pure: state and command in, events or a refusal out.

use std::collections::BTreeSet;

use super::{
    Account, Command, Error, Event, Limits, MAX_LIMIT, MAX_MODEL_BYTES, MAX_MODELS, MAX_PROTOCOL_BYTES, MAX_PROVIDERS,
    MAX_SEALED_BYTES, MAX_URL_BYTES, MAX_WRAPPED_BYTES, Model, Owner, ProviderConfig, SealedKey,
};
use crate::{Actor, Asked, Asker, Decide, ProviderId, Tenant};

type Decision = Result<Vec<Event>, Error>;

impl Decide for Account {
    const STATE_VERSION: i32 = 2;

    fn decide(&self, Asked { asker, command }: &Asked<Command>) -> Decision {
        let owner = self.owner_as_asked_by(asker, command)?;
        let mut events = match command {
            Command::SaveProviderConfig { provider, protocol, base_url, models, key, auth, max_tokens } => {
                let (protocol, base_url, models) = (protocol.clone(), base_url.clone(), models.clone());
                let (key, auth, max_tokens) = (key.clone(), auth.clone(), *max_tokens);
                self.save(provider, ProviderConfig { protocol, base_url, models, key, auth, max_tokens })?
            }
            Command::RemoveProviderConfig { provider } => self.remove(provider)?,
            Command::SetDefaultProvider { provider, model } => self.set_default(provider.as_ref(), model.as_ref())?,
            Command::SetLimits { limits } => self.set_limits(*limits)?,
            Command::RewrapKey { provider, of, kek, wrapped } => self.rewrap(provider, of, *kek, wrapped)?,
        };
        if self.owner.is_none() && !events.is_empty() {
            events.insert(0, Event::AccountOpened { tenant: owner.tenant, user: owner.user });
        }
        Ok(events)
    }

    fn tenant(&self) -> Option<&Tenant> {
        self.owner.as_ref().map(|owner| &owner.tenant)
    }
}

impl Account {
    /// Whose account it is, or becomes; whoever else asks is told that there is none.
    fn owner_as_asked_by(&self, asker: &Asker, command: &Command) -> Result<Owner, Error> {
        match (&asker.actor, &self.owner) {
            (Actor::User(_), _) if command.is_internal() => Err(Error::NotPermitted),
            (Actor::User(user), owner) => {
                let tenant = asker.tenant.clone().ok_or(Error::NotPermitted)?;
                let person = Owner { tenant, user: user.clone() };
                if owner.as_ref().is_none_or(|owner| *owner == person) { Ok(person) } else { Err(Error::Unknown) }
            }
            (Actor::Worker(_), owner) => owner.clone().ok_or(Error::Unknown),
        }
    }

    fn save(&self, provider: &ProviderId, mut config: ProviderConfig) -> Decision {
        check(&config)?;
        let known = self.providers.get(provider);
        if known.is_none() && self.providers.len() >= MAX_PROVIDERS {
            return Err(Error::TooManyProviders { limit: MAX_PROVIDERS });
        }
        if let (Some(known), None) = (known, &config.key) {
            // Whoever takes over a session, not knowing the key, shall not have it sent elsewhere.
            let stays = (&known.protocol, &known.base_url) == (&config.protocol, &config.base_url);
            if known.key.is_some() && !stays {
                return Err(Error::KeyNeeded);
            }
            config.key.clone_from(&known.key);
        }
        if known == Some(&config) {
            return Ok(Vec::new());
        }
        let (provider, ProviderConfig { protocol, base_url, models, key, auth, max_tokens }) =
            (provider.clone(), config);
        Ok(vec![Event::ProviderConfigSaved { provider, protocol, base_url, models, key, auth, max_tokens }])
    }

    fn remove(&self, provider: &ProviderId) -> Decision {
        if !self.providers.contains_key(provider) {
            return Err(Error::UnknownProvider);
        }
        let mut events = vec![Event::ProviderConfigRemoved { provider: provider.clone() }];
        if self.default.as_ref().is_some_and(|default| default.provider == *provider) {
            events.push(Event::DefaultProviderSet { provider: None, model: None });
        }
        Ok(events)
    }

    fn set_default(&self, provider: Option<&ProviderId>, model: Option<&String>) -> Decision {
        if model.is_some_and(|model| !is_model_name(model)) || (provider.is_none() && model.is_some()) {
            return Err(invalid_models());
        }
        let now = self.default.as_ref().map(|default| (&default.provider, default.model.as_ref()));
        if now == provider.map(|provider| (provider, model)) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::DefaultProviderSet { provider: provider.cloned(), model: model.cloned() }])
    }

    fn set_limits(&self, limits: Limits) -> Decision {
        let Limits { micro_usd_per_day, micro_usd_per_month, tokens_per_day, tokens_per_month, .. } = limits;
        let all = [micro_usd_per_day, micro_usd_per_month, tokens_per_day, tokens_per_month];
        if all.into_iter().flatten().any(|limit| limit > MAX_LIMIT) {
            return Err(Error::LimitTooHigh { limit: MAX_LIMIT });
        }
        if limits == self.limits { Ok(Vec::new()) } else { Ok(vec![Event::LimitsSet { limits }]) }
    }

    fn rewrap(&self, provider: &ProviderId, of: &str, kek: u32, wrapped: &str) -> Decision {
        let key = self.providers.get(provider).and_then(|config| config.key.as_ref()).ok_or(Error::UnknownProvider)?;
        if !is_base64(wrapped, MAX_WRAPPED_BYTES) {
            return Err(Error::InvalidKey);
        }
        if (key.kek, key.wrapped.as_str()) == (kek, wrapped) {
            return Ok(Vec::new());
        }
        if key.wrapped != of {
            return Err(Error::StaleKey);
        }
        Ok(vec![Event::KeyRewrapped { provider: provider.clone(), kek, wrapped: wrapped.to_owned() }])
    }
}

fn check(config: &ProviderConfig) -> Result<(), Error> {
    let ProviderConfig { protocol, base_url, models, key, auth, max_tokens: _ } = config;
    if protocol.as_ref().is_some_and(|protocol| !is_protocol(protocol)) {
        return Err(Error::InvalidProtocol { limit: MAX_PROTOCOL_BYTES });
    }
    if base_url.as_ref().is_some_and(|url| !is_base_url(url)) {
        return Err(Error::InvalidBaseUrl { limit: MAX_URL_BYTES });
    }
    let ids: BTreeSet<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let are_names = models.iter().all(|Model { id, .. }| is_model_name(id));
    if models.len() > MAX_MODELS || ids.len() < models.len() || !are_names {
        return Err(invalid_models());
    }
    if key.as_ref().is_some_and(|key| !is_sealed(key)) {
        return Err(Error::InvalidKey);
    }
    if auth.as_ref().is_some_and(|auth| !auth.is_usable()) {
        return Err(Error::InvalidAuth);
    }
    Ok(())
}

fn invalid_models() -> Error {
    Error::InvalidModels { models: MAX_MODELS, bytes: MAX_MODEL_BYTES }
}

fn is_protocol(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= MAX_PROTOCOL_BYTES && name.bytes().all(fits)
}

fn is_model_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_MODEL_BYTES && !name.chars().any(char::is_control)
}

/// Whether it looks like an address and holds nothing secret. Whether one may connect to it, who connects must see.
fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']));
    let holds_no_more = !url.contains(['@', '?', '#', '\\']);
    has_host && holds_no_more && url.len() <= MAX_URL_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_sealed(key: &SealedKey) -> bool {
    let SealedKey { wrapped, sealed, last_four, .. } = key;
    let is_shown = last_four.chars().count() <= 4 && !last_four.chars().any(char::is_control);
    is_base64(wrapped, MAX_WRAPPED_BYTES) && is_base64(sealed, MAX_SEALED_BYTES) && is_shown
}

fn is_base64(text: &str, limit: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    !text.is_empty() && text.len() <= limit && text.bytes().all(fits)
}
