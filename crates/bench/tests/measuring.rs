//! The generator against the floor and against the real gateway, over TCP.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_bench::child::{Doors, Server};
use gruve_bench::floor::{self, FloorOptions};
use gruve_bench::gateway::{self, HouseOptions};
use gruve_bench::{
    Attack, BenchError, BroadcastOptions, ChannelKind, FleetOptions, HostileOptions, IdleOptions,
    Mix, StormOptions, SubmitOptions, V2Options, broadcast, hostile, idle, storm, submit,
};
use gruve_units::Class;
use std::net::SocketAddr;
use std::time::Duration;

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn floor_of_class(k: u8) -> Server {
    let refresh = Duration::from_secs(30);
    let class = Class::new(k).unwrap();
    let options = FloorOptions { listen: anywhere(), class, refresh };
    Server::within(move |control| floor::run(options, control)).unwrap()
}

fn house_of_class(k: u8, refresh: Duration) -> Server {
    let class = Class::new(k).unwrap();
    let options = HouseOptions {
        listen: anywhere(),
        class,
        refresh,
        log: None,
        threads: 1,
        fsync: false,
        encrypted: true,
        ethash: false,
    };
    Server::within(move |control| gateway::run(options, control)).unwrap()
}

fn house() -> Server {
    house_of_class(0, Duration::from_secs(30))
}

fn fleet(server: &Server) -> FleetOptions {
    FleetOptions {
        target: server.address(),
        user: "house.m{n}".to_owned(),
        password: "x".to_owned(),
        first_source: 2,
        v2: None,
        is_ethash: false,
    }
}

fn run_of(server: &Server, mix: &str) -> SubmitOptions {
    SubmitOptions {
        fleet: fleet(server),
        clients: 8,
        in_flight: 2,
        rate: None,
        warmup: Duration::from_millis(50),
        duration: Duration::from_millis(400),
        mix: mix.parse().unwrap(),
        ahead: 64,
    }
}

#[test]
fn floor_and_generator_agree_on_what_was_accepted() {
    for class in [0, 4] {
        let mut floor = floor_of_class(class);
        let report = submit(&run_of(&floor, "accepted=1")).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert!(report.acknowledged > 0 && report.answers_per_second > 0.0);
        assert_eq!(floor.ask("count").unwrap(), report.acknowledged);
    }
}

#[test]
fn every_share_that_the_gateway_acknowledges_is_in_its_log() {
    let mut house = house();
    let report = submit(&run_of(&house, "accepted=1")).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.acknowledged > 0);
    assert_eq!(house.ask("count").unwrap(), report.acknowledged);
    if cfg!(target_os = "linux") {
        let first = house.ask("log").unwrap();
        submit(&run_of(&house, "accepted=1")).unwrap();
        assert!(first > 0 && house.ask("log").unwrap() > first, "more shares cost more");
    }
}

#[test]
fn each_kind_of_submit_gets_its_code_from_the_gateway() {
    let mut house = house_of_class(3, Duration::from_secs(30));
    let mut options = run_of(&house, "accepted=12,stale=2,duplicate=2,low=2,malformed=2");
    options.rate = Some(300);
    let report = submit(&options).unwrap();
    assert!(report.is_clean(), "{report:?}");
    for (kind, code) in [("stale", 21), ("duplicate", 22), ("low", 23), ("malformed", 20)] {
        let answers = &report.answers[kind];
        assert!(answers.sent > 0, "{kind}");
        assert_eq!(answers.refused.get(&code), Some(&answers.sent), "{kind}: {answers:?}");
    }
    assert_eq!(house.ask("count").unwrap(), report.acknowledged);
}

#[test]
fn shares_of_a_replaced_job_are_what_the_gateway_calls_stale() {
    let mut house = house_of_class(0, Duration::from_secs(30));
    let mut options = run_of(&house, "accepted=1,stale=1");
    options.rate = Some(300);
    let run = std::thread::spawn(move || submit(&options).unwrap());
    for _ in 0..3 {
        house.ask("job").unwrap();
    }
    let report = run.join().unwrap();
    let stale = &report.answers["stale"];
    assert_eq!(stale.refused.get(&21), Some(&stale.sent), "{report:?}");
    assert_eq!(house.ask("count").unwrap(), report.acknowledged);
}

fn v2_run_of(server: &Server, kind: ChannelKind, mix: &str) -> SubmitOptions {
    let mut options = run_of(server, mix);
    options.fleet.target = server.doors().v2.unwrap();
    options.fleet.v2 = Some(V2Options { kind, authority: None });
    options
}

