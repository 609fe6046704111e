//! A database restored from an older backup: whatever the house paid since, it does not pay again.
//!
//! The backup is taken, the house pays, and the backup is read into an empty database, which goes on over the
//! same chain. Who was paid how often is asked of the chain.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, CONFIRMATIONS, House, stranger};
use gruve_ledger::AccountKind;
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_store::{Store, transfer};
use gruve_treasury::{CrashPoints, Lock, PayoutState, Purpose, SweepPolicy, TreasuryError};
use gruve_units::PayoutId;
use std::sync::Arc;
use std::time::Duration;

const COIN: i64 = 1_000_000;

async fn backup(house: &House) -> Vec<u8> {
    let mut out = Vec::new();
    let mut tx = house.store.read().await.unwrap();
    transfer::export(&mut tx, &mut out).await.unwrap();
    out
}

struct Lives {
    house: House,
    on_postgres: bool,
    dir: TestDir,
}

async fn open(on_postgres: bool, dir: &TestDir) -> Store {
    if on_postgres { postgres().await } else { sqlite(dir.path()).await }
}

impl Lives {
    async fn begin(on_postgres: bool) -> Lives {
        let dir = TestDir::new();
        let house = House::new(open(on_postgres, &dir).await, 1).await;
        house.fill(&[5 * COIN, 7 * COIN]).await;
        house.top_up(1, 20 * COIN).await;
        Lives { house, on_postgres, dir }
    }

    /// The next life begins with what the backup says.
    async fn restore(&mut self, backup: &[u8]) {
        let dir = TestDir::new();
        let store = open(self.on_postgres, &dir).await;
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        transfer::import(&mut tx, &mut std::io::Cursor::new(backup)).await.unwrap();
        tx.commit().await.unwrap();
        std::mem::replace(&mut self.house.store, store).close().await;
        self.dir = dir;
        self.house.restart();
    }

    async fn live_on(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.house.clock.advance(Duration::from_secs(601));
            self.house.payer.step().await.unwrap();
            self.house.mine(1).await;
        }
    }

    async fn unexplained(&self) -> String {
        let locks = self.house.treasury.payout_locks(ASSET).await.unwrap();
        match &locks[..] {
            [Lock::Unexplained { txid, .. } | Lock::Paid { txid, .. }] => txid.clone(),
            _ => panic!("{locks:?}"),
        }
    }

    async fn state(&self, id: PayoutId) -> PayoutState {
        self.house.payout(id).await.state
    }

    fn times_paid(&self, n: u32) -> usize {
        self.house.chain.payments_to(&stranger(n).1).len()
    }

    /// Explains what stands unexplained, and sees that the books are as if nothing had been forgotten.
    async fn explain_all(&mut self, id: PayoutId) {
        let txid = self.unexplained().await;
        let explained = self.house.treasury.explain(ASSET, &txid, "somebody").await.unwrap();
        assert_eq!(explained.payouts, [id]);
        assert_eq!(self.state(id).await, PayoutState::Confirmed);
        self.house.check().await;
        for kind in [AccountKind::Loss, AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
            assert_eq!(self.house.total(kind).await, 0, "{kind}");
        }
        let next = self.house.request(1, COIN, &stranger(2).0).await.unwrap();
        self.live_on(2).await;
        assert_eq!(self.state(next).await, PayoutState::Confirmed);
        assert_eq!((self.times_paid(1), self.times_paid(2)), (1, 1));
    }
}

async fn what_was_paid_since_the_backup_is_not_paid_again(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(1), 1);
    // Given out and paid in the life that is forgotten.
    let lost = lives.house.invoice(2, COIN, Purpose::TopUp).await;
    lives.house.pay(&lost.address, COIN);
    lives.house.mine(1).await;

    lives.restore(&backup).await;
    lives.live_on(4).await;
    assert_eq!(lives.times_paid(1), 1, "paid again");
    assert_eq!(lives.state(id).await, PayoutState::Approved);
    // Nor can it be taken back and asked for anew.
    let cancelled = lives.house.treasury.cancel_payout(fake::account(1), id).await;
    assert!(matches!(cancelled, Err(TreasuryError::TooLate { .. })), "{cancelled:?}");
    // It stays so over a restart.
    lives.house.restart();
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(1), 1, "paid again");

    // Nobody else gets the address, and what came to it waits for a person.
    let other = lives.house.invoice(3, COIN, Purpose::TopUp).await;
    assert_ne!(other.address, lost.address);
    lives.explain_all(id).await;
    assert_eq!(lives.house.total(AccountKind::UnmatchedReceipts).await, COIN);
}

