//! Tokens of two issuers: `acme`'s, whose users need no prefix, and `other`'s, written `other/<user>`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::auth::{IssuerConfig, IssuerKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const ACME: &[u8] = b"the secret of acme";
const OTHER: &[u8] = b"the secret of the other tenant";

/// Both issuers, one tenant each.
pub(crate) fn issuers() -> Vec<IssuerConfig> {
    [("acme", ACME), ("other", OTHER)].map(|(name, secret)| issuer(name, IssuerKey::Secret(secret.to_vec()))).into()
}

/// An issuer of HS256 tokens that vouches for the tenant of its name.
pub(crate) fn issuer(name: &str, key: IssuerKey) -> IssuerConfig {
    IssuerConfig {
        tenant: name.parse().unwrap(),
        issuer: Some(format!("https://{name}.example")),
        audience: Some("bestchat".to_owned()),
        algorithms: vec![Algorithm::HS256],
        key,
    }
}

/// A token that holds for an hour.
pub(crate) fn of(user: &str) -> String {
    lasting(user, Duration::from_hours(1))
}

/// A token that holds for so long.
pub(crate) fn lasting(user: &str, for_: Duration) -> String {
    let (issuer, secret, sub) = match user.split_once('/') {
        Some((issuer, sub)) => (issuer, OTHER, sub),
        None => ("acme", ACME, user),
    };
    signed(&claims(issuer, sub, now() + for_.as_secs()), secret)
}

/// A token that ended a minute ago.
pub(crate) fn ended(user: &str) -> String {
    of_acme(&claims("acme", user, now() - 60))
}

pub(crate) fn claims(issuer: &str, sub: &str, exp: u64) -> Value {
    json!({ "iss": format!("https://{issuer}.example"), "aud": "bestchat", "sub": sub, "exp": exp })
}

pub(crate) fn signed(claims: &Value, secret: &[u8]) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// With Acme's secret.
pub(crate) fn of_acme(claims: &Value) -> String {
    signed(claims, ACME)
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
