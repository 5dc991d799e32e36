//! The edge against a real Postgres, which `DATABASE_URL` names, and a nats-server per test under the rules of
//! `nats/nats-server.conf`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod accounts;
mod auth;
mod bad_input;
mod following;
mod live_text;
mod providers;
mod reading;
mod slow;
mod snapshots;
mod strangers;
mod support;
mod tokens;
mod usage;
