//! The whole line over real sockets: a miner, a gateway, a log, a node.

use crate::miner::{class, code};
use crate::node::{BITS, FakeNode, House, all_records, gateway_options, record, soon};
use gruve_chain::{Node as _, parse_block};
use gruve_pow::{HeaderScanner, merkle_root_from_branch, sha256d};
use gruve_sharelog::{JobRecord, Position, Record, ShareRecord};
use gruve_stratum::client::{self, Client, ClientError, ClientJob, ConnectOptions, Event, Events};
use gruve_stratum::{limits, target_of_wire_difficulty};
use gruve_units::{Algorithm, Duration, SystemClock, Target};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub(crate) async fn connect(address: SocketAddr, user: &str) -> (Client, Events) {
    let mut options = ConnectOptions::new(&address.to_string(), user, "x", "test-miner/1");
    options.version_mask = Some(0x1fff_e000);
    soon(client::connect(&options)).await.unwrap()
}

pub(crate) async fn next_job(events: &mut Events) -> Arc<ClientJob> {
    soon(async {
        loop {
            match events.next().await {
                Event::Job(job) => return job,
                Event::Disconnected(why) => panic!("{why}"),
                _ => {}
            }
        }
    })
    .await
}

/// Nonces that solve the job at its difficulty, the first `count` hashes.
pub(crate) fn mine(job: &ClientJob, extranonce2: u64, count: u32) -> Vec<u32> {
    let target = target_of_wire_difficulty(Algorithm::Sha256d, job.difficulty).unwrap();
    let header = job.header(&extranonce2.to_be_bytes(), job.version, job.ntime, 0);
    let mut found = Vec::new();
    HeaderScanner::new(Algorithm::Sha256d, header).scan(0, count, &target, &mut found);
    found.into_iter().map(|(nonce, _)| nonce).collect()
}

/// What the record alone says about a share: does it prove its work?
fn proves_its_work(job: &JobRecord, share: &ShareRecord) -> bool {
    let mut suffix = job.coinbase_suffix.clone();
    let offset = usize::try_from(job.class_offset).unwrap();
    assert_eq!(suffix[offset], 0);
    suffix[offset] = share.class.k();
    let coinbase = [&job.coinbase_prefix, share.extranonce.as_slice(), &suffix].concat();
    let root = merkle_root_from_branch(sha256d(&coinbase), &job.branch);
    let header = [
        &share.version.to_le_bytes()[..],
        &job.prev_hash,
        &root,
        &share.ntime.to_le_bytes(),
        &job.bits.to_le_bytes(),
        &share.nonce.to_le_bytes(),
    ]
    .concat();
    share.class.target().is_met_by(&sha256d(&header))
}

