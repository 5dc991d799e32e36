//! How long a provider asks us to wait before the next call: in headers, in the error's details, or in its words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The longest wait that a provider can ask of us.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// What headers ask: `retry-after-ms`, `retry-after` in seconds or as a date, or when what is used up of a limit comes back
/// (`x-ratelimit-remaining-tokens: 0`, `x-ratelimit-reset-tokens: 6m0s`).
pub(super) fn of_headers(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(seconds) {
        return Some(millis / 1000);
    }
    if let Some(value) = text("retry-after") {
        return seconds(value).or_else(|| until(value));
    }
    let used_up = |limit: &&str| text(&format!("x-ratelimit-remaining-{limit}")) == Some("0");
    let waits = ["requests", "tokens"].into_iter().filter(used_up);
    waits.filter_map(|limit| span(text(&format!("x-ratelimit-reset-{limit}"))?)).max()
}

/// Gemini: the wait stands in the body, as in `{"@type":"…RetryInfo","retryDelay":"34s"}`.
pub(super) fn of_details(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    seconds(delay.strip_suffix('s')?)
}

/// `OpenAI` and those who took over its words: `Please try again in 7.66s.`; Azure: `Please retry after 60 seconds.`
pub(super) fn of_message(message: &str) -> Option<Duration> {
    const LEADS: &[&str] = &["try again in ", "retry after "];
    let rest = LEADS.iter().find_map(|lead| Some(message.split_once(lead)?.1))?;
    // The sentence may end with it.
    let mut words = rest.split_whitespace().map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
    let (wait, unit) = (words.next()?, words.next().unwrap_or_default());
    let unit = match unit {
        "millisecond" | "milliseconds" | "ms" => "ms",
        "minute" | "minutes" | "min" => "m",
        "hour" | "hours" => "h",
        "day" | "days" if seconds(wait).is_some() => return Some(MAX_RETRY_AFTER),
        _ => "",
    };
    // A unit behind one that has its own already is none of its.
    if seconds(wait).is_some() { span(&format!("{wait}{unit}")) } else { span(wait) }
}

/// As in `20ms`, `7.66s`, `1m12.5s`, `2h`; a bare number is seconds.
fn span(text: &str) -> Option<Duration> {
    if let Some(wait) = seconds(text) {
        return Some(wait);
    }
    let mut rest = text;
    let mut wait = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, behind) = unit.split_at(unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len()));
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        wait = wait.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| wait.min(MAX_RETRY_AFTER))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    // Refuses what is negative or no number, and what would overflow.
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(MAX_RETRY_AFTER))
}

/// `retry-after` may be an HTTP date.
fn until(date: &str) -> Option<Duration> {
    let date = u64::try_from(DateTime::parse_from_rfc2822(date).ok()?.timestamp()).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(date).saturating_sub(now).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_how_long() {
        for (message, expected) in [
            ("Rate limit reached. Please try again in 20s. Visit us.", Some(Duration::from_secs(20))),
            ("Please try again in 7.5s", Some(Duration::from_millis(7_500))),
            ("Please try again in 6ms.", Some(Duration::from_millis(6))),
            ("please try again in 1m12.5s, or buy more", Some(Duration::from_millis(72_500))),
            ("try again in 900h", Some(MAX_RETRY_AFTER)),
            ("Please try again in 2 minutes.", Some(Duration::from_mins(2))),
            ("Please try again in 1.5 hours, or buy more", Some(Duration::from_mins(90))),
            ("Please try again in 1 second", Some(Duration::from_secs(1))),
            ("try again in 250 ms.", Some(Duration::from_millis(250))),
            ("try again in 3 days", Some(MAX_RETRY_AFTER)),
            ("try again in 900 hours", Some(MAX_RETRY_AFTER)),
            ("try again in 7s minutes later", Some(Duration::from_secs(7))),
            ("Requests have exceeded the limit. Please retry after 60 seconds.", Some(Duration::from_mins(1))),
            ("retry after a minute", None),
            ("try again in a moment", None),
            ("try again in -5s", None),
            ("try again in 1e400s", None),
            ("try again in ", None),
            ("try again in s", None),
        ] {
            assert_eq!(of_message(message), expected, "{message}");
        }
    }

    #[test]
    fn a_limit_that_is_used_up_says_when_it_comes_back() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let used_up = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
        let left = [("x-ratelimit-remaining-requests", "9"), ("x-ratelimit-reset-requests", "20h")];
        assert_eq!(of_headers(&headers(&[used_up, left].concat())), Some(Duration::from_mins(6)));
        assert_eq!(of_headers(&headers(&left)), None);
        assert_eq!(of_headers(&headers(&[("retry-after", "1"), used_up[0], used_up[1]])), Some(Duration::from_secs(1)));
    }
}
