//! The end of an attempt: the commands that say it, and handing one in.

use std::time::Duration;

use domain::ModelRef;
use domain::conversation::{Command, Error, Finish, Part, ReplyError, Spent, Usage};
use nats::consume::Failure;
use store::writer::Refusal;
use tokio::time::Instant;

use super::Attempt;
use crate::budget::Refused;
use crate::provider;
use crate::reply::choice::Next;
use crate::reply::parts::Parts;

/// How long an attempt that has its answer tries to hand it in.
const END_DEADLINE: Duration = Duration::from_mins(2);

impl Attempt<'_> {
    /// Ends it with a whole answer.
    pub(super) fn complete(
        &self,
        (parts, model): (Vec<Part>, ModelRef),
        finish: Finish,
        usage: Usage,
        spent: Spent,
    ) -> Command {
        let (reply, attempt, spent) = (self.reply, self.number, Some(spent));
        Command::CompleteReply { reply, attempt, parts, finish, model, usage, spent }
    }

    /// Ends it without: what follows is decided here.
    pub(super) fn failed(&self, error: provider::Error, said: Parts, spent: Option<Spent>) -> Command {
        let next = self.next(&error);
        // What the provider did not take is not what it takes next time.
        let may_go_on = next == Next::Retry && error.is_retryable();
        let wait = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Command::FailReply {
            reply: self.reply,
            attempt: self.number,
            error: error.into(),
            retry: next != Next::GiveUp,
            switch: next == Next::Switch,
            retry_after_ms: wait.filter(|_| next == Next::Retry),
            continuable: may_go_on && self.is_continuable(&said),
            parts: said.so_far(),
            spent,
        }
    }

    fn is_continuable(&self, said: &Parts) -> bool {
        self.model().is_some_and(|(model, _)| said.are_continuable(&model))
    }

    fn next(&self, error: &provider::Error) -> Next {
        let alternatives = self.offer.alternatives(self.asked.model.as_ref());
        match (alternatives, self.model()) {
            (Ok((alternatives, _)), Some((model, _))) => self.asked.tried.next(&model, error, alternatives),
            _ => Next::GiveUp,
        }
    }

    /// Ends one that a limit keeps from asking its model. The reply ends with it: another model would be asked for the same
    /// person. What an attempt had said that it would have gone on from is kept.
    pub(super) fn refused(&self, refused: Refused, before: Option<String>) -> Command {
        self.without_answer(refused.into(), Parts::after(before), None)
    }

    /// Ends an attempt whose reply is stopping: the aggregate makes a stop of it.
    pub(super) fn stop(&self, said: Parts, spent: Option<Spent>) -> Command {
        self.without_answer(ReplyError::new("stopped", "The reply was stopped."), said, spent)
    }

    fn without_answer(&self, error: ReplyError, said: Parts, spent: Option<Spent>) -> Command {
        Command::FailReply {
            reply: self.reply,
            attempt: self.number,
            error,
            retry: false,
            switch: false,
            retry_after_ms: None,
            parts: said.so_far(),
            continuable: false,
            spent,
        }
    }

    /// Ends it so that another worker goes on at once.
    pub(super) fn hand_back(&self, said: Parts, spent: Option<Spent>) -> Command {
        let continuable = self.is_continuable(&said);
        Command::ExpireAttempt { reply: self.reply, attempt: self.number, parts: said.so_far(), continuable, spent }
    }

    /// Hands the end in, for as long as it may still count; whether it did.
    pub(super) async fn end(&self, command: Command) -> Result<bool, Failure> {
        let request = self.request("end", command);
        let deadline = Instant::now() + END_DEADLINE;
        loop {
            match self.worker.asking.ask(&request).await {
                Err(Refusal::Unavailable) if Instant::now() < deadline => {
                    self.renew().await;
                }
                Err(Refusal::Unavailable) => return Err(Failure::Retry("the end could not be handed in".to_owned())),
                Err(Refusal::Domain { error: Error::StaleAttempt | Error::ReplyEnded }) => {
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
}
