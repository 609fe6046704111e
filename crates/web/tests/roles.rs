//! Who of the staff may reach what. The list of routes is gone through as every role, as a customer and
//! as nobody: a route that the table of permissions does not cover fails here the day it is added.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{Method, StatusCode};
use gruve_accounts::{Permission, Role};
use gruve_farm::{Luck, MachineOwner, Miner, ProvenPlace};
use gruve_units::Clock as _;
use gruve_web::{Access, RouteInfo, routes};
use house::House;
use house::browser::{Answer, Browser, Program};
use serde_json::json;
use std::collections::BTreeMap;

const PASSWORD: &str = "four words make one";

fn permission(access: Access) -> Option<Permission> {
    match access {
        Access::Staff(p) | Access::StaffForm(p) | Access::StaffBearer(p) => Some(p),
        _ => None,
    }
}

fn filled(path: &str, id: &str) -> String {
    path.replace("{id}", id).replace("{lane}", "nowhere").replace("{name}", "nothing.css")
}

const NONE: &str = "0190a5d0-0000-7000-8000-000000000000";

async fn signed_in(house: &House, name: &str, role: Option<Role>) -> Browser {
    let mut browser = Browser::new(&house.app);
    browser.sign_up(name).await;
    if role.is_some() {
        house.accounts.set_role(None, name, role).await.unwrap();
        browser.cookies.clear();
        let csrf = browser.get("/sign-in").await.field("csrf");
        let fields = [("csrf", csrf.as_str()), ("login", name), ("password", PASSWORD)];
        assert_eq!(browser.post("/sign-in", &fields).await.location(), "/account");
    }
    browser
}

async fn ask(browser: &mut Browser, route: &RouteInfo, path: &str, csrf: &str) -> Answer {
    if route.method == Method::GET {
        browser.get(path).await
    } else {
        browser.post(path, &[("csrf", csrf)]).await
    }
}

