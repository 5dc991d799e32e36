//! Which tool call a fragment belongs to. Documented is an index in every fragment and an id in the first; servers leave
//! either out, say 0 for every call, or send calls whole.

use serde::de::IgnoredAny;

use super::frame::{Function, ToolCall};
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;

/// The calls of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Calls {
    /// Takes a call, or a fragment of one.
    pub(super) fn take(&mut self, call: ToolCall, answer: &mut Answer) -> Result<(), Refusal> {
        let id = call.id.unwrap_or_default();
        let function = call.function.unwrap_or_default();
        let name = function.name.clone().unwrap_or_default();
        let place = self.find(call.index, &id, &name).unwrap_or(self.0.len());
        let key = place.to_string();
        if place == self.0.len() {
            answer.tool(&key, &id, &name)?;
            self.0.push(Call { index: call.index, id, name, arguments: String::new() });
        } else if !id.is_empty() || !name.is_empty() {
            answer.tool(&key, &id, &name)?;
            let known = &mut self.0[place];
            known.id = if known.id.is_empty() { id } else { std::mem::take(&mut known.id) };
            known.name = if known.name.is_empty() { name } else { std::mem::take(&mut known.name) };
        }
        let fragment = function.arguments();
        answer.arguments(&key, &fragment)?;
        self.0[place].arguments.push_str(&fragment);
        Ok(())
    }

    /// Takes the one call of an answer in the old form.
    pub(super) fn take_function(&mut self, function: Function, answer: &mut Answer) -> Result<(), Refusal> {
        self.take(ToolCall { index: Some(0), id: None, function: Some(function) }, answer)
    }

    /// The call that a fragment continues; none when it begins one.
    fn find(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let found = match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.0.iter().rposition(|call| call.id == id),
            None => self.0.len().checked_sub(1),
        }?;
        let call = &self.0[found];
        let other_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
        // A name again and no id is a repetition, unless it is another one, or what there is of the call is whole.
        let other_name = !call.name.is_empty() && call.name != name;
        let whole = || serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok();
        let begins = other_id || (id.is_empty() && !name.is_empty() && (other_name || whole()));
        (!begins).then_some(found)
    }
}
