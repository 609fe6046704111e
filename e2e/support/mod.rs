//! What the whole-house tests share: the program under test, ports, and waiting with a deadline.
// Each test file uses its own part, and all of it is private to that file.
#![allow(dead_code, unreachable_pub)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The program: the one `scripts/test` built for release, else the one cargo built for this test.
pub fn program() -> PathBuf {
    std::env::var_os("GRUVE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_gruve").into(), PathBuf::from)
}

/// The program run to its end in a folder.
pub fn run_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(program()).args(args).current_dir(folder).output().unwrap()
}

/// All that it printed.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A running `gruve`; killed when dropped. What it prints goes to a file.
pub struct Running {
    child: Child,
    pub log: PathBuf,
}

impl Running {
    pub fn start(args: &[&str], log: &Path) -> Running {
        Running::start_with(args, &[], log)
    }

    /// With these variables in its environment besides.
    pub fn start_with(args: &[&str], variables: &[(&str, &Path)], log: &Path) -> Running {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(program())
            .args(args)
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Running { child, log: log.to_owned() }
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits for the end.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.ended(Duration::from_secs(30)).await
    }

    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let log = self.log.clone();
        let child = &mut self.child;
        until("the program ends", within, async || child.try_wait().unwrap())
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)))
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log, for a failure's text.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> std::process::Output {
    Command::new(program()).args(args).env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap()
}

/// Asks again and again until there is an answer or the time is over.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> Result<T, String> {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    tokio::time::timeout(within, asking)
        .await
        .map_err(|_| format!("waited {} s until {what}", within.as_secs()))
}

/// The first of `count` neighbouring ports (16 at most) that are free now. No two calls of one
/// process are answered alike: its tests run beside each other, and a port that was found free
/// is bound only later.
pub fn free_ports(count: u16) -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    assert!(count <= 16);
    let seed = std::process::id().wrapping_mul(7919);
    for _ in 0..1_000u32 {
        let i = seed.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % 600;
        let base = u16::try_from(20_000 + i * 16).unwrap();
        if (base..base + count).all(|p| std::net::TcpListener::bind(("127.0.0.1", p)).is_ok()) {
            return base;
        }
    }
    panic!("no {count} neighbouring free ports on 127.0.0.1");
}

/// How many rounds a test of chance runs: few in CI, many with `scripts/test --long`.
pub fn rounds(short: u32, long: u32) -> u32 {
    if std::env::var_os("GRUVE_LONG").is_some() { long } else { short }
}

/// A small reproducible random source; the seed is printed, and may be set by `GRUVE_SEED`.
pub struct Chance(u64);

impl Chance {
    pub fn new() -> Chance {
        use gruve_units::Entropy;
        let seed = std::env::var("GRUVE_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            gruve_units::SystemEntropy.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        println!("GRUVE_SEED={seed}");
        Chance(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
