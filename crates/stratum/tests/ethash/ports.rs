//! An Ethash lane's other ports: encrypted, behind a load balancer, and both at once.

use crate::gateway::{HttpNode, serve_on};
use crate::line::{Line, encrypted, socket};
use crate::node::{all_records, soon};
use crate::rig::{HARD, class, hex32, mine};
use gruve_sharelog::Record;
use gruve_stratum::proxy::TrustedNetworks;
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::{ListenKind, Listening};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

const HEADER: u8 = 0x7e;

/// PROXY over TCP and IPv4, from 203.0.113.9:4242.
const FROM_ELSEWHERE: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\x10\x92\x0d\x05";

/// A miner, whatever it talks through.
struct Miner(BufReader<Box<dyn Line>>);

impl Miner {
    fn over(line: impl Line + 'static) -> Miner {
        Miner(BufReader::new(Box::new(line)))
    }

    fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the connection ended");
            let value: Value = serde_json::from_str(&line).unwrap();
            if wanted(&value) {
                return value;
            }
        }
    }

    fn ask(&mut self, id: u64, method: &str, params: &Value) -> Value {
        let line = json!({"id": id, "jsonrpc": "2.0", "method": method, "params": params});
        writeln!(self.0.get_mut(), "{line}").unwrap();
        self.0.get_mut().flush().unwrap();
        self.hear(|v| v["id"] == id)
    }

    /// A share in eth-proxy's dialect, of the nonces from `from` on.
    fn earns_as_proxy(&mut self, from: u64) {
        assert_eq!(self.ask(1, "eth_submitLogin", &json!(["w", "x"]))["result"], true);
        let header = hex32(&[HEADER; 32]);
        // The gateway may be there before the node's first work.
        while self.ask(5, "eth_getWork", &json!([]))["result"][0] != header.as_str() {}
        let (nonce, mix) = mine(HEADER, from, 2, None);
        let share = json!([format!("0x{nonce:016x}"), header, hex32(&mix)]);
        assert_eq!(self.ask(9, "eth_submitWork", &share)["result"], true);
    }

    /// A share in NiceHash's.
    fn earns_as_nicehash(&mut self) {
        let reply = self.ask(1, "mining.subscribe", &json!(["t/1", "EthereumStratum/1.0.0"]));
        let part = u64::from_str_radix(reply["result"][1].as_str().unwrap(), 16).unwrap();
        assert_eq!(self.ask(2, "mining.authorize", &json!(["w", "x"]))["result"], true);
        let notify = self.hear(|v| v["method"] == "mining.notify");
        let (nonce, _) = mine(HEADER, part << 48, 2, None);
        let rest = format!("{:012x}", nonce & 0xffff_ffff_ffff);
        let share = json!(["w", notify["params"][0], rest]);
        assert_eq!(self.ask(3, "mining.submit", &share)["result"], true);
    }
}

/// Whether the other side closes, whatever it says before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ethash_lane_is_served_encrypted_and_behind_a_load_balancer() {
    let dir = tempfile::tempdir().unwrap();
    let source =
        TlsSource::Own { folder: dir.path().to_owned(), names: vec!["mine.example".into()] };
    let tls = Arc::new(TlsServer::open(source).unwrap());
    let port = |is_tls: bool, is_proxied: bool| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let kind = if is_tls { ListenKind::V1Tls(Arc::clone(&tls)) } else { ListenKind::V1 };
        let networks = is_proxied.then(|| TrustedNetworks(vec!["127.0.0.1".parse().unwrap()]));
        Listening { proxies: networks, ..Listening::new(listener, kind) }
    };
    let ports = vec![port(true, false), port(false, true), port(true, true)];
    let node = HttpNode::start(HEADER, HARD).await;
    let range = (class(2), class(2));
    let (log, lane, gateway) = serve_on(&node, &dir.path().join("log"), range, ports);
    let addresses: Vec<SocketAddr> = gateway.addresses().to_vec();
    let proxied = |address| {
        let mut stream = socket(address);
        // In pieces, as networks cut it.
        stream.write_all(&FROM_ELSEWHERE[..20]).unwrap();
        stream.write_all(&FROM_ELSEWHERE[20..]).unwrap();
        stream
    };
    let pin = tls.fingerprint();

    let mut secret = Miner::over(encrypted(socket(addresses[1]), pin));
    secret.earns_as_proxy(0);
    let mut buyer = Miner::over(encrypted(socket(addresses[1]), pin));
    buyer.earns_as_nicehash();
    let mut far = Miner::over(proxied(addresses[2]));
    far.earns_as_proxy(1 << 20);
    let mut far_and_secret = Miner::over(encrypted(proxied(addresses[3]), pin));
    far_and_secret.earns_as_nicehash();

    // Whoever speaks otherwise than the port does hurts himself alone.
    for (at, said) in [
        (1, &b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_getWork\",\"params\":[]}\n"[..]),
        (2, b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_getWork\",\"params\":[]}\n"),
        (3, b"\x16\x03\x01\x02\0\x01\0"),
    ] {
        let mut stream = socket(addresses[at]);
        stream.write_all(said).unwrap();
        assert!(is_closed(&mut stream), "port {at}");
    }
    let shares = all_records(&log).iter().filter(|r| matches!(r, Record::Share(_))).count();
    assert_eq!(shares, 4);
    let seen = gateway.snapshot();
    let elsewhere =
        seen.iter().filter(|s| s.peer.to_string() == "203.0.113.9:4242" && s.accepted == 1);
    assert_eq!((seen.len(), elsewhere.count()), (4, 2), "{seen:?}");
    let work = json!([]);
    assert_eq!(far.ask(6, "eth_getWork", &work)["result"][0], hex32(&[HEADER; 32]).as_str());
    assert_eq!(secret.ask(6, "eth_getWork", &work)["result"][0], hex32(&[HEADER; 32]).as_str());
    soon(gateway.shutdown()).await;
    lane.stop().await;
}
