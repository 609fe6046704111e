//! What the operator's people do by the API: the same roles, second persons and lines in the log as on the pages.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{Method, StatusCode};
use gruve_accounts::Role;
use gruve_market::PriceSourceConfig;
use gruve_units::{Amount, Asset};
use gruve_web::{Access, WebConfig, routes};
use house::House;
use house::browser::{Answer, Program};
use house::letters;
use serde_json::{Value, json};

const NONE: &str = "0190a5d0-0000-7000-8000-000000000000";

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap_or_default().replace("urn:gruve:problem:", "")
}

/// Ids are ordered by milliseconds.
fn tick(house: &House) {
    house.clock.advance(std::time::Duration::from_millis(2));
}

async fn staff(house: &House, name: &str, role: Role) -> Program {
    tick(house);
    Program::signed_up(&house.app, name).await;
    house.accounts.set_role(None, name, Some(role)).await.unwrap();
    Program::signed_in(&house.app, name).await
}

/// Somebody with a contract that is paid and money left over.
async fn customer(house: &House, name: &str) -> (Program, String) {
    tick(house);
    let me = Program::signed_up(&house.app, name).await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let lane = &house.lanes[0];
    let paid = Amount::new(lane.asset, 900_000_000);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), paid);
    house.block(lane, false).await;
    (me, bought["contract"].as_str().unwrap().to_owned())
}

async fn asks(house: &House, me: &Program, amount: &str) -> String {
    tick(house);
    let to = house.stranger(&house.lanes[0]);
    let password = "four words make one";
    let order = json!({ "asset": "BTC", "amount": amount, "address": to, "password": password });
    let asked = me.post("/api/v1/payouts", order).await;
    assert_eq!(asked.status, StatusCode::CREATED, "{}", asked.body);
    asked.json()["payout"].as_str().unwrap().to_owned()
}

fn items(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()["items"].as_array().unwrap().clone()
}

/// All rows, `limit` at a time.
async fn paged(me: &Program, path: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = me.get(&format!("{path}?limit={limit}{after}")).await;
        rows.extend(items(&page));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { return rows };
        after = format!("&after={next}");
    }
}

#[tokio::test]
async fn every_call_of_staff_passes_the_roles_that_have_its_permission_and_no_others() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let all = routes(&house.state);
    let calls: Vec<_> = all
        .iter()
        .filter_map(|r| match r.access {
            Access::StaffBearer(p) => Some((r, p)),
            _ => None,
        })
        .collect();
    assert!(calls.len() > 60, "{}", calls.len());
    let ask = async |me: &Program, method: &Method, path: &str| {
        let path = path.replace("{id}", NONE).replace("{name}", "nothing");
        let body = (*method == Method::POST).then(|| json!({}));
        me.send(method.as_str(), &path, body).await
    };
    for role in Role::ALL {
        let me = staff(&house, role.name(), role).await;
        for (r, needed) in &calls {
            let answer = ask(&me, &r.method, r.path).await;
            let what = format!("{role}: {} {}: {}", r.method, r.path, answer.body);
            if role.may(*needed) {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert!(!answer.status.is_server_error(), "{what}");
                if r.method == Method::GET && !r.path.contains('{') {
                    assert_eq!(answer.status, StatusCode::OK, "{what}");
                }
            } else {
                assert_eq!(kind(&answer), "forbidden", "{what}");
            }
            assert!(r.method == Method::GET || role != Role::Auditor || !role.may(*needed));
        }
    }
    for (r, _) in &calls {
        let answer = ask(&kari, &r.method, r.path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} to a customer", r.path);
    }
}

