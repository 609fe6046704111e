//! Languages: which one is spoken, and that nothing on any page is left unsaid in it.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use gruve_web::{Access, WebConfig, routes};
use house::House;
use house::browser::{Browser, ask};
use house::forms::{Form, forms};
use house::furnished::{PASSWORD, furnished, links, pattern_of};
use house::record::recorded;
use std::collections::{BTreeMap, BTreeSet};

async fn page(house: &House, path: &str, accept: &str, cookie: &str) -> house::browser::Answer {
    let request = Request::get(path)
        .header(header::HOST, "gruve.test")
        .header(header::ACCEPT_LANGUAGE, accept)
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap();
    ask(&house.app, request).await
}

#[tokio::test]
async fn a_page_is_in_the_language_that_was_chosen_else_the_browsers_else_english() {
    let house = House::new().await;
    for (accept, cookie, lang, said) in [
        ("", "", "en", "Open an account"),
        ("nb-NO,nb;q=0.9,en;q=0.5", "", "nb", "Opprett konto"),
        ("nb", "gruve-language=en", "en", "Open an account"),
        ("en", "gruve-language=nb", "nb", "Opprett konto"),
        ("nb", "gruve-language=klingon", "nb", "Opprett konto"),
        ("de", "gruve-language=", "en", "Open an account"),
    ] {
        let answer = page(&house, "/sign-up", accept, cookie).await;
        let html = format!("<html lang=\"{lang}\">");
        assert!(answer.body.contains(&html), "{accept} {cookie}: {}", &answer.body[..60]);
        assert!(answer.body.contains(said), "{accept} {cookie}");
        assert_eq!(answer.header("content-language"), lang);
        assert_eq!(answer.header("vary"), "Accept-Language, Cookie");
    }
    // Failures too; programs hear English whatever they say they like.
    let missing = page(&house, "/nowhere", "nb", "").await;
    assert!(missing.body.contains("Finner ikke siden."), "{}", missing.body);
    let api = page(&house, "/api/v1/balances", "nb", "gruve-language=nb").await;
    assert!(api.body.contains("Sign in first") && api.header("content-language").is_empty());
}

#[tokio::test]
async fn an_account_has_the_language_of_the_page_on_which_it_was_opened() {
    let house = House::new().await;
    let accounts = [
        ("kari", "nb-NO,nb;q=0.9", "", Some("nb")),
        ("ola", "en-GB", "", None),
        ("per", "nb", "en", Some("en")),
    ];
    for (name, accept, chosen, kept) in accounts {
        let cookie = format!("gruve-language={chosen}");
        let form = page(&house, "/sign-up", accept, &cookie).await;
        let csrf = form.field("csrf");
        let own = form.header("set-cookie").split(';').next().unwrap().to_owned();
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", name),
            ("email", &format!("{name}@example.org")),
            ("password", "four words make one"),
        ];
        let request = Request::post("/sign-up")
            .header(header::HOST, "gruve.test")
            .header(header::ORIGIN, "http://gruve.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT_LANGUAGE, accept)
            .header(header::COOKIE, format!("{cookie}; {own}"))
            .body(Body::from(house::browser::form(&fields)))
            .unwrap();
        let opened = ask(&house.app, request).await;
        assert_eq!(opened.location(), "/account", "{}", opened.body);
        let account = house.account(name).await;
        assert_eq!(house.accounts.language_of(account).await.unwrap().as_deref(), kept, "{name}");
    }
}

