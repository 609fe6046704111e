//! Statements of funds in a public record: honest ones hold, each lie is named.
#![allow(clippy::unwrap_used)]

#[path = "world/statement.rs"]
mod statement;
#[path = "funds/told.rs"]
mod told;
mod world;

use ed25519_dalek::SigningKey;
use gruve_proof::funds::{AssetFunds, OwedError, OwedProof, OwedSibling};
use gruve_proof::liabilities::{self, Of, Owed, Whose};
use gruve_proof::logged::Logged;
use gruve_proof::note::NoteKey;
use gruve_proof::publish::data_path;
use gruve_proof::reserves::{AssetReserves, Coin, Holding, Reserves};
use gruve_proof::verify::{Options, VerifyError};
use gruve_proof::witness::{self, WitnessKey};
use statement::{SECRET, Statement, address, coin, customer, log, sign, statement};
use std::io::Cursor;
use world::{Files, ORIGIN, World};

/// An honest world with a statement that was changed before it was signed, and after.
fn lie_of(before: impl Fn(&mut Statement), after: impl Fn(&mut Statement)) -> String {
    let mut w = World::honest();
    let mut s = statement(&w, 1);
    before(&mut s);
    sign(&mut s);
    after(&mut s);
    log(&mut w, &mut s);
    w.publish().lie(&Options::default())
}

fn nothing(_: &mut Statement) {}

/// The account once more, under another asset's name, at this block.
fn account_again(s: &mut Statement, block: [u8; 32]) {
    let again = AssetReserves { asset: "ETX".into(), block, ..s.reserves.assets[1].clone() };
    s.reserves.assets.push(again);
    let again = AssetFunds { asset: "ETX".into(), ..s.entry.assets[1].clone() };
    s.entry.assets.insert(2, again);
}

#[test]
fn an_honest_statement_holds_and_says_what_is_owed_and_shown() {
    let mut w = World::honest();
    for number in 1..3 {
        let mut s = statement(&w, number);
        sign(&mut s);
        log(&mut w, &mut s);
    }
    let closing = w.epoch(13);
    w.close(&closing);
    let verdict = w.publish().verify(&Options::default()).unwrap();
    let funds = verdict.funds.clone().unwrap();
    assert_eq!(funds.statement, 2);
    let said: Vec<_> =
        funds.assets.iter().map(|a| (a.asset.as_str(), a.owed, a.reserves, a.holdings)).collect();
    assert_eq!(said, [("BTC", 600, 700, 3), ("ETC", 50, 60, 1), ("EUR", 50, 0, 0)]);
    assert!(verdict.not_proven.iter().any(|w| w.starts_with("EUR: that there is money")));
    assert!(!verdict.remarks.iter().any(|r| r.contains("missing")), "{:?}", verdict.remarks);
}

#[test]
fn less_shown_than_owed_is_said() {
    let mut w = World::honest();
    let mut s = statement(&w, 1);
    s.reserves.assets[0].holders.retain(|h| h.of == address(1).script_pubkey().as_bytes());
    s.entry.assets[0].reserves = 300;
    sign(&mut s);
    log(&mut w, &mut s);
    let verdict = w.publish().verify(&Options::default()).unwrap();
    let said = "BTC: 600 minor units are owed and 300 are shown: 300 are missing";
    assert!(verdict.remarks.iter().any(|r| r == said), "{:?}", verdict.remarks);
}

