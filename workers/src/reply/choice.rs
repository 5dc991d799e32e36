//! Which model an attempt asks, and what follows when it fails. Both are decided from the log alone: any process that goes
//! on with a reply decides the same, whoever was at it before.

use std::time::Duration;

use domain::ModelRef;
use domain::conversation::{Event, MAX_ATTEMPTS};

use crate::provider::{Error, Remedy};

/// How many failures that may pass a model of a route has before the next one is asked.
const FAILURES_BEFORE_SWITCH: usize = 2;
/// The longest wait that a provider may ask for while a route has others to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the log says of the attempts at a reply so far, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried(Vec<Try>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Try {
    model: Option<ModelRef>,
    failed: bool,
    /// It said that the next one shall ask another model.
    switch: bool,
}

/// What follows when an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same model is asked again, after a pause.
    Retry,
    /// Another one is asked, at once.
    Switch,
    /// The reply ends.
    GiveUp,
}

impl Tried {
    /// Hears an event about the reply.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::ReplyAttemptStarted { model, .. } => {
                self.0.push(Try { model: model.clone(), failed: false, switch: false });
            }
            Event::ReplyAttemptFailed { switch, .. } => self.failed(*switch),
            // A lost worker says nothing about the model.
            _ => {}
        }
    }

    /// The attempt after these has begun, asks this, and has failed.
    pub(super) fn and_failed(mut self, model: Option<ModelRef>, switch: bool) -> Self {
        self.0.push(Try { model, failed: true, switch });
        self
    }

    fn failed(&mut self, switch: bool) {
        if let Some(last) = self.0.last_mut() {
            (last.failed, last.switch) = (true, switch);
        }
    }

    /// The model that the next attempt asks; none when there is none to ask.
    pub(super) fn choose<'a>(&self, alternatives: &'a [ModelRef]) -> Option<&'a ModelRef> {
        let same = self.0.last().filter(|last| !last.switch).and_then(|last| last.model.as_ref());
        let same = alternatives.iter().find(|model| Some(*model) == same);
        // The last one stays when all have been asked, which only other settings than before can bring about.
        same.or_else(|| self.untried(alternatives).next()).or(alternatives.last())
    }

    /// What follows when the attempt after these, which asked `model`, has failed.
    pub(super) fn next(&self, model: &ModelRef, error: &Error, alternatives: &[ModelRef]) -> Next {
        let others = self.untried(alternatives).any(|other| other != model);
        let before = self.0.iter().filter(|tried| tried.failed && tried.model.as_ref() == Some(model)).count();
        let failures = before + 1;
        let is_long = error.retry_after.is_some_and(|wait| wait > PATIENCE);
        match (error.kind.remedy(), others) {
            (Remedy::GiveUp, _) | (Remedy::Switch, false) => Next::GiveUp,
            (Remedy::Switch, true) => Next::Switch,
            (Remedy::Retry, true) if is_long || failures >= FAILURES_BEFORE_SWITCH => Next::Switch,
            (Remedy::Retry, false) if failures >= MAX_ATTEMPTS as usize => Next::GiveUp,
            (Remedy::Retry, _) => Next::Retry,
        }
    }

    fn untried<'a>(&self, alternatives: &'a [ModelRef]) -> impl Iterator<Item = &'a ModelRef> {
        alternatives.iter().filter(|model| self.0.iter().all(|tried| tried.model.as_ref() != Some(*model)))
    }
}

#[cfg(test)]
mod tests {
    use domain::MessageId;
    use domain::conversation::ReplyError;
    use uuid::Uuid;

    use super::*;
    use crate::provider::{Deadline, ErrorKind};

    fn models<const N: usize>(names: [&str; N]) -> [ModelRef; N] {
        names.map(|name| name.parse().unwrap())
    }

    fn begins(model: &ModelRef) -> Event {
        Event::ReplyAttemptStarted {
            reply: MessageId(Uuid::nil()),
            attempt: 1,
            worker: "w".to_owned(),
            lease_ms: 1,
            model: Some(model.clone()),
            alternatives: None,
        }
    }

    fn fails(switch: bool) -> Event {
        let error = ReplyError::new("rate", "");
        let reply = MessageId(Uuid::nil());
        Event::ReplyAttemptFailed { reply, attempt: 1, error, spent: None, switch, retry_after_ms: None }
    }

