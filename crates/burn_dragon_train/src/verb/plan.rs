//! Implementation of `dragon plan`, for every family: the forecast of a run, on each backend that is there.

use super::{Resumption, RunRequest, refuse_early};
use crate::config::Resolved;
use crate::error::TrainError;
use crate::family::{At, Family};
use crate::forecast::{Counts, MemoryForecast, TimeForecast, common_lines, lines_of_backend};
use crate::progress::Output;
use crate::pulse::Pulse;
use crate::task::Task;
use burn_dragon_core::api::{Backend, FreeMemory, SelectedBackend};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Forecast on one backend.
#[derive(Serialize)]
struct OfBackend {
    backend: &'static str,
    device: String,
    precision: String,
    memory: MemoryForecast,
    time: Option<TimeForecast>,
}

/// Plans a run of a family. Returns the JSON result, if it was asked for.
///
/// # Errors
/// As [`run`](super::run), before its first step.
pub fn plan<F: Family>(request: &RunRequest) -> Result<Option<Value>, TrainError> {
    let output = Output::detect(false, request.json);
    let resumption = match &request.resume {
        Some(run) => Some(Resumption::open::<F>(run, request.accept_changed_data)?),
        None => None,
    };
    let resolved = request.resolve::<F>(resumption.as_ref())?;
    if let Some(resumption) = &resumption {
        resumption.check_settings::<F>(&resolved.value)?;
    }
    let mut common = None;
    let mut backends = Vec::new();
    for selected in selected(request.backend)? {
        refuse_early::<F>(request, &resolved, resumption.as_ref(), &selected)?;
        let told = common.is_some();
        let (counts, of) = on::<F>(request, &resolved, resumption.as_ref(), &selected, output, told)?;
        common = Some(counts);
        backends.push(of);
    }
    let mut all = json!({ "family": F::NAME, "first": request.is_first() });
    if let (Some(object), Some(Value::Object(counts))) = (all.as_object_mut(), common) {
        object.extend(counts);
    }
    all["backends"] = serde_json::to_value(backends).map_err(TrainError::Json)?;
    Ok(request.json.then_some(all))
}

/// Backends that are there; the one that was asked for, if one was.
fn selected(asked: Backend) -> Result<Vec<SelectedBackend>, TrainError> {
    if asked != Backend::Auto {
        return Ok(vec![asked.select()?]);
    }
    let mut found = vec![Backend::Cpu.select()?];
    found.extend(
        [Backend::Wgpu, Backend::Cuda]
            .into_iter()
            .filter_map(|backend| backend.select().ok()),
    );
    Ok(found)
}

/// Forecast on a backend: the counts, and what depends on the machine.
fn on<F: Family>(
    request: &RunRequest,
    resolved: &Resolved<F::Config>,
    resumption: Option<&Resumption>,
    selected: &SelectedBackend,
    output: Output,
    told: bool,
) -> Result<(Value, OfBackend), TrainError> {
    let here = std::env::current_dir().map_err(TrainError::file("find", Path::new(".")))?;
    let device = selected.device.clone().autodiff();
    let (mut config, started) = (resolved.value.clone(), Instant::now());
    let mut task = F::task(
        &mut config,
        &At {
            device: &device,
            folder: &here,
            output,
            resumption,
            initial: request.initial.as_ref(),
            origins: Some(&|key| resolved.origin(key)),
        },
    )?;
    let data = started.elapsed().as_secs_f64();
    let plan = F::plan(&config);
    let done = resumption.map(Resumption::done).unwrap_or_default();
    let counts = Counts::new(&task, &plan, done, &request.place(resumption))?;
    task.check_memory(FreeMemory::of_this_machine())?;
    counts.disk.check()?;
    if !told {
        super::introduce::<F>(&task, output);
        common_lines(&counts, task.unit())
            .iter()
            .for_each(|line| output.say(line));
    }
    let memory = MemoryForecast::new(&task, &plan, &counts);
    let pulse = Pulse::start(
        output,
        "measuring the speed of the machine on a slice of the model",
    );
    let time = TimeForecast::measure(&mut task, &plan, &counts.course, &device, data)?;
    drop(pulse);
    let memory = match &time {
        // The memory of another device is not that of the process.
        Some(time) if selected.name == "cpu" => {
            let cut = time.slice != time.whole;
            let slices = cut.then(|| MemoryForecast::of_slices(&task, &plan));
            memory.corrected(FreeMemory::of_this_machine().most_held(), slices)
        }
        _ => memory,
    };
    lines_of_backend(selected.name, &counts, &memory, time.as_ref())
        .iter()
        .for_each(|line| output.say(line));
    if request.is_first() {
        output.say(&format!(
            "note   `train` without a setting takes as many of these steps as fit into {} minutes",
            F::BASE.minutes
        ));
    }
    let of = OfBackend {
        backend: selected.name,
        device: format!("{:?}", selected.device),
        precision: plan.training.precision.to_string(),
        memory,
        time,
    };
    Ok((serde_json::to_value(counts).map_err(TrainError::Json)?, of))
}
