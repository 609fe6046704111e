//! Journeys through the pages as a browser without scripts makes them.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_units::{Amount, Asset};
use gruve_web::WebConfig;
use house::House;
use house::browser::{Browser, Program};
use house::record::recorded;
use serde_json::json;

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// Buys on the first lane through the pages and gives the invoice's path.
async fn buy(me: &mut Browser) -> String {
    let choose = me.get("/buy?plan=btc-lease").await;
    assert_eq!(choose.status, StatusCode::OK, "{}", choose.body);
    assert!(choose.body.contains("may earn less than it costs"));
    let csrf = choose.field("csrf");
    let wish =
        [("csrf", csrf.as_str()), ("plan", "btc-lease"), ("hashrate", "200 kH/s"), ("term", "6")];
    let total = me.post("/buy", &wish).await;
    assert_eq!(total.status, StatusCode::OK, "{}", total.body);
    assert!(total.body.contains("may earn less than it costs"));
    let quote = total.field("quote");
    let csrf = total.field("csrf");
    let bought = me.post("/contracts", &[("csrf", &csrf), ("quote", &quote)]).await;
    let invoice = bought.location().to_owned();
    // Pressed twice: the same invoice, not a second contract.
    let again = me.post("/contracts", &[("csrf", &csrf), ("quote", &quote)]).await;
    assert_eq!(again.location(), invoice);
    invoice
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from} in {text}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

