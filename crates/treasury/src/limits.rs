//! What may leave in a day without a person, and how many people a large payout takes.
//!
//! Nothing is refused here: what is above a limit waits for somebody to look at it, so that coins stay
//! withdrawable. Promises: limits are checked in the transaction of the request; an approval counts once a person;
//! the last that is needed lets the payout go. What it must not know: who people are.

use crate::{Payout, Result, Treasury, TreasuryError, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, Asset, Duration, PayoutId};

/// What a limit by the day looks back over.
const DAY: Duration = Duration::from_secs(86_400);
/// Characters of an approver's name.
const APPROVER_CHARS_MAX: usize = 64;

/// Why a payout takes two people, as it is kept with it. What its account asked for in the same day counts with
/// it, so that nobody gets past two people by asking for parts.
const TAKES_TWO: &str =
    "it is large, with what was asked for in the same day: two people look at it";

/// Limits of one asset's payouts, in its minor units; none where it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutLimits {
    /// The asset.
    pub asset: Asset,
    /// What one customer may ask for in 24 hours without a person's approval.
    pub customer_day: Option<i64>,
    /// The same of all customers together.
    pub house_day: Option<i64>,
    /// Payouts by which a customer asks for more than this in 24 hours take the approval of two people.
    pub two_above: Option<i64>,
}

/// What an approval came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The payout goes out, or has gone already.
    Given,
    /// Another person must approve it too.
    OneMore,
}

/// Up to what payouts of an asset need nobody's look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutBounds {
    /// A single one.
    pub one: i64,
    /// All that a customer asks for in 24 hours, where that is bounded.
    pub day: Option<i64>,
    /// Above this in 24 hours two people must approve.
    pub two_above: Option<i64>,
}

impl Treasury {
    /// Up to what payouts of an asset need nobody's look; `None` of an asset that is not paid out here.
    #[must_use]
    pub fn payout_bounds(&self, asset: Asset) -> Option<PayoutBounds> {
        let one = match self.account_wallet(asset) {
            Ok(wallet) => wallet.policy.auto_approve_max,
            Err(_) => self.wallet(asset).ok()?.policy.auto_approve_max,
        };
        let limits = self.limits(asset);
        let day = limits.and_then(|l| l.customer_day);
        Some(PayoutBounds { one, day, two_above: limits.and_then(|l| l.two_above) })
    }

    fn limits(&self, asset: Asset) -> Option<&PayoutLimits> {
        self.0.limits.iter().find(|l| l.asset == asset)
    }

    /// Whether an amount may go from a customer to another within the caller's transaction. It is as gone as
    /// coins that left, so what stops or delays a payout stops it; as nobody can look at it later, it is refused
    /// where a payout would wait. `before` is what went so in the last day: of this account, and of all.
    ///
    /// # Errors
    /// [`TreasuryError::Disputed`], [`TreasuryError::NeedsALook`]; the database's.
    pub async fn may_hand_over(
        &self,
        tx: &mut Tx,
        account: AccountId,
        amount: Amount,
        before: (i64, i64),
    ) -> Result<()> {
        self.refuse_if_disputed(tx, account).await?;
        let auto_approve_max = match self.account_wallet(amount.asset) {
            Ok(wallet) => Some(wallet.policy.auto_approve_max),
            // Money of a bank has no wallet and no such bound.
            Err(_) => self.wallet(amount.asset).ok().map(|w| w.policy.auto_approve_max),
        };
        if auto_approve_max.is_some_and(|most| amount.minor > most) {
            return Err(TreasuryError::NeedsALook("it is large"));
        }
        match self.above_limits_after(tx, account, amount, before).await? {
            Some(why) => Err(TreasuryError::NeedsALook(why)),
            None => Ok(()),
        }
    }

    /// Refuses where a dispute about a payment of the account freezes it, within the caller's transaction.
    ///
    /// # Errors
    /// [`TreasuryError::Disputed`]; the database's.
    pub async fn refuse_if_disputed(&self, tx: &mut Tx, account: AccountId) -> Result<()> {
        match tx.fetch_optional(sql::DISPUTED, &params![account]).await? {
            Some(_) => Err(TreasuryError::Disputed),
            None => Ok(()),
        }
    }

    /// Why a payout asked for now waits for a person, if it does.
    pub(crate) async fn above_limits(
        &self,
        tx: &mut Tx,
        account: AccountId,
        amount: Amount,
    ) -> Result<Option<&'static str>> {
        self.above_limits_after(tx, account, amount, (0, 0)).await
    }

    /// The same where something else has left besides payouts.
    async fn above_limits_after(
        &self,
        tx: &mut Tx,
        account: AccountId,
        amount: Amount,
        before: (i64, i64),
    ) -> Result<Option<&'static str>> {
        let Some(limits) = self.limits(amount.asset) else { return Ok(None) };
        let since = self.now().minus(DAY);
        let row = tx.fetch_one(sql::ASKED_SINCE, &params![amount.asset, since, account]).await?;
        let (own, all): (i64, i64) = (row.get("own")?, row.get("everybody")?);
        let (own, all) = (own.saturating_add(before.0), all.saturating_add(before.1));
        if limits.two_above.is_some_and(|above| own.saturating_add(amount.minor) > above) {
            return Ok(Some(TAKES_TWO));
        }
        let passes = |sum: i64, limit: Option<i64>| {
            limit.is_some_and(|l| sum.saturating_add(amount.minor) > l)
        };
        if passes(own, limits.customer_day) {
            return Ok(Some("it is above what leaves an account in a day without a look at it"));
        }
        if passes(all, limits.house_day) {
            return Ok(Some("much has left the house today: somebody looks at it"));
        }
        Ok(None)
    }

    /// One person's approval of a payout that waits; how many are needed, its amount says.
    pub(crate) async fn approved_by(
        &self,
        tx: &mut Tx,
        payout: &Payout,
        approver: &str,
    ) -> Result<Approval> {
        if tx.fetch_optional(sql::DISPUTED, &params![payout.account]).await?.is_some() {
            return Err(TreasuryError::Disputed);
        }
        let approver: String = approver.chars().take(APPROVER_CHARS_MAX).collect();
        tx.execute(sql::APPROVE, &params![payout.id, approver.as_str(), self.now()]).await?;
        let row = tx.fetch_one(sql::COUNT_APPROVALS, &params![payout.id]).await?;
        let needed = i64::from(self.approvals_needed(payout));
        Ok(if row.get::<i64>("n")? >= needed { Approval::Given } else { Approval::OneMore })
    }

    /// Whether a payout that waits for this reason takes two people.
    pub(crate) fn takes_two(reason: Option<&str>) -> bool {
        reason == Some(TAKES_TWO)
    }

    /// How many people must approve a payout that waits.
    #[must_use]
    pub fn approvals_needed(&self, payout: &Payout) -> u32 {
        let two_above = self.limits(payout.amount.asset).and_then(|l| l.two_above);
        let is_large = two_above.is_some_and(|above| payout.amount.minor > above);
        if is_large || payout.takes_two { 2 } else { 1 }
    }

    /// Who has approved a payout so far.
    ///
    /// # Errors
    /// The database's.
    pub async fn approvers(&self, id: PayoutId) -> Result<Vec<String>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::APPROVERS, &params![id]).await?;
        rows.iter().map(|r| Ok(r.get("approver")?)).collect()
    }
}
