//! Luck, for the operator's programs.

use crate::api::public::{self, LuckBody};
use crate::failure::Failure;
use crate::openapi::{Fine, List, answers};
use crate::state::AppState;
use axum::extract::State;
use gruve_units::{Asset, LaneId};

answers! {
    /// What a lane's work found against what it should have found.
    struct LaneLuckBody {
        /// Whose.
        lane: LaneId,
        /// Its own chain's asset.
        asset: Asset,
        /// As the public has it.
        luck: LuckBody,
        /// How likely it is that so much work finds so few blocks, or fewer; null before there was work.
        chance_of_so_few: Option<f64>,
    }
}

/// `GET /api/v1/console/luck`
pub(crate) async fn luck(
    State(state): State<AppState>,
) -> Result<Fine<List<LaneLuckBody>>, Failure> {
    let mut all = Vec::new();
    for lane in &state.market().config().lanes {
        let luck = state.luck(&lane.lane).await?;
        all.push(LaneLuckBody {
            lane: lane.lane.clone(),
            asset: lane.asset,
            chance_of_so_few: luck.permille.map(|_| luck.chance_of_so_few),
            luck: public::luck(&luck),
        });
    }
    Ok(List::whole(all))
}