async fn what_waits_for_a_block_since_the_backup_is_not_paid_again(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    lives.house.payer.step().await.unwrap();
    assert_eq!(lives.house.chain.waiting(), 1);

    lives.restore(&backup).await;
    lives.house.node.set_rate(Some(3_000));
    lives.house.payer.step().await.unwrap();
    lives.house.payer.step().await.unwrap();
    assert_eq!(lives.state(id).await, PayoutState::Approved);
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    assert!(matches!(locks[..], [Lock::Doubted { .. }]), "{locks:?}");
    lives.live_on(3).await;
    lives.explain_all(id).await;
}

/// Given out and not paid in the life that is forgotten, then one that is; gives the coin that came to it.
async fn give_out(lives: &Lives, unpaid: u8, value: i64) -> ([u8; 32], u32) {
    for n in 0..unpaid {
        lives.house.invoice(2 + n / 40, COIN, Purpose::TopUp).await;
    }
    // The largest coin, which is chosen first.
    let paid = lives.house.invoice(9, value, Purpose::TopUp).await;
    let txid = lives.house.pay(&paid.address, value);
    lives.house.mine(CONFIRMATIONS).await;
    (txid, 0)
}

async fn thirty_unpaid_invoices_since_the_backup_hide_no_payout(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    let coin = give_out(&lives, 30, 30 * COIN).await;
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(1), 1);
    assert!(!lives.house.chain.is_unspent(&coin), "another coin was chosen");

    lives.restore(&backup).await;
    lives.live_on(4).await;
    assert_eq!((lives.times_paid(1), lives.state(id).await), (1, PayoutState::Approved));
    lives.explain_all(id).await;
    assert_eq!(lives.house.total(AccountKind::UnmatchedReceipts).await, 30 * COIN);
}

async fn a_payout_from_coins_that_nobody_watches_is_not_paid_again(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    let coin = give_out(&lives, 80, 30 * COIN).await;
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(1), 1);
    assert!(!lives.house.chain.is_unspent(&coin), "another coin was chosen");

    lives.restore(&backup).await;
    lives.live_on(4).await;
    assert_eq!((lives.times_paid(1), lives.state(id).await), (1, PayoutState::Approved));
    lives.explain_all(id).await;
    // Whose they were, is forgotten.
    assert_eq!(lives.house.total(AccountKind::UnmatchedReceipts).await, 30 * COIN);
}

async fn what_was_sent_and_is_nowhere_is_not_paid_again(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.policies.behind_max = Some(6);
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    lives.house.payer.step().await.unwrap();
    let txid = lives.house.chain.waiting_ids()[0];
    let bytes = lives.house.chain.waiting_bytes(&txid).unwrap();
    lives.house.chain.forget(&txid);
    for _ in 0..8 {
        lives.house.chain.mine(&[0x51], |_| true);
    }

    lives.restore(&backup).await;
    lives.live_on(2).await;
    // Other coins, so that both could confirm.
    lives.house.fill(&[30 * COIN]).await;
    lives.house.restart();
    lives.live_on(2).await;
    assert_eq!((lives.times_paid(1), lives.house.chain.waiting()), (0, 0), "paid beside it");
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    assert!(matches!(locks[..], [Lock::Held { behind: Some(7..), .. }]), "{locks:?}");
    // Nor can it be taken back and asked for anew.
    let cancelled = lives.house.treasury.cancel_payout(fake::account(1), id).await;
    assert!(matches!(cancelled, Err(TreasuryError::TooLate { .. })), "{cancelled:?}");

    lives.house.chain.send(&bytes);
    lives.live_on(2).await;
    assert!(lives.house.treasury.resume_payouts(ASSET, "somebody").await.unwrap());
    assert!(!lives.house.treasury.resume_payouts(ASSET, "somebody").await.unwrap());
    lives.explain_all(id).await;
}

