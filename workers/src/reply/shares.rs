//! Each asker's share of the replies that a process answers at once: whoever asks for many leaves room for others, however
//! slowly a provider drips.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use domain::AccountId;

/// One asker has no more than one slot in so many.
const SLOTS_PER_SHARE: usize = 4;

/// How many replies of each asker are under way.
#[derive(Debug)]
pub(super) struct Shares {
    most: usize,
    under_way: Mutex<HashMap<AccountId, usize>>,
}

/// A reply that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    shares: &'a Shares,
    asker: Option<AccountId>,
}

impl Shares {
    /// For a process that has so many slots.
    pub(super) fn new(slots: usize) -> Self {
        Self { most: (slots / SLOTS_PER_SHARE).max(1), under_way: Mutex::default() }
    }

    /// One more reply for an asker; none when they have as many as they may. What nobody is known to have asked for is bounded
    /// by the slots alone.
    pub(super) fn take(&self, asker: Option<AccountId>) -> Option<Share<'_>> {
        if let Some(asker) = asker {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let count = under_way.entry(asker).or_default();
            if *count == self.most {
                return None;
            }
            *count += 1;
        }
        Some(Share { shares: self, asker })
    }

    /// Who has as many as they may.
    pub(super) fn full(&self) -> Vec<AccountId> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.iter().filter(|(_, count)| **count == self.most).map(|(asker, _)| *asker).collect()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let Some(asker) = self.asker else { return };
        let mut under_way = self.shares.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = under_way.entry(asker) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn asker(number: u128) -> AccountId {
        AccountId(Uuid::from_u128(number))
    }

    #[test]
    fn an_asker_has_a_quarter_of_the_slots() {
        let shares = Shares::new(8);
        let first = shares.take(Some(asker(1))).unwrap();
        let _second = shares.take(Some(asker(1))).unwrap();
        assert!(shares.take(Some(asker(1))).is_none());
        assert_eq!(shares.full(), [asker(1)]);
        let other = shares.take(Some(asker(2))).unwrap();
        assert!((0..8).all(|_| shares.take(None).is_some()), "nobody's");
        drop(first);
        let _third = shares.take(Some(asker(1))).unwrap();
        assert!(shares.take(Some(asker(1))).is_none());
        drop(other);
        assert_eq!(shares.under_way.lock().unwrap().len(), 1, "who asks for nothing is forgotten");
    }

    #[test]
    fn an_asker_has_one_slot_at_least() {
        for slots in 1..8 {
            let shares = Shares::new(slots);
            let only = shares.take(Some(asker(1)));
            assert!(only.is_some() && shares.take(Some(asker(1))).is_none(), "{slots}");
        }
    }
}
