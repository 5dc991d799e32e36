//! Chat completions, the protocol that most providers and every local server speak.
//!
//! Source: `https://platform.openai.com/docs/api-reference/chat`, and how compatible servers depart from it. Reads
//! tolerantly whatever can be understood, and refuses to take the end of a stream for the end of an answer.

mod answer;
mod reply;
mod usage;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::catalog::{ApiKey, ConfigError, ProviderConfig};
use super::refusal::Refusal;
use super::{Chunk, Deadlines, Error, ErrorKind, Provider, Request};
use reply::Reply;

/// The longest answer accepted, in bytes that the model produced, its reasoning included.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// How much of an answer that is an error is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// A server that speaks chat completions.
pub struct OpenAiChat {
    endpoint: Arc<Endpoint>,
}

/// Where calls go, and how.
struct Endpoint {
    id: String,
    url: Url,
    key: Option<ApiKey>,
    headers: HeaderMap,
    deadlines: Deadlines,
    client: Client,
}

impl OpenAiChat {
    /// A provider with a connection pool of its own. Needs the process's TLS provider installed.
    pub fn new(config: &ProviderConfig, deadlines: Deadlines) -> Result<Self, ConfigError> {
        let bad = |reason: &str| ConfigError::Provider { id: config.id.clone(), reason: reason.to_owned() };
        let url = address(config.base_url.as_deref().unwrap_or_default()).map_err(bad)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &config.api_key {
            let value = HeaderValue::try_from(format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|_| bad("its api_key holds characters that no key has"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = client(&url, deadlines).map_err(|error| bad(&error))?;
        let endpoint = Endpoint { id: config.id.clone(), url, key: config.api_key.clone(), headers, deadlines, client };
        Ok(Self { endpoint: Arc::new(endpoint) })
    }
}

impl Provider for OpenAiChat {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Chunk, Error>> {
        let call = Call::Waiting(Arc::clone(&self.endpoint), request);
        stream::unfold(call, Call::step).boxed()
    }
}

/// A call on its way. Owns the connection, so dropping it hangs up.
enum Call {
    Waiting(Arc<Endpoint>, Request),
    Reading(Box<Reply>),
    Over,
}

impl Call {
    async fn step(self) -> Option<(Result<Chunk, Error>, Self)> {
        let mut reply = match self {
            Self::Waiting(endpoint, request) => match Reply::open(endpoint, &request).await {
                Ok(reply) => Box::new(reply),
                Err(error) => return Some((Err(error), Self::Over)),
            },
            Self::Reading(reply) => reply,
            Self::Over => return None,
        };
        match reply.next().await {
            Ok(end @ Chunk::Finished { .. }) => {
                reply.release();
                Some((Ok(end), Self::Over))
            }
            Ok(piece) => Some((Ok(piece), Self::Reading(reply))),
            Err(error) => Some((Err(error), Self::Over)),
        }
    }
}

impl Endpoint {
    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, format!("{}: {message}.", self.id))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        refusal.into_error(&self.id, self.key.as_ref().map(ApiKey::expose).as_slice())
    }
}

fn address(base_url: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(base_url).map_err(|_| "its base_url is no address, such as https://api.openai.com/v1")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its base_url must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its base_url holds a login; put the secret into api_key");
    }
    // Keeps a query, where Azure expects its API version.
    let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn client(url: &Url, deadlines: Deadlines) -> Result<Client, String> {
    // Without one, reqwest panics.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err("no TLS provider is installed in this process".to_owned());
    }
    let builder = Client::builder()
        .user_agent(concat!("bestchat/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(deadlines.connect)
        // The key and the conversation go to the configured address and nowhere else: neither another server's
        // redirect nor a proxy variable in the environment may send them elsewhere.
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        // Finds out that a kept connection is dead, which otherwise every next call would have to.
        .tcp_keepalive(Duration::from_secs(15))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    // A server without TLS must work on a machine that has no certificate authorities installed.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder
        .build()
        .map_err(|error| format!("no TLS client can be made ({}); is ca-certificates installed?", root(&error)))
}

/// The innermost cause: reqwest's own text names the address, and addresses can hold secrets.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.downcast_ref::<reqwest::Error>().is_some() { "no reason given".to_owned() } else { cause.to_string() }
}
