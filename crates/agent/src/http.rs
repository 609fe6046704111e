//! Telling the house.

use crate::line::Line;
use bytes::Bytes;
use gruve_farm::{Receipt, Report};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the house takes reports.
const PATH: &str = "/api/v1/site/telemetry";

/// Bytes of an answer at most: receipts and refusals are far below it.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How long the house may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why the house was not told.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// No address.
    #[error(
        "{url:?} is no address of a house: write https://host[:port], or http:// on your own lines"
    )]
    BadAddress {
        /// What was given.
        url: String,
    },
    /// The system has no bundle of authorities.
    #[error("no file of certificate authorities is found: name one by `authorities`")]
    NoAuthorities,
    /// The authorities cannot be read.
    #[error("{}: {why}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It cannot be reached, or did not answer.
    #[error("the house does not answer: {0}")]
    Unreachable(String),
    /// It does not know the token.
    #[error("the house does not know this site's token: make one with `gruve admin site token`")]
    WrongToken,
    /// It said no.
    #[error("the house refuses the report ({status}): {text}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its words.
        text: String,
    },
}

/// The house, as a site's agent sees it.
#[derive(Clone)]
pub struct House {
    line: Line,
    token: String,
}

#[derive(Deserialize)]
struct Place {
    next: u64,
}

impl House {
    /// The house at `https://host[:port]` (or `http://`), with the site's token.
    ///
    /// # Errors
    /// [`HouseError::BadAddress`], [`HouseError::NoAuthorities`], [`HouseError::Authorities`].
    pub fn new(url: &str, authorities: Option<&Path>, token: &str) -> Result<House, HouseError> {
        Ok(House { line: Line::new(url, authorities)?, token: token.trim().to_owned() })
    }

    /// The number that the house expects next.
    ///
    /// # Errors
    /// As [`House::tell`].
    pub async fn next(&self) -> Result<u64, HouseError> {
        let body = self.call(Method::GET, Bytes::new()).await?;
        let place: Place = read(&body)?;
        Ok(place.next)
    }

    /// Sends a report.
    ///
    /// # Errors
    /// [`HouseError::Unreachable`]: send it again; [`HouseError::WrongToken`], [`HouseError::Refused`].
    pub async fn tell(&self, report: &Report) -> Result<Receipt, HouseError> {
        let text = serde_json::to_vec(report);
        let text = text.map_err(|e| HouseError::Unreachable(e.to_string()))?;
        read(&self.call(Method::POST, text.into()).await?)
    }

    async fn call(&self, method: Method, body: Bytes) -> Result<Bytes, HouseError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.exchange(method, body)).await;
        let (status, body) =
            answer.map_err(|_| HouseError::Unreachable("no answer in time".to_owned()))??;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => Err(HouseError::WrongToken),
            _ => {
                let text = String::from_utf8_lossy(&body).chars().take(200).collect();
                Err(HouseError::Refused { status, text })
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), HouseError> {
        let lost = |e: &dyn std::fmt::Display| HouseError::Unreachable(e.to_string());
        let stream = self.line.open().await.map_err(|e| lost(&e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| lost(&e))?;
        let request = Request::builder()
            .method(method)
            .uri(PATH)
            .header(header::HOST, &self.line.host)
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(body))
            .map_err(|e| lost(&e))?;
        let asked = async {
            let answer = sender.send_request(request).await.map_err(|e| lost(&e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|e| lost(&e))?.to_bytes()))
        };
        tokio::pin!(asked);
        tokio::pin!(connection);
        tokio::select! {
            // An answer that came with the connection's end is heard first.
            biased;
            answer = &mut asked => answer,
            ended = &mut connection => match ended {
                Ok(()) => asked.await,
                Err(e) => Err(lost(&e)),
            },
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, HouseError> {
    // Something else stands there, as a captive portal: try again.
    serde_json::from_slice(body).map_err(|e| HouseError::Unreachable(format!("its answer: {e}")))
}
