//! Closing an epoch: one transaction.
//!
//! Found blocks and outcomes, allocation, contracts (delivery, ends, refunds), units, accruals, the
//! settlement where one is due, the checkpoint and the log's cursor commit together or not at all.
//!
//! Contracts are gone through twice, a page at a time: once for what they claim, once for what they get ([`giving`]); where plans
//! pause, or some contract costs more than it earns, once more at a settlement. So no more than a page of them is held.

mod deliver;
mod deliveries;
mod epoch_row;
mod giving;
mod lane_state;
mod news;
mod pool;

pub(crate) use deliver::Delivered;
pub(crate) use lane_state::LaneState;
pub(crate) use news::BlockNews;

use crate::freeze::Freezes;
use crate::metered::MeteredEpoch;
use crate::pause::Paused;
use crate::record::{self, Public};
use crate::tally::Tally;
use crate::{
    LaneConfig, Market, MarketError, Result, Settled, fpps, happenings, owed, papers, reward,
    settlement, solo, sql,
};
use deliver::Close;
use epoch_row::{Written, write_epoch};
use giving::{Ahead, Given, Giving, Going};
use gruve_proof::summary::AllocationLeaf;
use gruve_sharelog::Position;
use gruve_store::{Tx, params};
use gruve_units::{Asset, EpochNumber};
use news::write_blocks;
use pool::{EarnedUnits, house_of, write_units};
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

/// Sales and payments, disputes, choices, wishes and the operator's own record that come while an epoch is closed wait until it
/// is: committed in between they would undo all of it, and whoever says something every few seconds could hold closes up for
/// good. What a close has to wait
/// for itself it waits for here, with nothing done yet; so others write to these tables before they change a contract's row,
/// which the close may want later.
const ALONE_IN: [&str; 7] = [
    "market_capacity",
    gruve_ledger::HEAD_TABLE,
    "market_freezes",
    "market_owed",
    "market_wishes",
    "market_own_schemes",
    "market_acts",
];

impl Market {
    /// Closes an epoch; its checkpoint.
    pub(crate) async fn close_epoch(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closing: &Closing,
    ) -> Result<[u8; 32]> {
        tx.alone_in(&ALONE_IN).await?;
        let (now, epoch) = (self.now(), closing.epoch);
        let before = LaneState::read(tx, &lane.lane).await?;
        claim(tx, lane, before.closed, epoch).await?;
        write_blocks(tx, lane, &closing.blocks).await?;
        // A chain that is not followed may have taken back what stands here as matured.
        let is_scheduled = is_settlement(lane, before.closed, epoch);
        let settle = is_scheduled && !self.holds_settlements(&lane.lane);

        owed::lapse(tx, lane, epoch, now).await?;
        let (house, other) = closing.tally.house_and_other()?;
        let operators = &self.config().operator_accounts;
        let freezes = Freezes::read(tx, &lane.lane).await?;
        let (skipped, after_refund) = (closing.skipped, self.after_refund());
        let going = Going { lane, epoch, skipped, operators, freezes: &freezes, after_refund };
        let Ahead { claimed, paused, may_pause, rates } = Box::pin(going.look_ahead(tx)).await?;
        let mut metered = MeteredEpoch::read(self, tx, lane, epoch).await?;
        // What customers share by; the operator's own contracts take of what they leave.
        let (entitled, sharing) =
            Box::pin(going.share_out(tx, house, claimed, &mut metered)).await?;
        let surplus = sharing.surplus();
        let owners = solo::owners(tx, lane, epoch, &closing.tally.by_owner()).await?;
        let (mut earned, mut by_owner) = (Vec::new(), Vec::new());
        for asset in lane.assets() {
            let (last_job, units) = match asset == lane.asset {
                true => (closing.last_job, closing.tally.units_by_owner()?),
                false => {
                    let last_job = closing.last_aux.get(&asset).copied();
                    (last_job, closing.tally.aux_units_by_owner(asset)?)
                }
            };
            earned.push(EarnedUnits::of(asset, last_job, house_of(&units), house));
            by_owner.push(units);
        }
        let may_be_caused = sharing.is_short() && self.may_be_caused(tx, lane, epoch).await?;
        let how = Close { epoch, settle, may_be_caused, operators, freezes: &freezes };
        let given = Given::of(self, lane, (closing, house))?;
        let giving = Giving::of(going, how, sharing, &mut earned, metered.all()?, given)?;
        let paused = Paused::of(lane, (epoch, closing.skipped), &freezes, (paused, surplus), now);
        let given = Box::pin(giving.give_out(tx, paused, is_scheduled, now)).await?;
        let Given { metered: mut got, solo, fpps, mut tree, sold } = given;
        for (one, units) in earned.iter_mut().zip(&by_owner) {
            one.close(units, &owners)?;
        }
        for (owner, work) in closing.tally.by_owner() {
            if let Some(account) = owner {
                tree.push(AllocationLeaf::Account(account), work)?;
            }
        }
        let root = tree.root()?;
        let all = house.checked_add(other).ok_or(MarketError::Overflow("an epoch's work"))?;
        if root.sum != all.0 {
            return Err(MarketError::Broken("allocated work is not the work done".into()));
        }
        let public = Public { closing, before, house, other, surplus, root, sold };
        let checkpoint = self.publish_epoch(tx, lane, public).await?;
        let written = Written { house, other, surplus, root, checkpoint };
        write_epoch(tx, lane, closing, earned[0].total(), &written, now).await?;
        for one in &earned {
            write_units(tx, lane, epoch, one).await?;
        }

        for (one, units) in earned.iter().zip(&by_owner) {
            let (asset, house) = (one.asset, house_of(units));
            papers::write_sums(tx, &lane.lane, asset, epoch, entitled, house).await?;
        }

        // After the epoch's row: whether a rate is for sale again is seen from it.
        metered.settle(self, tx, lane, &mut got, now).await?;
        solo.finish(tx, &owners).await?;
        fpps.finish(tx).await?;
        for book in lane.books() {
            let open = happenings::open_fpps(tx, book).await?;
            fpps::price_open(tx, book).await?;
            happenings::note_priced(tx, book, &open, epoch).await?;
            reward::accrue_and_credit(tx, book, epoch).await?;
        }
        self.record_price(tx, lane, epoch).await?;
        Box::pin(self.judge_around(tx, lane, epoch)).await?;
        if is_scheduled && may_pause {
            Box::pin(self.decide_pauses(tx, lane, epoch, &freezes)).await?;
        }
        if is_scheduled {
            Box::pin(self.tell_of_losses(tx, lane, epoch, (&rates, &freezes))).await?;
        }
        if settle {
            let waiting_since = self.convert_dues(tx, lane).await?;
            let agreed_fees = self.agreed_fees(tx, &lane.lane, now).await?;
            let everyone = settlement::Everyone { waiting_since, agreed_fees: &agreed_fees };
            let credited = settlement::settle_lane(tx, lane, epoch, everyone, now).await?;
            let settled = Settled { lane: &lane.lane, to: epoch, now, credited: &credited };
            self.tell_settled(tx, &settled).await?;
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
