//! Quotes, contracts and their invoices.

use crate::api::page::Page;
use crate::api::papers::statement::StatementPage;
use crate::api::payins::{ConversionBody, OfferBody, Way, conversion_of, offers_of};
use crate::api::{Hex, Money, Rate, Time, amount, hexed, key_of, rate, time};
use crate::conversion::Rates;
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::openapi::{Answer, Fine, List, Made, Sheet, answers, requests};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use gruve_market::{
    ContractView, Earnings, EpochLine, Quote, QuoteForecast, SettlementLine, SignedTerms,
};
use gruve_treasury::{INVOICES_PAGE_MAX, Invoice, Mark, Purpose, Unconfirmed};
use gruve_units::{
    Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, InvoiceId, LaneId, QuoteId,
};

/// Settlements listed with a contract.
const SETTLEMENTS_MAX: u32 = 500;

requests! {
    /// What to quote.
    struct QuoteOrder {
        /// The plan's id.
        plan: String,
        /// `200 kH/s`, or a whole number of hashes per second as text.
        hashrate: String,
        /// For how many epochs: one of the plan's terms.
        term_epochs: u64,
    }

    /// Which quote to buy.
    struct Confirm {
        /// The quote's id.
        quote: QuoteId,
        /// 64 hex digits of the customer's own, to stand in the contract's leaf.
        nonce: Option<String>,
    }

    /// Which part of a statement, and in which form.
    struct Span {
        /// The first epoch; the contract's when left out.
        from: Option<u64>,
        /// Epochs with work at most.
        limit: Option<usize>,
        /// `json` or `csv`.
        format: Option<String>,
    }
}

