//! A real browser for the whole-house tests: chromium, driven by chromedriver, at a desk or as a phone, with scripts
//! or without, in a language. Whatever page is looked at is photographed into `test-output/screenshots`, runs out
//! at no phone's side, has nothing to say to the browser's console, and is held against axe's rules in the screen's colours.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

use crate::support::{free_ports, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use gruve::demo::Api;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// How long any one thing on the pages may take; the longest is machines proving what is on sale.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Steps of the keyboard to anything on a page; above all that the longest page has.
const TABS_MAX: usize = 150;

/// What a picture of the documents may weigh: pages with several are read over slow lines, too.
const PICTURE_BYTES_MAX: usize = 150_000;

/// Who looks, and how.
#[derive(Clone, Copy)]
pub struct Screen {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub phone: bool,
    pub scripts: bool,
    pub language: &'static str,
    /// `light` and `dark`: the first is shown, and a page that is looked at is looked at in the others, too.
    pub colours: &'static [&'static str],
    /// Whether the documents' pictures are of this one.
    pub pictured: bool,
}

pub const DESK: Screen = Screen {
    name: "desk",
    width: 1280,
    height: 900,
    phone: false,
    scripts: true,
    language: "en",
    colours: &["light", "dark"],
    pictured: true,
};
pub const PHONE: Screen =
    Screen { name: "phone", width: 390, height: 844, phone: true, language: "nb", ..DESK };

/// chromedriver; it is ended when dropped.
pub struct Driver {
    child: Child,
    api: Api,
    url: String,
}

