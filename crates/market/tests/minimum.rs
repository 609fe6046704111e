//! The minimum payout: what waits below it, what comes at the end, and what a statement says of it.
#![allow(clippy::unwrap_used, missing_docs)]

mod checking;
mod world;

use checking::{check, key};
use gruve_ledger::Account;
use gruve_market::{
    ContractState, MarketConfig, PlanConfig, PlanKind, Result, SettlementLine, minimum_payout_max,
};
use gruve_statement::{SignedTerms, terms};
use gruve_store::{Store, laws, testing, transact};
use gruve_units::{Asset, ContractId, Hashrate};
use world::{MATURITY, World, someone};

const RATE: u64 = (1 << 19) / world::EPOCH_SECS;
/// A contract of half the farm gets some 31,000 of it for the first epoch's work, more of later ones.
const REWARD: i64 = 1_000_000;

fn config(minimum: u64) -> MarketConfig {
    let mut lease = world::plan();
    lease.life.minimum_payout_minor = minimum;
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..lease.clone()
    };
    MarketConfig { plans: vec![lease, meter], ..world::config() }
}

async fn paying_epoch(w: &World, height: u64) {
    let hash = w.find_block(height);
    w.see(hash, height, REWARD).await;
    w.height(height + MATURITY).await;
    w.epoch_at(RATE).await;
}

async fn settlements(w: &World, id: ContractId) -> Vec<SettlementLine> {
    let mut all = w.market.settlements(someone(1), id, 100).await.unwrap();
    all.reverse();
    all
}

/// A lease of six epochs with a block in each, and the epoch after it.
async fn lived(w: &World) -> ContractId {
    w.prove(RATE).await;
    let c = w.lease(someone(1), 26_000, 6).await;
    for height in 100..109 {
        paying_epoch(w, height).await;
    }
    assert_eq!(w.state(someone(1), c).await, ContractState::Completed);
    w.assert_all_sound().await;
    c
}

async fn below_the_minimum_it_waits_and_at_it_all_that_waits_is_credited(store: Store) {
    const MINIMUM: i64 = 100_000;
    let w = World::with(store, config(MINIMUM.unsigned_abs())).await;
    w.prove(RATE).await;
    let me = someone(1);
    let c = w.lease(me, 26_000, 20).await;
    let (mut waited, mut met) = (0, 0);
    for height in 100..110 {
        let before = settlements(&w, c).await.len();
        paying_epoch(&w, height).await;
        let after = settlements(&w, c).await;
        if after.len() > before {
            met += 1;
            assert!(after.last().unwrap().gross.minor >= MINIMUM, "{after:?}");
        } else {
            waited += 1;
        }
    }
    assert!(waited > 1 && met > 1, "{waited} {met}");
    let credited = w.view(me, c).await.credited.minor;
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, credited);
    w.assert_all_sound().await;
}

async fn at_the_end_all_is_credited_though_it_is_below_the_minimum(store: Store) {
    let w = World::with(store, config(1_000_000)).await;
    w.prove(RATE).await;
    let me = someone(1);
    let c = w.lease(me, 26_000, 6).await;
    for height in 100..104 {
        paying_epoch(&w, height).await;
    }
    assert!(settlements(&w, c).await.is_empty());
    assert!(w.view(me, c).await.earnings[0].maturing.minor > 0);
    for _ in 0..5 {
        w.epoch_at(RATE).await;
    }
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    let view = w.view(me, c).await;
    assert_eq!((view.earnings[0].maturing.minor, settlements(&w, c).await.len()), (0, 1));
    assert!(view.credited.minor > 0 && view.credited.minor < 1_000_000);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, view.credited.minor);
    w.assert_all_sound().await;
}

async fn a_metered_contract_waits_until_it_is_ended(store: Store) {
    let w = World::with(store, config(1_000_000)).await;
    w.prove(RATE).await;
    let me = someone(1);
    w.fund(me, 1_000_000).await;
    let market = &w.market;
    let started = transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, me, "meter", Hashrate(10_000), None).await
    });
    let c = started.unwrap().contract;
    for height in 100..103 {
        paying_epoch(&w, height).await;
    }
    let earned = async || w.market.metered(me, c).await.unwrap().earnings[0].credited.minor;
    assert_eq!(earned().await, 0, "below the minimum");
    w.assert_all_sound().await;
    transact!(w.store, tx -> Result<_> => { market.end_metered(tx, me, c).await }).unwrap();
    for _ in 0..3 {
        w.epoch_at(RATE).await;
    }
    assert!(earned().await > 0, "credited at its end");
    w.assert_all_sound().await;
}

#[test]
fn a_minimum_holds_back_a_hundredth_of_a_coin_at_most() {
    let most = minimum_payout_max(Asset::Btc);
    config(most).check().unwrap();
    let said = config(most + 1).check().unwrap_err().to_string();
    assert!(said.contains("minimum_payout_minor"), "{said}");
}

/// The same life under terms that promise a minimum which it did not keep.
#[test]
fn a_statement_that_pays_below_the_minimum_of_its_terms_is_found() {
    testing::on_sqlite(|store| async {
        let w = World::with(store, config(0)).await;
        let c = lived(&w).await;
        let page = w.market.statement(someone(1), c, None, 999).await.unwrap();
        let file = w.market.signed_terms(someone(1), c).await.unwrap();
        check(&file, std::slice::from_ref(&page)).unwrap();
        let other = file.terms.replace(
            r#""settlement":{"rule":"every-epochs","epochs":1}"#,
            r#""settlement":{"rule":"every-epochs","epochs":1,"minimum_minor":1000000}"#,
        );
        assert_ne!(other, file.terms);
        let hash = terms::hash(other.as_bytes());
        let signed = (key().verifying_key().to_bytes(), terms::sign(&key(), &hash));
        let forged = SignedTerms::new(c, other.into_bytes(), Some(signed)).unwrap();
        let mut page = page;
        page.terms_sha256 = forged.sha256.clone();
        let wrong = check(&forged, &[checking::signed(page)]).unwrap_err();
        assert!(wrong.why.contains("below the minimum"), "{wrong}");
    });
}

laws! { minimum: [
    below_the_minimum_it_waits_and_at_it_all_that_waits_is_credited,
    at_the_end_all_is_credited_though_it_is_below_the_minimum,
    a_metered_contract_waits_until_it_is_ended,
] }
