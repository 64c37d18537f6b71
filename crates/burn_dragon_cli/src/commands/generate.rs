//! `dragon generate`: continue a text.

use super::{backend, load, print_json, run_config};
use crate::args::{DrawingArgs, GenerateArgs};
use anyhow::Context;
use burn_dragon::api::language::{Generation, GenerationConfig, Generator, LanguageModel};
use serde_json::json;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, or a setting is out of range.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.path(), &selected)?;
    let mut config = settings(&model);
    apply(&args.drawing, &mut config);
    config.max_tokens = args.max_tokens.or(config.max_tokens).or(Some(256));
    if let Some(prompt) = &args.prompt {
        config.prompt.clone_from(prompt);
    }
    let prompt = match (&args.prompt_tokens, &args.stdin) {
        (Some(ids), _) => ids.clone(),
        (None, Some(_)) => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("cannot read the prompt from standard input")?;
            model.tokenizer.encode(&bytes)?
        }
        (None, None) => model.tokenizer.encode(config.prompt.as_bytes())?,
    };
    let show = Show {
        prompt: true,
        streaming: args.streaming,
        quiet: args.json,
    };
    let generation = speak(&model, &config, &prompt, show)?;
    if args.json {
        print_json(&json!({
            "text": generation.text,
            "token_ids": generation.token_ids,
            "tokens_per_second": generation.tokens_per_second,
            "prefill_tokens_per_second": generation.prefill_tokens_per_second,
            "stopped": generation.stopped,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings of the model's run, or the defaults.
pub(super) fn settings(model: &LanguageModel) -> GenerationConfig {
    let config = model.run.as_deref().and_then(|run| run_config(run).ok());
    config.map(|config| config.generation).unwrap_or_default()
}

fn apply(args: &DrawingArgs, config: &mut GenerationConfig) {
    config.temperature = args.temperature.unwrap_or(config.temperature);
    config.top_k = args.top_k.or(config.top_k);
    config.top_p = args.top_p.or(config.top_p);
    config.repetition_penalty = args.repetition_penalty.or(config.repetition_penalty);
    config.seed = args.seed.unwrap_or(config.seed);
    if !args.stop.is_empty() {
        config.stop.clone_from(&args.stop);
    }
}

/// What reaches standard output.
#[derive(Clone, Copy)]
pub(super) struct Show {
    /// The prompt, before its continuation.
    pub(super) prompt: bool,
    /// Pieces as they come, not the text at the end.
    pub(super) streaming: bool,
    /// Nothing: the result is printed otherwise.
    pub(super) quiet: bool,
}

/// Continues the prompt, shows it, and says on standard error how fast it went.
pub(super) fn speak(
    model: &LanguageModel,
    config: &GenerationConfig,
    prompt: &[u32],
    show: Show,
) -> anyhow::Result<Generation> {
    let generator = Generator::new(&model.dragon, model.tokenizer.clone(), config)?;
    let mut out = std::io::stdout();
    let text = model.tokenizer.decode(prompt)?;
    let echo = show.prompt && !show.quiet;
    if echo && show.streaming {
        let _ = write!(out, "{text}").and_then(|()| out.flush());
    }
    let generation = generator.run(prompt, |piece| {
        if show.streaming && !show.quiet {
            // Who closes the pipe has read enough.
            let written = write!(out, "{piece}").and_then(|()| out.flush());
            return if written.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        ControlFlow::Continue(())
    })?;
    if !show.quiet {
        let rest = if show.streaming {
            String::new()
        } else {
            format!("{text}{}", generation.text)
        };
        let _ = writeln!(out, "{rest}");
    }
    eprintln!(
        "{} tokens at {:.0} a second, prompt read at {:.0} a second",
        generation.token_ids.len(),
        generation.tokens_per_second,
        generation.prefill_tokens_per_second
    );
    Ok(generation)
}
