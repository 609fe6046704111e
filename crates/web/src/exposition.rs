//! Prometheus' text form, version 0.0.4, being written.
//!
//! Promises: a family is declared once, before its samples; names are of the characters that the form
//! allows; label values cannot break it.

use gruve_units::HistogramCounts;
use std::fmt::Write as _;

/// A text in Prometheus' form, being written: a family is begun, then its samples follow.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// In which unit a histogram's values are kept, and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Counted as they are.
    One,
    /// Kept in nanoseconds, told in seconds.
    Nanoseconds,
}

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only grows until the process starts anew; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl FamilyKind {
    const fn name(self) -> &'static str {
        match self {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        }
    }
}

impl Exposition {
    /// Begins a family of samples. `help` is one sentence.
    pub fn family(&mut self, name: &str, kind: FamilyKind, help: &str) {
        debug_assert!(is_name(name), "{name}");
        debug_assert_eq!(kind == FamilyKind::Counter, name.ends_with("_total"), "{name}");
        debug_assert!(!help.is_empty() && !help.contains(['\n', '\\']), "{help}");
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let all: Vec<String> =
            labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v))).collect();
        let braces = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
        let _ = writeln!(self.0, "{name}{braces} {value}");
    }

    /// A histogram's samples.
    pub fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        counts: &HistogramCounts,
        unit: Unit,
    ) {
        let mut below = 0;
        let bucket = format!("{name}_bucket");
        for (bound, count) in counts.bounds.iter().zip(&counts.counts) {
            below += count;
            let le = in_unit(*bound, unit);
            self.sample(&bucket, &[labels, &[("le", le.as_str())]].concat(), below);
        }
        let total = counts.total();
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), total);
        self.sample(&format!("{name}_sum"), labels, in_unit(counts.sum, unit));
        self.sample(&format!("{name}_count"), labels, total);
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

fn in_unit(value: u64, unit: Unit) -> String {
    match unit {
        Unit::One => value.to_string(),
        Unit::Nanoseconds => {
            let all = format!("{}.{:09}", value / 1_000_000_000, value % 1_000_000_000);
            all.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
    name.starts_with("gruve_") && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_the_form() {
        let mut out = Exposition::default();
        out.sample("x", &[("a", "q\"\n\\")], 1);
        assert_eq!(out.finish(), "x{a=\"q\\\"\\n\\\\\"} 1\n");
    }

    #[test]
    fn a_histogram_is_cumulative_and_in_seconds() {
        let mut out = Exposition::default();
        let counts = HistogramCounts {
            bounds: &[50_000, 1_000_000_000],
            counts: vec![2, 3, 1],
            sum: 2_500_000_000,
        };
        out.histogram("t", &[("lane", "btc")], &counts, Unit::Nanoseconds);
        assert_eq!(
            out.finish(),
            "t_bucket{lane=\"btc\",le=\"0.00005\"} 2\nt_bucket{lane=\"btc\",le=\"1\"} 5\n\
             t_bucket{lane=\"btc\",le=\"+Inf\"} 6\nt_sum{lane=\"btc\"} 2.5\nt_count{lane=\"btc\"} 6\n"
        );
    }
}
