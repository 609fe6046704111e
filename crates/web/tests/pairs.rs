//! Everything that the pages do, the API does: each form of the site stands here with the call that does the same,
//! or with the reason why there is none. A form that is added without its line fails here the day it is added.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::Method;
use gruve_web::{Access, RouteInfo, routes};
use house::House;
use std::collections::BTreeSet;

/// What stands beside a form.
enum Pair {
    /// The call that does the same.
    Call(&'static str, &'static str),
    /// Why there is none.
    None(&'static str),
}

use Pair::{Call, None as No};

/// Forms of everybody and of customers.
const FORMS: [(&str, Pair); 68] = [
    ("/sign-up", Call("POST", "/api/v1/accounts")),
    ("/sign-in", Call("POST", "/api/v1/sessions")),
    // The code is sent with name and password.
    ("/sign-in/code", Call("POST", "/api/v1/sessions")),
    ("/sign-in/lost", Call("POST", "/api/v1/letters/factor-lost")),
    ("/lost-factor", Call("POST", "/api/v1/letters/drop-factor")),
    ("/sign-in/passkey/options", Call("POST", "/api/v1/sessions/passkey/options")),
    ("/sign-in/passkey", Call("POST", "/api/v1/sessions/passkey")),
    ("/confirm", Call("POST", "/api/v1/letters/confirm")),
    ("/undo", Call("POST", "/api/v1/letters/undo")),
    ("/forgot", Call("POST", "/api/v1/letters/forgotten")),
    ("/reset", Call("POST", "/api/v1/letters/password")),
    ("/sign-out", Call("DELETE", "/api/v1/sessions/current")),
    ("/account/email", Call("POST", "/api/v1/account/email")),
    ("/account/addresses", Call("POST", "/api/v1/account/addresses")),
    ("/account/addresses/remove", Call("POST", "/api/v1/account/addresses/remove")),
    ("/account/addresses/only", Call("POST", "/api/v1/account/addresses/only")),
    ("/account/password", Call("POST", "/api/v1/account/password")),
    ("/account/totp", Call("POST", "/api/v1/account/totp")),
    ("/account/totp/confirm", Call("POST", "/api/v1/account/totp/confirm")),
    ("/account/totp/off", Call("POST", "/api/v1/account/totp/off")),
    ("/account/recovery", Call("POST", "/api/v1/account/recovery-codes")),
    ("/account/factor/keep", Call("POST", "/api/v1/account/factor/keep")),
    ("/account/passkeys", Call("POST", "/api/v1/passkeys")),
    ("/account/passkeys/options", Call("POST", "/api/v1/passkeys/options")),
    ("/account/passkeys/rename", Call("POST", "/api/v1/passkeys/{id}/name")),
    ("/account/passkeys/remove", Call("POST", "/api/v1/passkeys/{id}/remove")),
    ("/account/passkeys/proof/options", Call("POST", "/api/v1/passkeys/proof/options")),
    ("/account/passkeys/proof", Call("POST", "/api/v1/passkeys/proof")),
    ("/account/sessions/end", Call("DELETE", "/api/v1/sessions/{id}")),
    ("/account/sessions/end-others", Call("POST", "/api/v1/sessions/end-others")),
    ("/account/keys", Call("POST", "/api/v1/keys")),
    ("/account/keys/end", Call("DELETE", "/api/v1/keys/{id}")),
    ("/account/closing", Call("POST", "/api/v1/account/closing")),
    ("/account/closing/undo", Call("DELETE", "/api/v1/account/closing")),
    ("/account/webhooks", Call("POST", "/api/v1/webhooks")),
    ("/account/webhooks/{id}/test", Call("POST", "/api/v1/webhooks/{id}/test")),
    ("/account/webhooks/{id}/resend", Call("POST", "/api/v1/webhooks/{id}/resend")),
    ("/account/webhooks/{id}/secret", Call("POST", "/api/v1/webhooks/{id}/secret")),
    ("/account/webhooks/{id}/end", Call("POST", "/api/v1/webhooks/{id}/end")),
    ("/account/webhooks/{id}/begin", Call("POST", "/api/v1/webhooks/{id}/begin")),
    ("/account/webhooks/{id}/remove", Call("DELETE", "/api/v1/webhooks/{id}")),
    ("/buy", Call("POST", "/api/v1/quotes")),
    ("/contracts", Call("POST", "/api/v1/contracts")),
    ("/contracts/{id}/cancel", Call("POST", "/api/v1/contracts/{id}/cancel")),
    ("/contracts/{id}/choose", Call("POST", "/api/v1/contracts/{id}/choices")),
    ("/contracts/{id}/keep-running", Call("POST", "/api/v1/contracts/{id}/keep-running")),
    ("/contracts/{id}/renew", Call("POST", "/api/v1/contracts/{id}/renewals")),
    ("/contracts/{id}/wishes", Call("POST", "/api/v1/contracts/{id}/wishes")),
    ("/contracts/{id}/review", Call("POST", "/api/v1/contracts/{id}/review")),
    ("/metered", Call("POST", "/api/v1/metered")),
    ("/metered/{id}/end", Call("DELETE", "/api/v1/metered/{id}")),
    ("/invoices/{id}/balance", Call("POST", "/api/v1/invoices/{id}/balance")),
    ("/invoices/{id}/checkout", Call("POST", "/api/v1/invoices/{id}/checkouts")),
    ("/invoices/{id}/convert", Call("POST", "/api/v1/invoices/{id}/conversions")),
    ("/top-up", Call("POST", "/api/v1/top-ups")),
    ("/withdraw", No("it only shows what a payout costs: GET /api/v1/payouts/fee says so")),
    ("/payouts", Call("POST", "/api/v1/payouts")),
    ("/payouts/{id}/cancel", Call("DELETE", "/api/v1/payouts/{id}")),
    ("/hosted/{name}", Call("POST", "/api/v1/hosted-orders")),
    ("/machines/{id}/accept", Call("POST", "/api/v1/machines/{id}/accept")),
    ("/machines/{id}/refuse", Call("DELETE", "/api/v1/machines/{id}")),
    ("/machines/{id}/address", Call("POST", "/api/v1/machines/{id}/address")),
    ("/machines/{id}/in-block", Call("POST", "/api/v1/machines/{id}/in-block")),
    ("/machines/{id}/transfer", Call("POST", "/api/v1/machines/{id}/transfer")),
    ("/machines/{id}/end", Call("POST", "/api/v1/machines/{id}/end")),
    ("/machines/{id}/tickets", Call("POST", "/api/v1/machines/{id}/tickets")),
    ("/tickets/{id}/notes", Call("POST", "/api/v1/tickets/{id}/notes")),
    ("/tickets/{id}/close", Call("POST", "/api/v1/tickets/{id}/close")),
];

/// Forms of the operator's people.
const STAFF_FORMS: [(&str, Pair); 29] = [
    ("/console/sites/token", Call("POST", "/api/v1/console/sites/{name}/token")),
    ("/console/sites/power", Call("POST", "/api/v1/console/sites/{name}/power")),
    ("/console/machines", Call("POST", "/api/v1/console/machines")),
    ("/console/machines/state", Call("POST", "/api/v1/console/machines/{name}/state")),
    ("/console/acts", Call("POST", "/api/v1/console/acts")),
    ("/console/acts/back", Call("POST", "/api/v1/console/acts/back")),
    ("/console/hosting", Call("POST", "/api/v1/console/hosting")),
    ("/console/hosting/{id}/withdraw", Call("DELETE", "/api/v1/console/hosting/{id}")),
    ("/console/hosting/{id}/end", Call("POST", "/api/v1/console/hosting/{id}/end")),
    ("/console/tickets", Call("POST", "/api/v1/console/tickets")),
    ("/console/tickets/{id}/notes", Call("POST", "/api/v1/console/tickets/{id}/notes")),
    ("/console/tickets/{id}/close", Call("POST", "/api/v1/console/tickets/{id}/close")),
    ("/console/customers/{id}/sign-out", Call("POST", "/api/v1/console/customers/{id}/sign-out")),
    (
        "/console/customers/{id}/keep-factor",
        Call("POST", "/api/v1/console/customers/{id}/keep-factor"),
    ),
    ("/console/pay-ins/{id}", Call("POST", "/api/v1/console/pay-ins/{id}")),
    ("/console/payments/{id}/refund", Call("POST", "/api/v1/console/payments/{id}/refund")),
    ("/console/payouts/{id}/approve", Call("POST", "/api/v1/console/payouts/{id}/approve")),
    ("/console/payouts/{id}/refuse", Call("POST", "/api/v1/console/payouts/{id}/refuse")),
    ("/console/prices", Call("POST", "/api/v1/console/prices")),
    ("/console/reserves", Call("POST", "/api/v1/console/reserves")),
    ("/console/plans", Call("POST", "/api/v1/console/plans")),
    ("/console/plans/{name}/withdraw", Call("DELETE", "/api/v1/console/plans/{name}")),
    ("/console/plans/{name}/as-filed", Call("POST", "/api/v1/console/plans/{name}/as-filed")),
    ("/console/staff", Call("POST", "/api/v1/console/staff")),
    ("/console/alerts/{id}/seen", Call("POST", "/api/v1/console/alerts/{id}/seen")),
    ("/console/bulletins", Call("POST", "/api/v1/console/bulletins")),
    ("/console/bulletins/{id}/end", Call("POST", "/api/v1/console/bulletins/{id}/end")),
    ("/console/reviews/{id}/answer", Call("POST", "/api/v1/console/reviews/{id}/answer")),
    ("/console/reviews/{id}/hide", Call("POST", "/api/v1/console/reviews/{id}/hide")),
];

fn pairs() -> impl Iterator<Item = &'static (&'static str, Pair)> {
    FORMS.iter().chain(STAFF_FORMS.iter())
}

