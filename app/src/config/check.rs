//! What the types cannot say: secrets read from their files, defaults that depend on other settings, and
//! combinations that make no sense refused before anything starts.

use std::collections::HashSet;

use figment::value::magic::RelativePathBuf;
use workers::provider::address::{AddressError, Reach};
use workers::provider::known;

use super::{Algorithm, Deadlines, Error, Issuer, Protocol, Provider, Sealing, Secret, Settings};

/// The shortest shared secret that tokens may be signed with, in bytes: RFC 7518, section 3.2, for HS256. Whoever has one
/// token can try secrets against it at home, and a short one is found.
const MIN_SECRET_BYTES: usize = 32;
/// How many tokens a model is taken to read and write in one call where nobody says.
const CONTEXT_WINDOW: u32 = 128_000;
/// The tenant of an only issuer's people.
const ONLY_TENANT: &str = "default";

pub(super) fn complete(settings: &mut Settings) -> Result<(), Error> {
    resolve("database_url", &mut settings.database_url, settings.database_url_file.as_ref())?;
    resolve("nats_url", &mut settings.nats_url, settings.nats_url_file.as_ref())?;
    resolve("nats_edge_url", &mut settings.nats_edge_url, settings.nats_edge_url_file.as_ref())?;
    if settings.shards == Some(0) {
        return Err(Error("setting `shards` must be at least 1".into()));
    }
    if settings.reply_concurrency == 0 {
        return Err(Error("setting `reply_concurrency` must be at least 1".into()));
    }
    if !(0.0..=1.0).contains(&settings.trace_sampling) {
        return Err(Error("setting `trace_sampling` must be from 0 to 1".into()));
    }
    if let Some(endpoint) = &settings.otlp_endpoint {
        check_endpoint(endpoint)?;
    }
    let Deadlines { connect, first_token, between_tokens } = settings.deadlines;
    if [connect, first_token, between_tokens].contains(&0) {
        return Err(Error("every one of `deadlines` must be at least 1 second".into()));
    }
    if settings.default_model.as_ref().is_some_and(|model| !model.contains('/')) {
        return Err(Error("setting `default_model` must look like `provider/model`".into()));
    }
    let mut ids = HashSet::new();
    for (at, provider) in settings.providers.iter_mut().enumerate() {
        complete_provider(&format!("providers[{at}]"), provider)?;
        if !ids.insert(provider.id.clone()) {
            return Err(Error(format!("two providers have the id `{}`", provider.id)));
        }
    }
    complete_sealing(&mut settings.sealing)?;
    let only = settings.auth.issuers.len() == 1;
    for (at, issuer) in settings.auth.issuers.iter_mut().enumerate() {
        let key = format!("auth.issuers[{at}]");
        complete_issuer(&key, issuer)?;
        complete_tenant(&key, issuer, only)?;
    }
    Ok(())
}

/// It is shown as it stands, so it may hold nothing that must not be seen.
fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let why = match Reach::Anywhere.check(endpoint) {
        Ok(_) => return Ok(()),
        Err(AddressError::Login) => "holds a login; give that in OTEL_EXPORTER_OTLP_HEADERS",
        Err(_) => "must be an address that begins with http:// or https://",
    };
    Err(Error(format!("setting `otlp_endpoint` {why}")))
}

fn complete_provider(key: &str, provider: &mut Provider) -> Result<(), Error> {
    resolve(&format!("{key}.api_key"), &mut provider.api_key, provider.api_key_file.as_ref())?;
    if provider.id.is_empty() || provider.id.contains('/') {
        return Err(Error(format!("setting `{key}.id` must be a name without a slash")));
    }
    let known = known::provider(&provider.id);
    if provider.protocol.is_none() {
        provider.protocol = known.map(|known| known.protocol);
    }
    let Some(protocol) = provider.protocol else {
        let why = format!("`{}` is none of the providers that `bestchat providers` lists", provider.id);
        return Err(Error(format!("setting `{key}.protocol` is missing: {why}")));
    };
    let has_address = provider.base_url.is_some() || known.is_some_and(|known| known.base_url.is_some());
    if protocol != Protocol::Demo && !has_address {
        return Err(Error(format!("setting `{key}.base_url` is missing: provider `{}` needs an address", provider.id)));
    }
    if provider.max_tokens && protocol != Protocol::OpenaiChat {
        return Err(Error(format!("setting `{key}.max_tokens` is for the protocol openai-chat alone")));
    }
    if provider.auth.as_ref().is_some_and(|auth| !auth.is_usable()) {
        return Err(Error(format!("setting `{key}.auth` names a header that cannot show a key")));
    }
    let is_parameter = |name: &String| known.is_some_and(|known| known.parameters.contains_key(name));
    if let Some(name) = provider.parameters.keys().find(|name| !is_parameter(name)) {
        return Err(Error(format!("setting `{key}.parameters`: the address of `{}` has no `{name}`", provider.id)));
    }
    for model in &mut provider.models {
        let window = known.and_then(|known| known.model(&model.id)?.context_window?.try_into().ok());
        model.context_window = model.context_window.or(window).or(Some(CONTEXT_WINDOW));
    }
    Ok(())
}

