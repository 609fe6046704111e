//! Owners who are paid by the block itself: who they are in the epoch that runs, and which of their places are to be
//! published.
//!
//! | who | what it takes |
//! |---|---|
//! | [`InBlock::load`], every second | wishes, addresses, schemes, what guards payouts: from the database into memory |
//! | a lane's entry of the log | the house's place, and all places that owners have or will have |
//! | a lane's jobs | whoever is to be paid in their epoch, at places that were published with their checkpoint |
//!
//! Of an owner who has agreed on less than the lane's fee blocks pay the house.
//!
//! Promises: a job pays an owner only where the account's own machines earn by SOLO in the job's epoch, which is settled when
//! that epoch begins: so what is in memory counts for the epoch that it was read in and for no later one. Until it is
//! read anew blocks pay the house, which credits their finder as always.

use super::error::HouseError;
use super::hosted::Owners;
use super::rules::epoch_rule;
use super::{Parts, StartError, nodes};
use crate::config::Config;
use gruve_accounts::Accounts;
use gruve_chain::{ChainParams, Family, script_for_address};
use gruve_hosting::{Hosting, Part};
use gruve_market::{Market, Scheme};
use gruve_proof::places::{HouseFee, Payees};
use gruve_sharelog::Owner;
use gruve_store::{Store, Tx};
use gruve_stratum::Destination;
use gruve_treasury::{PayoutPolicy, Treasury};
use gruve_units::{AccountId, Blame, Blamed, Bps, Clock, EpochNumber, EpochRule, LaneId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often wishes are looked at: jobs of an epoch follow its beginning by so much.
const LOOK_EVERY: Duration = Duration::from_secs(1);

// What may be wished is what jobs are made for, and partners as many as readers know of.
const _: () = assert!(gruve_hosting::IN_BLOCK_MAX == gruve_stratum::limits::DESTINATIONS_MAX);
const _: () = assert!(gruve_hosting::PARTS_MAX == gruve_proof::places::PAYEES_MAX);

/// An owner's script, or several.
type Place = (AccountId, Payees);

/// What is known of a lane.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// The epoch in which it was read.
    epoch: EpochNumber,
    /// Who is to be paid by blocks of that epoch.
    destinations: Vec<Destination>,
    /// The places that owners have or will have.
    places: BTreeSet<Place>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct InBlock {
    lanes: RwLock<BTreeMap<LaneId, Lane>>,
}

/// Where it is read from.
pub(super) struct Sources {
    pub(super) store: Store,
    pub(super) hosting: Hosting,
    pub(super) market: Market,
    pub(super) accounts: Accounts,
    pub(super) treasury: Treasury,
    pub(super) owners: Arc<Owners>,
    pub(super) clock: Arc<dyn Clock>,
    /// The lanes whose jobs have coinbases.
    pub(super) lanes: Vec<(LaneId, ChainParams, EpochRule)>,
}

impl Sources {
    /// Of a house.
    ///
    /// # Errors
    /// When a lane's settings cannot be used.
    pub(super) fn of(parts: &Parts, config: &Config) -> Result<Sources, StartError> {
        let mut lanes = Vec::new();
        for lane in &config.lanes {
            let params = nodes::chain_params(lane)?;
            if params.family() == Family::Bitcoin {
                lanes.push((lane.id.clone(), params, epoch_rule(lane)));
            }
        }
        Ok(Sources {
            store: parts.store.clone(),
            hosting: parts.hosting.clone(),
            market: parts.market.clone(),
            accounts: parts.accounts.clone(),
            treasury: parts.treasury.clone(),
            owners: parts.owners.clone(),
            clock: parts.clock.clone(),
            lanes,
        })
    }
}

impl InBlock {
    /// Who is to be paid by blocks of an epoch, before it is known what was published.
    pub(super) fn destinations(&self, lane: &LaneId, epoch: EpochNumber) -> Vec<Destination> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        let own = lanes.get(lane).filter(|own| own.epoch == epoch);
        own.map(|own| own.destinations.clone()).unwrap_or_default()
    }

    /// The places that owners have or will have.
    pub(super) fn places(&self, lane: &LaneId) -> BTreeSet<Place> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes.get(lane).map(|own| own.places.clone()).unwrap_or_default()
    }

    /// Reads all lanes.
    pub(super) async fn load(&self, from: &Sources) -> Result<(), HouseError> {
        for (lane, params, rule) in &from.lanes {
            let read = read(from, lane, params, *rule).await?;
            let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
            lanes.insert(lane.clone(), read);
        }
        Ok(())
    }
}

