//! What hosting promises of owners, addresses and blocks, on both engines; of bills: `bills.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_farm::{MachineOwner, MachineState, NewInventory};
use gruve_hosting::honesty::Verdict;
use gruve_hosting::{
    ADDRESS_WAIT, Address, BlockFee, BlockPart, HostingError, IN_BLOCK_MAX, OfferTerms, OwnBlock,
    Part, PayFrom, Scheme,
};
use gruve_ledger::Account;
use gruve_store::{Store, laws};
use gruve_units::{
    AccountId, Bps, Clock as _, ContractId, Duration, EpochNumber, Hashrate, Timestamp,
};
use world::{FULL, RATE, account, btc, lane, terms, world};

async fn a_machine_changes_owner_when_both_sides_agree_and_is_certified(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let offer = w.hosting.offer(w.machine, kari, terms(PayFrom::Balance), btc(500)).await.unwrap();
    let second = w.hosting.offer(w.machine, ola, terms(PayFrom::Balance), btc(1)).await;
    assert!(matches!(second, Err(HostingError::OfferOpen)));
    assert!(matches!(w.hosting.accept(ola, offer).await, Err(HostingError::NoContract)));
    assert!(w.hosting.accept(kari, offer).await.is_err(), "she cannot pay");
    assert!(w.farm.owners().await.unwrap().is_empty(), "and nothing has happened");
    w.fund(kari, 700).await;
    let from = w.hosting.accept(kari, offer).await.unwrap();
    assert_eq!((w.available(kari).await, w.balance(Account::OperatorRevenue).await), (200, 500));
    assert!(matches!(w.hosting.accept(kari, offer).await, Err(HostingError::NotNow(_))));
    let owners = w.farm.owners().await.unwrap();
    assert_eq!(owners.owner_in(w.machine, from), Some(MachineOwner::Account(kari)));

    let signed = w.hosting.certificate(offer).await.unwrap();
    let certificate = signed.check(&w.key).unwrap();
    assert_eq!((certificate.owner, certificate.from_epoch, certificate.number), (kari, from, 1));
    let contract = w.hosting.contract(Some(kari), offer).await.unwrap();
    assert_eq!(certificate.terms, hex::encode(contract.terms_hash));
    assert!(matches!(
        w.hosting.offer(w.machine, ola, terms(PayFrom::Balance), btc(1)).await,
        Err(HostingError::NotYours)
    ));
}

async fn a_transfer_pays_the_owner_before_and_chains_the_certificates(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let (first, from) = w.hosted(kari, PayFrom::Balance).await;
    assert!(w.hosting.offer_transfer(ola, first, kari, btc(1)).await.is_err(), "not his");
    let own = w.hosting.offer_transfer(kari, first, kari, btc(1)).await;
    assert!(matches!(own, Err(HostingError::SameOwner)));
    let offer = w.hosting.offer_transfer(kari, first, ola, btc(300)).await.unwrap();
    w.fund(ola, 300).await;
    let before = w.clock.now();
    let handed = async |who: AccountId, since: Timestamp| {
        let asset = gruve_units::Asset::Btc;
        gruve_store::transact!(w.store, tx -> Result<_, HostingError> => {
            w.hosting.handed_over_since(tx, who, asset, since).await
        })
        .unwrap()
    };
    assert_eq!(handed(ola, Timestamp::from_secs(0)).await, (0, 0), "an offer is nothing paid");
    w.clock.advance(Duration::from_secs(1));
    let at = w.hosting.accept(ola, offer).await.unwrap();
    assert_eq!(handed(ola, before).await, (300, 300));
    assert_eq!(handed(kari, before).await, (0, 300), "the buyer's, not the seller's");
    assert_eq!(handed(ola, w.clock.now()).await, (0, 0));
    assert!(at > from);
    assert_eq!((w.available(kari).await, w.available(ola).await), (300, 0));
    let owners = w.farm.owners().await.unwrap();
    let before = owners.owner_in(w.machine, EpochNumber(at.0 - 1));
    assert_eq!(before, Some(MachineOwner::Account(kari)));
    assert_eq!(owners.owner_in(w.machine, at), Some(MachineOwner::Account(ola)));
    assert_eq!(w.hosting.contract(Some(kari), first).await.unwrap().until, Some(at));
    let all = w.hosting.certificates(w.machine).await.unwrap();
    let second = all[1].check(&w.key).unwrap();
    let hash = <sha2::Sha256 as sha2::Digest>::digest(all[0].certificate.as_bytes());
    assert_eq!((second.number, second.previous), (2, hex::encode(hash)));
    // Kari's contract is over: she cannot sell it again.
    assert!(matches!(
        w.hosting.offer_transfer(kari, first, account(3), btc(1)).await,
        Err(HostingError::NotYours)
    ));
}

