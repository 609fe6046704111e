//! `kill -9` while shares are being accepted: what was accepted is in the log.

use crate::gateway::{connect, mine, next_job};
use crate::node::{FakeNode, House, all_records, gateway_options, soon};
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_units::SystemClock;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

const CHILD_DIR: &str = "GRUVE_TEST_KILL_DIR";

/// The process that is killed: this test's own binary, asked to run only this. Without the variable
/// it is no test.
#[test]
fn child_gateway() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // No block by chance: it would make the rest of the shares stale.
        let node = FakeNode::new(Arc::new(SystemClock));
        let house = House::open_on(node, dir.as_ref(), gateway_options());
        println!("listening on {}", house.gateway.address());
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn no_accepted_share_is_lost_when_the_gateway_is_killed() {
    for round in 0..3u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_gateway", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept open: a child that cannot print would end by itself.
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said
            .find_map(|l| l.unwrap().split_once("listening on ").map(|(_, a)| a.to_owned()))
            .unwrap();
        let (client, mut events) = connect(address.parse().unwrap(), "house.m1").await;
        let job = next_job(&mut events).await;
        let nonces = mine(&job, round, 16 * 2000);
        let enough = 20 + 37 * round;
        // Many under way at once; the axe falls in the middle.
        let mut under_way = tokio::task::JoinSet::new();
        let mut accepted = Vec::new();
        let mut queue = nonces.into_iter();
        loop {
            while under_way.len() < 16
                && let Some(nonce) = queue.next()
            {
                let (client, job) = (client.clone(), job.clone());
                under_way.spawn(async move {
                    let en2 = round.to_be_bytes();
                    let reply = client.submit(&job.id, &en2, job.ntime, nonce, None).await;
                    (nonce, reply.is_ok_and(|r| r.is_accepted()))
                });
            }
            let Some(done) = soon(under_way.join_next()).await else { break };
            let (nonce, is_accepted) = done.unwrap();
            if is_accepted {
                accepted.push(nonce);
            }
            if accepted.len() as u64 == enough {
                child.kill().unwrap();
                queue = Vec::new().into_iter();
            }
        }
        child.kill().unwrap();
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        assert!(accepted.len() as u64 >= enough);
        drop(said);
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let written: std::collections::HashSet<u32> = all_records(&log)
            .into_iter()
            .filter_map(|r| if let Record::Share(s) = r { Some(s.nonce) } else { None })
            .collect();
        for nonce in &accepted {
            assert!(written.contains(nonce), "{nonce:08x} was accepted and is gone");
        }
        // And the next life goes on with it.
        drop(log);
        let house = House::open(dir.path());
        let (_client, mut events) = connect(house.gateway.address(), "house.m1").await;
        let next = next_job(&mut events).await;
        // Extranonces may come again in it; jobs' numbers, which stand in the coinbase, may not.
        assert!(next.id[..16] > job.id[..16], "{} after {}", next.id, job.id);
        assert_ne!(next.coinbase_prefix, job.coinbase_prefix);
        soon(house.gateway.shutdown()).await;
        soon(house.work.stop()).await;
    }
}
