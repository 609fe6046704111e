//! The electricity behind work and coins. Pure, in whole numbers.
//!
//! # The rule
//! In each epoch the house's machines whose power was measured for at least half of it are *measured*: their
//! energy, brought to the whole epoch, over the work that their shares prove is what a hash cost, and work that
//! was allocated out of the epoch carries that. Machines without measured power are not guessed: work out of an
//! epoch without any measured machine is *uncovered* and shown as such. CO₂ and cost follow each site's part of
//! the energy by the site's own stated figures.
//!
//! Of epochs that are summed up by now the day's sums take the epoch's place.

use gruve_farm::SitePower;
use gruve_farm::energy::UJ_PER_KWH;
use gruve_units::{Asset, EpochNumber, Hashes, MachineId, SiteId, mul_div_floor};
use std::collections::{BTreeMap, BTreeSet};

/// One machine in one epoch: its site, microjoules, and microseconds that its power is known for.
pub type Measured = (EpochNumber, MachineId, SiteId, u64, u64);

/// What work cost in electricity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Work that the energy below is of.
    pub covered: Hashes,
    /// Work that nothing is known of.
    pub uncovered: Hashes,
    /// Energy in microjoules.
    pub energy_uj: u128,
    /// Of it, by site.
    pub by_site: BTreeMap<SiteId, u128>,
    /// CO₂ equivalent in milligrams, of the sites that state a factor.
    pub co2_mg: u128,
    /// What the electricity costs the operator, in minor units, of the sites that state a price.
    pub cost: BTreeMap<Asset, u128>,
    /// Energy at sites that state nothing, in microjoules.
    pub unstated_uj: u128,
}

impl Footprint {
    /// Watt-hours, rounded down.
    #[must_use]
    pub fn watt_hours(&self) -> u128 {
        self.energy_uj / u128::from(UJ_PER_KWH / 1_000)
    }

    /// Millijoules per terahash, rounded down; `None` without covered work.
    #[must_use]
    pub fn millijoules_per_terahash(&self) -> Option<u128> {
        mul_div_floor(self.energy_uj, 1_000_000_000, self.covered.0).ok().map(|(q, _)| q)
    }

    /// Watt-hours behind one whole coin, when the covered work earned `minor` of it; `None` without earnings.
    #[must_use]
    pub fn watt_hours_per_coin(&self, asset: Asset, minor: u128) -> Option<u128> {
        let unit = u128::try_from(asset.unit()).ok()?;
        mul_div_floor(self.watt_hours(), unit, minor).ok().map(|(q, _)| q)
    }
}

/// What the measured machines of one epoch come to.
#[derive(Default)]
struct Epoch {
    work: u128,
    energy: BTreeMap<SiteId, u128>,
}

fn epochs(
    length_us: u64,
    measured: &[Measured],
    proven: &BTreeMap<(EpochNumber, MachineId), Hashes>,
) -> BTreeMap<EpochNumber, Epoch> {
    let mut all: BTreeMap<EpochNumber, Epoch> = BTreeMap::new();
    for (epoch, machine, site, energy_uj, power_us) in measured {
        if *power_us == 0 || power_us.saturating_mul(2) < length_us {
            continue;
        }
        let one = all.entry(*epoch).or_default();
        one.work = one.work.saturating_add(proven.get(&(*epoch, *machine)).map_or(0, |w| w.0));
        // At most twice what was measured.
        let whole = u128::from(*energy_uj) * u128::from(length_us) / u128::from(*power_us);
        *one.energy.entry(*site).or_default() += whole;
    }
    all
}

/// What the measured machines of one epoch proved and drew, site by site; `None` where they proved nothing.
#[must_use]
pub fn of_epoch(
    length_us: u64,
    measured: &[Measured],
    proven: &BTreeMap<(EpochNumber, MachineId), Hashes>,
) -> Option<(u128, BTreeMap<SiteId, u128>)> {
    let (_, one) = epochs(length_us, measured, proven).pop_first()?;
    (one.work > 0).then_some((one.work, one.energy))
}

