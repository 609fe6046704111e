//! Closing an epoch: one transaction.
//!
//! Found blocks and outcomes, allocation, contracts (delivery, ends, refunds), units, accruals, the
//! settlement where one is due, the checkpoint and the log's cursor commit together or not at all.

use crate::allocate::{Allocation, Entitlement, Share, allocate};
use crate::bulk::lines::{Line, Lines};
use crate::bulk::{self, progress};
use crate::contract::Contract;
use crate::delivery::Delivery;
use crate::metered::MeteredEpoch;
use crate::settle::{earned_of_price, maintenance};
use crate::tally::Tally;
use crate::units::share_house_units;
use crate::{
    Beneficiary, ContractState, LaneConfig, Market, MarketError, Result, Scheme, Settled, dollars,
    fpps, owed, papers, pause, renew, reward, sale, settlement, short, solo, sql,
};
use gruve_ledger::{Account, Entry, Posting};
use gruve_proof::epoch::{AllocationLeaf, EpochSummary};
use gruve_proof::sum_tree::{self, SumNode};
use gruve_sharelog::{BlockRecord, Owner, Position};
use gruve_store::{Batch, Tx, params};
use gruve_units::{
    AccountId, Amount, Asset, ContractId, EpochNumber, Hashes, HashesSum, Hashrate, LaneId,
    MachineId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// Contracts whose postings stand in one entry at most: half of what an entry may hold.
pub(crate) const ENTRY_CONTRACTS: usize = gruve_ledger::POSTINGS_MAX / 2;

/// A found block's record, as kept until the next close.
#[derive(Clone, Debug)]
pub(crate) enum BlockNews {
    Found {
        asset: Asset,
        block_hash: [u8; 32],
        epoch: EpochNumber,
        height: u64,
        owner: Owner,
        machine: MachineId,
        at: Timestamp,
    },
    Outcome {
        block_hash: [u8; 32],
        accepted: bool,
    },
}

impl BlockNews {
    pub(crate) fn found(asset: Asset, b: &BlockRecord) -> BlockNews {
        BlockNews::Found {
            asset,
            block_hash: b.block_hash,
            epoch: b.share.epoch,
            height: b.height,
            owner: b.share.owner,
            machine: b.share.machine,
            at: b.share.at,
        }
    }
}

/// Everything the log says about an epoch that is being closed.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub(crate) epoch: EpochNumber,
    /// Epochs before it that have no row.
    pub(crate) skipped: u64,
    pub(crate) tally: Tally,
    /// Network target and height of its last job.
    pub(crate) last_job: Option<(u32, u64)>,
    /// The same of each merge-mined chain.
    pub(crate) last_aux: BTreeMap<Asset, (u32, u64)>,
    pub(crate) blocks: Vec<BlockNews>,
    /// Where reading goes on after a restart.
    pub(crate) cursor: Position,
}

/// How far a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneState {
    pub(crate) closed: Option<EpochNumber>,
    pub(crate) checkpoint: [u8; 32],
    pub(crate) cursor: Position,
    pub(crate) shares: u64,
}

impl LaneState {
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneId) -> Result<LaneState> {
        let row = tx.fetch_one(sql::LANE, &params![lane.clone()]).await?;
        let cursor = Position::from_i64s(row.get("cursor_segment")?, row.get("cursor_offset")?);
        Ok(LaneState {
            closed: row.get("closed_epoch")?,
            checkpoint: row.get("checkpoint")?,
            cursor: cursor
                .ok_or_else(|| MarketError::Broken("a negative cursor of a share log".into()))?,
            shares: row.get("shares")?,
        })
    }
}

