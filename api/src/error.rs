//! Every refusal with its status and stable code. docs/protocol.md lists them; a 5xx reveals nothing.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::account;
use domain::conversation::Error as Refused;
use serde_json::json;
use store::sealing::SealingError;
use store::writer::Refusal;

use crate::provider_catalog::ProviderView;

/// What a client is told when something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Stable for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retryable: false }
    }

    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// Also what someone is told who may not see a conversation.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", Refused::Unknown.to_string())
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(crate) fn forbidden_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden_origin", "this origin is not among the allowed ones")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this route has no such method")
    }

    pub(crate) fn unknown_provider() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_provider", "there is no such provider")
    }

    /// It may be known, but nobody has configured it.
    pub(crate) fn provider_not_configured(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_provider", message)
    }

    /// `known`: it as the catalogue has it.
    pub(crate) fn incomplete_provider(known: Option<&ProviderView>) -> Self {
        let message = match known {
            None => "this provider is not in the catalogue: say its `protocol` and its `base_url`".to_owned(),
            Some(ProviderView { base_url: Some(base_url), .. }) => {
                format!("this provider is elsewhere for each account: say its `base_url`, {base_url}")
            }
            Some(_) => "the catalogue does not tell where this provider is: say its `base_url`".to_owned(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "incomplete_provider", message)
    }

    pub(crate) fn unusable_address(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_base_url", why)
    }

    pub(crate) fn unknown_protocol(known: &[String]) -> Self {
        let message = format!("there is no such protocol; there are {}", known.join(", "));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_protocol", message)
    }

    pub(crate) fn max_tokens_not_spoken(protocol: &str) -> Self {
        let message = format!("`max_tokens` is for the protocol {protocol} alone");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_protocol", message)
    }

    pub(crate) fn keys_not_taken() -> Self {
        let message = "this installation takes no keys: its operator has not set `[sealing]`";
        Self::new(StatusCode::NOT_IMPLEMENTED, "keys_not_taken", message)
    }

    pub(crate) fn not_available(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_available", message)
    }

    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message) }
    }

    pub(crate) fn unavailable() -> Self {
        let message = "this cannot be done just now; try again";
        Self { retryable: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message) }
    }
}

impl From<Refusal<Refused>> for Problem {
    fn from(refusal: Refusal<Refused>) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Domain { error } => Self::new(status(&error), code(&error), message),
            Refusal::StaleSequence { .. } => Self::new(StatusCode::CONFLICT, "stale_sequence", message),
            Refusal::CommandIdReused => Self::new(StatusCode::CONFLICT, "command_id_reused", message),
            Refusal::Unreadable => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this conversation is halted")
            }
            Refusal::Unavailable => Self::unavailable(),
        }
    }
}

impl From<Refusal<account::Error>> for Problem {
    fn from(refusal: Refusal<account::Error>) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Domain { error } => {
                let (status, code) = of_account(&error);
                Self::new(status, code, message)
            }
            Refusal::StaleSequence { .. } => Self::new(StatusCode::CONFLICT, "stale_sequence", message),
            Refusal::CommandIdReused => Self::new(StatusCode::CONFLICT, "command_id_reused", message),
            Refusal::Unreadable => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this account is halted"),
            Refusal::Unavailable => Self::unavailable(),
        }
    }
}

impl From<SealingError> for Problem {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::Length => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_key", error.to_string()),
            SealingError::MissingVersion { .. }
            | SealingError::DoesNotOpen
            | SealingError::NotAKey { .. }
            | SealingError::NoChance => {
                tracing::error!(%error, "a key cannot be sealed");
                Self::unavailable()
            }
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "a read failed");
        Self::unavailable()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

