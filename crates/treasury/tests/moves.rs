//! What leaves the hot wallet beside payouts, and transactions signed again with a higher fee, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, CONFIRMATIONS, House, stranger};
use gruve_ledger::{Account, AccountKind, Entry, post};
use gruve_store::{Store, transact};
use gruve_treasury::{GatherPolicy, Lock, PayoutState, Rate, SweepPolicy, TreasuryError};
use gruve_units::Timestamp;
use std::time::Duration;

gruve_store::laws! { moves: [
    what_is_above_the_cap_goes_to_the_cold_address_once,
    nothing_is_moved_while_a_person_has_to_look,
    a_sweep_keeps_what_pending_payouts_need,
    a_sweep_that_leaves_the_chain_is_cold_no_more,
    small_coins_become_one_while_fees_are_low,
    a_payout_that_waits_is_signed_again_and_paid_once,
    whichever_form_confirms_the_books_have_its_fee,
    a_higher_fee_is_never_above_the_ceiling,
    a_form_that_left_the_chain_makes_the_next_pay_no_more_than_asked,
    a_higher_fee_waits_until_the_books_have_it_free,
    a_higher_fee_of_a_sweep_waits_until_the_books_have_it_free,
]}

const COIN: i64 = 1_000_000;
const COLD: u32 = 77;

fn sweep(above: i64, keep: i64) -> SweepPolicy {
    let (address, script) = stranger(COLD);
    SweepPolicy { address, script, above, keep }
}

fn cold_on_chain(house: &House) -> i64 {
    house.chain.payments_to(&stranger(COLD).1).iter().map(|p| p.1).sum()
}

async fn what_is_above_the_cap_goes_to_the_cold_address_once(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.sweep = Some(sweep(10 * COIN, 4 * COIN));
    house.restart();
    house.fill(&[5 * COIN, 4 * COIN]).await;
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.waiting(), 0, "below the cap nothing moves");
    house.fill(&[3 * COIN]).await;
    house.payer.step().await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.waiting(), 1);
    house.restart();
    house.payer.step().await.unwrap();
    assert_eq!(house.balance(Account::ChainCold).await, 0, "not before a block has it");
    house.mine(CONFIRMATIONS + 1).await;
    house.payer.step().await.unwrap();
    house.mine(1).await;
    let cold = cold_on_chain(&house);
    assert_eq!(house.balance(Account::ChainCold).await, cold);
    let fees = house.balance(Account::NetworkFees).await;
    assert_eq!(house.balance(Account::ChainHot).await, 12 * COIN - cold - fees);
    assert_eq!(cold + fees, 8 * COIN, "what it leaves is what was asked to stay");
    assert_eq!(house.total(AccountKind::Loss).await, 0);
}

async fn nothing_is_moved_while_a_person_has_to_look(store: Store) {
    let mut house = House::new(store, 1).await;
    house.fill(&[5 * COIN, 4 * COIN, 3 * COIN]).await;
    let coin = {
        let mut tx = house.store.read().await.unwrap();
        let row = tx.fetch_one("SELECT txid, vout FROM treasury_utxos ORDER BY value LIMIT 1", &[]);
        let row = row.await.unwrap();
        (row.get("txid").unwrap(), row.get("vout").unwrap())
    };
    // Somebody else has the keys, or this database is old.
    house.chain.steal(coin);
    house.mine(1).await;
    house.policies.sweep = Some(sweep(6 * COIN, COIN));
    house.restart();
    house.payer.step().await.unwrap();
    let planned = house.treasury.open_transactions(ASSET).await.unwrap();
    assert_eq!((planned, house.chain.waiting()), (vec![], 0));
    let locks = house.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    house.treasury.accept_loss(ASSET, txid, "somebody").await.unwrap();
    house.payer.step().await.unwrap();
    house.mine(1).await;
    assert!(cold_on_chain(&house) > 7 * COIN);
}

