//! What holds in every history.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::super::{Command, Conversation, Error, Event, MAX_ATTEMPTS, Parent};
use super::given::*;
use super::steps::{Ledger, Run, steps};
use crate::{Decide, MessageId};

fn folded(log: &[Event]) -> Conversation {
    let mut state = Conversation::default();
    for event in log {
        state.apply(event.clone());
    }
    state
}

/// The reply that an event ends, and the attempt that it names.
fn end(event: &Event) -> Option<(MessageId, u32)> {
    match event {
        Event::ReplyCompleted { reply, attempt, .. }
        | Event::ReplyStopped { reply, attempt, .. }
        | Event::ReplyFailed { reply, attempt, .. } => Some((*reply, *attempt)),
        _ => None,
    }
}

/// The reply that an event is about.
fn about(event: &Event) -> Option<MessageId> {
    match event {
        Event::ReplyAttemptStarted { reply, .. }
        | Event::ReplyAttemptFailed { reply, .. }
        | Event::ReplyAttemptExpired { reply, .. }
        | Event::ReplyStopRequested { reply } => Some(*reply),
        _ => end(event).map(|(reply, _)| reply),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_state_is_the_fold_of_the_log_and_survives_a_snapshot(steps in steps()) {
        let mut run = Run::begun();
        for step in &steps {
            run.step(step).ok();
            let snapshot = serde_json::to_string(&run.state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Conversation>(&snapshot).unwrap(), &run.state);
        }
        prop_assert_eq!(folded(&run.log), run.state);
    }

    #[test]
    fn a_reply_ends_at_most_once_and_nothing_follows(steps in steps()) {
        let run = Run::of(&steps);
        let mut ended = BTreeSet::new();
        for event in &run.log {
            if let Some(reply) = about(event) {
                prop_assert!(!ended.contains(&reply), "{} after its end", event.name());
            }
            ended.extend(end(event).map(|(reply, _)| reply));
        }
    }

    #[test]
    fn attempts_count_up_one_at_a_time_and_only_the_current_one_has_results(steps in steps()) {
        let run = Run::of(&steps);
        let mut current = BTreeMap::new();
        let mut running = BTreeSet::new();
        for event in &run.log {
            match event {
                Event::ReplyAttemptStarted { reply, attempt, .. } => {
                    prop_assert_eq!(*attempt, current.get(reply).copied().unwrap_or(0) + 1);
                    prop_assert!(*attempt <= MAX_ATTEMPTS);
                    prop_assert!(running.insert(*reply), "two attempts at once");
                    current.insert(*reply, *attempt);
                }
                Event::ReplyAttemptFailed { reply, attempt, .. } | Event::ReplyAttemptExpired { reply, attempt, .. } => {
                    prop_assert_eq!(Some(attempt), current.get(reply));
                    prop_assert!(running.remove(reply));
                }
                Event::ReplyCompleted { reply, .. } => prop_assert!(running.contains(reply)),
                _ => {}
            }
            if let Some((reply, attempt)) = end(event) {
                prop_assert_eq!(attempt, current.get(&reply).copied().unwrap_or(0));
            }
        }
    }

    #[test]
    fn after_a_stop_a_reply_ends_as_stopped_or_not_yet(steps in steps()) {
        let run = Run::of(&steps);
        let mut stopping = BTreeSet::new();
        for event in &run.log {
            match event {
                Event::ReplyStopRequested { reply } => prop_assert!(stopping.insert(*reply), "asked twice"),
                Event::ReplyStopped { reply, .. } => { stopping.remove(reply); }
                _ => prop_assert!(about(event).is_none_or(|reply| !stopping.contains(&reply)), "{}", event.name()),
            }
        }
    }

    #[test]
    fn never_do_two_replies_run_on_one_branch(steps in steps()) {
        let mut ledger = Ledger::default();
        for event in Run::of(&steps).log {
            ledger.note(&event);
            let open: BTreeSet<_> = ledger.open_replies().into_iter().map(|(reply, _)| reply).collect();
            for reply in &open {
                let above = ledger.path_from(*reply).skip(1).find(|message| open.contains(message));
                prop_assert_eq!(above, None, "{} runs below it", reply);
            }
        }
    }

    #[test]
    fn every_reply_ends_if_its_workers_are_lost_again_and_again(steps in steps()) {
        let mut run = Run::of(&steps);
        for (reply, _) in run.ledger.open_replies() {
            let mut asked = 0;
            while let Some((_, known)) = run.ledger.open_replies().into_iter().find(|(open, _)| *open == reply) {
                let next = if known.running { expire(reply, known.attempt) } else { claim(reply, known.attempt + 1) };
                prop_assert!(run.ask(&worker(next)).is_ok());
                asked += 1;
                prop_assert!(asked <= 2 * MAX_ATTEMPTS, "{reply} does not end");
            }
        }
    }

    #[test]
    fn every_reply_can_be_stopped_at_any_moment(steps in steps()) {
        let mut run = Run::of(&steps);
        for (reply, known) in run.ledger.open_replies() {
            // Of a deleted conversation's what runs is stopping already, and nobody may ask.
            prop_assert_eq!(run.ask(&ann(stop(reply))).is_ok(), !run.ledger.deleted);
            if known.running {
                prop_assert!(run.ask(&worker(complete(reply, known.attempt))).is_ok());
            }
            let is_stopped = matches!(run.log.last(), Some(Event::ReplyStopped { reply: last, .. }) if *last == reply);
            prop_assert!(is_stopped);
        }
    }

    #[test]
    fn who_does_not_take_part_sees_nothing(steps in steps()) {
        let run = Run::of(&steps);
        let message = run.ledger.parents.keys().next().copied().unwrap_or(NOWHERE);
        let reply = run.ledger.replies.keys().next().copied().unwrap_or(NOWHERE);
        let fresh = message_id(100_000);
        let probes = [
            start(), rename("Plans"), submit(fresh, Parent::ActiveLeaf, None), edit(message, fresh, None),
            regenerate(reply, fresh), select(message), stop(reply), add("eve"), remove("eve"),
            Command::ArchiveConversation {}, Command::UnarchiveConversation {}, Command::DeleteConversation {},
        ];
        for who in ["ann", "ben", "cem", "eve"] {
            let takes_part = run.ledger.participants.contains(&user(who)) && !run.ledger.deleted;
            for probe in &probes {
                let asked = person(who, "acme", probe.clone());
                let answer = run.state.decide(&asked);
                prop_assert_eq!(answer == Err(Error::Unknown), !takes_part, "{} asked {:?}", who, probe);
                let namesake = person(who, "umbrella", probe.clone());
                prop_assert_eq!(run.state.decide(&namesake), Err(Error::Unknown));
            }
        }
    }

    #[test]
    fn the_active_leaf_is_the_end_of_a_branch(steps in steps()) {
        let mut run = Run::begun();
        for step in &steps {
            run.step(step).ok();
            prop_assert_eq!(run.state.active_leaf.is_some(), !run.ledger.parents.is_empty());
            if let Some(leaf) = run.state.active_leaf {
                prop_assert!(run.ledger.parents.contains_key(&leaf));
                prop_assert!(run.ledger.parents.values().all(|parent| *parent != Some(leaf)), "it has a child");
            }
        }
    }
}

/// The properties above say nothing unless the histories go somewhere.
#[test]
fn the_histories_reach_every_event() {
    let mut seen = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..256 {
        let tried = steps().new_tree(&mut runner).unwrap().current();
        for event in Run::of(&tried).log {
            *seen.entry(event.name()).or_insert(0) += 1;
        }
    }
    // A model is configured in no random history: nothing depends on it.
    assert_eq!(seen.len(), 17, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
}
