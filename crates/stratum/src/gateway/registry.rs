//! Who is connected: how many in all, from each address, of each account; and which addresses have
//! been hostile.
//!
//! An address whose connections were closed for hostile behaviour again and again is turned away
//! until its marks have decayed, unless a machine there mines (has a connection with an accepted
//! share): a farm behind one address is never locked out for one broken or hostile machine in it.
//! Stale and doubled shares, silence and slow reading are not hostile.
//!
//! Places are for those who mine: where they are nearly all taken, connections without an accepted share
//! make room ([`Seat::crowds`]), so that nobody can keep others out by sitting.

use super::GatewayTotals;
use super::tally::{Named, TURNED_AWAY};
use crate::limits;
use gruve_sharelog::Owner;
use gruve_units::{AccountId, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all threads of a gateway; touched when connections come, log in and go.
pub(super) struct Registry {
    connections: AtomicUsize,
    addresses: Mutex<Addresses>,
    accounts: Mutex<HashMap<AccountId, usize>>,
    turned_away: Named,
    accepted: AtomicU64,
    rejected: AtomicU64,
    faults: AtomicU64,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            connections: AtomicUsize::new(0),
            addresses: Mutex::default(),
            accounts: Mutex::default(),
            turned_away: Named::new(TURNED_AWAY),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        }
    }
}

#[derive(Default)]
struct Addresses {
    /// Those with connections.
    here: HashMap<IpAddr, Here>,
    /// Those that were hostile: at most [`limits::HOSTILE_ADDRESSES_MAX`].
    marked: HashMap<IpAddr, Marks>,
}

/// What is connected from an address.
#[derive(Default)]
struct Here {
    connections: usize,
    /// Of these, how many have had a share accepted.
    mining: usize,
}

/// Hostile closes of late.
struct Marks {
    count: u32,
    since: Timestamp,
}

impl Marks {
    /// Half as many after every half-life.
    fn decay(&mut self, now: Timestamp) {
        let halves = now.since(self.since).as_secs() / limits::HOSTILE_HALF_LIFE.as_secs();
        self.count = self.count.checked_shr(u32::try_from(halves).unwrap_or(u32::MAX)).unwrap_or(0);
        if halves > 0 {
            self.since = now;
        }
    }
}

/// A place in the registry; gives it up when dropped.
pub(super) struct Seat {
    registry: Arc<Registry>,
    /// `None` while it is not known.
    address: Option<IpAddr>,
    /// Whether it counts as mining.
    mines: bool,
    /// Accounts that logged in here: as many as logins at most.
    accounts: Vec<AccountId>,
}

impl Seat {
    /// Counts this connection for where the miner is; false when there are `each` from there
    /// already, or it is turned away for hostile behaviour.
    pub(super) fn come_from(&mut self, peer: IpAddr, each: usize, now: Timestamp) -> bool {
        let address = network(peer);
        let mut addresses = lock(&self.registry.addresses);
        let why = if addresses.is_hostile(address, now) {
            "hostile"
        } else if addresses.here.get(&address).is_some_and(|h| h.connections >= each) {
            "address"
        } else {
            addresses.here.entry(address).or_default().connections += 1;
            self.address = Some(address);
            return true;
        };
        self.registry.turn_away(why);
        false
    }

    /// What counts as the address it came from, where that is known.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
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

    /// Its first share was accepted.
    pub(super) fn mines(&mut self) {
        if let Some(address) = self.address.filter(|_| !self.mines) {
            self.mines = true;
            let mut addresses = lock(&self.registry.addresses);
            addresses.here.entry(address).or_default().mining += 1;
        }
    }

    /// Whether it takes a place that others need and has brought nothing: of all, of an account's, or of
    /// its address's.
    pub(super) fn crowds(&self, all: usize, of_account: usize, of_address: usize) -> bool {
        if self.mines {
            return false;
        }
        let here = self
            .address
            .and_then(|a| lock(&self.registry.addresses).here.get(&a).map(|h| h.connections));
        if here.is_some_and(|n| is_nearly(n, of_address)) {
            return true;
        }
        let accounts = lock(&self.registry.accounts);
        let is_short = |account| accounts.get(account).is_some_and(|n| is_nearly(*n, of_account));
        is_nearly(self.registry.connections.load(Ordering::Relaxed), all)
            || self.accounts.iter().any(is_short)
    }