async fn a_stop_holds_up_only_what_was_approved_long_before(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.policies.behind_max = Some(6);
    // Hours, with nothing that waits.
    for _ in 0..20 {
        lives.house.chain.mine(&[0x51], |_| true);
    }
    lives.house.restart();
    lives.house.payer.step().await.unwrap();
    // Nor does what is asked for while the house catches up.
    let early = lives.house.request(1, COIN, &stranger(3).0).await.unwrap();
    lives.live_on(2).await;
    assert_eq!(lives.house.treasury.payout_locks(ASSET).await.unwrap(), []);
    assert_eq!(lives.state(early).await, PayoutState::Confirmed);
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    // Minutes, with one that waits.
    for _ in 0..5 {
        lives.house.chain.mine(&[0x51], |_| true);
    }
    lives.house.restart();
    lives.live_on(3).await;
    assert_eq!(lives.state(id).await, PayoutState::Confirmed);
    // Whoever knows that it is an older backup says so, however little is missing.
    lives.house.treasury.hold_for_a_person(ASSET).await.unwrap();
    let held = lives.house.request(1, COIN, &stranger(2).0).await.unwrap();
    lives.house.restart();
    lives.live_on(3).await;
    assert_eq!(lives.state(held).await, PayoutState::Approved);
    lives.house.treasury.resume_payouts(ASSET, "somebody").await.unwrap();
    lives.live_on(2).await;
    assert_eq!(lives.state(held).await, PayoutState::Confirmed);
}

async fn who_pays_an_own_payout_during_a_stop_holds_up_nobody_elses(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.top_up(2, 20 * COIN).await;
    lives.house.top_up(3, 20 * COIN).await;
    // One that is planned together with another's, and one like it.
    lives.house.treasury.break_off_with(Arc::new(Planned));
    let own = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let planned = lives.house.request(2, 2 * COIN, &stranger(2).0).await.unwrap();
    assert!(lives.house.payer.step().await.is_err());
    let like = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let later = lives.house.request(3, COIN, &stranger(3).0).await.unwrap();
    lives.house.pay(&stranger(1).0, 3 * COIN);
    lives.house.chain.mine(&[0x51], |_| true);

    lives.house.restart();
    lives.live_on(4).await;
    for (id, state) in [
        (own, PayoutState::Approved),
        (like, PayoutState::Approved),
        (planned, PayoutState::Confirmed),
        (later, PayoutState::Confirmed),
    ] {
        assert_eq!(lives.state(id).await, state);
    }
    let paid = [1, 2, 3].map(|n| lives.times_paid(n));
    assert_eq!(paid, [1, 1, 1], "the first by somebody");
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Paid { txid, payouts: 2, .. }] = &locks[..] else { panic!("{locks:?}") };
    // It may have been made: neither is taken back and asked for anew, over restarts.
    lives.house.restart();
    lives.live_on(2).await;
    for id in [own, like] {
        let cancelled = lives.house.treasury.cancel_payout(fake::account(1), id).await;
        assert!(matches!(cancelled, Err(TreasuryError::TooLate { .. })), "{cancelled:?}");
        assert!(lives.house.payout(id).await.reason.unwrap().contains("somebody has looked"));
    }
    assert_eq!(lives.times_paid(1), 1);
    lives.house.treasury.accept_loss(ASSET, txid, "somebody").await.unwrap();
    lives.live_on(3).await;
    assert_eq!(lives.state(own).await, PayoutState::Confirmed);
    assert_eq!(lives.state(like).await, PayoutState::Confirmed);
    assert_eq!(lives.times_paid(1), 3);
    lives.house.check().await;
}

/// Breaks off right after a plan is stored.
struct Planned;

