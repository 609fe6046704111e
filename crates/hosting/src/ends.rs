//! How a contract is ended: by its owner or by the operator, within its term or without one.
//!
//! It ends at the next border of epochs. What was paid for a machine that was sold stays paid: the machine is handed out.
//! What was paid for the use of one for a term comes back for what is left of it when the operator ends it, rounded up, out
//! of the operator's revenue; an owner who ends it himself gets nothing back. All of it is in the signed terms
//! ([`gruve_statement::hosting::END_RULE`]), and on the statement.

use crate::contract::{Contract, HostingKind, HostingState};
use crate::dispute::withdraw_offer;
use crate::service::{Hosting, find, own};
use crate::{HostingError, Result, sql};
use gruve_statement::hosting::EndedBy;
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Amount, ContractId, EpochNumber, Timestamp};

/// That a contract was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The first epoch that is no longer its own.
    pub until: EpochNumber,
    /// What of its price came back to its owner.
    pub back: Option<Amount>,
    /// What of its price was left, in minor units: all of it came back, but for what was kept for a payment that was taken back.
    pub left: i64,
}

impl Hosting {
    /// The operator ends a contract: the machine is the house's from an epoch's border ahead. What was sold is
    /// then handed out ([`gruve_farm::Farm::set_state`] to `returned`), what was leased stays.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotNow`], [`HostingError::Bound`], the farm's; for an owner of a machine
    /// that was sold [`HostingError::Disputed`].
    pub async fn end(&self, contract: ContractId) -> Result<Ended> {
        transact!(self.store, tx -> Result<_> => { self.end_in(tx, contract, None).await })
    }

    /// The operator (`None`) or its owner ends a contract, within the caller's transaction.
    ///
    /// # Errors
    /// As [`Hosting::end`].
    pub async fn end_in(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        by: Option<AccountId>,
    ) -> Result<Ended> {
        let c = find(tx, contract).await?;
        let c = match by {
            Some(account) => own(c, account)?,
            None => c,
        };
        if c.state != HostingState::Active {
            return Err(HostingError::NotNow(c.state.name()));
        }
        let until = self.farm.next_border(&c.lane)?;
        if !c.runs_beyond(until) {
            return Err(HostingError::NotNow("ended or handed on"));
        }
        let terms = c.agreed()?;
        if c.term_end.is_some() && terms.end_rule.is_none() {
            return Err(HostingError::Bound);
        }
        if by.is_some() && c.is_frozen && c.terms.kind == HostingKind::Sold {
            // The machine itself would be handed out, and may have to come back into stock.
            return Err(HostingError::Disputed);
        }
        withdraw_offer(tx, c.machine).await?;
        let ended_by = by.map_or(EndedBy::Operator, |_| EndedBy::Owner);
        let left = c.term_end.map_or(0, |end| end.0.saturating_sub(until.0));
        let back = match (&terms.back, ended_by) {
            (Some(back), EndedBy::Operator) => {
                let minor = back.of(left).map_err(|_| HostingError::Broken("a term"))?;
                Some(Amount::new(back.asset, minor)).filter(|back| back.minor > 0)
            }
            _ => None,
        };
        let amount = back.unwrap_or_else(|| Amount::zero(c.price.asset));
        self.cut(tx, &c, until, (ended_by, amount)).await?;
        let what = match c.terms.kind {
            HostingKind::Sold => "hosting ends: to be handed out",
            HostingKind::Leased => "lease ends",
        };
        self.farm.note(tx, c.machine, what).await?;
        Ok(Ended { until, back, left: amount.minor })
    }

    /// Writes down that a contract ends before an epoch, by whom, when, and what came back.
    pub(crate) async fn set_end(
        &self,
        tx: &mut Tx,
        c: &Contract,
        until: EpochNumber,
        (by, at, back): (EndedBy, Timestamp, i64),
    ) -> Result<()> {
        match tx.execute(sql::SET_END, &params![c.id, until, by.name(), at, back]).await? {
            1 => Ok(()),
            _ => Err(HostingError::NotNow("ended or handed on")),
        }
    }
}
