//! The RPC over real HTTP: carriage, fields, long polls.

use crate::devchain_support::{Bench, Funds, Key, easy_params, hex_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gruve_chain::devchain::{CallError, DevServer, rpc_call};
use gruve_units::Duration;
use http_body_util::{BodyExt, Full};
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(20);

struct Served {
    bench: Bench,
    server: DevServer,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Served {
    fn new(blocks: u32) -> Served {
        let mut params = easy_params();
        params.mempool_poll = Duration::from_millis(50);
        let bench = Bench::new(params);
        for _ in 0..blocks {
            bench.mine(&Key::new(1).wpkh(), &[]);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = bench.chain.serve(listener, "user", "secret").unwrap();
        Served { bench, server, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn raw(&self, method: Method, auth: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(self.server.url())
            .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(auth)))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = tokio::time::timeout(DEADLINE, self.client.request(request)).await;
        let answer = answer.unwrap().unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    async fn post(&self, body: &Value) -> (StatusCode, Value) {
        let (status, bytes) =
            self.raw(Method::POST, "user:secret", body.to_string().into_bytes()).await;
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let (status, reply) =
            self.post(&json!({ "id": 1, "method": method, "params": params })).await;
        assert_eq!(status, StatusCode::OK, "{method}: {reply}");
        reply["result"].clone()
    }
}

#[tokio::test]
async fn only_who_knows_the_password_is_answered() {
    let served = Served::new(0);
    let body = json!({ "id": 1, "method": "getblockcount" }).to_string().into_bytes();
    for wrong in ["user:wrong", "other:secret", "", "user:secret2", "user"] {
        let (status, text) = served.raw(Method::POST, wrong, body.clone()).await;
        assert_eq!((status, text.len()), (StatusCode::UNAUTHORIZED, 0), "{wrong}");
    }
    let (status, _) = served.raw(Method::GET, "user:secret", body.clone()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _) = served.raw(Method::POST, "user:secret", body).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn errors_have_cores_status_and_code() {
    let served = Served::new(1);
    let cases = [
        (json!({ "id": 7, "method": "nosuch" }), 404, -32601),
        (json!({ "id": 7 }), 400, -32600),
        (json!([[1]]), 200, -32600),
        (json!(5), 400, -32600),
        (json!({ "id": 7, "method": "getblockhash", "params": [99] }), 500, -8),
        (json!({ "id": 7, "method": "getblockhash", "params": ["x"] }), 500, -3),
        (json!({ "id": 7, "method": "getblock", "params": ["00"] }), 500, -8),
        (json!({ "id": 7, "method": "getblock", "params": ["11".repeat(32)] }), 500, -5),
        (json!({ "id": 7, "method": "getblockhash", "params": 5 }), 400, -32600),
        (json!({ "id": 7, "method": "getblockhash", "params": { "hight": 1 } }), 500, -8),
        (json!({ "id": 7, "method": "getblocktemplate", "params": [] }), 500, -8),
        (json!({ "id": 7, "method": "submitblock", "params": ["00"] }), 500, -22),
        (json!({ "jsonrpc": "2.0", "id": 7, "method": "nosuch" }), 200, -32601),
    ];
    for (request, status, code) in cases {
        let (found, reply) = served.post(&request).await;
        let reply = reply.get(0).cloned().unwrap_or(reply);
        assert_eq!((found.as_u16(), &reply["error"]["code"]), (status, &json!(code)), "{request}");
    }
    let (status, reply) =
        served.post(&json!({ "id": 3, "method": "getblockhash", "params": { "height": 1 } })).await;
    assert_eq!((status, &reply["error"], &reply["id"]), (StatusCode::OK, &json!(null), &json!(3)));
    let (status, text) = served.raw(Method::POST, "user:secret", b"{nonsense".to_vec()).await;
    let reply: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((status.as_u16(), &reply["error"]["code"]), (500, &json!(-32700)));
}

#[tokio::test]
async fn a_body_above_the_bound_is_refused_and_the_server_goes_on() {
    let served = Served::new(0);
    let (status, _) = served.raw(Method::POST, "user:secret", vec![b' '; 10 << 20]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(served.call("getblockcount", json!([])).await, json!(0));
}

#[tokio::test]
async fn a_stopped_server_takes_no_more_calls() {
    let served = Served::new(0);
    let address = served.server.local_addr();
    served.server.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set<'a>(names: &'a [&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

/// Result fields as documented by `bitcoin-cli help <method>` of Bitcoin Core 29.
#[tokio::test]
async fn results_have_the_fields_that_core_documents() {
    let served = Served::new(7);
    let key = Key::new(1);
    let hash = served.call("getblockhash", json!([1])).await;
    let block: bitcoin::Block = crate::devchain_support::from_hex(
        served.call("getblock", json!([hash, 0])).await.as_str().unwrap(),
    );
    let coin = Funds::mined(&block);
    let first = key.pay(&coin, &key.pkh(), 1_000);
    let txid = served.call("sendrawtransaction", json!([hex_of(&first)])).await;
    assert_eq!(
        keys(&served.call("getblocktemplate", json!([{ "rules": ["segwit"] }])).await),
        set(&[
            "version",
            "rules",
            "vbavailable",
            "capabilities",
            "vbrequired",
            "previousblockhash",
            "transactions",
            "coinbaseaux",
            "coinbasevalue",
            "longpollid",
            "target",
            "mintime",
            "mutable",
            "noncerange",
            "sigoplimit",
            "sizelimit",
            "weightlimit",
            "curtime",
            "bits",
            "height",
            "default_witness_commitment",
        ])
    );
    let template = served.call("getblocktemplate", json!([{ "rules": ["segwit"] }])).await;
    assert_eq!(
        keys(&template["transactions"][0]),
        set(&["data", "txid", "hash", "depends", "fee", "sigops", "weight"])
    );
    assert_eq!(
        keys(&served.call("getblockchaininfo", json!([])).await),
        set(&[
            "chain",
            "blocks",
            "headers",
            "bestblockhash",
            "bits",
            "target",
            "difficulty",
            "time",
            "mediantime",
            "verificationprogress",
            "initialblockdownload",
            "chainwork",
            "size_on_disk",
            "pruned",
            "warnings",
        ])
    );
    assert_eq!(
        keys(&served.call("getnetworkinfo", json!([])).await),
        set(&[
            "version",
            "subversion",
            "protocolversion",
            "localservices",
            "localservicesnames",
            "localrelay",
            "timeoffset",
            "connections",
            "connections_in",
            "connections_out",
            "networkactive",
            "networks",
            "relayfee",
            "incrementalfee",
            "localaddresses",
            "warnings",
        ])
    );
    assert_eq!(
        keys(&served.call("getmininginfo", json!([])).await),
        set(&[
            "blocks",
            "bits",
            "difficulty",
            "target",
            "networkhashps",
            "pooledtx",
            "chain",
            "next",
            "warnings",
        ])
    );
    let header = [
        "hash",
        "confirmations",
        "height",
        "version",
        "versionHex",
        "merkleroot",
        "time",
        "mediantime",
        "nonce",
        "bits",
        "target",
        "difficulty",
        "chainwork",
        "nTx",
        "previousblockhash",
        "nextblockhash",
    ];
    assert_eq!(keys(&served.call("getblockheader", json!([hash])).await), set(&header));
    let block_fields = [&header[..], &["strippedsize", "size", "weight", "tx"]].concat();
    assert_eq!(keys(&served.call("getblock", json!([hash, 1])).await), set(&block_fields));
    let whole = served.call("getblock", json!([hash, 2])).await;
    let tx_fields =
        ["txid", "hash", "version", "size", "vsize", "weight", "locktime", "vin", "vout", "hex"];
    assert_eq!(keys(&whole["tx"][0]), set(&tx_fields));
    assert_eq!(keys(&whole["tx"][0]["vin"][0]), set(&["coinbase", "txinwitness", "sequence"]));
    let out = &whole["tx"][0]["vout"][0];
    assert_eq!(keys(out), set(&["value", "n", "scriptPubKey"]));
    assert_eq!(keys(&out["scriptPubKey"]), set(&["asm", "desc", "hex", "address", "type"]));
    assert_eq!(
        keys(&served.call("getmempoolentry", json!([txid])).await),
        set(&[
            "vsize",
            "weight",
            "time",
            "height",
            "descendantcount",
            "descendantsize",
            "ancestorcount",
            "ancestorsize",
            "wtxid",
            "fees",
            "depends",
            "spentby",
            "bip125-replaceable",
            "unbroadcast",
        ])
    );
    assert_eq!(keys(&served.call("getrawtransaction", json!([txid, true])).await), set(&tx_fields));
    let txid_in_block = whole["tx"][0]["txid"].clone();
    let in_block = [&tx_fields[..], &["blockhash", "confirmations", "time", "blocktime"]].concat();
    let raw = served.call("getrawtransaction", json!([txid_in_block, 1])).await;
    assert_eq!(keys(&raw), set(&in_block));
    let tested = served.call("testmempoolaccept", json!([[hex_of(&first)]])).await;
    assert_eq!(keys(&tested[0]), set(&["txid", "wtxid", "allowed", "reject-reason"]));
    assert_eq!(
        keys(&served.call("gettxout", json!([txid, 0])).await),
        set(&["bestblock", "confirmations", "value", "scriptPubKey", "coinbase"])
    );
    assert_eq!(
        keys(&served.call("estimatesmartfee", json!([3])).await),
        set(&["feerate", "blocks"])
    );
    let address = served.call("getnewaddress", json!([])).await;
    assert_eq!(
        keys(&served.call("validateaddress", json!([address])).await),
        set(&[
            "isvalid",
            "address",
            "scriptPubKey",
            "isscript",
            "iswitness",
            "witness_version",
            "witness_program",
        ])
    );
    let mined = served.call("generatetoaddress", json!([1, address])).await;
    let block = served.call("getblock", json!([mined[0], 2])).await;
    assert_eq!(keys(&block["tx"][1]), set(&[&tx_fields[..], &["fee"]].concat()));
    assert_eq!(block["tx"][1]["fee"].to_string(), "0.00001000");
    let own = served.call("gettransaction", json!([block["tx"][0]["txid"]])).await;
    assert_eq!(
        keys(&own),
        set(&[
            "amount",
            "confirmations",
            "generated",
            "blockhash",
            "blockheight",
            "blockindex",
            "blocktime",
            "txid",
            "wtxid",
            "walletconflicts",
            "time",
            "timereceived",
            "bip125-replaceable",
            "details",
            "hex",
            "lastprocessedblock",
        ])
    );
    assert_eq!(own["details"][0]["category"], "immature");
}

#[tokio::test]
async fn a_long_poll_answers_when_the_tip_changes() {
    let served = Served::new(3);
    let first = served.call("getblocktemplate", json!([{ "rules": ["segwit"] }])).await;
    let request = json!([{ "rules": ["segwit"], "longpollid": first["longpollid"] }]);
    let waiting = served.call("getblocktemplate", request);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "nothing has changed yet");
    let block = served.bench.mine(&Key::new(1).wpkh(), &[]);
    let second = tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    assert_eq!(second["previousblockhash"], json!(block.block_hash().to_string()));
    assert_eq!(second["height"], 5);
}

#[tokio::test]
async fn a_long_poll_answers_a_while_after_the_mempool_changed() {
    let served = Served::new(8);
    let first = served.call("getblocktemplate", json!([{ "rules": ["segwit"] }])).await;
    let hash = served.call("getblockhash", json!([1])).await;
    let block: bitcoin::Block = crate::devchain_support::from_hex(
        served.call("getblock", json!([hash, 0])).await.as_str().unwrap(),
    );
    let key = Key::new(1);
    served.bench.send(&key.pay(&Funds::mined(&block), &key.wpkh(), 1_000)).unwrap();
    let request = json!([{ "rules": ["segwit"], "longpollid": first["longpollid"] }]);
    let second = served.call("getblocktemplate", request).await;
    assert_eq!(second["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(second["previousblockhash"], first["previousblockhash"]);
}

#[tokio::test]
async fn a_wait_for_a_block_ends_with_it_and_not_before_and_at_once_for_another_tip() {
    let served = Served::new(3);
    let tip = served.call("getbestblockhash", json!([])).await;
    let present = json!({ "hash": tip, "height": 3 });
    let other = json!([0, "00".repeat(32)]);
    assert_eq!(served.call("waitfornewblock", other).await, present);
    assert_eq!(served.call("waitfornewblock", json!([20, tip])).await, present, "the wait is over");
    let by_name = |tip: &Value| json!({ "current_tip": tip });
    for params in [|tip: &Value| json!([0, tip]), |_: &Value| json!([0]), by_name] {
        let tip = served.call("getbestblockhash", json!([])).await;
        let waiting = served.call("waitfornewblock", params(&tip));
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err(), "no block yet");
        let block = served.bench.mine(&Key::new(1).wpkh(), &[]);
        let told = tokio::time::timeout(DEADLINE, waiting).await.unwrap();
        assert_eq!(told["hash"], json!(block.block_hash().to_string()));
    }
    for wrong in [json!([-1]), json!(["x"]), json!([0, "xyz"])] {
        assert!(served.bench.call("waitfornewblock", wrong).is_err());
    }
}

#[tokio::test]
async fn a_wallets_owner_can_call_it() {
    let served = Served::new(1);
    let url = served.server.url();
    let call = |password: &'static str, method: &'static str| {
        let url = url.clone();
        async move { rpc_call(&url, "user", password, method, json!([])).await }
    };
    assert_eq!(call("secret", "getblockcount").await.unwrap(), json!(1));
    let refused = call("secret", "nosuch").await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused(e) if e.code == -32601), "{refused}");
    let unknown = call("wrong", "getblockcount").await.unwrap_err();
    assert!(matches!(&unknown, CallError::Unreachable { .. }), "{unknown}");
}

#[tokio::test]
async fn a_batch_is_answered_in_order() {
    let served = Served::new(2);
    let batch = json!([
        { "id": "a", "method": "getblockcount" },
        { "id": "b", "method": "nosuch" },
        { "id": "c", "method": "getbestblockhash" },
    ]);
    let (status, replies) = served.post(&batch).await;
    assert_eq!(status, StatusCode::OK);
    let ids: Vec<&str> =
        replies.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(replies[0]["result"], 2);
}

#[test]
fn a_proposal_is_judged_without_its_work() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(2, &key);
    let mut block = bench.block(&key.wpkh(), &[]);
    block.header.nonce = 0;
    let propose = |block: &bitcoin::Block| {
        let request = json!([{ "mode": "proposal", "data": hex_of(block), "rules": ["segwit"] }]);
        bench.get("getblocktemplate", request)
    };
    assert_eq!(propose(&block), json!(null));
    block.txdata[0].output[0].value = bitcoin::Amount::from_sat(51 * 100_000_000);
    crate::devchain_support::set_root(&mut block);
    assert_eq!(propose(&block), json!("bad-cb-amount"));
    assert_eq!(bench.chain.height(), 2);
}
