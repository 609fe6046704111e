//! Ordering machines by plans, their terms that end by themselves, and statements of bills, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use ed25519_dalek::SigningKey;
use gruve_farm::{Farm, MachineOwner, MachineState};
use gruve_hosting::{
    HostedTrack, Hosting, HostingError, HostingKind, HostingState, OfPlan, OfferTerms, Order,
    Ordered, PayFrom,
};
use gruve_ledger::{Account, LedgerError};
use gruve_statement::hosting::{HostingChecker, HostingStatement, HostingTerms};
use gruve_store::{Store, laws, transact};
use gruve_units::{
    AccountId, Blame, Blamed as _, ContractId, EpochNumber, Hashes, MachineId, SeededEntropy,
};
use std::sync::Arc;
use world::{
    CLASS, FULL, LENGTH_US, MODEL, RATE, World, account, btc, lane, stocked, terms, world,
};

fn order(price: i64, key: Option<&str>) -> Order {
    Order {
        plan: OfPlan { id: "own".into(), version: 3 },
        lane: lane(),
        model: MODEL.into(),
        terms: OfferTerms { minimum_payout_minor: 900, ..terms(PayFrom::Balance) },
        price: btc(price),
        request_key: key.map(str::to_owned),
    }
}

async fn place(w: &World, who: AccountId, order: &Order) -> Result<Ordered, HostingError> {
    let hosting = &w.hosting;
    transact!(w.store, tx -> Result<Ordered, HostingError> => {
        hosting.order_in(tx, who, order).await
    })
}

async fn state(w: &World, machine: MachineId) -> MachineState {
    let mut tx = w.store.read().await.unwrap();
    w.farm.inventory_of(&mut tx, machine).await.unwrap().state
}

async fn an_order_assigns_a_machine_in_stock_once_pays_and_certifies_it(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let machine = stocked(&w, 1).await;
    assert_eq!(w.hosting.in_stock(&lane(), MODEL).await.unwrap().0, 1);
    let poor = place(&w, kari, &order(500, Some("a"))).await;
    assert!(
        matches!(poor, Err(HostingError::Ledger(LedgerError::InsufficientFunds { .. }))),
        "{poor:?}"
    );
    assert_eq!(state(&w, machine).await, MachineState::Stock, "and nothing has happened");
    assert!(w.hosting.contracts(kari).await.unwrap().is_empty());
    w.fund(kari, 700).await;
    let bought = place(&w, kari, &order(500, Some("a"))).await.unwrap();
    assert_eq!((w.available(kari).await, w.balance(Account::OperatorRevenue).await), (200, 500));
    assert_eq!(state(&w, machine).await, MachineState::Running);
    let owners = w.farm.owners().await.unwrap();
    assert_eq!(owners.owner_in(machine, bought.from), Some(MachineOwner::Account(kari)));
    // A double click is the same order; the key of it is no other's.
    let again = place(&w, kari, &order(500, Some("a"))).await.unwrap();
    assert_eq!(again, Ordered { before: true, ..bought });
    let other = Order { plan: OfPlan { id: "own".into(), version: 4 }, ..order(500, Some("a")) };
    assert!(matches!(place(&w, kari, &other).await, Err(HostingError::KeyReused)));
    w.fund(ola, 700).await;
    assert!(matches!(place(&w, ola, &order(500, None)).await, Err(HostingError::SoldOut)));
    assert_eq!(w.available(ola).await, 700);

    let c = w.hosting.contract(Some(kari), bought.contract).await.unwrap();
    assert_eq!((c.state, c.plan.clone()), (HostingState::Active, Some(order(0, None).plan)));
    let file = w.hosting.signed_terms(&c).unwrap();
    assert_eq!(file.verified(Some(&w.key)).unwrap(), hex::encode(w.key));
    let agreed = HostingTerms::parse(file.terms.as_bytes()).unwrap();
    assert_eq!((agreed.plan.as_deref(), agreed.plan_version), (Some("own"), Some(3)));
    assert_eq!((agreed.minimum_payout_minor, agreed.price_minor), (Some(900), 500));
    let certificate = w.hosting.certificate(c.id).await.unwrap().check(&w.key).unwrap();
    assert_eq!(certificate.terms, file.sha256);
}

