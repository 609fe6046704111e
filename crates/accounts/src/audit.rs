//! The log of what was done to accounts.

use crate::Result;
use crate::sql::{AUDIT_OF, FORGET_AUDIT, INSERT_AUDIT};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};

/// How long a line is kept: a year and a month, so that a yearly audit finds all of its year.
pub const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// Bytes of an action or a detail at most; the rest is cut off.
const TEXT_BYTES_MAX: usize = 200;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// To whose account; `None` for what concerns no single one.
    pub account: Option<AccountId>,
    /// What was done, as `session.opened`.
    pub action: String,
    /// More about it; ids, never secrets.
    pub detail: String,
}

/// Writes a line into the log, in the transaction that does what it tells of.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut Tx, row: &AuditRow, entropy: &dyn Entropy) -> Result<()> {
    // Any typed id makes the same bytes; lines have no id type, for nothing refers to them.
    let id = AccountId::new(row.at, entropy);
    let (action, detail) = (cut(&row.action), cut(&row.detail));
    tx.execute(INSERT_AUDIT, &params![id, row.at, row.account, action, detail]).await?;
    Ok(())
}

pub(crate) async fn latest(tx: &mut Tx, account: AccountId, limit: u32) -> Result<Vec<AuditRow>> {
    let rows = tx.fetch_all(AUDIT_OF, &params![account, limit]).await?;
    let read = |row: &gruve_store::Row| {
        Ok(AuditRow {
            at: row.get("at")?,
            account: row.get("account")?,
            action: row.get("action")?,
            detail: row.get("detail")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Removes lines that are older than they need be.
pub(crate) async fn forget_old(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.execute(FORGET_AUDIT, &params![now.minus(AUDIT_KEPT)]).await?;
    Ok(())
}

fn cut(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    let mut out = String::new();
    for c in clean {
        if out.len() + c.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}
