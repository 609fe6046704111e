//! A node of the Ethash family over HTTP: what it is asked, and what its misbehaviour costs.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::eth::AccountNode as _;
use gruve_chain::{EthNode as _, EthRpcNode, EthRpcOptions, NodeError, NodeWork};
use gruve_units::{Blame, Blamed, Duration, Hashrate, Target, Timestamp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEADER: &str = "0x645cf20198c2f3861e947d4f67e3ab63b7b2e24dcc9095bd9123e7b33371f6cc";
const SEED: &str = "0xabad8f99f3918bf903c6a909d9bbc0fdfa5a2f4b9cb1196175ec825c6610126c";
const TARGET: &str = "0x0000000394427b08175efa9a9eb59b9123e2969bf19bf272b20787ed022fbe6c";

/// A node that gives every call the same body, and remembers what it was asked.
struct StandIn {
    node: EthRpcNode,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// `answer` makes the HTTP body of a request; `None` is silence.
    async fn new(answer: impl Fn(&Value) -> Option<String> + Send + Sync + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/rpc", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                tokio::spawn(async move { serve(stream, answer.as_ref(), &seen).await });
            }
        });
        let options = EthRpcOptions {
            timeout: Duration::from_secs(2),
            max_answer_bytes: 5_000,
            max_block_bytes: 50_000,
        };
        StandIn { node: EthRpcNode::new(&url, None, options).unwrap(), asked }
    }

    async fn result(result: Value) -> StandIn {
        Self::new(move |call| {
            Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
        })
        .await
    }

    async fn error(code: i64, message: &'static str) -> StandIn {
        Self::new(move |call| {
            let error = json!({ "code": code, "message": message });
            Some(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }).to_string())
        })
        .await
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Value) -> Option<String> + Send + Sync),
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut request = Vec::new();
    let (head, call) = loop {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(call) = serde_json::from_str::<Value>(body) {
            break (head.to_lowercase(), call);
        }
    };
    assert!(!head.contains("authorization"), "nobody was to log in");
    seen.lock().unwrap().push(format!("{} {} {}", call["jsonrpc"], call["method"], call["params"]));
    match answer(&call) {
        None => std::future::pending().await,
        Some(body) => {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.ok()?;
        }
    }
    stream.shutdown().await.ok()
}

fn bytes(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    hex::decode_to_slice(&text[2..], &mut out).unwrap();
    out
}

