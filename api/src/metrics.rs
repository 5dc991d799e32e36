//! What the edge tells of itself in figures. docs/operations.md lists them; no label holds content or anyone's id.

use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use axum::http::StatusCode;

use crate::edge::{Edge, Load};
use crate::ws::close::Close;

const SOCKETS: &str = "bestchat_sockets_open";
const CLOSED: &str = "bestchat_sockets_closed_total";
const FRAMES_SENT: &str = "bestchat_frames_sent_total";
const FRAMES_RECEIVED: &str = "bestchat_frames_received_total";
const FOLLOWED: &str = "bestchat_conversations_followed";
const PEOPLE: &str = "bestchat_people_connected";
const REQUESTS: &str = "bestchat_http_requests_total";
const REQUEST_DURATION: &str = "bestchat_http_request_duration_seconds";

/// The route of a request for which there is none of its own: files of the console, and whatever else people try.
const UNMATCHED: &str = "unmatched";

/// Says what each figure means, once a process has someone to tell.
pub fn describe() {
    describe_gauge!(SOCKETS, "Open sockets.");
    describe_counter!(CLOSED, "Sockets that ended, by why.");
    describe_counter!(FRAMES_SENT, "Frames sent to clients.");
    describe_counter!(FRAMES_RECEIVED, "Frames that clients sent.");
    describe_gauge!(FOLLOWED, "Conversations that someone follows at this edge.");
    describe_gauge!(PEOPLE, "People who are logged in on a socket of this edge.");
    describe_counter!(REQUESTS, "HTTP requests that were answered, by route and status.");
    describe_histogram!(REQUEST_DURATION, "From an HTTP request to the head of its answer, by route.");
}

/// Looks at what an edge holds.
pub fn look(edge: &Edge) {
    let Load { conversations, people, .. } = edge.load();
    gauge!(FOLLOWED).set(float(conversations));
    gauge!(PEOPLE).set(float(people));
}

/// A socket that is open for as long as this lives.
pub(crate) struct Open(());

impl Open {
    pub(crate) fn new() -> Self {
        gauge!(SOCKETS).increment(1);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(SOCKETS).decrement(1);
    }
}

pub(crate) fn closed(close: Close) {
    counter!(CLOSED, "reason" => close.name()).increment(1);
}

pub(crate) fn sent(frames: usize) {
    counter!(FRAMES_SENT).increment(frames as u64);
}

pub(crate) fn received() {
    counter!(FRAMES_RECEIVED).increment(1);
}

/// Settles a request's figures. `route` is as it is written in the router: the path itself holds ids.
pub(crate) fn answered(route: Option<&str>, status: StatusCode, took: Duration) {
    let route = route.unwrap_or(UNMATCHED).to_owned();
    histogram!(REQUEST_DURATION, "route" => route.clone()).record(took);
    counter!(REQUESTS, "route" => route, "status" => status.as_u16().to_string()).increment(1);
}

fn float(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
