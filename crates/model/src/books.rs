//! The ledger: balances, each entry's sides in balance.

use crate::Id;
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// An account of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// A customer's coins.
    Available(Id),
    /// A customer's coins that are held for an epoch to come.
    Held(Id),
    /// Paid for, not yet delivered.
    Prepaid(Id),
    /// Rewards that are not settled.
    Rewards,
    /// The operator's earnings.
    Revenue,
    /// Unfilled parts of windows.
    WindowReserve,
    /// What FPPS is paid from.
    FppsReserve,
    /// What rounding leaves.
    Remainder,
    /// The operator's losses.
    Loss,
    /// What makes up for payments taken back.
    ChargeBacks,
    /// Coins that can be spent.
    Hot,
    /// Coins that cannot be spent yet.
    Maturing,
    /// Coins of which a reorganisation left too few.
    Reorganisation,
}

impl Account {
    /// Whether its balance is what the house has (and not what it owes).
    const fn is_debit(self) -> bool {
        matches!(self, Account::Loss | Account::Hot | Account::Maturing | Account::Reorganisation)
    }

    /// Whether its balance may be below zero.
    #[must_use]
    pub const fn may_be_negative(self) -> bool {
        matches!(self, Account::Loss | Account::Revenue | Account::Reorganisation)
    }
}

/// Balances by account and asset, each in its normal direction.
pub type Balances = BTreeMap<(Account, usize), BigInt>;

/// The ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) balances: Balances,
}

impl Books {
    pub(crate) fn of(&self, account: Account, asset: usize) -> BigInt {
        self.balances.get(&(account, asset)).cloned().unwrap_or_default()
    }

    /// An entry in one asset: who is debited and who is credited with how much.
    pub(crate) fn post(
        &mut self,
        asset: usize,
        debits: &[(Account, BigInt)],
        credits: &[(Account, BigInt)],
    ) {
        let all = |side: &[(Account, BigInt)]| side.iter().map(|(_, n)| n.clone()).sum::<BigInt>();
        assert_eq!(all(debits), all(credits), "an entry of the model is out of balance");
        let signed = debits.iter().map(|(a, n)| (*a, n.clone()));
        for (account, n) in signed.chain(credits.iter().map(|(a, n)| (*a, -n))) {
            let by = if account.is_debit() { n } else { -n };
            *self.balances.entry((account, asset)).or_default() += by;
        }
    }
}
