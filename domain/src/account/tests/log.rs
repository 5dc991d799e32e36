//! The log is for ever: each event as it stands in Postgres. A literal here may gain a neighbour, but never change.

use std::num::NonZeroU32;

use cqrs_es::{Aggregate as _, DomainEvent as _};
use serde_json::{Value, json};

use super::super::{Account, Auth, Event, Limits, Model, Price};
use super::given::*;
use crate::Decide;

/// How an event of this type stands in the log. A new type of event does not compile until it has its example.
#[rustfmt::skip]
fn recorded(event: &Event) -> &'static str {
    match event {
        Event::AccountOpened { .. } => r#"{"type":"AccountOpened","tenant":"acme","user":"ann"}"#,
        Event::ProviderConfigSaved { .. } => r#"{"type":"ProviderConfigSaved","provider":"mine","protocol":"openai-chat","base_url":"https://home.example/v1","models":[{"id":"m1","context_window":null}],"key":{"kek":1,"wrapped":"d3JhcHBlZA1","sealed":"c2VhbGVk1","last_four":"abc1"}}"#,
        Event::ProviderConfigRemoved { .. } => r#"{"type":"ProviderConfigRemoved","provider":"mine"}"#,
        Event::DefaultProviderSet { .. } => r#"{"type":"DefaultProviderSet","provider":"mine","model":"m1"}"#,
        Event::LimitsSet { .. } => r#"{"type":"LimitsSet","limits":{"micro_usd_per_day":1,"micro_usd_per_month":2,"tokens_per_day":3,"tokens_per_month":4,"requests_per_minute":5,"concurrent_replies":6}}"#,
        Event::KeyRewrapped { .. } => r#"{"type":"KeyRewrapped","provider":"mine","kek":2,"wrapped":"bmV3"}"#,
    }
}

fn one_of_each() -> Vec<Event> {
    let limits = Limits {
        micro_usd_per_day: Some(1),
        micro_usd_per_month: Some(2),
        tokens_per_day: Some(3),
        tokens_per_month: Some(4),
        requests_per_minute: Some(5),
        concurrent_replies: Some(6),
    };
    vec![
        opened(),
        saved_at("mine", "https://home.example/v1", Some(key(1))),
        removed("mine"),
        default_set(Some("mine"), Some("m1")),
        limits_set(limits),
        rewrapped("mine", 2, "bmV3"),
    ]
}

#[test]
fn events_are_written_and_read_as_ever() {
    for event in one_of_each() {
        let literal = recorded(&event);
        assert_eq!(serde_json::to_string(&event).unwrap(), literal);
        assert_eq!(serde_json::from_str::<Event>(literal).unwrap(), event);
        let payload: Value = literal.parse().unwrap();
        assert_eq!((payload["type"].as_str(), event.name()), (Some(event.event_type().as_str()), &*event.event_type()));
        assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), event);
    }
}

#[test]
fn fields_that_may_be_missing_are_read_as_none() {
    let payload = json!({ "type": "ProviderConfigSaved", "provider": "openai" });
    assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), saved("openai", None));
    let payload = json!({ "type": "LimitsSet", "limits": {} });
    assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), limits_set(Limits::default()));
}

/// Of a provider that departs from what is known, as it stands in the log. What earlier versions wrote lacks all of it.
#[test]
fn what_a_person_says_beyond_the_catalogue_is_written_and_read_as_ever() {
    let literal = r#"{"type":"ProviderConfigSaved","provider":"mine","protocol":null,"base_url":null,"models":[{"id":"m1","context_window":null,"max_output":4096,"price":{"input":100,"cached_read":10,"output":500}}],"key":null,"auth":{"header":"api-key"},"max_tokens":true}"#;
    let mut event = saved("mine", None);
    if let Event::ProviderConfigSaved { models, auth, max_tokens, .. } = &mut event {
        let price = Price { input: 100, cached_read: Some(10), output: 500, ..Price::default() };
        models.push(Model { max_output: NonZeroU32::new(4_096), price: Some(price), ..model("m1") });
        (*auth, *max_tokens) = (Some(Auth::Header("api-key".to_owned())), true);
    }
    assert_eq!(serde_json::to_string(&event).unwrap(), literal);
    assert_eq!(serde_json::from_str::<Event>(literal).unwrap(), event);
    for (word, auth) in [("bearer", Auth::Bearer), ("sigv4", Auth::SigV4), ("none", Auth::None)] {
        assert_eq!(json!(auth), json!(word));
    }
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    for event in one_of_each() {
        let mut payload: Value = recorded(&event).parse().unwrap();
        payload["of_a_later_version"] = json!({ "any": 1 });
        for within in ["limits", "key"] {
            if payload[within].is_object() {
                payload[within]["of_a_later_version"] = json!(1);
            }
        }
        assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), event);
    }
}

/// When this fails, the state has another shape: raise `STATE_VERSION`, so that no snapshot of the old one is read.
#[test]
fn the_states_shape_belongs_to_its_version() {
    let mut state = Account::default();
    for event in [opened(), saved("openai", Some(key(1))), default_set(Some("openai"), None), limits_set(limits())] {
        state.apply(event);
    }
    let shape = json!({
        "owner": { "tenant": "acme", "user": "ann" },
        "providers": { "openai": {
            "protocol": null, "base_url": null, "models": [],
            "key": { "kek": 1, "wrapped": "d3JhcHBlZA1", "sealed": "c2VhbGVk1", "last_four": "abc1" },
            "auth": null, "max_tokens": false,
        } },
        "default": { "provider": "openai", "model": null },
        "limits": {
            "micro_usd_per_day": 5_000_000, "micro_usd_per_month": null, "tokens_per_day": null,
            "tokens_per_month": null, "requests_per_minute": null, "concurrent_replies": 2,
        },
    });
    assert_eq!((json!(state), Account::STATE_VERSION), (shape, 2));
}
