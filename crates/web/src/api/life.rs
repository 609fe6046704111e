//! What happens to a contract beside delivery, and what its owner decides: notices, work missed by the operator's
//! doing, pauses; and what everybody may see of it.

use crate::api::contracts::{QuoteBody, quote_body};
use crate::api::page::Page;
use crate::api::{Money, Rate, Time, amount, rate, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::openapi::{Answer, Fine, List, Made, answers, requests};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use gruve_market::{
    Choice, LosingStretch, Notice, NoticePlace, OwedLine, PauseDecision, PlanLife, ThDay, UsdDue,
};
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, LaneId, Timestamp};

/// Rows of each kind listed with a contract.
const ROWS: u32 = 500;

answers! {
    /// What stands beside delivery. Of each list the newest 500.
    struct LifeBody {
        /// Of which contract.
        contract: ContractId,
        /// Its state.
        state: String,
        /// The contract that it follows without a gap.
        renews: Option<ContractId>,
        /// Work that was paid for in coins instead of being delivered.
        compensated: Hashes,
        /// Work missed by the operator's doing that its owner has not decided about.
        undecided: Hashes,
        /// Since when its clock stands still.
        paused_since: Option<EpochNumber>,
        /// Epochs that its clock stood still, paused or frozen.
        paused_epochs: u64,
        /// From which epoch on it gets nothing, because its payment is disputed.
        frozen_since: Option<EpochNumber>,
        /// As sold.
        rules: PlanLife,
        /// How it is to go on.
        going_on: GoingOnBody,
        /// Work missed by the operator's doing.
        owed: Vec<OwedBody>,
        /// Whether it was to pause.
        decisions: Vec<DecisionBody>,
        /// When it cost more than it earned and ran on, as its plan says.
        losses: Vec<LossBody>,
        /// What it was to pay in dollars.
        usd_dues: Vec<DueBody>,
        /// What it had to say.
        notices: Vec<NoticeBody>,
    }

    /// What its owner wants done by itself, and what he can do now.
    struct GoingOnBody {
        /// It runs although it does not pay.
        keep_running: bool,
        /// It is renewed from the balance up to this price.
        renew_max_minor: Option<i64>,
        /// Its earnings buy more.
        reinvest: bool,
        /// The contract that follows it without a gap, paid or not.
        renewed_by: Option<ContractId>,
        /// How many epochs of work or time may be left of it when it is renewed by hand.
        renewable_epochs: u64,
        /// Whether it can be renewed by hand now.
        is_renewable: bool,
    }

    /// Work missed by the operator's doing in one epoch.
    struct OwedBody {
        /// Which.
        epoch: EpochNumber,
        /// Why it was missed.
        kind: String,
        /// How much.
        work: Hashes,
        /// Whether and how it was decided.
        state: String,
        /// Until when.
        deadline_epoch: EpochNumber,
        /// When.
        decided_at: Option<Time>,
        /// What was paid for it.
        paid: Vec<Money>,
    }

    /// Whether a contract was to pause.
    struct DecisionBody {
        /// In which epoch it was decided.
        epoch: EpochNumber,
        /// The price's instant.
        price_instant: Time,
        /// What a TH/s earned in a day, millionths of a dollar.
        earns_usd_micro_per_th_day: i64,
        /// What it cost.
        costs_usd_micro_per_th_day: i64,
        /// What was decided.
        decision: String,
        /// From which epoch on it counts.
        effective_epoch: EpochNumber,
    }

    /// A time in which a contract that runs on cost more than it earned.
    struct LossBody {
        /// From the epoch at whose end that was seen.
        from_epoch: EpochNumber,
        /// What was seen then.
        began: ThDayBody,
        /// Until the epoch at whose end it was seen to be over; null while it lasts.
        until_epoch: Option<EpochNumber>,
        /// What was seen then; null where the contract ended.
        over: Option<ThDayBody>,
    }

    /// What a TH/s earns in a day after the plan's fee, and what it costs in maintenance.
    struct ThDayBody {
        /// Earned. What merge-mined coins earn besides is not counted.
        earns: Money,
        /// Charged.
        costs: Money,
        /// The price's instant; null where both are counted in the coin.
        price_instant: Option<Time>,
    }

    /// Dollars that were due.
    struct DueBody {
        /// Up to which epoch.
        to_epoch: EpochNumber,
        /// The price's instant.
        instant: Time,
        /// How much.
        usd: Money,
        /// Millionths of a dollar for a coin.
        price_usd_micro: Option<i64>,
    }

    /// What a contract had to say.
    struct NoticeBody {
        /// Which.
        contract: ContractId,
        /// A word for it.
        kind: &'static str,
        /// The epoch or number that it is about.
        about: u64,
        /// When.
        at: Time,
        /// The same in a sentence.
        text: &'static str,
        /// What else there is to know.
        detail: String,
    }

    /// What was decided.
    struct ChoiceBody {
        /// About which contract.
        contract: ContractId,
        /// About which epoch.
        epoch: EpochNumber,
        /// `later` or `earnings`.
        choice: &'static str,
    }

    /// Whether it is to run on.
    struct KeepBody {
        /// Which contract.
        contract: ContractId,
        /// Whether.
        keep: bool,
    }

    /// What is wanted of a contract.
    struct WishBody {
        /// Which.
        contract: ContractId,
        /// It is renewed from the balance up to this price.
        renew_max_minor: Option<i64>,
        /// Its earnings buy more.
        reinvest: bool,
    }

    /// An epoch in which leases were short.
    struct ShortBody {
        /// Which.
        epoch: EpochNumber,
        /// Since when.
        short_since: EpochNumber,
        /// Work missing.
        missing: Hashes,
        /// Of it by the operator's doing; null before it is judged.
        caused: Option<Hashes>,
        /// What the operator had recorded.
        declared: Hashes,
        /// What his machines did elsewhere.
        elsewhere: Hashes,
    }

    /// What the operator recorded of machines taken away.
    struct ActBody {
        /// Its number.
        number: u64,
        /// `idle` or what else became of them.
        what: String,
        /// How much hashpower.
        hashrate: Rate,
        /// From when.
        from_epoch: EpochNumber,
        /// Until when.
        until_epoch: Option<EpochNumber>,
        /// In his words.
        note: String,
        /// When it was recorded.
        recorded_at: Time,
    }

    /// A recorded price.
    struct PriceBody {
        /// The instant it is for.
        instant: Time,
        /// Millionths of a dollar for a coin.
        usd_micro: i64,
        /// The sources it is the median of.
        sources: Vec<String>,
        /// When it was written down.
        recorded_at: Time,
    }
}

