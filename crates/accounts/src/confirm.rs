//! Confirming addresses, and setting a new password by mail.
//!
//! What can be asked for without a password answers alike whether the account exists, and does the work
//! that takes time (writing a message) for accounts alone in a transaction like any other; how long the
//! transaction takes says little over a network.

use crate::attempts::{AttemptLimit, count_letter, count_of, standing};
use crate::mail::{queue, queue_notice};
use crate::service::Device;
use crate::sql::{
    ACCOUNT_BY_EMAIL, REMOVE_CHANGES_OF, REMOVE_KEYS_OF, REMOVE_NEW_ADDRESSES, REMOVE_SESSIONS_OF,
    SET_ATTEMPTS, SET_PASSWORD, STAY_BOOK_ONLY, WHOSE_MAIL,
};
use crate::tickets::{self, Purpose, Ticket};
use crate::{Accounts, AccountsError, Result, changes, names, passkeys, unconfirmed, words};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Messages that anybody may have sent to one address: three at once, then one in a quarter of an hour.
pub const PER_ADDRESS: AttemptLimit =
    AttemptLimit { at_once: 3, interval: Duration::from_secs(900) };

/// What confirming came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The account is open.
    SignUp,
    /// The new address counts from then on.
    NewAddress(Timestamp),
}

/// Counted by the address, whether there is such an account or not; 21 bytes: no other subject has that.
fn subject(what: &[u8], email: &str) -> Vec<u8> {
    Sha256::new().chain_update(what).chain_update(email).finalize()[..21].to_vec()
}

impl Accounts {
    /// Queues the message by which a new account confirms its address.
    pub(crate) async fn ask_to_confirm(
        &self,
        tx: &mut Tx,
        account: AccountId,
        now: Timestamp,
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
        let (name, email): (String, String) = (row.get("name")?, row.get("email")?);
        let language: Option<String> = row.get("language")?;
        if !email.contains('@') {
            // The address is another account's; see `sign_up_from`.
            return Ok(());
        }
        let ticket = tickets::issue(tx, account, Purpose::SignUp, "", now, self.entropy()).await?;
        let mail =
            words::confirm_sign_up(rules.voice(language.as_deref()), &email, &name, &ticket.0);
        queue(tx, account, &mail, now, self.mail_id()).await
    }

    /// Writes to the owner of an address with which somebody wanted to open another account; not more often than
    /// anybody may have messages sent there.
    pub(crate) async fn tell_has_account(
        &self,
        tx: &mut Tx,
        owner: &Row,
        email: &str,
        now: Timestamp,
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let (whose, name): (AccountId, String) = (owner.get("id")?, owner.get("name")?);
        let language: Option<String> = owner.get("language")?;
        let subject = subject(b"mail sign-up", email);
        match standing(tx, &subject, PER_ADDRESS, now).await {
            Ok(until) => tx.execute(SET_ATTEMPTS, &params![subject, until]).await?,
            // Nobody is told that it was too often: that would tell of the account.
            Err(AccountsError::TooManyAttempts { .. }) => return Ok(()),
            Err(e) => return Err(e),
        };
        let mail = words::has_account(rules.voice(language.as_deref()), email, &name);
        queue_notice(tx, whose, &mail, now, self.mail_id()).await
    }

