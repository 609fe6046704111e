//! Random input made from real input: mutated bytes and shuffled sequences, by fixed seeds, so that
//! what fails once fails again. `GRUVE_LONG=1` runs each for an hour instead of its rounds.

use crate::miner::{EN2, HARD, Miner, job, template};
use gruve_stratum::protocol::{Protocol as _, Round, Step};
use gruve_stratum::proxy::{self, ProxyHeader};
use gruve_stratum::{limits, v2};
use gruve_units::{Duration, Entropy as _, SeededEntropy};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

const LONG: std::time::Duration = std::time::Duration::from_secs(3600);

/// Random choices of one case.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % n.max(1) as u64).unwrap()
    }

    fn pick<'a, T: ?Sized>(&self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Cuts, doubles, flips, replaces and splices until it is something else.
    fn mutate(&self, bytes: &mut Vec<u8>, words: &[&[u8]]) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(7) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => bytes[at] = self.below(256).to_le_bytes()[0],
                3 if at < bytes.len() => drop(bytes.remove(at)),
                4 => bytes.insert(at, self.below(256).to_le_bytes()[0]),
                5 => {
                    let word = self.pick(words);
                    bytes.splice(at..at, word.iter().copied());
                }
                _ => {
                    let to = at + self.below(bytes.len() - at.min(bytes.len()) + 1);
                    let piece = bytes[at..to.min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes.truncate(64 << 10);
    }
}

/// Runs cases by their seeds.
fn cases(rounds: u64, case: impl Fn(Dice)) {
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    let start = Instant::now();
    let mut seed = 0;
    while if is_long { start.elapsed() < LONG } else { seed < rounds } {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            case(Dice(SeededEntropy::new(seed)));
        }));
        assert!(outcome.is_ok(), "seed {seed} fails");
        seed += 1;
    }
}

const LINES: [&str; 16] = [
    r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.10.0","a1b2c3d4"]}"#,
    r#"{"id":2,"method":"mining.authorize","params":["w","x,d=1,md=0.5"]}"#,
    r#"{"id":2,"method":"mining.authorize","params":["w","wrong"]}"#,
    r#"{"id":3,"method":"mining.configure","params":[["version-rolling","minimum-difficulty"],{"version-rolling.mask":"ffffffff","minimum-difficulty.value":2}]}"#,
    r#"{"id":4,"method":"mining.submit","params":["w","JOB","EN2","66000000","00000007"]}"#,
    r#"{"params":["w","JOB","EN2","66000001","0000abcd","00002000"],"id":4,"method":"mining.submit"}"#,
    r#"{"id":4,"method":"mining.submit","params":["w","00000000000000ff00","EN2","66000000","1"]}"#,
    r#"{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}"#,
    r#"{"id":null,"method":"mining.suggest_difficulty","params":[1e-9]}"#,
    r#"{"id":5,"method":"mining.suggest_difficulty(1000)","params":[]}"#,
    r#"{"id":5,"method":"mining.suggest_target","params":["00000000ffff0000000000000000000000000000000000000000000000000000"]}"#,
    r#"{"id":null,"method":"mining.capabilities","params":[{"notify":[],"malgo":{}}]}"#,
    r#"{"id":7,"method":"pong","params":[]}"#,
    r#"{"id":7,"result":"pong","error":null}"#,
    "",
    r#"{"id":{"a":[1,{"b":null}]},"method":"mining.ping"}"#,
];

const WORDS: [&[u8]; 14] = [
    b"\n",
    b"\r\n",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"1e400",
    b"-1",
    b"\\u0000",
    b"\xff\xfe",
    b"18446744073709551616",
    b"\"params\":",
];

/// Every line out is JSON, a reply with its three members or a message.
fn check_replies(text: &str) {
    for line in text.lines().filter(|l| !l.starts_with("HTTP/") && l.starts_with('{')) {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let has = |key| value.get(key).is_some();
        assert!(has("method") || (has("id") && has("result") && has("error")), "{line}");
    }
}

