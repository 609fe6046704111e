//! A publisher of libzmq's, and a way between us and a node on which some calls are held up.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// libzmq, told what to publish.
pub(crate) struct Publisher {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
    pub(crate) address: String,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Publisher {
    /// With `pub` it publishes as Bitcoin Core does and does not see who listens.
    pub(crate) fn start(kind: &[&str]) -> Publisher {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let asked = Command::new(format!("{root}/scripts/push-for-tests")).output().unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        let python = String::from_utf8(asked.stdout).unwrap();
        let mut child = Command::new(python.trim())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zmq/publisher.py"))
            .args(kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut made = Publisher { child, say, hear: BufReader::new(out), address: String::new() };
        made.address = made.line();
        made
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Waits until somebody listens to everything that we do.
    pub(crate) fn is_heard(&mut self) {
        for topic in ["rawblock", "hashblock", "sequence"] {
            assert_eq!(self.line(), format!("on {topic}"));
        }
    }

    pub(crate) fn publish(&mut self, topic: &str, body: &[u8], number: u32) {
        writeln!(self.say, "{topic} {} {number}", hex::encode(body)).unwrap();
        self.say.flush().unwrap();
    }
}

/// Calls that a node answers only when something changes.
pub(crate) const WAITS: [&str; 3] = ["waitfornewblock", "waitforblockheight", "longpollid"];

/// A node as it is reached, some calls of which are never answered.
pub(crate) struct Way {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    /// To the node at `to` (`http://host:port`); `publishes` is what it says of its notifications.
    pub(crate) async fn to(
        to: &str,
        held: &'static [&'static str],
        publishes: Option<&str>,
    ) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (to, noted) = (to.trim_start_matches("http://").to_owned(), Arc::clone(&asked));
        let publishes = publishes.map(|address| {
            json!([{ "type": "pubhashtx", "address": "tcp://127.0.0.1:1", "hwm": 1 },
                   { "type": "pubrawblock", "address": address, "hwm": 1000 }])
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (to, noted, publishes) = (to.clone(), Arc::clone(&noted), publishes.clone());
                tokio::spawn(async move { pass(stream, &to, held, publishes, &noted).await });
            }
        });
        Way { url, asked }
    }

    /// How often a method was called, once it is not called any more for longer than looks are apart.
    pub(crate) async fn settled(&self, method: &str) -> usize {
        let mut count = self.count(method);
        let mut since = std::time::Instant::now();
        crate::real_node::wait_until("it is quiet", async || {
            let now = self.count(method);
            if now != count {
                (count, since) = (now, std::time::Instant::now());
            }
            since.elapsed() > std::time::Duration::from_millis(700)
        })
        .await;
        count
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == method).count()
    }
}

async fn pass(
    mut stream: TcpStream,
    to: &str,
    held: &[&str],
    publishes: Option<Value>,
    noted: &Mutex<Vec<String>>,
) -> Option<()> {
    let (mut request, mut part) = (Vec::new(), vec![0; 65_536]);
    let body: Value = loop {
        let n = stream.read(&mut part).await.ok().filter(|&n| n > 0)?;
        request.extend_from_slice(&part[..n]);
        let at = request.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(body) = at.and_then(|at| serde_json::from_slice(&request[at + 4..]).ok()) {
            break body;
        }
    };
    noted.lock().unwrap().push(body["method"].as_str()?.to_owned());
    if held.iter().any(|held| body.to_string().contains(held)) {
        return std::future::pending().await;
    }
    if body["method"] == "getzmqnotifications" {
        let answer = json!({ "id": body["id"], "error": null, "result": publishes }).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    let mut node = TcpStream::connect(to).await.ok()?;
    node.write_all(&request).await.ok()?;
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut node).await;
    Some(())
}