#[test]
fn every_lie_about_reserves_is_named() {
    assert_eq!(lie_of(nothing, nothing), "none");
    // The signature of another statement of the same holdings, and of another log.
    let replayed = |s: &mut Statement| {
        s.reserves.statement = 1;
        s.entry.statement = 1;
    };
    assert_eq!(lie_of(|s| s.reserves.statement = 9, replayed), "reserves");
    assert_eq!(lie_of(|s| s.reserves.statement = 9, nothing), "reserves", "of another statement");
    let elsewhere = |s: &mut Statement| s.reserves.head_root = [9; 32];
    assert_eq!(lie_of(elsewhere, nothing), "reserves-head");
    let later = |s: &mut Statement| s.reserves.head_size += 7;
    assert_eq!(lie_of(later, nothing), "reserves-head");
    // More than is there, in the entry, in a coin, in an account.
    assert_eq!(lie_of(|s| s.entry.assets[0].reserves += 1, nothing), "reserves");
    let fatter = |s: &mut Statement| {
        s.entry.assets[1].reserves += 1;
        s.reserves.assets[1].holders[0].holding = Holding::Account(61);
    };
    assert_eq!(lie_of(fatter, nothing), "none", "the balance is to be asked of a node");
    assert_eq!(lie_of(nothing, fatter), "reserves");
    // A coin under two scripts; a script twice; one that nobody has signed for.
    let twice = |s: &mut Statement| {
        for h in &mut s.reserves.assets[0].holders {
            h.holding = Holding::Coins(vec![coin(1, 350)]);
        }
    };
    assert_eq!(lie_of(twice, nothing), "reserves");
    let in_two_assets = |s: &mut Statement| {
        let again = AssetReserves { asset: "BTX".into(), ..s.reserves.assets[0].clone() };
        s.reserves.assets.insert(1, again);
        let again = AssetFunds { asset: "BTX".into(), ..s.entry.assets[0].clone() };
        s.entry.assets.insert(1, again);
    };
    assert_eq!(lie_of(in_two_assets, nothing), "reserves");
    assert_eq!(lie_of(|s| account_again(s, [7; 32]), nothing), "reserves");
    assert_eq!(lie_of(|s| account_again(s, [8; 32]), nothing), "none", "of another chain");
    let doubled = |s: &mut Statement| {
        let first = s.reserves.assets[0].holders[0].clone();
        s.reserves.assets[0].holders.insert(0, first);
    };
    assert_eq!(lie_of(nothing, doubled), "reserves-malformed");
    let unsigned = |s: &mut Statement| s.reserves.assets[0].holders[1].signature.clear();
    assert_eq!(lie_of(nothing, unsigned), "reserves");
    let swapped = |s: &mut Statement| {
        let first = s.reserves.assets[0].holders[0].signature.clone();
        s.reserves.assets[0].holders[1].signature = first;
    };
    assert_eq!(lie_of(nothing, swapped), "reserves");
    // An asset left out of the reserves, or shown for one that has none.
    assert_eq!(lie_of(|s| drop(s.reserves.assets.pop()), nothing), "reserves");
    let renamed = |s: &mut Statement| s.reserves.assets[0].asset = "BTA".into();
    assert_eq!(lie_of(renamed, nothing), "reserves", "of an asset of another name");
    assert_eq!(lie_of(|s| s.entry.assets[2].reserves = 5, nothing), "entry-malformed");
    let of_nothing = |s: &mut Statement| {
        s.entry.assets.clear();
        s.reserves.assets.clear();
    };
    assert_eq!(lie_of(of_nothing, nothing), "entry-malformed");
    for name in ["", "A C", &"A".repeat(33)] {
        let strange = |s: &mut Statement| {
            s.entry.assets[0].asset = name.into();
            s.reserves.assets[0].asset = name.into();
        };
        assert_eq!(lie_of(nothing, strange), "entry-malformed", "{name:?}");
    }
    assert_eq!(lie_of(|s| s.entry.assets.swap(0, 1), nothing), "entry-malformed");
    assert_eq!(lie_of(|s| s.entry.assets[0].leaves += 1, nothing), "entry-malformed");
    assert_eq!(
        lie_of(|s| s.entry.assets[0].leaves = 32, nothing),
        "entry-malformed",
        "fewer than 64"
    );
    // Numbers and time.
    assert_eq!(lie_of(|s| s.entry.statement = 2, nothing), "funds-order");
    let mut w = World::honest();
    for number in 1..3 {
        let mut s = statement(&w, number);
        s.entry.at_us = 10_000 - number;
        sign(&mut s);
        log(&mut w, &mut s);
    }
    assert_eq!(w.publish().lie(&Options::default()), "funds-order");
}

