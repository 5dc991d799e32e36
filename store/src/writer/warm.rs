//! The aggregates that a writer keeps in memory, least recently used ones dropped when they grow too large together.

use lru::LruCache;

use crate::load::Loaded;

/// The most bytes that the aggregates kept may have between them, counted by what they were loaded from.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What each takes for being there.
const OVERHEAD: usize = 512;

/// An aggregate's name in its shard: two of different types may have the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) aggregate: &'static str,
    pub(crate) id: String,
}

pub(super) struct Warm<A> {
    aggregates: LruCache<Key, Loaded<A>>,
    bytes: usize,
}

impl<A> Warm<A> {
    pub(super) fn new() -> Self {
        Self { aggregates: LruCache::unbounded(), bytes: 0 }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.aggregates.contains(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Loaded<A>> {
        self.aggregates.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Key, loaded: Loaded<A>) {
        self.bytes += size(&loaded);
        if let Some(old) = self.aggregates.put(key, loaded) {
            self.bytes -= size(&old);
        }
    }

    /// Counts what was added to an aggregate that is kept.
    pub(super) fn grew(&mut self, key: &Key, bytes: usize) {
        if let Some(loaded) = self.aggregates.get_mut(key) {
            loaded.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Drops an aggregate that has no event: whoever asks for any id may not push out those that are there.
    pub(super) fn drop_unborn(&mut self, key: &Key) {
        if self.aggregates.peek(key).is_some_and(|loaded| loaded.sequence == 0)
            && let Some(dropped) = self.aggregates.pop(key)
        {
            self.bytes -= size(&dropped);
        }
    }

    /// Drops what is over the limit. Never in the middle of a batch, whose aggregates must all stay.
    pub(super) fn trim(&mut self) {
        while self.bytes > MAX_BYTES {
            let Some((_, dropped)) = self.aggregates.pop_lru() else { return };
            self.bytes -= size(&dropped);
        }
    }

    pub(super) fn clear(&mut self) {
        self.aggregates.clear();
        self.bytes = 0;
    }
}

fn size<A>(loaded: &Loaded<A>) -> usize {
    loaded.bytes + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Key {
        Key { aggregate: "tally", id: id.to_owned() }
    }

    fn loaded(sequence: u64, bytes: usize) -> Loaded<()> {
        Loaded { state: (), sequence, snapshot: 0, bytes }
    }

    #[test]
    fn the_least_recently_used_go_when_all_grow_too_large() {
        let mut warm = Warm::new();
        warm.insert(key("a"), loaded(1, MAX_BYTES / 2));
        warm.insert(key("b"), loaded(1, MAX_BYTES / 4));
        warm.trim();
        assert!(warm.contains(&key("a")) && warm.contains(&key("b")));
        warm.grew(&key("b"), MAX_BYTES / 2);
        assert!(warm.get_mut(&key("b")).is_some());
        warm.trim();
        assert!(!warm.contains(&key("a")) && warm.contains(&key("b")));
        warm.grew(&key("b"), MAX_BYTES);
        warm.trim();
        assert!(!warm.contains(&key("b")));
        assert_eq!(warm.bytes, 0);
    }

    #[test]
    fn what_was_never_begun_is_not_kept() {
        let mut warm = Warm::new();
        warm.insert(key("a"), loaded(0, 0));
        warm.insert(key("b"), loaded(1, 0));
        warm.drop_unborn(&key("a"));
        warm.drop_unborn(&key("b"));
        assert!(!warm.contains(&key("a")) && warm.contains(&key("b")));
        assert_eq!(warm.bytes, OVERHEAD);
    }

    #[test]
    fn aggregates_of_different_types_may_have_the_same_id() {
        let mut warm = Warm::new();
        let other = Key { aggregate: "sum", id: "a".to_owned() };
        warm.insert(key("a"), loaded(1, 0));
        assert!(!warm.contains(&other));
        warm.insert(other.clone(), loaded(7, 0));
        assert_eq!(warm.get_mut(&key("a")).map(|loaded| loaded.sequence), Some(1));
        assert_eq!(warm.get_mut(&other).map(|loaded| loaded.sequence), Some(7));
    }
}
