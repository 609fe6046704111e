//! `[funds]`: statements of what is owed and what is held.

use super::Span;
use serde::Deserialize;

/// `[funds]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FundsConfig {
    /// How often a statement is made of the house's own wallets; only on demand (`gruve admin reserves`) if not given.
    pub every: Option<Span>,
}