    /// Confirms an address by the ticket that was sent to it: a new account's, or an account's new one.
    ///
    /// # Errors
    /// [`AccountsError::TicketVoid`]; [`AccountsError::Taken`] when another account has the address by
    /// now; the database's.
    pub async fn confirm(&self, ticket: &Ticket) -> Result<Confirmed> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if let Some(held) = tickets::take(tx, &ticket.0, Purpose::SignUp, now).await? {
                unconfirmed::confirmed(tx, held.account).await?;
                tickets::void(tx, held.account, Purpose::SignUp).await?;
                self.record(tx, now, held.account, "email.confirmed").await?;
                return Ok(Confirmed::SignUp);
            }
            let held = tickets::take(tx, &ticket.0, Purpose::NewEmail, now).await?;
            let held = held.ok_or(AccountsError::TicketVoid)?;
            let due = changes::confirm_email(tx, held.account, &held.detail).await?;
            self.record(tx, now, held.account, "email.new_confirmed").await?;
            Ok(Confirmed::NewAddress(due))
        })
    }

    /// Confirms the address of an account at the machine itself, in place of the message: where mail does not arrive.
    /// Confirming what is confirmed does nothing.
    ///
    /// # Errors
    /// [`AccountsError::NoAccount`]; [`AccountsError::Taken`] where the address given is another account's, so that this
    /// one has none; the database's.
    pub async fn confirm_by_hand(&self, name: &str) -> Result<()> {
        let account = self.account_by_name(name).await?.ok_or(AccountsError::NoAccount)?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if !unconfirmed::is_unconfirmed(tx, account).await? {
                return Ok(());
            }
            let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
            if !row.get::<String>("email")?.contains('@') {
                return Err(AccountsError::Taken);
            }
            unconfirmed::confirmed(tx, account).await?;
            tickets::void(tx, account, Purpose::SignUp).await?;
            self.record(tx, now, account, "email.confirmed_by_hand").await
        })
    }

    /// Sends the message by which a new password is set, if an account has this address. The answer is
    /// the same if none has.
    ///
    /// # Errors
    /// As [`Accounts::ask_for_reset_from`].
    pub async fn ask_for_reset(&self, email: &str) -> Result<()> {
        self.ask_for_reset_from(email, None).await
    }

    /// The same, from an address on the network, where it is known: one network may have
    /// [`LETTERS_PER_NETWORK`](crate::LETTERS_PER_NETWORK) sent.
    ///
    /// # Errors
    /// [`AccountsError::NoMail`]; [`AccountsError::TooManyAttempts`], for any address alike.
    pub async fn ask_for_reset_from(&self, email: &str, from: Option<IpAddr>) -> Result<()> {
        let rules = self.mail_rules().ok_or(AccountsError::NoMail)?;
        let Ok(email) = names::email(email.trim()) else { return Ok(()) };
        let now = self.now();
        let subject = subject(b"mail", &email);
        transact!(self.store(), tx -> Result<_> => {
            if let Some(from) = from {
                count_letter(tx, from, now).await?;
            }
            count_of(tx, subject.clone(), PER_ADDRESS, now).await?;
            let found = tx.fetch_optional(ACCOUNT_BY_EMAIL, &params![&email]).await?;
            let Some(row) = found else { return Ok(()) };
            let (account, name): (AccountId, String) = (row.get("id")?, row.get("name")?);
            let language: Option<String> = row.get("language")?;
            let entropy = self.entropy();
            let ticket = tickets::issue(tx, account, Purpose::Reset, "", now, entropy).await?;
            // Not refused where many wait: that would tell of the account, and it is bounded by the address.
            let mail = words::reset(rules.voice(language.as_deref()), &email, &name, &ticket.0);
            queue_notice(tx, account, &mail, now, self.mail_id()).await?;
            self.record(tx, now, account, "password.reset_asked").await
        })
    }

    /// Sets a new password by a ticket that was sent by mail, and ends all sessions, keys for programs, and changes
    /// that wait for their delay. A second factor is asked for at the next sign-in as ever. Says whose it was.
    ///
    /// # Errors
    /// [`AccountsError::TicketVoid`], [`AccountsError::BadPassword`], [`AccountsError::GuessablePassword`],
    /// [`AccountsError::Crowded`].
    pub async fn reset_password(&self, ticket: &Ticket, new: &str) -> Result<AccountId> {
        names::check_length(new)?;
        let now = self.now();
        {
            // Looked at first: who has no ticket costs no hash.
            let mut tx = self.store().read().await?;
            let held = tickets::look(&mut tx, &ticket.0, Purpose::Reset, now).await?;
            let account = held.ok_or(AccountsError::TicketVoid)?.account;
            self.check_new_password(&mut tx, account, new).await?;
        }
        let hash = self.hash_password(new).await?;
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::take(tx, &ticket.0, Purpose::Reset, now).await?;
            let account = held.ok_or(AccountsError::TicketVoid)?.account;
            tx.execute(SET_PASSWORD, &params![account, &hash]).await?;
            tx.execute(REMOVE_SESSIONS_OF, &params![account]).await?;
            // Whoever reads the mail has confirmed the address by that.
            unconfirmed::confirmed(tx, account).await?;
            for purpose in [Purpose::Reset, Purpose::Second, Purpose::SignUp, Purpose::LostFactor] {
                tickets::void(tx, account, purpose).await?;
            }
            self.drop_what_waits(tx, account, now).await?;
            // Whoever had the old one may have said that the factor is lost.
            self.stop_losing(tx, (None, account), now).await?;
            self.tell_password(tx, account, "was set anew by mail", now).await?;
            self.record(tx, now, account, "password.reset").await?;
            Ok(account)
        })
    }

    /// Ends what somebody who had the old password may have left behind: keys for programs, a new e-mail address,
    /// new addresses of the book, leaving the book.
    pub(crate) async fn drop_what_waits(
        &self,
        tx: &mut Tx,
        account: AccountId,
        now: Timestamp,
    ) -> Result<()> {
        for sql in [REMOVE_KEYS_OF, REMOVE_CHANGES_OF] {
            tx.execute(sql, &params![account]).await?;
        }
        for sql in [REMOVE_NEW_ADDRESSES, STAY_BOOK_ONLY] {
            tx.execute(sql, &params![account, now]).await?;
        }
        tickets::void(tx, account, Purpose::NewEmail).await
    }

    /// Tells that there is a new password, and what it ended; passkeys stay, as codes do.
    pub(crate) async fn tell_password(
        &self,
        tx: &mut Tx,
        account: AccountId,
        done: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut what = format!(
            "The password of your account {done}. Keys for programs have ended, and changes that waited are dropped."
        );
        if passkeys::count(tx, account).await? > 0 {
            what.push('\n');
            what.push_str(
                "Its passkeys still sign in: look through them, and end those that are not yours.",
            );
        }
        self.tell(tx, account, &what, now).await
    }

    /// Queues a notice to an account's owner of what was done elsewhere in the house, in the transaction that does
    /// it: a sentence, or one on each line, as each is said in the owner's language. What is done does not depend on it.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_owner(&self, tx: &mut Tx, account: AccountId, what: &str) -> Result<()> {
        self.tell(tx, account, what, self.now()).await
    }

    /// Queues a letter to an account's owner of what became of contracts, in the transaction that takes it from where it waits:
    /// sentences, as each is said in the owner's language, each with the path of the page that shows more. There is none
    /// where too many letters wait, nor to an account that is not there.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_of_contracts(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lines: &[(String, String)],
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let Some(row) = tx.fetch_optional(WHOSE_MAIL, &params![account]).await? else {
            return Ok(());
        };
        let (email, language): (String, Option<String>) = (row.get("email")?, row.get("language")?);
        let mail = words::of_contracts(rules.voice(language.as_deref()), &email, lines);
        queue_notice(tx, account, &mail, self.now(), self.mail_id()).await
    }

    /// Queues a notice of something that has happened, where the house writes.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx,
        account: AccountId,
        what: &str,
        now: Timestamp,
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
        let (email, language): (String, Option<String>) = (row.get("email")?, row.get("language")?);
        let mail = words::done(rules.voice(language.as_deref()), &email, what);
        queue_notice(tx, account, &mail, now, self.mail_id()).await
    }

    /// Asks for a new address of the account's owner: it must be confirmed by a message to it, and counts
    /// after the delay; the old address is told, and can stop it. Whether another account has the address is not
    /// said here: then its owner is written to, and nothing ever confirms the change. An address that nobody has
    /// confirmed gets no more messages than anybody may have sent there.
    ///
    /// # Errors
    /// [`AccountsError::NoMail`], [`AccountsError::BadEmail`], [`AccountsError::TooManyAttempts`]; as
    /// [`Accounts::prove`].
    pub async fn ask_for_email(
        &self,
        account: AccountId,
        proof: (&str, Option<&str>),
        email: &str,
        from: impl Into<Device>,
    ) -> Result<Timestamp> {
        let rules = self.mail_rules().ok_or(AccountsError::NoMail)?;
        let email = names::email(email.trim())?;
        self.prove(account, proof.0, proof.1, from).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            count_of(tx, subject(b"mail new", &email), PER_ADDRESS, now).await?;
            let owner = tx.fetch_optional(ACCOUNT_BY_EMAIL, &params![&email]).await?;
            let due = now.plus(self.rules().change_delay);
            changes::put_email(tx, account, &email, now, due).await?;
            tickets::void(tx, account, Purpose::NewEmail).await?;
            let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
            let (name, old): (String, String) = (row.get("name")?, row.get("email")?);
            let language: Option<String> = row.get("language")?;
            let voice = rules.voice(language.as_deref());
            let entropy = self.entropy();
            if let Some(owner) = owner {
                self.tell_has_account(tx, &owner, &email, now).await?;
            } else {
                let ticket =
                    tickets::issue(tx, account, Purpose::NewEmail, &email, now, entropy).await?;
                let mail = words::confirm_new(voice, &email, &name, &ticket.0);
                queue(tx, account, &mail, now, self.mail_id()).await?;
            }
            let undo = self.issue_stop(tx, account, "email", now, due).await?;
            let what = format!("The account {name} is to have another e-mail address.");
            let mail = words::notice(voice, &old, &what, &changes::when(due), &undo.0);
            queue(tx, account, &mail, now, self.mail_id()).await?;
            self.record(tx, now, account, "email.change_asked").await?;
            Ok(due)
        })
    }
}
