//! What invoices promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{CONFIRMATIONS, HOUR, House, account, contract, sat};
use gruve_ledger::{Account, AccountKind};
use gruve_store::{Store, transact};
use gruve_treasury::{DepthStep, Invoice, InvoiceState, NewInvoice, Purpose, TreasuryError};
use gruve_units::Amount;
use std::collections::BTreeSet;
use std::time::Duration;

gruve_store::laws! { invoices: [
    a_payment_is_credited_when_it_is_deep_enough,
    a_large_pay_in_waits_for_more_blocks_in_parts_too,
    a_contract_is_paid_once_and_the_excess_is_the_customers,
    an_underpayment_is_held_until_expiry_and_then_the_customers,
    a_late_or_repeated_payment_goes_to_the_balance,
    an_invoice_does_not_expire_while_its_amount_stands_in_blocks,
    a_refused_payment_stays_in_the_balance,
    a_payment_taken_back_before_it_is_confirmed_leaves_no_trace,
    a_payment_taken_back_and_mined_again_is_credited_once,
    what_a_customer_spent_before_it_was_taken_back_is_the_operators_loss,
    payments_to_other_scripts_of_ours_are_kept_in_named_accounts,
    every_invoice_has_its_own_address,
    a_customer_has_a_bounded_number_of_open_invoices,
    rewards_are_named_to_the_market_and_ripen,
    a_block_out_of_order_is_refused_and_the_newest_twice_does_nothing,
    blocks_enough_for_the_followers_limit_are_known_after_any_number_of_reorganisations,
    every_statement_prepares,
]}

const PRICE: i64 = 1_000_000;

async fn state(house: &House, invoice: &Invoice) -> InvoiceState {
    house.look(invoice.id).await.state
}

async fn a_payment_is_credited_when_it_is_deep_enough(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    assert_eq!(invoice.state, InvoiceState::New);
    assert_eq!(invoice.uri(), format!("bitcoin:{}?amount=0.01", invoice.address));
    house.pay(&invoice.address, PRICE / 2);
    house.mine(1).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Seen);
    house.pay(&invoice.address, PRICE / 2);
    house.mine(1).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Paid);
    assert_eq!(house.available(1).await, 0);
    assert_eq!(house.balance(Account::UnmatchedReceipts).await, PRICE);
    house.mine(CONFIRMATIONS - 2).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Paid);
    assert_eq!(house.available(1).await, PRICE / 2);
    house.mine(1).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Confirmed);
    assert_eq!(house.available(1).await, PRICE);
    assert_eq!(house.balance(Account::UnmatchedReceipts).await, 0);
}

async fn a_large_pay_in_waits_for_more_blocks_in_parts_too(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.depths = vec![DepthStep { from: 5 * PRICE, confirmations: CONFIRMATIONS + 4 }];
    house.restart();
    // Small ones wait as ever, also when others' large ones stand beside them.
    let small = house.invoice(1, PRICE, Purpose::TopUp).await;
    let large = house.invoice(2, 5 * PRICE, Purpose::TopUp).await;
    let (first, second) = (
        house.invoice(3, 3 * PRICE, Purpose::TopUp).await,
        house.invoice(3, 2 * PRICE, Purpose::TopUp).await,
    );
    for invoice in [&small, &large, &first, &second] {
        house.pay(&invoice.address, invoice.amount.minor);
    }
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &small).await, InvoiceState::Confirmed);
    assert_eq!(state(&house, &large).await, InvoiceState::Paid);
    // Of the parts one comes first in the block: it alone is small.
    let parts = async || {
        [state(&house, &first).await, state(&house, &second).await]
            .iter()
            .filter(|s| **s == InvoiceState::Confirmed)
            .count()
    };
    assert_eq!(parts().await, 1);
    house.mine(3).await;
    assert_eq!((state(&house, &large).await, parts().await), (InvoiceState::Paid, 1));
    house.mine(1).await;
    assert_eq!((state(&house, &large).await, parts().await), (InvoiceState::Confirmed, 2));
    // A payment that a reorganisation moves to another block is judged anew there.
    let again = house.invoice(2, 5 * PRICE, Purpose::TopUp).await;
    house.pay(&again.address, 5 * PRICE);
    house.mine(2).await;
    house.chain.rewind(2);
    house.mine(CONFIRMATIONS + 3).await;
    assert_eq!(state(&house, &again).await, InvoiceState::Paid);
    house.mine(1).await;
    assert_eq!(state(&house, &again).await, InvoiceState::Confirmed);
}

