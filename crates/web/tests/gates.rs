//! Who may reach what. Every route of the site stands in one list; these tests go through it, so
//! that a new route is covered the day it is added.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use gruve_web::{Access, WebConfig, routes};
use house::House;
use house::browser::{Browser, Program, ask};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

/// A path in which every name stands for something that does not exist.
fn filled(path: &str) -> String {
    path.replace("{id}", "0190a5d0-0000-7000-8000-000000000000")
        .replace("{lane}", "nowhere")
        .replace("{name}", "nothing.css")
        .replace("{epoch}", "1")
        .replace("{*path}", "data/00")
        .replace("{code}", "nb")
}

/// What anybody may reach, spelt out: making something public takes a line here.
const PUBLIC: [(&str, &str); 71] = [
    ("GET", "/"),
    ("GET", "/plans"),
    ("GET", "/lanes/{lane}"),
    ("GET", "/books"),
    ("GET", "/docs"),
    ("GET", "/docs/{name}"),
    ("GET", "/proof"),
    ("GET", "/proof/receipt"),
    ("GET", "/proof/{lane}/{epoch}"),
    ("GET", "/record/{*path}"),
    ("GET", "/language/{code}"),
    ("GET", "/sign-up"),
    ("POST", "/sign-up"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-in/code"),
    ("POST", "/sign-in/lost"),
    ("GET", "/lost-factor"),
    ("POST", "/lost-factor"),
    ("POST", "/sign-in/passkey/options"),
    ("POST", "/sign-in/passkey"),
    ("GET", "/confirm"),
    ("POST", "/confirm"),
    ("GET", "/undo"),
    ("POST", "/undo"),
    ("GET", "/forgot"),
    ("POST", "/forgot"),
    ("GET", "/reset"),
    ("POST", "/reset"),
    ("GET", "/api/v1/lanes"),
    ("GET", "/api/v1/plans"),
    ("GET", "/api/v1/estimates"),
    ("GET", "/api/v1/blocks"),
    ("GET", "/api/v1/epochs"),
    ("GET", "/api/v1/energy"),
    ("GET", "/api/v1/reconciliation"),
    ("GET", "/api/v1/funds"),
    ("GET", "/api/v1/short-epochs"),
    ("GET", "/api/v1/acts"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/prices"),
    ("GET", "/api/v1/price-sources"),
    ("GET", "/api/v1/fpps"),
    ("POST", "/api/v1/accounts"),
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/sessions/passkey/options"),
    ("POST", "/api/v1/sessions/passkey"),
    // By the tickets of messages, and what sends them.
    ("POST", "/api/v1/letters/confirm"),
    ("POST", "/api/v1/letters/undo"),
    ("POST", "/api/v1/letters/forgotten"),
    ("POST", "/api/v1/letters/password"),
    ("POST", "/api/v1/letters/factor-lost"),
    ("POST", "/api/v1/letters/drop-factor"),
    ("GET", "/appraise"),
    ("POST", "/api/v1/appraisals"),
    ("GET", "/plans/{name}/record"),
    ("GET", "/api/v1/plans/{name}/record"),
    ("GET", "/api/v1/plans/{name}/reviews"),
    ("GET", "/hosted"),
    ("GET", "/api/v1/hosted-plans"),
    ("GET", "/status"),
    ("GET", "/api/v1/status"),
    ("GET", "/events"),
    ("GET", "/assets/{name}"),
    ("GET", "/robots.txt"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/healthz/lanes"),
    ("GET", "/readyz"),
    // Signed by the services that send them.
    ("POST", "/api/v1/webhooks/stripe"),
    ("POST", "/api/v1/webhooks/btcpay"),
];

fn request(method: &Method, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "gruve.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn nothing_but_the_named_routes_is_reached_without_signing_in() {
    let house = House::new().await;
    let all = routes(&house.state);
    for r in &all {
        let public = PUBLIC.contains(&(r.method.as_str(), r.path));
        let open = matches!(r.access, Access::Public | Access::PublicForm);
        assert_eq!(public, open, "{} {} is {:?}", r.method, r.path, r.access);
        if open {
            continue;
        }
        let answer = ask(&house.app, request(&r.method, &filled(r.path))).await;
        if r.path.starts_with("/api/") {
            let is_right = match r.access {
                Access::Site => r.path.starts_with("/api/v1/site/"),
                Access::StaffBearer(_) => r.path.starts_with("/api/v1/console/"),
                access => access == Access::Bearer,
            };
            assert!(is_right, "{} is {:?}", r.path, r.access);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{} {}", r.method, r.path);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        } else {
            assert!(answer.location().starts_with("/sign-in"), "{} {}", r.method, r.path);
        }
    }
    assert_eq!(
        all.iter().filter(|r| PUBLIC.contains(&(r.method.as_str(), r.path))).count(),
        PUBLIC.len()
    );
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_changes_nothing() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    // An owner, so that the operator's forms are reached too.
    house.accounts.set_role(None, "kari", Some(gruve_accounts::Role::Owner)).await.unwrap();
    let csrf = me.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "four words make one")];
    me.post("/sign-in", &login).await;
    let csrf = me.get("/account").await.field("csrf");
    let forms: Vec<_> = routes(&house.state)
        .into_iter()
        .filter(|r| r.method == Method::POST && !r.path.starts_with("/api/"))
        .collect();
    assert!(forms.len() >= 7);
    for r in forms {
        let guarded =
            matches!(r.access, Access::PublicForm | Access::CustomerForm | Access::StaffForm(_));
        assert!(guarded, "{}", r.path);
        let path = filled(r.path);
        let mut visitor = Browser::new(&house.app);
        let browser = if r.access == Access::PublicForm { &mut visitor } else { &mut me };
        let none = browser.post(&path, &[("quote", "x")]).await;
        assert_eq!(none.status, StatusCode::FORBIDDEN, "{path} without a token");
        assert!(none.body.contains("Nothing was changed"));
        let wrong = browser.post(&path, &[("csrf", &"0".repeat(64))]).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{path} with a wrong token");
        if r.access != Access::PublicForm {
            let far = browser.post_from(&path, &[("csrf", &csrf)], "https://evil.example").await;
            assert_eq!(far.status, StatusCode::FORBIDDEN, "{path} from another site");
        }
    }
    assert_eq!(me.get("/account").await.status, StatusCode::OK, "still signed in");
}

#[tokio::test]
async fn another_customers_things_are_not_found_just_like_things_that_do_not_exist() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order =
        serde_json::json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order.clone()).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", serde_json::json!({ "quote": quote })).await.json();
    let contract = bought["contract"].as_str().unwrap();
    let invoice = bought["invoice"]["id"].as_str().unwrap();
    let open_quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let lane = &house.lanes[0];
    // Pays more than is due, so that something is left to withdraw.
    let due = gruve_units::Amount::new(lane.asset, 900_000_000);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let to = house.stranger(lane);
    let ask = serde_json::json!({
        "asset": "BTC", "amount": "0.01", "address": to, "password": "four words make one",
    });
    let payout = kari.post("/api/v1/payouts", ask).await;
    assert_eq!(payout.status, StatusCode::CREATED, "{}", payout.body);
    let payout = payout.json()["payout"].as_str().unwrap().to_owned();

    let mut ola = Program::signed_up(&house.app, "ola").await;
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), ola.token.clone().unwrap());
    let none = "0190a5d0-0000-7000-8000-000000000000";
    for (kind, id) in [("contracts", contract), ("invoices", invoice), ("payouts", payout.as_str())]
    {
        let path = |id: &str| format!("/api/v1/{kind}/{id}");
        assert_eq!(kari.get(&path(id)).await.status, StatusCode::OK, "{kind}");
        let foreign = ola.get(&path(id)).await;
        let missing = ola.get(&path(none)).await;
        let nonsense = ola.get(&path("..%2f")).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{kind}");
        assert_eq!(foreign.body, missing.body, "{kind}: foreign and missing differ");
        assert_eq!(nonsense.status, StatusCode::NOT_FOUND);
        let foreign = page.get(&format!("/{kind}/{id}")).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "page {kind}");
    }
    let theirs = ola.post("/api/v1/contracts", serde_json::json!({ "quote": quote })).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{}", theirs.body);
    let theirs = ola.post("/api/v1/contracts", serde_json::json!({ "quote": open_quote })).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    let cancelled = ola.send("DELETE", &format!("/api/v1/payouts/{payout}"), None).await;
    assert_eq!(cancelled.status, StatusCode::NOT_FOUND);
    let csrf = page.get("/account").await.field("csrf");
    let cancelled = page.post(&format!("/payouts/{payout}/cancel"), &[("csrf", &csrf)]).await;
    assert_eq!(cancelled.status, StatusCode::NOT_FOUND);
    for path in ["/api/v1/contracts", "/api/v1/payouts", "/api/v1/balances"] {
        assert_eq!(ola.get(path).await.json()["items"], serde_json::json!([]), "{path}");
    }
    // Whoever is signed out is nobody.
    let out = ola.send("DELETE", "/api/v1/sessions/current", None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(ola.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
    ola.token = Some("x".repeat(43));
    assert_eq!(ola.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_api_takes_no_cookies_and_pages_take_no_bearer_tokens() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    assert_eq!(me.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
    let program = Program::signed_up(&house.app, "ola").await;
    assert!(program.get("/account").await.location().starts_with("/sign-in"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::new().await;
    for r in routes(&house.state) {
        // The stream of events has no end to wait for; its headers are looked at in live.rs.
        if r.path == "/events" {
            continue;
        }
        let answer = ask(&house.app, request(&r.method, &filled(r.path))).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{}", r.path);
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "no-store", "{}", r.path);
        if r.path.starts_with("/api/") {
            let shown = answer.header("content-disposition");
            assert!(shown.starts_with("attachment; filename="), "{}: {shown:?}", r.path);
        }
        assert_ne!(answer.status.as_u16() / 100, 5, "{} {}: {}", r.method, r.path, answer.body);
    }
    // What is somebody's is kept nowhere, either.
    let kari = Program::signed_up(&house.app, "kari").await;
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let mut seen = 0;
    for r in routes(&house.state).iter().filter(|r| r.method == Method::GET) {
        let is_stream = r.path == "/api/v1/events";
        let answer = match r.access {
            Access::Customer if !r.path.contains('{') => page.get(r.path).await,
            Access::Bearer if !r.path.contains('{') && !is_stream => kari.get(r.path).await,
            _ => continue,
        };
        seen += usize::from(answer.status == StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "no-store", "{}", r.path);
    }
    assert!(seen > 30, "{seen}");
    let missing = ask(&house.app, request(&Method::GET, "/nowhere")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.header("x-frame-options"), "DENY");
    assert!(missing.body.contains("<h1>Not found</h1>"));
    let method = ask(&house.app, request(&Method::PUT, "/plans")).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn cookies_are_out_of_reach_of_scripts_and_bound_to_https_where_there_is_https() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    let set = me.sign_up("kari").await.header("set-cookie").to_owned();
    assert!(set.starts_with("gruve=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"));
    assert!(!set.contains("Secure"));

    let secure = WebConfig { secure_cookies: true, ..WebConfig::default() };
    let house = House::with(secure).await;
    let mut me = Browser::new(&house.app);
    let answer = me.sign_up("kari").await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-gruve=") && set.contains("Secure") && set.contains("Path=/"));
    assert!(!answer.header("strict-transport-security").is_empty());
    assert_eq!(me.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn assets_may_be_kept_for_ever_and_are_named_by_their_content() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    let page = me.get("/").await.body;
    for ending in [".css", ".js", ".svg"] {
        let end = page.find(ending).unwrap() + ending.len();
        let start = page[..end].rfind('"').unwrap() + 1;
        let asset = me.get(&page[start..end]).await;
        assert_eq!(asset.status, StatusCode::OK, "{}", &page[start..end]);
        assert!(asset.header("cache-control").contains("immutable"));
    }
}

#[tokio::test]
async fn a_request_that_names_two_hosts_is_answered_by_none() {
    let house = House::new().await;
    for (path, kind) in [("/", "text/html"), ("/api/v1/lanes", "application/problem+json")] {
        let one = Request::get(path).header("host", "gruve.test");
        let answer = ask(&house.app, one.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        for second in ["gruve.test", "other.test"] {
            let two = Request::get(path).header("host", "gruve.test").header("host", second);
            let answer = ask(&house.app, two.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {second}");
            assert!(answer.header("content-type").starts_with(kind), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn an_account_calls_so_often_by_all_its_tokens_together_and_its_pages_do_not_count() {
    use gruve_units::Duration;
    let calls = gruve_web::CallPace { at_once: 5, interval: Duration::from_secs(10) };
    let house = House::with(WebConfig { calls, ..WebConfig::default() }).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let life = Duration::from_secs(86_400);
    let account = house.account("kari").await;
    let scopes = [gruve_accounts::Scope::Read];
    let mut by_key = Program::new(&house.app);
    by_key.token = Some(house.accounts.make_key(account, "till", &scopes, life).await.unwrap().1);
    for who in [&kari, &by_key, &kari, &by_key, &kari] {
        assert_eq!(who.get("/api/v1/balances").await.status, StatusCode::OK);
    }
    for who in [&kari, &by_key] {
        for path in ["/api/v1/balances", "/api/v1/console/overview"] {
            let refused = who.get(path).await;
            let what = format!("{path}: {}", refused.body);
            if refused.status == StatusCode::FORBIDDEN {
                continue; // A key reaches no console, however seldom it asks.
            }
            assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{what}");
            assert_eq!(refused.header("retry-after"), "10", "{what}");
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.json()["type"], "urn:gruve:problem:too-many");
        }
    }
    assert_eq!(ola.get("/api/v1/balances").await.status, StatusCode::OK, "another account");
    assert_eq!(kari.get("/api/v1/lanes").await.status, StatusCode::OK, "what everybody may ask");
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    for _ in 0..20 {
        assert_eq!(page.get("/account").await.status, StatusCode::OK);
    }
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(kari.get("/api/v1/balances").await.status, StatusCode::OK);
    assert_eq!(kari.get("/api/v1/balances").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_account_sends_so_many_forms_apart_from_its_calls_and_others_forms_count_against_nobody()
{
    use gruve_units::Duration;
    let calls = gruve_web::CallPace { at_once: 3, interval: Duration::from_secs(10) };
    let house = House::with(WebConfig { calls, ..WebConfig::default() }).await;
    let signed_in = async |name: &str| {
        let program = Program::signed_up(&house.app, name).await;
        let mut browser = Browser::new(&house.app);
        browser.cookies.insert("gruve".to_owned(), program.token.clone().unwrap());
        (browser, program)
    };
    let (mut kari, program) = signed_in("kari").await;
    let (mut ola, _) = signed_in("ola").await;
    // Calls are used up: forms are not.
    while program.get("/api/v1/balances").await.status == StatusCode::OK {}
    let csrf = kari.get("/withdraw").await.field("csrf");
    let wish = [("csrf", csrf.as_str()), ("asset", "BTC"), ("amount", "some"), ("address", "here")];
    for _ in 0..10 {
        let foreign = kari.post("/withdraw", &[("csrf", "not hers"), ("asset", "BTC")]).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{}", foreign.body);
    }
    for _ in 0..3 {
        let sent = kari.post("/withdraw", &wish).await;
        assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", sent.body);
    }
    let refused = kari.post("/withdraw", &wish).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), "10");
    assert!(refused.body.contains("Very many forms were sent"), "{}", refused.body);
    assert_eq!(kari.get("/account").await.status, StatusCode::OK, "pages are read all the same");
    let csrf = ola.get("/withdraw").await.field("csrf");
    let sent = ola.post("/withdraw", &[("csrf", csrf.as_str()), wish[1], wish[2], wish[3]]).await;
    assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY, "another account: {}", sent.body);
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(kari.post("/withdraw", &wish).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_account_looks_at_so_many_pages_and_still_calls_signs_out_and_hears_of_changes() {
    use gruve_units::Duration;
    let pages = gruve_web::CallPace { at_once: 5, interval: Duration::from_secs(10) };
    let house = House::with(WebConfig { pages: Some(pages), ..WebConfig::default() }).await;
    let program = Program::signed_up(&house.app, "kari").await;
    let mut kari = Browser::new(&house.app);
    kari.cookies.insert("gruve".to_owned(), program.token.clone().unwrap());
    let mut ola = Browser::new(&house.app);
    ola.sign_up("ola").await;
    // Whatever she looks at counts, also what everybody may see, what is not there and what she may not have.
    let looks = ["/account", "/plans", "/nowhere", "/console", "/account"];
    let page = kari.get(looks[0]).await;
    let (csrf, sheet) = (page.field("csrf"), page.body.find("/assets/").unwrap());
    let sheet = page.body[sheet..].split('"').next().unwrap();
    for path in &looks[1..] {
        assert_ne!(kari.get(path).await.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    for path in looks {
        let refused = kari.get(path).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert_eq!(refused.header("retry-after"), "10", "{path}");
        assert!(refused.header("content-type").starts_with("text/html"), "{path}");
        assert!(refused.body.contains("Very many pages were asked for"), "{}", refused.body);
        assert!(refused.body.contains("kari"), "it is still her session: {}", refused.body);
    }
    kari.cookies.insert("gruve-language".to_owned(), "nb".to_owned());
    assert!(kari.get("/account").await.body.contains("Svært mange sider er hentet"));
    // What pages are made of and what tells them of changes has bounds of its own, and so have calls and forms.
    assert_eq!(kari.get(sheet).await.status, StatusCode::OK);
    assert_eq!(kari.get("/record/data/00").await.status, StatusCode::NOT_FOUND);
    let request = Request::get("/events").header("host", "gruve.test");
    let request = request.header("cookie", format!("gruve={}", program.token.clone().unwrap()));
    let service = TowerToHyperService::new(house.app.clone());
    let events = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(events.status(), StatusCode::OK);
    assert_eq!(program.get("/api/v1/balances").await.status, StatusCode::OK);
    assert_eq!(ola.get("/account").await.status, StatusCode::OK, "another account");
    assert_eq!(Browser::new(&house.app).get("/plans").await.status, StatusCode::OK, "nobody's");
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(kari.get("/account").await.status, StatusCode::OK);
    assert_eq!(kari.get("/account").await.status, StatusCode::TOO_MANY_REQUESTS);
    let out = kari.post("/sign-out", &[("csrf", csrf.as_str())]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "{}", out.body);
}

#[tokio::test]
async fn twenty_pages_in_view_refresh_once_a_second_for_as_long_as_somebody_looks() {
    use gruve_units::Duration;
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let cookie = format!("gruve={}", kari.token.clone().unwrap());
    let look = async || {
        let request = Request::get("/account/security").header("host", "gruve.test");
        let request = request.header("cookie", &cookie).header("gruve-refresh", "yes");
        ask(&house.app, request.body(Body::empty()).unwrap()).await.status
    };
    // More than what is at once allowed.
    for second in 0..60 {
        for page in 0..20 {
            assert_eq!(look().await, StatusCode::OK, "page {page} in second {second}");
        }
        house.clock.advance(Duration::from_secs(1));
    }
    let mut answered = 0;
    while look().await == StatusCode::OK {
        answered += 1;
        assert!(answered <= 1_000, "and no more than that at once");
    }
    assert_eq!(answered, 1_000);
}
