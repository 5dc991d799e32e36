//! Who someone is: JWTs of the configured issuers, verified the way RFC 8725 asks. The algorithm comes from the
//! configuration and never from the token; `exp` and `sub` must be there, `iss` and `aud` wherever they are configured.

mod dev;
mod jwks;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{Actor, Asker, Tenant, UserId};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

pub use dev::DevLogin;
pub use jsonwebtoken::Algorithm;
use jwks::Jwks;

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(15);
/// The longest that a token is taken to hold, whatever it says: a clock can be reckoned with that far.
const MAX_REMAINING: Duration = Duration::from_hours(365 * 24);
/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Someone who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant that the token's issuer vouches for.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// When the token ends, in seconds since 1970.
    pub expires_at: u64,
}

impl Identity {
    /// Who asks, on the bus.
    pub(crate) fn asker(&self) -> Asker {
        Asker { tenant: Some(self.tenant.clone()), actor: Actor::User(self.user.clone()) }
    }

    /// How long the token still holds.
    pub fn remaining(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(self.expires_at).saturating_sub(now).min(MAX_REMAINING)
    }
}

/// Someone whose tokens are accepted.
pub struct IssuerConfig {
    /// The tenant that it vouches for.
    pub tenant: Tenant,
    /// What `iss` must be, if anything.
    pub issuer: Option<String>,
    /// What `aud` must hold, if anything.
    pub audience: Option<String>,
    /// The algorithms accepted: all of the key's kind.
    pub algorithms: Vec<Algorithm>,
    /// How its signatures are checked.
    pub key: IssuerKey,
}

/// How an issuer's signatures are checked.
pub enum IssuerKey {
    /// By a secret that we share with it.
    Secret(Vec<u8>),
    /// By public keys that it publishes at this address.
    JwksUrl(String),
}

/// Why a token is not accepted. Says nothing that helps to make a better one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is no acceptable token.
    #[error("the token is not valid here")]
    Invalid,
    /// It has ended.
    #[error("the token has ended")]
    Expired,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys cannot be fetched just now")]
    KeysUnavailable,
}

/// Checks tokens.
pub struct Verifier {
    issuers: Vec<Issuer>,
}

struct Issuer {
    tenant: Tenant,
    validation: Validation,
    keys: Keys,
}

enum Keys {
    Secret(Box<DecodingKey>),
    Jwks(Arc<Jwks>),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

impl Verifier {
    /// Accepts tokens of these issuers.
    ///
    /// # Errors
    /// When the client that fetches keys cannot be made.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Self, reqwest::Error> {
        Ok(Self { issuers: issuers.into_iter().map(Issuer::new).collect::<Result<_, _>>()? })
    }

    /// Who a token says someone is.
    ///
    /// # Errors
    /// When no issuer vouches for it.
    pub async fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid);
        }
        let header = decode_header(token).map_err(|_| AuthError::Invalid)?;
        let mut error = AuthError::Invalid;
        for issuer in self.issuers.iter().filter(|issuer| issuer.validation.algorithms.contains(&header.alg)) {
            match issuer.verify(token, header.kid.as_deref()).await {
                Ok(identity) => return Ok(identity),
                // Of several reasons the one is told that the person can do something about.
                Err(AuthError::Invalid) => {}
                Err(other) => error = other,
            }
        }
        Err(error)
    }
}

impl Issuer {
    fn new(config: IssuerConfig) -> Result<Self, reqwest::Error> {
        let mut validation = Validation::new(config.algorithms.first().copied().unwrap_or_default());
        validation.algorithms = config.algorithms;
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        let keys = match config.key {
            IssuerKey::Secret(secret) => Keys::Secret(Box::new(DecodingKey::from_secret(&secret))),
            IssuerKey::JwksUrl(url) => Keys::Jwks(Jwks::new(url)?),
        };
        Ok(Self { tenant: config.tenant, validation, keys })
    }

    async fn verify(&self, token: &str, kid: Option<&str>) -> Result<Identity, AuthError> {
        let claims = match &self.keys {
            Keys::Secret(key) => self.decode(token, key)?,
            Keys::Jwks(jwks) => {
                let mut last = AuthError::Invalid;
                let keys = jwks.keys(kid).await?;
                keys.iter().find_map(|key| self.decode(token, key).map_err(|error| last = error).ok()).ok_or(last)?
            }
        };
        let user = claims.sub.parse().map_err(|_| AuthError::Invalid)?;
        Ok(Identity { tenant: self.tenant.clone(), user, expires_at: claims.exp })
    }

    fn decode(&self, token: &str, key: &DecodingKey) -> Result<Claims, AuthError> {
        let mut validation = self.validation.clone();
        // A key is of one kind; the algorithms of other kinds are not for it.
        validation.algorithms.retain(|algorithm| algorithm.family() == key.family());
        match decode::<Claims>(token, key, &validation) {
            Ok(token) => Ok(token.claims),
            Err(error) => match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Err(AuthError::Expired),
                _ => Err(AuthError::Invalid),
            },
        }
    }
}
