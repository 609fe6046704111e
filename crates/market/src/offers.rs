//! Plans that staff makes, changes and withdraws while the house runs, beside those of the file.
//!
//! # The rule
//! What was last said here of a plan's name counts, and goes before the file; taken back
//! ([`Market::plan_as_filed`]), the file counts again. Every change is a new version of the plan. Quotes of an
//! earlier version are void, contracts keep the terms that they were sold under. A plan may not come to sell
//! another kind of thing, or another lane's work: contracts would be renewed as something else; a metered one keeps
//! scheme and coin as well, because its contracts go on at its price.
//!
//! # Promises
//! What is on offer in memory is what the database says: changes are made one after the other.

use crate::{Market, MarketError, PLANS_MAX, Plan, PlanConfig, PlanKind, Result, Scheme, sql};
use gruve_store::{Migration, Row, Tx, params, statements, transact};
use gruve_units::{Asset, LaneId, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Names that were ever said here at most: withdrawn plans stay, so that they can be offered again. Five
/// catalogues full.
pub const OFFERS_MAX: u32 = 1_000;

/// Why a name is not taken again.
const SOLD_OTHERWISE: &str = "a plan of that name sold another lane's work, another kind, or by the meter under \
    another scheme or coin; take a new name";

/// The tables of plans that are no file's.
pub const OFFER_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "offers",
    sqlite: include_str!("../migrations/0001_offers.sqlite.sql"),
    postgres: include_str!("../migrations/0001_offers.postgres.sql"),
}];

statements! {
    OFFERS = "SELECT plan, body, is_withdrawn, changed_at FROM market_offers ORDER BY plan LIMIT $1";
    PUT_OFFER = "INSERT INTO market_offers (plan, body, is_withdrawn, changed_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (plan) DO UPDATE SET body = excluded.body, is_withdrawn = excluded.is_withdrawn,
        changed_at = excluded.changed_at";
    DROP_OFFER = "DELETE FROM market_offers WHERE plan = $1";
}

/// Where a plan's words come from, and whether it is on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferStanding {
    /// As in the file.
    Filed,
    /// As said here.
    Said,
    /// Taken off sale here.
    Withdrawn,
    /// As said here, but it cannot be offered with this configuration, for this reason.
    Unfit(&'static str),
}

impl OfferStanding {
    /// The stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OfferStanding::Filed => "filed",
            OfferStanding::Said => "said",
            OfferStanding::Withdrawn => "withdrawn",
            OfferStanding::Unfit(_) => "unfit",
        }
    }
}

/// A plan as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it says, or said last.
    pub plan: PlanConfig,
    /// How it stands.
    pub standing: OfferStanding,
    /// Its version, where it is on offer.
    pub version: Option<u32>,
    /// Whether the file has a plan of that name.
    pub is_filed: bool,
    /// When it was last changed here.
    pub changed_at: Option<Timestamp>,
}

/// What was said here of a plan.
struct Said {
    plan: PlanConfig,
    is_withdrawn: bool,
    changed_at: Timestamp,
}

fn read(row: &Row) -> Result<(String, Said)> {
    let body: Vec<u8> = row.get("body")?;
    let plan = serde_json::from_slice(&body)
        .map_err(|e| MarketError::Broken(format!("a plan said here: {e}")))?;
    let (is_withdrawn, changed_at) = (row.get("is_withdrawn")?, row.get("changed_at")?);
    Ok((row.get("plan")?, Said { plan, is_withdrawn, changed_at }))
}

async fn said(tx: &mut Tx) -> Result<BTreeMap<String, Said>> {
    // One more than there can be.
    let rows = tx.fetch_all(OFFERS, &params![OFFERS_MAX + 1]).await?;
    rows.iter().map(read).collect()
}

async fn put(tx: &mut Tx, plan: &PlanConfig, is_withdrawn: bool, now: Timestamp) -> Result<()> {
    let body = serde_json::to_vec(plan).map_err(|e| MarketError::Broken(e.to_string()))?;
    tx.execute(PUT_OFFER, &params![plan.id.as_str(), body, is_withdrawn, now]).await?;
    Ok(())
}

/// What contracts of a plan count on beside its terms: renewals on lane and kind; metered ones, whose price is
/// that of the plan for ever, on what they earn by and pay in as well.
#[derive(PartialEq, Eq)]
struct SoldAs {
    lane: LaneId,
    kind: PlanKind,
    metered: Option<(Scheme, Asset)>,
}

impl SoldAs {
    fn new(lane: LaneId, kind: PlanKind, scheme: Scheme, paid_in: Asset) -> SoldAs {
        let metered = (kind == PlanKind::Metered).then_some((scheme, paid_in));
        SoldAs { lane, kind, metered }
    }

    /// As the plan's last version was sold, if it was ever on offer.
    async fn last(tx: &mut Tx, id: &str) -> Result<Option<SoldAs>> {
        /// Of a stored version, what is asked for here.
        #[derive(Deserialize)]
        struct Body {
            plan: PlanConfig,
            paid_in: Asset,
        }
        let Some(row) = tx.fetch_optional(sql::LATEST_PLAN, &params![id]).await? else {
            return Ok(None);
        };
        let body: Vec<u8> = row.get("body")?;
        let body: Body = serde_json::from_slice(&body)
            .map_err(|e| MarketError::Broken(format!("a stored plan: {e}")))?;
        let PlanConfig { lane, kind, scheme, .. } = body.plan;
        Ok(Some(SoldAs::new(lane, kind, scheme, body.paid_in)))
    }
}

