//! Passkeys: signing in with a key that a phone, a computer or a security key holds, in place of the
//! password (where it makes sure who sits there) or beside it.
//!
//! # Promises
//! - A passkey is added only by who proves the password and, where there is one, the second factor.
//! - An account with a passkey is not opened by its password alone any more; codes for a lost device are
//!   given with the first factor, whichever it is.
//! - A challenge counts once, for five minutes, for what it was asked for. Asking writes nothing.
//! - A count of signatures that does not grow is a copied key: refused, written down and told.
//! - Asking by name for the passkeys to offer tells nobody whether an account exists or has any: names are public, and
//!   one without passkeys gets some that could be its. Addresses are not public, and are offered none at all.

mod adding;
mod challenge;
mod signing;

use crate::service::Device;
use crate::sql::{COUNT_PASSKEYS, PASSKEYS_OF, REMOVE_PASSKEY, REMOVE_RECOVERY, RENAME_PASSKEY};
use crate::webauthn::Site;
use crate::{Accounts, AccountsError, Result, factors};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use challenge::ChallengeKey;
use gruve_store::{Migration, Row, Tx, params, transact};
use gruve_units::{AccountId, Timestamp};

pub use adding::{NewPasskey, PasskeyAsked};
pub use signing::{Assertion, AssertionAsked};

/// The tables of passkeys.
pub const PASSKEY_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "passkeys",
    sqlite: include_str!("../../migrations/0001_passkeys.sqlite.sql"),
    postgres: include_str!("../../migrations/0001_passkeys.postgres.sql"),
}];

/// Passkeys of an account at most: all devices of a careful person, and what a page lists.
pub const PASSKEYS_MAX: i64 = 20;

/// Characters of a passkey's name at most.
const NAME_CHARS_MAX: usize = 40;
/// Characters of what a browser says of a passkey's ways (`internal,hybrid`) at most.
const TRANSPORT_CHARS_MAX: usize = 80;

/// The site whose passkeys count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRules {
    origin: String,
    host: String,
    house: String,
}

impl PasskeyRules {
    /// Of the address that browsers see, `scheme://host[:port]`, and the house's name. `None` where browsers
    /// take no passkeys: without https (but on `localhost`), or at a number in place of a name.
    #[must_use]
    pub fn new(origin: &str, house: &str) -> Option<PasskeyRules> {
        let (scheme, rest) = origin.split_once("://")?;
        let host = rest.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_name = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            && host
                .rsplit('.')
                .next()
                .is_some_and(|end| end.bytes().any(|b| b.is_ascii_alphabetic()));
        let is_safe = scheme == "https" || (scheme == "http" && host == "localhost");
        let origin = origin.to_ascii_lowercase();
        (is_name && is_safe).then(|| PasskeyRules { origin, host, house: house.to_owned() })
    }

    /// The host that passkeys are bound to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    fn site(&self) -> Site<'_> {
        Site { origin: &self.origin, host: &self.host }
    }
}

/// A passkey as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// The authenticator's own id for it, base64url.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether it is kept in more than one device, as a password manager does.
    pub is_synced: bool,
    /// By which ways browsers reach it, as they told it: `internal`, `usb`…
    pub transports: Vec<String>,
    /// When it was added.
    pub made: Timestamp,
    /// When it last signed in.
    pub used: Option<Timestamp>,
}

fn passkey(row: &Row) -> Result<Passkey> {
    let (id, transports): (Vec<u8>, String) = (row.get("id")?, row.get("transports")?);
    let synced: i64 = row.get("is_synced")?;
    Ok(Passkey {
        id: URL_SAFE_NO_PAD.encode(id),
        name: row.get("name")?,
        is_synced: synced == 1,
        transports: transports.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect(),
        made: row.get("made_at")?,
        used: row.get("used_at")?,
    })
}

async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<Passkey>> {
    tx.fetch_all(PASSKEYS_OF, &params![account]).await?.iter().map(passkey).collect()
}

