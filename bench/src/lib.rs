//! What measures BestChat beside its peers (`bench`) and breaks it on purpose (`chaos`): both drive the real binary in its
//! roles, over servers of their own.

pub mod chaos;
pub mod error;
pub mod fleet;
pub mod load;
pub mod login;
pub mod measure;
pub mod peer;
pub mod process;
pub mod provider;
pub mod report;
pub mod rows;

pub use error::Error;
