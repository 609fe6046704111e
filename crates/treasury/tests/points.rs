//! One pay-in and one payout, with a reorganisation of six blocks behind them, told again and again: each time
//! the process is killed at another border between two steps, or another call to the node goes wrong in
//! another way. The chain in memory says at the end who was paid; the tables are not asked for that.
//!
//! `GRUVE_LONG=1` tells it with every pair of a kill and a fault of the node.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{CONFIRMATIONS, HOUR, House, account, sat, stranger};
use gruve_ledger::AccountKind;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_store::{Store, transact};
use gruve_treasury::{CrashPoints, NewPayout, PayoutState, Purpose, TreasuryError};
use gruve_units::{Blame, Blamed, PayoutId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAID_IN: i64 = 300_000;
const ASKED: i64 = 120_000;
const SIX: u64 = 6;

/// How a call to the node goes wrong, as [`fake::node::FakeNode`] reads it: lost; its answer lost; late;
/// twice; refused; done and refused; not done and said to be.
const WAYS: [u64; 7] = [0, 8, 16, 22, 28, 34, 38];

/// What goes wrong: the kill before the step of this number, the call of this number in this way.
#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    kill: Option<u64>,
    call: Option<(u64, u64)>,
}

#[derive(Default)]
struct Nth {
    at: Option<u64>,
    passed: Mutex<u64>,
}

impl CrashPoints for Nth {
    fn passes(&self, _: &'static str) -> bool {
        let mut passed = self.passed.lock().unwrap();
        *passed += 1;
        Some(*passed) != self.at
    }
}

struct Story {
    house: House,
    kill: Arc<Nth>,
    payout: Option<PayoutId>,
}

impl Story {
    fn restart(&mut self) {
        self.house.restart();
        self.house.treasury.break_off_with(self.kill.clone());
    }

    fn bear<T>(&mut self, outcome: Result<T, TreasuryError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(e) => {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                if matches!(e, TreasuryError::BrokenOff(_)) {
                    self.restart();
                }
                None
            }
        }
    }

    async fn follow(&mut self) {
        let kill = self.kill.clone();
        loop {
            let more = self.house.follow_one(&mut || !kill.passes("follower")).await;
            if self.bear(more) == Some(false) {
                break;
            }
            self.house.check_coins().await;
        }
    }

    async fn mine(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.house.chain.mine(&[0x51], |_| true);
        }
        self.follow().await;
    }

    async fn step(&mut self) {
        let outcome = self.house.payer.step().await;
        self.bear(outcome);
    }

    /// As a customer's program does: with the same key until there is an answer.
    async fn ask(&mut self) {
        for _ in 0..10 {
            let new = NewPayout {
                account: account(1),
                amount: sat(ASKED),
                address: stranger(1).0,
                request_key: Some("only once".to_owned()),
            };
            let outcome = self.house.treasury.request_payout(new).await;
            self.payout = self.bear(outcome);
            if self.payout.is_some() {
                return;
            }
        }
        panic!("no answer to a request");
    }

    async fn told(&mut self) {
        let invoice = self.house.invoice(1, PAID_IN, Purpose::TopUp).await;
        self.house.pay(&invoice.address, PAID_IN);
        self.mine(CONFIRMATIONS).await;
        self.ask().await;
        self.step().await;
        self.step().await;
        self.mine(1).await;
        self.house.chain.rewind(SIX);
        self.mine(SIX + 1).await;
        self.house.clock.advance(Duration::from_secs(601));
        self.step().await;
        self.mine(1).await;
    }

    /// Nothing fails any more; everything comes to its end.
    async fn settle(&mut self) {
        self.kill = Arc::new(Nth::default());
        self.house.node.fail_nth(None);
        self.restart();
        for _ in 0..5 {
            self.house.node.deliver_late();
            self.house.clock.advance(Duration::from_secs(601));
            self.step().await;
            self.mine(1).await;
        }
        self.house.clock.advance(3 * HOUR);
        self.mine(CONFIRMATIONS).await;
        self.step().await;
        self.house.check().await;
    }

    async fn judge(&self) {
        let payments = self.house.chain.payments_to(&stranger(1).1);
        assert_eq!(payments.len(), 1, "paid once: {payments:?}");
        let payout = self.house.payout(self.payout.unwrap()).await;
        assert_eq!(payout.state, PayoutState::Confirmed);
        assert_eq!(Some(payments[0].1), payout.receives().map(|a| a.minor));
        assert_eq!(self.house.available(1).await, PAID_IN - ASKED);
        for kind in [
            AccountKind::Loss,
            AccountKind::UnmatchedReceipts,
            AccountKind::PayoutsInFlight,
            AccountKind::CustomerHeld,
        ] {
            assert_eq!(self.house.total(kind).await, 0, "{kind}");
        }
    }
}