async fn an_offer_can_be_taken_back_by_either_side_and_an_end_takes_back_all(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let offer = w.hosting.offer(w.machine, kari, terms(PayFrom::Balance), btc(0)).await.unwrap();
    assert!(w.hosting.withdraw(offer, Some(ola)).await.is_err(), "none of his business");
    w.hosting.withdraw(offer, Some(kari)).await.unwrap();
    assert!(matches!(w.hosting.accept(kari, offer).await, Err(HostingError::NotNow("withdrawn"))));
    let (id, _) = w.hosted(kari, PayFrom::Balance).await;
    let open = w.hosting.offer_transfer(kari, id, ola, btc(0)).await.unwrap();
    let until = w.hosting.end(id).await.unwrap().until;
    assert!(matches!(w.hosting.accept(ola, open).await, Err(HostingError::NotNow(_))));
    assert!(matches!(w.hosting.end(id).await, Err(HostingError::NotNow(_))));
    let owner = w.farm.owners().await.unwrap().owner_in(w.machine, until);
    assert_eq!(owner, Some(MachineOwner::House));
    // And may be offered again.
    w.hosting.offer(w.machine, ola, terms(PayFrom::Balance), btc(0)).await.unwrap();
}

async fn an_offer_of_a_machine_that_was_handed_out_cannot_be_accepted(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    w.fund(kari, 500).await;
    let offer = w.hosting.offer(w.machine, kari, terms(PayFrom::Balance), btc(500)).await.unwrap();
    w.farm.set_state(w.machine, MachineState::Returned).await.unwrap();
    assert!(matches!(w.hosting.accept(kari, offer).await, Err(HostingError::NotYours)));
    assert_eq!(w.available(kari).await, 500);
    // What is in stock again may be bought.
    w.farm.set_state(w.machine, MachineState::Stock).await.unwrap();
    w.hosting.accept(kari, offer).await.unwrap();
}

async fn a_machine_that_claims_twice_its_hashrate_is_flagged_and_an_honest_one_is_not(
    store: Store,
) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Balance).await;
    let contract = w.hosting.contract(None, id).await.unwrap();
    w.epoch(from, 3_000, RATE, FULL).await;
    let seen = w.hosting.machine(w.machine, Some(&contract)).await.unwrap();
    assert_eq!(seen.verdict, Verdict::Consistent);
    let (rate, low, high) = seen.proven_rate();
    assert!(low < rate && rate < high && low.0 < u128::from(RATE) && u128::from(RATE) < high.0);
    assert_eq!(seen.claimed_rate().0, u128::from(RATE));
    assert_eq!(seen.footprint.watt_hours(), 500);
    w.epoch(from.next(), 3_000, 2 * RATE, FULL).await;
    let once = EpochNumber(from.0 + 2);
    w.epoch(once, 3_000, 2 * RATE, FULL).await;
    w.clock.advance(Duration::from_micros(1));
    let seen = w.hosting.machine(w.machine, Some(&contract)).await.unwrap();
    assert_eq!(seen.verdict, Verdict::ClaimsTooMuch);
    assert_eq!(seen.epochs.len(), 3);
}

