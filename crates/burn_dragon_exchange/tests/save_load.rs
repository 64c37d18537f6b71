//! How long the paper-size model takes to be saved and loaded, and how much memory. A measurement, not a check:
//! `scripts/save_load.py` runs it beside PyTorch and safetensors.

#![allow(clippy::unwrap_used, reason = "a measurement stops where it fails")]

use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::{ModelFile, ModelInfo};
use burn_dragon_core::api::{DragonConfig, TensorShape};
use burn_dragon_exchange::api::{OfficialConfig, read_safetensors, read_torch, write_safetensors};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The 25 M parameters of the official default.
fn model() -> ModelFile {
    let config = DragonConfig::paper();
    let mut state = 1u64;
    let mut value = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut tensor = |TensorShape { name, shape }| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
        (name, TensorData::new(values, shape))
    };
    let tensors = config.tensors().into_iter().map(&mut tensor).collect();
    ModelFile::new("language", &config, ModelInfo::default(), tensors).unwrap()
}

/// Resident memory now and at its highest since it was last reset, bytes; nothing where the system does not tell.
fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let of = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
    };
    Some((of("VmRSS")?, of("VmHWM")?))
}

/// Does something five times; prints the median of its seconds and what it took of memory beyond what was there.
fn measure<T>(name: &str, bytes: impl Fn() -> u64, mut action: impl FnMut() -> T) {
    let (mut seconds, mut peak) = (Vec::new(), 0);
    for _ in 0..5 {
        let _ = std::fs::write("/proc/self/clear_refs", "5"); // the highest is from now on
        let before = memory();
        let start = Instant::now();
        let result = action();
        seconds.push(start.elapsed().as_secs_f64());
        if let (Some((before, _)), Some((_, highest))) = (before, memory()) {
            peak = peak.max(highest.saturating_sub(before));
        }
        drop(result);
    }
    seconds.sort_by(f64::total_cmp);
    println!(
        r#"{{"what":"{name}","seconds":{:.4},"peak_bytes":{peak},"file_bytes":{}}}"#,
        seconds[2],
        bytes()
    );
}

/// One round of `scripts/save_load.py --rounds N`: the file of which the script says the path, written if it is not there.
#[test]
#[ignore = "a measurement: scripts/save_load.py"]
fn one_round_of_loading() {
    let Some(path) = std::env::var_os("DRAGON_LOAD").map(PathBuf::from) else {
        return;
    };
    if !path.exists() {
        model().write(&path).unwrap();
    }
    let size = || std::fs::metadata(&path).unwrap().len();
    measure("burn_dragon load .bpk", size, || ModelFile::read(&path).unwrap());
}

#[test]
#[ignore = "a measurement: scripts/save_load.py"]
fn of_the_paper_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let (bpk, safetensors) = (path("model.bpk"), path("model.safetensors"));
    let model = model();
    measure(
        "burn_dragon save .bpk",
        || size(&bpk),
        || model.write(&bpk).unwrap(),
    );
    measure(
        "burn_dragon save .safetensors",
        || size(&safetensors),
        || write_safetensors(&model, &safetensors).unwrap(),
    );
    let hash = model.hash();
    drop(model);
    measure(
        "burn_dragon load .bpk",
        || size(&bpk),
        || ModelFile::read(&bpk).unwrap(),
    );
    measure(
        "burn_dragon load .safetensors",
        || size(&safetensors),
        || read_safetensors(&safetensors, None).unwrap(),
    );
    assert_eq!(ModelFile::read(&bpk).unwrap().hash(), hash);
    assert_eq!(read_safetensors(&safetensors, None).unwrap().model.hash(), hash);
    // What PyTorch saved, where the script says so.
    if let Some(pt) = std::env::var_os("DRAGON_SAVED_PT").map(PathBuf::from) {
        let config = OfficialConfig::read(&pt.with_file_name("config.json")).unwrap();
        measure(
            "burn_dragon import .pt",
            || size(&pt),
            || read_torch(&pt, Some(&config)).unwrap(),
        );
    }
}
