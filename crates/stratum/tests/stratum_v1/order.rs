//! The order of a share's checks: where two things are wrong with a share, the answer tells the one that is looked at
//! first. docs/stratum.md tells the order; firmware and operators act on what they are told.

use crate::closed_jobs::close_oldest;
use crate::merged::{SECOND_TAG, tagged_job};
use crate::miner::{EASY, EN2, FIRST, HARD, Miner, NTIME, class, client_job, job, rules, template};
use gruve_pow::sha256d;
use gruve_stratum::client::ClientJob;
use gruve_stratum::seen::SeenBudget;
use gruve_units::Target;
use serde_json::{Value, json};
use std::sync::Arc;

/// What can be wrong with a share, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Shape,
    Subscription,
    Login,
    Job,
    Extranonce,
    Ntime,
    Nonce,
    Version,
    Duplicate,
    Tag,
    Closed,
    Stale,
    Late,
    Low,
    Full,
}

use Fault::{
    Closed, Duplicate, Extranonce, Full, Job, Late, Login, Low, Nonce, Ntime, Shape, Stale,
    Subscription, Tag, Version,
};

/// And what is answered. That a job's block would pay another owner comes after all of them: see `destinations`.
const ORDER: [(Fault, i64, &str); 15] = [
    (Shape, 20, "malformed parameters"),
    (Subscription, 25, "not subscribed"),
    (Login, 24, "not authorised"),
    (Job, 21, "job not found"),
    (Extranonce, 20, "extranonce2 must be 16 hex digits"),
    (Ntime, 20, "ntime must be 8 hex digits"),
    (Nonce, 20, "nonce must be 8 hex digits"),
    (Version, 20, "version bits outside the mask"),
    (Duplicate, 22, "duplicate share"),
    (Tag, 20, "the extranonce holds a merge-mining tag"),
    (Closed, 21, "job not found"),
    (Stale, 21, "stale job"),
    (Late, 20, "ntime out of range"),
    (Low, 23, "low difficulty"),
    (Full, 20, "too many shares of one job"),
];

/// The class of the job: good shares are found at once, and most hashes are none.
const CLASS: u8 = 8;

/// The rolled bits of all shares.
const BITS: &str = "00002000";

/// A share with these faults, and the session in which it has them.
struct Scene {
    miner: Miner,
    job: Option<ClientJob>,
    faults: Vec<Fault>,
    /// Whether each share solves a block: only those of a job that memory closed are remembered.
    are_blocks: bool,
}

impl Scene {
    fn of(faults: &[Fault]) -> Scene {
        let faults = faults.to_vec();
        let has = |fault| faults.contains(&fault);
        let are_blocks = has(Duplicate) && faults.iter().any(|f| [Closed, Stale, Late].contains(f));
        let mut rules = rules();
        (rules.class_range, rules.start_class) = ((class(0), class(40)), class(CLASS));
        if has(Full) {
            rules.seen = Arc::new(SeenBudget::new(1, 1_000));
        }
        let mut miner = Miner::connect(rules);
        configure(&mut miner, "1fffe000");
        if !has(Subscription) {
            miner.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1"]}"#);
        }
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
        let template = template(1, if are_blocks { EASY } else { HARD });
        let first = if has(Tag) { tagged_job(template) } else { job(FIRST, template) };
        let heard = miner.work(first);
        let job = heard.iter().find(|l| l["method"] == "mining.notify").map(client_job);
        Scene { miner, job, faults, are_blocks }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// The answer to the share, once everything is as it has to be for its faults.
    fn answer(mut self) -> (i64, String) {
        if self.has(Full) {
            let good = self.line(self.nonce(0, false));
            assert_eq!(told(&self.miner.say(&good)[0]), (0, String::new()), "the first is taken");
        }
        let low = self.has(Low);
        let line = self.line(self.nonce(1_000, low));
        if self.has(Duplicate) && !self.are_blocks {
            assert_eq!(told(&self.miner.say(&line)[0]), (0, String::new()), "sent before");
        }
        self.happen();
        if self.are_blocks {
            self.miner.say(&line);
            assert_eq!(self.miner.blocks.len(), 1, "sent before, and a block");
        }
        let line = if self.has(Shape) { shapeless(&line) } else { line };
        told(&self.miner.say(&line)[0])
    }

    /// What has to come to pass after the job was given.
    fn happen(&mut self) {
        if self.has(Version) {
            configure(&mut self.miner, "00004000");
        }
        if self.has(Closed) || self.has(Stale) {
            let bits = if self.are_blocks { EASY } else { HARD };
            self.miner.work(job(FIRST + 1, template(1 + u8::from(self.has(Stale)), bits)));
        }
        if self.has(Closed) {
            close_oldest(&mut self.miner);
        }
    }

    fn ntime(&self) -> u32 {
        if self.has(Late) { NTIME + 7_001 } else { NTIME }
    }

    fn extranonce2(&self) -> &'static str {
        if self.has(Tag) { SECOND_TAG } else { EN2 }
    }

