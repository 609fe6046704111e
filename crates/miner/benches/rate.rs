//! The whole miner beside its bare loop, in one run: `cargo bench -p gruve-miner`.
//!
//! Both are measured in hashes for each second of processor time, all threads of the process
//! together, so that other programs on the machine do not decide; by turns, so that its moods
//! come to both.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]

use gruve_miner::{Miner, MinerOptions};
use gruve_pow::HeaderScanner;
use gruve_units::{Algorithm, Class};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 4;

/// Nobody finds a share of it.
const HARD: u8 = 80;

fn main() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:<10} {:>14} {:>14} {:>7}", "", "bare loop/s", "miner/s", "ratio");
        for algorithm in [Algorithm::Sha256d, Algorithm::Scrypt] {
            let (mut bare, mut miner) = (Rate::default(), Rate::default());
            for _ in 0..TURNS {
                bare.add(&tokio::task::spawn_blocking(move || bare_loop(algorithm)).await.unwrap());
                miner.add(&whole_miner(algorithm).await);
            }
            let (bare, miner) = (bare.per_second(), miner.per_second());
            println!(
                "{:<10} {bare:>14.0} {miner:>14.0} {:>7.3}",
                algorithm.to_string(),
                miner / bare
            );
        }
    });
}

/// Hashes and the processor's time that they took.
#[derive(Default)]
struct Rate {
    hashes: f64,
    seconds: f64,
}

impl Rate {
    fn add(&mut self, other: &Rate) {
        self.hashes += other.hashes;
        self.seconds += other.seconds;
    }

    fn per_second(&self) -> f64 {
        self.hashes / self.seconds
    }
}

/// Nanoseconds that this process's threads, those that live, have run.
fn processor_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux tells of threads in /proc");
    let ran = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    ran.sum::<u64>() as f64 / 1e9
}

fn bare_loop(algorithm: Algorithm) -> Rate {
    let count = if algorithm == Algorithm::Scrypt { 192 } else { 1 << 18 };
    let target = Class::new(HARD).unwrap().target();
    let mut scanner = HeaderScanner::new(algorithm, [7; 80]);
    let mut found = Vec::new();
    let (start, before) = (Instant::now(), processor_time());
    let mut hashes = 0u32;
    while start.elapsed() < TURN {
        scanner.scan(hashes, count, &target, &mut found);
        hashes = hashes.wrapping_add(count);
    }
    Rate { hashes: f64::from(hashes), seconds: processor_time() - before }
}

async fn whole_miner(algorithm: Algorithm) -> Rate {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("stratum+tcp://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, algorithm).await;
    });
    let miner = Miner::start(MinerOptions::new(url, "a.b", algorithm)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Until it has found its pace.
    while miner.stats().hashes.0 == 0 {
        assert!(Instant::now() < deadline, "{:?}", miner.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (before, hashes) = (processor_time(), miner.stats().hashes.0);
    tokio::time::sleep(TURN).await;
    let rate = Rate {
        hashes: (miner.stats().hashes.0 - hashes) as f64,
        seconds: processor_time() - before,
    };
    miner.stop().await;
    server.abort();
    rate
}

/// A server that grants version rolling and gives one job.
async fn serve(stream: TcpStream, algorithm: Algorithm) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let request: Value = serde_json::from_str(&line).unwrap();
        let mask = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
        let result = match request["method"].as_str() {
            Some("mining.configure") => mask,
            Some("mining.subscribe") => json!([[], "00000001", 8]),
            _ => json!(true),
        };
        let mut answer = json!({"id": request["id"], "result": result, "error": null}).to_string();
        if request["method"] == "mining.authorize" {
            let d = Class::new(HARD).unwrap().wire_difficulty(algorithm);
            let params = json!([
                "j",
                "00".repeat(32),
                "0100",
                "ffff",
                ["11".repeat(32)],
                "20000000",
                "1d00ffff",
                "65000000",
                true
            ]);
            answer += &format!(
                "\n{}",
                json!({"id": null, "method": "mining.set_difficulty", "params": [d]})
            );
            answer +=
                &format!("\n{}", json!({"id": null, "method": "mining.notify", "params": params}));
        }
        write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
}
