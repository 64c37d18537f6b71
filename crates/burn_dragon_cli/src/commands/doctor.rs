//! `dragon doctor`: the program, the machine, and what a run would need of it.

mod disk;

use super::bench::{bytes, rate};
use super::{commit, print_json};
use crate::args::DoctorArgs;
use burn_dragon::api::core::{Backend, FreeMemory};
use burn_dragon::api::kernel::{UnknownInstructions, machine};
use burn_dragon_train::api::RunInfo;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// Bytes of the buffer that stands for memory: more than the last cache of most machines.
const MEMORY: usize = 256 << 20;
/// Free memory below which the default run may not fit.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Finding about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    about: &'static str,
    verdict: Verdict,
    said: String,
}

/// Verdict of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It works, but slower or less safely than it could.
    Note,
    /// A run would fail.
    Problem,
}

/// Runs the verb. The exit code is 1 if a run would fail.
///
/// # Errors
/// If the result cannot be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut findings = vec![program(), processor(), speed(), memory()];
    findings.extend([Backend::Cpu, Backend::Wgpu, Backend::Cuda].map(backend));
    findings.extend(disk::findings(&args.runs));
    for Finding { about, verdict, said } in &findings {
        let mark = match verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        if !args.json {
            show!("{mark:<8} {about:<11} {said}");
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Problem);
    if args.json {
        print_json(&json!({ "sound": !failed, "findings": findings }))?;
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Finding {
    fn new(about: &'static str, verdict: Verdict, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { about, verdict, said }
    }
}

fn program() -> Finding {
    let commit = commit().map_or_else(
        || "of an unknown commit".into(),
        |commit| format!("of commit {commit}"),
    );
    let version = env!("CARGO_PKG_VERSION");
    match cfg!(debug_assertions) {
        true => Finding::new(
            "program",
            Verdict::Note,
            format!("burn_dragon {version} {commit}, built without --release: it computes more slowly"),
        ),
        false => Finding::new("program", Verdict::Ok, format!("burn_dragon {version} {commit}")),
    }
}

fn processor() -> Finding {
    let name = RunInfo::now("language", "cpu", "", 0).cpu;
    let (name, threads) = (
        name.unwrap_or_else(|| "an unnamed processor".into()),
        machine::threads(),
    );
    Finding::new("processor", Verdict::Ok, format!("{name}, {threads} threads"))
}

fn speed() -> Finding {
    match measured_speed() {
        Ok(said) => Finding::new("speed", Verdict::Ok, said),
        Err(error) => Finding::new("speed", Verdict::Note, format!("not measured: {error}")),
    }
}

fn measured_speed() -> Result<String, UnknownInstructions> {
    let threads = machine::threads();
    let peak = machine::peak_flops(threads)?;
    let mut said = format!(
        "{} f32 ({})",
        rate(peak.flops_per_second, "FLOP/s"),
        peak.instructions
    );
    if let Some(bf16) = machine::peak_bf16_flops(threads)? {
        let (flops, instructions) = (rate(bf16.flops_per_second, "FLOP/s"), bf16.instructions);
        said.push_str(&format!(", {flops} bf16 ({instructions})"));
    }
    let memory = rate(machine::read_bandwidth(MEMORY, threads)?, "B/s");
    Ok(format!("{said}, {memory} read from memory; measured now"))
}

fn memory() -> Finding {
    let free = FreeMemory::of_this_machine().free();
    let verdict = if free < LITTLE_MEMORY {
        Verdict::Note
    } else {
        Verdict::Ok
    };
    Finding::new(
        "memory",
        verdict,
        format!("{} free for this process", bytes(free)),
    )
}

/// A backend that is not there is no problem: the processor always is.
fn backend(asked: Backend) -> Finding {
    let about = match asked {
        Backend::Wgpu => "wgpu",
        Backend::Cuda => "cuda",
        Backend::Cpu | Backend::Auto => "cpu",
    };
    match asked.select() {
        Ok(selected) => Finding::new(about, Verdict::Ok, format!("{:?}", selected.device)),
        Err(error) if asked == Backend::Cpu => Finding::new(about, Verdict::Problem, error.to_string()),
        Err(error) => Finding::new(about, Verdict::Note, error.to_string()),
    }
}
