//! The way of an accepted share takes no memory of the allocator: a program of its own, because its allocator counts.
#![allow(clippy::unwrap_used, missing_docs)]
// An allocator is unsafe by its trait; this one hands everything on.
#![allow(unsafe_code)]

// What sessions are given, made for V1's tests.
#[allow(dead_code)]
#[path = "stratum_v1/jobs.rs"]
mod jobs;
// What a gateway needs around it, likewise.
#[allow(dead_code)]
#[path = "stratum_v1/node.rs"]
mod node;

/// What that node asks its tests for.
mod miner {
    pub(crate) use crate::jobs::{HARD, class, machine, template};
}

use crate::jobs::class;
use gruve_stratum::limits::SEEN_PER_JOB_MAX;
use node::{FakeNode, House, gateway_options};
use rustix::thread::gettid;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The thread whose requests are counted; 0 for none.
static COUNTED: AtomicI32 = AtomicI32::new(0);
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl Counting {
    fn note() {
        let counted = COUNTED.load(Ordering::Relaxed);
        if counted != 0 && gettid().as_raw_pid() == counted {
            REQUESTS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counting::note();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, to: usize) -> *mut u8 {
        Counting::note();
        unsafe { System.realloc(memory, layout, to) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The thread of that name.
fn thread(name: &str) -> i32 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let is_it = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let task = tasks.filter(is_it).last().unwrap();
    task.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// A miner whose every hash is a share.
struct Miner {
    stream: BufReader<TcpStream>,
    job: String,
    ntime: String,
    shares: usize,
    line: String,
}

impl Miner {
    fn connect(address: SocketAddr) -> Miner {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let stream = BufReader::new(stream);
        let (job, ntime, line) = (String::new(), String::new(), String::new());
        let mut miner = Miner { stream, job, ntime, shares: 0, line };
        let hello = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"t/1\"]}\n\
            {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"house.m1\",\"x\"]}\n";
        miner.stream.get_mut().write_all(hello.as_bytes()).unwrap();
        while miner.job.is_empty() {
            miner.hear();
            let heard: serde_json::Value = serde_json::from_str(&miner.line).unwrap();
            if heard["method"] == "mining.notify" {
                let text = |n: usize| heard["params"][n].as_str().unwrap().to_owned();
                (miner.job, miner.ntime) = (text(0), text(7));
            }
        }
        miner
    }

    fn hear(&mut self) {
        self.line.clear();
        assert!(self.stream.read_line(&mut self.line).unwrap() > 0, "it was closed");
    }

    /// So many shares at once, and then their answers.
    fn round(&mut self, shares: usize) {
        let mut lines = String::new();
        for _ in 0..shares {
            self.shares += 1;
            let (job, ntime, extranonce) = (&self.job, &self.ntime, self.shares);
            writeln!(
                lines,
                r#"{{"id":4,"method":"mining.submit","params":["house.m1","{job}","{extranonce:016x}","{ntime}","00000001"]}}"#
            )
            .unwrap();
        }
        self.stream.get_mut().write_all(lines.as_bytes()).unwrap();
        for _ in 0..shares {
            self.hear();
            assert_eq!(self.line, "{\"id\":4,\"result\":true,\"error\":null}\n");
        }
    }

    /// Until every buffer has been as large as it becomes, the session has been looked after (on a machine that is
    /// quick, a job would be full of shares before: there it is looked after in one of the windows), and what
    /// tells repeated shares has room for so many more: it grows to the double when seven eighths are full.
    fn warm_up(&mut self, shares: usize, room: usize) {
        let begun = Instant::now();
        let most = self.shares + SEEN_PER_JOB_MAX / 8;
        let grows_at = |count: usize| (count * 8 / 7 + 1).next_power_of_two() / 8 * 7;
        while begun.elapsed() < Duration::from_secs(3) && self.shares < most
            || grows_at(self.shares) < self.shares + room + shares
        {
            self.round(shares);
        }
    }
}

/// Counted in rounds of sixteen shares and of one. What comes with time (the session is looked after each second, whatever
/// else) may ask for memory in one window or the other; what comes with shares would in all.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_share_asks_for_no_memory_once_everything_has_its_size() {
    const WINDOWS: usize = 16;
    const ROUNDS: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(0)), class(0));
    let node = FakeNode::new(Arc::new(gruve_units::SystemClock));
    let house = House::open_on(node, dir.path(), options);
    let address = house.gateway.address();
    let (sent, windows) = tokio::task::spawn_blocking(move || {
        let mut miner = Miner::connect(address);
        let serving = thread("stratum-btc-0");
        let mut all = Vec::new();
        for shares in [16, 1] {
            miner.warm_up(shares, WINDOWS * ROUNDS * shares);
            let mut windows = [0; WINDOWS];
            for window in &mut windows {
                COUNTED.store(serving, Ordering::SeqCst);
                (0..ROUNDS).for_each(|_| miner.round(shares));
                COUNTED.store(0, Ordering::SeqCst);
                *window = REQUESTS.swap(0, Ordering::SeqCst);
            }
            all.push(windows);
        }
        // That it counts: what a newcomer owns was asked for.
        COUNTED.store(serving, Ordering::SeqCst);
        let _other = Miner::connect(address);
        COUNTED.store(0, Ordering::SeqCst);
        assert!(REQUESTS.load(Ordering::SeqCst) > 0);
        (miner.shares, all)
    })
    .await
    .unwrap();
    for windows in windows {
        let clean = windows.iter().filter(|requests| **requests == 0).count();
        assert!(clean >= WINDOWS * 3 / 4, "requests in {ROUNDS} rounds: {windows:?}");
    }
    assert_eq!(house.gateway.totals().accepted, sent as u64);
    house.gateway.shutdown().await;
    house.work.stop().await;
}
