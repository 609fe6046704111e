//! The calls of the API: each with who may use it and what it does in a line.
//!
//! A call can only be put here if the types of its handler say what it takes and gives; from this list and
//! those types the document is made ([`crate::openapi`]).

use super::console::{self, farm, hosting, luck, tickets};
use super::{
    access, accounts, book, contracts, energy, events, funds, hosted, in_block, letters, life,
    machines, metered, overview, passkeys, payins, payouts, protection, public, receipts, reserve,
    talk, within,
};
use crate::openapi::served;
use crate::pages::console::withholding;
use crate::routes::Access::{Bearer, Public, Site, StaffBearer};
use crate::routes::Routes;
use gruve_accounts::Permission::{
    AnswerTickets, PlacePayIns, RunHosting, RunMachines, RunSites, SeeBooks, SeeFarm, SetPlans,
};

/// All of them.
pub(crate) fn declare(routes: Routes) -> Routes {
    let routes = letters::routes(for_everybody(routes));
    let routes = within::routes(book::routes(protection::routes(for_customers(routes))));
    for_console(for_staff(with_machines(routes)))
}

fn for_everybody(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/lanes",
            Public,
            "The lanes: what is mined, how much of it, and what is left for sale.",
            public::lanes,
        )
        .api_get("/api/v1/plans", Public, "What is on offer.", public::plans)
        .api_get("/api/v1/hosted-plans", Public, "Machines on sale.", hosted::plans)
        .api_get("/api/v1/blocks", Public, "Blocks found, newest first.", public::blocks)
        .api_get("/api/v1/epochs", Public, "Closed epochs, newest first.", public::epochs)
        .api_get(
            "/api/v1/energy",
            Public,
            "What the operator states of the sites' electricity.",
            energy::sites,
        )
        .api_get(
            "/api/v1/short-epochs",
            Public,
            "Epochs in which leases were short, newest first.",
            life::short_epochs,
        )
        .api_get(
            "/api/v1/acts",
            Public,
            "What the operator recorded of machines taken away, newest first.",
            life::acts,
        )
        .api_get(
            "/api/v1/prices",
            Public,
            "Recorded prices in dollars, newest first.",
            life::prices,
        )
        .api_get("/api/v1/price-sources", Public, "Whose prices count.", reserve::sources)
        .api_get("/api/v1/fpps", Public, "What stands behind FPPS on a lane.", reserve::fpps)
        .api_get("/api/v1/reconciliation", Public, "The books, added up.", public::reconciliation)
        .api_get("/api/v1/funds", Public, "The last statement of funds.", funds::funds)
        .api_get("/api/v1/openapi.json", Public, "This document.", served)
        .api_post("/api/v1/accounts", Public, "Opens an account.", accounts::sign_up)
        .api_post("/api/v1/sessions", Public, "Signs in.", accounts::sign_in)
        .api_post(
            "/api/v1/sessions/passkey/options",
            Public,
            "What an authenticator is to sign for signing in.",
            passkeys::sign_in_options,
        )
        .api_post("/api/v1/sessions/passkey", Public, "Signs in by a passkey.", passkeys::sign_in)
        .api_post(
            "/api/v1/webhooks/stripe",
            Public,
            "For Stripe: something happened to a card payment.",
            payins::hear_card,
        )
        .api_post(
            "/api/v1/webhooks/btcpay",
            Public,
            "For the BTCPay Server: something happened to an invoice.",
            payins::hear_btcpay,
        )
        .api_get(
            "/api/v1/site/telemetry",
            Site,
            "Where the site's agent goes on.",
            talk::telemetry_place,
        )
        .api_post("/api/v1/site/telemetry", Site, "What a site's machines say.", talk::telemetry)
}

