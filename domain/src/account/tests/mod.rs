//! What an account does, told as given/when/then.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod given;
mod keys;
mod log;
mod settings;
