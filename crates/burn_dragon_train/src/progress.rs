//! Progress of a training, as shown to the user.
//!
//! Progress always goes to standard error. Standard output carries only results; with `--json` only the one JSON
//! object. On a terminal the progress is one live line, elsewhere one plain line per report.

use std::env;
use std::io::{self, IsTerminal, Write};

use crate::figures::{Figure, Unit, figure, percent};
use crate::results;
use burn_dragon_checkpoint::api::expert::printable;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Values of one progress line. Rates and times are measured; everything else is a function of the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Number of steps taken.
    pub step: u64,
    /// Training loss in nats.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Unit in which the task counts its data.
    pub unit: Unit,
    /// Units per second.
    pub units_per_second: f64,
    /// Share of the machine's peak FLOPs, 0 to 1; `None` if the peak is not known.
    pub utilisation: Option<f64>,
    /// Known figures of the task for this step, in the task's order.
    pub figures: Vec<(Figure, f64)>,
    /// Estimated seconds to the end of the run.
    pub eta_seconds: f64,
}

/// Amount and form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Use one live line instead of many.
    pub terminal: bool,
    /// Print no progress and no notes.
    pub quiet: bool,
    /// Reserve standard output for JSON. Then [`say`](Self::say) prints to standard error.
    pub json: bool,
}

impl Output {
    /// Output for this process: a live line if standard error is a terminal, unless `TERM` is `dumb`. Nothing is
    /// coloured.
    pub fn detect(quiet: bool, json: bool) -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::suited(io::stderr().is_terminal(), dumb, quiet, json)
    }

    /// Plain lines without colour.
    pub fn plain() -> Self {
        Self {
            terminal: false,
            quiet: false,
            json: false,
        }
    }

    /// No output at all, for libraries and tests.
    pub fn silent() -> Self {
        Self {
            quiet: true,
            ..Self::plain()
        }
    }

    /// Prints a result for the user: on standard output, unless that is reserved for JSON. A failed write does not stop
    /// a run; [`results::lost`] reports it when the run is over.
    pub fn say(self, text: &str) {
        let width = if self.json {
            None
        } else {
            columns_of(&Term::stdout())
        };
        let text = format!("{}\n", wrapped(&printable(text), width));
        if self.json {
            let _ = io::stderr().write_all(text.as_bytes()); // a closed one is nobody's loss
        } else {
            results::write(text.as_bytes());
        }
    }

    /// Prints a message for the user, which is not a result, on standard error.
    pub fn tell(self, text: &str) {
        if !self.quiet {
            let text = wrapped(&printable(text), columns_of(&Term::stderr()));
            let _ = writeln!(io::stderr(), "{text}"); // a closed one is nobody's loss
        }
    }

    fn suited(stderr_is_terminal: bool, dumb: bool, quiet: bool, json: bool) -> Self {
        Self {
            terminal: stderr_is_terminal && !dumb,
            quiet,
            json,
        }
    }
}

