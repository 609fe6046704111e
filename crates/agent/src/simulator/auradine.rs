//! A machine that repeats what one of Auradine's has said: cgminer's API on port 4028, and the maker's own, JSON over
//! HTTP on port 8080, after a login. `POST /token` gives a token, which stands in the header `Token` of what follows.

use super::braiins::{read_request, write};
use super::{Asked, Behaviour, Machine, Recording};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The port of the maker's own API.
const WEB_PORT: u16 = 8080;

/// Who logs in.
const USER: &str = "admin";

/// The one token that it gives.
const TOKEN: &str = "token1";

/// A running simulated machine; it stops when dropped.
pub struct AuradineMachine {
    rpc: Machine,
    asked: Asked,
    task: JoinHandle<()>,
}

impl AuradineMachine {
    /// Starts one at an address, with what it says on cgminer's API and on its own, and its password.
    ///
    /// # Errors
    /// When somebody is there.
    pub async fn start_at(
        ip: IpAddr,
        rpc: Recording,
        web: Recording,
        password: &str,
    ) -> std::io::Result<AuradineMachine> {
        let listener = TcpListener::bind((ip, WEB_PORT)).await?;
        let rpc =
            Machine::start_at((ip, crate::api::PORT), Behaviour::Repeats(Arc::new(rpc))).await?;
        let asked = Asked::default();
        let (counted, web, password) =
            (asked.clone(), Arc::new(web), Arc::new(password.to_owned()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counted, web, password) = (counted.clone(), web.clone(), password.clone());
                tokio::spawn(async move {
                    // Whoever asked may have gone.
                    let _ = serve(stream, &counted, &web, &password).await;
                });
            }
        });
        Ok(AuradineMachine { rpc, asked, task })
    }

    /// What it was asked, and how often: commands, and methods with paths.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, u64> {
        let mut asked = self.rpc.asked();
        asked.extend(self.asked.all());
        asked
    }
}

impl Drop for AuradineMachine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: &Asked,
    web: &Recording,
    password: &str,
) -> std::io::Result<()> {
    let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    asked.count(&format!("{method} {path}"));
    let (status, body) = answer(method, path, &request, web, password);
    write(&mut stream, status, &body).await
}

fn answer(
    method: &str,
    path: &str,
    request: &str,
    web: &Recording,
    password: &str,
) -> (u16, Value) {
    if (method, path) == ("POST", "/token") {
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let login: Value = serde_json::from_str(body).unwrap_or_default();
        if login != json!({ "command": "token", "user": USER, "password": password }) {
            return (401, Value::Null);
        }
        let status = json!([{ "STATUS": "S", "Code": 700, "Msg": "Token" }]);
        return (200, json!({ "STATUS": status, "Token": [{ "Token": TOKEN }], "id": 1 }));
    }
    if method != "GET" || !request.contains(&format!("token: {TOKEN}\r\n")) {
        return (401, Value::Null);
    }
    match web.get(path.trim_start_matches('/')) {
        Some(said) => (200, said.clone()),
        None => (404, Value::Null),
    }
}
