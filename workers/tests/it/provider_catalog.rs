//! Which model a reply means, and which configurations cannot work.

use domain::ModelRef;
use workers::provider::route::RouteConfig;
use workers::provider::{Catalog, ConfigError, Deadlines, ErrorKind, ModelConfig, ModelInfo, ProviderConfig};

use crate::provider_fake::{KEY, config};

fn model(reference: &str) -> ModelRef {
    reference.parse().unwrap()
}

fn catalog(configs: Vec<ProviderConfig>, default: Option<&str>) -> Result<Catalog, ConfigError> {
    _ = rustls::crypto::ring::default_provider().install_default();
    Catalog::new(configs, default.map(model), Deadlines::default())
}

fn open() -> ProviderConfig {
    ProviderConfig { id: "open".to_owned(), models: vec![], ..config("https://models.example/v1") }
}

#[test]
fn a_reference_finds_its_provider() {
    let catalog = catalog(vec![config("http://127.0.0.1:1/v1"), ProviderConfig::demo(), open()], None).unwrap();
    let resolve = |reference| catalog.resolve(Some(&model(reference))).map(|(_, found)| found);
    for known in ["mock/m1", "demo/echo", "open/whatever/there:is"] {
        assert_eq!(resolve(known), Ok(model(known)));
    }
    for unknown in ["mock/m2", "demo/gpt", "nobody/m1"] {
        assert_eq!(resolve(unknown).unwrap_err().kind, ErrorKind::UnknownModel);
    }
    assert_eq!(catalog.resolve(None).unwrap().1, model("mock/m1"));
}

#[test]
fn models_are_listed_as_configured() {
    let configs = || vec![config("http://127.0.0.1:1/v1"), ProviderConfig::demo(), open()];
    let info = |reference: &str, label: &str, context_window, default| ModelInfo {
        model: model(reference),
        label: label.to_owned(),
        context_window,
        default,
    };
    assert_eq!(
        catalog(configs(), Some("demo/echo")).unwrap().models(),
        [
            info("mock/m1", "mock/m1", Some(128_000), false),
            info("demo/echo", "demo/echo (demo, not a model)", None, true),
        ]
    );
    // A default that only its provider knows can be chosen as well.
    let catalog = catalog(configs(), Some("open/x")).unwrap();
    assert_eq!(catalog.models()[0], info("open/x", "open/x", None, true));
    assert_eq!(catalog.resolve(None).unwrap().1, model("open/x"));
}

#[test]
fn without_a_model_a_reply_fails_and_nothing_else() {
    let catalog = catalog(vec![], None).unwrap();
    assert_eq!(catalog.resolve(None).map(|(_, found)| found).unwrap_err().kind, ErrorKind::UnknownModel);
}

#[test]
fn configurations_that_cannot_work_say_why() {
    let base = || config("http://127.0.0.1:1/v1");
    let named = |id: &str| ProviderConfig { id: id.to_owned(), ..base() };
    let at = |url: &str| ProviderConfig { base_url: Some(url.to_owned()), ..base() };
    let empty_model = ModelConfig::default();
    for configs in [
        vec![base(), base()],
        vec![named("")],
        vec![named("a/b")],
        vec![at("models.example/v1")],
        vec![at("ftp://models.example")],
        vec![at("https://someone:hunter2@models.example/v1")],
        vec![ProviderConfig { base_url: None, ..base() }],
        vec![ProviderConfig { api_key: Some("two\nlines".to_owned().into()), ..base() }],
        vec![ProviderConfig { models: vec![empty_model], ..base() }],
    ] {
        let error = catalog(configs, None).unwrap_err().to_string();
        assert!(error.starts_with("provider ") && !error.contains("hunter2") && !error.contains("lines"), "{error}");
    }
    let unknown = catalog(vec![base()], Some("mock/m9")).unwrap_err();
    assert_eq!(unknown, ConfigError::DefaultModel { model: model("mock/m9") });
}

fn route(id: &str, models: &[&str]) -> RouteConfig {
    RouteConfig { id: id.to_owned(), models: models.iter().map(|reference| model(reference)).collect() }
}

fn routed(routes: Vec<RouteConfig>, default: Option<&str>) -> Result<Catalog, ConfigError> {
    _ = rustls::crypto::ring::default_provider().install_default();
    let configs = vec![config("http://127.0.0.1:1/v1"), ProviderConfig::demo(), open()];
    Catalog::with_routes(configs, routes, default.map(model), Deadlines::default())
}

#[test]
fn a_route_is_chosen_like_a_model() {
    let fast = || vec![route("fast", &["open/x", "mock/m1"])];
    let catalog = routed(fast(), Some("route/fast")).unwrap();
    assert_eq!(catalog.resolve(None).unwrap().1, model("open/x"));
    assert_eq!(catalog.alternatives(None).unwrap(), (&[model("open/x"), model("mock/m1")][..], true));
    let alone = model("demo/echo");
    assert_eq!(catalog.alternatives(Some(&alone)).unwrap(), (&[alone.clone()][..], false));
    let listed = catalog.models().last().unwrap();
    assert_eq!((&listed.model, listed.label.as_str()), (&model("route/fast"), "fast (open/x, mock/m1)"));
    assert_eq!((listed.context_window, listed.default), (Some(128_000), true));
    assert_eq!(routed(fast(), None).unwrap().resolve(None).unwrap().1, model("mock/m1"), "a model comes first");
    assert_eq!(
        catalog.resolve(Some(&model("route/slow"))).map(|(_, found)| found).unwrap_err().kind,
        ErrorKind::UnknownModel
    );
}

#[test]
fn routes_that_cannot_work_say_why() {
    let many: Vec<String> = (0..9).map(|nth| format!("open/{nth}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for routes in [
        vec![route("", &["mock/m1"])],
        vec![route("a/b", &["mock/m1"])],
        vec![route("none", &[])],
        vec![route("many", &many)],
        vec![route("twice", &["mock/m1", "mock/m1"])],
        vec![route("unknown", &["mock/m9"])],
        vec![route("a", &["mock/m1"]), route("a", &["mock/m1"])],
        vec![route("a", &["mock/m1"]), route("b", &["route/a"])],
    ] {
        let error = routed(routes.clone(), None).unwrap_err().to_string();
        assert!(error.starts_with("route "), "{routes:?}: {error}");
    }
    let provider = ProviderConfig { id: "route".to_owned(), ..ProviderConfig::demo() };
    assert!(catalog(vec![provider], None).unwrap_err().to_string().contains("routes"));
}

#[test]
fn a_key_does_not_show_itself() {
    let configs = vec![config("http://127.0.0.1:1/v1")];
    let shown = format!("{configs:?} {:?}", catalog(configs.clone(), None));
    assert!(shown.contains("hidden") && !shown.contains(KEY), "{shown}");
}

#[test]
fn a_configuration_is_read_as_documented() {
    let json = r#"{"id":"mock","protocol":"openai-chat","base_url":"http://127.0.0.1:9999/v1","api_key":" k\n","models":[{"id":"m1","context_window":128000}]}"#;
    let config: ProviderConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.api_key, Some("k".to_owned().into()));
    assert!(serde_json::from_str::<ProviderConfig>(r#"{"id":"demo","protocol":"demo"}"#).is_ok());
    assert!(serde_json::from_str::<ProviderConfig>(r#"{"id":"demo","protocol":"telepathy"}"#).is_err());
}
