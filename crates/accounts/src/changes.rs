//! Changes that count only after a delay, so that a thief is late: a new e-mail address, a new address in
//! the book of payouts, and no longer paying to the book alone.

use crate::lost::holds_payouts;
use crate::mail::queue;
use crate::service::Device;
use crate::sql::{
    ADD_ADDRESS, ADDRESS, ADDRESSES_OF, BOOK_ONLY, CHANGES_DUE, COUNT_ADDRESSES, EMAIL_CHANGE_OF,
    PUT_CHANGE, REMOVE_ADDRESS, REMOVE_CHANGE, REMOVE_CHANGES_OF, SET_BOOK_ONLY,
    SET_CHANGE_CONFIRMED, SET_EMAIL, WHOSE_MAIL,
};
use crate::tickets::{self, Purpose, Ticket};
use crate::{Accounts, AccountsError, Result, words};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, Duration, PayoutId, Timestamp};

/// How long a change waits, where the operator says nothing else.
pub const CHANGE_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Addresses in an account's book at most.
pub const ADDRESSES_MAX: i64 = 50;

/// Characters of an address, and of its label, at most.
const ADDRESS_CHARS_MAX: usize = 128;
const LABEL_CHARS_MAX: usize = 40;

/// What a ticket's detail begins with that stops a payout; no asset is called so.
const PAYOUT: &str = "payout";

/// Changes applied in one round.
const AT_ONCE: i64 = 100;

/// A ticket that stops something is good for so long after it is too late, so that whoever comes then is told so.
const LATE: Duration = Duration::from_secs(24 * 3600);

/// What the operator sets for accounts.
#[derive(Clone, Debug)]
pub struct AccountRules {
    /// How the house writes to its customers; it does not, if there is none.
    pub mail: Option<crate::MailRules>,
    /// How long a change of where messages and coins go waits.
    pub change_delay: Duration,
    /// How long a payout waits that goes where nothing of its account has gone before, and that its book does not have.
    pub payout_delay: Duration,
    /// How long the closing of an account waits.
    pub closing_delay: Duration,
    /// How long a lost second factor waits to be taken off; none is where it is nothing.
    pub recovery_delay: Duration,
    /// Whether an address comes into the book only with a signature of its key, and coins go to such addresses alone.
    pub owner_signatures: bool,
    /// The site whose passkeys count; there are none without it.
    pub passkeys: Option<crate::PasskeyRules>,
    /// What seals secrets that the house must read again; they lie open in the database without it.
    pub vault: Option<crate::Vault>,
}

impl Default for AccountRules {
    fn default() -> AccountRules {
        AccountRules {
            mail: None,
            change_delay: CHANGE_DELAY,
            payout_delay: CHANGE_DELAY,
            closing_delay: crate::CLOSING_DELAY,
            recovery_delay: crate::RECOVERY_DELAY,
            owner_signatures: false,
            passkeys: None,
            vault: None,
        }
    }
}

/// An instant as messages say it, `2026-11-21 01:21 UTC`: seconds since 1970 are nothing to read.
#[must_use]
pub fn date_text(at: Timestamp) -> String {
    when(at)
}

pub(crate) fn when(at: Timestamp) -> String {
    let days = at.secs().div_euclid(86_400);
    let secs = at.secs().rem_euclid(86_400);
    // Civil date from days since 1970, by eras of 400 years that begin in March.
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", secs / 3600, secs / 60 % 60)
}

/// An address in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookAddress {
    /// Of which coin.
    pub asset: Asset,
    /// The address.
    pub address: String,
    /// What its owner calls it.
    pub label: String,
    /// From when on it may be paid to.
    pub usable: Timestamp,
}

/// The book of addresses, and whether payouts go to it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressBook {
    /// The addresses.
    pub addresses: Vec<BookAddress>,
    /// Whether payouts go to these alone.
    pub only: bool,
    /// When that ends, if it does.
    pub only_until: Option<Timestamp>,
}

fn read(row: &Row) -> Result<BookAddress> {
    Ok(BookAddress {
        asset: row.get("asset")?,
        address: row.get("address")?,
        label: row.get("label")?,
        usable: row.get("usable_at")?,
    })
}

