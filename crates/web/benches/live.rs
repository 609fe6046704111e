//! What a thousand live viewers cost a house that serves from one core: they hear of a change and fetch the page again, as
//! the pages' script does. `cargo bench -p gruve-web --bench live`; docs/bench.md has the last figures. `-- --viewers 50`
//! measures so many, `--only 3` the fourth block alone.
//!
//! The house is a process of its own with one thread for all requests, so that its time is its own; each viewer has an
//! address of its own on the loopback network. Linux only: processor time and memory are read from `/proc`.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout, dead_code, unreachable_pub)]

#[path = "../tests/house/mod.rs"]
mod house;

use gruve_web::{CallPace, WebConfig};
use house::House;
use house::browser::Program;
use house::contracts::with_contracts;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Barrier, mpsc};

/// Where nothing else is asked for.
const VIEWERS: usize = 1_000;
/// A customer's contracts, and the epochs of each: a few, and as many as the overview's own measure has.
const FEW: (usize, u32) = (5, 6);
const MANY: (usize, u32) = (200, 60);
/// Changes of each measure.
const CHANGES: usize = 5;
/// Nothing here takes so long unless it never ends.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut work = args.iter().skip_while(|a| *a != "serve").skip(1);
    let contracts = work.next().zip(work.next());
    let asked = args.iter().skip_while(|a| *a != "--viewers").nth(1);
    let viewers = asked.map_or(VIEWERS, |n| n.parse().expect("--viewers takes a number"));
    let only = args.iter().skip_while(|a| *a != "--only").nth(1);
    let only = only.map(|n| n.parse::<usize>().expect("--only takes a number"));
    let mut builder = match contracts {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().unwrap();
    match contracts {
        Some((n, term)) => runtime.block_on(serve(n.parse().unwrap(), term.parse().unwrap())),
        None => runtime.block_on(measure(viewers, only)),
    }
}

/// The house: says where it is and who its customer is, then beats for each line that it is given.
async fn serve(contracts: usize, term: u32) {
    // All viewers are one customer, who looks a thousand times as often as anybody may.
    let pages = Some(CallPace { at_once: 1_000_000, ..CallPace::PAGES });
    let house = House::with(WebConfig { pages, ..WebConfig::default() }).await;
    house.epochs(9).await;
    let me = Program::signed_up(&house.app, "kari").await;
    with_contracts(&house, &me, contracts, term).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{} {}", listener.local_addr().unwrap(), me.token.unwrap());
    let (over, ended) = tokio::sync::oneshot::channel::<()>();
    let pulse = house.state.pulse().clone();
    // A thread that waits for its line: it costs nothing.
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(|_| pulse.beat());
        drop(over);
    });
    let until = async { drop(ended.await) };
    gruve_web::serve(listener, house.state.clone(), until).await.unwrap();
}

struct Served {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Served {
    fn start((contracts, term): (usize, u32)) -> Served {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["serve", &contracts.to_string(), &term.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (address, token) = line.trim().split_once(' ').unwrap();
        Served { address: address.parse().unwrap(), token: token.to_owned(), process }
    }

    fn beat(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"beat\n").unwrap();
    }

