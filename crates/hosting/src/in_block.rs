//! Owners who are paid by the block itself that their machines find.
//!
//! A wish of a contract under SOLO whose bills come from the balance: then nothing of a block is the house's but the lane's fee for
//! own machines, and the coinbase pays the rest to the contract's address. The address is the one that is set for the contract, with the wait
//! that a change of it has. While the contract owes anything its blocks are paid to the house, as all others are, and
//! credited. An owner may have named partners with the address, who share what the block pays (see `parts`). A wish concerns jobs that are not made yet; what a block has paid is kept here as the chain shows it, and in no
//! account of the books.

use crate::contract::{Address, Contract, HostingState, PayFrom, Scheme};
use crate::parts::{self, Part, Split};
use crate::service::{Hosting, find};
use crate::{HostingError, Result, sql};
use gruve_statement::hosting::BlockPart;
use gruve_store::{Row, Tx, params};
use gruve_units::{
    AccountId, Amount, Asset, Bps, ContractId, EpochNumber, LaneId, MachineId, Timestamp,
};
use std::collections::BTreeSet;

/// Addresses, or addresses with their partners, that blocks of a lane may pay at most: for each a job of its own is made, and a record kept of it, at every
/// change of work.
pub const IN_BLOCK_MAX: usize = 32;

/// Outputs of blocks that are listed of an owner.
const BLOCKS_LISTED: u32 = 100;

/// Blocks of a lane that an audit asks the chain's node about: a day's of Bitcoin's, were all of them owners'. Older ones were asked
/// about by earlier audits.
pub const OWN_BLOCKS_AUDITED: u32 = 144;

/// A contract whose owner wants to be paid by the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBlock {
    /// The owner.
    pub account: AccountId,
    /// The machine.
    pub machine: MachineId,
    /// The contract's first epoch.
    pub from: Option<EpochNumber>,
    /// The epoch that is no longer its own.
    pub until: Option<EpochNumber>,
    /// Where the block pays to.
    pub address: Address,
    /// With whom it is shared: the list that counts, and one that will.
    pub splits: Vec<Split>,
    /// Whether bills are unpaid: then the house is paid.
    pub owes: bool,
}

impl InBlock {
    fn of(c: Contract, splits: Vec<Split>) -> InBlock {
        let Contract { account, machine, from, until, address, arrears, .. } = c;
        InBlock { account, machine, from, until, address, splits, owes: arrears > 0 }
    }

    /// Whether blocks of this epoch are to pay the owner.
    #[must_use]
    pub fn counts_in(&self, epoch: EpochNumber) -> bool {
        let begun = self.from.is_some_and(|from| from <= epoch);
        begun && self.until.is_none_or(|until| epoch < until) && !self.owes
    }

    /// Whom blocks pay at an instant: the payout address, then its partners. Nobody but the house without an address.
    #[must_use]
    pub fn payees_at(&self, now: Timestamp) -> Option<Vec<Part>> {
        match &self.address.next {
            Some((next, from)) if *from <= now => Some(self.payees(next, |of| of <= *from)),
            next => {
                let until = next.as_ref().map(|(_, from)| *from);
                let is_before = |of: Timestamp| until.is_none_or(|until| of < until);
                self.address.now.as_ref().map(|own| self.payees(own, is_before))
            }
        }
    }

    /// Whom blocks pay now or soon.
    pub fn all_payees(&self) -> impl Iterator<Item = Vec<Part>> {
        let next = self.address.next.as_ref().map(|(_, from)| *from);
        let now = next.map_or(Timestamp(i64::MAX), |from| Timestamp(from.0.saturating_sub(1)));
        self.payees_at(now).into_iter().chain(next.and_then(|from| self.payees_at(from)))
    }

    /// An address with the partners of the last list so old, if that is the address's.
    fn payees(&self, address: &str, is_of: impl Fn(Timestamp) -> bool) -> Vec<Part> {
        let split = self.splits.iter().rev().find(|split| is_of(split.from));
        let is_its = |split: &&Split| split.parts.first().is_some_and(|p| p.address == address);
        match split.filter(is_its) {
            Some(split) => split.parts.clone(),
            None => vec![Part { address: address.to_owned(), bps: WHOLE }],
        }
    }
}

const WHOLE: Bps = match Bps::new(Bps::ONE) {
    Some(whole) => whole,
    None => Bps::ZERO,
};

/// What a block paid to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBlock {
    /// The lane.
    pub lane: LaneId,
    /// The block, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// The time in its header.
    pub at: Timestamp,
    /// The coinbase's output.
    pub vout: u32,
    /// To which address.
    pub address: String,
    /// How much.
    pub amount: Amount,
    /// What of it the house got: its fee.
    pub house: i64,
    /// What the coinbase paid in all.
    pub whole: i64,
    /// Which part it is, where partners share.
    pub part: Option<BlockPart>,
    /// The published fee that this is.
    pub fee: Option<BlockFee>,
    /// It is no longer in the chain.
    pub is_orphaned: bool,
}

