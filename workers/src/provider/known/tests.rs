use std::collections::BTreeSet;

use super::super::address::Reach;
use super::*;

#[test]
fn the_catalogue_is_whole() {
    let catalogue: Catalogue = toml::from_str(CATALOGUE).unwrap();
    let ids: BTreeSet<_> = catalogue.providers.iter().map(|provider| provider.id.as_str()).collect();
    assert_eq!(ids.len(), catalogue.providers.len(), "an id is used once");
    let promised = "anthropic openai azure google vertex bedrock openrouter groq together fireworks deepseek mistral xai \
        perplexity cerebras sambanova nvidia moonshot zai qwen minimax cohere huggingface deepinfra cloudflare github ollama \
        lmstudio vllm llamacpp demo";
    for id in promised.split_whitespace() {
        assert!(ids.contains(id), "{id}");
    }
}

#[test]
fn every_provider_can_be_reached() {
    for provider in providers() {
        let id = &provider.id;
        let address = provider.address(|_, _| Some("x1".to_owned())).unwrap();
        assert_eq!(address.is_none(), provider.protocol == Protocol::Demo, "{id}");
        assert_eq!(provider.key_variable.is_none(), provider.auth == Auth::None, "{id}");
        let Some(address) = address else { continue };
        assert!(!address.contains(['{', '}']) && !address.ends_with('/'), "{id}: every parameter is named: {address}");
        let reach = if provider.auth == Auth::None { Reach::Anywhere } else { Reach::Public };
        assert!(reach.check(&address).is_ok(), "{id}: {address}");
        for name in provider.parameters.keys() {
            assert!(provider.base_url.as_ref().unwrap().contains(&format!("{{{name}}}")), "{id}: {name}");
        }
    }
}

#[test]
fn every_model_is_sound() {
    for provider in providers() {
        let ids: BTreeSet<_> = provider.models.iter().map(|model| &model.id).collect();
        assert_eq!(ids.len(), provider.models.len(), "{}: a model is named once", provider.id);
        for model in &provider.models {
            let reference = ModelRef::try_from(format!("{}/{}", provider.id, model.id)).unwrap();
            assert_eq!(super::model(&reference), Some(model));
            if let (Some(window), Some(output)) = (model.context_window, model.max_output) {
                assert!((1_000..=10_000_000).contains(&window) && output <= window, "{reference}");
            }
            assert!(model.prices.is_sorted_by(|one, next| one.from < next.from), "{reference}: prices in order");
            for price in &model.prices {
                assert!(price.is_sound(), "{reference}: {price:?}");
                let version = price.version.as_str();
                assert!(
                    version.starts_with("litellm-") || version.starts_with("models.dev-"),
                    "{reference}: {version}"
                );
            }
        }
    }
}

#[test]
fn an_address_is_filled_in() {
    let azure = provider("azure").unwrap();
    let with = |value: &str| azure.address(|name, _| (name == "resource").then(|| value.to_owned()));
    assert_eq!(with("mine").unwrap().unwrap(), "https://mine.openai.azure.com/openai/v1");
    for elsewhere in ["", "evil.example/", "a@b", "x#", "x?", "a b"] {
        assert_eq!(with(elsewhere), Err(ParameterError::Malformed { name: "resource".to_owned() }), "{elsewhere}");
    }
    let missing = azure.address(|_, _| None).unwrap_err().to_string();
    assert!(missing.contains("parameters.resource") && missing.contains("AZURE_RESOURCE_NAME"), "{missing}");
}

#[test]
fn protocols_have_one_name() {
    for provider in providers() {
        let name = format!("\"{}\"", provider.protocol.as_str());
        assert_eq!(serde_json::from_str::<Protocol>(&name).unwrap(), provider.protocol);
    }
}
