//! `dragon eval` of a model that is not one of language: the figures at the end of its run, with their controls.

use super::show;
use crate::args::EvalArgs;
use crate::exit::Usage;
use crate::families;
use burn_dragon::api::checkpoint::ModelKind;
use burn_dragon::api::core::{Precision, SelectedBackend};
use burn_dragon::api::exchange::LoadedModel;
use burn_dragon::api::language::LANGUAGE;
use burn_dragon_train::api::{EvalRequest, Output};
use serde_json::json;

/// Whether models of this family are evaluated here, not as models of language.
pub(super) fn is_other(family: &str) -> bool {
    family != LANGUAGE.family()
}

/// Evaluates a model on the held-out data of its run.
///
/// # Errors
/// If an option of language models was typed, the model is not in a run, or its family cannot evaluate it.
pub(super) fn run(args: &EvalArgs, loaded: LoadedModel, selected: SelectedBackend) -> anyhow::Result<()> {
    let family = families::named(Some(&loaded.model.family))?;
    refuse_options(args, family.name)?;
    let Some(run) = loaded.run else {
        return Err(Usage(format!(
            "{} is not in a run folder, so its held-out data is not known; give the folder of its run, or one of the \
             run's checkpoints",
            loaded.file.display()
        ))
        .into());
    };
    let mut evaluated = (family.eval)(&EvalRequest {
        run,
        model: loaded.file,
        device: selected.device,
        output: Output::detect(false, args.json),
    })?;
    let step = json!(loaded.model.info.step);
    evaluated.object.insert("step".into(), step);
    show(args, &evaluated.object, &evaluated.lines)
}

/// Refuses what only the evaluation of language models has.
fn refuse_options(args: &EvalArgs, family: &str) -> Result<(), Usage> {
    let data = args.data.as_deref().map(|data| format!("DATA ({data})"));
    let option = |name: &str, typed: bool| typed.then(|| name.to_string());
    let typed = [
        data,
        option("--block-size", args.block_size.is_some()),
        option("--memory", args.memory.is_some()),
        option("--by-position", args.by_position),
        option("--needle", args.needle),
        option("--suite", args.suite),
        option("--precision bf16", args.precision == Precision::Bf16),
    ];
    let Some(typed) = typed.into_iter().flatten().next() else {
        return Ok(());
    };
    Err(Usage(format!(
        "{typed} is for language models; a model of the family `{family}` is evaluated on the held-out data of its run: \
         `dragon eval RUN`, with --step, --best, --backend or --json"
    )))
}
