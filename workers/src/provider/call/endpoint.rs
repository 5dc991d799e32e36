//! Where calls go, and over which connections.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Url};

use super::credential::Credential;
use crate::provider::catalog::ProviderConfig;
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Framing, Unsayable, Wire, Written};
use crate::provider::{Deadline, Deadlines, Error, ErrorKind, Request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where calls go, and how.
pub(super) struct Endpoint {
    id: String,
    base: Url,
    credential: Credential,
    pub(super) wire: Box<dyn Wire>,
    pub(super) deadlines: Deadlines,
    client: Client,
}

impl Endpoint {
    /// Fails with the reason, for people.
    pub(super) fn new(
        config: &ProviderConfig,
        wire: Box<dyn Wire>,
        credential: Credential,
        deadlines: Deadlines,
    ) -> Result<Self, String> {
        let base = address(config.base_url.as_deref().unwrap_or_default())?;
        credential
            .headers(&base, &[], &[], Utc::now())
            .map_err(|_| "its api_key holds characters that no key has".to_owned())?;
        let client = client(&base, deadlines)?;
        Ok(Self { id: config.id.clone(), base, credential, wire, deadlines, client })
    }

    /// The call of a request, ready to be sent.
    pub(super) fn post(&self, request: &Request) -> Result<RequestBuilder, Error> {
        let unsayable = |Unsayable(why)| self.error(ErrorKind::Invalid, &why);
        let Written { path, query, headers, body } = self.wire.write(request).map_err(unsayable)?;
        let url = self.url(&path, query);
        let headers: Vec<_> = headers.into_iter().chain([(CONTENT_TYPE, JSON), (ACCEPT, self.accepted())]).collect();
        let shown = self
            .credential
            .headers(&url, &headers, &body, Utc::now())
            .map_err(|_| self.error(ErrorKind::Auth, "its key holds characters that no key has"))?;
        let call = self.client.post(url).body(body);
        let add = |call: RequestBuilder, (name, value): (HeaderName, HeaderValue)| call.header(name, value);
        Ok(headers.into_iter().chain(shown).fold(call, add))
    }

    /// The host, for traces.
    pub(super) fn host(&self) -> Option<&str> {
        self.base.host_str()
    }

    /// An error in our words.
    pub(super) fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::told(kind, &self.id, message, None)
    }

    /// An error of the provider, for people.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        refusal.into_error(&self.id, &self.credential.secrets())
    }

    /// That a deadline passed.
    pub(super) fn late(&self, deadline: Deadline) -> Error {
        let message = match deadline {
            Deadline::Connect => format!("no connection within {:?}", self.deadlines.connect),
            Deadline::FirstToken => format!("the answer did not begin within {:?}", self.deadlines.first_token),
            Deadline::BetweenTokens => format!("the answer paused for more than {:?}", self.deadlines.between_tokens),
        };
        self.error(ErrorKind::Timeout(deadline), &message)
    }

    /// That there was no answer at all.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Error {
        let what = match (error.is_connect(), error.is_timeout()) {
            (true, true) => return self.late(Deadline::Connect),
            (true, false) => "the provider cannot be reached",
            (false, _) => "the provider hung up before it answered",
        };
        self.error(ErrorKind::Network, &format!("{what} ({})", root(error)))
    }

    /// Keeps a query of the base address, where Azure expects its API version.
    fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        if let Some(query) = query {
            let query = url.query().map_or_else(|| query.to_owned(), |before| format!("{before}&{query}"));
            url.set_query(Some(&query));
        }
        url
    }

    fn accepted(&self) -> HeaderValue {
        HeaderValue::from_static(match self.wire.framing() {
            Framing::Events => "text/event-stream",
            Framing::Lines => "application/x-ndjson",
            Framing::AwsFrames => "application/vnd.amazon.eventstream",
        })
    }
}

fn address(base_url: &str) -> Result<Url, &'static str> {
    let url = Url::parse(base_url).map_err(|_| "its base_url is no address, such as https://api.openai.com/v1")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its base_url must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its base_url holds a login; put the secret into api_key");
    }
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
