//! `dragon bench`: figures that belong together, for whatever shape and weights were asked for.

use crate::support::{Place, text};
use burn_dragon::api::core::DragonConfig;
use serde_json::Value;

/// A model whose steps take a millisecond.
const SHAPE: &[&str] = &[
    "--levels",
    "2",
    "--d-model",
    "16",
    "--heads",
    "2",
    "--neurons",
    "64",
];

fn bench(place: &Place, what: &str, shape: &[&str], more: &[&str]) -> Value {
    let answer = place
        .dragon(&[&["bench", what, "--json"], shape, more].concat())
        .done();
    assert!(answer.stderr.contains("machine"), "{}", answer.stderr);
    answer.json()
}

fn number(figures: &Value, key: &str) -> f64 {
    let number = figures[key].as_f64();
    number.unwrap_or_else(|| panic!("`{key}` is not a number in {figures}"))
}

/// What every bench tells agrees with itself.
#[track_caller]
fn assert_sound(figures: &Value, unit: &str, tokens: f64) {
    let seconds = number(figures, &format!("seconds_per_{unit}"));
    assert!(seconds > 0.0 && number(figures, &format!("best_seconds_per_{unit}")) <= seconds);
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
    assert!(
        close(number(figures, "tokens_per_second"), tokens / seconds),
        "{figures}"
    );
    let peak = number(&figures["machine"], "flops_per_second");
    assert!(close(
        number(figures, "peak_share"),
        number(figures, "flops_per_second") / peak
    ));
    let bandwidth = number(figures, "working_set_bytes_per_second");
    assert!(close(
        number(figures, "bandwidth_share"),
        number(figures, "bytes_per_second") / bandwidth
    ));
    for key in ["memory_bytes_per_second", "cache_bytes_per_second", "threads"] {
        assert!(number(&figures["machine"], key) > 0.0);
    }
    for key in ["x_density", "pair_density", "y_density"] {
        assert!((0.0..=1.0).contains(&number(figures, key)), "{figures}");
    }
    for key in ["date", "version", "precision", "weights"] {
        assert!(figures[key].is_string(), "`{key}` is missing in {figures}");
    }
}

/// What `Cost::training_bytes` says beside what steps add to a process that has taken tiny ones.
#[test]
#[cfg(target_os = "linux")]
fn a_step_takes_the_memory_that_is_announced() {
    let place = Place::new();
    let taken = |c: &DragonConfig, lanes: usize, tokens: usize| {
        let sizes =
            [c.n_levels, c.d_model, c.n_heads, c.n_neurons, lanes, tokens].map(|size| size.to_string());
        let names = [
            "--levels",
            "--d-model",
            "--heads",
            "--neurons",
            "--batch",
            "--time",
        ];
        let shape: Vec<&str> = names
            .into_iter()
            .zip(&sizes)
            .flat_map(|(name, size)| [name, size.as_str()])
            .collect();
        number(
            &bench(&place, "train", &shape, &["--steps", "2"]),
            "peak_memory_bytes",
        )
    };
    let shape = |n_levels, d_model, n_heads, n_neurons| DragonConfig {
        vocab_size: 256,
        n_levels,
        d_model,
        n_heads,
        n_neurons,
        ..DragonConfig::tiny()
    };
    let process = taken(&shape(1, 16, 2, 64), 1, 8);
    // Most of it for weights, for what levels keep, and for the buffers of windows.
    for (config, lanes, tokens) in [
        (shape(2, 256, 4, 8192), 1, 16),
        (shape(8, 64, 8, 512), 8, 128),
        (shape(2, 64, 2, 8192), 1, 512),
    ] {
        let said = config.cost().training_bytes(lanes, tokens) as f64;
        let taken = taken(&config, lanes, tokens) - process;
        assert!(
            (0.6..1.6).contains(&(said / taken)),
            "{config:?}: said {said:e}, taken {taken:e}"
        );
    }
}