fn code(error: &Refused) -> &'static str {
    match error {
        Refused::Unknown => "not_found",
        Refused::AlreadyStarted => "already_started",
        Refused::Archived => "archived",
        Refused::UnknownMessage => "unknown_message",
        Refused::UnknownReply => "unknown_reply",
        Refused::MessageIdTaken => "message_id_taken",
        Refused::ReplyInProgress => "reply_in_progress",
        Refused::TooManyReplies { .. } => "too_many_replies",
        Refused::ReplyEnded => "reply_ended",
        Refused::StaleAttempt => "stale_attempt",
        Refused::EmptyMessage => "empty_message",
        Refused::UnsupportedPart => "unsupported_part",
        Refused::InvalidText => "invalid_text",
        Refused::MessageTooLarge { .. } => "message_too_large",
        Refused::InvalidTitle { .. } => "invalid_title",
        Refused::SystemPromptTooLarge { .. } => "system_prompt_too_large",
        Refused::NotAuthor => "not_author",
        Refused::NotOwner => "not_owner",
        Refused::OwnerStays => "owner_stays",
        Refused::TooManyParticipants { .. } => "too_many_participants",
        Refused::TooManyMessages { .. } => "too_many_messages",
        Refused::NotPermitted => "not_permitted",
    }
}

fn of_account(error: &account::Error) -> (StatusCode, &'static str) {
    match error {
        account::Error::Unknown => (StatusCode::NOT_FOUND, "not_found"),
        account::Error::NotPermitted => (StatusCode::FORBIDDEN, "not_permitted"),
        account::Error::UnknownProvider => (StatusCode::NOT_FOUND, "unknown_provider"),
        account::Error::TooManyProviders { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_providers"),
        account::Error::InvalidProtocol { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_protocol"),
        account::Error::InvalidBaseUrl { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_base_url"),
        account::Error::InvalidModels { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_models"),
        account::Error::InvalidKey => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_key"),
        account::Error::InvalidAuth => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_auth"),
        account::Error::KeyNeeded => (StatusCode::CONFLICT, "key_needed"),
        account::Error::StaleKey => (StatusCode::CONFLICT, "stale_key"),
        account::Error::LimitTooHigh { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "limit_too_high"),
    }
}

fn status(error: &Refused) -> StatusCode {
    match error {
        Refused::Unknown | Refused::UnknownMessage | Refused::UnknownReply => StatusCode::NOT_FOUND,
        Refused::AlreadyStarted
        | Refused::Archived
        | Refused::MessageIdTaken
        | Refused::ReplyInProgress
        | Refused::ReplyEnded
        | Refused::StaleAttempt
        | Refused::OwnerStays => StatusCode::CONFLICT,
        Refused::TooManyReplies { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refused::MessageTooLarge { .. } | Refused::SystemPromptTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::EmptyMessage
        | Refused::UnsupportedPart
        | Refused::InvalidText
        | Refused::InvalidTitle { .. }
        | Refused::TooManyParticipants { .. }
        | Refused::TooManyMessages { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::NotAuthor | Refused::NotOwner | Refused::NotPermitted => StatusCode::FORBIDDEN,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, retryable } = self;
        let body = json!({ "error": { "code": code, "message": message, "retryable": retryable } });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    /// What a table of docs/protocol.md has in its first column.
    pub(crate) fn documented(heading: &str) -> BTreeSet<&'static str> {
        let (_, section) = include_str!("../../docs/protocol.md").split_once(heading).unwrap();
        let section = section.split("\n#").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|names| names.split(',').map(str::trim)).collect()
    }

    #[test]
    fn every_code_is_documented_and_none_that_there_is_not() {
        let source = include_str!("error.rs").split("#[cfg(test)]").next().unwrap();
        let is_code = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        // What stands between quotes and is one word, but for the names of fields.
        let pieces: Vec<&str> = source.split('"').collect();
        let quoted = pieces.windows(2).skip(1).step_by(2);
        let codes =
            quoted.filter(|pair| is_code(pair[0]) && !pair[1].starts_with(':')).map(|pair| format!("`{}`", pair[0]));
        let documented = documented("\n## Error codes\n").into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(codes.collect::<BTreeSet<_>>(), documented);
    }
}
