//! A lane from its first share to its customers' balances.

use crate::allocation::{Claim, allocate};
use crate::books::{Account, Balances, Books};
use crate::contract::{Contract, Line, State, Terms};
use crate::numbers::{ceil, floor, int, less, nearest, sum};
use crate::settlement::{Part, SettlementLine, fee, maintain};
use crate::window::{Units, pay, units_of};
use crate::{Id, Who, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// Hashes of a terahash-day.
const TERAHASH_DAY: u128 = 86_400_000_000_000_000;

/// Epochs without work in a row that are still closed one by one.
const EMPTY_EPOCHS_MAX: u64 = 12;

/// What the model is told of a lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Blocks after which each asset's rewards may be spent; the lane's own asset first.
    pub maturity: Vec<u64>,
    /// Microseconds of an epoch.
    pub epoch_us: u64,
    /// Epochs between settlements.
    pub settle_every: u64,
    /// The operator's part of what accounts' own machines earn, in ten-thousandths.
    pub outside_fee_bps: u16,
    /// Epochs a window reaches back.
    pub window_epochs_max: u64,
    /// Accounts of the operator's own.
    pub operator_accounts: Vec<Id>,
}

/// Work that stands in the log.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Its epoch.
    pub epoch: u64,
    /// Whose it is; nobody's is the house's.
    pub owner: Option<Id>,
    /// The target of each asset's chain, as far as it was mined; the own one first.
    pub bits: Vec<(usize, u32)>,
    /// Hashes.
    pub work: u128,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// A job of an epoch was given out.
    Job(u64),
    /// Work was done.
    Shares(Shares),
    /// The log names a block found: hash and epoch.
    Found([u8; 32], u64),
    /// A chain shows a block of ours: asset, hash, height, reward, the epoch of its header's time, and of now.
    Seen(usize, [u8; 32], u64, u64, u64, u64),
    /// A chain stands at a height.
    Height(usize, u64),
    /// A block left its chain.
    Orphaned([u8; 32]),
    /// A contract was sold: id, account, terms.
    Bought(Id, Id, Terms),
    /// It was paid in this epoch.
    Paid(Id, u64),
    /// It was not paid in time.
    Expired(Id),
    /// Coins came in for an account.
    Funded(Id, usize, u64),
    /// An account took coins out.
    Withdrew(Id, usize, u64),
    /// An epoch was sealed, and everything up to it is closed.
    Sealed(u64),
}

/// What somebody has of an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Accrued of blocks that are on the chain, in 2^-64 minor units.
    pub accrued: BigInt,
    /// Of that, matured.
    pub matured: BigInt,
    /// Whole minor units settled.
    pub settled: BigInt,
    /// Of them, credited.
    pub net: BigInt,
    /// Carried of the fee, in ten-thousandths of a minor unit.
    pub fee_carry: BigInt,
    /// All settlements.
    pub lines: Vec<SettlementLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockState {
    Maturing,
    Mature,
    Orphaned,
}

#[derive(Clone, Debug)]
struct Block {
    asset: usize,
    hash: [u8; 32],
    height: u64,
    reward: BigInt,
    header: u64,
    seen: u64,
    state: BlockState,
    /// The epoch before which its window ends, once that is settled for ever.
    window: Option<u64>,
    /// What this life of it has accrued to whom.
    shared: Option<BTreeMap<Who, BigInt>>,
    credited: bool,
}

#[derive(Clone, Debug, Default)]
struct Epoch {
    /// By asset, owner and target.
    work: BTreeMap<(usize, Option<Id>, u32), BigInt>,
    /// By asset, once it is closed.
    units: Vec<Units>,
}

/// See the crate.
#[derive(Clone, Debug)]
pub struct Model {
    lane: Lane,
    wrong: Option<Wrong>,
    epochs: BTreeMap<u64, Epoch>,
    /// Those with a row, in order.
    closed: Vec<u64>,
    found: BTreeMap<[u8; 32], u64>,
    blocks: Vec<Block>,
    contracts: BTreeMap<Id, Contract>,
    standings: BTreeMap<(usize, Who), Standing>,
    books: Books,
    /// Surplus and house work of each closed epoch.
    pub surplus: BTreeMap<u64, (BigInt, BigInt)>,
}