async fn a_sweep_keeps_what_pending_payouts_need(store: Store) {
    let mut house = House::new(store, 1).await;
    house.top_up(1, 20 * COIN).await;
    // It waits for a person.
    let id = house.request(1, 15 * COIN, &stranger(1).0).await.unwrap();
    house.policies.sweep = Some(sweep(2 * COIN, COIN));
    house.restart();
    house.payer.step().await.unwrap();
    house.mine(CONFIRMATIONS).await;
    let cold = cold_on_chain(&house);
    assert!(cold > 3 * COIN && cold < 4 * COIN, "{cold}");
    house.treasury.approve_payout(id, "somebody").await.unwrap();
    house.payer.step().await.unwrap();
    house.mine(1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
}

async fn a_sweep_that_leaves_the_chain_is_cold_no_more(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.sweep = Some(sweep(COIN, 0));
    house.restart();
    house.fill(&[5 * COIN]).await;
    house.payer.step().await.unwrap();
    house.mine(1).await;
    let cold = cold_on_chain(&house);
    assert_eq!(house.balance(Account::ChainCold).await, cold);
    house.chain.rewind(1);
    house.chain.mine(&[0x51], |_| false);
    house.chain.mine(&[0x51], |_| false);
    house.follow().await;
    house.check().await;
    assert_eq!(house.balance(Account::ChainCold).await, 0);
    house.payer.step().await.unwrap();
    house.mine(1).await;
    assert_eq!((house.balance(Account::ChainCold).await, cold_on_chain(&house)), (cold, cold));
}

async fn small_coins_become_one_while_fees_are_low(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.gather = Some(GatherPolicy { coins_min: 6, rate_max: Rate(1_500) });
    house.restart();
    house.fill(&[COIN / 10; 8]).await;
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.waiting(), 0, "fees are not low");
    house.node.set_rate(Some(1_000));
    house.payer.step().await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!((house.chain.waiting(), house.chain.waiting_inputs().len()), (1, 8));
    house.mine(CONFIRMATIONS).await;
    let fees = house.balance(Account::NetworkFees).await;
    assert!(fees > 0);
    assert_eq!(house.balance(Account::ChainHot).await, 8 * (COIN / 10) - fees);
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.waiting(), 0, "one coin is enough");
}

/// A payout on its way, and fees that have risen since.
async fn waiting(store: Store, rate: i64) -> (House, gruve_units::PayoutId) {
    let house = House::new(store, 1).await;
    house.top_up(1, 9 * COIN).await;
    house.fill(&[5 * COIN]).await;
    let id = house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    house.node.set_rate(Some(rate));
    house.payer.step().await.unwrap();
    (house, id)
}

async fn a_payout_that_waits_is_signed_again_and_paid_once(store: Store) {
    let (house, id) = waiting(store, 9_000).await;
    let script = stranger(1).1;
    let first = house.chain.ids_paying(&script);
    let quoted = house.payout(id).await;
    house.clock.advance(Duration::from_secs(599));
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.ids_paying(&script), first, "not due");
    house.clock.advance(Duration::from_secs(2));
    house.payer.step().await.unwrap();
    let second = house.chain.ids_paying(&script);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "replaced");
    house.mine(1).await;
    let payout = house.payout(id).await;
    assert_eq!((payout.state, payout.fee), (PayoutState::Confirmed, quoted.fee));
    let paid = house.chain.payments_to(&script);
    assert_eq!(paid.iter().map(|p| p.1).collect::<Vec<_>>(), [payout.receives().unwrap().minor]);
    // What was added is the operator's.
    let added = house.chain.fee_of(&paid[0].0) - payout.fee.unwrap().minor;
    assert!(added > 0);
    assert_eq!(house.balance(Account::NetworkFees).await, added);
}

async fn whichever_form_confirms_the_books_have_its_fee(store: Store) {
    let (house, id) = waiting(store, 9_000).await;
    let script = stranger(1).1;
    // The node that mines never hears of the second form.
    house.node.fail_nth(None);
    house.clock.advance(Duration::from_secs(601));
    house.node.fail_nth(Some((2, 0)));
    let _ = house.payer.step().await;
    house.node.fail_nth(None);
    let first = *house.chain.ids_paying(&script).first().unwrap();
    house.mine(1).await;
    let payout = house.payout(id).await;
    assert_eq!(payout.state, PayoutState::Confirmed);
    assert_eq!(house.chain.payments_to(&script)[0].0, first);
    let operator = house.balance(Account::NetworkFees).await;
    assert_eq!(operator + payout.fee.unwrap().minor, house.chain.fee_of(&first));
    assert_eq!(house.treasury.payout_locks(ASSET).await.unwrap(), []);
}

