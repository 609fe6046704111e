//! What an offer costs and may earn, as one moves the sliders: no quote is made and nothing held.
//!
//! Bounded: an answer stands for [`SHOWN_FOR`], one client asks at a [`PACE`], and [`AT_ONCE`] estimates are drawn at a
//! time with [`WAITING_MAX`] behind them. Without scripts the same figures come with the page, by a button.

use crate::api::{Money, amount as api_amount};
use crate::assets::ESTIMATE_JS;
use crate::client::Client;
use crate::crowd::Pace;
use crate::extract::Params;
use crate::failure::{Failure, sentence};
use crate::money::{amount, exact_rate, local, span_text, typed_figure};
use crate::openapi::{Answer, Fine, answers, requests};
use crate::patience::holding;
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::trade::market_failure;
use crate::view::rule_of;
use crate::words::{heard, say, spoken, t, text};
use axum::extract::State;
use gruve_market::{Ask, Estimate, Plan, PlanKind, Quote, QuoteForecast};
use gruve_units::{Amount, Asset, Duration, Hashrate, Timestamp};
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How long an answer stands: the lane's figures change once an epoch, prices too.
const SHOWN_FOR: Duration = Duration::from_secs(20);
/// Answers remembered, of some two kilobytes each.
const REMEMBERED: usize = 500;
/// Drawn at once, on a core each, some milliseconds.
const AT_ONCE: usize = 2;
/// Waiting for their turn: more wait longer than somebody who moves a slider looks on.
const WAITING_MAX: usize = 32;
/// Of one client (an IPv4 address, an IPv6 /48) in quick succession, then two a second: a slider that is drawn to and fro.
const PACE: (u32, Duration) = (120, Duration::from_millis(500));
/// The days that may be looked ahead, and the usual one.
pub(crate) const DAYS: [u32; 6] = [7, 30, 90, 365, 730, 1_095];
pub(crate) const DAYS_USUAL: u32 = 365;

/// What is asked about: a plan in a version, and what of it.
type Key = (String, u32, Ask);

/// The estimates shown last, and the turns to make new ones.
pub(crate) struct Estimates {
    latest: Mutex<BTreeMap<Key, (Timestamp, Arc<Figures>)>>,
    turns: Semaphore,
    places: Semaphore,
    pace: Pace,
}

impl Default for Estimates {
    fn default() -> Self {
        Estimates {
            latest: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            places: Semaphore::new(WAITING_MAX),
            pace: Pace::new(PACE.0, PACE.1),
        }
    }
}

/// An estimate, with what it costs to withdraw what is earned.
pub(crate) struct Figures {
    pub(crate) estimate: Estimate,
    /// The most that the network's fee of a withdrawal can be now, asset by asset; none where it is not known.
    withdrawals: Vec<Amount>,
}

/// What of costs is taken when.
struct Costs {
    lines: Vec<(&'static str, Vec<Amount>)>,
    /// All together, by asset.
    sums: Vec<Amount>,
    /// The same in the money that is paid, at the recorded prices; none where one is missing.
    total: Option<Amount>,
}

impl Figures {
    fn forecast(&self) -> Option<&QuoteForecast> {
        self.estimate.forecast.as_ref()
    }

