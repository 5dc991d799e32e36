//! The commands of a client that have no answer yet: sent again under the same id until there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Actor, Asker, CommandId};
use fastrand::Rng;
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
    /// Those that were acknowledged and are to be sent once more all the same.
    again: Vec<Uuid>,
}

impl Outbox {
    /// The commands of `user`.
    pub(super) fn new(user: &str, clock: Clock) -> Self {
        let asker = user.parse().ok().zip("default".parse().ok());
        let asker = asker.map(|(user, tenant)| Asker { tenant: Some(tenant), actor: Actor::User(user) });
        let (commands, again) = (Vec::new(), Vec::new());
        Self { asker, clock, commands, by_id: BTreeMap::new(), pending: BTreeMap::new(), again }
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
        let again = std::mem::take(&mut self.again);
        due.into_iter()
            .chain(again)
            .filter_map(|id| {
                if let Some(due) = self.pending.get_mut(&id) {
                    *due = None;
                }
                let nth = *self.by_id.get(&id)?;
                self.commands[nth].sends += 1;
                Some(self.frame(nth))
            })
            .collect()
    }

    /// A copy of a command is on its way by another socket; the command itself follows in a while.
    pub(super) fn copied(&mut self, id: Uuid, head_start: Duration) {
        if let Some(nth) = self.by_id.get(&id) {
            self.commands[*nth].sends += 1;
        }
        self.pending.insert(id, Some(Instant::now() + head_start));
    }

    /// Any command that was acknowledged at least so long ago, in milliseconds, is to be sent again; if there is one.
    pub(super) fn again(&mut self, rng: &mut Rng, ago: u64) {
        let Some(by) = self.clock.now().checked_sub(ago) else { return };
        let is_old = |answer: &Answer| matches!(answer.verdict, Verdict::Acked { .. }) && answer.at <= by;
        let old: Vec<Uuid> =
            self.commands.iter().filter(|sent| sent.answers.iter().any(is_old)).map(|sent| sent.id).collect();
        if !old.is_empty() {
            self.again.push(old[rng.usize(0..old.len())]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_sent_again_and_waits_for_nothing() {
        let mut outbox = Outbox::new("ann", Clock::start());
        let (id, mut rng) = (Uuid::from_u128(1), Rng::with_seed(1));
        let frame = outbox.add(id, "c", json!({ "type": "StopReply" }));
        outbox.again(&mut rng, 0);
        assert_eq!(outbox.due(), std::slice::from_ref(&frame), "it has no answer yet");
        let ack = json!({ "type": "ack", "id": id, "sequence": 3, "position": "0:3" });
        assert!(outbox.answered(&ack).is_some());
        assert!(outbox.due().is_empty());
        outbox.again(&mut rng, 0);
        assert_eq!((outbox.due(), outbox.pending()), (vec![frame], 0));
        assert!(outbox.answered(&ack).is_none(), "its first acknowledgement is what was waited for");
        assert_eq!((outbox.commands[0].sends, outbox.commands[0].answers.len()), (2, 2));
    }
}
