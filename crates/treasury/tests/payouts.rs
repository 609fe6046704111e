//! What payouts promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;
#[path = "payouts/held.rs"]
mod held;
#[path = "payouts/locked.rs"]
mod locked;

use fake::{ASSET, CONFIRMATIONS, House, REORG_LIMIT, account, sat, stranger};
use gruve_chain::Node;
use gruve_ledger::{AccountKind, LedgerError};
use gruve_store::testing::run_raw;
use gruve_store::{Engine, Store};
use gruve_treasury::{
    Lock, NewPayout, PayoutState, PlacedPayout, REQUEST_KEY_BYTES_MAX, TreasuryError,
};
use gruve_units::{Blame, Blamed as _, PayoutId};
use held::{
    a_held_payout_can_be_taken_back_to_its_last_moment,
    a_held_payout_is_not_said_to_wait_for_coins_before_its_time,
    a_held_payout_is_paid_when_its_time_has_come_and_holds_up_no_other,
};
use locked::{
    a_life_signs_nothing_before_it_has_followed_every_block,
    an_address_that_is_no_longer_the_payouts_own_is_not_paid,
    nothing_is_signed_at_a_higher_fee_while_a_person_has_to_look,
    what_spends_another_coin_besides_is_not_the_payout,
    what_was_planned_before_a_lock_is_signed_when_a_person_has_looked,
};
use std::time::Duration;

gruve_store::laws! { payouts: [
    a_payout_is_paid_exactly_and_the_books_follow,
    the_amount_is_held_at_once_and_cannot_be_asked_twice,
    a_request_key_gives_the_same_payout_again,
    a_request_key_that_is_too_long_is_told_so_by_every_way_to_ask,
    bad_requests_are_refused_with_their_reason,
    another_seed_than_the_databases_is_told_before_anything_is_done,
    a_payout_can_be_taken_back_until_it_is_signed,
    a_planned_payout_taken_back_leaves_the_others_to_the_next_transaction,
    a_large_payout_waits_for_approval,
    several_payouts_share_one_transaction_and_its_fee,
    two_transactions_never_spend_the_same_coin,
    a_payout_too_large_for_the_wallet_holds_up_no_other,
    a_payout_waits_while_fees_are_above_its_quote,
    old_payouts_that_wait_for_fees_hold_up_none_behind_them,
    old_payouts_above_all_coins_hold_up_none_behind_them,
    a_page_of_payouts_that_no_choice_pays_for_is_passed_over,
    nothing_is_signed_while_the_chain_is_held_and_what_is_signed_is_sent,
    a_refusing_node_never_makes_a_payout_fail,
    a_restart_sends_the_same_bytes_again,
    a_payout_taken_out_of_the_chain_confirms_again,
    a_coin_spent_by_others_frees_the_payout_only_when_deep,
    unripe_rewards_are_never_spent,
    a_coin_and_the_payout_that_spends_it_may_come_back_in_one_block,
    what_was_planned_before_a_lock_is_signed_when_a_person_has_looked,
    nothing_is_signed_at_a_higher_fee_while_a_person_has_to_look,
    an_address_that_is_no_longer_the_payouts_own_is_not_paid,
    a_life_signs_nothing_before_it_has_followed_every_block,
    what_spends_another_coin_besides_is_not_the_payout,
    a_held_payout_is_paid_when_its_time_has_come_and_holds_up_no_other,
    a_held_payout_can_be_taken_back_to_its_last_moment,
    a_held_payout_is_not_said_to_wait_for_coins_before_its_time,
]}

const COIN: i64 = 1_000_000;

async fn rich(store: Store) -> House {
    let house = House::new(store, 1).await;
    house.top_up(1, 20 * COIN).await;
    house.fill(&[5 * COIN, 7 * COIN]).await;
    house
}

async fn state(house: &House, id: PayoutId) -> PayoutState {
    house.payout(id).await.state
}

async fn pay_out(house: &House) {
    house.payer.step().await.unwrap();
    house.mine(1).await;
}

