//! Confirming, resetting and delayed changes through the pages.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::{
    AccountRules, AccountsError, CHANGE_DELAY, Mail, MailError, MailRules, Mailer, Role,
    SEALED_FOR, UNCONFIRMED_KEPT,
};
use gruve_market::ChainBlock;
use gruve_store::transact;
use gruve_units::{Amount, Asset, Clock as _, Hashes};
use gruve_web::WebConfig;
use house::House;
use house::balances::fund;
use house::browser::{Answer, Browser, Program};
use house::letters::written;
use serde_json::json;
use std::sync::Mutex;

const PASSWORD: &str = "four words make one";

#[derive(Default)]
struct Sink(Mutex<Vec<Mail>>);

#[async_trait::async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

async fn writing_house(confirm_sign_up: bool) -> House {
    let mail = MailRules {
        origin: "http://gruve.test".into(),
        house: "Gruve".into(),
        confirm_sign_up,
        say: gruve_web::in_chosen_language,
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    House::with_rules(WebConfig::default(), rules).await
}

/// The path of the link to a page in the last message that has one.
async fn link(house: &House, page: &str) -> String {
    let sink = Sink::default();
    house.accounts.deliver(&sink).await.unwrap();
    let at = format!("http://gruve.test/{page}?ticket=");
    let sent = sink.0.into_inner().unwrap();
    let body = sent.iter().rev().find_map(|m| m.body.split(&at).nth(1)).unwrap();
    format!("/{page}?ticket={}", body.chars().take(43).collect::<String>())
}

/// Opens a link and presses its button, with one more field or none.
async fn press(browser: &mut Browser, link: &str, more: &[(&str, &str)]) -> Answer {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let (csrf, ticket) = (page.field("csrf"), page.field("ticket"));
    let mut fields = vec![("csrf", csrf.as_str()), ("ticket", ticket.as_str())];
    fields.extend(more);
    browser.post(link.split('?').next().unwrap(), &fields).await
}

async fn sign_in(browser: &mut Browser, password: &str) -> Answer {
    sign_in_as(browser, "kari", password).await
}

async fn sign_in_as(browser: &mut Browser, name: &str, password: &str) -> Answer {
    browser.cookies.clear();
    let csrf = browser.get("/sign-in").await.field("csrf");
    browser.post("/sign-in", &[("csrf", &csrf), ("login", name), ("password", password)]).await
}

#[tokio::test]
async fn a_new_customer_confirms_the_address_and_is_let_in() {
    let house = writing_house(true).await;
    let mut me = Browser::new(&house.app);
    let csrf = me.get("/sign-up").await.field("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "kari"),
        ("email", "kari@example.org"),
        ("password", PASSWORD),
    ];
    let told = me.post("/sign-up", &fields).await;
    assert!(told.status.is_success() && told.body.contains("Look into your mail"));
    assert!(!me.cookies.contains_key("gruve"), "not signed in");
    assert_eq!(sign_in(&mut me, PASSWORD).await.status, StatusCode::FORBIDDEN);
    let link = link(&house, "confirm").await;
    // That a mail program opens the link changes nothing.
    me.get(&link).await;
    assert_eq!(sign_in(&mut me, PASSWORD).await.status, StatusCode::FORBIDDEN);
    let done = press(&mut me, &link, &[]).await;
    assert!(done.body.contains("Your account is open"), "{}", done.body);
    assert_eq!(sign_in(&mut me, PASSWORD).await.location(), "/account");
}

/// Two who never confirm; one of them is offered a machine.
#[tokio::test]
async fn a_name_that_nobody_confirms_is_free_after_a_week_unless_something_is_its_owners() {
    let house = writing_house(true).await;
    let sign_up = async |name: &str| {
        let mut me = Browser::new(&house.app);
        let csrf = me.get("/sign-up").await.field("csrf");
        let email = format!("{name}@example.org");
        let fields =
            [("csrf", csrf.as_str()), ("name", name), ("email", &email), ("password", PASSWORD)];
        me.post("/sign-up", &fields).await.status
    };
    for name in ["kari", "ola"] {
        assert_eq!(sign_up(name).await, StatusCode::OK);
    }
    let ola = house.account("ola").await;
    let machine = house::furnished::stock(&house, "SN0001").await;
    house
        .hosting
        .offer(machine, ola, house::furnished::terms(), Amount::new(Asset::Btc, 0))
        .await
        .unwrap();
    house.clock.advance(UNCONFIRMED_KEPT);
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 0, "first nobody is let in");
    assert_eq!(sign_up("kari").await, StatusCode::CONFLICT);
    house.clock.advance(SEALED_FOR);
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 1);
    assert_eq!(house.accounts.account_by_name("kari").await.unwrap(), None);
    assert_eq!(house.accounts.account_by_name("ola").await.unwrap(), Some(ola));
    assert_eq!(sign_up("kari").await, StatusCode::OK, "the name and the address are free");
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_mail() {
    let house = writing_house(false).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    me.cookies.clear();
    assert!(me.get("/sign-in").await.body.contains("/forgot"));
    let mut told = Vec::new();
    for email in ["kari@example.org", "nobody@example.org"] {
        let csrf = me.get("/forgot").await.field("csrf");
        told.push(me.post("/forgot", &[("csrf", &csrf), ("email", email)]).await.body);
    }
    assert_eq!(told[0], told[1], "the same answer");
    let link = link(&house, "reset").await;
    let set = press(&mut me, &link, &[("new", "another four words")]).await;
    assert!(set.body.contains("The password is set"), "{}", set.body);
    assert_eq!(sign_in(&mut me, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&mut me, "another four words").await.location(), "/account");
    let again = press(&mut me, &link, &[("new", "a third one here")]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_house_without_mail_offers_nothing_that_needs_it() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    assert!(!me.get("/account/security").await.body.contains("/account/email"));
    me.cookies.clear();
    let page = me.get("/sign-in").await;
    assert!(!page.body.contains("/forgot"));
    let csrf = me.get("/forgot").await.field("csrf");
    let asked = me.post("/forgot", &[("csrf", &csrf), ("email", "kari@example.org")]).await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn payouts_bound_to_the_book_go_nowhere_else() {
    let house = writing_house(false).await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let lane = &house.lanes[0];
    let due = gruve_units::Amount::new(lane.asset, 900_000_000);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let (own, other) = (house.stranger(lane), house.stranger(lane));
    let mut me = Browser::new(&house.app);
    sign_in(&mut me, PASSWORD).await;
    let csrf = me.get("/account/addresses").await.field("csrf");
    let fields = |password: &'static str, address: &str| {
        vec![
            ("csrf", csrf.clone()),
            ("asset", "BTC".to_owned()),
            ("address", address.to_owned()),
            ("label", "cold".to_owned()),
            ("only", "yes".to_owned()),
            ("password", password.to_owned()),
        ]
    };
    async fn post(b: &mut Browser, path: &str, fields: &[(&str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post(path, &fields).await
    }
    let (add, only) = ("/account/addresses", "/account/addresses/only");
    assert_eq!(post(&mut me, add, &fields("no", &own)).await.status, StatusCode::UNAUTHORIZED);
    let nonsense = post(&mut me, add, &fields(PASSWORD, "nonsense")).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&mut me, add, &fields(PASSWORD, &own)).await.location(), add);
    assert_eq!(post(&mut me, only, &fields(PASSWORD, &own)).await.location(), add);
    assert!(me.get(add).await.body.contains(&own));
    let pay = async |to: &str| {
        let body = json!({ "asset": "BTC", "amount": "0.01", "address": to });
        kari.post("/api/v1/payouts", body).await
    };
    for to in [&own, &other] {
        let held = pay(to).await;
        assert_eq!(held.status, StatusCode::CONFLICT, "{}", held.body);
        assert_eq!(held.json()["type"], "urn:gruve:problem:not-in-book");
    }
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(pay(&own).await.status, StatusCode::CREATED);
    assert_eq!(pay(&other).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn coins_go_to_addresses_that_their_owners_signed_for_alone_where_the_house_wants_that() {
    use gruve_treasury::{Keychain, ScriptForm, Seed, WalletKeys, script_signature};
    let rules = AccountRules { owner_signatures: true, ..AccountRules::default() };
    let house = House::with_rules(WebConfig::default(), rules).await;
    let program = Program::signed_up(&house.app, "kari").await;
    let kari = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let seed = Seed::from_bytes([77; 32]);
    let keys = WalletKeys::new(&seed, gruve_units::Asset::Btc, ScriptForm::Wpkh, false).unwrap();
    let params =
        gruve_chain::params_for(gruve_units::Asset::Btc, gruve_chain::NetworkName::Regtest);
    let address = |index| {
        let script = keys.script(Keychain::PayIn, index).unwrap();
        gruve_chain::address_for_script(params.as_ref().unwrap(), script.as_bytes()).unwrap()
    };
    let signed = |index, text: &str| script_signature(&keys, Keychain::PayIn, index, text).unwrap();
    let mut me = Browser::new(&house.app);
    sign_in(&mut me, PASSWORD).await;
    let page = me.get("/account/addresses").await;
    let asked = format!("payouts of account {kari} may go to ");
    assert!(page.body.contains(&asked), "the text to sign is shown");
    let csrf = page.field("csrf");
    let mut add = async |address: &str, signature: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("asset", "BTC"),
            ("address", address),
            ("signature", signature),
            ("password", PASSWORD),
        ];
        me.post("/account/addresses", &fields).await
    };
    let text = |index| format!("{asked}{}", address(index));
    let others = format!(
        "payouts of account {} may go to {}",
        gruve_units::AccountId::from_bytes([9; 16]),
        address(1)
    );
    for (signature, why) in [
        (String::new(), "none"),
        ("smpAA==".to_owned(), "no signature"),
        (signed(2, &text(1)), "another key's"),
        (signed(1, &text(2)), "of another address"),
        (signed(1, &others), "for another account"),
    ] {
        let refused = add(&address(1), &signature).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
    }
    let added = add(&address(1), &signed(1, &text(1))).await;
    assert_eq!(added.location(), "/account/addresses");
    let book = house.accounts.address_book(kari).await.unwrap();
    assert_eq!(book.addresses.len(), 1);
    // Around the book there is no way, though this customer has not asked for that.
    assert!(!book.only);
    let pay = async |index| {
        let body = json!({ "asset": "BTC", "amount": "0.01", "address": address(index) });
        program.post("/api/v1/payouts", body).await.json()["type"].clone()
    };
    for index in [1, 2] {
        assert_eq!(pay(index).await, "urn:gruve:problem:not-in-book");
    }
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(pay(2).await, "urn:gruve:problem:not-in-book");
    assert_eq!(pay(1).await, "urn:gruve:problem:insufficient-funds");
}

#[tokio::test]
async fn a_letter_is_in_the_language_of_who_caused_it() {
    let house = writing_house(true).await;
    let mut me = Browser::new(&house.app);
    me.get("/language/nb").await;
    let csrf = me.get("/sign-up").await.field("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "kari"),
        ("email", "kari@example.org"),
        ("password", PASSWORD),
    ];
    assert!(me.post("/sign-up", &fields).await.body.contains("Se i e-posten din"));
    let sink = Sink::default();
    house.accounts.deliver(&sink).await.unwrap();
    let sent = sink.0.into_inner().unwrap();
    assert_eq!(sent[0].subject, "Gruve: bekreft adressen din");
    let body = &sent[0].body;
    assert!(body.starts_with("Noen, trolig du, har opprettet kontoen kari med denne"), "{body}");
    assert!(body.contains("http://gruve.test/confirm?ticket="), "{body}");
    assert!(!body.contains("address") && !body.contains("Open"), "{body}");
}

#[tokio::test]
async fn a_lost_second_factor_is_taken_off_after_days_in_which_nothing_is_paid_out() {
    let house = writing_house(false).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let kari = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let setup = house.accounts.begin_totp(kari, "gruve.test").await.unwrap();
    let code = house::codes::code_of(&setup.secret, house.clock.now());
    house.accounts.confirm_totp(kari, (PASSWORD, None), &code, None).await.unwrap();
    // Somebody without device and codes, at another browser.
    let mut lost = Browser::new(&house.app);
    let asked = sign_in(&mut lost, PASSWORD).await;
    assert!(asked.body.contains("neither my device nor a code"), "{}", asked.body);
    let (csrf, ticket) = (asked.field("csrf"), asked.field("ticket"));
    let told = lost.post("/sign-in/lost", &[("csrf", &csrf), ("ticket", &ticket)]).await;
    assert!(told.body.contains("Look into your mail"), "{}", told.body);
    let path = link(&house, "lost-factor").await;
    // That a mail program opens the link begins nothing.
    lost.get(&path).await;
    assert!(!me.get("/account").await.body.contains("Keep the factor"));
    let begun = press(&mut lost, &path, &[]).await;
    assert!(begun.body.contains("The wait has begun"), "{}", begun.body);
    // The session that is there sees it on every page; nothing is paid out.
    let shown = me.get("/plans").await;
    assert!(shown.body.contains("Keep the factor"), "{}", shown.body);
    assert!(!Browser::new(&house.app).get("/plans").await.body.contains("Keep the factor"));
    let mut program = Program::new(&house.app);
    program.token = Some(me.cookies["gruve"].clone());
    let about = program.get("/api/v1/account").await.json();
    assert!(about["factor_lost_until"].is_string(), "{about}");
    let order =
        json!({ "asset": "BTC", "amount": "0.01", "address": house.stranger(&house.lanes[0]) });
    let held = program.post("/api/v1/payouts", order.clone()).await;
    assert_eq!(held.status, StatusCode::CONFLICT, "{}", held.body);
    assert!(held.json()["type"].as_str().unwrap().ends_with("factor-lost"), "{}", held.body);
    // It is kept by that session, asked for again, and done when its time has come.
    let csrf = shown.field("csrf");
    let kept = me.post("/account/factor/keep", &[("csrf", &csrf)]).await;
    assert_eq!(kept.location(), "/account/security");
    assert!(!me.get("/plans").await.body.contains("Keep the factor"));
    let asked = sign_in(&mut lost, PASSWORD).await;
    let (csrf, ticket) = (asked.field("csrf"), asked.field("ticket"));
    lost.post("/sign-in/lost", &[("csrf", &csrf), ("ticket", &ticket)]).await;
    let path = link(&house, "lost-factor").await;
    press(&mut lost, &path, &[]).await;
    house.clock.advance(gruve_accounts::RECOVERY_DELAY);
    assert_eq!(house.accounts.apply_lost_factors().await.unwrap(), 1);
    assert!(me.get("/account").await.location().starts_with("/sign-in"), "signed out");
    assert_eq!(sign_in(&mut lost, PASSWORD).await.location(), "/account", "by the password alone");
    assert!(lost.get("/account").await.body.contains("taken off because it was said to be lost"));
}

/// A meter that is paid for less than two epochs more, in a language that the house was told once; the contract.
async fn nearly_dry(house: &House, me: &mut Browser) -> String {
    me.sign_up("kari").await;
    me.get("/language/nb").await;
    house.epochs(8).await;
    let kari = Program::signed_in(&house.app, "kari").await;
    let account = house.account("kari").await;
    fund(house, account, 90_000_000).await;
    let order = json!({ "plan": "btc-meter", "hashrate": "100 kH/s" });
    let started = kari.post("/api/v1/metered", order).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    let held = started.json()["held"]["minor"].as_i64().unwrap();
    let left = house::balances::available(house, account).await;
    house::balances::spend(house, account, left - held / 2).await;
    started.json()["contract"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_owner_is_written_to_in_the_own_language_before_and_when_a_meter_stops() {
    let house = writing_house(false).await;
    let mut me = Browser::new(&house.app);
    let contract = nearly_dry(&house, &mut me).await;
    written(&house).await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        house.epochs(1).await;
        house.state.write_to_owners().await.unwrap();
        for letter in written(&house).await {
            assert_eq!(letter.to, "kari@example.org");
            assert_eq!(letter.subject, "Gruve: om kontraktene dine");
            let link = format!("http://gruve.test/metered/{contract}");
            assert!(letter.body.contains(&link), "{}", letter.body);
            let page = me.get(&format!("/metered/{contract}")).await;
            assert_eq!(page.status, StatusCode::OK, "where the link leads");
            bodies.push(letter.body);
        }
    }
    assert_eq!(bodies.len(), 2, "{bodies:#?}");
    assert!(bodies[0].starts_with("Saldoen som betaler for denne kontrakten"), "{}", bodies[0]);
    assert!(bodies[1].starts_with("Denne kontrakten etter måler har stanset"), "{}", bodies[1]);
    assert_eq!(house.state.write_to_owners().await, Ok(0));
}

#[tokio::test]
async fn owners_are_written_to_as_long_as_the_site_is_served() {
    let house = writing_house(false).await;
    nearly_dry(&house, &mut Browser::new(&house.app)).await;
    written(&house).await;
    house.epochs(1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let market = house.market.clone();
    let taken = async move {
        while !market.accounts_to_write_to(1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let serving = gruve_web::serve(listener, house.state.clone(), taken);
    tokio::time::timeout(std::time::Duration::from_secs(60), serving).await.unwrap().unwrap();
    assert_eq!(written(&house).await.len(), 1);
}

#[tokio::test]
async fn letters_of_contracts_wait_while_many_messages_are_due() {
    let house = writing_house(false).await;
    nearly_dry(&house, &mut Browser::new(&house.app)).await;
    written(&house).await;
    house.epochs(1).await;
    // Others' messages, as many as some accounts may have wait.
    for name in ["ola", "per"] {
        Program::signed_up(&house.app, name).await;
        let account = house.account(name).await;
        for _ in 0..gruve_accounts::MUCH_DUE / 2 {
            transact!(house.store, tx -> Result<(), AccountsError> => {
                house.accounts.tell_owner(tx, account, "Something was done.").await
            })
            .unwrap();
        }
    }
    assert_eq!(house.state.write_to_owners().await, Ok(0));
    while written(&house).await.len() > 1 {}
    assert_eq!(house.state.write_to_owners().await, Ok(1));
    let told = written(&house).await;
    assert!(told.len() == 1 && told[0].to == "kari@example.org", "{told:?}");
}

#[tokio::test]
async fn a_house_without_mail_keeps_no_letters() {
    let house = House::new().await;
    nearly_dry(&house, &mut Browser::new(&house.app)).await;
    house.epochs(1).await;
    assert_eq!(house.market.accounts_to_write_to(10).await.unwrap().len(), 1);
    assert_eq!(house.state.write_to_owners().await, Ok(0));
    assert!(house.market.accounts_to_write_to(10).await.unwrap().is_empty());
}

/// A lease of a plan that takes four coins for a TH·day, of which the chain pays a quarter of one; the contract.
async fn at_a_loss(house: &House, finance: &Program, kari: &Program) -> String {
    let block = ChainBlock {
        height: 1,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(1 << 60),
        names_uncles: false,
        subsidy: 312_500_000,
        fees: 0,
    };
    let (market, lane) = (&house.market, "btc".parse().unwrap());
    transact!(house.store, tx -> gruve_market::Result<()> => {
        market.chain_block(tx, &lane, Asset::Btc, &block).await
    })
    .unwrap();
    let plan = json!({
        "id": "dear", "lane": "btc", "title": "Dear", "hashrate_min": "10 kH/s",
        "hashrate_max": "1 MH/s", "hashrate_step": "10 kH/s", "terms_epochs": [30],
        "price_minor": 40_000_000, "price_hashrate": "1 kH/s", "fee_bps": 0,
        "maintenance_minor_per_th_day": 400_000_000,
    });
    let put = finance.post("/api/v1/console/plans", plan).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.body);
    house.epochs(8).await;
    fund(house, house.account("kari").await, 90_000_000).await;
    let order = json!({ "plan": "dear", "hashrate": "10 kH/s", "term_epochs": 30 });
    let quote = kari.post("/api/v1/quotes", order).await.json();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    let (bought, invoice) = (bought.json(), bought.json()["invoice"]["id"].clone());
    let path = format!("/api/v1/invoices/{}/balance", invoice.as_str().unwrap());
    let paid = kari.post(&path, json!({})).await;
    assert!(paid.status.is_success(), "{}", paid.body);
    bought["contract"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_runs_at_a_loss_reads_it_in_a_letter_on_the_page_and_by_program_and_so_does_the_operator()
 {
    let house = writing_house(false).await;
    let (mut me, mut staff) = (Browser::new(&house.app), Browser::new(&house.app));
    me.sign_up("kari").await;
    me.get("/language/nb").await;
    staff.sign_up("penger").await;
    house.accounts.set_role(None, "penger", Some(Role::Finance)).await.unwrap();
    assert_eq!(sign_in_as(&mut staff, "penger", PASSWORD).await.location(), "/account");
    let (kari, finance) = (
        Program::signed_in(&house.app, "kari").await,
        Program::signed_in(&house.app, "penger").await,
    );
    let contract = at_a_loss(&house, &finance, &kari).await;
    written(&house).await;
    house.epochs(3).await;
    house.state.write_to_owners().await.unwrap();
    let letters = written(&house).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let body = &letters[0].body;
    assert!(body.starts_with("Kontrakten koster nå mer enn den tjener. Etter planen"), "{body}");
    let figures = "Et TH-døgn tjener 0,23418766 BTC og koster 4,00000000 BTC.";
    assert!(body.contains(figures), "{body}");
    assert!(body.contains(&format!("http://gruve.test/contracts/{contract}")), "{body}");
    let page = me.get(&format!("/contracts/{contract}")).await.body;
    assert!(page.contains("Den har kostet mer enn den tjener siden epoke"), "{page}");
    assert!(page.contains(figures), "{page}");
    let losses = kari.get(&format!("/api/v1/contracts/{contract}/losses")).await.json();
    let loss = &losses["items"][0];
    assert_eq!(loss["began"]["earns"]["minor"], 23_418_766, "{losses}");
    assert_eq!(loss["began"]["costs"]["minor"], 400_000_000, "{losses}");
    assert!(loss["until_epoch"].is_null() && loss["began"]["price_instant"].is_null(), "{losses}");
    let plans = finance.get("/api/v1/console/losing-plans").await.json();
    assert_eq!(
        (&plans["items"][0]["plan"], &plans["items"][0]["contracts"]),
        (&json!("dear"), &json!(1))
    );
    assert_eq!(plans["items"][0]["now"]["costs"]["minor"], 400_000_000, "{plans}");
    let console = staff.get("/console/plans").await.body;
    let losing = console.split_once("At a loss now").unwrap().1;
    assert!(losing.contains("dear") && losing.contains("0.23418766"), "{losing}");
}
