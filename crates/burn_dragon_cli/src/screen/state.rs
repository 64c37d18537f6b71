//! What the screen shows: a value that changes with the events of a run and the keys of the user.

use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon_train::api::expert::{Asked, Opening, Shown, StepReport};
use ratatui::termion::event::Key;
use std::collections::BTreeMap;

/// Most points of the curve of training. Beyond, every second one is left out.
const POINTS: usize = 4096;

/// Most messages that are kept.
const NOTES: usize = 100;

/// State of the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) run: String,
    pub(super) unit: &'static str,
    pub(super) total_steps: u64,
    pub(super) step: u64,
    /// Loss by step, of training and of evaluations on held-out data.
    pub(super) trained: Vec<(f64, f64)>,
    pub(super) evaluated: Vec<(f64, f64)>,
    /// Shares of active neurons x and y, level by level.
    pub(super) density: Vec<(f64, f64)>,
    pub(super) last: Option<StepReport>,
    /// Step and text of the last sample.
    pub(super) sample: Option<(u64, String)>,
    pub(super) notes: Vec<String>,
    pub(super) paused: bool,
    pub(super) stopping: bool,
    pub(super) help: bool,
    /// Whether colours are shown.
    pub(super) coloured: bool,
    /// One of so many points of training is kept.
    every: u64,
    reports: u64,
}

/// Effect of a key beyond the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Ask(Asked),
    Nothing,
}

impl State {
    pub(super) fn new(opening: &Opening<'_>, coloured: bool) -> Self {
        Self {
            run: printable(&opening.run.display().to_string()),
            unit: opening.unit.short,
            total_steps: opening.total_steps,
            step: opening.step,
            coloured,
            every: 1,
            ..Self::default()
        }
    }

    /// Takes in an event.
    pub(super) fn show(&mut self, shown: Shown<'_>) {
        match shown {
            Shown::Position(step) => self.step = step,
            Shown::Step { report, metrics } => self.report(report, metrics),
            Shown::Evaluation { step, loss, metrics } => {
                self.evaluated.push((step as f64, loss));
                self.take_density(metrics);
            }
            Shown::Sample { step, text } => {
                let lines: Vec<String> = text.lines().map(printable).collect();
                self.sample = Some((step, lines.join("\n")));
            }
            Shown::Note(text) => {
                self.notes.extend(text.lines().map(printable));
                let more = self.notes.len().saturating_sub(NOTES);
                self.notes.drain(..more);
            }
            Shown::Total(steps) => self.total_steps = steps,
            Shown::Paused(paused) => self.paused = paused,
        }
    }

    fn report(&mut self, report: &StepReport, metrics: &BTreeMap<String, f64>) {
        self.step = report.step;
        if self.reports.is_multiple_of(self.every.max(1)) {
            self.trained.push((report.step as f64, report.loss));
        }
        self.reports += 1;
        if self.trained.len() > POINTS {
            self.trained = self.trained.iter().copied().step_by(2).collect();
            self.every = 2 * self.every.max(1);
        }
        self.take_density(metrics);
        self.last = Some(report.clone());
    }

    /// Density of each level, or the mean over levels if only that is known.
    fn take_density(&mut self, metrics: &BTreeMap<String, f64>) {
        let of_level = |level: u32| {
            let share = |of: &str| metrics.get(&format!("{of}_density_at_level_{level:02}")).copied();
            share("x").zip(share("y"))
        };
        let mut density: Vec<_> = (1..).map_while(of_level).collect();
        if density.is_empty() && self.density.len() < 2 {
            let share = |of: &str| metrics.get(&format!("{of}_density")).copied();
            density.extend(share("x").zip(share("y")));
        }
        if !density.is_empty() {
            self.density = density;
        }
    }

