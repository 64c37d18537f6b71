//! Text of the predictability task (arXiv:2509.26507, section 6.4), to train a model on; `dragon eval --suite` then measures
//! its activity on other words.
//!
//! ```text
//! cargo run --release --example predictability_text -- 40000 > letters.txt     # periods of 77 letters
//! dragon train letters.txt model.n_levels=4 model.d_model=64 model.n_neurons=2048
//! ```

use burn_dragon::api::language::PredictabilityTask;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let periods = std::env::args().nth(1).map_or(Ok(2), |typed| typed.parse())?;
    // Not the seed of the evaluation, 0, so that its words are new.
    let task = PredictabilityTask { periods, seed: 1 };
    std::io::stdout().write_all(&task.text(0..periods))?;
    println!();
    Ok(())
}
