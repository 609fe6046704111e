//! One account chain's wallet, opened.

use super::config::{AccountChainWallet, GasPolicy};
use super::keys::AccountKeys;
use crate::behind::Begin;
use crate::keys::Keychain;
use crate::{Result, Seed, TreasuryError};
use gruve_chain::eth::{AccountNode, EthAddress, wei};
use gruve_units::Asset;
use ruint::aliases::U256;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The keychain of the hot address: capital comes to it, blocks pay it, payouts leave from it.
pub(crate) const HOT: (Keychain, u32) = (Keychain::Capital, 0);

pub(crate) struct AccountWallet {
    pub(crate) asset: Asset,
    pub(crate) chain_id: u64,
    pub(crate) node: Arc<dyn AccountNode>,
    pub(crate) keys: AccountKeys,
    pub(crate) confirmations: u64,
    pub(crate) depths: Vec<crate::DepthStep>,
    pub(crate) reorg_limit: u64,
    pub(crate) policy: GasPolicy,
    pub(crate) cold: Option<crate::SweepPolicy>,
    pub(crate) hot: EthAddress,
    /// Whether the node has said that it is of this chain.
    checked: AtomicBool,
    /// Blocks that the house may be behind at its start; see [`crate::behind`].
    pub(crate) behind_max: u64,
    /// Where this life began; none when there was no block in the tables.
    pub(crate) began: OnceLock<Option<Begin>>,
    /// Whether all blocks of the node were followed, once in this life: what they show may hold payouts up.
    pub(super) is_followed: AtomicBool,
    pub(super) reasons: crate::funding::Reasons,
}

impl AccountWallet {
    pub(crate) fn new(config: AccountChainWallet, seed: &Seed) -> Result<AccountWallet> {
        let keys = AccountKeys::new(seed, config.asset, config.real)?;
        let hot = keys.address(HOT.0, HOT.1)?;
        Ok(AccountWallet {
            asset: config.asset,
            chain_id: config.chain_id,
            node: config.node,
            keys,
            confirmations: config.confirmations.max(1),
            depths: config.depths,
            reorg_limit: config.reorg_limit.max(1),
            policy: config.payouts,
            cold: config.cold,
            hot,
            checked: AtomicBool::new(false),
            behind_max: config.behind_max,
            began: OnceLock::new(),
            is_followed: AtomicBool::new(false),
            reasons: crate::funding::Reasons::default(),
        })
    }

    /// Where this life began, while blocks are connected that were there before it began to pay.
    pub(super) fn catching_up_since(&self) -> Option<Begin> {
        let is_followed = self.is_followed.load(Ordering::Relaxed);
        self.began.get().copied().flatten().filter(|_| !is_followed)
    }

    /// The blocks of the node are to be followed once more before anything is paid.
    pub(crate) fn follow_anew(&self) {
        self.is_followed.store(false, Ordering::Relaxed);
    }

    /// Makes sure, once a life, that the node is of this chain: a transaction signed for another
    /// would never confirm.
    pub(crate) async fn check_chain(&self) -> Result<()> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let found = self.node.chain_id().await?;
        if found != self.chain_id {
            let (asset, expected) = (self.asset, self.chain_id);
            return Err(TreasuryError::OtherChain { asset, expected, found });
        }
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What gas should cost now, gwei: what the node says, rounded up, and no less than the next
    /// block asks.
    pub(crate) async fn price(&self) -> Result<i64> {
        let says = self.node.gas_price().await?;
        // A base fee rises by an eighth a block at most: room for six blocks of it.
        let base = self.node.next_base_fee().await?.map(|fee| fee.saturating_mul(U256::from(2)));
        let most = says.max(base.unwrap_or_default());
        let up = most.saturating_add(U256::from(wei::GWEI - 1));
        let gwei = wei::split(up).map_or(i64::MAX, |(gwei, _)| gwei);
        Ok(self.policy.price(Some(gwei)))
    }

    /// As [`AccountWallet::price`]; the fallback when the node does not answer.
    pub(crate) async fn price_or_fallback(&self) -> i64 {
        match self.price().await {
            Ok(price) => price,
            Err(error) => {
                tracing::warn!(asset = %self.asset, %error, "no gas price from the node");
                self.policy.price(None)
            }
        }
    }

    /// The first height at which a receipt made at `height` is credited.
    pub(crate) const fn ripe_height(&self, height: u64) -> u64 {
        height.saturating_add(self.confirmations - 1)
    }
}

/// Wei of whole minor units; none for a negative number.
pub(crate) fn to_wei(minor: i64) -> U256 {
    wei::from_gwei(minor.max(0)).unwrap_or_default()
}

/// Wei as stored.
pub(crate) fn stored(wei: &U256) -> [u8; 32] {
    wei.to_be_bytes::<32>()
}
