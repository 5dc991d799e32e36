//! Providers that are simply there, without any configuration.

use std::time::Duration;

use serde::Deserialize;

use super::{ModelConfig, Protocol, ProviderConfig};

/// How long an Ollama on this machine has to say that it is there.
const OLLAMA_DEADLINE: Duration = Duration::from_millis(500);
const OLLAMA_PORT: u16 = 11434;

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// An Ollama with at least one model, if one answers: at `host`, written as in its own `OLLAMA_HOST`, else on this machine.
/// It is spoken to in its own protocol, in which it tells more than in the chat completions that it has as well.
pub async fn ollama(host: Option<&str>) -> Option<ProviderConfig> {
    let ollama = address(host.unwrap_or("127.0.0.1"));
    let client = reqwest::Client::builder().timeout(OLLAMA_DEADLINE).no_proxy().build().ok()?;
    let tags: Tags = client.get(format!("{ollama}/api/tags")).send().await.ok()?.json().await.ok()?;
    let model = |tag: Tag| ModelConfig { id: tag.name, ..ModelConfig::default() };
    let models: Vec<ModelConfig> = tags.models.into_iter().map(model).collect();
    (!models.is_empty()).then(|| ProviderConfig {
        id: "ollama".to_owned(),
        protocol: Protocol::Ollama,
        base_url: Some(ollama),
        api_key: None,
        access_key_id: None,
        session_token: None,
        auth: None,
        max_tokens: false,
        models,
        // Others may be pulled while this process runs.
        open: true,
    })
}

/// The address that `OLLAMA_HOST` means: `host`, `host:port` or a whole URL.
fn address(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    if host.contains("://") {
        return host.to_owned();
    }
    // A server may be told to listen everywhere; asked for is this machine.
    let host = host.replace("0.0.0.0", "127.0.0.1");
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { format!("http://{host}") } else { format!("http://{host}:{OLLAMA_PORT}") }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_ollama_is_named_as_its_own_tools_do() {
        for (host, means) in [
            ("127.0.0.1", "http://127.0.0.1:11434"),
            ("0.0.0.0:8000", "http://127.0.0.1:8000"),
            ("models.internal:80", "http://models.internal:80"),
            ("[::1]", "http://[::1]:11434"),
            ("[::1]:99", "http://[::1]:99"),
            ("https://models.example/", "https://models.example"),
        ] {
            assert_eq!(address(host), means);
        }
    }
}
