//! How a call to a model goes wrong.

use std::time::Duration;

use domain::conversation::ReplyError;

/// Why a call gave no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind, for programs.
    pub kind: ErrorKind,
    /// The same for people. Never a secret; of what the provider sent, at most a short cleaned excerpt of its own
    /// error message.
    pub message: String,
    /// How long the provider asked us to wait before the next call.
    pub retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The key is missing, wrong, or not allowed to do this.
    Auth,
    /// The account has no money or no quota left: waiting a little does not help.
    Quota,
    /// Too many calls at the moment.
    Rate,
    /// The provider is overloaded or broken at the moment.
    Overload,
    /// The provider does not accept the request.
    Invalid,
    /// The provider, or our own configuration, knows no such model; or the provider cannot be called at its address.
    UnknownModel,
    /// The prompt is longer than the model can read.
    ContextTooLong,
    /// The provider declines to answer this prompt.
    ContentFilter,
    /// The provider could not be reached, or hung up before it answered.
    Network,
    /// A deadline passed.
    Timeout(Deadline),
    /// The answer broke off: the stream ended without the provider's terminal mark.
    Interrupted,
    /// The provider sent something that its protocol does not know.
    Protocol,
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// Until the connection stands.
    Connect,
    /// Until the first token.
    FirstToken,
    /// From one token to the next.
    BetweenTokens,
}

/// What may help against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// To ask the same model a little later.
    Retry,
    /// To ask another model, or another provider.
    Switch,
    /// To shorten the prompt, or to ask a model that reads more.
    Compact,
    /// Nothing: what one provider declines to answer is not hawked around.
    GiveUp,
}

impl ErrorKind {
    /// What may help.
    ///
    /// Not a retry against [`ErrorKind::Protocol`]: a server that speaks another protocol does so again, and each try may be
    /// billed.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Rate | Self::Overload | Self::Network | Self::Timeout(_) | Self::Interrupted => Remedy::Retry,
            // What one provider does not accept (an image, a tool, a size) another one may.
            Self::Auth | Self::Quota | Self::UnknownModel | Self::Protocol | Self::Invalid => Remedy::Switch,
            Self::ContextTooLong => Remedy::Compact,
            Self::ContentFilter => Remedy::GiveUp,
        }
    }

    /// The kind's stable name in events and on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::Rate => "rate",
            Self::Overload => "overload",
            Self::Invalid => "invalid",
            Self::UnknownModel => "unknown_model",
            Self::ContextTooLong => "context_too_long",
            Self::ContentFilter => "content_filter",
            Self::Network => "network",
            Self::Timeout(_) => "timeout",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol",
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn is_retryable(self) -> bool {
        self.remedy() == Remedy::Retry
    }

    /// What people can do about it, in a sentence.
    fn advice(self) -> &'static str {
        match self {
            Self::Auth => "Check the key.",
            Self::Quota => "Add credit at the provider, or choose another model.",
            Self::Rate | Self::Overload | Self::Timeout(_) => "Try again a little later.",
            Self::Invalid => "Another model may accept it.",
            Self::UnknownModel => "Choose another model, or check the provider's address.",
            Self::ContextTooLong => "Begin a new conversation, or choose a model that reads more.",
            Self::ContentFilter => "Say it differently, or choose another model.",
            Self::Network => "Check the provider's address, or try again a little later.",
            Self::Interrupted => "Try again.",
            Self::Protocol => "Check the provider's address and protocol.",
        }
    }
}

impl Error {
    /// An error that says nothing about when to call again.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }

    /// An error of a provider called `id`: what happened, without a full stop, and what people can do about it.
    pub(super) fn told(kind: ErrorKind, id: &str, what: &str, retry_after: Option<Duration>) -> Self {
        let advice = match retry_after.map(|wait| wait.as_millis().div_ceil(1_000)) {
            Some(seconds @ 2..=90) if kind.is_retryable() => format!("Try again in {seconds} seconds."),
            Some(seconds @ 91..=5_400) if kind.is_retryable() => {
                format!("Try again in {} minutes.", seconds.div_ceil(60))
            }
            Some(seconds @ 5_401..) if kind.is_retryable() => {
                format!("Try again in {} hours.", seconds.div_ceil(3_600))
            }
            _ => kind.advice().to_owned(),
        };
        Self { kind, message: format!("{id}: {what}. {advice}"), retry_after }
    }

    /// The kind's stable name in events and on the wire.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Whether the same call may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl From<Error> for ReplyError {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.message)
    }
}
