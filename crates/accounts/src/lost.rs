//! A second factor that is lost, and its codes for a lost device with it: taken off for whoever has the password and
//! reads the account's mail, after a wait in which everybody who could be wronged by it is told and can stop it.
//!
//! | phase | begun by | meanwhile |
//! |---|---|---|
//! | asked | the password, given just before | a message is on its way to the account's address; nothing else has changed |
//! | waiting | the link in that message | nothing is paid out; told by mail each day, on every page of every session, and to staff |
//! | done | the clock | factor, passkeys, codes for a lost device, sessions, keys for programs are gone; nothing is paid out yet |
//! | over | the clock, the delay of a change later | payouts go again |
//!
//! While it waits it is stopped by any session of the account, by each of the messages, by staff, by a new password set
//! by mail, and by the factor itself: what signs in or proves who sits there is not lost.
//!
//! Staff has a lost factor taken off at the machine itself ([`Accounts::drop_factors`]): who could open the console by
//! this way would need no more than a mailbox and patience.

use crate::attempts::count_of;
use crate::confirm::PER_ADDRESS;
use crate::mail::{queue, queue_notice};
use crate::sql::{
    BEGIN_LOST, END_LOST, ERASE_PASSKEYS, FREE_LOST, LOST_DUE, LOST_FREE, LOST_OF, LOST_TO_TELL,
    LOST_WAITING, NEW_ADDRESS_OF, REMOVE_RECOVERY, REMOVE_SESSIONS_OF, REMOVE_TOTP, ROLE_OF,
    STOP_LOST, TOLD_LOST, WHOSE_MAIL,
};
use crate::tickets::{self, Purpose, Ticket};
use crate::{Accounts, AccountsError, AuditRow, Result, changes, factors, record, words};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};

/// How long it waits, where the operator says nothing else: longer than most are away from their mail.
pub const RECOVERY_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// It is told again so often.
const TOLD_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Looked at in one round.
const AT_ONCE: i64 = 50;

/// Listed for staff at most: more than a support desk can look at.
const LISTED_MAX: i64 = 100;

/// A second factor that is to be taken off, or has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFactor {
    /// Whose.
    pub account: AccountId,
    /// When the wait began.
    pub asked: Timestamp,
    /// When it is taken off.
    pub due: Timestamp,
    /// When it was.
    pub done: Option<Timestamp>,
    /// From when on payouts go again.
    pub free: Timestamp,
}

fn read(row: &Row) -> Result<LostFactor> {
    Ok(LostFactor {
        account: row.get("account")?,
        asked: row.get("asked_at")?,
        due: row.get("due_at")?,
        done: row.get("done_at")?,
        free: row.get("free_at")?,
    })
}

pub(crate) async fn lost_of(tx: &mut Tx, account: AccountId) -> Result<Option<LostFactor>> {
    tx.fetch_optional(LOST_OF, &params![account]).await?.map(|r| read(&r)).transpose()
}

/// Counted by the account; 19 bytes: no other subject has that length.
fn subject(account: AccountId) -> Vec<u8> {
    [account.to_bytes().as_slice(), b"off"].concat()
}

impl Accounts {
    /// How long a lost factor waits to be taken off; `None` where this house does not do so: it writes no mail, or its
    /// operator has set no time.
    #[must_use]
    pub fn recovery_delay(&self) -> Option<Duration> {
        let delay = self.rules().recovery_delay;
        self.mail_rules().and((!delay.is_zero()).then_some(delay))
    }

