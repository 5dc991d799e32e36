//! The frames of the WebSocket protocol, version 1: what a client may say and what it is told. docs/protocol.md shows
//! each with an example; `web/client/src/wire.ts` is generated from here.

mod client;
mod server;

pub(crate) use client::{ClientCommand, ClientFrame, ReplyCursor};
pub(crate) use server::{ServerFrame, Snapshot, encode, event};

/// The protocol's version, said in `hello`; a client that does not know it must not go on.
pub(crate) const PROTOCOL: u32 = 1;

/// The subprotocol that the server answers with when a client offers it.
pub(crate) const SUBPROTOCOL: &str = "bestchat.v1";

/// The largest frame accepted from a client, in bytes; a larger one closes the socket with 1009.
pub(crate) const MAX_FRAME_BYTES: usize = 256 * 1024;
