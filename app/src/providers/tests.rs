use workers::provider::known;

use super::*;

fn settings(toml: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bestchat.toml"), toml).unwrap();
    Settings::from_sources(folder.path(), []).unwrap()
}

fn only(toml: &str, environment: &[(&str, &str)]) -> Result<ProviderConfig, String> {
    let found = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    configured(&settings(toml).providers[0], found).map_err(|error| error.to_string())
}

#[test]
fn what_an_entry_leaves_out_is_known() {
    let provider = only("[[providers]]\nid='anthropic'\napi_key='k'", &[]).unwrap();
    assert_eq!(provider.protocol, Protocol::Anthropic);
    assert_eq!(provider.base_url.as_deref(), Some("https://api.anthropic.com/v1"));
    assert_eq!(provider.api_key, Some("k".to_owned().into()));
    assert_eq!(provider.models.len(), known::provider("anthropic").unwrap().models.len());
    assert!(provider.open, "nobody named these: it has others");
    assert!(!only("[[providers]]\nid='demo'", &[]).unwrap().open, "it has no others");

    let overridden = "[[providers]]\nid='groq'\nprotocol='anthropic'\nbase_url='http://x/v1'\nmodels=[{id='m'}]";
    let provider = only(overridden, &[("GROQ_API_KEY", "k")]).unwrap();
    assert_eq!((provider.protocol, provider.base_url.as_deref()), (Protocol::Anthropic, Some("http://x/v1")));
    assert_eq!((provider.models.len(), provider.open), (1, false));
    assert_eq!(provider.api_key, None, "a key of the environment goes to its own provider alone");
    assert_eq!(
        only("[[providers]]\nid='groq'", &[("GROQ_API_KEY", "k")]).unwrap().api_key,
        Some("k".to_owned().into())
    );
}

#[test]
fn an_account_is_told_in_either_way() {
    let azure = |toml: &str, environment: &[(&str, &str)]| {
        only(&format!("[[providers]]\nid='azure'\n{toml}"), environment).map(|provider| provider.base_url.unwrap())
    };
    let variable = [("AZURE_RESOURCE_NAME", "theirs")];
    assert_eq!(azure("", &variable).unwrap(), "https://theirs.openai.azure.com/openai/v1");
    assert_eq!(azure("parameters={resource='ours'}", &variable).unwrap(), "https://ours.openai.azure.com/openai/v1");
    let missing = azure("", &[]).unwrap_err();
    assert!(missing.contains("\"azure\"") && missing.contains("parameters.resource"), "{missing}");
    assert!(azure("parameters={resource='evil.example/'}", &[]).is_err());
}

#[test]
fn calls_to_aws_are_signed_where_there_is_no_bearer_token() {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];
    let entry = "[[providers]]\nid='bedrock'\nparameters={region='eu-central-1'}";
    let signed = only(entry, &keys).unwrap();
    assert_eq!((signed.access_key_id.as_deref(), signed.api_key), (Some("AKIA"), Some("s".to_owned().into())));
    assert_eq!(signed.session_token, Some("t".to_owned().into()));
    let bearer = only(entry, &[&keys[..], &[("AWS_BEARER_TOKEN_BEDROCK", "b")]].concat()).unwrap();
    assert_eq!((bearer.access_key_id, bearer.api_key), (None, Some("b".to_owned().into())));
}

#[test]
fn a_key_offers_its_provider() {
    let offered = |id: &str, environment: &[(&str, &str)]| {
        let found = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        by_key(known::provider(id).unwrap(), found).map(|provider| provider.base_url.unwrap())
    };
    assert_eq!(offered("groq", &[("GROQ_API_KEY", "k")]).unwrap(), "https://api.groq.com/openai/v1");
    assert_eq!(offered("groq", &[]), None);
    let elsewhere = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://x/v1")];
    assert_eq!(offered("openai", &elsewhere).unwrap(), "http://x/v1");
    assert_eq!(offered("azure", &[("AZURE_API_KEY", "k")]), None, "nobody knows where");
    assert_eq!(offered("github", &[("GITHUB_TOKEN", "k")]), None, "a token for other things");
    assert_eq!(offered("lmstudio", &[]), None);
}

#[test]
fn what_is_configured_is_listed_as_such() {
    let settings = settings(
        "[[providers]]\nid='anthropic'\napi_key='hush'\n[[providers]]\nid='mine'\nprotocol='openai-chat'\nbase_url='http://x'\nmodels=[{id='m1'}]",
    );
    let found = |name: &str| (name == "GROQ_API_KEY").then(|| "hush".to_owned());
    let rows = list::rows(&settings, found);
    let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
    for (id, configured, how) in [
        ("anthropic", true, "configured"),
        ("mine", true, "configured"),
        ("groq", true, "GROQ_API_KEY"),
        ("openai", false, "set OPENAI_API_KEY"),
        ("azure", false, "AZURE_RESOURCE_NAME"),
        ("github", false, "[[providers]]"),
        ("lmstudio", false, "[[providers]]"),
        ("demo", true, "always there"),
    ] {
        assert_eq!((row(id).configured, row(id).how.contains(how)), (configured, true), "{id}: {}", row(id).how);
    }
    assert_eq!(row("mine").models[0].id, "m1");
    assert!(row("anthropic").models.iter().any(|model| model.price.is_some()));
    let (text, json) = (list::text(&settings, false).unwrap(), list::text(&settings, true).unwrap());
    assert!(text.lines().count() > known::providers().len() && !text.contains("hush") && !json.contains("hush"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["providers"].as_array().unwrap().len(), known::providers().len() + 1);
}

#[test]
fn a_route_asks_models_that_have_names() {
    let of = |models: &str| {
        let settings = settings(&format!("[[routes]]\nid='fast'\nmodels={models}"));
        route(&settings.routes[0]).map(|route| route.models.len()).map_err(|error| error.to_string())
    };
    assert_eq!(of("['a/x', 'b/y']"), Ok(2));
    let error = of("['nameless']").unwrap_err();
    assert!(error.contains("fast") && error.contains("provider/model"), "{error}");
}
