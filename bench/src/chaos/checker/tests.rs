//! One bad history for each way in which a promise can be broken: the checker accepts the good one and rejects each of these,
//! by the promise that is broken.

use serde_json::{Value, json};
use uuid::Uuid;

use super::good::{CONVERSATION, delta, good, parts, row, sent, subscribed};
use super::{Rule, check};
use crate::chaos::history::{Answer, History, Outage, ROLLING_RESTART, Sent, Told, Verdict, Views};

/// What a changed history is rejected for.
fn rejected(change: impl FnOnce(&mut History)) -> Vec<Rule> {
    let mut history = good();
    change(&mut history);
    check(&history).into_iter().map(|finding| finding.rule).collect()
}

/// The change is found, as a broken promise of this kind.
#[track_caller]
pub(super) fn breaks(rule: Rule, change: impl FnOnce(&mut History)) {
    let found = rejected(change);
    assert!(found.contains(&rule), "{rule:?} is not among {found:?}");
}

fn anns(history: &mut History) -> &mut Vec<Sent> {
    &mut history.ledgers[0].commands
}

fn bob_is_told(history: &mut History) -> &mut Vec<Told> {
    history.ledgers[1].told.get_mut(CONVERSATION).unwrap()
}

/// Rewrites an event everywhere, so that only what it means is wrong.
pub(super) fn rewrite(history: &mut History, pos: u64, event: &Value) {
    let at = usize::try_from(pos).unwrap() - 1;
    history.log[at].event = event.clone();
    for told in history.ledgers.iter_mut().flat_map(|ledger| ledger.told.values_mut()).flatten() {
        if let Told::Event { sequence, event: told, .. } = told
            && *sequence == pos
        {
            *told = event.clone();
        }
    }
}

