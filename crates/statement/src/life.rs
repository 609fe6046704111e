//! What happened in a contract's life beside delivery, done again. Pure.

use crate::document::{
    AsideLine, Big, ChargedBack, Choice, ChoiceLine, Decision, DecisionLine, DollarsLine,
    FreezeLine, JudgementLine, OwedLine, PauseLine, Why,
};
use crate::replay::{Replay, TH_DAY, Verdict, expected_hashes, mul_div, must};
use crate::terms::{
    FeeRule, MaintenanceRule, OperatorShortfallRule, SchemeRule, SettlementRule, UnprofitableRule,
    UsdMaintenanceRule,
};
use gruve_units::{Asset, Hashes};
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Work that was set aside, and what became of it.
#[derive(Clone, Copy, Debug)]
struct Aside {
    hashes: Hashes,
    judged: bool,
    chosen: Option<Choice>,
}

/// What of a contract's life lines have to remember of each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    asides: BTreeMap<u64, Aside>,
    /// Paid so far for an epoch's work, and the work.
    paid: BTreeMap<(Why, u64, Asset), (Hashes, i64)>,
    /// From which epoch on a pause was announced.
    pause_from: Option<u64>,
    /// Epochs up to which it was paused.
    paused_to: Option<u64>,
    /// Epochs up to which it was frozen.
    frozen_to: Option<u64>,
    /// Dues in dollars that have no price yet.
    open_dues: usize,
    dollars_to: Option<u64>,
}

impl Life {
    /// Nothing is settled while dues have no price.
    pub(crate) fn check_settlement(&self) -> Verdict {
        match self.open_dues {
            0 => Ok(()),
            _ => Err("nothing may be settled while upkeep in dollars has no price".into()),
        }
    }
}

fn per_th_day(work: Hashes, fee: u64) -> Result<u128, String> {
    let product = U256::from(work.0).checked_mul(U256::from(u128::from(fee) << 64));
    let product = product.ok_or("a fee does not fit")?;
    u128::try_from(product / U256::from(TH_DAY)).map_err(|_| "a fee does not fit".to_owned())
}

/// `⌊due · minor units of a coin / price⌋`.
fn in_coin(due: u128, asset: Asset, price_micro: i64) -> Result<u128, String> {
    let price = u128::try_from(price_micro).map_err(|_| "a price is negative".to_owned())?;
    let unit = u128::try_from(asset.unit()).map_err(|_| "no such coin".to_owned())?;
    Ok(mul_div(due, unit, price)?.0)
}

impl Replay {
    /// Work given: delivered, or paid for instead.
    pub(crate) fn given(&self) -> Hashes {
        Hashes(self.position.delivered.0.saturating_add(self.position.compensated.0))
    }

    /// Work that is not to be delivered now: given, or waiting for its owner's choice.
    pub(crate) fn spoken_for(&self) -> Hashes {
        Hashes(self.given().0.saturating_add(self.position.undecided.0))
    }

    pub(crate) fn take_aside(&mut self, l: &AsideLine) -> Verdict {
        let last = self.last_work.filter(|w| w.epoch == l.epoch && !w.is_aside);
        let Some(work) = last else {
            return Err("it must stand after the work of its epoch".into());
        };
        let missed = work.entitled.saturating_sub(work.delivered);
        let left = self.terms.work.saturating_sub(self.spoken_for());
        must("hashes", l.hashes, missed.min(left))?;
        if l.hashes == Hashes::ZERO {
            return Err("nothing was missed".into());
        }
        self.last_work = Some(crate::replay::LastWork { is_aside: true, ..work });
        let sum = self.position.undecided.0.checked_add(l.hashes.0).ok_or("it does not fit")?;
        self.position.undecided = Hashes(sum);
        let aside = Aside { hashes: l.hashes, judged: false, chosen: None };
        self.life.asides.insert(l.epoch, aside);
        // The end waits for what becomes of it.
        if self.given() != self.terms.work {
            self.must_end = false;
        }
        Ok(())
    }

