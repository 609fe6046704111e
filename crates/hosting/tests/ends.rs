//! Contracts ended within their term, handed on, owed of afterwards, and orders that wait for invoices, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::{MachineOwner, MachineState};
use gruve_hosting::{
    ARREARS_MAX, EndedBy, HostingError, HostingKind, HostingState, OfPlan, OfferTerms, Order,
    PaidOrder, PayFrom, Reserved, UNPAID_MAX,
};
use gruve_ledger::Account;
use gruve_statement::hosting::{HostingChecker, HostingStatement, HostingTerms};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Bps, Clock as _, ContractId, EpochNumber};
use world::{FULL, MODEL, RATE, World, account, btc, lane, stocked, terms, world};

/// A lease of a machine for thirty epochs.
fn leased(pay_from: PayFrom) -> OfferTerms {
    OfferTerms { kind: HostingKind::Leased, term_epochs: 30, ..terms(pay_from) }
}

async fn hosted_for(
    w: &World,
    who: AccountId,
    of: OfferTerms,
    price: i64,
) -> (ContractId, EpochNumber) {
    let id = w.hosting.offer(w.machine, who, of, btc(price)).await.unwrap();
    let from = w.hosting.accept(who, id).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    (id, from)
}

async fn end_by_owner(
    w: &World,
    who: AccountId,
    id: ContractId,
) -> Result<EpochNumber, HostingError> {
    let hosting = &w.hosting;
    transact!(w.store, tx -> Result<EpochNumber, HostingError> => {
        Ok(hosting.end_in(tx, id, Some(who)).await?.until)
    })
}

/// The statement as its owner checks it.
async fn page(w: &World, id: ContractId) -> HostingStatement {
    let c = w.hosting.contract(None, id).await.unwrap();
    let mut checker =
        HostingChecker::begin(w.hosting.signed_terms(&c).unwrap(), Some(w.key)).unwrap();
    let page = w.hosting.statement(&c, 1).await.unwrap();
    checker.page(&page).unwrap_or_else(|e| panic!("{e}"));
    page
}

async fn owner_in(w: &World, epoch: EpochNumber) -> MachineOwner {
    w.farm.owners().await.unwrap().owner_in(w.machine, epoch).unwrap()
}

async fn a_lease_that_the_operator_ends_gives_back_what_is_left_and_one_that_its_owner_ends_nothing(
    store: Store,
) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    w.fund(kari, 1_000).await;
    let (id, from) = hosted_for(&w, kari, leased(PayFrom::Earnings), 1_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    let ended = w.hosting.end(id).await.unwrap();
    // Two epochs were had: twenty-eight thirtieths, rounded up.
    assert_eq!((ended.until.0 - from.0, ended.back), (2, Some(btc(934))));
    assert_eq!((w.available(kari).await, w.balance(Account::OperatorRevenue).await), (934, 66));
    assert_eq!(owner_in(&w, EpochNumber(ended.until.0 - 1)).await, MachineOwner::Account(kari));
    assert_eq!(owner_in(&w, ended.until).await, MachineOwner::House);
    assert_eq!(owner_in(&w, EpochNumber(from.0 + 29)).await, MachineOwner::House);
    let end = page(&w, id).await.ended.unwrap();
    assert_eq!((end.by, end.epochs_left, end.back_minor), (EndedBy::Operator, 28, 934));
    assert!(matches!(w.hosting.end(id).await, Err(HostingError::NotNow(_))), "once");
    w.assert_sound().await;

    // It can be given to the next one at once; who ends a lease himself gets nothing back.
    w.clock.set(w.farm.rule(&lane()).unwrap().start(ended.until));
    w.fund(ola, 1_000).await;
    let (id, _) = hosted_for(&w, ola, leased(PayFrom::Earnings), 1_000).await;
    assert!(matches!(end_by_owner(&w, kari, id).await, Err(HostingError::NoContract)));
    let until = end_by_owner(&w, ola, id).await.unwrap();
    assert_eq!(w.available(ola).await, 0);
    assert_eq!(owner_in(&w, until).await, MachineOwner::House);
    assert_eq!(page(&w, id).await.ended.unwrap().by, EndedBy::Owner);
    w.assert_sound().await;
}