#[tokio::test]
async fn a_link_at_the_foot_changes_the_language_and_leads_back_and_never_elsewhere() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    let plans = me.get("/plans?x=1").await.body;
    assert!(plans.contains("href=\"/language/nb?back=/plans%3Fx%3D1\""), "{plans}");
    let set = me.get("/language/nb?back=/plans%3Fx%3D1").await;
    assert_eq!(set.location(), "/plans?x=1");
    let cookie = set.header("set-cookie").to_owned();
    assert!(cookie.starts_with("gruve-language=nb; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let plans = me.get("/plans").await.body;
    assert!(plans.contains("<html lang=\"nb\">") && plans.contains("<h1>Planer</h1>"), "{plans}");
    for evil in ["//evil.example", "https://evil.example", "/\\evil.example", "%2F%2Fevil.example"]
    {
        let to = me.get(&format!("/language/en?back={evil}")).await;
        assert!(!to.location().contains("evil"), "{evil}: {}", to.location());
    }
    assert_eq!(me.get("/language/klingon").await.status, StatusCode::NOT_FOUND);
    // A sign-in form sent in vain says why in the same language.
    me.get("/language/nb").await;
    let csrf = me.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", "nobody"), ("password", "nothing at all")];
    let refused = me.post("/sign-in", &fields).await;
    assert!(refused.body.contains("Navnet og passordet hører ikke sammen."), "{}", refused.body);
}

#[tokio::test]
async fn amounts_are_shown_and_typed_with_the_languages_comma() {
    let (house, mut me) = furnished(WebConfig::default()).await;
    me.get("/language/nb").await;
    let ask = me.get("/withdraw?asset=BTC").await;
    let csrf = ask.field("csrf");
    let to = house.stranger(&house.lanes[0]);
    let wish = |amount: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("asset", "BTC".into()),
            ("amount", amount.into()),
            ("address", to.clone()),
        ]
    };
    for (amount, read) in [
        ("0,03", Some("0,03000000")),
        ("0.03", Some("0,03000000")),
        ("1.000,5", None),
        ("1.000", None),
    ] {
        let fields = wish(amount);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let answer = me.post("/withdraw", &fields).await;
        match read {
            Some(shown) => {
                assert_eq!(answer.status, StatusCode::OK, "{amount}: {}", answer.body);
                assert!(answer.body.contains(shown), "{amount}");
                assert_eq!(answer.field("amount"), "0.03000000", "what programs read has a point");
            }
            None => {
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{amount}");
                assert!(answer.body.contains("Skriv tallet med ett desimaltegn"), "{amount}");
            }
        }
    }
    // What stands in a form at first may be sent as it stands.
    let form = me.get("/appraise").await;
    assert!(form.body.contains("value=\"0,35\""), "{}", form.body);
    let asked =
        "/appraise?coin=BTC&hashrate=10%20TH%2Fs&price_usd=2200&fee_usd_per_th_day=0,35&rule=end";
    let answer = me.get(asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

/// What stands on pages and is no language: names, units, codes.
const KNOWN: &[&str] = &[
    // Units and their like.
    "UTC",
    "SHA",
    "TH",
    "GH",
    "MH",
    "kH",
    "EH",
    "PH",
    "ms",
    "min",
    "kWh",
    "kg",
    "CO",
    "IBAN",
    "BIC",
    "CSV",
    "JSON",
    "PPLNS",
    "SOLO",
    "FPPS",
    "GET",
    "NaN",
    "Id",
    "https",
    // Coins, chains and algorithms.
    "Gruve",
    "BTC",
    "LTC",
    "DOGE",
    "ETC",
    "USD",
    "EUR",
    "NOK",
    "Bitcoin",
    "Litecoin",
    "Dogecoin",
    "Ethereum",
    "Classic",
    "development",
    "chain",
    "sha",
    "sha256d",
    "scrypt",
    "SHA256d",
    "btc",
    "ltc",
    // What the furnished house is called and has.
    "kari",
    "bergen",
    "hosted",
    "SN0001",
    "SN",
    "S19",
    "Pro",
    "house",
    "farm",
    "lease",
    "narvik",
    "regtest",
    "past",
    "pplns",
    "solo",
    "fpps",
    "Euro",
    "meter",
    "English",
    "Norsk",
    "bokm",
    "example",
    "org",
    "test",
    "gruve",
];

/// Parts of a page that are data or code by what they are.
const DATA: [&str; 5] = ["code", "script", "time", "title-data", "textarea"];

/// Text nodes and spoken attributes of a page, with what they are in.
fn texts(body: &str) -> Vec<(String, String)> {
    let (mut out, mut open, mut rest) = (Vec::new(), Vec::<String>::new(), body);
    while let Some(at) = rest.find('<') {
        let text = rest[..at].trim();
        if !text.is_empty() && !open.iter().any(|e| DATA.contains(&e.as_str())) {
            out.push((open.last().cloned().unwrap_or_default(), text.to_owned()));
        }
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            while open.pop().is_some_and(|o| o != name) {}
            continue;
        }
        let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or_default().to_owned();
        for spoken in ["aria-label", "title", "alt", "placeholder", "data-label"] {
            let from = format!(" {spoken}=\"");
            let value = tag.split_once(&from).and_then(|(_, r)| r.split_once('"')).map(|(v, _)| v);
            if let Some(v) = value.filter(|v| !v.trim().is_empty() && name != "time") {
                out.push((format!("{name} {spoken}"), v.to_owned()));
            }
        }
        let is_void = ["input", "meta", "link", "br", "img", "hr"].contains(&name.as_str());
        if !is_void && !name.starts_with('!') {
            open.push(name);
        }
    }
    out
}

