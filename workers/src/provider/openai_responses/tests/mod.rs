//! The protocol against what its documentation gives.

mod read;
mod write;
