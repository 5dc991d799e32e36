//! A conversation in which everything happens.

use domain::conversation::{Event, Finish, Part, ReplyError, Usage};
use domain::{ConversationId, MessageId};
use uuid::Uuid;

pub(crate) fn id(n: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(n))
}

pub(crate) fn message(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

fn text(text: &str) -> Vec<Part> {
    vec![Part::Text { text: text.to_owned() }]
}

pub(crate) fn started(owner: &str) -> Event {
    let (owner, tenant) = (owner.parse().unwrap(), "acme".parse().unwrap());
    Event::ConversationStarted { owner, tenant, title: None, model: None, system_prompt: None }
}

pub(crate) fn renamed(title: &str) -> Event {
    Event::ConversationRenamed { title: title.to_owned() }
}

pub(crate) fn said(n: u128, words: &str) -> Event {
    let (author, parts) = ("ann".parse().unwrap(), text(words));
    Event::MessageSubmitted { message: message(n), parent: None, author, parts, edit_of: None }
}

/// From its beginning up to, but without, its deletion; messages are numbered from `first`.
#[expect(clippy::too_many_lines, reason = "one story, told in one go")]
pub(crate) fn story(first: u128) -> Vec<Event> {
    let (reply, second, third) = (message(first + 1), message(first + 2), message(first + 3));
    let (parent, model, error) = (message(first), None, ReplyError::new("rate", "slow"));
    let asked = |reply| Event::ReplyRequested { reply, parent, model: model.clone(), regenerate_of: None };
    let claimed = |reply, attempt| Event::ReplyAttemptStarted {
        reply,
        attempt,
        worker: "w".into(),
        lease_ms: 1,
        model: None,
        alternatives: None,
        continues: false,
    };
    let (finish, answered, usage) =
        (Finish::Length, "a/b".parse().unwrap(), Usage { input: Some(3), ..Usage::default() });
    let (bob, carl) = ("bob".parse().unwrap(), "carl".parse::<domain::UserId>().unwrap());
    vec![
        started("ann"),
        Event::ParticipantAdded { user: bob },
        Event::ParticipantAdded { user: carl.clone() },
        said(first, "  Why are\n there tides? "),
        asked(reply),
        claimed(reply, 1),
        Event::ReplyAttemptFailed {
            reply,
            attempt: 1,
            error: error.clone(),
            spent: None,
            switch: false,
            retry_after_ms: None,
            parts: Vec::new(),
        },
        claimed(reply, 2),
        Event::ReplyCompleted {
            reply,
            attempt: 2,
            parts: text("The moon."),
            finish,
            model: answered,
            usage,
            spent: None,
        },
        asked(second),
        Event::ReplyStopRequested { reply: second },
        Event::ReplyStopped { reply: second, attempt: 0, parts: text(""), spent: None },
        asked(third),
        claimed(third, 1),
        Event::ReplyAttemptExpired { reply: third, attempt: 1, spent: None, parts: text("Th") },
        Event::ReplyFailed { reply: third, attempt: 1, error, parts: text("The"), spent: None },
        Event::BranchSelected { leaf: reply },
        Event::ParticipantRemoved { user: carl },
        Event::ModelConfigured { model: Some("a/b".parse().unwrap()), system_prompt: Some("Be brief.".into()) },
        Event::ConversationArchived {},
        Event::ConversationUnarchived {},
        renamed("Tides"),
    ]
}