#[tokio::test]
async fn a_payout_takes_two_people_where_it_is_large_and_never_its_owner() {
    let house = House::new().await;
    house.epochs(8).await;
    let (kari, _) = customer(&house, "kari").await;
    let (small, large) = (asks(&house, &kari, "1").await, asks(&house, &kari, "3").await);
    house.accounts.set_role(None, "kari", Some(Role::Finance)).await.unwrap();
    let kari = Program::signed_in(&house.app, "kari").await;
    let first = staff(&house, "penger", Role::Finance).await;
    let second = staff(&house, "eier", Role::Owner).await;
    let auditor = staff(&house, "revisor", Role::Auditor).await;
    let waiting = items(&auditor.get("/api/v1/console/payouts").await);
    let ids: Vec<_> = waiting.iter().map(|p| p["payout"].as_str().unwrap()).collect();
    assert_eq!(ids, [small.as_str(), large.as_str()], "oldest first");
    assert_eq!(paged(&auditor, "/api/v1/console/payouts", 1).await, waiting);
    assert_eq!((&waiting[1]["customer"], &waiting[1]["approvals"]), (&json!("kari"), &json!(0)));
    assert_eq!(waiting[0]["approvals_needed"], 1);
    assert_eq!(waiting[1]["approvals_needed"], 2);

    let approve = |id: &str| format!("/api/v1/console/payouts/{id}/approve");
    let own = kari.post(&approve(&small), json!({})).await;
    assert_eq!(kind(&own), "refused", "{}", own.body);
    let done = first.post(&approve(&small), json!({})).await;
    assert_eq!((done.status, &done.json()["state"]), (StatusCode::OK, &json!("approved")));
    for _ in 0..2 {
        let one = first.post(&approve(&large), json!({})).await.json();
        assert_eq!((&one["state"], &one["approvals"]), (&json!("requested"), &json!(1)), "{one}");
    }
    let key = [("idempotency-key", "second")];
    let both = second.send_with("POST", &approve(&large), Some(json!({})), &key).await;
    assert_eq!(both.json()["state"], "approved", "{}", both.body);
    let again = second.send_with("POST", &approve(&large), Some(json!({})), &key).await;
    assert_eq!(again.body, both.body);
    assert_eq!(items(&auditor.get("/api/v1/console/payouts?state=approved").await).len(), 2);

    let refuse = format!("/api/v1/console/payouts/{large}/refuse");
    let silent = first.post(&refuse, json!({ "reason": " " })).await;
    assert_eq!(kind(&silent), "refused");
    let why = json!({ "reason": "Write to us first." });
    let refused = first.post(&refuse, why).await.json();
    assert_eq!(
        (&refused["state"], &refused["reason"]),
        (&json!("refused"), &json!("Write to us first."))
    );
    assert_eq!(items(&auditor.get("/api/v1/console/payout-locks").await), Vec::<Value>::new());
    let log = items(&auditor.get("/api/v1/console/log?limit=20").await);
    let done: Vec<_> = log.iter().map(|l| l["action"].as_str().unwrap()).collect();
    assert_eq!(done.iter().filter(|a| **a == "payout.approve").count(), 4, "{done:?}");
    assert_eq!(
        (log[0]["action"].as_str(), log[0]["actor_name"].as_str()),
        (Some("payout.refuse"), Some("penger"))
    );
}

