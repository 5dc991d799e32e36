//! Providers, the default, limits; and how much of each.

use super::super::{
    Auth, Command, Error, Event, Limits, MAX_LIMIT, MAX_MODEL_BYTES, MAX_MODELS, MAX_PROTOCOL_BYTES, MAX_PROVIDERS,
    MAX_URL_BYTES,
};
use super::given::*;

fn invalid_models() -> Error {
    Error::InvalidModels { models: MAX_MODELS, bytes: MAX_MODEL_BYTES }
}

#[test]
fn a_provider_is_configured_and_configured_anew() {
    given([]).when(ann(save("openai", Some(key(1))))).then_expect_events(vec![opened(), saved("openai", Some(key(1)))]);
    given([opened(), saved("openai", Some(key(1)))])
        .when(ann(save("openai", Some(key(2)))))
        .then_expect_events(vec![saved("openai", Some(key(2)))]);
}

#[test]
fn the_same_again_changes_nothing() {
    let history = || [opened(), saved("openai", None), default_set(Some("openai"), None), limits_set(limits())];
    for command in [save("openai", None), set_default(Some("openai"), None), set_limits(limits())] {
        given(history()).when(ann(command)).then_expect_events(vec![]);
    }
}

#[test]
fn a_removed_provider_is_the_default_no_more() {
    given([opened(), saved("openai", None), default_set(Some("openai"), Some("m1"))])
        .when(ann(remove("openai")))
        .then_expect_events(vec![removed("openai"), default_set(None, None)]);
    given([opened(), saved("openai", None), default_set(Some("other"), None)])
        .when(ann(remove("openai")))
        .then_expect_events(vec![removed("openai")]);
    given([opened(), saved("openai", None), removed("openai")])
        .when(ann(remove("openai")))
        .then_expect_error(Error::UnknownProvider);
}

#[test]
fn a_default_may_name_a_model_of_its_provider() {
    given([opened()])
        .when(ann(set_default(Some("openai"), Some("m1"))))
        .then_expect_events(vec![default_set(Some("openai"), Some("m1"))]);
    for command in [
        set_default(None, Some("m1")),
        set_default(Some("openai"), Some("")),
        set_default(Some("openai"), Some(&"m".repeat(MAX_MODEL_BYTES + 1))),
    ] {
        given([opened()]).when(ann(command)).then_expect_error(invalid_models());
    }
}

#[test]
fn providers_are_bounded() {
    let history = || std::iter::once(opened()).chain((0..MAX_PROVIDERS).map(|n| saved(&format!("p{n}"), None)));
    given(history())
        .when(ann(save("one-more", None)))
        .then_expect_error(Error::TooManyProviders { limit: MAX_PROVIDERS });
    given(history()).when(ann(save("p0", Some(key(1))))).then_expect_events(vec![saved("p0", Some(key(1)))]);
}

#[test]
fn models_are_bounded_and_each_is_named_once() {
    let with = |ids: Vec<String>| {
        let mut command = save("openai", None);
        if let Command::SaveProviderConfig { models, .. } = &mut command {
            *models = ids.iter().map(|id| model(id)).collect();
        }
        command
    };
    for ids in [
        (0..=MAX_MODELS).map(|n| format!("m{n}")).collect(),
        vec!["m1".to_owned(), "m1".to_owned()],
        vec![String::new()],
        vec!["a\0".to_owned()],
        vec!["m".repeat(MAX_MODEL_BYTES + 1)],
    ] {
        given([]).when(ann(with(ids))).then_expect_error(invalid_models());
    }
}

#[test]
fn an_address_holds_no_secret_and_is_one() {
    for url in [
        "",
        "home.example/v1",
        "ftp://home.example",
        "https://",
        "https:///v1",
        "https://ann:secret@home.example/v1",
        "https://home.example/v1?key=secret",
        "https://home.example/v1#x",
        "https://home.example/ v1",
        "https://home.example/\0",
        &format!("https://home.example/{}", "v".repeat(MAX_URL_BYTES)),
    ] {
        given([])
            .when(ann(save_at("mine", url, None)))
            .then_expect_error(Error::InvalidBaseUrl { limit: MAX_URL_BYTES });
    }
    for url in ["http://127.0.0.1:8000/v1", "https://[::1]/v1", "https://home.example"] {
        given([opened()]).when(ann(save_at("mine", url, None))).then_expect_events(vec![saved_at("mine", url, None)]);
    }
}

#[test]
fn a_protocol_is_a_word() {
    for word in ["", "OpenAI", "openai chat", &"p".repeat(MAX_PROTOCOL_BYTES + 1)] {
        let mut command = save("openai", None);
        if let Command::SaveProviderConfig { protocol, .. } = &mut command {
            *protocol = Some(word.to_owned());
        }
        given([]).when(ann(command)).then_expect_error(Error::InvalidProtocol { limit: MAX_PROTOCOL_BYTES });
    }
}

#[test]
fn a_key_is_shown_in_a_header_that_is_for_it() {
    let shown_in = |name: &str| {
        let mut command = save("openai", Some(key(1)));
        if let Command::SaveProviderConfig { auth, max_tokens, .. } = &mut command {
            (*auth, *max_tokens) = (Some(Auth::Header(name.to_owned())), true);
        }
        command
    };
    for name in ["", "api key", "x\r\ny", "Host", "content-length", &"x".repeat(65)] {
        given([]).when(ann(shown_in(name))).then_expect_error(Error::InvalidAuth);
    }
    let mut expected = saved("openai", Some(key(1)));
    if let Event::ProviderConfigSaved { auth, max_tokens, .. } = &mut expected {
        (*auth, *max_tokens) = (Some(Auth::Header("api-key".to_owned())), true);
    }
    given([opened()]).when(ann(shown_in("api-key"))).then_expect_events(vec![expected.clone()]);
    given([opened(), expected]).when(ann(shown_in("api-key"))).then_expect_events(vec![]);
}

#[test]
fn limits_replace_each_other_and_are_numbers_that_everyone_can_read() {
    let none = Limits::default();
    given([opened(), limits_set(limits())]).when(ann(set_limits(none))).then_expect_events(vec![limits_set(none)]);
    let highest = Limits { tokens_per_month: Some(MAX_LIMIT), ..none };
    given([opened()]).when(ann(set_limits(highest))).then_expect_events(vec![limits_set(highest)]);
    for limits in [
        Limits { micro_usd_per_day: Some(MAX_LIMIT + 1), ..none },
        Limits { micro_usd_per_month: Some(MAX_LIMIT + 1), ..none },
        Limits { tokens_per_day: Some(MAX_LIMIT + 1), ..none },
        Limits { tokens_per_month: Some(MAX_LIMIT + 1), ..none },
    ] {
        given([opened()]).when(ann(set_limits(limits))).then_expect_error(Error::LimitTooHigh { limit: MAX_LIMIT });
    }
}
