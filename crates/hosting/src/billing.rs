//! Bills: written within the transaction of a settlement.
//!
//! A bill spans the epochs since the last one up to the last that is settled *and* wholly counted machine by
//! machine. Energy that was reported late, for epochs billed before, stands on the next bill. A contract that is
//! over stays open for it as long as the farm takes samples of its epochs ([`gruve_farm::LATE_MAX`]); the bill
//! after that is the last, and waits for no earnings any more. What is owed then is taken from the balance with later
//! settlements, each a bill of nothing but that, for [`ARREARS_MAX`] after the contract's end; what is owed
//! longer stays written, and nothing is taken.

use crate::charge::{Charge, Span, charge};
use crate::contract::{Contract, HostingState, PayFrom};
use crate::service::Hosting;
use crate::uptime::Uptime;
use crate::{HostingError, Result, sql};
use gruve_farm::{EPOCHS_LISTED_MAX, LATE_MAX};
use gruve_ledger::{Account, Entry};
use gruve_store::{Tx, Value, params};
use gruve_units::{
    AccountId, Amount, Asset, Blame, Blamed as _, ContractId, Duration, EpochNumber, LaneId,
    Timestamp,
};
use std::collections::BTreeMap;

/// Bills in one answer.
pub const BILLS_MAX: u32 = 500;

/// How long after a contract's end what is owed of it is taken: a year, as the terms say.
pub const ARREARS_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Contracts read at once.
const PAGE: i64 = 500;

/// A settlement of a lane.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// The lane.
    pub lane: &'a LaneId,
    /// The last epoch that it settles.
    pub to: EpochNumber,
    /// The time.
    pub now: Timestamp,
    /// What it credits to accounts for their own machines' work.
    pub credited: &'a [(AccountId, Amount)],
}

/// A bill as it stands written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Its number among the contract's, from 1.
    pub number: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Its first epoch.
    pub from: EpochNumber,
    /// The epoch after its last.
    pub until: EpochNumber,
    /// What was measured.
    pub span: Span,
    /// The energy, in minor units.
    pub energy: i64,
    /// The hosting fee.
    pub fee: i64,
    /// The service-level credit.
    pub credit: i64,
    /// Energy + fee − credit.
    pub due: i64,
    /// What was taken, of this and of what was owed.
    pub paid: i64,
    /// What is not taken any more: the operator's loss.
    pub waived: i64,
    /// What is owed after it.
    pub arrears: i64,
}

