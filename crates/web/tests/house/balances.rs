//! Accounts and what they have, without the pages.

use super::House;
use gruve_ledger::{Account, Entry, LedgerError};
use gruve_store::transact;
use gruve_units::{AccountId, Amount, Asset, Clock as _};

pub async fn account(house: &House, name: &str) -> AccountId {
    house.accounts.account_by_name(name).await.unwrap().unwrap()
}

/// Coins in an account's balance, as if they had been paid in.
pub async fn fund(house: &House, who: AccountId, minor: i64) {
    let (from, to) = (Account::ChainHot, Account::CustomerAvailable(who));
    let (now, what) = (house.clock.now(), Amount::new(Asset::Btc, minor));
    let entry = Entry::transfer(format!("test/{who}/{minor}"), "test", now, from, to, what);
    transact!(house.store, tx -> Result<(), LedgerError> => {
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    })
    .unwrap();
}

/// Coins out of an account's balance, as if they had been paid out.
pub async fn spend(house: &House, who: AccountId, minor: i64) {
    let (from, to) = (Account::CustomerAvailable(who), Account::ChainHot);
    let (now, what) = (house.clock.now(), Amount::new(Asset::Btc, minor));
    let entry = Entry::transfer(format!("test/spent/{who}/{minor}"), "test", now, from, to, what);
    transact!(house.store, tx -> Result<(), LedgerError> => {
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    })
    .unwrap();
}

pub async fn available(house: &House, who: AccountId) -> i64 {
    let mut tx = house.store.read().await.unwrap();
    let account = Account::CustomerAvailable(who);
    gruve_ledger::balance(&mut tx, &account, Asset::Btc).await.unwrap().minor
}