    /// Takes in a key.
    pub(super) fn press(&mut self, key: Key) -> Effect {
        match key {
            Key::Char('?') | Key::Char('h') => self.help = !self.help,
            Key::Char('p') | Key::Char(' ') => return Effect::Ask(Asked::Pause),
            Key::Char('s') => return Effect::Ask(Asked::Save),
            Key::Char('g') => return Effect::Ask(Asked::Sample),
            Key::Char('q') | Key::Ctrl('c') => {
                self.stopping = true;
                return Effect::Ask(Asked::Quit);
            }
            _ => self.help = false,
        }
        Effect::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::opened;
    use super::*;
    use burn_dragon_train::api::Unit;

    fn report(step: u64) -> StepReport {
        StepReport {
            step,
            loss: 2.0,
            learning_rate: 1e-3,
            gradient_norm: 0.8,
            unit: Unit::SAMPLE,
            units_per_second: 1e4,
            utilisation: None,
            figures: Vec::new(),
            eta_seconds: 60.0,
        }
    }

    fn metrics(entries: &[(&str, f64)]) -> BTreeMap<String, f64> {
        entries
            .iter()
            .map(|(key, value)| (key.to_string(), *value))
            .collect()
    }

    #[test]
    fn a_long_run_keeps_a_curve_of_bounded_length_from_its_first_step_to_its_last() {
        let mut state = opened();
        let none = metrics(&[]);
        for step in 1..=50_000 {
            let report = report(step);
            state.show(Shown::Step {
                report: &report,
                metrics: &none,
            });
        }
        assert!(state.trained.len() <= POINTS && state.trained.len() > POINTS / 4);
        assert_eq!(state.trained[0].0, 1.0);
        let last = state.trained.last().unwrap().0;
        assert!(last > 49_900.0, "{last}");
        assert!(state.trained.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn density_is_that_of_each_level_and_else_the_mean() {
        let mut state = opened();
        let report = report(1);
        let mean = metrics(&[("x_density", 0.3), ("y_density", 0.1)]);
        state.show(Shown::Step {
            report: &report,
            metrics: &mean,
        });
        assert_eq!(state.density, [(0.3, 0.1)]);
        let levels = metrics(&[
            ("x_density", 0.3),
            ("y_density", 0.1),
            ("x_density_at_level_01", 0.2),
            ("y_density_at_level_01", 0.05),
            ("x_density_at_level_02", 0.4),
            ("y_density_at_level_02", 0.15),
        ]);
        state.show(Shown::Step {
            report: &report,
            metrics: &levels,
        });
        assert_eq!(state.density, [(0.2, 0.05), (0.4, 0.15)]);
        state.show(Shown::Evaluation {
            step: 2,
            loss: 1.5,
            metrics: &mean,
        });
        assert_eq!(state.density.len(), 2, "a mean does not replace levels");
        assert_eq!(state.evaluated, [(2.0, 1.5)]);
    }

    #[test]
    fn text_from_a_model_cannot_command_the_terminal_and_messages_are_bounded() {
        let mut state = opened();
        state.show(Shown::Sample {
            step: 3,
            text: "a\u{1b}[2Jb\nc",
        });
        let (_, text) = state.sample.clone().unwrap();
        assert!(!text.contains('\u{1b}') && text.ends_with("b\nc"), "{text:?}");
        (0..500).for_each(|n| state.show(Shown::Note(&format!("note {n}"))));
        assert_eq!((state.notes.len(), &*state.notes[99]), (NOTES, "note 499"));
    }

    #[test]
    fn keys_ask_what_the_help_says() {
        let mut state = opened();
        for (key, asked) in [('p', Asked::Pause), ('s', Asked::Save), ('g', Asked::Sample)] {
            assert_eq!(state.press(Key::Char(key)), Effect::Ask(asked));
        }
        assert_eq!(state.press(Key::Char('x')), Effect::Nothing);
        state.press(Key::Char('?'));
        assert!(state.help);
        state.press(Key::Esc);
        assert!(!state.help && !state.stopping);
        for key in [Key::Char('q'), Key::Ctrl('c')] {
            let mut state = opened();
            assert_eq!(state.press(key), Effect::Ask(Asked::Quit));
            assert!(state.stopping);
        }
    }
}