#[tokio::test]
async fn a_customer_buys_pays_earns_and_withdraws_without_scripts() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    assert!(me.get("/account").await.body.contains("No contract yet"));

    let path = buy(&mut me).await;
    let invoice = me.get(&path).await;
    assert!(invoice.body.contains("Waiting for your payment"));
    assert!(invoice.body.contains("<svg class=\"qr\""), "{}", invoice.body);
    let uri = between(&invoice.body, "href=\"bitcoin:", "\"");
    let (address, amount) = uri.split_once("?amount=").unwrap();
    let amount = Amount::parse_decimal(Asset::Btc, amount).unwrap();
    let lane = &house.lanes[0];
    house.pay(lane, address, amount);
    house.block(lane, false).await;
    assert!(me.get(&path).await.body.contains("Paid and confirmed"));

    house.epochs(8).await;
    let overview = me.get("/account").await;
    assert!(overview.body.contains("Bitcoin lease"));
    let contract = between(&overview.body, "href=\"/contracts/", "\"").to_owned();
    let page = me.get(&format!("/contracts/{contract}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Hashrate delivered per epoch"));
    assert!(page.body.contains("class=\"bar work\""));
    assert!(page.body.contains("class=\"bar earn\""));
    assert!(me.get("/statement").await.body.contains("Earnings settled"));

    // Too much is refused with words, and what was typed is still there.
    let ask = me.get("/withdraw?asset=BTC").await;
    let limits = between(&ask.body, "id=\"limits-h\"", "</section>");
    let program = Program::signed_in(&house.app, "kari").await;
    let told = program.get("/api/v1/payouts/limits").await.json();
    let of = told["items"].as_array().unwrap().iter().find(|l| l["asset"] == "BTC").unwrap();
    for bound in ["one", "two_above"] {
        let bound = of[bound]["decimal"].as_str().unwrap();
        assert!(limits.contains(&format!(">{bound}</span>")), "{bound}: {limits}");
    }
    assert!(of["day"].is_null() && limits.contains("no limit"), "{told}");
    let csrf = ask.field("csrf");
    let to = house.stranger(lane);
    let wish = |amount| {
        [
            ("csrf", csrf.clone()),
            ("asset", "BTC".into()),
            ("amount", amount),
            ("address", to.clone()),
        ]
    };
    let post = |w: [(&'static str, String); 4]| w;
    let fields = post(wish("1000000".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let refused = me.post("/withdraw", &fields).await;
    assert_eq!(refused.status, UNPROCESSABLE);
    assert!(refused.body.contains("too little") && refused.body.contains(&to));

    let fields = wish("0.05".to_owned());
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let review = me.post("/withdraw", &fields).await;
    assert_eq!(review.status, StatusCode::OK, "{}", review.body);
    assert!(review.body.contains("Network fee, at most"));
    let once = review.field("once");
    let confirm = [
        ("csrf", csrf.as_str()),
        ("asset", "BTC"),
        ("amount", "0.05000000"),
        ("address", to.as_str()),
        ("once", once.as_str()),
        ("password", "four words make one"),
    ];
    let made = me.post("/payouts", &confirm).await;
    let payout = made.location().to_owned();
    let again = me.post("/payouts", &confirm).await;
    assert_eq!(again.location(), payout, "pressed twice, withdrawn once");

    house.pay_out(lane).await;
    let done = me.get(&payout).await;
    assert!(done.body.contains("Confirmed in a block"), "{}", done.body);
    assert!(me.get("/payouts").await.body.contains("Confirmed in a block"));
    let books = me.get("/books").await;
    assert!(books.body.contains("Adds up") && !books.body.contains("Does not add up"));

    let csrf = me.get("/account").await.field("csrf");
    assert_eq!(me.post("/sign-out", &[("csrf", &csrf)]).await.location(), "/");
    assert_eq!(me.get("/account").await.location(), "/sign-in?next=/account");
}

#[tokio::test]
async fn the_total_names_every_cost() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    for (plan, maintenance) in [("btc-lease", None), ("ltc-lease", Some("0.00001000"))] {
        let csrf = me.get(&format!("/buy?plan={plan}")).await.field("csrf");
        let wish =
            [("csrf", csrf.as_str()), ("plan", plan), ("hashrate", "100 kH/s"), ("term", "6")];
        let total = me.post("/buy", &wish).await;
        assert_eq!(total.status, StatusCode::OK, "{}", total.body);
        let costs = between(&total.body, "<dt>Fee on earnings</dt>", "There are no other costs.");
        let said = between(costs, "<dt>Maintenance</dt><dd>", "</dd>");
        match maintenance {
            None => assert_eq!(said, "none"),
            Some(price) => assert!(
                said.contains(price)
                    && said.contains("for each TH/s·day delivered, deducted from earnings"),
                "{said}"
            ),
        }
    }
}

#[tokio::test]
async fn a_farm_that_has_proven_nothing_yet_is_not_sold_out() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let sentence = "Not on sale yet: the farm's hashpower is being proven";
    for path in ["/plans", "/", "/lanes/btc", "/buy?plan=btc-lease"] {
        let page = me.get(path).await.body;
        assert!(page.contains(sentence) && !page.contains("Sold out"), "{path}: {page}");
    }
    house.epochs(8).await;
    assert!(!me.get("/plans").await.body.contains(sentence));
}

#[tokio::test]
async fn the_overview_keeps_lanes_apart() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    for (lane, plan, scheme) in [(0, "btc-lease", "bitcoin"), (1, "ltc-lease", "litecoin")] {
        let csrf = me.get(&format!("/buy?plan={plan}")).await.field("csrf");
        let wish =
            [("csrf", csrf.as_str()), ("plan", plan), ("hashrate", "100 kH/s"), ("term", "6")];
        let quote = me.post("/buy", &wish).await.field("quote");
        let bought = me.post("/contracts", &[("csrf", &csrf), ("quote", &quote)]).await;
        let invoice = me.get(bought.location()).await;
        let uri = between(&invoice.body, &format!("href=\"{scheme}:"), "\"").to_owned();
        let (address, amount) = uri.split_once("?amount=").unwrap();
        let lane = &house.lanes[lane];
        house.pay(lane, address, Amount::parse_decimal(lane.asset, amount).unwrap());
        house.block(lane, false).await;
    }
    house.epochs(3).await;
    let overview = me.get("/account").await.body;
    let now = between(&overview, "<dt>Hashrate, last epoch</dt>", "</dd>");
    for lane in ["btc", "ltc"] {
        assert!(now.contains(&format!("bought · {lane}")), "{now}");
    }
    assert_eq!(
        now.matches("of <span class=\"num\" title=\"100\u{202f}000 hashes").count(),
        2,
        "{now}"
    );
    assert!(!now.contains("200\u{202f}000 hashes"), "{now}");
    assert_eq!(now.matches("± <span").count(), 2, "{now}");
}

#[tokio::test]
async fn signing_in_leads_back_to_where_one_wanted_to_go_and_never_elsewhere() {
    let house = House::new().await;
    Browser::new(&house.app).sign_up("kari").await;
    for (next, lands) in [("/payouts", "/payouts"), ("//evil.example", "/account")] {
        let mut me = Browser::new(&house.app);
        let page = me.get("/sign-in").await;
        let csrf = page.field("csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("login", "kari"),
            ("password", "four words make one"),
            ("next", next),
        ];
        assert_eq!(me.post("/sign-in", &fields).await.location(), lands);
    }
    let mut me = Browser::new(&house.app);
    let csrf = me.get("/sign-in").await.field("csrf");
    let wrong = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "wrong")];
    let refused = me.post("/sign-in", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("do not go together"));
}

