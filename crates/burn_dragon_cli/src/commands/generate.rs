//! `dragon generate`: continuation of a text.

use super::prompt::{self, Extent, Prompt};
use super::run_settings::RunSettings;
use super::{backend, from_stdin, load, memory, print_json};
use crate::args::{DrawingArgs, GenerateArgs, InferenceArgs};
use crate::exit::{self, Usage};
use crate::show::dimmed;
use anyhow::Context;
use burn_dragon::api::language::{DrawnOn, Generation, GenerationConfig, Generator, LanguageModel, Prefix};
use burn_dragon_train::api::Interrupt;
use burn_dragon_train::api::expert::results;
use serde_json::json;
use std::io::Read;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, or a setting is out of range.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    if args.memory.state_precision.is_some() && args.memory.state_out.is_none() {
        return Err(Usage("--state-precision needs --state-out".into()).into());
    }
    let selected = backend(args.model.backend.backend)?;
    let mut model = load(&args.model.place, &selected)?;
    if let Some(levels) = args.levels {
        model.dragon = model.dragon.with_levels(levels)?;
    }
    let mut config = settings(&model);
    config.exit_confidence = args.exit_confidence.or(config.exit_confidence);
    apply(&args.drawing, &mut config);
    apply_precision(&args.inference, &mut config);
    config.max_tokens = args.max_tokens.or(config.max_tokens).or(Some(256));
    let prompt = prompt(args, &model, &config)?;
    let generator = Generator::of(&model, &config)?;
    let mut reading = memory::open(&generator, &args.memory)?;
    let interrupt = memory::interrupt(&args.memory)?;
    let extent = prompt::read(&mut reading, &prompt.tokens, &interrupt)?;
    let show = Show {
        prompt: &prompt.text,
        streaming: args.streaming,
        quiet: args.json,
    };
    let generation = match interrupt.requested() {
        true => Generation::default(), // who interrupts does not want to wait
        false => speak(&generator, &mut reading, show, &interrupt)?,
    };
    memory::close(&generator, &args.memory, &reading)?;
    if args.json {
        print_json(&summary(&generation, &reading, extent, &interrupt))?;
    } else if extent.is_whole() {
        show.end(&generation);
    }
    if !extent.is_whole() {
        memory::broken_off(&args.memory, "prompt", extent);
    }
    Ok(if interrupt.requested() {
        exit::interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

fn summary(
    generation: &Generation,
    reading: &Prefix,
    extent: Extent,
    interrupt: &Interrupt,
) -> serde_json::Value {
    json!({
        "text": generation.text,
        "token_ids": generation.token_ids,
        "tokens_per_second": generation.tokens_per_second,
        "prefill_tokens_per_second": generation.prefill_tokens_per_second,
        "stopped": generation.stopped,
        "interrupted": interrupt.requested(),
        "prompt_tokens": extent.of,
        "prompt_tokens_read": extent.read,
        "tokens_read": reading.tokens(), // of the whole stream
        "levels_per_token": reading.mean_levels(),
    })
}

/// Prompt: the typed one, else that of the settings if no memory was loaded.
fn prompt(args: &GenerateArgs, model: &LanguageModel, config: &GenerationConfig) -> anyhow::Result<Prompt> {
    let text = match (&args.prompt_tokens, &args.text, &args.prompt) {
        (Some(ids), _, _) => return Prompt::of_tokens(ids.clone(), model),
        (None, Some(text), _) if text != "-" => text.clone().into_bytes(),
        (None, Some(_), _) => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("cannot read the prompt from standard input")?;
            from_stdin(&bytes)?.to_vec()
        }
        (None, None, Some(prompt)) => prompt.clone().into_bytes(),
        (None, None, None) if args.memory.state_in.is_some() => Vec::new(), // and so an error that says what is missing
        (None, None, None) => config.prompt.clone().into_bytes(),
    };
    Prompt::of_text(text, model)
}

/// Settings of the model's run, or the defaults.
pub(super) fn settings(model: &LanguageModel) -> GenerationConfig {
    let run = model.run.as_deref().and_then(|run| RunSettings::of_run(run).ok());
    run.map(|run| run.generation).unwrap_or_default()
}

/// Overwrites the run's settings with the typed ones.
pub(super) fn apply(args: &DrawingArgs, config: &mut GenerationConfig) {
    config.temperature = args.temperature.unwrap_or(config.temperature);
    config.top_k = args.top_k.or(config.top_k);
    config.top_p = args.top_p.or(config.top_p);
    config.repetition_penalty = args.repetition_penalty.or(config.repetition_penalty);
    config.seed = args.seed.unwrap_or(config.seed);
    if !args.stop.is_empty() {
        config.stop.clone_from(&args.stop);
    }
}

/// Overwrites the run's precisions with the typed ones.
pub(super) fn apply_precision(args: &InferenceArgs, config: &mut GenerationConfig) {
    config.precision = args.precision.unwrap_or(config.precision);
    config.memory_precision = args.memory_precision.unwrap_or(config.memory_precision);
}

/// Output to standard output.
#[derive(Clone, Copy)]
pub(super) struct Show<'a> {
    /// Prompt, shown before its continuation; dimmed on a terminal.
    pub(super) prompt: &'a [u8],
    /// Whether pieces are shown as they come, not the text at the end.
    pub(super) streaming: bool,
    /// Whether nothing is shown, because the result is printed in another form.
    pub(super) quiet: bool,
}

impl Show<'_> {
    /// Shows the text, unless it was shown while it was generated.
    pub(super) fn end(&self, generation: &Generation) {
        if !self.streaming && !self.quiet {
            results::write(&[&*dimmed(self.prompt), generation.text.as_bytes(), b"\n"].concat());
        }
    }
}

/// Continues a prefix, shows the text if requested, and reports the speed on standard error.
pub(super) fn speak(
    generator: &Generator<'_>,
    reading: &mut Prefix,
    show: Show<'_>,
    interrupt: &Interrupt,
) -> anyhow::Result<Generation> {
    let live = show.streaming && !show.quiet;
    match reading.drawn_on() {
        DrawnOn::Processor => {}
        elsewhere => tell!("{elsewhere}"),
    }
    // After a failed write to standard output, nothing more is written.
    let mut heard = !live || results::write(&dimmed(show.prompt));
    let generation = generator.go_on(reading, |piece| {
        heard = heard && (!live || results::write(piece.as_bytes()));
        if heard && !interrupt.requested() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if live {
        results::write(b"\n");
    }
    tell!(
        "{} tokens at {:.0} tokens/s, prompt read at {:.0} tokens/s",
        generation.token_ids.len(),
        generation.tokens_per_second,
        generation.prefill_tokens_per_second
    );
    Ok(generation)
}
