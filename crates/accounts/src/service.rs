//! The room's public face.

use crate::attempts::{Attempt, count_sign_up, may_tell_of_sign_in};
use crate::audit::AuditRow;
use crate::mail::no_address;
use crate::passwords::Passwords;
use crate::sql::{
    ACCOUNT_BY_EMAIL, ACCOUNT_BY_NAME, CREDENTIALS_BY_EMAIL, CREDENTIALS_BY_NAME, INSERT_ACCOUNT,
    LANGUAGE_OF, MARK_UNCONFIRMED, NAME_OF, NAMES_OF, SET_LANGUAGE, SIGN_UPS_SINCE, WHOSE_MAIL,
};
use crate::tickets::Purpose;
use crate::{
    AccountRules, AccountsError, CLOSING_MIGRATIONS, LogLine, MIGRATIONS, PASSKEY_MIGRATIONS,
    Result, Session, SessionInfo, SessionRow, TrailEnds, TrailReport, audit, closing, factors,
    names, record, sessions, tickets, trail,
};
use gruve_store::{Store, Tx, params, transact};
use gruve_units::{AccountId, Clock, Duration, Entropy, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Accounts opened within an hour at most: far above any honest rush, and what a flood of them may
/// cost in storage.
pub const SIGN_UPS_PER_HOUR_MAX: i64 = 1_000;

/// What it takes to open an account.
#[derive(Clone)]
pub struct NewAccount {
    /// The public name, see [`is_account_name`](crate::is_account_name).
    pub name: String,
    /// Where the customer can be reached.
    pub email: String,
    /// The password, 12 characters or more, and none that is easily guessed.
    pub password: String,
}

impl fmt::Debug for NewAccount {
    /// Without address and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Customers' accounts and sessions. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Passwords,
    rules: AccountRules,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// From where somebody signs in, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The address, where it is known.
    pub address: Option<IpAddr>,
    /// What the program calls itself; only shown, and only to the account's owner.
    pub agent: String,
}

impl From<Option<IpAddr>> for Device {
    fn from(address: Option<IpAddr>) -> Device {
        Device { address, agent: String::new() }
    }
}

/// Characters of a program's name for itself that are kept.
const AGENT_CHARS_MAX: usize = 160;

impl Device {
    fn about(&self) -> String {
        let plain = self.agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX);
        let address = self.address.map_or(String::new(), |a| format!("{} ", a.to_canonical()));
        address + &plain.collect::<String>()
    }
}

struct Credentials {
    account: AccountId,
    password: String,
    unconfirmed: bool,
}

impl Accounts {
    /// The service over a store whose tables are in place (see [`Accounts::migrate`]).
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Accounts {
        Accounts::with_rules(store, clock, entropy, AccountRules::default())
    }

    /// The same with what the operator has set.
    #[must_use]
    pub fn with_rules(
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        rules: AccountRules,
    ) -> Accounts {
        let passwords = Passwords::new(Arc::clone(&entropy));
        Accounts(Arc::new(Inner { store, clock, entropy, passwords, rules }))
    }

    pub(crate) fn rules(&self) -> &AccountRules {
        &self.0.rules
    }

