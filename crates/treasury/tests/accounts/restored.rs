//! A database of an account chain restored from an older backup does not pay again, and what is above the
//! hot address's cap goes to the cold one once.

use crate::rig::{ASSET, COIN, CONFIRMATIONS, Rig, account, stranger};
use gruve_ledger::{Account, AccountKind};
use gruve_store::testing::{TestDir, postgres, sqlite};
use gruve_store::{Store, transfer};
use gruve_treasury::{Lock, PayoutState, Recipients, SweepPolicy, TreasuryError};
use gruve_units::Duration;

async fn open(on_postgres: bool, dir: &TestDir) -> Store {
    if on_postgres { postgres().await } else { sqlite(dir.path()).await }
}

async fn backup(rig: &Rig) -> Vec<u8> {
    let mut out = Vec::new();
    let mut tx = rig.store.read().await.unwrap();
    transfer::export(&mut tx, &mut out).await.unwrap();
    out
}

async fn restore(rig: &mut Rig, backup: &[u8], on_postgres: bool) -> TestDir {
    let dir = TestDir::new();
    let store = open(on_postgres, &dir).await;
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    transfer::import(&mut tx, &mut std::io::Cursor::new(backup)).await.unwrap();
    tx.commit().await.unwrap();
    rig.move_to(store).await;
    dir
}

async fn what_was_paid_since_the_backup_is_not_paid_again(on_postgres: bool) {
    let dir = TestDir::new();
    let mut rig = Rig::rich(open(on_postgres, &dir).await).await;
    let (to, again) = (stranger(7), stranger(8));
    let id = rig.request(1, COIN, &to.to_string()).await.unwrap();
    let backup = backup(&rig).await;
    rig.payer.step().await.unwrap();

    // Still without a block: the nonce is taken at the node.
    let _first = restore(&mut rig, &backup, on_postgres).await;
    let error = rig.payer.step().await.unwrap_err();
    assert!(matches!(error, TreasuryError::Nonces { .. }), "{error}");
    rig.mine(1).await;
    let paid = rig.on_chain(&to);
    assert!(paid > 0);
    for _ in 0..3 {
        rig.clock.advance(Duration::from_secs(601));
        rig.payer.step().await.unwrap();
        rig.mine(1).await;
    }
    assert_eq!(rig.on_chain(&to), paid, "paid again");
    assert_eq!(rig.payout(id).await.state, PayoutState::Approved);
    rig.restart();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.on_chain(&to), paid, "paid again");

    let locks = rig.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    let explained = rig.treasury.explain(ASSET, txid, "somebody").await.unwrap();
    assert_eq!(explained.payouts, [id]);
    let payout = rig.payout(id).await;
    assert_eq!(payout.state, PayoutState::Confirmed);
    assert_eq!(payout.receives().unwrap().minor, paid);
    rig.check().await;
    for kind in [AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
        assert_eq!(rig.total(kind).await, 0, "{kind}");
    }
    // The forgotten life also moved the pay-in to the hot address: its fee is all that it cost.
    assert_eq!(rig.total(AccountKind::Loss).await, 21_000);
    let next = rig.request(1, COIN, &again.to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.payout(next).await.state, PayoutState::Confirmed);
    // What was explained is undone and done again with its block, like any other.
    rig.chain.take_back(6).unwrap();
    rig.mine(7).await;
    assert_eq!(rig.payout(id).await.state, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&to), paid);
}

#[tokio::test]
async fn an_older_backup_does_not_pay_again() {
    what_was_paid_since_the_backup_is_not_paid_again(false).await;
}

#[tokio::test]
async fn an_older_backup_does_not_pay_again_on_postgres() {
    what_was_paid_since_the_backup_is_not_paid_again(true).await;
}

async fn what_was_asked_for_since_the_backup_is_booked_as_its_customers(on_postgres: bool) {
    let dir = TestDir::new();
    let mut rig = Rig::rich(open(on_postgres, &dir).await).await;
    let to = stranger(7);
    let backup = backup(&rig).await;
    rig.request(1, 4 * COIN, &to.to_string()).await.unwrap();
    // Given out, and not paid yet: more than are watched usually.
    let mut given = Vec::new();
    for _ in 0..30 {
        given.push(rig.invoice(1, COIN).await.address);
    }
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    let paid = rig.on_chain(&to);
    let _second = restore(&mut rig, &backup, on_postgres).await;
    rig.payer.step().await.unwrap();
    assert_eq!(rig.available(1).await, 20 * COIN, "as if nothing had been paid");
    let locks = rig.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    let told = rig.treasury.unexplained_payments(ASSET, txid).await.unwrap();
    assert_eq!((told.len(), &told[0].address, told[0].amount.minor), (1, &to.to_string(), paid));
    let plain = rig.treasury.explain(ASSET, txid, "somebody").await;
    assert!(matches!(plain, Err(TreasuryError::Unexplained)), "{plain:?}");
    // However it is written.
    let whose = Recipients::from([(to.to_string().to_lowercase(), account(1))]);
    let explained = rig.treasury.explain_as(ASSET, txid, &whose, "somebody").await.unwrap();
    assert_eq!(rig.payout(explained.payouts[0]).await.state, PayoutState::Confirmed);
    assert_eq!(rig.available(1).await, 20 * COIN - paid);
    rig.check().await;
    // What comes to an address of those waits for a person, and nobody else gets one.
    rig.pay(&given[29], COIN);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.total(AccountKind::UnmatchedReceipts).await, COIN);
    let other = rig.invoice(2, COIN).await;
    assert!(!given.contains(&other.address));
    rig.chain.take_back(6).unwrap();
    rig.mine(7).await;
    assert_eq!((rig.on_chain(&to), rig.available(1).await), (paid, 20 * COIN - paid));
}

