//! Keys for programs: each with a name, what it may do, and an end.
//!
//! A key is a secret of its own, asked for with neither password nor code; it never acts as staff, and cannot make
//! or end keys. A new password ends all keys: whoever made one with the old password keeps nothing by it.

use crate::sql::{ADD_KEY, COUNT_KEYS, KEY, KEYS_OF, REMOVE_KEY, REMOVE_OLD_KEYS, TOUCH_KEY};
use crate::{Accounts, AccountsError, Result, secrets};
use gruve_store::{Row, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};
use std::fmt;
use std::str::FromStr;

/// Keys of an account at most.
pub const KEYS_MAX: i64 = 20;

/// How long a key is good at most.
pub const KEY_LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What every key begins with, so that it is known for one wherever it turns up.
pub const KEY_PREFIX: &str = "gruve_";

/// Characters of a key's name at most.
const NAME_CHARS_MAX: usize = 40;

/// How exactly it is known when a key was last used.
const USED_EVERY: Duration = Duration::from_secs(600);

const HASHED: &[u8] = b"gruve key 1";

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read everything of the account.
    Read,
    /// Quotes, contracts, work by the meter.
    Trade,
    /// Payouts, addresses of machines, handing machines on.
    Withdraw,
    /// Machines and tickets.
    Machines,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Trade, Scope::Withdraw, Scope::Machines];

    /// The stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Trade => "trade",
            Scope::Withdraw => "withdraw",
            Scope::Machines => "machines",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        let found = Scope::ALL.into_iter().find(|s| s.name() == text);
        found.ok_or_else(|| "write read, trade, withdraw or machines".to_owned())
    }
}

/// A key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = ();

    fn from_str(text: &str) -> Result<KeyId, ()> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(());
        }
        let byte =
            |n: usize| text.get(n * 2..n * 2 + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
        let mut bytes = [0; 16];
        for (n, b) in bytes.iter_mut().enumerate() {
            *b = byte(n).ok_or(())?;
        }
        Ok(KeyId(bytes))
    }
}

/// A key as its owner sees it; never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was last used, to ten minutes.
    pub used: Option<Timestamp>,
}

fn read(row: &Row) -> Result<ApiKey> {
    let scopes: String = row.get("scopes")?;
    let scopes: Result<Vec<Scope>, String> = scopes.split(' ').map(str::parse).collect();
    Ok(ApiKey {
        id: KeyId(row.get("id")?),
        account: row.get("account")?,
        name: row.get("name")?,
        scopes: scopes.map_err(|_| AccountsError::Damaged("a key's scopes"))?,
        created: row.get("created_at")?,
        expires: row.get("expires_at")?,
        used: row.get("used_at")?,
    })
}

impl Accounts {
    /// Makes a key, good for `life`, and gives its secret, which is not shown again. Ask for a proof
    /// first ([`Accounts::prove`]).
    ///
    /// # Errors
    /// [`AccountsError::BadKey`] for a name, scopes or a life that cannot be; [`AccountsError::TooManyKeys`].
    pub async fn make_key(
        &self,
        account: AccountId,
        name: &str,
        scopes: &[Scope],
        life: Duration,
    ) -> Result<(ApiKey, String)> {
        let name = name.trim();
        let fine = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
            && !scopes.is_empty()
            && !life.is_zero()
            && life <= KEY_LIFE_MAX;
        if !fine {
            return Err(AccountsError::BadKey);
        }
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        let words: Vec<&str> = scopes.iter().map(|s| s.name()).collect();
        let (now, words) = (self.now(), words.join(" "));
        let mut id = [0_u8; 16];
        self.entropy().fill(&mut id);
        let (secret, hash) = secrets::new(HASHED, self.entropy());
        let expires = now.plus(life);
        transact!(self.store(), tx -> Result<_> => {
            tx.execute(REMOVE_OLD_KEYS, &params![account, now]).await?;
            let held: i64 = tx.fetch_one(COUNT_KEYS, &params![account]).await?.get("n")?;
            if held >= KEYS_MAX {
                return Err(AccountsError::TooManyKeys);
            }
            let row = params![id, account, name, hash, &words, now, expires];
            tx.execute(ADD_KEY, &row).await?;
            let what = format!("A key for programs was made, {name:?}: {words}.");
            self.tell(tx, account, &what, now).await?;
            self.record(tx, now, account, "key.made").await
        })?;
        let (id, created, name) = (KeyId(id), now, name.to_owned());
        let key = ApiKey { id, account, name, scopes, created, expires, used: None };
        Ok((key, format!("{KEY_PREFIX}{secret}")))
    }

    /// The key that a secret proves, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn key(&self, secret: &str) -> Result<Option<ApiKey>> {
        let Some(secret) = secret.strip_prefix(KEY_PREFIX) else { return Ok(None) };
        let Some(hash) = secrets::hash_of(HASHED, secret) else { return Ok(None) };
        let row = self.store().read().await?.fetch_optional(KEY, &params![hash]).await?;
        let Some(key) = row.map(|r| read(&r)).transpose()? else { return Ok(None) };
        let now = self.now();
        if key.expires <= now {
            return Ok(None);
        }
        if key.used.is_none_or(|used| now.since(used) >= USED_EVERY) {
            transact!(self.store(), tx -> Result<_> => {
                Ok(tx.execute(TOUCH_KEY, &params![key.id.0, now]).await?)
            })?;
        }
        Ok(Some(key))
    }

    /// An account's keys, those that have ended included until the next is made.
    ///
    /// # Errors
    /// The database's.
    pub async fn keys(&self, account: AccountId) -> Result<Vec<ApiKey>> {
        let rows = self.store().read().await?.fetch_all(KEYS_OF, &params![account]).await?;
        rows.iter().map(read).collect()
    }

    /// Ends a key of the account; whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_key(&self, account: AccountId, id: KeyId) -> Result<bool> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let ended = tx.execute(REMOVE_KEY, &params![account, id.0]).await? == 1;
            if ended {
                self.record(tx, now, account, "key.ended").await?;
            }
            Ok(ended)
        })
    }
}
