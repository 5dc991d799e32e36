//! What workers ask of a reply, and the fence around it.

use super::{Decision, UNSTORABLE};
use crate::MessageId;
use crate::conversation::{
    Command, Conversation, Error, Event, MAX_RAW_USAGE_BYTES, MAX_RETRY_AFTER_MS, OpenReply, Part, Phase, ReplyError,
    ReplyState, Spent, Usage,
};

impl Conversation {
    pub(super) fn decide_for_worker(&self, command: &Command) -> Decision {
        match command {
            Command::ClaimReply { reply, attempt, worker, lease_ms, model, alternatives, continues } => {
                let started = Event::ReplyAttemptStarted {
                    reply: *reply,
                    attempt: *attempt,
                    worker: storable(worker),
                    lease_ms: *lease_ms,
                    model: model.clone(),
                    alternatives: *alternatives,
                    continues: *continues,
                };
                self.claim(*reply, *attempt, started)
            }
            Command::CompleteReply { reply, attempt, parts, finish, model, usage, spent } => {
                let completed = Event::ReplyCompleted {
                    reply: *reply,
                    attempt: *attempt,
                    parts: storable_parts(parts),
                    finish: *finish,
                    model: model.clone(),
                    usage: storable_usage(usage),
                    spent: spent.as_ref().map(without_raw_usage),
                };
                self.end_attempt(*reply, *attempt, (parts, spent.as_ref()), vec![completed])
            }
            Command::FailReply { reply, attempt, error, retry, switch, retry_after_ms, parts, continuable, spent } => {
                let failed = if *retry && !self.is_last(*reply, *attempt) {
                    Event::ReplyAttemptFailed {
                        reply: *reply,
                        attempt: *attempt,
                        error: storable_error(error),
                        spent: spent.as_ref().map(storable_spent),
                        switch: *switch,
                        retry_after_ms: retry_after_ms.map(|wait| wait.min(MAX_RETRY_AFTER_MS)),
                        parts: kept(parts, *continuable),
                    }
                } else {
                    failure(*reply, *attempt, error, (parts, spent.as_ref()))
                };
                self.end_attempt(*reply, *attempt, (parts, spent.as_ref()), vec![failed])
            }
            Command::ExpireAttempt { reply, attempt, parts, continuable, spent } => {
                let came = (parts.as_slice(), spent.as_ref());
                self.end_attempt(*reply, *attempt, came, self.expiry(*reply, *attempt, came, *continuable))
            }
            _ => Err(Error::NotPermitted),
        }
    }

    fn expiry(&self, reply: MessageId, attempt: u32, (said, spent): Came<'_>, continuable: bool) -> Vec<Event> {
        let (is_last, spent) = (self.is_last(reply, attempt), spent.map(storable_spent));
        let parts = kept(said, continuable && !is_last);
        let mut events = vec![Event::ReplyAttemptExpired { reply, attempt, spent, parts }];
        if is_last {
            // What it spent is told once.
            events.push(failure(reply, attempt, &worker_lost(), (said, None)));
        }
        events
    }

    fn claim(&self, reply: MessageId, attempt: u32, started: Event) -> Decision {
        match self.open_reply(reply)? {
            OpenReply { attempt: last, state: ReplyState::Pending, .. } if attempt == last + 1 => Ok(vec![started]),
            _ => Err(Error::StaleAttempt),
        }
    }

    /// Whether the reply gets no attempt after this one.
    fn is_last(&self, reply: MessageId, attempt: u32) -> bool {
        self.open_replies.get(&reply).is_none_or(|open| attempt >= open.most)
    }

    /// The fence: only the attempt that is current and running ends, and if a stop was asked for, it ends as stopped.
    fn end_attempt(&self, reply: MessageId, attempt: u32, (said, spent): Came<'_>, otherwise: Vec<Event>) -> Decision {
        match self.open_reply(reply)? {
            OpenReply { attempt: current, state: ReplyState::Running, .. } if attempt == current => Ok(otherwise),
            OpenReply { attempt: current, state: ReplyState::Stopping, .. } if attempt == current => {
                let spent = spent.map(storable_spent);
                // Of what is deleted nothing more is written down but what it cost.
                let parts = if self.phase == Phase::Deleted { Vec::new() } else { storable_parts(said) };
                Ok(vec![Event::ReplyStopped { reply, attempt, parts, spent }])
            }
            _ => Err(Error::StaleAttempt),
        }
    }

    fn open_reply(&self, reply: MessageId) -> Result<OpenReply, Error> {
        match self.open_replies.get(&reply) {
            Some(open) => Ok(*open),
            None if self.tree.get(reply).is_some_and(|node| node.author.is_none()) => Err(Error::ReplyEnded),
            None => Err(Error::UnknownReply),
        }
    }
}

/// What an attempt came to: what the model had said, and what that cost.
type Came<'a> = (&'a [Part], Option<&'a Spent>);

/// What is kept of an attempt for the one that goes on from it.
fn kept(said: &[Part], continuable: bool) -> Vec<Part> {
    if continuable { storable_parts(said) } else { Vec::new() }
}

fn failure(reply: MessageId, attempt: u32, error: &ReplyError, (said, spent): Came<'_>) -> Event {
    let (error, parts, spent) = (storable_error(error), storable_parts(said), spent.map(storable_spent));
    Event::ReplyFailed { reply, attempt, error, parts, spent }
}

fn worker_lost() -> ReplyError {
    ReplyError::new("worker_lost", "The workers that were answering were lost; nothing more was tried.")
}

/// What a model or a provider said is never refused, else its reply could not end: U+FFFD stands in for what the log
/// cannot hold.
fn storable(text: &str) -> String {
    text.replace(UNSTORABLE, "\u{FFFD}")
}

fn storable_parts(parts: &[Part]) -> Vec<Part> {
    parts.iter().map(|part| part.map(storable)).collect()
}

fn storable_usage(usage: &Usage) -> Usage {
    Usage { raw: usage.raw.as_deref().filter(|raw| raw.len() <= MAX_RAW_USAGE_BYTES).map(storable), ..usage.clone() }
}

/// Of a whole answer, the provider's own words are in its usage already.
fn without_raw_usage(spent: &Spent) -> Spent {
    Spent { usage: Usage { raw: None, ..spent.usage.clone() }, ..spent.clone() }
}

fn storable_spent(spent: &Spent) -> Spent {
    Spent { usage: storable_usage(&spent.usage), ..spent.clone() }
}

fn storable_error(error: &ReplyError) -> ReplyError {
    ReplyError { code: storable(&error.code), message: storable(&error.message), limit: error.limit.clone() }
}
