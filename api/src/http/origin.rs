//! Which pages may connect. A browser says which page it is (`Origin`); other clients need not say.

use axum::http::{HeaderMap, header};

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
    fn a_name_that_was_made_to_lead_here_is_not_local() {
        for local in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"] {
            assert!(is_local(&headers(&[(header::HOST, local)])), "{local}");
        }
        for other in ["evil.example:8080", "localhost.evil:8080", "", "127.0.0.1.evil"] {
            assert!(!is_local(&headers(&[(header::HOST, other)])), "{other}");
        }
    }
}
