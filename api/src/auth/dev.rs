//! Logging in without a login: for a developer's own machine, offered by `bestchat up` on a loopback address alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::{IssuerConfig, IssuerKey};

/// How long a token holds.
const VALID_FOR: Duration = Duration::from_hours(12);
const ISSUER: &str = "bestchat-dev";

/// Issues tokens to whoever asks.
pub struct DevLogin {
    secret: Vec<u8>,
}

/// A token.
#[derive(Debug, Serialize)]
pub struct DevToken {
    /// The token.
    pub token: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    exp: u64,
}

impl DevLogin {
    /// Issues tokens signed with `secret`.
    pub fn new(secret: Vec<u8>) -> Self {
        Self { secret }
    }

    /// What lets a verifier accept them.
    pub fn issuer(&self, tenant: domain::Tenant) -> IssuerConfig {
        IssuerConfig {
            tenant,
            issuer: Some(ISSUER.to_owned()),
            audience: Some(ISSUER.to_owned()),
            algorithms: vec![Algorithm::HS256],
            key: IssuerKey::Secret(self.secret.clone()),
        }
    }

    /// A token for `user`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn issue(&self, user: &UserId) -> Result<DevToken, jsonwebtoken::errors::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires_at = (now + VALID_FOR).as_secs();
        let claims = Claims { iss: ISSUER, aud: ISSUER, sub: user.as_str(), exp: expires_at };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.secret))?;
        Ok(DevToken { token, expires_at })
    }
}
