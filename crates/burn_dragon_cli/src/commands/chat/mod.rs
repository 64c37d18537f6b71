//! `dragon chat`: one text, to which the user and the model add in turn.

mod command;
mod lines;
mod session;

use super::generate::{apply, apply_precision, settings};
use super::prompt::Extent;
use super::{backend, load, memory};
use crate::args::ChatArgs;
use crate::exit::{self, Usage};
use anyhow::Context;
use burn_dragon::api::language::{ContextStrategy, GenerationConfig, Generator, LanguageModel};
use burn_dragon_train::api::Interrupt;
use command::Said;
use lines::Lines;
use session::Session;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model or the memory cannot be read, a setting is out of range, or the memory cannot be kept at the end.
pub fn run(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.place, &selected)?;
    let config = config(args, &model);
    let generator = Generator::new(&model.dragon, model.tokenizer.clone(), &config)?;
    let reading = memory::open(&generator, &args.memory)?;
    if args.context_window.is_some() && reading.strategy() != config.context {
        let text = "--context-window differs from the context that --state-in was read with; leave it out";
        return Err(Usage(text.into()).into());
    }
    let interrupt = memory::interrupt(&args.memory)?;
    let precision = args.memory.state_precision.unwrap_or_default();
    let mut session = Session::new(&model, config.clone(), reading, precision);
    let broken_off = talk(&mut session, &interrupt);
    memory::close(&generator, &args.memory, session.reading())?; // whatever ended it
    if let Some(extent) = broken_off? {
        memory::broken_off(&args.memory, "line", extent);
    }
    Ok(if interrupt.requested() {
        exit::interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads lines until the input ends or the user interrupts. Returns how far the last line was read, if not completely.
/// An error in a line does not end the chat.
fn talk(session: &mut Session<'_>, interrupt: &Interrupt) -> anyhow::Result<Option<Extent>> {
    let lines = Lines::listen();
    if lines.a_person_types() {
        tell!("the model continues what you write; /help lists the commands, /quit or Ctrl-D ends");
    }
    while let Some(line) = lines.next(interrupt).context("cannot read standard input")? {
        let result = match command::parse(&line) {
            Ok(Said::Text(text)) => session.answer(text, interrupt),
            Ok(Said::Command(command)) => session.obey(command),
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(extent)) => return Ok(extent),
            Err(error) => exit::complain(&error),
        }
        if interrupt.requested() {
            break;
        }
    }
    Ok(None)
}

fn config(args: &ChatArgs, model: &LanguageModel) -> GenerationConfig {
    let mut config = settings(model);
    config.stop = vec!["\n".into()];
    apply(&args.drawing, &mut config);
    apply_precision(&args.inference, &mut config);
    config.max_tokens = args.max_tokens.or(config.max_tokens).or(Some(256));
    if let Some(window) = args.context_window {
        config.context = ContextStrategy::Sliding { window };
    }
    config
}
