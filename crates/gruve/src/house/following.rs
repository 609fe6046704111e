//! Following a lane's chain, and what a chain that cannot be followed costs: that lane's settlements,
//! and nothing else.

use super::lane::{Checking, is_right_chain};
use gruve_chain::follow::Followable;
use gruve_chain::{ChainStanding, Follower};
use gruve_market::Market;
use gruve_units::{Asset, LaneId};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Starts to follow in `tasks`; they end when `stopped` turns true. Nothing of the lane is settled
/// before its chain was found to be what the books have, nor while it is not.
pub(super) fn start<C: Followable + 'static>(
    (lane, asset): (&LaneId, Asset),
    check: impl Fn() -> Checking + Send + Sync + 'static,
    follower: Arc<Follower<C>>,
    market: Market,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<ChainStanding> {
    let standing = follower.standing();
    market.hold_settlements_of(lane, asset, true);
    tasks.spawn(hold((lane.clone(), asset), market, standing.clone(), stopped.clone()));
    let (name, mut ends) = (lane.clone(), stopped.clone());
    tasks.spawn(async move {
        if !is_right_chain(check, &mut ends)
            .await
            .map_err(|e| format!("lane {name}, {asset}: {e}"))?
        {
            return Ok(());
        }
        follower
            .run(ends)
            .await
            .map_err(|e| format!("following the chain of {asset}, lane {name}: {e}"))
    });
    standing
}

/// Has settlements wait while the chain is not known to be sound.
async fn hold(
    (lane, asset): (LaneId, Asset),
    market: Market,
    mut standing: watch::Receiver<ChainStanding>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let is_sound = standing.borrow_and_update().is_sound();
        market.hold_settlements_of(&lane, asset, !is_sound);
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return Ok(()) },
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}
