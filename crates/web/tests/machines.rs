//! Hosted machines through pages and API: offered, taken, seen at work, talked about, handed on.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::{AccountRules, Mail, MailError, MailRules, Mailer, Scope};
use gruve_farm::{MachineState, NewInventory};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_ledger::LedgerError;
use gruve_store::testing::run_raw;
use gruve_store::{params, transact};
use gruve_units::{AccountId, Amount, Asset, Bps, Clock as _, ContractId, Hashrate, MachineId};
use gruve_web::WebConfig;
use house::House;
use house::balances::{account, available, fund};
use house::browser::{Browser, Program};
use serde_json::json;
use std::sync::Mutex;

const PASSWORD: &str = "four words make one";

async fn machine(house: &House) -> MachineId {
    let site = house.farm.add_site("bergen").await.unwrap();
    let new = NewInventory {
        site,
        name: "hosted-1".to_owned(),
        lane: house.lanes[0].id.clone(),
        serial: "SN0001".to_owned(),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(350_000),
        watts: 3_250,
    };
    let id = house.farm.add_inventory(new).await.unwrap();
    house.farm.set_state(id, MachineState::Running).await.unwrap();
    id
}

async fn offered(house: &House, to: AccountId) -> ContractId {
    offered_paying(house, to, PayFrom::Earnings).await
}

async fn offered_paying(house: &House, to: AccountId, pay_from: PayFrom) -> ContractId {
    let machine = machine(house).await;
    let terms = OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Solo,
        pay_from,
        asset: Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    };
    house.hosting.offer(machine, to, terms, Amount::new(Asset::Btc, 0)).await.unwrap()
}

