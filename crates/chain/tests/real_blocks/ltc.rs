//! `litecoind`, with its extension block and without.

use crate::locks::{Coin, Lock};
use crate::mine::{self, Mine};
use crate::real_node::{Mweb, RealPair, wait_until};
use crate::traffic::Traffic;
use gruve_chain::template::witness_commitment_script;
use gruve_chain::{Job, Node, RpcNode, SubmitOutcome, Template, parse_block};
use serde_json::{Value, json};

/// What this node knows: no anchors.
const LOCKS: &[Lock] = Lock::USUAL.split_at(10).0;
/// What a transaction has to pay at least: 110 bytes at the node's 1,000 a thousand.
const LEAST_FEE: u64 = 120;
/// The first block with the extension block, on regtest.
const MWEB_HEIGHT: u64 = 432;

fn payees(height: u64) -> [Lock; 3] {
    [0, 1, 2].map(|n| LOCKS[usize::try_from(3 * height + n).unwrap() % LOCKS.len()])
}

/// Transactions of all kinds that the node takes (it lets none be replaced).
async fn send_usual(mine: &mut Mine, traffic: &mut Traffic, matured: &[Coin], height: u64) {
    traffic.usual(mine, matured, LOCKS).await;
    match height % 4 {
        2 => traffic.chain(mine, LEAST_FEE).await,
        3 => traffic.timelocks(mine, u32::try_from(height).unwrap(), None).await,
        0 => traffic.data(mine, &[80]).await,
        _ => {}
    }
}

#[tokio::test]
async fn blocks_of_ours_are_taken_past_520_without_the_extension_block() {
    let RealPair { node, peer } = RealPair::start(Mweb::Never).await;
    let mut mine = Mine::new(Mweb::Never, node);
    let (mut traffic, mut coinbases) = (Traffic::default(), Vec::<Vec<Coin>>::new());
    for height in 1..=525u64 {
        if height > 400 {
            let matured = &coinbases[usize::try_from(height - 400).unwrap()];
            send_usual(&mut mine, &mut traffic, matured, height).await;
        }
        let mined = mine.mine(&payees(height)).await;
        assert_eq!(mined.at.height, height);
        assert!(mined.job.template().mweb.is_none());
        traffic.confirm();
        coinbases.push(mined.coins);
    }
    assert!(traffic.too_early > 20, "{}", traffic.too_early);
    for lock in LOCKS {
        assert!(traffic.opened.contains(lock), "no {lock:?} was spent");
    }
    wait_until("the peer has our blocks", async || {
        peer.rpc().tip().await.is_ok_and(|tip| tip.height == 525)
    })
    .await;
}

/// Two wallets of the node's: one with coins in the open, one with hidden coins only.
struct Wallets {
    open: RpcNode,
    hidden: RpcNode,
    open_address: String,
    hidden_addresses: [String; 2],
}

impl Wallets {
    async fn new(mine: &Mine) -> Wallets {
        let make = async |name: &str| {
            mine.real.call("createwallet", json!([name])).await;
            let url = format!("{}/wallet/{name}", mine.real.url());
            RpcNode::new(&url, mine.real.user(), mine.real.password(), mine.params).unwrap()
        };
        let (open, hidden) = (make("open").await, make("hidden").await);
        let address = async |wallet: &RpcNode, kind: &str| {
            let address = wallet.call("getnewaddress", json!(["", kind])).await.unwrap();
            address.as_str().unwrap().to_owned()
        };
        let open_address = address(&open, "bech32").await;
        let hidden_addresses = [address(&hidden, "mweb").await, address(&hidden, "mweb").await];
        Wallets { open, hidden, open_address, hidden_addresses }
    }

    async fn peg_in(&self, coins: &str) {
        let to = &self.hidden_addresses[0];
        self.open.call("sendtoaddress", json!([to, coins])).await.unwrap();
    }

    async fn stay_hidden(&self, coins: &str) {
        let to = &self.hidden_addresses[1];
        self.hidden.call("sendtoaddress", json!([to, coins])).await.unwrap();
    }

    async fn peg_out(&self, coins: &str) {
        self.hidden.call("sendtoaddress", json!([self.open_address, coins])).await.unwrap();
    }
}

