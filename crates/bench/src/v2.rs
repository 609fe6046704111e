//! One channel of Stratum V2 as the generator has it: Noise, one channel on a connection, jobs, shares.
//!
//! Any server's: nothing here knows Gruve's own gateway. A server that does not do what the protocol says ends
//! its connection with the reason, never this program.

use crate::wire::{Try, extranonce2_bytes};
use binary_sv2::{Decodable, GetSize, Serialize, from_bytes, to_bytes};
use common_messages_sv2 as c;
use gruve_stratum::client::ClientJob;
use gruve_units::{Clock as _, Entropy as _, SystemClock, SystemEntropy, Target};
use mining_sv2 as m;
use noise_sv2::{INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator, NoiseEngine};
use rand_core::{CryptoRng, RngCore};
use std::collections::BTreeMap;

const HEADER_BYTES: usize = 6;
const TAG_BYTES: usize = 16;
/// Noise's longest message.
const SEALED_CHUNK_BYTES_MAX: usize = 65_535;
/// The longest frame taken from a server: a job with a large coinbase is far below.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// Jobs that wait for their block; a server has one or two.
const FUTURE_MAX: usize = 64;
/// The bit of a frame that says that it addresses a channel.
const CHANNEL_BIT: u16 = 0x8000;
/// The flag of a client that understands headers only.
const REQUIRES_STANDARD_JOBS: u32 = 1;
const REQUEST_ID: u32 = 1;
/// What a server gives that goes by it: the easiest difficulty. In hashes a second; above zero, because
/// some servers take zero for a mistake.
const HASHRATE: f32 = 0.001;

/// Before a public key in its text form: version 1, least significant byte first.
const KEY_VERSION: [u8; 2] = [1, 0];

/// What kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// The client rolls an extranonce, as a proxy for many machines does.
    Extended,
    /// Headers only, as a machine with V2 firmware.
    Standard,
}

impl std::str::FromStr for ChannelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<ChannelKind, String> {
        match text {
            "extended" => Ok(ChannelKind::Extended),
            "standard" => Ok(ChannelKind::Standard),
            _ => Err(format!("no channel {text:?}: extended or standard")),
        }
    }
}

/// How to speak V2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V2Options {
    /// Which channels.
    pub kind: ChannelKind,
    /// The server's authority key; its certificate is not looked at if `None`.
    pub authority: Option<[u8; 32]>,
}

/// An authority key from its text form.
///
/// # Errors
/// In words, what it is not.
pub fn authority_of(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || format!("{text:?} is no authority key: 34 bytes in Base58Check, as servers publish it");
    let bytes = base58ck::decode_check(text).map_err(|_| wrong())?;
    bytes.strip_prefix(&KEY_VERSION).and_then(|key| key.try_into().ok()).ok_or_else(wrong)
}

/// What to try, and what else than honestly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the protocol says.
    Right,
    /// An extranonce that is a byte short; without one, a channel that is not there.
    Malformed,
}

/// What the server said that means something to the generator.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The channel is open.
    Open,
    /// Work, to be begun at once.
    Job(Box<Work>),
    /// So many shares are acknowledged, all up to this one among them.
    Acknowledged { last: u32, count: u32 },
    /// A share was refused.
    Refused { sequence: u32, code: i64 },
}

/// Work as the channel has it when it comes.
#[derive(Debug)]
pub(crate) struct Work {
    /// Its number is its id.
    pub(crate) job: ClientJob,
    /// Where the server has made the merkle root.
    pub(crate) root: Option<[u8; 32]>,
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_size: usize,
    /// `None` where every hash is a share.
    pub(crate) target: Option<Target>,
}

enum Noise {
    /// Our key is out.
    Begun(Box<Initiator>),
    Open(Box<NoiseEngine>),
    /// Nothing more is understood.
    Over,
}

/// A job without the block that it stands on.
struct Draft {
    version: u32,
    root: Option<[u8; 32]>,
    prefix: Vec<u8>,
    suffix: Vec<u8>,
    branch: Vec<[u8; 32]>,
}

#[derive(Clone, Copy)]
struct Tip {
    prev_hash: [u8; 32],
    bits: u32,
    ntime: u32,
}

/// One connection's channel.
pub(crate) struct Channel {
    options: V2Options,
    user: String,
    noise: Noise,
    /// What came and is not whole yet.
    raw: Vec<u8>,
    /// A header whose payload has not come yet.
    header: Option<[u8; HEADER_BYTES]>,
    id: u32,
    prefix: Vec<u8>,
    size: usize,
    target: Option<Target>,
    tip: Option<Tip>,
    future: BTreeMap<u32, Draft>,
}