#[tokio::test]
async fn an_owner_takes_a_machine_sees_it_and_hands_it_on() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let id = offered(&house, account(&house, "kari").await).await;
    let path = format!("/api/v1/machines/{id}");
    assert_eq!(ola.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kari.get(&path).await.json()["state"], "offered");
    let taken = kari.post(&format!("{path}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    let account = account(&house, "kari").await;
    let (scheme, _) = house.market.own_scheme(account, &house.lanes[0].id).await.unwrap();
    assert_eq!(scheme, gruve_market::Scheme::Solo, "as the contract says");
    let certificate = kari.get(&format!("{path}/certificate")).await.json();
    assert!(certificate["signature"].as_str().unwrap().len() == 128);
    let terms = kari.get(&format!("{path}/terms")).await.body;
    let hash = <sha2::Sha256 as sha2::Digest>::digest(terms.as_bytes());
    assert_eq!(kari.get(&path).await.json()["terms_sha256"], hex::encode(hash));

    // The site's agent reports; nobody else can.
    let site = house.farm.add_site("bergen").await.unwrap();
    let mut agent = Program::new(&house.app);
    agent.token = Some(house.farm.new_agent_token(site).await.unwrap());
    let at = |n: i64| house.clock.now().0 - 20_000_000 + n * 10_000_000;
    let said = json!({ "hashes_per_second": 350_000, "watts": 3_100, "temperature_c": 61 });
    let report = json!({ "samples": [
        { "seq": 0, "at_us": at(0), "serial": "SN0001", "said": said },
        { "seq": 1, "at_us": at(1), "serial": "SN0001", "said": said },
    ] });
    for _ in 0..2 {
        let receipt = agent.post("/api/v1/site/telemetry", report.clone()).await;
        assert_eq!((receipt.status, receipt.json()["next"].as_u64()), (StatusCode::OK, Some(2)));
    }
    assert_eq!(agent.get("/api/v1/site/telemetry").await.json()["next"], 2);
    let refused = kari.post("/api/v1/site/telemetry", report).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(agent.get("/api/v1/machines").await.status, StatusCode::UNAUTHORIZED);
    let seen = kari.get(&path).await.json();
    assert_eq!(seen["machine"]["reading"]["watts"], 3_100);
    assert_eq!(seen["machine"]["claim"], "no-claim", "nothing is counted yet");

    let transfer = json!({ "to": "ola", "asset": "BTC", "price": "0", "password": PASSWORD });
    let offer = kari.post(&format!("{path}/transfer"), transfer).await;
    assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.body);
    let offer = offer.json()["offer"].as_str().unwrap().to_owned();
    // A change is written for the next border already; the next must come after it.
    let early = ola.post(&format!("/api/v1/machines/{offer}/accept"), json!({})).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    house.epochs(1).await;
    let taken = ola.post(&format!("/api/v1/machines/{offer}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert_eq!(kari.get(&path).await.json()["until_epoch"], taken.json()["from_epoch"]);
}

#[tokio::test]
async fn the_pages_of_a_hosted_machine_work_without_scripts() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    assert!(me.get("/machines").await.body.contains("You have no machine here"));
    let id = offered(&house, account(&house, "kari").await).await;
    let path = format!("/machines/{id}");
    let page = me.get(&path).await;
    assert!(page.body.contains("is offered to you"), "{}", page.body);
    let csrf = page.field("csrf");
    let post = |what: &str| format!("{path}/{what}");
    assert_eq!(me.post(&post("accept"), &[("csrf", &csrf)]).await.location(), path);
    let page = me.get(&path).await;
    for shown in ["Proven by its shares", "Payout address", "SN0001", "Certificate"] {
        assert!(page.body.contains(shown), "{shown}");
    }
    let file = me.get(&post("certificate")).await;
    assert!(file.header("content-disposition").starts_with("attachment"));
    let bad = me.post(&post("address"), &[("csrf", &csrf), ("address", "nonsense")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    // A ticket needs the machine to be hers already: her first epoch must have begun. Until then it is said from when,
    // and no form is shown that would be refused.
    assert!(page.body.contains("from then on you can open a ticket"), "{}", page.body);
    assert!(!page.body.contains("Open a ticket") && !page.body.contains("Hand it on"));
    house.epochs(5).await;
    let hers = me.get(&path).await.body;
    assert!(hers.contains("Open a ticket") && hers.contains("Hand it on"), "{hers}");
    let fields = [("csrf", csrf.as_str()), ("title", "Noise"), ("text", "It <b>rattles</b>")];
    let ticket = me.post(&post("tickets"), &fields).await.location().to_owned();
    assert!(ticket.starts_with("/tickets/"), "{ticket}");
    let said = me.get(&ticket).await.body;
    assert!(said.contains("It &lt;b&gt;rattles"), "{said}");
    me.post(&format!("{ticket}/close"), &[("csrf", &csrf)]).await;
    assert!(me.get(&ticket).await.body.contains("Closed"));
}

/// A house where kari has a machine that is hers by now, and ola some coins; her contract's path.
async fn kari_has_a_machine(house: &House) -> (Program, Program, String) {
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let id = offered(house, account(house, "kari").await).await;
    let path = format!("/api/v1/machines/{id}");
    let taken = kari.post(&format!("{path}/accept"), json!({})).await;
    assert_eq!(
        taken.status,
        StatusCode::OK,
        "what costs nothing needs no password: {}",
        taken.body
    );
    house.epochs(1).await;
    fund(house, account(house, "ola").await, 200_000_000).await;
    (kari, ola, path)
}

async fn key(house: &House, who: &str, scope: Scope) -> Program {
    let day = gruve_units::Duration::from_secs(86_400);
    let made = house.accounts.make_key(account(house, who).await, "robot", &[scope], day).await;
    let mut program = Program::new(&house.app);
    program.token = Some(made.unwrap().1);
    program
}

#[tokio::test]
async fn a_machine_is_handed_on_only_by_who_proves_to_be_its_owner() {
    let house = House::new().await;
    let (kari, ola, path) = kari_has_a_machine(&house).await;
    let to = format!("{path}/transfer");
    let order =
        |password: &str| json!({ "to": "ola", "asset": "BTC", "price": "0", "password": password });
    for wrong in ["", "no"] {
        let stolen = kari.post(&to, order(wrong)).await;
        assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "{}", stolen.body);
    }
    let unscoped = key(&house, "kari", Scope::Machines).await.post(&to, order("")).await;
    assert_eq!(unscoped.status, StatusCode::FORBIDDEN);
    // Whose machine it is not is told nothing of it, with any password.
    let foreign = ola.post(&to, order(PASSWORD)).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let by_key = key(&house, "kari", Scope::Withdraw).await.post(&to, order("")).await;
    assert_eq!(by_key.status, StatusCode::CREATED, "made with the password: {}", by_key.body);
    let offer = by_key.json()["offer"].as_str().unwrap().to_owned();
    kari.send("DELETE", &format!("/api/v1/machines/{offer}"), None).await;
    let right = kari.post(&to, order(PASSWORD)).await;
    assert_eq!(right.status, StatusCode::CREATED, "{}", right.body);
}

#[tokio::test]
async fn a_price_leaves_the_balance_only_past_what_guards_payouts() {
    let house = House::new().await;
    let (kari, ola, path) = kari_has_a_machine(&house).await;
    let (hers, his) = (account(&house, "kari").await, account(&house, "ola").await);
    let offered = async |price: &str| {
        let order = json!({ "to": "ola", "asset": "BTC", "price": price, "password": PASSWORD });
        let offer = kari.post(&format!("{path}/transfer"), order).await;
        assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.body);
        format!("/api/v1/machines/{}", offer.json()["offer"].as_str().unwrap())
    };
    let proof = || json!({ "password": PASSWORD });
    // Above what a payout is approved for by itself, nobody could look at it.
    let large = offered("1.5").await;
    let refused = ola.post(&format!("{large}/accept"), proof()).await;
    assert_eq!(refused.json()["type"], "urn:gruve:problem:needs-a-look", "{}", refused.body);
    kari.send("DELETE", &large, None).await;
    let accept = format!("{}/accept", offered("0.00001").await);
    for wrong in [json!({}), json!({ "password": "no" })] {
        assert_eq!(ola.post(&accept, wrong).await.status, StatusCode::UNAUTHORIZED);
    }
    let unscoped = key(&house, "ola", Scope::Machines).await.post(&accept, json!({})).await;
    assert_eq!(unscoped.status, StatusCode::FORBIDDEN);
    // To the book alone means: not to another customer, with any proof.
    house.accounts.pay_to_book_only(his, true, (PASSWORD, None), None).await.unwrap();
    let bound = ola.post(&accept, proof()).await;
    assert_eq!(bound.json()["type"], "urn:gruve:problem:not-in-book", "{}", bound.body);
    house.accounts.pay_to_book_only(his, false, (PASSWORD, None), None).await.unwrap();
    house.clock.advance(gruve_accounts::CHANGE_DELAY);
    let ola = Program::signed_in(&house.app, "ola").await;
    assert_eq!((available(&house, hers).await, available(&house, his).await), (0, 200_000_000));
    dispute(&house, his).await;
    let frozen = ola.post(&accept, proof()).await;
    assert_eq!(frozen.json()["type"], "urn:gruve:problem:disputed", "{}", frozen.body);
    run_raw(&house.store, "UPDATE treasury_disputes SET state = 'won'").await.unwrap();
    let taken = ola.post(&accept, proof()).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert_eq!((available(&house, hers).await, available(&house, his).await), (1_000, 199_999_000));
}

/// A dispute about a card payment of the account.
async fn dispute(house: &House, who: AccountId) {
    const PAID: &str = "INSERT INTO treasury_payments \
        (id, method, external, asset, amount, account, credit, taken, arrived_at) \
        VALUES ($1, 'card', 'pi_1', 'EUR', 100, $1, 'available', 0, 0)";
    const OPEN: &str = "INSERT INTO treasury_disputes \
        (external, payment, account, asset, amount, state, opened_at) \
        SELECT 'dp_1', id, $1, 'EUR', 1, 'open', 0 FROM treasury_payments LIMIT 1";
    transact!(house.store, tx -> Result<u64, LedgerError> => {
        tx.execute(PAID, &params![who]).await?;
        Ok(tx.execute(OPEN, &params![who]).await?)
    })
    .unwrap();
}

#[tokio::test]
async fn a_machines_address_is_one_that_payouts_may_go_to_and_its_owner_is_told() {
    let rules = MailRules {
        origin: "https://gruve.test".to_owned(),
        house: "Gruve".to_owned(),
        confirm_sign_up: false,
        say: gruve_accounts::in_english,
    };
    let rules = AccountRules { mail: Some(rules), ..AccountRules::default() };
    let house = House::with_rules(WebConfig::default(), rules).await;
    let (kari, _, path) = kari_has_a_machine(&house).await;
    let hers = account(&house, "kari").await;
    let (own, other) = (house.stranger(&house.lanes[0]), house.stranger(&house.lanes[0]));
    let set = async |address: &str, password: &str| {
        let body = json!({ "address": address, "password": password });
        kari.post(&format!("{path}/address"), body).await
    };
    let stolen = set(&own, "no").await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED);
    house.accounts.pay_to_book_only(hers, true, (PASSWORD, None), None).await.unwrap();
    let proof = (PASSWORD, None);
    house.accounts.add_address(hers, proof, (Asset::Btc, &own, ""), None).await.unwrap();
    let early = set(&own, PASSWORD).await;
    assert_eq!(early.status, StatusCode::CONFLICT, "not usable yet: {}", early.body);
    house.clock.advance(gruve_accounts::CHANGE_DELAY);
    let refused = set(&other, PASSWORD).await;
    assert_eq!(refused.json()["type"], "urn:gruve:problem:not-in-book", "{}", refused.body);
    let by_key = key(&house, "kari", Scope::Withdraw).await;
    let refused = by_key.post(&format!("{path}/address"), json!({ "address": other })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "a key is bound by the book, too");
    let done = set(&own, PASSWORD).await;
    assert_eq!(done.json()["address"].as_str(), Some(own.as_str()), "{}", done.body);
    let sink = Sink::default();
    while house.accounts.deliver(&sink).await.unwrap().sent > 0 {}
    let bodies = sink.0.lock().unwrap().join("\n");
    assert!(bodies.contains(&format!("SN0001 earns goes to {own}")), "{bodies}");
    assert!(bodies.contains("You have taken the machine SN0001"), "{bodies}");
}

