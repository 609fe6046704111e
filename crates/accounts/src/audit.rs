//! The log of what was done to accounts and by staff; what it is kept in, says `trail`.

use crate::sql::{AUDIT_OF, FORGET_AUDIT, LOG_PAGE};
use crate::{Result, trail};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};

/// How long a line is kept: a year and a month, so that a yearly audit finds all of its year.
pub const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// Bytes of an action or a detail at most; the rest is cut off.
const TEXT_BYTES_MAX: usize = 200;

/// Lines of a page of the log at most.
pub const LOG_LINES_MAX: u32 = 1_000;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// To whose account; `None` for what concerns no single one, or whose particulars are erased.
    pub account: Option<AccountId>,
    /// By whom of the staff; `None` where the account's owner did it, or the operator at the machine itself.
    pub actor: Option<AccountId>,
    /// What was done, as `session.opened`. Never a name, address or id: it stands in the chain.
    pub action: String,
    /// More about it; ids, never secrets.
    pub detail: String,
}

/// A line with its number in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number.
    pub seq: i64,
    /// What it says.
    pub row: AuditRow,
    /// The account's name, if there is one.
    pub account_name: Option<String>,
    /// The name of who did it.
    pub actor_name: Option<String>,
}

/// Writes a line into the log, in the transaction that does what it tells of.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut Tx, row: &AuditRow, entropy: &dyn Entropy) -> Result<()> {
    let row = AuditRow { action: cut(&row.action), detail: cut(&row.detail), ..row.clone() };
    trail::add(tx, &row, entropy).await
}

fn read(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        at: row.get("at")?,
        account: row.get("account")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        detail: row.get::<Option<String>>("detail")?.unwrap_or_default(),
    })
}

/// Lines of one account before one of them, newest first, each with its number in the chain.
pub(crate) async fn latest(
    tx: &mut Tx,
    account: AccountId,
    before: Option<(Timestamp, i64)>,
    limit: u32,
) -> Result<Vec<(i64, AuditRow)>> {
    let (at, seq) = before.unwrap_or((Timestamp(i64::MAX), i64::MAX));
    let given = params![account, at, seq, limit.min(LOG_LINES_MAX)];
    let rows = tx.fetch_all(AUDIT_OF, &given).await?;
    rows.iter().map(|row| Ok((row.get("seq")?, read(row)?))).collect()
}

/// Lines of all accounts before a number, newest first.
pub(crate) async fn page(tx: &mut Tx, before: Option<i64>, limit: u32) -> Result<Vec<LogLine>> {
    let given = params![before.unwrap_or(i64::MAX), limit.min(LOG_LINES_MAX)];
    let rows = tx.fetch_all(LOG_PAGE, &given).await?;
    let line = |row: &Row| {
        Ok(LogLine {
            seq: row.get("seq")?,
            row: read(row)?,
            account_name: row.get("account_name")?,
            actor_name: row.get("actor_name")?,
        })
    };
    rows.iter().map(line).collect()
}

/// Removes lines that are older than they need be.
pub(crate) async fn forget_old(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.execute(FORGET_AUDIT, &params![now.minus(AUDIT_KEPT)]).await?;
    trail::cut(tx, now.minus(AUDIT_KEPT)).await
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
