//! A real browser at a house that is served on `localhost`: chromium, driven by chromedriver.

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Everything waited for happens within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A window of chromium's; the browser ends with it.
pub struct Window {
    pub client: Client,
    home: String,
    driver: Driver,
    session: String,
}

struct Driver {
    child: Child,
    port: u16,
    /// Held open: who writes into a closed pipe ends.
    _said: BufReader<ChildStdout>,
}

/// The port that chromedriver has chosen, once it listens there: it says so itself.
fn listening(mut said: BufReader<ChildStdout>) -> (u16, BufReader<ChildStdout>) {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver ends without listening");
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            return (port.parse().unwrap(), said);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    /// Posts JSON to chromedriver itself, for what the client has no words for.
    async fn post(&self, path: &str, body: &Value) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        // It leaves the connection open, whatever it is asked: the answer ends where it says.
        let mut answer = Vec::new();
        loop {
            stream.read_buf(&mut answer).await?;
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length:").nth(1).unwrap().trim_start();
            let length: usize =
                length.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
            if body.len() >= length {
                assert!(head.starts_with("HTTP/1.1 200"), "{text}");
                return Ok(serde_json::from_str(body).unwrap());
            }
        }
    }
}

impl Window {
    /// Opens one of `width` pixels for a house at `home`.
    pub async fn open(home: &str, width: u32) -> Window {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "chromedriver: {e}; install it with\n  apt-get install -y \
                     --no-install-recommends chromium chromium-driver fonts-dejavu"
                )
            });
        let said = BufReader::new(child.stdout.take().unwrap());
        let (port, said) = tokio::task::spawn_blocking(|| listening(said)).await.unwrap();
        let driver = Driver { child, port, _said: said };
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.push(format!("--window-size={width},900"));
        let wanted = json!({ "goog:chromeOptions": { "args": args } });
        let url = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let begun = builder.capabilities(wanted.as_object().unwrap().clone()).connect(&url);
        let client = tokio::time::timeout(PATIENCE, begun).await.expect("chromium starts in time");
        let client = client.unwrap_or_else(|e| panic!("chromium does not start: {e}"));
        let session = client.session_id().await.unwrap().unwrap();
        let window = Window { client, home: home.to_owned(), driver, session };
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        window.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        window
    }

    /// Tells chromedriver something of this session's.
    pub async fn tell(&self, path: &str, body: Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        self.driver.post(&path, &body).await.unwrap()["value"].take()
    }

    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.tell("goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    /// Puts an authenticator into the machine, which says yes to everything; `verifies`: it makes sure who
    /// sits there, as a phone does. Gives its id.
    pub async fn authenticator(&self, verifies: bool) -> String {
        let kind = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": verifies, "isUserVerified": verifies, "isUserConsenting": true,
        });
        self.tell("webauthn/authenticator", kind).await.as_str().unwrap().to_owned()
    }

    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.home)).await.unwrap();
    }

    pub async fn text(&self, css: &str) -> Option<String> {
        self.client.find(Locator::Css(css)).await.ok()?.text().await.ok()
    }

    /// Waits until something is so of the page, a condition in JavaScript: the page itself tells, whenever anything
    /// of it changes. Where it goes away meanwhile, its successor is asked.
    pub async fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[arguments.length - 1], is = () => {{ try {{ return {condition}; }} catch {{ return false; }} }};
             const look = () => {{ if (is()) {{ done(true); return true; }} }};
             if (!look()) {{
               const watch = new MutationObserver(() => look() && watch.disconnect());
               watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
               for (const event of ['input', 'change', 'load']) addEventListener(event, look, true);
             }}"
        );
        let begun = Instant::now();
        // A page that is left before it is so answers with an error: the next one is asked.
        while self.client.execute_async(&script, vec![]).await.is_err() {
            if begun.elapsed() > PATIENCE {
                let shown = self.text("body").await.unwrap_or_default();
                panic!("never {condition}: {shown}");
            }
        }
    }

    /// Waits for a page's heading.
    pub async fn heading(&self, heading: &str) {
        let heading = json!(heading);
        self.until(&format!("document.querySelector('h1').textContent.includes({heading})")).await;
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn press(&self, css: &str) {
        let wait = self.client.wait().at_most(PATIENCE);
        wait.for_element(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Leaves a picture of the whole page in `test-output/screenshots`, and asserts that nothing runs out at
    /// the side.
    pub async fn look(&self, name: &str) {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let measure = "return [innerWidth, document.documentElement.scrollWidth];";
        let widths = self.client.execute(measure, vec![]).await.unwrap();
        let clip = json!({
            "x": 0, "y": 0, "width": widths[0], "scale": 1,
            "height": size["height"].as_f64().unwrap().max(900.0),
        });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", params).await;
        let picture = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            picture["data"].as_str().unwrap(),
        );
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-output/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}-{name}.png", widths[0]));
        std::fs::write(file, picture.unwrap()).unwrap();
        assert!(
            widths[1].as_u64() <= widths[0].as_u64(),
            "{name} is wider than its window: {widths}"
        );
    }

    /// Closes the browser.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}
