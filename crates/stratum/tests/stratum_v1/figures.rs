//! What a gateway counts of itself agrees with what miners were told and with its log.

use crate::miner::{class, code};
use crate::node::{FakeNode, House, all_records, soon};
use crate::rounds::{Miner, easy};
use gruve_sharelog::Record;
use gruve_stratum::GatewayFigures;
use gruve_units::SystemClock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn house(dir: &Path, k: u8) -> House {
    let node = FakeNode::new(Arc::new(SystemClock));
    let mut options = easy();
    (options.class_range, options.start_class) = ((class(k), class(k)), class(k));
    House::open_on(node, dir, options)
}

fn count(of: &[(&'static str, u64)], name: &str) -> u64 {
    of.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// The figures once this holds of them.
async fn once(house: &House, what: impl Fn(&GatewayFigures) -> bool) -> GatewayFigures {
    soon(async {
        loop {
            let figures = house.gateway.figures();
            if what(&figures) {
                return figures;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_counted_by_what_their_miners_were_told_and_as_they_stand_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0);
    let mut miner = Miner::ready(house.gateway.address(), "house.m1").await;
    let mut told = BTreeMap::new();
    for n in 0..60u64 {
        let line = match n % 6 {
            0 => miner.submit(n, "gone", n),
            // The one before once more.
            2 => miner.submit(n, &miner.job, n - 1),
            3 => miner.submit(n, &miner.job, n).replace("00000001\"]", "xyz\"]"),
            4 => miner.submit(n, &miner.job, n).replace("house.m1", "house.m2"),
            _ => miner.submit(n, &miner.job, n),
        };
        miner.say(&line).await;
        *told.entry(code(&miner.hear().await)).or_insert(0u64) += 1;
    }
    assert_eq!(told, [(0, 20), (20, 10), (21, 10), (22, 10), (24, 10)].into());
    let figures = once(&house, |f| f.answers.total() == 20).await;
    let logged = all_records(&house.log).iter().filter(|r| matches!(r, Record::Share(_))).count();
    assert_eq!((figures.accepted, logged), (20, 20));
    for (name, expected) in
        [("malformed", 10), ("unknown_job", 10), ("duplicate", 10), ("unauthorised", 10)]
    {
        assert_eq!(count(&figures.refused, name), expected, "{name}");
    }
    assert_eq!(figures.refused.iter().map(|r| r.1).sum::<u64>(), 40);
    let totals = house.gateway.totals();
    assert_eq!((totals.accepted, totals.rejected), (20, 40), "the totals say the same");
    assert_eq!(figures.rounds.sum, 20, "what was refused at once is not hashed");
    assert_eq!(figures.appends.total(), figures.rounds.total());
    assert_eq!((figures.shares_held, figures.hashes_waiting), (20, 0));
    assert!(figures.shares_held_max > 1_000_000);
    assert!(figures.bytes_in > 60 * 90 && figures.bytes_out > 60 * 30);
    assert!(figures.busy.len() == 1 && !figures.busy[0].is_zero());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_below_its_difficulty_is_hashed_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 60);
    let mut miner = Miner::ready(house.gateway.address(), "house.m1").await;
    for n in 0..5u64 {
        let line = miner.submit(n, &miner.job, n);
        miner.say(&line).await;
        assert_eq!(code(&miner.hear().await), 23);
    }
    let figures = once(&house, |f| f.answers.total() == 5).await;
    assert_eq!((count(&figures.refused, "low"), figures.accepted, figures.rounds.sum), (5, 0, 5));
    assert_eq!(figures.appends.total(), 0, "the log was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_logins_and_jobs_are_counted_as_they_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0);
    let address = house.gateway.address();
    let mut miners = Vec::new();
    for n in 0..4 {
        miners.push(Miner::ready(address, &format!("house.m{n}")).await);
    }
    let mut http = Miner::connect(address, "x").await;
    http.say("GET / HTTP/1.1").await;
    drop(miners.pop());
    let figures = once(&house, |f| f.connections[0].now == 3).await;
    assert_eq!((figures.connections[0].kind, figures.connections[0].opened), ("v1", 5));
    assert_eq!(count(&figures.logins, "accepted"), 4);
    assert_eq!((count(&figures.ended, "http"), count(&figures.ended, "peer")), (1, 1));
    let before = figures.jobs_given.total();
    house.node.move_tip(9);
    for miner in &mut miners {
        while miner.hear().await["method"] != "mining.notify" {}
    }
    let figures = once(&house, |f| f.jobs_given.total() > before).await;
    assert!(figures.jobs_given.sum > 0);
    assert_eq!(
        (figures.turned_away.iter().map(|t| t.1).sum::<u64>(), figures.hostile_addresses),
        (0, 0)
    );
}

/// Names are all that a watcher has to go by.
#[tokio::test(flavor = "multi_thread")]
async fn every_reason_that_is_counted_is_explained_to_operators() {
    let dir = tempfile::tempdir().unwrap();
    let figures = house(dir.path(), 0).gateway.figures();
    let page = include_str!("../../../../docs/operators.md");
    let row = |metric: &str| {
        let begin = format!("| `{metric}{{");
        page.lines().find(|l| l.starts_with(&begin)).unwrap_or_else(|| panic!("no {metric}"))
    };
    for (metric, names) in [
        ("gruve_stratum_connections_ended_total", &figures.ended),
        ("gruve_stratum_connections_refused_total", &figures.turned_away),
        ("gruve_stratum_logins_total", &figures.logins),
        ("gruve_stratum_shares_refused_total", &figures.refused),
    ] {
        assert!(!names.is_empty());
        for (name, _) in names {
            assert!(row(metric).contains(&format!("`{name}`")), "{metric}: {name}");
        }
    }
    for connections in &figures.connections {
        let kind = connections.kind;
        assert!(row("gruve_stratum_connections").contains(&format!("`{kind}`")), "{kind}");
    }
}
