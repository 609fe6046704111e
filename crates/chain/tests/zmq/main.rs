//! A node's notifications over ZeroMQ, published by libzmq beside real nodes. The `bitcoind` built for
//! the tests and Debian's `litecoind` have no ZeroMQ themselves, so what they would publish is published
//! for them.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../real_node/mod.rs"]
mod real_node;
mod support;

use gruve_chain::auxpow::AuxGroup;
use gruve_chain::{
    BlockRef, ChainParams, Job, JobSpec, NetworkName, Node, Push, RpcNode, SubmitOutcome, Template,
    TipNotice, address_for_script, hash_to_text, params_for,
};
use gruve_pow::{pow_hash, sha256d};
use gruve_units::{Asset, Class, Duration, EpochNumber, JobId};
use real_node::{Mweb, Program, RealNode, RealPair, wait_until};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use support::{Publisher, WAITS, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(30);
const EXTRANONCE: [u8; 12] = *b"extra-nonce!";

fn params() -> ChainParams {
    Program::Bitcoind.params()
}

fn script() -> Vec<u8> {
    [&[0, 20][..], &[0x51; 20]].concat()
}

fn solve(template: Template, tag: &[u8]) -> Vec<u8> {
    let spec = JobSpec {
        id: JobId(7),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [0xc0; 32],
        tag: tag.to_vec(),
        pay_to: vec![(script(), template.coinbase_value)],
        extranonce_len: EXTRANONCE.len(),
    };
    let job = Job::build(Arc::new(template), spec).unwrap();
    let class = Class::new(1).unwrap();
    let header = (0..)
        .map(|nonce| job.header(class, &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| job.network_target().is_met_by(&pow_hash(params().algorithm, h)));
    job.block(class, &EXTRANONCE, &header.unwrap())
}

/// As nodes write it.
fn written(hash: &[u8; 32]) -> [u8; 32] {
    let mut written = *hash;
    written.reverse();
    written
}

/// A real node, a publisher beside it, and a client that hears both.
struct Stage {
    real: RealNode,
    way: Way,
    node: Arc<RpcNode>,
    publisher: Publisher,
}

impl Stage {
    async fn new(kind: &[&str], held: &'static [&'static str]) -> Stage {
        let publisher = Publisher::start(kind);
        let real = RealNode::start(Program::Bitcoind, None).await;
        let ours = address_for_script(&params(), &script()).unwrap();
        real.generate(15, &ours).await;
        let way = Way::to(&real.url(), held, Some(&publisher.address)).await;
        let node = RpcNode::new(&way.url, real.user(), real.password(), params()).unwrap();
        let node = Arc::new(node.with_push(Push::Ask));
        Stage { real, way, node, publisher }
    }

    async fn known(&self) -> BlockRef {
        self.node.tip().await.unwrap()
    }

    fn waiting(&self, known: BlockRef) -> tokio::task::JoinHandle<TipNotice> {
        let node = Arc::clone(&self.node);
        tokio::spawn(async move { node.next_tip(&known).await.unwrap().unwrap() })
    }

    /// A block that nobody has seen.
    async fn block(&self, tag: &[u8]) -> Vec<u8> {
        solve(self.node.template(None).await.unwrap(), tag)
    }

    /// Does something and waits until the node has been asked because of it.
    async fn looked(&mut self, method: &str, publish: impl AsyncFnOnce(&mut Stage)) {
        // Looks are never closer than half a second: the one that is under way is not ours.
        let before = self.way.settled(method).await;
        publish(self).await;
        wait_until("it is looked up", async || self.way.count(method) > before).await;
        self.way.settled(method).await;
    }

    async fn generate(&self) -> [u8; 32] {
        let ours = address_for_script(&params(), &script()).unwrap();
        self.real.generate(1, &ours).await;
        self.known().await.hash
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("not in time")
}

async fn is_told(waiting: tokio::task::JoinHandle<TipNotice>) -> TipNotice {
    in_time(waiting).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_block_is_the_tip_without_a_question_and_is_what_the_node_says_afterwards() {
    let mut stage = Stage::new(&[], &WAITS).await;
    let mut number = 0;
    for round in 0..3 {
        let known = stage.known().await;
        let last = stage.node.template(None).await.unwrap();
        let block = stage.block(b"/ours/").await;
        let waiting = stage.waiting(known);
        if round == 0 {
            in_time(async { stage.publisher.is_heard() }).await;
        }
        // What comes while the headers before it are being read is looked up, in vain: so until it is told.
        wait_until("it is told", async || {
            stage.publisher.publish("rawblock", &block, number);
            number += 1;
            waiting.is_finished()
        })
        .await;
        let notice = is_told(waiting).await;
        assert_eq!(notice.tip.hash, sha256d(&block[..80]));
        // The node has not seen it: what follows is its own word on what was foreseen.
        assert_eq!(stage.known().await, known);
        let taken = stage.node.submit_block(&block).await.unwrap();
        assert_eq!(taken, SubmitOutcome::Accepted);
        let said = stage.real.call("getblockheader", json!([hash_to_text(&notice.tip.hash)])).await;
        assert_eq!(said["height"].as_u64(), Some(notice.tip.height));
        assert_eq!(said["mediantime"].as_u64(), Some(u64::from(notice.median_time)));
        assert_eq!(said["bits"].as_str().unwrap(), format!("{:08x}", notice.bits));
        let empty = last.empty_on(&notice, Duration::ZERO, &params()).unwrap();
        let whole = stage.node.template(None).await.unwrap();
        let (cur_time, longpoll_id) = (whole.cur_time, whole.longpoll_id.clone());
        assert_eq!(Template { cur_time, longpoll_id, ..empty }, whole);
    }
    assert_eq!(stage.node.push_figures().by_header, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_hash_is_the_tip_when_the_node_says_so() {
    let mut stage = Stage::new(&["pub"], &WAITS).await;
    let waiting = stage.waiting(stage.known().await);
    wait_until("it is heard", async || stage.node.push_figures().is_up).await;
    let hash = stage.generate().await;
    // As Bitcoin Core: who subscribes a moment too late hears nothing, so it is said until it is heard.
    let mut number = 0;
    wait_until("it is told", async || {
        stage.publisher.publish("hashblock", &written(&hash), number);
        number += 1;
        waiting.is_finished()
    })
    .await;
    assert_eq!(is_told(waiting).await.tip.hash, hash);
    let figures = stage.node.push_figures();
    assert_eq!((figures.by_header, figures.by_look), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_number_has_the_node_asked_for_its_tip() {
    let mut stage = Stage::new(&[], &WAITS).await;
    let known = stage.known().await;
    let waiting = stage.waiting(known);
    in_time(async { stage.publisher.is_heard() }).await;
    // The known tip again says nothing new; that the next message was lost does.
    stage
        .looked("getblockchaininfo", async |stage| {
            stage.publisher.publish("hashblock", &written(&known.hash), 5);
        })
        .await;
    assert!(!waiting.is_finished());
    // Transactions are no blocks; that one of them is missing may be one.
    let hash = stage.generate().await;
    stage.publisher.publish("sequence", &[&[9; 32][..], b"A", &[0; 8]].concat(), 80);
    stage.publisher.publish("sequence", &[&[9; 32][..], b"A", &[0; 8]].concat(), 83);
    assert_eq!(is_told(waiting).await.tip.hash, hash);
    assert_eq!(stage.node.push_figures().missing, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_went_or_came_by_the_sequence_is_looked_up() {
    let mut stage = Stage::new(&[], &WAITS).await;
    let waiting = stage.waiting(stage.known().await);
    in_time(async { stage.publisher.is_heard() }).await;
    let hash = stage.generate().await;
    stage.publisher.publish("sequence", &[&written(&hash)[..], b"C"].concat(), 0);
    let notice = is_told(waiting).await;
    assert_eq!(notice.tip.hash, hash);
    let waiting = stage.waiting(notice.tip);
    stage.real.call("invalidateblock", json!([hash_to_text(&hash)])).await;
    stage.publisher.publish("sequence", &[&written(&hash)[..], b"D"].concat(), 1);
    assert_eq!(is_told(waiting).await.tip.height, notice.tip.height - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_when_a_block_is_published() {
    let mut publisher = Publisher::start(&[]);
    let pair = RealPair::start(Mweb::Never).await;
    let params = Program::Litecoind(Mweb::Never).params();
    let ours = address_for_script(&params, &script()).unwrap();
    pair.node.generate(2, &ours).await;
    let way = Way::to(&pair.node.url(), &WAITS, Some(&publisher.address)).await;
    let node = RpcNode::new(&way.url, pair.node.user(), pair.node.password(), params).unwrap();
    let node = Arc::new(node.with_push(Push::Ask));
    let first = node.template(None).await.unwrap();
    let polling = tokio::spawn({
        let (node, id) = (Arc::clone(&node), first.longpoll_id.clone().unwrap());
        async move { node.template(Some(&id)).await.unwrap() }
    });
    in_time(async { publisher.is_heard() }).await;
    publisher.publish("hashblock", &written(&[4; 32]), 0);
    wait_until("it is looked up", async || way.count("getblockheader") > 0).await;
    assert!(!polling.is_finished(), "a block that the node does not know");
    pair.node.generate(1, &ours).await;
    let hash = node.tip().await.unwrap().hash;
    publisher.publish("hashblock", &written(&hash), 1);
    assert_eq!(in_time(polling).await.unwrap().prev_hash, hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_work_in_it_or_another_target_or_another_parent_is_not_believed() {
    let mut stage = Stage::new(&[], &WAITS).await;
    let known = stage.known().await;
    let good = stage.block(b"/ours/").await;
    let target = params();
    let is_met = |header: &[u8]| {
        let bits = u32::from_le_bytes(header[72..76].try_into().unwrap());
        let hash = pow_hash(target.algorithm, header.try_into().unwrap());
        gruve_units::Target::from_compact(bits).unwrap().is_met_by(&hash)
    };
    let search = |mut block: Vec<u8>, wants: bool| {
        while is_met(&block[..80]) != wants {
            block[76] = block[76].checked_add(1).expect("every second nonce meets it");
        }
        block
    };
    let workless = search(good.clone(), false);
    let mut easy = good.clone();
    easy[72..76].copy_from_slice(&0x207f_fffe_u32.to_le_bytes());
    let mut orphan = good.clone();
    orphan[4] ^= 1;
    let lies = [workless, search(easy, true), search(orphan, true)];
    let waiting = stage.waiting(known);
    in_time(async { stage.publisher.is_heard() }).await;
    stage.publisher.publish("rawblock", &good[..80], 7);
    for lie in &lies {
        stage
            .looked("getblockheader", async |stage| stage.publisher.publish("rawblock", lie, 8))
            .await;
        assert!(!waiting.is_finished());
    }
    stage.publisher.publish("rawblock", &good, 9);
    assert_eq!(is_told(waiting).await.tip.hash, sha256d(&good[..80]), "the truth is, afterwards");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_have_the_node_asked_twice_a_second_and_the_true_one_is_taken() {
    let mut stage = Stage::new(&[], &WAITS).await;
    let good = stage.block(b"/ours/").await;
    let waiting = stage.waiting(stage.known().await);
    in_time(async { stage.publisher.is_heard() }).await;
    stage.way.settled("getblockheader").await;
    let (asked, begun) = (stage.way.count("getblockheader"), Instant::now());
    for number in 0..1_000u32 {
        // Of another parent each: nothing that the node knows.
        let mut lie = good.clone();
        lie[4..8].copy_from_slice(&number.to_le_bytes());
        stage.publisher.publish("rawblock", &lie, number);
    }
    stage.publisher.publish("rawblock", &good, 1_000);
    assert_eq!(is_told(waiting).await.tip.hash, sha256d(&good[..80]));
    let looks = stage.way.count("getblockheader") - asked;
    let most = 2 + usize::try_from(begun.elapsed().as_millis()).unwrap() / 500;
    assert!(looks <= most, "{looks} looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_that_has_work_in_it_is_believed_once_and_the_node_is_heard_all_the_same() {
    let mut stage = Stage::new(&[], &[]).await;
    let known = stage.known().await;
    let waiting = stage.waiting(known);
    in_time(async { stage.publisher.is_heard() }).await;
    stage.publisher.publish("rawblock", &stage.block(b"/a lie/").await, 0);
    is_told(waiting).await;
    // The template says otherwise.
    let waiting = stage.waiting(stage.known().await);
    for (number, tag) in [(1, b"/another/"), (2, b"/a third/")] {
        let lie = stage.block(tag).await;
        let publish = async |s: &mut Stage| s.publisher.publish("rawblock", &lie, number);
        stage.looked("getblockheader", publish).await;
        assert!(!waiting.is_finished());
    }
    assert_eq!(stage.generate().await, is_told(waiting).await.tip.hash);
    assert_eq!(stage.node.push_figures().by_header, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_mined_chains_node_is_asked_again_when_it_publishes_a_block() {
    let mut publisher = Publisher::start(&[]);
    let dogecoin = params_for(Asset::Doge, NetworkName::Regtest).unwrap();
    // Nothing is asked of the node for it.
    let node = RpcNode::new("http://127.0.0.1:1", "u", "p", dogecoin).unwrap();
    let node = Arc::new(node.with_push(Push::At(publisher.address.parse().unwrap())));
    let group = Arc::new(AuxGroup::new(vec![("doge".to_owned(), node)]));
    // What was before the connection may be news.
    in_time(group.news()).await;
    in_time(async { publisher.is_heard() }).await;
    let waiting = tokio::spawn({
        let group = Arc::clone(&group);
        async move { group.news().await }
    });
    publisher.publish("sequence", &[&[9; 32][..], b"A", &[0; 8]].concat(), 0);
    publisher.publish("hashblock", &[9; 32], 0);
    in_time(waiting).await.unwrap();
}

/// What a publisher that means harm says to whoever connects.
async fn bad_publisher(says: &'static [&'static [u8]], again: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                for part in says {
                    stream.write_all(part).await.ok()?;
                }
                let flood = says.last().copied().unwrap_or_default().repeat(100);
                if again {
                    loop {
                        stream.write_all(&flood).await.ok()?;
                    }
                }
                // Open, and silent.
                stream.read_to_end(&mut Vec::new()).await.ok()
            });
        }
    });
    address
}

const GREETING: [u8; 64] = {
    let mut all = [0; 64];
    (all[0], all[9], all[10]) = (0xff, 0x7f, 3);
    (all[12], all[13], all[14], all[15]) = (b'N', b'U', b'L', b'L');
    all
};
const READY: &[u8] = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB";
const MESSAGE: &[u8] = b"\x01\x09hashblock\x01\x20\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\
    \x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\0\x04\0\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_dead_stalls_floods_or_talks_nonsense_delays_nothing() {
    let real = RealNode::start(Program::Bitcoind, None).await;
    let ours = address_for_script(&params(), &script()).unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [
        ("dead", format!("tcp://{dead}")),
        ("silent", bad_publisher(&[], false).await),
        ("stalls in its greeting", bad_publisher(&[&[0xff]], false).await),
        ("stalls in a message", bad_publisher(&[&GREETING, READY, b"\x01\x09hash"], false).await),
        (
            "a block without end",
            bad_publisher(&[&GREETING, READY, b"\x01\x08rawblock\x03\0\0\0\0\x01\xf0\0\0"], false)
                .await,
        ),
        ("floods", bad_publisher(&[&GREETING, READY, MESSAGE], true).await),
        (
            "speaks HTTP",
            bad_publisher(&[b"HTTP/1.1 400 Bad Request\r\n\r\n", &[b' '; 64]], false).await,
        ),
    ];
    for (what, address) in cases {
        let node = RpcNode::new(&real.url(), real.user(), real.password(), params()).unwrap();
        let node = Arc::new(node.with_push(Push::At(address.parse().unwrap())));
        let known = node.tip().await.unwrap();
        let waiting = tokio::spawn({
            let node = Arc::clone(&node);
            async move { node.next_tip(&known).await.unwrap().unwrap() }
        });
        if what == "floods" {
            // It is heard, found too loud, and left.
            wait_until("it is heard", async || node.push_figures().is_up).await;
            wait_until("it is left", async || !node.push_figures().is_up).await;
        }
        real.generate(1, &ours).await;
        let told = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        let notice = told.unwrap_or_else(|_| panic!("{what}: not told")).unwrap();
        assert_eq!(notice.tip, node.tip().await.unwrap(), "{what}");
        assert_eq!(node.push_figures().by_header, 0, "{what}");
    }
}