impl Market {
    /// Closes an epoch; its checkpoint.
    pub(crate) async fn close_epoch(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closing: &Closing,
    ) -> Result<[u8; 32]> {
        let (now, epoch) = (self.now(), closing.epoch);
        let before = LaneState::read(tx, &lane.lane).await?;
        claim(tx, lane, before.closed, epoch).await?;
        write_blocks(tx, lane, &closing.blocks).await?;
        // A chain that is not followed may have taken back what stands here as matured.
        let is_scheduled = is_settlement(lane, before.closed, epoch);
        let settle = is_scheduled && !self.holds_settlements(&lane.lane);

        owed::lapse(tx, lane, epoch, now).await?;
        let (house, other) = closing.tally.house_and_other()?;
        let mut contracts = Contract::running(tx, &lane.lane).await?;
        pause::stop_clocks(&mut contracts, epoch, closing.skipped);
        let paused = pause::paused(&contracts, epoch);
        let pausing = pause::pausing(&contracts);
        let metered = MeteredEpoch::read(tx, lane, epoch).await?;
        let by_meter = metered.ids();
        let mut claims = self.claims(&contracts, epoch)?;
        claims.extend(metered.claims(self));
        let allocation = allocate(house, &claims)?;
        let mut schemes = solo::other_schemes(&contracts);
        schemes.extend(metered.other_schemes());
        let owners = solo::owners(tx, lane, epoch, &closing.tally.by_owner()).await?;
        let pool = Pool { house, allocation: &allocation, schemes: &schemes, solo: &owners };
        let by_owner = closing.tally.units_by_owner()?;
        let mut house_units = vec![(lane.asset, house_of(&by_owner))];
        let mut earned = vec![EarnedUnits {
            asset: lane.asset,
            last_job: closing.last_job,
            units: pool.units(by_owner)?,
        }];
        for aux in &lane.aux {
            let by_owner = closing.tally.aux_units_by_owner(aux.asset)?;
            house_units.push((aux.asset, house_of(&by_owner)));
            earned.push(EarnedUnits {
                asset: aux.asset,
                last_job: closing.last_aux.get(&aux.asset).copied(),
                units: pool.units(by_owner)?,
            });
        }
        let may_be_caused = is_short(&allocation) && self.may_be_caused(tx, lane, epoch).await?;
        let deliveries = deliver(contracts, &allocation, epoch, settle, may_be_caused)?;
        write_deliveries(tx, lane, epoch, &deliveries, &earned, now).await?;
        dollars::close_dues(tx, lane, &deliveries, is_scheduled, epoch).await?;
        Box::pin(self.credit_paused(tx, lane, &paused, epoch, allocation.surplus)).await?;
        short::note(tx, lane, epoch, deliveries.iter().map(Delivered::missed)).await?;
        let mut running: Vec<Contract> = deliveries
            .into_iter()
            .map(|d| d.contract)
            .filter(|c| c.state == ContractState::Active)
            .collect();
        progress::replace(tx, &lane.lane, running.iter().map(Contract::progress)).await?;

        let root = allocation_root(&closing.tally, &allocation)?;
        let all = house.checked_add(other).ok_or(MarketError::Overflow("an epoch's work"))?;
        if root.sum != all.0 {
            return Err(MarketError::Broken("allocated work is not the work done".into()));
        }
        let checkpoint = EpochSummary {
            lane: lane.lane.clone(),
            epoch,
            prev_epoch: before.closed.unwrap_or_default(),
            prev_checkpoint: before.checkpoint,
            shares: closing.tally.shares,
            house_work: house,
            other_work: other,
            share_root: closing.tally.share_root,
            allocation_root: root,
        }
        .checkpoint();
        let written = Written { house, other, surplus: allocation.surplus, root, checkpoint };
        write_epoch(tx, lane, closing, &earned[0].units, &written, now).await?;
        for one in &earned {
            write_units(tx, lane, epoch, one, &by_meter).await?;
        }

        // What customers share by; the operator's own contracts take of what they leave.
        let first = claims.iter().filter(|c| !c.is_operators);
        let entitled = first.map(|c| c.entitled).checked_sum();
        let entitled = entitled.ok_or(MarketError::Overflow("all entitlements"))?;
        for (asset, house) in house_units {
            papers::write_sums(tx, &lane.lane, asset, epoch, entitled, house).await?;
        }

        // After the epoch's row: whether a rate is for sale again is seen from it.
        metered.settle(self, tx, lane, &allocation, now).await?;
        let solo = solo::contracts_of(&schemes, &allocation);
        solo::record(tx, lane, epoch, &solo, &owners).await?;
        let fpps = fpps::contracts_of(&schemes, &allocation);
        fpps::record(tx, lane, closing, house, &fpps).await?;
        for book in lane.books() {
            fpps::price_open(tx, book).await?;
            reward::accrue_and_credit(tx, book, epoch, now).await?;
        }
        self.record_price(tx, lane, epoch).await?;
        Box::pin(self.judge_around(tx, lane, epoch)).await?;
        if is_scheduled {
            Box::pin(self.decide_pauses(tx, lane, epoch, &pausing)).await?;
        }
        if settle {
            let waiting = self.convert_dues(tx, lane, &mut running).await?;
            let parties = (&mut running[..], &waiting);
            let credited = settlement::settle_lane(tx, lane, epoch, parties, now).await?;
            let settled = Settled { lane: &lane.lane, to: epoch, now, credited: &credited };
            self.tell_settled(tx, &settled).await?;
            progress::replace(tx, &lane.lane, running.iter().map(Contract::progress)).await?;
            Box::pin(self.pay_owed(tx, lane, epoch)).await?;
        }
        advance(tx, lane, closing, checkpoint).await?;
        Ok(checkpoint)
    }

