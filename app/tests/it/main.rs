//! Whole applications: the real binary in separate processes, a Postgres and a NATS per test, real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod happy;
mod support;
