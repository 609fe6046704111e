//! One contract: delivered against entitled work, earnings, and the tables behind both.

use crate::extract::{Customer, Id};
use crate::failure::Failure;
use crate::layout::{cell, page};
use crate::money::{
    amount, epoch, grouped, percent, rate, rate_text, short_amount, term_text, time, time_text,
    work, work_text,
};
use crate::pages::agreed;
use crate::pages::estimate::model_link;
use crate::pages::home::part_bar;
use crate::pages::life;
use crate::pages::machines::electricity;
use crate::pages::renewal;
use crate::plot::{Plot, Point, marks};
use crate::state::AppState;
use crate::view::{contract_stands, rule_of};
use crate::visitor::Visitor;
use crate::words::{counted, say, t, text};
use axum::extract::State;
use gruve_hosting::footprint::Footprint;
use gruve_market::{
    ContractState, ContractView, Earnings, EpochLine, QuoteForecast, SettlementLine, SignedTerms,
};
use gruve_units::{Accrual, Amount, Asset, ContractId, EpochNumber, EpochRule, Hashes, Hashrate};
use maud::{Markup, html};

/// Epochs in the table on the page; the statement has all.
const LINES_SHOWN: usize = 100;
/// Rows that stand open; the rest is folded away.
const RECENT: usize = 6;
/// Notices and choices listed.
const LIFE_SHOWN: u32 = 50;
/// Settlements drawn and listed.
const SETTLEMENTS_SHOWN: u32 = 500;

/// `GET /contracts/{id}`
pub(crate) async fn contract(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Markup, Failure> {
    let c = state.contract(customer.account, id).await?;
    let settlements = state.market().settlements(customer.account, id, SETTLEMENTS_SHOWN).await?;
    let invoice = state.invoice_of_contract(customer.account, id).await?;
    let forecast = state.market().forecast_of(customer.account, id).await?;
    let owed = state.market().owed(customer.account, id, LIFE_SHOWN).await?;
    let notices = state.market().notices(customer.account, Some(id), LIFE_SHOWN).await?;
    let losses = state.market().losing_stretches(id, None, 1).await?;
    let on = state.market().going_on(customer.account, id).await?;
    let signed = state.signed_terms(customer.account, id).await?;
    let rule = rule_of(c.epoch_us);
    // A plan that is no longer on offer cannot be renewed.
    let terms_now = state.market().plan(&c.plan).map(|p| p.terms_epochs).unwrap_or_default();
    let (footprint, cut_at) = state.footprint_of(&c, None).await?;
    let powers = state.powers().await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (c.title) }
        }
        section.sheet #figures data-live="lanes money" aria-labelledby="figures-h" {
            header {
                h2 #figures-h { (say!("{hashrate} on lane {lane}", hashrate = rate(c.hashrate), lane = c.lane)) }
                (contract_stands(c.state, c.life.frozen_since).tag())
            }
            @if let Some(inv) = &invoice {
                @if inv.state.is_open() { p.actions {
                    a.button href={ "/invoices/" (inv.id) } { (t("Pay the invoice")) }
                    span { (say!("{amount} until {expires}", amount = amount(inv.amount), expires = time(inv.expires))) }
                } } @else { p.small { a href={ "/invoices/" (inv.id) } { (t("To the invoice")) } } }
            }
            (figures(&c))
            (part_bar(c.delivered.0, c.bought.0))
            @if matches!(c.state, ContractState::Active | ContractState::Completed | ContractState::Refunded) {
                p.small { a href={ "/contracts/" (c.id) "/review" } { (t("Review this contract")) } }
            }
            (life::cancel_form(&visitor, &c))
        }
        (life::sheet(&visitor, &c, &owed, (&notices, &losses), &on))
        section.sheet #work-plot data-live="lanes money" aria-label=(t("Work per epoch")) {
            (work_plot(&c, rule))
        }
        section.sheet #earn-plot data-live="lanes money" aria-label=(t("Earnings")) {
            @for e in &c.earnings { (earn_plot(e, rule, &settlements)) }
        }
        (renewal::sheet(&visitor, &c, &terms_now, &on))
        section.sheet #energy data-live="lanes money" aria-labelledby="energy-h" {
            header { h2 #energy-h { (t("Electricity")) } span.soft.small {
                @match cut_at { None => (t("of all its epochs so far, as measured")), Some(e) => { (say!("of its epochs since {rule}, as measured", rule = epoch(e, rule))) } } } }
            (electricity(&footprint, &powers))
            (per_coin(&c, &footprint))
        }
        section.sheet #settlements data-live="lanes money" aria-labelledby="settlements-h" {
            header { h2 #settlements-h { (t("Settlements")) } span.soft.small { (t("newest first")) } }
            (settlement_table(&c, rule, &settlements, state.config().record.is_some()))
        }
        section.sheet #lines data-live="lanes money" aria-labelledby="lines-h" {
            header { h2 #lines-h { (t("Epoch by epoch")) } span.soft.small { (t("newest first")) } }
            (lines(&c, rule))
        }
        @if let Some(f) = &forecast { (foretold(f, &c)) }
        section.sheet #terms data-live="lanes money" aria-labelledby="terms-h" {
            header { h2 #terms-h { (t("What was bought")) } }
            (terms(&c, rule, &signed))
        }
    };
    Ok(page(&visitor, &c.title, true, &content))
}

