//! Whole applications: the real binary in separate processes, a Postgres and a NATS per test, real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![expect(clippy::too_many_lines, reason = "a story is told in one go")]
#![expect(
    clippy::print_stdout,
    reason = "figures, and the last words of processes, for whoever reads the test's output"
)]

mod bad_input;
mod bills;
mod breakers;
mod commands;
mod console;
mod continuing;
mod dev_login;
mod drain;
mod faults;
mod found_providers;
mod given_servers;
mod happy;
mod keys;
mod limits;
mod logs;
mod metrics;
mod own_providers;
mod parked;
mod probes;
mod resume;
mod rights;
mod routes;
mod servers_lost;
mod shares;
mod spending;
mod stops;
mod stops_early;
mod support;
mod switching;
mod takeover;
mod traces;
mod up;
mod usage;
mod views;