    pub(crate) fn take_judgement(&mut self, l: &JudgementLine) -> Verdict {
        let aside = self.life.asides.get_mut(&l.of_epoch).filter(|a| !a.judged);
        let aside = aside.ok_or("nothing of that epoch waits for a judgement")?;
        must("aside", l.aside, aside.hashes)?;
        if l.caused > l.missing || l.aside > l.missing {
            return Err("more was caused or set aside than was missing".into());
        }
        let part = Hashes(mul_div(l.aside.0, l.caused.0, l.missing.0)?.0);
        must("part", l.part, part)?;
        let back = aside.hashes.saturating_sub(part);
        (aside.hashes, aside.judged) = (part, true);
        self.undecided_less(back)
    }

    fn undecided_less(&mut self, hashes: Hashes) -> Verdict {
        let left = self.position.undecided.checked_sub(hashes);
        self.position.undecided = left.ok_or("more is decided than was set aside")?;
        Ok(())
    }

    pub(crate) fn take_choice(&mut self, l: &ChoiceLine) -> Verdict {
        let rules = self.terms.rules.life.as_ref();
        let rule = rules.map(|life| &life.operator_shortfall).ok_or("the terms give no choice")?;
        let OperatorShortfallRule::Choice { epochs } = rule;
        let over = l.of_epoch.saturating_add(*epochs);
        if l.choice == Choice::Lapsed && l.epoch.saturating_add(1) < over {
            return Err(format!("the choice may not lapse before epoch {over}"));
        }
        let aside = self.life.asides.get_mut(&l.of_epoch);
        let aside = aside.filter(|a| a.judged && a.chosen.is_none() && a.hashes > Hashes::ZERO);
        let aside = aside.ok_or("there is no choice about that epoch")?;
        must("hashes", l.hashes, aside.hashes)?;
        aside.chosen = Some(l.choice);
        self.undecided_less(l.hashes)?;
        if l.choice == Choice::Earnings {
            let sum = self.position.compensated.0.checked_add(l.hashes.0).ok_or("too much")?;
            self.position.compensated = Hashes(sum);
        }
        Ok(())
    }

    /// The operator's part of what is owed for missed work.
    fn owed_fee(&self) -> u16 {
        match &self.terms.rules.scheme {
            SchemeRule::Fpps { fee_bps, .. } => *fee_bps,
            SchemeRule::PplnsUnits { .. } | SchemeRule::Solo { .. } => {
                let FeeRule::PartOfEarnings { bps } = self.terms.rules.fee;
                bps
            }
        }
    }

    pub(crate) fn take_owed(&mut self, l: &OwedLine) -> Verdict {
        let key = (l.why, l.of_epoch, l.asset);
        let (work, before) = self.life.paid.get(&key).copied().unwrap_or((l.hashes, 0));
        must("hashes", l.hashes, work)?;
        let units = mul_div(l.hashes.0, 1 << 64, expected_hashes(l.bits)?)?.0;
        let earned = mul_div(units, l.per_block.0, 1 << 64)?.0;
        let due = match l.why {
            Why::Missed => {
                let aside = self.life.asides.get(&l.of_epoch);
                let aside = aside.filter(|a| a.chosen == Some(Choice::Earnings));
                let aside = aside.ok_or("earnings were not chosen for that epoch")?;
                must("hashes", l.hashes, aside.hashes)?;
                if l.price_micro.is_some() || l.energy_usd_micro_per_th_day.is_some() {
                    return Err("no energy is taken off missed work".into());
                }
                mul_div(earned, u128::from(10_000 - self.owed_fee().min(10_000)), 10_000)?.0
            }
            Why::Paused => {
                if l.hashes > self.terms.epoch_work {
                    return Err("it is more than the contract's rate".into());
                }
                earned.saturating_sub(self.energy(l)?)
            }
        };
        must("due", l.due.0, due)?;
        let whole = i64::try_from(due >> 64).map_err(|_| "an amount does not fit".to_owned())?;
        must("paid_minor", l.paid_minor, whole - before)?;
        if l.paid_minor <= 0 {
            return Err("nothing is paid by it".into());
        }
        self.life.paid.insert(key, (l.hashes, whole));
        let holding = self.holding(l.asset)?;
        let sum = holding.owed_paid_minor.checked_add(l.paid_minor);
        holding.owed_paid_minor = sum.ok_or("an amount does not fit")?;
        Ok(())
    }

