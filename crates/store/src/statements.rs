//! A room's statements, declared in one place.

/// Declares a room's SQL statements as constants, and `STATEMENTS`, the list of all of them with
/// their names, which a law hands to [`testing::prepare_all`](crate::testing::prepare_all).
///
/// ```
/// gruve_store::statements! {
///     /// One account's balance.
///     BALANCE = "SELECT minor FROM ledger_balances WHERE account = $1 AND asset = $2";
/// }
/// assert_eq!(STATEMENTS[0], ("BALANCE", BALANCE));
/// ```
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)*

        /// Every statement with its name.
        #[allow(dead_code)] // read by the test that prepares them all
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
