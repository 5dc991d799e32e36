//! Where settings come from, and in which order.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::Kind,
    providers::{Format, Serialized, Toml},
    value::{Dict, Map, Value},
};

use super::{Error, Settings, check, describe::describe};

const FILE: &str = "bestchat.toml";
const PREFIX: &str = "BESTCHAT_";
/// Variables that many tools share, and the settings they mean.
const SHARED: [(&str, &str); 3] =
    [("DATABASE_URL", "database_url"), ("NATS_URL", "nats_url"), ("NATS_EDGE_URL", "nats_edge_url")];
/// Settings that an outer layer may replace by a file, or the other way round.
const SECRETS: [&str; 3] = ["database_url", "nats_url", "nats_edge_url"];
/// A variable is a text unless its setting is one of these: a key such as `0123` must not become a number.
const COUNTS: [&str; 15] = [
    "shards",
    "circuit_breakers",
    "allow_private_addresses",
    "sealing.current",
    "reply_concurrency",
    "trace_sampling",
    "deadlines.connect",
    "deadlines.first_token",
    "deadlines.between_tokens",
    "limits.micro_usd_per_day",
    "limits.micro_usd_per_month",
    "limits.tokens_per_day",
    "limits.tokens_per_month",
    "limits.requests_per_minute",
    "limits.concurrent_replies",
];
/// In a variable these may also be written `a,b`.
const LISTS: [&str; 2] = ["allowed_origins", "worker_roles"];

impl Settings {
    /// Reads them from a folder and an environment: what [`load`](Self::load) does, for any process.
    pub fn from_sources(folder: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        // A variable that is set to nothing is not set: compose files cannot leave one out.
        let environment: Vec<(String, String)> =
            environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut layers = vec![defaults()?];
        layers.extend(file(folder, &environment)?);
        layers.extend(shared(&environment));
        layers.extend(own(&environment));
        let figment = layer(layers)?;
        let mut settings: Self = figment.extract().map_err(|e| refusal(&figment, e))?;
        check::complete(&mut settings)?;
        settings.description = describe(&settings, &figment);
        Ok(settings)
    }
}

/// One source of settings.
struct Layer {
    metadata: Metadata,
    settings: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

fn defaults() -> Result<Layer, Error> {
    let defaults = serde_json::json!({
        "listen": "127.0.0.1:8080",
        "data": ".bestchat",
        "providers": [],
        "routes": [],
        "circuit_breakers": true,
        "allow_private_addresses": false,
        "sealing": { "keys": {}, "key_files": {} },
        "auth": { "issuers": [] },
        "allowed_origins": [],
        "worker_roles": ["commands", "reply"],
        "reply_concurrency": 64,
        "trace_sampling": 1.0,
        "deadlines": { "connect": 10, "first_token": 120, "between_tokens": 30 },
        "limits": {},
        "log": "info,async_nats=warn,sqlx=warn",
        "log_format": "text",
    });
    read(&Serialized::defaults(defaults), Metadata::named("default"))
}

/// The settings file; only one that was named has to exist.
fn file(folder: &Path, environment: &[(String, String)]) -> Result<Option<Layer>, Error> {
    let named = environment.iter().find(|(name, _)| name == "BESTCHAT_CONFIG").map(|(_, value)| PathBuf::from(value));
    let path = folder.join(named.as_deref().unwrap_or(FILE.as_ref()));
    if !path.is_file() {
        return match named {
            Some(path) => Err(Error(format!("BESTCHAT_CONFIG names {}, which is not a file", path.display()))),
            None => Ok(None),
        };
    }
    let name = path.strip_prefix(".").unwrap_or(&path).display().to_string();
    // The source makes a `…_file` in it relative to it.
    read(&Toml::file_exact(&path), Metadata::from(name, path.as_path())).map(Some)
}

fn read(provider: &impl Provider, metadata: Metadata) -> Result<Layer, Error> {
    let mut data = provider.data().map_err(|e| Error(format!("{}: {e}", metadata.name)))?;
    Ok(Layer { metadata, settings: data.remove(&Profile::Default).unwrap_or_default() })
}

fn shared(environment: &[(String, String)]) -> Vec<Layer> {
    let setting = |name: &str| SHARED.iter().find(|(variable, _)| *variable == name).map(|(_, key)| *key);
    environment.iter().filter_map(|(name, value)| variable(name, setting(name)?, value)).collect()
}

fn own(environment: &[(String, String)]) -> Vec<Layer> {
    let ours = environment.iter().filter(|(name, _)| name != "BESTCHAT_CONFIG" && !is_service_link(name));
    ours.filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
        variable(name, &key, value)
    })
    .collect()
}

/// Kubernetes tells every container about a service called `bestchat` in variables of that name; they are no
/// settings, and must not be refused as misspelt ones.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

/// Each variable is a layer of its own, so that a message can name it.
fn variable(name: &str, key: &str, value: &str) -> Option<Layer> {
    let settings = figment::util::nest(key, parse(key, value)).into_dict()?;
    Some(Layer { metadata: Metadata::named(name.to_owned()), settings })
}

fn parse(key: &str, value: &str) -> Value {
    let infallible = |text: &str| text.parse::<Value>().unwrap_or_else(|never| match never {});
    let trimmed = value.trim();
    if trimmed.starts_with(['[', '{']) || COUNTS.contains(&key) {
        infallible(trimmed)
    } else if LISTS.contains(&key) {
        Value::from(trimmed.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>())
    } else {
        Value::from(value)
    }
}

/// Puts the layers on top of each other. A secret and the file that may hold it are one setting in two forms: the
/// outermost form wins, and one layer may hold only one.
fn layer(layers: Vec<Layer>) -> Result<Figment, Error> {
    let mut seen: Vec<Layer> = Vec::new();
    for layer in layers {
        for secret in SECRETS {
            let file = format!("{secret}_file");
            let (text, path) = (layer.settings.contains_key(secret), layer.settings.contains_key(&file));
            if text && path {
                let from = layer.metadata.name;
                return Err(Error(format!("`{secret}` and `{file}` are both set in {from}: set one of them")));
            }
            if text || path {
                for inner in &mut seen {
                    inner.settings.remove(secret);
                    inner.settings.remove(&file);
                }
            }
        }
        seen.push(layer);
    }
    Ok(seen.into_iter().fold(Figment::new(), Figment::merge))
}

/// What is wrong, with which setting, and where that was said.
fn refusal(figment: &Figment, error: figment::Error) -> Error {
    let mut path = error.path.clone();
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let key = path.join(".");
    let source = figment.find_metadata(&key).cloned().or(error.metadata);
    let from = source.map_or_else(|| "the settings".into(), |metadata| from(&metadata));
    match error.kind {
        Kind::UnknownField(_, known) => {
            Error(format!("there is no setting `{key}` (in {from}); there are {}", known.join(", ")))
        }
        kind if key.is_empty() => Error(format!("in {from}: {kind}")),
        kind => Error(format!("setting `{key}` (in {from}): {kind}")),
    }
}

/// A source by the name that a person knows it by.
pub(super) fn from(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.strip_prefix(".").unwrap_or(path).display().to_string(),
        _ => metadata.name.to_string(),
    }
}
