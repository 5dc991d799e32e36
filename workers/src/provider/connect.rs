//! A provider as it is called: the protocol that it speaks and in what way, and how it is shown the key.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ModelRef;
use reqwest::Url;
use reqwest::header::HeaderName;

use super::address::Reach;
use super::anthropic::Messages;
use super::bedrock::Converse;
use super::call::{Caller, Clients, Credential};
use super::catalog::{ConfigError, unknown};
use super::cohere::Cohere;
use super::config::{Protocol, ProviderConfig};
use super::demo::Demo;
use super::gemini::{self, Gemini};
use super::known::{self, Auth, KnownProvider};
use super::ollama::Ollama;
use super::openai_chat::{ChatCompletions, Quirks};
use super::openai_responses::OpenAiResponses;
use super::sigv4::AwsKeys;
use super::wire::Wire;
use super::{Error, Provider};

/// A provider as it is configured, ready to be called. Cheap to make: connections are those of the clients.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) config: Arc<ProviderConfig>,
    pub(crate) provider: Arc<dyn Provider>,
}

impl Connected {
    /// Whose address may lead so far.
    ///
    /// # Errors
    /// When it cannot be called like this.
    pub(crate) fn new(config: ProviderConfig, clients: &Clients, reach: Reach) -> Result<Self, ConfigError> {
        Ok(Self { provider: connect(&config, (clients, reach))?, config: Arc::new(config) })
    }

    /// It, to be asked for this model of its.
    ///
    /// # Errors
    /// When it does not offer that.
    pub(crate) fn for_model(&self, model: &ModelRef) -> Result<Arc<dyn Provider>, Error> {
        if self.config.offers(model.model()) { Ok(Arc::clone(&self.provider)) } else { Err(unknown(model)) }
    }
}

fn connect(config: &ProviderConfig, clients: (&Clients, Reach)) -> Result<Arc<dyn Provider>, ConfigError> {
    let bad = |reason: &str| ConfigError::Provider { id: config.id.clone(), reason: reason.to_owned() };
    let known = known::provider(&config.id).filter(|known| known.protocol == config.protocol);
    let id = config.id.clone();
    if config.max_tokens && config.protocol != Protocol::OpenaiChat {
        return Err(bad("`max_tokens` is for the protocol openai-chat alone"));
    }
    // Models of these protocols are known by their names, wherever they are.
    let wire: Box<dyn Wire> = match config.protocol {
        Protocol::Demo => return Ok(Arc::new(Demo)),
        Protocol::OpenaiChat => Box::new(chat_completions(id, known, config.max_tokens)),
        Protocol::Anthropic => Box::new(Messages::new(id, BTreeMap::new())),
        Protocol::Bedrock => Box::new(Converse::new(id, BTreeMap::new())),
        Protocol::Cohere => Box::new(Cohere::new(id)),
        Protocol::Ollama => Box::new(Ollama::new(id)),
        Protocol::OpenaiResponses => Box::new(OpenAiResponses::new(id)),
        Protocol::Gemini => {
            let is_vertex = known.is_some_and(|known| known.no_call_ids);
            let quirks = if is_vertex { gemini::Quirks::VERTEX } else { gemini::Quirks::AI_STUDIO };
            Box::new(Gemini::new(id, quirks))
        }
    };
    let credential = credential(config, known).map_err(bad)?;
    Ok(Arc::new(Caller::new(config, wire, credential, clients)?))
}

/// `max_tokens`: it calls the limit of an answer so, whatever is known.
fn chat_completions(id: String, known: Option<&KnownProvider>, max_tokens: bool) -> ChatCompletions {
    let as_told = |quirks: Quirks| Quirks { max_tokens: quirks.max_tokens || max_tokens, ..quirks };
    let quirks = as_told(known.map_or_else(Quirks::default, |known| known.quirks));
    let models = known.map(|known| known.models.as_slice()).unwrap_or_default();
    let models = models.iter().filter_map(|model| Some((model.id.clone(), as_told(model.quirks?))));
    ChatCompletions::new(id, quirks, models.collect())
}

/// How a call shows whose it is: in the way that is configured, else in that of the known provider, or else in its protocol's
/// usual one.
fn credential(config: &ProviderConfig, known: Option<&KnownProvider>) -> Result<Credential, &'static str> {
    let Some(key) = config.api_key.clone() else { return Ok(Credential::None) };
    if let Some(access_key_id) = config.access_key_id.clone() {
        let region = region(config).ok_or("its base_url names no region of AWS, for which calls could be signed")?;
        let (secret_access_key, session_token) = (key, config.session_token.clone());
        let keys = AwsKeys { access_key_id, secret_access_key, session_token, region, service: "bedrock" };
        return Ok(Credential::AwsSigV4(keys));
    }
    let auth = config.auth.clone().or_else(|| known.map(|known| known.auth.clone()));
    let auth = auth.unwrap_or_else(|| known::usual_auth(config.protocol));
    if !auth.is_usable() {
        return Err("its key cannot be shown in the header of `auth`");
    }
    Ok(match auth {
        Auth::Header(name) => {
            Credential::Header(HeaderName::try_from(name).map_err(|_| "its header has no name")?, key)
        }
        // A server that wants none may stand behind one that does; and a key of Bedrock is a bearer token.
        Auth::Bearer | Auth::None | Auth::SigV4 => Credential::Bearer(key),
    })
}