#[test]
fn a_good_history_is_accepted() {
    let findings = check(&good());
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn what_was_acknowledged_must_be_in_the_log() {
    use Rule::AckedIsRecorded as Acked;
    breaks(Acked, |history| anns(history).push(sent(9, "SubmitMessage", 100, 12)));
    breaks(Acked, |history| anns(history)[2] = sent(3, "SubmitMessage", 40, 5));
    breaks(Acked, |history| {
        anns(history)[2].answers[0].verdict = Verdict::Acked { sequence: 4, position: "0:5".to_owned() };
    });
    // Nothing had to be done, it said; but the reply ran.
    breaks(Acked, |history| {
        let mut stop = sent(9, "StopReply", 100, 10);
        stop.command = json!({ "type": "StopReply", "reply": "s" });
        anns(history).push(stop);
    });
    // The stop of a reply that has ended is rightly acknowledged for nothing.
    let found = rejected(|history| {
        let mut stop = sent(9, "StopReply", 100, 12);
        stop.command = json!({ "type": "StopReply", "reply": "s" });
        anns(history).push(stop);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_command_must_happen_once() {
    use Rule::CommandHappensOnce as Once;
    // The same command, appended twice.
    breaks(Once, |history| {
        let again = row(13, 5, "user:ann", json!({ "type": "ConversationRenamed", "title": "again" }));
        history.log.push(again);
    });
    // The same words under another id.
    breaks(Once, |history| {
        let words = history.log[2].event.clone();
        history.log.push(row(13, 5, "user:ann", words));
    });
    // Something that nobody asked for.
    breaks(Once, |history| {
        history.log.push(row(13, 99, "user:ann", json!({ "type": "ConversationRenamed", "title": "mine" })));
    });
    // A first event without its command's id.
    breaks(Once, |history| history.log[8].command_id = None);
}

#[test]
fn what_has_happened_must_not_be_refused() {
    let refused = |at| Answer { at, verdict: Verdict::Refused { code: "archived".to_owned(), retryable: false } };
    breaks(Rule::HappenedIsNotRefused, |history| anns(history)[4].answers.push(refused(60_000)));
    // By an owner that could not know yet.
    let found = rejected(|history| anns(history)[4].answers.insert(0, refused(100)));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_command_must_be_answered_and_soon_while_nothing_is_broken() {
    breaks(Rule::Answered, |history| anns(history)[4].answers.clear());
    let unavailable = Verdict::Refused { code: "unavailable".to_owned(), retryable: true };
    breaks(Rule::Answered, |history| anns(history)[4].answers[0].verdict = unavailable);
    breaks(Rule::Answered, |history| anns(history)[4].answers[0].at = 60_000);
    let outage = |from, until| Outage { what: "kill -9: worker 0".to_owned(), from, until };
    // An outage in between does not excuse all of it.
    breaks(Rule::Answered, |history| {
        anns(history)[4].answers[0].at = 60_000;
        history.outages = vec![outage(100, 2_000)];
    });
    let found = rejected(|history| {
        anns(history)[4].answers[0].at = 60_000;
        history.outages = vec![outage(100, 50_000)];
    });
    assert!(found.is_empty(), "{found:?}");
    // On a machine that is busy with other things waits say little, and nothing in the end; no answer at all says the same.
    for (stretch, holds) in [(1.0, false), (2.0, false), (4.0, true)] {
        let found = rejected(|history| {
            anns(history)[4].answers[0].at = 20_000;
            history.stretches = vec![(100, stretch), (300_000, 1_000.0)];
        });
        assert_eq!(found.is_empty(), holds, "{found:?}");
    }
    breaks(Rule::Answered, |history| {
        anns(history)[4].answers.clear();
        history.stretches = vec![(100, 1_000.0)];
    });
}

#[test]
fn a_rolling_restart_must_not_be_felt() {
    breaks(Rule::RestartUnnoticed, |history| {
        anns(history)[4].answers[0].at = 5_000;
        history.outages = vec![Outage { what: ROLLING_RESTART.to_owned(), from: 50, until: 20_000 }];
    });
}

#[test]
fn positions_must_have_no_gap() {
    breaks(Rule::PositionsWithoutGap, |history| history.log[11].pos = 13);
    breaks(Rule::PositionsWithoutGap, |history| history.heads[0] = 13);
    breaks(Rule::PositionsWithoutGap, |history| {
        history.log.pop();
    });
    breaks(Rule::PositionsWithoutGap, |history| history.log[3].shard = 7);
}

#[test]
fn sequences_must_have_no_gap() {
    breaks(Rule::SequencesWithoutGap, |history| history.log[11].sequence = 13);
    breaks(Rule::SequencesWithoutGap, |history| history.log.swap(4, 5));
}

#[test]
fn a_stream_must_be_its_shards_log() {
    use Rule::StreamIsLog as Bus;
    breaks(Bus, |history| history.streams[0].last = Some(11));
    breaks(Bus, |history| history.streams[0].last = Some(13));
    breaks(Bus, |history| history.streams.clear());
    breaks(Bus, |history| history.streams[0].messages[4].1 = Uuid::from_u128(5));
    breaks(Bus, |history| history.streams[0].messages[4].2 = 4);
    breaks(Bus, |history| {
        history.streams[0].messages.remove(4);
    });
}

#[test]
fn only_the_current_attempt_may_count() {
    let completed = |attempt: u64| json!({ "type": "ReplyCompleted", "reply": "r", "attempt": attempt, "parts": parts("two words") });
    // The frozen worker's.
    breaks(Rule::Fence, |history| rewrite(history, 8, &completed(1)));
    // Of an attempt that has expired, before another began.
    breaks(Rule::Fence, |history| rewrite(history, 7, &completed(1)));
    // Two at once.
    let second = json!({ "type": "ReplyAttemptStarted", "reply": "r", "attempt": 2 });
    breaks(Rule::Fence, |history| rewrite(history, 6, &second));
    // The failure of an attempt that had expired by another command.
    let failed = json!({ "type": "ReplyFailed", "reply": "r", "attempt": 1, "parts": [] });
    breaks(Rule::Fence, |history| rewrite(history, 7, &failed));
    // Of a reply that nobody asked for.
    let stray = json!({ "type": "ReplyStopRequested", "reply": "x" });
    breaks(Rule::Fence, |history| rewrite(history, 11, &stray));
}

#[test]
fn every_reply_must_end_once() {
    breaks(Rule::EveryReplyEnds, |history| {
        history.log.pop();
    });
    let again = json!({ "type": "ReplyCompleted", "reply": "r", "attempt": 2, "parts": parts("two words") });
    breaks(Rule::EveryReplyEnds, |history| rewrite(history, 12, &again));
}

#[test]
fn a_stop_must_win() {
    let completed = json!({ "type": "ReplyCompleted", "reply": "s", "attempt": 1, "parts": parts("three four") });
    breaks(Rule::StopWins, |history| rewrite(history, 12, &completed));
    let expired = json!({ "type": "ReplyAttemptExpired", "reply": "s", "attempt": 1 });
    breaks(Rule::StopWins, |history| rewrite(history, 12, &expired));
}

#[test]
fn the_text_of_a_reply_must_be_one_answer() {
    let completed = |text: &str| json!({ "type": "ReplyCompleted", "reply": "r", "attempt": 2, "parts": parts(text) });
    breaks(Rule::TextIsOneAnswer, |history| rewrite(history, 8, &completed("two wordstwo words")));
    breaks(Rule::TextIsOneAnswer, |history| rewrite(history, 8, &completed("two ")));
    // That of an answer that broke off.
    breaks(Rule::TextIsOneAnswer, |history| rewrite(history, 8, &completed("lost and more")));
    let stopped =
        json!({ "type": "ReplyStopped", "reply": "s", "attempt": 1, "parts": parts("words that no one said") });
    breaks(Rule::TextIsOneAnswer, |history| rewrite(history, 12, &stopped));
}

#[test]
fn the_provider_must_be_asked_once_an_attempt() {
    breaks(Rule::OneCallAnAttempt, |history| {
        let again = history.calls[1].clone();
        history.calls.push(again);
    });
}

#[test]
fn events_must_come_once_and_in_order() {
    use Rule::EventsOnceInOrder as Order;
    let nth = |told: &[Told], wanted: u64| {
        told.iter().position(|told| matches!(told, Told::Event { sequence, .. } if *sequence == wanted)).unwrap()
    };
    breaks(Order, |history| {
        let at = nth(bob_is_told(history), 6);
        bob_is_told(history).remove(at);
    });
    breaks(Order, |history| {
        let at = nth(bob_is_told(history), 6);
        let doubled = bob_is_told(history)[at].clone();
        bob_is_told(history).insert(at, doubled);
    });
    breaks(Order, |history| {
        let at = nth(bob_is_told(history), 9);
        bob_is_told(history).swap(at, at + 1);
    });
    // The end was never told.
    breaks(Order, |history| {
        bob_is_told(history).pop();
    });
    // Taken up at another place than it was left at.
    breaks(Order, |history| {
        let at = bob_is_told(history)
            .iter()
            .position(|told| matches!(told, Told::Subscribed { connection: 2, .. }))
            .unwrap();
        bob_is_told(history)[at] = subscribed(2, 8);
    });
    breaks(Order, |history| bob_is_told(history)[1] = Told::Live { sequence: 3 });
    // At another position.
    breaks(Order, |history| {
        let at = nth(bob_is_told(history), 9);
        if let Told::Event { position, .. } = &mut bob_is_told(history)[at] {
            *position = "0:8".to_owned();
        }
    });
}

#[test]
fn a_snapshot_must_hold_what_had_begun() {
    let snapshot = |messages: Value| Told::Subscribed {
        connection: 3,
        after: None,
        sequence: 12,
        snapshot: Some(json!({ "messages": messages, "more": false })),
    };
    let (m, r, s) =
        (json!({ "id": "m", "sequence": 3 }), json!({ "id": "r", "sequence": 4 }), json!({ "id": "s", "sequence": 9 }));
    let found = rejected(|history| bob_is_told(history).push(snapshot(json!([m, r, s]))));
    assert!(found.is_empty(), "{found:?}");
    breaks(Rule::EventsOnceInOrder, |history| bob_is_told(history).push(snapshot(json!([m, s]))));
    let other = json!({ "id": "other", "sequence": 4 });
    breaks(Rule::EventsOnceInOrder, |history| bob_is_told(history).push(snapshot(json!([m, other, s]))));
}

#[test]
fn text_must_come_without_a_hole() {
    use Rule::TextWithoutHole as Hole;
    let nth = |told: &[Told], text: &str| {
        told.iter().position(|told| matches!(told, Told::Delta { text: piece, .. } if piece == text)).unwrap()
    };
    let put = |piece: Told, instead_of: &'static str| {
        move |history: &mut History| {
            let at = nth(bob_is_told(history), instead_of);
            bob_is_told(history)[at] = piece;
        }
    };
    breaks(Hole, put(delta("r", 2, 8, "s"), "ds"));
    // Doubled within a subscription.
    breaks(Hole, put(delta("r", 2, 4, "words"), "ds"));
    // Other words than in the end.
    breaks(Hole, put(delta("r", 2, 4, "wir"), "wor"));
    // Other words than before.
    breaks(Hole, put(delta("r", 2, 0, "too wor"), "wor"));
    // Of an attempt that no event told of, and of one that is over.
    breaks(Hole, put(delta("r", 3, 0, "two wor"), "wor"));
    breaks(Hole, put(delta("r", 1, 4, "wor"), "wor"));
}

#[test]
fn clients_must_agree() {
    breaks(Rule::ClientsAgree, |history| {
        let renamed = json!({ "type": "ConversationRenamed", "title": "other" });
        if let Some(Told::Event { event, .. }) = bob_is_told(history).last_mut() {
            *event = renamed;
        }
    });
}

#[test]
fn a_view_must_be_the_fold_of_the_log() {
    use Rule::ViewIsFold as Fold;
    let both = |change: fn(&mut Views)| {
        move |history: &mut History| {
            change(&mut history.views);
            change(&mut history.rebuilt);
        }
    };
    breaks(Fold, |history| history.views.messages[1]["usage"] = json!("what a rebuild does not say"));
    breaks(Fold, |history| {
        history.rebuilt.members.pop();
    });
    breaks(Fold, both(|views| views.messages[1]["status"] = json!("running")));
    breaks(Fold, both(|views| views.messages[1]["parts"] = parts("two")));
    breaks(Fold, both(|views| views.messages.truncate(2)));
    breaks(Fold, both(|views| views.conversations[0]["sequence"] = json!(11)));
    breaks(Fold, both(|views| views.conversations[0]["participants"] = json!(["ann"])));
    breaks(Fold, both(|views| views.members.truncate(1)));
}

#[test]
fn a_view_must_show_the_branch_that_was_selected() {
    let select = |shown: &'static str| {
        move |history: &mut History| {
            let selected = json!({ "type": "BranchSelected", "leaf": "r" });
            history.log.push(row(13, 6, "user:ann", selected));
            for views in [&mut history.views, &mut history.rebuilt] {
                views.conversations[0]["active_leaf"] = json!(shown);
                views.conversations[0]["sequence"] = json!(13);
            }
        }
    };
    assert!(!rejected(select("r")).contains(&Rule::ViewIsFold));
    breaks(Rule::ViewIsFold, select("s"));
}

#[test]
fn nobody_must_see_what_is_not_theirs() {
    breaks(Rule::Private, |history| history.ledgers[1].user = "eve".to_owned());
    breaks(Rule::Private, |history| {
        history.ledgers[1].listed.insert("another".to_owned());
    });
    for code in [None, Some("not_owner"), Some("already_started")] {
        breaks(Rule::Private, |history| history.probes[0].code = code.map(ToOwned::to_owned));
    }
}

#[test]
fn what_was_seen_to_go_wrong_must_be_told() {
    breaks(Rule::NothingParked, |history| history.dead_letters.push("transcript 0:3".to_owned()));
    breaks(Rule::ProcessesStay, |history| history.crashes.push("worker 0 ended by itself".to_owned()));
    breaks(Rule::Settles, |history| history.unsettled.push("1 replies have not ended".to_owned()));
}
