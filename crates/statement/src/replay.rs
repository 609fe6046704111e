//! Doing again what a contract's lines say, one after the other, and comparing each number on the way. Pure.

use crate::document::Big;
use crate::document::{EndLine, EpochLine, Line, Position};
use crate::earn::{Lives, Settled};
use crate::terms::{AllocationRule, MaintenanceRule, RefundRule, ShortfallRule, Terms};
use gruve_units::Hashes;
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Hashes of one TH·day.
const TH_DAY: u128 = 1_000_000_000_000 * 86_400;

/// What is wrong with a line, in words.
pub(crate) type Verdict = Result<(), String>;

/// Compares a number of a line with what it should be.
pub(crate) fn must<T: Copy + PartialEq + std::fmt::Display>(name: &str, said: T, is: T) -> Verdict {
    if said == is { Ok(()) } else { Err(format!("{name} is {said} and should be {is}")) }
}

/// `⌊a·b / d⌋` and whether anything is left over; what does not fit is told.
pub(crate) fn mul_div(a: u128, b: u128, d: u128) -> Result<(u128, bool), String> {
    if d == 0 {
        return Err("a division by zero".into());
    }
    let product = U256::from(a) * U256::from(b);
    let (q, r) = product.div_rem(U256::from(d));
    let q = u128::try_from(q).map_err(|_| "a number does not fit".to_owned())?;
    Ok((q, r != U256::ZERO))
}

/// All units and own units of an epoch, in the order of the terms.
pub(crate) type EpochUnits = Vec<(u128, u128)>;

/// A contract's life so far.
#[derive(Clone, Debug)]
pub struct Replay {
    pub(crate) terms: Terms,
    pub(crate) start: Option<u64>,
    pub(crate) position: Position,
    pub(crate) units: BTreeMap<u64, EpochUnits>,
    pub(crate) lives: Lives,
    /// What settlements began after, by asset.
    pub(crate) settled: Vec<Settled>,
    ended: bool,
    /// The line that must come next.
    must_end: bool,
    last_epoch: Option<u64>,
}