answers! {
    /// A price for hashpower, which stands for some minutes.
    struct QuoteBody {
        /// Its id, by which it is bought.
        quote: QuoteId,
        /// The plan's id.
        plan: String,
        /// The plan's version.
        plan_version: u32,
        /// Delivered at up to this rate.
        hashrate: Rate,
        /// For how many epochs.
        term_epochs: u64,
        /// The work that is bought.
        work: Hashes,
        /// What it costs.
        price: Money,
        /// Until when it stands.
        expires_at: Time,
        /// What it may earn; null while too little is known of the lane.
        forecast: Option<QuoteForecast>,
    }

    /// What was bought, and how to pay for it.
    struct Bought {
        /// The contract's id.
        contract: ContractId,
        /// What is to be paid.
        invoice: InvoiceBody,
    }

    /// A contract.
    struct ContractBody {
        /// Its id.
        contract: ContractId,
        /// The plan's id.
        plan: String,
        /// The plan's version.
        plan_version: u32,
        /// The plan's title.
        title: String,
        /// Where it is worked.
        lane: LaneId,
        /// The lane's own asset.
        asset: Asset,
        /// `awaiting_payment`, `starting`, `active`, `paused`, `completed`, `refunded`, `expired` or `cancelled`.
        state: String,
        /// As sold.
        hashrate: Rate,
        /// As sold.
        term_epochs: u64,
        /// As sold.
        price: Money,
        /// Of the signed terms' bytes.
        terms_sha256: Hex,
        /// When it was bought.
        created_at: Time,
        /// When it was paid.
        paid_at: Option<Time>,
        /// Its first epoch.
        start_epoch: Option<EpochNumber>,
        /// The epoch before which it ends at the latest.
        hard_end_epoch: Option<EpochNumber>,
        /// Work sold.
        bought: Hashes,
        /// Work due by now.
        entitled: Hashes,
        /// Work done.
        delivered: Hashes,
        /// Work missing.
        shortfall: Hashes,
        /// Earned, before fees.
        earned: Money,
        /// Of it settled, before fees.
        settled: Money,
        /// Of it credited, after fees.
        credited: Money,
        /// Earned and not settled.
        maturing: Money,
        /// The same four for each asset that the lane earns, its own first.
        earnings: Vec<EarningsBody>,
        /// Of the price.
        refunded: Money,
    }

    /// What was earned of one asset.
    struct EarningsBody {
        /// Which.
        asset: Asset,
        /// Before fees.
        earned: Money,
        /// Of it settled, before fees.
        settled: Money,
        /// Of it credited, after fees.
        credited: Money,
        /// Earned and not settled.
        maturing: Money,
    }

    /// A contract with its newest epochs and settlements.
    struct ContractDetail: base: ContractBody {
        /// The last 500 epochs, newest first; `/epochs` has all.
        epochs: Vec<EpochLineBody>,
        /// The last 500 settlements of all assets, newest first; `/settlements` has all.
        settlements: Vec<SettlementBody>,
        /// Its invoice's id.
        invoice: Option<InvoiceId>,
        /// As it was shown with the quote.
        forecast: Option<QuoteForecast>,
    }

    /// An epoch of a contract.
    struct EpochLineBody {
        /// Which.
        epoch: EpochNumber,
        /// When it began.
        started_at: Time,
        /// Work due.
        entitled: Hashes,
        /// Work done.
        delivered: Hashes,
        /// Of it for earlier epochs.
        made_good: Hashes,
        /// Work missing.
        shortfall: Hashes,
    }

    /// A settlement; negative where an orphaned block was taken back.
    struct SettlementBody {
        /// The first epoch settled.
        from_epoch: EpochNumber,
        /// The last.
        to_epoch: EpochNumber,
        /// Before fees.
        gross: Money,
        /// The operator's part.
        fee: Money,
        /// Maintenance taken.
        maintenance: Money,
        /// Maintenance waived, because there was too little to take it of.
        waived: Money,
        /// What reached the balance.
        net: Money,
        /// When.
        at: Time,
    }

    /// A contract taken back.
    struct CancelledBody {
        /// Which.
        contract: ContractId,
        /// `cancelled`.
        state: &'static str,
        /// What went back to the balance.
        refunded: Money,
        /// It had been cancelled before: nothing changed.
        before: bool,
    }

    /// A payment that was seen and stands in no block yet.
    struct UnconfirmedBody {
        /// Its transaction's id.
        transaction: String,
        /// How much it pays.
        amount: Money,
        /// When it was seen first.
        seen_at: Time,
    }

    /// An invoice.
    struct InvoiceBody {
        /// Its id.
        id: InvoiceId,
        /// `new`, `seen`, `underpaid`, `paid` (in blocks, not deep enough yet), `confirmed` or `expired`.
        state: &'static str,
        /// Whether it can be paid.
        open: bool,
        /// What it is for.
        amount: Money,
        /// What was seen in blocks, or came otherwise.
        received: Money,
        /// Of it confirmed.
        confirmed: Money,
        /// What the network has passed on to the invoice's address and no block holds yet: it counts for nothing, and is
        /// taken away again when it is replaced or forgotten. At most 20.
        unconfirmed: Vec<UnconfirmedBody>,
        /// Blocks that a payment needs, the one that it stands in counted, before it counts; null where no chain pays.
        blocks_needed: Option<u64>,
        /// What came after a conversion's rate was over: it goes to the balance.
        late: Money,
        /// What is still to be paid.
        to_pay: Money,
        /// Where to, or the reference to be written.
        address: String,
        /// The same for a wallet.
        uri: String,
        /// The ways to pay it now.
        methods: Vec<Way>,
        /// When it was made.
        created_at: Time,
        /// Until when it can be paid.
        expires_at: Time,
        /// The contract that it pays; null where it fills the balance, or pays another invoice.
        contract: Option<ContractId>,
        /// The invoice in another currency that it pays, and at what rate; null of all others.
        conversion: Option<ConversionBody>,
        /// The coins in which it can be paid besides, with what each would come to now.
        offers: Vec<OfferBody>,
        /// The invoices in such coins that were made for it, newest first.
        conversions: Vec<InvoiceId>,
    }
}

/// `POST /api/v1/quotes`
pub(crate) async fn quote(
    State(state): State<AppState>,
    customer: Customer,
    Json(order): Json<QuoteOrder>,
) -> Result<Made<QuoteBody>, Failure> {
    let wanted: Hashrate =
        order.hashrate.parse().map_err(|e: String| Failure::refused(sentence(&e)))?;
    let q = state.quote(customer.account, &order.plan, wanted, order.term_epochs).await?;
    Ok(Answer(quote_body(q)))
}

/// A quote.
pub(crate) fn quote_body(q: Quote) -> QuoteBody {
    QuoteBody {
        quote: q.id,
        plan: q.plan,
        plan_version: q.plan_version,
        hashrate: rate(q.hashrate),
        term_epochs: q.term_epochs,
        work: q.work,
        price: amount(q.price),
        expires_at: time(q.expires),
        forecast: q.forecast,
    }
}

