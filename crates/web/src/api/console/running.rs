//! The house at a glance, and what the operator records of machines taken away, for the operator's programs.

use crate::api::{Rate, rate};
use crate::deciding::Away;
use crate::extract::{Json, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, Made, answers, requests};
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use crate::view::LaneView;
use crate::{LiveChain, LiveNode};
use axum::extract::State;
use gruve_accounts::Permission::{RunMachines, SeeFarm};
use gruve_market::ActKind;
use gruve_treasury::PayoutState;
use gruve_units::{Asset, EpochNumber, Hashrate, LaneId};

requests! {
    /// Machines of the house that are away from the running epoch on.
    struct AwayNow {
        /// Of which lane.
        lane: LaneId,
        /// `idle` or `move`.
        what: String,
        /// How much hashpower: `110 TH/s`, or a whole number of hashes per second as text.
        hashrate: String,
        /// Why, for everybody to read.
        note: String = default,
    }

    /// Machines that work again from the next epoch on.
    struct BackNow {
        /// Of which lane.
        lane: LaneId,
        /// The record's number.
        number: u64,
    }
}

answers! {
    /// A record of machines that are away.
    struct AwayRecorded {
        /// Its number on its lane.
        number: u64,
    }

    /// What runs, what is sold, and what waits for a person.
    struct HouseBody {
        /// Payouts that wait for a person, 200 at most.
        payouts_to_decide: usize,
        /// Tickets that are open.
        open_tickets: usize,
        /// The lanes' nodes.
        nodes: Vec<NodeBody>,
        /// The lanes' chains as followed.
        chains: Vec<ChainBody>,
        /// What each lane can do, and what of it is sold.
        capacity: Vec<CapacityBody>,
        /// Where machines connect, lane by lane.
        gateways: Vec<GatewayBody>,
    }

    /// What a lane can do, and what of it is sold.
    struct CapacityBody {
        /// Which lane.
        lane: LaneId,
        /// What the house's machines do now.
        house: Rate,
        /// What is proven of them.
        proven: Rate,
        /// What of it is never sold.
        reserve: Rate,
        /// What is sold.
        sold: Rate,
        /// What is left for sale.
        available: Rate,
        /// What is sold beyond what is proven.
        oversold: Rate,
    }

    /// Where machines of a lane connect.
    struct GatewayBody {
        /// Which lane.
        lane: LaneId,
        /// At which address; null where none is told to everybody.
        address: Option<String>,
        /// Machines that are connected.
        connected: usize,
        /// Shares that closed epochs have counted.
        shares: u64,
        /// The epoch that was closed last.
        last_closed_epoch: Option<EpochNumber>,
    }

    /// A node.
    struct NodeBody {
        /// Of which lane.
        lane: LaneId,
        /// Of which coin's chain.
        asset: Asset,
        /// Host and port.
        name: String,
        /// `ready`, `behind`, `downloading`, `down` or `unusable`.
        standing: &'static str,
        /// Whether the lane's templates come from it.
        is_chosen: bool,
        /// Height of its best block.
        height: Option<u64>,
        /// Connected peers.
        peers: Option<u64>,
        /// Seconds since its last template.
        template_age_secs: Option<u64>,
        /// Looks that failed since the last good one.
        failures: u32,
    }

    /// How a chain is followed.
    struct ChainBody {
        /// Of which lane.
        lane: LaneId,
        /// Of which coin.
        asset: Asset,
        /// `starting`, `following`, `failing` or `halted`.
        standing: &'static str,
        /// The newest block that the books have.
        height: Option<u64>,
        /// Whether what matured is settled.
        settles: bool,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/console/overview",
            StaffBearer(SeeFarm),
            "What runs, and what waits for a person.",
            overview,
        )
        .api_post(
            "/api/v1/console/acts",
            StaffBearer(RunMachines),
            "Records that machines of the house are away.",
            away,
        )
        .api_post(
            "/api/v1/console/acts/back",
            StaffBearer(RunMachines),
            "Records that they work again.",
            back,
        )
}

fn node(n: LiveNode) -> NodeBody {
    NodeBody {
        lane: n.lane,
        asset: n.asset,
        name: n.name,
        standing: n.standing,
        is_chosen: n.is_chosen,
        height: n.height,
        peers: n.peers,
        template_age_secs: n.template_age.map(|age| age.as_secs()),
        failures: n.failures,
    }
}

fn chain(c: LiveChain) -> ChainBody {
    let (lane, asset, standing) = (c.lane, c.asset, c.standing);
    ChainBody { lane, asset, standing, height: c.height, settles: c.is_sound }
}

fn capacity(state: &AppState, l: &LaneView) -> CapacityBody {
    let s = &l.stats;
    CapacityBody {
        lane: s.lane.clone(),
        house: rate(s.house_hashrate),
        proven: rate(s.proven_capacity),
        reserve: rate(state.never_sold(s)),
        sold: rate(s.sold),
        available: rate(s.available),
        oversold: rate(s.oversold),
    }
}

fn gateway(l: &LaneView) -> GatewayBody {
    GatewayBody {
        lane: l.stats.lane.clone(),
        address: l.stratum.clone(),
        connected: l.machines,
        shares: l.stats.shares,
        last_closed_epoch: l.stats.last_closed,
    }
}

/// `GET /api/v1/console/overview`
async fn overview(State(state): State<AppState>) -> Result<Fine<HouseBody>, Failure> {
    let waiting = state.treasury().payouts_in_state(PayoutState::Requested).await?;
    let lanes = state.lanes().await?;
    Ok(Answer(HouseBody {
        payouts_to_decide: waiting.len(),
        open_tickets: state.farm().open_tickets().await?.len(),
        nodes: state.live().nodes().into_iter().map(node).collect(),
        chains: state.live().chains().into_iter().map(chain).collect(),
        capacity: lanes.iter().map(|l| capacity(&state, l)).collect(),
        gateways: lanes.iter().map(gateway).collect(),
    }))
}

/// `POST /api/v1/console/acts`
async fn away(
    State(state): State<AppState>,
    staff: Staff,
    Json(it): Json<AwayNow>,
) -> Result<Made<AwayRecorded>, Failure> {
    let what = [ActKind::Idle, ActKind::Move].into_iter().find(|k| k.name() == it.what);
    let what = what.ok_or_else(|| Failure::refused("`what` is idle or move."))?;
    let rate: Result<Hashrate, String> = it.hashrate.parse();
    let rate = rate.map_err(|e| Failure::refused(crate::failure::sentence(&e)))?;
    let away = Away { lane: it.lane, what, rate, note: &it.note };
    Ok(Answer(AwayRecorded { number: state.record_away(staff, away).await? }))
}

/// `POST /api/v1/console/acts/back`
async fn back(
    State(state): State<AppState>,
    staff: Staff,
    Json(it): Json<BackNow>,
) -> Result<Done, Failure> {
    state.record_back(staff, &it.lane, it.number).await?;
    Ok(Done)
}