/// The words of a text that no language has said and that are not known to be data.
fn unsaid(text: &str) -> Vec<String> {
    // A plan's title is the operator's.
    let text = text.replace("Bitcoin by the meter", "");
    // A secret is in no language.
    let is_secret = |w: &&str| w.starts_with("whsec_") || w.starts_with("gruve_");
    let words: Vec<&str> = text.split(' ').filter(|w| !is_secret(w)).collect();
    let text = words.join(" ");
    let text = text
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    let (mut outside, mut depth) = (String::new(), 0_u32);
    for c in text.chars() {
        match c {
            '⟦' => depth += 1,
            '⟧' => depth = depth.saturating_sub(1),
            c if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| w.chars().filter(char::is_ascii_alphabetic).count() > 1)
        .filter(|w| !KNOWN.contains(w))
        // Ids and hashes.
        .filter(|w| !(w.len() >= 4 && w.chars().any(|c| c.is_ascii_digit())))
        .map(str::to_owned)
        .collect()
}

/// Answers that are files, redirects or streams and show no words, or documents, which are in English.
const NO_PAGES: [&str; 15] = [
    "/account/data/export.json",
    "/docs/{name}",
    "/language/{code}",
    "/contracts/{id}/terms.json",
    "/contracts/{id}/statement.json",
    "/contracts/{id}/statement.csv",
    "/contracts/{id}/receipts.bin",
    "/contracts/{id}/receipts.jsonl",
    "/machines/{id}/certificate",
    "/machines/{id}/terms.json",
    "/machines/{id}/statement.json",
    "/record/{*path}",
    "/assets/{name}",
    "/robots.txt",
    "/events",
];

/// Goes through every page that can be reached, signed out and signed in.
async fn crawl(house: &House, browser: &mut Browser, seen: &mut BTreeMap<String, String>) {
    let all = routes(&house.state);
    let pages: Vec<_> = all.iter().filter(|r| r.method == Method::GET && is_page(r.path)).collect();
    let patterns: Vec<&str> = pages.iter().map(|r| r.path).collect();
    let open = |r: &&&gruve_web::RouteInfo| !r.path.contains('{');
    let mut queue: Vec<String> = pages.iter().filter(open).map(|r| r.path.to_owned()).collect();
    queue.push("/nowhere".to_owned());
    queue.push("/buy?plan=btc-lease".to_owned());
    queue.push("/metered?plan=btc-meter".to_owned());
    let mut done = BTreeSet::new();
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    while let Some(path) = queue.pop() {
        let path = path.split('#').next().unwrap().to_owned();
        let pattern = pattern_of(&path, &patterns);
        if path != "/nowhere" && pattern.is_none() || !done.insert(path.clone()) {
            continue;
        }
        let count = times.entry(pattern.unwrap_or_default()).or_default();
        *count += 1;
        if *count > 4 {
            continue;
        }
        let answer = browser.get(&path).await;
        if !answer.header("content-type").starts_with("text/html") || answer.status.is_redirection()
        {
            continue;
        }
        // What is asked for without saying of what is a program's mistake, told in its words.
        if answer.status == StatusCode::BAD_REQUEST {
            continue;
        }
        queue.extend(links(&answer.body));
        seen.insert(format!("{} {path}", pattern.unwrap_or_default()), answer.body);
    }
}

fn is_page(path: &str) -> bool {
    let for_programs = path.starts_with("/api/")
        || ["/metrics", "/healthz", "/healthz/lanes", "/readyz"].contains(&path);
    !for_programs && !NO_PAGES.contains(&path)
}

#[tokio::test]
async fn nothing_on_any_page_is_left_unsaid() {
    let (house, mut me) = furnished(recorded()).await;
    let mut seen = BTreeMap::new();
    let mut nobody = Browser::new(&house.app);
    nobody.get("/language/en-XA").await;
    me.get("/language/en-XA").await;
    crawl(&house, &mut nobody, &mut seen).await;
    crawl(&house, &mut me, &mut seen).await;

    // Every kind of page was seen.
    let missed: Vec<_> = routes(&house.state)
        .into_iter()
        .filter(|r| r.method == Method::GET && is_page(r.path))
        .filter(|r| !matches!(r.access, Access::Bearer | Access::StaffBearer(_) | Access::Site))
        .filter(|r| !seen.keys().any(|k| k.split(' ').next() == Some(r.path)))
        .map(|r| r.path)
        .collect();
    assert!(missed.is_empty(), "no page was seen of {missed:?}: furnish the house");
    all_is_said(&seen);
}

/// Nothing of these pages is in no language.
fn all_is_said(seen: &BTreeMap<String, String>) {
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, body) in seen {
        for (place, text) in texts(body) {
            let words = unsaid(&text);
            if !words.is_empty() {
                let what = format!("<{place}> {text:?}: {}", words.join(" "));
                left.entry(what).or_default().insert(path.clone());
            }
        }
    }
    let listed: Vec<String> =
        left.iter().map(|(what, on)| format!("{what}\n      on {}", on.first().unwrap())).collect();
    assert!(listed.is_empty(), "{} texts are in no language:\n{}", listed.len(), listed.join("\n"));
}