fn for_customers(routes: Routes) -> Routes {
    routes
        .api_delete("/api/v1/sessions/current", Bearer, "Signs out.", accounts::sign_out)
        .api_get("/api/v1/sessions", Bearer, "The account's sessions.", access::sessions)
        .api_delete("/api/v1/sessions/{id}", Bearer, "Ends a session.", access::end_session)
        .api_get("/api/v1/keys", Bearer, "Keys for programs.", access::keys)
        .api_post("/api/v1/keys", Bearer, "Makes a key for programs.", access::make_key)
        .api_delete("/api/v1/keys/{id}", Bearer, "Ends a key.", access::end_key)
        .api_get("/api/v1/passkeys", Bearer, "The account's passkeys.", passkeys::list)
        .api_post("/api/v1/passkeys", Bearer, "Adds a passkey.", passkeys::add)
        .api_post(
            "/api/v1/passkeys/options",
            Bearer,
            "What an authenticator is to be asked for.",
            passkeys::add_options,
        )
        .api_post(
            "/api/v1/passkeys/proof/options",
            Bearer,
            "What an authenticator is to sign as proof of who asks.",
            passkeys::proof_options,
        )
        .api_post(
            "/api/v1/passkeys/proof",
            Bearer,
            "Proves by a passkey who asks.",
            passkeys::prove,
        )
        .api_post(
            "/api/v1/passkeys/{id}/name",
            Bearer,
            "Gives a passkey another name.",
            passkeys::rename,
        )
        .api_post("/api/v1/passkeys/{id}/remove", Bearer, "Takes a passkey away.", passkeys::remove)
        .api_get(
            "/api/v1/overview",
            Bearer,
            "What the account has now: hashrate proven, earnings, the next settlement, machines connected.",
            overview::overview,
        )
        .api_get("/api/v1/balances", Bearer, "What the account has, by asset.", accounts::balances)
        .api_get(
            "/api/v1/funds/proof",
            Bearer,
            "The proof that the last statement of funds counts what is owed to you.",
            funds::proof,
        )
        .api_post(
            "/api/v1/quotes",
            Bearer,
            "A price for hashpower, to be bought within some minutes.",
            contracts::quote,
        )
        .api_post("/api/v1/contracts", Bearer, "Buys a quote.", contracts::buy)
        .api_get(
            "/api/v1/contracts",
            Bearer,
            "The account's contracts, newest first.",
            contracts::contracts,
        )
        .api_get(
            "/api/v1/contracts/{id}",
            Bearer,
            "A contract with its newest epochs and settlements.",
            contracts::contract,
        )
        .api_get("/api/v1/contracts/{id}/terms", Bearer, "The terms as signed.", contracts::terms)
        .api_get(
            "/api/v1/contracts/{id}/statement",
            Bearer,
            "A page of the statement.",
            contracts::statement,
        )
        .api_get(
            "/api/v1/contracts/{id}/receipts",
            Bearer,
            "Receipts of epochs.",
            receipts::receipts,
        )
        .api_post(
            "/api/v1/contracts/{id}/cancel",
            Bearer,
            "Takes a contract back.",
            contracts::cancel,
        )
        .api_get(
            "/api/v1/contracts/{id}/life",
            Bearer,
            "What happened to a contract beside delivery.",
            life::life,
        )
        .api_post(
            "/api/v1/contracts/{id}/choices",
            Bearer,
            "Decides about work missed by the operator's doing.",
            life::choose,
        )
        .api_post(
            "/api/v1/contracts/{id}/keep-running",
            Bearer,
            "Has a contract run although it does not pay, or not.",
            life::keep_running,
        )
        .api_post(
            "/api/v1/contracts/{id}/renewals",
            Bearer,
            "A quote for going on without a gap.",
            life::renew,
        )
        .api_post(
            "/api/v1/contracts/{id}/wishes",
            Bearer,
            "What is wanted of a contract when it ends.",
            life::wish,
        )
        .api_get(
            "/api/v1/notices",
            Bearer,
            "What contracts had to say, newest first.",
            life::notices,
        )
        .api_get(
            "/api/v1/events",
            Bearer,
            "What happens to the customer's things, as a stream of server-sent events.",
            events::events,
        )
        .api_get("/api/v1/invoices", Bearer, "Invoices, newest first.", contracts::invoices)
        .api_get("/api/v1/invoices/{id}", Bearer, "An invoice.", contracts::invoice)
        .api_post(
            "/api/v1/invoices/{id}/balance",
            Bearer,
            "Pays the rest of an invoice from the balance.",
            payins::pay_from_balance,
        )
        .api_post(
            "/api/v1/invoices/{id}/checkouts",
            Bearer,
            "A place at another service where an invoice is paid.",
            payins::checkout,
        )
        .api_post(
            "/api/v1/invoices/{id}/conversions",
            Bearer,
            "Fixes a rate at which a coin pays an invoice in another currency.",
            payins::convert,
        )
        .api_get(
            "/api/v1/payments",
            Bearer,
            "Payments by other ways than invoices' own addresses, newest first.",
            payins::payments,
        )
        .api_post("/api/v1/top-ups", Bearer, "An invoice that fills the balance.", metered::top_up)
        .api_post("/api/v1/metered", Bearer, "Starts work by the meter.", metered::start)
        .api_get("/api/v1/metered", Bearer, "Contracts by the meter, newest first.", metered::list)
        .api_get("/api/v1/metered/{id}", Bearer, "A contract by the meter.", metered::show)
        .api_delete(
            "/api/v1/metered/{id}",
            Bearer,
            "Ends work by the meter at the next epoch's border.",
            metered::end,
        )
        .api_get("/api/v1/metered/{id}/terms", Bearer, "The terms as signed.", metered::terms)
        .api_get(
            "/api/v1/metered/{id}/usage",
            Bearer,
            "What was used and charged, newest first.",
            metered::usage,
        )
        .api_get(
            "/api/v1/metered/{id}/statement",
            Bearer,
            "A page of the statement.",
            contracts::statement,
        )
        .api_post("/api/v1/payouts", Bearer, "Asks for a payout.", payouts::request)
        .api_get("/api/v1/payouts", Bearer, "Payouts, newest first.", payouts::payouts)
        .api_get(
            "/api/v1/payouts/limits",
            Bearer,
            "Up to what payouts go out without anybody's look.",
            payouts::limits,
        )
        .api_get(
            "/api/v1/payouts/fee",
            Bearer,
            "The most that the network fee of a payout asked for now can be.",
            payouts::fee,
        )
        .api_get("/api/v1/payouts/{id}", Bearer, "A payout.", payouts::payout)
        .api_delete(
            "/api/v1/payouts/{id}",
            Bearer,
            "Takes a payout back while nothing is signed.",
            payouts::cancel,
        )
}

