//! What bills promise: every microjoule once, no more than there is, and to whom it belongs; on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::energy::UJ_PER_KWH;
use gruve_farm::{LATE_MAX, MachineOwner, Proof, ProvenPlace};
use gruve_hosting::{HostingState, PayFrom};
use gruve_ledger::Account;
use gruve_store::{Store, laws};
use gruve_units::{Class, Clock as _, Duration, EpochNumber};
use std::collections::BTreeMap;
use world::{CLASS, FULL, LENGTH_US, RATE, account, btc, lane, world};

async fn bills_take_every_microjoule_once_and_carry_the_fractions(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    for n in 0..6 {
        let epoch = EpochNumber(from.0 + n);
        w.epoch(epoch, 3_001, RATE, FULL).await;
        w.settle(epoch, &[]).await;
    }
    let bills = w.bills(id).await;
    assert_eq!(bills.len(), 6);
    let energy: u64 = bills.iter().map(|b| b.span.energy_uj).sum();
    assert_eq!(energy, 3_001 * 6 * LENGTH_US, "an hour, to the microjoule");
    let minor: i64 = bills.iter().map(|b| b.energy).sum();
    assert_eq!(minor, 3_001, "floor of 3.001 kWh at 1,000, not six floors");
    let fees: i64 = bills.iter().map(|b| b.fee).sum();
    assert_eq!(fees, 600);
    assert!(bills.iter().all(|b| b.credit == 0 && b.arrears == 0 && b.paid == b.due));
    assert_eq!(w.available(kari).await, 100_000 - 3_601);
    assert_eq!(w.balance(Account::OperatorRevenue).await, 3_601);
    // A settlement again, or one that nothing is new in, bills nothing.
    w.settle(EpochNumber(from.0 + 5), &[]).await;
    assert_eq!(w.bills(id).await.len(), 6);
}

async fn from_earnings_no_more_is_taken_than_was_earned_and_the_rest_is_waived(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    w.fund(kari, 5_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[]).await;
    assert!(w.bills(id).await.is_empty(), "nothing earned: the bill waits");
    w.epoch(from.next(), 3_000, RATE, FULL).await;
    w.settle(from.next(), &[(kari, btc(150))]).await;
    let bills = w.bills(id).await;
    assert_eq!(bills.len(), 1);
    // Two epochs: 1 kWh and 20 minutes.
    assert_eq!((bills[0].energy, bills[0].fee, bills[0].due), (1_000, 200, 1_200));
    assert_eq!((bills[0].paid, bills[0].waived, bills[0].arrears), (150, 1_050, 0));
    assert_eq!(w.available(kari).await, 5_000, "what was there before is not touched");
}

async fn from_the_balance_what_it_does_not_cover_is_owed_and_taken_later(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 70).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[]).await;
    assert_eq!((w.available(kari).await, w.bills(id).await[0].arrears), (0, 530));
    w.fund(kari, 10_000).await;
    w.settle(from, &[]).await;
    let bills = w.bills(id).await;
    assert_eq!((bills[1].due, bills[1].paid, bills[1].arrears), (0, 530, 0));
    assert_eq!(w.available(kari).await, 9_470);
}

async fn downtime_is_credited_and_late_telemetry_stands_on_the_next_bill(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    // It claims its nameplate and proves nothing: down, whatever it says.
    w.epoch(from.next(), 3_000, RATE, 0).await;
    w.settle(from.next(), &[]).await;
    let bill = w.bills(id).await[0];
    assert_eq!((bill.span.span_us, bill.span.up_us), (2 * LENGTH_US, LENGTH_US));
    // 200 x (0.95 - 0.5) / 0.95 = 94.7, rounded up.
    assert_eq!((bill.fee, bill.credit), (200, 95));

    // The line was cut in this one: no reading before the bill, but shares.
    let third = EpochNumber(from.0 + 2);
    let mut proof = Proof::none(MachineOwner::Account(kari));
    (0..FULL / 2).for_each(|_| proof.add(Class::new(CLASS).unwrap()));
    let place = w.farm.proven_place(&lane()).await.unwrap();
    let to = ProvenPlace { place: Some((2, 0)), sealed: Some(third) };
    let proofs = BTreeMap::from([((w.machine, third), proof)]);
    assert!(w.farm.add_proven(&lane(), &proofs, place, to).await.unwrap());
    w.settle(third, &[]).await;
    let bill = w.bills(id).await[1];
    assert_eq!((bill.span.energy_uj, bill.span.up_us, bill.credit), (0, LENGTH_US, 0));
    w.epoch(third, 3_000, RATE, 0).await;
    w.settle(third, &[]).await;
    let late = w.bills(id).await[2];
    assert_eq!((late.span.energy_uj, late.span.span_us), (UJ_PER_KWH / 2, 0));
    assert_eq!((late.energy, late.fee), (500, 0));

    // A few shares are not an epoch at work: 60 of some 234 at half the nameplate, and three deviations of 15.
    let fourth = third.next();
    w.epoch(fourth, 3_000, RATE, 60).await;
    w.settle(fourth, &[]).await;
    let bill = w.bills(id).await[3];
    let part = LENGTH_US * 45 / 100..LENGTH_US * 46 / 100;
    assert!(part.contains(&bill.span.up_us), "{}", bill.span.up_us);
    // 100 x (0.95 - 0.45) / 0.95, rounded up.
    assert_eq!((bill.fee, bill.credit), (100, 53));
}