async fn what_is_left_of_a_term_can_be_handed_on_and_comes_back_to_whoever_has_it(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    w.fund(kari, 1_000).await;
    w.fund(ola, 300).await;
    let (first, from) = hosted_for(&w, kari, leased(PayFrom::Earnings), 1_000).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    let offer = w.hosting.offer_transfer(kari, first, ola, btc(300)).await.unwrap();
    let border = w.hosting.accept(ola, offer).await.unwrap();
    assert_eq!((w.available(kari).await, w.available(ola).await), (300, 0));
    let ends = EpochNumber(from.0 + 30);
    assert_eq!(owner_in(&w, EpochNumber(border.0 - 1)).await, MachineOwner::Account(kari));
    for epoch in [border, EpochNumber(ends.0 - 1)] {
        assert_eq!(owner_in(&w, epoch).await, MachineOwner::Account(ola));
    }
    assert_eq!(owner_in(&w, ends).await, MachineOwner::House);
    let c = w.hosting.contract(None, offer).await.unwrap();
    assert_eq!((c.until, c.term_end), (Some(ends), Some(ends)));
    assert_eq!(page(&w, first).await.ended.unwrap().by, EndedBy::HandedOn);
    page(&w, offer).await;
    // The old one is nobody's to end or to hand on any more.
    assert!(matches!(w.hosting.end(first).await, Err(HostingError::NotNow(_))));
    let again = w.hosting.offer_transfer(kari, first, ola, btc(0)).await;
    assert!(matches!(again, Err(HostingError::NotYours)), "{again:?}");
    // Of what the operator was paid for thirty epochs, not of what the other was.
    w.clock.set(w.farm.rule(&lane()).unwrap().start(border));
    let ended = w.hosting.end(offer).await.unwrap();
    let left = i64::try_from(ends.0 - ended.until.0).unwrap();
    assert_eq!(ended.back, Some(btc((1_000 * left + 29) / 30)));
    page(&w, offer).await;
    w.assert_sound().await;
}

async fn a_contract_without_a_term_is_ended_by_either_side_and_a_sold_machine_stays_paid(
    store: Store,
) {
    let w = world(store).await;
    let kari = account(1);
    w.fund(kari, 1_000).await;
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Earnings), 1_000).await;
    let until = end_by_owner(&w, kari, id).await.unwrap();
    assert!(until > from && w.available(kari).await == 0);
    assert_eq!(page(&w, id).await.ended.unwrap().back_minor, 0);
    w.clock.set(w.farm.rule(&lane()).unwrap().start(until));
    // Sold for a term: nothing of its price is for a time.
    w.fund(kari, 1_000).await;
    let sold = OfferTerms { term_epochs: 30, ..terms(PayFrom::Earnings) };
    let (id, _) = hosted_for(&w, kari, sold, 1_000).await;
    assert_eq!(w.hosting.end(id).await.unwrap().back, None);
    assert_eq!(w.available(kari).await, 0);
    page(&w, id).await;
    w.assert_sound().await;
}

async fn what_is_owed_at_the_end_is_taken_from_the_balance_for_a_year(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Balance), 0).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[]).await;
    let until = w.hosting.end(id).await.unwrap().until;
    let last = until.back(1);
    w.epoch(last, 3_000, RATE, FULL).await;
    w.settle(last, &[]).await;
    let late = w.clock.now().plus(gruve_farm::LATE_MAX).plus(gruve_units::Duration::from_secs(601));
    w.clock.set(late);
    w.settle(last, &[]).await;
    let c = w.hosting.contract(None, id).await.unwrap();
    let owed = c.arrears;
    assert!(c.state == HostingState::Ended && owed > 10, "{c:?}");

    // A little, then the rest, each a bill of nothing else; what is more stays.
    w.fund(kari, 10).await;
    w.settle(last, &[]).await;
    assert_eq!((w.available(kari).await, w.bills(id).await.last().unwrap().paid), (0, 10));
    assert_eq!(page(&w, id).await.closing.arrears_minor, owed - 10);
    w.assert_sound().await;
    w.fund(kari, owed).await;
    w.settle(last, &[]).await;
    assert_eq!(w.available(kari).await, 10);
    let c = w.hosting.contract(None, id).await.unwrap();
    assert_eq!((c.state, c.arrears), (HostingState::Ended, 0));
    let bills = w.bills(id).await;
    assert_eq!((bills.last().unwrap().due, bills.last().unwrap().paid), (0, owed - 10));
    w.settle(last, &[]).await;
    assert_eq!(w.bills(id).await.len(), bills.len(), "nothing is owed, nothing is written");
    page(&w, id).await;
    w.assert_sound().await;
}

