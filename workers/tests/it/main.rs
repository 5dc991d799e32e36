//! Tests of the workers through their public face.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod provider_bad_input;
mod provider_catalog;
mod provider_chat;
mod provider_demo;
mod provider_errors;
mod provider_fake;
mod provider_hangup;
mod provider_models;
mod provider_protocols;
mod provider_sse;
