//! The second factor: codes by time, codes for when the device is lost, and proving both again before
//! something that a stolen session must not do.

use crate::attempts::{AttemptLimit, standing};
use crate::service::Device;
use crate::sql::{
    ADD_RECOVERY, CLEAR_ATTEMPTS, CONFIRM_TOTP, COUNT_RECOVERY, CREDENTIALS_BY_ID, OPEN_CODES,
    REMOVE_RECOVERY, REMOVE_TOTP, SEAL_CODES, SET_ATTEMPTS, SET_PASSWORD, SET_TOTP, STRANGE_CODES,
    TAKE_RECOVERY, TOTP, USE_TOTP,
};
use crate::tickets::{self, Purpose, Ticket};
use crate::vault::{Sealed, Vault, seal, unseal};
use crate::{Accounts, AccountsError, Result, Session, passkeys, sessions, totp};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};
use sha2::{Digest, Sha256};

/// Codes tried of an account: five at once, then one in five minutes. Three codes in a million are
/// right at a time, so that who has the password needs some three years for an even chance.
pub const PER_SECOND_FACTOR: AttemptLimit =
    AttemptLimit { at_once: 5, interval: Duration::from_secs(300) };

/// Codes for when the device is lost, made at once.
pub const RECOVERY_CODES: usize = 10;

/// Bytes of such a code: too many to guess, few enough to type.
const RECOVERY_BYTES: usize = 10;

/// What an authenticator program is given, once.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSetup {
    /// The secret, for typing.
    pub secret: String,
    /// The same as `otpauth:` address, for a picture.
    pub uri: String,
}

impl std::fmt::Debug for TotpSetup {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSetup")
    }
}

/// How an account is protected beside its password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factors {
    /// Since when codes are asked for.
    pub totp_since: Option<Timestamp>,
    /// Codes left for when the device is lost.
    pub recovery_left: u32,
    /// Passkeys that the account has.
    pub passkeys: u32,
}

impl Factors {
    /// Whether a password alone does not sign in.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.totp_since.is_some() || self.passkeys > 0
    }
}

struct TotpRow {
    sealed: Sealed,
    confirmed: Option<Timestamp>,
    last_step: i64,
}

async fn totp_row(tx: &mut Tx, account: AccountId) -> Result<Option<TotpRow>> {
    let Some(row) = tx.fetch_optional(TOTP, &params![account]).await? else { return Ok(None) };
    Ok(Some(TotpRow {
        sealed: Sealed { bytes: row.get("secret")?, key_id: row.get("key_id")? },
        confirmed: row.get("confirmed_at")?,
        last_step: row.get("last_step")?,
    }))
}

pub(crate) async fn factors(tx: &mut Tx, account: AccountId) -> Result<Factors> {
    let totp_since = totp_row(tx, account).await?.and_then(|r| r.confirmed);
    let recovery_left = tx.fetch_one(COUNT_RECOVERY, &params![account]).await?.get("n")?;
    let passkeys = passkeys::count(tx, account).await?;
    Ok(Factors { totp_since, recovery_left, passkeys })
}

/// The subject of the limit on codes; 17 bytes: no other subject has that length.
fn subject(account: AccountId) -> Vec<u8> {
    let mut subject = account.to_bytes().to_vec();
    subject.push(2);
    subject
}

fn recovery_hash(account: AccountId, code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let hash = Sha256::new().chain_update(b"gruve recovery 1").chain_update(account.to_bytes());
    hash.chain_update(plain.as_bytes()).finalize().into()
}

/// What secrets of codes are sealed for.
const SEALED_AS: &str = "codes by time";

/// Secrets sealed in one round at the house's start.
const SEALED_AT_ONCE: i64 = 200;

impl TotpRow {
    /// The step whose code this is; an error where the secret cannot be read.
    fn step_of(
        &self,
        vault: Option<&Vault>,
        account: AccountId,
        code: &str,
        now: Timestamp,
    ) -> Result<Option<i64>> {
        self.step_after(self.last_step, vault, account, code, now)
    }

    /// The same of steps after another one.
    fn step_after(
        &self,
        last_step: i64,
        vault: Option<&Vault>,
        account: AccountId,
        code: &str,
        now: Timestamp,
    ) -> Result<Option<i64>> {
        let secret = unseal(vault, SEALED_AS, &account.to_bytes(), &self.sealed);
        let secret = secret.ok_or(AccountsError::CodesUnreadable)?;
        Ok(totp::step_of(&secret, code, now.secs(), last_step))
    }
}

