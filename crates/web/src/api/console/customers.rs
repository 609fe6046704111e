//! Customers and what is theirs, for the operator's programs.

use crate::api::accounts::{Balance, balance};
use crate::api::contracts::{ContractBody, summary};
use crate::api::leaving::{AccountLogLine, log_of};
use crate::api::page::Page;
use crate::api::payins::{PaymentBody, payment};
use crate::api::payouts::{PayoutBody, body as payout_body};
use crate::api::{Money, Rate, Time, amount, rate, time};
use crate::extract::{Id, Params, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, List, answers};
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use axum::extract::State;
use gruve_accounts::Permission::{EndSessions, SeeCustomers};
use gruve_accounts::{CUSTOMERS_MAX, CustomerRow};
use gruve_market::{SOLD_MAX, SoldContract};
use gruve_treasury::{INVOICES_PAGE_MAX, Invoice, Purpose};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes, InvoiceId, LaneId};
use std::collections::BTreeMap;

answers! {
    /// An account as staff sees it.
    struct CustomerBody {
        /// Its id.
        account: AccountId,
        /// Its name.
        name: String,
        /// Where its owner can be reached.
        email: String,
        /// When it was opened.
        opened_at: Time,
        /// What it is to the house, if anything.
        role: Option<&'static str>,
    }

    /// An account with its balances and how its second factor stands.
    struct CustomerDetail: base: CustomerBody {
        /// What it has, by asset.
        balances: Vec<Balance>,
        /// When its second factor is taken off because it is said to be lost, if it is.
        factor_lost_until: Option<Time>,
        /// Before when nothing is paid out because of that.
        no_payouts_before: Option<Time>,
    }

    /// A second factor that is said to be lost.
    struct LostFactorBody {
        /// Of which account.
        account: AccountId,
        /// Its name.
        customer: String,
        /// Since when.
        asked_at: Time,
        /// When it is taken off.
        due_at: Time,
    }

    /// A contract in a line.
    struct SoldContractBody {
        /// Its id.
        contract: ContractId,
        /// Whose.
        account: AccountId,
        /// The account's name.
        customer: String,
        /// The plan's title when it was sold.
        title: String,
        /// The lane.
        lane: LaneId,
        /// Where it stands.
        state: &'static str,
        /// The bought rate.
        hashrate: Rate,
        /// What was paid or is due.
        price: Money,
        /// When it was bought.
        created_at: Time,
        /// Work bought.
        bought: Hashes,
        /// Work delivered.
        delivered: Hashes,
        /// From which epoch on it gets nothing, because its payment is disputed.
        frozen_since: Option<EpochNumber>,
    }

    /// An invoice in a line.
    struct InvoiceLine {
        /// Its id.
        invoice: InvoiceId,
        /// Whose.
        account: AccountId,
        /// The account's name.
        customer: String,
        /// As of a customer's invoice.
        state: &'static str,
        /// What is due.
        amount: Money,
        /// What was seen.
        received: Money,
        /// Of it confirmed.
        confirmed: Money,
        /// Where to.
        address: String,
        /// The contract that it pays; null where it fills the balance.
        contract: Option<ContractId>,
        /// When it was made.
        created_at: Time,
        /// Until when it can be paid.
        expires_at: Time,
    }

    /// What was ended.
    struct SignedOut {
        /// How many sessions.
        ended: u64,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    let see = StaffBearer(SeeCustomers);
    routes
        .api_get("/api/v1/console/customers", see, "Accounts as they were opened.", customers)
        .api_get("/api/v1/console/customers/{id}", see, "An account.", customer)
        .api_get(
            "/api/v1/console/customers/{id}/contracts",
            see,
            "An account's contracts, newest first.",
            contracts_of,
        )
        .api_get(
            "/api/v1/console/customers/{id}/invoices",
            see,
            "An account's invoices, newest first.",
            invoices_of,
        )
        .api_get(
            "/api/v1/console/customers/{id}/payments",
            see,
            "What an account paid by other ways than invoices' own addresses, newest first.",
            payments_of,
        )
        .api_get(
            "/api/v1/console/customers/{id}/payouts",
            see,
            "An account's payouts, newest first.",
            payouts_of,
        )
        .api_get(
            "/api/v1/console/customers/{id}/log",
            see,
            "What was done to an account, newest first.",
            log_of_customer,
        )
        .api_post(
            "/api/v1/console/customers/{id}/sign-out",
            StaffBearer(EndSessions),
            "Ends an account's sessions and keys; those of staff only who gives roles.",
            sign_out,
        )
        .api_post(
            "/api/v1/console/customers/{id}/keep-factor",
            StaffBearer(EndSessions),
            "Keeps a second factor that was said to be lost.",
            keep_factor,
        )
        .api_get(
            "/api/v1/console/lost-factors",
            see,
            "Second factors that are said to be lost.",
            lost_factors,
        )
        .api_get("/api/v1/console/contracts", see, "All contracts, newest first.", contracts)
        .api_get("/api/v1/console/invoices", see, "All invoices, newest first.", invoices)
}

fn body(c: &CustomerRow) -> CustomerBody {
    CustomerBody {
        account: c.account,
        name: c.name.clone(),
        email: c.email.clone(),
        opened_at: time(c.created),
        role: c.role.map(gruve_accounts::Role::name),
    }
}

/// `GET /api/v1/console/customers`
async fn customers(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<CustomerBody>>, Failure> {
    let page = page.at_most(CUSTOMERS_MAX - 1)?;
    let all = state.accounts().customers(page.behind()?, page.wanted()?).await?;
    page.give(all, |c| c.account, body)
}

/// `GET /api/v1/console/customers/{id}`
async fn customer(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
) -> Result<Fine<CustomerDetail>, Failure> {
    let found = state.customer_row(id).await?;
    let lost = state.accounts().lost_factor(id).await?;
    Ok(Answer(CustomerDetail {
        base: body(&found),
        balances: state.balances(id).await?.iter().map(balance).collect(),
        factor_lost_until: lost.filter(|l| l.done.is_none()).map(|l| time(l.due)),
        no_payouts_before: lost.map(|l| time(l.free)),
    }))
}

/// `GET /api/v1/console/customers/{id}/contracts`
async fn contracts_of(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<ContractBody>>, Failure> {
    state.customer_row(id).await?;
    let all = state.market().contracts_before(id, page.behind()?, page.wanted()?).await?;
    page.give(all, |c| c.id, summary)
}

/// `GET /api/v1/console/customers/{id}/invoices`
async fn invoices_of(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<InvoiceLine>>, Failure> {
    let names = BTreeMap::from([(id, state.customer_row(id).await?.name)]);
    let page = page.at_most(INVOICES_PAGE_MAX - 1)?;
    let all = state.treasury().invoices_before(id, page.behind()?, page.wanted()?).await?;
    page.give(all, |i| i.id, |i| invoice_line(i, &names))
}

/// `GET /api/v1/console/customers/{id}/payments`
async fn payments_of(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<PaymentBody>>, Failure> {
    state.customer_row(id).await?;
    let all = state.treasury().payments_before(id, page.behind()?, page.wanted()?).await?;
    page.give(all, |p| p.id, payment)
}

/// `GET /api/v1/console/customers/{id}/payouts`
async fn payouts_of(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<PayoutBody>>, Failure> {
    state.customer_row(id).await?;
    let all = state.treasury().payouts_before(id, page.behind()?, page.wanted()?).await?;
    page.give(all, |p| p.id, payout_body)
}

/// `GET /api/v1/console/customers/{id}/log`
async fn log_of_customer(
    State(state): State<AppState>,
    Id(id): Id<AccountId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<AccountLogLine>>, Failure> {
    state.customer_row(id).await?;
    log_of(&state, id, &page).await
}

/// `POST /api/v1/console/customers/{id}/sign-out`
async fn sign_out(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<AccountId>,
) -> Result<Fine<SignedOut>, Failure> {
    Ok(Answer(SignedOut { ended: state.sign_customer_out(staff, id).await? }))
}

/// `POST /api/v1/console/customers/{id}/keep-factor`
async fn keep_factor(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<AccountId>,
) -> Result<Done, Failure> {
    state.keep_customers_factor(staff, id).await?;
    Ok(Done)
}

/// `GET /api/v1/console/lost-factors`
async fn lost_factors(
    State(state): State<AppState>,
) -> Result<Fine<List<LostFactorBody>>, Failure> {
    let all = state.accounts().lost_factors().await?;
    Ok(List::whole(all.into_iter().map(|(l, customer)| LostFactorBody {
        account: l.account,
        customer,
        asked_at: time(l.asked),
        due_at: time(l.due),
    })))
}

/// `GET /api/v1/console/contracts`
async fn contracts(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<SoldContractBody>>, Failure> {
    let page = page.at_most(SOLD_MAX - 1)?;
    let all = state.market().latest_contracts(page.behind()?, page.wanted()?).await?;
    let names = state.names(all.iter().map(|c| c.account)).await?;
    let body = |c: &SoldContract| SoldContractBody {
        contract: c.id,
        account: c.account,
        customer: names.get(&c.account).cloned().unwrap_or_default(),
        title: c.title.clone(),
        lane: c.lane.clone(),
        state: c.state.name(),
        hashrate: rate(c.hashrate),
        price: amount(c.price),
        created_at: time(c.created),
        bought: c.bought,
        delivered: c.delivered,
        frozen_since: c.frozen_since,
    };
    page.give(all, |c| c.id, body)
}

/// `GET /api/v1/console/invoices`
async fn invoices(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<InvoiceLine>>, Failure> {
    let page = page.at_most(INVOICES_PAGE_MAX - 1)?;
    let all = state.treasury().latest_invoices(page.behind()?, page.wanted()?).await?;
    let names = state.names(all.iter().map(|i| i.account)).await?;
    page.give(all, |i| i.id, |i| invoice_line(i, &names))
}

fn invoice_line(i: &Invoice, names: &BTreeMap<AccountId, String>) -> InvoiceLine {
    InvoiceLine {
        invoice: i.id,
        account: i.account,
        customer: names.get(&i.account).cloned().unwrap_or_default(),
        state: i.state.word(),
        amount: amount(i.amount),
        received: amount(i.received),
        confirmed: amount(i.confirmed),
        address: i.address.clone(),
        contract: match i.purpose {
            Purpose::Contract(c) => Some(c),
            Purpose::TopUp | Purpose::Conversion(_) => None,
        },
        created_at: time(i.created),
        expires_at: time(i.expires),
    }
}
