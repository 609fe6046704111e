//! A contract's row, and how it changes.

use crate::bulk::progress::{self, Progress};
use crate::bulk::roll;
use crate::delivery::Delivery;
use crate::pages::ROWS;
use crate::scheme::Scheme;
use crate::sql;
use crate::{ContractState, LifeView, MarketError, Result};
use gruve_store::{Row, Tx, params};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Hashrate, LaneId,
    Timestamp,
};
use std::sync::Arc;

/// A contract as stored.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) id: ContractId,
    pub(crate) account: AccountId,
    pub(crate) plan: Arc<str>,
    pub(crate) plan_version: u32,
    pub(crate) title: Arc<str>,
    pub(crate) lane: LaneId,
    pub(crate) asset: Asset,
    pub(crate) epoch_us: u64,
    pub(crate) hashrate: Hashrate,
    pub(crate) term: u64,
    pub(crate) extension: u64,
    pub(crate) catch_up_bps: u32,
    pub(crate) epoch_work: Hashes,
    pub(crate) work: Hashes,
    pub(crate) price: Amount,
    pub(crate) fee: Bps,
    pub(crate) maintenance: u64,
    /// Where maintenance is taken from after the lane's own asset, and the whole fee in each.
    pub(crate) maintenance_also: Vec<(Asset, u64)>,
    /// How it earns.
    pub(crate) scheme: Scheme,
    pub(crate) terms_hash: [u8; 32],
    pub(crate) state: ContractState,
    pub(crate) created: Timestamp,
    pub(crate) paid: Option<Timestamp>,
    pub(crate) start: Option<EpochNumber>,
    pub(crate) delivered: Hashes,
    pub(crate) short_since: Option<EpochNumber>,
    pub(crate) maintenance_due: Accrual,
    pub(crate) recognised: i64,
    pub(crate) refunded: i64,
    /// Whether it holds capacity of its own.
    pub(crate) holds: bool,
    /// Whether it stands on the roll ([`roll`]).
    pub(crate) enrolled: bool,
    pub(crate) life: LifeView,
}

/// The state of that name.
fn state_of(name: &str) -> Result<ContractState> {
    ContractState::ALL
        .into_iter()
        .find(|s| s.name() == name)
        .ok_or_else(|| MarketError::Broken(format!("a contract in the unknown state {name:?}")))
}

/// Assets and fees as a column: `DOGE:2000,…`.
pub(crate) fn write_also(also: &[(Asset, u64)]) -> String {
    let parts: Vec<_> = also.iter().map(|(asset, minor)| format!("{asset}:{minor}")).collect();
    parts.join(",")
}

pub(crate) fn read_also(text: &str) -> Result<Vec<(Asset, u64)>> {
    let part = |part: &str| {
        let (asset, minor) = part.split_once(':')?;
        Some((asset.parse().ok()?, minor.parse().ok()?))
    };
    let parts: Option<Vec<_>> = text.split(',').filter(|p| !p.is_empty()).map(part).collect();
    parts.ok_or_else(|| MarketError::Broken(format!("a contract's maintenance {text:?}")))
}

impl Contract {
    /// The assets that maintenance is taken from, with the whole fee in each.
    pub(crate) fn maintenance_order(&self) -> Vec<(Asset, u64)> {
        let own = (self.asset, self.maintenance);
        std::iter::once(own).chain(self.maintenance_also.iter().copied()).collect()
    }

    pub(crate) fn read(row: &Row) -> Result<Contract> {
        Ok(Contract {
            id: row.get("id")?,
            account: row.get("account")?,
            plan: row.get::<String>("plan")?.into(),
            plan_version: row.get("plan_version")?,
            title: row.get::<String>("title")?.into(),
            lane: row.get("lane")?,
            asset: row.get("asset")?,
            epoch_us: row.get("epoch_us")?,
            hashrate: row.get("hashrate")?,
            term: row.get("term_epochs")?,
            extension: row.get("extension_epochs")?,
            catch_up_bps: row.get("catch_up_bps")?,
            epoch_work: row.get("epoch_work")?,
            work: row.get("work")?,
            price: Amount::new(row.get("price_asset")?, row.get("price_minor")?),
            fee: row.get("fee_bps")?,
            maintenance: row.get("maintenance")?,
            maintenance_also: read_also(&row.get::<String>("maintenance_also")?)?,
            scheme: Scheme::stored(&row.get::<String>("scheme")?)?,
            terms_hash: row.get("terms_hash")?,
            state: state_of(&row.get::<String>("state")?)?,
            created: row.get("created_at")?,
            paid: row.get("paid_at")?,
            start: row.get("start_epoch")?,
            delivered: row.get("delivered")?,
            short_since: row.get("short_since")?,
            maintenance_due: row.get("maintenance_due")?,
            recognised: row.get("recognised_minor")?,
            refunded: row.get("refunded_minor")?,
            holds: row.get("holds")?,
            enrolled: row.get("enrolled")?,
            life: crate::life::read(row)?,
        })
    }

    /// The contract of that id.
    pub(crate) async fn find(tx: &mut Tx, id: ContractId) -> Result<Contract> {
        let row = tx.fetch_optional(sql::CONTRACT, &params![id]).await?;
        let mut found = Contract::read(&row.ok_or(MarketError::UnknownContract)?)?;
        found.catch_up(tx).await?;
        Ok(found)
    }

