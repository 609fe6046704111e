//! A lane from its first share to its customers' balances.

mod blocks;
mod deliver;
mod frozen;
mod metered;
mod missed;
mod pausing;
mod priced;
mod settle;

use crate::books::{Account, Balances, Books};
use crate::contract::{Contract, Line, NOT_YET, State, Terms};
use crate::fpps::{Chain, Open};
use crate::meter::{Meter, MeterState, MeterTerms};
use crate::numbers::int;
use crate::prices::{PriceRules, Prices, Report};
use crate::settlement::SettlementLine;
use crate::window::Units;
use crate::{Id, Who, Wrong};
pub(crate) use frozen::Freeze;
pub use frozen::Word;
pub use missed::Act;
pub(crate) use missed::Missed;
use num_bigint::BigInt;
use pausing::Owed;
pub use pausing::part_of_surplus;
use std::collections::{BTreeMap, BTreeSet};

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
    /// When the lane's own coin has a price.
    pub prices: PriceRules,
    /// Minor units of such a coin.
    pub coin: u64,
}

/// Work that stands in the log.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Its epoch.
    pub epoch: u64,
    /// Whose it is; nobody's is the house's.
    pub owner: Option<Id>,
    /// Target and height of each asset's chain, as far as it was mined; the own one first.
    pub bits: Vec<(usize, u32, u64)>,
    /// Hashes.
    pub work: u128,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// A job of an epoch was given out, for the chains of some assets at these targets.
    Job(u64, Vec<(usize, u32)>),
    /// Work was done.
    Shares(Shares),
    /// The log names a block found: hash, epoch, and whose machine it was (nobody's is the house's).
    Found([u8; 32], u64, Option<Id>),
    /// A chain shows a block of ours: asset, hash, height, reward, the epoch of its header's time, and of now.
    Seen(usize, [u8; 32], u64, u64, u64, u64),
    /// A chain stands at a height.
    Height(usize, u64),
    /// A block left its chain.
    Orphaned([u8; 32]),
    /// A contract was sold: id, account, terms.
    Bought(Id, Id, Terms),
    /// A contract that was sold follows another without a gap.
    Follows(Id, Id),
    /// The operator idles or moves machines.
    Acts(Act),
    /// About what a contract missed in an epoch its owner chooses its earnings (or the work, later).
    Chose(Id, u64, bool),
    /// It was paid in this epoch.
    Paid(Id, u64),
    /// It was not paid in time.
    Expired(Id),
    /// Something is said of a contract's payment: about which dispute, and in which epoch.
    Payment(Id, u64, Word, u64),
    /// In this epoch a contract's owner wants it to run although it does not pay, or does not any more.
    Keeps(Id, bool, u64),
    /// Coins came in for an account.
    Funded(Id, usize, u64),
    /// An account took coins out.
    Withdrew(Id, usize, u64),
    /// An epoch was sealed, and everything up to it is closed while another one runs.
    Sealed(u64, u64),
    /// The public chain of an asset has a block: height, new coins, fees, hashes that it took. What stood there
    /// and above is gone.
    Chain(usize, u64, u64, u64, u128),
    /// The operator puts earnings into the FPPS reserve, or takes them out of it.
    Reserve(usize, i64),
    /// The operator earned something elsewhere.
    Earned(usize, u64),
    /// The operator takes earnings home.
    TookHome(usize, u64),
    /// From an epoch on an account's own machines earn by SOLO, or do not.
    OwnScheme(Id, u64, bool),
    /// A contract by the meter was started: id, account, terms, the running epoch.
    Started(Id, Id, MeterTerms, u64),
    /// Its owner ended it in an epoch.
    Ended(Id, u64),
    /// In this epoch's close it goes on, because its rate was for sale.
    Resumed(Id, u64),
    /// A source told a price.
    Report(Report),
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
    /// The target of each asset's last job.
    last_bits: BTreeMap<usize, u32>,
    /// The house's work by asset, height and target.
    jobs: BTreeMap<(usize, u64, u32), BigInt>,
    /// By asset, once it is closed.
    units: Vec<Units>,
    /// What contracts under SOLO got, by id, and accounts whose own machines' blocks are their own.
    solo: BTreeMap<Id, BigInt>,
    solo_owners: BTreeSet<Id>,
}

