//! Keys: kept, replaced, rewrapped, forgotten.

use cqrs_es::Aggregate as _;

use super::super::{Account, Command, Error, MAX_SEALED_BYTES, MAX_WRAPPED_BYTES, SealedKey};
use super::given::*;

const HOME: &str = "https://home.example/v1";

#[test]
fn a_config_without_a_key_keeps_the_one_that_is_there() {
    let mut other_models = save_at("mine", HOME, None);
    if let Command::SaveProviderConfig { models, .. } = &mut other_models {
        *models = vec![model("m2")];
    }
    let mut expected = saved_at("mine", HOME, Some(key(1)));
    if let super::super::Event::ProviderConfigSaved { models, .. } = &mut expected {
        *models = vec![model("m2")];
    }
    given([opened(), saved_at("mine", HOME, Some(key(1)))]).when(ann(other_models)).then_expect_events(vec![expected]);
}

#[test]
fn a_key_does_not_follow_to_another_address() {
    let history = || [opened(), saved_at("mine", HOME, Some(key(1)))];
    let elsewhere = "https://elsewhere.example/v1";
    given(history()).when(ann(save_at("mine", elsewhere, None))).then_expect_error(Error::KeyNeeded);
    given(history()).when(ann(save("mine", None))).then_expect_error(Error::KeyNeeded);
    given(history()).when(ann(save_at("mine", elsewhere, Some(key(2))))).then_expect_events(vec![saved_at(
        "mine",
        elsewhere,
        Some(key(2)),
    )]);
    given([opened(), saved_at("mine", HOME, None)])
        .when(ann(save_at("mine", elsewhere, None)))
        .then_expect_events(vec![saved_at("mine", elsewhere, None)]);
}

#[test]
fn a_removed_key_is_gone() {
    given([opened(), saved("openai", Some(key(1))), removed("openai")])
        .when(ann(save("openai", None)))
        .then_expect_events(vec![saved("openai", None)]);
}

#[test]
fn rewrapping_changes_the_wrap_and_nothing_else() {
    let mut account = Account::default();
    for event in [opened(), saved("openai", Some(key(1))), rewrapped("openai", 2, "bmV3")] {
        account.apply(event);
    }
    let expected = SealedKey { kek: 2, wrapped: "bmV3".to_owned(), ..key(1) };
    assert_eq!(account.providers()[&provider("openai")].key.as_ref(), Some(&expected));
}

#[test]
fn a_key_that_was_saved_anew_is_not_given_the_wrap_of_the_old_one() {
    given([opened(), saved("openai", Some(key(1))), saved("openai", Some(key(2)))])
        .when(operator(rewrap("openai", &key(1), 2, "bmV3")))
        .then_expect_error(Error::StaleKey);
    for history in [vec![opened()], vec![opened(), saved("openai", None)]] {
        given(history).when(operator(rewrap("openai", &key(1), 2, "bmV3"))).then_expect_error(Error::UnknownProvider);
    }
}

#[test]
fn rewrapping_again_changes_nothing() {
    given([opened(), saved("openai", Some(key(1))), rewrapped("openai", 2, "bmV3")])
        .when(operator(rewrap("openai", &key(1), 2, "bmV3")))
        .then_expect_events(vec![]);
}

#[test]
fn what_is_no_sealed_key_is_refused() {
    let long = |limit| "A".repeat(limit + 1);
    for key in [
        SealedKey { wrapped: String::new(), ..key(1) },
        SealedKey { sealed: "a key in the clear".to_owned(), ..key(1) },
        SealedKey { sealed: long(MAX_SEALED_BYTES), ..key(1) },
        SealedKey { wrapped: long(MAX_WRAPPED_BYTES), ..key(1) },
        SealedKey { last_four: "abcde".to_owned(), ..key(1) },
        SealedKey { last_four: "a\0".to_owned(), ..key(1) },
    ] {
        given([]).when(ann(save("openai", Some(key)))).then_expect_error(Error::InvalidKey);
    }
    given([opened(), saved("openai", Some(key(1)))])
        .when(operator(rewrap("openai", &key(1), 2, "not base64")))
        .then_expect_error(Error::InvalidKey);
}

#[test]
fn nothing_of_a_key_shows_in_what_debug_prints() {
    let printed = format!("{:?} {:?}", save("openai", Some(key(1))), saved("openai", Some(key(1))));
    for part in [key(1).wrapped, key(1).sealed, key(1).last_four] {
        assert!(!printed.contains(&part), "{printed}");
    }
}
