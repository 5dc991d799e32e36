//! What the circuit breakers say before an attempt asks a model, and what they learn from how the answer begins.

use std::sync::Arc;

use domain::ModelRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use nats::breaker::Key;

use super::Attempt;
use crate::provider::{Chunk, Error};
use crate::reply::breaker::{Breakers, Pass, Shut, Verdict};

/// What the breakers have said. An attempt asks them once, before it is claimed; so its model stays the same to its end.
#[derive(Default)]
pub(in crate::reply) struct Gate {
    /// The models that are left alone.
    pub(super) resting: Vec<ModelRef>,
    /// Why the attempt asks nobody, though it must ask one of them.
    pub(super) refused: Option<Error>,
    ear: Option<Ear>,
}

/// How a breaker learns what becomes of the call that it has let through.
#[derive(Clone)]
struct Ear {
    breakers: Arc<Breakers>,
    key: Key,
    pass: Pass,
}

impl Attempt<'_> {
    /// Asks the breakers of the models that may be asked, one after the other, until one lets the attempt through. When none
    /// does, the attempt is that of the first one, which it may not ask.
    pub(super) async fn ask_breakers(&self) -> Gate {
        let breakers = &self.worker.breakers;
        let Ok((models, _)) = self.offer.alternatives(self.asked.model.as_ref()) else {
            return Gate::default();
        };
        let (mut resting, mut why): (Vec<ModelRef>, Vec<Shut>) = (Vec::new(), Vec::new());
        while let Some(model) = self.asked.tried.choose(models, &resting) {
            if let Some(at) = resting.iter().position(|resting| resting == model) {
                let refused = why.get(at).map(|shut| shut.into_error(model));
                return Gate { resting, refused, ear: None };
            }
            let key = Key::of(&self.offer.credential_id(model.provider()), model);
            match breakers.ask(&key).await {
                Ok(pass) => {
                    let ear = Some(Ear { breakers: Arc::clone(breakers), key, pass });
                    return Gate { resting, refused: None, ear };
                }
                Err(shut) => {
                    resting.push(model.clone());
                    why.push(shut);
                }
            }
        }
        Gate::default()
    }
}

impl Gate {
    /// Has the breaker learn from how the answer begins.
    pub(super) fn listen<'a>(
        &self,
        answer: BoxStream<'a, Result<Chunk, Error>>,
    ) -> BoxStream<'a, Result<Chunk, Error>> {
        let mut ear = self.ear.clone();
        let hear = move |chunk| {
            let begins = ear.take().map(|ear| (ear, Verdict::of(&chunk)));
            async move {
                if let Some((Ear { breakers, key, pass }, verdict)) = begins {
                    breakers.learn(&key, pass, verdict).await;
                }
                chunk
            }
        };
        answer.then(hear).boxed()
    }
}
