//! `dragon eval`: a model's figures on held-out text.

use super::{amount, backend, load, notes, print_json, run_config};
use crate::args::{EvalArgs, MemoryMode};
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::language::expert::{Split, Tokens, WindowPlan};
use burn_dragon::api::language::{
    Corpus, Evaluator, LanguageEvaluation, LanguageModel, LanguageTask, Memory, NeedleConfig, NeedleProbe,
    NeedleScore, SourceConfig, StreamEvaluation, TextConfig, WindowReading, WindowStart, needle_lines,
    recall_lines, stream_lines,
};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model or the data cannot be read.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.place, &selected)?;
    match (args.needle, reading(args, &model)?) {
        (true, asked) => {
            let reading = asked.unwrap_or(WindowReading {
                memory: Memory::Carried,
                block_size: block_size(args, &model),
            });
            let needle = on_needles(args, &model, reading)?;
            show(args, &needle, &needle_lines(&needle.score))?;
        }
        (false, Some(reading)) => {
            let evaluation = on_streams(args, &model, reading)?;
            let recall = evaluation.recall.iter().flat_map(recall_lines);
            let lines: Vec<String> = stream_lines(&evaluation).into_iter().chain(recall).collect();
            show(args, &evaluation, &lines)?;
        }
        (false, None) => {
            let evaluation = match (&args.data, &model.run) {
                (Some(data), _) => on_text(&model, data, args.block_size)?,
                (None, Some(run)) => on_run(&model, run, args.block_size)?,
                (None, None) => return Err(no_data()),
            };
            show(args, &evaluation, &lines(&evaluation))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One JSON object, or lines for a person.
fn show(args: &EvalArgs, figures: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
    if args.json {
        return print_json(figures);
    }
    lines.iter().for_each(|line| show!("{line}"));
    Ok(())
}

fn no_data() -> anyhow::Error {
    let text = "MODEL is no run folder, so there is no validation data to take: give DATA, a text file";
    Usage(text.into()).into()
}

/// How documents are to be read window by window, where that was asked for.
fn reading(args: &EvalArgs, model: &LanguageModel) -> anyhow::Result<Option<WindowReading>> {
    let Some(mode) = args.memory else {
        return Ok(None);
    };
    let block_size = block_size(args, model);
    let memory = match (mode, args.context_window) {
        (MemoryMode::Carried, None) => Memory::Carried,
        (MemoryMode::Reset, None) => Memory::Reset,
        (MemoryMode::Sliding, window) => Memory::Sliding {
            window: window.unwrap_or(block_size),
        },
        (_, Some(_)) => {
            let text = "--context-window is the window of --memory sliding; the others have none";
            return Err(Usage(text.into()).into());
        }
    };
    let reading = WindowReading { memory, block_size };
    reading.validate()?;
    Ok(Some(reading))
}

/// Tokens in a window: what was typed, else the run's, else 256.
fn block_size(args: &EvalArgs, model: &LanguageModel) -> usize {
    let trained = model.run.as_deref().and_then(|run| run_config(run).ok());
    args.block_size
        .or(trained.map(|config| config.training.block_size))
        .unwrap_or(256)
}

/// Reads at most so many documents side by side.
fn evaluator(model: &LanguageModel, batch_size: usize) -> Evaluator<'_> {
    Evaluator {
        tokenizer: &*model.tokenizer,
        batch_size,
    }
}

/// Documents, window by window, and the words they recall.
fn on_streams(
    args: &EvalArgs,
    model: &LanguageModel,
    reading: WindowReading,
) -> anyhow::Result<StreamEvaluation> {
    let here = std::env::current_dir()?;
    let config = model.run.as_deref().map(run_config).transpose()?;
    let (tokens, probe) = match (&args.data, config) {
        (Some(data), config) => {
            // A text of the kind the model has learnt from is divided into documents as that was.
            let document_separator = match config.map(|config| config.dataset.source) {
                Some(SourceConfig::Text(text)) => text.document_separator,
                _ => None,
            };
            (text(model, data, document_separator)?, None)
        }
        (None, Some(config)) => {
            let probe = config.dataset.source.recall_probe(usize::MAX)?;
            let corpus = Corpus::load(&config.dataset, &here, Some(model.tokenizer.clone()))?;
            (corpus.validation, probe)
        }
        (None, None) => return Err(no_data()),
    };
    let evaluator = evaluator(model, 16);
    let mut evaluation = evaluator.streams(&model.dragon, &tokens, reading)?;
    if !args.by_position {
        evaluation.by_position.clear();
    }
    if let Some(probe) = probe {
        evaluation.recall = evaluator.recall_of_streams(&model.dragon, &probe, reading)?;
    }
    Ok(evaluation)
}

/// What a needle probe came to.
#[derive(Serialize)]
struct Needle {
    #[serde(flatten)]
    reading: WindowReading,
    #[serde(flatten)]
    score: NeedleScore,
}

/// Facts asked about at exact distances: of the kind the model was trained on, else of the kind there is.
fn on_needles(args: &EvalArgs, model: &LanguageModel, reading: WindowReading) -> anyhow::Result<Needle> {
    let config = model.run.as_deref().map(run_config).transpose()?;
    let config = match config.map(|config| config.dataset.source) {
        Some(SourceConfig::Needle(needle)) => needle,
        _ => NeedleConfig::default(),
    };
    let probe = NeedleProbe::new(&config, &args.distances, args.cases)?;
    let score = evaluator(model, 32).needle(&model.dragon, &probe, reading)?;
    let Some(score) = score else {
        let text =
            "the tokens of MODEL are not single bytes or letters, so a word cannot be asked for one by one";
        return Err(Usage(text.into()).into());
    };
    Ok(Needle { reading, score })
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
    let tokens = text(model, data, None)?;
    let trained = model
        .run
        .as_deref()
        .and_then(|run| run_config(run).ok())
        .map(|config| config.training.block_size);
    let longest = tokens.len().saturating_sub(1).max(1);
    let block_size = block_size.or(trained).unwrap_or(256).min(longest);
    let plan = WindowPlan::new(&tokens, block_size, WindowStart::Anywhere)
        .context("cannot cut the text in windows")?;
    Ok(evaluator(model, 4).text(&model.dragon, &tokens, &plan, None)?)
}

/// The documents of a text file, folder or pattern.
fn text(model: &LanguageModel, data: &str, document_separator: Option<String>) -> anyhow::Result<Tokens> {
    let source = SourceConfig::Text(TextConfig {
        paths: vec![data.to_string()],
        document_separator,
    });
    let documents = source.load(Split::Validation, &std::env::current_dir()?)?;
    notes(documents.notes());
    let tokens = Tokens::encode(&documents, &*model.tokenizer)?;
    tell!("data   {}", amount(&tokens));
    Ok(tokens)
}

/// The figures for a person.
fn lines(evaluation: &LanguageEvaluation) -> Vec<String> {
    let mut lines = vec![
        format!(
            "loss           {:.4} nats a token, over {} tokens",
            evaluation.loss, evaluation.tokens
        ),
        format!("bits per byte  {:.4}", evaluation.bits_per_byte),
    ];
    for (name, shares) in [
        ("x density", &evaluation.density.x),
        ("y density", &evaluation.density.y),
    ] {
        let shares: Vec<String> = shares
            .iter()
            .map(|share| format!("{:.1} %", 100.0 * share))
            .collect();
        lines.push(format!("{name}      {}  (level by level)", shares.join("  ")));
    }
    lines.extend(evaluation.recall.iter().flat_map(recall_lines));
    lines
}