#[tokio::test]
async fn signing_in_over_a_live_session_ends_it() {
    let house = House::new().await;
    Browser::new(&house.app).sign_up("ola").await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let elsewhere = house::browser::Program::signed_in(&house.app, "kari").await;
    let old = me.cookies["gruve"].clone();
    let csrf = me.get("/account").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "ola"), ("password", "four words make one")];
    let wrong = [("csrf", csrf.as_str()), ("login", "ola"), ("password", "four words make two")];
    assert_eq!(me.post("/sign-in", &wrong).await.status, StatusCode::UNAUTHORIZED);
    assert!(house.accounts.session(&old).await.unwrap().is_some(), "nobody came in its place");
    assert_eq!(me.post("/sign-in", &login).await.location(), "/account");
    assert_ne!(me.cookies["gruve"], old);
    assert_eq!(house.accounts.session(&old).await.unwrap(), None);
    assert_eq!(elsewhere.get("/api/v1/account").await.status, StatusCode::OK, "others go on");
}

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let evil = "\"><script>alert(1)</script>";
    let csrf = me.get("/buy?plan=btc-lease").await.field("csrf");
    let wish = [("csrf", csrf.as_str()), ("plan", "btc-lease"), ("hashrate", evil), ("term", evil)];
    let page = me.post("/buy", &wish).await;
    assert_eq!(page.status, UNPROCESSABLE);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;"));
    let page = me.get("/withdraw?asset=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!page.body.contains("<script>alert"));
    let mut other = Browser::new(&house.app);
    let csrf = other.get("/sign-up").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("name", evil), ("email", evil), ("password", "x")];
    let page = other.post("/sign-up", &fields).await;
    assert_eq!(page.status, UNPROCESSABLE);
    assert!(!page.body.contains("<script>alert"));
}

#[tokio::test]
async fn pages_name_their_language_landmarks_and_no_foreign_source() {
    let house = House::new().await;
    house.epochs(5).await;
    let mut me = Browser::new(&house.app);
    for path in ["/", "/plans", "/books", "/lanes/btc", "/sign-in", "/sign-up", "/nowhere"] {
        let page = me.get(path).await.body;
        for part in [
            "<html lang=\"en\">",
            "<main",
            "<header",
            "<nav",
            "<footer",
            "<h1>",
            "name=\"viewport\"",
        ] {
            assert!(page.contains(part), "{path} has no {part}");
        }
        assert!(!page.contains(" style=") && !page.contains("<style"), "{path} has inline style");
        assert!(!page.contains("onclick") && !page.contains("<script>"), "{path}: inline script");
        assert!(!page.contains("src=\"http"), "{path} loads from elsewhere");
    }
    assert!(me.get("/").await.body.contains("it cannot be mined"));
    assert!(me.get("/plans").await.body.contains("it cannot be mined"));
}

