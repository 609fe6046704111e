//! What a customer changes of how an account is protected: each change once, for the pages and for programs alike.
//! Delays, proofs and messages are the accounts room's ([`gruve_accounts`]); here stands what other rooms have to say
//! or to do besides.

use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::state::{AppState, SignedIn, accounts_failure};
use crate::trade::treasury_failure;
use gruve_accounts::{Device, Ticket, TotpSetup};
use gruve_proof::bip322::Bip322Error;
use gruve_proof::reserves::{Holder, Holding};
use gruve_units::{AccountId, Amount, Asset, Timestamp};

/// What the owner of an address signs: it is good for one account and one address.
pub(crate) fn owner_text(account: AccountId, address: &str) -> String {
    format!("payouts of account {account} may go to {address}")
}

/// An address for the book.
pub(crate) struct NewBookAddress<'a> {
    pub(crate) asset: Asset,
    pub(crate) address: &'a str,
    /// What its owner calls it.
    pub(crate) label: &'a str,
    /// Of [`owner_text`] by the address; may be empty where the house does not want one.
    pub(crate) signature: &'a str,
}

/// Password, and a code where the account has a second factor.
pub(crate) type Proof<'a> = (&'a str, &'a str);

impl AppState {
    /// Puts an address into an account's book; from when on it may be paid to.
    pub(crate) async fn add_to_book(
        &self,
        account: AccountId,
        proof: Proof<'_>,
        new: NewBookAddress<'_>,
        from: Device,
    ) -> Result<Timestamp, Failure> {
        let (asset, address) = (new.asset, new.address.trim());
        // The treasury says whether it is one of the coin's.
        let one = Amount::new(asset, asset.unit());
        self.treasury().quote_payout(one, address).await.map_err(|e| treasury_failure(&e))?;
        self.check_owner(account, (asset, address), new.signature.trim())?;
        let added = self
            .accounts()
            .add_address(account, (proof.0, Some(proof.1)), (asset, address, new.label), from)
            .await;
        added.map_err(|e| accounts_failure(&e))
    }

    /// Refuses where the owner's signature is wanted and missing, or given and not right.
    fn check_owner(
        &self,
        account: AccountId,
        (asset, address): (Asset, &str),
        signature: &str,
    ) -> Result<(), Failure> {
        if signature.is_empty() {
            if self.accounts().wants_owner_signatures() {
                return Err(Failure::refused(
                    "Sign the text below with the address, and paste the signature.",
                ));
            }
            return Ok(());
        }
        let of = self.treasury().script_of(asset, address).map_err(|e| treasury_failure(&e))?;
        let holding = if self.treasury().is_account_chain(asset) {
            Holding::Account(0)
        } else {
            Holding::Coins(Vec::new())
        };
        let owner = Holder { of, signature: signature.to_owned(), holding };
        match owner.check(&owner_text(account, address)) {
            Ok(()) => Ok(()),
            Err(Bip322Error::Inconclusive) => Err(Failure::refused(
                "Signatures of this kind of address cannot be checked here. Take an address of a single key.",
            )),
            Err(_) => Err(Failure::refused("This is not a signature of the text by this address.")),
        }
    }

    /// Takes back what a thief of the old password may have had wait: payouts that are held, machines that would change hands,
    /// and addresses of machines that do not count yet.
    async fn drop_what_waits(&self, account: AccountId) -> Result<(), Failure> {
        let payouts = self.treasury().cancel_held_payouts(account).await;
        let payouts = u64::from(payouts.map_err(|e| treasury_failure(&e))?);
        let addresses = self.hosting().drop_next_addresses(account).await;
        if payouts + addresses.map_err(|e| hosting_failure(&e))? > 0 {
            self.pulse().beat();
        }
        self.hosting().drop_handing(account).await.map_err(|e| hosting_failure(&e))
    }

    /// Sets a new password; the session that asks stays, all others, what programs are told and what waits for a delay
    /// end.
    pub(crate) async fn change_password(
        &self,
        (account, token): (AccountId, &str),
        proof: Proof<'_>,
        new: &str,
        from: Device,
    ) -> Result<(), Failure> {
        let proof = (proof.0, Some(proof.1));
        let changed = self.accounts().change_password(account, proof, new, token, from).await;
        changed.map_err(|e| accounts_failure(&e))?;
        self.drop_what_waits(account).await?;
        self.end_webhooks(account).await
    }

    /// Sets a new password by the ticket of a message; all sessions, what programs are told and what waits for a delay
    /// end.
    pub(crate) async fn reset_password(&self, ticket: String, new: &str) -> Result<(), Failure> {
        let set = self.accounts().reset_password(&Ticket(ticket), new).await;
        let account = set.map_err(|e| accounts_failure(&e))?;
        self.drop_what_waits(account).await?;
        self.end_webhooks(account).await
    }

    /// A secret for a program that shows codes, under the house's name where such programs can show it, else the site's.
    pub(crate) async fn begin_totp(&self, account: AccountId) -> Result<TotpSetup, Failure> {
        let origin = self.config().origin.as_deref().unwrap_or("https://Gruve");
        let host = origin.split("//").nth(1).unwrap_or("Gruve");
        let house = self.house();
        let is_plain = house.is_ascii() && house.contains(|c: char| c.is_ascii_alphanumeric());
        let issuer = if is_plain { &house } else { host.split(':').next().unwrap_or("Gruve") };
        let setup = self.accounts().begin_totp(account, issuer).await;
        setup.map_err(|e| accounts_failure(&e))
    }

    /// Sends the link that takes a lost second factor off, to whoever has the password.
    pub(crate) async fn ask_to_drop_factor(
        &self,
        login: &str,
        password: &str,
        from: Device,
    ) -> Result<(), Failure> {
        match self.sign_in(login, password, from).await? {
            SignedIn::CodeNeeded(ticket) => {
                let asked = self.accounts().ask_to_drop_factor(&ticket).await;
                asked.map_err(|e| accounts_failure(&e))
            }
            // Nothing is lost: the password alone signs in. The session is of no use to anybody.
            SignedIn::Yes(opened) => {
                self.accounts().sign_out(&opened.token).await?;
                Err(Failure::refused("This account asks for no second factor: sign in."))
            }
        }
    }
}
