//! `export_burnpack`: a checkpoint's model as one self-describing file.

use crate::args::ExportArgs;
use crate::exit::{BadInput, Usage};
use anyhow::Context;
use burn_dragon::api::checkpoint::{ModelPath, Which};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, or the file not written.
pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let which = args.epoch.map_or(Which::Last, Which::Step);
    let loaded = ModelPath {
        path: args.checkpoint.clone(),
        which,
        official_config: None,
    }
    .load()?;
    if let Some(reason) = loaded.passed_over.first() {
        // What is given to others should be what was meant, or nothing.
        return Err(BadInput(format!("{reason}; export another step with --epoch")).into());
    }
    let output = match (&args.output, &loaded.run) {
        (Some(output), _) => output.clone(),
        (None, Some(run)) => run.join("deploy").join("model.bpk"),
        (None, None) => {
            return Err(Usage("the checkpoint is not in a run: say where with --output FILE".into()).into());
        }
    };
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let (config, step) = (loaded.model.config.clone(), loaded.model.info.step);
    loaded.model.write(&output)?;
    show!(
        "{}: step {step}, {} parameters",
        output.display(),
        config.cost().parameters()
    );
    Ok(ExitCode::SUCCESS)
}