    /// The energy of a pause's work, in the lane's own coin.
    fn energy(&self, l: &OwedLine) -> Result<u128, String> {
        let UnprofitableRule::Pause { energy_usd_micro_per_th_day: fee, .. } =
            self.terms.rules.unprofitable
        else {
            return Err("the contract is never paused".into());
        };
        self.check_scheduled(l.epoch)?;
        match l.price_micro {
            None if l.energy_usd_micro_per_th_day.is_some() => {
                Err("its energy has no price".into())
            }
            // Nothing was measured, so nothing is kept.
            None => Ok(0),
            Some(_) if fee == 0 => Err("the terms name no energy".into()),
            Some(_) if l.energy_usd_micro_per_th_day.is_some_and(|cost| cost > fee) => {
                Err("more is kept for energy than the terms allow".into())
            }
            Some(price) if self.terms.earns.first() == Some(&l.asset) => {
                let cost = l.energy_usd_micro_per_th_day.unwrap_or(fee);
                in_coin(per_th_day(l.hashes, cost)?, l.asset, price)
            }
            Some(_) => Ok(0),
        }
    }

    pub(crate) fn take_decision(&mut self, l: &DecisionLine) -> Verdict {
        let UnprofitableRule::Pause { hysteresis_bps, notice_epochs, .. } =
            self.terms.rules.unprofitable
        else {
            return Err("the contract is never paused".into());
        };
        let before = match self.terms.rules.settlement {
            SettlementRule::EveryEpochs { epochs, .. } => epochs,
            SettlementRule::NotStated => 1,
        };
        let instant = i128::from(l.epoch.saturating_sub(before)) + 1;
        let instant = instant * i128::from(self.terms.epoch_us);
        must("instant_us", i128::from(l.instant_us), instant)?;
        let own = self.terms.earns.first().copied().ok_or("the contract earns nothing")?;
        let MaintenanceRule::PerDelivered { order } = &self.terms.rules.maintenance;
        let coins = order.first().map_or(0, |u| u.minor_per_th_day);
        let unit = u128::try_from(own.unit()).map_err(|_| "no such coin".to_owned())?;
        let price = u128::try_from(l.price_micro).map_err(|_| "a negative price".to_owned())?;
        let dollars = self.dollars_fee().unwrap_or(0);
        let costs = mul_div(coins.into(), price, unit)?.0.saturating_add(dollars.into());
        must("costs_micro", i128::from(l.costs_micro), i128::try_from(costs).unwrap_or(i128::MAX))?;
        let earns = u128::try_from(l.earns_micro).map_err(|_| "it earns less than nothing")?;
        let (low, high) = (
            costs.saturating_mul(u128::from(10_000u16.saturating_sub(hysteresis_bps))),
            costs.saturating_mul(10_000 + u128::from(hysteresis_bps)),
        );
        let earns = earns.saturating_mul(10_000);
        let (fits, effective) = match l.decision {
            Decision::Pause => (earns < low, l.epoch.saturating_add(1 + notice_epochs)),
            Decision::Override => (earns < low, l.epoch.saturating_add(1)),
            Decision::Run => (earns >= high, l.epoch.saturating_add(1)),
        };
        if !fits {
            return Err("the figures do not say that".into());
        }
        must("effective_epoch", l.effective_epoch, effective)?;
        match l.decision {
            Decision::Pause => self.life.pause_from = Some(effective),
            Decision::Run => self.life.pause_from = None,
            Decision::Override => {}
        }
        Ok(())
    }

