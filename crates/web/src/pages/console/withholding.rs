//! Who may be keeping found blocks back: every machine and owner against chance, as page and for programs.

use super::{frame, sheet, table};
use crate::extract::{Params, Staff};
use crate::failure::Failure;
use crate::money::local;
use crate::openapi::{Fine, List, answers, requests};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use gruve_farm::{Judged, Judgement, MachineOwner, Miner};
use gruve_units::{LaneId, MachineId};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Of so many looks at honest miners one raises an alarm, where nothing else is asked for.
const ONE_IN: u32 = 100;
/// Rows of a lane on the page: the most suspicious; programs get all.
const SHOWN: usize = 50;

requests! {
    /// How rare a false alarm is to be.
    struct Asked {
        /// Of so many looks at honest miners one raises an alarm; 100 if left out.
        one_in: Option<u32>,
    }
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
            text!(
                "Machine {name}",
                name = machines.get(id).map_or_else(|| id.to_string(), String::clone)
            )
        }
        Miner::Owner(MachineOwner::House) => t("All of the house").to_owned(),
        Miner::Owner(MachineOwner::Account(id)) => {
            text!(
                "All of {name}",
                name = owners.get(id).map_or_else(|| id.to_string(), String::clone)
            )
        }
    };
    let content = html! {
        @for (lane, said) in &lanes {
            (sheet(&format!("lane-{lane}"), &text!("Lane {lane}", lane = lane), &lane_table(said, name)))
        }
        p.note { (say!("Of {one_in} looks at honest miners, one raises an alarm at the most. Who looks every day and remembers every alarm looks more often: a finding is a reason to look closer, no proof.", one_in = asked.one_in())) }
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
        let level =
            m.chances.level.map(|level| format!(" {}", text!("at 2^{level}", level = level)));
        vec![
            html! { (name(&m.miner)) },
            html! { (m.shares) },
            html! { (local(&format!("{:.3}", m.expected))) },
            html! { (m.found) },
            html! { (chance(m.chances.blocks)) },
            html! { (chance(m.chances.tail)) (level.unwrap_or_default()) },
            html! { @if m.is_finding { strong { (t("yes")) } } @else { (t("no")) } },
        ]
    };
    let rows: Vec<_> = said.miners.iter().take(SHOWN).map(row).collect();
    html! {
        @if let (Some(all), Some(half)) = (said.needed_for_all, said.needed_for_half) {
            p { (say!("A finding is a chance below {below}. By blocks alone nine in ten are found who keep all blocks back, once their work should have found {format}; or half of them, once {format2}.", below = chance(said.below), format = local(&format!("{all:.1}")), format2 = format!("{half:.0}"))) }
        }
        (table("Miners, the most suspicious first", &columns, &rows))
        @if said.miners.len() > SHOWN {
            p.note { (say!("And {shown} less suspicious ones.", shown = said.miners.len() - SHOWN)) }
        }
    }
}

fn chance(chance: f64) -> String {
    local(&if chance >= 0.001 { format!("{chance:.3}") } else { format!("{chance:.1e}") })
}

answers! {
    /// What is to be said of a lane's miners.
    struct WithholdingBody {
        /// The lane.
        lane: LaneId,
        /// Of so many looks at honest miners one raises an alarm.
        one_in: u32,
        /// Chances below this are findings.
        below: f64,
        /// Blocks' worth of work from which on whoever keeps all back is found nine times in ten.
        needed_for_all: Option<f64>,
        /// The same of whoever keeps half.
        needed_for_half: Option<f64>,
        /// The most suspicious first.
        miners: Vec<MinerJudged>,
    }

    /// A machine, or all of an owner's, against chance.
    struct MinerJudged {
        /// The machine.
        machine: Option<MachineId>,
        /// `house`, or an account's id.
        owner: Option<String>,
        /// Shares looked at.
        shares: u64,
        /// Blocks that their work should have found.
        expected_blocks: f64,
        /// Blocks that it found.
        found_blocks: u64,
        /// How likely an honest miner finds so few.
        blocks_chance: f64,
        /// How likely an honest miner has so thin a tail of best hashes.
        tail_chance: f64,
        /// At which level it is thinnest.
        tail_level: Option<u8>,
        /// Whether that is too unlikely.
        is_finding: bool,
    }
}

/// `GET /api/v1/console/withholding`
pub(crate) async fn json(
    State(state): State<AppState>,
    Params(asked): Params<Asked>,
) -> Result<Fine<List<WithholdingBody>>, Failure> {
    let lanes = judged(&state, asked.one_in()).await?;
    Ok(List::whole(lanes.into_iter().map(|(lane, said)| WithholdingBody {
        lane,
        one_in: asked.one_in(),
        below: said.below,
        needed_for_all: said.needed_for_all,
        needed_for_half: said.needed_for_half,
        miners: said.miners.iter().map(miner).collect(),
    })))
}

fn miner(m: &Judged) -> MinerJudged {
    let (machine, owner) = match m.miner {
        Miner::Machine(id) => (Some(id), None),
        Miner::Owner(MachineOwner::House) => (None, Some("house".to_owned())),
        Miner::Owner(MachineOwner::Account(id)) => (None, Some(id.to_string())),
    };
    MinerJudged {
        machine,
        owner,
        shares: m.shares,
        expected_blocks: m.expected,
        found_blocks: m.found,
        blocks_chance: m.chances.blocks,
        tail_chance: m.chances.tail,
        tail_level: m.chances.level,
        is_finding: m.is_finding,
    }
}
