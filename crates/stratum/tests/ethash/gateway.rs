//! The whole way over sockets: a node over HTTP, a lane, a gateway, miners with real hashes.

use crate::node::{Everybody, all_records, record, shared_lane, soon};
use crate::rig::{Solution, class, hex32, lines_of, mine, mine_some};
use gruve_chain::{EthRpcNode, EthRpcOptions};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_stratum::eth::EthLane;
use gruve_stratum::{Gateway, GatewayOptions, Listening};
use gruve_units::{Algorithm, Class, SeededEntropy, SystemClock, Target};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A node over HTTP: the header it has, and the solutions it was sent.
pub(crate) struct HttpNode {
    pub(crate) url: String,
    pub(crate) header: watch::Sender<u8>,
    pub(crate) solutions: watch::Sender<Vec<Value>>,
    /// What it answers until it is told to behave.
    pub(crate) nonsense: watch::Sender<Option<&'static str>>,
}

impl HttpNode {
    pub(crate) async fn start(header: u8, block_class: u8) -> HttpNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let header = watch::Sender::new(header);
        let (solutions, nonsense) = (watch::Sender::default(), watch::Sender::default());
        let own = HttpNode { url, header, solutions, nonsense };
        let (header, solutions) = (own.header.clone(), own.solutions.clone());
        let nonsense = own.nonsense.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (header, solutions) = (*header.borrow(), solutions.clone());
                let nonsense = *nonsense.borrow();
                tokio::spawn(async move {
                    answer(stream, header, block_class, &solutions, nonsense).await
                });
            }
        });
        own
    }

    pub(crate) fn client(&self) -> Arc<EthRpcNode> {
        Arc::new(EthRpcNode::new(&self.url, None, EthRpcOptions::default()).unwrap())
    }
}

