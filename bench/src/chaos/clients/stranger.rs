//! Someone with a valid login who is in no conversation, and tries every door.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::socket::{Ended, Socket};
use super::{Group, Phase};
use crate::chaos::history::Probe;
use crate::chaos::locked;
use crate::login;

/// The pause between two doors.
const PAUSE: Duration = Duration::from_millis(400);
/// How long an answer is waited for.
const DEADLINE: Duration = Duration::from_secs(12);

/// Tries doors until told to leave; gives what each answered.
pub(super) async fn probe(
    edges: Vec<SocketAddr>,
    groups: Vec<Group>,
    mut rng: Rng,
    mut phase: watch::Receiver<Phase>,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    let Ok(token) = login::token("stranger") else { return probes };
    loop {
        tokio::select! {
            _ = phase.wait_for(|phase| *phase == Phase::Done) => return probes,
            () = sleep(PAUSE) => {}
        }
        let known: Vec<String> = groups.iter().flat_map(|group| locked(group).clone()).collect();
        if known.is_empty() {
            continue;
        }
        let (edge, conversation) = (edges[rng.usize(0..edges.len())], &known[rng.usize(0..known.len())]);
        let door = rng.usize(0..8);
        if let Ok(Ok((what, code))) = timeout(DEADLINE, knock(edge, &token, conversation, door)).await {
            probes.push(Probe { what, conversation: conversation.clone(), code });
        }
    }
}

/// Tries one door: what was tried, and the code that answered.
async fn knock(
    edge: SocketAddr,
    token: &str,
    conversation: &str,
    door: usize,
) -> Result<(String, Option<String>), Ended> {
    let routes = ["", "/messages", "/events"];
    if let Some(route) = routes.get(door) {
        let path = format!("/api/conversations/{conversation}{route}");
        let request = reqwest::Client::new().get(format!("http://{edge}{path}")).bearer_auth(token);
        let answer = request.send().await.map_err(|_| Ended)?;
        let body: Value = answer.json().await.map_err(|_| Ended)?;
        return Ok((format!("GET {path}"), body["error"]["code"].as_str().map(ToOwned::to_owned)));
    }
    let mut socket = Socket::open(edge, token).await?;
    let command = match door {
        3 => json!({ "type": "SubmitMessage", "text": "let me in" }),
        4 => json!({ "type": "StartConversation" }),
        5 => json!({ "type": "AddParticipant", "user": "stranger" }),
        6 => json!({ "type": "StopReply", "reply": Uuid::nil() }),
        _ => {
            socket.send(&json!({ "type": "subscribe", "conversation": conversation, "after": 0 })).await?;
            loop {
                let answer = socket.next().await?;
                if answer["conversation"] == *conversation {
                    return Ok(("subscribe".to_owned(), answer["code"].as_str().map(ToOwned::to_owned)));
                }
            }
        }
    };
    let what = command["type"].to_string();
    let frame = json!({ "type": "command", "id": Uuid::new_v4(), "conversation": conversation, "command": command });
    let answer = socket.answer_to(&frame).await?;
    Ok((what, answer["code"].as_str().map(ToOwned::to_owned)))
}
