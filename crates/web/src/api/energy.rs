//! Electricity behind work: of contracts, and what sites state of theirs.

use crate::api::{Money, amount};
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::openapi::{Answer, Fine, List, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use gruve_farm::SitePower;
use gruve_hosting::footprint::Footprint;
use gruve_units::{Amount, Asset, ContractId, EpochNumber, Hashes, SiteId};

answers! {
    /// Electricity behind work. Large numbers are text.
    struct EnergyBody {
        /// Of covered work.
        watt_hours: String,
        /// The same in microjoules.
        energy_uj: String,
        /// Work whose energy was measured.
        covered_work: Hashes,
        /// Work whose energy was not.
        uncovered_work: Hashes,
        /// Of covered work; null where there is none.
        millijoules_per_terahash: Option<String>,
        /// By what sites state.
        co2_mg: String,
        /// By what sites state.
        cost: Vec<Money>,
        /// Energy at sites that state nothing.
        unstated_uj: String,
        /// Where.
        sites: Vec<SiteEnergy>,
    }

    /// A site's part of it.
    struct SiteEnergy {
        /// Its name.
        site: String,
        /// Microjoules, as text.
        energy_uj: String,
        /// As stated.
        co2_g_per_kwh: Option<u32>,
        /// As stated.
        price_per_kwh: Option<Money>,
        /// From where the operator has that.
        source: Option<String>,
    }

    /// Electricity behind a contract.
    struct ContractEnergy: base: EnergyBody {
        /// Where all of its work was measured.
        watt_hours_per_coin: Vec<CoinEnergy>,
        /// Sent as `before` it gives the epochs before these.
        next_before: Option<EpochNumber>,
    }

    /// Electricity behind a coin.
    struct CoinEnergy {
        /// Which.
        asset: Asset,
        /// As text.
        watt_hours: String,
    }

    /// What is stated of a site's electricity.
    struct SiteStated {
        /// Its name.
        site: String,
        /// Grams of CO₂.
        co2_g_per_kwh: u32,
        /// Its price.
        price_per_kwh: Money,
        /// From where the operator has that.
        source: String,
    }
}

requests! {
    /// Which part of a contract's life.
    struct Part {
        /// Only epochs before this one.
        before: Option<u64>,
    }
}

/// Electricity as programs read it. Large numbers are decimal strings.
pub(crate) fn footprint_body(f: &Footprint, powers: &[SitePower]) -> EnergyBody {
    let cost = f.cost.iter().map(|(asset, minor)| {
        amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX)))
    });
    EnergyBody {
        watt_hours: f.watt_hours().to_string(),
        energy_uj: f.energy_uj.to_string(),
        covered_work: f.covered,
        uncovered_work: f.uncovered,
        millijoules_per_terahash: f.millijoules_per_terahash().map(|m| m.to_string()),
        co2_mg: f.co2_mg.to_string(),
        cost: cost.collect(),
        unstated_uj: f.unstated_uj.to_string(),
        sites: f.by_site.iter().map(|(site, uj)| site_body(*site, *uj, powers)).collect(),
    }
}

/// A site's part of the energy, by what is stated of it.
fn site_body(site: SiteId, energy_uj: u128, powers: &[SitePower]) -> SiteEnergy {
    let stated = powers.iter().find(|p| p.site == site);
    let price = |p: &SitePower| amount(Amount::new(p.price_asset, p.price_minor_per_kwh));
    SiteEnergy {
        site: stated.map_or_else(|| site.to_string(), |p| p.name.clone()),
        energy_uj: energy_uj.to_string(),
        co2_g_per_kwh: stated.map(|p| p.co2_g_per_kwh),
        price_per_kwh: stated.map(price),
        source: stated.map(|p| p.source.clone()),
    }
}

/// `GET /api/v1/contracts/{id}/energy?before=`: of all its epochs, or of the newest [`gruve_market::DELIVERED_MAX`]
/// before one; `next_before` then asks for the ones before those.
pub(crate) async fn contract_energy(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(part): Params<Part>,
) -> Result<Fine<ContractEnergy>, Failure> {
    let c = state.contract(customer.account, id).await?;
    let (f, next) = state.footprint_of(&c, part.before.map(EpochNumber)).await?;
    // A coin's energy is that of all of the work that earned it.
    let is_whole = f.covered == c.delivered && f.covered > Hashes::ZERO;
    let coins = c.earnings.iter().filter(|_| is_whole).filter_map(|e| {
        let minor = u128::try_from(e.earned.split().ok()?.0).ok()?;
        let wh = f.watt_hours_per_coin(e.asset, minor)?;
        Some(CoinEnergy { asset: e.asset, watt_hours: wh.to_string() })
    });
    Ok(Answer(ContractEnergy {
        base: footprint_body(&f, &state.powers().await?),
        watt_hours_per_coin: coins.collect(),
        next_before: next,
    }))
}

/// `GET /api/v1/metered/{id}/energy`: of the work delivered since a month ago.
pub(crate) async fn metered_energy(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<EnergyBody>, Failure> {
    let f = state.metered_footprint(customer.account, id).await?;
    Ok(Answer(footprint_body(&f, &state.powers().await?)))
}

/// `GET /api/v1/energy`: what sites state of their electricity.
pub(crate) async fn sites(
    State(state): State<AppState>,
) -> Result<Fine<List<SiteStated>>, Failure> {
    let all = state.farm().site_powers().await.map_err(|e| farm_failure(&e))?;
    Ok(List::whole(all.into_iter().map(|p| SiteStated {
        site: p.name,
        co2_g_per_kwh: p.co2_g_per_kwh,
        price_per_kwh: amount(Amount::new(p.price_asset, p.price_minor_per_kwh)),
        source: p.source,
    })))
}
