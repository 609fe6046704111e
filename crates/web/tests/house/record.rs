//! A public record of one epoch on each lane, for pages that show one.

use gruve_proof::sold::{Node, Sums};
use gruve_proof::sum_tree::SumNode;
use gruve_proof::summary::{EpochSummary, FileRef, GENESIS, Rules};
use gruve_units::{Algorithm, EpochNumber, Hashes, LaneId};
use gruve_web::{PublicRecord, ReceiptOf, Receipts, WebConfig};
use std::path::Path;
use std::sync::Arc;

/// The epoch that is published.
const PUBLISHED: EpochNumber = EpochNumber(179_522_400);

/// It has no files and no receipts.
#[derive(Debug)]
struct OneEpoch;

/// Settings of a house with such a record.
pub fn recorded() -> WebConfig {
    WebConfig { record: Some(Arc::new(OneEpoch)), ..WebConfig::default() }
}

impl PublicRecord for OneEpoch {
    fn folder(&self) -> &Path {
        Path::new("/nowhere")
    }

    fn keys(&self) -> Vec<String> {
        Vec::new()
    }

    fn receipts(&self, _: &ReceiptOf, _: EpochNumber, _: usize) -> Result<Receipts, String> {
        Ok(Receipts { receipts: Vec::new(), next: None })
    }

    fn head(&self) -> String {
        String::new()
    }

    fn node(&self, _: u64, _: u64) -> Option<[u8; 32]> {
        None
    }

    fn epoch(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
    ) -> Result<Option<(u64, EpochSummary)>, String> {
        Ok((epoch == PUBLISHED).then(|| (0, summary(lane))))
    }

    fn last(&self, _: &LaneId, _: usize) -> Vec<EpochNumber> {
        vec![PUBLISHED]
    }
}

fn summary(lane: &LaneId) -> EpochSummary {
    let file = FileRef { hash: [7; 32], bytes: 1_200 };
    EpochSummary {
        lane: lane.clone(),
        algorithm: Algorithm::Sha256d,
        is_proven: true,
        epoch: PUBLISHED,
        prev_epoch: EpochNumber(0),
        prev_checkpoint: GENESIS,
        length_us: 10_000_000,
        shares: 60,
        house_work: Hashes(4_000_000),
        other_work: Hashes(65_536),
        share_root: [1; 32],
        allocation_root: SumNode { sum: 4_065_536, hash: [2; 32] },
        surplus: Hashes(1_000_000),
        contracts: 2,
        sold_root: Node {
            sums: Sums { hashrate: 300_000, allocated: 3_000_000, owed: 5_000 },
            hash: [3; 32],
        },
        record: file,
        sold: file,
        rules: Rules::default(),
        places: FileRef::default(),
    }
}
