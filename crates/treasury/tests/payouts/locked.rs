//! What waits for a person, or is refused, between the planning of a payout and its last form.

use super::fake::chain::OutPoint;
use super::*;

/// The smallest coin that no plan of the house has.
async fn unplanned(house: &House) -> OutPoint {
    let sql = "SELECT u.txid, u.vout FROM treasury_utxos u WHERE u.spent_height IS NULL
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r WHERE r.txid = u.txid AND r.vout = u.vout)
        ORDER BY u.value LIMIT 1";
    let mut tx = house.store.read().await.unwrap();
    let row = tx.fetch_one(sql, &[]).await.unwrap();
    (row.get("txid").unwrap(), row.get("vout").unwrap())
}

/// Spends such a coin with the house's keys and without its knowledge; its payouts stay where they are.
async fn steal_another(house: &House) {
    let coin = unplanned(house).await;
    house.chain.steal(coin);
    house.chain.mine(&house.coinbase_script(), |t| t.inputs.contains(&coin));
    house.follow().await;
    assert_eq!(house.treasury.payout_locks(ASSET).await.unwrap().len(), 1);
}

async fn accept_loss(house: &House) {
    let locks = house.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    house.treasury.accept_loss(ASSET, txid, "somebody").await.unwrap();
}

pub async fn what_was_planned_before_a_lock_is_signed_when_a_person_has_looked(store: Store) {
    let mut house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.treasury.break_off_with(std::sync::Arc::new(StopAt("signed, before commit")));
    assert!(house.payer.step().await.is_err());
    house.restart();
    steal_another(&house).await;
    house.payer.step().await.unwrap();
    assert_eq!((state(&house, id).await, house.chain.waiting()), (PayoutState::Funded, 0));
    accept_loss(&house).await;
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
}

pub async fn nothing_is_signed_at_a_higher_fee_while_a_person_has_to_look(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    steal_another(&house).await;
    house.node.set_rate(Some(9_000));
    let forms = async || {
        house.clock.advance(Duration::from_secs(601));
        house.payer.step().await.unwrap();
        house.chain.ids_paying(&stranger(1).1)
    };
    let first = forms().await;
    accept_loss(&house).await;
    let second = forms().await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "as soon as somebody has looked");
    house.mine(1).await;
    assert_eq!(state(&house, id).await, PayoutState::Confirmed);
}

pub async fn an_address_that_is_no_longer_the_payouts_own_is_not_paid(store: Store) {
    let house = rich(store).await;
    let changed = house.request(1, COIN, &stranger(1).0).await.unwrap();
    let good = house.request(1, 2 * COIN, &stranger(2).0).await.unwrap();
    gruve_store::transact!(house.store, tx -> Result<(), TreasuryError> => {
        let values = gruve_store::params![changed, stranger(3).0];
        tx.execute("UPDATE treasury_payouts SET address = $2 WHERE id = $1", &values).await?;
        Ok(())
    })
    .unwrap();
    pay_out(&house).await;
    assert_eq!(state(&house, changed).await, PayoutState::Refused);
    let why = house.payout(changed).await.reason.unwrap();
    assert_eq!(why, "the address cannot be paid on this chain");
    assert_eq!(state(&house, good).await, PayoutState::Confirmed);
    for n in [1, 3] {
        assert_eq!(house.chain.payments_to(&stranger(n).1), []);
    }
    assert_eq!((house.available(1).await, house.held(1).await), (18 * COIN, 0));
}

pub async fn a_life_signs_nothing_before_it_has_followed_every_block(store: Store) {
    let mut house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.restart();
    // It may hold a payout that these tables have forgotten.
    house.chain.mine(&[0x51], |_| true);
    house.payer.step().await.unwrap();
    assert_eq!((state(&house, id).await, house.chain.waiting()), (PayoutState::Approved, 0));
    house.follow().await;
    house.payer.step().await.unwrap();
    assert_eq!((state(&house, id).await, house.chain.waiting()), (PayoutState::Broadcast, 1));
}

pub async fn what_spends_another_coin_besides_is_not_the_payout(store: Store) {
    let house = rich(store).await;
    let id = house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    let mut coins = house.chain.waiting_inputs();
    coins.push(unplanned(&house).await);
    house.chain.forget_all();
    let receives = house.payout(id).await.receives().unwrap().minor;
    house.chain.spend(coins, &[(stranger(1).1, receives)]);
    house.mine(1).await;
    assert_eq!(house.treasury.payout_locks(ASSET).await.unwrap().len(), 1);
    assert_eq!(state(&house, id).await, PayoutState::Broadcast, "a person has to look");
}
