//! Logging in without a login, where that is offered.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Version};
use axum::response::{IntoResponse, Response};
use domain::UserId;
use serde::Deserialize;

use super::origin;
use crate::edge::Edge;
use crate::error::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    user: UserId,
}

/// `POST /api/dev/token`
pub(super) async fn issue(
    State(edge): State<Arc<Edge>>,
    version: Version,
    headers: HeaderMap,
    login: Result<Json<Login>, axum::extract::rejection::JsonRejection>,
) -> Response {
    // A page elsewhere could make its own name lead to this machine; it cannot make the request name this machine. Nor
    // shall a proxy on this machine let others in.
    let from_here = origin::is_local(&headers) && origin::is_direct(&headers, version);
    let Some(dev_login) = edge.dev_login.as_ref().filter(|_| from_here) else {
        return Problem { message: "there is no such route".to_owned(), ..Problem::not_found() }.into_response();
    };
    match login {
        Ok(Json(Login { user })) => match dev_login.issue(&user) {
            Ok(token) => Json(token).into_response(),
            Err(error) => {
                tracing::error!(%error, "a token could not be signed");
                Problem::unavailable().into_response()
            }
        },
        Err(error) => Problem::malformed(error.body_text()).into_response(),
    }
}
