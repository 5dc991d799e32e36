//! Amazon's published test vectors, and what its own Python library signs.

use chrono::TimeZone;

use super::*;

fn keys(service: &'static str, region: &str, token: Option<&str>) -> AwsKeys {
    AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned().into(),
        session_token: token.map(|token| token.to_owned().into()),
        region: region.to_owned(),
        service,
    }
}

fn content_type(value: &'static str) -> (HeaderName, HeaderValue) {
    (reqwest::header::CONTENT_TYPE, HeaderValue::from_static(value))
}

/// The signature, behind what is the same in every test.
fn signature(added: &[(HeaderName, HeaderValue)]) -> (&str, &str) {
    let (_, value) = added.iter().find(|(name, _)| name == AUTHORIZATION).unwrap();
    assert!(value.is_sensitive());
    let (_, rest) = value.to_str().unwrap().split_once(", SignedHeaders=").unwrap();
    rest.split_once(", Signature=").unwrap()
}

/// Path, session token, headers, body; names of the signed headers, signature.
type Case<'a> = (&'a str, Option<&'a str>, &'a [(HeaderName, HeaderValue)], &'a [u8], &'a str, &'a str);

/// `post-vanilla`, `post-vanilla-query`, `post-x-www-form-urlencoded` and `post-sts-header-before` of the Signature Version 4
/// test suite.
#[test]
fn published_signatures() {
    let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
    let form = [content_type("application/x-www-form-urlencoded")];
    let cases: [Case<'_>; 4] = [
        ("/", None, &[], b"", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "/?Param1=value1",
            None,
            &[],
            b"",
            "host;x-amz-date",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "/",
            None,
            &form,
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "/",
            Some(token),
            &[],
            b"",
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ];
    let now = Utc.with_ymd_and_hms(2015, 8, 30, 12, 36, 0).unwrap();
    for (path, token, headers, body, names, expected) in cases {
        let url = Url::parse("https://example.amazonaws.com").unwrap().join(path).unwrap();
        let added = keys("service", "us-east-1", token).sign(&url, headers, body, now).unwrap();
        assert_eq!(signature(&added), (names, expected), "{path}");
    }
}

/// Calculated with botocore 1.43.11: ids of models hold colons and slashes, which are encoded twice in what is signed.
#[test]
fn signatures_of_bedrock_calls() {
    let claude = "anthropic.claude-3-haiku-20240307-v1:0";
    let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
    let now = Utc.with_ymd_and_hms(2026, 3, 4, 5, 6, 7).unwrap();
    for (model, token, body, expected) in [
        (claude, None, &br#"{"messages":[]}"#[..], "d7683951fdee0da94feac52fceb4cd0af4c34e2b7163561dfdd32b0434d9837b"),
        (profile, None, b"", "5f7f05eef7bb0bbdefb4b27eb6b3af4d80be1da9316e779dfcf1cc24901e1401"),
        (
            claude,
            Some("a/session+token=="),
            br#"{"messages":[]}"#,
            "657171859f69a1b0062ba2045c8d4a16b916651bdd0f15301b0d6513a9ed4b4c",
        ),
    ] {
        let mut url = Url::parse("https://bedrock-runtime.eu-central-1.amazonaws.com").unwrap();
        url.set_path(&format!("/model/{}/converse-stream", encoded(model, "")));
        let headers = [content_type("application/json")];
        let added = keys("bedrock", "eu-central-1", token).sign(&url, &headers, body, now).unwrap();
        assert_eq!(signature(&added).1, expected, "{model}");
        assert_eq!(added[0].1, "20260304T050607Z");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let shown = format!("{:?}", keys("bedrock", "us-east-1", Some("a-session-token")));
    assert!(!shown.contains("wJalr") && !shown.contains("a-session-token"), "{shown}");
    let url = Url::parse("http://127.0.0.1:8080/").unwrap();
    let bad = keys("bedrock", "us-east-1", Some("line\nbreak"));
    assert!(bad.sign(&url, &[], b"", Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap()).is_err());
}
