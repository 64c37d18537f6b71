//! `dragon bench prefill`: reading a prompt.

use super::Bench;
use super::report::{Report, Work};
use super::subject::{Room, Subject, batch};
use crate::args::{BenchPrefillArgs, PrefillForm};
use burn::tensor::{Int, Tensor};
use burn_dragon::api::core::{Dragon, Pass};
use serde_json::json;

/// Number of warm-up prompts.
const WARM_UP: usize = 1;

pub(super) fn run(bench: &Bench, args: &BenchPrefillArgs) -> anyhow::Result<Report> {
    let subject = Subject::new(&args.subject, 0.0, &bench.selected.device, |config| {
        let memories = config.cost().carried_bytes(args.batch, args.batch, 1);
        let windows = config.cost().reading_bytes(args.batch, args.tokens);
        Room {
            bytes: windows.saturating_add(memories),
            tokens: args.batch * args.tokens,
            flags: "--batch or --tokens",
        }
    })?;
    let (cost, tokens) = (subject.config().cost(), subject.tokens(args.batch * args.tokens));
    let prompts = batch(&tokens, args.batch, &bench.selected.device);
    let activity = subject.activity(&tokens[..args.tokens]);
    let timing = bench.time(WARM_UP, args.steps, || {
        let pass = Pass {
            precision: args.precision,
            ..Pass::default()
        };
        read(&subject.dragon, prompts.clone(), args.form, pass)
    })?;

    let units = (args.batch * args.tokens) as f64;
    let work = Work {
        unit: "prompt",
        tokens: units,
        flops: units * cost.prefill_flops_per_token(args.tokens) as f64,
        bytes: cost.prefill_bytes() as f64,
        working_set: 4 * cost.parameters() + args.batch as u64 * cost.state_bytes(),
    };
    Ok(Report {
        bench: "prefill",
        config: subject.config().clone(),
        weights: subject.weights.clone(),
        reads: subject.reads(&format!("{} x {}", args.batch, args.tokens)),
        activity,
        precision: args.precision,
        work,
        timing,
        own: json!({
            "batch": args.batch,
            "tokens": args.tokens,
            "form": format!("{:?}", args.form).to_lowercase(),
        }),
        notes: vec![
            format!("form     {:?}", args.form).to_lowercase(),
            "FLOPs are those of the cheaper form at this length, whichever was run".into(),
        ],
    })
}

/// Reads prompts from an empty memory, until the logits after their last token are here.
fn read(dragon: &Dragon, prompts: Tensor<2, Int>, form: PrefillForm, pass: Pass<'_>) -> anyhow::Result<()> {
    let [lanes, length] = prompts.dims();
    let logits = match form {
        PrefillForm::Parallel => dragon.forward_pass(prompts, pass),
        PrefillForm::Chunked => {
            let state = dragon.empty_state(lanes);
            dragon.forward_pass_with_state(prompts, state, pass)?.0
        }
    };
    std::hint::black_box(logits.narrow(1, length - 1, 1).into_data());
    Ok(())
}
