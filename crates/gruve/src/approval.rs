//! `gruve admin payouts`: what waits for a person, and that person's word.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use gruve_treasury::{Approval, PayoutState};
use gruve_units::{PayoutId, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A person's word on one payout.
pub enum Word {
    /// Pay it.
    Approve(PayoutId),
    /// Give the amount back, and tell the customer why.
    Refuse(PayoutId, String),
}

/// Carries out the word, if there is one, and lists what waits.
///
/// # Errors
/// When the payout is not one that waits, or the database cannot be used.
pub async fn payouts(config: PathBuf, word: Option<Word>) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let treasury = parts.map_err(|e| e.to_string())?.treasury;
    match word {
        Some(Word::Approve(id)) => {
            // Whoever has the machine is one person.
            let approval = treasury.approve_payout(id, "the machine").await;
            match approval.map_err(|e| e.to_string())? {
                Approval::Given => println!("{id} is approved"),
                Approval::OneMore => {
                    println!("{id} is approved; another person must do so too, in the console");
                }
            }
        }
        Some(Word::Refuse(id, reason)) => {
            treasury.refuse_payout(id, &reason).await.map_err(|e| e.to_string())?;
            println!("{id} is refused; the amount is back in the customer's balance");
        }
        None => {}
    }
    let waiting = treasury.payouts_in_state(PayoutState::Requested).await;
    let waiting = waiting.map_err(|e| e.to_string())?;
    if waiting.is_empty() {
        println!("no payout waits for approval");
    }
    for payout in waiting {
        println!(
            "{}  {}  to {}  account {}",
            payout.id, payout.amount, payout.address, payout.account
        );
    }
    Ok(ExitCode::SUCCESS)
}
