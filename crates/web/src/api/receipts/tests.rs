//! Files of receipts over more than one piece, and over more epochs than one file may have.

use super::*;
use ed25519_dalek::SigningKey;
use futures_util::TryStreamExt as _;
use gruve_proof::log::LogHead;
use gruve_proof::merkle::{GrownTree, leaf_hash};
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::receipt::Receipt;
use gruve_proof::series::SeriesReader;
use gruve_proof::sold::{Private, SoldLeaf, Sums};
use gruve_proof::sum_tree;
use gruve_proof::summary::{EpochSummary, FileRef, GENESIS, Rules};
use gruve_units::{Algorithm, Hashes, LaneId};
use std::path::Path;

const ORIGIN: &str = "log.gruve.example";

/// A record of epochs from 1 on, each with one contract, which has the whole of the sold tree.
#[derive(Debug)]
struct Many {
    entries: Vec<Vec<u8>>,
    tree: GrownTree,
    key: SigningKey,
}

fn lane() -> LaneId {
    "btc".parse().unwrap()
}

fn contract() -> ContractId {
    ContractId::from_bytes([1; 16])
}

fn private(epoch: u64) -> Private {
    Private {
        salt: leaf_hash(&epoch.to_be_bytes()),
        nonce: [2; 32],
        terms: [3; 32],
        units: epoch.into(),
        refund_minor: 1_000,
        refund_asset: "BTC".into(),
    }
}

fn leaf(epoch: u64) -> SoldLeaf {
    let sums = Sums { hashrate: 3, allocated: 64, owed: 5_000 - u128::from(epoch) };
    let private = private(epoch).hash();
    SoldLeaf { contract: contract(), kind: 0, sums, entitled: 64, private }
}

impl Many {
    fn new(epochs: u64) -> Arc<Many> {
        let key = SigningKey::from_bytes(&[7; 32]);
        let operator_key = key.verifying_key().to_bytes();
        let head = LogHead { origin: ORIGIN.into(), operator_key, recovery_key: [0; 32] };
        let (mut entries, mut before) = (vec![head.canonical()], (EpochNumber(0), GENESIS));
        for epoch in 1..=epochs {
            let s = EpochSummary {
                lane: lane(),
                algorithm: Algorithm::Sha256d,
                is_proven: true,
                epoch: EpochNumber(epoch),
                prev_epoch: before.0,
                prev_checkpoint: before.1,
                length_us: 600_000_000,
                shares: 1,
                house_work: Hashes(64),
                other_work: Hashes::ZERO,
                share_root: [0; 32],
                allocation_root: sum_tree::root(&[]).unwrap(),
                surplus: Hashes::ZERO,
                contracts: 1,
                sold_root: leaf(epoch).node(),
                record: FileRef { hash: [4; 32], bytes: 1 },
                sold: FileRef { hash: [5; 32], bytes: 1 },
                rules: Rules::default(),
                places: FileRef::default(),
            };
            before = (s.epoch, s.checkpoint());
            entries.push(s.canonical());
        }
        let mut tree = GrownTree::default();
        entries.iter().for_each(|e| tree.push(leaf_hash(e)));
        Arc::new(Many { entries, tree, key })
    }

    fn key(&self) -> NoteKey {
        NoteKey::new(ORIGIN, self.key.verifying_key().to_bytes()).unwrap()
    }

    fn receipt(&self, at: usize) -> Receipt {
        let epoch = at as u64;
        Receipt {
            version: 1,
            origin: ORIGIN.into(),
            contract: contract(),
            kind: 0,
            work: leaf(epoch).sums,
            entitled: leaf(epoch).entitled,
            private: private(epoch),
            leaf_index: 0,
            sold_proof: Vec::new(),
            entry: hex::encode(&self.entries[at]),
            entry_index: epoch,
            log_proof: self.tree.proof(at).unwrap().iter().map(hex::encode).collect(),
            checkpoint: self.head(),
        }
    }
}

