use proptest::option;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A model that costs a micro-USD a token of input and ten a token of output.
fn prices() -> Vec<Price> {
    let price = r#"{"from":"2026-01-01","version":"v","input":1000000,"output":10000000}"#;
    vec![serde_json::from_str(price).unwrap()]
}

fn wanted(input: u64, can_write: u64, prices: &[Price]) -> Wanted<'_> {
    Wanted { input, can_write: Some(can_write), prices, on: at("2026-11-25T00:00:00Z").date_naive() }
}

fn used(tokens: u64, set_aside: u64) -> Used {
    let amount = |tokens| Amount { micro_usd: tokens, tokens };
    Used {
        now: at("2026-11-25T22:10:31.5Z"),
        today: amount(tokens),
        this_month: amount(tokens),
        set_aside: amount(set_aside),
        ..Used::default()
    }
}

#[test]
fn what_there_is_room_for_is_set_aside() {
    let (none, prices) = (Limits::default(), prices());
    let grant = |limits: Limits, used: &Used| grant(&limits, used, &wanted(100, 2_000, &prices)).unwrap();
    assert_eq!(grant(none, &used(0, 0)), Granted::default(), "who has no limits is not counted");
    let calls = Limits { requests_per_minute: Some(1), concurrent_replies: Some(1), ..none };
    assert_eq!(grant(calls, &used(9_999, 0)), Granted::default());
    let granted = |micro_usd, tokens, max_output| Granted {
        set_aside: Amount { micro_usd, tokens },
        max_output: Some(max_output),
    };
    let tokens = Limits { tokens_per_day: Some(10_000), ..none };
    assert_eq!(grant(tokens, &used(0, 0)), granted(20_100, 2_100, 2_000), "as much as the model can write");
    assert_eq!(grant(tokens, &used(8_000, 500)), granted(14_100, 1_500, 1_400), "as much as there is left");
    assert_eq!(grant(tokens, &used(9_644, 0)), granted(2_660, 356, 256), "and no less than makes an answer");
    let money = Limits { micro_usd_per_month: Some(10_000), ..none };
    assert_eq!(grant(money, &used(0, 0)), granted(10_000, 1_090, 990));
    assert_eq!(grant(money, &used(1, 1)), granted(9_990, 1_089, 989));
}

#[test]
fn an_answer_is_no_longer_than_its_model_can_write() {
    let tokens = Limits { tokens_per_day: Some(1_000_000), ..Limits::default() };
    for (can_write, most) in
        [(Some(1), 1), (Some(0), 1), (Some(8_192), 8_192), (Some(128_000), MOST_OUTPUT), (None, USUAL_OUTPUT)]
    {
        let granted = grant(&tokens, &used(0, 0), &Wanted { can_write, ..wanted(1, 1, &[]) }).unwrap();
        assert_eq!(granted.max_output, Some(most), "{can_write:?}");
        assert_eq!(granted.set_aside, Amount { micro_usd: 0, tokens: 1 + most }, "without a price it costs nothing");
    }
}

#[test]
fn a_refusal_says_which_limit_and_until_when() {
    let none = Limits::default();
    let (day, month, minute) = ("2026-11-26T00:00:00Z", "2026-12-01T00:00:00Z", "2026-11-25T22:11:00Z");
    let time = |text| Until::Time(at(text));
    let (busy, idle) = (Used { running: 2, calls: 3, ..used(600, 300) }, used(0, 0));
    for (limits, used, limit, amount, until) in [
        (Limits { tokens_per_day: Some(900), ..none }, busy, Limit::TokensPerDay, 900, time(day)),
        (Limits { tokens_per_month: Some(900), ..none }, busy, Limit::TokensPerMonth, 900, time(month)),
        (Limits { micro_usd_per_day: Some(3_000), ..none }, busy, Limit::MicroUsdPerDay, 3_000, time(day)),
        (Limits { micro_usd_per_month: Some(3_000), ..none }, busy, Limit::MicroUsdPerMonth, 3_000, time(month)),
        (Limits { requests_per_minute: Some(3), ..none }, busy, Limit::RequestsPerMinute, 3, time(minute)),
        (Limits { concurrent_replies: Some(2), ..none }, busy, Limit::ConcurrentReplies, 2, Until::ReplyEnds),
        // Beside what runs there is no room; without it there would be.
        (Limits { tokens_per_day: Some(1_000), ..none }, busy, Limit::TokensPerDay, 1_000, Until::ReplyEnds),
        // Tomorrow it would be too much as well.
        (Limits { tokens_per_day: Some(355), ..none }, idle, Limit::TokensPerDay, 355, Until::Never),
        (Limits { concurrent_replies: Some(0), ..none }, idle, Limit::ConcurrentReplies, 0, Until::Never),
        (Limits { requests_per_minute: Some(0), ..none }, idle, Limit::RequestsPerMinute, 0, Until::Never),
        // Of several the one that lasts the longest.
        (
            Limits { tokens_per_day: Some(900), tokens_per_month: Some(900), requests_per_minute: Some(1), ..none },
            busy,
            Limit::TokensPerMonth,
            900,
            time(month),
        ),
    ] {
        let refused = grant(&limits, &used, &wanted(100, 2_000, &prices())).unwrap_err();
        assert_eq!(refused, Refused { limit, amount, until }, "{limits:?}");
    }
}

