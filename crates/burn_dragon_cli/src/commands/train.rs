//! `dragon train`.

use super::resume::{Resumption, Start};
use super::{backend, notes, print_json, said, samples};
use crate::args::TrainArgs;
use crate::exit::{Usage, interrupted};
use anyhow::Context;
use burn::module::Module;
use burn_dragon::api::core::SelectedBackend;
use burn_dragon::api::language::expert::Tokens;
use burn_dragon::api::language::{Corpus, LanguageConfig, LanguageTask};
use burn_dragon::api::train::expert::write_atomic;
use burn_dragon::api::train::{
    Ending, Evaluation, Interrupt, Layers, LossContext, Outcome, Output, Resolved, RunFolder, RunInfo, Task,
    Trainer,
};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// The default run is bounded, so that a first look never takes long.
const DEFAULT_MINUTES: f64 = 3.5;

/// Runs the verb.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let output = Output::detect(false, args.json);
    let accepts = args.accept_changed_data;
    let resumption = args.resume.as_deref().map(|run| Resumption::open(run, accepts));
    let mut resumption = resumption.transpose()?;
    let resolved = resolve(args, resumption.as_ref())?;
    if let Some(resumption) = &resumption {
        resumption.check_settings(&resolved.value)?;
    }
    if args.print_config {
        show!("{}", resolved.explain().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let selected = backend(args.backend.backend)?;
    let prompted = resolved.origin("generation.prompt");
    let mut config = resolved.value;
    let here = std::env::current_dir()?;
    let by_name = config.dataset.make_absolute(&here)?;
    let mut corpus = corpus(&config, &here, resumption.as_mut())?;
    corpus.notes.extend(by_name);
    samples::fit(&mut config, &corpus, &prompted, output)?;
    let task = LanguageTask::with_corpus(&config, corpus, &selected.device.clone().autodiff())?;
    introduce(&task, &config, output);
    // What can be refused is refused before anything is written: no half-made run stays behind.
    let model = task.new_model()?;
    let done = resumption.as_ref().map(Resumption::done).unwrap_or_default();
    let total_steps = config.plan().check(&task, &model, done)?;
    let mut start = Start::new(&task, model)?;
    let mut complete = false;
    if let Some(resumption) = &resumption {
        complete = resumption.is_complete(&config, &task, total_steps)?;
        start = resumption.restore(&task, start)?;
    }
    if complete {
        output.say(&format!(
            "done   all {total_steps} steps of the run are taken; more of them with --max-steps"
        ));
    }
    if args.dry_run {
        return dry_run(&task, start, &config, total_steps, output);
    }
    let interrupt = Interrupt::install()?;
    let run = match &resumption {
        Some(resumption) => resumption.run.clone(),
        None => RunFolder::create(args.out.as_deref(), Path::new("runs"), "language")?,
    };
    let mut trainer = Trainer::new(&task, config.plan(), &run, output, interrupt)?;
    if accepts {
        trainer = trainer.accepting_changed_data();
    }
    if !complete {
        describe(&run, &config, &task, &selected, resumption.as_ref())?;
    }
    let model = start.model;
    let (model, outcome) = trainer.fit(model)?;
    let sample = match outcome.ending {
        Ending::Interrupted => None, // who interrupts does not want to wait
        Ending::Complete | Ending::TimeIsUp => task.sample(&model.valid(), outcome.steps)?,
    };
    report(&run, &outcome, total_steps, sample, output);
    if args.json {
        print_json(&summary(&run, &task, &outcome))?;
    }
    Ok(if outcome.ending == Ending::Interrupted {
        interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

/// The configuration: the run's own, or the files, or the default run; then what was typed.
fn resolve(args: &TrainArgs, resumed: Option<&Resumption>) -> anyhow::Result<Resolved<LanguageConfig>> {
    let (family, assignments) = match args.words.split_first() {
        Some((word, rest)) if !word.contains('=') => (word.as_str(), rest),
        _ => ("language", args.words.as_slice()),
    };
    if family != "language" {
        let text = format!("unknown family `{family}`; there is: language (and settings are KEY=VALUE)");
        return Err(Usage(text).into());
    }
    let mut layers = Layers::new();
    if let Some(resumption) = resumed {
        layers = layers.file(resumption.run.config())?;
    } else if args.configs.is_empty() {
        layers = layers.embedded("config/language/base.toml", burn_dragon::api::language::BASE)?;
        if assignments.is_empty() && args.max_steps.is_none() {
            layers = layers.value("the default run", "training.max_minutes", DEFAULT_MINUTES);
        }
    }
    for path in &args.configs {
        layers = layers.file(path)?;
    }
    for assignment in assignments {
        layers = layers.assignment(assignment)?;
    }
    let epochs = layers.assigns("training.epochs");
    let max_steps = layers.assigns("training.max_steps") || args.max_steps.is_some();
    if epochs && max_steps {
        let text = "training.epochs and training.max_steps (or --max-steps) were typed together, and a run has one \
                    number of steps: leave one of them out";
        return Err(Usage(text.into()).into());
    }
    if max_steps {
        layers = layers.without("training.epochs"); // what is typed wins over a file's epochs
    }
    if let Some(steps) = args.max_steps {
        let steps = i64::try_from(steps).map_err(|_| Usage(format!("--max-steps {steps} is too large")))?;
        layers = layers.value("--max-steps", "training.max_steps", steps);
    }
    Ok(layers.resolve::<LanguageConfig>()?)
}

/// The text of a run. One that goes on keeps its tokenizer, and must find the data as it left it.
fn corpus(config: &LanguageConfig, here: &Path, resumed: Option<&mut Resumption>) -> anyhow::Result<Corpus> {
    let Some(resumption) = resumed else {
        return Ok(Corpus::load(&config.dataset, here, None)?);
    };
    let corpus = Corpus::load(&config.dataset, here, resumption.tokenizer()?)?;
    resumption.check_data(&corpus, config)?;
    Ok(corpus)
}

fn introduce(task: &LanguageTask, config: &LanguageConfig, output: Output) {
    let (shape, corpus) = (task.model_config(), task.corpus());
    output.say(&format!(
        "model  {} levels, width {}, {} heads, {} neurons: {} parameters",
        shape.n_levels,
        shape.d_model,
        shape.n_heads,
        shape.n_neurons,
        shape.cost().parameters()
    ));
    output.say(&format!(
        "data   {} for training, {} for validation, {}",
        amount(&corpus.train),
        amount(&corpus.validation),
        corpus.split
    ));
    notes(&corpus.notes);
    let training = &config.training;
    output.say(&format!(
        "steps  {} x {} tokens a batch, {} a step, about {:.0} MB of memory a step",
        training.batch_size,
        training.block_size,
        training.accumulate,
        task.bytes_per_step() as f64 / 1e6
    ));
    if let Some(line) = unknown_symbols(corpus) {
        output.say(&line);
    }
}

/// How much text there is.
fn amount(tokens: &Tokens) -> String {
    let documents = tokens.starts.len();
    let plural = if documents == 1 { "" } else { "s" };
    format!("{} tokens in {documents} document{plural}", tokens.len())
}

/// What of the text the tokenizer does not know, and what that does to the figures.
fn unknown_symbols(corpus: &Corpus) -> Option<String> {
    let share = |tokens: &Tokens| 100.0 * tokens.unknown_share(&*corpus.tokenizer);
    let (train, validation) = (&corpus.train, &corpus.validation);
    let counts = [train, validation].map(|tokens| tokens.unknown.len());
    (counts != [0, 0]).then(|| {
        format!(
            "{}: {:.2} % of the training symbols ({}) and {:.2} % of the validation symbols ({}) are unknown to the \
             tokenizer; of these a model only has to say that they are unknown, so the text takes more bits than the \
             figures say",
            if share(train).max(share(validation)) < 1.0 { "note" } else { "warning" },
            share(train),
            counts[0],
            share(validation),
            counts[1]
        )
    })
}

/// One step from where the run stands, timed; nothing is written.
fn dry_run(
    task: &LanguageTask,
    start: Start,
    config: &LanguageConfig,
    total_steps: u64,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let Start {
        model,
        mut carry,
        done,
        place,
    } = start;
    let out = task.loss(
        &model,
        task.batch(place, &mut carry)?,
        &mut carry,
        LossContext {
            dropout_seed: 0,
            watch: false,
        },
    )?;
    let loss = out.value.clone().into_scalar::<f64>();
    drop(out.value.backward());
    let seconds = started.elapsed().as_secs_f64() * f64::from(config.training.accumulate);
    let left = total_steps.saturating_sub(done.steps);
    let more = if done.steps == 0 { "" } else { " more" };
    output.say(&format!(
        "one step: loss {loss:.3}, {seconds:.2} s; {left}{more} steps would take about {:.0} minutes",
        seconds * left as f64 / 60.0
    ));
    if output.json {
        print_json(&json!({
            "train_loss": loss,
            "steps": total_steps,
            "steps_done": done.steps,
            "seconds_per_step": seconds,
            "bytes_per_step": task.bytes_per_step(),
            "train_documents": task.corpus().train.starts.len(),
            "validation_documents": task.corpus().validation.starts.len(),
            "notes": said(&task.corpus().notes),
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what the run is: configuration, tokenizer, machine.
fn describe(
    run: &RunFolder,
    config: &LanguageConfig,
    task: &LanguageTask,
    selected: &SelectedBackend,
    resumed: Option<&Resumption>,
) -> anyhow::Result<()> {
    let text = toml::to_string(config).context("cannot write the configuration as TOML")?;
    write_atomic(&run.config(), text.as_bytes())?;
    task.corpus().tokenizer.spec().save(&run.tokenizer())?;
    let device = format!("{:?}", selected.device);
    let mut info = match RunInfo::load(&run.run_json()) {
        Ok(info) => info,
        Err(_) => RunInfo::now(selected.name, &device, config.training.seed),
    };
    if let Some(resumption) = resumed.filter(|run| run.has_checkpoint()) {
        info.resumed(resumption.done().steps, &resumption.changed_parts());
    }
    info.seed = config.training.seed; // a run that died before its first checkpoint may begin again with another
    Ok(info.save(&run.run_json())?)
}

/// What the run came to, for a person.
fn report(run: &RunFolder, outcome: &Outcome, total_steps: u64, sample: Option<String>, output: Output) {
    let path = run.path().display();
    match outcome.ending {
        Ending::Interrupted => {
            output.say(&format!(
                "interrupted and saved after step {} of {total_steps}; go on with\n  dragon train --resume {path}",
                outcome.steps
            ));
            return;
        }
        Ending::TimeIsUp => {
            output.say(&format!(
                "time is up after step {} of {total_steps}",
                outcome.steps
            ));
        }
        Ending::Complete => {}
    }
    let Some(after) = &outcome.after else { return };
    output.say("\nwhat it learnt");
    // A validation text may be so short that what is predicted of it has no bytes: it still has a loss.
    let bits = |figures: &Evaluation| figures.metrics.get("bits_per_byte").copied();
    let (name, before, now) = match (bits(&outcome.before), bits(after)) {
        (Some(before), Some(now)) => ("bits per byte", before, now),
        _ => ("nats a token ", outcome.before.loss, after.loss),
    };
    output.say(&format!(
        "  {name}  {before:.3} before, {now:.3} after {} tokens{} in {:.0} s ({:.0} tokens a second)",
        outcome.units,
        match outcome.session_units {
            now if now == outcome.units => String::new(),
            now => format!(", {now} of them now,"),
        },
        outcome.seconds,
        outcome.units_per_second
    ));
    if let (Some(x), Some(y)) = (after.metrics.get("x_density"), after.metrics.get("y_density")) {
        output.say(&format!(
            "  active neurons x {:.1} %, y {:.1} %",
            100.0 * x,
            100.0 * y
        ));
    }
    if let Some(skipped) = outcome.skipped {
        output.say(&format!("  steps skipped  {skipped} of {}", outcome.steps));
    }
    after
        .notes
        .iter()
        .for_each(|note| output.say(&format!("  {note}")));
    if let Some(sample) = sample {
        output.say("\nin its own words");
        sample.lines().for_each(|line| output.say(&format!("  | {line}")));
    }
    output.say(&format!(
        "\nthe run is in {path}; now try\n  {}",
        next_command(run, after.metrics.contains_key("recall_accuracy"))
    ));
}

/// What to type next; `tales` have a question that only memory can answer.
fn next_command(run: &RunFolder, tales: bool) -> String {
    let dragon = "cargo run --release -p burn_dragon_cli --bin dragon --";
    let prompt = match tales {
        true => {
            " --prompt \"Hugo hid the lilac key under the pine. Mira wore a tan cap. Later Hugo took the lilac key from the\""
        }
        false => "",
    };
    format!("{dragon} generate {}{prompt}", run.path().display())
}

fn summary(run: &RunFolder, task: &LanguageTask, outcome: &Outcome) -> serde_json::Value {
    let corpus = task.corpus();
    let after = outcome.after.as_ref();
    let metric = |name: &str| after.and_then(|after| after.metrics.get(name).copied());
    let mut summary = json!({
        "run_dir": run.path(),
        "ending": match outcome.ending {
            Ending::Complete => "complete",
            Ending::TimeIsUp => "time_is_up",
            Ending::Interrupted => "interrupted",
        },
        "steps": outcome.steps,
        "tokens": outcome.units,
        "train_documents": corpus.train.starts.len(),
        "validation_documents": corpus.validation.starts.len(),
        "notes": said(&corpus.notes),
        "train_loss": outcome.train_loss,
        "val_loss": after.map(|after| after.loss),
        "val_bits_per_byte": metric("bits_per_byte"),
        "tokens_per_second": outcome.units_per_second,
        "seconds": outcome.seconds,
        "checkpoints": outcome.saving.checkpoints,
        "checkpoint_seconds_blocked": outcome.saving.blocked_seconds,
        "checkpoint_seconds_writing": outcome.saving.writing_seconds,
        "val_bits_per_byte_reset": metric("reset_bits_per_byte"),
        "val_unknown_share": after.map(|_| metric("unknown_share").unwrap_or(0.0)),
        "recall_accuracy": metric("recall_accuracy"),
        "recall_chance": metric("recall_chance"),
        "x_density": metric("x_density"),
        "y_density": metric("y_density"),
    });
    if let Some(skipped) = outcome.skipped {
        summary["skipped"] = skipped.into();
    }
    summary
}
