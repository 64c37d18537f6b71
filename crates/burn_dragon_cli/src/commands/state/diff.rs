//! `dragon state diff`: distance between two memories.

use super::super::print_json;
use super::{counts, listed, read};
use crate::args::StateDiffArgs;
use crate::exit::BadInput;
use burn_dragon::api::language::LanguageState;
use serde_json::json;

/// Memories at different positions have different rotations. As stored, entries written at the same positions are
/// equal. At position 0, memories with the same answers are equal. Both distances are reported. A difference is a
/// result, not a failure: the exit code is 0 in any case.
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
    let context = a.info.sliding == b.info.sliding;
    let (seen, unshared) = ([counts(&a), counts(&b)], unshared(&a, &b));
    let [a, b] = [a, b].map(|file| file.state.rebase(&file.config));
    let rebased = a?.distances(&b?)?;
    if args.json {
        return print_json(&json!({
            "same": same,
            "same_model": model,
            "same_tokenizer": tokenizer,
            "same_context": context,
            "same_seen": unshared == (0, 0),
            "positions": positions,
            "seen": seen,
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
    show!("context    {}", yes(context));
    show!(
        "seen       {} and {} different tokens, of which the other has not seen {} and {}",
        listed(&seen[0]),
        listed(&seen[1]),
        unshared.0,
        unshared.1
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

/// Whether both continue identically with the same text: same bits at the same positions, same context, same tokens
/// seen.
fn same(a: &LanguageState, b: &LanguageState) -> bool {
    let pairs = || a.state.rho().iter().zip(b.state.rho());
    a.state.positions() == b.state.positions()
        && a.info.sliding == b.info.sliding
        && a.seen == b.seen
        && a.state.rho().len() == b.state.rho().len()
        && pairs().all(|(a, b)| a.dims() == b.dims())
        && pairs().all(|(a, b)| a.to_data().as_bytes() == b.to_data().as_bytes())
}

/// Number of tokens that the streams of each have seen and those of the other have not.
fn unshared(a: &LanguageState, b: &LanguageState) -> (usize, usize) {
    let pairs = || a.seen.iter().zip(&b.seen);
    (
        pairs().map(|(a, b)| a.difference(b).count()).sum(),
        pairs().map(|(a, b)| b.difference(a).count()).sum(),
    )
}
