//! What the tests are written in: an application, its clients, and a provider under the test's control.

mod app;
mod biller;
mod client;
mod collector;
mod form;
mod http;
mod ledger;
mod process;
mod provider;
mod speaker;
mod transcript;
mod wait;

pub(crate) use app::{API_KEY, Api, App, SECRET, SHARDS, TENANT, address, token};
pub(crate) use biller::{Biller, Call, HALF, WHOLE, tokens};
pub(crate) use client::Client;
pub(crate) use collector::{Collector, Span};
pub(crate) use ledger::Load;
pub(crate) use process::{Process, run};
pub(crate) use provider::{Provider, answer};
pub(crate) use speaker::Speaker;
pub(crate) use transcript::Transcript;
pub(crate) use wait::{until, within};

/// A new id.
pub(crate) fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}
