//! Setting up, opening, classes, groups: what comes in what order, and that the reference client
//! understands it.

use crate::client::*;
use crate::proxy::{Proxy, Work};
use gruve_pow::sha256d;
use gruve_stratum::limits;
use gruve_stratum::places::ChannelPlaces;
use gruve_stratum::protocol::{Notice, Protocol as _};
use gruve_stratum::session::CloseReason;
use mining_sv2 as m;

#[test]
fn what_cannot_be_served_is_refused_by_the_setup() {
    let refused = |rules, input: &[u8]| {
        let mut wire = Wire::with(rules);
        let heard = wire.say(input);
        assert_eq!(wire.closed, Some(CloseReason::Setup));
        let [Heard::SetupError(e)] = &heard[..] else { panic!("{heard:?}") };
        (e.flags, String::from_utf8(e.error_code.as_bytes().to_vec()).unwrap())
    };
    let all = REQUIRES_STANDARD_JOBS | REQUIRES_WORK_SELECTION | REQUIRES_VERSION_ROLLING;
    let flags = "unsupported-feature-flags".to_owned();
    // The full set of what is not supported, whatever was asked for.
    assert_eq!(refused(rules(), &setup(all)), (REQUIRES_WORK_SELECTION, flags.clone()));
    let mut fixed = rules();
    fixed.version_mask = 0;
    let both = REQUIRES_WORK_SELECTION | REQUIRES_VERSION_ROLLING;
    assert_eq!(refused(fixed.clone(), &setup(REQUIRES_VERSION_ROLLING)), (both, flags));
    let mut other = setup(0);
    other[6] = 2;
    assert_eq!(refused(rules(), &other), (0, "unsupported-protocol".to_owned()));
    other[6] = 99;
    assert_eq!(refused(rules(), &other), (0, "unsupported-protocol".to_owned()));
    let mut newer = setup(0);
    newer[7] = 3;
    newer[9] = 4;
    assert_eq!(refused(rules(), &newer), (0, "protocol-version-mismatch".to_owned()));
    // A lane without rolling says so to who does not insist.
    let heard = Wire::with(fixed).say(&setup(0));
    let [Heard::Setup(success)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((success.used_version, success.flags), (2, 1));
}

#[test]
fn nothing_is_served_before_the_setup() {
    let mut wire = Wire::with(rules());
    assert!(wire.say(&open_standard(1, "alice", 1.0)).is_empty());
    assert_eq!(wire.closed, Some(CloseReason::BadLines));
    assert!(wire.logins.is_empty());
}

#[test]
fn a_channel_gets_target_group_and_a_future_job_that_is_activated_at_once() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    wire.last_class = Some(class(3));
    let heard = wire.say(&open_extended(7, "alice.rig.miner1", 1e15, 0));
    assert_eq!(wire.logins, [("alice.rig".to_owned(), String::new())]);
    assert_eq!(words(&heard), ["open", "future extended job", "prev hash"]);
    let [Heard::Extended(open), Heard::ExtendedJob(job), Heard::PrevHash(tip)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((open.request_id, open.extranonce_size), (7, 8));
    assert_eq!(open.extranonce_prefix.as_bytes(), PREFIX);
    assert_eq!(open.target.to_array(), target_bytes(3), "what it had counts, not what it says");
    assert_ne!(open.channel_id, open.group_channel_id);
    assert_eq!((job.channel_id, tip.channel_id), (open.channel_id, open.channel_id));
    assert_eq!((job.job_id, tip.min_ntime, tip.nbits), (tip.job_id, NTIME, HARD));
    // The class stands in the stamp: the fifth byte from the end.
    let suffix = job.coinbase_tx_suffix.as_bytes();
    assert_eq!(suffix[suffix.len() - 5], 3);
    // Without a class of before, the rate counts; without a rate, the lane's first class.
    wire.last_class = None;
    for (rate, k) in [(1024.0, 12), (0.0, 0)] {
        let heard = wire.say(&open_extended(8, "alice", rate, 0));
        let Heard::Extended(open) = &heard[0] else { panic!("{heard:?}") };
        assert_eq!(open.target.to_array(), target_bytes(k), "{rate} hashes a second");
    }
}

#[test]
fn a_channel_that_cannot_be_is_refused_by_name() {
    let mut wire = Wire::working(REQUIRES_STANDARD_JOBS);
    let mut error = |input: &[u8]| match &wire.say(input)[..] {
        [Heard::OpenError(id, code)] => (*id, code.clone()),
        other => panic!("{other:?}"),
    };
    let is = |id: u32, code: &str| (id, code.to_owned());
    let extended = "extended-channels-not-supported-for-standard-jobs";
    assert_eq!(error(&open_extended(1, "alice", 1.0, 0)), is(1, extended));
    assert_eq!(error(&open_standard(2, "nobody.x", 1.0)), is(2, "unknown-user"));
    assert_eq!(error(&open_standard(3, "a/b", 1.0)), is(3, "invalid-user-identity"));
    assert_eq!(error(&open_standard(4, "alice", -1.0)), is(4, "invalid-nominal-hashrate"));
    assert_eq!(error(&open_standard(5, "alice", f32::NAN)), is(5, "invalid-nominal-hashrate"));
    // Five are a mistake, the sixth is guessing.
    assert_eq!(error(&open_standard(6, "nobody", 1.0)), is(6, "unknown-user"));
    assert!(wire.say(&open_standard(7, "a/b", 1.0)).len() == 1);
    assert_eq!(wire.closed, Some(CloseReason::Logins));

    let mut wire = Wire::working(0);
    let heard = wire.say(&open_extended_with(1, "alice", 1.0, 0, 9));
    assert!(
        matches!(&heard[..], [Heard::OpenError(1, code)] if code == "min-extranonce-size-too-large")
    );
    // A block is at class 32; a target harder than that cannot be kept.
    let heard = wire.say(&open_extended(2, "alice", 1.0, 33));
    assert!(matches!(&heard[..], [Heard::OpenError(2, code)] if code == "max-target-out-of-range"));
    let heard = wire.say(&open_extended_with(3, "alice", 1.0, 32, 8));
    let Heard::Extended(open) = &heard[0] else { panic!("{heard:?}") };
    assert_eq!(open.target.to_array(), target_bytes(32), "never easier than it accepts");
}

#[test]
fn a_channel_gets_the_job_of_its_machines_owner_beside_others_of_its_class() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    for (id, user) in [(1, "alice.a"), (2, "kari.m1"), (3, "kari.m2"), (4, "alice.b")] {
        proxy.hear(&wire.say(&open_extended(id, user, 0.0, 0)));
    }
    // Channels and groups are numbered together.
    let channels: Vec<u32> = proxy.channels.keys().copied().collect();
    let pays = |proxy: &Proxy, channel: u32| proxy.active(channel).suffix[14..16].to_vec();
    for prev in [1, 2] {
        let owns = paying_job(100 * u64::from(prev), prev, &["kari.m1", "kari.m2"], [0x52, prev]);
        proxy.hear(&wire.give(owns));
        for (channel, user) in channels.iter().zip(["alice", "kari", "kari", "alice"]) {
            let wanted = if user == "kari" { [0x52, prev] } else { [0x51, 0x51] };
            assert_eq!(pays(&proxy, *channel), wanted, "{user}");
            let (share, _) = proxy.mine(*channel, 1, 0);
            let heard = wire.say(&share);
            assert_eq!(words(&heard), ["accepted"], "{user}");
        }
    }
    let jobs: Vec<u64> = wire.log.iter().map(|share| share.job.0).collect();
    assert_eq!(jobs, [100, 101, 101, 100, 200, 201, 201, 200]);
}

