//! The treasury itself: its wallets, and what they have in common.

use crate::account::AccountWallet;
use crate::behind::Begin;
use crate::funding::Reasons;
use crate::moves::{GatherPolicy, SweepPolicy};
use crate::remote::{Missed, Services, Turnover};
use crate::select::Costs;
use crate::unconfirmed::Pools;
use crate::{
    BankAccount, ChainWallet, DepthStep, ExternalSigner, InvoiceSink, Keychain, PayoutLimits,
    PayoutPolicy, Rate, Result, ScriptForm, ServicesCompared, TreasuryConfig, TreasuryError,
    WalletKeys,
};
use gruve_chain::eth::EthAddress;
use gruve_chain::{ChainParams, NetworkName, Node};
use gruve_store::{Store, params};
use gruve_units::{Asset, Clock, Entropy, Timestamp};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// Where a test may break the room off, as a crash would; see [`Treasury::break_off_with`].
pub trait CrashPoints: Send + Sync {
    /// Whether to go on past the point of this name.
    fn passes(&self, point: &'static str) -> bool;
}

/// The wallets of the house. Cloning is cheap and gives the same treasury.
#[derive(Clone)]
pub struct Treasury(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) wallets: Vec<Wallet>,
    pub(crate) accounts: Vec<AccountWallet>,
    pub(crate) banks: Vec<BankAccount>,
    pub(crate) converted: Vec<Asset>,
    pub(crate) services: Services,
    /// How far what the card service lists is read.
    pub(crate) missed: tokio::sync::Mutex<Missed>,
    /// How far the account that we have there is read.
    pub(crate) turnover: tokio::sync::Mutex<Turnover>,
    /// What it had of ours when it was last read. In memory alone: it is asked again after a start.
    pub(crate) compared: Mutex<Option<ServicesCompared>>,
    pub(crate) limits: Vec<PayoutLimits>,
    pub(crate) sink: OnceLock<Arc<dyn InvoiceSink>>,
    pub(crate) open_invoices_max: u32,
    pub(crate) open_payouts_max: u32,
    pub(crate) look_far: u32,
    pub(crate) resend_every: Duration,
    /// What the nodes' pools pay to invoices.
    pub(crate) pools: Pools,
    /// Chains that nothing is paid on now.
    held: RwLock<BTreeSet<Asset>>,
    crash_points: OnceLock<Arc<dyn CrashPoints>>,
}

/// One chain's wallet.
pub(crate) struct Wallet {
    pub(crate) params: ChainParams,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) keys: WalletKeys,
    pub(crate) confirmations: u64,
    pub(crate) depths: Vec<DepthStep>,
    pub(crate) reorg_limit: u64,
    pub(crate) policy: PayoutPolicy,
    pub(crate) sweep: Option<SweepPolicy>,
    pub(crate) gather: Option<GatherPolicy>,
    /// Who signs, where this house has no key.
    pub(crate) signer: Option<ExternalSigner>,
    pub(crate) behind_max: u64,
    /// Where this life began; none when there was no block in the tables.
    pub(crate) began: OnceLock<Option<Begin>>,
    /// Whether the node's pool was found to spend nothing of ours that we do not know, in this life.
    pub(crate) is_compared: AtomicBool,
    pub(crate) reasons: Reasons,
    /// The scripts that are the same for ever: coinbase and capital, index 0 of each.
    pub(crate) fixed: [(Keychain, Vec<u8>); 2],
}

impl Wallet {
    fn new(config: ChainWallet, keys: WalletKeys) -> Result<Wallet> {
        let fixed = [
            (Keychain::Coinbase, keys.script(Keychain::Coinbase, 0)?.into_bytes()),
            (Keychain::Capital, keys.script(Keychain::Capital, 0)?.into_bytes()),
        ];
        Ok(Wallet {
            params: config.params,
            node: config.node,
            keys,
            confirmations: config.confirmations.max(1),
            depths: config.depths,
            reorg_limit: config.reorg_limit.max(1),
            policy: config.payouts,
            sweep: config.sweep,
            gather: config.gather,
            signer: config.signer,
            behind_max: config.behind_max,
            began: OnceLock::new(),
            is_compared: AtomicBool::new(false),
            reasons: Reasons::default(),
            fixed,
        })
    }

