//! Any offer of hashpower, this house's or another's, held against what really happened: what buyers of each day
//! would have got. The figures are `gruve_market::appraise`'s, the same as the command's.
//!
//! Bounded: a page buys on [`PURCHASES_MAX`] days spread over the history at most, and [`AT_ONCE`] pages compute at a
//! time, away from the threads that answer others, each client one of them and [`PACE`] often. The histories are in
//! the program and futures are drawn from a seed, so the same offer gets the same answer: the latest are remembered.

use crate::api::papers::OfferSaid;
use crate::client::Client;
use crate::crowd::{Crowd, Pace};
use crate::extract::{Json, Params};
use crate::failure::{Failure, sentence};
use crate::layout::page;
use crate::money::typed_figure;
use crate::openapi::{Answer, Fine, answers};
use crate::patience::holding;
use crate::plot::{Plot, Point};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{counted, say, spoken, t, text};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gruve_market::appraise::{
    AppraiseError, Date, Forecast, History, Model, Offer, Outcome, Summary, backtest, forecast,
    summarise,
};
use gruve_units::{Asset, Duration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Days of purchase tried at most: enough to see every season of fifteen years, few enough for a tenth of a second.
const PURCHASES_MAX: i32 = 400;
/// Futures drawn.
const SCENARIOS: u32 = 200;
/// Appraisals computed at once.
const AT_ONCE: usize = 2;
/// Answers remembered: each has some thirty kilobytes.
const REMEMBERED: usize = 64;
/// Of one client (an IPv4 address, an IPv6 /48) computed at once.
const OF_A_CLIENT: usize = 1;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);
/// Of one client in quick succession, then one in three seconds: as fast as one reads.
static PACE: Pace = Pace::new(30, Duration::from_secs(3));
static CLIENTS: LazyLock<Crowd<IpAddr>> = LazyLock::new(Crowd::default);
/// The latest answers, the newest last.
static LATEST: Mutex<VecDeque<(Offer, Arc<Found>)>> = Mutex::new(VecDeque::new());

/// The histories in the program: price, difficulty, fees and subsidy by day, with their source in testdata/README.md.
static BTC: LazyLock<Option<History>> = LazyLock::new(|| {
    let csv = include_str!("../../../../testdata/market/btc-daily-2010-2026.csv");
    History::parse(Asset::Btc, csv).ok()
});
static LTC: LazyLock<Option<History>> = LazyLock::new(|| {
    let csv = include_str!("../../../../testdata/market/ltc-daily-2011-2020.csv");
    History::parse(Asset::Ltc, csv).ok()
});

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/appraise", Access::Public, appraise).api_post(
        "/api/v1/appraisals",
        Access::Public,
        "Holds an offer (docs/appraise.md) against what really happened.",
        appraise_json,
    )
}

/// An offer as the form sends it; what is left empty is not said.
#[derive(Default, Deserialize)]
struct Asked {
    coin: Option<String>,
    hashrate: Option<String>,
    price_usd: Option<String>,
    fee_usd_per_th_day: Option<String>,
    service_percent: Option<String>,
    uptime_percent: Option<String>,
    term_days: Option<String>,
    starts_after_days: Option<String>,
    rule: Option<String>,
    after_days: Option<String>,
    minimum_payout: Option<String>,
}

/// The fields of the form: name, label, hint, and what stands in it at first.
const FIELDS: [(&str, &str, &str, &str); 9] = [
    ("hashrate", "Hashrate", "As 10 TH/s.", "10 TH/s"),
    ("price_usd", "Price in dollars", "Everything that is paid at the beginning.", "2200"),
    (
        "fee_usd_per_th_day",
        "Fee for a TH/s and day in dollars",
        "Maintenance and electricity together; 0 if there is none.",
        "0.35",
    ),
    ("service_percent", "Part of the earnings in per cent", "Taken before other fees.", "0"),
    (
        "uptime_percent",
        "Uptime in per cent",
        "What the offer promises, or what you believe.",
        "100",
    ),
    ("term_days", "Term in days", "Empty for until further notice.", "365"),
    ("starts_after_days", "Days until it starts", "Between payment and the first hash.", "0"),
    (
        "after_days",
        "Days in a row",
        "After which an unprofitable contract is ended, if that is the rule.",
        "21",
    ),
    ("minimum_payout", "Least payout in coins", "What stays below it at the end is lost.", "0"),
];