async fn read(
    from: &Sources,
    lane: &LaneId,
    params: &ChainParams,
    rule: EpochRule,
) -> Result<Lane, HouseError> {
    let now = from.clock.now();
    let mut own = Lane { epoch: rule.at(now), ..Lane::default() };
    let mut tx = from.store.read().await?;
    let fee = from.market.lane(lane)?.outside_fee_bps;
    // A fee of everything leaves an owner nothing to be paid.
    let is_paid = fee.get() < Bps::ONE;
    let wishes = match is_paid {
        true => from.hosting.in_block(&mut tx, lane).await?,
        false => Vec::new(),
    };
    // One fee is published for all of a lane's blocks: where it is more than an owner has agreed to, the house is paid, which
    // credits by what was agreed.
    let agreed = from.hosting.agreed_fees(&mut tx, lane, now).await?;
    let is_agreed = |who: AccountId| agreed.get(&who).is_none_or(|own| fee <= *own);
    let least = least_output(params);
    let mut candidates = Vec::new();
    for wish in &wishes {
        let places = wish.all_payees().filter_map(|all| payees_of(params, &all));
        own.places.extend(places.map(|payees| (wish.account, payees)));
        let is_its = from.owners.owner_in(wish.machine, own.epoch, Owner::House)
            == Owner::Account(wish.account);
        if let Some(all) = wish.payees_at(now)
            && let Some(payees) = payees_of(params, &all)
            && is_its
            && wish.counts_in(own.epoch)
            && is_agreed(wish.account)
            && earns_alone(from, &mut tx, lane, wish.account, own.epoch).await?
            && is_allowed(from.treasury.refuse_if_disputed(&mut tx, wish.account).await)?
        {
            candidates.push((wish, all, payees));
        }
    }
    tx.rollback().await?;
    'wishes: for (wish, all, payees) in candidates {
        for part in &all {
            let in_book = from.accounts.may_pay_to(wish.account, params.asset, &part.address).await;
            if !is_allowed(in_book)? {
                continue 'wishes;
            }
        }
        let Payees { script, others } = payees;
        let mut all = own.destinations.iter_mut();
        let same = |d: &&mut Destination| {
            d.owner == wish.account && d.script == script && d.others == others
        };
        match all.find(same) {
            Some(known) => {
                known.machines.insert(wish.machine);
            }
            None => {
                let machines = BTreeSet::from([wish.machine]);
                let (owner, fee) = (wish.account, Bps::ZERO);
                let new = Destination { owner, script, others, machines, fee, least };
                own.destinations.push(new);
            }
        }
    }
    Ok(own)
}

/// The scripts of a list of addresses. Only addresses of the chain are set; a list with one that it does not know any more pays
/// nobody.
fn payees_of(params: &ChainParams, all: &[Part]) -> Option<Payees> {
    let script = |part: &Part| script_for_address(params, &part.address).ok();
    let (first, others) = all.split_first()?;
    let others = others.iter().map(|part| Some((script(part)?, part.bps)));
    Some(Payees { script: script(first)?, others: others.collect::<Option<_>>()? })
}

/// The least that an output of a block is made for: what no node calls dust, whatever its form. That of an output to the hash of a key
/// (25 bytes) is the highest of the usual forms.
pub(super) fn least_output(params: &ChainParams) -> i64 {
    let to_key_hash = [0x76; 25];
    PayoutPolicy::of(params).dust(&to_key_hash)
}

