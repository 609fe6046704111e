//! One pay-in and one payout on an account chain, with a reorganisation of six blocks behind them, told with
//! a kill at each border between two steps, and with each call to the node going wrong in each way. The
//! chain says who was paid.

use crate::rig::{ASSET, COIN, CONFIRMATIONS, HOUR, Rig, account, gwei, stranger};
use gruve_chain::FollowError;
use gruve_chain::follow::Progress;
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{NewPayout, PayoutState, TreasuryError};
use gruve_units::{Blame, Blamed, Duration, PayoutId};

const PAID_IN: i64 = 20 * COIN;
const ASKED: i64 = 3 * COIN;
const SIX: u64 = 6;

/// How a call goes wrong; see the rig's node.
const WAYS: [u64; 7] = [0, 8, 16, 22, 28, 34, 38];

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    kill: u64,
    call: Option<(u64, u64)>,
}

struct Story {
    rig: Rig,
    payout: Option<PayoutId>,
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
                Ok(Progress::UpToDate(_)) => return,
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

    async fn ask(&mut self) {
        for _ in 0..10 {
            let new = NewPayout {
                account: account(1),
                amount: gwei(ASKED),
                address: stranger(9).to_string(),
                request_key: Some("only once".to_owned()),
            };
            let outcome = self.rig.treasury.request_payout(new).await;
            self.payout = self.bear(outcome);
            if self.payout.is_some() {
                return;
            }
        }
        panic!("no answer to a request");
    }

    async fn told(&mut self) {
        let invoice = self.rig.invoice(1, PAID_IN).await;
        self.rig.pay(&invoice.address, PAID_IN);
        self.mine(u32::try_from(CONFIRMATIONS).unwrap()).await;
        self.ask().await;
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

async fn tell(store: Store, fault: Fault) -> (u64, u64) {
    let rig = Rig::new(store, 1).await;
    rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), 100 * COIN);
    rig.mine(CONFIRMATIONS).await;
    let mut story = Story { rig, payout: None };
    *story.rig.breaker.nth.lock().unwrap() = fault.kill;
    *story.rig.breaker.passed.lock().unwrap() = 0;
    story.rig.node.fail_nth(fault.call);
    story.told().await;
    let calls = story.rig.node.fail_nth(None);
    let steps = *story.rig.breaker.passed.lock().unwrap();
    story.settle().await;
    story.judge().await;
    (steps, calls)
}

fn tell_all(on_postgres: bool, stride: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let told = |fault| {
        let dir = TestDir::new();
        runtime.block_on(async {
            let store = if on_postgres { postgres().await } else { sqlite(dir.path()).await };
            println!("told with {fault:?}");
            let told = tell(store.clone(), fault).await;
            store.close().await;
            told
        })
    };
    let (steps, calls) = told(Fault::default());
    let kills = (1..=steps).map(|kill| Fault { kill, call: None });
    let wrong = (1..=calls).flat_map(|n| WAYS.map(|way| Fault { kill: 0, call: Some((n, way)) }));
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    let count = kills.chain(wrong).step_by(if is_long { 1 } else { stride }).map(told).count();
    println!("{steps} steps, {calls} calls: told with {count} faults, paid once each time");
}

#[test]
fn killed_at_any_step_or_misled_by_any_answer_an_account_chain_pays_once() {
    tell_all(false, 9);
}

#[test]
fn the_same_for_an_account_chain_on_postgres() {
    tell_all(true, 41);
}
