//! Metered contracts: start, see, end; the usage statement; top-ups of the balance.

use crate::api::contracts::{EarningsBody, InvoiceBody, earnings, invoice_body};
use crate::api::page::Page;
use crate::api::{Hex, Money, Rate, Time, amount, hexed, key_of, rate, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::openapi::{Answer, Fine, List, Made, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use axum::http::HeaderMap;
use gruve_market::metered::{MeteredView, Period, USAGE_ROWS_MAX, UsageLine};
use gruve_market::{Scheme, SignedTerms};
use gruve_units::{
    Amount, Asset, ContractId, Duration, EpochNumber, Hashes, Hashrate, LaneId, Timestamp,
};

/// Usage shown when no time is asked for.
const USAGE_USUAL: Duration = Duration::from_secs(31 * 86_400);

requests! {
    /// What to start.
    struct MeterOrder {
        /// The plan's id.
        plan: String,
        /// `200 kH/s`, or a whole number of hashes per second as text.
        hashrate: String,
    }

    /// Of which time, and how fine.
    struct UsageOf {
        /// `epoch`, `hour` or `day`; days if left out.
        period: Option<String>,
        /// Seconds since 1970; then all of the time asked for is one answer, of 10,000 epochs at most.
        from: Option<u32>,
        /// Seconds since 1970.
        until: Option<u32>,
        /// `next` of the answer before: the time before it.
        after: Option<String>,
    }

    /// How much to pay in.
    struct TopUpOrder {
        /// `BTC`, …
        asset: String,
        /// In whole coins, as decimal text.
        amount: String,
    }
}

answers! {
    /// A contract by the meter just started.
    struct Started {
        /// Its id.
        contract: ContractId,
        /// Its first epoch.
        first_epoch: EpochNumber,
        /// What is held for it.
        held: Money,
    }

    /// A contract by the meter.
    struct MeteredBody {
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
        /// How it earns.
        scheme: Scheme,
        /// `active`, `stopped`, `ending`, `ended`.
        state: String,
        /// Whether the balance lasts for a few epochs only.
        is_low: bool,
        /// At up to this rate.
        hashrate: Rate,
        /// Of the signed terms' bytes.
        terms_sha256: Hex,
        /// When it was started.
        created_at: Time,
        /// Its first epoch.
        first_epoch: EpochNumber,
        /// The epoch before which it ended.
        ended_epoch: Option<EpochNumber>,
        /// Work done.
        delivered: Hashes,
        /// What it cost.
        charged: Money,
        /// What is held for it.
        held: Money,
        /// What work at `price_hashrate` costs a day now.
        price: Option<Money>,
        /// For which rate the price is.
        price_hashrate: Option<Rate>,
        /// What was earned, by asset.
        earnings: Vec<EarningsBody>,
        /// What it had to say.
        notices: Vec<MeterNotice>,
    }

    /// What a contract by the meter had to say.
    struct MeterNotice {
        /// A word for it.
        kind: String,
        /// In which epoch.
        epoch: EpochNumber,
        /// When.
        at: Time,
    }

    /// What was used in some time.
    struct UsageBody {
        /// From when.
        from: Time,
        /// The first epoch of it.
        first_epoch: EpochNumber,
        /// The last.
        last_epoch: EpochNumber,
        /// How many of them are closed.
        closed_epochs: u32,
        /// Work that there was money for.
        capped: Hashes,
        /// Work done.
        delivered: Hashes,
        /// The lowest price of it.
        price_least: Money,
        /// The highest.
        price_most: Money,
        /// For which rate the prices are.
        price_hashrate: Rate,
        /// What is held.
        held: Money,
        /// What was charged.
        charged: Money,
        /// What of its earnings is settled.
        settled: Vec<SettledBody>,
    }

    /// Earnings of one asset, settled.
    struct SettledBody {
        /// Which.
        asset: Asset,
        /// Before fees.
        gross: Money,
        /// The operator's part.
        fee: Money,
        /// Maintenance taken.
        maintenance: Money,
        /// What reached the balance.
        net: Money,
    }
}

/// `POST /api/v1/metered`; with an `Idempotency-Key` the same request again gives the same contract.
pub(crate) async fn start(
    State(state): State<AppState>,
    customer: Customer,
    headers: HeaderMap,
    Json(order): Json<MeterOrder>,
) -> Result<Made<Started>, Failure> {
    let key = key_of(&headers)?;
    let wanted: Hashrate =
        order.hashrate.parse().map_err(|e: String| Failure::refused(sentence(&e)))?;
    let s = state.start_metered(customer.account, &order.plan, wanted, key).await?;
    let (first_epoch, held) = (s.first_epoch, amount(s.held));
    Ok(Answer(Started { contract: s.contract, first_epoch, held }))
}

/// `GET /api/v1/metered`
pub(crate) async fn list(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<MeteredBody>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.market().metered_before(customer.account, before, wanted).await?;
    page.give(all, |c| c.id, body)
}

/// `GET /api/v1/metered/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<MeteredBody>, Failure> {
    Ok(Answer(body(&state.metered(customer.account, id).await?)))
}

/// `GET /api/v1/metered/{id}/terms`: the exact bytes agreed at the start, their hash and the operator's signature.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<SignedTerms>, Failure> {
    Ok(Answer(state.signed_terms(customer.account, id).await?))
}