    pub(crate) fn take_pause(&mut self, l: &PauseLine) -> Verdict {
        let announced = self.life.pause_from.is_some_and(|from| from <= l.from_epoch);
        if !announced {
            return Err("it was not announced for then".into());
        }
        if self.start.is_none_or(|start| l.from_epoch < start)
            || l.from_epoch > l.epoch
            || self.life.paused_to.is_some_and(|to| l.from_epoch <= to)
        {
            return Err("its epochs are none".into());
        }
        if l.epochs > l.epoch - l.from_epoch + 1 {
            return Err("more epochs are counted than it has".into());
        }
        if let Some(w) = self.last_work.filter(|w| w.epoch >= l.from_epoch) {
            return Err(format!("work of epoch {} was delivered in it", w.epoch));
        }
        self.life.paused_to = Some(l.epoch);
        let sum = self.position.paused_epochs.checked_add(l.epochs).ok_or("it does not fit")?;
        self.position.paused_epochs = sum;
        Ok(())
    }

    pub(crate) fn take_freeze(&mut self, l: &FreezeLine) -> Verdict {
        if self.has_ended() || self.is_metered {
            return Err("the contract does not run".into());
        }
        let Some(start) = self.start.filter(|start| *start <= l.from_epoch) else {
            return Err("its epochs are none".into());
        };
        if l.from_epoch > l.epoch || self.life.frozen_to.is_some_and(|to| l.from_epoch <= to) {
            return Err("its epochs are none".into());
        }
        if let Some(w) = self.last_work.filter(|w| w.epoch >= l.from_epoch) {
            return Err(format!("work of epoch {} was delivered in it", w.epoch));
        }
        let sum = self.position.paused_epochs.checked_add(l.epoch - l.from_epoch + 1);
        // One that a pause has counted is not counted again.
        let sum = sum
            .filter(|sum| *sum <= l.epoch - start + 1)
            .ok_or("more epochs are counted than passed")?;
        self.position.paused_epochs = sum;
        self.life.frozen_to = Some(l.epoch);
        Ok(())
    }

    /// What of the price of undelivered work goes back where the payment was taken back: what was lost is kept.
    pub(crate) fn left_of(
        &self,
        rest: u128,
        epoch: u64,
        back: &ChargedBack,
    ) -> Result<u128, String> {
        if self.life.frozen_to != Some(epoch) {
            return Err("it was not frozen when its payment was taken back".into());
        }
        let lost = u128::try_from(back.lost_minor).map_err(|_| "less than nothing was lost")?;
        let kept = rest.min(lost);
        must("kept_minor", i128::from(back.kept_minor), i128::try_from(kept).unwrap_or(i128::MAX))?;
        Ok(rest - kept)
    }

    fn dollars_fee(&self) -> Option<u64> {
        let rule = self.terms.rules.life.as_ref()?.maintenance_usd.as_ref()?;
        let UsdMaintenanceRule::PerDelivered { micro_per_th_day } = rule;
        Some(*micro_per_th_day)
    }

    pub(crate) fn take_dollars(&mut self, l: &DollarsLine) -> Verdict {
        let fee = self.dollars_fee().ok_or("the terms name no upkeep in dollars")?;
        if self.life.dollars_to.is_some_and(|to| l.epoch <= to) {
            return Err("it was counted before".into());
        }
        // What is due at the end does not wait for a settlement.
        if !self.has_ended() {
            self.check_scheduled(l.epoch)?;
        }
        self.life.dollars_to = Some(l.epoch);
        let instant = (i128::from(l.epoch) + 1) * i128::from(self.terms.epoch_us);
        must("instant_us", i128::from(l.instant_us), instant)?;
        let total = per_th_day(self.position.delivered, fee)?;
        must("total", l.total.0, total)?;
        let due = total.checked_sub(self.position.dollars.0).ok_or("less than before is owed")?;
        must("due", l.due.0, due)?;
        self.position.dollars = Big(total);
        let own = self.terms.earns.first().copied().ok_or("the contract earns nothing")?;
        let coins = match l.price_micro {
            Some(price) => in_coin(due, own, price)?,
            None => {
                self.life.open_dues += 1;
                0
            }
        };
        must("coins", l.coins.0, coins)?;
        let sum = self.position.upkeep_due.0.checked_add(coins).ok_or("it does not fit")?;
        must("upkeep_due", l.upkeep_due.0, sum)?;
        self.position.upkeep_due = Big(sum);
        Ok(())
    }
}