async fn a_payout_is_paid_exactly_and_the_books_follow(store: Store) {
    let house = rich(store).await;
    let (address, script) = stranger(1);
    let quote = house.treasury.quote_payout(sat(3 * COIN), &address).await.unwrap();
    let id = house.request(1, 3 * COIN, &address).await.unwrap();
    assert_eq!(state(&house, id).await, PayoutState::Approved);
    let done = house.payer.step().await.unwrap();
    assert_eq!((done.signed, done.sent), (1, 1));
    assert_eq!(state(&house, id).await, PayoutState::Broadcast);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 3 * COIN);
    house.mine(1).await;
    let paid = house.payout(id).await;
    assert_eq!(paid.state, PayoutState::Confirmed);
    let fee = paid.fee.unwrap();
    assert!(fee.minor > 0 && fee.minor <= quote.fee_max.minor);
    let payments = house.chain.payments_to(&script);
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0].1, 3 * COIN - fee.minor);
    assert_eq!(payments[0].1, paid.receives().unwrap().minor);
    assert_eq!(paid.txid.unwrap(), gruve_chain::hash_to_text(&payments[0].0));
    assert_eq!(paid.height, Some(payments[0].2));
    assert_eq!(house.available(1).await, 17 * COIN);
    assert_eq!(house.held(1).await, 0);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 0);
    assert_eq!(house.total(AccountKind::NetworkFees).await, 0);
    assert_eq!(house.total(AccountKind::ChainHot).await, 29 * COIN);
}

async fn the_amount_is_held_at_once_and_cannot_be_asked_twice(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, COIN).await;
    let (address, _) = stranger(1);
    house.request(1, 700_000, &address).await.unwrap();
    assert_eq!((house.available(1).await, house.held(1).await), (300_000, 700_000));
    let refused = house.request(1, 700_000, &address).await.unwrap_err();
    assert!(matches!(refused, TreasuryError::Ledger(LedgerError::InsufficientFunds { .. })));
}

async fn a_request_key_gives_the_same_payout_again(store: Store) {
    let house = rich(store).await;
    let new = |minor, key: &str| NewPayout {
        account: account(1),
        amount: sat(minor),
        address: stranger(1).0,
        request_key: Some(key.to_owned()),
    };
    let first = house.treasury.request_payout(new(COIN, "a")).await.unwrap();
    assert_eq!(house.treasury.request_payout(new(COIN, "a")).await.unwrap(), first);
    assert_ne!(house.treasury.request_payout(new(COIN, "b")).await.unwrap(), first);
    let other = house.treasury.request_payout(new(COIN + 1, "a")).await;
    assert!(matches!(other, Err(TreasuryError::KeyReused)));
    assert_eq!(house.held(1).await, 2 * COIN);
}

async fn a_request_key_that_is_too_long_is_told_so_by_every_way_to_ask(store: Store) {
    let house = rich(store).await;
    let new = |bytes| NewPayout {
        account: account(1),
        amount: sat(COIN),
        address: stranger(1).0,
        request_key: Some("k".repeat(bytes)),
    };
    let (longest, longer) = (new(REQUEST_KEY_BYTES_MAX), new(REQUEST_KEY_BYTES_MAX + 1));
    let first = house.treasury.request_payout(longest.clone()).await.unwrap();
    assert_eq!(house.treasury.payout_asked(&longest).await.unwrap(), Some(first));
    let terms = house.treasury.payout_terms(&longest).await.unwrap();
    // Who has terms of another request may still hand in this one.
    let placed = gruve_store::transact!(house.store, tx -> Result<PlacedPayout, TreasuryError> => {
        house.treasury.place_payout(tx, &longer, &terms, None).await
    });
    for told in [
        house.treasury.request_payout(longer.clone()).await.unwrap_err(),
        house.treasury.payout_asked(&longer).await.unwrap_err(),
        house.treasury.payout_terms(&longer).await.unwrap_err(),
        placed.unwrap_err(),
    ] {
        assert!(matches!(told, TreasuryError::KeyTooLong { bytes: 81 }), "{told}");
        assert_eq!(told.blame(), Blame::Rejected);
    }
    assert_eq!(house.held(1).await, COIN);
}