#[tokio::test]
async fn a_machines_coins_go_to_no_address_of_the_houses_own() {
    let house = House::new().await;
    let (kari, _, path) = kari_has_a_machine(&house).await;
    let lane = &house.lanes[0];
    let set = async |address: &str| {
        let body = json!({ "address": address, "password": PASSWORD });
        kari.post(&format!("{path}/address"), body).await
    };
    let own = house.treasury.capital_address(lane.asset).unwrap();
    let refused = set(&own).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert!(refused.body.contains("the house's own"), "{}", refused.body);
    assert!(!kari.get(&path).await.body.contains(&own), "nothing is set");
    let done = set(&house.stranger(lane)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
}

#[tokio::test]
async fn an_owner_says_that_the_block_is_to_pay_unless_the_lane_takes_all() {
    let all = |market: &mut gruve_market::MarketConfig| {
        let all = Bps::new(Bps::ONE).unwrap();
        market.lanes.iter_mut().for_each(|lane| lane.outside_fee_bps = all);
    };
    let dear = House::selling(WebConfig::default(), all).await;
    // With the usual fee.
    let house = House::new().await;
    for (house, has_fee) in [(&dear, true), (&house, false)] {
        let kari = Program::signed_up(&house.app, "kari").await;
        let me = account(house, "kari").await;
        let id = offered_paying(house, me, PayFrom::Balance).await;
        let path = format!("/api/v1/machines/{id}");
        kari.post(&format!("{path}/accept"), json!({})).await;
        let wish = async |wanted: bool, password: &str| {
            let body = json!({ "wanted": wanted, "password": password });
            kari.post(&format!("{path}/in-block"), body).await
        };
        let refused = wish(true, PASSWORD).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert_eq!(refused.body.contains("takes all"), has_fee, "{}", refused.body);
        if has_fee {
            continue;
        }
        let address = json!({ "address": house.stranger(&house.lanes[0]), "password": PASSWORD });
        let set = kari.post(&format!("{path}/address"), address).await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.body);
        assert_eq!(wish(true, "no").await.status, StatusCode::UNAUTHORIZED);
        for wanted in [true, false] {
            let said = wish(wanted, PASSWORD).await.json();
            assert_eq!((&said["wanted"], &said["paid"]), (&json!(wanted), &json!([])), "{said}");
            assert_eq!(kari.get(&format!("{path}/in-block")).await.json(), said);
            let mut page = Browser::new(&house.app);
            page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
            let shown = page.get(&format!("/machines/{id}")).await.body;
            assert_eq!(shown.contains("Let the house be paid"), wanted, "{shown}");
        }
    }
}