async fn what_is_owed_for_longer_than_a_year_is_not_taken(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Balance), 0).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.hosting.end(id).await.unwrap();
    let late = w.clock.now().plus(ARREARS_MAX).plus(gruve_units::Duration::from_secs(3_600));
    w.clock.set(late);
    w.settle(from.next(), &[]).await;
    w.seal(from.next(), 0).await;
    w.settle(from.next(), &[]).await;
    let owed = w.hosting.contract(None, id).await.unwrap();
    assert!(owed.state == HostingState::Ended && owed.arrears > 0, "{owed:?}");
    w.fund(kari, 1_000_000).await;
    w.settle(from.next(), &[]).await;
    assert_eq!(w.available(kari).await, 1_000_000);
}

fn order(key: Option<&str>) -> Order {
    Order {
        plan: OfPlan { id: "own".to_owned(), version: 3 },
        lane: lane(),
        model: MODEL.to_owned(),
        terms: terms(PayFrom::Earnings),
        price: btc(500),
        request_key: key.map(str::to_owned),
    }
}

async fn reserve(w: &World, who: AccountId, key: Option<&str>) -> Result<Reserved, HostingError> {
    let hosting = &w.hosting;
    transact!(w.store, tx -> Result<Reserved, HostingError> => {
        hosting.reserve_in(tx, who, &order(key)).await
    })
}

async fn paid(w: &World, id: ContractId) -> Option<PaidOrder> {
    let hosting = &w.hosting;
    transact!(w.store, tx -> Result<Option<PaidOrder>, HostingError> => {
        hosting.order_paid(tx, id).await
    })
    .unwrap()
}

async fn state(w: &World, id: ContractId) -> HostingState {
    w.hosting.contract(None, id).await.unwrap().state
}

async fn a_machine_waits_for_its_invoice_and_becomes_the_accounts_when_that_is_paid(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let machine = stocked(&w, 1).await;
    let kept = reserve(&w, kari, Some("a")).await.unwrap();
    assert!(kept.is_first && !kept.before);
    assert!(reserve(&w, kari, Some("a")).await.unwrap().before, "a double click");
    assert_eq!(w.hosting.in_stock(&lane(), MODEL).await.unwrap().0, 0);
    assert!(matches!(reserve(&w, ola, None).await, Err(HostingError::SoldOut)));
    let by_hand = w.hosting.offer(machine, ola, terms(PayFrom::Balance), btc(0)).await;
    assert!(matches!(by_hand, Err(HostingError::OfferOpen)), "{by_hand:?}");
    // It is not an offer that could be accepted past its invoice.
    let past = w.hosting.accept(kari, kept.contract).await;
    assert!(matches!(past, Err(HostingError::NotNow("ordered"))), "{past:?}");
    w.assert_sound().await;

    w.fund(kari, 700).await;
    let Some(PaidOrder::Begins(c, from)) = paid(&w, kept.contract).await else { panic!() };
    assert_eq!((c.id, w.available(kari).await), (kept.contract, 200));
    let owners = w.farm.owners().await.unwrap();
    assert_eq!(owners.owner_in(machine, from), Some(MachineOwner::Account(kari)));
    assert_eq!(state(&w, kept.contract).await, HostingState::Active);
    assert_eq!(paid(&w, kept.contract).await, Some(PaidOrder::Already));
    assert_eq!(w.available(kari).await, 200, "paid once");
    assert_eq!(paid(&w, ContractId::from_bytes([9; 16])).await, None);
    w.assert_sound().await;
}

async fn an_invoice_that_ends_frees_the_machine_and_a_late_payment_stays_in_the_balance(
    store: Store,
) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    stocked(&w, 1).await;
    let kept = reserve(&w, kari, None).await.unwrap().contract;
    let hosting = &w.hosting;
    let known = transact!(w.store, tx -> Result<bool, HostingError> => {
        hosting.order_expired(tx, kept).await
    });
    assert!(known.unwrap());
    assert_eq!(state(&w, kept).await, HostingState::Withdrawn);
    reserve(&w, ola, None).await.unwrap();
    w.fund(kari, 500).await;
    assert_eq!(paid(&w, kept).await, Some(PaidOrder::LeftInBalance));
    assert_eq!(w.available(kari).await, 500);
    w.assert_sound().await;
}

