//! Settings: read once, here, and handed on in small pieces. No other module reads the environment for them.
//!
//! Later wins: defaults, `bestchat.toml` (or the file that `BESTCHAT_CONFIG` names), `DATABASE_URL` / `NATS_URL` /
//! `NATS_EDGE_URL`, `BESTCHAT_*` (`__` between levels). Every secret may come from a file instead: `<key>_file`.

mod check;
mod describe;
mod secret;
mod source;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use domain::account;
use figment::value::magic::RelativePathBuf;
use serde::{Deserialize, Serialize};
use workers::provider::Protocol;

pub use secret::Secret;

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that people's browsers and clients connect to.
    pub listen: SocketAddr,
    /// Where a worker or projector tells whether it is well (`/livez`, `/readyz`); nowhere unless set. An edge tells on
    /// `listen`.
    pub health_listen: Option<SocketAddr>,
    /// Where Prometheus asks for figures (`/metrics`); nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
    /// The OpenTelemetry collector that traces go to, as OTLP over HTTP; without it there are none.
    pub otlp_endpoint: Option<String>,
    /// Which part of all traces is kept, from 0 to 1.
    pub trace_sampling: f64,
    /// The folder of everything that `up` keeps.
    pub data: PathBuf,
    /// Where Postgres is; without it `up` starts a private one.
    pub database_url: Option<Secret>,
    /// A file that holds `database_url`.
    database_url_file: Option<RelativePathBuf>,
    /// Where NATS is, as the user that owns the streams; without it `up` starts a private one.
    pub nats_url: Option<Secret>,
    /// A file that holds `nats_url`.
    nats_url_file: Option<RelativePathBuf>,
    /// Where NATS is for the edge, which may do far less. Without it an edge has all that `nats_url` may.
    pub nats_edge_url: Option<Secret>,
    /// A file that holds `nats_edge_url`.
    nats_edge_url_file: Option<RelativePathBuf>,
    /// How many shards a new database gets; one that exists keeps its number.
    pub shards: Option<u16>,
    /// `provider/model`, for conversations that name none.
    pub default_model: Option<String>,
    /// The servers that answer.
    pub providers: Vec<Provider>,
    /// Several models under one name, of which the next is asked when one cannot answer.
    pub routes: Vec<Route>,
    /// Whether a model that keeps failing is left alone for a while.
    pub circuit_breakers: bool,
    /// Whether people may name providers in networks that are not public.
    pub allow_private_addresses: bool,
    /// What people's own keys of providers are sealed with.
    pub sealing: Sealing,
    /// Whose tokens are believed.
    pub auth: Auth,
    /// Web origins, beside our own, whose pages may connect.
    pub allowed_origins: Vec<String>,
    /// What a worker process does.
    pub worker_roles: Vec<WorkerRole>,
    /// How many replies one worker process writes at a time.
    pub reply_concurrency: usize,
    /// How long a provider may take.
    pub deadlines: Deadlines,
    /// How much each person may use on the keys of this installation.
    pub limits: Limits,
    /// What is logged: `info`, or per module as in `info,store=debug`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Made while loading: the sources hold secrets and are not kept.
    #[serde(skip)]
    description: String,
}

/// How much each person may use on the keys of this installation; what is left out has no limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Money in a day (UTC), in millionths of a US dollar.
    pub micro_usd_per_day: Option<u64>,
    /// Money in a calendar month (UTC).
    pub micro_usd_per_month: Option<u64>,
    /// Tokens, of input and output together, in a day (UTC).
    pub tokens_per_day: Option<u64>,
    /// The same in a calendar month (UTC).
    pub tokens_per_month: Option<u64>,
    /// Calls in a minute.
    pub requests_per_minute: Option<u32>,
    /// Replies that run at once.
    pub concurrent_replies: Option<u32>,
}

impl From<Limits> for account::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            micro_usd_per_day: limits.micro_usd_per_day,
            micro_usd_per_month: limits.micro_usd_per_month,
            tokens_per_day: limits.tokens_per_day,
            tokens_per_month: limits.tokens_per_month,
            requests_per_minute: limits.requests_per_minute,
            concurrent_replies: limits.concurrent_replies,
        }
    }
}

/// How long a provider may take, in seconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// Until the connection stands.
    pub connect: u64,
    /// Until the first token; a model that thinks long without saying so needs more.
    pub first_token: u64,
    /// From one token to the next.
    pub between_tokens: u64,
}

