//! Doing again what a contract's lines say, one after the other, and comparing each number on the way. Pure.

use crate::document::Big;
use crate::document::{EndLine, EpochLine, Line, Position, Units};
use crate::earn::{Lives, Settled};
use crate::life::Life;
use crate::metered::METERED_FORMAT;
use crate::schemes::Priced;
use crate::terms::{
    AllocationRule, MaintenanceRule, RefundRule, SchemeRule, SettlementRule, ShortfallRule, Terms,
};
use gruve_units::Hashes;
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Hashes of one TH·day.
pub(crate) const TH_DAY: u128 = 1_000_000_000_000 * 86_400;

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

/// Hashes a block at a compact target takes: `⌊2^256 / (T + 1)⌋`.
pub(crate) fn expected_hashes(bits: u32) -> Result<u128, String> {
    let none = || format!("{bits:08x} is not a network target");
    let (size, digits) = (bits >> 24, bits & 0x007f_ffff);
    if bits & 0x0080_0000 != 0 || digits == 0 {
        return Err(none());
    }
    let digits = U256::from(digits);
    let target = if size <= 3 {
        digits >> (8 * (3 - size) as usize)
    } else {
        let shift = 8 * (size - 3) as usize;
        if digits.bit_len() + shift > 256 {
            return Err(none());
        }
        digits << shift
    };
    if target == U256::ZERO {
        return Err(none());
    }
    // ⌊2^256 / (T + 1)⌋ = ⌊(2^256 − 1 − T) / (T + 1)⌋ + 1, but for the largest target.
    let Some(above) = target.checked_add(U256::from(1u8)) else { return Ok(1) };
    let hashes = (U256::MAX - target) / above + U256::from(1u8);
    Ok(u128::try_from(hashes).unwrap_or(u128::MAX))
}

/// The last line of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWork {
    pub(crate) epoch: u64,
    pub(crate) entitled: Hashes,
    pub(crate) delivered: Hashes,
    /// Whether what it missed was set aside, or cannot be.
    pub(crate) is_aside: bool,
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
    /// What it got of the house's work, epoch by epoch.
    pub(crate) worked: BTreeMap<u64, (Hashes, Hashes)>,
    pub(crate) priced: Priced,
    pub(crate) life: Life,
    pub(crate) last_work: Option<LastWork>,
    pub(crate) is_metered: bool,
    /// Of a contract by the meter: whether it is stopped, and with which epoch it ended.
    pub(crate) meter: (bool, Option<u64>),
    ended: bool,
    /// The line that must come next.
    pub(crate) must_end: bool,
    last_epoch: Option<u64>,
    /// The last epoch that is known to have been closed. A choice does not tell that: one that lapses stands at the epoch
    /// before the close in which it does, and the house may have been away then.
    last_closed: Option<u64>,
    /// The last epoch before that of the line being taken that is known to have been closed.
    closed_before: Option<u64>,
}

