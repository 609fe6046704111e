//! Thousands of small histories in which the process is killed at every border between two steps,
//! the node loses, delays, repeats and denies, and blocks are taken back. Afterwards the chain in
//! memory, which knows nothing of the books, says who was paid how often.
//!
//! In half of them payouts wait for people, who approve, refuse, or are the second who must; there the blocks come
//! through the real follower, whose questions to the node go wrong as well.
//!
//! A history is a seed. `GRUVE_FAULT_SEED=<n>` runs one of them alone, `GRUVE_FAULT_RUNS=<n>` that
//! many from the first, `GRUVE_LONG=1` thousands; a failure names its seed.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::chain::Dice;
use fake::people;
use fake::{ASSET, CONFIRMATIONS, HOUR, House, account, contract, sat, stranger};
use gruve_chain::FollowError;
use gruve_chain::follow::Progress;
use gruve_ledger::{Account, AccountKind};
use gruve_store::Store;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_treasury::{
    CrashPoints, GatherPolicy, Invoice, InvoiceState, NewPayout, Payer, PayoutState, Purpose, Rate,
    SweepPolicy, TreasuryError,
};
use gruve_units::{Blame, Blamed, InvoiceId, PayoutId};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Breaks off at a point now and then.
struct Breaker {
    dice: Mutex<Option<Dice>>,
    /// For the points that came later, where the history has them.
    later: Mutex<Option<Dice>>,
}

impl CrashPoints for Breaker {
    fn passes(&self, point: &'static str) -> bool {
        let dice = if people::is_later(point) { &self.later } else { &self.dice };
        !dice.lock().unwrap().as_mut().is_some_and(|d| d.chance(12))
    }
}

struct Asked {
    key: String,
    account: u8,
    amount: i64,
    to: u32,
    id: Option<PayoutId>,
}

struct History {
    house: House,
    dice: Dice,
    breaker: Arc<Breaker>,
    invoices: Vec<(InvoiceId, u8, Vec<u8>, i64)>,
    payouts: Vec<Asked>,
    /// Whether payments that a reorganisation took back may never come again.
    vanishing: bool,
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

const CUSTOMERS: u64 = 3;

/// Up to what payouts leave without a look at them, and above what in a day they take two people.
const LOOKS: (i64, i64) = (60_000, 400_000);

/// More than all customers together can have: what the operator brings back from the cold address.
const REFILL: i64 = 100_000_000;

/// The number of the operator's cold address.
const COLD: u32 = 4_000_000;

fn script_of(invoice: &Invoice) -> Vec<u8> {
    gruve_chain::script_for_address(&fake::params(), &invoice.address).unwrap()
}

impl History {
    async fn begin(store: Store, seed: u64) -> History {
        let mut dice = Dice(seed);
        let mut house = House::new(store, seed).await;
        let capital = house.treasury.capital_address(ASSET).unwrap();
        let mut invoices = Vec::new();
        for _ in 0..1 + dice.below(3) {
            house.pay(&capital, 200_000 + i64::try_from(dice.below(3_000_000)).unwrap());
        }
        for n in 1..=u8::try_from(CUSTOMERS).unwrap() {
            let minor = 100_000 + i64::try_from(dice.below(900_000)).unwrap();
            let invoice = house.top_up(n, minor).await;
            let script = script_of(&invoice);
            invoices.push((invoice.id, n, script, minor));
        }
        if dice.chance(30) {
            let (address, script) = stranger(COLD);
            let (above, keep) = (1_500_000, 700_000);
            house.policies.sweep = Some(SweepPolicy { address, script, above, keep });
        }
        if dice.chance(30) {
            house.policies.gather = Some(GatherPolicy { coins_min: 5, rate_max: Rate(2_000) });
        }
        let mut people = people::looks_on(seed).then(|| Dice(people::beside(seed)));
        let later = people.as_mut().map(|p| Dice(p.roll()));
        house.policies.looks = people.is_some().then_some(LOOKS);
        let breaker =
            Breaker { dice: Mutex::new(Some(Dice(dice.roll()))), later: Mutex::new(later) };
        let breaker = Arc::new(breaker);
        house.restart();
        house.break_off_with(breaker.clone());
        house.node.set_faults(Some(Dice(dice.roll())));
        let vanishing = dice.chance(20);
        let payouts = Vec::new();
        History { house, dice, breaker, invoices, payouts, vanishing, people }
    }

