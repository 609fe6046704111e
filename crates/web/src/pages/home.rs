//! The public front: lanes, hashrate, blocks, sold against proven.

use crate::failure::Failure;
use crate::layout::{ETH_NOTE, cell, page};
use crate::money::{
    amount, asset_name, local, percent, rate, short_hash, shown_hash, span_text, time,
};
use crate::pages::plans::NOT_PROVEN;
use crate::state::AppState;
use crate::view::{LaneView, algorithm_name, block_state};
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use gruve_market::BlockView;
use maud::{Markup, html};

/// Blocks shown per lane on the front page.
const BLOCKS_SHOWN: u32 = 8;

/// `GET /`
pub(crate) async fn home(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let lanes = state.lanes().await?;
    let mut blocks = Vec::new();
    for lane in &lanes {
        blocks.extend(state.market().blocks(&lane.stats.lane, BLOCKS_SHOWN).await?);
    }
    blocks.sort_by_key(|b| std::cmp::Reverse(b.at));
    blocks.truncate(12);
    let content = html! {
        div.lead {
            h1 { (t("Hashpower, counted in proof of work")) }
            p {
                (t("Lease hashrate from machines that are running now. What you are credited is the work that shares prove, epoch by epoch; what is on sale never exceeds what the machines have proven, less a reserve."))
            }
            @if visitor.name.is_none() {
                p.actions {
                    a.button href="/plans" { (t("See the plans")) }
                    a.button.quiet href="/books" { (t("Read the books")) }
                }
            }
        }
        div.columns #lanes data-live="lanes" {
            @for lane in &lanes { (lane_card(lane)) }
            @if lanes.is_empty() { p.empty { (t("No lane is running.")) } }
        }
        section.sheet #blocks data-live="lanes" aria-labelledby="blocks-h" {
            header { h2 #blocks-h { (t("Blocks found")) } }
            (block_table(&blocks, true))
        }
        p.note { (t(ETH_NOTE)) }
    };
    Ok(page(&visitor, t("Lanes"), true, &content))
}

fn lane_card(lane: &LaneView) -> Markup {
    let s = &lane.stats;
    let heading = format!("lane-{}", s.lane);
    html! {
        section.sheet aria-labelledby=(heading) {
            header {
                h2 id=(heading) { a href={ "/lanes/" (s.lane) } { (asset_name(s.asset)) } }
                span.soft.small { (algorithm_name(s.algorithm)) ", " (lane.network) }
            }
            dl.figures {
                div { dt { (t("Hashrate, proven")) } dd { (rate(s.hashrate)) } }
                div { dt { (t("Blocks found")) } dd { (s.blocks_found) } }
                div { dt { (t("Machines connected")) } dd { (lane.machines) } }
                div { dt { (t("Network difficulty")) } dd { (lane.difficulty().map_or_else(|| "–".to_owned(), |d| local(&d))) } }
                div { dt { (t("Chain height")) } dd {
                    @match s.height { Some(h) => (h), None => "–" }
                } }
                (aux_figures(lane))
                div { dt { (t("Epoch length")) } dd { (span_text(lane.rule().length())) } }
            }
            (sold_meter(lane))
        }
    }
}

/// What of a merge-mined chain differs from the lane's own.
pub(crate) fn aux_figures(lane: &LaneView) -> Markup {
    html! {
        @for a in &lane.stats.aux {
            div { dt { (say!("{asset} blocks found, merge-mined", asset = asset_name(a.asset))) } dd { (a.blocks_found) } }
            div { dt { (say!("{asset} chain height", asset = asset_name(a.asset))) } dd {
                @match a.height { Some(h) => (h), None => "–" }
            } }
        }
    }
}

/// Sold against proven, as a bar and in words.
pub(crate) fn sold_meter(lane: &LaneView) -> Markup {
    let s = &lane.stats;
    let sold = percent(s.sold.0, s.proven_capacity.0);
    let width = permille(s.sold.0, s.proven_capacity.0);
    html! {
        div.meter {
            svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img"
                aria-label=(text!("Sold {sold} of the proven capacity", sold = sold)) {
                rect.sold width=(width) height="10" {}
            }
            @if !lane.is_proven() && s.sold.0 == 0 { p { (t(NOT_PROVEN)) } }
            @else { p {
                (say!("Sold {sold} of {proven_capacity} proven ({sold2}); {available} on sale.", sold = rate(s.sold), proven_capacity = rate(s.proven_capacity), sold2 = sold, available = rate(s.available)))
            } }
        }
    }
}

/// How much of a whole a part is, in thousandths, at most all of it.
fn permille(part: u128, whole: u128) -> u128 {
    gruve_units::mul_div_floor(part, 1000, whole).map_or(0, |(permille, _)| permille.min(1000))
}

/// A part of a whole as a thin bar, beside the figure that says it.
pub(crate) fn part_bar(part: u128, whole: u128) -> Markup {
    html! {
        svg.part-bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(permille(part, whole)) height="10" {}
        }
    }
}

/// Blocks, newest first.
pub(crate) fn block_table(blocks: &[BlockView], with_lane: bool) -> Markup {
    html! {
        @if blocks.is_empty() {
            p.empty { (t("No block yet. How long one takes is chance; the mean follows from hashrate and difficulty.")) }
        } @else {
            table.cards {
                caption.visually-hidden { (t("Blocks found, newest first")) }
                thead { tr {
                    th scope="col" { (t("Found")) }
                    @if with_lane { th scope="col" { (t("Lane")) } }
                    th scope="col" { (t("Coin")) }
                    th.r scope="col" { (t("Height")) }
                    th scope="col" { (t("Block")) }
                    th.r scope="col" { (t("Reward")) }
                    th scope="col" { (t("State")) }
                } }
                tbody {
                    @for b in blocks {
                        tr {
                            (cell!("Found", time(b.at)))
                            @if with_lane { (cell!("Lane", b.lane)) }
                            (cell!("Coin", b.asset))
                            (cell!(r "Height", b.height))
                            (cell!("Block", short_hash(&shown_hash(&b.block_hash))))
                            (cell!(r "Reward", match b.reward { Some(a) => amount(a), None => html! { "–" } }))
                            (cell!("State", html! {
                                (block_state(b.state).tag())
                                @if let Some(other) = b.lost_to {
                                    " " (say!("{block} has its place", block = short_hash(&shown_hash(&other))))
                                }
                            }))
                        }
                    }
                }
            }
        }
    }
}
