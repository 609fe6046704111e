//! Marks of payments that stand in no block yet, on both engines: they are there while the node's pool has the payment,
//! and they move no money.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, CONFIRMATIONS, HOUR, House, contract, sat, stranger};
use gruve_ledger::AccountKind;
use gruve_store::Store;
use gruve_treasury::{DepthStep, Invoice, InvoiceState, Looked, Mark, Purpose};
use gruve_units::{Amount, Asset, Duration};

gruve_store::laws! { unconfirmed: [
    what_waits_is_marked_and_moves_no_money,
    what_comes_to_another_address_of_the_houses_marks_no_invoice,
    what_leaves_the_pool_leaves_no_mark,
    marks_are_made_again_after_a_restart,
    a_full_pool_is_read_in_parts_and_what_is_new_comes_first,
    a_node_that_fails_or_does_not_tell_costs_the_marks_and_nothing_else,
    nothing_is_asked_while_nobody_owes_the_coin,
    how_deep_is_told_by_what_waits_together,
    a_page_of_invoices_is_told_each_what_waits_for_it,
]}

const PRICE: i64 = 1_000_000;

async fn look(house: &House) -> Looked {
    house.treasury.look_at_pool(ASSET).await.unwrap()
}

async fn marks(house: &House, invoice: &Invoice) -> Vec<Mark> {
    let invoice = house.look(invoice.id).await;
    house.treasury.unconfirmed(&invoice).await.unwrap().unwrap().marks
}

/// Nothing of the books but what blocks and the follower made.
async fn assert_no_money(house: &House) {
    for kind in [AccountKind::UnmatchedReceipts, AccountKind::CustomerHeld, AccountKind::ChainHot] {
        assert_eq!(house.total(kind).await, 0, "{kind}");
    }
    house.check().await;
}

async fn what_waits_is_marked_and_moves_no_money(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::Contract(contract(1))).await;
    let other = house.invoice(2, PRICE, Purpose::TopUp).await;
    let txid = house.pay(&invoice.address, PRICE);
    assert_eq!(marks(&house, &invoice).await, [], "nobody has looked");
    let looked = look(&house).await;
    assert_eq!(looked, Looked { is_told: true, listed: 1, read: 1, unread: 0 });
    let found = marks(&house, &invoice).await;
    let [mark] = found[..] else { panic!("{found:?}") };
    assert_eq!((mark.txid, mark.vout, mark.amount), (txid, 0, sat(PRICE)));
    assert_eq!(marks(&house, &other).await, [], "it is the other one's");
    let seen = house.look(invoice.id).await;
    assert_eq!((seen.state, seen.received), (InvoiceState::New, sat(0)));
    assert_eq!((house.available(1).await, house.held(1).await), (0, 0));
    assert_no_money(&house).await;

    // Later looks find the same, from the same moment on, without asking for it again.
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(look(&house).await.read, 0);
    assert_eq!(marks(&house, &invoice).await, [mark]);

    // In a block it is a receipt, before any other look.
    house.mine(1).await;
    assert_eq!(marks(&house, &invoice).await, []);
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Paid);
    look(&house).await;
    assert_eq!(house.treasury.marks_count(), 0);
    house.mine(CONFIRMATIONS - 1).await;
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Confirmed);

    // A block that is taken back puts it into the pool again, and so it is marked again.
    house.chain.rewind(CONFIRMATIONS);
    house.chain.mine(&[0x51], |_| false);
    house.follow().await;
    look(&house).await;
    assert_eq!(marks(&house, &invoice).await.len(), 1);
}

async fn what_comes_to_another_address_of_the_houses_marks_no_invoice(store: Store) {
    let house = House::new(store, 1).await;
    // Its address has the number that the one of capital has, too.
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    house.pay(&house.treasury.capital_address(ASSET).unwrap(), PRICE);
    assert_eq!(look(&house).await.read, 1);
    assert_eq!((marks(&house, &invoice).await, house.treasury.marks_count()), (Vec::new(), 0));
}