/// The region in an address of AWS: `https://bedrock-runtime.eu-central-1.amazonaws.com`.
fn region(config: &ProviderConfig) -> Option<String> {
    let url = Url::parse(config.base_url.as_deref()?).ok()?;
    let mut labels = url.host_str()?.split('.').skip(1);
    let region = labels.next()?;
    (labels.next()? == "amazonaws").then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Deadlines, PromptMessage, Request, Role};

    fn config(id: &str, protocol: Protocol, base_url: &str) -> ProviderConfig {
        ProviderConfig {
            id: id.to_owned(),
            protocol,
            base_url: Some(base_url.to_owned()),
            api_key: Some("key".to_owned().into()),
            access_key_id: None,
            session_token: None,
            auth: None,
            max_tokens: false,
            models: Vec::new(),
            open: false,
        }
    }

    #[test]
    fn a_key_is_shown_in_the_providers_own_way() {
        let header = |id, protocol| {
            let known = known::provider(id);
            match credential(&config(id, protocol, "https://models.example"), known).unwrap() {
                Credential::Header(name, _) => name.to_string(),
                Credential::Bearer(_) => "bearer".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(header("anthropic", Protocol::Anthropic), "x-api-key");
        assert_eq!(header("mine", Protocol::Anthropic), "x-api-key");
        assert_eq!(header("azure", Protocol::OpenaiChat), "api-key");
        assert_eq!(header("google", Protocol::Gemini), "x-goog-api-key");
        assert_eq!(header("mine", Protocol::OpenaiChat), "bearer");
        assert_eq!(header("bedrock", Protocol::Bedrock), "bearer");
        assert_eq!(header("ollama", Protocol::Ollama), "bearer");
        let none = ProviderConfig { api_key: None, ..config("vllm", Protocol::OpenaiChat, "http://127.0.0.1:1/v1") };
        assert!(matches!(credential(&none, None).unwrap(), Credential::None));
    }

    #[test]
    fn a_key_is_shown_as_configured() {
        let shown = |auth| {
            let azure = known::provider("azure");
            credential(&ProviderConfig { auth, ..config("azure-eu", Protocol::OpenaiChat, "https://a.example") }, azure)
        };
        assert!(matches!(shown(Some(Auth::Bearer)).unwrap(), Credential::Bearer(_)));
        assert!(matches!(shown(None).unwrap(), Credential::Header(name, _) if name == "api-key"));
        let mine = Some(Auth::Header("X-Mine".to_owned()));
        assert!(matches!(shown(mine).unwrap(), Credential::Header(name, _) if name == "x-mine"));
        assert!(shown(Some(Auth::Header("host".to_owned()))).is_err());
    }

    #[test]
    fn the_limit_of_an_answer_is_called_as_configured() {
        for (provider, max_tokens, name) in
            [("mine", false, "max_completion_tokens"), ("mine", true, "max_tokens"), ("openai", true, "max_tokens")]
        {
            let wire = chat_completions(provider.to_owned(), known::provider(provider), max_tokens);
            let messages = vec![PromptMessage::text(Role::User, "Hello")];
            let model = "gpt-6-luna".to_owned();
            let request = Request { model, messages, max_output: Some(7), ..Request::default() };
            let body: serde_json::Value = serde_json::from_slice(&wire.write(&request).unwrap().body).unwrap();
            assert_eq!(body[name], 7, "{provider}: {body}");
        }
        _ = rustls::crypto::ring::default_provider().install_default();
        let config = config("mine", Protocol::Anthropic, "https://models.example");
        let clients = Clients::new(Deadlines::default());
        let called = Connected::new(ProviderConfig { max_tokens: true, ..config }, &clients, Reach::Anywhere);
        assert!(called.is_err_and(|error| error.to_string().contains("openai-chat alone")));
    }

    #[test]
    fn an_access_key_signs_for_its_region() {
        let signed = |base_url| {
            let config = config("bedrock", Protocol::Bedrock, base_url);
            credential(&ProviderConfig { access_key_id: Some("AKIA".to_owned()), ..config }, None)
        };
        let Ok(Credential::AwsSigV4(keys)) = signed("https://bedrock-runtime.eu-central-1.amazonaws.com") else {
            panic!()
        };
        assert_eq!((keys.region.as_str(), keys.access_key_id.as_str()), ("eu-central-1", "AKIA"));
        assert!(signed("https://proxy.example/v1").is_err());
    }

    #[test]
    fn every_known_provider_can_be_called() {
        _ = rustls::crypto::ring::default_provider().install_default();
        let clients = Clients::new(Deadlines::default());
        for known in known::providers() {
            let address = known.address(|_, _| Some("x1".to_owned())).unwrap();
            let config = known.configured(address, Some("key".to_owned().into()));
            let called = Connected::new(config, &clients, Reach::Anywhere);
            assert!(called.is_ok(), "{}", known.id);
        }
    }
}