/// The epochs that a hash's cost is known of.
#[must_use]
pub fn known_epochs(
    length_us: u64,
    measured: &[Measured],
    proven: &BTreeMap<(EpochNumber, MachineId), Hashes>,
) -> BTreeSet<EpochNumber> {
    let all = epochs(length_us, measured, proven);
    all.into_iter().filter(|(_, e)| e.work > 0).map(|(epoch, _)| epoch).collect()
}

/// What the work `taken` out of each epoch cost. An epoch whose machines drew power and proved nothing has no
/// cost of a hash: what was taken out of it is uncovered.
#[must_use]
pub fn footprint(
    length_us: u64,
    measured: &[Measured],
    proven: &BTreeMap<(EpochNumber, MachineId), Hashes>,
    taken: &[(EpochNumber, Hashes)],
    powers: &[SitePower],
) -> Footprint {
    let all = epochs(length_us, measured, proven);
    let mut sum = Footprint::default();
    for (epoch, work) in taken {
        let known = all.get(epoch).filter(|e| e.work > 0);
        let Some(known) = known else {
            sum.uncovered = Hashes(sum.uncovered.0.saturating_add(work.0));
            continue;
        };
        sum.covered = Hashes(sum.covered.0.saturating_add(work.0));
        for (site, energy) in &known.energy {
            // More than fits can only come of figures that cannot be.
            let part =
                mul_div_floor(*energy, work.0, known.work).map_or(u128::MAX >> 40, |(q, _)| q);
            sum.energy_uj = sum.energy_uj.saturating_add(part);
            let of = sum.by_site.entry(*site).or_default();
            *of = of.saturating_add(part);
        }
    }
    state(&mut sum, powers);
    sum
}

/// The same of energy that is known by site already.
#[must_use]
pub fn of_energy(work: Hashes, by_site: BTreeMap<SiteId, u128>, powers: &[SitePower]) -> Footprint {
    let energy_uj = by_site.values().fold(0u128, |s, e| s.saturating_add(*e));
    let mut sum = Footprint { covered: work, energy_uj, by_site, ..Footprint::default() };
    state(&mut sum, powers);
    sum
}

