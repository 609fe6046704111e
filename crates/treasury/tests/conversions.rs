//! What paying an invoice in another currency's coin promises, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, CONFIRMATIONS, HOUR, House, account, contract};
use gruve_ledger::{Account, AccountKind, balance};
use gruve_store::{Store, params, transact};
use gruve_treasury::{
    Conversion, Invoice, InvoiceState, LockedRate, Method, NewConversion, NewInvoice, PayInFor,
    Payer, Purpose, Treasury, TreasuryError,
};
use gruve_units::{Amount, Asset, Bps, Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

gruve_store::laws! { conversions: [
    a_coin_pays_an_invoice_in_euros_at_the_rate_that_was_fixed,
    less_is_held_while_the_rate_counts_and_then_it_is_coin_in_the_balance,
    more_and_again_go_to_the_balance_as_coin,
    what_comes_when_the_rate_is_over_is_never_taken_at_it,
    what_was_seen_in_time_is_waited_for_and_a_reorganisation_makes_it_no_later,
    coin_for_an_invoice_that_was_paid_otherwise_stays_coin,
    a_coin_in_the_balance_pays_while_the_rate_counts,
    two_coins_of_one_invoice_pay_it_once,
    a_rate_is_fixed_once_and_only_where_it_makes_sense,
    an_invoice_in_coins_ends_with_its_rate_however_long_it_takes_to_make,
    a_currency_that_only_coins_pay_prices_contracts_and_fills_no_balance,
    the_audit_finds_what_does_not_follow,
    an_offer_ends_though_nothing_is_converted_any_more,
    those_of_many_invoices_are_those_of_each,
    a_list_says_of_each_invoice_what_it_says_alone,
]}

const MINUTE: Duration = Duration::from_secs(60);
/// A hundred euros at 1.25 dollars, 50,000 dollars a coin and one percent.
const COINS: i64 = 252_500;

fn eur(euros: i64) -> Amount {
    Amount::new(Asset::Eur, euros * 1_000_000)
}

fn rate() -> LockedRate {
    LockedRate {
        coin_usd_micro: 50_000_000_000,
        price_usd_micro: 1_250_000,
        spread: Bps::new(100).unwrap(),
        priced_at: Timestamp::from_secs(1_699_999_990),
    }
}

async fn convert_at(
    house: &House,
    n: u8,
    paid: &Invoice,
    rate: LockedRate,
) -> Result<Invoice, TreasuryError> {
    let (invoice, lock) = (paid.id, 30 * MINUTE);
    let new = NewConversion { account: account(n), invoice, coin: ASSET, rate, lock };
    transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
        house.treasury.convert_invoice(tx, new).await
    })
}

/// A contract for a hundred euros, and the invoice in coins for it.
async fn leased(house: &House, n: u8) -> (Invoice, Invoice) {
    let paid = house.invoice_in(n, eur(100), Purpose::Contract(contract(n))).await;
    let coin = convert_at(house, n, &paid, rate()).await.unwrap();
    (paid, coin)
}

async fn state(house: &House, invoice: &Invoice) -> InvoiceState {
    house.look(invoice.id).await.state
}

async fn books(house: &House, account: Account, asset: Asset) -> i64 {
    let mut tx = house.store.read().await.unwrap();
    balance(&mut tx, &account, asset).await.unwrap().minor
}

/// What the operator has bought: coins given for it are below zero, the price is above.
async fn bought(house: &House) -> (i64, i64) {
    let clearing = || Account::Clearing("conversion".into());
    (books(house, clearing(), ASSET).await, books(house, clearing(), Asset::Eur).await)
}

async fn audited(house: &House) -> Vec<String> {
    let mut tx = house.store.read().await.unwrap();
    house.treasury.audit_conversions(&mut tx).await.unwrap()
}

/// The books, the wallet and the conversions hold.
async fn check(house: &House) {
    house.check().await;
    assert_eq!(audited(house).await, Vec::<String>::new());
}

