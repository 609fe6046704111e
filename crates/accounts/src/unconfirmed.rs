//! Accounts whose address nobody has confirmed: they hold a name and an address for [`UNCONFIRMED_KEPT`], and are then
//! closed like accounts that their owners close, so that both are free again.
//!
//! This room does not know what an account has. Whoever does asks [`Accounts::unconfirmed_due`], and says of each
//! [`Accounts::expire`] or [`Accounts::spare`]. What is begun by [`Accounts::expire`] is done by the closing: sealed, and
//! a minute later erased.

use crate::sql::{
    CONFIRM_ACCOUNT, PUT_CLOSING, REMOVE_CLOSING, SPARE_UNCONFIRMED, UNCONFIRMED_DUE,
    UNCONFIRMED_OF,
};
use crate::{Accounts, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};

/// How long an account waits for its address to be confirmed. The message's link is good for a day, and is sent anew with
/// every sign-in meanwhile.
pub const UNCONFIRMED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Accounts looked at in one round.
const AT_ONCE: i64 = 50;

impl Accounts {
    /// Accounts that have waited long enough, the longest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn unconfirmed_due(&self) -> Result<Vec<AccountId>> {
        let given = params![self.now().minus(UNCONFIRMED_KEPT), AT_ONCE];
        let rows = self.store().read().await?.fetch_all(UNCONFIRMED_DUE, &given).await?;
        rows.iter().map(|r| Ok(r.get("id")?)).collect()
    }

    /// Has an account that waits too long closed; whether it does wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire(&self, account: AccountId) -> Result<bool> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if !is_unconfirmed(tx, account).await?
                || tx.execute(PUT_CLOSING, &params![account, now, now]).await? == 0
            {
                return Ok(false);
            }
            self.record(tx, now, account, "account.never_confirmed").await?;
            Ok(true)
        })
    }

    /// Leaves an account that waits as it is, because it has something: it is looked at again after as long.
    ///
    /// # Errors
    /// The database's.
    pub async fn spare(&self, account: AccountId) -> Result<()> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            Ok(tx.execute(SPARE_UNCONFIRMED, &params![account, now]).await.map(drop)?)
        })
    }
}

/// Whether an account waits for its address to be confirmed.
pub(crate) async fn is_unconfirmed(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let row = tx.fetch_one(UNCONFIRMED_OF, &params![account]).await?;
    Ok(row.get::<Option<Timestamp>>("unconfirmed_since")?.is_some())
}

/// The address is confirmed: the account stays, even at the last minute.
pub(crate) async fn confirmed(tx: &mut Tx, account: AccountId) -> Result<()> {
    if is_unconfirmed(tx, account).await? {
        // Its owner was never signed in, so nobody else has asked for it.
        tx.execute(REMOVE_CLOSING, &params![account]).await?;
    }
    tx.execute(CONFIRM_ACCOUNT, &params![account]).await?;
    Ok(())
}
