//! What stands between socket and session: TLS, a proxy's header; and what stays between two
//! connections of a machine.

use crate::miner::class;
use crate::node::{FakeNode, House, gateway_options};
use crate::peer::{Peer, encrypted, socket};
use gruve_stratum::proxy::TrustedNetworks;
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::{GatewayOptions, ListenKind, Listening, limits};
use gruve_units::{Duration, SystemClock};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

fn listen(kind: ListenKind, proxies: Option<&str>) -> Listening {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxies = proxies.map(|n| TrustedNetworks(vec![n.parse().unwrap()]));
    Listening { proxies, ..Listening::new(listener, kind) }
}

fn identity(folder: &Path) -> Arc<TlsServer> {
    let names = vec!["miners.example".to_owned()];
    Arc::new(TlsServer::open(TlsSource::Own { folder: folder.to_owned(), names }).unwrap())
}

/// A header over TCP and IPv4 that names this source.
fn header(ip: [u8; 4], port: u16) -> Vec<u8> {
    let port = port.to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &ip, &[10, 0, 0, 1], &port, &[0x0d, 0x05]].concat()
}

fn open(dir: &Path, listening: Vec<Listening>, set: impl FnOnce(&mut GatewayOptions)) -> House {
    let mut options = gateway_options();
    options.listeners.extend(listening);
    set(&mut options);
    // No share is a block: all find the job they were given.
    let node = FakeNode::new(Arc::new(SystemClock));
    House::open_on(node, dir, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_in_the_clear_and_within_tls_work_on_the_same_lane() {
    let dir = tempfile::tempdir().unwrap();
    let tls = identity(dir.path());
    let kind = ListenKind::V1Tls(Arc::clone(&tls));
    let house = open(&dir.path().join("log"), vec![listen(kind, None)], |_| {});
    let addresses = house.gateway.addresses().to_vec();
    let mut clear = Peer::connect(addresses[0]);
    clear.begin("house.clear");
    let mut hidden = Peer::over(encrypted(socket(addresses[1]), tls.fingerprint()));
    hidden.begin("house.hidden");
    for n in 0..3 {
        clear.earn(n * 100);
        hidden.earn(n * 100);
    }
    // In the clear to the port for TLS, and the reverse: closed, and nobody else is hurt.
    let mut astray = Peer::connect(addresses[1]);
    astray.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert!(astray.is_closed());
    let mut astray = encrypted(socket(addresses[0]), tls.fingerprint());
    assert!(astray.write_all(b"x\n").and_then(|()| astray.flush()).is_err());
    clear.earn(1000);
    hidden.earn(1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_serves_new_connections_and_ends_none() {
    let dir = tempfile::tempdir().unwrap();
    let tls = identity(dir.path());
    let kind = ListenKind::V1Tls(Arc::clone(&tls));
    let house = open(&dir.path().join("log"), vec![listen(kind, None)], |_| {});
    let address = house.gateway.addresses()[1];
    let before = tls.fingerprint();
    let mut old = Peer::over(encrypted(socket(address), before));
    old.begin("house.old");
    std::fs::remove_file(dir.path().join("tls.pem")).unwrap();
    assert_ne!(tls.reload().unwrap(), before);
    let mut new = Peer::over(encrypted(socket(address), tls.fingerprint()));
    new.begin("house.new");
    old.earn(1);
    new.earn(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_a_miner_is_where_the_header_says() {
    let dir = tempfile::tempdir().unwrap();
    let tls = identity(dir.path());
    let kind = ListenKind::V1Tls(Arc::clone(&tls));
    let listening =
        vec![listen(ListenKind::V1, Some("127.0.0.0/8")), listen(kind, Some("127.0.0.1"))];
    let house = open(&dir.path().join("log"), listening, |_| {});
    let addresses = house.gateway.addresses().to_vec();
    // Byte by byte, with the first line behind it in one piece.
    let mut stream = socket(addresses[1]);
    let bytes = header([203, 0, 113, 9], 4242);
    for byte in &bytes {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut plain = Peer::over(stream);
    plain.begin("house.plain");
    let mut stream = socket(addresses[2]);
    stream.write_all(&header([203, 0, 113, 10], 4243)).unwrap();
    let mut hidden = Peer::over(encrypted(stream, tls.fingerprint()));
    hidden.begin("house.hidden");
    let mut stream = socket(addresses[1]);
    let first = b"{\"id\":7,\"method\":\"mining.subscribe\",\"params\":[]}\n";
    stream.write_all(&[&header([203, 0, 113, 11], 1)[..], first].concat()).unwrap();
    assert_eq!(Peer::over(stream).hear()["id"], 7);
    plain.earn(1);
    hidden.earn(1);
    let mut peers: Vec<_> =
        house.gateway.snapshot().into_iter().map(|s| s.peer.to_string()).collect();
    peers.sort();
    assert_eq!(peers, ["203.0.113.10:4243", "203.0.113.9:4242"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_header_or_from_elsewhere_a_proxied_listener_takes_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let listening = vec![
        listen(ListenKind::V1, Some("127.0.0.1")),
        listen(ListenKind::V1, Some("192.0.2.0/24")),
    ];
    let house = open(dir.path(), listening, |_| {});
    let addresses = house.gateway.addresses().to_vec();
    for first in
        [&b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n"[..], b"PROXY TCP4 1.2.3.4 "]
    {
        let mut peer = Peer::connect(addresses[1]);
        peer.say_bytes(first);
        assert!(peer.is_closed());
    }
    // We are not within 192.0.2.0/24: closed without a look at the header.
    let mut stranger = Peer::connect(addresses[2]);
    assert!(stranger.is_closed());
    // A header where none is expected is a bad line.
    let mut stream = socket(addresses[0]);
    stream.write_all(&header([203, 0, 113, 9], 1)).unwrap();
    let mut plain = Peer::over(stream);
    plain.say("");
    plain.begin("house.m");
    assert_eq!(house.gateway.totals().turned_away, 1);
    assert_eq!(house.gateway.snapshot()[0].peer.ip().to_string(), "127.0.0.1");
}

/// LOCAL is what a balancer's health check says, and it hangs up at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancers_own_connections_are_where_the_socket_says_and_its_checks_cost_it_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let listening = vec![listen(ListenKind::V1, Some("127.0.0.1"))];
    let house = open(dir.path(), listening, |_| {});
    let address = house.gateway.addresses()[1];
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    // More than an address may close in a hostile way.
    for _ in 0..2 * limits::HOSTILE_CLOSES_MAX {
        socket(address).write_all(local).unwrap();
    }
    // Of no family, with a field (the host asked for).
    let unknown = b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\x08\x02\0\x05abcde";
    let mut miners = Vec::new();
    for (header, name) in [(&local[..], "house.check"), (&unknown[..], "house.unknown")] {
        let mut stream = socket(address);
        stream.write_all(header).unwrap();
        let mut peer = Peer::over(stream);
        peer.begin(name);
        peer.earn(1);
        miners.push(peer);
    }
    let mut stream = socket(address);
    let mut with_field = header([203, 0, 113, 9], 4242);
    let field = [2, 0, 5, b'a', b'b', b'c', b'd', b'e'];
    with_field[15] += u8::try_from(field.len()).unwrap();
    stream.write_all(&[&with_field[..], &field].concat()).unwrap();
    let mut peer = Peer::over(stream);
    peer.begin("house.field");
    peer.earn(1);
    let at = |name: &str| {
        let all = house.gateway.snapshot();
        all.iter().find(|s| s.user == name).unwrap().peer.ip().to_string()
    };
    assert_eq!([at("house.check"), at("house.unknown")], ["127.0.0.1"; 2]);
    assert_eq!(at("house.field"), "203.0.113.9");
    assert_eq!(house.gateway.totals().turned_away, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_an_address_counts_miners_and_not_their_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let listening = vec![listen(ListenKind::V1, Some("127.0.0.1"))];
    let house = open(dir.path(), listening, |o| o.connections_per_address_max = 2);
    let address = house.gateway.addresses()[1];
    let from = |last: u8| {
        let mut stream = socket(address);
        // In one write: the gateway may close upon the header.
        let subscribe = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
        let said = [&header([203, 0, 113, last], 1)[..], subscribe].concat();
        stream.write_all(&said).unwrap();
        Peer::over(stream)
    };
    let mut kept: Vec<Peer> = (0..6u8).map(|n| from(n / 2)).collect();
    kept.iter_mut().for_each(|peer| assert_eq!(peer.hear()["id"], 1));
    assert!(from(0).is_closed());
    // One leaves: its place is free again.
    drop(kept.remove(0));
    let again = (0..200).find_map(|_| from(0).try_hear());
    assert_eq!(again.unwrap()["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_finishes_a_header_is_closed_like_who_never_logs_in() {
    let dir = tempfile::tempdir().unwrap();
    let listening = vec![listen(ListenKind::V1, Some("127.0.0.1"))];
    let house = open(dir.path(), listening, |o| o.handshake_max = Duration::from_millis(100));
    let mut stream = socket(house.gateway.addresses()[1]);
    stream.write_all(&header([203, 0, 113, 9], 1)[..20]).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_comes_back_begins_at_its_class_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let set = |options: &mut GatewayOptions| {
        options.class_range = (class(2), class(8));
        options.start_class = class(3);
        options.start_classes = Some(dir.path().join("classes"));
    };
    let house = open(&log, Vec::new(), set);
    let mut peer = Peer::connect(house.gateway.address());
    peer.begin("house.m1");
    let first = peer.difficulty;
    // So fast that the control goes to the hardest class and settles there.
    for n in 0..60 {
        peer.earn(n << 20);
    }
    assert!(peer.difficulty > 30.0 * first, "{}", peer.difficulty);
    let found = peer.difficulty;
    drop(peer);
    let mut other = Peer::connect(house.gateway.address());
    other.begin("house.other");
    assert!((other.difficulty - first).abs() < 1e-12, "a stranger begins at the start");
    let mut back = Peer::connect(house.gateway.address());
    back.begin("house.m1");
    assert!((back.difficulty - found).abs() < 1e-12, "{} and {found}", back.difficulty);
    drop(back);
    let House { gateway, log: kept, work, .. } = house;
    gateway.shutdown().await;
    drop((kept, work));
    let house = open(&dir.path().join("log2"), Vec::new(), set);
    let mut back = Peer::connect(house.gateway.address());
    back.subscribe(&json!([]));
    assert_eq!(back.authorize("house.m1", "x")["result"], true);
    back.until("mining.notify");
    assert!((back.difficulty - found).abs() < 1e-12, "{} and {found}", back.difficulty);
}
