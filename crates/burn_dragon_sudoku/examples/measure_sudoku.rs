//! Trains sudoku models and measures them on lists of puzzles, without the command line.
//!
//! ```sh
//! cargo run --release -p burn_dragon_sudoku --example measure_sudoku -- train OUT [CONFIG.toml] [KEY=VALUE ...]
//! cargo run --release -p burn_dragon_sudoku --example measure_sudoku -- resume RUN
//! cargo run --release -p burn_dragon_sudoku --example measure_sudoku -- solve MODEL.bpk LIST SKIP LIMIT LEVELS [SAMPLES]
//! cargo run --release -p burn_dragon_sudoku --example measure_sudoku -- compare MODEL.bpk LIST SKIP LIMIT LEVELS [SEED]
//! cargo run --release -p burn_dragon_sudoku --example measure_sudoku -- speed MODEL.bpk LIST LEVELS
//! ```
//!
//! `solve` prints the shares of solved puzzles by rating, within 16, 64, ... levels up to LEVELS, and the time, beside the
//! exact solver. `compare` prints what a saccade model solves with its policy, and with each control in place of it. `speed`
//! prints puzzles a second: of the generator, of the rating, and of a model that runs LEVELS levels, alone and in batches.

use burn::tensor::Device;
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_sudoku::api::expert::entries;
use burn_dragon_sudoku::api::{
    Difficulty, GeneratorConfig, Givens, Grid, ModelType, NamedGivens, Pair, Rating, Solutions, SolveOptions,
    Solved, SolvedBy, Split, Sudoku, SudokuModel, SudokuPass, compare_policies, model_of, policy_lines,
    solve as solve_exactly, solve_with,
};
use burn_dragon_train::api::{RunRequest, run};
use std::error::Error;
use std::hint::black_box;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["train", out, ..] => train(out, &words[2..]),
        ["resume", path] => ran(&RunRequest {
            resume: Some(path.into()),
            json: true,
            ..RunRequest::default()
        }),
        ["solve", model, list, skip, limit, levels] => {
            solve(model, list, [skip.parse()?, limit.parse()?, levels.parse()?, 1])
        }
        ["solve", model, list, skip, limit, levels, samples] => {
            let numbers = [skip.parse()?, limit.parse()?, levels.parse()?, samples.parse()?];
            solve(model, list, numbers)
        }
        ["compare", model, list, skip, limit, levels] => {
            compare(model, list, [skip.parse()?, limit.parse()?, levels.parse()?], 0)
        }
        ["compare", model, list, skip, limit, levels, seed] => {
            let numbers = [skip.parse()?, limit.parse()?, levels.parse()?];
            compare(model, list, numbers, seed.parse()?)
        }
        ["speed", model, list, levels] => speed(model, list, levels.parse()?),
        _ => Err("expected `train`, `resume`, `solve`, `compare` or `speed`, as this file says".into()),
    }
}

fn train(out: &str, words: &[String]) -> Result<(), Box<dyn Error>> {
    let (assignments, configs): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| word.contains('='));
    ran(&RunRequest {
        family: Some("sudoku".into()),
        out: Some(out.into()),
        configs: configs.into_iter().map(PathBuf::from).collect(),
        assignments,
        json: true,
        ..RunRequest::default()
    })
}

fn ran(request: &RunRequest) -> Result<(), Box<dyn Error>> {
    if let Some(json) = run::<Sudoku>(request)?.json {
        println!("{json}");
    }
    Ok(())
}

fn read(model: &str) -> Result<SudokuModel, Box<dyn Error>> {
    let path = Path::new(model);
    Ok(model_of(ModelFile::read(path)?, path, &Device::flex())?)
}

fn listed(list: &str, skip: usize, limit: usize) -> Result<Vec<Grid>, Box<dyn Error>> {
    let text = BufReader::new(std::fs::File::open(list)?);
    let entries = entries(text).skip(skip).take(limit);
    let puzzles = entries.map(|entry| entry.map(|entry| entry.puzzle));
    Ok(puzzles.collect::<Result<_, _>>()?)
}

/// Puzzles a second of a piece of work on some of them, repeated for a second at least.
fn rate(name: &str, puzzles: usize, mut work: impl FnMut()) {
    let (start, mut rounds) = (Instant::now(), 0);
    while rounds == 0 || start.elapsed().as_secs_f64() < 1.0 {
        work();
        rounds += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {:.1} puzzles a second",
        (rounds * puzzles) as f64 / seconds
    );
}

/// Rates puzzles, for the time it takes.
fn rate_all(puzzles: &[Grid]) {
    puzzles.iter().for_each(|puzzle| {
        black_box(Rating::of(puzzle));
    });
}