async fn what_leaves_the_pool_leaves_no_mark(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    let first = house.pay(&invoice.address, PRICE);
    look(&house).await;
    assert_eq!(marks(&house, &invoice).await.len(), 1);

    // Replaced by another that pays less: the first is gone, the second is there.
    house.chain.forget(&first);
    let second = house.pay(&invoice.address, PRICE / 2);
    look(&house).await;
    let found = marks(&house, &invoice).await;
    assert_eq!(
        found.iter().map(|m| (m.txid, m.amount)).collect::<Vec<_>>(),
        [(second, sat(PRICE / 2))]
    );

    // Replaced by one that pays somebody else, which is mined.
    house.chain.forget(&second);
    house.pay(&stranger(9).0, PRICE / 2);
    house.mine(1).await;
    look(&house).await;
    assert_eq!(marks(&house, &invoice).await, []);
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::New);

    // What was seen too long ago says nothing, whatever it was.
    house.pay(&invoice.address, PRICE);
    look(&house).await;
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(marks(&house, &invoice).await.len(), 1);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(marks(&house, &invoice).await, []);
    assert_no_money(&house).await;
}

async fn marks_are_made_again_after_a_restart(store: Store) {
    let mut house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    house.pay(&invoice.address, PRICE);
    look(&house).await;
    let before = marks(&house, &invoice).await;
    house.restart();
    assert_eq!(marks(&house, &invoice).await, []);
    look(&house).await;
    assert_eq!(marks(&house, &invoice).await, before);
}

async fn a_full_pool_is_read_in_parts_and_what_is_new_comes_first(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    let address = stranger(1).0;
    for _ in 0..4_500 {
        house.pay(&address, 1_000);
    }
    let looked = look(&house).await;
    assert_eq!(looked, Looked { is_told: true, listed: 4_500, read: 2_000, unread: 2_500 });
    house.pay(&invoice.address, PRICE);
    let looked = look(&house).await;
    assert_eq!(looked, Looked { is_told: true, listed: 4_501, read: 2_000, unread: 501 });
    assert_eq!(marks(&house, &invoice).await.len(), 1, "before what was left over");
    assert_eq!(look(&house).await.unread, 0);
    assert_eq!(look(&house).await.read, 0);
    assert_eq!(house.node.pool_asked().1, 4_501, "each once");

    // An invoice that many small payments are made to shows some of them.
    for _ in 0..50 {
        house.pay(&invoice.address, 1_000);
    }
    look(&house).await;
    assert_eq!(marks(&house, &invoice).await.len(), 20);
    house.chain.forget_all();
    look(&house).await;
    assert_eq!(house.treasury.marks_count(), 0);
}

async fn a_node_that_fails_or_does_not_tell_costs_the_marks_and_nothing_else(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    house.pay(&invoice.address, PRICE);
    house.node.set_pool(Some(1));
    assert!(
        house.treasury.look_at_pool(ASSET).await.is_err(),
        "it has no answer to the second call"
    );
    assert_eq!(marks(&house, &invoice).await, []);
    house.node.set_pool(Some(u64::MAX));
    assert_eq!(look(&house).await.read, 1, "what was not read is asked for again");
    assert_eq!(marks(&house, &invoice).await.len(), 1);
    house.node.set_pool(None);
    assert_eq!(look(&house).await, Looked::default());
    assert_eq!(marks(&house, &invoice).await, []);
    house.mine(CONFIRMATIONS).await;
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Confirmed);
    assert_eq!(house.available(1).await, PRICE);
}

async fn nothing_is_asked_while_nobody_owes_the_coin(store: Store) {
    let house = House::new(store, 1).await;
    house.pay(&stranger(1).0, PRICE);
    assert_eq!(look(&house).await, Looked::default());
    assert_eq!(house.node.pool_asked(), (0, 0));
    let euros = Amount::new(Asset::Eur, 1_000_000);
    let by_bank = house.invoice_in(1, euros, Purpose::TopUp).await;
    assert_eq!(house.treasury.unconfirmed(&by_bank).await.unwrap(), None);
    assert_eq!(look(&house).await, Looked::default());

    let invoice = house.invoice(1, PRICE, Purpose::TopUp).await;
    house.pay(&invoice.address, PRICE);
    assert!(look(&house).await.is_told);
    assert_eq!(marks(&house, &invoice).await.len(), 1);
    house.chain.forget_all();
    house.clock.advance(2 * HOUR);
    house.treasury.expire_invoices(ASSET).await.unwrap();
    let asked = house.node.pool_asked();
    assert_eq!(look(&house).await, Looked::default());
    assert_eq!((house.node.pool_asked(), house.treasury.marks_count()), (asked, 0));
}

