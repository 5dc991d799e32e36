//! An issuer's published keys: fetched when first needed, again when a token names a key that is not among them, and
//! from time to time; what was fetched last is used while the issuer cannot be reached.

use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Mutex;

use super::AuthError;

/// The shortest time between two fetches, so that tokens with made-up key ids cannot make us ask again and again.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// How old keys may get before they are fetched again.
const MAX_AGE: Duration = Duration::from_mins(10);
/// How long a fetch may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest set of keys accepted, in bytes.
const MAX_BYTES: usize = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    client: reqwest::Client,
    fetched: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    keys: Vec<(Option<String>, DecodingKey)>,
    tried_at: Option<Instant>,
    succeeded_at: Option<Instant>,
}

impl Jwks {
    pub(super) fn new(url: String) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { url, client, fetched: Mutex::default() })
    }

    /// The key called `kid`; for a token that names none, every key.
    pub(super) async fn keys(&self, kid: Option<&str>) -> Result<Vec<DecodingKey>, AuthError> {
        let mut fetched = self.fetched.lock().await;
        let known = |fetched: &Fetched| kid.is_none() || fetched.keys.iter().any(|(id, _)| id.as_deref() == kid);
        let old = fetched.succeeded_at.is_none_or(|at| at.elapsed() > MAX_AGE);
        let may_ask = fetched.tried_at.is_none_or(|at| at.elapsed() > COOL_DOWN);
        if may_ask && (old || !known(&fetched)) {
            fetched.tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    fetched.keys = keys;
                    fetched.succeeded_at = Some(Instant::now());
                }
                Err(error) => tracing::warn!(url = self.url, error, "an issuer's keys could not be fetched"),
            }
        }
        if fetched.succeeded_at.is_none() {
            return Err(AuthError::KeysUnavailable);
        }
        let wanted = |id: &Option<String>| kid.is_none() || id.as_deref() == kid;
        Ok(fetched.keys.iter().filter(|(id, _)| wanted(id)).map(|(_, key)| key.clone()).collect())
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
        // A key of a kind that we do not know is someone else's business.
        Ok(set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.common.key_id.clone(), DecodingKey::from_jwk(jwk).ok()?)))
            .collect())
    }
}