    /// What a kill leaves behind: the database.
    fn kill(&mut self) {
        self.house.restart();
        self.house.break_off_with(self.breaker.clone());
    }

    /// An error may only be the kill itself, or trouble that passes.
    fn bear<T>(&mut self, outcome: Result<T, TreasuryError>) -> Option<T> {
        match outcome {
            Ok(v) => Some(v),
            Err(e) => {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                if matches!(e, TreasuryError::BrokenOff(_)) {
                    self.kill();
                }
                None
            }
        }
    }

    fn sum(&mut self, most: u64) -> i64 {
        i64::try_from(self.dice.below(most)).unwrap()
    }

    async fn step(&mut self) {
        self.people_look().await;
        match self.dice.below(100) {
            0..12 => self.make_invoice().await,
            12..26 => self.pay_invoice(),
            26..44 => self.ask_payout().await,
            44..48 => self.cancel().await,
            48..62 => self.pay_out().await,
            62..80 => self.mine(1),
            80..85 => self.reorganise(),
            85..95 => self.follow().await,
            95..97 => self.house.node.deliver_late(),
            97 => self.house.clock.advance(Duration::from_secs(700)),
            98 => {
                // Fees rise and fall: what waits is signed again, or not.
                let rate = [Some(1_000), Some(2_000), Some(3_900), None];
                self.house.node.set_rate(rate[usize::try_from(self.dice.below(4)).unwrap()]);
                self.house.clock.advance(Duration::from_secs(601));
            }
            _ => self.kill(),
        }
    }

