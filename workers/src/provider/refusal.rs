//! What a provider's error means.
//!
//! Compatible servers agree on the status at best. So the kind comes from every word of the error that is meant for
//! programs, then from the phrases that their messages share, then from the status. Of their text, people see one
//! cleaned line and never a credential.

mod hints;

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Error, ErrorKind};

/// How much of a provider's own message people see, in characters.
const MAX_EXCERPT_CHARS: usize = 200;
const FORBIDDEN: u16 = 403;

/// A provider's error, or ours about what it sent: what is known of it until it is told to someone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The kind, where a protocol knows it for certain.
    kind: Option<ErrorKind>,
    /// Our own words in place of the provider's, and the kind that they mean if nothing else is known.
    ours: Option<(ErrorKind, String)>,
    /// Codes and types, lower case, separated by spaces.
    words: String,
    status: Option<u16>,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads the error out of a body or an event. `None` when it holds none: then it is something else.
    ///
    /// Known shapes: `{"error":{…}}`, `{"error":"…"}`, `[{"error":{…}}]` (Gemini), a flat `{"object":"error",…}` or
    /// `{"type":"error",…}` (Mistral, vLLM), and `{"detail":…}` (`FastAPI`).
    pub(super) fn find(body: &Value) -> Option<Self> {
        let body = match body {
            Value::Array(items) => items.first()?,
            body => body,
        };
        let fields = body.as_object()?;
        let mut refusal = match fields.get("error") {
            Some(Value::String(message)) if !message.is_empty() => Self { message: message.clone(), ..Self::default() },
            Some(error @ Value::Object(inner)) if !inner.is_empty() => Self::flat(error),
            _ if ["object", "type"].iter().any(|key| fields.get(*key).is_some_and(|value| value == "error")) => {
                Self::flat(body)
            }
            _ => Self { message: detail(fields.get("detail")?)?, ..Self::default() },
        };
        // xAI and others put the code beside the error.
        refusal.add_words(body);
        Some(refusal)
    }

    /// Reads an object that is known to be an error, whatever its shape.
    pub(super) fn flat(error: &Value) -> Self {
        let text = |key| error.get(key).and_then(Value::as_str);
        let mut refusal = Self {
            message: text("message").or_else(|| text("msg")).or_else(|| error.as_str()).unwrap_or_default().to_owned(),
            retry_after: hints::of_details(error),
            ..Self::default()
        };
        refusal.add_words(error);
        refusal
    }

    /// The provider sent something that its protocol does not know. For people: what, without a full stop.
    pub(super) fn protocol(what: &str) -> Self {
        Self { ours: Some((ErrorKind::Protocol, what.to_owned())), ..Self::default() }
    }

    /// The provider broke the answer off. For people: how, without a full stop.
    pub(super) fn interrupted(how: &str) -> Self {
        Self { ours: Some((ErrorKind::Interrupted, how.to_owned())), ..Self::default() }
    }

    /// Of an answer with this status whose body is no JSON: whatever stands before the provider, a firewall or a proxy, may have
    /// made it. Most statuses mean the same from them; only what they forbid says nothing about the key.
    pub(super) fn without_words(status: u16) -> Self {
        if status != FORBIDDEN {
            return Self::default();
        }
        let kind = ErrorKind::UnknownModel;
        let ours = format!("what stands before the provider turns the call away (status {status})");
        Self { kind: Some(kind), ours: Some((kind, ours)), ..Self::default() }
    }

    /// It is of this kind, whatever its words say.
    #[must_use]
    pub(super) fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// A further word for programs; such words count more than the message's phrases.
    #[must_use]
    pub(super) fn with_word(mut self, word: &str) -> Self {
        self.words.push_str(&word.to_lowercase());
        self.words.push(' ');
        self
    }

    /// What the provider says to people.
    #[must_use]
    pub(super) fn with_message(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
    }

    /// The status that it would have had, unless it names one.
    #[must_use]
    pub(super) fn or_status(self, status: u16) -> Self {
        Self { status: self.status.or(Some(status)), ..self }
    }

    /// Whether it says that the bytes made no sense, and not that the provider refuses.
    pub(super) fn is_nonsense(&self) -> bool {
        self.kind() == ErrorKind::Protocol
    }

    fn add_words(&mut self, error: &Value) {
        // OpenRouter and vLLM put the status here that the answer would have had; others, numbers of their own.
        let status = |code: u64| u16::try_from(code).ok().filter(|code| (400..600).contains(code));
        for value in ["code", "type", "status"].iter().filter_map(|key| error.get(*key)) {
            let code = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            self.status = self.status.or(code.and_then(status));
            if let Some(word) = value.as_str() {
                self.words.push_str(&word.to_lowercase());
                self.words.push(' ');
            }
        }
    }

    /// The error of an answer whose status was not a success.
    pub(super) fn with_status(mut self, status: u16, headers: &HeaderMap) -> Self {
        self.status = Some(status);
        self.retry_after = hints::of_headers(headers).or(self.retry_after);
        self
    }

    /// The typed error, its message naming the provider `id` and without any of the `secrets`.
    pub(super) fn into_error(self, id: &str, secrets: &[&str]) -> Error {
        let kind = self.kind();
        let wait = self.retry_after.or_else(|| hints::of_message(&self.message));
        if let Some((_, ours)) = self.ours {
            return Error::told(kind, id, &ours, wait);
        }
        let reason = reason(kind);
        // Providers quote the key in these, whole or in part.
        let excerpt = if kind == ErrorKind::Auth { String::new() } else { excerpt(&self.message, secrets) };
        let status = self.status.map(|status| format!(" (status {status})")).unwrap_or_default();
        let what = if excerpt.is_empty() {
            format!("{reason}{status}")
        } else {
            format!("{reason}{status}: {}", excerpt.trim_end_matches('.'))
        };
        Error::told(kind, id, &what, wait)
    }

    fn kind(&self) -> ErrorKind {
        let certain = self.kind.or_else(|| self.kind_by_words());
        certain.or_else(|| self.kind_by_message()).unwrap_or_else(|| match (&self.ours, self.status) {
            (Some((kind, _)), None) => *kind,
            (None, None) => self.kind_without_status(),
            (_, status) => kind_by_status(status),
        })
    }

    /// Of an error inside an answer that had begun well: the broad words of its type stand for the status, and where there are
    /// none, it does not say what it is.
    fn kind_without_status(&self) -> ErrorKind {
        const TYPES: &[(&str, ErrorKind)] =
            &[("invalid_request", ErrorKind::Invalid), ("not_found", ErrorKind::UnknownModel)];
        let known = TYPES.iter().find(|(word, _)| self.words.contains(word));
        known.map_or(ErrorKind::Interrupted, |(_, kind)| *kind)
    }

    fn kind_by_words(&self) -> Option<ErrorKind> {
        // The order matters: the narrow words stand before the broad ones that accompany them.
        const WORDS: &[(&str, ErrorKind)] = &[
            ("context_length", ErrorKind::ContextTooLong),
            ("context_window", ErrorKind::ContextTooLong),
            ("insufficient_quota", ErrorKind::Quota),
            ("insufficient_balance", ErrorKind::Quota),
            ("quota_exceeded", ErrorKind::Quota),
            ("billing", ErrorKind::Quota),
            ("spend_limit", ErrorKind::Quota),
            ("payment_required", ErrorKind::Quota),
            ("content_filter", ErrorKind::ContentFilter),
            ("content_policy", ErrorKind::ContentFilter),
            ("moderation", ErrorKind::ContentFilter),
            ("data_inspection_failed", ErrorKind::ContentFilter),
            ("model_not_found", ErrorKind::UnknownModel),
            ("model_not_supported", ErrorKind::UnknownModel),
            ("invalid_model", ErrorKind::UnknownModel),
            ("unknown_model", ErrorKind::UnknownModel),
            ("invalid_api_key", ErrorKind::Auth),
            ("authentication", ErrorKind::Auth),
            ("unauthenticated", ErrorKind::Auth),
            ("unauthorized", ErrorKind::Auth),
            ("rate_limit", ErrorKind::Rate),
            ("too_many_requests", ErrorKind::Rate),
            ("resource_exhausted", ErrorKind::Rate),
            ("overloaded", ErrorKind::Overload),
            ("unavailable", ErrorKind::Overload),
            ("server_error", ErrorKind::Overload),
        ];
        WORDS.iter().find(|(word, _)| self.words.contains(word)).map(|(_, kind)| *kind)
    }

    fn kind_by_message(&self) -> Option<ErrorKind> {
        const PHRASES: &[(&str, ErrorKind)] = &[
            ("maximum context length", ErrorKind::ContextTooLong),
            ("context window", ErrorKind::ContextTooLong),
            ("context length", ErrorKind::ContextTooLong),
            ("context size", ErrorKind::ContextTooLong),
            ("too many tokens:", ErrorKind::ContextTooLong),
            ("prompt is too long", ErrorKind::ContextTooLong),
            // xAI; Moonshot; Qwen.
            ("maximum prompt length is", ErrorKind::ContextTooLong),
            ("exceeded model token limit", ErrorKind::ContextTooLong),
            ("range of input length should be", ErrorKind::ContextTooLong),
            ("exceeded your current quota", ErrorKind::Quota),
            ("insufficient balance", ErrorKind::Quota),
            ("insufficient credits", ErrorKind::Quota),
            ("incorrect api key", ErrorKind::Auth),
            ("invalid api key", ErrorKind::Auth),
            ("api key not valid", ErrorKind::Auth),
            // OpenRouter says 404 for these, as if it did not know the model.
            ("no endpoints found that support", ErrorKind::Invalid),
            ("flagged", ErrorKind::ContentFilter),
            ("content management policy", ErrorKind::ContentFilter),
        ];
        let message = self.message.to_lowercase();
        PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, kind)| *kind)
    }
}