/// The lane's fee of a block that pays an owner, as it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockFee {
    /// The part of the whole block, rounded down.
    pub bps: Bps,
    /// None is taken below this.
    pub least: i64,
}

/// Where a payment stands among an account's of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnBlockPlace {
    /// The block's height.
    pub height: u64,
    /// The block, internal byte order.
    pub block_hash: [u8; 32],
    /// The output.
    pub vout: u32,
}

impl OwnBlock {
    /// Where it stands among its account's of the lane.
    #[must_use]
    pub fn place(&self) -> OwnBlockPlace {
        OwnBlockPlace { height: self.height, block_hash: self.block_hash, vout: self.vout }
    }

    fn read(row: &Row) -> Result<OwnBlock> {
        let vout: i64 = row.get("vout")?;
        Ok(OwnBlock {
            lane: row.get("lane")?,
            block_hash: row.get("block_hash")?,
            height: row.get("height")?,
            at: row.get("at")?,
            vout: u32::try_from(vout).map_err(|_| HostingError::Broken("an output's number"))?,
            address: row.get("address")?,
            amount: Amount::new(row.get("asset")?, row.get("minor")?),
            house: row.get("house")?,
            whole: row.get("whole")?,
            part: read_part(row)?,
            fee: match row.get::<Option<Bps>>("fee_bps")? {
                Some(bps) => Some(BlockFee { bps, least: row.get("fee_least")? }),
                None => None,
            },
            is_orphaned: row.get("is_orphaned")?,
        })
    }
}

fn read_part(row: &Row) -> Result<Option<BlockPart>> {
    let broken = || HostingError::Broken("the parts of a block");
    let Some(number) = row.get::<Option<i64>>("part")? else { return Ok(None) };
    let others: Option<String> = row.get("others")?;
    let others = others.ok_or_else(broken)?;
    let others_bps: Vec<u16> =
        others.split(',').map(|bps| bps.parse().map_err(|_| broken())).collect::<Result<_>>()?;
    Ok(Some(BlockPart { number: u16::try_from(number).map_err(|_| broken())?, others_bps }))
}