async fn what_an_owners_machines_prove_now_is_told_by_their_shares_and_of_the_own_epochs_alone(
    store: Store,
) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let now = async |who| w.hosting.proven_now(who).await.unwrap();
    assert!(now(kari).await.is_empty(), "nothing is counted yet");
    let (_, from) = w.hosted(kari, PayFrom::Balance).await;
    w.seal(from.back(1), FULL).await;
    assert!(now(kari).await.is_empty(), "that was the house's work");
    w.epoch(from, 3_000, RATE, FULL).await;
    let told = now(kari).await;
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&one.lane, one.epoch, one.machines, one.shares), (&lane(), from, 1, FULL));
    let ((low, high), rate) = (one.between, u128::from(RATE));
    assert!(low < one.rate && one.rate < high && low.0 < rate && rate < high.0, "{one:?}");
    assert!(now(ola).await.is_empty(), "nobody else's");
    // No share: the machine is there all the same, and proves nothing.
    w.epoch(from.next(), 3_000, RATE, 0).await;
    let told = now(kari).await;
    assert_eq!((told[0].machines, told[0].shares, told[0].rate), (1, 0, Hashrate(0)));
    assert_eq!(told[0].between, (Hashrate(0), Hashrate(0)));
}

async fn a_changed_address_waits_a_day_and_the_first_one_does_not(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, _) = w.hosted(kari, PayFrom::Balance).await;
    let now = || w.clock.now();
    let at = async || w.hosting.contract(Some(kari), id).await.unwrap().address;
    w.hosting.set_address(kari, id, "bc1first").await.unwrap();
    assert_eq!(at().await.at(now()), Some("bc1first"));
    w.hosting.set_address(kari, id, "bc1second").await.unwrap();
    assert_eq!(at().await.at(now()), Some("bc1first"));
    w.clock.advance(ADDRESS_WAIT);
    assert_eq!(at().await.at(now()), Some("bc1second"));
    let other = w.hosting.set_address(account(2), id, "bc1thief").await;
    assert!(matches!(other, Err(HostingError::NoContract)));
    assert!(w.hosting.set_address(kari, id, "").await.is_err());
}

async fn an_address_that_does_not_count_yet_is_dropped_and_one_that_does_stays(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, _) = w.hosted(kari, PayFrom::Balance).await;
    let at = async || w.hosting.contract(Some(kari), id).await.unwrap().address;
    let set = async |address: &str, partners: &[Part]| {
        let set = gruve_store::transact!(w.store, tx -> Result<Timestamp, HostingError> => {
            w.hosting.set_address_in(tx, kari, id, (address, partners), ADDRESS_WAIT).await
        });
        set.unwrap()
    };
    // The first one, while it waits.
    set("bc1thief", &[]).await;
    assert_eq!(w.hosting.drop_next_addresses(account(2)).await.unwrap(), 0, "nobody else's");
    assert!(at().await.next.is_some());
    assert_eq!(w.hosting.drop_next_addresses(kari).await.unwrap(), 1);
    assert_eq!(at().await, Address::default());
    // One that counts by now stays with its partner, and what was to follow it goes with its own.
    let partner = |name: &str| Part { address: name.to_owned(), bps: Bps::new(3_000).unwrap() };
    let from = set("bc1own", &[partner("bc1friend")]).await;
    w.clock.advance(ADDRESS_WAIT);
    set("bc1thief", &[partner("bc1thieves")]).await;
    assert_eq!(w.hosting.drop_next_addresses(kari).await.unwrap(), 1);
    w.clock.advance(ADDRESS_WAIT);
    assert_eq!(at().await.at(w.clock.now()), Some("bc1own"));
    let splits = w.hosting.splits(id).await.unwrap();
    let [split] = &splits[..] else { panic!("{splits:?}") };
    assert_eq!((split.from, split.parts[1].address.as_str()), (from, "bc1friend"));
    assert_eq!(w.hosting.drop_next_addresses(kari).await.unwrap(), 0);
}

