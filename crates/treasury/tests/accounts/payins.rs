//! Coins coming in.

use crate::rig::{ASSET, COIN, CONFIRMATIONS, HOUR, Rig, account, gwei, stranger};
use gruve_chain::eth::{AccountNode as _, EthAddress, EthReceipt, wei};
use gruve_ledger::{Account, AccountKind};
use gruve_store::{Store, transact};
use gruve_treasury::{
    AccountBlock, Invoice, InvoiceState, LockedRate, NewConversion, NewInvoice, Purpose,
    TreasuryError,
};
use gruve_units::{Amount, Asset, Bps, ContractId, Duration, Timestamp};
use ruint::aliases::U256;

gruve_store::laws! { account_payins: [
    a_pay_in_is_seen_then_confirmed_and_credited_once,
    what_the_next_block_would_pay_is_marked_until_it_stands_in_one,
    wei_below_a_gwei_go_to_the_remainder_when_they_make_one,
    what_came_is_swept_to_the_hot_address_at_the_operators_cost,
    a_sweep_that_a_reorganisation_opens_again_leaves_the_next_one_its_coins,
    a_pay_in_that_a_reorganisation_takes_is_taken_back_and_comes_again,
    a_late_payment_and_a_second_one_go_to_the_balance,
    a_contract_in_dollars_is_paid_at_a_fixed_rate_and_what_is_late_stays_coin,
    what_a_contract_pays_is_not_credited_but_shown,
    rewards_come_to_the_hot_address_with_their_wei,
    a_payment_that_failed_on_the_chain_credits_nothing,
    a_receipt_of_another_block_books_nothing,
    every_account_statement_prepares,
]}

async fn a_pay_in_is_seen_then_confirmed_and_credited_once(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.invoice(1, 2 * COIN).await;
    assert!(invoice.address.parse::<EthAddress>().is_ok(), "{}", invoice.address);
    let uri = format!("ethereum:{}@61?value=2000000000000000000", invoice.address);
    assert_eq!((invoice.uri(), rig.look(invoice.id).await.uri()), (uri.clone(), uri));
    rig.pay(&invoice.address, 2 * COIN);
    rig.mine(1).await;
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::Paid);
    assert_eq!(
        (rig.available(1).await, rig.balance(Account::UnmatchedReceipts).await),
        (0, 2 * COIN)
    );
    rig.mine(CONFIRMATIONS - 1).await;
    let seen = rig.look(invoice.id).await;
    assert_eq!((seen.state, seen.confirmed), (InvoiceState::Confirmed, gwei(2 * COIN)));
    rig.mine(3).await;
    assert_eq!(rig.available(1).await, 2 * COIN);
    assert_ne!(rig.invoice(1, COIN).await.address, invoice.address);
}

async fn what_the_next_block_would_pay_is_marked_until_it_stands_in_one(store: Store) {
    let mut rig = Rig::new(store, 1).await;
    let invoice = rig.invoice(1, 2 * COIN).await;
    let second = rig.invoice(2, COIN).await;
    let marks = async |rig: &Rig, invoice: &Invoice| {
        let invoice = rig.look(invoice.id).await;
        rig.treasury.unconfirmed(&invoice).await.unwrap().unwrap()
    };
    assert_eq!(marks(&rig, &invoice).await.blocks, CONFIRMATIONS);
    let sent = rig.pay(&invoice.address, 2 * COIN);
    rig.pay(&stranger(3).to_string(), COIN);
    // An address of ours with the same number as the invoice's, and what is less than a minor unit.
    rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), COIN);
    rig.pay_wei(&second.address, ruint::aliases::U256::from(5));
    assert!(rig.treasury.look_at_pool(ASSET).await.unwrap().is_told);
    let found = marks(&rig, &invoice).await;
    assert_eq!(found.marks.len(), 1);
    assert_eq!((found.sum(ASSET), found.marks[0].transaction()), (gwei(2 * COIN), sent));
    assert_eq!(marks(&rig, &second).await.marks, []);
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::New);
    assert_eq!((rig.available(1).await, rig.balance(Account::UnmatchedReceipts).await), (0, 0));
    rig.restart();
    assert_eq!(marks(&rig, &invoice).await.marks, []);
    rig.treasury.look_at_pool(ASSET).await.unwrap();
    assert_eq!(marks(&rig, &invoice).await, found, "made again");
    rig.mine(1).await;
    assert_eq!(marks(&rig, &invoice).await.marks, [], "it stands in a block");
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::Paid);
    rig.treasury.look_at_pool(ASSET).await.unwrap();
    assert_eq!(rig.treasury.marks_count(), 0);
}