async fn bad_requests_are_refused_with_their_reason(store: Store) {
    let house = rich(store).await;
    let ask = |minor, address: &str| {
        let address = address.to_owned();
        let house = &house;
        async move { house.request(1, minor, &address).await.unwrap_err() }
    };
    let (address, _) = stranger(1);
    assert!(matches!(ask(0, &address).await, TreasuryError::NotPositive));
    assert!(matches!(ask(-5, &address).await, TreasuryError::NotPositive));
    let small = ask(600, &address).await;
    assert!(small.to_string().contains("ask for"), "{small}");
    let TreasuryError::TooSmall { least, .. } = small else { panic!("{small}") };
    house.request(1, least.minor, &address).await.unwrap();
    // Bitcoin's real network, Litecoin, nothing at all.
    for bad in [
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
        "ltc1qcr8te4kr609gcawutmrza0j4xv80jy8zmfp6l0",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "",
        "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
    ] {
        let refused = ask(COIN, bad).await;
        assert!(matches!(refused, TreasuryError::Address { .. }), "{bad}: {refused}");
    }
    // The house's own: its change is public on the chain.
    let change = gruve_treasury::WalletKeys::new(
        &gruve_treasury::Seed::from_bytes([42; 32]),
        fake::ASSET,
        gruve_treasury::ScriptForm::Wpkh,
        false,
    );
    let change = change.unwrap().script(gruve_treasury::Keychain::Change, 3).unwrap();
    let change = gruve_chain::address_for_script(&fake::params(), change.as_bytes()).unwrap();
    let capital = house.treasury.capital_address(fake::ASSET).unwrap();
    for own in [change, capital] {
        assert!(matches!(ask(COIN, &own).await, TreasuryError::OwnAddress), "{own}");
        // Nor where a machine's owner sets one.
        let goes = house.treasury.may_go_to(fake::ASSET, &own).await;
        assert!(matches!(goes, Err(TreasuryError::OwnAddress)), "{own}");
    }
    // A pay-in address is its customer's to be paid at.
    let invoice = house.invoice(2, COIN, gruve_treasury::Purpose::TopUp).await;
    house.request(1, COIN, &invoice.address).await.unwrap();
    let strangers = house.treasury.cancel_payout(account(2), PayoutId::from_bytes([1; 16])).await;
    assert!(matches!(strangers, Err(TreasuryError::NoPayout)));
}

async fn another_seed_than_the_databases_is_told_before_anything_is_done(store: Store) {
    let house = rich(store).await;
    house.treasury.check_keys().await.unwrap();
    let mut config = fake::treasury_config(&house.node);
    config.seed = gruve_treasury::Seed::from_bytes([43; 32]);
    let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
    let other = gruve_treasury::Treasury::new(house.store.clone(), clock, entropy, config).unwrap();
    let told = other.check_keys().await.unwrap_err();
    assert!(matches!(told, TreasuryError::OtherKeys(fake::ASSET)), "{told}");
}

async fn a_payout_can_be_taken_back_until_it_is_signed(store: Store) {
    let house = rich(store).await;
    let (address, script) = stranger(1);
    let early = house.request(1, COIN, &address).await.unwrap();
    let other_customer = house.treasury.cancel_payout(account(2), early).await;
    assert!(matches!(other_customer, Err(TreasuryError::NoPayout)));
    for _ in 0..2 {
        house.treasury.cancel_payout(account(1), early).await.unwrap();
        assert_eq!(house.available(1).await, 20 * COIN);
    }
    let late = house.request(1, COIN, &address).await.unwrap();
    house.payer.step().await.unwrap();
    let refused = house.treasury.cancel_payout(account(1), late).await;
    assert!(matches!(refused, Err(TreasuryError::TooLate { .. })));
    house.mine(1).await;
    assert_eq!(house.chain.payments_to(&script).len(), 1);
    assert_eq!(state(&house, early).await, PayoutState::Cancelled);
    assert_eq!(state(&house, late).await, PayoutState::Confirmed);
    // All of these tests run under a guard that refuses what may not follow.
    if house.store.engine() == Engine::Sqlite {
        let revived = "UPDATE treasury_payouts SET state = 'approved' WHERE state = 'cancelled'";
        let refused = run_raw(&house.store, revived).await.unwrap_err();
        assert!(refused.to_string().contains("a payout may not become so"), "{refused}");
    }
}

/// Lets a payer get as far as the point before it signs.
struct StopAt(&'static str);

impl gruve_treasury::CrashPoints for StopAt {
    fn passes(&self, point: &'static str) -> bool {
        point != self.0
    }
}

async fn a_planned_payout_taken_back_leaves_the_others_to_the_next_transaction(store: Store) {
    let mut house = rich(store).await;
    let first = house.request(1, COIN, &stranger(1).0).await.unwrap();
    let second = house.request(1, 2 * COIN, &stranger(2).0).await.unwrap();
    house.treasury.break_off_with(std::sync::Arc::new(StopAt("signed, before commit")));
    assert!(house.payer.step().await.is_err());
    house.restart();
    assert_eq!(state(&house, first).await, PayoutState::Funded);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 3 * COIN);
    house.treasury.cancel_payout(account(1), first).await.unwrap();
    assert_eq!(state(&house, first).await, PayoutState::Cancelled);
    assert_eq!(state(&house, second).await, PayoutState::Approved);
    assert_eq!((house.available(1).await, house.held(1).await), (18 * COIN, 2 * COIN));
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 0);
    pay_out(&house).await;
    assert_eq!(state(&house, second).await, PayoutState::Confirmed);
    assert!(house.chain.payments_to(&stranger(1).1).is_empty());
    assert_eq!(house.available(1).await, 18 * COIN);
}

