//! Where calls go, and over which connections.

use chrono::Utc;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};

use super::clients::{Clients, Pool, Taken};
use super::credential::Credential;
use crate::provider::address::{AddressError, Reach};
use crate::provider::config::ProviderConfig;
use crate::provider::models::Asked;
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
    clients: Pool,
}

impl Endpoint {
    /// Cheap: connections are the clients'. Fails with the reason, for people.
    pub(super) fn new(
        config: &ProviderConfig,
        wire: Box<dyn Wire>,
        credential: Credential,
        (clients, reach): (&Clients, Reach),
    ) -> Result<Self, String> {
        let base = reach.check(config.base_url.as_deref().unwrap_or_default()).map_err(unusable)?;
        credential
            .headers(&base, &[], &[], Utc::now())
            .map_err(|_| "its api_key holds characters that no key has".to_owned())?;
        let (deadlines, clients) = (clients.deadlines(), clients.of(reach, &base)?);
        Ok(Self { id: config.id.clone(), base, credential, wire, deadlines, clients })
    }

    /// The call of a request, ready to be sent, and the client that it takes.
    pub(super) fn post(&self, request: &Request) -> Result<(RequestBuilder, Taken), Error> {
        let unsayable = |Unsayable(why)| self.error(ErrorKind::Invalid, &why);
        let Written { path, query, headers, body } = self.wire.write(request).map_err(unsayable)?;
        let url = self.url(&path, query);
        let headers: Vec<_> = headers.into_iter().chain([(CONTENT_TYPE, JSON), (ACCEPT, self.accepted())]).collect();
        let shown = self
            .credential
            .headers(&url, &headers, &body, Utc::now())
            .map_err(|_| self.error(ErrorKind::Auth, "its key holds characters that no key has"))?;
        let taken = self.clients.take();
        let call = taken.client().post(url).body(body);
        let add = |call: RequestBuilder, (name, value): (HeaderName, HeaderValue)| call.header(name, value);
        Ok((headers.into_iter().chain(shown).fold(call, add), taken))
    }

    /// The call of a page of its list of models, ready to be sent, and the client that it takes.
    pub(super) fn get(&self, asked: Asked) -> Result<(RequestBuilder, Taken), Error> {
        let mut url = self.base.clone();
        let path = url.path().trim_end_matches('/');
        let path = format!("{}{}", path.strip_suffix(asked.instead_of).unwrap_or(path), asked.path);
        url.set_path(&path);
        if !asked.query.is_empty() {
            url.query_pairs_mut().extend_pairs(asked.query);
        }
        let headers: Vec<_> = asked.headers.into_iter().chain([(ACCEPT, JSON)]).collect();
        // What signs its calls has no such list.
        let shown = self
            .credential
            .headers(&url, &headers, &[], Utc::now())
            .map_err(|_| self.error(ErrorKind::Auth, "its key holds characters that no key has"))?;
        let add = |call: RequestBuilder, (name, value): (HeaderName, HeaderValue)| call.header(name, value);
        let taken = self.clients.take();
        Ok((headers.into_iter().chain(shown).fold(taken.client().get(url), add), taken))
    }

    /// The host, for traces.
    pub(super) fn host(&self) -> Option<&str> {
        self.base.host_str()
    }

    /// The port, for traces.
    pub(super) fn port(&self) -> Option<i64> {
        self.base.port_or_known_default().map(i64::from)
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
        if let Some(refused) = refused_address(error) {
            return self.error(ErrorKind::UnknownModel, &unusable(refused));
        }
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

fn unusable(error: AddressError) -> String {
    format!("its base_url cannot be used: {error}")
}

/// Whether it was our own guard that kept a call from an address.
fn refused_address(error: &reqwest::Error) -> Option<AddressError> {
    causes(error).find_map(|cause| cause.downcast_ref::<AddressError>().copied())
}

/// An error and what caused it, the innermost last.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}

/// The innermost cause: reqwest's own text names the address, and addresses can hold secrets.
pub(super) fn root(error: &reqwest::Error) -> String {
    let innermost = causes(error).last().filter(|cause| !cause.is::<reqwest::Error>());
    innermost.map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::NaiveDateTime;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::provider::bedrock::Converse;
    use crate::provider::sigv4::AwsKeys;
    use crate::provider::{Deadlines, PromptMessage, Role};

    /// What was a public name when it was saved may be another machine when it is called.
    #[tokio::test]
    async fn a_name_that_leads_into_our_own_network_is_refused_when_it_is_called() {
        _ = rustls::crypto::ring::default_provider().install_default();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("https://localhost:{}/v1", server.local_addr().unwrap().port())).unwrap();
        let taken = Clients::new(Deadlines::default()).of(Reach::Public, &url).unwrap().take();
        let error = taken.client().post(url).send().await.unwrap_err();
        assert_eq!(refused_address(&error), Some(AddressError::Private), "{error:?}");
        let nobody = tokio::time::timeout(std::time::Duration::from_millis(20), server.accept()).await;
        assert!(nobody.is_err());
    }
    /// The head and the body of a request, as they come.
    async fn read(socket: &mut TcpStream) -> (String, String) {
        let mut bytes = Vec::new();
        loop {
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the request is whole");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return (head.to_owned(), body.to_owned());
            }
        }
    }

    /// AWS signs what arrives once more, and compares.
    #[tokio::test]
    async fn what_is_signed_is_what_is_sent() {
        _ = rustls::crypto::ring::default_provider().install_default();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "a-secret-key".to_owned().into(),
            session_token: Some("a/session+token==".to_owned().into()),
            region: "eu-central-1".to_owned(),
            service: "bedrock",
        };
        let base_url = Some(format!("http://{}", server.local_addr().unwrap()));
        let config = ProviderConfig { base_url, ..ProviderConfig::demo() };
        let wire = Box::new(Converse::new("bedrock".to_owned(), BTreeMap::new()));
        let (credential, clients) = (Credential::AwsSigV4(keys.clone()), Clients::new(Deadlines::default()));
        let endpoint = Endpoint::new(&config, wire, credential, (&clients, Reach::Anywhere)).unwrap();
        let messages = vec![PromptMessage::text(Role::User, "Grüße")];
        let model = "anthropic.claude-3-haiku-20240307-v1:0".to_owned();
        let (call, _taken) = endpoint.post(&Request { model, messages, ..Request::default() }).unwrap();
        let _sending = tokio::spawn(call.send());
        let (mut socket, _) = server.accept().await.unwrap();
        let (head, body) = read(&mut socket).await;

        let path = head.split(' ').nth(1).unwrap();
        let sent: BTreeMap<&str, &str> = head.lines().filter_map(|line| line.split_once(": ")).collect();
        let (_, names) = sent["authorization"].split_once("SignedHeaders=").unwrap();
        let (names, _) = names.split_once(',').unwrap();
        assert_eq!(names, "accept;content-type;host;x-amz-date;x-amz-security-token");
        let headers = ["accept", "content-type"]
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_str(sent[name]).unwrap()));
        let url = Url::parse(&format!("http://{}{path}", sent["host"])).unwrap();
        let now = NaiveDateTime::parse_from_str(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").unwrap().and_utc();
        for (name, value) in keys.sign(&url, &headers, body.as_bytes(), now).unwrap() {
            assert_eq!(sent[name.as_str()], value.to_str().unwrap(), "{name}");
        }
    }
}
