//! An invoice, its pay-in and three payouts, one that takes two people, one that its customer takes back and one
//! that is refused, with a reorganisation of six blocks behind them, told again and again: each time the
//! process is killed at another border between two steps, or another call to the node goes wrong in another
//! way, those of the follower among them. The chain in memory says at the end who was paid; the tables are not
//! asked for that.
//!
//! `GRUVE_LONG=1` tells it with every pair of a kill and a fault of the node.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{CONFIRMATIONS, HOUR, House, account, people, sat, stranger};
use gruve_chain::FollowError;
use gruve_chain::follow::Progress;
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{CrashPoints, Invoice, NewPayout, PayoutState, Purpose, TreasuryError};
use gruve_units::{Blame, Blamed, PayoutId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAID_IN: i64 = 300_000;
const ASKED: i64 = 120_000;
/// What is asked for and taken back, and what is asked for and refused.
const TAKEN_BACK: i64 = 50_000;
const REFUSED: i64 = 40_000;
/// Up to what payouts leave without a look at them, and above what in a day they take two people.
const LOOKS: (i64, i64) = (10_000, 100_000);
const SIX: u64 = 6;

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
    /// Whether customers ask with a key, as the promise needs.
    has_keys: bool,
}

impl Story {
    fn restart(&mut self) {
        self.house.restart();
        self.house.break_off_with(self.kill.clone());
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
        for _ in 0..1_000 {
            match self.house.follower.step().await {
                // As the house does, which asks again: a late answer may have told of an end that is none.
                Ok(Progress::UpToDate(at)) if self.house.chain.height() == at.height => return,
                Ok(_) => {}
                Err(e) => {
                    assert_eq!(e.blame(), Blame::Transient, "{e}");
                    if matches!(e, FollowError::Sink(_)) {
                        self.restart();
                    }
                }
            }
            self.house.check_coins().await;
        }
        panic!("the chain is not followed to its end");
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

    /// A customer's order; asked again until there is an answer.
    async fn order(&mut self) -> Invoice {
        for _ in 0..10 {
            let made = self.house.ask_invoice(1, sat(PAID_IN), Purpose::TopUp).await;
            let made = made.and_then(|invoice| match self.kill.passes("invoice made") {
                true => Ok(invoice),
                false => Err(TreasuryError::BrokenOff("invoice made, after commit")),
            });
            if let Some(invoice) = self.bear(made) {
                return invoice;
            }
        }
        panic!("no answer to an order");
    }

    /// As a customer's program does: with the same key until there is an answer.
    async fn ask(&mut self, minor: i64, to: u32) -> PayoutId {
        for _ in 0..10 {
            let new = NewPayout {
                account: account(1),
                amount: sat(minor),
                address: stranger(to).0,
                request_key: self.has_keys.then(|| format!("only once {to}")),
            };
            let outcome = self.house.treasury.request_payout(new).await;
            if let Some(id) = self.bear(outcome) {
                return id;
            }
        }
        panic!("no answer to a request");
    }

    async fn approve(&mut self, id: PayoutId, approver: &str) {
        for _ in 0..10 {
            let outcome = self.house.treasury.approve_payout(id, approver).await;
            if self.bear(outcome).is_some() {
                return;
            }
        }
        panic!("no answer to an approval");
    }

    /// One payout goes back to its customer by his own word, one by the operator's.
    async fn end_two(&mut self) {
        let (own, other) = (self.ask(TAKEN_BACK, 2).await, self.ask(REFUSED, 3).await);
        loop {
            let outcome = self.house.treasury.cancel_payout(account(1), own).await;
            if self.bear(outcome).is_some() {
                break;
            }
        }
        loop {
            let outcome = self.house.treasury.refuse_payout(other, "not now").await;
            if self.bear(outcome).is_some() {
                break;
            }
        }
        assert_eq!(self.house.payout(own).await.state, PayoutState::Cancelled);
        assert_eq!(self.house.payout(other).await.state, PayoutState::Refused);
    }

    async fn told(&mut self) {
        let invoice = self.order().await;
        self.house.pay(&invoice.address, PAID_IN);
        self.mine(CONFIRMATIONS).await;
        self.end_two().await;
        let payout = self.ask(ASKED, 1).await;
        self.payout = Some(payout);
        self.approve(payout, "one").await;
        self.step().await;
        assert_eq!(self.house.payout(payout).await.state, PayoutState::Requested);
        self.approve(payout, "another").await;
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
            people::approve_all(&self.house.treasury).await;
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
        for unpaid in [2, 3] {
            assert_eq!(self.house.chain.payments_to(&stranger(unpaid).1), []);
        }
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

/// The rolls by which each call goes wrong.
type Calls = Vec<&'static [u64]>;

/// Tells the story with a fault; gives how many steps there were, and the calls.
async fn tell(store: Store, fault: Fault, has_keys: bool) -> (u64, Calls) {
    let mut house = House::new(store.clone(), 1).await;
    house.fill(&[500_000]).await;
    house.policies.looks = Some(LOOKS);
    let kill = Arc::new(Nth { at: fault.kill, passed: Mutex::default() });
    let mut story = Story { house, kill: kill.clone(), payout: None, has_keys };
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

    fn tell(&self, fault: Fault, has_keys: bool) -> (u64, Calls) {
        let dir = TestDir::new();
        self.runtime.block_on(async {
            let store = if self.on_postgres { postgres().await } else { sqlite(dir.path()).await };
            let told = tell(store.clone(), fault, has_keys).await;
            store.close().await;
            told
        })
    }

    fn tell_or_name(&self, fault: Fault) {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| self.tell(fault, true))) {
            eprintln!("failed with {fault:?}");
            std::panic::resume_unwind(cause);
        }
    }

    /// All single faults, every `stride`th of them.
    fn tell_all(&self, stride: usize) {
        let (steps, calls) = self.tell(Fault::default(), true);
        let kills = (1..=steps).map(|n| Fault { kill: Some(n), call: None });
        let wrong = (1..).zip(&calls).flat_map(|(n, ways)| ways.iter().map(move |way| (n, *way)));
        let wrong: Vec<Fault> = wrong.map(|c| Fault { kill: None, call: Some(c) }).collect();
        let mut faults: Vec<Fault> = kills.chain(wrong.iter().copied()).collect();
        if std::env::var_os("GRUVE_LONG").is_some() {
            let pairs = |n| wrong.iter().map(move |w| Fault { kill: Some(n), call: w.call });
            faults.extend((1..=steps).flat_map(pairs));
        }
        let told = faults.iter().step_by(stride).map(|f| self.tell_or_name(*f)).count();
        let calls = calls.len();
        println!("{steps} steps, {calls} calls: told with {told} faults, paid once each time");
    }

    /// Whether a kill is noticed where customers have no keys to ask with.
    fn notices_that_keys_are_missing(&self) -> bool {
        let (steps, _) = self.tell(Fault::default(), false);
        (1..=steps).any(|n| {
            let fault = Fault { kill: Some(n), call: None };
            catch_unwind(AssertUnwindSafe(|| self.tell(fault, false))).is_err()
        })
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
    for on_postgres in [false, true] {
        let notices = Teller::new(on_postgres).notices_that_keys_are_missing();
        assert!(notices, "the faults would not notice that a key is missing");
    }
}
