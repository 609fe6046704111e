//! An invoice, its pay-in and three payouts on an account chain, one that takes two people, one that its customer takes
//! back and one that is refused, with a reorganisation of six blocks behind them, told with a kill at each
//! border between two steps, and with each call to the node going wrong in each way, those of the follower among
//! them. The chain says who was paid.
//!
//! The short form tells some of them, `GRUVE_LONG=1` all.

use crate::people;
use crate::rig::{ASSET, COIN, CONFIRMATIONS, HOUR, Rig, account, gwei, stranger};
use gruve_chain::FollowError;
use gruve_chain::follow::Progress;
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{CrashPoints as _, Invoice, NewPayout, PayoutState, TreasuryError};
use gruve_units::{Blame, Blamed, Duration, PayoutId};
use std::panic::{AssertUnwindSafe, catch_unwind};

const PAID_IN: i64 = 20 * COIN;
const ASKED: i64 = 3 * COIN;
/// What is asked for and taken back, and what is asked for and refused.
const TAKEN_BACK: i64 = 2 * COIN;
const REFUSED: i64 = COIN;
/// Up to what payouts leave without a look at them, and above what in a day they take two people.
const LOOKS: (i64, i64) = (COIN / 2, 5 * COIN / 2);
const SIX: u64 = 6;

/// The short form tells every so many-th of the faults: a tenth of a second each, and each again on PostgreSQL.
const STRIDE: usize = 11;

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    kill: u64,
    call: Option<(u64, u64)>,
}

struct Story {
    rig: Rig,
    payout: Option<PayoutId>,
    /// Whether customers ask with a key, as the promise needs.
    has_keys: bool,
}

impl Story {
    fn bear<T>(&mut self, outcome: Result<T, TreasuryError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(e) => {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                if matches!(e, TreasuryError::BrokenOff(_)) {
                    self.rig.restart();
                }
                None
            }
        }
    }

    async fn mine(&mut self, blocks: u32) {
        self.rig.chain.mine(blocks).unwrap();
        for _ in 0..1_000 {
            match self.rig.follow_step().await {
                // As the house does, which asks again: a late answer may have told of an end that is none.
                Ok(Progress::UpToDate(at)) if at.height == self.rig.chain.height() => return,
                Ok(_) => {}
                Err(FollowError::Sink(e)) => {
                    assert_eq!(e.blame(), Blame::Transient, "{e}");
                    self.rig.restart();
                }
                Err(e) => assert_eq!(e.blame(), Blame::Transient, "{e}"),
            }
        }
        panic!("the chain is not followed to its end");
    }

    async fn step(&mut self) {
        let outcome = self.rig.payer.step().await;
        self.bear(outcome);
    }

    /// A customer's order; asked again until there is an answer.
    async fn order(&mut self) -> Invoice {
        for _ in 0..10 {
            let made = self.rig.ask_invoice(1, PAID_IN).await;
            let made = made.and_then(|invoice| match self.rig.breaker.passes("invoice made") {
                true => Ok(invoice),
                false => Err(TreasuryError::BrokenOff("invoice made, after commit")),
            });
            if let Some(invoice) = self.bear(made) {
                return invoice;
            }
        }
        panic!("no answer to an order");
    }

    async fn ask(&mut self, minor: i64, to: u8) -> PayoutId {
        for _ in 0..10 {
            let new = NewPayout {
                account: account(1),
                amount: gwei(minor),
                address: stranger(to).to_string(),
                request_key: self.has_keys.then(|| format!("only once {to}")),
            };
            let outcome = self.rig.treasury.request_payout(new).await;
            if let Some(id) = self.bear(outcome) {
                return id;
            }
        }
        panic!("no answer to a request");
    }

    async fn approve(&mut self, id: PayoutId, approver: &str) {
        loop {
            let outcome = self.rig.treasury.approve_payout(id, approver).await;
            if self.bear(outcome).is_some() {
                return;
            }
        }
    }

    /// One payout goes back to its customer by his own word, one by the operator's.
    async fn end_two(&mut self) {
        let (own, other) = (self.ask(TAKEN_BACK, 7).await, self.ask(REFUSED, 8).await);
        loop {
            let outcome = self.rig.treasury.cancel_payout(account(1), own).await;
            if self.bear(outcome).is_some() {
                break;
            }
        }
        loop {
            let outcome = self.rig.treasury.refuse_payout(other, "not now").await;
            if self.bear(outcome).is_some() {
                break;
            }
        }
        assert_eq!(self.rig.payout(own).await.state, PayoutState::Cancelled);
        assert_eq!(self.rig.payout(other).await.state, PayoutState::Refused);
    }

    async fn told(&mut self) {
        let invoice = self.order().await;
        self.rig.pay(&invoice.address, PAID_IN);
        self.mine(u32::try_from(CONFIRMATIONS).unwrap()).await;
        self.end_two().await;
        let payout = self.ask(ASKED, 9).await;
        self.payout = Some(payout);
        self.approve(payout, "one").await;
        self.step().await;
        assert_eq!(self.rig.payout(payout).await.state, PayoutState::Requested);
        self.approve(payout, "another").await;
        self.step().await;
        self.step().await;
        self.mine(1).await;
        self.rig.chain.take_back(SIX).unwrap();
        self.mine(u32::try_from(SIX).unwrap() + 1).await;
        self.rig.clock.advance(Duration::from_secs(601));
        self.step().await;
        self.mine(1).await;
    }

    async fn settle(&mut self) {
        *self.rig.breaker.nth.lock().unwrap() = 0;
        self.rig.node.fail_nth(None);
        self.rig.restart();
        for _ in 0..5 {
            self.rig.node.deliver_late().await;
            self.rig.clock.advance(Duration::from_secs(601));
            people::approve_all(&self.rig.treasury).await;
            self.step().await;
            self.mine(1).await;
        }
        self.rig.clock.advance(3 * HOUR);
        self.mine(u32::try_from(CONFIRMATIONS).unwrap()).await;
        self.rig.check().await;
    }

    async fn judge(&self) {
        let payout = self.rig.payout(self.payout.unwrap()).await;
        assert_eq!(payout.state, PayoutState::Confirmed);
        let received = self.rig.on_chain(&stranger(9));
        assert_eq!(Some(received), payout.receives().map(|a| a.minor), "paid once");
        for unpaid in [7, 8] {
            assert_eq!(self.rig.on_chain(&stranger(unpaid)), 0);
        }
        assert_eq!(self.rig.available(1).await, PAID_IN - ASKED);
        for kind in [
            AccountKind::Loss,
            AccountKind::UnmatchedReceipts,
            AccountKind::PayoutsInFlight,
            AccountKind::CustomerHeld,
        ] {
            assert_eq!(self.rig.total(kind).await, 0, "{kind}");
        }
    }
}

