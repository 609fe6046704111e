//! Everything that the pages show, the API tells: each page stands here with the calls that give its figures, or with the
//! reason why there are none. A page that is added without its line fails here the day it is added. The forms:
//! `pairs.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::Method;
use gruve_accounts::Role;
use gruve_web::{Access, routes};
use house::House;
use std::collections::BTreeSet;

/// What stands beside a page.
enum Told {
    /// The calls that give what it shows, after `/api/v1`.
    By(&'static [&'static str]),
    /// Why there are none.
    No(&'static str),
}

use Told::{By, No};

/// A form that asks for what its call takes, and shows nothing of its own.
const FORM: Told = No("only a form: its call stands in the table of forms");

/// Pages of everybody and of customers.
const PAGES: &[(&str, Told)] = &[
    ("/", By(&["/lanes", "/blocks", "/plans", "/status"])),
    ("/plans", By(&["/plans", "/plans/{name}/record", "/estimates"])),
    ("/plans/{name}/record", By(&["/plans/{name}/record", "/plans/{name}/reviews"])),
    (
        "/lanes/{lane}",
        By(&["/lanes", "/blocks", "/epochs", "/short-epochs", "/acts", "/fpps", "/energy"]),
    ),
    ("/books", By(&["/reconciliation", "/funds", "/prices", "/price-sources"])),
    ("/status", By(&["/status"])),
    ("/hosted", By(&["/hosted-plans", "/plans/{name}/record"])),
    ("/appraise", No("it shows what is typed into it: POST /appraisals computes the same")),
    ("/proof", No("the record itself is files under /record, made to be read by programs")),
    ("/proof/receipt", No("a script that checks receipts in the browser, of files under /record")),
    ("/proof/{lane}/{epoch}", No("an epoch's files under /record, made to be read by programs")),
    (
        "/record/{*path}",
        No("the record's files themselves, in the format of docs/record-format.md"),
    ),
    ("/docs", No("the manual, which stands in the repository")),
    ("/docs/{name}", No("the manual, which stands in the repository")),
    ("/language/{code}", No("it sets a cookie of the browser's: programs are answered in English")),
    ("/sign-up", FORM),
    ("/sign-in", FORM),
    ("/lost-factor", FORM),
    ("/confirm", FORM),
    ("/undo", FORM),
    ("/forgot", FORM),
    ("/reset", FORM),
    (
        "/account",
        By(&[
            "/overview",
            "/balances",
            "/contracts",
            "/metered",
            "/machines",
            "/payouts",
            "/notices",
        ]),
    ),
    ("/account/contracts", By(&["/contracts", "/metered"])),
    ("/account/addresses", By(&["/account/addresses"])),
    ("/account/security", By(&["/account", "/sessions", "/keys", "/passkeys", "/webhooks"])),
    ("/account/passkeys", By(&["/passkeys"])),
    ("/account/data", By(&["/account/closing", "/account/log"])),
    ("/account/data/export.json", By(&["/export"])),
    ("/account/webhooks", By(&["/webhooks"])),
    ("/account/webhooks/{id}", By(&["/webhooks/{id}", "/webhooks/{id}/deliveries"])),
    ("/statement", By(&["/account/entries", "/balances"])),
    ("/buy", By(&["/plans", "/lanes", "/estimates"])),
    (
        "/contracts/{id}",
        By(&[
            "/contracts/{id}",
            "/contracts/{id}/epochs",
            "/contracts/{id}/settlements",
            "/contracts/{id}/life",
            "/contracts/{id}/energy",
            "/contracts/{id}/receipts",
        ]),
    ),
    ("/contracts/{id}/terms.json", By(&["/contracts/{id}/terms"])),
    ("/contracts/{id}/statement", By(&["/contracts/{id}/statement", "/contracts/{id}/energy"])),
    ("/contracts/{id}/statement.json", By(&["/contracts/{id}/statement"])),
    ("/contracts/{id}/statement.csv", By(&["/contracts/{id}/statement"])),
    ("/contracts/{id}/receipts.bin", By(&["/contracts/{id}/receipts"])),
    ("/contracts/{id}/receipts.jsonl", By(&["/contracts/{id}/receipts"])),
    ("/contracts/{id}/review", By(&["/plans/{name}/reviews"])),
    ("/metered", By(&["/plans", "/lanes", "/balances"])),
    (
        "/metered/{id}",
        By(&[
            "/metered/{id}",
            "/metered/{id}/usage",
            "/metered/{id}/energy",
            "/metered/{id}/terms",
        ]),
    ),
    ("/hosted/{name}", By(&["/hosted-plans", "/balances"])),
    ("/invoices/{id}", By(&["/invoices/{id}", "/payments"])),
    ("/top-up", By(&["/lanes", "/balances"])),
    ("/withdraw", By(&["/balances", "/payouts/limits", "/payouts/fee", "/account/addresses"])),
    ("/payouts", By(&["/payouts"])),
    ("/payouts/{id}", By(&["/payouts/{id}"])),
    ("/machines", By(&["/machines", "/overview"])),
    (
        "/machines/{id}",
        By(&[
            "/machines/{id}",
            "/machines/{id}/settlements",
            "/machines/{id}/bills",
            "/machines/{id}/in-block",
            "/machines/{id}/in-block/payments",
            "/machines/{id}/tickets",
        ]),
    ),
    ("/machines/{id}/certificate", By(&["/machines/{id}/certificate"])),
    ("/machines/{id}/terms.json", By(&["/machines/{id}/signed-terms"])),
    ("/machines/{id}/statement.json", By(&["/machines/{id}/statement"])),
    ("/tickets/{id}", By(&["/tickets/{id}"])),
    ("/events", By(&["/events"])),
    ("/assets/{name}", No("style, scripts and pictures of the pages")),
    ("/robots.txt", No("a word to search engines about the pages")),
    ("/metrics", No("it is for programs already: the exposition that Prometheus reads")),
    ("/healthz", No("it is for programs already: a word to what watches the process")),
    ("/healthz/lanes", No("it is for programs already: a word to what watches the lanes")),
    ("/readyz", No("it is for programs already: a word to what sends traffic")),
];

