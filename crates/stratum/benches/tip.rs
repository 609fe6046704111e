//! How long machines work on an old block: from the moment a node says that there is a new one to the
//! job on it, and from the question for a full template to its job. The node is a stand-in on
//! loopback that answers from memory, so that everything measured is ours: HTTP, reading, building,
//! and the job's record in the share log.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use gruve_chain::template::witness_commitment_script;
use gruve_chain::{Job, JobSpec, NetworkName, Node, RpcNode, Template, params_for};
use gruve_sharelog::{Options, ShareLog};
use gruve_stratum::{LaneWork, LaneWorkOptions, Stamps};
use gruve_units::{Asset, Clock, Duration, EpochNumber, EpochRule, JobId, LaneId, SeededEntropy};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A block of transactions of 976 bytes: four million weight units.
const TXS: u64 = 4_095;
const TX_BYTES: usize = 976;

fn hash_at(height: u64) -> String {
    format!("{:0>64}", hex::encode(height.to_be_bytes()))
}

fn internal_hash_at(height: u64) -> [u8; 32] {
    gruve_chain::hash_from_text(&hash_at(height)).unwrap()
}

/// The parts of a template that do not change with the tip.
fn template_body() -> String {
    let id = |n: u64| hex::encode(gruve_pow::sha256d(&n.to_be_bytes()));
    let wtxids: Vec<_> = (0..TXS).map(|n| gruve_chain::hash_from_text(&id(n)).unwrap()).collect();
    let data = "5a".repeat(TX_BYTES);
    let tx = |n| {
        let id = id(n);
        format!(
            r#"{{"data":"{data}","txid":"{id}","hash":"{id}","depends":[],"fee":976,"sigops":4,"weight":3904}}"#
        )
    };
    let txs: Vec<_> = (0..TXS).map(tx).collect();
    format!(
        r#""version":536870912,"rules":["csv","!segwit"],"coinbasevalue":5003996720,"mintime":1700000000,
        "curtime":1700000600,"bits":"207fffff","default_witness_commitment":"{}","transactions":[{}]"#,
        hex::encode(witness_commitment_script(&wtxids)),
        txs.join(",")
    )
}

struct StandIn {
    url: String,
    tip: watch::Sender<u64>,
}

impl StandIn {
    async fn start() -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tip = watch::Sender::new(10);
        let (tips, body) = (tip.clone(), Arc::new(template_body()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tips.clone(), Arc::clone(&body)));
            }
        });
        StandIn { url, tip }
    }

    fn node(&self) -> Arc<RpcNode> {
        let params = params_for(Asset::Btc, NetworkName::Regtest).unwrap();
        Arc::new(RpcNode::new(&self.url, "u", "p", params).unwrap())
    }
}

async fn serve(mut stream: TcpStream, tips: watch::Sender<u64>, body: Arc<String>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut request = Vec::new();
    let call: Value = loop {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).await.ok().filter(|&n| n > 0)?;
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request);
        if let Some(call) =
            text.split_once("\r\n\r\n").and_then(|(_, b)| serde_json::from_str(b).ok())
        {
            break call;
        }
    };
    let known = call["params"][1].as_str().map(str::to_owned);
    let result = match call["method"].as_str()? {
        "waitfornewblock" => {
            let mut tips = tips.subscribe();
            let tip = *tips.wait_for(|t| known != Some(hash_at(*t))).await.ok()?;
            json!({ "hash": hash_at(tip), "height": tip }).to_string()
        }
        "getblockheader" => json!({ "bits": "207fffff", "mediantime": 1_700_000_000 }).to_string(),
        _ => {
            let tip = *tips.borrow();
            let (prev, height) = (hash_at(tip), tip + 1);
            format!(r#"{{{body},"previousblockhash":"{prev}","height":{height}}}"#)
        }
    };
    let answer = format!(r#"{{"result":{result},"error":null,"id":{}}}"#, call["id"]);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

struct NoStamps;

impl Stamps for NoStamps {
    fn stamp(&self, _: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        (epoch.back(2), [7; 32])
    }
}

fn notice_to_job(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let (stand_in, work) = runtime.block_on(async {
        let stand_in = StandIn::start().await;
        let options = LaneWorkOptions {
            lane: "btc".parse().unwrap(),
            node: stand_in.node(),
            epoch_rule: EpochRule::new(Duration::from_secs(3600), Duration::from_secs(10)).unwrap(),
            stamps: Arc::new(NoStamps),
            pay_to: vec![0x51],
            tag: b"/bench/".to_vec(),
            refresh: Duration::from_secs(3600),
            poll: Duration::from_secs(1),
            clock: Arc::new(Frozen),
            entropy: Arc::new(SeededEntropy::new(1)),
            share_log: log.clone(),
            aux: Vec::new(),
            kept_jobs: None,
        };
        (stand_in, LaneWork::start(options).unwrap())
    });
    let mut jobs = work.jobs();
    let mut until = async |tip: u64, txs: usize| {
        let prev = internal_hash_at(tip);
        jobs.wait_for(|s| {
            let job = s.as_ref().map(|s| s.current.job());
            job.is_some_and(|j| *j.prev_hash() == prev && j.template().txs.len() >= txs)
        })
        .await
        .unwrap();
    };
    let all = usize::try_from(TXS).unwrap();
    let mut tip = 10;
    runtime.block_on(until(tip, all));
    let mut full = Duration::ZERO;
    let mut rounds = 0u32;
    c.bench_function("notice of a block to the empty job on it", |b| {
        b.iter_custom(|times| {
            let mut taken = Duration::ZERO;
            for _ in 0..times {
                tip += 1;
                let begun = Instant::now();
                stand_in.tip.send_replace(tip);
                runtime.block_on(until(tip, 0));
                taken += begun.elapsed();
                runtime.block_on(until(tip, all));
                full += begun.elapsed();
                rounds += 1;
                // Nothing is asked of a node more often than every tenth of a second.
                let rest = Duration::from_millis(110).saturating_sub(begun.elapsed());
                runtime.block_on(async { tokio::time::sleep(rest).await });
            }
            taken
        });
    });
    println!(
        "notice of a block to the job with its {TXS} transactions: {:?}",
        full / rounds.max(1)
    );
    runtime.block_on(work.stop());
}

/// Within one epoch, and at the time of the stand-in's templates.
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> gruve_units::Timestamp {
        gruve_units::Timestamp::from_secs(1_700_000_600)
    }
}

fn job_of(template: Template) -> Job {
    let spec = JobSpec {
        id: JobId(1),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [7; 32],
        tag: vec![0; 15],
        pay_to: vec![(vec![0x51], template.coinbase_value)],
        extranonce_len: 12,
    };
    Job::build(Arc::new(template), spec).unwrap()
}

fn template_to_job(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stand_in = runtime.block_on(StandIn::start());
    let node = stand_in.node();
    c.bench_function("template of 4,095 transactions to job", |b| {
        b.iter(|| job_of(runtime.block_on(node.template(None)).unwrap()));
    });
    c.bench_function("template of 4,095 transactions to job, through a tree of values", |b| {
        b.iter(|| {
            let gbt = runtime.block_on(node.call("getblocktemplate", json!([]))).unwrap();
            job_of(Template::from_gbt(&gbt, node.params()).unwrap())
        });
    });
    let template = runtime.block_on(node.template(None)).unwrap();
    c.bench_function("merkle branch of 4,095 transactions", |b| {
        b.iter(|| template.coinbase_branch());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).without_plots();
    targets = notice_to_job, template_to_job
}
criterion_main!(benches);