#[test]
fn no_lines_in_whatever_order_make_a_session_panic_or_speak_garbled() {
    cases(6_000, |dice| {
        let mut miner = if dice.below(4) == 0 {
            Miner::connect(crate::miner::rules())
        } else {
            Miner::working()
        };
        for n in 0..dice.below(24) {
            match dice.below(12) {
                0 => {
                    let next = template(dice.below(3).to_le_bytes()[0], HARD);
                    miner.work(job(100 + n as u64, next));
                }
                1 => drop(miner.wait(dice.below(40) as u64)),
                2 => miner.log_takes = *dice.pick(&[&Some(true), &Some(false), &None]),
                3 => miner.now = miner.now.minus(Duration::from_secs(dice.below(100) as u64)),
                _ => {}
            }
            let id = if miner.work.is_some() { miner.job_id() } else { "0".to_owned() };
            let line = LINES[dice.below(LINES.len())].replace("JOB", &id).replace("EN2", EN2);
            let mut bytes = line.into_bytes();
            if dice.below(3) == 0 {
                dice.mutate(&mut bytes, &WORDS);
            }
            let credited = miner.log.len();
            let closed = miner.closed.is_some();
            let text = miner.say_bytes(&bytes);
            check_replies(&text);
            assert!(!closed || (text.is_empty() && miner.log.len() == credited));
        }
        // Credited at most once each.
        let mut keys: Vec<_> = miner
            .log
            .iter()
            .map(|s| format!("{:?}", (s.job, s.class, s.extranonce, s.version, s.ntime, s.nonce)))
            .collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
    });
}

#[test]
fn no_bytes_make_the_proxy_header_panic_or_reach_beyond_its_bound() {
    let v4 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\x00\x71\x09\x0a\0\0\x01\x10\x92\x0d\x05".to_vec();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let words: [&[u8]; 4] = [b"\x03\0\x04\0\0\0\0", b"\xff\xff", b"\0\0", b"PROXY TCP4 "];
    cases(200_000, |dice| {
        let mut bytes = dice.pick(&[&v4, &local]).clone();
        dice.mutate(&mut bytes, &words);
        if let Ok(ProxyHeader::Whole { length, .. }) = proxy::read(&bytes) {
            assert!(length <= bytes.len() && length <= limits::PROXY_HEADER_BYTES_MAX);
        }
    });
}

/// A V2 frame: extension, kind, length, payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[0, 0, kind], &length[..3], payload].concat()
}

#[test]
fn no_frames_in_whatever_order_make_a_v2_session_panic() {
    let setup = {
        let text = |t: &str| [&[u8::try_from(t.len()).unwrap()], t.as_bytes()].concat();
        let mut payload = vec![0, 2, 0, 2, 0, 0, 0, 0, 0];
        payload.extend(text("localhost"));
        payload.extend([0x0d, 0x05]);
        for t in ["Bitmain", "S19", "1.0", "abc"] {
            payload.extend(text(t));
        }
        frame(0x00, &payload)
    };
    let open = {
        let mut payload = vec![1, 0, 0, 0, 1, b'w'];
        payload.extend(1e12f32.to_le_bytes());
        payload.extend([0xff; 32]);
        frame(0x10, &payload)
    };
    let mut wide = open.clone();
    (wide[2], wide[3]) = (0x13, wide[3] + 2);
    wide.extend([8, 0]);
    let submit = frame(
        0x1a,
        &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 0x20],
    );
    let update = frame(0x16, &[&[1, 0, 0, 0][..], &1e9f32.to_le_bytes(), &[0xff; 32]].concat());
    let close = frame(0x18, &[1, 0, 0, 0, 0]);
    let seeds = [&setup, &open, &wide, &submit, &update, &close];
    let words: [&[u8]; 4] = [b"\0\0\0\0", b"\xff\xff\xff", &setup[..6], &open[..6]];
    cases(20_000, |dice| {
        let now = gruve_units::Timestamp::from_secs(1_700_000_000);
        let rules = Arc::new(crate::miner::rules());
        let mut session = v2::Session::new(rules, Arc::new(AtomicU32::new(7)), now);
        let mut input = if dice.below(3) > 0 { setup.clone() } else { Vec::new() };
        for _ in 0..dice.below(6) {
            let mut bytes = dice.pick(&seeds).clone();
            if dice.below(2) == 0 {
                dice.mutate(&mut bytes, &words);
            }
            input.extend(bytes);
        }
        let mut out = Vec::new();
        for _ in 0..16 {
            let mut round = Round::default();
            let (_, taken, step) = round.receive(&mut session, &input, now);
            assert!(taken <= input.len());
            input.drain(..taken);
            match step {
                Step::Continue if taken == 0 => break,
                Step::Continue => {}
                Step::Close(_) => return,
                Step::Authorize { password, .. } => {
                    let refused = Err(gruve_stratum::Refused("no".to_owned()));
                    session.authorized(&refused, &password, now, &mut out);
                }
            }
        }
        assert!(input.len() <= (256 << 10) && out.len() < (64 << 10));
        session.tick(now.plus(Duration::from_secs(3)), &mut out);
    });
}
