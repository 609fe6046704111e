//! Accounts, named by what they are for.

use gruve_units::{AccountId, ContractId, LaneId};
use std::fmt;
use std::str::FromStr;

/// Which side an account's balance normally stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What the house has, and what it has lost.
    Debit,
    /// What the house owes, and what it has earned.
    Credit,
}

/// How far a balance may go down, in its normal direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Floor {
    /// Never below zero.
    Zero,
    /// It may be negative.
    None,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $side:ident, $floor:ident;)*) => {
        /// The purpose of an account, without whose it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AccountKind {
            $($(#[$doc])* $kind,)*
        }

        impl AccountKind {
            /// Every kind.
            pub const ALL: &[AccountKind] = &[$(AccountKind::$kind),*];

            /// The name, which an account's key begins with.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(AccountKind::$kind => $name,)* }
            }

            /// The side its balance normally stands on.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(AccountKind::$kind => Side::$side,)* }
            }

            /// How far its balance may go down.
            #[must_use]
            pub const fn floor(self) -> Floor {
                match self { $(AccountKind::$kind => Floor::$floor,)* }
            }
        }
    };
}

kinds! {
    /// A customer's coins, theirs to withdraw or spend.
    CustomerAvailable = "customer.available", Credit, Zero;
    /// A customer's coins, set aside for something under way.
    CustomerHeld = "customer.held", Credit, Zero;
    /// Paid for, not yet delivered work of a contract.
    PrepaidWork = "prepaid-work", Credit, Zero;
    /// A lane's block rewards that are not settled yet: owed to whoever earned them.
    Rewards = "rewards", Credit, Zero;
    /// The operator's earnings. Refunds and corrections may pass what was earned.
    OperatorRevenue = "operator.revenue", Credit, None;
    /// The unfilled part of PPLNS windows.
    WindowReserve = "reserve.window", Credit, Zero;
    /// What stands between FPPS promises and bad luck.
    FppsReserve = "reserve.fpps", Credit, Zero;
    /// What truncation left over.
    Remainder = "remainder", Credit, Zero;
    /// The operator's losses; turns over when one is made good with more.
    Loss = "loss", Debit, None;
    /// Miners' fees of the house's own transactions; in money of banks what services and banks take.
    NetworkFees = "network-fees", Debit, None;
    /// Taxes taken for the state.
    TaxPayable = "tax-payable", Credit, Zero;
    /// Pay-ins that their method has taken back.
    ChargeBacks = "charge-backs", Credit, None;
    /// Receipts that nobody has been found for.
    UnmatchedReceipts = "unmatched-receipts", Credit, Zero;
    /// Coins on the chain that the house can sign for at once.
    ChainHot = "chain.hot", Debit, Zero;
    /// Coins on the chain under keys kept elsewhere.
    ChainCold = "chain.cold", Debit, Zero;
    /// Block rewards on the chain that are not yet spendable.
    ChainMaturing = "chain.maturing", Debit, Zero;
    /// Coming in by a pay-in method, not there yet; what the method takes back may come first.
    Clearing = "clearing", Debit, None;
    /// Payouts that have left customers' balances and are not confirmed yet.
    PayoutsInFlight = "payouts-in-flight", Credit, Zero;
    /// The operator's own coins put into the hot wallet.
    Capital = "capital", Credit, Zero;
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AccountKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = AccountKind::ALL.iter().copied().find(|k| k.name() == s);
        found.ok_or_else(|| format!("no kind of account is called {:?}", short(s)))
    }
}

/// One account of the books; it has a balance in each asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A customer's coins, theirs to withdraw or spend.
    CustomerAvailable(AccountId),
    /// A customer's coins, set aside for something under way.
    CustomerHeld(AccountId),
    /// Paid for, not yet delivered work of a contract.
    PrepaidWork(ContractId),
    /// A lane's block rewards that are not settled yet.
    Rewards(LaneId),
    /// The operator's earnings.
    OperatorRevenue,
    /// The unfilled part of PPLNS windows.
    WindowReserve,
    /// What stands between FPPS promises and bad luck.
    FppsReserve,
    /// What truncation left over.
    Remainder,
    /// The operator's losses.
    Loss,
    /// Miners' fees of the house's own transactions; in money of banks what services and banks take.
    NetworkFees,
    /// Taxes taken for the state.
    TaxPayable,
    /// Pay-ins that their method has taken back.
    ChargeBacks,
    /// Receipts that nobody has been found for.
    UnmatchedReceipts,
    /// Coins on the chain that the house can sign for at once.
    ChainHot,
    /// Coins on the chain under keys kept elsewhere.
    ChainCold,
    /// Block rewards on the chain that are not yet spendable.
    ChainMaturing,
    /// Coming in by the named pay-in method (1 to 32 of `a`–`z`, `0`–`9`, `-`), not there yet.
    Clearing(String),
    /// Payouts under way.
    PayoutsInFlight,
    /// The operator's own coins put into the hot wallet.
    Capital,
}

