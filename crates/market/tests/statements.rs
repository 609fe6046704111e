//! Statements of generated contracts are recomputed from their terms alone; a changed number is found.
#![allow(clippy::unwrap_used, missing_docs)]

mod checking;
mod world;

use checking::{check, every_change_is_found, key, signed};
use gruve_market::{AuxConfig, MaintenanceIn, MarketConfig, MarketError, Result, RewardSeen};
use gruve_sharelog::{AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, Owner, Record};
use gruve_statement::document::Line;
use gruve_statement::{SignedTerms, Statement};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Amount, Asset, Clock, ContractId, EpochNumber};
use world::{BITS, MATURITY, World, btc, job_id, lane, someone};

/// The merge-mined chain is 16 times as easy: its window is two of these epochs.
const DOGE_BITS: u32 = 0x1f00_ffff;
/// A quarter of a block an epoch of the lane's own chain.
const RATE: u64 = (1 << 18) / world::EPOCH_SECS + 1;

fn config() -> MarketConfig {
    let mut config = world::config();
    let lane = &mut config.lanes[0];
    lane.aux = vec![AuxConfig { asset: Asset::Doge, coinbase_maturity: MATURITY + 3 }];
    lane.settle_every_epochs = 2;
    let plan = &mut config.plans[0];
    // Some fifty minor units an epoch.
    plan.maintenance_minor_per_th_day = 50_000_000_000_000;
    let minor_per_th_day = 700_000_000_000_000;
    plan.maintenance_also = vec![MaintenanceIn { asset: Asset::Doge, minor_per_th_day }];
    config
}

/// Small numbers from a seed, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Story {
    w: World,
    me: AccountId,
    contract: ContractId,
    dice: Dice,
    height: u64,
    blocks: Vec<(Asset, [u8; 32], u64)>,
}

impl Story {
    async fn begin(store: Store, seed: u64) -> Story {
        Story::begin_with(store, seed, config()).await
    }

    async fn begin_with(store: Store, seed: u64, config: MarketConfig) -> Story {
        let w = World::with(store, config).await;
        let mut story = Story {
            me: someone(1),
            contract: ContractId::from_bytes([0; 16]),
            dice: Dice(seed),
            height: 100,
            blocks: Vec::new(),
            w,
        };
        for _ in 0..4 {
            story.epoch(RATE).await;
        }
        story.contract = story.w.lease(story.me, 13_000, 20).await;
        // Somebody else's contract and machines share lane and windows.
        story.w.lease(someone(2), 9_000, 20).await;
        story
    }

    async fn epoch(&mut self, rate: u64) {
        let epoch = self.w.now();
        let chain = AuxChainRecord {
            asset: Asset::Doge,
            chain_id: 98,
            block_hash: [7; 32],
            bits: DOGE_BITS,
            height: epoch.0 + 5_000,
            index: 0,
            branch: vec![],
        };
        let record = AuxJobRecord { job: job_id(epoch, BITS), epoch, chains: vec![chain] };
        self.w.log.append(&[Record::AuxJob(record)]).unwrap();
        self.w.work(Owner::Account(someone(3)), 12, 3);
        self.w.epoch_at(rate).await;
    }

    async fn see(&mut self, asset: Asset, block_hash: [u8; 32], height: u64, minor: i64) {
        let amount = Amount::new(asset, minor);
        let seen = RewardSeen { block_hash, height, amount, block_time: self.w.clock.now() };
        let market = &self.w.market;
        transact!(self.w.store, tx -> Result<_> => {
            market.reward_seen(tx, &lane(), seen).await
        })
        .unwrap();
    }

    async fn find(&mut self, asset: Asset) {
        self.height += 1;
        let hash = if asset == Asset::Btc {
            self.w.find_block(self.height)
        } else {
            let share = self.w.share(self.w.now(), Owner::House, 16, BITS);
            let n = u8::try_from(self.height % 251).unwrap();
            let found =
                BlockRecord { share, block_hash: [n; 32], height: self.height, block: vec![1; 99] };
            self.w.log.append(&[Record::AuxBlock(AuxBlockRecord { asset, found })]).unwrap();
            [n; 32]
        };
        let minor = i64::try_from(1 + self.dice.below(900_000_000)).unwrap();
        self.see(asset, hash, self.height, minor).await;
        self.blocks.push((asset, hash, self.height));
    }

