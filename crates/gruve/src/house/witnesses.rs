//! Asking witnesses to sign the log's heads (C2SP tlog-witness, `add-checkpoint`).
//!
//! | step | bound |
//! |---|---|
//! | a head is about to be published | every witness is asked at once, each over a connection of its own |
//! | it answers with its line | the line is held against its key and this head, and stands under the head |
//! | it knows another size | it is asked again from there, [`ASKED_MAX`] times at most |
//! | it does not answer, or not well | waited for [`WITHIN`] at most; then left in peace for [`REST`] |
//!
//! Promises: no witness keeps a head from being published for longer than [`WITHIN`], and nothing it sends gets into the
//! head but a good line of its own. A head without a witness's line is a head all the same: who wants lines says so
//! (`gruve verify --witness`).

use super::outgoing;
use crate::config::{RecordConfig, WitnessConfig};
use bytes::Bytes;
use gruve_proof::Hash;
use gruve_proof::note::Checkpoint;
use gruve_proof::publish::Cosign;
use gruve_proof::witness::{ANSWER_BYTES_MAX, Answer, WitnessKey, request};
use http_body_util::Full;
use hyper::{Request, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

/// How long witnesses are waited for altogether: they are as far away as the other end of the world, and answer after
/// two writes to a disk.
const WITHIN: Duration = Duration::from_secs(5);
/// How long one that has failed is not asked, so that heads do not wait for it each time.
const REST: Duration = Duration::from_secs(60);
/// How often one is asked about a head: as it was left, from where it says it is, and once more.
const ASKED_MAX: usize = 3;

/// One witness.
struct Witness {
    key: WitnessKey,
    /// The address of `add-checkpoint`.
    url: Uri,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Entries of the head that it signed last.
    size: u64,
    failed_at: Option<Instant>,
}

/// All witnesses of a house.
pub(super) struct Witnesses {
    all: Vec<Witness>,
    tls: Option<TlsConnector>,
    runtime: Handle,
    within: Duration,
}

impl std::fmt::Debug for Witnesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|w| &w.key.name)).finish()
    }
}

/// The witnesses of a configuration. Call it within the runtime.
///
/// # Errors
/// In words: a key or an address that is none, or no authorities to know witnesses by.
pub(super) fn open(config: &RecordConfig) -> Result<Arc<dyn Cosign>, String> {
    if config.witness.is_empty() {
        return Ok(Arc::new(()));
    }
    let all = config.witness.iter().map(Witness::open).collect::<Result<Vec<_>, _>>()?;
    let tls = match all.iter().any(|w| w.url.scheme_str() == Some("https")) {
        true => {
            let file = outgoing::authorities(config.witness_authorities_file.as_deref());
            let tls = outgoing::trusting(&file);
            Some(tls.map_err(|e| format!("record.witness_authorities_file: {e}"))?)
        }
        false => None,
    };
    Ok(Arc::new(Witnesses { all, tls, runtime: Handle::current(), within: WITHIN }))
}

impl Witness {
    fn open(config: &WitnessConfig) -> Result<Witness, String> {
        let key = WitnessKey::parse(&config.key).map_err(|e| e.to_string())?;
        let url = format!("{}/add-checkpoint", config.url.trim_end_matches('/'));
        let url = url.parse().map_err(|e| format!("{url}: {e}"))?;
        Ok(Witness { key, url, state: Mutex::default() })
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Cosign for Witnesses {
    fn cosign(&self, leaves: &[Hash], note: &str) -> String {
        let asked = self.all.iter().map(|w| async {
            if w.state().failed_at.is_some_and(|at| at.elapsed() < REST) {
                return String::new();
            }
            let answer = tokio::time::timeout(self.within, self.ask(w, leaves, note)).await;
            let answer = answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
            answer.unwrap_or_else(|error| {
                w.remember(State { failed_at: Some(Instant::now()), ..w.state() });
                tracing::warn!(witness = %w.key.name, error, "a witness has not signed the log's head");
                String::new()
            })
        });
        self.runtime.block_on(futures_util::future::join_all(asked)).concat()
    }
}

impl Witnesses {
    /// The witness's line under a head.
    async fn ask(&self, w: &Witness, leaves: &[Hash], note: &str) -> Result<String, String> {
        let size = Checkpoint::read(note).map_err(|e| e.to_string())?.size;
        let mut old = w.state().size.min(size);
        for _ in 0..ASKED_MAX {
            let sent = request(leaves, old, note)
                .ok_or_else(|| format!("it has seen {old} entries of a log that has {size}"))?;
            let (status, body) = self.send(&w.url, sent).await?;
            match Answer::read(status, &body, &w.key, note) {
                Answer::Signed(line) => {
                    w.remember(State { size, failed_at: None });
                    return Ok(line);
                }
                Answer::Knows(other) => old = other,
                Answer::Refused(why) => return Err(why),
            }
        }
        Err("it says another size each time".to_owned())
    }

    async fn send(&self, url: &Uri, body: String) -> Result<(u16, String), String> {
        let asked =
            Request::post(url).body(Full::<Bytes>::from(body)).map_err(|e| e.to_string())?;
        let answer = outgoing::ask(self.tls.as_ref(), asked, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let said = String::from_utf8(answer.body().to_vec());
        let said = said.map_err(|_| "its answer is no text".to_owned())?;
        Ok((answer.status().as_u16(), said))
    }
}

#[cfg(test)]
mod tests;