async fn a_coin_pays_an_invoice_in_euros_at_the_rate_that_was_fixed(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    assert_eq!(
        (coin.amount, coin.expires.since(house.clock.now())),
        (fake::sat(COINS), 30 * MINUTE)
    );
    let Purpose::Conversion(c) = coin.purpose else { panic!("{coin:?}") };
    assert_eq!((c.pays, c.price, c.rate, c.until), (paid.id, eur(100), rate(), coin.expires));
    assert_eq!(house.look(coin.id).await, coin, "what is read is what was written");
    let chosen = house.treasury.conversions(paid.id).await.unwrap();
    assert_eq!(chosen, std::slice::from_ref(&coin));

    house.pay(&coin.address, COINS);
    house.mine(1).await;
    assert_eq!(state(&house, &coin).await, InvoiceState::Paid);
    assert_eq!((state(&house, &paid).await, bought(&house).await), (InvoiceState::New, (0, 0)));
    house.mine(CONFIRMATIONS - 1).await;
    assert_eq!(state(&house, &coin).await, InvoiceState::Confirmed);
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!(books(&house, Account::PrepaidWork(contract(1)), Asset::Eur).await, 100_000_000);
    assert_eq!(bought(&house).await, (-COINS, 100_000_000));
    assert_eq!((house.available(1).await, house.held(1).await), (0, 0));
    assert_eq!(books(&house, Account::CustomerHeld(account(1)), Asset::Eur).await, 0);
    let payments = house.treasury.payments(account(1)).await.unwrap();
    assert_eq!((payments.len(), payments[0].method), (1, Method::Conversion));
    assert_eq!((payments[0].amount, payments[0].invoice), (eur(100), Some(paid.id)));
    check(&house).await;
}

async fn less_is_held_while_the_rate_counts_and_then_it_is_coin_in_the_balance(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    house.pay(&coin.address, COINS - 1);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &coin).await, InvoiceState::Underpaid);
    assert_eq!((house.available(1).await, house.held(1).await), (0, COINS - 1));
    house.clock.advance(31 * MINUTE);
    assert_eq!(house.payer.step().await.unwrap().expired, 1);
    assert_eq!(state(&house, &coin).await, InvoiceState::Expired);
    assert_eq!((house.available(1).await, house.held(1).await), (COINS - 1, 0));
    assert_eq!((state(&house, &paid).await, bought(&house).await), (InvoiceState::New, (0, 0)));

    // The rest in time pays it.
    let (paid, coin) = leased(&house, 2).await;
    house.pay(&coin.address, 1);
    house.mine(CONFIRMATIONS).await;
    house.pay(&coin.address, COINS - 1);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!((house.available(2).await, bought(&house).await.0), (0, -COINS));
    check(&house).await;
}

async fn more_and_again_go_to_the_balance_as_coin(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    house.pay(&coin.address, COINS + 700);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!(house.available(1).await, 700);
    house.pay(&coin.address, COINS);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(house.available(1).await, COINS + 700);
    assert_eq!(bought(&house).await, (-COINS, 100_000_000));
    assert_eq!(books(&house, Account::PrepaidWork(contract(1)), Asset::Eur).await, 100_000_000);
    check(&house).await;
}

async fn what_comes_when_the_rate_is_over_is_never_taken_at_it(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    house.pay(&coin.address, COINS);
    house.clock.advance(30 * MINUTE + Duration::from_micros(1));
    // The follower is behind, so nobody has closed it; a moment too late is too late all the same.
    house.mine(1).await;
    let looked = house.look(coin.id).await;
    assert_eq!((looked.received.minor, looked.late.minor), (0, COINS));
    assert_eq!(looked.state, InvoiceState::New);
    house.mine(CONFIRMATIONS).await;
    assert_eq!((house.available(1).await, house.held(1).await), (COINS, 0));
    assert_eq!((state(&house, &paid).await, bought(&house).await), (InvoiceState::New, (0, 0)));
    assert_eq!(house.payer.step().await.unwrap().expired, 1);
    let looked = house.look(coin.id).await;
    assert_eq!((looked.state, looked.late.minor), (InvoiceState::Expired, COINS));
    // At a new rate what is in the balance pays.
    let dearer = LockedRate { coin_usd_micro: 51_000_000_000, ..rate() };
    let again = convert_at(&house, 1, &paid, dearer).await.unwrap();
    assert!(again.id != coin.id && again.amount.minor < COINS, "{again:?}");
    house.treasury.pay_from_balance(account(1), again.id).await.unwrap();
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!(house.available(1).await, COINS - again.amount.minor);
    check(&house).await;
}

