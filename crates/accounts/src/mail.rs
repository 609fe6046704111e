//! Messages to customers: written in the transaction that they tell of, sent afterwards.
//!
//! A message is a row until a mail server has taken it, or [`TRIES_MAX`] tries were in vain. Each try is
//! counted before it is made, so that a message that kills the sender is not tried for ever; a crash
//! between the server's yes and the row's end sends it twice, and one before that a minute later (longer after more tries).

use crate::sql::{COUNT_DUE_MAIL, COUNT_MAIL, DUE_MAIL, INSERT_MAIL, REMOVE_MAIL, TRY_MAIL};
use crate::{Accounts, AccountsError, Result, Role};
use async_trait::async_trait;
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};

/// Tries of a message: the last some eight hours after the first.
pub const TRIES_MAX: i64 = 10;

/// The first wait after a try that failed; doubled with each.
const WAIT_FIRST: Duration = Duration::from_secs(60);

/// Messages taken at once, where nobody says how many.
const AT_ONCE: u32 = 20;

/// Messages of an account that wait at most: what one can make by pressing buttons is bounded.
const WAITING_MAX: i64 = 20;

/// The same with notices of what has happened: room for them is left where the others are full.
const NOTICES_MAX: i64 = 40;

/// As many messages that are due are much: what can wait stays where it is, so that nobody's new password waits behind it for
/// long. Some rounds of the sender.
pub const MUCH_DUE: i64 = 50;

/// What stands instead of an address where an account has none that is its own; no mail goes there.
pub(crate) fn no_address(account: AccountId) -> String {
    format!("none {account}")
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// What about.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl std::fmt::Debug for Mail {
    /// Without address and text: links in it are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a message was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailError {
    /// It may be taken later.
    #[error("{0}")]
    Later(String),
    /// It will never be taken.
    #[error("{0}")]
    Never(String),
}

/// Whoever takes messages to customers.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a message over.
    ///
    /// # Errors
    /// [`MailError`].
    async fn send(&self, mail: &Mail) -> std::result::Result<(), MailError>;
}

/// How the house writes to its customers.
#[derive(Clone, Debug)]
pub struct MailRules {
    /// Where links lead: `https://gruve.example`.
    pub origin: String,
    /// The house's name.
    pub house: String,
    /// Whether an account must confirm its address before it is let in.
    pub confirm_sign_up: bool,
    /// Says an English sentence in a language: the one that the account has chosen, by its code, else that of
    /// whoever caused the message. Asked within the call that writes it. [`in_english`] where there is no other.
    pub say: fn(&str, Option<&str>) -> String,
}

/// What is said as it stands.
#[must_use]
pub fn in_english(sentence: &str, _: Option<&str>) -> String {
    sentence.to_owned()
}

/// The rules with the language of whoever is written to.
#[derive(Clone, Copy)]
pub(crate) struct Voice<'a> {
    pub(crate) rules: &'a MailRules,
    language: Option<&'a str>,
}

impl MailRules {
    pub(crate) fn voice<'a>(&'a self, language: Option<&'a str>) -> Voice<'a> {
        Voice { rules: self, language }
    }
}

impl Voice<'_> {
    pub(crate) fn say(self, sentence: &str) -> String {
        (self.rules.say)(sentence, self.language)
    }
}

/// Puts a message into the outbox that something is to be done with: refused where too many wait.
pub(crate) async fn queue(
    tx: &mut Tx,
    account: AccountId,
    mail: &Mail,
    now: Timestamp,
    id: [u8; 16],
) -> Result<()> {
    if put(tx, account, mail, now, id, WAITING_MAX).await? {
        return Ok(());
    }
    Err(AccountsError::TooManyAttempts { retry_after: Duration::from_secs(3600) })
}

/// Puts a notice into the outbox, if there is room: what it tells of is done all the same. A customer whose mail
/// cannot be delivered must be able to set a new password.
pub(crate) async fn queue_notice(
    tx: &mut Tx,
    account: AccountId,
    mail: &Mail,
    now: Timestamp,
    id: [u8; 16],
) -> Result<()> {
    put(tx, account, mail, now, id, NOTICES_MAX).await.map(drop)
}

/// Whether there was room.
async fn put(
    tx: &mut Tx,
    account: AccountId,
    mail: &Mail,
    now: Timestamp,
    id: [u8; 16],
    most: i64,
) -> Result<bool> {
    if !mail.to.contains('@') {
        return Ok(true);
    }
    let waiting: i64 = tx.fetch_one(COUNT_MAIL, &params![account]).await?.get("n")?;
    if waiting >= most {
        return Ok(false);
    }
    let row = params![id, account, &mail.to, &mail.subject, &mail.body, now, 0_i64, now];
    tx.execute(INSERT_MAIL, &row).await?;
    Ok(true)
}

