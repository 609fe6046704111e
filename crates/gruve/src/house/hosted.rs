//! Machines that customers own, in the running house: whose a share is, what machines' shares prove, and bills
//! with each settlement.

use super::error::HouseError;
use super::gauge::Gauge;
use async_trait::async_trait;
use gruve_accounts::Accounts;
use gruve_farm::{Farm, FarmError, MachineOwner, OwnerTable, Proof, ProvenPlace};
use gruve_hosting::{Ended, Hosting, HostingError, Payable};
use gruve_ledger::Account;
use gruve_market::{AfterRefund, AfterSettlement, EnergyCosts, MarketError, Refund, Settled};
use gruve_sharelog::{LogError, LogReader, Owner, Position, Record, ShareLog};
use gruve_store::{Store, Tx};
use gruve_treasury::{NewPayout, Refunded, Treasury, TreasuryError};
use gruve_units::{
    AccountId, Algorithm, Amount, Asset, Blame, Blamed as _, Bps, ContractId, EpochNumber, Hashes,
    LaneId, MachineId, Timestamp,
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often changes of owner are looked for: many times within [`gruve_farm::OWNER_LEAD`].
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Records of a share log that are counted in one transaction: some hundred kilobytes.
const BATCH: usize = 4_096;

/// How long shares are gathered before they are counted in one transaction.
const GATHER: Duration = Duration::from_secs(3);

/// How long to wait for a first machine.
const EMPTY_WAIT: Duration = Duration::from_secs(20);

/// How long to wait when database or disk are not available.
const AGAIN: Duration = Duration::from_secs(5);

/// Whose each machine's work is, in memory: gateways ask for every share.
#[derive(Default)]
pub struct Owners {
    table: RwLock<OwnerTable>,
    is_any: AtomicBool,
}

impl Owners {
    /// Puts what the database says into memory.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, farm: &Farm) -> Result<(), FarmError> {
        let table = farm.owners().await?;
        let is_any = !table.is_empty();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        self.is_any.store(is_any, Ordering::Release);
        Ok(())
    }

    /// Whether any machine was ever anybody's but the house's.
    pub fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    /// Whose a machine's work in an epoch is.
    pub fn owner_in(&self, machine: MachineId, epoch: EpochNumber, at_login: Owner) -> Owner {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match table.owner_in(machine, epoch) {
            None => at_login,
            Some(MachineOwner::House) => Owner::House,
            Some(MachineOwner::Account(id)) => Owner::Account(id),
        }
    }
}

/// Looks for changes of owner until the house stops.
pub(super) async fn watch_owners(
    farm: Farm,
    owners: std::sync::Arc<Owners>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
        if let Err(error) = owners.load(&farm).await {
            tracing::warn!(%error, "cannot look up whose machines are");
        }
    }
}

/// Writes bills with settlements.
pub struct Bills(pub Hosting);

#[async_trait]
impl AfterSettlement for Bills {
    async fn agreed_fees(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        now: Timestamp,
    ) -> Result<BTreeMap<AccountId, Bps>, MarketError> {
        self.0.agreed_fees(tx, lane, now).await.map_err(of_hosting)
    }

    async fn settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<(), MarketError> {
        let Settled { lane, to, now, credited } = *settled;
        let settled = gruve_hosting::Settled { lane, to, now, credited };
        self.0.bill(tx, &settled).await.map_err(of_hosting)
    }
}

/// Gives coins back that contracts' prices were paid with.
pub struct CoinsBack;

#[async_trait]
impl AfterRefund for CoinsBack {
    async fn refunded(&self, tx: &mut Tx, refund: &Refund) -> Result<(), MarketError> {
        let Refund { contract, account, price, undelivered, refunded, now } = *refund;
        let back = Refunded { contract, account, price, undelivered, refunded, now };
        match gruve_treasury::convert_back(tx, &back).await {
            Ok(_) => Ok(()),
            Err(TreasuryError::Store(e)) => Err(e.into()),
            Err(TreasuryError::Ledger(e)) => Err(e.into()),
            Err(other) => Err(MarketError::Broken(format!("a refund of a coin: {other}"))),
        }
    }
}