/// See the crate.
#[derive(Clone, Debug)]
pub struct Model {
    lane: Lane,
    wrong: Option<Wrong>,
    epochs: BTreeMap<u64, Epoch>,
    /// Those with a row, in order.
    closed: Vec<u64>,
    found: BTreeMap<[u8; 32], (u64, Option<Id>)>,
    blocks: Vec<Block>,
    contracts: BTreeMap<Id, Contract>,
    meters: BTreeMap<Id, Meter>,
    /// Contracts that go on in an epoch's close.
    resumed: BTreeSet<(u64, Id)>,
    chains: Vec<Chain>,
    /// Epochs that FPPS has no price for yet.
    open: Vec<Open>,
    owed: Vec<Owed>,
    acts: Vec<Act>,
    /// Whether what is missing in the epoch being closed may be the operator's doing.
    may_be_caused: bool,
    own_schemes: BTreeMap<(Id, u64), bool>,
    prices: Prices,
    standings: BTreeMap<(usize, Who), Standing>,
    books: Books,
    /// Surplus and house work of each closed epoch.
    pub surplus: BTreeMap<u64, (BigInt, BigInt)>,
}

impl Model {
    /// A lane before its first share.
    #[must_use]
    pub fn new(lane: Lane, wrong: Option<Wrong>) -> Model {
        let chains = vec![Chain::new(); lane.maturity.len()];
        Model {
            lane,
            wrong,
            epochs: BTreeMap::new(),
            closed: Vec::new(),
            found: BTreeMap::new(),
            blocks: Vec::new(),
            contracts: BTreeMap::new(),
            meters: BTreeMap::new(),
            resumed: BTreeSet::new(),
            chains,
            open: Vec::new(),
            owed: Vec::new(),
            acts: Vec::new(),
            may_be_caused: false,
            own_schemes: BTreeMap::new(),
            prices: Prices::default(),
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
            Input::Job(epoch, targets) => {
                self.epochs.entry(epoch).or_default().last_bits.extend(targets);
            }
            Input::Shares(s) => {
                let epoch = self.epochs.entry(s.epoch).or_default();
                for (asset, bits, height) in s.bits {
                    *epoch.work.entry((asset, s.owner, bits)).or_default() += s.work;
                    if s.owner.is_none() {
                        *epoch.jobs.entry((asset, height, bits)).or_default() += s.work;
                    }
                }
            }
            Input::Found(hash, epoch, owner) => {
                self.found.entry(hash).or_insert((epoch, owner));
            }
            Input::Seen(asset, hash, height, minor, header, now) => {
                self.see(asset, hash, height, minor, header, now);
            }
            Input::Height(asset, height) => self.mature(asset, height),
            Input::Orphaned(hash) => self.orphan(hash),
            Input::Bought(id, account, terms) => {
                let c = Contract::new(id, account, terms, self.lane.epoch_us, self.wrong);
                self.contracts.insert(id, c);
            }
            Input::Follows(id, other) => {
                if let Some(c) = self.contracts.get_mut(&id) {
                    c.follows = Some(other);
                }
            }
            Input::Acts(act) => self.acts.push(act),
            Input::Chose(id, epoch, earnings) => self.choose(id, epoch, earnings),
            Input::Paid(id, now) => self.paid(id, now),
            Input::Payment(id, dispute, word, now) => self.payment(id, dispute, &word, now),
            Input::Keeps(id, keeps, now) => self.keep(id, keeps, now),
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
            Input::Sealed(epoch, now) => self.seal(epoch, now),
            Input::Chain(asset, height, subsidy, fees, work) => {
                self.chains[asset].split_off(&height);
                self.chains[asset].insert(height, (subsidy, fees, work));
            }
            Input::Reserve(asset, minor) => {
                let (n, from) = (int(minor), Account::Revenue);
                self.books.post(asset, &[(from, n.clone())], &[(Account::FppsReserve, n)]);
            }
            Input::Earned(asset, minor) => {
                let n = int(minor);
                self.books.post(asset, &[(Account::Hot, n.clone())], &[(Account::Revenue, n)]);
            }
            Input::TookHome(asset, minor) => {
                let n = int(minor);
                self.books.post(asset, &[(Account::Revenue, n.clone())], &[(Account::Hot, n)]);
            }
            Input::OwnScheme(account, from, solo) => {
                self.own_schemes.insert((account, from), solo);
            }
            Input::Started(id, account, terms, now) => self.start(id, account, terms, now),
            Input::Ended(id, now) => self.end(id, now),
            Input::Resumed(id, epoch) => drop(self.resumed.insert((epoch, id))),
            Input::Report(word) => self.prices.say(word),
        }
    }

