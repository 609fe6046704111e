//! Counts of the web room itself.

use crate::exposition::{Exposition, FamilyKind, Unit};
use gruve_units::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the answer-time histogram, in nanoseconds.
const BOUNDS_NS: &[u64] = &[
    1_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    2_500_000_000,
];

/// Requests answered, by class of status, and how long they took.
#[derive(Debug)]
pub(crate) struct Metrics {
    by_class: [AtomicU64; 5],
    times: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { by_class: Default::default(), times: Histogram::new(BOUNDS_NS) }
    }
}

impl Metrics {
    /// Counts one answer.
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
        self.times.add_time(took);
    }

    /// Writes the counts.
    pub(crate) fn write(&self, out: &mut Exposition) {
        let help = "Answers given, by class of status.";
        out.family("gruve_http_requests_total", FamilyKind::Counter, help);
        for (i, c) in self.by_class.iter().enumerate() {
            let class = format!("{}xx", i + 1);
            out.sample(
                "gruve_http_requests_total",
                &[("class", &class)],
                c.load(Ordering::Relaxed),
            );
        }
        let name = "gruve_http_request_duration_seconds";
        out.family(name, FamilyKind::Histogram, "Time to answer.");
        out.histogram(name, &[], &self.times.read(), Unit::Nanoseconds);
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
        assert!(text.contains("_sum 0.063"));
    }
}
