//! Choosing what to buy: the estimate that follows sliders and fields, plans side by side, what is not known said plainly.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_market::{FppsAsset, FppsConfig, MarketConfig, PriceSourceConfig, Scheme, Unprofitable};
use gruve_units::Asset;
use gruve_web::WebConfig;
use house::House;
use house::browser::{Browser, Program};
use house::chromium::Window;
use house::furnished::{furnished, stock};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A lease that is paid in euro beside the others, and sources of the named assets' prices.
fn in_euro(m: &mut MarketConfig, priced: &[Asset]) {
    let mut plan = m.plans[0].clone();
    plan.id = "btc-euro".to_owned();
    plan.title = "Bitcoin for euro".to_owned();
    plan.pay_asset = Some(Asset::Eur);
    plan.price_minor = 5_000_000;
    m.plans.push(plan);
    for asset in priced {
        let name = "desk".to_owned();
        let source = PriceSourceConfig { name, asset: *asset, url: None, pointer: String::new() };
        m.prices.sources.push(source);
    }
}

async fn estimate(program: &Program, query: &str) -> Value {
    let answer = program.get(&format!("/api/v1/estimates?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn the_order_page_says_what_chosen_figures_cost_and_may_earn_without_a_quote() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let page = me.get("/buy?plan=btc-lease&hashrate=200+kH/s&term=30").await;
    assert_eq!(page.status, StatusCode::OK);
    for said in [
        "value=\"200 kH/s\"",
        "value=\"30\" selected",
        "All costs in one total",
        "data-slide=\"hashrate\"",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    for said in [
        "Expected earnings, after fees",
        "nine futures in ten",
        "Comes back",
        "Network fee of one withdrawal",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let more = me.get("/buy?plan=btc-lease&hashrate=400+kH/s&term=30").await;
    let total = |body: &str| {
        let at = body.find("All costs in one total").unwrap();
        let num = body[at..].find("class=\"num\">").unwrap() + at + 12;
        body[num..num + body[num..].find('<').unwrap()].to_owned()
    };
    assert_ne!(total(&page.body), total(&more.body), "twice the rate costs more");
    let wrong = me.get("/buy?plan=btc-lease&hashrate=7+kH/s&term=30").await;
    assert!(
        wrong.body.contains("id=\"estimate\"") && wrong.body.contains("message bad"),
        "{}",
        wrong.body
    );
    // The token stands on the button that needs it: a recomputation puts none into an address.
    let form = &page.body[page.body.find("data-estimate=\"/buy\"").unwrap()..];
    let form = &form[..form.find("</form>").unwrap()];
    assert!(
        !form.contains("type=\"hidden\" name=\"csrf\"") && form.contains("name=\"csrf\" value="),
        "{form}"
    );
    // Nothing was quoted by all that: the first quote is not refused for being one too many.
    let kari = Program::signed_in(&house.app, "kari").await;
    for n in 0..25 {
        me.get(&format!("/buy?plan=btc-lease&hashrate={}0+kH/s&term=6", n + 1)).await;
    }
    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    assert_eq!(kari.post("/api/v1/quotes", order).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn costs_in_dollars_and_pauses_are_said_wherever_a_plan_is_offered_and_before_it_is_bought() {
    let house = House::selling(WebConfig::default(), |m| {
        let life = &mut m.plans[0].life;
        life.maintenance_usd_micro_per_th_day = 75_000;
        (life.unprofitable, life.notice_epochs) = (Unprofitable::Pause, 12);
        let (name, asset) = ("desk".to_owned(), Asset::Btc);
        m.prices.sources.push(PriceSourceConfig { name, asset, url: None, pointer: String::new() });
    })
    .await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let choose = me.get("/buy?plan=btc-lease").await;
    let csrf = choose.field("csrf");
    let wish =
        [("csrf", csrf.as_str()), ("plan", "btc-lease"), ("hashrate", "200 kH/s"), ("term", "6")];
    let total = me.post("/buy", &wish).await;
    let (plans, side) = (me.get("/plans").await, me.get("/plans?compare=btc-lease").await);
    for page in [&plans, &side, &choose, &total] {
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let dollars = ">0.075</span> <span class=\"unit\">USD</span></span> for each TH/s·day";
        assert!(page.body.contains(dollars), "{}", page.body);
        assert!(page.body.contains("after 2 min of notice it pauses"), "{}", page.body);
    }
    // And all of it in one sum.
    let costs = &total.body[total.body.find("id=\"costs-h\"").unwrap()..];
    let costs = &costs[..costs.find("</section>").unwrap()];
    for part in ["Paid at the start", "Network fee of one withdrawal", "dt class=\"total\""] {
        assert!(costs.contains(part), "{part}: {costs}");
    }
    let plans = Program::new(&house.app).get("/api/v1/plans").await.json();
    let plan = plans["items"].as_array().unwrap().iter().find(|p| p["plan"] == "btc-lease");
    let rules = &plan.unwrap()["rules"];
    assert_eq!(rules["maintenance_usd_micro_per_th_day"], 75_000, "{rules}");
    assert_eq!(rules["unprofitable"], "pause", "{rules}");
}

#[tokio::test]
async fn a_price_in_euro_is_held_against_earnings_by_two_prices_and_what_lacks_one_is_said() {
    let lacking = House::selling(WebConfig::default(), |m| in_euro(m, &[Asset::Btc])).await;
    let house =
        House::selling(WebConfig::default(), |m| in_euro(m, &[Asset::Btc, Asset::Eur])).await;
    for (house, euro) in [(&lacking, false), (&house, true)] {
        house.epochs(7).await;
        for (asset, price) in [(Asset::Btc, 60_000_000_000), (Asset::Eur, 1_100_000)] {
            if asset == Asset::Btc || euro {
                let now = gruve_units::Clock::now(house.clock.as_ref());
                house.market.report_price("desk", asset, now, price).await.unwrap();
            }
        }
        house.epochs(1).await;
        let anybody = Program::new(&house.app);
        let e = estimate(&anybody, "plan=btc-euro&hashrate=200+kH/s&term_epochs=6").await;
        let f = &e["forecast"];
        assert_eq!(f["break_even_per_mille"].is_number(), euro, "{e}");
        assert_eq!(f["expects_loss"].is_boolean(), euro, "{e}");
        assert_eq!(e["total"].is_object(), euro, "one total only where all can be counted: {e}");
        let said = f["words"].to_string();
        assert_eq!(said.contains("no price in dollars is recorded of EUR"), !euro, "{said}");
    }
}

#[tokio::test]
async fn what_is_paid_along_the_way_has_its_forecast_by_the_meter_and_for_a_machine() {
    let house = House::new().await;
    house.epochs(8).await;
    stock(&house, "SN0021").await;
    let anybody = Program::new(&house.app);
    let e = estimate(&anybody, "plan=btc-meter&hashrate=100+kH/s&days=30").await;
    // 40,000,000,000 minor units for a MH/s and day: a tenth of it, thirty times.
    assert_eq!(e["running_a_day"]["minor"], 4_000_000_000_i64, "{e}");
    assert_eq!(e["running"]["minor"], 120_000_000_000_i64);
    assert!(
        e["forecast"]["expects_loss"].is_boolean() && e["forecast"]["outcome"].is_object(),
        "{e}"
    );
    let e = estimate(&anybody, "plan=btc-s21&days=365").await;
    // 3,500 watts for a day at 100 a kilowatt-hour, and 2,000 for hosting.
    assert_eq!(e["running_a_day"]["minor"], 84 * 100 + 2_000, "{e}");
    assert_eq!(e["seconds"], 600, "it goes back after sixty epochs: {e}");
    assert_eq!(e["running"]["minor"], 73, "10,400 a day, rounded up");
    assert_eq!(
        (&e["price"]["minor"], e["forecast"]["given"]["fee_bps"].as_u64()),
        (&json!(1_000_000), Some(100)),
        "what is kept of own machines' earnings"
    );
    assert!(e["forecast"]["break_even_per_mille"].is_number(), "{e}");
    for wrong in [
        "plan=btc-meter&hashrate=100+kH/s&days=0",
        "plan=btc-meter",
        "plan=btc-lease&hashrate=1+H/s",
    ] {
        let answer = anybody.get(&format!("/api/v1/estimates?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {}", answer.body);
    }
    assert_eq!(anybody.get("/api/v1/estimates?plan=none").await.status, StatusCode::NOT_FOUND);
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    for page in ["/metered?plan=btc-meter&hashrate=100+kH/s&days=30", "/hosted/btc-s21?days=365"] {
        let body = me.get(page).await.body;
        assert!(body.contains("Paid along the way") && body.contains("Earn"), "{page}: {body}");
        assert!(body.contains("Fee on earnings"), "{page}: {body}");
    }
}

#[tokio::test]
async fn the_risk_box_says_of_each_kind_what_is_paid_whatever_it_earns_and_of_no_other() {
    let by_hash = |m: &mut MarketConfig| {
        let asset = FppsAsset {
            asset: Asset::Btc,
            fee_window_blocks: 10,
            fee_cap_minor: 50_000,
            depth_blocks: 2,
        };
        let mut plan = m.plans[0].clone();
        plan.id = "btc-fpps".to_owned();
        plan.scheme = Scheme::Fpps;
        plan.fpps = Some(FppsConfig { ruin_ppm: 100_000, assets: vec![asset] });
        m.plans.push(plan);
    };
    let house = House::selling(WebConfig::default(), by_hash).await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let chance = "Blocks are found by chance";
    let (lease, meter, machine) =
        ("The price of a lease", "By the meter the work", "The price of a machine");
    for (page, said) in [
        ("/buy?plan=btc-lease", vec![chance, lease]),
        ("/buy?plan=btc-fpps", vec![lease]),
        ("/metered?plan=btc-meter", vec![chance, meter]),
        ("/hosted/btc-s21", vec![chance, machine]),
        ("/hosted", vec![chance, machine]),
        ("/plans", vec![chance, lease, meter]),
    ] {
        let body = me.get(page).await.body;
        let (_, risk) = body.split_once("id=\"risk-h\"").unwrap();
        let risk = &risk[..risk.find("</section>").unwrap()];
        for sentence in [chance, lease, meter, machine] {
            assert_eq!(risk.contains(sentence), said.contains(&sentence), "{page}: {risk}");
        }
    }
}

#[tokio::test]
async fn plans_stand_side_by_side_with_all_their_terms_as_chosen() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    let all = me.get("/plans").await.body;
    assert!(
        !all.contains("id=\"compare\"") && all.matches("name=\"compare\"").count() == 3,
        "{all}"
    );
    let two = me
        .get("/plans?compare=btc-meter&compare=btc-lease&compare=none&compare=btc-lease")
        .await
        .body;
    let side = &two[two.find("id=\"compare\"").unwrap()..two.find("id=\"plans\"").unwrap()];
    let head = &side[..side.find("</thead>").unwrap()];
    assert!(head.find("Bitcoin by the meter").unwrap() < head.find("Bitcoin lease").unwrap());
    assert_eq!(head.matches("<th").count(), 3 + 1, "thead itself, terms, two plans: {head}");
    for term in
        ["Ends at the latest", "If work is missing", "Minimum payout", "Track record", "Paid by"]
    {
        assert!(side.contains(term), "{term}: {side}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slider_moves_its_field_and_the_estimate_and_leaves_no_token_in_the_address() {
    let (house, me) = furnished(WebConfig::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = format!("http://{}", listener.local_addr().unwrap());
    let state = house.state.clone();
    tokio::spawn(async move { gruve_web::serve(listener, state, std::future::pending()).await });
    for (width, scheme) in [(1280, "light"), (390, "dark")] {
        let window = Window::open(&home, width).await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        window.devtools("Emulation.setEmulatedMedia", media).await;
        let cookie = json!({ "name": "gruve", "value": me.cookies["gruve"], "url": home });
        window.devtools("Network.setCookie", cookie).await;
        window.go("/buy?plan=btc-lease").await;
        let before = window.text("#estimate dl").await.unwrap();
        let slide = "const r = document.querySelector(\"[data-slide='hashrate']\"); if (r.hidden) return 'hidden'; \
            r.value = '9'; r.dispatchEvent(new Event('input')); return document.getElementById('hashrate').value;";
        let field = window.client.execute(slide, vec![]).await.unwrap();
        assert_eq!(field, "100 kH/s");
        let begun = Instant::now();
        while window.text("#estimate dl").await.is_none_or(|now| now == before) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "the estimate does not follow: {before}"
            );
        }
        let address = window.client.current_url().await.unwrap().to_string();
        assert!(address.contains("hashrate=100+kH") && !address.contains("csrf"), "{address}");
        window.look("buy-slider").await;
        for (path, name) in [
            ("/plans", "plans"),
            ("/plans?compare=btc-lease&compare=btc-meter&compare=ltc-lease", "plans-compared"),
            ("/metered?plan=btc-meter", "metered-ahead"),
            ("/hosted/btc-s21", "machine-ahead"),
            ("/withdraw", "withdraw-limits"),
            ("/account", "account-proven"),
            ("/plans/btc-lease/record", "record-uptime"),
        ] {
            window.go(path).await;
            window.look(name).await;
        }
        window.close().await;
    }
}
