//! `dragon state diff`: how far two memories are apart.

use super::super::print_json;
use super::{listed, read};
use crate::args::StateDiffArgs;
use crate::exit::BadInput;
use burn_dragon::api::checkpoint::StateFile;
use serde_json::json;

/// Memories at different positions lie differently turned. As they lie, what both have read at the same positions is the
/// same; at position 0, what gives the same answers. Both distances are told. That memories differ is a result, not a
/// failure: the exit code is 0 either way.
pub(super) fn run(args: &StateDiffArgs) -> anyhow::Result<()> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let foreign = |reason: &dyn ToString| {
        let (a, b) = (args.a.display(), args.b.display());
        BadInput(format!("{a} and {b} cannot be compared: {}", reason.to_string()))
    };
    let same = same(&a, &b);
    let as_stored = a.state.distances(&b.state).map_err(|error| foreign(&error))?;
    let positions = [&a, &b].map(|file| file.state.positions().to_vec());
    let (model, tokenizer) = (a.info.model == b.info.model, a.info.tokenizer == b.info.tokenizer);
    let [a, b] = [a, b].map(|file| file.state.rebase(&file.config));
    let rebased = a?.distances(&b?)?;
    if args.json {
        return print_json(&json!({
            "same": same,
            "same_model": model,
            "same_tokenizer": tokenizer,
            "positions": positions,
            "distances_as_stored": as_stored, // per level and lane
            "distances_rebased": rebased,
        }));
    }
    let yes = |same| if same { "the same" } else { "different" };
    show!("memories   {}", yes(same));
    show!("model      {}", yes(model));
    show!("tokenizer  {}", yes(tokenizer));
    show!(
        "positions  {} and {}",
        listed(&positions[0]),
        listed(&positions[1])
    );
    show!("relative distance as stored, and at position 0");
    show!("level  lane     stored       at 0");
    for (level, pair) in as_stored.iter().zip(&rebased).enumerate() {
        for (lane, (stored, rebased)) in pair.0.iter().zip(pair.1).enumerate() {
            show!("{level:5}  {lane:4}  {stored:9.3e}  {rebased:9.3e}");
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
