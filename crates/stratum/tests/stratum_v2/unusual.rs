//! What is allowed though few clients do it, and what is possible though none should.

use crate::client::*;
use crate::proxy::{Proxy, ROLLED};
use crate::shares::{extended, standard};
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use gruve_units::Duration;
use mining_sv2 as m;

/// A request for a channel, byte by byte: what the reference crate would not write.
fn open_raw(kind: u8, request_id: u32, user: &[u8], hashrate: f32, target: [u8; 32]) -> Vec<u8> {
    let user = [&[u8::try_from(user.len()).unwrap()], user].concat();
    let least =
        if kind == m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL { &[4, 0][..] } else { &[] };
    let numbers = [&hashrate.to_le_bytes()[..], &target, least].concat();
    raw_frame(0, kind, &[&request_id.to_le_bytes()[..], &user, &numbers].concat())
}

fn open_named(request_id: u32, user: &[u8]) -> Vec<u8> {
    let kind = m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL;
    open_raw(kind, request_id, user, 0.0, [0xff; 32])
}

/// The same frame with more behind its message.
fn with_more(frame: &[u8], more: &[u8]) -> Vec<u8> {
    let extension = u16::from_le_bytes([frame[0], frame[1]]);
    raw_frame(extension, frame[2], &[&frame[6..], more].concat())
}

fn update_raw(channel: u32, hashrate: f32, target: [u8; 32]) -> Vec<u8> {
    let numbers = [&channel.to_le_bytes()[..], &hashrate.to_le_bytes(), &target].concat();
    raw_frame(0x8000, m::MESSAGE_TYPE_UPDATE_CHANNEL, &numbers)
}

/// The code with which a channel was refused.
fn open_error(heard: &[Heard]) -> &str {
    match heard {
        [Heard::OpenError(_, code)] => code,
        other => panic!("{other:?}"),
    }
}

fn update_error(heard: &[Heard]) -> &str {
    match heard {
        [Heard::UpdateError(_, code)] => code,
        other => panic!("{other:?}"),
    }
}

/// Rates that are none, to the least one below zero.
const NO_RATES: [f32; 5] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MIN_POSITIVE];

#[test]
fn a_flag_that_nobody_knows_is_refused_and_named_beside_those_not_served() {
    for unknown in [1 << 3, 1 << 31] {
        let mut wire = Wire::with(rules());
        let heard = wire.say(&setup(REQUIRES_VERSION_ROLLING | unknown));
        let [Heard::SetupError(e)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(e.flags, REQUIRES_WORK_SELECTION | unknown);
        assert_eq!(e.error_code.as_bytes(), b"unsupported-feature-flags");
        assert_eq!(wire.closed, Some(CloseReason::Setup));
    }
}

#[test]
fn a_second_setup_changes_nothing_and_ends_a_connection_that_goes_on_with_it() {
    let mut wire = Wire::working(REQUIRES_STANDARD_JOBS);
    assert!(wire.say(&setup(0)).is_empty());
    let extended = "extended-channels-not-supported-for-standard-jobs";
    assert_eq!(open_error(&wire.say(&open_extended(1, "alice", 0.0, 0))), extended);
    for _ in 2..limits::BAD_LINES_MAX {
        wire.say(&setup(0));
        assert_eq!(wire.closed, None);
    }
    wire.say(&setup(0));
    assert_eq!(wire.closed, Some(CloseReason::BadLines));
}

#[test]
fn messages_that_nobody_knows_are_passed_over_however_many_they_are() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let servers = [m::MESSAGE_TYPE_NEW_MINING_JOB, m::MESSAGE_TYPE_SET_TARGET, 0x04];
    for n in 0..3 * u8::try_from(limits::BAD_LINES_MAX).unwrap() {
        // Of another extension, with or without a channel; of no type; such as only servers send.
        for extension in [2, 0x8002, 0x7fff] {
            assert!(wire.say(&raw_frame(extension, n, &[n; 30])).is_empty());
        }
        assert!(wire.say(&raw_frame(0, 0x80 | n, &[n; 30])).is_empty());
        for kind in servers {
            assert!(wire.say(&raw_frame(0x8000, kind, &[n])).is_empty());
        }
    }
    assert_eq!(wire.closed, None);
    assert_eq!(words(&wire.say(&proxy.mine(1, 1, 0).0)), ["accepted"]);
}

