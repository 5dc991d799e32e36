//! Why a run could not be carried out, in words for whoever started it.

use std::fmt;

/// An error that says what went wrong.
#[derive(Debug)]
pub struct Error(pub String);

impl Error {
    /// An error that says what `error` says.
    pub fn other(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::other(error)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::other(error)
    }
}
