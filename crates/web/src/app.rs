//! The list of routes: every address of the house, and who may use it.

use crate::api::{self, receipts as api_receipts};
use crate::failure::Failure;
use crate::gate;
use crate::live;
use crate::ops;
use crate::pages::{
    account, book, books, buy, console, contract, home, in_block, invoice, lane, language, letters,
    life, lost, machines, metered, papers, passkeys, payouts, plans, proof, renewal, security,
    session, statement, tickets, top_up, withdraw,
};
use crate::record;
use crate::routes::{Access, RouteInfo, Routes, Told};
use crate::state::AppState;
use axum::Router;
use axum::middleware::from_fn_with_state;

/// The whole site.
pub fn router(state: AppState) -> Router {
    let (routes, _) = declare(Some(state.clone())).finish();
    routes
        .fallback(|| async { Failure::not_found("page") })
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(from_fn_with_state(state.clone(), gate::visitor))
        .layer(from_fn_with_state(state.clone(), gate::finish))
        .with_state(state)
}

/// The operator's own metrics, and nothing else; with the bearer token that is asked for, if any.
pub(crate) fn metrics_router(state: AppState, token: Option<String>) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(ops::operator_metrics))
        .fallback(|| async { Failure::not_found("page") })
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(from_fn_with_state(state.clone(), gate::finish))
        .with_state((state, token))
}

/// Every route of [`router`], for tests that must miss none.
#[must_use]
pub fn routes(state: &AppState) -> Vec<RouteInfo> {
    declare(Some(state.clone())).finish().1
}

/// What every call of the API says of itself.
pub(crate) fn told() -> Vec<Told> {
    declare(None).told()
}

