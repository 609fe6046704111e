//! Withdrawing: what it costs, what is asked before, and what waits.
//!
//! A destination is *known* where it stands in the account's book, waited for, or where coins of the account have left
//! for it before. To one that is not known a session pays only with the password (and a code, where the account has a
//! second factor), and the payout is held for the operator's delay, told by mail with the way to stop it: a thief of a
//! session, or of a key that may withdraw, is late. The first destination of a new account is held like any other, as
//! an account that never withdrew is the one with all its earnings in it; an address put into the book when the
//! account is opened has waited long before anything matures.

use crate::client::Client;
use crate::extract::Customer;
use crate::failure::Failure;
use crate::state::{AppState, accounts_failure};
use crate::trade::treasury_failure;
use gruve_accounts::{AccountsError, Ticket};
use gruve_store::{StoreError, transact};
use gruve_treasury::{NewPayout, Payout, PayoutQuote, PlacedPayout, TreasuryError};
use gruve_units::{AccountId, Amount, Asset, Blame, Blamed, PayoutId, Timestamp};

/// What is asked before coins go to a destination, and until when they wait then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The account's password.
    pub(crate) password: bool,
    /// A code.
    pub(crate) code: bool,
    /// Until when a payout asked for now is held.
    pub(crate) held_until: Option<Timestamp>,
}

/// Password and code as they were given with a payout; either may be missing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub(crate) password: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
}

/// Why a payout was not placed.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlaceError {
    fn failure(&self) -> Failure {
        match self {
            PlaceError::Treasury(e) => treasury_failure(e),
            PlaceError::Accounts(e) => accounts_failure(e),
            PlaceError::Store(e) => Failure::of(e),
        }
    }
}

impl Blamed for PlaceError {
    fn blame(&self) -> Blame {
        match self {
            PlaceError::Treasury(e) => e.blame(),
            PlaceError::Accounts(e) => e.blame(),
            PlaceError::Store(e) => e.blame(),
        }
    }
}

/// A part of a proof, where something was given.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|t| !t.trim().is_empty())
}

impl AppState {
    /// What a payout would cost, where it may go now and the balance suffices.
    pub(crate) async fn payout_offer(
        &self,
        account: AccountId,
        amount: Amount,
        address: &str,
    ) -> Result<PayoutQuote, Failure> {
        let allowed = self.accounts().may_pay_to(account, amount.asset, address).await;
        allowed.map_err(|e| accounts_failure(&e))?;
        let quote = self.treasury().quote_payout(amount, address).await;
        let quote = quote.map_err(|e| treasury_failure(&e))?;
        let balances = self.balances(account).await?;
        let available = balances.iter().find(|b| b.asset == amount.asset).map(|b| b.available);
        let available = available.unwrap_or(Amount::zero(amount.asset));
        if available.minor < amount.minor {
            return Err(Failure::insufficient(available));
        }
        Ok(quote)
    }

    /// Most the network fee of a usual payout of an asset can be now: of a whole coin to an address
    /// of the form that the house uses itself.
    pub(crate) async fn payout_fee(&self, asset: Asset) -> Result<Amount, Failure> {
        let failed = |e: TreasuryError| treasury_failure(&e);
        let address = self.treasury().capital_address(asset).map_err(failed)?;
        let one = Amount::new(asset, asset.unit());
        Ok(self.treasury().quote_payout(one, &address).await.map_err(failed)?.fee_max)
    }

    /// Whether coins of the account may go to a destination at once.
    pub(crate) async fn is_known_destination(
        &self,
        account: AccountId,
        asset: Asset,
        address: &str,
    ) -> Result<bool, Failure> {
        Ok(self.accounts().is_in_book(account, asset, address).await?
            || self.treasury().has_paid_to(account, asset, address).await?)
    }