/// What came back of a machine's price becomes the coins that it was paid with, as far as it was. What was kept for a payment that
/// was taken back is kept of the other ways to pay first.
pub(crate) async fn coins_back(
    tx: &mut Tx,
    hosting: &Hosting,
    contract: ContractId,
    ended: Ended,
    now: Timestamp,
) -> Result<(), HouseError> {
    let Some(back) = ended.back else { return Ok(()) };
    let c = hosting.contract_in(tx, contract).await?;
    let (undelivered, refunded) = (ended.left, back.minor);
    let (account, price) = (c.account, c.price);
    let back = Refunded { contract, account, price, undelivered, refunded, now };
    gruve_treasury::convert_back(tx, &back).await?;
    Ok(())
}

/// What the house's measured machines drew for work, for the market.
pub struct MeasuredEnergy(pub Hosting);

#[async_trait]
impl EnergyCosts for MeasuredEnergy {
    async fn of(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        epoch: EpochNumber,
        work: Hashes,
    ) -> Result<Vec<Amount>, MarketError> {
        self.0.energy_costs_in(tx, lane, epoch, work).await.map_err(of_hosting)
    }
}

fn of_hosting(e: HostingError) -> MarketError {
    match e {
        HostingError::Store(e) | HostingError::Farm(FarmError::Store(e)) => e.into(),
        HostingError::Ledger(e) => e.into(),
        other => MarketError::Broken(format!("hosted machines: {other}")),
    }
}

/// The name under which all shares of a lane are counted together: where there are none, no machine of it can
/// be blamed. No machine has it: ids are of other versions of UUIDs.
fn whole_lane(lane: &LaneId) -> MachineId {
    let hash = Sha256::digest(format!("gruve whole lane\0{lane}"));
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    // Version 0 (RFC 9562 gives it to none).
    id[6] &= 0x0f;
    MachineId::from_bytes(id)
}

/// What was read of a share log at once.
struct Read {
    proofs: BTreeMap<(MachineId, EpochNumber), Proof>,
    gauge: Gauge,
    to: ProvenPlace,
    count: usize,
}

