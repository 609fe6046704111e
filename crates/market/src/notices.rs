//! What customers are told: by a key whose text the pages have, about one thing once.

use crate::contract::Contract;
use crate::{Market, Result, letters, life_sql};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, ContractId, EpochNumber, Timestamp};

/// What a notice is about; the key of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// Work of an epoch was missed by the operator's doing: there is a choice.
    OperatorShortfall,
    /// The contract does not pay and will be paused.
    PauseAhead,
    /// It is paused.
    Paused,
    /// It runs again.
    Resumed,
    /// It does not pay, and runs on because its owner said so.
    Unprofitable,
    /// It costs more than it earns, and runs on as its plan says.
    Losing,
    /// It earns more than it costs again.
    EarnsAgain,
    /// It comes to its end.
    EndNear,
    /// It was renewed.
    Renewed,
    /// It was to be renewed, and was not.
    NotRenewed,
    /// Its earnings bought more work.
    Reinvested,
    /// Its payment is disputed: it gets nothing for now.
    Frozen,
    /// The dispute is over and the payment stands: it goes on.
    Thawed,
    /// The payment was taken back: it is over.
    ChargedBack,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [NoticeKind; 14] = [
        NoticeKind::OperatorShortfall,
        NoticeKind::PauseAhead,
        NoticeKind::Paused,
        NoticeKind::Resumed,
        NoticeKind::Unprofitable,
        NoticeKind::Losing,
        NoticeKind::EarnsAgain,
        NoticeKind::EndNear,
        NoticeKind::Renewed,
        NoticeKind::NotRenewed,
        NoticeKind::Reinvested,
        NoticeKind::Frozen,
        NoticeKind::Thawed,
        NoticeKind::ChargedBack,
    ];

    /// As stored and shown.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            NoticeKind::OperatorShortfall => "operator_shortfall",
            NoticeKind::PauseAhead => "pause_ahead",
            NoticeKind::Paused => "paused",
            NoticeKind::Resumed => "resumed",
            NoticeKind::Unprofitable => "unprofitable",
            NoticeKind::Losing => "losing",
            NoticeKind::EarnsAgain => "earns_again",
            NoticeKind::EndNear => "end_near",
            NoticeKind::Renewed => "renewed",
            NoticeKind::NotRenewed => "not_renewed",
            NoticeKind::Reinvested => "reinvested",
            NoticeKind::Frozen => "frozen",
            NoticeKind::Thawed => "thawed",
            NoticeKind::ChargedBack => "charged_back",
        }
    }

    /// A sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            NoticeKind::OperatorShortfall => {
                "Work was missed because the operator moved or idled machines: choose whether it is \
                 delivered later or paid for as it would have earned."
            }
            NoticeKind::PauseAhead => {
                "At the recorded price this contract earns less than it costs: it will be paused, and \
                 its clock with it. You may have it run on."
            }
            NoticeKind::Paused => {
                "This contract is paused. Its clock and its end stand still; what its machines earn \
                 meanwhile above their energy is yours."
            }
            NoticeKind::Resumed => "This contract runs again.",
            NoticeKind::Unprofitable => {
                "At the recorded price this contract earns less than it costs. It runs on."
            }
            NoticeKind::Losing => {
                "This contract now costs more than it earns. By its plan it runs on; what is deducted \
                 never exceeds what it earns."
            }
            NoticeKind::EarnsAgain => "This contract earns more than it costs again.",
            NoticeKind::EndNear => {
                "This contract comes to its end. It can be renewed without a gap."
            }
            NoticeKind::Renewed => "This contract was renewed from the balance.",
            NoticeKind::NotRenewed => {
                "This contract was not renewed: the price is above your limit, the balance does not \
                 cover it, or nothing is for sale."
            }
            NoticeKind::Reinvested => "Earnings of this contract bought more work.",
            NoticeKind::Frozen => {
                "Your bank disputes the card payment of this contract: until that is settled it gets no \
                 work and earns nothing new. Its clock and its end stand still, so no work is lost if \
                 the payment stands."
            }
            NoticeKind::Thawed => {
                "The dispute about the payment of this contract is over, and the payment stands: it \
                 goes on, and its end is later by the epochs that it was frozen."
            }
            NoticeKind::ChargedBack => {
                "Your bank took the payment of this contract back, so it has ended. What was paid for \
                 undelivered work covered what your balance did not; the rest, if any, is in your balance."
            }
        }
    }
}

