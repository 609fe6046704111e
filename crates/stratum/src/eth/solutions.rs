//! Solutions to a node of the Ethash family. Journal and repetition are [`crate::blocks`]'s.

use crate::blocks::Destination;
use async_trait::async_trait;
use gruve_chain::{EthNode, NodeError, SubmitOutcome};
use gruve_sharelog::BlockRecord;
use std::sync::Arc;

/// A node that takes nonce, header hash and mix digest.
pub(super) struct SolutionNode(pub(super) Arc<dyn EthNode>);

#[async_trait]
impl Destination for SolutionNode {
    async fn submit(&self, block: &BlockRecord) -> Result<SubmitOutcome, NodeError> {
        let Some((nonce, header, mix)) = read(&block.block) else {
            return Ok(SubmitOutcome::Rejected("it is no solution of Ethash work".to_owned()));
        };
        Ok(if self.0.submit_work(nonce, &header, &mix).await? {
            SubmitOutcome::Accepted
        } else {
            // A node that has taken it before may say so too, once it has forgotten the work.
            SubmitOutcome::Rejected("the node did not take the solution".to_owned())
        })
    }
}

/// Nonce, header hash and mix digest of a record's 72 bytes.
fn read(block: &[u8]) -> Option<(u64, [u8; 32], [u8; 32])> {
    let (nonce, hashes) = block.split_first_chunk::<8>()?;
    let (header, mix) = hashes.split_first_chunk::<32>()?;
    Some((u64::from_be_bytes(*nonce), *header, mix.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_is_read_from_exactly_its_72_bytes() {
        let block = [&7u64.to_be_bytes()[..], &[1; 32], &[2; 32]].concat();
        assert_eq!(read(&block), Some((7, [1; 32], [2; 32])));
        assert_eq!(read(&block[..71]), None);
        assert_eq!(read(&[&block[..], &[0]].concat()), None);
        assert_eq!(read(&[]), None);
    }
}