#[tokio::test]
async fn a_running_contract_is_renewed_and_wished_for_on_its_page() {
    let house = House::new().await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let path = buy(&mut me).await;
    let invoice = me.get(&path).await;
    let uri = between(&invoice.body, "href=\"bitcoin:", "\"");
    let (address, amount) = uri.split_once("?amount=").unwrap();
    house.pay(&house.lanes[0], address, Amount::parse_decimal(Asset::Btc, amount).unwrap());
    house.block(&house.lanes[0], false).await;
    house.epochs(2).await;
    let overview = me.get("/account").await;
    let contract =
        format!("/contracts/{}", between(&overview.body, "href=\"/contracts/", "\"").to_owned());
    let page = me.get(&contract).await;
    let renewal = between(&page.body, "id=\"renewal\"", "</section>");
    assert!(
        renewal.contains("data-live=\"lanes money\""),
        "it comes and goes by itself: {renewal}"
    );
    for part in ["Renew it at today's price", "1 min (6 epochs)", "It is not renewed by itself."] {
        assert!(renewal.contains(part), "{part}: {renewal}");
    }
    let csrf = page.field("csrf");
    let quote = me.post(&format!("{contract}/renew"), &[("csrf", &csrf), ("term", "6")]).await;
    assert_eq!(quote.status, StatusCode::OK, "{}", quote.body);
    let wishes = format!("{contract}/wishes");
    for (max, outcome) in
        [("0.5", StatusCode::SEE_OTHER), ("", StatusCode::SEE_OTHER), ("much", UNPROCESSABLE)]
    {
        let form = [("csrf", csrf.as_str()), ("max", max), ("reinvest", "yes")];
        let answer = me.post(&wishes, &form).await;
        assert_eq!(answer.status, outcome, "{max}: {}", answer.body);
        // What is wished stands on the page and in the form.
        let page = me.get(&contract).await.body;
        let renewal = between(&page, "id=\"renewal\"", "</section>");
        let is_wished = max == "0.5";
        assert_eq!(renewal.contains("It is renewed from your balance"), is_wished, "{renewal}");
        assert_eq!(renewal.contains("value=\"0.50000000\""), is_wished, "{renewal}");
        assert!(renewal.contains("value=\"yes\" checked"), "{renewal}");
    }
    let program = Program::signed_in(&house.app, "kari").await;
    let told = program.get(&format!("/api/v1{contract}/life")).await.json()["going_on"].take();
    assert_eq!((&told["reinvest"], &told["renew_max_minor"]), (&json!(true), &json!(null)));
    assert_eq!(
        (&told["is_renewable"], &told["renewed_by"]),
        (&json!(true), &json!(null)),
        "{told}"
    );
    // Bought, it follows: nothing more can be renewed.
    let csrf = quote.field("csrf");
    let form = [("csrf", csrf.as_str()), ("quote", &quote.field("quote"))];
    assert!(me.post("/contracts", &form).await.location().starts_with("/invoices/"));
    let again = me.post(&format!("{contract}/renew"), &[("csrf", &csrf), ("term", "6")]).await;
    assert!(again.status.is_client_error(), "{}", again.body);
    let page = me.get(&contract).await.body;
    let renewal = between(&page, "id=\"renewal\"", "</section>");
    assert!(renewal.contains("Its renewal</a> follows it without a gap"), "{renewal}");
    assert!(!renewal.contains("/renew\""), "{renewal}");
    let life = program.get(&format!("/api/v1{contract}/life")).await.json();
    assert!(renewal.contains(life["going_on"]["renewed_by"].as_str().unwrap()), "{life}");
}

#[tokio::test]
async fn pages_and_papers_say_whose_house_it_is_and_nothing_in_a_name_is_markup() {
    let name = "Nord & <b>Lys</b>";
    let house = House::with(WebConfig { house: name.into(), ..WebConfig::default() }).await;
    house.epochs(8).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let shown = "Nord &amp; &lt;b&gt;Lys&lt;/b&gt;";
    let invoice = buy(&mut me).await;
    for path in ["/", "/account", "/statement", &invoice, "/nowhere"] {
        let page = me.get(path).await.body;
        assert!(page.contains(&format!("· {shown}</title>")), "{path}: {page}");
        assert!(page.contains(&format!("<span>{shown}</span></a>")), "{path}: {page}");
        assert!(page.contains(&format!("{shown} works with Gruve.")) && !page.contains(name));
    }
    for path in ["/statement", &invoice] {
        let page = me.get(path).await.body;
        assert!(page.contains(&format!("From {shown} to kari.")), "{path}: {page}");
    }
}

#[tokio::test]
async fn settlements_lead_to_the_check_of_a_receipt_where_there_is_a_record() {
    for (config, has_record) in [(recorded(), true), (WebConfig::default(), false)] {
        let house = House::with(config).await;
        house.epochs(8).await;
        let mut me = Browser::new(&house.app);
        me.sign_up("kari").await;
        let path = buy(&mut me).await;
        let invoice = me.get(&path).await.body;
        let uri = between(&invoice, "href=\"bitcoin:", "\"");
        let (address, amount) = uri.split_once("?amount=").unwrap();
        let lane = &house.lanes[0];
        house.pay(lane, address, Amount::parse_decimal(Asset::Btc, amount).unwrap());
        house.block(lane, false).await;
        house.epochs(8).await;
        let overview = me.get("/account").await.body;
        let contract = between(&overview, "href=\"/contracts/", "\"");
        let page = me.get(&format!("/contracts/{contract}")).await.body;
        let settlements = between(&page, "id=\"settlements-h\"", "</section>");
        assert!(settlements.contains("<td"), "something is settled: {settlements}");
        let link = format!("href=\"/proof/receipt?contract={contract}&amp;epoch=");
        assert_eq!(settlements.contains(&link), has_record, "{settlements}");
        if has_record {
            let epoch = between(settlements, &link, "\"");
            let of_contract = format!(">{epoch}</span>");
            let lines = between(&page, "id=\"lines-h\"", "</section>");
            assert!(lines.contains(&of_contract), "an epoch of the contract: {epoch}");
            let check = me.get(&format!("/proof/receipt?contract={contract}&epoch={epoch}")).await;
            assert!(check.body.contains("id=\"receipt-form\""), "{}", check.body);
        }
    }
}
