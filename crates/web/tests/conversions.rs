//! Paying in a coin what is priced in another currency, over HTTP and by the pages.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_market::{PlanConfig, PriceSourceConfig};
use gruve_units::{Amount, Asset, Bps, Clock, Duration};
use gruve_web::{ConversionRules, Lookout, WebConfig};
use house::House;
use house::browser::{Browser, Program};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
/// Dollars in millionths.
const BTC_PRICE: i64 = 60_000_000_000;
const EUR_PRICE: i64 = 1_100_000;

/// A house with a plan that is paid in euros, where sources are asked for what coins and euros are worth.
async fn house_with(conversion: Option<ConversionRules>) -> House {
    let config = WebConfig { conversion, ..WebConfig::default() };
    let house = House::selling(config, |market| {
        let plan = PlanConfig {
            id: "btc-eur".to_owned(),
            pay_asset: Some(Asset::Eur),
            price_minor: 401_234_560_000,
            ..market.plans[0].clone()
        };
        market.plans.push(plan);
        let machine = market.plans.iter().find(|p| p.id == "btc-s21").unwrap();
        let machine = PlanConfig {
            id: "eur-s21".to_owned(),
            pay_asset: Some(Asset::Eur),
            price_minor: 100_000_000,
            ..machine.clone()
        };
        market.plans.push(machine);
        for asset in [Asset::Btc, Asset::Ltc, Asset::Eur] {
            let name = "desk".to_owned();
            let source = PriceSourceConfig { name, asset, url: None, pointer: String::new() };
            market.prices.sources.push(source);
        }
    })
    .await;
    house.epochs(8).await;
    house
}

/// One and a half percent, for a quarter of an hour; prices of Bitcoin and of euros are told, of Litecoin not.
async fn house() -> House {
    let rules = ConversionRules { spread: Bps::new(150).unwrap(), lock: 15 * MINUTE };
    let house = house_with(Some(rules)).await;
    tell(&house, Asset::Btc, BTC_PRICE).await;
    tell(&house, Asset::Eur, EUR_PRICE).await;
    house
}

async fn tell(house: &House, asset: Asset, micro: i64) {
    house.market.report_price("desk", asset, house.clock.now(), micro).await.unwrap();
}

async fn buy(kari: &Program) -> Value {
    let order = json!({ "plan": "btc-eur", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    bought.json()
}

/// What so many millionths of a euro are in satoshi at these prices, with the spread, rounded up.
fn coins(eur_minor: i64) -> i64 {
    let due = i128::from(eur_minor) * i128::from(EUR_PRICE) * 100_000_000 * 10_150;
    let by = 1_000_000 * i128::from(BTC_PRICE) * 10_000;
    i64::try_from((due + by - 1) / by).unwrap()
}

fn offer<'a>(invoice: &'a Value, asset: &str) -> &'a Value {
    let offers = invoice["offers"].as_array().unwrap();
    offers.iter().find(|o| o["asset"] == asset).unwrap()
}

async fn look(kari: &Program, id: &Value) -> Value {
    kari.get(&format!("/api/v1/invoices/{}", id.as_str().unwrap())).await.json()
}