    /// It was closed for hostile behaviour.
    pub(super) fn mark(&self, now: Timestamp) {
        if let Some(address) = self.address {
            lock(&self.registry.addresses).mark(address, now);
        }
    }
}

impl Addresses {
    fn is_hostile(&mut self, address: IpAddr, now: Timestamp) -> bool {
        let Some(marks) = self.marked.get_mut(&address) else { return false };
        marks.decay(now);
        let is_mining = self.here.get(&address).is_some_and(|h| h.mining > 0);
        marks.count >= limits::HOSTILE_CLOSES_MAX && !is_mining
    }

    fn mark(&mut self, address: IpAddr, now: Timestamp) {
        let marked = &mut self.marked;
        if marked.len() >= limits::HOSTILE_ADDRESSES_MAX && !marked.contains_key(&address) {
            make_room(marked, now);
        }
        let marks = marked.entry(address).or_insert(Marks { count: 0, since: now });
        marks.decay(now);
        marks.count = marks.count.saturating_add(1);
    }

    fn leave(&mut self, address: IpAddr, mined: bool) {
        if let Some(here) = self.here.get_mut(&address) {
            here.connections -= 1;
            here.mining -= usize::from(mined);
            if here.connections == 0 {
                self.here.remove(&address);
            }
        }
    }
}

/// Forgets those with the fewest marks, of these the oldest, an eighth of all at the most: whoever has
/// thousands of addresses cannot have all others' marks forgotten with one more.
fn make_room(marked: &mut HashMap<IpAddr, Marks>, now: Timestamp) {
    marked.values_mut().for_each(|m| m.decay(now));
    marked.retain(|_, m| m.count > 0);
    let spare = limits::HOSTILE_ADDRESSES_MAX / 8;
    if marked.len() + spare <= limits::HOSTILE_ADDRESSES_MAX {
        return;
    }
    let mut order: Vec<_> = marked.iter().map(|(a, m)| (m.count, m.since, *a)).collect();
    order.sort_unstable();
    for (_, _, address) in order.iter().take(spare) {
        marked.remove(address);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            lock(&self.registry.addresses).leave(address, self.mines);
        }
        let mut accounts = lock(&self.registry.accounts);
        self.accounts.iter().for_each(|account| give_back(&mut accounts, account));
    }
}

