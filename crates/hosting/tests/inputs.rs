//! Bad input to what owners of machines do: figures that cannot be, clocks that go back, an end that races a settlement, the
//! change to summer time. On both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::FarmError;
use gruve_hosting::{HostingError, HostingState, OfferTerms, PayFrom};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Blame, Blamed as _, Clock as _, ContractId, EpochNumber, Timestamp};
use std::ops::Range;
use std::sync::Arc;
use world::{FULL, LENGTH_US, RATE, World, account, btc, lane, terms, world};

async fn end(w: &World, who: AccountId, id: ContractId) -> Result<EpochNumber, HostingError> {
    let hosting = &w.hosting;
    transact!(w.store, tx -> Result<EpochNumber, HostingError> => {
        Ok(hosting.end_in(tx, id, Some(who)).await?.until)
    })
}

/// The machine works and draws as it should in these epochs, and each is settled.
async fn work(w: &World, epochs: Range<u64>) {
    for epoch in epochs.map(EpochNumber) {
        w.epoch(epoch, 3_000, RATE, FULL).await;
        w.settle(epoch, &[]).await;
    }
}

/// Bills without a gap and without an epoch twice, from the contract's first epoch; until which.
async fn billed(w: &World, id: ContractId, from: EpochNumber) -> EpochNumber {
    let mut until = from;
    for bill in w.bills(id).await {
        assert_eq!(bill.from, until, "bill {}", bill.number);
        until = bill.until;
    }
    until
}

async fn figures_that_cannot_be_are_refused_and_offer_nothing(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let good = terms(PayFrom::Balance);
    let below = [
        (OfferTerms { energy_minor_per_kwh: -1, ..good }, 0),
        (OfferTerms { fee_minor_per_day: -1, ..good }, 0),
        (OfferTerms { minimum_payout_minor: -1, ..good }, 0),
        (good, -1),
        (good, i64::MIN),
    ];
    for (of, price) in below {
        let refused = w.hosting.offer(w.machine, kari, of, btc(price)).await.unwrap_err();
        assert!(matches!(refused, HostingError::BadTerms(_)), "{refused}");
    }
    assert!(w.hosting.contracts(kari).await.unwrap().is_empty());
    // More than anybody has may be asked, and is paid by nobody.
    w.fund(kari, 1_000).await;
    let id = w.hosting.offer(w.machine, kari, good, btc(i64::MAX)).await.unwrap();
    assert!(w.hosting.accept(kari, id).await.is_err());
    assert_eq!(w.available(kari).await, 1_000);
    assert_eq!(w.hosting.contract(None, id).await.unwrap().state, HostingState::Offered);
    w.assert_sound().await;
}

async fn a_clock_that_goes_back_bills_no_epoch_twice_and_skips_none(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    work(&w, from.0..from.0 + 4).await;
    let (bills, paid) = (w.bills(id).await.len(), w.available(kari).await);
    let now = w.clock.now();
    // An hour back: what is settled again bills nothing again.
    w.clock.set(Timestamp(now.0 - 3_600_000_000));
    for n in 0..4 {
        w.settle(EpochNumber(from.0 + n), &[]).await;
    }
    assert_eq!((w.bills(id).await.len(), w.available(kari).await), (bills, paid));
    w.clock.set(now);
    work(&w, from.0 + 4..from.0 + 7).await;
    assert_eq!(billed(&w, id, from).await, EpochNumber(from.0 + 7));
    w.assert_sound().await;
}

async fn a_clock_that_goes_back_ends_nothing_in_epochs_that_are_counted(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    work(&w, from.0..from.0 + 4).await;
    let (now, paid) = (w.clock.now(), w.available(kari).await);
    w.clock.set(Timestamp(now.0 - 2 * LENGTH_US.cast_signed()));
    let refused = end(&w, kari, id).await.unwrap_err();
    assert!(matches!(refused, HostingError::Farm(FarmError::Counted { .. })), "{refused}");
    assert_eq!(refused.blame(), Blame::Transient);
    assert_eq!(w.hosting.contract(None, id).await.unwrap().state, HostingState::Active);
    assert_eq!(w.available(kari).await, paid);
    w.clock.set(now);
    let until = end(&w, kari, id).await.unwrap();
    assert!(until.0 > from.0 + 3, "{until}");
    work(&w, from.0 + 4..from.0 + 5).await;
    assert_eq!(billed(&w, id, from).await, until);
    w.assert_sound().await;
}

async fn an_end_that_races_a_settlement_ends_at_a_border_and_each_epoch_is_billed_once(
    store: Store,
) {
    let w = Arc::new(world(store).await);
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    let (one, other) = (w.clone(), w.clone());
    let ending = tokio::spawn(async move { end(&one, kari, id).await });
    let settling = tokio::spawn(async move { other.settle(from, &[]).await });
    let (ended, settled) = tokio::join!(ending, settling);
    settled.unwrap();
    let until = ended.unwrap().unwrap();
    let again = end(&w, kari, id).await.unwrap_err();
    assert!(matches!(again, HostingError::NotNow(_)), "{again}");
    work(&w, from.0 + 1..from.0 + 4).await;
    assert_eq!(billed(&w, id, from).await, until);
    let owed: i64 = w.bills(id).await.iter().map(|b| b.due).sum();
    assert_eq!(w.available(kari).await, 100_000 - owed);
    w.assert_sound().await;
}

async fn a_day_costs_a_days_fee_also_when_the_clocks_are_changed(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    // 2026-03-29 01:00 UTC, the change in Europe, in the middle of it.
    w.clock.set(Timestamp::from_secs(1_774_746_000 - 43_200));
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    let day = 86_400_000_000 / LENGTH_US;
    let last = EpochNumber(from.0 + day - 1);
    w.clock.set(w.farm.rule(&lane()).unwrap().end(last));
    w.seal(last, 0).await;
    w.settle(last, &[]).await;
    let bills = w.bills(id).await;
    assert_eq!(bills.len(), 1);
    assert_eq!((bills[0].span.span_us, bills[0].fee), (86_400_000_000, 14_400));
    w.assert_sound().await;
}

laws! { inputs: [
    figures_that_cannot_be_are_refused_and_offer_nothing,
    a_clock_that_goes_back_bills_no_epoch_twice_and_skips_none,
    a_clock_that_goes_back_ends_nothing_in_epochs_that_are_counted,
    an_end_that_races_a_settlement_ends_at_a_border_and_each_epoch_is_billed_once,
    a_day_costs_a_days_fee_also_when_the_clocks_are_changed,
] }
