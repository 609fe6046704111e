//! What the gateways count, under the names that operators watch.
//!
//! Promises: for anybody there is nothing of single machines or customers, and as many samples as
//! lanes ask for, whoever connects; for the operator the house's own machines beside it, at most
//! [`MACHINES_SHOWN_MAX`]. Customers' machines are in no metric of their own: their names are theirs.

use super::StartError;
use super::parts;
use crate::config::MetricsConfig;
use crate::estate::Estate;
use gruve_sharelog::Owner;
use gruve_stratum::{GatewayFigures, SessionInfo};
use gruve_units::{Clock, HistogramCounts, LaneId, Timestamp};
use gruve_web::{AppState, Exposition, FamilyKind, Unit};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Machines that have samples of their own, all lanes together: six samples each, some 3 MB an
/// answer, which a usual Prometheus takes in a second. Those beyond it, by name, are only counted.
pub(super) const MACHINES_SHOWN_MAX: usize = 5_000;

use FamilyKind::{Counter, Gauge, Histogram};

/// Serves the operator's metrics at an address of their own, if one is configured, until `stopped`.
///
/// # Errors
/// When the port cannot be used.
pub(super) fn serve(
    config: &MetricsConfig,
    state: &AppState,
    estate: &mut Estate,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(listen) = config.listen else { return Ok(None) };
    let listener = parts::listen(listen, "metrics.listen", estate)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Socket)?;
    let address = listener.local_addr().map_err(StartError::Socket)?;
    let (state, token, mut ends) = (state.clone(), config.token.clone(), stopped.clone());
    tasks.spawn(async move {
        let over = async move { drop(ends.wait_for(|s| *s).await) };
        gruve_web::serve_metrics(listener, state, token, over).await;
        Ok(())
    });
    Ok(Some(address))
}

/// Writes what belongs to gateways and lanes.
pub(super) fn write_gateways(out: &mut Exposition, all: &[GatewayFigures]) {
    connections(out, all);
    shares(out, all);
    times(out, all);
    memory(out, all);
}

fn connections(out: &mut Exposition, all: &[GatewayFigures]) {
    let name = "gruve_stratum_connections";
    out.family(name, Gauge, "Connections of miners now, by what they speak.");
    for f in all {
        for c in &f.connections {
            out.sample(name, &[("lane", f.lane.as_str()), ("kind", c.kind)], c.now);
        }
    }
    let name = "gruve_stratum_connections_opened_total";
    out.family(name, Counter, "Connections of miners that were taken, by what they speak.");
    for f in all {
        for c in &f.connections {
            out.sample(name, &[("lane", f.lane.as_str()), ("kind", c.kind)], c.opened);
        }
    }
    let help = "Connections of miners that ended, by why.";
    named(out, all, "gruve_stratum_connections_ended_total", help, "reason", |f| &f.ended);
    let help = "Connections of miners that were turned away, by why.";
    named(out, all, "gruve_stratum_connections_refused_total", help, "reason", |f| &f.turned_away);
    let help = "Logins of miners, by what became of them.";
    named(out, all, "gruve_stratum_logins_total", help, "outcome", |f| &f.logins);
    let help = "Addresses whose hostile behaviour is not forgotten yet.";
    one(out, all, "gruve_stratum_hostile_addresses", Gauge, help, |f| f.hostile_addresses);
}

fn shares(out: &mut Exposition, all: &[GatewayFigures]) {
    let help = "Shares accepted: each stands in the log.";
    one(out, all, "gruve_stratum_shares_accepted_total", Counter, help, |f| f.accepted);
    let help = "Shares refused, by why.";
    named(out, all, "gruve_stratum_shares_refused_total", help, "reason", |f| &f.refused);
    let help = "Bytes read from miners.";
    one(out, all, "gruve_stratum_received_bytes_total", Counter, help, |f| f.bytes_in);
    let help = "Bytes said to miners, before encryption.";
    one(out, all, "gruve_stratum_sent_bytes_total", Counter, help, |f| f.bytes_out);
    let (name, help) = ("gruve_stratum_round_shares", "Shares hashed together in one round.");
    counted(out, all, name, help, Unit::One, |f| &f.rounds);
}