fn declare(state: Option<AppState>) -> Routes {
    use Access::{Customer, CustomerForm, Public, PublicForm};
    let routes = Routes::new(state)
        // Pages for everybody.
        .get("/", Public, home::home)
        .get("/plans", Public, plans::plans)
        .get("/lanes/{lane}", Public, lane::lane)
        .get("/books", Public, books::books)
        .get("/proof", Public, proof::overview)
        .get("/proof/receipt", Public, proof::receipt)
        .get("/proof/{lane}/{epoch}", Public, proof::epoch)
        .get("/language/{code}", Public, language::choose)
        .get("/sign-up", Public, session::sign_up_form)
        .post("/sign-up", PublicForm, session::sign_up)
        .get("/sign-in", Public, session::sign_in_form)
        .post("/sign-in", PublicForm, session::sign_in)
        .post("/sign-in/code", PublicForm, session::sign_in_code)
        .post("/sign-in/lost", PublicForm, lost::ask)
        .get("/lost-factor", Public, lost::begin_form)
        .post("/lost-factor", PublicForm, lost::begin)
        .post("/sign-in/passkey/options", PublicForm, passkeys::sign_in_options)
        .post("/sign-in/passkey", PublicForm, passkeys::sign_in)
        .get("/confirm", Public, letters::confirm_form)
        .post("/confirm", PublicForm, letters::confirm)
        .get("/undo", Public, letters::undo_form)
        .post("/undo", PublicForm, letters::undo)
        .get("/forgot", Public, letters::forgot_form)
        .post("/forgot", PublicForm, letters::forgot)
        .get("/reset", Public, letters::reset_form)
        .post("/reset", PublicForm, letters::reset)
        // Pages for customers.
        .post("/sign-out", CustomerForm, session::sign_out)
        .get("/account", Customer, account::overview)
        .get("/account/contracts", Customer, account::contracts)
        .post("/account/email", CustomerForm, letters::change_email)
        .get("/account/addresses", Customer, book::book)
        .post("/account/addresses", CustomerForm, book::add)
        .post("/account/addresses/remove", CustomerForm, book::remove)
        .post("/account/addresses/only", CustomerForm, book::set_only)
        .get("/account/security", Customer, security::security)
        .post("/account/password", CustomerForm, security::change_password)
        .post("/account/totp", CustomerForm, security::begin_totp)
        .post("/account/totp/confirm", CustomerForm, security::confirm_totp)
        .post("/account/totp/off", CustomerForm, security::end_totp)
        .post("/account/recovery", CustomerForm, security::new_recovery)
        .post("/account/factor/keep", CustomerForm, lost::keep)
        .get("/account/passkeys", Customer, passkeys::passkeys)
        .post("/account/passkeys", CustomerForm, passkeys::add)
        .post("/account/passkeys/options", CustomerForm, passkeys::add_options)
        .post("/account/passkeys/rename", CustomerForm, passkeys::rename)
        .post("/account/passkeys/remove", CustomerForm, passkeys::remove)
        .post("/account/passkeys/proof/options", CustomerForm, passkeys::proof_options)
        .post("/account/passkeys/proof", CustomerForm, passkeys::prove)
        .post("/account/sessions/end", CustomerForm, security::end_session)
        .post("/account/sessions/end-others", CustomerForm, security::end_other_sessions)
        .post("/account/keys", CustomerForm, security::make_key)
        .post("/account/keys/end", CustomerForm, security::end_key)
        .get("/statement", Customer, statement::statement)
        .get("/buy", Customer, buy::choose)
        .post("/buy", CustomerForm, buy::quote)
        .post("/contracts", CustomerForm, buy::buy)
        .get("/contracts/{id}", Customer, contract::contract)
        .get("/metered", Customer, metered::choose)
        .post("/metered", CustomerForm, metered::start)
        .get("/metered/{id}", Customer, metered::show)
        .post("/metered/{id}/end", CustomerForm, metered::end)
        .get("/contracts/{id}/terms.json", Customer, papers::terms)
        .get("/contracts/{id}/statement", Customer, papers::statement)
        .get("/contracts/{id}/statement.json", Customer, papers::statement_json)
        .get("/contracts/{id}/statement.csv", Customer, papers::statement_csv)
        .get("/contracts/{id}/receipts.bin", Customer, api_receipts::series)
        .get("/contracts/{id}/receipts.jsonl", Customer, api_receipts::file)
        .post("/contracts/{id}/cancel", CustomerForm, life::cancel)
        .post("/contracts/{id}/choose", CustomerForm, life::choose)
        .post("/contracts/{id}/keep-running", CustomerForm, life::keep_running)
        .post("/contracts/{id}/renew", CustomerForm, renewal::renew)
        .post("/contracts/{id}/wishes", CustomerForm, renewal::wish)
        .get("/invoices/{id}", Customer, invoice::invoice)
        .post("/invoices/{id}/balance", CustomerForm, invoice::pay_from_balance)
        .post("/invoices/{id}/checkout", CustomerForm, invoice::checkout)
        .post("/invoices/{id}/convert", CustomerForm, invoice::convert)
        .get("/top-up", Customer, top_up::ask)
        .post("/top-up", CustomerForm, top_up::make)
        .get("/withdraw", Customer, withdraw::ask)
        .post("/withdraw", CustomerForm, withdraw::review)
        .get("/payouts", Customer, payouts::payouts)
        .post("/payouts", CustomerForm, withdraw::confirm)
        .get("/payouts/{id}", Customer, payouts::payout)
        .post("/payouts/{id}/cancel", CustomerForm, payouts::cancel)
        .get("/machines", Customer, machines::machines)
        .get("/machines/{id}", Customer, machines::machine)
        .get("/machines/{id}/certificate", Customer, machines::certificate)
        .post("/machines/{id}/accept", CustomerForm, machines::accept)
        .post("/machines/{id}/refuse", CustomerForm, machines::refuse)
        .post("/machines/{id}/address", CustomerForm, machines::address)
        .post("/machines/{id}/in-block", CustomerForm, in_block::wish)
        .post("/machines/{id}/transfer", CustomerForm, machines::transfer)
        .post("/machines/{id}/end", CustomerForm, machines::end)
        .post("/machines/{id}/tickets", CustomerForm, tickets::open_ticket)
        .get("/tickets/{id}", Customer, tickets::ticket)
        .post("/tickets/{id}/notes", CustomerForm, tickets::say)
        .post("/tickets/{id}/close", CustomerForm, tickets::close)
        // For browsers and machines.
        .get("/events", Public, live::events)
        .get("/assets/{name}", Public, ops::asset)
        .get("/record/{*path}", Public, record::file)
        .get("/robots.txt", Public, ops::robots)
        .get("/metrics", Public, ops::metrics)
        .get("/healthz", Public, ops::healthz)
        .get("/healthz/lanes", Public, ops::lane_health)
        .get("/readyz", Public, ops::readyz);
    let routes = crate::pages::leaving::routes(routes);
    let routes = crate::api::leaving::routes(routes);
    let routes = crate::api::webhooks::routes(crate::pages::webhooks::routes(routes));
    let routes = crate::pages::status::routes(routes);
    let routes = crate::pages::track::routes(routes);
    let routes = crate::pages::manual::routes(routes);
    let routes = crate::pages::hosted::routes(routes);
    let routes = crate::pages::appraise::routes(routes);
    let routes = crate::pages::estimate::routes(routes);
    let routes = crate::pages::console::alerts::routes(routes);
    let routes = crate::pages::console::map::routes(routes);
    api::list::declare(console_routes(routes))
}

