//! What the books show of all rewards.

use crate::Beneficiary;
use gruve_units::{Accrual, Amount, Asset};

/// Where all block rewards of one asset are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetReconciliation {
    /// The asset.
    pub asset: Asset,
    /// What all blocks paid that are on the chain (the rewards table).
    pub block_rewards: Amount,
    /// Credited to customers, after fees.
    pub customers: Amount,
    /// The operator's own part and fees.
    pub operator: Amount,
    /// What fell to unfilled windows.
    pub window_reserve: Amount,
    /// The FPPS reserve's part of the blocks, for the work that it pays.
    pub fpps_reserve: Amount,
    /// Not yet credited: immature blocks, and whole minor units waiting for a settlement.
    pub maturing: Amount,
    /// Rounding: fractions carried, and whole minor units they grew to.
    pub remainder: Amount,
    /// What the ledger says is not yet credited, fractions included.
    pub ledger_rewards: Amount,
    /// Whether the parts add up to the whole, and the ledger and the accrual tables agree, each to the
    /// minor unit.
    pub adds_up: bool,
    /// What does not, in words.
    pub differences: Vec<String>,
}

/// Where all block rewards are, asset by asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// One for each asset that a lane earns.
    pub assets: Vec<AssetReconciliation>,
}

impl Reconciliation {
    /// Whether every asset adds up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.assets.iter().all(|a| a.adds_up)
    }
}

/// What a beneficiary has of one asset of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingView {
    /// Who.
    pub who: Beneficiary,
    /// Accrued of blocks that are on the chain, mature or not.
    pub accrued: Accrual,
    /// Of that, mature and credited.
    pub matured: Accrual,
    /// Whole minor units settled of that, before fees.
    pub settled: i64,
    /// Of those, what was credited to a balance.
    pub net: i64,
    /// Ten-thousandths of a minor unit of fee carried to the next settlement.
    pub fee_carry: u32,
}
