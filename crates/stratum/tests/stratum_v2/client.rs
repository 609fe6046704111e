//! A V2 session driven without sockets, as a gateway drives it, and a client to talk to it.

pub(crate) use crate::jobs::{EASY, HARD, NTIME, class, job, machine, rules, template};
use binary_sv2::{GetSize, Serialize, from_bytes, to_bytes};
use common_messages_sv2 as c;
use gruve_chain::Job;
use gruve_pow::sha256d;
use gruve_sharelog::{BlockRecord, Owner, ShareRecord};
use gruve_stratum::protocol::{Admitted, Protocol, Puzzle, Round, Solved, Step, Work};
use gruve_stratum::session::{CloseReason, SessionRules};
use gruve_stratum::v2::Session;
use gruve_stratum::{Authorized, LiveJob, OwnJob, Refused, WorkState};
use gruve_units::{AccountId, Algorithm, Class, Duration, Timestamp};
use mining_sv2 as m;
use std::sync::Arc;

/// The first channel's prefix.
pub(crate) const PREFIX: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];

pub(crate) const REQUIRES_STANDARD_JOBS: u32 = 1;
pub(crate) const REQUIRES_WORK_SELECTION: u32 = 2;
pub(crate) const REQUIRES_VERSION_ROLLING: u32 = 4;

/// A job that pays two bytes of script, with one behind it that pays the owner of these machines.
pub(crate) fn paying_job(id: u64, prev: u8, machines: &[&str], script: [u8; 2]) -> Arc<LiveJob> {
    let live = |id: u64, script: [u8; 2]| {
        let template = template(prev, HARD);
        let mut spec = job(id, template.clone()).job().spec().clone();
        spec.pay_to = vec![(script.to_vec(), template.coinbase_value)];
        LiveJob::new(Job::build(Arc::new(template), spec).unwrap())
    };
    let own = live(id + 1, script).paying(AccountId::from_bytes([9; 16]));
    let machines = machines.iter().map(|m| machine(m)).collect();
    let own = vec![OwnJob { machines, job: Arc::new(own) }];
    Arc::new(live(id, [0x51; 2]).with_own(own))
}

/// What a server says.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Setup(c::SetupConnectionSuccess),
    SetupError(c::SetupConnectionErrorOwned),
    Standard(m::OpenStandardMiningChannelSuccessOwned),
    Extended(m::OpenExtendedMiningChannelSuccessOwned),
    OpenError(u32, String),
    UpdateError(u32, String),
    Job(m::NewMiningJobOwned),
    ExtendedJob(m::NewExtendedMiningJobOwned),
    PrevHash(m::SetNewPrevHashOwned),
    Target(m::SetTargetOwned),
    Group(u32, Vec<u32>),
    Prefix(m::SetExtranoncePrefixOwned),
    Accepted(m::SubmitSharesSuccess),
    Refused(u32, String),
    CustomError(String),
    Reconnect(String, u16),
    /// Of an extension.
    Foreign(u16, u8, Vec<u8>),
}

impl Heard {
    /// In a word, for comparing what came in what order.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Heard::Setup(_) => "setup",
            Heard::SetupError(_) => "setup error",
            Heard::Standard(_) | Heard::Extended(_) => "open",
            Heard::OpenError(..) => "open error",
            Heard::UpdateError(..) => "update error",
            Heard::Job(j) if j.min_ntime.as_ref().is_none() => "future job",
            Heard::Job(_) => "job",
            Heard::ExtendedJob(j) if j.is_future() => "future extended job",
            Heard::ExtendedJob(_) => "extended job",
            Heard::PrevHash(_) => "prev hash",
            Heard::Target(_) => "target",
            Heard::Group(..) => "group",
            Heard::Prefix(_) => "prefix",
            Heard::Accepted(_) => "accepted",
            Heard::Refused(..) => "refused",
            Heard::CustomError(_) => "custom error",
            Heard::Reconnect(..) => "reconnect",
            Heard::Foreign(..) => "foreign",
        }
    }
}

