//! Reviews of plans, by holders of contracts that run or ran, one a contract.
//!
//! # Promises
//! - Who never held the contract writes nothing; a contract speaks once and is not rewritten.
//! - The operator may answer, once, and may hide a text for one of the stated [`Ground`]s. Stars count all the same,
//!   and that a text was hidden, when and why stands in its place and in the security log. Nothing deletes a review.

use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::state::AppState;
use crate::trade::market_failure;
use axum::http::StatusCode;
use gruve_store::{Migration, Row, StoreError, params, statements, transact};
use gruve_units::{AccountId, ContractId, Timestamp};

/// The reviews' tables.
pub const REVIEW_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "reviews",
    sqlite: include_str!("../migrations/0001_reviews.sqlite.sql"),
    postgres: include_str!("../migrations/0001_reviews.postgres.sql"),
}];

/// Characters of a review, and of an answer, at most: a long paragraph.
pub(crate) const TEXT_CHARS_MAX: usize = 1_000;
/// Reviews of a plan shown at most, the newest.
const SHOWN: u32 = 100;

statements! {
    PUT_REVIEW = "INSERT INTO web_reviews \
        (contract, account, plan, stars, body, made_at, answer, answered_at, hidden_for, hidden_at) \
        VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL, NULL, NULL) ON CONFLICT DO NOTHING";
    REVIEWS_OF = "SELECT contract, stars, body, made_at, answer, answered_at, hidden_for, hidden_at \
        FROM web_reviews WHERE plan = $1 AND (made_at, contract) < ($2, $3) \
        ORDER BY made_at DESC, contract DESC LIMIT $4";
    STARS_OF = "SELECT stars, COUNT(*) AS n FROM web_reviews WHERE plan = $1 GROUP BY stars";
    REVIEW_OF = "SELECT contract, stars, body, made_at, answer, answered_at, hidden_for, hidden_at \
        FROM web_reviews WHERE contract = $1";
    ANSWER = "UPDATE web_reviews SET answer = $2, answered_at = $3 \
        WHERE contract = $1 AND answered_at IS NULL";
    HIDE = "UPDATE web_reviews SET hidden_for = $2, hidden_at = $3 \
        WHERE contract = $1 AND hidden_at IS NULL";
}

/// Why a text may be hidden; for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// It names or describes somebody who is not a public part of the house.
    PersonalData,
    /// It threatens or insults somebody.
    Abuse,
    /// It advertises something else, or leads elsewhere.
    Advertising,
    /// A court or authority has ordered it.
    Ordered,
}

impl Ground {
    pub(crate) const ALL: [Ground; 4] =
        [Ground::PersonalData, Ground::Abuse, Ground::Advertising, Ground::Ordered];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Ground::PersonalData => "personal-data",
            Ground::Abuse => "abuse",
            Ground::Advertising => "advertising",
            Ground::Ordered => "ordered",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Ground::PersonalData => "it told of a private person",
            Ground::Abuse => "it insulted or threatened somebody",
            Ground::Advertising => "it advertised something else",
            Ground::Ordered => "a court or authority ordered it",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Ground> {
        Ground::ALL.into_iter().find(|g| g.word() == word)
    }
}

/// What an account holds or held by a contract.
pub(crate) struct Held {
    /// Of which plan it is.
    pub(crate) plan: String,
    /// The pages of contracts of its kind.
    pub(crate) place: &'static str,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Review {
    pub(crate) contract: ContractId,
    pub(crate) stars: u8,
    pub(crate) body: String,
    pub(crate) made: Timestamp,
    pub(crate) answer: Option<(String, Timestamp)>,
    pub(crate) hidden: Option<(Ground, Timestamp)>,
}

fn read(row: &Row) -> Result<Review, StoreError> {
    let answer: Option<String> = row.get("answer")?;
    let hidden: Option<String> = row.get("hidden_for")?;
    let ground = hidden.map(|word| Ground::of(&word).unwrap_or(Ground::Ordered));
    Ok(Review {
        contract: row.get("contract")?,
        stars: row.get("stars")?,
        body: row.get("body")?,
        made: row.get("made_at")?,
        answer: answer.zip(row.get("answered_at")?),
        hidden: ground.zip(row.get("hidden_at")?),
    })
}

