//! The same under Braiins OS: it speaks that firmware's REST API, asks for a login, and forgets its tokens when told.

use super::{Behaviour, Figures};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request at most.
const REQUEST_BYTES_MAX: usize = 16 << 10;

struct State {
    behaviour: Behaviour,
    password: String,
    /// How many tokens were given; the last one alone is good.
    logins: u64,
    is_forgetful: bool,
}

/// A running simulated machine; it stops when dropped.
pub struct BraiinsMachine {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl BraiinsMachine {
    /// Starts one with this password on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(behaviour: Behaviour, password: &str) -> std::io::Result<BraiinsMachine> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let password = password.to_owned();
        let state = State { behaviour, password, logins: 0, is_forgetful: false };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // Whoever asked may have gone.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Ok(BraiinsMachine { address, state, task })
    }

    /// Where its API is.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Has it know none of the tokens that it gave, as after a restart.
    pub fn forget_tokens(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_forgetful = true;
    }

    /// How often somebody has logged in.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).logins
    }
}

impl Drop for BraiinsMachine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
    let behaviour = shared.lock().unwrap_or_else(PoisonError::into_inner).behaviour.clone();
    let figures = match behaviour {
        Behaviour::Answers(figures) => figures,
        Behaviour::Silent => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]).await?;
            return Ok(());
        }
        Behaviour::Garbage => {
            return stream.write_all(b"\x13\x37 not what was asked\r\n\r\n").await;
        }
        Behaviour::Slow => loop {
            stream.write_all(b"H").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        },
        Behaviour::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'['; 4096]).await?;
            }
        }
        Behaviour::Repeats(_) => return write(&mut stream, 404, &Value::Null).await,
        Behaviour::Refuses => return write(&mut stream, 403, &Value::Null).await,
    };
    let (status, body) = {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        answer(&mut state, &request, figures)
    };
    write(&mut stream, status, &body).await
}

/// A whole request, its head in small letters but for what stands behind a colon.
pub(super) async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let (mut text, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|l| l.parse().ok()).unwrap_or(0) {
                return Ok(Some(whole));
            }
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            _ if text.len() > REQUEST_BYTES_MAX => return Ok(None),
            n => text.extend_from_slice(&piece[..n]),
        }
    }
}

pub(super) async fn write(
    stream: &mut TcpStream,
    status: u16,
    body: &Value,
) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn answer(state: &mut State, request: &str, f: Figures) -> (u16, Value) {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if (method, path) == ("POST", "/api/v1/auth/login") {
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let login: Value = serde_json::from_str(body).unwrap_or_default();
        if login != json!({ "username": "root", "password": state.password }) {
            return (401, json!({ "message": "wrong credentials" }));
        }
        state.logins += 1;
        state.is_forgetful = false;
        return (200, json!({ "token": format!("token{}", state.logins), "timeout_s": 3_600 }));
    }
    let token = format!("authorization: token{}\r\n", state.logins);
    if state.is_forgetful || !request.contains(&token) {
        return (401, json!({ "message": "no such session" }));
    }
    match (method, path) {
        ("GET", "/api/v1/miner/stats") => (
            200,
            json!({
                "pool_stats": { "accepted_shares": 1, "rejected_shares": 0 },
                "miner_stats": { "best_share": 5, "found_blocks": 0, "real_hashrate": {
                    "last_5s": { "gigahash_per_second": 0.5 },
                    "last_1m": { "gigahash_per_second": f.gigahashes } } },
                "power_stats": { "approximated_consumption": { "watt": f.watts },
                    "efficiency": { "joule_per_terahash": 29.5 } },
            }),
        ),
        ("GET", "/api/v1/cooling/state") => (
            200,
            json!({
                "fans": [{ "position": 0, "rpm": 5_880 }, { "position": 1, "rpm": 6_000 }],
                "highest_temperature": { "location": 1, "temperature": { "degree_c": f.temperature_c } },
            }),
        ),
        ("GET", "/api/v1/miner/details") => {
            (200, json!({ "bosminer_uptime_s": f.uptime_s, "system_uptime_s": f.uptime_s + 60 }))
        }
        _ => (404, Value::Null),
    }
}