/// What a code was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Right,
    /// One of the device's that would be right, had it not been used.
    Again,
    Wrong,
}

/// Uses a code up, of the device or for its loss. A secret that cannot be read keeps nobody out who has another proof,
/// and is said to who has not.
async fn use_code(
    tx: &mut Tx,
    vault: Option<&Vault>,
    account: AccountId,
    code: &str,
    now: Timestamp,
) -> Result<Code> {
    let right_if =
        |is_right: bool, else_it_is: Code| if is_right { Code::Right } else { else_it_is };
    let row = totp_row(tx, account).await?.filter(|r| r.confirmed.is_some());
    let step = row.as_ref().map_or(Ok(None), |r| r.step_of(vault, account, code, now));
    if let Ok(Some(step)) = step {
        // Guarded by the step itself: of two at once, one finds it used.
        let used = tx.execute(USE_TOTP, &params![account, step]).await?;
        return Ok(right_if(used == 1, Code::Again));
    }
    // What a passkey has just proven stands in for a code.
    if let Some(held) = tickets::take(tx, code.trim(), Purpose::Proof, now).await? {
        return Ok(right_if(held.account == account, Code::Wrong));
    }
    let hash = recovery_hash(account, code);
    if tx.execute(TAKE_RECOVERY, &params![account, hash]).await? == 1 {
        return Ok(Code::Right);
    }
    step?;
    // The last that was used, and none before it.
    let before = row.map_or(Ok(None), |r| r.step_after(r.last_step - 1, vault, account, code, now));
    Ok(before?.map_or(Code::Wrong, |_| Code::Again))
}

impl Accounts {
    /// How an account is protected beside its password.
    ///
    /// # Errors
    /// The database's.
    pub async fn factors(&self, account: AccountId) -> Result<Factors> {
        factors(&mut self.store().read().await?, account).await
    }

    /// Makes a secret for an authenticator program. It counts once a code of it was shown
    /// ([`Accounts::confirm_totp`]); until then it may be made anew.
    ///
    /// # Errors
    /// [`AccountsError::FactorIsOn`]; the database's.
    pub async fn begin_totp(&self, account: AccountId, issuer: &str) -> Result<TotpSetup> {
        let mut secret = [0_u8; totp::SECRET_BYTES];
        self.entropy().fill(&mut secret);
        let now = self.now();
        let sealed = seal(self.vault(), SEALED_AS, &account.to_bytes(), &secret, self.entropy())?;
        transact!(self.store(), tx -> Result<_> => {
            let row = params![account, sealed.bytes.clone(), sealed.key_id, now];
            if tx.execute(SET_TOTP, &row).await? == 0 {
                return Err(AccountsError::FactorIsOn);
            }
            Ok(())
        })?;
        let name = self.name_of(account).await?.ok_or(AccountsError::NoAccount)?;
        let secret = totp::base32(&secret);
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let issuer: String = issuer.chars().filter(plain).collect();
        let uri = format!("otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}");
        Ok(TotpSetup { secret, uri })
    }