impl Channel {
    pub(crate) fn new(options: V2Options, user: &str) -> Channel {
        Channel {
            options,
            user: user.to_owned(),
            noise: Noise::Over,
            raw: Vec::new(),
            header: None,
            id: 0,
            prefix: Vec::new(),
            size: 0,
            target: None,
            tip: None,
            future: BTreeMap::new(),
        }
    }

    pub(crate) fn extranonce(&self) -> (Vec<u8>, usize) {
        (self.prefix.clone(), self.size)
    }

    /// Begins the handshake.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let mut random = Random;
        let initiator = match self.options.authority {
            Some(key) => Initiator::from_raw_k_with_rng(key, &mut random),
            None => Initiator::without_pk_with_rng(&mut random),
        };
        let mut initiator = initiator.map_err(|e| format!("the authority key: {e:?}"))?;
        let key = initiator.step_0().map_err(|_| "the handshake cannot be begun")?;
        out.extend_from_slice(&key);
        self.noise = Noise::Begun(initiator);
        Ok(())
    }

    /// Takes bytes off the wire; answers to what has to be answered go to `out`.
    pub(crate) fn take(
        &mut self,
        received: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.extend_from_slice(received);
        let mut taken = 0;
        loop {
            match self.piece(raw.get(taken..).unwrap_or_default(), out, heard)? {
                0 => break,
                n => taken += n,
            }
        }
        raw.drain(..taken);
        self.raw = raw;
        Ok(())
    }

    /// Takes one piece off the front, if it is whole; gives how long it was.
    fn piece(
        &mut self,
        raw: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<usize, String> {
        match (&mut self.noise, self.header) {
            (Noise::Over, _) => Err("nothing was begun".to_owned()),
            (Noise::Begun(initiator), _) => {
                let Some(answer) = raw.first_chunk::<INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE>()
                else {
                    return Ok(0);
                };
                let now = u32::try_from(SystemClock.now().secs()).unwrap_or(0);
                let engine = initiator
                    .step_2_with_now(*answer, now)
                    .map_err(|e| format!("the handshake failed: {e:?}"))?;
                self.noise = Noise::Open(Box::new(engine));
                self.set_up(out)?;
                Ok(answer.len())
            }
            (Noise::Open(engine), None) => {
                let Some(sealed) = raw.get(..HEADER_BYTES + TAG_BYTES) else { return Ok(0) };
                let header = opened(engine, sealed)?;
                let header = *header.first_chunk().ok_or("a header cut short")?;
                if payload_bytes(&header) > FRAME_BYTES_MAX {
                    return Err("a frame without end".to_owned());
                }
                self.header = Some(header);
                Ok(sealed.len())
            }
            (Noise::Open(engine), Some(header)) => {
                let length = payload_bytes(&header);
                let chunks = length.div_ceil(SEALED_CHUNK_BYTES_MAX - TAG_BYTES);
                let Some(sealed) = raw.get(..length + chunks * TAG_BYTES) else { return Ok(0) };
                let mut payload = Vec::with_capacity(length);
                for chunk in sealed.chunks(SEALED_CHUNK_BYTES_MAX) {
                    payload.extend(opened(engine, chunk)?);
                }
                self.header = None;
                let more = self.message(header, &mut payload, out)?;
                heard.extend(more);
                // A frame without payload has nothing to take here.
                if sealed.is_empty() { self.piece(raw, out, heard) } else { Ok(sealed.len()) }
            }
        }
    }

    fn set_up(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let flags = match self.options.kind {
            ChannelKind::Extended => 0,
            ChannelKind::Standard => REQUIRES_STANDARD_JOBS,
        };
        let text = |t: &'static str| t.try_into().map_err(|_| "a text too long");
        let message = c::SetupConnection {
            protocol: c::Protocol::MiningProtocol,
            min_version: 2,
            max_version: 2,
            flags,
            endpoint_host: text("")?,
            endpoint_port: 0,
            vendor: text("gruve-bench")?,
            hardware_version: text("")?,
            firmware: text(env!("CARGO_PKG_VERSION"))?,
            device_id: text("")?,
        };
        self.say(c::MESSAGE_TYPE_SETUP_CONNECTION, false, message, out)
    }

    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let any = [0xff; 32];
        let user = self.user.clone();
        let user_identity = user.as_str().try_into().map_err(|_| "a login too long")?;
        match self.options.kind {
            ChannelKind::Extended => {
                let message = m::OpenExtendedMiningChannel {
                    request_id: REQUEST_ID,
                    user_identity,
                    nominal_hash_rate: HASHRATE,
                    max_target: (&any).into(),
                    min_extranonce_size: 4,
                };
                self.say(m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL, false, message, out)
            }
            ChannelKind::Standard => {
                let message = m::OpenStandardMiningChannel {
                    request_id: REQUEST_ID,
                    user_identity,
                    nominal_hash_rate: HASHRATE,
                    max_target: (&any).into(),
                };
                self.say(m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, false, message, out)
            }
        }
    }

    /// Encrypts a message for the wire.
    fn say<T: Serialize + GetSize>(
        &mut self,
        kind: u8,
        addresses_channel: bool,
        message: T,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Noise::Open(engine) = &mut self.noise else { return Ok(()) };
        let mut payload = to_bytes(message).map_err(|e| format!("not encoded: {e:?}"))?;
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let extension = if addresses_channel { CHANNEL_BIT } else { 0 }.to_le_bytes();
        let mut header = vec![extension[0], extension[1], kind, length[0], length[1], length[2]];
        // Nothing that is said here is longer than a chunk.
        for piece in [&mut header, &mut payload] {
            engine.encrypt(piece).map_err(|_| "not encrypted")?;
            out.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Understands a message.
    fn message(
        &mut self,
        header: [u8; HEADER_BYTES],
        p: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Heard>, String> {
        let extension = u16::from_le_bytes([header[0], header[1]]) & !CHANNEL_BIT;
        if extension != 0 {
            return Ok(None);
        }
        match header[2] {
            c::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
                self.open(out)?;
                Ok(None)
            }
            c::MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
                let error: c::SetupConnectionError<'_> = read(p)?;
                Err(format!("the connection was refused: {}", words(error.error_code.as_bytes())))
            }
            m::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR => {
                let error: m::OpenMiningChannelError<'_> = read(p)?;
                Err(format!("the channel was refused: {}", words(error.error_code.as_bytes())))
            }
            m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => {
                let open: m::OpenExtendedMiningChannelSuccess<'_> = read(p)?;
                self.id = open.channel_id;
                self.prefix = open.extranonce_prefix.as_bytes().to_vec();
                self.size = usize::from(open.extranonce_size);
                self.target = target(open.target.to_array());
                if !(1..=32).contains(&self.size) {
                    return Err(format!("an extranonce of {} bytes", self.size));
                }
                Ok(Some(Heard::Open))
            }
            m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => {
                let open: m::OpenStandardMiningChannelSuccess<'_> = read(p)?;
                self.id = open.channel_id;
                self.target = target(open.target.to_array());
                Ok(Some(Heard::Open))
            }
            m::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX => {
                let set: m::SetExtranoncePrefix<'_> = read(p)?;
                self.prefix = set.extranonce_prefix.as_bytes().to_vec();
                Ok(None)
            }
            m::MESSAGE_TYPE_SET_TARGET => {
                let set: m::SetTarget<'_> = read(p)?;
                self.target = target(set.maximum_target.to_array());
                Ok(None)
            }
            m::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => {
                let job: m::NewExtendedMiningJob<'_> = read(p)?;
                let draft = Draft {
                    version: job.version,
                    root: None,
                    prefix: job.coinbase_tx_prefix.as_bytes().to_vec(),
                    suffix: job.coinbase_tx_suffix.as_bytes().to_vec(),
                    branch: job
                        .merkle_path
                        .into_inner()
                        .into_iter()
                        .map(|sibling| sibling.to_array())
                        .collect(),
                };
                Ok(self.job(job.job_id, job.min_ntime.into_inner(), draft))
            }
            m::MESSAGE_TYPE_NEW_MINING_JOB => {
                let job: m::NewMiningJob<'_> = read(p)?;
                let draft = Draft {
                    version: job.version,
                    root: Some(job.merkle_root.to_array()),
                    prefix: Vec::new(),
                    suffix: Vec::new(),
                    branch: Vec::new(),
                };
                Ok(self.job(job.job_id, job.min_ntime.into_inner(), draft))
            }
            m::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => {
                let tip: m::SetNewPrevHash<'_> = read(p)?;
                let prev_hash = tip.prev_hash.to_array();
                self.tip = Some(Tip { prev_hash, bits: tip.nbits, ntime: tip.min_ntime });
                let draft = self.future.remove(&tip.job_id);
                self.future.clear();
                Ok(draft.and_then(|draft| self.work(tip.job_id, draft, true)))
            }
            m::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => {
                let good: m::SubmitSharesSuccess = read(p)?;
                let (last, count) = (good.last_sequence_number, good.new_submits_accepted_count);
                Ok(Some(Heard::Acknowledged { last, count }))
            }
            m::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
                let error: m::SubmitSharesError<'_> = read(p)?;
                let (sequence, code) =
                    (error.sequence_number, code_of(error.error_code.as_bytes()));
                Ok(Some(Heard::Refused { sequence, code }))
            }
            m::MESSAGE_TYPE_CLOSE_CHANNEL => {
                let close: m::CloseChannel<'_> = read(p)?;
                Err(format!("the channel was closed: {}", words(close.reason_code.as_bytes())))
            }
            // Groups, and what else a load generator need not heed.
            _ => Ok(None),
        }
    }

    /// A job has come: to be begun at once where it says when its time begins, else with its block.
    fn job(&mut self, number: u32, min_ntime: Option<u32>, draft: Draft) -> Option<Heard> {
        let Some(ntime) = min_ntime else {
            if self.future.len() < FUTURE_MAX {
                self.future.insert(number, draft);
            }
            return None;
        };
        if let Some(tip) = &mut self.tip {
            tip.ntime = ntime;
        }
        self.work(number, draft, false)
    }

    fn work(&self, number: u32, draft: Draft, clean: bool) -> Option<Heard> {
        let Tip { prev_hash, bits, ntime } = self.tip?;
        let job = ClientJob {
            id: number.to_string(),
            prev_hash,
            coinbase_prefix: draft.prefix,
            coinbase_suffix: draft.suffix,
            branch: draft.branch,
            version: draft.version,
            bits,
            ntime,
            clean,
            difficulty: 0.0,
            extranonce1: Vec::new(),
            extranonce2_size: 0,
        };
        let (extranonce1, extranonce2_size) = self.extranonce();
        let (root, target) = (draft.root, self.target);
        let work = Work { job, root, extranonce1, extranonce2_size, target };
        Some(Heard::Job(Box::new(work)))
    }

    /// Queues a share of a job.
    pub(crate) fn submit(
        &mut self,
        (job, ntime, version): (&str, u32, u32),
        sequence_number: u32,
        this: Try,
        form: Form,
        out: &mut Vec<u8>,
    ) {
        // A name that is no number is that of no job.
        let job_id = job.parse().unwrap_or(u32::MAX);
        let (channel_id, nonce) = (self.id, this.nonce);
        // What cannot be said (none of these) has no answer, which the run tells.
        let _ = match self.options.kind {
            ChannelKind::Extended => {
                let size = self.size - usize::from(form == Form::Malformed);
                let extranonce = extranonce2_bytes(this.extranonce2, size);
                let Ok(extranonce) = extranonce.as_slice().try_into() else { return };
                let share = m::SubmitSharesExtended {
                    channel_id,
                    sequence_number,
                    job_id,
                    nonce,
                    ntime,
                    version,
                    extranonce,
                };
                self.say(m::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED, true, share, out)
            }
            ChannelKind::Standard => {
                // Headers-only work has no extranonce: the number is rolled into the time.
                let rolled = u32::try_from(this.extranonce2).unwrap_or(u32::MAX);
                let share = m::SubmitSharesStandard {
                    channel_id: channel_id.wrapping_add(u32::from(form == Form::Malformed) << 20),
                    sequence_number,
                    job_id,
                    nonce,
                    ntime: ntime.saturating_add(rolled),
                    version,
                };
                self.say(m::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD, true, share, out)
            }
        };
    }
}

