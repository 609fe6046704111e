//! The public record of closed epochs: what is handed to whoever publishes it, and the log's entries.
//!
//! A record's files are stored before the transaction that closes the epoch ends, under names made of their content; the
//! entry that names them is a row of that transaction. A crash between leaves a file that nothing names, never an
//! entry without its file. Entries get their places in the log afterwards ([`Market::place_entries`]), so that
//! lanes never wait for each other; a place once given never changes. The public folder is made of the rows, so it
//! can be made again.

mod log;
mod nonce;
mod places;
mod sold;

pub(crate) use places::load as load_places;
pub(crate) use sold::{SoldTo, SoldTree, lease, metered};

use crate::close::{Closing, LaneState};
use crate::opened::{Sampling, is_one_class};
use crate::tally::Counted;
use crate::{LaneConfig, Market, MarketError, Result};
use gruve_proof::aux::{self, AuxBlock};
use gruve_proof::places::Places;
use gruve_proof::publish;
use gruve_proof::record::{RecordJob, RecordOf, write_record};
use gruve_proof::share;
use gruve_proof::sum_tree::SumNode;
use gruve_proof::summary::{EpochSummary, FileRef, GENESIS, Rules, checkpoint_of};
use gruve_proof::verify::{SLACK_ENTRIES, paid};
use gruve_sharelog::{AuxChainRecord, AuxJobRecord, JobRecord};
use gruve_store::{Migration, Tx, params};
use gruve_units::{AccountId, Algorithm, EpochNumber, Hashes, JobId, LaneId};
use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::sync::Arc;

/// The tables of the public log, counted by themselves.
pub const RECORD_MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "record",
        sqlite: include_str!("../migrations/0001_record.sqlite.sql"),
        postgres: include_str!("../migrations/0001_record.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "nonces",
        sqlite: include_str!("../migrations/0002_record.sqlite.sql"),
        postgres: include_str!("../migrations/0002_record.postgres.sql"),
    },
];

pub(crate) mod sql {
    use gruve_store::statements;

    statements! {
        INSERT_ENTRY = "INSERT INTO market_log (lane, epoch, entry) VALUES ($1, $2, $3)";
        FIND_ENTRY = "SELECT entry FROM market_log WHERE lane = $1 AND epoch = $2";
        OWN_ENTRIES = "SELECT entry FROM market_log WHERE lane = $1 ORDER BY epoch";
        LAST_OF_LANE = "SELECT epoch, entry FROM market_log WHERE lane = $1 ORDER BY epoch DESC LIMIT 1";
        LAST_ENTRIES = "SELECT epoch, entry FROM market_log WHERE lane = $1 ORDER BY epoch DESC LIMIT $2";
        COUNT_BETWEEN = "SELECT COUNT(*) AS n FROM market_log l JOIN market_epochs e
            ON e.lane = l.lane AND e.epoch = l.epoch
            WHERE l.lane = $1 AND l.epoch > $2 AND l.epoch <= $3 AND e.shares > 0";
        WAITING = "SELECT lane, epoch FROM market_log WHERE seq IS NULL ORDER BY epoch, lane LIMIT $1";
        PLACE_OF = "SELECT seq FROM market_log WHERE lane = $1 AND epoch = $2";
        NEXT_PLACE = "SELECT COALESCE(MAX(seq) + 1, 0) AS next FROM market_log";
        PLACE = "UPDATE market_log SET seq = $3 WHERE lane = $1 AND epoch = $2 AND seq IS NULL";
        INSERT_NONCE = "INSERT INTO market_nonces (contract, lane, nonce) VALUES ($1, $2, $3)";
        NONCE = "SELECT nonce FROM market_nonces WHERE contract = $1";
        NONCES = "SELECT contract AS id, nonce FROM market_nonces
            WHERE lane = $1 AND contract > $2 ORDER BY contract LIMIT $3";
        ENTRIES = "SELECT entry FROM market_log WHERE seq >= $1 ORDER BY seq LIMIT $2";
    }
}

