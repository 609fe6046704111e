//! What the operator decides: which chains, how deep is confirmed, what a payout may cost.

use crate::{
    AccountChainWallet, BankAccount, BtcPayConfig, DepthStep, ExternalSigner, GatherPolicy,
    PayoutLimits, Rate, Seed, StripeConfig, SweepPolicy,
};
use gruve_chain::{ChainParams, NetworkName, Node};
use gruve_units::Asset;
use std::sync::Arc;
use std::time::Duration;

/// The wallets of the house.
pub struct TreasuryConfig {
    /// The secret all wallets are derived from.
    pub seed: Seed,
    /// One wallet a chain.
    pub chains: Vec<ChainWallet>,
    /// One wallet an account-based chain.
    pub accounts: Vec<AccountChainWallet>,
    /// The operator's bank accounts that customers may pay to, one a currency.
    pub banks: Vec<BankAccount>,
    /// Currencies of banks' money that contracts may be priced in though no bank or service takes them here: coins pay
    /// them, by conversions.
    pub converted: Vec<Asset>,
    /// What may leave in a day, one entry an asset.
    pub limits: Vec<PayoutLimits>,
    /// Cards.
    pub stripe: Option<StripeConfig>,
    /// A BTCPay Server.
    pub btcpay: Option<BtcPayConfig>,
    /// Invoices a customer may have open at once. Each costs an address that is watched for ever.
    pub open_invoices_max: u32,
    /// Payouts a customer may have open at once. Each takes a place in a transaction of ours.
    pub open_payouts_max: u32,
    /// Addresses watched behind the last one given out while a house catches up with a chain: with an older backup they
    /// may have been given out since.
    pub look_far: u32,
    /// How long after a broadcast the same bytes are sent again while unconfirmed: nodes forget
    /// transactions on restart, and drop them when their pool is full.
    pub resend_every: Duration,
}

impl TreasuryConfig {
    /// The defaults over a secret.
    #[must_use]
    pub fn new(seed: Seed) -> TreasuryConfig {
        TreasuryConfig {
            seed,
            chains: Vec::new(),
            accounts: Vec::new(),
            banks: Vec::new(),
            converted: Vec::new(),
            limits: Vec::new(),
            stripe: None,
            btcpay: None,
            open_invoices_max: 50,
            open_payouts_max: 20,
            look_far: 1_000,
            resend_every: Duration::from_secs(600),
        }
    }

    /// With one more chain.
    #[must_use]
    pub fn with_chain(mut self, chain: ChainWallet) -> TreasuryConfig {
        self.chains.push(chain);
        self
    }

    /// With one more bank account.
    #[must_use]
    pub fn with_bank(mut self, bank: BankAccount) -> TreasuryConfig {
        self.banks.push(bank);
        self
    }

    /// With one more account-based chain.
    #[must_use]
    pub fn with_accounts(mut self, chain: AccountChainWallet) -> TreasuryConfig {
        self.accounts.push(chain);
        self
    }
}

/// The wallet of one chain.
pub struct ChainWallet {
    /// The chain.
    pub params: ChainParams,
    /// Where its transactions are sent and its fees asked for.
    pub node: Arc<dyn Node>,
    /// Depth at which a receipt is credited and a coin may be spent; at least 1 (the block it
    /// stands in counts).
    pub confirmations: u64,
    /// Where larger pay-ins need more; see `depth`.
    pub depths: Vec<DepthStep>,
    /// How many of the newest blocks can be undone; the follower's limit must not be above it. Also
    /// the depth from which a spending of our coins by others is taken for final.
    pub reorg_limit: u64,
    /// Blocks that a house may be behind at its start without anybody looking before it pays what was approved before;
    /// an hour's on real networks, any number on those where blocks cost nothing.
    pub behind_max: u64,
    /// Fees and limits of payouts.
    pub payouts: PayoutPolicy,
    /// The hot wallet's cap.
    pub sweep: Option<SweepPolicy>,
    /// Whether small coins are made one while fees are low.
    pub gather: Option<GatherPolicy>,
    /// Who signs for it elsewhere; then this house has no key of it.
    pub signer: Option<ExternalSigner>,
}

impl ChainWallet {
    /// The usual settings of a chain.
    #[must_use]
    pub fn new(params: ChainParams, node: Arc<dyn Node>) -> ChainWallet {
        ChainWallet {
            params,
            node,
            confirmations: params.confirmations,
            depths: Vec::new(),
            // As the follower's: deeper would take back spent rewards.
            reorg_limit: params.coinbase_maturity.max(100),
            behind_max: behind_max(&params),
            payouts: PayoutPolicy::of(&params),
            sweep: None,
            gather: None,
            signer: None,
        }
    }
}

