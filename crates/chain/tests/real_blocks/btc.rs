//! `bitcoind`.

use crate::locks::{Coin, Lock};
use crate::mine::Mine;
use crate::real_node::{Program, RealNode};
use crate::traffic::Traffic;

/// Blocks of ours.
const ROUNDS: u64 = 150;
/// Their spacing: lock times have days to pass.
const SPACING_SECS: u64 = 600;
/// What a transaction of the chains has to pay at least: 110 bytes at the node's 100 a thousand.
const LEAST_FEE: u64 = 12;

/// The locks of a round's coinbase: three of them, all in turns.
fn payees(round: u64) -> [Lock; 3] {
    [0, 1, 2].map(|n| Lock::USUAL[usize::try_from(3 * round + n).unwrap() % Lock::USUAL.len()])
}

#[tokio::test]
async fn a_hundred_and_fifty_blocks_of_ours_with_all_usual_transactions_are_taken() {
    let real = RealNode::start_with(Program::Bitcoind, None, &["-maxmempool=50"]).await;
    let mut mine = Mine::new(Program::Bitcoind, real);
    let begin = 1_800_000_000;
    mine.set_time(begin).await;
    mine.generate(101).await;
    let (mut traffic, mut coinbases) = (Traffic::default(), Vec::<Vec<Coin>>::new());
    let (mut heaviest, mut most_txs) = (0, 0);
    for round in 0..ROUNDS {
        mine.set_time(begin + (round + 1) * SPACING_SECS).await;
        // The coins of the coinbase that is just old enough: first the node's, then ours.
        let matured = match round.checked_sub(101) {
            None => vec![mine.coinbase(round + 1).await],
            Some(ours) => coinbases[usize::try_from(ours).unwrap()].clone(),
        };
        traffic.usual(&mut mine, &matured, &Lock::USUAL).await;
        let height = u32::try_from(102 + round).unwrap();
        match round {
            60 => traffic.large_witnesses(&mut mine, &[388_000; 10]).await,
            90 => traffic.sigops(&mut mine, 6).await,
            _ => match round % 10 {
                2 => traffic.replacement(&mut mine).await,
                3 => traffic.chain(&mut mine, LEAST_FEE).await,
                4 => traffic.anchored(&mut mine).await,
                5 if round < 130 => {
                    let header = mine.real.call("getblockchaininfo", serde_json::json!([])).await;
                    let time = u32::try_from(header["mediantime"].as_u64().unwrap()).unwrap();
                    traffic.timelocks(&mut mine, height, Some(time)).await;
                }
                6 => traffic.data(&mut mine, &[80]).await,
                7 => traffic.data(&mut mine, &[0, 83, 20_000]).await,
                _ => {}
            },
        }
        let mined = match round {
            90 => mine.mine_some(&payees(round)).await,
            _ => mine.mine(&payees(round)).await,
        };
        if round == 90 {
            let sigops: usize = mined.txs().iter().map(|tx| tx.total_sigop_cost(|_| None)).sum();
            assert!((70_000..=79_600).contains(&sigops), "{sigops} signature operations");
            assert_eq!(mine.expected.len(), 1, "one more does not fit");
        }
        traffic.confirm();
        assert_eq!(mined.at.height, u64::from(height));
        heaviest = heaviest.max(mined.weight());
        most_txs = most_txs.max(mined.job.template().txs.len());
        coinbases.push(mined.coins);
    }
    assert_eq!(mine.node_height().await, 101 + ROUNDS);
    assert!(traffic.is_done(), "all locks have opened");
    assert!(traffic.too_early > 100, "refused before their time: {}", traffic.too_early);
    assert!(heaviest > 3_880_000, "the heaviest block weighed {heaviest}");
    assert!(most_txs > 25, "at most {most_txs} transactions");
    for lock in Lock::USUAL {
        assert!(traffic.opened.contains(&lock), "no {lock:?} was spent");
    }
}
