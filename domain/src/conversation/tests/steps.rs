//! Random histories: people and workers who ask, mostly sensibly, sometimes not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Command, Conversation, Error, Event, Parent};
use super::given::*;
use crate::{Asked, Decide, MessageId, UserId};
use cqrs_es::Aggregate as _;

/// What is known of a reply from the log alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reply {
    pub(super) attempt: u32,
    pub(super) running: bool,
    pub(super) ended: bool,
}

/// What is known of a conversation from the log alone, kept apart from the state under test.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) parents: BTreeMap<MessageId, Option<MessageId>>,
    pub(super) replies: BTreeMap<MessageId, Reply>,
    pub(super) participants: Vec<UserId>,
    pub(super) deleted: bool,
}

impl Ledger {
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::ConversationStarted { owner, .. } => self.participants.push(owner.clone()),
            Event::ParticipantAdded { user } => self.participants.push(user.clone()),
            Event::ParticipantRemoved { user } => self.participants.retain(|participant| participant != user),
            Event::MessageSubmitted { message, parent, .. } => {
                self.parents.insert(*message, *parent);
            }
            Event::ReplyRequested { reply, parent, .. } => {
                self.parents.insert(*reply, Some(*parent));
                self.replies.insert(*reply, Reply::default());
            }
            Event::ReplyAttemptStarted { reply, attempt, .. } => {
                self.replies.insert(*reply, Reply { attempt: *attempt, running: true, ended: false });
            }
            Event::ReplyAttemptFailed { reply, .. } | Event::ReplyAttemptExpired { reply, .. } => {
                self.replies.entry(*reply).or_default().running = false;
            }
            Event::ReplyCompleted { reply, .. }
            | Event::ReplyStopped { reply, .. }
            | Event::ReplyFailed { reply, .. } => {
                let reply = self.replies.entry(*reply).or_default();
                (reply.running, reply.ended) = (false, true);
            }
            Event::ConversationDeleted {} => self.deleted = true,
            Event::ConversationRenamed { .. }
            | Event::ModelConfigured { .. }
            | Event::ReplyStopRequested { .. }
            | Event::BranchSelected { .. }
            | Event::ConversationArchived {}
            | Event::ConversationUnarchived {} => {}
        }
    }

    pub(super) fn open_replies(&self) -> Vec<(MessageId, Reply)> {
        self.replies.iter().filter(|(_, reply)| !reply.ended).map(|(id, reply)| (*id, *reply)).collect()
    }

    /// The messages from `id` up to its root.
    pub(super) fn path_from(&self, id: MessageId) -> impl Iterator<Item = MessageId> {
        std::iter::successors(Some(id), |id| self.parents.get(id).copied().flatten())
    }
}

/// A conversation as it goes: its state, its log, and what the log alone tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) state: Conversation,
    pub(super) log: Vec<Event>,
    pub(super) ledger: Ledger,
    asked: usize,
}

impl Run {
    /// A conversation of Ann's, gone through `steps`.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut run = Self::begun();
        for step in steps {
            run.step(step).ok();
        }
        run
    }

    pub(super) fn begun() -> Self {
        let mut run = Self::default();
        run.ask(&ann(start())).unwrap();
        run
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<Vec<Event>, Error> {
        self.asked += 1;
        self.ask(&step.asked(self))
    }

    pub(super) fn ask(&mut self, asked: &Asked<Command>) -> Result<Vec<Event>, Error> {
        let events = self.state.decide(asked)?;
        for event in &events {
            self.state.apply(event.clone());
            self.ledger.note(event);
        }
        self.log.extend(events.iter().cloned());
        Ok(events)
    }

    fn any_message(&self, pick: Index) -> MessageId {
        let known: Vec<_> = self.ledger.parents.keys().collect();
        if known.is_empty() { NOWHERE } else { **pick.get(&known) }
    }

    fn any_reply(&self, pick: Index) -> MessageId {
        let known: Vec<_> = self.ledger.replies.keys().collect();
        if known.is_empty() { NOWHERE } else { **pick.get(&known) }
    }

    fn any_open_reply(&self, pick: Index) -> MessageId {
        let open = self.ledger.open_replies();
        if open.is_empty() { self.any_reply(pick) } else { pick.get(&open).0 }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Submit,
    Edit,
    Regenerate,
    Select,
    Stop,
    Add,
    Remove,
    Rename,
    Archive,
    Unarchive,
    Delete,
    Claim,
    Complete,
    Fail,
    Expire,
}

/// Something asked, said so that it can be applied to any history.
#[derive(Clone, Debug)]
pub(super) struct Step {
    kind: Kind,
    who: &'static str,
    whom: &'static str,
    /// Which of the messages, or of the replies, that there are.
    pick: Index,
    /// Asks for a reply; follows the active leaf; may be tried again.
    yes: bool,
    /// How far off the right attempt; for people, whether a taken id is used.
    slip: i32,
}

impl Step {
    fn asked(&self, run: &Run) -> Asked<Command> {
        let new = |offset| if self.slip == 0 { message_id(2 * run.asked + offset) } else { run.any_message(self.pick) };
        let reply = self.yes.then(|| new(1));
        let open = run.any_open_reply(self.pick);
        let known = run.ledger.replies.get(&open).copied().unwrap_or_default();
        let attempt = known.attempt.saturating_add_signed(self.slip);
        let command = match self.kind {
            Kind::Claim => return worker(claim(open, attempt + 1)),
            Kind::Complete => return worker(complete(open, attempt)),
            Kind::Fail => return worker(fail(open, attempt, self.yes)),
            Kind::Expire => return worker(expire(open, attempt)),
            Kind::Submit if self.yes => submit(new(0), Parent::ActiveLeaf, reply),
            Kind::Submit => submit(new(0), Parent::Message(run.any_message(self.pick)), Some(new(1))),
            Kind::Edit => edit(run.any_message(self.pick), new(0), reply),
            Kind::Regenerate => regenerate(run.any_reply(self.pick), new(1)),
            Kind::Select => select(run.any_message(self.pick)),
            Kind::Stop => stop(open),
            Kind::Add => add(self.whom),
            Kind::Remove => remove(self.whom),
            Kind::Rename => rename(self.whom),
            Kind::Archive => Command::ArchiveConversation {},
            Kind::Unarchive => Command::UnarchiveConversation {},
            Kind::Delete => Command::DeleteConversation {},
        };
        person(self.who, "acme", command)
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        8 => Just(Kind::Submit), 3 => Just(Kind::Edit), 4 => Just(Kind::Regenerate), 2 => Just(Kind::Select),
        3 => Just(Kind::Stop), 2 => Just(Kind::Add), 1 => Just(Kind::Remove), 1 => Just(Kind::Rename),
        8 => Just(Kind::Claim), 3 => Just(Kind::Complete), 3 => Just(Kind::Fail), 4 => Just(Kind::Expire),
    ];
    let rare = prop_oneof![2 => Just(Kind::Archive), 4 => Just(Kind::Unarchive), 1 => Just(Kind::Delete)];
    let kind = prop_oneof![30 => kind, 1 => rare];
    let who = prop::sample::select(vec!["ann", "ann", "ann", "ben", "ben", "cem", "eve"]);
    let whom = prop::sample::select(vec!["ann", "ben", "ben", "cem"]);
    let slip = prop_oneof![1 => Just(-1), 12 => Just(0), 1 => Just(1)];
    let step = (kind, who, whom, any::<Index>(), any::<bool>(), slip)
        .prop_map(|(kind, who, whom, pick, yes, slip)| Step { kind, who, whom, pick, yes, slip });
    prop::collection::vec(step, 1..80)
}