#[tokio::test]
async fn customers_and_what_is_theirs_are_seen_and_signed_out_as_on_the_pages() {
    let house = House::new().await;
    house.epochs(8).await;
    let (kari, contract) = customer(&house, "kari").await;
    asks(&house, &kari, "0.01").await;
    let owner = staff(&house, "eier", Role::Owner).await;
    let support = staff(&house, "sara", Role::Support).await;
    let all = items(&support.get("/api/v1/console/customers").await);
    let names: Vec<_> = all.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kari", "eier", "sara"], "as they were opened");
    assert_eq!(paged(&support, "/api/v1/console/customers", 2).await, all);
    let id = all[0]["account"].as_str().unwrap().to_owned();
    let path = |of: &str| format!("/api/v1/console/customers/{id}{of}");
    let seen = support.get(&path("")).await.json();
    assert_eq!((&seen["email"], &seen["role"]), (&json!("kari@example.org"), &Value::Null));
    assert_eq!(seen["balances"], kari.get("/api/v1/balances").await.json()["items"]);
    for (of, own) in
        [("/contracts", "contracts"), ("/payouts", "payouts"), ("/payments", "payments")]
    {
        let theirs = items(&kari.get(&format!("/api/v1/{own}")).await);
        assert_eq!(items(&support.get(&path(of)).await), theirs, "{own}");
    }
    let invoices = items(&support.get(&path("/invoices")).await);
    let theirs = items(&kari.get("/api/v1/invoices").await);
    assert_eq!((invoices.len(), &invoices[0]["invoice"]), (1, &theirs[0]["id"]));
    assert_eq!(invoices[0]["contract"], contract);
    assert_eq!(items(&support.get("/api/v1/console/invoices").await), invoices);
    let sold = items(&support.get("/api/v1/console/contracts").await);
    assert_eq!((&sold[0]["contract"], &sold[0]["customer"]), (&json!(contract), &json!("kari")));
    assert!(!items(&support.get(&path("/log")).await).is_empty());
    let missing = support.get(&format!("/api/v1/console/customers/{NONE}/log")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    let out = |account: &Value| {
        format!("/api/v1/console/customers/{}/sign-out", account.as_str().unwrap())
    };
    let own_boss = support.post(&out(&all[1]["account"]), json!({})).await;
    assert_eq!(kind(&own_boss), "forbidden", "{}", own_boss.body);
    assert_eq!(owner.get("/api/v1/console/overview").await.status, StatusCode::OK);
    let ended = support.post(&out(&all[0]["account"]), json!({})).await;
    assert_eq!((ended.status, ended.json()), (StatusCode::OK, json!({ "ended": 1 })));
    assert_eq!(kari.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(items(&support.get("/api/v1/console/lost-factors").await), Vec::<Value>::new());
    let kept = support.post(&path("/keep-factor"), json!({})).await;
    assert_eq!(kept.status, StatusCode::NOT_FOUND, "nobody said that it is lost");
}

#[tokio::test]
async fn a_factor_that_was_said_to_be_lost_is_listed_and_kept_by_support() {
    let house = letters::writing_house().await;
    let support = staff(&house, "sara", Role::Support).await;
    Program::signed_up(&house.app, "kari").await;
    let id = house.account("kari").await;
    let setup = house.accounts.begin_totp(id, "Gruve").await.unwrap();
    let code = house::codes::code_of(&setup.secret, gruve_units::Clock::now(&*house.clock));
    let proof = ("four words make one", None);
    house.accounts.confirm_totp(id, proof, &code, None).await.unwrap();
    let login = json!({ "login": "kari", "password": "four words make one" });
    let asked = Program::new(&house.app).post("/api/v1/letters/factor-lost", login).await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT, "{}", asked.body);
    let ticket = letters::ticket(&house, "lost-factor").await;
    let begun = Program::new(&house.app)
        .post("/api/v1/letters/drop-factor", json!({ "ticket": ticket }))
        .await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    let lost = items(&support.get("/api/v1/console/lost-factors").await);
    assert_eq!(
        (&lost[0]["customer"], &lost[0]["due_at"]),
        (&json!("kari"), &begun.json()["due_at"])
    );
    let path = format!("/api/v1/console/customers/{id}");
    assert_eq!(support.get(&path).await.json()["factor_lost_until"], begun.json()["due_at"]);
    let kept = support.post(&format!("{path}/keep-factor"), json!({})).await;
    assert_eq!(kept.status, StatusCode::NO_CONTENT, "{}", kept.body);
    assert_eq!(items(&support.get("/api/v1/console/lost-factors").await), Vec::<Value>::new());
}

#[tokio::test]
async fn the_books_are_read_to_their_first_entry_and_prices_and_reserves_are_set() {
    let house = House::selling(WebConfig::default(), |m| {
        m.prices.sources.push(PriceSourceConfig {
            name: "desk".to_owned(),
            asset: Asset::Btc,
            url: None,
            pointer: String::new(),
        });
    })
    .await;
    house.epochs(8).await;
    customer(&house, "kari").await;
    let owner = staff(&house, "eier", Role::Owner).await;
    let finance = staff(&house, "penger", Role::Finance).await;
    let entries = paged(&finance, "/api/v1/console/journal", 7).await;
    let numbers: Vec<_> = entries.iter().map(|e| e["number"].as_i64().unwrap()).collect();
    let first_to_last: Vec<_> = (1..=numbers[0]).rev().collect();
    assert_eq!(numbers, first_to_last, "every one, newest first");
    assert_eq!(paged(&finance, "/api/v1/console/journal", 500).await, entries, "or as many as fit");
    for e in &entries {
        let minor = |p: &Value| p["amount"]["minor"].as_i64().unwrap();
        let postings = e["postings"].as_array().unwrap();
        assert!(postings.len() >= 2 && postings.iter().map(minor).sum::<i64>() == 0, "{e}");
    }

    let price = |dollars: &str, source: &str| json!({ "asset": "BTC", "source": source, "dollars": dollars });
    const PRICES: &str = "/api/v1/console/prices";
    assert_eq!(kind(&finance.post(PRICES, price("64000.5", "nobody")).await), "refused");
    assert_eq!(kind(&finance.post(PRICES, price("much", "desk")).await), "refused");
    let told = finance.post(PRICES, price("64000.5", "desk")).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{}", told.body);

    let reserves = items(&finance.get("/api/v1/console/reserves").await);
    assert!(reserves.iter().any(|r| r["lane"] == "btc" && r["asset"] == "BTC"), "{reserves:?}");
    let put = |amount: &str, from: &str| json!({ "way": "put", "from": from, "asset": "BTC", "amount": amount, "reason": "start" });
    const RESERVES: &str = "/api/v1/console/reserves";
    let forbidden = finance.post(RESERVES, put("1", "revenue")).await;
    assert_eq!(kind(&forbidden), "forbidden");
    let nothing = owner.post(RESERVES, put("0", "revenue")).await;
    assert_eq!(kind(&nothing), "refused");
    assert_eq!(kind(&owner.post(RESERVES, put("1", "pocket")).await), "refused");
    let too_much = owner.post(RESERVES, put("20000000", "revenue")).await;
    assert!(too_much.status.is_client_error(), "{}", too_much.body);
    // The contract's price is the operator's, and may stand behind promises.
    let of = async || {
        let all = items(&finance.get(RESERVES).await);
        let found = all.into_iter().find(|r| r["lane"] == "btc" && r["asset"] == "BTC").unwrap();
        found["reserve"]["minor"].as_i64().unwrap()
    };
    for _ in 0..2 {
        let done = owner.post(RESERVES, put("0.00001", "revenue")).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
        assert_eq!(of().await, 1_000, "the same name again does nothing");
    }
    let log = items(&owner.get("/api/v1/console/log").await);
    for word in ["price.tell", "reserve.move", "console.refused"] {
        assert!(log.iter().any(|l| l["action"] == word), "{word}");
    }
}

#[tokio::test]
async fn roles_are_given_and_the_log_ends_where_its_last_line_says() {
    let house = House::new().await;
    let owner = staff(&house, "eier", Role::Owner).await;
    Program::signed_up(&house.app, "kari").await;
    const STAFF: &str = "/api/v1/console/staff";
    let role = |name: &str, role: Value| json!({ "name": name, "role": role });
    assert_eq!(kind(&owner.post(STAFF, role("kari", json!("root"))).await), "refused");
    let unsaid = owner.post(STAFF, json!({ "name": "kari" })).await;
    assert_eq!(unsaid.status, StatusCode::BAD_REQUEST, "{}", unsaid.body);
    assert_eq!(kind(&owner.post(STAFF, role("nobody", json!("support"))).await), "refused");
    assert_eq!(kind(&owner.post(STAFF, role("eier", json!("none"))).await), "last-owner");
    let given = owner.post(STAFF, role("kari", json!("support"))).await;
    assert_eq!((given.status, &given.json()["role"]), (StatusCode::OK, &json!("support")));
    let names: Vec<_> = items(&owner.get(STAFF).await).iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["eier", "kari"]);
    let taken = owner.post(STAFF, role("kari", json!("none"))).await;
    assert_eq!(taken.json()["role"], Value::Null, "{}", taken.body);
    assert_eq!(items(&owner.get(STAFF).await).len(), 1);
    let roles = items(&owner.get("/api/v1/console/roles").await);
    let auditor = roles.iter().find(|r| r["role"] == "auditor").unwrap();
    let may = auditor["may"].as_array().unwrap();
    assert!(!may.is_empty() && may.iter().all(|p| p.as_str().unwrap().starts_with("See")));

    let lines = paged(&owner, "/api/v1/console/log", 2).await;
    assert!(lines.is_sorted_by_key(|l| std::cmp::Reverse(l["number"].as_i64().unwrap())));
    let ends = owner.get("/api/v1/console/log/ends").await.json();
    assert_eq!(ends["number"], lines[0]["number"]);
    assert_eq!(
        house.accounts.log_ends().await.unwrap().hash.to_vec(),
        hex::decode(ends["hash"].as_str().unwrap()).unwrap()
    );
}

