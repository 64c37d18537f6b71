//! `dragon eval`: a model's figures on held-out text.

use super::{backend, load, print_json, run_config};
use crate::args::EvalArgs;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::language::expert::{Split, Tokens, WindowPlan};
use burn_dragon::api::language::{
    Corpus, Evaluator, LanguageEvaluation, LanguageModel, LanguageTask, SourceConfig, TextConfig, WindowStart,
};
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model or the data cannot be read.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.path(), &selected)?;
    let evaluation = match (&args.data, &model.run) {
        (Some(data), _) => on_text(&model, data, args.block_size)?,
        (None, Some(run)) => on_run(&model, run, args.block_size)?,
        (None, None) => {
            let text =
                "MODEL is no run folder, so there is no validation data to take: give DATA, a text file";
            return Err(Usage(text.into()).into());
        }
    };
    if args.json {
        print_json(&evaluation)?;
    } else {
        print(&evaluation);
    }
    Ok(ExitCode::SUCCESS)
}

/// All validation data of the model's own run.
fn on_run(
    model: &LanguageModel,
    run: &Path,
    block_size: Option<usize>,
) -> anyhow::Result<LanguageEvaluation> {
    let mut config = run_config(run)?;
    config.training.block_size = block_size.unwrap_or(config.training.block_size);
    let tokenizer = Some(model.tokenizer.clone()); // not a new one: the text may have changed since
    let corpus = Corpus::load(&config.dataset, &std::env::current_dir()?, tokenizer)?;
    let task = LanguageTask::with_corpus(&config, corpus, &model.dragon.device())?;
    Ok(task.full_evaluation(&model.dragon)?)
}

/// All of a text.
fn on_text(
    model: &LanguageModel,
    data: &str,
    block_size: Option<usize>,
) -> anyhow::Result<LanguageEvaluation> {
    let source = SourceConfig::Text(TextConfig {
        paths: vec![data.to_string()],
        document_separator: None,
    });
    let documents = source.load(Split::Validation, &std::env::current_dir()?)?;
    let tokens = Tokens::encode(&documents, &*model.tokenizer)?;
    let trained = model
        .run
        .as_deref()
        .and_then(|run| run_config(run).ok())
        .map(|config| config.training.block_size);
    let longest = tokens.len().saturating_sub(1).max(1);
    let block_size = block_size.or(trained).unwrap_or(256).min(longest);
    let plan = WindowPlan::new(&tokens, block_size, WindowStart::Anywhere)
        .context("cannot cut the text in windows")?;
    let evaluator = Evaluator {
        tokenizer: &*model.tokenizer,
        batch_size: 4,
    };
    Ok(evaluator.text(&model.dragon, &tokens, &plan, None)?)
}

fn print(evaluation: &LanguageEvaluation) {
    println!(
        "loss           {:.4} nats a token, over {} tokens",
        evaluation.loss, evaluation.tokens
    );
    println!("bits per byte  {:.4}", evaluation.bits_per_byte);
    for (name, shares) in [
        ("x density", &evaluation.density.x),
        ("y density", &evaluation.density.y),
    ] {
        let shares: Vec<String> = shares
            .iter()
            .map(|share| format!("{:.1} %", 100.0 * share))
            .collect();
        println!("{name}      {}  (level by level)", shares.join("  "));
    }
    if let Some(recall) = &evaluation.recall {
        burn_dragon::api::language::recall_lines(recall)
            .iter()
            .for_each(|line| println!("{line}"));
    }
}