/// Who makes a call must be whom the form is for: the same permission for staff.
fn same_people(form: Access, call: Access) -> bool {
    match (form, call) {
        (Access::PublicForm, Access::Public) | (Access::CustomerForm, Access::Bearer) => true,
        (Access::StaffForm(of_form), Access::StaffBearer(of_call)) => of_form == of_call,
        _ => false,
    }
}

#[tokio::test]
async fn every_form_has_its_call_for_the_same_people_or_a_reason_why_there_is_none() {
    let house = House::new().await;
    let all = routes(&house.state);
    let find = |method: &str, path: &str| -> Option<&RouteInfo> {
        all.iter().find(|r| r.method.as_str() == method && r.path == path)
    };
    let forms: BTreeSet<&str> = all
        .iter()
        .filter(|r| r.method != Method::GET && !r.path.starts_with("/api/"))
        .map(|r| r.path)
        .collect();
    let paired: BTreeSet<&str> = pairs().map(|(form, _)| *form).collect();
    assert_eq!(pairs().count(), paired.len(), "a form stands here twice");
    let missing: Vec<_> = forms.difference(&paired).collect();
    assert!(missing.is_empty(), "no call, and no reason why: {missing:?}");
    let gone: Vec<_> = paired.difference(&forms).collect();
    assert!(gone.is_empty(), "there is no such form: {gone:?}");
    for (form, pair) in pairs() {
        match pair {
            Call(method, path) => {
                let call = find(method, path);
                let call = call.unwrap_or_else(|| panic!("{form}: there is no {method} {path}"));
                let of_form = find("POST", form).unwrap().access;
                assert!(
                    same_people(of_form, call.access),
                    "{form}: {of_form:?}, {:?}",
                    call.access
                );
            }
            No(reason) => assert!(reason.len() > 20, "{form}: {reason}"),
        }
    }
}

/// What has no call is told to whoever writes programs.
#[test]
fn what_only_the_pages_do_is_documented() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for (form, pair) in pairs() {
        match pair {
            Call(_, path) => assert!(docs.contains(path), "docs/api.md does not tell of {path}"),
            No(_) => assert!(docs.contains(&format!("`{form}`")), "docs/api.md: {form}"),
        }
    }
}
