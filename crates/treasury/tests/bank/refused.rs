//! What a bank account is not taken for.

use super::*;
use gruve_treasury::{BankAccount, Seed, Treasury, TreasuryConfig};

pub async fn a_transfer_in_another_currency_than_its_invoice_waits(store: Store) {
    let house = House::new(store, 1).await;
    let dollars = Amount::new(Asset::Usd, 7_000_000);
    let invoice = house.invoice_in(1, dollars, Purpose::Contract(contract(1))).await;
    let euros = lease(&house, 2, 700).await;
    give(&house, &statement("1", &[line("a", 700, &invoice.address)])).await;
    for (id, of) in [("2", &invoice), ("3", &euros)] {
        let text = statement(id, &[line(id, 700, &of.address)]);
        give(&house, &text.replace("\"EUR\"", "\"USD\"")).await;
    }
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    let mut reasons: Vec<&str> = waits.iter().map(|w| w.reason.as_str()).collect();
    reasons.sort_unstable();
    let other = "it is in USD, and the account is of another currency";
    let its = format!("it is in EUR, its invoice {} in USD", invoice.id);
    assert_eq!(reasons, [its.as_str(), other, other]);
    for id in [invoice.id, euros.id] {
        assert_eq!(house.look(id).await.state, InvoiceState::New);
    }
    house.check().await;
}

pub async fn a_bank_account_that_nobody_could_pay_to_is_refused(store: Store) {
    let house = House::new(store, 1).await;
    let good = house.treasury.bank(Asset::Eur).unwrap().clone();
    assert_eq!(good.check(), Ok(()));
    let wrong = |change: &dyn Fn(&mut BankAccount)| {
        let mut bank = good.clone();
        change(&mut bank);
        bank.check().unwrap_err().0
    };
    assert_eq!(wrong(&|b| b.asset = Asset::Btc), "asset");
    assert_eq!(wrong(&|b| b.iban.replace_range(2..4, "88")), "iban");
    assert_eq!(wrong(&|b| b.holder.clear()), "holder");
    assert_eq!(wrong(&|b| b.holder = "n".repeat(71)), "holder");
    for bic in ["GENODEF", "genodef1", "GENODEF1XX", "GENODEF!"] {
        assert_eq!(wrong(&|b| b.bic = Some(bic.to_owned())), "bic", "{bic}");
    }
    let mut dollars = BankAccount { asset: Asset::Usd, ..good.clone() };
    dollars.bic = Some("GENODEF1XXX".to_owned());
    assert_eq!(dollars.check(), Ok(()));
    // The code that banking apps read is for euros alone.
    let invoice = lease(&house, 1, 700).await;
    assert!(good.transfer_code(&invoice).is_some() && dollars.transfer_code(&invoice).is_none());
    let open = |second: &BankAccount| {
        let config = TreasuryConfig::new(Seed::from_bytes([42; 32]));
        let config = config.with_bank(good.clone()).with_bank(second.clone());
        let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
        Treasury::new(house.store.clone(), clock, entropy, config).map(|_| ())
    };
    open(&dollars).unwrap();
    let twice = open(&good);
    assert!(
        matches!(&twice, Err(TreasuryError::Method(w)) if w.contains("one for EUR already")),
        "{twice:?}"
    );
}

pub async fn a_payment_is_taken_once_and_taken_back_once_by_its_name(store: Store) {
    let house = House::new(store, 1).await;
    let take = async |name: &str, amount: Amount, whose: PayInFor| {
        transact!(house.store, tx -> Result<(PaymentId, bool), TreasuryError> => {
            house.treasury.take_payment(tx, Method::Card, name, amount, whose).await
        })
    };
    let own = || PayInFor::Account(account(1));
    let (id, is_new) = take("pi_1", eur(700), own()).await.unwrap();
    assert!(is_new);
    assert_eq!(take("pi_1", eur(700), own()).await.unwrap(), (id, false));
    assert_eq!(take("pi_1", eur(900), PayInFor::Nobody).await.unwrap(), (id, false));
    assert_eq!(available(&house, 1).await, 700);
    let back = async |cents: i64, event: &str| {
        let taken = transact!(house.store, tx -> Result<_, TreasuryError> => {
            house.treasury.take_back(tx, id, cents * 10_000, event).await
        });
        taken.unwrap().from_customer
    };
    assert_eq!(back(300, "dp_1").await, eur(300));
    assert_eq!(back(300, "dp_1").await, eur(0), "told twice");
    assert_eq!(back(1_000, "dp_2").await, eur(400), "no more than came");
    assert_eq!(available(&house, 1).await, 0);
    // What is in one currency pays no invoice in another.
    let dollars = Amount::new(Asset::Usd, 7_000_000);
    let invoice = house.invoice_in(1, dollars, Purpose::Contract(contract(1))).await;
    let other = take("pi_2", eur(700), PayInFor::Invoice(invoice.id)).await;
    assert!(matches!(other, Err(TreasuryError::OtherAsset { .. })), "{other:?}");
    assert!(matches!(take("pi_3", eur(0), own()).await, Err(TreasuryError::NotPositive)));
    house.check().await;
}