fn state(sum: &mut Footprint, powers: &[SitePower]) {
    for (site, energy) in &sum.by_site {
        let Some(power) = powers.iter().find(|p| p.site == *site) else {
            sum.unstated_uj = sum.unstated_uj.saturating_add(*energy);
            continue;
        };
        let of = |per_kwh: u128| {
            mul_div_floor(*energy, per_kwh, u128::from(UJ_PER_KWH)).map_or(0, |(q, _)| q)
        };
        let co2 = of(u128::from(power.co2_g_per_kwh) * 1_000);
        sum.co2_mg = sum.co2_mg.saturating_add(co2);
        let price = u128::try_from(power.price_minor_per_kwh).unwrap_or(0);
        let cost = sum.cost.entry(power.price_asset).or_default();
        *cost = cost.saturating_add(of(price));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_US: u64 = 3_600_000_000;

    fn site(n: u8) -> SiteId {
        SiteId::from_bytes([n; 16])
    }

    fn machine(n: u8) -> MachineId {
        MachineId::from_bytes([n; 16])
    }

    fn power(n: u8, co2: u32, price: i64) -> SitePower {
        SitePower {
            site: site(n),
            name: format!("site-{n}"),
            co2_g_per_kwh: co2,
            price_asset: Asset::Usd,
            price_minor_per_kwh: price,
            source: "test".to_owned(),
        }
    }

    /// Two machines of 3 kW for an hour at two sites, 100 TH/s each.
    fn hour() -> (Vec<Measured>, BTreeMap<(EpochNumber, MachineId), Hashes>) {
        let e = EpochNumber(1);
        let all = vec![
            (e, machine(1), site(1), 3 * UJ_PER_KWH, HOUR_US),
            (e, machine(2), site(2), 3 * UJ_PER_KWH, HOUR_US),
        ];
        let work = Hashes(100_000_000_000_000 * 3_600);
        (all, [((e, machine(1)), work), ((e, machine(2)), work)].into())
    }

    #[test]
    fn half_of_the_work_carries_half_of_the_energy_of_every_site() {
        let (measured, proven) = hour();
        let half = Hashes(100_000_000_000_000 * 3_600);
        let powers = [power(1, 20, 50_000), power(2, 400, 0)];
        let f = footprint(HOUR_US, &measured, &proven, &[(EpochNumber(1), half)], &powers);
        assert_eq!(f.watt_hours(), 3_000);
        assert_eq!(f.millijoules_per_terahash(), Some(30_000), "30 J/TH");
        assert_eq!(f.co2_mg, (1_500 * 20 + 1_500 * 400), "grams a kWh are milligrams a Wh");
        assert_eq!(f.cost, [(Asset::Usd, 75_000)].into());
        assert_eq!((f.uncovered, f.unstated_uj), (Hashes::ZERO, 0));
        // 0.5 BTC: 6 kWh a coin.
        assert_eq!(f.watt_hours_per_coin(Asset::Btc, 50_000_000), Some(6_000));
        assert_eq!(f.watt_hours_per_coin(Asset::Btc, 0), None);
    }

    #[test]
    fn what_is_not_measured_is_said_and_not_guessed() {
        let (mut measured, proven) = hour();
        let taken = [(EpochNumber(1), Hashes(1_000)), (EpochNumber(2), Hashes(500))];
        let f = footprint(HOUR_US, &measured, &proven, &taken, &[]);
        assert_eq!((f.covered, f.uncovered), (Hashes(1_000), Hashes(500)));
        assert_eq!((f.unstated_uj, f.co2_mg), (f.energy_uj, 0));
        // Known for a third of the hour only: not a measured machine.
        measured.iter_mut().for_each(|m| m.4 = HOUR_US / 3);
        let f = footprint(HOUR_US, &measured, &proven, &taken, &[]);
        assert_eq!((f.covered, f.uncovered), (Hashes::ZERO, Hashes(1_500)));
        assert_eq!(f.millijoules_per_terahash(), None);
    }

    #[test]
    fn a_reading_for_part_of_an_epoch_is_brought_to_the_whole() {
        let (mut measured, proven) = hour();
        let taken = [(EpochNumber(1), Hashes(200_000_000_000_000 * 3_600))];
        let whole = footprint(HOUR_US, &measured, &proven, &taken, &[]).energy_uj;
        assert_eq!(whole, 6 * u128::from(UJ_PER_KWH));
        measured.iter_mut().for_each(|m| (m.3, m.4) = (m.3 / 2, m.4 / 2));
        assert_eq!(footprint(HOUR_US, &measured, &proven, &taken, &[]).energy_uj, whole);
    }

    proptest! {
        /// Parts of the work carry no more energy than the whole of it.
        #[test]
        fn parts_carry_what_the_whole_carries_less_less_than_a_unit_each(
            works in proptest::collection::vec(1u128..1 << 60, 1..8),
            parts in proptest::collection::vec(0u128..1 << 58, 1..10), uj in 0u64..1 << 55,
        ) {
            let e = EpochNumber(3);
            let (mut measured, mut proven) = (Vec::new(), BTreeMap::new());
            for (n, work) in (1u8..).zip(&works) {
                measured.push((e, machine(n), site(n % 3), uj, HOUR_US));
                proven.insert((e, machine(n)), Hashes(*work));
            }
            let all: u128 = parts.iter().sum();
            let one = footprint(HOUR_US, &measured, &proven, &[(e, Hashes(all))], &[]);
            let cut: Vec<_> = parts.iter().map(|p| (e, Hashes(*p))).collect();
            let many = footprint(HOUR_US, &measured, &proven, &cut, &[]);
            prop_assert_eq!(one.covered, many.covered);
            prop_assert!(many.energy_uj <= one.energy_uj);
            let lost = one.energy_uj - many.energy_uj;
            prop_assert!(lost <= 3 * parts.len() as u128, "{lost}");
        }
    }
}
