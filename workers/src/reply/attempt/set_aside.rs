//! Before a model is asked: whether the limits of who asked leave room for it, and for how long an answer.

use std::time::Duration;

use domain::ModelRef;
use domain::account::Limits;
use domain::conversation::Command;
use nats::consume::Failure;
use store::Position;
use tokio::time::{Instant, sleep};

use super::Attempt;
use crate::budget::{Granted, Refused, Until, Wanted};
use crate::ledger::{self, Claimed};
use crate::metrics;
use crate::open_replies::OpenReply;
use crate::provider::{self, known};
use crate::reply::parts::Parts;
use crate::reply::prompt::Prompt;
use crate::reply::spending;

/// What has ended in the log holds its room until it was taken in, which takes a moment: for so long a refusal that is over when
/// a reply ends is not believed, and looked at again so often.
const SETTLING: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Attempt<'_> {
    /// Sets aside what the call can take; gives the most tokens that the model may write, or how the attempt ends instead.
    pub(super) async fn set_aside(
        &self,
        prompt: &Prompt,
        claimed_at: Position,
    ) -> Result<Result<Option<u64>, Command>, Failure> {
        let (Some(person), Some((model, _))) = (&self.asked.by, self.model()) else { return Ok(Ok(None)) };
        let limits = self.offer.limits(model.provider());
        // Nobody is asked either where a breaker is open.
        if limits == Limits::default() || self.gate.refused.is_some() {
            return Ok(Ok(None));
        }
        let terms = self.offer.terms(&model);
        if limits.are_of_money() && terms.prices.is_empty() && known::charges(model.provider()) {
            self.unasked("refused");
            return Ok(Err(self.failed(unpriced(&model), Parts::after(prompt.before.clone()), None)));
        }
        let wanted = Wanted {
            input: spending::most_input(&prompt.messages),
            can_write: terms.max_output,
            prices: &terms.prices,
            on: prompt.began.date_naive(),
        };
        let attempt = OpenReply { conversation: self.conversation, reply: self.reply, attempt: self.number };
        let claimed = Claimed { attempt, position: claimed_at, account: person.account() };
        match self.grant(&claimed, &limits, &wanted).await {
            Ok(Ok(granted)) => Ok(Ok(granted.max_output)),
            Ok(Err(refused)) => {
                metrics::refused(refused.limit);
                self.unasked("refused");
                Ok(Err(self.refused(refused, prompt.before.clone())))
            }
            // It is asked again with the same claim, or the attempt expires.
            Err(error) => Err(Failure::Retry(error.to_string())),
        }
    }

    async fn grant(
        &self,
        claimed: &Claimed,
        limits: &Limits,
        wanted: &Wanted<'_>,
    ) -> Result<Result<Granted, Refused>, sqlx::Error> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let granted = ledger::set_aside(&self.worker.replies.pool, claimed, limits, wanted).await?;
            let may_settle = granted.is_err_and(|refused| refused.until == Until::ReplyEnds);
            if !may_settle || self.stopped.is_cancelled() || Instant::now() >= deadline {
                return Ok(granted);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Nobody knows what it costs, and it does not cost nothing: no limit of money could hold.
fn unpriced(model: &ModelRef) -> provider::Error {
    let message = format!(
        "Nobody knows what {model} costs, so that a limit of money could not hold: choose another model, or say its price in the \
         settings of its provider."
    );
    provider::Error::new(provider::ErrorKind::UnknownModel, message)
}
