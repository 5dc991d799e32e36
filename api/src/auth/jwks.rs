//! An issuer's published keys: fetched when first needed, again when a token names a key that is not among them, and
//! from time to time; what was fetched last is used while the issuer cannot be reached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};

use super::AuthError;

/// The shortest time between two fetches, so that tokens with made-up key ids cannot make us ask again and again.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// How old keys may get before they are fetched again.
const MAX_AGE: Duration = Duration::from_mins(10);
/// How long a fetch may take; shorter than what a socket has to log in, so that it can be told.
const DEADLINE: Duration = Duration::from_secs(3);
/// The largest set of keys accepted, in bytes.
const MAX_BYTES: usize = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    client: reqwest::Client,
    cool_down: Duration,
    fetched: Mutex<Fetched>,
    /// Held by whoever fetches: one at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Fetched {
    keys: Vec<(Option<String>, DecodingKey)>,
    tried_at: Option<Instant>,
    succeeded_at: Option<Instant>,
    /// Whether the last fetch failed, so that keys unknown to us may exist.
    failed: bool,
}

impl Fetched {
    /// The key called `kid`; for a token that names none, every key.
    fn named(&self, kid: Option<&str>) -> Vec<DecodingKey> {
        let wanted = |id: &Option<String>| kid.is_none() || id.as_deref() == kid;
        self.keys.iter().filter(|(id, _)| wanted(id)).map(|(_, key)| key.clone()).collect()
    }
}

impl Jwks {
    pub(super) fn new(url: String) -> Result<Arc<Self>, reqwest::Error> {
        Self::with_cool_down(url, COOL_DOWN)
    }

    fn with_cool_down(url: String, cool_down: Duration) -> Result<Arc<Self>, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Arc::new(Self {
            url,
            client,
            cool_down,
            fetched: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }))
    }

    /// The keys that a token may be signed with. Known keys are given at once, however old, and are renewed in the
    /// background: nobody waits for an issuer that does not answer but those with keys that we do not know.
    pub(super) async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Vec<DecodingKey>, AuthError> {
        let (known, old) = {
            let fetched = self.fetched();
            (fetched.named(kid), fetched.succeeded_at.is_none_or(|at| at.elapsed() > MAX_AGE))
        };
        if !known.is_empty() {
            if old && self.may_ask() {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.renew().await });
            }
            return Ok(known);
        }
        self.renew().await;
        let fetched = self.fetched();
        let known = fetched.named(kid);
        if known.is_empty() && fetched.failed { Err(AuthError::KeysUnavailable) } else { Ok(known) }
    }

    /// Fetches the keys, unless that was tried a moment ago.
    async fn renew(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.may_ask() {
            return;
        }
        self.fetched().tried_at = Some(Instant::now());
        let answer = self.fetch().await;
        let mut fetched = self.fetched();
        fetched.failed = answer.is_err();
        match answer {
            Ok(keys) => {
                fetched.keys = keys;
                fetched.succeeded_at = Some(Instant::now());
            }
            Err(error) => tracing::warn!(url = self.url, error, "an issuer's keys could not be fetched"),
        }
    }

    fn may_ask(&self) -> bool {
        self.fetched().tried_at.is_none_or(|at| at.elapsed() > self.cool_down)
    }

    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Vec<(Option<String>, DecodingKey)>, String> {
        let answer = self.client.get(&self.url).send().await.map_err(|e| e.without_url().to_string())?;
        let mut answer = answer.error_for_status().map_err(|e| e.without_url().to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("more than {MAX_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let set: JwkSet = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        Ok(set.keys.iter().filter_map(public_key).collect())
    }
}

/// A key and its name. A key of a kind that we do not know is someone else's business, and a secret that is published
/// is none.
fn public_key(jwk: &Jwk) -> Option<(Option<String>, DecodingKey)> {
    if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
        return None;
    }
    Some((jwk.common.key_id.clone(), DecodingKey::from_jwk(jwk).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set of one RSA key, called `kid`.
    fn set(kid: &str) -> String {
        format!(r#"{{"keys":[{{"kty":"RSA","kid":"{kid}","n":"AQAB","e":"AQAB"}}]}}"#)
    }

    /// Serves what `body` holds, and counts.
    async fn issuer(body: Arc<Mutex<Option<String>>>) -> (String, Arc<Mutex<u32>>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&asked);
        let serve = move || {
            *counted.lock().unwrap() += 1;
            let body = body.lock().unwrap().clone();
            async move { body.ok_or(axum::http::StatusCode::BAD_GATEWAY) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/", axum::routing::get(serve));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (url, asked)
    }

    #[tokio::test]
    async fn an_unknown_key_is_asked_for_once_and_again_after_the_cool_down() {
        let body = Arc::new(Mutex::new(Some(set("one"))));
        let (url, asked) = issuer(Arc::clone(&body)).await;
        let jwks = Jwks::with_cool_down(url, Duration::from_millis(200)).unwrap();
        assert_eq!(jwks.keys(Some("one")).await.unwrap().len(), 1);
        *body.lock().unwrap() = Some(set("two"));
        for made_up in 0..10 {
            assert!(jwks.keys(Some(&made_up.to_string())).await.unwrap().is_empty());
        }
        assert_eq!(*asked.lock().unwrap(), 1, "made-up key ids do not make us ask");
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(jwks.keys(Some("two")).await.unwrap().len(), 1);
        assert_eq!(*asked.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn old_keys_serve_while_the_issuer_is_down() {
        let body = Arc::new(Mutex::new(Some(set("one"))));
        let (url, asked) = issuer(Arc::clone(&body)).await;
        let jwks = Jwks::with_cool_down(url, Duration::ZERO).unwrap();
        assert_eq!(jwks.keys(Some("one")).await.unwrap().len(), 1);
        *body.lock().unwrap() = None;
        assert_eq!(jwks.keys(Some("two")).await.err(), Some(AuthError::KeysUnavailable), "it may be a new key");
        assert_eq!(*asked.lock().unwrap(), 2);
        assert_eq!(jwks.keys(Some("one")).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_issuer_that_was_never_reached_is_no_refusal() {
        let (url, _) = issuer(Arc::new(Mutex::new(None))).await;
        let jwks = Jwks::new(url).unwrap();
        for _ in 0..2 {
            assert_eq!(jwks.keys(None).await.err(), Some(AuthError::KeysUnavailable));
        }
    }

    #[tokio::test]
    async fn a_published_secret_is_no_key() {
        let secret = r#"{"keys":[{"kty":"oct","kid":"one","k":"c2VjcmV0"}]}"#.to_owned();
        let (url, _) = issuer(Arc::new(Mutex::new(Some(secret)))).await;
        assert!(Jwks::new(url).unwrap().keys(Some("one")).await.unwrap().is_empty());
    }
}
