//! The order of a share's checks in each dialect: where two things are wrong with a share, the answer tells the one that is
//! looked at first. It is Stratum V1's, but that a hash which is no share is refused as such before it is looked at whether it
//! came late: hashes are dear here.

use crate::rig::{HARD, Hall, Rig, class, code, hex32, mine, node_work, pow, rules, work};
use gruve_stratum::eth::EthWork;
use gruve_stratum::limits;
use gruve_units::{EpochNumber, JobId, Timestamp};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    NiceHash,
    Stratum,
    EthProxy,
}

use Dialect::{EthProxy, NiceHash, Stratum};

/// What can be wrong with a share, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Shape,
    Subscription,
    Login,
    Job,
    Nonce,
    OtherHeader,
    MixHex,
    Duplicate,
    Mix,
    Low,
    Stale,
}

use Fault::{
    Duplicate, Job, Login, Low, Mix, MixHex, Nonce, OtherHeader, Shape, Stale, Subscription,
};

/// What is answered to each, and the dialects that know it.
const ORDER: [(Fault, i64, &str, &[Dialect]); 11] = [
    (Shape, 20, "malformed parameters", &[NiceHash, Stratum, EthProxy]),
    (Subscription, 25, "not subscribed", &[NiceHash, Stratum, EthProxy]),
    (Login, 24, "not authorised", &[NiceHash, Stratum, EthProxy]),
    (Job, 21, "job not found", &[NiceHash, Stratum, EthProxy]),
    (Nonce, 20, "", &[NiceHash, Stratum, EthProxy]),
    (OtherHeader, 20, "the header is not the job's", &[Stratum]),
    (MixHex, 20, "hashes must be 64 hex digits", &[Stratum, EthProxy]),
    (Duplicate, 22, "duplicate share", &[NiceHash, Stratum, EthProxy]),
    (Mix, 23, "low difficulty", &[Stratum, EthProxy]),
    (Low, 23, "low difficulty", &[NiceHash, Stratum, EthProxy]),
    (Stale, 21, "stale job", &[NiceHash, Stratum, EthProxy]),
];

const HEADER: u8 = 0x61;
const K: u8 = 2;

struct Scene {
    hall: Hall,
    rig: Rig,
    dialect: Dialect,
    faults: Vec<Fault>,
    /// Where this connection's nonces begin.
    part: u64,
}