fn speed(model: &str, list: &str, levels: usize) -> Result<(), Box<dyn Error>> {
    let (model, puzzles) = (read(model)?, listed(list, 0, 256)?);
    let base = GeneratorConfig {
        solved_by: SolvedBy::Guesses,
        ..GeneratorConfig::default()
    };
    let kinds = [
        ("24 to 44 givens", [24, 44].into()),
        ("as few givens as possible", Givens::Named(NamedGivens::Minimal)),
    ];
    for (name, givens) in kinds {
        let generator = GeneratorConfig {
            givens,
            ..base.clone()
        };
        let made = || (0..200).map(|index| generator.puzzle(Split::Train, index).puzzle);
        rate(&format!("generated, {name}"), 200, || {
            black_box(made().collect::<Vec<_>>());
        });
        let made: Vec<Grid> = made().collect();
        rate(&format!("rated, {name}"), 200, || rate_all(&made));
    }
    rate(&format!("rated, {list}"), puzzles.len(), || rate_all(&puzzles));
    let pass = SudokuPass::default();
    for batch in [1, 64, 256] {
        rate(&format!("{levels} levels, {batch} at once"), batch, || {
            let mut state = model.start(&puzzles[..batch.min(puzzles.len())]);
            model.advance(&mut state, levels, pass);
            black_box(model.logits(&state).into_data());
        });
    }
    Ok(())
}

fn solve(model: &str, list: &str, [skip, limit, levels, samples]: [usize; 4]) -> Result<(), Box<dyn Error>> {
    let (model, puzzles) = (read(model)?, listed(list, skip, limit)?);
    let start = Instant::now();
    let ratings: Vec<Option<Rating>> = puzzles.iter().map(Rating::of).collect();
    let exact = puzzles.len() as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let options = SolveOptions {
        samples,
        ..SolveOptions::levels(levels)
    };
    let solved = solve_with(&model, &puzzles, options);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{list}: {} puzzles behind {skip}, {:.1} a second, the exact solver {exact:.0} a second",
        puzzles.len(),
        puzzles.len() as f64 / seconds
    );
    for within in [16, 32, 64, 128, 256, 512, 1024]
        .into_iter()
        .filter(|within| *within <= levels)
    {
        show(&puzzles, &ratings, &solved, within);
    }
    Ok(())
}

fn compare(
    model: &str,
    list: &str,
    [skip, limit, levels]: [usize; 3],
    seed: u64,
) -> Result<(), Box<dyn Error>> {
    let path = Path::new(model);
    let model = model_of(ModelFile::read(path)?, path, &Device::flex())?;
    if model.config().kind != ModelType::Saccade {
        return Err(format!(
            "{} has no policy; expected a model with type = \"saccade\"",
            path.display()
        )
        .into());
    }
    let text = BufReader::new(std::fs::File::open(list)?);
    let mut pairs = Vec::new();
    for entry in entries(text).skip(skip).take(limit) {
        let entry = entry?;
        let solution = match entry.solution {
            Some(solution) => solution,
            None => match solve_exactly(&entry.puzzle) {
                Solutions::One(solution) => solution,
                _ => return Err(format!("line {}: expected a puzzle with one solution", entry.line).into()),
            },
        };
        let puzzle = entry.puzzle;
        pairs.push(Pair { puzzle, solution });
    }
    println!("{list}: {} puzzles behind {skip}", pairs.len());
    for line in policy_lines(&compare_policies(&model, &pairs, levels, seed), levels) {
        println!("{line}");
    }
    Ok(())
}

/// Shares of puzzles that are solved within so many levels.
fn show(puzzles: &[Grid], ratings: &[Option<Rating>], solved: &[Solved], within: usize) {
    let share = |is_counted: &dyn Fn(Rating) -> bool| {
        let (mut count, mut right) = (0u32, 0u32);
        for ((puzzle, rating), solved) in puzzles.iter().zip(ratings).zip(solved) {
            if rating.is_some_and(is_counted) {
                count += 1;
                right += u32::from(solved.grid.solves(puzzle) && solved.steps <= within);
            }
        }
        (count, 100.0 * f64::from(right) / f64::from(count.max(1)))
    };
    let (all, solved) = share(&|_| true);
    let (singles, _) = share(&|rating| rating.is_singles_only());
    print!(
        "within {within:>4}: {solved:5.1} % of {all} (singles alone {:.1} %)",
        100.0 * f64::from(singles) / f64::from(all.max(1))
    );
    for class in Difficulty::ALL {
        let (count, solved) = share(&|rating| rating.difficulty() == class);
        if count > 0 {
            print!("; {} {solved:.1} % of {count}", class.key());
        }
    }
    println!();
}
