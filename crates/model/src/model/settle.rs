//! Settling everyone, each alone.

use super::Model;
use crate::books::Account;
use crate::numbers::{floor, int};
use crate::settlement::{Part, SettlementLine, fee, maintain, part_of_due};
use crate::{Id, State, Who, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeSet;

/// What FPPS has to pay of an asset, and what there is for it.
struct Means {
    due: BigInt,
    there: BigInt,
}

impl Model {
    /// Settles all but those in `waiting`.
    pub(super) fn settle_all(&mut self, to: u64, waiting: &BTreeSet<Id>) {
        let means: Vec<Means> = (0..self.lane.maturity.len()).map(|a| self.means(a)).collect();
        let everyone: BTreeSet<Who> = self.standings.keys().map(|(_, who)| *who).collect();
        for who in everyone {
            if let Who::Contract(id) | Who::Fpps(id) = who
                && waiting.contains(&id)
            {
                continue;
            }
            self.settle(who, to, &means);
        }
    }

    fn whole(&self, asset: usize, who: Who) -> BigInt {
        let s = self.standings.get(&(asset, who)).cloned().unwrap_or_default();
        floor(&s.matured, &(int(1) << 64)) - s.settled
    }

    fn means(&self, asset: usize) -> Means {
        let all =
            self.standings.keys().filter(|(a, who)| *a == asset && matches!(who, Who::Fpps(_)));
        let due = all.map(|(_, who)| self.whole(asset, *who)).sum();
        let helps = self.books.of(Account::Revenue, asset).max(int(0));
        let helps = if self.wrong == Some(Wrong::OperatorDoesNotHelp) { int(0) } else { helps };
        Means { due, there: self.books.of(Account::FppsReserve, asset) + helps }
    }

    fn settle(&mut self, who: Who, to: u64, means: &[Means]) {
        let first = self.closed[0];
        let (mut bps, order, began) = match who {
            Who::Contract(id) | Who::Fpps(id) => {
                match (self.contracts.get(&id), self.meters.get(&id)) {
                    (Some(c), _) => (c.terms.fee_bps, c.terms.maintenance.clone(), c.start),
                    (_, Some(m)) => (m.terms.fee_bps, m.terms.maintenance.clone(), m.start),
                    _ => return,
                }
            }
            Who::Account(_) => (self.lane.outside_fee_bps, Vec::new(), first),
            _ => (0, Vec::new(), first),
        };
        if let Who::Fpps(_) = who {
            bps = if self.wrong == Some(Wrong::FppsFeeTwice) { bps / 2 } else { 0 };
        }
        if self.is_below_minimum(who) {
            return;
        }
        let mut parts: Vec<Part> = Vec::new();
        for (asset, m) in means.iter().enumerate() {
            let Some(s) = self.standings.get(&(asset, who)) else { continue };
            let carry = s.fee_carry.clone();
            let mut whole = self.whole(asset, who);
            if matches!(who, Who::Fpps(_)) {
                whole = part_of_due(&whole, &m.due, &m.there, self.wrong);
            }
            if whole > int(0) {
                parts.push(fee(asset, whole, bps, &carry, self.wrong));
            }
        }
        if let Who::Contract(id) | Who::Fpps(id) = who {
            let due = match (self.contracts.get_mut(&id), self.meters.get_mut(&id)) {
                (Some(c), _) => &mut c.maintenance_due,
                (_, Some(m)) => &mut m.maintenance_due,
                _ => return,
            };
            if let Some(carry) = maintain(&mut parts, due, &order, self.wrong) {
                *due = carry;
            }
        }
        for p in parts {
            self.pay_out(who, p, (began, to));
        }
    }

    /// Whether a contract that runs has too little of the lane's own asset to be paid.
    fn is_below_minimum(&self, who: Who) -> bool {
        let (Who::Contract(id) | Who::Fpps(id)) = who else { return false };
        let minimum = match self.contracts.get(&id) {
            Some(c) if c.state == State::Running => c.terms.minimum_minor,
            _ => 0,
        };
        self.wrong != Some(Wrong::MinimumForgotten) && self.whole(0, who) < int(minimum)
    }

    fn pay_out(&mut self, who: Who, p: Part, (began, to): (u64, u64)) {
        let (earner, net) = (self.earner(who), p.net());
        let operator = &p.fee + &p.maintenance;
        let credits = [(earner, net.clone()), (Account::Revenue, operator)];
        if let Who::Fpps(_) = who {
            let there = self.books.of(Account::FppsReserve, p.asset).max(int(0));
            let from = p.gross.clone().min(there);
            let own = &p.gross - &from;
            let debits = [(Account::FppsReserve, from), (Account::Revenue, own)];
            self.books.post(p.asset, &debits, &credits);
        } else {
            self.books.post(p.asset, &[(Account::Rewards, p.gross.clone())], &credits);
        }
        let s = self.standings.entry((p.asset, who)).or_default();
        s.settled += &p.gross;
        s.net += &net;
        s.fee_carry = p.fee_carry;
        let from = s.lines.last().map_or(began, |l| l.to + 1).min(to);
        let (gross, fee, maintenance, waived) = (p.gross, p.fee, p.maintenance, p.waived);
        s.lines.push(SettlementLine { from, to, gross, fee, maintenance, waived, net });
    }
}
