//! Plot: axes, lines and a legend, as SVG and HTML.
//!
//! The drawing stretches with the page, and lines keep their width (`vector-effect`). The texts beside it are HTML, so they
//! keep their size on a narrow screen.

use super::escape::{element, escape, push};
use super::scale::{Numbers, Scale};
use super::series::{Series, Stroke};
use crate::figures::figure;

/// Patterns of lines, as `stroke-dasharray` in pixels; 0 is solid.
pub(super) const PATTERNS: [&str; 5] = ["none", "7 4", "2 4", "10 4 2 4", "4 2"];
/// Name of the axis of steps.
pub(super) const STEP: &str = "step";
/// Number of colours in the style.
pub(super) const COLORS: usize = 7;
/// Most dots of a series with a text of their own.
const MOST_DOTS: usize = 80;

/// Plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// Meaning and unit of the axes.
    pub(super) x: String,
    pub(super) y: String,
    pub(super) numbers: Numbers,
    pub(super) form: Form,
    pub(super) series: Vec<Series>,
    /// Remark below the title; empty for none.
    pub(super) remark: String,
}

/// Form of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// From zero.
    FromZero,
    /// From the lowest to the highest value, and logarithmic if they span more than this factor.
    LogarithmicBeyond(u32),
}

impl Plot {
    /// The plot as HTML; nothing if there is no point. `class` is added to that of the figure.
    pub(super) fn html(&self, class: &str) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            return String::new();
        }
        let (x, y) = (self.x_scale(), self.y_scale());
        let mut html = format!("<figure class=\"plot {class}\"><figcaption>");
        html.push_str(&element("h3", "", &self.title));
        if !self.remark.is_empty() {
            html.push_str(&element("p", "remark", &self.remark));
        }
        html.push_str(&self.legend());
        html.push_str("</figcaption>");
        let scale = if y.is_logarithmic() { ", logarithmic" } else { "" };
        html.push_str(&element("div", "y-name", &format!("{}{scale}", self.y)));
        self.push_axes_and_lines(&mut html, x, y);
        html.push_str(&element("div", "x-name", &self.x));
        html.push_str("</figure>\n");
        html
    }

    fn push_axes_and_lines(&self, html: &mut String, x: Scale, y: Scale) {
        let (x_ticks, y_ticks) = (x.ticks(6), y.ticks(4));
        let y_labels = y.labels(&y_ticks, self.numbers);
        let width = y_labels
            .iter()
            .map(|label| label.chars().count())
            .max()
            .unwrap_or(1);
        push(
            html,
            format_args!("<div class=\"frame\" style=\"--w:{width}ch\"><div class=\"y-ticks\">"),
        );
        for (tick, label) in y_ticks.iter().zip(&y_labels) {
            let top = 100.0 * (1.0 - y.place(*tick));
            push(
                html,
                format_args!("<span style=\"top:{top:.2}%\">{}</span>", escape(label)),
            );
        }
        html.push_str("</div><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\"");
        push(html, format_args!(" aria-label=\"{}\">", escape(&self.title)));
        for tick in &y_ticks {
            let at = 1000.0 * (1.0 - y.place(*tick));
            push(html, format_args!("<path class=\"grid\" d=\"M0 {at:.1}H1000\"/>"));
        }
        for series in &self.series {
            push_series(html, series, x, y, &self.x);
        }
        html.push_str("</svg><div class=\"x-ticks\">");
        for (place, (tick, label)) in x_ticks.iter().zip(x.labels(&x_ticks, Numbers::Plain)).enumerate() {
            let left = 100.0 * x.place(*tick);
            let minor = if place % 2 == 1 { " class=\"minor\"" } else { "" };
            push(
                html,
                format_args!("<span{minor} style=\"left:{left:.2}%\">{}</span>", escape(&label)),
            );
        }
        html.push_str("</div></div>");
    }

    fn x_scale(&self) -> Scale {
        let (low, high) = range(
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .map(|point| point.0),
        );
        // Steps begin at 0, so that plots of them can be read beside each other.
        Scale::exact(if self.x == STEP { low.min(0.0) } else { low }, high)
    }

    fn y_scale(&self) -> Scale {
        let (low, high) = range(
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .map(|point| point.1),
        );
        match self.form {
            Form::FromZero => Scale::linear(low, high, true),
            Form::LogarithmicBeyond(factor) if low > 0.0 && high / low > f64::from(factor) => {
                Scale::logarithmic(low, high)
            }
            Form::LogarithmicBeyond(_) => Scale::linear(low, high, false),
        }
    }

    fn legend(&self) -> String {
        let named: Vec<&Series> = self
            .series
            .iter()
            .filter(|series| !series.name.is_empty())
            .collect();
        if named.is_empty() {
            return String::new();
        }
        let mut html = String::from("<ul class=\"legend\">");
        for series in named {
            push(
                &mut html,
                format_args!("<li>{}{}</li>", swatch(series), escape(&series.name)),
            );
        }
        html.push_str("</ul>");
        html
    }
}

