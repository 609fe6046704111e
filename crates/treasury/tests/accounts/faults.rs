//! Histories in which the process is killed at borders between two steps, the node loses, delays,
//! repeats and denies, prices move, and blocks are taken back. Afterwards the chain says who was paid
//! how often, and by which nonces.
//!
//! A history is a seed. `GRUVE_FAULT_SEED=<n>` runs one of them alone, `GRUVE_FAULT_RUNS=<n>` that
//! many from the first, `GRUVE_LONG=1` fifty times as many; a failure names its seed.

use crate::rig::{ASSET, COIN, CONFIRMATIONS, Dice, HOUR, Rig, account, gwei};
use gruve_chain::FollowError;
use gruve_chain::eth::EthAddress;
use gruve_chain::follow::Progress;
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{NewPayout, Payer, PayoutState, TreasuryError};
use gruve_units::{Blame, Blamed, Duration, InvoiceId, PayoutId};
use std::collections::BTreeMap;

const CUSTOMERS: u64 = 3;

struct Asked {
    key: String,
    account: u8,
    amount: i64,
    to: EthAddress,
    id: Option<PayoutId>,
}

struct History {
    rig: Rig,
    dice: Dice,
    invoices: Vec<(InvoiceId, u8, String)>,
    paid_in: BTreeMap<u8, i64>,
    payouts: Vec<Asked>,
}

fn recipient(number: usize) -> EthAddress {
    let mut address = [0x77; 20];
    address[12..].copy_from_slice(&(number as u64).to_be_bytes());
    EthAddress(address)
}

