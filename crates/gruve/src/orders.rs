//! `gruve admin orders`: what a signer elsewhere is asked for, what is on its way, and how it is withdrawn.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use gruve_units::{Clock as _, PayoutId, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What is to be done.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Order {
    /// Withdraw this transaction, which is ordered or signed and in no block: another that spends its coins is made,
    /// and its payouts come back to a person once that is final.
    #[arg(long, value_name = "ID")]
    withdraw: Option<PayoutId>,
}

/// Carries it out, and lists.
///
/// # Errors
/// When the transaction cannot be withdrawn, or the database not be used.
pub async fn orders(config: PathBuf, order: Order) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let treasury = parts.map_err(|e| e.to_string())?.treasury;
    if let Some(id) = order.withdraw {
        let by = treasury.withdraw(id).await.map_err(|e| e.to_string())?;
        println!("{id} is withdrawn by {by}, once a block has that");
    }
    let all = treasury.orders().await.map_err(|e| e.to_string())?;
    if all.is_empty() {
        println!("nothing was ordered of a signer elsewhere");
    }
    let now = SystemClock.now();
    for o in all {
        let what = match o.withdraws {
            Some(old) => format!("withdraws {old}"),
            None => format!("{} in {} payouts", o.pays, o.payouts),
        };
        let said = o.answer.map_or(String::new(), |a| format!("  the signer: {a}"));
        println!(
            "{}  form {}  {}  {} minutes ago  {what}  fee {}{said}",
            o.id,
            o.form,
            o.outcome.word(),
            now.since(o.ordered).as_secs() / 60,
            o.fee
        );
    }
    for asset in treasury.assets() {
        let open = treasury.open_transactions(asset).await.map_err(|e| e.to_string())?;
        for t in open.iter().filter(|t| t.needs_a_look()) {
            println!(
                "{}  {asset}  {} payouts: {} of its coins are gone from the chain; it confirms when they \
                 come back, or can be withdrawn",
                t.id, t.payouts, t.coins_missing
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
