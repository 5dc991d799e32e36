//! Bad views, and bad tables of workers.

use serde_json::json;

use super::{at, breaks, keeps, rewrite};
use crate::chaos::checker::Rule;
use crate::chaos::checker::good::{parts, row};
use crate::chaos::history::{History, Views};

/// The same change to the view and to the one that was made anew.
fn both(change: impl Fn(&mut Views)) -> impl FnOnce(&mut History) {
    move |history: &mut History| {
        change(&mut history.views);
        change(&mut history.rebuilt);
    }
}

#[test]
fn a_view_must_be_what_a_rebuild_makes() {
    use Rule::ViewIsFold as Fold;
    breaks(Fold, &["conversations: 1 rows, made anew 0"], |history| history.rebuilt.conversations.clear());
    breaks(Fold, &["members: 2 rows, made anew 1"], |history| history.rebuilt.members.truncate(1));
    breaks(Fold, &["messages: 3 rows, made anew 3"], |history| {
        history.views.messages[1]["usage"] = json!("what a rebuild does not say");
    });
    breaks(Fold, &["usage.spending: 1 rows, made anew 1"], |history| {
        history.rebuilt.spending[0]["output"] = json!(5);
    });
    breaks(Fold, &["usage.replies: 0 rows, made anew 1"], |history| history.rebuilt.unended.push(json!({})));
}

#[test]
fn a_view_must_be_the_fold_of_the_log() {
    use Rule::ViewIsFold as Fold;
    breaks(Fold, &["conversations: 2 rows, and 1 in the log"], both(|views| views.conversations.push(json!({}))));
    breaks(Fold, &["conversations c: sequence"], both(|views| views.conversations[0]["sequence"] = json!(11)));
    breaks(Fold, &["conversations c: participants"], both(|views| views.conversations[0]["participants"] = json!([])));
    breaks(Fold, &["messages c/r: status"], both(|views| views.messages[1]["status"] = json!("running")));
    breaks(Fold, &["messages c/r: text"], both(|views| views.messages[1]["parts"] = parts("two")));
    let lacks = ["messages: 2 rows, and 3 in the log", "messages lacks c/s"];
    breaks(Fold, &lacks, both(|views| views.messages.truncate(2)));
    // Doubled, and in the place of another.
    let doubled = |nth: usize, instead_of: Option<usize>| {
        both(move |views| {
            let again = views.messages[nth].clone();
            match instead_of {
                Some(other) => views.messages[other] = again,
                None => views.messages.push(again),
            }
        })
    };
    breaks(Fold, &["messages: 4 rows, and 3 in the log"], doubled(0, None));
    breaks(Fold, &["messages: 3 rows, and 3 in the log", "messages lacks c/s"], doubled(0, Some(2)));
    breaks(Fold, &["members: 1 rows, and 2 by the log"], both(|views| views.members.truncate(1)));
    for (field, value) in [("user_id", "eve"), ("conversation", "d")] {
        let other = both(move |views| views.members[1][field] = json!(value));
        breaks(Fold, &[r#"it lacks Some(("bob", "c")) and invents Some(("#], other);
    }
}

#[test]
fn the_view_of_what_was_spent_must_add_up_the_log() {
    let wrong = |figure: &'static str| both(move |views| views.spending[0][figure] = json!(1_000));
    for figure in [
        "attempts",
        "failed",
        "input",
        "cached_input",
        "cache_write",
        "output",
        "reasoning",
        "micro_usd",
        "unpriced",
        "estimated",
        "account",
        "day",
        "model",
        "conversation",
    ] {
        breaks(Rule::ViewIsFold, &["usage.spending: 1 rows, and 1 by the log"], wrong(figure));
    }
    breaks(Rule::ViewIsFold, &["usage.replies: 1 rows, and 0 by the log"], both(|views| views.unended.push(json!({}))));
}

#[test]
fn what_workers_keep_must_add_up_the_log() {
    use Rule::LedgerIsSum as Ledger;
    for figure in ["account", "day", "conversation", "micro_usd", "tokens"] {
        breaks(Ledger, &["spent_by_day: 1 rows, and 1 by the log"], |history| {
            history.books.spent[0][figure] = json!(1_000);
        });
    }
    breaks(Ledger, &["spent_by_day: 0 rows, and 1 by the log"], |history| history.books.spent.clear());
    breaks(Ledger, &["spent_by_day: 2 rows, and 1 by the log"], |history| {
        let again = history.books.spent[0].clone();
        history.books.spent.push(again);
    });
    breaks(Ledger, &["reservations: 1 rows, and 0 by the log"], |history| history.books.set_aside.push(json!({})));
    breaks(Ledger, &["open_replies: 1 rows, and 0 by the log"], |history| history.books.open.push(json!({})));
    // What has a price is money, too.
    keeps(|history| {
        let mut whole = at(history, 8).event.clone();
        whole["spent"]["cost"] = json!({ "micros": 5, "price": "p" });
        rewrite(history, 8, &whole);
        history.streams[0].messages[7].1.event = whole;
        history.books.spent[0]["micro_usd"] = json!(5);
        both(|views| {
            views.spending[0]["micro_usd"] = json!(5);
            views.spending[0]["unpriced"] = json!(2);
        })(history);
    });
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
    breaks(Rule::ViewIsFold, &[], select("r"));
    breaks(Rule::ViewIsFold, &["conversations c: active_leaf"], select("s"));
}
