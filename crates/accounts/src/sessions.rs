//! Sessions: who is signed in.

use crate::sql::{
    INSERT_SESSION, REMOVE_EXPIRED_SESSIONS, REMOVE_OLDEST_SESSIONS, REMOVE_SESSION, SESSION,
    TOUCH_SESSION,
};
use crate::{Result, Role, staff};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_store::{Store, Tx, params, transact};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// How long a session lasts at most.
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a session lasts without being used.
pub const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Sessions of an account at most; the longest unused ends first. Enough for a person's devices.
pub const SESSIONS_MAX: u32 = 16;

/// How exactly it is known when a session was last used: a write for every request would be waste.
const SEEN_EVERY: Duration = Duration::from_secs(600);

/// A session just opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What proves it: a secret that only the customer keeps, 43 characters.
    pub token: String,
    /// What a form must carry besides, 43 characters; follows from the token, not the other way.
    pub csrf: String,
    /// Whose it is.
    pub account: AccountId,
    /// When it ends if it is not used.
    pub expires: Timestamp,
}

impl fmt::Debug for Session {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Who is asking.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Whose session it is.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// What it is to the house, if anything; as it stands at this instant.
    pub role: Option<Role>,
    /// What a form must carry.
    pub csrf: String,
    /// When it ends if it is not used.
    pub expires: Timestamp,
}

impl SessionInfo {
    /// Whether a form carries the right token; takes the same time whatever it carries.
    #[must_use]
    pub fn csrf_matches(&self, given: &str) -> bool {
        self.csrf.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for SessionInfo {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("account", &self.account)
            .field("name", &self.name)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The 32 bytes of a token, `None` when it has not the form of one.
fn token_bytes(token: &str) -> Option<[u8; 32]> {
    if token.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()
}

fn hashed(purpose: &[u8], token: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(token).finalize().into()
}

fn token_hash(token: &[u8; 32]) -> [u8; 32] {
    hashed(b"gruve session 1", token)
}

fn csrf(token: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hashed(b"gruve csrf 1", token))
}

fn expiry(created: Timestamp, seen: Timestamp) -> Timestamp {
    created.plus(SESSION_LIFE).min(seen.plus(SESSION_IDLE))
}

/// Opens a session, and ends those that have expired or are too many.
pub(crate) async fn open(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Session> {
    let mut token = [0_u8; 32];
    entropy.fill(&mut token);
    let expires = expiry(now, now);
    tx.execute(REMOVE_EXPIRED_SESSIONS, &params![now]).await?;
    // One place is for the new one, which must not be the one that goes.
    tx.execute(REMOVE_OLDEST_SESSIONS, &params![account, SESSIONS_MAX - 1]).await?;
    tx.execute(INSERT_SESSION, &params![token_hash(&token), account, now, now, expires]).await?;
    Ok(Session { csrf: csrf(&token), token: URL_SAFE_NO_PAD.encode(token), account, expires })
}

/// Whose session a token proves, if any.
pub(crate) async fn find(
    store: &Store,
    token: &str,
    now: Timestamp,
) -> Result<Option<SessionInfo>> {
    let Some(token) = token_bytes(token) else { return Ok(None) };
    let row = store.read().await?.fetch_optional(SESSION, &params![token_hash(&token)]).await?;
    let Some(row) = row else { return Ok(None) };
    let mut expires: Timestamp = row.get("expires_at")?;
    if expires <= now {
        return Ok(None);
    }
    let (created, seen): (Timestamp, Timestamp) = (row.get("created_at")?, row.get("seen_at")?);
    if now.since(seen) >= SEEN_EVERY {
        expires = expiry(created, now);
        transact!(store, tx -> Result<_> => {
            Ok(tx.execute(TOUCH_SESSION, &params![token_hash(&token), now, expires]).await?)
        })?;
    }
    let (account, name) = (row.get("account")?, row.get("name")?);
    let role = staff::role(&row)?;
    Ok(Some(SessionInfo { account, name, role, csrf: csrf(&token), expires }))
}

/// Ends a session; whose it was.
pub(crate) async fn close(tx: &mut Tx, token: &str) -> Result<Option<AccountId>> {
    let Some(token) = token_bytes(token) else { return Ok(None) };
    let row = tx.fetch_optional(REMOVE_SESSION, &params![token_hash(&token)]).await?;
    Ok(row.map(|r| r.get("account")).transpose()?)
}
