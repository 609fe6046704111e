//! Paying in by other methods than an address of the invoice's own, over HTTP.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{StatusCode, Uri};
use axum::{Json, Router};
use gruve_accounts::Role;
use gruve_market::PlanConfig;
use gruve_treasury::{BankAccount, Secret, Seed, StripeConfig, Treasury, TreasuryConfig};
use gruve_units::{Amount, Asset, SeededEntropy};
use gruve_web::{AppState, Services, WebConfig, router};
use house::House;
use house::browser::{Answer, Browser, Program};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A house with a plan that is paid in euros.
async fn house() -> House {
    let house = House::selling(WebConfig::default(), |market| {
        let plan = PlanConfig {
            id: "btc-eur".to_owned(),
            pay_asset: Some(Asset::Eur),
            price_minor: 401_234_560_000,
            ..market.plans[0].clone()
        };
        market.plans.push(plan);
    })
    .await;
    house.epochs(8).await;
    house
}

fn statement(id: &str, cents: i64, text: &str) -> String {
    format!(
        "<Document><BkToCstmrStmt><Stmt><Id>{id}</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id>\
         </Acct><Ntry><Amt Ccy=\"EUR\">{}.{:02}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt>\
         <Dt>2026-11-20</Dt></BookgDt><AcctSvcrRef>{id}</AcctSvcrRef><NtryDtls><TxDtls><RmtInf><Ustrd>{text}\
         </Ustrd></RmtInf></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>",
        cents / 100,
        cents % 100,
    )
}

async fn booked(house: &House, id: &str, cents: i64, text: &str) {
    let text = statement(id, cents, text);
    house.treasury.import_statement(id, text.as_bytes()).await.unwrap();
}

fn cents(amount: &Value) -> i64 {
    let minor = amount["minor"].as_i64().unwrap();
    assert_eq!(minor % 10_000, 0, "{amount}");
    minor / 10_000
}

fn method<'a>(invoice: &'a Value, name: &str) -> Option<&'a Value> {
    invoice["methods"].as_array().unwrap().iter().find(|m| m["method"] == name)
}

async fn buy(kari: &Program) -> Value {
    let order = json!({ "plan": "btc-eur", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    bought.json()
}

#[tokio::test]
async fn a_contract_priced_in_euros_is_paid_by_transfer_and_works() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let bought = buy(&kari).await;
    let invoice = &bought["invoice"];
    assert!(method(invoice, "chain").is_none());
    let bank = method(invoice, "bank").unwrap();
    assert_eq!(
        (bank["iban"].as_str(), bank["holder"].as_str()),
        (Some("DE89370400440532013000"), Some("Example Mining"))
    );
    let (to_pay, reference) = (cents(&bank["amount"]), bank["reference"].as_str().unwrap());
    assert!(to_pay * 10_000 >= invoice["amount"]["minor"].as_i64().unwrap());
    booked(&house, "s1", to_pay, &format!("thanks {}", bank["written"].as_str().unwrap())).await;
    let paid =
        kari.get(&format!("/api/v1/invoices/{}", invoice["id"].as_str().unwrap())).await.json();
    assert_eq!(
        (paid["state"].as_str(), paid["address"].as_str()),
        (Some("confirmed"), Some(reference))
    );
    assert_eq!(paid["methods"], json!([]));
    let payments = kari.get("/api/v1/payments").await.json();
    assert_eq!(
        (payments["items"][0]["method"].as_str(), cents(&payments["items"][0]["amount"])),
        (Some("bank"), to_pay)
    );
    house.epochs(8).await;
    let contract = kari
        .get(&format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap()))
        .await
        .json();
    assert_ne!(contract["delivered"].as_str(), Some("0"), "{contract}");
    let mut tx = house.store.read().await.unwrap();
    let audit = gruve_ledger::audit(&mut tx).await.unwrap();
    assert!(audit.findings.is_empty(), "{audit:?}");
}

