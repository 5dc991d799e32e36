//! What the circuit breakers say before an attempt asks a model, and what they learn from how the answer begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::ModelRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use nats::breaker::Key;

use super::Attempt;
use crate::provider::{Chunk, Error};
use crate::reply::breaker::{Breaker, Breakers, Pass, Shut, Verdict};

/// What the breakers have said. An attempt asks them once, before it is claimed; so its model stays the same to its end.
#[derive(Default)]
pub(in crate::reply) struct Gate {
    /// The models that are left alone.
    pub(super) resting: Vec<ModelRef>,
    /// Why the attempt asks nobody, though it must ask one of them.
    pub(super) refused: Option<Error>,
    ear: Option<Arc<Ear>>,
}

/// How a breaker learns what becomes of the call that it has let through: also that there is none.
struct Ear {
    breakers: Arc<Breakers>,
    breaker: Breaker,
    pass: Pass,
    /// Whether the call has come to something.
    heard: AtomicBool,
}

impl Drop for Ear {
    fn drop(&mut self) {
        if !self.heard.load(Ordering::Relaxed) {
            self.breakers.give_back(&self.breaker.key, self.pass);
        }
    }
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
            let breaker = Breaker { key, provider: self.offer.names(model).provider };
            match breakers.ask(&breaker).await {
                Ok(pass) => {
                    let ear = Ear { breakers: Arc::clone(breakers), breaker, pass, heard: AtomicBool::new(false) };
                    return Gate { resting, refused: None, ear: Some(Arc::new(ear)) };
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
    /// The call is over, or was not made.
    pub(super) fn leave(&mut self) {
        self.ear = None;
    }

    /// Has the breaker learn from how the answer begins. What only says how long the prompt was is no beginning.
    pub(super) fn listen<'a>(
        &self,
        answer: BoxStream<'a, Result<Chunk, Error>>,
    ) -> BoxStream<'a, Result<Chunk, Error>> {
        let mut ear = self.ear.clone();
        let hear = move |chunk| {
            let says = !matches!(chunk, Ok(Chunk::Usage(_)));
            let begins = ear.take_if(|_| says).map(|ear| (ear, Verdict::of(&chunk)));
            async move {
                if let Some((ear, verdict)) = begins {
                    ear.heard.store(true, Ordering::Relaxed);
                    ear.breakers.learn(&ear.breaker, ear.pass, verdict).await;
                }
                chunk
            }
        };
        answer.then(hear).boxed()
    }
}

#[cfg(test)]
mod tests {
    use domain::conversation::Usage;
    use futures::stream;

    use super::*;
    use crate::provider::ErrorKind;

    #[tokio::test]
    async fn a_count_of_the_prompt_is_no_beginning_of_an_answer() {
        let key = Key::of("mine", &"a/b".parse().unwrap());
        let breaker = Breaker { key, provider: "a".to_owned() };
        let ear = Arc::new(Ear { breakers: Arc::default(), breaker, pass: Pass::Usual, heard: AtomicBool::new(false) });
        let gate = Gate { ear: Some(Arc::clone(&ear)), ..Gate::default() };
        let counted = Ok(Chunk::Usage(Usage { input: Some(9), ..Usage::default() }));
        let told = [counted, Err(Error::new(ErrorKind::Overload, "busy"))];
        let mut told = gate.listen(stream::iter(told).boxed());
        assert!(told.next().await.is_some_and(|told| told.is_ok()));
        assert!(!ear.heard.load(Ordering::Relaxed));
        assert!(told.next().await.is_some_and(|told| told.is_err()));
        assert!(ear.heard.load(Ordering::Relaxed));
    }
}