impl Scene {
    fn of(dialect: Dialect, faults: &[Fault]) -> Scene {
        let faults = faults.to_vec();
        let mut hall = Hall::new();
        hall.publish(work(1, HEADER, 100));
        let mut rig = hall.connect();
        let (has_subscription, has_login) =
            (!faults.contains(&Subscription), !faults.contains(&Login));
        let mut part = 0;
        let login = r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#;
        match dialect {
            // Without a subscription there are no logins of it either.
            _ if !has_subscription => {}
            EthProxy if has_login => drop(rig.proxy()),
            // A login that is refused leaves the dialect.
            EthProxy => drop(rig.say(
                r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","params":["w","wrong"]}"#,
            )),
            NiceHash | Stratum => {
                let version = if dialect == NiceHash { "EthereumStratum/1.0.0" } else { "" };
                let hello =
                    json!({"id": 1, "method": "mining.subscribe", "params": ["t", version]});
                let heard = rig.say(&hello.to_string());
                if let Some(own) = heard[0]["result"][1].as_str() {
                    part = u64::from_str_radix(own, 16).unwrap() << 48;
                }
                if has_login {
                    rig.say(login);
                }
            }
        }
        Scene { hall, rig, dialect, faults, part }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn answer(mut self) -> (i64, String) {
        let (nonce, mix) = if self.has(Low) {
            // With its digest it would be told by that already.
            (mine(HEADER, self.part, 0, Some(K)).0, [0; 32])
        } else {
            mine(HEADER, self.part, K, None)
        };
        if self.has(Duplicate) {
            let faults = std::mem::take(&mut self.faults);
            assert_eq!(told(&self.rig.say(&self.line(nonce, &mix))[0]).0, 0, "sent before");
            self.faults = faults;
        }
        if self.has(Stale) {
            let state = self.hall.publish(work(2, HEADER + 1, 101));
            self.rig.hear(&state);
        }
        // Of another nonce: it leads anywhere.
        let mix = if self.has(Mix) { [0x99; 32] } else { mix };
        let line = self.line(nonce, &mix);
        told(&self.rig.say(&line)[0])
    }

    fn line(&self, nonce: u64, mix: &[u8; 32]) -> String {
        let header = hex32(&[if self.has(Job) { 0x77 } else { HEADER }; 32]);
        let whole = if self.has(Nonce) { "0x12".to_owned() } else { format!("0x{nonce:016x}") };
        let mix = if self.has(MixHex) { json!("0x12") } else { json!(hex32(mix)) };
        let user = if self.has(Login) { "stranger" } else { "w" };
        let mut line = match self.dialect {
            EthProxy => json!({"id": 4, "jsonrpc": "2.0", "method": "eth_submitWork",
                "params": [whole, header, mix]}),
            Stratum => {
                let again = if self.has(OtherHeader) { hex32(&[0x55; 32]) } else { header.clone() };
                json!({"id": 4, "method": "mining.submit", "params": [user, header, whole, again, mix]})
            }
            NiceHash => {
                let number = if self.has(Job) { 77 } else { 1 };
                let rest = nonce & 0xffff_ffff_ffff;
                let rest = if self.has(Nonce) { "12".to_owned() } else { format!("{rest:012x}") };
                let job = format!("{number:016x}{K:02x}");
                json!({"id": 4, "method": "mining.submit", "params": [user, job, rest]})
            }
        };
        if self.has(Shape) {
            line["params"][2] = json!(7);
        }
        line.to_string()
    }
}

/// Code and words; 0 and none for yes.
fn told(reply: &Value) -> (i64, String) {
    let code = code(reply);
    let error = &reply["error"];
    let words = error.get("message").or_else(|| error.get(1)).and_then(Value::as_str);
    (code, words.unwrap_or("").to_owned())
}

#[test]
fn of_two_things_wrong_with_a_share_the_one_that_is_checked_first_is_the_answer() {
    for dialect in [NiceHash, Stratum, EthProxy] {
        let known: Vec<_> = ORDER.iter().filter(|entry| entry.3.contains(&dialect)).collect();
        let answer = |faults: &[Fault]| Scene::of(dialect, faults).answer();
        assert_eq!(answer(&[]), (0, String::new()), "{dialect:?}");
        let expected = |fault: Fault, code: i64, words: &str| match (fault, dialect) {
            (Nonce, NiceHash) => {
                (20, "the nonce must be the bytes after the extranonce".to_owned())
            }
            (Nonce, _) => (20, "the nonce must be 16 hex digits".to_owned()),
            _ => (code, words.to_owned()),
        };
        for (fault, code, words, _) in &known {
            assert_eq!(answer(&[*fault]), expected(*fault, *code, words), "{dialect:?} {fault:?}");
        }
        for pair in known.windows(2) {
            let ((first, code, words, _), (second, ..)) = (pair[0], pair[1]);
            let both = [*first, *second];
            // What is no share was never taken, so it was not sent before.
            if both == [Duplicate, Low] {
                continue;
            }
            let expected = expected(*first, *code, words);
            assert_eq!(answer(&both), expected, "{dialect:?} {both:?}");
        }
    }
}

/// Of all shares that a hash makes, in a session that has as many of one header as it may have.
#[test]
fn a_late_share_is_late_before_it_is_too_many_and_a_block_twice_in_one_read_is_a_duplicate_before_both()
 {
    let mut all_shares = rules();
    all_shares.start_class = class(0);
    for (is_late, is_block) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut hall = Hall::with(all_shares.clone());
        let block = class(if is_block { 0 } else { HARD });
        let node = node_work(HEADER, Some(100), block);
        hall.publish(EthWork::new(JobId(1), EpochNumber(7), &node, Timestamp(0), pow()));
        let mut rig = hall.connect();
        rig.hashes = false;
        rig.proxy();
        for nonce in 0..limits::ETH_SHARES_PER_WORK_MAX as u64 {
            assert_eq!(rig.submit_work(HEADER, (nonce, [0; 32])), 0);
        }
        let before = rig.blocks.len();
        if is_late {
            let state = hall.publish(work(2, HEADER + 1, 101));
            rig.hear(&state);
        }
        let line = json!({"id": 4, "jsonrpc": "2.0", "method": "eth_submitWork",
            "params": [format!("0x{:016x}", 1u64 << 40), hex32(&[HEADER; 32]), hex32(&[0; 32])]});
        let heard = rig.say(&[line.to_string(), line.to_string()].join("\n"));
        let alone = match is_late {
            true => (21, "stale job".to_owned()),
            false => (20, "too many shares of one job".to_owned()),
        };
        assert_eq!(told(&heard[0]), alone);
        let again = if is_block { (22, "duplicate share".to_owned()) } else { alone };
        assert_eq!(told(&heard[1]), again, "late {is_late}, block {is_block}");
        assert_eq!(rig.blocks.len() - before, usize::from(is_block), "sent once");
    }
}
