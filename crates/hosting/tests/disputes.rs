//! Machines whose payment is disputed, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::{MachineOwner, MachineState};
use gruve_hosting::{
    EndedBy, HostingError, HostingKind, HostingState, OfferTerms, PayFrom, PaymentDispute,
    PaymentWord,
};
use gruve_statement::hosting::HostingChecker;
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, ContractId, EpochNumber};
use world::{World, account, btc, lane, terms, world};

async fn bought(w: &World, kind: HostingKind, price: i64) -> (ContractId, EpochNumber) {
    let kari = account(1);
    w.fund(kari, price).await;
    let term_epochs = if kind == HostingKind::Leased { 30 } else { 0 };
    let of = OfferTerms { kind, term_epochs, ..terms(PayFrom::Earnings) };
    let id = w.hosting.offer(w.machine, kari, of, btc(price)).await.unwrap();
    let from = w.hosting.accept(kari, id).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    (id, from)
}

async fn says(w: &World, id: ContractId, cause: &str, word: PaymentDispute) -> PaymentWord {
    let hosting = &w.hosting;
    let said = transact!(w.store, tx -> Result<_, HostingError> => {
        hosting.payment_disputed(tx, id, cause, word).await
    });
    said.unwrap().unwrap()
}

async fn hand_on(w: &World, id: ContractId, to: AccountId) -> Result<ContractId, HostingError> {
    w.hosting.offer_transfer(account(1), id, to, btc(0)).await
}

async fn state_of_machine(w: &World) -> MachineState {
    let mut tx = w.store.read().await.unwrap();
    w.farm.inventory_of(&mut tx, w.machine).await.unwrap().state
}

async fn a_frozen_machine_is_handed_on_to_nobody_until_the_dispute_is_won(store: Store) {
    let w = world(store).await;
    let (id, _) = bought(&w, HostingKind::Sold, 1_000).await;
    let (ola, other) = (account(2), ContractId::from_bytes([7; 16]));
    let offer = hand_on(&w, id, ola).await.unwrap();
    assert_eq!(says(&w, id, "dp_1", PaymentDispute::Open).await, PaymentWord::Freezes);
    assert_eq!(
        says(&w, id, "dp_1", PaymentDispute::Open).await,
        PaymentWord::Nothing,
        "told again"
    );
    assert!(w.hosting.contract(None, id).await.unwrap().is_frozen);
    // What was offered before is no way out either.
    assert!(matches!(w.hosting.accept(ola, offer).await, Err(HostingError::NotNow(_))));
    assert!(matches!(hand_on(&w, id, ola).await, Err(HostingError::Disputed)));
    assert_eq!(says(&w, id, "dp_2", PaymentDispute::Open).await, PaymentWord::Nothing, "frozen");
    assert_eq!(
        says(&w, id, "dp_1", PaymentDispute::Won).await,
        PaymentWord::Nothing,
        "one is open"
    );
    assert!(matches!(hand_on(&w, id, ola).await, Err(HostingError::Disputed)));
    assert_eq!(says(&w, id, "dp_2", PaymentDispute::Won).await, PaymentWord::Thaws);
    assert_eq!(
        says(&w, id, "dp_2", PaymentDispute::Lost(9)).await,
        PaymentWord::Nothing,
        "settled"
    );
    let c = w.hosting.contract(None, id).await.unwrap();
    assert_eq!((c.is_frozen, c.state, c.ended), (false, HostingState::Active, None));
    hand_on(&w, id, ola).await.unwrap();
    let hosting = &w.hosting;
    let none = transact!(w.store, tx -> Result<_, HostingError> => {
        hosting.payment_disputed(tx, other, "dp_3", PaymentDispute::Open).await
    });
    assert_eq!(none.unwrap(), None);
    w.assert_sound().await;
}

