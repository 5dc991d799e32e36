//! Clients that load a server and spend as little as they can on it, since they share its processors.

pub mod chat;
pub mod closed_loop;
pub mod completions;
pub mod seed;
pub mod socket;
pub mod socketio;

pub use chat::Chat;
pub use closed_loop::{Client, Done, closed_loop};
pub use completions::Completions;
pub use socket::Socket;
pub use socketio::SocketIo;