async fn what_is_offered_by_hand_or_somebodys_is_not_ordered(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let (first, second) = (stocked(&w, 1).await, stocked(&w, 2).await);
    let offer = w.hosting.offer(first, ola, terms(PayFrom::Balance), btc(0)).await.unwrap();
    let bought = place(&w, kari, &order(0, None)).await.unwrap();
    let machine = w.hosting.contract(None, bought.contract).await.unwrap().machine;
    assert_eq!(machine, second);
    // Sold from stock by hand: it is in stock still, and somebody's.
    w.hosting.accept(ola, offer).await.unwrap();
    assert_eq!(state(&w, first).await, MachineState::Stock);
    assert!(matches!(place(&w, kari, &order(0, None)).await, Err(HostingError::SoldOut)));
}

async fn racing_orders_never_sell_a_machine_twice(store: Store) {
    let w = world(store).await;
    for n in 0..3 {
        stocked(&w, n).await;
    }
    for n in 1..=8 {
        w.fund(account(n), 100).await;
    }
    let one = async |n: u8| loop {
        match place(&w, account(n), &order(100, None)).await {
            // The database gives up under a crowd: whoever ordered tries again.
            Err(e) if e.blame() == Blame::Transient => {}
            other => return other,
        }
    };
    let all = tokio::join!(one(1), one(2), one(3), one(4), one(5), one(6), one(7), one(8));
    let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
    let bought: Vec<ContractId> = all.iter().flatten().map(|o| o.contract).collect();
    assert_eq!(bought.len(), 3);
    let refused = all.iter().filter(|o| matches!(o, Err(HostingError::SoldOut))).count();
    assert_eq!(refused, 5);
    let mut machines = Vec::new();
    for id in bought {
        machines.push(w.hosting.contract(None, id).await.unwrap().machine);
    }
    machines.sort();
    machines.dedup();
    assert_eq!(machines.len(), 3);
    assert_eq!(w.balance(Account::OperatorRevenue).await, 300);
}

/// The machine of the world, sold for a term.
async fn hosted_for(w: &World, who: AccountId, of: OfferTerms) -> (ContractId, EpochNumber) {
    let id = w.hosting.offer(w.machine, who, of, btc(0)).await.unwrap();
    let from = w.hosting.accept(who, id).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    (id, from)
}

async fn a_term_ends_by_itself_at_its_epoch_and_is_billed_to_it(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    w.fund(kari, 100_000).await;
    let of = OfferTerms { term_epochs: 3, ..terms(PayFrom::Balance) };
    let (id, from) = hosted_for(&w, kari, of).await;
    let c = w.hosting.contract(None, id).await.unwrap();
    assert_eq!(c.until, Some(EpochNumber(from.0 + 3)));
    let owners = w.farm.owners().await.unwrap();
    let last = EpochNumber(from.0 + 2);
    assert_eq!(owners.owner_in(w.machine, last), Some(MachineOwner::Account(kari)));
    assert_eq!(owners.owner_in(w.machine, last.next()), Some(MachineOwner::House));
    // While it runs it is nobody else's.
    let offer = w.hosting.offer(w.machine, ola, terms(PayFrom::Balance), btc(0)).await;
    assert!(matches!(offer, Err(HostingError::NotYours)), "{offer:?}");
    for n in 0..5 {
        let epoch = EpochNumber(from.0 + n);
        w.epoch(epoch, 3_000, RATE, FULL).await;
        w.settle(epoch, &[]).await;
    }
    let bills = w.bills(id).await;
    assert_eq!(bills.last().unwrap().until, EpochNumber(from.0 + 3));
    assert_eq!(bills.iter().map(|b| b.fee).sum::<i64>(), 300);
    let c = w.hosting.contract(None, id).await.unwrap();
    assert_eq!(c.state, HostingState::Closing);
    assert_eq!(checked(&w, id).await[0].ended, None);
    // Over: it can be given to somebody else.
    let offer = w.hosting.offer(w.machine, ola, terms(PayFrom::Balance), btc(0)).await.unwrap();
    w.hosting.accept(ola, offer).await.unwrap();
    w.assert_sound().await;
}

async fn checked(w: &World, id: ContractId) -> Vec<HostingStatement> {
    let c = w.hosting.contract(None, id).await.unwrap();
    let file = w.hosting.signed_terms(&c).unwrap();
    let mut checker = HostingChecker::begin(file, Some(w.key)).unwrap();
    let (mut pages, mut next) = (Vec::new(), Some(1));
    while let Some(from) = next {
        let page = w.hosting.statement(&c, from).await.unwrap();
        // By way of the file, as the owner has it.
        let page = HostingStatement::parse(&serde_json::to_string(&page).unwrap()).unwrap();
        checker.page(&page).unwrap_or_else(|e| panic!("{e}"));
        next = page.next_bill;
        pages.push(page);
    }
    let report = checker.finish();
    assert_eq!(report.closing.arrears_minor, c.arrears);
    assert_eq!(report.bills, usize::try_from(c.bills).unwrap());
    pages
}

