//! Results as text.

use crate::broadcast::BroadcastReport;
use crate::histogram::Quantiles;
use crate::hostile::HostileReport;
use crate::idle::IdleReport;
use crate::soak::SoakReport;
use crate::storm::StormReport;
use crate::submit::SubmitReport;
use std::fmt::Write as _;

/// A run of shares.
pub(crate) fn submit(report: &SubmitReport) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let how = match (report.in_flight, report.rate_asked) {
        (Some(n), _) => format!("{n} in flight"),
        (None, rate) => format!("{} a second asked", rate.unwrap_or(0)),
    };
    let _ = writeln!(text, "{} clients, {how}, {:.1} s", report.clients, report.seconds);
    let _ = writeln!(
        text,
        "  {:.0} answers a second, {:.0} accepted a second",
        report.answers_per_second, report.accepted_per_second
    );
    let _ = writeln!(text, "  submit to answer: {}", quantiles(&report.latency));
    if report.latency_first.count > 0 {
        for (what, part) in [
            ("first shares of a connection", &report.latency_first),
            ("all later ones", &report.latency_later),
        ] {
            let _ = writeln!(text, "    {what} ({}): {}", part.count, quantiles(part));
        }
    }
    if let Some(late) = &report.late {
        let _ = writeln!(text, "  of it, submits left late by: {}", quantiles(late));
    }
    let busy = report.generator_busy * 100.0;
    let _ = writeln!(text, "  the generator was at work {busy:.0} % of the time");
    for (kind, answers) in &report.answers {
        let refused: Vec<_> =
            answers.refused.iter().map(|(code, n)| format!("code {code}: {n}")).collect();
        let _ = writeln!(
            text,
            "  {kind}: {} sent, {} accepted{}{}",
            answers.sent,
            answers.accepted,
            if refused.is_empty() { "" } else { ", " },
            refused.join(", ")
        );
    }
    let _ = writeln!(text, "  acknowledged in all: {}", report.acknowledged);
    for (count, what) in [
        (report.unexpected, "answers say other than they should"),
        (report.out_of_order, "answers came out of order"),
        (report.strays, "answers to nothing that was asked"),
        (report.unanswered, "submits without an answer"),
        (report.closed as u64, "connections were closed on us"),
        (report.mined_late, "hashes had to be tried during the run: the generator was the limit"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  ! {count} {what}");
        }
    }
    if let Some(why) = &report.closed_because {
        let _ = writeln!(text, "  ! the first: {why}");
    }
    text
}

/// Jobs to everybody.
pub(crate) fn broadcast(report: &BroadcastReport) -> String {
    let mut text = format!("{} clients, {} jobs\n", report.clients, report.rounds.len());
    for round in &report.rounds {
        let _ = write!(text, "  first to last {:.0} µs", round.spread_us);
        if let Some((first, last)) = round.first_us.zip(round.last_us) {
            let _ = write!(text, "; from the block {first:.0} to {last:.0} µs");
        }
        if round.missed > 0 {
            let _ = write!(text, "; {} clients did not get it", round.missed);
        }
        text.push('\n');
    }
    let _ = writeln!(text, "  all clients: {}", quantiles(&report.delay));
    text
}

/// A storm.
pub(crate) fn storm(report: &StormReport) -> String {
    let mut text = format!(
        "{} of {} connections mine after {:.1} s; the last was begun after {:.1} s\n",
        report.mining, report.clients, report.seconds, report.begun_seconds
    );
    let _ = writeln!(text, "  to the first share: {}", quantiles(&report.to_first_share));
    let _ = writeln!(text, "  acknowledged in all: {}", report.acknowledged);
    ended(&mut text, report.closed, report.refused, report.closed_because.as_deref());
    text
}

/// A soak.
pub(crate) fn idle(report: &IdleReport) -> String {
    let mib = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), mib);
    let mut text = format!("{} connections held for {:.0} s\n", report.clients, report.seconds);
    let _ = writeln!(
        text,
        "  resident: {} before, {} with all, {} at the end, {} at most",
        mib(report.resident_before),
        mib(report.resident_open),
        mib(report.resident_end),
        mib(report.resident_max)
    );
    if let Some(bytes) = report.bytes_per_client {
        let _ = writeln!(text, "  {bytes} bytes a client");
    }
    let _ = writeln!(
        text,
        "  jobs heard: {}, shares acknowledged: {}",
        report.jobs, report.acknowledged
    );
    ended(&mut text, report.closed, report.refused, report.closed_because.as_deref());
    text
}

/// A swarm beside honest miners.
pub(crate) fn hostile(report: &HostileReport) -> String {
    let mut text = format!("the honest ones alone:\n{}", submit(&report.alone));
    let _ = write!(text, "beside the swarm:\n{}", submit(&report.beside));
    text.push_str("the swarm:\n");
    for (attack, a) in &report.swarm {
        let _ = writeln!(
            text,
            "  {attack}: {} connections, {} of them closed by the server, {:.1} MB sent, \
             {} accepted, {} refused, {} handshakes answered",
            a.connections,
            a.closed,
            f64_of(a.bytes) / 1e6,
            a.accepted,
            a.refused,
            a.answered
        );
    }
    if let Some(counted) = report.counted {
        let acknowledged = report.alone.acknowledged + report.beside.acknowledged;
        let _ = writeln!(text, "honest shares in the log: {counted}, acknowledged: {acknowledged}");
    }
    text
}

/// A soak over several gateways.
pub(crate) fn soak(report: &SoakReport) -> String {
    let mut text = format!("{} connections, {} gateways\n", report.clients, report.gateways.len());
    for gateway in &report.gateways {
        text.push_str(&idle(&gateway.held));
        if let Some((settled, grown)) = gateway.resident_settled.zip(gateway.grown_bytes) {
            let sign = if grown < 0 { '-' } else { '+' };
            let _ = writeln!(
                text,
                "  resident after a quarter of the time: {}; from then to the end {sign}{}",
                mib(settled),
                mib(grown.unsigned_abs())
            );
        }
        let _ = writeln!(text, "  shares in its log: {}", gateway.counted);
    }
    text
}

fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", f64_of(bytes) / 1_048_576.0)
}

#[allow(clippy::cast_precision_loss)] // for display
fn f64_of(n: u64) -> f64 {
    n as f64
}

fn ended(text: &mut String, closed: usize, refused: u64, why: Option<&str>) {
    if refused > 0 {
        let _ = writeln!(text, "  ! {refused} shares were refused");
    }
    if closed > 0 {
        let why = why.unwrap_or("without a word");
        let _ = writeln!(text, "  ! {closed} connections were closed on us; the first: {why}");
    }
}

/// Quantiles in one line.
pub(crate) fn quantiles(q: &Quantiles) -> String {
    format!(
        "p50 {:.0} µs, p90 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, longest {:.0} µs",
        q.p50_us, q.p90_us, q.p99_us, q.p999_us, q.max_us
    )
}