fn checked(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    let fine = (1..=TEXT_CHARS_MAX).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
    fine.then_some(text).ok_or_else(|| Failure::refused("Write 1 to 1,000 characters."))
}

impl AppState {
    /// The newest reviews of a plan.
    pub(crate) async fn reviews(&self, plan: &str) -> Result<Vec<Review>, Failure> {
        self.reviews_before(plan, None, SHOWN).await
    }

    /// What was said of a plan before one of the reviews (when it was written, and of which contract), newest first.
    pub(crate) async fn reviews_before(
        &self,
        plan: &str,
        before: Option<(Timestamp, ContractId)>,
        limit: u32,
    ) -> Result<Vec<Review>, Failure> {
        let last = (Timestamp(i64::MAX), ContractId::from_bytes([0xff; 16]));
        let (at, contract) = before.unwrap_or(last);
        let given = params![plan, at, contract, limit];
        let rows = self.store().read().await?.fetch_all(REVIEWS_OF, &given).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// How many gave one to five stars.
    pub(crate) async fn stars(&self, plan: &str) -> Result<[u64; 5], Failure> {
        let mut all = [0; 5];
        for row in self.store().read().await?.fetch_all(STARS_OF, &params![plan]).await? {
            let (stars, n): (u8, u64) = (row.get("stars")?, row.get("n")?);
            if let Some(place) = all.get_mut(usize::from(stars).saturating_sub(1)) {
                *place = n;
            }
        }
        Ok(all)
    }

    /// What was said of a contract.
    pub(crate) async fn review_of(&self, contract: ContractId) -> Result<Option<Review>, Failure> {
        let row = self.store().read().await?.fetch_optional(REVIEW_OF, &params![contract]).await?;
        Ok(row.map(|r| read(&r)).transpose()?)
    }

    /// The plan that an account may speak of by a contract of any kind.
    pub(crate) async fn held_plan(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<Held, Failure> {
        let held = self.market().held_plan(account, id).await.map_err(|e| market_failure(&e))?;
        if let Some(held) = held {
            let place = if held.is_metered { "/metered" } else { "/contracts" };
            return Ok(Held { plan: held.plan, place });
        }
        let plan = self.hosting().held_plan(account, id).await.map_err(|e| hosting_failure(&e))?;
        let plan = plan.ok_or_else(|| Failure::not_found("contract"))?;
        Ok(Held { plan, place: "/machines" })
    }

    /// Whether an account may speak of a contract.
    pub(crate) async fn may_review(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<bool, Failure> {
        match self.held_plan(account, id).await {
            Ok(_) => Ok(true),
            Err(f) if f.status == StatusCode::NOT_FOUND => Ok(false),
            Err(f) => Err(f),
        }
    }

    /// A holder speaks.
    pub(crate) async fn review(
        &self,
        account: AccountId,
        id: ContractId,
        stars: u8,
        text: &str,
    ) -> Result<String, Failure> {
        let plan = self.held_plan(account, id).await?.plan;
        if !(1..=5).contains(&stars) {
            return Err(Failure::refused("Give 1 to 5 stars."));
        }
        let text = checked(text)?;
        let row = params![id, account, &plan, stars, text, self.now()];
        let put = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(PUT_REVIEW, &row).await
        })?;
        match put {
            0 => Err(Failure::conflict(
                "reviewed",
                "This contract has its review already.".to_owned(),
            )),
            _ => Ok(plan),
        }
    }

    /// The operator answers, once.
    pub(crate) async fn answer_review(&self, id: ContractId, text: &str) -> Result<(), Failure> {
        let (text, now) = (checked(text)?, self.now());
        let put = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(ANSWER, &params![id, text, now]).await
        })?;
        if put == 1 { Ok(()) } else { Err(Failure::not_found("review without an answer")) }
    }

    /// The operator hides a text, for a stated ground.
    pub(crate) async fn hide_review(&self, id: ContractId, ground: Ground) -> Result<(), Failure> {
        let now = self.now();
        let put = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(HIDE, &params![id, ground.word(), now]).await
        })?;
        if put == 1 { Ok(()) } else { Err(Failure::not_found("review that is shown")) }
    }
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("web_reviews", super::REVIEW_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { reviews: [every_statement_prepares] }
}