fn kind_by_status(status: Option<u16>) -> ErrorKind {
    match status {
        Some(401 | FORBIDDEN) => ErrorKind::Auth,
        Some(402) => ErrorKind::Quota,
        Some(404) => ErrorKind::UnknownModel,
        Some(413) => ErrorKind::ContextTooLong,
        Some(429) => ErrorKind::Rate,
        // 408 and 425 ask for the same request once more; with 424, a model failed behind the one who answers (Bedrock).
        Some(408 | 424 | 425 | 500..) => ErrorKind::Overload,
        Some(300..500) => ErrorKind::Invalid,
        _ => ErrorKind::Interrupted,
    }
}

fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Auth => "the API key is wrong, or is not allowed to do this",
        ErrorKind::Quota => "the account's quota is used up",
        ErrorKind::Rate => "too many calls at the moment",
        ErrorKind::Overload => "the provider has trouble at the moment",
        ErrorKind::UnknownModel => "the provider has no such model",
        ErrorKind::ContextTooLong => "the conversation is too long for the model",
        ErrorKind::ContentFilter => "the provider declines to answer this",
        ErrorKind::Interrupted => "the provider ended the answer with an error",
        ErrorKind::Invalid | ErrorKind::Network | ErrorKind::Timeout(_) | ErrorKind::Protocol => {
            "the provider does not accept the request"
        }
    }
}

/// One short line of what the provider says, without what could be a credential.
fn excerpt(message: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    let message = secrets.fold(message.to_owned(), |message, secret| message.replace(secret, "…"));
    let words = message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.map(|word| if is_credential(word) { "…" } else { word }).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_EXCERPT_CHARS {
        return line;
    }
    line.chars().take(MAX_EXCERPT_CHARS).chain(['…']).collect()
}

/// Keys and account names by the prefixes in use, and whatever else is too long to be a word.
fn is_credential(word: &str) -> bool {
    const PREFIXES: &[&str] =
        &["sk-", "sk_", "pk-", "xai-", "gsk_", "hf_", "AIza", "eyJ", "org-", "proj_", "key-", "nvapi-"];
    let mut pieces = word.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    pieces.any(|piece| piece.len() > 40 || PREFIXES.iter().any(|prefix| piece.starts_with(prefix)))
}

/// `FastAPI`: a text, or a list of what was wrong with each field.
fn detail(detail: &Value) -> Option<String> {
    let first = detail.get(0).and_then(|item| item.get("msg"));
    Some(first.unwrap_or(detail).as_str()?.to_owned())
}
