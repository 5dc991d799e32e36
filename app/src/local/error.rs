//! What can keep a private server from running, each with what a person can do about it.

use std::{fmt, io, path::PathBuf};

/// Why a private server did not start or stop.
#[derive(Debug)]
pub enum Error {
    /// No usable `initdb` and `postgres` programs on this machine.
    PostgresMissing {
        /// An older version that was found and passed over, if any.
        found: Option<String>,
    },
    /// The data was made by a major version of Postgres that is not on this machine.
    PostgresOther {
        /// That version.
        major: u32,
        /// The cluster's folder.
        data: PathBuf,
    },
    /// No usable `nats-server` program on this machine.
    NatsMissing {
        /// An older version that was found and passed over, if any.
        found: Option<String>,
    },
    /// Another process has this folder open.
    InUse {
        /// The server's folder.
        folder: PathBuf,
    },
    /// Postgres refuses to run as root, and no other user can reach the folder.
    Unreachable {
        /// The server's folder.
        folder: PathBuf,
        /// The user that Postgres would have run as.
        user: String,
    },
    /// A program ended, or did not get ready in time.
    Failed {
        /// Which program, doing what.
        what: String,
        /// The last lines it said.
        said: String,
    },
    /// The operating system refused something.
    Io {
        /// What was being done.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: names what was being done when the operating system refused.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PostgresMissing { found } => {
                write!(
                    f,
                    "PostgreSQL 15 or newer server binaries were not found{}: on Debian `apt-get install postgresql`, \
                     on macOS `brew install postgresql@16`, or set DATABASE_URL to a server that runs",
                    Passed(found.as_ref())
                )
            }
            Self::PostgresOther { major, data } => write!(
                f,
                "{} was made by PostgreSQL {major}, whose server binaries were not found: on Debian \
                 `apt-get install postgresql-{major}`, on macOS `brew install postgresql@{major}`, or move the folder away",
                data.display()
            ),
            Self::NatsMissing { found } => write!(
                f,
                "nats-server 2.14 or newer was not found{}: run `make setup`, put one into the PATH, \
                 or set NATS_URL to a server that runs",
                Passed(found.as_ref())
            ),
            Self::InUse { folder } => write!(
                f,
                "{} is in use by another bestchat process: stop that one, or choose another folder with BESTCHAT_DATA",
                folder.display()
            ),
            Self::Unreachable { folder, user } => write!(
                f,
                "Postgres refuses to run as root, and the user `{user}` cannot reach {}: choose a folder that it can \
                 reach with BESTCHAT_DATA, or run bestchat as an ordinary user",
                folder.display()
            ),
            Self::Failed { what, said } if said.is_empty() => f.write_str(what),
            Self::Failed { what, said } => write!(f, "{what}; it said:\n{said}"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The remark about an older version, when there was one.
struct Passed<'a>(Option<&'a String>);

impl fmt::Display for Passed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, " (only {found})"),
            None => Ok(()),
        }
    }
}
