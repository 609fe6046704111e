//! What anybody may read: lanes, plans, blocks, epochs, the books.

use crate::api::page::Page;
use crate::api::{Hex, Money, Rate, Time, amount, hexed, rate, time};
use crate::extract::Params;
use crate::failure::Failure;
use crate::figures::LuckView;
use crate::money::shown_hash;
use crate::network::{self, ChainFigures};
use crate::openapi::{Answer, Fine, List, answers, requests};
use crate::state::AppState;
use crate::view::{BookLine, block_state};
use axum::extract::State;
use gruve_market::{BlockPlace, BlockView, EpochView, Plan, PlanLife, Scheme};
use gruve_units::{Algorithm, Asset, EpochNumber, Hashes, LaneId, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

answers! {
    /// A lane: a stream of work.
    struct LaneBody {
        /// Its name.
        lane: LaneId,
        /// Its own asset.
        asset: Asset,
        /// All that its work earns.
        assets: Vec<Asset>,
        /// Merge-mined chains.
        aux: Vec<AuxBody>,
        /// `sha256d`, `scrypt`, `ethash` or `etchash`.
        algorithm: Algorithm,
        /// Coin and network in words.
        network: String,
        /// Where machines connect.
        stratum: Option<String>,
        /// Length of an epoch, rounded down to seconds.
        epoch_seconds: u64,
        /// Length of an epoch.
        epoch_micros: u64,
        /// Work of the capacity window as a rate.
        hashrate: Rate,
        /// The house's own of it.
        house_hashrate: Rate,
        /// Proven of the house's.
        proven_capacity: Rate,
        /// Under contract.
        sold: Rate,
        /// Left for sale after the reserve.
        available: Rate,
        /// Sold beyond what may be sold now: nothing is sold meanwhile.
        oversold: Rate,
        /// Of the last job, as text.
        difficulty: Option<String>,
        /// Of the last job.
        height: Option<u64>,
        /// The last closed epoch.
        last_closed_epoch: Option<EpochNumber>,
        /// Counted in closed epochs.
        shares: u64,
        /// Counted in closed epochs.
        blocks_found: u64,
        /// What its work found against what it should have found.
        luck: LuckBody,
        /// Miners connected now.
        machines: usize,
        /// What is kept of what customers' own machines earn, hundredths of a percent.
        own_machines_fee_bps: u16,
        /// Figures of the public chain; null until its blocks are known.
        chain: Option<ChainFigures>,
    }

    /// All work of a lane so far against the blocks of its own chain; one that was orphaned later counts as found.
    struct LuckBody {
        /// Blocks that it found.
        found: u64,
        /// Blocks that it should have found, to a thousandth, rounded down, as text.
        expected: String,
        /// Found of expected in per cent, to a tenth, rounded down, as text; null before there was work.
        percent: Option<String>,
    }

    /// A chain that is merge-mined.
    struct AuxBody {
        /// Its asset.
        asset: Asset,
        /// Of the last job, as text.
        difficulty: Option<String>,
        /// Of the last job.
        height: Option<u64>,
        /// Counted in closed epochs.
        blocks_found: u64,
        /// Figures of the public chain; null until its blocks are known.
        chain: Option<ChainFigures>,
    }

    /// A plan on offer. Units are those of the configuration.
    struct PlanBody {
        /// Its id.
        plan: String,
        /// Its version.
        version: u32,
        /// Its title.
        title: String,
        /// Where it is worked.
        lane: LaneId,
        /// The lane's own asset.
        asset: Asset,
        /// What else it earns.
        also_earns: Vec<Asset>,
        /// What it is paid in.
        pay_asset: Asset,
        /// `lease` or `metered`.
        kind: &'static str,
        /// How it earns.
        scheme: Scheme,
        /// Least hashrate.
        hashrate_min: Rate,
        /// Most.
        hashrate_max: Rate,
        /// In steps of.
        hashrate_step: Rate,
        /// Terms on offer.
        terms_epochs: Vec<u64>,
        /// The shortest.
        term_epochs_min: Option<u64>,
        /// The longest.
        term_epochs_max: Option<u64>,
        /// Length of an epoch.
        epoch_micros: u64,
        /// For `price_hashrate` and 86,400 s.
        price: Money,
        /// For which rate the price is.
        price_hashrate: Rate,
        /// The operator's part of earnings, hundredths of a per cent.
        fee_bps: u16,
        /// Maintenance taken of earnings.
        maintenance_minor_per_th_day: u64,
        /// The same of other assets.
        maintenance_also: Vec<MaintenanceBody>,
        /// How fast missing work is made good.
        catch_up_bps: u32,
        /// By how much the end is put off at most.
        extension_epochs: u64,
        /// What a contract of it is sold under besides: maintenance in dollars, what happens while it does not pay.
        rules: PlanLife,
    }

    /// Maintenance taken of one asset's earnings.
    struct MaintenanceBody {
        /// Which.
        asset: Asset,
        /// How much.
        minor_per_th_day: u64,
    }

    /// A block found.
    struct BlockBody {
        /// By which lane.
        lane: LaneId,
        /// On which chain.
        asset: Asset,
        /// Its height.
        height: u64,
        /// As explorers write it.
        hash: String,
        /// In which epoch.
        epoch: EpochNumber,
        /// When.
        found_at: Time,
        /// What it paid.
        reward: Option<Money>,
        /// `found`, `refused`, `maturing`, `mature`, `orphaned`, or `paid-owner` of one that paid the owner of the machine itself.
        state: &'static str,
        /// Of an orphaned one: the block that has its height, as far back as blocks are kept.
        lost_to: Option<String>,
        /// When its reward can be spent.
        matures_at_height: u64,
    }

    /// A closed epoch. `allocated + surplus = house_work`.
    struct EpochBody {
        /// Of which lane.
        lane: LaneId,
        /// Which.
        epoch: EpochNumber,
        /// When it began.
        started_at: Time,
        /// When it was closed.
        closed_at: Time,
        /// Empty epochs before it without a row.
        skipped: u64,
        /// Shares of it.
        shares: u64,
        /// By the house's machines.
        house_work: Hashes,
        /// By others.
        other_work: Hashes,
        /// For contracts.
        allocated: Hashes,
        /// Left to the house.
        surplus: Hashes,
        /// All work as a rate.
        hashrate: Rate,
        /// Root of the tree of its shares.
        share_root: Hex,
        /// Its checkpoint.
        checkpoint: Hex,
    }

    /// The books.
    struct BooksBody {
        /// Whether all of them add up.
        adds_up: bool,
        /// By asset.
        assets: Vec<BooksOfAsset>,
    }

    /// The books of one asset.
    struct BooksOfAsset {
        /// Which.
        asset: Asset,
        /// All that blocks brought.
        block_rewards: Money,
        /// Where that is: `customers`, `operator`, `window_reserve`, `fpps_reserve`, `maturing`, `remainder`.
        parts: BTreeMap<String, Money>,
        /// By the wallet's table of coins.
        wallet_on_chain: Money,
        /// On Ethash chains the wei below a gwei.
        wei_below: Option<u32>,
        /// What the books say that the wallet holds: `hot`, `maturing`.
        wallet_in_books: BTreeMap<String, Money>,
        /// The ledger's totals by kind.
        accounts: BTreeMap<String, Money>,
        /// Whether it adds up.
        adds_up: bool,
        /// What does not, in sentences.
        differences: Vec<String>,
    }
}

requests! {
    /// Of which lane, and which page.
    struct RowsOf {
        /// The lane's name; all lanes if left out.
        lane: Option<LaneId>,
        /// Rows at most, 1 to 500; 100 if left out.
        limit: Option<u32>,
        /// `next` of the page before.
        after: Option<String>,
    }
}

/// `GET /api/v1/lanes`
pub(crate) async fn lanes(State(state): State<AppState>) -> Result<Fine<List<LaneBody>>, Failure> {
    let mut all = Vec::new();
    for l in state.lanes().await? {
        let s = &l.stats;
        all.push(LaneBody {
            lane: s.lane.clone(),
            asset: s.asset,
            assets: l.assets(),
            aux: l.aux_figures(),
            algorithm: s.algorithm,
            network: l.network.clone(),
            stratum: l.stratum.clone(),
            epoch_seconds: s.epoch_us / 1_000_000,
            epoch_micros: s.epoch_us,
            hashrate: rate(s.hashrate),
            house_hashrate: rate(s.house_hashrate),
            proven_capacity: rate(s.proven_capacity),
            sold: rate(s.sold),
            available: rate(s.available),
            oversold: rate(s.oversold),
            difficulty: l.difficulty(),
            height: s.height,
            last_closed_epoch: s.last_closed,
            shares: s.shares,
            blocks_found: s.blocks_found,
            luck: luck(&state.luck(&s.lane).await?),
            machines: l.machines,
            own_machines_fee_bps: state.market().lane(&s.lane)?.outside_fee_bps.get(),
            chain: l.network(s.asset).map(|n| network::figures(s.asset, n)),
        });
    }
    Ok(List::whole(all))
}

pub(crate) fn luck(of: &LuckView) -> LuckBody {
    LuckBody {
        found: of.found,
        expected: of.expected_text(),
        percent: of.permille.map(|p| format!("{}.{}", p / 10, p % 10)),
    }
}

/// `GET /api/v1/plans`
pub(crate) async fn plans(State(state): State<AppState>) -> Fine<List<PlanBody>> {
    List::whole(state.market().plans().iter().map(plan))
}

fn plan(p: &Plan) -> PlanBody {
    let also =
        |(asset, minor): &(Asset, u64)| MaintenanceBody { asset: *asset, minor_per_th_day: *minor };
    PlanBody {
        plan: p.id.clone(),
        version: p.version,
        title: p.title.clone(),
        lane: p.lane.clone(),
        asset: p.asset,
        also_earns: p.also_earns.clone(),
        pay_asset: p.pay_asset,
        kind: p.kind.name(),
        scheme: p.scheme,
        hashrate_min: rate(p.hashrate_min),
        hashrate_max: rate(p.hashrate_max),
        hashrate_step: rate(p.hashrate_step),
        terms_epochs: p.terms_epochs.clone(),
        term_epochs_min: p.terms_epochs.iter().min().copied(),
        term_epochs_max: p.terms_epochs.iter().max().copied(),
        epoch_micros: p.epoch_us,
        price: amount(p.price),
        price_hashrate: rate(p.price_hashrate),
        fee_bps: p.fee_bps.get(),
        maintenance_minor_per_th_day: p.maintenance_minor_per_th_day,
        maintenance_also: p.maintenance_also.iter().map(also).collect(),
        catch_up_bps: p.catch_up_bps,
        extension_epochs: p.extension_epochs,
        rules: p.life.clone(),
    }
}

impl RowsOf {
    fn page(&self) -> Page {
        Page { limit: self.limit, after: self.after.clone() }
    }

    /// The lane asked for, or all of them.
    fn lanes(&self, state: &AppState) -> Result<Vec<LaneId>, Failure> {
        let all = state.market().config().lanes.iter().map(|l| l.lane.clone());
        match &self.lane {
            None => Ok(all.collect()),
            Some(wanted) => {
                let found: Vec<LaneId> = all.filter(|l| l == wanted).collect();
                if found.is_empty() { Err(Failure::not_found("lane")) } else { Ok(found) }
            }
        }
    }
}

/// A row's place in a list over all lanes: newest first, and by lane where two are equally new.
struct Among<P> {
    lane: LaneId,
    place: P,
}

impl<P: fmt::Display> fmt::Display for Among<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", String::from(self.lane.clone()), self.place)
    }
}

