//! Ids of tool calls as the protocol accepts them: at most 64 plain characters, and none twice in a request.
//!
//! A conversation may have been led with other providers, whose ids are longer, or begin anew with every answer.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

const MAX_ID_BYTES: usize = 64;

/// The ids of one request.
#[derive(Debug, Default)]
pub(super) struct CallIds<'a> {
    used: HashSet<String>,
    /// By the id in the log: what it was last written as, and how often it was met.
    last: HashMap<&'a str, (String, u32)>,
}

impl<'a> CallIds<'a> {
    /// The id of a call. The same history always gives the same ids.
    pub(super) fn call(&mut self, id: &'a str) -> String {
        let mut times = self.last.get(id).map_or(0, |(_, times)| *times);
        loop {
            times += 1;
            let written = if times == 1 { accepted(id) } else { accepted(&format!("{id}_{times}")) };
            if self.used.insert(written.clone()) {
                self.last.insert(id, (written.clone(), times));
                return written;
            }
        }
    }

    /// The id of the call that a result belongs to: the newest of that name.
    pub(super) fn result(&self, id: &str) -> String {
        self.last.get(id).map_or_else(|| accepted(id), |(written, _)| written.clone())
    }
}

fn accepted(id: &str) -> String {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    if !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(is_plain) {
        return id.to_owned();
    }
    format!("call_{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).simple())
}
