//! What the edge tells of itself in figures. docs/operations.md lists them; no label holds content or anyone's id.

use ::metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::edge::{Edge, Load};
use crate::ws::close::Close;

const SOCKETS: &str = "bestchat_sockets_open";
const CLOSED: &str = "bestchat_sockets_closed_total";
const FRAMES_SENT: &str = "bestchat_frames_sent_total";
const FRAMES_RECEIVED: &str = "bestchat_frames_received_total";
const FOLLOWED: &str = "bestchat_conversations_followed";
const PEOPLE: &str = "bestchat_people_connected";

/// Says what each figure means, once a process has someone to tell.
pub fn describe() {
    describe_gauge!(SOCKETS, "Open sockets.");
    describe_counter!(CLOSED, "Sockets that ended, by why.");
    describe_counter!(FRAMES_SENT, "Frames sent to clients.");
    describe_counter!(FRAMES_RECEIVED, "Frames that clients sent.");
    describe_gauge!(FOLLOWED, "Conversations that someone follows at this edge.");
    describe_gauge!(PEOPLE, "People who are logged in on a socket of this edge.");
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

fn float(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
