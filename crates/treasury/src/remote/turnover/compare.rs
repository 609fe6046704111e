//! The service's word of what it has of ours, held against the books.

use super::{READ_EVERY, at_service, lines_of, sql};
use crate::remote::checkouts::service_error;
use crate::remote::stripe::Stripe;
use crate::{Method, Result, Treasury, TreasuryError};
use gruve_ledger::balance;
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, Duration, Timestamp};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// How often it is tried while the account moves under the reading.
const TRIES: u32 = 3;
/// Pages of its account that are read: fifty thousand lines.
const PAGES_MAX: u32 = 2_500;
/// Currencies that are compared: those of banks.
const FIAT: [Asset; 2] = [Asset::Eur, Asset::Usd];
/// A payment has its line a moment after it was made; one that has none for longer has lost it.
const LINE_WITHIN: Duration = Duration::from_secs(2 * 86_400);
/// Payments without a line that are told of at most.
const TOLD_MAX: u32 = 50;

/// A service's account and the books side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceComparison {
    /// The service's method.
    pub method: Method,
    /// What it says that it has of ours.
    pub there: Amount,
    /// What the books have at it.
    pub books: Amount,
    /// What its account has and the books do not yet: they are read hourly.
    pub unread: Amount,
    /// How many lines that is.
    pub lines_unread: u64,
    /// What the service has less what the books have and will have; zero.
    pub difference: Amount,
}

/// What was compared last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicesCompared {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub all: Vec<ServiceComparison>,
}

