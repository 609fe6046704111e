//! Who may be keeping found blocks back: every machine and owner against chance, as page and for programs.

use super::{frame, sheet, table};
use crate::api::answer;
use crate::extract::{Params, Staff};
use crate::failure::Failure;
use crate::state::AppState;
use crate::visitor::Visitor;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_farm::{Judged, Judgement, MachineOwner, Miner};
use gruve_units::{LaneId, MachineId};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Of so many looks at honest miners one raises an alarm, where nothing else is asked for.
const ONE_IN: u32 = 100;
/// Rows of a lane on the page: the most suspicious; programs get all.
const SHOWN: usize = 50;

/// How rare a false alarm is to be.
#[derive(Deserialize)]
pub(crate) struct Asked {
    one_in: Option<u32>,
}

impl Asked {
    fn one_in(&self) -> u32 {
        self.one_in.unwrap_or(ONE_IN).max(2)
    }
}

async fn judged(state: &AppState, one_in: u32) -> Result<Vec<(LaneId, Judgement)>, Failure> {
    let alpha = 1.0 / f64::from(one_in);
    let mut all = Vec::new();
    for lane in &state.market().config().lanes {
        all.push((lane.lane.clone(), state.farm().judgement(&lane.lane, alpha).await?));
    }
    Ok(all)
}

/// `GET /console/withholding`
pub(crate) async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(asked): Params<Asked>,
) -> Result<Markup, Failure> {
    let lanes = judged(&state, asked.one_in()).await?;
    let machines = state.farm().inventory().await?;
    let machines: BTreeMap<MachineId, String> =
        machines.into_iter().map(|m| (m.machine, m.serial)).collect();
    let owners = lanes.iter().flat_map(|(_, said)| &said.miners).filter_map(|m| match m.miner {
        Miner::Owner(MachineOwner::Account(id)) => Some(id),
        _ => None,
    });
    let owners = state.names(owners).await?;
    let name = |miner: &Miner| match miner {
        Miner::Machine(id) => {
            format!("Machine {}", machines.get(id).map_or_else(|| id.to_string(), String::clone))
        }
        Miner::Owner(MachineOwner::House) => "All of the house".to_owned(),
        Miner::Owner(MachineOwner::Account(id)) => {
            format!("All of {}", owners.get(id).map_or_else(|| id.to_string(), String::clone))
        }
    };
    let content = html! {
        @for (lane, said) in &lanes {
            (sheet(&format!("lane-{lane}"), &format!("Lane {lane}"), &lane_table(said, name)))
        }
        p.note { "Of " (asked.one_in()) " looks at honest miners, one raises an alarm at the most. Who looks every day and "
            "remembers every alarm looks more often: a finding is a reason to look closer, no proof." }
    };
    let lead = "Whose blocks and best hashes are rarer than chance has them.";
    Ok(frame(&visitor, staff, "Withheld blocks", lead, &content))
}

fn lane_table(said: &Judgement, name: impl Fn(&Miner) -> String) -> Markup {
    let columns = [
        "Who",
        ">Shares",
        ">Blocks expected",
        ">Blocks found",
        ">Chance of so few",
        ">Chance of so thin a tail",
        "Finding",
    ];
    let row = |m: &Judged| {
        let level = m.chances.level.map(|level| format!(" at 2^{level}"));
        vec![
            html! { (name(&m.miner)) },
            html! { (m.shares) },
            html! { (format!("{:.3}", m.expected)) },
            html! { (m.found) },
            html! { (chance(m.chances.blocks)) },
            html! { (chance(m.chances.tail)) (level.unwrap_or_default()) },
            html! { @if m.is_finding { strong { "yes" } } @else { "no" } },
        ]
    };
    let rows: Vec<_> = said.miners.iter().take(SHOWN).map(row).collect();
    html! {
        @if let (Some(all), Some(half)) = (said.needed_for_all, said.needed_for_half) {
            p { "A finding is a chance below " (chance(said.below)) ". By blocks alone nine in ten are found who keep all blocks back, "
                "once their work should have found " (format!("{all:.1}")) "; or half of them, once " (format!("{half:.0}")) "." }
        }
        (table("Miners, the most suspicious first", &columns, &rows))
        @if said.miners.len() > SHOWN {
            p.note { "And " (said.miners.len() - SHOWN) " less suspicious ones." }
        }
    }
}

fn chance(chance: f64) -> String {
    if chance >= 0.001 { format!("{chance:.3}") } else { format!("{chance:.1e}") }
}

/// `GET /api/v1/console/withholding`
pub(crate) async fn json(
    State(state): State<AppState>,
    Params(asked): Params<Asked>,
) -> Result<Response, Failure> {
    let lanes = judged(&state, asked.one_in()).await?;
    let lanes = lanes.iter().map(|(lane, said)| {
        json!({
            "lane": lane,
            "one_in": asked.one_in(),
            "below": said.below,
            "needed_for_all": said.needed_for_all,
            "needed_for_half": said.needed_for_half,
            "miners": said.miners.iter().map(miner).collect::<Vec<_>>(),
        })
    });
    Ok(answer(StatusCode::OK, lanes.collect()))
}

fn miner(m: &Judged) -> Value {
    let (machine, owner) = match m.miner {
        Miner::Machine(id) => (Some(id), None),
        Miner::Owner(MachineOwner::House) => (None, Some("house".to_owned())),
        Miner::Owner(MachineOwner::Account(id)) => (None, Some(id.to_string())),
    };
    json!({
        "machine": machine,
        "owner": owner,
        "shares": m.shares,
        "expected_blocks": m.expected,
        "found_blocks": m.found,
        "blocks_chance": m.chances.blocks,
        "tail_chance": m.chances.tail,
        "tail_level": m.chances.level,
        "is_finding": m.is_finding,
    })
}
