//! Transactions that are signed again at a higher price of gas, and what stops one before it is signed: what the hot
//! address has for it, and a dispute.

use crate::payouts::{plan_only, sent, state};
use crate::rig::{ASSET, COIN, CONFIRMATIONS, Rig, account, gwei, stranger};
use gruve_chain::eth::{EthAddress, wei};
use gruve_ledger::Account;
use gruve_store::{Store, params, transact};
use gruve_treasury::{Method, PayInFor, PayoutState, SweepPolicy, TreasuryError};
use gruve_units::{Amount, Asset, Duration, PaymentId};

gruve_store::laws! { account_prices: [
    a_price_above_what_the_hot_address_has_free_waits,
    a_move_to_the_cold_address_waits_for_a_price_that_can_be_borne,
    a_hole_is_filled_at_no_price_that_others_under_way_could_not_bear,
    a_dispute_between_planning_and_signing_keeps_the_payout_here_and_leaves_no_gap,
]}

/// The prices, in gwei, at which the hot address's transaction of a nonce was sent, each once.
fn prices_of(rig: &Rig, nonce: u64) -> Vec<i64> {
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    let own = sent(rig).into_iter().filter(|t| t.sender == hot && t.tx.nonce == nonce);
    let mut prices: Vec<i64> = own.map(|t| wei::split(t.tx.gas_price).unwrap().0).collect();
    prices.dedup();
    prices
}

/// The network asks for another price, and what waits has waited long enough.
async fn asks(rig: &Rig, price: u64) {
    *rig.node.price.lock().unwrap() = Some(price);
    rig.clock.advance(Duration::from_secs(601));
    rig.payer.step().await.unwrap();
}

/// A house whose hot address has twenty coins of customer 1 and `beside`, less the fee by which they came.
async fn swept(store: Store, beside: i64) -> Rig {
    let rig = Rig::new(store, 1).await;
    rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), beside);
    rig.top_up(1, 20 * COIN).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    let hot: EthAddress = rig.treasury.hot_address(ASSET).unwrap();
    assert_eq!(rig.on_chain(&hot), 20 * COIN + beside - 21_000);
    rig
}

async fn a_price_above_what_the_hot_address_has_free_waits(store: Store) {
    // 54,000 beside the payout, which is all that its customer has.
    let rig = swept(store, 75_000).await;
    let to = stranger(7);
    let id = rig.request(1, 20 * COIN, &to.to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    // The customer bears 42,000 at most.
    asks(&rig, 5).await;
    assert_eq!(prices_of(&rig, 0), [1], "63,000 more");
    asks(&rig, 3).await;
    assert_eq!(prices_of(&rig, 0), [1, 3], "21,000 of it");
    asks(&rig, 4).await;
    assert_eq!(prices_of(&rig, 0), [1, 3, 4], "and as much again, which is counted once");
    asks(&rig, 5).await;
    assert_eq!(prices_of(&rig, 0), [1, 3, 4], "12,000 are left");
    assert_eq!(state(&rig, id).await, PayoutState::Broadcast);
    rig.mine(1).await;
    assert_eq!(rig.payout(id).await.fee, Some(gwei(42_000)));
    assert_eq!(rig.on_chain(&to), 20 * COIN - 42_000);
    assert_eq!(rig.balance(Account::NetworkFees).await, 21_000 + 42_000);
    assert_eq!(rig.balance(Account::ChainHot).await, 12_000);
}

async fn a_move_to_the_cold_address_waits_for_a_price_that_can_be_borne(store: Store) {
    let mut rig = Rig::new(store, 1).await;
    rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), 100 * COIN);
    rig.mine(CONFIRMATIONS).await;
    let cold = stranger(77);
    let (address, script) = (cold.to_string(), cold.0.to_vec());
    rig.sweep = Some(SweepPolicy { address, script, above: 50_000, keep: 50_000 });
    rig.restart();
    rig.payer.step().await.unwrap();
    asks(&rig, 5).await;
    assert_eq!(prices_of(&rig, 0), [1], "84,000 more, and 50,000 stayed");
    asks(&rig, 3).await;
    assert_eq!(prices_of(&rig, 0), [1, 3], "42,000 of it");
    asks(&rig, 4).await;
    assert_eq!(prices_of(&rig, 0), [1, 3], "8,000 are left");
    rig.mine(1).await;
    let moved = 100 * COIN - 50_000 - 21_000;
    assert_eq!((rig.on_chain(&cold), rig.balance(Account::ChainCold).await), (moved, moved));
    assert_eq!(rig.balance(Account::NetworkFees).await, 63_000);
}

