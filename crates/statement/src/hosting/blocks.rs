//! Blocks that paid the owner in the coinbase itself: lines of a statement, recomputed from the fee that was published.

use gruve_units::Bps;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Blocks on a page at most, the newest: what is older stands on the chain.
pub const HOSTING_BLOCKS_MAX: usize = 100;

/// Which of the addresses that share what the house leaves of a block an output pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockPart {
    /// 0 is the payout address, which gets what the others leave; the others follow in the order of their parts.
    pub number: u16,
    /// The parts of all but the payout address, in hundredths of a percent of what the house leaves, each rounded down.
    pub others_bps: Vec<u16>,
}

impl BlockPart {
    /// What it comes to.
    ///
    /// # Errors
    /// What is wrong.
    pub fn of(&self, rest: i64) -> Result<i64, String> {
        let shared = u64::try_from(rest).map_err(|_| "a block leaves less than nothing")?;
        let part = |bps: u16| {
            let bps = Bps::new(bps).ok_or("a part is more than the whole")?;
            i64::try_from(bps.of(shared.into())).map_err(|_| "an amount does not fit")
        };
        let others: Vec<i64> =
            self.others_bps.iter().map(|bps| part(*bps)).collect::<Result<_, _>>()?;
        let sum: u64 = self.others_bps.iter().map(|bps| u64::from(*bps)).sum();
        if others.is_empty() || sum >= u64::from(Bps::ONE) {
            return Err("the parts leave the first nothing".to_owned());
        }
        match usize::from(self.number).checked_sub(1) {
            // Together they are less than the whole.
            None => Ok(rest - others.iter().sum::<i64>()),
            Some(n) => others.get(n).copied().ok_or_else(|| "no such part".to_owned()),
        }
    }
}

/// A block that the machine found and that paid its owner. It is no part of the bills: these coins were never the house's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockLine {
    /// Its hash, as explorers write it.
    pub block: String,
    /// Its height.
    pub height: u64,
    /// The time in its header, microseconds UTC since 1970.
    pub at_us: i64,
    /// The output of its coinbase.
    pub output: u32,
    /// To which address.
    pub address: String,
    /// What all its outputs pay.
    pub whole_minor: i64,
    /// The house's fee, a part of the whole; without, the fee of no published list.
    pub fee_bps: Option<u16>,
    /// No fee is taken below this.
    pub fee_least_minor: i64,
    /// What the house got.
    pub house_minor: i64,
    /// What the owner got, or this address of those that share it.
    pub amount_minor: i64,
    /// Which part that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<BlockPart>,
    /// It is no longer in the chain, and paid nobody.
    pub is_orphaned: bool,
}

impl BlockLine {
    /// Recomputes what house and owner got of the whole.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let bps = self.fee_bps.ok_or("the house's part is that of no published fee")?;
        let bps = Bps::new(bps).ok_or("a fee is more than the whole")?;
        let whole =
            u64::try_from(self.whole_minor).map_err(|_| "a block is worth less than nothing")?;
        let part = i64::try_from(bps.of(whole.into())).map_err(|_| "an amount does not fit")?;
        let fee = if part < self.fee_least_minor { 0 } else { part };
        if self.house_minor != fee {
            return Err(format!("the house's part is {} and should be {fee}", self.house_minor));
        }
        let rest = self.whole_minor - fee;
        let own = self.part.as_ref().map_or(Ok(rest), |part| part.of(rest))?;
        if self.amount_minor != own || own <= 0 {
            return Err(format!("the owner's part is {} and should be {own}", self.amount_minor));
        }
        Ok(())
    }
}

/// How far from a block's true time its header may be: two hours ahead by the chains' rule, and as much behind is allowed here.
const HEADER_OFF_US: i64 = 7_200_000_000;

/// The fee that was agreed, and the times between which it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgreedFee {
    pub(super) bps: u16,
    pub(super) from_us: i64,
    pub(super) until_us: i64,
}

impl AgreedFee {
    /// Whether the house took more of a block than was agreed. What may be of before or after the contract is passed over:
    /// an owner's blocks under other contracts stand in the same list.
    fn check(&self, line: &BlockLine) -> Result<(), String> {
        let surely =
            self.from_us.saturating_add(HEADER_OFF_US)..self.until_us.saturating_sub(HEADER_OFF_US);
        match line.fee_bps {
            Some(bps) if bps > self.bps && surely.contains(&line.at_us) => {
                Err(format!("the house's fee is {bps} and {} is agreed", self.bps))
            }
            _ => Ok(()),
        }
    }
}

