//! Owners who are paid by the block itself: the wish, with whom it is shared, and what blocks have paid.

use super::{Asker, HandError, hosting_failure};
use crate::failure::Failure;
use crate::money::typed_figure;
use crate::state::AppState;
use gruve_accounts::AccountsError;
use gruve_hosting::{Contract, OwnBlock, OwnBlockPlace, PARTS_MAX, Part, Split};
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

/// Partners as they are typed: of each a line with the address and its part in percent.
pub(crate) fn partners(text: &str) -> Result<Vec<Part>, Failure> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // One more than there may be is one too many for whoever counts.
    lines.take(PARTS_MAX).map(partner).collect()
}

fn partner(line: &str) -> Result<Part, Failure> {
    let read = || {
        let (address, part) = line.split_once(char::is_whitespace)?;
        let bps = hundredths(part.trim().trim_end_matches('%').trim_end())?;
        Some(Part { address: address.to_owned(), bps })
    };
    let why = "Each line has an address and its part in percent, as 30 or 12.5.";
    read().ok_or_else(|| Failure::refused(why))
}

/// `12.5` as 1,250.
fn hundredths(text: &str) -> Option<Bps> {
    let figure = typed_figure(text).ok()?;
    let (whole, rest) = figure.split_once('.').unwrap_or((&*figure, ""));
    let is_plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || rest.len() > 2 || !is_plain(whole) || !is_plain(rest) {
        return None;
    }
    Bps::new(format!("{whole}{rest:0<2}").parse().ok()?)
}

impl AppState {
    /// With whom an owner shares what blocks pay: the list that counts, and one that will.
    pub(crate) async fn splits(&self, c: &Contract) -> Result<Vec<Split>, Failure> {
        self.hosting().splits(c.id).await.map_err(|e| hosting_failure(&e))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_typed_line_by_line() {
        let of = |text: &str| {
            let all = partners(text).ok()?;
            Some(all.into_iter().map(|p| (p.address, p.bps.get())).collect::<Vec<_>>())
        };
        let both = vec![("a".to_owned(), 3_000), ("b".to_owned(), 1_250)];
        assert_eq!(of("a 30\r\n\n  b\t12.5 %\n"), Some(both));
        assert_eq!(of(""), Some(Vec::new()));
        assert_eq!(of("a 0.01"), Some(vec![("a".to_owned(), 1)]));
        for wrong in ["a", "a x", "a 12.345", "a -5", "a .5", "a 101", "a 5 6", "a 999999"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