#[test]
fn channels_are_bounded() {
    let mut wire = Wire::working(0);
    for n in 0..gruve_stratum::limits::V2_CHANNELS_MAX {
        let n = u32::try_from(n).unwrap();
        assert_eq!(wire.say(&open_standard(n, "alice", 0.0))[0].word(), "open");
    }
    let heard = wire.say(&open_standard(0, "alice", 0.0));
    assert!(
        matches!(&heard[..], [Heard::OpenError(0, code)] if code == "channel-capacity-exhausted")
    );
}

#[test]
fn a_new_block_goes_to_a_group_in_one_message_and_the_reference_client_follows() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    for n in 0..3 {
        proxy.hear(&wire.say(&open_extended(n, "alice", 0.0, 0)));
    }
    let heard = wire.give(job(2, template(1, HARD)));
    assert_eq!(words(&heard), ["extended job"], "one message for three");
    proxy.hear(&heard);
    let heard = wire.give(job(3, template(2, HARD)));
    assert_eq!(words(&heard), ["future extended job", "prev hash"]);
    proxy.hear(&heard);
    // A change of the bits alone is told like a new block.
    let heard = wire.give(job(4, template(2, HARD - 1)));
    assert_eq!(words(&heard), ["future extended job", "prev hash"]);
    proxy.hear(&heard);
    let ids: Vec<_> = proxy.channels.keys().copied().collect();
    assert_eq!(ids.len(), 3);
    for id in ids {
        let (shares, _) = proxy.mine(id, 3, 0);
        let heard = wire.say(&shares);
        assert!(matches!(&heard[0], Heard::Accepted(a) if a.channel_id == id));
    }
    assert_eq!(wire.log.len(), 9, "the same nonces on every channel are different shares");
}

