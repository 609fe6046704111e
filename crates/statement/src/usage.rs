//! Work by the meter done again. Pure.

use crate::document::{Big, MeterLine, Metered, UsageLine};
use crate::replay::{LastWork, Replay, Verdict, mul_div, must};
use gruve_units::{Hashes, Hashrate};
use ruint::Uint;

type Wide = Uint<512, 8>;

/// The work of a price: its hashrate over a day.
fn priced(rate: Hashrate) -> Result<Wide, String> {
    if rate.0 == 0 {
        return Err("the price is of no hashrate".into());
    }
    Ok(Wide::from(rate.0) * Wide::from(86_400u32))
}

fn minor(price: i64) -> Result<Wide, String> {
    u64::try_from(price).map(Wide::from).map_err(|_| "a negative price".to_owned())
}

impl Replay {
    pub(crate) fn take_usage(&mut self, l: &UsageLine) -> Verdict {
        if !self.is_metered {
            return Err("the contract is not by the meter".into());
        }
        if self.start.is_none_or(|start| l.epoch < start) {
            return Err("the contract has not begun".into());
        }
        if self.worked.last_key_value().is_some_and(|(last, _)| l.epoch <= *last) {
            return Err("it stands after a later epoch".into());
        }
        if self.meter.0 {
            return Err("the contract is stopped".into());
        }
        if self.meter.1.is_some_and(|end| l.epoch > end) {
            return Err("the contract has ended before".into());
        }
        let began = i128::from(l.epoch) * i128::from(self.terms.epoch_us);
        must("began_us", i128::from(l.began_us), began)?;
        self.check_hold(l)?;
        self.check_share(l)?;
        let sum = self.position.delivered.checked_add(l.delivered).ok_or("it does not fit")?;
        must("delivered_sum", l.delivered_sum, sum)?;
        self.position.delivered = sum;
        self.take_cost(l)?;
        self.take_upkeep_of(l.delivered, l.upkeep, l.upkeep_due)?;
        self.take_units_of(l.epoch, l.delivered, l.house_work.unwrap_or_default(), &l.units)?;
        let (epoch, entitled, delivered) = (l.epoch, l.entitled, l.delivered);
        self.last_work = Some(LastWork { epoch, entitled, delivered, is_aside: true });
        Ok(())
    }

    /// A stop, its end, or the contract's: with all work and charges so far.
    pub(crate) fn take_meter(&mut self, l: &MeterLine) -> Verdict {
        if !self.is_metered {
            return Err("the contract is not by the meter".into());
        }
        let (is_stopped, ended) = self.meter;
        if ended.is_some() {
            return Err("the contract has ended before".into());
        }
        self.meter = match (l.what, is_stopped) {
            (Metered::Stopped, false) => (true, None),
            (Metered::Resumed, true) => (false, None),
            // One that is stopped ends as such.
            (Metered::Ended, _) => (is_stopped, Some(l.epoch)),
            (Metered::Stopped, true) => return Err("it is stopped already".into()),
            (Metered::Resumed, false) => return Err("it was not stopped".into()),
        };
        must("delivered_sum", l.delivered_sum, self.position.delivered)?;
        must("charged_minor", l.charged_minor, self.position.charged_minor)?;
        must("cost_carry", l.cost_carry.0, self.position.cost_carry.0)
    }

    /// What was held is the whole cost at the rate asked for, rounded up, or all there was; and what it covers.
    fn check_hold(&self, l: &UsageLine) -> Verdict {
        let (unit, price) = (priced(l.price_hashrate)?, minor(l.price_minor)?);
        if price == Wide::ZERO {
            return Err("the price is nothing".into());
        }
        let worst = (Wide::from(self.terms.epoch_work.0) * price).div_ceil(unit);
        let held = minor(l.held_minor)?;
        if held > worst {
            return Err(format!("held_minor is {held} and can be {worst} at most"));
        }
        let covered = if held == worst {
            self.terms.epoch_work
        } else {
            Hashes(u128::try_from(held * unit / price).map_err(|_| "it does not fit".to_owned())?)
        };
        must("cap", l.cap, covered)
    }

    fn check_share(&self, l: &UsageLine) -> Verdict {
        let Some(house) = l.house_work else {
            must("entitled", l.entitled, Hashes::ZERO)?;
            must("entitled_all", l.entitled_all, Hashes::ZERO)?;
            return must("delivered", l.delivered, Hashes::ZERO);
        };
        must("entitled", l.entitled, self.terms.epoch_work.min(l.cap))?;
        if l.entitled_all < l.entitled {
            return Err(format!("entitled_all {} is below entitled", l.entitled_all));
        }
        if house >= l.entitled_all {
            return must("delivered", l.delivered, l.entitled);
        }
        let (least, more) = mul_div(house.0, l.entitled.0, l.entitled_all.0)?;
        if l.delivered.0 != least && !(more && l.delivered.0 == least + 1) {
            let one = if more { " or one more" } else { "" };
            return Err(format!("delivered is {} and should be {least}{one}", l.delivered));
        }
        Ok(())
    }

    fn take_cost(&mut self, l: &UsageLine) -> Verdict {
        let (unit, price) = (priced(l.price_hashrate)?, minor(l.price_minor)?);
        let cost = ((Wide::from(l.delivered.0) * price) << 64usize) / unit;
        let cost = u128::try_from(cost).map_err(|_| "the cost does not fit".to_owned())?;
        must("cost", l.cost.0, cost)?;
        let all = cost.checked_add(self.position.cost_carry.0).ok_or("the cost does not fit")?;
        let whole = i64::try_from(all >> 64).map_err(|_| "the cost does not fit".to_owned())?;
        must("charged_minor", l.charged_minor, whole)?;
        must("released_minor", l.released_minor, l.held_minor.saturating_sub(whole))?;
        if whole > l.held_minor {
            return Err("more is charged than was held".into());
        }
        let carry = all & u128::from(u64::MAX);
        must("cost_carry", l.cost_carry.0, carry)?;
        self.position.cost_carry = Big(carry);
        let sum = self.position.charged_minor.checked_add(whole).ok_or("it does not fit")?;
        self.position.charged_minor = sum;
        Ok(())
    }
}