    fn claims(&self, contracts: &[Contract], epoch: EpochNumber) -> Result<Vec<Entitlement>> {
        let mut claims = Vec::with_capacity(contracts.len());
        for c in contracts {
            let Some(delivery) = c.delivery().filter(|_| !pause::is_paused(c, epoch)) else {
                continue;
            };
            let claim = delivery.claim(epoch)?;
            if epoch >= delivery.start && epoch < delivery.hard_end() {
                claims.push(Entitlement {
                    contract: c.id,
                    entitled: claim.entitled,
                    catch_up: claim.catch_up,
                    short_since: c.short_since,
                    is_operators: self.config().operator_accounts.contains(&c.account),
                });
            }
        }
        Ok(claims)
    }
}

/// The units of one asset, and the chain as its last job saw it.
struct EarnedUnits {
    asset: Asset,
    last_job: Option<(u32, u64)>,
    units: BTreeMap<Beneficiary, u128>,
}

/// Stores what contracts got, and what became of them.
async fn write_deliveries(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    deliveries: &[Delivered],
    earned: &[EarnedUnits],
    now: Timestamp,
) -> Result<()> {
    recognise(tx, lane, epoch, deliveries, now).await?;
    let assets: Vec<Asset> = earned.iter().map(|e| e.asset).collect();
    let mut lines = Lines::of(&lane.lane, epoch, &assets);
    let mut rows = Batch::new(&bulk::sql::DELIVER);
    let mut released = Hashrate::ZERO;
    let any_ended = deliveries.iter().any(|d| d.contract.state != ContractState::Active);
    let followers =
        if any_ended { renew::followers(tx, &lane.lane).await? } else { BTreeMap::new() };
    for d in deliveries {
        let c = &d.contract;
        if let Some(s) = d.share {
            let who = Beneficiary::Contract(c.id);
            let units = |e: &EarnedUnits| (e.asset, e.units.get(&who).copied().unwrap_or(0));
            let line = Line {
                contract: c.id,
                entitled: s.entitled,
                delivered: s.allocated,
                made_good: s.made_good,
                shortfall: d.shortfall,
                units: earned.iter().map(units).collect(),
            };
            lines.push(tx, &line).await?;
        }
        if c.refunded > 0 {
            refund(tx, c, now).await?;
        }
        if d.aside > Hashes::ZERO {
            owed::set_aside(tx, c, epoch, d.aside).await?;
        }
        let ended = (c.state != ContractState::Active).then_some(epoch);
        if ended.is_some() {
            let kept = renew::follow(tx, followers.get(&c.id), epoch).await?;
            let free = c.hashrate.0.saturating_sub(kept.0);
            released = Hashrate(released.0.saturating_add(free));
        }
        if d.is_changed {
            let row = params![
                c.id,
                c.state.name(),
                c.delivered,
                c.short_since,
                c.maintenance_due,
                c.recognised,
                c.refunded,
                ended
            ];
            rows.push(tx, row).await?;
        }
    }
    lines.finish(tx).await?;
    rows.finish(tx).await?;
    if released > Hashrate::ZERO {
        sale::release(tx, lane, released).await?;
    }
    Ok(())
}

