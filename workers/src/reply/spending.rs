//! What an attempt spends: as the provider counts it, or else by an estimate, which says that it is one.
//!
//! The estimate takes a token for every four bytes, of the prompt as of what the model was heard to say; what is too much
//! for English is too little for some other languages. An attempt that no provider took up has spent nothing: it was refused
//! before the model said anything, or never arrived. One that was merely cut or stopped has been taken up, since nobody can
//! tell otherwise. What a provider had counted until then is not estimated: of the prompt it is usually all, of the answer it
//! lacks what came after.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ModelRef;
use domain::conversation::{Part, Spent, Usage};
use sqlx::PgPool;

use super::prompt;
use crate::open_replies::OpenReply;
use crate::provider::price::{self, Price};
use crate::provider::{Chunk, Deadline, ErrorKind, PromptMessage, PromptPart, known};

/// How many bytes count as a token.
const BYTES_PER_TOKEN: usize = 4;
/// As how many bytes an image or a file counts: about what providers make of a page or a screenful.
const MEDIA_BYTES: usize = 1_000 * BYTES_PER_TOKEN;

/// How many bytes count as a token where it is set aside: what is set aside shall be enough. Few texts have more tokens.
const BYTES_PER_TOKEN_SET_ASIDE: usize = 3;
/// From how many bytes a token on, in the mean of an answer, nobody has heeded how long it may be.
const BYTES_PER_LONGEST_TOKEN: usize = 16;
/// What providers count for each message beside what is in it, at most.
const TOKENS_PER_MESSAGE: usize = 8;

/// Counts along with an attempt.
#[derive(Debug)]
pub(super) struct Meter {
    /// What the model costs; none where nobody knows.
    prices: Vec<Price>,
    /// The day whose price holds.
    on: NaiveDate,
    /// Bytes of the prompt, of what the model said, and of what it thought.
    prompt: usize,
    said: usize,
    thought: usize,
    /// The most tokens that the provider was asked for.
    most: Option<u64>,
    /// What the provider said in the end that it counted.
    told: Option<Usage>,
    /// What it had counted before, and how much the model had said and thought by then.
    counted: Option<(Usage, usize, usize)>,
}

impl Meter {
    /// For an attempt whose model costs this, that began then, and asks this.
    pub(super) fn new(prices: Vec<Price>, began: DateTime<Utc>, messages: &[PromptMessage]) -> Self {
        let prompt = messages.iter().flat_map(|message| &message.parts).map(bytes).sum();
        let on = began.date_naive();
        Self { prices, on, prompt, said: 0, thought: 0, most: None, told: None, counted: None }
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
            Chunk::Usage(usage) => self.counted = Some((usage.clone(), self.said, self.thought)),
            Chunk::Finished { usage, .. } => self.told = Some(usage.clone()),
        }
    }

    /// Whether the model has said so much more than it was asked for that its provider cannot have heeded that.
    pub(super) fn is_beyond(&self) -> bool {
        let least = u64::try_from((self.said + self.thought) / BYTES_PER_LONGEST_TOKEN).unwrap_or(u64::MAX);
        self.most.is_some_and(|most| least > most)
    }

    /// What the provider has counted, as far as it has told: in the end, or before the answer broke off.
    pub(super) fn counted(&self) -> Option<&Usage> {
        let before = self.counted.as_ref().map(|(usage, ..)| usage);
        self.told.as_ref().filter(|told| told.is_counted()).or(before)
    }

    /// What a provider that took the attempt up has counted, or is thought to.
    pub(super) fn spent(&self) -> Spent {
        let told = self.told.as_ref().filter(|usage| self.is_whole(usage));
        let usage = told.cloned().unwrap_or_else(|| self.estimate());
        let cost = price::cost(&usage, &self.prices, self.on);
        Spent { usage, cost, estimated: told.is_none() }
    }

    /// What an attempt spent that failed like this; none when no provider took it up.
    pub(super) fn spent_after(&self, failure: ErrorKind) -> Option<Spent> {
        let heard = self.said + self.thought > 0 || self.told.is_some() || self.counted.is_some();
        (heard || is_taken_up(failure)).then(|| self.spent())
    }

    /// Whether a provider has counted all that there is: some tell of the prompt alone, or of the answer alone.
    fn is_whole(&self, usage: &Usage) -> bool {
        let is_silent = self.said == 0 && (self.thought == 0 || usage.reasoning.is_some());
        has_input(usage) && (usage.output.is_some() || is_silent)
    }

    fn estimate(&self) -> Usage {
        let in_the_end = self.told.clone().filter(Usage::is_counted).map(|told| (told, self.said, self.thought));
        let (counted, said, thought) = in_the_end.or_else(|| self.counted.clone()).unwrap_or_default();
        // Without a count of the output, none of it was counted.
        let (said, thought) = if counted.output.is_some() { (said, thought) } else { (0, 0) };
        let (output, reasoning) = (counted.output.unwrap_or(0), counted.reasoning.unwrap_or(0));
        // The provider writes no more than it was asked for, whatever the bytes say.
        let most = self.most.filter(|_| !self.is_beyond()).unwrap_or(u64::MAX);
        let room = most.saturating_sub(output).saturating_sub(reasoning);
        let said = tokens(self.said - said).min(room);
        let thought = tokens(self.thought - thought).min(room - said);
        let (output, reasoning) = (output.saturating_add(said), reasoning.saturating_add(thought));
        Usage {
            input: if has_input(&counted) { counted.input } else { Some(tokens(self.prompt)) },
            output: Some(output),
            reasoning: counted.reasoning.map(|_| reasoning).or(Some(reasoning).filter(|tokens| *tokens > 0)),
            ..counted
        }
    }
}

