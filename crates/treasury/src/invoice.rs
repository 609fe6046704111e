//! What an invoice is and what state its receipts put it in; nothing here does I/O.
//!
//! | what comes | outcome |
//! |---|---|
//! | the amount, confirmed before the invoice was closed | *confirmed*; the purpose is paid |
//! | less | held for the customer; at expiry it goes to the customer's balance |
//! | more | the excess goes to the customer's balance |
//! | anything after it was closed, or again | goes to the customer's balance |
//!
//! An invoice that is confirmed stays so: should a reorganisation deeper than the confirmations
//! asked for take the payment away, that is a matter between the operator and the customer's
//! balance (see [`crate::Treasury::disconnect_block`]).

use crate::{Conversion, TreasuryError};
use async_trait::async_trait;
use gruve_chain::{Family, NetworkName, params_for};
use gruve_store::Tx;
use gruve_units::{AccountId, Amount, Asset, ContractId, InvoiceId, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A contract: the room above is told when it is paid.
    Contract(ContractId),
    /// The customer's own balance: whatever comes is credited when confirmed.
    TopUp,
    /// Another invoice, in another currency, at a rate that counts for some time ([`crate::conversion`]).
    Conversion(Conversion),
}

/// A request for an invoice.
#[derive(Clone, Copy, Debug)]
pub struct NewInvoice {
    /// Whose balance it concerns.
    pub account: AccountId,
    /// What to pay; its asset says on which chain.
    pub amount: Amount,
    /// What for.
    pub purpose: Purpose,
    /// How long it stays open.
    pub ttl: Duration,
}

/// Where an invoice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceState {
    /// Nothing has come.
    New,
    /// Something less than the amount is in a block, not deep enough yet.
    Seen,
    /// Something less than the amount is confirmed.
    Underpaid,
    /// The amount is in blocks, not all deep enough yet.
    Paid,
    /// The amount is confirmed: closed.
    Confirmed,
    /// Its time was over before the amount came: closed.
    Expired,
}

impl InvoiceState {
    const ALL: [InvoiceState; 6] = [
        InvoiceState::New,
        InvoiceState::Seen,
        InvoiceState::Underpaid,
        InvoiceState::Paid,
        InvoiceState::Confirmed,
        InvoiceState::Expired,
    ];

    /// The word for it, as stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            InvoiceState::New => "new",
            InvoiceState::Seen => "seen",
            InvoiceState::Underpaid => "underpaid",
            InvoiceState::Paid => "paid",
            InvoiceState::Confirmed => "confirmed",
            InvoiceState::Expired => "expired",
        }
    }

    /// Whether a payment can still pay for the purpose.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, InvoiceState::Confirmed | InvoiceState::Expired)
    }

    /// The state of an open invoice by what stands in blocks and what of it is confirmed.
    #[must_use]
    pub const fn by_receipts(amount: i64, in_chain: i64, confirmed: i64) -> InvoiceState {
        if confirmed >= amount {
            InvoiceState::Confirmed
        } else if in_chain >= amount {
            InvoiceState::Paid
        } else if confirmed > 0 {
            InvoiceState::Underpaid
        } else if in_chain > 0 {
            InvoiceState::Seen
        } else {
            InvoiceState::New
        }
    }
}

impl fmt::Display for InvoiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for InvoiceState {
    type Err = TreasuryError;
    fn from_str(s: &str) -> Result<Self, TreasuryError> {
        InvoiceState::ALL
            .into_iter()
            .find(|v| v.word() == s)
            .ok_or(TreasuryError::Damaged("unknown invoice state"))
    }
}

/// A request for payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Whose balance it concerns.
    pub account: AccountId,
    /// What to pay.
    pub amount: Amount,
    /// What stands in blocks for it, confirmed or not; of a conversion what came while its rate counted.
    pub received: Amount,
    /// What of that is confirmed.
    pub confirmed: Amount,
    /// What came after a conversion's rate was over: it is the customer's, in the balance once deep enough.
    pub late: Amount,
    /// What for.
    pub purpose: Purpose,
    /// Where to pay; this invoice's own address on its chain. Of an invoice in money that banks keep,
    /// the reference that a payment must name.
    pub address: String,
    /// The chain's number, where an address does not say which chain it is of.
    pub chain_id: Option<u64>,
    /// Where it is.
    pub state: InvoiceState,
    /// When it was made.
    pub created: Timestamp,
    /// When it closes if the amount has not come by then.
    pub expires: Timestamp,
}

impl Invoice {
    /// The asset to pay in.
    #[must_use]
    pub const fn asset(&self) -> Asset {
        self.amount.asset
    }

