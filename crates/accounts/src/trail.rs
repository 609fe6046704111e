//! The security log: a chain of hashes over lines that name nobody, and beside it the particulars.
//!
//! # Promises
//! - Each line's hash covers its number, time, action, digest and the hash before; who notes the last
//!   hash down can tell later whether anything before it was changed, left out or put in.
//! - The chain holds no personal data: whose line it is stands in the particulars, bound by a salted
//!   digest. Erasing them (an account that is closed, a line that is old) leaves the chain whole.
//! - Lines older than [`AUDIT_KEPT`](crate::AUDIT_KEPT) are cut off at the beginning; where the cut
//!   is, stands with the ends of the chain.

use crate::audit::AuditRow;
use crate::sql::{
    CUT_PARTICULARS, CUT_TRAIL, INSERT_PARTICULARS, INSERT_TRAIL, LAST_BEFORE, SET_TRAIL_ENDS,
    TRAIL_ENDS, TRAIL_PAGE,
};
use crate::{AccountsError, Result};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Entropy, Timestamp};
use sha2::{Digest, Sha256};

/// The hash before the first line.
pub const TRAIL_GENESIS: [u8; 32] = [0; 32];

/// Lines read at a time when the chain is verified.
const VERIFIED_AT_A_TIME: i64 = 500;

/// The ends of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailEnds {
    /// The last line's number; zero before there is one.
    pub seq: i64,
    /// Its hash: worth noting down elsewhere.
    pub hash: [u8; 32],
    /// The last line that was cut off for its age; zero when none was.
    pub cut_seq: i64,
    /// Its hash, which the first line that is left goes on from.
    pub cut_hash: [u8; 32],
}

const EMPTY: TrailEnds =
    TrailEnds { seq: 0, hash: TRAIL_GENESIS, cut_seq: 0, cut_hash: TRAIL_GENESIS };

/// A line whose particulars are to be bound.
struct Particulars<'a> {
    salt: [u8; 16],
    account: Option<AccountId>,
    actor: Option<AccountId>,
    detail: &'a str,
}

impl Particulars<'_> {
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new().chain_update(b"gruve security log particulars 1");
        hash.update(self.salt);
        for id in [self.account, self.actor] {
            // Absent and present have different lengths, and the first byte says which.
            match id {
                Some(id) => hash = hash.chain_update([1]).chain_update(id.to_bytes()),
                None => hash.update([0]),
            }
        }
        hash.chain_update(self.detail.as_bytes()).finalize().into()
    }
}

/// The hash of a line.
fn line_hash(
    before: &[u8; 32],
    seq: i64,
    at: Timestamp,
    action: &str,
    digest: &[u8; 32],
) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"gruve security log 1")
        .chain_update(before)
        .chain_update(seq.to_be_bytes())
        .chain_update(at.0.to_be_bytes())
        .chain_update(u64::try_from(action.len()).unwrap_or(u64::MAX).to_be_bytes())
        .chain_update(action.as_bytes())
        .chain_update(digest)
        .finalize()
        .into()
}

/// Where the chain begins and ends.
pub(crate) async fn ends(tx: &mut Tx) -> Result<TrailEnds> {
    let Some(row) = tx.fetch_optional(TRAIL_ENDS, &[]).await? else { return Ok(EMPTY) };
    Ok(TrailEnds {
        seq: row.get("seq")?,
        hash: row.get("hash")?,
        cut_seq: row.get("cut_seq")?,
        cut_hash: row.get("cut_hash")?,
    })
}

async fn set_ends(tx: &mut Tx, e: &TrailEnds) -> Result<()> {
    tx.execute(SET_TRAIL_ENDS, &params![1_i64, e.seq, e.hash, e.cut_seq, e.cut_hash]).await?;
    Ok(())
}

