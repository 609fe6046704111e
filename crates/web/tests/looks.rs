//! The pages as a browser shows them: axe (WCAG 2.2 AA and best practices) finds nothing on any page, light
//! or dark, at a desk or on a phone, in English or Norwegian; nothing runs out at a phone's side; a form is
//! filled and sent with the keyboard alone. Pictures of every page are left in
//! `test-output/screenshots/pages`.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::Method;
use fantoccini::key::Key;
use gruve_web::routes;
use house::House;
use house::browser::Browser;
use house::chromium::Window;
use house::furnished::furnished;
use house::record::recorded;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// A way of looking: a width, a language, a colour scheme.
#[derive(Clone, Copy)]
struct Look {
    name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
    language: &'static str,
    scheme: &'static str,
}

const LOOKS: [Look; 4] = [
    Look {
        name: "desk-en-light",
        width: 1280,
        height: 900,
        phone: false,
        language: "en",
        scheme: "light",
    },
    Look {
        // As narrow as pages must fit without being rolled sideways (WCAG 2.2, 1.4.10).
        name: "phone-nb-dark",
        width: 320,
        height: 640,
        phone: true,
        language: "nb",
        scheme: "dark",
    },
    Look {
        name: "desk-nb-dark",
        width: 1280,
        height: 900,
        phone: false,
        language: "nb",
        scheme: "dark",
    },
    Look {
        name: "phone-en-light",
        width: 390,
        height: 844,
        phone: true,
        language: "en",
        scheme: "light",
    },
];

/// axe's script, fetched once by `scripts/axe-for-tests`.
fn axe() -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/axe-for-tests");
    let out = Command::new(script).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::fs::read_to_string(String::from_utf8(out.stdout).unwrap().trim()).unwrap()
}

/// One page of every kind that the house has, with the route it stands for.
async fn pages(house: &House, browser: &mut Browser) -> BTreeMap<String, String> {
    let all = routes(&house.state);
    let get = all.iter().filter(|r| r.method == Method::GET && !r.path.starts_with("/api/"));
    let patterns: Vec<&str> = get.map(|r| r.path).collect();
    let mut queue: Vec<String> =
        patterns.iter().filter(|p| !p.contains('{')).map(|p| (*p).to_owned()).collect();
    queue.extend(["/buy?plan=btc-lease", "/metered?plan=btc-meter"].map(str::to_owned));
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut open_invoice = None;
    while let Some(path) = queue.pop() {
        let path = path.split('#').next().unwrap().to_owned();
        let pattern = house::furnished::pattern_of(&path, &patterns).unwrap_or_default();
        // Each document has forms of its own.
        let place = if pattern == "/docs/{name}" { path.as_str() } else { pattern };
        // A link to a language would choose it for the account, whatever the look is in.
        let is_page = path != "/events" && !path.starts_with("/language/");
        if !is_page || pattern.is_empty() || found.contains_key(place) {
            continue;
        }
        let answer = browser.get(&path).await;
        if answer.status.is_success() && answer.header("content-type").starts_with("text/html") {
            queue.extend(house::furnished::links(&answer.body));
            if answer.body.contains("class=\"qr\"") {
                open_invoice = Some(path.clone());
            }
            found.insert(place.to_owned(), path);
        }
    }
    found.insert("/nowhere".to_owned(), "/nowhere".to_owned());
    found.extend(open_invoice.map(|p| ("/invoices/open".to_owned(), p)));
    found
}

/// Serves a house at a port of its own.
async fn served(house: &House) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = format!("http://{}", listener.local_addr().unwrap());
    let state = house.state.clone();
    tokio::spawn(async move { gruve_web::serve(listener, state, std::future::pending()).await });
    home
}

async fn shoot(window: &Window, look: Look, name: &str) {
    let size = window.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
    let height = size["height"].as_f64().unwrap().clamp(look.height.into(), 6_000.0);
    let clip = json!({ "x": 0, "y": 0, "width": look.width, "scale": 1, "height": height });
    let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let picture = window.devtools("Page.captureScreenshot", params).await;
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let picture = engine.decode(picture["data"].as_str().unwrap()).unwrap();
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-output/screenshots/pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}-{}.png", look.name)), picture).unwrap();
}