#[tokio::test]
async fn a_balance_filled_by_transfer_pays_a_contract_at_once_and_once() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let top_up =
        kari.post("/api/v1/top-ups", json!({ "asset": "EUR", "amount": "100" })).await.json();
    assert!(method(&top_up, "balance").is_none(), "what fills the balance is not paid from it");
    let bought = buy(&kari).await;
    let path = method(&bought["invoice"], "balance").unwrap()["post"].as_str().unwrap().to_owned();
    let early = kari.post(&path, json!({})).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY, "nothing is there yet");
    booked(&house, "s1", 10_000, method(&top_up, "bank").unwrap()["reference"].as_str().unwrap())
        .await;
    let ola = Program::signed_up(&house.app, "ola").await;
    assert_eq!(ola.post(&path, json!({})).await.status, StatusCode::NOT_FOUND);
    let paid = kari.post(&path, json!({})).await;
    assert_eq!((paid.status, paid.json()["state"].as_str()), (StatusCode::OK, Some("confirmed")));
    assert_eq!(kari.post(&path, json!({})).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn pages_show_how_to_transfer_and_take_a_payment_from_the_balance() {
    let house = house().await;
    let mut kari = Browser::new(&house.app);
    kari.sign_up("kari").await;
    let csrf = kari.get("/top-up").await.field("csrf");
    let wrong =
        kari.post("/top-up", &[("csrf", &csrf), ("asset", "EUR"), ("amount", "0.001")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let made =
        kari.post("/top-up", &[("csrf", &csrf), ("asset", "EUR"), ("amount", "99.90")]).await;
    let page = kari.get(made.location()).await;
    for part in ["DE89 3704 0044 0532 0130 00", "Example Mining", "99.90", "RF", "<svg"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let account = house.account("kari").await;
    let invoice = house.treasury.invoices(account).await.unwrap().remove(0);
    booked(&house, "s1", 9_990, &invoice.address).await;
    let quote =
        [("csrf", csrf.as_str()), ("plan", "btc-eur"), ("hashrate", "100 kH/s"), ("term", "6")];
    let quoted = kari.post("/buy", &quote).await;
    let id = quoted.field("quote");
    let bought = kari.post("/contracts", &[("csrf", &csrf), ("quote", &id)]).await;
    let place = bought.location().to_owned();
    let page = kari.get(&place).await;
    assert!(page.body.contains("from your balance of"), "{}", page.body);
    let paid = kari.post(&format!("{place}/balance"), &[("csrf", &csrf)]).await;
    assert_eq!(paid.location(), place);
    assert!(kari.get(&place).await.body.contains("Paid and confirmed"));
}

#[tokio::test]
async fn a_transfer_without_a_reference_waits_in_the_console_until_somebody_says_whose_it_is() {
    let house = house().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let top_up =
        kari.post("/api/v1/top-ups", json!({ "asset": "EUR", "amount": "5" })).await.json();
    booked(&house, "s1", 500, "for my machine").await;
    let mut boss = Browser::new(&house.app);
    boss.sign_up("boss").await;
    house.accounts.set_role(None, "boss", Some(Role::Finance)).await.unwrap();
    boss.cookies.clear();
    let csrf = boss.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", "boss"), ("password", "four words make one")];
    assert_eq!(boss.post("/sign-in", &fields).await.location(), "/account");
    let page = boss.get("/console/pay-ins").await;
    let invoice = top_up["id"].as_str().unwrap();
    assert!(page.body.contains("for my machine") && page.body.contains(invoice), "{}", page.body);
    let entry = house.treasury.bank_entries_waiting().await.unwrap()[0].id;
    let csrf = page.field("csrf");
    let place = format!("/console/pay-ins/{entry}");
    let word = [("csrf", csrf.as_str()), ("word", "invoice"), ("id", invoice), ("why", "called")];
    assert_eq!(boss.post(&place, &word).await.location(), "/console/pay-ins");
    assert_eq!(boss.post(&place, &word).await.status, StatusCode::CONFLICT, "decided once");
    let paid = kari.get(&format!("/api/v1/invoices/{invoice}")).await.json();
    assert_eq!(paid["state"], "confirmed");
    assert!(!boss.get("/console/pay-ins").await.body.contains("for my machine"));
}

/// Signs up, with a role.
async fn staff(house: &House, name: &str, role: Role) -> Program {
    Program::signed_up(&house.app, name).await;
    house.accounts.set_role(None, name, Some(role)).await.unwrap();
    Program::signed_in(&house.app, name).await
}

/// Whoever says whose a payment is could take any that nobody has claimed, and give an own purchase back.
#[tokio::test]
async fn nobody_gives_a_payment_or_its_refund_to_their_own_account() {
    let house = house().await;
    let boss = staff(&house, "boss", Role::Owner).await;
    let penger = staff(&house, "penger", Role::Finance).await;
    let ask = json!({ "asset": "EUR", "amount": "5" });
    let own = penger.post("/api/v1/top-ups", ask).await.json()["id"].clone();
    booked(&house, "s1", 500, "for my machine").await;
    let entry = house.treasury.bank_entries_waiting().await.unwrap()[0].id;
    let place = format!("/api/v1/console/pay-ins/{entry}");
    let account = house.account("penger").await.to_string();
    let is_own = |answer: &Answer| {
        let told =
            answer.json()["detail"].as_str().unwrap_or_default().contains("your own account");
        answer.status == StatusCode::UNPROCESSABLE_ENTITY && told
    };
    for (word, id) in [("account", json!(account)), ("invoice", own.clone())] {
        let word = json!({ "word": word, "id": id, "why": "mine" });
        let refused = penger.post(&place, word).await;
        assert!(is_own(&refused), "{}", refused.body);
    }
    assert_eq!(penger.get("/api/v1/payments").await.json()["items"], json!([]));
    let word = json!({ "word": "invoice", "id": own, "why": "called" });
    assert_eq!(boss.post(&place, word).await.status, StatusCode::OK);
    let paid = penger.get("/api/v1/payments").await.json();
    let payment = paid["items"][0]["payment"].as_str().unwrap();
    let path = format!("/api/v1/console/payments/{payment}/refund");
    let back = json!({ "amount": "5", "taken_back": "0", "why": "mine" });
    let refused = penger.post(&path, back.clone()).await;
    assert!(is_own(&refused), "{}", refused.body);
    let other = boss.post(&path, back).await;
    assert!(!is_own(&other), "a transfer is not given back like this: {}", other.body);
}

#[tokio::test]
async fn a_payment_shows_before_any_block_says_that_it_counts_for_nothing_and_goes_again() {
    let house = House::new().await;
    let lane = &house.lanes[0];
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let kari = Program::signed_in(&house.app, "kari").await;
    let made = kari.post("/api/v1/top-ups", json!({ "asset": "BTC", "amount": "0.25" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert_eq!((&made["unconfirmed"], &made["blocks_needed"]), (&json!([]), &json!(1)));
    let id = made["id"].as_str().unwrap();
    let (page, call) = (format!("/invoices/{id}"), format!("/api/v1/invoices/{id}"));
    let before = me.get(&page).await.body;
    assert!(
        before.contains("Waiting for your payment")
            && before.contains("Blocks that a payment needs")
    );
    assert!(!before.contains("Seen, unconfirmed"));

    let due = Amount::new(Asset::Btc, made["amount"]["minor"].as_i64().unwrap());
    house.pay(lane, made["address"].as_str().unwrap(), due);
    house.treasury.look_at_pool(Asset::Btc).await.unwrap();
    let seen = kari.get(&call).await.json();
    let mark = &seen["unconfirmed"][0];
    let txid = mark["transaction"].as_str().unwrap();
    assert_eq!((&mark["amount"], txid.len()), (&made["amount"], 64));
    assert!(mark["seen_at"].is_string(), "{mark}");
    for unmoved in ["state", "open", "received", "confirmed", "to_pay", "methods"] {
        assert_eq!(seen[unmoved], made[unmoved], "{unmoved}");
    }
    let shown = me.get(&page).await.body;
    for said in ["Seen, unconfirmed", txid, "nothing counts before it stands in as many blocks"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(!shown.contains("Waiting for your payment"), "whoever has paid is not asked to");
    let stranger = Program::signed_up(&house.app, "ola").await;
    assert_eq!(stranger.get(&call).await.status, StatusCode::NOT_FOUND);

    house.block(lane, false).await;
    let paid = kari.get(&call).await.json();
    assert_eq!((&paid["state"], &paid["unconfirmed"]), (&json!("confirmed"), &json!([])));
    assert!(!me.get(&page).await.body.contains("Seen, unconfirmed"));
}

/// A service that has 4.48 euros and 2 dollars of the house's, and an account without any line.
async fn service() -> String {
    let answer = async |uri: Uri| match uri.path() {
        "/v1/balance" => {
            let of =
                |amount: i64, currency: &str| json!({ "amount": amount, "currency": currency });
            Json(
                json!({ "available": [of(400, "eur"), of(200, "usd")], "pending": [of(48, "eur")] }),
            )
        }
        _ => Json(json!({ "object": "list", "data": [], "has_more": false })),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, Router::new().fallback(answer));
    tokio::spawn(async { serving.await.unwrap() });
    url
}

/// The house's pages, with cards.
async fn with_cards(house: &House, url: String) -> (Treasury, Router) {
    let mut config = TreasuryConfig::new(Seed::from_bytes([42; 32])).with_bank(BankAccount {
        asset: Asset::Eur,
        iban: "DE89370400440532013000".to_owned(),
        holder: "Example Mining".to_owned(),
        bic: None,
        open_for: Duration::from_secs(14 * 86_400),
    });
    config.stripe = Some(StripeConfig {
        url,
        secret_key: Secret::new("sk_test_1"),
        webhook_secrets: vec![Secret::new("whsec_1")],
        assets: vec![Asset::Eur],
        origin: "https://mine.example".into(),
        authorities: PathBuf::new(),
        patience: Duration::from_secs(10),
    });
    let (clock, entropy) = (house.clock.clone(), Arc::new(SeededEntropy::new(9)));
    let store = house.store.clone();
    let treasury = Treasury::new(store.clone(), clock.clone(), entropy.clone(), config).unwrap();
    let services = Services {
        store,
        accounts: house.accounts.clone(),
        market: house.market.clone(),
        treasury: treasury.clone(),
        farm: house.farm.clone(),
        hosting: house.hosting.clone(),
        live: house.live.clone(),
        clock,
        entropy,
    };
    let state = AppState::open(services, WebConfig::default()).await.unwrap();
    (treasury, router(state))
}

/// A service whose places to pay lead where it is told.
async fn leading(link: Arc<Mutex<&'static str>>) -> String {
    let answer = move || {
        let link = *link.lock().unwrap();
        async move { Json(json!({ "id": "cs_1", "url": link })) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, Router::new().fallback(answer));
    tokio::spawn(async { serving.await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leads_customers_to_a_page_and_never_to_a_script() {
    let house = house().await;
    let link = Arc::new(Mutex::new("javascript:alert(document.cookie)"));
    let (_, app) = with_cards(&house, leading(link.clone()).await).await;
    let mut kari = Browser::new(&app);
    kari.sign_up("kari").await;
    let csrf = kari.get("/top-up").await.field("csrf");
    let made = kari.post("/top-up", &[("csrf", &csrf), ("asset", "EUR"), ("amount", "5")]).await;
    let invoice = made.location().to_owned();
    let csrf = kari.get(&invoice).await.field("csrf");
    let (at, fields) =
        (format!("{invoice}/checkout"), [("csrf", csrf.as_str()), ("method", "card")]);
    let program = Program::signed_in(&app, "kari").await;
    let call = format!("/api/v1{invoice}/checkouts");
    for answer in
        [kari.post(&at, &fields).await, program.post(&call, json!({ "method": "card" })).await]
    {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
        assert!(!answer.body.contains("javascript:"), "{}", answer.body);
    }
    assert!(!kari.get(&invoice).await.body.contains("javascript:"));
    *link.lock().unwrap() = "https://checkout.example/c/\"onclick=\"alert(1)";
    let shown = kari.post(&at, &fields).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    let led = r#"href="https://checkout.example/c/&quot;onclick=&quot;alert(1)""#;
    assert!(shown.body.contains(led), "{}", shown.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_and_a_bank_have_and_the_books_have_not_is_shown_to_whoever_keeps_them() {
    let house = house().await;
    let (treasury, app) = with_cards(&house, service().await).await;
    let balance = |code: &str, amount: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-20</Dt></Dt></Bal>"
        )
    };
    let text = statement("s1", 1_000, "x")
        .replace("<Ntry>", &(balance("OPBD", "1.00") + &balance("CLBD", "11.00") + "<Ntry>"));
    treasury.import_statement("s1", text.as_bytes()).await.unwrap();
    let mut boss = Browser::new(&app);
    boss.sign_up("boss").await;
    house.accounts.set_role(None, "boss", Some(Role::Finance)).await.unwrap();
    boss.cookies.clear();
    let csrf = boss.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", "boss"), ("password", "four words make one")];
    assert_eq!(boss.post("/sign-in", &fields).await.location(), "/account");
    let program = Program::signed_in(&app, "boss").await;
    let call = "/api/v1/console/clearing";
    let page = boss.get("/console/pay-ins").await.body;
    assert!(page.contains("Statements and the books") && !page.contains("Services and the books"));
    let banks = program.get(call).await.json()["items"].clone();
    assert_eq!(banks.as_array().unwrap().len(), 1, "nobody has asked the service: {banks}");

    treasury.poll_checkouts().await.unwrap();
    let items = program.get(call).await.json()["items"].clone();
    let minor = |of: &Value, what: &str| of[what]["minor"].as_i64().unwrap() / 10_000;
    let [bank, euros, dollars] = &items.as_array().unwrap()[..] else { panic!("{items}") };
    assert_eq!(*bank, banks[0], "as before");
    assert_eq!((&bank["method"], &bank["on"]), (&json!("bank"), &json!("2026-11-20")));
    assert_eq!(
        (&bank["asked_at"], &bank["bank"]),
        (&Value::Null, &json!("DE89370400440532013000"))
    );
    assert_eq!((minor(bank, "there"), minor(bank, "books")), (1_100, 1_000));
    assert_eq!((minor(bank, "beside"), &bank["explained"]), (100, &json!(true)));
    for (of, there) in [(euros, 448), (dollars, 200)] {
        assert_eq!(
            (&of["method"], &of["bank"], &of["on"]),
            (&json!("card"), &Value::Null, &Value::Null)
        );
        assert!(of["asked_at"].is_string(), "{of}");
        assert_eq!((minor(of, "there"), minor(of, "books"), minor(of, "open")), (there, 0, 0));
        assert_eq!((minor(of, "difference"), &of["explained"]), (there, &json!(false)));
    }
    let page = boss.get("/console/pay-ins").await.body;
    for part in ["Services and the books", "4.48", "not in the books"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let kari = Program::signed_up(&app, "kari").await;
    assert_eq!(
        kari.get(call).await.status,
        StatusCode::NOT_FOUND,
        "for customers there is no such thing"
    );
}
