//! Encryption of one V2 connection: `Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256`, our side.
//!
//! | direction | bytes |
//! |---|---|
//! | in | 64: the client's ephemeral key |
//! | out | 234: our ephemeral key, our static key and the certificate that the authority signs |
//! | both | frames: 22 of an encrypted header, then the payload in chunks of at most 65,535, each with a tag of 16 |
//!
//! The static key is made anew for each connection, so that what one connection leaks is of no use
//! against another; the authority's key only signs.
//!
//! Promises: no bytes panic; nothing is decrypted after the first error; a frame longer than
//! [`limits::V2_FRAME_BYTES_MAX`] is refused by its header, before it is waited for; only whole
//! frames are handed on, in the order they came, each once: a frame sent again does not decrypt.
//!
//! Must not know: what is in a frame.

use super::frame::HEADER_BYTES;
use super::keys::AuthorityKey;
use crate::limits;
use gruve_units::{Clock, Duration, Entropy};
use noise_sv2::{AEAD_MAC_LEN, ELLSWIFT_ENCODING_SIZE, NoiseEngine, Responder};
use rand_core::{CryptoRng, RngCore};
use std::fmt;
use std::sync::Arc;

/// A header with its tag.
const SEALED_HEADER_BYTES: usize = HEADER_BYTES + AEAD_MAC_LEN;

/// A chunk of a payload with its tag: Noise's longest message.
const SEALED_CHUNK_BYTES_MAX: usize = 65_535;

/// Plaintext in one chunk of a payload.
const CHUNK_BYTES_MAX: usize = SEALED_CHUNK_BYTES_MAX - AEAD_MAC_LEN;

/// Clients' clocks may be this much behind ours: the certificate counts from before now.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(3600);

/// Why a connection is not or no longer encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoiseError {
    /// No handshake came of what the client sent.
    #[error("the Noise handshake failed")]
    Handshake,
    /// Bytes that were not encrypted for us, now: another key, changed, lost, doubled.
    #[error("a frame does not decrypt")]
    Decrypt,
    /// A frame that no honest client sends.
    #[error("a frame of {0} bytes")]
    FrameTooLong(usize),
    /// What is to be sent cannot be: there is no key yet, or it is no whole frame.
    #[error("a frame cannot be encrypted")]
    Encrypt,
}

/// What all V2 connections of a gateway share.
pub struct NoiseServer {
    authority: AuthorityKey,
    cert_validity: Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for NoiseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseServer").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl NoiseServer {
    /// An authority whose certificates hold for `cert_validity` from the handshake on; clients look
    /// at them in the handshake only.
    #[must_use]
    pub fn new(
        authority: AuthorityKey,
        cert_validity: Duration,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> NoiseServer {
        NoiseServer { authority, cert_validity, clock, entropy }
    }

    /// The key that clients pin.
    #[must_use]
    pub const fn authority(&self) -> &AuthorityKey {
        &self.authority
    }

    fn respond(
        &self,
        client: [u8; ELLSWIFT_ENCODING_SIZE],
        wire: &mut Vec<u8>,
    ) -> Result<NoiseEngine, NoiseError> {
        let mut rng = Random(&*self.entropy);
        let validity = self.cert_validity.saturating_add(CLOCKS_APART_MAX);
        let key = &self.authority;
        let mut responder =
            Responder::from_authority_kp_with_rng(key.public(), key.secret(), validity, &mut rng)
                .map_err(|_| NoiseError::Handshake)?;
        let from = self.clock.now().minus(CLOCKS_APART_MAX).secs();
        let from = u32::try_from(from.max(0)).unwrap_or(u32::MAX);
        let (answer, engine) = responder
            .step_1_with_now_rng(client, from, &mut rng)
            .map_err(|_| NoiseError::Handshake)?;
        wire.extend_from_slice(&answer);
        Ok(engine)
    }
}

enum State {
    /// Waiting for the client's key.
    Handshake,
    /// Between frames, or within the one whose header came.
    Open { engine: Box<NoiseEngine>, header: Option<[u8; HEADER_BYTES]> },
    /// After an error.
    Broken(NoiseError),
}

/// One connection's encryption.
pub struct NoiseTransport {
    server: Arc<NoiseServer>,
    state: State,
    /// What came and is not whole yet.
    waiting: Vec<u8>,
    scratch: Vec<u8>,
}

impl fmt::Debug for NoiseTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseTransport").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl NoiseTransport {
    /// Of a connection that has just come.
    #[must_use]
    pub fn new(server: Arc<NoiseServer>) -> NoiseTransport {
        NoiseTransport { server, state: State::Handshake, waiting: Vec::new(), scratch: Vec::new() }
    }