impl Model {
    /// A lane before its first share.
    #[must_use]
    pub fn new(lane: Lane, wrong: Option<Wrong>) -> Model {
        Model {
            lane,
            wrong,
            epochs: BTreeMap::new(),
            closed: Vec::new(),
            found: BTreeMap::new(),
            blocks: Vec::new(),
            contracts: BTreeMap::new(),
            standings: BTreeMap::new(),
            books: Books::default(),
            surplus: BTreeMap::new(),
        }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    /// Something happens.
    pub fn apply(&mut self, input: &Input) {
        match input.clone() {
            Input::Job(epoch) => drop(self.epochs.entry(epoch).or_default()),
            Input::Shares(s) => {
                let epoch = self.epochs.entry(s.epoch).or_default();
                for (asset, bits) in s.bits {
                    *epoch.work.entry((asset, s.owner, bits)).or_default() += s.work;
                }
            }
            Input::Found(hash, epoch) => drop(self.found.entry(hash).or_insert(epoch)),
            Input::Seen(asset, hash, height, minor, header, now) => {
                self.see(asset, hash, height, minor, header, now);
            }
            Input::Height(asset, height) => self.mature(asset, height),
            Input::Orphaned(hash) => self.orphan(hash),
            Input::Bought(id, account, terms) => {
                let c = Contract::new(id, account, terms, self.lane.epoch_us, self.wrong);
                self.contracts.insert(id, c);
            }
            Input::Paid(id, now) => self.paid(id, now),
            Input::Expired(id) => {
                if let Some(c) = self.contracts.get_mut(&id) {
                    c.state = State::Expired;
                }
            }
            Input::Funded(account, asset, minor) => {
                let n = int(minor);
                let to = Account::Available(account);
                self.books.post(asset, &[(Account::Hot, n.clone())], &[(to, n)]);
            }
            Input::Withdrew(account, asset, minor) => {
                let n = int(minor);
                let from = Account::Available(account);
                self.books.post(asset, &[(from, n.clone())], &[(Account::Hot, n)]);
            }
            Input::Sealed(epoch) => self.seal(epoch),
        }
    }

    fn paid(&mut self, id: Id, now: u64) {
        let late = u64::from(self.is(Wrong::StartsLate));
        let start = self.closed.last().map_or(now + 1, |last| (now + 1).max(last + 1)) + late;
        let Some(c) = self.contracts.get_mut(&id) else { return };
        (c.state, c.start) = (State::Running, start);
        let (from, to) = (Account::Available(c.account), Account::Prepaid(id));
        self.books.post(c.terms.price_asset, &[(from, c.price.clone())], &[(to, c.price.clone())]);
    }

    fn see(
        &mut self,
        asset: usize,
        hash: [u8; 32],
        height: u64,
        minor: u64,
        header: u64,
        now: u64,
    ) {
        if let Some(b) = self.blocks.iter_mut().find(|b| b.asset == asset && b.hash == hash) {
            if b.state != BlockState::Orphaned {
                return;
            }
            (b.state, b.seen) = (BlockState::Maturing, now);
        } else {
            self.blocks.push(Block {
                asset,
                hash,
                height,
                reward: int(minor),
                header,
                seen: now,
                state: BlockState::Maturing,
                window: None,
                shared: None,
                credited: false,
            });
        }
        let n = int(minor);
        self.books.post(asset, &[(Account::Maturing, n.clone())], &[(Account::Rewards, n)]);
    }

    fn mature(&mut self, asset: usize, height: u64) {
        let deep = self.lane.maturity[asset] - u64::from(self.is(Wrong::MaturesEarly));
        for b in &mut self.blocks {
            let is_deep = b.asset == asset && b.height + deep <= height;
            if is_deep && b.state == BlockState::Maturing {
                b.state = BlockState::Mature;
                let n = b.reward.clone();
                self.books.post(asset, &[(Account::Hot, n.clone())], &[(Account::Maturing, n)]);
            }
        }
    }

    fn orphan(&mut self, hash: [u8; 32]) {
        let Some(at) = self.blocks.iter().position(|b| b.hash == hash) else { return };
        if self.blocks[at].state == BlockState::Orphaned {
            return;
        }
        let b = &mut self.blocks[at];
        let (shared, credited) = (b.shared.take().unwrap_or_default(), b.credited);
        let (was, asset, reward) = (b.state, b.asset, b.reward.clone());
        (b.state, b.credited) = (BlockState::Orphaned, false);
        for (who, amount) in shared {
            let s = self.standings.entry((asset, who)).or_default();
            s.accrued -= &amount;
            if credited {
                s.matured -= &amount;
                self.take_back(asset, who);
            }
        }
        let credits = if was == BlockState::Mature {
            let there = self.books.of(Account::Hot, asset).max(int(0)).min(reward.clone());
            let missing = &reward - &there;
            vec![(Account::Hot, there), (Account::Reorganisation, missing)]
        } else {
            vec![(Account::Maturing, reward.clone())]
        };
        self.books.post(asset, &[(Account::Rewards, reward)], &credits);
    }

    fn earner(&self, who: Who) -> Account {
        match who {
            Who::Operator => Account::Revenue,
            Who::Contract(id) => Account::Available(self.contracts[&id].account),
            Who::Account(id) => Account::Available(id),
            Who::WindowReserve => Account::WindowReserve,
            Who::Remainder => Account::Remainder,
        }
    }

    /// What was settled above what has matured comes back.
    fn take_back(&mut self, asset: usize, who: Who) {
        let earner = self.earner(who);
        let s = self.standings.entry((asset, who)).or_default();
        let over = less(&(&s.settled << 64), &s.matured);
        let round = if self.wrong == Some(Wrong::TakeBackRoundedDown) { floor } else { ceil };
        let gross = round(&over, &(int(1) << 64));
        if gross == int(0) {
            return;
        }
        let net = if self.wrong == Some(Wrong::FeeKeptAtOrphan) {
            gross.clone().min(s.net.clone())
        } else {
            floor(&(&s.net * &gross), &s.settled.clone().max(int(1)))
        };
        let has = self.books.of(earner, asset).max(int(0));
        let bottomless = who == Who::Operator || self.wrong == Some(Wrong::TakeBackBelowZero);
        let held = if bottomless { net.clone() } else { has.min(net.clone()) };
        let fee = &gross - &net;
        s.settled -= &gross;
        s.net -= &net;
        if s.settled == int(0) {
            s.fee_carry = int(0);
        }
        let to = s.lines.last().map_or(0, |l| l.to);
        s.lines.push(SettlementLine {
            from: to,
            to,
            gross: -&gross,
            fee: -&fee,
            maintenance: int(0),
            waived: int(0),
            net: -&net,
        });
        let debits = [(earner, held.clone()), (Account::Loss, net - held), (Account::Revenue, fee)];
        self.books.post(asset, &debits, &[(Account::Rewards, gross)]);
    }

    fn seal(&mut self, sealed: u64) {
        let worked: Vec<u64> = self.epochs.range(..=sealed).map(|(e, _)| *e).collect();
        for epoch in worked.into_iter().chain([sealed]) {
            let last = self.closed.last().copied();
            if last.is_some_and(|l| epoch <= l) {
                continue;
            }
            let empty = last.map_or(0, |l| epoch - l - 1);
            let from = if empty <= EMPTY_EPOCHS_MAX { epoch - empty } else { epoch };
            for e in from..=epoch {
                self.close(e);
            }
        }
    }

    fn close(&mut self, epoch: u64) {
        let before = self.closed.last().copied();
        self.closed.push(epoch);
        let every = self.lane.settle_every;
        let settles = before.is_some_and(|b| (b + 1) / every < (epoch + 1) / every);
        let got = self.allocate(epoch);
        self.share_units(epoch, &got);
        for id in self.contracts.keys().copied().collect::<Vec<_>>() {
            self.deliver(id, epoch, got.get(&id), settles);
        }
        for at in 0..self.blocks.len() {
            self.share_out(at, epoch);
        }
        for b in &mut self.blocks {
            if let (BlockState::Mature, Some(shared), false) = (b.state, &b.shared, b.credited) {
                b.credited = true;
                for (who, amount) in shared {
                    self.standings.entry((b.asset, *who)).or_default().matured += amount;
                }
            }
        }
        if settles {
            let everyone: Vec<Who> = self.standings.keys().map(|(_, who)| *who).collect();
            for who in everyone {
                self.settle(who, epoch);
            }
        }
    }

    /// A line for each contract that may get something, without its shortfall.
    fn allocate(&mut self, epoch: u64) -> BTreeMap<Id, Line> {
        let work = self.epochs.entry(epoch).or_default().work.iter();
        let done = sum(work.filter(|((a, o, _), _)| *a == 0 && o.is_none()).map(|(_, w)| w));
        let runs = |c: &&Contract| {
            c.state == State::Running && c.start <= epoch && epoch < c.hard_end(self.wrong)
        };
        let claims: Vec<Claim> = self
            .contracts
            .values()
            .filter(runs)
            .map(|c| {
                let (entitled, catch_up) = c.claim(epoch, self.wrong);
                let is_operators = self.lane.operator_accounts.contains(&c.account);
                Claim { id: c.id, entitled, catch_up, short_since: c.short_since, is_operators }
            })
            .collect();
        let (got, surplus) = allocate(&done, &claims, self.wrong);
        let all: BigInt = got.iter().map(|(n, _)| n.clone()).sum();
        assert_eq!(all + &surplus, done, "the model's allocation does not add up");
        self.surplus.insert(epoch, (surplus, done));
        let line = |(c, (delivered, made_good)): (Claim, (BigInt, BigInt))| {
            let (shortfall, units) = (int(0), int(0));
            (c.id, Line { epoch, entitled: c.entitled, delivered, made_good, shortfall, units })
        };
        claims.into_iter().zip(got).map(line).collect()
    }

    fn share_units(&mut self, epoch: u64, got: &BTreeMap<Id, Line>) {
        let done = self.surplus[&epoch].1.clone();
        let wrong = self.wrong;
        let e = self.epochs.entry(epoch).or_default();
        e.units = vec![Units::new(); self.lane.maturity.len()];
        for ((asset, owner, bits), work) in &e.work {
            let who = owner.map_or(Who::Operator, Who::Account);
            *e.units[*asset].entry(who).or_default() += units_of(work, *bits, wrong);
        }
        for units in &mut e.units {
            let house = units.get(&Who::Operator).cloned().unwrap_or_default();
            let mut rest = house.clone();
            for (id, line) in got.iter().filter(|(_, l)| l.delivered > int(0)) {
                let exact = &house * &line.delivered;
                let part = if wrong == Some(Wrong::UnitPartsToNearest) {
                    nearest(&exact, &done).min(rest.clone())
                } else {
                    floor(&exact, &done)
                };
                rest -= &part;
                units.insert(Who::Contract(*id), part);
            }
            units.insert(Who::Operator, rest);
        }
    }

    fn deliver(&mut self, id: Id, epoch: u64, line: Option<&Line>, settles: bool) {
        let wrong = self.wrong;
        let Some(c) = self.contracts.get_mut(&id) else { return };
        if c.state != State::Running || c.start > epoch {
            return;
        }
        let got = line.map_or(int(0), |l| l.delivered.clone());
        let delivered = c.delivered() + &got;
        let whole_fee = c.terms.maintenance.first().map_or(0, |(_, fee)| *fee);
        let mut due = floor(&((&got * whole_fee) << 64), &int(TERAHASH_DAY));
        if wrong == Some(Wrong::MaintenanceInWholeUnits) {
            due = (due >> 64) << 64;
        }
        c.maintenance_due += due;
        let shortfall = c.shortfall(epoch, &delivered);
        c.short_since = (shortfall > int(0)).then(|| c.short_since.unwrap_or(epoch));
        if let Some(line) = line {
            let units = &self.epochs[&epoch].units[0];
            let units = units.get(&Who::Contract(id)).cloned().unwrap_or_default();
            c.lines.push(Line { shortfall, units, ..line.clone() });
        }
        if delivered == c.work {
            c.state = State::Completed;
        } else if epoch + 1 >= c.hard_end(wrong) {
            c.state = State::Refunded;
        }
        let (asset, prepaid) = (c.terms.price_asset, Account::Prepaid(id));
        if settles || c.state != State::Running {
            let exact = &c.price * &delivered;
            let earned = if wrong == Some(Wrong::EarnedPriceRoundedUp) {
                ceil(&exact, &c.work)
            } else {
                floor(&exact, &c.work)
            };
            let now = &earned - &c.recognised;
            c.recognised = earned;
            self.books.post(asset, &[(prepaid, now.clone())], &[(Account::Revenue, now)]);
        }
        if c.state == State::Refunded {
            c.refunded = &c.price - &c.recognised;
            let (n, to) = (c.refunded.clone(), Account::Available(c.account));
            self.books.post(asset, &[(prepaid, n.clone())], &[(to, n)]);
        }
    }

    /// Shares a block's reward out, once its epoch is closed.
    fn share_out(&mut self, at: usize, closed: u64) {
        let b = &self.blocks[at];
        if b.state == BlockState::Orphaned || b.shared.is_some() {
            return;
        }
        let before = match (b.window, self.found.get(&b.hash)) {
            (Some(window), _) => window,
            (None, Some(found)) if *found <= closed => *found,
            (None, None) if b.seen < closed => b.header.min(closed),
            _ => return,
        };
        let last = before + u64::from(self.is(Wrong::WindowWithOwnEpoch));
        let oldest = before.saturating_sub(self.lane.window_epochs_max);
        let rows = self.closed.iter().rev().filter(|e| **e < last && **e >= oldest);
        let units = rows.map(|e| &self.epochs[e].units[b.asset]);
        let paid = pay(units, &b.reward, self.wrong);
        let asset = b.asset;
        for (who, amount) in &paid {
            self.standings.entry((asset, *who)).or_default().accrued += amount;
        }
        let b = &mut self.blocks[at];
        (b.window, b.shared) = (Some(before), Some(paid));
    }

    fn settle(&mut self, who: Who, to: u64) {
        let (bps, order, began) = match who {
            Who::Contract(id) => {
                let c = &self.contracts[&id];
                (c.terms.fee_bps, c.terms.maintenance.clone(), c.start)
            }
            Who::Account(_) => (self.lane.outside_fee_bps, Vec::new(), self.closed[0]),
            _ => (0, Vec::new(), self.closed[0]),
        };
        let mut parts: Vec<Part> = Vec::new();
        for asset in 0..self.lane.maturity.len() {
            let Some(s) = self.standings.get(&(asset, who)) else { continue };
            let whole = floor(&s.matured, &(int(1) << 64)) - &s.settled;
            if whole > int(0) {
                parts.push(fee(asset, whole, bps, &s.fee_carry, self.wrong));
            }
        }
        if let Who::Contract(id) = who
            && let Some(c) = self.contracts.get_mut(&id)
            && let Some(carry) = maintain(&mut parts, &c.maintenance_due, &order, self.wrong)
        {
            c.maintenance_due = carry;
        }
        let earner = self.earner(who);
        for p in parts {
            let s = self.standings.entry((p.asset, who)).or_default();
            let net = p.net();
            s.settled += &p.gross;
            s.net += &net;
            s.fee_carry = p.fee_carry;
            let from = s.lines.last().map_or(began, |l| l.to + 1).min(to);
            let operator = &p.fee + &p.maintenance;
            let credits = [(earner, net.clone()), (Account::Revenue, operator)];
            self.books.post(p.asset, &[(Account::Rewards, p.gross.clone())], &credits);
            let (fee, maintenance, waived) = (p.fee, p.maintenance, p.waived);
            s.lines.push(SettlementLine {
                from,
                to,
                gross: p.gross,
                fee,
                maintenance,
                waived,
                net,
            });
        }
    }

    /// All balances.
    #[must_use]
    pub fn balances(&self) -> &Balances {
        &self.books.balances
    }

    /// Everyone who has or had something, by asset.
    #[must_use]
    pub fn standings(&self) -> &BTreeMap<(usize, Who), Standing> {
        &self.standings
    }

    /// Every contract's state, lines and refund.
    pub fn contracts(&self) -> impl Iterator<Item = (Id, State, &[Line], &BigInt)> {
        self.contracts.values().map(|c| (c.id, c.state, c.lines.as_slice(), &c.refunded))
    }

    /// What a contract costs.
    #[must_use]
    pub fn price(&self, id: Id) -> Option<BigInt> {
        self.contracts.get(&id).map(|c| c.price.clone())
    }

    /// All rewards that are shared out, in minor units, by asset.
    #[must_use]
    pub fn rewards(&self, asset: usize) -> BigInt {
        let live = self.blocks.iter().filter(|b| b.asset == asset && b.shared.is_some());
        live.map(|b| b.reward.clone()).sum()
    }
}