/// Extensions put their fields there, also for servers that do not know them.
#[test]
fn what_stands_behind_a_message_is_passed_over() {
    // Extension 2, field 1: five bytes.
    let more = [2, 0, 1, 5, 0, b'r', b'i', b'g', b'-', b'1'];
    let mut wire = Wire::with(rules());
    assert_eq!(words(&wire.say(&with_more(&setup(0), &more))), ["setup"]);
    wire.give(job(1, template(1, HARD)));
    let opened = wire.say(&with_more(&open_extended(1, "alice.a", 0.0, 0), &more));
    assert_eq!(words(&opened)[0], "open");
    assert_eq!(words(&wire.say(&with_more(&open_standard(2, "alice.b", 0.0), &more)))[0], "open");
    assert_eq!(words(&wire.say(&with_more(&extended(1, 1, 5, &ROLLED), &more))), ["accepted"]);
    let share = standard(3, 1, 6, NTIME, 0x2000_0000);
    assert_eq!(words(&wire.say(&with_more(&share, &more))), ["accepted"]);
    assert_eq!(words(&wire.say(&with_more(&update(3, 0.0, 9), &more)))[0], "target");
    wire.say(&with_more(&close(3), &more));
    assert_eq!(update_error(&wire.say(&update(3, 0.0, 9))), "invalid-channel-id");
    assert_eq!(wire.log.len(), 2);
}

#[test]
fn rates_that_are_none_are_refused_wherever_they_can_be_said() {
    let kinds = [
        m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL,
        m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL,
    ];
    let mut wire = Wire::working(0);
    wire.say(&open_standard(1, "alice", 0.0));
    for rate in NO_RATES {
        for kind in kinds {
            let mut wire = Wire::working(0);
            let heard = wire.say(&open_raw(kind, 1, b"alice", rate, [0xff; 32]));
            assert_eq!(open_error(&heard), "invalid-nominal-hashrate", "{rate}");
            assert!(wire.logins.is_empty(), "before anybody is asked");
        }
        let heard = wire.say(&update_raw(1, rate, target_bytes(9)));
        assert_eq!(update_error(&heard), "invalid-nominal-hashrate", "{rate}");
    }
    assert!(wire.wait(1).is_empty(), "the target beside it is not heeded either");
    // Nothing yet, less than a hash, and more than there is are rates.
    for (rate, k) in [(-0.0, 0), (f32::MIN_POSITIVE, 0), (f32::MAX, 32)] {
        let mut wire = Wire::working(0);
        let heard = wire.say(&open_standard(1, "alice", rate));
        let Heard::Standard(open) = &heard[0] else { panic!("{rate}: {heard:?}") };
        assert_eq!(open.target.to_array(), target_bytes(k), "{rate}");
    }
}

#[test]
fn a_target_that_no_hash_meets_is_out_of_range() {
    let mut wire = Wire::working(0);
    for kind in
        [m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL]
    {
        let heard = wire.say(&open_raw(kind, 1, b"alice", 0.0, [0; 32]));
        assert_eq!(open_error(&heard), "max-target-out-of-range");
    }
    assert!(wire.logins.is_empty());
    wire.say(&open_standard(1, "alice", 0.0));
    assert_eq!(update_error(&wire.say(&update_raw(1, 0.0, [0; 32]))), "max-target-out-of-range");
    let huge = wire.say(&open_extended_with(2, "alice", 0.0, 0, u16::MAX));
    assert_eq!(open_error(&huge), "min-extranonce-size-too-large");
}

#[test]
fn an_identity_is_text_no_longer_than_a_login() {
    let longest = [b'a'; limits::USER_BYTES_MAX];
    let mut wire = Wire::working(0);
    assert_eq!(words(&wire.say(&open_named(1, &longest)))[0], "open");
    assert_eq!(wire.logins[0].0.as_bytes(), longest);
    let too_long = [&longest[..], b"a"].concat();
    let not_text: [&[u8]; 3] = [b"alice.\xff", b"\xc3", b"\x80lice"];
    for user in [&[b'a'; 255][..], &too_long, b""].into_iter().chain(not_text) {
        let mut wire = Wire::working(0);
        assert_eq!(open_error(&wire.say(&open_named(1, user))), "invalid-user-identity");
        assert!(wire.logins.is_empty(), "{user:?}");
    }
    // A password has what is left of the field's 255 bytes.
    let password = "p".repeat(255 - "house:.rig".len());
    wire.say(&open_extended(2, &format!("house:{password}.rig"), 0.0, 0));
    assert_eq!(wire.logins[1], ("house.rig".to_owned(), password));
}

#[test]
fn the_number_of_a_request_comes_back_whatever_it_is() {
    let mut wire = Wire::working(0);
    for id in [u32::MAX, 0, 0, 7] {
        let heard = wire.say(&open_extended(id, "alice", 0.0, 0));
        assert!(matches!(&heard[0], Heard::Extended(open) if open.request_id == id), "{heard:?}");
        let heard = wire.say(&open_standard(id, "alice", 0.0));
        assert!(matches!(&heard[0], Heard::Standard(open) if open.request_id == id), "{heard:?}");
        let heard = wire.say(&open_standard(id, "nobody", 0.0));
        assert!(matches!(&heard[..], [Heard::OpenError(own, _)] if *own == id), "{heard:?}");
    }
    let numbers: Vec<u32> = (0..8).map(|n| 1 + n + u32::from(n > 0)).collect();
    wire.say(&numbers.iter().flat_map(|n| close(*n)).collect::<Vec<_>>());
    assert!(wire.give(job(2, template(2, HARD))).is_empty(), "each had a number of its own");
}