    /// Whether the handshake is over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Takes bytes off the wire: whole frames are appended to `plain`, what the handshake answers
    /// to `wire`. Keeps at most one incomplete frame.
    ///
    /// # Errors
    /// What closes the connection; every later call gives the same.
    pub fn open(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(raw);
        let mut taken = 0;
        let outcome = loop {
            match self.take(waiting.get(taken..).unwrap_or_default(), plain, wire) {
                Ok(0) => break Ok(()),
                Ok(n) => taken += n,
                Err(e) => break Err(e),
            }
        };
        waiting.drain(..taken);
        if let Err(e) = outcome {
            self.state = State::Broken(e);
        } else if !waiting.is_empty() {
            self.waiting = waiting;
        }
        outcome
    }

    /// Takes one piece off the front, if it is whole; gives how long it was.
    fn take(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<usize, NoiseError> {
        match &mut self.state {
            State::Broken(e) => Err(*e),
            State::Handshake => {
                let Some(client) = raw.first_chunk::<ELLSWIFT_ENCODING_SIZE>() else {
                    return Ok(0);
                };
                let engine = Box::new(self.server.respond(*client, wire)?);
                self.state = State::Open { engine, header: None };
                Ok(client.len())
            }
            State::Open { engine, header: waiting @ None } => {
                let Some(sealed) = raw.first_chunk::<SEALED_HEADER_BYTES>() else { return Ok(0) };
                let mut header = sealed.to_vec();
                engine.decrypt(&mut header).map_err(|_| NoiseError::Decrypt)?;
                let header = *header.first_chunk().ok_or(NoiseError::Decrypt)?;
                let length = payload_bytes(&header);
                if length > limits::V2_FRAME_BYTES_MAX {
                    return Err(NoiseError::FrameTooLong(length));
                }
                if length == 0 {
                    plain.extend_from_slice(&header);
                } else {
                    *waiting = Some(header);
                }
                Ok(sealed.len())
            }
            State::Open { engine, header: waiting @ Some(_) } => {
                let Some(header) = *waiting else { return Ok(0) };
                let sealed = sealed_bytes(payload_bytes(&header));
                let Some(mut rest) = raw.get(..sealed) else { return Ok(0) };
                let start = plain.len();
                plain.extend_from_slice(&header);
                while !rest.is_empty() {
                    let (chunk, after) = rest.split_at(rest.len().min(SEALED_CHUNK_BYTES_MAX));
                    rest = after;
                    self.scratch.clear();
                    self.scratch.extend_from_slice(chunk);
                    if engine.decrypt(&mut self.scratch).is_err() {
                        plain.truncate(start);
                        return Err(NoiseError::Decrypt);
                    }
                    plain.extend_from_slice(&self.scratch);
                }
                *waiting = None;
                Ok(sealed)
            }
        }
    }

    /// Encrypts whole frames for the wire.
    ///
    /// # Errors
    /// [`NoiseError::Encrypt`] before the handshake is over, or for half a frame.
    pub fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), NoiseError> {
        let State::Open { engine, .. } = &mut self.state else {
            return if plain.is_empty() { Ok(()) } else { Err(NoiseError::Encrypt) };
        };
        let mut rest = plain;
        while !rest.is_empty() {
            let header = rest.first_chunk::<HEADER_BYTES>().ok_or(NoiseError::Encrypt)?;
            let end = HEADER_BYTES + payload_bytes(header);
            let payload = rest.get(HEADER_BYTES..end).ok_or(NoiseError::Encrypt)?;
            for piece in std::iter::once(&header[..]).chain(payload.chunks(CHUNK_BYTES_MAX)) {
                self.scratch.clear();
                self.scratch.extend_from_slice(piece);
                engine.encrypt(&mut self.scratch).map_err(|_| NoiseError::Encrypt)?;
                wire.extend_from_slice(&self.scratch);
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        Ok(())
    }
}

fn payload_bytes(header: &[u8; HEADER_BYTES]) -> usize {
    let [_, _, _, a, b, c] = *header;
    usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
}

fn sealed_bytes(payload: usize) -> usize {
    payload + payload.div_ceil(CHUNK_BYTES_MAX) * AEAD_MAC_LEN
}

/// The house's randomness, as the Noise crate wants it.
struct Random<'a>(&'a dyn Entropy);

impl RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

impl CryptoRng for Random<'_> {}