    /// What is asked before coins go to a destination: nothing where the book leads there; a code, where the account
    /// has a second factor, everywhere else; password, code and the delay where it is not known. A key for programs
    /// was made with password and code, and cannot have them: it only waits.
    pub(crate) async fn payout_needs(
        &self,
        who: &Customer,
        asset: Asset,
        address: &str,
    ) -> Result<Needed, Failure> {
        let account = who.account;
        if self.accounts().is_in_book(account, asset, address).await? {
            return Ok(Needed::default());
        }
        let is_known = self.treasury().has_paid_to(account, asset, address).await?;
        let delay = self.accounts().payout_delay();
        let is_held = !is_known && !delay.is_zero();
        Ok(Needed {
            password: !is_known && !who.is_key(),
            code: !who.is_key() && self.accounts().factors(account).await?.is_needed(),
            held_until: is_held.then(|| self.now().plus(delay)),
        })
    }

    /// Checks what is asked before a payout.
    async fn prove_payout(
        &self,
        account: AccountId,
        needed: Needed,
        given: Given<'_>,
        from: Client,
    ) -> Result<(), Failure> {
        let code = filled(given.code);
        if needed.password {
            let password = filled(given.password).ok_or_else(Failure::payout_password)?;
            if needed.code && code.is_none() {
                return Err(Failure::payout_code());
            }
            let proven = self.accounts().prove(account, password, code, from.0).await;
            proven.map_err(|e| accounts_failure(&e))?;
        } else if needed.code {
            let code = code.ok_or_else(Failure::payout_code)?;
            let proven = self.accounts().prove_by_code(account, code).await;
            proven.map_err(|e| accounts_failure(&e))?;
        }
        Ok(())
    }

    /// Requests a payout; the same key again gives the same payout.
    pub(crate) async fn request_payout(
        &self,
        who: &Customer,
        (amount, address): (Amount, &str),
        request_key: Option<String>,
        given: Given<'_>,
        from: Client,
    ) -> Result<Payout, Failure> {
        let account = who.account;
        let new = NewPayout { account, amount, address: address.to_owned(), request_key };
        // Pressed twice, the code is used up the second time, and the payout there.
        let before = self.treasury().payout_asked(&new).await.map_err(|e| treasury_failure(&e))?;
        if let Some(id) = before {
            return self.payout(account, id).await;
        }
        // What cannot be done is told before anything is asked for it.
        self.payout_offer(account, amount, address).await?;
        let terms = self.treasury().payout_terms(&new).await.map_err(|e| treasury_failure(&e))?;
        let needed = self.payout_needs(who, amount.asset, address).await?;
        self.prove_payout(account, needed, given, from).await?;
        let until = needed.held_until;
        let placed = transact!(self.store(), tx -> Result<PlacedPayout, PlaceError> => {
            let placed = self.treasury().place_payout(tx, &new, &terms, until).await?;
            if let (false, Some(until)) = (placed.before, until) {
                let what = (amount, address);
                self.accounts().tell_of_payout(tx, account, placed.id, what, until).await?;
            }
            Ok(placed)
        });
        let placed = placed.map_err(|e| e.failure())?;
        self.pulse().beat();
        self.payout(account, placed.id).await
    }

    /// A payout of the account.
    pub(crate) async fn payout(&self, account: AccountId, id: PayoutId) -> Result<Payout, Failure> {
        let found = self.treasury().payout(id).await?;
        found.filter(|p| p.account == account).ok_or_else(|| Failure::not_found("payout"))
    }

    /// Takes a payout of the account back, while nothing is signed.
    pub(crate) async fn cancel_payout(
        &self,
        account: AccountId,
        id: PayoutId,
    ) -> Result<(), Failure> {
        self.treasury().cancel_payout(account, id).await.map_err(|e| treasury_failure(&e))?;
        self.pulse().beat();
        Ok(())
    }

    /// Stops what a notice told of, by its ticket. A payout is taken back first, which may be done twice; then the
    /// ticket is used up.
    pub(crate) async fn undo(&self, ticket: String) -> Result<(), Failure> {
        let ticket = Ticket(ticket);
        if let Some((account, payout)) = self.accounts().payout_to_stop(&ticket).await? {
            self.cancel_payout(account, payout).await?;
        }
        self.accounts().undo(&ticket).await.map_err(|e| accounts_failure(&e))
    }
}