#[test]
fn steps_of_training_are_timed_and_learn() {
    let place = Place::new();
    let more = ["--batch", "2", "--time", "16", "--steps", "3", "--threads", "1"];
    let figures = bench(&place, "train", SHAPE, &more);
    assert_sound(&figures, "step", 32.0);
    assert_eq!((&figures["threads"], &figures["rounds"]), (&1.into(), &3.into()));
    // Projections and readout of a token are 2 levels x 6 n D + 2 D V, its read 2 levels x T (n + D H).
    let flops = 3.0 * 32.0 * (2.0 * (6.0 * 64.0 * 16.0 + 16.0 * (64.0 + 32.0)) + 2.0 * 16.0 * 256.0);
    let seconds = number(&figures, "seconds_per_step");
    assert!((number(&figures, "flops_per_second") * seconds / flops - 1.0).abs() < 1e-9);
    let losses: Vec<f64> = figures["loss"]
        .as_array()
        .unwrap()
        .iter()
        .map(|loss| loss.as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 5);
    assert!(losses[4] < losses[0], "{losses:?}");
    assert_eq!(place.names(), Vec::<String>::new(), "it leaves nothing behind");
}

#[test]
fn a_share_of_the_bf16_peak_is_told_of_bf16_steps_alone() {
    let place = Place::new();
    let share = |precision: &str| {
        let more = [
            "--batch",
            "1",
            "--time",
            "8",
            "--steps",
            "1",
            "--precision",
            precision,
        ];
        let figures = bench(&place, "train", SHAPE, &more);
        let peak = figures["machine"]["bf16_flops_per_second"].as_f64();
        let expected = peak.map(|peak| number(&figures, "flops_per_second") / peak);
        (figures["bf16_peak_share"].as_f64(), expected)
    };
    let (told, expected) = share("bf16");
    assert_eq!(told.is_some(), expected.is_some());
    if let (Some(told), Some(expected)) = (told, expected) {
        assert!((told / expected - 1.0).abs() < 1e-9, "{told} {expected}");
    }
    assert_eq!(share("f32").0, None);
}

