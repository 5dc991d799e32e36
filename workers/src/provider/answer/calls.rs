//! The tool calls of an answer: gathered piece by piece, handed out whole, in the order in which they began.

use std::collections::{HashSet, VecDeque};

use super::{Chunk, MAX_TOOL_CALLS};
use crate::provider::refusal::Refusal;

/// The calls that are not handed out yet, and the ids of those that are.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: VecDeque<Call>,
    ids: HashSet<String>,
    /// How many calls have begun.
    begun: usize,
}

/// A call that is not handed out yet.
#[derive(Debug)]
pub(super) struct Call {
    key: String,
    /// Its place among the answer's calls.
    index: usize,
    id: String,
    name: String,
    pub(super) arguments: String,
    pub(super) signature: Option<String>,
    ended: bool,
}

impl Calls {
    /// Begins a call, or fills in what an open one lacks.
    pub(super) fn open(&mut self, key: &str, id: &str, name: &str) -> Result<(), Refusal> {
        if let Some(call) = self.get(key) {
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            if call.name.is_empty() {
                name.clone_into(&mut call.name);
            }
            return Ok(());
        }
        if self.begun == MAX_TOOL_CALLS {
            return Err(Refusal::protocol(&format!("the answer has more than {MAX_TOOL_CALLS} tool calls")));
        }
        self.waiting.push_back(Call {
            key: key.to_owned(),
            index: self.begun,
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: String::new(),
            signature: None,
            ended: false,
        });
        self.begun += 1;
        Ok(())
    }

    /// The open call of this key.
    pub(super) fn get(&mut self, key: &str) -> Option<&mut Call> {
        self.waiting.iter_mut().find(|call| !call.ended && call.key == key)
    }

    /// Ends a call; one that is not open is none of ours.
    pub(super) fn end(&mut self, key: &str) {
        if let Some(call) = self.get(key) {
            call.ended = true;
        }
    }

    /// Ends all of them.
    pub(super) fn end_all(&mut self) {
        self.waiting.iter_mut().for_each(|call| call.ended = true);
    }

    /// Hands out the calls that have ended, as far as none before them is still open.
    pub(super) fn hand_out(&mut self, ready: &mut VecDeque<Chunk>) {
        while let Some(call) = self.waiting.pop_front_if(|call| call.ended) {
            // Without a name there is nothing to call.
            if call.name.is_empty() {
                continue;
            }
            let id = self.unique(call.id, call.index);
            let arguments = if call.arguments.trim().is_empty() { "{}".to_owned() } else { call.arguments };
            ready.push_back(Chunk::ToolCall { id, name: call.name, arguments, signature: call.signature });
        }
    }

    /// Whether any was handed out.
    pub(super) fn any(&self) -> bool {
        !self.ids.is_empty()
    }

    /// The id as it was given; one made from the call's place where there is none, or it is taken.
    fn unique(&mut self, given: String, index: usize) -> String {
        let mut id = given;
        let mut nth = index;
        while id.is_empty() || self.ids.contains(&id) {
            id = format!("call_{nth}");
            nth += MAX_TOOL_CALLS;
        }
        self.ids.insert(id.clone());
        id
    }
}