async fn a_statement_of_bills_is_recomputed_from_its_terms_alone(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Balance)).await;
    w.fund(kari, 1_234).await;
    for n in 0..6 {
        let epoch = EpochNumber(from.0 + n);
        // Half an hour without a share, and odd figures.
        let shares = if n == 2 { 0 } else { FULL };
        w.epoch(epoch, 3_001 + u32::try_from(n).unwrap(), RATE, shares).await;
        w.settle(epoch, &[]).await;
    }
    let pages = checked(&w, id).await;
    let bills: Vec<_> = pages.iter().flat_map(|p| &p.bills).collect();
    assert!(bills.len() == 6 && bills.iter().any(|b| b.credit_minor > 0));
    assert!(bills.iter().any(|b| b.arrears_minor > 0), "the balance ran out");

    // A page from the middle goes on from there.
    let c = w.hosting.contract(None, id).await.unwrap();
    let tail = w.hosting.statement(&c, 4).await.unwrap();
    assert_eq!((tail.opening.bills, tail.bills.len(), tail.next_bill), (3, 3, None));
}

async fn after_a_change_of_keys_papers_of_the_older_one_are_right(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Balance)).await;
    w.fund(kari, 1_234).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[]).await;
    w.assert_sound().await;
    // The same house, with its next key.
    let signer = SigningKey::from_bytes(&[6; 32]);
    let key = signer.verifying_key().to_bytes();
    let (farm, clock) = (w.farm.clone(), w.clock.clone());
    let entropy = Arc::new(SeededEntropy::new(10));
    let house = Hosting::new(w.store.clone(), farm, clock, entropy, signer, "example.org/gruve");
    let forgetful = house.clone();
    let house = house.with_former_keys([[9; 32], w.key, key]);
    let (ola, audited) = (account(2), async |house: &Hosting| {
        let mut tx = w.store.read().await.unwrap();
        house.audit(&mut tx).await.unwrap()
    });
    let audit = audited(&house).await;
    assert_eq!((audit.contracts, audit.bills, audit.certificates), (1, 1, 1));
    assert!(audit.findings.is_empty(), "{:?}", audit.findings);
    // Certificates of both keys follow each other, each handed out under its own.
    let handed = house.offer_transfer(kari, id, ola, btc(0)).await.unwrap();
    house.accept(ola, handed).await.unwrap();
    let keys = [(id, w.key), (handed, key)];
    for (contract, by) in keys {
        let signed = house.certificate(contract).await.unwrap();
        assert_eq!(signed.operator_key, hex::encode(by));
        assert_eq!(signed.check(&by).unwrap().contract, contract);
    }
    let all = house.certificates(w.machine).await.unwrap();
    let named: Vec<_> = all.iter().map(|signed| signed.operator_key.clone()).collect();
    assert_eq!(named, keys.map(|(_, by)| hex::encode(by)));
    let audit = audited(&house).await;
    assert_eq!((audit.certificates, audit.findings), (2, Vec::new()));
    // Papers of a key that the house never had are nobody's, whatever they say themselves.
    let findings = audited(&forgetful).await.findings;
    let found = |what: &str| findings.iter().any(|f| f.contains(what));
    assert!(found("has not signed its terms") && found("certificate 1"), "{findings:?}");
    assert!(!found("certificate 2"), "{findings:?}");
    // Its owner names both keys.
    let c = house.contract(None, id).await.unwrap();
    let page = house.statement(&c, 1).await.unwrap();
    let checker = HostingChecker::begin(house.signed_terms(&c).unwrap(), Some(w.key)).unwrap();
    assert!(checker.clone().page(&page).is_err());
    checker.or_by([key]).page(&page).unwrap();
}

async fn from_earnings_the_statement_says_what_was_waived(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = hosted_for(&w, kari, terms(PayFrom::Earnings)).await;
    for (n, earned) in [(0, 1_000), (1, 50), (2, 0), (3, 5_000)] {
        let epoch = EpochNumber(from.0 + n);
        w.epoch(epoch, 3_000, RATE, FULL).await;
        let credited = if earned > 0 { vec![(kari, btc(earned))] } else { Vec::new() };
        w.settle(epoch, &credited).await;
    }
    let pages = checked(&w, id).await;
    assert!(pages[0].closing.waived_minor > 0 && pages[0].closing.arrears_minor == 0);
}

