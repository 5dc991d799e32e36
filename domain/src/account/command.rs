//! What may be asked of an account.

use serde::{Deserialize, Serialize};

use super::event::{Auth, Limits, Model, SealedKey};
use crate::ProviderId;

/// A command to an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Command {
    /// Configure a provider, or configure it anew: what is left out goes back to what the catalogue says, but for the key.
    SaveProviderConfig {
        /// Which.
        provider: ProviderId,
        /// How it is spoken to.
        protocol: Option<String>,
        /// Where it is.
        base_url: Option<String>,
        /// The models that it is asked for.
        models: Vec<Model>,
        /// Its key; none keeps the one that is there, if protocol and address stay as they are.
        key: Option<SealedKey>,
        /// How it is shown that; none means as the catalogue says, else as is usual for its protocol.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auth: Option<Auth>,
        /// Whether it calls the limit of an answer `max_tokens`, behind chat completions.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        max_tokens: bool,
    },
    /// Forget a provider and its key.
    RemoveProviderConfig {
        /// Which.
        provider: ProviderId,
    },
    /// Let another provider answer where nobody chose one.
    SetDefaultProvider {
        /// Which; none means the installation's default.
        provider: Option<ProviderId>,
        /// Its model; none means the first that it offers.
        model: Option<String>,
    },
    /// Set limits anew, all of them.
    SetLimits {
        /// The limits.
        limits: Limits,
    },
    /// An operator's: put a key under another key-encryption key. The key itself stays sealed as it is.
    RewrapKey {
        /// Whose key.
        provider: ProviderId,
        /// Under what it was when it was rewrapped: a key that was saved anew since is left alone.
        of: String,
        /// The version of the key-encryption key.
        kek: u32,
        /// The key's key under that one.
        wrapped: String,
    },
}

impl Command {
    /// Whether only an operator may ask this; such commands never travel on a subject that an edge may publish to.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::RewrapKey { .. } => true,
            Self::SaveProviderConfig { .. }
            | Self::RemoveProviderConfig { .. }
            | Self::SetDefaultProvider { .. }
            | Self::SetLimits { .. } => false,
        }
    }
}