impl<P: FromStr> FromStr for Among<P> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (lane, place) = text.split_once(' ').ok_or(())?;
        let (lane, place) = (lane.parse().map_err(drop)?, place.parse().map_err(drop)?);
        Ok(Among { lane, place })
    }
}

/// `GET /api/v1/blocks?lane=&limit=&after=`, newest first.
pub(crate) async fn blocks(
    State(state): State<AppState>,
    Params(of): Params<RowsOf>,
) -> Result<Fine<List<BlockBody>>, Failure> {
    let page = of.page();
    let (wanted, behind) = (page.wanted()?, page.behind::<Among<BlockPlace>>()?);
    let mut all: Vec<BlockView> = Vec::new();
    for lane in of.lanes(&state)? {
        // Lanes that come later in the list have rows of that instant still to be shown.
        let before = behind.as_ref().map(|b| match lane.cmp(&b.lane) {
            std::cmp::Ordering::Equal => b.place,
            std::cmp::Ordering::Less => b.place.first_of_instant(),
            std::cmp::Ordering::Greater => b.place.last_of_instant(),
        });
        all.extend(state.market().blocks_before(&lane, before, wanted).await?);
    }
    all.sort_by(|a, b| {
        let newest = b.at.cmp(&a.at).then_with(|| a.lane.cmp(&b.lane));
        newest.then_with(|| b.place().cmp(&a.place()))
    });
    all.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
    page.give(
        all,
        |b| Among { lane: b.lane.clone(), place: b.place() },
        |b| BlockBody {
            lane: b.lane.clone(),
            asset: b.asset,
            height: b.height,
            hash: shown_hash(&b.block_hash),
            epoch: b.epoch,
            found_at: time(b.at),
            reward: b.reward.map(amount),
            state: block_state(b.state).code,
            lost_to: b.lost_to.as_ref().map(shown_hash),
            matures_at_height: b.matures_at,
        },
    )
}