    /// All that is paid, to the house and to the network.
    fn costs(&self) -> Costs {
        let e = &self.estimate;
        let mut lines: Vec<(&'static str, Vec<Amount>)> = Vec::new();
        if e.price.minor > 0 || e.running.is_none() {
            lines.push(("Paid at the start", vec![e.price]));
        }
        if let Some(r) = e.running {
            lines.push(("Paid along the way", vec![r]));
        }
        let of = |take: fn(&gruve_market::AssetForecast) -> i64| -> Vec<Amount> {
            let all = self.forecast().map(|f| f.assets.as_slice()).unwrap_or_default();
            let all = all.iter().map(|a| Amount::new(a.asset, take(a)));
            all.filter(|a| a.minor > 0).collect()
        };
        lines.push(("Fee on earnings, on average", of(|a| a.fee_minor)));
        lines.push(("Maintenance, on average", of(|a| a.upkeep_minor)));
        lines.push(("Network fee of one withdrawal, at most", self.withdrawals.clone()));
        lines.retain(|(_, all)| !all.is_empty());
        let mut by_asset: BTreeMap<Asset, i64> = BTreeMap::new();
        for a in lines.iter().flat_map(|(_, all)| all) {
            let sum = by_asset.entry(a.asset).or_default();
            *sum = sum.saturating_add(a.minor);
        }
        let sums: Vec<Amount> = by_asset.into_iter().map(|(a, n)| Amount::new(a, n)).collect();
        let into = e.running.filter(|_| e.price.minor == 0).unwrap_or(e.price).asset;
        let total = sums
            .iter()
            .try_fold(Amount::zero(into), |sum, a| sum.checked_add(self.converted(*a, into)?).ok());
        Costs { lines, sums, total }
    }

    /// An amount in other money at the prices that the forecast was drawn from, rounded up.
    fn converted(&self, a: Amount, into: Asset) -> Option<Amount> {
        if a.asset == into {
            return Some(a);
        }
        let given = &self.forecast()?.given;
        let price = |asset: Asset| -> Option<i64> {
            let running = given.running.filter(|r| r.money.asset == asset);
            let first = given.chains.first().filter(|c| c.asset == asset);
            match asset {
                Asset::Usd => Some(1_000_000),
                _ if first.is_some() => given.usd_micro,
                _ if asset == given.price.asset => given.pay_usd_micro,
                _ => running?.usd_micro,
            }
        };
        let worth = i128::from(a.minor)
            .checked_mul(price(a.asset)?.into())?
            .checked_mul(into.unit().into())?;
        let unit = i128::from(a.asset.unit()).checked_mul(price(into)?.into())?;
        let minor = worth.checked_add(unit.checked_sub(1)?)?.checked_div(unit)?;
        Some(Amount::new(into, i64::try_from(minor).ok()?))
    }
}

impl AppState {
    /// What of a plan is asked would cost and may earn.
    pub(crate) async fn estimate(
        &self,
        plan: &Plan,
        ask: Ask,
        from: Option<IpAddr>,
    ) -> Result<Arc<Figures>, Failure> {
        let (all, now) = (self.estimates(), self.now());
        let key = (plan.id.clone(), plan.version, ask);
        let is_fresh = |at: Timestamp| at <= now && now.since(at) < SHOWN_FOR;
        {
            let latest = all.latest.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, found)) = latest.get(&key).filter(|(at, _)| is_fresh(*at)) {
                return Ok(Arc::clone(found));
            }
        }
        if let Some(client) = from.map(holding) {
            let many = |wait| {
                let why = "You have asked for many estimates just now. Try again shortly.";
                Failure::too_many(why).after(Some(wait))
            };
            all.pace.count(client, now).map_err(many)?;
        }
        let busy = || Failure::busy("Others are asking at this moment. Try again shortly.");
        let place = all.places.try_acquire().map_err(|_| busy())?;
        let turn = all.turns.acquire().await.map_err(|_| busy())?;
        let found = self.market().estimate(&plan.id, ask).await.map_err(|e| market_failure(&e))?;
        drop((turn, place));
        let withdrawals = self.withdrawals_of(plan).await;
        let figures = Arc::new(Figures { estimate: found, withdrawals });
        let mut latest = all.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= REMEMBERED {
            latest.retain(|_, (at, _)| is_fresh(*at));
        }
        if latest.len() < REMEMBERED {
            latest.insert(key, (now, Arc::clone(&figures)));
        }
        Ok(figures)
    }

    /// The same of a quote: what it costs and was foretold stands in it.
    pub(crate) async fn figures_of(&self, plan: &Plan, q: &Quote) -> Figures {
        let epochs = u32::try_from(q.term_epochs).unwrap_or(u32::MAX);
        let estimate = Estimate {
            hashrate: q.hashrate,
            secs: rule_of(plan.epoch_us).length().saturating_mul(epochs).as_secs(),
            work: q.work,
            price: q.price,
            running: None,
            running_a_day: None,
            forecast: q.forecast.clone(),
        };
        Figures { estimate, withdrawals: self.withdrawals_of(plan).await }
    }

