//! Which tokens are accepted, without an edge around it.

use std::time::Duration;

use api::auth::{AuthError, IssuerConfig, IssuerKey, Verifier};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::token::{self, claims, now};

const RSA_PUBLIC: &[u8] = include_bytes!("keys/rsa.pub.pem");

/// The three kinds of keys, each under the name of its algorithm.
fn keys() -> [(Algorithm, &'static str, EncodingKey); 3] {
    [
        (Algorithm::EdDSA, "ed", EncodingKey::from_ed_pem(include_bytes!("keys/ed25519.pem")).unwrap()),
        (Algorithm::ES256, "es", EncodingKey::from_ec_pem(include_bytes!("keys/p256.pem")).unwrap()),
        (Algorithm::RS256, "rs", EncodingKey::from_rsa_pem(include_bytes!("keys/rsa.pem")).unwrap()),
    ]
}

/// Publishes their public halves.
async fn publish() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let published = keys().map(|(algorithm, name, key)| {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
        jwk.common.key_id = Some(name.to_owned());
        jwk
    });
    let set = serde_json::to_value(JwkSet { keys: published.into() }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/jwks", axum::routing::get(async move || axum::Json(set.clone())));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims("acme", "ann", now() + 60), key).unwrap()
}

fn published(url: &str) -> IssuerConfig {
    let algorithms = vec![Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
    IssuerConfig { algorithms, ..token::issuer("acme", IssuerKey::JwksUrl(url.to_owned())) }
}

#[tokio::test]
async fn published_keys_of_every_kind_are_accepted_and_nothing_in_their_name() {
    let url = publish().await;
    let verifier = Verifier::new(vec![published(&url)]).unwrap();
    for (algorithm, name, key) in keys() {
        for kid in [Some(name), None] {
            assert_eq!(verifier.verify(&signed(algorithm, kid, &key)).await.unwrap().user.as_str(), "ann", "{name}");
        }
        for wrong in ["made up", "rs", "es", "ed"].into_iter().filter(|wrong| *wrong != name) {
            assert_eq!(verifier.verify(&signed(algorithm, Some(wrong), &key)).await, Err(AuthError::Invalid), "{name}");
        }
    }
    // The public key taken for a shared secret.
    let confused = signed(Algorithm::HS256, Some("rs"), &EncodingKey::from_secret(RSA_PUBLIC));
    assert_eq!(verifier.verify(&confused).await, Err(AuthError::Invalid));
    // The same when an issuer with a secret stands beside it.
    let both = Verifier::new(vec![published(&url), token::issuers().remove(0)]).unwrap();
    assert_eq!(both.verify(&confused).await, Err(AuthError::Invalid));
    // No signature at all: {"alg":"none"} and {"sub":"ann","exp":9999999999}.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
    assert_eq!(verifier.verify(unsigned).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn an_algorithm_that_is_not_the_issuers_is_refused() {
    let url = publish().await;
    let only_es = IssuerConfig { algorithms: vec![Algorithm::ES256], ..published(&url) };
    let verifier = Verifier::new(vec![only_es]).unwrap();
    let [ed, es, rs] = keys().map(|(algorithm, name, key)| signed(algorithm, Some(name), &key));
    assert!(verifier.verify(&es).await.is_ok());
    for other in [ed, rs] {
        assert_eq!(verifier.verify(&other).await, Err(AuthError::Invalid));
    }
}

#[tokio::test]
async fn what_a_token_says_is_checked() {
    let verifier = Verifier::new(token::issuers()).unwrap();
    let verify = async |change: &dyn Fn(&mut Value)| {
        let mut claims = claims("acme", "ann", now() + 60);
        change(&mut claims);
        verifier.verify(&token::of_acme(&claims)).await
    };
    assert!(verify(&|_| {}).await.is_ok());
    assert_eq!(verify(&|claims| claims["exp"] = json!(now() - 60)).await, Err(AuthError::Expired));
    let bad: [&dyn Fn(&mut Value); 9] = [
        &|claims| claims["iss"] = json!("https://other.example"),
        &|claims| claims["aud"] = json!("someone else"),
        &|claims| claims["nbf"] = json!(now() + 60),
        &|claims| claims["sub"] = json!(""),
        &|claims| claims["sub"] = json!("line\nbreak"),
        &|claims| claims["sub"] = json!("x".repeat(20_000)),
        &|claims| drop(claims.as_object_mut().unwrap().remove("sub")),
        &|claims| drop(claims.as_object_mut().unwrap().remove("exp")),
        &|claims| drop(claims.as_object_mut().unwrap().remove("aud")),
    ];
    for (nth, change) in bad.into_iter().enumerate() {
        assert_eq!(verify(change).await, Err(AuthError::Invalid), "{nth}");
    }
    let other_algorithm = encode(
        &Header::new(Algorithm::HS384),
        &claims("acme", "ann", now() + 60),
        &EncodingKey::from_secret(b"the secret of acme"),
    );
    assert_eq!(verifier.verify(&other_algorithm.unwrap()).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn each_issuer_vouches_for_its_own_tenant() {
    let verifier = Verifier::new(token::issuers()).unwrap();
    let tenant = async |token: &str| verifier.verify(token).await.map(|identity| identity.tenant.to_string());
    assert_eq!(tenant(&token::lasting("ann", Duration::from_mins(1))).await.as_deref(), Ok("acme"));
    assert_eq!(tenant(&token::lasting("other/ann", Duration::from_mins(1))).await.as_deref(), Ok("other"));
    // One issuer in the other's name.
    let forged = token::of_acme(&claims("other", "ann", now() + 60));
    assert_eq!(tenant(&forged).await, Err(AuthError::Invalid));
}