#[tokio::test]
async fn what_staff_says_to_everybody_is_read_by_everybody() {
    let house = House::new().await;
    house.epochs(7).await;
    let (kari, contract) = customer(&house, "kari").await;
    house.epochs(9).await;
    let technician = staff(&house, "teknikk", Role::Technician).await;
    let finance = staff(&house, "penger", Role::Finance).await;
    const BULLETINS: &str = "/api/v1/console/bulletins";
    let empty = json!({ "title": "", "body": "Nothing." });
    assert_eq!(kind(&technician.post(BULLETINS, empty).await), "refused");
    let said = json!({ "title": "Work on the line", "body": "From eight to nine." });
    assert_eq!(technician.post(BULLETINS, said).await.status, StatusCode::NO_CONTENT);
    let told = items(&finance.get(BULLETINS).await);
    let public = kari.get("/api/v1/status").await.json()["bulletins"][0].clone();
    assert_eq!((&told[0]["title"], &public["ended_at"]), (&public["title"], &Value::Null));
    let end = format!("{BULLETINS}/{}/end", told[0]["id"].as_str().unwrap());
    assert_eq!(technician.post(&end, json!({})).await.json(), json!({ "is_new": true }));
    assert_eq!(technician.post(&end, json!({})).await.json(), json!({ "is_new": false }));
    assert!(kari.get("/api/v1/status").await.json()["bulletins"][0]["ended_at"].is_string());

    let review = json!({ "stars": 2, "text": "Ring my neighbour Ola." });
    let made = kari.post(&format!("/api/v1/contracts/{contract}/review"), review).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let seen = items(&technician.get("/api/v1/console/plans/btc-lease/reviews").await);
    assert_eq!(seen[0]["contract"], contract);
    let of = |deed: &str| format!("/api/v1/console/reviews/{contract}/{deed}");
    let answer = json!({ "text": "We are sorry." });
    let answered = technician.post(&of("answer"), answer.clone()).await;
    assert_eq!(answered.status, StatusCode::NO_CONTENT, "{}", answered.body);
    let twice = technician.post(&of("answer"), answer).await;
    assert_eq!(twice.status, StatusCode::NOT_FOUND, "once and for all");
    assert_eq!(kind(&finance.post(&of("hide"), json!({ "ground": "dislike" })).await), "refused");
    let hidden = finance.post(&of("hide"), json!({ "ground": "personal-data" })).await;
    assert_eq!(hidden.status, StatusCode::NO_CONTENT, "{}", hidden.body);
    let record = kari.get("/api/v1/plans/btc-lease/record").await.json();
    let shown = &record["reviews"][0];
    assert_eq!((&shown["stars"], &shown["text"]), (&json!(2), &Value::Null));
    assert_eq!(shown["answer"]["text"], "We are sorry.");
    assert!(!kari.get("/api/v1/plans/btc-lease/record").await.body.contains(&contract));

    let away = json!({ "lane": "btc", "what": "idle", "hashrate": "1 MH/s", "note": "summer" });
    let recorded = technician.post("/api/v1/console/acts", away).await;
    assert_eq!(recorded.status, StatusCode::CREATED, "{}", recorded.body);
    let back = json!({ "lane": "btc", "number": recorded.json()["number"] });
    let acts = async || items(&kari.get("/api/v1/acts?lane=btc").await)[0].clone();
    assert_eq!(
        (&acts().await["note"], &acts().await["until_epoch"]),
        (&json!("summer"), &Value::Null)
    );
    assert_eq!(
        technician.post("/api/v1/console/acts/back", back.clone()).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(acts().await["until_epoch"].is_u64());
    assert!(technician.post("/api/v1/console/acts/back", back).await.status.is_client_error());
    let overview = technician.get("/api/v1/console/overview").await.json();
    assert_eq!(
        (&overview["nodes"][0]["standing"], &overview["open_tickets"]),
        (&json!("behind"), &json!(0))
    );
}
