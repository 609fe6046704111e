//! What an offer would cost and may earn, before anybody asks for it: nothing is written and nothing held.
//!
//! The same figures and model as a quote's forecast; the seed is made of what is asked, so the same question has the
//! same answer while the lane's figures stand.

use crate::config::{PaysFrom, PlanKind};
use crate::metered::UnitPrice;
use crate::outlook::Asked;
use crate::{Market, MarketError, Plan, QuoteForecast, Result, terms};
use gruve_units::{Amount, Duration, Hashes, Hashrate};

/// Days that something without a term may be looked ahead for at most: ten years, as far as a future goes.
pub const AHEAD_DAYS_MAX: u32 = 3_650;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// A lease of so much for so many epochs.
    Lease(Hashrate, u64),
    /// So much by the meter, looked at over so many days.
    Metered(Hashrate, u32),
    /// A machine of that nameplate and those watts, over so many days.
    Machine(Hashrate, u32, u32),
}

/// What it would cost and may earn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Of what rate.
    pub hashrate: Hashrate,
    /// Over how many seconds.
    pub secs: u64,
    /// The work of that time.
    pub work: Hashes,
    /// What is paid at the start.
    pub price: Amount,
    /// What is paid along the way: by the meter, or electricity and hosting.
    pub running: Option<Amount>,
    /// Of that for a day.
    pub running_a_day: Option<Amount>,
    /// What it may earn; `None` while the lane's figures are not known.
    pub forecast: Option<QuoteForecast>,
}

impl Market {
    /// What a plan would cost and may earn. Whether there is so much for sale is not asked.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`] (also for a plan of another kind than is asked), [`MarketError::HashrateNotOffered`],
    /// [`MarketError::TermNotOffered`] (also for days beyond [`AHEAD_DAYS_MAX`]), [`MarketError::PriceTooLarge`]; the
    /// database's.
    pub async fn estimate(&self, plan: &str, ask: Ask) -> Result<Estimate> {
        let plan = match ask {
            Ask::Machine(..) => self.hosted_plans().into_iter().find(|p| p.id == plan),
            _ => self.plan(plan).ok(),
        };
        let plan = plan.ok_or(MarketError::UnknownPlan)?;
        let mut e = costs(&plan, ask)?;
        let is_waived = plan.hosted.as_ref().is_some_and(|h| h.pays_from == PaysFrom::Earnings);
        // With nothing at the start, what is paid along the way is what it is measured by.
        let first = match e.running {
            Some(r) if e.price.minor == 0 => Amount::zero(r.asset),
            _ => e.price,
        };
        let asked = Asked {
            hashrate: e.hashrate,
            term_us: u128::from(e.secs) * 1_000_000,
            price: first,
            running: e.running.map(|r| (r, is_waived)),
            seed: seed(&plan, ask),
        };
        e.forecast = self.drawn(&plan, asked).await?;
        Ok(e)
    }
}

fn seed(plan: &Plan, ask: Ask) -> u64 {
    let text = format!("{} {} {ask:?}", plan.id, plan.version);
    let hash = gruve_statement::terms::hash(text.as_bytes());
    hash.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b))
}

/// Whole days in seconds, within what a future is drawn for.
fn days(n: u32) -> Result<u64> {
    if (1..=AHEAD_DAYS_MAX).contains(&n) {
        Ok(u64::from(n) * 86_400)
    } else {
        Err(MarketError::TermNotOffered)
    }
}

/// What is asked costs, without what it may earn. Pure.
fn costs(plan: &Plan, ask: Ask) -> Result<Estimate> {
    let is_of_kind = match ask {
        Ask::Lease(..) => plan.kind == PlanKind::Lease,
        Ask::Metered(..) => plan.kind == PlanKind::Metered,
        Ask::Machine(..) => plan.hosted.is_some(),
    };
    if !is_of_kind {
        return Err(MarketError::UnknownPlan);
    }
    let of = |hashrate: Hashrate, secs, price, running_a_day: Option<Amount>, running| Estimate {
        hashrate,
        secs,
        work: hashrate.work_in(Duration::from_secs(secs)),
        price,
        running,
        running_a_day,
        forecast: None,
    };
    match ask {
        Ask::Lease(rate, epochs) => {
            let sale = terms::price(plan, rate, epochs)?;
            let micros = u128::from(plan.epoch_us) * u128::from(epochs);
            let secs = u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
            Ok(Estimate { work: sale.work, ..of(rate, secs, sale.price, None, None) })
        }
        Ask::Metered(rate, n) => {
            let (min, max, step) = (plan.hashrate_min, plan.hashrate_max, plan.hashrate_step);
            if rate < min || rate > max || !rate.0.is_multiple_of(step.0.max(1)) {
                return Err(MarketError::HashrateNotOffered { min, max, step });
            }
            let secs = days(n)?;
            let price = UnitPrice { minor: plan.price.minor, hashrate: plan.price_hashrate };
            let cost = |secs| {
                let held = price.hold(rate.work_in(Duration::from_secs(secs)))?;
                Ok::<_, MarketError>(Amount::new(plan.price.asset, held))
            };
            let nothing = Amount::zero(plan.price.asset);
            Ok(of(rate, secs, nothing, Some(cost(86_400)?), Some(cost(secs)?)))
        }
        Ask::Machine(rate, watts, n) => {
            let h = plan.hosted.as_ref().ok_or(MarketError::UnknownPlan)?;
            // A machine that goes back earlier earns no longer than that.
            let term = u128::from(plan.epoch_us) * u128::from(h.term_epochs) / 1_000_000;
            let ends = u64::try_from(term).ok().filter(|t| *t > 0).unwrap_or(u64::MAX);
            let secs = days(n)?.min(ends);
            let bills = h.bill_asset.unwrap_or(plan.asset);
            // Thousandths of minor units for a day.
            let energy = u128::from(h.energy_minor_per_kwh) * u128::from(watts) * 24;
            let a_day = energy + u128::from(h.fee_minor_per_day) * 1_000;
            let cost = |secs: u64| {
                let sum = (a_day * u128::from(secs)).div_ceil(86_400 * 1_000);
                let minor = i64::try_from(sum).map_err(|_| MarketError::PriceTooLarge)?;
                Ok::<_, MarketError>(Amount::new(bills, minor))
            };
            Ok(of(rate, secs, plan.price, Some(cost(86_400)?), Some(cost(secs)?)))
        }
    }
}

/// The least that a lease of a plan costs at the start; `None` of a plan that is no lease.
#[must_use]
pub fn least_price(plan: &Plan) -> Option<Amount> {
    let shortest = plan.terms_epochs.iter().min().copied()?;
    let is_lease = plan.kind == PlanKind::Lease;
    terms::price(plan, plan.hashrate_min, shortest).ok().filter(|_| is_lease).map(|s| s.price)
}
