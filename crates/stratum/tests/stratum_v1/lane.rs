//! Jobs, epochs, seals and blocks of a lane, with a clock moved by hand.

use crate::node::{BITS, FakeNode, all_records, lane_options, record, soon};
use gruve_chain::Node as _;
use gruve_pow::sha256d;
use gruve_sharelog::{
    BlockRecord, Extranonce, Options, Owner, Position, Record, ShareLog, ShareRecord,
};
use gruve_stratum::{LaneWork, WorkState};
use gruve_units::{
    Class, Clock, Duration, EpochNumber, EpochRule, JobId, MachineId, ManualClock, ManualMonotonic,
    SteadyClock, Target, Timestamp,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

const START: i64 = 1_700_000_000;
const LENGTH: i64 = 100;
const GRACE: i64 = 10;

struct Lane {
    clock: Arc<ManualClock>,
    node: Arc<FakeNode>,
    log: ShareLog,
    work: LaneWork,
    jobs: watch::Receiver<Option<Arc<WorkState>>>,
}

fn rule() -> EpochRule {
    EpochRule::new(Duration::from_secs(100), Duration::from_secs(10)).unwrap()
}

impl Lane {
    fn open(dir: &Path, at: i64) -> Lane {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(at)));
        let node = FakeNode::with(Arc::<ManualClock>::clone(&clock), true, BITS);
        Self::on(dir, clock, node)
    }

    fn on(dir: &Path, clock: Arc<ManualClock>, node: Arc<FakeNode>) -> Lane {
        let log = ShareLog::open(dir, Options::default()).unwrap();
        let mut options = lane_options(node.clone(), &log, Arc::<ManualClock>::clone(&clock));
        options.epoch_rule = rule();
        let work = LaneWork::start(options).unwrap();
        let jobs = work.jobs();
        Lane { clock, node, log, work, jobs }
    }

    /// The first state that satisfies.
    async fn state(&mut self, wanted: impl Fn(&WorkState) -> bool) -> Arc<WorkState> {
        let found = soon(self.jobs.wait_for(|s| s.as_ref().is_some_and(|s| wanted(s)))).await;
        found.unwrap().clone().unwrap()
    }

    /// As a process ends: the log is free again.
    async fn stop(self) {
        self.work.stop().await;
    }

    async fn logged(&self, wanted: impl FnMut(&Record) -> bool) -> Record {
        record(&self.log, &mut self.log.reader(Position::START), wanted).await
    }

    fn epoch_now(&self) -> EpochNumber {
        rule().at(self.clock.now())
    }
}

fn share(job: u64, epoch: EpochNumber) -> ShareRecord {
    ShareRecord {
        job: JobId(job),
        epoch,
        class: Class::new(4).unwrap(),
        owner: Owner::House,
        machine: MachineId::from_bytes([1; 16]),
        extranonce: Extranonce::new(&[0; 12]).unwrap(),
        ntime: 0,
        nonce: 0,
        version: 0,
        at: Timestamp(0),
    }
}

#[tokio::test]
async fn a_job_is_in_the_log_before_anybody_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    let state = lane.state(|_| true).await;
    let job = state.current.job();
    let records = all_records(&lane.log);
    let found = records.iter().find_map(|r| match r {
        Record::Job(j) if j.job == job.id() => Some(j),
        _ => None,
    });
    let found = found.expect("the job's record");
    assert_eq!(found.coinbase_prefix, job.coinbase_prefix());
    assert_eq!(found.epoch, lane.epoch_now());
    assert_eq!(found.checkpoint_epoch, lane.epoch_now().back(2));
    assert_eq!(found.commitment, *job.commitment());
}

#[tokio::test]
async fn an_epoch_border_brings_a_new_stamp_and_the_old_jobs_live_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    let first = lane.state(|_| true).await;
    let epoch = lane.epoch_now();
    lane.clock.set(rule().end(epoch));
    let second = lane.state(|s| s.current.job().epoch() == epoch.next()).await;
    let (old, new) = (first.current.job(), second.current.job());
    assert!(second.holds(old.id()) && !second.is_stale(old), "not clean");
    assert_ne!(old.commitment(), new.commitment());
    assert!(new.id() > old.id());
    assert_ne!(old.coinbase_prefix(), new.coinbase_prefix(), "no two jobs make the same header");
}