/// Whether seven eighths of so many are taken.
const fn is_nearly(taken: usize, most: usize) -> bool {
    taken >= most - most / 8
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
    /// A connection was turned away; for one of [`TURNED_AWAY`].
    pub(super) fn turn_away(&self, why: &str) {
        self.turned_away.add(why);
    }

    /// How many were, by why.
    pub(super) fn turned_away(&self) -> Vec<(&'static str, u64)> {
        self.turned_away.read()
    }

    /// Addresses with hostile closes.
    pub(super) fn hostile_addresses(&self) -> usize {
        lock(&self.addresses).marked.len()
    }

    /// A seat for a connection that comes through a proxy, unless there are `all`.
    pub(super) fn seat_behind(self: &Arc<Self>, all: usize) -> Option<Seat> {
        // Only the accepting thread adds, so the bound holds exactly.
        if self.connections.load(Ordering::Relaxed) >= all {
            self.turn_away("full");
            return None;
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        let registry = Arc::clone(self);
        Some(Seat { registry, address: None, mines: false, accounts: Vec::new() })
    }

    /// A seat, unless there are `all` connections, or `each` from this address, or it is turned
    /// away for hostile behaviour.
    pub(super) fn seat(
        self: &Arc<Self>,
        peer: IpAddr,
        all: usize,
        each: usize,
        now: Timestamp,
    ) -> Option<Seat> {
        let mut seat = self.seat_behind(all)?;
        seat.come_from(peer, each, now).then_some(seat)
    }

    pub(super) fn count(&self, accepted: u64, rejected: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    /// A bug ended a connection.
    pub(super) fn note_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> GatewayTotals {
        GatewayTotals {
            connections: self.connections.load(Ordering::Relaxed) as u64,
            turned_away: self.turned_away.total(),
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn come(registry: &Arc<Registry>, ip: &str, secs: i64) -> Option<Seat> {
        registry.seat(ip.parse().unwrap(), 10_000, 1000, at(secs))
    }

    fn annoy(registry: &Arc<Registry>, ip: &str) {
        for _ in 0..limits::HOSTILE_CLOSES_MAX {
            come(registry, ip, 0).unwrap().mark(at(0));
        }
    }

    #[test]
    fn a_hostile_address_is_turned_away_until_its_marks_have_decayed() {
        let registry = Arc::new(Registry::default());
        annoy(&registry, "192.0.2.1");
        assert!(come(&registry, "192.0.2.1", 1).is_none());
        assert!(come(&registry, "192.0.2.2", 1).is_some(), "its neighbour is not");
        assert!(come(&registry, "192.0.2.1", 61).is_some());
        let totals = registry.totals();
        assert_eq!((totals.turned_away, totals.connections), (1, 0));
        annoy(&registry, "2001:db8::1");
        assert!(
            come(&registry, "2001:db8::2", 1).is_none(),
            "one customer's network is one address"
        );
        assert!(come(&registry, "2001:db8:0:1::1", 1).is_some());
    }

    #[test]
    fn an_address_where_somebody_mines_is_never_turned_away_for_others() {
        let registry = Arc::new(Registry::default());
        let mut honest = come(&registry, "192.0.2.1", 0).unwrap();
        honest.mines();
        honest.mines();
        annoy(&registry, "192.0.2.1");
        annoy(&registry, "192.0.2.1");
        assert!(come(&registry, "192.0.2.1", 1).is_some());
        drop(honest);
        assert!(come(&registry, "192.0.2.1", 1).is_none());
    }

    #[test]
    fn who_has_brought_nothing_crowds_where_places_are_short_and_who_mines_never() {
        let registry = Arc::new(Registry::default());
        let owner = |n| Owner::Account(AccountId::from_bytes([n; 16]));
        let sit = |account| {
            let mut seat = come(&registry, "192.0.2.1", 0).unwrap();
            assert!(seat.claim(owner(account), 8));
            seat
        };
        let mut seats: Vec<_> = (0..6).map(|_| sit(1)).collect();
        let other = sit(2);
        let far = usize::MAX;
        assert!(!seats[0].crowds(1000, 8, far), "there are two places left");
        seats.push(sit(1));
        seats[1].mines();
        assert!(seats[0].crowds(1000, 8, far) && !seats[1].crowds(1000, 8, far));
        assert!(!other.crowds(1000, 8, far), "its account has places");
        assert!(other.crowds(9, 8, far), "but the gateway has not");
        assert!(other.crowds(1000, 8, 9) && !seats[1].crowds(1000, 8, 9), "nor its address");
        let elsewhere = come(&registry, "192.0.2.2", 0).unwrap();
        assert!(!elsewhere.crowds(1000, 8, 9), "another has");
        seats.truncate(6);
        assert!(!seats[0].crowds(1000, 8, far));
    }

    #[test]
    fn the_list_of_hostile_addresses_is_bounded() {
        let registry = Arc::new(Registry::default());
        annoy(&registry, "192.0.2.1");
        for n in 0..2 * u32::try_from(limits::HOSTILE_ADDRESSES_MAX).unwrap() {
            let ip = IpAddr::V4((0x0a00_0000 + n).into());
            registry.seat(ip, 10, 10, at(0)).unwrap().mark(at(0));
        }
        assert!(lock(&registry.addresses).marked.len() <= limits::HOSTILE_ADDRESSES_MAX);
        assert!(lock(&registry.addresses).here.is_empty());
        assert!(come(&registry, "192.0.2.1", 1).is_none(), "the worst are remembered");
    }

    #[test]
    fn one_address_more_does_not_have_thousands_forgotten() {
        let registry = Arc::new(Registry::default());
        let ip = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        let all = u32::try_from(limits::HOSTILE_ADDRESSES_MAX).unwrap();
        for n in 0..all {
            let annoyed = ip(n).to_string();
            annoy(&registry, &annoyed);
        }
        // As many as it likes, each with a mark: they make room for each other.
        for n in all..3 * all {
            registry.seat(ip(n), 10, 10, at(1)).unwrap().mark(at(1));
        }
        let addresses = lock(&registry.addresses);
        let kept = (0..all).filter(|n| addresses.marked.contains_key(&ip(*n))).count();
        assert!(kept >= limits::HOSTILE_ADDRESSES_MAX / 8 * 7, "{kept}");
        assert!(addresses.marked.len() <= limits::HOSTILE_ADDRESSES_MAX);
    }
}