requests! {
    /// What is decided about which epoch.
    struct Decided {
        /// Which.
        epoch: EpochNumber,
        /// `later` or `earnings`.
        choice: String,
    }

    /// Whether it is to run on.
    struct Keep {
        /// Whether.
        keep: bool,
    }

    /// For how long.
    struct Renewal {
        /// One of the plan's terms.
        term_epochs: u64,
    }

    /// What is wanted of a contract.
    struct Wish {
        /// It is renewed from the balance up to this price.
        renew_max_minor: Option<i64>,
        /// Its earnings buy more.
        reinvest: bool = default,
    }

    /// Of which lane, and which page.
    struct OfLanePage {
        /// The lane's name.
        lane: LaneId,
        /// Rows at most, 1 to 500; 100 if left out.
        limit: Option<u32>,
        /// `next` of the page before.
        after: Option<String>,
    }

    /// Of which coin, and which page.
    struct OfAssetPage {
        /// `BTC`, …
        asset: String,
        /// Rows at most, 1 to 500; 100 if left out.
        limit: Option<u32>,
        /// `next` of the page before.
        after: Option<String>,
    }
}

/// `GET /api/v1/contracts/{id}/life`
pub(crate) async fn life(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<LifeBody>, Failure> {
    let c = state.contract(customer.account, id).await?;
    let failed = |e| market_failure(&e);
    let market = state.market();
    let owed = market.owed(customer.account, id, ROWS).await.map_err(failed)?;
    let notices = market.notices(customer.account, Some(id), ROWS).await.map_err(failed)?;
    let decisions = market.pause_decisions(id, ROWS).await.map_err(failed)?;
    let losses = market.losing_stretches(id, None, ROWS).await.map_err(failed)?;
    let dues = market.usd_dues(id, ROWS).await.map_err(failed)?;
    let on = market.going_on(customer.account, id).await.map_err(failed)?;
    Ok(Answer(LifeBody {
        contract: id,
        state: c.state.name().to_owned(),
        renews: c.life.renews,
        compensated: c.life.compensated,
        undecided: c.life.undecided,
        paused_since: c.life.paused_since,
        paused_epochs: c.life.paused_epochs,
        frozen_since: c.life.frozen_since,
        rules: c.life.rules,
        going_on: GoingOnBody {
            keep_running: on.keep_running,
            renew_max_minor: on.renew_max_minor,
            reinvest: on.reinvest,
            renewed_by: on.follower,
            renewable_epochs: on.renewable_epochs,
            is_renewable: on.is_renewable,
        },
        owed: owed.iter().map(owed_line).collect(),
        decisions: decisions.iter().map(decision).collect(),
        losses: losses.iter().map(loss).collect(),
        usd_dues: dues.iter().map(due).collect(),
        notices: notices.iter().map(notice).collect(),
    }))
}

pub(crate) fn owed_line(o: &OwedLine) -> OwedBody {
    OwedBody {
        epoch: o.epoch,
        kind: o.kind.clone(),
        work: o.hashes,
        state: o.state.clone(),
        deadline_epoch: o.deadline,
        decided_at: o.decided.map(time),
        paid: o.paid.iter().map(|a| amount(*a)).collect(),
    }
}

pub(crate) fn decision(d: &PauseDecision) -> DecisionBody {
    DecisionBody {
        epoch: d.epoch,
        price_instant: time(d.price_instant),
        earns_usd_micro_per_th_day: d.earns_micro,
        costs_usd_micro_per_th_day: d.costs_micro,
        decision: d.decision.clone(),
        effective_epoch: d.effective,
    }
}

pub(crate) fn loss(l: &LosingStretch) -> LossBody {
    LossBody {
        from_epoch: l.from,
        began: th_day(&l.began),
        until_epoch: l.until,
        over: l.over.as_ref().map(th_day),
    }
}

pub(crate) fn th_day(d: &ThDay) -> ThDayBody {
    ThDayBody {
        earns: amount(d.earns),
        costs: amount(d.costs),
        price_instant: d.price_instant.map(time),
    }
}

pub(crate) fn due(d: &UsdDue) -> DueBody {
    DueBody {
        to_epoch: d.to_epoch,
        instant: time(d.instant),
        usd: amount(d.usd),
        price_usd_micro: d.usd_micro,
    }
}

fn notice(n: &Notice) -> NoticeBody {
    NoticeBody {
        contract: n.contract,
        kind: n.kind.key(),
        about: n.about,
        at: time(n.at),
        text: n.kind.sentence(),
        detail: n.detail.clone(),
    }
}

/// The choice of that name.
pub(crate) fn choice_of(name: &str) -> Result<Choice, Failure> {
    let known = [Choice::Later, Choice::Earnings].into_iter().find(|c| c.name() == name);
    known.ok_or_else(|| Failure::refused("The choice is later or earnings.".to_owned()))
}

/// `POST /api/v1/contracts/{id}/choices`: about work missed by the operator's doing. The same again gives the same.
pub(crate) async fn choose(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(decided): Json<Decided>,
) -> Result<Fine<ChoiceBody>, Failure> {
    let choice = choice_of(&decided.choice)?;
    state.choose(customer.account, id, decided.epoch, choice).await?;
    Ok(Answer(ChoiceBody { contract: id, epoch: decided.epoch, choice: choice.name() }))
}

/// `POST /api/v1/contracts/{id}/keep-running`
pub(crate) async fn keep_running(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(wish): Json<Keep>,
) -> Result<Fine<KeepBody>, Failure> {
    state.keep_running(customer.account, id, wish.keep).await?;
    Ok(Answer(KeepBody { contract: id, keep: wish.keep }))
}

/// `POST /api/v1/contracts/{id}/renewals`: a quote for going on without a gap, to be bought like any other.
pub(crate) async fn renew(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(renewal): Json<Renewal>,
) -> Result<Made<QuoteBody>, Failure> {
    let quote = state.market().quote_renewal(customer.account, id, renewal.term_epochs).await;
    Ok(Answer(quote_body(quote.map_err(|e| market_failure(&e))?)))
}

/// `POST /api/v1/contracts/{id}/wishes`: to be renewed from the balance up to a price; that earnings buy more.
pub(crate) async fn wish(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(w): Json<Wish>,
) -> Result<Fine<WishBody>, Failure> {
    let wished = state.market().wish(customer.account, id, w.renew_max_minor, w.reinvest).await;
    wished.map_err(|e| market_failure(&e))?;
    let (renew_max_minor, reinvest) = (w.renew_max_minor, w.reinvest);
    Ok(Answer(WishBody { contract: id, renew_max_minor, reinvest }))
}

/// `GET /api/v1/notices`
pub(crate) async fn notices(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<NoticeBody>>, Failure> {
    let (before, wanted) = (page.behind::<NoticePlace>()?, page.wanted()?);
    let all = state.market().notices_before(customer.account, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, Notice::place, notice)
}

impl OfLanePage {
    fn page(&self) -> Page {
        Page { limit: self.limit, after: self.after.clone() }
    }
}

/// `GET /api/v1/short-epochs?lane=…`: epochs in which leases were short, and what of it the operator caused.
pub(crate) async fn short_epochs(
    State(state): State<AppState>,
    Params(q): Params<OfLanePage>,
) -> Result<Fine<List<ShortBody>>, Failure> {
    let failed = |e| market_failure(&e);
    let page = q.page();
    state.market().lane(&q.lane).map_err(failed)?;
    let before = page.behind::<u64>()?.map(EpochNumber);
    let short = state.market().short_epochs_before(&q.lane, before, page.wanted()?).await;
    page.give(
        short.map_err(failed)?,
        |e| e.epoch.0,
        |e| ShortBody {
            epoch: e.epoch,
            short_since: e.since,
            missing: e.missing,
            caused: e.caused,
            declared: e.declared,
            elsewhere: e.elsewhere,
        },
    )
}

/// `GET /api/v1/acts?lane=…`: what the operator recorded himself.
pub(crate) async fn acts(
    State(state): State<AppState>,
    Params(q): Params<OfLanePage>,
) -> Result<Fine<List<ActBody>>, Failure> {
    let failed = |e| market_failure(&e);
    let page = q.page();
    state.market().lane(&q.lane).map_err(failed)?;
    let acts = state.market().acts_before(&q.lane, page.behind()?, page.wanted()?).await;
    page.give(
        acts.map_err(failed)?,
        |a| a.id,
        |a| ActBody {
            number: a.id,
            what: a.what.clone(),
            hashrate: rate(a.hashrate),
            from_epoch: a.from,
            until_epoch: a.until,
            note: a.note.clone(),
            recorded_at: time(a.recorded),
        },
    )
}

/// `GET /api/v1/prices?asset=BTC`: the recorded prices in dollars, newest first.
pub(crate) async fn prices(
    State(state): State<AppState>,
    Params(q): Params<OfAssetPage>,
) -> Result<Fine<List<PriceBody>>, Failure> {
    let asset: Asset = q.asset.parse().map_err(|_| Failure::refused(sentence("no such asset")))?;
    let page = Page { limit: q.limit, after: q.after };
    let before = page.behind::<i64>()?.map(Timestamp);
    let all = state.market().prices_before(asset, before, page.wanted()?).await;
    page.give(
        all.map_err(|e| market_failure(&e))?,
        |p| p.instant.0,
        |p| PriceBody {
            instant: time(p.instant),
            usd_micro: p.usd_micro,
            sources: p.sources.clone(),
            recorded_at: time(p.recorded),
        },
    )
}
