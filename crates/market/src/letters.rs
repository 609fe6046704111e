//! What owners of contracts are written of: notices that a letter is to tell, kept until whoever writes has taken them.
//!
//! Every notice stands on the page. A letter is for what its owner may want to do something about: money that runs out, a
//! contract that stands still, an end that comes. What comes again and again is written once in a while
//! ([`NoticeKind::letters_apart`]).
//!
//! Promises: a notice and that a letter is to tell it commit together; whoever takes it commits that with the letter, so
//! that no notice is written twice or, where there is room for letters, never.
//!
//! Must not know: mail, languages, where letters go.

use crate::notices::{Notice, NoticeKind};
use crate::{Market, Result, life_sql, metered};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, ContractId, Duration, Timestamp};
use std::collections::BTreeSet;

const DAY: Duration = Duration::from_secs(86_400);

/// What a letter tells of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A lease.
    Lease(NoticeKind),
    /// A metered contract.
    Metered(metered::NoticeKind),
}

impl Told {
    /// A sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Told::Lease(kind) => kind.sentence(),
            Told::Metered(kind) => kind.sentence(),
        }
    }
}

/// A line of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterLine {
    /// The contract.
    pub contract: ContractId,
    /// What about.
    pub told: Told,
    /// When it was.
    pub at: Timestamp,
    /// Figures, as a short text; mostly empty.
    pub detail: String,
}

/// What one account is to be written of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The oldest, in the order in which they were.
    pub lines: Vec<LetterLine>,
    /// How many there are besides.
    pub more: u64,
}

impl NoticeKind {
    /// How long after a letter of this kind about a contract the next is written at the earliest; `None` of what no letter is
    /// written of.
    #[must_use]
    pub const fn letters_apart(self) -> Option<Duration> {
        match self {
            NoticeKind::PauseAhead
            | NoticeKind::Paused
            | NoticeKind::Resumed
            | NoticeKind::Losing
            | NoticeKind::EarnsAgain
            | NoticeKind::EndNear
            | NoticeKind::Renewed
            | NoticeKind::NotRenewed => Some(Duration::ZERO),
            // With each epoch that was missed.
            NoticeKind::OperatorShortfall => Some(DAY),
            // With each price, for as long as it is low.
            NoticeKind::Unprofitable => Some(Duration::from_secs(7 * 86_400)),
            // The first comes with every settlement; of disputes whoever hears of them writes.
            NoticeKind::Reinvested
            | NoticeKind::Frozen
            | NoticeKind::Thawed
            | NoticeKind::ChargedBack => None,
        }
    }
}

impl metered::NoticeKind {
    /// Whether a letter is written of it. That a contract has ended is what its owner has asked for.
    #[must_use]
    pub const fn is_written(self) -> bool {
        match self {
            metered::NoticeKind::Low
            | metered::NoticeKind::Stopped
            | metered::NoticeKind::Resumed => true,
            metered::NoticeKind::Ended => false,
        }
    }
}

/// Whether a letter is to tell a notice that is about to be written down.
pub(crate) async fn is_due(tx: &mut Tx, notice: &Notice) -> Result<bool> {
    let Some(apart) = notice.kind.letters_apart() else { return Ok(false) };
    if apart.is_zero() {
        return Ok(true);
    }
    let given = params![notice.contract, notice.kind.key()];
    let last = tx.fetch_optional(life_sql::LAST_LETTER, &given).await?;
    let last: Option<Timestamp> = last.map(|row| row.get("at")).transpose()?;
    Ok(last.is_none_or(|last| last.plus(apart) <= notice.at))
}

fn of_lease(row: &Row) -> Result<Option<LetterLine>> {
    let key: String = row.get("kind")?;
    let kind = NoticeKind::ALL.into_iter().find(|k| k.key() == key);
    let Some(told) = kind.map(Told::Lease) else { return Ok(None) };
    let (contract, at, detail) = (row.get("contract")?, row.get("at")?, row.get("detail")?);
    Ok(Some(LetterLine { contract, told, at, detail }))
}

fn of_metered(row: &Row) -> Result<Option<LetterLine>> {
    let name: String = row.get("kind")?;
    let kind = metered::NoticeKind::ALL.into_iter().find(|k| k.name() == name);
    let Some(told) = kind.map(Told::Metered) else { return Ok(None) };
    let (contract, at) = (row.get("contract")?, row.get("at")?);
    Ok(Some(LetterLine { contract, told, at, detail: String::new() }))
}

