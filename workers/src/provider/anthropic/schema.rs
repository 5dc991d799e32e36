//! The schemas that structured output takes.

use serde_json::{Map, Value};

/// The schema, its objects closed (`additionalProperties` false) where it does not say whether they are: structured output
/// takes no open ones.
pub(in crate::provider) fn closed(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let is_object = fields.get("type").is_some_and(|kind| kind == "object") || fields.contains_key("properties");
    let mut closed: Map<_, _> = fields.iter().map(|(key, value)| (key.clone(), inner(key, value))).collect();
    if is_object && !closed.contains_key("additionalProperties") {
        closed.insert("additionalProperties".to_owned(), false.into());
    }
    Value::Object(closed)
}

/// What stands under a keyword, if there are schemas in it.
fn inner(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
            schemas.iter().map(|(name, schema)| (name.clone(), self::closed(schema))).collect()
        }
        ("anyOf" | "allOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => schemas.iter().map(closed).collect(),
        ("items" | "not", schema) => closed(schema),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::closed;

    #[test]
    fn objects_are_closed_wherever_they_stand() {
        let schema = json!({
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": { "type": "object", "properties": {} } },
                "open": { "type": "object", "additionalProperties": true },
                "either": { "anyOf": [{ "$ref": "#/$defs/a" }, { "type": "null" }] },
            },
            "enum": [{ "type": "object" }],
            "$defs": { "a": { "type": "object" } },
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "items": {
                    "type": "array",
                    "items": { "type": "object", "properties": {}, "additionalProperties": false },
                },
                "open": { "type": "object", "additionalProperties": true },
                "either": { "anyOf": [{ "$ref": "#/$defs/a" }, { "type": "null" }] },
            },
            "enum": [{ "type": "object" }],
            "$defs": { "a": { "type": "object", "additionalProperties": false } },
            "additionalProperties": false,
        });
        assert_eq!(closed(&schema), expected);
    }
}