#[tokio::test]
async fn an_owner_names_partners_who_share_what_blocks_pay() {
    let house = House::new().await;
    let lane = &house.lanes[0];
    let kari = Program::signed_up(&house.app, "kari").await;
    let me = account(&house, "kari").await;
    let id = offered_paying(&house, me, PayFrom::Balance).await;
    let path = format!("/api/v1/machines/{id}");
    kari.post(&format!("{path}/accept"), json!({})).await;
    let [own, ola, per] = [(); 3].map(|()| house.stranger(lane));
    let set = async |partners: serde_json::Value, password: &str| {
        let body = json!({ "address": own, "partners": partners, "password": password });
        kari.post(&format!("{path}/address"), body).await
    };
    let shared = async || {
        let said = kari.get(&format!("{path}/in-block")).await.json();
        said["shared"].as_array().unwrap().clone()
    };
    let part = |address: &str, bps: u16| json!({ "address": address, "bps": bps });
    let houses = house.treasury.capital_address(lane.asset).unwrap();
    let many: Vec<_> = (0..8).map(|_| part(&house.stranger(lane), 100)).collect();
    for (wrong, why) in [
        (json!([part(&houses, 500)]), "the house's own"),
        (json!([part(&ola, 99)]), "at least 1 %"),
        (json!([part(&ola, 9_901)]), "below 1 %"),
        (json!([part(&ola, 10_001)]), "at most the whole"),
        (json!([part(&own, 500)]), "twice"),
        (json!([part("nowhere", 500)]), "address"),
        (json!(many), "eight addresses"),
    ] {
        let refused = set(wrong, PASSWORD).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert!(refused.body.contains(why), "{why}: {}", refused.body);
        assert!(shared().await.is_empty(), "nothing is set");
    }
    let both = json!([part(&ola, 3_000), part(&per, 1_250)]);
    assert_eq!(set(both.clone(), "no").await.status, StatusCode::UNAUTHORIZED);
    let done = set(both, PASSWORD).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let parts = json!([part(&own, 5_750), part(&ola, 3_000), part(&per, 1_250)]);
    let lists = shared().await;
    assert_eq!((lists.len(), &lists[0]["parts"]), (1, &parts));

    // On the page as well: a change, which waits for a day.
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let machine = format!("/machines/{id}");
    let shown = page.get(&machine).await;
    assert!(shown.body.contains(&ola) && shown.body.contains("30.00 %"), "{}", shown.body);
    let csrf = shown.field("csrf");
    let lines = format!("{per} 12.5 %\r\n");
    let fields = [
        ("csrf", csrf.as_str()),
        ("address", own.as_str()),
        ("partners", lines.as_str()),
        ("password", PASSWORD),
    ];
    page.post(&format!("{machine}/address"), &fields).await;
    let lists = shared().await;
    assert_eq!((lists.len(), &lists[0]["parts"]), (2, &parts));
    assert_eq!(lists[1]["parts"], json!([part(&own, 8_750), part(&per, 1_250)]));
    let fields = [("csrf", csrf.as_str()), ("address", own.as_str()), ("partners", "nonsense")];
    let refused = page.post(&format!("{machine}/address"), &fields).await;
    assert!(refused.body.contains("part in percent"), "{}", refused.body);
}

