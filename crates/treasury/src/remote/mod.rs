//! Invoices paid at other services: cards by Stripe Checkout, coins and Lightning by a BTCPay Server.
//!
//! | step | what happens |
//! |---|---|
//! | open | the service makes a place to pay at ([`Treasury::open_checkout`]); an invoice has one at a time |
//! | webhook | its signature is checked; it names what to look at ([`Treasury::hear_card`], [`Treasury::hear_btcpay`]) |
//! | look | the service is asked how the place stands, and what came beyond what is booked is taken |
//! | poll | places that are open are looked at now and then ([`Treasury::poll_checkouts`]), webhook or not |
//! | read | the service's lists of disputes and refunds are read after a start and daily (`missed`), for what was told while nobody listened |
//! | book | what the card service has booked on our account there is read hourly and booked (`turnover`): fees, payouts to the bank |
//!
//! # Promises
//! - A webhook that is not signed by the service moves nothing; a signed one moves only what the
//!   service says again when it is asked. So events may come twice, late, lost or in any order.
//! - What came is booked once, by the service's own name for it, in the currency that came.
//! - An answer that is lost, late or cannot be read books nothing and is asked for again. Nobody is waited for longer
//!   than a set time ([`PATIENCE`]).
//! - Keys and secrets are neither logged nor shown.
//!
//! # What this must not know
//! Pages, contracts, and other services' inner workings beyond their published interfaces.

mod btcpay;
mod checkouts;
mod client;
mod disputes;
mod missed;
mod secret;
mod stripe;
pub(crate) mod turnover;

pub use btcpay::BtcPayConfig;
pub use checkouts::{Heard, Polled};
pub use client::PATIENCE;
pub use secret::Secret;
pub use stripe::StripeConfig;
pub use turnover::{ServiceComparison, ServicesCompared};

pub(crate) use btcpay::BtcPay;
pub(crate) use client::Client;
pub(crate) use missed::Missed;
pub(crate) use stripe::Stripe;
pub(crate) use turnover::Turnover;

use gruve_units::{Amount, Asset, InvoiceId, Timestamp};

/// Bytes of a webhook at most: the longest events of the services have some tens of kilobytes.
pub const WEBHOOK_BYTES_MAX: usize = 256 << 10;

/// What a place to pay is asked for.
pub(crate) struct Wants {
    pub(crate) invoice: InvoiceId,
    pub(crate) attempt: u32,
    /// What to pay: a whole count of what can be paid.
    pub(crate) amount: Amount,
    /// The invoice's reference, for people.
    pub(crate) reference: String,
    pub(crate) expires: Timestamp,
}

/// A place to pay.
pub(crate) struct Place {
    pub(crate) external: String,
    pub(crate) url: String,
}

/// How a place stands.
pub(crate) struct Looked {
    /// All that came by it so far, and the service's name for the payment.
    pub(crate) came: Option<(Amount, String)>,
    /// Nothing more is expected.
    pub(crate) is_over: bool,
}

/// The services that are configured.
#[derive(Default)]
pub(crate) struct Services {
    pub(crate) stripe: Option<Stripe>,
    pub(crate) btcpay: Option<BtcPay>,
}

impl Services {
    pub(crate) fn new(
        stripe: Option<StripeConfig>,
        btcpay: Option<BtcPayConfig>,
    ) -> Result<Services, crate::TreasuryError> {
        let fault = crate::TreasuryError::Method;
        let stripe = stripe.map(Stripe::new).transpose().map_err(fault)?;
        let btcpay = btcpay.map(BtcPay::new).transpose().map_err(fault)?;
        Ok(Services { stripe, btcpay })
    }

    /// Currencies of banks' money that one of them takes.
    pub(crate) fn fiat(&self) -> impl Iterator<Item = Asset> + '_ {
        let takes = move |a: &Asset| {
            self.stripe.as_ref().is_some_and(|s| s.takes(*a))
                || self.btcpay.as_ref().is_some_and(|b| b.takes(*a))
        };
        Asset::ALL.into_iter().filter(|a| a.is_fiat()).filter(move |a| takes(a))
    }
}
