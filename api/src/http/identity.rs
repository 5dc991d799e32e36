//! Who a request comes from: `Authorization: Bearer <token>`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use crate::auth::{AuthError, Identity};
use crate::edge::Edge;
use crate::error::Problem;

/// The identity behind a request.
pub(crate) struct Caller(pub(crate) Identity);

impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        let token = parts.headers.get(header::AUTHORIZATION).and_then(bearer);
        let token = token.ok_or_else(|| Problem::unauthenticated("an Authorization header with a token is needed"))?;
        match edge.verifier.verify(&token).await {
            Ok(identity) => Ok(Self(identity)),
            Err(error @ (AuthError::Invalid | AuthError::Expired)) => Err(Problem::unauthenticated(error.to_string())),
            Err(AuthError::KeysUnavailable) => Err(Problem::unavailable()),
        }
    }
}

/// The token in an `Authorization` header.
pub(crate) fn bearer(value: &HeaderValue) -> Option<String> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