pub(crate) fn words(heard: &[Heard]) -> Vec<&'static str> {
    heard.iter().map(Heard::word).collect()
}

/// The one share that was refused, and why.
pub(crate) fn refusal(heard: &[Heard]) -> &str {
    match heard {
        [Heard::Refused(_, code)] => code,
        other => panic!("{other:?}"),
    }
}

/// A frame of the protocol itself.
pub(crate) fn frame<T: Serialize + GetSize>(kind: u8, channel: bool, message: T) -> Vec<u8> {
    let payload = to_bytes(message).unwrap();
    raw_frame(if channel { 0x8000 } else { 0 }, kind, &payload)
}

pub(crate) fn raw_frame(extension: u16, kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&extension.to_le_bytes()[..], &[kind], &length[..3], payload].concat()
}

/// All messages in what a server sent.
pub(crate) fn hear(mut bytes: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_le_bytes([bytes[3], bytes[4], bytes[5], 0]);
        let end = 6 + usize::try_from(length).unwrap();
        let extension = u16::from_le_bytes([bytes[0], bytes[1]]);
        heard.push(understand(extension, bytes[2], bytes[6..end].to_vec()));
        bytes = &bytes[end..];
    }
    heard
}

/// Decodes a message that borrows, and keeps it.
macro_rules! read {
    ($message:ty, $payload:expr) => {
        from_bytes::<$message>($payload).unwrap().into_owned()
    };
}