    fn paid(&mut self, id: Id, now: u64) {
        let late = u64::from(self.is(Wrong::StartsLate));
        let start = self.closed.last().map_or(now + 1, |last| (now + 1).max(last + 1)) + late;
        let follows = self.contracts.get(&id).and_then(|c| c.follows);
        let start = if follows.is_some_and(|id| self.is_running(id)) { NOT_YET } else { start };
        let Some(c) = self.contracts.get_mut(&id) else { return };
        (c.state, c.start) = (State::Running, start);
        let (from, to) = (Account::Available(c.account), Account::Prepaid(id));
        self.books.post(c.terms.price_asset, &[(from, c.price.clone())], &[(to, c.price.clone())]);
    }

    fn owner(&self, id: Id) -> Id {
        let lease = self.contracts.get(&id).map(|c| c.account);
        lease.unwrap_or_else(|| self.meters[&id].account)
    }

    /// The last microsecond's end of an epoch.
    fn end_of(&self, epoch: u64) -> i64 {
        i64::try_from((epoch + 1) * self.lane.epoch_us).unwrap_or(i64::MAX)
    }

    fn earner(&self, who: Who) -> Account {
        match who {
            Who::Operator => Account::Revenue,
            Who::Contract(id) | Who::Fpps(id) => Account::Available(self.owner(id)),
            Who::FppsReserve => Account::FppsReserve,
            Who::Account(id) => Account::Available(id),
            Who::WindowReserve => Account::WindowReserve,
            Who::Remainder => Account::Remainder,
        }
    }

    fn seal(&mut self, sealed: u64, now: u64) {
        let worked: Vec<u64> = self.epochs.range(..=sealed).map(|(e, _)| *e).collect();
        for epoch in worked.into_iter().chain([sealed]) {
            let last = self.closed.last().copied();
            if last.is_some_and(|l| epoch <= l) {
                continue;
            }
            let empty = last.map_or(0, |l| epoch - l - 1);
            let (from, skipped) =
                if empty <= EMPTY_EPOCHS_MAX { (epoch - empty, 0) } else { (epoch, empty) };
            for e in from..=epoch {
                self.stop_clocks(e, skipped);
                self.close(e, now);
            }
        }
    }

    fn close(&mut self, epoch: u64, now: u64) {
        let before = self.closed.last().copied();
        self.closed.push(epoch);
        let every = self.lane.settle_every;
        let settles = before.is_some_and(|b| (b + 1) / every < (epoch + 1) / every);
        self.lapse(epoch);
        let pausing = self.running();
        let got = self.allocate(epoch);
        self.owe_paused(epoch);
        self.heed_owners(epoch);
        self.share_units(epoch, &got);
        for id in self.contracts.keys().copied().collect::<Vec<_>>() {
            self.deliver(id, epoch, got.get(&id), settles);
        }
        self.charge_all(epoch, now, &got);
        self.note_fpps(epoch, &got);
        self.price_open();
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
        self.prices.at(self.end_of(epoch), self.lane.prices, self.wrong);
        self.judge(epoch, now);
        if settles {
            self.decide(epoch, &pausing);
            let waiting = self.convert();
            self.settle_all(epoch, &waiting);
            self.pay_owed(epoch);
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

    /// Every contract by the meter: where it stands, what it was charged, and what was delivered.
    pub fn meters(&self) -> impl Iterator<Item = (Id, MeterState, &BigInt, &BigInt)> {
        self.meters.iter().map(|(id, m)| (*id, m.state, &m.charged, &m.delivered))
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
