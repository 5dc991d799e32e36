//! Settings from a folder and an environment of the test's own.

use std::{fs, path::PathBuf};

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("bestchat-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&path).unwrap();
        for (name, text) in files {
            fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::from_sources(&self.0, environment).map_err(|e| e.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    Folder::with(&[("bestchat.toml", toml)]).load(environment)
}

#[test]
fn nothing_has_to_be_set() {
    let settings = Folder::with(&[]).load(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data, PathBuf::from(".bestchat"));
    assert_eq!(settings.reply_concurrency, 64);
    assert_eq!(settings.worker_roles, [WorkerRole::Commands, WorkerRole::Reply]);
    assert!(settings.database_url.is_none() && settings.nats_edge_url.is_none() && settings.shards.is_none());
}

#[test]
fn later_sources_win() {
    let toml = "listen = '127.0.0.1:1'\nlog = 'debug'\ndatabase_url = 'postgres://file'";
    let settings = load(toml, &[("BESTCHAT_LISTEN", "127.0.0.1:2"), ("DATABASE_URL", "postgres://shared")]).unwrap();
    assert_eq!(settings.listen.port(), 2);
    assert_eq!(settings.log, "debug");
    assert_eq!(settings.database_url.as_ref().unwrap().expose(), "postgres://shared");
    let both = [("DATABASE_URL", "postgres://shared"), ("BESTCHAT_DATABASE_URL", "postgres://own")];
    assert_eq!(load(toml, &both).unwrap().database_url.unwrap().expose(), "postgres://own");
    assert_eq!(load(toml, &[("DATABASE_URL", "")]).unwrap().database_url.unwrap().expose(), "postgres://file");
}

#[test]
fn an_edge_with_no_url_of_its_own_is_told_from_one_that_has() {
    let settings = load("", &[("NATS_URL", "nats://core")]).unwrap();
    assert!(settings.nats_edge_url.is_none());
    let settings = load("", &[("NATS_URL", "nats://core"), ("NATS_EDGE_URL", "nats://edge")]).unwrap();
    assert_eq!(settings.nats_edge_url.unwrap().expose(), "nats://edge");
}

#[test]
fn a_provider_needs_configuration_alone() {
    let toml = r#"
        default_model = "mock/m1"
        [[providers]]
        id = "mock"
        protocol = "openai-chat"
        base_url = "http://127.0.0.1:9999/v1"
        api_key = "k"
        models = [{ id = "m1", context_window = 128000 }]
    "#;
    let settings = load(toml, &[]).unwrap();
    assert_eq!(settings.providers[0].models[0].id, "m1");
    assert_eq!(settings.providers[0].protocol, Some(Protocol::OpenaiChat));

    let inline = r#"[{id="mock", protocol="openai-chat", base_url="http://x/v1", api_key="k", models=[{id="m1"}]}]"#;
    let settings = load("", &[("BESTCHAT_PROVIDERS", inline)]).unwrap();
    assert_eq!(settings.providers[0].models[0].context_window, Some(128_000));
}

#[test]
fn a_provider_that_is_known_needs_a_key_alone() {
    let toml = r#"
        [[providers]]
        id = "anthropic"
        api_key = "k"
        [[providers]]
        id = "openai"
        protocol = "openai-responses"
        base_url = "https://proxy.example/v1"
        models = [{ id = "gpt-6-luna" }, { id = "gpt-6-sol", context_window = 1000 }, { id = "mine" }]
        [[providers]]
        id = "azure"
        parameters = { resource = "ours" }
    "#;
    let settings = load(toml, &[("BESTCHAT_ALLOW_PRIVATE_ADDRESSES", "true")]).unwrap();
    assert!(settings.allow_private_addresses && !load("", &[]).unwrap().allow_private_addresses);
    let protocols = settings.providers.iter().map(|provider| provider.protocol.unwrap().as_str());
    assert_eq!(protocols.collect::<Vec<_>>(), ["anthropic", "openai-responses", "openai-chat"]);
    let windows = settings.providers[1].models.iter().map(|model| model.context_window.unwrap());
    assert_eq!(windows.collect::<Vec<_>>(), [1_050_000, 1_000, 128_000]);
}

#[test]
fn a_provider_of_ones_own_says_what_nobody_knows() {
    let toml = r#"
        [[providers]]
        id = "house"
        protocol = "openai-chat"
        base_url = "http://10.0.0.1/v1"
        auth = { header = "api-key" }
        max_tokens = true
        models = [
            { id = "m1", max_output = 4096, price = { input = 100000, cached_read = 10000, output = 500000 } },
            { id = "m2" },
        ]
    "#;
    let settings = load(toml, &[]).unwrap();
    let house = &settings.providers[0];
    assert_eq!((&house.auth, house.max_tokens), (&Some(account::Auth::Header("api-key".to_owned())), true));
    let price = account::Price::from(house.models[0].price.unwrap());
    let expected = account::Price { input: 100_000, output: 500_000, ..account::Price::default() };
    let expected = account::Price { cached_read: Some(10_000), ..expected };
    assert_eq!((house.models[0].max_output.unwrap().get(), price), (4_096, expected));
    assert!(house.models[1].max_output.is_none() && house.models[1].price.is_none());

    for (said, expected) in [
        ("auth = { header = 'Host' }", "providers[0].auth"),
        ("auth = 'telepathy'", "telepathy"),
        ("protocol = 'anthropic'\nmax_tokens = true", "providers[0].max_tokens"),
        ("models = [{ id = 'm', max_output = 0 }]", "nonzero"),
        ("models = [{ id = 'm', price = { input = 1 } }]", "output"),
        ("models = [{ id = 'm', price = { input = -1, output = 1 } }]", "-1"),
        ("models = [{ id = 'm', price = { input = 1, output = 1, cached_input = 1 } }]", "cached_input"),
    ] {
        let error = load(&format!("[[providers]]\nid = 'openai'\n{said}"), &[]).unwrap_err();
        assert!(error.contains(expected), "{said}: {error}");
    }
}

#[test]
fn variables_are_texts_numbers_and_lists() {
    let settings = load(
        "",
        &[
            ("BESTCHAT_SHARDS", "8"),
            ("BESTCHAT_TRACE_SAMPLING", "0.25"),
            ("BESTCHAT_NATS_URL", "0123"),
            ("BESTCHAT_WORKER_ROLES", "reply"),
            ("BESTCHAT_ALLOWED_ORIGINS", "https://a.example, https://b.example"),
            ("BESTCHAT_AUTH__ISSUERS", r#"[{secret="12345678901234567890123456789012", audience="chat"}]"#),
        ],
    )
    .unwrap();
    assert_eq!(settings.shards, Some(8));
    assert!((settings.trace_sampling - 0.25).abs() < f64::EPSILON);
    assert_eq!(settings.nats_url.unwrap().expose(), "0123");
    assert_eq!(settings.worker_roles, [WorkerRole::Reply]);
    assert_eq!(settings.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(settings.auth.issuers[0].algorithms, [Algorithm::HS256]);
    assert_eq!(settings.auth.issuers[0].tenant, "default");
}

#[test]
fn a_kubernetes_service_of_our_name_is_no_setting() {
    let links =
        ["BESTCHAT_SERVICE_HOST", "BESTCHAT_SERVICE_PORT_HTTP", "BESTCHAT_API_PORT", "BESTCHAT_PORT_80_TCP_ADDR"];
    let settings = Folder::with(&[]).load(&links.map(|name| (name, "tcp://10.0.0.1:80"))).unwrap();
    assert_eq!(settings.listen.port(), 8080);
}

#[test]
fn secrets_come_from_files_too() {
    let toml = "database_url_file = 'url'\n[[auth.issuers]]\nsecret_file = 'url'";
    let kept = "postgres://user:password@host:5432/kept";
    let folder = Folder::with(&[("url", &format!("{kept}\n")), ("bestchat.toml", toml)]);
    let settings = folder.load(&[]).unwrap();
    assert_eq!(settings.database_url.unwrap().expose(), kept, "relative to the settings file");
    assert_eq!(settings.auth.issuers[0].secret.as_ref().unwrap().expose(), kept);

    let outer = folder.load(&[("DATABASE_URL", "postgres://outer")]).unwrap();
    assert_eq!(outer.database_url.unwrap().expose(), "postgres://outer", "the outer source wins, file or not");
    let file = folder.0.join("url");
    let outer = load("database_url = 'inner'", &[("BESTCHAT_DATABASE_URL_FILE", file.to_str().unwrap())]).unwrap();
    assert_eq!(outer.database_url.unwrap().expose(), kept);

    let missing = load("nats_url_file = 'nowhere'", &[]).unwrap_err();
    assert!(missing.contains("`nats_url_file`") && missing.contains("nowhere"), "{missing}");
    let both = load("nats_url = 'a'\nnats_url_file = 'b'", &[]).unwrap_err();
    assert!(both.contains("both set"), "{both}");
}

#[test]
fn a_route_names_its_models_in_order() {
    let toml = "[[routes]]\nid='fast'\nmodels=['a/x', 'b/y']";
    let settings = load(toml, &[]).unwrap();
    assert_eq!(
        (settings.routes[0].id.as_str(), &settings.routes[0].models[..]),
        ("fast", &["a/x".to_owned(), "b/y".to_owned()][..])
    );
    let inline = load("", &[("BESTCHAT_ROUTES", r#"[{id="fast", models=["a/x"]}]"#)]).unwrap();
    assert_eq!(inline.routes[0].models, ["a/x"]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (toml, environment, expected) in [
        ("lissten = 'x'", &[][..], &["`lissten`", "bestchat.toml", "listen"][..]),
        ("[auth]\nissuer = []", &[], &["`auth.issuer`", "bestchat.toml"]),
        ("[[providers]]\nid='a'\nprotocol='demo'\nkey='x'", &[], &["key`", "bestchat.toml", "api_key"]),
        ("[[routes]]\nid='a'\nmodel='a/x'", &[], &["model`", "bestchat.toml", "models"]),
        ("", &[("BESTCHAT_LISSTEN", "x")], &["`lissten`", "BESTCHAT_LISSTEN"]),
        ("", &[("BESTCHAT_LISTEN", "somewhere")], &["`listen`", "BESTCHAT_LISTEN"]),
        ("reply_concurrency = 'many'", &[], &["`reply_concurrency`", "bestchat.toml"]),
        ("listen = ", &[], &["bestchat.toml"]),
        ("trace_sampling = 1.5", &[], &["`trace_sampling`", "from 0 to 1"]),
        ("otlp_endpoint = '127.0.0.1:4318'", &[], &["`otlp_endpoint`", "http://"]),
        ("otlp_endpoint = 'ftp://127.0.0.1'", &[], &["`otlp_endpoint`", "http://"]),
        ("otlp_endpoint = 'https://u:p@127.0.0.1'", &[], &["`otlp_endpoint`", "holds a login", "OTLP_HEADERS"]),
        ("default_model = 'm1'", &[], &["`default_model`", "provider/model"]),
        ("[[auth.issuers]]\nissuer='a'", &[], &["auth.issuers[0]", "jwks_url"]),
        ("[[auth.issuers]]\nsecret=''", &[], &["`auth.issuers[0].secret`", "32 bytes"]),
        ("[[auth.issuers]]\nsecret='1234567890123456789012345678901'", &[], &["auth.issuers[0].secret", "32 bytes"]),
        ("[[auth.issuers]]\nsecret_file='/dev/null'", &[], &["`auth.issuers[0].secret_file`", "32 bytes"]),
        (
            "[[auth.issuers]]\ntenant='a'\njwks_url='a'\n[[auth.issuers]]\njwks_url='b'",
            &[],
            &["`auth.issuers[1].tenant`", "several issuers"],
        ),
        ("[[auth.issuers]]\njwks_url='a'\nalgorithms=['HS256']", &[], &["HS256", "published keys"]),
        ("[[providers]]\nid='a'\nprotocol='openai-chat'", &[], &["providers[0].base_url"]),
        ("[[providers]]\nid='mine'", &[], &["`providers[0].protocol`", "`mine`", "bestchat providers"]),
        ("[[providers]]\nid='azure'\nparameters={region='x'}", &[], &["`providers[0].parameters`", "`region`"]),
        ("[[providers]]\nid='a'\nprotocol='telepathy'", &[], &["providers", "telepathy", "openai-chat"]),
        ("", &[("BESTCHAT_CONFIG", "nowhere.toml")], &["BESTCHAT_CONFIG", "nowhere.toml"]),
    ] {
        let error = load(toml, environment).unwrap_err();
        for part in expected {
            assert!(error.contains(part), "{toml:?} {environment:?}: {error}");
        }
    }
}

#[test]
fn sealing_keys_have_versions_and_may_come_from_files() {
    let toml = "sealing.keys = { 1 = 'one' }\nsealing.key_files = { 12 = 'kek' }";
    let folder = Folder::with(&[("bestchat.toml", toml), ("kek", "twelve\n")]);
    let sealing = folder.load(&[("BESTCHAT_SEALING__KEYS__3", "three")]).unwrap().sealing;
    let keys: Vec<(&str, &str)> = sealing.keys.iter().map(|(version, key)| (version.as_str(), key.expose())).collect();
    assert_eq!(keys, [("1", "one"), ("12", "twelve"), ("3", "three")]);
    assert_eq!(sealing.current, Some(12), "the highest, unless the settings say another");
    assert_eq!(folder.load(&[("BESTCHAT_SEALING__CURRENT", "1")]).unwrap().sealing.current, Some(1));
    assert_eq!(load("", &[]).unwrap().sealing.current, None);
    for (toml, expected) in [
        ("sealing.current = 1", "`sealing.current`"),
        ("sealing.keys = { 1 = 'a' }\nsealing.current = 2", "`sealing.current`"),
        ("sealing.keys = { one = 'a' }", "`sealing.keys.one`"),
        ("sealing.keys = { 01 = 'a' }", "`sealing.keys.01`"),
        ("sealing.keys = { 1 = 'a' }\nsealing.key_files = { 1 = 'b' }", "both set"),
        ("sealing.key_files = { 1 = 'nowhere' }", "`sealing.key_files.1`"),
    ] {
        let error = load(toml, &[]).unwrap_err();
        assert!(error.contains(expected), "{toml}: {error}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let toml = "sealing.keys = { 1 = 'hush' }\n[[providers]]\nid='a'\nprotocol='openai-chat'\nbase_url='http://x'\napi_key='hush'\n[[auth.issuers]]\nsecret='hush hush hush hush hush hush hush'";
    let settings =
        load(toml, &[("DATABASE_URL", "postgres://u:hush@h/d"), ("NATS_EDGE_URL", "nats://hush@h")]).unwrap();
    let text = settings.describe();
    assert!(!text.contains("hush") && !format!("{settings:?}").contains("hush"), "{text}");
    for line in [
        "database_url = (hidden)",
        "nats_edge_url = (hidden)",
        "providers[0].api_key = (hidden)",
        "sealing.keys.1 = (hidden)",
        "auth.issuers[0].secret = (hidden)",
        "listen = \"127.0.0.1:8080\"",
        "shards = (not set)",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn the_example_file_shows_the_defaults() {
    let example = include_str!("../../../bestchat.example.toml");
    let settings = load(example, &[]).unwrap();
    let unset = load("", &[]).unwrap();
    assert_eq!(settings.listen, unset.listen);
    assert_eq!(settings.worker_roles, unset.worker_roles);
    // Every setting is named in it, commented out or not.
    for line in unset.describe().lines() {
        let key = line.split(' ').next().unwrap().rsplit('.').next().unwrap();
        assert!(example.contains(key), "{key}");
    }
}
