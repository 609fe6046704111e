//! Plots drawn on the server as SVG.
//!
//! A plot is a picture of a table that stands on the same page: the picture has a title and a
//! description, the table has every figure. Floats are used here for places on the paper and
//! nowhere else.
//!
//! The drawing scales in width without scaling its type: marks stand in percent, text in pixels.

use crate::money::{clock_text, date_text};
use crate::words::{t, text};
use gruve_units::{Duration, Timestamp};
use maud::{Markup, html};

/// Bars drawn at most; more are folded together by their mean, so that a long contract's page
/// stays small (about 100 bytes a bar).
const BARS_MAX: usize = 180;
/// A bar's width at most, in percent of the plot: with few points bars stay bars.
const BAR_WIDTH_MAX: f64 = 5.0;
const HEIGHT: f64 = 200.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 24.0;

/// One place along the time axis.
pub(crate) struct Point {
    /// What the place is called: a time, to the second.
    pub(crate) label: String,
    /// The same in short, for the axis.
    pub(crate) mark: String,
    /// The height of its bar.
    pub(crate) bar: f64,
    /// The height of the line over it, when the plot has one.
    pub(crate) line: Option<f64>,
    /// The figures in words, shown on hover.
    pub(crate) tip: String,
}

/// A plot to draw.
pub(crate) struct Plot<'a> {
    /// Unique on the page.
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    /// What the picture shows, in a sentence with its main figures.
    pub(crate) description: &'a str,
    pub(crate) bars: &'a str,
    pub(crate) line: Option<&'a str>,
    pub(crate) points: &'a [Point],
    /// Writes a height for the axis.
    pub(crate) axis: &'a dyn Fn(f64) -> String,
    /// The class that colours the bars.
    pub(crate) tone: &'a str,
}

/// How times along an axis are marked, from its first to its last: by their clocks where all of it is less than a day,
/// else by their dates.
pub(crate) fn marks(ends: Option<(Timestamp, Timestamp)>) -> fn(Timestamp) -> String {
    let day = Duration::from_secs(86_400);
    let is_long = ends.is_some_and(|(first, last)| last.since(first) >= day);
    if is_long { date_text } else { clock_text }
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is not below a quarter of `max`.
fn step_for(max: f64) -> f64 {
    if !max.is_finite() || max <= 0.0 {
        return 1.0;
    }
    let rough = max / 4.0;
    let base = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * base).find(|s| *s >= rough).unwrap_or(rough)
}

fn fold(points: &[Point]) -> Vec<Point> {
    let size = points.len().div_ceil(BARS_MAX).max(1);
    let mean = |sum: f64, n: usize| sum / (n.max(1) as f64);
    points
        .chunks(size)
        .map(|c| {
            let first = &c[0];
            Point {
                label: first.label.clone(),
                mark: first.mark.clone(),
                bar: mean(c.iter().map(|p| p.bar).sum(), c.len()),
                line: first.line.map(|_| mean(c.iter().filter_map(|p| p.line).sum(), c.len())),
                tip: if c.len() == 1 {
                    first.tip.clone()
                } else {
                    text!("mean of {n} epochs from {label}", n = c.len(), label = first.label)
                },
            }
        })
        .collect()
}

