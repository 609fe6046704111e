//! Counts of the web room itself, and the writing of Prometheus' text form.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the answer-time histogram, in milliseconds.
const BOUNDS_MS: [u64; 8] = [1, 5, 10, 25, 50, 100, 500, 2500];

/// Requests answered, by class of status, and how long they took.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    by_class: [AtomicU64; 5],
    by_time: [AtomicU64; BOUNDS_MS.len()],
    total: AtomicU64,
    micros: AtomicU64,
}

impl Metrics {
    /// Counts one answer.
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(us, Ordering::Relaxed);
        for (bound, count) in BOUNDS_MS.iter().zip(&self.by_time) {
            if us <= bound * 1000 {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Writes the counts.
    pub(crate) fn write(&self, out: &mut Exposition) {
        out.family("gruve_http_requests_total", "counter", "Answers given, by class of status.");
        for (i, c) in self.by_class.iter().enumerate() {
            let class = format!("{}xx", i + 1);
            out.sample(
                "gruve_http_requests_total",
                &[("class", &class)],
                c.load(Ordering::Relaxed),
            );
        }
        let name = "gruve_http_request_duration_seconds";
        out.family(name, "histogram", "Time to answer.");
        for (bound, count) in BOUNDS_MS.iter().zip(&self.by_time) {
            let le = format!("{}.{:03}", bound / 1000, bound % 1000);
            out.sample(&format!("{name}_bucket"), &[("le", &le)], count.load(Ordering::Relaxed));
        }
        let total = self.total.load(Ordering::Relaxed);
        out.sample(&format!("{name}_bucket"), &[("le", "+Inf")], total);
        let us = self.micros.load(Ordering::Relaxed);
        let secs = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        out.sample(&format!("{name}_sum"), &[], secs);
        out.sample(&format!("{name}_count"), &[], total);
    }
}

/// Prometheus' text form, version 0.0.4, being written.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// Begins a family of samples.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    pub(crate) fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let all: Vec<String> =
            labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v))).collect();
        let braces = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
        let _ = writeln!(self.0, "{name}{braces} {value}");
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_time() {
        let m = Metrics::default();
        m.answered(200, Duration::from_millis(3));
        m.answered(404, Duration::from_millis(60));
        let mut out = Exposition::default();
        m.write(&mut out);
        let text = out.finish();
        assert!(text.contains("gruve_http_requests_total{class=\"2xx\"} 1"));
        assert!(text.contains("gruve_http_requests_total{class=\"4xx\"} 1"));
        assert!(text.contains("_bucket{le=\"0.005\"} 1"));
        assert!(text.contains("_bucket{le=\"+Inf\"} 2"));
        assert!(text.contains("_sum 0.063000"));
    }

    #[test]
    fn labels_cannot_break_the_form() {
        let mut out = Exposition::default();
        out.sample("x", &[("a", "q\"\n\\")], 1);
        assert_eq!(out.finish(), "x{a=\"q\\\"\\n\\\\\"} 1\n");
    }
}