/// The operator's pages, each with the permission that it needs.
fn console_routes(routes: Routes) -> Routes {
    use Access::{Staff, StaffForm};
    use console::{
        blocks, customers, farm, hosting, machine, money, overview, payins, plans, staff, tickets,
        withholding,
    };
    use gruve_accounts::Permission::{
        AnswerTickets, DecidePayouts, EndSessions, GiveRoles, MoveReserves, PlacePayIns,
        RunHosting, RunMachines, RunSites, SeeBooks, SeeCustomers, SeeFarm, SeeLog, SeeStaff,
        SetPlans, TellPrices,
    };
    routes
        .get("/console", Staff(SeeFarm), overview::overview)
        .get("/console/blocks", Staff(SeeFarm), blocks::blocks)
        .get("/console/sites", Staff(SeeFarm), farm::sites)
        .post("/console/sites/token", StaffForm(RunSites), farm::new_token)
        .post("/console/sites/power", StaffForm(RunSites), farm::state_power)
        .get("/console/machines", Staff(SeeFarm), farm::machines)
        .get("/console/machines/{name}", Staff(SeeFarm), machine::machine)
        .post("/console/machines", StaffForm(RunMachines), farm::add)
        .post("/console/machines/state", StaffForm(RunMachines), farm::set_state)
        .get("/console/withholding", Staff(SeeFarm), withholding::page)
        .post("/console/acts", StaffForm(RunMachines), farm::away)
        .post("/console/acts/back", StaffForm(RunMachines), farm::back)
        .get("/console/hosting", Staff(SeeFarm), hosting::hosting)
        .get("/console/hosting/{id}", Staff(SeeFarm), machine::contract)
        .post("/console/hosting", StaffForm(RunHosting), hosting::offer)
        .post("/console/hosting/{id}/withdraw", StaffForm(RunHosting), hosting::withdraw)
        .post("/console/hosting/{id}/end", StaffForm(RunHosting), hosting::end)
        .get("/console/tickets", Staff(SeeFarm), tickets::tickets)
        .post("/console/tickets", StaffForm(AnswerTickets), tickets::open)
        .get("/console/tickets/{id}", Staff(SeeFarm), tickets::ticket)
        .post("/console/tickets/{id}/notes", StaffForm(AnswerTickets), tickets::say)
        .post("/console/tickets/{id}/close", StaffForm(AnswerTickets), tickets::close)
        .get("/console/customers", Staff(SeeCustomers), customers::customers)
        .get("/console/customers/{id}", Staff(SeeCustomers), customers::customer)
        .post("/console/customers/{id}/sign-out", StaffForm(EndSessions), customers::sign_out)
        .post("/console/customers/{id}/keep-factor", StaffForm(EndSessions), customers::keep_factor)
        .get("/console/contracts", Staff(SeeCustomers), customers::contracts)
        .get("/console/invoices", Staff(SeeCustomers), customers::invoices)
        .get("/console/pay-ins", Staff(SeeBooks), payins::pay_ins)
        .post("/console/pay-ins/{id}", StaffForm(PlacePayIns), payins::decide)
        .post("/console/payments/{id}/refund", StaffForm(PlacePayIns), payins::refund)
        .get("/console/payouts", Staff(SeeBooks), money::payouts)
        .post("/console/payouts/{id}/approve", StaffForm(DecidePayouts), money::approve)
        .post("/console/payouts/{id}/refuse", StaffForm(DecidePayouts), money::refuse)
        .get("/console/money", Staff(SeeBooks), money::money)
        .post("/console/prices", StaffForm(TellPrices), money::tell_price)
        .post("/console/reserves", StaffForm(MoveReserves), money::move_reserve)
        .get("/console/plans", Staff(SeeBooks), plans::plans)
        .post("/console/plans", StaffForm(SetPlans), plans::put)
        .get("/console/plans/{name}", Staff(SetPlans), plans::plan)
        .post("/console/plans/{name}/withdraw", StaffForm(SetPlans), plans::withdraw)
        .post("/console/plans/{name}/as-filed", StaffForm(SetPlans), plans::as_filed)
        .get("/console/journal", Staff(SeeBooks), money::journal)
        .get("/console/log", Staff(SeeLog), staff::log)
        .get("/console/staff", Staff(SeeStaff), staff::staff)
        .post("/console/staff", StaffForm(GiveRoles), staff::give)
}
