//! No bytes panic, and none cost more than their sender.

use crate::client::*;
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use proptest::prelude::*;

#[test]
fn a_frame_too_long_is_refused_by_its_header() {
    let mut wire = Wire::working(0);
    let mut frame = raw_frame(0, 0x1b, &vec![0; limits::V2_FRAME_BYTES_MAX + 1]);
    frame.truncate(6);
    assert!(wire.say(&frame).is_empty());
    assert_eq!(wire.closed, Some(CloseReason::LongLine));
}

#[test]
fn frames_cut_anywhere_are_waited_for() {
    let whole = [setup(0), open_extended(1, "alice", 0.0, 0)].concat();
    for cut in 0..whole.len() {
        let mut wire = Wire::with(rules());
        let mut round = gruve_stratum::protocol::Round::default();
        use gruve_stratum::protocol::Protocol as _;
        let (taken, _) = wire.session.receive(&whole[..cut], wire.now, &mut round);
        assert!(taken <= cut);
        let heard = wire.say(&whole[taken..]);
        assert_eq!(words(&heard).last(), Some(&"open"), "cut at {cut}");
    }
}

#[test]
fn payloads_that_are_not_what_they_say_end_a_connection_after_some() {
    let mut wire = Wire::working(0);
    for _ in 0..limits::BAD_LINES_MAX - 1 {
        wire.say(&raw_frame(0, 0x1a, &[1, 2, 3]));
        assert_eq!(wire.closed, None);
    }
    wire.say(&raw_frame(0, 0x13, &[0xff; 9]));
    assert_eq!(wire.closed, Some(CloseReason::BadLines));
}

fn kinds() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0u8), 0x10u8..0x26, any::<u8>()]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut wire = Wire::with(rules());
        wire.say_bytes(&bytes);
        let mut wire = Wire::working(0);
        wire.say_bytes(&bytes);
    }

    #[test]
    fn no_payloads_panic(
        frames in proptest::collection::vec(
            (kinds(), 0u16..3, proptest::collection::vec(any::<u8>(), 0..200)), 0..20),
        flags in 0u32..2,
    ) {
        let mut wire = Wire::working(flags);
        wire.say(&open_standard(1, "alice", 0.0));
        let input: Vec<u8> = frames.iter().flat_map(|(k, e, p)| raw_frame(*e, *k, p)).collect();
        wire.say_bytes(&input);
        wire.wait(3);
        wire.give(job(2, template(2, HARD)));
    }

    /// Honest messages with a few bytes changed come further than noise does.
    #[test]
    fn no_changed_bytes_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let honest = [
            setup(0),
            open_extended(1, "alice.rig", 1e12, 0),
            open_standard(2, "alice.rig", 1e12),
            update(1, 1e13, 3),
            close(3),
        ];
        let mut input = honest.concat();
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] ^= byte;
        }
        let mut wire = Wire::with(rules());
        wire.say_bytes(&input);
        wire.give(job(2, template(2, HARD)));
        wire.wait(30);
    }
}