async fn a_large_payout_waits_for_approval(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, 11 * COIN, &stranger(1).0).await.unwrap();
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Requested);
    let waiting = house.treasury.payouts_in_state(PayoutState::Requested).await.unwrap();
    assert_eq!(waiting.iter().map(|p| p.id).collect::<Vec<_>>(), [id]);
    house.treasury.approve_payout(id, "anna").await.unwrap();
    house.treasury.approve_payout(id, "anna").await.unwrap();
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    let other = house.request(1, 8 * COIN, &stranger(2).0).await.unwrap();
    house.treasury.refuse_payout(other, "call us, please").await.unwrap();
    assert_eq!(house.available(1).await, 9 * COIN);
    assert_eq!(house.payout(other).await.reason.unwrap(), "call us, please");
    let late = house.treasury.approve_payout(other, "anna").await;
    assert!(matches!(late, Err(TreasuryError::TooLate { .. })));
}

async fn nothing_is_signed_while_the_chain_is_held_and_what_is_signed_is_sent(store: Store) {
    let house = rich(store).await;
    let before = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    house.treasury.hold_payouts(ASSET, true);
    let during = house.request(1, COIN, &stranger(2).0).await.unwrap();
    house.clock.advance(Duration::from_secs(3600));
    let done = house.payer.step().await.unwrap();
    assert_eq!((done.signed, done.sent), (0, 1), "the one that was signed is sent again");
    assert_eq!(state(&house, during).await, PayoutState::Approved);
    house.mine(1).await;
    assert_eq!(state(&house, before).await, PayoutState::Confirmed);

    house.treasury.hold_payouts(ASSET, false);
    pay_out(&house).await;
    assert_eq!(state(&house, during).await, PayoutState::Confirmed);
}

async fn several_payouts_share_one_transaction_and_its_fee(store: Store) {
    let house = rich(store).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(house.request(1, COIN, &stranger(n).0).await.unwrap());
    }
    let alone = house.treasury.quote_payout(sat(COIN), &stranger(9).0).await.unwrap();
    pay_out(&house).await;
    let mut txids = std::collections::BTreeSet::new();
    for id in ids {
        let payout = house.payout(id).await;
        assert_eq!(payout.state, PayoutState::Confirmed);
        txids.insert(payout.txid.unwrap());
        assert!(payout.fee.unwrap().minor * 3 < alone.fee_max.minor);
    }
    assert_eq!(txids.len(), 1);
}

async fn two_transactions_never_spend_the_same_coin(store: Store) {
    let house = rich(store).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(house.request(1, 4 * COIN, &stranger(n).0).await.unwrap());
        house.payer.step().await.unwrap();
    }
    let txids: std::collections::BTreeSet<_> =
        (0..3).flat_map(|n| house.chain.ids_paying(&stranger(n).1)).collect();
    assert_eq!(txids.len(), 3);
    house.mine(1).await;
    for id in ids {
        assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    }
    let mut tx = house.store.read().await.unwrap();
    let held = house.treasury.wallet_balance(&mut tx, ASSET).await.unwrap();
    assert_eq!(held.reserved.minor, 0);
    // The change waits for its confirmations.
    assert!(held.pending.minor > 0 && held.spendable.minor + held.pending.minor == 20 * COIN);
}

async fn a_payout_too_large_for_the_wallet_holds_up_no_other(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 9 * COIN).await;
    // The wallet's one coin goes out and its change waits: only then ask.
    let first = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.fill(&[3 * COIN]).await;
    house.payer.step().await.unwrap();
    let large = house.request(1, 7 * COIN, &stranger(2).0).await.unwrap();
    let small = house.request(1, COIN, &stranger(3).0).await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, large).await, PayoutState::Approved);
    assert!(house.payout(large).await.reason.unwrap().contains("waits for coins"));
    assert_eq!(state(&house, small).await, PayoutState::Broadcast);
    house.mine(CONFIRMATIONS).await;
    pay_out(&house).await;
    for id in [first, large, small] {
        assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    }
    assert!(house.payout(large).await.reason.is_none());
}

