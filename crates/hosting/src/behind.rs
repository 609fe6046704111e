//! The electricity behind work that was allocated out of a lane's epochs.

use crate::Result;
use crate::footprint::{self, Footprint};
use crate::service::Hosting;
use gruve_farm::{LANE_ROWS_MAX, day_of};
use gruve_store::Tx;
use gruve_units::{Amount, EpochNumber, EpochRule, Hashes, LaneId, SiteId, mul_div_floor};
use std::collections::BTreeMap;

/// Epochs of a lane looked at in one go.
const LOOKED_AT: u64 = 48;

type Taken = (EpochNumber, Hashes);

impl Hosting {
    /// What work that was allocated out of a lane's epochs cost in electricity; `taken` is by epoch, in any
    /// order.
    ///
    /// # Errors
    /// The farm's.
    pub async fn footprint(&self, lane: &LaneId, taken: &[Taken]) -> Result<Footprint> {
        let mut tx = self.store.read().await?;
        self.footprint_in(&mut tx, lane, taken).await
    }

    /// What work out of one epoch cost in electricity, by what the house's machines were measured to draw for what they
    /// proved and by what their sites state, asset by asset; nothing where nothing was measured or stated.
    ///
    /// # Errors
    /// The farm's.
    pub async fn energy_costs_in(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        epoch: EpochNumber,
        work: Hashes,
    ) -> Result<Vec<Amount>> {
        let of = self.footprint_in(tx, lane, &[(epoch, work)]).await?;
        let minor = |m: u128| i64::try_from(m).unwrap_or(i64::MAX);
        Ok(of.cost.into_iter().map(|(asset, m)| Amount::new(asset, minor(m))).collect())
    }

    /// [`Hosting::footprint`] within the caller's transaction.
    async fn footprint_in(&self, tx: &mut Tx, lane: &LaneId, taken: &[Taken]) -> Result<Footprint> {
        let rule = self.farm.rule(lane)?;
        let powers = self.farm.site_powers_in(tx).await?;
        let mut by_window: BTreeMap<u64, Vec<Taken>> = BTreeMap::new();
        for (epoch, work) in taken {
            by_window.entry(epoch.0 / LOOKED_AT).or_default().push((*epoch, *work));
        }
        let mut sum = Footprint::default();
        let mut unknown = Vec::new();
        for taken in by_window.into_values() {
            // Of the window what something was taken out of: often it is one epoch.
            let all = || taken.iter().map(|(epoch, _)| *epoch);
            let (Some(from), Some(last)) = (all().min(), all().max()) else { continue };
            let mut spans = vec![(from, last.next())];
            while let Some((from, until)) = spans.pop() {
                let here: Vec<Taken> =
                    taken.iter().filter(|(e, _)| (from..until).contains(e)).copied().collect();
                if here.is_empty() {
                    continue;
                }
                let measured = self.farm.lane_energy(tx, lane, from, until).await?;
                let proven = self.farm.lane_proven(tx, lane, from, until).await?;
                let most = measured.len().max(proven.len());
                if most >= LANE_ROWS_MAX && until.0 - from.0 > 1 {
                    let middle = EpochNumber(from.0 + (until.0 - from.0) / 2);
                    spans.extend([(from, middle), (middle, until)]);
                    continue;
                }
                let known = footprint::known_epochs(rule.length_us, &measured, &proven);
                let (here, more): (Vec<Taken>, Vec<Taken>) =
                    here.into_iter().partition(|(e, _)| known.contains(e));
                unknown.extend(more);
                let part = footprint::footprint(rule.length_us, &measured, &proven, &here, &[]);
                add(&mut sum, &part);
            }
        }
        add(&mut sum, &self.of_days(tx, lane, rule, &unknown).await?);
        let uncovered = sum.uncovered;
        let stated = footprint::of_energy(sum.covered, sum.by_site, &powers);
        Ok(Footprint { uncovered, ..stated })
    }

    /// The same of epochs that have no rows of their own: by what their days are summed up to.
    async fn of_days(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        rule: EpochRule,
        taken: &[Taken],
    ) -> Result<Footprint> {
        let mut by_day: BTreeMap<i64, u128> = BTreeMap::new();
        for (epoch, work) in taken {
            let of = by_day.entry(day_of(rule, *epoch)).or_default();
            *of = of.saturating_add(work.0);
        }
        let mut sum = Footprint::default();
        let (Some((first, _)), Some((last, _))) =
            (by_day.first_key_value(), by_day.last_key_value())
        else {
            return Ok(sum);
        };
        let days = self.farm.lane_days(tx, lane, (*first, *last)).await?;
        for (day, work) in by_day {
            let mut one = Footprint::default();
            match days.get(&day).filter(|d| d.work > Hashes::ZERO) {
                None => one.uncovered = Hashes(work),
                Some(d) => {
                    one.covered = Hashes(work);
                    one.by_site =
                        d.energy.iter().map(|(s, e)| (*s, part(*e, work, d.work))).collect();
                }
            }
            add(&mut sum, &one);
        }
        Ok(sum)
    }
}

/// A day's energy at a site for so much of its work. More than fits can only come of figures that cannot be.
fn part(energy: u128, work: u128, all: Hashes) -> u128 {
    mul_div_floor(energy, work, all.0).map_or(u128::MAX >> 40, |(q, _)| q)
}

fn add(sum: &mut Footprint, more: &Footprint) {
    sum.covered = Hashes(sum.covered.0.saturating_add(more.covered.0));
    sum.uncovered = Hashes(sum.uncovered.0.saturating_add(more.uncovered.0));
    let by_site: &BTreeMap<SiteId, u128> = &more.by_site;
    for (site, energy) in by_site {
        let of = sum.by_site.entry(*site).or_default();
        *of = of.saturating_add(*energy);
    }
}