/// What of contracts' prices is earned now becomes the operator's revenue, many contracts an entry.
async fn recognise(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    deliveries: &[Delivered],
    now: Timestamp,
) -> Result<()> {
    let mut by_asset: BTreeMap<Asset, Vec<(ContractId, i64)>> = BTreeMap::new();
    for d in deliveries.iter().filter(|d| d.recognise > 0) {
        by_asset.entry(d.contract.price.asset).or_default().push((d.contract.id, d.recognise));
    }
    for (asset, parts) in by_asset {
        for (n, part) in (1..).zip(parts.chunks(ENTRY_CONTRACTS)) {
            let sum = part.iter().try_fold(0_i64, |sum, (_, minor)| sum.checked_add(*minor));
            let sum = sum.ok_or(MarketError::Overflow("the prices of an epoch's work"))?;
            let mut postings =
                vec![Posting::credit(Account::OperatorRevenue, Amount::new(asset, sum))];
            postings.extend(part.iter().map(|(id, minor)| {
                Posting::debit(Account::PrepaidWork(*id), Amount::new(asset, *minor))
            }));
            let reason = format!("market/delivered/{}/{epoch}/{asset}/{n}", lane.lane);
            let entry = Entry { reason, kind: "market-delivered", at: now, postings };
            gruve_ledger::post(tx, &entry).await?;
        }
    }
    Ok(())
}

async fn refund(tx: &mut Tx, c: &Contract, now: Timestamp) -> Result<()> {
    let reason = format!("market/refund/{}", c.id);
    let (from, to) = (Account::PrepaidWork(c.id), Account::CustomerAvailable(c.account));
    let amount = Amount::new(c.price.asset, c.refunded);
    gruve_ledger::post(tx, &Entry::transfer(reason, "market-refund", now, from, to, amount))
        .await?;
    Ok(())
}

/// Whether a settlement falls between two closed epochs (the later one included).
fn is_settlement(lane: &LaneConfig, before: Option<EpochNumber>, epoch: EpochNumber) -> bool {
    let every = lane.settle_every_epochs.max(1);
    before.is_some_and(|b| b.next().0 / every < epoch.next().0 / every)
}

/// What an epoch did to a contract.
pub(crate) struct Delivered {
    /// As it is afterwards.
    pub(crate) contract: Contract,
    share: Option<Share>,
    shortfall: Hashes,
    /// Minor units of the price that are earned now.
    recognise: i64,
    /// Whether more changed than its progress.
    is_changed: bool,
    /// What it missed and is not owed until it is known whose doing that was.
    aside: Hashes,
}

impl Delivered {
    /// What it missed in this epoch that may be the operator's doing, and since when it is short.
    fn missed(&self) -> (Hashes, Option<EpochNumber>) {
        (self.aside, self.contract.short_since)
    }
}

/// Whether the work did not suffice for what contracts are entitled to.
fn is_short(allocation: &Allocation) -> bool {
    allocation.shares.iter().any(|s| s.allocated < s.entitled)
}

/// What an epoch does to every contract. Pure.
fn deliver(
    contracts: Vec<Contract>,
    allocation: &Allocation,
    epoch: EpochNumber,
    settle: bool,
    may_be_caused: bool,
) -> Result<Vec<Delivered>> {
    let shares: BTreeMap<ContractId, Share> =
        allocation.shares.iter().map(|s| (s.contract, *s)).collect();
    let mut all = Vec::with_capacity(contracts.len());
    for c in contracts {
        if c.delivery().is_some_and(|d| d.start <= epoch) {
            let share = shares.get(&c.id).copied();
            all.push(deliver_one(c, share, epoch, settle, may_be_caused)?);
        }
    }
    Ok(all)
}