/// Piece of a line as in the plot.
fn swatch(series: &Series) -> String {
    let (class, pattern) = look(series.stroke);
    let color = series.color % COLORS;
    let dot = if matches!(series.stroke, Stroke::Dotted(_)) {
        "<path class=\"dot\" d=\"M14 6h0\"/>"
    } else {
        ""
    };
    let line = match series.stroke {
        Stroke::Area => "<path class=\"area\" d=\"M0 2H28V10H0z\"/>".to_string(),
        _ => format!("<path class=\"{class}\" style=\"stroke-dasharray:{pattern}\" d=\"M0 6H28\"/>"),
    };
    format!("<svg class=\"swatch c{color}\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">{line}{dot}</svg>")
}

/// Class and pattern of a line.
fn look(stroke: Stroke) -> (&'static str, &'static str) {
    match stroke {
        Stroke::Faint => ("line faint", PATTERNS[0]),
        Stroke::Area => ("line", PATTERNS[0]),
        Stroke::Line(pattern) | Stroke::Dotted(pattern) => ("line", PATTERNS[pattern % PATTERNS.len()]),
    }
}

fn push_series(html: &mut String, series: &Series, x: Scale, y: Scale, of_x: &str) {
    let place = |at: f64, value: f64| (1000.0 * x.place(at), 1000.0 * (1.0 - y.place(value)));
    let drawn = series.drawn();
    push(html, format_args!("<g class=\"c{}\">", series.color % COLORS));
    if !drawn.band.is_empty() {
        let upper = drawn.band.iter().map(|&(at, _, high)| place(at, high));
        let lower = drawn.band.iter().rev().map(|&(at, low, _)| place(at, low));
        push(
            html,
            format_args!("<path class=\"band\" d=\"{}z\"/>", path(upper.chain(lower))),
        );
    }
    let line = path(drawn.line.iter().map(|&(at, value)| place(at, value)));
    if series.stroke == Stroke::Area {
        let first = drawn.line.first().map_or(0.0, |&(at, _)| 1000.0 * x.place(at));
        let last = drawn.line.last().map_or(0.0, |&(at, _)| 1000.0 * x.place(at));
        push(
            html,
            format_args!("<path class=\"area\" d=\"{line}L{last:.1} 1000L{first:.1} 1000z\"/>"),
        );
    }
    let (class, pattern) = look(series.stroke);
    push(
        html,
        format_args!("<path class=\"{class}\" style=\"stroke-dasharray:{pattern}\" d=\"{line}\"/>"),
    );
    if matches!(series.stroke, Stroke::Dotted(_)) && drawn.line.len() <= MOST_DOTS {
        for &(at, value) in &drawn.line {
            let (left, top) = place(at, value);
            let text = format!("{}: {} at {of_x} {at}", series.name, figure(value));
            push(
                html,
                format_args!(
                    "<path class=\"dot\" d=\"M{left:.1} {top:.1}h0\"><title>{}</title></path>",
                    escape(&text)
                ),
            );
        }
    }
    html.push_str("</g>");
}

/// Path through points.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.enumerate() {
        push(
            &mut path,
            format_args!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' }),
        );
    }
    path
}

/// Lowest and highest of some values, at least one.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>, stroke: Stroke) -> Plot {
        Plot {
            title: "Loss".into(),
            x: "step".into(),
            y: "nats".into(),
            numbers: Numbers::Plain,
            form: Form::LogarithmicBeyond(2),
            series: vec![Series {
                name: "held out".into(),
                color: 1,
                stroke,
                points,
            }],
            remark: String::new(),
        }
    }

    #[test]
    fn a_plot_has_a_line_from_the_first_point_to_the_last_and_names_its_axes() {
        let html = plot(vec![(0.0, 2.0), (100.0, 1.0)], Stroke::Dotted(1)).html("wide");
        for part in [
            "<figure class=\"plot wide\">",
            ">Loss</h3>",
            ">nats</div>",
            ">step</div>",
            "held out",
            "class=\"line\" style=\"stroke-dasharray:7 4\" d=\"M0.0 ",
            "<title>held out: 1.000 at step 100</title>",
        ] {
            assert!(html.contains(part), "`{part}` is not in {html}");
        }
        assert_eq!(
            html.matches("class=\"dot\" d=\"M").count(),
            3,
            "two points and the swatch of the legend"
        );
    }

    #[test]
    fn values_over_a_wide_range_are_on_a_logarithmic_axis_that_says_so() {
        let html = plot(vec![(0.0, 20.0), (100.0, 1.0)], Stroke::Faint).html("");
        assert!(html.contains(">nats, logarithmic</div>"), "{html}");
    }

    #[test]
    fn a_plot_without_points_is_none() {
        assert_eq!(plot(Vec::new(), Stroke::Faint).html(""), "");
    }
}
