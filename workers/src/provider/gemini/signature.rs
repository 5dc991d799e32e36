//! Which part of an answer had a signature. It must go back on that very part, so the log keeps both.

/// The signature of a [`Reasoning`](crate::provider::request::Reasoning) part, as this protocol keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// The thought itself had it: `thought:<signature>`.
    Thought(&'a str),
    /// The text before it had it, in a part that was its last `bytes`: `text:<bytes>:<signature>`. A stream's last part is
    /// often an empty text, there for its signature alone.
    Text {
        /// How many bytes of text that part had.
        bytes: usize,
        /// As the provider gave it.
        signature: &'a str,
    },
}

impl<'a> Mark<'a> {
    pub(super) fn parse(kept: &'a str) -> Option<Self> {
        if let Some(signature) = kept.strip_prefix("thought:") {
            return Some(Self::Thought(signature));
        }
        let (bytes, signature) = kept.strip_prefix("text:")?.split_once(':')?;
        Some(Self::Text { bytes: bytes.parse().ok()?, signature })
    }

    pub(super) fn keep(self) -> String {
        match self {
            Self::Thought(signature) => format!("thought:{signature}"),
            Self::Text { bytes, signature } => format!("text:{bytes}:{signature}"),
        }
    }
}
