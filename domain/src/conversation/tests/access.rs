//! Who may ask what.

use super::super::{Command, Error, Event, MAX_PARTICIPANTS, Parent};
use super::given::*;
use crate::Asked;

/// One of every command that people ask.
fn of_people() -> Vec<Command> {
    vec![
        start(),
        rename("Plans"),
        Command::ConfigureModel { model: Some(model()), system_prompt: None },
        submit(Q3, Parent::ActiveLeaf, Some(R3)),
        edit(Q1, Q3, Some(R3)),
        regenerate(R1, R3),
        select(Q1),
        stop(R1),
        add("eve"),
        remove("ben"),
        Command::ArchiveConversation {},
        Command::UnarchiveConversation {},
        Command::DeleteConversation {},
    ]
}

/// One of every command that workers ask.
fn of_workers() -> Vec<Command> {
    vec![claim(R1, 2), complete(R1, 1), fail(R1, 1, true), expire(R1, 1)]
}

/// Commands whose answer would tell whether there is something here.
fn probes() -> Vec<Command> {
    let impossible = [
        rename(""),
        submit(Q1, Parent::Message(NOWHERE), None),
        Command::SubmitMessage { message: Q3, parent: Parent::Root, parts: vec![], reply: None },
        edit(NOWHERE, Q3, None),
        regenerate(NOWHERE, R3),
        stop(NOWHERE),
        remove("ann"),
        Command::StartConversation { title: Some(String::new()), model: None, system_prompt: None },
    ];
    of_people().into_iter().chain(impossible).collect()
}

#[test]
fn outsiders_see_nothing_whatever_they_ask() {
    type Who = fn(Command) -> Asked<Command>;
    let here = || [a_running_reply(), vec![joined("ben"), left("ben"), joined("cem")]].concat();
    let never_here: Who = eve;
    let no_longer_here: Who = ben;
    let namesake_of_the_owner: Who = |command| person("ann", "umbrella", command);
    let namesake_of_a_participant: Who = |command| person("cem", "umbrella", command);
    let of_no_tenant: Who = |command| {
        let mut asked = ann(command);
        asked.asker.tenant = None;
        asked
    };
    for who in [never_here, no_longer_here, namesake_of_the_owner, namesake_of_a_participant, of_no_tenant] {
        for command in probes() {
            given(here()).when(who(command)).then_expect_error(Error::Unknown);
        }
    }
}

#[test]
fn a_deleted_conversation_exists_for_no_one() {
    for command in probes() {
        given([an_answer(), vec![deleted()]].concat()).when(ann(command)).then_expect_error(Error::Unknown);
    }
}

#[test]
fn a_conversation_that_was_never_started_exists_for_no_one() {
    for command in of_people().into_iter().filter(|command| *command != start()) {
        given([]).when(ann(command)).then_expect_error(Error::Unknown);
    }
    for command in of_workers() {
        given([]).when(worker(command)).then_expect_error(Error::UnknownReply);
    }
}

#[test]
fn people_and_workers_ask_only_what_is_theirs() {
    for command in of_workers() {
        assert!(command.is_internal());
        given(a_running_reply()).when(ann(command.clone())).then_expect_error(Error::NotPermitted);
        given(a_running_reply()).when(eve(command)).then_expect_error(Error::NotPermitted);
    }
    for command in of_people() {
        assert!(!command.is_internal());
        given(a_running_reply()).when(worker(command)).then_expect_error(Error::NotPermitted);
    }
}

#[test]
fn a_participant_may_all_but_choose_participants_and_delete() {
    let here = || [a_running_reply(), vec![joined("ben")]].concat();
    for command in [add("eve"), remove("cem"), Command::DeleteConversation {}] {
        given(here()).when(ben(command)).then_expect_error(Error::NotOwner);
    }
    given(here()).when(ben(stop(R1))).then_expect_events(vec![stop_requested(R1)]);
    given(here()).when(ben(Command::ArchiveConversation {})).then_expect_events(vec![archived()]);
    given(here()).when(ben(submit(Q2, Parent::Root, None))).then_expect_events(vec![Event::MessageSubmitted {
        message: Q2,
        parent: None,
        author: user("ben"),
        parts: text("hello"),
        edit_of: None,
    }]);
}

#[test]
fn the_owner_adds_participants() {
    given([started()]).when(ann(add("ben"))).then_expect_events(vec![joined("ben")]);
    given([started(), joined("ben")]).when(ann(add("ben"))).then_expect_events(vec![]);
    given([started()]).when(ann(add("ann"))).then_expect_events(vec![]);
}

#[test]
fn participants_have_a_limit() {
    let limit = MAX_PARTICIPANTS;
    let full = || (1..limit).map(|n| joined(&format!("user {n}")));
    given([started()])
        .and(full().collect())
        .when(ann(add("ben")))
        .then_expect_error(Error::TooManyParticipants { limit });
    given([started()]).and(full().skip(1).collect()).when(ann(add("ben"))).then_expect_events(vec![joined("ben")]);
}

#[test]
fn the_owner_removes_others_and_everyone_else_may_leave() {
    let here = || [started(), joined("ben"), joined("cem")];
    given(here()).when(ann(remove("ben"))).then_expect_events(vec![left("ben")]);
    given(here()).when(ben(remove("ben"))).then_expect_events(vec![left("ben")]);
    given(here()).when(ben(remove("cem"))).then_expect_error(Error::NotOwner);
    given(here()).when(ann(remove("eve"))).then_expect_events(vec![]);
}

#[test]
fn the_owner_stays() {
    given([started(), joined("ben")]).when(ann(remove("ann"))).then_expect_error(Error::OwnerStays);
    given([started(), joined("ben")]).when(ben(remove("ann"))).then_expect_error(Error::OwnerStays);
}

#[test]
fn someone_who_comes_back_sees_it_again() {
    given([started(), joined("ben"), left("ben"), joined("ben")])
        .when(ben(rename("Plans")))
        .then_expect_events(vec![Event::ConversationRenamed { title: "Plans".to_owned() }]);
}