#[test]
fn a_file_of_reserves_has_one_form_and_keeps_its_limits() {
    let w = World::honest();
    let refused = |change: &dyn Fn(&mut Reserves)| {
        let mut s = statement(&w, 1);
        sign(&mut s);
        assert!(Reserves::parse(&s.reserves.to_bytes()).is_ok());
        change(&mut s.reserves);
        Reserves::parse(&s.reserves.to_bytes()).unwrap_err().to_string()
    };
    let coins = |r: &mut Reserves, coins: Vec<Coin>| {
        r.assets[0].holders[0].holding = Holding::Coins(coins);
    };
    for bad in [vec![coin(2, 1), coin(1, 1)], vec![coin(1, 1), coin(1, 1)]] {
        assert_eq!(refused(&|r| coins(r, bad.clone())), "coins that do not ascend");
    }
    assert_eq!(refused(&|r| coins(r, Vec::new())), "a holder of nothing, or of too much");
    let holder = |r: &mut Reserves, asset: usize, bytes: usize| {
        r.assets[asset].holders[0].of = vec![0; bytes];
    };
    for (asset, bytes) in [(0, 0), (0, 76), (1, 19), (1, 21)] {
        let said = refused(&|r| holder(r, asset, bytes));
        assert_eq!(said, "a holder of another size", "{asset}: {bytes}");
    }
    let signature = "A".repeat(gruve_proof::bip322::SIGNATURE_CHARS_MAX + 1);
    let said = refused(&|r| r.assets[0].holders[0].signature.clone_from(&signature));
    assert_eq!(said, "a signature that is too long");
    assert_eq!(refused(&|r| r.assets.reverse()), "assets that do not ascend");
    assert_eq!(refused(&|r| r.assets.insert(0, r.assets[0].clone())), "assets that do not ascend");
    // Counts that no file of this length can bear out.
    let mut s = statement(&w, 1);
    sign(&mut s);
    let bytes = s.reserves.to_bytes();
    let holders_at = 8 + 8 + 8 + 32 + 1 + (1 + 3) + 1 + 8 + 32;
    let script = s.reserves.assets[0].holders[0].of.len();
    let signed = s.reserves.assets[0].holders[0].signature.len();
    let coins_at = holders_at + 4 + 1 + script + 2 + signed;
    for (at, what) in
        [(holders_at, "too many holders"), (coins_at, "a holder of nothing, or of too much")]
    {
        let mut absurd = bytes.clone();
        assert_eq!(absurd[at..at + 3], [0; 3], "a small count");
        absurd[at..at + 4].fill(0xff);
        assert_eq!(Reserves::parse(&absurd).unwrap_err().to_string(), what);
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Reserves::parse(&longer).is_err());
    longer.resize(gruve_proof::reserves::FILE_MAX + 1, 0);
    assert_eq!(Reserves::parse(&longer).unwrap_err().to_string(), "a file that is too long");
}

#[test]
fn no_changed_bit_of_a_file_of_reserves_is_taken() {
    let mut w = World::honest();
    let mut s = statement(&w, 1);
    sign(&mut s);
    log(&mut w, &mut s);
    let files = w.publish();
    let path = data_path(&s.entry.reserves.hash);
    let bytes = files.0[&path].clone();
    assert!(Reserves::parse(&bytes).unwrap().check(ORIGIN, &s.entry).is_ok());
    // Even when its hash is not asked: form, sums and signatures find every one.
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let Ok(parsed) = Reserves::parse(&changed) else { continue };
        let head = (parsed.head_size, parsed.head_root);
        let is_good = head == (s.reserves.head_size, s.reserves.head_root)
            && parsed.check(ORIGIN, &s.entry).is_ok();
        // Hex has two cases.
        let is_case = parsed.assets.iter().zip(&s.reserves.assets).all(|(a, b)| {
            a.holders
                .iter()
                .zip(&b.holders)
                .all(|(a, b)| a.signature.eq_ignore_ascii_case(&b.signature))
        });
        assert!(!is_good || (is_case && parsed != s.reserves), "bit {at}");
    }
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut files = files.clone();
        files.0.get_mut(&path).unwrap()[at] ^= 4;
        assert_eq!(files.lie(&Options::default()), "file-altered");
    }
    let mut files = files;
    files.0.remove(&path);
    assert_eq!(files.lie(&Options::default()), "reserves-missing");
}

fn proof(w: &World, s: &Statement, n: u8) -> OwedProof {
    let of = Of { statement: 1, asset: "BTC" };
    let salt = of.salt(&SECRET, &Whose::Customer(customer(n)));
    let found = liabilities::find(&mut Cursor::new(&s.owed.kept), &of, &salt, customer(n))
        .unwrap()
        .unwrap();
    let (leaves, place) = (w.leaves(), w.entries.len() - 1);
    let note = w.checkpoint().sign(&w.key);
    OwedProof {
        version: 1,
        statement: 1,
        asset: "BTC".into(),
        account: customer(n),
        salt,
        owed: found.owed,
        leaf_index: found.index,
        owed_proof: found.proof.iter().map(|n| OwedSibling { sum: n.sum, hash: n.hash }).collect(),
        logged: Logged::new(&leaves, place as u64, &w.entries[place], &note).unwrap(),
    }
}

