//! How hard the next block is, seen from outside.

use crate::devchain_support::{Bench, Key, solve, unsolved};
use bitcoin::ScriptBuf;
use gruve_chain::devchain::DevParams;
use gruve_units::{Algorithm, Asset, Duration, Hashes};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

fn bench(work: u128) -> Bench {
    Bench::new(DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(work)))
}

fn late(bench: &Bench, spacings: u32) {
    bench.clock.advance(Duration::from_secs(u64::from(bench.params.spacing_secs * spacings)));
}

fn expected_hashes(template: &Value) -> u128 {
    let bits = u32::from_str_radix(template["bits"].as_str().unwrap(), 16).unwrap();
    gruve_units::Target::from_compact(bits).unwrap().expected_hashes().0
}

#[test]
fn the_first_block_after_the_premine_takes_the_work_asked_for() {
    for work in [1_000u128, 1 << 20, 1 << 40] {
        let template = bench(work).template();
        let found = expected_hashes(&template);
        assert!(found >= work && found - work <= work / 1_000, "{found} for {work}");
    }
}

#[test]
fn a_late_block_may_be_easier_and_need_not_be() {
    let bench = bench(256);
    let key = Key::new(1);
    let hard = bench.template();
    // The premine's last block is one spacing old.
    late(&bench, 9);
    let easy = bench.template();
    assert_eq!(expected_hashes(&hard) / expected_hashes(&easy), 32, "at 6, 7, 8, 9, 10");
    assert!(easy["mintime"].as_u64().unwrap() <= easy["curtime"].as_u64().unwrap());
    // Too early for its bits, by one second.
    let mut early = unsolved(&easy, &key.wpkh(), Vec::new());
    early.header.time = u32::try_from(easy["mintime"].as_u64().unwrap()).unwrap() - 1;
    solve(&mut early, &bench.params);
    assert_eq!(bench.submit(&early).as_deref(), Some("bad-diffbits"));
    // The harder job of an earlier template, its time rolled on, is as good as before.
    let mut rolled = unsolved(&hard, &key.wpkh(), Vec::new());
    rolled.header.time = u32::try_from(easy["curtime"].as_u64().unwrap()).unwrap();
    solve(&mut rolled, &bench.params);
    assert_eq!(bench.submit(&rolled), None);
}

#[test]
fn a_chain_left_for_days_at_any_difficulty_goes_on() {
    let bench = bench(1 << 60);
    late(&bench, 10_000);
    let own = bench.get("getnewaddress", json!([]));
    let before = bench.chain.height();
    bench.get("generatetoaddress", json!([1, own]));
    assert_eq!(bench.chain.height(), before + 1);
    // One easy block, and the next is hard again.
    assert!(expected_hashes(&bench.template()) > 1 << 57);
}

#[tokio::test]
async fn a_long_poll_answers_when_the_block_has_become_easier() {
    let bench = bench(1 << 30);
    let first = bench.template();
    let request = json!([{ "rules": ["segwit"], "longpollid": first["longpollid"] }]);
    let waiting = bench.chain.call_waiting("getblocktemplate", request);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    late(&bench, 7);
    let second = tokio::time::timeout(DEADLINE, waiting).await.unwrap().unwrap();
    assert!(expected_hashes(&second) < expected_hashes(&first));
}

#[test]
fn the_spacing_is_kept_by_the_blocks_themselves() {
    // A miner that finds every block exactly on time leaves the difficulty where it is.
    let bench = bench(64);
    let to = ScriptBuf::from_bytes(vec![0x51]);
    late(&bench, 1);
    bench.mine(&to, &[]);
    late(&bench, 1);
    bench.mine(&to, &[]);
    let before = expected_hashes(&bench.template());
    for _ in 0..20 {
        late(&bench, 1);
        bench.mine(&to, &[]);
    }
    let after = expected_hashes(&bench.template());
    assert!(after.abs_diff(before) <= 1, "{before} {after}");
}
