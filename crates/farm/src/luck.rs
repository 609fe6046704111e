//! What the test for withheld blocks rests on, kept per lane, machine and owner: see [`crate::withholding`].
//!
//! Added in the transaction that adds what shares prove, so nothing counts twice.

use crate::statements::{LUCK, LUCK_OF, LUCK_OF_OWNERS, SET_LUCK};
use crate::withholding::{Tail, Worked, at_most};
use crate::{Farm, MachineOwner, Result};
use gruve_store::{FromValue as _, Migration, Tx, Value, params};
use gruve_units::{Hashes, LaneId, MachineId, Target, mul_div_floor};
use std::collections::BTreeMap;

/// This part's tables, counted by themselves.
pub const LUCK_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "luck",
    sqlite: include_str!("../migrations/0001_luck.sqlite.sql"),
    postgres: include_str!("../migrations/0001_luck.postgres.sql"),
}];

/// One block, in the fixed point of [`Luck::expected`].
const ONE_BLOCK: u128 = 1 << 64;

/// Whose work is looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miner {
    /// A machine.
    Machine(MachineId),
    /// All machines of an owner.
    Owner(MachineOwner),
}

impl std::fmt::Display for Miner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Miner::Machine(id) => write!(f, "m:{id}"),
            Miner::Owner(MachineOwner::House) => f.write_str("o:house"),
            Miner::Owner(MachineOwner::Account(id)) => write!(f, "o:{id}"),
        }
    }
}

impl Miner {
    fn read(text: &str) -> Option<Miner> {
        match text.split_once(':')? {
            ("m", id) => Some(Miner::Machine(id.parse().ok()?)),
            ("o", owner) => {
                let owner = MachineOwner::from_value(Value::from(owner)).ok()?;
                Some(Miner::Owner(owner))
            }
            _ => None,
        }
    }
}

/// What somebody's shares came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Luck {
    /// Blocks that the work should have found, with 64 fractional bits; stays at its largest.
    pub expected: u128,
    /// Blocks that it found.
    pub found: u64,
    /// How good the hashes were.
    pub tail: Tail,
}

impl Luck {
    /// Work at a network target.
    pub fn add_work(&mut self, work: Hashes, network: Target) {
        let (more, _) =
            mul_div_floor(work.0, ONE_BLOCK, network.expected_hashes().0).unwrap_or((u128::MAX, 0));
        self.expected = self.expected.saturating_add(more);
    }

    fn merge(&mut self, other: &Luck) {
        self.expected = self.expected.saturating_add(other.expected);
        self.found = self.found.saturating_add(other.found);
        self.tail.merge(&other.tail);
    }

    /// For the tests of [`crate::withholding`].
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn worked(&self) -> Worked {
        let expected = self.expected as f64 / ONE_BLOCK as f64;
        Worked { expected, found: self.found, tail: self.tail.clone() }
    }
}

/// Adds to what is there, in the caller's transaction.
pub(crate) async fn add(tx: &mut Tx, lane: &LaneId, more: &BTreeMap<Miner, Luck>) -> Result<()> {
    for (miner, luck) in more {
        let name = miner.to_string();
        let mut sum = luck.clone();
        if let Some(row) = tx.fetch_optional(LUCK, &params![lane, name.clone()]).await? {
            let tail = Tail::from_bytes(&row.get::<Vec<u8>>("tail")?).unwrap_or_default();
            let there = row.get::<Hashes>("expected")?.0;
            sum.merge(&Luck { expected: there, found: row.get("found")?, tail });
        }
        let given = params![lane, name, Hashes(sum.expected), sum.found, sum.tail.to_bytes()];
        tx.execute(SET_LUCK, &given).await?;
    }
    Ok(())
}

/// All the work of a lane against the blocks that it found, of the lane's own chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneLuck {
    /// Blocks that the work should have found, with 64 fractional bits; stays at its largest.
    pub expected: u128,
    /// Blocks that it found.
    pub found: u64,
}

impl LaneLuck {
    /// Blocks that the work should have found, in thousandths of one, rounded down.
    #[must_use]
    pub fn expected_milli(&self) -> u128 {
        mul_div_floor(self.expected, 1_000, ONE_BLOCK).map_or(u128::MAX, |(milli, _)| milli)
    }

    /// Found against expected, in thousandths, rounded down; nothing before there was work.
    #[must_use]
    pub fn permille(&self) -> Option<u128> {
        let found = u128::from(self.found) * 1_000;
        mul_div_floor(found, ONE_BLOCK, self.expected).ok().map(|(permille, _)| permille)
    }

    /// How likely it is that so much work finds so few blocks, or fewer.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn chance_of_so_few(&self) -> f64 {
        at_most(self.found, self.expected as f64 / ONE_BLOCK as f64)
    }
}

impl Farm {
    /// All the work of a lane against the blocks that it found.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_luck(&self, lane: &LaneId) -> Result<LaneLuck> {
        let mut tx = self.store.read().await?;
        let mut all = LaneLuck::default();
        for row in tx.fetch_all(LUCK_OF_OWNERS, &params![lane]).await? {
            all.expected = all.expected.saturating_add(row.get::<Hashes>("expected")?.0);
            all.found = all.found.saturating_add(row.get("found")?);
        }
        tx.rollback().await?;
        Ok(all)
    }

    /// What every machine's and owner's work on a lane came to.
    ///
    /// # Errors
    /// The database's.
    pub async fn luck(&self, lane: &LaneId) -> Result<Vec<(Miner, Luck)>> {
        let mut tx = self.store.read().await?;
        let mut all = Vec::new();
        for row in tx.fetch_all(LUCK_OF, &params![lane]).await? {
            let Some(miner) = Miner::read(&row.get::<String>("miner")?) else { continue };
            let tail = Tail::from_bytes(&row.get::<Vec<u8>>("tail")?).unwrap_or_default();
            let expected = row.get::<Hashes>("expected")?.0;
            all.push((miner, Luck { expected, found: row.get("found")?, tail }));
        }
        tx.rollback().await?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::AccountId;

    #[test]
    fn luck_is_what_was_found_of_what_was_expected() {
        let luck = LaneLuck { expected: (ONE_BLOCK * 5) / 2, found: 3 };
        assert_eq!((luck.expected_milli(), luck.permille()), (2_500, Some(1_200)));
        assert!((luck.chance_of_so_few() - 0.757_576).abs() < 1e-6, "Poisson, mean 2.5");
        assert_eq!(LaneLuck::default().permille(), None);
        let much = LaneLuck { expected: u128::MAX, found: u64::MAX };
        assert!(much.permille().is_some() && much.expected_milli() > 0);
    }

    #[test]
    fn a_miner_is_read_back_from_its_name() {
        let id = [7; 16];
        for miner in [
            Miner::Machine(MachineId::from_bytes(id)),
            Miner::Owner(MachineOwner::House),
            Miner::Owner(MachineOwner::Account(AccountId::from_bytes(id))),
        ] {
            assert_eq!(Miner::read(&miner.to_string()), Some(miner));
        }
        assert_eq!(Miner::read("x:house"), None);
    }
}