/// Where a notice stands among an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticePlace {
    at: Timestamp,
    contract: ContractId,
    kind: NoticeKind,
    about: u64,
}

impl std::fmt::Display for NoticePlace {
    /// As it is read again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.at.0, self.contract, self.kind.key(), self.about)
    }
}

impl std::str::FromStr for NoticePlace {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(());
        let at = Timestamp(part()?.parse().map_err(drop)?);
        let contract = part()?.parse().map_err(drop)?;
        let key = part()?;
        let kind = NoticeKind::ALL.into_iter().find(|k| k.key() == key).ok_or(())?;
        let about = part()?.parse().map_err(drop)?;
        // The database counts no further.
        i64::try_from(about).map_err(drop)?;
        Ok(NoticePlace { at, contract, kind, about })
    }
}

impl Notice {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> NoticePlace {
        let Notice { at, contract, kind, about, .. } = *self;
        NoticePlace { at, contract, kind, about }
    }
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The contract.
    pub contract: ContractId,
    /// What about.
    pub kind: NoticeKind,
    /// Which epoch or other number it is about; the same is told once.
    pub about: u64,
    /// When.
    pub at: Timestamp,
    /// Figures, as a short text; may be empty.
    pub detail: String,
}

/// Writes a notice down, and whether a letter is to tell it; the same again does nothing.
pub(crate) async fn tell(tx: &mut Tx, account: AccountId, notice: &Notice) -> Result<()> {
    let letter = letters::is_due(tx, notice).await?;
    let row = params![
        account,
        notice.contract,
        notice.kind.key(),
        notice.about,
        notice.at,
        notice.detail.as_str(),
        letter
    ];
    tx.execute(life_sql::NOTICE, &row).await?;
    Ok(())
}

/// Tells a contract's owner what becomes of it with an epoch; the same again does nothing.
pub(crate) async fn tell_of(
    tx: &mut Tx,
    c: &Contract,
    kind: NoticeKind,
    about: EpochNumber,
    at: Timestamp,
) -> Result<()> {
    let notice = Notice { contract: c.id, kind, about: about.0, at, detail: String::new() };
    tell(tx, c.account, &notice).await
}

fn read(row: &Row) -> Result<Option<Notice>> {
    let key: String = row.get("kind")?;
    let Some(kind) = NoticeKind::ALL.into_iter().find(|k| k.key() == key) else { return Ok(None) };
    Ok(Some(Notice {
        contract: row.get("contract")?,
        kind,
        about: row.get("about")?,
        at: row.get("at")?,
        detail: row.get("detail")?,
    }))
}

impl Market {
    /// An account's notices, of one contract or all, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn notices(
        &self,
        account: AccountId,
        contract: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<Notice>> {
        let limit = limit.min(crate::ROWS_MAX);
        let mut tx = self.store().read().await?;
        let rows = match contract {
            Some(id) => {
                tx.fetch_all(life_sql::NOTICES_OF_CONTRACT, &params![account, id, limit]).await?
            }
            None => tx.fetch_all(life_sql::NOTICES, &params![account, limit]).await?,
        };
        tx.rollback().await?;
        Ok(rows.iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Those from one instant to before another, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn notices_between(
        &self,
        account: AccountId,
        (from, until): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<Notice>> {
        let mut tx = self.store().read().await?;
        let given = params![account, from, until, limit];
        let rows = tx.fetch_all(life_sql::NOTICES_BETWEEN, &given).await?;
        tx.rollback().await?;
        Ok(rows.iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// A page of all of them: those that come after one of them, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn notices_before(
        &self,
        account: AccountId,
        before: Option<NoticePlace>,
        limit: u32,
    ) -> Result<Vec<Notice>> {
        let given = match before {
            // No kind begins with a letter behind the alphabet's.
            None => {
                params![account, i64::MAX, ContractId::from_bytes([0xff; 16]), "~", i64::MAX, limit]
            }
            Some(p) => params![account, p.at, p.contract, p.kind.key(), p.about, limit],
        };
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(life_sql::NOTICES_BEFORE, &given).await?;
        tx.rollback().await?;
        Ok(rows.iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}