/// Adds a line.
pub(crate) async fn add(tx: &mut Tx, row: &AuditRow, entropy: &dyn Entropy) -> Result<()> {
    let mut salt = [0_u8; 16];
    entropy.fill(&mut salt);
    let AuditRow { at, account, actor, action, detail } = row;
    let (account, actor) = (*account, *actor);
    let digest = Particulars { salt, account, actor, detail }.digest();
    let mut ends = ends(tx).await?;
    let seq = ends.seq + 1;
    let hash = line_hash(&ends.hash, seq, *at, action, &digest);
    (ends.seq, ends.hash) = (seq, hash);
    // First, so that of two at once the second begins again; on the lines themselves it would be told that its
    // number is taken, which nobody tries again.
    set_ends(tx, &ends).await?;
    tx.execute(INSERT_TRAIL, &params![seq, *at, action, digest, hash]).await?;
    tx.execute(INSERT_PARTICULARS, &params![seq, salt, account, actor, detail]).await?;
    Ok(())
}

/// Cuts lines off that were written before `since`: those at the beginning of the chain, up to the first that is
/// younger. One line whose clock was wrong does not take those before it along.
pub(crate) async fn cut(tx: &mut Tx, since: Timestamp) -> Result<()> {
    let Some(last) = tx.fetch_optional(LAST_BEFORE, &params![since]).await? else { return Ok(()) };
    let mut ends = ends(tx).await?;
    (ends.cut_seq, ends.cut_hash) = (last.get("seq")?, last.get("hash")?);
    tx.execute(CUT_TRAIL, &params![ends.cut_seq]).await?;
    tx.execute(CUT_PARTICULARS, &params![ends.cut_seq]).await?;
    set_ends(tx, &ends).await
}

/// What verifying the chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailReport {
    /// Where it begins and ends, as stored.
    pub ends: TrailEnds,
    /// Lines read.
    pub lines: u64,
    /// Lines whose particulars are kept and fit.
    pub bound: u64,
    /// The first thing that does not hold.
    pub fault: Option<String>,
}

/// Recomputes the whole chain, and every digest whose particulars are kept.
pub(crate) async fn verify(tx: &mut Tx) -> Result<TrailReport> {
    let ends = ends(tx).await?;
    let mut report = TrailReport { ends, lines: 0, bound: 0, fault: None };
    let (mut seq, mut hash) = (ends.cut_seq, ends.cut_hash);
    loop {
        let rows = tx.fetch_all(TRAIL_PAGE, &params![seq, VERIFIED_AT_A_TIME]).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            match follows(row, seq, &hash)? {
                Ok((next, is_bound)) => {
                    seq += 1;
                    hash = next;
                    report.lines += 1;
                    report.bound += u64::from(is_bound);
                }
                Err(fault) => {
                    report.fault = Some(fault);
                    return Ok(report);
                }
            }
        }
    }
    if (seq, hash) != (ends.seq, ends.hash) {
        report.fault = Some(format!("the chain ends at line {seq}, not at {}", ends.seq));
    }
    Ok(report)
}

/// A line's hash and whether its particulars were there, if it goes on from the one before.
fn follows(row: &Row, before: i64, hash: &[u8; 32]) -> Result<Result<([u8; 32], bool), String>> {
    let seq: i64 = row.get("seq")?;
    if seq != before + 1 {
        return Ok(Err(format!("lines {} to {} are missing", before + 1, seq - 1)));
    }
    let (at, action, digest): (Timestamp, String, [u8; 32]) =
        (row.get("at")?, row.get("action")?, row.get("digest")?);
    let stored: [u8; 32] = row.get("hash")?;
    if line_hash(hash, seq, at, &action, &digest) != stored {
        return Ok(Err(format!("line {seq} is not what was written")));
    }
    let salt: Option<[u8; 16]> = row.get("salt")?;
    let Some(salt) = salt else { return Ok(Ok((stored, false))) };
    let detail: Option<String> = row.get("detail")?;
    let detail = detail.ok_or(AccountsError::Damaged("a line has a salt and no detail"))?;
    let (account, actor) = (row.get("account")?, row.get("actor")?);
    if (Particulars { salt, account, actor, detail: &detail }).digest() != digest {
        return Ok(Err(format!("the particulars of line {seq} are not what was written")));
    }
    Ok(Ok((stored, true)))
}
