//! The wallets that the configuration asks for, with the nodes of their chains; nothing runs yet.

use super::error::StartError;
use super::ethash;
use super::files::{FileError, Folder, epoch_file};
use super::nodes::{AuxParts, chain_params, open_aux, open_nodes};
use super::pay_in_chain::{self, PayInParts};
use crate::config::{Config, LaneConfig, currencies, network_of, steps_of};
use gruve_chain::eth::EthNodeGroup;
use gruve_chain::{Family, NodeGroup};
use gruve_treasury::{ChainWallet, Seed, TreasuryConfig, TreasuryError};
use gruve_units::{Duration, LaneId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Depth at which a pay-in counts where neither the operator nor the chain's table says more.
const CONFIRMATIONS: u64 = 3;

/// What [`super::Parts`] is made of on the side of the chains.
pub(super) struct Wallets {
    pub(super) treasury: TreasuryConfig,
    pub(super) nodes: BTreeMap<LaneId, Arc<NodeGroup>>,
    pub(super) eth_nodes: BTreeMap<LaneId, Arc<EthNodeGroup>>,
    pub(super) aux: BTreeMap<LaneId, Vec<AuxParts>>,
    pub(super) pay_ins: Vec<PayInParts>,
}

impl Wallets {
    /// Opens them.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub(super) fn open(
        config: &Config,
        folder: &Folder,
        seed: Seed,
    ) -> Result<Wallets, StartError> {
        let mut wallets = Wallets {
            treasury: TreasuryConfig::new(seed),
            nodes: BTreeMap::new(),
            eth_nodes: BTreeMap::new(),
            aux: BTreeMap::new(),
            pay_ins: Vec::new(),
        };
        for lane in &config.lanes {
            keep_epoch(folder, lane)?;
            wallets = wallets.with_lane(lane)?;
        }
        for set in &config.pay_in_chains {
            let (chain, wallet) = pay_in_chain::open(set)?;
            wallets.treasury = wallets.treasury.with_accounts(wallet);
            wallets.pay_ins.push(chain);
        }
        set_hot_wallets(config, &mut wallets.treasury)?;
        set_depths(config, &mut wallets.treasury);
        set_signers(config, &mut wallets.treasury)?;
        wallets.treasury = with_services(config, wallets.treasury);
        Ok(wallets)
    }

    /// A lane's wallet, and those of what is merge-mined with it.
    fn with_lane(mut self, lane: &LaneConfig) -> Result<Wallets, StartError> {
        let params = chain_params(lane)?;
        if params.family() == Family::Ethash {
            let (chain, wallet) = ethash::open(lane, &params, &self.treasury.seed)?;
            self.treasury = self.treasury.with_accounts(wallet);
            self.eth_nodes.insert(lane.id.clone(), chain);
            return Ok(self);
        }
        let node = open_nodes(lane, params)?;
        let mut wallet = ChainWallet::new(params, node.clone());
        wallet.confirmations = lane.confirmations.unwrap_or(CONFIRMATIONS);
        wallet.payouts.auto_approve_max = lane.auto_approve_minor;
        self.treasury = self.treasury.with_chain(wallet);
        self.nodes.insert(lane.id.clone(), node);
        let opened = open_aux(lane)?;
        for (chain, set) in opened.iter().zip(&lane.aux) {
            let mut wallet = ChainWallet::new(chain.params, chain.nodes.clone());
            wallet.confirmations = set.confirmations;
            wallet.payouts.auto_approve_max = set.auto_approve_minor;
            self.treasury = self.treasury.with_chain(wallet);
        }
        self.aux.insert(lane.id.clone(), opened);
        Ok(self)
    }
}

fn set_depths(config: &Config, treasury: &mut TreasuryConfig) {
    for wallet in &mut treasury.chains {
        wallet.depths = steps_of(&config.depths, wallet.params.asset);
    }
    for wallet in &mut treasury.accounts {
        wallet.depths = steps_of(&config.depths, wallet.asset);
    }
}

fn set_signers(config: &Config, treasury: &mut TreasuryConfig) -> Result<(), StartError> {
    for set in &config.signers {
        let signer = set.signer(&config.house.data);
        let signer = signer.map_err(|why| StartError::Signer(set.asset, why))?;
        let wallet = treasury.chains.iter_mut().find(|w| w.params.asset == set.asset);
        wallet.ok_or(TreasuryError::NoWallet(set.asset))?.signer = Some(signer);
    }
    Ok(())
}

/// With what takes money elsewhere: banks, cards, a BTCPay Server; and what leaves in a day.
fn with_services(config: &Config, mut treasury: TreasuryConfig) -> TreasuryConfig {
    for bank in config.banks.iter().filter(|b| b.enabled) {
        treasury = treasury.with_bank(bank.account());
    }
    treasury.converted = currencies(config.conversion.as_ref(), &config.prices);
    treasury.limits = config.limits.iter().map(|l| l.limits()).collect();
    let origin = config.http.origin.as_deref().unwrap_or_default();
    let stripe = config.stripe.as_ref().filter(|s| s.enabled);
    treasury.stripe = stripe.map(|s| s.service(origin));
    let btcpay = config.btcpay.as_ref().filter(|b| b.enabled);
    treasury.btcpay = btcpay.map(|b| b.service(origin));
    treasury
}

/// Caps of hot wallets, as the configuration has them.
fn set_hot_wallets(config: &Config, treasury: &mut TreasuryConfig) -> Result<(), StartError> {
    for set in &config.hot_wallets {
        let network = network_of(set.asset, &config.lanes, &config.pay_in_chains);
        let Some(network) = network else { continue };
        let sweep = set.sweep(network).map_err(|e| StartError::HotWallet(set.asset, e))?;
        let after = set.bump_after_minutes.map(|m| Duration::from_secs(m.saturating_mul(60)));
        if let Some(wallet) = treasury.chains.iter_mut().find(|w| w.params.asset == set.asset) {
            wallet.sweep.clone_from(&sweep);
            wallet.gather = set.gather();
            wallet.payouts.bump_after = after.unwrap_or(wallet.payouts.bump_after);
        }
        if let Some(wallet) = treasury.accounts.iter_mut().find(|w| w.asset == set.asset) {
            wallet.cold = sweep;
            wallet.payouts.bump_after = after.unwrap_or(wallet.payouts.bump_after);
        }
    }
    Ok(())
}

/// Contracts, stamps and the share log count in epochs: with another length the same numbers would
/// mean other times.
fn keep_epoch(folder: &Folder, lane: &LaneConfig) -> Result<(), FileError> {
    let what = "holds the epoch length in milliseconds that this lane began with, and the \
                configuration says another: a lane keeps its epoch for ever; for another length \
                begin a lane with a new id";
    folder.keep(&epoch_file(&lane.id), &lane.epoch.0.as_millis().to_string(), what)
}