#[test]
fn a_job_never_begins_before_the_tip_that_was_told() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    // The node's clock went back: the reference client would give the upstream up.
    let mut earlier = template(1, HARD);
    earlier.cur_time = NTIME - 60;
    let heard = wire.give(job(2, earlier));
    proxy.hear(&heard);
    assert!(
        matches!(&heard[..], [Heard::ExtendedJob(j)] if *j.min_ntime.as_ref().unwrap() == NTIME)
    );
}

#[test]
fn a_harder_class_sends_target_group_and_a_job_and_lets_old_work_finish() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    proxy.hear(&wire.say(&open_extended(2, "alice", 0.0, 0)));
    let id = *proxy.channels.keys().next().unwrap();
    let old = proxy.active(id);
    let (shares, next) = proxy.mine(id, 8, 0);
    let heard = wire.say(&shares);
    assert_eq!(words(&heard), ["accepted", "target", "group", "extended job"]);
    let Heard::Group(group, members) = &heard[2] else { panic!() };
    assert_eq!(members, &[id], "the class has a group of its own");
    assert!(proxy.groups.keys().all(|g| g != group));
    proxy.hear(&heard);
    let k = proxy.class(id);
    assert!(k >= 5);
    // The old job's shares count at the old class, the new one's at its own.
    assert_eq!(words(&wire.say(&old.submit(100, next + 1).0)), ["accepted"]);
    assert_eq!(wire.log.last().unwrap().class, class(0));
    let (share, nonce) = proxy.mine(id, 1, 0);
    assert_eq!(words(&wire.say(&share)), ["accepted"]);
    assert_eq!(wire.log.last().unwrap().class, class(k));
    let work = proxy.active(id);
    let lazy =
        (nonce + 1..).find(|n| !class(k).target().is_met_by(&sha256d(&work.header(*n)))).unwrap();
    assert_eq!(refusal(&wire.say(&work.submit(101, lazy).0)), "difficulty-too-low");
    // The other channel stays where it is, and both get the next block.
    let heard = wire.give(job(2, template(2, HARD)));
    assert_eq!(words(&heard), ["future extended job", "prev hash"].repeat(2));
    proxy.hear(&heard);
}

#[test]
fn an_easier_class_activates_a_fresh_job_on_the_same_block_so_that_old_work_is_void() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    wire.last_class = Some(class(8));
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let id = *proxy.channels.keys().next().unwrap();
    let old = proxy.active(id);
    let heard = wire.wait(60);
    assert_eq!(words(&heard)[..4], ["target", "group", "future extended job", "prev hash"]);
    let (Heard::ExtendedJob(job), Heard::PrevHash(tip)) = (&heard[2], &heard[3]) else { panic!() };
    assert_eq!(job.job_id, tip.job_id, "the job just sent, none from before");
    assert_eq!(tip.prev_hash.to_array(), old.prev_hash);
    proxy.hear(&heard);
    assert!(proxy.class(id) < 8);
    let late = old.submit(9, old.find(class(8), 0));
    let channel = proxy.channels.get_mut(&id).unwrap();
    assert!(channel.validate_share(late.1).is_err(), "the client drops what is left of it");
    // What was under way all the same is judged, and counts, at the class it was issued at.
    assert_eq!(words(&wire.say(&late.0)), ["accepted"]);
    assert_eq!(wire.log.last().unwrap().class, class(8));
}