/// What axe finds on the page that is open: rule, what it says, the first place.
async fn violations(window: &Window, axe: &str) -> Vec<String> {
    window.devtools("Runtime.evaluate", json!({ "expression": axe })).await;
    let run = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', \
         'best-practice'], resultTypes: ['violations'] }).then((r) => JSON.stringify(r.violations.map((v) => \
         `${v.id}: ${v.help}: ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 160)} ` + \
         `${v.nodes[0].failureSummary.slice(0, 200)}`)))";
    let params = json!({ "expression": run, "awaitPromise": true, "returnByValue": true });
    let said = window.devtools("Runtime.evaluate", params).await;
    let text =
        said["result"]["value"].as_str().unwrap_or_else(|| panic!("axe did not run: {said}"));
    serde_json::from_str(text).unwrap()
}

async fn runs_out(window: &Window, width: u32) -> Option<String> {
    let measure = "const edge = arguments[0] + 0.5; const out = [...document.querySelectorAll('body *')] \
        .filter((e) => e.getBoundingClientRect().right > edge && !e.closest('.scroll')).map((e) => e.outerHTML.slice(0, 120)); \
        return [innerWidth, document.documentElement.scrollWidth, out[0] ?? null];";
    let found = window.client.execute(measure, vec![json!(width)]).await.unwrap();
    let fits = found[0] == width && found[1].as_u64().unwrap() <= u64::from(width);
    (!fits).then(|| format!("runs out at the side: {found}"))
}

/// What is read and is no page: files, streams, what is for programs.
const NO_PAGES: [&str; 18] = [
    "/language/{code}",
    "/contracts/{id}/terms.json",
    "/contracts/{id}/statement.json",
    "/contracts/{id}/statement.csv",
    "/contracts/{id}/receipts.bin",
    "/contracts/{id}/receipts.jsonl",
    "/machines/{id}/certificate",
    "/machines/{id}/terms.json",
    "/machines/{id}/statement.json",
    "/account/data/export.json",
    "/events",
    "/assets/{name}",
    "/record/{*path}",
    "/robots.txt",
    "/metrics",
    "/healthz",
    "/healthz/lanes",
    "/readyz",
];