/// Progress display of one run.
#[derive(Debug)]
pub struct Progress {
    total_steps: u64,
    output: Output,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress from step `start` (not 0 in a resumed run) to `total_steps`.
    pub fn new(total_steps: u64, start: u64, output: Output) -> Self {
        let bar = (output.terminal && !output.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total_steps), ProgressDrawTarget::stderr());
            bar.set_style(style());
            bar.set_position(start);
            bar
        });
        Self {
            total_steps,
            output,
            bar,
        }
    }

    /// Shows a report. Without a terminal each report is a line, so the caller decides how often.
    pub fn update(&self, report: &StepReport) {
        let columns = self
            .columns()
            .map_or(COLUMNS, |columns| columns.saturating_sub(BAR));
        let text = line(report, self.total_steps, columns.min(COLUMNS));
        match &self.bar {
            Some(bar) => {
                bar.set_position(report.step);
                bar.set_message(text);
            }
            None => self.print(&text),
        }
    }

    /// Changes the number of steps of the run.
    pub(crate) fn set_total(&mut self, total_steps: u64) {
        self.total_steps = total_steps;
        if let Some(bar) = &self.bar {
            bar.set_length(total_steps);
        }
    }

    /// Whether the progress is one live line.
    pub(crate) fn is_live(&self) -> bool {
        self.bar.is_some()
    }

    /// Width of the terminal, if there is one.
    fn columns(&self) -> Option<usize> {
        self.bar.as_ref().and_then(|_| columns_of(&Term::stderr()))
    }

    /// Prints text that stays above the live line: an evaluation, a sample, a checkpoint.
    pub fn note(&self, text: &str) {
        let text = wrapped(&printable(text), self.columns());
        match &self.bar {
            Some(bar) => bar.suspend(|| self.print(&text)),
            None => self.print(&text),
        }
    }

    /// Ends the live line; its last text stays on the screen. Dropping does the same.
    pub fn finish(&self) {
        let Some(bar) = self.bar.as_ref().filter(|bar| !bar.is_finished()) else {
            return;
        };
        let last = bar.message();
        bar.finish_and_clear();
        // indicatif would leave the cursor at the end of its line, directly before the next text.
        if !last.is_empty() {
            self.print(&last);
        }
    }

    fn print(&self, text: &str) {
        if !self.output.quiet {
            // Standard error may be closed; training continues.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

impl Drop for Progress {
    /// Clears the live line before an error message, if an error ended the run.
    fn drop(&mut self) {
        self.finish();
    }
}

/// Style with a short bar and the line.
fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━─")
}

const TEMPLATE: &str = "{bar:7} {wide_msg}";

/// Columns of the bar and the space after it.
const BAR: usize = 8;

/// Most columns of a line; with those of the bar, 120 in all.
const COLUMNS: usize = 112;

/// Width of a terminal; `None` if the stream is none.
fn columns_of(stream: &Term) -> Option<usize> {
    let (_, columns) = stream.size_checked().filter(|_| stream.is_term())?;
    Some(columns.into())
}

/// Text whose lines fit in a width and break between words; the lines that follow a break are indented. A line that
/// begins with a space is a command or a table, and is left as it is.
fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width > 20) else {
        return text.into();
    };
    let lines = text.split('\n').map(|line| match line.starts_with(' ') {
        true => line.to_string(),
        false => folded(line, width),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line broken between words.
fn folded(line: &str, width: usize) -> String {
    const INDENT: &str = "  ";
    let (mut folded, mut column) = (String::new(), 0);
    for (place, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            folded.push('\n');
            folded.push_str(INDENT);
            column = INDENT.len();
        } else if place > 0 {
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += length;
    }
    folded
}

/// Values as one line of blocks, the largest the highest; at most the last `most` of them.
pub(crate) fn sparkline(values: &[f64], most: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = &values[values.len().saturating_sub(most)..];
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let block = |value: &f64| {
        let share = (value - low) / (high - low);
        let at = if share.is_finite() { share * 7.0 } else { 7.0 };
        BLOCKS[at.round().clamp(0.0, 7.0) as usize]
    };
    values.iter().map(block).collect()
}

/// Number with its thousands apart: `131,072`; from a billion in words too: `16.1 billion (16,108,224,512)`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    let words = [(1e12, "trillion"), (1e9, "billion")];
    match words.into_iter().find(|(size, _)| number as f64 >= *size) {
        Some((size, word)) => format!("{:.1} {word} ({apart})", number as f64 / size),
        None => apart,
    }
}

/// Number of bytes: `33 MB`, `1.5 GB`, `590 GB`.
pub fn bytes(number: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    // Limits at which rounding would give one more digit.
    match units.into_iter().find(|(size, _)| number as f64 >= size * 0.9995) {
        Some((size, unit)) if number as f64 / size < 9.95 => format!("{:.1} {unit}", number as f64 / size),
        Some((size, unit)) => format!("{:.0} {unit}", number as f64 / size),
        None => format!("{number} bytes"),
    }
}

/// Text of a line, most important figures first. Figures that do not fit are left out from the end.
fn line(report: &StepReport, total_steps: u64, columns: usize) -> String {
    let total = total_steps.to_string();
    let mut parts = vec![
        format!("{:>width$}/{total}", report.step, width = total.len()),
        format!("loss {}", figure(report.loss)),
    ];
    let of_the_loss = |of: bool| {
        let figures = report
            .figures
            .iter()
            .filter(move |(figure, _)| figure.factor.is_some() == of);
        figures.map(|(figure, value)| figure.on_a_line(*value))
    };
    parts.extend(of_the_loss(true));
    parts.push(format!(
        "{} {}/s",
        rate(report.units_per_second),
        report.unit.short
    ));
    parts.push(format!("{} left", duration(report.eta_seconds)));
    parts.push(format!("lr {}", learning_rate(report.learning_rate)));
    parts.push(format!("grad {}", figure(report.gradient_norm)));
    parts.extend(
        report
            .utilisation
            .map(|share| format!("flops {}", percent(share))),
    );
    parts.extend(of_the_loss(false));
    while parts.len() > 1 && parts.iter().map(|part| part.len() + 2).sum::<usize>() > columns + 2 {
        parts.pop();
    }
    parts.join("  ")
}

/// Rate as text: `950`, `1.2k`, `34k`, `1.2M`.
pub(crate) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "-".into();
    }
    // Limits at which rounding would give one more digit.
    let units = [
        (999.5, 1.0, ""),
        (999.5e3, 1e3, "k"),
        (999.5e6, 1e6, "M"),
        (f64::INFINITY, 1e9, "G"),
    ];
    let fits = |(limit, ..): &&(f64, f64, &str)| per_second < *limit;
    let (_, unit, letter) = *units.iter().find(fits).unwrap_or(&units[3]);
    let value = per_second / unit;
    if letter.is_empty() || value >= 9.95 {
        format!("{value:.0}{letter}")
    } else {
        format!("{value:.1}{letter}")
    }
}

