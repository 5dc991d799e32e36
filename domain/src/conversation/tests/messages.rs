//! The tree of messages: where a message goes, what it may say, which branch is shown.

use super::super::{Command, Error, Event, MAX_MESSAGE_BYTES, MAX_MESSAGES, MAX_OPEN_REPLIES, Parent, Part};
use super::given::*;
use crate::MessageId;

fn selected(leaf: MessageId) -> Event {
    Event::BranchSelected { leaf }
}

fn submit_parts(parts: Vec<Part>) -> Command {
    Command::SubmitMessage { message: Q1, parent: Parent::ActiveLeaf, parts, reply: None }
}

fn regenerated(regenerate_of: MessageId, reply: MessageId, parent: MessageId) -> Event {
    Event::ReplyRequested { reply, parent, model: None, regenerate_of: Some(regenerate_of) }
}

#[test]
fn a_message_asks_for_a_reply_if_it_names_one() {
    given([started()])
        .when(ann(submit(Q1, Parent::ActiveLeaf, Some(R1))))
        .then_expect_events(vec![said(Q1, None), requested(R1, Q1)]);
    given([started()]).when(ann(submit(Q1, Parent::ActiveLeaf, None))).then_expect_events(vec![said(Q1, None)]);
}

#[test]
fn a_message_follows_the_active_leaf_or_what_it_names() {
    for (parent, follows) in [
        (Parent::ActiveLeaf, Some(R1)),
        (Parent::Message(R1), Some(R1)),
        (Parent::Message(Q1), Some(Q1)),
        (Parent::Root, None),
    ] {
        given(an_answer())
            .when(ann(submit(Q2, parent, Some(R2))))
            .then_expect_events(vec![said(Q2, follows), requested(R2, Q2)]);
    }
}

#[test]
fn a_message_follows_only_what_is_here() {
    given(an_answer()).when(ann(submit(Q2, Parent::Message(NOWHERE), None))).then_expect_error(Error::UnknownMessage);
}

#[test]
fn ids_are_used_once() {
    for taken in [
        submit(Q1, Parent::Root, None),
        submit(R1, Parent::Root, None),
        submit(Q2, Parent::Root, Some(Q1)),
        submit(Q2, Parent::Root, Some(R1)),
        submit(Q2, Parent::Root, Some(Q2)),
        edit(Q1, Q1, None),
        edit(Q1, Q2, Some(Q2)),
        regenerate(R1, R1),
        regenerate(R1, Q1),
    ] {
        given(an_answer()).when(ann(taken)).then_expect_error(Error::MessageIdTaken);
    }
}

#[test]
fn a_message_needs_some_text() {
    let blank = [text(" \n"), text("")].concat();
    for parts in [vec![], text(""), blank] {
        given([started()]).when(ann(submit_parts(parts.clone()))).then_expect_error(Error::EmptyMessage);
        let edit = Command::EditMessage { edit_of: Q1, message: Q2, parts, reply: None };
        given(an_answer()).when(ann(edit)).then_expect_error(Error::EmptyMessage);
    }
}

#[test]
fn a_person_says_only_text() {
    let (id, name) = (String::from("c1"), String::from("weather"));
    let thought = Part::Reasoning { text: "hm".to_owned(), signature: None, model: model() };
    let call = Part::ToolCall { id: id.clone(), name: name.clone(), arguments: "{}".to_owned(), signature: None };
    let result = Part::ToolResult { id, name, content: "rain".to_owned(), is_error: false };
    for part in [thought, call, result] {
        let parts = [text("hello"), vec![part]].concat();
        given([started()]).when(ann(submit_parts(parts))).then_expect_error(Error::UnsupportedPart);
    }
}

#[test]
fn a_message_has_a_limit_over_all_its_parts() {
    let limit = MAX_MESSAGE_BYTES;
    let full = [text("ä"), text(&"x".repeat(limit - 2))].concat();
    let over = [full.clone(), text("x")].concat();
    given([started()]).when(ann(submit_parts(over))).then_expect_error(Error::MessageTooLarge { limit });
    given([started()]).when(ann(submit_parts(full.clone()))).then_expect_events(vec![Event::MessageSubmitted {
        message: Q1,
        parent: None,
        author: user("ann"),
        parts: full,
        edit_of: None,
    }]);
}

#[test]
fn a_message_holds_no_nul() {
    for parts in [text("a\0b"), text("\0"), [text("fine"), text("\0")].concat()] {
        given([started()]).when(ann(submit_parts(parts.clone()))).then_expect_error(Error::InvalidText);
        let edit = Command::EditMessage { edit_of: Q1, message: Q2, parts, reply: None };
        given(an_answer()).when(ann(edit)).then_expect_error(Error::InvalidText);
    }
}

#[test]
fn a_conversation_has_a_limit_of_messages() {
    let limit = MAX_MESSAGES;
    let chain = |length: usize| {
        let first = said(message_id(0), None);
        let others = (1..length).map(|n| said(message_id(n), Some(message_id(n - 1))));
        [started(), first].into_iter().chain(others)
    };
    given(chain(limit - 1))
        .when(ann(submit(Q1, Parent::Root, Some(R1))))
        .then_expect_error(Error::TooManyMessages { limit });
    given(chain(limit - 2))
        .when(ann(submit(Q1, Parent::Root, Some(R1))))
        .then_expect_events(vec![said(Q1, None), requested(R1, Q1)]);
}