/// A restart takes seconds; a backup is hours old.
fn behind_max(params: &ChainParams) -> u64 {
    match params.network {
        NetworkName::Regtest | NetworkName::Dev => u64::MAX,
        _ => (3_600 / params.spacing_secs.max(1)).max(1),
    }
}

/// Fees and limits of payouts of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutPolicy {
    /// Payouts up to this many minor units need nobody's approval.
    pub auto_approve_max: i64,
    /// Blocks within which a payout should confirm: what the node is asked an estimate for.
    pub target_blocks: u16,
    /// Never below this rate: what nodes relay.
    pub rate_floor: Rate,
    /// The rate when the node has no estimate (a fresh node, a test chain).
    pub rate_fallback: Rate,
    /// Never above this rate.
    pub rate_ceiling: Rate,
    /// The rate that outputs are measured against to be dust, in minor units per 1000 bytes.
    pub dust_rate: Rate,
    /// Smallest output the network relays whatever its form (Dogecoin has a flat limit).
    pub dust_flat: i64,
    /// Payouts in one transaction at most. Fifty outputs are some 1.7 kB: the transaction stays
    /// cheap to replace and a failure touches few customers.
    pub batch_max: usize,
    /// How long a transaction waits before it is signed again with a higher fee, if the network asks for
    /// more by then.
    pub bump_after: Duration,
}

impl PayoutPolicy {
    /// The usual settings of a chain, from the table of chain parameters.
    #[must_use]
    pub const fn of(params: &ChainParams) -> PayoutPolicy {
        let fees = params.fees;
        PayoutPolicy {
            auto_approve_max: params.asset.unit() / 10,
            target_blocks: 6,
            rate_floor: Rate(fees.floor),
            rate_fallback: Rate(fees.fallback),
            rate_ceiling: Rate(fees.ceiling),
            dust_rate: Rate(fees.dust_rate),
            dust_flat: fees.dust_flat,
            batch_max: 50,
            bump_after: Duration::from_secs(3_600),
        }
    }

    /// The rate to use when the node says `estimate`.
    #[must_use]
    pub fn rate(&self, estimate: Option<Rate>) -> Rate {
        estimate.unwrap_or(self.rate_fallback).max(self.rate_floor).min(self.rate_ceiling)
    }

    /// Smallest value worth an output with this script: what it would cost to spend it at the
    /// dust rate (`GetDustThreshold`), or the flat limit.
    #[must_use]
    pub fn dust(&self, script: &[u8]) -> i64 {
        let witness =
            matches!(script, [0 | 0x51..=0x60, n, ..] if script.len() == usize::from(*n) + 2);
        // An output's own bytes and those of an input that spends it: 32 + 4 + 1 + 107 + 4, the
        // signature discounted for witnesses.
        let spend = if witness { 32 + 4 + 1 + 107 / 4 + 4 } else { 148 };
        let size = 8 + 1 + script.len() as u64 + spend;
        self.dust_rate.fee(size * 4).max(self.dust_flat).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_chain::{NetworkName, params_for};
    use gruve_units::Asset;

    #[test]
    fn dust_limits_are_those_of_bitcoin_core() {
        let policy = PayoutPolicy::of(&params_for(Asset::Btc, NetworkName::Regtest).unwrap());
        let p2pkh = [0x76, 0xa9, 20].iter().copied().chain([0; 22]).collect::<Vec<u8>>();
        assert_eq!(policy.dust(&p2pkh), 546);
        let p2wpkh = [0, 20].iter().copied().chain([0; 20]).collect::<Vec<u8>>();
        assert_eq!(policy.dust(&p2wpkh), 294);
        let p2tr = [0x51, 32].iter().copied().chain([0; 32]).collect::<Vec<u8>>();
        assert_eq!(policy.dust(&p2tr), 330);
        let p2sh = [0xa9, 20].iter().copied().chain([0; 21]).collect::<Vec<u8>>();
        assert_eq!(policy.dust(&p2sh), 540);
    }

    #[test]
    fn a_rate_stays_between_floor_and_ceiling() {
        let policy = PayoutPolicy::of(&params_for(Asset::Btc, NetworkName::Regtest).unwrap());
        assert_eq!(policy.rate(None), policy.rate_fallback);
        assert_eq!(policy.rate(Some(Rate(0))), policy.rate_floor);
        assert_eq!(policy.rate(Some(Rate(i64::MAX))), policy.rate_ceiling);
        assert_eq!(policy.rate(Some(Rate(5_000))), Rate(5_000));
    }
}
