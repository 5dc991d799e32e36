//! Whoever takes part in a conversation is let in; of all others nothing is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Rule, name};
use crate::chaos::history::History;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &history.log {
        let person = match name(&row.event["type"]) {
            "ConversationStarted" => name(&row.event["owner"]),
            "ParticipantAdded" => name(&row.event["user"]),
            _ => continue,
        };
        people.entry(&row.conversation).or_default().insert(person);
    }
    // Where nobody was let in yet, nobody follows: the clients hear of a conversation from each other.
    people.retain(|_, people| people.len() > 1);
    for ledger in &history.ledgers {
        for (conversation, people) in &people {
            let takes_part = people.contains(ledger.user.as_str());
            findings.check(!takes_part || ledger.told.contains_key(*conversation), Rule::EventsOnceInOrder, || {
                format!("{} takes part in {conversation} and was never let in", ledger.client)
            });
        }
        for stray in &ledger.strays {
            findings.check(false, Rule::Private, || format!("{} was told {stray} without following it", ledger.client));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::chaos::checker::Rule;
    use crate::chaos::checker::tests::breaks;

    #[test]
    fn whoever_takes_part_must_be_let_in() {
        breaks(Rule::EventsOnceInOrder, &["was never let in"], |history| history.ledgers[1].told.clear());
    }

    #[test]
    fn nothing_must_be_told_of_what_is_not_followed() {
        breaks(Rule::Private, &["an event of another without following it"], |history| {
            history.ledgers[1].strays.push("an event of another".to_owned());
        });
    }
}
