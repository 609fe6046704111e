//! The audit: everything recomputed from the journal.

use crate::entry::Line;
use crate::journal::hash_lines;
use crate::post::{AUDIT_BALANCES, AUDIT_ENTRIES, AUDIT_POSTINGS, AUDIT_STRAY_POSTINGS, read_head};
use crate::{Account, AccountKind, Floor, GENESIS, Result, Side};
use gruve_store::{Row, Tx, params};
use gruve_units::{Asset, Timestamp};
use std::collections::BTreeMap;

/// Findings kept at most: who has this many needs no more to start looking.
pub const FINDINGS_MAX: usize = 100;

/// Entries read at a time: with [`crate::POSTINGS_MAX`] postings each still below the most rows
/// that a fetch gives.
const ENTRIES_AT_A_TIME: i64 = 40;

/// Balances read at a time.
const BALANCES_AT_A_TIME: i64 = 1_000;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// An entry is missing.
    #[error("the journal goes from entry {after} to entry {found}")]
    Gap {
        /// The number before.
        after: i64,
        /// The number found.
        found: i64,
    },
    /// An entry is not what was written, or one before it is not.
    #[error("the hash of entry {seq} does not fit what it says and the entries before it")]
    Chain {
        /// Its number.
        seq: i64,
    },
    /// An entry's postings do not sum to zero.
    #[error("entry {seq} is out of balance by {by} minor units of {asset}")]
    Unbalanced {
        /// Its number.
        seq: i64,
        /// The asset.
        asset: Asset,
        /// Debits less credits.
        by: i128,
    },
    /// The head does not name the last entry.
    #[error("the head says {head} where the last entry is {last}, or another hash")]
    Head {
        /// The number in the head.
        head: i64,
        /// The last entry's number.
        last: i64,
    },
    /// A balance is not what its postings come to.
    #[error("{account} holds {stored} minor units of {asset} where its postings come to {posted}")]
    Balance {
        /// The account's key.
        account: String,
        /// The asset.
        asset: Asset,
        /// The stored balance.
        stored: i128,
        /// What the postings come to.
        posted: i128,
    },
    /// A balance is below its floor.
    #[error("{account} is below its floor with {minor} minor units of {asset}")]
    Floor {
        /// The account's key.
        account: String,
        /// The asset.
        asset: Asset,
        /// The balance.
        minor: i64,
    },
    /// All balances of an asset together are not zero.
    #[error("all balances of {asset} together come to {sum} minor units, not to zero")]
    Sum {
        /// The asset.
        asset: Asset,
        /// Debits less credits.
        sum: i128,
    },
    /// Something that is no account, asset or kind.
    #[error("{what} names {found:?}, which the books do not know")]
    Unknown {
        /// Where it stands.
        what: &'static str,
        /// What it says.
        found: String,
    },
    /// Postings of no entry.
    #[error("{count} postings belong to no entry")]
    Stray {
        /// How many.
        count: i64,
    },
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries read.
    pub entries: u64,
    /// Postings read.
    pub postings: u64,
    /// Balances compared.
    pub balances: u64,
    /// The journal's head, as recomputed: who notes it down can tell later whether history changed.
    pub head: [u8; 32],
    /// What does not hold, [`FINDINGS_MAX`] at most.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// Whether the books are right.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// The balances as the postings give them, in debits less credits.
type Sums = BTreeMap<(String, Asset), i128>;

/// Recomputes the hash chain, every balance and Σ = 0 from the journal. Run it in a reading
/// transaction: it takes time in proportion to the journal, and memory to the number of balances.
///
/// # Errors
/// The database's. What does not hold is not an error but a [`Finding`].
pub async fn audit(tx: &mut Tx) -> Result<AuditReport> {
    let mut report =
        AuditReport { entries: 0, postings: 0, balances: 0, head: GENESIS, findings: Vec::new() };
    let mut sums = Sums::new();
    let last = walk_journal(tx, &mut report, &mut sums).await?;
    let (head, head_hash) = read_head(tx).await?;
    if head != last || head_hash != report.head {
        report.find(Finding::Head { head, last });
    }
    let count: i64 = tx.fetch_one(AUDIT_STRAY_POSTINGS, &[]).await?.get("stray")?;
    if count != 0 {
        report.find(Finding::Stray { count });
    }
    compare_balances(tx, &mut report, sums).await?;
    Ok(report)
}

