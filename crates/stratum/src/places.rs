//! Places for V2 channels: how many there may be in a gateway, and of each account.
//!
//! A V2 connection is one to the registry, but each of its channels is a miner with jobs of its own:
//! without these bounds one account could open a thousand on each of its thousands of connections.
//!
//! Promises: a place is given back when its channel goes, however that ends.

use crate::limits::V2_CHANNELS_TOTAL_MAX;
use gruve_sharelog::Owner;
use gruve_units::AccountId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All places of a gateway.
#[derive(Debug)]
pub struct ChannelPlaces {
    all_max: usize,
    each_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    accounts: HashMap<AccountId, usize>,
}

/// A channel's place.
#[derive(Debug)]
pub(crate) struct ChannelPlace {
    places: Arc<ChannelPlaces>,
    account: Option<AccountId>,
}

impl Default for ChannelPlaces {
    fn default() -> Self {
        ChannelPlaces::new(V2_CHANNELS_TOTAL_MAX, usize::MAX)
    }
}

impl ChannelPlaces {
    /// So many in all, and so many of each account; the house's own machines are bounded by the
    /// total.
    #[must_use]
    pub fn new(all_max: usize, each_max: usize) -> ChannelPlaces {
        ChannelPlaces { all_max, each_max, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a channel of this owner; `None` when there is none.
    pub(crate) fn take(self: &Arc<Self>, owner: Owner) -> Option<ChannelPlace> {
        let mut taken = self.taken();
        if taken.all >= self.all_max {
            return None;
        }
        let account = match owner {
            Owner::Account(account) => Some(account),
            Owner::House => None,
        };
        if let Some(account) = account {
            let own = taken.accounts.entry(account).or_insert(0);
            if *own >= self.each_max {
                return None;
            }
            *own += 1;
        }
        taken.all += 1;
        Some(ChannelPlace { places: Arc::clone(self), account })
    }
}

impl Drop for ChannelPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(account) = self.account
            && let Some(own) = taken.accounts.get_mut(&account)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.accounts.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> Owner {
        Owner::Account(AccountId::from_bytes([n; 16]))
    }

    #[test]
    fn an_account_has_so_many_and_all_together_so_many_and_what_goes_makes_room() {
        let places = Arc::new(ChannelPlaces::new(5, 2));
        let first: Vec<_> = (0..2).map(|_| places.take(account(1)).unwrap()).collect();
        assert!(places.take(account(1)).is_none());
        let house: Vec<_> = (0..3).map(|_| places.take(Owner::House).unwrap()).collect();
        assert!(places.take(account(2)).is_none() && places.take(Owner::House).is_none());
        drop(first);
        assert!(places.taken().accounts.is_empty(), "nothing is kept of who has gone");
        assert!(places.take(account(2)).is_some());
        drop(house);
        assert_eq!(places.taken().all, 0);
    }
}