/// What is written into a form's field of this name: a figure, where any will do, for that is in no language.
fn written(name: &str, stranger: &str) -> String {
    match name {
        "password" | "current" | "new" => PASSWORD,
        "login" => "kari",
        "email" => "kari@example.org",
        "amount" | "max" => "0.01",
        "asset" => "BTC",
        "address" | "to" => stranger,
        "stars" => "4",
        "hashrate" | "rate" => "50 kH/s",
        "url" => "https://1.1.1.1/2",
        _ => "77",
    }
    .to_owned()
}

/// Forms that keep payouts to a book in which nobody stands, end the session or take the role that sends them: sent last.
const LAST: [&str; 5] = [
    "/account/addresses/only",
    "/account/sessions/end",
    "/console/staff",
    "/console/customers/{id}/sign-out",
    "/sign-out",
];

#[tokio::test]
async fn nothing_that_a_form_answers_is_left_unsaid() {
    let (house, mut me) = furnished(recorded()).await;
    let mut nobody = Browser::new(&house.app);
    nobody.get("/language/en-XA").await;
    me.get("/language/en-XA").await;
    let stranger = house.stranger(&house.lanes[0]);
    let all = routes(&house.state);
    let posts: Vec<&str> =
        all.iter().filter(|r| r.method == Method::POST).map(|r| r.path).collect();
    let mut answers = BTreeMap::new();
    let is_last = |f: &Form| LAST.contains(&pattern_of(&f.action, &posts).unwrap_or_default());
    // What was made in one round has forms of its own in the next.
    for round in 0..4 {
        let browser = if round == 0 { &mut nobody } else { &mut me };
        let mut pages = BTreeMap::new();
        crawl(&house, browser, &mut pages).await;
        let all: BTreeSet<Form> = pages.values().flat_map(|body| forms(body)).collect();
        let mut queue: Vec<Form> = all.into_iter().filter(|f| is_last(f) == (round == 3)).collect();
        queue.sort_by_key(|f| LAST.iter().position(|l| Some(*l) == pattern_of(&f.action, &posts)));
        queue.reverse();
        let mut done = BTreeSet::new();
        while let Some(form) = queue.pop() {
            let pattern = pattern_of(&form.action, &posts).unwrap_or_else(|| panic!("{form:?}"));
            if !done
                .insert((pattern, form.fields.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>()))
            {
                continue;
            }
            let filled = form.filled(|name| written(name, &stranger));
            for form in BTreeSet::from([form, filled]) {
                let fields: Vec<(&str, &str)> =
                    form.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let answer = browser.post(&form.action, &fields).await;
                assert!(!answer.status.is_server_error(), "{form:?}: {}", answer.body);
                let is_page = answer.header("content-type").starts_with("text/html");
                // What a program's mistake is answered with is in its words.
                if is_page && answer.status != StatusCode::BAD_REQUEST {
                    queue.extend(forms(&answer.body).into_iter().filter(|f| !is_last(f)));
                    answers.insert(
                        format!("{pattern} {} {}", answer.status, answers.len()),
                        answer.body,
                    );
                }
            }
        }
    }
    // Pages that only a form leads to.
    for (page, says) in
        [("/buy", "⟦Your total⟧"), ("/withdraw", "⟦Confirm"), ("/account/totp", "⟦Set up codes⟧")]
    {
        let found = answers.iter().any(|(p, body)| p.starts_with(page) && body.contains(says));
        assert!(found, "{page} never said {says}: {:#?}", answers.keys());
    }
    assert!(answers.len() > 100, "{:#?}", answers.keys());
    all_is_said(&answers);
}

