//! Bad histories of what clients were told.

use serde_json::{Value, json};

use super::{bob_is_told, breaks, keeps};
use crate::chaos::checker::Rule;
use crate::chaos::checker::good::{delta, parts, subscribed};
use crate::chaos::history::{History, Told};

/// The place of an event among what was told.
fn event(told: &[Told], wanted: u64) -> usize {
    told.iter().position(|told| matches!(told, Told::Event { sequence, .. } if *sequence == wanted)).unwrap()
}

/// The place of Bob's return after the seventh event.
fn taken_up(told: &[Told]) -> usize {
    told.iter().position(|told| matches!(told, Told::Subscribed { connection: 2, .. })).unwrap()
}

#[test]
fn events_must_come_once_and_in_order() {
    use Rule::EventsOnceInOrder as Order;
    breaks(Order, &["event 7 is after one that was lost"], |history| {
        let told = bob_is_told(history);
        let nth = event(told, 6);
        told.remove(nth);
    });
    breaks(Order, &["event 6 is doubled"], |history| {
        let told = bob_is_told(history);
        let nth = event(told, 6);
        told.insert(nth, told[nth].clone());
    });
    let swapped = ["event 10 is after one", "event 9 is doubled", "event 11 is after one"];
    breaks(Order, &swapped, |history| {
        let told = bob_is_told(history);
        let nth = event(told, 9);
        told.swap(nth, nth + 1);
    });
    // The end was never told.
    breaks(Order, &["the log ends at 12"], |history| {
        bob_is_told(history).pop();
    });
    breaks(Order, &["live at 3"], |history| bob_is_told(history)[1] = Told::Live { sequence: 3 });
    // At another position, and another event.
    breaks(Order, &["event 9 is not the one of the log"], |history| {
        let told = bob_is_told(history);
        let nth = event(told, 9);
        if let Told::Event { position, .. } = &mut told[nth] {
            *position = "0:8".to_owned();
        }
    });
    breaks(Order, &["event 2 is not the one of the log"], |history| {
        let told = bob_is_told(history);
        let nth = event(told, 2);
        if let Told::Event { event, .. } = &mut told[nth] {
            event["user"] = json!("eve");
        }
    });
}

#[test]
fn what_a_client_has_must_be_taken_up_where_it_was_left() {
    use Rule::EventsOnceInOrder as Order;
    // Where nobody asked for, ahead, and on a new connection behind.
    breaks(Order, &["Some(6) was taken up at 7"], |history| {
        let told = bob_is_told(history);
        let nth = taken_up(told);
        told[nth] = Told::Subscribed { connection: 2, after: Some(6), sequence: 7, snapshot: None };
    });
    breaks(Order, &["Some(8) was taken up at 8"], |history| {
        let told = bob_is_told(history);
        let nth = taken_up(told);
        told[nth] = subscribed(2, 8);
        let nth = event(told, 8);
        told.remove(nth);
    });
    let behind = |connection: u32| {
        move |history: &mut History| {
            let told = bob_is_told(history);
            let (nth, seventh) = (taken_up(told), told[event(told, 7)].clone());
            told[nth] = subscribed(connection, 6);
            told.insert(nth + 1, seventh);
        }
    };
    breaks(Order, &["Some(6) was taken up at 6"], behind(2));
    keeps(behind(1));
}

#[test]
fn a_snapshot_must_hold_what_had_begun_in_its_words() {
    let message = |id: &str, sequence: u64, status: &str, text: &str| json!({ "id": id, "sequence": sequence, "status": status, "parts": parts(text) });
    let snapshot = |messages: Vec<Value>| {
        move |history: &mut History| {
            let snapshot = Some(json!({ "messages": messages, "more": false }));
            bob_is_told(history).push(Told::Subscribed { connection: 3, after: None, sequence: 12, snapshot });
        }
    };
    let m = || message("m", 3, "submitted", "why?");
    let r = || message("r", 4, "completed", "two words");
    let s = || message("s", 9, "stopped", "three ");
    keeps(snapshot(vec![m(), r(), s()]));
    let bad = |words: &str, messages: Vec<Value>| breaks(Rule::EventsOnceInOrder, &[words], snapshot(messages));
    bad(r#"lacks Some((4, "r"))"#, vec![m(), s()]);
    bad(r#"invents Some((4, "other"))"#, vec![m(), message("other", 4, "completed", "two words"), s()]);
    bad(r#"shows "m" as"#, vec![message("m", 3, "submitted", "why not?"), r(), s()]);
    bad(r#"shows "r" as"#, vec![m(), message("r", 4, "completed", "two "), s()]);
    bad(r#"shows "s" as"#, vec![m(), r(), message("s", 9, "stopping", "three ")]);
    // What has ended since may be shown either way.
    let early = |status: &'static str, text: &'static str| {
        move |history: &mut History| {
            let told = bob_is_told(history);
            let nth = taken_up(told);
            let snapshot = Some(json!({ "messages": [m(), message("r", 4, status, text)], "more": false }));
            told.insert(nth, Told::Subscribed { connection: 2, after: None, sequence: 7, snapshot });
        }
    };
    keeps(early("running", ""));
    keeps(early("completed", "two words"));
}

#[test]
fn text_must_come_without_a_hole() {
    let put = |piece: Told, instead_of: &'static str, words: &[&str]| {
        breaks(Rule::TextWithoutHole, words, |history| {
            let told = bob_is_told(history);
            let nth = told.iter().position(|told| matches!(told, Told::Delta { text, .. } if text == instead_of));
            told[nth.unwrap()] = piece;
        });
    };
    put(delta("r", 2, 8, "s"), "ds", &["from 8 on after 7 bytes", "was told as \"two wors\""]);
    // Doubled within a subscription.
    put(delta("r", 2, 4, "words"), "ds", &["from 4 on after 7 bytes"]);
    // Other words than in the end, and than before.
    put(delta("r", 2, 4, "wir"), "wor", &["was told as \"two wirds\""]);
    put(delta("r", 2, 0, "too wor"), "wor", &["other text of attempt 2 of r from 0 on"]);
    // Of an attempt that no event told of, and of one that is over.
    put(delta("r", 3, 0, "new"), "ds", &["text of attempt 3 of r before the event that begins it"]);
    put(delta("r", 1, 0, "old"), "ds", &["text of attempt 1 of r after that of 2"]);
}

#[test]
fn clients_must_agree() {
    breaks(Rule::ClientsAgree, &["bob and ann were told different events 12 of c"], |history| {
        let renamed = json!({ "type": "ConversationRenamed", "title": "other" });
        if let Some(Told::Event { event, .. }) = bob_is_told(history).last_mut() {
            *event = renamed;
        }
    });
}

#[test]
fn nobody_must_see_what_is_not_theirs() {
    use Rule::Private;
    // She was told of it, and had it in her list.
    breaks(Private, &["bob was told of c", "bob was told of c"], |history| {
        history.ledgers[1].user = "eve".to_owned();
    });
    breaks(Private, &["bob was told of another"], |history| {
        history.ledgers[1].listed.insert("another".to_owned());
    });
    for code in [None, Some("not_owner"), Some("already_started")] {
        breaks(Private, &["a stranger's GET of c was answered with"], |history| {
            history.probes[0].code = code.map(ToOwned::to_owned);
        });
    }
}