async fn what_was_seen_in_time_is_waited_for_and_a_reorganisation_makes_it_no_later(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    house.pay(&coin.address, COINS);
    house.mine(1).await;
    house.clock.advance(2 * HOUR);
    assert_eq!(house.payer.step().await.unwrap().expired, 0, "both wait for the blocks");
    house.chain.rewind(1);
    house.follow().await;
    assert_eq!(state(&house, &coin).await, InvoiceState::New);
    let expired = house.treasury.expire_invoices(Asset::Eur).await.unwrap();
    assert_eq!(expired, 0, "the payment may stand in a block again at once");
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &coin).await, InvoiceState::Confirmed);
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    check(&house).await;

    // A block that is taken away after the conversion takes the coin back, not the contract.
    house.chain.rewind(CONFIRMATIONS);
    house.chain.forget_all();
    house.mine(CONFIRMATIONS + 1).await;
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!(house.total(AccountKind::Loss).await, COINS);
    check(&house).await;
}

async fn coin_for_an_invoice_that_was_paid_otherwise_stays_coin(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    let (unpaid, other) = leased(&house, 2).await;
    house.pay(&coin.address, COINS);
    house.mine(1).await;
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        let whose = PayInFor::Invoice(paid.id);
        house.treasury.take_payment(tx, Method::Bank, "a", eur(100), whose).await?;
        house.treasury.end_invoice(tx, unpaid.id).await
    })
    .unwrap();
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    house.clock.advance(MINUTE);
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, &coin).await, InvoiceState::Paid, "it stands in blocks");
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &coin).await, InvoiceState::Confirmed);
    assert_eq!((house.available(1).await, bought(&house).await), (COINS, (0, 0)));
    assert_eq!(books(&house, Account::PrepaidWork(contract(1)), Asset::Eur).await, 100_000_000);
    // What was for one that is closed takes no payment any more, either.
    house.clock.advance(MINUTE);
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, &other).await, InvoiceState::Expired);
    check(&house).await;
}

async fn a_coin_in_the_balance_pays_while_the_rate_counts(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 2 * COINS).await;
    let (paid, coin) = leased(&house, 1).await;
    house.treasury.pay_from_balance(account(1), coin.id).await.unwrap();
    assert_eq!(state(&house, &coin).await, InvoiceState::Confirmed);
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    assert_eq!((house.available(1).await, bought(&house).await.0), (COINS, -COINS));

    let paid = house.invoice_in(1, eur(100), Purpose::Contract(contract(3))).await;
    let coin = convert_at(&house, 1, &paid, rate()).await.unwrap();
    house.clock.advance(30 * MINUTE + Duration::from_micros(1));
    let late = house.treasury.pay_from_balance(account(1), coin.id).await;
    assert!(matches!(late, Err(TreasuryError::Closed)), "{late:?}");
    assert_eq!((house.available(1).await, state(&house, &paid).await), (COINS, InvoiceState::New));
    check(&house).await;
}

async fn an_invoice_in_coins_ends_with_its_rate_however_long_it_takes_to_make(store: Store) {
    let house = House::new(store, 1).await;
    let paid = house.invoice_in(1, eur(100), Purpose::Contract(contract(1))).await;
    let until = house.clock.now().plus(30 * MINUTE);
    let conversion = Conversion { pays: paid.id, price: eur(100), rate: rate(), until };
    // The clock has gone on since the rate was fixed.
    house.clock.advance(Duration::from_micros(3));
    let made = transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
        let new = NewInvoice {
            account: account(1),
            amount: fake::sat(COINS),
            purpose: Purpose::Conversion(conversion),
            ttl: 30 * MINUTE,
        };
        house.treasury.create_invoice(tx, new).await
    });
    assert_eq!(made.unwrap().expires, until);
    check(&house).await;
}

async fn two_coins_of_one_invoice_pay_it_once(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, first) = leased(&house, 1).await;
    house.pay(&first.address, COINS);
    house.mine(1).await;
    // The first rate is over, so there can be a second one; the first stands in blocks.
    house.clock.advance(30 * MINUTE + Duration::from_micros(1));
    let second = convert_at(&house, 1, &paid, rate()).await.unwrap();
    assert_ne!(first.id, second.id);
    house.pay(&second.address, COINS);
    house.mine(CONFIRMATIONS + 1).await;
    assert_eq!(state(&house, &first).await, InvoiceState::Confirmed);
    assert_eq!(state(&house, &second).await, InvoiceState::Confirmed);
    assert_eq!((house.available(1).await, bought(&house).await.0), (COINS, -COINS));
    check(&house).await;
}