#[tokio::test]
async fn a_chosen_language_is_kept_in_the_account_and_spoken_on_other_devices() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    me.get("/language/nb").await;
    let mut phone = Browser::new(&house.app);
    let csrf = phone.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "four words make one")];
    phone.post("/sign-in", &login).await;
    let account = phone.get("/account").await;
    assert!(account.body.contains("lang=\"nb\"") && account.header("content-language") == "nb");
    let missing = phone.get("/contracts/nothing").await;
    assert!(missing.status == StatusCode::NOT_FOUND && missing.body.contains("Finnes ikke"));
    // A link on another site's page changes nothing.
    let foreign = Request::get("/language/en")
        .header("sec-fetch-site", "cross-site")
        .header("cookie", format!("gruve={}", phone.cookies["gruve"]))
        .body(Body::empty())
        .unwrap();
    let answer = house::browser::ask(&house.app, foreign).await;
    assert_eq!(answer.location(), "/");
    assert!(answer.header("set-cookie").is_empty());
    assert_eq!(phone.get("/account").await.header("content-language"), "nb");
    // Programs read and choose it, too.
    let program = house::browser::Program::signed_in(&house.app, "kari").await;
    assert_eq!(program.get("/api/v1/account").await.json()["language"], "nb");
    let choose = |code: serde_json::Value| {
        program.post("/api/v1/account/language", serde_json::json!({ "language": code }))
    };
    assert_eq!(choose("klingon".into()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(choose("en".into()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(phone.get("/account").await.header("content-language"), "en");
}
