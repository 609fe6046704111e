//! Hashing passwords, a bounded number at a time, in memory that is taken once.
//!
//! A hash fills 19 MiB. Memory of that size, taken and given back on many threads, is not given back
//! to the system by every allocator, and a caller who goes away must not free a place while its hash
//! is still being computed: the right to hash and the memory go into the computation together, and
//! come back when it ends.

use crate::attempts::network_of;
use crate::{AccountsError, Result};
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier as _, Version};
use gruve_units::Entropy;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hashes computed at once at most: each takes 19 MiB and a processor for some 20 ms. On a machine
/// with fewer processors, as many as it has.
const AT_ONCE_MAX: usize = 4;

/// Callers waiting for their turn at most: some third of a second's worth of hashing. More would
/// only wait for nothing.
const WAITING_MAX: usize = 64;

/// Callers of one network hashing or waiting at most: a quarter of all, so that none keeps the others out.
const OF_A_NETWORK_MAX: usize = 16;

/// The hasher of one service.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    networks: Networks,
    memory: Arc<Memory>,
    entropy: Arc<dyn Entropy>,
}

/// Memory that no hash is using; never more pieces than turns.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

/// How many callers of each network there are; never more entries than callers.
#[derive(Clone, Default)]
struct Networks(Arc<Mutex<HashMap<Vec<u8>, usize>>>);

/// One caller of a network, while it lasts.
struct Seat {
    of: Networks,
    network: Vec<u8>,
}

impl Networks {
    /// One more of this network, if there is room.
    fn admit(&self, from: IpAddr) -> Option<Seat> {
        let network = network_of(Some(from));
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network.clone()).or_default();
        if *count >= OF_A_NETWORK_MAX {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Seat { of: self.clone(), network })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

/// The right to hash once, and where.
pub(crate) struct Turn {
    blocks: Vec<Block>,
    memory: Arc<Memory>,
    _seat: Option<Seat>,
    /// Given back last.
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let blocks = std::mem::take(&mut self.blocks);
        self.memory.0.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passwords {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Passwords {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords {
            turns: Arc::new(Semaphore::new(processors.min(AT_ONCE_MAX))),
            waiting: AtomicUsize::new(0),
            networks: Networks::default(),
            memory: Arc::default(),
            entropy,
        }
    }

    /// Waits for the right to hash, or refuses when too many wait already, or too many of the same network.
    pub(crate) async fn turn(&self, from: Option<IpAddr>) -> Result<Turn> {
        let seat = match from {
            Some(from) => Some(self.networks.admit(from).ok_or(AccountsError::Crowded)?),
            None => None,
        };
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(AccountsError::Crowded);
        }
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        let permit = permit.map_err(|_| AccountsError::Crowded)?;
        let spare = self.memory.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (blocks, memory) = (spare.unwrap_or_default(), Arc::clone(&self.memory));
        Ok(Turn { blocks, memory, _seat: seat, _permit: permit })
    }

