//! Receipts of a contract: one epoch's, some epochs', and a file with all of them.

use crate::api::papers::receipt::ReceiptPaper;
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::openapi::{Sheet, answers, requests};
use crate::record::{PublicRecord, ReceiptOf, Receipts};
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use gruve_proof::receipt::Receipt;
use gruve_proof::series::{SeriesOf, SeriesWriter};
use gruve_units::{AccountId, ContractId, EpochNumber};
use std::io;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Receipts in one answer at most: a day of ten-minute epochs, some megabyte.
const RECEIPTS_MAX: usize = 144;
/// Epochs looked at for each piece of the file: a hundred kilobytes and more.
const PIECE_EPOCHS: usize = 32;
/// Epochs in one file at most: a leap year of ten-minute ones.
const FILE_EPOCHS_MAX: usize = 366 * 144;

requests! {
    /// Which epochs.
    struct ReceiptsWanted {
        /// This one alone.
        epoch: Option<u64>,
        /// From this one on.
        from: Option<u64>,
        /// Receipts at most, up to 144.
        limit: Option<usize>,
    }
}

answers! {
    /// Receipts of some epochs.
    struct ReceiptPage {
        /// Oldest first: docs/record-format.md.
        receipts: Vec<Receipt>,
        /// Where the next page begins.
        next_epoch: Option<EpochNumber>,
    }
}

impl AppState {
    /// What a receipt of this contract is about, if it is the account's.
    async fn receipt_of(
        &self,
        account: AccountId,
        contract: ContractId,
    ) -> Result<ReceiptOf, Failure> {
        if let Ok(c) = self.market().contract(account, contract).await {
            let (lane, terms, refund_asset) = (c.lane, c.terms_hash, c.price.asset.to_string());
            let nonce = self.market().nonce(contract).await.map_err(|e| Failure::of(&e))?;
            let first = c.start_epoch.unwrap_or_default();
            return Ok(ReceiptOf { contract, lane, terms, first, nonce, refund_asset });
        }
        let missing = |_| Failure::not_found("contract");
        let c = self.market().metered(account, contract).await.map_err(missing)?;
        let (lane, terms, refund_asset) = (c.lane, c.terms_hash, c.held.asset.to_string());
        let (first, nonce) = (c.first_epoch, [0; 32]);
        Ok(ReceiptOf { contract, lane, terms, first, nonce, refund_asset })
    }

    fn public_record(&self) -> Result<Arc<dyn PublicRecord>, Failure> {
        self.config().record.clone().ok_or_else(|| Failure::not_found("record"))
    }

    async fn receipts(
        &self,
        of: &ReceiptOf,
        from: EpochNumber,
        limit: usize,
    ) -> Result<Receipts, Failure> {
        let (record, of) = (self.public_record()?, of.clone());
        some(record, of, from, limit).await.map_err(|why| {
            tracing::error!(%why, "a receipt cannot be made");
            Failure::busy(
                "The receipt cannot be read now. The public record is whole without it; try again.",
            )
        })
    }
}

async fn some(
    record: Arc<dyn PublicRecord>,
    of: ReceiptOf,
    from: EpochNumber,
    limit: usize,
) -> Result<Receipts, String> {
    let made = tokio::task::spawn_blocking(move || record.receipts(&of, from, limit)).await;
    made.map_err(|e| e.to_string())?
}

/// `GET /api/v1/contracts/{id}/receipts?epoch= | ?from=&limit=`
pub(crate) async fn receipts(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(wanted): Params<ReceiptsWanted>,
) -> Result<Sheet<ReceiptPaper>, Failure> {
    let of = state.receipt_of(customer.account, id).await?;
    if let Some(epoch) = wanted.epoch {
        return Ok(Sheet::new(one(&state, &of, EpochNumber(epoch)).await?));
    }
    let limit = wanted.limit.unwrap_or(RECEIPTS_MAX).clamp(1, RECEIPTS_MAX);
    let found = state.receipts(&of, EpochNumber(wanted.from.unwrap_or(0)), limit).await?;
    Ok(Sheet::new(axum::Json(ReceiptPage { receipts: found.receipts, next_epoch: found.next })))
}

async fn one(state: &AppState, of: &ReceiptOf, epoch: EpochNumber) -> Result<Response, Failure> {
    let found = state.receipts(of, epoch, 1).await?;
    let of_epoch = found.receipts.into_iter().next().filter(|r| r.epoch() == Some(epoch));
    let receipt = of_epoch.ok_or_else(|| Failure::not_found("receipt"))?;
    let name = format!("attachment; filename=\"receipt-{}-{epoch}.json\"", of.contract);
    Ok(([(header::CONTENT_DISPOSITION, name)], axum::Json(receipt)).into_response())
}