/// What may happen while earnings do not cover the fee.
const RULES: [(&str, &str); 4] = [
    ("end", "It is ended for good after some days in a row"),
    ("run", "It runs on, and the rest of the fee is the operator's loss"),
    ("pause", "It rests, and the term stands still"),
    ("debt", "It runs on, and the buyer owes the rest"),
];

impl Asked {
    fn field(&self, name: &str) -> Option<&str> {
        let value = match name {
            "hashrate" => &self.hashrate,
            "price_usd" => &self.price_usd,
            "fee_usd_per_th_day" => &self.fee_usd_per_th_day,
            "service_percent" => &self.service_percent,
            "uptime_percent" => &self.uptime_percent,
            "term_days" => &self.term_days,
            "starts_after_days" => &self.starts_after_days,
            "after_days" => &self.after_days,
            _ => &self.minimum_payout,
        };
        value.as_deref().map(str::trim)
    }

    /// The offer as the appraisal reads it.
    fn offer(&self) -> Result<Offer, Failure> {
        let mut offer = json!({
            "format": "gruve offer 1",
            "name": "the offer",
            "coin": self.coin.as_deref().unwrap_or("BTC"),
        });
        let days = |name: &str| -> Result<Option<u32>, Failure> {
            let typed = self.field(name).filter(|v| !v.is_empty());
            let wrong = || {
                Failure::refused(text!(
                    "Write a whole number of days, not {value}.",
                    value = typed.unwrap_or_default()
                ))
            };
            typed.map(|v| v.parse().map_err(|_| wrong())).transpose()
        };
        for name in [
            "hashrate",
            "price_usd",
            "fee_usd_per_th_day",
            "service_percent",
            "uptime_percent",
            "minimum_payout",
        ] {
            if let Some(v) = self.field(name).filter(|v| !v.is_empty()) {
                offer[name] = Value::String(typed_figure(v).map_err(Failure::refused)?);
            }
        }
        if let Some(n) = days("term_days")? {
            offer["term_days"] = n.into();
        }
        offer["starts_after_days"] = days("starts_after_days")?.unwrap_or(0).into();
        offer["unprofitable"] = match self.rule.as_deref().unwrap_or("end") {
            "end" => json!({ "rule": "end", "after_days": days("after_days")?.unwrap_or(21) }),
            other => json!({ "rule": other }),
        };
        Offer::parse(&offer.to_string()).map_err(|e| refused(&e))
    }
}

fn refused(e: &AppraiseError) -> Failure {
    Failure::refused(sentence(&e.to_string()))
}

/// What an appraisal found.
struct Found {
    first: Date,
    last: Date,
    every: i32,
    purchases: Vec<Outcome>,
    summary: Summary,
    ahead: Option<Forecast>,
}

fn history_of(asset: Asset) -> Result<&'static History, Failure> {
    let found = match asset {
        Asset::Btc => BTC.as_ref(),
        Asset::Ltc => LTC.as_ref(),
        _ => None,
    };
    found.ok_or_else(|| {
        Failure::refused("There is a history of BTC and of LTC here, of no other coin.")
    })
}

fn compute(offer: &Offer, past: &History) -> Result<Found, AppraiseError> {
    let (first, last) = (past.first(), past.last());
    let every = (last.since(first) / PURCHASES_MAX).saturating_add(1);
    let test = backtest(offer, past)?;
    let days = (0..=last.since(first) / every).map(|n| first.plus(n * every));
    let purchases = days.map(|day| test.buy(day)).collect::<Result<Vec<_>, _>>()?;
    let summary = summarise(&purchases, offer.term_days.is_none());
    let model = Model { scenarios: SCENARIOS, seed: 1, ..Model::default() };
    // A history that is too short for futures has a past all the same.
    let ahead = forecast(offer, past, model).ok();
    Ok(Found { first, last, every, purchases, summary, ahead })
}

/// An answer that was given before.
fn remembered(offer: &Offer) -> Option<Arc<Found>> {
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.iter().find(|(o, _)| o == offer).map(|(_, found)| Arc::clone(found))
}

fn remember(offer: Offer, found: &Arc<Found>) {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if latest.len() >= REMEMBERED {
        latest.pop_front();
    }
    latest.push_back((offer, Arc::clone(found)));
}

