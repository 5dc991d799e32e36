//! Bad histories of commands.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{anns, at, breaks, keeps};
use crate::chaos::checker::Rule;
use crate::chaos::checker::good::{parts, row, sent};
use crate::chaos::history::{Answer, History, Outage, ROLLING_RESTART, Verdict};

fn refused(at: u64, code: &str, retryable: bool) -> Answer {
    Answer { at, verdict: Verdict::Refused { code: code.to_owned(), retryable } }
}

fn acked(sequence: u64, position: &str) -> Verdict {
    Verdict::Acked { sequence, position: position.to_owned() }
}

#[test]
fn what_was_acknowledged_must_be_in_the_log() {
    use Rule::AckedIsRecorded as Acked;
    breaks(Acked, &["the log has nothing"], |history| {
        anns(history).push(sent(9, json!({ "type": "SubmitMessage" }), 100, 12));
    });
    for (sequence, position) in [(5, "0:4"), (4, "0:5")] {
        breaks(Acked, &["the log has 4 at 0:4"], |history| {
            anns(history)[2].answers[0].verdict = acked(sequence, position);
        });
    }
    breaks(Acked, &["in d was acknowledged as 4 at 0:4"], |history| anns(history)[2].conversation = "d".to_owned());
    let stop_again = |reply: &'static str, sequence, position: &'static str| {
        move |history: &mut History| {
            let mut stop = sent(9, json!({ "type": "StopReply", "reply": reply }), 100, sequence);
            stop.answers[0].verdict = acked(sequence, position);
            anns(history).push(stop);
        }
    };
    // Nothing had to be done, it said; but the reply ran.
    breaks(Acked, &["acknowledged as 10 at 0:10"], stop_again("s", 10, "0:10"));
    // It had ended, and the conversation stood elsewhere by then.
    breaks(Acked, &["acknowledged as 11 at 0:12"], stop_again("r", 11, "0:12"));
    // The stop of a reply that has ended is rightly acknowledged for nothing.
    keeps(stop_again("s", 12, "0:12"));
}

#[test]
fn what_is_recorded_must_be_what_was_asked() {
    let otherwise = |nth: usize, field: &'static str, value: Value| {
        breaks(Rule::RecordedAsAsked, &["ann asked for"], |history| anns(history)[nth].command[field] = value);
    };
    otherwise(0, "title", json!("of another"));
    otherwise(1, "user", json!("eve"));
    otherwise(2, "text", json!("why not?"));
    otherwise(2, "parent", json!("x"));
    otherwise(2, "edit_of", json!("x"));
    otherwise(2, "answer", json!(false));
    otherwise(3, "regenerate_of", json!("s"));
    otherwise(4, "reply", json!("r"));
    // Another event than such a command has.
    otherwise(0, "type", json!("AddParticipant"));
    otherwise(3, "type", json!("RenameConversation"));
    otherwise(4, "type", json!("RegenerateReply"));
    // Somebody else's name is on it.
    let recorded = |words: &str, change: fn(&mut History)| breaks(Rule::RecordedAsAsked, &[words], change);
    recorded("from 0:1 on", |history| at(history, 1).event["owner"] = json!("bob"));
    recorded("from 0:3 on", |history| at(history, 3).event["author"] = json!("bob"));
    recorded("by user:bob", |history| at(history, 4).actor = "user:bob".to_owned());
    // The answer is one to another message.
    recorded("from 0:3 on", |history| at(history, 4).event["parent"] = json!("x"));
    recorded("from 0:13 on", |history| {
        anns(history).push(sent(6, json!({ "type": "RenameConversation", "title": "asked" }), 100, 13));
        history.log.push(row(13, 6, "user:ann", json!({ "type": "ConversationRenamed", "title": "got" })));
    });
}

#[test]
fn the_branch_that_is_shown_must_be_one_of_the_message() {
    let select = |message: &'static str, leaf: &'static str| {
        move |history: &mut History| {
            anns(history).push(sent(6, json!({ "type": "SelectBranch", "message": message }), 100, 13));
            history.log.push(row(13, 6, "user:ann", json!({ "type": "BranchSelected", "leaf": leaf })));
        }
    };
    for leaf in ["r", "s"] {
        breaks(Rule::RecordedAsAsked, &[], select("m", leaf));
        breaks(Rule::RecordedAsAsked, &[], select(leaf, leaf));
    }
    breaks(Rule::RecordedAsAsked, &["from 0:13 on"], select("r", "s"));
    breaks(Rule::RecordedAsAsked, &["from 0:13 on"], select("r", "m"));
    breaks(Rule::RecordedAsAsked, &["from 0:13 on"], select("x", "s"));
}

#[test]
fn what_had_nothing_to_do_may_have_later() {
    let acked = |kind: &'static str, at: u64| {
        move |history: &mut History| {
            let mut select = sent(6, json!({ "type": kind, "message": "r" }), 100, at);
            select.answers.extend(sent(6, json!({}), 200, 13).answers);
            anns(history).push(select);
            history.log.push(row(13, 6, "user:ann", json!({ "type": "BranchSelected", "leaf": "r" })));
        }
    };
    breaks(Rule::AckedIsRecorded, &[], acked("SelectBranch", 12));
    breaks(Rule::AckedIsRecorded, &["was acknowledged as 12 at 0:12"], acked("RenameConversation", 12));
    breaks(Rule::AckedIsRecorded, &["was acknowledged as 14 at 0:14"], acked("SelectBranch", 14));
}

