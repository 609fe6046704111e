//! The metered contracts of an epoch that is being closed: what each may get, and what it got. They are read once, and then again
//! a page at a time when they are charged; in between what is to be known of them stands in a file ([`crate::spill`]).

use super::close::{Hold, open_holds_of};
use super::{Metered, sql};
use crate::allocate::Entitlement;
use crate::bulk::coding::{Reader, broken};
use crate::pages::Pages;
use crate::spill::{self, Spill};
use crate::{LaneConfig, Market, Result, Scheme};
use gruve_store::{Tx, params};
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, Hashrate};

/// What of a contract everybody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MeterSold {
    pub(crate) id: ContractId,
    pub(crate) hashrate: Hashrate,
    pub(crate) holds_capacity: bool,
    pub(crate) terms: [u8; 32],
    pub(crate) pay_asset: Asset,
}

/// A contract in the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MeterAsks {
    pub(crate) sold: MeterSold,
    pub(crate) scheme: Scheme,
    /// What it should get, if something is held for the epoch.
    pub(crate) claim: Option<Entitlement>,
}

const ASKS: usize = 16 + 16 + 32 + 16 + 3;

impl MeterAsks {
    /// What a contract should get: the rate asked for, and no more than is held for.
    fn of(market: &Market, c: &Metered, holds: &[Hold], epoch: EpochNumber) -> MeterAsks {
        let sold = MeterSold {
            id: c.id,
            hashrate: c.hashrate,
            holds_capacity: c.state.holds_capacity(),
            terms: c.terms_hash,
            pay_asset: c.pay_asset,
        };
        let claim = holds.iter().find(|h| h.epoch == epoch).map(|hold| Entitlement {
            contract: c.id,
            entitled: c.epoch_work.min(hold.cap),
            catch_up: Hashes::ZERO,
            short_since: None,
            is_operators: market.config().operator_accounts.contains(&c.account),
        });
        MeterAsks { sold, scheme: c.scheme, claim }
    }

    fn to_bytes(self) -> [u8; ASKS] {
        let (sold, mut out) = (self.sold, [0; ASKS]);
        out[..16].copy_from_slice(&sold.id.to_bytes());
        out[16..32].copy_from_slice(&sold.hashrate.0.to_be_bytes());
        out[32..64].copy_from_slice(&sold.terms);
        let entitled = self.claim.map_or(0, |claim| claim.entitled.0);
        out[64..80].copy_from_slice(&entitled.to_be_bytes());
        let asset = Asset::ALL.into_iter().position(|asset| asset == sold.pay_asset);
        let scheme = Scheme::ALL.into_iter().position(|scheme| scheme == self.scheme);
        let number = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX);
        let is_operators = self.claim.is_some_and(|claim| claim.is_operators);
        let flags = [sold.holds_capacity, self.claim.is_some(), is_operators];
        let flags = (0..).zip(flags).map(|(bit, flag)| u8::from(flag) << bit).sum();
        out[80..].copy_from_slice(&[number(asset), number(scheme), flags]);
        out
    }

    fn from_bytes(bytes: &[u8; ASKS]) -> Result<MeterAsks> {
        let mut r = Reader::new(bytes);
        let (id, hashrate) = (ContractId::from_bytes(r.bytes()?), u128::from_be_bytes(r.bytes()?));
        let (terms, entitled) = (r.bytes()?, u128::from_be_bytes(r.bytes()?));
        let [asset, scheme, flags] = r.bytes()?;
        let pay_asset = Asset::ALL.get(usize::from(asset)).copied().ok_or_else(broken)?;
        let scheme = Scheme::ALL.get(usize::from(scheme)).copied().ok_or_else(broken)?;
        let [holds_capacity, has_claim, is_operators] = [1, 2, 4].map(|bit| flags & bit > 0);
        let hashrate = Hashrate(hashrate);
        let sold = MeterSold { id, hashrate, holds_capacity, terms, pay_asset };
        let claim = has_claim.then_some(Entitlement {
            contract: id,
            entitled: Hashes(entitled),
            catch_up: Hashes::ZERO,
            short_since: None,
            is_operators,
        });
        Ok(MeterAsks { sold, scheme, claim })
    }
}

/// The metered contracts of a lane.
pub(crate) struct MeteredEpoch<'a> {
    pub(super) epoch: EpochNumber,
    all: Spill<'a, ASKS>,
}