/// The rolls by which each call goes wrong.
type Calls = Vec<&'static [u64]>;

async fn tell(store: Store, fault: Fault, has_keys: bool) -> (u64, Calls) {
    let mut rig = Rig::new(store, 1).await;
    rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), 100 * COIN);
    rig.mine(CONFIRMATIONS).await;
    rig.looks = Some(LOOKS);
    rig.restart();
    let mut story = Story { rig, payout: None, has_keys };
    *story.rig.breaker.nth.lock().unwrap() = fault.kill;
    *story.rig.breaker.passed.lock().unwrap() = 0;
    *story.rig.node.misleads_follower.lock().unwrap() = true;
    story.rig.node.fail_nth(fault.call);
    story.told().await;
    let calls = story.rig.node.fail_nth(None);
    let steps = *story.rig.breaker.passed.lock().unwrap();
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

    fn tell_all(&self, stride: usize) {
        let (steps, calls) = self.tell(Fault::default(), true);
        let kills = (1..=steps).map(|kill| Fault { kill, call: None });
        let wrong = (1..).zip(&calls).flat_map(|(n, ways)| ways.iter().map(move |way| (n, *way)));
        let wrong = wrong.map(|c| Fault { kill: 0, call: Some(c) });
        let is_long = std::env::var_os("GRUVE_LONG").is_some();
        let told = kills.chain(wrong).step_by(if is_long { 1 } else { stride });
        let told = told.map(|fault| {
            if let Err(cause) = catch_unwind(AssertUnwindSafe(|| self.tell(fault, true))) {
                eprintln!("failed with {fault:?}");
                std::panic::resume_unwind(cause);
            }
        });
        let (count, calls) = (told.count(), calls.len());
        println!("{steps} steps, {calls} calls: told with {count} faults, paid once each time");
    }
}

#[test]
fn killed_at_any_step_or_misled_by_any_answer_an_account_chain_pays_once() {
    Teller::new(false).tell_all(STRIDE);
}

#[test]
fn the_same_for_an_account_chain_on_postgres() {
    Teller::new(true).tell_all(5 * STRIDE);
}

#[test]
fn without_the_keys_of_requests_the_same_faults_pay_twice_on_an_account_chain() {
    for on_postgres in [false, true] {
        let teller = Teller::new(on_postgres);
        let (steps, _) = teller.tell(Fault::default(), false);
        let notices = (1..=steps).any(|kill| {
            let fault = Fault { kill, call: None };
            catch_unwind(AssertUnwindSafe(|| teller.tell(fault, false))).is_err()
        });
        assert!(notices, "the faults would not notice that a key is missing");
    }
}
