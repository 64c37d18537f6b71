//! Sudoku as a library: puzzles from the generator, the exact solver, and a small model that learns to fill cells.
//!
//! `cargo run --release --example sudoku_api`

use burn::module::Module;
use burn_dragon::api::core::Backend;
use burn_dragon::api::sudoku::{
    Controls, DatasetConfig, GeneratorConfig, LossKind, ModelConfig, Solutions, Split, SudokuConfig,
    SudokuTask, answers, evaluate, solve,
};
use burn_dragon::api::train::{Interrupt, Output, RunFolder, Task, Trainer, TrainingConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let generator = GeneratorConfig {
        puzzles: 200,
        validation_puzzles: 32,
        ..GeneratorConfig::default()
    };
    let pair = generator.puzzle(Split::Validation, 0);
    println!("{:#}  {} givens", pair.puzzle, pair.puzzle.filled());
    if let Solutions::One(solution) = solve(&pair.puzzle) {
        println!("{solution}  the one solution");
    }

    let config = SudokuConfig {
        dataset: DatasetConfig::Embedded(generator),
        model: ModelConfig {
            d_model: 32,
            n_neurons: 64,
            n_levels: 2,
            ..ModelConfig::default()
        },
        training: TrainingConfig {
            batch_size: 8,
            max_steps: 30,
            ..TrainingConfig::default()
        },
        ..SudokuConfig::default()
    };
    let backend = Backend::Auto.select()?;
    let task = SudokuTask::new(&config, &backend.device.clone().autodiff())?;
    let folder = std::env::temp_dir().join(format!("burn_dragon_sudoku_{}", std::process::id()));
    let run = RunFolder::create(Some(&folder), &folder, "sudoku")?;
    let trainer = Trainer::new(&task, config.plan(), &run, Output::plain(), Interrupt::none())?;
    let (model, outcome) = trainer.fit(task.new_model()?)?;
    println!("loss {:.3} after {} steps", outcome.train_loss, outcome.steps);

    let (model, held_out) = (model.valid(), &task.puzzles().validation);
    for (index, level) in evaluate(&model, held_out, 4, LossKind::Softmax)
        .iter()
        .enumerate()
    {
        println!(
            "{} levels: {:.1} % of the cells right",
            index + 1,
            100.0 * level.score.cell_accuracy
        );
    }
    let controls = Controls::of(held_out);
    println!("a random candidate: {:.1} %", 100.0 * controls.candidates);
    let answer = answers(&model, &[pair.puzzle], 2)[0];
    println!("{}  solved: {}", answer.grid, answer.is_solved());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
