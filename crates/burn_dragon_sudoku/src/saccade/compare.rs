//! Comparison of choosers on the same puzzles with the same levels, and the evaluation of a saccade model.

use super::walk::{Lane, walk};
use crate::config::SudokuConfig;
use crate::data::Pair;
use crate::evaluate::{Controls, Score, evaluate as by_level};
use crate::measure::by_class;
use crate::model::SudokuModel;
use crate::rating::Rating;
use crate::report::{ByRating, lines_by_rating, percent};
use crate::solve::SolveOptions;
use crate::solver::{Singles, fill_singles};
use burn_dragon_train::api::policy::Chooser;
use burn_dragon_train::api::{Evaluation, Metrics};
use serde::Serialize;

/// Number of puzzles that are walked over at once.
const BATCH: usize = 64;

/// Passes over the held-out puzzles at the end of a run, of as many levels as in evaluation, at most: of five choosers, of the
/// untrained model, and for the loss.
pub(crate) const PASSES: u64 = 7;

/// Figures of a chooser of cells on some puzzles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyScore {
    /// What chooses the cells.
    pub chooser: Chooser,
    /// Score of the answers.
    #[serde(flatten)]
    pub score: Score,
    /// Share of the committed cells that are right; 0 if none is committed.
    pub valid: f64,
    /// Mean number of committed cells of a puzzle.
    pub committed: f64,
    /// Mean number of levels that were run.
    pub levels: f64,
    /// Whether the answer to each puzzle keeps the givens and the rules.
    #[serde(skip)]
    pub solved: Vec<bool>,
}

/// Figures of every chooser of cells on the same puzzles, each with at most `levels` levels; random ones with a seed.
///
/// # Panics
/// If the model is not a saccade model.
pub fn compare_policies(model: &SudokuModel, pairs: &[Pair], levels: usize, seed: u64) -> Vec<PolicyScore> {
    let of = |chooser| score_of(model, pairs, (levels, seed), chooser);
    Chooser::ALL.map(of).into()
}

/// Figures of one chooser.
fn score_of(
    model: &SudokuModel,
    pairs: &[Pair],
    (levels, seed): (usize, u64),
    chooser: Chooser,
) -> PolicyScore {
    let options = SolveOptions {
        policy: chooser,
        seed,
        ..SolveOptions::levels(levels)
    };
    let lanes = pairs.chunks(BATCH).flat_map(|pairs| {
        let puzzles = Pair::puzzles(pairs);
        walk(model, &puzzles, model.start(&puzzles), options)
    });
    let lanes: Vec<Lane> = lanes.collect();
    let commits = lanes
        .iter()
        .zip(pairs)
        .map(|(lane, pair)| lane.right(&pair.solution));
    let (right, committed) = commits.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let mean = |sum: usize| sum as f64 / lanes.len().max(1) as f64;
    PolicyScore {
        chooser,
        score: Score::of(pairs, lanes.iter().map(|lane| lane.answer)),
        valid: right as f64 / committed.max(1) as f64,
        committed: mean(committed),
        levels: mean(lanes.iter().map(|lane| lane.steps).sum()),
        solved: lanes.iter().map(Lane::is_solved).collect(),
    }
}

/// Evaluation of a saccade model: the loss of its first levels, and the score of its walks. With its untrained form, all choosers are
/// compared.
pub(crate) fn evaluate(
    config: &SudokuConfig,
    supervised: &[usize],
    model: &SudokuModel,
    pairs: &[Pair],
    untrained: Option<&SudokuModel>,
) -> Evaluation {
    let (levels, seed) = (config.model.evaluated(), config.training.seed);
    let first = by_level(model, pairs, config.model.n_levels, config.loss.kind);
    let losses = supervised.iter().map(|&level| first[level].loss);
    let loss = losses.sum::<f64>() / supervised.len() as f64;
    let Some(untrained) = untrained else {
        let score = score_of(model, pairs, (levels, seed), Chooser::Learned).score;
        return Evaluation {
            loss,
            metrics: figures(score),
            notes: Vec::new(),
        };
    };
    let all = compare_policies(model, pairs, levels, seed);
    let before = score_of(untrained, pairs, (levels, seed), Chooser::Learned);
    let mut metrics = figures(all[0].score);
    for score in &all {
        metrics.extend(controls(score.chooser.name(), score));
    }
    metrics.extend(controls("untrained", &before));
    let mut notes = policy_lines(&all, levels);
    notes.push(row("the model before its first step", &before));
    notes.push(control(
        "naked and hidden singles to the end",
        Controls::of(pairs).singles,
    ));
    let classes = by_rating(&all, pairs);
    classes.iter().for_each(|class| metrics.extend(class.metrics()));
    notes.extend(lines_by_rating(&format!("{levels} levels"), &classes));
    Evaluation { loss, metrics, notes }
}

/// Figures of a chooser as metrics of a control.
fn controls(name: &str, score: &PolicyScore) -> Metrics {
    let figures = [
        ("cell_accuracy", score.score.cell_accuracy),
        ("solved", score.score.solved),
        ("valid", score.valid),
        ("committed", score.committed),
        ("levels", score.levels),
    ];
    let named = figures.map(|(figure, value)| (format!("control_{name}_{figure}"), value));
    named.into()
}

/// Shares of solved puzzles of each class of ratings, of all choosers and of singles.
fn by_rating(scores: &[PolicyScore], pairs: &[Pair]) -> Vec<ByRating> {
    let ratings: Vec<Option<Rating>> = pairs.iter().map(|pair| Rating::of(&pair.puzzle)).collect();
    let columns = scores
        .iter()
        .map(|score| (score.chooser.name(), score.solved.clone()));
    let mut columns: Vec<(&'static str, Vec<bool>)> = columns.collect();
    let singles = |pair: &Pair| fill_singles(&pair.puzzle, Singles::NakedAndHidden).solves(&pair.puzzle);
    columns.push(("singles", pairs.iter().map(singles).collect()));
    by_class(&ratings, &columns)
}

/// Figures that are shown beside the loss.
fn figures(score: Score) -> Metrics {
    Metrics::from([
        ("cell_accuracy".into(), score.cell_accuracy),
        ("solved".into(), score.solved),
    ])
}

/// Table of choosers as lines of text: shares of the empty cells that are right and of the puzzles that are solved, committed cells of a
/// puzzle and the share of them that is right, and levels of a puzzle.
pub fn policy_lines(scores: &[PolicyScore], levels: usize) -> Vec<String> {
    let head = format!("within {levels} levels, cells picked by");
    let head = format!(
        "{head:<42} {:>6} {:>7} {:>9} {:>7} {:>7}",
        "cells", "solved", "committed", "right", "levels"
    );
    let rows = scores.iter().map(|score| row(score.chooser.in_words(), score));
    std::iter::once(head).chain(rows).collect()
}

fn row(name: &str, score: &PolicyScore) -> String {
    let right = match score.committed {
        0.0 => "-".to_string(),
        _ => percent(score.valid),
    };
    format!(
        "{} {:>9.1} {right:>7} {:>7.1}",
        control(name, score.score),
        score.committed,
        score.levels
    )
}

fn control(name: &str, score: Score) -> String {
    format!(
        "{name:<42} {:>6} {:>7}",
        percent(score.cell_accuracy),
        percent(score.solved)
    )
}