#[test]
fn every_share_acknowledged_on_a_v2_channel_is_in_the_log() {
    for kind in [ChannelKind::Extended, ChannelKind::Standard] {
        for class in [0, 4] {
            let mut house = house_of_class(class, Duration::from_secs(30));
            let report = submit(&v2_run_of(&house, kind, "accepted=1")).unwrap();
            assert!(report.is_clean(), "{kind:?} at class {class}: {report:?}");
            assert!(report.acknowledged > 0, "{kind:?} at class {class}");
            assert_eq!(house.ask("count").unwrap(), report.acknowledged);
        }
    }
}

#[test]
fn each_kind_of_submit_gets_its_code_on_a_v2_channel() {
    for kind in [ChannelKind::Extended, ChannelKind::Standard] {
        let mut house = house_of_class(3, Duration::from_secs(30));
        let mut options =
            v2_run_of(&house, kind, "accepted=12,stale=2,duplicate=2,low=2,malformed=2");
        options.rate = Some(300);
        let report = submit(&options).unwrap();
        assert!(report.is_clean(), "{kind:?}: {report:?}");
        for (sent, code) in [("stale", 21), ("duplicate", 22), ("low", 23), ("malformed", 20)] {
            let answers = &report.answers[sent];
            assert!(answers.sent > 0, "{sent}");
            assert_eq!(answers.refused.get(&code), Some(&answers.sent), "{sent}: {answers:?}");
        }
        assert_eq!(house.ask("count").unwrap(), report.acknowledged);
    }
}

#[test]
fn a_v2_server_with_another_key_than_was_asked_for_is_not_spoken_with() {
    let house = house();
    let mut options = v2_run_of(&house, ChannelKind::Extended, "accepted=1");
    let someone = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
    let authority = Some(gruve_bench::authority_of(someone).unwrap());
    options.fleet.v2 = Some(V2Options { kind: ChannelKind::Extended, authority });
    let refused = submit(&options);
    assert!(
        matches!(&refused, Err(BenchError::NotReady { why, .. }) if why.contains("handshake")),
        "{refused:?}"
    );
}

#[test]
fn a_paced_run_sends_at_its_rate_and_times_every_answer() {
    let floor = floor_of_class(0);
    let mut options = run_of(&floor, "accepted=1");
    (options.rate, options.duration) = (Some(2_000), Duration::from_secs(1));
    let report = submit(&options).unwrap();
    assert!(report.is_clean(), "{report:?}");
    // Never above the rate; below it where the machine is busy.
    assert!(report.answers["accepted"].sent <= 2_101, "{report:?}");
    assert!(report.latency.count > 0 && report.latency.p99_us >= report.latency.p50_us);
    assert_eq!(report.latency.count, report.latency_first.count + report.latency_later.count);
    assert!(report.latency_later.count > 0, "{report:?}");
    // How late they left is part of that.
    let late = report.late.unwrap();
    assert!(
        late.count == report.latency.count && late.p50_us <= report.latency.p50_us,
        "{report:?}"
    );
}

#[test]
fn a_low_share_is_not_claimed_where_every_hash_is_a_share() {
    let floor = floor_of_class(0);
    let refused = submit(&run_of(&floor, "accepted=1,low=1"));
    assert!(matches!(refused, Err(BenchError::Options(_))), "{refused:?}");
}

#[test]
fn a_server_that_is_away_is_told_as_such() {
    let mut options = run_of(&floor_of_class(0), "accepted=1");
    // Nothing listens on the first port.
    options.fleet.target = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(matches!(submit(&options), Err(BenchError::NotReady { .. })));
}

#[test]
fn a_new_block_reaches_every_client_of_both_servers() {
    for mut server in [floor_of_class(0), house()] {
        let (fleet, wait) = (fleet(&server), Duration::from_secs(20));
        let options = BroadcastOptions { fleet, clients: 50, rounds: 2, wait };
        let report = broadcast(&options, Some(&mut server)).unwrap();
        assert_eq!(report.rounds.len(), 2);
        assert!(report.rounds.iter().all(|r| r.missed == 0), "{report:?}");
        assert_eq!(report.delay.count, 100);
        assert!(report.rounds.iter().all(|r| r.last_us >= r.first_us && r.first_us.is_some()));
    }
}

