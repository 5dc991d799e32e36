//! The words that the tests are told in: who asks, what is asked, and what has happened before.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::super::{Account, Command, Event, Limits, Model, SealedKey};
use crate::{Actor, Asked, Asker, ProviderId};

pub(super) fn given(history: impl IntoIterator<Item = Event>) -> AggregateTestExecutor<Account> {
    TestFramework::with(()).given(history.into_iter().collect())
}

// Who asks. The account is Ann's.

pub(super) fn person(name: &str, tenant: &str, command: Command) -> Asked<Command> {
    let asker = Asker { tenant: Some(tenant.parse().unwrap()), actor: Actor::User(name.parse().unwrap()) };
    Asked { asker, command }
}

pub(super) fn ann(command: Command) -> Asked<Command> {
    person("ann", "acme", command)
}

pub(super) fn operator(command: Command) -> Asked<Command> {
    Asked { asker: Asker { tenant: None, actor: Actor::Worker("operator".to_owned()) }, command }
}

pub(super) fn provider(name: &str) -> ProviderId {
    name.parse().unwrap()
}

pub(super) fn model(id: &str) -> Model {
    Model { id: id.to_owned(), ..Model::default() }
}

/// A key as the `n`th sealing left it.
pub(super) fn key(n: u8) -> SealedKey {
    SealedKey {
        kek: 1,
        wrapped: format!("d3JhcHBlZA{n}"),
        sealed: format!("c2VhbGVk{n}"),
        last_four: format!("abc{n}"),
    }
}

pub(super) fn limits() -> Limits {
    Limits { micro_usd_per_day: Some(5_000_000), concurrent_replies: Some(2), ..Limits::default() }
}

// What is asked.

/// As the catalogue has it, with a key.
pub(super) fn save(name: &str, key: Option<SealedKey>) -> Command {
    let (provider, models) = (provider(name), Vec::new());
    let (auth, max_tokens) = (None, false);
    Command::SaveProviderConfig { provider, protocol: None, base_url: None, models, key, auth, max_tokens }
}

/// A server of one's own.
pub(super) fn save_at(name: &str, base_url: &str, key: Option<SealedKey>) -> Command {
    let protocol = Some("openai-chat".to_owned());
    let (base_url, models) = (Some(base_url.to_owned()), vec![model("m1")]);
    let (provider, auth, max_tokens) = (provider(name), None, false);
    Command::SaveProviderConfig { provider, protocol, base_url, models, key, auth, max_tokens }
}

pub(super) fn remove(name: &str) -> Command {
    Command::RemoveProviderConfig { provider: provider(name) }
}

pub(super) fn set_default(name: Option<&str>, model: Option<&str>) -> Command {
    Command::SetDefaultProvider { provider: name.map(provider), model: model.map(str::to_owned) }
}

pub(super) fn set_limits(limits: Limits) -> Command {
    Command::SetLimits { limits }
}

pub(super) fn rewrap(name: &str, of: &SealedKey, kek: u32, wrapped: &str) -> Command {
    Command::RewrapKey { provider: provider(name), of: of.wrapped.clone(), kek, wrapped: wrapped.to_owned() }
}

// What has happened.

pub(super) fn opened() -> Event {
    Event::AccountOpened { tenant: "acme".parse().unwrap(), user: "ann".parse().unwrap() }
}

pub(super) fn saved(name: &str, key: Option<SealedKey>) -> Event {
    let (provider, models) = (provider(name), Vec::new());
    let (auth, max_tokens) = (None, false);
    Event::ProviderConfigSaved { provider, protocol: None, base_url: None, models, key, auth, max_tokens }
}

pub(super) fn saved_at(name: &str, base_url: &str, key: Option<SealedKey>) -> Event {
    let protocol = Some("openai-chat".to_owned());
    let (base_url, models) = (Some(base_url.to_owned()), vec![model("m1")]);
    let (provider, auth, max_tokens) = (provider(name), None, false);
    Event::ProviderConfigSaved { provider, protocol, base_url, models, key, auth, max_tokens }
}

pub(super) fn removed(name: &str) -> Event {
    Event::ProviderConfigRemoved { provider: provider(name) }
}

pub(super) fn default_set(name: Option<&str>, model: Option<&str>) -> Event {
    Event::DefaultProviderSet { provider: name.map(provider), model: model.map(str::to_owned) }
}

pub(super) fn limits_set(limits: Limits) -> Event {
    Event::LimitsSet { limits }
}

pub(super) fn rewrapped(name: &str, kek: u32, wrapped: &str) -> Event {
    Event::KeyRewrapped { provider: provider(name), kek, wrapped: wrapped.to_owned() }
}
