//! Owners who are paid by the block itself: the wish, and what blocks have paid.

use super::{Asker, HandError, hosting_failure};
use crate::failure::Failure;
use crate::state::AppState;
use gruve_accounts::AccountsError;
use gruve_hosting::{Contract, OwnBlock, OwnBlockPlace};
use gruve_store::{Tx, transact};
use gruve_units::{Algorithm, Bps, ContractId};

/// Payments shown with a machine, the newest.
const SHOWN: u32 = 100;

/// What a block paid to a machine's owner.
pub(crate) struct PaidInBlock {
    pub(crate) block: OwnBlock,
    /// `maturing`, `mature` or `orphaned`.
    pub(crate) state: &'static str,
}

impl AppState {
    /// Says whether blocks that a machine finds pay its owner themselves.
    pub(crate) async fn set_in_block(
        &self,
        asker: &Asker<'_>,
        id: ContractId,
        wanted: bool,
    ) -> Result<(), Failure> {
        let account = asker.customer.account;
        let contract = self.own_hosting(account, id).await?;
        let lane = self.market().lane(&contract.lane).map_err(|e| Failure::of(&e))?;
        if wanted && matches!(lane.algorithm, Algorithm::Ethash | Algorithm::Etchash) {
            let why = "On this lane the node makes the blocks: they pay the house alone.";
            return Err(Failure::refused(why));
        }
        if wanted && lane.outside_fee_bps.get() >= Bps::ONE {
            let why = "This lane takes all that machines earn: their blocks pay the house.";
            return Err(Failure::refused(why));
        }
        self.prove_again(asker).await?;
        if let Some(address) = contract.address.at(self.now()).filter(|_| wanted) {
            let allowed = self.accounts().may_pay_to(account, lane.asset, address).await;
            allowed.map_err(|e: AccountsError| super::accounts_failure(&e))?;
        }
        let set = transact!(self.store(), tx -> Result<(), HandError> => {
            self.hosting().set_in_block_in(tx, account, id, wanted).await?;
            let serial = self.serial_of(tx, contract.machine).await?;
            let told = match wanted {
                true => format!("Blocks that your machine {serial} finds are to pay your address themselves."),
                false => format!("Blocks that your machine {serial} finds pay the house, which credits you."),
            };
            self.accounts().tell_owner(tx, account, &told).await?;
            Ok(())
        });
        set.map_err(|e| e.failure())
    }

    /// Whether a contract's owner wants to be paid by the block, and what blocks that its machine found have paid.
    pub(crate) async fn in_block(&self, c: &Contract) -> Result<(bool, Vec<PaidInBlock>), Failure> {
        let wanted = self.hosting().is_in_block(c.id).await.map_err(|e| hosting_failure(&e))?;
        let read = async {
            let mut tx: Tx = self.store().read().await?;
            let paid = self.paid_in_block(&mut tx, c, None, SHOWN).await?;
            tx.rollback().await?;
            Ok::<_, HandError>(paid)
        };
        Ok((wanted, read.await.map_err(|e: HandError| e.failure())?))
    }

    /// What blocks that a contract's machine found have paid, the highest first, behind one of them.
    pub(crate) async fn paid_before(
        &self,
        c: &Contract,
        before: Option<OwnBlockPlace>,
        limit: u32,
    ) -> Result<Vec<PaidInBlock>, Failure> {
        let read = async {
            let mut tx: Tx = self.store().read().await?;
            let paid = self.paid_in_block(&mut tx, c, before, limit).await?;
            tx.rollback().await?;
            Ok::<_, HandError>(paid)
        };
        read.await.map_err(|e| e.failure())
    }

    /// Looks through what the account's machines on the lane were paid, which is no more than they found blocks.
    async fn paid_in_block(
        &self,
        tx: &mut Tx,
        c: &Contract,
        mut before: Option<OwnBlockPlace>,
        limit: u32,
    ) -> Result<Vec<PaidInBlock>, HandError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (asset, maturity) = {
            let lane = self.market().lane(&c.lane)?;
            (lane.asset, lane.coinbase_maturity)
        };
        let mut paid = Vec::new();
        let mut tip = None;
        'pages: loop {
            let own = self.hosting().own_blocks_before(tx, c.account, &c.lane, before).await?;
            let Some(last) = own.last() else { break };
            before = Some(last.place());
            for block in own {
                let finder = self.market().finder(tx, &block.lane, &block.block_hash).await?;
                if finder != Some((Some(c.account), c.machine)) {
                    continue;
                }
                if tip.is_none() {
                    let newest = self.treasury().known_blocks(tx, asset, 1).await?;
                    tip = newest.first().map(|block| block.height);
                }
                let deep = tip.is_some_and(|tip| tip >= block.height.saturating_add(maturity));
                let state = match (block.is_orphaned, deep) {
                    (true, _) => "orphaned",
                    (false, true) => "mature",
                    (false, false) => "maturing",
                };
                paid.push(PaidInBlock { block, state });
                if paid.len() >= limit {
                    break 'pages;
                }
            }
        }
        Ok(paid)
    }
}
