//! What happens between looking at a wish and granting it.

use super::Granted;
use crate::world::{self, World, someone};
use crate::{GoingOn, MarketError, Result};
use gruve_ledger::Account;
use gruve_store::{Store, laws, transact};
use gruve_units::{ContractId, Hashrate};

async fn contracts(w: &World) -> usize {
    w.market.contracts(someone(1)).await.unwrap().len()
}

async fn balance(w: &World) -> i64 {
    w.holds(&Account::CustomerAvailable(someone(1))).await
}

/// A lease near its end that its owner wants renewed, with a balance that would do for it; half the farm is free.
async fn near_its_end(store: Store) -> (World, ContractId) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    w.fund(me, 10_000).await;
    w.market.wish(me, c, Some(600), false).await.unwrap();
    // Three of six epochs: renewable by hand, and not yet by the wish.
    for _ in 0..3 {
        w.epoch_at(2_000).await;
    }
    assert_eq!(contracts(&w).await, 1);
    (w, c)
}

async fn what_was_renewed_by_hand_meanwhile_is_not_bought_a_second_time(store: Store) {
    let (w, c) = near_its_end(store).await;
    let (me, market) = (someone(1), &w.market);
    let row = super::Contract::find(&mut w.store.read().await.unwrap(), c).await.unwrap();
    let looked_at = market.quote_for(me, "lease", row.hashrate, 6, Some(c)).await.unwrap();
    let by_hand = market.quote_renewal(me, c, 6).await.unwrap();
    transact!(w.store, tx -> Result<_> => { market.buy(tx, me, by_hand.id).await }).unwrap();
    market.buy_from_balance(&row, &looked_at, Granted::Renewal { max: 600 }).await.unwrap();
    assert_eq!((contracts(&w).await, balance(&w).await), (2, 10_000));
    w.assert_sound().await;
}

async fn a_wish_taken_back_meanwhile_is_not_granted(store: Store) {
    let (w, c) = near_its_end(store).await;
    let (me, market) = (someone(1), &w.market);
    let row = super::Contract::find(&mut w.store.read().await.unwrap(), c).await.unwrap();
    let looked_at = market.quote_for(me, "lease", row.hashrate, 6, Some(c)).await.unwrap();
    market.wish(me, c, None, false).await.unwrap();
    market.buy_from_balance(&row, &looked_at, Granted::Renewal { max: 600 }).await.unwrap();
    assert_eq!((contracts(&w).await, balance(&w).await), (1, 10_000));
    // Nor what costs more than the customer says by now.
    market.wish(me, c, Some(looked_at.price.minor - 1), false).await.unwrap();
    market.buy_from_balance(&row, &looked_at, Granted::Renewal { max: 600 }).await.unwrap();
    assert_eq!(contracts(&w).await, 1);
    w.assert_sound().await;
}

async fn the_same_earnings_buy_once_though_two_accountants_saw_them(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let (me, market) = (someone(1), &w.market);
    let c = w.lease(me, 1_000, 20).await;
    w.fund(me, 10_000).await;
    w.epoch_at(2_000).await;
    w.epoch_at(2_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, 1_000_000).await;
    // The wish comes when the earnings wait: neither of both has granted it yet.
    market.wish(me, c, None, true).await.unwrap();
    w.height(100 + world::MATURITY).await;
    let row = super::Contract::find(&mut w.store.read().await.unwrap(), c).await.unwrap();
    let quote = async || market.quote(me, "lease", Hashrate(100), 20).await.unwrap();
    let (first, second) = (quote().await, quote().await);
    let price = first.price.minor;
    for looked_at in [&first, &second] {
        market.buy_from_balance(&row, looked_at, Granted::Reinvestment).await.unwrap();
    }
    assert_eq!(contracts(&w).await, 1, "nothing is credited yet: {price}");
    w.epoch_at(2_000).await;
    let spent = 10_000 + w.view(me, c).await.credited.minor - balance(&w).await;
    let bought = contracts(&w).await;
    assert!(bought == 2 && spent > 0, "{bought} {spent}");
    market.buy_from_balance(&row, &quote().await, Granted::Reinvestment).await.unwrap();
    assert_eq!(contracts(&w).await, bought, "spent already");
    w.assert_sound().await;
}

async fn what_is_wished_of_a_contract_and_whether_it_can_be_renewed_is_told_its_owner_alone(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let (me, market) = (someone(1), &w.market);
    let c = w.lease(me, 1_000, 20).await;
    w.fund(me, 10_000).await;
    w.epoch_at(2_000).await;
    let nothing = GoingOn {
        keep_running: false,
        renew_max_minor: None,
        reinvest: false,
        follower: None,
        renewable_epochs: 6,
        is_renewable: false,
    };
    assert_eq!(market.going_on(me, c).await.unwrap(), nothing);
    market.wish(me, c, Some(600), true).await.unwrap();
    let wished = GoingOn { renew_max_minor: Some(600), reinvest: true, ..nothing };
    assert_eq!(market.going_on(me, c).await.unwrap(), wished);
    market.wish(me, c, None, false).await.unwrap();
    assert_eq!(market.going_on(me, c).await.unwrap(), nothing);
    // The epoch in which it was bought is not one of its twenty: seven are left, and then six.
    for _ in 0..13 {
        w.epoch_at(2_000).await;
    }
    assert_eq!(market.going_on(me, c).await.unwrap(), nothing);
    w.epoch_at(2_000).await;
    let told = market.going_on(me, c).await.unwrap();
    assert_eq!(told, GoingOn { is_renewable: true, ..nothing });
    let quote = market.quote_renewal(me, c, 6).await.unwrap();
    let paid = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote.id).await });
    let follower = Some(paid.unwrap().contract);
    assert_eq!(market.going_on(me, c).await.unwrap(), GoingOn { follower, ..nothing });
    let stranger = market.going_on(someone(2), c).await;
    assert!(matches!(stranger, Err(MarketError::UnknownContract)), "{stranger:?}");
}

laws! { wishes: [
    what_is_wished_of_a_contract_and_whether_it_can_be_renewed_is_told_its_owner_alone,
    what_was_renewed_by_hand_meanwhile_is_not_bought_a_second_time,
    a_wish_taken_back_meanwhile_is_not_granted,
    the_same_earnings_buy_once_though_two_accountants_saw_them,
] }