/// Keeps what it is handed.
#[derive(Default)]
struct Sink(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.body.clone());
        Ok(())
    }
}

#[tokio::test]
async fn another_owners_machine_and_tickets_are_not_found_just_like_those_that_do_not_exist() {
    let house = House::new().await;
    let (kari, ola, path) = kari_has_a_machine(&house).await;
    house.epochs(4).await;
    let new = json!({ "title": "Noise", "text": "It rattles" });
    let ticket = kari.post(&format!("{path}/tickets"), new.clone()).await;
    assert_eq!(ticket.status, StatusCode::CREATED, "{}", ticket.body);
    let ticket = format!("/api/v1/tickets/{}", ticket.json()["ticket"].as_str().unwrap());
    assert_eq!(kari.get(&ticket).await.status, StatusCode::OK);
    let none = "0190a5d0-0000-7000-8000-000000000000";
    let missing = |of: &str| format!("{}/{none}", of.rsplit_once('/').unwrap().0);
    for (what, rest) in [
        (&ticket, ""),
        (&path, ""),
        (&path, "/certificate"),
        (&path, "/terms"),
        (&path, "/tickets"),
        (&path, "/in-block"),
    ] {
        let foreign = ola.get(&format!("{what}{rest}")).await;
        let nobodys = ola.get(&format!("{}{rest}", missing(what))).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{what}{rest}");
        assert_eq!(foreign.body, nobodys.body, "{what}{rest}");
    }
    let order = json!({ "to": "ola", "asset": "BTC", "price": "0", "password": PASSWORD });
    let address = json!({ "address": house.stranger(&house.lanes[0]), "password": PASSWORD });
    for (what, rest, body) in [
        (&ticket, "/notes", json!({ "text": "x" })),
        (&ticket, "/close", json!({})),
        (&path, "/tickets", new),
        (&path, "/accept", json!({ "password": PASSWORD })),
        (&path, "/transfer", order),
        (&path, "/address", address),
        (&path, "/in-block", json!({ "wanted": true, "password": PASSWORD })),
    ] {
        let foreign = ola.post(&format!("{what}{rest}"), body).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{what}{rest}: {}", foreign.body);
    }
    assert_eq!(ola.send("DELETE", &path, None).await.status, StatusCode::NOT_FOUND);
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), ola.token.clone().unwrap());
    for foreign in [&ticket, &path] {
        let foreign = foreign.replace("/api/v1", "");
        assert_eq!(page.get(&foreign).await.status, StatusCode::NOT_FOUND, "{foreign}");
    }
}