/// Pages of staff.
const CONSOLE: &[(&str, Told)] = &[
    ("/console", By(&["/console/overview", "/lanes"])),
    ("/console/blocks", By(&["/blocks", "/console/luck"])),
    ("/console/map", By(&["/console/map"])),
    ("/console/sites", By(&["/console/sites", "/energy"])),
    ("/console/machines", By(&["/console/machines"])),
    ("/console/machines/{name}", By(&["/console/machines/{name}"])),
    ("/console/withholding", By(&["/console/withholding"])),
    ("/console/hosting", By(&["/console/hosting"])),
    ("/console/hosting/{id}", By(&["/console/hosting/{id}", "/console/hosting/{id}/bills"])),
    ("/console/tickets", By(&["/console/tickets"])),
    ("/console/tickets/{id}", By(&["/console/tickets/{id}"])),
    ("/console/alerts", By(&["/console/alerts", "/console/alerts/all"])),
    ("/console/customers", By(&["/console/customers", "/console/lost-factors"])),
    (
        "/console/customers/{id}",
        By(&[
            "/console/customers/{id}",
            "/console/customers/{id}/contracts",
            "/console/customers/{id}/invoices",
            "/console/customers/{id}/payments",
            "/console/customers/{id}/payouts",
            "/console/customers/{id}/log",
        ]),
    ),
    ("/console/contracts", By(&["/console/contracts"])),
    ("/console/invoices", By(&["/console/invoices"])),
    ("/console/pay-ins", By(&["/console/pay-ins", "/console/clearing"])),
    ("/console/payouts", By(&["/console/payouts", "/console/payout-locks"])),
    ("/console/money", By(&["/prices", "/price-sources", "/console/reserves", "/reconciliation"])),
    ("/console/plans", By(&["/console/plans", "/console/losing-plans"])),
    ("/console/plans/{name}", By(&["/console/plans"])),
    ("/console/journal", By(&["/console/journal"])),
    ("/console/log", By(&["/console/log", "/console/log/ends"])),
    ("/console/staff", By(&["/console/staff", "/console/roles"])),
];

