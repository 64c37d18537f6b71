//! `dragon bench decode`: one token after another, with carried state.

use super::report::Timing;
use super::report::{Report, Work};
use super::subject::{Room, Subject};
use super::{Bench, refuse_off_processor};
use crate::args::BenchDecodeArgs;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::core::{
    Ahead, Decoder, DragonState, Draw, Drawn, InferencePrecision, MemoryPrecision, Precision,
};
use serde_json::json;
use std::hint::black_box;

/// Number of warm-up tokens.
const WARM_UP: usize = 4;

/// Maximum number of tokens read before the measurement. Time depends on the model alone, not on the number of tokens.
const READ: u64 = 2048;

pub(super) fn run(bench: &Bench, args: &BenchDecodeArgs) -> anyhow::Result<Report> {
    refuse_off_processor(args.precision, &bench.selected)?;
    if args.memory_precision != MemoryPrecision::F32 {
        refuse_off_processor(Precision::Bf16, &bench.selected)?;
    }
    let (read, timed) = (args.context.min(READ) as usize, WARM_UP + args.tokens);
    let count = args.batch * (read + timed);
    let subject = Subject::new(&args.subject, 0.0, &bench.selected.device, |config| Room {
        bytes: config.cost().generating_bytes(2 * args.batch), // a state is made, and laid out for decoding
        tokens: count,
        flags: "--batch or --tokens",
    })?;
    let tokens = subject.tokens(count);
    let lanes: Vec<&[u32]> = tokens.chunks(read + timed).collect();
    let activity = subject.activity(lanes[0]);
    let (rho, _) = subject.dragon.empty_state(args.batch).into_parts();
    let positions = vec![args.context - read as u64; args.batch];
    let precision = InferencePrecision {
        weights: args.precision,
        memory: args.memory_precision,
    };
    let mut streams = Decoder::with_precision(&subject.dragon, args.batch, precision);
    streams.resume(DragonState::from_parts(rho, positions))?;
    if read > 0 {
        let before: Vec<u32> = lanes.iter().flat_map(|lane| &lane[..read]).copied().collect();
        streams.read(&before)?;
    }
    let timing = if args.draw {
        drawn(bench, args, &mut streams)?
    } else {
        given(bench, args, &mut streams, |place| {
            lanes.iter().map(|lane| lane[read + place]).collect()
        })?
    };

    let (cost, lanes) = (subject.config().cost(), args.batch as f64);
    let state = args.batch as u64 * cost.state_bytes();
    let work = Work {
        unit: "token",
        tokens: lanes,
        flops: lanes * cost.decode_flops_at(activity),
        // Each stream has its own memory, of which active rows are read and written; weights may serve them all.
        bytes: cost.decode_weight_bytes(activity, precision)
            + lanes * cost.decode_memory_bytes(activity, precision),
        working_set: bytes(precision.weights) * cost.parameters() + memory_bytes(precision.memory, state),
    };
    let mut notes = vec![
        "FLOPs and bytes count only active neurons".into(),
        format!("weights in {}, memory in {}", precision.weights, precision.memory),
    ];
    if args.draw {
        notes.push(format!("drawn on the device, {} at a time", Decoder::MOST_AHEAD));
    }
    if args.context > READ {
        notes.push(format!(
            "only the last {READ} tokens of the context were read: size and position of the state are those of the whole"
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
        precision: args.precision,
        work,
        timing,
        own: json!({
            "batch": args.batch,
            "context": args.context,
            "context_read": read,
            "tokens": args.tokens,
            "drawn_on_device": args.draw,
            "memory_precision": precision.memory.to_string(),
            "state_bytes": state,
        }),
        notes,
    })
}

/// Steps on tokens that are given, each in its place.
fn given(
    bench: &Bench,
    args: &BenchDecodeArgs,
    streams: &mut Decoder,
    tokens: impl Fn(usize) -> Vec<u32>,
) -> anyhow::Result<Timing> {
    let mut places = 0..WARM_UP + args.tokens;
    bench.time(WARM_UP, args.tokens, || {
        let place = places.next().context("more tokens than there are")?;
        black_box(streams.step(&tokens(place))?);
        Ok(())
    })
}

/// Tokens drawn on the device, the likeliest ones, in batches; the times of a token are those of its batch in equal
/// shares.
fn drawn(bench: &Bench, args: &BenchDecodeArgs, streams: &mut Decoder) -> anyhow::Result<Timing> {
    if !streams.draws_on_device() {
        let backend = bench.selected.name;
        return Err(Usage(format!(
            "--draw is for a GPU, and the backend is {backend}; leave it out"
        ))
        .into());
    }
    let count = Decoder::MOST_AHEAD;
    let ahead = Ahead {
        count,
        draw: Draw {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            penalty: None,
        },
        uniforms: &[],
        seen: &[],
        end: None,
        keeps: false,
    };
    let mut next = vec![0; args.batch];
    let mut timing = bench.time(2, args.tokens.div_ceil(count), || {
        let lanes = streams.draw_ahead(&next, &ahead)?.context("the device draws")?;
        let last = |lane: &Drawn| lane.tokens.last().copied();
        next = lanes
            .iter()
            .map(last)
            .collect::<Option<_>>()
            .context("a logit is not finite")?;
        Ok(())
    })?;
    timing
        .seconds
        .iter_mut()
        .for_each(|seconds| *seconds /= count as f64);
    Ok(timing)
}

/// Bytes of a memory that has so many in f32.
fn memory_bytes(precision: MemoryPrecision, in_f32: u64) -> u64 {
    match precision {
        MemoryPrecision::F32 => in_f32,
        MemoryPrecision::Bf16 => in_f32 / 2,
        MemoryPrecision::Int8 => in_f32 / 32 * 9,
    }
}

/// Bytes of a number.
fn bytes(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 4,
        Precision::Bf16 => 2,
    }
}