#[tokio::test]
async fn a_miner_mines_shares_and_a_block_and_the_record_proves_them() {
    let dir = tempfile::tempdir().unwrap();
    let node = FakeNode::with(Arc::new(SystemClock), true, BITS);
    let house = House::open_on(node, dir.path(), gateway_options());
    let (client, mut events) = connect(house.gateway.address(), "house.m1").await;
    assert_eq!(client.version_mask(), 0x1fff_e000);
    let (mut accepted, mut extranonce2) = (0u64, 0u64);
    let mut job = next_job(&mut events).await;
    assert!(job.clean);
    while house.node.blocks.lock().unwrap().is_empty() {
        extranonce2 += 1;
        for nonce in mine(&job, extranonce2, 256) {
            let en2 = extranonce2.to_be_bytes();
            let reply = client.submit(&job.id, &en2, job.ntime, nonce, None).await.unwrap();
            // Once the block is found, the rest of this job's shares may be stale.
            let found = !house.node.blocks.lock().unwrap().is_empty();
            assert!(reply.is_accepted() || found, "{reply:?}");
            accepted += u64::from(reply.is_accepted());
        }
        assert!(extranonce2 < 2000, "no block");
    }
    // The miner gets clean work on the new tip, the log the node's answer.
    loop {
        let next = next_job(&mut events).await;
        if next.prev_hash != job.prev_hash {
            assert!(next.clean);
            job = next;
            break;
        }
    }
    let mut reader = house.log.reader(Position::START);
    let is_outcome = |r: &Record| matches!(r, Record::BlockOutcome { accepted: true, .. });
    record(&house.log, &mut reader, is_outcome).await;

    let mut jobs = HashMap::new();
    let (mut shares, mut blocks) = (Vec::new(), Vec::new());
    for one in all_records(&house.log) {
        match one {
            Record::Job(j) => drop(jobs.insert(j.job, j)),
            Record::Share(s) => {
                let job = jobs.get(&s.job).expect("a job's record comes before its shares");
                assert!(proves_its_work(job, &s));
                assert_eq!((s.class, s.epoch), (class(4), job.epoch));
                shares.push(s);
            }
            Record::Block(b) => {
                assert!(!shares.contains(&b.share), "it leaves before its round is appended");
                assert!(Target::from_compact(BITS).unwrap().is_met_by(&b.block_hash));
                assert_eq!(house.node.blocks.lock().unwrap()[0], b.block);
                let block = parse_block(&b.block, house.node.params()).unwrap();
                assert_eq!(block.hash, b.block_hash);
                assert_eq!(block.txs[0].outputs[0].value, 5_000_000_000);
                blocks.push(b.share);
            }
            _ => {}
        }
    }
    assert_eq!((shares.len() as u64, blocks.len()), (accepted, 1));
    assert!(shares.contains(&blocks[0]));
    assert_eq!(job.prev_hash, house.node.tip().await.unwrap().hash);
    assert_eq!(house.work.blocks_found(), 1);

    let totals = house.gateway.totals();
    assert_eq!((totals.connections, totals.accepted), (1, accepted));
    soon(async {
        // The list is renewed every second.
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while house.gateway.snapshot().first().is_none_or(|s| s.accepted < accepted) {
            tick.tick().await;
        }
    })
    .await;
    let seen = house.gateway.snapshot().remove(0);
    assert_eq!((seen.user.as_str(), seen.user_agent.as_str()), ("house.m1", "test-miner/1"));
    assert!(seen.hashrate_estimate.0 > 0);
    house.gateway.shutdown().await;
    loop {
        if let Event::Disconnected(_) = soon(events.next()).await {
            break;
        }
    }
}

