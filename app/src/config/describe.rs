//! Showing the settings to a person, secrets hidden.

use std::fmt::Write;

use figment::Figment;
use serde_json::Value;

use super::{Settings, source};

/// One line a setting: `key = value  # where it came from`.
pub(super) fn describe(settings: &Settings, figment: &Figment) -> String {
    let mut lines = Vec::new();
    if let Ok(value) = serde_json::to_value(settings) {
        walk(String::new(), &value, &mut lines);
    }
    let width = lines.iter().map(|(key, value)| key.len() + value.len()).filter(|width| *width < 60).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in lines {
        let pad = width.saturating_sub(key.len() + value.len());
        let _ = writeln!(text, "{key} = {value}{:pad$}  # {}", "", origin(&key, figment));
    }
    text
}

/// Where the setting, or the list it stands in, came from.
fn origin(key: &str, figment: &Figment) -> String {
    let outermost = key.split('[').next().unwrap_or(key);
    let said = |key: &str| figment.find_metadata(key).map(source::from);
    said(outermost).or_else(|| said(&format!("{outermost}_file"))).unwrap_or_else(|| "default".into())
}

fn walk(key: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // A file's name is only worth a line when there is one.
                if !(name.ends_with("_file") && field.is_null()) {
                    walk(if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, field, lines);
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                walk(format!("{key}[{at}]"), item, lines);
            }
        }
        Value::Null => lines.push((key, "(not set)".into())),
        Value::String(text) if text == "(hidden)" => lines.push((key, text.clone())),
        other => lines.push((key, other.to_string())),
    }
}
