//! Following a lane's chain, and what a chain that cannot be followed costs: that lane's settlements
//! and the payouts of its coin, and nothing else.

use super::lane::{Checking, is_right_chain};
use gruve_chain::follow::Followable;
use gruve_chain::{ChainStanding, Follower};
use gruve_market::Market;
use gruve_treasury::Treasury;
use gruve_units::{Asset, LaneId};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What waits while a chain is not known to be sound.
pub(super) struct Held {
    pub lane: LaneId,
    pub asset: Asset,
    pub market: Market,
    pub treasury: Treasury,
}

impl Held {
    fn set(&self, is_held: bool) {
        self.market.hold_settlements_of(&self.lane, self.asset, is_held);
        self.treasury.hold_payouts(self.asset, is_held);
    }
}

/// Starts to follow in `tasks`; they end when `stopped` turns true. Nothing of the lane is settled and
/// nothing of its coin paid out before its chain was found to be what the books have, nor while it is not.
pub(super) fn start<C: Followable + 'static>(
    held: Held,
    check: impl Fn() -> Checking + Send + Sync + 'static,
    follower: Arc<Follower<C>>,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<ChainStanding> {
    let standing = follower.standing();
    held.set(true);
    let (name, asset, mut ends) = (held.lane.clone(), held.asset, stopped.clone());
    tasks.spawn(hold(held, standing.clone(), stopped.clone()));
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

/// Has settlements and payouts wait while the chain is not known to be sound.
async fn hold(
    held: Held,
    mut standing: watch::Receiver<ChainStanding>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let is_sound = standing.borrow_and_update().is_sound();
        held.set(!is_sound);
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return Ok(()) },
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}