    /// Puts the room's tables in place.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(store: &Store) -> Result<()> {
        store.migrate("accounts", MIGRATIONS).await?;
        store.migrate("accounts_passkeys", PASSKEY_MIGRATIONS).await?;
        Ok(store.migrate("accounts_closings", CLOSING_MIGRATIONS).await?)
    }

    /// Opens an account, from nowhere on the network: at the machine itself.
    ///
    /// # Errors
    /// As [`Accounts::sign_up_from`].
    pub async fn sign_up(&self, new: NewAccount) -> Result<AccountId> {
        self.sign_up_from(new, None).await
    }

    /// Opens an account; `from` is the client's address where it is known, whose network may open
    /// [`SIGN_UPS_PER_NETWORK`](crate::SIGN_UPS_PER_NETWORK).
    ///
    /// Where addresses are confirmed, an address that has an account gets the same answer: the name is taken by an
    /// account that has no address and can never be confirmed, and the address's owner is written to.
    ///
    /// # Errors
    /// [`AccountsError::BadName`], [`AccountsError::BadEmail`], [`AccountsError::BadPassword`],
    /// [`AccountsError::GuessablePassword`], [`AccountsError::Taken`], [`AccountsError::TooManySignUps`], [`AccountsError::TooManyAttempts`],
    /// [`AccountsError::Crowded`].
    pub async fn sign_up_from(&self, new: NewAccount, from: Option<IpAddr>) -> Result<AccountId> {
        if !names::is_account_name(&new.name) {
            return Err(AccountsError::BadName);
        }
        let email = names::email(&new.email)?;
        self.check_password(&new.password, &new.name, &email)?;
        // Counted and kept before the hash, which is what a flood is after; a name that is taken costs its place, too.
        let now = self.0.clock.now();
        transact!(self.0.store, tx -> Result<_> => {
            if let Some(from) = from {
                count_sign_up(tx, from, now).await?;
            }
            let since = now.minus(Duration::from_secs(3600));
            let recent: i64 = tx.fetch_one(SIGN_UPS_SINCE, &params![since]).await?.get("n")?;
            if recent >= SIGN_UPS_PER_HOUR_MAX {
                return Err(AccountsError::TooManySignUps);
            }
            Ok(())
        })?;
        let password = {
            let turn = self.0.passwords.turn(from).await?;
            self.0.passwords.hash(turn, &new.password).await?
        };
        let now = self.0.clock.now();
        let id = AccountId::new(now, self.0.entropy.as_ref());
        let is_confirmed = self.mail_rules().is_some_and(|r| r.confirm_sign_up);
        transact!(self.0.store, tx -> Result<_> => {
            let owner = match is_confirmed {
                true => tx.fetch_optional(ACCOUNT_BY_EMAIL, &params![&email]).await?,
                false => None,
            };
            let own = if owner.is_some() { no_address(id) } else { email.clone() };
            let row = params![id, &new.name, &own, &password, now];
            if tx.execute(INSERT_ACCOUNT, &row).await? == 0 {
                return Err(AccountsError::Taken);
            }
            self.record(tx, now, id, "account.opened").await?;
            if is_confirmed {
                tx.execute(MARK_UNCONFIRMED, &params![id, now]).await?;
                self.ask_to_confirm(tx, id, now).await?;
            }
            if let Some(owner) = owner {
                self.tell_has_account(tx, &owner, &email, now).await?;
            }
            Ok(id)
        })
    }

    /// Signs in by name or e-mail address; `from` is the client's address where it is known.
    ///
    /// # Errors
    /// [`AccountsError::WrongCredentials`], the same after the same work whether the account exists
    /// or not; [`AccountsError::TooManyAttempts`], [`AccountsError::Crowded`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        from: impl Into<Device>,
    ) -> Result<Session> {
        let device = from.into();
        let login = login.to_ascii_lowercase();
        let possible = login.len() <= names::EMAIL_BYTES_MAX
            && !login.contains('\0')
            && password.len() <= names::PASSWORD_BYTES_MAX;
        if !possible {
            // Nobody can have this name or password, which tells nothing about anybody.
            return Err(AccountsError::WrongCredentials);
        }
        let found = self.credentials(&login).await?;
        let account = found.as_ref().map(|c| c.account);
        let unconfirmed = found.as_ref().is_some_and(|c| c.unconfirmed);
        // Read whoever it is: what an account costs, a name that nobody has costs, too.
        let cell = self.cell_of(&login).await?;
        let attempt = match account {
            Some(account) => Attempt::at(account, device.address),
            None => Attempt::at_nobody(cell, device.address),
        };
        let right = {
            let turn = self.0.passwords.turn(device.address).await?;
            let now = self.0.clock.now();
            transact!(self.0.store, tx -> Result<_> => {
                attempt.count(tx, now).await
            })?;
            self.0.passwords.verify(turn, password, found.map(|c| c.password)).await?
        };
        let now = self.0.clock.now();
        let (Some(account), true) = (account, right) else {
            return self.refuse(&attempt, account, now).await;
        };
        if unconfirmed {
            // Said only to who has the password; the message goes out again.
            transact!(self.0.store, tx -> Result<_> => {
                self.ask_to_confirm(tx, account, now).await
            })?;
            // By the address it is told to nobody: whoever wanted to open an account with another's address could
            // see by it whether there was one.
            let by_address = login.contains('@');
            return Err(match by_address {
                true => AccountsError::WrongCredentials,
                false => AccountsError::NotConfirmed,
            });
        }
        let entropy = self.0.entropy.as_ref();
        // The ticket is committed with the rest: asking for a code is no failure of the transaction.
        let opened = transact!(self.0.store, tx -> Result<_> => {
            if factors::factors(tx, account).await?.is_needed() {
                let ticket = tickets::issue(tx, account, Purpose::Second, "", now, entropy).await?;
                return Ok(Err(ticket));
            }
            self.open_session(tx, account, &device, now).await.map(Ok)
        })?;
        opened.map_err(AccountsError::SecondFactorNeeded)
    }

    /// Opens a session once everything is proven: the network is known from now on.
    pub(crate) async fn open_session(
        &self,
        tx: &mut Tx,
        account: AccountId,
        device: &Device,
        now: Timestamp,
    ) -> Result<Session> {
        if closing::is_sealed(tx, account).await? {
            return Err(AccountsError::Closed);
        }
        let attempt = Attempt::at(account, device.address);
        if attempt.is_from_elsewhere(tx, account, now).await?
            && may_tell_of_sign_in(tx, account, now).await?
        {
            // Not what the program calls itself: whoever signs in writes that.
            let about = device.address.map(|a| a.to_canonical().to_string());
            let about = about.as_deref().unwrap_or("unknown");
            let what = format!(
                "Somebody signed in to your account from a network that it was not used from of late: {about}. \
                 Under Security you see all sessions and can end them."
            );
            self.tell(tx, account, &what, now).await?;
        }
        attempt.signed_in(tx, account, now).await?;
        audit::forget_old(tx, now).await?;
        self.record(tx, now, account, "session.opened").await?;
        let entropy = self.0.entropy.as_ref();
        sessions::open(tx, account, &device.about(), now, entropy).await
    }

    /// Whether a password is an account's, as an attempt that counts.
    pub(crate) async fn check_counted(
        &self,
        account: AccountId,
        password: &str,
        stored: String,
        device: &Device,
    ) -> Result<()> {
        if password.len() > names::PASSWORD_BYTES_MAX {
            return Err(AccountsError::WrongCredentials);
        }
        let attempt = Attempt::at(account, device.address);
        let right = {
            let turn = self.0.passwords.turn(device.address).await?;
            let now = self.0.clock.now();
            transact!(self.0.store, tx -> Result<_> => { attempt.count(tx, now).await })?;
            self.0.passwords.verify(turn, password, Some(stored)).await?
        };
        let now = self.0.clock.now();
        if !right {
            return self.refuse(&attempt, Some(account), now).await.map(drop);
        }
        transact!(self.0.store, tx -> Result<_> => { attempt.succeeded(tx, now).await })
    }

    /// Whether a password may be that of an account with this name and address.
    fn check_password(&self, password: &str, name: &str, email: &str) -> Result<()> {
        let house = self.mail_rules().map_or("", |r| r.house.as_str());
        names::check_password(password, &[name, email, house, "gruve"])
    }

    /// Whether a password may become an account's.
    pub(crate) async fn check_new_password(
        &self,
        tx: &mut Tx,
        account: AccountId,
        password: &str,
    ) -> Result<()> {
        let row = tx.fetch_one(WHOSE_MAIL, &params![account]).await?;
        let (name, email): (String, String) = (row.get("name")?, row.get("email")?);
        self.check_password(password, &name, &email)
    }

    /// The hash of a new password.
    pub(crate) async fn hash_password(&self, password: &str) -> Result<String> {
        let turn = self.0.passwords.turn(None).await?;
        self.0.passwords.hash(turn, password).await
    }

    /// Chooses the language that an account is shown and written to in; `None` for none. What languages there are,
    /// the caller knows.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_language(&self, account: AccountId, code: Option<&str>) -> Result<()> {
        // No code of a language is longer (RFC 5646, section 4.4.1).
        let code = code.filter(|c| c.len() <= 35);
        transact!(self.0.store, tx -> Result<_> => {
            tx.execute(SET_LANGUAGE, &params![account, code]).await.map(drop).map_err(Into::into)
        })
    }

    /// The language that an account has chosen, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn language_of(&self, account: AccountId) -> Result<Option<String>> {
        let row = self.0.store.read().await?.fetch_optional(LANGUAGE_OF, &params![account]).await?;
        Ok(row.map(|r| r.get("language")).transpose()?.flatten())
    }

    /// The sessions of an account, the latest used first; `own` is the token of the one that asks.
    ///
    /// # Errors
    /// The database's.
    pub async fn sessions(&self, account: AccountId, own: &str) -> Result<Vec<SessionRow>> {
        let now = self.0.clock.now();
        sessions::list(&mut self.0.store.read().await?, account, own, now).await
    }

    /// Ends one session of an account by its id; whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_session(&self, account: AccountId, id: &str) -> Result<bool> {
        let now = self.0.clock.now();
        transact!(self.0.store, tx -> Result<_> => {
            let ended = sessions::end(tx, account, id, now).await?;
            if ended {
                self.record(tx, now, account, "session.ended").await?;
            }
            Ok(ended)
        })
    }

    /// Ends all sessions of an account but the one whose token is given.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_other_sessions(&self, account: AccountId, keep: &str) -> Result<u64> {
        let now = self.0.clock.now();
        transact!(self.0.store, tx -> Result<_> => {
            let ended = sessions::end_others(tx, account, keep).await?;
            self.record(tx, now, account, "session.others_ended").await?;
            Ok(ended)
        })
    }

    /// Notes a wrong password. Names that do not exist leave a line too, so that the work is the
    /// same; both are bounded by the limit on attempts.
    async fn refuse(
        &self,
        attempt: &Attempt,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Session> {
        let entropy = self.0.entropy.as_ref();
        transact!(self.0.store, tx -> Result<_> => {
            attempt.failed(tx, now).await?;
            let action = "session.refused".to_owned();
            let row = AuditRow { at: now, account, actor: None, action, detail: String::new() };
            record(tx, &row, entropy).await
        })?;
        Err(AccountsError::WrongCredentials)
    }

    /// Whose session a token proves: `None` when it proves none, or one that has ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, token: &str) -> Result<Option<SessionInfo>> {
        sessions::find(&self.0.store, token, self.0.clock.now()).await
    }

    /// Ends a session. Ending one that does not exist does nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn sign_out(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        transact!(self.0.store, tx -> Result<_> => {
            if let Some(account) = sessions::close(tx, token).await? {
                self.record(tx, now, account, "session.closed").await?;
            }
            Ok(())
        })
    }

    /// The account called `name`, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_by_name(&self, name: &str) -> Result<Option<AccountId>> {
        if !names::is_account_name(name) {
            return Ok(None);
        }
        let row =
            self.0.store.read().await?.fetch_optional(ACCOUNT_BY_NAME, &params![name]).await?;
        Ok(row.map(|r| r.get("id")).transpose()?)
    }

    /// The name of an account, if it exists.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_of(&self, account: AccountId) -> Result<Option<String>> {
        let row = self.0.store.read().await?.fetch_optional(NAME_OF, &params![account]).await?;
        Ok(row.map(|r| r.get("name")).transpose()?)
    }

    /// The names of accounts, all with one question; those that do not exist are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn names_of(
        &self,
        accounts: &BTreeSet<AccountId>,
    ) -> Result<BTreeMap<AccountId, String>> {
        let given = accounts.iter().map(|id| (*id).into()).collect();
        let rows = self.0.store.read().await?.fetch_many(&NAMES_OF, given).await?;
        rows.iter().map(|r| Ok((r.get("id")?, r.get("name")?))).collect()
    }

    /// The latest lines of an account's log, newest first, at most `limit` and at most 1000.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_log(&self, account: AccountId, limit: u32) -> Result<Vec<AuditRow>> {
        let lines = self.audit_log_before(account, None, limit).await?;
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// Lines of an account's log before one of them (when it was written, and its number), newest first and each with
    /// its number; at most `limit` and at most [`LOG_LINES_MAX`](crate::LOG_LINES_MAX).
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_log_before(
        &self,
        account: AccountId,
        before: Option<(Timestamp, i64)>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRow)>> {
        audit::latest(&mut self.0.store.read().await?, account, before, limit).await
    }

    /// Lines of the whole log before a number, newest first, at most `limit` and at most
    /// [`LOG_LINES_MAX`](crate::LOG_LINES_MAX).
    ///
    /// # Errors
    /// The database's.
    pub async fn log_page(&self, before: Option<i64>, limit: u32) -> Result<Vec<LogLine>> {
        audit::page(&mut self.0.store.read().await?, before, limit).await
    }

    /// Recomputes the log's chain.
    ///
    /// # Errors
    /// The database's. What does not hold is no error, but stands in the report.
    pub async fn verify_log(&self) -> Result<TrailReport> {
        trail::verify(&mut self.0.store.read().await?).await
    }

    /// The log's last line and hash.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_ends(&self) -> Result<TrailEnds> {
        trail::ends(&mut self.0.store.read().await?).await
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.0.entropy.as_ref()
    }

    /// The account that a name or address is of.
    pub(crate) async fn account_of_login(&self, login: &str) -> Result<Option<AccountId>> {
        Ok(self.credentials(login).await?.map(|c| c.account))
    }

    async fn credentials(&self, login: &str) -> Result<Option<Credentials>> {
        let sql = if login.contains('@') { CREDENTIALS_BY_EMAIL } else { CREDENTIALS_BY_NAME };
        let row = self.0.store.read().await?.fetch_optional(sql, &params![login]).await?;
        let Some(row) = row else { return Ok(None) };
        let since: Option<Timestamp> = row.get("unconfirmed_since")?;
        let (account, password) = (row.get("id")?, row.get("password")?);
        Ok(Some(Credentials { account, password, unconfirmed: since.is_some() }))
    }

    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        at: Timestamp,
        account: AccountId,
        action: &str,
    ) -> Result<()> {
        let (account, action) = (Some(account), action.to_owned());
        let row = AuditRow { at, account, actor: None, action, detail: String::new() };
        record(tx, &row, self.0.entropy.as_ref()).await
    }
}
