//! Lists of the API, page by page: whole, in order, and steady while rows come.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use house::House;
use house::browser::Program;
use house::contracts::with_contracts;
use serde_json::{Value, json};

/// All rows, `limit` at a time; `between` happens after each page.
async fn all(me: &Program, path: &str, limit: usize, between: impl AsyncFn()) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = me.get(&format!("{path}{joint}limit={limit}{after}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let page = page.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{path}");
        rows.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        assert_eq!(items.len(), limit, "{path}: a page before another is full");
        after = format!("&after={next}");
        between().await;
    }
}

#[tokio::test]
async fn lists_of_everybody_are_whole_in_pages_of_any_size_and_newest_first() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::new(&house.app);
    for path in
        ["/api/v1/blocks", "/api/v1/epochs", "/api/v1/blocks?lane=btc", "/api/v1/epochs?lane=ltc"]
    {
        let whole = all(&me, path, 500, async || {}).await;
        assert!(whole.len() >= 3, "{path}: {}", whole.len());
        for limit in [1, 2, 3] {
            assert_eq!(all(&me, path, limit, async || {}).await, whole, "{path} by {limit}");
        }
        let word = if path.contains("blocks") { "found_at" } else { "started_at" };
        assert!(
            whole.is_sorted_by_key(|r| std::cmp::Reverse(r[word].as_str().unwrap().to_owned()))
        );
    }
}