/// What was foretold at the purchase beside what came of it so far.
fn foretold(f: &QuoteForecast, c: &ContractView) -> Markup {
    let so_far = |minor: i64| {
        let minor = u128::try_from(minor).unwrap_or(0);
        let part = gruve_units::mul_div_floor(minor, c.delivered.0.min(c.bought.0), c.bought.0);
        part.ok().and_then(|(part, _)| i64::try_from(part).ok())
    };
    html! {
        section.sheet #foretold data-live="lanes money" aria-labelledby="foretold-h" {
            header { h2 #foretold-h { (t("Foretold and come true")) } }
            table.cards {
                thead { tr { th scope="col" { (t("After all fees")) } th.r scope="col" { (t("Foretold, mean")) } th.r scope="col" { (t("Nine in ten")) }
                    th.r scope="col" { (t("Of the mean, for the work so far")) } th.r scope="col" { (t("To your balance so far")) } } }
                tbody { @for a in &f.assets { tr {
                    (cell!("After all fees", a.asset))
                    (cell!(r "Foretold, mean", amount(Amount::new(a.asset, a.expected_minor))))
                    (cell!(r "Nine in ten", html! { (say!("{low_minor} to {high_minor}", low_minor = amount(Amount::new(a.asset, a.low_minor)), high_minor = amount(Amount::new(a.asset, a.high_minor)))) }))
                    (cell!(r "Of the mean, for the work so far", html! { @match so_far(a.expected_minor) { Some(n) => (amount(Amount::new(a.asset, n))), None => "–" } }))
                    (cell!(r "To your balance so far", html! { @for e in c.earnings.iter().filter(|e| e.asset == a.asset) { (amount(e.credited)) } }))
                } } }
            }
            p.small.soft { (say!("Drawn when you bought, by the model “{model}”.", model = model_link(&f.model))) }
        }
    }
}

fn figures(c: &ContractView) -> Markup {
    html! {
        dl.figures {
            div { dt { (t("Delivered")) } dd { (work(c.delivered))
                small { (say!("{bought} of {bought2} bought", bought = percent(c.delivered.0, c.bought.0), bought2 = work(c.bought))) } } }
            div { dt { (t("Entitled so far")) } dd { (work(c.entitled)) } }
            div { dt { (t("Shortfall, to be made good")) } dd { (work(c.shortfall)) } }
            div { dt { (t("Earned, before fees")) } @for e in &c.earnings { dd { (accrued(e.asset, e.earned)) } } }
            div { dt { (t("Credited to your balance")) } @for e in &c.earnings { dd { (amount(e.credited)) } } }
            div { dt { (t("Maturing")) } @for e in &c.earnings { dd { (amount(e.maturing)) } } }
        }
    }
}

/// Energy behind a coin, where all of the contract's work is listed and measured.
fn per_coin(c: &ContractView, f: &Footprint) -> Markup {
    let is_whole = f.covered == c.delivered && c.delivered > Hashes::ZERO;
    let of = |e: &Earnings| {
        let minor = u128::try_from(e.earned.split().ok()?.0).ok()?;
        f.watt_hours_per_coin(e.asset, minor).map(|wh| (e.asset, wh))
    };
    html! {
        @if is_whole { @for (asset, wh) in c.earnings.iter().filter_map(of) {
            p.small { (say!("Behind one whole {asset} as earned here: {wh} kWh", asset = asset, wh = grouped(wh / 1_000))) }
        } }
    }
}

/// Whole minor units of an accrual; the rest is carried, and said so.
fn accrued(asset: Asset, a: Accrual) -> Markup {
    match a.split() {
        Ok((minor, rest)) => html! {
            (amount(Amount::new(asset, minor)))
            @if rest > Accrual::ZERO { small { (t("and a fraction carried on")) } }
        },
        Err(_) => html! { "–" },
    }
}

