//! The aggregates that a writer keeps in memory, least recently used ones dropped when they grow too large together.

use lru::LruCache;

use crate::load::Loaded;

/// The most bytes that the aggregates kept may have between them, counted by what they were loaded from.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What each takes for being there.
const OVERHEAD: usize = 512;

pub(super) struct Warm<A> {
    aggregates: LruCache<String, Loaded<A>>,
    bytes: usize,
}

impl<A> Warm<A> {
    pub(super) fn new() -> Self {
        Self { aggregates: LruCache::unbounded(), bytes: 0 }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.aggregates.contains(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Loaded<A>> {
        self.aggregates.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: String, loaded: Loaded<A>) {
        self.bytes += size(&loaded);
        if let Some(old) = self.aggregates.put(id, loaded) {
            self.bytes -= size(&old);
        }
    }

    /// Counts what was added to an aggregate that is kept.
    pub(super) fn grew(&mut self, id: &str, bytes: usize) {
        if let Some(loaded) = self.aggregates.get_mut(id) {
            loaded.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Drops an aggregate that has no event: whoever asks for any id may not push out those that are there.
    pub(super) fn drop_unborn(&mut self, id: &str) {
        if self.aggregates.peek(id).is_some_and(|loaded| loaded.sequence == 0)
            && let Some(dropped) = self.aggregates.pop(id)
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

    fn loaded(sequence: u64, bytes: usize) -> Loaded<()> {
        Loaded { state: (), sequence, snapshot: 0, bytes }
    }

    #[test]
    fn the_least_recently_used_go_when_all_grow_too_large() {
        let mut warm = Warm::new();
        warm.insert("a".to_owned(), loaded(1, MAX_BYTES / 2));
        warm.insert("b".to_owned(), loaded(1, MAX_BYTES / 4));
        warm.trim();
        assert!(warm.contains("a") && warm.contains("b"));
        warm.grew("b", MAX_BYTES / 2);
        assert!(warm.get_mut("b").is_some());
        warm.trim();
        assert!(!warm.contains("a") && warm.contains("b"));
        warm.grew("b", MAX_BYTES);
        warm.trim();
        assert!(!warm.contains("b"));
        assert_eq!(warm.bytes, 0);
    }

    #[test]
    fn what_was_never_begun_is_not_kept() {
        let mut warm = Warm::new();
        warm.insert("a".to_owned(), loaded(0, 0));
        warm.insert("b".to_owned(), loaded(1, 0));
        warm.drop_unborn("a");
        warm.drop_unborn("b");
        assert!(!warm.contains("a") && warm.contains("b"));
        assert_eq!(warm.bytes, OVERHEAD);
    }
}