fn complete_sealing(sealing: &mut Sealing) -> Result<(), Error> {
    for (version, file) in &sealing.key_files {
        if sealing.keys.contains_key(version) {
            let both = format!("`sealing.keys.{version}` and `sealing.key_files.{version}`");
            return Err(Error(format!("settings {both} are both set: set one of them")));
        }
        sealing.keys.insert(version.clone(), read(&format!("sealing.key_files.{version}"), file)?);
    }
    let mut versions = Vec::new();
    for version in sealing.keys.keys() {
        let number = version.parse::<u32>().ok().filter(|number| number.to_string() == *version);
        let number = number.ok_or_else(|| Error(format!("setting `sealing.keys.{version}`: a version is a number")))?;
        versions.push(number);
    }
    match sealing.current {
        Some(current) if !versions.contains(&current) => {
            Err(Error(format!("setting `sealing.current`: there is no version {current} among `sealing.keys`")))
        }
        Some(_) => Ok(()),
        None => {
            sealing.current = versions.into_iter().max();
            Ok(())
        }
    }
}

fn complete_issuer(key: &str, issuer: &mut Issuer) -> Result<(), Error> {
    resolve(&format!("{key}.secret"), &mut issuer.secret, issuer.secret_file.as_ref())?;
    if issuer.secret.as_ref().is_some_and(|secret| secret.expose().len() < MIN_SECRET_BYTES) {
        let place = if issuer.secret_file.is_some() { "secret_file" } else { "secret" };
        return Err(Error(format!("setting `{key}.{place}` is too short: a secret needs {MIN_SECRET_BYTES} bytes")));
    }
    let symmetric = match (&issuer.secret, &issuer.jwks_url) {
        (Some(_), None) => true,
        (None, Some(_)) => false,
        _ => {
            let one = "exactly one of `secret`, `secret_file` and `jwks_url`";
            return Err(Error(format!("setting `{key}` needs {one}")));
        }
    };
    if issuer.algorithms.is_empty() {
        issuer.algorithms =
            if symmetric { vec![Algorithm::HS256] } else { vec![Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] };
    }
    // A public key taken for a shared secret would let anyone sign.
    match issuer.algorithms.iter().find(|algorithm| algorithm.is_symmetric() != symmetric) {
        Some(wrong) => {
            let kind = if symmetric { "a shared secret" } else { "published keys" };
            Err(Error(format!("setting `{key}.algorithms`: {} does not go with {kind}", wrong.as_str())))
        }
        None => Ok(()),
    }
}

/// Two logins may both know an `ann`, and she need not be the same person: which people they share must be said.
fn complete_tenant(key: &str, issuer: &mut Issuer, only: bool) -> Result<(), Error> {
    if !issuer.tenant.is_empty() {
        return Ok(());
    }
    if !only {
        let why = "with several issuers each names its tenant; the same name of the same tenant is the same person";
        return Err(Error(format!("setting `{key}.tenant` is missing: {why}")));
    }
    ONLY_TENANT.clone_into(&mut issuer.tenant);
    Ok(())
}

/// Takes a secret from its file, if that is set.
fn resolve(key: &str, secret: &mut Option<Secret>, file: Option<&RelativePathBuf>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    if secret.is_some() {
        return Err(Error(format!("settings `{key}` and `{key}_file` are both set: set one of them")));
    }
    *secret = Some(read(&format!("{key}_file"), file)?);
    Ok(())
}

/// Reads a secret from its file, without the line end that editors add.
fn read(key: &str, file: &RelativePathBuf) -> Result<Secret, Error> {
    let path = file.relative();
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error(format!("setting `{key}`: cannot read {}: {e}", path.display())))?;
    Ok(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