#[test]
fn without_the_block_s_time_a_job_is_timed_from_the_first_client() {
    let house = house_of_class(0, Duration::from_millis(200));
    let (fleet, wait) = (fleet(&house), Duration::from_secs(20));
    let options = BroadcastOptions { fleet, clients: 20, rounds: 1, wait };
    let report = broadcast(&options, None).unwrap();
    assert_eq!((report.rounds[0].missed, report.rounds[0].first_us), (0, None));
}

#[test]
fn a_storm_ends_with_everybody_mining() {
    let mut house = house();
    let fleet = fleet(&house);
    let (within, timeout) = (Duration::from_millis(300), Duration::from_secs(30));
    let report = storm(&StormOptions { fleet, clients: 300, within, timeout }).unwrap();
    assert_eq!((report.mining, report.closed, report.refused), (300, 0, 0), "{report:?}");
    assert_eq!(house.ask("count").unwrap(), report.acknowledged);
}

#[test]
fn idle_connections_are_held_and_weighed() {
    let mut house = house();
    let options = IdleOptions {
        fleet: fleet(&house),
        clients: 40,
        duration: Duration::from_millis(300),
        sample: Duration::from_millis(100),
        share_every: Some(Duration::from_millis(100)),
        pid: Some(house.pid()),
    };
    let report = idle(&options).unwrap();
    assert_eq!((report.clients, report.closed, report.refused), (40, 0, 0), "{report:?}");
    assert!(report.samples.len() >= 2 && report.resident_end.unwrap() > 0, "{report:?}");
    // The last may have been sent just before the end.
    assert!(report.acknowledged > 0 && house.ask("count").unwrap() >= report.acknowledged);
}