#[tokio::test]
async fn every_page_of_the_house_is_among_those_looked_at() {
    let (house, mut me) = furnished(recorded()).await;
    let mut seen = pages(&house, &mut me).await;
    seen.extend(pages(&house, &mut Browser::new(&house.app)).await);
    let all = routes(&house.state);
    let read = all.iter().filter(|r| r.method == Method::GET && !r.path.starts_with("/api/"));
    let missed: Vec<&str> = read
        .map(|r| r.path)
        .filter(|path| !seen.contains_key(*path) && *path != "/docs/{name}")
        .filter(|path| !NO_PAGES.contains(path))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(seen.keys().filter(|place| place.starts_with("/docs/")).count() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_and_nothing_runs_out_at_a_phones_side() {
    let (house, mut me) = furnished(recorded()).await;
    let signed_in = pages(&house, &mut me).await;
    let signed_out = pages(&house, &mut Browser::new(&house.app)).await;
    assert!(signed_in.len() > 40, "{signed_in:#?}");
    let home = served(&house).await;
    let (window, axe) = (Window::open(&home, 1280).await, axe());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Every page in every way takes minutes: where they are not asked for, each page has its turn in one.
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    for (turn, look) in LOOKS.iter().enumerate() {
        let metrics = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.phone,
        });
        window.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let media =
            json!({ "features": [{ "name": "prefers-color-scheme", "value": look.scheme }] });
        window.devtools("Emulation.setEmulatedMedia", media).await;
        // The account's own language goes before the browser's.
        me.get(&format!("/language/{}", look.language)).await;
        for (all, token) in [(&signed_out, None), (&signed_in, me.cookies.get("gruve"))] {
            window.devtools("Network.clearBrowserCookies", json!({})).await;
            let language = ("gruve-language", look.language.to_owned());
            let session = token.map(|t| ("gruve", t.clone()));
            for (name, value) in std::iter::once(language).chain(session) {
                let cookie = json!({ "name": name, "value": value, "url": home });
                window.devtools("Network.setCookie", cookie).await;
            }
            // What both see is looked at once, as a customer sees it.
            for (n, (route, path)) in all.iter().enumerate() {
                let is_seen = token.is_none() && signed_in.contains_key(route);
                if is_seen || !is_long && n % LOOKS.len() != turn {
                    continue;
                }
                window.go(path).await;
                let spoken = window.client.execute("return document.documentElement.lang;", vec![]);
                assert_eq!(spoken.await.unwrap(), look.language, "{path}");
                let name = route.trim_matches('/').replace(['/', '{', '}'], "-").replace("--", "-");
                let name = if name.is_empty() { "home" } else { name.trim_matches('-') };
                shoot(&window, *look, name).await;
                let mut wrong = violations(&window, &axe).await;
                if look.phone {
                    wrong.extend(runs_out(&window, look.width).await);
                }
                for w in wrong {
                    found.entry(w).or_default().push(format!("{path} {}", look.name));
                }
            }
        }
    }
    // It would find something.
    window.go("/").await;
    let add = "document.querySelector('main').append(document.createElement('img'));";
    window.client.execute(add, vec![]).await.unwrap();
    let planted = violations(&window, &axe).await;
    assert!(planted.iter().any(|v| v.starts_with("image-alt")), "{planted:?}");
    window.close().await;
    let all: Vec<String> = found
        .iter()
        .map(|(what, on)| format!("{what}\n    on {} pages, as {}", on.len(), on[0]))
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_judged_while_it_is_typed_and_shown_when_that_is_wanted() {
    let house = House::new().await;
    let home = served(&house).await;
    for width in [1280, 390] {
        let window = Window::open(&home, width).await;
        window.go("/sign-up").await;
        window.fill("#name", "kari").await;
        for (typed, said) in [
            ("short", "Too short: 5 of 12 characters."),
            ("kari-kari-kari", "Easily guessed"),
            ("P@ssw0rd2024", "Easily guessed"),
            ("unlike any-2", "It will do"),
            ("four words make one", "Good."),
        ] {
            window.fill("#password", typed).await;
            let said = json!(said);
            window
                .until(&format!("document.querySelector('.strength').textContent.includes({said})"))
                .await;
        }
        let kind = "document.querySelector('#password').type";
        window.until(&format!("{kind} === 'password'")).await;
        window.press(".reveal").await;
        window.until(&format!("{kind} === 'text'")).await;
        window.look("sign-up-password").await;
        window.press(".reveal").await;
        window.until(&format!("{kind} === 'password'")).await;
        window.press(".reveal").await;
        // What was shown is sent as a password is, and what the page calls good is taken.
        window.fill("#email", &format!("kari{width}@example.org")).await;
        window.fill("#name", &format!("kari{width}")).await;
        window.press("main form button[type=submit]").await;
        window.heading("Overview").await;
        window.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_opened_with_the_keyboard_alone() {
    let house = House::new().await;
    let home = served(&house).await;
    let window = Window::open(&home, 1280).await;
    window.go("/sign-up").await;
    let client = &window.client;
    let at = async || {
        let ask = "const e = document.activeElement; const s = getComputedStyle(e); \
            return [e.id || e.textContent.trim(), s.outlineStyle, e.getBoundingClientRect().top >= 0];";
        client.execute(ask, vec![]).await.unwrap()
    };
    let press = async |keys: &str| {
        let active = client.active_element().await.unwrap();
        active.send_keys(keys).await.unwrap();
    };
    let tab = String::from(char::from(Key::Tab));
    press(&tab).await;
    // The first thing is the way past the navigation; it shows itself when it is reached.
    let first = at().await;
    assert_eq!((&first[0], &first[2]), (&json!("Skip to the content"), &json!(true)), "{first}");
    press(&String::from(char::from(Key::Enter))).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        press(&tab).await;
        let here = at().await;
        assert_ne!(here[1], "none", "where one is can be seen: {here}");
        let id = here[0].as_str().unwrap().to_owned();
        match id.as_str() {
            "name" => press("kari").await,
            "email" => press("kari@example.org").await,
            "password" => press("four words make one").await,
            _ => {}
        }
        order.push(id);
    }
    assert_eq!(order, ["name", "email", "password", "Show the password", "Open the account"]);
    press(&String::from(char::from(Key::Enter))).await;
    window.heading("Overview").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_looks_at_leaves_its_stream_until_somebody_does() {
    let house = House::new().await;
    let home = served(&house).await;
    let window = Window::open(&home, 1280).await;
    let noted = "window.made = []; window.EventSource = class extends EventSource { \
        constructor(path) { super(path); window.made.push(this); } };";
    window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": noted })).await;
    let looks_away = async |hidden: bool| {
        let turn = format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'));"
        );
        window.client.execute(&turn, vec![]).await.unwrap();
    };
    let lamp = "!document.getElementById('live-lamp').hidden";
    window.go("/").await;
    window.until(&format!("{lamp} && made.length === 1 && made[0].readyState === 1")).await;
    looks_away(true).await;
    window.until(&format!("!({lamp}) && made.length === 1 && made[0].readyState === 2")).await;
    looks_away(false).await;
    window.until(&format!("{lamp} && made.length === 2 && made[1].readyState === 1")).await;
    window.close().await;
}
