//! Addresses and references that a forgotten life gave out are given to nobody else: who holds one may still pay to it.

use super::*;
use gruve_treasury::{Invoice, InvoiceState};
use gruve_units::{Amount, Asset};

fn euros() -> Amount {
    Amount::new(Asset::Eur, 5_000_000)
}

/// What the life that will be forgotten gave out: an address, and a bank's reference.
async fn give(lives: &Lives) -> [Invoice; 2] {
    let coins = lives.house.invoice(2, COIN, Purpose::TopUp).await;
    let transfer = lives.house.invoice_in(2, euros(), Purpose::TopUp).await;
    [coins, transfer]
}

/// The next customers get others, and what comes to the forgotten addresses, late, waits for a person.
async fn nobody_gets(lives: &Lives, forgotten: &[Invoice]) {
    let mut others = Vec::new();
    for n in 3..=6 {
        let coins = lives.house.invoice(n, COIN, Purpose::TopUp).await;
        let transfer = lives.house.invoice_in(n, euros(), Purpose::TopUp).await;
        for other in [&coins, &transfer] {
            assert!(forgotten.iter().all(|f| f.address != other.address), "{other:?}");
        }
        others.push(coins);
    }
    // What still waits for a block, with its change.
    lives.house.mine(1).await;
    let before = lives.house.total(AccountKind::UnmatchedReceipts).await;
    let late: Vec<_> = forgotten.iter().filter(|f| f.asset() == ASSET).collect();
    for invoice in &late {
        lives.house.pay(&invoice.address, COIN);
    }
    lives.house.mine(CONFIRMATIONS).await;
    let came = lives.house.total(AccountKind::UnmatchedReceipts).await - before;
    assert_eq!(came, COIN * i64::try_from(late.len()).unwrap());
    for other in &others {
        assert_eq!(lives.house.look(other.id).await.state, InvoiceState::New);
    }
}

async fn a_payment_to_a_forgotten_address_tells_of_those_around_it(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let backup = backup(&lives.house).await;
    let mut forgotten = give(&lives).await.to_vec();
    let paid = lives.house.invoice(2, COIN, Purpose::TopUp).await;
    lives.house.pay(&paid.address, COIN);
    lives.house.mine(1).await;
    forgotten.extend(give(&lives).await);
    lives.restore(&backup).await;
    lives.live_on(1).await;
    nobody_gets(&lives, &forgotten).await;
}

async fn a_payment_that_comes_after_the_start_tells_of_them_too(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let backup = backup(&lives.house).await;
    let [paid, _] = give(&lives).await;
    let forgotten = give(&lives).await;
    lives.restore(&backup).await;
    lives.live_on(1).await;
    lives.house.pay(&paid.address, COIN);
    lives.live_on(1).await;
    nobody_gets(&lives, &forgotten).await;
}

async fn a_forgotten_payout_in_a_block_tells_of_them(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let backup = backup(&lives.house).await;
    // Asked for since: no waiting payout tells of it.
    lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    lives.live_on(2).await;
    let forgotten = give(&lives).await;
    lives.restore(&backup).await;
    lives.live_on(2).await;
    nobody_gets(&lives, &forgotten).await;
}

async fn a_forgotten_payout_without_a_block_tells_of_them(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    lives.house.payer.step().await.unwrap();
    let forgotten = give(&lives).await;
    lives.restore(&backup).await;
    lives.house.node.set_rate(Some(3_000));
    lives.house.payer.step().await.unwrap();
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    assert!(matches!(locks[..], [Lock::Doubted { .. }]), "{locks:?}");
    nobody_gets(&lives, &forgotten).await;
}

async fn a_forgotten_payout_from_coins_that_nobody_watches_tells_of_them(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    let forgotten = give(&lives).await;
    give_out(&lives, 80, 30 * COIN).await;
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(1), 1);
    lives.restore(&backup).await;
    lives.live_on(1).await;
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    assert!(matches!(locks[..], [Lock::Paid { .. }]), "{locks:?}");
    nobody_gets(&lives, &forgotten).await;
}

async fn a_start_far_behind_with_what_was_decided_passes_them_over(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.policies.behind_max = Some(6);
    lives.house.request(1, 3 * COIN, &stranger(1).0).await.unwrap();
    let backup = backup(&lives.house).await;
    let forgotten = give(&lives).await;
    for _ in 0..8 {
        lives.house.chain.mine(&[0x51], |_| true);
    }
    lives.restore(&backup).await;
    lives.live_on(1).await;
    let locks = lives.house.treasury.payout_locks(ASSET).await.unwrap();
    assert!(matches!(locks[..], [Lock::Held { behind: Some(7..), .. }]), "{locks:?}");
    nobody_gets(&lives, &forgotten).await;
}

async fn who_says_that_it_is_an_older_backup_has_them_passed_over(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let backup = backup(&lives.house).await;
    let forgotten = give(&lives).await;
    lives.restore(&backup).await;
    lives.house.treasury.hold_for_a_person(ASSET).await.unwrap();
    lives.house.restart();
    lives.live_on(1).await;
    nobody_gets(&lives, &forgotten).await;
}

async fn a_life_that_forgot_nothing_passes_no_number_over(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    let first = give(&lives).await;
    for _ in 0..30 {
        lives.house.chain.mine(&[0x51], |_| true);
    }
    lives.house.restart();
    lives.live_on(2).await;
    lives.house.pay(&first[0].address, COIN);
    lives.live_on(2).await;
    give(&lives).await;
    let sql = "SELECT asset, next_index FROM treasury_keychains WHERE keychain = 0 ORDER BY asset";
    let mut tx = lives.house.store.read().await.unwrap();
    let given = tx.fetch_all(sql, &[]).await.unwrap();
    let given = given.iter().map(|row| row.get("next_index").unwrap());
    // One of customer 1 before: each number once, from nought on.
    assert_eq!(given.collect::<Vec<i64>>(), [2, 1]);
}

on_both! {
    a_payment_to_a_forgotten_address_tells_of_those_around_it / by_an_address,
    a_payment_that_comes_after_the_start_tells_of_them_too / by_an_address_later,
    a_forgotten_payout_in_a_block_tells_of_them / by_a_block,
    a_forgotten_payout_without_a_block_tells_of_them / by_the_pool,
    a_forgotten_payout_from_coins_that_nobody_watches_tells_of_them / by_its_payments,
    a_start_far_behind_with_what_was_decided_passes_them_over / by_the_height,
    who_says_that_it_is_an_older_backup_has_them_passed_over / by_a_person,
    a_life_that_forgot_nothing_passes_no_number_over / by_nothing,
}
