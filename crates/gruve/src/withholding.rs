//! `gruve admin withholding`: who may be keeping found blocks back, and what this farm's size lets one see.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use gruve_farm::{Judged, Judgement};
use gruve_units::{LaneId, SystemClock, SystemEntropy};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// One miner.
#[derive(Debug, Serialize)]
struct Line {
    miner: String,
    shares: u64,
    expected_blocks: f64,
    found_blocks: u64,
    /// How likely an honest miner finds so few.
    blocks_chance: f64,
    /// How likely an honest miner's hashes have so thin a tail.
    tail_chance: f64,
    /// At this level, as a power of two of hashes.
    tail_level: Option<u8>,
    is_finding: bool,
}

/// One lane.
#[derive(Debug, Serialize)]
struct LaneLines {
    lane: LaneId,
    /// Chances below this are findings.
    below: f64,
    /// Blocks' worth of work from which on whoever keeps all, or half, of his blocks is found nine times in ten.
    needed_for_all: Option<f64>,
    needed_for_half: Option<f64>,
    miners: Vec<Line>,
}

/// Tests every machine and owner; fails when there is a finding.
///
/// # Errors
/// When the database cannot be read.
pub async fn withholding(config: PathBuf, one_in: u32, json: bool) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let alpha = 1.0 / f64::from(one_in);
    let mut lanes = Vec::new();
    for lane in &config.lanes {
        let said = parts.farm.judgement(&lane.id, alpha).await.map_err(|e| e.to_string())?;
        lanes.push(lines(&lane.id, said));
    }
    let is_clean = lanes.iter().flat_map(|l| &l.miners).all(|m| !m.is_finding);
    if json {
        println!("{}", serde_json::to_string_pretty(&lanes).map_err(|e| e.to_string())?);
    } else {
        lanes.iter().for_each(print);
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(lane: &LaneId, said: Judgement) -> LaneLines {
    let line = |m: Judged| Line {
        miner: m.miner.to_string(),
        shares: m.shares,
        expected_blocks: m.expected,
        found_blocks: m.found,
        blocks_chance: m.chances.blocks,
        tail_chance: m.chances.tail,
        tail_level: m.chances.level,
        is_finding: m.is_finding,
    };
    LaneLines {
        lane: lane.clone(),
        below: said.below,
        needed_for_all: said.needed_for_all,
        needed_for_half: said.needed_for_half,
        miners: said.miners.into_iter().map(line).collect(),
    }
}

fn print(lane: &LaneLines) {
    println!(
        "lane {}: {} miners; a finding is a chance below {:.1e}",
        lane.lane,
        lane.miners.len(),
        lane.below
    );
    if let (Some(all), Some(half)) = (lane.needed_for_all, lane.needed_for_half) {
        println!(
            "  by blocks alone, nine in ten are found who keep all blocks of {all:.1} expected, or half of {half:.0}"
        );
    }
    for m in &lane.miners {
        let level = m.tail_level.map_or_else(|| "-".to_owned(), |l| format!("2^{l}"));
        println!(
            "  {:<44} {:>10} shares  {:>9.3} blocks expected, {:>4} found: {:.1e}   tail: {:.1e} at {level}{}",
            m.miner,
            m.shares,
            m.expected_blocks,
            m.found_blocks,
            m.blocks_chance,
            m.tail_chance,
            if m.is_finding { "   FINDING" } else { "" }
        );
    }
}