impl Account {
    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> AccountKind {
        match self {
            Account::CustomerAvailable(_) => AccountKind::CustomerAvailable,
            Account::CustomerHeld(_) => AccountKind::CustomerHeld,
            Account::PrepaidWork(_) => AccountKind::PrepaidWork,
            Account::Rewards(_) => AccountKind::Rewards,
            Account::OperatorRevenue => AccountKind::OperatorRevenue,
            Account::WindowReserve => AccountKind::WindowReserve,
            Account::FppsReserve => AccountKind::FppsReserve,
            Account::Remainder => AccountKind::Remainder,
            Account::Loss => AccountKind::Loss,
            Account::NetworkFees => AccountKind::NetworkFees,
            Account::TaxPayable => AccountKind::TaxPayable,
            Account::ChargeBacks => AccountKind::ChargeBacks,
            Account::UnmatchedReceipts => AccountKind::UnmatchedReceipts,
            Account::ChainHot => AccountKind::ChainHot,
            Account::ChainCold => AccountKind::ChainCold,
            Account::ChainMaturing => AccountKind::ChainMaturing,
            Account::Clearing(_) => AccountKind::Clearing,
            Account::PayoutsInFlight => AccountKind::PayoutsInFlight,
            Account::Capital => AccountKind::Capital,
        }
    }

    /// The key in the books: the kind's name, and for accounts of which there are many, a colon and
    /// whose it is.
    #[must_use]
    pub fn key(&self) -> String {
        let kind = self.kind().name();
        match self {
            Account::CustomerAvailable(id) | Account::CustomerHeld(id) => format!("{kind}:{id}"),
            Account::PrepaidWork(id) => format!("{kind}:{id}"),
            Account::Rewards(lane) => format!("{kind}:{lane}"),
            Account::Clearing(method) => format!("{kind}:{method}"),
            _ => kind.to_owned(),
        }
    }

    /// Whether its own name has the form it must have; ids and lanes always have.
    pub(crate) fn is_well_formed(&self) -> bool {
        match self {
            Account::Clearing(method) => is_method(method),
            _ => true,
        }
    }
}

fn is_method(s: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&s.len()) && s.bytes().all(plain)
}

fn short(s: &str) -> String {
    s.chars().take(64).collect()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

impl FromStr for Account {
    type Err = String;

    /// Reads an account's key.
    fn from_str(s: &str) -> Result<Self, String> {
        use AccountKind as K;
        let bad = || format!("not an account: {:?}", short(s));
        let (kind, whose) = match s.split_once(':') {
            Some((kind, whose)) => (kind, Some(whose)),
            None => (s, None),
        };
        let kind: AccountKind = kind.parse().map_err(|_| bad())?;
        let account = match (kind, whose) {
            (K::CustomerAvailable, Some(w)) => {
                Account::CustomerAvailable(w.parse().map_err(|_| bad())?)
            }
            (K::CustomerHeld, Some(w)) => Account::CustomerHeld(w.parse().map_err(|_| bad())?),
            (K::PrepaidWork, Some(w)) => Account::PrepaidWork(w.parse().map_err(|_| bad())?),
            (K::Rewards, Some(w)) => Account::Rewards(w.parse().map_err(|_| bad())?),
            (K::Clearing, Some(w)) if is_method(w) => Account::Clearing(w.to_owned()),
            (K::OperatorRevenue, None) => Account::OperatorRevenue,
            (K::WindowReserve, None) => Account::WindowReserve,
            (K::FppsReserve, None) => Account::FppsReserve,
            (K::Remainder, None) => Account::Remainder,
            (K::Loss, None) => Account::Loss,
            (K::NetworkFees, None) => Account::NetworkFees,
            (K::TaxPayable, None) => Account::TaxPayable,
            (K::ChargeBacks, None) => Account::ChargeBacks,
            (K::UnmatchedReceipts, None) => Account::UnmatchedReceipts,
            (K::ChainHot, None) => Account::ChainHot,
            (K::ChainCold, None) => Account::ChainCold,
            (K::ChainMaturing, None) => Account::ChainMaturing,
            (K::PayoutsInFlight, None) => Account::PayoutsInFlight,
            (K::Capital, None) => Account::Capital,
            _ => return Err(bad()),
        };
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<Account> {
        let id = AccountId::from_bytes([7; 16]);
        vec![
            Account::CustomerAvailable(id),
            Account::CustomerHeld(id),
            Account::PrepaidWork(ContractId::from_bytes([8; 16])),
            Account::Rewards("scrypt".parse().unwrap()),
            Account::OperatorRevenue,
            Account::WindowReserve,
            Account::FppsReserve,
            Account::Remainder,
            Account::Loss,
            Account::NetworkFees,
            Account::TaxPayable,
            Account::ChargeBacks,
            Account::UnmatchedReceipts,
            Account::ChainHot,
            Account::ChainCold,
            Account::ChainMaturing,
            Account::Clearing("card".to_owned()),
            Account::PayoutsInFlight,
            Account::Capital,
        ]
    }

    #[test]
    fn every_account_is_read_back_from_its_key() {
        let all = one_of_each();
        assert_eq!(all.len(), AccountKind::ALL.len());
        for account in all {
            assert_eq!(account.key().parse::<Account>().unwrap(), account);
        }
    }

    #[test]
    fn keys_of_another_form_are_not_accounts() {
        for bad in
            ["", ":", "customer.available", "capital:x", "clearing:", "clearing:A b", "loss "]
        {
            assert!(bad.parse::<Account>().is_err(), "{bad:?}");
        }
    }
}
