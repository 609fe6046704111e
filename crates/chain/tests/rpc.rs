//! A node that misbehaves in every way costs an error that says whose it is, and no more.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::auxpow::AuxNode;
use gruve_chain::{
    ChainParams, FeeRate, NetworkName, Node, NodeError, RpcNode, RpcOptions, SendOutcome,
    SubmitOutcome, TransactionPlace, params_for,
};
use gruve_units::{Asset, Blame, Blamed, Duration};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LIMIT_BYTES: usize = 10_000;
/// Long enough for a loaded machine to answer, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// What a stand-in started with a cookie takes: base64 of user and password.
static COOKIE: Mutex<&str> = Mutex::new("-");

fn params() -> ChainParams {
    params_for(Asset::Btc, NetworkName::Regtest).unwrap()
}

/// What the stand-in does with a request (its body as JSON).
enum Reply {
    /// These bytes, then the connection is closed.
    Raw(String),
    /// Nothing, for ever.
    Silence,
    /// An HTTP 200 with a body without end.
    Endless,
}

struct StandIn {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl StandIn {
    async fn start(reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (reply, count) = (Arc::new(reply), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, count) = (reply.clone(), count.clone());
                tokio::spawn(async move { serve(stream, reply.as_ref(), &count).await });
            }
        });
        StandIn { url, asked }
    }

    fn node(&self) -> RpcNode {
        let options = RpcOptions {
            timeout: TIMEOUT,
            longpoll_timeout: TIMEOUT,
            max_answer_bytes: LIMIT_BYTES,
            ..RpcOptions::default()
        };
        RpcNode::with_options(&self.url, "u", "p", params(), options).unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: &(impl Fn(&Value) -> Reply + Send + Sync),
    count: &AtomicUsize,
) -> Option<()> {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).await.ok().filter(|&n| n > 0)?;
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let known = *COOKIE.lock().unwrap();
        let login = head.lines().find_map(|line| line.strip_prefix("authorization: Basic "));
        let is_known = login == Some("dTpw") || login == Some(known);
        if !is_known {
            let refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(refusal).await.ok()?;
            return stream.shutdown().await.ok();
        }
        if let Ok(body) = serde_json::from_str::<Value>(body) {
            break body;
        }
    };
    count.fetch_add(1, Ordering::SeqCst);
    match reply(&body) {
        Reply::Raw(text) => stream.write_all(text.as_bytes()).await.ok()?,
        Reply::Silence => std::future::pending().await,
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
    stream.shutdown().await.ok()
}

fn http(status: &str, body: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A well-formed answer to the request.
fn answer(request: &Value, result: &Value, error: &Value) -> Reply {
    let status = if error.is_null() { "200 OK" } else { "500 Internal Server Error" };
    http(status, &json!({ "result": result, "error": error, "id": request["id"] }).to_string())
}

async fn result_of(result: Value) -> StandIn {
    StandIn::start(move |request| answer(request, &result, &Value::Null)).await
}

async fn error_of(code: i64, message: &'static str) -> StandIn {
    let error = json!({ "code": code, "message": message });
    StandIn::start(move |request| answer(request, &Value::Null, &error)).await
}

async fn tip_error(reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> NodeError {
    let stand_in = StandIn::start(reply).await;
    stand_in.node().tip().await.unwrap_err()
}

#[tokio::test]
async fn silence_ends_in_a_time_out_that_names_the_call() {
    let error = tip_error(|_| Reply::Silence).await;
    assert!(matches!(error, NodeError::TimedOut { method: "getblockchaininfo", .. }), "{error}");
    assert_eq!(error.blame(), Blame::Transient);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_at_the_limit() {
    let error = tip_error(|_| Reply::Endless).await;
    assert!(matches!(error, NodeError::TooLarge { limit_bytes: LIMIT_BYTES, .. }), "{error}");
}

#[tokio::test]
async fn a_body_shorter_than_promised_is_no_answer() {
    let error = tip_error(|request| {
        let Reply::Raw(text) = answer(request, &json!({ "blocks": 1 }), &Value::Null) else {
            unreachable!()
        };
        Reply::Raw(text[..text.len() - 5].to_owned())
    })
    .await;
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error}");
    assert_eq!(error.blame(), Blame::Transient);
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for text in ["", "\0\0\0", "HTTP/1.1 200", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let error = tip_error(move |_| Reply::Raw(text.to_owned())).await;
        assert!(matches!(error, NodeError::Unreachable { .. }), "{text:?}: {error}");
    }
}

#[tokio::test]
async fn nobody_listening_is_told_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = RpcNode::new(&url, "u", "p", params()).unwrap().tip().await.unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }));
    let words = error.to_string();
    assert!(words.contains("refused") && words.contains("is it running"), "{words}");
}

