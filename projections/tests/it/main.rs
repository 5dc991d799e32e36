//! The views against a real Postgres, which `DATABASE_URL` names, and a nats-server that nobody else hears: tests bring
//! events into the log past the bus, and followers find them there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod log;
mod poison;
mod projecting;
mod rebuilding;
mod story;
mod usage;
mod views;
mod wait;
