//! Tickets: secrets that let their holder do one thing, once, within a short time: go on signing in,
//! confirm an address, set a new password.

use crate::sql::{
    INSERT_TICKET, REMOVE_OLD_TICKETS, REMOVE_TICKETS_OF, TAKE_TICKET, TICKET, TICKETS_OF,
};
use crate::{AccountsError, Result, secrets};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};

/// The detail of a ticket that keeps a second factor which is said to be lost.
pub(crate) const LOST: &str = "factor";

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The password was right; a code is missing.
    Second,
    /// A passkey has just proven who sits there.
    Proof,
    /// A new account's address is confirmed.
    SignUp,
    /// An account's new address is confirmed.
    NewEmail,
    /// A new password is set without the old one.
    Reset,
    /// A second factor is lost, and is to be taken off.
    LostFactor,
    /// A change that counts later is stopped.
    Undo,
}

/// Tickets of one purpose that an account has at most, and of those that stop something for each kind of thing; more are
/// refused until one expires. By kinds, so that whoever has many payouts wait does not keep the owner from changing the
/// address of mail or the book.
const OF_A_PURPOSE_MAX: i64 = 20;

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Purpose::Second => "second",
            Purpose::Proof => "proof",
            Purpose::SignUp => "sign-up",
            Purpose::NewEmail => "new-email",
            Purpose::Reset => "reset",
            Purpose::LostFactor => "lost-factor",
            Purpose::Undo => "undo",
        }
    }

    /// How long it is good.
    pub(crate) const fn life(self) -> Duration {
        match self {
            Purpose::Second | Purpose::Proof => Duration::from_secs(300),
            Purpose::SignUp | Purpose::NewEmail | Purpose::LostFactor => {
                Duration::from_secs(24 * 3600)
            }
            Purpose::Reset => Duration::from_secs(3600),
            // What waits longer is told anew each day, or has a ticket that lasts as long ([`issue_until`]).
            Purpose::Undo => Duration::from_secs(7 * 24 * 3600),
        }
    }

    /// Which of the account's tickets for this purpose count together with one, as a pattern for its detail: those that
    /// stop something by the first word, which says what it is. None where no number is too many: who is told that a
    /// factor is said to be lost is told in any case, and how often that can begin is bounded by its messages.
    fn counted_with(self, detail: &str) -> Option<String> {
        match self {
            Purpose::Undo if detail == LOST => None,
            Purpose::Undo => Some(format!("{}%", detail.split(' ').next().unwrap_or_default())),
            _ => Some("%".to_owned()),
        }
    }
}

/// A secret that lets its holder do one thing.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(pub String);

impl std::fmt::Debug for Ticket {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

/// Whose a ticket is, and what it says besides.
pub(crate) struct Held {
    pub(crate) account: AccountId,
    pub(crate) detail: String,
}

const HASHED: &[u8] = b"gruve ticket 1";

/// A new ticket, good for as long as its purpose says.
pub(crate) async fn issue(
    tx: &mut Tx,
    account: AccountId,
    purpose: Purpose,
    detail: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Ticket> {
    let until = now.plus(purpose.life());
    issue_until(tx, account, (purpose, detail), (now, until), entropy).await
}

/// A new ticket, good until then.
pub(crate) async fn issue_until(
    tx: &mut Tx,
    account: AccountId,
    (purpose, detail): (Purpose, &str),
    (now, until): (Timestamp, Timestamp),
    entropy: &dyn Entropy,
) -> Result<Ticket> {
    tx.execute(REMOVE_OLD_TICKETS, &params![now]).await?;
    if let Some(counted) = purpose.counted_with(detail) {
        let row = tx.fetch_one(TICKETS_OF, &params![account, purpose.word(), counted]).await?;
        if row.get::<i64>("n")? >= OF_A_PURPOSE_MAX {
            let first: Option<Timestamp> = row.get("first_end")?;
            let retry_after = first.map_or(purpose.life(), |end| end.since(now));
            return Err(AccountsError::TooManyAttempts { retry_after });
        }
    }
    let (text, hash) = secrets::new(HASHED, entropy);
    tx.execute(INSERT_TICKET, &params![hash, account, purpose.word(), detail, until]).await?;
    Ok(Ticket(text))
}

fn read(row: Option<Row>) -> Result<Option<Held>> {
    let held = |r: Row| Ok(Held { account: r.get("account")?, detail: r.get("detail")? });
    row.map(held).transpose()
}

/// Whose a ticket is, if it is good; it stays good.
pub(crate) async fn look(
    tx: &mut Tx,
    ticket: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Held>> {
    let Some(hash) = secrets::hash_of(HASHED, ticket) else { return Ok(None) };
    read(tx.fetch_optional(TICKET, &params![hash, purpose.word(), now]).await?)
}

/// Whose a ticket is, if it is good; it is used up.
pub(crate) async fn take(
    tx: &mut Tx,
    ticket: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Held>> {
    let Some(hash) = secrets::hash_of(HASHED, ticket) else { return Ok(None) };
    read(tx.fetch_optional(TAKE_TICKET, &params![hash, purpose.word(), now]).await?)
}

/// Makes all tickets of an account for a purpose void.
pub(crate) async fn void(tx: &mut Tx, account: AccountId, purpose: Purpose) -> Result<()> {
    tx.execute(REMOVE_TICKETS_OF, &params![account, purpose.word()]).await?;
    Ok(())
}