#[test]
fn a_customer_proves_that_he_is_counted_and_with_how_much() {
    let mut w = World::honest();
    let mut s = statement(&w, 1);
    sign(&mut s);
    log(&mut w, &mut s);
    let own = NoteKey::new(ORIGIN, w.key.verifying_key().to_bytes()).unwrap();
    let good = proof(&w, &s, 2);
    let text = serde_json::to_string(&good).unwrap();
    let good: OwedProof = serde_json::from_str(&text).unwrap();
    let files = w.publish();
    let verdict = files.verify(&Options::default()).unwrap();
    let mut checker = verdict.receipts();
    assert_eq!(checker.check_owed(&good).unwrap().all, 600);
    // The name of the lie, of a proof that does not hold and of one under a head of nobody's.
    let mut owed = |proof: &OwedProof| match checker.check_owed(proof) {
        Err(VerifyError::Lie(lie)) => lie.name,
        other => panic!("{other:?}"),
    };
    assert_eq!(owed(&OwedProof { account: customer(3), ..good.clone() }), "owed");
    let mut of_nobody = good.clone();
    of_nobody.logged.checkpoint = w.checkpoint().sign(&SigningKey::from_bytes(&[3; 32]));
    assert_eq!(owed(&of_nobody), "owed");
    let shown = good.check(&own).unwrap();
    assert_eq!((shown.all, shown.statement.statement, good.owed.available), (600, 1, 200));
    assert!(text.len() < 4_096, "{} bytes", text.len());
    let not_counted = [
        OwedProof { account: customer(3), ..good.clone() },
        OwedProof { owed: Owed { available: 199, held: 1, ..good.owed }, ..good.clone() },
        OwedProof { owed: Owed { available: 100, ..good.owed }, ..good.clone() },
        OwedProof { salt: [0; 32], ..good.clone() },
        OwedProof { leaf_index: good.leaf_index ^ 1, ..good.clone() },
        OwedProof { asset: "ETC".into(), ..good.clone() },
    ];
    let second = |proof: &OwedProof| {
        files.second_with(&[("owed.json", &serde_json::to_vec(proof).unwrap())])
    };
    assert!(second(&good).contains("1 receipts hold"), "{}", second(&good));
    for (n, bad) in not_counted.iter().enumerate() {
        assert_eq!(bad.check(&own).unwrap_err(), OwedError::NotCounted, "{n}");
        let said = second(bad);
        assert!(said.starts_with("no receipt: the account is not counted"), "{n}: {said}");
    }
    let mut tall = good.clone();
    tall.owed_proof = vec![tall.owed_proof[0].clone(); 65];
    for (bad, what) in [
        (OwedProof { version: 2, ..good.clone() }, "version or proof"),
        (tall, "version or proof"),
        (OwedProof { statement: 2, ..good.clone() }, "statement"),
    ] {
        assert_eq!(bad.check(&own).unwrap_err(), OwedError::Malformed(what));
    }
    let mut cut = good.clone();
    cut.owed_proof.pop();
    assert_eq!(cut.check(&own).unwrap_err(), OwedError::NotCounted);
    let mut negative = good.clone();
    negative.owed_proof[0].sum = u128::MAX;
    assert_eq!(negative.check(&own).unwrap_err(), OwedError::NotCounted);
    let mut moved = good.clone();
    moved.logged.entry_index -= 1;
    assert!(matches!(moved.check(&own).unwrap_err(), OwedError::Logged(_)));
    let stranger = NoteKey::new(ORIGIN, [1; 32]).unwrap();
    assert!(matches!(good.check(&stranger).unwrap_err(), OwedError::Logged(_)));
}

