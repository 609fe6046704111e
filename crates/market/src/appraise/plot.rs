//! What came back of the price, by day of purchase, drawn.

#![expect(clippy::cast_precision_loss, reason = "places on a picture")]

use super::{Date, Ended, Outcome};
use std::fmt::Write as _;

/// Rows for the terminal: each a stretch of purchases with the median of what came back, as a bar to 200 %.
#[must_use]
pub fn rows(outcomes: &[Outcome], rows_max: usize) -> String {
    const WIDTH: usize = 40;
    let ended: Vec<&Outcome> =
        outcomes.iter().filter(|o| o.returned_per_mille().is_some()).collect();
    let each = ended.len().div_ceil(rows_max.max(1)).max(1);
    let mut out = String::new();
    for part in ended.chunks(each) {
        let mut values: Vec<i64> = part.iter().filter_map(|o| o.returned_per_mille()).collect();
        values.sort_unstable();
        let median = super::summary::quantile(&values, 500).unwrap_or(0);
        let filled = usize::try_from(median.clamp(0, 2_000)).unwrap_or(0) * WIDTH / 2_000;
        let mut bar: Vec<char> =
            "█".repeat(filled).chars().chain(" ".repeat(WIDTH - filled).chars()).collect();
        if let Some(c) = bar.get_mut(WIDTH / 2).filter(|c| **c == ' ') {
            *c = '│';
        }
        let bar: String = bar.into_iter().collect();
        let open = if part.iter().any(|o| o.ended == Ended::Runs) { " still running" } else { "" };
        let first = part.first().map_or_else(String::new, |o| o.bought.to_string());
        let _ = writeln!(out, "{first}  {bar} {:>5} %{open}", median / 10);
    }
    out
}

/// A picture in SVG: day of purchase to the right, what came back of the price upwards (on a logarithmic scale from 5 %
/// to 2,000 %), with the line of 100 %.
#[must_use]
pub fn svg(title: &str, outcomes: &[Outcome]) -> String {
    const W: f64 = 900.0;
    const H: f64 = 360.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 40.0;
    let y = |per_mille: i64| {
        let v = (per_mille.max(1) as f64 / 1_000.0).clamp(0.05, 20.0);
        TOP + H * (1.0 - (v / 0.05).ln() / 400f64.ln())
    };
    let (first, last) = match (outcomes.first(), outcomes.last()) {
        (Some(a), Some(b)) => (a.bought, b.bought),
        _ => return String::new(),
    };
    let span = f64::from(last.since(first).max(1));
    let x = |d: Date| LEFT + W * f64::from(d.since(first)) / span;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n<title>{}</title>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"16\">{}</text>\n",
        W + LEFT + 20.0,
        H + TOP + 40.0,
        escaped(title),
        escaped(title)
    );
    for (per_mille, name) in [
        (50, "5 %"),
        (200, "20 %"),
        (500, "50 %"),
        (1_000, "100 %"),
        (2_000, "200 %"),
        (5_000, "500 %"),
        (20_000, "2000 %"),
    ] {
        let at = y(per_mille);
        let (colour, width) = if per_mille == 1_000 { ("#c33", 1.5) } else { ("#ccc", 0.7) };
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT + W,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for year in first.civil().0..=last.civil().0 {
        if let Some(d) = Date::new(year, 1, 1).filter(|d| *d >= first && *d <= last) {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{year}</text>",
                x(d),
                TOP + H + 20.0
            );
        }
    }
    for (ended, colour) in [(true, "#157"), (false, "#9bd")] {
        let points: Vec<String> = outcomes
            .iter()
            .filter(|o| (o.ended != Ended::Runs) == ended)
            .filter_map(|o| Some(format!("{:.1},{:.1}", x(o.bought), y(o.returned_per_mille()?))))
            .collect();
        if !points.is_empty() {
            let _ = writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>",
                points.join(" ")
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
