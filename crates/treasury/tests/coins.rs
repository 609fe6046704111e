//! The coins of the tables are held against the chain's: what both tables and books lack, or have though it never was,
//! is found, and by nothing else.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, House, sat, stranger};
use gruve_chain::{LeanBlock, LeanOutput, LeanTx};
use gruve_store::{Store, transact};
use gruve_treasury::{CoinComparison, CoinDifference, Purpose, TreasuryError};

gruve_store::laws! { coins: [
    a_coin_that_vanished_together_with_its_entry_is_found,
    a_coin_that_never_was_is_found_with_any_node,
    coins_spent_since_the_books_newest_block_are_no_difference,
    a_node_that_is_behind_compares_nothing,
]}

const COIN: i64 = 1_000_000;

async fn compared(house: &House) -> CoinComparison {
    house.treasury.compare_coins_with_node(ASSET).await.unwrap()
}

/// The house follows the chain's newest block, or another in its place; tables and books agree.
async fn follow_as(house: &House, change: impl FnOnce(&mut LeanBlock)) {
    let height = house.chain.height();
    let mut block = house.chain.block(height).unwrap();
    change(&mut block);
    transact!(house.store, tx -> Result<(), TreasuryError> => {
        house.treasury.connect_block(tx, ASSET, height, &block).await.map(drop)
    })
    .unwrap();
    let mut tx = house.store.read().await.unwrap();
    assert!(house.treasury.reconcile(&mut tx, ASSET).await.unwrap().agrees());
    assert_eq!(gruve_ledger::audit(&mut tx).await.unwrap().findings, []);
}

fn written(txid: &[u8; 32], vout: u32) -> String {
    format!("{}:{vout}", gruve_chain::hash_to_text(txid))
}

async fn a_coin_that_vanished_together_with_its_entry_is_found(store: Store) {
    let house = House::new(store, 1).await;
    house.fill(&[5 * COIN]).await;
    let whole = compared(&house).await;
    assert_eq!((whole.coins, whole.differences, whole.left_out), (1, vec![], None));

    let invoice = house.invoice(1, 2 * COIN, Purpose::TopUp).await;
    let lost = house.pay(&invoice.address, 2 * COIN);
    house.chain.mine(&[0x51], |_| true);
    follow_as(&house, |block| block.txs.retain(|t| t.txid != lost)).await;
    let difference =
        CoinDifference { coin: written(&lost, 0), in_books: None, at_node: Some(sat(2 * COIN)) };
    assert_eq!(compared(&house).await.differences, [difference]);
    // A node that cannot look for it does not find it, and the answer says that.
    house.node.set_scans(false);
    let each = compared(&house).await;
    assert_eq!((each.coins, each.differences), (1, vec![]));
    assert!(each.left_out.unwrap().contains("coins that the books lack"));
}

async fn a_coin_that_never_was_is_found_with_any_node(store: Store) {
    let house = House::new(store, 1).await;
    house.fill(&[5 * COIN]).await;
    let script = gruve_chain::script_for_address(
        &fake::params(),
        &house.treasury.capital_address(ASSET).unwrap(),
    )
    .unwrap();
    house.chain.mine(&[0x51], |_| true);
    let phantom = [0xaa; 32];
    follow_as(&house, |block| {
        let outputs = vec![LeanOutput { value: 3 * COIN, script }];
        let inputs = vec![([0xee; 32], 77)];
        block.txs.push(LeanTx { txid: phantom, coinbase: false, hogex: false, inputs, outputs });
    })
    .await;
    let difference =
        CoinDifference { coin: written(&phantom, 0), in_books: Some(sat(3 * COIN)), at_node: None };
    assert_eq!(compared(&house).await.differences, std::slice::from_ref(&difference));
    house.node.set_scans(false);
    let each = compared(&house).await;
    assert_eq!((each.coins, each.differences), (2, vec![difference]));
}

async fn coins_spent_since_the_books_newest_block_are_no_difference(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 20 * COIN).await;
    house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    house.payer.step().await.unwrap();
    // In the pool alone it spends nothing yet.
    for scans in [true, false] {
        house.node.set_scans(scans);
        assert_eq!(compared(&house).await.differences, []);
    }
    // The house stands still, and the chain goes on.
    house.chain.mine(&[0x51], |_| true);
    house.pay(&house.treasury.capital_address(ASSET).unwrap(), COIN);
    house.chain.mine(&[0x51], |_| true);
    for scans in [true, false] {
        house.node.set_scans(scans);
        assert_eq!(compared(&house).await.differences, [], "{scans}");
    }
}

async fn a_node_that_is_behind_compares_nothing(store: Store) {
    let house = House::new(store, 1).await;
    house.fill(&[5 * COIN]).await;
    house.chain.rewind(1);
    let error = house.treasury.compare_coins_with_node(ASSET).await.unwrap_err();
    assert!(error.to_string().contains("behind the books"), "{error}");
    house.chain.mine(&[0x51], |_| false);
    let error = house.treasury.compare_coins_with_node(ASSET).await.unwrap_err();
    assert!(error.to_string().contains("another branch"), "{error}");
}