#[tokio::test]
async fn work_is_read_with_and_without_a_block_number() {
    let plain = json!([HEADER, SEED, TARGET]);
    let with_null = json!([HEADER, SEED, TARGET, null]);
    let with_height = json!([HEADER, SEED, TARGET, "0x12a05f2"]);
    let cases = [(plain, None), (with_null, None), (with_height, Some(0x12a_05f2))];
    for (answer, height) in cases {
        let stand_in = StandIn::result(answer).await;
        let expected = NodeWork {
            header_hash: bytes(HEADER),
            seed_hash: bytes(SEED),
            target: Target::from_be_bytes(bytes(TARGET)),
            height,
        };
        assert_eq!(stand_in.node.get_work().await.unwrap(), expected);
        assert_eq!(*stand_in.asked.lock().unwrap(), [r#""2.0" "eth_getWork" []"#]);
    }
}

#[tokio::test]
async fn solutions_and_rates_are_written_as_nodes_read_them() {
    let stand_in = StandIn::result(json!(true)).await;
    let (header, mix) = (bytes(HEADER), bytes(SEED));
    assert!(stand_in.node.submit_work(0x4242, &header, &mix).await.unwrap());
    assert!(stand_in.node.submit_hashrate(Hashrate(0x50_0000), &mix).await.unwrap());
    let submit = format!(r#""2.0" "eth_submitWork" ["0x0000000000004242","{HEADER}","{SEED}"]"#);
    let rate = format!(r#""2.0" "eth_submitHashrate" ["0x500000","{SEED}"]"#);
    assert_eq!(*stand_in.asked.lock().unwrap(), [submit, rate]);
    let stand_in = StandIn::result(json!(false)).await;
    assert!(!stand_in.node.submit_work(1, &header, &mix).await.unwrap());
}

#[tokio::test]
async fn the_nodes_clock_is_read_where_it_says_it_and_no_answer_is_none() {
    let stand_in = StandIn::result(json!({ "timestamp": "0x6553f100", "number": null })).await;
    let time = stand_in.node.pending_time().await.unwrap();
    assert_eq!(time, Some(Timestamp::from_secs(1_700_000_000)));
    for result in [json!(null), json!({}), json!({ "timestamp": "0x7fffffffffffffff" })] {
        let stand_in = StandIn::result(result).await;
        assert_eq!(stand_in.node.pending_time().await.unwrap(), None);
    }
    let stand_in = StandIn::error(-32601, "no such method").await;
    assert_eq!(stand_in.node.pending_time().await.unwrap(), None);
}

#[tokio::test]
async fn work_that_makes_no_sense_is_malformed_and_transient() {
    let zero = format!("0x{}", "0".repeat(64));
    for result in [
        json!(null),
        json!("0x"),
        json!([]),
        json!([HEADER, SEED]),
        json!([&HEADER[2..], SEED, TARGET]),
        json!([&HEADER[..64], SEED, TARGET]),
        json!([HEADER, SEED, zero]),
        json!([HEADER, SEED, 7]),
        json!([HEADER, SEED, TARGET, 7]),
        json!([HEADER, SEED, TARGET, "-0x1"]),
        json!([HEADER, SEED, TARGET, "0x"]),
        json!({ "0": HEADER }),
    ] {
        let stand_in = StandIn::result(result.clone()).await;
        let error = stand_in.node.get_work().await.unwrap_err();
        assert!(matches!(error, NodeError::Malformed { .. }), "{result}: {error}");
        assert_eq!(error.blame(), Blame::Transient);
    }
}

#[tokio::test]
async fn a_node_without_work_is_not_ready_and_one_that_does_not_mine_needs_attention() {
    let stand_in = StandIn::error(-32000, "no mining work available yet").await;
    let error = stand_in.node.get_work().await.unwrap_err();
    assert!(matches!(&error, NodeError::NotReady(why) if why.contains("no mining")), "{error}");
    let stand_in = StandIn::error(-32601, "the method eth_getWork does not exist").await;
    let error = stand_in.node.get_work().await.unwrap_err();
    assert_eq!(error.blame(), Blame::Fatal, "{error}");
}

#[tokio::test]
async fn silence_floods_and_answers_to_other_calls_cost_an_error() {
    let stand_in = StandIn::new(|_| None).await;
    let error = stand_in.node.get_work().await.unwrap_err();
    assert!(matches!(error, NodeError::TimedOut { method: "eth_getWork", .. }), "{error}");
    let stand_in = StandIn::new(|_| Some(" ".repeat(6_000))).await;
    let error = stand_in.node.get_work().await.unwrap_err();
    assert!(matches!(error, NodeError::TooLarge { .. }), "{error}");
    let other = json!({ "jsonrpc": "2.0", "id": 0, "result": true }).to_string();
    for body in [other, "[]".to_owned(), "\u{0}".to_owned(), String::new()] {
        let shown = body.clone();
        let stand_in = StandIn::new(move |_| Some(body.clone())).await;
        let error = stand_in.node.submit_work(1, &[0; 32], &[0; 32]).await.unwrap_err();
        assert!(matches!(error, NodeError::Malformed { .. }), "{shown:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_node_says_nothing_of_the_solution() {
    let stand_in = StandIn::error(-32603, "no space left on device").await;
    let error = stand_in.node.submit_work(1, &[0; 32], &[0; 32]).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Transient, "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
}

#[tokio::test]
async fn the_block_that_is_made_tells_what_waits_and_the_best_one_in_its_place_tells_nothing() {
    let paid = json!({
        "hash": HEADER, "from": format!("0x{}", "aa".repeat(20)), "nonce": "0x0", "gas": "0x5208",
        "to": format!("0x{}", "bb".repeat(20)), "value": "0x10", "gasPrice": "0x1",
    });
    let block = |hash: Value, number: &str| json!({ "hash": hash, "number": number, "transactions": [paid, { "hash": "0x" }] });
    // The best block is number 7.
    let told = async |pending: Value| {
        let node = StandIn::new(move |call| {
            let result =
                if call["method"] == "eth_blockNumber" { json!("0x7") } else { pending.clone() };
            Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
        });
        node.await.node.pending().await
    };
    let waiting = told(block(Value::Null, "0x8")).await.unwrap().unwrap();
    assert_eq!(waiting.len(), 1, "what cannot be read is passed over");
    assert_eq!((waiting[0].hash, waiting[0].nonce), (bytes(HEADER), 0));
    assert_eq!(told(block(json!(SEED), "0x8")).await.unwrap().unwrap().len(), 1);
    assert_eq!(told(block(json!(SEED), "0x7")).await.unwrap(), None, "the best block");
    assert_eq!(told(Value::Null).await.unwrap(), None);
    assert!(told(json!({ "hash": null })).await.is_err());
    let node = StandIn::error(-32_000, "pending block is not available").await.node;
    assert_eq!(node.pending().await.unwrap(), None);
}
