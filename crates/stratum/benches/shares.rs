//! What the parts of a share's way cost, without sockets: reading a submit (as firmware writes it, and
//! in a spelling that takes a JSON parser), refusing one that was sent before, the whole check, the
//! difficulty control, giving a job to 5,000 sessions, the append to the log.
//! `cargo bench -p gruve-stratum --bench shares`, on one core (`taskset -c 1 …`).
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gruve_chain::{Job, JobSpec, Template};
use gruve_sharelog::{Extranonce, Options, Owner, ShareLog, ShareRecord};
use gruve_stratum::check::HeaderParts;
use gruve_stratum::limits::CANDIDATES_PER_VISIT_MAX;
use gruve_stratum::protocol::{
    Admitted, Candidate, Protocol as _, Puzzle, Round, Solved, Step, Work,
};
use gruve_stratum::session::{Session, SessionRules};
use gruve_stratum::vardiff::Vardiff;
use gruve_stratum::{Authorized, LiveJob, WorkState};
use gruve_units::{Algorithm, Class, Duration, EpochNumber, JobId, MachineId, Timestamp};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

const NTIME: u32 = 0x6600_0000;
/// No run finds a block.
const BITS: u32 = 0x1705_6ecf;
const SESSIONS: usize = 5_000;
const MACHINE: MachineId = MachineId::from_bytes([7; 16]);

fn now() -> Timestamp {
    Timestamp::from_secs(i64::from(NTIME))
}

/// A job with twelve siblings, as a full block has.
fn job(id: u64) -> Arc<LiveJob> {
    let template = Template {
        height: 800_000,
        prev_hash: [3; 32],
        version: 0x2000_0000,
        bits: BITS,
        min_time: NTIME - 600,
        cur_time: NTIME,
        coinbase_value: 312_500_000,
        txs: Vec::new(),
        witness_commitment: Some([&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &[7; 32]].concat()),
        mweb: None,
        longpoll_id: None,
    };
    let spec = JobSpec {
        id: JobId(id),
        epoch: EpochNumber(7),
        checkpoint_epoch: EpochNumber(5),
        commitment: [0xcd; 32],
        tag: id.to_be_bytes().to_vec(),
        pay_to: vec![(vec![0x51; 22], template.coinbase_value)],
        extranonce_len: 12,
    };
    let branch = (0..12).map(|n| [n; 32]).collect();
    Arc::new(LiveJob::new(Job::build_on(Arc::new(template), branch, spec).unwrap()))
}

fn work(id: u64) -> Work {
    Work::Header(Arc::new(WorkState::of(Algorithm::Sha256d, job(id))))
}

/// A session that mines: subscribed, authorised, with job 1 at class 0.
fn session(number: u32, work: &Work) -> Session {
    let rules = SessionRules::new(Algorithm::Sha256d, (Class::ZERO, Class::ZERO), Class::ZERO);
    let mut session = Session::new(Arc::new(rules), number.to_be_bytes(), now());
    let (mut round, mut out) = (Round::default(), Vec::new());
    let hello = concat!(
        r#"{"id":1,"method":"mining.subscribe","params":["bench/1"]}"#,
        "\n",
        r#"{"id":2,"method":"mining.authorize","params":["house.m1","x"]}"#,
        "\n"
    );
    let (_, taken, step) = round.receive(&mut session, hello.as_bytes(), now());
    assert!(taken == hello.len() && matches!(step, Step::Authorize { .. }));
    let who = Authorized { owner: Owner::House, machine: MACHINE };
    session.authorized(&Ok(Admitted { who, class: None }), "x", now(), &mut out);
    session.settle(now(), &mut out);
    session.work(work, now(), &mut out);
    assert!(String::from_utf8_lossy(&out).contains("mining.notify"));
    session
}

/// What a miner sends at most in one visit, each with an extranonce of its own.
fn submits() -> String {
    let mut lines = String::new();
    for n in 0..CANDIDATES_PER_VISIT_MAX {
        writeln!(
            lines,
            r#"{{"id":{},"method":"mining.submit","params":["house.m1","{:016x}00","{n:016x}","{NTIME:08x}","{n:08x}"]}}"#,
            n + 3,
            1
        )
        .unwrap();
    }
    lines
}

fn solve(candidate: &Candidate, scratch: &mut Vec<u8>) -> Solved {
    let Puzzle::Header(live) = &candidate.puzzle else { panic!("{candidate:?}") };
    let share = &candidate.share;
    let header = HeaderParts::of(live.job(), share.class).header(
        share.extranonce.as_slice(),
        share.version,
        share.ntime,
        share.nonce,
        scratch,
    );
    Solved { pow_hash: gruve_pow::sha256d(&header), header, mix: [0; 32] }
}

