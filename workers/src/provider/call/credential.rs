//! How a call shows whose it is.

use chrono::{DateTime, Utc};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use zeroize::Zeroizing;

use crate::provider::config::ApiKey;
use crate::provider::sigv4::AwsKeys;

/// How a call shows whose it is.
#[derive(Clone, Debug)]
pub(in crate::provider) enum Credential {
    /// It does not.
    None,
    /// With a key, as `authorization: Bearer …`.
    Bearer(ApiKey),
    /// With a key in a header of its own.
    Header(HeaderName, ApiKey),
    /// With a signature over all that is sent.
    AwsSigV4(AwsKeys),
}

impl Credential {
    /// The headers that show it, of a POST of `body` to `url` with `headers`.
    ///
    /// # Errors
    /// When a key holds what no header may.
    pub(super) fn headers(
        &self,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidHeaderValue> {
        Ok(match self {
            Self::None => Vec::new(),
            Self::Bearer(key) => vec![(AUTHORIZATION, secret(&Zeroizing::new(format!("Bearer {}", key.expose())))?)],
            Self::Header(name, key) => vec![(name.clone(), secret(key.expose())?)],
            Self::AwsSigV4(keys) => keys.sign(url, headers, body, now)?,
        })
    }

    /// What must never be shown to anyone.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer(key) | Self::Header(_, key) => vec![key.expose()],
            Self::AwsSigV4(keys) => {
                let token = keys.session_token.as_ref().map(ApiKey::expose);
                [keys.secret_access_key.expose()].into_iter().chain(token).collect()
            }
        }
    }
}

fn secret(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}
