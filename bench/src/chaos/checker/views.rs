//! Views are the fold of the log: compared with a fold written here, and with what a rebuild made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Findings, Rule, text};
use crate::chaos::history::{History, Logged};

pub(super) fn check(history: &History, findings: &mut Findings) {
    for letter in &history.dead_letters {
        findings.check(false, Rule::NothingParked, || letter.clone());
    }
    let views = &history.views;
    let rebuilt = &history.rebuilt;
    for (name, live, anew) in [
        ("conversations", &views.conversations, &rebuilt.conversations),
        ("members", &views.members, &rebuilt.members),
        ("messages", &views.messages, &rebuilt.messages),
        ("usage.spending", &views.spending, &rebuilt.spending),
        ("usage.replies", &views.unended, &rebuilt.unended),
    ] {
        let differs = live.iter().zip(anew).find(|(live, anew)| live != anew);
        findings.check(live.len() == anew.len() && differs.is_none(), Rule::ViewIsFold, || {
            format!("{name}: {} rows, made anew {}; the first that differs: {differs:?}", live.len(), anew.len())
        });
    }
    let mut fold = Fold::default();
    for row in &history.log {
        fold.take(row);
    }
    compare("conversations", &fold.conversations, &views.conversations, |row| name(&row["id"]), findings);
    let key = |row: &Value| format!("{}/{}", name(&row["conversation"]), name(&row["id"]));
    compare("messages", &fold.messages, &views.messages, key, findings);
    let of_list = |(id, row): (&String, &Value)| {
        let people = row["participants"].as_array().into_iter().flatten();
        people.map(|user| (name(user), id.clone())).collect::<Vec<_>>()
    };
    let due: Vec<(String, String)> = fold.conversations.iter().flat_map(of_list).collect();
    let members: Vec<_> = views.members.iter().map(|row| (name(&row["user_id"]), name(&row["conversation"]))).collect();
    findings.same("members", &members, &due, Rule::ViewIsFold);
}

/// Every row is there, and says what the fold says.
fn compare(
    view: &str,
    fold: &BTreeMap<String, Value>,
    rows: &[Value],
    key: impl Fn(&Value) -> String,
    findings: &mut Findings,
) {
    let shown: BTreeMap<String, &Value> = rows.iter().map(|row| (key(row), row)).collect();
    findings.check(shown.len() == rows.len() && shown.len() == fold.len(), Rule::ViewIsFold, || {
        format!("{view}: {} rows, and {} in the log", rows.len(), fold.len())
    });
    for (id, expected) in fold {
        let Some(row) = shown.get(id) else {
            findings.check(false, Rule::ViewIsFold, || format!("{view} lacks {id}"));
            continue;
        };
        for (field, value) in expected.as_object().into_iter().flatten() {
            let found = if field == "text" { json!(text(&row["parts"])) } else { row[field].clone() };
            findings.check(found == *value, Rule::ViewIsFold, || {
                format!("{view} {id}: {field} is {found}, in the log {value}")
            });
        }
    }
}

/// The rows as they follow from the log.
#[derive(Default)]
struct Fold {
    conversations: BTreeMap<String, Value>,
    messages: BTreeMap<String, Value>,
}

impl Fold {
    fn take(&mut self, row: &Logged) {
        let (id, event) = (&row.conversation, &row.event);
        if event["type"] == "ConversationStarted" {
            let owner = &event["owner"];
            let started = json!({ "owner": owner, "participants": [owner], "title": event["title"],
                                  "active_leaf": null, "archived": false, "sequence": 0 });
            self.conversations.insert(id.clone(), started);
        }
        if let Some(conversation) = self.conversations.get_mut(id) {
            conversation["sequence"] = json!(row.sequence);
            change_conversation(conversation, event);
        }
        if let Some((id, begun)) = begun(row) {
            self.messages.insert(format!("{}/{id}", row.conversation), begun);
        } else if let Some(message) = self.messages.get_mut(&format!("{id}/{}", name(&event["reply"]))) {
            change_reply(message, event);
        }
    }
}

fn change_conversation(conversation: &mut Value, event: &Value) {
    match event["type"].as_str() {
        Some("ConversationRenamed") => conversation["title"] = event["title"].clone(),
        Some("ParticipantAdded") => {
            if let Some(participants) = conversation["participants"].as_array_mut() {
                participants.push(event["user"].clone());
                participants.sort_by_key(name);
            }
        }
        Some("MessageSubmitted") => conversation["active_leaf"] = event["message"].clone(),
        Some("ReplyRequested") => conversation["active_leaf"] = event["reply"].clone(),
        Some("BranchSelected") => conversation["active_leaf"] = event["leaf"].clone(),
        _ => {}
    }
}

fn begun(row: &Logged) -> Option<(String, Value)> {
    let event = &row.event;
    match event["type"].as_str()? {
        "MessageSubmitted" => Some((
            name(&event["message"]),
            json!({ "role": "user", "author": event["author"], "parent": event["parent"], "text": text(&event["parts"]),
                    "alternative_of": event["edit_of"], "status": "submitted", "attempt": 0, "sequence": row.sequence }),
        )),
        "ReplyRequested" => Some((
            name(&event["reply"]),
            json!({ "role": "assistant", "author": null, "parent": event["parent"], "text": "",
                    "alternative_of": event["regenerate_of"], "status": "pending", "attempt": 0,
                    "sequence": row.sequence }),
        )),
        _ => None,
    }
}

fn change_reply(message: &mut Value, event: &Value) {
    let status = match event["type"].as_str() {
        Some("ReplyAttemptStarted") => {
            message["attempt"] = event["attempt"].clone();
            "running"
        }
        Some("ReplyAttemptFailed" | "ReplyAttemptExpired") => "pending",
        Some("ReplyStopRequested") => "stopping",
        Some("ReplyCompleted") => "completed",
        Some("ReplyStopped") => "stopped",
        Some("ReplyFailed") => "failed",
        _ => return,
    };
    message["status"] = json!(status);
    if matches!(status, "completed" | "stopped" | "failed") {
        message["text"] = json!(text(&event["parts"]));
    }
}

fn name(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