    /// One epoch in which anything may happen.
    async fn step(&mut self) {
        let rate = match self.dice.below(6) {
            0 => 0,
            1 => 7_000,
            2 => 21_000,
            3 => 25_000,
            _ => RATE,
        };
        if self.dice.below(3) == 0 {
            self.find(Asset::Btc).await;
        }
        for _ in 0..self.dice.below(3) {
            self.find(Asset::Doge).await;
        }
        if self.dice.below(2) == 0 {
            let (market, height) = (&self.w.market, self.height + self.dice.below(9));
            transact!(self.w.store, tx -> Result<_> => {
                market.chain_height_of(tx, &lane(), Asset::Btc, height).await?;
                market.chain_height_of(tx, &lane(), Asset::Doge, height).await
            })
            .unwrap();
        }
        if self.dice.below(4) == 0 && !self.blocks.is_empty() {
            let n = self.dice.below(self.blocks.len() as u64);
            let (_, hash, _) = self.blocks[usize::try_from(n).unwrap()];
            self.w.orphan(hash).await;
        }
        self.w.market.hold_settlements(&lane(), self.dice.below(5) == 0);
        self.epoch(rate).await;
    }

    async fn terms(&self) -> SignedTerms {
        self.w.market.signed_terms(self.me, self.contract).await.unwrap()
    }

    async fn page(&self, from: Option<u64>, most: usize) -> Statement {
        let from = from.map(EpochNumber);
        self.w.market.statement(self.me, self.contract, from, most).await.unwrap()
    }

    async fn pages(&self, most: usize) -> Vec<Statement> {
        let mut pages = vec![self.page(None, most).await];
        while let Some(next) = pages.last().unwrap().next_epoch {
            pages.push(self.page(Some(next), most).await);
        }
        pages
    }
}

/// What the customers share by leaves the operator's contracts out, or honest statements would look false.
async fn the_operators_own_contract_makes_no_statement_look_false(store: Store) {
    let own = config();
    let operator_accounts = [someone(2)].into();
    let mut s = Story::begin_with(store, 3, MarketConfig { operator_accounts, ..own }).await;
    // Enough for the customer, and not for both; then not even for the customer.
    for rate in [18_000, 18_000, 9_000, 18_000, RATE] {
        s.epoch(rate).await;
    }
    check(&s.terms().await, &[s.page(None, 99).await]).unwrap_or_else(|e| panic!("{e}"));
    let theirs = s.w.market.contracts(someone(2)).await.unwrap()[0].id;
    let refused = s.w.market.statement(someone(2), theirs, None, 9).await.unwrap_err();
    assert!(matches!(refused, MarketError::NoStatement(_)), "{refused}");
}