    /// What a withdrawal of each coin that a plan earns costs at most.
    async fn withdrawals_of(&self, plan: &Plan) -> Vec<Amount> {
        let mut all = Vec::new();
        for asset in std::iter::once(plan.asset).chain(plan.also_earns.iter().copied()) {
            // An asset that is not paid out here has no such fee.
            all.extend(self.payout_fee(asset).await.ok());
        }
        all
    }
}

/// A hashrate as it was typed.
pub(crate) fn typed_rate(text: &str) -> Result<Hashrate, Failure> {
    let typed = typed_figure(text).and_then(|figure| figure.parse::<Hashrate>());
    typed.map_err(|why| Failure::refused(sentence(&why)))
}

/// The sheet that follows the sliders; what went wrong by the asker's doing is said in it.
pub(crate) fn sheet(of: Result<Arc<Figures>, Failure>) -> Result<Markup, Failure> {
    let content = match of {
        Ok(f) => figures(&f),
        Err(f) if f.status.is_client_error() || f.status.as_u16() == 503 => {
            html! { p.message.bad { (heard(&f.detail)) } }
        }
        Err(f) => return Err(f),
    };
    Ok(html! {
        section.sheet #estimate aria-live="polite" aria-labelledby="estimate-h" {
            header { h2 #estimate-h { (t("What it costs and may earn")) } }
            (content)
        }
        script src=(ESTIMATE_JS.path()) defer {}
    })
}

fn figures(f: &Figures) -> Markup {
    let (e, costs) = (&f.estimate, f.costs());
    let over = span_text(Duration::from_secs(e.secs));
    html! {
        @if f.forecast().is_some_and(|c| c.expects_loss == Some(true)) {
            p.message.bad { (t("You should expect to lose money on this purchase.")) }
        }
        dl.figures {
            div { dt { (t("All costs in one total")) } dd {
                (in_one(&costs))
                small { (say!("over {span}", span = over)) }
            } }
            @match f.forecast() {
                None => div { dt { (t("Expected earnings")) } dd { "–" small { (t("No forecast: this lane has no job yet, or no block of its chain is known.")) } } },
                Some(c) => (earnings(c)),
            }
        }
        dl.pairs {
            @for (name, all) in &costs.lines {
                dt { (t(name)) } dd { @for a in all { div { (amount(*a)) } } }
                @if let Some(a) = e.running_a_day.filter(|_| *name == "Paid along the way") { dt { (t("Of that a day")) } dd { (amount(a)) } }
            }
        }
        @if let Some(c) = f.forecast() {
            details { summary { (t("In words, and how it is drawn")) }
                @for w in &c.words { p.small { (heard(w)) } }
                p.small.soft { (say!("{scenarios} futures drawn by the model “{model}”. Nothing is promised.", scenarios = c.given.scenarios, model = model_link(&c.model))) }
            }
        }
    }
}

/// Every cost by itself and all of them together.
pub(crate) fn costs_in_all(f: &Figures) -> Markup {
    let costs = f.costs();
    html! {
        dl.pairs {
            @for (name, all) in &costs.lines {
                dt { (t(name)) } dd { @for a in all { div { (amount(*a)) } } }
            }
            dt.total { (t("All costs in one total")) }
            dd.total { (in_one(&costs)) }
        }
    }
}

/// The total, in one money where the prices for that are known.
fn in_one(costs: &Costs) -> Markup {
    html! { @match costs.total {
        Some(total) => { (amount(total)) @if costs.sums.len() > 1 { " " small { (t("at the prices recorded last")) } } }
        None => @for sum in &costs.sums { div { (amount(*sum)) } },
    } }
}

/// A model's name, which leads to how it draws.
pub(crate) fn model_link(model: &str) -> Markup {
    html! { a href="/docs/statements" { (model) } }
}