async fn a_payout_waits_while_fees_are_above_its_quote(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.node.set_rate(Some(100_000));
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Approved);
    assert!(house.payout(id).await.reason.unwrap().contains("fees"));
    house.node.set_rate(Some(3_500));
    pay_out(&house).await;
    let paid = house.payout(id).await;
    assert_eq!(paid.state, PayoutState::Confirmed);
    assert!(paid.fee.unwrap().minor <= paid.fee_max.minor);
    // No estimate at all: the fallback, and never above the ceiling.
    house.node.set_rate(None);
    let quote = house.treasury.quote_payout(sat(COIN), &stranger(1).0).await.unwrap();
    house.node.set_rate(Some(i64::MAX));
    let dear = house.treasury.quote_payout(sat(COIN), &stranger(1).0).await.unwrap();
    assert!(quote.fee_max.minor < dear.fee_max.minor && dear.fee_max.minor < 200_000);
}

/// More payouts than a transaction takes, of three customers.
async fn sixty(house: &House, minor: i64) -> Vec<PayoutId> {
    let mut ids = Vec::new();
    for n in 0..60 {
        let account = u8::try_from(1 + n / 20).unwrap();
        ids.push(house.request(account, minor, &stranger(n).0).await.unwrap());
    }
    // Whatever comes next is behind them.
    house.clock.advance(Duration::from_secs(1));
    ids
}

async fn all_wait(house: &House, ids: Vec<PayoutId>, reason: &str) {
    for id in ids {
        let waits = house.payout(id).await;
        assert_eq!(waits.state, PayoutState::Approved);
        assert!(waits.reason.unwrap().contains(reason));
    }
}

async fn old_payouts_that_wait_for_fees_hold_up_none_behind_them(store: Store) {
    let house = House::new(store, 1).await;
    for n in 1..=4 {
        house.top_up(n, 3 * COIN).await;
    }
    let old = sixty(&house, COIN / 10).await;
    house.node.set_rate(Some(20_000));
    let new = house.request(4, COIN, &stranger(500).0).await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, new).await, PayoutState::Broadcast);
    all_wait(&house, old, "fees").await;
}

/// Three customers whose coins were stolen and who ask for them all the same; a fourth, whose half
/// coin is there, asks after them.
async fn behind_too_large_ones(store: Store, large: i64) {
    let house = House::new(store, 1).await;
    house.node.set_rate(Some(6_000));
    for n in 1..=3 {
        let invoice = house.invoice(n, 60 * COIN, gruve_treasury::Purpose::TopUp).await;
        let txid = house.pay(&invoice.address, 60 * COIN);
        house.mine(CONFIRMATIONS).await;
        house.chain.steal((txid, 0));
        house.mine(1).await;
    }
    for lock in house.treasury.payout_locks(ASSET).await.unwrap() {
        let Lock::Unexplained { txid, .. } = lock else { panic!("{lock:?}") };
        house.treasury.accept_loss(ASSET, &txid, "somebody").await.unwrap();
    }
    house.top_up(4, COIN / 2).await;
    // Not worth its own fee.
    house.fill(&[300]).await;
    let old = sixty(&house, large).await;
    let new = house.request(4, COIN / 4, &stranger(500).0).await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, new).await, PayoutState::Broadcast);
    all_wait(&house, old, "coins").await;
}

async fn old_payouts_above_all_coins_hold_up_none_behind_them(store: Store) {
    behind_too_large_ones(store, COIN).await;
}

async fn a_page_of_payouts_that_no_choice_pays_for_is_passed_over(store: Store) {
    behind_too_large_ones(store, COIN / 2 + 100).await;
}

async fn a_refusing_node_never_makes_a_payout_fail(store: Store) {
    let house = rich(store).await;
    house.payer.step().await.unwrap();
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    // A branch where our coins do not exist: the node refuses for missing inputs.
    house.chain.rewind(house.chain.height());
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, id).await, PayoutState::Signed);
    assert_eq!(house.held(1).await, 0);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, COIN);
    house.mine(CONFIRMATIONS + 6).await;
    assert_eq!(state(&house, id).await, PayoutState::Signed);
    let open = house.treasury.open_transactions(ASSET).await.unwrap();
    assert!(open[0].last_answer.as_ref().unwrap().contains("missingorspent"));
    assert!(!open[0].needs_a_look(), "its coins are in the chain again");
    house.clock.advance(Duration::from_secs(601));
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    assert_eq!(house.chain.payments_to(&stranger(1).1).len(), 1);
}