    /// Now and then somebody looks at what waits, or a customer takes back what was asked for earlier.
    async fn people_look(&mut self) {
        let Some(mut dice) = self.people.clone() else { return };
        let outcome = match dice.below(100) {
            0..35 => people::look(&self.house.treasury, &mut |n| dice.below(n)).await,
            35..39 if !self.payouts.is_empty() => {
                let at = usize::try_from(dice.below(self.payouts.len() as u64)).unwrap();
                let asked = &self.payouts[at];
                match asked.id {
                    Some(id) => self.house.treasury.cancel_payout(account(asked.account), id).await,
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        };
        self.people = Some(dice);
        match outcome {
            Err(TreasuryError::TooLate { .. }) => {}
            other => drop(self.bear(other)),
        }
    }

    /// As a shop does: asks again until it is told of one. What it was not told of, nobody pays.
    async fn ask_invoice(&mut self, n: u8, minor: i64, purpose: Purpose) -> Invoice {
        for _ in 0..50 {
            let made = self.house.ask_invoice(n, sat(minor), purpose).await;
            let Some(invoice) = self.bear(made) else { continue };
            let told = if self.breaker.passes("invoice made, after commit") {
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

    async fn make_invoice(&mut self) {
        let n = u8::try_from(1 + self.dice.below(CUSTOMERS)).unwrap();
        let purpose = if self.dice.chance(50) {
            Purpose::TopUp
        } else {
            Purpose::Contract(contract(u8::try_from(self.invoices.len()).unwrap()))
        };
        let minor = 20_000 + self.sum(400_000);
        let invoice = self.ask_invoice(n, minor, purpose).await;
        let script = script_of(&invoice);
        self.invoices.push((invoice.id, n, script, minor));
    }

    fn pay_invoice(&mut self) {
        if self.invoices.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.invoices.len() as u64)).unwrap();
        let minor = self.invoices[at].3;
        let paid = match self.dice.below(4) {
            0 => 1_000 + self.sum(minor.cast_unsigned()),
            1 => minor + self.sum(50_000),
            _ => minor,
        };
        let script = self.invoices[at].2.clone();
        self.house.chain.pay(&script, paid);
    }

    async fn ask_payout(&mut self) {
        let n = u8::try_from(1 + self.dice.below(CUSTOMERS)).unwrap();
        let all = self.house.available(n).await;
        if all < 10_000 {
            return;
        }
        let amount = 6_000 + self.sum((all - 6_000).cast_unsigned() + 1);
        let number = u32::try_from(self.payouts.len()).unwrap();
        let key = format!("ask-{number}");
        self.payouts.push(Asked { key, account: n, amount, to: number, id: None });
        self.ask_again(self.payouts.len() - 1).await;
    }

    /// Asks with the same key until there is an answer, as a customer's program does.
    async fn ask_again(&mut self, at: usize) {
        for _ in 0..50 {
            let asked = &self.payouts[at];
            let new = NewPayout {
                account: account(asked.account),
                amount: sat(asked.amount),
                address: stranger(asked.to).0,
                request_key: Some(asked.key.clone()),
            };
            match self.house.treasury.request_payout(new).await {
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
        match self.house.treasury.cancel_payout(account(asked.account), id).await {
            Err(TreasuryError::TooLate { .. }) => {}
            other => drop(self.bear(other)),
        }
    }

    async fn pay_out(&mut self) {
        let outcome = if self.dice.chance(15) {
            // Two payers at once, as when a leader is slow to notice that it is none any more.
            let second = Payer::new(self.house.treasury.clone());
            let (one, two) = tokio::join!(self.house.payer.step(), second.step());
            let _ = self.bear(two);
            one
        } else {
            self.house.payer.step().await
        };
        self.bear(outcome);
    }

    fn mine(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.house.farm = self.dice.chance(15);
            let script = self.house.coinbase_script();
            let dice = &mut self.dice;
            self.house.chain.mine(&script, |_| dice.chance(75));
        }
    }

    fn reorganise(&mut self) {
        let depth = (1 + self.dice.below(6)).min(self.house.chain.height() - 1);
        self.house.chain.rewind(depth);
        if self.vanishing && self.dice.chance(50) {
            let invoices = &self.invoices;
            for (_, _, script, _) in invoices {
                for txid in self.house.chain.ids_waiting_for(script) {
                    if self.dice.chance(30) {
                        self.house.chain.forget(&txid);
                    }
                }
            }
        }
        self.mine(depth + 1);
    }

    /// Through the real follower, which asks the node; an answer that is lost ends it for this time.
    async fn follow_by_asking(&mut self) {
        loop {
            let outcome = match self.house.follower.step().await {
                Ok(Progress::UpToDate(_) | Progress::NodeBehind { .. }) => return,
                Ok(_) => Ok(()),
                Err(e) => Err(e),
            };
            if let Err(e) = outcome {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                let FollowError::Sink(_) = e else { return };
                self.kill();
            }
            self.check_chain_and_books().await;
        }
    }

    async fn follow(&mut self) {
        if self.people.is_some() {
            return self.follow_by_asking().await;
        }
        let mut dice = Dice(self.dice.roll());
        loop {
            let more = self.house.follow_one(&mut || dice.chance(10)).await;
            match self.bear(more) {
                Some(true) => {}
                Some(false) => break,
                None => continue,
            }
            self.check_chain_and_books().await;
        }
    }

    async fn check_chain_and_books(&self) {
        self.house.check_coins().await;
    }

    /// Nothing fails any more; everything comes to its end.
    async fn settle(&mut self) {
        *self.breaker.dice.lock().unwrap() = None;
        *self.breaker.later.lock().unwrap() = None;
        self.house.node.set_faults(None);
        self.house.node.set_rate(Some(2_000));
        self.kill();
        for at in 0..self.payouts.len() {
            if self.payouts[at].id.is_none() {
                self.ask_again(at).await;
            }
        }
        if self.house.policies.sweep.is_some() {
            // What was swept before customers asked for it, the operator must bring back.
            let capital = self.house.treasury.capital_address(ASSET).unwrap();
            self.house.pay(&capital, REFILL);
        }
        for _ in 0..40 {
            self.house.node.deliver_late();
            self.house.clock.advance(Duration::from_secs(601));
            self.house.chain.mine(&[0x51], |_| true);
            self.house.follow().await;
            people::approve_all(&self.house.treasury).await;
            self.house.payer.step().await.unwrap();
        }
        if self.vanishing {
            self.refuse_the_rest().await;
        }
        self.house.clock.advance(HOUR * 3);
        self.house.mine(CONFIRMATIONS + 2).await;
        self.house.payer.step().await.unwrap();
        self.house.check().await;
    }

    /// What cannot be paid, because the coins for it have vanished, the operator refuses.
    async fn refuse_the_rest(&self) {
        for asked in &self.payouts {
            let Some(id) = asked.id else { continue };
            if !self.house.payout(id).await.state.is_final() {
                self.house.treasury.refuse_payout(id, "its coins have vanished").await.unwrap();
            }
        }
    }

    async fn judge(&mut self) {
        let chain = self.house.chain.clone();
        let mut paid_out = vec![0; usize::try_from(CUSTOMERS).unwrap() + 1];
        for asked in &self.payouts {
            let payments = chain.payments_to(&stranger(asked.to).1);
            assert!(payments.len() <= 1, "paid twice: {payments:?}");
            let Some(id) = asked.id else {
                assert!(payments.is_empty(), "paid what was refused");
                continue;
            };
            let payout = self.house.payout(id).await;
            match payout.state {
                PayoutState::Confirmed => {
                    let received = payments.first().map(|p| p.1);
                    assert_eq!(received, payout.receives().map(|a| a.minor));
                    assert!(payout.fee.unwrap().minor <= payout.fee_max.minor);
                    paid_out[usize::from(asked.account)] += asked.amount;
                }
                PayoutState::Cancelled | PayoutState::Refused => assert!(payments.is_empty()),
                other => panic!("a payout ended as {other}: {payout:?}"),
            }
        }
        for kind in [AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
            assert_eq!(self.house.total(kind).await, 0, "{kind}");
        }
        let cold: i64 = chain.payments_to(&stranger(COLD).1).iter().map(|p| p.1).sum();
        assert_eq!(
            self.house.balance(Account::ChainCold).await,
            cold,
            "cold on the chain and in books"
        );
        let lost = self.house.total(AccountKind::Loss).await;
        assert!(lost == 0 || self.vanishing, "lost: {lost}");
        assert_eq!(self.house.total(AccountKind::UnmatchedReceipts).await, 0);
        let mut received = vec![0; paid_out.len()];
        let mut bought = vec![0; paid_out.len()];
        for (id, n, script, minor) in &self.invoices {
            let payments: i64 = chain.payments_to(script).iter().map(|p| p.1).sum();
            received[usize::from(*n)] += payments;
            let invoice = self.house.look(*id).await;
            assert_eq!(invoice.confirmed.minor, payments);
            assert!(!invoice.state.is_open(), "{:?}", invoice.state);
            if let Purpose::Contract(contract) = invoice.purpose {
                let prepaid = self.house.balance(Account::PrepaidWork(contract)).await;
                let confirmed = invoice.state == InvoiceState::Confirmed;
                assert_eq!(prepaid, if confirmed { *minor } else { 0 });
                bought[usize::from(*n)] += prepaid;
            }
        }
        let mut beyond = 0;
        for n in 1..=CUSTOMERS {
            let (at, n) = (usize::try_from(n).unwrap(), u8::try_from(n).unwrap());
            let expected = received[at] - bought[at] - paid_out[at];
            let available = self.house.available(n).await;
            beyond += available - expected;
            assert!(available == expected || self.vanishing, "customer {n}");
            assert!(available >= expected, "customer {n} has lost {expected} - {available}");
        }
        assert_eq!(beyond, lost.abs(), "what vanished after it was spent is the house's loss");
    }

    async fn came(&self) -> Came {
        let mut came = Came { asked: self.payouts.len(), ..Came::default() };
        for id in self.payouts.iter().filter_map(|asked| asked.id) {
            match self.house.treasury.approvers(id).await.unwrap().len() {
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
    for _ in 0..60 {
        history.step().await;
    }
    history.settle().await;
    history.judge().await;
    history.came().await
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|v| v.parse::<u64>().unwrap());
    match number("GRUVE_FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let is_long = std::env::var_os("GRUVE_LONG").is_some();
            0..number("GRUVE_FAULT_RUNS").unwrap_or(if is_long { usual * 50 } else { usual })
        }
    }
}

fn each_seed(usual: u64, on_postgres: bool) {
    // One thread: what runs beside each other still takes turns, and nothing is handed from thread to thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut all = Came::default();
    let seeds = seeds(usual);
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
fn whatever_breaks_every_payout_is_paid_once_or_refused_and_every_receipt_credited_once() {
    each_seed(60, false);
}

#[test]
fn the_same_holds_on_postgres() {
    each_seed(6, true);
}