/// Checks the blocks of a page.
pub(super) fn check(
    blocks: &[BlockLine],
    agreed: Option<AgreedFee>,
) -> Result<(), (usize, String)> {
    let mut seen = BTreeSet::new();
    for (n, line) in blocks.iter().enumerate() {
        line.check().map_err(|why| (n, why))?;
        agreed.map_or(Ok(()), |fee| fee.check(line)).map_err(|why| (n, why))?;
        if !seen.insert((line.block.as_str(), line.output)) {
            return Err((n, "it stands there twice".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(whole: i64, bps: u16, least: i64, house: i64) -> BlockLine {
        BlockLine {
            block: "00".repeat(32),
            height: 900_000,
            at_us: 1_790_000_000_000_000,
            output: 0,
            address: "bc1own".to_owned(),
            whole_minor: whole,
            fee_bps: Some(bps),
            fee_least_minor: least,
            house_minor: house,
            amount_minor: whole - house,
            part: None,
            is_orphaned: false,
        }
    }

    #[test]
    fn the_parts_are_those_of_the_fee() {
        line(312_500_000, 50, 546, 1_562_500).check().unwrap();
        line(109_199, 50, 546, 0).check().unwrap();
        line(1, 0, 0, 0).check().unwrap();
        for wrong in [
            line(312_500_000, 50, 546, 1_562_501),
            line(312_500_000, 50, 546, 1_562_499),
            line(109_200, 50, 546, 0),
            line(109_199, 50, 546, 545),
            line(5, 10_000, 0, 5),
            line(5, 10_001, 0, 5),
            line(-5, 0, 0, 0),
            BlockLine { amount_minor: 1, ..line(312_500_000, 50, 546, 1_562_500) },
            BlockLine { fee_bps: None, ..line(1, 0, 0, 0) },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        let twice =
            [line(1, 0, 0, 0), BlockLine { output: 1, ..line(1, 0, 0, 0) }, line(1, 0, 0, 0)];
        assert_eq!(check(&twice[..2], None), Ok(()));
        assert_eq!(check(&twice, None).unwrap_err().0, 2);
    }

    #[test]
    fn more_than_the_agreed_fee_is_found_within_the_contracts_time_and_nowhere_else() {
        let hour = 3_600_000_000;
        let agreed = |bps| Some(AgreedFee { bps, from_us: 10 * hour, until_us: 20 * hour });
        let at =
            |hours| [BlockLine { at_us: hours * hour, ..line(312_500_000, 50, 546, 1_562_500) }];
        assert_eq!(check(&at(15), agreed(50)), Ok(()));
        let found = check(&at(15), agreed(49)).unwrap_err();
        assert_eq!(found, (0, "the house's fee is 50 and 49 is agreed".to_owned()));
        assert!(check(&at(12), agreed(0)).is_err() && check(&at(17), agreed(0)).is_err());
        // It may have been found before the contract, or after it.
        for hours in [0, 11, 18, 30] {
            assert_eq!(check(&at(hours), agreed(0)), Ok(()), "{hours}");
        }
    }

    #[test]
    fn partners_parts_are_recomputed() {
        let of = |number: u16, amount_minor: i64, others: &[u16]| {
            let part = Some(BlockPart { number, others_bps: others.to_vec() });
            BlockLine { amount_minor, part, ..line(312_500_001, 50, 546, 1_562_500) }.check()
        };
        let others = [3_000, 500];
        for (number, amount) in [(0, 202_109_376), (1, 93_281_250), (2, 15_546_875)] {
            of(number, amount, &others).unwrap();
            assert!(of(number, amount + 1, &others).is_err());
            assert!(of(number, amount - 1, &others).is_err());
        }
        assert!(of(3, 0, &others).is_err() && of(0, 310_937_501, &[]).is_err());
        assert!(of(0, 0, &[10_000]).is_err() && of(1, 310_937_501, &[10_000]).is_err());
        assert!(of(0, -93_281_250, &[7_000, 6_000]).is_err());
        assert!(of(1, 310_937_501, &[10_001]).is_err());
        // Lines of before have no such member, and the bytes they had.
        let before = serde_json::to_string(&line(5, 0, 0, 0)).unwrap();
        assert!(!before.contains("part"));
    }

    proptest! {
        #[test]
        fn no_other_amount_holds(whole in 1i64..1 << 50, bps in 0u16..10_000, least in 0i64..100_000, by in 1i64..1_000) {
            let part = i64::try_from(u128::try_from(whole).unwrap() * u128::from(bps) / 10_000).unwrap();
            let fee = if part < least { 0 } else { part };
            prop_assert!(line(whole, bps, least, fee).check().is_ok());
            prop_assert!(line(whole, bps, least, fee + by).check().is_err());
            prop_assert!(line(whole, bps, least, fee - by).check().is_err());
        }
    }
}
