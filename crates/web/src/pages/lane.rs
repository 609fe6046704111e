//! One lane: its figures, its closed epochs, its blocks.

use crate::extract::Id;
use crate::failure::Failure;
use crate::layout::{ETH_NOTE, cell, page};
use crate::money::{
    asset_name, epoch, local, rate, rate_text, span_text, time, time_text, work, work_text,
};
use crate::network;
use crate::pages::home::{aux_figures, block_table, sold_meter};
use crate::plot::{Plot, Point, marks};
use crate::state::AppState;
use crate::view::{algorithm_name, basis_points};
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use gruve_market::EpochView;
use gruve_units::{Algorithm, EpochRule, Hashes, Hashrate};
use maud::{Markup, html};

const EPOCHS_SHOWN: u32 = 60;
const BLOCKS_SHOWN: u32 = 50;

/// `GET /lanes/{lane}`
pub(crate) async fn lane(
    State(state): State<AppState>,
    visitor: Visitor,
    Id(name): Id<String>,
) -> Result<Markup, Failure> {
    let missing = || Failure::not_found("lane");
    let lanes = state.lanes().await?;
    let lane = lanes.iter().find(|l| l.stats.lane.as_str() == name).ok_or_else(missing)?;
    let s = &lane.stats;
    let epochs = state.market().epochs(&s.lane, EPOCHS_SHOWN).await?;
    let blocks = state.market().blocks(&s.lane, BLOCKS_SHOWN).await?;
    let luck = state.luck(&s.lane).await?;
    let own_fee = state.market().lane(&s.lane).map_err(|e| Failure::of(&e))?.outside_fee_bps;
    let halted = state.live().chains().iter().any(|c| c.lane == s.lane && c.standing == "halted");
    let content = html! {
        div.lead {
            p.crumbs { a href="/" { (t("Lanes")) } }
            h1 { (asset_name(s.asset)) }
            p { (say!("Lane {strong}, {algorithm}, {network}; epochs of {length}.", strong = html! { strong { (s.lane) } }, algorithm = algorithm_name(s.algorithm), network = lane.network, length = span_text(lane.rule().length()))) }
        }
        @if halted { p.message.bad role="alert" {
            (t("The chain of this lane cannot be followed now. Machines work on and epochs are published; what has matured is settled when the operator has mended it."))
        } }
        section.sheet #figures data-live="lanes" aria-label=(t("Figures")) {
            dl.figures {
                div { dt { (t("Hashrate, proven")) } dd { (rate(s.hashrate)) } }
                div { dt { (t("Machines connected")) } dd { (lane.machines) } }
                div { dt { (t("Blocks found")) } dd { (s.blocks_found) } }
                div { dt { (t("Luck")) } dd { (luck.percent())
                    small { @if luck.is_counted() { (say!("{found} found, {expected} expected of all work so far", found = luck.found, expected = luck.expected())) }
                        @else { (t("not counted yet")) } } } }
                div { dt { (t("Network difficulty")) } dd { (lane.difficulty().map_or_else(|| "–".to_owned(), |d| local(&d))) } }
                @if let Some(n) = lane.network(s.asset) { (network::rows(s.asset, n)) }
                div { dt { (t("Chain height")) } dd { @match s.height { Some(h) => (h), None => "–" } } }
                (aux_figures(lane))
            }
            @for a in &s.aux {
                @if let Some(n) = lane.network(a.asset) {
                    h2 { (say!("{asset}, earned by the same work", asset = asset_name(a.asset))) }
                    dl.figures { (network::rows(a.asset, n)) }
                }
            }
            (sold_meter(lane))
            @if let Some(url) = &lane.stratum {
                p.small { (say!("Own machines may mine here too: {code}, user {code2}. Of what they earn {fee} is kept.", code = html! { code { (url) } }, code2 = html! { code { "account.machine" } }, fee = basis_points(own_fee))) }
            }
        }
        section.sheet #epochs data-live="lanes" aria-labelledby="epochs-h" {
            header { h2 #epochs-h { (t("Epochs")) } span.soft.small { (how_many(epochs.len())) } }
            (epoch_plot(lane.rule(), &epochs))
            details { summary { (t("The figures as a table")) } (epoch_table(lane.rule(), &epochs)) }
        }
        section.sheet #blocks data-live="lanes" aria-labelledby="blocks-h" {
            header { h2 #blocks-h { (t("Blocks found")) } }
            (block_table(&blocks, false))
        }
        @if matches!(s.algorithm, Algorithm::Ethash | Algorithm::Etchash) { p.note { (t(ETH_NOTE)) } }
    };
    Ok(page(&visitor, &text!("Lane {lane}", lane = s.lane), true, &content))
}

/// How many epochs are shown, in words.
fn how_many(epochs: usize) -> String {
    match epochs {
        0 => t("none closed yet").to_owned(),
        1 => t("the last one closed").to_owned(),
        n => text!("the last {n} closed", n = n),
    }
}

fn epoch_plot(rule: EpochRule, epochs: &[EpochView]) -> Markup {
    let ends = epochs.last().zip(epochs.first());
    let mark = marks(ends.map(|(first, last)| (first.start, last.start)));
    let points: Vec<Point> = epochs
        .iter()
        .rev()
        .map(|e| {
            let total = Hashes(e.house_work.0.saturating_add(e.other_work.0));
            Point {
                label: time_text(e.start),
                mark: mark(e.start),
                bar: total.0 as f64,
                line: Some(e.allocated.0 as f64),
                tip: text!(
                    "{total} proven, {allocated} to contracts",
                    total = work_text(total),
                    allocated = work_text(e.allocated)
                ),
            }
        })
        .collect();
    let secs = rule.length().as_secs_f64().max(1e-6);
    // For the axis only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let axis = |v: f64| rate_text(Hashrate((v / secs) as u128));
    Plot {
        id: "epoch-plot",
        title: t("Work proven per epoch, as hashrate"),
        description: t(
            "Bars: work proven by shares in each closed epoch. Line: what of it went to contracts. \
                        Every figure stands in the table below.",
        ),
        bars: t("proven"),
        line: Some(t("to contracts")),
        points: &points,
        axis: &axis,
        tone: "work",
    }
    .draw()
}

fn epoch_table(rule: EpochRule, epochs: &[EpochView]) -> Markup {
    html! {
        table.cards {
            caption.visually-hidden { (t("Closed epochs, newest first")) }
            thead { tr {
                th scope="col" { (t("Epoch")) } th scope="col" { (t("Began")) }
                th.r scope="col" { (t("Shares")) } th.r scope="col" { (t("House work")) }
                th.r scope="col" { (t("Others' work")) }
                th.r scope="col" { (t("To contracts")) } th.r scope="col" { (t("Surplus")) }
            } }
            tbody {
                @for e in epochs {
                    tr {
                        (cell!("Epoch", epoch(e.epoch, rule)))
                        (cell!("Began", time(e.start)))
                        (cell!(r "Shares", e.shares))
                        (cell!(r "House work", work(e.house_work)))
                        (cell!(r "Others' work", work(e.other_work)))
                        (cell!(r "To contracts", work(e.allocated)))
                        (cell!(r "Surplus", work(e.surplus)))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_epoch_is_not_counted() {
        assert_eq!(how_many(0), "none closed yet");
        assert_eq!(how_many(1), "the last one closed");
        assert_eq!(how_many(60), "the last 60 closed");
    }
}