/// `GET /api/v1/epochs?lane=&limit=&after=`, newest first.
pub(crate) async fn epochs(
    State(state): State<AppState>,
    Params(of): Params<RowsOf>,
) -> Result<Fine<List<EpochBody>>, Failure> {
    let page = of.page();
    let (wanted, behind) = (page.wanted()?, page.behind::<Among<i64>>()?);
    let mut all: Vec<EpochView> = Vec::new();
    for lane in of.lanes(&state)? {
        let before = behind.as_ref().map(|b| {
            let instant = Timestamp(b.place);
            // Lanes that come later in the list have their epoch of that instant still to be shown.
            if lane > b.lane { Timestamp(instant.0.saturating_add(1)) } else { instant }
        });
        all.extend(state.market().epochs_before(&lane, before, wanted).await?);
    }
    all.sort_by(|a, b| b.start.cmp(&a.start).then_with(|| a.lane.cmp(&b.lane)));
    all.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
    page.give(all, |e| Among { lane: e.lane.clone(), place: e.start.0 }, epoch)
}

fn epoch(e: &EpochView) -> EpochBody {
    EpochBody {
        lane: e.lane.clone(),
        epoch: e.epoch,
        started_at: time(e.start),
        closed_at: time(e.closed_at),
        skipped: e.skipped,
        shares: e.shares,
        house_work: e.house_work,
        other_work: e.other_work,
        allocated: e.allocated,
        surplus: e.surplus,
        hashrate: rate(e.hashrate),
        share_root: hexed(e.share_root),
        checkpoint: hexed(e.checkpoint),
    }
}

/// `GET /api/v1/reconciliation`
pub(crate) async fn reconciliation(
    State(state): State<AppState>,
) -> Result<Fine<BooksBody>, Failure> {
    let books = state.books().await?;
    let lines = |of: &[BookLine]| -> BTreeMap<String, Money> {
        of.iter().map(|l| (l.code.to_owned(), amount(l.amount))).collect()
    };
    let assets = books.iter().map(|b| BooksOfAsset {
        asset: b.asset,
        block_rewards: amount(b.rewards),
        parts: lines(&b.parts),
        wallet_on_chain: amount(b.wallet_on_chain),
        wei_below: b.wei_below,
        wallet_in_books: lines(&b.wallet),
        accounts: lines(&b.accounts),
        adds_up: b.adds_up,
        differences: b.differences.clone(),
    });
    let adds_up = books.iter().all(|b| b.adds_up);
    Ok(Answer(BooksBody { adds_up, assets: assets.collect() }))
}
