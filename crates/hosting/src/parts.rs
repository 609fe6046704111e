//! Partners who share what blocks pay a contract's owner.
//!
//! A list belongs to the payout address that it was set with, and counts when that does: the first at once, a change after
//! [`crate::ADDRESS_WAIT`]. It says of the blocks that pay the owner themselves where their coins go; what the house credits and
//! pays out goes to the payout address alone.

use crate::service::find;
use crate::{HostingError, Result, sql};
use gruve_store::{Row, Tx, params};
use gruve_units::{Bps, ContractId, LaneId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Addresses of one owner that a block pays at most, the payout address among them: each is an output in every job of the owner's
/// machines, of 43 bytes at most in the usual forms.
pub const PARTS_MAX: usize = 8;

/// The least part. Of a block of 54,600 units it is what Bitcoin's nodes do not call dust; where it is less, the house is paid.
pub const PART_LEAST_BPS: u16 = 100;

/// An address and its part of what the house leaves of a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The address.
    pub address: String,
    /// The part, rounded down; the first address gets what the others leave.
    pub bps: Bps,
}

/// Whom blocks pay from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// From then on.
    pub from: Timestamp,
    /// The payout address, then its partners.
    pub parts: Vec<Part>,
}

/// The payout address with its partners: the whole list, if that can be one.
///
/// # Errors
/// [`HostingError::BadTerms`].
pub(crate) fn whole(address: &str, partners: &[Part]) -> Result<Vec<Part>> {
    if partners.len() >= PARTS_MAX {
        return Err(HostingError::BadTerms("a block pays at most 8 addresses of an owner"));
    }
    let mut left = Bps::ONE;
    let mut seen = BTreeSet::from([address]);
    for Part { address, bps } in partners {
        if bps.get() < PART_LEAST_BPS {
            return Err(HostingError::BadTerms("a partner's part is at least 1 %"));
        }
        if !seen.insert(address) {
            return Err(HostingError::BadTerms("an address stands in the list twice"));
        }
        left = left.saturating_sub(bps.get());
    }
    let rest = Bps::new(left).filter(|_| left >= PART_LEAST_BPS);
    let bps =
        rest.ok_or(HostingError::BadTerms("the partners leave the payout address below 1 %"))?;
    let first = Part { address: address.to_owned(), bps };
    Ok(std::iter::once(first).chain(partners.iter().cloned()).collect())
}

/// Keeps a list that counts from an instant on, in place of one that would count later.
pub(crate) async fn set(
    tx: &mut Tx,
    contract: ContractId,
    (now, from): (Timestamp, Timestamp),
    parts: &[Part],
) -> Result<()> {
    let known = of(tx, contract).await?;
    // Who never had partners has no list.
    if known.is_empty() && parts.len() == 1 {
        return Ok(());
    }
    let counts = known.iter().map(|split| split.from).filter(|from| *from <= now).max();
    tx.execute(sql::FORGET_PARTS, &params![contract, now, counts.unwrap_or(now)]).await?;
    for (n, part) in (0_i64..).zip(parts) {
        let given = params![contract, from, n, part.address.clone(), part.bps];
        tx.execute(sql::PUT_PART, &given).await?;
    }
    Ok(())
}

/// A contract's lists, the earliest first.
pub(crate) async fn of(tx: &mut Tx, contract: ContractId) -> Result<Vec<Split>> {
    let rows = tx.fetch_all(sql::PARTS, &params![contract]).await?;
    let mut all = Vec::new();
    rows.iter().try_for_each(|row| take(&mut all, row))?;
    Ok(all)
}

/// Those of a lane's contracts whose owners want to be paid by the block.
pub(crate) async fn of_lane(
    tx: &mut Tx,
    lane: &LaneId,
) -> Result<BTreeMap<ContractId, Vec<Split>>> {
    let rows = tx.fetch_all(sql::PARTS_OF_LANE, &params![lane]).await?;
    let mut all: BTreeMap<ContractId, Vec<Split>> = BTreeMap::new();
    for row in &rows {
        take(all.entry(row.get("contract")?).or_default(), row)?;
    }
    Ok(all)
}

fn take(all: &mut Vec<Split>, row: &Row) -> Result<()> {
    let from: Timestamp = row.get("counts_from")?;
    let part = Part { address: row.get("address")?, bps: row.get("bps")? };
    match all.last_mut().filter(|last| last.from == from) {
        Some(last) => last.parts.push(part),
        None => all.push(Split { from, parts: vec![part] }),
    }
    Ok(())
}

impl crate::Hosting {
    /// Whom blocks of a contract's machine pay where its owner has partners: the list that counts, and one that will.
    ///
    /// # Errors
    /// The database's.
    pub async fn splits(&self, contract: ContractId) -> Result<Vec<Split>> {
        let mut tx = self.store.read().await?;
        find(&mut tx, contract).await?;
        of(&mut tx, contract).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner(name: &str, bps: u16) -> Part {
        Part { address: name.to_owned(), bps: Bps::new(bps).unwrap() }
    }

    #[test]
    fn the_first_gets_what_the_partners_leave_and_none_less_than_a_hundredth() {
        let of = |partners: &[Part]| {
            let all = whole("own", partners).ok()?;
            Some(all.iter().map(|p| p.bps.get()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), Some(vec![10_000]));
        assert_eq!(of(&[partner("a", 3_000), partner("b", 500)]), Some(vec![6_500, 3_000, 500]));
        assert_eq!(of(&[partner("a", 9_900)]), Some(vec![100, 9_900]));
        assert_eq!(of(&[partner("a", 9_901)]), None);
        assert_eq!(of(&[partner("a", 9_900), partner("b", 9_900)]), None);
        assert_eq!(of(&[partner("a", 100)]), Some(vec![9_900, 100]));
        assert_eq!(of(&[partner("a", 99)]), None);
        assert_eq!(of(&[partner("own", 100)]), None);
        assert_eq!(of(&[partner("a", 100), partner("a", 100)]), None);
        let many: Vec<Part> = (0..PARTS_MAX).map(|n| partner(&n.to_string(), 100)).collect();
        assert!(of(&many[1..]).is_some() && of(&many).is_none());
    }
}
