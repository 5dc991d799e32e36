//! Our aggregate under cqrs-es's own framework: its snapshotting stores must get a state that no event has touched yet.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, CqrsFramework, EventEnvelope, EventStore};

use super::super::{Conversation, Error, Event, Parent};
use super::given::*;
use crate::{Asked, Decide};

/// The result of a future that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// Commits as cqrs-es's snapshotting stores do: by applying the events to the state that `handle` leaves behind.
#[derive(Default)]
struct SnapshotStore {
    snapshot: Mutex<Conversation>,
    log: Mutex<Vec<Event>>,
}

struct Loaded(Conversation);

impl AggregateContext<Conversation> for Loaded {
    fn aggregate(&mut self) -> &mut Conversation {
        &mut self.0
    }
}

impl EventStore<Conversation> for &SnapshotStore {
    type AC = Loaded;

    async fn load_events(&self, _: &str) -> Result<Vec<EventEnvelope<Conversation>>, AggregateError<Error>> {
        Ok(Vec::new())
    }

    async fn load_aggregate(&self, _: &str) -> Result<Loaded, AggregateError<Error>> {
        Ok(Loaded(self.snapshot.lock().unwrap().clone()))
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        Loaded(mut state): Loaded,
        _: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Conversation>>, AggregateError<Error>> {
        assert_eq!(state, *self.snapshot.lock().unwrap(), "handle left events in the state: they are applied twice");
        events.iter().cloned().for_each(|event| state.apply(event));
        *self.snapshot.lock().unwrap() = state;
        self.log.lock().unwrap().extend(events);
        Ok(Vec::new())
    }
}

#[test]
fn a_snapshotting_store_applies_each_event_once() {
    let store = SnapshotStore::default();
    let framework = CqrsFramework::new(&store, vec![], ());
    for asked in [
        ann(start()),
        ann(add("ben")),
        ben(submit(Q1, Parent::ActiveLeaf, Some(R1))),
        worker(claim(R1, 1)),
        worker(expire(R1, 1)),
        worker(claim(R1, 2)),
        ann(stop(R1)),
        worker(complete(R1, 2)),
        ann(regenerate(R1, R2)),
    ] {
        now(framework.execute("a conversation", asked)).unwrap();
    }
    let mut replayed = Conversation::default();
    store.log.lock().unwrap().iter().cloned().for_each(|event| replayed.apply(event));
    assert_eq!(*store.snapshot.lock().unwrap(), replayed);
}

#[test]
fn handle_writes_what_decide_decides_and_leaves_the_state_alone() {
    let mut state = Conversation::default();
    for event in a_running_reply() {
        state.apply(event);
    }
    let before = state.clone();
    let asked: Asked<_> = worker(complete(R1, 1));
    let sink = EventSink::default();
    now(state.handle(asked.clone(), &(), &sink)).unwrap();
    assert_eq!(state, before);
    assert_eq!(now(sink.collect()), before.decide(&asked).unwrap());
}