fn terms(c: &ContractView, rule: EpochRule, signed: &SignedTerms) -> Markup {
    html! {
        dl.pairs {
            dt { (t("Price")) } dd { (amount(c.price)) }
            dt { (t("Term")) } dd { (term_text(c.term_epochs, rule)) }
            dt { (t("Bought")) } dd { (time(c.created)) }
            @if let Some(at) = c.paid { dt { (t("Paid")) } dd { (time(at)) } }
            dt { (t("Runs from")) } dd { @match c.start_epoch {
                Some(e) => { (time(rule.start(e))) },
                None => (t("the epoch after the payment is confirmed")),
            } }
            @if let Some(e) = c.hard_end {
                dt { (t("Ends at the latest")) } dd { (say!("{start}, with a refund of what is missing", start = time(rule.start(e)))) }
            }
            @if c.refunded.minor > 0 { dt { (t("Refunded")) } dd { (amount(c.refunded)) } }
            (agreed::rules(signed))
            dt { (t("Terms (SHA-256)")) } dd { code { (hex::encode(c.terms_hash)) } }
            dt { (t("To keep")) } dd { a href={ "/contracts/" (c.id) "/terms.json" } download { (t("Signed terms")) }
                ", " a href={ "/contracts/" (c.id) "/statement" } { (t("statement")) }
                ", " a href={ "/contracts/" (c.id) "/receipts.bin" } download { (t("a receipt of every epoch")) }
                " (" a href={ "/contracts/" (c.id) "/receipts.jsonl" } download { (t("as text")) } ")" }
            dt { (t("Check it yourself")) } dd { (say!("{link}, in your browser or with {code}", link = html! { a href="/proof/receipt" { (t("A receipt against the public record")) } }, code = html! { code { "gruve verify" } })) }
            dt { (t("Contract")) } dd { code { (c.id) } }
        }
    }
}

fn work_plot(c: &ContractView, rule: EpochRule) -> Markup {
    let ends = c.epochs.last().zip(c.epochs.first());
    let mark = marks(ends.map(|(first, last)| (first.start, last.start)));
    let points: Vec<Point> = c
        .epochs
        .iter()
        .rev()
        .map(|e| Point {
            label: time_text(e.start),
            mark: mark(e.start),
            bar: e.delivered.0 as f64,
            line: Some(e.entitled.0 as f64),
            tip: text!(
                "{delivered} delivered of {entitled}",
                delivered = work_text(e.delivered),
                entitled = work_text(e.entitled)
            ),
        })
        .collect();
    let secs = rule.length().as_secs_f64().max(1e-6);
    // For the axis only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let axis = |v: f64| rate_text(Hashrate((v / secs) as u128));
    let description = text!(
        "Bars: work delivered in each epoch, as hashrate. Line: what the contract was entitled to. \
         In all {delivered} of {bought} delivered; every figure stands in the table below.",
        delivered = work_text(c.delivered),
        bought = work_text(c.bought),
    );
    Plot {
        id: "work",
        title: t("Hashrate delivered per epoch"),
        description: &description,
        bars: t("delivered"),
        line: Some(t("entitled")),
        points: &points,
        axis: &axis,
        tone: "work",
    }
    .draw()
}

fn earn_plot(c: &Earnings, rule: EpochRule, settlements: &[SettlementLine]) -> Markup {
    let of_asset = || settlements.iter().filter(|l| l.net.asset == c.asset);
    // The list is newest first and may not reach back to the beginning: what is older is in
    // `credited` and stands below the first bar.
    let shown = of_asset().fold(0i64, |s, l| s.saturating_add(l.net.minor));
    let mut sum = c.credited.minor.saturating_sub(shown);
    let newest_first: Vec<_> = of_asset().collect();
    let end = |l: &SettlementLine| rule.end(l.to_epoch);
    let ends = newest_first.last().zip(newest_first.first());
    let mark = marks(ends.map(|(&first, &last)| (end(first), end(last))));
    let points: Vec<Point> = newest_first
        .into_iter()
        .rev()
        .map(|l| {
            sum = sum.saturating_add(l.net.minor);
            Point {
                label: time_text(end(l)),
                mark: mark(end(l)),
                bar: sum as f64,
                line: None,
                tip: text!(
                    "{net} credited, {sum} so far",
                    net = short_amount(l.net),
                    sum = short_amount(Amount::new(c.asset, sum))
                ),
            }
        })
        .collect();
    // For the axis only.
    #[allow(clippy::cast_possible_truncation)]
    let axis = |v: f64| short_amount(Amount::new(c.asset, v as i64));
    let description = text!(
        "Bars: earnings credited up to each settlement, after fees; {credited} in all. Every figure stands \
         in the table below.",
        credited = short_amount(c.credited)
    );
    let (id, title) =
        (format!("earn-{}", c.asset), text!("{asset} credited so far", asset = c.asset));
    Plot {
        id: &id,
        title: &title,
        description: &description,
        bars: t("credited, summed"),
        line: None,
        points: &points,
        axis: &axis,
        tone: "earn",
    }
    .draw()
}

