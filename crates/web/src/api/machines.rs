//! Hosted machines: whose they are and what they do.

use crate::api::energy::{EnergyBody, footprint_body};
use crate::api::page::Page;
use crate::api::papers::hosting::HostingTermsPaper;
use crate::api::{Hex, Money, Rate, Time, amount, hexed, rate, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::hosted::{Again, Asker, Taken, hosting_failure};
use crate::openapi::{Answer, Done, Fine, List, Made, Sheet, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use gruve_farm::SitePower;
use gruve_hosting::{Bill, Contract, HostedMachine, Part, Signed};
use gruve_units::{Amount, Asset, Bps, ContractId, EpochNumber, Hashes, LaneId, MachineId};

/// Bills listed with a machine.
const BILLS_SHOWN: u32 = 100;

answers! {
    /// A hosting contract, or an offer of one.
    struct HostingBody {
        /// Its id.
        id: ContractId,
        /// The machine's.
        machine_id: MachineId,
        /// Where it mines.
        lane: LaneId,
        /// `offered`, `ordered` (it waits for its invoice), `active`, `closing` (over, but late energy is still billed),
        /// `ended` or `withdrawn`.
        state: String,
        /// Whose the machine is: sold or leased.
        kind: String,
        /// How it earns.
        scheme: String,
        /// What bills are paid from.
        pays_from: String,
        /// Price of electricity.
        energy_per_kwh: Money,
        /// The operator's fee.
        fee_per_day: Money,
        /// Uptime below which fees are given back.
        service_level_bps: u16,
        /// What the operator keeps of what it earns at most, hundredths of a percent; none in contracts from before it was
        /// agreed, of which the lane's fee is kept.
        earnings_fee_bps: Option<u16>,
        /// Of the machine.
        price: Money,
        /// Of the terms' bytes.
        terms_sha256: Hex,
        /// The contract that it takes over from.
        replaces: Option<ContractId>,
        /// When it was offered.
        offered_at: Time,
        /// From when on what another customer offers can be taken: it was agreed, and either side may still take it back.
        taken_after: Option<Time>,
        /// When it was accepted.
        accepted_at: Option<Time>,
        /// Its first epoch.
        from_epoch: Option<EpochNumber>,
        /// The epoch before which it ends.
        until_epoch: Option<EpochNumber>,
        /// Whether its payment is disputed: it can be handed on to nobody, and what it earns stays in the balance.
        frozen: bool,
        /// Before its term: `owner`, `operator`, `handed-on` or `charged-back`.
        ended_by: Option<&'static str>,
        /// What of its price came back when the operator ended it.
        back: Option<Money>,
        /// Where the machine's coins go.
        address: Option<String>,
        /// Where they will go.
        next_address: Option<NextAddress>,
        /// Bills that are not paid.
        owed: Money,
    }

    /// An address that will count.
    struct NextAddress {
        /// It.
        address: String,
        /// From when.
        from: Time,
    }

    /// A hosting contract with its machine and bills.
    struct HostingDetail: base: HostingBody {
        /// The machine as it runs.
        machine: MachineBody,
        /// The last 100, newest first.
        bills: Vec<BillBody>,
    }

    /// A machine as it runs.
    struct MachineBody {
        /// Its serial number.
        serial: String,
        /// Its model.
        model: String,
        /// Where it stands.
        site: String,
        /// In which rack.
        rack: String,
        /// `stock`, `running`, `maintenance` or `returned`.
        state: &'static str,
        /// By its nameplate.
        nameplate: Rate,
        /// By its nameplate.
        nameplate_watts: u32,
        /// The last that it said.
        reading: Option<ReadingBody>,
        /// What it says it does.
        claimed: Rate,
        /// What its shares prove.
        proven: ProvenBody,
        /// `no-claim`, `consistent` or `claims-too-much`.
        claim: String,
        /// Of `span_us`, how long it ran; microseconds.
        uptime_us: u64,
        /// How long was looked at; microseconds.
        span_us: u64,
        /// Its electricity.
        energy: EnergyBody,
    }

    /// What a machine said.
    struct ReadingBody {
        /// When.
        at: Time,
        /// Its hashrate.
        hashrate: Option<Rate>,
        /// By its own sensor.
        watts: Option<u32>,
        /// Of its hottest sensor.
        temperature_c: Option<i32>,
        /// Turns a minute.
        fans_rpm: Vec<u32>,
        /// Since its mining program began.
        uptime_s: Option<u64>,
        /// How often that began again.
        restarts: u64,
        /// What it complains of.
        fault: Option<String>,
    }

    /// What a machine's shares prove.
    struct ProvenBody {
        /// The rate.
        hashrate: Rate,
        /// It is hardly lower.
        low: Rate,
        /// And hardly higher.
        high: Rate,
        /// From so many shares.
        shares: u64,
        /// Their work.
        work: Hashes,
    }

    /// A bill for hosting.
    struct BillBody {
        /// Its number.
        number: i64,
        /// When it was made.
        at: Time,
        /// The first epoch of it.
        from_epoch: EpochNumber,
        /// The epoch before which it ends.
        until_epoch: EpochNumber,
        /// Microjoules, as text.
        energy_uj: String,
        /// How long was looked at; microseconds.
        span_us: u64,
        /// How long the machine ran.
        up_us: u64,
        /// For electricity.
        energy: Money,
        /// The operator's fee.
        fee: Money,
        /// Given back for downtime.
        credit: Money,
        /// To be paid.
        due: Money,
        /// Paid.
        paid: Money,
        /// Given up.
        waived: Money,
        /// Left owing.
        owed: Money,
    }

    /// An offer accepted, or agreed.
    struct Accepted {
        /// The contract's id.
        id: ContractId,
        /// Its first epoch; none where it is only agreed.
        from_epoch: Option<EpochNumber>,
        /// What another customer offers is agreed, and taken by the same call from then on; until then either side may take
        /// it back.
        taken_after: Option<Time>,
    }

    /// A contract ended.
    struct MachineEnded {
        /// The contract's id.
        id: ContractId,
        /// The epoch before which it ends.
        until_epoch: EpochNumber,
    }

    /// A machine offered to somebody.
    struct OfferMade {
        /// The offer's id.
        offer: ContractId,
    }
}

requests! {
    /// To whom, and for how much.
    struct Transfer {
        /// The name of an account.
        to: String,
        /// `BTC`, …
        asset: String,
        /// In whole coins, as decimal text.
        price: String,
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// Where coins go.
    struct NewAddress {
        /// It.
        address: String,
        /// Who shares what blocks pay to it, seven at most; the address gets the rest.
        partners: Vec<Partner> = default,
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// Who shares what blocks pay.
    struct Partner {
        /// The address.
        address: String,
        /// Its part of what the house leaves, hundredths of a percent: at least 100.
        bps: u16,
    }

    /// Proof of who buys, where there is a price.
    struct BuyerProof {
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// Proof of who ends it.
    struct OwnerProof {
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }
}

/// `GET /api/v1/machines`
pub(crate) async fn machines(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<HostingBody>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.hosting().contracts_before(Some(customer.account), before, wanted).await;
    page.give(all.map_err(|e| hosting_failure(&e))?, |c| c.id, |c| contract_body(&state, c))
}

/// `GET /api/v1/machines/{id}`
pub(crate) async fn machine(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<HostingDetail>, Failure> {
    let (contract, machine) = state.hosted(customer.account, id).await?;
    let bills = state.hosting().bills(id, BILLS_SHOWN).await.map_err(|e| hosting_failure(&e))?;
    let asset = contract.terms.asset;
    Ok(Answer(HostingDetail {
        base: contract_body(&state, &contract),
        machine: machine_body(&machine, &state.powers().await?),
        bills: bills.iter().map(|b| bill_body(b, asset)).collect(),
    }))
}

pub(crate) fn contract_body(state: &AppState, c: &Contract) -> HostingBody {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    let next = c.address.next.as_ref();
    HostingBody {
        id: c.id,
        machine_id: c.machine,
        lane: c.lane.clone(),
        state: c.state.name().to_owned(),
        kind: c.terms.kind.name().to_owned(),
        scheme: c.terms.scheme.name().to_owned(),
        pays_from: c.terms.pay_from.name().to_owned(),
        energy_per_kwh: of(c.terms.energy_minor_per_kwh),
        fee_per_day: of(c.terms.fee_minor_per_day),
        service_level_bps: c.terms.level.get(),
        earnings_fee_bps: c.terms.earnings_fee.map(Bps::get),
        price: amount(c.price),
        terms_sha256: hexed(c.terms_hash),
        replaces: c.replaces,
        offered_at: time(c.offered_at),
        taken_after: state.taken_after(c).map(time),
        accepted_at: c.accepted_at.map(time),
        from_epoch: c.from,
        until_epoch: c.until,
        frozen: c.is_frozen,
        ended_by: c.ended.map(|(by, ..)| by.name()),
        back: c
            .ended
            .filter(|(.., back)| *back > 0)
            .map(|(.., back)| amount(Amount::new(c.back_asset(), back))),
        address: c.address.at(state.now()).map(str::to_owned),
        next_address: next.map(|(a, from)| NextAddress { address: a.clone(), from: time(*from) }),
        owed: of(c.arrears),
    }
}

pub(crate) fn machine_body(m: &HostedMachine, powers: &[SitePower]) -> MachineBody {
    let (proven, low, high) = m.proven_rate();
    let reading = m.reading.as_ref().map(|r| ReadingBody {
        at: time(r.at),
        hashrate: r.hashrate.map(rate),
        watts: r.watts,
        temperature_c: r.temperature_c,
        fans_rpm: r.fans_rpm.clone(),
        uptime_s: r.uptime_s,
        restarts: r.restarts,
        fault: r.fault.clone(),
    });
    MachineBody {
        serial: m.thing.serial.clone(),
        model: m.thing.model.clone(),
        site: m.thing.site_name.clone(),
        rack: m.thing.rack.clone(),
        state: m.thing.state.name(),
        nameplate: rate(m.thing.nameplate),
        nameplate_watts: m.thing.watts,
        reading,
        claimed: rate(m.claimed_rate()),
        proven: ProvenBody {
            hashrate: rate(proven),
            low: rate(low),
            high: rate(high),
            shares: m.proof.shares,
            work: m.proof.work,
        },
        claim: m.verdict.name().to_owned(),
        uptime_us: m.span.up_us,
        span_us: m.span.span_us,
        energy: footprint_body(&m.footprint, powers),
    }
}

pub(crate) fn bill_body(b: &Bill, asset: Asset) -> BillBody {
    let of = |minor| amount(Amount::new(asset, minor));
    BillBody {
        number: b.number,
        at: time(b.at),
        from_epoch: b.from,
        until_epoch: b.until,
        energy_uj: b.span.energy_uj.to_string(),
        span_us: b.span.span_us,
        up_us: b.span.up_us,
        energy: of(b.energy),
        fee: of(b.fee),
        credit: of(b.credit),
        due: of(b.due),
        paid: of(b.paid),
        waived: of(b.waived),
        owed: of(b.arrears),
    }
}

/// `POST /api/v1/machines/{id}/accept`; a session proves itself again where there is a price.
pub(crate) async fn accept(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Json(proof): Json<BuyerProof>,
) -> Result<Fine<Accepted>, Failure> {
    let again = Again { password: proof.password, code: proof.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let (from_epoch, taken_after) = match state.accept_hosting(&asker, id).await? {
        Taken::From(epoch) => (Some(epoch), None),
        Taken::After(at) => (None, Some(time(at))),
    };
    Ok(Answer(Accepted { id, from_epoch, taken_after }))
}

/// `DELETE /api/v1/machines/{id}`: refuses an offer, or takes an own one back.
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Done, Failure> {
    state.withdraw_hosting(Some(customer.account), id).await?;
    Ok(Done)
}

/// `POST /api/v1/machines/{id}/transfer`
pub(crate) async fn transfer(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Json(order): Json<Transfer>,
) -> Result<Made<OfferMade>, Failure> {
    let price = price_of(&order.asset, &order.price)?;
    let again = Again { password: order.password, code: order.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let offer = state.transfer_hosting(&asker, id, &order.to, price).await?;
    Ok(Answer(OfferMade { offer }))
}

/// `POST /api/v1/machines/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Json(proof): Json<OwnerProof>,
) -> Result<Fine<MachineEnded>, Failure> {
    let again = Again { password: proof.password, code: proof.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let until_epoch = state.end_own_hosting(&asker, id).await?;
    Ok(Answer(MachineEnded { id, until_epoch }))
}

/// A price as it is written.
pub(crate) fn price_of(asset: &str, text: &str) -> Result<Amount, Failure> {
    let asset: Asset = asset.parse().map_err(|e| Failure::refused(sentence(&format!("{e}"))))?;
    Amount::parse_decimal(asset, text).map_err(|e| Failure::refused(sentence(&e.to_string())))
}

/// `POST /api/v1/machines/{id}/address`
pub(crate) async fn address(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Json(new): Json<NewAddress>,
) -> Result<Fine<HostingBody>, Failure> {
    let again = Again { password: new.password, code: new.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let partner = |p: Partner| {
        let bps =
            Bps::new(p.bps).ok_or_else(|| Failure::refused("A part is at most the whole."))?;
        Ok(Part { address: p.address, bps })
    };
    let partners = new.partners.into_iter().map(partner).collect::<Result<Vec<_>, Failure>>()?;
    state.address_hosting(&asker, id, &new.address, &partners).await?;
    let contract = state.own_hosting(customer.account, id).await?;
    Ok(Answer(contract_body(&state, &contract)))
}

/// `GET /api/v1/machines/{id}/certificate`
pub(crate) async fn certificate(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<Signed>, Failure> {
    state.own_hosting(customer.account, id).await?;
    let signed = state.hosting().certificate(id).await.map_err(|e| hosting_failure(&e))?;
    Ok(Answer(signed))
}

/// `GET /api/v1/machines/{id}/terms`: the canonical bytes, of which the contract has the hash.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Sheet<HostingTermsPaper>, Failure> {
    let contract = state.own_hosting(customer.account, id).await?;
    let kind = [(axum::http::header::CONTENT_TYPE, "application/json")];
    Ok(Sheet::new((kind, contract.terms_bytes)))
}
