//! What Messages is asked and what it answers, as its documentation has it.

mod reading;
mod writing;

use std::collections::BTreeMap;

use super::Messages;

fn wire() -> Messages {
    Messages::new("anthropic".to_owned(), BTreeMap::new())
}