#[tokio::test]
async fn a_contract_priced_in_euros_is_paid_in_bitcoin_at_the_rate_that_was_fixed() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let bought = buy(&kari).await;
    let invoice = &bought["invoice"];
    let price = invoice["amount"]["minor"].as_i64().unwrap();
    let offered = offer(invoice, "BTC");
    assert_eq!(offered["amount"]["minor"], coins(price), "{offered}");
    assert_eq!((&offered["spread_bps"], &offered["lock_secs"]), (&json!(150), &json!(900)));
    assert_eq!(offered["why_not"], Value::Null);
    let missing = offer(invoice, "LTC");
    assert_eq!((&missing["amount"], &missing["a_coin_counts"]), (&Value::Null, &Value::Null));
    assert!(missing["why_not"].as_str().unwrap().contains("too few sources"), "{missing}");
    let post = offered["post"].as_str().unwrap().to_owned();
    let refused = kari.post(&post, json!({ "asset": "LTC" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("no-price"), "{}", refused.body);
    for (asset, status) in [
        ("EUR", StatusCode::CONFLICT),
        ("DOGE", StatusCode::UNPROCESSABLE_ENTITY),
        ("gold", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(kari.post(&post, json!({ "asset": asset })).await.status, status, "{asset}");
    }
    let ola = Program::signed_up(&house.app, "ola").await;
    let stranger = ola.post(&post, json!({ "asset": "BTC" })).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);

    let made = kari.post(&post, json!({ "asset": "BTC" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let coin = made.json();
    let rate = &coin["conversion"];
    assert_eq!((&coin["amount"]["minor"], &coin["offers"]), (&json!(coins(price)), &json!([])));
    assert_eq!((&rate["pays"], &rate["price"]), (&invoice["id"], &invoice["amount"]));
    assert_eq!(
        (&rate["coin_usd_micro"], &rate["price_usd_micro"]),
        (&json!(BTC_PRICE), &json!(EUR_PRICE))
    );
    // 60,000 / 1.1 / 1.015, rounded down.
    assert_eq!(rate["a_coin_counts"]["minor"], 53_739_364_084_i64, "{rate}");
    assert_eq!((&rate["spread_bps"], &rate["until"]), (&json!(150), &coin["expires_at"]));
    assert_eq!(look(&kari, &invoice["id"]).await["conversions"], json!([coin["id"]]));
    // Another rate a moment later is not another chance.
    tell(&house, Asset::Btc, 2 * BTC_PRICE).await;
    assert_eq!(kari.post(&post, json!({ "asset": "BTC" })).await.json()["amount"], coin["amount"]);

    let lane = &house.lanes[0];
    let address = coin["address"].as_str().unwrap();
    house.pay(lane, address, Amount::new(Asset::Btc, coins(price)));
    house.block(lane, false).await;
    for id in [&coin["id"], &invoice["id"]] {
        assert_eq!(look(&kari, id).await["state"], "confirmed");
    }
    let payments = kari.get("/api/v1/payments").await.json();
    assert_eq!(payments["items"][0]["method"], "conversion", "{payments}");
    house.epochs(8).await;
    let contract = format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap());
    let contract = kari.get(&contract).await.json();
    assert_ne!(contract["delivered"].as_str(), Some("0"), "{contract}");
    let mut tx = house.store.read().await.unwrap();
    let audit = gruve_ledger::audit(&mut tx).await.unwrap();
    assert!(audit.findings.is_empty(), "{audit:?}");
    let found = house.treasury.audit_conversions(&mut tx).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn what_a_coin_was_paid_for_is_not_taken_back_whether_the_coin_falls_or_rises() {
    for price in [BTC_PRICE / 2, 2 * BTC_PRICE] {
        let house = house().await;
        let kari = Program::signed_up(&house.app, "kari").await;
        let bought = buy(&kari).await;
        let invoice = &bought["invoice"];
        let post = offer(invoice, "BTC")["post"].as_str().unwrap().to_owned();
        let coin = kari.post(&post, json!({ "asset": "BTC" })).await.json();
        let minor = coin["amount"]["minor"].as_i64().unwrap();
        let lane = &house.lanes[0];
        house.pay(lane, coin["address"].as_str().unwrap(), Amount::new(Asset::Btc, minor));
        house.block(lane, false).await;
        assert_eq!(look(&kari, &invoice["id"]).await["state"], "confirmed");
        tell(&house, Asset::Btc, price).await;
        let id = bought["contract"].as_str().unwrap();
        let refused = kari.post(&format!("/api/v1/contracts/{id}/cancel"), json!({})).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
        assert!(refused.body.contains("converted"), "{}", refused.body);
        let contract = kari.get(&format!("/api/v1/contracts/{id}")).await.json();
        assert_eq!(contract["state"], "starting", "nothing was undone or done: {contract}");
        let mut tx = house.store.read().await.unwrap();
        let found = house.treasury.audit_conversions(&mut tx).await.unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn a_machine_for_which_a_coin_stands_in_a_block_is_not_taken_back_either() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    house::furnished::stock(&house, "SN0021").await;
    let plans = kari.get("/api/v1/hosted-plans").await.json();
    let plan = plans["items"].as_array().unwrap().iter().find(|p| p["plan"] == "eur-s21").unwrap();
    let order = json!({ "plan": "eur-s21", "version": plan["version"], "pay": "invoice" });
    let made = kari.post("/api/v1/hosted-orders", order).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    let invoice = look(&kari, &made["invoice"]).await;
    let post = offer(&invoice, "BTC")["post"].as_str().unwrap().to_owned();
    let coin = kari.post(&post, json!({ "asset": "BTC" })).await.json();
    let minor = coin["amount"]["minor"].as_i64().unwrap();
    let lane = &house.lanes[0];
    house.pay(lane, coin["address"].as_str().unwrap(), Amount::new(Asset::Btc, minor / 2));
    house.block(lane, false).await;
    let path = format!("/api/v1/machines/{}", made["contract"].as_str().unwrap());
    let refused = kari.send("DELETE", &path, None).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("converted"), "{}", refused.body);
    assert_eq!(kari.get(&path).await.json()["state"], "ordered", "nothing was undone");
}

#[tokio::test]
async fn a_price_that_is_too_old_is_no_price_and_says_so() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let invoice = buy(&kari).await["invoice"].clone();
    // Sources must have spoken in the last quarter of an hour.
    house.clock.advance(15 * MINUTE);
    tell(&house, Asset::Btc, BTC_PRICE).await;
    let now = look(&kari, &invoice["id"]).await;
    assert_eq!(now["open"], true);
    assert!(
        offer(&now, "BTC")["why_not"].is_string(),
        "nobody has said what a euro is worth: {now}"
    );
    let post = offer(&now, "BTC")["post"].as_str().unwrap();
    assert_eq!(kari.post(post, json!({ "asset": "BTC" })).await.status, StatusCode::CONFLICT);
    tell(&house, Asset::Eur, EUR_PRICE).await;
    assert_eq!(kari.post(post, json!({ "asset": "BTC" })).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_price_that_moves_or_grows_too_old_is_told_to_pages_that_offer_coins() {
    let house = house().await;
    let mut lookout = Lookout::new(house.state.clone());
    // Prices are looked at every tenth time.
    let mut told = async || {
        let before = house.state.pulse().count();
        for _ in 0..10 {
            lookout.look().await;
        }
        house.state.pulse().count() - before
    };
    assert_eq!((told().await, told().await), (1, 0), "the first look tells everything");
    house.clock.advance(Duration::from_secs(1));
    tell(&house, Asset::Btc, BTC_PRICE).await;
    assert_eq!(told().await, 0, "the same price, told again");
    house.clock.advance(Duration::from_secs(1));
    tell(&house, Asset::Btc, BTC_PRICE * 2).await;
    assert_eq!(told().await, 1);
    house.clock.advance(16 * MINUTE);
    assert_eq!(told().await, 1, "nobody has said for long what coins are worth");
    assert_eq!(told().await, 0);
}

#[tokio::test]
async fn without_the_operators_rules_no_coin_is_offered() {
    let house = house_with(None).await;
    tell(&house, Asset::Btc, BTC_PRICE).await;
    tell(&house, Asset::Eur, EUR_PRICE).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let invoice = buy(&kari).await["invoice"].clone();
    assert_eq!(invoice["offers"], json!([]));
    let post = format!("/api/v1/invoices/{}/conversions", invoice["id"].as_str().unwrap());
    let refused = kari.post(&post, json!({ "asset": "BTC" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
}

#[tokio::test]
async fn pages_offer_the_coins_state_the_rate_and_say_what_came_too_late() {
    let house = house().await;
    let mut kari = Browser::new(&house.app);
    kari.sign_up("kari").await;
    let csrf = kari.get("/top-up").await.field("csrf");
    let form =
        [("csrf", csrf.as_str()), ("plan", "btc-eur"), ("hashrate", "100 kH/s"), ("term", "6")];
    let quote = kari.post("/buy", &form).await.field("quote");
    let bought = kari.post("/contracts", &[("csrf", &csrf), ("quote", &quote)]).await;
    let place = bought.location().to_owned();
    let page = kari.get(&place).await.body;
    for part in [
        "data-live=\"money prices\"",
        "Pay in a coin",
        "1.50 %",
        "LTC: Not offered at the moment",
        "15 min",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let convert = format!("{place}/convert");
    let none = kari.post(&convert, &[("csrf", &csrf), ("asset", "LTC")]).await;
    assert_eq!(none.status, StatusCode::CONFLICT);
    let made = kari.post(&convert, &[("csrf", &csrf), ("asset", "BTC")]).await;
    let coin = made.location().to_owned();
    assert_ne!(coin, place);
    let page = kari.get(&coin).await.body;
    for part in ["bitcoin:", "Fixed rate", "1.50 %", "Counts for what is in a block by", &place] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Came too late"));
    assert!(kari.get(&place).await.body.contains(&coin), "the invoice shows what was chosen");

    let account = house.account("kari").await;
    let all = house.treasury.invoices(account).await.unwrap();
    let invoice = all.iter().find(|i| coin.ends_with(&i.id.to_string())).unwrap();
    house.clock.advance(15 * MINUTE + Duration::from_micros(1));
    let lane = &house.lanes[0];
    house.pay(lane, &invoice.address, invoice.amount);
    house.block(lane, false).await;
    let page = kari.get(&coin).await.body;
    assert!(page.contains("Came too late for it"), "{page}");
    kari.get("/language/nb").await;
    let page = kari.get(&coin).await.body;
    assert!(page.contains("Kom for sent til den") && page.contains("Låst kurs"), "{page}");
    let page = kari.get(&place).await.body;
    assert!(page.contains("Betal med en mynt") || page.contains("Valgte mynter"), "{page}");
}