fn shares(c: &mut Criterion) {
    let (work, lines) = (work(1), submits());
    let mut group = c.benchmark_group("share");
    group.throughput(Throughput::Elements(CANDIDATES_PER_VISIT_MAX as u64));
    let fresh = || (session(1, &work), Round::default());
    group.bench_function("a submit read and looked up", |b| {
        b.iter_batched(
            fresh,
            |(mut session, mut round)| {
                let (_, taken, _) = round.receive(&mut session, lines.as_bytes(), now());
                assert_eq!((taken, round.candidates.len()), (lines.len(), 64));
                (session, round)
            },
            BatchSize::SmallInput,
        );
    });
    let unusual = lines.replace("house.m1", "house\\u002em1");
    group.bench_function("a submit in an unusual spelling", |b| {
        b.iter_batched(
            fresh,
            |(mut session, mut round)| {
                let (_, taken, _) = round.receive(&mut session, unusual.as_bytes(), now());
                assert_eq!((taken, round.candidates.len()), (unusual.len(), 64));
                (session, round)
            },
            BatchSize::SmallInput,
        );
    });
    let used = || {
        let (mut session, mut round) = fresh();
        round.receive(&mut session, lines.as_bytes(), now());
        let mut scratch = Vec::new();
        for candidate in &round.candidates {
            let solved = solve(candidate, &mut scratch);
            assert!(session.judge(candidate, &solved, now()).verdict.is_ok());
        }
        (session, Round::default())
    };
    group.bench_function("a share sent before, refused", |b| {
        b.iter_batched(
            used,
            |(mut session, mut round)| {
                round.receive(&mut session, lines.as_bytes(), now());
                assert_eq!((round.candidates.len(), round.refused.len()), (0, 64));
                (session, round)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("the whole check, hashed one by one", |b| {
        b.iter_batched(
            fresh,
            |(mut session, mut round)| {
                let (part, ..) = round.receive(&mut session, lines.as_bytes(), now());
                let (mut outcomes, mut out) = (Vec::new(), Vec::new());
                let mut scratch = Vec::new();
                for candidate in &round.candidates {
                    let solved = solve(candidate, &mut scratch);
                    outcomes.push(session.judge(candidate, &solved, now()).verdict);
                }
                assert!(outcomes.iter().all(Result::is_ok));
                round.answer(&mut session, part, &outcomes, &mut out);
                session.settle(now(), &mut out);
                (session, round, out)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn difficulty(c: &mut Criterion) {
    let range = (Class::ZERO, Class::new(60).unwrap());
    let start = Class::new(30).unwrap();
    c.bench_function("difficulty control: a share and a decision", |b| {
        let mut control = Vardiff::new(range, start, Duration::from_secs(5), now());
        let mut at = now();
        b.iter(|| {
            at = at.plus(Duration::from_secs(5));
            control.share(control.class(), at);
            let class = black_box(control.decide(at));
            class.into_iter().for_each(|class| control.applied(class, at));
        });
    });
}

fn jobs(c: &mut Criterion) {
    c.bench_function("a job's line, encoded", |b| {
        b.iter_batched(|| job(1), |job| job.notify(Class::ZERO, true), BatchSize::SmallInput);
    });
    let first = work(1);
    let numbers = 0..u32::try_from(SESSIONS).unwrap();
    let mut sessions: Vec<_> = numbers.map(|n| session(n, &first)).collect();
    let (mut id, mut out) = (1, Vec::new());
    let mut group = c.benchmark_group("fan-out");
    group.throughput(Throughput::Elements(SESSIONS as u64));
    group.bench_function("a new job to 5,000 sessions, without sockets", |b| {
        b.iter_batched(
            || {
                id += 1;
                work(id)
            },
            |work| {
                for session in &mut sessions {
                    out.clear();
                    session.work(&work, now(), &mut out);
                    assert!(!out.is_empty());
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn log(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let share = |nonce| ShareRecord {
        job: JobId(1),
        epoch: EpochNumber(1),
        class: Class::ZERO,
        owner: Owner::House,
        machine: MACHINE,
        extranonce: Extranonce::join(&[1; 4], &[2; 8]).unwrap(),
        ntime: NTIME,
        nonce,
        version: 0x2000_0000,
        at: now(),
    };
    let mut group = c.benchmark_group("share log");
    let mut accepted = Vec::new();
    for count in [1u32, 16, 64, 256] {
        let shares: Vec<_> = (0..count).map(share).collect();
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::new("append", count), |b| {
            b.iter(|| log.append_shares(black_box(&shares), &mut accepted).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .without_plots();
    targets = shares, difficulty, jobs, log
}
criterion_main!(benches);