impl PublicRecord for Many {
    fn folder(&self) -> &Path {
        Path::new("/nowhere")
    }

    fn keys(&self) -> Vec<String> {
        vec![self.key().to_string()]
    }

    fn receipts(&self, _: &ReceiptOf, from: EpochNumber, limit: usize) -> Result<Receipts, String> {
        assert!(limit <= PIECE_EPOCHS, "{limit} epochs at once");
        let from = usize::try_from(from.0.max(1)).unwrap();
        let end = self.entries.len().min(from + limit);
        let next = (end < self.entries.len()).then_some(EpochNumber(end as u64));
        Ok(Receipts { receipts: (from..end).map(|at| self.receipt(at)).collect(), next })
    }

    fn head(&self) -> String {
        let size = self.tree.size() as u64;
        Checkpoint { origin: ORIGIN.into(), size, root: self.tree.root() }.sign(&self.key)
    }

    fn node(&self, from: u64, entries: u64) -> Option<[u8; 32]> {
        self.tree.over(usize::try_from(from).ok()?, usize::try_from(entries).ok()?)
    }

    fn epoch(&self, _: &LaneId, _: EpochNumber) -> Result<Option<(u64, EpochSummary)>, String> {
        Ok(None)
    }

    fn last(&self, _: &LaneId, _: usize) -> Vec<EpochNumber> {
        Vec::new()
    }
}

fn of() -> ReceiptOf {
    let (first, refund_asset) = (EpochNumber(1), "BTC".into());
    ReceiptOf {
        contract: contract(),
        lane: lane(),
        terms: [3; 32],
        first,
        nonce: [2; 32],
        refund_asset,
    }
}

/// The epochs of which each form has a receipt that holds, and in how many pieces it came.
async fn told(record: &Arc<Many>, from: u64, most: usize) -> (Vec<u64>, usize) {
    let key = record.key();
    let text: Vec<Bytes> =
        lines(record.clone(), of(), EpochNumber(from), most).try_collect().await.unwrap();
    let in_lines: Vec<u64> = serde_json::Deserializer::from_slice(&text.concat())
        .into_iter::<Receipt>()
        .map(|one| one.unwrap().check(&key).unwrap().epoch.0)
        .collect();
    let parts: Vec<Bytes> =
        pieces(record.clone(), of(), EpochNumber(from), most).try_collect().await.unwrap();
    let (file, mut in_series) = (parts.concat(), Vec::new());
    let mut series = SeriesReader::open(&file[..], |_| Some(key.clone())).unwrap();
    while let Some(one) = series.next_receipt().unwrap() {
        in_series.push(one.shown.epoch.0);
    }
    assert_eq!(in_lines, in_series);
    assert_eq!(text.len(), parts.len());
    (in_lines, parts.len())
}

#[tokio::test]
async fn a_file_of_receipts_goes_on_over_its_pieces_and_ends_with_the_record() {
    let piece = PIECE_EPOCHS as u64;
    for (epochs, parts) in [(1, 1), (piece, 1), (piece + 1, 2), (2 * piece, 2), (2 * piece + 1, 3)]
    {
        let record = Many::new(epochs);
        let all: Vec<u64> = (1..=epochs).collect();
        assert_eq!(told(&record, 0, FILE_EPOCHS_MAX).await, (all, parts), "{epochs} epochs");
    }
}

#[tokio::test]
async fn a_file_of_receipts_ends_at_its_limit_and_the_next_one_goes_on() {
    // Once within a piece, once at its end.
    for limit in [PIECE_EPOCHS + 8, 2 * PIECE_EPOCHS] {
        let epochs = limit as u64 + 1;
        let record = Many::new(epochs);
        assert_eq!(told(&record, 0, limit).await, ((1..epochs).collect(), 2), "{limit}");
        assert_eq!(told(&record, epochs, limit).await, (vec![epochs], 1), "{limit}");
        // What fits is whole.
        assert_eq!(told(&Many::new(epochs - 1), 0, limit).await.0.len(), limit);
    }
}
