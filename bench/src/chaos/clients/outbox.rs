//! The commands of a client that have no answer yet: sent again under the same id until there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Actor, Asker, CommandId};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::chaos::Clock;
use crate::chaos::history::{Answer, Sent, Verdict};

/// The pause before a command is sent again that was refused for the moment.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Every command of a client, and when those without an answer are to be sent again.
#[derive(Debug)]
pub(super) struct Outbox {
    asker: Option<Asker>,
    clock: Clock,
    pub(super) commands: Vec<Sent>,
    by_id: BTreeMap<Uuid, usize>,
    pending: BTreeMap<Uuid, Option<Instant>>,
}

impl Outbox {
    /// The commands of `user`.
    pub(super) fn new(user: &str, clock: Clock) -> Self {
        let asker = user.parse().ok().zip("default".parse().ok());
        let asker = asker.map(|(user, tenant)| Asker { tenant: Some(tenant), actor: Actor::User(user) });
        Self { asker, clock, commands: Vec::new(), by_id: BTreeMap::new(), pending: BTreeMap::new() }
    }

    /// A new command, to be sent at once.
    pub(super) fn add(&mut self, id: Uuid, conversation: &str, command: Value) -> Value {
        let recorded_as = self.asker.as_ref().map_or(id, |asker| CommandId(id).derive(&asker.to_string()));
        let at = self.clock.now();
        let conversation = conversation.to_owned();
        self.by_id.insert(id, self.commands.len());
        self.commands.push(Sent { id, recorded_as, conversation, command, at, sends: 0, answers: Vec::new() });
        self.pending.insert(id, Some(Instant::now()));
        self.frame(self.commands.len() - 1)
    }

    /// The frames that are to be sent now.
    pub(super) fn due(&mut self) -> Vec<Value> {
        let now = Instant::now();
        let due: Vec<Uuid> =
            self.pending.iter().filter(|(_, due)| due.is_some_and(|due| due <= now)).map(|(id, _)| *id).collect();
        due.into_iter()
            .filter_map(|id| {
                self.pending.insert(id, None);
                let nth = *self.by_id.get(&id)?;
                self.commands[nth].sends += 1;
                Some(self.frame(nth))
            })
            .collect()
    }

    /// A copy of a command is on its way by another socket.
    pub(super) fn copied(&mut self, id: Uuid) {
        if let Some(nth) = self.by_id.get(&id) {
            self.commands[*nth].sends += 1;
        }
    }

    /// The connection is new: whatever has no answer is sent again.
    pub(super) fn reconnected(&mut self) {
        self.pending.values_mut().for_each(|due| *due = Some(Instant::now()));
    }

    /// Takes an `ack` or `refused` in; gives the command and what it waited for its acknowledgement, when it was the first.
    pub(super) fn answered(&mut self, frame: &Value) -> Option<(&Sent, u64)> {
        let id = frame["id"].as_str()?.parse().ok()?;
        let sent = self.commands.get_mut(*self.by_id.get(&id)?)?;
        let verdict = match (frame["type"].as_str()?, frame["code"].as_str()) {
            ("ack", _) => Verdict::Acked {
                sequence: frame["sequence"].as_u64()?,
                position: frame["position"].as_str()?.to_owned(),
            },
            ("refused", Some(code)) => {
                Verdict::Refused { code: code.to_owned(), retryable: frame["retryable"] == true }
            }
            _ => return None,
        };
        let at = self.clock.now();
        let (is_final, is_ack) = (verdict.is_final(), matches!(verdict, Verdict::Acked { .. }));
        sent.answers.push(Answer { at, verdict });
        if !is_final {
            if let Some(due) = self.pending.get_mut(&id) {
                *due = Some(Instant::now() + RETRY_PAUSE);
            }
            return None;
        }
        let first = self.pending.remove(&id).is_some();
        (first && is_ack).then(|| (&*sent, at - sent.at))
    }

    /// How many commands have no answer yet.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn frame(&self, nth: usize) -> Value {
        let Sent { id, conversation, command, .. } = &self.commands[nth];
        json!({ "type": "command", "id": id, "conversation": conversation, "command": command })
    }
}