impl Treasury {
    /// What the services said when their accounts were last read, beside the books of then; `None` before the first time in
    /// this process, and without such a service. One that does not answer leaves it as it was.
    #[must_use]
    pub fn services_compared(&self) -> Option<ServicesCompared> {
        self.0.compared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares, for whoever looks later, what was read at a time.
    pub(super) async fn compare_for_later(&self, stripe: &Stripe, read: Timestamp) -> Result<()> {
        match self.compare_shortly(stripe, read).await {
            Ok(None) => Ok(()),
            Ok(Some(all)) => {
                let compared = ServicesCompared { at: self.now(), all };
                *self.0.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some(compared);
                Ok(())
            }
            Err(TreasuryError::Service { method, why, .. }) => {
                tracing::warn!(%method, why, "its account is compared later");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// As [`Treasury::compare_services`]; its account is only read where what it has is not what was read of it, and for
    /// that once in [`READ_EVERY`]: `None` before. A difference may stand for long, and payments wait for the reading.
    async fn compare_shortly(
        &self,
        stripe: &Stripe,
        read: Timestamp,
    ) -> Result<Option<Vec<ServiceComparison>>> {
        let there = balances(stripe).await?;
        let all = self.held_against_books(&there, &BTreeMap::new()).await?;
        if all.iter().all(|c| c.difference.minor == 0) {
            return Ok(Some(all));
        }
        {
            let mut turnover = self.0.turnover.lock().await;
            if read < turnover.compare_next {
                return Ok(None);
            }
            turnover.compare_next = read.plus(READ_EVERY);
        }
        self.compare_services().await.map(Some)
    }

    /// Asks the card service what it has of ours, and what of it is not booked yet. Nothing is written.
    ///
    /// # Errors
    /// [`TreasuryError::Service`] when it cannot be asked, or its account does not stand still; the database's.
    pub async fn compare_services(&self) -> Result<Vec<ServiceComparison>> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(Vec::new()) };
        for _ in 0..TRIES {
            let there = balances(stripe).await?;
            let told = self.told(stripe).await?;
            let all = self.held_against_books(&there, &told).await?;
            if there == balances(stripe).await? {
                return Ok(all);
            }
        }
        let why = "its account moves while it is read: try again".to_owned();
        Err(TreasuryError::Service { method: Method::Card, why, is_refused: false })
    }

    /// What each line comes to that the account has and the books may not have yet.
    async fn told(&self, stripe: &Stripe) -> Result<BTreeMap<String, Amount>> {
        let (mut told, mut after): (BTreeMap<String, Amount>, Option<String>) = Default::default();
        let since = self.turnover_since().await?;
        for _ in 0..PAGES_MAX {
            let page = stripe.turnover(since, after.as_deref()).await;
            let (entries, has_more) = page.map_err(|e| service_error(Method::Card, &e))?;
            // One that cannot be read is not counted, and so is a difference.
            let (lines, last, _) = lines_of(&entries);
            for line in lines {
                let net = line.amount.checked_sub(line.fee)?;
                told.insert(line.name, net);
            }
            if !has_more || last.is_none() || last == after {
                return Ok(told);
            }
            after = last;
        }
        let why = "its account has too many lines that are not read yet".to_owned();
        Err(TreasuryError::Service { method: Method::Card, why, is_refused: false })
    }

    /// The service's word beside the books of one moment: a house that books meanwhile has a line once, read or booked.
    async fn held_against_books(
        &self,
        there: &BTreeMap<Asset, i64>,
        told: &BTreeMap<String, Amount>,
    ) -> Result<Vec<ServiceComparison>> {
        let method = Method::Card;
        let mut tx = self.0.store.read().await?;
        let mut unread: BTreeMap<Asset, (u64, i64)> = BTreeMap::new();
        for asset in FIAT {
            let row = tx.fetch_one(sql::UNBOOKED_SUM, &params![method.word(), asset]).await?;
            unread.insert(asset, (row.get("n")?, row.get("minor")?));
        }
        for (name, net) in told {
            let given = params![method.word(), name.as_str()];
            if tx.fetch_optional(sql::STATE, &given).await?.is_some() {
                continue;
            }
            let (lines, sum) = unread.entry(net.asset).or_default();
            *lines += 1;
            *sum = sum.checked_add(net.minor).ok_or(gruve_units::AmountError::Overflow)?;
        }
        let mut all = Vec::new();
        for asset in FIAT {
            let there = Amount::new(asset, there.get(&asset).copied().unwrap_or_default());
            let books = balance(&mut tx, &at_service(), asset).await?;
            let (lines_unread, more) = unread.remove(&asset).unwrap_or_default();
            let unread = Amount::new(asset, more);
            let difference = there.checked_sub(books)?.checked_sub(unread)?;
            if [there, books, unread].iter().any(|a| a.minor != 0) || lines_unread > 0 {
                all.push(ServiceComparison {
                    method,
                    there,
                    books,
                    unread,
                    lines_unread,
                    difference,
                });
            }
        }
        Ok(all)
    }

    /// What of the lines that are booked does not hold: accounts that are not their sum, payments without a line.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_turnover(&self, tx: &mut Tx) -> Result<Vec<String>> {
        let (mut findings, method) = (Vec::new(), Method::Card.word());
        for asset in FIAT {
            let mut sums = [0_i128; 3];
            for (sum, of) in sums.iter_mut().zip([sql::BOOKED_SUM, sql::TOLD_SUM, sql::ARRIVED_SUM])
            {
                let minor: i64 = tx.fetch_one(of, &params![method, asset]).await?.get("minor")?;
                *sum = i128::from(minor);
            }
            let due = [(at_service(), sums[0]), (Method::Card.clearing(), sums[1] - sums[2])];
            for (account, sum) in due {
                let books = balance(tx, &account, asset).await?.minor;
                if i128::from(books) != sum {
                    let key = account.key();
                    findings.push(format!(
                        "cards: {key} has {books} minor units of {asset}, its lines come to {sum}"
                    ));
                }
            }
        }
        let read = tx.fetch_optional(sql::READ_UNTIL, &params![method]).await?;
        let Some(read) = read else { return Ok(findings) };
        let until: Timestamp = read.get("read_until")?;
        let given = params![method, until.minus(LINE_WITHIN), TOLD_MAX];
        for row in tx.fetch_all(sql::NOT_ARRIVED, &given).await? {
            let (id, name): (gruve_units::PaymentId, String) =
                (row.get("id")?, row.get("external")?);
            findings.push(format!("cards: payment {id} ({name}) is not on the service's account"));
        }
        Ok(findings)
    }
}

/// What the service says that it has of ours, ready and on its way.
async fn balances(stripe: &Stripe) -> Result<BTreeMap<Asset, i64>> {
    let asked = stripe.balances().await.map_err(|e| service_error(Method::Card, &e))?;
    let mut sums: BTreeMap<Asset, i64> = BTreeMap::new();
    for amount in asked {
        let sum = sums.entry(amount.asset).or_default();
        let minor = sum.checked_add(amount.minor);
        *sum = minor.ok_or(gruve_units::AmountError::Overflow)?;
    }
    Ok(sums)
}
