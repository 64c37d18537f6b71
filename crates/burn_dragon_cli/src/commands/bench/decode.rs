//! `dragon bench decode`: one token after another, with carried state.

use super::Bench;
use super::report::{Report, Work};
use super::subject::{Subject, batch};
use crate::args::BenchDecodeArgs;
use anyhow::Context;
use burn_dragon::api::core::{Dragon, DragonState};
use serde_json::json;
use std::hint::black_box;

/// Tokens before the clock runs.
const WARM_UP: usize = 4;

/// Tokens at most that are read before; time does not depend on how many were, only on the model.
const READ: u64 = 2048;

pub(super) fn run(bench: &Bench, args: &BenchDecodeArgs) -> anyhow::Result<Report> {
    let subject = Subject::new(&args.subject, 0.0, &bench.selected.device)?;
    let (read, timed) = (args.context.min(READ) as usize, WARM_UP + args.tokens);
    let tokens = subject.tokens(args.batch * (read + timed));
    let lanes: Vec<&[u32]> = tokens.chunks(read + timed).collect();
    let activity = subject.activity(lanes[0]);
    let mut streams = Streams::at(&subject.dragon, args.batch, args.context - read as u64);
    if read > 0 {
        streams.advance(lanes.iter().flat_map(|lane| &lane[..read]))?;
    }
    let mut places = read..read + timed;
    let timing = bench.time(WARM_UP, args.tokens, || {
        let place = places.next().context("more tokens than there are")?;
        black_box(streams.advance(lanes.iter().map(|lane| &lane[place]))?);
        Ok(())
    })?;

    let (cost, lanes) = (subject.config().cost(), args.batch as f64);
    let state = args.batch as u64 * cost.state_bytes();
    let work = Work {
        unit: "token",
        tokens: lanes,
        flops: lanes * cost.decode_flops_at(activity),
        // Each stream has its own memory, of which active rows are read and written; weights may serve them all.
        bytes: cost.decode_bytes_at(activity)
            + (lanes - 1.0) * 2.0 * activity.pairs * cost.state_bytes() as f64,
        working_set: 4 * cost.parameters() + state,
    };
    let mut notes = vec!["FLOPs and bytes are those of active neurons alone".into()];
    if args.context > READ {
        notes.push(format!(
            "of the context the last {READ} tokens were read: the state has its size and position whatever was read"
        ));
    }
    Ok(Report {
        bench: "decode",
        config: subject.config().clone(),
        weights: subject.weights.clone(),
        reads: subject.reads(&format!(
            "{} at once from {}, {}",
            args.batch, args.context, args.tokens
        )),
        activity,
        work,
        timing,
        own: json!({
            "batch": args.batch,
            "context": args.context,
            "context_read": read,
            "tokens": args.tokens,
            "state_bytes": state,
        }),
        notes,
    })
}

/// Streams side by side, each with its own tokens.
struct Streams<'a> {
    dragon: &'a Dragon,
    state: Option<DragonState>,
    lanes: usize,
}

impl<'a> Streams<'a> {
    /// Empty memories at a position.
    fn at(dragon: &'a Dragon, lanes: usize, position: u64) -> Self {
        let (rho, _) = dragon.empty_state(lanes).into_parts();
        Self {
            dragon,
            state: Some(DragonState::from_parts(rho, vec![position; lanes])),
            lanes,
        }
    }

    /// More tokens of each stream, stream after stream; gives the logits after the last of each, `[B, V]`.
    fn advance<'t>(&mut self, tokens: impl Iterator<Item = &'t u32>) -> anyhow::Result<Vec<f32>> {
        let state = self.state.take().context("the token before failed")?;
        let tokens = batch(
            &tokens.copied().collect::<Vec<u32>>(),
            self.lanes,
            &self.dragon.device(),
        );
        let last = tokens.dims()[1] - 1;
        let (logits, state) = self.dragon.forward_with_state(tokens, state)?;
        self.state = Some(state);
        Ok(logits
            .narrow(1, last, 1)
            .into_data()
            .convert::<f32>()
            .try_into_vec()?)
    }
}