/// What the house takes of a lane's blocks that pay owners: the fee of all that own machines earn.
pub(super) fn house_fee(params: &ChainParams, bps: Bps) -> HouseFee {
    HouseFee { bps, least: u64::try_from(least_output(params)).unwrap_or_default() }
}

/// Whether the account's machines earn by SOLO in an epoch.
async fn earns_alone(
    from: &Sources,
    tx: &mut Tx,
    lane: &LaneId,
    account: AccountId,
    epoch: EpochNumber,
) -> Result<bool, HouseError> {
    let (scheme, _) = from.market.own_scheme_at(tx, account, lane, epoch).await?;
    Ok(scheme == Scheme::Solo)
}

/// Whether what was asked is allowed, or refused by a rule that it names.
fn is_allowed<E: Blamed + Into<HouseError>>(said: Result<(), E>) -> Result<bool, HouseError> {
    match said {
        Ok(()) => Ok(true),
        Err(e) if e.blame() == Blame::Rejected => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Looks at wishes until the house stops.
pub(super) async fn watch(
    from: Sources,
    in_block: Arc<InBlock>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        if let Err(error) = in_block.load(&from).await {
            tracing::warn!(%error, "cannot look up which owners are paid by the block: the house is paid");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::files::Holding;
    use gruve_chain::{NetworkName, address_for_script, params_for};
    use gruve_farm::{MachineState, NewInventory};
    use gruve_hosting::{HostingKind, OfferTerms, PayFrom};
    use gruve_store::transact;
    use gruve_units::{Amount, Asset, Hashrate, ManualClock, SeededEntropy, Timestamp};

    const CONFIG: &str = r#"
[house]
name = "House"
origin = "house.example/log"
data = "house"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
outside_fee_bps = 150
[lane.node]
url = "http://127.0.0.1:1"
[lane.stratum]
listen = "127.0.0.1:0"
"#;

    /// An owner who wishes to be paid by the blocks of a machine under SOLO, and has agreed on a fee, or on none, as in terms
    /// of before; from when on the machine is the owner's.
    async fn owner(parts: &Parts, n: u8, fee: Option<u16>) -> (AccountId, EpochNumber) {
        let lane: LaneId = "btc".parse().unwrap();
        let new = NewInventory {
            site: parts.farm.add_site("bergen").await.unwrap(),
            name: format!("hosted-{n}"),
            lane: lane.clone(),
            serial: format!("SN000{n}"),
            model: "S19 Pro".to_owned(),
            rack: "A-3".to_owned(),
            nameplate: Hashrate(350_000),
            watts: 3_250,
        };
        let machine = parts.farm.add_inventory(new).await.unwrap();
        parts.farm.set_state(machine, MachineState::Running).await.unwrap();
        let terms = OfferTerms {
            kind: HostingKind::Sold,
            scheme: gruve_hosting::Scheme::Solo,
            pay_from: PayFrom::Balance,
            asset: Asset::Btc,
            energy_minor_per_kwh: 100,
            fee_minor_per_day: 2_000,
            level: Bps::new(9_500).unwrap(),
            term_epochs: 0,
            minimum_payout_minor: 0,
            earnings_fee: fee.and_then(Bps::new),
        };
        let (who, nothing) = (AccountId::from_bytes([n; 16]), Amount::new(Asset::Btc, 0));
        let id = parts.hosting.offer(machine, who, terms, nothing).await.unwrap();
        let from = parts.hosting.accept(who, id).await.unwrap();
        let script = [&[0, 20][..], &[n; 20]].concat();
        let params = params_for(Asset::Btc, NetworkName::Dev).unwrap();
        let address = address_for_script(&params, &script).unwrap();
        parts.hosting.set_address(who, id, &address).await.unwrap();
        transact!(parts.store, tx -> Result<(), HouseError> => {
            parts.hosting.set_in_block_in(tx, who, id, true).await?;
            parts.market.set_own_scheme(tx, who, &lane, Scheme::Solo).await?;
            Ok(())
        })
        .unwrap();
        (who, from)
    }

    #[tokio::test]
    async fn blocks_pay_only_owners_who_have_agreed_on_the_lanes_fee_or_named_none() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::parse(CONFIG, dir.path()).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let parts = Parts::begin(&config, Holding::Alone, clock.clone(), entropy).await.unwrap();
        let mut owners = Vec::new();
        for (n, fee) in [(1, Some(149)), (2, Some(150)), (3, Some(151)), (4, None), (5, Some(0))] {
            owners.push(owner(&parts, n, fee).await);
        }
        let rule = epoch_rule(&config.lanes[0]);
        let epoch = owners.iter().map(|(_, from)| *from).max().unwrap();
        clock.set(rule.start(epoch));
        parts.owners.load(&parts.farm).await.unwrap();
        let in_block = InBlock::default();
        in_block.load(&Sources::of(&parts, &config).unwrap()).await.unwrap();
        let lane = &config.lanes[0].id;
        let paid: BTreeSet<_> =
            in_block.destinations(lane, epoch).iter().map(|to| to.owner).collect();
        let agreed = BTreeSet::from([1, 2, 3].map(|n: usize| owners[n].0));
        assert_eq!(paid, agreed, "the house where it would keep more than was agreed");
        assert_eq!(in_block.places(lane).len(), 5, "any of them may be paid once the fee falls");
        assert!(in_block.destinations(lane, epoch.next()).is_empty(), "not for a later epoch");
    }

    /// Two rooms that do not know each other say what the house gets: who makes jobs, and who checks them.
    #[test]
    fn jobs_pay_the_house_what_the_published_fee_says() {
        for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
            let params = params_for(asset, NetworkName::Mainnet).unwrap();
            let least = least_output(&params);
            for bps in [0, 1, 50, 150, 3_333, 9_999] {
                let fee = house_fee(&params, Bps::new(bps).unwrap());
                let (owner, script) = (AccountId::from_bytes([1; 16]), vec![0x51]);
                let machines = BTreeSet::new();
                let (others, fee_bps) = (Vec::new(), fee.bps);
                let to = Destination { owner, script, others, machines, fee: fee_bps, least };
                for whole in [1, least, least * 200, 312_500_001, 999_999_999_999_999] {
                    let Some(all) = to.outputs(&[0x52], whole) else { continue };
                    let house: i64 = all.iter().filter(|o| o.0 == [0x52]).map(|o| o.1).sum();
                    let whole = u64::try_from(whole).unwrap();
                    assert_eq!(
                        u64::try_from(house).unwrap(),
                        fee.of(whole),
                        "{asset} {bps} {whole}"
                    );
                }
            }
        }
        // And what it leaves, to partners as they are published.
        let script = vec![0x51];
        for parts in [&[3_333][..], &[100, 9_800], &[1_250; 7]] {
            let others: Vec<_> = (1_u8..)
                .zip(parts)
                .map(|(n, bps)| (vec![0x52, n], Bps::new(*bps).unwrap()))
                .collect();
            let to = Destination {
                owner: AccountId::from_bytes([1; 16]),
                script: script.clone(),
                others: others.clone(),
                machines: BTreeSet::new(),
                fee: Bps::new(150).unwrap(),
                least: 546,
            };
            for whole in [1_000_000, 312_500_001, 999_999_999_999_999] {
                let all = to.outputs(&[0x53], whole).unwrap();
                let own = all.iter().filter(|(script, _)| *script != [0x53]);
                let own: Vec<_> =
                    own.map(|(s, v)| (s.as_slice(), u64::try_from(*v).unwrap())).collect();
                let read = Payees::of_outputs(&own);
                let published = Payees { script: script.clone(), others: others.clone() };
                assert_eq!(read, Some(published), "{parts:?} of {whole}");
            }
        }
        let of = |asset| least_output(&params_for(asset, NetworkName::Mainnet).unwrap());
        // As docs/hosting.md says.
        assert_eq!((of(Asset::Btc), of(Asset::Ltc), of(Asset::Doge)), (546, 5_460, 1_000_000));
    }
}
