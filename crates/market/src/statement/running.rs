//! The running totals of a statement: what each line adds to a contract's position, and what it shows of it.

use super::Subject;
use crate::metered::UnitPrice;
use crate::settle::maintenance;
use crate::{MarketError, Result};
use gruve_statement::document::{
    AccrualLine, Big, Choice, EpochLine, Line, Position, SettlementLine, Units, UsageLine,
};
use gruve_units::{Accrual, Asset, Hashes};
use std::collections::BTreeSet;

/// How a contract stands after the lines so far.
pub(super) struct Running<'a> {
    subject: &'a Subject,
    pub(super) position: Position,
    /// Own units up to and with each epoch, in the order of the terms.
    own: Vec<(u64, Vec<u128>)>,
    /// Lives of blocks that were credited.
    credited: BTreeSet<(Asset, String, u64)>,
}

impl<'a> Running<'a> {
    /// Before anything happened.
    pub(super) fn begin(subject: &'a Subject) -> Running<'a> {
        let position = Position::begin(&subject.terms.earns);
        Running { subject, position, own: Vec::new(), credited: BTreeSet::new() }
    }

    fn at(&self, asset: Asset) -> Result<usize> {
        let at = self.position.assets.iter().position(|h| h.asset == asset);
        at.ok_or_else(|| {
            MarketError::Broken(format!("a contract earned {asset} outside its terms"))
        })
    }

    /// Adds a line to the running totals, and writes into it those that it shows.
    pub(super) fn add_up(&mut self, line: &mut Line) -> Result<()> {
        match line {
            Line::Epoch(l) => self.add_epoch(l),
            Line::End(l) => {
                self.position.refunded_minor = l.refund.minor;
                Ok(())
            }
            Line::Meter(l) => {
                let so_far = &self.position;
                l.delivered_sum = so_far.delivered;
                (l.charged_minor, l.cost_carry) = (so_far.charged_minor, so_far.cost_carry);
                Ok(())
            }
            Line::Accrual(l) => self.add_accrual(l),
            Line::Credit(l) => {
                let at = self.at(l.asset)?;
                self.credited.insert((l.asset, l.block.clone(), l.life));
                plus(&mut self.position.assets[at].matured, l.accrual)
            }
            Line::Settlement(l) => self.add_settlement(l),
            Line::Reversal(l) => {
                let at = self.at(l.asset)?;
                if self.credited.contains(&(l.asset, l.block.clone(), l.life)) {
                    minus(&mut self.position.assets[at].matured, l.accrual)?;
                }
                minus(&mut self.position.assets[at].accrued, l.accrual)
            }
            Line::TakeBack(l) => {
                let at = self.at(l.asset)?;
                let h = &mut self.position.assets[at];
                h.settled_minor -= l.gross_minor;
                h.net_minor -= l.net_minor;
                h.settlements += 1;
                if h.settled_minor == 0 {
                    h.fee_carry = 0;
                }
                Ok(())
            }
            Line::Priced(l) => {
                let at = self.at(l.asset)?;
                let h = &mut self.position.assets[at];
                plus(&mut h.accrued, l.earned)?;
                plus(&mut h.matured, l.earned)
            }
            Line::Found(l) => {
                let at = self.at(l.asset)?;
                plus(&mut self.position.assets[at].accrued, l.accrual)
            }
            Line::Usage(l) => self.add_usage(l),
            Line::Aside(_)
            | Line::Judgement(_)
            | Line::Choice(_)
            | Line::Owed(_)
            | Line::Decision(_)
            | Line::Pause(_)
            | Line::Freeze(_)
            | Line::Dollars(_) => self.add_life(line),
        }
    }

    fn add_epoch(&mut self, l: &mut EpochLine) -> Result<()> {
        let overflow = || MarketError::Overflow("delivered work");
        let sum = self.position.delivered.checked_add(l.delivered).ok_or_else(overflow)?;
        self.position.delivered = sum;
        l.delivered_sum = sum;
        l.upkeep = Big(maintenance(l.delivered, self.subject.maintenance)?.0);
        plus(&mut self.position.upkeep_due, l.upkeep)?;
        l.upkeep_due = self.position.upkeep_due;
        self.add_own(l.epoch, &l.units)
    }

    fn add_own(&mut self, epoch: u64, units: &[Units]) -> Result<()> {
        let mut own = match self.own.last() {
            Some((_, before)) => before.clone(),
            None => vec![0; units.len()],
        };
        for (sum, u) in own.iter_mut().zip(units) {
            *sum = sum.checked_add(u.own.0).ok_or(MarketError::Overflow("units"))?;
        }
        self.own.push((epoch, own));
        Ok(())
    }

    /// What of a metered epoch was charged and held stands in its line.
    fn add_usage(&mut self, l: &mut UsageLine) -> Result<()> {
        let overflow = || MarketError::Overflow("delivered work");
        let sum = self.position.delivered.checked_add(l.delivered).ok_or_else(overflow)?;
        (self.position.delivered, l.delivered_sum) = (sum, sum);
        let price = UnitPrice { minor: l.price_minor, hashrate: l.price_hashrate };
        l.cost = Big(price.cost(l.delivered)?.0);
        plus(&mut self.position.cost_carry, l.cost)?;
        self.position.cost_carry = Big(fraction(self.position.cost_carry.0));
        l.cost_carry = self.position.cost_carry;
        self.position.charged_minor += l.charged_minor;
        l.upkeep = Big(maintenance(l.delivered, self.subject.maintenance)?.0);
        plus(&mut self.position.upkeep_due, l.upkeep)?;
        l.upkeep_due = self.position.upkeep_due;
        self.add_own(l.epoch, &l.units)
    }

    fn add_life(&mut self, line: &mut Line) -> Result<()> {
        let p = &mut self.position;
        let less = |work: Hashes, part: Hashes| {
            work.checked_sub(part).ok_or_else(|| broken("more was decided than was set aside"))
        };
        match line {
            Line::Aside(l) => p.undecided = Hashes(p.undecided.0.saturating_add(l.hashes.0)),
            Line::Judgement(l) => {
                p.undecided = less(p.undecided, l.aside.saturating_sub(l.part))?;
            }
            Line::Choice(l) => {
                p.undecided = less(p.undecided, l.hashes)?;
                if l.choice == Choice::Earnings {
                    p.compensated = Hashes(p.compensated.0.saturating_add(l.hashes.0));
                }
            }
            Line::Owed(l) => {
                let at = self.at(l.asset)?;
                self.position.assets[at].owed_paid_minor += l.paid_minor;
            }
            Line::Pause(l) => p.paused_epochs = p.paused_epochs.saturating_add(l.epochs),
            Line::Freeze(l) => {
                let epochs = l.epoch.saturating_add(1).saturating_sub(l.from_epoch);
                p.paused_epochs = p.paused_epochs.saturating_add(epochs);
            }
            Line::Dollars(l) => {
                p.dollars = l.total;
                plus(&mut p.upkeep_due, l.coins)?;
                l.upkeep_due = p.upkeep_due;
            }
            _ => {}
        }
        Ok(())
    }

    /// Own units up to and without an epoch.
    fn own_before(&self, epoch: u64, at: usize) -> u128 {
        let n = self.own.partition_point(|(e, _)| *e < epoch);
        let sums = n.checked_sub(1).and_then(|i| self.own.get(i));
        sums.and_then(|(_, own)| own.get(at)).copied().unwrap_or(0)
    }

    fn add_accrual(&mut self, l: &mut AccrualLine) -> Result<()> {
        let at = self.at(l.asset)?;
        if let Some(first) = l.first_epoch {
            let (before, first, after) = (
                self.own_before(l.before_epoch, at),
                self.own_before(first, at),
                self.own_before(first.saturating_add(1), at),
            );
            l.own_first = Big(after.saturating_sub(first));
            l.own_after = Big(before.saturating_sub(after));
        }
        plus(&mut self.position.assets[at].accrued, l.accrual)
    }

    fn add_settlement(&mut self, l: &mut SettlementLine) -> Result<()> {
        let at = self.at(l.asset)?;
        if self.subject.order.contains(&l.asset) {
            // What is owed whole is taken or waived.
            self.position.upkeep_due = Big(fraction(self.position.upkeep_due.0));
        }
        let h = &mut self.position.assets[at];
        let scaled = i128::from(l.gross_minor) * i128::from(self.subject.fee.get())
            + i128::from(h.fee_carry);
        h.fee_carry = u32::try_from(scaled % 10_000).unwrap_or(0);
        h.settled_minor += l.gross_minor;
        h.net_minor += l.net_minor;
        h.settlements += 1;
        l.fee_carry = h.fee_carry;
        let settled = Accrual::from_minor(h.settled_minor);
        let left = settled.and_then(|s| h.matured.0.checked_sub(s.0));
        l.carried = Big(left.ok_or_else(|| broken("more was settled than matured"))?);
        Ok(())
    }
}

/// The part of an amount in fixed point below one minor unit.
fn fraction(fixed: u128) -> u128 {
    fixed & u128::from(u64::MAX)
}

fn broken(what: &str) -> MarketError {
    MarketError::Broken(what.to_owned())
}

fn plus(sum: &mut Big, more: Big) -> Result<()> {
    let all = sum.0.checked_add(more.0).ok_or(MarketError::Overflow("a contract's earnings"))?;
    *sum = Big(all);
    Ok(())
}

fn minus(sum: &mut Big, less: Big) -> Result<()> {
    let rest = sum.0.checked_sub(less.0).ok_or_else(|| broken("more was reversed than accrued"))?;
    *sum = Big(rest);
    Ok(())
}