/// Counts a lane's share log machine by machine until the house stops.
pub(super) async fn count_proven(
    lane: LaneId,
    algorithm: Algorithm,
    log: ShareLog,
    farm: Farm,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let counted = tokio::select! {
            counted = count(&lane, algorithm, &log, &farm) => counted,
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        };
        if let Err(error) = counted {
            tracing::warn!(%lane, error, "cannot count what machines prove; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

/// Reads on from the stored place for ever; ends with an error only. While the inventory is empty nothing is
/// counted; the first machine in it is counted from then on.
async fn count(
    lane: &LaneId,
    algorithm: Algorithm,
    log: &ShareLog,
    farm: &Farm,
) -> Result<(), String> {
    let text = |e: FarmError| e.to_string();
    let mut place = farm.proven_place(lane).await.map_err(text)?;
    let mut gauge = Gauge::new(algorithm);
    loop {
        let known = farm.inventory().await.map_err(text)?;
        if known.is_empty() {
            tokio::time::sleep(EMPTY_WAIT).await;
            continue;
        }
        if place.place.is_none() {
            let now = ProvenPlace { place: Some(log.end().to_i64s()), sealed: log.sealed() };
            farm.add_proven(lane, &BTreeMap::new(), place, now).await.map_err(text)?;
            place = farm.proven_place(lane).await.map_err(text)?;
        }
        let from = position(place).max(log.start());
        let known: BTreeSet<MachineId> = known.into_iter().map(|i| i.machine).collect();
        let (reader, before, lane_mark) = (log.reader(from), place, whole_lane(lane));
        let own = std::mem::take(&mut gauge);
        let read =
            tokio::task::spawn_blocking(move || read(reader, before, &known, lane_mark, own));
        let mut read = read.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let luck = read.gauge.taken();
        gauge = read.gauge;
        if read.count == 0 {
            log.wait_past(from).await;
            continue;
        }
        let added = farm.add_counted(lane, &read.proofs, &luck, place, read.to).await;
        place = match added.map_err(text)? {
            true => read.to,
            false => farm.proven_place(lane).await.map_err(text)?,
        };
        if read.count < BATCH {
            // No hurry: what comes meanwhile goes into the next transaction together.
            tokio::time::sleep(GATHER).await;
        }
    }
}

fn position(place: ProvenPlace) -> Position {
    counted_to(place).unwrap_or(Position::START)
}

/// Where in its lane's log a stored place is; nothing where counting has not begun.
pub(super) fn counted_to(place: ProvenPlace) -> Option<Position> {
    place.place.and_then(|(segment, offset)| Position::from_i64s(segment, offset))
}

fn read(
    mut reader: LogReader,
    before: ProvenPlace,
    known: &BTreeSet<MachineId>,
    lane_mark: MachineId,
    mut gauge: Gauge,
) -> Result<Read, LogError> {
    let mut proofs = BTreeMap::new();
    let (mut sealed, mut count) = (before.sealed, 0);
    while count < BATCH {
        let Some((_, record)) = reader.next()? else { break };
        count += 1;
        gauge.take(&record, known);
        match record {
            Record::Share(s) => {
                let owner = match s.owner {
                    Owner::House => MachineOwner::House,
                    Owner::Account(id) => MachineOwner::Account(id),
                };
                let mut add = |machine, owner| {
                    let key = (machine, s.epoch);
                    proofs.entry(key).or_insert_with(|| Proof::none(owner)).add(s.class);
                };
                add(lane_mark, MachineOwner::House);
                if known.contains(&s.machine) {
                    add(s.machine, owner);
                }
            }
            Record::Seal { epoch, .. } => sealed = sealed.max(Some(epoch)),
            _ => {}
        }
    }
    let place = Some(reader.position().to_i64s());
    Ok(Read { proofs, gauge, to: ProvenPlace { place, sealed }, count })
}

/// A payment's network fee may be this part of it at most: below that the coins wait for more.
const FEE_PART_MIN: i64 = 50;

/// How often owners' earnings are looked at: settlements are rarer.
const PAY_EVERY: Duration = Duration::from_secs(60);

/// What it takes to pay owners.
pub(super) struct Payers {
    pub(super) hosting: Hosting,
    pub(super) treasury: Treasury,
    pub(super) accounts: Accounts,
    pub(super) store: Store,
    /// The lanes' own coins.
    pub(super) own: BTreeMap<LaneId, Asset>,
}

/// Sends what hosted machines have earned to their owners' addresses until the house stops.
pub(super) async fn pay_owners(
    payers: Payers,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAY_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
        pay_all(&payers, &stopped).await;
    }
}

/// Goes once through all that owners are to get, page by page.
async fn pay_all(payers: &Payers, stopped: &watch::Receiver<bool>) {
    let mut last: Option<Payable> = None;
    loop {
        let page = match payers.hosting.payables(last.as_ref()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "cannot look up what owners are to get");
                return;
            }
        };
        for one in &page {
            if *stopped.borrow() {
                return;
            }
            if let Err(error) = pay_owner(payers, one).await {
                tracing::warn!(account = %one.account, lane = %one.lane, %error, "cannot pay an owner now");
            }
        }
        match page.into_iter().next_back() {
            Some(one) => last = Some(one),
            None => return,
        }
    }
}

