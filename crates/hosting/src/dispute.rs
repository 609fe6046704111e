//! Machines whose payment is disputed.
//!
//! | word about a payment | outcome |
//! |---|---|
//! | disputed | the contract is frozen: it is handed on to nobody, whoever has an offer of it loses that. The machine works on, and what it earns goes into the balance, which nothing leaves meanwhile |
//! | the dispute is won | it is as before |
//! | the dispute is lost, and the balance had the money | it is paid: as before |
//! | the dispute is lost, and something is missing | the contract ends at the next border of epochs, the machine is the house's and in stock again. What comes back is what the operator's ending gives of a lease, of a machine that was sold its price; less what was lost |
//! | the same again, or late | nothing changes: a dispute is known by its name, and what has an end keeps it |
//! | any of it, after the contract | nothing changes: the machine is somebody else's, and so are its offers |
//!
//! While several payments of a contract are disputed nothing ends before the last is settled. A machine that was handed on
//! before is another contract's: its price stands in the same balance.
//!
//! What it must not know: payments, and what of them the balance gave.

use crate::contract::{Contract, HostingKind};
use crate::service::{Hosting, find};
use crate::{Ended, HostingError, Result, sql};
use gruve_farm::MachineState;
use gruve_ledger::{Account, Entry};
use gruve_statement::hosting::EndedBy;
use gruve_store::{Tx, params};
use gruve_units::{Amount, ContractId, EpochNumber, MachineId};

/// What is said of a machine's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentDispute {
    /// It is disputed.
    Open,
    /// It stands.
    Won,
    /// It was taken back; this much the balance no longer had, in minor units.
    Lost(i64),
}

/// What a word about a payment did to its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWord {
    /// It is frozen.
    Freezes,
    /// It is as before.
    Thaws,
    /// It ends.
    Ends(Ended),
    /// Nothing: it was said before, the contract is over, or another dispute about it is open.
    Nothing,
}

impl Hosting {
    /// A payment of a machine is disputed, or that dispute is settled; within the transaction that books it. `None` where
    /// there is no such contract.
    ///
    /// # Errors
    /// The farm's, the ledger's, the database's.
    pub async fn payment_disputed(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        cause: &str,
        word: PaymentDispute,
    ) -> Result<Option<PaymentWord>> {
        let c = match find(tx, contract).await {
            Err(HostingError::NoContract) => return Ok(None),
            found => found?,
        };
        let now = self.clock.now();
        let put = tx.execute(sql::PUT_DISPUTE, &params![contract, cause, now]).await?;
        let (state, lost) = match word {
            PaymentDispute::Open if put == 0 => return Ok(Some(PaymentWord::Nothing)),
            PaymentDispute::Open => {
                if !c.runs_beyond(self.farm.next_border(&c.lane)?) {
                    // The machine is or will be somebody else's, and so are its offers.
                    return Ok(Some(PaymentWord::Nothing));
                }
                withdraw_offer(tx, c.machine).await?;
                let is_new = !c.is_frozen;
                return Ok(Some(if is_new { PaymentWord::Freezes } else { PaymentWord::Nothing }));
            }
            PaymentDispute::Won => ("won", 0),
            PaymentDispute::Lost(minor) => ("lost", minor.max(0)),
        };
        let settled =
            tx.execute(sql::SETTLE_DISPUTE, &params![contract, cause, state, lost]).await?;
        if settled == 0 {
            return Ok(Some(PaymentWord::Nothing));
        }
        let row = tx.fetch_one(sql::DISPUTES, &params![contract]).await?;
        let (open, lost): (i64, i64) = (row.get("open")?, row.get("lost")?);
        let border = self.farm.next_border(&c.lane)?;
        if open > 0 || !c.runs_beyond(border) {
            return Ok(Some(PaymentWord::Nothing));
        }
        if lost == 0 {
            return Ok(Some(PaymentWord::Thaws));
        }
        Ok(Some(PaymentWord::Ends(self.charge_back(tx, &c, border, lost).await?)))
    }

    /// Ends a contract of whose payment something is lost.
    async fn charge_back(
        &self,
        tx: &mut Tx,
        c: &Contract,
        until: EpochNumber,
        lost: i64,
    ) -> Result<Ended> {
        // Nothing may have been said of it before it is lost.
        withdraw_offer(tx, c.machine).await?;
        let left = c.term_end.map_or(0, |end| end.0.saturating_sub(until.0));
        let worth = match (c.terms.kind, &c.agreed()?.back) {
            // The machine itself comes back.
            (HostingKind::Sold, _) if c.replaces.is_none() => c.price,
            (_, Some(back)) if c.replaces.is_none() => {
                let minor = back.of(left).map_err(|_| HostingError::Broken("a term"))?;
                Amount::new(back.asset, minor)
            }
            _ => Amount::zero(c.price.asset),
        };
        let back = Amount::new(worth.asset, worth.minor.saturating_sub(lost).max(0));
        self.cut(tx, c, until, (EndedBy::ChargedBack, back)).await?;
        for state in [MachineState::Returned, MachineState::Stock] {
            self.farm.set_state_in(tx, c.machine, state).await?;
        }
        self.farm.note(tx, c.machine, "its payment was taken back: in stock again").await?;
        Ok(Ended { until, back: Some(back).filter(|back| back.minor > 0), left: worth.minor })
    }

    /// The machine is the house's from an epoch on, and what comes back of its price is its owner's.
    pub(crate) async fn cut(
        &self,
        tx: &mut Tx,
        c: &Contract,
        until: EpochNumber,
        (by, back): (EndedBy, Amount),
    ) -> Result<()> {
        let now = self.clock.now();
        if let Some(end) = c.until {
            self.farm.take_back(tx, c.machine, end).await?;
        }
        self.farm.give(tx, c.machine, gruve_farm::MachineOwner::House, until).await?;
        self.set_end(tx, c, until, (by, now, back.minor)).await?;
        if back.minor > 0 {
            let (from, to) = (Account::OperatorRevenue, Account::CustomerAvailable(c.account));
            let reason = format!("hosting/back/{}", c.id);
            let entry = Entry::transfer(reason, "hosting-back", now, from, to, back);
            gruve_ledger::post(tx, &entry).await?;
        }
        Ok(())
    }
}

/// Takes back what a machine is offered by: whoever takes it would get what the offerer may not hand on, or has no longer.
pub(crate) async fn withdraw_offer(tx: &mut Tx, machine: MachineId) -> Result<()> {
    if let Some(row) = tx.fetch_optional(sql::OPEN_OFFER, &params![machine]).await? {
        tx.execute(sql::WITHDRAW, &params![row.get::<ContractId>("id")?]).await?;
    }
    Ok(())
}
