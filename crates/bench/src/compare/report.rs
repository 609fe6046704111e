//! What a comparison found.

use super::{Column, CompareOptions};
use serde::Serialize;
use std::fmt::Write as _;

/// The version of the JSON's shape; raised when a field goes or changes its meaning.
const FORMAT: u32 = 2;

/// One server's figure of one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// In the column's unit.
    pub value: f64,
    /// Shares acknowledged, where shares were sent.
    pub acknowledged: Option<u64>,
    /// What the server counts: the gateway from its log.
    pub counted: Option<u64>,
    /// The part of the time in which the generator was at work.
    pub generator_busy: Option<f64>,
    /// The part of its core that the gateway's log took, in processor time.
    pub log_part: Option<f64>,
    /// How late submits left (99th percentile, microseconds) because the generator could not send them when they were due; at a
    /// given rate alone. It is part of the time to their answers.
    pub late_p99_us: Option<f64>,
    /// What should not have happened.
    pub fault: Option<String>,
}

/// Both of one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pair {
    /// The floor's.
    pub floor: Sample,
    /// The gateway's.
    pub gateway: Sample,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// The middle of the floor's values.
    pub floor: f64,
    /// The middle of the gateway's.
    pub gateway: f64,
    /// The middle of gateway / floor, round by round.
    pub ratio: f64,
    /// The least of them.
    pub ratio_min: f64,
    /// The greatest.
    pub ratio_max: f64,
    /// The middle of the parts that the gateway's log took.
    pub log_part: Option<f64>,
    /// All rounds.
    pub rounds: Vec<Pair>,
    #[serde(skip)]
    column: Column,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct CompareReport {
    /// The version of this shape.
    pub format: u32,
    /// Gruve's version.
    pub version: &'static str,
    /// The processor, as the system names it.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// The servers' core.
    pub server_core: Option<usize>,
    /// The generator's core.
    pub generator_core: Option<usize>,
    /// The columns.
    pub columns: Vec<ColumnReport>,
}

/// The middle one; the mean of the two middle ones of an even number.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => values[n / 2],
        _ => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

impl ColumnReport {
    pub(super) fn of(column: Column, rounds: Vec<Pair>) -> ColumnReport {
        let ratios: Vec<_> = rounds.iter().map(|p| p.gateway.value / p.floor.value).collect();
        let parts: Vec<_> = rounds.iter().filter_map(|p| p.gateway.log_part).collect();
        ColumnReport {
            name: column.to_string(),
            unit: column.unit(),
            floor: median(rounds.iter().map(|p| p.floor.value)),
            gateway: median(rounds.iter().map(|p| p.gateway.value)),
            ratio: median(ratios.iter().copied()),
            ratio_min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratio_max: ratios.iter().copied().fold(0.0, f64::max),
            log_part: (!parts.is_empty()).then(|| median(parts.into_iter())),
            rounds,
            column,
        }
    }
}

impl CompareReport {
    pub(super) fn begin(options: &CompareOptions) -> CompareReport {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
        CompareReport {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            processor: name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::fs::read_dir("/sys/devices/system/cpu").map_or(0, |cores| {
                let is_core =
                    |name: &str| name.strip_prefix("cpu").is_some_and(|n| n.parse::<u16>().is_ok());
                cores.flatten().filter(|c| c.file_name().to_str().is_some_and(is_core)).count()
            }),
            server_core: options.server_core,
            generator_core: options.generator_core,
            columns: Vec::new(),
        }
    }

    /// Half of what the slower of the two can do with so many clients, one in flight.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate, far below 2^53
    pub(super) fn half_rate(&self, clients: usize) -> Option<u64> {
        let column = Column::Submit { clients, in_flight: 1 };
        let found = self.columns.iter().find(|c| c.column == column)?;
        Some((found.floor.min(found.gateway) / 2.0) as u64)
    }

    /// Faults of all rounds.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for column in &self.columns {
            for pair in &column.rounds {
                for (who, sample) in [("floor", &pair.floor), ("gateway", &pair.gateway)] {
                    faults.extend(
                        sample.fault.iter().map(|f| format!("{}, {who}: {f}", column.name)),
                    );
                }
            }
        }
        faults
    }

    /// As a table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            format!("{}, {} cores; gruve {}\n", self.processor, self.cores, self.version);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<16} {:>18} {:>18} {:>8} {:>15} {:>6}",
            "", "floor", "gateway", "ratio", "least–greatest", "log"
        );
        for c in &self.columns {
            let log = c.log_part.map_or_else(String::new, |part| format!("{:.1} %", part * 100.0));
            let range = format!("{:.2}–{:.2}", c.ratio_min, c.ratio_max);
            let _ = writeln!(
                text,
                "{:<16} {:>18} {:>18} {:>8.2} {range:>15} {log:>6}",
                c.name,
                c.column.show(c.floor),
                c.column.show(c.gateway),
                c.ratio,
            );
        }
        for c in &self.columns {
            let late = |of: fn(&Pair) -> &Sample| {
                let all: Vec<_> = c.rounds.iter().filter_map(|p| of(p).late_p99_us).collect();
                (!all.is_empty()).then(|| median(all.into_iter()))
            };
            if let Some((floor, gateway)) = late(|p| &p.floor).zip(late(|p| &p.gateway)) {
                let _ = writeln!(
                    text,
                    "{}: the generator itself was late by {floor:.0} µs beside the floor, {gateway:.0} µs beside the gateway (p99)",
                    c.name
                );
            }
        }
        let (mut sent, mut counted) = (0, 0);
        for pair in self.columns.iter().flat_map(|c| &c.rounds) {
            sent += pair.gateway.acknowledged.unwrap_or(0);
            counted += pair.gateway.counted.unwrap_or(0);
        }
        let _ = writeln!(text, "shares the gateway acknowledged: {sent}, in its logs: {counted}");
        for fault in self.faults() {
            let _ = writeln!(text, "! {fault}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle_ones() {
        let median_of = |values: &[f64]| median(values.iter().copied());
        assert!((median_of(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median_of(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median_of(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_the_gateway_s_over_the_floor_s_in_the_same_round() {
        let pair = |floor, gateway| Pair {
            floor: Sample { value: floor, ..Sample::default() },
            gateway: Sample { value: gateway, ..Sample::default() },
        };
        let column = Column::Broadcast { clients: 7 };
        let rounds = vec![pair(100.0, 50.0), pair(10.0, 9.0), pair(40.0, 30.0)];
        let report = ColumnReport::of(column, rounds);
        assert!((report.ratio - 0.75).abs() < 1e-9);
        assert!((report.ratio_min - 0.5).abs() < 1e-9 && (report.ratio_max - 0.9).abs() < 1e-9);
    }

    #[test]
    fn where_the_generator_paced_its_submits_the_table_says_how_late_it_was_itself() {
        let sample = |late| Sample { value: 500.0, late_p99_us: Some(late), ..Sample::default() };
        let rounds = vec![Pair { floor: sample(17.0), gateway: sample(48.0) }];
        let column = ColumnReport::of(Column::HalfLoad { clients: 7 }, rounds);
        let other = ColumnReport::of(Column::First { clients: 7 }, vec![Pair::default()]);
        let report = CompareReport {
            format: FORMAT,
            version: "",
            processor: String::new(),
            cores: 2,
            server_core: None,
            generator_core: None,
            columns: vec![column, other],
        };
        let text = report.text();
        assert!(text.contains("p99-half-7: the generator itself was late by 17 µs"), "{text}");
        assert_eq!(text.matches("late by").count(), 1, "{text}");
    }
}
