//! Logging in: whose tokens are accepted, and how long a socket may live on one.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use tokio_tungstenite::tungstenite;

use crate::support::client::Client;
use crate::support::{ORIGIN, Rest, TestEdge, token};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_bad_token_closes_the_socket_and_none_in_time_too(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut silent = Client::connect(&test.address).await;
    for bad in ["", "no token", &token::ended("ann"), &token::lasting("ann", Duration::ZERO)] {
        let mut client = Client::connect(&test.address).await;
        client.send(&json!({ "type": "auth", "token": bad })).await;
        assert_eq!(client.close_code().await, Some(4401), "{bad}");
    }
    silent.send(&json!({ "type": "subscribe", "conversation": uuid::Uuid::nil() })).await;
    assert_eq!(silent.wait("refused").await["code"], "unauthenticated");
    assert_eq!(silent.close_code().await, Some(4408));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_socket_ends_with_its_token_unless_a_newer_one_came(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let short = || token::lasting("ann", Duration::from_secs(3));
    let (mut ends, mut goes_on) = (Client::connect(&test.address).await, Client::connect(&test.address).await);
    ends.log_in(&short()).await;
    goes_on.log_in(&short()).await;
    assert_eq!(goes_on.log_in(&token::of("ann")).await["user"], "ann");
    assert_eq!(ends.close_code().await, Some(4401));
    tokio::time::sleep(Duration::from_secs(1)).await;
    goes_on.until_pong().await;
    for another in ["bob", "other/ann"] {
        let mut client = test.client("ann").await;
        client.send(&json!({ "type": "auth", "token": token::of(another) })).await;
        assert_eq!(client.close_code().await, Some(4401), "{another}");
    }
    let far = token::of_acme(&token::claims("acme", "ann", u64::MAX));
    goes_on.log_in(&far).await;
    goes_on.until_pong().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_token_may_come_in_a_header_or_as_a_subprotocol(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let bearer = format!("Bearer {}", token::of("ann"));
    let mut client = Client::connect_with(&test.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(client.wait("authenticated").await["user"], "ann");
    let offered = format!("bestchat.v1, bestchat.auth.{}", token::of("bob"));
    let mut client = Client::connect_with(&test.address, &[("sec-websocket-protocol", &offered)]).await.unwrap();
    assert_eq!(client.wait("authenticated").await["user"], "bob");
    let mut client = Client::connect_with(&test.address, &[("authorization", "Bearer x")]).await.unwrap();
    assert_eq!(client.close_code().await, Some(4401));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_token_in_the_address_is_none(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    for name in ["token", "access_token", "authorization"] {
        let path = format!("/ws?{name}={}", token::of("ann"));
        let mut client = Client::connect_at(&test.address, &path, &[]).await.unwrap();
        client.wait("hello").await;
        client.send(&json!({ "type": "subscribe", "conversation": uuid::Uuid::nil() })).await;
        assert_eq!(client.wait("refused").await["code"], "unauthenticated", "{name}");
        let rest = Rest::new(&test.address, None);
        let path = format!("/api/models?{name}={}", token::of("ann"));
        assert_eq!(rest.send(&path).await.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn only_pages_of_allowed_origins_may_connect(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let own = format!("http://{}", test.address);
    for fine in [ORIGIN, &own] {
        Client::connect_with(&test.address, &[("origin", fine)]).await.unwrap();
    }
    for other in ["https://evil.example", "null"] {
        match Client::connect_with(&test.address, &[("origin", other)]).await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), 403, "{other}"),
            _ => panic!("{other} got in"),
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn requests_need_a_token(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let routes = ["conversations", "conversations/x", "conversations/x/messages", "conversations/x/events"];
    for route in routes.into_iter().chain(["models", "status"]) {
        for token in [None, Some("no token".to_owned()), Some(token::ended("ann"))] {
            let response = Rest::new(&test.address, token).send(&format!("/api/{route}")).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{route}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
    }
}
