//! One attempt at a reply, from its claim to its end.

mod end;
mod gate;
mod lease;
mod set_aside;
mod stream;

use domain::conversation::Command;
use domain::{Actor, Asker, CommandId, ConversationId, MessageId, ModelRef, shard_of};
use nats::ask::Request;
use nats::consume::Failure;
use nats::live::ReplyKey;
use store::Position;
use store::writer::Refusal;
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::live_text::LiveText;
use super::parts::Parts;
use super::prompt::{self, Found};
use super::{ATTEMPT_LEASE, Worker};
use crate::metrics::{self, Names};
use crate::offer::Offer;
use crate::provider::{self, Connected};

pub(super) use gate::Gate;

pub(super) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) conversation: ConversationId,
    pub(super) reply: MessageId,
    pub(super) number: u32,
    /// What the reply was asked for, and the attempts before this one.
    pub(super) asked: Asked,
    /// The trace of the command that asked for the reply; none when it is not traced.
    pub(super) traceparent: Option<String>,
    /// What whoever asked may use.
    pub(super) offer: Offer,
    /// Cancelled when a person stops the reply.
    pub(super) stopped: CancellationToken,
    /// What the circuit breakers have said.
    pub(super) gate: Gate,
}

/// How streaming ended.
enum Ended {
    /// With a whole answer.
    Finished(Box<Command>),
    /// Without.
    Failed(provider::Error),
    /// A person stopped it.
    Stopped,
    /// The process stops.
    HandedBack,
    /// Another attempt has begun; this one no longer counts.
    Superseded,
}

impl Ended {
    /// For the figures.
    fn name(&self) -> &'static str {
        match self {
            Self::Finished(_) => "finished",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
            Self::HandedBack => "handed_back",
            Self::Superseded => "superseded",
        }
    }
}

impl<'a> Attempt<'a> {
    /// Gives the attempt that follows at once, if one does.
    pub(super) async fn carry_out(mut self) -> Result<Option<Attempt<'a>>, Failure> {
        self.gate = self.ask_breakers().await;
        let Some(claimed_at) = self.claim().await? else { return Ok(None) };
        let Some(end) = self.answer(claimed_at).await? else { return Ok(None) };
        self.gate.leave();
        let switch = matches!(end, Command::FailReply { switch: true, .. });
        let counted = self.end(end).await?;
        Ok((switch && counted).then(|| self.after_failure()))
    }

    /// The attempt after this one, which failed and asked for another model.
    fn after_failure(self) -> Self {
        let model = self.model().map(|(model, _)| model);
        let tried = self.asked.tried.clone().and_failed(model, true);
        Self { number: self.number + 1, asked: Asked { tried, ..self.asked }, ..self }
    }

    /// Has the model answer. Gives the command by which the attempt ends, if that is its to say.
    async fn answer(&self, claimed_at: Position) -> Result<Option<Command>, Failure> {
        let prompt = match prompt::build(&self.worker.replies.pool, self.conversation, self.reply, self.number).await {
            Ok(Found::Prompt(prompt)) => prompt,
            Ok(Found::Stopping(before)) => {
                self.unasked("stopped");
                return Ok(Some(self.stop(Parts::after(before), None)));
            }
            // The claim was a repeat of one made long ago, which gets its first result again.
            Ok(Found::Over) => return Ok(None),
            Ok(Found::Unknown) => return Err(Failure::Retry("the log does not hold the reply".to_owned())),
            Err(error @ store::Error::Undecodable { .. }) => {
                self.unasked("refused");
                let error = provider::Error::new(provider::ErrorKind::Invalid, error.to_string());
                return Ok(Some(self.failed(error, Parts::default(), None)));
            }
            Err(error) => return Err(Failure::Retry(error.to_string())),
        };
        let max_output = match self.set_aside(&prompt, claimed_at).await? {
            Ok(max_output) => max_output,
            Err(end) => return Ok(Some(end)),
        };
        if !self.worker.running.begin((self.conversation, self.reply), self.number) {
            tracing::info!(reply = %self.reply, attempt = self.number, "the attempt was begun here before");
            return Ok(None);
        }
        let mut live = LiveText::new(self.worker.replies.client.clone(), self.key(), self.number);
        let mut said = Parts::after(prompt.before.clone());
        if let Some(before) = &prompt.before {
            live.push(before).await;
        }
        let (ended, spent) = self.stream(prompt, max_output, (&mut said, &mut live)).await;
        live.publish().await;
        live.keep().await;
        Ok(match ended {
            Ended::Finished(command) => Some(*command),
            Ended::Failed(error) => Some(self.failed(error, said, spent)),
            Ended::Stopped => Some(self.stop(said, spent)),
            Ended::HandedBack => Some(self.hand_back(said, spent)),
            Ended::Superseded => None,
        })
    }

    /// Takes the attempt; where that stands in the log. None when it is not to be had, which is no failure: someone else has it, or
    /// it is over.
    async fn claim(&self) -> Result<Option<Position>, Failure> {
        let (model, alternatives) = self.model().unzip();
        let continues = model.as_ref().is_some_and(|model| self.asked.tried.continues(model));
        let command = Command::ClaimReply {
            reply: self.reply,
            attempt: self.number,
            worker: self.worker.replies.process.to_string(),
            lease_ms: u64::try_from(ATTEMPT_LEASE.as_millis()).unwrap_or(u64::MAX),
            model,
            alternatives: alternatives.flatten(),
            continues,
        };
        match self.worker.asking.ask(&self.request("claim", command)).await {
            Ok(accepted) => Ok(Some(accepted.position)),
            Err(Refusal::Unavailable) => Err(Failure::Retry("the reply could not be claimed".to_owned())),
            Err(Refusal::Unreadable) => Err(Failure::Fatal("the conversation's log cannot be read".to_owned())),
            Err(Refusal::Domain { .. } | Refusal::StaleSequence { .. } | Refusal::CommandIdReused) => Ok(None),
        }
    }

    /// The model that it asks, and how many its route has, if it is a route's.
    fn model(&self) -> Option<(ModelRef, Option<u32>)> {
        self.choice().ok()
    }

    fn choice(&self) -> Result<(ModelRef, Option<u32>), provider::Error> {
        let (models, is_route) = self.offer.alternatives(self.asked.model.as_ref())?;
        let count = if is_route { u32::try_from(models.len()).ok() } else { None };
        let model = self.asked.tried.choose(models, &self.gate.resting).ok_or_else(provider::catalog::nothing)?;
        Ok((model.clone(), count))
    }

    /// The provider that it calls, and the model that it asks there.
    fn provider(&self) -> Result<(Connected, ModelRef), provider::Error> {
        let (model, _) = self.choice()?;
        Ok((self.offer.resolve(&model)?, model))
    }

    /// Counts the attempt as one that ended before a model was asked.
    fn unasked(&self, how: &'static str) {
        let names = self.model().map(|(model, _)| self.offer.names(&model));
        metrics::unasked(names.unwrap_or_else(Names::other), how);
    }

    fn request(&self, step: &str, command: Command) -> Request {
        let id = CommandId(self.conversation.0).derive(&format!("{}:{step}:{}", self.reply, self.number));
        Request {
            command_id: id.into(),
            id: self.conversation,
            expected_sequence: None,
            asked: domain::Asked { asker: Asker { tenant: None, actor: Actor::Worker("reply".to_owned()) }, command },
        }
    }

    fn key(&self) -> ReplyKey {
        let shard = shard_of(&self.conversation.to_string(), self.worker.replies.shards);
        ReplyKey { shard, conversation: self.conversation, reply: self.reply }
    }
}