/// Duration as text: `0s`, `42s`, `3m 05s`, `2h 07m`, `3d 04h`; `-` if unknown.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".into();
    }
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// Learning rate as text: `1.0e-3`.
pub(crate) fn learning_rate(value: f64) -> String {
    format!("{value:.1e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::FigureFormat;

    fn named(label: &'static str, format: FigureFormat, factor: Option<f64>) -> Figure {
        Figure {
            key: label,
            name: label,
            label,
            format,
            factor,
        }
    }

    /// As of a language model: shares of active neurons, and a figure of the loss that is listed behind them.
    fn report() -> StepReport {
        let share = |label| named(label, FigureFormat::Percent, None);
        StepReport {
            step: 120,
            loss: 2.3141,
            learning_rate: 1e-3,
            gradient_norm: 0.81,
            unit: Unit {
                one: "token",
                many: "tokens",
                short: "tok",
            },
            units_per_second: 12_345.0,
            utilisation: Some(0.41),
            figures: vec![
                (share("x"), 0.047),
                (share("y"), 0.0061),
                (named("bpb", FigureFormat::Number, Some(1.44)), 3.3386),
            ],
            eta_seconds: 185.0,
        }
    }

    #[test]
    fn a_line_tells_the_most_important_first() {
        let expected = " 120/2000  loss 2.314  3.339 bpb  12k tok/s  3m 05s left  lr 1.0e-3  grad 0.810  \
                        flops 41%  x 4.7%  y 0.61%";
        assert_eq!(line(&report(), 2000, COLUMNS), expected);
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let bare = StepReport {
            unit: Unit::SAMPLE,
            utilisation: None,
            figures: Vec::new(),
            ..report()
        };
        assert_eq!(
            line(&bare, 2000, COLUMNS),
            " 120/2000  loss 2.314  12k samples/s  3m 05s left  lr 1.0e-3  grad 0.810"
        );
    }

    #[test]
    fn a_line_and_its_bar_fit_in_120_columns() {
        let long = StepReport {
            step: 123_456,
            eta_seconds: 99.0 * 86_400.0,
            ..report()
        };
        let mut exploded = StepReport {
            loss: 1e100,
            gradient_norm: 1e100,
            ..long.clone()
        };
        exploded.figures[2].1 = 1e100;
        for report in [&long, &exploded] {
            let text = line(report, 200_000, COLUMNS);
            assert!(8 + text.chars().count() <= 120, "{text}");
            assert!(text.contains("grad"), "{text}");
        }
        assert!(
            line(&long, 200_000, COLUMNS).ends_with("y 0.61%"),
            "an ordinary line is whole"
        );
    }

    #[test]
    fn rates_keep_two_digits_or_more() {
        let cases = [
            (0.0, "0"),
            (42.4, "42"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (1_234.0, "1.2k"),
            (9_960.0, "10k"),
            (999_600.0, "1.0M"),
            (2.5e9, "2.5G"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(rate(value), text, "{value}");
        }
    }

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0.2, "0s"),
            (59.4, "59s"),
            (59.6, "1m 00s"),
            (185.0, "3m 05s"),
            (7_620.0, "2h 07m"),
            (273_600.0, "3d 04h"),
            (f64::INFINITY, "-"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn learning_rates_shares_and_figures_are_short() {
        assert_eq!(
            [1e-3, 2.54e-4, 0.0].map(learning_rate),
            ["1.0e-3", "2.5e-4", "0.0e0"]
        );
        assert_eq!(
            [0.0, 0.00421, 0.00999, 0.0421, 0.421, 1.0].map(percent),
            ["0%", "0.42%", "1.0%", "4.2%", "42%", "100%"]
        );
        assert_eq!(
            [0.0812, 9.9996, 123.44, -2.5, 1.25e6].map(figure),
            ["0.081", "10.00", "123.4", "-2.500", "1.2e6"]
        );
        assert_eq!(figure(f64::NAN), "NaN");
    }

    #[test]
    fn only_a_capable_terminal_gets_a_live_line() {
        let live = |terminal, dumb| Output::suited(terminal, dumb, false, false).terminal;
        assert_eq!(
            [live(true, false), live(true, true), live(false, false)],
            [true, false, false]
        );
    }

    #[test]
    fn a_line_of_an_80_column_terminal_is_whole_figures() {
        for columns in [20, 40, 72] {
            let text = line(&report(), 2000, columns);
            assert!(text.chars().count() <= columns, "{text}");
            assert!(line(&report(), 2000, COLUMNS).starts_with(&text), "{text}");
        }
        assert!(line(&report(), 2000, 72).ends_with("3m 05s left  lr 1.0e-3"));
    }

    #[test]
    fn text_breaks_between_words_and_a_command_does_not_break() {
        let text =
            "note   the quick brown fox jumps over the lazy dog\n  dragon generate run --prompt \"a b c d\"";
        assert_eq!(
            wrapped(text, Some(24)),
            "note   the quick brown\n  fox jumps over the\n  lazy dog\n  dragon generate run --prompt \"a b c d\""
        );
        assert_eq!(wrapped(text, None), text);
        assert_eq!(
            wrapped("a-word-that-is-longer-than-the-line b", Some(21))
                .lines()
                .count(),
            2
        );
    }

    #[test]
    fn a_sparkline_shows_where_values_went() {
        assert_eq!(sparkline(&[8.0, 4.0, 1.0], 10), "█▄▁");
        assert_eq!(sparkline(&[8.0, 4.0, 1.0, 2.0], 2), "▁█");
        assert_eq!(sparkline(&[3.0], 10), "█");
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[1.0, f64::NAN, 2.0], 10), "▁██");
    }

    #[test]
    fn large_numbers_are_readable() {
        let counts = [0, 999, 1000, 131_072, 25_296_896, 16_108_224_512].map(count);
        assert_eq!(
            counts,
            [
                "0",
                "999",
                "1,000",
                "131,072",
                "25,296,896",
                "16.1 billion (16,108,224,512)"
            ]
        );
        let sizes = [12, 1_000, 33_400_000, 999_600_000, 1_500_000_000, 590_263_000_000].map(bytes);
        assert_eq!(
            sizes,
            ["12 bytes", "1.0 kB", "33 MB", "1.0 GB", "1.5 GB", "590 GB"]
        );
    }

    #[test]
    fn the_styles_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        drop(style());
    }
}