/// `GET /contracts/{id}/receipts.jsonl?from=` (or `?epoch=` for one): a receipt a line, for a year and longer.
pub(crate) async fn file(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(wanted): Params<ReceiptsWanted>,
) -> Result<Response, Failure> {
    let of = state.receipt_of(customer.account, id).await?;
    if let Some(epoch) = wanted.epoch {
        return one(&state, &of, EpochNumber(epoch)).await;
    }
    let record = state.public_record()?;
    let from = EpochNumber(wanted.from.unwrap_or(0));
    let pieces = lines(record, of, from, FILE_EPOCHS_MAX);
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"receipts-{id}.jsonl\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A receipt a line, piece by piece, of so many epochs at most from one on.
fn lines(
    record: Arc<dyn PublicRecord>,
    of: ReceiptOf,
    from: EpochNumber,
    most: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold(Some((from, most)), move |at| {
        let (record, of) = (record.clone(), of.clone());
        async move {
            let Some((from, left)) = at else { return Ok::<_, io::Error>(None) };
            let limit = left.min(PIECE_EPOCHS);
            let made = some(record, of, from, limit).await.map_err(io::Error::other)?;
            let mut text = Vec::new();
            for receipt in &made.receipts {
                serde_json::to_writer(&mut text, receipt)?;
                text.push(b'\n');
            }
            let rest = left - limit;
            let next = made.next.filter(|_| rest > 0).map(|e| (e, rest));
            Ok(Some((Bytes::from(text), next)))
        }
    })
}

/// The same as a series, under the head as it is now.
fn pieces(
    record: Arc<dyn PublicRecord>,
    of: ReceiptOf,
    from: EpochNumber,
    most: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let head = record.head();
    let begin = Some(Written { writer: None, from, left: most });
    futures_util::stream::try_unfold(begin, move |at| {
        let (record, of, head) = (record.clone(), of.clone(), head.clone());
        async move {
            let Some(at) = at else { return Ok::<_, io::Error>(None) };
            piece(record, of, head, at).await.map(Some).map_err(io::Error::other)
        }
    })
}

/// How far a series was written.
struct Written {
    /// There when the first receipt is: what is the same in all is taken from it.
    writer: Option<SeriesWriter>,
    /// Where to go on, and how many epochs may still be looked at.
    from: EpochNumber,
    left: usize,
}

/// The next piece of a series, and where to go on; `None` behind its end.
async fn piece(
    record: Arc<dyn PublicRecord>,
    of: ReceiptOf,
    head: String,
    mut at: Written,
) -> Result<(Bytes, Option<Written>), String> {
    let limit = at.left.min(PIECE_EPOCHS);
    let made = some(record.clone(), of, at.from, limit).await?;
    let refused = |e: gruve_proof::WireError| e.to_string();
    let mut out = Vec::new();
    let mut is_over = false;
    for receipt in &made.receipts {
        let writer = match &mut at.writer {
            Some(writer) => writer,
            none => {
                let begun = SeriesWriter::begin(SeriesOf::receipt(receipt, &head), &mut out);
                none.insert(begun.map_err(refused)?)
            }
        };
        // The log has grown since the head was taken.
        if receipt.entry_index >= writer.log_size() {
            is_over = true;
            break;
        }
        writer.push(receipt, |from, n| record.node(from, n), &mut out).map_err(refused)?;
    }
    let left = at.left - limit;
    let next = made.next.filter(|_| left > 0 && !is_over);
    let Some(from) = next else {
        if let Some(writer) = at.writer {
            writer.end(|from, n| record.node(from, n), &mut out).map_err(refused)?;
        }
        return Ok((Bytes::from(out), None));
    };
    Ok((Bytes::from(out), Some(Written { writer: at.writer, from, left })))
}

/// `GET /contracts/{id}/receipts.bin?from=` (or `?epoch=` for one): a series, which has everything once.
pub(crate) async fn series(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(wanted): Params<ReceiptsWanted>,
) -> Result<Response, Failure> {
    let of = state.receipt_of(customer.account, id).await?;
    let record = state.public_record()?;
    let (from, left, name) = match wanted.epoch {
        Some(epoch) => (EpochNumber(epoch), 1, format!("receipt-{id}-{epoch}.bin")),
        None => {
            let from = EpochNumber(wanted.from.unwrap_or(0));
            (from, FILE_EPOCHS_MAX, format!("receipts-{id}.bin"))
        }
    };
    // Looked for before anything is sent, so that there is an answer where there is none.
    let first = state.receipts(&of, from, 1).await?;
    if wanted.epoch.is_some() && first.receipts.first().and_then(Receipt::epoch) != Some(from) {
        return Err(Failure::not_found("receipt"));
    }
    let pieces = pieces(record, of, from, left);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