    fn expires() -> Event {
        Event::ReplyAttemptExpired { reply: MessageId(Uuid::nil()), attempt: 1, spent: None }
    }

    fn tried(events: &[Event]) -> Tried {
        let mut tried = Tried::default();
        for event in events {
            tried.hear(event);
        }
        tried
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "")
    }

    #[test]
    fn the_log_says_which_model_is_next() {
        let [a, b] = &models(["a/x", "b/y"]);
        let route = [a.clone(), b.clone()];
        let chosen = |events: &[Event]| tried(events).choose(&route).cloned().unwrap();
        assert_eq!(chosen(&[]), *a);
        assert_eq!(chosen(&[begins(a), fails(false)]), *a);
        assert_eq!(chosen(&[begins(a), expires()]), *a, "a lost worker says nothing about the model");
        assert_eq!(chosen(&[begins(a), fails(true)]), *b);
        assert_eq!(chosen(&[begins(a), fails(true), begins(b), fails(false)]), *b);
        assert_eq!(chosen(&[begins(a), fails(true), begins(b), expires()]), *b);
        // The process that goes on may have other settings.
        assert_eq!(tried(&[begins(a), fails(false)]).choose(&route[1..]), Some(b));
        assert_eq!(tried(&[begins(a), fails(true), begins(b), fails(true)]).choose(&route), Some(b));
        assert_eq!(tried(&[]).choose(&[]), None);
    }

    #[test]
    fn what_was_heard_live_decides_as_what_is_read() {
        let [a, b] = models(["a/x", "b/y"]);
        let live = Tried::default().and_failed(Some(a.clone()), true);
        assert_eq!(live, tried(&[begins(&a), fails(true)]));
        assert_eq!(live.choose(&[a, b.clone()]), Some(&b));
    }

    #[test]
    fn an_error_says_what_follows() {
        let [a, b] = models(["a/x", "b/y"]);
        let (route, alone) = ([a.clone(), b.clone()], [a.clone()]);
        let once = tried(&[begins(&a), fails(false)]);
        let twice = tried(&[begins(&a), fails(false), begins(&a), fails(false)]);
        let switched = tried(&[begins(&a), fails(true)]);
        for (kind, first, second, last, unrouted) in [
            (ErrorKind::Rate, Next::Retry, Next::Switch, Next::Retry, Next::Retry),
            (ErrorKind::Overload, Next::Retry, Next::Switch, Next::Retry, Next::Retry),
            (ErrorKind::Network, Next::Retry, Next::Switch, Next::Retry, Next::Retry),
            (ErrorKind::Timeout(Deadline::FirstToken), Next::Retry, Next::Switch, Next::Retry, Next::Retry),
            (ErrorKind::Interrupted, Next::Retry, Next::Switch, Next::Retry, Next::Retry),
            (ErrorKind::Auth, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::Quota, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::UnknownModel, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::Protocol, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::Invalid, Next::GiveUp, Next::GiveUp, Next::GiveUp, Next::GiveUp),
            (ErrorKind::ContentFilter, Next::GiveUp, Next::GiveUp, Next::GiveUp, Next::GiveUp),
            (ErrorKind::ContextTooLong, Next::GiveUp, Next::GiveUp, Next::GiveUp, Next::GiveUp),
        ] {
            let error = error(kind);
            assert_eq!(Tried::default().next(&a, &error, &route), first, "{kind:?}, the first");
            assert_eq!(once.next(&a, &error, &route), second, "{kind:?}, the second");
            assert_eq!(switched.next(&b, &error, &route), last, "{kind:?} of the last model");
            assert_eq!(once.next(&a, &error, &alone), unrouted, "{kind:?} without a route");
            assert_eq!(twice.next(&a, &error, &alone), Next::GiveUp, "{kind:?}, the last attempt");
        }
    }

    #[test]
    fn a_route_does_not_wait_long() {
        let [a, b] = models(["a/x", "b/y"]);
        let error = Error { retry_after: Some(Duration::from_secs(30)), ..error(ErrorKind::Rate) };
        assert_eq!(Tried::default().next(&a, &error, &[a.clone(), b]), Next::Switch);
        assert_eq!(Tried::default().next(&a, &error, std::slice::from_ref(&a)), Next::Retry);
    }
}