    /// Processor time so far, of user and system, in clock ticks of 10 ms (proc(5): fields 14 and 15 of `stat`).
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|f| f.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory that is in use, in KiB.
    fn memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection from the address of a viewer.
async fn connected(to: SocketAddr, viewer: usize) -> TcpStream {
    let [high, low] = u16::try_from(viewer + 1).unwrap().to_be_bytes();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 1, high, low), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// What viewers look at.
#[derive(Clone)]
struct Look {
    name: &'static str,
    path: &'static str,
    headers: String,
}

/// What a viewer saw of a change: when it was told after it happened, how long the page took.
struct Seen {
    told: Duration,
    page: Duration,
    bytes: usize,
}

/// One viewer: listens, and fetches the page after each change, within the time that the house asks for.
async fn view(
    (viewer, viewers): (usize, usize),
    to: SocketAddr,
    look: Look,
    began: Arc<std::sync::Mutex<Instant>>,
    ready: Arc<Barrier>,
    seen: mpsc::UnboundedSender<Seen>,
) {
    let mut stream = connected(to, viewer).await;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: gruve.test\r\n\r\n").await.unwrap();
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let mut name = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event.to_owned();
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        if name == "hello" {
            ready.wait().await;
            continue;
        }
        let told = began.lock().unwrap().elapsed();
        let spread: u64 = data.split(' ').nth(1).unwrap().parse().unwrap();
        // Half to one and a half times as long, evenly over all viewers in an order that looks like none.
        let part = u64::try_from(viewer * 617 % viewers * 1_000 / viewers).unwrap();
        tokio::time::sleep(Duration::from_millis(spread / 2 + spread * part / 1_000)).await;
        let asked = Instant::now();
        let mut page = connected(to, viewer).await;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: gruve.test\r\nConnection: close\r\n{}\r\n",
            look.path, look.headers
        );
        page.write_all(request.as_bytes()).await.unwrap();
        let mut body = Vec::new();
        page.read_to_end(&mut body).await.unwrap();
        assert!(body.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&body));
        let _ = seen.send(Seen { told, page: asked.elapsed(), bytes: body.len() });
    }
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

async fn measure(viewers: usize, only: Option<usize>) {
    for n in (0..4).filter(|n| only.is_none_or(|only| only == *n)) {
        let mut served = Served::start(if n == 3 { MANY } else { FEW });
        let looks = [
            Look {
                name: "front page, shared",
                path: "/",
                headers: "Gruve-Refresh: yes\r\n".into(),
            },
            Look { name: "front page, each its own", path: "/", headers: String::new() },
            Look {
                name: "overview of a customer, each its own",
                path: "/account",
                headers: format!("Gruve-Refresh: yes\r\nCookie: gruve={}\r\n", served.token),
            },
            Look {
                name: "overview of a customer with two hundred contracts, each its own",
                path: "/account",
                headers: format!("Gruve-Refresh: yes\r\nCookie: gruve={}\r\n", served.token),
            },
        ];
        let look = looks[n].clone();
        let empty = served.memory_kib();
        let (ready, began) =
            (Arc::new(Barrier::new(viewers + 1)), Arc::new(std::sync::Mutex::new(Instant::now())));
        let (sender, mut seen) = mpsc::unbounded_channel();
        for viewer in 0..viewers {
            let (began, ready, sender) = (Arc::clone(&began), Arc::clone(&ready), sender.clone());
            tokio::spawn(view(
                (viewer, viewers),
                served.address,
                look.clone(),
                began,
                ready,
                sender,
            ));
        }
        tokio::time::timeout(PATIENCE, ready.wait()).await.expect("all viewers listen");
        let (cpu, full) = (served.cpu(), served.memory_kib());
        let (mut told, mut pages, mut bytes, mut took) =
            (Vec::new(), Vec::new(), 0, Duration::ZERO);
        for _ in 0..CHANGES {
            let start = Instant::now();
            *began.lock().unwrap() = start;
            served.beat();
            for _ in 0..viewers {
                let one = tokio::time::timeout(PATIENCE, seen.recv()).await.expect("a page comes");
                let one = one.unwrap();
                told.push(one.told);
                pages.push(one.page);
                bytes = one.bytes;
            }
            took += start.elapsed();
        }
        let cpu = served.cpu() - cpu;
        told.sort();
        pages.sort();
        println!(
            "{}: {viewers} viewers, {CHANGES} changes, {bytes} bytes a page\n  \
             processor a change: {:?} (over {:?}), memory a viewer: {} KiB, at the end {} MiB\n  \
             told after p50 {:?}, p99 {:?}; page p50 {:?}, p99 {:?}",
            look.name,
            cpu / u32::try_from(CHANGES).unwrap(),
            took / u32::try_from(CHANGES).unwrap(),
            full.saturating_sub(empty) / u64::try_from(viewers).unwrap(),
            served.memory_kib() / 1_024,
            at(&told, 50),
            at(&told, 99),
            at(&pages, 50),
            at(&pages, 99),
        );
    }
}
