//! What a client comes to want: mostly to say something, at times something less usual.

use fastrand::Rng;
use serde_json::{Value, json};

use super::follow::Follow;

/// Something to be done.
pub(super) enum Idea {
    /// A command.
    Ask(Value),
    /// A command again that was acknowledged long ago.
    Again,
    /// To load the page anew.
    Reload,
    /// To lose the connection.
    Disconnect,
}

/// Something to do in a conversation. `words` makes it unlike all else that is ever said.
pub(super) fn next(rng: &mut Rng, user: &str, follow: &Follow, words: &str) -> Option<Idea> {
    let command = match rng.u32(0..100) {
        0..50 => submit(rng, follow, words),
        50..60 => {
            let own: Vec<&String> =
                follow.messages.iter().filter(|(_, author)| author == user).map(|(id, _)| id).collect();
            json!({ "type": "EditMessage", "edit_of": pick(rng, &own)?, "text": words })
        }
        60..70 => json!({ "type": "RegenerateReply", "regenerate_of": pick(rng, &follow.ended)? }),
        70..82 => json!({ "type": "StopReply", "reply": pick(rng, &follow.open)? }),
        82..85 => json!({ "type": "StopReply", "reply": pick(rng, &follow.ended)? }),
        85..91 => json!({ "type": "RenameConversation", "title": words }),
        91..93 => {
            let messages: Vec<&String> = follow.messages.iter().map(|(id, _)| id).chain(&follow.ended).collect();
            json!({ "type": "SelectBranch", "message": pick(rng, &messages)? })
        }
        93 => return Some(Idea::Again),
        94..97 => return Some(Idea::Reload),
        _ => return Some(Idea::Disconnect),
    };
    Some(Idea::Ask(command))
}

fn submit(rng: &mut Rng, follow: &Follow, words: &str) -> Value {
    let mut command = json!({ "type": "SubmitMessage", "text": words });
    // Where a reply runs, mostly beside it: after it the command is refused.
    if !follow.open.is_empty() && rng.u32(0..10) < 8 {
        command["parent"] = Value::Null;
    }
    if rng.u32(0..4) == 0 {
        command["answer"] = json!(false);
    }
    command
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> Option<&'a T> {
    if from.is_empty() { None } else { from.get(rng.usize(0..from.len())) }
}