impl History {
    async fn begin(store: Store, seed: u64) -> History {
        let mut dice = Dice(seed);
        let rig = Rig::new(store, seed).await;
        let minor = i64::try_from(dice.below(40)).unwrap() * COIN / 10;
        if minor > 0 {
            rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), minor);
        }
        let (mut invoices, mut paid_in) = (Vec::new(), BTreeMap::new());
        for n in 1..=u8::try_from(CUSTOMERS).unwrap() {
            let minor = COIN + i64::try_from(dice.below(9)).unwrap() * COIN;
            let invoice = rig.top_up(n, minor).await;
            paid_in.insert(n, minor);
            invoices.push((invoice.id, n, invoice.address));
        }
        *rig.breaker.dice.lock().unwrap() = Some(Dice(dice.below(u64::MAX)));
        *rig.node.faults.lock().unwrap() = Some(Dice(dice.below(u64::MAX)));
        History { rig, dice, invoices, paid_in, payouts: Vec::new() }
    }

    /// An error may only be the kill itself, or trouble that passes.
    fn bear<T>(&mut self, outcome: Result<T, TreasuryError>) -> Option<T> {
        match outcome {
            Ok(v) => Some(v),
            Err(e) => {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                if matches!(e, TreasuryError::BrokenOff(_)) {
                    self.rig.restart();
                }
                None
            }
        }
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..14 => self.pay_in().await,
            14..34 => self.ask_payout().await,
            34..40 => self.cancel().await,
            40..60 => self.pay_out().await,
            60..76 => {
                self.rig.chain.mine(1).unwrap();
            }
            76..81 => self.reorganise(),
            81..92 => self.follow().await,
            92..94 => self.rig.node.deliver_late().await,
            94..96 => self.rig.clock.advance(Duration::from_secs(700)),
            96..98 => {
                let price = 1 + self.dice.below(4);
                *self.rig.node.price.lock().unwrap() = Some(price);
            }
            _ => self.rig.restart(),
        }
    }

    async fn pay_in(&mut self) {
        if self.dice.below(3) == 0 {
            let n = u8::try_from(1 + self.dice.below(CUSTOMERS)).unwrap();
            let invoice = self.rig.invoice(n, COIN / 10).await;
            self.invoices.push((invoice.id, n, invoice.address));
        }
        let at = usize::try_from(self.dice.below(self.invoices.len() as u64)).unwrap();
        let minor = COIN / 20 + i64::try_from(self.dice.below(COIN.cast_unsigned())).unwrap();
        let (_, n, address) = &self.invoices[at];
        self.rig.pay(address, minor);
        *self.paid_in.entry(*n).or_default() += minor;
    }

    async fn ask_payout(&mut self) {
        let n = u8::try_from(1 + self.dice.below(CUSTOMERS)).unwrap();
        let all = self.rig.available(n).await;
        if all < COIN / 10 {
            return;
        }
        let amount = 1_000_000 + i64::try_from(self.dice.below((all / 2).cast_unsigned())).unwrap();
        let (key, to) = (format!("ask-{}", self.payouts.len()), recipient(self.payouts.len()));
        self.payouts.push(Asked { key, account: n, amount, to, id: None });
        self.ask_again(self.payouts.len() - 1).await;
    }

    /// Asks with the same key until there is an answer, as a customer's program does.
    async fn ask_again(&mut self, at: usize) {
        for _ in 0..50 {
            let asked = &self.payouts[at];
            let new = NewPayout {
                account: account(asked.account),
                amount: gwei(asked.amount),
                address: asked.to.to_string(),
                request_key: Some(asked.key.clone()),
            };
            match self.rig.treasury.request_payout(new).await {
                Ok(id) => {
                    self.payouts[at].id = Some(id);
                    return;
                }
                Err(e) if e.blame() == Blame::Rejected => return,
                e => drop(self.bear(e)),
            }
        }
        panic!("no answer to a request");
    }

    async fn cancel(&mut self) {
        let Some(asked) = self.payouts.last() else { return };
        let Some(id) = asked.id else { return };
        match self.rig.treasury.cancel_payout(account(asked.account), id).await {
            Err(TreasuryError::TooLate { .. }) => {}
            other => drop(self.bear(other)),
        }
    }

    async fn pay_out(&mut self) {
        let outcome = if self.dice.below(100) < 15 {
            // Two payers at once, as when a leader is slow to notice that it is none any more.
            let second = Payer::new(self.rig.treasury.clone());
            let (one, two) = tokio::join!(self.rig.payer.step(), second.step());
            let _ = self.bear(two);
            one
        } else {
            self.rig.payer.step().await
        };
        self.bear(outcome);
    }

    fn reorganise(&mut self) {
        let depth = (1 + self.dice.below(6)).min(self.rig.chain.height() - 1);
        self.rig.chain.take_back(depth).unwrap();
        self.rig.chain.mine(u32::try_from(depth).unwrap() + 1).unwrap();
    }

    async fn follow(&mut self) {
        loop {
            match self.rig.follow_step().await {
                Ok(Progress::UpToDate(_)) => break,
                Ok(_) => {}
                Err(FollowError::Sink(e)) => {
                    assert_eq!(e.blame(), Blame::Transient, "{e}");
                    self.rig.restart();
                }
                Err(e) => {
                    assert_eq!(e.blame(), Blame::Transient, "{e}");
                    break;
                }
            }
            let mut tx = self.rig.store.read().await.unwrap();
            let r = self.rig.treasury.reconcile(&mut tx, ASSET).await.unwrap();
            assert!(r.agrees(), "blocks and books differ: {r:?}");
        }
    }

    /// Nothing fails any more; everything comes to its end.
    async fn settle(&mut self) {
        *self.rig.breaker.dice.lock().unwrap() = None;
        *self.rig.node.faults.lock().unwrap() = None;
        *self.rig.node.price.lock().unwrap() = None;
        self.rig.restart();
        for at in 0..self.payouts.len() {
            if self.payouts[at].id.is_none() {
                self.ask_again(at).await;
            }
        }
        for _ in 0..25 {
            self.rig.node.deliver_late().await;
            self.rig.clock.advance(Duration::from_secs(601));
            self.rig.chain.mine(1).unwrap();
            self.rig.follow().await;
            self.rig.payer.step().await.unwrap();
        }
        self.rig.clock.advance(3 * HOUR);
        self.rig.mine(CONFIRMATIONS + 2).await;
    }

    async fn judge(&self) {
        let mut paid_out: BTreeMap<u8, i64> = BTreeMap::new();
        for asked in &self.payouts {
            let received = self.rig.on_chain(&asked.to);
            let Some(id) = asked.id else {
                assert_eq!(received, 0, "paid what was refused");
                continue;
            };
            let payout = self.rig.payout(id).await;
            match payout.state {
                PayoutState::Confirmed => {
                    assert_eq!(Some(received), payout.receives().map(|a| a.minor), "paid once");
                    assert!(payout.fee.unwrap().minor <= payout.fee_max.minor);
                    *paid_out.entry(asked.account).or_default() += asked.amount;
                }
                PayoutState::Cancelled | PayoutState::Refused => assert_eq!(received, 0),
                other => panic!("a payout ended as {other}"),
            }
        }
        for kind in [
            AccountKind::Loss,
            AccountKind::UnmatchedReceipts,
            AccountKind::PayoutsInFlight,
            AccountKind::CustomerHeld,
        ] {
            assert_eq!(self.rig.total(kind).await, 0, "{kind}");
        }
        for (n, paid_in) in &self.paid_in {
            let expected = paid_in - paid_out.get(n).copied().unwrap_or(0);
            assert_eq!(self.rig.available(*n).await, expected, "customer {n}");
        }
        let open = self.rig.treasury.open_transactions(ASSET).await.unwrap();
        assert!(open.is_empty(), "nonces with a gap: {open:?}");
    }
}

async fn run(store: Store, seed: u64) -> usize {
    let mut history = History::begin(store, seed).await;
    for _ in 0..50 {
        history.step().await;
    }
    history.settle().await;
    history.judge().await;
    history.payouts.len()
}

fn each_seed(usual: u64, on_postgres: bool) {
    let number = |name| std::env::var(name).ok().map(|v| v.parse::<u64>().unwrap());
    let seeds = match number("GRUVE_FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let is_long = std::env::var_os("GRUVE_LONG").is_some();
            0..number("GRUVE_FAULT_RUNS").unwrap_or(if is_long { usual * 50 } else { usual })
        }
    };
    // One thread: what runs beside each other still takes turns, and nothing is handed from thread to thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut payouts = 0;
    for seed in seeds.clone() {
        let dir = TestDir::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let store = if on_postgres { postgres().await } else { sqlite(dir.path()).await };
                let done = run(store.clone(), seed).await;
                store.close().await;
                done
            })
        }));
        match outcome {
            Ok(asked) => payouts += asked,
            Err(cause) => {
                eprintln!("failed with GRUVE_FAULT_SEED={seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("seeds {seeds:?}: {payouts} payouts, each paid once or refused");
    assert!(seeds.end - seeds.start < 10 || payouts > 0, "the histories asked for nothing");
}

#[test]
fn whatever_breaks_every_account_payout_is_paid_once_or_refused() {
    each_seed(20, false);
}

#[test]
fn the_same_holds_for_account_payouts_on_postgres() {
    each_seed(3, true);
}