async fn bills_are_read_page_by_page(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    let mut epoch = from;
    for _ in 0..3 {
        w.epoch(epoch, 3_000, RATE, FULL).await;
        w.settle(epoch, &[(kari, btc(5_000))]).await;
        epoch = epoch.next();
    }
    let whole = w.hosting.bills(id, 10).await.unwrap();
    assert_eq!(whole.iter().map(|b| b.number).collect::<Vec<_>>(), [3, 2, 1]);
    let first = w.hosting.bills_before(id, None, 2).await.unwrap();
    let rest = w.hosting.bills_before(id, Some(2), 2).await.unwrap();
    assert_eq!([first, rest].concat(), whole);
}

async fn a_first_address_may_wait_and_what_is_earned_meanwhile_stays_in_the_balance(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    let counts = w.farm.rule(&lane()).unwrap().end(from.next());
    let wait = counts.since(w.clock.now());
    let set = gruve_store::transact!(w.store, tx -> Result<_, HostingError> => {
        w.hosting.set_address_in(tx, kari, id, ("bc1own", &[]), wait).await
    });
    assert_eq!(set.unwrap(), counts);
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[(kari, btc(5_000))]).await;
    assert!(w.hosting.payables(None).await.unwrap().is_empty(), "no address yet, no payment");
    w.epoch(from.next(), 3_000, RATE, FULL).await;
    assert_eq!(w.clock.now(), counts);
    let at = w.hosting.contract(Some(kari), id).await.unwrap().address;
    assert_eq!(at.at(counts), Some("bc1own"));
    w.settle(from.next(), &[(kari, btc(5_000))]).await;
    let all = w.hosting.payables(None).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].amount, all[0].address.as_deref()), (btc(4_400), Some("bc1own")));
}

async fn earnings_less_bills_go_to_the_address_and_are_asked_for_once(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let (id, from) = w.hosted(kari, PayFrom::Earnings).await;
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[(kari, btc(5_000))]).await;
    assert!(w.hosting.payables(None).await.unwrap().is_empty(), "no address, no payment");
    w.hosting.set_address(kari, id, "bc1own").await.unwrap();
    w.epoch(from.next(), 3_000, RATE, FULL).await;
    w.settle(from.next(), &[(kari, btc(5_000)), (account(2), btc(70))]).await;
    let all = w.hosting.payables(None).await.unwrap();
    assert_eq!(all.len(), 1, "who has no machine is paid as ever");
    assert_eq!((all[0].amount, all[0].address.as_deref()), (btc(4_400), Some("bc1own")));
    assert!(w.hosting.begin_payment(&all[0], 4_401, "bc1own").await.is_err());
    let payment = w.hosting.begin_payment(&all[0], 4_000, "bc1own").await.unwrap();
    assert!(payment.key.len() <= 64 && payment.amount == btc(4_000));
    // Killed here: the same payment again, whatever was earned and changed meanwhile.
    let again = w.hosting.begin_payment(&all[0], 10, "bc1other").await.unwrap();
    assert_eq!(again, payment);
    let seen = w.hosting.payables(None).await.unwrap().remove(0);
    assert_eq!(seen.pending.as_ref(), Some(&payment));
    for _ in 0..2 {
        w.hosting.end_payment(&seen, &payment).await.unwrap();
    }
    let rest = w.hosting.payables(None).await.unwrap().remove(0);
    assert_eq!((rest.amount, rest.pending.clone()), (btc(400), None));
    let next = w.hosting.begin_payment(&rest, 400, "bc1own").await.unwrap();
    assert_ne!(next.key, payment.key);
    w.hosting.end_payment(&rest, &next).await.unwrap();
    assert!(w.hosting.payables(None).await.unwrap().is_empty());
}