impl CrashPoints for Planned {
    fn passes(&self, point: &'static str) -> bool {
        point != "funded, after commit"
    }
}

async fn what_was_planned_or_signed_in_the_backup_confirms_by_itself(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.treasury.break_off_with(Arc::new(Planned));
    let id = lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let error = lives.house.payer.step().await.unwrap_err();
    assert!(matches!(error, TreasuryError::BrokenOff(_)));
    let planned = backup(&lives.house).await;
    lives.house.restart();
    lives.house.payer.step().await.unwrap();
    let signed = backup(&lives.house).await;
    // Signed again in the life that is forgotten, with another fee.
    lives.house.node.set_rate(Some(3_900));
    lives.house.clock.advance(Duration::from_secs(601));
    lives.house.payer.step().await.unwrap();
    lives.house.mine(1).await;
    let paid = lives.house.chain.payments_to(&stranger(1).1)[0];

    for backup in [planned, signed] {
        lives.restore(&backup).await;
        lives.live_on(2).await;
        assert_eq!(lives.state(id).await, PayoutState::Confirmed);
        assert_eq!(lives.house.treasury.payout_locks(ASSET).await.unwrap(), []);
        assert_eq!(lives.times_paid(1), 1);
        let payout = lives.house.payout(id).await;
        let fees = lives.house.total(AccountKind::NetworkFees).await.abs();
        assert_eq!(fees + payout.fee.unwrap().minor, lives.house.chain.fee_of(&paid.0));
        assert_eq!(lives.house.total(AccountKind::Loss).await, 0);
    }
}

async fn a_sweep_of_a_forgotten_life_is_explained_too(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let (address, script) = stranger(77);
    let (above, keep) = (20 * COIN, 15 * COIN);
    lives.house.policies.sweep = Some(SweepPolicy { address, script, above, keep });
    let backup = backup(&lives.house).await;
    lives.house.restart();
    lives.live_on(CONFIRMATIONS + 1).await;
    assert_eq!(lives.times_paid(77), 1);
    lives.restore(&backup).await;
    lives.house.payer.step().await.unwrap();
    lives.house.follow().await;
    lives.live_on(1).await;
    let txid = lives.unexplained().await;
    let explained = lives.house.treasury.explain(ASSET, &txid, "somebody").await.unwrap();
    assert!(explained.swept > 16 * COIN);
    assert_eq!(lives.house.total(AccountKind::ChainCold).await.abs(), explained.swept);
    assert_eq!(lives.house.total(AccountKind::Loss).await, 0);
    lives.live_on(CONFIRMATIONS + 1).await;
    assert_eq!(lives.times_paid(77), 1, "what is left is below the cap");
}

macro_rules! on_both {
    ($($claim:ident / $postgres:ident),* $(,)?) => {$(
        mod $postgres {
            #[tokio::test]
            async fn on_sqlite() {
                super::$claim(false).await;
            }
            #[tokio::test]
            async fn on_postgres() {
                super::$claim(true).await;
            }
        }
    )*};
}

on_both! {
    what_was_paid_since_the_backup_is_not_paid_again / paid_since_the_backup,
    what_waits_for_a_block_since_the_backup_is_not_paid_again / waiting_since_the_backup,
    what_was_planned_or_signed_in_the_backup_confirms_by_itself / begun_in_the_backup,
    a_sweep_of_a_forgotten_life_is_explained_too / swept_since_the_backup,
    thirty_unpaid_invoices_since_the_backup_hide_no_payout / many_invoices_since_the_backup,
    a_payout_from_coins_that_nobody_watches_is_not_paid_again / unwatched_since_the_backup,
    what_was_sent_and_is_nowhere_is_not_paid_again / sent_and_nowhere,
    a_stop_holds_up_only_what_was_approved_long_before / stopped,
    who_pays_an_own_payout_during_a_stop_holds_up_nobody_elses / paid_by_somebody,
}

#[path = "restored/asked.rs"]
mod asked;
#[path = "restored/lost.rs"]
mod lost;
#[path = "restored/numbers.rs"]
mod numbers;
