//! The providers that a person has configured. A key goes in and never comes out: it is sealed here, before it becomes part
//! of a command, and its last four characters are all that anyone is told.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use domain::account::{Auth, Command, Model, Price, SealedKey};
use nats::probe::{self, Answer, Question, Refusal};
use projections::{ProviderConfigView, account};
use serde::{Deserialize, Serialize};
use store::sealing::{Owner, PlainKey};

use super::account::{ProviderPath, ReadQuery, Saved, ask, read};
use super::default_provider::check_known;
use super::identity::Caller;
use crate::access;
use crate::auth::Identity;
use crate::edge::Edge;
use crate::error::Problem;

/// The protocol in which a provider may call the limit of an answer `max_tokens`.
const CHAT_COMPLETIONS: &str = "openai-chat";

#[derive(Serialize)]
pub(super) struct Configs {
    configs: Vec<ProviderConfigView>,
}

/// A provider as a person configures it; what is left out goes back to what the catalogue says, but for the key, which stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveBody {
    protocol: Option<String>,
    base_url: Option<String>,
    #[serde(default)]
    models: Vec<ModelBody>,
    api_key: Option<PlainKey>,
    auth: Option<Auth>,
    #[serde(default)]
    max_tokens: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelBody {
    id: String,
    context_window: Option<u32>,
    max_output: Option<NonZeroU32>,
    price: Option<PriceBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceBody {
    input: u32,
    cached_read: Option<u32>,
    cache_write: Option<u32>,
    output: u32,
    reasoning: Option<u32>,
}

impl From<ModelBody> for Model {
    fn from(ModelBody { id, context_window, max_output, price }: ModelBody) -> Self {
        Self { id, context_window, max_output, price: price.map(Price::from) }
    }
}

impl From<PriceBody> for Price {
    fn from(PriceBody { input, cached_read, cache_write, output, reasoning }: PriceBody) -> Self {
        Self { input, cached_read, cache_write, output, reasoning }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TestBody {
    model: Option<String>,
}

/// What a provider that was tried out said.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Tested {
    Answered { ok: bool, model: String, took_ms: u64 },
    Failed { ok: bool, error: Failure },
}

#[derive(Serialize)]
pub(super) struct Failure {
    code: String,
    message: String,
}

/// `GET /api/providers/configs`
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Result<Json<Configs>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, account::NAME, query.min_position).await?;
    let configs = account::configs(&edge.pool, access::account(&identity)).await?;
    Ok(Json(Configs { configs }))
}

/// `PUT /api/providers/configs/{provider}`
pub(super) async fn save(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ProviderPath(provider): ProviderPath,
    body: Result<Json<SaveBody>, JsonRejection>,
) -> Result<Json<Saved>, Problem> {
    let SaveBody { protocol, base_url, models, api_key, auth, max_tokens } = read(body)?;
    let protocols = &edge.providers.protocols;
    if protocol.as_ref().is_some_and(|protocol| !protocols.contains(protocol)) {
        return Err(Problem::unknown_protocol(protocols));
    }
    let known = edge.providers.get(&provider);
    let is_complete = match known {
        Some(known) => base_url.is_some() || !known.needs_base_url,
        None => protocol.is_some() && base_url.is_some(),
    };
    if !is_complete {
        return Err(Problem::incomplete_provider(known));
    }
    let speaks = protocol.as_deref().or(known.map(|known| known.protocol.as_str()));
    if max_tokens && speaks != Some(CHAT_COMPLETIONS) {
        return Err(Problem::max_tokens_not_spoken(CHAT_COMPLETIONS));
    }
    (edge.check_address)(&provider, base_url.as_deref()).map_err(Problem::unusable_address)?;
    let owner = Owner { tenant: &identity.tenant, user: &identity.user, provider: &provider };
    let key = api_key.map(|key| seal(&edge, owner, &key)).transpose()?;
    let models = models.into_iter().map(Model::from).collect();
    let command = Command::SaveProviderConfig { provider, protocol, base_url, models, key, auth, max_tokens };
    ask(&edge, &identity, command).await
}

/// `DELETE /api/providers/configs/{provider}`
pub(super) async fn remove(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ProviderPath(provider): ProviderPath,
) -> Result<Json<Saved>, Problem> {
    ask(&edge, &identity, Command::RemoveProviderConfig { provider }).await
}

/// `POST /api/providers/configs/{provider}/test`
pub(super) async fn test(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ProviderPath(provider): ProviderPath,
    body: Result<Json<TestBody>, JsonRejection>,
) -> Result<Json<Tested>, Problem> {
    // Without a body: the first model that it offers.
    let TestBody { model } = match body {
        Err(JsonRejection::MissingJsonContentType(_)) => TestBody::default(),
        body => read(body)?,
    };
    check_known(&edge, &identity, &provider).await?;
    let Identity { tenant, user, .. } = identity;
    let request = probe::Request { tenant, user, provider, question: Question::Answers { model } };
    match probe::ask(&edge.client, &request).await {
        Ok(Ok(Answer::Answered { model, took_ms })) => Ok(Json(Tested::Answered { ok: true, model, took_ms })),
        Ok(Err(Refusal::Failed { code, message })) => {
            Ok(Json(Tested::Failed { ok: false, error: Failure { code, message } }))
        }
        Ok(Err(refusal)) => Err(failed(&refusal)),
        Ok(Ok(Answer::Models { .. })) | Err(_) => Err(Problem::unavailable()),
    }
}

/// Why a probe told nothing.
pub(super) fn failed(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::NotAvailable => Problem::not_available(refusal.to_string()),
        Refusal::UnknownProvider => Problem::provider_not_configured(refusal.to_string()),
        Refusal::TooMany { .. } | Refusal::Busy => Problem::too_many(refusal.to_string()),
        Refusal::Failed { .. } | Refusal::Unavailable => Problem::unavailable(),
    }
}

fn seal(edge: &Edge, owner: Owner<'_>, key: &PlainKey) -> Result<SealedKey, Problem> {
    let sealing = edge.sealing.as_ref().ok_or_else(Problem::keys_not_taken)?;
    Ok(sealing.seal(owner, key)?)
}