async fn answer(
    mut stream: TcpStream,
    header: u8,
    block_class: u8,
    solutions: &watch::Sender<Vec<Value>>,
    nonsense: Option<&'static str>,
) -> Option<()> {
    let mut request = Vec::new();
    let call = loop {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        if let Some(Ok(call)) = body.map(|b| serde_json::from_str::<Value>(&b)) {
            break call;
        }
    };
    let result = match call["method"].as_str()? {
        "eth_getWork" => {
            let target = hex32(&class(block_class).target().to_be_bytes());
            let height = format!("0x{:x}", u64::from(header));
            json!([hex32(&[header; 32]), hex32(&[0; 32]), target, height])
        }
        "eth_submitWork" => {
            solutions.send_modify(|all| all.push(call["params"].clone()));
            json!(true)
        }
        _ => Value::Null,
    };
    let good = json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string();
    let body = nonsense.map_or(good, str::to_owned);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

pub(crate) fn serve(node: &HttpNode, dir: &Path) -> (ShareLog, EthLane, Gateway) {
    serve_with(node, dir, (class(2), class(2)))
}

pub(crate) fn serve_with(
    node: &HttpNode,
    dir: &Path,
    range: (Class, Class),
) -> (ShareLog, EthLane, Gateway) {
    serve_on(node, dir, range, Vec::new())
}

/// The same with more ports.
pub(crate) fn serve_on(
    node: &HttpNode,
    dir: &Path,
    range: (Class, Class),
    ports: Vec<Listening>,
) -> (ShareLog, EthLane, Gateway) {
    let log = ShareLog::open(dir, Options::default()).unwrap();
    let lane = shared_lane(node.client(), &log, Arc::new(SystemClock));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let entropy = Arc::new(SeededEntropy::new(2));
    let clock = Arc::new(SystemClock);
    let mut options = GatewayOptions::new(listener, range, class(2), clock, entropy);
    options.listeners.extend(ports);
    let gateway = Gateway::start(options, Arc::new(lane.clone()), Arc::new(Everybody)).unwrap();
    (log, lane, gateway)
}

/// A miner's end of a connection.
pub(crate) struct Wire {
    lines: tokio::io::Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>,
    out: tokio::net::tcp::OwnedWriteHalf,
}

impl Wire {
    /// Logged in to eth-proxy's dialect under this name.
    pub(crate) async fn of(user: &str, address: SocketAddr) -> Wire {
        let mut wire = Wire::connect(address).await;
        let login =
            json!({"id": 1, "jsonrpc": "2.0", "method": "eth_submitLogin", "params": [user, "x"]});
        wire.say(&login.to_string()).await.unwrap();
        assert_eq!(wire.hear(|v| v["id"] == 1).await.unwrap()["result"], true);
        wire
    }

    pub(crate) async fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, out) = stream.into_split();
        Wire { lines: BufReader::new(read).lines(), out }
    }

    pub(crate) async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes()).await
    }

    /// The next line that satisfies; `None` when the connection is gone.
    pub(crate) async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            let line = soon(self.lines.next_line()).await.ok().flatten()?;
            let value = lines_of(&line).remove(0);
            if wanted(&value) {
                return Some(value);
            }
        }
    }

    /// In eth-proxy's dialect, until there is work of that header.
    pub(crate) async fn proxy(&mut self, header: u8) {
        let login = r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","params":["w","x"]}"#;
        self.say(login).await.unwrap();
        self.ask_for_work(header).await;
    }

    /// Until there is work of that header.
    pub(crate) async fn ask_for_work(&mut self, header: u8) {
        let wanted = hex32(&[header; 32]);
        loop {
            self.say(r#"{"id":5,"jsonrpc":"2.0","method":"eth_getWork","params":[]}"#)
                .await
                .unwrap();
            let heard = self.hear(|v| v["id"] == 5).await.unwrap();
            if heard["result"][0] == wanted.as_str() {
                return;
            }
        }
    }

    pub(crate) async fn submit_work(&mut self, id: u64, header: u8, solution: Solution) {
        self.submit_works(id, header, &[solution]).await;
    }

    /// Several at once, under one id.
    pub(crate) async fn submit_works(&mut self, id: u64, header: u8, solutions: &[Solution]) {
        let header = hex32(&[header; 32]);
        let line = |(nonce, mix): &Solution| {
            let mix = hex32(mix);
            format!(
                r#"{{"id":{id},"jsonrpc":"2.0","method":"eth_submitWork","params":["0x{nonce:016x}","{header}","{mix}"]}}"#
            )
        };
        let lines: Vec<_> = solutions.iter().map(line).collect();
        // A gateway that was killed takes no more.
        let _ = self.say(&lines.join("\n")).await;
    }
}

