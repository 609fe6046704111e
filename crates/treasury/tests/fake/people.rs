//! People beside a history: the operator, who looks at payouts that wait, and the second person whom large ones
//! take.

use gruve_treasury::{PayoutState, Treasury, TreasuryError};

/// Begins of the names of points that came later than the recorded histories. Those whose payouts need nobody
/// pass them, so that a seed says what it said.
const LATER: [&str; 5] = [
    "invoice made",
    "invoice expired, after",
    "payout approved",
    "payout refused",
    "payout cancelled",
];

pub fn is_later(point: &str) -> bool {
    LATER.iter().any(|begin| point.starts_with(begin))
}

/// Whether the payouts of a history wait for people.
pub fn looks_on(seed: u64) -> bool {
    seed % 2 == 1
}

/// Begins another row of choices than the history's own, which stays what it was.
pub fn beside(seed: u64) -> u64 {
    seed ^ 0x9e0b_1e5d_a11b_e51d
}

/// Looks at one of the payouts that wait: one of two people approves it, or, seldom, refuses it.
pub async fn look(
    treasury: &Treasury,
    below: &mut (dyn FnMut(u64) -> u64 + Send),
) -> Result<(), TreasuryError> {
    let waiting = treasury.payouts_in_state(PayoutState::Requested).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let at = usize::try_from(below(waiting.len() as u64)).unwrap();
    let id = waiting[at].id;
    match below(12) {
        0 => treasury.refuse_payout(id, "nobody knows who asked").await,
        n if n % 2 == 0 => treasury.approve_payout(id, "one").await.map(drop),
        _ => treasury.approve_payout(id, "another").await.map(drop),
    }
}

/// Both approve all that waits.
pub async fn approve_all(treasury: &Treasury) {
    for payout in treasury.payouts_in_state(PayoutState::Requested).await.unwrap() {
        for approver in ["one", "another"] {
            treasury.approve_payout(payout.id, approver).await.unwrap();
        }
    }
}
