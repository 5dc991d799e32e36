//! Acting on what happened: the shard owners that carry commands out, the reply workers that ask models, the reaper that
//! ends what nobody else does.
//!
//! A worker consumes an event and ends in a command, whose id follows from the event's; so a repeated delivery does no
//! harm, and workers hold nothing that must survive them. Workers and edges meet only on the bus.

mod budget;
pub mod commands;
mod ledger;
pub mod metrics;
mod offer;
mod open_replies;
pub mod own;
pub mod probe;
pub mod provider;
pub mod reaper;
pub mod reply;
