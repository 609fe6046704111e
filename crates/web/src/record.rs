//! The public record's files, for whoever wants to verify them: `GET /record/…`.

use crate::extract::Id;
use crate::failure::Failure;
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use gruve_proof::receipt::Receipt;
use gruve_proof::summary::EpochSummary;
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::path::Path;
use tokio::io::AsyncReadExt;

/// Whose receipts.
#[derive(Clone, Debug)]
pub struct ReceiptOf {
    /// The contract.
    pub contract: ContractId,
    /// Its lane.
    pub lane: LaneId,
    /// SHA-256 of its terms.
    pub terms: [u8; 32],
    /// Its first epoch.
    pub first: EpochNumber,
    /// What its customer put into its leaf; zeros for nothing.
    pub nonce: [u8; 32],
    /// The asset that a refund would be in.
    pub refund_asset: String,
}

/// Receipts of some epochs.
#[derive(Clone, Debug)]
pub struct Receipts {
    /// Oldest first; epochs in which the contract had no claim have none.
    pub receipts: Vec<Receipt>,
    /// The first epoch that was not looked at.
    pub next: Option<EpochNumber>,
}

/// The public record of this house. Everything here may read files: it is called where waiting is allowed.
pub trait PublicRecord: std::fmt::Debug + Send + Sync {
    /// Its folder.
    fn folder(&self) -> &Path;

    /// The keys that were in force, as text, the first one first; behind each other one, after a space, the size of the log from
    /// which on it signs.
    fn keys(&self) -> Vec<String>;

    /// Receipts of a contract, from an epoch on, looking at `limit` epochs.
    ///
    /// # Errors
    /// In words.
    fn receipts(&self, of: &ReceiptOf, from: EpochNumber, limit: usize)
    -> Result<Receipts, String>;

    /// The signed head as it is now; empty while nothing is published.
    fn head(&self) -> String;

    /// The root over so many entries of the log from a place on, where they are a subtree of it.
    fn node(&self, from: u64, entries: u64) -> Option<[u8; 32]>;

    /// A published epoch and its place in the log.
    ///
    /// # Errors
    /// In words.
    fn epoch(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
    ) -> Result<Option<(u64, EpochSummary)>, String>;

    /// The last published epochs of a lane, newest first.
    fn last(&self, lane: &LaneId, limit: usize) -> Vec<EpochNumber>;
}

/// How much of a file is in memory at once.
const PIECE: usize = 64 << 10;

/// `GET /record/{path}`
pub(crate) async fn file(
    State(state): State<AppState>,
    Id(path): Id<String>,
) -> Result<Response, Failure> {
    let missing = || Failure::not_found("file");
    let folder = state.config().record.as_ref().ok_or_else(missing)?.folder().to_owned();
    if !is_public(&path) {
        return Err(missing());
    }
    let file = tokio::fs::File::open(folder.join(&path)).await.map_err(|_| missing())?;
    let about = file.metadata().await.map_err(|_| missing())?;
    if !about.is_file() {
        return Err(missing());
    }
    let pieces = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let n = file.read(&mut piece).await?;
        piece.truncate(n);
        Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(piece), file)))
    });
    // Files named by their content and full tiles never change.
    let is_lasting =
        path.starts_with("data/") || (path.starts_with("tile/") && !path.contains(".p/"));
    let kept = if is_lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
        (header::CONTENT_LENGTH, HeaderValue::from(about.len())),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Whether a path is one that the record has: nothing else of the disk can be asked for.
fn is_public(path: &str) -> bool {
    let is_part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('.')
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.')
    };
    let rest = path.strip_prefix("data/").or_else(|| path.strip_prefix("tile/"));
    path.len() <= 128
        && (matches!(path, "key" | "checkpoint")
            || rest.is_some_and(|r| r.split('/').all(is_part))
            || path.strip_prefix("accepted/").is_some_and(is_of_acceptance))
}

/// Whether what stands behind `accepted/` is a lane and a file that it has there.
fn is_of_acceptance(rest: &str) -> bool {
    let Some((lane, file)) = rest.split_once('/') else { return false };
    let number = file.strip_suffix(".leaves").unwrap_or(file);
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    lane.parse::<LaneId>().is_ok() && (file == "range" || is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_record_are_served() {
        let good = [
            "key",
            "checkpoint",
            "tile/0/x001/234.p/7",
            "tile/entries/000",
            "data/00ff",
            "accepted/ltc-doge/range",
            "accepted/btc/12",
            "accepted/btc/12.leaves",
        ];
        for path in good {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "",
            "data",
            "data/",
            "data/../x",
            "../key",
            "tile//0",
            "tile/.new-a",
            "/etc/passwd",
            "data/%2e",
            "accepted/btc",
            "accepted/btc/.leaves",
            "accepted/btc/.new-1",
            "accepted/../key",
            "accepted/btc/1/2",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