async fn found(offer: Offer, from: Option<IpAddr>, now: Timestamp) -> Result<Arc<Found>, Failure> {
    let past = history_of(offer.asset)?;
    if let Some(found) = remembered(&offer) {
        return Ok(found);
    }
    let busy = || Failure::busy("Others are appraising at this moment. Try again shortly.");
    let client = from.map(holding);
    let seat = client.map(|c| CLIENTS.admit(&c, OF_A_CLIENT).ok_or_else(busy)).transpose()?;
    if let Some(client) = client {
        let many = |wait| {
            Failure::too_many("You have appraised many offers just now. Try again shortly.")
                .after(Some(wait))
        };
        PACE.count(client, now).map_err(many)?;
    }
    let turn = TURNS.try_acquire().map_err(|_| busy())?;
    // What has begun goes on when its visitor leaves; its places go with it.
    let done = tokio::task::spawn_blocking(move || {
        let found = compute(&offer, past).map(Arc::new);
        if let Ok(found) = &found {
            remember(offer, found);
        }
        drop((turn, seat));
        found
    });
    done.await.map_err(|e| Failure::fault(&e))?.map_err(|e| refused(&e))
}

/// `GET /appraise`
async fn appraise(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    Params(asked): Params<Asked>,
) -> Result<Response, Failure> {
    let outcome = match asked.hashrate {
        None => None,
        Some(_) => Some(match asked.offer() {
            Ok(offer) => found(offer, from.address, state.now()).await,
            Err(f) => Err(f),
        }),
    };
    let mut status = StatusCode::OK;
    let said = match outcome {
        None => html! {},
        Some(Ok(found)) => result(&found),
        Some(Err(f)) if f.status.is_client_error() => {
            status = f.status;
            html! { p.message.bad role="alert" { (crate::words::heard(&f.detail)) } }
        }
        Some(Err(f)) => return Err(f),
    };
    let content = html! {
        div.lead {
            h1 { (t("Appraise an offer")) }
            p { (t("Enter the terms of any cloud-mining offer, ours or another's, and see what it would have paid back to who bought it on any day of the coin's real past.")) }
        }
        (said)
        section.sheet aria-labelledby="offer-h" {
            header { h2 #offer-h { (t("The offer")) } }
            (form(&asked))
        }
        p.small.soft { (t("Mean earnings without luck, from the coin's real difficulty, fees, subsidy and price of each day. The past is no promise.")) }
    };
    Ok((status, page(&visitor, t("Appraise an offer"), false, &content)).into_response())
}

fn form(asked: &Asked) -> Markup {
    let is_new = asked.hashrate.is_none();
    html! {
        form.stack.wide method="get" action="/appraise" {
            div.field { label for="coin" { (t("Coin")) }
                select #coin name="coin" { @for c in ["BTC", "LTC"] {
                    option value=(c) selected[asked.coin.as_deref() == Some(c)] { (c) } } } }
            @for (name, label, hint, usual) in FIELDS {
                @let own = usual.replace('.', spoken().locale.decimal.encode_utf8(&mut [0; 4]));
                @let value = asked.field(name).unwrap_or(if is_new { own.as_str() } else { "" });
                div.field {
                    label for=(name) { (t(label)) }
                    input id=(name) name=(name) type="text" value=(value) maxlength="40" autocomplete="off" spellcheck="false" aria-describedby={ (name) "-hint" };
                    p.hint id={ (name) "-hint" } { (t(hint)) }
                }
            }
            div.field { label for="rule" { (t("While earnings do not cover the fee")) }
                select #rule name="rule" { @for (word, label) in RULES {
                    option value=(word) selected[asked.rule.as_deref() == Some(word)] { (t(label)) } } } }
            button type="submit" { (t("Appraise it")) }
        }
    }
}

/// A day of the history as the language writes it.
fn day(date: Date) -> String {
    crate::money::day_text(&date.to_string())
}

/// Thousandths as per cent: `87.4 %`.
fn per_cent(per_mille: i64) -> String {
    let sign = if per_mille < 0 { "-" } else { "" };
    let n = per_mille.unsigned_abs();
    crate::money::local(&format!("{sign}{}.{} %", n / 10, n % 10))
}