#[tokio::test]
async fn a_refused_login_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let options =
        ConnectOptions::new(&house.gateway.address().to_string(), "nobody", "x", "test/1");
    match soon(client::connect(&options)).await {
        Err(ClientError::Refused(why)) => assert_eq!(why, "no such login"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn every_connection_has_its_own_extranonce() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let mut seen = std::collections::HashSet::new();
    let mut open = Vec::new();
    for n in 0..20 {
        let (client, mut events) = connect(house.gateway.address(), "house.m1").await;
        let job = next_job(&mut events).await;
        assert_eq!((job.extranonce1.len(), job.extranonce2_size), (4, 8));
        assert!(seen.insert(job.extranonce1.clone()), "connection {n}");
        if n % 2 == 0 {
            open.push(client);
        }
    }
}

/// A raw connection.
struct Wire {
    read: BufReader<tokio::net::tcp::OwnedReadHalf>,
    write: tokio::net::tcp::OwnedWriteHalf,
}

impl Wire {
    async fn open(address: SocketAddr) -> Wire {
        Wire::of(TcpStream::connect(address).await.unwrap())
    }

    fn of(stream: TcpStream) -> Wire {
        let (read, write) = stream.into_split();
        Wire { read: BufReader::new(read), write }
    }

    async fn say(&mut self, text: &str) {
        self.write.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        soon(self.read.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    /// Everything until the end of the connection.
    async fn hear_out(&mut self) -> String {
        let mut all = Vec::new();
        // A reset is an end, too.
        let _ = soon(self.read.read_to_end(&mut all)).await;
        String::from_utf8(all).unwrap()
    }
}

#[tokio::test]
async fn a_line_may_come_in_pieces_and_many_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let mut wire = Wire::open(house.gateway.address()).await;
    for piece in ["{\"id\":1", ",\"method\":\"mining.sub", "scribe\",\"params\":[]}\r", "\n\r\n"] {
        wire.say(piece).await;
        wire.write.flush().await.unwrap();
    }
    assert_eq!(wire.hear().await["id"], 1);
    let lines: String = (0..50)
        .map(|n| {
            format!("{}\n", json!({"id": n, "method": "mining.extranonce.subscribe", "params": []}))
        })
        .collect();
    wire.say(&lines).await;
    for n in 0..50 {
        let reply = wire.hear().await;
        assert_eq!((reply["id"].as_i64(), code(&reply)), (Some(n), 0));
    }
}

#[tokio::test]
async fn browsers_endless_lines_and_rubbish_are_shown_out() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let address = house.gateway.address();
    let mut wire = Wire::open(address).await;
    wire.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(wire.hear_out().await.starts_with("HTTP/1.1 400 "));

    for rubbish in ["x".repeat(limits::LINE_BYTES_MAX + 2), "[".repeat(100_000), "?\n".repeat(20)] {
        let mut wire = Wire::open(address).await;
        // The gateway may close before all is sent.
        let _ = wire.write.write_all(rubbish.as_bytes()).await;
        assert_eq!(wire.hear_out().await, "");
    }
    // Others never noticed.
    let (_client, mut events) = connect(address, "house.m1").await;
    next_job(&mut events).await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.handshake_max = Duration::from_millis(500);
    let house = House::open_with(dir.path(), options);
    let mut wire = Wire::open(house.gateway.address()).await;
    assert_eq!(wire.hear_out().await, "");
}

#[tokio::test]
async fn connections_are_bounded_for_each_address_and_places_are_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.connections_per_address_max = 3;
    let house = House::open_with(dir.path(), options);
    let address = house.gateway.address();
    let subscribe = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::open(address).await;
        wire.say(subscribe).await;
        wire.hear().await;
        open.push(wire);
    }
    let mut turned_away = Wire::open(address).await;
    assert_eq!(turned_away.hear_out().await, "");
    assert_eq!(house.gateway.totals().turned_away, 1);
    drop(open.pop());
    soon(async {
        loop {
            let mut wire = Wire::open(address).await;
            // A refused connection may be reset while we write.
            let _ = wire.write.write_all(subscribe.as_bytes()).await;
            let mut line = String::new();
            if wire.read.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn connections_of_one_account_are_bounded() {
    an_account_has_so_many_connections().await;
}

pub(crate) async fn an_account_has_so_many_connections() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.connections_per_account_max = 2;
    let house = House::open_with(dir.path(), options);
    let address = house.gateway.address();
    let first = connect(address, "alice.1").await;
    let _second = connect(address, "alice.2").await;
    let third = ConnectOptions::new(&address.to_string(), "alice.3", "x", "test/1");
    assert!(matches!(soon(client::connect(&third)).await, Err(ClientError::Refused(_))));
    let _other = connect(address, "bob.1").await;
    drop(first);
    soon(async { while client::connect(&third).await.is_err() {} }).await;
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_nobody_else_waits() {
    who_does_not_read_is_closed().await;
}

pub(crate) async fn who_does_not_read_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.write_max = Duration::from_millis(500);
    let house = House::open_with(dir.path(), options);
    let address = house.gateway.address();
    // With the usual buffers the kernel would take megabytes for it.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = Wire::of(socket.connect(address).await.unwrap());
    let flood = tokio::spawn(async move {
        let lines = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n".repeat(1000);
        // Until the gateway has had enough: it stops reading when it cannot write, and then closes.
        while deaf.write.write_all(lines.as_bytes()).await.is_ok() {}
    });
    let (client, mut events) = connect(address, "house.m1").await;
    let job = next_job(&mut events).await;
    let nonce = mine(&job, 1, 4096)[0];
    let reply = soon(client.submit(&job.id, &1u64.to_be_bytes(), job.ntime, nonce, None)).await;
    assert!(reply.unwrap().is_accepted());
    soon(flood).await.unwrap();
}

#[tokio::test]
async fn a_share_of_the_old_tip_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let (client, mut events) = connect(house.gateway.address(), "house.m1").await;
    let old = next_job(&mut events).await;
    house.node.move_tip(9);
    let new = next_job(&mut events).await;
    assert_eq!((new.clean, new.prev_hash), (true, [9; 32]));
    let nonce = mine(&old, 1, 4096)[0];
    let reply = client.submit(&old.id, &1u64.to_be_bytes(), old.ntime, nonce, None).await.unwrap();
    assert!(matches!(reply, client::Reply::Rejected { code: 21, .. }), "{reply:?}");
}

/// Growing the table while miners come would stop the loop each time that it doubles.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn there_are_places_for_all_miners_handles_before_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.connections_max = 20_000;
    let _house = House::open_with(dir.path(), options);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let places = status.lines().find_map(|l| l.strip_prefix("FDSize:")).unwrap();
    let places: usize = places.trim().parse().unwrap();
    let wanted = gruve_stratum::handles_for_miners().min(20_000);
    assert!(places >= wanted, "{places} places, {wanted} miners");
}
