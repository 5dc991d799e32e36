//! What a person's limits leave room for: how much is set aside for a call, or which limit keeps it from being made. Pure;
//! what they have used is in the [`ledger`](crate::ledger).

#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike, Days, DurationRound, Months, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::account::{Limit, Limits};
use domain::conversation::{LimitReached, ReplyError};

use crate::provider::price::{self, Price};

/// The shortest answer that a model is asked for, in tokens: what would be cut off sooner helps nobody.
const LEAST_OUTPUT: u64 = 256;
/// The longest that is set aside for, in tokens: one answer shall not take the room of all others.
const MOST_OUTPUT: u64 = 16_384;
/// The longest of a model of which nobody knows how much it can write.
const USUAL_OUTPUT: u64 = 4_096;

/// How much of what is limited something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) micro_usd: u64,
    pub(crate) tokens: u64,
}

/// What a person has used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) now: DateTime<Utc>,
    /// What ended attempts spent.
    pub(crate) today: Amount,
    pub(crate) this_month: Amount,
    /// What is set aside for those under way, and how many they are.
    pub(crate) set_aside: Amount,
    pub(crate) running: u64,
    /// The calls of this minute.
    pub(crate) calls: u64,
}

/// A call that shall be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The tokens that its prompt has at most.
    pub(crate) input: u64,
    /// The tokens that the model can write, if that is known.
    pub(crate) can_write: Option<u64>,
    /// What its model costs, and when. One without a price costs nothing: so do models on people's own machines.
    pub(crate) prices: &'a [Price],
    pub(crate) on: NaiveDate,
}

/// A call that may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    /// What it takes at most.
    pub(crate) set_aside: Amount,
    /// The most tokens that the model may write; none when nothing limits that.
    pub(crate) max_output: Option<u64>,
}

/// A call that may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) limit: Limit,
    /// What it allows.
    pub(crate) amount: u64,
    pub(crate) until: Until,
}

/// When a limit has room again; what takes longer is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// When one of the replies that run has ended.
    ReplyEnds,
    /// Then.
    Time(DateTime<Utc>),
    /// Never for this: it takes more than the whole limit.
    Never,
}

/// Sets aside what the limits leave room for. Of several limits that refuse, the one that does so the longest is told.
pub(crate) fn grant(limits: &Limits, used: &Used, wanted: &Wanted<'_>) -> Result<Granted, Refused> {
    let mut most = wanted.can_write.unwrap_or(USUAL_OUTPUT).clamp(1, MOST_OUTPUT);
    let mut fits = LEAST_OUTPUT.min(most);
    if let Some(refused) = lines(limits, used, wanted.takes(fits)).filter_map(Line::refuses).max_by_key(|it| it.until) {
        return Err(refused);
    }
    if !limits_amounts(limits) {
        return Ok(Granted::default());
    }
    while fits < most {
        let middle = fits + (most - fits).div_ceil(2);
        if lines(limits, used, wanted.takes(middle)).all(|line| line.fits()) {
            fits = middle;
        } else {
            most = middle - 1;
        }
    }
    Ok(Granted { set_aside: wanted.takes(fits), max_output: Some(fits) })
}

/// Whether it matters how much a call takes.
fn limits_amounts(limits: &Limits) -> bool {
    let Limits { micro_usd_per_day, micro_usd_per_month, tokens_per_day, tokens_per_month, .. } = limits;
    [micro_usd_per_day, micro_usd_per_month, tokens_per_day, tokens_per_month].into_iter().any(Option::is_some)
}

impl Wanted<'_> {
    /// What it takes with so much output.
    fn takes(&self, output: u64) -> Amount {
        let micro_usd = price::most(self.input, output, self.prices, self.on).unwrap_or(0);
        Amount { micro_usd, tokens: self.input.saturating_add(output) }
    }
}

/// A limit, and what there is of what it limits.
#[derive(Clone, Copy)]
struct Line {
    limit: Limit,
    allowed: u64,
    /// What comes back at `resets_at`, and what when replies end.
    spent: u64,
    set_aside: u64,
    /// What the call would take.
    takes: u64,
    resets_at: DateTime<Utc>,
}

