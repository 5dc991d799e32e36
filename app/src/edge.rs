//! The edge, set up from settings.

mod catalogue;

use std::net::SocketAddr;
use std::sync::Arc;

use api::auth::{Algorithm, DevLogin, IssuerConfig, IssuerKey, Verifier};
use api::{Edge, EdgeConfig, Limits, ModelView};
use domain::Tenant;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use workers::provider::Catalog;

use crate::config::{self, Settings};
use crate::wire::{self, Error};
use crate::{providers, sealing};

/// The tenant of those who log in without a login.
const DEV_TENANT: &str = "default";

/// Makes an edge that lists these models, each of a provider of the catalogue.
pub(crate) async fn edge(
    settings: &Settings,
    pool: PgPool,
    models: Vec<ModelView>,
    dev_login: Option<DevLogin>,
    stopping: CancellationToken,
) -> Result<Arc<Edge>, Error> {
    let shards = wire::shards(&pool).await?;
    // Each user receives its answers under a prefix of its own.
    let (url, inbox) = match &settings.nats_edge_url {
        Some(url) => (Some(url), nats::Inbox::Edge),
        None => (settings.nats_url.as_ref(), nats::Inbox::Core),
    };
    let client = wire::nats(url, "bestchat api", inbox).await?;
    let mut issuers = settings.auth.issuers.iter().map(issuer).collect::<Result<Vec<_>, _>>()?;
    if let Some(dev_login) = &dev_login {
        issuers.push(dev_login.issuer(DEV_TENANT.parse().map_err(Error::other)?));
    }
    let reach = providers::peoples_reach(settings);
    Ok(Edge::new(EdgeConfig {
        providers: catalogue::of(settings, &models),
        check_address: Box::new(move |provider, base_url| workers::own::check(reach, provider, base_url)),
        sealing: sealing::of(settings)?,
        pool,
        client,
        shards,
        verifier: Verifier::new(issuers).map_err(Error::other)?,
        allowed_origins: settings.allowed_origins.clone(),
        dev_login,
        models,
        limits: Limits::default(),
        stopping,
    }))
}

/// Says so when a process that faces people could do on the bus whatever a worker can.
pub(crate) fn warn_of_too_many_rights(settings: &Settings) {
    if settings.nats_edge_url.is_none() {
        tracing::warn!(
            "NATS_EDGE_URL is not set: this edge uses NATS_URL, and whoever takes it over has a worker's rights"
        );
    }
}

/// Listens at the address of the settings.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::other(format!("cannot listen on {address}: {error}")))
}

fn issuer(issuer: &config::Issuer) -> Result<IssuerConfig, Error> {
    let key = match (&issuer.secret, &issuer.jwks_url) {
        (Some(secret), _) => IssuerKey::Secret(secret.expose().as_bytes().to_vec()),
        (None, Some(url)) => IssuerKey::JwksUrl(url.clone()),
        (None, None) => return Err(Error::other("an issuer needs a secret or a jwks_url")),
    };
    let tenant: Tenant = issuer.tenant.parse().map_err(Error::other)?;
    let algorithms = issuer.algorithms.iter().copied().map(algorithm).collect();
    Ok(IssuerConfig { tenant, issuer: issuer.issuer.clone(), audience: issuer.audience.clone(), algorithms, key })
}

fn algorithm(algorithm: config::Algorithm) -> Algorithm {
    match algorithm {
        config::Algorithm::HS256 => Algorithm::HS256,
        config::Algorithm::HS384 => Algorithm::HS384,
        config::Algorithm::HS512 => Algorithm::HS512,
        config::Algorithm::RS256 => Algorithm::RS256,
        config::Algorithm::ES256 => Algorithm::ES256,
        config::Algorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// The models to choose from, the default among them marked if it is certain that the workers have the same.
pub(crate) fn models(catalog: &Catalog, default_is_certain: bool) -> Vec<ModelView> {
    let view = |model: &workers::provider::ModelInfo| ModelView {
        id: model.model.to_string(),
        label: model.label.clone(),
        context_window: model.context_window,
        default: model.default && default_is_certain,
    };
    catalog.models().iter().map(view).collect()
}
