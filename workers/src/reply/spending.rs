//! What an attempt spends: as the provider counts it, or else by an estimate, which says that it is one.
//!
//! The estimate takes a token for every four bytes, of the prompt as of what the model was heard to say; what is too much
//! for English is too little for some other languages. An attempt that no provider took up has spent nothing: it was refused
//! before the model said anything, or never arrived. One that was merely cut or stopped has been taken up, since nobody can
//! tell otherwise.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ModelRef;
use domain::conversation::{Part, Spent, Usage};
use sqlx::PgPool;

use super::prompt;
use crate::open_replies::OpenReply;
use crate::provider::{Chunk, Deadline, ErrorKind, PromptMessage, PromptPart, known, price};

/// How many bytes count as a token.
const BYTES_PER_TOKEN: usize = 4;
/// As how many bytes an image or a file counts: about what providers make of a page or a screenful.
const MEDIA_BYTES: usize = 1_000 * BYTES_PER_TOKEN;

/// How many bytes count as a token where it is set aside: what is set aside shall be enough. Few texts have more tokens.
const BYTES_PER_TOKEN_SET_ASIDE: usize = 3;
/// What providers count for each message beside what is in it, at most.
const TOKENS_PER_MESSAGE: usize = 8;

/// Counts along with an attempt.
#[derive(Debug)]
pub(super) struct Meter {
    model: ModelRef,
    /// The day whose price holds.
    on: NaiveDate,
    /// Bytes of the prompt, of what the model said, and of what it thought.
    prompt: usize,
    said: usize,
    thought: usize,
    /// The most tokens that the provider was asked for.
    most: Option<u64>,
    /// What the provider said that it counted.
    told: Option<Usage>,
}

impl Meter {
    /// For an attempt that began then and asks this.
    pub(super) fn new(model: ModelRef, began: DateTime<Utc>, messages: &[PromptMessage]) -> Self {
        let prompt = messages.iter().flat_map(|message| &message.parts).map(bytes).sum();
        Self { model, on: began.date_naive(), prompt, said: 0, thought: 0, most: None, told: None }
    }

    /// For one that asks for no longer an answer than this.
    pub(super) fn asking_for(self, most: Option<u64>) -> Self {
        Self { most, ..self }
    }

    /// Hears a piece of the answer.
    pub(super) fn hear(&mut self, piece: &Chunk) {
        match piece {
            Chunk::Text(text) => self.said += text.len(),
            Chunk::Reasoning(text) => self.thought += text.len(),
            Chunk::ReasoningSignature(_) => {}
            Chunk::ToolCall { name, arguments, .. } => self.said += name.len() + arguments.len(),
            Chunk::Finished { usage, .. } => self.told = Some(usage.clone()),
        }
    }

    /// What a provider that took the attempt up has counted, or is thought to.
    pub(super) fn spent(&self) -> Spent {
        let told = self.told.as_ref().filter(|usage| is_counted(usage));
        let usage = told.cloned().unwrap_or_else(|| self.estimate());
        let prices = known::model(&self.model).map_or(&[][..], |model| &model.prices);
        let cost = price::cost(&usage, prices, self.on);
        Spent { usage, cost, estimated: told.is_none() }
    }

    /// What an attempt spent that failed like this; none when no provider took it up.
    pub(super) fn spent_after(&self, failure: ErrorKind) -> Option<Spent> {
        let heard = self.said + self.thought > 0 || self.told.is_some();
        (heard || is_taken_up(failure)).then(|| self.spent())
    }

    fn estimate(&self) -> Usage {
        let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        let most = self.most.unwrap_or(u64::MAX);
        let output = tokens(self.said).min(most);
        let reasoning = (self.thought > 0).then(|| tokens(self.thought).min(most - output));
        Usage { input: Some(tokens(self.prompt)), output: Some(output), reasoning, ..Usage::default() }
    }
}

/// The tokens that a prompt has at most, as far as can be told beforehand.
pub(super) fn most_input(messages: &[PromptMessage]) -> u64 {
    let bytes: usize = messages.iter().flat_map(|message| &message.parts).map(bytes).sum();
    let tokens = bytes.div_ceil(BYTES_PER_TOKEN_SET_ASIDE) + messages.len() * TOKENS_PER_MESSAGE;
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// What an attempt spent whose worker was lost, judged by what it was last seen to have said. None when it asked no model.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn of_lost(pool: &PgPool, lost: OpenReply, seen: &[Part]) -> Result<Option<Spent>, store::Error> {
    let asked = prompt::asked(pool, lost.conversation, lost.reply, lost.attempt).await?;
    let Some((model, began, messages)) = asked else { return Ok(None) };
    let mut meter = Meter::new(model, began, &messages);
    meter.said = seen.iter().map(Part::bytes).sum();
    Ok(Some(meter.spent()))
}

/// Whether a provider that failed like this, before the model said anything, may have read the prompt all the same.
fn is_taken_up(failure: ErrorKind) -> bool {
    match failure {
        ErrorKind::Timeout(Deadline::FirstToken | Deadline::BetweenTokens)
        | ErrorKind::Interrupted
        | ErrorKind::Protocol => true,
        ErrorKind::Timeout(Deadline::Connect)
        | ErrorKind::Auth
        | ErrorKind::Quota
        | ErrorKind::Rate
        | ErrorKind::Overload
        | ErrorKind::Invalid
        | ErrorKind::UnknownModel
        | ErrorKind::ContextTooLong
        | ErrorKind::ContentFilter
        | ErrorKind::Network => false,
    }
}

