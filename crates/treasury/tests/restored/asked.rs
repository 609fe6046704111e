//! Payouts that were asked for after the backup, and made: whoever says whose they are has them booked, so that no balance
//! holds what was paid out of it.

use super::fake::{account, sat};
use super::*;
use gruve_ledger::LedgerError;
use gruve_treasury::Recipients;

/// What a stranger's address got, in all.
fn got(lives: &Lives, n: u32) -> i64 {
    lives.house.chain.payments_to(&stranger(n).1).iter().map(|p| p.1).sum()
}

fn named(whose: &[(u32, u8)]) -> Recipients {
    whose.iter().map(|(to, of)| (stranger(*to).0, account(*of))).collect()
}

/// One payout waits in the backup; two that were asked for since are made with it, in one transaction. What that is.
async fn forgotten(on_postgres: bool) -> (Lives, PayoutId, String) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.top_up(2, 9 * COIN).await;
    let kept = lives.house.request(1, COIN, &stranger(3).0).await.unwrap();
    let backup = backup(&lives.house).await;
    lives.house.request(1, 4 * COIN, &stranger(1).0).await.unwrap();
    lives.house.request(2, 2 * COIN, &stranger(2).0).await.unwrap();
    lives.live_on(2).await;
    lives.restore(&backup).await;
    lives.live_on(3).await;
    assert_eq!([1, 2, 3].map(|n| lives.times_paid(n)), [1, 1, 1]);
    let balances = [lives.house.available(1).await, lives.house.available(2).await];
    assert_eq!(balances, [19 * COIN, 9 * COIN], "as if nothing had been paid");
    let txid = lives.unexplained().await;
    (lives, kept, txid)
}

async fn what_was_asked_for_since_the_backup_is_booked_as_its_customers(on_postgres: bool) {
    let (mut lives, kept, txid) = forgotten(on_postgres).await;
    let treasury = lives.house.treasury.clone();
    let paid = treasury.unexplained_payments(ASSET, &txid).await.unwrap();
    let mut paid: Vec<_> = paid.into_iter().map(|p| (p.address, p.amount, p.known)).collect();
    paid.sort_by_key(|p| p.1.minor);
    let whole = [2, 1].map(|n| (stranger(n).0, sat(got(&lives, n)), None));
    assert_eq!(paid, whole);
    // While somebody it pays is not named, nothing is booked.
    for whose in [named(&[]), named(&[(1, 1)]), named(&[(1, 1), (3, 2)])] {
        let explained = treasury.explain_as(ASSET, &txid, &whose, "somebody").await;
        assert!(matches!(explained, Err(TreasuryError::Unexplained)), "{explained:?}");
    }
    assert_eq!(lives.house.available(1).await, 19 * COIN);
    let whose = named(&[(1, 1), (2, 2)]);
    let explained = treasury.explain_as(ASSET, &txid, &whose, "somebody").await.unwrap();
    assert_eq!((explained.payouts.len(), explained.payouts.contains(&kept)), (3, true));
    for id in explained.payouts {
        assert_eq!(lives.state(id).await, PayoutState::Confirmed);
    }
    let left = [19 * COIN - got(&lives, 1), 9 * COIN - got(&lives, 2)];
    assert_eq!([lives.house.available(1).await, lives.house.available(2).await], left);
    lives.house.check().await;
    for kind in [AccountKind::Loss, AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
        assert_eq!(lives.house.total(kind).await, 0, "{kind}");
    }
    // What was paid cannot be asked for anew; what is left can.
    let again = lives.house.request(1, left[0] + 1, &stranger(1).0).await;
    let is_gone = |r: &TreasuryError| {
        matches!(r, TreasuryError::Ledger(LedgerError::InsufficientFunds { .. }))
    };
    assert!(is_gone(&again.unwrap_err()));
    let again = treasury.explain_as(ASSET, &txid, &whose, "somebody").await;
    assert!(matches!(again, Err(TreasuryError::NoStranger)), "once: {again:?}");
    lives.house.request(1, left[0] / 2, &stranger(1).0).await.unwrap();
    lives.live_on(2).await;
    assert_eq!([1, 2, 3].map(|n| lives.times_paid(n)), [2, 1, 1]);
    // It is undone and done again with its block, like any other.
    lives.house.chain.rewind(7);
    lives.live_on(9).await;
    assert_eq!([1, 2, 3].map(|n| lives.times_paid(n)), [2, 1, 1]);
    lives.house.check().await;
}

async fn who_has_asked_for_the_same_money_again_is_not_charged_for_more_than_there_is(
    on_postgres: bool,
) {
    let (mut lives, _, txid) = forgotten(on_postgres).await;
    // Elsewhere, and for all there is: it waits, since the coin is locked.
    let again = lives.house.request(1, 19 * COIN, &stranger(9).0).await.unwrap();
    lives.live_on(1).await;
    let treasury = lives.house.treasury.clone();
    let whose = named(&[(1, 1), (2, 2)]);
    let explained = treasury.explain_as(ASSET, &txid, &whose, "somebody").await;
    let is_short =
        matches!(explained, Err(TreasuryError::Ledger(LedgerError::InsufficientFunds { .. })));
    assert!(is_short, "{explained:?}");
    assert_eq!(lives.house.available(2).await, 9 * COIN, "nothing is booked of it");
    assert_eq!(lives.times_paid(9), 0);
    treasury.refuse_payout(again, "it was paid before").await.unwrap();
    treasury.explain_as(ASSET, &txid, &whose, "somebody").await.unwrap();
    lives.live_on(2).await;
    assert_eq!(lives.times_paid(9), 0);
    assert_eq!(lives.house.available(1).await, 19 * COIN - got(&lives, 1));
    lives.house.check().await;
}

async fn whose_an_address_was_before_is_said(on_postgres: bool) {
    let mut lives = Lives::begin(on_postgres).await;
    lives.house.top_up(2, 9 * COIN).await;
    for (n, to) in [(1, 1), (1, 2), (2, 2)] {
        lives.house.request(n, COIN, &stranger(to).0).await.unwrap();
    }
    lives.live_on(2).await;
    let backup = backup(&lives.house).await;
    for (n, to) in [(1, 1), (2, 2)] {
        lives.house.request(n, 2 * COIN, &stranger(to).0).await.unwrap();
    }
    lives.live_on(2).await;
    lives.restore(&backup).await;
    lives.live_on(3).await;
    let txid = lives.unexplained().await;
    let paid = lives.house.treasury.unexplained_payments(ASSET, &txid).await.unwrap();
    let known = |n: u32| paid.iter().find(|p| p.address == stranger(n).0).unwrap().known;
    assert_eq!((paid.len(), known(1), known(2)), (2, Some(account(1)), None));
}

on_both! {
    what_was_asked_for_since_the_backup_is_booked_as_its_customers / booked,
    who_has_asked_for_the_same_money_again_is_not_charged_for_more_than_there_is / asked_again,
    whose_an_address_was_before_is_said / known,
}
