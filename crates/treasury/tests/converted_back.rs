//! What becomes of a coin that was taken for a contract in another currency when something of the contract is refunded, on both
//! engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, CONFIRMATIONS, HOUR, House, account, contract};
use gruve_ledger::{Account, Entry, balance, post};
use gruve_store::{Store, params, transact};
use gruve_treasury::{
    Invoice, InvoiceState, LockedRate, Method, NewConversion, PayInFor, Purpose, Refunded,
    TreasuryError, convert_back,
};
use gruve_units::{Amount, Asset, Bps, Clock, Timestamp};

gruve_store::laws! { converted_back: [
    what_is_refunded_is_the_coin_pro_rata_by_the_amount_that_was_fixed,
    each_way_of_paying_gets_its_part_and_what_was_lost_is_not_the_coins,
    what_was_not_converted_stays_what_it_is,
    a_coin_that_waits_for_blocks_is_a_price_chosen_and_one_that_came_late_is_none,
]}

/// A hundred euros at 1.25 dollars, 50,000 dollars a coin and one percent.
const COINS: i64 = 252_500;

fn eur(euros: i64) -> Amount {
    Amount::new(Asset::Eur, euros * 1_000_000)
}

async fn convert(house: &House, n: u8, paid: &Invoice) -> Invoice {
    let rate = LockedRate {
        coin_usd_micro: 50_000_000_000,
        price_usd_micro: 1_250_000,
        spread: Bps::new(100).unwrap(),
        priced_at: Timestamp::from_secs(1_699_999_990),
    };
    let new =
        NewConversion { account: account(n), invoice: paid.id, coin: ASSET, rate, lock: HOUR / 2 };
    let made = transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
        house.treasury.convert_invoice(tx, new).await
    });
    made.unwrap()
}

async fn books(house: &House, account: Account, asset: Asset) -> i64 {
    let mut tx = house.store.read().await.unwrap();
    balance(&mut tx, &account, asset).await.unwrap().minor
}

/// What the customer has: coins and euros.
async fn has(house: &House, n: u8) -> (i64, i64) {
    let of = || Account::CustomerAvailable(account(n));
    (books(house, of(), ASSET).await, books(house, of(), Asset::Eur).await)
}

async fn bought(house: &House) -> (i64, i64) {
    let clearing = || Account::Clearing("conversion".into());
    (books(house, clearing(), ASSET).await, books(house, clearing(), Asset::Eur).await)
}

/// Refunds a part of a contract of a hundred euros, as the market does.
async fn refund(house: &House, n: u8, undelivered: i64, refunded: i64) -> Vec<Amount> {
    let now = house.clock.now();
    let back = Refunded {
        contract: contract(n),
        account: account(n),
        price: eur(100),
        undelivered,
        refunded,
        now,
    };
    let coins = transact!(house.store, tx -> Result<Vec<Amount>, TreasuryError> => {
        let (from, to) =
            (Account::PrepaidWork(contract(n)), Account::CustomerAvailable(account(n)));
        let amount = Amount::new(Asset::Eur, refunded);
        let reason = format!("test:refund:{n}");
        post(tx, &Entry::transfer(reason, "market-refund", now, from, to, amount)).await?;
        convert_back(tx, &back).await
    });
    coins.unwrap()
}

async fn audited(house: &House) -> Vec<String> {
    let mut tx = house.store.read().await.unwrap();
    house.treasury.audit_conversions(&mut tx).await.unwrap()
}

async fn what_is_refunded_is_the_coin_pro_rata_by_the_amount_that_was_fixed(store: Store) {
    let house = House::new(store, 1).await;
    for (n, undelivered, coins) in [
        // ⌈252,500 · 40 / 100⌉, all, and the least there is: never less than its part, by less than a unit.
        (1, 40_000_000, 101_000),
        (2, 100_000_000, COINS),
        (3, 1, 1),
        (4, 33_333_333, 84_167),
    ] {
        let paid = house.invoice_in(n, eur(100), Purpose::Contract(contract(n))).await;
        let coin = convert(&house, n, &paid).await;
        house.pay(&coin.address, COINS);
        house.mine(CONFIRMATIONS).await;
        let before = bought(&house).await;
        assert_eq!(refund(&house, n, undelivered, undelivered).await, [fake::sat(coins)]);
        assert_eq!(has(&house, n).await, (coins, 0), "no euro of it is left");
        assert_eq!(bought(&house).await, (before.0 + coins, before.1 - undelivered));
        assert_eq!(audited(&house).await, Vec::<String>::new());
    }
    house.check().await;
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        let sql = "UPDATE treasury_conversions SET back_coin = back_coin + 1 WHERE back_coin > 1";
        tx.execute(sql, &params![]).await?;
        Ok(())
    })
    .unwrap();
    assert!(audited(&house).await.len() >= 3, "a coin more than its part is found");
}