async fn a_contract_is_paid_once_and_the_excess_is_the_customers(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&invoice.address, PRICE + 5_000);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Confirmed);
    assert_eq!(house.balance(Account::PrepaidWork(contract(9))).await, PRICE);
    assert_eq!((house.available(1).await, house.held(1).await), (5_000, 0));
}

async fn an_underpayment_is_held_until_expiry_and_then_the_customers(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&invoice.address, PRICE - 1);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Underpaid);
    assert_eq!((house.available(1).await, house.held(1).await), (0, PRICE - 1));
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, &invoice).await, InvoiceState::Underpaid);
    house.clock.advance(HOUR + Duration::from_secs(1));
    assert_eq!(house.payer.step().await.unwrap().expired, 1);
    assert_eq!(state(&house, &invoice).await, InvoiceState::Expired);
    assert_eq!((house.available(1).await, house.held(1).await), (PRICE - 1, 0));
    house.pay(&invoice.address, 1_000);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Expired);
    assert_eq!(house.available(1).await, PRICE + 999);
    assert_eq!(house.total(AccountKind::PrepaidWork).await, 0);
}

async fn a_late_or_repeated_payment_goes_to_the_balance(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&invoice.address, PRICE);
    house.mine(CONFIRMATIONS).await;
    house.pay(&invoice.address, PRICE);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(house.available(1).await, PRICE);
    assert_eq!(house.balance(Account::PrepaidWork(contract(9))).await, PRICE);
}

async fn an_invoice_does_not_expire_while_its_amount_stands_in_blocks(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&invoice.address, PRICE);
    house.mine(1).await;
    house.clock.advance(HOUR * 2);
    assert_eq!(house.payer.step().await.unwrap().expired, 0);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Confirmed);
    // And not before the follower has seen what the node has.
    let other = house.invoice(1, PRICE, Purpose::TopUp).await;
    house.pay(&other.address, PRICE);
    house.chain.mine(&[0x51], |_| true);
    house.clock.advance(HOUR * 2);
    assert_eq!(house.payer.step().await.unwrap().expired, 0);
    house.follow().await;
    assert_eq!(state(&house, &other).await, InvoiceState::Paid);
}

async fn a_refused_payment_stays_in_the_balance(store: Store) {
    let house = House::refusing(store).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&invoice.address, PRICE);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::Confirmed);
    assert_eq!(house.available(1).await, PRICE);
    assert_eq!(house.total(AccountKind::PrepaidWork).await, 0);
}

async fn a_payment_taken_back_before_it_is_confirmed_leaves_no_trace(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    let txid = house.pay(&invoice.address, PRICE);
    house.mine(2).await;
    house.chain.rewind(2);
    house.chain.forget(&txid);
    house.mine(5).await;
    assert_eq!(state(&house, &invoice).await, InvoiceState::New);
    assert_eq!(house.available(1).await, 0);
    for kind in [AccountKind::UnmatchedReceipts, AccountKind::ChainHot, AccountKind::Loss] {
        assert_eq!(house.total(kind).await, 0, "{kind}");
    }
}

