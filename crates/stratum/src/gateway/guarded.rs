//! A session whose bugs end its own connection and nothing else.
//!
//! A session promises never to panic. Should one break that promise, the panic stops here: the session
//! is dropped, what it had half written is taken back, and its connection is closed; the loop's thread
//! and all other connections go on. The panic's words are kept for the log. What it had accepted is in
//! the log already, and what it had not answered was never acknowledged.
//!
//! Nothing of a broken session is used again, so it does not matter in which state it was left. Locks
//! that it held are shared by design with `into_inner`.

use crate::machines::Refused;
use crate::protocol::{
    Admitted, Candidate, Judged, Notice, Protocol, Round, Solved, Standing, Step, Work, aux_in,
    block_in,
};
use crate::session::{CloseReason, NOT_STORED, Refusal};
use gruve_units::{Class, Hashrate, MachineId, Timestamp};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A session, or what is left of one.
pub(super) enum Guarded {
    /// It has kept its promise so far.
    Sound(Box<dyn Protocol>),
    /// It has panicked, with these words.
    Broken(Box<str>),
}

impl Guarded {
    /// What it said when it broke.
    pub(super) fn fault(&self) -> Option<&str> {
        match self {
            Guarded::Sound(_) => None,
            Guarded::Broken(words) => Some(words),
        }
    }

    /// Breaks it: what belongs to it has panicked.
    pub(super) fn break_off(&mut self, words: Box<str>) {
        let broken = std::mem::replace(self, Guarded::Broken(words));
        // Its parts may be in a state that even their end does not bear.
        let _ = caught(|| drop(broken));
    }

    /// `None` once it is broken.
    fn call<R>(&mut self, what: impl FnOnce(&mut dyn Protocol) -> R) -> Option<R> {
        let Guarded::Sound(session) = self else { return None };
        match caught(|| what(session.as_mut())) {
            Ok(given) => Some(given),
            Err(words) => {
                self.break_off(words);
                None
            }
        }
    }

    /// The same for what writes: all of it or nothing.
    fn write<R>(
        &mut self,
        out: &mut Vec<u8>,
        what: impl FnOnce(&mut dyn Protocol, &mut Vec<u8>) -> R,
    ) -> Option<R> {
        let before = out.len();
        let given = self.call(|session| what(session, out));
        if given.is_none() {
            out.truncate(before);
        }
        given
    }
}

/// Does something of one connection's; a panic becomes its words.
pub(super) fn caught<R>(what: impl FnOnce() -> R) -> Result<R, Box<str>> {
    catch_unwind(AssertUnwindSafe(what)).map_err(|payload| words(payload.as_ref()))
}

fn words(payload: &(dyn Any + Send)) -> Box<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").into()
}

impl Protocol for Guarded {
    fn receive(&mut self, input: &[u8], now: Timestamp, round: &mut Round) -> (usize, Step) {
        let before = (round.text.len(), round.candidates.len(), round.notes.len());
        self.call(|session| session.receive(input, now, round)).unwrap_or_else(|| {
            round.text.truncate(before.0);
            round.candidates.truncate(before.1);
            round.notes.truncate(before.2);
            (input.len(), Step::Close(CloseReason::Fault))
        })
    }

    fn authorized(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        password: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        self.write(out, |session, out| session.authorized(outcome, password, now, out));
    }

    fn work(&mut self, work: &Work, now: Timestamp, out: &mut Vec<u8>) {
        self.write(out, |session, out| session.work(work, now, out));
    }

    fn judge(&mut self, candidate: &Candidate, solved: &Solved, now: Timestamp) -> Judged {
        let judged = self.call(|session| session.judge(candidate, solved, now));
        // A bug must not cost a block.
        judged.unwrap_or_else(|| Judged {
            verdict: Err(NOT_STORED),
            block: block_in(candidate, solved),
            aux: aux_in(candidate, solved),
        })
    }

    fn answer(
        &mut self,
        candidate: &Candidate,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        self.write(out, |session, out| session.answer(candidate, note, outcome, out))
            .unwrap_or(Some(CloseReason::Fault))
    }