/// What is theirs of machines and electricity.
fn with_machines(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/contracts/{id}/energy",
            Bearer,
            "Electricity behind a contract.",
            energy::contract_energy,
        )
        .api_get(
            "/api/v1/metered/{id}/energy",
            Bearer,
            "Electricity behind a month of work by the meter.",
            energy::metered_energy,
        )
        .api_get(
            "/api/v1/machines",
            Bearer,
            "Hosted machines and offers of them, newest first.",
            machines::machines,
        )
        .api_get("/api/v1/machines/{id}", Bearer, "A hosted machine.", machines::machine)
        .api_delete(
            "/api/v1/machines/{id}",
            Bearer,
            "Refuses an offer of a machine, or takes an own one back.",
            machines::withdraw,
        )
        .api_post(
            "/api/v1/machines/{id}/accept",
            Bearer,
            "Takes an offer of a machine.",
            machines::accept,
        )
        .api_post(
            "/api/v1/machines/{id}/end",
            Bearer,
            "Ends the contract of an own machine at the next border of epochs.",
            machines::end,
        )
        .api_post(
            "/api/v1/machines/{id}/transfer",
            Bearer,
            "Offers a machine to another account.",
            machines::transfer,
        )
        .api_post(
            "/api/v1/machines/{id}/address",
            Bearer,
            "Where the machine's coins go.",
            machines::address,
        )
        .api_get(
            "/api/v1/machines/{id}/in-block",
            Bearer,
            "Whether blocks that the machine finds pay its owner, and what they have paid.",
            in_block::shown,
        )
        .api_post(
            "/api/v1/machines/{id}/in-block",
            Bearer,
            "Says whether blocks that the machine finds pay its owner themselves.",
            in_block::wish,
        )
        .api_get(
            "/api/v1/machines/{id}/certificate",
            Bearer,
            "The certificate of whose the machine is.",
            machines::certificate,
        )
        .api_get(
            "/api/v1/machines/{id}/terms",
            Bearer,
            "The terms' canonical bytes.",
            machines::terms,
        )
        .api_post("/api/v1/hosted-orders", Bearer, "Orders a machine by a plan.", hosted::order)
        .api_get(
            "/api/v1/machines/{id}/signed-terms",
            Bearer,
            "The terms as signed.",
            hosted::terms,
        )
        .api_get(
            "/api/v1/machines/{id}/statement",
            Bearer,
            "All bills of a machine, as signed: a page of a statement.",
            hosted::statement,
        )
        .api_get(
            "/api/v1/machines/{id}/tickets",
            Bearer,
            "Tickets about a machine, newest first.",
            talk::tickets,
        )
        .api_post(
            "/api/v1/machines/{id}/tickets",
            Bearer,
            "Opens a ticket about a machine.",
            talk::open_ticket,
        )
        .api_get("/api/v1/tickets/{id}", Bearer, "A ticket and what was said on it.", talk::ticket)
        .api_post("/api/v1/tickets/{id}/notes", Bearer, "Says something on a ticket.", talk::say)
        .api_post("/api/v1/tickets/{id}/close", Bearer, "Closes a ticket.", talk::close)
}

/// The operator's side that stands with its handlers.
fn for_console(routes: Routes) -> Routes {
    let routes = console::books::routes(console::payouts::routes(routes));
    let routes = console::people::routes(console::customers::routes(routes));
    console::said::routes(console::running::routes(routes))
}