/// Where public files go.
pub trait RecordSink: Send + Sync {
    /// Stores a public file under its hash; on the disk when this returns. Called on threads that may block.
    ///
    /// # Errors
    /// In words, when it is not: the epoch is then not closed, and closing is tried again.
    fn put(&self, bytes: &[u8]) -> Result<FileRef, String>;

    /// Keeps what receipts of a sold tree are made of, not for the public.
    ///
    /// # Errors
    /// As [`RecordSink::put`].
    fn keep(&self, sold: &FileRef, bytes: &[u8]) -> Result<(), String>;

    /// An empty file for what is to be put or kept, which is gone when it is closed. Called on threads that may not block for long.
    ///
    /// # Errors
    /// As [`RecordSink::put`].
    fn scratch(&self) -> Result<File, String> {
        publish::scratch(&std::env::temp_dir()).map_err(|e| e.to_string())
    }

    /// [`RecordSink::put`] of what a file holds.
    ///
    /// # Errors
    /// As [`RecordSink::put`].
    fn put_from(&self, file: &mut File) -> Result<FileRef, String> {
        self.put(&read_all(file).map_err(|e| e.to_string())?)
    }

    /// [`RecordSink::keep`] of what a file holds.
    ///
    /// # Errors
    /// As [`RecordSink::put`].
    fn keep_from(&self, sold: &FileRef, file: &mut File) -> Result<(), String> {
        self.keep(sold, &read_all(file).map_err(|e| e.to_string())?)
    }

    /// What salts are made with.
    fn secret(&self) -> [u8; 32];

    /// Reads a public file again.
    ///
    /// # Errors
    /// As [`RecordSink::put`].
    fn read(&self, file: &FileRef) -> Result<Vec<u8>, String>;

    /// Whether a public file is not there any more, and the operator has said that it is lost for good.
    fn is_lost(&self, file: &FileRef) -> bool {
        let _ = file;
        false
    }

    /// The places to which a lane's jobs are to be bound by its next entry; `None` binds them as before.
    fn places(&self, lane: &LaneId) -> Option<Places> {
        let _ = lane;
        None
    }

    /// What is wanted of a lane's shares.
    fn sampling(&self, lane: &LaneId) -> Sampling {
        let _ = lane;
        Sampling::default()
    }

    /// The log has entries that are not published.
    fn grown(&self);
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The epoch whose checkpoint a job holds, whose the share is, and the job's outputs: scripts with what each gets, of one that pays
/// a single script without.
type Paid = (EpochNumber, Option<AccountId>, Vec<(Vec<u8>, u64)>);

/// An epoch's record as it was stored before the transaction.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    file: FileRef,
    /// The epochs of its jobs, and those whose checkpoints they commit to; 0 for none.
    checkpoints: BTreeSet<(EpochNumber, EpochNumber)>,
    /// What blocks of its shares would have paid.
    paid: BTreeSet<Paid>,
}

/// What an entry fixed for later jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fixed {
    pub(crate) rules: Rules,
    places: FileRef,
}

impl Stored {
    /// What a record of headers needs beside: that one class was fixed for each of its jobs. Nobody could call it proven else.
    pub(crate) fn is_provable(
        &self,
        algorithm: Algorithm,
        fixed: &BTreeMap<EpochNumber, Fixed>,
    ) -> bool {
        let is_one = |of| fixed.get(of).is_some_and(|f| is_one_class(f.rules));
        has_coinbases(algorithm) || self.checkpoints.iter().all(|(_, of)| is_one(of))
    }
}