fn times(out: &mut Exposition, all: &[GatewayFigures]) {
    let help = "From seeing a share's bytes to handing its answer to the system.";
    let name = "gruve_stratum_answer_seconds";
    counted(out, all, name, help, Unit::Nanoseconds, |f| &f.answers);
    let help = "From making a job to giving it to the last connection of a thread.";
    let name = "gruve_stratum_job_last_client_seconds";
    counted(out, all, name, help, Unit::Nanoseconds, |f| &f.jobs_given);
    let help = "Time that a round waited for the share log.";
    let name = "gruve_stratum_log_append_seconds";
    counted(out, all, name, help, Unit::Nanoseconds, |f| &f.appends);
    let help = "Time that a sync of the share log took.";
    let name = "gruve_stratum_log_sync_seconds";
    counted(out, all, name, help, Unit::Nanoseconds, |f| &f.syncs);
    let name = "gruve_stratum_thread_busy_seconds_total";
    out.family(name, Counter, "Time at work of each thread that serves connections.");
    for f in all {
        for (n, busy) in f.busy.iter().enumerate() {
            let labels = [("lane", f.lane.as_str()), ("thread", &n.to_string())];
            let secs = format!("{}.{:03}", busy.as_secs(), busy.subsec_millis());
            out.sample(name, &labels, secs);
        }
    }
}

fn memory(out: &mut Exposition, all: &[GatewayFigures]) {
    let help = "Jobs forgotten early, because too many shares had to be told apart.";
    one(out, all, "gruve_stratum_jobs_forgotten_total", Counter, help, |f| f.jobs_forgotten);
    let help = "Shares remembered to tell repeated ones, some 32 bytes each.";
    one(out, all, "gruve_stratum_remembered_shares", Gauge, help, |f| f.shares_held);
    let help = "Shares that may be remembered; near it the oldest jobs are forgotten.";
    one(out, all, "gruve_stratum_remembered_shares_limit", Gauge, help, |f| f.shares_held_max);
    let help = "Shares that wait for the hashing threads.";
    one(out, all, "gruve_stratum_hash_queue_shares", Gauge, help, |f| f.hashes_waiting);
}

/// A family with one sample a lane.
fn one(
    out: &mut Exposition,
    all: &[GatewayFigures],
    name: &str,
    kind: FamilyKind,
    help: &str,
    of: impl Fn(&GatewayFigures) -> u64,
) {
    out.family(name, kind, help);
    for f in all {
        out.sample(name, &[("lane", f.lane.as_str())], of(f));
    }
}