fn result(f: &Found) -> Markup {
    let s = &f.summary;
    html! {
        section.sheet #result aria-labelledby="result-h" {
            header { h2 #result-h { (t("What came back")) } }
            @if let Some([worst, tenth, median, nine, best]) = s.returned_per_mille {
                dl.figures {
                    div { dt { (t("Median buyer got back")) } dd { (per_cent(median)) small { (t("of what was paid")) } } }
                    div { dt { (t("Got their money back")) } dd { (s.money_back) small { (text!("of {n} purchases", n = s.counted)) } } }
                    div { dt { (t("Better than buying the coin")) } dd { (s.better_than_coins) small { (text!("of {n} purchases", n = s.counted)) } } }
                    div { dt { (t("Break-even, median")) } dd { @match s.break_even_days { Some(d) => (counted!("{n} day", "{n} days", d)), None => (t("never")) } } }
                }
                p { (say!("Worst {worst}, one in ten below {tenth}, one in ten above {nine}, best {best}.",
                    worst = per_cent(worst), tenth = per_cent(tenth), nine = per_cent(nine), best = per_cent(best)))
                    @if let Some((w, b)) = s.worst_and_best { " " (say!("Bought on {w} it did worst, on {b} best.", w = day(w), b = day(b))) } }
                @if s.ended_unprofitable > 0 { p { (text!("{n} were ended for being unprofitable.", n = s.ended_unprofitable)) } }
            } @else { p.empty { (t("No purchase of the history has ended.")) } }
            (picture(f))
            @if let Some(a) = &f.ahead { (ahead(a)) }
            p.small.soft { (text!("Bought on every {n}th day from {first} to {last}; {running} that still ran at the end are not counted.",
                n = f.every, first = day(f.first), last = day(f.last), running = s.running)) }
        }
    }
}

fn picture(f: &Found) -> Markup {
    let points: Vec<Point> = f
        .purchases
        .iter()
        .filter_map(|o| {
            let back = i32::try_from(o.returned_per_mille()?.clamp(0, 5_000)).ok()?;
            Some(Point {
                label: day(o.bought),
                mark: day(o.bought),
                bar: f64::from(back) / 10.0,
                line: Some(100.0),
                tip: per_cent(back.into()),
            })
        })
        .collect();
    let plot = Plot {
        id: "back",
        title: t("Came back of the price, by day of purchase"),
        description: t(
            "One bar for each stretch of days of purchase; the line is what was paid. Bars end at 500 per cent.",
        ),
        bars: t("came back, %"),
        line: Some(t("paid")),
        points: &points,
        axis: &|v| format!("{v:.0} %"),
        tone: "earn",
    };
    plot.draw()
}

fn ahead(a: &Forecast) -> Markup {
    let part = |v: i128| {
        let per_mille = v.saturating_mul(1_000).checked_div(a.paid_usd.max(1)).unwrap_or(0);
        per_cent(i64::try_from(per_mille).unwrap_or(i64::MAX))
    };
    html! {
        h3 { (t("And ahead")) }
        p { (say!("Of {n} futures drawn from the last four years for a purchase on {day}, one in twenty returns less than {low}, half less than {mid}, one in twenty more than {high}.",
            n = a.model.scenarios, day = day(a.bought), low = part(a.returned_usd[0]), mid = part(a.returned_usd[2]), high = part(a.returned_usd[4])))
            " " @if a.expects_loss() { strong { (t("Expect to lose money.")) } } }
    }
}

answers! {
    /// What an offer would have brought, as docs/appraise.md describes it.
    struct AppraisalBody {
        /// The first day of the history.
        history_from: Date,
        /// The last.
        history_to: Date,
        /// Days from one purchase tried to the next.
        every_days: i32,
        /// All purchases in figures.
        summary: Summary,
        /// What may come, where the history allows to say.
        forecast: Option<Forecast>,
        /// Each purchase.
        purchases: Vec<Outcome>,
    }
}

/// `POST /api/v1/appraisals`: an offer as in docs/appraise.md.
async fn appraise_json(
    State(state): State<AppState>,
    Client(from): Client,
    Json(offer): Json<OfferSaid>,
) -> Result<Fine<AppraisalBody>, Failure> {
    let offer = Offer::parse(&offer.0.to_string()).map_err(|e| refused(&e))?;
    let f = found(offer, from.address, state.now()).await?;
    Ok(Answer(AppraisalBody {
        history_from: f.first,
        history_to: f.last,
        every_days: f.every,
        summary: f.summary.clone(),
        forecast: f.ahead.clone(),
        purchases: f.purchases.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histories_in_the_program_can_be_read() {
        assert!(BTC.is_some() && LTC.is_some());
    }

    #[test]
    fn a_page_finds_what_the_command_finds_on_the_days_that_it_buys() {
        let offer = include_str!("../../../../docs/offers/hashflare-2017.json");
        let offer = Offer::parse(offer).unwrap();
        let past = BTC.as_ref().unwrap();
        let found = compute(&offer, past).unwrap();
        assert!(found.purchases.len() <= 401, "{}", found.purchases.len());
        let all = backtest(&offer, past).unwrap();
        let day = found.purchases[300].bought;
        assert_eq!(found.purchases[300], all.buy(day).unwrap());
    }
}
