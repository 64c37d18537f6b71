//! `dragon train`.

use super::{backend, print_json, samples};
use crate::args::TrainArgs;
use crate::exit::{Usage, interrupted};
use anyhow::Context;
use burn::module::Module;
use burn_dragon::api::checkpoint::{Checkpoints, ModelFile};
use burn_dragon::api::core::{Dragon, SelectedBackend};
use burn_dragon::api::language::{Corpus, LanguageConfig, LanguageTask, Tokenizer, TokenizerSpec};
use burn_dragon::api::train::expert::write_atomic;
use burn_dragon::api::train::{
    Ending, Interrupt, Layers, LossContext, Outcome, Output, Resolved, RunFolder, RunInfo, Task, Trainer,
};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// The default run is bounded, so that a first look never takes long.
const DEFAULT_MINUTES: f64 = 3.5;

/// Runs the verb.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let output = Output::detect(false, args.json);
    let resumed = args.resume.as_deref().map(RunFolder::open).transpose()?;
    let resolved = resolve(args, resumed.as_ref())?;
    if args.print_config {
        show!("{}", resolved.explain().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let selected = backend(args.backend.backend)?;
    let prompted = resolved.origin("generation.prompt");
    let mut config = resolved.value;
    let here = std::env::current_dir()?;
    config.dataset.make_absolute(&here);
    let tokenizer = resumed.as_ref().map(tokenizer_of).transpose()?.flatten();
    let corpus = Corpus::load(&config.dataset, &here, tokenizer)?;
    samples::fit(&mut config, &corpus, &prompted, output)?;
    let task = LanguageTask::with_corpus(&config, corpus, &selected.device.clone().autodiff())?;
    introduce(&task, &config, output);
    // What can be refused is refused before anything is written: no half-made run stays behind.
    let model = task.new_model()?;
    let total_steps = config.plan().check(&task, &model)?;
    if args.dry_run {
        return dry_run(&task, &model, &config, total_steps, output);
    }
    let interrupt = Interrupt::install()?;
    let resumes = resumed.is_some();
    let run = match resumed {
        Some(run) => run,
        None => RunFolder::create(args.out.as_deref(), Path::new("runs"), "language")?,
    };
    let trainer = Trainer::new(&task, config.plan(), &run, output, interrupt)?;
    if resumes {
        goes_on(&run, &task, &model)?;
    }
    describe(&run, &config, &task, &selected)?;
    let (model, outcome) = trainer.fit(model)?;
    let sample = match outcome.ending {
        Ending::Interrupted => None, // who interrupts does not want to wait
        Ending::Complete | Ending::TimeIsUp => task.sample(&model.valid(), outcome.steps)?,
    };
    report(&run, &outcome, total_steps, sample, output);
    if args.json {
        print_json(&summary(&run, &outcome))?;
    }
    Ok(if outcome.ending == Ending::Interrupted {
        interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

/// The configuration: the run's own, or the files, or the default run; then what was typed.
fn resolve(args: &TrainArgs, resumed: Option<&RunFolder>) -> anyhow::Result<Resolved<LanguageConfig>> {
    let (family, assignments) = match args.words.split_first() {
        Some((word, rest)) if !word.contains('=') => (word.as_str(), rest),
        _ => ("language", args.words.as_slice()),
    };
    if family != "language" {
        let text = format!("unknown family `{family}`; there is: language (and settings are KEY=VALUE)");
        return Err(Usage(text).into());
    }
    let mut layers = Layers::new();
    if let Some(run) = resumed {
        layers = layers.file(run.config())?;
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
    if let Some(steps) = args.max_steps {
        let steps = i64::try_from(steps).context("--max-steps is too large")?;
        layers = layers
            .value("--max-steps", "training.max_steps", steps)
            .without("training.epochs"); // what is typed wins over a file's epochs
    }
    Ok(layers.resolve::<LanguageConfig>()?)
}

/// The tokenizer that a run was started with: its text may have changed since. A run that died early has none.
fn tokenizer_of(run: &RunFolder) -> anyhow::Result<Option<Arc<dyn Tokenizer>>> {
    let path = run.tokenizer();
    let tokenizer = path.exists().then(|| TokenizerSpec::load(&path));
    Ok(tokenizer.transpose()?)
}

/// Refuses to go on with another model than the run's, or with other streams, which its checkpoints would not fit:
/// before the settings that ask for them become the run's.
fn goes_on(run: &RunFolder, task: &LanguageTask, model: &Dragon) -> anyhow::Result<()> {
    let (Some(newest), _) = Checkpoints::new(run.checkpoints()).newest_verified()? else {
        return Ok(());
    };
    let held = ModelFile::read(&newest.path().join("model.bpk"))?.config;
    let (held, asked) = (
        serde_json::to_value(held)?,
        serde_json::to_value(task.model_config())?,
    );
    let pairs = held.as_object().into_iter().flatten();
    let differing: Vec<String> = pairs
        .filter(|(key, value)| asked.get(key) != Some(value))
        .map(|(key, value)| format!("model.{key} = {} instead of {value}", asked[key]))
        .collect();
    if differing.is_empty() {
        let mut carry = task.carry(model)?;
        return Ok(task.restore_carry(model, &mut carry, newest.path())?);
    }
    let text = format!(
        "a resumed run keeps its model, but the settings ask for {}; start a new run instead",
        differing.join(", ")
    );
    Err(Usage(text).into())
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
        "data   {} training tokens, {} validation tokens, {}",
        corpus.train.len(),
        corpus.validation.len(),
        corpus.split
    ));
    let training = &config.training;
    output.say(&format!(
        "steps  {} x {} tokens a batch, {} a step, about {:.0} MB of memory a step",
        training.batch_size,
        training.block_size,
        training.accumulate,
        task.bytes_per_step() as f64 / 1e6
    ));
}

/// One step, timed; nothing is written.
fn dry_run(
    task: &LanguageTask,
    model: &Dragon,
    config: &LanguageConfig,
    total_steps: u64,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut carry = task.carry(model)?;
    let out = task.loss(
        model,
        task.batch(0, 0, &mut carry)?,
        &mut carry,
        LossContext {
            dropout_seed: 0,
            watch: false,
        },
    )?;
    let loss = out.value.clone().into_scalar::<f64>();
    drop(out.value.backward());
    let seconds = started.elapsed().as_secs_f64() * f64::from(config.training.accumulate);
    output.say(&format!(
        "one step: loss {loss:.3}, {seconds:.2} s; {total_steps} steps would take about {:.0} minutes",
        seconds * total_steps as f64 / 60.0
    ));
    if output.json {
        print_json(&json!({
            "train_loss": loss,
            "steps": total_steps,
            "seconds_per_step": seconds,
            "bytes_per_step": task.bytes_per_step(),
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
) -> anyhow::Result<()> {
    let text = toml::to_string(config).context("cannot write the configuration as TOML")?;
    write_atomic(&run.config(), text.as_bytes())?;
    task.corpus().tokenizer.spec().save(&run.tokenizer())?;
    let device = format!("{:?}", selected.device);
    let mut info = match RunInfo::load(&run.run_json()) {
        Ok(info) => info,
        Err(_) => RunInfo::now(selected.name, &device, config.training.seed),
    };
    if let (Some(folder), _) = Checkpoints::new(run.checkpoints()).newest_verified()? {
        info.resumed(folder.step());
    }
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
    let bits = |metrics: &burn_dragon::api::train::Metrics| {
        metrics.get("bits_per_byte").copied().unwrap_or(f64::NAN)
    };
    output.say(&format!(
        "  bits per byte  {:.3} before, {:.3} after {} tokens{} in {:.0} s ({:.0} tokens a second)",
        bits(&outcome.before.metrics),
        bits(&after.metrics),
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
            " --prompt \"Hugo sold Dora a lilac key. Mira wore a tan cap. Later Dora thanked Hugo for the\""
        }
        false => "",
    };
    format!("{dragon} generate {}{prompt}", run.path().display())
}

fn summary(run: &RunFolder, outcome: &Outcome) -> serde_json::Value {
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
        "train_loss": outcome.train_loss,
        "val_loss": after.map(|after| after.loss),
        "val_bits_per_byte": metric("bits_per_byte"),
        "tokens_per_second": outcome.units_per_second,
        "seconds": outcome.seconds,
        "checkpoints": outcome.saving.checkpoints,
        "checkpoint_seconds_blocked": outcome.saving.blocked_seconds,
        "checkpoint_seconds_writing": outcome.saving.writing_seconds,
        "val_bits_per_byte_reset": metric("reset_bits_per_byte"),
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
