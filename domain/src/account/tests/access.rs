//! Whose account it is.

use super::super::{Command, Error};
use super::given::*;
use crate::{AccountId, Actor, Ask, Asker};

#[test]
fn it_begins_with_what_its_person_sets_first() {
    given([]).when(ann(set_limits(limits()))).then_expect_events(vec![opened(), limits_set(limits())]);
    given([opened()]).when(ann(set_limits(limits()))).then_expect_events(vec![limits_set(limits())]);
}

#[test]
fn what_changes_nothing_begins_nothing() {
    given([]).when(ann(set_default(None, None))).then_expect_events(vec![]);
    given([]).when(ann(remove("openai"))).then_expect_error(Error::UnknownProvider);
}

#[test]
fn whoever_is_not_its_person_is_told_that_there_is_none() {
    for (name, tenant) in [("eve", "acme"), ("ann", "other")] {
        for command in [
            save("openai", Some(key(2))),
            remove("openai"),
            remove("nowhere"),
            set_default(Some("openai"), None),
            set_limits(limits()),
        ] {
            given([opened(), saved("openai", Some(key(1)))])
                .when(person(name, tenant, command))
                .then_expect_error(Error::Unknown);
        }
    }
}

#[test]
fn a_person_needs_a_tenant() {
    let mut asked = ann(set_limits(limits()));
    asked.asker.tenant = None;
    given([]).when(asked).then_expect_error(Error::NotPermitted);
}

#[test]
fn an_operator_may_ask_of_an_account_that_there_is() {
    given([opened()]).when(operator(set_limits(limits()))).then_expect_events(vec![limits_set(limits())]);
    given([]).when(operator(set_limits(limits()))).then_expect_error(Error::Unknown);
}

#[test]
fn only_an_operator_rewraps() {
    let command = rewrap("openai", &key(1), 2, "bmV3");
    given([opened(), saved("openai", Some(key(1)))]).when(ann(command.clone())).then_expect_error(Error::NotPermitted);
    given([opened(), saved("openai", Some(key(1)))])
        .when(operator(command))
        .then_expect_events(vec![rewrapped("openai", 2, "bmV3")]);
}

#[test]
fn by_its_name_alone_an_account_is_known_to_be_someones() {
    let (ann, eve) = (ann(set_limits(limits())).asker, person("eve", "acme", set_limits(limits())).asker);
    let id = AccountId::of(ann.tenant.as_ref().unwrap(), ann.actor.user().unwrap());
    assert!(Command::may_ask(&id, &ann));
    assert!(!Command::may_ask(&id, &eve));
    assert!(!Command::may_ask(&id, &Asker { tenant: None, ..ann }));
    assert!(Command::may_ask(&id, &Asker { tenant: None, actor: Actor::Worker("operator".to_owned()) }));
}

/// Accounts lie in the log under these: they may never change.
#[test]
fn an_account_keeps_its_name() {
    let id = |tenant: &str, user: &str| AccountId::of(&tenant.parse().unwrap(), &user.parse().unwrap()).to_string();
    assert_eq!(id("acme", "ann"), "0768c324-0e12-502c-8948-a522583759d8");
    assert_ne!(id("a", "ca"), id("ac", "a"));
}
