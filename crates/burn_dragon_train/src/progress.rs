//! Progress of a training, as shown to the user.
//!
//! Progress always goes to standard error. Standard output carries only results; with `--json` only the one JSON
//! object. On a terminal the progress is one live line, elsewhere one plain line per report.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::amounts::{duration, learning_rate, rate, wrapped};
use crate::display::{Asked, Display, Opening, Shown};
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
    screen: Option<Screen>,
}

/// Display that stands for lines, and the notes that are printed when the terminal is given back.
#[derive(Debug)]
struct Screen {
    display: Arc<dyn Display>,
    notes: Mutex<Vec<String>>,
}

impl Screen {
    fn notes(&self) -> MutexGuard<'_, Vec<String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            screen: None,
        }
    }

    /// Shows the run on a display, in place of lines. If the terminal cannot be taken over, lines remain.
    pub(crate) fn open(&mut self, display: &Arc<dyn Display>, opening: &Opening<'_>) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        match display.begin(opening) {
            Ok(()) => {
                self.screen = Some(Screen {
                    display: Arc::clone(display),
                    notes: Mutex::default(),
                });
            }
            Err(error) => self.note(&format!("note   there is no screen ({error}): lines follow")),
        }
    }

    /// Shows something on the display, if there is one.
    pub(crate) fn show(&self, shown: Shown<'_>) {
        self.screen.iter().for_each(|screen| screen.display.show(shown));
    }

    /// Next request of the user at the display, if there is one.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.screen.as_ref()?.display.asked()
    }

    /// Shows the number of steps taken.
    pub(crate) fn position(&self, step: u64) {
        self.bar.iter().for_each(|bar| bar.set_position(step));
        self.show(Shown::Position(step));
    }

    /// Function that writes a line as [`note`](Self::note) does, from another thread.
    pub(crate) fn teller(&self) -> impl Fn(&str) + Send + 'static {
        let (bar, output) = (self.bar.clone(), self.output);
        let display = self.screen.as_ref().map(|screen| Arc::clone(&screen.display));
        move |text: &str| match (&display, &bar) {
            (Some(display), _) => display.show(Shown::Note(text)),
            (None, Some(bar)) => bar.suspend(|| output.tell(text)),
            (None, None) => output.tell(text),
        }
    }

    /// Shows a report. Without a terminal each report is a line, so the caller decides how often. A display has it
    /// already, by `show`.
    pub fn update(&self, report: &StepReport) {
        if self.screen.is_some() {
            return;
        }
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
        self.show(Shown::Total(total_steps));
    }

    /// Whether the progress is one live line, or a display.
    pub(crate) fn is_live(&self) -> bool {
        self.bar.is_some() || self.screen.is_some()
    }

    /// Width of the terminal, if there is one.
    fn columns(&self) -> Option<usize> {
        self.bar.as_ref().and_then(|_| columns_of(&Term::stderr()))
    }

    /// Prints text that stays above the live line: an evaluation, a sample, a checkpoint.
    pub fn note(&self, text: &str) {
        if let Some(screen) = &self.screen {
            screen.display.show(Shown::Note(&printable(text)));
        }
        self.keep(text);
    }

    /// Prints text like [`note`](Self::note); with a display, only when the terminal is given back.
    pub(crate) fn keep(&self, text: &str) {
        if let Some(screen) = &self.screen {
            screen.notes().push(text.into());
            return;
        }
        let text = wrapped(&printable(text), self.columns());
        match &self.bar {
            Some(bar) => bar.suspend(|| self.print(&text)),
            None => self.print(&text),
        }
    }

    /// Ends the live line; its last text stays on the screen. Dropping does the same.
    pub fn finish(&self) {
        if let Some(screen) = &self.screen {
            screen.display.end();
            let notes = std::mem::take(&mut *screen.notes());
            notes
                .iter()
                .for_each(|note| self.print(&wrapped(&printable(note), columns_of(&Term::stderr()))));
            return;
        }
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
    fn the_styles_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        drop(style());
    }
}
