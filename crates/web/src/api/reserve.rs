//! What stands behind FPPS, and whose prices count: figures for everybody.

use crate::api::{Money, amount};
use crate::extract::Params;
use crate::failure::Failure;
use crate::openapi::{Answer, Fine, List, answers, requests};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use gruve_market::{FppsPlanStatus, FppsStatus};
use gruve_units::{Asset, LaneId};

requests! {
    /// Of which lane.
    struct OfLane {
        /// The lane's name.
        lane: LaneId,
    }
}

answers! {
    /// What stands behind FPPS in one asset.
    struct FppsBody {
        /// Which.
        asset: Asset,
        /// The reserve.
        reserve: Money,
        /// Its part of rewards that mature.
        maturing: Money,
        /// What it owes.
        owed: Money,
        /// What is left when all is paid, minor units as text; it may be negative.
        cover_minor: String,
        /// Epochs whose pay is not settled.
        open_epochs: u64,
        /// The plans.
        plans: Vec<FppsPlanBody>,
    }

    /// A plan under FPPS.
    struct FppsPlanBody {
        /// Its id.
        plan: String,
        /// Of how much luck the floor is reckoned.
        theta: f64,
        /// Ruin that is accepted, in millionths.
        ruin_ppm: u32,
        /// What a block brings.
        block_minor: Option<i64>,
        /// The floor of the reserve; null while fees are not known.
        floor_minor: Option<i64>,
        /// Whether it is sold now.
        is_sold: bool,
    }

    /// Whose prices count.
    struct SourcesBody {
        /// How many must tell one.
        quorum: u32,
        /// How old a word may be.
        staleness_secs: u32,
        /// How far from the median of all a word may be to count, in hundredths of a percent; null where all count.
        outlier_bps: Option<u32>,
        /// Who tells.
        sources: Vec<SourceBody>,
    }

    /// One who tells prices.
    struct SourceBody {
        /// The name.
        name: String,
        /// Of which asset.
        asset: Asset,
        /// Whether a person types them.
        by_hand: bool,
    }
}

/// `GET /api/v1/fpps?lane=btc`: for each asset the reserve, what it owes, and for each plan the floor and whether it is sold.
pub(crate) async fn fpps(
    State(state): State<AppState>,
    Params(q): Params<OfLane>,
) -> Result<Fine<List<FppsBody>>, Failure> {
    let mut tx = state.store().read().await?;
    let all = state.market().fpps_status(&mut tx, &q.lane).await;
    let all = all.map_err(|e| market_failure(&e))?;
    tx.rollback().await?;
    Ok(List::whole(all.iter().map(reserve)))
}

/// What stands behind FPPS in one asset.
pub(crate) fn reserve(s: &FppsStatus) -> FppsBody {
    FppsBody {
        asset: s.reserve.asset,
        reserve: amount(s.reserve),
        maturing: amount(s.maturing),
        owed: amount(s.owed),
        cover_minor: s.cover.to_string(),
        open_epochs: s.open_epochs,
        plans: s.plans.iter().map(plan).collect(),
    }
}

fn plan(p: &FppsPlanStatus) -> FppsPlanBody {
    FppsPlanBody {
        plan: p.plan.clone(),
        theta: p.theta,
        ruin_ppm: p.ruin_ppm,
        block_minor: p.block_minor,
        floor_minor: p.floor_minor,
        is_sold: p.is_sold,
    }
}

/// `GET /api/v1/price-sources`: who tells prices, how many must, and how old a word may be.
pub(crate) async fn sources(State(state): State<AppState>) -> Result<Fine<SourcesBody>, Failure> {
    let rules = &state.market().config().prices;
    let sources = rules.sources.iter().map(|s| SourceBody {
        name: s.name.clone(),
        asset: s.asset,
        by_hand: s.url.is_none(),
    });
    Ok(Answer(SourcesBody {
        quorum: rules.quorum,
        staleness_secs: rules.staleness_secs,
        outlier_bps: rules.outlier_bps,
        sources: sources.collect(),
    }))
}