#[tokio::test]
async fn the_log_is_sealed_when_the_grace_is_over_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    lane.state(|_| true).await;
    let epoch = lane.epoch_now();
    lane.clock.set(rule().end(epoch).plus(Duration::from_secs(9)));
    let state = lane.state(|s| s.current.job().epoch() == epoch.next()).await;
    let mut accepted = Vec::new();
    let late = share(state.live[0].job().id().0, epoch);
    lane.log.append_shares(&[late], &mut accepted).unwrap();
    assert_eq!(accepted, [true], "late, but within the grace");
    assert_eq!(lane.log.sealed(), None);
    lane.clock.set(rule().seal_at(epoch));
    let seal = lane.logged(|r| matches!(r, Record::Seal { .. })).await;
    assert!(matches!(seal, Record::Seal { epoch: e, .. } if e == epoch));
    lane.log.append_shares(&[late], &mut accepted).unwrap();
    assert_eq!(accepted, [true], "late, for the next epoch's record");
    let last = epoch.next().next();
    lane.clock.set(rule().seal_at(last));
    lane.logged(|r| matches!(r, Record::Seal { epoch, .. } if *epoch == last)).await;
    lane.log.append_shares(&[late], &mut accepted).unwrap();
    assert_eq!(accepted, [false], "too late for any");
}

#[tokio::test]
async fn a_restart_seals_past_epochs_one_by_one_before_its_first_job() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    lane.state(|_| true).await;
    let first = lane.epoch_now();
    let last_id = lane.log.last_job().unwrap();
    lane.stop().await;
    let mut lane = Lane::open(dir.path(), START + 5 * LENGTH + GRACE);
    lane.state(|_| true).await;
    let since: Vec<String> = all_records(&lane.log)
        .iter()
        .skip_while(|r| !matches!(r, Record::Seal { .. }))
        .map(|r| match r {
            Record::Seal { epoch, .. } => format!("seal {}", epoch.0 - first.0),
            Record::Job(j) => format!("job {}", j.epoch.0 - first.0),
            other => panic!("{other:?}"),
        })
        .collect();
    let now = lane.epoch_now().0 - first.0;
    let sealable = rule().last_sealable(lane.clock.now()).unwrap().0 - first.0;
    let mut expected: Vec<String> = (0..=sealable).map(|n| format!("seal {n}")).collect();
    expected.push(format!("job {now}"));
    assert_eq!(since, expected);
    assert!(lane.log.last_job().unwrap() > last_id);
}

#[tokio::test]
async fn a_clock_that_goes_back_stamps_no_sealed_epoch_and_repeats_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    lane.state(|_| true).await;
    let epoch = lane.epoch_now();
    lane.clock.set(rule().seal_at(epoch));
    lane.logged(|r| matches!(r, Record::Seal { .. })).await;
    let last_id = lane.state(|s| s.current.job().epoch() > epoch).await.current.job().id();
    lane.stop().await;
    let mut lane = Lane::open(dir.path(), START - 50 * LENGTH);
    let job = lane.state(|_| true).await;
    assert_eq!(job.current.job().epoch(), epoch.next());
    assert!(job.current.job().id() > last_id);
}

#[tokio::test]
async fn a_clock_that_jumps_forward_seals_no_epoch_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let monotonic = Arc::new(ManualMonotonic::default());
    let wall = Arc::<ManualClock>::clone(&clock);
    let steady =
        SteadyClock::start(wall, Arc::<ManualMonotonic>::clone(&monotonic), Duration::from_secs(5));
    let node = FakeNode::with(Arc::<ManualClock>::clone(&clock), true, BITS);
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let mut options = lane_options(node.clone(), &log, Arc::new(steady));
    options.epoch_rule = rule();
    let work = LaneWork::start(options).unwrap();
    let jobs = work.jobs();
    let mut lane = Lane { clock, node, log, work, jobs };
    lane.state(|_| true).await;
    let epoch = lane.epoch_now();

    lane.clock.advance(Duration::from_secs(90 * 86_400));
    lane.node.move_tip(42);
    // A job is made after the look at what is to be sealed.
    let state = lane.state(|s| *s.current.job().prev_hash() == [42; 32]).await;
    assert_eq!(state.current.job().epoch(), epoch);
    assert_eq!(lane.log.sealed(), None);

    // Real time goes on, and with it the epochs, one by one.
    monotonic.advance(Duration::from_secs(100));
    lane.state(|s| s.current.job().epoch() == epoch.next()).await;
    monotonic.advance(Duration::from_secs(100));
    lane.logged(|r| matches!(r, Record::Seal { epoch: e, .. } if *e == epoch)).await;
    lane.state(|s| s.current.job().epoch() == epoch.next().next()).await;
    assert!(lane.log.sealed() <= Some(epoch.next()));
}

/// A node's clock that says how often it was read.
struct Asked(Arc<ManualClock>, watch::Sender<u32>);

impl Clock for Asked {
    fn now(&self) -> Timestamp {
        self.1.send_modify(|n| *n += 1);
        self.0.now()
    }
}

