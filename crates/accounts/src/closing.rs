//! Closing an account: asked for by its owner with proof, done after a delay in which it can be taken back,
//! and then everything personal is erased. What money needs stays: the account's row without name and address,
//! by whose id books, contracts and journal go on holding together.
//!
//! This room does not know money. Whoever does says before and at the end whether anything is still open, and
//! calls [`Accounts::seal`], and a minute later [`Accounts::erase`].
//!
//! # Why in two steps
//! What a request that was let in before may still do takes some seconds. So first nobody is let in, then
//! [`SEALED_FOR`] passes, then it is looked at once more whether anything is open, and only then erased.

use crate::service::Device;
use crate::sql::{
    ANONYMISE, CLOSING_OF, CLOSINGS_DUE, END_LOST, ERASE_ADDRESSES, ERASE_AUDIT, ERASE_BOOK_ONLY,
    ERASE_CHANGES, ERASE_KEYS, ERASE_NETWORKS, ERASE_PARTICULARS, ERASE_PASSKEYS, ERASE_TICKETS,
    PUT_CLOSING, REMOVE_CLOSING, REMOVE_RECOVERY, REMOVE_SESSIONS_OF, REMOVE_TOTP, ROLE_OF,
    SET_CLOSED, SET_SEALED,
};
use crate::{Accounts, AccountsError, Result, unconfirmed};
use gruve_store::{Migration, Row, Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};

/// The tables of closings.
pub const CLOSING_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "closings",
    sqlite: include_str!("../migrations/0001_closings.sqlite.sql"),
    postgres: include_str!("../migrations/0001_closings.postgres.sql"),
}];

/// How long a closing waits, where the operator says nothing else: long enough to come back from a journey
/// and find the message of a thief's doing.
pub const CLOSING_DELAY: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long an account is sealed before it is erased: longer than any request that was let in before may last.
pub const SEALED_FOR: Duration = Duration::from_secs(60);

/// Closings looked at in one round.
const AT_ONCE: i64 = 50;

/// An account that is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Whose.
    pub account: AccountId,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it is done.
    pub due: Timestamp,
    /// Since when nobody is let in.
    pub sealed: Option<Timestamp>,
    /// When it was done.
    pub closed: Option<Timestamp>,
}

fn read(row: &Row) -> Result<Closing> {
    Ok(Closing {
        account: row.get("account")?,
        asked: row.get("asked_at")?,
        due: row.get("due_at")?,
        sealed: row.get("sealed_at")?,
        closed: row.get("closed_at")?,
    })
}

/// Whether nobody is let into an account any more.
pub(crate) async fn is_sealed(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let row = tx.fetch_optional(CLOSING_OF, &params![account]).await?;
    Ok(row.map(|r| read(&r)).transpose()?.is_some_and(|c| c.sealed.is_some()))
}

impl Accounts {
    /// Whether and when an account is to be closed.
    ///
    /// # Errors
    /// The database's.
    pub async fn closing(&self, account: AccountId) -> Result<Option<Closing>> {
        let row = self.store().read().await?.fetch_optional(CLOSING_OF, &params![account]).await?;
        row.map(|r| read(&r)).transpose()
    }

    /// Asks for an account to be closed after the delay; asking again changes nothing. The owner is told.
    ///
    /// # Errors
    /// [`AccountsError::IsStaff`] while the account has a role; as [`Accounts::prove`].
    pub async fn ask_to_close(
        &self,
        account: AccountId,
        proof: (&str, &str),
        from: impl Into<Device>,
    ) -> Result<Closing> {
        self.prove(account, proof.0, Some(proof.1), from).await?;
        let now = self.now();
        let due = now.plus(self.rules().closing_delay);
        transact!(self.store(), tx -> Result<_> => {
            if tx.fetch_optional(ROLE_OF, &params![account]).await?.is_some() {
                return Err(AccountsError::IsStaff);
            }
            if tx.execute(PUT_CLOSING, &params![account, now, due]).await? == 1 {
                let what = format!(
                    "Your account will be closed and what is personal in it erased on {}. To keep it, sign in and \
                     take the closing back.",
                    crate::changes::when(due)
                );
                self.tell(tx, account, &what, now).await?;
                self.record(tx, now, account, "closing.asked").await?;
            }
            let row = tx.fetch_one(CLOSING_OF, &params![account]).await?;
            read(&row)
        })
    }