impl Replay {
    /// A contract that nothing happened to yet. `start` is its first epoch.
    #[must_use]
    pub fn begin(terms: Terms, start: Option<u64>) -> Replay {
        let position = Position::begin(&terms.earns);
        let settled = vec![Settled::default(); terms.earns.len()];
        Replay {
            terms,
            start,
            position,
            units: BTreeMap::new(),
            lives: Lives::default(),
            settled,
            ended: false,
            must_end: false,
            last_epoch: None,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    pub(crate) fn shortfall_rule(&self) -> (u32, u64) {
        let ShortfallRule::MadeGood { catch_up_bps, extension_epochs } = self.terms.rules.shortfall;
        (catch_up_bps, extension_epochs)
    }

    /// Before which epoch everything must be delivered.
    #[must_use]
    pub fn hard_end(&self) -> Option<u64> {
        let (_, extension) = self.shortfall_rule();
        Some(self.start?.saturating_add(self.terms.term_epochs).saturating_add(extension))
    }

    /// Takes one line, or all settlements of one closing together.
    pub(crate) fn take(&mut self, lines: &[&Line]) -> Verdict {
        let Some(first) = lines.first() else { return Ok(()) };
        let epoch = first.epoch();
        if self.last_epoch.is_some_and(|last| epoch < last) {
            return Err("it stands after a later epoch".into());
        }
        self.last_epoch = Some(epoch);
        if self.must_end && !matches!(first, Line::End(_)) {
            return Err("the contract's end should stand before it".into());
        }
        self.lives.check_no_debt(first)?;
        match first {
            Line::Epoch(l) => self.take_epoch(l),
            Line::End(l) => self.take_end(l),
            Line::Accrual(l) => self.take_accrual(l),
            Line::Credit(l) => self.take_credit(l),
            Line::Settlement(_) => self.take_settlements(lines),
            Line::Reversal(l) => self.take_reversal(l),
            Line::TakeBack(l) => self.take_take_back(l),
        }
    }

    /// What must still follow the last line, if anything.
    pub(crate) fn check_finished(&self) -> Verdict {
        if self.must_end {
            return Err("the contract's end is missing".into());
        }
        self.lives.check_settled()
    }

    fn due_by(&self, epoch: u64) -> Result<u128, String> {
        let passed = (epoch + 1).saturating_sub(self.start.unwrap_or(u64::MAX));
        let epochs = passed.min(self.terms.term_epochs);
        let due = self.terms.epoch_work.0.checked_mul(u128::from(epochs));
        due.ok_or_else(|| "the work of the contract does not fit".to_owned())
    }

    fn take_epoch(&mut self, l: &EpochLine) -> Verdict {
        let (Some(start), Some(hard_end)) = (self.start, self.hard_end()) else {
            return Err("the contract has not begun".into());
        };
        if self.ended {
            return Err("the contract has ended".into());
        }
        if l.epoch < start || l.epoch >= hard_end {
            return Err(format!("the contract runs from epoch {start} until before {hard_end}"));
        }
        if self.units.contains_key(&l.epoch) {
            return Err("the epoch stands there twice".into());
        }
        let began = i128::from(l.epoch) * i128::from(self.terms.epoch_us);
        must("began_us", i128::from(l.began_us), began)?;
        self.check_allocation(l)?;
        let sum = self.position.delivered.checked_add(l.delivered);
        let sum =
            sum.filter(|s| *s <= self.terms.work).ok_or("more is delivered than was bought")?;
        must("delivered_sum", l.delivered_sum, sum)?;
        must("shortfall", l.shortfall.0, self.due_by(l.epoch)?.saturating_sub(sum.0))?;
        self.position.delivered = sum;
        self.take_upkeep(l)?;
        self.take_units(l)?;
        self.must_end = sum == self.terms.work || l.epoch + 1 >= hard_end;
        Ok(())
    }

    /// Entitled, made good and delivered, from the lane's facts.
    fn check_allocation(&self, l: &EpochLine) -> Verdict {
        let AllocationRule::ProRata = self.terms.rules.allocation;
        let before = self.position.delivered;
        let open = self.terms.work.saturating_sub(before);
        must("entitled", l.entitled, self.terms.epoch_work.min(open))?;
        if l.entitled_all < l.entitled {
            return Err(format!("entitled_all {} is below entitled", l.entitled_all));
        }
        if l.house_work < l.entitled_all {
            must("made_good", l.made_good, Hashes::ZERO)?;
            must("surplus", l.surplus, Hashes::ZERO)?;
            let (least, more) = mul_div(l.house_work.0, l.entitled.0, l.entitled_all.0)?;
            // One hash of those left over, where there is a remainder.
            if l.delivered.0 != least && !(more && l.delivered.0 == least + 1) {
                return Err(format!(
                    "delivered is {} and should be {least}{}",
                    l.delivered,
                    if more { " or one more" } else { "" }
                ));
            }
            return Ok(());
        }
        let sum = l.entitled.checked_add(l.made_good).ok_or("made_good does not fit")?;
        must("delivered", l.delivered, sum)?;
        let (catch_up, _) = self.shortfall_rule();
        let (rate, _) = mul_div(self.terms.epoch_work.0, catch_up.into(), 10_000)?;
        let owed = self.due_by(l.epoch)?.saturating_sub(before.0).saturating_sub(l.entitled.0);
        let most = owed.min(rate);
        if l.made_good.0 > most {
            return Err(format!("made_good is {} and can be {most} at most", l.made_good));
        }
        // The operator takes nothing while a shortfall could be made good.
        if l.surplus > Hashes::ZERO {
            must("made_good", l.made_good.0, most)?;
        }
        let beyond = l.house_work.saturating_sub(l.entitled_all);
        match l.made_good.checked_add(l.surplus) {
            Some(both) if both <= beyond => Ok(()),
            _ => Err(format!("made_good and surplus are above the {beyond} beyond entitled_all")),
        }
    }

    fn take_upkeep(&mut self, l: &EpochLine) -> Verdict {
        let MaintenanceRule::PerDelivered { order } = &self.terms.rules.maintenance;
        let fee = order.first().map_or(0, |u| u.minor_per_th_day);
        let product = U256::from(l.delivered.0)
            .checked_mul(U256::from(u128::from(fee) << 64))
            .ok_or("the upkeep does not fit")?;
        let upkeep = u128::try_from(product / U256::from(TH_DAY))
            .map_err(|_| "the upkeep does not fit".to_owned())?;
        must("upkeep", l.upkeep.0, upkeep)?;
        let due = self.position.upkeep_due.0.checked_add(upkeep);
        let due = due.ok_or("the upkeep due does not fit")?;
        must("upkeep_due", l.upkeep_due.0, due)?;
        self.position.upkeep_due = Big(due);
        Ok(())
    }

    fn take_units(&mut self, l: &EpochLine) -> Verdict {
        if !l.units.iter().map(|u| u.asset).eq(self.terms.earns.iter().copied()) {
            return Err(
                "its units are not of the assets that the terms name, in their order".into()
            );
        }
        let mut kept = Vec::with_capacity(l.units.len());
        for u in &l.units {
            let own = if l.delivered == Hashes::ZERO {
                0
            } else {
                mul_div(u.house.0, l.delivered.0, l.house_work.0)?.0
            };
            must(&format!("own units of {}", u.asset), u.own.0, own)?;
            if own > u.all.0 {
                return Err(format!("the contract has more units of {} than all", u.asset));
            }
            kept.push((u.all.0, own));
        }
        self.units.insert(l.epoch, kept);
        Ok(())
    }

    fn take_end(&mut self, l: &EndLine) -> Verdict {
        if self.ended {
            return Err("the contract has ended before".into());
        }
        let complete = self.position.delivered == self.terms.work;
        if l.complete != complete {
            return Err(format!("complete is {} and should be {complete}", l.complete));
        }
        let hard_end = self.hard_end().unwrap_or(u64::MAX);
        if !complete && l.epoch + 1 < hard_end {
            return Err(format!("it may end without all its work before epoch {hard_end} only"));
        }
        let RefundRule::Undelivered = self.terms.rules.refund;
        let price = self.terms.price;
        let paid = u128::try_from(price.minor).map_err(|_| "a negative price".to_owned())?;
        let (earned, _) = mul_div(paid, self.position.delivered.0, self.terms.work.0)?;
        let back = if complete { 0 } else { paid.saturating_sub(earned) };
        must("refund", i128::from(l.refund.minor), i128::try_from(back).unwrap_or(i128::MAX))?;
        if l.refund.asset != price.asset {
            return Err(format!(
                "the refund is in {}, the price in {}",
                l.refund.asset, price.asset
            ));
        }
        self.position.refunded_minor = l.refund.minor;
        (self.ended, self.must_end) = (true, false);
        Ok(())
    }
}
