//! What about a machine waits for a person: opened, talked about and closed by the operator or by the
//! owner it had when the ticket was opened.

use crate::statements::{
    ADD_NOTE, CLOSE_TICKET, INSERT_TICKET, NOTES, OPEN_TICKETS, OPEN_TICKETS_AFTER, TICKET,
    TICKETS, TICKETS_BEFORE, TICKETS_OF_OWNER_BEFORE, TICKETS_OPEN_OF,
};
use crate::{Farm, FarmError, MachineOwner, Result};
use gruve_store::{FromValue, Kind, Storable, Unfit, Value};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Entropy, MachineId, Timestamp};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Characters of a title at most.
pub const TITLE_CHARS_MAX: usize = 120;
/// Characters of a note at most.
pub const NOTE_CHARS_MAX: usize = 2_000;
/// Open tickets of one machine at most: more would hide each other.
pub const OPEN_TICKETS_MAX: i64 = 20;
/// Notes of one ticket at most.
pub const NOTES_MAX: i64 = 200;
/// Tickets listed of a machine.
const LISTED_MAX: i64 = 200;

/// A ticket's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TicketId(Uuid);

impl TicketId {
    /// A new one (UUID version 7) for this instant.
    #[must_use]
    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> TicketId {
        // As machines' ids are made.
        TicketId(MachineId::new(now, entropy).0)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TicketId {
    type Err = FarmError;
    fn from_str(s: &str) -> Result<Self> {
        Uuid::parse_str(s).map(TicketId).map_err(|_| FarmError::NoTicket)
    }
}

impl Storable for TicketId {
    const KIND: Kind = Kind::Bytes;
    fn into_value(self) -> Value {
        Value::Bytes(self.0.as_bytes().to_vec())
    }
}

impl FromValue for TicketId {
    fn from_value(value: Value) -> std::result::Result<Self, Unfit> {
        <[u8; 16]>::from_value(value).map(|b| TicketId(Uuid::from_bytes(b)))
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The operator.
    Operator,
    /// A customer.
    Owner(AccountId),
}

impl Speaker {
    const fn word(self) -> &'static str {
        match self {
            Speaker::Operator => "operator",
            Speaker::Owner(_) => "owner",
        }
    }
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// The machine.
    pub machine: MachineId,
    /// Who the machine belonged to when it was opened: the one who sees it beside the operator.
    pub owner: MachineOwner,
    /// What it is about.
    pub title: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// By whom: `operator` or `owner`.
    pub author: String,
    /// The words.
    pub text: String,
}

fn read(row: &Row) -> Result<Ticket> {
    Ok(Ticket {
        id: row.get("id")?,
        machine: row.get("machine")?,
        owner: row.get("owner")?,
        title: row.get("title")?,
        opened_at: row.get("opened_at")?,
        closed_at: row.get("closed_at")?,
    })
}

/// Text is trimmed, not empty, and has no control characters but line ends.
fn words(text: &str, chars_max: usize) -> Result<String> {
    let text = text.trim().replace("\r\n", "\n");
    let plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if plain && (1..=chars_max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(FarmError::BadText { max: chars_max })
    }
}

impl Farm {
    /// Opens a ticket. A customer opens one for a machine that is the customer's in the current epoch; the
    /// operator's ticket is seen by whoever owns the machine now.
    ///
    /// # Errors
    /// [`FarmError::NoMachine`] (also when it is somebody else's), [`FarmError::BadText`],
    /// [`FarmError::TooMany`].
    pub async fn open_ticket(
        &self,
        machine: MachineId,
        by: Speaker,
        title: &str,
        text: &str,
    ) -> Result<TicketId> {
        let (title, text) = (words(title, TITLE_CHARS_MAX)?, words(text, NOTE_CHARS_MAX)?);
        if title.contains('\n') {
            return Err(FarmError::BadText { max: TITLE_CHARS_MAX });
        }
        let now = self.clock.now();
        let id = TicketId::new(now, self.entropy.as_ref());
        transact!(self.store, tx -> Result<_> => {
            let lane = self.inventory_of(tx, machine).await?.lane;
            let owner = self.owner_in(tx, machine, self.rule(&lane)?.at(now)).await?;
            if let Speaker::Owner(account) = by
                && owner != MachineOwner::Account(account)
            {
                return Err(FarmError::NoMachine);
            }
            let open: i64 = tx.fetch_one(TICKETS_OPEN_OF, &params![machine]).await?.get("n")?;
            if open >= OPEN_TICKETS_MAX {
                return Err(FarmError::TooMany { max: OPEN_TICKETS_MAX });
            }
            tx.execute(INSERT_TICKET, &params![id, machine, owner, &title, now]).await?;
            tx.execute(ADD_NOTE, &params![id, 0_i64, now, by.word(), &text]).await?;
            Ok(id)
        })
    }

    /// Says something on an open ticket.
    ///
    /// # Errors
    /// [`FarmError::NoTicket`] (also when it is somebody else's), [`FarmError::TicketClosed`],
    /// [`FarmError::BadText`], [`FarmError::TooMany`].
    pub async fn say_on_ticket(&self, id: TicketId, by: Speaker, text: &str) -> Result<()> {
        let text = words(text, NOTE_CHARS_MAX)?;
        let now = self.clock.now();
        transact!(self.store, tx -> Result<_> => {
            if seen_by(tx, id, by).await?.closed_at.is_some() {
                return Err(FarmError::TicketClosed);
            }
            let said = tx.fetch_all(NOTES, &params![id]).await?.len();
            let n = i64::try_from(said).unwrap_or(i64::MAX);
            if n >= NOTES_MAX {
                return Err(FarmError::TooMany { max: NOTES_MAX });
            }
            tx.execute(ADD_NOTE, &params![id, n, now, by.word(), &text]).await?;
            Ok(())
        })
    }

    /// Closes a ticket. Closing a closed one does nothing.
    ///
    /// # Errors
    /// [`FarmError::NoTicket`].
    pub async fn close_ticket(&self, id: TicketId, by: Speaker) -> Result<()> {
        let now = self.clock.now();
        transact!(self.store, tx -> Result<_> => {
            seen_by(tx, id, by).await?;
            tx.execute(CLOSE_TICKET, &params![id, now]).await?;
            Ok(())
        })
    }

    /// A machine's tickets as `by` sees them, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn tickets(&self, machine: MachineId, by: Speaker) -> Result<Vec<Ticket>> {
        let rows =
            self.store.read().await?.fetch_all(TICKETS, &params![machine, LISTED_MAX]).await?;
        let all: Vec<Ticket> = rows.iter().map(read).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|t| is_seen(t, by)).collect())
    }

    /// All open tickets, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_tickets(&self) -> Result<Vec<Ticket>> {
        let rows = self.store.read().await?.fetch_all(OPEN_TICKETS, &[]).await?;
        rows.iter().map(read).collect()
    }

    /// A page of a machine's tickets that somebody may see: those opened before one of them, the newest first by
    /// their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn tickets_before(
        &self,
        machine: MachineId,
        by: Speaker,
        before: Option<TicketId>,
        limit: u32,
    ) -> Result<Vec<Ticket>> {
        let before = before.unwrap_or(TicketId(Uuid::max()));
        let mut tx = self.store.read().await?;
        let rows = match by {
            Speaker::Operator => {
                tx.fetch_all(TICKETS_BEFORE, &params![machine, before, limit]).await?
            }
            Speaker::Owner(account) => {
                let given = params![machine, MachineOwner::Account(account), before, limit];
                tx.fetch_all(TICKETS_OF_OWNER_BEFORE, &given).await?
            }
        };
        rows.iter().map(read).collect()
    }

    /// A page of the open tickets by their ids, oldest first: those after one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_tickets_after(
        &self,
        after: Option<TicketId>,
        limit: u32,
    ) -> Result<Vec<Ticket>> {
        let after = after.unwrap_or(TicketId(Uuid::nil()));
        let mut tx = self.store.read().await?;
        let rows = tx.fetch_all(OPEN_TICKETS_AFTER, &params![after, limit]).await?;
        rows.iter().map(read).collect()
    }

    /// What was said on a ticket, oldest first.
    ///
    /// # Errors
    /// [`FarmError::NoTicket`].
    pub async fn ticket(&self, id: TicketId, by: Speaker) -> Result<(Ticket, Vec<Note>)> {
        let mut tx = self.store.read().await?;
        let ticket = seen_by(&mut tx, id, by).await?;
        let rows = tx.fetch_all(NOTES, &params![id]).await?;
        let note =
            |r: &Row| Ok(Note { at: r.get("at")?, author: r.get("author")?, text: r.get("text")? });
        Ok((ticket, rows.iter().map(note).collect::<Result<_>>()?))
    }
}

fn is_seen(ticket: &Ticket, by: Speaker) -> bool {
    match by {
        Speaker::Operator => true,
        Speaker::Owner(account) => ticket.owner == MachineOwner::Account(account),
    }
}

async fn seen_by(tx: &mut Tx, id: TicketId, by: Speaker) -> Result<Ticket> {
    let row = tx.fetch_optional(TICKET, &params![id]).await?;
    let ticket = read(&row.ok_or(FarmError::NoTicket)?)?;
    if is_seen(&ticket, by) { Ok(ticket) } else { Err(FarmError::NoTicket) }
}