    /// What neither stands in blocks nor came otherwise; zero where all is there.
    #[must_use]
    pub fn rest(&self) -> Amount {
        Amount::new(self.asset(), self.amount.minor.saturating_sub(self.received.minor).max(0))
    }

    /// What a payment must come to: the amount, rounded up to what can be paid. What is too much by
    /// that goes to the customer's balance.
    #[must_use]
    pub fn to_pay(&self) -> Amount {
        let step = self.asset().payable();
        let minor = match self.amount.minor.rem_euclid(step) {
            0 => self.amount.minor,
            over => self.amount.minor.saturating_add(step - over),
        };
        Amount::new(self.asset(), minor)
    }

    /// The payment as a URI (BIP 21, and its likes on the other chains; EIP-681 on account chains,
    /// with the chain's number, so that a wallet of another chain of the family does not pay it);
    /// empty where there is no wallet to open it with.
    #[must_use]
    pub fn uri(&self) -> String {
        if self.asset().is_fiat() {
            return String::new();
        }
        match self.chain_id {
            Some(chain_id) => {
                let wei = gruve_chain::eth::wei::from_gwei(self.amount.minor).unwrap_or_default();
                format!("ethereum:{}@{chain_id}?value={wei}", self.address)
            }
            None => payment_uri(self.amount, &self.address),
        }
    }
}

/// A payment URI: `bitcoin:<address>?amount=<decimal>` (BIP 21). The amount is in whole coins,
/// without trailing zeros.
#[must_use]
pub fn payment_uri(amount: Amount, address: &str) -> String {
    let scheme = match params_for(amount.asset, NetworkName::Mainnet) {
        Ok(params) if params.family() == Family::Bitcoin => params.uri_scheme,
        _ => "pay",
    };
    let decimal = amount.decimal();
    let decimal = decimal.trim_end_matches('0').trim_end_matches('.');
    format!("{scheme}:{address}?amount={decimal}")
}

/// What a room above does when an invoice is closed; wired to the market.
///
/// Both run inside the transaction that closes the invoice, and happen at most once an invoice.
/// When they are called the money stands in the customer's available balance.
#[async_trait]
pub trait InvoiceSink: Send + Sync {
    /// The amount is confirmed. A refusal ([`gruve_units::Blame::Rejected`]) leaves the money in
    /// the customer's balance, what the sink had written is undone, and the invoice stays
    /// confirmed.
    async fn paid(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), crate::SinkError>;

    /// Its time was over; what had come is in the customer's balance.
    async fn expired(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), crate::SinkError>;

    /// A payment that the invoice was paid with is disputed, or no more. Told within the transaction that books the
    /// dispute, of an open one again and again; a refusal is noted, and what the sink had written is undone.
    async fn disputed(
        &self,
        tx: &mut Tx,
        invoice: &Invoice,
        dispute: &Dispute<'_>,
    ) -> Result<(), crate::SinkError>;
}

/// How a dispute about a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispute<'a> {
    /// Its name at the service.
    pub name: &'a str,
    /// How it stands.
    pub stands: DisputeStands,
}

/// See [`Dispute`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStands {
    /// Nobody knows yet.
    Open,
    /// The payment stands.
    Won,
    /// It was taken back, and the customer's balance no longer had this much of it.
    Lost(Amount),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_uri_says_address_and_amount_in_whole_coins() {
        let uri = |minor| payment_uri(Amount::new(Asset::Btc, minor), "bc1qexample");
        assert_eq!(uri(2_030_000_000), "bitcoin:bc1qexample?amount=20.3");
        assert_eq!(uri(100_000_000), "bitcoin:bc1qexample?amount=1");
        assert_eq!(uri(1), "bitcoin:bc1qexample?amount=0.00000001");
        assert_eq!(uri(1_000_000_000), "bitcoin:bc1qexample?amount=10");
    }

    proptest! {
        #[test]
        fn an_invoice_is_confirmed_exactly_when_the_amount_is(
            amount in 1i64..1000, confirmed in 0i64..2000, more in 0i64..2000,
        ) {
            let state = InvoiceState::by_receipts(amount, confirmed + more, confirmed);
            prop_assert_eq!(state == InvoiceState::Confirmed, confirmed >= amount);
            prop_assert_eq!(state == InvoiceState::New, confirmed + more == 0);
        }
    }

    #[test]
    fn every_state_is_read_back_from_its_word() {
        for state in InvoiceState::ALL {
            assert_eq!(state.word().parse::<InvoiceState>().unwrap(), state);
        }
        assert!("gone".parse::<InvoiceState>().is_err());
    }
}
