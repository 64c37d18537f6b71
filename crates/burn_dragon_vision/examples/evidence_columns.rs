//! Recognition by evidence columns (arXiv:2412.18354): one column beside several, on turned figures.
//!
//! ```text
//! cargo run --release -p burn_dragon_vision --example evidence_columns                    # twelve drawn figures
//! cargo run --release -p burn_dragon_vision --example evidence_columns -- FOLDER          # twelve characters of Omniglot
//! ```
//!
//! FOLDER holds `images_background_small1.zip` of Omniglot. A character is learnt from its first drawing, upright. It is then
//! shown turned by random angles, the same for every number of columns.

mod omniglot;

use burn_dragon_vision::api::Picture;
use burn_dragon_vision::api::evidence::{FIGURES, Memory, ObjectModel, Rules, drawn, rotated, trials};
use std::path::PathBuf;

/// Side of a drawn figure, in pixels.
const SIZE: usize = 48;

/// Rotations of each object.
const TURNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules::default();
    let characters = match std::env::args_os().nth(1) {
        Some(folder) => Some(omniglot::characters(&PathBuf::from(folder), 12)?),
        None => None,
    };
    let picture = |object: usize, angle: f64| -> Picture {
        match &characters {
            Some(characters) => rotated(&characters[object].1, angle),
            None => drawn(FIGURES[object].1, angle, SIZE),
        }
    };
    let names: Vec<&str> = match &characters {
        Some(characters) => characters.iter().map(|(name, _)| name.as_str()).collect(),
        None => FIGURES.iter().map(|(name, _)| *name).collect(),
    };
    let learn = |(object, name): (usize, &&str)| ObjectModel::learn(*name, &picture(object, 0.0), &rules);
    let memory = Memory {
        objects: names.iter().enumerate().map(learn).collect(),
    };
    let points: usize = memory.objects.iter().map(|object| object.points().len()).sum();
    println!("{} objects, {points} points: {}", names.len(), names.join(", "));
    println!("{} rotations of each; at most {} steps", TURNS, rules.most_steps);
    println!("columns  accuracy  matched  steps  rotation error (median)");
    for columns in [1, 2, 3, 5] {
        let found = trials(&memory, &picture, columns, TURNS, &rules, 1337);
        println!(
            "{columns:>7}  {:>6.1} %  {:>5.1} %  {:>5.1}  {:.1} degrees",
            100.0 * found.accuracy,
            100.0 * found.matched,
            found.steps,
            found.rotation_error
        );
    }
    Ok(())
}