async fn a_contract_in_dollars_is_paid_at_a_fixed_rate_and_what_is_late_stays_coin(store: Store) {
    let rig = Rig::new(store, 1).await;
    let mut made = Vec::new();
    for n in [1, 2] {
        let new = NewInvoice {
            account: account(n),
            amount: Amount::new(Asset::Usd, 5_000_000),
            purpose: Purpose::Contract(ContractId::from_bytes([n; 16])),
            ttl: 2 * HOUR,
        };
        // Twenty dollars a coin, and half a percent.
        let rate = LockedRate {
            coin_usd_micro: 20_000_000,
            price_usd_micro: 1_000_000,
            spread: Bps::new(50).unwrap(),
            priced_at: Timestamp(0),
        };
        let both = transact!(rig.store, tx -> Result<(Invoice, Invoice), TreasuryError> => {
            let paid = rig.treasury.create_invoice(tx, new).await?;
            let (account, invoice, coin) = (account(n), paid.id, ASSET);
            let new = NewConversion { account, invoice, coin, rate, lock: HOUR };
            Ok((paid, rig.treasury.convert_invoice(tx, new).await?))
        });
        made.push(both.unwrap());
    }
    let ((paid, coin), (late_paid, late)) = (&made[0], &made[1]);
    assert_eq!(coin.amount, gwei(251_250_000));
    rig.pay(&coin.address, 251_250_000);
    rig.mine(1).await;
    rig.clock.advance(HOUR + HOUR / 60);
    rig.pay(&late.address, 251_250_000);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.look(paid.id).await.state, InvoiceState::Confirmed, "seen in time");
    assert_eq!((rig.available(1).await, rig.available(2).await), (0, 251_250_000));
    assert_eq!(rig.look(late_paid.id).await.state, InvoiceState::New);
    assert_eq!(rig.look(late.id).await.late, gwei(251_250_000));
    assert_eq!(rig.balance(Account::Clearing("conversion".into())).await, -251_250_000);
    let mut tx = rig.store.read().await.unwrap();
    let found = rig.treasury.audit_conversions(&mut tx).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}

async fn wei_below_a_gwei_go_to_the_remainder_when_they_make_one(store: Store) {
    let rig = Rig::new(store, 1).await;
    let third = U256::from(wei::GWEI / 3);
    for n in 1..=4 {
        let invoice = rig.invoice(n, COIN).await;
        rig.pay_wei(&invoice.address, wei::from_gwei(COIN).unwrap() + third);
        rig.mine(CONFIRMATIONS).await;
        assert_eq!(rig.available(n).await, COIN);
        // Four thirds, less the wei that a third of a gwei is short of.
        assert_eq!(rig.balance(Account::Remainder).await, i64::from(n == 4));
    }
    rig.chain.take_back(CONFIRMATIONS).unwrap();
    rig.chain.mine_empty(4).unwrap();
    rig.follow().await;
    rig.check().await;
    assert_eq!(rig.balance(Account::Remainder).await, 0);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.balance(Account::Remainder).await, 1);
    assert_eq!(rig.balance(Account::Loss).await, 0);
    // A sweep moves them with the rest.
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.balance(Account::Remainder).await, 1);
}