#[test]
fn no_extended_channel_gets_the_same_job_and_class_twice_or_another_prefix() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let id = *proxy.channels.keys().next().unwrap();
    let mut given = std::collections::HashSet::new();
    let mut changes = 0;
    for n in 0..300u64 {
        let count = if n % 3 == 0 && proxy.class(id) < 10 { 9 } else { 0 };
        let mut heard = wire.say(&proxy.mine(id, count, u32::try_from(n).unwrap() * 100_000).0);
        heard.extend(wire.wait(n % 7 * 5));
        if n % 10 == 0 {
            heard.extend(wire.give(job(n + 100, template(1, HARD))));
        }
        for one in &heard {
            if let Heard::ExtendedJob(j) = one {
                assert!(
                    given.insert(
                        j.coinbase_tx_suffix
                            .as_bytes()
                            .to_vec()
                            .into_iter()
                            .chain(j.coinbase_tx_prefix.as_bytes().iter().copied())
                            .collect::<Vec<_>>()
                    )
                );
            }
        }
        changes += heard.iter().filter(|h| h.word() == "target").count();
        proxy.hear(&heard);
    }
    assert!(changes > 4 && given.len() > 20, "{changes} of {}", given.len());
}

#[test]
fn a_clients_wish_for_a_harder_target_is_heeded_and_an_impossible_one_refused() {
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let id = *proxy.channels.keys().next().unwrap();
    let heard = wire.say(&update(id, 0.0, 12));
    assert_eq!(words(&heard), ["target", "group", "extended job"]);
    proxy.hear(&heard);
    assert_eq!(proxy.class(id), 12);
    assert!(wire.say(&update(id, 0.0, 4)).is_empty(), "an easier one is a wish only");
    let mut error = |input: &[u8]| match &wire.say(input)[..] {
        [Heard::UpdateError(id, code)] => (*id, code.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(error(&update(id, 0.0, 33)), (id, "max-target-out-of-range".to_owned()));
    assert_eq!(error(&update(id, f32::NAN, 3)), (id, "invalid-nominal-hashrate".to_owned()));
    assert_eq!(error(&update(77, 0.0, 3)), (77, "invalid-channel-id".to_owned()));
}

#[test]
fn a_closed_channel_or_group_hears_no_more() {
    let mut wire = Wire::working(0);
    let heard = wire.say(&open_extended(1, "alice", 0.0, 0));
    let Heard::Extended(first) = heard[0].clone() else { panic!("{heard:?}") };
    wire.say(&open_extended(2, "alice", 0.0, 0));
    wire.say(&open_extended(3, "alice", 0.0, 0));
    assert!(wire.say(&close(first.channel_id)).is_empty());
    assert_eq!(words(&wire.give(job(2, template(1, HARD)))), ["extended job"]);
    let share = Work {
        channel: first.channel_id,
        job: 1,
        version: 0,
        ntime: NTIME,
        bits: HARD,
        prev_hash: [0; 32],
        prefix: Vec::new(),
        suffix: Vec::new(),
    };
    assert_eq!(refusal(&wire.say(&share.submit(1, 1).0)), "invalid-channel-id");
    wire.say(&close(first.group_channel_id));
    assert!(wire.give(job(3, template(2, HARD))).is_empty());
    assert_eq!(wire.closed, None, "a proxy may wait for its machines");
}

#[test]
fn headers_only_channels_get_merkle_roots_and_another_prefix_in_place_of_the_same_work() {
    let mut wire = Wire::working(REQUIRES_STANDARD_JOBS);
    wire.last_class = Some(class(4));
    let heard = wire.say(&open_standard(1, "alice.rig", 0.0));
    assert_eq!(words(&heard), ["open", "future job", "prev hash"]);
    let Heard::Standard(open) = &heard[0] else { panic!() };
    assert_eq!(open.extranonce_prefix.as_bytes(), [&PREFIX[..], &[0; 8]].concat());
    let mut roots = std::collections::HashSet::new();
    let mut prefixes = 0;
    for n in 0..60u8 {
        let mut heard = wire.wait(20);
        heard.extend(wire.say(&update(open.channel_id, 0.0, if n % 2 == 0 { 9 } else { 0 })));
        assert!(heard.iter().all(|h| !matches!(h.word(), "group" | "extended job")));
        for one in &heard {
            match one {
                Heard::Job(j) => assert!(roots.insert(j.merkle_root.to_array())),
                Heard::Prefix(p) => {
                    assert_ne!(p.extranonce_prefix.as_bytes(), open.extranonce_prefix.as_bytes());
                    prefixes += 1;
                }
                _ => {}
            }
        }
    }
    assert!(prefixes > 3, "{prefixes}");
}

/// Each is a job, a prefix that never comes again and a place in two lists.
#[test]
fn a_channel_that_changes_its_rate_without_end_gets_a_job_so_often_and_then_the_next() {
    let mut wire = Wire::working(REQUIRES_STANDARD_JOBS);
    let heard = wire.say(&open_standard(1, "alice.rig", 0.0));
    let Heard::Standard(open) = &heard[0] else { panic!() };
    let id = open.channel_id;
    let mut heard = Vec::new();
    for n in 0..2_000 {
        heard.extend(wire.say(&update(id, if n % 2 == 0 { 1e3 } else { 1e9 }, 0)));
    }
    let count = |heard: &[Heard], of: fn(&Heard) -> bool| heard.iter().filter(|h| of(h)).count();
    let jobs = count(&heard, |h| matches!(h, Heard::Job(_)));
    assert_eq!(jobs, limits::GIVEN_PER_JOB_MAX - 1, "and the first one");
    let prefixes = count(&heard, |h| matches!(h, Heard::Prefix(_)));
    assert!((8..limits::GIVEN_PER_JOB_MAX).contains(&prefixes), "{prefixes}");
    let heard = wire.give(job(2, template(1, HARD)));
    assert_eq!(count(&heard, |h| matches!(h, Heard::Job(_))), 1);
    let heard = wire.say(&update(id, 1e3, 0));
    assert_eq!(count(&heard, |h| matches!(h, Heard::Job(_))), 1, "and changes are given again");
}

#[test]
fn connections_end_that_say_nothing_but_not_proxies_whose_machines_are_off() {
    let mut wire = Wire::with(rules());
    wire.wait(31);
    assert_eq!(wire.closed, Some(CloseReason::Handshake));
    let mut wire = Wire::working(0);
    wire.wait(901);
    assert_eq!(wire.closed, Some(CloseReason::Idle), "never a channel");
    let mut wire = Wire::working(0);
    for _ in 0..901 {
        wire.say(&close(7));
        wire.wait(1);
    }
    assert_eq!(wire.closed, Some(CloseReason::Idle), "whatever else it says");
    let mut wire = Wire::working(0);
    wire.say(&open_extended(1, "alice", 0.0, 0));
    wire.wait(3600);
    assert_eq!(wire.closed, None);
}

#[test]
fn who_is_asked_to_connect_again_learns_where_and_who_cannot_bear_it_is_not_asked() {
    let told = |wire: &mut Wire, notice: &Notice| {
        let mut out = Vec::new();
        wire.session.tell(notice, &mut out);
        hear(&out)
    };
    let back = |to: Option<(&str, u16)>| Notice::ComeBack {
        to: to.map(|(host, port)| (host.into(), port)),
        after_secs: 3,
    };
    let mut wire = Wire::working(0);
    let heard = told(&mut wire, &back(Some(("pool.example", 3336))));
    assert!(matches!(&heard[..], [Heard::Reconnect(host, 3336)] if host == "pool.example"));
    let heard = told(&mut wire, &back(None));
    assert!(matches!(&heard[..], [Heard::Reconnect(host, 0)] if host.is_empty()));
    assert!(told(&mut wire, &Notice::Message("a word".into())).is_empty());

    // Nobody who has not said what he is.
    let mut new = Wire::with(rules());
    assert!(told(&mut new, &back(None)).is_empty());
    new.say(&setup_of("SRI", 0));
    assert!(told(&mut new, &back(None)).is_empty(), "it would panic");
}

#[test]
fn extensions_and_custom_work_are_declined_in_their_own_words() {
    let mut wire = Wire::working(0);
    // Extension 1, message 0: request 5 for extensions 2 and 3.
    let heard = wire.say(&raw_frame(1, 0, &[5, 0, 2, 0, 2, 0, 3, 0]));
    let [Heard::Foreign(1, 2, payload)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(payload, &[5, 0, 2, 0, 2, 0, 3, 0, 0, 0]);
    let target = [0; 32];
    let custom = m::SetCustomMiningJob {
        channel_id: 1,
        request_id: 2,
        token: (&[1u8][..]).try_into().unwrap(),
        version: 2,
        prev_hash: (&target).into(),
        min_ntime: NTIME,
        nbits: HARD,
        coinbase_tx_version: 2,
        coinbase_prefix: (&[1u8][..]).try_into().unwrap(),
        coinbase_tx_input_n_sequence: 0,
        coinbase_tx_outputs: (&[0u8][..]).try_into().unwrap(),
        coinbase_tx_locktime: 0,
        merkle_path: vec![].try_into().unwrap(),
    };
    let heard = wire.say(&frame(m::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB, true, custom));
    assert!(matches!(&heard[..], [Heard::CustomError(code)] if code == "jd-not-supported"));
}

#[test]
fn the_class_found_for_a_machine_is_told_where_it_has_one_channel() {
    use gruve_stratum::protocol::Protocol as _;
    let mut wire = Wire::working(REQUIRES_VERSION_ROLLING);
    let mut proxy = Proxy::default();
    proxy.hear(&wire.say(&open_extended(1, "alice", 0.0, 0)));
    let found = |wire: &mut Wire, all| {
        let mut found = Vec::new();
        wire.session.found(all, &mut |machine, class| found.push((machine, class.k())));
        found
    };
    assert_eq!(found(&mut wire, true), []);
    let mut from = 0;
    for _ in 0..100 {
        proxy.hear(&wire.wait(5));
        let (share, next) = proxy.mine(1, 1, from);
        from = next;
        proxy.hear(&wire.say(&share));
    }
    let alice = (machine("alice"), proxy.class(1));
    assert_eq!(found(&mut wire, false), [alice]);
    assert_eq!(found(&mut wire, false), [], "once");
    proxy.hear(&wire.say(&open_extended(2, "bob", 0.0, 0)));
    assert_eq!(found(&mut wire, true), [alice], "beside others' channels, too");
    proxy.hear(&wire.say(&open_extended(3, "alice", 0.0, 0)));
    assert_eq!(found(&mut wire, true), [], "two channels share its rate");
}

/// A hall with more machines than there is room for guesses no logins: what it has goes on.
#[test]
fn channels_beyond_all_places_are_refused_and_those_that_there_are_go_on() {
    let mut rules = rules();
    rules.channels = std::sync::Arc::new(ChannelPlaces::new(3, 9));
    let places = std::sync::Arc::clone(&rules.channels);
    let mut wire = Wire::with(rules);
    wire.say(&setup(REQUIRES_VERSION_ROLLING));
    wire.give(job(1, template(1, HARD)));
    let mut proxy = Proxy::default();
    for n in 0..3 {
        proxy.hear(&wire.say(&open_extended(n, "alice.rig", 0.0, 0)));
    }
    let code = m::ERROR_CODE_OPEN_MINING_CHANNEL_CHANNEL_CAPACITY_EXHAUSTED;
    for n in 3..3 + 4 * limits::LOGINS_REFUSED_MAX {
        let heard = wire.say(&open_extended(n, "alice.rig", 0.0, 0));
        assert!(matches!(&heard[..], [Heard::OpenError(id, c)] if *id == n && c == code));
    }
    assert_eq!(wire.closed, None);
    let (share, _) = proxy.mine(1, 1, 0);
    assert_eq!(words(&wire.say(&share)), ["accepted"]);
    // One that closes makes room; and a connection that goes makes room for others' channels.
    wire.say(&close(1));
    assert!(words(&wire.say(&open_extended(90, "alice.rig", 0.0, 0))).contains(&"open"));
    drop(wire);
    let mut rules = self::rules();
    rules.channels = places;
    let mut other = Wire::with(rules);
    other.say(&setup(REQUIRES_VERSION_ROLLING));
    for n in 0..3 {
        assert_eq!(words(&other.say(&open_extended(n, "bob.rig", 0.0, 0))), ["open"]);
    }
}

#[test]
fn a_connection_with_as_many_channels_as_it_may_have_is_not_closed_for_wanting_more() {
    let mut wire = Wire::working(0);
    let all = u32::try_from(limits::V2_CHANNELS_MAX).unwrap();
    for n in 0..all {
        assert_eq!(words(&wire.say(&open_standard(n, "alice.rig", 0.0)))[0], "open");
    }
    for n in 0..2 * limits::LOGINS_REFUSED_MAX {
        assert_eq!(words(&wire.say(&open_standard(all + n, "alice.rig", 0.0))), ["open error"]);
    }
    assert_eq!(wire.closed, None);
    // Names that are none are another matter.
    for n in 0..=limits::LOGINS_REFUSED_MAX {
        wire.say(&close(n + 1));
        wire.say(&open_standard(9000 + n, "a//b", 0.0));
    }
    assert_eq!(wire.closed, Some(CloseReason::Logins));
}