async fn a_machine_that_went_meanwhile_leaves_the_money_in_the_balance(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    for (n, gone) in [(1, MachineState::Returned), (2, MachineState::Maintenance)] {
        let machine = stocked(&w, n).await;
        let kept = reserve(&w, kari, None).await.unwrap().contract;
        w.farm.set_state(machine, gone).await.unwrap();
        w.fund(kari, 500 + i64::from(n)).await;
        assert_eq!(paid(&w, kept).await, Some(PaidOrder::LeftInBalance));
        assert_eq!(state(&w, kept).await, HostingState::Withdrawn);
    }
    assert_eq!((w.available(kari).await, w.balance(Account::OperatorRevenue).await), (1_003, 0));
    w.assert_sound().await;
}

async fn who_pays_nothing_keeps_little_from_others(store: Store) {
    let w = world(store).await;
    for n in 0..8 {
        stocked(&w, n).await;
    }
    // New accounts: one machine each, and half of what is there together.
    reserve(&w, account(1), None).await.unwrap();
    assert!(matches!(reserve(&w, account(1), None).await, Err(HostingError::HeldUnpaid)));
    for n in 2..=4 {
        reserve(&w, account(n), None).await.unwrap();
    }
    assert!(matches!(reserve(&w, account(5), None).await, Err(HostingError::HeldUnpaid)));
    // One that has had a machine may keep more, of what is there.
    let old = account(9);
    let had = w.hosting.offer(w.machine, old, terms(PayFrom::Balance), btc(0)).await.unwrap();
    w.hosting.accept(old, had).await.unwrap();
    for n in 0..2 {
        let kept = reserve(&w, old, None).await.unwrap();
        assert!(!kept.is_first, "{n}");
    }
    for n in 20..30 {
        stocked(&w, n).await;
    }
    for _ in 2..UNPAID_MAX {
        reserve(&w, old, None).await.unwrap();
    }
    assert!(matches!(reserve(&w, old, None).await, Err(HostingError::HeldUnpaid)));
}

async fn the_lowest_agreed_fee_counts_while_a_contract_runs_and_for_a_year_after(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let fee = |bps| OfferTerms { earnings_fee: Bps::new(bps), ..terms(PayFrom::Balance) };
    let fees = async || {
        let mut tx = w.store.read().await.unwrap();
        let all = w.hosting.agreed_fees(&mut tx, &lane(), w.clock.now()).await.unwrap();
        all.into_iter().map(|(who, bps)| (who, bps.get())).collect::<Vec<_>>()
    };
    let first = w.hosting.offer(w.machine, kari, fee(300), btc(0)).await.unwrap();
    assert_eq!(fees().await, [], "an offer is agreed by nobody yet");
    let from = w.hosting.accept(kari, first).await.unwrap();
    assert_eq!(fees().await, [(kari, 300)]);
    let other = stocked(&w, 1).await;
    let second = w.hosting.offer(other, kari, fee(100), btc(0)).await.unwrap();
    w.hosting.accept(kari, second).await.unwrap();
    assert_eq!(fees().await, [(kari, 100)]);
    // One from before it was agreed says nothing.
    let third = w.hosting.offer(stocked(&w, 2).await, ola, terms(PayFrom::Balance), btc(0)).await;
    w.hosting.accept(ola, third.unwrap()).await.unwrap();
    assert_eq!(fees().await, [(kari, 100)]);
    let c = w.hosting.contract(None, first).await.unwrap();
    let agreed = HostingTerms::parse(&c.terms_bytes).unwrap();
    assert_eq!((agreed.earnings_fee_bps, c.terms.earnings_fee), (Some(300), Bps::new(300)));
    // It goes along with a machine that is handed on.
    w.clock.set(w.farm.rule(&lane()).unwrap().end(from));
    let handed = w.hosting.offer_transfer(kari, second, ola, btc(0)).await.unwrap();
    w.hosting.accept(ola, handed).await.unwrap();
    w.hosting.end(first).await.unwrap();
    assert_eq!(fees().await, [(kari, 100), (ola, 100)]);
    w.assert_sound().await;

    let (day, over) = (gruve_units::Duration::from_secs(86_400), w.clock.now().plus(ARREARS_MAX));
    w.clock.set(over.minus(day));
    for epoch in [from.next(), from.next().next(), from.next().next().next()] {
        w.seal(epoch, 0).await;
        w.settle(epoch, &[]).await;
    }
    let state = w.hosting.contract(None, first).await.unwrap().state;
    assert_eq!((state, fees().await), (HostingState::Ended, vec![(kari, 100), (ola, 100)]));
    w.clock.set(over.plus(day));
    assert_eq!(fees().await, [(ola, 100)]);
}

