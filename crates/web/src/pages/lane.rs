//! One lane: its figures, its closed epochs, its blocks.

use crate::extract::Id;
use crate::failure::Failure;
use crate::layout::{ETH_NOTE, cell, page};
use crate::money::{asset_name, clock_text, epoch, rate, span_text, time, work, work_text};
use crate::network;
use crate::pages::home::{aux_figures, block_table, sold_meter};
use crate::plot::{Plot, Point};
use crate::state::AppState;
use crate::visitor::Visitor;
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
    let halted = state.live().chains().iter().any(|c| c.lane == s.lane && c.standing == "halted");
    let content = html! {
        div.lead {
            p.crumbs { a href="/" { "Lanes" } }
            h1 { (asset_name(s.asset)) }
            p { "Lane " strong { (s.lane) } ", " (s.algorithm) ", " (lane.network) "; epochs of "
                (span_text(lane.rule().length())) "." }
        }
        @if halted { p.notice role="alert" {
            "The chain of this lane cannot be followed now. Machines work on and epochs are published; "
            "what has matured is settled when the operator has mended it."
        } }
        section.sheet #figures data-live="figures" aria-label="Figures" {
            dl.figures {
                div { dt { "Hashrate, proven" } dd { (rate(s.hashrate)) } }
                div { dt { "Machines connected" } dd { (lane.machines) } }
                div { dt { "Blocks found" } dd { (s.blocks_found) } }
                div { dt { "Network difficulty" } dd { (lane.difficulty().unwrap_or_else(|| "–".to_owned())) } }
                @if let Some(n) = lane.network(s.asset) { (network::rows(s.asset, n)) }
                div { dt { "Chain height" } dd { @match s.height { Some(h) => (h), None => "–" } } }
                (aux_figures(lane))
            }
            @for a in &s.aux {
                @if let Some(n) = lane.network(a.asset) {
                    h3 { (asset_name(a.asset)) ", earned by the same work" }
                    dl.figures { (network::rows(a.asset, n)) }
                }
            }
            (sold_meter(lane))
            @if let Some(url) = &lane.stratum {
                p.small { "Own machines may mine here too: " code { (url) } ", user "
                    code { "account.machine" } "." }
            }
        }
        section.sheet #epochs data-live="epochs" aria-labelledby="epochs-h" {
            header { h2 #epochs-h { "Epochs" } span.soft.small { (how_many(epochs.len())) } }
            (epoch_plot(lane.rule(), &epochs))
            details { summary { "The figures as a table" } (epoch_table(lane.rule(), &epochs)) }
        }
        section.sheet #blocks data-live="blocks" aria-labelledby="blocks-h" {
            header { h2 #blocks-h { "Blocks found" } }
            (block_table(&blocks, false))
        }
        @if matches!(s.algorithm, Algorithm::Ethash | Algorithm::Etchash) { p.note { (ETH_NOTE) } }
    };
    Ok(page(&visitor, &format!("Lane {}", s.lane), true, &content))
}

/// How many epochs are shown, in words.
fn how_many(epochs: usize) -> String {
    match epochs {
        0 => "none closed yet".to_owned(),
        1 => "the last one closed".to_owned(),
        n => format!("the last {n} closed"),
    }
}

fn epoch_plot(rule: EpochRule, epochs: &[EpochView]) -> Markup {
    let points: Vec<Point> = epochs
        .iter()
        .rev()
        .map(|e| {
            let total = Hashes(e.house_work.0.saturating_add(e.other_work.0));
            Point {
                label: clock_text(e.start),
                bar: total.0 as f64,
                line: Some(e.allocated.0 as f64),
                tip: format!(
                    "{} proven, {} to contracts",
                    work_text(total),
                    work_text(e.allocated)
                ),
            }
        })
        .collect();
    let secs = rule.length().as_secs_f64().max(1e-6);
    // For the axis only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let axis = |v: f64| Hashrate((v / secs) as u128).to_string();
    Plot {
        id: "epoch-plot",
        title: "Work proven per epoch, as hashrate",
        description: "Bars: work proven by shares in each closed epoch. Line: what of it went to contracts. \
                      Every figure stands in the table below.",
        bars: "proven",
        line: Some("to contracts"),
        points: &points,
        axis: &axis,
        tone: "work",
    }
    .draw()
}

fn epoch_table(rule: EpochRule, epochs: &[EpochView]) -> Markup {
    html! {
        table.cards {
            caption.visually-hidden { "Closed epochs, newest first" }
            thead { tr {
                th scope="col" { "Epoch" } th scope="col" { "Began" }
                th.r scope="col" { "Shares" } th.r scope="col" { "House work" }
                th.r scope="col" { "Others' work" }
                th.r scope="col" { "To contracts" } th.r scope="col" { "Surplus" }
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
