//! `dragon eval`: a model's figures on held-out text, or on the held-out data of its run.

mod exits;
#[cfg(feature = "train")]
mod family;
mod progress;
mod suite;
mod table;

use super::live::Pulse;
use super::run_settings::RunSettings;
use super::{backend, kinds, notes, passed_over, print_json, refuse_without_bf16, remote, said};
use crate::args::{EvalArgs, MemoryMode};
use crate::exit::Usage;
use burn_dragon::api::exchange::LoadedModel;
use burn_dragon::api::language::expert::{Split, Tokens};
use burn_dragon::api::language::{
    Corpus, Evaluator, LanguageEvaluation, LanguageModel, NeedleConfig, NeedleProbe, NeedleScore,
    RecallProbe, SourceConfig, TextConfig, WindowMemory, WindowReading, evaluation_lines, needle_lines,
    reading_in_words,
};
use burn_dragon::api::language::{LearntMemory, LearntReading};
use progress::Watched;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

/// Number of tokens in a window, for a model whose reading is not known.
const BLOCK_SIZE: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Distances in bytes of the needle probe.
const DISTANCES: [usize; 8] = [100, 200, 500, 1000, 2000, 5000, 10000, 20000];

/// Share of unknown symbols from which the figures are shown with a warning.
const LOUD: f64 = 0.01;

