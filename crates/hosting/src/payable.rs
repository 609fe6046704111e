//! What machines have earned goes to their owners' addresses.
//!
//! With each settlement what an owner's machines on a lane earned, less the bills of that settlement, is added to what
//! is to be paid, if the owner has named an address. Whoever pays (the treasury, asked by the running house) first
//! has the payment written down here with its number, then asks for it under that number, then has it ticked off:
//! killed in between, the same payment is asked for again, and is the same.

use crate::contract::Address;
use crate::service::Hosting;
use crate::{HostingError, Result, sql};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, LaneId, Timestamp};

/// Owners looked at in one go.
const LISTED_MAX: usize = 1_000;

/// A payment that is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What it is known by: the same for every try.
    pub key: String,
    /// How much.
    pub amount: Amount,
    /// Where to.
    pub address: String,
}

/// What an owner is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payable {
    /// The owner.
    pub account: AccountId,
    /// The lane that it was earned on.
    pub lane: LaneId,
    /// How much, what is under way included.
    pub amount: Amount,
    /// The address in force now; none where the owner has no machine with one any more.
    pub address: Option<String>,
    /// What of the lane's own coin must wait at least, as the contract with that address says.
    pub minimum_minor: i64,
    /// What is under way.
    pub pending: Option<Payment>,
    n: i64,
}

impl Payable {
    /// Within the account. At most 60 characters: a lane has 16.
    fn key(lane: &LaneId, asset: Asset, n: i64) -> String {
        format!("hosted-machines/{lane}/{asset}/{n}")
    }

    fn read(row: &Row) -> Result<Payable> {
        let (account, lane): (AccountId, LaneId) = (row.get("account")?, row.get("lane")?);
        let (asset, n): (Asset, i64) = (row.get("asset")?, row.get("n")?);
        let minor: Option<i64> = row.get("pending_minor")?;
        let address: Option<String> = row.get("pending_address")?;
        let pending = minor.zip(address).map(|(minor, address)| Payment {
            key: Payable::key(&lane, asset, n),
            amount: Amount::new(asset, minor),
            address,
        });
        let amount = Amount::new(asset, row.get("minor")?);
        Ok(Payable { account, lane, amount, address: None, minimum_minor: 0, pending, n })
    }
}

/// The address of an owner's machines on a lane, that of the newest contract which has one, and its minimum.
async fn address(
    tx: &mut Tx,
    account: AccountId,
    lane: &LaneId,
    now: Timestamp,
) -> Result<Option<(String, i64)>> {
    let Some(row) = tx.fetch_optional(sql::ADDRESSES, &params![account, lane, now]).await? else {
        return Ok(None);
    };
    let next: Option<String> = row.get("next_address")?;
    let address =
        Address { now: row.get("address")?, next: next.zip(row.get("next_address_from")?) };
    let minimum = row.get("minimum_minor")?;
    Ok(address.at(now).map(|a| (a.to_owned(), minimum)))
}

impl Hosting {
    /// Adds to what an owner is to get, within a settlement's transaction; nothing without an address.
    pub(crate) async fn add_payable(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lane: &LaneId,
        earned: Amount,
        now: Timestamp,
    ) -> Result<()> {
        if earned.minor <= 0 || address(tx, account, lane, now).await?.is_none() {
            return Ok(());
        }
        let row = tx.fetch_optional(sql::PAYABLE, &params![account, lane, earned.asset]).await?;
        let old = row.as_ref().map(Payable::read).transpose()?;
        let (minor, n, pending) = match old {
            None => (0, 0, None),
            Some(p) => (p.amount.minor, p.n, p.pending),
        };
        let sum = minor.checked_add(earned.minor).ok_or(HostingError::Overflow("earnings"))?;
        put(tx, account, lane, Amount::new(earned.asset, sum), n, pending).await
    }

    /// Who is to get what: a page of some thousand, those behind one of them. An empty page is the end. Whoever
    /// pays goes through all pages: rows that cannot be paid now hide none behind them.
    ///
    /// # Errors
    /// The database's.
    pub async fn payables(&self, after: Option<&Payable>) -> Result<Vec<Payable>> {
        let now = self.clock.now();
        let mut tx = self.store.read().await?;
        let limit = i64::try_from(LISTED_MAX).unwrap_or(i64::MAX);
        let given = match after {
            Some(p) => params![p.account, &p.lane, p.amount.asset, limit],
            // No account has it, and it stands before all.
            None => params![AccountId::from_bytes([0; 16]), "", "", limit],
        };
        let rows = tx.fetch_all(sql::PAYABLES, &given).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut one = Payable::read(row)?;
            if let Some((to, minimum)) = address(&mut tx, one.account, &one.lane, now).await? {
                (one.address, one.minimum_minor) = (Some(to), minimum);
            }
            all.push(one);
        }
        Ok(all)
    }

    /// Drops the addresses of an account's contracts that do not count yet, and what partners were to share with them:
    /// whoever had set them may have been a thief. How many contracts had one.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_next_addresses(&self, account: AccountId) -> Result<u64> {
        let now = self.clock.now();
        transact!(self.store, tx -> Result<u64> => {
            tx.execute(sql::DROP_NEXT_PARTS, &params![account, now]).await?;
            Ok(tx.execute(sql::DROP_NEXT_ADDRESSES, &params![account, now]).await?)
        })
    }

    /// Writes a payment down; what is under way already is given instead.
    ///
    /// # Errors
    /// [`HostingError::BadTerms`] when it is more than is to be paid.
    pub async fn begin_payment(&self, p: &Payable, minor: i64, to: &str) -> Result<Payment> {
        let asset = p.amount.asset;
        transact!(self.store, tx -> Result<_> => {
            let row = tx.fetch_one(sql::PAYABLE, &params![p.account, &p.lane, asset]).await?;
            let now = Payable::read(&row)?;
            if let Some(pending) = now.pending {
                return Ok(pending);
            }
            if minor <= 0 || minor > now.amount.minor {
                return Err(HostingError::BadTerms("more than there is to pay"));
            }
            let payment = Payment {
                key: Payable::key(&p.lane, asset, now.n),
                amount: Amount::new(asset, minor),
                address: to.to_owned(),
            };
            put(tx, p.account, &p.lane, now.amount, now.n, Some(payment.clone())).await?;
            Ok(payment)
        })
    }

    /// Ticks a payment off that was made, or that never will be: then what it was of stays in the owner's balance.
    /// Doing it again does nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_payment(&self, p: &Payable, payment: &Payment) -> Result<()> {
        let asset = p.amount.asset;
        transact!(self.store, tx -> Result<()> => {
            let row = tx.fetch_one(sql::PAYABLE, &params![p.account, &p.lane, asset]).await?;
            let now = Payable::read(&row)?;
            if now.pending.as_ref() != Some(payment) {
                return Ok(());
            }
            let rest = Amount::new(asset, now.amount.minor - payment.amount.minor);
            put(tx, p.account, &p.lane, rest, now.n + 1, None).await
        })
    }
}

async fn put(
    tx: &mut Tx,
    account: AccountId,
    lane: &LaneId,
    amount: Amount,
    n: i64,
    pending: Option<Payment>,
) -> Result<()> {
    let (minor, address) = match pending {
        Some(p) => (Some(p.amount.minor), Some(p.address)),
        None => (None, None),
    };
    let given = params![account, lane, amount.asset, amount.minor, n, minor, address];
    tx.execute(sql::SET_PAYABLE, &given).await?;
    Ok(())
}