#[tokio::test]
async fn a_clock_far_ahead_of_the_node_at_the_start_seals_nothing_and_gives_no_work() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    lane.state(|_| true).await;
    let epoch = lane.epoch_now();
    lane.stop().await;

    let ours = Arc::new(ManualClock::new(Timestamp::from_secs(START + 86_400)));
    let theirs = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let (count, mut asked) = watch::channel(0);
    let node = FakeNode::with(Arc::new(Asked(Arc::clone(&theirs), count)), true, BITS);
    let mut lane = Lane::on(dir.path(), ours, node);
    for tip in 1..=3 {
        let before = *asked.borrow();
        lane.node.move_tip(tip);
        soon(asked.wait_for(|n| *n > before)).await.unwrap();
    }
    // Now the node was far behind, and has caught up.
    theirs.set(Timestamp::from_secs(START + 86_400));
    lane.node.move_tip(42);
    lane.state(|s| *s.current.job().prev_hash() == [42; 32]).await;
    let since: Vec<Record> = all_records(&lane.log).into_iter().skip(1).collect();
    let first = since.iter().find(|r| !matches!(r, Record::Job(j) if j.epoch == epoch)).unwrap();
    assert!(matches!(first, Record::Seal { epoch: e, .. } if *e == epoch), "{first:?}");
    let job =
        |r: &Record| matches!(r, Record::Job(j) if j.epoch > epoch && j.prev_hash != [42; 32]);
    assert!(!since.iter().any(job), "work was given while the clocks did not agree");
}

#[tokio::test]
async fn a_new_tip_is_worked_on_with_and_without_long_polling() {
    for has_long_poll in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        let node = FakeNode::with(Arc::<ManualClock>::clone(&clock), has_long_poll, BITS);
        let mut lane = Lane::on(dir.path(), clock, node);
        let first = lane.state(|_| true).await;
        lane.node.move_tip(42);
        let second = lane.state(|s| *s.current.job().prev_hash() == [42; 32]).await;
        assert!(second.is_stale(first.current.job()));
        assert!(second.holds(first.current.job().id()), "a block on it would still be sent");
    }
}

#[tokio::test]
async fn a_node_that_is_down_at_first_is_used_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let node = FakeNode::with(Arc::<ManualClock>::clone(&clock), true, BITS);
    node.is_up.store(false, Ordering::SeqCst);
    let mut lane = Lane::on(dir.path(), clock, node);
    assert!(lane.work.current().is_none());
    lane.node.is_up.store(true, Ordering::SeqCst);
    lane.state(|_| true).await;
}

/// A block on the fake node's first tip, as a journal would hold it.
fn block() -> BlockRecord {
    let mut block = vec![0; 81];
    block[4..36].copy_from_slice(&[7; 32]);
    let target = Target::from_compact(BITS).unwrap();
    let nonce = (0u32..)
        .find(|n| {
            block[76..80].copy_from_slice(&n.to_le_bytes());
            target.is_met_by(&sha256d(&block[..80]))
        })
        .unwrap();
    block[76..80].copy_from_slice(&nonce.to_le_bytes());
    BlockRecord {
        share: share(1, EpochNumber(1)),
        block_hash: sha256d(&block[..80]),
        height: 11,
        block,
    }
}

#[tokio::test]
async fn a_block_without_an_answer_is_sent_again_until_the_node_answers() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let found = block();
    log.append(&[Record::Block(found.clone())]).unwrap();
    drop(log);
    // This life begins with a node that is not ready.
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let node = FakeNode::with(Arc::<ManualClock>::clone(&clock), true, BITS);
    node.is_up.store(false, Ordering::SeqCst);
    let mut lane = Lane::on(dir.path(), clock, node);
    lane.node.is_up.store(true, Ordering::SeqCst);
    let wanted = |r: &Record| matches!(r, Record::BlockOutcome { block_hash, accepted: true, .. } if *block_hash == found.block_hash);
    lane.logged(wanted).await;
    assert_eq!(*lane.node.blocks.lock().unwrap(), std::slice::from_ref(&found.block));
    lane.state(|s| *s.current.job().prev_hash() == found.block_hash).await;
    assert!(lane.log.unconfirmed_blocks().unwrap().is_empty());

    // The next life leaves it alone.
    let (clock, node) = (Arc::clone(&lane.clock), Arc::clone(&lane.node));
    lane.stop().await;
    let mut lane = Lane::on(dir.path(), clock, node);
    lane.state(|_| true).await;
    assert_eq!(lane.node.tip().await.unwrap().height, 11);
    assert_eq!(lane.node.blocks.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn live_jobs_are_bounded_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut lane = Lane::open(dir.path(), START);
    lane.state(|_| true).await;
    for n in 1..=40u8 {
        lane.node.move_tip(n);
        lane.state(|s| *s.current.job().prev_hash() == [n; 32]).await;
    }
    let state = lane.work.current().unwrap();
    assert_eq!(state.live.len(), gruve_stratum::limits::LIVE_JOBS_MAX);
    assert!(state.live.is_sorted_by(|a, b| a.job().id() < b.job().id()));
}
