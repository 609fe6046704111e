//! The list of routes: every address of the house, and who may use it.

use crate::api::{
    access, accounts, console as api_console, contracts, funds, life as api_life,
    machines as api_machines, metered as api_metered, payins as api_payins, payouts as api_payouts,
    public, receipts as api_receipts, reserve,
};
use crate::failure::Failure;
use crate::gate;
use crate::live;
use crate::ops;
use crate::pages::{
    account, book, books, buy, console, contract, home, invoice, lane, letters, life, machines,
    metered, papers, payouts, plans, proof, renewal, security, session, statement, tickets, top_up,
    withdraw,
};
use crate::record;
use crate::routes::{Access, RouteInfo, Routes};
use crate::state::AppState;
use axum::Router;
use axum::middleware::from_fn_with_state;

/// The whole site.
pub fn router(state: AppState) -> Router {
    let (routes, _) = declare(&state).finish();
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
    declare(state).finish().1
}

fn declare(state: &AppState) -> Routes {
    use Access::{Bearer, Customer, CustomerForm, Public, PublicForm, Site};
    let routes = Routes::new(state.clone())
        // Pages for everybody.
        .get("/", Public, home::home)
        .get("/plans", Public, plans::plans)
        .get("/lanes/{lane}", Public, lane::lane)
        .get("/books", Public, books::books)
        .get("/proof", Public, proof::overview)
        .get("/proof/receipt", Public, proof::receipt)
        .get("/proof/{lane}/{epoch}", Public, proof::epoch)
        .get("/sign-up", Public, session::sign_up_form)
        .post("/sign-up", PublicForm, session::sign_up)
        .get("/sign-in", Public, session::sign_in_form)
        .post("/sign-in", PublicForm, session::sign_in)
        .post("/sign-in/code", PublicForm, session::sign_in_code)
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
        .get("/contracts/{id}/receipts.jsonl", Customer, api_receipts::file)
        .post("/contracts/{id}/cancel", CustomerForm, life::cancel)
        .post("/contracts/{id}/choose", CustomerForm, life::choose)
        .post("/contracts/{id}/keep-running", CustomerForm, life::keep_running)
        .post("/contracts/{id}/renew", CustomerForm, renewal::renew)
        .post("/contracts/{id}/wishes", CustomerForm, renewal::wish)
        .get("/invoices/{id}", Customer, invoice::invoice)
        .post("/invoices/{id}/balance", CustomerForm, invoice::pay_from_balance)
        .post("/invoices/{id}/checkout", CustomerForm, invoice::checkout)
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
        .post("/machines/{id}/transfer", CustomerForm, machines::transfer)
        .post("/machines/{id}/tickets", CustomerForm, tickets::open_ticket)
        .get("/tickets/{id}", Customer, tickets::ticket)
        .post("/tickets/{id}/notes", CustomerForm, tickets::say)
        .post("/tickets/{id}/close", CustomerForm, tickets::close)
        // The API for everybody.
        .get("/api/v1/lanes", Public, public::lanes)
        .get("/api/v1/plans", Public, public::plans)
        .get("/api/v1/blocks", Public, public::blocks)
        .get("/api/v1/epochs", Public, public::epochs)
        .get("/api/v1/energy", Public, api_machines::sites)
        .get("/api/v1/short-epochs", Public, api_life::short_epochs)
        .get("/api/v1/prices", Public, api_life::prices)
        .get("/api/v1/price-sources", Public, reserve::sources)
        .get("/api/v1/fpps", Public, reserve::fpps)
        .get("/api/v1/reconciliation", Public, public::reconciliation)
        .get("/api/v1/funds", Public, funds::funds)
        .post("/api/v1/accounts", Public, accounts::sign_up)
        .post("/api/v1/sessions", Public, accounts::sign_in)
        // The API for customers.
        .delete("/api/v1/sessions/current", Bearer, accounts::sign_out)
        .get("/api/v1/sessions", Bearer, access::sessions)
        .delete("/api/v1/sessions/{id}", Bearer, access::end_session)
        .get("/api/v1/keys", Bearer, access::keys)
        .post("/api/v1/keys", Bearer, access::make_key)
        .delete("/api/v1/keys/{id}", Bearer, access::end_key)
        .get("/api/v1/balances", Bearer, accounts::balances)
        .get("/api/v1/funds/proof", Bearer, funds::proof)
        .post("/api/v1/quotes", Bearer, contracts::quote)
        .post("/api/v1/contracts", Bearer, contracts::buy)
        .get("/api/v1/contracts", Bearer, contracts::contracts)
        .get("/api/v1/contracts/{id}", Bearer, contracts::contract)
        .get("/api/v1/contracts/{id}/terms", Bearer, contracts::terms)
        .get("/api/v1/contracts/{id}/statement", Bearer, contracts::statement)
        .get("/api/v1/contracts/{id}/receipts", Bearer, api_receipts::receipts)
        .post("/api/v1/contracts/{id}/cancel", Bearer, contracts::cancel)
        .get("/api/v1/contracts/{id}/life", Bearer, api_life::life)
        .post("/api/v1/contracts/{id}/choices", Bearer, api_life::choose)
        .post("/api/v1/contracts/{id}/keep-running", Bearer, api_life::keep_running)
        .post("/api/v1/contracts/{id}/renewals", Bearer, api_life::renew)
        .post("/api/v1/contracts/{id}/wishes", Bearer, api_life::wish)
        .get("/api/v1/notices", Bearer, api_life::notices)
        .get("/api/v1/invoices/{id}", Bearer, contracts::invoice)
        .post("/api/v1/invoices/{id}/balance", Bearer, api_payins::pay_from_balance)
        .post("/api/v1/invoices/{id}/checkouts", Bearer, api_payins::checkout)
        .post("/api/v1/webhooks/stripe", Public, api_payins::hear_card)
        .post("/api/v1/webhooks/btcpay", Public, api_payins::hear_btcpay)
        .get("/api/v1/payments", Bearer, api_payins::payments)
        .post("/api/v1/top-ups", Bearer, api_metered::top_up)
        .post("/api/v1/metered", Bearer, api_metered::start)
        .get("/api/v1/metered", Bearer, api_metered::list)
        .get("/api/v1/metered/{id}", Bearer, api_metered::show)
        .delete("/api/v1/metered/{id}", Bearer, api_metered::end)
        .get("/api/v1/metered/{id}/terms", Bearer, api_metered::terms)
        .get("/api/v1/metered/{id}/usage", Bearer, api_metered::usage)
        .get("/api/v1/metered/{id}/statement", Bearer, contracts::statement)
        .post("/api/v1/payouts", Bearer, api_payouts::request)
        .get("/api/v1/payouts", Bearer, api_payouts::payouts)
        .get("/api/v1/payouts/fee", Bearer, api_payouts::fee)
        .get("/api/v1/payouts/{id}", Bearer, api_payouts::payout)
        .delete("/api/v1/payouts/{id}", Bearer, api_payouts::cancel)
        .get("/api/v1/contracts/{id}/energy", Bearer, api_machines::contract_energy)
        .get("/api/v1/metered/{id}/energy", Bearer, api_machines::metered_energy)
        .get("/api/v1/machines", Bearer, api_machines::machines)
        .get("/api/v1/machines/{id}", Bearer, api_machines::machine)
        .delete("/api/v1/machines/{id}", Bearer, api_machines::withdraw)
        .post("/api/v1/machines/{id}/accept", Bearer, api_machines::accept)
        .post("/api/v1/machines/{id}/transfer", Bearer, api_machines::transfer)
        .post("/api/v1/machines/{id}/address", Bearer, api_machines::address)
        .get("/api/v1/machines/{id}/certificate", Bearer, api_machines::certificate)
        .get("/api/v1/machines/{id}/terms", Bearer, api_machines::terms)
        .get("/api/v1/machines/{id}/tickets", Bearer, api_machines::tickets)
        .post("/api/v1/machines/{id}/tickets", Bearer, api_machines::open_ticket)
        .get("/api/v1/tickets/{id}", Bearer, api_machines::ticket)
        .post("/api/v1/tickets/{id}/notes", Bearer, api_machines::say)
        .post("/api/v1/tickets/{id}/close", Bearer, api_machines::close)
        // For sites' agents.
        .get("/api/v1/site/telemetry", Site, api_machines::telemetry_place)
        .post("/api/v1/site/telemetry", Site, api_machines::telemetry)
        // For browsers and machines.
        .get("/events", Public, live::events)
        .get("/assets/{name}", Public, ops::asset)
        .get("/record/{*path}", Public, record::file)
        .get("/robots.txt", Public, ops::robots)
        .get("/metrics", Public, ops::metrics)
        .get("/healthz", Public, ops::healthz)
        .get("/healthz/lanes", Public, ops::lane_health)
        .get("/readyz", Public, ops::readyz);
    console_api(console_routes(routes))
}