#[test]
fn auto_is_for_training_and_the_precision_it_took_is_told() {
    let place = Place::new();
    let more = [
        "--batch",
        "1",
        "--time",
        "8",
        "--steps",
        "1",
        "--precision",
        "auto",
    ];
    let answer = place
        .dragon(&[&["bench", "train", "--json"], SHAPE, &more].concat())
        .done();
    let precision = answer.json()["precision"].as_str().unwrap().to_string();
    assert!(["f32", "bf16"].contains(&precision.as_str()), "{precision}");
    let line = format!("precision {precision} (auto: ");
    assert!(answer.stderr.contains(&line), "{}", answer.stderr);
    for what in ["prefill", "decode", "kernels"] {
        let refused = place.dragon(&["bench", what, "--precision", "auto"]);
        refused.refused(2, &["auto", "f32 or bf16"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_larger_batch_is_larger() {
    let place = Place::new();
    let memory = |batch: &str| {
        let more = ["--batch", batch, "--time", "128", "--steps", "1"];
        number(&bench(&place, "train", SHAPE, &more), "peak_memory_bytes")
    };
    assert!(memory("64") > memory("1") + 64.0 * 128.0 * 256.0 * 4.0);
}

#[test]
fn random_weights_are_as_sparse_as_asked_and_bytes_follow() {
    let place = Place::new();
    let shape = [
        "--levels",
        "2",
        "--d-model",
        "32",
        "--heads",
        "2",
        "--neurons",
        "512",
    ];
    let decode = |density: &str| {
        let more = ["--density", density, "--context", "100000", "--tokens", "3"];
        bench(&place, "decode", &shape, &more)
    };
    for density in [0.1, 0.5] {
        let figures = decode(&density.to_string());
        assert_sound(&figures, "token", 1.0);
        let share = |key| number(&figures, key);
        assert!((share("x_density") - density).abs() < 0.03, "{figures}");
        let active = 1.0 + 2.0 * share("pair_density") + share("x_density") + share("y_density");
        let bytes = 4.0 * (2.0 * 512.0 * 32.0 * active + 32.0 * 256.0);
        let moved = share("bytes_per_second") * share("seconds_per_token");
        assert!((moved / bytes - 1.0).abs() < 1e-9, "{moved} {bytes}");
        assert_eq!(
            (&figures["context"], &figures["context_read"]),
            (&100_000.into(), &2048.into())
        );
    }
}

#[test]
fn a_trained_model_is_measured_on_a_text() {
    let place = Place::trained();
    place.write(
        "tale.txt",
        "Mira hid the copper key under the old bridge. ".repeat(8),
    );
    for what in ["train", "prefill", "decode", "kernels"] {
        let small: &[&str] = match what {
            "decode" => &["--context", "40", "--tokens", "3", "--batch", "2"],
            "prefill" => &["--tokens", "40", "--steps", "1"],
            _ => &["--batch", "2", "--time", "16", "--steps", "1"],
        };
        let model = ["--weights", "run", "--text", "tale.txt"];
        let figures = bench(&place, what, &model, small);
        assert_eq!(
            (&figures["d_model"], &figures["neurons"]),
            (&16.into(), &64.into()),
            "{what}"
        );
        assert_eq!(figures["weights"], "trained for 12 steps");
        assert!(figures["reads"].as_str().unwrap().contains("text"), "{figures}");
    }
}

#[test]
fn both_forms_read_a_prompt() {
    let place = Place::new();
    for form in ["parallel", "chunked"] {
        let more = ["--tokens", "33", "--batch", "2", "--form", form, "--steps", "2"];
        let figures = bench(&place, "prefill", SHAPE, &more);
        assert_sound(&figures, "prompt", 66.0);
        assert_eq!(figures["form"], form);
    }
}

#[test]
fn the_parts_of_a_level_are_timed_one_by_one() {
    let place = Place::new();
    let figures = bench(
        &place,
        "kernels",
        SHAPE,
        &["--batch", "2", "--time", "16", "--steps", "2"],
    );
    assert_sound(&figures, "level", 32.0);
    let parts = figures["parts"].as_array().unwrap();
    let flops = |name: &str| {
        let part = parts.iter().find(|part| part["name"] == name).unwrap();
        number(part, "flops")
    };
    assert_eq!(flops("v decoder_x"), 2.0 * 32.0 * 16.0 * 64.0);
    assert_eq!(flops("q q^T"), 2.0 * 2.0 * 16.0 * 16.0 * 64.0);
    assert_eq!(flops("level backward"), 2.0 * flops("level forward"));
}

#[test]
fn a_person_is_told_the_machine_the_rounds_and_the_result() {
    let place = Place::new();
    let more = ["bench", "train", "--batch", "1", "--time", "8", "--steps", "2"];
    let answer = place.dragon(&[&more, SHAPE].concat()).done();
    for part in ["FLOP/s f32", "read from memory", "1/2", "2/2"] {
        assert!(
            answer.stderr.contains(part),
            "`{part}` is not in: {}",
            answer.stderr
        );
    }
    for part in ["2 levels, width 16", "tokens/s", "f32 peak", "density"] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_reason() {
    let place = Place::new();
    let refused = |arguments: &[&str], says: &[&str]| {
        place.dragon(&[&["bench"], arguments].concat()).refused(2, says);
    };
    refused(
        &["decode", "--density", "1.5"],
        &["--density 1.5", "between 0 and 1"],
    );
    refused(
        &["train", "--neurons", "100", "--heads", "3"],
        &["100", "multiple of 6"],
    );
    refused(&["train", "--steps", "0"], &["--steps", "at least 1"]);
    refused(
        &["decode", "--weights", "run", "--levels", "2"],
        &["--weights", "--levels"],
    );
    place.write("empty.txt", "");
    let nothing = text(place.path("empty.txt"));
    assert_ne!(
        place.dragon(&["bench", "decode", "--text", &nothing]).code,
        Some(0)
    );
}
