mod reading;
mod writing;

use std::collections::BTreeMap;

use super::{ChatCompletions, Quirks};

fn speaking(quirks: Quirks) -> ChatCompletions {
    ChatCompletions::new("mock".to_owned(), quirks, BTreeMap::new())
}