async fn what_came_is_swept_to_the_hot_address_at_the_operators_cost(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.invoice(1, 2 * COIN).await;
    let address: EthAddress = invoice.address.parse().unwrap();
    rig.pay(&invoice.address, 2 * COIN);
    rig.mine(CONFIRMATIONS - 1).await;
    assert_eq!(rig.payer.step().await.unwrap().signed, 0, "not deep enough");
    rig.mine(1).await;
    let done = rig.payer.step().await.unwrap();
    assert_eq!((done.signed, done.sent), (1, 1));
    assert_eq!(rig.payer.step().await.unwrap().signed, 0, "once");
    rig.mine(1).await;
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    let fee = 21_000;
    assert_eq!((rig.on_chain(&address), rig.on_chain(&hot)), (0, 2 * COIN - fee));
    assert_eq!(rig.total(AccountKind::NetworkFees).await, fee);
    assert_eq!(rig.available(1).await, 2 * COIN);
    // Too little is left where it is.
    rig.pay(&invoice.address, 10 * fee);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.payer.step().await.unwrap().signed, 0);
    // With more it is worth it, with the next nonce.
    rig.pay(&invoice.address, COIN);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.payer.step().await.unwrap().signed, 1);
    rig.mine(1).await;
    assert_eq!((rig.on_chain(&address), rig.nonces(&address)), (0, 2));
}

/// Found by seed 738 of the fault histories: the first sweep's next form took all that the address had.
async fn a_sweep_that_a_reorganisation_opens_again_leaves_the_next_one_its_coins(store: Store) {
    let mut rig = Rig::new(store, 1).await;
    let (hot, fee) = (rig.treasury.hot_address(ASSET).unwrap(), 21_000);
    let invoice = rig.top_up(1, 9 * COIN).await;
    let address: EthAddress = invoice.address.parse().unwrap();
    // Signed before three more coins come, and sent after.
    *rig.node.deaf.lock().unwrap() = true;
    assert!(rig.payer.step().await.is_err());
    *rig.node.deaf.lock().unwrap() = false;
    rig.pay(&invoice.address, 3 * COIN);
    rig.mine(1).await;
    rig.payer.step().await.unwrap();
    rig.mine(CONFIRMATIONS - 1).await;
    assert_eq!((rig.on_chain(&address), rig.on_chain(&hot)), (3 * COIN, 9 * COIN - fee));
    assert_eq!(rig.payer.step().await.unwrap().signed, 1, "a second one for what came since");
    rig.chain.take_back(CONFIRMATIONS - 1).unwrap();
    rig.chain.mine_empty(3).unwrap();
    rig.follow().await;
    assert_eq!((rig.on_chain(&address), rig.on_chain(&hot)), (12 * COIN, 0));
    let open = async |rig: &Rig| rig.treasury.open_transactions(ASSET).await.unwrap().len();
    assert_eq!(open(&rig).await, 2);
    rig.clock.advance(Duration::from_secs(601));
    rig.restart();
    assert_eq!(rig.payer.step().await.unwrap().signed, 2, "both at a higher price");
    rig.mine(1).await;
    assert_eq!(open(&rig).await, 0);
    assert_eq!((rig.on_chain(&address), rig.nonces(&address)), (0, 2));
    assert_eq!(rig.on_chain(&hot), 12 * COIN - 4 * fee);
}

async fn a_pay_in_that_a_reorganisation_takes_is_taken_back_and_comes_again(store: Store) {
    let mut rig = Rig::new(store, 1).await;
    let invoice = rig.top_up(1, 2 * COIN).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.available(1).await, 2 * COIN);
    rig.chain.take_back(CONFIRMATIONS + 1).unwrap();
    rig.chain.mine_empty(5).unwrap();
    rig.follow().await;
    rig.check().await;
    assert_eq!((rig.available(1).await, rig.balance(Account::ChainHot).await), (0, 0));
    // An invoice that was confirmed stays so: what it paid for was given.
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::Confirmed);
    rig.mine(CONFIRMATIONS + 2).await;
    assert_eq!(rig.available(1).await, 2 * COIN);
    assert_eq!(rig.balance(Account::Loss).await, 0);
    // The node has forgotten the sweep, which could not be paid for a while; it is sent again.
    assert_eq!(rig.balance(Account::ChainHot).await, 2 * COIN);
    rig.restart();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.balance(Account::ChainHot).await, 2 * COIN - 21_000);
}

