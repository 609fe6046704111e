//! Who works for the operator.
//!
//! A member of staff is an account with a role: password, second factor and sessions are those of any
//! account. The first owner is made at the machine itself (`gruve admin staff`); owners give roles to
//! others. Whoever gets or loses a role is signed out everywhere, and the last owner stays one.

use crate::audit::AuditRow;
use crate::sql::{
    ACCOUNT_BY_NAME, CUSTOMER, CUSTOMERS, OWNERS, REMOVE_CLOSING, REMOVE_KEYS_OF,
    REMOVE_SESSIONS_OF, REMOVE_STAFF, ROLE_OF, SET_STAFF, STAFF,
};
use crate::{Accounts, AccountsError, Result, Role, record};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Timestamp};

/// Staff listed at most: no house has more people.
pub const STAFF_MAX: u32 = 500;

/// Accounts of a page at most.
pub const CUSTOMERS_MAX: u32 = 500;

/// One of the staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffMember {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// An account as staff sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// Its id; ids are in the order of opening.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Where its owner can be reached.
    pub email: String,
    /// When it was opened.
    pub created: Timestamp,
    /// What it is to the house, if anything.
    pub role: Option<Role>,
}

impl std::fmt::Debug for CustomerRow {
    /// Without the address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerRow").field("account", &self.account).finish_non_exhaustive()
    }
}

pub(crate) fn role(row: &Row) -> Result<Option<Role>> {
    let word: Option<String> = row.get("role")?;
    let read = |w: String| w.parse().map_err(|_| AccountsError::Damaged("a role of no known name"));
    word.map(read).transpose()
}

fn customer(row: &Row) -> Result<CustomerRow> {
    Ok(CustomerRow {
        account: row.get("id")?,
        name: row.get("name")?,
        email: row.get("email")?,
        created: row.get("created_at")?,
        role: role(row)?,
    })
}

impl Accounts {
    /// The staff, in the order of their names.
    ///
    /// # Errors
    /// The database's.
    pub async fn staff(&self) -> Result<Vec<StaffMember>> {
        let rows = self.store().read().await?.fetch_all(STAFF, &params![STAFF_MAX]).await?;
        let one = |row: &Row| {
            Ok(StaffMember {
                account: row.get("account")?,
                name: row.get("name")?,
                role: role(row)?.ok_or(AccountsError::Damaged("staff without a role"))?,
                since: row.get("since")?,
            })
        };
        rows.iter().map(one).collect()
    }

    /// Gives the account called `name` a role, or takes it away; `by` is who does so, `None` for the
    /// operator at the machine itself. All its sessions end. Giving the role that it has does nothing.
    ///
    /// # Errors
    /// [`AccountsError::NoAccount`]; [`AccountsError::LastOwner`]; the database's.
    pub async fn set_role(
        &self,
        by: Option<AccountId>,
        name: &str,
        new: Option<Role>,
    ) -> Result<AccountId> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let found = tx.fetch_optional(ACCOUNT_BY_NAME, &params![name]).await?;
            let account: AccountId = found.ok_or(AccountsError::NoAccount)?.get("id")?;
            let held = tx.fetch_optional(ROLE_OF, &params![account]).await?;
            let held = held.map(|r| role(&r)).transpose()?.flatten();
            if held == new {
                return Ok(account);
            }
            if held == Some(Role::Owner) && owners(tx).await? <= 1 {
                return Err(AccountsError::LastOwner);
            }
            match new {
                Some(role) => {
                    // Who works here stays, whatever was asked or run out before.
                    tx.execute(REMOVE_CLOSING, &params![account]).await?;
                    tx.execute(SET_STAFF, &params![account, role.name(), now]).await?
                }
                None => tx.execute(REMOVE_STAFF, &params![account]).await?,
            };
            tx.execute(REMOVE_SESSIONS_OF, &params![account]).await?;
            let what = match new {
                Some(role) => format!("Your account works for the house now, as {}.", role.name()),
                None => "Your account works for the house no more.".to_owned(),
            };
            self.tell(tx, account, &what, now).await?;
            let detail = new.map_or("none", Role::name).to_owned();
            let action = "staff.role".to_owned();
            let row = AuditRow { at: now, account: Some(account), actor: by, action, detail };
            record(tx, &row, self.entropy()).await?;
            Ok(account)
        })
    }

    /// Accounts in the order of opening, after one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn customers(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<CustomerRow>> {
        let after = after.unwrap_or(AccountId::from_bytes([0; 16]));
        let given = params![after, limit.min(CUSTOMERS_MAX)];
        let rows = self.store().read().await?.fetch_all(CUSTOMERS, &given).await?;
        rows.iter().map(customer).collect()
    }

    /// One account, as staff sees it.
    ///
    /// # Errors
    /// The database's.
    pub async fn customer(&self, account: AccountId) -> Result<Option<CustomerRow>> {
        let row = self.store().read().await?.fetch_optional(CUSTOMER, &params![account]).await?;
        row.map(|r| customer(&r)).transpose()
    }

    /// Ends all sessions of an account and its keys for programs; how many sessions. `by` is who of the staff does so, `None` for its owner.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_sessions(&self, by: Option<AccountId>, account: AccountId) -> Result<u64> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let ended = tx.execute(REMOVE_SESSIONS_OF, &params![account]).await?;
            tx.execute(REMOVE_KEYS_OF, &params![account]).await?;
            let (action, detail) = ("session.all_ended".to_owned(), String::new());
            let row = AuditRow { at: now, account: Some(account), actor: by, action, detail };
            record(tx, &row, self.entropy()).await?;
            Ok(ended)
        })
    }

    /// Writes down what one of the staff does elsewhere in the house.
    ///
    /// # Errors
    /// The database's.
    pub async fn note(
        &self,
        by: AccountId,
        about: Option<AccountId>,
        action: &'static str,
        detail: &str,
    ) -> Result<()> {
        let (at, action, detail) = (self.now(), action.to_owned(), detail.to_owned());
        let row = AuditRow { at, account: about, actor: Some(by), action, detail };
        transact!(self.store(), tx -> Result<_> => { record(tx, &row, self.entropy()).await })
    }
}

async fn owners(tx: &mut Tx) -> Result<i64> {
    Ok(tx.fetch_one(OWNERS, &[]).await?.get("n")?)
}
