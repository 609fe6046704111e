//! Found blocks and what their node said of them, as the share log tells.

use crate::{LaneConfig, Result, sql};
use gruve_sharelog::{BlockRecord, Owner};
use gruve_store::{Tx, params};
use gruve_units::{Asset, EpochNumber, MachineId, Timestamp};

/// A found block's record, as kept until the next close.
#[derive(Clone, Debug)]
pub(crate) enum BlockNews {
    Found {
        asset: Asset,
        block_hash: [u8; 32],
        epoch: EpochNumber,
        height: u64,
        owner: Owner,
        machine: MachineId,
        at: Timestamp,
    },
    Outcome {
        block_hash: [u8; 32],
        accepted: bool,
    },
}

impl BlockNews {
    pub(crate) fn found(asset: Asset, b: &BlockRecord) -> BlockNews {
        BlockNews::Found {
            asset,
            block_hash: b.block_hash,
            epoch: b.share.epoch,
            height: b.height,
            owner: b.share.owner,
            machine: b.share.machine,
            at: b.share.at,
        }
    }
}

/// Stores them.
pub(super) async fn write_blocks(
    tx: &mut Tx,
    lane: &LaneConfig,
    blocks: &[BlockNews],
) -> Result<()> {
    for news in blocks {
        match news {
            BlockNews::Found { asset, block_hash, epoch, height, owner, machine, at } => {
                let owner = owner_bytes(owner);
                let row = params![
                    lane.lane.clone(),
                    *block_hash,
                    *epoch,
                    *height,
                    owner,
                    *machine,
                    *at,
                    *asset
                ];
                tx.execute(sql::INSERT_FOUND, &row).await?;
            }
            BlockNews::Outcome { block_hash, accepted } => {
                let given = params![lane.lane.clone(), *block_hash, *accepted];
                tx.execute(sql::SET_OUTCOME, &given).await?;
            }
        }
    }
    Ok(())
}

/// No bytes for the house, else the account's id.
fn owner_bytes(owner: &Owner) -> Vec<u8> {
    match owner {
        Owner::House => Vec::new(),
        Owner::Account(a) => a.to_bytes().to_vec(),
    }
}
