use proptest::option;
use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn price(from: &str, input: u64, output: u64) -> Price {
    Price {
        from: day(from),
        version: format!("of {from}"),
        input,
        cached_read: None,
        cache_write: None,
        output,
        reasoning: None,
        long: None,
    }
}

fn usage(counts: [u64; 5]) -> Usage {
    let [input, cached_input, cache_write, output, reasoning] = counts.map(Some);
    Usage { input, cached_input, cache_write, output, reasoning, raw: None }
}

#[test]
fn each_kind_of_token_has_its_price() {
    let priced = Price {
        cached_read: Some(100_000),
        cache_write: Some(2_500_000),
        reasoning: Some(20_000_000),
        ..price("2026-01-01", 2_000_000, 10_000_000)
    };
    let cost = |counts| cost(&usage(counts), std::slice::from_ref(&priced), day("2026-06-01")).unwrap().micros;
    assert_eq!(cost([1_000, 0, 0, 0, 0]), 2_000);
    assert_eq!(cost([0, 1_000, 0, 0, 0]), 100);
    assert_eq!(cost([0, 0, 1_000, 0, 0]), 2_500);
    assert_eq!(cost([0, 0, 0, 1_000, 0]), 10_000);
    assert_eq!(cost([0, 0, 0, 0, 1_000]), 20_000);
    assert_eq!(cost([1_000; 5]), 34_600);
    assert_eq!(cost([0; 5]), 0);
    // One token from the cache is a tenth of a micro-USD; ten of them are one, not ten.
    assert_eq!((cost([0, 1, 0, 0, 0]), cost([0, 10, 0, 0, 0]), cost([0, 11, 0, 0, 0])), (1, 1, 2));
}

#[test]
fn a_price_of_ones_own_holds_on_every_day() {
    let own = account::Price { input: 2_000_000, output: 10_000_000, ..account::Price::default() };
    let prices = [Price::from(account::Price { cached_read: Some(100_000), ..own })];
    for on in ["2020-01-01", "2120-01-01"] {
        let cost = cost(&usage([1_000; 5]), &prices, day(on)).unwrap();
        assert_eq!(cost, Cost { micros: 2_000 + 100 + 2_000 + 10_000 + 10_000, price: "configured".to_owned() });
    }
}

#[test]
fn what_has_no_price_of_its_own_costs_what_its_kind_does() {
    let prices = [price("2026-01-01", 3_000_000, 15_000_000)];
    let cost = |counts| cost(&usage(counts), &prices, day("2026-06-01")).unwrap().micros;
    assert_eq!(cost([0, 1_000, 1_000, 0, 1_000]), 3_000 + 3_000 + 15_000);
}

#[test]
fn a_long_prompt_costs_more_from_its_first_token() {
    let long = LongPrice {
        above: 200_000,
        input: 4_000_000,
        cached_read: Some(400_000),
        cache_write: None,
        output: 20_000_000,
        reasoning: None,
    };
    let prices = [Price { cached_read: Some(200_000), long: Some(long), ..price("2026-01-01", 2_000_000, 10_000_000) }];
    let cost = |counts| cost(&usage(counts), &prices, day("2026-06-01")).unwrap().micros;
    assert_eq!(cost([100_000, 100_000, 0, 1_000, 0]), 200_000 + 20_000 + 10_000);
    assert_eq!(cost([100_001, 100_000, 0, 1_000, 0]), 400_004 + 40_000 + 20_000);
}

#[test]
fn the_price_of_the_day_holds() {
    let prices = [price("2026-01-01", 1_000_000, 1_000_000), price("2026-07-01", 2_000_000, 2_000_000)];
    let cost = |on| cost(&usage([1_000, 0, 0, 0, 0]), &prices, day(on)).map(|cost| (cost.micros, cost.price));
    assert_eq!(cost("2025-12-31"), None);
    assert_eq!(cost("2026-06-30"), Some((1_000, "of 2026-01-01".to_owned())));
    assert_eq!(cost("2026-07-01"), Some((2_000, "of 2026-07-01".to_owned())));
    assert_eq!(super::cost(&Usage::default(), &prices, day("2026-07-01")), None, "nothing told is not nothing used");
}

fn any_price() -> impl Strategy<Value = Price> {
    let rates =
        || (any::<u64>(), option::of(any::<u64>()), option::of(any::<u64>()), any::<u64>(), option::of(any::<u64>()));
    let long = option::of((any::<u64>(), rates()));
    (rates(), long).prop_map(|((input, cached_read, cache_write, output, reasoning), long)| Price {
        from: day("2026-01-01"),
        version: "any".to_owned(),
        input,
        cached_read,
        cache_write,
        output,
        reasoning,
        long: long.map(|(above, (input, cached_read, cache_write, output, reasoning))| LongPrice {
            above,
            input,
            cached_read,
            cache_write,
            output,
            reasoning,
        }),
    })
}

proptest! {
    #[test]
    fn no_count_and_no_price_overflows(counts in any::<[Option<u64>; 5]>(), price in any_price()) {
        let [input, cached_input, cache_write, output, reasoning] = counts;
        let usage = Usage { input, cached_input, cache_write, output, reasoning, raw: None };
        let cost = cost(&usage, std::slice::from_ref(&price), day("2026-06-01"));
        prop_assert_eq!(cost.is_some(), counts.iter().any(Option::is_some));
    }

    /// Counts do not overlap, so an answer in two parts costs what the whole does: rounding adds at most one.
    #[test]
    fn parts_cost_what_the_whole_costs(
        one in any::<[u32; 5]>(),
        other in any::<[u32; 5]>(),
        mut price in any_price(),
        rates in any::<[u32; 5]>(),
    ) {
        let [input, read, write, output, reasoning] = rates.map(u64::from);
        price = Price { input, cached_read: Some(read), cache_write: Some(write), output, reasoning: Some(reasoning), long: None, ..price };
        let cost = |counts: [u64; 5]| cost(&usage(counts), std::slice::from_ref(&price), day("2026-06-01")).unwrap().micros;
        let (one, other) = (one.map(u64::from), other.map(u64::from));
        let both: [u64; 5] = std::array::from_fn(|at| one[at] + other[at]);
        let (parts, whole) = (cost(one) + cost(other), cost(both));
        prop_assert!(whole <= parts && parts <= whole + 1);
        // More of anything never costs less, and the exact sum is never above what is told.
        prop_assert!(cost(one) <= whole);
        let exact: u128 = both.iter().zip(rates).map(|(count, rate)| u128::from(*count) * u128::from(rate)).sum();
        prop_assert!(u128::from(whole) * 1_000_000 >= exact);
    }
}
