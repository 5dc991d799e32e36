//! Which model an attempt asks, whether it goes on where the one before it broke off, and what follows when it fails. All is
//! decided from the log: any process that goes on with a reply decides the same, whoever was at it before. Circuit breakers
//! only say which of the models that were not asked yet come last.

use std::time::Duration;

use domain::ModelRef;
use domain::conversation::{Event, MAX_ATTEMPTS, MAX_RETRY_AFTER_MS};

use super::continuation;
use crate::provider::{Error, ErrorKind, Remedy, known};

/// How many failures that may pass a model of a route has before the next one is asked.
const FAILURES_BEFORE_SWITCH: usize = 2;
/// The longest wait that a provider may ask for while a route has others to ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait that a reply takes upon itself: whether to ask again after a longer one is for a person to say.
const MAX_WAIT: Duration = Duration::from_millis(MAX_RETRY_AFTER_MS);

/// What the log says of the attempts at a reply so far, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried(Vec<Try>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Try {
    model: Option<ModelRef>,
    failed: bool,
    /// It said that the next one shall ask another model.
    switch: bool,
    /// It left what the next one can go on from.
    kept: bool,
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
                self.0.push(Try { model: model.clone(), failed: false, switch: false, kept: false });
            }
            Event::ReplyAttemptFailed { switch, parts, .. } => {
                if let Some(last) = self.0.last_mut() {
                    (last.failed, last.switch, last.kept) = (true, *switch, continuation::text(parts).is_some());
                }
            }
            // A lost worker says nothing about the model.
            Event::ReplyAttemptExpired { parts, .. } => {
                if let Some(last) = self.0.last_mut() {
                    last.kept = continuation::text(parts).is_some();
                }
            }
            _ => {}
        }
    }

    /// The attempt after these has begun, asks this, and has failed; the one after it begins anew.
    pub(super) fn and_failed(mut self, model: Option<ModelRef>, switch: bool) -> Self {
        self.0.push(Try { model, failed: true, switch, kept: false });
        self
    }

    /// Whether the attempt after these, which asks `model`, goes on from what the last of them had said.
    pub(super) fn continues(&self, model: &ModelRef) -> bool {
        let last = self.0.last();
        last.is_some_and(|last| last.kept && last.model.as_ref() == Some(model)) && known::prefills(model)
    }

    /// The model that the next attempt asks, another one than those that are `resting` if there is one; none when there is
    /// none to ask.
    pub(super) fn choose<'a>(&self, alternatives: &'a [ModelRef], resting: &[ModelRef]) -> Option<&'a ModelRef> {
        let same = self.0.last().filter(|last| !last.switch).and_then(|last| last.model.as_ref());
        let same = alternatives.iter().find(|model| Some(*model) == same);
        // The last one stays when all have been asked, which only other settings than before can bring about.
        same.or_else(|| self.untried(alternatives).find(|model| !resting.contains(model)))
            .or_else(|| self.untried(alternatives).next())
            .or(alternatives.last())
    }

    /// What follows when the attempt after these, which asked `model`, has failed.
    pub(super) fn next(&self, model: &ModelRef, error: &Error, alternatives: &[ModelRef]) -> Next {
        if error.kind == ErrorKind::Invalid && self.continues(model) {
            // Whatever it is that the provider does not take, it may be the answer's beginning: the next one is asked without.
            return Next::Retry;
        }
        let others = self.untried(alternatives).any(|other| other != model);
        let before = self.0.iter().filter(|tried| tried.failed && tried.model.as_ref() == Some(model)).count();
        let failures = before + 1;
        let is_longer = |most| error.retry_after.is_some_and(|wait| wait > most);
        match (error.kind.remedy(), others) {
            (Remedy::GiveUp, _) | (Remedy::Switch | Remedy::Compact, false) => Next::GiveUp,
            (Remedy::Switch | Remedy::Compact, true) => Next::Switch,
            (Remedy::Retry, true) if is_longer(PATIENCE) || failures >= FAILURES_BEFORE_SWITCH => Next::Switch,
            (Remedy::Retry, false) if is_longer(MAX_WAIT) || failures >= MAX_ATTEMPTS as usize => Next::GiveUp,
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
    use domain::conversation::{Part, ReplyError};
    use uuid::Uuid;

    use super::*;
    use crate::provider::Deadline;

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
            continues: false,
        }
    }

    fn said(text: &str) -> Vec<Part> {
        if text.is_empty() { Vec::new() } else { vec![Part::Text { text: text.to_owned() }] }
    }

    fn fails(switch: bool) -> Event {
        fails_and_keeps(switch, "")
    }

    fn fails_and_keeps(switch: bool, text: &str) -> Event {
        let error = ReplyError::new("rate", "");
        let (reply, parts) = (MessageId(Uuid::nil()), said(text));
        Event::ReplyAttemptFailed { reply, attempt: 1, error, spent: None, switch, retry_after_ms: None, parts }
    }

    fn expires() -> Event {
        expires_and_keeps("")
    }

    fn expires_and_keeps(text: &str) -> Event {
        Event::ReplyAttemptExpired { reply: MessageId(Uuid::nil()), attempt: 1, spent: None, parts: said(text) }
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
        let chosen = |events: &[Event]| tried(events).choose(&route, &[]).cloned().unwrap();
        assert_eq!(chosen(&[]), *a);
        assert_eq!(chosen(&[begins(a), fails(false)]), *a);
        assert_eq!(chosen(&[begins(a), expires()]), *a, "a lost worker says nothing about the model");
        assert_eq!(chosen(&[begins(a), fails(true)]), *b);
        assert_eq!(chosen(&[begins(a), fails(true), begins(b), fails(false)]), *b);
        assert_eq!(chosen(&[begins(a), fails(true), begins(b), expires()]), *b);
        // The process that goes on may have other settings.
        assert_eq!(tried(&[begins(a), fails(false)]).choose(&route[1..], &[]), Some(b));
        assert_eq!(tried(&[begins(a), fails(true), begins(b), fails(true)]).choose(&route, &[]), Some(b));
        assert_eq!(tried(&[]).choose(&[], &[]), None);
    }

    #[test]
    fn a_model_that_is_left_alone_comes_last() {
        let [a, b, c] = &models(["a/x", "b/y", "c/z"]);
        let route = [a.clone(), b.clone(), c.clone()];
        let chosen = |events: &[Event], resting: &[&ModelRef]| {
            let resting: Vec<ModelRef> = resting.iter().copied().cloned().collect();
            tried(events).choose(&route, &resting).cloned().unwrap()
        };
        assert_eq!(chosen(&[], &[a]), *b);
        assert_eq!(chosen(&[], &[a, b]), *c);
        assert_eq!(chosen(&[], &[a, b, c]), *a, "one of them must be asked");
        assert_eq!(chosen(&[begins(b), fails(true)], &[a]), *c);
        assert_eq!(chosen(&[begins(b), fails(true)], &[]), *a);
        assert_eq!(chosen(&[begins(b), fails(true)], &[a, c]), *a);
        // The log has said which one it is.
        assert_eq!(chosen(&[begins(a), fails(false)], &[a]), *a);
        assert_eq!(chosen(&[begins(a), expires()], &[a]), *a);
    }

    #[test]
    fn what_was_heard_live_decides_as_what_is_read() {
        let [a, b] = models(["a/x", "b/y"]);
        let live = Tried::default().and_failed(Some(a.clone()), true);
        assert_eq!(live, tried(&[begins(&a), fails(true)]));
        assert_eq!(live.choose(&[a, b.clone()], &[]), Some(&b));
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
            (ErrorKind::Invalid, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::ContextTooLong, Next::Switch, Next::Switch, Next::GiveUp, Next::GiveUp),
            (ErrorKind::ContentFilter, Next::GiveUp, Next::GiveUp, Next::GiveUp, Next::GiveUp),
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
    fn an_attempt_goes_on_where_the_same_model_broke_off() {
        let [able, other, unable] =
            models(["mistral/mistral-large-4", "mistral/devstral-latest", "mistral/nobody-knows-it"]);
        for ended in [fails_and_keeps(false, "one"), expires_and_keeps("one")] {
            assert!(tried(&[begins(&able), ended.clone()]).continues(&able));
            assert!(!tried(&[begins(&able), ended.clone()]).continues(&other));
            assert!(!tried(&[begins(&unable), ended.clone()]).continues(&unable));
            // What an older attempt had said is of no use any more.
            assert!(!tried(&[begins(&able), ended.clone(), begins(&able), fails(false)]).continues(&able));
            assert!(!tried(&[begins(&able), ended, begins(&able), expires()]).continues(&able));
        }
        for anew in [fails(false), fails_and_keeps(false, " \n"), expires()] {
            assert!(!tried(&[begins(&able), anew]).continues(&able));
        }
        assert!(!Tried::default().continues(&able));
        // Nothing is kept for another model.
        assert!(!Tried::default().and_failed(Some(able.clone()), true).continues(&able));
    }

    #[test]
    fn a_provider_that_does_not_go_on_is_asked_anew() {
        let [able, other] = models(["mistral/mistral-large-4", "b/y"]);
        let broke_off = tried(&[begins(&able), fails_and_keeps(false, "one")]);
        let refused = tried(&[begins(&able), fails_and_keeps(false, "one"), begins(&able), fails(false)]);
        let late = tried(&[begins(&able), fails(false), begins(&able), expires_and_keeps("one")]);
        for alternatives in [vec![able.clone()], vec![able.clone(), other]] {
            let next = |tried: &Tried, kind| tried.next(&able, &error(kind), &alternatives);
            assert_eq!(next(&broke_off, ErrorKind::Invalid), Next::Retry);
            assert_eq!(next(&late, ErrorKind::Invalid), Next::Retry);
            let after = if alternatives.len() > 1 { Next::Switch } else { Next::GiveUp };
            assert_eq!(next(&refused, ErrorKind::Invalid), after, "once");
            assert_eq!(next(&broke_off, ErrorKind::ContentFilter), Next::GiveUp);
        }
    }

    #[test]
    fn a_route_does_not_wait_long() {
        let [a, b] = models(["a/x", "b/y"]);
        let error = Error { retry_after: Some(Duration::from_secs(30)), ..error(ErrorKind::Rate) };
        assert_eq!(Tried::default().next(&a, &error, &[a.clone(), b]), Next::Switch);
        assert_eq!(Tried::default().next(&a, &error, std::slice::from_ref(&a)), Next::Retry);
    }

    #[test]
    fn nothing_waits_for_longer_than_a_reply_does() {
        let [a] = models(["a/x"]);
        let asks = |wait| Error { retry_after: Some(wait), ..error(ErrorKind::Rate) };
        let next = |wait| Tried::default().next(&a, &asks(wait), std::slice::from_ref(&a));
        assert_eq!(next(MAX_WAIT), Next::Retry);
        assert_eq!(next(MAX_WAIT + Duration::from_secs(1)), Next::GiveUp);
    }
}