async fn a_restart_sends_the_same_bytes_again(store: Store) {
    let mut house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    let first = house.chain.ids_paying(&stranger(1).1);
    assert_eq!(first.len(), 1);
    house.chain.forget(first.first().unwrap());
    assert!(house.chain.ids_paying(&stranger(1).1).is_empty());
    assert_eq!(house.payer.step().await.unwrap().sent, 0, "not yet due");
    house.restart();
    assert_eq!(house.payer.step().await.unwrap().sent, 1);
    assert_eq!(house.chain.ids_paying(&stranger(1).1), first);
    house.chain.forget(first.first().unwrap());
    house.clock.advance(Duration::from_secs(601));
    assert_eq!(house.payer.step().await.unwrap().sent, 1);
    house.mine(1).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    house.restart();
    assert_eq!(house.payer.step().await.unwrap().sent, 0);
}

async fn a_payout_taken_out_of_the_chain_confirms_again(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    pay_out(&house).await;
    house.chain.rewind(1);
    house.chain.mine(&[0x51], |_| false);
    house.chain.mine(&[0x51], |_| false);
    house.follow().await;
    house.check().await;
    assert_eq!(state(&house, id).await, PayoutState::Broadcast);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, COIN);
    house.mine(1).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 0);
    assert_eq!(house.chain.payments_to(&stranger(1).1).len(), 1);
}

async fn a_coin_spent_by_others_frees_the_payout_only_when_deep(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    let spent = house.chain.waiting_inputs();
    house.chain.steal(spent[0]);
    house.mine(1).await;
    let lost = house.total(AccountKind::Loss).await;
    assert!(lost > 0);
    let open = house.treasury.open_transactions(ASSET).await.unwrap();
    assert_eq!((open.len(), open[0].payouts), (1, 1));
    assert!(open[0].needs_a_look());
    for _ in 1..REORG_LIMIT {
        assert_eq!(state(&house, id).await, PayoutState::Broadcast);
        house.payer.step().await.unwrap();
        house.mine(1).await;
    }
    house.mine(1).await;
    assert_eq!(state(&house, id).await, PayoutState::Approved);
    // Whoever has spent it has the keys, or this database is old: a person looks first.
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Approved);
    let locks = house.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, spent, .. }] = &locks[..] else { panic!("{locks:?}") };
    assert_eq!(spent.minor, lost);
    let explained = house.treasury.explain(ASSET, txid, "somebody").await;
    assert!(matches!(explained, Err(TreasuryError::Unexplained)));
    house.treasury.accept_loss(ASSET, txid, "somebody").await.unwrap();
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    assert_eq!(house.chain.payments_to(&stranger(1).1).len(), 1);
    assert_eq!(house.total(AccountKind::PayoutsInFlight).await, 0);
    assert_eq!(house.total(AccountKind::Loss).await, lost);
}

async fn unripe_rewards_are_never_spent(store: Store) {
    let mut house = House::new(store, 1).await;
    house.top_up(1, COIN).await;
    // The customer's own coin is the wallet's only other one: send it away first.
    let id = house.request(1, COIN / 2, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    house.farm = true;
    house.mine(1).await;
    house.farm = false;
    let next = house.request(1, COIN / 4, &stranger(2).0).await.unwrap();
    // Change and reward both wait.
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    assert_eq!(state(&house, next).await, PayoutState::Approved);
    house.mine(CONFIRMATIONS - 1).await;
    pay_out(&house).await;
    assert_eq!(state(&house, next).await, PayoutState::Confirmed);
    let tip = house.node.tip().await.unwrap();
    assert_eq!(tip.height, house.chain.height());
}

async fn a_coin_and_the_payout_that_spends_it_may_come_back_in_one_block(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 5 * COIN).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    pay_out(&house).await;
    house.chain.rewind(house.chain.height());
    house.mine(2).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    // What he has spent of a payment that is not deep again yet.
    assert_eq!(house.total(AccountKind::Loss).await, COIN);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(house.total(AccountKind::Loss).await, 0);
    assert_eq!(house.available(1).await, 4 * COIN);
    house.chain.rewind(house.chain.height());
    house.mine(REORG_LIMIT * 2).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
    assert_eq!(house.available(1).await, 4 * COIN);
    assert_eq!(house.chain.payments_to(&stranger(1).1).len(), 1);
}
