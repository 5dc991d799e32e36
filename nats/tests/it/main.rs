//! The bus against a real nats-server, one per test under the rules of `nats/nats-server.conf`, and a real Postgres, which
//! `DATABASE_URL` names.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod asking;
mod breakers;
mod consuming;
mod database;
mod live;
mod mirror;
mod model_lists;
mod owner;
mod probing;
mod relay;
mod rivals;
mod tail;
mod wait;
