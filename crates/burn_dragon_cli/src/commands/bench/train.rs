//! `dragon bench train`: training steps as in a run.

use super::Bench;
use super::report::{Report, Work, bytes};
use super::subject::{Room, Subject, WINDOW};
use crate::args::BenchTrainArgs;
use anyhow::Context;
use burn::module::Module;
use burn_dragon::api::expert::core::{Activity, activity};
use burn_dragon::api::expert::language::{SplitKind, Tokens};
use burn_dragon::api::expert::train::BenchSteps;
use burn_dragon::api::language::{
    Corpus, DatasetConfig, GenerationConfig, LanguageConfig, LanguageTask, SequenceConfig, SourceConfig,
    StreamConfig, TextConfig, WindowStart,
};
use burn_dragon::api::train::{Done, Task, TrainingConfig};
use serde_json::json;

/// Number of warm-up steps: the first one allocates, the second one finds everything allocated.
const WARM_UP: usize = 2;

pub(super) fn run(bench: &Bench, args: &BenchTrainArgs) -> anyhow::Result<Report> {
    let device = bench.selected.device.clone().autodiff();
    let least = args.batch * args.time + 1;
    let subject = Subject::new(&args.subject, args.dropout, &device, |config| Room {
        bytes: config.cost().training_bytes(args.batch, args.time),
        tokens: least,
        flags: "--batch or --time",
    })?;
    let (shape, tokens) = (subject.config().clone(), subject.corpus(least));
    let (task, config) = task(&subject, args, &tokens)?;
    let precision = config.training.precision.concrete()?;
    config.plan().check(&task, &subject.dragon, Done::default())?;
    let (weights, reads) = (
        subject.weights.clone(),
        subject.reads(&format!("{} x {}", args.batch, args.time)),
    );

    let window = &tokens[..args.time.min(WINDOW)];
    let before = activity(&subject.dragon.valid(), window);
    let mut bench_steps = BenchSteps::new(&task, config.plan(), &subject.dragon)?;
    let (mut dragon, mut losses) = (Some(subject.dragon), Vec::new());
    let timing = bench.time(WARM_UP, args.steps, || {
        let (after, loss) = bench_steps.step(dragon.take().context("the step before failed")?)?;
        dragon = Some(after);
        losses.push(loss);
        Ok(())
    })?;
    let after = dragon.map_or(before, |dragon| activity(&dragon.valid(), window));

    let cost = shape.cost();
    let units = (args.batch * args.time) as f64;
    let work = Work {
        unit: "step",
        tokens: units,
        flops: units * cost.training_flops_per_token(args.time) as f64,
        bytes: cost.training_bytes_moved() as f64,
        working_set: 4 * 4 * cost.parameters(), // weights, gradients, two moments
    };
    let own = json!({
        "batch": args.batch,
        "time": args.time,
        "dropout": args.dropout,
        "streams": args.streams,
        "loss": losses,
        "stated_memory_bytes": task.bytes_per_step(),
    });
    let notes = vec![
        format!(
            "stated   {} of memory a step, by formula",
            bytes(task.bytes_per_step())
        ),
        "FLOPs are those of the model: forward, and twice as many backward; recomputation is not counted"
            .into(),
        "densities are means over one window before the first and one after the last step".into(),
    ];
    Ok(Report {
        bench: "train",
        config: shape,
        weights,
        reads,
        activity: mean(before, after),
        precision,
        work,
        timing,
        own,
        notes,
    })
}

/// Language modelling on these tokens, as a run does it. A precision of `auto` is settled as in a run.
fn task(
    subject: &Subject,
    args: &BenchTrainArgs,
    tokens: &[u32],
) -> anyhow::Result<(LanguageTask, LanguageConfig)> {
    let corpus = Tokens {
        ids: tokens.to_vec().into(),
        starts: vec![0],
        bytes: tokens.len(),
        ..Tokens::default()
    };
    let mut config = LanguageConfig {
        // Where tokens come from is settled; that they are text keeps the tales and their probe away.
        dataset: DatasetConfig {
            source: SourceConfig::Text(TextConfig {
                paths: Vec::new(),
                document_separator: None,
            }),
            windows: WindowStart::Anywhere,
            ..DatasetConfig::default()
        },
        model: subject.config().clone().into(),
        sequence: SequenceConfig {
            block_size: args.time,
            streams: args.streams.then(StreamConfig::default),
            ..SequenceConfig::default()
        },
        training: TrainingConfig {
            batch_size: args.batch,
            max_steps: (WARM_UP + args.steps) as u64,
            clip_norm: Some(1.0),
            precision: args.precision,
            ..TrainingConfig::default()
        },
        generation: GenerationConfig {
            prompt: subject.tokenizer.decode(&tokens[..tokens.len().min(64)])?,
            ..GenerationConfig::default()
        },
        ..LanguageConfig::default()
    };
    let corpus = Corpus {
        tokenizer: subject.tokenizer.clone(),
        train: corpus.clone(),
        validation: corpus,
        split: SplitKind::OwnSource,
        notes: Vec::new(),
    };
    let device = subject.dragon.device();
    if let Some(line) = config.settle_precision(&device) {
        tell!("{line}");
    }
    let task = LanguageTask::with_corpus(&config, corpus, &device)?;
    Ok((task, config))
}

fn mean(a: Activity, b: Activity) -> Activity {
    Activity {
        x: (a.x + b.x) / 2.0,
        pairs: (a.pairs + b.pairs) / 2.0,
        y: (a.y + b.y) / 2.0,
    }
}