async fn a_rate_is_fixed_once_and_only_where_it_makes_sense(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    let cheaper = LockedRate { coin_usd_micro: 90_000_000_000, ..rate() };
    assert_eq!(convert_at(&house, 1, &paid, cheaper).await.unwrap(), coin, "the same again");
    assert!(matches!(convert_at(&house, 2, &paid, rate()).await, Err(TreasuryError::NoInvoice)));
    let top_up = house.invoice_in(1, eur(5), Purpose::TopUp).await;
    let own = house.invoice(1, 5_000, Purpose::Contract(contract(4))).await;
    for refused in [&top_up, &own, &coin] {
        let made = convert_at(&house, 1, refused, rate()).await;
        assert!(matches!(made, Err(TreasuryError::Closed)), "{made:?}");
    }
    let tiny = Amount::new(Asset::Eur, 20_000);
    let tiny = house.invoice_in(1, tiny, Purpose::Contract(contract(5))).await;
    let made = convert_at(&house, 1, &tiny, rate()).await;
    assert!(matches!(made, Err(TreasuryError::TooSmall { .. })), "{made:?}");
    // No longer than the invoice itself is open.
    house.clock.advance(45 * MINUTE);
    let short = convert_at(&house, 1, &paid, rate()).await.unwrap();
    assert_eq!(short.expires, paid.expires);
    house.clock.advance(15 * MINUTE);
    let over = convert_at(&house, 1, &paid, rate()).await;
    assert!(matches!(over, Err(TreasuryError::Closed)), "{over:?}");
}

async fn the_audit_finds_what_does_not_follow(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, coin) = leased(&house, 1).await;
    house.pay(&coin.address, COINS);
    house.mine(CONFIRMATIONS).await;
    check(&house).await;
    let set = |column: &'static str, change: i64| {
        let sql = format!("UPDATE treasury_conversions SET {column} = {column} + {change}");
        let sql: &'static str = Box::leak(sql.into_boxed_str());
        let store = house.store.clone();
        async move {
            transact!(store, tx -> Result<(), TreasuryError> => {
                tx.execute(sql, &[]).await?;
                Ok(())
            })
            .unwrap();
        }
    };
    let changes = [
        ("coin_usd_micro", 1_000_000),
        ("price_usd_micro", 100),
        ("spread_bps", 1),
        ("price", 1_000),
    ];
    for (column, by) in changes {
        set(column, by).await;
        assert!(!audited(&house).await.is_empty(), "{column}");
        set(column, -by).await;
        assert_eq!(audited(&house).await.len(), 0, "{column}");
    }
    set("counts_until", -7_200_000_000).await;
    assert_eq!(audited(&house).await.len(), 1);
    set("counts_until", 7_200_000_000).await;
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        let sql = "DELETE FROM treasury_payments WHERE invoice = $1";
        tx.execute(sql, &params![paid.id]).await?;
        Ok(())
    })
    .unwrap();
    assert_eq!(audited(&house).await.len(), 2, "the clearing account has what nothing explains");
}

async fn a_currency_that_only_coins_pay_prices_contracts_and_fills_no_balance(store: Store) {
    let house = House::new(store, 1).await;
    let usd = Amount::new(Asset::Usd, 125_000_000);
    let top_up =
        NewInvoice { account: account(1), amount: usd, purpose: Purpose::TopUp, ttl: HOUR };
    let made = transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
        house.treasury.create_invoice(tx, top_up).await
    });
    assert!(matches!(made, Err(TreasuryError::NoWallet(Asset::Usd))), "{made:?}");
    let paid = house.invoice_in(1, usd, Purpose::Contract(contract(1))).await;
    let dollar = LockedRate { price_usd_micro: 1_000_000, ..rate() };
    let coin = convert_at(&house, 1, &paid, dollar).await.unwrap();
    house.pay(&coin.address, COINS);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(state(&house, &paid).await, InvoiceState::Confirmed);
    // And it is closed when its time is over, as any.
    let unpaid = house.invoice_in(1, usd, Purpose::Contract(contract(2))).await;
    house.clock.advance(HOUR + MINUTE);
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, &unpaid).await, InvoiceState::Expired);
    check(&house).await;
}

