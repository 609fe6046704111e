//! Encryption: against the reference codec as the client, and against who has no key or changes
//! what is on the wire.

use codec_sv2::{
    Decrypted, Handshake, NoiseDecoder, NoiseEncoder, TransportDecryptState, TransportEncryptState,
};
use common_messages_sv2::{MESSAGE_TYPE_RECONNECT, Reconnect};
use framing_sv2::framing::{MessageFrame, SerializedFrame};
use gruve_stratum::limits;
use gruve_stratum::v2::{AuthorityKey, NoiseError, NoiseServer, NoiseTransport};
use gruve_units::{Duration, ManualClock, SeededEntropy, Timestamp};
use noise_sv2::{INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator};
use proptest::prelude::*;
use rand_core::{CryptoRng, RngCore};
use std::sync::Arc;

const NOW: u32 = 1_700_000_000;

fn server() -> Arc<NoiseServer> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(i64::from(NOW))));
    let key = AuthorityKey::from_secret([7; 32]).unwrap();
    let validity = Duration::from_secs(3600);
    Arc::new(NoiseServer::new(key, validity, clock, Arc::new(SeededEntropy::new(1))))
}

/// Random enough for tests, and the same each time.
pub(crate) struct Counting(pub(crate) u64);

impl RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.next_u64().to_le_bytes()[4..].try_into().unwrap())
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

/// The client's half after the handshake.
struct Client {
    encrypt: TransportEncryptState,
    decrypt: Option<TransportDecryptState>,
    encoder: NoiseEncoder,
    decoder: NoiseDecoder,
}

impl Client {
    fn connect(
        transport: &mut NoiseTransport,
        authority: [u8; 32],
        now: u32,
    ) -> codec_sv2::Result<Client> {
        let initiator = Initiator::from_raw_k_with_rng(authority, &mut Counting(9)).unwrap();
        let (first, sent) = Handshake::initiator(initiator).step_0().unwrap();
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        transport.open(first.payload(), &mut plain, &mut wire).unwrap();
        assert!(plain.is_empty() && transport.is_open());
        let answer: [u8; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE] = wire.try_into().unwrap();
        let (encrypt, decrypt) = sent.step_2_with_now(answer, now)?.split();
        let (encoder, decoder) = (NoiseEncoder::new(), NoiseDecoder::new());
        Ok(Client { encrypt, decrypt: Some(decrypt), encoder, decoder })
    }

    /// A message of its own, encrypted, and what it was.
    fn says(&mut self, host: &str) -> (Vec<u8>, Vec<u8>) {
        let message = Reconnect { new_host: host.try_into().unwrap(), new_port: 1 };
        let plain = binary_sv2::to_bytes(message.clone()).unwrap();
        let length = u32::try_from(plain.len()).unwrap().to_le_bytes();
        let plain = [&[0, 0, MESSAGE_TYPE_RECONNECT], &length[..3], &plain].concat();
        let frame = MessageFrame::from_message(message, MESSAGE_TYPE_RECONNECT, 0, false).unwrap();
        let sealed = self.encoder.encode_transport(frame, &mut self.encrypt).unwrap();
        (AsRef::<[u8]>::as_ref(&sealed).to_vec(), plain)
    }

    /// The frame in what came from the server.
    fn hears(&mut self, mut sealed: &[u8]) -> Vec<u8> {
        loop {
            let room = self.decoder.writable();
            let (now, rest) = sealed.split_at(room.len().min(sealed.len()));
            room[..now.len()].copy_from_slice(now);
            sealed = rest;
            match self.decoder.next_transport_frame(self.decrypt.take().unwrap()).unwrap() {
                Decrypted::Frame(frame, state) => {
                    self.decrypt = Some(state);
                    assert!(sealed.is_empty());
                    return frame.into_bytes().to_vec();
                }
                Decrypted::Incomplete(_, state) => self.decrypt = Some(state),
            }
        }
    }
}

fn pair() -> (NoiseTransport, Client) {
    let server = server();
    let mut transport = NoiseTransport::new(Arc::clone(&server));
    let client = Client::connect(&mut transport, *server.authority().public(), NOW).unwrap();
    (transport, client)
}

#[test]
fn the_reference_client_and_we_understand_each_other_however_the_bytes_arrive() {
    let (mut transport, mut client) = pair();
    for piece in [1, 5, 22, 23, 1000] {
        let (a, b) = (client.says("one"), client.says("two"));
        let mut plain = Vec::new();
        for bytes in [a.0, b.0].concat().chunks(piece) {
            transport.open(bytes, &mut plain, &mut Vec::new()).unwrap();
        }
        assert_eq!(plain, [a.1, b.1].concat(), "in pieces of {piece}");
    }
    // From nothing to more than one chunk of Noise.
    for length in [0usize, 1, 500, 65_518, 65_519, 65_520, 200_000] {
        let header = u32::try_from(length).unwrap().to_le_bytes();
        let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
        let frame = [&[0, 0x80, 0x1f], &header[..3], &payload].concat();
        let mut wire = Vec::new();
        transport.seal(&frame, &mut wire).unwrap();
        assert_eq!(client.hears(&wire), frame, "{length} bytes");
    }
}

