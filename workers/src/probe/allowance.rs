//! How often a person may have providers called for nothing but to know how they are. Such a call costs its provider's owner
//! a little, and its worker a place. Pure, but for the lock: the time comes in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::AccountId;
use tokio::time::Instant;

/// The calls of a person that a process has under way at most: they leave places for others.
const AT_ONCE: usize = 2;
/// The calls of a person that a process begins within [`WINDOW`] at most.
const PER_WINDOW: usize = 10;
const WINDOW: Duration = Duration::from_mins(1);
/// How long whoever has as many under way as may be is told to wait.
const BUSY_WAIT: Duration = Duration::from_secs(2);
/// The people who are counted at most; while there are as many, no further one has any provider called.
const MAX_ACCOUNTS: usize = 10_000;

/// What everyone has used of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowances(Arc<Mutex<HashMap<AccountId, Used>>>);

#[derive(Debug, Default)]
struct Used {
    under_way: usize,
    /// When those of the last [`WINDOW`] began, the oldest first.
    begun: VecDeque<Instant>,
}

/// A call under way; over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    all: Allowances,
    account: AccountId,
}

impl Allowances {
    /// Begins a call, or says how long to wait.
    pub(super) fn begin(&self, account: AccountId, now: Instant) -> Result<Turn, Duration> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_, used| used.is_of_use(now));
            if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&account) {
                return Err(WINDOW);
            }
        }
        accounts.entry(account).or_default().begin(now)?;
        Ok(Turn { all: self.clone(), account })
    }
}

impl Used {
    /// Forgets what is long past; false when that was all.
    fn is_of_use(&mut self, now: Instant) -> bool {
        while self.begun.front().is_some_and(|began| *began + WINDOW <= now) {
            self.begun.pop_front();
        }
        self.under_way > 0 || !self.begun.is_empty()
    }

    fn begin(&mut self, now: Instant) -> Result<(), Duration> {
        self.is_of_use(now);
        if self.under_way >= AT_ONCE {
            return Err(BUSY_WAIT);
        }
        match self.begun.front() {
            Some(oldest) if self.begun.len() >= PER_WINDOW => Err((*oldest + WINDOW).saturating_duration_since(now)),
            _ => {
                self.under_way += 1;
                self.begun.push_back(now);
                Ok(())
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut accounts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = accounts.get_mut(&self.account) {
            used.under_way = used.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn account(number: u128) -> AccountId {
        AccountId(Uuid::from_u128(number))
    }

    #[test]
    fn a_person_has_so_many_under_way_and_others_theirs() {
        let (all, now) = (Allowances::default(), Instant::now());
        let turns: Vec<Turn> = (0..AT_ONCE).map(|_| all.begin(account(1), now).unwrap()).collect();
        assert_eq!(all.begin(account(1), now).unwrap_err(), BUSY_WAIT);
        assert!(all.begin(account(2), now).is_ok());
        drop(turns);
        assert!(all.begin(account(1), now).is_ok());
    }

    #[test]
    fn a_person_begins_so_many_in_a_minute() {
        let (all, first) = (Allowances::default(), Instant::now());
        for nth in 0..PER_WINDOW {
            all.begin(account(1), first + Duration::from_secs(nth as u64)).unwrap();
        }
        let later = first + Duration::from_secs(20);
        assert_eq!(all.begin(account(1), later).unwrap_err(), Duration::from_secs(40));
        assert!(all.begin(account(2), later).is_ok());
        // What was refused does not count.
        assert!(all.begin(account(1), first + WINDOW).is_ok());
        assert!(all.begin(account(1), first + WINDOW).is_err());
    }

    #[test]
    fn no_more_people_are_counted_than_there_is_room_for() {
        let (all, now) = (Allowances::default(), Instant::now());
        let known = all.begin(account(0), now).unwrap();
        (1..MAX_ACCOUNTS as u128).for_each(|number| drop(all.begin(account(number), now).unwrap()));
        assert!(all.begin(account(u128::MAX), now).is_err());
        assert!(all.begin(account(0), now).is_ok());
        // Whoever is done is forgotten.
        assert!(all.begin(account(u128::MAX), now + WINDOW).is_ok());
        assert_eq!(all.0.lock().unwrap().len(), 2);
        drop(known);
    }
}
