//! What Google's errors mean: much of it stands in the details.
//!
//! Source: `https://cloud.google.com/apis/design/errors`, `https://ai.google.dev/gemini-api/docs/troubleshooting`.

use serde_json::Value;

use crate::provider::refusal::Refusal;

/// Reads the error out of a body or an event, alone or as the first of a list.
pub(super) fn read(body: &Value) -> Refusal {
    let refusal = Refusal::find(body).unwrap_or_else(|| Refusal::flat(body));
    let body = body.get(0).unwrap_or(body);
    let error = body.get("error").unwrap_or(body);
    match word(error) {
        Some(word) => refusal.with_word(word),
        None => refusal,
    }
}

/// The word for programs that Google's own do not say.
fn word(error: &Value) -> Option<&'static str> {
    let details = || error.get("details").and_then(Value::as_array).into_iter().flatten();
    let violations: Vec<_> =
        details().filter_map(|detail| detail.get("violations")?.as_array()).flatten().filter(|v| is_quota(v)).collect();
    // The message is the same for both: "You exceeded your current quota".
    if violations.iter().any(|violation| is_lasting(violation)) {
        return Some("quota_exceeded");
    }
    if !violations.is_empty() {
        return Some("rate_limit");
    }
    let reason = details().find_map(|detail| detail.get("reason")?.as_str()).unwrap_or_default();
    match reason {
        "API_KEY_INVALID" | "API_KEY_EXPIRED" | "API_KEY_SERVICE_BLOCKED" => return Some("invalid_api_key"),
        "BILLING_DISABLED" => return Some("billing"),
        "RATE_LIMIT_EXCEEDED" => return Some("rate_limit"),
        _ => {}
    }
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    if message.contains("exceeds the maximum number of tokens") {
        return Some("context_length");
    }
    // 499, which by its number would be our fault.
    error.get("status").is_some_and(|status| status == "CANCELLED").then_some("server_error")
}

fn is_quota(violation: &Value) -> bool {
    violation.get("quotaId").is_some() || violation.get("quotaMetric").is_some()
}

/// Whether waiting a little does not help: a limit of a day, or none at all for this account.
fn is_lasting(violation: &Value) -> bool {
    let text = |key| violation.get(key).and_then(Value::as_str).unwrap_or_default();
    text("quotaId").contains("PerDay") || text("quotaMetric").ends_with("per_day") || text("quotaValue") == "0"
}