#[test]
fn a_client_that_pins_another_key_turns_away() {
    let other = AuthorityKey::from_secret([8; 32]).unwrap();
    let mut transport = NoiseTransport::new(server());
    assert!(Client::connect(&mut transport, *other.public(), NOW).is_err());
}

#[test]
fn certificates_hold_for_clocks_an_hour_apart_and_not_for_ever() {
    let connects = |now: u32| {
        let server = server();
        let mut transport = NoiseTransport::new(Arc::clone(&server));
        Client::connect(&mut transport, *server.authority().public(), now).is_ok()
    };
    assert!(connects(NOW - 3_600) && connects(NOW + 3_600));
    assert!(!connects(NOW - 3_700) && !connects(NOW + 3_700));
}

#[test]
fn a_cut_handshake_gives_nothing_and_waits() {
    let mut transport = NoiseTransport::new(server());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    for _ in 0..63 {
        transport.open(&[7], &mut plain, &mut wire).unwrap();
    }
    assert!(!transport.is_open() && plain.is_empty() && wire.is_empty());
    assert_eq!(transport.seal(&[0; 6], &mut wire), Err(NoiseError::Encrypt));
    transport.open(&[7], &mut plain, &mut wire).unwrap();
    assert!(transport.is_open());
    assert_eq!(wire.len(), INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE);
}

#[test]
fn plain_messages_on_an_encrypted_port_give_nothing() {
    let mut transport = NoiseTransport::new(server());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    let line = br#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.12.0"]}"#;
    // 64 bytes of it count as a key, the rest does not decrypt.
    let talk = [&line[..], b"\n", &line[..]].concat();
    assert_eq!(transport.open(&talk, &mut plain, &mut wire), Err(NoiseError::Decrypt));
    assert!(plain.is_empty());
    assert_eq!(transport.open(b"more", &mut plain, &mut wire), Err(NoiseError::Decrypt));
}

#[test]
fn every_changed_byte_of_a_frame_is_found() {
    let (_, mut client) = pair();
    let length = client.says("host").0.len();
    for at in 0..length {
        let (mut transport, mut client) = pair();
        let (mut sealed, _) = client.says("host");
        sealed[at] ^= 1;
        let mut plain = Vec::new();
        let outcome = transport.open(&sealed, &mut plain, &mut Vec::new());
        assert_eq!(outcome, Err(NoiseError::Decrypt), "byte {at}");
        assert!(plain.is_empty());
        assert!(!transport.is_open());
    }
}

#[test]
fn a_frame_sent_again_left_out_or_of_another_connection_does_not_decrypt() {
    let opens = |transport: &mut NoiseTransport, sealed: &[u8]| {
        transport.open(sealed, &mut Vec::new(), &mut Vec::new())
    };
    let (mut transport, mut client) = pair();
    let (sealed, _) = client.says("host");
    opens(&mut transport, &sealed).unwrap();
    assert_eq!(opens(&mut transport, &sealed), Err(NoiseError::Decrypt));

    let (mut transport, mut client) = pair();
    client.says("left out");
    let (sealed, _) = client.says("host");
    assert_eq!(opens(&mut transport, &sealed), Err(NoiseError::Decrypt));

    let (_, mut client) = pair();
    let mut other = NoiseTransport::new(server());
    opens(&mut other, &[9; 64]).unwrap();
    assert_eq!(opens(&mut other, &client.says("host").0), Err(NoiseError::Decrypt));
}

#[test]
fn a_frame_too_long_is_refused_by_its_header() {
    let (mut transport, mut client) = pair();
    let too_long = limits::V2_FRAME_BYTES_MAX + 1;
    let length = u32::try_from(too_long).unwrap().to_le_bytes();
    let bytes = [&[0, 0x80, 0x1b], &length[..3], &vec![0; too_long]].concat();
    let frame = SerializedFrame::from_bytes(bytes).unwrap();
    let sealed = client.encoder.encode_transport(frame, &mut client.encrypt).unwrap();
    let header = &AsRef::<[u8]>::as_ref(&sealed)[..22];
    let outcome = transport.open(header, &mut Vec::new(), &mut Vec::new());
    assert_eq!(outcome, Err(NoiseError::FrameTooLong(too_long)));
}

#[test]
fn half_a_frame_is_not_sent() {
    let (mut transport, _) = pair();
    assert_eq!(transport.seal(&[0, 0, 1, 2, 0, 0, 9], &mut Vec::new()), Err(NoiseError::Encrypt));
    assert_eq!(transport.seal(&[0, 0], &mut Vec::new()), Err(NoiseError::Encrypt));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic(pieces in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 0..6)) {
        let mut transport = NoiseTransport::new(server());
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        for piece in &pieces {
            let _ = transport.open(piece, &mut plain, &mut wire);
        }
        prop_assert!(plain.is_empty());
        prop_assert!(wire.len() <= INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE);
    }
}