impl Confirm {
    fn nonce(&self) -> Result<Option<[u8; 32]>, Failure> {
        let Some(text) = &self.nonce else { return Ok(None) };
        let mut nonce = [0; 32];
        hex::decode_to_slice(text, &mut nonce)
            .map_err(|_| Failure::refused("The nonce has 64 hexadecimal digits."))?;
        Ok(Some(nonce))
    }
}

/// `POST /api/v1/contracts`: a quote is bought once; asking again, with or without an
/// `Idempotency-Key`, gives the same contract and invoice.
pub(crate) async fn buy(
    State(state): State<AppState>,
    customer: Customer,
    headers: HeaderMap,
    Json(order): Json<Confirm>,
) -> Result<Made<Bought>, Failure> {
    // The quote is the key; a client's own is only checked to be one.
    key_of(&headers)?;
    let nonce = order.nonce()?;
    let bought = state.buy(customer.account, order.quote).await?;
    if let Some(nonce) = nonce {
        let put = state.market().set_nonce(customer.account, bought.contract, nonce).await;
        put.map_err(|e| market_failure(&e))?;
    }
    let inv = state.invoice(customer.account, bought.invoice).await?;
    let invoice = invoice_body(&state, &inv).await?;
    Ok(Answer(Bought { contract: bought.contract, invoice }))
}

/// `GET /api/v1/contracts`
pub(crate) async fn contracts(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<ContractBody>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.market().contracts_before(customer.account, before, wanted).await?;
    page.give(all, |c| c.id, summary)
}

/// `GET /api/v1/contracts/{id}`
pub(crate) async fn contract(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<ContractDetail>, Failure> {
    let c = state.contract(customer.account, id).await?;
    let settlements = state.market().settlements(customer.account, id, SETTLEMENTS_MAX).await?;
    let invoice = state.invoice_of_contract(customer.account, id).await?;
    Ok(Answer(ContractDetail {
        base: summary(&c),
        epochs: c.epochs.iter().map(line).collect(),
        settlements: settlements.iter().map(settlement).collect(),
        invoice: invoice.map(|i| i.id),
        forecast: state.market().forecast_of(customer.account, id).await?,
    }))
}

/// `GET /api/v1/contracts/{id}/statement?from=&limit=&format=`
pub(crate) async fn statement(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(span): Params<Span>,
) -> Result<Sheet<StatementPage>, Failure> {
    let page = state.contract_statement(customer.account, id, &span).await?;
    match span.format.as_deref() {
        None | Some("json") => Ok(Sheet::new(axum::Json(page))),
        Some("csv") => {
            let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
            Ok(Sheet::new(([kind], gruve_market::statement::csv(&page))))
        }
        Some(_) => Err(Failure::bad_request("The format is json or csv.")),
    }
}

/// `GET /api/v1/contracts/{id}/terms`: the exact bytes agreed at the sale, their hash and the operator's signature.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<SignedTerms>, Failure> {
    Ok(Answer(state.signed_terms(customer.account, id).await?))
}

/// `POST /api/v1/contracts/{id}/cancel`: takes it back, unpaid or until its first epoch begins. Asking again
/// gives the same.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<CancelledBody>, Failure> {
    let cancelled = state.cancel_contract(customer.account, id).await?;
    Ok(Answer(CancelledBody {
        contract: id,
        state: "cancelled",
        refunded: amount(cancelled.refunded),
        before: cancelled.before,
    }))
}

/// A contract.
pub(crate) fn summary(c: &ContractView) -> ContractBody {
    let earned = c.earned.split().map_or(i64::MAX, |(minor, _)| minor);
    ContractBody {
        contract: c.id,
        plan: c.plan.clone(),
        plan_version: c.plan_version,
        title: c.title.clone(),
        lane: c.lane.clone(),
        asset: c.asset,
        state: c.state.name().to_owned(),
        hashrate: rate(c.hashrate),
        term_epochs: c.term_epochs,
        price: amount(c.price),
        terms_sha256: hexed(c.terms_hash),
        created_at: time(c.created),
        paid_at: c.paid.map(time),
        start_epoch: c.start_epoch,
        hard_end_epoch: c.hard_end,
        bought: c.bought,
        entitled: c.entitled,
        delivered: c.delivered,
        shortfall: c.shortfall,
        earned: amount(Amount::new(c.asset, earned)),
        settled: amount(c.settled),
        credited: amount(c.credited),
        maturing: amount(c.maturing),
        earnings: c.earnings.iter().map(earnings).collect(),
        refunded: amount(c.refunded),
    }
}

