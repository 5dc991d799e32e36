//! The arguments of a tool call, as protocols want them back.

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

/// The object that a model wrote, byte by byte, so that its provider finds its own prompt again. What is no object is put
/// into one: a model's slip must not make every later request of a conversation invalid.
pub(super) fn object(arguments: &str) -> Cow<'_, RawValue> {
    let text = arguments.trim();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw),
        _ => {
            let object = if text.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "invalid": text }) };
            Cow::Owned(to_raw_value(&object).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn what_comes_out_is_an_object() {
        for (arguments, expected) in [
            (r#" {"b": 1, "a":2} "#, r#"{"b": 1, "a":2}"#),
            ("", "{}"),
            (" \n", "{}"),
            ("[1]", r#"{"invalid":"[1]"}"#),
            ("null", r#"{"invalid":"null"}"#),
            (r#"{"a":"#, r#"{"invalid":"{\"a\":"}"#),
        ] {
            assert_eq!(object(arguments).get(), expected);
        }
    }
}