/// On the side of whoever's password is new.
async fn a_new_password_takes_back_own_offers_and_what_was_agreed_and_nothing_of_others(
    store: Store,
) {
    let w = world(store).await;
    let (kari, ola, per) = (account(1), account(2), account(3));
    // A machine of each, of which Kari's first was handed on before, and has begun with Ola.
    let mut machines = vec![w.machine];
    for n in 1..4 {
        machines.push(stocked(&w, n).await);
    }
    let mut owned = Vec::new();
    for (machine, who) in machines.into_iter().zip([kari, kari, ola, per]) {
        let id = w.hosting.offer(machine, who, terms(PayFrom::Balance), btc(0)).await.unwrap();
        let from = w.hosting.accept(who, id).await.unwrap();
        owned.push((id, from));
    }
    w.clock.set(w.farm.rule(&lane()).unwrap().end(owned[3].1));
    let offer = async |from: AccountId, n: usize, to: AccountId| {
        w.hosting.offer_transfer(from, owned[n].0, to, btc(0)).await.unwrap()
    };
    let gone = offer(kari, 0, ola).await;
    w.hosting.accept(ola, gone).await.unwrap();
    let (hers, his, pers) =
        (offer(kari, 1, ola).await, offer(ola, 2, kari).await, offer(per, 3, ola).await);
    let look = async |id| w.hosting.contract(None, id).await.unwrap();
    let agree = async |id| {
        let c = look(id).await;
        transact!(w.store, tx -> Result<_, HostingError> => { w.hosting.agree_in(tx, &c).await })
    };
    let (since, is_new) = agree(hers).await.unwrap();
    assert!(is_new && since == w.clock.now());
    w.clock.advance(gruve_units::Duration::from_secs(60));
    assert_eq!(agree(hers).await.unwrap(), (since, false), "agreed since then");
    for id in [his, pers] {
        assert!(agree(id).await.unwrap().1);
    }
    // What the house itself offers is taken, not agreed to; nor is what is over.
    let houses = w.hosting.offer(stocked(&w, 9).await, kari, terms(PayFrom::Balance), btc(0)).await;
    for id in [houses.unwrap(), gone] {
        assert!(matches!(agree(id).await, Err(HostingError::NotNow(_))));
    }

    w.hosting.drop_handing(kari).await.unwrap();
    let at = async |id| {
        let c = look(id).await;
        (c.state, c.agreed_at.is_some())
    };
    assert_eq!(at(hers).await.0, HostingState::Withdrawn, "her offer");
    assert_eq!(at(his).await, (HostingState::Offered, false), "what she agreed to take");
    assert_eq!(at(pers).await, (HostingState::Offered, true), "nothing of hers");
    assert_eq!(at(gone).await.0, HostingState::Active, "what was taken stays taken");
    w.assert_sound().await;
}

laws! { ends: [
    a_new_password_takes_back_own_offers_and_what_was_agreed_and_nothing_of_others,
    a_lease_that_the_operator_ends_gives_back_what_is_left_and_one_that_its_owner_ends_nothing,
    what_is_left_of_a_term_can_be_handed_on_and_comes_back_to_whoever_has_it,
    a_contract_without_a_term_is_ended_by_either_side_and_a_sold_machine_stays_paid,
    what_is_owed_at_the_end_is_taken_from_the_balance_for_a_year,
    what_is_owed_for_longer_than_a_year_is_not_taken,
    a_machine_waits_for_its_invoice_and_becomes_the_accounts_when_that_is_paid,
    an_invoice_that_ends_frees_the_machine_and_a_late_payment_stays_in_the_balance,
    a_machine_that_went_meanwhile_leaves_the_money_in_the_balance,
    who_pays_nothing_keeps_little_from_others,
    the_lowest_agreed_fee_counts_while_a_contract_runs_and_for_a_year_after,
] }