impl Driver {
    pub async fn start() -> Driver {
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
    pub async fn browse<F>(&self, screen: Screen, home: &str, journey: impl FnOnce(Page) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let window = Windows::new(self, home);
        let page = window.open(screen).await;
        window.walked(journey(page)).await;
    }

    /// The same with as many browsers as the journey opens, each a person of its own.
    pub async fn walk<F>(&self, home: &str, journey: impl FnOnce(Windows) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let windows = Windows::new(self, home);
        windows.walked(journey(windows.clone())).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The browsers of a journey.
#[derive(Clone)]
pub struct Windows {
    extras: Api,
    driver: String,
    home: String,
    open: Rc<RefCell<Vec<(Client, TempDir)>>>,
}

impl Windows {
    fn new(driver: &Driver, home: &str) -> Windows {
        let (extras, driver) = (driver.api.clone(), driver.url.clone());
        Windows { extras, driver, home: home.to_owned(), open: Rc::default() }
    }

    /// Opens one with an empty profile.
    pub async fn open(&self, screen: Screen) -> Page {
        let profile = tempfile::tempdir().unwrap();
        let page = Page::open_browser(self, screen, &profile).await;
        self.open.borrow_mut().push((page.client.clone(), profile));
        page
    }

    async fn walked(&self, journey: impl Future<Output = ()> + 'static) {
        let journey = async { tokio::task::spawn_local(journey).await };
        let outcome = tokio::task::LocalSet::new().run_until(journey).await;
        let all = self.open.take();
        for (client, _) in &all {
            client.clone().close().await.unwrap();
        }
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    }
}

/// A browser's only window.
pub struct Page {
    pub client: Client,
    /// What chromedriver offers beyond the standard, under the session's path.
    extras: Api,
    session: String,
    pub screen: Screen,
    pub home: String,
    downloads: PathBuf,
    words: BTreeMap<String, String>,
}

/// What the pages say in a language, by the English.
fn words_of(language: &str) -> BTreeMap<String, String> {
    if language == "en" {
        return BTreeMap::new();
    }
    let file = format!("{}/../web/words/{language}.toml", env!("CARGO_MANIFEST_DIR"));
    let file: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let words = ["words", "messages"].map(|part| file[part].as_table().unwrap());
    words
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

fn from_here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// axe's script, fetched once by `scripts/axe-for-tests`.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let out = Command::new(from_here("scripts/axe-for-tests")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::fs::read_to_string(String::from_utf8(out.stdout).unwrap().trim()).unwrap()
});

/// Pages that axe has looked at: each way of looking has each page once.
static LOOKED_AT: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());

impl Page {
    async fn open_browser(of: &Windows, screen: Screen, profile: &TempDir) -> Page {
        let args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-quic".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&of.driver)
            .await
            .unwrap_or_else(|e| panic!("chromium does not start: {e}"));
        let session = client.session_id().await.unwrap().unwrap();
        let (extras, home) = (of.extras.clone(), of.home.clone());
        let words = words_of(screen.language);
        let downloads = profile.path().join("kept");
        std::fs::create_dir_all(&downloads).unwrap();
        let page = Page { client, extras, session, screen, home, downloads, words };
        let metrics = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1,
            "mobile": screen.phone,
        });
        page.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let keep = json!({ "behavior": "allow", "downloadPath": page.downloads });
        page.devtools("Browser.setDownloadBehavior", keep).await;
        page.colours(screen.colours[0]).await;
        if !screen.scripts {
            page.let_scripts_run(false).await;
            page.no_script_runs().await;
        }
        page.go(&format!("/language/{}?back=/plans", screen.language)).await;
        page
    }

    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        let path = format!("/session/{}/goog/cdp/execute", self.session);
        let body = json!({ "cmd": command, "params": params });
        self.extras.post(&path, &body).await.unwrap()["value"].take()
    }

    /// Opens an address, waits for its heading and looks at it.
    pub async fn open(&self, path: &str, heading: &str) {
        self.go(path).await;
        let name = path.trim_matches('/').replace('/', "-");
        self.arrive(if name.is_empty() { "home" } else { &name }, heading).await;
    }

    /// Goes to a path of the house, or to a whole address.
    pub async fn go(&self, path: &str) {
        let place =
            if path.starts_with('/') { format!("{}{path}", self.home) } else { path.to_owned() };
        self.client.goto(&place).await.unwrap();
    }

    /// Waits for a page's heading, then looks at the page.
    pub async fn arrive(&self, name: &str, heading: &str) {
        self.heading(heading).await;
        self.look(name).await;
    }

    /// A text of the pages in the language of this visitor, or the beginning of one up to its first value.
    pub fn say(&self, english: &str) -> String {
        let begins = || {
            let of = self.words.iter().find(|(k, _)| {
                k.strip_prefix(english).is_some_and(|rest| rest.trim_start().starts_with('{'))
            });
            of.map(|(_, own)| own.split('{').next().unwrap_or_default().to_owned())
        };
        self.words.get(english).cloned().or_else(begins).unwrap_or_else(|| english.to_owned())
    }

    /// A figure, given as it is written in English, with the language's decimal mark.
    pub fn figure(&self, english: &str) -> String {
        if self.screen.language == "nb" { english.replace('.', ",") } else { english.to_owned() }
    }

    /// A figure that the page shows, as a program writes it.
    pub fn plain(&self, shown: &str) -> String {
        let digits = shown.chars().filter(|c| c.is_ascii_digit() || ".,".contains(*c));
        let (mark, between) = if self.screen.language == "nb" { (',', '.') } else { ('.', ',') };
        digits.filter(|c| *c != between).map(|c| if c == mark { '.' } else { c }).collect()
    }

    pub async fn heading(&self, heading: &str) {
        let heading = &*self.say(heading);
        self.wait(&format!("the page {heading:?} is there"), async || {
            self.text("h1").await.filter(|t| t.contains(heading))
        })
        .await;
    }

    /// Takes a picture, and asserts what holds on every page.
    pub async fn look(&self, name: &str) {
        self.shoot(name).await;
        if self.screen.phone {
            self.nothing_runs_out_at_the_side(name).await;
        }
        self.holds_to_the_rules(name).await;
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
                .filter((e) => e.getBoundingClientRect().right > edge && !e.closest('.scroll')) \
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

    /// axe (WCAG 2.2 AA and best practices) finds nothing in the first colours, and no contrast too low in the others.
    async fn holds_to_the_rules(&self, name: &str) {
        if !LOOKED_AT.lock().unwrap().insert((self.screen.name, name.to_owned())) {
            return;
        }
        const ALL: &str =
            "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";
        if !self.screen.scripts {
            self.let_scripts_run(true).await;
        }
        let mut wrong = self.violations(ALL).await;
        let (first, others) = self.screen.colours.split_first().unwrap();
        for colours in others {
            self.colours(colours).await;
            self.shoot(&format!("{name}-{colours}")).await;
            wrong.extend(self.violations("['color-contrast']").await);
        }
        if !others.is_empty() {
            self.colours(first).await;
        }
        if !self.screen.scripts {
            self.let_scripts_run(false).await;
        }
        assert!(wrong.is_empty(), "{name} on {}: {wrong:#?}", self.screen.name);
    }

    /// What axe finds by these rules: rule, what it says, the first place.
    async fn violations(&self, rules: &str) -> Vec<String> {
        self.devtools("Runtime.evaluate", json!({ "expression": *AXE })).await;
        let run = format!(
            "axe.run(document, {{ runOnly: {rules}, resultTypes: ['violations'] }}).then((r) => \
             JSON.stringify(r.violations.map((v) => `${{v.id}}: ${{v.help}}: ${{v.nodes.length}} times, first \
             ${{v.nodes[0].html.slice(0, 160)}} ${{v.nodes[0].failureSummary.slice(0, 200)}}`)))"
        );
        let params = json!({ "expression": run, "awaitPromise": true, "returnByValue": true });
        let said = self.devtools("Runtime.evaluate", params).await;
        let text = said["result"]["value"].as_str();
        serde_json::from_str(text.unwrap_or_else(|| panic!("axe did not run: {said}"))).unwrap()
    }

    async fn colours(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    async fn let_scripts_run(&self, may: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !may })).await;
    }

    /// The whole page, not only what fits on the screen.
    async fn shoot(&self, name: &str) {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let height = size["height"].as_f64().unwrap().max(self.screen.height.into());
        let picture = self.picture_of(0.0, height).await;
        let folder = from_here("test-output/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{}-{name}.png", self.screen.name)), picture).unwrap();
    }

    async fn picture_of(&self, from: f64, height: f64) -> Vec<u8> {
        let clip =
            json!({ "x": 0, "y": from, "width": self.screen.width, "scale": 1, "height": height });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", params).await;
        BASE64.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// A picture for the documents, where `GRUVE_PICTURES` names their folder: the page down to this height.
    pub async fn keep_picture(&self, name: &str, height: u32) {
        let Some(folder) = std::env::var_os("GRUVE_PICTURES").filter(|_| self.screen.pictured)
        else {
            return;
        };
        let picture = self.picture_of(0.0, height.into()).await;
        assert!(
            picture.len() <= PICTURE_BYTES_MAX,
            "{name} has {} bytes: show less",
            picture.len()
        );
        // Tests run in the folder of their crate; the flag is given where one stands: at the root.
        let folder = from_here("").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// What an element shows; nothing when it is not there. One that is replaced between finding and reading is found again.
    pub async fn text(&self, css: &str) -> Option<String> {
        loop {
            match self.client.find(Locator::Css(css)).await.ok()?.text().await {
                Err(e) if e.is_stale_element_reference() => {}
                read => return read.ok(),
            }
        }
    }

    pub async fn fill(&self, id: &str, text: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses one of a list by its value.
    pub async fn choose(&self, id: &str, value: &str) {
        let list = self.client.find(Locator::Id(id)).await.unwrap();
        list.select_by_value(value).await.unwrap();
    }

    /// Presses the first button or link that says this, the header's last.
    pub async fn press(&self, label: &str) {
        let label = self.say(label);
        let says = format!("[self::button or self::a or self::summary][contains(., \"{label}\")]");
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

    /// Presses what a selector finds first.
    pub async fn press_at(&self, css: &str) {
        self.wait(&format!("{css:?} can be pressed"), async || {
            self.client.find(Locator::Css(css)).await.ok()?.click().await.ok()
        })
        .await;
    }

    /// Presses keys, for whatever has the focus; `Control` is held until `Null`.
    pub async fn keys(&self, keys: &str) {
        let (control, end) = (char::from(Key::Control), char::from(Key::Null));
        let mut pressed = KeyActions::new("keyboard".to_owned());
        for key in keys.chars() {
            pressed = match key {
                k if k == control => pressed.then(KeyAction::Down { value: k }),
                k if k == end => pressed.then(KeyAction::Up { value: control }),
                k => pressed.then(KeyAction::Down { value: k }).then(KeyAction::Up { value: k }),
            };
        }
        self.client.perform_actions(pressed).await.unwrap();
    }

    /// Goes on with Tab until the focus is on the field of this id, or on a link or button whose words begin so;
    /// wherever it is on the way, it can be seen.
    pub async fn tab_to(&self, what: &str) {
        let label = self.say(what);
        let ask = "const e = document.activeElement; const s = getComputedStyle(e); \
            return [e.id, e.textContent.trim().replace(/\\s+/g, ' '), s.outlineStyle, e === document.body];";
        let mut seen = Vec::new();
        for _ in 0..TABS_MAX {
            let at = self.client.execute(ask, vec![]).await.unwrap();
            let says = at[1].as_str().unwrap();
            if at[3] == false {
                assert_ne!(at[2], "none", "where one is can be seen: {at}");
                if at[0] == what || says.starts_with(&label) {
                    return;
                }
                seen.push(says.chars().take(40).collect::<String>());
            }
            self.keys(&char::from(Key::Tab).to_string()).await;
        }
        panic!("{}: the keyboard does not come to {what:?}: {seen:?}", self.screen.name);
    }

    /// Presses Enter in a field, which sends its form wherever its button has moved to.
    pub async fn send(&self, id: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    }

    /// Goes there with Tab and presses Enter.
    pub async fn enter_on(&self, what: &str) {
        self.tab_to(what).await;
        self.keys(&char::from(Key::Enter).to_string()).await;
    }

    /// Goes there with Tab and writes over what stands there.
    pub async fn write_into(&self, id: &str, text: &str) {
        self.tab_to(id).await;
        let all = format!("{}a{}", char::from(Key::Control), char::from(Key::Null));
        self.keys(&all).await;
        self.keys(text).await;
    }

    /// Puts a text where the focus is, as from the clipboard.
    pub async fn paste(&self, text: &str) {
        self.devtools("Input.insertText", json!({ "text": text })).await;
    }

    /// The file that a link gave, once it is whole.
    pub async fn kept_file(&self, ends: &str) -> String {
        self.wait(&format!("a file …{ends} is kept"), async || {
            let all = std::fs::read_dir(&self.downloads).unwrap().map(|e| e.unwrap().path());
            let found = all.into_iter().find(|p| p.to_str().unwrap().ends_with(ends))?;
            std::fs::read_to_string(found).ok()
        })
        .await
    }

    /// Waits for something that the page shows by itself, without being loaded again.
    pub async fn updates_itself<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        self.client.execute("window.same = true;", vec![]).await.unwrap();
        let found = self.wait(what, ask).await;
        let same = self.client.execute("return window.same === true;", vec![]).await.unwrap();
        assert_eq!(same, true, "the page was loaded again until {what}");
        found
    }

    /// Waits for something by loading the page again, as one does without scripts.
    pub async fn reload_until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        self.wait(what, async || {
            self.client.refresh().await.ok()?;
            ask().await
        })
        .await
    }

    /// Waits for something that the page shows by itself where scripts run, and when it is loaded again where none do.
    pub async fn comes<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        match self.screen.scripts {
            true => self.updates_itself(what, ask).await,
            false => self.reload_until(what, ask).await,
        }
    }

    /// The cells of a table's rows.
    pub async fn rows(&self, tbody: &str) -> Option<Vec<Vec<String>>> {
        let read = "return [...document.querySelectorAll(arguments[0] + ' > tr')] \
            .map((row) => [...row.cells].map((cell) => cell.innerText.trim()));";
        let found = self.client.execute(read, vec![tbody.into()]).await.ok()?;
        serde_json::from_value(found).ok()
    }

    pub async fn no_script_runs(&self) {
        let page = "data:text/html,<title>still</title><script>document.title='ran'</script>";
        self.client.goto(page).await.unwrap();
        assert_eq!(self.client.title().await.unwrap(), "still");
    }

    pub async fn wait<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
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