/// Else work of a hard class would count at an easy one's, or an easy hash at a hard one's.
#[test]
fn a_share_names_a_job_that_its_own_channel_was_given() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice.a", 0.0, 0)));
    wire.last_class = Some(class(8));
    proxy.hear(&wire.say(&open_extended(2, "alice.b", 0.0, 0)));
    let channels: Vec<u32> = proxy.channels.keys().copied().collect();
    let jobs: Vec<u32> = channels.iter().map(|id| proxy.active(*id).job).collect();
    assert_ne!(jobs[0], jobs[1], "classes share no job");
    for (channel, job) in [(channels[0], jobs[1]), (channels[1], jobs[0])] {
        assert_eq!(refusal(&wire.say(&extended(channel, job, 1, &ROLLED))), "invalid-job-id");
    }
    assert!(wire.log.is_empty());
    for channel in channels {
        assert_eq!(words(&wire.say(&proxy.mine(channel, 1, 0).0)), ["accepted"]);
    }
}

#[test]
fn a_channel_opened_before_there_is_work_hears_of_it_as_of_a_new_block() {
    let mut wire = Wire::with(rules());
    wire.say(&setup(REQUIRES_VERSION_ROLLING));
    let mut proxy = Proxy::default();
    let heard = wire.say(&open_extended(1, "alice", 0.0, 0));
    assert_eq!(words(&heard), ["open"]);
    proxy.hear(&heard);
    assert_eq!(refusal(&wire.say(&extended(1, 0, 1, &ROLLED))), "invalid-job-id");
    assert!(wire.say(&update(1, 0.0, 5)).is_empty(), "said with the first job");
    assert!(wire.wait(60).is_empty(), "nothing to be judged by");
    let heard = wire.give(job(1, template(1, HARD)));
    assert_eq!(words(&heard), ["target", "group", "future extended job", "prev hash"]);
    proxy.hear(&heard);
    assert_eq!(proxy.class(1), 5);
    assert_eq!(words(&wire.say(&proxy.mine(1, 1, 0).0)), ["accepted"]);
}

#[test]
fn a_share_read_with_the_closing_of_its_channel_brings_nothing_and_hurts_no_other() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice.a", 0.0, 0)));
    proxy.hear(&wire.say(&open_extended(2, "alice.b", 0.0, 0)));
    let channels: Vec<u32> = proxy.channels.keys().copied().collect();
    let last = proxy.mine(channels[0], 1, 0).0;
    assert!(wire.say(&[last, close(channels[0])].concat()).is_empty());
    assert!(wire.log.is_empty(), "what was not answered need not count");
    assert_eq!(words(&wire.say(&proxy.mine(channels[1], 1, 0).0)), ["accepted"]);
}

#[test]
fn a_question_for_extensions_that_is_cut_short_is_malformed_and_one_for_none_is_answered() {
    let mut wire = Wire::working(0);
    let heard = wire.say(&raw_frame(1, 0, &[5, 0, 0, 0]));
    let [Heard::Foreign(1, 2, payload)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(payload, &[5, 0, 0, 0, 0, 0]);
    for _ in 0..limits::BAD_LINES_MAX {
        // Two extensions announced, one and a half there.
        assert!(wire.say(&raw_frame(1, 0, &[5, 0, 2, 0, 2, 0, 3])).is_empty());
    }
    assert_eq!(wire.closed, Some(CloseReason::BadLines));
}

#[test]
fn a_connection_with_a_channel_may_be_silent_for_a_day_and_no_longer() {
    let mut wire = Wire::working(0);
    wire.say(&open_extended(1, "alice", 0.0, 0));
    wire.now = wire.now.plus(limits::V2_IDLE_MAX.saturating_sub(Duration::from_secs(2)));
    wire.wait(2);
    assert_eq!(wire.closed, None);
    wire.wait(1);
    assert_eq!(wire.closed, Some(CloseReason::Idle));
}

/// The control knows better then than what a client says of itself.
#[test]
fn a_rate_moves_the_class_until_the_first_share_and_never_after() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let heard = wire.say(&update(1, 2.0, 0));
    assert_eq!(words(&heard), ["target", "group", "extended job"]);
    proxy.hear(&heard);
    assert_eq!(proxy.class(1), 3, "a share in five seconds");
    assert_eq!(words(&wire.say(&proxy.mine(1, 1, 0).0)), ["accepted"]);
    assert!(wire.say(&update(1, 1e12, 0)).is_empty());
}