async fn walk_journal(tx: &mut Tx, report: &mut AuditReport, sums: &mut Sums) -> Result<i64> {
    let mut last = 0_i64;
    loop {
        let entries = tx.fetch_all(AUDIT_ENTRIES, &params![last, ENTRIES_AT_A_TIME]).await?;
        let Some(end) = entries.last() else { return Ok(last) };
        let end: i64 = end.get("seq")?;
        let mut postings: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        for row in tx.fetch_all(AUDIT_POSTINGS, &params![last, end]).await? {
            if let Some(line) = line_of(&row, report)? {
                postings.entry(row.get("seq")?).or_default().push(line);
            }
        }
        for row in &entries {
            let seq: i64 = row.get("seq")?;
            if last.checked_add(1) != Some(seq) {
                report.find(Finding::Gap { after: last, found: seq });
            }
            check_entry(row, &postings.remove(&seq).unwrap_or_default(), report, sums)?;
            last = seq;
        }
    }
}

fn line_of(row: &Row, report: &mut AuditReport) -> Result<Option<Line>> {
    report.postings += 1;
    let asset: String = row.get("asset")?;
    let Some(known) = Asset::ALL.into_iter().find(|a| a.code() == asset) else {
        report.find(Finding::Unknown { what: "a posting", found: asset });
        return Ok(None);
    };
    Ok(Some(Line { account: row.get("account")?, asset: known, minor: row.get("minor")? }))
}

fn check_entry(row: &Row, lines: &[Line], report: &mut AuditReport, sums: &mut Sums) -> Result<()> {
    report.entries += 1;
    let (seq, at): (i64, Timestamp) = (row.get("seq")?, row.get("at")?);
    let (reason, kind): (String, String) = (row.get("reason")?, row.get("kind")?);
    let stored: [u8; 32] = row.get("hash")?;
    if hash_lines(&report.head, seq, at, &reason, &kind, lines) != stored {
        report.find(Finding::Chain { seq });
    }
    // Go on from the stored hash, so that one wrong entry is one finding and not all after it.
    report.head = stored;
    let mut entry: BTreeMap<Asset, i128> = BTreeMap::new();
    for line in lines {
        *entry.entry(line.asset).or_default() += i128::from(line.minor);
        *sums.entry((line.account.clone(), line.asset)).or_default() += i128::from(line.minor);
    }
    for (asset, by) in entry.into_iter().filter(|(_, by)| *by != 0) {
        report.find(Finding::Unbalanced { seq, asset, by });
    }
    Ok(())
}

async fn compare_balances(tx: &mut Tx, report: &mut AuditReport, mut sums: Sums) -> Result<()> {
    let mut totals: BTreeMap<Asset, i128> = BTreeMap::new();
    let (mut account, mut asset) = (String::new(), String::new());
    loop {
        let given = params![account.as_str(), asset.as_str(), BALANCES_AT_A_TIME];
        let rows = tx.fetch_all(AUDIT_BALANCES, &given).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            report.balances += 1;
            (account, asset) = (row.get("account")?, row.get("asset")?);
            let minor: i64 = row.get("minor")?;
            let Some(kind) = kind_of(&row, &account, report)? else { continue };
            let Some(known) = Asset::ALL.into_iter().find(|a| a.code() == asset) else {
                report.find(Finding::Unknown { what: "a balance", found: asset.clone() });
                continue;
            };
            let debits = sums.remove(&(account.clone(), known)).unwrap_or(0);
            let posted = if kind.side() == Side::Debit { debits } else { -debits };
            let stored = i128::from(minor);
            if stored != posted {
                let account = account.clone();
                report.find(Finding::Balance { account, asset: known, stored, posted });
            }
            if minor < 0 && kind.floor() == Floor::Zero {
                report.find(Finding::Floor { account: account.clone(), asset: known, minor });
            }
            *totals.entry(known).or_default() +=
                if kind.side() == Side::Debit { stored } else { -stored };
        }
    }
    for ((account, asset), posted) in sums {
        report.find(Finding::Balance { account, asset, stored: 0, posted });
    }
    for (asset, sum) in totals.into_iter().filter(|(_, sum)| *sum != 0) {
        report.find(Finding::Sum { asset, sum });
    }
    Ok(())
}

fn kind_of(row: &Row, account: &str, report: &mut AuditReport) -> Result<Option<AccountKind>> {
    let kind: String = row.get("kind")?;
    match account.parse::<Account>() {
        Ok(a) if a.kind().name() == kind => Ok(Some(a.kind())),
        _ => {
            report
                .find(Finding::Unknown { what: "a balance", found: format!("{account} ({kind})") });
            Ok(None)
        }
    }
}
