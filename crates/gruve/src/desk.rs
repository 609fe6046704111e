//! `gruve admin price` and `gruve admin machines`: what the operator himself puts on record.

use crate::house::Parts;
use crate::house::dollars;
use crate::house::files::Holding;
use crate::serve::read_config;
use gruve_accounts::date_text;
use gruve_market::{ActKind, Market};
use gruve_units::{
    Asset, Clock, EpochNumber, Hashrate, LaneId, SystemClock, SystemEntropy, Timestamp,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Rows that are listed.
const LISTED: u32 = 20;

async fn market(config: &Path) -> Result<Market, String> {
    let config = read_config(config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    Ok(parts.map_err(|e| e.to_string())?.market)
}

/// What a source says, and at which second (now, if not given).
pub struct Told {
    /// The source's name.
    pub source: String,
    /// Dollars for a whole coin.
    pub dollars: String,
    /// Seconds since 1970.
    pub at: Option<i64>,
}

/// Records what a source says, if anything, and lists the coin's newest prices.
///
/// # Errors
/// When it is no price of a source that is configured, or the database cannot be used.
pub async fn price(config: PathBuf, asset: Asset, told: Option<Told>) -> Result<ExitCode, String> {
    let market = market(&config).await?;
    if let Some(told) = told {
        let at = told.at.map_or_else(|| SystemClock.now(), Timestamp::from_secs);
        let micro = dollars(&told.dollars)?;
        let reported = market.report_price(&told.source, asset, at, micro).await;
        reported.map_err(|e| e.to_string())?;
        println!("{} says {} dollars for {asset}", told.source, told.dollars);
    }
    let prices = market.prices(asset, LISTED).await.map_err(|e| e.to_string())?;
    if prices.is_empty() {
        println!(
            "no price of {asset} is recorded yet: with each closed epoch one is, of what sources have said"
        );
    }
    for p in prices {
        let (whole, part) = (p.usd_micro / 1_000_000, p.usd_micro % 1_000_000);
        println!("{}  {whole}.{part:06}  {}", date_text(p.instant), p.sources.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the operator does with machines of a lane.
pub enum Machines {
    /// Takes this rate away.
    Away(ActKind, Hashrate, String),
    /// Has what an earlier act took away work again.
    Back(u64),
}

/// Records it from the next epoch on, and lists what is on record.
///
/// # Errors
/// When it cannot be recorded, or the database cannot be used.
pub async fn machines(
    config: PathBuf,
    lane: LaneId,
    word: Option<Machines>,
) -> Result<ExitCode, String> {
    let market = market(&config).await?;
    let rule = market.lane(&lane).map_err(|e| e.to_string())?.epoch_rule;
    // The running epoch is not over: what is taken away now is missing in it already.
    let running: EpochNumber = rule.at(SystemClock.now());
    match word {
        Some(Machines::Away(what, rate, note)) => {
            let id = market.record_act(&lane, what, rate, (running, None), &note).await;
            let id = id.map_err(|e| e.to_string())?;
            println!("recorded as {id}: {} of {rate} from epoch {running} on", what.name());
        }
        Some(Machines::Back(id)) => {
            market.end_act(&lane, id, running.next()).await.map_err(|e| e.to_string())?;
            println!("{id} ends with epoch {running}");
        }
        None => {}
    }
    let acts = market.acts(&lane, LISTED).await.map_err(|e| e.to_string())?;
    if acts.is_empty() {
        println!("no machines of lane {lane} are on record as taken away");
    }
    for act in acts {
        let until = act.until.map_or_else(|| "open".to_owned(), |e| format!("until {e}"));
        println!(
            "{}  {}  {}  from {}  {until}  {}",
            act.id, act.what, act.hashrate, act.from, act.note
        );
    }
    for e in market.short_epochs(&lane, LISTED).await.map_err(|e| e.to_string())? {
        let caused = e
            .caused
            .map_or_else(|| "not judged yet".to_owned(), |h| format!("{h} by the operator"));
        println!("epoch {}: {} hashes missing, {caused}", e.epoch, e.missing);
    }
    Ok(ExitCode::SUCCESS)
}