/// Counts under fixed names.
fn named(
    out: &mut Exposition,
    all: &[GatewayFigures],
    name: &str,
    help: &str,
    label: &str,
    of: impl Fn(&GatewayFigures) -> &Vec<(&'static str, u64)>,
) {
    out.family(name, Counter, help);
    for f in all {
        for (what, count) in of(f) {
            out.sample(name, &[("lane", f.lane.as_str()), (label, what)], count);
        }
    }
}

/// Counts by size.
fn counted(
    out: &mut Exposition,
    all: &[GatewayFigures],
    name: &str,
    help: &str,
    unit: Unit,
    of: impl Fn(&GatewayFigures) -> &HistogramCounts,
) {
    out.family(name, Histogram, help);
    for f in all {
        out.histogram(name, &[("lane", f.lane.as_str())], of(f), unit);
    }
}

/// Writes what each lane's sessions add up to, by whose they are: the house's machines, or accounts'.
pub(super) fn write_sessions(out: &mut Exposition, lanes: &[LaneId], sessions: &[SessionInfo]) {
    let mut sums: BTreeMap<(&LaneId, &'static str), (u64, u128)> = BTreeMap::new();
    for lane in lanes {
        for owner in ["accounts", "house"] {
            sums.insert((lane, owner), (0, 0));
        }
    }
    for s in sessions {
        let owner = if s.owner == Owner::House { "house" } else { "accounts" };
        let sum = sums.entry((&s.lane, owner)).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(s.hashrate_estimate.0);
    }
    let name = "gruve_stratum_sessions";
    out.family(name, Gauge, "Connections with a login, by whose machines they are.");
    for ((lane, owner), (count, _)) in &sums {
        out.sample(name, &[("lane", lane.as_str()), ("owner", owner)], count);
    }
    let name = "gruve_stratum_hashrate";
    let help = "Hashes per second proven by shares of the last ten minutes, by whose machines.";
    out.family(name, Gauge, help);
    for ((lane, owner), (_, rate)) in &sums {
        out.sample(name, &[("lane", lane.as_str()), ("owner", owner)], rate);
    }
}

/// One of the house's machines, all its connections together.
#[derive(Clone, Copy, Debug)]
struct Machine {
    sessions: u64,
    hashrate: u128,
    accepted: u64,
    refused: u64,
    class: u8,
    connected_at: Timestamp,
    last_share_at: Option<Timestamp>,
}

impl Machine {
    fn of(s: &SessionInfo) -> Machine {
        Machine {
            sessions: 1,
            hashrate: s.hashrate_estimate.0,
            accepted: s.accepted,
            refused: s.rejected,
            class: s.class.k(),
            connected_at: s.connected_at,
            last_share_at: s.last_share_at,
        }
    }

    fn with(self, other: Machine) -> Machine {
        Machine {
            sessions: self.sessions + other.sessions,
            hashrate: self.hashrate.saturating_add(other.hashrate),
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            class: self.class.max(other.class),
            connected_at: self.connected_at.min(other.connected_at),
            last_share_at: self.last_share_at.max(other.last_share_at),
        }
    }

    /// Since its last share, or since it came where it has sent none.
    fn quiet_secs(&self, now: Timestamp) -> u64 {
        now.since(self.last_share_at.unwrap_or(self.connected_at)).as_secs()
    }
}

/// Writes the house's machines one by one; the operator's eyes only.
pub(super) fn write_machines(out: &mut Exposition, sessions: &[SessionInfo], clock: &dyn Clock) {
    let now = clock.now();
    let mut all: BTreeMap<(&str, &str), Machine> = BTreeMap::new();
    for s in sessions.iter().filter(|s| s.owner == Owner::House) {
        let name = s.user.strip_prefix("house.").unwrap_or(&s.user);
        let machine = Machine::of(s);
        let whole = all.get(&(s.lane.as_str(), name)).map_or(machine, |m| m.with(machine));
        all.insert((s.lane.as_str(), name), whole);
    }
    let shown = || all.iter().take(MACHINES_SHOWN_MAX);
    let mut family = |name: &str, kind, help: &str, of: &dyn Fn(&Machine) -> String| {
        out.family(name, kind, help);
        for ((lane, machine), m) in shown() {
            out.sample(name, &[("lane", lane), ("machine", machine)], of(m));
        }
    };
    let help = "Hashes per second proven by the machine's shares of the last ten minutes.";
    family("gruve_machine_hashrate", Gauge, help, &|m| m.hashrate.to_string());
    let help = "Shares of the machine accepted since it connected.";
    family("gruve_machine_shares_accepted_total", Counter, help, &|m| m.accepted.to_string());
    let help = "Shares of the machine refused since it connected.";
    family("gruve_machine_shares_refused_total", Counter, help, &|m| m.refused.to_string());
    let help = "Difficulty class in force: a share counts 2^class hashes.";
    family("gruve_machine_class", Gauge, help, &|m| m.class.to_string());
    let help = "Since the machine's last accepted share, or since it came if it has none.";
    family("gruve_machine_quiet_seconds", Gauge, help, &|m| m.quiet_secs(now).to_string());
    let help = "Connections of the machine.";
    family("gruve_machine_sessions", Gauge, help, &|m| m.sessions.to_string());
    out.family("gruve_machines_hidden", Gauge, "Connected machines that are not shown: too many.");
    out.sample("gruve_machines_hidden", &[], all.len().saturating_sub(MACHINES_SHOWN_MAX));
}

#[cfg(test)]
#[path = "../../../web/tests/house/prometheus.rs"]
mod prometheus;

#[cfg(test)]
mod tests {
    use super::prometheus::{Sample, read};
    use super::*;
    use gruve_stratum::ConnectionFigures;
    use gruve_units::{AccountId, Class, Hashrate, MachineId, ManualClock, TIME_BOUNDS_NS};
    use std::time::Duration;

    fn counts(n: u64) -> HistogramCounts {
        let counts = vec![n; TIME_BOUNDS_NS.len() + 1];
        HistogramCounts { bounds: TIME_BOUNDS_NS, counts, sum: 12_345_678_901 }
    }

    fn figures(lane: &str) -> GatewayFigures {
        GatewayFigures {
            lane: lane.parse().unwrap(),
            connections: vec![
                ConnectionFigures { kind: "v1", opened: 9, now: 4 },
                ConnectionFigures { kind: "v2", opened: 3, now: 1 },
            ],
            ended: vec![("peer", 7)],
            turned_away: vec![("full", 2)],
            hostile_addresses: 1,
            logins: vec![("accepted", 12)],
            accepted: 1000,
            refused: vec![("duplicate", 3), ("stale", 5)],
            bytes_in: 11,
            bytes_out: 22,
            rounds: counts(1),
            answers: counts(2),
            jobs_given: counts(3),
            appends: counts(4),
            syncs: counts(0),
            jobs_forgotten: 6,
            shares_held: 7,
            shares_held_max: 8,
            hashes_waiting: 9,
            busy: vec![Duration::from_millis(1500), Duration::ZERO],
        }
    }

    fn session(lane: &str, user: &str, owner: Owner, accepted: u64) -> SessionInfo {
        SessionInfo {
            lane: lane.parse().unwrap(),
            machine: MachineId::from_bytes([1; 16]),
            owner,
            user: user.to_owned(),
            peer: ([192, 0, 2, 1], 4000).into(),
            user_agent: "agent".to_owned(),
            class: Class::new(40).unwrap(),
            connected_at: Timestamp::from_secs(1_000),
            last_share_at: (accepted > 0).then_some(Timestamp::from_secs(1_100)),
            accepted,
            rejected: 2,
            hashrate_estimate: Hashrate(5_000),
        }
    }

    fn customer(user: &str) -> SessionInfo {
        session("btc", user, Owner::Account(AccountId::from_bytes([2; 16])), 4)
    }

    fn written(sessions: &[SessionInfo], for_operator: bool) -> (String, Vec<Sample>) {
        let mut out = Exposition::default();
        let all = [figures("btc"), figures("ltc")];
        let lanes: Vec<LaneId> = all.iter().map(|f| f.lane.clone()).collect();
        write_gateways(&mut out, &all);
        write_sessions(&mut out, &lanes, sessions);
        if for_operator {
            let clock = ManualClock::new(Timestamp::from_secs(1_130));
            write_machines(&mut out, sessions, &clock);
        }
        let text = out.finish();
        let samples = read(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        (text, samples)
    }

    #[test]
    fn gateways_figures_stand_under_valid_names_with_their_values() {
        let (text, samples) = written(&[], false);
        for line in [
            "gruve_stratum_connections{lane=\"btc\",kind=\"v1\"} 4",
            "gruve_stratum_connections_opened_total{lane=\"ltc\",kind=\"v2\"} 3",
            "gruve_stratum_shares_accepted_total{lane=\"btc\"} 1000",
            "gruve_stratum_shares_refused_total{lane=\"btc\",reason=\"stale\"} 5",
            "gruve_stratum_answer_seconds_bucket{lane=\"btc\",le=\"0.00005\"} 2",
            "gruve_stratum_answer_seconds_sum{lane=\"btc\"} 12.345678901",
            "gruve_stratum_thread_busy_seconds_total{lane=\"btc\",thread=\"0\"} 1.500",
            "gruve_stratum_sessions{lane=\"ltc\",owner=\"house\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(samples.iter().all(|s| s.name.starts_with("gruve_stratum_")));
    }

    #[test]
    fn no_metric_names_a_customer_s_machine_and_the_public_ones_name_none() {
        let sessions = [customer("alice.rig1"), session("btc", "house.rack1-01", Owner::House, 3)];
        let (public, _) = written(&sessions, false);
        assert!(!public.contains("rig1") && !public.contains("alice"));
        assert!(!public.contains("rack1-01") && !public.contains("192.0.2.1"));
        assert!(public.contains("gruve_stratum_hashrate{lane=\"btc\",owner=\"accounts\"} 5000"));
        let (own, _) = written(&sessions, true);
        assert!(!own.contains("rig1") && !own.contains("alice") && !own.contains("192.0.2.1"));
        assert!(own.contains("machine=\"rack1-01\""));
    }

    #[test]
    fn a_machine_s_connections_are_told_as_one_with_the_age_of_its_last_share() {
        let twice = [
            session("btc", "house.a", Owner::House, 3),
            session("btc", "house.a", Owner::House, 0),
            session("btc", "house.b", Owner::House, 0),
        ];
        let (text, _) = written(&twice, true);
        for line in [
            "gruve_machine_hashrate{lane=\"btc\",machine=\"a\"} 10000",
            "gruve_machine_shares_accepted_total{lane=\"btc\",machine=\"a\"} 3",
            "gruve_machine_shares_refused_total{lane=\"btc\",machine=\"a\"} 4",
            "gruve_machine_class{lane=\"btc\",machine=\"a\"} 40",
            "gruve_machine_quiet_seconds{lane=\"btc\",machine=\"a\"} 30",
            "gruve_machine_quiet_seconds{lane=\"btc\",machine=\"b\"} 130",
            "gruve_machine_sessions{lane=\"btc\",machine=\"a\"} 2",
            "gruve_machines_hidden 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_metric_is_explained_to_operators_under_its_whole_name() {
        let page = include_str!("../../../../docs/operators.md");
        let (text, _) = written(&[session("btc", "house.a", Owner::House, 3)], true);
        let is_told = |name: &str| {
            page.contains(&format!("`{name}{{")) || page.contains(&format!("`{name}`"))
        };
        for name in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
            let name = name.split(' ').next().unwrap();
            assert!(is_told(name), "{name}");
        }
    }

    #[test]
    fn samples_are_bounded_whoever_connects() {
        let (_, few) = written(&[], false);
        let many: Vec<_> = (0..20_000).map(|n| customer(&format!("c{n}.m"))).collect();
        let (_, after) = written(&many, false);
        assert_eq!(few.len(), after.len(), "customers add no samples");
        let house = |n| session("btc", &format!("house.m{n}"), Owner::House, 1);
        let machines: Vec<_> = (0..MACHINES_SHOWN_MAX + 7).map(house).collect();
        let (text, samples) = written(&machines, true);
        assert!(text.contains("gruve_machines_hidden 7\n"));
        assert_eq!(
            samples.iter().filter(|s| s.name == "gruve_machine_class").count(),
            MACHINES_SHOWN_MAX
        );
    }
}
