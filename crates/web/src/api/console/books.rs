//! The books for the operator's programs: journal, prices told by hand, the FPPS reserves.

use crate::api::page::Page;
use crate::api::reserve::{FppsBody, reserve};
use crate::api::{Hex, Money, Time, amount, hexed, time};
use crate::deciding::MoveReserve;
use crate::extract::{Json, Params, Staff};
use crate::failure::{Failure, sentence};
use crate::openapi::{Done, Fine, List, answers, requests};
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use axum::extract::State;
use gruve_accounts::Permission::{MoveReserves, SeeBooks, TellPrices};
use gruve_ledger::{BROWSED_MAX, JournalEntry};
use gruve_market::ReserveFrom;
use gruve_units::{Amount, Asset, LaneId};

requests! {
    /// A price of this moment.
    struct PriceTold {
        /// Of which coin.
        asset: Asset,
        /// In whose name: a source that the configuration knows.
        source: String,
        /// Dollars for a whole coin, as decimal text.
        dollars: String,
    }

    /// The operator's coins to be moved.
    struct ReserveMove {
        /// `put` into the reserve or `take` out of it.
        way: String,
        /// From or to `revenue`, what the operator has earned, or `capital`.
        from: String,
        /// Of which coin.
        asset: Asset,
        /// In whole coins, as decimal text; above zero.
        amount: String,
        /// A name for it, 1 to 64 of a-z, 0-9 and -, used once for ever: the same again does nothing.
        reason: String,
    }
}

answers! {
    /// An entry of the journal.
    struct JournalLine {
        /// Its number.
        number: i64,
        /// When it happened.
        at: Time,
        /// Its kind.
        kind: String,
        /// What it was made for, once for ever.
        reason: String,
        /// What was posted.
        postings: Vec<PostingBody>,
        /// The chain's hash up to it.
        hash: Hex,
    }

    /// What was posted to an account of the books.
    struct PostingBody {
        /// The account.
        account: String,
        /// Debits positive, credits negative.
        amount: Money,
    }

    /// What stands behind FPPS on a lane in one asset.
    struct ReserveBody: base: FppsBody {
        /// The lane.
        lane: LaneId,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/console/journal",
            StaffBearer(SeeBooks),
            "Every entry of the books, newest first.",
            journal,
        )
        .api_post(
            "/api/v1/console/prices",
            StaffBearer(TellPrices),
            "Tells a price in the name of a source.",
            tell_price,
        )
        .api_get(
            "/api/v1/console/reserves",
            StaffBearer(SeeBooks),
            "What stands behind FPPS on all lanes.",
            reserves,
        )
        .api_post(
            "/api/v1/console/reserves",
            StaffBearer(MoveReserves),
            "Moves the operator's coins into an FPPS reserve or out of it.",
            move_reserve,
        )
}

fn line(e: &JournalEntry) -> JournalLine {
    let posting = |(account, a): &(String, Amount)| PostingBody {
        account: account.clone(),
        amount: amount(*a),
    };
    JournalLine {
        number: e.seq,
        at: time(e.at),
        kind: e.kind.clone(),
        reason: e.reason.clone(),
        postings: e.postings.iter().map(posting).collect(),
        hash: hexed(e.hash),
    }
}

/// `GET /api/v1/console/journal`
async fn journal(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<JournalLine>>, Failure> {
    let page = page.at_most(BROWSED_MAX - 1)?;
    let mut tx = state.store().read().await?;
    let entries = gruve_ledger::browse(&mut tx, page.behind()?, page.wanted()?).await?;
    tx.rollback().await?;
    page.give(entries, |e| e.seq, line)
}

fn decimal(asset: Asset, text: &str) -> Result<Amount, Failure> {
    let read = Amount::parse_decimal(asset, text.trim());
    read.map_err(|e| Failure::refused(sentence(&e.to_string())))
}

/// `POST /api/v1/console/prices`
async fn tell_price(
    State(state): State<AppState>,
    staff: Staff,
    Json(told): Json<PriceTold>,
) -> Result<Done, Failure> {
    let dollars = decimal(Asset::Usd, &told.dollars)?;
    state.tell_price(staff, (told.asset, told.source.trim()), dollars).await?;
    Ok(Done)
}

/// `GET /api/v1/console/reserves`
async fn reserves(State(state): State<AppState>) -> Result<Fine<List<ReserveBody>>, Failure> {
    let mut all = Vec::new();
    let mut tx = state.store().read().await?;
    for lane in &state.market().config().lanes {
        let of = state.market().fpps_status(&mut tx, &lane.lane).await?;
        let body = |s| ReserveBody { base: reserve(s), lane: lane.lane.clone() };
        all.extend(of.iter().map(body));
    }
    tx.rollback().await?;
    Ok(List::whole(all))
}

/// `POST /api/v1/console/reserves`
async fn move_reserve(
    State(state): State<AppState>,
    staff: Staff,
    Json(it): Json<ReserveMove>,
) -> Result<Done, Failure> {
    let is_taken_out = match it.way.as_str() {
        "put" => false,
        "take" => true,
        _ => return Err(Failure::refused("`way` is put or take.")),
    };
    let from = match it.from.as_str() {
        "revenue" => ReserveFrom::Revenue,
        "capital" => ReserveFrom::Capital,
        _ => return Err(Failure::refused("`from` is revenue or capital.")),
    };
    let amount = decimal(it.asset, &it.amount)?;
    let it = MoveReserve { amount, is_taken_out, from, reason: &it.reason };
    state.move_reserve(staff, it).await?;
    Ok(Done)
}
