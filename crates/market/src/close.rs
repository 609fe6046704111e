//! Closing an epoch: one transaction.
//!
//! Found blocks and outcomes, allocation, contracts (delivery, ends, refunds), units, accruals, the
//! settlement where one is due, the checkpoint and the log's cursor commit together or not at all.

mod deliver;
mod deliveries;
mod epoch_row;
mod lane_state;
mod news;
mod pool;

pub(crate) use deliver::Delivered;
pub(crate) use lane_state::LaneState;
pub(crate) use news::BlockNews;

use crate::allocate::allocate;
use crate::bulk::progress;
use crate::contract::Contract;
use crate::freeze::Freezes;
use crate::metered::MeteredEpoch;
use crate::record::{self, Public};
use crate::tally::Tally;
use crate::{
    ContractState, LaneConfig, Market, MarketError, Result, Settled, dollars, end_near, fpps,
    happenings, owed, papers, pause, reward, settlement, short, solo, sql,
};
use deliver::{Close, deliver, is_short};
use deliveries::write_deliveries;
use epoch_row::{Written, allocation_root, write_epoch};
use gruve_sharelog::Position;
use gruve_store::{Tx, params};
use gruve_units::{Asset, EpochNumber, HashesSum};
use news::write_blocks;
use pool::{EarnedUnits, Pool, house_of, write_units};
use std::collections::BTreeMap;

/// Everything the log says about an epoch that is being closed.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub(crate) epoch: EpochNumber,
    /// Epochs before it that have no row.
    pub(crate) skipped: u64,
    pub(crate) tally: Tally,
    /// How many shares of each class came in, opened or not.
    pub(crate) accepted: BTreeMap<u8, u64>,
    /// Network target and height of its last job.
    pub(crate) last_job: Option<(u32, u64)>,
    /// The same of each merge-mined chain.
    pub(crate) last_aux: BTreeMap<Asset, (u32, u64)>,
    /// Its shares as stored for the public.
    pub(crate) record: Option<record::Stored>,
    pub(crate) blocks: Vec<BlockNews>,
    /// Where reading goes on after a restart.
    pub(crate) cursor: Position,
}

impl Market {
    /// Closes an epoch; its checkpoint.
    pub(crate) async fn close_epoch(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closing: &Closing,
    ) -> Result<[u8; 32]> {
        // A sale or payment that comes meanwhile waits: committed in between it would undo all of this.
        tx.alone_in(&["market_capacity", gruve_ledger::HEAD_TABLE]).await?;
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
        let freezes = Freezes::read(tx, &lane.lane).await?;
        pause::stop_clocks(&mut contracts, &freezes, epoch, closing.skipped);
        freezes.stop_clocks(tx, &mut contracts, epoch, closing.skipped).await?;
        let paused = pause::paused(&contracts, epoch);
        let pausing = pause::pausing(&contracts, epoch);
        let metered = MeteredEpoch::read(self, tx, lane, epoch).await?;
        let mut claims = self.claims(&contracts, &freezes, epoch)?;
        claims.extend(metered.claims());
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
        let operators = &self.config().operator_accounts;
        let how = Close { epoch, settle, may_be_caused, operators, freezes: &freezes };
        let deliveries = deliver(contracts, &allocation, how)?;
        write_deliveries(tx, lane, epoch, &deliveries, &earned, now).await?;
        dollars::close_dues(tx, lane, &deliveries, is_scheduled, epoch).await?;
        self.end_freezes(tx, lane, &freezes, &deliveries, epoch).await?;
        let credited = freezes.thawed(&paused, epoch);
        Box::pin(self.credit_paused(tx, lane, &credited, epoch, allocation.surplus)).await?;
        pause::note(tx, &paused, &freezes, epoch, closing.skipped).await?;
        end_near::tell_all(tx, lane, &deliveries, (epoch, closing.skipped), now).await?;
        short::note(tx, lane, epoch, deliveries.iter().map(Delivered::missed)).await?;
        let delivered = deliveries.iter().map(|d| (&d.contract, d.share));
        let mut sold = record::leases(delivered, &earned[0].units)?;
        sold.extend(record::metered(&metered, &allocation, &earned[0].units));
        let own = claims.iter().filter(|c| c.is_operators).map(|c| c.contract).collect();
        record::operators_last(&mut sold, &own);
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
        let surplus = allocation.surplus;
        let public = Public { closing, before, house, other, surplus, root, sold };
        let checkpoint = self.publish_epoch(tx, lane, public).await?;
        let written = Written { house, other, surplus: allocation.surplus, root, checkpoint };
        write_epoch(tx, lane, closing, &earned[0].units, &written, now).await?;
        for one in &earned {
            write_units(tx, lane, epoch, one, metered.ids()).await?;
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
            let open = happenings::open_fpps(tx, book).await?;
            fpps::price_open(tx, book).await?;
            happenings::note_priced(tx, book, &open, epoch).await?;
            reward::accrue_and_credit(tx, book, epoch).await?;
        }
        self.record_price(tx, lane, epoch).await?;
        Box::pin(self.judge_around(tx, lane, epoch)).await?;
        if is_scheduled {
            Box::pin(self.decide_pauses(tx, lane, epoch, &pausing)).await?;
        }
        if settle {
            let waiting = self.convert_dues(tx, lane, &mut running).await?;
            let everyone = settlement::Everyone { running: &mut running, waiting: &waiting };
            let credited = settlement::settle_lane(tx, lane, epoch, everyone, now).await?;
            let settled = Settled { lane: &lane.lane, to: epoch, now, credited: &credited };
            self.tell_settled(tx, &settled).await?;
            progress::replace(tx, &lane.lane, running.iter().map(Contract::progress)).await?;
            Box::pin(self.pay_owed(tx, lane, epoch)).await?;
        }
        advance(tx, lane, closing, checkpoint).await?;
        Ok(checkpoint)
    }
}

/// Whether a settlement falls between two closed epochs (the later one included).
fn is_settlement(lane: &LaneConfig, before: Option<EpochNumber>, epoch: EpochNumber) -> bool {
    let every = lane.settle_every_epochs.max(1);
    before.is_some_and(|b| b.next().0 / every < epoch.next().0 / every)
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
