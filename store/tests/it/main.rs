//! The store against a real Postgres, which `DATABASE_URL` names: a database per test.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod check;
mod checkpoints;
mod cqrs;
mod cuts;
mod database;
mod dead_letters;
mod foreign;
mod head;
mod leases;
mod migrations;
mod pages;
mod repeats;
mod rivals;
mod roles;
mod snapshots;
mod tally;
mod transactions;
mod two_aggregates;
mod unreadable;
mod writer;