/// A message that a sender has taken to hand it over: nobody else does before its next try.
#[derive(Debug)]
pub struct Taken {
    id: [u8; 16],
    account: AccountId,
    tries: i64,
    mail: Mail,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The server has it.
    Over,
    /// It is tried again.
    Later,
    /// It is given up.
    GivenUp,
}

/// What came of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Taken by the server.
    pub sent: u32,
    /// To be tried again.
    pub later: u32,
    /// Given up.
    pub given_up: u32,
}

impl Delivered {
    /// One more message.
    pub fn count(&mut self, handed: Handed) {
        let n = match handed {
            Handed::Over => &mut self.sent,
            Handed::Later => &mut self.later,
            Handed::GivenUp => &mut self.given_up,
        };
        *n = n.saturating_add(1);
    }
}

impl Accounts {
    /// Takes messages that are due, the oldest, in one transaction that counts their tries.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_mail(&self, most: u32) -> Result<Vec<Taken>> {
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            let mut taken = Vec::new();
            for row in tx.fetch_all(DUE_MAIL, &params![now, most]).await? {
                let (id, tries): ([u8; 16], i64) = (row.get("id")?, row.get("tries")?);
                let doubled = 2_u32.saturating_pow(u32::try_from(tries).unwrap_or(16).min(16));
                let next = now.plus(WAIT_FIRST * doubled);
                if tx.execute(TRY_MAIL, &params![id, tries, next]).await? == 0 {
                    // Another sender has it.
                    continue;
                }
                let mail = Mail {
                    to: row.get("recipient")?,
                    subject: row.get("subject")?,
                    body: row.get("body")?,
                };
                taken.push(Taken { id, account: row.get("account")?, tries, mail });
            }
            Ok(taken)
        })
    }

    /// Hands a message over. Its row ends as soon as the server has it, by itself: what a crash sends twice is what was on
    /// its way just then.
    ///
    /// # Errors
    /// The database's. What the mail server says is counted, not an error.
    pub async fn hand_over(&self, mailer: &dyn Mailer, taken: Taken) -> Result<Handed> {
        let Taken { id, account, tries, mail } = taken;
        let handed = match mailer.send(&mail).await {
            Ok(()) => Handed::Over,
            Err(MailError::Later(_)) if tries + 1 < TRIES_MAX => return Ok(Handed::Later),
            Err(_) => Handed::GivenUp,
        };
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            if handed == Handed::GivenUp {
                self.record(tx, now, account, "mail.given_up").await?;
            }
            tx.execute(REMOVE_MAIL, &params![id]).await?;
            Ok(handed)
        })
    }

    /// Hands over messages that are due, one after the other. One sender at a time is enough, and more do no harm.
    ///
    /// # Errors
    /// The database's. What the mail server says is counted, not an error.
    pub async fn deliver(&self, mailer: &dyn Mailer) -> Result<Delivered> {
        let mut done = Delivered::default();
        for taken in self.take_mail(AT_ONCE).await? {
            done.count(self.hand_over(mailer, taken).await?);
        }
        Ok(done)
    }

    /// Writes to all staff of some roles, where the house writes; to how many. Who has too many messages waiting
    /// is passed over.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_staff(&self, roles: &[Role], subject: &str, body: &str) -> Result<u32> {
        let Some(rules) = self.mail_rules() else { return Ok(0) };
        let subject = format!("{}: {subject}", rules.house);
        let mut told = 0;
        for member in self.staff().await?.iter().filter(|m| roles.contains(&m.role)) {
            let Some(who) = self.customer(member.account).await? else { continue };
            let mail = Mail { to: who.email, subject: subject.clone(), body: body.to_owned() };
            let (now, id) = (self.now(), self.mail_id());
            let queued = transact!(self.store(), tx -> Result<_> => {
                queue(tx, member.account, &mail, now, id).await
            });
            match queued {
                Ok(()) => told += 1,
                Err(AccountsError::TooManyAttempts { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(told)
    }

    /// Whether [`MUCH_DUE`] messages wait for the sender.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_much_to_send(&self) -> Result<bool> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_one(COUNT_DUE_MAIL, &params![self.now(), MUCH_DUE]).await?;
        Ok(row.get::<i64>("n")? >= MUCH_DUE)
    }

    /// How the house writes to its customers, if it does.
    #[must_use]
    pub fn mail_rules(&self) -> Option<&MailRules> {
        self.rules().mail.as_ref()
    }

    pub(crate) fn mail_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.entropy().fill(&mut id);
        id
    }
}
