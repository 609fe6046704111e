//! What of a statement is no lie and told all the same.

use crate::nothing;
use crate::statement::{Statement, log, sign, statement};
use crate::world::World;
use gruve_proof::verify::{Headers, Options};
use std::collections::BTreeMap;

/// A chain of one block, found at this time; its hash.
fn headers(secs: u32) -> (Options, [u8; 32]) {
    let mut header = [0; 80];
    header[68..72].copy_from_slice(&secs.to_le_bytes());
    let headers = Headers::parse(&header).unwrap();
    let headers = BTreeMap::from([("btc".parse().unwrap(), headers)]);
    (Options { headers, ..Options::default() }, gruve_pow::sha256d(&header))
}

#[test]
fn coins_that_stood_there_long_ago_are_told() {
    // Whoever has the keys of coins that were spent since can sign for a block of before for ever.
    const FOUND: u32 = 1_000_000;
    let (options, block) = headers(FOUND);
    for (after, is_old) in [(86_400, false), (86_401, true)] {
        let mut w = World::honest();
        let mut s = statement(&w, 1);
        s.reserves.assets[0].block = block;
        s.entry.at_us = (u64::from(FOUND) + after) * 1_000_000;
        sign(&mut s);
        log(&mut w, &mut s);
        let verdict = w.publish().verify(&options).unwrap();
        let said = "BTC: the reserves of statement 1 of 1970-01-13";
        let is_told = verdict.remarks.iter().any(|r| r.starts_with(said));
        assert_eq!(is_told, is_old, "{verdict}");
        let asset = &verdict.funds.unwrap().assets[0];
        assert_eq!(asset.block_secs, Some(FOUND.into()));
        assert_eq!(hex::decode(&asset.block).unwrap().into_iter().rev().collect::<Vec<_>>(), block);
    }
}

#[test]
fn a_statement_of_long_before_it_was_published_is_told() {
    // Epoch 200 of ten minutes ends then.
    const ENDED: u64 = 201 * 600;
    for (before, is_late) in [(86_400, false), (86_401, true)] {
        let mut w = World::honest();
        let closing = w.epoch(200);
        w.close(&closing);
        let mut s = statement(&w, 1);
        s.entry.at_us = (ENDED - before) * 1_000_000;
        sign(&mut s);
        log(&mut w, &mut s);
        // What comes after it is no matter.
        let closing = w.epoch(900);
        w.close(&closing);
        let verdict = w.publish().verify(&Options::default()).unwrap();
        let said = "behind an epoch that ended 1970-01-02 09:30:00 UTC";
        let is_told = verdict.remarks.iter().any(|r| r.contains(said));
        assert_eq!(is_told, is_late, "{verdict}");
    }
}

/// What is remarked on of two statements, the second of which somebody changed, so many seconds later.
fn second_after(secs: u64, change: impl Fn(&mut Statement)) -> Vec<String> {
    let mut w = World::honest();
    for number in 1..3 {
        let mut s = statement(&w, number);
        s.entry.at_us = (number - 1) * secs * 1_000_000;
        if number == 2 {
            change(&mut s);
        }
        sign(&mut s);
        log(&mut w, &mut s);
        let closing = w.epoch(12 + number);
        w.close(&closing);
    }
    // Whoever has read it before reads no more of it than he must.
    let from_entry = w.entries.len() as u64;
    let verdict = w.publish().verify(&Options { from_entry, ..Options::default() }).unwrap();
    verdict.remarks.into_iter().filter(|r| r.contains("statement 2")).collect()
}

#[test]
fn a_statement_of_the_block_of_the_one_before_or_without_its_asset_is_told() {
    let at = |height: u64| move |s: &mut Statement| s.reserves.assets[0].height = height;
    let later = |s: &mut Statement| s.reserves.assets[1].height = 901;
    let both = |height: u64| {
        move |s: &mut Statement| {
            at(height)(s);
            later(s);
        }
    };
    assert_eq!(second_after(86_401, both(901)), [""; 0]);
    assert_eq!(second_after(86_400, nothing), [""; 0], "within a day");
    for height in [900, 1] {
        let told = second_after(86_401, both(height));
        assert!(
            told.len() == 1 && told[0].contains(&format!("stood at block {height}")),
            "{told:?}"
        );
    }
    assert_eq!(second_after(86_401, nothing).len(), 2, "both assets");
    // Coins are not shown any more, though something was owed.
    let gone = second_after(1, |s| {
        s.entry.assets.remove(0);
        s.reserves.assets.remove(0);
    });
    assert!(
        gone.len() == 1 && gone[0].starts_with("BTC: statement 2 says nothing of it"),
        "{gone:?}"
    );
}
