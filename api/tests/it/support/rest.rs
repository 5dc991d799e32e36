//! Requests over HTTP.

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

pub(crate) struct Rest {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Rest {
    pub(crate) fn new(address: &str, token: Option<String>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base: format!("http://{address}"), token, client: reqwest::Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Status and body.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.send(path).await;
        (response.status(), response.text().await.unwrap())
    }

    /// The body of an answer that must be one.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Status and code of a refusal.
    pub(crate) async fn refusal(&self, path: &str) -> (u16, String) {
        let (status, body) = self.get(path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (status.as_u16(), body["error"]["code"].as_str().unwrap().to_owned())
    }
}