/// Whether the account's payouts may go to an address now.
async fn is_allowed(payers: &Payers, p: &Payable, address: &str) -> Result<bool, HouseError> {
    match payers.accounts.may_pay_to(p.account, p.amount.asset, address).await {
        Ok(()) => Ok(true),
        Err(e) if e.blame() == Blame::Rejected => {
            tracing::debug!(account = %p.account, error = %e, "an owner's earnings wait in the balance");
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

/// Whether less waits than the contract's minimum payout, which is of the lane's own coin.
fn is_below_minimum(p: &Payable, own: Option<Asset>, minor: i64) -> bool {
    own == Some(p.amount.asset) && minor < p.minimum_minor
}

/// Pays one owner, if it is worth its fee; a payment under way is gone on with. Where the account's payouts go to
/// its address book alone, machines' earnings do, too.
async fn pay_owner(payers: &Payers, p: &Payable) -> Result<(), HouseError> {
    let Payers { hosting, treasury, store, .. } = payers;
    let payment = match (&p.pending, &p.address) {
        (Some(pending), _) => {
            // Asked for already, or it stays in the balance: either way nothing more is to be done with it.
            if !is_allowed(payers, p, &pending.address).await? {
                return Ok(hosting.end_payment(p, pending).await?);
            }
            pending.clone()
        }
        (None, None) => return Ok(()),
        (None, Some(address)) => {
            if !is_allowed(payers, p, address).await? {
                return Ok(());
            }
            let account = Account::CustomerAvailable(p.account);
            let mut tx = store.read().await?;
            let held = gruve_ledger::balance(&mut tx, &account, p.amount.asset).await?;
            drop(tx);
            let most = Amount::new(p.amount.asset, p.amount.minor.min(held.minor));
            if is_below_minimum(p, payers.own.get(&p.lane).copied(), most.minor) {
                return Ok(());
            }
            let worth = match treasury.quote_payout(most, address).await {
                Ok(quote) => quote.fee_max.minor.saturating_mul(FEE_PART_MIN) <= most.minor,
                // Too little for the chain, or an address that it does not know any more.
                Err(e) if e.blame() == Blame::Rejected => false,
                Err(e) => return Err(e.into()),
            };
            if !worth {
                return Ok(());
            }
            hosting.begin_payment(p, most.minor, address).await?
        }
    };
    let new = NewPayout {
        account: p.account,
        amount: payment.amount,
        address: payment.address.clone(),
        request_key: Some(payment.key.clone()),
    };
    match treasury.request_payout(new).await {
        Ok(payout) => {
            tracing::info!(%payout, account = %p.account, "an owner's earnings are on their way");
        }
        Err(e) if e.blame() == Blame::Rejected => {
            tracing::warn!(account = %p.account, error = %e, "an owner's earnings stay in the balance");
        }
        Err(e) => return Err(e.into()),
    }
    Ok(hosting.end_payment(p, &payment).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_sharelog::{Extranonce, Options, ShareRecord};
    use gruve_units::{AccountId, Class, JobId, Timestamp};

    fn share(machine: u8, nonce: u32, epoch: u64) -> Record {
        Record::Share(ShareRecord {
            job: JobId(1),
            epoch: EpochNumber(epoch),
            class: Class::new(40).unwrap(),
            owner: Owner::House,
            machine: MachineId::from_bytes([machine; 16]),
            extranonce: Extranonce::new(&[1]).unwrap(),
            ntime: 1,
            nonce,
            version: 1,
            at: Timestamp(0),
        })
    }

    #[test]
    fn each_share_is_counted_once_for_its_machine_and_once_for_the_lane() {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        log.append(&[share(1, 1, 7), share(2, 2, 7), share(1, 3, 8)]).unwrap();
        log.seal(EpochNumber(7), Timestamp(1)).unwrap();
        let known = BTreeSet::from([MachineId::from_bytes([1; 16])]);
        let mark = whole_lane(&"btc".parse().unwrap());
        let gauge = Gauge::default;
        let start = ProvenPlace::default();
        let first = read(log.reader(log.start()), start, &known, mark, gauge()).unwrap();
        assert_eq!((first.count, first.to.sealed), (4, Some(EpochNumber(7))));
        let shares: Vec<_> = first.proofs.iter().map(|((m, e), p)| (*m, e.0, p.shares)).collect();
        let one = MachineId::from_bytes([1; 16]);
        for wanted in [(one, 7, 1), (one, 8, 1), (mark, 7, 2), (mark, 8, 1)] {
            assert!(shares.contains(&wanted), "{wanted:?} in {shares:?}");
        }
        assert_eq!(shares.len(), 4, "machine 2 is not in the inventory");
        let from = log.reader(position(first.to));
        let again = read(from, first.to, &known, mark, gauge()).unwrap();
        assert_eq!((again.count, again.to), (0, first.to));
    }

    #[test]
    fn a_share_is_the_owners_of_its_jobs_epoch_whatever_the_login_was_told() {
        let (owners, machine) = (Owners::default(), MachineId::from_bytes([1; 16]));
        let account = AccountId::from_bytes([2; 16]);
        assert_eq!(owners.owner_in(machine, EpochNumber(5), Owner::House), Owner::House);
        let mut table = OwnerTable::default();
        table.put(machine, EpochNumber(10), MachineOwner::Account(account));
        table.put(machine, EpochNumber(20), MachineOwner::House);
        *owners.table.write().unwrap() = table;
        let of = |epoch, login| owners.owner_in(machine, EpochNumber(epoch), login);
        assert_eq!(of(9, Owner::House), Owner::House);
        assert_eq!(of(10, Owner::House), Owner::Account(account));
        assert_eq!(of(19, Owner::House), Owner::Account(account));
        assert_eq!(of(20, Owner::Account(account)), Owner::House, "an old connection");
    }
}