async fn a_late_payment_and_a_second_one_go_to_the_balance(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.top_up(1, COIN).await;
    rig.pay(&invoice.address, COIN);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.available(1).await, 2 * COIN);
    let late = rig.invoice(2, COIN).await;
    rig.clock.advance(2 * crate::rig::HOUR);
    assert_eq!(rig.payer.step().await.unwrap().expired, 1);
    assert_eq!(rig.look(late.id).await.state, InvoiceState::Expired);
    rig.pay(&late.address, COIN);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.available(2).await, COIN);
}

async fn what_a_contract_pays_is_not_credited_but_shown(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.top_up(1, COIN).await;
    let address: EthAddress = invoice.address.parse().unwrap();
    // A block's reward changes a balance as a contract's payment does: without a transaction.
    rig.chain.pay_blocks_to(address);
    rig.chain.mine(1).unwrap();
    rig.chain.pay_blocks_to(stranger(9));
    rig.follow().await;
    assert_eq!(rig.available(1).await, COIN);
    let compared = rig.treasury.compare_with_node(ASSET).await.unwrap();
    let [found] = &compared.differences[..] else { panic!("{compared:?}") };
    assert_eq!((found.address, wei::split(found.followed)), (address, Some((COIN, 0))));
    assert_eq!(wei::split(found.at_node), Some((6 * COIN, 0)));
    let mut tx = rig.store.read().await.unwrap();
    assert!(rig.treasury.reconcile(&mut tx, ASSET).await.unwrap().agrees());
}

async fn rewards_come_to_the_hot_address_with_their_wei(store: Store) {
    let rig = Rig::new(store, 1).await;
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    rig.chain.pay_blocks_to(hot);
    rig.mine(3).await;
    assert_eq!(rig.balance(Account::ChainHot).await, 15 * COIN);
    rig.top_up(1, COIN).await;
    // The fee of the customer's transaction was ours, too.
    let miner = rig.balance(Account::Capital).await;
    assert_eq!(miner, 6 * 5 * COIN + 21_000);
    rig.chain.take_back(2).unwrap();
    rig.chain.pay_blocks_to(stranger(9));
    rig.mine(3).await;
    assert_eq!(rig.balance(Account::Capital).await, 4 * 5 * COIN + 21_000);
}

async fn a_payment_that_failed_on_the_chain_credits_nothing(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.invoice(1, COIN).await;
    let hash = hex::decode(&rig.pay(&invoice.address, COIN)[2..]).unwrap();
    rig.node.failed.lock().unwrap().push(hash.try_into().unwrap());
    rig.mine(CONFIRMATIONS + 1).await;
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::New);
    assert_eq!((rig.available(1).await, rig.balance(Account::UnmatchedReceipts).await), (0, 0));
    rig.pay(&invoice.address, COIN);
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::Confirmed);
    assert_eq!(rig.available(1).await, COIN);
}

async fn a_receipt_of_another_block_books_nothing(store: Store) {
    let rig = Rig::new(store, 1).await;
    let invoice = rig.invoice(1, COIN).await;
    rig.pay(&invoice.address, COIN);
    rig.chain.mine(1).unwrap();
    let height = rig.node.height().await.unwrap();
    let block = rig.node.block_at(height).await.unwrap().unwrap();
    let receipt = rig.node.receipt(&block.transactions[0].hash).await.unwrap().unwrap();
    // As after a reorganisation between two questions.
    let other = EthReceipt { block_hash: [9; 32], ..receipt };
    for receipts in [Vec::new(), vec![other]] {
        let at = AccountBlock { block: &block, receipts: &receipts, earned: &[] };
        let booked = transact!(rig.store, tx -> Result<(), TreasuryError> => {
            rig.treasury.connect_account_block(tx, ASSET, &at).await.map(drop)
        });
        assert!(booked.unwrap_err().to_string().contains("receipt"));
    }
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::New);
    rig.follow().await;
    rig.check().await;
    assert_eq!(rig.look(invoice.id).await.state, InvoiceState::Paid);
}

async fn every_account_statement_prepares(store: Store) {
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    gruve_store::testing::prepare_all(&store, &gruve_treasury::statements()).await;
}
