//! The provider that a probe calls: as the person has configured it, else as the installation has it.

use std::sync::Arc;

use domain::{AccountId, ModelRef, ProviderId};
use nats::probe::Refusal;

use super::{Probes, failed};
use crate::offer::Offer;
use crate::provider::{Connected, Error, ErrorKind, Provider};
use crate::reply::Person;

pub(super) struct Target {
    pub(super) account: AccountId,
    /// Whose credential calls to it show, and where they go; opaque.
    pub(super) credential: String,
    id: ProviderId,
    connected: Connected,
}

impl Target {
    /// The provider of this name, as replies to this person would call it.
    pub(super) async fn of(probes: &Probes, person: &Person, id: ProviderId) -> Result<Self, Refusal> {
        let Probes { pool, sealing, catalog, .. } = probes;
        let offer = Offer::of(pool, sealing.as_ref(), catalog, Some(person)).await.map_err(|error| {
            tracing::warn!(%error, "an account cannot be read");
            Refusal::Unavailable
        })?;
        let connected = offer.provider(id.as_str()).map_err(failed)?.ok_or(Refusal::UnknownProvider)?;
        Ok(Self { account: person.account(), credential: offer.credential_id(id.as_str()), id, connected })
    }

    pub(super) fn provider(&self) -> &dyn Provider {
        &*self.connected.provider
    }

    /// It, to be asked for this model.
    pub(super) fn for_model(&self, model: &str) -> Result<Arc<dyn Provider>, Refusal> {
        let unnameable = || failed(self.error(ErrorKind::UnknownModel, "no model has such a name"));
        let model = self.reference(model).ok_or_else(unnameable)?;
        self.connected.for_model(&model).map_err(failed)
    }

    /// The model that is asked where none is named; none where none is configured either.
    pub(super) fn first_model(&self) -> Option<String> {
        self.connected.config.models.first().map(|model| model.id.clone())
    }

    /// How conversations name one of its models; none when they cannot.
    pub(super) fn reference(&self, model: &str) -> Option<ModelRef> {
        ModelRef::try_from(format!("{}/{model}", self.id)).ok()
    }

    /// An error in our words, without a full stop.
    pub(super) fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, format!("{}: {message}.", self.id))
    }
}
