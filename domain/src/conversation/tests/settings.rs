//! Starting, naming, configuring, archiving and deleting.

use super::super::{Command, Error, Event, MAX_SYSTEM_PROMPT_BYTES, MAX_TITLE_BYTES, Parent, Spent, Usage};
use super::given::*;
use crate::ModelRef;

fn configure(model: Option<ModelRef>, system_prompt: Option<&str>) -> Command {
    Command::ConfigureModel { model, system_prompt: system_prompt.map(str::to_owned) }
}

fn configured(model: Option<ModelRef>, system_prompt: Option<&str>) -> Event {
    Event::ModelConfigured { model, system_prompt: system_prompt.map(str::to_owned) }
}

fn renamed(title: &str) -> Event {
    Event::ConversationRenamed { title: title.to_owned() }
}

#[test]
fn whoever_starts_a_conversation_owns_it() {
    let (title, system_prompt) = (Some("Plans".to_owned()), Some("Be brief.".to_owned()));
    given([])
        .when(ann(Command::StartConversation {
            title: title.clone(),
            model: Some(model()),
            system_prompt: system_prompt.clone(),
        }))
        .then_expect_events(vec![Event::ConversationStarted {
            owner: user("ann"),
            tenant: tenant(),
            title,
            model: Some(model()),
            system_prompt,
        }]);
}

#[test]
fn a_conversation_starts_once() {
    given([started()]).when(ann(start())).then_expect_error(Error::AlreadyStarted);
    given([started(), joined("ben")]).when(ben(start())).then_expect_error(Error::AlreadyStarted);
}

#[test]
fn a_conversation_needs_a_tenant() {
    let mut asked = ann(start());
    asked.asker.tenant = None;
    given([]).when(asked).then_expect_error(Error::NotPermitted);
}

#[test]
fn a_title_is_short_and_printable() {
    let limit = MAX_TITLE_BYTES;
    let refused = Error::InvalidTitle { limit };
    for title in ["", " ", "a\nb", "a\0b", &"x".repeat(limit + 1)] {
        given([started()]).when(ann(rename(title))).then_expect_error(refused.clone());
        let start = Command::StartConversation { title: Some(title.to_owned()), model: None, system_prompt: None };
        given([]).when(ann(start)).then_expect_error(refused.clone());
    }
    let longest = "x".repeat(limit);
    given([started()]).when(ann(rename(&longest))).then_expect_events(vec![renamed(&longest)]);
}

#[test]
fn the_title_that_it_has_already_changes_nothing() {
    given([started(), renamed("Plans")]).when(ann(rename("Plans"))).then_expect_events(vec![]);
}

#[test]
fn another_model_may_answer() {
    given([started()])
        .when(ann(configure(Some(model()), Some("Be brief."))))
        .then_expect_events(vec![configured(Some(model()), Some("Be brief."))]);
    given([started(), configured(Some(model()), Some("Be brief."))])
        .when(ann(configure(None, None)))
        .then_expect_events(vec![configured(None, None)]);
}

#[test]
fn the_model_and_prompt_that_it_has_already_change_nothing() {
    given([started(), configured(Some(model()), None)])
        .when(ann(configure(Some(model()), None)))
        .then_expect_events(vec![]);
}

#[test]
fn a_reply_is_asked_of_the_model_configured_then() {
    given([started(), configured(Some(model()), None)])
        .when(ann(submit(Q1, Parent::ActiveLeaf, Some(R1))))
        .then_expect_events(vec![
            said(Q1, None),
            Event::ReplyRequested { reply: R1, parent: Q1, model: Some(model()), regenerate_of: None },
        ]);
}

#[test]
fn a_system_prompt_has_a_limit_and_no_nul() {
    let limit = MAX_SYSTEM_PROMPT_BYTES;
    for (prompt, refused) in
        [("x".repeat(limit + 1), Error::SystemPromptTooLarge { limit }), ("a\0b".to_owned(), Error::InvalidText)]
    {
        given([started()]).when(ann(configure(None, Some(&prompt)))).then_expect_error(refused.clone());
        let start = Command::StartConversation { title: None, model: None, system_prompt: Some(prompt) };
        given([]).when(ann(start)).then_expect_error(refused);
    }
    let longest = "x".repeat(limit);
    given([started()])
        .when(ann(configure(None, Some(&longest))))
        .then_expect_events(vec![configured(None, Some(&longest))]);
}

#[test]
fn an_archived_conversation_takes_no_messages_until_it_is_taken_out() {
    let put_aside = || [an_answer(), vec![archived()]].concat();
    for command in [submit(Q2, Parent::ActiveLeaf, Some(R2)), edit(Q1, Q2, None), regenerate(R1, R2)] {
        given(put_aside()).when(ann(command)).then_expect_error(Error::Archived);
    }
    given(put_aside()).and(vec![Event::ConversationUnarchived {}]).when(ann(regenerate(R1, R2))).then_expect_events(
        vec![Event::ReplyRequested { reply: R2, parent: Q1, model: None, regenerate_of: Some(R1) }],
    );
}

#[test]
fn archiving_and_taking_out_change_nothing_the_second_time() {
    given([started()]).when(ann(Command::ArchiveConversation {})).then_expect_events(vec![archived()]);
    given([started(), archived()]).when(ann(Command::ArchiveConversation {})).then_expect_events(vec![]);
    given([started(), archived()])
        .when(ann(Command::UnarchiveConversation {}))
        .then_expect_events(vec![Event::ConversationUnarchived {}]);
    given([started()]).when(ann(Command::UnarchiveConversation {})).then_expect_events(vec![]);
}

#[test]
fn a_reply_that_runs_ends_in_the_archive_too() {
    let put_aside = || [a_running_reply(), vec![archived()]].concat();
    given(put_aside()).when(worker(complete(R1, 1))).then_expect_events(vec![completed(R1, 1)]);
    given(put_aside()).when(ann(stop(R1))).then_expect_events(vec![stop_requested(R1)]);
}

#[test]
fn deleting_stops_whatever_runs() {
    given([a_running_reply(), vec![said(Q2, None), requested(R2, Q2)]].concat())
        .when(ann(Command::DeleteConversation {}))
        .then_expect_events(vec![stop_requested(R1), stopped(R2, 0, ""), deleted()]);
    given([a_running_reply(), vec![stop_requested(R1)]].concat())
        .when(ann(Command::DeleteConversation {}))
        .then_expect_events(vec![deleted()]);
}

#[test]
fn of_a_deleted_conversations_reply_nothing_is_kept_but_what_it_spent() {
    let gone = || [a_running_reply(), vec![stop_requested(R1), deleted()]].concat();
    for end in [complete(R1, 1), fail(R1, 1, true), expire(R1, 1)] {
        let spent = Some(Spent { usage: Usage { output: Some(7), ..Usage::default() }, ..Spent::default() });
        let ended = Event::ReplyStopped { reply: R1, attempt: 1, parts: Vec::new(), spent: spent.clone() };
        given(gone()).when(worker(with_spent(end, spent))).then_expect_events(vec![ended]);
    }
    given([gone(), vec![stopped(R1, 1, "")]].concat())
        .when(worker(complete(R1, 1)))
        .then_expect_error(Error::ReplyEnded);
    given(gone()).when(worker(claim(R1, 2))).then_expect_error(Error::StaleAttempt);
}
