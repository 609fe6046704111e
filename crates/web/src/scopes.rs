//! What a key for programs may reach: one place, by method and path.
//!
//! Everything that is read is `read`. What changes something is named here by where it stands; what is
//! not named takes a session, so that a new route is closed to keys until somebody decides.

use axum::http::Method;
use gruve_accounts::Scope;

/// Where something is changed, with the scope that it takes; the first that fits.
const WRITES: [(&str, &str, Scope); 14] = [
    ("/api/v1/payouts", "", Scope::Withdraw),
    // A price may be anything up to the whole balance, and goes to whoever offers the machine.
    ("/api/v1/machines/", "/accept", Scope::Withdraw),
    ("/api/v1/machines/", "/address", Scope::Withdraw),
    ("/api/v1/machines/", "/in-block", Scope::Withdraw),
    ("/api/v1/machines/", "/transfer", Scope::Withdraw),
    // What was paid for it does not come back.
    ("/api/v1/machines/", "/end", Scope::Withdraw),
    ("/api/v1/machines/", "", Scope::Machines),
    ("/api/v1/tickets/", "", Scope::Machines),
    ("/api/v1/quotes", "", Scope::Trade),
    ("/api/v1/contracts", "", Scope::Trade),
    ("/api/v1/metered", "", Scope::Trade),
    // At the price of a plan, to the operator.
    ("/api/v1/hosted-orders", "", Scope::Trade),
    ("/api/v1/top-ups", "", Scope::Trade),
    ("/api/v1/invoices", "", Scope::Trade),
];

/// What only a session reads: how the account itself is protected.
const SESSIONS_ONLY: [&str; 7] = [
    "/api/v1/sessions",
    "/api/v1/keys",
    "/api/v1/passkeys",
    "/api/v1/webhooks",
    "/api/v1/console",
    "/api/v1/account",
    "/api/v1/export",
];

/// The scope that a key needs for a call; `None` where no key will do.
pub(crate) fn scope_of(method: &Method, path: &str) -> Option<Scope> {
    if SESSIONS_ONLY.iter().any(|p| path.starts_with(p)) {
        return None;
    }
    if *method == Method::GET || *method == Method::HEAD {
        return Some(Scope::Read);
    }
    let fits =
        |(start, end, _): &&(&str, &str, Scope)| path.starts_with(start) && path.ends_with(end);
    WRITES.iter().find(fits).map(|(_, _, scope)| *scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_leaves_only_by_its_own_scope_and_the_account_is_closed_to_keys() {
        let post = |path| scope_of(&Method::POST, path);
        assert_eq!(post("/api/v1/payouts"), Some(Scope::Withdraw));
        assert_eq!(scope_of(&Method::DELETE, "/api/v1/payouts/x"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/accept"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/address"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/in-block"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/transfer"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/end"), Some(Scope::Withdraw));
        assert_eq!(post("/api/v1/machines/x/tickets"), Some(Scope::Machines));
        assert_eq!(post("/api/v1/contracts/x/cancel"), Some(Scope::Trade));
        assert_eq!(post("/api/v1/hosted-orders"), Some(Scope::Trade));
        assert_eq!(scope_of(&Method::GET, "/api/v1/payouts"), Some(Scope::Read));
        for path in ["/api/v1/keys", "/api/v1/sessions/current", "/api/v1/something-new"] {
            assert_eq!(post(path), None, "{path}");
        }
        assert_eq!(scope_of(&Method::GET, "/api/v1/keys"), None);
    }
}
