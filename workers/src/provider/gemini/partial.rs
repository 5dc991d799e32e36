//! Arguments of a function call that arrive piece by piece, each with the place where it belongs.
//!
//! Source: `https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc`. The places are
//! JSON paths of RFC 9535, of which only names and indexes occur.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::provider::answer::MAX_ANSWER_BYTES;
use crate::provider::refusal::Refusal;

/// How deep a place may lie.
const MAX_DEPTH: usize = 64;
/// What an object or a list takes that a place begins, in bytes: far more than the words that name it.
const CONTAINER_BYTES: usize = 700;

/// A piece.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Piece {
    json_path: String,
    string_value: Option<String>,
    number_value: Option<Number>,
    bool_value: Option<bool>,
}

/// The arguments so far.
#[derive(Debug)]
pub(super) struct Arguments {
    root: Value,
    bytes: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { root: Value::Object(Map::new()), bytes: 0 }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Arguments {
    /// Puts a piece where it belongs; text is added to the text that is there.
    pub(super) fn put(&mut self, piece: Piece) -> Result<(), Refusal> {
        self.bytes += piece.json_path.len() + piece.string_value.as_ref().map_or(0, String::len) + size_of::<Value>();
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Refusal::protocol("the arguments of a tool call are longer than 4 MiB"));
        }
        let lost = || Refusal::protocol("the arguments of a tool call came in an order that makes no sense");
        let place = self.place(&piece.json_path).ok_or_else(lost)?;
        match (place, piece) {
            (Value::String(text), Piece { string_value: Some(more), .. }) => text.push_str(&more),
            (place, Piece { string_value: Some(text), .. }) => *place = Value::String(text),
            (place, Piece { number_value: Some(number), .. }) => *place = Value::Number(number),
            (place, Piece { bool_value: Some(flag), .. }) => *place = Value::Bool(flag),
            // Null, or the end of a text.
            _ => {}
        }
        Ok(())
    }

    /// The whole, as JSON.
    pub(super) fn into_json(self) -> String {
        self.root.to_string()
    }

    /// The value at a path; a new one where there is none. None when there can be none.
    fn place(&mut self, path: &str) -> Option<&mut Value> {
        let mut place = &mut self.root;
        for step in steps(path)? {
            if place.is_null() {
                self.bytes += CONTAINER_BYTES;
                *place = match step {
                    Step::Name(_) => Value::Object(Map::new()),
                    Step::Index(_) => Value::Array(Vec::new()),
                };
            }
            place = match (place, step) {
                (Value::Object(fields), Step::Name(name)) => fields.entry(name).or_insert(Value::Null),
                (Value::Array(items), Step::Index(index)) => {
                    // Items come in their order: an index far ahead would only cost memory.
                    if index == items.len() {
                        items.push(Value::Null);
                    }
                    items.get_mut(index)?
                }
                _ => return None,
            };
        }
        Some(place)
    }
}

/// `$.name`, `[0]`, `['name']` and `["name"]`, one after the other; at least one.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix('[') { bracket(inner)? } else { dotted(rest)? };
        steps.push(step);
        rest = after;
        if steps.len() > MAX_DEPTH {
            return None;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

fn dotted(rest: &str) -> Option<(Step, &str)> {
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    (end > 0).then(|| (Step::Name(rest[..end].to_owned()), &rest[end..]))
}

fn bracket(inner: &str) -> Option<(Step, &str)> {
    let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (index, after) = inner.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), after));
    };
    let mut name = String::new();
    let mut chars = inner[1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            c if c == quote => return Some((Step::Name(name), inner[1 + at + 1..].strip_prefix(']')?)),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Arguments, Piece};

    fn put(arguments: &mut Arguments, piece: serde_json::Value) -> bool {
        arguments.put(serde_json::from_value::<Piece>(piece).unwrap()).is_ok()
    }

    #[test]
    fn pieces_find_their_place() {
        let mut arguments = Arguments::default();
        for piece in [
            json!({"jsonPath": "$.brightness", "numberValue": 50}),
            json!({"jsonPath": "$.colour", "stringValue": "wa", "willContinue": true}),
            json!({"jsonPath": "$.colour", "stringValue": "rm", "willContinue": true}),
            json!({"jsonPath": "$.colour"}),
            json!({"jsonPath": "$.rooms[0].name", "stringValue": "kitchen"}),
            json!({"jsonPath": "$.rooms[1]['is it.dark?']", "boolValue": true}),
            json!({"jsonPath": "$.until", "nullValue": "NULL_VALUE"}),
        ] {
            assert!(put(&mut arguments, piece));
        }
        let whole =
            r#"{"brightness":50,"colour":"warm","rooms":[{"name":"kitchen"},{"is it.dark?":true}],"until":null}"#;
        assert_eq!(arguments.into_json(), whole);
    }

    #[test]
    fn a_place_that_cannot_be_is_refused() {
        for path in ["", "$", "$.", "$.a[", "$.a[x]", "$.a[9]", "$.a[18446744073709551615]", "$[0]", "$['a", "$.s.t"] {
            let mut arguments = Arguments::default();
            assert!(put(&mut arguments, json!({"jsonPath": "$.s", "stringValue": ""})));
            assert!(!put(&mut arguments, json!({"jsonPath": path, "boolValue": true})), "{path}");
        }
        assert!(!put(&mut Arguments::default(), json!({"jsonPath": "$".to_owned() + &".a".repeat(65)})));
    }

    #[test]
    fn many_pieces_have_a_bound() {
        let mut arguments = Arguments::default();
        let piece = || json!({"jsonPath": "$.a", "stringValue": "x".repeat(1_000_000)});
        assert!((0..4).all(|_| put(&mut arguments, piece())));
        assert!(!put(&mut arguments, piece()));
        // Short, and deep.
        let mut arguments = Arguments::default();
        let deep = |nth: usize| json!({"jsonPath": format!("$.a{nth}") + &".a".repeat(60), "boolValue": true});
        let fit = (0..10_000).take_while(|nth| put(&mut arguments, deep(*nth))).count();
        assert!((50..150).contains(&fit), "{fit}");
    }
}