    /// Sends the message by which a lost second factor is taken off, to whoever has just given the password. The
    /// password's ticket stays good.
    ///
    /// # Errors
    /// [`AccountsError::NoRecovery`]; [`AccountsError::TicketVoid`]; [`AccountsError::StaffFactor`];
    /// [`AccountsError::TooManyAttempts`]; the database's.
    pub async fn ask_to_drop_factor(&self, password: &Ticket) -> Result<()> {
        let rules = self.mail_rules().ok_or(AccountsError::NoRecovery)?;
        let delay = self.recovery_delay().ok_or(AccountsError::NoRecovery)?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::look(tx, &password.0, Purpose::Second, now).await?;
            let account = held.ok_or(AccountsError::TicketVoid)?.account;
            refuse_staff(tx, account).await?;
            count_of(tx, subject(account), PER_ADDRESS, now).await?;
            let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
            let (name, email): (String, String) = (row.get("name")?, row.get("email")?);
            let language: Option<String> = row.get("language")?;
            let entropy = self.entropy();
            let ticket = tickets::issue(tx, account, Purpose::LostFactor, "", now, entropy).await?;
            let voice = rules.voice(language.as_deref());
            let days = delay.as_secs().div_ceil(86_400);
            let mail = words::lost_factor(voice, &email, &name, days, &ticket.0);
            queue(tx, account, &mail, now, self.mail_id()).await?;
            self.record(tx, now, account, "factor.lost_asked").await
        })
    }

    /// Begins the wait, by the ticket of that message. Where it has begun already, nothing changes.
    ///
    /// # Errors
    /// [`AccountsError::NoRecovery`]; [`AccountsError::TicketVoid`], also where there is no factor any more;
    /// [`AccountsError::StaffFactor`]; the database's.
    pub async fn begin_dropping_factor(&self, ticket: &Ticket) -> Result<LostFactor> {
        let delay = self.recovery_delay().ok_or(AccountsError::NoRecovery)?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::take(tx, &ticket.0, Purpose::LostFactor, now).await?;
            let account = held.ok_or(AccountsError::TicketVoid)?.account;
            refuse_staff(tx, account).await?;
            if !factors::factors(tx, account).await?.is_needed() {
                return Err(AccountsError::TicketVoid);
            }
            let due = now.plus(delay);
            let free = due.plus(self.rules().change_delay);
            if tx.execute(BEGIN_LOST, &params![account, now, due, now, free]).await? == 1 {
                self.record(tx, now, account, "factor.lost").await?;
                self.tell_lost(tx, account, due, now).await?;
            }
            lost_of(tx, account).await?.ok_or(AccountsError::TicketVoid)
        })
    }

    /// A lost factor of an account that waits to be taken off, or was and still holds payouts back.
    ///
    /// # Errors
    /// The database's.
    pub async fn lost_factor(&self, account: AccountId) -> Result<Option<LostFactor>> {
        lost_of(&mut self.store().read().await?, account).await
    }

    /// Those that wait, the earliest due first, with their accounts' names; for staff.
    ///
    /// # Errors
    /// The database's.
    pub async fn lost_factors(&self) -> Result<Vec<(LostFactor, String)>> {
        let given = params![LISTED_MAX];
        let rows = self.store().read().await?.fetch_all(LOST_WAITING, &given).await?;
        rows.iter().map(|r| Ok((read(r)?, r.get("name")?))).collect()
    }

    /// Keeps the factor; whether anything waited. `by` is who of the staff does so, `None` for the account's owner.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_factor(&self, by: Option<AccountId>, account: AccountId) -> Result<bool> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            self.stop_losing(tx, (by, account), now).await
        })
    }

    /// Takes all factors of an account off at once, at the machine itself: whoever may read the data folder has looked
    /// who asks. All its sessions and keys end.
    ///
    /// # Errors
    /// [`AccountsError::NoAccount`]; the database's.
    pub async fn drop_factors(&self, name: &str) -> Result<()> {
        let account = self.account_by_name(name).await?.ok_or(AccountsError::NoAccount)?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            tx.execute(END_LOST, &params![account]).await?;
            self.take_off(tx, account, now).await
        })
    }

    /// Stops it where the factor has just been used: it is not lost.
    pub(crate) async fn factor_is_there(
        &self,
        tx: &mut Tx,
        account: AccountId,
        now: Timestamp,
    ) -> Result<()> {
        self.stop_losing(tx, (None, account), now).await.map(drop)
    }

    /// Stops it within a transaction.
    pub(crate) async fn stop_losing(
        &self,
        tx: &mut Tx,
        (by, account): (Option<AccountId>, AccountId),
        now: Timestamp,
    ) -> Result<bool> {
        if tx.execute(STOP_LOST, &params![account]).await? == 0 {
            return Ok(false);
        }
        tickets::void(tx, account, Purpose::LostFactor).await?;
        self.tell(tx, account, "The second factor of your account stays.", now).await?;
        let (action, detail) = ("factor.kept".to_owned(), String::new());
        let row = AuditRow { at: now, account: Some(account), actor: by, action, detail };
        record(tx, &row, self.entropy()).await?;
        Ok(true)
    }

    /// Takes off what is due, tells again what waits, and lets payouts go again where the time has come; how many
    /// factors it took off.
    ///
    /// # Errors
    /// The database's.
    pub async fn apply_lost_factors(&self) -> Result<u32> {
        let (now, mut taken_off) = (self.now(), 0);
        for account in self.lost_accounts(LOST_DUE, now).await? {
            taken_off += transact!(self.store(), tx -> Result<_> => {
                // It may have been stopped meanwhile.
                let free = now.plus(self.rules().change_delay);
                if tx.execute(FREE_LOST, &params![account, now, free]).await? == 0 {
                    return Ok(0);
                }
                self.take_off(tx, account, now).await?;
                Ok(1)
            })?;
        }
        for account in self.lost_accounts(LOST_TO_TELL, now.minus(TOLD_EVERY)).await? {
            transact!(self.store(), tx -> Result<_> => {
                let Some(lost) = lost_of(tx, account).await?.filter(|l| l.done.is_none()) else {
                    return Ok(());
                };
                tx.execute(TOLD_LOST, &params![account, now]).await?;
                self.tell_lost(tx, account, lost.due, now).await
            })?;
        }
        for account in self.lost_accounts(LOST_FREE, now).await? {
            transact!(self.store(), tx -> Result<_> => {
                Ok(tx.execute(END_LOST, &params![account]).await?)
            })?;
        }
        Ok(taken_off)
    }

    async fn lost_accounts(&self, sql: &'static str, at: Timestamp) -> Result<Vec<AccountId>> {
        let rows = self.store().read().await?.fetch_all(sql, &params![at, AT_ONCE]).await?;
        rows.iter().map(|r| Ok(r.get("account")?)).collect()
    }

    async fn take_off(&self, tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<()> {
        for sql in [REMOVE_TOTP, REMOVE_RECOVERY, ERASE_PASSKEYS, REMOVE_SESSIONS_OF] {
            tx.execute(sql, &params![account]).await?;
        }
        for purpose in [Purpose::Second, Purpose::Proof, Purpose::LostFactor] {
            tickets::void(tx, account, purpose).await?;
        }
        // Keys for programs, and changes that wait.
        self.drop_what_waits(tx, account, now).await?;
        let what = "The second factor of your account was taken off: codes and passkeys sign in no more, and you are \
                    signed out everywhere. Set a new one up after signing in.";
        self.tell(tx, account, what, now).await?;
        self.record(tx, now, account, "factor.lost_off").await
    }

    /// Tells it with the way to stop it: to the account's address, and to one that is to become it.
    async fn tell_lost(
        &self,
        tx: &mut Tx,
        account: AccountId,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let Some(rules) = self.mail_rules() else { return Ok(()) };
        let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
        let (name, own): (String, String) = (row.get("name")?, row.get("email")?);
        let language: Option<String> = row.get("language")?;
        let new = tx.fetch_optional(NEW_ADDRESS_OF, &params![account]).await?;
        let new: Option<String> = new.map(|r| r.get("value")).transpose()?;
        let what = format!(
            "The second factor of {name} will be taken off: somebody who has the password and reads this mail said that \
             it is lost. Until then nothing is paid out."
        );
        for to in [Some(own), new].into_iter().flatten() {
            let (what_stops, entropy) = (tickets::LOST, self.entropy());
            let stop = tickets::issue(tx, account, Purpose::Undo, what_stops, now, entropy).await?;
            let voice = rules.voice(language.as_deref());
            let mail = words::notice(voice, &to, &what, &changes::when(due), &stop.0);
            queue_notice(tx, account, &mail, now, self.mail_id()).await?;
        }
        Ok(())
    }
}

/// Whether nothing leaves an account now, and until when.
pub(crate) async fn holds_payouts(tx: &mut Tx, account: AccountId) -> Result<()> {
    match lost_of(tx, account).await? {
        Some(lost) => Err(AccountsError::FactorLost(changes::when(lost.free))),
        None => Ok(()),
    }
}

async fn refuse_staff(tx: &mut Tx, account: AccountId) -> Result<()> {
    match tx.fetch_optional(ROLE_OF, &params![account]).await? {
        Some(_) => Err(AccountsError::StaffFactor),
        None => Ok(()),
    }
}
