//! The client's half of a Noise connection.

use gruve_stratum::v2::{AuthorityKey, NoiseServer, NoiseTransport};
use gruve_units::{Duration, ManualClock, SeededEntropy, Timestamp};
use noise_sv2::{INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator, NoiseEngine};
use rand_core::{CryptoRng, RngCore};
use std::sync::Arc;

const NOW: u32 = 1_700_000_000;

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 6;

pub(crate) fn server(seed: u64) -> Arc<NoiseServer> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(i64::from(NOW))));
    let key = AuthorityKey::from_secret([7; 32]).expect("a key");
    let entropy = Arc::new(SeededEntropy::new(seed));
    Arc::new(NoiseServer::new(key, Duration::from_secs(3600), clock, entropy))
}

/// Random enough, and the same each time.
pub(crate) struct Counting(pub(crate) u64);

impl RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        let [_, _, _, _, a, b, c, d] = self.next_u64().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
    fn next_u64(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill_with(|| self.next_u64().to_le_bytes()[5]);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Counting {}

/// Both ends of a connection after the handshake.
pub(crate) struct Tunnel {
    pub(crate) server: NoiseTransport,
    pub(crate) client: NoiseEngine,
}

impl Tunnel {
    pub(crate) fn open(seed: u64) -> Tunnel {
        let server = server(seed);
        let authority = *server.authority().public();
        let mut transport = NoiseTransport::new(server);
        let mut initiator =
            Initiator::from_raw_k_with_rng(authority, &mut Counting(seed)).expect("a key");
        let first = initiator.step_0().expect("a first message");
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        transport.open(&first, &mut plain, &mut wire).expect("an honest client is answered");
        let answer: [u8; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE] =
            wire.try_into().expect("the answer's length");
        let client = initiator.step_2_with_now(answer, NOW).expect("an honest server");
        Tunnel { server: transport, client }
    }

    /// A client's frame as it goes over the wire.
    pub(crate) fn seal(&mut self, frame: &[u8]) -> Vec<u8> {
        let (header, payload) = frame.split_at(HEADER);
        let mut wire = header.to_vec();
        self.client.encrypt(&mut wire).expect("encryption");
        for chunk in payload.chunks(65_519) {
            let mut chunk = chunk.to_vec();
            self.client.encrypt(&mut chunk).expect("encryption");
            wire.extend(chunk);
        }
        wire
    }

    /// What the client hears.
    pub(crate) fn unseal(&mut self, mut wire: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !wire.is_empty() {
            let mut header = self.decrypt(&mut wire, HEADER + 16);
            let mut left = length(&header);
            plain.append(&mut header);
            while left > 0 {
                let chunk = left.min(65_519);
                plain.append(&mut self.decrypt(&mut wire, chunk + 16));
                left -= chunk;
            }
        }
        plain
    }

    fn decrypt(&mut self, wire: &mut &[u8], bytes: usize) -> Vec<u8> {
        let (front, rest) = wire.split_at(bytes);
        *wire = rest;
        let mut piece = front.to_vec();
        self.client.decrypt(&mut piece).expect("what the server encrypted");
        piece
    }
}

/// The payload's length in a frame's header.
pub(crate) fn length(header: &[u8]) -> usize {
    usize::from(header[3]) | usize::from(header[4]) << 8 | usize::from(header[5]) << 16
}
