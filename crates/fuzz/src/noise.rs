//! Bytes on an encrypted V2 connection: before, in and after the handshake, in pieces.
//!
//! What must hold: no panic; after an error nothing more comes out; frames come out as they were
//! put in, whole and in order, up to the first that was changed, and none after it.

use crate::input::Input;
use crate::secret::{Tunnel, server};
use gruve_stratum::limits;
use gruve_stratum::v2::NoiseTransport;

/// Frames of one input.
const FRAMES_MAX: usize = 12;

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { changed(&mut input) } else { bytes(&mut input) }
}

/// Bytes from nobody in particular.
fn bytes(input: &mut Input<'_>) {
    let mut transport = NoiseTransport::new(server(u64::from(input.byte())));
    let piece = usize::from(input.byte()) + 1;
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    let mut broken = None;
    for part in input.rest().chunks(piece) {
        let outcome = transport.open(part, &mut plain, &mut wire);
        assert!(broken.is_none() || outcome.err() == broken, "an error does not pass");
        broken = broken.or(outcome.err());
        // No key was agreed on, so nothing can be said.
        assert!(plain.is_empty());
        assert!(wire.len() <= 234, "{} bytes for a handshake", wire.len());
    }
}

/// An honest client's frames, some of them changed on the way.
fn changed(input: &mut Input<'_>) {
    let mut tunnel = Tunnel::open(u64::from(input.byte()));
    let piece = usize::from(input.byte()) + 1;
    let (mut honest, mut wire) = (Vec::new(), Vec::new());
    // Each frame, and where it ends on the honest wire.
    let mut frames = Vec::new();
    let mut is_short = true;
    for _ in 0..FRAMES_MAX {
        if input.is_empty() {
            break;
        }
        let bytes = usize::from(input.u16()) % (limits::V2_FRAME_BYTES_MAX + 64);
        let length = bytes.to_le_bytes();
        let mut frame = vec![input.byte(), 0, input.byte(), length[0], length[1], length[2]];
        frame.resize(frame.len() + bytes, input.byte());
        let mut sealed = tunnel.seal(&frame);
        honest.extend_from_slice(&sealed);
        is_short &= bytes <= limits::V2_FRAME_BYTES_MAX;
        if is_short {
            frames.push((frame, honest.len()));
        }
        match input.below(8) {
            0 => {
                let at = usize::from(input.u16()) % sealed.len();
                sealed[at] ^= 1 << input.below(8);
            }
            1 => sealed.truncate(usize::from(input.u16()) % sealed.len()),
            // The same again does not decrypt.
            2 => wire.extend_from_slice(&sealed),
            _ => {}
        }
        wire.extend(sealed);
    }
    // What was cut off may be what comes next: then nothing has changed yet.
    let same = honest.iter().zip(&wire).take_while(|(one, other)| one == other).count();
    frames.retain(|(_, end)| *end <= same);
    let sent: Vec<u8> = frames.into_iter().flat_map(|(frame, _)| frame).collect();
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    let mut broken = None;
    for part in wire.chunks(piece) {
        let before = plain.len();
        let outcome = tunnel.server.open(part, &mut plain, &mut out);
        if let Some(e) = broken {
            assert_eq!((outcome, plain.len()), (Err(e), before), "nothing after an error");
        }
        broken = broken.or(outcome.err());
    }
    assert!(out.is_empty());
    let (came, were) = (plain.len(), sent.len());
    assert!(plain == sent, "frames up to the first changed one: {came} bytes of {were}");
}