impl Market {
    /// All plans as the operator sees them, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn offers(&self) -> Result<Vec<Offer>> {
        let mut tx = self.store().read().await?;
        let mut said = said(&mut tx).await?;
        drop(tx);
        let on_sale = self.plans_where(|_| true);
        let mut all = Vec::new();
        for plan in &self.config().plans {
            if !said.contains_key(&plan.id) {
                let version = on_sale.iter().find(|p| p.id == plan.id).map(|p| p.version);
                let (plan, standing) = (plan.clone(), OfferStanding::Filed);
                all.push(Offer { plan, standing, version, is_filed: true, changed_at: None });
            }
        }
        while let Some((id, one)) = said.pop_first() {
            let standing = match self.config().check_plan(&one.plan) {
                _ if one.is_withdrawn => OfferStanding::Withdrawn,
                Ok(()) => OfferStanding::Said,
                Err(why) => OfferStanding::Unfit(why),
            };
            all.push(Offer {
                version: on_sale.iter().find(|p| p.id == id).map(|p| p.version),
                is_filed: self.config().plans.iter().any(|p| p.id == id),
                changed_at: Some(one.changed_at),
                plan: one.plan,
                standing,
            });
        }
        all.sort_by(|a, b| a.plan.id.cmp(&b.plan.id));
        Ok(all)
    }

    /// Makes a plan, or changes the one of that name, and puts it on sale.
    ///
    /// # Errors
    /// [`MarketError::BadPlan`] with the reason; the database's.
    pub async fn put_plan(&self, plan: PlanConfig) -> Result<Plan> {
        let bad = |why: &str| MarketError::BadPlan(format!("{}: {why}", plan.id));
        self.config().check_plan(&plan).map_err(bad)?;
        let one_at_a_time = self.inner.offers.lock().await;
        let now = self.now();
        let plans = transact!(self.store(), tx -> Result<Vec<Plan>> => {
            let paid_in = plan.pay_asset.unwrap_or(self.lane(&plan.lane)?.asset);
            let new = SoldAs::new(plan.lane.clone(), plan.kind, plan.scheme, paid_in);
            if SoldAs::last(tx, &plan.id).await?.is_some_and(|last| last != new) {
                return Err(bad(SOLD_OTHERWISE));
            }
            put(tx, &plan, false, now).await?;
            let names = said(tx).await?.len();
            let plans = self.store_plans(tx, now).await?;
            if plans.len() > PLANS_MAX || names > OFFERS_MAX as usize {
                return Err(bad("there are as many plans as there may be"));
            }
            Ok(plans)
        })?;
        self.offer(plans);
        drop(one_at_a_time);
        let found = self.plans_where(|p| p.id == plan.id).into_iter().next();
        found.ok_or(MarketError::UnknownPlan)
    }

    /// Takes a plan off sale. Contracts run on; metered ones, which have no term, stop where no hold can be made
    /// at a price of the plan.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`]; the database's.
    pub async fn withdraw_plan(&self, id: &str) -> Result<()> {
        let _one_at_a_time = self.inner.offers.lock().await;
        let now = self.now();
        let plans = transact!(self.store(), tx -> Result<Vec<Plan>> => {
            let mut said = said(tx).await?;
            let filed = || self.config().plans.iter().find(|p| p.id == id).cloned();
            let plan = said.remove(id).map(|s| s.plan).or_else(filed);
            put(tx, &plan.ok_or(MarketError::UnknownPlan)?, true, now).await?;
            self.store_plans(tx, now).await
        })?;
        self.offer(plans);
        Ok(())
    }

    /// Forgets what was said here of a plan that the file has: the file counts again.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`] when the file has none of that name; [`MarketError::BadPlan`]; the database's.
    pub async fn plan_as_filed(&self, id: &str) -> Result<()> {
        let filed = self.config().plans.iter().find(|p| p.id == id);
        let filed = filed.ok_or(MarketError::UnknownPlan)?;
        let _one_at_a_time = self.inner.offers.lock().await;
        let now = self.now();
        let plans = transact!(self.store(), tx -> Result<Vec<Plan>> => {
            tx.execute(DROP_OFFER, &params![id]).await?;
            let plans = self.store_plans(tx, now).await?;
            if plans.len() > PLANS_MAX {
                let why = format!("{}: there are as many plans as there may be", filed.id);
                return Err(MarketError::BadPlan(why));
            }
            Ok(plans)
        })?;
        self.offer(plans);
        Ok(())
    }

    /// What is on sale: the file's plans, less those that something was said of here, and what was said.
    pub(crate) async fn on_sale(&self, tx: &mut Tx) -> Result<Vec<PlanConfig>> {
        let said = said(tx).await?;
        let filed = self.config().plans.iter().filter(|p| !said.contains_key(&p.id));
        let mut all: Vec<PlanConfig> = filed.cloned().collect();
        for (id, one) in said {
            match self.config().check_plan(&one.plan) {
                _ if one.is_withdrawn => {}
                Ok(()) => all.push(one.plan),
                // The file has changed since; the house must open all the same.
                Err(why) => {
                    tracing::error!(plan = id, why, "a plan made in the console cannot be offered");
                }
            }
        }
        Ok(all)
    }

    fn offer(&self, plans: Vec<Plan>) {
        *self.inner.plans.write().unwrap_or_else(PoisonError::into_inner) = plans;
    }
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, matches_on_both_engines, testing};

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in super::OFFER_MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("market_offers", super::OFFER_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { offer_statements: [every_statement_prepares] }
}
