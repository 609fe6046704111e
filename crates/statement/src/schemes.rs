//! Earnings by FPPS and SOLO done again. Pure.

use crate::document::{Big, FoundLine, PricedLine};
use crate::earn::fixed;
use crate::replay::{Replay, Verdict, expected_hashes, must};
use crate::terms::SchemeRule;
use gruve_units::{Asset, Hashes};
use ruint::Uint;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Work · reward · work · 2^64 · fee: below 2^400.
type Wide = Uint<512, 8>;

/// What is hashed before a block's hash.
const TAG: &[u8] = b"gruve solo 1";

/// Epochs whose work FPPS has paid.
pub(crate) type Priced = BTreeSet<(Asset, u64)>;

/// `⌊SHA-256(tag ‖ hash) · done / 2^256⌋` of a block as explorers write it.
fn place(shown: &str, done: Hashes) -> Result<Hashes, String> {
    let mut hash = [0u8; 32];
    hex::decode_to_slice(shown, &mut hash).map_err(|_| "the block's hash is none".to_owned())?;
    hash.reverse();
    let digest: [u8; 32] = Sha256::new().chain_update(TAG).chain_update(hash).finalize().into();
    let mut number = Wide::ZERO;
    for byte in digest {
        number = (number << 8usize) | Wide::from(byte);
    }
    let at: Wide = (number * Wide::from(done.0)) >> 256usize;
    u128::try_from(at).map(Hashes).map_err(|_| "a place does not fit".to_owned())
}

impl Replay {
    pub(crate) fn take_priced(&mut self, l: &PricedLine) -> Verdict {
        let SchemeRule::Fpps { fee_bps, assets } = &self.terms.rules.scheme else {
            return Err("the contract does not earn by FPPS".into());
        };
        if !assets.iter().any(|a| a.asset == l.asset) {
            return Err(format!("the terms have no FPPS figures of {}", l.asset));
        }
        if l.of_epoch > l.epoch {
            return Err("it is priced before its work was done".into());
        }
        let (delivered, done) =
            self.worked.get(&l.of_epoch).copied().ok_or("there is no work of that epoch")?;
        must("delivered", l.delivered, delivered)?;
        must("house_work", l.house_work, done)?;
        let kept = Wide::from(10_000u32.saturating_sub(u32::from(*fee_bps)));
        let mut by_target: BTreeMap<u32, Wide> = BTreeMap::new();
        let (mut work, mut last) = (0u128, None);
        for job in &l.jobs {
            if last.is_some_and(|last| last >= (job.height, job.bits)) {
                return Err("its jobs are not in the order of height and target".into());
            }
            last = Some((job.height, job.bits));
            work = work.checked_add(job.work.0).ok_or("the work does not fit")?;
            let worth = job.subsidy_minor.checked_add(job.fee_average_minor);
            let worth = worth.and_then(|w| u64::try_from(w).ok()).ok_or("a block's worth")?;
            *by_target.entry(job.bits).or_default() += Wide::from(job.work.0) * Wide::from(worth);
        }
        if work > done.0 {
            return Err(format!("its jobs have {work} hashes, the house did {done}"));
        }
        let mut earned = 0u128;
        for (bits, value) in by_target {
            let above = (Wide::from(delivered.0) * value * kept) << 64usize;
            let below =
                Wide::from(done.0) * Wide::from(expected_hashes(bits)?) * Wide::from(10_000u32);
            let part = above.checked_div(below).ok_or("the house did nothing")?;
            let part = u128::try_from(part).ok().and_then(|p| earned.checked_add(p));
            earned = part.ok_or("the earnings do not fit")?;
        }
        must("earned", l.earned.0, earned)?;
        if !self.priced.insert((l.asset, l.of_epoch)) {
            return Err("this work was paid before".into());
        }
        let holding = self.holding(l.asset)?;
        let too_much = || "the earnings do not fit".to_owned();
        holding.accrued = Big(holding.accrued.0.checked_add(earned).ok_or_else(too_much)?);
        holding.matured = Big(holding.matured.0.checked_add(earned).ok_or_else(too_much)?);
        Ok(())
    }

    pub(crate) fn take_found(&mut self, l: &FoundLine) -> Verdict {
        if !matches!(self.terms.rules.scheme, SchemeRule::Solo { .. }) {
            return Err("the contract does not earn by SOLO".into());
        }
        if l.stamp_epoch > l.epoch {
            return Err("it is given before its epoch was closed".into());
        }
        let (own, done) =
            self.worked.get(&l.stamp_epoch).copied().ok_or("there is no work of that epoch")?;
        must("own", l.own, own)?;
        must("house_work", l.house_work, done)?;
        let place = place(&l.block, done)?;
        must("place", l.place, place)?;
        let end = l.before.checked_add(own).ok_or("the work does not fit")?;
        if place < l.before || place >= end || end > done {
            return Err(format!("the place {place} is not between {} and {end}", l.before));
        }
        let accrual = fixed(l.reward_minor)?;
        must("accrual", l.accrual.0, accrual)?;
        self.begin_life((l.asset, l.block.clone(), l.life), accrual)?;
        let holding = self.holding(l.asset)?;
        let sum = holding.accrued.0.checked_add(accrual).ok_or("the earnings do not fit")?;
        holding.accrued = Big(sum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_digests_part_of_the_work() {
        // SHA-256 of the tag and 32 zero bytes begins with 0x…: its first bits are the place among 2^8.
        let zero = "00".repeat(32);
        let digest: [u8; 32] =
            Sha256::new().chain_update(TAG).chain_update([0; 32]).finalize().into();
        assert_eq!(place(&zero, Hashes(256)).unwrap(), Hashes(digest[0].into()));
        assert_eq!(place(&zero, Hashes(1)).unwrap(), Hashes::ZERO);
        assert!(place("ab", Hashes(1)).is_err());
    }
}
