//! Braiins OS: its REST API, JSON over HTTP on port 80, after a login.
//!
//! Facts: the maker's OpenAPI document of the Braiins OS Public REST API (1.7.0). `POST /api/v1/auth/login` gives a
//! token, which stands in the header `Authorization` of what follows, as it is and without a word before it.
//!
//! | figure | where |
//! |---|---|
//! | hashrate | `miner_stats.real_hashrate` of `/api/v1/miner/stats`: the first of `last_1m`, `last_5m`, `last_5s`, `since_restart` that is there, in gigahashes |
//! | power | `power_stats.approximated_consumption.watt` of the same: the firmware's own estimate |
//! | temperature, fans | `highest_temperature`, `fans` of `/api/v1/cooling/state` |
//! | uptime | `bosminer_uptime_s` of `/api/v1/miner/details` |
//!
//! Only these are asked for; nothing is set. A token is kept and another one taken when the machine does not know it any
//! more. The first answer must be there, the others may be refused, as with cgminer's API.

use crate::api::{ANSWER_BYTES_MAX, ANSWER_WITHIN};
use crate::said::{decimal, whole};
use crate::{Fault, Vendor};
use async_trait::async_trait;
use bytes::Bytes;
use gruve_farm::{FANS_MAX, Said};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// The usual port.
pub const PORT: u16 = 80;

/// Who logs in: the only name that the firmware knows.
const USER: &str = "root";

/// Bytes of a token at most: real ones have some tens.
const TOKEN_BYTES_MAX: usize = 1_024;

const STATS: &str = "/api/v1/miner/stats";
const COOLING: &str = "/api/v1/cooling/state";
const DETAILS: &str = "/api/v1/miner/details";

/// Asks machines by Braiins OS' API.
pub struct BraiinsOs {
    password: String,
    within: Duration,
    /// Of each machine that has given one. As many as there are machines in the configuration.
    tokens: Mutex<HashMap<String, String>>,
}

impl BraiinsOs {
    /// With the password of the site's machines; new ones have none, which is the empty one.
    #[must_use]
    pub fn new(password: &str) -> BraiinsOs {
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        BraiinsOs { password, within: ANSWER_WITHIN, tokens: Mutex::default() }
    }

    /// The same with another patience.
    #[must_use]
    pub fn within(self, within: Duration) -> BraiinsOs {
        BraiinsOs { within, ..self }
    }

    fn token(&self, address: &str) -> Option<String> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    async fn log_in(&self, address: &str) -> Result<String, Fault> {
        let asked = json!({ "username": USER, "password": self.password }).to_string();
        let (status, body) =
            self.call(address, Method::POST, "/api/v1/auth/login", "", asked).await?;
        if status != StatusCode::OK {
            return Err(refused(status));
        }
        let answer = parse(&body)?;
        let token = answer.get("token").and_then(Value::as_str).ok_or(Fault::Garbage)?;
        // What is no header's value is no token.
        if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Fault::Garbage);
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(address.to_owned(), token.to_owned());
        Ok(token.to_owned())
    }

    /// An answer's JSON, with another token where the machine does not know the one that is kept.
    async fn get(&self, address: &str, path: &str) -> Result<Value, Fault> {
        let kept = self.token(address);
        let token = match &kept {
            Some(token) => token.clone(),
            None => self.log_in(address).await?,
        };
        let (mut status, mut body) =
            self.call(address, Method::GET, path, &token, String::new()).await?;
        if kept.is_some() && matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let token = self.log_in(address).await?;
            (status, body) = self.call(address, Method::GET, path, &token, String::new()).await?;
        }
        if status == StatusCode::OK { parse(&body) } else { Err(refused(status)) }
    }

    async fn call(
        &self,
        address: &str,
        method: Method,
        path: &str,
        token: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, address)
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| Fault::Garbage)?;
        let answer = tokio::time::timeout(self.within, exchange(address, request)).await;
        answer.map_err(|_| Fault::Slow)?
    }
}