fn opened(engine: &mut NoiseEngine, sealed: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = sealed.to_vec();
    engine.decrypt(&mut plain).map_err(|_| "a frame that does not decrypt")?;
    Ok(plain)
}

fn payload_bytes(header: &[u8; HEADER_BYTES]) -> usize {
    let [_, _, _, a, b, c] = *header;
    usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
}

fn read<'a, T: Decodable<'a>>(bytes: &'a mut [u8]) -> Result<T, String> {
    from_bytes(bytes).map_err(|e| format!("a message that cannot be read: {e:?}"))
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `None` for the target that every hash meets.
fn target(little_endian: [u8; 32]) -> Option<Target> {
    let mut bytes = little_endian;
    bytes.reverse();
    (bytes != [0xff; 32]).then(|| Target::from_be_bytes(bytes))
}

/// What V1's servers say by number.
fn code_of(name: &[u8]) -> i64 {
    match name {
        b"stale-share" | b"invalid-job-id" => 21,
        b"duplicate-share" => 22,
        b"difficulty-too-low" => 23,
        _ => 20,
    }
}

/// The system's randomness, as the Noise crate wants it.
struct Random;

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        SystemEntropy.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_key_is_read_as_servers_publish_it() {
        // The one that the configuration examples of the reference pool have.
        let key = authority_of("9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72").unwrap();
        assert_eq!(base58ck::encode_check(&[&KEY_VERSION[..], &key].concat()).len(), 51);
        for bad in ["", "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH73", "0OIl"] {
            assert!(authority_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_target_that_all_hashes_meet_needs_no_mining() {
        assert_eq!(target([0xff; 32]), None);
        let mut below = [0xff; 32];
        below[0] = 0xfe;
        assert!(target(below).is_some());
    }
}