async fn rows_that_cannot_be_paid_hide_no_owner_behind_them(store: Store) {
    const DUST: &str = "INSERT INTO hosting_payables (account, lane, asset, minor, n) \
        VALUES ($1, 'btc', 'BTC', 1, 0)";
    let w = world(store).await;
    let who = |n: u64| {
        AccountId::from_bytes([vec![0; 8], n.to_be_bytes().to_vec()].concat().try_into().unwrap())
    };
    gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
        for n in 1..=1_001u64 {
            tx.execute(DUST, &gruve_store::params![who(n)]).await?;
        }
        Ok(())
    })
    .unwrap();
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page = w.hosting.payables(last.as_ref()).await.unwrap();
        assert!(page.len() <= 1_000);
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        seen.extend(page.iter().map(|p| p.account));
    }
    assert_eq!(seen, (1..=1_001).map(who).collect::<Vec<_>>());
}

async fn the_block_pays_whom_the_contract_allows_and_what_it_paid_is_kept(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (account(1), account(2));
    let solo = OfferTerms { scheme: Scheme::Solo, ..terms(PayFrom::Balance) };
    let id = w.hosting.offer(w.machine, kari, solo, btc(0)).await.unwrap();
    let set = async |who: AccountId, wanted: bool| {
        gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
            w.hosting.set_in_block_in(tx, who, id, wanted).await
        })
    };
    let wishes = async || {
        let mut tx = w.store.read().await.unwrap();
        w.hosting.in_block(&mut tx, &lane()).await.unwrap()
    };
    assert!(matches!(set(kari, true).await, Err(HostingError::NotNow("offered"))));
    let from = w.hosting.accept(kari, id).await.unwrap();
    assert!(matches!(set(kari, true).await, Err(HostingError::BadTerms(_))), "no address");
    w.hosting.set_address(kari, id, "bc1own").await.unwrap();
    assert!(matches!(set(ola, true).await, Err(HostingError::NoContract)));
    assert!(!w.hosting.is_in_block(id).await.unwrap() && wishes().await.is_empty());
    set(kari, true).await.unwrap();
    set(kari, true).await.unwrap();
    w.hosting.set_address(kari, id, "bc1next").await.unwrap();
    let [wish] = &wishes().await[..] else { panic!("one wish") };
    assert_eq!((wish.account, wish.machine), (kari, w.machine));
    assert_eq!(wish.address.at(w.clock.now()), Some("bc1own"), "a change waits here as everywhere");
    let soon: Vec<_> = wish.all_payees().map(|all| all[0].address.clone()).collect();
    assert_eq!(soon, ["bc1own", "bc1next"]);
    assert!(wish.counts_in(from) && !wish.counts_in(EpochNumber(from.0 - 1)));
    // While a bill is unpaid the house is.
    w.epoch(from, 3_000, RATE, FULL).await;
    w.settle(from, &[]).await;
    assert!(!wishes().await[0].counts_in(from), "nothing in the balance");

    let block = |hash: u8, address: &str| OwnBlock {
        lane: lane(),
        block_hash: [hash; 32],
        height: u64::from(hash),
        at: w.clock.now(),
        vout: 0,
        address: address.to_owned(),
        amount: btc(5_000),
        house: 25,
        whole: 5_025,
        part: None,
        fee: Some(BlockFee { bps: Bps::new(50).unwrap(), least: 20 }),
        is_orphaned: false,
    };
    let connect = async |block: &OwnBlock| {
        gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
            w.hosting.block_paid(tx, block).await.map(drop)
        })
        .unwrap();
    };
    let seen = async |who: AccountId| {
        let mut tx = w.store.read().await.unwrap();
        w.hosting.own_blocks(&mut tx, who).await.unwrap()
    };
    for b in [block(1, "bc1own"), block(2, "bc1next"), block(3, "bc1stranger")] {
        connect(&b).await;
        connect(&b).await;
    }
    let heights: Vec<u64> = seen(kari).await.iter().map(|b| b.height).collect();
    assert_eq!(heights, [2, 1], "each once, others' not");
    assert!(seen(ola).await.is_empty());
    let is_orphaned = async || seen(kari).await[1].is_orphaned;
    gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
        w.hosting.block_gone(tx, gruve_units::Asset::Btc, &[1; 32]).await
    })
    .unwrap();
    assert!(is_orphaned().await && !seen(kari).await[0].is_orphaned);
    connect(&block(1, "bc1own")).await;
    assert!(!is_orphaned().await, "it came back");
    set(kari, false).await.unwrap();
    assert!(wishes().await.is_empty());
    // Jobs of before are out there still.
    connect(&block(4, "bc1own")).await;
    assert_eq!(seen(kari).await.len(), 3);
    assert_eq!(w.available(kari).await, 0, "the books have nothing of it");
}