async fn a_plans_record_is_what_bills_and_proofs_say_and_its_holders_may_speak(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    assert_eq!(w.hosting.track_record("own").await.unwrap(), HostedTrack::default());
    // By hand, and so of no plan.
    let other = stocked(&w, 1).await;
    let by_hand = w.hosting.offer(other, ola, terms(PayFrom::Balance), btc(0)).await.unwrap();
    w.hosting.accept(ola, by_hand).await.unwrap();
    w.farm.set_state(w.machine, MachineState::Stock).await.unwrap();
    w.fund(kari, 100_000).await;
    let lease = OfferTerms { kind: HostingKind::Leased, term_epochs: 10, ..order(0, None).terms };
    let order = Order { model: "S19 Pro".into(), terms: lease, ..order(500, None) };
    let bought = place(&w, kari, &order).await.unwrap();
    let held = async |who, id| w.hosting.held_plan(who, id).await.unwrap();
    assert_eq!(held(kari, bought.contract).await, None, "it has not begun");
    let from = bought.from;
    w.clock.set(w.farm.rule(&lane()).unwrap().start(from));
    assert_eq!(held(kari, bought.contract).await.as_deref(), Some("own"));
    assert_eq!(held(ola, bought.contract).await, None, "another's");
    assert_eq!(held(ola, by_hand).await, None, "of no plan");

    // An epoch at the nameplate, and one of nothing.
    w.epoch(from, 3_000, RATE, FULL).await;
    w.epoch(from.next(), 0, 0, 0).await;
    let before = w.hosting.track_record("own").await.unwrap();
    assert_eq!((before.billed_us, before.epochs), (0, 2), "no bill yet");
    w.settle(from.next(), &[]).await;
    let t = w.hosting.track_record("own").await.unwrap();
    assert_eq!((t.taken, t.running, t.billed_us, t.up_us), (1, 1, 2 * LENGTH_US, LENGTH_US));
    // A fee of 100 an epoch; 95 % of the time were promised.
    assert_eq!((t.fees.clone(), t.credited.clone()), (vec![btc(200)], vec![btc(95)]));
    assert_eq!((t.paid.clone(), t.given_back.clone()), (vec![btc(500)], vec![]));
    assert_eq!(t.nameplate.0, u128::from(RATE) * 600 * 2);
    assert_eq!(t.proven.0, u128::from(FULL) << CLASS);

    let ended = w.hosting.end(bought.contract).await.unwrap();
    assert_eq!(w.hosting.track_record("own").await.unwrap().running, 1, "until its border");
    w.clock.set(w.farm.rule(&lane()).unwrap().start(ended.until));
    let t = w.hosting.track_record("own").await.unwrap();
    assert_eq!((t.taken, t.running, t.by_operator, t.by_term), (1, 0, 1, 0));
    assert_eq!(t.given_back, vec![ended.back.unwrap()]);
    assert_eq!(held(kari, bought.contract).await.as_deref(), Some("own"), "it ran");
    // The lane is not configured any more: what is written down is told all the same.
    let (clock, entropy) = (w.clock.clone(), Arc::new(SeededEntropy::new(10)));
    let farm = Farm::new(w.store.clone(), clock.clone(), entropy.clone());
    let signer = SigningKey::from_bytes(&[5; 32]);
    let house = Hosting::new(w.store.clone(), farm, clock, entropy, signer, "example.org/gruve");
    let written = HostedTrack { epochs: 0, nameplate: Hashes::ZERO, proven: Hashes::ZERO, ..t };
    assert_eq!(house.track_record("own").await.unwrap(), written);
    let ran = house.held_plan(kari, bought.contract).await.unwrap();
    assert_eq!(ran.as_deref(), Some("own"));
    let machine = w.hosting.contract(None, bought.contract).await.unwrap().machine;
    assert_eq!(machine, w.machine);
}

laws! { orders: [
    a_plans_record_is_what_bills_and_proofs_say_and_its_holders_may_speak,
    an_order_assigns_a_machine_in_stock_once_pays_and_certifies_it,
    what_is_offered_by_hand_or_somebodys_is_not_ordered,
    racing_orders_never_sell_a_machine_twice,
    a_term_ends_by_itself_at_its_epoch_and_is_billed_to_it,
    a_statement_of_bills_is_recomputed_from_its_terms_alone,
    after_a_change_of_keys_papers_of_the_older_one_are_right,
    from_earnings_the_statement_says_what_was_waived,
] }
