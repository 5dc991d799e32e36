use std::collections::BTreeSet;

use super::super::address::Reach;
use super::super::anthropic::Messages;
use super::super::bedrock::Converse;
use super::super::openai_chat::ChatCompletions;
use super::super::request::{PromptMessage, Request, Role};
use super::super::wire::Wire;
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

/// What a provider is asked when an answer shall be gone on with.
fn gone_on_with(provider: &KnownProvider, model: &KnownModel) -> Option<serde_json::Value> {
    let id = provider.id.clone();
    let wire: Box<dyn Wire> = match provider.protocol {
        Protocol::Anthropic => Box::new(Messages::new(id, BTreeMap::new())),
        Protocol::Bedrock => Box::new(Converse::new(id, BTreeMap::new())),
        Protocol::OpenaiChat => {
            let quirks = model.quirks.unwrap_or(provider.quirks);
            Box::new(ChatCompletions::new(id, quirks, BTreeMap::new()))
        }
        _ => return None,
    };
    let messages = [(Role::User, "What?"), (Role::Assistant, "The moon")];
    let messages = messages.map(|(role, text)| PromptMessage::text(role, text)).to_vec();
    let written = wire.write(&Request { model: model.id.clone(), messages, ..Request::default() }).ok()?;
    serde_json::from_slice(&written.body).ok()
}

#[test]
fn whoever_goes_on_with_an_answer_is_asked_to() {
    let mut able = Vec::new();
    for provider in providers() {
        for model in provider.models.iter().filter(|model| model.can.contains(&Can::Prefill)) {
            let reference: ModelRef = format!("{}/{}", provider.id, model.id).parse().unwrap();
            assert!(prefills(&reference));
            let body = gone_on_with(provider, model).unwrap_or_else(|| panic!("{reference} cannot be asked"));
            let last = body["messages"].as_array().unwrap().last().unwrap();
            assert_eq!(last["role"], "assistant", "{reference}");
            let says_so = last["prefix"] == true;
            assert_eq!(says_so, provider.protocol == Protocol::OpenaiChat, "{reference}: {last}");
            able.push(provider.id.as_str());
        }
    }
    able.dedup();
    assert_eq!(able, ["anthropic", "bedrock", "mistral"]);
    assert!(!prefills(&"anthropic/claude-opus-5".parse().unwrap()));
    assert!(!prefills(&"nobody/knows".parse().unwrap()));
}

#[test]
fn mistral_is_asked_as_it_demands() {
    let quirks = provider("mistral").unwrap().quirks;
    assert!(quirks.short_call_ids && quirks.speaks_after_tools);
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