    /// The hash of a new password, as text that names its parameters and salt (PHC string).
    pub(crate) async fn hash(&self, mut turn: Turn, password: &str) -> Result<String> {
        let mut salt = [0_u8; 16];
        self.entropy.fill(&mut salt);
        let password = password.to_owned();
        blocking(move || {
            let output = turn.compute(password.as_bytes(), &salt)?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&Params::DEFAULT).map_err(failed)?,
                salt: Some(Salt::new(&salt).map_err(failed)?),
                hash: Some(Output::new(&output).map_err(failed)?),
            };
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one whose hash is stored; with no hash, does the same work and
    /// says no.
    pub(crate) async fn verify(
        &self,
        mut turn: Turn,
        password: &str,
        stored: Option<String>,
    ) -> Result<bool> {
        let password = password.to_owned();
        blocking(move || {
            let Some(stored) = stored else {
                return turn.compute(password.as_bytes(), &[0; 16]).map(|_| false);
            };
            let stored = PasswordHash::new(&stored).map_err(failed)?;
            if let Some((salt, output)) = usual(&stored) {
                return Ok(turn.compute(password.as_bytes(), salt)?.ct_eq(output).into());
            }
            // Hashed with other parameters: in memory of its own.
            match Argon2::default().verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(e) => Err(failed(e)),
            }
        })
        .await
    }
}

impl Turn {
    /// Argon2id with the parameters in use, in this turn's memory.
    fn compute(&mut self, password: &[u8], salt: &[u8]) -> Result<[u8; OUTPUT_BYTES]> {
        self.blocks.resize(Params::DEFAULT.block_count(), Block::new());
        let mut output = [0; OUTPUT_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
            .hash_password_into_with_memory(password, salt, &mut output, &mut self.blocks[..])
            .map_err(failed)?;
        Ok(output)
    }
}

/// Bytes of a hash.
const OUTPUT_BYTES: usize = Params::DEFAULT_OUTPUT_LEN;

/// Salt and output of a hash that was made with the parameters in use.
fn usual(hash: &PasswordHash) -> Option<(&[u8], &[u8])> {
    let params = ParamsString::try_from(&Params::DEFAULT).ok()?;
    let is_usual = hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && hash.params == params;
    let (salt, output) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    (is_usual && output.len() == OUTPUT_BYTES).then(|| (salt.as_ref(), output.as_ref()))
}

fn failed(error: impl std::fmt::Display) -> AccountsError {
    AccountsError::Hashing(error.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(AccountsError::Hashing(e.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordHasher as _;
    use gruve_units::SeededEntropy;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SeededEntropy::new(1)))
    }

    #[tokio::test]
    async fn hashes_are_those_of_the_library_and_both_ways_verify() {
        let hasher = passwords();
        let made = hasher.hash(hasher.turn(None).await.unwrap(), "correct horse").await.unwrap();
        Argon2::default().verify_password(b"correct horse", made.as_str()).unwrap();
        let theirs = Argon2::default().hash_password_with_salt(b"correct horse", &[7; 16]).unwrap();
        let small = Params::new(64, 1, 1, None).unwrap();
        let other =
            Argon2::from(small).hash_password_with_salt(b"correct horse", &[7; 16]).unwrap();
        for stored in [made, theirs.to_string(), other.to_string()] {
            for (password, right) in [("correct horse", true), ("wrong horse", false)] {
                let turn = hasher.turn(None).await.unwrap();
                assert_eq!(
                    hasher.verify(turn, password, Some(stored.clone())).await.unwrap(),
                    right
                );
            }
        }
    }

    #[tokio::test]
    async fn callers_that_go_away_free_no_place_while_their_hash_is_computed() {
        let hasher = passwords();
        let places = hasher.turns.available_permits();
        for _ in 0..places * 8 {
            let turn = hasher.turn(None).await.unwrap();
            // Polled once, so that the computation has begun, and given up.
            let mut hashing = Box::pin(hasher.verify(turn, "wrong horse", None));
            let polled = futures_poll_once(hashing.as_mut()).await;
            assert!(polled.is_none(), "a hash takes longer than this");
            drop(hashing);
            let taken = places - hasher.turns.available_permits();
            let spare = hasher.memory.0.lock().unwrap().len();
            assert!(taken >= 1 && taken + spare <= places, "{taken} computed, {spare} spare");
        }
        // All come back, with at most a piece of memory each.
        let all = u32::try_from(places).unwrap();
        let _all = hasher.turns.acquire_many(all).await.unwrap();
        assert!(hasher.memory.0.lock().unwrap().len() <= places);
    }

    async fn futures_poll_once<F: Future + Unpin>(mut what: F) -> Option<F::Output> {
        use std::pin::Pin;
        use std::task::Poll;
        std::future::poll_fn(|cx| match Pin::new(&mut what).poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn one_network_does_not_keep_the_others_out() {
        let hasher = passwords();
        let (flood, other) = ("192.0.2.7".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let all = u32::try_from(hasher.turns.available_permits()).unwrap();
        let all = hasher.turns.acquire_many(all).await.unwrap();
        let turn = || Box::pin(hasher.turn(Some(flood)));
        let mut waiting: Vec<_> = (0..OF_A_NETWORK_MAX).map(|_| turn()).collect();
        for turn in &mut waiting {
            assert!(futures_poll_once(turn.as_mut()).await.is_none());
        }
        assert!(matches!(hasher.turn(Some(flood)).await, Err(AccountsError::Crowded)));
        let mut others = Box::pin(hasher.turn(Some(other)));
        assert!(futures_poll_once(others.as_mut()).await.is_none(), "waits, and is not refused");
        drop(all);
        for turn in waiting {
            drop(turn.await.unwrap());
        }
        drop(others.await.unwrap());
        assert!(hasher.networks.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn more_callers_than_may_wait_are_told_so_at_once() {
        let hasher = passwords();
        let all = u32::try_from(hasher.turns.available_permits()).unwrap();
        let all = hasher.turns.acquire_many(all).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.turn(None))).collect();
        for turn in &mut waiting {
            assert!(futures_poll_once(turn.as_mut()).await.is_none());
        }
        assert!(matches!(hasher.turn(None).await, Err(AccountsError::Crowded)));
        drop(all);
        for turn in waiting {
            turn.await.unwrap();
        }
    }
}
