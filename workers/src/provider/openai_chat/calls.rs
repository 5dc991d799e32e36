//! Which tool call a fragment belongs to. Documented is an index in every fragment and an id in the first; servers leave
//! either out, say 0 for every call, or send calls whole.

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
    arguments: Brackets,
}

/// Whether a call's arguments are one whole value, told as they come: parsing them again with every fragment would take
/// quadratic time.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl Brackets {
    fn take(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            self.has_begun |= !byte.is_ascii_whitespace();
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.in_text,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => self.depth += 1,
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_text
    }
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
            self.0.push(Call { index: call.index, id, name, arguments: Brackets::default() });
        } else if !id.is_empty() || !name.is_empty() {
            answer.tool(&key, &id, &name)?;
            let known = &mut self.0[place];
            known.id = if known.id.is_empty() { id } else { std::mem::take(&mut known.id) };
            known.name = if known.name.is_empty() { name } else { std::mem::take(&mut known.name) };
        }
        let fragment = function.arguments();
        answer.arguments(&key, &fragment)?;
        self.0[place].arguments.take(&fragment);
        Ok(())
    }

    /// Takes the one call of an answer in the old form.
    pub(super) fn take_function(&mut self, function: Function, answer: &mut Answer) -> Result<(), Refusal> {
        self.take(ToolCall { index: Some(0), id: None, function: Some(function) }, answer)
    }

    /// The call that a fragment continues; none when it begins one.
    fn find(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        // Several may share an index, and be told at once.
        let is_named = |call: &Call| !id.is_empty() && call.id == id && (index.is_none() || call.index == index);
        if let Some(named) = self.0.iter().rposition(is_named) {
            return Some(named);
        }
        let found = match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => None,
            None => self.0.len().checked_sub(1),
        }?;
        let call = &self.0[found];
        let other_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
        // A name again and no id is a repetition, unless it is another one, or what there is of the call is whole.
        let other_name = !call.name.is_empty() && call.name != name;
        let begins = other_id || (id.is_empty() && !name.is_empty() && (other_name || call.arguments.is_whole()));
        (!begins).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::Brackets;

    #[test]
    fn arguments_are_whole_when_they_would_parse() {
        let whole = r#" {"a\\":"}\"]","b":[{"c":"\\\""},[]],"d":{}} "#;
        for end in (0..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let mut brackets = Brackets::default();
            whole[..end].split_inclusive(',').for_each(|fragment| brackets.take(fragment));
            let parses = serde_json::from_str::<IgnoredAny>(&whole[..end]).is_ok();
            assert_eq!(brackets.is_whole(), parses, "{}", &whole[..end]);
        }
    }
}