/// Whether whoever may open the page may make the call.
fn is_open_to(page: Access, call: Access) -> bool {
    match (page, call) {
        // Staff is signed in to an account, too.
        (_, Access::Public) | (Access::Customer | Access::Staff(_), Access::Bearer) => true,
        (Access::Staff(of_page), Access::StaffBearer(of_call)) => {
            Role::ALL.iter().all(|role| !role.may(of_page) || role.may(of_call))
        }
        _ => false,
    }
}

#[tokio::test]
async fn every_page_has_calls_for_the_same_people_that_give_its_figures_or_a_reason_why_none_do() {
    let house = House::new().await;
    let all = routes(&house.state);
    let find = |path: &str| all.iter().find(|r| r.method == Method::GET && r.path == path);
    let pages: BTreeSet<&str> = all
        .iter()
        .filter(|r| r.method == Method::GET && !r.path.starts_with("/api/"))
        .map(|r| r.path)
        .collect();
    let table = || PAGES.iter().chain(CONSOLE);
    let paired: BTreeSet<&str> = table().map(|(page, _)| *page).collect();
    assert_eq!(table().count(), paired.len(), "a page stands here twice");
    let missing: Vec<_> = pages.difference(&paired).collect();
    assert!(missing.is_empty(), "no call, and no reason why: {missing:?}");
    let gone: Vec<_> = paired.difference(&pages).collect();
    assert!(gone.is_empty(), "there is no such page: {gone:?}");
    for (page, told) in table() {
        let of_page = find(page).unwrap().access;
        match told {
            By(calls) => {
                assert!(!calls.is_empty(), "{page}");
                for path in *calls {
                    let call = find(&format!("/api/v1{path}"));
                    let call = call.unwrap_or_else(|| panic!("{page}: there is no {path}"));
                    // The stream of everybody's changes has its sister for customers.
                    let fits = is_open_to(of_page, call.access) || *page == "/events";
                    assert!(fits, "{page}, {path}: {of_page:?}, {:?}", call.access);
                }
            }
            No(reason) => assert!(reason.len() > 20, "{page}: {reason}"),
        }
    }
}

/// A call of the API that no page shows anything of is a call that no page was made from: most of what customers and
/// staff may read stands in the table.
#[tokio::test]
async fn what_may_be_read_stands_beside_some_page() {
    /// Beside no page, because pages show it within something else or do not need it.
    const ALONE: [&str; 13] = [
        "/openapi.json",
        "/site/telemetry",
        "/invoices",
        "/contracts/{id}/owed",
        "/contracts/{id}/decisions",
        "/contracts/{id}/losses",
        "/contracts/{id}/dues",
        "/metered/{id}/statement",
        "/machines/{id}/terms",
        "/funds/proof",
        "/console/payouts/{id}",
        "/console/bulletins",
        "/console/plans/{name}/reviews",
    ];
    let house = House::new().await;
    let told: BTreeSet<&str> = PAGES
        .iter()
        .chain(CONSOLE)
        .flat_map(|(_, told)| match told {
            By(calls) => *calls,
            No(_) => &[],
        })
        .copied()
        .collect();
    let all = routes(&house.state);
    let reads = all.iter().filter(|r| r.method == Method::GET);
    let reads: BTreeSet<&str> = reads.filter_map(|r| r.path.strip_prefix("/api/v1")).collect();
    let left: Vec<_> = reads.iter().filter(|p| !told.contains(**p) && !ALONE.contains(p)).collect();
    assert!(left.is_empty(), "beside no page: {left:?}");
    let gone: Vec<_> =
        ALONE.iter().filter(|p| !reads.contains(**p) || told.contains(**p)).collect();
    assert!(gone.is_empty(), "beside a page, or gone: {gone:?}");
}
