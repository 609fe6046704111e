//! What the links in messages lead to, and how to be sent one, for programs. Nobody is signed in here: the ticket of
//! a message proves who asks, and is good once, so that these take no key against being sent twice.

use crate::api::{Time, time};
use crate::client::Client;
use crate::extract::Json;
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, answers, requests};
use crate::routes::Access::Public;
use crate::routes::Routes;
use crate::state::{AppState, accounts_failure};
use axum::extract::State;
use gruve_accounts::{Confirmed, Ticket};

requests! {
    /// The ticket that stands in a message's link.
    struct TicketHeld {
        /// It.
        ticket: String,
    }

    /// Whose password is forgotten.
    struct Forgotten {
        /// The account's e-mail address.
        email: String,
    }

    /// A new password by the ticket of a message.
    struct PasswordReset {
        /// The ticket.
        ticket: String,
        /// The new password.
        new: String,
    }

    /// Whose second factor is lost.
    struct FactorLostOf {
        /// The account's name or e-mail address.
        login: String,
        /// Its password.
        password: String,
    }
}

answers! {
    /// An address confirmed.
    struct ConfirmedBody {
        /// Whether it is that of a new account, which is open now.
        is_new_account: bool,
        /// From when on another address of an account counts.
        counts_from: Option<Time>,
    }

    /// A second factor that is said to be lost.
    struct FactorLostBody {
        /// When it is taken off.
        due_at: Time,
        /// Before when nothing is paid out.
        no_payouts_before: Time,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_post(
            "/api/v1/letters/confirm",
            Public,
            "Confirms an e-mail address by the ticket of the message to it.",
            confirm,
        )
        .api_post(
            "/api/v1/letters/undo",
            Public,
            "Stops a change by the ticket of the message that told of it.",
            undo,
        )
        .api_post(
            "/api/v1/letters/forgotten",
            Public,
            "Has the link for a new password sent to an account's address.",
            forgotten,
        )
        .api_post(
            "/api/v1/letters/password",
            Public,
            "Sets a new password by the ticket of a message; all sessions end.",
            reset,
        )
        .api_post(
            "/api/v1/letters/factor-lost",
            Public,
            "Has the link sent that takes a lost second factor off.",
            ask_lost,
        )
        .api_post(
            "/api/v1/letters/drop-factor",
            Public,
            "Begins the wait for a lost second factor to be taken off, by the ticket of the message.",
            begin_lost,
        )
}

/// `POST /api/v1/letters/confirm`
async fn confirm(
    State(state): State<AppState>,
    Json(held): Json<TicketHeld>,
) -> Result<Fine<ConfirmedBody>, Failure> {
    let done = state.accounts().confirm(&Ticket(held.ticket)).await;
    Ok(Answer(match done.map_err(|e| accounts_failure(&e))? {
        Confirmed::SignUp => ConfirmedBody { is_new_account: true, counts_from: None },
        Confirmed::NewAddress(at) => {
            ConfirmedBody { is_new_account: false, counts_from: Some(time(at)) }
        }
    }))
}

/// `POST /api/v1/letters/undo`
async fn undo(
    State(state): State<AppState>,
    Json(held): Json<TicketHeld>,
) -> Result<Done, Failure> {
    state.undo(held.ticket).await?;
    Ok(Done)
}

/// `POST /api/v1/letters/forgotten`: the same answer whether there is such an account.
async fn forgotten(
    State(state): State<AppState>,
    Client(from): Client,
    Json(of): Json<Forgotten>,
) -> Result<Done, Failure> {
    let asked = state.accounts().ask_for_reset_from(&of.email, from.address).await;
    asked.map_err(|e| accounts_failure(&e))?;
    Ok(Done)
}

/// `POST /api/v1/letters/password`
async fn reset(
    State(state): State<AppState>,
    Json(new): Json<PasswordReset>,
) -> Result<Done, Failure> {
    state.reset_password(new.ticket, &new.new).await?;
    Ok(Done)
}

/// `POST /api/v1/letters/factor-lost`
async fn ask_lost(
    State(state): State<AppState>,
    Client(from): Client,
    Json(of): Json<FactorLostOf>,
) -> Result<Done, Failure> {
    state.ask_to_drop_factor(&of.login, &of.password, from).await?;
    Ok(Done)
}

/// `POST /api/v1/letters/drop-factor`
async fn begin_lost(
    State(state): State<AppState>,
    Json(held): Json<TicketHeld>,
) -> Result<Fine<FactorLostBody>, Failure> {
    let lost = state.accounts().begin_dropping_factor(&Ticket(held.ticket)).await;
    let lost = lost.map_err(|e| accounts_failure(&e))?;
    Ok(Answer(FactorLostBody { due_at: time(lost.due), no_payouts_before: time(lost.free) }))
}