    pub(crate) fn asset(&self) -> Asset {
        self.params.asset
    }

    /// What a transaction costs at `rate`.
    pub(crate) fn costs(&self, rate: Rate, change_script: &[u8]) -> Costs {
        Costs {
            rate,
            satisfaction_weight: self.keys.satisfaction_weight_max(),
            segwit: self.keys.form() == ScriptForm::Wpkh,
            change_script_len: change_script.len(),
            change_min: self.policy.dust(change_script),
        }
    }

    /// The first height at which an output made at `height` may be credited and spent. One later
    /// than the network allows for coinbases, so that the books have matured them before.
    pub(crate) fn ripe_height(&self, height: u64, coinbase: bool, hogex: bool) -> u64 {
        let confirmed = height + self.confirmations - 1;
        let allowed = match (coinbase, hogex) {
            (true, _) => height + self.params.coinbase_maturity,
            (false, true) => height + HOGEX_MATURITY,
            (false, false) => height,
        };
        confirmed.max(allowed)
    }
}

/// Blocks after which Litecoin's peg-outs may be spent (`PEGOUT_MATURITY` in Litecoin Core).
const HOGEX_MATURITY: u64 = 6;

impl Treasury {
    /// A treasury over a database whose [`crate::MIGRATIONS`] are applied.
    ///
    /// # Errors
    /// When a chain of the configuration cannot have such a wallet.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: TreasuryConfig,
    ) -> Result<Treasury> {
        let mut wallets = Vec::with_capacity(config.chains.len());
        for chain in config.chains {
            let form = if chain.params.segwit { ScriptForm::Wpkh } else { ScriptForm::Pkh };
            let real = chain.params.network == NetworkName::Mainnet;
            let keys = match &chain.signer {
                Some(signer) => WalletKeys::watching(&signer.account_key, form, real)?,
                None => WalletKeys::new(&config.seed, chain.params.asset, form, real)?,
            };
            wallets.push(Wallet::new(chain, keys)?);
        }
        let accounts = config.accounts.into_iter();
        let accounts = accounts.map(|chain| AccountWallet::new(chain, &config.seed));
        let accounts = accounts.collect::<Result<Vec<_>>>()?;
        Ok(Treasury(Arc::new(Inner {
            store,
            clock,
            entropy,
            wallets,
            accounts,
            banks: BankAccount::checked(config.banks)?,
            converted: config.converted,
            limits: config.limits,
            services: Services::new(config.stripe, config.btcpay)?,
            missed: tokio::sync::Mutex::default(),
            turnover: tokio::sync::Mutex::default(),
            compared: Mutex::default(),
            sink: OnceLock::new(),
            open_invoices_max: config.open_invoices_max,
            open_payouts_max: config.open_payouts_max,
            look_far: config.look_far,
            resend_every: config.resend_every,
            pools: Pools::default(),
            held: RwLock::default(),
            crash_points: OnceLock::new(),
        })))
    }

    /// Holds the wallets' keys against the addresses that the database has: with another seed, or another account
    /// key of a signer, old coins could not be spent and new invoices would go on with numbers of the old keys.
    ///
    /// # Errors
    /// [`TreasuryError::OtherKeys`]; the database's.
    pub async fn check_keys(&self) -> Result<()> {
        let mut tx = self.0.store.read().await?;
        for asset in self.assets() {
            let key = params![asset, Keychain::PayIn.number(), 0_i64];
            let Some(row) = tx.fetch_optional(crate::sql::ADDRESS_AT, &key).await? else {
                continue;
            };
            let known: Vec<u8> = row.get("script")?;
            let own = match self.account_wallet(asset) {
                Ok(wallet) => wallet.keys.address(Keychain::PayIn, 0)?.0.to_vec(),
                Err(_) => self.wallet(asset)?.keys.script(Keychain::PayIn, 0)?.into_bytes(),
            };
            if known != own {
                return Err(TreasuryError::OtherKeys(asset));
            }
        }
        Ok(())
    }

    /// Says who is told when an invoice is paid or expires. The first call counts. Without it,
    /// payments stay in the customers' balances.
    pub fn tell_invoices_to(&self, sink: Arc<dyn InvoiceSink>) {
        if self.0.sink.set(sink).is_err() {
            tracing::warn!("somebody is told of invoices already; the second one is not");
        }
    }

    /// Has no payout of an asset planned or signed from now on, or lets them go on: whoever follows
    /// its chain says whether what the wallet believes still holds. What is signed is sent as before,
    /// since it can only confirm or not. Kept in memory: whoever holds must hold again after a
    /// restart, before the payer runs.
    pub fn hold_payouts(&self, asset: Asset, is_held: bool) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        if is_held {
            held.insert(asset);
        } else {
            held.remove(&asset);
        }
    }

    pub(crate) fn holds_payouts(&self, asset: Asset) -> bool {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).contains(&asset)
    }

    /// For tests: asks `points` at every border between two steps whether to go on, so that a
    /// crash can be tried at each of them.
    #[doc(hidden)]
    pub fn break_off_with(&self, points: Arc<dyn CrashPoints>) {
        drop(self.0.crash_points.set(points));
    }

    pub(crate) fn passing(&self, point: &'static str) -> Result<()> {
        match self.0.crash_points.get() {
            Some(points) if !points.passes(point) => Err(TreasuryError::BrokenOff(point)),
            _ => Ok(()),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn wallet(&self, asset: Asset) -> Result<&Wallet> {
        let found = self.0.wallets.iter().find(|w| w.asset() == asset);
        found.ok_or(TreasuryError::NoWallet(asset))
    }

    pub(crate) fn account_wallet(&self, asset: Asset) -> Result<&AccountWallet> {
        let found = self.0.accounts.iter().find(|w| w.asset == asset);
        found.ok_or(TreasuryError::NoWallet(asset))
    }

    /// Whether the keys of an asset's wallet are not here.
    #[must_use]
    pub fn is_signed_elsewhere(&self, asset: Asset) -> bool {
        self.wallet(asset).is_ok_and(|w| w.keys.is_watching())
    }

    /// The assets that have a wallet.
    #[must_use]
    pub fn assets(&self) -> Vec<Asset> {
        let accounts = self.0.accounts.iter().map(|w| w.asset);
        self.0.wallets.iter().map(Wallet::asset).chain(accounts).collect()
    }

    /// The hot address of an account chain's wallet: the farm's blocks pay it, the operator's own
    /// coins come to it, payouts leave from it.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`].
    pub fn hot_address(&self, asset: Asset) -> Result<EthAddress> {
        Ok(self.account_wallet(asset)?.hot)
    }

    /// The script that the farm's blocks pay to.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`].
    pub fn coinbase_script(&self, asset: Asset) -> Result<Vec<u8>> {
        Ok(self.wallet(asset)?.fixed[0].1.clone())
    }

    /// The address at which the operator puts own coins into the hot wallet; they are booked as
    /// capital.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`].
    pub fn capital_address(&self, asset: Asset) -> Result<String> {
        if let Ok(wallet) = self.account_wallet(asset) {
            return Ok(wallet.hot.to_string());
        }
        let wallet = self.wallet(asset)?;
        gruve_chain::address_for_script(&wallet.params, &wallet.fixed[1].1)
            .ok_or(TreasuryError::Damaged("a script of ours has no address"))
    }

    /// The public descriptor of a keychain: enough to watch the wallet, not to spend from it.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`].
    pub fn descriptor(&self, asset: Asset, keychain: Keychain) -> Result<String> {
        Ok(self.wallet(asset)?.keys.descriptor(keychain))
    }
}
