//! What a payout is and which states may follow which; nothing here does I/O.
//!
//! `requested → approved → funded → signed → broadcast → confirmed`, and the two ends *cancelled*
//! (by the customer, before it is signed) and *refused* (by the operator before it is signed, or
//! because it cannot be paid). From *signed* on there is no way to an end but the chain: no
//! answer of a node, and no missing answer, makes a payout fail.

use crate::{Rate, TreasuryError};
use gruve_units::{AccountId, Amount, PayoutId, Timestamp};
use std::fmt;
use std::str::FromStr;

/// Where a payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayoutState {
    /// Asked for; the amount is held; waits for the operator's approval.
    Requested,
    /// Approved; waits for coins and for its turn.
    Approved,
    /// Coins are chosen and reserved; the amount is in flight.
    Funded,
    /// The transaction is signed and stored; it may be known to others at any time from now on.
    Signed,
    /// A node has it.
    Broadcast,
    /// It stands in a block.
    Confirmed,
    /// The customer took it back; the amount is available again.
    Cancelled,
    /// It was refused; the amount is available again.
    Refused,
}

impl PayoutState {
    /// Every state.
    pub const ALL: [PayoutState; 8] = [
        PayoutState::Requested,
        PayoutState::Approved,
        PayoutState::Funded,
        PayoutState::Signed,
        PayoutState::Broadcast,
        PayoutState::Confirmed,
        PayoutState::Cancelled,
        PayoutState::Refused,
    ];

    /// The word for it, as stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            PayoutState::Requested => "requested",
            PayoutState::Approved => "approved",
            PayoutState::Funded => "funded",
            PayoutState::Signed => "signed",
            PayoutState::Broadcast => "broadcast",
            PayoutState::Confirmed => "confirmed",
            PayoutState::Cancelled => "cancelled",
            PayoutState::Refused => "refused",
        }
    }

    /// Whether the payout can still be taken back or refused: nothing signed exists.
    #[must_use]
    pub const fn is_revocable(self) -> bool {
        matches!(self, PayoutState::Requested | PayoutState::Approved | PayoutState::Funded)
    }

    /// Whether nothing more will happen to it, reorganisations apart.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, PayoutState::Confirmed | PayoutState::Cancelled | PayoutState::Refused)
    }

    /// Whether `next` may follow. The tests' database holds every change of a state to this.
    #[must_use]
    pub const fn may_become(self, next: PayoutState) -> bool {
        use PayoutState as P;
        matches!(
            (self, next),
            (P::Requested, P::Approved | P::Cancelled | P::Refused)
                // Back to a person: its transaction failed in its block, or was withdrawn.
                | (P::Approved, P::Funded | P::Requested | P::Cancelled | P::Refused)
                // The chain has it from a life of the house that these tables do not know.
                | (P::Requested | P::Approved, P::Broadcast | P::Confirmed)
                // Back to approved: its transaction was taken apart before it was signed.
                | (P::Funded, P::Signed | P::Approved | P::Cancelled | P::Refused)
                // A block may come before the node's answer. Back to approved: the chain proves
                // that the transaction can never confirm.
                | (P::Signed | P::Broadcast, P::Confirmed | P::Approved)
                | (P::Signed, P::Broadcast)
                // A reorganisation took the block away.
                | (P::Confirmed, P::Broadcast)
        )
    }
}

impl fmt::Display for PayoutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for PayoutState {
    type Err = TreasuryError;
    fn from_str(s: &str) -> Result<Self, TreasuryError> {
        PayoutState::ALL
            .into_iter()
            .find(|v| v.word() == s)
            .ok_or(TreasuryError::Damaged("unknown payout state"))
    }
}

/// A request for a payout.
#[derive(Clone, Debug)]
pub struct NewPayout {
    /// Whose coins.
    pub account: AccountId,
    /// What leaves the balance; the network fee is taken out of it.
    pub amount: Amount,
    /// Where to.
    pub address: String,
    /// A key of the caller's: the same key again gives the same payout and never a second one. At
    /// most [`crate::REQUEST_KEY_BYTES_MAX`] bytes.
    pub request_key: Option<String>,
}

/// What a payout would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutQuote {
    /// What would leave the balance.
    pub amount: Amount,
    /// Most the network fee can be; the payout waits while the network asks for more.
    pub fee_max: Amount,
    /// Least that would arrive.
    pub receives_min: Amount,
}

/// A payment to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// Whose.
    pub account: AccountId,
    /// What left the balance.
    pub amount: Amount,
    /// Most the network fee may be.
    pub fee_max: Amount,
    /// What the network fee is, once coins are chosen.
    pub fee: Option<Amount>,
    /// Where to.
    pub address: String,
    /// Where it is.
    pub state: PayoutState,
    /// Why it was refused, or what it waits for, for the customer to read.
    pub reason: Option<String>,
    /// The transaction that pays it, once signed, as explorers write it.
    pub txid: Option<String>,
    /// The block height it stands at, once confirmed.
    pub height: Option<u64>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its state last changed.
    pub updated: Timestamp,
    /// Whether two people must approve it, by what its account had asked for when it was asked for.
    pub takes_two: bool,
    /// Until when it waits at least, whatever else it waits for.
    pub held_until: Option<Timestamp>,
}

/// A payout as it was found possible and at what cost, to be placed within a transaction.
#[derive(Clone, Debug)]
pub struct PayoutTerms {
    pub(crate) script: Vec<u8>,
    pub(crate) rate_max: Rate,
    pub(crate) fee_max: i64,
}

/// What asking for a payout came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedPayout {
    /// The payout.
    pub id: PayoutId,
    /// Whether it had been asked for before, with the same key.
    pub before: bool,
}

impl Payout {
    /// Until when it waits because it goes where nothing of its account has gone before, if it waits for that now.
    #[must_use]
    pub fn held(&self, now: Timestamp) -> Option<Timestamp> {
        self.held_until.filter(|until| *until > now && self.state.is_revocable())
    }

    /// What arrives, once the fee is known.
    #[must_use]
    pub fn receives(&self) -> Option<Amount> {
        self.amount.checked_sub(self.fee?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_word() {
        for state in PayoutState::ALL {
            assert_eq!(state.word().parse::<PayoutState>().unwrap(), state);
        }
    }

    #[test]
    fn nothing_signed_is_ever_cancelled_or_refused() {
        for state in PayoutState::ALL {
            for end in [PayoutState::Cancelled, PayoutState::Refused] {
                assert_eq!(state.may_become(end), state.is_revocable());
            }
        }
    }
}