#[tokio::test]
async fn what_comes_between_two_pages_is_not_told_in_the_second_and_hides_nothing() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let lane = &house.lanes[0];
    let top_up = json!({ "asset": "BTC", "amount": "0.9" });
    let invoice = me.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(lane.asset, 90_000_000);
    house.pay(lane, invoice["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let buy = async || {
        // Ids are ordered by milliseconds.
        house.clock.advance(std::time::Duration::from_millis(2));
        let order = json!({ "plan": "btc-meter", "hashrate": "10 kH/s" });
        let started = me.post("/api/v1/metered", order).await;
        assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    };
    for _ in 0..3 {
        buy().await;
    }
    let id = |r: &Value| r["contract"].as_str().unwrap().to_owned();
    let whole: Vec<_> =
        all(&me, "/api/v1/metered", 500, async || {}).await.iter().map(id).collect();
    assert_eq!(whole.len(), 3);
    let paged: Vec<_> = all(&me, "/api/v1/metered", 2, buy).await.iter().map(id).collect();
    assert_eq!(paged, whole);
    let other = Program::signed_up(&house.app, "ola").await;
    let page = me.get("/api/v1/metered?limit=1").await.json();
    let after = page["next"].as_str().unwrap();
    let theirs = other.get(&format!("/api/v1/metered?after={after}")).await.json();
    assert_eq!(theirs, json!({ "items": [], "next": null }), "a cursor opens nothing");
    for bad in ["after=xyz", "after=00", "limit=0", "limit=501", "limit=-1", "pages=3"] {
        let refused = me.get(&format!("/api/v1/metered?{bad}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn lists_within_a_contract_and_a_plan_are_whole_in_pages_of_any_size() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::signed_up(&house.app, "kari").await;
    with_contracts(&house, &me, 3, 30).await;
    house.epochs(24).await;
    let bought = me.get("/api/v1/contracts").await.json()["items"].as_array().unwrap().clone();
    let mut said = 0;
    for c in &bought {
        let path = format!("/api/v1/contracts/{}", c["contract"].as_str().unwrap());
        let (contract, life) =
            (me.get(&path).await.json(), me.get(&format!("{path}/life")).await.json());
        for (part, shown) in [
            ("epochs", &contract["epochs"]),
            ("settlements", &contract["settlements"]),
            ("owed", &life["owed"]),
            ("decisions", &life["decisions"]),
            ("losses", &life["losses"]),
            ("dues", &life["usd_dues"]),
        ] {
            let shown = shown.as_array().unwrap();
            assert!(
                shown.len() >= 3 || !matches!(part, "epochs" | "settlements"),
                "{part}: {shown:?}"
            );
            for limit in [1, 2, 500] {
                let all = all(&me, &format!("{path}/{part}"), limit, async || {}).await;
                assert_eq!(&all, shown, "{part} by {limit}");
            }
        }
        house.clock.advance(std::time::Duration::from_secs(1));
        let review = json!({ "stars": 4, "text": "As it was said." });
        let made = me.post(&format!("{path}/review"), review).await;
        assert!(made.status.is_success(), "{}", made.body);
        said += 1;
    }
    let record = me.get("/api/v1/plans/btc-lease/record").await.json();
    let shown = record["reviews"].as_array().unwrap();
    assert_eq!(shown.len(), said);
    for limit in [1, 2, 500] {
        let all = all(&me, "/api/v1/plans/btc-lease/reviews", limit, async || {}).await;
        assert_eq!(&all, shown, "by {limit}");
    }
    assert_eq!(me.get("/api/v1/plans/none/reviews").await.status, StatusCode::NOT_FOUND);
    let other = Program::signed_up(&house.app, "ola").await;
    let id = bought[0]["contract"].as_str().unwrap();
    for part in ["epochs", "settlements", "owed", "decisions", "losses", "dues"] {
        let theirs = other.get(&format!("/api/v1/contracts/{id}/{part}")).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{part}");
    }
}

/// Lists that are always given whole, because what they list is bounded by itself: by the house's configuration, or by a
/// limit of the account's.
const WHOLE: [&str; 24] = [
    "/api/v1/balances",
    "/api/v1/console/bulletins",
    "/api/v1/console/clearing",
    "/api/v1/console/losing-plans",
    "/api/v1/console/lost-factors",
    "/api/v1/console/luck",
    "/api/v1/console/map",
    "/api/v1/console/payout-locks",
    "/api/v1/console/plans",
    "/api/v1/console/reserves",
    "/api/v1/console/roles",
    "/api/v1/console/sites",
    "/api/v1/console/staff",
    "/api/v1/console/withholding",
    "/api/v1/energy",
    "/api/v1/fpps",
    "/api/v1/hosted-plans",
    "/api/v1/keys",
    "/api/v1/lanes",
    "/api/v1/passkeys",
    "/api/v1/payouts/limits",
    "/api/v1/plans",
    "/api/v1/sessions",
    "/api/v1/webhooks",
];

/// Every list says where its next page begins and takes that word; those that are always whole are named above.
#[tokio::test]
async fn every_list_is_a_page_that_says_where_the_next_begins() {
    let document = gruve_web::document();
    let (mut lists, mut whole) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(shape) = item.pointer("/get/responses/200/content/application~1json/schema")
        else {
            continue;
        };
        assert_ne!(shape["type"], "array", "{path} is a bare list");
        if shape["properties"].get("items").is_some() {
            assert!(shape["properties"].get("next").is_some(), "{path}");
            lists += 1;
            let given = item.pointer("/get/parameters").and_then(Value::as_array);
            if !given.into_iter().flatten().any(|p| p["name"] == "after") {
                whole.push(path.as_str());
            }
        }
    }
    assert!(lists >= 20, "{lists}");
    assert_eq!(whole, WHOLE, "these lists have no pages");
}

/// Lists inside other answers that are cut, and the calls that give them page by page (or, where the call is the same,
/// from which number on its next page is asked for).
const ELSEWHERE: [(&str, &str, &str); 18] = [
    ("/api/v1/contracts/{id}", "epochs", "/api/v1/contracts/{id}/epochs"),
    ("/api/v1/contracts/{id}", "settlements", "/api/v1/contracts/{id}/settlements"),
    ("/api/v1/contracts/{id}/life", "owed", "/api/v1/contracts/{id}/owed"),
    ("/api/v1/contracts/{id}/life", "decisions", "/api/v1/contracts/{id}/decisions"),
    ("/api/v1/contracts/{id}/life", "losses", "/api/v1/contracts/{id}/losses"),
    ("/api/v1/contracts/{id}/life", "usd_dues", "/api/v1/contracts/{id}/dues"),
    ("/api/v1/contracts/{id}/life", "notices", "/api/v1/notices"),
    ("/api/v1/metered", "notices", "/api/v1/notices"),
    ("/api/v1/metered/{id}", "notices", "/api/v1/notices"),
    ("/api/v1/machines/{id}", "bills", "/api/v1/machines/{id}/bills"),
    ("/api/v1/machines/{id}/in-block", "paid", "/api/v1/machines/{id}/in-block/payments"),
    ("/api/v1/console/hosting/{id}", "bills", "/api/v1/console/hosting/{id}/bills"),
    ("/api/v1/console/alerts", "newest", "/api/v1/console/alerts/all"),
    ("/api/v1/plans/{name}/record", "reviews", "/api/v1/plans/{name}/reviews"),
    ("/api/v1/contracts/{id}/statement", "lines", "from"),
    ("/api/v1/metered/{id}/statement", "lines", "from"),
    ("/api/v1/machines/{id}/statement", "bills", "from"),
    ("/api/v1/contracts/{id}/receipts", "receipts", "from"),
];

/// Lists inside other answers that stay short, by their names: what bounds them.
const SHORT: [(&str, &[&str]); 9] = [
    (
        "one for each asset",
        &[
            "assets",
            "balances",
            "cost",
            "costs",
            "earned",
            "earnings",
            "settled",
            "given_back",
            "credited",
            "fees",
            "waived",
            "charged",
            "paid",
            "maintenance_also",
            "also_earns",
            "aux",
            "withdrawal_fees",
            "watt_hours_per_coin",
            "conversions",
            "offers",
            "methods",
        ],
    ),
    (
        "set by the house's configuration, or one for each lane, node, site or role",
        &[
            "capacity",
            "gateways",
            "nodes",
            "chains",
            "plans",
            "terms_epochs",
            "sources",
            "sites",
            "may",
            "parts",
            "proven",
            "proven_by_hosted",
        ],
    ),
    ("as long as a tree is high", &["log_proof", "sold_proof", "owed_proof"]),
    (
        "bounded by a limit of their own",
        &[
            "addresses",
            "obstacles",
            "notes",
            "scopes",
            "events",
            "transports",
            "attempts",
            "stars",
            "words",
            "bulletins",
            "unconfirmed",
            // Lists of eight partners, and at most one that counts later.
            "shared",
            "others_bps",
        ],
    ),
    ("of 90 days, told once while they last", &["incidents", "open"]),
    ("what one machine has or went through", &["fans_rpm", "history", "owners", "certificates"]),
    ("of one page, whose lines they add up or stand beside", &["days", "hours", "blocks"]),
    ("the parts of one entry", &["postings", "jobs", "units", "gaps", "miners", "differences"]),
    ("as many kinds as an account has machines on lanes", &["machines"]),
];

/// Where lists stand in a shape, with the names of those around them.
fn lists_in(document: &Value, shape: &Value, name: &str, depth: usize, found: &mut Vec<String>) {
    assert!(depth < 20, "{name}: a shape within itself");
    if let Some(of) = shape["$ref"].as_str() {
        let of = of.trim_start_matches('#');
        return lists_in(document, document.pointer(of).unwrap(), name, depth + 1, found);
    }
    for kind in ["oneOf", "anyOf", "allOf"] {
        for one in shape[kind].as_array().into_iter().flatten() {
            lists_in(document, one, name, depth + 1, found);
        }
    }
    if shape["items"].is_object() {
        found.push(name.to_owned());
        lists_in(document, &shape["items"], name, depth + 1, found);
    }
    for (name, member) in shape["properties"].as_object().into_iter().flatten() {
        lists_in(document, member, name, depth + 1, found);
    }
    lists_in_values(document, shape, name, depth, found);
}

fn lists_in_values(
    document: &Value,
    shape: &Value,
    name: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    let values = &shape["additionalProperties"];
    if values.is_object() {
        lists_in(document, values, name, depth + 1, found);
    }
}

/// Every other list of the document, however deep it stands: it is read page by page elsewhere, or it is short and it is
/// said why.
#[tokio::test]
async fn every_list_inside_another_answer_is_paged_elsewhere_or_short_for_a_stated_reason() {
    let document = gruve_web::document();
    let takes = |path: &str, word: &str| {
        let given = document["paths"][path]["get"]["parameters"].as_array();
        given.into_iter().flatten().any(|p| p["name"] == word)
    };
    let (mut left, mut used, mut short) = (Vec::new(), Vec::new(), Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(shape) = item.pointer("/get/responses/200/content/application~1json/schema")
        else {
            continue;
        };
        let mut found = Vec::new();
        lists_in(&document, shape, "", 0, &mut found);
        for name in found {
            // The list that an answer is has its own test.
            if name == "items" {
                continue;
            }
            let elsewhere = ELSEWHERE.iter().find(|(of, list, _)| of == path && *list == name);
            if let Some(one @ (_, _, by)) = elsewhere {
                let (call, word) =
                    if by.starts_with('/') { (*by, "after") } else { (&**path, *by) };
                assert!(takes(call, word), "{path}: {call} takes no {word}");
                used.push(one);
            } else if SHORT.iter().any(|(_, names)| names.contains(&name.as_str())) {
                short.push(name);
            } else {
                left.push(format!("{path} {name}"));
            }
        }
    }
    assert!(left.is_empty(), "these lists may be long: {left:#?}");
    let unused: Vec<_> = ELSEWHERE.iter().filter(|one| !used.contains(one)).collect();
    assert!(unused.is_empty(), "there are no such lists: {unused:#?}");
    let all = SHORT.iter().flat_map(|(_, names)| *names);
    let unused: Vec<_> = all.filter(|name| !short.contains(&(**name).to_owned())).collect();
    assert!(unused.is_empty(), "there are no such lists: {unused:#?}");
}

/// What an overview may weigh, and how long it may take: a phone in a tunnel, and a page that fetches itself again.
const OVERVIEW_BYTES_MAX: usize = 100_000;

#[tokio::test]
async fn an_overview_of_two_hundred_contracts_is_small_and_leads_to_all_of_them() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::signed_up(&house.app, "kari").await;
    with_contracts(&house, &me, 200, 60).await;
    let mut browser = house::browser::Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let overview = browser.get("/account").await;
    assert_eq!(overview.status, StatusCode::OK, "{}", overview.body);
    assert!(overview.body.len() < OVERVIEW_BYTES_MAX, "{} bytes", overview.body.len());
    assert!(overview.body.contains("All 200 contracts"));
    let of = |body: &str| -> Vec<String> {
        let links = body.split("href=\"/contracts/").skip(1);
        links.map(|l| l.split('"').next().unwrap().to_owned()).collect()
    };
    let running = me.get("/api/v1/contracts?limit=500").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["state"] == "active")
        .map(|c| c["contract"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    let first = of(&overview.body);
    assert!(
        !running.is_empty() && running.iter().take(50).all(|id| first.contains(id)),
        "what runs stands first"
    );
    // And page by page all of them, each once.
    let (mut all, mut path) = (Vec::new(), "/account/contracts".to_owned());
    loop {
        let page = browser.get(&path).await;
        assert!(page.body.len() < OVERVIEW_BYTES_MAX, "{} bytes", page.body.len());
        all.extend(of(&page.body));
        let Some(next) = page.body.split("href=\"/account/contracts?before=").nth(1) else { break };
        path = format!("/account/contracts?before={}", next.split('"').next().unwrap());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}