async fn a_hole_is_filled_at_no_price_that_others_under_way_could_not_bear(store: Store) {
    let rig = swept(store, 50_000).await;
    let mut ids = Vec::new();
    for n in [5, 6] {
        ids.push(rig.request(1, 10 * COIN, &stranger(n).to_string()).await.unwrap());
        rig.clock.advance(Duration::from_secs(1));
    }
    plan_only(&rig).await;
    rig.treasury.cancel_payout(account(1), ids[0]).await.unwrap();
    rig.payer.step().await.unwrap();
    assert_eq!(prices_of(&rig, 0), [1], "the hole is filled");
    ids.push(rig.request(1, 10 * COIN, &stranger(7).to_string()).await.unwrap());
    rig.payer.step().await.unwrap();
    // 8,000 are left, and each has waited. What the payouts cost more is their customer's.
    asks(&rig, 2).await;
    assert_eq!([0, 1, 2].map(|n| prices_of(&rig, n)), [vec![1], vec![1, 2], vec![1, 2]]);
    rig.mine(1).await;
    for id in &ids[1..] {
        assert_eq!(state(&rig, *id).await, PayoutState::Confirmed);
    }
    assert_eq!(rig.balance(Account::ChainHot).await, 8_000);
}

/// A dispute about a card payment of an account, as the card service's answers put it down.
async fn dispute(rig: &Rig, n: u8) {
    const OPEN: &str =
        "INSERT INTO treasury_disputes (external, payment, account, asset, amount, state,
        opened_at, looked_at) VALUES ('dp_1', $1, $2, $3, $4, 'open', $5, $5)";
    let (amount, whose) = (Amount::new(Asset::Usd, 5_000_000), PayInFor::Account(account(n)));
    transact!(rig.store, tx -> Result<(), TreasuryError> => {
        let paid = rig.treasury.take_payment(tx, Method::Card, "pi_1", amount, whose).await?;
        let payment: PaymentId = paid.0;
        tx.execute(OPEN, &params![payment, account(n), amount.asset, amount.minor, 0_i64]).await?;
        Ok(())
    })
    .unwrap();
    assert!(rig.treasury.is_disputed(account(n)).await.unwrap());
}

async fn a_dispute_between_planning_and_signing_keeps_the_payout_here_and_leaves_no_gap(
    store: Store,
) {
    let rig = Rig::rich(store).await;
    rig.top_up(2, 20 * COIN).await;
    let own = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.clock.advance(Duration::from_secs(1));
    let other = rig.request(2, COIN, &stranger(8).to_string()).await.unwrap();
    plan_only(&rig).await;
    let planned = [state(&rig, own).await, state(&rig, other).await];
    assert_eq!(planned, [PayoutState::Funded, PayoutState::Funded]);
    dispute(&rig, 1).await;
    for _ in 0..3 {
        rig.payer.step().await.unwrap();
        rig.mine(1).await;
    }
    assert_eq!(state(&rig, own).await, PayoutState::Approved);
    assert_eq!(
        rig.balance(Account::CustomerHeld(account(1))).await,
        COIN,
        "held, and not on its way"
    );
    assert_eq!(state(&rig, other).await, PayoutState::Confirmed);
    assert_eq!((rig.on_chain(&stranger(7)), rig.on_chain(&stranger(8))), (0, COIN - 21_000));
    // Its nonce went by with a payment of nothing, so that the other's did not wait for it.
    assert_eq!(rig.nonces(&rig.treasury.hot_address(ASSET).unwrap()), 2);
    transact!(rig.store, tx -> Result<(), TreasuryError> => {
        tx.execute("UPDATE treasury_disputes SET state = 'won'", &[]).await?;
        Ok(())
    })
    .unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, own).await, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&stranger(7)), COIN - 21_000);
}