async fn a_payment_taken_back_and_mined_again_is_credited_once(store: Store) {
    let house = House::new(store, 1).await;
    let topped = house.invoice(1, PRICE, Purpose::TopUp).await;
    let bought = house.invoice(2, PRICE, Purpose::Contract(contract(9))).await;
    house.pay(&topped.address, PRICE);
    house.pay(&bought.address, PRICE + 7);
    house.mine(CONFIRMATIONS + 1).await;
    for depth in [1, 2, 4, 5, 3, 4] {
        house.chain.rewind(depth);
        house.follow().await;
        house.check().await;
        house.mine(CONFIRMATIONS + 3).await;
        assert_eq!(house.available(1).await, PRICE);
        assert_eq!(house.available(2).await, 7);
        assert_eq!(house.balance(Account::PrepaidWork(contract(9))).await, PRICE);
        assert_eq!(house.total(AccountKind::Loss).await, 0);
        assert_eq!(house.total(AccountKind::UnmatchedReceipts).await, 0);
        // Each time the payment lies deeper; take it back to the tip.
        house.chain.rewind(CONFIRMATIONS + 3);
        house.mine(1).await;
        house.mine(CONFIRMATIONS).await;
    }
}

async fn what_a_customer_spent_before_it_was_taken_back_is_the_operators_loss(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(9))).await;
    let txid = house.pay(&invoice.address, PRICE + 400);
    house.mine(CONFIRMATIONS).await;
    let at = house.chain.height();
    house.chain.rewind(CONFIRMATIONS);
    house.chain.forget(&txid);
    house.mine(CONFIRMATIONS + 1).await;
    assert_eq!(house.total(AccountKind::Loss).await, PRICE);
    assert_eq!(house.available(1).await, 0);
    assert_eq!(house.total(AccountKind::PrepaidWork).await, PRICE);
    assert_eq!(state(&house, &invoice).await, InvoiceState::Confirmed);
    // The chain turns again, and the payment is back: the loss is made good, nobody is paid twice.
    let depth = house.chain.height() - at + CONFIRMATIONS;
    house.chain.rewind(depth);
    house.mine(1).await;
    let again = house.chain.pay_again(&invoice_script(&invoice), PRICE + 400, txid);
    assert_eq!(again, txid);
    house.mine(CONFIRMATIONS + 2).await;
    assert_eq!(house.total(AccountKind::Loss).await, 0);
    assert_eq!(house.available(1).await, 400);
    assert_eq!(house.total(AccountKind::PrepaidWork).await, PRICE);
}

fn invoice_script(invoice: &Invoice) -> Vec<u8> {
    gruve_chain::script_for_address(&fake::params(), &invoice.address).unwrap()
}

async fn payments_to_other_scripts_of_ours_are_kept_in_named_accounts(store: Store) {
    let house = House::new(store, 1).await;
    house.pay(&house.treasury.capital_address(fake::ASSET).unwrap(), 70_000);
    house.chain.pay(&house.treasury.coinbase_script(fake::ASSET).unwrap(), 80_000);
    house.mine(1).await;
    assert_eq!(house.total(AccountKind::Capital).await, 70_000);
    assert_eq!(house.total(AccountKind::UnmatchedReceipts).await, 80_000);
    house.chain.rewind(1);
    house.follow().await;
    house.check().await;
    assert_eq!(house.total(AccountKind::ChainHot).await, 0);
    house.mine(1).await;
    assert_eq!(house.total(AccountKind::ChainHot).await, 150_000);
}

async fn every_invoice_has_its_own_address(store: Store) {
    let mut house = House::new(store, 1).await;
    let mut addresses = BTreeSet::new();
    for n in 0..20 {
        if n == 10 {
            house.restart();
        }
        addresses.insert(house.invoice(n, PRICE, Purpose::TopUp).await.address);
    }
    assert_eq!(addresses.len(), 20);
}

