//! One attempt at a reply, from its claim to its end.

mod end;
mod gate;
mod set_aside;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::conversation::{Command, Error as Refused, Spent};
use domain::{Actor, Asker, CommandId, ConversationId, MessageId, ModelRef, shard_of};
use futures::StreamExt;
use futures::stream::BoxStream;
use nats::ask::Request;
use nats::consume::Failure;
use nats::live::ReplyKey;
use store::Position;
use store::writer::Refusal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::asked::Asked;
use super::live_text::LiveText;
use super::parts::{MAX_TEXT_BYTES, Parts};
use super::prompt::{self, Found, Prompt};
use super::spending::Meter;
use super::{ATTEMPT_LEASE, Worker, continuation, spans};
use crate::metrics::Call;
use crate::offer::Offer;
use crate::open_replies::{self, OpenReply, Standing};
use crate::provider::{self, Chunk, Provider};

pub(super) use gate::Gate;

/// How long an attempt may stream: a provider that says a word now and then would never end by its own deadlines.
const MAX_STREAMING: Duration = Duration::from_mins(30);
/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_millis(2_500);
/// How long an attempt that has its answer tries to hand it in.
const END_DEADLINE: Duration = Duration::from_mins(2);

pub(super) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) conversation: ConversationId,
    pub(super) reply: MessageId,
    pub(super) number: u32,
    /// What the reply was asked for, and the attempts before this one.
    pub(super) asked: Asked,
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
        let retry = |error: store::Error| Failure::Retry(error.to_string());
        let pool = &self.worker.replies.pool;
        let prompt = match prompt::build(pool, self.conversation, self.reply, self.number).await {
            Ok(Found::Prompt(prompt)) => prompt,
            Ok(Found::Stopping(before)) => return Ok(Some(self.stop(Parts::after(before), None))),
            // The claim was a repeat of one made long ago, which gets its first result again.
            Ok(Found::Over) => return Ok(None),
            Ok(Found::Unknown) => return Err(Failure::Retry("the log does not hold the reply".to_owned())),
            Err(error @ store::Error::Undecodable { .. }) => {
                let error = provider::Error::new(provider::ErrorKind::Invalid, error.to_string());
                return Ok(Some(self.failed(error, Parts::default(), None)));
            }
            Err(error) => return Err(retry(error)),
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
    fn provider(&self) -> Result<(Arc<dyn Provider>, ModelRef), provider::Error> {
        let (model, _) = self.choice()?;
        Ok((self.offer.resolve(&model)?, model))
    }

    /// Streams an answer; how that ended, and what it spent, for all ends but the one that says so itself.
    async fn stream(
        &self,
        prompt: Prompt,
        max_output: Option<u64>,
        told: (&mut Parts, &mut LiveText),
    ) -> (Ended, Option<Spent>) {
        let (provider, model) = match self.provider() {
            Ok(resolved) => resolved,
            Err(error) => return (Ended::Failed(error), None),
        };
        if self.stopped.is_cancelled() {
            return (Ended::Stopped, None);
        }
        if let Some(error) = self.gate.refused.clone() {
            return (Ended::Failed(error), None);
        }
        let mut meter = Meter::new(model.clone(), prompt.began, &prompt.messages).asking_for(max_output);
        let (name, messages) = (model.model().to_owned(), prompt.messages);
        let request = provider::Request { model: name, messages, max_output, ..provider::Request::default() };
        let (mut call, span) =
            (Call::begin(&self.worker.replies.catalog, &model), spans::chat(&model, self.conversation));
        let chunks = continuation::without_echo(self.gate.listen(provider.stream(request)), prompt.before);
        let passing = self.pass_on(chunks, model, told, (&mut call, &mut meter));
        let ended = passing.instrument(span.clone()).await;
        call.ended(ended.name());
        match &ended {
            Ended::Finished(command) => {
                if let Command::CompleteReply { finish, usage, .. } = command.as_ref() {
                    spans::answered(&span, *finish, usage);
                }
            }
            Ended::Failed(error) => {
                call.failed(error);
                spans::failed(&span, error.code());
            }
            _ => {}
        }
        let spent = match &ended {
            Ended::Failed(error) => meter.spent_after(error.kind),
            _ => Some(meter.spent()),
        };
        (ended, spent)
    }

    /// Passes the answer on to whoever listens, until it ends in one way or another.
    async fn pass_on(
        &self,
        mut chunks: BoxStream<'_, Result<Chunk, provider::Error>>,
        model: ModelRef,
        (said, live): (&mut Parts, &mut LiveText),
        (call, meter): (&mut Call, &mut Meter),
    ) -> Ended {
        // Beside the stream, so that a slow Postgres does not hold the text back.
        let mut renewing = pin!(self.keep_lease());
        let end = Instant::now() + MAX_STREAMING;
        loop {
            let due = live.due();
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => return Ended::Stopped,
                () = self.worker.hand_back.cancelled() => return Ended::HandedBack,
                ended = &mut renewing => return ended,
                () = tokio::time::sleep_until(end) => return Ended::Failed(too_slow()),
                () = sleep_until(due) => live.publish().await,
                chunk = chunks.next() => {
                    let piece = match chunk {
                        Some(Ok(piece)) => piece,
                        Some(Err(error)) => return Ended::Failed(error),
                        None => return Ended::Failed(broke_off()),
                    };
                    meter.hear(&piece);
                    if let Chunk::Finished { finish, usage } = piece {
                        call.finished(&usage);
                        let whole = said.whole().map(|said| self.complete((said, model), finish, usage, meter.spent()));
                        return whole.map_or_else(|| Ended::Failed(too_long()), |whole| Ended::Finished(Box::new(whole)));
                    }
                    let (piece, fits) = said.fit(piece);
                    tell(&piece, live, call).await;
                    said.push(piece, &model);
                    if !fits {
                        return Ended::Failed(too_long());
                    }
                }
            }
        }
    }

    /// Renews the lease until it tells that the attempt is over.
    async fn keep_lease(&self) -> Ended {
        let mut known = false;
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.renew().await {
                Some(Standing::Running) => known = true,
                Some(Standing::Stopping) => return Ended::Stopped,
                Some(Standing::Superseded) => return Ended::Superseded,
                // Its conversation was deleted, or the reaper was quicker.
                Some(Standing::Unknown) if known => return Ended::Superseded,
                Some(Standing::Unknown) | None => {}
            }
        }
    }

    async fn renew(&self) -> Option<Standing> {
        let open = OpenReply { conversation: self.conversation, reply: self.reply, attempt: self.number };
        match open_replies::renew(&self.worker.replies.pool, open, ATTEMPT_LEASE).await {
            Ok(standing) => Some(standing),
            Err(error) => {
                tracing::warn!(reply = %self.reply, %error, "an attempt's lease could not be renewed");
                None
            }
        }
    }

    /// Hands the end in, for as long as it may still count; whether it did.
    async fn end(&self, command: Command) -> Result<bool, Failure> {
        let request = self.request("end", command);
        let deadline = Instant::now() + END_DEADLINE;
        loop {
            match self.worker.asking.ask(&request).await {
                Err(Refusal::Unavailable) if Instant::now() < deadline => {
                    self.renew().await;
                }
                Err(Refusal::Unavailable) => return Err(Failure::Retry("the end could not be handed in".to_owned())),
                Err(Refusal::Domain { error: Refused::StaleAttempt | Refused::ReplyEnded }) => {
                    tracing::info!(reply = %self.reply, attempt = self.number, "the attempt no longer counted");
                    return Ok(false);
                }
                Err(refusal) => {
                    tracing::error!(reply = %self.reply, attempt = self.number, %refusal, "the end was refused");
                    return Ok(false);
                }
                Ok(_) => return Ok(true),
            }
        }
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

/// Tells listeners of a piece: the text itself, and of a thought that there is one.
async fn tell(piece: &Chunk, live: &mut LiveText, call: &mut Call) {
    match piece {
        Chunk::Text(text) => {
            call.spoke();
            live.push(text).await;
        }
        Chunk::Reasoning(_) => live.think().await,
        Chunk::ReasoningSignature(_) | Chunk::ToolCall { .. } => live.does_more(),
        Chunk::Usage(_) | Chunk::Finished { .. } => {}
    }
}

fn too_long() -> provider::Error {
    let message = format!("The model said more than {MAX_TEXT_BYTES} bytes; the rest was left out.");
    provider::Error::new(provider::ErrorKind::Protocol, message)
}

fn too_slow() -> provider::Error {
    let message = format!("The answer was not whole after {} minutes.", MAX_STREAMING.as_secs() / 60);
    provider::Error::new(provider::ErrorKind::Protocol, message)
}

fn broke_off() -> provider::Error {
    provider::Error::new(provider::ErrorKind::Interrupted, "The answer broke off.")
}

/// Never, when there is no time to wait for.
async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