    /// A nonce that meets the job's class (and a block's), or one that does not.
    fn nonce(&self, from: u32, low: bool) -> u32 {
        let Some(job) = &self.job else { return from };
        let extranonce2 = hex::decode(self.extranonce2()).unwrap();
        let target = if self.are_blocks {
            Target::from_compact(EASY).unwrap()
        } else {
            class(CLASS).target()
        };
        let is_met = |nonce: &u32| {
            target.is_met_by(&sha256d(&job.header(&extranonce2, 0x2000_2000, self.ntime(), *nonce)))
        };
        (from..).find(|nonce| is_met(nonce) != low).unwrap()
    }

    fn line(&self, nonce: u32) -> String {
        let k = if self.are_blocks { 1 } else { CLASS };
        let number = if self.has(Job) { FIRST + 77 } else { FIRST };
        let pick = |fault, wrong: &str, right: String| match self.has(fault) {
            true => wrong.to_owned(),
            false => right,
        };
        let params = [
            pick(Login, "stranger", "w".to_owned()),
            format!("{number:016x}{k:02x}"),
            pick(Extranonce, "00", self.extranonce2().to_owned()),
            pick(Ntime, "6600000", format!("{:08x}", self.ntime())),
            pick(Nonce, "0000000g", format!("{nonce:08x}")),
            BITS.to_owned(),
        ];
        json!({"id": 4, "method": "mining.submit", "params": params}).to_string()
    }
}

/// Asks for these bits to roll.
fn configure(miner: &mut Miner, mask: &str) {
    let options = json!({ "version-rolling.mask": mask });
    let line =
        json!({"id": 3, "method": "mining.configure", "params": [["version-rolling"], options]});
    assert_eq!(miner.say(&line.to_string())[0]["result"]["version-rolling.mask"], mask);
}

/// The same with a number where the last text should be.
fn shapeless(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    line["params"][4] = json!(7);
    line.to_string()
}

/// Code and words; 0 and none for yes.
fn told(reply: &Value) -> (i64, String) {
    let error = &reply["error"];
    if error.is_null() {
        assert_eq!(reply["result"], true, "{reply}");
        return (0, String::new());
    }
    (error[0].as_i64().unwrap(), error[1].as_str().unwrap().to_owned())
}

fn answer_to(faults: &[Fault]) -> (i64, String) {
    Scene::of(faults).answer()
}

#[test]
fn of_two_things_wrong_with_a_share_the_one_that_is_checked_first_is_the_answer() {
    assert_eq!(answer_to(&[]), (0, String::new()));
    for (fault, code, words) in ORDER {
        assert_eq!(answer_to(&[fault]), (code, words.to_owned()), "{fault:?} alone");
    }
    let mut pairs: Vec<_> = ORDER.windows(2).map(|pair| (pair[0], pair[1])).collect();
    // No share is both: one with a second tag is never taken, so it never was sent before.
    pairs.retain(|(first, second)| (first.0, second.0) != (Duplicate, Tag));
    let at = |fault| ORDER.iter().find(|entry| entry.0 == fault).copied().unwrap();
    pairs.push((at(Version), at(Tag)));
    pairs.push((at(Duplicate), at(Closed)));
    for ((first, code, words), (second, ..)) in pairs {
        let answer = answer_to(&[first, second]);
        assert_eq!(answer, (code, words.to_owned()), "{first:?} and {second:?}");
    }
}

/// Both are hashed, so the second is told from the first when they are judged.
#[test]
fn a_block_twice_in_one_read_is_a_duplicate_before_it_is_closed_or_stale_or_over_time() {
    for fault in [Closed, Stale, Late] {
        let mut scene = Scene::of(&[Duplicate, fault]);
        let line = scene.line(scene.nonce(0, false));
        scene.happen();
        let heard = scene.miner.say(&[line.as_str(), line.as_str()].join("\n"));
        let (_, code, words) = ORDER.iter().find(|entry| entry.0 == fault).unwrap();
        assert_eq!(told(&heard[0]), (*code, (*words).to_owned()));
        assert_eq!(told(&heard[1]), (22, "duplicate share".to_owned()), "{fault:?}");
        assert_eq!((scene.miner.blocks.len(), scene.miner.log.len()), (1, 0));
    }
}

/// Whoever sends the same again and again has us hash nothing.
#[test]
fn a_share_that_is_refused_before_its_hash_is_not_hashed() {
    use gruve_stratum::protocol::{Protocol as _, Round};
    let before_the_hash = ORDER.iter().take_while(|entry| entry.0 != Closed);
    for (fault, ..) in before_the_hash {
        let mut scene = Scene::of(&[*fault]);
        let line = scene.line(scene.nonce(0, false));
        let line = if *fault == Shape { shapeless(&line) } else { line };
        if *fault == Duplicate {
            scene.miner.say(&line);
        }
        scene.happen();
        let mut round = Round::default();
        let input = format!("{line}\n");
        scene.miner.session.receive(input.as_bytes(), scene.miner.now, &mut round);
        assert!(round.candidates.is_empty() && round.refused.len() == 1, "{fault:?}");
    }
}