#[tokio::test]
async fn what_was_asked_for_since_the_backup_is_booked() {
    what_was_asked_for_since_the_backup_is_booked_as_its_customers(false).await;
}

#[tokio::test]
async fn what_was_asked_for_since_the_backup_is_booked_on_postgres() {
    what_was_asked_for_since_the_backup_is_booked_as_its_customers(true).await;
}

async fn a_start_far_behind_the_chain_waits_for_a_person(on_postgres: bool) {
    let dir = TestDir::new();
    let mut rig = Rig::rich(open(on_postgres, &dir).await).await;
    rig.behind_max = Some(6);
    rig.restart();
    rig.payer.step().await.unwrap();
    // Hours, with nothing that waits; and what is asked for while the house catches up.
    rig.chain.mine(20).unwrap();
    rig.restart();
    rig.payer.step().await.unwrap();
    let early = rig.request(1, COIN, &stranger(6).to_string()).await.unwrap();
    rig.mine(1).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.payout(early).await.state, PayoutState::Confirmed);
    // Minutes, with one that waits.
    let short = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.chain.mine(5).unwrap();
    rig.restart();
    rig.follow().await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.payout(short).await.state, PayoutState::Confirmed);
    // Hours, with one that waits: in the life that is forgotten it may have been sent, and stand in no block.
    let id = rig.request(1, COIN, &stranger(8).to_string()).await.unwrap();
    rig.chain.mine(8).unwrap();
    for _ in 0..2 {
        rig.restart();
        rig.follow().await;
        rig.payer.step().await.unwrap();
        rig.mine(1).await;
        assert_eq!(rig.payout(id).await.state, PayoutState::Approved);
        let locks = rig.treasury.payout_locks(ASSET).await.unwrap();
        assert!(matches!(locks[..], [Lock::Held { behind: Some(7..), .. }]), "{locks:?}");
    }
    assert_eq!(rig.on_chain(&stranger(8)), 0);
    assert!(rig.treasury.resume_payouts(ASSET, "somebody").await.unwrap());
    // The word stands, whatever blocks come.
    rig.mine(8).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.payout(id).await.state, PayoutState::Confirmed);
}

#[tokio::test]
async fn payouts_of_long_ago_wait_for_a_person() {
    a_start_far_behind_the_chain_waits_for_a_person(false).await;
}

#[tokio::test]
async fn payouts_of_long_ago_wait_for_a_person_on_postgres() {
    a_start_far_behind_the_chain_waits_for_a_person(true).await;
}

async fn what_is_above_the_cap_goes_to_the_cold_address(on_postgres: bool) {
    let dir = TestDir::new();
    let mut rig = Rig::rich(open(on_postgres, &dir).await).await;
    let cold = stranger(77);
    let (above, keep) = (50 * COIN, 30 * COIN);
    let (address, script) = (cold.to_string(), cold.0.to_vec());
    rig.sweep = Some(SweepPolicy { address, script, above, keep });
    rig.restart();
    rig.payer.step().await.unwrap();
    rig.restart();
    rig.payer.step().await.unwrap();
    rig.mine(CONFIRMATIONS + 1).await;
    let moved = rig.on_chain(&cold);
    assert!(moved > 69 * COIN && moved < 91 * COIN, "{moved}");
    assert_eq!(rig.balance(Account::ChainCold).await, moved);
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.on_chain(&cold), moved, "below the cap nothing moves");
    rig.chain.take_back(6).unwrap();
    rig.mine(7).await;
    assert_eq!((rig.on_chain(&cold), rig.balance(Account::ChainCold).await), (moved, moved));
    assert_eq!(rig.total(AccountKind::Loss).await, 0);
}

#[tokio::test]
async fn the_hot_address_is_held_to_its_cap() {
    what_is_above_the_cap_goes_to_the_cold_address(false).await;
}

#[tokio::test]
async fn the_hot_address_is_held_to_its_cap_on_postgres() {
    what_is_above_the_cap_goes_to_the_cold_address(true).await;
}