    fn settle(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        self.write(out, |session, out| session.settle(now, out));
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<CloseReason> {
        self.write(out, |session, out| session.tick(now, out)).unwrap_or(Some(CloseReason::Fault))
    }

    fn tell(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        self.write(out, |session, out| session.tell(notice, out));
    }

    /// Nothing of a broken one: what it had counted is counted.
    fn counts(&mut self) -> (u64, u64) {
        self.call(|session| session.counts()).unwrap_or_default()
    }

    fn found(&mut self, all: bool, note: &mut dyn FnMut(MachineId, Class)) {
        self.call(|session| session.found(all, note));
    }

    fn keep(&self) -> Option<Vec<u8>> {
        match self {
            Guarded::Sound(session) => caught(|| session.keep()).ok().flatten(),
            Guarded::Broken(_) => None,
        }
    }

    fn standing(&mut self, now: Timestamp) -> Standing {
        self.call(|session| session.standing(now)).unwrap_or_else(|| Standing {
            who: None,
            user: String::new(),
            agent: String::new(),
            class: Class::ZERO,
            accepted: 0,
            rejected: 0,
            last_share_at: None,
            hashrate: Hashrate(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::tests::candidates;
    use super::*;
    use crate::machines::{Authorized, Machines};
    use crate::protocol::Lane;
    use crate::{Gateway, GatewayOptions, ListenKind, Listening};
    use gruve_sharelog::{BlockRecord, Options, ShareLog};
    use gruve_units::{Algorithm, LaneId, SeededEntropy, SystemClock};
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::watch;

    /// Echoes lines, and has a bug in each of its calls that a line can ask for.
    #[derive(Default)]
    struct Buggy {
        due: String,
    }

    impl Buggy {
        fn stumble(&self, at: &str) {
            assert!(self.due != at, "a bug in {at}");
        }
    }

    impl Drop for Buggy {
        fn drop(&mut self) {
            self.stumble("drop");
        }
    }

    impl Protocol for Buggy {
        fn receive(&mut self, input: &[u8], _: Timestamp, round: &mut Round) -> (usize, Step) {
            let Some(end) = input.iter().position(|b| *b == b'\n') else {
                return (0, Step::Continue);
            };
            let line = String::from_utf8(input[..end].to_vec()).unwrap();
            round.text.extend_from_slice(b"half a reply");
            if let Some(due) = line.strip_prefix("bug in ") {
                due.clone_into(&mut self.due);
                self.stumble("receive");
                if due == "drop" {
                    panic!("{}", String::from("first here, then in drop"));
                }
            }
            round.text.extend_from_slice(b"\n");
            if self.due == "authorized" {
                let step = Step::Authorize { user: "a".into(), password: String::new() };
                return (end + 1, step);
            }
            (end + 1, Step::Continue)
        }

        fn authorized(
            &mut self,
            _: &Result<Admitted, Refused>,
            _: &str,
            _: Timestamp,
            out: &mut Vec<u8>,
        ) {
            out.extend_from_slice(b"half a reply");
            self.stumble("authorized");
        }

        fn work(&mut self, _: &Work, _: Timestamp, _: &mut Vec<u8>) {}

        fn judge(&mut self, _: &Candidate, _: &Solved, _: Timestamp) -> Judged {
            panic!("a bug in judge")
        }

        fn answer(
            &mut self,
            _: &Candidate,
            _: &[u8],
            _: Result<(), Refusal>,
            _: &mut Vec<u8>,
        ) -> Option<CloseReason> {
            None
        }

        fn settle(&mut self, _: Timestamp, out: &mut Vec<u8>) {
            out.extend_from_slice(b"half a notice");
            self.stumble("settle");
            out.truncate(out.len() - b"half a notice".len());
        }

        fn tick(&mut self, _: Timestamp, _: &mut Vec<u8>) -> Option<CloseReason> {
            self.stumble("tick");
            None
        }

        fn tell(&mut self, _: &Notice, _: &mut Vec<u8>) {
            self.stumble("tell");
        }

        fn counts(&mut self) -> (u64, u64) {
            self.stumble("counts");
            (0, 0)
        }

        fn found(&mut self, _: bool, _: &mut dyn FnMut(MachineId, Class)) {
            self.stumble("found");
        }

        fn standing(&mut self, _: Timestamp) -> Standing {
            self.stumble("standing");
            Guarded::Broken("".into()).standing(Timestamp(0))
        }
    }

    /// A lane without work.
    struct Still(LaneId, ShareLog, watch::Receiver<Option<Work>>);

    #[async_trait::async_trait]
    impl Machines for Still {
        async fn authorize(&self, _: &LaneId, _: &str, _: &str) -> Result<Authorized, Refused> {
            Err(Refused("nobody".to_owned()))
        }
    }

    impl Lane for Still {
        fn id(&self) -> &LaneId {
            &self.0
        }

        fn algorithm(&self) -> Algorithm {
            Algorithm::Sha256d
        }

        fn jobs(&self) -> watch::Receiver<Option<Work>> {
            self.2.clone()
        }

        fn share_log(&self) -> &ShareLog {
            &self.1
        }

        fn found(&self, _: BlockRecord) {}
    }

    fn knock(address: SocketAddr) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        BufReader::new(stream)
    }

    fn echoes(peer: &mut BufReader<TcpStream>) {
        peer.get_mut().write_all(b"hello\n").unwrap();
        let mut line = String::new();
        peer.read_line(&mut line).unwrap();
        assert_eq!(line, "half a reply\n");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_a_session_ends_its_connection_only_and_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let (_jobs, jobs) = watch::channel(None);
        let lane = Arc::new(Still("btc".parse().unwrap(), log, jobs));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SeededEntropy::new(1)));
        let class = Class::ZERO;
        let mut options = GatewayOptions::new(listener, (class, class), class, clock, entropy);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let kind = ListenKind::Planted(|_| Box::new(Buggy::default()));
        options.listeners = vec![Listening::new(listener, kind)];
        let gateway = Gateway::start(options, lane.clone(), lane).unwrap();
        let mut honest = knock(gateway.address());
        echoes(&mut honest);
        let bugs = [
            "receive",
            "settle",
            "tick",
            "found",
            "authorized",
            "drop",
            "standing",
            "tell",
            "counts",
        ];
        for (n, bug) in bugs.into_iter().enumerate() {
            let mut peer = knock(gateway.address());
            peer.get_mut().write_all(format!("bug in {bug}\n").as_bytes()).unwrap();
            let mut heard = String::new();
            peer.read_line(&mut heard).unwrap();
            assert!(heard.is_empty() || heard == "half a reply\n", "{bug}: {heard:?}");
            // These two are called by the operator's questions alone.
            match bug {
                "standing" => assert_eq!(gateway.snapshot(), []),
                "tell" => assert_eq!(gateway.tell(None, "hello"), 0),
                _ => {}
            }
            assert_eq!(peer.read_line(&mut heard).unwrap(), 0, "{bug}: nothing more, and closed");
            assert_eq!(gateway.totals().faults, n as u64 + 1, "{bug}");
            echoes(&mut honest);
        }
        gateway.shutdown().await;
    }

    #[test]
    fn a_block_is_found_even_if_judging_it_panics() {
        let mut session = Guarded::Sound(Box::<Buggy>::default());
        let candidate = candidates(1).remove(0);
        let solved = Solved { pow_hash: [0; 32], header: [7; 80], mix: [0; 32] };
        let judged = session.judge(&candidate, &solved, Timestamp(0));
        assert_eq!(judged.verdict, Err(NOT_STORED));
        assert_eq!(judged.block.unwrap().share, candidate.share);
        assert_eq!(session.fault(), Some("a bug in judge"));
        let ordinary = Solved { pow_hash: [0xff; 32], ..solved };
        assert!(session.judge(&candidate, &ordinary, Timestamp(0)).block.is_none());
    }
}
