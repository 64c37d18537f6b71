//! `infer`: generation under the flags that BDH users know.

use super::generate::{Show, settings, speak};
use super::prompt::{self, Prompt};
use super::run_settings::RunSettings;
use super::{backend, read};
use crate::args::{ContextMode, InferArgs};
use burn_dragon::api::exchange::{ModelPath, Which};
use burn_dragon::api::language::{ContextStrategy, GenerationConfig, Generator, LanguageModel};
use burn_dragon_train::api::Interrupt;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, or a setting is out of range.
pub fn run(args: &InferArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.backend.backend)?;
    let which = args.epoch.map_or(Which::Last, Which::Step);
    let path = ModelPath {
        path: args.checkpoint.clone(),
        which,
        official_config: None,
    };
    let model = read(&path, false, &selected)?;
    let config = config(args, &model)?;
    let prompt = Prompt::of_text(config.prompt.clone().into_bytes(), &model)?;
    let generator = Generator::of(&model, &config)?;
    let (mut reading, interrupt) = (generator.begin(), Interrupt::none()); // there is nothing to save
    prompt::read(&mut reading, &prompt.tokens, &interrupt)?;
    let show = Show {
        prompt: &prompt.text,
        // Text without a limit would never be shown at its end.
        streaming: args.streaming || config.max_tokens.is_none(),
        quiet: false,
    };
    show.end(&speak(&generator, &mut reading, show, &interrupt)?);
    Ok(ExitCode::SUCCESS)
}

fn config(args: &InferArgs, model: &LanguageModel) -> anyhow::Result<GenerationConfig> {
    let mut config = settings(model);
    if !args.configs.is_empty() {
        config = RunSettings::of_files(&args.configs)?.generation;
    }
    if let Some(prompt) = &args.prompt {
        config.prompt.clone_from(prompt);
    }
    if let Some(max_tokens) = args.max_tokens {
        config.max_tokens = usize::try_from(max_tokens).ok(); // negative: no end
    }
    config.temperature = args.temperature.unwrap_or(config.temperature);
    config.top_k = args.top_k.or(config.top_k);
    let trained = || {
        let run = || RunSettings::of_run(model.run.as_deref()?).ok()?.reading;
        model
            .reading
            .clone()
            .or_else(run)
            .map(|reading| reading.block_size.get())
    };
    config.context = match (args.context_mode, args.context_window) {
        (None, None) => config.context,
        (Some(ContextMode::Infinite), _) => ContextStrategy::Infinite {},
        (_, Some(window)) => ContextStrategy::Sliding { window },
        (Some(ContextMode::Sliding), None) => ContextStrategy::Sliding {
            window: trained().unwrap_or(256),
        },
    };
    Ok(config)
}
