//! Identifiers: a type each, so that one is never taken for another.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_id!(
    /// A conversation: the unit of ordering, of access and of deletion.
    ConversationId
);
uuid_id!(
    /// A message in a conversation's tree. A reply's id is the id of the assistant message that it becomes.
    MessageId
);
uuid_id!(
    /// A person's account. It follows from the person: see [`AccountId::of`].
    AccountId
);
uuid_id!(
    /// A command, chosen by whoever asks: the same id again gives the first result again.
    CommandId
);

impl AccountId {
    /// What the ids of accounts are derived from. Accounts lie in the log under these ids, so it never changes.
    const NAMESPACE: Uuid = Uuid::from_u128(0x3b6c_2f0e_9d57_4c1a_8e42_71d5_a0f3_6b98);

    /// The account of a person. Names hold no control characters, so U+0000 divides them.
    #[must_use]
    pub fn of(tenant: &Tenant, user: &UserId) -> Self {
        Self(Uuid::new_v5(&Self::NAMESPACE, format!("{tenant}\0{user}").as_bytes()))
    }
}

impl CommandId {
    /// An id that follows from this command's: the same command names the same things when it is sent again.
    #[must_use]
    pub fn derive(self, purpose: &str) -> Uuid {
        Uuid::new_v5(&self.0, purpose.as_bytes())
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest id accepted, in bytes.
            pub const MAX_BYTES: usize = 255;

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(id: String) -> Result<Self, NameError> {
                if id.is_empty() || id.len() > Self::MAX_BYTES || id.chars().any(char::is_control) {
                    return Err(NameError);
                }
                Ok(Self(id))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(id: &str) -> Result<Self, NameError> {
                Self::try_from(id.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id!(
    /// A person, as the login names them: the `sub` of a verified token. Unique within a tenant.
    UserId
);
name_id!(
    /// A tenant: those whose logins one issuer vouches for. People of different tenants never meet.
    Tenant
);

/// Why a text is not the name of a user or tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 255 bytes and no control characters")]
pub struct NameError;

/// A provider's name: what comes before the slash in a [`ModelRef`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(String);

impl ProviderId {
    /// The longest name accepted, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a provider's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a provider's name has 1 to 64 small letters, digits, dots, hyphens and underscores, and begins with a letter or digit"
)]
pub struct ProviderIdError;

impl TryFrom<String> for ProviderId {
    type Error = ProviderIdError;

    fn try_from(text: String) -> Result<Self, ProviderIdError> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-' | b'_'));
        if !text.bytes().next().is_some_and(is_word) || !fits || text.len() > Self::MAX_BYTES {
            return Err(ProviderIdError);
        }
        Ok(Self(text))
    }
}

impl FromStr for ProviderId {
    type Err = ProviderIdError;

    fn from_str(text: &str) -> Result<Self, ProviderIdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A model of a provider, written `provider/model`; the model's part may itself contain slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
#[ts(type = "string")]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef(String);

impl ModelRef {
    /// The longest reference accepted, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// The provider's part.
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or("", |(provider, _)| provider)
    }

    /// The model's part, as the provider knows it.
    pub fn model(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, model)| model)
    }

    /// The whole reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a model reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model is named provider/model, in at most 200 bytes without control characters")]
pub struct ModelRefError;

impl TryFrom<String> for ModelRef {
    type Error = ModelRefError;

    fn try_from(text: String) -> Result<Self, ModelRefError> {
        let named = text.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
        if !named || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(ModelRefError);
        }
        Ok(Self(text))
    }
}

impl FromStr for ModelRef {
    type Err = ModelRefError;

    fn from_str(text: &str) -> Result<Self, ModelRefError> {
        Self::try_from(text.to_owned())
    }
}

impl From<ModelRef> for String {
    fn from(model: ModelRef) -> Self {
        model.0
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