    pub(crate) async fn catch_up(&mut self, tx: &mut Tx) -> Result<()> {
        if self.state == ContractState::Active
            && let Some(p) = progress::of_contract(tx, &self.lane, self.id).await?
        {
            self.go_on_from(p);
        }
        Ok(())
    }

    /// The same of several; a page that more of them stand on is read once.
    pub(crate) async fn catch_up_all(tx: &mut Tx, all: &mut [Contract]) -> Result<()> {
        let mut running: Vec<&mut Contract> =
            all.iter_mut().filter(|c| c.state == ContractState::Active).collect();
        running.sort_by(|a, b| (&a.lane, a.id).cmp(&(&b.lane, b.id)));
        let (mut of, mut page): (Option<LaneId>, Vec<Progress>) = (None, Vec::new());
        for c in running {
            let is_on_it = of.as_ref() == Some(&c.lane)
                && page.last().is_some_and(|last| c.id <= last.contract);
            if !is_on_it {
                page = progress::page_of(tx, &c.lane, c.id).await?;
                of = Some(c.lane.clone());
            }
            if let Some(p) = page.iter().find(|p| p.contract == c.id) {
                c.go_on_from(*p);
            }
        }
        Ok(())
    }

    /// An account's contracts, newest first.
    pub(crate) async fn of_account(
        tx: &mut Tx,
        account: AccountId,
        before: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<Contract>> {
        let rows = match before {
            None => tx.fetch_all(sql::CONTRACTS_OF_ACCOUNT, &params![account, limit]).await?,
            Some(id) => {
                let given = params![account, id, limit];
                tx.fetch_all(sql::CONTRACTS_OF_ACCOUNT_BEFORE, &given).await?
            }
        };
        let mut all = rows.iter().map(Contract::read).collect::<Result<Vec<_>>>()?;
        Contract::catch_up_all(tx, &mut all).await?;
        Ok(all)
    }

    /// The lane's contracts that are paid and not at their end, sorted by id.
    #[cfg(test)]
    pub(crate) async fn running(tx: &mut Tx, lane: &LaneId) -> Result<Vec<Contract>> {
        let (mut running, mut reading) = (Running::of(lane), progress::Reading::of(lane));
        let mut all = Vec::new();
        while let Some(some) = running.next(tx, &mut reading).await? {
            assert!(some.len() <= crate::pages::ROWS as usize, "more than a page is held");
            all.extend(some);
        }
        Ok(all)
    }

    /// How far its delivery is; `None` before it is paid.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        // Neither epochs that its clock stood still nor work settled otherwise are owed.
        Some(Delivery {
            start: EpochNumber(self.start?.0.saturating_add(self.life.paused_epochs)),
            term: self.term,
            extension: self.extension,
            epoch_work: self.epoch_work,
            delivered: self.spoken_for(),
            catch_up_bps: self.catch_up_bps,
        })
    }

    /// Its figures that every epoch changes.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            contract: self.id,
            delivered: self.delivered,
            maintenance_due: self.maintenance_due,
            short_since: self.short_since,
            recognised: self.recognised,
        }
    }

    fn go_on_from(&mut self, p: Progress) {
        self.delivered = p.delivered;
        self.maintenance_due = p.maintenance_due;
        self.short_since = p.short_since;
        self.recognised = p.recognised;
    }
}

/// The lane's contracts that are paid and not at their end, in the order of their ids, a page at a time: no more are
/// held at once, however many there are. What was given may be changed before the next page is asked for.
pub(crate) struct Running {
    commons: roll::Commons,
    after: Option<ContractId>,
    is_over: bool,
}

impl Running {
    pub(crate) fn of(lane: &LaneId) -> Running {
        Running { commons: roll::Commons::of(lane), after: None, is_over: false }
    }

    /// The next ones, with their progress; `None` after the last.
    pub(crate) async fn next(
        &mut self,
        tx: &mut Tx,
        progress: &mut progress::Reading,
    ) -> Result<Option<Vec<Contract>>> {
        if self.is_over {
            return Ok(None);
        }
        let most = ROWS as usize;
        let mut some = roll::after(tx, &mut self.commons, self.after, most).await?;
        let enrolled = some.len();
        let after = self.after.map_or_else(Vec::new, |id| id.to_bytes().to_vec());
        let given = params![self.commons.lane.clone(), after, ROWS];
        let rows = tx.fetch_all(sql::RUNNING_CONTRACTS, &given).await?;
        for row in &rows {
            some.push(Contract::read(row)?);
        }
        if enrolled > 0 && !rows.is_empty() {
            // Two sorted runs: a stable sort merges them.
            some.sort_by_key(|c| c.id);
        }
        // Of each kind the first ones are there, so the first ones of both together are.
        some.truncate(most);
        self.is_over = enrolled < most && rows.len() < most && some.len() == enrolled + rows.len();
        for c in &mut some {
            if let Some(p) = progress.find(tx, c.id).await? {
                c.go_on_from(p);
            }
        }
        self.after = some.last().map(|c| c.id);
        Ok((!some.is_empty()).then_some(some))
    }
}