fn deliver_one(
    mut c: Contract,
    share: Option<Share>,
    epoch: EpochNumber,
    settle: bool,
    may_be_caused: bool,
) -> Result<Delivered> {
    let broken = || MarketError::Broken("a contract without a start is running".into());
    let before = (c.state, c.refunded);
    let got = share.map_or(Hashes::ZERO, |s| s.allocated);
    c.delivered = c.delivered.checked_add(got).ok_or(MarketError::Overflow("delivered work"))?;
    let due = c.maintenance_due.checked_add(maintenance(got, c.maintenance)?);
    c.maintenance_due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
    let missed = share.map_or(Hashes::ZERO, |s| s.entitled.saturating_sub(s.allocated));
    let left = c.work.saturating_sub(c.spoken_for());
    let aside = if may_be_caused { missed.min(left) } else { Hashes::ZERO };
    c.life.undecided = Hashes(c.life.undecided.0.saturating_add(aside.0));
    let delivery = c.delivery().ok_or_else(broken)?;
    // What waits for a choice is short, too.
    let shortfall = Delivery { delivered: c.given(), ..delivery }.shortfall(epoch)?;
    c.short_since = (shortfall > Hashes::ZERO).then_some(c.short_since.unwrap_or(epoch));
    c.state = if c.given() == c.work {
        ContractState::Completed
    } else if epoch.next() >= delivery.hard_end() && c.life.undecided == Hashes::ZERO {
        ContractState::Refunded
    } else {
        ContractState::Active
    };
    let ended = c.state != ContractState::Active;
    let mut recognise = 0;
    if settle || ended {
        let earned = earned_of_price(c.price.minor, c.given(), c.work)?;
        recognise = earned - c.recognised;
        c.recognised = earned;
    }
    if c.state == ContractState::Refunded {
        c.refunded = c.price.minor - c.recognised;
    }
    let is_changed = (c.state, c.refunded) != before;
    Ok(Delivered { contract: c, share, shortfall, recognise, is_changed, aside })
}

/// The units of the house's own work.
fn house_of(by_owner: &BTreeMap<Option<AccountId>, u128>) -> u128 {
    by_owner.get(&None).copied().unwrap_or(0)
}

/// Whose work of an epoch earns how.
struct Pool<'a> {
    house: Hashes,
    allocation: &'a Allocation,
    /// Contracts that do not earn by PPLNS.
    schemes: &'a BTreeMap<ContractId, Scheme>,
    /// Owners whose machines' blocks are their own.
    solo: &'a BTreeMap<AccountId, Hashes>,
}

impl Pool<'_> {
    /// The window's units of everyone's work: house work by allocation, own machines' whole. What FPPS pays
    /// stands there for the reserve; SOLO's work stands in no window.
    fn units(
        &self,
        mut by_owner: BTreeMap<Option<AccountId>, u128>,
    ) -> Result<BTreeMap<Beneficiary, u128>> {
        let house_units = by_owner.remove(&None).unwrap_or(0);
        let standing = |id: ContractId| match self.schemes.get(&id) {
            Some(Scheme::Fpps) => Beneficiary::FppsReserve,
            _ => Beneficiary::Contract(id),
        };
        let shares = self.allocation.shares.iter();
        let allocated: Vec<_> = shares.map(|s| (standing(s.contract), s.allocated)).collect();
        let mut units = share_house_units(house_units, self.house, &allocated)?;
        for (id, _) in self.schemes.iter().filter(|(_, s)| **s == Scheme::Solo) {
            units.remove(&Beneficiary::Contract(*id));
        }
        for (owner, own) in by_owner {
            if let (Some(account), true) = (owner, own > 0)
                && !self.solo.contains_key(&account)
            {
                units.insert(Beneficiary::Account(account), own);
            }
        }
        Ok(units)
    }
}

/// The tree over everyone with work in the epoch, sorted by leaf.
fn allocation_root(tally: &Tally, allocation: &Allocation) -> Result<SumNode> {
    let mut leaves: BTreeMap<AllocationLeaf, Hashes> = BTreeMap::new();
    leaves.insert(AllocationLeaf::Surplus, allocation.surplus);
    for s in &allocation.shares {
        leaves.insert(AllocationLeaf::Contract(s.contract), s.allocated);
    }
    for (owner, work) in tally.by_owner() {
        if let Some(account) = owner {
            leaves.insert(AllocationLeaf::Account(account), work);
        }
    }
    let nodes: Vec<SumNode> =
        leaves.iter().filter(|(_, w)| **w > Hashes::ZERO).map(|(l, w)| l.node(*w)).collect();
    sum_tree::root(&nodes).ok_or(MarketError::Overflow("the work of an epoch"))
}

async fn write_blocks(tx: &mut Tx, lane: &LaneConfig, blocks: &[BlockNews]) -> Result<()> {
    for news in blocks {
        match news {
            BlockNews::Found { asset, block_hash, epoch, height, owner, machine, at } => {
                let owner = owner_bytes(owner);
                let row = params![
                    lane.lane.clone(),
                    *block_hash,
                    *epoch,
                    *height,
                    owner,
                    *machine,
                    *at,
                    *asset
                ];
                tx.execute(sql::INSERT_FOUND, &row).await?;
            }
            BlockNews::Outcome { block_hash, accepted } => {
                let given = params![lane.lane.clone(), *block_hash, *accepted];
                tx.execute(sql::SET_OUTCOME, &given).await?;
            }
        }
    }
    Ok(())
}