fn earnings(c: &QuoteForecast) -> Markup {
    let per_cent = |p: u32| local(&format!("{}.{} %", p / 10, p % 10));
    html! {
        div { dt { (t("Expected earnings, after fees")) } dd {
            @for a in &c.assets {
                @let of = |minor| amount(Amount::new(a.asset, minor));
                div { (of(a.expected_minor)) }
                small { (say!("nine futures in ten: {low} to {high}", low = of(a.low_minor), high = of(a.high_minor))) }
            }
        } }
        div { dt { @if c.given.price.minor > 0 { (t("Comes back")) } @else { (t("Earns what it costs")) } } dd {
            @match c.break_even_per_mille {
                Some(p) => {
                    (say!("{percent} of the futures", percent = per_cent(p)))
                    @if let Some(secs) = c.break_even_secs {
                        small { (say!("after {secs} in the middle one of those", secs = span_text(Duration::from_secs(secs)))) }
                    }
                }
                None => { "–" small { @for w in c.words.iter().filter(|w| w.starts_with("Nobody can say") || w.starts_with("The price is in another")) { (heard(w)) } } }
            }
        } }
        @if let Some(o) = &c.outcome {
            @let of = |minor| amount(Amount::new(o.asset, minor));
            div { dt { (t("Left after all that is paid to us")) } dd {
                (of(o.expected_minor))
                small { (say!("nine futures in ten: {low} to {high}", low = of(o.low_minor), high = of(o.high_minor))) }
            } }
        }
    }
}

/// The button for those without scripts; with them it is hidden.
pub(crate) fn recompute(to: &str) -> Markup {
    html! { button.quiet type="submit" formmethod="get" formaction=(to) formnovalidate data-recompute { (t("Recompute")) } }
}

/// The range beside the field of a plan's hashrate; shown by the script alone, which is who moves the field by it.
pub(crate) fn rate_range(plan: &Plan, chosen: Option<Hashrate>) -> Markup {
    let (min, max, step) = (plan.hashrate_min.0, plan.hashrate_max.0, plan.hashrate_step.0);
    let steps = max.saturating_sub(min).checked_div(step).unwrap_or(0);
    // Thousandths of a unit in which both the least and a step are whole.
    let whole =
        |thousandth: u128| min.is_multiple_of(thousandth) && step.is_multiple_of(thousandth);
    let unit = [("EH/s", 18), ("PH/s", 15), ("TH/s", 12), ("GH/s", 9), ("MH/s", 6), ("kH/s", 3)]
        .into_iter()
        .map(|(name, zeros)| (name, 10_u128.pow(zeros - 3)))
        .find(|(_, thousandth)| min >= thousandth * 1_000 && whole(*thousandth));
    let at = chosen.map_or(0, |r| r.0.saturating_sub(min).checked_div(step).unwrap_or(0));
    // A script counts exactly up to 2^53.
    let fits = unit.is_some_and(|(_, u)| max / u < 1 << 53) && (1..1 << 31).contains(&steps);
    html! {
        @if let Some((name, thousandth)) = unit.filter(|_| fits) {
            input type="range" aria-label=(t("Hashrate, by steps")) data-slide="hashrate" min="0" max=(steps) step="1" value=(at.min(steps))
                data-least=(min / thousandth) data-step=(step / thousandth) data-unit=(name) data-decimal=(spoken().locale.decimal) hidden;
        }
    }
}

/// The same beside a list of terms or days.
pub(crate) fn list_range(field: &str, label: &str, count: usize) -> Markup {
    html! { @if count > 1 { input type="range" aria-label=(label) data-slide=(field) min="0" max=(count - 1) step="1" value="0" hidden; } }
}

/// The list of days to look ahead over.
pub(crate) fn days_field(chosen: u32) -> Markup {
    html! {
        div.field {
            label for="days" { (t("Look ahead over")) }
            select #days name="days" {
                @for n in DAYS { option value=(n) selected[n == chosen] { (span_text(Duration::from_secs(u64::from(n) * 86_400))) } }
            }
            (list_range("days", t("Days ahead, by steps"), DAYS.len()))
        }
    }
}