impl Plot<'_> {
    /// The figure with caption and legend.
    pub(crate) fn draw(&self) -> Markup {
        let points = fold(self.points);
        html! {
            figure.plot {
                figcaption {
                    span.plot-title { (self.title) }
                    span.legend {
                        span class={ "key " (self.tone) } { (self.bars) }
                        @if let Some(line) = self.line { span class="key key-line" { (line) } }
                    }
                }
                @if points.is_empty() {
                    p.empty { (t("Nothing to draw yet: the first closed epoch will stand here.")) }
                } @else {
                    (self.svg(&points))
                }
            }
        }
    }

    fn svg(&self, points: &[Point]) -> Markup {
        let highest =
            points.iter().flat_map(|p| [p.bar, p.line.unwrap_or(0.0)]).fold(0.0, f64::max);
        let step = step_for(highest);
        let ticks = (highest / step).ceil().max(1.0);
        let top = ticks * step;
        let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (v / top).clamp(0.0, 1.0));
        let base = y(0.0);
        let slot = 100.0 / points.len() as f64;
        let gap = if points.len() > 60 { 0.05 } else { 0.18 };
        let pct = |v: f64| format!("{v:.3}%");
        let px = |v: f64| format!("{v:.1}");
        let width = (slot * (1.0 - gap)).min(BAR_WIDTH_MAX);
        let last = points.len() - 1;
        // Few bars stand far apart, so that each label stands under its own; many fill the width,
        // and the labels keep to its edges.
        let under = |i: usize| (i, pct(slot * (i as f64 + 0.5)), "middle");
        let labels = match last {
            0 => vec![under(0)],
            1..4 => vec![under(0), under(last)],
            _ => vec![
                (0, pct(0.0), "start"),
                (last / 2, pct(50.0), "middle"),
                (last, pct(100.0), "end"),
            ],
        };
        let (title_id, desc_id) = (format!("{}-t", self.id), format!("{}-d", self.id));
        let mut grid = vec![0.0];
        while grid.len() < 12 && (grid.len() as f64) < ticks + 0.5 {
            grid.push(grid.len() as f64 * step);
        }
        html! {
            div.plot-grid {
                // Ticks are evenly spaced, so that they need no places of their own.
                div.ticks aria-hidden="true" {
                    @for v in grid.iter().rev() { span { ((self.axis)(*v)) } }
                }
                svg width="100%" height=(px(HEIGHT)) role="img"
                    aria-labelledby={ (title_id) " " (desc_id) } xmlns="http://www.w3.org/2000/svg" {
                    title id=(title_id) { (self.title) }
                    desc id=(desc_id) { (self.description) }
                    g aria-hidden="true" {
                        @for v in &grid {
                            line.grid x1="0%" x2="100%" y1=(px(y(*v))) y2=(px(y(*v))) {}
                        }
                        @for (i, p) in points.iter().enumerate() {
                            @let x = slot * i as f64;
                            rect class={ "bar " (self.tone) } x=(pct(x + (slot - width) / 2.0))
                                y=(px(y(p.bar))) width=(pct(width))
                                height=(px(base - y(p.bar))) {
                                title { (p.label) ": " (p.tip) }
                            }
                        }
                        @for (i, line) in points.iter().enumerate().filter_map(|(i, p)| Some((i, p.line?))) {
                            @let x = slot * i as f64;
                            line.over x1=(pct(x)) x2=(pct(x + slot)) y1=(px(y(line))) y2=(px(y(line))) {}
                        }
                        line.base x1="0%" x2="100%" y1=(px(base)) y2=(px(base)) {}
                        @for (i, x, anchor) in &labels {
                            text.tick x=(x) y=(px(HEIGHT - 6.0)) text-anchor=(anchor) { (points[*i].mark) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: &[Point]) -> String {
        let axis = |v: f64| format!("{v:.0}");
        Plot {
            id: "p",
            title: "Work <per> epoch",
            description: "d",
            bars: "delivered",
            line: Some("entitled"),
            points,
            axis: &axis,
            tone: "work",
        }
        .draw()
        .into_string()
    }

    fn point(i: usize) -> Point {
        let (label, mark) = (format!("long {i}"), i.to_string());
        Point { label, mark, bar: i as f64, line: Some(3.0), tip: String::new() }
    }

    #[test]
    fn a_plot_names_itself_to_screen_readers_and_escapes() {
        let s = plot(&[point(1), point(2)]);
        assert!(s.contains("<title id=\"p-t\">Work &lt;per&gt; epoch</title>"));
        assert!(s.contains("aria-labelledby=\"p-t p-d\""));
    }

    #[test]
    fn no_points_and_flat_zero_are_drawn_without_nonsense() {
        assert!(plot(&[]).contains("Nothing to draw yet"));
        let s = plot(&[point(0)]);
        assert!(!s.contains("NaN") && !s.contains("inf"));
    }

    #[test]
    fn a_year_of_epochs_is_folded_to_a_bounded_picture() {
        let many: Vec<Point> = (0..52_560).map(point).collect();
        let s = plot(&many);
        assert!(s.matches("class=\"bar").count() <= BARS_MAX);
    }

    #[test]
    fn few_bars_stay_narrow_and_stand_over_their_labels() {
        let one = plot(&[point(7)]);
        assert!(one.contains("x=\"47.500%\"") && one.contains("width=\"5.000%\""), "{one}");
        assert!(one.contains("<text class=\"tick\" x=\"50.000%\""), "{one}");
        let two = plot(&[point(7), point(8)]);
        assert!(two.contains("x=\"22.500%\"") && two.contains("x=\"72.500%\""), "{two}");
    }

    #[test]
    fn an_axis_of_days_is_marked_by_dates_and_a_bar_by_its_time() {
        let at = |hours: i64| Timestamp::from_secs(1_795_219_200 + hours * 3_600);
        assert_eq!(marks(Some((at(0), at(23))))(at(5)), "05:00:00");
        assert_eq!(marks(Some((at(0), at(24))))(at(5)), "2026-11-21");
        let s = plot(&[point(1), point(2)]);
        assert!(s.contains("<title>long 1: ") && s.contains(">1</text>"), "{s}");
    }

    #[test]
    fn axis_steps_are_round() {
        assert!((step_for(97.0) - 25.0).abs() < 1e-9);
        assert!((step_for(4.0) - 1.0).abs() < 1e-9);
        assert!((step_for(0.0) - 1.0).abs() < 1e-9);
    }
}
