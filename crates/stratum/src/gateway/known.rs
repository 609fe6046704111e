//! Machines that are known where they are: those that have brought good work from an address of late.
//!
//! Where hashing is slow (scrypt, Ethash) strangers' shares stand in one line with those of whoever floods. A miner that has
//! lost its connection would stand there as well until the first share of its new one is hashed. Who is known goes with those
//! who mine from its first share on. Names are public and ask for no password, so no more is given for one than this:
//!
//! | what an attacker may try | what becomes of it |
//! |---|---|
//! | a machine's name, from elsewhere | he is a stranger: known is a machine *at an address* |
//! | the same from the machine's own address (in its farm, behind the same router) | [`limits::HASHES_ON_TRUST_MAX`] hashes at once, until one of them is bad; then the machine is a stranger there until it brings a good share |
//! | the same with a good share that was counted or came late, which is not bad | a connection is trusted until the first answer to a share of it, and judged by its own from there on |
//! | to spoil a machine's name in that way | its next connection waits as all newcomers do; those that mine are judged by what they brought themselves |
//! | to bring good work under names without number, so that others are forgotten | a good hash for each name, and others wait as newcomers |
//!
//! So bad hashes ahead of strangers are a few for each good share of the same machine, fewer than a connection may bring that has
//! had one accepted. Losing any of this costs nobody more than a newcomer's wait; a new process begins with nothing.

use crate::limits;
use gruve_units::{MachineId, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A machine, and where it is.
type Place = (MachineId, IpAddr);

/// Shared by a gateway's threads.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// When each last brought good work. Once there are many, they become the older half.
    newer: HashMap<Place, Timestamp>,
    older: HashMap<Place, Timestamp>,
    /// Hashes that are being made on trust.
    on_trust: HashMap<Place, usize>,
}

/// Hashes made on trust; gives them back when dropped.
#[derive(Debug)]
pub(super) struct Trust {
    known: Arc<Known>,
    place: Place,
    hashes: usize,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine has brought a good share from there.
    pub(super) fn good(&self, machine: MachineId, from: IpAddr, now: Timestamp) {
        let mut inner = self.lock();
        if inner.newer.len() >= limits::KNOWN_MACHINES_MAX / 2 {
            inner.older = std::mem::take(&mut inner.newer);
        }
        inner.newer.insert((machine, from), now);
    }

    /// A hash in a machine's name was for nothing.
    pub(super) fn bad(&self, machine: MachineId, from: IpAddr) {
        let mut inner = self.lock();
        inner.newer.remove(&(machine, from));
        inner.older.remove(&(machine, from));
    }

    /// Whether so many hashes of a machine may be made before anything is known of its connection.
    pub(super) fn trust(
        self: &Arc<Self>,
        machine: MachineId,
        from: IpAddr,
        hashes: usize,
        now: Timestamp,
    ) -> Option<Trust> {
        let place = (machine, from);
        let mut inner = self.lock();
        let last = *inner.newer.get(&place).or_else(|| inner.older.get(&place))?;
        // A clock that went back makes nothing old.
        if now.since(last) > limits::KNOWN_FOR {
            return None;
        }
        let out = inner.on_trust.get(&place).copied().unwrap_or(0).saturating_add(hashes);
        if out > limits::HASHES_ON_TRUST_MAX {
            return None;
        }
        inner.on_trust.insert(place, out);
        Some(Trust { known: Arc::clone(self), place, hashes })
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        let mut inner = self.known.lock();
        let left = inner.on_trust.get(&self.place).map_or(0, |n| n.saturating_sub(self.hashes));
        if left == 0 {
            inner.on_trust.remove(&self.place);
        } else {
            inner.on_trust.insert(self.place, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn machine(n: u32) -> MachineId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        MachineId::from_bytes(bytes)
    }

    #[test]
    fn a_machine_is_known_where_it_brought_good_work_and_nowhere_else() {
        let known = Arc::new(Known::default());
        assert!(known.trust(machine(1), HOME, 1, NOW).is_none(), "a stranger");
        known.good(machine(1), HOME, NOW);
        assert!(known.trust(machine(1), HOME, 1, NOW).is_some());
        assert!(known.trust(machine(1), ELSEWHERE, 1, NOW).is_none(), "names are public");
        assert!(known.trust(machine(2), HOME, 1, NOW).is_none());
        let last = Timestamp(NOW.0 + i64::try_from(limits::KNOWN_FOR.as_micros()).unwrap());
        assert!(known.trust(machine(1), HOME, 1, last).is_some());
        assert!(known.trust(machine(1), HOME, 1, Timestamp(last.0 + 1)).is_none(), "too long ago");
    }

    #[test]
    fn its_first_bad_share_makes_it_a_stranger_until_it_brings_a_good_one() {
        let known = Arc::new(Known::default());
        known.good(machine(1), HOME, NOW);
        known.bad(machine(1), ELSEWHERE);
        assert!(known.trust(machine(1), HOME, 1, NOW).is_some(), "what others spoil is theirs");
        known.bad(machine(1), HOME);
        assert!(known.trust(machine(1), HOME, 1, NOW).is_none());
        known.good(machine(1), HOME, NOW);
        assert!(known.trust(machine(1), HOME, 1, NOW).is_some());
    }

    #[test]
    fn only_so_many_hashes_of_a_machine_are_made_on_trust_at_once() {
        let known = Arc::new(Known::default());
        known.good(machine(1), HOME, NOW);
        known.good(machine(2), HOME, NOW);
        let most = limits::HASHES_ON_TRUST_MAX;
        assert!(known.trust(machine(1), HOME, most + 1, NOW).is_none(), "a whole flood");
        let first = known.trust(machine(1), HOME, 1, NOW).unwrap();
        let others = known.trust(machine(1), HOME, most - 1, NOW).unwrap();
        assert!(known.trust(machine(1), HOME, 1, NOW).is_none());
        assert!(known.trust(machine(2), HOME, 1, NOW).is_some(), "each for itself");
        drop(first);
        let again = known.trust(machine(1), HOME, 1, NOW).unwrap();
        assert!(known.trust(machine(1), HOME, 1, NOW).is_none());
        drop((others, again));
        assert!(known.lock().on_trust.is_empty(), "nothing is kept of what is over");
    }

    #[test]
    fn so_many_machines_are_known_and_of_more_the_oldest_are_forgotten() {
        let known = Arc::new(Known::default());
        let most = u32::try_from(limits::KNOWN_MACHINES_MAX).unwrap();
        (0..2 * most).for_each(|n| known.good(machine(n), HOME, NOW));
        let inner = known.lock();
        assert!(inner.newer.len() + inner.older.len() <= limits::KNOWN_MACHINES_MAX);
        drop(inner);
        assert!(known.trust(machine(0), HOME, 1, NOW).is_none());
        assert!(known.trust(machine(2 * most - 1), HOME, 1, NOW).is_some());
        // Half of them are there whenever one looks.
        assert!(known.trust(machine(2 * most - most / 2), HOME, 1, NOW).is_some());
    }
}