impl Market {
    /// Accounts that a letter is to be written to, some of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn accounts_to_write_to(&self, limit: u32) -> Result<BTreeSet<AccountId>> {
        let mut tx = self.store().read().await?;
        let mut all = BTreeSet::new();
        for sql in [life_sql::TO_WRITE_TO, metered::sql::TO_WRITE_TO] {
            for row in tx.fetch_all(sql, &params![limit]).await? {
                all.insert(row.get("account")?);
            }
        }
        tx.rollback().await?;
        Ok(all)
    }

    /// Takes all that anybody is to be written of: no letter will be.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_letters(&self) -> Result<()> {
        transact!(self.store(), tx -> Result<()> => {
            for sql in [life_sql::NONE_TO_WRITE, metered::sql::NONE_TO_WRITE] {
                tx.execute(sql, &params![]).await?;
            }
            Ok(())
        })
    }

    /// Takes all that an account is to be written of, in the transaction that writes the letter: at most so many lines, the
    /// rest as a number.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_letter(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lines_max: u32,
    ) -> Result<Letter> {
        let given = params![account, lines_max];
        let leases = tx.fetch_all(life_sql::UNWRITTEN, &given).await?;
        let meters = tx.fetch_all(metered::sql::UNWRITTEN, &given).await?;
        let read = leases.iter().map(of_lease).chain(meters.iter().map(of_metered));
        let mut lines: Vec<LetterLine> =
            read.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        lines.sort_by_key(|line| line.at);
        lines.truncate(usize::try_from(lines_max).unwrap_or(usize::MAX));
        let mut taken = 0;
        for sql in [life_sql::WRITTEN, metered::sql::WRITTEN] {
            taken += tx.execute(sql, &params![account]).await?;
        }
        let told = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        Ok(Letter { lines, more: taken.saturating_sub(told) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notices::tell;
    use crate::world::{World, someone};
    use gruve_store::{Store, laws, transact};

    async fn what_comes_again_and_again_is_written_once_in_a_while_and_some_not_at_all(
        store: Store,
    ) {
        let w = World::new(store).await;
        let (me, mine, other) =
            (someone(1), ContractId::from_bytes([1; 16]), ContractId::from_bytes([2; 16]));
        let start = w.clock_now();
        let mut about = 0;
        let mut told = async |contract, kind, days: u32| -> bool {
            about += 1;
            let at = start.plus(DAY * days);
            let notice = Notice { contract, kind, about, at, detail: String::new() };
            let market = &w.market;
            let letter = transact!(w.store, tx -> Result<Letter> => {
                // The same again does nothing.
                tell(tx, me, &notice).await?;
                tell(tx, me, &notice).await?;
                market.take_letter(tx, me, 20).await
            });
            let lines = letter.unwrap().lines;
            assert!(lines.iter().all(|line| line.told == Told::Lease(kind)), "{lines:?}");
            lines.len() == 1
        };
        // Day after day: with the first, and a week after each letter.
        let mut days = Vec::new();
        for day in 0..16 {
            if told(mine, NoticeKind::Unprofitable, day).await {
                days.push(day);
            }
        }
        assert_eq!(days, [0, 7, 14]);
        assert!(told(other, NoticeKind::Unprofitable, 15).await, "each contract by itself");
        assert!(told(mine, NoticeKind::OperatorShortfall, 15).await, "each kind by itself");
        assert!(!told(mine, NoticeKind::OperatorShortfall, 15).await);
        assert!(told(mine, NoticeKind::OperatorShortfall, 16).await);
        for kind in NoticeKind::ALL {
            let is_written = kind.letters_apart().is_some();
            assert_eq!(told(mine, kind, 60).await, is_written, "{kind:?}");
            let again = kind.letters_apart() == Some(Duration::ZERO);
            assert_eq!(told(mine, kind, 60).await, again, "{kind:?}");
        }
    }

    /// A house that was brought up to date has notices of months.
    async fn what_was_told_before_there_were_letters_is_not_written(store: Store) {
        const LEASES: &str =
            "INSERT INTO market_notices (account, contract, kind, about, at, detail)
            VALUES ($1, $1, 'paused', 1, 1, '')";
        const METERED: &str =
            "INSERT INTO market_metered_notices (contract, number, kind, epoch, at)
            VALUES ($1, 1, 'low', 1, 1)";
        const LETTERS: &str = "SELECT letter FROM market_notices UNION ALL
            SELECT letter FROM market_metered_notices";
        store.migrate("market", crate::MIGRATIONS).await.unwrap();
        store.migrate("market_metered", &crate::METERED_MIGRATIONS[..3]).await.unwrap();
        store.migrate("market_life", &crate::LIFE_MIGRATIONS[..3]).await.unwrap();
        transact!(store, tx -> Result<()> => {
            for sql in [LEASES, METERED] {
                tx.execute(sql, &params![someone(1)]).await?;
            }
            Ok(())
        })
        .unwrap();
        let w = World::new(store).await;
        assert!(w.market.accounts_to_write_to(10).await.unwrap().is_empty());
        let rows = w.store.read().await.unwrap().fetch_all(LETTERS, &params![]).await.unwrap();
        let letters: Vec<i64> = rows.iter().map(|row| row.get("letter").unwrap()).collect();
        assert_eq!(letters, [0, 0]);
    }

    laws! { letters: [
        what_was_told_before_there_were_letters_is_not_written,
        what_comes_again_and_again_is_written_once_in_a_while_and_some_not_at_all,
    ] }
}
