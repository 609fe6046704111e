//! Tickets: secrets that let their holder do one thing, once, within a short time: go on signing in,
//! confirm an address, set a new password.

use crate::sql::{
    INSERT_TICKET, REMOVE_OLD_TICKETS, REMOVE_TICKETS_OF, TAKE_TICKET, TICKET, TICKETS_OF,
};
use crate::{AccountsError, Result, secrets};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};

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

/// Tickets of one purpose that an account has at most; more are refused until one expires.
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
            // Longer than a change's delay, so that what it stops can still be stopped; what waits longer is told anew
            // each day.
            Purpose::Undo => Duration::from_secs(7 * 24 * 3600),
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

/// A new ticket.
pub(crate) async fn issue(
    tx: &mut Tx,
    account: AccountId,
    purpose: Purpose,
    detail: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Ticket> {
    tx.execute(REMOVE_OLD_TICKETS, &params![now]).await?;
    let held: i64 = tx.fetch_one(TICKETS_OF, &params![account, purpose.word()]).await?.get("n")?;
    if held >= OF_A_PURPOSE_MAX {
        return Err(AccountsError::TooManyAttempts { retry_after: purpose.life() });
    }
    let (text, hash) = secrets::new(HASHED, entropy);
    let until = now.plus(purpose.life());
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
