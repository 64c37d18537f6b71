//! `dragon chat`: one text, to which the user and the model add in turn.

mod command;
mod control;
mod editor;
mod lines;
mod mode;
mod session;
mod text;
mod trained;
mod turns;

use super::generate::{apply, apply_precision, settings};
use super::prompt::Extent;
use super::{backend, load, memory};
use crate::args::{ChatArgs, ChatMode};
use crate::exit::{self, Usage};
use anyhow::Context;
use burn_dragon::api::language::{ContextStrategy, GenerationConfig, Generator, LanguageModel};
use burn_dragon_train::api::Interrupt;
use command::Said;
use control::ControlCharacter;
use lines::Lines;
use session::{Session, Settings, in_words};
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Line printed at Ctrl-C on a terminal.
const STOPPING: &str = "stopping; press again to end the chat at once, without saving";

/// Runs the verb.
///
/// # Errors
/// If the model or the memory cannot be read, a setting is out of range, or the memory cannot be kept at the end.
pub fn run(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.place, &selected)?;
    let config = config(args, &model);
    let generator = Generator::of(&model, &config)?;
    let reading = memory::open(&generator, &args.memory)?;
    if args.context_window.is_some() && reading.strategy() != config.context {
        let text = "--context-window differs from the context that --state-in was read with; leave it out";
        return Err(Usage(text.into()).into());
    }
    let mode = args.mode.unwrap_or_else(|| ChatMode::of(&model));
    mode.joining(&model)?;
    let lines = Lines::listen(!args.no_history);
    let settings = Settings {
        generation: config.clone(),
        mode,
        precision: args.memory.state_precision.unwrap_or_default(),
        resumes: lines.a_person_types(),
    };
    let interrupt = match settings.resumes {
        true => Interrupt::install()?.announced(STOPPING),
        false => memory::interrupt(&args.memory)?,
    };
    let mut session = Session::new(&model, settings, reading);
    let broken_off = talk(&mut session, &lines, &interrupt);
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
/// An error in a line does not end the chat, and on a terminal an interruption ends only the answer; lines that wait are
/// forgotten.
fn talk(session: &mut Session<'_>, lines: &Lines, interrupt: &Interrupt) -> anyhow::Result<Option<Extent>> {
    if lines.a_person_types() {
        tell!("{}", in_words(session.mode()));
        tell!(
            "/help lists the commands, /quit or Ctrl-D ends; {}",
            session.depth()
        );
    }
    while let Some(line) = lines.next(interrupt).context("cannot read standard input")? {
        match heard(session, &line, interrupt) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(extent)) => return Ok(extent),
            Err(error) => exit::complain(&error),
        }
        if lines.a_person_types() {
            if interrupt.requested() {
                lines.forget();
            }
            interrupt.withdraw();
        } else if interrupt.requested() {
            break;
        }
    }
    Ok(None)
}

/// Answers a line, or obeys it.
fn heard(
    session: &mut Session<'_>,
    line: &[u8],
    interrupt: &Interrupt,
) -> anyhow::Result<ControlFlow<Option<Extent>>> {
    if let Some(found) = ControlCharacter::first(line) {
        return Err(found.into());
    }
    match command::parse(line)? {
        Said::Text(text) if session.mode() == ChatMode::Messages && text.trim_ascii().is_empty() => {
            Ok(ControlFlow::Continue(())) // conversations have no empty messages
        }
        Said::Text(text) => session.answer(text, interrupt),
        Said::Command(command) => session.obey(command),
    }
}

fn config(args: &ChatArgs, model: &LanguageModel) -> GenerationConfig {
    let mut config = settings(model);
    config.stop = Vec::new(); // that of the mode
    apply(&args.drawing, &mut config);
    apply_precision(&args.inference, &mut config);
    config.max_tokens = args.max_tokens.or(config.max_tokens).or(Some(256));
    if let Some(window) = args.context_window {
        config.context = ContextStrategy::Sliding { window };
    }
    config
}