    /// Shows that the program has the secret; from now on codes are asked for. Gives the codes for when
    /// the device is lost, which are not shown again. Asks for the password as well: a stolen session would lock
    /// the owner out by a factor of its own.
    ///
    /// # Errors
    /// [`AccountsError::WrongCode`], [`AccountsError::FactorIsOn`],
    /// [`AccountsError::TooManyAttempts`]; as [`Accounts::prove`]; the database's.
    pub async fn confirm_totp(
        &self,
        account: AccountId,
        proof: (&str, Option<&str>),
        code: &str,
        from: impl Into<Device>,
    ) -> Result<Vec<String>> {
        if self.factors(account).await?.totp_since.is_some() {
            return Err(AccountsError::FactorIsOn);
        }
        self.prove(account, proof.0, proof.1, from).await?;
        self.count_code(account).await?;
        let codes = self.recovery_codes();
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let row = totp_row(tx, account).await?.ok_or(AccountsError::WrongCode)?;
            if row.confirmed.is_some() {
                return Err(AccountsError::FactorIsOn);
            }
            let step = row.step_of(self.vault(), account, code, now)?;
            let step = step.ok_or(AccountsError::WrongCode)?;
            tx.execute(CONFIRM_TOTP, &params![account, now, step]).await?;
            set_recovery(tx, account, &codes).await?;
            tx.execute(CLEAR_ATTEMPTS, &params![subject(account)]).await?;
            self.tell(tx, account, "Your account asks for codes from now on.", now).await?;
            self.record(tx, now, account, "factor.on").await
        })?;
        Ok(codes)
    }

    /// Codes are asked for no more.
    ///
    /// # Errors
    /// As [`Accounts::prove`].
    pub async fn end_totp(
        &self,
        account: AccountId,
        password: &str,
        code: &str,
        from: impl Into<Device>,
    ) -> Result<()> {
        self.prove(account, password, Some(code), from).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            tx.execute(REMOVE_TOTP, &params![account]).await?;
            if passkeys::count(tx, account).await? == 0 {
                tx.execute(REMOVE_RECOVERY, &params![account]).await?;
            }
            self.tell(tx, account, "Your account asks for no codes any more.", now).await?;
            self.record(tx, now, account, "factor.off").await
        })
    }

    /// New codes for when the device is lost; the old ones are void.
    ///
    /// # Errors
    /// As [`Accounts::prove`]; [`AccountsError::WrongCode`] where there is no second factor.
    pub async fn new_recovery_codes(
        &self,
        account: AccountId,
        password: &str,
        code: &str,
        from: impl Into<Device>,
    ) -> Result<Vec<String>> {
        if !self.factors(account).await?.is_needed() {
            return Err(AccountsError::WrongCode);
        }
        self.prove(account, password, Some(code), from).await?;
        let codes = self.recovery_codes();
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            set_recovery(tx, account, &codes).await?;
            let what = "Your account has new codes for a lost device; the old ones are void.";
            self.tell(tx, account, what, now).await?;
            self.record(tx, now, account, "factor.recovery_codes").await
        })?;
        Ok(codes)
    }

    /// Goes on signing in with a code, after the password was right.
    ///
    /// # Errors
    /// [`AccountsError::WrongCode`]; [`AccountsError::TicketVoid`] when the password must be given anew;
    /// [`AccountsError::TooManyAttempts`]; the database's.
    pub async fn sign_in_second(
        &self,
        ticket: &Ticket,
        code: &str,
        from: impl Into<Device>,
    ) -> Result<Session> {
        let device = from.into();
        let now = self.now();
        let held = {
            let mut tx = self.store().read().await?;
            tickets::look(&mut tx, &ticket.0, Purpose::Second, now).await?
        };
        let account = held.ok_or(AccountsError::TicketVoid)?.account;
        self.spend_code(account, code).await?;
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::take(tx, &ticket.0, Purpose::Second, now).await?;
            held.ok_or(AccountsError::TicketVoid)?;
            self.open_session(tx, account, &device, now).await
        })
    }

    /// Proves again who sits there: the password, and a code where the account has a second factor. For
    /// what a stolen session must not do.
    ///
    /// # Errors
    /// [`AccountsError::WrongCredentials`], [`AccountsError::WrongCode`],
    /// [`AccountsError::TooManyAttempts`], [`AccountsError::Crowded`]; the database's.
    pub async fn prove(
        &self,
        account: AccountId,
        password: &str,
        code: Option<&str>,
        from: impl Into<Device>,
    ) -> Result<()> {
        let device = from.into();
        let row = {
            let mut tx = self.store().read().await?;
            tx.fetch_optional(CREDENTIALS_BY_ID, &params![account]).await?
        };
        let stored: String = row.ok_or(AccountsError::WrongCredentials)?.get("password")?;
        self.check_counted(account, password, stored, &device).await?;
        if self.factors(account).await?.is_needed() {
            self.spend_code(account, code.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Proves with a code alone who sits there, where the account has a second factor: for what a stolen session must
    /// not do, and would be asked too often for a password.
    ///
    /// # Errors
    /// [`AccountsError::WrongCode`], [`AccountsError::TooManyAttempts`]; the database's.
    pub async fn prove_by_code(&self, account: AccountId, code: &str) -> Result<()> {
        if self.factors(account).await?.is_needed() {
            self.spend_code(account, code).await?;
        }
        Ok(())
    }

    /// What seals secrets, if the house has it.
    #[must_use]
    pub fn vault(&self) -> Option<&Vault> {
        self.rules().vault.as_ref()
    }

    /// Seals secrets of codes that still lie open; how many it sealed, and how many accounts have codes that are
    /// sealed with another key and cannot be read. Called at the house's start.
    ///
    /// # Errors
    /// The database's.
    pub async fn seal_codes(&self) -> Result<(u64, u64)> {
        let Some(vault) = self.vault() else { return Ok((0, 0)) };
        let mut sealed = 0;
        loop {
            let given = params![SEALED_AT_ONCE];
            let rows = self.store().read().await?.fetch_all(OPEN_CODES, &given).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let (account, open): (AccountId, Vec<u8>) =
                    (row.get("account")?, row.get("secret")?);
                let of = account.to_bytes();
                let s = seal(Some(vault), SEALED_AS, &of, &open, self.entropy())?;
                sealed += transact!(self.store(), tx -> Result<_> => {
                    let row = params![account, open.clone(), s.bytes.clone(), s.key_id];
                    Ok(tx.execute(SEAL_CODES, &row).await?)
                })?;
            }
        }
        let mut tx = self.store().read().await?;
        let strange = tx.fetch_one(STRANGE_CODES, &params![vault.id()]).await?.get("n")?;
        Ok((sealed, strange))
    }

    /// Sets a new password and ends all sessions but the one whose token is given, keys for programs, and changes
    /// that wait for their delay.
    ///
    /// # Errors
    /// [`AccountsError::BadPassword`], [`AccountsError::GuessablePassword`]; as [`Accounts::prove`].
    pub async fn change_password(
        &self,
        account: AccountId,
        proof: (&str, Option<&str>),
        new: &str,
        keep: &str,
        from: impl Into<Device>,
    ) -> Result<()> {
        self.check_new_password(&mut self.store().read().await?, account, new).await?;
        self.prove(account, proof.0, proof.1, from).await?;
        let hash = self.hash_password(new).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            tx.execute(SET_PASSWORD, &params![account, &hash]).await?;
            sessions::end_others(tx, account, keep).await?;
            tickets::void(tx, account, Purpose::Second).await?;
            self.drop_what_waits(tx, account, now).await?;
            self.tell_password(tx, account, "was changed", now).await?;
            self.record(tx, now, account, "password.changed").await
        })
    }

    /// Counts an attempt at a code.
    async fn count_code(&self, account: AccountId) -> Result<()> {
        let now = self.now();
        let subject = subject(account);
        transact!(self.store(), tx -> Result<_> => {
            let until = standing(tx, &subject, PER_SECOND_FACTOR, now).await?;
            tx.execute(SET_ATTEMPTS, &params![subject.clone(), until]).await?;
            Ok(())
        })
    }

    /// Counts an attempt, uses the code up, and clears the count when it was right.
    async fn spend_code(&self, account: AccountId, code: &str) -> Result<()> {
        self.count_code(account).await?;
        let now = self.now();
        let found = transact!(self.store(), tx -> Result<_> => {
            let found = use_code(tx, self.vault(), account, code, now).await?;
            match found {
                Code::Right => {
                    tx.execute(CLEAR_ATTEMPTS, &params![subject(account)]).await?;
                    self.factor_is_there(tx, account, now).await?;
                }
                Code::Wrong => self.record(tx, now, account, "factor.refused").await?,
                Code::Again => {
                    // Pressed twice, or seen by somebody (OWASP ASVS 2.8.5).
                    let what = "A code of your second factor was used a second time, and refused. If you did not \
                                press twice, somebody sees your codes: set a new password, and set the codes up anew.";
                    self.tell(tx, account, what, now).await?;
                    self.record(tx, now, account, "factor.used_again").await?;
                }
            }
            Ok(found)
        })?;
        if found == Code::Right { Ok(()) } else { Err(AccountsError::WrongCode) }
    }

    pub(crate) fn recovery_codes(&self) -> Vec<String> {
        let one = || {
            let mut bytes = [0_u8; RECOVERY_BYTES];
            self.entropy().fill(&mut bytes);
            let text = totp::base32(&bytes);
            let groups: Vec<&str> = (0..4).filter_map(|n| text.get(n * 4..n * 4 + 4)).collect();
            groups.join("-")
        };
        (0..RECOVERY_CODES).map(|_| one()).collect()
    }
}

pub(crate) async fn set_recovery(tx: &mut Tx, account: AccountId, codes: &[String]) -> Result<()> {
    tx.execute(REMOVE_RECOVERY, &params![account]).await?;
    for code in codes {
        tx.execute(ADD_RECOVERY, &params![account, recovery_hash(account, code)]).await?;
    }
    Ok(())
}
