//! How an account's state follows from its events. It decides nothing and refuses nothing.

use super::{Account, DefaultProvider, Event, Owner, ProviderConfig};

impl Account {
    pub(super) fn evolve(&mut self, event: Event) {
        match event {
            Event::AccountOpened { tenant, user } => self.owner = Some(Owner { tenant, user }),
            Event::ProviderConfigSaved { provider, protocol, base_url, models, key, auth, max_tokens } => {
                self.providers.insert(provider, ProviderConfig { protocol, base_url, models, key, auth, max_tokens });
            }
            Event::ProviderConfigRemoved { provider } => {
                self.providers.remove(&provider);
            }
            Event::DefaultProviderSet { provider, model } => {
                self.default = provider.map(|provider| DefaultProvider { provider, model });
            }
            Event::LimitsSet { limits } => self.limits = limits,
            Event::KeyRewrapped { provider, kek, wrapped } => {
                if let Some(key) = self.providers.get_mut(&provider).and_then(|config| config.key.as_mut()) {
                    key.kek = kek;
                    key.wrapped = wrapped;
                }
            }
        }
    }
}
