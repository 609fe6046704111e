//! Hashing passwords, a bounded number at a time.

use crate::{AccountsError, Result};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use gruve_units::Entropy;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Hashes computed at once: each takes 19 MiB and a processor for some 20 ms.
const AT_ONCE: usize = 4;

/// Callers waiting for their turn at most: some third of a second's worth of hashing. More would
/// only wait for nothing.
const WAITING_MAX: usize = 64;

/// The hasher of one service.
pub(crate) struct Passwords {
    turns: Semaphore,
    waiting: AtomicUsize,
    entropy: Arc<dyn Entropy>,
}

/// The right to hash once.
pub(crate) struct Turn<'a>(#[allow(dead_code)] SemaphorePermit<'a>); // held, never read

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passwords {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Passwords {
        Passwords { turns: Semaphore::new(AT_ONCE), waiting: AtomicUsize::new(0), entropy }
    }

    /// Waits for the right to hash, or refuses when too many wait already.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(AccountsError::Crowded);
        }
        self.turns.acquire().await.map(Turn).map_err(|_| AccountsError::Crowded)
    }

    /// The hash of a new password, as text that names its parameters and salt (PHC string).
    pub(crate) async fn hash(&self, _turn: &Turn<'_>, password: &str) -> Result<String> {
        let mut salt = [0_u8; 16];
        self.entropy.fill(&mut salt);
        let password = password.to_owned();
        blocking(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|h| h.to_string()).map_err(|e| AccountsError::Hashing(e.to_string()))
        })
        .await
    }

    /// Whether `password` is the one whose hash is stored; with no hash, does the same work and
    /// says no.
    pub(crate) async fn verify(
        &self,
        _turn: &Turn<'_>,
        password: &str,
        stored: Option<String>,
    ) -> Result<bool> {
        let password = password.to_owned();
        blocking(move || {
            let Some(stored) = stored else {
                let wasted =
                    Argon2::default().hash_password_with_salt(password.as_bytes(), &[0; 16]);
                return wasted.map(|_| false).map_err(|e| AccountsError::Hashing(e.to_string()));
            };
            match Argon2::default().verify_password(password.as_bytes(), stored.as_str()) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(e) => Err(AccountsError::Hashing(e.to_string())),
            }
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(AccountsError::Hashing(e.to_string())))
}