async fn each_way_of_paying_gets_its_part_and_what_was_lost_is_not_the_coins(store: Store) {
    let house = House::new(store, 1).await;
    for n in [1, 2] {
        // Sixty of a hundred euros from the bank, the rest in coin: 252,500 · 40 / 100.
        let paid = house.invoice_in(n, eur(100), Purpose::Contract(contract(n))).await;
        transact!(house.store, tx -> Result<(), TreasuryError> => {
            let whose = PayInFor::Invoice(paid.id);
            let name = format!("transfer {n}");
            house.treasury.take_payment(tx, Method::Bank, &name, eur(60), whose).await?;
            Ok(())
        })
        .unwrap();
        let coin = convert(&house, n, &paid).await;
        assert_eq!(coin.amount, fake::sat(101_000));
        house.pay(&coin.address, 101_000);
        house.mine(CONFIRMATIONS).await;
        assert_eq!(house.look(paid.id).await.state, InvoiceState::Confirmed);
    }
    // Half of it was not given: half of each.
    assert_eq!(refund(&house, 1, 50_000_000, 50_000_000).await, [fake::sat(50_500)]);
    assert_eq!(has(&house, 1).await, (50_500, 30_000_000));
    // Of the half the bank's thirty were lost: the coin's part is whole.
    assert_eq!(refund(&house, 2, 50_000_000, 20_000_000).await, [fake::sat(50_500)]);
    assert_eq!(has(&house, 2).await, (50_500, 0));
    assert_eq!(audited(&house).await, Vec::<String>::new());
    house.check().await;
}

async fn what_was_not_converted_stays_what_it_is(store: Store) {
    let house = House::new(store, 1).await;
    let paid = house.invoice_in(1, eur(100), Purpose::Contract(contract(1))).await;
    let coin = convert(&house, 1, &paid).await;
    house.pay(&coin.address, COINS);
    house.mine(1).await;
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        let whose = PayInFor::Invoice(paid.id);
        house.treasury.take_payment(tx, Method::Bank, "a", eur(100), whose).await?;
        Ok(())
    })
    .unwrap();
    house.mine(CONFIRMATIONS).await;
    // The coin came for what was paid by then: it is in the balance, and bought nothing.
    assert_eq!(has(&house, 1).await, (COINS, 0));
    assert_eq!(refund(&house, 1, 40_000_000, 40_000_000).await, []);
    assert_eq!((has(&house, 1).await, bought(&house).await), ((COINS, 40_000_000), (0, 0)));
    assert_eq!(audited(&house).await, Vec::<String>::new());
}

async fn a_coin_that_waits_for_blocks_is_a_price_chosen_and_one_that_came_late_is_none(
    store: Store,
) {
    let house = House::new(store, 1).await;
    let refused = async |paid: &Invoice| {
        let id = paid.id;
        let said = transact!(house.store, tx -> Result<(), TreasuryError> => {
            house.treasury.refuse_if_converted(tx, id).await
        });
        matches!(said, Err(TreasuryError::Converted))
    };
    let paid = house.invoice_in(1, eur(100), Purpose::Contract(contract(1))).await;
    let coin = convert(&house, 1, &paid).await;
    assert!(!refused(&paid).await, "nothing came");
    house.pay(&coin.address, COINS);
    house.mine(1).await;
    assert!(refused(&paid).await, "it stands in a block at its rate");
    house.mine(CONFIRMATIONS).await;
    assert!(refused(&paid).await, "it was taken");

    // Taken back before anything came: what comes then, whatever its rate was, is coin in the balance.
    let paid = house.invoice_in(2, eur(100), Purpose::Contract(contract(2))).await;
    let coin = convert(&house, 2, &paid).await;
    house.pay(&coin.address, COINS);
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        house.treasury.refuse_if_converted(tx, paid.id).await?;
        house.treasury.end_invoice(tx, paid.id).await
    })
    .unwrap();
    house.clock.advance(std::time::Duration::from_micros(1));
    // Before anybody looked at the clock.
    house.mine(CONFIRMATIONS + 1).await;
    assert_eq!(has(&house, 2).await, (COINS, 0), "and no euro at the rate of before");
    assert!(house.look(paid.id).await.state != InvoiceState::Confirmed);
    assert_eq!(audited(&house).await, Vec::<String>::new());
    house.check().await;
}