#[test]
fn witnesses_that_are_named_must_have_signed_and_well() {
    let w = World::honest();
    let mut files = w.publish();
    let note = String::from_utf8(files.0["checkpoint"].clone()).unwrap();
    let (one, two) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let named = |key: &SigningKey| {
        WitnessKey::new("witness.example", key.verifying_key().to_bytes()).unwrap()
    };
    let options = |witnesses: Vec<WitnessKey>, witnesses_min| Options {
        witnesses,
        witnesses_min,
        ..Options::default()
    };
    let wanted = options(vec![named(&one)], 1);
    assert_eq!(files.lie(&wanted), "witnesses-missing");
    let line = witness::cosign(&note, "witness.example", &one, 1_700_000_000).unwrap();
    files.0.insert("checkpoint".into(), format!("{note}{line}").into_bytes());
    let verdict = files.verify(&wanted).unwrap();
    assert_eq!(verdict.witnessed[0].time, 1_700_000_000);
    assert_eq!(files.lie(&options(vec![named(&one), named(&two)], 2)), "witnesses-missing");
    assert_eq!(files.lie(&options(vec![named(&one), named(&two)], 1)), "none");
    // A line in the witness's name and with its key's id, that it has not signed.
    let other = note.replace("\n3\n", "\n9\n").replace("\n4\n", "\n9\n");
    let forged = witness::cosign(&other, "witness.example", &one, 1_700_000_000).unwrap();
    files.0.insert("checkpoint".into(), format!("{note}{forged}").into_bytes());
    assert_eq!(files.lie(&wanted), "witness-forged");
}

/// What ours calls a lie, and words of what the second verifier says.
fn told(lie: &str, second: &str, files: &Files) {
    assert_eq!(files.lie(&Options::default()), lie);
    let said = files.second();
    assert!(said.starts_with("no ") && said.contains(second), "not {second:?}: {said}");
}

/// A statement that was changed when it was signed already.
fn changed(change: fn(&mut Statement)) -> Files {
    let mut w = World::honest();
    let mut s = statement(&w, 1);
    sign(&mut s);
    change(&mut s);
    log(&mut w, &mut s);
    w.publish()
}

#[test]
fn the_second_verifier_takes_an_honest_statement_and_no_other_sum_order_or_history() {
    let honest = changed(|_| ());
    let said = honest.second();
    assert!(said.starts_with("yes"), "{said}");
    told("entry-malformed", "no power of two", &changed(|s| s.entry.assets[0].leaves = 32));
    told("entry-malformed", "assets out of order", &changed(|s| s.entry.assets.swap(0, 1)));
    told("funds-order", "not the next number", &changed(|s| s.entry.statement = 2));
    let more = changed(|s| s.entry.assets[0].reserves += 1);
    told("reserves", "is not what the entry says", &more);
    told("reserves", "not the assets", &changed(|s| drop(s.reserves.assets.pop())));
    told("reserves", "shown twice at one block", &changed(|s| account_again(s, [7; 32])));
    let elsewhere = changed(|s| s.reserves.head_root = [9; 32]);
    told("reserves-head", "not that of a beginning of this log", &elsewhere);
    let reversed = changed(|s| s.reserves.assets[0].holders.reverse());
    told("reserves-malformed", "holders out of order", &reversed);
    let mut without = honest;
    let file = without.0.iter().find(|(_, bytes)| bytes.starts_with(b"GRUVRSV1")).unwrap();
    let name = file.0.clone();
    without.0.remove(&name);
    told("reserves-missing", "cannot be read", &without);
}

#[test]
fn a_statement_of_a_time_that_has_not_come() {
    let now = 30_000_000_000;
    let slack = 2 * 3_600 * 1_000_000;
    for (at_us, said) in [(now + slack, "none"), (now + slack + 1, "not-yet")] {
        let mut w = World::honest();
        let mut s = statement(&w, 1);
        s.entry.at_us = at_us;
        sign(&mut s);
        log(&mut w, &mut s);
        let files = w.publish();
        assert_eq!(files.lie(&Options { now_us: Some(now), ..Options::default() }), said);
        assert_eq!(files.lie(&Options::default()), "none", "without a clock");
    }
}

#[test]
fn reserves_signed_for_statements_to_come() {
    // Both are signed at one time, with the coins of that hour, and published one after the other.
    let mut w = World::honest();
    let mut both = [statement(&w, 1), statement(&w, 2)];
    both.iter_mut().for_each(sign);
    log(&mut w, &mut both[0]);
    let closing = w.epoch(13);
    w.close(&closing);
    log(&mut w, &mut both[1]);
    let files = w.publish();
    assert_eq!(files.lie(&Options::default()), "reserves-head");
    let said = files.second();
    assert!(said.contains("signed before the statement before was in the log"), "{said}");
}
