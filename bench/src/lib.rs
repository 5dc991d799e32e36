//! What measures BestChat beside its peers (`bench`) and breaks it on purpose (`chaos`): both drive the real binary in its
//! roles, over servers of their own.

pub mod chaos;
pub mod error;
pub mod fleet;
pub mod login;
pub mod process;

pub use error::Error;
