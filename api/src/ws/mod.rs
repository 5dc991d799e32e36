//! `GET /ws`: one socket, many conversations. docs/protocol.md tells clients what happens here.

pub(crate) mod close;
mod deliver;
pub(crate) mod frame;
mod inbound;
mod snapshot;
mod socket;
#[cfg(test)]
mod wire_types;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::edge::Edge;
use crate::error::Problem;
use crate::http::origin;
use socket::Socket;

/// Buffers of a socket: with axum's default of 128 KiB an idle socket costs twenty times as much.
const BUFFER_BYTES: usize = 4 * 1024;
/// The largest frame that can be sent, in bytes. A frame is written out before the next is taken up, so this is also the
/// most that waits for a client. The largest there is: the text of a reply in which every character is escaped.
const MAX_WRITE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// A client that cannot set headers may offer its token as a subprotocol behind this prefix.
const TOKEN_PROTOCOL: &str = "bestchat.auth.";

/// Upgrades to the WebSocket protocol.
pub(crate) async fn upgrade(State(edge): State<Arc<Edge>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    // Before it is asked whether the process stops: whoever waits then for all sockets to be closed waits for this one, too.
    let open = edge.sockets.token();
    if edge.stopping.is_cancelled() {
        return Problem::unavailable().into_response();
    }
    if !origin::is_allowed(&headers, &edge.allowed_origins) {
        return Problem::forbidden_origin().into_response();
    }
    let token = offered_token(&headers, &upgrade);
    upgrade
        .protocols([frame::SUBPROTOCOL])
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(frame::MAX_FRAME_BYTES)
        .max_frame_size(frame::MAX_FRAME_BYTES)
        .on_upgrade(move |socket| async move {
            Socket::run(edge, socket, token).await;
            drop(open);
        })
}

fn offered_token(headers: &HeaderMap, upgrade: &WebSocketUpgrade) -> Option<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(crate::http::identity::bearer);
    let protocol = || {
        let text = |value: &HeaderValue| value.to_str().ok()?.strip_prefix(TOKEN_PROTOCOL).map(str::to_owned);
        upgrade.requested_protocols().find_map(text)
    };
    bearer.or_else(protocol)
}
