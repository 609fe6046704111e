//! Plans that are made, changed and withdrawn while the house runs, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_market::{ContractState, MarketError, Offer, OfferStanding, PlanConfig, PlanKind};
use gruve_store::{Store, laws, transact};
use gruve_units::{Bps, Hashrate};
use world::{World, btc, config, lane, plan, refused, someone};

/// What is to be said of a plan that was changed so.
type Edit = (&'static str, fn(&mut PlanConfig));

async fn offer(w: &World, id: &str) -> Offer {
    let all = w.market.offers().await.unwrap();
    all.into_iter().find(|o| o.plan.id == id).unwrap()
}

fn night() -> PlanConfig {
    PlanConfig { id: "night".into(), title: "By night".into(), price_minor: 43_200, ..plan() }
}

async fn a_plan_made_while_the_house_runs_is_sold_and_is_there_after_a_restart(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    assert!(matches!(w.market.plan("night"), Err(MarketError::UnknownPlan)));
    let made = w.market.put_plan(night()).await.unwrap();
    assert_eq!((made.version, made.price), (1, btc(43_200)));
    let quote = w.market.quote(someone(1), "night", Hashrate(1_000), 3).await.unwrap();
    assert_eq!(quote.price, btc(150), "half the price of the file's plan");
    // Said again, it is the same version.
    assert_eq!(w.market.put_plan(night()).await.unwrap().version, 1);
    let again = World::with_log_of(&w, config()).await;
    let names: Vec<String> = again.market.plans().into_iter().map(|p| p.id).collect();
    assert_eq!(names, ["lease", "night"]);
    let (filed, said) = (offer(&again, "lease").await, offer(&again, "night").await);
    assert_eq!((filed.standing, filed.is_filed), (OfferStanding::Filed, true));
    assert_eq!((said.standing, said.is_filed, said.version), (OfferStanding::Said, false, Some(1)));
}

async fn a_changed_plan_voids_its_quotes_and_leaves_contracts_as_they_were_sold(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let old = w.lease(me, 1_000, 6).await;
    let terms = w.market.terms(me, old).await.unwrap();
    let quote = w.market.quote(me, "lease", Hashrate(500), 3).await.unwrap();
    let dear = PlanConfig { price_minor: 172_800, fee_bps: Bps::new(900).unwrap(), ..plan() };
    assert_eq!(w.market.put_plan(dear).await.unwrap().version, 2);
    let bought = transact!(w.store, tx -> gruve_market::Result<_> => {
        w.market.buy(tx, me, quote.id).await
    });
    assert!(matches!(refused(bought), MarketError::QuoteExpired));
    let new = w.lease(me, 500, 6).await;
    assert_eq!(w.view(me, new).await.price, btc(600), "twice as dear");
    for _ in 0..8 {
        w.epoch_at(2_000).await;
    }
    let seen = w.view(me, old).await;
    assert_eq!(
        (seen.plan_version, seen.price, seen.state),
        (1, btc(600), ContractState::Completed)
    );
    assert_eq!(w.market.terms(me, old).await.unwrap(), terms);
    assert!(String::from_utf8(terms).unwrap().contains("200"), "the fee of the sale");
    w.assert_all_sound().await;
    w.assert_statements_hold().await;
    // The file's words again, as a third version.
    w.market.plan_as_filed("lease").await.unwrap();
    let filed = w.market.plan("lease").unwrap();
    assert_eq!((filed.version, filed.price), (3, btc(86_400)));
}

async fn a_withdrawn_plan_is_sold_no_more_and_its_contracts_run_to_their_end(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    let quote = w.market.quote(me, "lease", Hashrate(500), 3).await.unwrap();
    w.market.withdraw_plan("lease").await.unwrap();
    let asked = w.market.quote(me, "lease", Hashrate(500), 3).await;
    assert!(matches!(refused(asked), MarketError::UnknownPlan));
    let bought = transact!(w.store, tx -> gruve_market::Result<_> => {
        w.market.buy(tx, me, quote.id).await
    });
    assert!(matches!(refused(bought), MarketError::QuoteExpired));
    assert_eq!(offer(&w, "lease").await.standing, OfferStanding::Withdrawn);
    let again = World::with_log_of(&w, config()).await;
    assert!(again.market.plans().is_empty(), "also after a restart, whatever the file says");
    for _ in 0..5 {
        w.epoch_at(2_000).await;
    }
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    assert_eq!(w.view(me, c).await.delivered.0, 1_000 * 10 * 3);
    w.assert_all_sound().await;
    w.market.put_plan(plan()).await.unwrap();
    assert!(w.market.quote(me, "lease", Hashrate(500), 3).await.is_ok());
    assert!(matches!(refused(w.market.withdraw_plan("no-such").await), MarketError::UnknownPlan));
    assert!(matches!(refused(w.market.plan_as_filed("night").await), MarketError::UnknownPlan));
}

async fn a_plan_that_cannot_be_is_refused_with_the_reason_and_nothing_changes(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    w.market.put_plan(night()).await.unwrap();
    let before = w.market.offers().await.unwrap();
    let edits: [Edit; 5] = [
        ("id must be", |p| p.id = "By Night".into()),
        ("price_minor", |p| p.price_minor = 0),
        ("terms_epochs", |p| p.terms_epochs.clear()),
        ("lane is not", |p| p.lane = "doge".parse().unwrap()),
        ("another kind", |p| {
            (p.kind, p.terms_epochs) = (PlanKind::Metered, Vec::new());
        }),
    ];
    for (why, edit) in edits {
        let mut bad = night();
        edit(&mut bad);
        let said = refused(w.market.put_plan(bad).await).to_string();
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(w.market.offers().await.unwrap(), before);
    assert_eq!(w.market.lane(&lane()).unwrap().asset, gruve_units::Asset::Btc);
}

async fn a_plan_that_a_new_file_does_not_bear_is_named_and_the_house_opens(store: Store) {
    let w = World::new(store).await;
    let source = gruve_market::PriceSourceConfig {
        name: "hand".into(),
        asset: gruve_units::Asset::Btc,
        url: None,
        pointer: String::new(),
    };
    let mut priced = config();
    priced.prices.sources.push(source);
    let first = World::with_log_of(&w, priced).await;
    let mut in_dollars = night();
    in_dollars.life.maintenance_usd_micro_per_th_day = 1_000;
    first.market.put_plan(in_dollars).await.unwrap();
    let second = World::with_log_of(&w, config()).await;
    assert!(matches!(second.market.plan("night"), Err(MarketError::UnknownPlan)));
    let standing = offer(&second, "night").await.standing;
    assert!(matches!(standing, OfferStanding::Unfit(why) if why.contains("price in dollars")));
}

async fn a_metered_plan_may_change_its_price_and_keeps_scheme_and_coin(store: Store) {
    let w = World::new(store).await;
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        ..plan()
    };
    w.market.put_plan(meter.clone()).await.unwrap();
    let dearer = PlanConfig { price_minor: 99_999, ..meter.clone() };
    assert_eq!(w.market.put_plan(dearer).await.unwrap().version, 2);
    let solo = PlanConfig { scheme: gruve_market::Scheme::Solo, ..meter.clone() };
    let other_coin = PlanConfig { pay_asset: Some(gruve_units::Asset::Ltc), ..meter };
    for other in [solo, other_coin] {
        let said = refused(w.market.put_plan(other).await).to_string();
        assert!(said.contains("take a new name"), "{said}");
    }
}

laws! { offers: [
    a_metered_plan_may_change_its_price_and_keeps_scheme_and_coin,
    a_plan_made_while_the_house_runs_is_sold_and_is_there_after_a_restart,
    a_changed_plan_voids_its_quotes_and_leaves_contracts_as_they_were_sold,
    a_withdrawn_plan_is_sold_no_more_and_its_contracts_run_to_their_end,
    a_plan_that_cannot_be_is_refused_with_the_reason_and_nothing_changes,
    a_plan_that_a_new_file_does_not_bear_is_named_and_the_house_opens,
] }