async fn partners_share_what_blocks_pay_and_a_change_of_them_waits_a_day(store: Store) {
    let w = world(store).await;
    let kari = account(1);
    let solo = OfferTerms { scheme: Scheme::Solo, ..terms(PayFrom::Balance) };
    let id = w.hosting.offer(w.machine, kari, solo, btc(0)).await.unwrap();
    w.hosting.accept(kari, id).await.unwrap();
    let partner =
        |name: &str, bps: u16| Part { address: name.to_owned(), bps: Bps::new(bps).unwrap() };
    let set = async |address: &str, partners: &[Part]| {
        gruve_store::transact!(w.store, tx -> Result<Timestamp, HostingError> => {
            w.hosting.set_address_in(tx, kari, id, (address, partners), Duration::ZERO).await
        })
    };
    let wish = async || {
        let mut tx = w.store.read().await.unwrap();
        w.hosting.in_block(&mut tx, &lane()).await.unwrap().remove(0)
    };
    let now = || w.clock.now();
    assert!(matches!(set("bc1own", &[partner("", 500)]).await, Err(HostingError::BadTerms(_))));
    assert!(matches!(set("bc1own", &[partner("bc1a", 99)]).await, Err(HostingError::BadTerms(_))));
    assert!(w.hosting.splits(id).await.unwrap().is_empty(), "nothing is kept of it");
    // With the first address they count at once.
    set("bc1own", &[partner("bc1a", 3_000), partner("bc1b", 500)]).await.unwrap();
    gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
        w.hosting.set_in_block_in(tx, kari, id, true).await
    })
    .unwrap();
    let first = vec![partner("bc1own", 6_500), partner("bc1a", 3_000), partner("bc1b", 500)];
    assert_eq!(wish().await.payees_at(now()), Some(first.clone()));
    // Others with the same address wait, and what waits is replaced by what is set next.
    set("bc1own", &[partner("bc1thief", 9_900)]).await.unwrap();
    let from = set("bc1own", &[partner("bc1c", 4_000)]).await.unwrap();
    let second = vec![partner("bc1own", 6_000), partner("bc1c", 4_000)];
    let of = wish().await;
    assert_eq!(of.payees_at(now()), Some(first.clone()));
    assert_eq!(of.payees_at(from), Some(second.clone()));
    assert_eq!(of.all_payees().collect::<Vec<_>>(), [first, second.clone()]);
    w.clock.advance(ADDRESS_WAIT);
    assert_eq!(wish().await.payees_at(now()), Some(second.clone()));
    // Without partners again: for them, too, a day.
    let alone = set("bc1own", &[]).await.unwrap();
    let of = wish().await;
    assert_eq!(of.payees_at(now()), Some(second.clone()));
    assert_eq!(of.payees_at(alone), Some(vec![partner("bc1own", 10_000)]));
    let kept = w.hosting.splits(id).await.unwrap();
    assert_eq!(kept.iter().map(|s| s.from).collect::<Vec<_>>(), [from, alone]);

    // What a block pays a partner is on the owner's list, with its part.
    let part = Some(BlockPart { number: 1, others_bps: vec![4_000] });
    let paid = OwnBlock {
        lane: lane(),
        block_hash: [7; 32],
        height: 7,
        at: now(),
        vout: 1,
        address: "bc1c".to_owned(),
        amount: btc(3_980),
        house: 50,
        whole: 10_000,
        part,
        fee: Some(BlockFee { bps: Bps::new(50).unwrap(), least: 20 }),
        is_orphaned: false,
    };
    for of in [paid.clone(), OwnBlock { address: "bc1thief".to_owned(), vout: 2, ..paid.clone() }] {
        gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
            w.hosting.block_paid(tx, &of).await.map(drop)
        })
        .unwrap();
    }
    let mut tx = w.store.read().await.unwrap();
    assert_eq!(w.hosting.own_blocks(&mut tx, kari).await.unwrap(), [paid]);
}