async fn a_higher_fee_is_never_above_the_ceiling(store: Store) {
    let (house, id) = waiting(store, i64::MAX / 4).await;
    for _ in 0..20 {
        house.clock.advance(Duration::from_secs(601));
        house.payer.step().await.unwrap();
    }
    house.mine(1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
    let paid = house.chain.payments_to(&stranger(1).1)[0].0;
    let ceiling = fake::params().fees.ceiling;
    // A payment with one or two inputs is below 250 virtual bytes.
    assert!(house.chain.fee_of(&paid) <= ceiling / 4, "{}", house.chain.fee_of(&paid));
}

async fn a_form_that_left_the_chain_makes_the_next_pay_no_more_than_asked(store: Store) {
    let (house, id) = waiting(store, 9_000).await;
    let script = stranger(1).1;
    let first = *house.chain.ids_paying(&script).first().unwrap();
    // The second form is signed and never reaches whoever mines.
    house.node.fail_nth(None);
    house.clock.advance(Duration::from_secs(601));
    house.node.fail_nth(Some((2, 0)));
    let _ = house.payer.step().await;
    house.node.fail_nth(None);
    house.mine(1).await;
    assert_eq!(house.chain.payments_to(&script)[0].0, first);
    // A reorganisation takes the first form out, and fees rise once more.
    house.chain.rewind(1);
    house.chain.forget(&first);
    house.chain.mine(&house.coinbase_script(), |_| true);
    house.chain.mine(&house.coinbase_script(), |_| true);
    house.follow().await;
    assert_eq!(house.payout(id).await.state, PayoutState::Broadcast);
    house.node.set_rate(Some(20_000));
    house.clock.advance(Duration::from_secs(601));
    house.payer.step().await.unwrap();
    house.mine(1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
    let paid = house.chain.payments_to(&script)[0].0;
    // At most 20 a virtual byte, of which a payment with one input and change has below 145.
    assert!(house.chain.fee_of(&paid) <= 20 * 145, "{}", house.chain.fee_of(&paid));
}

/// Coins of the hot account that no entry has matured, though the chain would let them be spent; below zero they are.
async fn not_matured(house: &House, minor: i64) {
    let (hot, maturing) = (Account::ChainHot, Account::ChainMaturing);
    let (debit, credit) = if minor > 0 { (maturing, hot) } else { (hot, maturing) };
    let entry = Entry::transfer(
        format!("test:not-matured:{minor}"),
        "test",
        Timestamp(0),
        debit,
        credit,
        fake::sat(minor.abs()),
    );
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        post(tx, &entry).await?;
        Ok(())
    })
    .unwrap();
}

/// Whatever waits to `to` is signed again only when the hot account has, beside `promised`, what that costs.
async fn waits_for_what_is_free(house: &House, to: u32, promised: i64) {
    let script = stranger(to).1;
    let first = house.chain.ids_paying(&script);
    assert_eq!(first.len(), 1);
    let away = house.balance(Account::ChainHot).await - promised - 100;
    not_matured(house, away).await;
    house.clock.advance(Duration::from_secs(601));
    house.payer.step().await.unwrap();
    assert_eq!(
        house.chain.ids_paying(&script),
        first,
        "the account could not bear its confirmation"
    );
    not_matured(house, -away).await;
    house.payer.step().await.unwrap();
    let second = house.chain.ids_paying(&script);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    house.mine(1).await;
    assert_eq!(house.chain.payments_to(&script).len(), 1);
}

async fn a_higher_fee_waits_until_the_books_have_it_free(store: Store) {
    let (house, id) = waiting(store, 9_000).await;
    waits_for_what_is_free(&house, 1, 3 * COIN).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
}

async fn a_higher_fee_of_a_sweep_waits_until_the_books_have_it_free(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.sweep = Some(sweep(2 * COIN, COIN));
    house.restart();
    house.fill(&[5 * COIN]).await;
    house.payer.step().await.unwrap();
    house.node.set_rate(Some(9_000));
    // What it moves, with its fee.
    waits_for_what_is_free(&house, COLD, 4 * COIN).await;
    assert_eq!(house.balance(Account::ChainCold).await, cold_on_chain(&house));
}