async fn how_deep_is_told_by_what_waits_together(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.depths = vec![DepthStep { from: 2 * PRICE, confirmations: 9 }];
    house.restart();
    let of = async |house: &House, invoice: &Invoice| {
        let invoice = house.look(invoice.id).await;
        house.treasury.unconfirmed(&invoice).await.unwrap().unwrap().blocks
    };
    let invoice = house.invoice(1, 3 * PRICE, Purpose::TopUp).await;
    let second = house.invoice(1, PRICE, Purpose::TopUp).await;
    assert_eq!(of(&house, &invoice).await, CONFIRMATIONS, "nothing waits");
    house.pay(&invoice.address, PRICE);
    look(&house).await;
    assert_eq!(of(&house, &invoice).await, CONFIRMATIONS);
    house.mine(1).await;
    house.pay(&second.address, PRICE);
    look(&house).await;
    assert_eq!(of(&house, &second).await, 9, "with what stands in a block");
    house.mine(8).await;
    assert_eq!(house.look(second.id).await.state, InvoiceState::Paid);
    house.mine(1).await;
    assert_eq!(house.look(second.id).await.state, InvoiceState::Confirmed, "as was told");
}

async fn a_page_of_invoices_is_told_each_what_waits_for_it(store: Store) {
    let mut house = House::new(store, 1).await;
    house.policies.depths = vec![DepthStep { from: 2 * PRICE, confirmations: 9 }];
    house.restart();
    let (own, more) = (
        house.invoice(1, PRICE, Purpose::TopUp).await,
        house.invoice(1, 2 * PRICE, Purpose::TopUp).await,
    );
    let (others, empty) = (
        house.invoice(2, PRICE, Purpose::TopUp).await,
        house.invoice(3, PRICE, Purpose::TopUp).await,
    );
    let by_bank = house.invoice_in(1, Amount::new(Asset::Eur, 1_000_000), Purpose::TopUp).await;
    let closed = house.invoice(2, PRICE, Purpose::TopUp).await;
    house.pay(&closed.address, PRICE);
    house.mine(CONFIRMATIONS).await;
    // A block has one already, and the look at the pool is of before it.
    house.pay(&own.address, PRICE);
    look(&house).await;
    house.mine(1).await;
    assert_eq!(house.treasury.marks_count(), 1);
    let page = async || {
        let mut all = Vec::new();
        for invoice in [&own, &more, &others, &empty, &by_bank, &closed] {
            all.push(house.look(invoice.id).await);
        }
        house.treasury.unconfirmed_of(&all).await.unwrap()
    };
    let told = page().await;
    assert!(told.values().all(|u| u.marks.is_empty()), "{told:?}");
    assert!(told.values().all(|u| u.blocks == CONFIRMATIONS), "{told:?}");

    for _ in 0..4 {
        house.pay(&more.address, PRICE / 4);
        look(&house).await;
        house.clock.advance(Duration::from_secs(1));
    }
    house.pay(&others.address, 2 * PRICE);
    look(&house).await;
    let told = page().await;
    let of = |invoice: &Invoice| {
        let told = &told[&invoice.id];
        assert!(told.marks.iter().all(|m| m.invoice == invoice.id), "{told:?}");
        assert!(told.marks.is_sorted_by_key(|m| m.seen_at), "the oldest first: {told:?}");
        (told.marks.len(), told.sum(ASSET).minor, told.blocks)
    };
    assert_eq!(of(&own), (0, 0, CONFIRMATIONS), "what stands in a block, and no more");
    assert_eq!(of(&more), (4, PRICE, 9), "with what the same customer has in a block");
    assert_eq!(of(&others), (1, 2 * PRICE, 9), "which counts for nobody else");
    assert_eq!(of(&empty), (0, 0, CONFIRMATIONS));
    assert_eq!(of(&closed), (0, 0, CONFIRMATIONS));
    assert!(!told.contains_key(&by_bank.id), "no chain pays it");

    house.mine(1).await;
    look(&house).await;
    let blocks = page().await.into_iter().map(|(id, told)| (id, told.blocks));
    let blocks: std::collections::BTreeMap<_, _> = blocks.collect();
    assert_eq!(blocks[&others.id], 9);
    assert_eq!(blocks[&closed.id], CONFIRMATIONS, "what is over waits for nothing");
}
