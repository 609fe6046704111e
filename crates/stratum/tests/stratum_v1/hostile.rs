//! A swarm that attacks in every way a stranger can, and an honest miner beside it.

use crate::node::{FakeNode, House, all_records, gateway_options, soon};
use crate::peer::Peer;
use gruve_sharelog::Record;
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::{ListenKind, Listening, limits};
use gruve_units::{Clock as _, ManualClock, SystemClock};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Shares the honest miner sends while it is attacked.
const SHARES: u64 = 150;

/// Tells when to stop, and counts what was done.
#[derive(Clone, Default)]
struct Swarm {
    over: Arc<AtomicBool>,
    blows: Arc<AtomicU64>,
}

impl Swarm {
    /// Repeats a blow until all is over; whatever fails is the attacker's own affair.
    fn attack(
        &self,
        blow: impl Fn() -> std::io::Result<()> + Send + 'static,
    ) -> std::thread::JoinHandle<()> {
        let swarm = self.clone();
        std::thread::spawn(move || {
            while !swarm.over.load(Ordering::Relaxed) {
                let _ = blow();
                swarm.blows.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

fn knock(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    let short = Some(Duration::from_millis(50));
    stream.set_write_timeout(short)?;
    stream.set_read_timeout(short)?;
    Ok(stream)
}

const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"house.bad\",\"x\"]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_miner_loses_nothing_while_a_swarm_attacks_in_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let source =
        TlsSource::Own { folder: dir.path().to_owned(), names: vec!["localhost".to_owned()] };
    let tls = Arc::new(TlsServer::open(source).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = gateway_options();
    options.listeners.push(Listening::new(listener, ListenKind::V1Tls(tls)));
    let node = FakeNode::new(Arc::new(SystemClock));
    let house = House::open_on(node, &dir.path().join("log"), options);
    let (plain, hidden) = (house.gateway.addresses()[0], house.gateway.addresses()[1]);
    let mut honest = Peer::connect(plain);
    honest.begin("house.honest");
    let shares: Vec<String> = (0..SHARES).map(|n| honest.share(&n.into(), n << 20).0).collect();

    // Half-open, and slow: they stay for the whole time.
    let idle: Vec<TcpStream> = (0..100).map(|_| knock(plain).unwrap()).collect();
    let swarm = Swarm::default();
    let attackers = vec![
        swarm.attack(move || {
            idle.iter().for_each(|mut s| drop(s.write(b"{")));
            std::thread::yield_now();
            Ok(())
        }),
        // Asks much and never reads.
        swarm.attack(move || {
            let mut stream = knock(plain)?;
            for _ in 0..2000 {
                stream.write_all(SUBSCRIBE)?;
            }
            Ok(())
        }),
        // A line of sixteen megabytes.
        swarm.attack(move || {
            let mut stream = knock(plain)?;
            let piece = vec![b'['; 64 << 10];
            (0..256).try_for_each(|_| stream.write_all(&piece))
        }),
        // Garbage, and shares without a login.
        swarm.attack(move || {
            let mut stream = knock(plain)?;
            stream.write_all(&b"\xff\x00}{\n".repeat(5000))?;
            let share = b"{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"1\",\"2\",\"3\",\"4\"]}\n";
            knock(plain)?.write_all(&share.repeat(2000))
        }),
        // One share, thousands of times.
        swarm.attack(move || {
            let mut stream = knock(plain)?;
            stream.write_all(SUBSCRIBE)?;
            let line = b"{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"house.bad\",\"000000000000000104\",\"0000000000000001\",\"66000000\",\"00000001\"]}\n";
            stream.write_all(&line.repeat(500))?;
            let mut heard = [0; 4096];
            while stream.read(&mut heard)? > 0 {}
            Ok(())
        }),
        // Comes and goes.
        swarm.attack(move || (0..50).try_for_each(|_| knock(plain).map(drop))),
        // TLS: nothing, junk, half a hello.
        swarm.attack(move || {
            drop(knock(hidden)?);
            knock(hidden)?.write_all(&[0; 20_000])?;
            knock(hidden)?.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
        }),
    ];
    // Shares as long as the swarm strikes, each answered before the next: one for so many blows.
    const BLOWS: u64 = 200;
    for (n, line) in shares.iter().enumerate() {
        while swarm.blows.load(Ordering::Relaxed) < BLOWS * n as u64 / SHARES {
            std::thread::yield_now();
        }
        honest.say(line);
        let (reply, _) = honest.reply(&n.into());
        assert_eq!(reply["result"], true, "share {n}: {reply}");
    }
    swarm.over.store(true, Ordering::Relaxed);
    attackers.into_iter().for_each(|a| a.join().unwrap());
    assert_eq!(
        honest.ask(r#"{"id":"still","method":"mining.ping","params":[]}"#)["result"],
        "pong"
    );
    let logged = all_records(&house.log).iter().filter(|r| matches!(r, Record::Share(_))).count();
    assert_eq!(logged as u64, SHARES, "accepted is what is in the log, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connections_all_at_once_all_get_work() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let count = if std::env::var_os("GRUVE_LONG").is_some() { 4000 } else { 400 };
    let mut peers: Vec<Peer> = (0..count).map(|_| Peer::connect(house.gateway.address())).collect();
    peers.iter_mut().for_each(|p| p.say_bytes(SUBSCRIBE));
    for peer in &mut peers {
        peer.until("mining.notify");
    }
    assert_eq!(house.gateway.totals().connections, count);
}

/// Names of accounts are public and no password is asked for: a stranger may sit in all of an account's
/// places, but not for long.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_sit_in_an_accounts_places_make_room_and_who_mines_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut options = gateway_options();
    options.connections_per_account_max = 8;
    options.clock = clock.clone();
    let house = House::open_with(dir.path(), options);
    let address = house.gateway.address();
    let mut honest = Peer::connect(address);
    honest.begin("alice.m1");
    honest.earn(1);
    let mut strangers: Vec<Peer> = (0..7).map(|_| Peer::connect(address)).collect();
    strangers.iter_mut().for_each(|p| p.begin("alice.nobody"));
    let mut late = Peer::connect(address);
    late.subscribe(&serde_json::json!([]));
    assert_eq!(late.authorize("alice.m2", "x")["result"], false, "all places are taken");
    drop(late);
    clock.set(clock.now().plus(limits::UNPROVEN_MAX + Duration::from_secs(1)));
    soon(async {
        // The honest one and five strangers.
        while house.gateway.totals().connections > 6 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut late = Peer::connect(address);
    late.begin("alice.m2");
    late.earn(1 << 20);
    honest.earn(2 << 20);
}
