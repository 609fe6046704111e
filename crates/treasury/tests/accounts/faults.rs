//! Histories in which the process is killed at borders between two steps, the node loses, delays,
//! repeats and denies, prices move, and blocks are taken back. Afterwards the chain says who was paid
//! how often, and by which nonces. In half of them payouts wait for people, and the follower's questions go wrong, too.
//!
//! A history is a seed. `GRUVE_FAULT_SEED=<n>` runs one of them alone, `GRUVE_FAULT_RUNS=<n>` that
//! many from the first, `GRUVE_LONG=1` fifty times as many; a failure names its seed.

use crate::people;
use crate::rig::{ASSET, COIN, CONFIRMATIONS, Dice, HOUR, Rig, account, gwei};
use gruve_chain::FollowError;
use gruve_chain::eth::EthAddress;
use gruve_chain::follow::Progress;
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{CrashPoints as _, Invoice, NewPayout, Payer, PayoutState, TreasuryError};
use gruve_units::{Blame, Blamed, Duration, InvoiceId, PayoutId};
use std::collections::BTreeMap;

const CUSTOMERS: u64 = 3;
/// Up to what payouts leave without a look at them, and above what in a day they take two people.
const LOOKS: (i64, i64) = (COIN / 5, 3 * COIN);

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
    /// What people decide, where payouts wait for them.
    people: Option<Dice>,
}

/// What a history came to.
#[derive(Clone, Copy, Default)]
struct Came {
    asked: usize,
    /// Those that one person let go, and those that took two.
    looked_at: usize,
    by_two: usize,
}

fn recipient(number: usize) -> EthAddress {
    let mut address = [0x77; 20];
    address[12..].copy_from_slice(&(number as u64).to_be_bytes());
    EthAddress(address)
}

impl History {
    async fn begin(store: Store, seed: u64) -> History {
        let mut dice = Dice(seed);
        let mut rig = Rig::new(store, seed).await;
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
        let mut people = people::looks_on(seed).then(|| Dice(people::beside(seed)));
        if let Some(people) = &mut people {
            rig.looks = Some(LOOKS);
            rig.restart();
            *rig.breaker.later.lock().unwrap() = Some(Dice(people.below(u64::MAX)));
            *rig.node.misleads_follower.lock().unwrap() = true;
        }
        History { rig, dice, invoices, paid_in, payouts: Vec::new(), people }
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
        self.people_look().await;
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

    /// Now and then somebody looks at what waits.
    async fn people_look(&mut self) {
        let Some(mut dice) = self.people.clone() else { return };
        let outcome = if dice.below(100) < 35 {
            people::look(&self.rig.treasury, &mut |n| dice.below(n)).await
        } else {
            Ok(())
        };
        self.people = Some(dice);
        match outcome {
            Err(TreasuryError::TooLate { .. }) => {}
            other => drop(self.bear(other)),
        }
    }

    /// As a shop does: asks again until it is told of one. What it was not told of, nobody pays.
    async fn ask_invoice(&mut self, n: u8) -> Invoice {
        for _ in 0..50 {
            let made = self.rig.ask_invoice(n, COIN / 10).await;
            let Some(invoice) = self.bear(made) else { continue };
            let told = if self.rig.breaker.passes("invoice made, after commit") {
                Ok(invoice)
            } else {
                Err(TreasuryError::BrokenOff("invoice made, after commit"))
            };
            if let Some(invoice) = self.bear(told) {
                return invoice;
            }
        }
        panic!("no answer to an order");
    }

    async fn pay_in(&mut self) {
        if self.dice.below(3) == 0 {
            let n = u8::try_from(1 + self.dice.below(CUSTOMERS)).unwrap();
            let invoice = self.ask_invoice(n).await;
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
        *self.rig.breaker.later.lock().unwrap() = None;
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
            people::approve_all(&self.rig.treasury).await;
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

    async fn came(&self) -> Came {
        let mut came = Came { asked: self.payouts.len(), ..Came::default() };
        for id in self.payouts.iter().filter_map(|asked| asked.id) {
            match self.rig.treasury.approvers(id).await.unwrap().len() {
                0 => {}
                1 => came.looked_at += 1,
                _ => came.by_two += 1,
            }
        }
        came
    }
}

async fn run(store: Store, seed: u64) -> Came {
    let mut history = History::begin(store, seed).await;
    for _ in 0..50 {
        history.step().await;
    }
    history.settle().await;
    history.judge().await;
    history.came().await
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
    let mut all = Came::default();
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
            Ok(came) => {
                all.asked += came.asked;
                all.looked_at += came.looked_at;
                all.by_two += came.by_two;
            }
            Err(cause) => {
                eprintln!("failed with GRUVE_FAULT_SEED={seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    let Came { asked, looked_at, by_two } = all;
    println!(
        "seeds {seeds:?}: {asked} payouts, each paid once or refused; {looked_at} were approved by one person, \
         {by_two} by two"
    );
    let is_few = seeds.end - seeds.start < 10;
    assert!(is_few || looked_at.min(by_two) > 0, "the histories asked for nothing that waits");
}

#[test]
fn whatever_breaks_every_account_payout_is_paid_once_or_refused() {
    each_seed(20, false);
}

#[test]
fn the_same_holds_for_account_payouts_on_postgres() {
    each_seed(3, true);
}