#[test]
fn months_have_ends() {
    for (now, next) in
        [("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"), ("2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z")]
    {
        assert_eq!(next_month(at(now)), at(next));
    }
    assert_eq!(next_day(at("2026-02-28T23:59:59.9Z")), at("2026-03-01T00:00:00Z"));
    assert_eq!(next_minute(at("2026-02-28T23:59:00Z")), at("2026-03-01T00:00:00Z"));
}

#[test]
fn people_and_programs_are_told() {
    let time = Until::Time(at("2026-11-26T00:00:00Z"));
    for (limit, amount, until, message, resets_at) in [
        (
            Limit::MicroUsdPerDay,
            5_000_000,
            time,
            "The limit of $5.00 a day is reached. It resets on 2026-11-26 at 00:00 UTC.",
            Some("2026-11-26T00:00:00Z"),
        ),
        (
            Limit::ConcurrentReplies,
            2,
            Until::ReplyEnds,
            "The limit of 2 replies at once is reached. There is room again when a reply that runs has ended.",
            None,
        ),
        (Limit::TokensPerMonth, 10, Until::Never, "The limit of 10 tokens a month is too low for this request.", None),
    ] {
        let error = ReplyError::from(Refused { limit, amount, until });
        assert_eq!((error.code.as_str(), error.message.as_str()), ("limit", message));
        let resets_at = resets_at.map(str::to_owned);
        assert_eq!(error.limit, Some(LimitReached { name: limit, amount, resets_at }));
    }
    for (micros, written) in [(0, "$0.00"), (1, "$0.000001"), (1_230_000, "$1.23"), (1_234_500, "$1.2345")] {
        assert_eq!(usd(micros), written);
    }
}

fn amounts() -> impl Strategy<Value = Limits> {
    let amount = || option::of(prop_oneof![0..3_000_u64, 0..200_000_u64]);
    (amount(), amount(), amount(), amount(), option::of(0..6_u32), option::of(0..4_u32)).prop_map(|all| Limits {
        micro_usd_per_day: all.0,
        micro_usd_per_month: all.1,
        tokens_per_day: all.2,
        tokens_per_month: all.3,
        requests_per_minute: all.4,
        concurrent_replies: all.5,
    })
}

/// Whether what was used is within what is allowed.
fn is_kept(limits: &Limits, used: &Used) -> bool {
    lines(limits, used, Amount::default()).all(|line| line.spent + line.set_aside <= line.allowed)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Calls are asked for, end with less than was set aside, and are asked for again.
    #[test]
    fn no_limit_is_ever_passed(
        limits in amounts(),
        calls in prop::collection::vec((0..4_000_u64, 1..40_000_u64, 0..=100_u64, any::<bool>()), 1..40),
    ) {
        let prices = prices();
        let mut used = used(0, 0);
        let mut running: Vec<(Amount, u64)> = Vec::new();
        for (input, can_write, percent, ends) in calls {
            if ends && !running.is_empty() {
                let (set_aside, percent) = running.remove(0);
                used.set_aside.micro_usd -= set_aside.micro_usd;
                used.set_aside.tokens -= set_aside.tokens;
                used.running -= 1;
                for spent in [&mut used.today, &mut used.this_month] {
                    spent.micro_usd += set_aside.micro_usd * percent / 100;
                    spent.tokens += set_aside.tokens * percent / 100;
                }
            }
            let wanted = wanted(input, can_write, &prices);
            match grant(&limits, &used, &wanted) {
                Ok(granted) => {
                    used.set_aside.micro_usd += granted.set_aside.micro_usd;
                    used.set_aside.tokens += granted.set_aside.tokens;
                    used.running += 1;
                    used.calls += 1;
                    running.push((granted.set_aside, percent));
                    let most = granted.max_output.unwrap_or(0);
                    prop_assert!(most <= can_write.min(MOST_OUTPUT));
                }
                Err(refused) => {
                    let least = wanted.takes(LEAST_OUTPUT.min(can_write));
                    let told = lines(&limits, &used, least).find(|line| line.limit == refused.limit);
                    prop_assert!(told.is_some_and(|line| !line.fits() && line.allowed == refused.amount));
                }
            }
            prop_assert!(is_kept(&limits, &used));
        }
    }

    /// What is given is as much as there is room for.
    #[test]
    fn no_room_is_left_unused(limits in amounts(), input in 0..4_000_u64, can_write in 1..40_000_u64) {
        let (prices, used) = (prices(), used(100, 100));
        let wanted = wanted(input, can_write, &prices);
        if let Ok(Granted { max_output: Some(most), .. }) = grant(&limits, &used, &wanted) {
            let longer = lines(&limits, &used, wanted.takes(most + 1)).all(|line| line.fits());
            prop_assert!(most == can_write.min(MOST_OUTPUT) || !longer);
        }
    }
}
