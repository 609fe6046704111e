//! Each NiceHash connection's own part of the nonces: two bytes, or three when those are all out.
//!
//! Two bytes leave a miner 2^48 nonces, hours at any rate a connection has; with four the fastest
//! would run through theirs within seconds and begin again. No part lies within another: the two-byte
//! values from `ff00` on are never given out but as the first bytes of three. What is given back is
//! given out again as late as possible, so that a miner does not repeat what another has just done.
//!
//! Here stands also which class each part is to have of the next header: for all connections in one
//! place, so that it can be settled for all of them at one moment ([`super::claims`]).

use super::claims::{Part, Planned};
use gruve_units::{Class, Entropy};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Parts of two bytes: 0x0000 to 0xfeff.
const SHORT: u32 = 0xff00;
/// Parts of three bytes: 0xff0000 to 0xffffff.
const LONG: std::ops::Range<u32> = 0x00ff_0000..0x0100_0000;

#[derive(Debug)]
struct Pool {
    /// The number of the next never given out, and how many there are such.
    short: (u32, u32),
    long: u32,
    back_short: VecDeque<u32>,
    back_long: VecDeque<u32>,
    planned: Planned,
}

/// The parts of one lane's nonces.
#[derive(Clone, Debug)]
pub struct Extranonces(Arc<Mutex<Pool>>);

/// One part; given back when dropped.
pub struct Extranonce1 {
    pool: Extranonces,
    value: u32,
    len: usize,
    planned: Option<Class>,
}

impl Extranonces {
    /// All there are, beginning anywhere.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Extranonces {
        let mut start = [0; 4];
        entropy.fill(&mut start);
        Extranonces(Arc::new(Mutex::new(Pool {
            short: (u32::from_be_bytes(start) % SHORT, SHORT),
            long: LONG.start,
            back_short: VecDeque::new(),
            back_long: VecDeque::new(),
            planned: Planned::default(),
        })))
    }

    /// The classes that are planned now.
    pub(crate) fn planned(&self) -> Planned {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).planned)
    }

    /// One that no living connection has; `None` when all 130,816 are out.
    #[must_use]
    pub fn take(&self) -> Option<Extranonce1> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, len) = if pool.short.1 > 0 {
            let value = pool.short.0;
            pool.short = ((value + 1) % SHORT, pool.short.1 - 1);
            (value, 2)
        } else if let Some(value) = pool.back_short.pop_front() {
            (value, 2)
        } else if LONG.contains(&pool.long) {
            pool.long += 1;
            (pool.long - 1, 3)
        } else {
            (pool.back_long.pop_front()?, 3)
        };
        drop(pool);
        Some(Extranonce1 { pool: self.clone(), value, len, planned: None })
    }
}

impl Extranonce1 {
    /// Two or three bytes in hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        format!("{:0width$x}", self.value, width = 2 * self.len)
    }

    /// How many bytes the miner adds: six or five.
    #[must_use]
    pub const fn rest(&self) -> usize {
        8 - self.len
    }

    /// The whole nonce from the miner's part.
    #[must_use]
    pub fn nonce(&self, rest: u64) -> u64 {
        u64::from(self.value) << (8 * self.rest()) | rest
    }

    /// The same as the claims know it.
    pub(crate) fn part(&self) -> Part {
        Part::of(self.nonce(0))
    }

    /// The class that it is to have of the next header.
    pub(crate) fn plan(&mut self, class: Class) {
        if self.planned != Some(class) {
            self.planned = Some(class);
            let mut pool = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut pool.planned).insert(self.part(), class);
        }
    }
}

impl fmt::Debug for Extranonce1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Drop for Extranonce1 {
    fn drop(&mut self) {
        let mut pool = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.planned.is_some() {
            Arc::make_mut(&mut pool.planned).remove(&self.part());
        }
        let back = if self.len == 2 { &mut pool.back_short } else { &mut pool.back_long };
        back.push_back(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SeededEntropy;
    use std::collections::HashSet;

    #[test]
    fn no_two_living_connections_share_a_nonce_and_the_supply_is_bounded() {
        let pool = Extranonces::new(&SeededEntropy::new(3));
        let mut all = Vec::new();
        while let Some(one) = pool.take() {
            all.push(one);
        }
        assert_eq!(all.len(), 65_280 + 65_536);
        let lowest: HashSet<u64> = all.iter().map(|e| e.nonce(0)).collect();
        assert_eq!(lowest.len(), all.len());
        let short = |e: &&Extranonce1| e.rest() == 6;
        assert!(all.iter().filter(short).all(|e| e.nonce(0) >> 48 < 0xff00));
        assert!(all.iter().filter(|e| !short(e)).all(|e| e.nonce(0) >> 56 == 0xff));
    }

    #[test]
    fn what_is_given_back_comes_again_last() {
        let pool = Extranonces::new(&SeededEntropy::new(3));
        let first = pool.take().unwrap();
        let (name, rest) = (first.to_hex(), first.rest());
        assert_eq!((name.len(), rest), (4, 6));
        drop(first);
        for _ in 1..65_280 {
            assert_ne!(pool.take().unwrap().to_hex(), name);
        }
        assert_eq!(pool.take().unwrap().to_hex(), name);
    }

    #[test]
    fn the_whole_nonce_is_the_part_and_what_the_miner_adds() {
        let pool = Extranonces::new(&SeededEntropy::new(1));
        let one = Extranonce1 { pool: pool.clone(), value: 0x0001, len: 2, planned: None };
        assert_eq!(
            (one.to_hex().as_str(), one.nonce(0x6a90_9d9b_bc0f)),
            ("0001", 0x0001_6a90_9d9b_bc0f)
        );
        let long = Extranonce1 { pool, value: 0x00a2_eea0, len: 3, planned: None };
        assert_eq!((long.rest(), long.nonce(0xcf_ae7d_f760)), (5, 0xa2ee_a0cf_ae7d_f760));
    }
}
