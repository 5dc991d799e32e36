//! What Converse is asked and what it answers, as its documentation has it.

mod reading;
mod writing;

use std::collections::BTreeMap;

use super::Converse;

fn wire() -> Converse {
    Converse::new("bedrock".to_owned(), BTreeMap::new())
}