async fn after_a_transfer_each_owner_is_billed_for_the_own_epochs(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let (first, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 50_000).await;
    w.fund(ola, 50_000).await;
    let offer = w.hosting.offer_transfer(kari, first, ola, btc(0)).await.unwrap();
    let at = w.hosting.accept(ola, offer).await.unwrap();
    for n in from.0..at.0 + 2 {
        w.epoch(EpochNumber(n), 3_000, RATE, FULL).await;
    }
    w.settle(EpochNumber(at.0 + 1), &[]).await;
    let (old, new) = (w.bills(first).await, w.bills(offer).await);
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_eq!((old[0].from, old[0].until), (from, at));
    assert_eq!((new[0].from, new[0].until), (at, EpochNumber(at.0 + 2)));
    let sum = old[0].span.energy_uj + new[0].span.energy_uj;
    assert_eq!(sum, 3_000 * LENGTH_US * (at.0 + 2 - from.0));
    let state = w.hosting.contract(None, first).await.unwrap().state;
    assert_eq!(state, HostingState::Closing);
    // Kari's is not billed again.
    w.epoch(EpochNumber(at.0 + 2), 3_000, RATE, FULL).await;
    w.settle(EpochNumber(at.0 + 2), &[]).await;
    assert_eq!((w.bills(first).await.len(), w.bills(offer).await.len()), (1, 2));
}

async fn energy_told_late_of_a_contract_that_is_over_is_billed_as_long_as_samples_are_taken(
    store: Store,
) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 100_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    let until = w.hosting.end(id).await.unwrap().until;
    let last = EpochNumber(until.0 - 1);
    assert!(last > from, "an epoch in which the line was cut");
    for n in from.0 + 1..until.0 + 1 {
        w.clock.set(w.farm.rule(&lane()).unwrap().end(EpochNumber(n)));
        w.seal(EpochNumber(n), FULL).await;
    }
    w.settle(until, &[]).await;
    let state = async || w.hosting.contract(None, id).await.unwrap().state;
    assert_eq!(state().await, HostingState::Closing);
    let told = w.bills(id).await.iter().map(|b| b.span.energy_uj).sum::<u64>();
    assert_eq!(told, UJ_PER_KWH / 2, "of the first epoch only");
    // The line is mended after four weeks.
    w.clock.advance(Duration::from_secs(28 * 86_400));
    assert_eq!(w.report(last, 3_000, RATE).await, 0);
    w.settle(until, &[]).await;
    let bills = w.bills(id).await;
    let late = bills.last().unwrap();
    assert_eq!((late.span.energy_uj, late.span.span_us), (UJ_PER_KWH / 2, 0));
    assert_eq!((late.energy, late.fee, late.credit, late.paid), (500, 0, 0, 500));
    assert_eq!(state().await, HostingState::Closing);
    // What comes after that no sample is taken of: the contract is closed.
    w.clock.set(w.farm.rule(&lane()).unwrap().start(until).plus(LATE_MAX));
    assert!(w.report(until, 3_000, RATE).await > 0);
    w.settle(until, &[]).await;
    assert_eq!(state().await, HostingState::Closing);
    w.clock.advance(Duration::from_micros(1));
    w.settle(until, &[]).await;
    assert_eq!(state().await, HostingState::Ended);
    assert_eq!(w.bills(id).await.len(), bills.len(), "nothing new, no bill");
}