#[test]
fn a_command_must_happen_once() {
    use Rule::CommandHappensOnce as Once;
    // The same command, appended twice.
    breaks(Once, &["has events at 0:11, 0:13"], |history| {
        history.log.push(row(13, 5, "user:ann", json!({ "type": "ReplyStopRequested", "reply": "s" })));
    });
    let apart: [fn(&mut History); 5] = [
        |history| at(history, 4).conversation = "d".to_owned(),
        |history| at(history, 4).pos = 14,
        |history| at(history, 4).sequence = 14,
        // Both say that they are its first event; the first says that it is another's.
        |history| at(history, 4).command_id = at(history, 3).command_id,
        |history| at(history, 3).command_id = Some(Uuid::from_u128(99)),
    ];
    for change in apart {
        breaks(Once, &["has events at 0:3, 0:"], change);
    }
    // A first event without its command's id.
    breaks(Once, &["has events at 0:9"], |history| at(history, 9).command_id = None);
    // The same words, by another command.
    breaks(Once, &[r#""why?" was said at 0:3 and at 0:13"#], |history| {
        let words = at(history, 3).event.clone();
        history.log.push(row(13, 6, "user:ann", words));
        anns(history).push(sent(6, json!({ "type": "SubmitMessage", "text": "why?", "answer": false }), 100, 13));
    });
    // Something that nobody asked for.
    breaks(Once, &["nobody asked for"], |history| {
        history.log.push(row(13, 99, "user:ann", json!({ "type": "ConversationRenamed", "title": "mine" })));
    });
}

#[test]
fn what_has_happened_must_not_be_refused() {
    let refused = |at| refused(at, "reply_in_progress", false);
    breaks(Rule::HappenedIsNotRefused, &["happened at 0:3"], |history| {
        anns(history)[2].answers.push(refused(60_000));
    });
    // By an owner that could not know yet.
    keeps(|history| anns(history)[2].answers.insert(0, refused(45)));
}

#[test]
fn a_refusal_must_be_one_that_can_be() {
    let answered = |nth: usize, code: &'static str, retryable: bool| {
        move |history: &mut History| anns(history)[nth].answers.insert(0, refused(95, code, retryable))
    };
    for (nth, code, retryable) in [
        // It is halted.
        (2, "internal", false),
        (2, "command_id_reused", false),
        (3, "not_found", false),
        (3, "archived", true),
        // Nobody else is in the way of these.
        (0, "reply_in_progress", false),
        (4, "too_many_replies", false),
        (4, "reply_in_progress", true),
    ] {
        breaks(Rule::RefusalIsKnown, &[code], answered(nth, code, retryable));
    }
    for (field, value) in [("answer", json!(false)), ("parent", json!(null))] {
        breaks(Rule::RefusalIsKnown, &["reply_in_progress"], |history| {
            anns(history)[2].command[field] = value;
            answered(2, "reply_in_progress", false)(history);
        });
    }
    keeps(answered(2, "reply_in_progress", false));
    keeps(answered(2, "too_many_replies", false));
    keeps(answered(2, "unavailable", true));
    keeps(answered(4, "too_many_requests", true));
}

#[test]
fn every_command_must_be_answered_and_soon_while_nothing_is_broken() {
    use Rule::Answered;
    breaks(Answered, &["was never answered"], |history| anns(history)[4].answers.clear());
    breaks(Answered, &["was never answered"], |history| {
        anns(history)[4].answers = vec![refused(90, "unavailable", true)];
    });
    let late = |history: &mut History| anns(history)[4].answers[0].at = 60_000;
    breaks(Answered, &["59920 ms of it"], late);
    let outage = |from, until| Outage { what: "kill -9: worker 0".to_owned(), from, until };
    // An outage in between does not excuse all of it.
    breaks(Answered, &["53020 ms of it"], |history| {
        late(history);
        history.outages = vec![outage(100, 2_000)];
    });
    keeps(|history| {
        late(history);
        history.outages = vec![outage(100, 50_000)];
    });
    // On a machine that is busy with other things waits say little, and nothing in the end; no answer at all says the same.
    let busy = |stretch: f64| {
        move |history: &mut History| {
            anns(history)[4].answers[0].at = 20_000;
            history.stretches = vec![(100, stretch), (300_000, 1_000.0)];
        }
    };
    breaks(Answered, &["19920 ms of it"], busy(1.0));
    breaks(Answered, &["19920 ms of it"], busy(2.0));
    keeps(busy(4.0));
    breaks(Answered, &["was never answered"], |history| {
        anns(history)[4].answers.clear();
        history.stretches = vec![(100, 1_000.0)];
    });
}

#[test]
fn a_rolling_restart_must_not_be_felt() {
    breaks(Rule::RestartUnnoticed, &[": 4920 ms from"], |history| {
        anns(history)[4].answers[0].at = 5_000;
        history.outages = vec![Outage { what: ROLLING_RESTART.to_owned(), from: 50, until: 20_000 }];
    });
}

#[test]
fn an_edit_must_be_recorded_as_one() {
    let edit = |edit_of: &'static str| {
        move |history: &mut History| {
            let command = json!({ "type": "EditMessage", "edit_of": edit_of, "text": "how?", "answer": false });
            anns(history).push(sent(6, command, 100, 13));
            let edited = json!({ "type": "MessageSubmitted", "message": "n", "parent": null, "author": "ann",
                                 "parts": parts("how?"), "edit_of": "m" });
            history.log.push(row(13, 6, "user:ann", edited));
        }
    };
    breaks(Rule::RecordedAsAsked, &[], edit("m"));
    breaks(Rule::RecordedAsAsked, &["from 0:13 on"], edit("x"));
}