async fn an_offer_ends_though_nothing_is_converted_any_more(store: Store) {
    let house = House::new(store, 1).await;
    let price = Amount::new(Asset::Usd, 100_000_000);
    let paid = house.invoice_in(1, price, Purpose::Contract(contract(1))).await;
    let dollars = LockedRate { price_usd_micro: 1_000_000, ..rate() };
    let coin = convert_at(&house, 1, &paid, dollars).await.unwrap();
    // Dollars were only taken by way of coins, and now they are not.
    let mut config = fake::treasury_config(&house.node);
    config.converted.clear();
    let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
    let treasury = Treasury::new(house.store.clone(), clock, entropy, config).unwrap();
    treasury.tell_invoices_to(Arc::new(fake::Market { refuses: false }));
    let payer = Payer::new(treasury);
    assert_eq!(payer.step().await.unwrap().expired, 0);
    house.clock.advance(HOUR + MINUTE);
    assert_eq!(payer.step().await.unwrap().expired, 2);
    for invoice in [&paid, &coin] {
        assert_eq!(state(&house, invoice).await, InvoiceState::Expired);
    }
}

async fn those_of_many_invoices_are_those_of_each(store: Store) {
    let house = House::new(store, 1).await;
    let mut all = vec![house.invoice_in(9, eur(1), Purpose::Contract(contract(9))).await.id];
    for n in 1..=3 {
        let (paid, first) = leased(&house, n).await;
        house.clock.advance(31 * MINUTE);
        let second = convert_at(&house, n, &paid, rate()).await.unwrap();
        assert_ne!(first.id, second.id);
        all.push(paid.id);
    }
    let of = house.treasury.conversions_of(&all).await.unwrap();
    assert_eq!(of.len(), 3);
    for id in &all {
        let each = house.treasury.conversions(*id).await.unwrap();
        let each: Vec<_> = each.iter().map(|c| c.id).collect();
        assert_eq!(of.get(id).cloned().unwrap_or_default(), each);
    }
    assert!(house.treasury.conversions_of(&[]).await.unwrap().is_empty());
}

async fn a_list_says_of_each_invoice_what_it_says_alone(store: Store) {
    let house = House::new(store, 1).await;
    let (_, late) = leased(&house, 1).await;
    house.pay(&late.address, COINS);
    house.clock.advance(31 * MINUTE);
    let held = house.invoice(1, 9_000, Purpose::TopUp).await;
    let (of_another, both) = leased(&house, 2).await;
    // In parts: what two receipts come to is neither's.
    house.pay(&held.address, 1_000);
    house.pay(&held.address, 3_000);
    house.pay(&both.address, COINS - 1);
    house.mine(CONFIRMATIONS).await;
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        let whose = PayInFor::Invoice(of_another.id);
        house.treasury.take_payment(tx, Method::Bank, "a", eur(40), whose).await.map(drop)
    })
    .unwrap();
    house.pay(&both.address, 7);
    house.mine(1).await;
    let nothing = house.invoice(1, 9_000, Purpose::TopUp).await;
    let mut newest = Vec::new();
    for n in 1..=2 {
        let listed = house.treasury.invoices(account(n)).await.unwrap();
        assert_eq!(listed.len(), if n == 1 { 4 } else { 2 });
        for invoice in &listed {
            assert_eq!(&house.look(invoice.id).await, invoice);
        }
        let pages = house.treasury.invoices_before(account(n), None, 9).await.unwrap();
        assert_eq!(pages, listed);
        let rest = house.treasury.invoices_before(account(n), Some(pages[0].id), 1).await.unwrap();
        assert_eq!(rest, listed[1..2]);
        newest.extend(listed);
    }
    newest.sort_by_key(|invoice| std::cmp::Reverse(invoice.id));
    assert_eq!(house.treasury.latest_invoices(None, 9).await.unwrap(), newest);
    let came = |id| {
        let invoice = newest.iter().find(|i| i.id == id).unwrap();
        [&invoice.received, &invoice.confirmed, &invoice.late].map(|a| a.minor)
    };
    assert_eq!(came(late.id), [0, 0, COINS]);
    assert_eq!(came(held.id), [4_000, 4_000, 0]);
    assert_eq!(came(both.id), [COINS + 6, COINS - 1, 0]);
    assert_eq!(came(of_another.id)[1], 40_000_000);
    assert_eq!(came(nothing.id), [0; 3]);
}