/// Encodes and stores the shares of an epoch, in their order, each distinct one once. `None` when the format cannot
/// hold them: a job without a stamp, or more than the limits; the epoch is then published as unproven.
pub(crate) fn store_record(
    sink: &dyn RecordSink,
    algorithm: Algorithm,
    of: &RecordOf,
    jobs: &HashMap<JobId, JobRecord>,
    aux: &HashMap<JobId, AuxJobRecord>,
    shares: &[Counted],
) -> Result<Option<Stored>> {
    let mut distinct: Vec<&Counted> = shares.iter().collect();
    distinct.dedup_by(|b, a| share::identity(a.canonical()) == share::identity(b.canonical()));
    let mut used: BTreeMap<JobId, RecordJob> = BTreeMap::new();
    for s in distinct.iter().map(|s| s.canonical()) {
        let id = share::job(s);
        if let btree_map::Entry::Vacant(place) = used.entry(id) {
            let Some(job) = jobs.get(&id) else { return Ok(None) };
            place.insert(record_job(job, s));
        }
    }
    name_others(&mut used, aux);
    let checkpoints = used.values().map(|j| (j.epoch, j.checkpoint_epoch)).collect();
    let paid = paid_for(algorithm, &used, &distinct);
    // Late work has sections of its own, those of the oldest epoch first.
    let late = distinct.partition_point(|s| s.epochs_late() == 0);
    let (own, late) = distinct.split_at(late);
    let sections = std::iter::once((of.epoch, own)).chain(
        late.chunk_by(|a, b| a.epochs_late() == b.epochs_late())
            .map(|part| (of.epoch.back(part.first().map_or(0, |s| s.epochs_late().into())), part)),
    );
    let sections: Vec<_> =
        sections.map(|(epoch, part)| (epoch, part.iter().map(|s| s.canonical()))).collect();
    let mut bytes = Vec::with_capacity(1_024 + 24 * distinct.len());
    let written = write_record(&mut bytes, of, &used, &sections);
    if let Err(e) = written {
        let (lane, epoch) = (&of.lane, of.epoch);
        tracing::error!(%lane, %epoch, error = %e, "no record can hold this epoch: it is published as unproven");
        return Ok(None);
    }
    let file = sink.put(&bytes).map_err(MarketError::NotPublished)?;
    Ok(Some(Stored { file, checkpoints, paid }))
}

/// What blocks found by these shares would have paid.
fn paid_for(
    algorithm: Algorithm,
    used: &BTreeMap<JobId, RecordJob>,
    shares: &[&Counted],
) -> BTreeSet<Paid> {
    let mut whose: BTreeSet<(JobId, Option<AccountId>)> = BTreeSet::new();
    let mut last = None;
    for s in shares.iter().map(|s| s.canonical()) {
        let own = (share::job(s), share::owner(s));
        if last.replace(own) != Some(own) {
            whose.insert(own);
        }
    }
    let outputs = |job| {
        let mut all = paid(algorithm, job).unwrap_or_default();
        // What one script gets differs from job to job, and nothing hangs on it.
        if let [(_, value)] = all.as_mut_slice() {
            *value = 0;
        }
        all
    };
    let outputs: BTreeMap<JobId, _> = used.iter().map(|(id, job)| (*id, outputs(job))).collect();
    let mut all = BTreeSet::new();
    for (id, who) in whose {
        let (Some(job), Some(outputs)) = (used.get(&id), outputs.get(&id)) else { continue };
        all.insert((job.checkpoint_epoch, who, outputs.clone()));
    }
    all
}

/// Names the blocks of other chains that jobs are for. A record names all of them or none.
fn name_others(used: &mut BTreeMap<JobId, RecordJob>, aux: &HashMap<JobId, AuxJobRecord>) {
    for (id, job) in used.iter_mut() {
        let chains = aux.get(id).map(|own| own.chains.as_slice()).unwrap_or_default();
        job.aux = chains.iter().map(aux_block).collect();
        job.aux.sort();
    }
    let is_silent = |job: &RecordJob| job.aux.is_empty() && aux::tags(&job.prefix) > 0;
    if used.values().any(is_silent) {
        used.values_mut().for_each(|job| job.aux.clear());
    }
}

fn aux_block(c: &AuxChainRecord) -> AuxBlock {
    let (chain_id, coin, hash) = (c.chain_id, c.asset.code().to_owned(), c.block_hash);
    AuxBlock { chain_id, coin, hash, bits: c.bits, height: c.height }
}

/// Whether a lane's jobs have coinbases, and so stamps in them; else the stamp stands in a header, if at all.
const fn has_coinbases(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Sha256d | Algorithm::Scrypt)
}

