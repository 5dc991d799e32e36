//! Whole applications: the real binary in separate processes, a Postgres and a NATS per test, real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod commands;
mod faults;
mod happy;
mod resume;
mod rights;
mod servers_lost;
mod stops;
mod support;
mod takeover;
mod up;
mod views;
