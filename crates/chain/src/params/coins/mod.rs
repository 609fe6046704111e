//! The table's entries, one file a coin; [`super::TABLE`] lists them. `docs/adding-a-coin.md` says how
//! to write one.

pub(super) mod bitcoin;
pub(super) mod dogecoin;
pub(super) mod ethereum_classic;
pub(super) mod litecoin;