/// Takes something away that the promise rests on.
const FORGET_KEYS: &str = "CREATE TRIGGER forget AFTER INSERT ON treasury_payouts BEGIN
    UPDATE treasury_payouts SET request_key = NULL WHERE id = NEW.id; END";

/// Tells the story with a fault; gives how many steps and calls there were.
async fn tell(store: Store, fault: Fault, is_weakened: bool) -> (u64, u64) {
    let house = House::new(store.clone(), 1).await;
    house.fill(&[500_000]).await;
    if is_weakened {
        let done = transact!(store, tx -> Result<u64, TreasuryError> => {
            Ok(tx.execute(FORGET_KEYS, &[]).await?)
        });
        done.unwrap();
    }
    let kill = Arc::new(Nth { at: fault.kill, passed: Mutex::default() });
    let mut story = Story { house, kill: kill.clone(), payout: None };
    story.restart();
    story.house.node.fail_nth(fault.call);
    story.told().await;
    let calls = story.house.node.fail_nth(None);
    let steps = *kill.passed.lock().unwrap();
    story.settle().await;
    story.judge().await;
    (steps, calls)
}

struct Teller {
    runtime: tokio::runtime::Runtime,
    on_postgres: bool,
}

impl Teller {
    fn new(on_postgres: bool) -> Teller {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        Teller { runtime, on_postgres }
    }

    fn tell(&self, fault: Fault, is_weakened: bool) -> (u64, u64) {
        let dir = TestDir::new();
        self.runtime.block_on(async {
            let store = if self.on_postgres { postgres().await } else { sqlite(dir.path()).await };
            let told = tell(store.clone(), fault, is_weakened).await;
            store.close().await;
            told
        })
    }

    fn tell_or_name(&self, fault: Fault) {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| self.tell(fault, false))) {
            eprintln!("failed with {fault:?}");
            std::panic::resume_unwind(cause);
        }
    }

    /// All single faults, every `stride`th of them.
    fn tell_all(&self, stride: usize) {
        let (steps, calls) = self.tell(Fault::default(), false);
        let kills = (1..=steps).map(|n| Fault { kill: Some(n), call: None });
        let wrong = (1..=calls).flat_map(|n| WAYS.map(|way| (n, way)));
        let wrong: Vec<Fault> = wrong.map(|c| Fault { kill: None, call: Some(c) }).collect();
        let mut faults: Vec<Fault> = kills.chain(wrong.iter().copied()).collect();
        if std::env::var_os("GRUVE_LONG").is_some() {
            let pairs = |n| wrong.iter().map(move |w| Fault { kill: Some(n), call: w.call });
            faults.extend((1..=steps).flat_map(pairs));
        }
        let told = faults.iter().step_by(stride).map(|f| self.tell_or_name(*f)).count();
        println!("{steps} steps, {calls} calls: told with {told} faults, paid once each time");
    }
}

#[test]
fn killed_at_any_step_or_misled_by_any_answer_it_pays_once_and_credits_once() {
    Teller::new(false).tell_all(1);
}

#[test]
fn the_same_on_postgres() {
    Teller::new(true).tell_all(if std::env::var_os("GRUVE_LONG").is_some() { 1 } else { 13 });
}

#[test]
fn without_the_keys_of_requests_the_same_faults_pay_twice() {
    let teller = Teller::new(false);
    let (steps, _) = teller.tell(Fault::default(), true);
    let twice = (1..=steps).filter(|&n| {
        let fault = Fault { kill: Some(n), call: None };
        catch_unwind(AssertUnwindSafe(|| teller.tell(fault, true))).is_err()
    });
    assert!(twice.count() > 0, "the faults would not notice that a key is missing");
}