#[tokio::test]
async fn every_operators_route_names_a_permission_and_only_roles_that_have_it_pass() {
    let house = House::new().await;
    let all = routes(&house.state);
    let operators: Vec<_> = all.iter().filter(|r| permission(r.access).is_some()).collect();
    assert!(operators.len() >= 30, "{}", operators.len());
    for r in &all {
        let is_console = r.path.starts_with("/console") || r.path.starts_with("/api/v1/console");
        assert_eq!(is_console, permission(r.access).is_some(), "{} {}", r.method, r.path);
        if r.method != Method::GET
            && let Some(p) = permission(r.access)
        {
            assert!(!p.only_reads(), "{} {} changes something under {p:?}", r.method, r.path);
        }
    }
    for role in Role::ALL {
        // One owner must stay beside the one that is tried.
        let mut me = signed_in(&house, role.name(), Some(role)).await;
        let csrf = me.get("/account").await.field("csrf");
        for r in operators.iter().filter(|r| !r.path.starts_with("/api/")) {
            let path = filled(r.path, NONE);
            let answer = ask(&mut me, r, &path, &csrf).await;
            let what = format!("{role}: {} {path}: {}", r.method, answer.status);
            if role.may(permission(r.access).unwrap()) {
                // A form without fields is refused for what it lacks, not for who sends it.
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert!(!answer.status.is_server_error(), "{what}: {}", answer.body);
                let named = r.path.contains('{');
                if r.method == Method::GET && !named {
                    assert_eq!(answer.status, StatusCode::OK, "{what}");
                }
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert!(answer.body.contains("Not allowed"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn to_customers_and_to_nobody_the_console_does_not_exist() {
    let house = House::new().await;
    let mut me = signed_in(&house, "kari", None).await;
    let csrf = me.get("/account").await.field("csrf");
    assert!(!me.get("/account").await.body.contains("/console"));
    let missing = me.get("/nowhere").await;
    for r in routes(&house.state).iter().filter(|r| permission(r.access).is_some()) {
        if r.path.starts_with("/api/") {
            let kari = Program::new(&house.app);
            let answer = kari.send(r.method.as_str(), &filled(r.path, NONE), None).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", r.path);
            continue;
        }
        let answer = ask(&mut me, r, &filled(r.path, NONE), &csrf).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {}", r.method, r.path);
        let told = |a: &Answer| a.body.contains("There is no such page.");
        assert!(told(&answer) && told(&missing), "{}", r.path);
        let mut nobody = Browser::new(&house.app);
        let answer = ask(&mut nobody, r, &filled(r.path, NONE), "").await;
        assert!(answer.location().starts_with("/sign-in"), "{}", r.path);
    }
}

#[tokio::test]
async fn no_role_opens_customers_own_pages_to_others() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let (contract, invoice) =
        (bought["contract"].as_str().unwrap(), bought["invoice"]["id"].as_str().unwrap());
    let mut me = signed_in(&house, "eier", Some(Role::Owner)).await;
    let own_routes = routes(&house.state);
    let own = own_routes.iter().filter(|r| r.access == Access::Customer && r.path.contains("{id}"));
    for (r, id) in own.flat_map(|r| [(r, contract), (r, invoice)]) {
        let path = filled(r.path, id);
        assert_eq!(me.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // What the owner sees of it stands in the console.
    let listed = me.get("/console/contracts").await.body;
    assert!(listed.contains("kari") && listed.contains("Bitcoin lease"), "{listed}");
    assert!(me.get("/console/invoices").await.body.contains("kari"));
    assert!(me.get("/console/journal").await.status.is_success());
}

#[tokio::test]
async fn what_staff_does_is_done_and_stands_in_the_log_with_a_name() {
    let house = House::new().await;
    let mut owner = signed_in(&house, "eier", Some(Role::Owner)).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    assert_eq!(kari.get("/api/v1/balances").await.status, StatusCode::OK);
    let csrf = owner.get("/console").await.field("csrf");
    let people = owner.get("/console/customers").await.body;
    let from = people.find("/console/customers/").unwrap() + "/console/customers/".len();
    assert!(people.contains("kari@example.org"));
    let id = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    assert!(people[from..].len() > 36 && people.contains(&id.to_string()));
    let done = owner.post(&format!("/console/customers/{id}/sign-out"), &[("csrf", &csrf)]).await;
    assert_eq!(done.location(), format!("/console/customers/{id}"));
    assert_eq!(kari.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);

    let give = |name: &str, role: &str| {
        [("csrf", csrf.clone()), ("name", name.to_owned()), ("role", role.to_owned())]
    };
    async fn post(b: &mut Browser, path: &str, fields: &[(&str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post(path, &fields).await
    }
    let given = post(&mut owner, "/console/staff", &give("kari", "support")).await;
    assert_eq!(given.location(), "/console/staff");
    let last = post(&mut owner, "/console/staff", &give("eier", "")).await;
    assert_eq!(last.status, StatusCode::CONFLICT);
    let none = post(&mut owner, "/console/staff", &give("nobody", "owner")).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);

    // A machine is recorded as idle, and works again.
    let away = [
        ("csrf", csrf.clone()),
        ("lane", "btc".to_owned()),
        ("what", "idle".to_owned()),
        ("rate", "1 MH/s".to_owned()),
        ("note", "summer".to_owned()),
    ];
    let recorded = post(&mut owner, "/console/acts", &away).await;
    assert_eq!(recorded.location(), "/console/machines");
    assert!(owner.get("/console/machines").await.body.contains("summer"));
    let log = owner.get("/console/log").await.body;
    for word in ["session.all_ended", "staff.role", "act.record", "eier", "kari"] {
        assert!(log.contains(word), "{word}");
    }
    assert_eq!(house.accounts.verify_log().await.unwrap().fault, None);
}

#[tokio::test]
async fn a_payout_that_waits_is_decided_in_the_console_but_not_by_its_owner() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let lane = &house.lanes[0];
    let due = gruve_units::Amount::new(lane.asset, 900_000_000);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let to = house.stranger(lane);
    let ask = json!({ "asset": "BTC", "amount": "1", "address": to, "password": PASSWORD });
    let asked = kari.post("/api/v1/payouts", ask).await;
    assert_eq!(asked.status, StatusCode::CREATED, "{}", asked.body);
    assert_eq!(asked.json()["state"], "requested", "{}", asked.body);
    let id = asked.json()["payout"].as_str().unwrap().to_owned();

    house.accounts.set_role(None, "kari", Some(Role::Finance)).await.unwrap();
    let mut own = Browser::new(&house.app);
    let csrf = own.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", "kari"), ("password", PASSWORD)];
    own.post("/sign-in", &fields).await;
    let csrf = own.get("/console").await.field("csrf");
    let approve = format!("/console/payouts/{id}/approve");
    let refused = own.post(&approve, &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);

    let mut other = signed_in(&house, "penger", Some(Role::Finance)).await;
    let csrf = other.get("/console").await.field("csrf");
    assert!(other.get("/console/payouts").await.body.contains(&approve));
    let done = other.post(&approve, &[("csrf", &csrf)]).await;
    assert_eq!(done.location(), "/console/payouts");
    let payout = house.treasury.payout(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(payout.state.word(), "approved");
    let log = house.accounts.log_page(None, 1).await.unwrap();
    assert_eq!((log[0].row.action.as_str(), log[0].row.detail.as_str()), ("payout.approve", &*id));
}

#[tokio::test]
async fn whoever_keeps_blocks_back_stands_first_in_the_console_and_in_the_api() {
    let house = House::new().await;
    let mut owner = signed_in(&house, "eier", Some(Role::Owner)).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let lane = house.lanes[0].id.clone();
    let id = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let of = |blocks: u128, found| Luck { expected: blocks << 64, found, ..Luck::default() };
    let luck = BTreeMap::from([
        (Miner::Owner(MachineOwner::House), of(20, 19)),
        (Miner::Owner(MachineOwner::Account(id)), of(20, 0)),
    ]);
    let to = ProvenPlace { place: Some((1, 1)), sealed: None };
    let none = ProvenPlace::default();
    let counted = house.farm.add_counted(&lane, &BTreeMap::new(), &luck, none, to).await;
    assert!(counted.unwrap());
    let page = owner.get("/console/withholding").await.body;
    let (first, second) =
        (page.find("All of kari").unwrap(), page.find("All of the house").unwrap());
    assert!(first < second && page.contains("<strong>yes</strong>"), "{page}");
    assert!(page.contains("once their work should have found"), "{page}");
    let answer = kari.get("/api/v1/console/withholding").await;
    assert!(
        matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN),
        "{}",
        answer.status
    );
    let mut eier = Program::new(&house.app);
    let login = json!({ "login": "eier", "password": PASSWORD });
    let session = eier.post("/api/v1/sessions", login).await.json();
    eier.token = Some(session["token"].as_str().unwrap().to_owned());
    let said = eier.get("/api/v1/console/withholding?one_in=1000").await.json();
    let miners = &said["items"][0]["miners"];
    assert_eq!(
        (&miners[0]["owner"], &miners[0]["is_finding"]),
        (&json!(id.to_string()), &json!(true))
    );
    assert_eq!((&miners[1]["owner"], &miners[1]["is_finding"]), (&json!("house"), &json!(false)));
}

#[tokio::test]
async fn luck_is_all_owners_work_against_the_blocks_and_stands_in_the_console_and_on_the_lane() {
    let house = House::new().await;
    let mut owner = signed_in(&house, "eier", Some(Role::Owner)).await;
    let lane = &house.lanes[0];
    assert!(owner.get("/lanes/btc").await.body.contains("not counted yet"));
    let of = |blocks: u128, found| Luck { expected: blocks << 63, found, ..Luck::default() };
    let id = house.account("eier").await;
    let luck = BTreeMap::from([
        (Miner::Owner(MachineOwner::House), of(40, 15)),
        (Miner::Owner(MachineOwner::Account(id)), of(11, 4)),
        // What a machine did, its owner did.
        (Miner::Machine(gruve_units::MachineId::from_bytes([7; 16])), of(40, 15)),
    ]);
    let to = ProvenPlace { place: Some((1, 1)), sealed: None };
    let none = ProvenPlace::default();
    let counted = house.farm.add_counted(&lane.id, &BTreeMap::new(), &luck, none, to).await;
    assert!(counted.unwrap());
    let public = owner.get("/lanes/btc").await.body;
    assert!(public.contains("74.5 %") && public.contains("19 found, 25.500 expected"), "{public}");
    assert!(owner.get("/lanes/ltc").await.body.contains("not counted yet"));
    house.epochs(8).await;
    let console = owner.get("/console/blocks").await.body;
    for said in ["74.5 %", "25.500", "0.114", "Mature"] {
        assert!(console.contains(said), "{said}: {console}");
    }
    let eier = Program::signed_in(&house.app, "eier").await;
    let luck = json!({ "found": 19, "expected": "25.500", "percent": "74.5" });
    let none = json!({ "found": 0, "expected": "0.000", "percent": null });
    let lanes = Program::new(&house.app).get("/api/v1/lanes").await.json();
    assert_eq!((&lanes["items"][0]["luck"], &lanes["items"][1]["luck"]), (&luck, &none));
    let said = eier.get("/api/v1/console/luck").await.json();
    assert_eq!((&said["items"][0]["luck"], &said["items"][0]["lane"]), (&luck, &json!("btc")));
    let chance = said["items"][0]["chance_of_so_few"].as_f64().unwrap();
    assert!((0.1135..0.1145).contains(&chance), "as the page has it: {chance}");
    assert_eq!(said["items"][1]["chance_of_so_few"], json!(null));
}

#[tokio::test]
async fn where_the_house_demands_a_second_factor_staff_gets_nowhere_without_one() {
    let config = gruve_web::WebConfig { is_staff_factor_demanded: true, ..Default::default() };
    let house = House::with(config).await;
    let mut boss = signed_in(&house, "boss", Some(Role::Owner)).await;
    assert_eq!(boss.get("/account/security").await.status, StatusCode::OK, "where it is set up");
    let csrf = boss.get("/account").await.field("csrf");
    for route in routes(&house.state).iter().filter(|r| permission(r.access).is_some()) {
        if route.path.starts_with("/api/") {
            continue;
        }
        let refused = ask(&mut boss, route, &filled(route.path, NONE), &csrf).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{} {}", route.method, route.path);
    }
    let program = house::browser::Program::signed_in(&house.app, "boss").await;
    let refused = program.get("/api/v1/console/machines").await;
    assert_eq!(refused.json()["type"], "urn:gruve:problem:staff-factor-needed", "{}", refused.body);
    let id = house.account("boss").await;
    let setup = house.accounts.begin_totp(id, "Gruve").await.unwrap();
    let code = house::codes::code_of(&setup.secret, house.clock.now());
    house.accounts.confirm_totp(id, (PASSWORD, None), &code, None).await.unwrap();
    assert_eq!(boss.get("/console").await.status, StatusCode::OK);
    assert_eq!(program.get("/api/v1/console/machines").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_answers_customers_signs_none_of_the_staff_out() {
    let house = House::new().await;
    let mut owner = signed_in(&house, "eier", Some(Role::Owner)).await;
    let mut support = signed_in(&house, "sara", Some(Role::Support)).await;
    signed_in(&house, "kari", None).await;
    let id = async |name: &str| house.accounts.account_by_name(name).await.unwrap().unwrap();
    let csrf = support.get("/sign-out").await;
    assert_eq!(csrf.status, StatusCode::METHOD_NOT_ALLOWED);
    let csrf = support.get("/account/security").await.field("csrf");
    let out = async |browser: &mut Browser, csrf: &str, name: &str| {
        let path = format!("/console/customers/{}/sign-out", id(name).await);
        browser.post(&path, &[("csrf", csrf)]).await.status
    };
    assert_eq!(out(&mut support, &csrf, "eier").await, StatusCode::FORBIDDEN);
    let page = support.get(&format!("/console/customers/{}", id("eier").await)).await;
    assert!(page.status == StatusCode::OK && !page.body.contains("Sign out everywhere"));
    assert_eq!(owner.get("/console").await.status, StatusCode::OK, "still signed in");
    assert_eq!(out(&mut support, &csrf, "kari").await, StatusCode::SEE_OTHER);
    let csrf = owner.get("/account/security").await.field("csrf");
    assert_eq!(out(&mut owner, &csrf, "sara").await, StatusCode::SEE_OTHER);
    assert!(support.get("/console").await.location().starts_with("/sign-in"));
}