async fn blocks_of_a_lane_pay_so_many_addresses(store: Store) {
    let w = world(store).await;
    let mut ids = Vec::new();
    for n in 0..=IN_BLOCK_MAX {
        let new = NewInventory {
            site: w.site,
            name: format!("more-{n}"),
            lane: lane(),
            serial: format!("MORE{n}"),
            model: "S19 Pro".to_owned(),
            rack: "B-1".to_owned(),
            nameplate: Hashrate(1_000),
            watts: 3_000,
        };
        let machine = w.farm.add_inventory(new).await.unwrap();
        w.farm.set_state(machine, MachineState::Running).await.unwrap();
        let who = account(u8::try_from(n / 2 + 1).unwrap());
        let solo = OfferTerms { scheme: Scheme::Solo, ..terms(PayFrom::Balance) };
        let id = w.hosting.offer(machine, who, solo, btc(0)).await.unwrap();
        w.hosting.accept(who, id).await.unwrap();
        w.hosting.set_address(who, id, &format!("bc1of{n}")).await.unwrap();
        ids.push((who, id));
    }
    let set = async |(who, id): (AccountId, ContractId)| {
        gruve_store::transact!(w.store, tx -> Result<(), HostingError> => {
            w.hosting.set_in_block_in(tx, who, id, true).await
        })
    };
    let (last, others) = ids.split_last().unwrap();
    for one in others {
        set(*one).await.unwrap();
    }
    let full = set(*last).await;
    assert!(matches!(full, Err(HostingError::BlockFull { max: IN_BLOCK_MAX })), "{full:?}");
    // An address that is paid already takes no more room.
    w.hosting.set_address(last.0, last.1, "bc1of0").await.unwrap();
    w.clock.advance(ADDRESS_WAIT);
    assert!(set(*last).await.is_err(), "another account's is another place");
    set(others[0]).await.unwrap();
}

laws! { hosting: [
    the_block_pays_whom_the_contract_allows_and_what_it_paid_is_kept,
    partners_share_what_blocks_pay_and_a_change_of_them_waits_a_day,
    blocks_of_a_lane_pay_so_many_addresses,
    rows_that_cannot_be_paid_hide_no_owner_behind_them,
    earnings_less_bills_go_to_the_address_and_are_asked_for_once,
    what_an_owners_machines_prove_now_is_told_by_their_shares_and_of_the_own_epochs_alone,
    a_machine_changes_owner_when_both_sides_agree_and_is_certified,
    a_transfer_pays_the_owner_before_and_chains_the_certificates,
    an_offer_can_be_taken_back_by_either_side_and_an_end_takes_back_all,
    an_offer_of_a_machine_that_was_handed_out_cannot_be_accepted,
    a_machine_that_claims_twice_its_hashrate_is_flagged_and_an_honest_one_is_not,
    a_changed_address_waits_a_day_and_the_first_one_does_not,
    an_address_that_does_not_count_yet_is_dropped_and_one_that_does_stays,
    bills_are_read_page_by_page,
    a_first_address_may_wait_and_what_is_earned_meanwhile_stays_in_the_balance,
] }