pub(crate) async fn put_email(
    tx: &mut Tx,
    account: AccountId,
    email: &str,
    now: Timestamp,
    due: Timestamp,
) -> Result<()> {
    tx.execute(PUT_CHANGE, &params![account, email, now, due]).await?;
    Ok(())
}

/// The new address has answered: from when on it counts.
pub(crate) async fn confirm_email(
    tx: &mut Tx,
    account: AccountId,
    email: &str,
) -> Result<Timestamp> {
    let row = tx.fetch_optional(SET_CHANGE_CONFIRMED, &params![account, email]).await?;
    Ok(row.ok_or(AccountsError::TicketVoid)?.get("due_at")?)
}

async fn book_only(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(bool, Option<Timestamp>)> {
    let Some(row) = tx.fetch_optional(BOOK_ONLY, &params![account]).await? else {
        return Ok((false, None));
    };
    let until: Option<Timestamp> = row.get("ends_at")?;
    Ok((until.is_none_or(|at| at > now), until.filter(|at| *at > now)))
}

impl Accounts {
    /// Applies changes whose time has come; how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn apply_changes(&self) -> Result<u32> {
        let now = self.now();
        let due = self.store().read().await?.fetch_all(CHANGES_DUE, &params![now, AT_ONCE]).await?;
        let mut applied = 0;
        for row in due {
            let (account, email): (AccountId, String) = (row.get("account")?, row.get("value")?);
            applied += transact!(self.store(), tx -> Result<_> => {
                // It may have been stopped or replaced meanwhile.
                if tx.execute(REMOVE_CHANGE, &params![account, &email]).await? == 0 {
                    return Ok(0);
                }
                let set = tx.execute(SET_EMAIL, &params![account, &email]).await?;
                let action = if set == 1 { "email.changed" } else { "email.taken_meanwhile" };
                self.record(tx, now, account, action).await?;
                Ok(1)
            })?;
        }
        Ok(applied)
    }

    /// The address that waits to be the account's, and from when on, if any; and whether it has answered.
    ///
    /// # Errors
    /// The database's.
    pub async fn email_change(
        &self,
        account: AccountId,
    ) -> Result<Option<(String, Timestamp, bool)>> {
        let row =
            self.store().read().await?.fetch_optional(EMAIL_CHANGE_OF, &params![account]).await?;
        let read = |r: Row| Ok((r.get("value")?, r.get("due_at")?, r.get("confirmed")?));
        row.map(read).transpose()
    }

    /// How long a payout to a new destination waits.
    #[must_use]
    pub fn payout_delay(&self) -> Duration {
        self.rules().payout_delay
    }

    /// Queues the notice of a payout that waits, with the way to stop it, within the transaction that asks for it.
    ///
    /// # Errors
    /// [`AccountsError::TooManyAttempts`] where too many such notices are out; the database's.
    pub async fn tell_of_payout(
        &self,
        tx: &mut Tx,
        account: AccountId,
        payout: PayoutId,
        (amount, address): (Amount, &str),
        until: Timestamp,
    ) -> Result<()> {
        let now = self.now();
        let what = format!(
            "{amount} is to be withdrawn to {address}, where nothing of yours went before."
        );
        self.notify(tx, account, &what, &format!("{PAYOUT} {payout}"), until, now).await?;
        self.record(tx, now, account, "payout.held").await
    }

    /// The payout that a notice's ticket stops, if that is what it stops. Whoever has it taken back, then has the ticket
    /// used up by [`Accounts::undo`]: done twice, it is as done once.
    ///
    /// # Errors
    /// The database's.
    pub async fn payout_to_stop(&self, ticket: &Ticket) -> Result<Option<(AccountId, PayoutId)>> {
        let mut tx = self.store().read().await?;
        let held = tickets::look(&mut tx, &ticket.0, Purpose::Undo, self.now()).await?;
        let of = |held: tickets::Held| {
            let id = held.detail.strip_prefix(PAYOUT)?.trim_start().parse().ok()?;
            Some((held.account, id))
        };
        Ok(held.and_then(of))
    }

    /// Stops what a notice told of, by the ticket in it: a new e-mail address, an address in the book, or the taking off of
    /// a lost factor. A payout is the treasury's: see [`Accounts::payout_to_stop`].
    ///
    /// # Errors
    /// [`AccountsError::TicketVoid`]; [`AccountsError::NothingToStop`] where it counts already or is gone, so that
    /// nobody is told that something was stopped which was not; the database's.
    pub async fn undo(&self, ticket: &Ticket) -> Result<()> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::take(tx, &ticket.0, Purpose::Undo, now).await?;
            let held = held.ok_or(AccountsError::TicketVoid)?;
            let account = held.account;
            let stopped = match held.detail.split_once(' ') {
                None if held.detail == tickets::LOST => {
                    u64::from(self.stop_losing(tx, (None, account), now).await?)
                }
                None if held.detail == "email" => {
                    tickets::void(tx, account, Purpose::NewEmail).await?;
                    tx.execute(REMOVE_CHANGES_OF, &params![account]).await?
                }
                // Taken back by now.
                Some((PAYOUT, _)) => 1,
                // One that is paid to already is taken out, too: no more goes there.
                Some((asset, address)) => {
                    tx.execute(REMOVE_ADDRESS, &params![account, asset, address]).await?
                }
                None => tx.execute(SET_BOOK_ONLY, &params![account, now, None::<Timestamp>]).await?,
            };
            if stopped == 0 {
                return Err(AccountsError::NothingToStop);
            }
            self.record(tx, now, account, "change.stopped").await
        })
    }

    /// Whether an address comes into the book only with a signature of its key. Whoever adds it has checked that.
    #[must_use]
    pub fn wants_owner_signatures(&self) -> bool {
        self.rules().owner_signatures
    }

    /// The account's book of addresses.
    ///
    /// # Errors
    /// The database's.
    pub async fn address_book(&self, account: AccountId) -> Result<AddressBook> {
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(ADDRESSES_OF, &params![account]).await?;
        let (only, only_until) = book_only(&mut tx, account, self.now()).await?;
        let addresses = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(AddressBook { addresses, only, only_until })
    }

    /// Puts an address into the book; it may be paid to after the delay. Whether it is one of the coin's,
    /// the caller checks. The same again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError::BadAddress`]; [`AccountsError::TooManyAddresses`]; as [`Accounts::prove`].
    pub async fn add_address(
        &self,
        account: AccountId,
        proof: (&str, Option<&str>),
        new: (Asset, &str, &str),
        from: impl Into<Device>,
    ) -> Result<Timestamp> {
        let (asset, address, label) = (new.0, new.1.trim(), new.2.trim());
        let fine = (1..=ADDRESS_CHARS_MAX).contains(&address.len())
            && address.bytes().all(|b| b.is_ascii_graphic())
            && label.chars().count() <= LABEL_CHARS_MAX
            && !label.chars().any(char::is_control);
        if !fine {
            return Err(AccountsError::BadAddress);
        }
        self.prove(account, proof.0, proof.1, from).await?;
        let now = self.now();
        let usable = now.plus(self.rules().change_delay);
        transact!(self.store(), tx -> Result<_> => {
            let held: i64 = tx.fetch_one(COUNT_ADDRESSES, &params![account]).await?.get("n")?;
            if held >= ADDRESSES_MAX {
                return Err(AccountsError::TooManyAddresses);
            }
            let row = params![account, asset, address, label, now, usable];
            if tx.execute(ADD_ADDRESS, &row).await? == 0 {
                let row = tx.fetch_one(ADDRESS, &params![account, asset, address]).await?;
                return Ok(row.get("usable_at")?);
            }
            let detail = format!("{asset} {address}");
            let what = format!("{asset} may be withdrawn to {address}.");
            self.notify(tx, account, &what, &detail, usable, now).await?;
            self.record(tx, now, account, "address.added").await?;
            Ok(usable)
        })
    }

    /// Takes an address out of the book, at once; whether it was in it.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_address(
        &self,
        account: AccountId,
        asset: Asset,
        address: &str,
    ) -> Result<bool> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let gone = tx.execute(REMOVE_ADDRESS, &params![account, asset, address]).await? == 1;
            if gone {
                self.record(tx, now, account, "address.removed").await?;
            }
            Ok(gone)
        })
    }

    /// Has payouts go to the book alone, at once; or no longer so, after the delay.
    ///
    /// # Errors
    /// As [`Accounts::prove`].
    pub async fn pay_to_book_only(
        &self,
        account: AccountId,
        only: bool,
        proof: (&str, Option<&str>),
        from: impl Into<Device>,
    ) -> Result<()> {
        self.prove(account, proof.0, proof.1, from).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let (is_only, ends) = book_only(tx, account, now).await?;
            if only {
                tx.execute(SET_BOOK_ONLY, &params![account, now, None::<Timestamp>]).await?;
                return self.record(tx, now, account, "book.only").await;
            }
            if !is_only || ends.is_some() {
                return Ok(());
            }
            let due = now.plus(self.rules().change_delay);
            tx.execute(SET_BOOK_ONLY, &params![account, now, Some(due)]).await?;
            let what = "Payouts will no longer go to your address book alone.";
            self.notify(tx, account, what, "book", due, now).await?;
            self.record(tx, now, account, "book.not_only").await
        })
    }

    /// Whether an address stands in the account's book and may be paid to now.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_in_book(
        &self,
        account: AccountId,
        asset: Asset,
        address: &str,
    ) -> Result<bool> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(ADDRESS, &params![account, asset, address]).await?;
        let usable: Option<Timestamp> = row.map(|r| r.get("usable_at")).transpose()?;
        Ok(usable.is_some_and(|at| at <= self.now()))
    }

    /// Whether a payout may go there now. Where the house wants signatures of owners, all go to the book, since
    /// nothing outside it is signed for.
    ///
    /// # Errors
    /// [`AccountsError::FactorLost`]; [`AccountsError::NotInBook`]; [`AccountsError::NotUsableYet`]; the database's.
    pub async fn may_pay_to(&self, account: AccountId, asset: Asset, address: &str) -> Result<()> {
        let now = self.now();
        let mut tx = self.store().read().await?;
        holds_payouts(&mut tx, account).await?;
        if !self.wants_owner_signatures() && !book_only(&mut tx, account, now).await?.0 {
            return Ok(());
        }
        let row = tx.fetch_optional(ADDRESS, &params![account, asset, address]).await?;
        let usable: Timestamp = row.ok_or(AccountsError::NotInBook)?.get("usable_at")?;
        if usable > now {
            return Err(AccountsError::NotUsableYet(when(usable)));
        }
        Ok(())
    }

    /// Whether something may go from the account to another customer now, within the caller's transaction: not while
    /// its payouts go to the book alone, which nobody else's account stands in, nor while its second factor is said to
    /// be lost.
    ///
    /// # Errors
    /// [`AccountsError::FactorLost`]; [`AccountsError::BookOnly`]; the database's.
    pub async fn may_pay_customers(&self, tx: &mut Tx, account: AccountId) -> Result<()> {
        holds_payouts(tx, account).await?;
        if book_only(tx, account, self.now()).await?.0 {
            return Err(AccountsError::BookOnly);
        }
        Ok(())
    }

    /// A ticket that stops what counts from `due` on: however long that is, until after it. Of a payout no longer, so
    /// that only those are counted which still wait; an address can be taken out of the book later, too.
    pub(crate) async fn issue_stop(
        &self,
        tx: &mut Tx,
        account: AccountId,
        what: &str,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<Ticket> {
        let late = due.plus(LATE);
        let until = match what.starts_with(PAYOUT) {
            true => late,
            false => late.max(now.plus(Purpose::Undo.life())),
        };
        let what = (Purpose::Undo, what);
        tickets::issue_until(tx, account, what, (now, until), self.entropy()).await
    }

    /// Queues a notice with the way to stop what it tells of, where the house writes.
    async fn notify(
        &self,
        tx: &mut Tx,
        account: AccountId,
        what: &str,
        undo: &str,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
        let ticket = self.issue_stop(tx, account, undo, now, due).await?;
        let (to, language): (String, Option<String>) = (row.get("email")?, row.get("language")?);
        let voice = rules.voice(language.as_deref());
        let mail = words::notice(voice, &to, what, &when(due), &ticket.0);
        queue(tx, account, &mail, now, self.mail_id()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_messages_are_dates() {
        for (secs, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_224_061, "2026-11-21 01:21 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
        ] {
            assert_eq!(when(Timestamp::from_secs(secs)), text);
        }
    }
}
