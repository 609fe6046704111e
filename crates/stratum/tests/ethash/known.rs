//! Machines that come back among strangers who have the server hash for nothing.

use crate::gateway::{HttpNode, Wire};
use crate::node::{shared_lane, soon};
use crate::rig::{HARD, Solution, class, code, mine_some, pow};
use async_trait::async_trait;
use gruve_sharelog::{Options, Owner, ShareLog};
use gruve_stratum::eth::EthLane;
use gruve_stratum::{Authorized, Gateway, GatewayOptions, Machines, Refused};
use gruve_units::{LaneId, MachineId, SeededEntropy, SystemClock, Target};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinSet;

const HEADER: u8 = 0x7d;

/// Strangers, each with a connection and a handful of shares in the server's hands at any time.
const STRANGERS: u64 = 24;
const HANDFUL: usize = 8;

/// Handfuls that a stranger may bring on one connection before it is closed for them, and some to spare.
const HANDFULS_MAX: u64 = 20;

/// Who goes before them waits for fewer hashes than this, and who stands among them for more.
const FEW: u64 = 20;
const MANY: u64 = 40;

/// Each login is a machine.
struct ByName;

#[async_trait]
impl Machines for ByName {
    async fn authorize(&self, _: &LaneId, user: &str, _: &str) -> Result<Authorized, Refused> {
        let mut id = [0; 16];
        id.iter_mut().zip(user.bytes()).for_each(|(to, from)| *to = from);
        Ok(Authorized { owner: Owner::House, machine: MachineId::from_bytes(id) })
    }
}

/// A nonce that is no share, and a mix that claims nothing.
fn bad() -> Solution {
    let is_bad = |nonce: &u64| {
        let last = pow().hash_many(&[([HEADER; 32], *nonce)])[0].1;
        Target::from_be_bytes(last) > class(2).target()
    };
    ((1 << 40..).find(is_bad).unwrap(), [0; 32])
}

/// Sends one share on a new connection; gives its code and how many of the strangers' were hashed meanwhile.
async fn first_share(
    user: &str,
    share: Solution,
    address: SocketAddr,
    hashed: &AtomicU64,
) -> (i64, u64) {
    let mut wire = Wire::of(user, address).await;
    wire.ask_for_work(HEADER).await;
    next_share(&mut wire, share, hashed).await
}

/// The same on a connection that is there.
async fn next_share(wire: &mut Wire, share: Solution, hashed: &AtomicU64) -> (i64, u64) {
    let before = hashed.load(Ordering::Relaxed);
    wire.submit_work(9, HEADER, share).await;
    let answer = wire.hear(|v| v["id"] == 9).await.unwrap();
    (code(&answer), hashed.load(Ordering::Relaxed) - before)
}

/// A lane with one thread that hashes.
struct House {
    lane: EthLane,
    gateway: Gateway,
    address: SocketAddr,
    _dir: tempfile::TempDir,
    _node: HttpNode,
}

impl House {
    async fn open() -> House {
        let dir = tempfile::tempdir().unwrap();
        let node = HttpNode::start(HEADER, HARD).await;
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let lane = shared_lane(node.client(), &log, Arc::new(SystemClock));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SeededEntropy::new(2)));
        let range = (class(2), class(2));
        let mut options = GatewayOptions::new(listener, range, class(2), clock, entropy);
        options.hash_threads = 1;
        let gateway = Gateway::start(options, Arc::new(lane.clone()), Arc::new(ByName)).unwrap();
        let address = gateway.address();
        House { lane, gateway, address, _dir: dir, _node: node }
    }

    async fn close(self) {
        soon(self.gateway.shutdown()).await;
        self.lane.stop().await;
    }
}

