//! The wiring of the one binary: settings, telemetry, private servers, roles.

pub mod cli;
pub mod config;
mod dead_letters;
mod drain;
mod edge;
pub mod local;
mod metrics;
mod providers;
mod replay;
pub mod roles;
mod rotate_keys;
mod sealing;
mod shutdown;
pub mod telemetry;
mod traces;
mod up;
pub mod wire;