fn understand(extension: u16, kind: u8, mut payload: Vec<u8>) -> Heard {
    let is_channel = extension & 0x8000 != 0;
    if extension & 0x7fff != 0 {
        return Heard::Foreign(extension, kind, payload);
    }
    let p = &mut payload[..];
    let text = |t: &[u8]| String::from_utf8(t.to_vec()).unwrap();
    let (heard, addresses_channel) = match kind {
        c::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
            (Heard::Setup(read!(c::SetupConnectionSuccess, p)), false)
        }
        c::MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
            (Heard::SetupError(read!(c::SetupConnectionError<'_>, p)), false)
        }
        c::MESSAGE_TYPE_RECONNECT => {
            let r = read!(c::Reconnect<'_>, p);
            (Heard::Reconnect(text(r.new_host.as_bytes()), r.new_port), false)
        }
        m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => {
            (Heard::Standard(read!(m::OpenStandardMiningChannelSuccess<'_>, p)), false)
        }
        m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => {
            (Heard::Extended(read!(m::OpenExtendedMiningChannelSuccess<'_>, p)), false)
        }
        m::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR => {
            let e = read!(m::OpenMiningChannelError<'_>, p);
            (Heard::OpenError(e.request_id, text(e.error_code.as_bytes())), false)
        }
        m::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR => {
            let e = read!(m::UpdateChannelError<'_>, p);
            (Heard::UpdateError(e.channel_id, text(e.error_code.as_bytes())), true)
        }
        m::MESSAGE_TYPE_NEW_MINING_JOB => (Heard::Job(read!(m::NewMiningJob<'_>, p)), true),
        m::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => {
            (Heard::ExtendedJob(read!(m::NewExtendedMiningJob<'_>, p)), true)
        }
        m::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => {
            (Heard::PrevHash(read!(m::SetNewPrevHash<'_>, p)), true)
        }
        m::MESSAGE_TYPE_SET_TARGET => (Heard::Target(read!(m::SetTarget<'_>, p)), true),
        m::MESSAGE_TYPE_SET_GROUP_CHANNEL => {
            let g = read!(m::SetGroupChannel<'_>, p);
            (Heard::Group(g.group_channel_id, g.channel_ids.into_inner()), false)
        }
        m::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX => {
            (Heard::Prefix(read!(m::SetExtranoncePrefix<'_>, p)), true)
        }
        m::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => {
            (Heard::Accepted(read!(m::SubmitSharesSuccess, p)), true)
        }
        m::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
            let e = read!(m::SubmitSharesError<'_>, p);
            (Heard::Refused(e.sequence_number, text(e.error_code.as_bytes())), true)
        }
        m::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB_ERROR => {
            let e = read!(m::SetCustomMiningJobError<'_>, p);
            (Heard::CustomError(text(e.error_code.as_bytes())), true)
        }
        other => panic!("the server sent a message of type {other:#x}"),
    };
    assert_eq!(is_channel, addresses_channel, "the channel bit of {heard:?}");
    heard
}

pub(crate) fn setup(flags: u32) -> Vec<u8> {
    setup_of("Maker", flags)
}

/// The same of another vendor's client.
pub(crate) fn setup_of(vendor: &'static str, flags: u32) -> Vec<u8> {
    let text = |t: &'static str| t.try_into().unwrap();
    let message = c::SetupConnection {
        protocol: c::Protocol::MiningProtocol,
        min_version: 2,
        max_version: 2,
        flags,
        endpoint_host: text("pool.example"),
        endpoint_port: 3336,
        vendor: text(vendor),
        hardware_version: text("M1"),
        firmware: text("1.0"),
        device_id: text(""),
    };
    frame(c::MESSAGE_TYPE_SETUP_CONNECTION, false, message)
}

pub(crate) fn open_extended(request_id: u32, user: &str, hashrate: f32, k: u8) -> Vec<u8> {
    open_extended_with(request_id, user, hashrate, k, 4)
}

pub(crate) fn open_extended_with(
    request_id: u32,
    user: &str,
    nominal_hash_rate: f32,
    k: u8,
    min_extranonce_size: u16,
) -> Vec<u8> {
    let target = target_bytes(k);
    let message = m::OpenExtendedMiningChannel {
        request_id,
        user_identity: user.try_into().unwrap(),
        nominal_hash_rate,
        max_target: (&target).into(),
        min_extranonce_size,
    };
    frame(m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL, false, message)
}

pub(crate) fn open_standard(request_id: u32, user: &str, nominal_hash_rate: f32) -> Vec<u8> {
    let target = [0xff; 32];
    let message = m::OpenStandardMiningChannel {
        request_id,
        user_identity: user.try_into().unwrap(),
        nominal_hash_rate,
        max_target: (&target).into(),
    };
    frame(m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, false, message)
}

pub(crate) fn update(channel_id: u32, nominal_hash_rate: f32, k: u8) -> Vec<u8> {
    let target = target_bytes(k);
    let message =
        m::UpdateChannel { channel_id, nominal_hash_rate, maximum_target: (&target).into() };
    frame(m::MESSAGE_TYPE_UPDATE_CHANNEL, true, message)
}

pub(crate) fn close(channel_id: u32) -> Vec<u8> {
    let message = m::CloseChannel { channel_id, reason_code: "".try_into().unwrap() };
    frame(m::MESSAGE_TYPE_CLOSE_CHANNEL, true, message)
}

pub(crate) fn target_bytes(k: u8) -> [u8; 32] {
    let mut bytes = class(k).target().to_be_bytes();
    bytes.reverse();
    bytes
}

/// A session, its driver, and what it did.
pub(crate) struct Wire {
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
    pub(crate) work: Option<WorkState>,
    pub(crate) log: Vec<ShareRecord>,
    pub(crate) blocks: Vec<BlockRecord>,
    pub(crate) logins: Vec<(String, String)>,
    pub(crate) closed: Option<CloseReason>,
    /// What the log will answer.
    pub(crate) log_says: Result<(), gruve_stratum::session::Refusal>,
    /// The class that machines had when they were last seen.
    pub(crate) last_class: Option<Class>,
}

impl Wire {
    pub(crate) fn with(rules: SessionRules) -> Wire {
        let now = Timestamp::from_secs(i64::from(NTIME));
        let mut rules = rules;
        rules.prefixes = Arc::new(u32::from_be_bytes(PREFIX).into());
        Wire {
            session: Session::new(Arc::new(rules), now),
            now,
            work: None,
            log: Vec::new(),
            blocks: Vec::new(),
            logins: Vec::new(),
            closed: None,
            log_says: Ok(()),
            last_class: None,
        }
    }

    /// Set up, with a job.
    pub(crate) fn working(flags: u32) -> Wire {
        let mut wire = Wire::with(rules());
        assert_eq!(words(&wire.say(&setup(flags))), ["setup"]);
        assert!(wire.give(job(1, template(1, HARD))).is_empty(), "no channel, no job");
        wire
    }

    /// Does what a gateway does in a round, until all of `input` is taken.
    pub(crate) fn say(&mut self, input: &[u8]) -> Vec<Heard> {
        hear(&self.say_bytes(input))
    }

    pub(crate) fn say_bytes(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        while self.closed.is_none() {
            let mut round = Round::default();
            let (taken, step) = self.session.receive(input, self.now, &mut round);
            input = &input[taken..];
            let is_over = matches!(step, Step::Continue) && round.candidates.is_empty();
            match step {
                Step::Continue => {}
                Step::Authorize { user, password } => {
                    let outcome = if user.starts_with("nobody") {
                        Err(Refused("no such login".to_owned()))
                    } else {
                        let who = Authorized { owner: Owner::House, machine: machine(&user) };
                        Ok(Admitted { who, class: self.last_class })
                    };
                    self.session.authorized(&outcome, &password, self.now, &mut round.text);
                    self.logins.push((user, password));
                }
                Step::Close(reason) => self.closed = Some(reason),
            }
            self.finish(&round, &mut said);
            if is_over {
                break;
            }
        }
        said
    }

    fn finish(&mut self, round: &Round, said: &mut Vec<u8>) {
        let solved: Vec<_> =
            round.candidates.iter().map(|c| solve(c.puzzle.clone(), &c.share)).collect();
        let judged: Vec<_> = round
            .candidates
            .iter()
            .zip(&solved)
            .map(|(c, s)| self.session.judge(c, s, self.now))
            .collect();
        let mut done = 0;
        for (candidate, judged) in round.candidates.iter().zip(judged) {
            said.extend_from_slice(&round.text[done..candidate.reply_at]);
            done = candidate.reply_at;
            self.blocks.extend(judged.block.map(|b| *b));
            let outcome = judged.verdict.and(self.log_says);
            if outcome.is_ok() {
                self.log.push(candidate.share);
            }
            let note = &round.notes[candidate.note.0..candidate.note.1];
            if let Some(reason) = self.session.answer(candidate, note, outcome, said) {
                self.closed.get_or_insert(reason);
            }
        }
        said.extend_from_slice(&round.text[done..]);
        self.session.settle(self.now, said);
    }

    /// A job comes from the node.
    pub(crate) fn give(&mut self, job: Arc<LiveJob>) -> Vec<Heard> {
        let work = match &self.work {
            None => WorkState::of(Algorithm::Sha256d, job),
            Some(work) => work.with(job, 24),
        };
        self.work = Some(work.clone());
        let mut said = Vec::new();
        self.session.work(&Work::Header(Arc::new(work)), self.now, &mut said);
        hear(&said)
    }

    /// Lets seconds pass.
    pub(crate) fn wait(&mut self, secs: u64) -> Vec<Heard> {
        let mut said = Vec::new();
        for _ in 0..secs {
            self.now = self.now.plus(Duration::from_secs(1));
            if let Some(reason) = self.session.tick(self.now, &mut said) {
                self.closed.get_or_insert(reason);
                break;
            }
        }
        hear(&said)
    }
}

fn solve(puzzle: Puzzle, share: &ShareRecord) -> Solved {
    let Puzzle::Header(live) = puzzle else { panic!("no header") };
    let header = live.job().header(
        share.class,
        share.extranonce.as_slice(),
        share.version,
        share.ntime,
        share.nonce,
    );
    Solved { pow_hash: sha256d(&header), header, mix: [0; 32] }
}
