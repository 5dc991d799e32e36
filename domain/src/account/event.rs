//! What happened in an account. Fields are additive; a changed meaning is a new version and an upcaster.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{ProviderId, Tenant, UserId};

/// The most bytes of a header's name.
const MAX_HEADER_BYTES: usize = 64;
/// Headers that say something else than whose a call is.
const TAKEN_HEADERS: [&str; 7] =
    ["host", "connection", "content-length", "content-type", "transfer-encoding", "te", "upgrade"];

/// An event of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It began, with what its person set first.
    AccountOpened {
        /// The tenant that the person's login belongs to.
        tenant: Tenant,
        /// The person.
        user: UserId,
    },
    /// A provider is configured like this from here on.
    ProviderConfigSaved {
        /// Which.
        provider: ProviderId,
        /// How it is spoken to; none means as the catalogue says.
        #[serde(default)]
        protocol: Option<String>,
        /// Where it is; none means where the catalogue says.
        #[serde(default)]
        base_url: Option<String>,
        /// The models that it is asked for; with none, every one that it has.
        #[serde(default)]
        models: Vec<Model>,
        /// Its key.
        #[serde(default)]
        key: Option<SealedKey>,
        /// How it is shown that; none means as the catalogue says, else as is usual for its protocol.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auth: Option<Auth>,
        /// Whether it calls the limit of an answer `max_tokens`, behind chat completions.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        max_tokens: bool,
    },
    /// A provider is no longer configured, its key forgotten.
    ProviderConfigRemoved {
        /// Which.
        provider: ProviderId,
    },
    /// Another provider answers where nobody chose one.
    DefaultProviderSet {
        /// Which; none means the installation's default.
        provider: Option<ProviderId>,
        /// Its model; none means the first that it offers.
        #[serde(default)]
        model: Option<String>,
    },
    /// Other limits hold.
    LimitsSet {
        /// The limits.
        limits: Limits,
    },
    /// A key is under another key-encryption key.
    KeyRewrapped {
        /// Whose key.
        provider: ProviderId,
        /// The version of the key-encryption key.
        kek: u32,
        /// The key's key under that one.
        wrapped: String,
    },
}

/// A model of a provider, as a person names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(rename = "ConfiguredModel")]
pub struct Model {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can take in, question and answer together, if known.
    #[serde(default)]
    pub context_window: Option<u32>,
    /// How many tokens it can write in one call, its reasoning included, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub max_output: Option<NonZeroU32>,
    /// What it costs; without this, what the catalogue knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub price: Option<Price>,
}

/// What the tokens of a model cost, in micro-USD per million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(rename = "ConfiguredPrice")]
pub struct Price {
    /// Input read anew.
    pub input: u32,
    /// Input read from the provider's cache; as other input where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cached_read: Option<u32>,
    /// Input written to the provider's cache; as other input where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cache_write: Option<u32>,
    /// Output.
    pub output: u32,
    /// Reasoning; as other output where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reasoning: Option<u32>,
}

/// How a provider is shown the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "kebab-case")]
#[ts(rename = "ProviderAuth")]
pub enum Auth {
    /// As `authorization: Bearer …`.
    Bearer,
    /// In a header of this name.
    Header(String),
    /// By signing each call (AWS Signature Version 4), where the key is no bearer token.
    #[serde(rename = "sigv4")]
    SigV4,
    /// It wants none.
    None,
}

impl Auth {
    /// Whether it names no header that HTTP has for itself, nor one that is none.
    pub fn is_usable(&self) -> bool {
        let Self::Header(name) = self else { return true };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_of_http = TAKEN_HEADERS.iter().any(|taken| taken.eq_ignore_ascii_case(name));
        (1..=MAX_HEADER_BYTES).contains(&name.len()) && name.bytes().all(fits) && !is_of_http
    }
}

/// A provider's key, sealed at the edge: encrypted by a random data key, and that by a key-encryption key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// The version of the key-encryption key.
    pub kek: u32,
    /// The data key under that one, in base64.
    pub wrapped: String,
    /// The provider's key under the data key, in base64.
    pub sealed: String,
    /// Its last four characters, for people to know it by; empty when it is too short to tell as much.
    pub last_four: String,
}

/// So that not even what is sealed gets into a log.
impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey").field("kek", &self.kek).finish_non_exhaustive()
    }
}

/// How much one person may use. None means no limit of this kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(default)]
pub struct Limits {
    /// Money in a day (UTC), in millionths of a US dollar.
    #[ts(type = "number | null")]
    pub micro_usd_per_day: Option<u64>,
    /// Money in a calendar month (UTC), in millionths of a US dollar.
    #[ts(type = "number | null")]
    pub micro_usd_per_month: Option<u64>,
    /// Tokens, of input and output together, in a day (UTC).
    #[ts(type = "number | null")]
    pub tokens_per_day: Option<u64>,
    /// The same in a calendar month (UTC).
    #[ts(type = "number | null")]
    pub tokens_per_month: Option<u64>,
    /// Calls to providers in a minute.
    pub requests_per_minute: Option<u32>,
    /// Replies that run at once.
    pub concurrent_replies: Option<u32>,
}

impl Limits {
    /// Whether money is limited.
    pub fn are_of_money(&self) -> bool {
        self.micro_usd_per_day.is_some() || self.micro_usd_per_month.is_some()
    }

    /// The tighter one of each kind.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn tighter<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            micro_usd_per_day: tighter(self.micro_usd_per_day, other.micro_usd_per_day),
            micro_usd_per_month: tighter(self.micro_usd_per_month, other.micro_usd_per_month),
            tokens_per_day: tighter(self.tokens_per_day, other.tokens_per_day),
            tokens_per_month: tighter(self.tokens_per_month, other.tokens_per_month),
            requests_per_minute: tighter(self.requests_per_minute, other.requests_per_minute),
            concurrent_replies: tighter(self.concurrent_replies, other.concurrent_replies),
        }
    }
}

/// Which of a person's [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// [`Limits::micro_usd_per_day`].
    MicroUsdPerDay,
    /// [`Limits::micro_usd_per_month`].
    MicroUsdPerMonth,
    /// [`Limits::tokens_per_day`].
    TokensPerDay,
    /// [`Limits::tokens_per_month`].
    TokensPerMonth,
    /// [`Limits::requests_per_minute`].
    RequestsPerMinute,
    /// [`Limits::concurrent_replies`].
    ConcurrentReplies,
}

impl Limit {
    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::MicroUsdPerDay => "micro_usd_per_day",
            Self::MicroUsdPerMonth => "micro_usd_per_month",
            Self::TokensPerDay => "tokens_per_day",
            Self::TokensPerMonth => "tokens_per_month",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::ConcurrentReplies => "concurrent_replies",
        }
    }
}

impl cqrs_es::DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Event {
    /// The event's type: its last token on the bus, its `event_type` in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened { .. } => "AccountOpened",
            Self::ProviderConfigSaved { .. } => "ProviderConfigSaved",
            Self::ProviderConfigRemoved { .. } => "ProviderConfigRemoved",
            Self::DefaultProviderSet { .. } => "DefaultProviderSet",
            Self::LimitsSet { .. } => "LimitsSet",
            Self::KeyRewrapped { .. } => "KeyRewrapped",
        }
    }
}
