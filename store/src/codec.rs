//! The one place where events become payloads and payloads become events again; sealing will happen here.

use domain::Decide;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::{Error, Recorded};

/// An event as text that jsonb takes.
///
/// # Errors
/// When the event holds U+0000, which jsonb cannot; the domain refuses it earlier.
pub fn encode<A: Decide>(event: &A::Event) -> Result<Box<RawValue>, Error> {
    let text = serde_json::to_string(event).map_err(|e| Error::Unencodable(e.to_string()))?;
    if holds_nul(&text) {
        return Err(Error::Unencodable("it holds U+0000, which Postgres cannot store".to_owned()));
    }
    RawValue::from_string(text).map_err(|e| Error::Unencodable(e.to_string()))
}

/// The event that was recorded.
///
/// # Errors
/// [`Error::Undecodable`] when no event of `A` reads like that.
pub fn decode<A: Decide>(recorded: &Recorded) -> Result<A::Event, Error> {
    serde_json::from_str(recorded.payload.get()).map_err(|e| Error::Undecodable {
        aggregate_id: recorded.aggregate_id.clone(),
        sequence: recorded.sequence,
        event_type: recorded.event_type.clone(),
        reason: reason(&e),
    })
}

/// The event in a payload as postgres-es reads it.
pub(crate) fn decode_value<A: Decide>(payload: serde_json::Value) -> Result<A::Event, String> {
    serde_json::from_value(payload).map_err(|e| reason(&e))
}

/// Why JSON does not read, without a word of what it says: serde's own message quotes it.
pub fn reason(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => "its fields are not those that are looked for".to_owned(),
        _ => format!("it is no JSON from line {}, column {}, on", error.line(), error.column()),
    }
}

/// Whether JSON text escapes U+0000: `\u0000` whose backslash is not itself escaped.
fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let escapes = json.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        escapes % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::{holds_nul, reason};

    #[test]
    fn why_a_payload_does_not_read_quotes_nothing_of_it() {
        let said = [r#""a secret""#, r#"{"a secret": 1}"#, "[1, a secret", "\"a secret\u{1}\""];
        for json in said {
            let Err(error) = serde_json::from_str::<Vec<u32>>(json) else { panic!("{json} does not read") };
            assert!(!reason(&error).contains("secret"), "{}", reason(&error));
        }
    }

    #[test]
    fn an_escaped_nul_is_told_from_an_escaped_backslash() {
        assert!(holds_nul(r#""\u0000""#));
        assert!(holds_nul(r#""\\\u0000""#));
        assert!(!holds_nul(r#""\\u0000""#));
        assert!(!holds_nul(r#""u0000""#));
    }
}
