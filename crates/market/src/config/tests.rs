use super::*;

fn config() -> MarketConfig {
    let text = r#"{"lanes": [{"lane": "btc", "asset": "BTC", "algorithm": "sha256d",
        "epoch_rule": {"length_us": 5000000, "grace_us": 500000}, "coinbase_maturity": 100}],
        "plans": [{"id": "small", "lane": "btc", "title": "Small", "hashrate_min": "1 kH/s",
        "hashrate_max": "1 MH/s", "hashrate_step": "1 kH/s", "terms_epochs": [12, 6],
        "price_minor": 100, "price_hashrate": "1 kH/s"}]}"#;
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_left_out_has_stated_defaults() {
    let c = config();
    c.check().unwrap();
    assert_eq!((c.plans[0].extension(), c.plans[0].catch_up_bps), (6, 10_000));
    assert_eq!(c.lanes[0].capacity_confidence_tenths, 30);
}

#[test]
fn a_hosted_plan_names_a_machine_and_what_its_hosting_costs() {
    let text = r#"{"id": "own", "lane": "btc", "title": "An S19", "kind": "hosted", "price_minor": 0,
        "hosted": {"model": "S19 Pro", "ownership": "leased", "energy_minor_per_kwh": 80,
        "fee_minor_per_day": 500, "level_bps": 9800, "term_epochs": 1008},
        "life": {"minimum_payout_minor": 1000}}"#;
    let plan: PlanConfig = serde_json::from_str(text).unwrap();
    let again = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<PlanConfig>(&again).unwrap(), plan);
    let fault = |edit: &dyn Fn(&mut PlanConfig, &mut HostedConfig)| {
        let mut c = config();
        let mut p = plan.clone();
        let mut h = p.hosted.take().unwrap();
        edit(&mut p, &mut h);
        p.hosted = Some(h);
        c.plans.push(p);
        c.check().err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(fault(&|_, _| {}), "");
    assert!(fault(&|p, _| p.hashrate_min = Hashrate(1)).contains("no hashrates"));
    assert!(fault(&|p, _| p.fee_bps = Bps::new(1).unwrap()).contains("outside_fee_bps"));
    assert!(fault(&|p, _| p.life.notice_epochs = 9).contains("minimum_payout_minor only"));
    assert!(fault(&|p, _| p.kind = PlanKind::Lease).contains("its kind is another"));
    assert!(fault(&|_, h| h.level_bps = Bps::ZERO).contains("level_bps"));
    assert!(fault(&|_, h| h.model = " x".into()).contains("hosted.model"));
    assert!(fault(&|_, h| h.bill_asset = Some(Asset::Usd)).contains("bill_asset"));
    assert_eq!(
        fault(&|_, h| {
            (h.bill_asset, h.pays_from) = (Some(Asset::Usd), PaysFrom::Balance);
        }),
        ""
    );
    let mut bare = config();
    bare.plans[0].kind = PlanKind::Hosted;
    assert!(bare.check().unwrap_err().to_string().contains("[plan.hosted]"));
}

#[test]
fn a_plan_of_any_kind_has_a_title_that_can_be_read() {
    let hosted = r#"{"id": "own", "lane": "btc", "title": "An S19", "kind": "hosted", "price_minor": 0,
        "hosted": {"model": "S19 Pro", "ownership": "leased", "energy_minor_per_kwh": 80,
        "fee_minor_per_day": 500, "level_bps": 9800, "term_epochs": 1008}}"#;
    let mut c = config();
    c.plans.push(serde_json::from_str(hosted).unwrap());
    c.check().unwrap();
    for n in 0..2 {
        for title in ["", "  ", "\u{a0}", "Two\nlines", &"x".repeat(101)] {
            let mut c = c.clone();
            c.plans[n].title = title.to_owned();
            let fault = c.check().unwrap_err().to_string();
            assert!(fault.contains("title must say what is sold"), "{title:?}: {fault}");
        }
    }
}

#[test]
fn faults_are_named_with_their_place() {
    let fault = |edit: &dyn Fn(&mut MarketConfig)| {
        let mut c = config();
        edit(&mut c);
        c.check().unwrap_err().to_string()
    };
    assert!(fault(&|c| c.plans[0].lane = "ltc".parse().unwrap()).starts_with("plans: small: lane"));
    assert!(fault(&|c| c.plans[0].terms_epochs.clear()).contains("terms_epochs"));
    assert!(fault(&|c| c.plans[0].price_minor = 0).contains("price_minor"));
    assert!(fault(&|c| c.plans[0].hashrate_step = Hashrate::ZERO).contains("hashrates"));
    assert!(fault(&|c| c.lanes[0].settle_every_epochs = 0).starts_with("lanes: btc: settle"));
    assert!(fault(&|c| c.lanes.push(c.lanes[0].clone())).contains("named twice"));
    assert!(
        fault(&|c| {
            let lane = "other".parse().unwrap();
            c.lanes.push(LaneConfig { lane, ..c.lanes[0].clone() });
        })
        .contains("earns BTC already")
    );
}
