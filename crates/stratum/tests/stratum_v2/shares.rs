//! What a connection promises about shares and blocks.

use crate::client::*;
use crate::proxy::{Proxy, ROLLED};
use gruve_pow::sha256d;
use gruve_stratum::seen::SeenBudget;
use gruve_stratum::session::{CloseReason, NOT_STORED, SEALED, SessionRules};
use gruve_units::{Algorithm, Timestamp};
use mining_sv2 as m;
use std::sync::Arc;

pub(crate) fn standard(
    channel_id: u32,
    job_id: u32,
    nonce: u32,
    ntime: u32,
    version: u32,
) -> Vec<u8> {
    let share = m::SubmitSharesStandard {
        channel_id,
        sequence_number: nonce,
        job_id,
        nonce,
        ntime,
        version,
    };
    frame(m::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD, true, share)
}

pub(crate) fn extended(channel_id: u32, job_id: u32, nonce: u32, extranonce: &[u8]) -> Vec<u8> {
    let share = m::SubmitSharesExtended {
        channel_id,
        sequence_number: nonce,
        job_id,
        nonce,
        ntime: NTIME,
        version: 0x2000_0000,
        extranonce: extranonce.try_into().unwrap(),
    };
    frame(m::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED, true, share)
}

/// Channel 1 is extended, channel 3 (its group is 2) is for headers only; every hash is a share.
fn two_channels() -> Wire {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    wire.say(&open_extended(1, "alice.a", 0.0, 0));
    let heard = wire.say(&open_standard(2, "alice.b", 0.0));
    let Heard::Standard(open) = &heard[0] else { panic!("{heard:?}") };
    assert_eq!((open.channel_id, open.group_channel_id), (3, 2));
    wire
}

#[test]
fn shares_read_together_are_acknowledged_together_after_they_are_in_the_log() {
    let mut wire = two_channels();
    let input = [
        extended(1, 1, 5, &ROLLED),
        standard(3, 1, 6, NTIME, 0x2000_0000),
        extended(1, 1, 7, &ROLLED),
        extended(1, 9, 8, &ROLLED),
        extended(1, 1, 7, &ROLLED),
    ]
    .concat();
    let heard = wire.say(&input);
    assert_eq!(words(&heard), ["refused", "refused", "accepted", "accepted"]);
    assert!(matches!(&heard[0], Heard::Refused(8, code) if code == "invalid-job-id"));
    assert!(matches!(&heard[1], Heard::Refused(7, code) if code == "duplicate-share"));
    let Heard::Accepted(both) = &heard[2] else { panic!() };
    assert_eq!((both.channel_id, both.last_sequence_number), (1, 7));
    assert_eq!(both.new_submits_accepted_count, 2);
    let Heard::Accepted(one) = &heard[3] else { panic!() };
    assert_eq!((one.channel_id, one.new_submits_accepted_count), (3, 1));
    assert_eq!(wire.log.len(), 3);
    let extranonces: Vec<_> = wire.log.iter().map(|s| s.extranonce.as_slice().to_vec()).collect();
    assert_eq!(extranonces[0], [&PREFIX[..], &ROLLED].concat());
    assert_eq!(extranonces[1], [&[0xa1, 0xb2, 0xc3, 0xd5], &[0; 8][..]].concat());
}

