//! The aggregates that a writer keeps in memory, least recently used ones dropped when they grow too heavy together.

use lru::LruCache;

use crate::load::Loaded;

/// The most events that the aggregates kept may have between them; a state's size goes with its events.
const MAX_WEIGHT: u64 = 1_000_000;

pub(super) struct Warm<A> {
    aggregates: LruCache<String, Loaded<A>>,
    weight: u64,
}

impl<A> Warm<A> {
    pub(super) fn new() -> Self {
        Self { aggregates: LruCache::unbounded(), weight: 0 }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.aggregates.contains(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Loaded<A>> {
        self.aggregates.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: String, loaded: Loaded<A>) {
        self.weight += weight(&loaded);
        if let Some(old) = self.aggregates.put(id, loaded) {
            self.weight -= weight(&old);
        }
    }

    /// Counts events added to an aggregate that is kept.
    pub(super) fn grew(&mut self, events: u64) {
        self.weight += events;
    }

    /// Drops what is over the limit. Never in the middle of a batch, whose aggregates must all stay.
    pub(super) fn trim(&mut self) {
        while self.weight > MAX_WEIGHT {
            let Some((_, dropped)) = self.aggregates.pop_lru() else { return };
            self.weight -= weight(&dropped);
        }
    }

    pub(super) fn clear(&mut self) {
        self.aggregates.clear();
        self.weight = 0;
    }
}

/// Each aggregate weighs its events, and one for being there.
fn weight<A>(loaded: &Loaded<A>) -> u64 {
    loaded.sequence + 1
}
