//! What the rooms are told of the configuration, and what is wrong with it by their own rules.

use super::nodes::{self, aux_params, chain_params};
use super::pay_in_chain;
use crate::config::{Config, Fault, LaneConfig};
use gruve_accounts::{AccountRules, MailRules, PasskeyRules};
use gruve_chain::{ChainError, ChainParams, NetworkName, Retarget};
use gruve_farm::HouseSecret;
use gruve_market::MarketConfig;
use gruve_treasury::{ScriptForm, WalletKeys};
use gruve_units::{Bps, EpochRule};

/// What the configuration says of accounts.
pub(super) fn account_rules(config: &Config) -> AccountRules {
    let mail = config.mail.as_ref().map(|mail| MailRules {
        origin: config.http.origin.clone().unwrap_or_default(),
        house: config.house.name.clone(),
        confirm_sign_up: mail.confirm_sign_up,
        say: gruve_web::in_chosen_language,
    });
    let origin = config.http.origin.as_deref().unwrap_or_default();
    let passkeys = PasskeyRules::new(origin, &config.house.name);
    AccountRules {
        mail,
        change_delay: config.accounts.change_delay.0,
        payout_delay: config.accounts.payout_delay.0,
        closing_delay: config.accounts.closing_delay.0,
        recovery_delay: config.accounts.recovery_delay.0,
        owner_signatures: config.accounts.owner_signatures,
        passkeys,
        vault: None,
    }
}

/// What the market is told: lanes and plans.
///
/// # Errors
/// When a coin has no chain.
pub fn market_config(config: &Config) -> Result<MarketConfig, ChainError> {
    let lane = |lane| Ok(market_lane(lane, chain_params(lane)?, &aux_params(lane)?));
    Ok(MarketConfig {
        lanes: config.lanes.iter().map(lane).collect::<Result<_, ChainError>>()?,
        plans: config.plans.clone(),
        quote_secs: 300,
        unpaid_per_account_max: 5,
        unpaid_new_bps: gruve_market::UNPAID_NEW_BPS,
        operator_accounts: config.house.operator_accounts.clone(),
        quotes: config.quotes.clone(),
        prices: config.prices.clone(),
    })
}

/// What is wrong with a configuration by the rules of the rooms themselves; nothing is opened or connected to.
///
/// # Errors
/// Every fault but the market's, of which the first.
pub fn check(config: &Config) -> Result<(), Vec<Fault>> {
    let of_rooms = |what: String| vec![Fault { place: "lanes and plans".into(), what }];
    let market = market_config(config).map_err(|e| of_rooms(e.to_string()))?;
    market.check().map_err(|e| of_rooms(e.to_string()))?;
    let mut faults = Vec::new();
    for (i, lane) in config.lanes.iter().enumerate() {
        let bad = nodes::faults(lane, &format!("lane[{i}]"));
        faults.extend(bad.map_err(|e| of_rooms(e.to_string()))?);
    }
    for (i, set) in config.pay_in_chains.iter().enumerate() {
        faults.extend(pay_in_chain::faults(set, &format!("pay_in_chain[{i}]")));
    }
    for (i, set) in config.signers.iter().enumerate() {
        let is_its = |params: &ChainParams| params.asset == set.asset;
        let all = config.lanes.iter().map(|lane| Ok((chain_params(lane)?, aux_params(lane)?)));
        let all =
            all.collect::<Result<Vec<_>, ChainError>>().map_err(|e| of_rooms(e.to_string()))?;
        let mut chains = all.into_iter().flat_map(|(own, aux)| std::iter::once(own).chain(aux));
        let Some(params) = chains.find(is_its) else { continue };
        let form = if params.segwit { ScriptForm::Wpkh } else { ScriptForm::Pkh };
        let is_real = params.network == NetworkName::Mainnet;
        if let Err(error) = WalletKeys::watching(&set.account_key, form, is_real) {
            faults
                .push(Fault { place: format!("signer[{i}].account_key"), what: error.to_string() });
        }
    }
    let password = config.house.machine_password.as_ref();
    if password.is_some_and(|set| HouseSecret::new(set).is_none()) {
        let what = "write at least 16 characters".to_owned();
        faults.push(Fault { place: "house.machine_password".into(), what });
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn market_lane(
    lane: &LaneConfig,
    params: ChainParams,
    aux: &[ChainParams],
) -> gruve_market::LaneConfig {
    let aux_config = |p: &ChainParams| gruve_market::AuxConfig {
        asset: p.asset,
        coinbase_maturity: p.coinbase_maturity,
    };
    gruve_market::LaneConfig {
        lane: lane.id.clone(),
        asset: lane.asset,
        aux: aux.iter().map(aux_config).collect(),
        algorithm: params.algorithm,
        epoch_rule: epoch_rule(lane),
        coinbase_maturity: params.coinbase_maturity,
        settle_every_epochs: u64::from(lane.settle_every),
        capacity_window_epochs: u64::from(lane.capacity_epochs),
        // Three standard deviations below the work seen.
        capacity_confidence_tenths: 30,
        capacity_reserve_bps: lane.reserve_bps,
        outside_fee_bps: lane.outside_fee_bps,
        pplns_epochs_max: gruve_market::PPLNS_EPOCHS_MAX,
        quote_difficulty_bps: lane
            .quote_difficulty_bps
            .unwrap_or_else(|| quote_bears(params.retarget)),
    }
}

/// What a quote bears of difficulty: nothing where it stands between retargets; a tenth where every block
/// moves it, which is more than an honest network's moves within a quote's minutes; twice as much where a
/// development chain is still looking for its place.
fn quote_bears(retarget: Retarget) -> Bps {
    match retarget {
        Retarget::Never | Retarget::Every(_) => Bps::ZERO,
        Retarget::Digishield { .. } | Retarget::Ethash { .. } => {
            Bps::new(1_000).unwrap_or(Bps::ZERO)
        }
        Retarget::Elsewhere => Bps::new(10_000).unwrap_or(Bps::ZERO),
    }
}

/// How a lane's time is cut. The configuration's check has refused impossible rules.
pub(super) fn epoch_rule(lane: &LaneConfig) -> EpochRule {
    let whole = EpochRule { length_us: 600_000_000, grace_us: 30_000_000 };
    EpochRule::new(lane.epoch.0, lane.grace.0).unwrap_or(whole)
}