async fn old_energy_is_summed_up_by_days_to_the_microjoule_and_work_keeps_its_cost(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let rule = w.farm.rule(&lane()).unwrap();
    let first = rule.at(w.clock.now()).next();
    // Ten epochs are the house's, and every other has another power.
    for n in 0..10 {
        w.epoch(EpochNumber(first.0 + n), 3_000 + u32::try_from(n).unwrap() % 2 * 100, RATE, FULL)
            .await;
    }
    let (_, from) = w.hosted(kari, PayFrom::Balance).await;
    w.fund(kari, 1_000_000).await;
    for n in 0..3 {
        w.epoch(EpochNumber(from.0 + n), 3_001, RATE, FULL).await;
    }
    let last = EpochNumber(from.0 + 2);
    let taken: Vec<_> =
        (0..10).map(|n| (EpochNumber(first.0 + n), gruve_units::Hashes(1 << 50))).collect();
    let before = w.hosting.footprint(&lane(), &taken).await.unwrap();
    assert_eq!(before.uncovered, gruve_units::Hashes::ZERO);
    let all = async || {
        let mut tx = w.store.read().await.unwrap();
        let end = EpochNumber(last.0 + 1);
        let rows = w.farm.energy(&mut tx, w.machine, EpochNumber(0), end).await.unwrap();
        let days = w.farm.energy_days(&mut tx, w.machine).await.unwrap();
        let epochs: u64 = rows.iter().map(|r| r.slice.energy_uj).sum();
        let summed: u64 = days.iter().map(|d| d.energy_uj).sum();
        let billed: u64 = days.iter().map(|d| d.billed_uj).sum();
        (rows.len(), epochs + summed, billed)
    };
    let (rows, energy, _) = all().await;
    assert!(rows >= 13 && w.hosting.trim_energy(&lane(), 100).await.unwrap() == 0, "too young");
    w.clock.advance(Duration::from_secs(41 * 86_400));
    assert_eq!(w.hosting.trim_energy(&lane(), 4).await.unwrap(), 4, "no more than asked for");
    assert_eq!(all().await.1, energy);
    w.hosting.trim_energy(&lane(), 1_000).await.unwrap();
    let (left, still, _) = all().await;
    assert_eq!((left, still), (3, energy), "what a bill needs stays, and no microjoule is lost");
    w.settle(last, &[]).await;
    w.hosting.trim_energy(&lane(), 1_000).await.unwrap();
    let (left, still, billed) = all().await;
    assert_eq!((left, still, billed), (0, energy, 3_001 * 3 * LENGTH_US));
    // What the house's work cost is still known, by the day's mean.
    let after = w.hosting.footprint(&lane(), &taken).await.unwrap();
    assert_eq!((after.covered, after.uncovered), (before.covered, before.uncovered));
    let apart = before.energy_uj.abs_diff(after.energy_uj);
    assert!(apart * 1_000 < before.energy_uj, "{} {}", before.energy_uj, after.energy_uj);
}

async fn energy_that_was_told_late_is_kept_until_it_stands_on_a_bill(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let rule = w.farm.rule(&lane()).unwrap();
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    w.clock.set(rule.end(from));
    w.seal(from, FULL).await;
    w.settle(from, &[(kari, btc(10_000))]).await;
    assert_eq!(w.report(from, 3_000, RATE).await, 0);
    w.clock.advance(Duration::from_secs(41 * 86_400));
    w.hosting.trim_energy(&lane(), 1_000).await.unwrap();
    w.seal(from.next(), FULL).await;
    w.settle(from.next(), &[(kari, btc(10_000))]).await;
    let billed: u64 = w.bills(id).await.iter().map(|b| b.span.energy_uj).sum();
    assert_eq!(billed, 3_000 * LENGTH_US);
    // On the bill it needs no keeping.
    assert!(w.hosting.trim_energy(&lane(), 1_000).await.unwrap() > 0);
}

async fn the_last_bill_waits_for_no_earnings(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    let until = w.hosting.end(id).await.unwrap().until;
    for n in from.0 + 1..=until.0 {
        w.clock.set(w.farm.rule(&lane()).unwrap().end(EpochNumber(n)));
        w.seal(EpochNumber(n), 0).await;
    }
    w.settle(until, &[]).await;
    assert!(w.bills(id).await.is_empty(), "nothing was earned yet");
    w.clock.set(w.farm.rule(&lane()).unwrap().start(until).plus(LATE_MAX));
    w.clock.advance(Duration::from_micros(1));
    w.settle(until, &[]).await;
    let bills = w.bills(id).await;
    assert_eq!(bills.len(), 1);
    assert_eq!((bills[0].energy, bills[0].paid, bills[0].waived), (500, 0, bills[0].due));
    assert_eq!(w.hosting.contract(None, id).await.unwrap().state, HostingState::Ended);
}

laws! { bills: [
    bills_take_every_microjoule_once_and_carry_the_fractions,
    from_earnings_no_more_is_taken_than_was_earned_and_the_rest_is_waived,
    from_the_balance_what_it_does_not_cover_is_owed_and_taken_later,
    downtime_is_credited_and_late_telemetry_stands_on_the_next_bill,
    after_a_transfer_each_owner_is_billed_for_the_own_epochs,
    energy_told_late_of_a_contract_that_is_over_is_billed_as_long_as_samples_are_taken,
    old_energy_is_summed_up_by_days_to_the_microjoule_and_work_keeps_its_cost,
    energy_that_was_told_late_is_kept_until_it_stands_on_a_bill,
    the_last_bill_waits_for_no_earnings,
] }
