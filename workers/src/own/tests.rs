use std::num::NonZeroU32;

use super::*;

const NOTHING: account::ProviderConfig = account::ProviderConfig {
    protocol: None,
    base_url: None,
    models: Vec::new(),
    key: None,
    auth: None,
    max_tokens: false,
};

fn id(provider: &str) -> ProviderId {
    provider.parse().unwrap()
}

fn at(base_url: &str) -> account::ProviderConfig {
    account::ProviderConfig { base_url: Some(base_url.to_owned()), ..NOTHING }
}

#[test]
fn what_a_person_leaves_out_is_as_the_catalogue_has_it() {
    let anthropic = merged(&id("anthropic"), &NOTHING).unwrap();
    assert_eq!(anthropic.protocol, Protocol::Anthropic);
    assert_eq!(anthropic.base_url.as_deref(), Some("https://api.anthropic.com/v1"));
    assert_eq!(anthropic.models.len(), known::provider("anthropic").unwrap().models.len());
    assert!(anthropic.offers("claude-of-yesterday"), "the catalogue knows a few of its models");

    let mine = merged(&id("mine"), &at("https://mine.example/v1")).unwrap();
    assert_eq!((mine.protocol, mine.base_url.as_deref()), (Protocol::OpenaiChat, Some("https://mine.example/v1")));
    assert!(mine.offers("whatever they type"), "nobody knows its models");
}

#[test]
fn what_a_person_says_wins() {
    let price = account::Price { input: 1, output: 2, ..account::Price::default() };
    let (max_output, price) = (NonZeroU32::new(500), Some(price));
    let models = vec![Model { id: "m".to_owned(), context_window: Some(8_000), max_output, price }];
    let own = account::ProviderConfig {
        protocol: Some("openai-responses".to_owned()),
        models,
        auth: Some(account::Auth::Header("api-key".to_owned())),
        max_tokens: true,
        ..at("https://proxy.example/v1")
    };
    let openai = merged(&id("openai"), &own).unwrap();
    assert_eq!(openai.protocol, Protocol::OpenaiResponses);
    assert_eq!(openai.base_url.as_deref(), Some("https://proxy.example/v1"));
    assert_eq!((openai.models.len(), openai.models[0].context_window), (1, Some(8_000)));
    assert_eq!((openai.models[0].max_output, openai.models[0].price), (Some(500), price));
    assert_eq!((&openai.auth, openai.max_tokens), (&own.auth, true));
    assert!(openai.offers("m") && !openai.offers("gpt-6-luna"));
    assert_eq!(openai.api_key, None);
}

#[test]
fn what_cannot_be_called_says_what_it_lacks() {
    for (provider, own, lacks) in [
        ("azure", NOTHING, "Azure"),
        ("bedrock", NOTHING, "depends on the account"),
        ("mine", NOTHING, "save its base_url"),
        (
            "mine",
            account::ProviderConfig { protocol: Some("telepathy".to_owned()), ..at("https://x.example") },
            "protocol",
        ),
    ] {
        let why = merged(&id(provider), &own).unwrap_err();
        assert!(why.contains(lacks), "{provider}: {why}");
    }
}

#[test]
fn an_address_is_looked_at_when_it_is_saved() {
    for (provider, base_url, public, anywhere) in [
        ("mine", Some("https://mine.example/v1"), true, true),
        ("mine", Some("http://mine.example/v1"), false, true),
        ("mine", Some("https://127.0.0.1/v1"), false, true),
        ("mine", Some("https://localhost/v1"), false, true),
        ("mine", Some("nonsense"), false, false),
        ("mine", None, false, false),
        ("openai", None, true, true),
        ("azure", None, false, false),
        // Its usual place is on the machine of whoever calls.
        ("ollama", None, false, true),
        ("demo", None, true, true),
    ] {
        let is_fine = |reach| check(reach, &id(provider), base_url).is_ok();
        assert_eq!((is_fine(Reach::Public), is_fine(Reach::Anywhere)), (public, anywhere), "{provider} {base_url:?}");
    }
    let why = check(Reach::Public, &id("mine"), Some("https://127.0.0.1/v1")).unwrap_err();
    assert_eq!(why, "the base_url cannot be used: it does not lead to a public address");
}