pub(crate) fn record_job(j: &JobRecord, s: &share::Canonical) -> RecordJob {
    RecordJob {
        job: j.job,
        epoch: j.epoch,
        checkpoint_epoch: j.checkpoint_epoch,
        issued_us: u64::try_from(j.issued_at.0).unwrap_or(0),
        height: j.height,
        prev_hash: j.prev_hash,
        bits: j.bits,
        version: j.version,
        ntime: j.ntime,
        extranonce_len: share::extranonce(s).len().try_into().unwrap_or(u8::MAX),
        prefix: j.coinbase_prefix.clone(),
        suffix: j.coinbase_suffix.clone(),
        branch: j.branch.clone(),
        aux: Vec::new(),
    }
}

/// What of a closed epoch stands in its entry.
pub(crate) struct Public<'a> {
    pub(crate) closing: &'a Closing,
    /// How far the lane was.
    pub(crate) before: LaneState,
    pub(crate) house: Hashes,
    pub(crate) other: Hashes,
    pub(crate) surplus: Hashes,
    /// Who got the work.
    pub(crate) root: SumNode,
    /// The tree over every contract with a claim, where a record is published.
    pub(crate) sold: Option<SoldTree>,
}

impl Market {
    /// Publishes closed epochs from now on. Once, before the accountant runs.
    pub fn publish_to(&self, sink: Arc<dyn RecordSink>) {
        // A second one would leave epochs out of the first's log.
        let _ = self.inner.record.set(sink);
    }

    /// The lists of places that a lane's entries name, by their epochs.
    ///
    /// # Errors
    /// The database's.
    pub async fn published_places(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
    ) -> Result<Vec<(EpochNumber, FileRef)>> {
        let all = fixed(tx, lane, None).await?.into_iter();
        let named = all.map(|(epoch, fixed)| (epoch, fixed.places));
        let mut named: Vec<_> = named.filter(|(_, file)| *file != FileRef::default()).collect();
        named.sort_unstable_by_key(|(epoch, _)| *epoch);
        Ok(named)
    }

    pub(crate) fn record_sink(&self) -> Option<&Arc<dyn RecordSink>> {
        self.inner.record.get()
    }

    /// Whether a lane's shares can be proven by a record.
    pub(crate) fn publishes(&self, lane: &LaneConfig) -> Option<&Arc<dyn RecordSink>> {
        self.record_sink().filter(|sink| {
            has_coinbases(lane.algorithm) || sink.sampling(&lane.lane).one_class.is_some()
        })
    }

    /// Stores the epoch's sold tree and writes its entry, within the transaction that closes it; its checkpoint.
    pub(crate) async fn publish_epoch(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        public: Public<'_>,
    ) -> Result<[u8; 32]> {
        let (sink, epoch) = (self.record_sink().cloned(), public.closing.epoch);
        let sold = sold::store(public.sold).await?;
        let (prev_epoch, prev_checkpoint) = match &sink {
            Some(_) => last_logged(tx, lane).await?,
            None => (public.before.closed.unwrap_or_default(), public.before.checkpoint),
        };
        let record = match &public.closing.record {
            Some(stored) if is_dated(tx, lane, stored).await? => {
                let fixed = fixed(tx, &lane.lane, Some(crate::stamps::KEPT)).await?;
                let fixed = fixed.into_iter().collect();
                let is_true = match &sink {
                    Some(sink) => places::are_kept(sink.as_ref(), lane, stored, &fixed)?,
                    None => true,
                };
                (is_true && stored.is_provable(lane.algorithm, &fixed)).then_some(stored.file)
            }
            _ => None,
        };
        let before = match &sink {
            Some(_) => last_fixed(tx, &lane.lane).await?,
            None => Fixed::default(),
        };
        let rules = match &sink {
            Some(sink) if self.publishes(lane).is_some() => {
                sink.sampling(&lane.lane).rules(&public.closing.accepted, before.rules)
            }
            _ => Rules::default(),
        };
        let places = match &sink {
            Some(sink) => places::name(sink.as_ref(), lane, before.places)?,
            None => FileRef::default(),
        };
        let summary = EpochSummary {
            lane: lane.lane.clone(),
            algorithm: lane.algorithm,
            is_proven: record.is_some(),
            epoch,
            prev_epoch,
            prev_checkpoint,
            length_us: lane.epoch_rule.length_us,
            shares: public.closing.tally.shares,
            house_work: public.house,
            other_work: public.other,
            share_root: public.closing.tally.share_root,
            allocation_root: public.root,
            surplus: public.surplus,
            contracts: sold.contracts,
            sold_root: sold.root,
            record: record.unwrap_or_default(),
            sold: sold.file,
            rules,
            places,
        };
        if sink.is_some() {
            let given = params![lane.lane.clone(), epoch, summary.canonical()];
            tx.execute(sql::INSERT_ENTRY, &given).await?;
        }
        Ok(summary.checkpoint())
    }
}