#[tokio::test]
async fn an_http_error_without_json_is_transient_and_quoted() {
    let error =
        tip_error(|_| http("503 Service Unavailable", "Work queue depth exceeded\r\n")).await;
    let NodeError::Http { status: 503, text, .. } = &error else { panic!("{error}") };
    assert_eq!(text, "Work queue depth exceeded");
    assert_eq!(error.blame(), Blame::Transient);
}

#[tokio::test]
async fn a_refused_password_is_fatal_with_a_hint() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let error = tip_error(move |_| http(status, "")).await;
        assert_eq!(error.blame(), Blame::Fatal);
        assert!(error.to_string().contains("rpcallowip"), "{error}");
    }
}

#[tokio::test]
async fn json_of_another_shape_is_malformed() {
    let deep = "[".repeat(9_000);
    for body in ["", "null", "[]", "{", "{}", "\u{1}", "{\"result\":1}", deep.as_str()] {
        let body = body.to_owned();
        let error = tip_error(move |_| http("200 OK", &body)).await;
        assert!(matches!(error, NodeError::Malformed { .. }), "{error}");
    }
    // A good answer to another question.
    let error = tip_error(|_| http("200 OK", r#"{"result":{},"error":null,"id":999}"#)).await;
    assert!(matches!(error, NodeError::Malformed { .. }), "{error}");
    let error = tip_error(|_| http("500 Oops", r#"{"result":null,"error":"no","id":1}"#)).await;
    assert!(matches!(error, NodeError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn results_of_another_shape_are_malformed() {
    let results = [json!(null), json!(1), json!("x"), json!([]), json!({ "blocks": "1" })];
    for result in results {
        let node = result_of(result.clone()).await.node();
        let malformed = |e: NodeError| assert!(matches!(e, NodeError::Malformed { .. }), "{e}");
        malformed(node.tip().await.unwrap_err());
        malformed(node.block_hash(1).await.unwrap_err());
        malformed(node.info().await.unwrap_err());
        assert!(node.template(None).await.is_err());
        if result != "x" {
            malformed(node.block(&[0; 32]).await.unwrap_err());
        }
    }
    let hash = "00".repeat(31);
    let node = result_of(json!({ "blocks": 1, "bestblockhash": hash })).await.node();
    assert!(matches!(node.tip().await, Err(NodeError::Malformed { .. })));
}

#[tokio::test]
async fn every_code_has_its_blame() {
    for (code, blame) in [
        (-28, Blame::Transient),
        (-9, Blame::Transient),
        (-10, Blame::Transient),
        (-1, Blame::Transient),
        (-7, Blame::Transient),
        (-20, Blame::Fatal),
        (-32601, Blame::Fatal),
        (-8, Blame::Rejected),
        (-5, Blame::Rejected),
        (-32600, Blame::Rejected),
    ] {
        let stand_in = error_of(code, "so it is\nforged log line").await;
        let error = stand_in.node().tip().await.unwrap_err();
        assert_eq!(error.blame(), blame, "{code}: {error}");
        assert!(!error.to_string().contains('\n'), "no line breaks from outside end in logs");
    }
    // What is wrong with the node says nothing of the block.
    for (code, message) in [(-25, "System error: Disk space is too low!"), (-32603, "internal")] {
        let failed = error_of(code, message).await.node().submit_block(&[1]).await.unwrap_err();
        assert_eq!(failed.blame(), Blame::Transient, "{failed}");
        assert!(failed.to_string().contains(message), "{failed}");
    }
    let warming = error_of(-28, "Loading block index…").await.node().tip().await.unwrap_err();
    assert_eq!(warming, NodeError::NotReady("Loading block index…".into()));
}

#[tokio::test]
async fn submitted_blocks_have_outcomes() {
    for (result, outcome) in [
        (json!(null), SubmitOutcome::Accepted),
        (json!("inconclusive"), SubmitOutcome::Accepted),
        (json!("duplicate"), SubmitOutcome::Duplicate),
        (json!("duplicate-inconclusive"), SubmitOutcome::Duplicate),
        (json!("duplicate-invalid"), SubmitOutcome::Rejected("duplicate-invalid".into())),
        (json!("high-hash"), SubmitOutcome::Rejected("high-hash".into())),
    ] {
        let node = result_of(result).await.node();
        assert_eq!(node.submit_block(&[1, 2]).await.unwrap(), outcome);
    }
    let node = error_of(-22, "Block decode failed").await.node();
    let refused = SubmitOutcome::Rejected("Block decode failed".into());
    assert_eq!(node.submit_block(&[]).await.unwrap(), refused);
    let warming = error_of(-28, "Verifying blocks…").await.node().submit_block(&[]).await;
    assert_eq!(warming.unwrap_err().blame(), Blame::Transient);
}

#[tokio::test]
async fn what_is_wrong_with_a_merge_mined_chains_node_says_nothing_of_its_block() {
    for (code, message) in [(-25, "System error: Disk space is too low!"), (-32603, "internal")] {
        let node = error_of(code, message).await.node();
        let failed = node.submit_aux_block(&[1; 32], &[1]).await.unwrap_err();
        assert_eq!(failed.blame(), Blame::Transient, "{failed}");
        assert!(failed.to_string().contains(message), "{failed}");
    }
    // It does not know the block as one to be proven; what it says of it as one of its chain.
    for (code, is_verdict) in [(-5, true), (-32603, false), (-25, false), (-20, false)] {
        let stand_in = StandIn::start(move |request| {
            let code = if request["method"] == "getblockheader" { code } else { -8 };
            answer(request, &Value::Null, &json!({ "code": code, "message": "so it is" }))
        })
        .await;
        match stand_in.node().submit_aux_block(&[1; 32], &[1]).await {
            Ok(outcome) => {
                let refused = SubmitOutcome::Rejected("so it is".into());
                assert_eq!((outcome, is_verdict), (refused, true), "{code}");
            }
            Err(e) => assert!(!is_verdict && e.blame() != Blame::Rejected, "{code}: {e}"),
        }
    }
}

#[tokio::test]
async fn sent_transactions_have_outcomes() {
    let node = result_of(json!("00".repeat(32))).await.node();
    assert_eq!(node.send_transaction(&[1]).await.unwrap(), SendOutcome::Accepted);
    for (code, message, outcome) in [
        (-27, "Transaction already in block chain", SendOutcome::AlreadyKnown),
        (-26, "txn-already-in-mempool", SendOutcome::AlreadyKnown),
        (-26, "txn-mempool-conflict", SendOutcome::Rejected("txn-mempool-conflict".into())),
        (-25, "bad-txns-inputs-missingorspent", {
            SendOutcome::Rejected("bad-txns-inputs-missingorspent".into())
        }),
        (-22, "TX decode failed", SendOutcome::Rejected("TX decode failed".into())),
    ] {
        let node = error_of(code, message).await.node();
        assert_eq!(node.send_transaction(&[1]).await.unwrap(), outcome);
    }
    // Unknown is not refused.
    let node = StandIn::start(|_| Reply::Silence).await.node();
    let error = node.send_transaction(&[1]).await.unwrap_err();
    assert!(matches!(error, NodeError::TimedOut { .. }));
}

#[tokio::test]
async fn places_and_heights_that_do_not_exist_are_none() {
    let node = error_of(-8, "Block height out of range").await.node();
    assert_eq!(node.block_hash(5).await.unwrap(), None);
    let node = error_of(-5, "Transaction not in mempool").await.node();
    let place = node.transaction_in_mempool_or_block(&[1; 32]).await.unwrap();
    assert_eq!(place, TransactionPlace::Unknown);
    let stand_in = StandIn::start(|request| {
        let error = json!({ "code": -5, "message": "Transaction not in mempool" });
        if request["method"] == "getmempoolentry" {
            return answer(request, &Value::Null, &error);
        }
        answer(request, &json!({ "blockhash": "0a".repeat(32) }), &Value::Null)
    })
    .await;
    let place = stand_in.node().transaction_in_mempool_or_block(&[1; 32]).await.unwrap();
    assert_eq!(place, TransactionPlace::Block { hash: [0x0a; 32] });
}

#[tokio::test]
async fn a_pool_is_told_by_ids_and_bytes_and_one_that_is_not_told_is_none() {
    let mut id = [0; 32];
    id[0] = 0x2a;
    let node = result_of(json!([format!("{}2a", "00".repeat(31))])).await.node();
    assert_eq!(node.pool().await.unwrap(), Some(vec![id]));
    let node = error_of(-32601, "Method not found").await.node();
    assert_eq!(node.pool().await.unwrap(), None);
    let many = vec![json!("00".repeat(32)); LIMIT_BYTES / 64];
    let node = result_of(json!(many)).await.node();
    assert_eq!(node.pool().await.unwrap(), None, "more than an answer holds");
    let node = result_of(json!(["no id"])).await.node();
    assert!(matches!(node.pool().await, Err(NodeError::Malformed { .. })));
    let node = error_of(-28, "Loading block index…").await.node();
    assert!(matches!(node.pool().await, Err(NodeError::NotReady(_) | NodeError::Rpc { .. })));

    let node = result_of(json!("0100abcd")).await.node();
    assert_eq!(node.pool_transaction(&id).await.unwrap(), Some(vec![1, 0, 0xab, 0xcd]));
    let node = error_of(-5, "No such mempool transaction").await.node();
    assert_eq!(node.pool_transaction(&id).await.unwrap(), None, "gone meanwhile");
    let node = result_of(json!("xyz")).await.node();
    assert!(node.pool_transaction(&id).await.is_err());
}

#[tokio::test]
async fn fee_rates_are_read_to_the_last_digit() {
    async fn rate(text: &'static str) -> Result<Option<FeeRate>, NodeError> {
        let stand_in = StandIn::start(move |request| {
            let body = r#"{"result":RESULT,"error":null,"id":ID}"#
                .replace("RESULT", text)
                .replace("ID", &request["id"].to_string());
            http("200 OK", &body)
        })
        .await;
        stand_in.node().fee_rate(6).await
    }
    let some = |minor_per_kvb| Some(FeeRate { minor_per_kvb });
    assert_eq!(rate(r#"{"feerate":0.00001001,"blocks":6}"#).await.unwrap(), some(1_001));
    assert_eq!(rate(r#"{"feerate":1e-05,"blocks":6}"#).await.unwrap(), some(1_000));
    assert_eq!(rate(r#"{"errors":["Insufficient data"],"blocks":0}"#).await.unwrap(), None);
    for wrong in ["-1", "0", "0.000000001", "1e99", "\"x\"", "[]"] {
        let result: &'static str = Box::leak(format!("{{\"feerate\":{wrong}}}").into_boxed_str());
        assert!(rate(result).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_long_poll_without_news_gives_the_present_template() {
    let stand_in = StandIn::start(|request| {
        if request["params"][0]["longpollid"] == "old" {
            return Reply::Silence;
        }
        assert_eq!(request["params"][0]["rules"], json!(["segwit"]));
        let gbt = json!({
            "version": 1, "previousblockhash": "cd".repeat(32), "transactions": [],
            "coinbasevalue": 1, "mintime": 1, "curtime": 2, "bits": "207fffff", "height": 7,
        });
        answer(request, &gbt, &Value::Null)
    })
    .await;
    let template = stand_in.node().template(Some("old")).await.unwrap();
    assert_eq!(template.height, 7);
    assert_eq!(stand_in.asked.load(Ordering::SeqCst), 2);
}

/// Answers that are plainly templates are read in one go, others by way of a tree of values.
#[tokio::test]
async fn both_ways_of_reading_a_template_agree() {
    let gbt = |tx: &str| {
        format!(
            r#"{{"version":1,"previousblockhash":"{}","transactions":[{tx}],"coinbasevalue":1,
            "mintime":1,"curtime":2,"bits":"207fffff","height":7,"default_witness_commitment":null}}"#,
            "cd".repeat(32)
        )
    };
    let (data, id) = ("0a".repeat(60), "ab".repeat(32));
    let plain = format!(r#"{{"data":"{data}","txid":"{id}","hash":"{id}","fee":5}}"#);
    let escaped = plain.replace("0a0a", "\\u0030a0a");
    let without_txid = plain.replace(&format!(r#""txid":"{id}","#), "");
    let mut read = Vec::new();
    for tx in [plain.clone(), escaped, without_txid] {
        let body = gbt(&tx);
        let stand_in = StandIn::start(move |request| {
            let id = &request["id"];
            http("200 OK", &format!(r#"{{"result":{body},"error":null,"id":{id}}}"#))
        })
        .await;
        read.push(stand_in.node().template(None).await.unwrap());
    }
    assert!(read[0] == read[1] && read[0] == read[2]);
    assert_eq!(read[0].txs[0].data, [0x0a; 60]);

    let short = plain.replace(&data, "0a");
    for (tx, field) in [
        (plain.replace(&data, "0"), "transaction data"),
        (plain.replace(&data, "zz"), "transaction data"),
        (short, "transaction data"),
        (plain.replace(&format!(r#""{id}""#), "5"), "hash"),
        (plain.replace(&format!(r#""txid":"{id}""#), r#""txid":5"#), "txid"),
        ("{}".to_owned(), "transaction data"),
        ("[]".to_owned(), "transaction data"),
        ("3".to_owned(), "transaction data"),
    ] {
        let body = gbt(&tx);
        let stand_in = StandIn::start(move |request| {
            let id = &request["id"];
            http("200 OK", &format!(r#"{{"result":{body},"error":null,"id":{id}}}"#))
        })
        .await;
        let error = stand_in.node().template(None).await.unwrap_err();
        assert!(error.to_string().contains(field), "{tx}: {error}");
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_used_say_why() {
    for (url, part) in [
        ("", "URL"),
        ("127.0.0.1:8332", "http://host:port"),
        ("https://127.0.0.1:8332", "plain HTTP"),
        ("http://127.0.0.1", "no port"),
        ("http://user:secret@127.0.0.1:1", "settings of their own"),
        ("ftp://127.0.0.1:1", "http://host:port"),
    ] {
        let error = RpcNode::new(url, "u", "p", params()).unwrap_err();
        assert_eq!(error.blame(), Blame::Fatal);
        assert!(error.to_string().contains(part), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    let node = RpcNode::new("http://127.0.0.1:1", "u", "secret", params()).unwrap();
    assert!(!format!("{node:?}").contains("secret"), "the password stands in no log");
}

#[tokio::test]
async fn a_node_that_was_started_again_is_known_by_its_new_cookie() {
    let stand_in = result_of(json!({ "blocks": 7, "bestblockhash": "ab".repeat(32) })).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".cookie");
    // The file comes with the node: the house may be there first.
    let node = RpcNode::with_cookie(&stand_in.url, path.clone(), params()).unwrap();
    std::fs::write(&path, "__cookie__:one\n").unwrap();
    *COOKIE.lock().unwrap() = "X19jb29raWVfXzpvbmU=";
    assert_eq!(node.tip().await.unwrap().height, 7);
    *COOKIE.lock().unwrap() = "X19jb29raWVfXzp0d28=";
    let refused = node.tip().await.unwrap_err();
    assert!(matches!(refused, NodeError::Unauthorised { status: 401, .. }), "{refused}");
    std::fs::write(&path, "__cookie__:two").unwrap();
    assert_eq!(node.tip().await.unwrap().height, 7);
}