/// How many an account has.
pub(crate) async fn count(tx: &mut Tx, account: AccountId) -> Result<u32> {
    Ok(tx.fetch_one(COUNT_PASSKEYS, &params![account]).await?.get("n")?)
}

fn id_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (!bytes.is_empty() && bytes.len() <= crate::webauthn::ID_BYTES_MAX).then_some(bytes)
}

/// A name that can be shown: trimmed, of bounded length, without control characters.
fn name_of(text: &str) -> Result<String> {
    let name = text.trim();
    let fine =
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fine { Ok(name.to_owned()) } else { Err(AccountsError::BadPasskeyName) }
}

impl Accounts {
    /// The site whose passkeys count; without one there are none.
    #[must_use]
    pub fn passkey_rules(&self) -> Option<&PasskeyRules> {
        self.rules().passkeys.as_ref()
    }

    fn passkey_site(&self) -> Result<&PasskeyRules> {
        self.passkey_rules().ok_or(AccountsError::NoPasskeys)
    }

    /// The passkeys of an account, the oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>> {
        of_account(&mut self.store().read().await?, account).await
    }

    /// Calls a passkey something else.
    ///
    /// # Errors
    /// [`AccountsError::BadPasskeyName`], [`AccountsError::NoSuchPasskey`]; the database's.
    pub async fn rename_passkey(&self, account: AccountId, id: &str, name: &str) -> Result<()> {
        let (name, id) = (name_of(name)?, id_bytes(id).ok_or(AccountsError::NoSuchPasskey)?);
        transact!(self.store(), tx -> Result<_> => {
            match tx.execute(RENAME_PASSKEY, &params![account, id.clone(), &name]).await? {
                0 => Err(AccountsError::NoSuchPasskey),
                _ => Ok(()),
            }
        })
    }

    /// Removes a passkey. With the last factor the codes for a lost device go, too.
    ///
    /// # Errors
    /// [`AccountsError::NoSuchPasskey`]; as [`Accounts::prove`].
    pub async fn remove_passkey(
        &self,
        account: AccountId,
        id: &str,
        proof: (&str, &str),
        from: impl Into<Device>,
    ) -> Result<()> {
        let id = id_bytes(id).ok_or(AccountsError::NoSuchPasskey)?;
        self.prove(account, proof.0, Some(proof.1), from).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if tx.execute(REMOVE_PASSKEY, &params![account, id.clone()]).await? == 0 {
                return Err(AccountsError::NoSuchPasskey);
            }
            if !factors::factors(tx, account).await?.is_needed() {
                tx.execute(REMOVE_RECOVERY, &params![account]).await?;
            }
            self.tell(tx, account, "A passkey of your account was removed.", now).await?;
            self.record(tx, now, account, "passkey.removed").await
        })
    }

    /// Which cell of attempts a name belongs to that nobody has: by a secret of the house's.
    pub(crate) async fn cell_of(&self, login: &str) -> Result<[u8; 2]> {
        Ok(self.challenge_key().await?.cell(login))
    }

    /// The secret that challenges are made of.
    async fn challenge_key(&self) -> Result<ChallengeKey> {
        if let Some(key) = ChallengeKey::read(&mut self.store().read().await?).await? {
            return Ok(key);
        }
        transact!(self.store(), tx -> Result<_> => { ChallengeKey::make(tx, self.entropy()).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_bound_to_a_name_that_browsers_take() {
        let host = |origin: &str| PasskeyRules::new(origin, "Mine").map(|r| r.host);
        assert_eq!(host("https://Mine.example:8443").as_deref(), Some("mine.example"));
        assert_eq!(host("http://localhost:8080").as_deref(), Some("localhost"));
        for bad in ["http://mine.example", "https://192.0.2.1", "https://[::1]:1", "https://", "x"]
        {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_passkeys_name_is_short_and_visible() {
        assert_eq!(name_of("  phone ").unwrap(), "phone");
        for bad in ["", "  ", "a\u{7}b", &"x".repeat(41)] {
            assert!(name_of(bad).is_err(), "{bad:?}");
        }
    }
}
