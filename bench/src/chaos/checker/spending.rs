//! What people spent: what workers keep by the day, and the view by the model, add up what the ends of attempts in the log say;
//! and once every reply has ended, none is open, and nothing is set aside.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Findings, Rule, name};
use crate::chaos::history::{History, Logged};

/// The kinds of tokens.
const TOKENS: [&str; 5] = ["input", "cached_input", "cache_write", "output", "reasoning"];

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut fold = Fold::default();
    for row in &history.log {
        fold.take(row);
    }
    let (books, views) = (&history.books, &history.views);
    findings.same("spent_by_day", &books.spent, &rows(fold.by_day), Rule::LedgerIsSum);
    findings.same("reservations", &books.set_aside, &[], Rule::LedgerIsSum);
    findings.same("open_replies", &books.open, &[], Rule::LedgerIsSum);
    findings.same("usage.spending", &views.spending, &rows(fold.by_model), Rule::ViewIsFold);
    findings.same("usage.replies", &views.unended, &[], Rule::ViewIsFold);
}

/// A table's rows, by what each is about.
type Table = BTreeMap<String, Value>;

fn rows(table: Table) -> Vec<Value> {
    table.into_values().collect()
}

/// Adds to the row that is about this.
fn add<'a>(table: &mut Table, about: Value, figures: impl IntoIterator<Item = (&'a str, u64)>) {
    let row = table.entry(about.to_string()).or_insert(about);
    for (name, more) in figures {
        row[name] = json!(row[name].as_u64().unwrap_or_default() + more);
    }
}

/// A conversation and a reply in it.
type Key<'a> = (&'a str, &'a str);

/// On whose account a reply goes, and what its attempt asks while one runs.
struct Reply<'a> {
    account: Option<Uuid>,
    model: Option<&'a str>,
}

/// The tables as they follow from the log.
#[derive(Default)]
struct Fold<'a> {
    replies: BTreeMap<Key<'a>, Reply<'a>>,
    by_day: Table,
    by_model: Table,
}

impl<'a> Fold<'a> {
    fn take(&mut self, row: &'a Logged) {
        let event = &row.event;
        let key = (row.conversation.as_str(), name(&event["reply"]));
        match name(&event["type"]) {
            "ReplyRequested" => {
                self.replies.insert(key, Reply { account: row.account, model: None });
            }
            "ReplyAttemptStarted" => {
                if let Some(reply) = self.replies.get_mut(&key) {
                    reply.model = event["model"].as_str();
                }
            }
            "ReplyAttemptFailed" | "ReplyAttemptExpired" | "ReplyFailed" => self.end(key, row, true),
            "ReplyCompleted" | "ReplyStopped" => self.end(key, row, false),
            _ => {}
        }
    }

    /// An attempt ends, or a reply whose last attempt had ended before.
    fn end(&mut self, key: Key<'a>, row: &Logged, failed: bool) {
        let Some(Reply { account: Some(account), model }) = self.replies.get_mut(&key) else { return };
        let (day, conversation, spent) = (&row.day, &row.conversation, &row.event["spent"]);
        let tokens = TOKENS.map(|kind| (kind, spent["usage"][kind].as_u64().unwrap_or_default()));
        let sum: u64 = tokens.iter().map(|(_, count)| count).sum();
        let micro_usd = spent["cost"]["micros"].as_u64().unwrap_or_default();
        if sum > 0 || micro_usd > 0 {
            let about = json!({ "account": account, "day": day, "conversation": conversation });
            add(&mut self.by_day, about, [("micro_usd", micro_usd), ("tokens", sum)]);
        }
        if let Some(model) = model.take() {
            let about = json!({ "account": account, "day": day, "model": model, "conversation": conversation });
            let counts = [
                ("attempts", 1),
                ("failed", u64::from(failed)),
                ("micro_usd", micro_usd),
                ("unpriced", u64::from(spent.is_object() && spent["cost"].is_null())),
                ("estimated", u64::from(spent["estimated"] == true)),
            ];
            add(&mut self.by_model, about, counts.into_iter().chain(tokens));
        }
    }
}
