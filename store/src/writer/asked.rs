//! What a writer does with an aggregate and with a command asked of it, whatever their types.

use std::any::Any;

use cqrs_es::DomainEvent;
use domain::{Decide, Metadata};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::decided::{AnyOutcome, Reason};
use super::{Execute, Outcome, Refusal};
use crate::append::NewEvent;
use crate::load::{Loaded, load};
use crate::{Error, codec, snapshot};

/// The state of an aggregate.
pub(super) trait AnyState: Any + Send + Sync {
    /// Keeps a copy of it as the snapshot at `sequence`.
    fn keep(&self, pool: PgPool, id: String, sequence: u64) -> BoxFuture<'static, Result<(), Error>>;
}

impl<A: Decide + Clone + 'static> AnyState for A {
    fn keep(&self, pool: PgPool, id: String, sequence: u64) -> BoxFuture<'static, Result<(), Error>> {
        let state = self.clone();
        async move { snapshot::write(&pool, &id, sequence, &state).await }.boxed()
    }
}

fn boxed<A: AnyState>(loaded: Loaded<A>) -> AnyLoaded {
    let Loaded { state, sequence, snapshot, bytes } = loaded;
    Loaded { state: Box::new(state), sequence, snapshot, bytes }
}

/// An aggregate of any type.
pub(super) type AnyLoaded = Loaded<Box<dyn AnyState>>;

/// One on its way from the log.
pub(super) type Loading = BoxFuture<'static, Result<AnyLoaded, Error>>;

/// A command, and whoever waits for its outcome.
pub(super) trait AnyAsked: Send + Sync {
    /// The aggregate that it is asked of before anything happened to it.
    fn unborn(&self) -> AnyLoaded;

    /// The aggregate that it is asked of, from the log.
    fn load(&self, pool: PgPool) -> Loading;

    /// Decides it and changes the aggregate accordingly: the events, to be appended; none when it has come true already.
    /// The aggregate is left as it was by a refusal.
    fn decide(&self, aggregate: &mut AnyLoaded, digest: &str) -> Result<Vec<NewEvent>, Refused>;

    /// Answers it.
    fn answer(self: Box<Self>, outcome: AnyOutcome);
}

/// Why a command makes nothing happen.
pub(super) enum Refused {
    /// By the state as it stands.
    ByState(Refusal<Reason>),
    /// An event cannot be written, whatever the state.
    Unwritable(Error),
}

/// A command to an `A`.
pub(super) struct Asked<A: Decide> {
    pub(super) execute: Execute<A>,
    pub(super) answer: oneshot::Sender<Outcome<A>>,
}

impl<A> AnyAsked for Asked<A>
where
    A: Decide + Clone + 'static,
    A::Command: Send + Sync,
    A::Error: Send,
{
    fn unborn(&self) -> AnyLoaded {
        boxed(Loaded::<A>::default())
    }

    fn load(&self, pool: PgPool) -> Loading {
        let id = self.execute.aggregate_id.clone();
        async move { Ok(boxed(load::<A>(&pool, &id).await?)) }.boxed()
    }

    fn decide(&self, aggregate: &mut AnyLoaded, digest: &str) -> Result<Vec<NewEvent>, Refused> {
        let execute = &self.execute;
        let state: &mut dyn Any = aggregate.state.as_mut();
        // Kept by type and id, so it cannot be another's.
        let Some(state) = state.downcast_mut::<A>() else { return Err(Refused::ByState(Refusal::Unavailable)) };
        let refused = |error| Refused::ByState(Refusal::Domain { error: Reason::new(error) });
        let news = state.decide(&execute.command).map_err(refused)?;
        // After the decision, so that whoever may not know of the aggregate does not learn where it stands.
        if execute.expected_sequence.is_some_and(|expected| expected != aggregate.sequence) {
            return Err(Refused::ByState(Refusal::StaleSequence { actual: aggregate.sequence }));
        }
        let mut rows = rows(execute, digest, aggregate.sequence, &news).map_err(Refused::Unwritable)?;
        aggregate.sequence += news.len() as u64;
        for event in news {
            state.apply(event);
        }
        // Only now does an aggregate that this command began have a tenant.
        let tenant = state.tenant().map(ToString::to_string).unwrap_or_default();
        for row in &mut rows {
            row.tenant.clone_from(&tenant);
        }
        Ok(rows)
    }

    fn answer(self: Box<Self>, outcome: AnyOutcome) {
        let outcome = outcome.map_err(|refusal| match refusal {
            Refusal::Domain { error } => error.of().map_or(Refusal::Unavailable, |error| Refusal::Domain { error }),
            Refusal::StaleSequence { actual } => Refusal::StaleSequence { actual },
            Refusal::CommandIdReused => Refusal::CommandIdReused,
            Refusal::Unreadable => Refusal::Unreadable,
            Refusal::Unavailable => Refusal::Unavailable,
        });
        // Whoever asked may have gone; the result stands all the same.
        let _ = self.answer.send(outcome);
    }
}

/// A command's events as rows, the tenant still to be filled in.
fn rows<A: Decide>(
    execute: &Execute<A>,
    digest: &str,
    sequence: u64,
    news: &[A::Event],
) -> Result<Vec<NewEvent>, Error> {
    let metadata = Metadata {
        actor: execute.actor.clone(),
        command: execute.command_id,
        digest: digest.to_owned(),
        traceparent: execute.traceparent.clone(),
    };
    let metadata = serde_json::value::to_raw_value(&metadata).map_err(|e| Error::Unencodable(e.to_string()))?;
    let row = |(event, nth): (&A::Event, u64)| {
        Ok(NewEvent {
            aggregate_type: A::TYPE,
            aggregate_id: execute.aggregate_id.clone(),
            sequence: sequence + nth,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: codec::encode::<A>(event)?,
            metadata: metadata.clone(),
            tenant: String::new(),
            event_id: Uuid::now_v7(),
            command_id: (nth == 1).then_some(execute.command_id),
        })
    };
    news.iter().zip(1..).map(row).collect()
}