/// The lane's last entry: its epoch and checkpoint.
async fn last_logged(tx: &mut Tx, lane: &LaneConfig) -> Result<(EpochNumber, [u8; 32])> {
    let row = tx.fetch_optional(sql::LAST_OF_LANE, &params![lane.lane.clone()]).await?;
    let Some(row) = row else { return Ok((EpochNumber(0), GENESIS)) };
    Ok((row.get("epoch")?, checkpoint_of(&row.get::<Vec<u8>>("entry")?)))
}

/// What a lane's last entry fixed.
async fn last_fixed(tx: &mut Tx, lane: &LaneId) -> Result<Fixed> {
    let row = tx.fetch_optional(sql::LAST_OF_LANE, &params![lane.clone()]).await?;
    row.map_or(Ok(Fixed::default()), |row| fixed_in(&row.get::<Vec<u8>>("entry")?))
}

fn fixed_in(entry: &[u8]) -> Result<Fixed> {
    let summary = EpochSummary::parse(entry);
    let summary = summary.map_err(|e| MarketError::Broken(format!("an entry of the log: {e}")))?;
    Ok(summary.map_or_else(Fixed::default, |s| Fixed { rules: s.rules, places: s.places }))
}

/// The thresholds of opened shares, where there are any, by the epoch whose entry fixed them; of a lane's last entries, or
/// of all.
pub(crate) async fn thresholds(
    tx: &mut Tx,
    lane: &LaneId,
    last: Option<u32>,
) -> Result<BTreeMap<EpochNumber, u8>> {
    let all = fixed(tx, lane, last).await?;
    let opened = all.into_iter().map(|(e, f)| (e, f.rules.opened));
    Ok(opened.filter(|(_, opened)| *opened > 0).collect())
}

/// What a lane's last entries fixed, or all of them.
pub(crate) async fn fixed(
    tx: &mut Tx,
    lane: &LaneId,
    last: Option<u32>,
) -> Result<Vec<(EpochNumber, Fixed)>> {
    let given = params![lane.clone(), last.unwrap_or(u32::MAX)];
    let rows = tx.fetch_all(sql::LAST_ENTRIES, &given).await?;
    rows.iter()
        .map(|row| Ok((row.get("epoch")?, fixed_in(&row.get::<Vec<u8>>("entry")?)?)))
        .collect()
}

/// Whether the stamps of a record hold checkpoints that a reader of the log finds recent enough. They do not after
/// a long outage of the books, nor where work is older than the log: such an epoch is published as unproven.
async fn is_dated(tx: &mut Tx, lane: &LaneConfig, stored: &Stored) -> Result<bool> {
    for (epoch, of) in &stored.checkpoints {
        let newest = epoch.back(2);
        let given = params![lane.lane.clone(), *of, newest];
        let behind: u64 = tx.fetch_one(sql::COUNT_BETWEEN, &given).await?.get("n")?;
        let key = params![lane.lane.clone(), *of];
        let is_there = of.0 == 0 || tx.fetch_optional(sql::FIND_ENTRY, &key).await?.is_some();
        if !is_there || behind > SLACK_ENTRIES as u64 {
            tracing::warn!(lane = %lane.lane, %epoch, checkpoint = %of, "stamps hold too old a checkpoint: published as unproven");
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
