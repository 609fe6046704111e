//! `[[bank]]`: bank accounts that customers may transfer money to.

use super::{Fault, Span};
use gruve_treasury::BankAccount;
use gruve_units::{Asset, Duration};
use serde::Deserialize;
use std::path::PathBuf;

/// `[[bank]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankConfig {
    /// The account's currency.
    pub asset: Asset,
    /// Its number.
    pub iban: String,
    /// Whose it is, as the bank has it.
    pub holder: String,
    /// The bank's code, where payers need it.
    #[serde(default)]
    pub bic: Option<String>,
    /// Folder in which the bank's statements are laid; they are only read.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// How long an invoice that fills the balance stays open.
    #[serde(default = "default_open_for")]
    pub open_for: Span,
    /// Whether it is used.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
}

fn default_open_for() -> Span {
    Span(Duration::from_secs(14 * 86_400))
}

const fn default_enabled() -> bool {
    true
}

impl BankConfig {
    /// The account as the treasury knows it.
    #[must_use]
    pub fn account(&self) -> BankAccount {
        BankAccount {
            asset: self.asset,
            iban: self.iban.clone(),
            holder: self.holder.clone(),
            bic: self.bic.clone(),
            open_for: self.open_for.0,
        }
    }
}

/// What is wrong with them.
pub(super) fn faults(banks: &[BankConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, bank) in banks.iter().enumerate() {
        if let Err((key, what)) = bank.account().check() {
            faults.push(Fault { place: format!("bank[{at}].{key}"), what });
        }
        if banks.iter().take(at).any(|b| b.asset == bank.asset) {
            let what = format!("there is an account for {} already", bank.asset);
            faults.push(Fault { place: format!("bank[{at}].asset"), what });
        }
    }
    faults
}
