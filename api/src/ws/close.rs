//! Why a socket is closed, and by which code. A client reconnects after all of them but the first three.

use axum::extract::ws::{CloseFrame, close_code};

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Too many frames that are none.
    Malformed,
    /// The token was not accepted, has ended, or is someone else's.
    Unauthenticated,
    /// A frame larger than accepted.
    TooLarge,
    /// No token came in time.
    NoToken,
    /// The client did not read for too long.
    Slow,
    /// Nothing was heard of the client for too long.
    Silent,
    /// The server restarts.
    Restart,
    /// The client closed, or the connection is gone: there is nobody to be told.
    Gone,
}

impl Close {
    /// For the figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::TooLarge => "too_large",
            Self::NoToken => "no_token",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Restart => "restart",
            Self::Gone => "gone",
        }
    }

    /// The close frame, if anyone is to be told.
    pub(crate) fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Malformed => (4400, "too many frames could not be read"),
            Self::Unauthenticated => (4401, "a valid token is needed"),
            Self::TooLarge => (close_code::SIZE, "the frame is too large"),
            Self::NoToken => (4408, "no token came in time"),
            Self::Slow => (4409, "the client reads too slowly"),
            Self::Silent => (4410, "nothing was heard of the client"),
            Self::Restart => (close_code::RESTART, "the server restarts"),
            Self::Gone => return None,
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Close;
    use crate::error::tests::documented;

    /// Every reason, for the match has no `_`.
    fn all() -> impl Iterator<Item = Close> {
        std::iter::successors(Some(Close::Malformed), |close| match close {
            Close::Malformed => Some(Close::Unauthenticated),
            Close::Unauthenticated => Some(Close::TooLarge),
            Close::TooLarge => Some(Close::NoToken),
            Close::NoToken => Some(Close::Slow),
            Close::Slow => Some(Close::Silent),
            Close::Silent => Some(Close::Restart),
            Close::Restart => Some(Close::Gone),
            Close::Gone => None,
        })
    }

    #[test]
    fn every_close_code_is_documented_and_none_that_there_is_not() {
        let codes: BTreeSet<String> = all().filter_map(|close| Some(close.frame()?.code.to_string())).collect();
        // The browser's own word for a connection that broke.
        let documented = documented("\n## Close codes\n").into_iter().filter(|code| *code != "1006 and others");
        assert_eq!(codes, documented.map(str::to_owned).collect());
    }
}
