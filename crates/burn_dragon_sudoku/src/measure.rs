//! Measurements at the end of a run: the curve over levels, controls, and solved puzzles by rating.

use crate::config::{ModelType, SudokuConfig};
use crate::constraint::UnitMemory;
use crate::data::Pair;
use crate::evaluate::{Controls, evaluate};
use crate::grid::Grid;
use crate::model::SudokuModel;
use crate::rating::{Difficulty, Rating};
use crate::report::{ByRating, Report};
use crate::solve::{SolveOptions, solve_with};
use crate::solver::{Singles, fill_singles};
use burn_dragon_train::api::Metrics;

/// Passes over the held-out puzzles at the end of a run, of as many levels as in evaluation, about.
pub(crate) const PASSES: u64 = 5;

/// Measures a model beside its untrained form. Metrics are added; lines for a person are returned.
pub(crate) fn full(
    config: &SudokuConfig,
    pairs: &[Pair],
    [model, untrained]: [&SudokuModel; 2],
    metrics: &mut Metrics,
) -> Vec<String> {
    let (levels, kind) = (config.model.evaluated(), config.loss.kind);
    let curve = evaluate(model, pairs, 2 * levels, kind);
    let report = Report {
        curve: curve.into_iter().map(|level| level.score).collect(),
        trained: config.model.trained(),
        steps: config.model.steps_in_words(),
        evaluated: levels,
        untrained: evaluate(untrained, pairs, levels, kind)[levels - 1].score,
        controls: Controls::of(pairs),
        by_rating: by_rating(model, pairs, levels),
    };
    metrics.extend(report.metrics());
    report.lines()
}

/// Shares of solved puzzles of each class of ratings: of the model, of its ablations, and of singles.
fn by_rating(model: &SudokuModel, pairs: &[Pair], levels: usize) -> Vec<ByRating> {
    let puzzles = Pair::puzzles(pairs);
    let ratings: Vec<Option<Rating>> = puzzles.iter().map(Rating::of).collect();
    let solved = |levels, memory| -> Vec<bool> {
        let options = SolveOptions {
            memory,
            ..SolveOptions::levels(levels)
        };
        let answers = solve_with(model, &puzzles, options).into_iter().zip(&puzzles);
        answers
            .map(|(answer, puzzle)| answer.grid.solves(puzzle))
            .collect()
    };
    let first = match model.config().kind {
        ModelType::Dense | ModelType::Constraint | ModelType::Saccade => "one_level",
        ModelType::Trm => "one_step",
    };
    let mut columns = vec![
        ("model", solved(levels, UnitMemory::Carried)),
        (first, solved(1, UnitMemory::Carried)),
    ];
    if model.config().kind == ModelType::Constraint {
        let wiped = UnitMemory::WipedAt(levels.div_ceil(2));
        columns.push(("wiped", solved(levels, wiped)));
        if model.config().decay > 0.0 {
            columns.push(("reset", solved(levels, UnitMemory::ResetEachLevel)));
        }
        columns.push(("never_written", solved(levels, UnitMemory::NeverWritten)));
    }
    let singles = |puzzle: &Grid| fill_singles(puzzle, Singles::NakedAndHidden).solves(puzzle);
    columns.push(("singles", puzzles.iter().map(singles).collect()));
    by_class(&ratings, &columns)
}

/// Shares of solved puzzles of each class of ratings, from whether each puzzle was solved, by name.
pub(crate) fn by_class(ratings: &[Option<Rating>], columns: &[(&'static str, Vec<bool>)]) -> Vec<ByRating> {
    let of_class = |difficulty: Difficulty| {
        let here: Vec<usize> = (0..ratings.len())
            .filter(|&index| ratings[index].is_some_and(|rating| rating.difficulty() == difficulty))
            .collect();
        let share = |solved: &[bool]| {
            here.iter().filter(|&&index| solved[index]).count() as f64 / here.len().max(1) as f64
        };
        ByRating {
            difficulty,
            puzzles: here.len(),
            solved: columns
                .iter()
                .map(|(name, solved)| (*name, share(solved)))
                .collect(),
        }
    };
    let all = Difficulty::ALL.map(of_class).into_iter();
    all.filter(|class| class.puzzles > 0).collect()
}
