//! Owners who are paid by the block itself.

use crate::api::{Money, Time, amount, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json};
use crate::failure::Failure;
use crate::hosted::in_block::PaidInBlock;
use crate::hosted::{Again, Asker};
use crate::money::shown_hash;
use crate::openapi::{Answer, Fine, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use gruve_hosting::Part;
use gruve_units::ContractId;

answers! {
    /// Whether blocks that a machine finds pay its owner themselves, and what they have paid.
    struct InBlockBody {
        /// For jobs of epochs for which the address was published.
        wanted: bool,
        /// With whom it is shared: the list that counts, and one that will. None where the payout address gets all.
        shared: Vec<BlockShares>,
        /// The last 100, newest first, once the epoch is closed in which they were found; `/payments` has all.
        paid: Vec<PaidBody>,
    }

    /// Who shares what the house leaves of a block.
    struct BlockShares {
        /// From then on.
        from: Time,
        /// The payout address, which gets what the others leave; then these, each rounded down.
        parts: Vec<BlockShare>,
    }

    /// An address and its part.
    struct BlockShare {
        /// It.
        address: String,
        /// Hundredths of a percent.
        bps: u16,
    }

    /// What a block paid.
    struct PaidBody {
        /// Its hash, as explorers write it.
        block: String,
        /// Its height.
        height: u64,
        /// The time in its header.
        at: Time,
        /// The output of its coinbase.
        output: u32,
        /// To which address.
        address: String,
        /// How much.
        amount: Money,
        /// `maturing`, `mature` or `orphaned`.
        state: String,
    }
}

requests! {
    /// Whether blocks are to pay the owner.
    struct InBlockWish {
        /// Or the house, which credits the owner.
        wanted: bool,
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }
}

/// `GET /api/v1/machines/{id}/in-block`
pub(crate) async fn shown(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<InBlockBody>, Failure> {
    body(&state, &customer, id).await
}

/// `POST /api/v1/machines/{id}/in-block`
pub(crate) async fn wish(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Json(wish): Json<InBlockWish>,
) -> Result<Fine<InBlockBody>, Failure> {
    let again = Again { password: wish.password, code: wish.code };
    let asker = Asker { customer: &customer, again: &again, from };
    state.set_in_block(&asker, id, wish.wanted).await?;
    body(&state, &customer, id).await
}

async fn body(
    state: &AppState,
    customer: &Customer,
    id: ContractId,
) -> Result<Fine<InBlockBody>, Failure> {
    let contract = state.own_hosting(customer.account, id).await?;
    let (wanted, paid) = state.in_block(&contract).await?;
    let share = |p: Part| BlockShare { address: p.address, bps: p.bps.get() };
    let shared = state.splits(&contract).await?.into_iter().map(|split| BlockShares {
        from: time(split.from),
        parts: split.parts.into_iter().map(share).collect(),
    });
    let paid = paid.iter().map(paid_body).collect();
    Ok(Answer(InBlockBody { wanted, shared: shared.collect(), paid }))
}

/// What a block paid.
pub(crate) fn paid_body(p: &PaidInBlock) -> PaidBody {
    PaidBody {
        block: shown_hash(&p.block.block_hash),
        height: p.block.height,
        at: time(p.block.at),
        output: p.block.vout,
        address: p.block.address.clone(),
        amount: amount(p.block.amount),
        state: p.state.to_owned(),
    }
}