/// A server that answers questions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The part before the slash in `provider/model`. A provider that is known by it needs no more than a key.
    pub id: String,
    /// How it is spoken to. After loading always there.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// Where it is, up to what the protocol's own paths follow; usually up to and including `/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// What the address of a provider that is known lacks, such as the name of an Azure resource.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What it wants to see; a server of one's own may want nothing.
    #[serde(default)]
    pub api_key: Option<Secret>,
    #[serde(default)]
    api_key_file: Option<RelativePathBuf>,
    /// Which key signs calls to AWS; the secret one is `api_key` then.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// What a key of AWS comes with that expires.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// How it is shown the key: `bearer`, `{ header = "…" }`, `sigv4` or `none`; without this, as it is known or usual.
    #[serde(default)]
    pub auth: Option<account::Auth>,
    /// Whether it calls the limit of an answer `max_tokens`; for `openai-chat`.
    #[serde(default)]
    pub max_tokens: bool,
    /// The models it is asked for; where none is named, whichever it has: those that are known of it are shown.
    #[serde(default)]
    pub models: Vec<Model>,
}

/// A model of a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can take in, question and answer together. After loading always there.
    #[serde(default)]
    pub context_window: Option<u32>,
    /// How many tokens it can write in one call.
    #[serde(default)]
    pub max_output: Option<NonZeroU32>,
    /// What it costs; without this, what is known.
    #[serde(default)]
    pub price: Option<Price>,
}

/// What the tokens of a model cost, in micro-USD per million of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input read anew.
    pub input: u32,
    /// Input read from the provider's cache; as other input where it is left out.
    #[serde(default)]
    pub cached_read: Option<u32>,
    /// Input written to that; as other input where it is left out.
    #[serde(default)]
    pub cache_write: Option<u32>,
    /// Output.
    pub output: u32,
    /// Reasoning; as other output where it is left out.
    #[serde(default)]
    pub reasoning: Option<u32>,
}

impl From<Price> for account::Price {
    fn from(Price { input, cached_read, cache_write, output, reasoning }: Price) -> Self {
        Self { input, cached_read, cache_write, output, reasoning }
    }
}

/// What people's own keys of providers are sealed with: key-encryption keys, each under its version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// The keys, each 32 bytes in base64. After loading those of the files are among them.
    #[serde(default)]
    pub keys: BTreeMap<String, Secret>,
    /// Files that hold one each.
    #[serde(default)]
    key_files: BTreeMap<String, RelativePathBuf>,
    /// The version that seals; the highest where nothing is set. The others are there to open what `bestchat rotate-keys`
    /// has not put under it yet.
    #[serde(default)]
    pub current: Option<u32>,
}

/// Several models under one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name; a conversation chooses it as `route/<id>`.
    pub id: String,
    /// Whom it asks, as `provider/model`, in this order.
    pub models: Vec<String>,
}

/// Whose tokens are believed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Each signs tokens for the people of one tenant.
    pub issuers: Vec<Issuer>,
}

/// Someone who signs tokens: with a shared secret, or with keys published at a URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The tenant that its people belong to. After loading never empty: `default` for an only issuer.
    #[serde(default)]
    pub tenant: String,
    /// What the token's `iss` must be.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What the token's `aud` must be or contain.
    #[serde(default)]
    pub audience: Option<String>,
    /// The shared secret, of at least 32 bytes.
    #[serde(default)]
    pub secret: Option<Secret>,
    #[serde(default)]
    secret_file: Option<RelativePathBuf>,
    /// Where its public keys are.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// The signatures that are believed. After loading never empty: HS256 for a secret, `EdDSA`, ES256 and RS256 for keys.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
}

/// A way to sign a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    ES256,
    EdDSA,
}

impl Algorithm {
    /// Whether whoever can check a signature can also make one.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    /// Its name in a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// What a worker process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WorkerRole {
    /// Own shards and carry out commands.
    Commands,
    /// Ask providers and stream what they say.
    Reply,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads them from the working folder and the environment.
    pub fn load() -> Result<Self, Error> {
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::from_sources(".".as_ref(), environment)
    }

    /// Every setting, its value with secrets hidden, and where that came from: one line each.
    pub fn describe(&self) -> &str {
        &self.description
    }
}

/// A setting that cannot be used; the text names the setting and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// For what only the setting's user can find out.
    pub(crate) fn setting(key: &str, what: impl fmt::Display) -> Self {
        Self(format!("setting `{key}`: {what}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