    /// Takes a closing back; whether there was one. `why` is said to the owner where it is not the owner's doing.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_open(&self, account: AccountId, why: Option<&str>) -> Result<bool> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if tx.execute(REMOVE_CLOSING, &params![account]).await? == 0 {
                return Ok(false);
            }
            let what = why.map_or_else(
                || "Your account stays open: its closing was taken back.".to_owned(),
                |why| format!("Your account stays open: it could not be closed, because of {why}."),
            );
            self.tell(tx, account, &what, now).await?;
            self.record(tx, now, account, "closing.taken_back").await?;
            Ok(true)
        })
    }

    /// Closings whose time has come.
    ///
    /// # Errors
    /// The database's.
    pub async fn closings_due(&self) -> Result<Vec<Closing>> {
        let given = params![self.now(), AT_ONCE];
        let rows = self.store().read().await?.fetch_all(CLOSINGS_DUE, &given).await?;
        rows.iter().map(read).collect()
    }

    /// Lets nobody into an account any more: sessions, keys and open tickets end.
    ///
    /// # Errors
    /// The database's.
    pub async fn seal(&self, account: AccountId) -> Result<()> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if tx.execute(SET_SEALED, &params![account, now]).await? == 0 {
                return Ok(());
            }
            for sql in [REMOVE_SESSIONS_OF, ERASE_KEYS, ERASE_TICKETS] {
                tx.execute(sql, &params![account]).await?;
            }
            Ok(())
        })
    }

    /// Erases what is personal of an account that has been sealed for [`SEALED_FOR`]; whether it was. A last
    /// message goes to the address, which is forgotten with it.
    ///
    /// # Errors
    /// The database's; [`AccountsError::Crowded`].
    pub async fn erase(&self, account: AccountId) -> Result<bool> {
        let mut secret = [0_u8; 24];
        self.entropy().fill(&mut secret);
        // Nobody knows this password; it is hashed like others, so that nothing tells it apart.
        let password: String = secret.iter().map(|b| char::from(b'a' + b % 26)).collect();
        let hash = self.hash_password(&password).await?;
        let now = self.now();
        let name = {
            let mut id = [0_u8; 12];
            self.entropy().fill(&mut id);
            let tail: String = id.iter().map(|b| char::from(b'a' + b % 26)).collect();
            format!("closed-{tail}")
        };
        transact!(self.store(), tx -> Result<_> => {
            let row = tx.fetch_optional(CLOSING_OF, &params![account]).await?;
            let closing = row.map(|r| read(&r)).transpose()?;
            let sealed = closing.filter(|c| c.closed.is_none()).and_then(|c| c.sealed);
            if sealed.is_none_or(|at| now.since(at) < SEALED_FOR) {
                return Ok(false);
            }
            // An address that nobody confirmed is perhaps somebody's who knows of nothing.
            if !unconfirmed::is_unconfirmed(tx, account).await? {
                let what = "Your account is closed, and what was personal in it is erased.";
                self.tell(tx, account, what, now).await?;
            }
            for sql in [
                REMOVE_SESSIONS_OF, ERASE_KEYS, ERASE_TICKETS, ERASE_NETWORKS, REMOVE_TOTP, REMOVE_RECOVERY,
                ERASE_PASSKEYS, END_LOST, ERASE_CHANGES, ERASE_ADDRESSES, ERASE_BOOK_ONLY, ERASE_PARTICULARS, ERASE_AUDIT,
            ] {
                tx.execute(sql, &params![account]).await?;
            }
            let email = format!("{name}@invalid");
            tx.execute(ANONYMISE, &params![account, &name, &email, &hash]).await?;
            tx.execute(SET_CLOSED, &params![account, now]).await?;
            self.record(tx, now, account, "closing.done").await?;
            Ok(true)
        })
    }
}