/// The operator's pages, each with the permission that it needs.
fn console_routes(routes: Routes) -> Routes {
    use Access::{Staff, StaffBearer, StaffForm};
    use console::{
        customers, farm, hosting, machine, money, overview, payins, plans, staff, tickets,
        withholding,
    };
    use gruve_accounts::Permission::{
        AnswerTickets, DecidePayouts, EndSessions, GiveRoles, MoveReserves, PlacePayIns,
        RunHosting, RunMachines, RunSites, SeeBooks, SeeCustomers, SeeFarm, SeeLog, SeeStaff,
        SetPlans, TellPrices,
    };
    routes
        .get("/console", Staff(SeeFarm), overview::overview)
        .get("/console/sites", Staff(SeeFarm), farm::sites)
        .post("/console/sites/token", StaffForm(RunSites), farm::new_token)
        .post("/console/sites/power", StaffForm(RunSites), farm::state_power)
        .get("/console/machines", Staff(SeeFarm), farm::machines)
        .get("/console/machines/{name}", Staff(SeeFarm), machine::machine)
        .post("/console/machines", StaffForm(RunMachines), farm::add)
        .post("/console/machines/state", StaffForm(RunMachines), farm::set_state)
        .get("/console/withholding", Staff(SeeFarm), withholding::page)
        .get("/api/v1/console/withholding", StaffBearer(SeeFarm), withholding::json)
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
        .get("/console/contracts", Staff(SeeCustomers), customers::contracts)
        .get("/console/invoices", Staff(SeeCustomers), customers::invoices)
        .get("/console/pay-ins", Staff(SeeBooks), payins::pay_ins)
        .post("/console/pay-ins/{id}", StaffForm(PlacePayIns), payins::decide)
        .get("/api/v1/console/pay-ins", StaffBearer(SeeBooks), api_payins::waiting)
        .post("/api/v1/console/pay-ins/{id}", StaffBearer(PlacePayIns), api_payins::decide)
        .post("/console/payments/{id}/refund", StaffForm(PlacePayIns), payins::refund)
        .post("/api/v1/console/payments/{id}/refund", StaffBearer(PlacePayIns), api_payins::refund)
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

/// The operator's side for programs, each call with the permission that it needs.
fn console_api(routes: Routes) -> Routes {
    use Access::StaffBearer;
    use api_console::{farm, hosting, tickets};
    use gruve_accounts::Permission::{
        AnswerTickets, RunHosting, RunMachines, RunSites, SeeBooks, SeeFarm, SetPlans,
    };
    routes
        .get("/api/v1/console/plans", StaffBearer(SeeBooks), api_console::plans)
        .post("/api/v1/console/plans", StaffBearer(SetPlans), api_console::put_plan)
        .delete("/api/v1/console/plans/{name}", StaffBearer(SetPlans), api_console::withdraw_plan)
        .post(
            "/api/v1/console/plans/{name}/as-filed",
            StaffBearer(SetPlans),
            api_console::plan_as_filed,
        )
        .get("/api/v1/console/sites", StaffBearer(SeeFarm), farm::sites)
        .post("/api/v1/console/sites/{name}/power", StaffBearer(RunSites), farm::state_power)
        .post("/api/v1/console/sites/{name}/token", StaffBearer(RunSites), farm::new_token)
        .get("/api/v1/console/machines", StaffBearer(SeeFarm), farm::machines)
        .post("/api/v1/console/machines", StaffBearer(RunMachines), farm::add)
        .get("/api/v1/console/machines/{name}", StaffBearer(SeeFarm), farm::machine)
        .post("/api/v1/console/machines/{name}/state", StaffBearer(RunMachines), farm::set_state)
        .get("/api/v1/console/hosting", StaffBearer(SeeFarm), hosting::contracts)
        .post("/api/v1/console/hosting", StaffBearer(RunHosting), hosting::offer)
        .get("/api/v1/console/hosting/{id}", StaffBearer(SeeFarm), hosting::contract)
        .delete("/api/v1/console/hosting/{id}", StaffBearer(RunHosting), hosting::withdraw)
        .post("/api/v1/console/hosting/{id}/end", StaffBearer(RunHosting), hosting::end)
        .get("/api/v1/console/tickets", StaffBearer(SeeFarm), tickets::tickets)
        .post("/api/v1/console/tickets", StaffBearer(AnswerTickets), tickets::open)
        .get("/api/v1/console/tickets/{id}", StaffBearer(SeeFarm), tickets::ticket)
        .post("/api/v1/console/tickets/{id}/notes", StaffBearer(AnswerTickets), tickets::say)
        .post("/api/v1/console/tickets/{id}/close", StaffBearer(AnswerTickets), tickets::close)
}