#[tokio::test]
async fn shares_of_real_hashes_are_logged_and_a_solution_reaches_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = HttpNode::start(0x61, 5).await;
    let (log, lane, gateway) = serve(&node, dir.path());
    let mut proxy = Wire::connect(gateway.address()).await;
    proxy.proxy(0x61).await;
    let weak = mine(0x61, 0, 2, Some(5));
    proxy.submit_work(10, 0x61, weak).await;
    assert_eq!(proxy.hear(|v| v["id"] == 10).await.unwrap()["result"], true);

    // A NiceHash miner on the same port finds the block.
    let mut buyer = Wire::connect(gateway.address()).await;
    let subscribe =
        r#"{"id":1,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#;
    buyer.say(subscribe).await.unwrap();
    let reply = buyer.hear(|v| v["id"] == 1).await.unwrap();
    let part = u64::from_str_radix(reply["result"][1].as_str().unwrap(), 16).unwrap();
    buyer.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#).await.unwrap();
    let notify = buyer.hear(|v| v["method"] == "mining.notify").await.unwrap();
    let job = notify["params"][0].as_str().unwrap().to_owned();
    let (nonce, mix) = mine(0x61, part << 48, 5, None);
    let rest = nonce & 0xffff_ffff_ffff;
    let submit =
        format!(r#"{{"id":3,"method":"mining.submit","params":["w","{job}","{rest:012x}"]}}"#);
    buyer.say(&submit).await.unwrap();
    assert_eq!(buyer.hear(|v| v["id"] == 3).await.unwrap()["result"], true);
    // Again, and by another: once is enough.
    buyer.say(&submit).await.unwrap();
    assert_eq!(buyer.hear(|v| v["id"] == 3).await.unwrap()["error"][0], 22);
    proxy.submit_work(11, 0x61, (nonce, mix)).await;
    assert_eq!(proxy.hear(|v| v["id"] == 11).await.unwrap()["error"]["code"], 22);

    record(&log, |r| matches!(r, Record::BlockOutcome { accepted: true, .. })).await;
    let sent = node.solutions.borrow().clone();
    let params = json!([format!("0x{nonce:016x}"), hex32(&[0x61; 32]), hex32(&mix)]);
    assert_eq!(sent, [params]);

    // Everybody hears of the next header.
    node.header.send_replace(0x62);
    let next = hex::encode([0x62; 32]);
    buyer
        .hear(|v| v["method"] == "mining.notify" && v["params"][2] == next.as_str())
        .await
        .unwrap();
    let pushed = proxy.hear(|v| v["id"] == 0).await.unwrap();
    assert_eq!(pushed["result"][0], format!("0x{next}"));

    // What the log holds is enough to hash every share again.
    let cache = LightCache::new(EthashEpoch::new(Algorithm::Ethash, 0).unwrap());
    let records = all_records(&log);
    let mut shares = 0;
    for record in &records {
        let Record::Share(share) = record else { continue };
        let work = records.iter().find_map(|r| match r {
            Record::EthWork(w) if w.job == share.job => Some(w),
            _ => None,
        });
        let work = work.expect("its work stands before it");
        let nonce = u64::from_be_bytes(share.extranonce.as_slice().try_into().unwrap());
        let (_, last) = hash_light(&cache, &work.header_hash, nonce);
        assert!(Target::from_be_bytes(last) <= share.class.target());
        shares += 1;
    }
    assert_eq!(shares, 2);
    soon(gateway.shutdown()).await;
    lane.stop().await;
}

#[tokio::test]
async fn a_solution_that_is_being_hashed_while_the_gateway_stops_reaches_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = HttpNode::start(0x66, 3).await;
    let (log, lane, gateway) = serve(&node, dir.path());
    let mut miner = Wire::connect(gateway.address()).await;
    miner.proxy(0x66).await;
    let solution = mine(0x66, 0, 3, None);
    let before = gateway.figures().bytes_in;
    miner.submit_work(9, 0x66, solution).await;
    // It was read: from then on it is hashed.
    let read = async {
        while gateway.figures().bytes_in == before {
            tokio::task::yield_now().await;
        }
    };
    soon(read).await;
    soon(gateway.shutdown()).await;
    record(&log, |r| matches!(r, Record::BlockOutcome { accepted: true, .. })).await;
    assert_eq!(node.solutions.borrow().len(), 1);
    lane.stop().await;
}

#[tokio::test]
async fn a_node_that_talks_nonsense_stops_nobody_from_mining_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let node = HttpNode::start(0x63, crate::rig::HARD).await;
    let (log, lane, gateway) = serve(&node, dir.path());
    let mut miner = Wire::connect(gateway.address()).await;
    miner.proxy(0x63).await;
    for (id, nonsense) in ["", "[]", "\u{0}", r#"{"id":0,"result":[]}"#].into_iter().enumerate() {
        node.nonsense.send_replace(Some(nonsense));
        let share = mine_some(0x63, 0, 2, id + 1)[id];
        let id = 20 + id as u64;
        miner.submit_work(id, 0x63, share).await;
        assert_eq!(miner.hear(|v| v["id"] == id).await.unwrap()["result"], true);
    }
    node.nonsense.send_replace(None);
    node.header.send_replace(0x64);
    miner.hear(|v| v["id"] == 0).await.unwrap();
    let shares = all_records(&log).iter().filter(|r| matches!(r, Record::Share(_))).count();
    assert_eq!(shares, 4);
    soon(gateway.shutdown()).await;
    lane.stop().await;
}
