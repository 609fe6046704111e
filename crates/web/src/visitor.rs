//! Who looks at a page: name, form token, place.

use gruve_accounts::{LostFactor, Role};
use gruve_units::AccountId;
use std::sync::Arc;

/// What every page needs to know of the one who looks at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor {
    /// Whose house it is, as the operator calls it; nothing where it has no name of its own.
    pub(crate) house: Arc<str>,
    /// The account's name when signed in.
    pub(crate) name: Option<String>,
    /// The account when signed in.
    pub(crate) account: Option<AccountId>,
    /// What the account is to the house, if anything.
    pub(crate) role: Option<Role>,
    /// A second factor of the account that is said to be lost: every page tells it.
    pub(crate) lost_factor: Option<LostFactor>,
    /// What forms on the page must carry.
    pub(crate) csrf: String,
    /// The path asked for, to mark the place in the navigation.
    pub(crate) path: String,
    /// Where a change of language leads back to: the page with its query, or the front page where it
    /// cannot be asked for again.
    pub(crate) place: String,
    /// How many changes there were before anything was read for the page.
    pub(crate) changes: u64,
}

impl Visitor {
    /// With whom one deals here.
    pub(crate) fn house(&self) -> &str {
        if self.house.is_empty() { "Gruve" } else { &self.house }
    }
}