/// No bytes for the house, else the account's id.
fn owner_bytes(owner: &Owner) -> Vec<u8> {
    match owner {
        Owner::House => Vec::new(),
        Owner::Account(a) => a.to_bytes().to_vec(),
    }
}

/// What of an epoch is computed.
struct Written {
    house: Hashes,
    other: Hashes,
    surplus: Hashes,
    root: SumNode,
    checkpoint: [u8; 32],
}

async fn write_epoch(
    tx: &mut Tx,
    lane: &LaneConfig,
    closing: &Closing,
    units: &BTreeMap<Beneficiary, u128>,
    written: &Written,
    now: Timestamp,
) -> Result<()> {
    let (tally, epoch) = (&closing.tally, closing.epoch);
    for (key, sum) in &tally.work {
        let owner = key.owner.map_or_else(Vec::new, |a| a.to_bytes().to_vec());
        let row = params![lane.lane.clone(), epoch, owner, key.bits, sum.shares, sum.work];
        tx.execute(sql::INSERT_WORK, &row).await?;
    }
    let total = all_units(units)?;
    let row = params![
        lane.lane.clone(),
        epoch,
        closing.skipped,
        now,
        tally.shares,
        tally.duplicates,
        written.house,
        written.other,
        tally.house_squares.to_be_bytes::<32>(),
        written.house.saturating_sub(written.surplus),
        written.surplus,
        total.to_be_bytes(),
        tally.share_root,
        written.root.hash,
        written.checkpoint,
        closing.last_job.map(|(bits, _)| bits),
        closing.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_EPOCH, &row).await?;
    Ok(())
}

fn all_units(units: &BTreeMap<Beneficiary, u128>) -> Result<u128> {
    let sum = units.values().try_fold(0u128, |sum, own| sum.checked_add(*own));
    sum.ok_or(MarketError::Overflow("an epoch's units"))
}

/// Stores the units of one asset: those of contracts stand in their lines.
async fn write_units(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    earned: &EarnedUnits,
    by_meter: &BTreeSet<ContractId>,
) -> Result<()> {
    let (lane, asset) = (&lane.lane, earned.asset);
    let mut rows = Batch::new(&bulk::sql::INSERT_UNITS);
    for (who, own) in &earned.units {
        // Leases have theirs in their lines.
        if matches!(who, Beneficiary::Contract(id) if !by_meter.contains(id)) {
            continue;
        }
        let (kind, id) = who.columns();
        rows.push(tx, params![lane.clone(), asset, epoch, kind, id, own.to_be_bytes()]).await?;
    }
    rows.finish(tx).await?;
    let row = params![
        lane.clone(),
        asset,
        epoch,
        all_units(&earned.units)?.to_be_bytes(),
        earned.last_job.map(|(bits, _)| bits),
        earned.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_WINDOW, &row).await?;
    Ok(())
}

/// Makes this transaction the one that closes the epoch.
async fn claim(
    tx: &mut Tx,
    lane: &LaneConfig,
    before: Option<EpochNumber>,
    epoch: EpochNumber,
) -> Result<()> {
    let taken = || MarketError::NotTheAccountant { lane: lane.lane.clone(), epoch };
    if before.is_some_and(|last| last >= epoch) {
        return Err(taken());
    }
    let guard = before.map_or(-1, |e| i64::try_from(e.0).unwrap_or(i64::MAX));
    let given = params![lane.lane.clone(), epoch, guard];
    match tx.execute(sql::CLAIM_EPOCH, &given).await? {
        1 => Ok(()),
        _ => Err(taken()),
    }
}

async fn advance(
    tx: &mut Tx,
    lane: &LaneConfig,
    closing: &Closing,
    checkpoint: [u8; 32],
) -> Result<()> {
    let (segment, offset) = closing.cursor.to_i64s();
    let shares = closing.tally.shares;
    let given = params![lane.lane.clone(), checkpoint, segment, offset, shares];
    tx.execute(sql::ADVANCE_LANE, &given).await?;
    Ok(())
}
