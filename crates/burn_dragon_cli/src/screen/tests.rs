//! States for the tests of the screen.

use super::state::State;
use burn_dragon_train::api::expert::{Opening, Shown, StepReport};
use burn_dragon_train::api::{Figure, FigureFormat, Interrupt, Unit};
use std::path::Path;

const TOKEN: Unit = Unit {
    one: "token",
    many: "tokens",
    short: "tok",
};

/// A screen before anything was shown.
pub(super) fn opened() -> State {
    let interrupt = Interrupt::none();
    let opening = Opening {
        run: Path::new("runs/a"),
        total_steps: 7000,
        step: 0,
        unit: TOKEN,
        interrupt: &interrupt,
    };
    State::new(&opening, false)
}

/// A screen in the middle of a run.
pub(super) fn busy() -> State {
    let mut state = opened();
    let metrics = |x: f64| {
        let names = [
            "x_density_at_level_01",
            "y_density_at_level_01",
            "x_density_at_level_02",
            "y_density_at_level_02",
        ];
        names
            .map(String::from)
            .into_iter()
            .zip([x, 0.2 * x, 2.0 * x, 0.4 * x])
            .collect()
    };
    let bits = Figure {
        key: "bits_per_byte",
        name: "bits per byte",
        label: "bpb",
        format: FigureFormat::Number,
        factor: Some(1.44),
    };
    for step in (50..=1200).step_by(50) {
        let report = StepReport {
            step,
            loss: 2.314 + (1200 - step) as f64 / 400.0,
            learning_rate: 1e-3,
            gradient_norm: 0.81,
            unit: TOKEN,
            units_per_second: 12_345.0,
            utilisation: Some(0.41),
            figures: vec![(bits, 3.3386)],
            eta_seconds: 185.0,
        };
        state.show(Shown::Step {
            report: &report,
            metrics: &metrics(0.047),
        });
    }
    for (step, loss) in [(0, 5.5), (500, 4.1), (1000, 2.401)] {
        state.show(Shown::Evaluation {
            step,
            loss,
            metrics: &metrics(0.047),
        });
    }
    state.show(Shown::Sample {
        step: 1000,
        text: "Mira hid the red key under the mill.",
    });
    state.show(Shown::Note("a checkpoint was late"));
    state
}
