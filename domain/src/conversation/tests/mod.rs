//! What a conversation does, told as given/when/then, and what it never does, tried with random histories.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod continuing;
mod framework;
mod given;
mod log;
mod messages;
mod properties;
mod replies;
mod routes;
mod settings;
mod spending;
mod steps;
