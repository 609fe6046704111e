//! Nothing from outside makes it panic or harms the chain.

use crate::devchain_support::{Bench, Funds, Key, hex_of};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every method.
const ALL: [&str; 34] = [
    "getblocktemplate",
    "submitblock",
    "getmininginfo",
    "getdifficulty",
    "getnetworkhashps",
    "generatetoaddress",
    "getblockchaininfo",
    "getnetworkinfo",
    "getconnectioncount",
    "getpeerinfo",
    "getblockcount",
    "getbestblockhash",
    "getblockhash",
    "getblockheader",
    "getblock",
    "getchaintips",
    "invalidateblock",
    "reconsiderblock",
    "getrawtransaction",
    "decoderawtransaction",
    "getrawmempool",
    "getmempoolentry",
    "getmempoolinfo",
    "sendrawtransaction",
    "testmempoolaccept",
    "gettxout",
    "scantxoutset",
    "estimatesmartfee",
    "validateaddress",
    "getnewaddress",
    "sendtoaddress",
    "getbalance",
    "gettransaction",
    "getreceivedbyaddress",
];

fn any_argument(known: Vec<Value>) -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(known),
        any::<i64>().prop_map(Value::from),
        (-3i64..30).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "\\PC{0,70}".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
        "[0-9a-f]{0,300}".prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!([["00"], {}])),
        Just(json!({ "rules": ["segwit"], "mode": 5, "data": "00", "longpollid": "x" })),
    ]
}

#[test]
fn no_arguments_make_a_method_panic() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(7, &key);
    let coin = Funds::mined(&bench.block_at(1));
    let tx = key.pay(&coin, &key.pkh(), 1_000);
    let known = vec![
        bench.tip().into(),
        hex_of(&tx).into(),
        json!([hex_of(&tx)]),
        coin.point.txid.to_string().into(),
        bench.get("getnewaddress", json!([])),
        hex_of(&bench.block(&key.wpkh(), &[])).into(),
        json!("0.5"),
    ];
    let arguments = prop::collection::vec(any_argument(known), 0..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(prop::sample::select(&ALL[..]), arguments), |(method, arguments)| {
            if let Err(e) = bench.call(method, arguments.into()) {
                prop_assert!(e.code != -32603 && e.code != -32601, "{method}: {e}");
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_block_with_bytes_changed_is_refused_and_leaves_the_chain_alone(
        place in 0usize..250,
        flip in 1u8..=255,
    ) {
        let bench = Bench::with_blocks(2, &Key::new(1));
        let block = bench.block(&Key::new(1).wpkh(), &[]);
        let mut bytes = bitcoin::consensus::serialize(&block);
        let place = place % bytes.len();
        bytes[place] ^= flip;
        let before = bench.tip();
        let answer = bench.call("submitblock", json!([hex::encode(&bytes)]));
        // A changed version, time or nonce, or the old witness form of the coinbase, may be good.
        if answer == Ok(Value::Null) {
            prop_assert_eq!(bench.chain.height(), 3);
        } else {
            prop_assert_eq!(bench.tip(), before);
        }
        let _ = bench.submit(&block);
        prop_assert!(bench.chain.height() >= 3);
    }
}