async fn statements_of_generated_contracts_are_recomputed_line_by_line(store: Store) {
    let seed = if store.engine() == gruve_store::Engine::Sqlite { 11 } else { 5 };
    let mut s = Story::begin(store, seed).await;
    let terms = s.terms().await;
    assert!(check(&terms, &[s.page(None, 99).await]).is_ok(), "before its first epoch");
    for n in 0..34 {
        s.step().await;
        if n % 4 == 0 {
            let whole = s.page(None, 99).await;
            check(&terms, &[whole]).unwrap_or_else(|e| panic!("after {n} epochs: {e}"));
        }
    }
    let pages = s.pages(3).await;
    assert!(pages.len() > 5);
    let by_pages = check(&terms, &pages).unwrap();
    let whole = s.page(None, 99).await;
    let at_once = check(&terms, std::slice::from_ref(&whole)).unwrap();
    assert_eq!((by_pages.lines, &by_pages.closing), (at_once.lines, &at_once.closing));
    // The story had everything in it that a line can be.
    let kinds = |is: fn(&Line) -> bool| whole.lines.iter().filter(|l| is(&l.line)).count();
    assert!(kinds(|l| matches!(l, Line::Settlement(_))) > 5);
    assert!(kinds(|l| matches!(l, Line::Reversal(_))) > 1);
    assert!(kinds(|l| matches!(l, Line::TakeBack(_))) > 0);
    assert_eq!(kinds(|l| matches!(l, Line::End(_))), 1);
    let view = s.w.view(s.me, s.contract).await;
    assert_eq!(at_once.closing.delivered, view.delivered);
    assert_eq!(at_once.closing.assets[1].net_minor, view.earnings[1].credited.minor);
    s.w.assert_all_sound().await;
    // A page left out is noticed.
    assert!(check(&terms, &pages[1..]).is_err());
    let other = s.w.market.statement(someone(2), s.contract, None, 9).await;
    assert!(matches!(other, Err(MarketError::UnknownContract)));
}

/// A contract's terms and statement after so many epochs of a story.
fn told(epochs: u32) -> (SignedTerms, Statement) {
    let kept = std::sync::Mutex::new(None);
    gruve_store::testing::on_sqlite(|store| async {
        let mut s = Story::begin(store, 11).await;
        for _ in 0..epochs {
            s.step().await;
        }
        *kept.lock().unwrap() = Some((s.terms().await, s.page(None, 99).await));
    });
    kept.into_inner().unwrap().unwrap()
}

#[test]
fn a_changed_number_of_a_statement_is_found_at_its_line() {
    // Its whole life takes minutes unoptimised.
    let (terms, page) = told(if std::env::var_os("GRUVE_LONG").is_some() { 30 } else { 12 });
    let (tried, facts) = every_change_is_found(&terms, &page);
    assert!(tried > 400 && facts * 3 < tried * 2, "{tried} {facts}");
}

#[test]
fn a_settlement_moved_to_another_epoch_is_found() {
    let (terms, page) = told(12);
    let settled = |at: usize| match &page.lines[at].line {
        Line::Settlement(s) => Some(s.epoch),
        _ => None,
    };
    let mut tried = 0u32;
    for at in 1..page.lines.len() {
        // The first of those of one closing, with the others.
        let Some(epoch) = settled(at).filter(|epoch| settled(at - 1) != Some(*epoch)) else {
            continue;
        };
        let mut early = page.clone();
        for line in &mut early.lines {
            match &mut line.line {
                Line::Settlement(s) if s.epoch == epoch => s.epoch -= 1,
                _ => {}
            }
        }
        let wrong = check(&terms, &[signed(early)]).unwrap_err();
        assert_eq!(wrong.line, Some(at + 1), "{wrong}");
        let why = wrong.to_string();
        assert!(
            ["no settlement falls on", "stands after a later epoch"]
                .iter()
                .any(|w| why.contains(w)),
            "{why}"
        );
        tried += 1;
    }
    assert!(tried > 0, "{tried}");
}

async fn terms_are_signed_at_the_sale_by_the_operator(store: Store) {
    let s = Story::begin(store, 1).await;
    let file = s.terms().await;
    let by = key().verifying_key().to_bytes();
    let terms = file.open(Some(&by)).unwrap();
    assert_eq!(terms.contract, Some(s.contract));
    let view = s.w.view(s.me, s.contract).await;
    assert_eq!(file.sha256, hex::encode(view.terms_hash));
    assert_eq!((terms.price.minor, terms.work), (view.price.minor, view.bought));
    let other = s.w.market.signed_terms(someone(2), s.contract).await;
    assert!(matches!(other, Err(MarketError::UnknownContract)));
    assert_eq!(btc(1).asset, terms.price.asset);
}

laws! { statements: [
    the_operators_own_contract_makes_no_statement_look_false,
    statements_of_generated_contracts_are_recomputed_line_by_line,
    terms_are_signed_at_the_sale_by_the_operator,
] }