impl Line {
    fn fits(&self) -> bool {
        self.spent.saturating_add(self.set_aside).saturating_add(self.takes) <= self.allowed
    }

    fn refuses(self) -> Option<Refused> {
        if self.fits() {
            return None;
        }
        let until = if self.takes > self.allowed {
            Until::Never
        } else if self.spent.saturating_add(self.takes) <= self.allowed {
            Until::ReplyEnds
        } else {
            Until::Time(self.resets_at)
        };
        Some(Refused { limit: self.limit, amount: self.allowed, until })
    }
}

/// The limits that are set.
fn lines(limits: &Limits, used: &Used, takes: Amount) -> impl Iterator<Item = Line> {
    let (day, month, minute) = (next_day(used.now), next_month(used.now), next_minute(used.now));
    let money = |limit, allowed, spent: Amount, resets_at| {
        let (spent, set_aside) = (spent.micro_usd, used.set_aside.micro_usd);
        Some(Line { limit, allowed: allowed?, spent, set_aside, takes: takes.micro_usd, resets_at })
    };
    let tokens = |limit, allowed, spent: Amount, resets_at| {
        let (spent, set_aside) = (spent.tokens, used.set_aside.tokens);
        Some(Line { limit, allowed: allowed?, spent, set_aside, takes: takes.tokens, resets_at })
    };
    let count = |limit, allowed: Option<u32>, spent, set_aside| {
        Some(Line { limit, allowed: allowed?.into(), spent, set_aside, takes: 1, resets_at: minute })
    };
    let lines = [
        money(Limit::MicroUsdPerMonth, limits.micro_usd_per_month, used.this_month, month),
        money(Limit::MicroUsdPerDay, limits.micro_usd_per_day, used.today, day),
        tokens(Limit::TokensPerMonth, limits.tokens_per_month, used.this_month, month),
        tokens(Limit::TokensPerDay, limits.tokens_per_day, used.today, day),
        count(Limit::RequestsPerMinute, limits.requests_per_minute, used.calls, 0),
        count(Limit::ConcurrentReplies, limits.concurrent_replies, 0, used.running),
    ];
    lines.into_iter().flatten()
}

/// The minute that a time is in.
pub(crate) fn minute(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now)
}

fn next_minute(now: DateTime<Utc>) -> DateTime<Utc> {
    minute(now) + TimeDelta::minutes(1)
}

fn next_day(now: DateTime<Utc>) -> DateTime<Utc> {
    let day = now.date_naive();
    day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN).and_utc()
}

fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let day = now.date_naive();
    let first = day.with_day(1).unwrap_or(day);
    first.checked_add_months(Months::new(1)).unwrap_or(first).and_time(NaiveTime::MIN).and_utc()
}

impl From<Refused> for ReplyError {
    fn from(refused: Refused) -> Self {
        let Refused { limit, amount, until } = refused;
        let what = match limit {
            Limit::MicroUsdPerDay => format!("{} a day", usd(amount)),
            Limit::MicroUsdPerMonth => format!("{} a month", usd(amount)),
            Limit::TokensPerDay => format!("{amount} tokens a day"),
            Limit::TokensPerMonth => format!("{amount} tokens a month"),
            Limit::RequestsPerMinute => format!("{amount} requests a minute"),
            Limit::ConcurrentReplies => format!("{amount} replies at once"),
        };
        let message = match until {
            Until::ReplyEnds => {
                format!("The limit of {what} is reached. There is room again when a reply that runs has ended.")
            }
            Until::Time(time) => {
                format!("The limit of {what} is reached. It resets on {}.", time.format("%Y-%m-%d at %H:%M UTC"))
            }
            Until::Never => format!("The limit of {what} is too low for this request."),
        };
        let resets_at = match until {
            Until::Time(time) => Some(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Until::ReplyEnds | Until::Never => None,
        };
        Self { limit: Some(LimitReached { name: limit, amount, resets_at }), ..Self::new("limit", message) }
    }
}

/// Micro-USD as people write them: with cents, and as much more as there is.
fn usd(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let rest = format!("{rest:06}");
    let (cents, finer) = rest.split_at(2);
    format!("${whole}.{cents}{}", finer.trim_end_matches('0'))
}