#[test]
fn acknowledged_difficulty_adds_up_over_batches() {
    // On a scrypt lane class 15 is difficulty 1/2 (hashed by SHA-256d here, which is quicker).
    let mut rules = SessionRules::new(Algorithm::Scrypt, (class(15), class(15)), class(15));
    rules.version_mask = 0x1fff_e000;
    let mut wire = Wire::with(rules);
    wire.say(&setup(REQUIRES_VERSION_ROLLING));
    wire.give(job(1, template(1, HARD)));
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let mut from = 0;
    let mut sums = Vec::new();
    for _ in 0..4 {
        let (share, next) = proxy.mine(1, 1, from);
        from = next;
        match &wire.say(&share)[..] {
            [Heard::Accepted(a)] => sums.push(a.new_shares_sum),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sums, [0, 1, 0, 1], "what is less than one waits for the next batch");
}

#[test]
fn a_share_of_the_wrong_form_is_refused_by_name() {
    let mut wire = two_channels();
    let v = 0x2000_0000;
    let mut code = |input: &[u8]| refusal(&wire.say(input)).to_owned();
    assert_eq!(code(&extended(99, 1, 1, &ROLLED)), "invalid-channel-id");
    assert_eq!(code(&extended(2, 1, 1, &ROLLED)), "invalid-channel-id", "a group");
    assert_eq!(code(&extended(1, 1, 1, &ROLLED[..7])), "bad-extranonce-size");
    assert_eq!(code(&extended(1, 1, 1, &[0; 32])), "bad-extranonce-size");
    assert_eq!(code(&extended(3, 1, 1, &ROLLED)), "invalid-share");
    assert_eq!(code(&standard(1, 1, 1, NTIME, v)), "invalid-share");
    assert_eq!(code(&standard(3, 0, 1, NTIME, v)), "invalid-job-id");
    assert_eq!(code(&standard(3, 1, 1, NTIME, v | 1)), "invalid-non-rollable-version-bit");
    assert_eq!(code(&standard(3, 1, 1, NTIME, 0)), "invalid-non-rollable-version-bit");
    assert_eq!(code(&standard(3, 1, 1, NTIME - 1, v)), "invalid-share");
    assert_eq!(code(&standard(3, 1, 1, NTIME + 7001, v)), "invalid-share");
    // BIP 320's bits and BIP 323's: clients know one or the other.
    assert_eq!(words(&wire.say(&standard(3, 1, 1, NTIME, v | 0x1fff_e000))), ["accepted"]);
    assert_eq!(words(&wire.say(&standard(3, 1, 2, NTIME, v | 0x1fff_ffe0))), ["accepted"]);
    assert_eq!(wire.log[0].version, v | 0x1fff_e000);
}

#[test]
fn a_lane_without_version_rolling_takes_the_jobs_version_only() {
    let mut fixed = rules();
    fixed.version_mask = 0;
    let mut wire = Wire::with(fixed);
    wire.say(&setup(0));
    wire.give(job(1, template(1, HARD)));
    let heard = wire.say(&open_extended(1, "alice", 0.0, 0));
    assert!(matches!(&heard[1], Heard::ExtendedJob(j) if !j.version_rolling_allowed));
    assert_eq!(words(&wire.say(&extended(1, 1, 1, &ROLLED))), ["accepted"]);
    wire.say(&open_standard(2, "alice", 0.0));
    let rolled = standard(3, 1, 1, NTIME, 0x2000_2000);
    assert_eq!(refusal(&wire.say(&rolled)), "version-rolling-not-allowed");
}

#[test]
fn a_new_block_makes_old_jobs_stale_and_a_refresh_does_not() {
    let mut wire = two_channels();
    wire.give(job(2, template(1, HARD)));
    assert_eq!(words(&wire.say(&extended(1, 1, 1, &ROLLED))), ["accepted"]);
    wire.give(job(3, template(2, HARD)));
    assert_eq!(refusal(&wire.say(&extended(1, 1, 2, &ROLLED))), "stale-share");
    assert_eq!(words(&wire.say(&extended(1, 3, 2, &ROLLED))), ["accepted"]);
    // Jobs that live no longer are forgotten.
    for n in 4..40 {
        wire.give(job(n, template(2, HARD)));
    }
    assert_eq!(refusal(&wire.say(&extended(1, 3, 3, &ROLLED))), "invalid-job-id");
}

#[test]
fn a_block_is_sent_even_when_stale_or_over_time_and_only_once() {
    let mut wire = Wire::with(rules());
    wire.say(&setup(REQUIRES_VERSION_ROLLING));
    wire.give(job(1, template(1, EASY)));
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 1e15, 0)));
    assert_eq!(proxy.class(1), 1, "never harder than a block");
    let network = gruve_units::Target::from_compact(EASY).unwrap();
    let solving = |work: &crate::proxy::Work, from: u32| {
        (from..).find(|n| network.is_met_by(&sha256d(&work.header(*n)))).unwrap()
    };
    let work = proxy.active(1);
    let nonce = solving(&work, 0);
    assert_eq!(words(&wire.say(&work.submit(1, nonce).0)), ["accepted"]);
    assert_eq!((wire.blocks.len(), wire.log.len()), (1, 1));
    assert_eq!(wire.blocks[0].block[..80], work.header(nonce));
    assert_eq!(wire.blocks[0].block_hash, sha256d(&work.header(nonce)));
    let mut late = work.clone();
    late.ntime = NTIME + 7001;
    let nonce = solving(&late, 0);
    assert_eq!(refusal(&wire.say(&late.submit(2, nonce).0)), "invalid-share");
    assert_eq!(refusal(&wire.say(&late.submit(3, nonce).0)), "duplicate-share");
    assert_eq!((wire.blocks.len(), wire.log.len()), (2, 1));
    wire.give(job(2, template(2, EASY)));
    let nonce = solving(&work, nonce + 100);
    assert_eq!(refusal(&wire.say(&work.submit(4, nonce).0)), "stale-share");
    assert_eq!((wire.blocks.len(), wire.log.len()), (3, 1));
}