#[test]
fn a_report_as_json_has_the_documented_fields() {
    let floor = floor_of_class(0);
    let report = submit(&run_of(&floor, "accepted=1")).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    for field in [
        "clients",
        "in_flight",
        "rate_asked",
        "seconds",
        "answers_per_second",
        "accepted_per_second",
        "latency",
        "latency_first",
        "latency_later",
        "late",
        "answers",
        "acknowledged",
        "unexpected",
        "out_of_order",
        "strays",
        "unanswered",
        "closed",
        "closed_because",
        "generator_busy",
        "mined_late",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
    assert_eq!(json["acknowledged"], json["answers"]["accepted"]["accepted"]);
    assert!(json["latency"]["p99_us"].is_number());
    assert_eq!(Mix::default(), "accepted=1".parse().unwrap());
}

/// An Ethash lane on which a fourth of all hashes are shares.
fn ethash_house() -> Server {
    let options = HouseOptions {
        listen: anywhere(),
        class: Class::new(2).unwrap(),
        refresh: Duration::from_secs(30),
        log: None,
        threads: 1,
        fsync: false,
        encrypted: false,
        ethash: true,
    };
    Server::within(move |control| gateway::run(options, control)).unwrap()
}

/// In all three dialects, because connections speak them in turn.
fn ethash_run_of(server: &Server, mix: &str) -> SubmitOptions {
    let mut options = run_of(server, mix);
    options.fleet.is_ethash = true;
    (options.clients, options.rate) = (6, Some(12));
    (options.duration, options.ahead) = (Duration::from_secs(2), 4);
    options
}

#[test]
fn each_kind_of_submit_gets_its_code_in_each_dialect_of_ethash() {
    let mut house = ethash_house();
    let mix = "accepted=4,stale=1,duplicate=1,low=1,malformed=1";
    let mut options = ethash_run_of(&house, mix);
    // Sixteen for each dialect: of every kind there is one in each.
    (options.clients, options.rate) = (3, Some(48));
    let report = submit(&options).unwrap();
    assert!(report.is_clean(), "{report:?}");
    for (sent, code) in [("stale", 21), ("duplicate", 22), ("low", 23), ("malformed", 20)] {
        let answers = &report.answers[sent];
        assert!(answers.sent > 0, "{sent}");
        assert_eq!(answers.refused.get(&code), Some(&answers.sent), "{sent}: {answers:?}");
    }
    assert!(report.acknowledged > 0);
    assert_eq!(house.ask("count").unwrap(), report.acknowledged);
}

#[test]
fn a_swarm_attacks_an_ethash_lane_in_every_way_and_honest_miners_lose_no_share() {
    let mut house = ethash_house();
    let honest = ethash_run_of(&house, "accepted=1");
    let others = [Attack::SlowLoris, Attack::HalfOpen, Attack::NeverRead, Attack::Flood];
    let more = [Attack::LongLine, Attack::Duplicates, Attack::Garbage, Attack::Churn];
    let attacks = [&others[..], &more, &[Attack::Worthless, Attack::Rates]].concat();
    let report = hostile(&HostileOptions {
        honest,
        beside_user: Some("house.new{n}".to_owned()),
        hostile_user: "evil.m{n}".to_owned(),
        attacks: attacks.clone(),
        each: 3,
        doors: house.doors(),
    })
    .unwrap();
    assert!(report.is_clean(), "{report:?}");
    let acknowledged = report.alone.acknowledged + report.beside.acknowledged;
    assert!(report.beside.acknowledged > 0);
    // Six clients share what is counted, so that of most the first share is in it.
    for run in [&report.alone, &report.beside] {
        assert!(run.latency_first.count > 0 && run.latency_later.count > 0, "{run:?}");
        assert_eq!(run.latency_first.count + run.latency_later.count, run.latency.count);
    }
    assert_eq!(house.ask("count house").unwrap(), acknowledged, "all kept, and no others");
    for attack in attacks {
        let did = &report.swarm[attack.name()];
        assert!(did.connections >= 3, "{attack:?}: {did:?}");
        assert_eq!(did.bytes == 0, attack == Attack::HalfOpen, "{attack:?}: {did:?}");
    }
}

#[test]
fn an_attack_on_a_lane_that_has_no_such_thing_is_refused() {
    let house = house();
    let refused = hostile(&HostileOptions {
        honest: run_of(&house, "accepted=1"),
        beside_user: None,
        hostile_user: "evil.m{n}".to_owned(),
        attacks: vec![Attack::Worthless],
        each: 1,
        doors: house.doors(),
    });
    assert!(matches!(refused, Err(BenchError::Options(_))), "{refused:?}");
}

#[test]
fn a_swarm_attacks_in_every_way_and_honest_miners_lose_no_share() {
    let mut house = house();
    let mut honest = run_of(&house, "accepted=1");
    honest.rate = Some(400);
    honest.duration = Duration::from_secs(1);
    let of_ethash = [Attack::Worthless, Attack::Rates];
    let attacks: Vec<_> = Attack::ALL.into_iter().filter(|a| !of_ethash.contains(a)).collect();
    let mut options = HostileOptions {
        honest,
        beside_user: None,
        hostile_user: "evil.m{n}".to_owned(),
        attacks: attacks.clone(),
        each: 2,
        doors: house.doors(),
    };
    let mut acknowledged = 0;
    // A second is enough for the swarm to be heard, but where others have the processor.
    let report = loop {
        let report = hostile(&options).unwrap();
        assert!(report.is_clean(), "{report:?}");
        acknowledged += report.alone.acknowledged + report.beside.acknowledged;
        assert_eq!(house.ask("count house").unwrap(), acknowledged, "all kept, and no others");
        let is_heard = ["duplicates", "flood"].iter().all(|name| report.swarm[*name].refused > 0);
        if is_heard || options.honest.duration > Duration::from_secs(20) {
            break report;
        }
        options.honest.duration *= 3;
    };
    for attack in attacks {
        let did = &report.swarm[attack.name()];
        assert!(did.connections >= 2, "{attack:?}: {did:?}");
        let is_silent = attack == Attack::HalfOpen;
        assert_eq!(did.bytes == 0, is_silent, "{attack:?}: {did:?}");
    }
    assert!(report.swarm["duplicates"].refused > 0 && report.swarm["flood"].refused > 0);
    assert!(report.swarm["good-flood"].accepted > 0, "{report:?}");
    // Real handshakes: the server has answered them, and then closed on what was none.
    for name in ["tls-handshakes", "tls-garbage", "v2-handshakes", "v2-garbage"] {
        assert!(report.swarm[name].answered > 0, "{name}: {report:?}");
    }
    assert!(report.swarm["tls-garbage"].closed > 0 && report.swarm["v2-garbage"].closed > 0);
}

#[test]
fn an_attack_on_a_port_that_the_server_does_not_have_is_refused_before_anything_is_sent() {
    let house = house();
    let failed = hostile(&HostileOptions {
        honest: run_of(&house, "accepted=1"),
        beside_user: None,
        hostile_user: "evil.m{n}".to_owned(),
        attacks: vec![Attack::Churn, Attack::V2Garbage],
        each: 1,
        doors: Doors { v2: None, ..house.doors() },
    });
    assert!(matches!(failed, Err(BenchError::Options(why)) if why.contains("v2-garbage")));
}
