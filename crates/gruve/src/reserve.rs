//! `gruve admin fpps`: what stands between FPPS promises and bad luck, and putting coins into it.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use gruve_ledger::Posted;
use gruve_market::{FppsStatus, MarketError, ReserveFrom};
use gruve_store::transact;
use gruve_units::{Amount, Asset, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Coins that the operator moves.
#[derive(Clone, Debug, clap::Args)]
pub struct Move {
    /// Whole coins to put into the reserve, as `0.5`.
    #[arg(long, value_name = "COINS", requires = "asset", requires = "reason")]
    put: Option<String>,
    /// Whole coins to take out of it.
    #[arg(
        long,
        value_name = "COINS",
        requires = "asset",
        requires = "reason",
        conflicts_with = "put"
    )]
    take: Option<String>,
    /// Of which asset.
    #[arg(long)]
    asset: Option<Asset>,
    /// A name for it, used once for ever: 1 to 64 of a-z, 0-9 and -. The same again does nothing.
    #[arg(long)]
    reason: Option<String>,
    /// From and to the operator's own capital instead of what it has earned.
    #[arg(long)]
    capital: bool,
}

impl Move {
    fn amount(&self) -> Result<Option<Amount>, String> {
        let (Some(text), Some(asset)) = (self.put.as_ref().or(self.take.as_ref()), self.asset)
        else {
            return Ok(None);
        };
        let amount = Amount::parse_decimal(asset, text).map_err(|e| e.to_string())?;
        if amount.minor <= 0 {
            return Err("write an amount above zero".to_owned());
        }
        let out = || amount.checked_neg().map_err(|e| e.to_string());
        Ok(Some(if self.take.is_some() { out()? } else { amount }))
    }
}

/// Moves coins, if asked to, and shows every reserve. Works beside a running house.
///
/// # Errors
/// When the coins are not there, or the database cannot be used.
pub async fn reserve(config: PathBuf, order: Move) -> Result<ExitCode, String> {
    let amount = order.amount()?;
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let market = &parts.market;
    if let (Some(amount), Some(reason)) = (amount, &order.reason) {
        let from = if order.capital { ReserveFrom::Capital } else { ReserveFrom::Revenue };
        let moved = transact!(parts.store, tx -> Result<Posted, MarketError> => {
            market.fpps_capital(tx, reason, amount, from).await
        });
        match moved.map_err(|e| e.to_string())? {
            Posted::New => println!("{amount} moved"),
            Posted::Already => println!("{reason} had been done before; nothing was moved"),
        }
    }
    let mut tx = parts.store.read().await.map_err(|e| e.to_string())?;
    for lane in &config.lanes {
        let all = market.fpps_status(&mut tx, &lane.id).await.map_err(|e| e.to_string())?;
        all.iter().for_each(show);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(s: &FppsStatus) {
    println!(
        "{} on lane {}: reserve {}, maturing {}, owed {}",
        s.reserve.asset, s.lane, s.reserve, s.maturing, s.owed
    );
    println!("  cover: {} minor units; epochs without a price yet: {}", s.cover, s.open_epochs);
    for p in &s.plans {
        let floor = p.floor_minor.map_or_else(|| "not known yet".to_owned(), |f| f.to_string());
        let sold = if p.is_sold { "on sale" } else { "not sold" };
        println!(
            "  plan {}: floor {floor} minor units (θ = {:.6}, ruin at most {} in a million), {sold}",
            p.plan, p.theta, p.ruin_ppm
        );
    }
}
