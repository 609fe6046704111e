//! The pages in a real browser: what a customer sees and presses, at a desk, on a phone and
//! without scripts; at the desk in English, on the phone in Norwegian. Pictures of every page are left in `test-output/screenshots`.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::{Client, ClientBuilder, Locator};
use gruve::demo::{Api, Rpc};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Running, free_ports, tail, until};

/// How long any one thing on the pages may take; the longest is machines proving what is on sale.
const PATIENCE: Duration = Duration::from_secs(180);
const NAME: &str = "ingrid";
const PASSWORD: &str = "four unrelated words here";

#[derive(Clone, Copy)]
struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
    scripts: bool,
    language: &'static str,
}

const DESK: Screen =
    Screen { name: "desk", width: 1280, height: 900, phone: false, scripts: true, language: "en" };
const PHONE: Screen =
    Screen { name: "phone", width: 390, height: 844, phone: true, scripts: true, language: "nb" };
const SCRIPTLESS: Screen = Screen { name: "scriptless", scripts: false, ..PHONE };

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_goes_the_whole_way_at_a_desk_and_on_a_phone_and_signs_in_without_scripts() {
    let driver = Driver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let base = free_ports(8);
    let ports = base.to_string();
    let data_arg = data.to_str().unwrap();
    let log = dir.path().join("house.log");
    let house = Running::start(
        &["demo", "--data", data_arg, "--ports", &ports, "--epoch", "2s", "--spacing", "5s"],
        &log,
    );
    let home = format!("http://127.0.0.1:{base}");
    let api = Api::new(home.clone());
    until("the house answers", Duration::from_secs(60), async || {
        api.get("/api/v1/lanes").await.ok()
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    let rpc_password = std::fs::read_to_string(data.join("gruve-demo")).unwrap();
    let wallet =
        |port: u16| Rpc::new(format!("http://127.0.0.1:{port}"), "gruve", rpc_password.trim());

    let btc = Lane { plan: "btc-lease", asset: "BTC", wallet: wallet(base + 3) };
    driver
        .browse(DESK, &home, async move |page| {
            reads_the_public_pages(&page).await;
            signs_up(&page).await;
            buys_earns_and_withdraws(&page, &btc).await;
        })
        .await;
    let ltc = Lane { plan: "ltc-lease", asset: "LTC", wallet: wallet(base + 4) };
    driver
        .browse(PHONE, &home, async move |page| {
            reads_the_public_pages(&page).await;
            page.open("/sign-up", "Open an account").await;
            signs_in(&page).await;
            buys_earns_and_withdraws(&page, &ltc).await;
            signs_out(&page).await;
        })
        .await;
    driver
        .browse(SCRIPTLESS, &home, async move |page| {
            page.no_script_runs().await;
            page.open("/", "Hashpower, counted in proof of work").await;
            signs_in(&page).await;
            page.press("lease, four minutes").await;
            page.arrive("contract", "lease, four minutes").await;
            signs_out(&page).await;
        })
        .await;
    // Once more, now that there is something to show: two contracts and a history.
    driver
        .browse(DESK, &home, async move |page| {
            signs_in(&page).await;
            page.press("BTC lease, four minutes").await;
            page.arrive("contract", "BTC lease, four minutes").await;
            page.open("/plans", "Plans").await;
            page.open("/lanes/btc", "Bitcoin").await;
            page.open("/lanes/ltc", "Litecoin").await;
            page.open("/lanes/etc", "Ethereum Classic").await;
            page.open("/books", "Books").await;
            page.open("/", "Hashpower, counted in proof of work").await;
            checks_receipts(&page, &api).await;
        })
        .await;
    assert!(house.stop().await.success(), "{}", tail(&log));
}

/// The customer's receipts against the public record: by the program, in the browser, and there without a connection.
async fn checks_receipts(page: &Page, api: &Api) {
    let login = json!({ "login": NAME, "password": PASSWORD });
    let session = api.post("/api/v1/sessions", &login).await.unwrap();
    let own = api.signed_in(session["token"].as_str().unwrap());
    let contracts = own.get("/api/v1/contracts").await.unwrap();
    let contracts = contracts["items"].as_array().unwrap();
    let id = contracts[0]["contract"].as_str().unwrap();
    let path = format!("/api/v1/contracts/{id}/receipts");
    let all = own.get(&path).await.unwrap()["receipts"].take();
    let all = all.as_array().unwrap();
    assert!(all.len() > 3, "a receipt for each epoch: {}", all.len());
    let epoch = own.get(&format!("{path}?limit=1")).await.unwrap()["next_epoch"].take();
    let one = own.get(&format!("{path}?epoch={epoch}")).await;
    assert!(one.is_ok() || epoch.is_null());

    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("receipts.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let record = format!("{}/record", page.home);
    let args = ["verify", &record, "--forget", "--json", "--receipt", file.to_str().unwrap()];
    let out = support::run(&args);
    let said: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success() && said["holds"] == true, "{said:#}");
    assert_eq!(said["receipts"], all.len(), "over the network, every one");
    let other = lines[0].replacen("\"allocated\":\"", "\"allocated\":\"1", 1);
    std::fs::write(&file, &other).unwrap();
    assert_eq!(support::run(&args).status.code(), Some(1), "a lie has a status of its own");

    page.open("/proof", "Proof").await;
    page.client
        .find(Locator::Css("a[href^='/proof/']:not([href$='receipt'])"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    page.arrive("proof-epoch", "Epoch").await;
    page.open("/proof/receipt", "Check a receipt").await;
    let check = async |text: &str, answer: &str| {
        let fill = "document.getElementById('receipt-text').value = arguments[0]; \
            document.getElementById('receipt-said').replaceChildren();";
        page.client.execute(fill, vec![text.into()]).await.unwrap();
        page.press("Check").await;
        page.wait(answer, async || {
            page.text("#receipt-said").await.filter(|t| t.starts_with(answer))
        })
        .await;
        page.text("#receipt-said").await.unwrap()
    };
    let said = check(&lines.join("\n"), "Yes").await;
    assert!(said.contains("the same history"), "{said}");
    page.look("receipt-checked").await;
    check(&other, "No").await;
    let other_head = lines[0].replacen("\"entry_index\":", "\"entry_index\":1", 1);
    check(&other_head, "No").await;
    let offline =
        json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    // Without the first, the second is taken and changes nothing.
    page.devtools("Network.enable", json!({})).await;
    page.devtools("Network.emulateNetworkConditions", offline).await;
    let said = check(&lines[0], "Yes").await;
    assert!(said.contains("Not compared"), "{said}");
}

struct Lane {
    plan: &'static str,
    asset: &'static str,
    wallet: Rpc,
}

async fn reads_the_public_pages(page: &Page) {
    page.open("/", "Hashpower, counted in proof of work").await;
    page.open("/lanes/btc", "Bitcoin").await;
    page.open("/plans", "Plans").await;
    page.open("/books", "Books").await;
}

async fn signs_up(page: &Page) {
    page.open("/sign-up", "Open an account").await;
    page.fill("name", NAME).await;
    page.fill("email", "ingrid@example.org").await;
    page.fill("password", PASSWORD).await;
    page.press("Open the account").await;
    page.arrive("account-new", "Overview").await;
}

async fn signs_in(page: &Page) {
    page.open("/sign-in", "Sign in").await;
    page.fill("login", NAME).await;
    page.fill("password", PASSWORD).await;
    page.press("Sign in").await;
    page.arrive("account", "Overview").await;
}

async fn signs_out(page: &Page) {
    page.press("Sign out").await;
    page.heading("Hashpower, counted in proof of work").await;
    page.go("/account").await;
    page.heading("Sign in").await;
}

async fn buys_earns_and_withdraws(page: &Page, lane: &Lane) {
    let buy = format!("a[href='/buy?plan={}']", lane.plan);
    // Another customer buys at the same time: what was on sale may be gone when the form is sent.
    page.wait("hashrate is sold", async || {
        page.go("/plans").await;
        page.client.find(Locator::Css(&buy)).await.ok()?.click().await.ok()?;
        page.heading("Buy:").await;
        page.look("buy").await;
        page.press("Show the total").await;
        let heading = page.text("h1").await?;
        (heading == page.say("Your total")).then_some(())
    })
    .await;
    page.arrive("quote", "Your total").await;
    page.press("Buy and show the invoice").await;
    page.arrive("invoice", "Invoice").await;
    pays(page, lane).await;

    page.press("To the contract").await;
    page.heading("lease, four minutes").await;
    page.updates_itself("the contract runs", async || {
        page.text("#figures header").await.filter(|t| t.contains(&page.say("Running")))
    })
    .await;
    page.updates_itself("earnings are credited", async || {
        page.text("#settlements table tbody tr").await.filter(|t| t.contains(lane.asset))
    })
    .await;
    page.updates_itself("three epochs are listed", async || {
        page.text("#lines table tbody tr:nth-child(3)").await
    })
    .await;
    page.arrive("contract", "lease, four minutes").await;
    let contract = page.client.current_url().await.unwrap().path().to_owned();
    withdraws(page, lane).await;

    page.go("/payouts").await;
    page.arrive("payouts", "Payouts").await;
    let listed = page.text("#payouts tbody tr").await.unwrap();
    assert!(
        listed.contains(lane.asset) && listed.contains(&page.say("Confirmed in a block")),
        "{listed}"
    );
    page.open("/statement", "Statement").await;
    page.open("/books", "Books").await;
    let books = page.text("#books").await.unwrap();
    assert!(
        books.contains(&page.say("Adds up")) && !books.contains(&page.say("Does not add up")),
        "{books}"
    );
    page.go(&contract).await;
    page.arrive("contract", "lease, four minutes").await;
    page.open("/account", "Overview").await;
}

/// Pays what the invoice says to the address that it says, and waits for the page to say so.
async fn pays(page: &Page, lane: &Lane) {
    let address = page.text("dd.copy").await.unwrap();
    let due = page.text(".pairs .amount").await.unwrap();
    let (number, asset) = due.split_once(' ').unwrap();
    assert_eq!(asset, lane.asset);
    let number: Value = serde_json::from_str(&number.replace(',', ".")).unwrap();
    lane.wallet.call("sendtoaddress", json!([address, number])).await.unwrap();
    page.updates_itself("the invoice is paid", async || {
        page.text("#invoice header").await.filter(|t| t.contains(&page.say("Paid and confirmed")))
    })
    .await;
    page.arrive("invoice-paid", "Invoice").await;
}

/// Withdraws all that is available, as soon as it is worth its network fee.
async fn withdraws(page: &Page, lane: &Lane) {
    let address = lane.wallet.call("getnewaddress", json!([])).await.unwrap();
    let address = address.as_str().unwrap();
    let option = format!("option[value='{}']", lane.asset);
    page.wait("earnings are worth a payout", async || {
        page.go("/withdraw").await;
        let offered = page.text(&option).await?;
        // As it is shown, with the language's own decimal mark: so it may be typed.
        let (_, available) = offered.split_once(": ")?;
        let (available, _) = available.split_once(' ')?;
        page.client.find(Locator::Css(&option)).await.ok()?.click().await.ok()?;
        page.fill("amount", available).await;
        page.fill("address", address).await;
        page.look("withdraw").await;
        page.press("Show the fee").await;
        let heading = page.text("h1").await?;
        (heading == page.say("Confirm the payout")).then_some(())
    })
    .await;
    page.arrive("withdraw-confirm", "Confirm the payout").await;
    page.press("Withdraw ").await;
    page.arrive("payout-requested", "Payout").await;
    page.updates_itself("the payout is in a block", async || {
        page.text("#payout header").await.filter(|t| t.contains(&page.say("Confirmed in a block")))
    })
    .await;
    page.arrive("payout", "Payout").await;
    let got = lane.wallet.call("getreceivedbyaddress", json!([address, 1])).await.unwrap();
    assert!(got.as_f64().unwrap() > 0.0, "{got}");
}

/// chromedriver; it is ended when dropped.
struct Driver {
    child: Child,
    api: Api,
    url: String,
}

impl Driver {
    async fn start() -> Driver {
        let port = free_ports(1);
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "chromedriver: {e}; install it with\n  apt-get install -y \
                     --no-install-recommends chromium chromium-driver fonts-dejavu"
                )
            });
        let url = format!("http://127.0.0.1:{port}");
        let driver = Driver { child, api: Api::new(url.clone()), url };
        until("chromedriver answers", Duration::from_secs(30), async || {
            driver.api.get("/status").await.ok()
        })
        .await
        .unwrap();
        driver
    }

    /// Opens a browser with an empty profile, does something in it and closes it, also when what
    /// was done has failed.
    async fn browse<F>(&self, screen: Screen, home: &str, journey: impl FnOnce(Page) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let profile = tempfile::tempdir().unwrap();
        let page = Page::open_browser(self, screen, home, profile.path()).await;
        let client = page.client.clone();
        let journey = async { tokio::task::spawn_local(journey(page)).await };
        let outcome = tokio::task::LocalSet::new().run_until(journey).await;
        client.close().await.unwrap();
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser's only window.
struct Page {
    client: Client,
    /// What chromedriver offers beyond the standard, under the session's path.
    extras: Api,
    session: String,
    screen: Screen,
    home: String,
    words: BTreeMap<String, String>,
}

/// What the pages say in a language, by the English.
fn words_of(language: &str) -> BTreeMap<String, String> {
    if language == "en" {
        return BTreeMap::new();
    }
    let file = format!("{}/../web/words/{language}.toml", env!("CARGO_MANIFEST_DIR"));
    let file: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let words = file["words"].as_table().unwrap();
    words.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

impl Page {
    async fn open_browser(driver: &Driver, screen: Screen, home: &str, profile: &Path) -> Page {
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-quic".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        if !screen.scripts {
            args.push("--blink-settings=scriptEnabled=false".to_owned());
        }
        let wanted = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&driver.url)
            .await
            .unwrap_or_else(|e| panic!("chromium does not start: {e}"));
        let session = client.session_id().await.unwrap().unwrap();
        let (extras, home) = (driver.api.clone(), home.to_owned());
        let words = words_of(screen.language);
        let page = Page { client, extras, session, screen, home, words };
        let metrics = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1,
            "mobile": screen.phone,
        });
        page.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        page.go(&format!("/language/{}?back=/plans", screen.language)).await;
        page
    }

    async fn devtools(&self, command: &str, params: Value) -> Value {
        let path = format!("/session/{}/goog/cdp/execute", self.session);
        let body = json!({ "cmd": command, "params": params });
        self.extras.post(&path, &body).await.unwrap()["value"].take()
    }

    /// Opens an address, waits for its heading and looks at it.
    async fn open(&self, path: &str, heading: &str) {
        self.go(path).await;
        let name = path.trim_matches('/').replace('/', "-");
        self.arrive(if name.is_empty() { "home" } else { &name }, heading).await;
    }

    async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.home)).await.unwrap();
    }

    /// Waits for a page's heading, then looks at the page.
    async fn arrive(&self, name: &str, heading: &str) {
        self.heading(heading).await;
        self.look(name).await;
    }

    /// A text of the pages in the language of this visitor, or the beginning of one up to its first value.
    fn say(&self, english: &str) -> String {
        let begins = || {
            let of = self.words.iter().find(|(k, _)| {
                k.strip_prefix(english).is_some_and(|rest| rest.trim_start().starts_with('{'))
            });
            of.map(|(_, own)| own.split('{').next().unwrap_or_default().to_owned())
        };
        self.words.get(english).cloned().or_else(begins).unwrap_or_else(|| english.to_owned())
    }

    async fn heading(&self, heading: &str) {
        let heading = &*self.say(heading);
        self.wait(&format!("the page {heading:?} is there"), async || {
            self.text("h1").await.filter(|t| t.contains(heading))
        })
        .await;
    }

    /// Takes a picture, and asserts what holds on every page: nothing runs out at the side, and
    /// the browser has nothing to complain about.
    async fn look(&self, name: &str) {
        self.shoot(name).await;
        if self.screen.phone {
            self.nothing_runs_out_at_the_side(name).await;
        }
        if self.screen.scripts {
            let path = format!("/session/{}/se/log", self.session);
            let log = self.extras.post(&path, &json!({ "type": "browser" })).await.unwrap();
            // A form that is refused answers with a status, which the browser logs too.
            let bad = log["value"].as_array().unwrap().iter().filter(|line| {
                line["level"] == "SEVERE"
                    && !line["message"].as_str().unwrap().contains("responded with a status of 4")
            });
            let bad: Vec<_> = bad.collect();
            assert!(bad.is_empty(), "{name} on {}: {bad:#?}", self.screen.name);
        }
    }

    async fn nothing_runs_out_at_the_side(&self, name: &str) {
        let measure = "const edge = innerWidth + 0.5; \
            const out = [...document.querySelectorAll('body *')] \
                .filter((e) => e.getBoundingClientRect().right > edge) \
                .map((e) => e.outerHTML.slice(0, 120)); \
            return [innerWidth, document.documentElement.scrollWidth, out];";
        let found = self.client.execute(measure, vec![]).await.unwrap();
        let width = u64::from(self.screen.width);
        // A phone's browser widens the window to what does not fit: both are compared.
        assert!(
            found[0] == width && found[1].as_u64().unwrap() <= width,
            "{name} is wider than a phone of {width}: {found:#}",
        );
    }

    /// The whole page, not only what fits on the screen.
    async fn shoot(&self, name: &str) {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let clip = json!({
            "x": 0, "y": 0, "width": self.screen.width, "scale": 1,
            "height": size["height"].as_f64().unwrap().max(self.screen.height.into()),
        });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", params).await;
        let picture = BASE64.decode(picture["data"].as_str().unwrap()).unwrap();
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-output/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{}-{name}.png", self.screen.name)), picture).unwrap();
    }

    /// What an element shows; nothing when it is not there, or is being replaced just now.
    async fn text(&self, css: &str) -> Option<String> {
        self.client.find(Locator::Css(css)).await.ok()?.text().await.ok()
    }

    async fn fill(&self, id: &str, text: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses the first button or link that says this, the header's last.
    async fn press(&self, label: &str) {
        let label = self.say(label);
        let says = format!("[self::button or self::a][contains(., \"{label}\")]");
        let (main, header) = (format!("//main//*{says}"), format!("//header//*{says}"));
        self.wait(&format!("{label:?} can be pressed"), async || {
            let found = match self.client.find(Locator::XPath(&main)).await {
                Ok(found) => found,
                Err(_) => self.client.find(Locator::XPath(&header)).await.ok()?,
            };
            found.click().await.ok()
        })
        .await;
    }

    /// Waits for something that the page shows by itself, without being loaded again.
    async fn updates_itself<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        self.client.execute("window.same = true;", vec![]).await.unwrap();
        let found = self.wait(what, ask).await;
        let same = self.client.execute("return window.same === true;", vec![]).await.unwrap();
        assert_eq!(same, true, "the page was loaded again until {what}");
        found
    }

    async fn no_script_runs(&self) {
        let page = "data:text/html,<title>still</title><script>document.title='ran'</script>";
        self.client.goto(page).await.unwrap();
        assert_eq!(self.client.title().await.unwrap(), "still");
    }

    async fn wait<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        match until(what, PATIENCE, ask).await {
            Ok(found) => found,
            Err(e) => {
                self.shoot("failed").await;
                let shown = self.text("body").await.unwrap_or_default();
                panic!("{}: {e}\n{shown}", self.screen.name);
            }
        }
    }
}