impl Hosting {
    /// Writes the bills that a settlement brings, within its transaction. A contract that cannot be billed is
    /// left for the next settlement, and said in the log.
    ///
    /// # Errors
    /// Only those that make the whole transaction void: the database's.
    pub async fn bill(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<()> {
        let Some(counted) = self.farm.proven_until(tx, settled.lane).await? else { return Ok(()) };
        let last = settled.to.min(counted);
        let mut earned: BTreeMap<(AccountId, Asset), i64> = BTreeMap::new();
        for (account, amount) in settled.credited {
            let sum = earned.entry((*account, amount.asset)).or_default();
            *sum = sum.saturating_add(amount.minor);
        }
        self.bill_list(tx, settled, last, None, &mut earned).await?;
        // Then, of what is left, what is owed of contracts that are over.
        let long_ago = self.farm.rule(settled.lane)?.at(settled.now.minus(ARREARS_MAX));
        self.bill_list(tx, settled, last, Some(long_ago), &mut earned).await?;
        // What bills have left goes to the owners' addresses.
        for ((account, asset), minor) in earned {
            let left = Amount::new(asset, minor);
            self.add_payable(tx, account, settled.lane, left, settled.now).await?;
        }
        Ok(())
    }

    /// Writes the bills of what runs or, with an epoch, of what is over since then and owes.
    async fn bill_list(
        &self,
        tx: &mut Tx,
        settled: &Settled<'_>,
        last: EpochNumber,
        over_since: Option<EpochNumber>,
        earned: &mut BTreeMap<(AccountId, Asset), i64>,
    ) -> Result<()> {
        let mut after = ContractId::from_bytes([0; 16]);
        loop {
            let mut given = params![settled.lane, after, PAGE].to_vec();
            given.extend(over_since.map(Value::from));
            let list = if over_since.is_some() { sql::OWING } else { sql::TO_BILL };
            let rows = tx.fetch_all(list, &given).await?;
            for row in &rows {
                let contract = Contract::read(row)?;
                after = contract.id;
                match self.bill_one(tx, &contract, settled, last, earned).await {
                    Ok(()) => {}
                    Err(HostingError::Overflow(what)) => {
                        tracing::error!(contract = %contract.id, "cannot be billed: {what}");
                    }
                    Err(e) if e.blame() == Blame::Rejected => {
                        tracing::error!(contract = %contract.id, "cannot be billed: {e}");
                    }
                    Err(e) => return Err(e),
                }
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(());
            }
        }
    }

    async fn bill_one(
        &self,
        tx: &mut Tx,
        c: &Contract,
        settled: &Settled<'_>,
        last: EpochNumber,
        earned: &mut BTreeMap<(AccountId, Asset), i64>,
    ) -> Result<()> {
        let Some(begin) = c.from.filter(|from| *from <= last) else { return Ok(()) };
        let key = (c.account, c.terms.asset);
        let is_last = self.is_past_late(c, settled.now)?;
        // Like every fee of a settlement: where nothing whole was earned it waits.
        let waits = c.terms.pay_from == PayFrom::Earnings && !earned.contains_key(&key);
        if waits && !is_last {
            return Ok(());
        }
        let from = c.billed_to.map_or(begin, EpochNumber::next);
        let end = c.until.map_or(last.next(), |until| until.min(last.next()));
        // What is left over is on the next bill.
        let until = end.min(EpochNumber(from.0.saturating_add(u64::from(EPOCHS_LISTED_MAX))));
        let until = until.max(from);
        let span = self.measure(tx, c, begin, from, until).await?;
        let cost = charge(c.rates(), c.carry, span)?;
        let left = earned.get(&key).copied().unwrap_or(0);
        let paid = self.take(tx, c, &cost, left, settled.now).await?;
        if let Some(sum) = earned.get_mut(&key) {
            *sum -= paid.min(*sum);
        }
        let open = c.arrears.checked_add(cost.due).ok_or(HostingError::Overflow("a bill"))? - paid;
        let (waived, arrears) = match c.terms.pay_from {
            PayFrom::Earnings => (open, 0),
            PayFrom::Balance => (0, open),
        };
        let is_over = c.until.is_some_and(|end| until >= end);
        let state = match (is_over, is_last) {
            (true, true) => HostingState::Ended,
            (true, false) => HostingState::Closing,
            (false, _) => HostingState::Active,
        };
        let number = c.bills + i64::from(span != Span::default() || paid > 0);
        if number > c.bills {
            let given = params![
                c.id,
                number,
                settled.now,
                from,
                until,
                span.energy_uj,
                span.span_us,
                span.up_us,
                cost.energy,
                cost.fee,
                cost.credit,
                cost.due,
                paid,
                waived,
                arrears
            ];
            tx.execute(sql::INSERT_BILL, &given).await?;
        }
        let billed_to = (until > from).then(|| until.back(1)).or(c.billed_to);
        let (energy, fee) = (cost.carry.energy, cost.carry.fee);
        let given = params![c.id, state, billed_to, energy, fee, arrears, number];
        tx.execute(sql::BILLED, &given).await?;
        // Last: a bill that could not be reckoned has taken nothing.
        self.farm.mark_billed(tx, c.machine, begin, until).await?;
        Ok(())
    }

    /// Whether the contract is over for so long that nothing more is taken of its epochs.
    fn is_past_late(&self, c: &Contract, now: Timestamp) -> Result<bool> {
        let Some(end) = c.until else { return Ok(false) };
        Ok(now > self.farm.rule(&c.lane)?.start(end).plus(LATE_MAX))
    }

    /// What the epochs from `from` to before `until` were, with energy of earlier ones that was reported late.
    async fn measure(
        &self,
        tx: &mut Tx,
        c: &Contract,
        begin: EpochNumber,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<Span> {
        let length = self.farm.rule(&c.lane)?.length_us;
        let energy_uj = self.farm.unbilled(tx, c.machine, begin, until).await?;
        let proven = self.farm.proven(tx, c.machine, from, until).await?;
        let down: BTreeMap<EpochNumber, u64> = self
            .farm
            .energy(tx, c.machine, from, until)
            .await?
            .into_iter()
            .map(|e| (e.slice.epoch, e.slice.down_us))
            .collect();
        let uptime = Uptime::of(&c.agreed()?);
        let up_us = proven
            .iter()
            .map(|(e, proof)| uptime.up_us(length, proof, down.get(e).copied().unwrap_or(0)))
            .sum();
        let span_us = (until.0 - from.0).saturating_mul(length);
        Ok(Span { energy_uj, span_us, up_us })
    }

    /// Takes what can be taken; gives how much.
    async fn take(
        &self,
        tx: &mut Tx,
        c: &Contract,
        cost: &Charge,
        earned: i64,
        now: Timestamp,
    ) -> Result<i64> {
        let owed = c.arrears.checked_add(cost.due).ok_or(HostingError::Overflow("a bill"))?;
        let from = Account::CustomerAvailable(c.account);
        let held = gruve_ledger::balance(tx, &from, c.terms.asset).await?.minor.max(0);
        let most = match c.terms.pay_from {
            PayFrom::Earnings => held.min(earned),
            PayFrom::Balance => held,
        };
        let paid = owed.min(most);
        if paid > 0 {
            let reason = format!("hosting/bill/{}/{}", c.id, c.bills + 1);
            let amount = Amount::new(c.terms.asset, paid);
            let to = Account::OperatorRevenue;
            let entry = Entry::transfer(reason, "hosting-bill", now, from, to, amount);
            gruve_ledger::post(tx, &entry).await?;
        }
        Ok(paid)
    }

    /// A contract's bills, newest first, `limit` at most and never more than [`BILLS_MAX`].
    ///
    /// # Errors
    /// The database's.
    pub async fn bills(&self, contract: ContractId, limit: u32) -> Result<Vec<Bill>> {
        self.bills_before(contract, None, limit.min(BILLS_MAX)).await
    }

    /// A page of them: those before a number.
    ///
    /// # Errors
    /// The database's.
    pub async fn bills_before(
        &self,
        contract: ContractId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Bill>> {
        let given = params![contract, before.unwrap_or(i64::MAX), limit];
        let rows = self.store.read().await?.fetch_all(sql::BILLS, &given).await?;
        rows.iter().map(read_bill).collect()
    }
}

pub(crate) fn read_bill(r: &gruve_store::Row) -> Result<Bill> {
    Ok(Bill {
        number: r.get("n")?,
        at: r.get("at")?,
        from: r.get("from_epoch")?,
        until: r.get("until_epoch")?,
        span: Span {
            energy_uj: r.get("energy_uj")?,
            span_us: r.get("span_us")?,
            up_us: r.get("up_us")?,
        },
        energy: r.get("energy")?,
        fee: r.get("fee")?,
        credit: r.get("credit")?,
        due: r.get("due")?,
        paid: r.get("paid")?,
        waived: r.get("waived")?,
        arrears: r.get("arrears")?,
    })
}