impl Hosting {
    /// Whether a contract's owner is to be paid by the block, within the caller's transaction. Counts for jobs of epochs for
    /// which its address was published: two epochs after the next one is closed, at the earliest.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotNow`], [`HostingError::BadTerms`] where the contract does not allow
    /// it or has no address, [`HostingError::BlockFull`].
    pub async fn set_in_block_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        contract: ContractId,
        wanted: bool,
    ) -> Result<()> {
        let c = find(tx, contract).await?;
        if c.account != account {
            return Err(HostingError::NoContract);
        }
        if wanted {
            self.may_be_in_block(tx, &c).await?;
        }
        tx.execute(sql::PUT_IN_BLOCK, &params![contract, wanted]).await?;
        Ok(())
    }

    async fn may_be_in_block(&self, tx: &mut Tx, c: &Contract) -> Result<()> {
        if c.state != HostingState::Active {
            return Err(HostingError::NotNow(c.state.name()));
        }
        if c.terms.scheme != Scheme::Solo || c.terms.pay_from != PayFrom::Balance {
            let why = "only a contract under SOLO whose bills are paid from the balance is paid by the block";
            return Err(HostingError::BadTerms(why));
        }
        if c.address.at(self.clock.now()).is_none() {
            return Err(HostingError::BadTerms("set a payout address first"));
        }
        let splits = parts::of(tx, c.id).await?;
        let own = InBlock::of(c.clone(), splits).payees_at(self.clock.now());
        let others = self.in_block(tx, &c.lane).await?;
        let mut places: BTreeSet<(AccountId, Vec<Part>)> = BTreeSet::new();
        for other in &others {
            places.extend(other.all_payees().map(|all| (other.account, all)));
        }
        places.extend(own.map(|all| (c.account, all)));
        if places.len() > IN_BLOCK_MAX {
            return Err(HostingError::BlockFull { max: IN_BLOCK_MAX });
        }
        Ok(())
    }

    /// Whether a contract's owner wants to be paid by the block.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_in_block(&self, contract: ContractId) -> Result<bool> {
        let mut tx = self.store.read().await?;
        let row = tx.fetch_optional(sql::IN_BLOCK, &params![contract]).await?;
        Ok(row.map(|row| row.get("wanted")).transpose()?.unwrap_or(false))
    }

    /// The contracts of a lane whose owners want to be paid by the block, the oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_block(&self, tx: &mut Tx, lane: &LaneId) -> Result<Vec<InBlock>> {
        let rows = tx.fetch_all(sql::ALL_IN_BLOCK, &params![lane]).await?;
        let mut splits = parts::of_lane(tx, lane).await?;
        let read = |row: &Row| -> Result<InBlock> {
            let contract = Contract::read(row)?;
            let splits = splits.remove(&contract.id).unwrap_or_default();
            Ok(InBlock::of(contract, splits))
        };
        rows.iter().map(read).collect()
    }

    /// A block was connected whose coinbase pays to `paid.address`: kept for owners who have that address on the lane and
    /// are or were paid so; whether there are any. The same again does nothing; one that comes back counts again.
    ///
    /// # Errors
    /// The database's.
    pub async fn block_paid(&self, tx: &mut Tx, paid: &OwnBlock) -> Result<bool> {
        let OwnBlock { lane, block_hash, height, at, vout, address, amount, house, fee, .. } = paid;
        let others = paid.part.as_ref().map(|part| {
            let all: Vec<String> = part.others_bps.iter().map(u16::to_string).collect();
            all.join(",")
        });
        let owners = tx.fetch_all(sql::PAID_AT, &params![lane, address.clone()]).await?;
        for row in &owners {
            let account: AccountId = row.get("account")?;
            let given = params![
                amount.asset,
                *block_hash,
                i64::from(*vout),
                account,
                lane,
                *height,
                *at,
                address.clone(),
                amount.minor,
                *house,
                fee.map(|f| f.bps),
                fee.map_or(0, |f| f.least),
                paid.whole,
                paid.part.as_ref().map(|part| i64::from(part.number)),
                others.clone()
            ];
            tx.execute(sql::PUT_OWN_BLOCK, &given).await?;
        }
        Ok(!owners.is_empty())
    }

    /// A block was disconnected: what it paid is nobody's.
    ///
    /// # Errors
    /// The database's.
    pub async fn block_gone(&self, tx: &mut Tx, asset: Asset, block_hash: &[u8; 32]) -> Result<()> {
        tx.execute(sql::ORPHAN_OWN_BLOCK, &params![asset, *block_hash]).await?;
        Ok(())
    }

    /// What blocks paid to an address of this owner, the newest first. Whether its machines found them is for whoever
    /// knows the share log: anybody's block may pay to an address.
    ///
    /// # Errors
    /// The database's.
    pub async fn own_blocks(&self, tx: &mut Tx, account: AccountId) -> Result<Vec<OwnBlock>> {
        let rows = tx.fetch_all(sql::OWN_BLOCKS, &params![account, BLOCKS_LISTED]).await?;
        rows.iter().map(OwnBlock::read).collect()
    }

    /// A page of what blocks of a lane have paid to an account's addresses: the highest first, those behind a place.
    ///
    /// # Errors
    /// The database's.
    pub async fn own_blocks_before(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lane: &LaneId,
        before: Option<OwnBlockPlace>,
    ) -> Result<Vec<OwnBlock>> {
        let (height, hash, vout) = match before {
            None => (i64::MAX, [0xff; 32], i64::MAX),
            Some(p) => (i64::try_from(p.height).unwrap_or(i64::MAX), p.block_hash, p.vout.into()),
        };
        let given = params![account, lane, height, hash, vout, BLOCKS_LISTED];
        let rows = tx.fetch_all(sql::OWN_BLOCKS_BEFORE, &given).await?;
        rows.iter().map(OwnBlock::read).collect()
    }

    /// The newest blocks of a lane that paid to addresses of owners, [`OWN_BLOCKS_AUDITED`] at most, with whose they are.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_own_blocks(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
    ) -> Result<Vec<(AccountId, OwnBlock)>> {
        let given = params![lane, OWN_BLOCKS_AUDITED];
        let rows = tx.fetch_all(sql::NEWEST_OWN_BLOCKS, &given).await?;
        rows.iter().map(|row| Ok((row.get("account")?, OwnBlock::read(row)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(until: Option<u64>, owes: bool) -> InBlock {
        InBlock {
            account: AccountId::from_bytes([1; 16]),
            machine: MachineId::from_bytes([2; 16]),
            from: Some(EpochNumber(10)),
            until: until.map(EpochNumber),
            address: Address { now: Some("own".to_owned()), next: None },
            splits: Vec::new(),
            owes,
        }
    }

    #[test]
    fn a_block_pays_the_owner_in_the_contracts_own_epochs_while_nothing_is_owed() {
        let counts = |wish: &InBlock| [9, 10, 19, 20].map(|n| wish.counts_in(EpochNumber(n)));
        assert_eq!(counts(&wish(None, false)), [false, true, true, true]);
        assert_eq!(counts(&wish(Some(20), false)), [false, true, true, false]);
        assert_eq!(counts(&wish(Some(20), true)), [false; 4]);
        assert_eq!(counts(&InBlock { from: None, ..wish(None, false) }), [false; 4]);
    }

    #[test]
    fn partners_of_one_address_are_none_of_another() {
        let part =
            |address: &str, bps| Part { address: address.to_owned(), bps: Bps::new(bps).unwrap() };
        let shared = |first: &str| {
            let parts = vec![part(first, 9_000), part("partner", 1_000)];
            InBlock { splits: vec![Split { from: Timestamp(5), parts }], ..wish(None, false) }
        };
        let own = shared("own");
        assert_eq!(own.payees_at(Timestamp(6)), Some(own.splits[0].parts.clone()));
        let whole = Some(vec![part("own", 10_000)]);
        assert_eq!(shared("another").payees_at(Timestamp(6)), whole);
    }
}
