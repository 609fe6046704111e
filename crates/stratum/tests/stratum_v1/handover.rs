//! A gateway leaves its miners to another, which goes on with them.

use crate::gateway::{connect, mine, next_job};
use crate::node::{FakeMachines, FakeNode, House, all_records, gateway_options, lane_options};
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_stratum::client::Reply;
use gruve_stratum::{Gateway, GatewayOptions, KeptConnection, LaneWork, Listening};
use gruve_units::SystemClock;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// What one house leaves, and the folder of its log.
pub(crate) struct Left {
    node: Arc<FakeNode>,
    listeners: Vec<std::net::TcpListener>,
    pub(crate) connections: Vec<KeptConnection>,
    next_extranonce: u32,
    jobs: Option<Vec<u8>>,
}

pub(crate) async fn leave(house: House) -> Left {
    let House { node, log, work, gateway } = house;
    let left = gateway.hand_over().await;
    let jobs = work.keep();
    work.stop().await;
    drop((work, log));
    Left {
        node,
        listeners: left.listeners,
        connections: left.connections,
        next_extranonce: left.next_extranonce,
        jobs,
    }
}

pub(crate) fn take_over(left: Left, dir: &Path) -> House {
    take_over_with(left, dir, |_| {})
}

/// The same with other options.
pub(crate) fn take_over_with(
    left: Left,
    dir: &Path,
    set: impl FnOnce(&mut GatewayOptions),
) -> House {
    let log = ShareLog::open(dir, Options::default()).unwrap();
    let mut lane = lane_options(left.node.clone(), &log, Arc::new(SystemClock));
    lane.kept_jobs = left.jobs;
    let work = LaneWork::start(lane).unwrap();
    let mut options = gateway_options();
    let listening = |listener| Listening::new(listener, Default::default());
    options.listeners = left.listeners.into_iter().map(listening).collect();
    options.kept = left.connections;
    options.next_extranonce = Some(left.next_extranonce);
    set(&mut options);
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
    House { node: left.node, log, work, gateway }
}

#[tokio::test]
async fn a_miner_goes_on_with_its_job_over_a_restart_and_no_share_counts_twice() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let address = house.gateway.address();
    let (client, mut events) = connect(address, "house.m1").await;
    let job = next_job(&mut events).await;
    let en2 = 7u64.to_be_bytes();
    let nonces = mine(&job, 7, 400);
    let first = client.submit(&job.id, &en2, job.ntime, nonces[0], None).await.unwrap();
    assert!(first.is_accepted(), "{first:?}");

    let left = leave(house).await;
    assert_eq!(left.connections.len(), 1);
    // Sent while nobody serves: it waits in the kernel.
    let waiting = client.submit(&job.id, &en2, job.ntime, nonces[1], None);
    let later = async { take_over(left, dir.path()) };
    let (second, house) = tokio::join!(waiting, later);
    assert!(second.unwrap().is_accepted());
    assert_eq!(house.gateway.address(), address);

    let again = client.submit(&job.id, &en2, job.ntime, nonces[0], None).await.unwrap();
    assert!(matches!(again, Reply::Rejected { code: 22, .. }), "{again:?}");
    let third = client.submit(&job.id, &en2, job.ntime, nonces[2], None).await.unwrap();
    assert!(third.is_accepted(), "{third:?}");
    let sessions = house.gateway.snapshot();
    assert_eq!((sessions.len(), sessions[0].accepted), (1, 3), "{sessions:?}");

    let (other, mut events) = connect(address, "house.m2").await;
    let job = next_job(&mut events).await;
    let nonce = mine(&job, 7, 400)[0];
    assert!(other.submit(&job.id, &en2, job.ntime, nonce, None).await.unwrap().is_accepted());
    let mut extranonces: Vec<_> = all_records(&house.log)
        .iter()
        .filter_map(|r| match r {
            Record::Share(share) => Some(share.extranonce),
            _ => None,
        })
        .collect();
    assert_eq!(extranonces.len(), 4);
    extranonces.dedup();
    assert_eq!(extranonces.len(), 2, "no extranonce is given twice");
}

#[tokio::test]
async fn half_a_line_before_the_restart_and_half_after_it_are_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let address: SocketAddr = house.gateway.address();
    let mut socket = BufReader::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let mut line = String::new();
    socket
        .write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n{\"id\":2,\"me")
        .await
        .unwrap();
    socket.read_line(&mut line).await.unwrap();
    let house = take_over(leave(house).await, dir.path());
    socket.write_all(b"thod\":\"mining.ping\",\"params\":[]}\n").await.unwrap();
    line.clear();
    socket.read_line(&mut line).await.unwrap();
    assert_eq!(line, "{\"id\":2,\"result\":\"pong\",\"error\":null}\n");
    house.gateway.shutdown().await;
}