/// Those who have the server hash for nothing.
struct Strangers {
    over: Arc<AtomicBool>,
    /// Their hashes.
    hashed: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Strangers {
    /// Each brings so many handfuls on a connection and comes again. Ends when all have had some hashed.
    async fn come(address: SocketAddr, handfuls: impl Fn(u64) -> u64) -> Strangers {
        let (over, hashed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut tasks, bad) = (JoinSet::new(), [bad(); HANDFUL]);
        for n in 0..STRANGERS {
            let (over, hashed, handfuls) = (Arc::clone(&over), Arc::clone(&hashed), handfuls(n));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let mut wire = Wire::of(&format!("evil{n}"), address).await;
                    wire.ask_for_work(HEADER).await;
                    for _ in 0..handfuls {
                        wire.submit_works(4, HEADER, &bad).await;
                        for _ in 0..HANDFUL {
                            assert_eq!(code(&wire.hear(|v| v["id"] == 4).await.unwrap()), 23);
                            hashed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let all_wait = async {
            while hashed.load(Ordering::Relaxed) < 2 * STRANGERS * HANDFUL as u64 {
                tokio::task::yield_now().await;
            }
        };
        soon(all_wait).await;
        Strangers { over, hashed, tasks }
    }

    async fn go(mut self) {
        self.over.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_mined_here_is_no_stranger_on_its_next_connection_until_it_brings_a_bad_share()
 {
    let house = House::open().await;
    let address = house.address;
    let mut shares = mine_some(HEADER, 0, 2, 20).into_iter();
    let counted = shares.next().unwrap();
    assert_eq!(first_share("known", counted, address, &AtomicU64::new(0)).await.0, 0);
    // Every second one is a newcomer each time.
    let strangers = Strangers::come(address, |n| if n % 2 == 0 { 1 } else { HANDFULS_MAX }).await;
    let hashed = &*strangers.hashed;

    // The machine that runs this may let any of them wait, but not each time.
    let mut waited = Vec::new();
    for _ in 0..6 {
        let (code, others) = first_share("known", shares.next().unwrap(), address, hashed).await;
        assert_eq!(code, 0);
        waited.push(others);
    }
    assert!(waited.iter().min().unwrap() < &FEW, "known: {waited:?}");
    // Whoever was not here before waits for all newcomers who came before him; and so does who has spoiled it.
    let (mut new, mut spoiled, mut doubled) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..3 {
        let user = format!("new{n}");
        new.push(first_share(&user, shares.next().unwrap(), address, hashed).await);
        assert_eq!(first_share("known", bad(), address, hashed).await.0, 23);
        spoiled.push(first_share("known", shares.next().unwrap(), address, hashed).await);
        // With that it is known again; but a connection that has been answered is judged by what it brought itself.
        let mut wire = Wire::of("known", address).await;
        wire.ask_for_work(HEADER).await;
        assert_eq!(next_share(&mut wire, counted, hashed).await.0, 22);
        doubled.push(next_share(&mut wire, shares.next().unwrap(), hashed).await);
    }
    let most = |all: &[(i64, u64)]| all.iter().filter(|a| a.0 == 0).map(|a| a.1).max();
    assert!(most(&new) > Some(MANY), "new: {new:?}");
    assert!(most(&spoiled) > Some(MANY), "spoiled: {spoiled:?}");
    assert!(most(&doubled) > Some(MANY), "doubled: {doubled:?}");
    strangers.go().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_does_not_wait_for_all_whose_connections_have_brought_bad_work() {
    let house = House::open().await;
    let mut shares = mine_some(HEADER, 0, 2, 6).into_iter();
    let strangers = Strangers::come(house.address, |_| HANDFULS_MAX).await;
    let mut waited = Vec::new();
    for n in 0..6 {
        let share = shares.next().unwrap();
        let user = format!("new{n}");
        let (code, others) = first_share(&user, share, house.address, &strangers.hashed).await;
        assert_eq!(code, 0);
        waited.push(others);
    }
    // A few of them come as newcomers, too, at any time.
    assert!(waited.iter().min().unwrap() < &MANY, "{waited:?}");
    strangers.go().await;
    house.close().await;
}