/// The operator's side for programs, each call with the permission that it needs.
fn for_staff(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/console/withholding",
            StaffBearer(SeeFarm),
            "Who may be keeping found blocks back.",
            withholding::json,
        )
        .api_get(
            "/api/v1/console/luck",
            StaffBearer(SeeFarm),
            "What each lane's work found against what it should have found.",
            luck::luck,
        )
        .api_get(
            "/api/v1/console/pay-ins",
            StaffBearer(SeeBooks),
            "Transfers that wait for a person, oldest first.",
            payins::waiting,
        )
        .api_get(
            "/api/v1/console/clearing",
            StaffBearer(SeeBooks),
            "What banks and services say that they have, held against the books.",
            payins::compared,
        )
        .api_post(
            "/api/v1/console/pay-ins/{id}",
            StaffBearer(PlacePayIns),
            "Says what a transfer is.",
            payins::decide,
        )
        .api_post(
            "/api/v1/console/payments/{id}/refund",
            StaffBearer(PlacePayIns),
            "Gives a card payment back.",
            payins::refund,
        )
        .api_get(
            "/api/v1/console/plans",
            StaffBearer(SeeBooks),
            "All plans, with how they stand.",
            console::plans,
        )
        .api_get(
            "/api/v1/console/losing-plans",
            StaffBearer(SeeBooks),
            "Plans whose contracts cost more than they earn now, and run on.",
            console::losing_plans,
        )
        .api_post(
            "/api/v1/console/plans",
            StaffBearer(SetPlans),
            "Makes or changes a plan.",
            console::put_plan,
        )
        .api_delete(
            "/api/v1/console/plans/{name}",
            StaffBearer(SetPlans),
            "Takes a plan off sale.",
            console::withdraw_plan,
        )
        .api_post(
            "/api/v1/console/plans/{name}/as-filed",
            StaffBearer(SetPlans),
            "Lets the file's words of a plan count again.",
            console::plan_as_filed,
        )
        .api_get("/api/v1/console/sites", StaffBearer(SeeFarm), "The sites.", farm::sites)
        .api_post(
            "/api/v1/console/sites/{name}/power",
            StaffBearer(RunSites),
            "States a site's electricity.",
            farm::state_power,
        )
        .api_post(
            "/api/v1/console/sites/{name}/token",
            StaffBearer(RunSites),
            "A new token for a site's agent.",
            farm::new_token,
        )
        .api_get("/api/v1/console/machines", StaffBearer(SeeFarm), "The inventory.", farm::machines)
        .api_post(
            "/api/v1/console/machines",
            StaffBearer(RunMachines),
            "Takes a machine into the inventory.",
            farm::add,
        )
        .api_get(
            "/api/v1/console/machines/{name}",
            StaffBearer(SeeFarm),
            "A machine, by its serial number.",
            farm::machine,
        )
        .api_post(
            "/api/v1/console/machines/{name}/state",
            StaffBearer(RunMachines),
            "Says what state a machine is in.",
            farm::set_state,
        )
        .api_get(
            "/api/v1/console/hosting",
            StaffBearer(SeeFarm),
            "Hosting contracts, newest first.",
            hosting::contracts,
        )
        .api_post(
            "/api/v1/console/hosting",
            StaffBearer(RunHosting),
            "Offers a machine to an account.",
            hosting::offer,
        )
        .api_get(
            "/api/v1/console/hosting/{id}",
            StaffBearer(SeeFarm),
            "A hosting contract with its bills and certificates.",
            hosting::contract,
        )
        .api_delete(
            "/api/v1/console/hosting/{id}",
            StaffBearer(RunHosting),
            "Takes an offer back.",
            hosting::withdraw,
        )
        .api_post(
            "/api/v1/console/hosting/{id}/end",
            StaffBearer(RunHosting),
            "Ends a hosting contract.",
            hosting::end,
        )
        .api_get(
            "/api/v1/console/tickets",
            StaffBearer(SeeFarm),
            "Open tickets, oldest first.",
            tickets::tickets,
        )
        .api_post(
            "/api/v1/console/tickets",
            StaffBearer(AnswerTickets),
            "Opens a ticket about a machine.",
            tickets::open,
        )
        .api_get(
            "/api/v1/console/tickets/{id}",
            StaffBearer(SeeFarm),
            "A ticket and what was said on it.",
            tickets::ticket,
        )
        .api_post(
            "/api/v1/console/tickets/{id}/notes",
            StaffBearer(AnswerTickets),
            "Answers on a ticket.",
            tickets::say,
        )
        .api_post(
            "/api/v1/console/tickets/{id}/close",
            StaffBearer(AnswerTickets),
            "Closes a ticket.",
            tickets::close,
        )
}