fn is_counted(usage: &Usage) -> bool {
    let Usage { input, cached_input, cache_write, output, reasoning, raw: _ } = usage;
    [input, cached_input, cache_write, output, reasoning].into_iter().any(Option::is_some)
}

fn bytes(part: &PromptPart) -> usize {
    match part {
        PromptPart::Text(text) => text.len(),
        PromptPart::Reasoning(thought) => thought.text.len(),
        PromptPart::ToolCall(call) => call.name.len() + call.arguments.len(),
        PromptPart::ToolResult(result) => result.content.len(),
        PromptPart::Media(_) => MEDIA_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Role;
    use domain::conversation::{Cost, Finish};

    /// A model of the catalogue, with what it costs for so much input and output.
    fn priced() -> (ModelRef, price::Price) {
        let provider = known::provider("openai").unwrap();
        let model = provider.models.iter().find(|model| !model.prices.is_empty()).unwrap();
        (format!("openai/{}", model.id).parse().unwrap(), model.prices[0].clone())
    }

    fn meter(model: ModelRef, on: NaiveDate) -> Meter {
        let prompt = [PromptMessage::text(Role::System, "12345678"), PromptMessage::text(Role::User, "9")];
        Meter::new(model, on.and_hms_opt(23, 59, 59).unwrap().and_utc(), &prompt)
    }

    fn unpriced() -> Meter {
        meter("nobody/knows".parse().unwrap(), NaiveDate::default())
    }

    fn said(text: &str) -> Chunk {
        Chunk::Text(text.to_owned())
    }

    fn whole(usage: Usage) -> Chunk {
        Chunk::Finished { finish: Finish::Stop, usage }
    }

    #[test]
    fn what_the_provider_counted_counts() {
        let (model, price) = priced();
        let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
        let mut meter = meter(model, price.from);
        for piece in [said("many words"), whole(usage.clone())] {
            meter.hear(&piece);
        }
        let micros = (1_000 * price.input + 100 * price.output).div_ceil(1_000_000);
        let cost = Some(Cost { micros, price: price.version });
        assert_eq!(meter.spent(), Spent { usage, cost, estimated: false });
    }

    #[test]
    fn the_price_is_that_of_the_day_on_which_the_attempt_began() {
        let (model, price) = priced();
        let before = meter(model, price.from.pred_opt().unwrap()).spent();
        assert_eq!(before.cost, None, "it was not known yet");
    }

    #[test]
    fn what_nobody_counted_is_estimated_and_says_so() {
        let mut meter = unpriced();
        let call = Chunk::ToolCall {
            id: "not counted".to_owned(),
            name: "t".to_owned(),
            arguments: "{}".to_owned(),
            signature: Some("not counted".to_owned()),
        };
        for piece in [said("12345"), Chunk::Reasoning("1234".to_owned()), call] {
            meter.hear(&piece);
        }
        let usage = Usage { input: Some(3), output: Some(2), reasoning: Some(1), ..Usage::default() };
        let estimate = Spent { usage, cost: None, estimated: true };
        assert_eq!(meter.spent(), estimate);
        // A provider whose usage holds no number has said nothing.
        meter.hear(&whole(Usage { raw: Some("{}".to_owned()), ..Usage::default() }));
        assert_eq!(meter.spent(), estimate);
    }

    #[test]
    fn an_estimate_is_no_longer_than_what_was_asked_for() {
        let estimate = |most| {
            let mut meter = unpriced().asking_for(Some(most));
            for piece in [said("12345678"), Chunk::Reasoning("12345678".to_owned())] {
                meter.hear(&piece);
            }
            let usage = meter.spent().usage;
            (usage.output, usage.reasoning)
        };
        assert_eq!(estimate(4), (Some(2), Some(2)));
        assert_eq!(estimate(3), (Some(2), Some(1)));
        assert_eq!(estimate(1), (Some(1), Some(0)));
    }

    #[test]
    fn what_is_set_aside_for_a_prompt_is_more_than_its_estimate() {
        let prompt = [PromptMessage::text(Role::System, "123456789"), PromptMessage::text(Role::User, "1")];
        assert_eq!(most_input(&prompt), 4 + 2 * 8);
    }

    #[test]
    fn what_no_provider_took_up_spent_nothing() {
        for (failure, taken_up) in [
            (ErrorKind::Network, false),
            (ErrorKind::Rate, false),
            (ErrorKind::Auth, false),
            (ErrorKind::Timeout(Deadline::Connect), false),
            (ErrorKind::Timeout(Deadline::FirstToken), true),
            (ErrorKind::Interrupted, true),
        ] {
            let mut meter = unpriced();
            assert_eq!(meter.spent_after(failure).is_some(), taken_up, "{failure:?}");
            meter.hear(&said("a"));
            assert!(meter.spent_after(failure).is_some(), "{failure:?} after a word");
        }
    }
}