#[async_trait]
impl Vendor for BraiinsOs {
    async fn ask(&self, address: &str) -> Result<Said, Fault> {
        let stats = self.get(address, STATS).await?;
        // A firmware that knows no such place says so; one that dies meanwhile is heard next time.
        let cooling = self.get(address, COOLING).await.unwrap_or_default();
        let details = self.get(address, DETAILS).await.unwrap_or_default();
        read(&stats, &cooling, &details)
    }
}

fn refused(status: StatusCode) -> Fault {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Fault::Refused("the password is not right".to_owned())
        }
        other => Fault::Refused(format!("status {}", other.as_u16())),
    }
}

fn parse(body: &[u8]) -> Result<Value, Fault> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Fault::Garbage)?;
    if value.is_object() { Ok(value) } else { Err(Fault::Garbage) }
}

async fn exchange(
    address: &str,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Fault> {
    let stream = TcpStream::connect(address).await.map_err(|_| Fault::Unreachable)?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|_| Fault::Garbage)?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(|_| Fault::Garbage)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|e| match e.is::<LengthLimitError>() {
            true => Fault::Endless,
            false => Fault::Garbage,
        })?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(asked);
    tokio::pin!(connection);
    tokio::select! {
        // An answer that came with the connection's end is heard first.
        biased;
        answer = &mut asked => answer,
        _ = &mut connection => asked.await,
    }
}

/// What the answers say together.
fn read(stats: &Value, cooling: &Value, details: &Value) -> Result<Said, Fault> {
    let rates = stats.pointer("/miner_stats/real_hashrate");
    let power = stats.pointer("/power_stats/approximated_consumption/watt");
    if rates.is_none() && power.is_none() {
        return Err(Fault::Garbage);
    }
    let rate = |name: &&str| decimal(rates?.get(*name)?.get("gigahash_per_second")?, 1_000_000_000);
    let fans = cooling.get("fans").and_then(Value::as_array).into_iter().flatten();
    let rpm = fans.filter_map(|f| u32::try_from(whole(f.get("rpm")?)?).ok());
    let hottest = cooling.pointer("/highest_temperature/temperature/degree_c");
    Ok(Said {
        hashes_per_second: ["last_1m", "last_5m", "last_5s", "since_restart"].iter().find_map(rate),
        watts: power.and_then(|w| u32::try_from(whole(w)?).ok()),
        temperature_c: hottest.and_then(|t| i32::try_from(whole(t)?).ok()),
        fans_rpm: rpm.filter(|rpm| *rpm > 0).take(FANS_MAX).collect(),
        uptime_s: details.get("bosminer_uptime_s").and_then(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_where_the_makers_document_has_them() {
        let stats = json!({
            "miner_stats": { "best_share": 1, "found_blocks": 0, "real_hashrate": {
                "last_5s": { "gigahash_per_second": 111_000.25 },
                "last_1m": { "gigahash_per_second": 110_500.5 }, "last_5m": null } },
            "power_stats": { "approximated_consumption": { "watt": 3_249 },
                "efficiency": { "joule_per_terahash": 29.4 } },
        });
        let cooling = json!({
            "fans": [{ "position": 0, "rpm": 3_708, "target_speed_ratio": 0.38 }, { "rpm": 0 }, { "rpm": 3_678 }],
            "highest_temperature": { "location": 1, "temperature": { "degree_c": 59.5 } },
        });
        let details = json!({ "bosminer_uptime_s": 3_600, "system_uptime_s": 9_999 });
        let said = Said {
            hashes_per_second: Some(110_500_500_000_000),
            watts: Some(3_249),
            temperature_c: Some(59),
            fans_rpm: vec![3_708, 3_678],
            uptime_s: Some(3_600),
        };
        assert_eq!(read(&stats, &cooling, &details).unwrap(), said);
        // A machine that does not mine yet tells its power alone.
        let idle = json!({ "miner_stats": null, "power_stats": { "approximated_consumption": { "watt": 40 } } });
        let said = read(&idle, &Value::Null, &Value::Null).unwrap();
        assert_eq!((said.hashes_per_second, said.watts), (None, Some(40)));
        assert_eq!(read(&json!({ "other": 1 }), &cooling, &details), Err(Fault::Garbage));
    }
}