async fn a_customer_has_a_bounded_number_of_open_invoices(store: Store) {
    let house = House::new(store, 1).await;
    let make = |minor| NewInvoice {
        account: account(1),
        amount: sat(minor),
        purpose: Purpose::TopUp,
        ttl: HOUR,
    };
    let ask = |new: NewInvoice| {
        let house = &house;
        async move {
            transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
                house.treasury.create_invoice(tx, new).await
            })
        }
    };
    for _ in 0..50 {
        ask(make(PRICE)).await.unwrap();
    }
    assert!(matches!(ask(make(PRICE)).await, Err(TreasuryError::TooMany { limit: 50, .. })));
    house.clock.advance(HOUR * 2);
    house.payer.step().await.unwrap();
    ask(make(PRICE)).await.unwrap();
    assert!(matches!(ask(make(0)).await, Err(TreasuryError::NotPositive)));
    assert!(matches!(ask(make(10)).await, Err(TreasuryError::TooSmall { .. })));
    let mut other = make(PRICE);
    other.amount = Amount::new(gruve_units::Asset::Ltc, PRICE);
    assert!(matches!(ask(other).await, Err(TreasuryError::NoWallet(_))));
}

async fn rewards_are_named_to_the_market_and_ripen(store: Store) {
    let mut house = House::new(store, 1).await;
    house.farm = true;
    house.mine(2).await;
    let reward = 5_000_000_000;
    assert_eq!(house.total(AccountKind::ChainMaturing).await, 2 * reward);
    let mut tx = house.store.read().await.unwrap();
    let held = house.treasury.wallet_balance(&mut tx, fake::ASSET).await.unwrap();
    assert_eq!((held.maturing.minor, held.spendable.minor), (2 * reward, 0));
    drop(tx);
    house.chain.rewind(2);
    house.farm = false;
    house.mine(3).await;
    assert_eq!(house.total(AccountKind::ChainMaturing).await, 0);
    house.farm = true;
    house.mine(1).await;
    house.farm = false;
    house.mine(fake::MATURITY).await;
    let mut tx = house.store.read().await.unwrap();
    let held = house.treasury.wallet_balance(&mut tx, fake::ASSET).await.unwrap();
    assert_eq!((held.maturing.minor, held.spendable.minor), (0, reward));
}

async fn a_block_out_of_order_is_refused_and_the_newest_twice_does_nothing(store: Store) {
    let house = House::new(store, 1).await;
    house.mine(3).await;
    let block = house.chain.block(3).unwrap();
    let again = transact!(house.store, tx => {
        house.treasury.connect_block(tx, fake::ASSET, 3, &block).await
    })
    .unwrap();
    assert!(again.repeated);
    let refused = transact!(house.store, tx => {
        house.treasury.connect_block(tx, fake::ASSET, 5, &block).await
    });
    assert!(matches!(refused, Err(TreasuryError::NotNext { height: 5, .. })));
    let old = gruve_chain::BlockRef { height: 2, hash: house.chain.block(2).unwrap().hash };
    let refused = transact!(house.store, tx => {
        house.treasury.disconnect_block(tx, fake::ASSET, &old).await
    });
    assert!(matches!(refused, Err(TreasuryError::NotNext { height: 2, .. })));
}

async fn blocks_enough_for_the_followers_limit_are_known_after_any_number_of_reorganisations(
    store: Store,
) {
    let house = House::new(store, 1).await;
    let asked = fake::REORG_LIMIT + 1;
    house.mine(5 * asked).await;
    let known = async |limit| {
        let mut tx = house.store.read().await.unwrap();
        house.treasury.known_blocks(&mut tx, fake::ASSET, limit).await.unwrap()
    };
    assert!(known(1000).await.len() as u64 >= 5 * asked, "all that were ever connected");
    // Far more than the limit, one shallow reorganisation after the other: an answer with fewer than
    // asked for would be taken for all blocks there ever were.
    for _ in 0..3 * asked {
        house.chain.rewind(1);
        house.follow().await;
        let blocks = known(asked).await;
        assert_eq!(blocks.len() as u64, asked);
        assert_eq!(blocks[0].height, house.chain.height());
    }
}

async fn every_statement_prepares(store: Store) {
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    gruve_store::testing::prepare_all(&store, &gruve_treasury::statements()).await;
    gruve_store::testing::prepare_all_many(&store, &gruve_treasury::many_statements()).await;
}

#[test]
fn migrations_match_on_both_engines() {
    for m in gruve_treasury::MIGRATIONS {
        gruve_store::matches_on_both_engines(m).unwrap();
    }
}