/// One asset's, the lane's own first.
pub(crate) fn earnings(e: &Earnings) -> EarningsBody {
    let earned = e.earned.split().map_or(i64::MAX, |(minor, _)| minor);
    EarningsBody {
        asset: e.asset,
        earned: amount(Amount::new(e.asset, earned)),
        settled: amount(e.settled),
        credited: amount(e.credited),
        maturing: amount(e.maturing),
    }
}

pub(crate) fn line(e: &EpochLine) -> EpochLineBody {
    EpochLineBody {
        epoch: e.epoch,
        started_at: time(e.start),
        entitled: e.entitled,
        delivered: e.delivered,
        made_good: e.made_good,
        shortfall: e.shortfall,
    }
}

pub(crate) fn settlement(l: &SettlementLine) -> SettlementBody {
    SettlementBody {
        from_epoch: l.from_epoch,
        to_epoch: l.to_epoch,
        gross: amount(l.gross),
        fee: amount(l.fee),
        maintenance: amount(l.maintenance),
        waived: amount(l.waived),
        net: amount(l.net),
        at: time(l.at),
    }
}

/// `GET /api/v1/invoices`
pub(crate) async fn invoices(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<InvoiceBody>>, Failure> {
    let page = page.at_most(INVOICES_PAGE_MAX - 1)?;
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.treasury().invoices_before(customer.account, before, wanted).await?;
    let (all, next) = page.cut(all, |i| i.id)?;
    let items = invoice_bodies(&state, &all).await?;
    Ok(Answer(List { items, next }))
}

/// `GET /api/v1/invoices/{id}`
pub(crate) async fn invoice(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Fine<InvoiceBody>, Failure> {
    let inv = state.invoice(customer.account, id).await?;
    Ok(Answer(invoice_body(&state, &inv).await?))
}

/// An invoice with the ways to pay it.
pub(crate) async fn invoice_body(state: &AppState, inv: &Invoice) -> Result<InvoiceBody, Failure> {
    let one = invoice_bodies(state, std::slice::from_ref(inv)).await?;
    one.into_iter().next().ok_or_else(|| Failure::not_found("invoice"))
}

/// Invoices with the ways to pay each: what they need is asked for once.
async fn invoice_bodies(state: &AppState, all: &[Invoice]) -> Result<Vec<InvoiceBody>, Failure> {
    let ids: Vec<InvoiceId> = all.iter().map(|i| i.id).collect();
    let mut conversions = state.treasury().conversions_of(&ids).await?;
    let waiting = state.treasury().unconfirmed_of(all).await?;
    let mut rates = Rates::default();
    let mut bodies = Vec::with_capacity(all.len());
    for inv in all {
        let offers = offers_of(state, inv, &mut rates).await?;
        let conversions = conversions.remove(&inv.id).unwrap_or_default();
        bodies.push(body_of(state, inv, offers, conversions, waiting.get(&inv.id))?);
    }
    Ok(bodies)
}

fn body_of(
    state: &AppState,
    inv: &Invoice,
    offers: Vec<OfferBody>,
    conversions: Vec<InvoiceId>,
    waiting: Option<&Unconfirmed>,
) -> Result<InvoiceBody, Failure> {
    let unconfirmed = |mark: &Mark| UnconfirmedBody {
        transaction: mark.transaction(),
        amount: amount(mark.amount),
        seen_at: time(mark.seen_at),
    };
    Ok(InvoiceBody {
        id: inv.id,
        state: inv.state.word(),
        open: inv.state.is_open(),
        amount: amount(inv.amount),
        received: amount(inv.received),
        confirmed: amount(inv.confirmed),
        unconfirmed: waiting.iter().flat_map(|u| &u.marks).map(unconfirmed).collect(),
        blocks_needed: waiting.map(|u| u.blocks),
        late: amount(inv.late),
        to_pay: amount(inv.to_pay()),
        address: inv.address.clone(),
        uri: inv.uri(),
        methods: super::payins::methods(state, inv),
        created_at: time(inv.created),
        expires_at: time(inv.expires),
        contract: match inv.purpose {
            Purpose::Contract(c) => Some(c),
            Purpose::TopUp | Purpose::Conversion(_) => None,
        },
        conversion: conversion_of(inv)?,
        offers,
        conversions,
    })
}
