//! Before a model is asked: whether the limits of who asked leave room for it, and for how long an answer.

use domain::account::Limits;
use domain::conversation::Command;
use nats::consume::Failure;
use store::Position;

use super::Attempt;
use crate::budget::Wanted;
use crate::ledger::{self, Claimed};
use crate::metrics;
use crate::open_replies::OpenReply;
use crate::reply::prompt::Prompt;
use crate::reply::spending;

impl Attempt<'_> {
    /// Sets aside what the call can take; gives the most tokens that the model may write, or how the attempt ends instead.
    pub(super) async fn set_aside(
        &self,
        prompt: &Prompt,
        claimed_at: Position,
    ) -> Result<Result<Option<u64>, Command>, Failure> {
        let (Some(person), Some((model, _))) = (&self.asked.by, self.model()) else { return Ok(Ok(None)) };
        let limits = self.offer.limits();
        // Nobody is asked either where a breaker is open.
        if limits == Limits::default() || self.gate.refused.is_some() {
            return Ok(Ok(None));
        }
        let terms = self.offer.terms(&model);
        let wanted = Wanted {
            input: spending::most_input(&prompt.messages),
            can_write: terms.max_output,
            prices: &terms.prices,
            on: prompt.began.date_naive(),
        };
        let attempt = OpenReply { conversation: self.conversation, reply: self.reply, attempt: self.number };
        let claimed = Claimed { attempt, position: claimed_at, account: person.account() };
        match ledger::set_aside(&self.worker.replies.pool, &claimed, &limits, &wanted).await {
            Ok(Ok(granted)) => Ok(Ok(granted.max_output)),
            Ok(Err(refused)) => {
                metrics::refused(refused.limit);
                Ok(Err(self.refused(refused, prompt.before.clone())))
            }
            // It is asked again with the same claim, or the attempt expires.
            Err(error) => Err(Failure::Retry(error.to_string())),
        }
    }
}