async fn a_loss_takes_the_machine_back_into_stock_and_gives_back_what_was_not_lost(store: Store) {
    let w = world(store).await;
    for (kind, lost, worth) in [
        (HostingKind::Sold, 700, 1_000),
        (HostingKind::Sold, 5_000, 1_000),
        // All but the first epoch of thirty is left: ⌈1,000 · 29 / 30⌉.
        (HostingKind::Leased, 100, 967),
        (HostingKind::Leased, 1_000, 967),
    ] {
        let before = w.available(account(1)).await;
        let (id, from) = bought(&w, kind, 1_000).await;
        says(&w, id, "dp", PaymentDispute::Open).await;
        let PaymentWord::Ends(ended) = says(&w, id, "dp", PaymentDispute::Lost(lost)).await else {
            panic!("it does not end")
        };
        assert_eq!(ended.until, from.next());
        let back = (worth - lost).max(0);
        assert_eq!(ended.back.map_or(0, |b| b.minor), back, "{kind:?} {lost}");
        assert_eq!(
            ended.left, worth,
            "a coin that paid a part of it bears nothing of the loss first"
        );
        assert_eq!(w.available(account(1)).await, before + back);
        let c = w.hosting.contract(None, id).await.unwrap();
        assert_eq!(
            (c.ended.map(|e| e.0), c.until),
            (Some(EndedBy::ChargedBack), Some(from.next()))
        );
        assert_eq!(state_of_machine(&w).await, MachineState::Stock);
        let owners = w.farm.owners().await.unwrap();
        let own = MachineOwner::Account(account(1));
        assert_eq!(owners.owner_in(w.machine, from).unwrap(), own);
        assert_eq!(owners.owner_in(w.machine, from.next()).unwrap(), MachineOwner::House);
        let signed = w.hosting.signed_terms(&c).unwrap();
        let page = w.hosting.statement(&c, 1).await.unwrap();
        assert_eq!(page.ended.unwrap().back_minor, back);
        HostingChecker::begin(signed, Some(w.key)).unwrap().page(&page).unwrap();
        assert_eq!(says(&w, id, "dp_late", PaymentDispute::Lost(1)).await, PaymentWord::Nothing);
        w.assert_sound().await;
        w.clock.set(w.farm.rule(&lane()).unwrap().start(ended.until));
    }
}

async fn a_loss_that_the_balance_paid_ends_nothing(store: Store) {
    let w = world(store).await;
    let (id, _) = bought(&w, HostingKind::Sold, 1_000).await;
    says(&w, id, "dp", PaymentDispute::Open).await;
    assert_eq!(says(&w, id, "dp", PaymentDispute::Lost(0)).await, PaymentWord::Thaws);
    let c = w.hosting.contract(None, id).await.unwrap();
    assert_eq!((c.state, c.is_frozen, c.ended), (HostingState::Active, false, None));
    w.assert_sound().await;
}

async fn a_dispute_about_a_contract_that_is_over_takes_nothing_from_whoever_has_the_machine(
    store: Store,
) {
    let w = world(store).await;
    let (id, _) = bought(&w, HostingKind::Sold, 1_000).await;
    let (ola, per) = (account(2), account(3));
    let handed = hand_on(&w, id, ola).await.unwrap();
    let from = w.hosting.accept(ola, handed).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    let offer = w.hosting.offer_transfer(ola, handed, per, btc(0)).await.unwrap();
    assert_eq!(says(&w, id, "dp", PaymentDispute::Open).await, PaymentWord::Nothing);
    w.hosting.accept(per, offer).await.unwrap();
    assert_eq!(says(&w, id, "dp", PaymentDispute::Lost(700)).await, PaymentWord::Nothing);
    w.assert_sound().await;
}

async fn a_loss_without_a_word_before_takes_an_open_offer_back(store: Store) {
    let w = world(store).await;
    let (id, _) = bought(&w, HostingKind::Sold, 1_000).await;
    let offer = hand_on(&w, id, account(2)).await.unwrap();
    let said = says(&w, id, "dp", PaymentDispute::Lost(700)).await;
    assert!(matches!(said, PaymentWord::Ends(_)), "{said:?}");
    let late = w.hosting.accept(account(2), offer).await;
    assert!(matches!(late, Err(HostingError::NotNow(_))), "{late:?}");
    w.assert_sound().await;
}

async fn a_machine_that_was_sold_is_not_handed_out_while_its_payment_is_disputed(store: Store) {
    let w = world(store).await;
    let ended = async |id: ContractId, by: Option<AccountId>| {
        let hosting = &w.hosting;
        transact!(w.store, tx -> Result<_, HostingError> => { hosting.end_in(tx, id, by).await })
    };
    let kari = Some(account(1));
    let (id, _) = bought(&w, HostingKind::Sold, 1_000).await;
    says(&w, id, "dp", PaymentDispute::Open).await;
    let out = ended(id, kari).await;
    assert!(matches!(out, Err(HostingError::Disputed)), "{out:?}");
    says(&w, id, "dp", PaymentDispute::Won).await;
    let until = ended(id, kari).await.unwrap().until;
    w.clock.set(w.farm.rule(&lane()).unwrap().start(until));
    // A leased one stays where it is, whoever ends the lease.
    let (id, _) = bought(&w, HostingKind::Leased, 1_000).await;
    says(&w, id, "dp", PaymentDispute::Open).await;
    ended(id, kari).await.unwrap();
    w.assert_sound().await;
}

laws! { disputes: [
    a_dispute_about_a_contract_that_is_over_takes_nothing_from_whoever_has_the_machine,
    a_loss_without_a_word_before_takes_an_open_offer_back,
    a_machine_that_was_sold_is_not_handed_out_while_its_payment_is_disputed,
    a_frozen_machine_is_handed_on_to_nobody_until_the_dispute_is_won,
    a_loss_takes_the_machine_back_into_stock_and_gives_back_what_was_not_lost,
    a_loss_that_the_balance_paid_ends_nothing,
] }