#[test]
fn what_the_log_refuses_is_not_accepted_and_may_come_again() {
    let mut wire = two_channels();
    let share = extended(1, 1, 1, &ROLLED);
    wire.log_says = Err(NOT_STORED);
    assert_eq!(refusal(&wire.say(&share)), "not-stored");
    wire.log_says = Err(SEALED);
    assert_eq!(refusal(&wire.say(&share)), "stale-share");
    wire.log_says = Ok(());
    assert_eq!(words(&wire.say(&share)), ["accepted"]);
    assert_eq!(refusal(&wire.say(&share)), "duplicate-share");
    assert_eq!(wire.log.len(), 1);
}

#[test]
fn a_clock_that_jumps_does_not_refuse_all_work() {
    for jump in [-100_000_000i64, 100_000_000] {
        let mut wire = two_channels();
        wire.now = Timestamp::from_secs(i64::from(NTIME) + jump);
        assert_eq!(words(&wire.say(&extended(1, 1, 1, &ROLLED))), ["accepted"], "{jump}");
    }
}

#[test]
fn mostly_bad_shares_end_a_connection_and_duplicates_do_not() {
    let mut wire = two_channels();
    wire.say(&extended(1, 1, 1, &ROLLED));
    for _ in 0..600 {
        wire.say(&extended(1, 1, 1, &ROLLED));
    }
    assert_eq!(wire.closed, None);
    for _ in 0..300 {
        wire.say(&extended(1, 1, 1, &ROLLED[..3]));
    }
    assert_eq!(wire.closed, Some(CloseReason::BadShares));
}

#[test]
fn a_flood_at_a_low_class_is_bounded() {
    let max = 100;
    let mut bounded = rules();
    bounded.seen = Arc::new(SeenBudget::new(max, 1000));
    let max = u32::try_from(max).unwrap();
    let mut wire = Wire::with(bounded);
    wire.say(&setup(REQUIRES_VERSION_ROLLING));
    wire.give(job(1, template(1, HARD)));
    wire.say(&open_extended(1, "alice.a", 0.0, 0));
    let input: Vec<u8> = (0..max + 10).flat_map(|n| extended(1, 1, n, &ROLLED)).collect();
    let heard = wire.say(&input);
    assert_eq!(wire.log.len(), usize::try_from(max).unwrap());
    let refused =
        heard.iter().filter(|h| matches!(h, Heard::Refused(_, c) if c == "too-many-shares"));
    assert_eq!(refused.count(), 10);
    assert_eq!(wire.closed, None);
}
