//! Which pages may connect. A browser says which page it is (`Origin`); other clients need not say.

use axum::http::{HeaderMap, HeaderName, Version, header};

/// What proxies say of whom they speak for, beside `x-forwarded-…`.
const PASSED_ON: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// Whether the page that a request comes from is our own or among the allowed ones.
pub(crate) fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, authority)| authority);
    (own.is_some() && own == host) || allowed.iter().any(|known| known == origin)
}

/// Whether the request names this machine itself, and not some name that was made to lead here.
pub(crate) fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(
        host,
        |(name, port)| {
            if port.chars().all(|c| c.is_ascii_digit()) { name } else { host }
        },
    );
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether nobody says that they pass the request on for someone else. A proxy that is kept by its defaults names this
/// machine whoever asks; most of them say at least that they are there, or speak HTTP/1.0 to those behind them.
pub(crate) fn is_direct(headers: &HeaderMap, version: Version) -> bool {
    let tells = |name: &HeaderName| PASSED_ON.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-");
    version != Version::HTTP_10 && !headers.keys().any(tells)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_page_of_our_own_or_an_allowed_one_may_connect() {
        let allowed = ["https://chat.example".to_owned()];
        let own = [(header::HOST, "a.example:8080"), (header::ORIGIN, "http://a.example:8080")];
        let listed = [(header::HOST, "a.example:8080"), (header::ORIGIN, "https://chat.example")];
        let none = [(header::HOST, "a.example:8080")];
        for fine in [headers(&own), headers(&listed), headers(&none)] {
            assert!(is_allowed(&fine, &allowed));
        }
        for origin in ["http://a.example", "https://chat.example.evil", "http://evil", "null", ""] {
            let other = headers(&[(header::HOST, "a.example:8080"), (header::ORIGIN, origin)]);
            assert!(!is_allowed(&other, &allowed), "{origin}");
        }
    }

    #[test]
    fn a_request_that_was_passed_on_is_not_direct() {
        let host = (header::HOST, "127.0.0.1:8080");
        assert!(is_direct(&headers(std::slice::from_ref(&host)), Version::HTTP_11));
        assert!(!is_direct(&headers(std::slice::from_ref(&host)), Version::HTTP_10), "nginx, kept by its defaults");
        for name in ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"] {
            let passed_on = headers(&[host.clone(), (HeaderName::from_static(name), "")]);
            assert!(!is_direct(&passed_on, Version::HTTP_11), "{name}");
        }
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_local() {
        for local in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"] {
            assert!(is_local(&headers(&[(header::HOST, local)])), "{local}");
        }
        for other in ["evil.example:8080", "localhost.evil:8080", "", "127.0.0.1.evil"] {
            assert!(!is_local(&headers(&[(header::HOST, other)])), "{other}");
        }
    }
}
