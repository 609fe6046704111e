//! Who is connected: how many in all, from each address, of each account.

use super::GatewayTotals;
use gruve_sharelog::Owner;
use gruve_units::AccountId;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all threads of a gateway; touched when connections come, log in and go.
#[derive(Default)]
pub(super) struct Registry {
    connections: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    accounts: Mutex<HashMap<AccountId, usize>>,
    turned_away: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

/// A place in the registry; gives it up when dropped.
pub(super) struct Seat {
    registry: Arc<Registry>,
    /// `None` while it is not known.
    address: Option<IpAddr>,
    /// Accounts that logged in here: as many as logins at most.
    accounts: Vec<AccountId>,
}

impl Seat {
    /// Counts this connection for where the miner is, once a proxy has told; false when there are
    /// `each` from there already.
    pub(super) fn come_from(&mut self, peer: IpAddr, each: usize) -> bool {
        let address = network(peer);
        let mut addresses = lock(&self.registry.addresses);
        let here = addresses.entry(address).or_insert(0);
        let is_free = *here < each;
        if is_free {
            *here += 1;
            self.address = Some(address);
        } else {
            self.registry.turn_away();
        }
        is_free
    }

    /// Counts this connection for the owner of a login; false when the owner has too many.
    pub(super) fn claim(&mut self, owner: Owner, each: usize) -> bool {
        let Owner::Account(account) = owner else { return true };
        if self.accounts.contains(&account) {
            return true;
        }
        let mut accounts = lock(&self.registry.accounts);
        let count = accounts.entry(account).or_insert(0);
        let is_free = *count < each;
        if is_free {
            *count += 1;
            self.accounts.reserve_exact(1);
            self.accounts.push(account);
        }
        is_free
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            give_back(&mut lock(&self.registry.addresses), &address);
        }
        let mut accounts = lock(&self.registry.accounts);
        self.accounts.iter().for_each(|account| give_back(&mut accounts, account));
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// A connection was turned away.
    pub(super) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// A seat for a connection that comes through a proxy, unless there are `all`.
    pub(super) fn seat_behind(self: &Arc<Self>, all: usize) -> Option<Seat> {
        if self.connections.load(Ordering::Relaxed) >= all {
            self.turn_away();
            return None;
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat { registry: Arc::clone(self), address: None, accounts: Vec::new() })
    }

    /// A seat, unless there are `all` connections, or `each` from this address.
    pub(super) fn seat(self: &Arc<Self>, peer: IpAddr, all: usize, each: usize) -> Option<Seat> {
        let address = network(peer);
        let mut addresses = lock(&self.addresses);
        let here = addresses.entry(address).or_insert(0);
        if self.connections.load(Ordering::Relaxed) >= all || *here >= each {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            if *here == 0 {
                addresses.remove(&address);
            }
            return None;
        }
        *here += 1;
        // Only the accepting thread adds, so the bound holds exactly.
        self.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat { registry: Arc::clone(self), address: Some(address), accounts: Vec::new() })
    }

    pub(super) fn count(&self, accepted: u64, rejected: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> GatewayTotals {
        GatewayTotals {
            connections: self.connections.load(Ordering::Relaxed) as u64,
            turned_away: self.turned_away.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one customer has in IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}