fn has_input(usage: &Usage) -> bool {
    [usage.input, usage.cached_input, usage.cache_write].iter().any(Option::is_some)
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// The tokens that a prompt has at most, as far as can be told beforehand.
pub(super) fn most_input(messages: &[PromptMessage]) -> u64 {
    let bytes: usize = messages.iter().flat_map(|message| &message.parts).map(bytes).sum();
    let tokens = bytes.div_ceil(BYTES_PER_TOKEN_SET_ASIDE) + messages.len() * TOKENS_PER_MESSAGE;
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// An attempt whose worker was lost.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// The model that it asked.
    pub(crate) model: ModelRef,
    /// What it went on from.
    pub(crate) before: Option<String>,
    /// What it spent, by an estimate.
    pub(crate) spent: Spent,
}

/// An attempt whose worker was lost, judged by what it was last seen to have said. None when it asked no model.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn of_lost(pool: &PgPool, lost: OpenReply, seen: &[Part]) -> Result<Option<Lost>, store::Error> {
    let asked = prompt::asked(pool, lost.conversation, lost.reply, lost.attempt).await?;
    let Some((model, prompt)) = asked else { return Ok(None) };
    let prices = known::model(&model).map(|model| model.prices.clone()).unwrap_or_default();
    let mut meter = Meter::new(prices, prompt.began, &prompt.messages);
    // What it went on from is not its own.
    let before = prompt.before.as_ref().map_or(0, String::len);
    meter.said = seen.iter().map(Part::bytes).sum::<usize>().saturating_sub(before);
    Ok(Some(Lost { model, before: prompt.before, spent: meter.spent() }))
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
    use domain::account;
    use domain::conversation::{Cost, Finish};

    /// What a model of the catalogue costs.
    fn price() -> Price {
        let provider = known::provider("openai").unwrap();
        provider.models.iter().find_map(|model| model.prices.first()).unwrap().clone()
    }

    fn meter(prices: Vec<Price>, on: NaiveDate) -> Meter {
        let prompt = [PromptMessage::text(Role::System, "12345678"), PromptMessage::text(Role::User, "9")];
        Meter::new(prices, on.and_hms_opt(23, 59, 59).unwrap().and_utc(), &prompt)
    }

    fn unpriced() -> Meter {
        meter(Vec::new(), NaiveDate::default())
    }

    fn said(text: &str) -> Chunk {
        Chunk::Text(text.to_owned())
    }

    fn whole(usage: Usage) -> Chunk {
        Chunk::Finished { finish: Finish::Stop, usage }
    }

    #[test]
    fn what_the_provider_counted_counts() {
        let price = price();
        let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
        let mut meter = meter(vec![price.clone()], price.from);
        for piece in [said("many words"), whole(usage.clone())] {
            meter.hear(&piece);
        }
        let micros = (1_000 * price.input + 100 * price.output).div_ceil(1_000_000);
        let cost = Some(Cost { micros, price: price.version });
        assert_eq!(meter.spent(), Spent { usage, cost, estimated: false });
    }

    #[test]
    fn the_price_is_that_of_the_day_on_which_the_attempt_began() {
        let price = price();
        let before = meter(vec![price.clone()], price.from.pred_opt().unwrap()).spent();
        assert_eq!(before.cost, None, "it was not known yet");
    }

    #[test]
    fn a_price_of_ones_own_is_reckoned_with() {
        let own = account::Price { input: 1_000_000, output: 2_000_000, ..account::Price::default() };
        let mut meter = meter(vec![Price::from(own)], price().from);
        meter.hear(&whole(Usage { input: Some(10), output: Some(1), ..Usage::default() }));
        assert_eq!(meter.spent().cost, Some(Cost { micros: 12, price: "configured".to_owned() }));
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
        assert_eq!(estimate(1), (Some(1), None));
    }

    #[test]
    fn a_provider_that_does_not_heed_what_was_asked_for_is_not_believed() {
        let mut meter = unpriced().asking_for(Some(4));
        meter.hear(&said(&"x".repeat(4 * BYTES_PER_LONGEST_TOKEN)));
        assert_eq!((meter.is_beyond(), meter.spent().usage.output), (false, Some(4)), "its tokens may be long");
        meter.hear(&said(&"x".repeat(BYTES_PER_LONGEST_TOKEN)));
        assert_eq!((meter.is_beyond(), meter.spent().usage.output), (true, Some(20)));
        assert!(!unpriced().is_beyond());
    }

    #[test]
    fn what_is_counted_in_part_is_estimated_in_part_and_says_so() {
        let spent = |usage: Usage, pieces: &[Chunk]| {
            let mut meter = unpriced();
            for piece in pieces {
                meter.hear(piece);
            }
            meter.hear(&whole(usage));
            let Spent { usage, estimated, .. } = meter.spent();
            (usage.input, usage.output, usage.reasoning, estimated)
        };
        let (input, output) = (Some(9), Some(7));
        let words = [said("12345")];
        assert_eq!(spent(Usage { input, ..Usage::default() }, &words), (Some(9), Some(2), None, true));
        assert_eq!(spent(Usage { output, ..Usage::default() }, &words), (Some(3), Some(7), None, true));
        assert_eq!(spent(Usage { input, output, ..Usage::default() }, &words), (Some(9), Some(7), None, false));
        assert_eq!(spent(Usage { input, ..Usage::default() }, &[]), (Some(9), None, None, false));
        let (thought, reasoning) = ([Chunk::Reasoning("1234".to_owned())], Some(5));
        assert_eq!(spent(Usage { input, ..Usage::default() }, &thought), (Some(9), Some(0), Some(1), true));
        let told = Usage { input, reasoning, ..Usage::default() };
        assert_eq!(spent(told, &thought), (Some(9), None, Some(5), false));
    }

    #[test]
    fn what_is_set_aside_for_a_prompt_is_more_than_its_estimate() {
        let prompt = [PromptMessage::text(Role::System, "123456789"), PromptMessage::text(Role::User, "1")];
        assert_eq!(most_input(&prompt), 4 + 2 * 8);
    }

    #[test]
    fn what_was_counted_before_a_cut_is_not_estimated() {
        let counted = |usage: Usage| {
            let mut meter = unpriced();
            for piece in [said("1234"), Chunk::Reasoning("1234".to_owned()), Chunk::Usage(usage), said("12345678")] {
                meter.hear(&piece);
            }
            assert!(meter.spent().estimated);
            meter.spent().usage
        };
        // As Anthropic begins: the prompt is counted, and next to nothing else.
        let usage = Usage { cached_input: Some(50), output: Some(1), raw: Some("{}".to_owned()), ..Usage::default() };
        assert_eq!(counted(usage.clone()), Usage { output: Some(3), ..usage });
        // As Gemini goes on: all until then.
        let usage = Usage { input: Some(9), output: Some(7), reasoning: Some(30), ..Usage::default() };
        assert_eq!(counted(usage.clone()), Usage { output: Some(9), ..usage });
        // The prompt alone, or the answer alone.
        let (input, output) = (Some(9), Some(7));
        let all = Usage { input, output: Some(3), reasoning: Some(1), ..Usage::default() };
        assert_eq!(counted(Usage { input, ..Usage::default() }), all);
        let rest = Usage { input: Some(3), output: Some(9), ..Usage::default() };
        assert_eq!(counted(Usage { output, ..Usage::default() }), rest);
    }

    #[test]
    fn a_provider_that_counts_has_taken_the_attempt_up() {
        let mut meter = unpriced();
        meter.hear(&Chunk::Usage(Usage { input: Some(9), ..Usage::default() }));
        assert_eq!(meter.spent_after(ErrorKind::Overload).unwrap().usage.input, Some(9));
        // The last count is the one that holds.
        meter.hear(&whole(Usage { input: Some(8), ..Usage::default() }));
        assert_eq!((meter.spent().usage.input, meter.spent().estimated), (Some(8), false));
    }

    #[test]
    fn what_was_counted_last_is_what_the_provider_counted() {
        let mut meter = unpriced();
        meter.hear(&said("a"));
        assert_eq!(meter.counted(), None, "an estimate is no count");
        let usage = |input| Usage { input: Some(input), ..Usage::default() };
        for (piece, counted) in [
            (Chunk::Usage(usage(9)), 9),
            (Chunk::Usage(usage(8)), 8),
            (whole(Usage { raw: Some("{}".to_owned()), ..Usage::default() }), 8),
            (whole(usage(7)), 7),
        ] {
            meter.hear(&piece);
            assert_eq!(meter.counted(), Some(&usage(counted)), "{piece:?}");
        }
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