impl<'a> MeteredEpoch<'a> {
    /// Reads them with their open holds.
    pub(crate) async fn read(
        market: &'a Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<MeteredEpoch<'a>> {
        let mut all = Spill::of(market);
        let mut pages = Pages::by_id(sql::LIVE, &params![lane.lane.clone()]);
        while let Some(rows) = pages.next(tx).await? {
            let page = rows.iter().map(Metered::read).collect::<Result<Vec<_>>>()?;
            let holds = open_holds_of(tx, &page).await?;
            for c in &page {
                let holds = holds.get(&c.id).map_or(&[][..], Vec::as_slice);
                all.push(&MeterAsks::of(market, c, holds, epoch).to_bytes())?;
            }
        }
        Ok(MeteredEpoch { epoch, all })
    }

    /// Shows what each should get that should get something.
    pub(crate) fn claims(
        &mut self,
        mut each: impl FnMut(&Entitlement) -> Result<()>,
    ) -> Result<()> {
        let mut all = self.all()?;
        while let Some(asks) = all.before(None)? {
            if let Some(claim) = &asks.claim {
                each(claim)?;
            }
        }
        Ok(())
    }

    /// All of them, in the order of their ids.
    pub(crate) fn all(&mut self) -> Result<Asking<'_>> {
        Ok(Asking { reading: self.all.read()?, ahead: None })
    }
}

/// Metered contracts as they are gone through.
pub(crate) struct Asking<'a> {
    reading: spill::Reading<'a, ASKS>,
    ahead: Option<MeterAsks>,
}

impl Asking<'_> {
    /// The next one that comes before an id, or whichever comes next.
    pub(crate) fn before(&mut self, id: Option<ContractId>) -> Result<Option<MeterAsks>> {
        if self.ahead.is_none() {
            self.ahead = self.reading.next()?.as_ref().map(MeterAsks::from_bytes).transpose()?;
        }
        Ok(self.ahead.take_if(|next| id.is_none_or(|id| next.sold.id < id)))
    }
}

/// What metered contracts got, in the order of their ids.
pub(crate) struct MeterGot<'a>(Spill<'a, 32>);

impl<'a> MeterGot<'a> {
    pub(crate) const fn of(market: &'a Market) -> MeterGot<'a> {
        MeterGot(Spill::of(market))
    }

    pub(crate) fn push(&mut self, contract: ContractId, work: Hashes) -> Result<()> {
        let mut record = [0; 32];
        record[..16].copy_from_slice(&contract.to_bytes());
        record[16..].copy_from_slice(&work.0.to_be_bytes());
        self.0.push(&record)
    }

    pub(super) fn read(&mut self) -> Result<GotReading<'_>> {
        Ok(GotReading { reading: self.0.read()?, ahead: None })
    }
}

/// The same as it is read.
pub(super) struct GotReading<'a> {
    reading: spill::Reading<'a, 32>,
    ahead: Option<(ContractId, Hashes)>,
}

impl GotReading<'_> {
    /// What a contract got, if it should get something; contracts must be asked for in the order of their ids.
    pub(super) fn find(&mut self, id: ContractId) -> Result<Option<Hashes>> {
        while self.ahead.is_none_or(|(other, _)| other < id) {
            let Some(record) = self.reading.next()? else { return Ok(None) };
            let mut r = Reader::new(&record);
            let other = ContractId::from_bytes(r.bytes()?);
            self.ahead = Some((other, Hashes(u128::from_be_bytes(r.bytes()?))));
        }
        Ok(self.ahead.filter(|(other, _)| *other == id).map(|(_, got)| got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_known_of_a_contract_comes_back(id: [u8; 16], terms: [u8; 32], numbers: [u128; 2], flags: [bool; 3], kinds in (0..Asset::ALL.len(), 0..Scheme::ALL.len())) {
            let contract = ContractId::from_bytes(id);
            let [holds_capacity, has_claim, is_operators] = flags;
            let claim = has_claim.then_some(Entitlement {
                contract,
                entitled: Hashes(numbers[0]),
                catch_up: Hashes::ZERO,
                short_since: None,
                is_operators,
            });
            let hashrate = Hashrate(numbers[1]);
            let sold = MeterSold { id: contract, hashrate, holds_capacity, terms, pay_asset: Asset::ALL[kinds.0] };
            let asks = MeterAsks { sold, scheme: Scheme::ALL[kinds.1], claim };
            prop_assert_eq!(MeterAsks::from_bytes(&asks.to_bytes()).unwrap(), asks);
        }
    }
}