/// The newest rows of a table, and the older ones folded away.
fn recent_and_older<T>(
    all: &[T],
    what: impl Fn(usize) -> String,
    table: impl Fn(&[T]) -> Markup,
) -> Markup {
    let all_shown = &all[..all.len().min(LINES_SHOWN)];
    let (recent, older) = all_shown.split_at(all_shown.len().min(RECENT));
    html! {
        (table(recent))
        @if !older.is_empty() {
            details {
                summary { (what(older.len())) }
                (table(older))
                @if all.len() > LINES_SHOWN {
                    p.small.soft { (say!("The newest {lines_shown} are shown; the statement has all.", lines_shown = LINES_SHOWN)) }
                }
            }
        }
    }
}

fn settlement_table(
    c: &ContractView,
    rule: EpochRule,
    settlements: &[SettlementLine],
    has_record: bool,
) -> Markup {
    let table = |rows: &[SettlementLine]| {
        html! {
            table.cards {
                caption.visually-hidden { (t("Settlements, newest first")) }
                thead { tr {
                    th scope="col" { (t("Settled")) }
                    th scope="col" { (t("Epochs")) }
                    th.r scope="col" { (t("Earned")) }
                    th.r scope="col" { (t("Fee")) }
                    th.r scope="col" { (t("Maintenance")) }
                    th.r scope="col" { (t("Credited")) }
                    @if has_record { th scope="col" { (t("Receipt")) } }
                } }
                tbody { @for l in rows { tr {
                    (cell!("Settled", time(l.at)))
                    (cell!("Epochs", epochs_of(l, rule)))
                    (cell!(r "Earned", amount(l.gross)))
                    (cell!(r "Fee", amount(l.fee)))
                    (cell!(r "Maintenance", amount(l.maintenance)))
                    (cell!(r "Credited", amount(l.net)))
                    @if has_record { (cell!("Receipt", html! { @match receipt_of(c, l) { Some(of) => (check_link(c.id, of)), None => "–" } })) }
                } } }
            }
        }
    };
    if settlements.is_empty() {
        return html! {
            p.empty { (t("Nothing settled yet. Earnings are settled when the blocks behind them are mature.")) }
        };
    }
    recent_and_older(
        settlements,
        |n| counted!("{n} older settlement", "{n} older settlements", n),
        table,
    )
}

/// The newest epoch of a settlement in which the contract had a claim: of those there are receipts.
fn receipt_of(c: &ContractView, l: &SettlementLine) -> Option<EpochNumber> {
    let newest = c.epochs.iter().map(|e| e.epoch).find(|e| *e <= l.to_epoch);
    newest.filter(|e| *e >= l.from_epoch)
}

/// To the page that checks an epoch's receipt, filled in.
fn check_link(contract: ContractId, at: EpochNumber) -> Markup {
    html! { a.small.whole-line href={ "/proof/receipt?contract=" (contract) "&epoch=" (at) } {
        (t("Check it yourself")) span.visually-hidden { " " (at) }
    } }
}

fn epochs_of(l: &SettlementLine, rule: EpochRule) -> Markup {
    html! {
        (epoch(l.from_epoch, rule))
        @if l.to_epoch != l.from_epoch { "–" (epoch(l.to_epoch, rule)) }
    }
}

fn lines(c: &ContractView, rule: EpochRule) -> Markup {
    let table = |rows: &[EpochLine]| {
        html! {
            table.cards {
                caption.visually-hidden { (t("Work per epoch, newest first")) }
                thead { tr {
                    th scope="col" { (t("Epoch")) }
                    th scope="col" { (t("Began")) }
                    th.r scope="col" { (t("Entitled")) }
                    th.r scope="col" { (t("Delivered")) }
                    th.r scope="col" { (t("Share")) }
                    th.r scope="col" { (t("Made good")) }
                    th.r scope="col" { (t("Shortfall after")) }
                } }
                tbody { @for e in rows { tr {
                    (cell!("Epoch", epoch(e.epoch, rule)))
                    (cell!("Began", time(e.start)))
                    (cell!(r "Entitled", work(e.entitled)))
                    (cell!(r "Delivered", work(e.delivered)))
                    (cell!(r "Share", percent(e.delivered.0, e.entitled.0)))
                    (cell!(r "Made good", work(e.made_good)))
                    (cell!(r "Shortfall after", work(e.shortfall)))
                } } }
            }
        }
    };
    if c.epochs.is_empty() {
        return html! { p.empty { (t("No epoch has closed since the contract began.")) } };
    }
    recent_and_older(&c.epochs, |n| counted!("{n} older epoch", "{n} older epochs", n), table)
}