/// Runs the verb.
///
/// # Errors
/// If the model or the data cannot be read.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    refuse_without_bf16(args.precision, &selected)?;
    let loaded = loaded(args)?;
    #[cfg(feature = "train")]
    if family::is_other(&loaded.model.family) {
        family::run(args, loaded, selected)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut model = LanguageModel {
        run: loaded.run,
        passed_over: loaded.passed_over,
        ..LanguageModel::of(loaded.model, loaded.file, &selected.device)?
    };
    if let Some(levels) = args.levels {
        model.dragon = model.dragon.with_levels(levels)?;
    }
    let learnt = learnt(&model);
    if args.suite {
        suite::run(args, &model, &learnt)?;
    } else if args.needle {
        let reading = reading(args, &learnt, WindowMemory::Carried)?;
        let needle = on_needles(args, &model, reading)?;
        show(args, &needle, &needle.lines())?;
    } else if !args.exit_confidence.is_empty() {
        check_confidence(&args.exit_confidence)?;
        let reading = reading(args, &learnt, WindowReading::from(&learnt).memory)?;
        let exits = exits::score(args, &model, &text(args, &model, learnt)?, reading)?;
        show(args, &exits, &exits.lines())?;
    } else {
        let reading = reading(args, &learnt, WindowReading::from(&learnt).memory)?;
        let judged = judge(args, &model, text(args, &model, learnt)?, reading)?;
        warn(&judged.figures);
        show(args, &judged, &judged.lines())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a model of any family and reports its file on standard error.
fn loaded(args: &EvalArgs) -> anyhow::Result<LoadedModel> {
    let place = &args.model.place;
    let found = remote::find(&place.path(), place.offline)?;
    let pulse = Pulse::named(format!("reading {}", place.model.display()));
    let loaded = found.load(&kinds())?;
    drop(pulse);
    passed_over(&loaded.passed_over);
    tell!("model {}, step {}", loaded.file.display(), loaded.model.info.step);
    Ok(loaded)
}

/// Shows one JSON object, or lines of text.
fn show(args: &EvalArgs, figures: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
    if args.json {
        return print_json(figures);
    }
    lines.iter().for_each(|line| show!("{line}"));
    Ok(())
}

/// Refuses what is no probability.
fn check_confidence(confidences: &[f64]) -> anyhow::Result<()> {
    match confidences.iter().find(|&&share| !(share > 0.0 && share <= 1.0)) {
        None => Ok(()),
        Some(share) => {
            let text =
                format!("--exit-confidence {share} is no probability; expected a number above 0, at most 1");
            Err(Usage(text).into())
        }
    }
}

/// Reading that the model was trained with: that of its file, else of its run, else the default.
fn learnt(model: &LanguageModel) -> LearntReading {
    let run = || RunSettings::of_run(model.run.as_deref()?).ok();
    let said = model.reading.clone();
    said.or_else(|| run()?.reading).unwrap_or(LearntReading {
        block_size: BLOCK_SIZE,
        memory: LearntMemory::Reset,
        document_separator: None,
    })
}

/// Reading of the documents: the typed settings, else those of the training, with this memory.
fn reading(args: &EvalArgs, learnt: &LearntReading, memory: WindowMemory) -> anyhow::Result<WindowReading> {
    let block_size = args.block_size.unwrap_or(learnt.block_size.get());
    let memory = match (args.memory, args.context_window) {
        (None, None) => memory,
        (Some(MemoryMode::Carried), None) => WindowMemory::Carried,
        (Some(MemoryMode::Reset), None) => WindowMemory::Reset,
        (Some(MemoryMode::Sliding), window) => WindowMemory::Sliding {
            window: window.unwrap_or(block_size),
        },
        (_, Some(_)) => {
            let text = "--context-window needs --memory sliding";
            return Err(Usage(text.into()).into());
        }
    };
    let reading = WindowReading { memory, block_size };
    reading.validate()?;
    Ok(reading)
}

/// Text to evaluate a model on.
struct Text {
    tokens: Tokens,
    /// Separator of its documents.
    separator: Option<String>,
    /// Recalled words in it.
    probe: Option<RecallProbe>,
    /// Notes about how it was read.
    notes: Vec<String>,
}

/// The text that was typed, else the validation data of the model's run. A typed text is divided into documents like
/// the training text, unless a separator is given.
fn text(args: &EvalArgs, model: &LanguageModel, learnt: LearntReading) -> anyhow::Result<Text> {
    match (&args.data, &model.run) {
        (Some(data), _) => {
            let typed = args.document_separator.clone();
            let separator = typed
                .or(learnt.document_separator)
                .filter(|text| !text.is_empty());
            let (tokens, notes) = of_files(model, data, separator.clone())?;
            Ok(Text {
                tokens,
                separator,
                probe: None,
                notes,
            })
        }
        (None, Some(run)) => held_out(model, run),
        (None, None) => {
            let text = "MODEL is not a run folder, so it has no validation data: give DATA, a text file";
            Err(Usage(text.into()).into())
        }
    }
}

/// Documents of a text file, folder or pattern, with the notes about how they were read.
fn of_files(
    model: &LanguageModel,
    data: &str,
    document_separator: Option<String>,
) -> anyhow::Result<(Tokens, Vec<String>)> {
    let source = SourceConfig::Text(TextConfig {
        paths: vec![data.to_string()],
        document_separator,
    });
    let _pulse = Pulse::named(format!("reading {data}"));
    let documents = source.load(Split::Validation, &std::env::current_dir()?)?;
    notes(documents.notes());
    Ok((
        Tokens::encode(&documents, &*model.tokenizer)?,
        said(documents.notes()),
    ))
}

/// Message about a held-out text that differs from the one of the model's run.
#[cfg(feature = "train")]
fn changed(model: &LanguageModel, tokens: &Tokens) -> anyhow::Result<Option<String>> {
    Ok(model.changed_validation(tokens)?.map(|changed| {
        format!(
            "warning: the held-out text of the run {changed}: these figures are not comparable with those of the training, \
             and parts of the text may be training text"
        )
    }))
}

/// Note that a program without training does not know the held-out text of the run.
#[cfg(not(feature = "train"))]
fn changed(_: &LanguageModel, _: &Tokens) -> anyhow::Result<Option<String>> {
    Ok(Some(
        "note: built without training, this program does not check whether the held-out text is that of the run".into(),
    ))
}

/// Validation data of a run, tokenized by the model's own tokenizer. The text may have changed since.
fn held_out(model: &LanguageModel, run: &Path) -> anyhow::Result<Text> {
    let dataset = RunSettings::of_run(run)?.dataset;
    let separator = match dataset.validation.as_deref().unwrap_or(&dataset.source) {
        SourceConfig::Text(text) => text.document_separator.clone(),
        _ => None,
    };
    let pulse = Pulse::named("reading the validation data");
    let tokens = Corpus::held_out(&dataset, &std::env::current_dir()?, &*model.tokenizer)?;
    let changed = changed(model, &tokens)?;
    drop(pulse);
    changed.iter().for_each(|note| tell!("{note}"));
    Ok(Text {
        tokens,
        separator,
        probe: dataset.source.recall_probe(usize::MAX)?,
        notes: changed.into_iter().collect(),
    })
}

/// Evaluator of a model, with its progress shown.
fn evaluator<'a>(args: &EvalArgs, model: &'a LanguageModel, watched: &'a Watched) -> Evaluator<'a> {
    let evaluator = Evaluator::new(&*model.tokenizer).with_precision(args.precision);
    evaluator.counted_by(watched.counter())
}

/// Distances that were typed, else the default ones.
fn distances<'a>(args: &'a EvalArgs, default: &'a [usize]) -> &'a [usize] {
    match args.distances.is_empty() {
        true => default,
        false => &args.distances,
    }
}

/// Result of an evaluation.
#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    figures: LanguageEvaluation,
    document_separator: Option<String>,
    /// Bits per byte without memory, if the model was trained with memory and no other reading was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_bits_per_byte: Option<f64>,
    /// Notes about how the text was read.
    notes: Vec<String>,
}

fn judge(
    args: &EvalArgs,
    model: &LanguageModel,
    text: Text,
    reading: WindowReading,
) -> anyhow::Result<Judged> {
    let watched = Watched::new();
    let evaluator = evaluator(args, model, &watched);
    let on = |reading| evaluator.evaluate(&model.dragon, &text.tokens, reading, None);
    let mut figures = on(reading)?;
    anyhow::ensure!(
        figures.loss.is_finite(),
        "the loss is {}: numbers of the model exceed the range of f32 on this text, so there are no figures; check the \
         model with `dragon verify MODEL --deep`",
        figures.loss
    );
    let mut reset_bits_per_byte = None;
    if args.memory.is_none() && reading.memory != WindowMemory::Reset {
        let memory = WindowMemory::Reset;
        let reset = on(WindowReading { memory, ..reading })?;
        (reset_bits_per_byte, figures.density) = (reset.bits_per_byte, reset.density);
    }
    if !args.by_position {
        figures.by_position.clear();
    }
    if let Some(probe) = text.probe {
        figures.recall = evaluator.recall(&model.dragon, &probe, reading)?;
    }
    Ok(Judged {
        figures,
        document_separator: text.separator,
        reset_bits_per_byte,
        notes: text.notes,
    })
}

impl Judged {
    /// Figures as lines of text.
    fn lines(&self) -> Vec<String> {
        let reset = self.reset_bits_per_byte.iter();
        let reset = reset.map(|bits| {
            format!("reset          {bits:.4} bits per byte where memory is emptied before each window")
        });
        let lines = evaluation_lines(&self.figures, self.document_separator.as_deref());
        lines.into_iter().chain(reset).collect()
    }
}

/// Warns if the figures are not meaningful.
fn warn(figures: &LanguageEvaluation) {
    if figures.unknown_share >= LOUD {
        tell!(
            "warning: {:.1} % of the symbols are unknown to the model, which predicts only that they are unknown: the figures \
             do not show how well it predicts this text",
            100.0 * figures.unknown_share
        );
    }
}

/// Result of a needle probe.
#[derive(Serialize)]
struct Needle {
    #[serde(flatten)]
    reading: WindowReading,
    #[serde(flatten)]
    score: NeedleScore,
}

impl Needle {
    /// Score as lines of text.
    fn lines(&self) -> Vec<String> {
        let mut lines = needle_lines(&self.score);
        lines.push(format!("  read {}", reading_in_words(self.reading)));
        lines
    }
}

/// Needle probe of the kind the model was trained on, else of the default kind.
fn on_needles(args: &EvalArgs, model: &LanguageModel, reading: WindowReading) -> anyhow::Result<Needle> {
    let run = model.run.as_deref().map(RunSettings::of_run).transpose()?;
    let config = match run.map(|run| run.dataset.source) {
        Some(SourceConfig::Needle(needle)) => needle,
        _ => NeedleConfig::default(),
    };
    let probe = NeedleProbe::new(&config, distances(args, &DISTANCES), args.cases)?;
    let watched = Watched::new();
    let evaluator = evaluator(args, model, &watched);
    let score = evaluator.needle(&model.dragon, &probe, reading)?;
    let Some(score) = score else {
        let text = "the tokens of MODEL are not single bytes or characters, as --needle needs";
        return Err(Usage(text.into()).into());
    };
    Ok(Needle { reading, score })
}