/// `DELETE /api/v1/metered/{id}`: ends it at the next epoch border.
pub(crate) async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<MeteredBody>, Failure> {
    state.end_metered(customer.account, id).await?;
    Ok(Answer(body(&state.metered(customer.account, id).await?)))
}

/// `GET /api/v1/metered/{id}/usage?period=day&from=&until=&after=`, newest first: of the time asked for, or of 31 days
/// and then of those before them.
pub(crate) async fn usage(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(of): Params<UsageOf>,
) -> Result<Fine<List<UsageBody>>, Failure> {
    let period = match of.period.as_deref() {
        None | Some("day") => Period::Day,
        Some("hour") => Period::Hour,
        Some("epoch") => Period::Epoch,
        Some(_) => return Err(Failure::bad_request("`period` is `epoch`, `hour` or `day`.")),
    };
    let instant = |secs: u32| Timestamp::from_secs(secs.into());
    // The running hold is of an epoch to come.
    let place = Page { limit: None, after: of.after }.behind::<i64>()?.map(Timestamp);
    let until = of.until.map_or_else(|| state.now().plus(Duration::from_secs(86_400)), instant);
    let until = place.unwrap_or(until);
    let c = state.metered(customer.account, id).await?;
    let usual = usual_begin(&state, &c, until, period);
    let from = of.from.map_or(usual, instant);
    let lines = state.market().metered_usage(customer.account, id, (from, until), period).await;
    let lines = lines.map_err(|e| crate::trade::market_failure(&e))?;
    let is_more = of.from.is_none() && from > c.created;
    let next = is_more.then(|| hex::encode(from.0.to_string()));
    Ok(Answer(List { items: lines.iter().map(line).collect(), next }))
}

/// Where an answer begins that ends at `until`: 31 days before, or later where there are more epochs in them than one
/// answer holds; at the beginning of a period and of an epoch, so that neither is cut in two.
fn usual_begin(state: &AppState, c: &MeteredView, until: Timestamp, period: Period) -> Timestamp {
    let span = micros(USAGE_USUAL).min(c.epoch_us.saturating_mul(u64::from(USAGE_ROWS_MAX)));
    let earliest = Timestamp(until.0.saturating_sub_unsigned(span));
    let begin = Some(period.begin_after(earliest)).filter(|b| *b < until).unwrap_or(earliest);
    let Some(lane) = state.market().config().lane(&c.lane) else { return begin };
    let rule = lane.epoch_rule;
    let first = rule.start(rule.at(begin));
    let first = if first >= begin { first } else { rule.start(rule.at(begin).next()) };
    if first < until { first } else { earliest }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn line(l: &UsageLine) -> UsageBody {
    let settled = l.earnings.iter().map(|(asset, s)| {
        let of = |minor| amount(Amount::new(*asset, minor));
        SettledBody {
            asset: *asset,
            gross: of(s.gross_minor),
            fee: of(s.fee_minor),
            maintenance: of(s.maintenance_minor),
            net: of(s.net_minor),
        }
    });
    let price = |minor| amount(Amount::new(l.charged.asset, minor));
    UsageBody {
        from: time(l.from),
        first_epoch: l.epochs.0,
        last_epoch: l.epochs.1,
        closed_epochs: l.closed,
        capped: l.capped,
        delivered: l.delivered,
        price_least: price(l.price_minor.0),
        price_most: price(l.price_minor.1),
        price_hashrate: rate(l.price_hashrate),
        held: amount(l.held),
        charged: amount(l.charged),
        settled: settled.collect(),
    }
}

fn body(c: &MeteredView) -> MeteredBody {
    let notices = c.notices.iter().map(|n| MeterNotice {
        kind: n.kind.name().to_owned(),
        epoch: n.epoch,
        at: time(n.at),
    });
    MeteredBody {
        contract: c.id,
        plan: c.plan.clone(),
        plan_version: c.plan_version,
        title: c.title.clone(),
        lane: c.lane.clone(),
        asset: c.asset,
        scheme: c.scheme,
        state: c.state.name().to_owned(),
        is_low: c.is_low,
        hashrate: rate(c.hashrate),
        terms_sha256: hexed(c.terms_hash),
        created_at: time(c.created),
        first_epoch: c.first_epoch,
        ended_epoch: c.ended_epoch,
        delivered: c.delivered,
        charged: amount(c.charged),
        held: amount(c.held),
        price: c.price.map(|p| amount(Amount::new(c.charged.asset, p.minor))),
        price_hashrate: c.price.map(|p| rate(p.hashrate)),
        earnings: c.earnings.iter().map(earnings).collect(),
        notices: notices.collect(),
    }
}

/// `POST /api/v1/top-ups`: an invoice that fills the balance.
pub(crate) async fn top_up(
    State(state): State<AppState>,
    customer: Customer,
    Json(order): Json<TopUpOrder>,
) -> Result<Made<InvoiceBody>, Failure> {
    let what = crate::api::payouts::amount_of(&state, &order.asset, &order.amount)?;
    let inv = state.top_up(customer.account, what).await?;
    Ok(Answer(invoice_body(&state, &inv).await?))
}