#[test]
fn an_edit_is_a_sibling_and_asks_anew() {
    given(an_answer())
        .when(ann(edit(Q1, Q2, Some(R2))))
        .then_expect_events(vec![said_instead(Q1, Q2, None), requested(R2, Q2)]);
    given([an_answer(), vec![said(Q2, Some(R1))]].concat())
        .when(ann(edit(Q2, Q3, None)))
        .then_expect_events(vec![said_instead(Q2, Q3, Some(R1))]);
}

#[test]
fn only_its_author_edits_a_message() {
    let here = || [an_answer(), vec![joined("ben")]].concat();
    given(here()).when(ben(edit(Q1, Q2, None))).then_expect_error(Error::NotAuthor);
    given(here()).when(ann(edit(R1, Q2, None))).then_expect_error(Error::NotAuthor);
    given(here()).when(ann(edit(NOWHERE, Q2, None))).then_expect_error(Error::UnknownMessage);
}

#[test]
fn another_wording_of_a_reply_is_a_sibling() {
    given(an_answer()).when(ann(regenerate(R1, R2))).then_expect_events(vec![regenerated(R1, R2, Q1)]);
}

#[test]
fn only_replies_are_regenerated() {
    given(an_answer()).when(ann(regenerate(Q1, R2))).then_expect_error(Error::UnknownReply);
    given(an_answer()).when(ann(regenerate(NOWHERE, R2))).then_expect_error(Error::UnknownReply);
}

#[test]
fn one_reply_at_a_time_runs_on_a_branch() {
    given(a_question()).when(ann(submit(Q2, Parent::ActiveLeaf, Some(R2)))).then_expect_error(Error::ReplyInProgress);
    given([a_running_reply(), vec![said(Q2, Some(R1)), said(Q3, Some(Q2))]].concat())
        .when(ann(edit(Q3, message_id(1), Some(R2))))
        .then_expect_error(Error::ReplyInProgress);
    given(a_running_reply()).when(ann(regenerate(R1, R2))).then_expect_error(Error::ReplyInProgress);
    given([an_answer(), vec![regenerated(R1, R2, Q1)]].concat())
        .when(ann(regenerate(R1, R3)))
        .then_expect_error(Error::ReplyInProgress);
}

#[test]
fn a_message_that_asks_nothing_may_follow_a_running_reply() {
    given(a_running_reply())
        .when(ann(submit(Q2, Parent::ActiveLeaf, None)))
        .then_expect_events(vec![said(Q2, Some(R1))]);
}

#[test]
fn replies_run_side_by_side_on_different_branches() {
    given(a_running_reply())
        .when(ann(edit(Q1, Q2, Some(R2))))
        .then_expect_events(vec![said_instead(Q1, Q2, None), requested(R2, Q2)]);
    given(a_running_reply())
        .when(ann(submit(Q2, Parent::Message(Q1), Some(R2))))
        .then_expect_events(vec![said(Q2, Some(Q1)), requested(R2, Q2)]);
}

#[test]
fn only_so_many_replies_run_at_once() {
    let limit = MAX_OPEN_REPLIES;
    let side_by_side = |count: usize| {
        (0..count).flat_map(|n| [said(message_id(2 * n), None), requested(message_id(2 * n + 1), message_id(2 * n))])
    };
    given(an_answer())
        .and(side_by_side(limit).collect())
        .when(ann(submit(Q2, Parent::Root, Some(R2))))
        .then_expect_error(Error::TooManyReplies { limit });
    given(an_answer())
        .and(side_by_side(limit).collect())
        .when(ann(regenerate(R1, R2)))
        .then_expect_error(Error::TooManyReplies { limit });
    given(an_answer())
        .and(side_by_side(limit - 1).collect())
        .when(ann(regenerate(R1, R2)))
        .then_expect_events(vec![regenerated(R1, R2, Q1)]);
}

#[test]
fn a_branch_is_shown_to_its_newest_end() {
    // Q1 ─ R1 ─ Q2 and, said later, Q1 ─ R2
    let forked = || [an_answer(), vec![said(Q2, Some(R1)), regenerated(R1, R2, Q1)]].concat();
    given(forked()).when(ann(select(R1))).then_expect_events(vec![selected(Q2)]);
    given(forked()).when(ann(select(Q2))).then_expect_events(vec![selected(Q2)]);
    given(forked()).when(ann(select(Q1))).then_expect_events(vec![]);
    given(forked()).and(vec![selected(Q2)]).when(ann(select(Q1))).then_expect_events(vec![selected(R2)]);
    given(forked()).when(ann(select(NOWHERE))).then_expect_error(Error::UnknownMessage);
}

#[test]
fn the_selected_branch_is_where_the_next_message_goes() {
    given([an_answer(), vec![said(Q2, None), selected(R1)]].concat())
        .when(ann(submit(Q3, Parent::ActiveLeaf, None)))
        .then_expect_events(vec![said(Q3, Some(R1))]);
}
