//! `dragon state diff`: how far two memories are apart.

use super::super::print_json;
use super::{listed, read};
use crate::args::StateDiffArgs;
use crate::exit::BadInput;
use burn_dragon::api::checkpoint::StateFile;
use serde_json::json;

/// Memories at different positions lie differently turned, so both are compared as they are at position 0. That they
/// differ is a result, not a failure: the exit code is 0 either way.
pub(super) fn run(args: &StateDiffArgs) -> anyhow::Result<()> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let foreign = |reason: &dyn ToString| {
        let (a, b) = (args.a.display(), args.b.display());
        BadInput(format!("{a} and {b} cannot be compared: {}", reason.to_string()))
    };
    let same = same(&a, &b);
    let positions = [&a, &b].map(|file| file.state.positions().to_vec());
    let rebased = |file: StateFile| file.state.rebase(&file.config);
    let (model, tokenizer) = (a.info.model == b.info.model, a.info.tokenizer == b.info.tokenizer);
    let (a, b) = (rebased(a)?, rebased(b)?);
    let distances = a.distances(&b).map_err(|error| foreign(&error))?;
    if args.json {
        return print_json(&json!({
            "same": same,
            "same_model": model,
            "same_tokenizer": tokenizer,
            "positions": positions,
            "distances": distances, // per level and lane
        }));
    }
    let yes = |same| if same { "the same" } else { "different" };
    println!("memories   {}", yes(same));
    println!("model      {}", yes(model));
    println!("tokenizer  {}", yes(tokenizer));
    println!(
        "positions  {} and {}",
        listed(&positions[0]),
        listed(&positions[1])
    );
    println!("level  lane  relative distance at position 0");
    for (level, distances) in distances.iter().enumerate() {
        for (lane, distance) in distances.iter().enumerate() {
            println!("{level:5}  {lane:4}  {distance:.3e}");
        }
    }
    Ok(())
}

/// The same bits at the same positions.
fn same(a: &StateFile, b: &StateFile) -> bool {
    let (a, b) = (&a.state, &b.state);
    let pairs = || a.rho().iter().zip(b.rho());
    a.positions() == b.positions()
        && a.rho().len() == b.rho().len()
        && pairs().all(|(a, b)| a.dims() == b.dims())
        && pairs().all(|(a, b)| a.to_data().as_bytes() == b.to_data().as_bytes())
}
