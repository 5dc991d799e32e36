//! The login that the measured application trusts.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::Error;

/// Who issues the tokens.
pub const ISSUER: &str = "https://login.bench";
/// For whom.
pub const AUDIENCE: &str = "chat";
/// What they are signed with (HS256).
pub const SECRET: &str = "a secret that the benchmarks sign their tokens with";
/// How long they hold, in seconds: longer than any run.
const TERM: u64 = 4 * 3600;

/// A token for `user`.
///
/// # Errors
/// When the clock stands before 1970 or signing fails.
pub fn token(user: &str) -> Result<String, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Error::other)?.as_secs();
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": now + TERM });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).map_err(Error::other)
}