/// A hashrate for the field of a form, in the spoken language.
pub(crate) fn field_rate(rate: Hashrate) -> String {
    local(&exact_rate(rate))
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api_get(
        "/api/v1/estimates",
        Access::Public,
        "What an offer costs and may earn. Nothing is quoted or held.",
        estimate_json,
    )
}

requests! {
    /// Of which plan, and what of it.
    struct EstimateOf {
        /// The plan's id.
        plan: String,
        /// `200 kH/s`, or a whole number of hashes per second as text; of a machine its nameplate counts.
        hashrate: Option<String>,
        /// For how many epochs, of a lease.
        term_epochs: Option<u64>,
        /// Over how many days, of what has no term: 1 to 3650, 365 if left out.
        days: Option<u32>,
    }
}

answers! {
    /// What an offer costs and may earn.
    struct EstimateBody {
        /// The plan's id.
        plan: String,
        /// Over how many seconds.
        seconds: u64,
        /// The work of that time, in hashes.
        work: String,
        /// What is paid at the start.
        price: Money,
        /// What is paid along the way over that time: by the meter, or electricity and hosting.
        running: Option<Money>,
        /// Of that for a day.
        running_a_day: Option<Money>,
        /// The most that the network's fee of a withdrawal can be now.
        withdrawal_fees: Vec<Money>,
        /// All costs together, by asset: what is paid, fees in the mean, a withdrawal of each asset.
        costs: Vec<Money>,
        /// The same as one amount, at the prices recorded last; null where one is missing.
        total: Option<Money>,
        /// What it may earn; null while too little is known of the lane.
        forecast: Option<QuoteForecast>,
    }
}

/// `GET /api/v1/estimates`
async fn estimate_json(
    State(state): State<AppState>,
    Client(from): Client,
    Params(of): Params<EstimateOf>,
) -> Result<Fine<EstimateBody>, Failure> {
    let days = of.days.unwrap_or(DAYS_USUAL);
    let market = state.market();
    let leases = market.plans().into_iter().find(|p| p.id == of.plan);
    let (plan, ask) = match leases {
        Some(plan) => {
            let text = of.hashrate.ok_or_else(|| Failure::refused("Say the hashrate."))?;
            let rate = text.parse().map_err(|e: String| Failure::refused(sentence(&e)))?;
            let ask = if plan.kind == PlanKind::Metered {
                Ask::Metered(rate, days)
            } else {
                let term = of.term_epochs.or_else(|| plan.terms_epochs.first().copied());
                Ask::Lease(rate, term.unwrap_or_default())
            };
            (plan, ask)
        }
        None => {
            let offer = state.hosted_offer(&of.plan).await?;
            let machine = offer.machine.ok_or_else(|| {
                Failure::refused("No such machine is in stock: nothing is known of it.")
            })?;
            (offer.plan, Ask::Machine(machine.nameplate, machine.watts, days))
        }
    };
    let f = state.estimate(&plan, ask, from.address).await?;
    let (e, costs) = (&f.estimate, f.costs());
    let all = |of: &[Amount]| of.iter().map(|a| api_amount(*a)).collect::<Vec<_>>();
    Ok(Answer(EstimateBody {
        plan: plan.id,
        seconds: e.secs,
        work: e.work.0.to_string(),
        price: api_amount(e.price),
        running: e.running.map(api_amount),
        running_a_day: e.running_a_day.map(api_amount),
        withdrawal_fees: all(&f.withdrawals),
        costs: all(&costs.sums),
        total: costs.total.map(api_amount),
        forecast: e.forecast.clone(),
    }))
}

/// What is said of a range for a hashrate.
pub(crate) fn rate_hint(plan: &Plan) -> String {
    let least = local(&exact_rate(plan.hashrate_min));
    text!(
        "{least} to {most}, in steps of {step}. Write the unit, as in “{example}”.",
        least = least,
        most = local(&exact_rate(plan.hashrate_max)),
        step = local(&exact_rate(plan.hashrate_step)),
        example = least
    )
}