impl Replay {
    /// A contract that nothing happened to yet. `start` is its first epoch.
    #[must_use]
    pub fn begin(terms: Terms, start: Option<u64>) -> Replay {
        let position = Position::begin(&terms.earns);
        let settled = vec![Settled::default(); terms.earns.len()];
        let is_metered = terms.format == METERED_FORMAT;
        Replay {
            is_metered,
            meter: (false, None),
            worked: BTreeMap::new(),
            priced: Priced::new(),
            life: Life::default(),
            last_work: None,
            terms,
            start,
            position,
            units: BTreeMap::new(),
            lives: Lives::default(),
            settled,
            ended: false,
            must_end: false,
            last_epoch: None,
            last_closed: None,
            closed_before: None,
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

    /// Before which epoch everything must be delivered, by what is known of pauses; none by the meter.
    #[must_use]
    pub fn hard_end(&self) -> Option<u64> {
        let (_, extension) = self.shortfall_rule();
        let begin = self.start?.saturating_add(self.position.paused_epochs);
        let end = begin.saturating_add(self.terms.term_epochs).saturating_add(extension);
        (!self.is_metered).then_some(end)
    }

    /// Takes one line, or all settlements of one closing together.
    pub(crate) fn take(&mut self, lines: &[&Line]) -> Verdict {
        let Some(first) = lines.first() else { return Ok(()) };
        let epoch = first.epoch();
        if self.last_epoch.is_some_and(|last| epoch < last) {
            return Err("it stands after a later epoch".into());
        }
        if self.last_epoch != Some(epoch) {
            self.closed_before = self.last_closed;
        }
        self.last_epoch = Some(epoch);
        if !matches!(first, Line::Choice(_)) {
            self.last_closed = Some(epoch);
        }
        if self.must_end && !matches!(first, Line::End(_) | Line::Aside(_)) {
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
            Line::Priced(l) => self.take_priced(l),
            Line::Found(l) => self.take_found(l),
            Line::Usage(l) => self.take_usage(l),
            Line::Meter(l) => self.take_meter(l),
            Line::Aside(l) => self.take_aside(l),
            Line::Judgement(l) => self.take_judgement(l),
            Line::Choice(l) => self.take_choice(l),
            Line::Owed(l) => self.take_owed(l),
            Line::Decision(l) => self.take_decision(l),
            Line::Pause(l) => self.take_pause(l),
            Line::Freeze(l) => self.take_freeze(l),
            Line::Dollars(l) => self.take_dollars(l),
        }
    }

    /// What must still follow the last line, if anything.
    pub(crate) fn check_finished(&self) -> Verdict {
        if self.must_end {
            return Err("the contract's end is missing".into());
        }
        self.lives.check_settled()
    }

    /// Whether a settlement may fall on the close of an epoch: a border of the terms lies between it and what was
    /// closed before.
    pub(crate) fn check_scheduled(&self, epoch: u64) -> Verdict {
        let SettlementRule::EveryEpochs { epochs, .. } = self.terms.rules.settlement else {
            return Ok(());
        };
        let of = |epoch: u64| epoch.saturating_add(1) / epochs.max(1);
        match self.closed_before {
            Some(before) if of(before) >= of(epoch) => {
                Err(format!("no settlement falls on epoch {epoch}: they are every {epochs} epochs"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the contract has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    fn due_by(&self, epoch: u64) -> Result<u128, String> {
        let begin = self.start.unwrap_or(u64::MAX).saturating_add(self.position.paused_epochs);
        let passed = epoch.saturating_add(1).saturating_sub(begin);
        let epochs = passed.min(self.terms.term_epochs);
        let due = self.terms.epoch_work.0.checked_mul(u128::from(epochs));
        due.ok_or_else(|| "the work of the contract does not fit".to_owned())
    }

    fn take_epoch(&mut self, l: &EpochLine) -> Verdict {
        let (Some(start), Some(hard_end)) = (self.start, self.hard_end()) else {
            return Err("the contract has not begun".into());
        };
        if self.ended || self.is_metered {
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
        self.position.delivered = sum;
        let given = self.given();
        must("shortfall", l.shortfall.0, self.due_by(l.epoch)?.saturating_sub(given.0))?;
        self.take_upkeep_of(l.delivered, l.upkeep, l.upkeep_due)?;
        self.take_units_of(l.epoch, l.delivered, l.house_work, &l.units)?;
        let waits = self.position.undecided > Hashes::ZERO;
        self.must_end = given == self.terms.work || (l.epoch + 1 >= hard_end && !waits);
        let (epoch, entitled, delivered) = (l.epoch, l.entitled, l.delivered);
        self.last_work = Some(LastWork { epoch, entitled, delivered, is_aside: false });
        Ok(())
    }

    /// Entitled, made good and delivered, from the lane's facts.
    fn check_allocation(&self, l: &EpochLine) -> Verdict {
        let AllocationRule::ProRata = self.terms.rules.allocation;
        let before = self.spoken_for();
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

    pub(crate) fn take_upkeep_of(&mut self, work: Hashes, said: Big, said_due: Big) -> Verdict {
        let MaintenanceRule::PerDelivered { order } = &self.terms.rules.maintenance;
        let fee = order.first().map_or(0, |u| u.minor_per_th_day);
        let product = U256::from(work.0)
            .checked_mul(U256::from(u128::from(fee) << 64))
            .ok_or("the upkeep does not fit")?;
        let upkeep = u128::try_from(product / U256::from(TH_DAY))
            .map_err(|_| "the upkeep does not fit".to_owned())?;
        must("upkeep", said.0, upkeep)?;
        let due = self.position.upkeep_due.0.checked_add(upkeep);
        let due = due.ok_or("the upkeep due does not fit")?;
        must("upkeep_due", said_due.0, due)?;
        self.position.upkeep_due = Big(due);
        Ok(())
    }

    pub(crate) fn take_units_of(
        &mut self,
        epoch: u64,
        delivered: Hashes,
        house_work: Hashes,
        units: &[Units],
    ) -> Verdict {
        if !units.iter().map(|u| u.asset).eq(self.terms.earns.iter().copied()) {
            return Err(
                "its units are not of the assets that the terms name, in their order".into()
            );
        }
        // Work under FPPS stands in windows for the reserve, work under SOLO in none.
        let is_own = matches!(self.terms.rules.scheme, SchemeRule::PplnsUnits { .. });
        let mut kept = Vec::with_capacity(units.len());
        for u in units {
            let own = if delivered == Hashes::ZERO || !is_own {
                0
            } else {
                mul_div(u.house.0, delivered.0, house_work.0)?.0
            };
            must(&format!("own units of {}", u.asset), u.own.0, own)?;
            if own > u.all.0 {
                return Err(format!("the contract has more units of {} than all", u.asset));
            }
            kept.push((u.all.0, own));
        }
        self.units.insert(epoch, kept);
        self.worked.insert(epoch, (delivered, house_work));
        Ok(())
    }

    fn take_end(&mut self, l: &EndLine) -> Verdict {
        if self.ended || self.is_metered {
            return Err("the contract has ended before".into());
        }
        let given = self.given();
        let complete = given == self.terms.work;
        if l.complete != complete {
            return Err(format!("complete is {} and should be {complete}", l.complete));
        }
        let hard_end = self.hard_end().unwrap_or(u64::MAX);
        if complete && l.charged_back.is_some() {
            return Err("all its work was given: nothing is kept of its price".into());
        }
        if !complete && l.epoch + 1 < hard_end && l.charged_back.is_none() {
            return Err(format!("it may not end without all its work before epoch {hard_end}"));
        }
        if !complete && self.position.undecided > Hashes::ZERO {
            return Err("it may not end while work of it waits for a choice".into());
        }
        let RefundRule::Undelivered = self.terms.rules.refund;
        let price = self.terms.price;
        let paid = u128::try_from(price.minor).map_err(|_| "a negative price".to_owned())?;
        let (earned, _) = mul_div(paid, given.0, self.terms.work.0)?;
        let rest = if complete { 0 } else { paid.saturating_sub(earned) };
        let back = match &l.charged_back {
            Some(charged_back) => self.left_of(rest, l.epoch, charged_back)?,
            None => rest,
        };
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
