//! Signatures of AWS, version 4: a POST whose body and headers are known before it is sent.
//!
//! Source: `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html`. Written here because
//! Amazon's own crate brings its whole runtime along for these four hashes. Knows no clock: the time comes in.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use sha2::{Digest, Sha256};

use super::config::ApiKey;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The keys of an AWS identity, and what they sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwsKeys {
    /// Which key; no secret.
    pub(super) access_key_id: String,
    /// The secret itself.
    pub(super) secret_access_key: ApiKey,
    /// What keys that expire come with.
    pub(super) session_token: Option<ApiKey>,
    /// Such as `eu-central-1`.
    pub(super) region: String,
    /// Such as `bedrock`.
    pub(super) service: &'static str,
}

impl AwsKeys {
    /// The headers that make a POST of `body` to `url` a signed one. `headers` are signed too and must go out as they are;
    /// `host` is, too, and is what the client makes of the URL.
    ///
    /// # Errors
    /// When the keys hold what no header may.
    pub(super) fn sign(
        &self,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidHeaderValue> {
        let time = now.format("%Y%m%dT%H%M%SZ").to_string();
        let mut added = vec![(DATE, HeaderValue::from_str(&time)?)];
        if let Some(token) = &self.session_token {
            added.push((SESSION_TOKEN, secret(token.expose())?));
        }
        let signed = signed_headers(url, headers.iter().chain(&added));
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let request = canonical_request(url, &signed, &names, body);

        let (date, _) = time.split_at(8);
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let signature = hex(&keyed_hash(&self.signing_key(date), &to_sign));
        let credential = &self.access_key_id;
        let authorization =
            format!("{ALGORITHM} Credential={credential}/{scope}, SignedHeaders={names}, Signature={signature}");
        added.push((AUTHORIZATION, secret(&authorization)?));
        Ok(added)
    }

    fn signing_key(&self, date: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret_access_key.expose());
        [date, &self.region, self.service, "aws4_request"]
            .iter()
            .fold(None, |key: Option<[u8; 32]>, part| {
                Some(keyed_hash(key.as_ref().map_or(secret.as_bytes(), |key| key.as_slice()), part))
            })
            .unwrap_or_default()
    }
}

/// What is signed, and in which form: sorted by name, values without superfluous white space.
fn signed_headers<'a>(
    url: &Url,
    headers: impl Iterator<Item = &'a (HeaderName, HeaderValue)>,
) -> Vec<(String, String)> {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut signed = vec![("host".to_owned(), host)];
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        signed.push((name.as_str().to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    signed.sort();
    signed
}

fn canonical_request(url: &Url, headers: &[(String, String)], names: &str, body: &[u8]) -> String {
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(key, value)| (encoded(&key, ""), encoded(&value, ""))).collect();
    query.sort();
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // The path is encoded once more than it is on the wire, by every service but S3.
    let mut request = format!("POST\n{}\n{}\n", encoded(url.path(), "/"), query.join("&"));
    for (name, value) in headers {
        let _ = writeln!(request, "{name}:{value}");
    }
    let _ = write!(request, "\n{names}\n{}", hex(&Sha256::digest(body)));
    request
}

/// Percent-encodes all but unreserved characters and those in `keep`.
pub(super) fn encoded(text: &str, keep: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        let char = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(char) || (byte.is_ascii() && keep.contains(char)) {
            encoded.push(char);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn keyed_hash(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length does; the error is for other algorithms.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mac| mac.chain_update(text).finalize().into_bytes().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn secret(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
