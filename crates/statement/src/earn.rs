//! Blocks and settlements done again. Pure.

use crate::document::{
    AccrualLine, Big, CreditLine, Holding, Limited, Line, ReversalLine, SettlementLine,
    TakeBackLine,
};
use crate::replay::{Replay, Verdict, mul_div, must};
use crate::terms::{FeeRule, MaintenanceRule, OrphanRule, SchemeRule, SettlementRule};
use gruve_units::Asset;
use ruint::Uint;
use std::collections::BTreeMap;

/// Wide enough for reward · 2^64 · units · units.
type Wide = Uint<512, 8>;

/// One block's work in units.
const ONE_BLOCK: u128 = 1 << 64;

/// Where settlements of an asset are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settled {
    to: Option<u64>,
}

/// What became of a block's part.
#[derive(Clone, Copy, Debug)]
struct Life {
    accrual: u128,
    credited: bool,
    reversed: bool,
}

/// A take-back that must be the next line.
#[derive(Clone, Debug)]
struct Debt {
    asset: Asset,
    block: String,
    life: u64,
    gross: i64,
    net: i64,
}

/// Every block that paid the contract, life by life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives {
    all: BTreeMap<(Asset, String, u64), Life>,
    debt: Option<Debt>,
}

impl Lives {
    /// After a reversal that leaves more settled than earned nothing but its take-back may come.
    pub(crate) fn check_no_debt(&self, next: &Line) -> Verdict {
        match &self.debt {
            Some(d) if !matches!(next, Line::TakeBack(_)) => Err(format!(
                "what block {} had paid of {} should be taken back before it",
                d.block, d.asset
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_settled(&self) -> Verdict {
        match &self.debt {
            Some(d) => Err(format!("the take-back of block {} is missing", d.block)),
            None => Ok(()),
        }
    }

    fn open(&mut self, asset: Asset, block: &str, life: u64) -> Result<&mut Life, String> {
        let found = self.all.get_mut(&(asset, block.to_owned(), life));
        found.filter(|l| !l.reversed).ok_or_else(|| "this block accrued nothing before".to_owned())
    }
}

fn whole(accrual: u128) -> Result<(i64, u128), String> {
    let minor = i64::try_from(accrual >> 64).map_err(|_| "an amount does not fit".to_owned())?;
    Ok((minor, accrual & u128::from(u64::MAX)))
}

pub(crate) fn fixed(minor: i64) -> Result<u128, String> {
    let minor = u64::try_from(minor).map_err(|_| "an amount is negative".to_owned())?;
    Ok(u128::from(minor) << 64)
}

impl Replay {
    fn at(&self, asset: Asset) -> Result<usize, String> {
        let at = self.terms.earns.iter().position(|a| *a == asset);
        at.ok_or_else(|| format!("the contract does not earn {asset}"))
    }

    pub(crate) fn holding(&mut self, asset: Asset) -> Result<&mut Holding, String> {
        let at = self.at(asset)?;
        self.position.assets.get_mut(at).ok_or_else(|| format!("no position of {asset}"))
    }

    /// A block pays the contract for the first time in this life of it.
    pub(crate) fn begin_life(&mut self, key: (Asset, String, u64), accrual: u128) -> Verdict {
        let life = Life { accrual, credited: false, reversed: false };
        match self.lives.all.insert(key, life) {
            None => Ok(()),
            Some(_) => Err("this life of the block paid before".into()),
        }
    }

    pub(crate) fn take_accrual(&mut self, l: &AccrualLine) -> Verdict {
        let at = self.at(l.asset)?;
        let key = (l.asset, l.block.clone(), l.life);
        if self.lives.all.contains_key(&key) {
            return Err("this life of the block accrued before".into());
        }
        if l.before_epoch > l.epoch {
            return Err("its window ends after the epoch that shared it out".into());
        }
        let SchemeRule::PplnsUnits { window_blocks, window_epochs_max } = self.terms.rules.scheme
        else {
            return Err("only accruals of PPLNS contracts can be recomputed".into());
        };
        let size = u128::from(window_blocks.max(1)) * ONE_BLOCK;
        let first = l.first_epoch.unwrap_or(l.before_epoch);
        let within = first <= l.before_epoch && l.before_epoch - first <= window_epochs_max;
        if !within || (l.first_epoch == Some(l.before_epoch)) {
            return Err(format!("its window cannot begin with epoch {first}"));
        }
        if l.after_units.0 >= size {
            return Err("its window is full before its first epoch".into());
        }
        let (own_first, own_after) = self.own_in_window(l, at, first)?;
        must("own_first", l.own_first.0, own_first)?;
        must("own_after", l.own_after.0, own_after)?;
        let accrual = share(l, size)?;
        must("accrual", l.accrual.0, accrual)?;
        self.begin_life(key, accrual)?;
        let holding = self.holding(l.asset)?;
        let sum = holding.accrued.0.checked_add(accrual).ok_or("the earnings do not fit")?;
        holding.accrued = Big(sum);
        Ok(())
    }

    /// Own units in the window's first epoch and after it, by the lines of those epochs; and whether the lane's
    /// units there fit into the window's.
    fn own_in_window(
        &self,
        l: &AccrualLine,
        at: usize,
        first: u64,
    ) -> Result<(u128, u128), String> {
        let of = |units: &Vec<(u128, u128)>| units.get(at).copied().unwrap_or((0, 0));
        let (mut all, mut own) = (0u128, 0u128);
        if first < l.before_epoch {
            for units in self.units.range(first + 1..l.before_epoch).map(|(_, u)| of(u)) {
                all = all.checked_add(units.0).ok_or("units do not fit")?;
                own = own.checked_add(units.1).ok_or("units do not fit")?;
            }
        }
        if all > l.after_units.0 {
            return Err(format!("after_units is {} and cannot be below {all}", l.after_units.0));
        }
        let in_first = match self.units.get(&first).filter(|_| l.first_epoch.is_some()) {
            Some(units) => {
                let (all, own) = of(units);
                must("first_units", l.first_units.0, all)?;
                own
            }
            None => 0,
        };
        Ok((in_first, own))
    }

    pub(crate) fn take_credit(&mut self, l: &CreditLine) -> Verdict {
        let life = self.lives.open(l.asset, &l.block, l.life)?;
        if life.credited {
            return Err("it was credited before".into());
        }
        life.credited = true;
        let accrual = life.accrual;
        must("accrual", l.accrual.0, accrual)?;
        let holding = self.holding(l.asset)?;
        let sum = holding.matured.0.checked_add(accrual).ok_or("the earnings do not fit")?;
        holding.matured = Big(sum);
        Ok(())
    }

    /// All settlements of one closing: upkeep is taken from all of them together.
    pub(crate) fn take_settlements(&mut self, lines: &[&Line]) -> Verdict {
        if let Some(first) = lines.first() {
            self.check_scheduled(first.epoch())?;
        }
        self.life.check_settlement()?;
        let FeeRule::PartOfEarnings { bps } = self.terms.rules.fee;
        let said: Vec<&SettlementLine> = lines
            .iter()
            .filter_map(|l| if let Line::Settlement(s) = l { Some(s) } else { None })
            .collect();
        let is_fpps = matches!(self.terms.rules.scheme, SchemeRule::Fpps { .. });
        self.check_minimum(bps)?;
        let mut parts = Vec::new();
        for holding in &self.position.assets {
            let Some(part) = Part::of(holding, bps)? else { continue };
            let line = said.iter().find(|l| l.asset == holding.asset);
            match line.map(|l| l.limited) {
                Some(Some(_)) if !is_fpps => return Err("only FPPS pays in part".into()),
                Some(Some(limited)) => parts.push(part.limited(limited)?),
                // What the reserve could pay nothing of stays owed.
                None if is_fpps => {}
                _ => parts.push(part),
            }
        }
        let MaintenanceRule::PerDelivered { order } = &self.terms.rules.maintenance;
        let order: Vec<(Asset, u64)> =
            order.iter().map(|u| (u.asset, u.minor_per_th_day)).collect();
        if let Some(left) = take_upkeep(&mut parts, self.position.upkeep_due.0, &order)? {
            self.position.upkeep_due = Big(left);
        }
        if !said.iter().map(|s| s.asset).eq(parts.iter().map(|p| p.asset)) {
            let should: Vec<_> = parts.iter().map(|p| p.asset.code()).collect();
            return Err(format!("the assets settled together should be: {}", should.join(", ")));
        }
        for (line, part) in said.into_iter().zip(&parts) {
            self.take_settlement(line, part)?;
        }
        Ok(())
    }

    /// Whether the lane's own coin has come to the minimum payout, or the contract to its end. A contract by the meter
    /// may be ended after the closing at which it is settled: paying earlier than agreed is to its owner's good.
    fn check_minimum(&self, bps: u16) -> Verdict {
        let SettlementRule::EveryEpochs { minimum_minor, .. } = self.terms.rules.settlement else {
            return Ok(());
        };
        if minimum_minor == 0 || self.has_ended() || self.is_metered {
            return Ok(());
        }
        let own = self.position.assets.first().map(|h| Part::of(h, bps)).transpose()?.flatten();
        let waiting = own.map_or(0, |p| p.gross);
        if i128::from(waiting) < i128::from(minimum_minor) {
            return Err(format!("{waiting} waits, which is below the minimum of {minimum_minor}"));
        }
        Ok(())
    }

    fn take_settlement(&mut self, l: &SettlementLine, part: &Part) -> Verdict {
        let at = self.at(l.asset)?;
        let began = self.start.unwrap_or(l.epoch);
        let last = self.settled.get_mut(at).ok_or("no settlements of this asset")?;
        let from = last.to.map_or(began, |to| to.saturating_add(1)).min(l.epoch);
        last.to = Some(l.epoch);
        must("from_epoch", l.from_epoch, from)?;
        must("gross_minor", l.gross_minor, part.gross)?;
        must("fee_minor", l.fee_minor, part.fee)?;
        must("maintenance_minor", l.maintenance_minor, part.maintenance)?;
        must("waived_minor", l.waived_minor, part.waived)?;
        must("net_minor", l.net_minor, part.net)?;
        must("fee_carry", l.fee_carry, part.fee_carry)?;
        must("carried", l.carried.0, part.carried)?;
        let holding = self.holding(l.asset)?;
        must("number", l.number, holding.settlements + 1)?;
        holding.settlements += 1;
        holding.settled_minor = add(holding.settled_minor, part.gross)?;
        holding.net_minor = add(holding.net_minor, part.net)?;
        holding.fee_carry = part.fee_carry;
        Ok(())
    }

    pub(crate) fn take_reversal(&mut self, l: &ReversalLine) -> Verdict {
        let OrphanRule::TakenBack = self.terms.rules.orphan;
        let life = self.lives.open(l.asset, &l.block, l.life)?;
        life.reversed = true;
        let (accrual, credited) = (life.accrual, life.credited);
        must("accrual", l.accrual.0, accrual)?;
        let holding = self.holding(l.asset)?;
        let accrued = holding.accrued.0.checked_sub(accrual).ok_or("more reversed than accrued")?;
        holding.accrued = Big(accrued);
        if credited {
            let matured = holding.matured.0.checked_sub(accrual);
            holding.matured = Big(matured.ok_or("more reversed than credited")?);
        }
        let settled = fixed(holding.settled_minor)?;
        if let Some(over) = settled.checked_sub(holding.matured.0).filter(|o| *o > 0) {
            let (minor, fraction) = whole(over)?;
            let gross = minor + i64::from(fraction > 0);
            let net = i128::from(holding.net_minor) * i128::from(gross)
                / i128::from(holding.settled_minor.max(1));
            let net = i64::try_from(net).map_err(|_| "an amount does not fit".to_owned())?;
            let (asset, block, life) = (l.asset, l.block.clone(), l.life);
            self.lives.debt = Some(Debt { asset, block, life, gross, net });
        }
        Ok(())
    }

    pub(crate) fn take_take_back(&mut self, l: &TakeBackLine) -> Verdict {
        let debt = self.lives.debt.take().ok_or("nothing is to be taken back")?;
        if (debt.asset, &debt.block, debt.life) != (l.asset, &l.block, l.life) {
            return Err(format!("block {} should be taken back", debt.block));
        }
        must("gross_minor", l.gross_minor, debt.gross)?;
        must("net_minor", l.net_minor, debt.net)?;
        must("fee_minor", l.fee_minor, debt.gross - debt.net)?;
        let holding = self.holding(l.asset)?;
        must("number", l.number, holding.settlements + 1)?;
        holding.settlements += 1;
        holding.settled_minor = add(holding.settled_minor, -debt.gross)?;
        holding.net_minor = add(holding.net_minor, -debt.net)?;
        if holding.settled_minor == 0 {
            holding.fee_carry = 0;
        }
        Ok(())
    }
}

fn add(a: i64, b: i64) -> Result<i64, String> {
    a.checked_add(b).ok_or_else(|| "an amount does not fit".to_owned())
}

/// `⌊B · 2^64 · (own after · t + own first · taken) / (X · t)⌋`.
fn share(l: &AccrualLine, size: u128) -> Result<u128, String> {
    let t = l.first_units.0;
    let taken = t.min(size - l.after_units.0);
    let t = t.max(1);
    let own =
        Wide::from(l.own_after.0) * Wide::from(t) + Wide::from(l.own_first.0) * Wide::from(taken);
    let above = Wide::from(fixed(l.reward_minor)?) * own;
    u128::try_from(above / (Wide::from(size) * Wide::from(t)))
        .map_err(|_| "the accrual does not fit".to_owned())
}

/// A settlement of one asset as it should be.
struct Part {
    asset: Asset,
    gross: i64,
    fee: i64,
    maintenance: i64,
    waived: i64,
    net: i64,
    fee_carry: u32,
    carried: u128,
}

impl Part {
    /// `None` when nothing whole waits.
    fn of(h: &Holding, bps: u16) -> Result<Option<Part>, String> {
        let open = h.matured.0.checked_sub(fixed(h.settled_minor)?);
        let (gross, carried) = whole(open.ok_or("more is settled than earned")?)?;
        if gross == 0 {
            return Ok(None);
        }
        let scaled = i128::from(gross) * i128::from(bps) + i128::from(h.fee_carry);
        let fee = i64::try_from(scaled / 10_000).unwrap_or(i64::MAX).min(gross);
        let fee_carry = u32::try_from(scaled % 10_000).unwrap_or(0);
        let net = gross - fee;
        Ok(Some(Part {
            asset: h.asset,
            gross,
            fee,
            maintenance: 0,
            waived: 0,
            net,
            fee_carry,
            carried,
        }))
    }
}

impl Part {
    /// The same cut down to everybody's part of what was there: no fee, which is in FPPS's price.
    fn limited(self, by: Limited) -> Result<Part, String> {
        let (due, there) = (fixed(by.due_minor)? >> 64, fixed(by.there_minor)? >> 64);
        if there >= due || by.due_minor < self.gross {
            return Err("all was there, or more was due".into());
        }
        let (gross, _) = mul_div(fixed(self.gross)? >> 64, there, due)?;
        let gross = i64::try_from(gross).map_err(|_| "an amount does not fit".to_owned())?;
        let kept = fixed(self.gross - gross)?;
        let carried = self.carried.checked_add(kept).ok_or("an amount does not fit")?;
        Ok(Part { gross, fee: 0, net: gross, carried, ..self })
    }
}

/// Takes the whole minor units of `due` from the parts in their order; the fraction left, or `None` when none of
/// the order is among the parts.
fn take_upkeep(
    parts: &mut [Part],
    due: u128,
    order: &[(Asset, u64)],
) -> Result<Option<u128>, String> {
    let (owed, left) = whole(due)?;
    let too_large = || "the upkeep does not fit".to_owned();
    let first_fee = i128::from(order.first().map_or(1, |(_, fee)| *fee).max(1));
    let (mut rest, mut last) = (i128::from(owed), None);
    for (asset, fee) in order {
        let Some(at) = parts.iter().position(|p| p.asset == *asset) else { continue };
        let (part, fee) = (&mut parts[at], i128::from((*fee).max(1)));
        let wanted = rest.checked_mul(fee).ok_or_else(too_large)? / first_fee;
        let taken = wanted.min(i128::from(part.net));
        part.maintenance = i64::try_from(taken).map_err(|_| too_large())?;
        part.net -= part.maintenance;
        if taken == wanted {
            rest = 0;
        } else {
            let covered = taken.checked_mul(first_fee).ok_or_else(too_large)?;
            rest = (rest - (covered + fee - 1) / fee).max(0);
        }
        last = Some((at, wanted - taken));
    }
    let Some((at, uncovered)) = last else { return Ok(None) };
    parts[at].waived = i64::try_from(uncovered).unwrap_or(i64::MAX);
    Ok(Some(left))
}
