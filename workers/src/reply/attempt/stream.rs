//! The call of an attempt: what the model says is passed on as it comes.

use std::pin::pin;
use std::time::Duration;

use domain::ModelRef;
use domain::conversation::{Command, Finish, Spent, Usage};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::Instant;
use tracing::Instrument;

use super::{Attempt, Ended};
use crate::metrics::Call;
use crate::provider::{self, Chunk, Connected};
use crate::reply::live_text::LiveText;
use crate::reply::parts::{MAX_TEXT_BYTES, Parts};
use crate::reply::prompt::Prompt;
use crate::reply::spending::Meter;
use crate::reply::{continuation, spans};

/// How long an attempt may stream: a provider that says a word now and then would never end by its own deadlines.
const MAX_STREAMING: Duration = Duration::from_mins(30);

impl Attempt<'_> {
    /// Streams an answer; how that ended, and what it spent, for all ends but the one that says so itself.
    pub(super) async fn stream(
        &self,
        prompt: Prompt,
        max_output: Option<u64>,
        told: (&mut Parts, &mut LiveText),
    ) -> (Ended, Option<Spent>) {
        let (connected, model) = match self.may_ask() {
            Ok(may_ask) => may_ask,
            Err(ended) => {
                self.unasked(if matches!(ended, Ended::Stopped) { "stopped" } else { "refused" });
                return (ended, None);
            }
        };
        let mut meter = self.meter(&model, &prompt, max_output);
        let (name, messages) = (model.model().to_owned(), prompt.messages);
        // A conversation is read again with every question.
        let request =
            provider::Request { model: name, messages, max_output, cache: true, ..provider::Request::default() };
        let mut call = Call::begin(self.offer.names(&model));
        let span = spans::chat(&model, &connected.config, self.conversation, max_output);
        let chunks = continuation::without_echo(self.gate.listen(connected.provider.stream(request)), prompt.before);
        let passing = self.pass_on(chunks, model, told, (&mut call, &mut meter));
        let ended = passing.instrument(span.clone()).await;
        call.ended(ended.name());
        if let Some(usage) = meter.counted() {
            call.counted(usage);
        }
        match &ended {
            Ended::Finished(command) => {
                if let Command::CompleteReply { finish, usage, .. } = command.as_ref() {
                    spans::answered(&span, *finish, usage);
                }
            }
            Ended::Failed(error) => {
                call.failed(error);
                nats::trace::failed(&span, error.code());
            }
            _ => {}
        }
        let spent = match &ended {
            Ended::Failed(error) => meter.spent_after(error.kind),
            _ => Some(meter.spent()),
        };
        (ended, spent)
    }

    /// The provider and the model that may be asked; else how the attempt ends.
    fn may_ask(&self) -> Result<(Connected, ModelRef), Ended> {
        let found = self.provider().map_err(Ended::Failed)?;
        if self.stopped.is_cancelled() {
            return Err(Ended::Stopped);
        }
        self.gate.refused.clone().map_or(Ok(found), |error| Err(Ended::Failed(error)))
    }

    fn meter(&self, model: &ModelRef, prompt: &Prompt, max_output: Option<u64>) -> Meter {
        Meter::new(self.offer.terms(model).prices, prompt.began, &prompt.messages).asking_for(max_output)
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
                () = tokio::time::sleep_until(end) => return self.cut(model, said, meter),
                () = sleep_until(due) => live.act().await,
                chunk = chunks.next() => {
                    let piece = match chunk {
                        Some(Ok(piece)) => piece,
                        Some(Err(error)) => return Ended::Failed(error),
                        None => return Ended::Failed(broke_off()),
                    };
                    meter.hear(&piece);
                    if let Chunk::Finished { finish, usage } = piece {
                        call.finished();
                        let whole = said.whole().map(|said| self.complete((said, model), finish, usage, meter.spent()));
                        return whole.map_or_else(|| Ended::Failed(too_long()), |whole| Ended::Finished(Box::new(whole)));
                    }
                    let (piece, fits) = said.fit(piece);
                    tell(&piece, live, call).await;
                    said.push(piece, &model);
                    if !fits || meter.is_beyond() {
                        return self.cut(model, said, meter);
                    }
                }
            }
        }
    }

    /// Ends an answer that takes too long, or more than was asked for, with what there is of it.
    fn cut(&self, model: ModelRef, said: &mut Parts, meter: &Meter) -> Ended {
        match said.whole() {
            Some(said) if !said.is_empty() => {
                let end = self.complete((said, model), Finish::Length, Usage::default(), meter.spent());
                Ended::Finished(Box::new(end))
            }
            Some(_) => Ended::Failed(too_slow()),
            None => Ended::Failed(too_long()),
        }
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