type Change = fn(&mut Template, old: &[u8]);

/// What the node says of blocks with another extension block than its own; `old` is that of the block
/// before.
const WRONG: [(&str, &str, Change); 7] = [
    ("no extension block", "Block decode failed", |t, _| t.mweb = None),
    ("half of it", "Block decode failed", |t, _| {
        let mweb = t.mweb.as_mut().unwrap();
        mweb.truncate(mweb.len() / 2);
    }),
    ("another root in it", "mweb-hash-mismatch", |t, _| t.mweb.as_mut().unwrap()[7] ^= 1),
    ("that of the block before", "mweb-hash-mismatch", |t, old| t.mweb = Some(old.to_vec())),
    ("its transaction left out", "mweb-missing", |t, _| drop(t.txs.pop())),
    ("its transaction not last", "mweb-missing", |t, _| t.txs.rotate_right(1)),
    ("nothing but a coinbase", "mweb-missing", |t, _| {
        t.txs.clear();
        t.mweb = None;
        t.coinbase_value = 625_000_000; // three halvings
    }),
];

fn wrong_block(mine: &Mine, good: &Job, change: Change, old: &[u8]) -> Vec<u8> {
    let mut template = Template::clone(good.template());
    change(&mut template, old);
    let ids: Vec<_> = template.txs.iter().map(|tx| tx.wtxid).collect();
    template.witness_commitment = Some(witness_commitment_script(&ids));
    let pay_to = vec![(good.pay_to()[0].0.clone(), template.coinbase_value)];
    mine::solve(&mine::job(template, pay_to), &mine.params)
}

async fn best_block(mine: &Mine) -> Value {
    let hash = mine.real.call("getbestblockhash", json!([])).await;
    mine.real.call("getblock", json!([hash, 2])).await
}

#[tokio::test]
async fn blocks_of_ours_are_taken_through_the_first_extension_blocks_and_later_ones() {
    let RealPair { node, peer } = RealPair::start(Mweb::Activates).await;
    let mut mine = Mine::new(Mweb::Activates, node);
    let wallets = Wallets::new(&mine).await;
    mine.generate(200).await;
    mine.real.generate(220, &wallets.open_address).await;
    let mut traffic = Traffic::default();
    let (mut old, mut pegged_out, mut kernels) = (Vec::new(), 0, 0);
    for height in 421..=443u64 {
        let matured = [mine.coinbase(height - 420).await];
        send_usual(&mut mine, &mut traffic, &matured, height).await;
        match height {
            ..MWEB_HEIGHT => {}
            MWEB_HEIGHT => wallets.peg_in("30").await, // without one there is no block 432
            _ if height % 3 == 0 => wallets.peg_in("0.5").await,
            _ if height % 3 == 1 => wallets.stay_hidden("2").await,
            _ => wallets.peg_out("1").await,
        }
        if height > MWEB_HEIGHT && height % 2 == 1 {
            let job = mine.job(&payees(height)).await;
            for (why, reason, change) in WRONG {
                let wrong = wrong_block(&mine, &job, change, &old);
                let outcome = mine.node.submit_block(&wrong).await.unwrap();
                assert_eq!(outcome, SubmitOutcome::Rejected(reason.into()), "{why} at {height}");
            }
        }
        let mined = mine.mine(&payees(height)).await;
        let template = mined.job.template();
        assert_eq!((mined.at.height, template.mweb.is_some()), (height, height >= MWEB_HEIGHT));
        traffic.confirm();
        old = template.mweb.clone().unwrap_or_default();
        let told = best_block(&mine).await;
        kernels += told["mweb"]["num_kernels"].as_u64().unwrap_or(0);
        let block = mine.node.block(&mined.at.hash).await.unwrap();
        let last = parse_block(&block, &mine.params).unwrap().txs.pop().unwrap();
        assert_eq!(last.hogex, height >= MWEB_HEIGHT);
        if last.hogex {
            pegged_out += last.outputs.len() - 1;
        }
    }
    assert_eq!((kernels, pegged_out), (12, 4));
    wait_until("the peer has our blocks", async || {
        peer.rpc().tip().await.is_ok_and(|tip| tip.height == 443)
    })
    .await;
}
