//! Sessions: who is signed in.

use crate::sql::{
    INSERT_SESSION, REMOVE_EXPIRED_SESSIONS, REMOVE_OLDEST_SESSIONS, REMOVE_OTHER_SESSIONS,
    REMOVE_OWN_SESSION, REMOVE_SESSION, SESSION, SESSIONS_OF, TOUCH_SESSION,
};
use crate::{LostFactor, Result, Role, secrets, staff};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_store::{Row, Store, Tx, params, transact};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};
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
    /// The language that the account has chosen, if any.
    pub language: Option<String>,
    /// A second factor of the account that is said to be lost.
    pub lost_factor: Option<LostFactor>,
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

fn token_hash(token: &[u8; 32]) -> [u8; 32] {
    secrets::hashed(b"gruve session 1", token)
}

fn csrf(token: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(secrets::hashed(b"gruve csrf 1", token))
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// By which it can be ended; proves nothing.
    pub id: SessionId,
    /// When it was opened.
    pub created: Timestamp,
    /// When it was last used, to ten minutes.
    pub seen: Timestamp,
    /// When it ends if it is not used.
    pub expires: Timestamp,
    /// Network and program, as told when it was opened.
    pub about: String,
    /// Whether it is the one that asks.
    pub is_own: bool,
}

/// A session's id: follows from the hash of its token, not the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId([u8; 16]);

impl SessionId {
    fn of(token_hash: &[u8; 32]) -> SessionId {
        let long = secrets::hashed(b"gruve session id 1", token_hash);
        let mut id = [0; 16];
        id.copy_from_slice(&long[..16]);
        SessionId(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// The sessions of an account, the latest used first.
pub(crate) async fn list(
    tx: &mut Tx,
    account: AccountId,
    own: &str,
    now: Timestamp,
) -> Result<Vec<SessionRow>> {
    let own = secrets::bytes(own).map(|t| token_hash(&t));
    let row = |row: &Row| {
        let hash: [u8; 32] = row.get("token_hash")?;
        Ok(SessionRow {
            id: SessionId::of(&hash),
            created: row.get("created_at")?,
            seen: row.get("seen_at")?,
            expires: row.get("expires_at")?,
            about: row.get("about")?,
            is_own: own == Some(hash),
        })
    };
    tx.fetch_all(SESSIONS_OF, &params![account, now]).await?.iter().map(row).collect()
}

/// Ends the session of that id; whether there was one of the account's.
pub(crate) async fn end(tx: &mut Tx, account: AccountId, id: &str, now: Timestamp) -> Result<bool> {
    for row in tx.fetch_all(SESSIONS_OF, &params![account, now]).await? {
        let hash: [u8; 32] = row.get("token_hash")?;
        if SessionId::of(&hash).to_string() == id {
            return Ok(tx.execute(REMOVE_OWN_SESSION, &params![account, hash]).await? == 1);
        }
    }
    Ok(false)
}

/// Ends all sessions of an account but the one of this token.
pub(crate) async fn end_others(tx: &mut Tx, account: AccountId, keep: &str) -> Result<u64> {
    let keep = secrets::bytes(keep).map_or([0; 32], |t| token_hash(&t));
    Ok(tx.execute(REMOVE_OTHER_SESSIONS, &params![account, keep]).await?)
}

fn expiry(created: Timestamp, seen: Timestamp) -> Timestamp {
    created.plus(SESSION_LIFE).min(seen.plus(SESSION_IDLE))
}

/// Opens a session, and ends those that have expired or are too many.
pub(crate) async fn open(
    tx: &mut Tx,
    account: AccountId,
    about: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Session> {
    let mut token = [0_u8; 32];
    entropy.fill(&mut token);
    let expires = expiry(now, now);
    tx.execute(REMOVE_EXPIRED_SESSIONS, &params![now]).await?;
    // One place is for the new one, which must not be the one that goes.
    tx.execute(REMOVE_OLDEST_SESSIONS, &params![account, SESSIONS_MAX - 1]).await?;
    let row = params![token_hash(&token), account, now, now, expires, about];
    tx.execute(INSERT_SESSION, &row).await?;
    Ok(Session { csrf: csrf(&token), token: URL_SAFE_NO_PAD.encode(token), account, expires })
}

/// Whose session a token proves, if any.
pub(crate) async fn find(
    store: &Store,
    token: &str,
    now: Timestamp,
) -> Result<Option<SessionInfo>> {
    let Some(token) = secrets::bytes(token) else { return Ok(None) };
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
    let (role, language) = (staff::role(&row)?, row.get("language")?);
    let (csrf, lost_factor) = (csrf(&token), lost_factor(&row, account)?);
    Ok(Some(SessionInfo { account, name, role, csrf, expires, language, lost_factor }))
}

fn lost_factor(row: &Row, account: AccountId) -> Result<Option<LostFactor>> {
    let Some(asked) = row.get("lost_asked_at")? else { return Ok(None) };
    let (due, done) = (row.get("lost_due_at")?, row.get("lost_done_at")?);
    Ok(Some(LostFactor { account, asked, due, done, free: row.get("lost_free_at")? }))
}

/// Ends a session; whose it was.
pub(crate) async fn close(tx: &mut Tx, token: &str) -> Result<Option<AccountId>> {
    let Some(token) = secrets::bytes(token) else { return Ok(None) };
    let row = tx.fetch_optional(REMOVE_SESSION, &params![token_hash(&token)]).await?;
    Ok(row.map(|r| r.get("account")).transpose()?)
}
