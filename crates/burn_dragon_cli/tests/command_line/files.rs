//! `dragon convert`, `inspect`, `verify`, `diff`.

use crate::support::{Place, checkpoint, fixtures, flip_a_byte, tensor, text, write_i32};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The verdicts of `dragon verify --json`, failed ones with what they say.
fn failures(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let failed = checks.filter(|check| check["verdict"] == "failed");
    failed
        .map(|check| {
            ["file", "what", "detail"]
                .map(|key| check[key].as_str().unwrap())
                .join(" ")
        })
        .collect()
}

fn verify(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let answer = place.dragon(&[&["verify", "--json"], arguments].concat());
    (answer.code, answer.json())
}

#[track_caller]
fn assert_unsound(place: &Place, arguments: &[&str], says: &[&str]) {
    let (code, report) = verify(place, arguments);
    assert_eq!(code, Some(3), "{report}");
    assert_eq!(report["sound"], false);
    let failures = failures(&report).join("\n");
    for part in says {
        assert!(failures.contains(part), "`{part}` is not in: {failures}");
    }
}

#[test]
fn a_model_goes_to_official_weights_and_back_without_a_change() {
    let place = Place::trained();
    place.dragon(&["convert", "run", "official.safetensors"]).done();
    let back = place
        .dragon(&["convert", "official.safetensors", "again.bpk", "--json"])
        .done()
        .json();
    assert_eq!((&back["step"], &back["parameters"]), (&12.into(), &11264.into()));
    for other in ["official.safetensors", "again.bpk", "run/checkpoint/step-000012"] {
        let report = place.dragon(&["diff", "run", other, "--json"]).done().json();
        assert_eq!(report["difference"]["equal"], true, "{report}");
        assert_eq!(report["difference"]["info"].as_array().unwrap().len(), 0);
        assert_eq!(report["hashes"][0], back["model"]);
    }
    // What writes from the run writes from the file alone, with its tokenizer and without a configuration.
    let generate = |model: &str| {
        let words = [
            "generate",
            model,
            "--prompt",
            "Hugo",
            "--temperature",
            "0",
            "--max-tokens",
            "20",
        ];
        place.dragon(&words).done().stdout
    };
    assert_eq!(generate("official.safetensors"), generate("run"));
}

#[test]
fn what_is_there_is_not_overwritten_unless_told_so() {
    let place = Place::trained();
    place.write("there.bpk", "mine");
    let convert = ["convert", "run", "there.bpk"];
    place.dragon(&convert).refused(1, &["there.bpk", "--force"]);
    assert_eq!(std::fs::read(place.path("there.bpk")).unwrap(), b"mine");
    place.dragon(&[&convert[..], &["--force"]].concat()).done();
    place.dragon(&["verify", "there.bpk"]).done();
    // Onto itself, whole or not at all.
    place
        .dragon(&["convert", "there.bpk", "there.bpk", "--force"])
        .done();
    place.dragon(&["diff", "run", "there.bpk"]).done();
}

#[test]
fn a_file_is_written_as_its_ending_says_and_no_other_way() {
    let place = Place::trained();
    for name in ["model.pt", "model", "model.bin"] {
        place
            .dragon(&["convert", "run", name])
            .refused(2, &[name, ".bpk or .safetensors"]);
        assert!(!place.path(name).exists());
    }
    place
        .train(&["model.decay={type=\"standard\"}", "--out", "fading"])
        .done();
    let fading = place.dragon(&["convert", "fading", "fading.safetensors"]);
    fading.refused(1, &["fading.safetensors", "decays", ".bpk"]);
    assert!(!place.path("fading.safetensors").exists());
    place.dragon(&["convert", "fading", "fading.bpk"]).done();
}

#[test]
fn a_damaged_checkpoint_is_not_converted_but_the_one_that_is_asked_for_is() {
    let place = Place::trained();
    flip_a_byte(&checkpoint(&place.path("run"), 12).join("model.bpk"));
    place
        .dragon(&["convert", "run", "out.bpk"])
        .refused(3, &["blake3", "--step"]);
    place.dragon(&["diff", "run", "run"]).refused(3, &["blake3"]);
    place
        .dragon(&["convert", "run", "out.bpk", "--step", "10"])
        .done();
}

#[test]
fn a_pickle_is_read_by_the_import_alone() {
    let place = Place::new();
    place.write("weights.pt", "not even a pickle");
    place.write("weights.bpk", b"PK\x03\x04 a zip under another name");
    for file in ["weights.pt", "weights.bpk"] {
        for words in [
            &["info", file][..],
            &["generate", file, "--prompt", "a"],
            &["verify", file],
            &["diff", file, file],
        ] {
            place
                .dragon(words)
                .refused(3, &["PyTorch pickle", "dragon convert", file]);
        }
        place
            .dragon(&["convert", file, "out.bpk"])
            .refused(3, &[file, "corrupt"]);
        place.dragon(&["inspect", file]).refused(3, &[file, "corrupt"]);
    }
    assert!(!place.path("out.bpk").exists());
}

#[test]
fn official_files_come_in_and_give_the_official_logits() {
    for name in ["tiny", "small", "paper_init"] {
        let Some(folder) = fixtures(name) else { continue };
        let place = Place::new();
        let file = |name: &str| text(folder.join(name));
        let (meta, legacy) = (file("meta.json"), file("weights_compiled_legacy.pt"));
        place
            .dragon(&["convert", &legacy, "out.bpk"])
            .refused(2, &["--model-config"]);
        let convert = [
            "convert",
            &legacy,
            "legacy.bpk",
            "--model-config",
            &meta,
            "--json",
        ];
        let answer = place.dragon(&convert).done();
        let notes = answer.json()["notes"].to_string();
        assert!(
            notes.contains("lm_gate") && notes.contains("_orig_mod."),
            "{notes}"
        );
        assert!(answer.stderr.contains("note: "), "{}", answer.stderr);
        for (from, to) in [
            (file("weights.pt"), "plain.safetensors"),
            (file("weights.safetensors"), "other.bpk"),
        ] {
            place
                .dragon(&["convert", &from, to, "--model-config", &meta])
                .done();
            place.dragon(&["diff", "legacy.bpk", to]).done();
        }
        place.dragon(&["verify", "plain.safetensors", "--deep"]).done();
        let forward = [
            "forward",
            "plain.safetensors",
            &file("expected.safetensors"),
            "--out",
            "logits.safetensors",
        ];
        place.dragon(&forward).done();
        let read = |path: &Path| tensor(path, "logits", f32::from_le_bytes).1;
        let (ours, official) = (
            read(&place.path("logits.safetensors")),
            read(&folder.join("expected.safetensors")),
        );
        let apart = ours
            .iter()
            .zip(&official)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart <= 1e-5, "{name}: {apart:e}");
    }
}

#[test]
fn a_configuration_of_another_convention_is_refused_by_its_key() {
    let place = Place::trained();
    place.dragon(&["convert", "run", "official.safetensors"]).done();
    place.write("config.json", r#"{"n_layer":2,"rope_style":"half_split"}"#);
    let words = [
        "convert",
        "official.safetensors",
        "out.bpk",
        "--model-config",
        "config.json",
    ];
    place
        .dragon(&words)
        .refused(3, &["config.json", "rope_style", "half_split"]);
    place.write("config.json", r#"{"n_embd":16}"#);
    place
        .dragon(&words)
        .refused(3, &["config.json", "n_layer", "n_head", "vocab_size"]);
}

#[test]
fn inspect_shows_tensors_with_statistics_and_what_a_file_says_of_itself() {
    let place = Place::trained();
    let report = place.dragon(&["inspect", "run", "--json"]).done().json();
    let files = report["files"].as_array().unwrap();
    let names: Vec<String> = files.iter().map(|file| file["file"].to_string()).collect();
    assert!(
        names.len() == 2 && names[0].contains("model.bpk") && names[1].contains("optimizer.bpk"),
        "{names:?}"
    );
    assert_eq!(files[0]["tensors"].as_array().unwrap().len(), 5);
    assert_eq!(files[1]["tensors"].as_array().unwrap().len(), 10);
    assert!(
        files[0]["metadata"]["config"]
            .as_str()
            .unwrap()
            .contains("\"n_levels\":2")
    );
    for tensor in files[0]["tensors"].as_array().unwrap() {
        let number = |key: &str| tensor["statistics"][key].as_f64().unwrap();
        assert!(
            number("min") < number("mean") && number("mean") < number("max"),
            "{tensor}"
        );
        assert!(number("std") > 0.0 && number("non_finite") == 0.0, "{tensor}");
    }
    let person = place.dragon(&["inspect", "run"]).done().stdout;
    for part in [
        "decoder_x",
        "[4, 16, 16]",
        "f32",
        "embed.first",
        "burn_dragon.adamw/1",
    ] {
        assert!(person.contains(part), "`{part}` is not in: {person}");
    }
    place.dragon(&["inspect", "nowhere"]).refused(1, &["nowhere"]);
    write_i32(&place.path("ids.safetensors"), "tokens", &[1, 2], [1, 2]);
    let ids = place
        .dragon(&["inspect", "ids.safetensors", "--json"])
        .done()
        .json();
    assert_eq!(ids["files"][0]["tensors"][0]["statistics"], Value::Null);
}

#[test]
fn a_stranger_cannot_speak_to_the_terminal() {
    let place = Place::new();
    let header = r#"{"__metadata__":{"note":"\u001b[2Jgone"}}"#;
    let length = (header.len() as u64).to_le_bytes();
    place.write("odd.safetensors", [&length[..], header.as_bytes()].concat());
    let shown = place.dragon(&["inspect", "odd.safetensors"]).done().stdout;
    assert!(shown.contains("gone") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn verify_lists_every_check_of_a_sound_run() {
    let place = Place::trained();
    let answer = place.dragon(&["verify", "run", "--deep", "--strict"]).done();
    let last = answer.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("sound: ") && last.ends_with("0 failed, 0 warnings"),
        "{}",
        answer.stdout
    );
    for part in [
        "manifest",
        "container",
        "tensors",
        "values",
        "tokenizer",
        "forward",
        "pointer",
        "step",
    ] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
    let (_, report) = verify(&place, &["run"]);
    assert!(report["checks"].as_array().unwrap().len() >= 20, "{report}");
    for path in [
        "run/checkpoint",
        "run/checkpoint/step-000012",
        "run/checkpoint/step-000012/model.bpk",
    ] {
        place.dragon(&["verify", path]).done();
    }
    place.dragon(&["verify", "nowhere"]).refused(1, &["nowhere"]);
    std::fs::create_dir(place.path("empty")).unwrap();
    place
        .dragon(&["verify", "empty"])
        .refused(1, &["neither a run nor a checkpoint"]);
}

#[test]
fn verify_goes_on_behind_the_first_fault() {
    let place = Place::trained();
    let run = place.path("run");
    flip_a_byte(&checkpoint(&run, 12).join("model.bpk"));
    std::fs::write(checkpoint(&run, 10).join("trainer.json"), "{}").unwrap();
    std::fs::write(run.join("checkpoint/best"), "step-000099\n").unwrap();
    assert_unsound(
        &place,
        &["run"],
        &[
            "step-000012 manifest",
            "step-000012/model.bpk container",
            "step-000010 manifest",
            "step-000010/trainer.json step",
            "best pointer",
        ],
    );
}

#[test]
fn what_a_killed_process_left_is_odd_and_only_strictly_wrong() {
    let place = Place::trained();
    std::fs::create_dir(place.path("run/checkpoint/step-000016.tmp")).unwrap();
    let (code, report) = verify(&place, &["run"]);
    assert_eq!((code, &report["warnings"]), (Some(0), &1.into()), "{report}");
    let (code, _) = verify(&place, &["run", "--strict"]);
    assert_eq!(code, Some(3));
}

#[test]
fn a_file_that_is_not_listed_or_of_another_model_is_noticed() {
    let place = Place::trained();
    let folder = checkpoint(&place.path("run"), 12);
    std::fs::write(folder.join("stranger.bpk"), "?").unwrap();
    assert_unsound(&place, &["run"], &["stranger.bpk", "manifest"]);
    std::fs::remove_file(folder.join("stranger.bpk")).unwrap();
    place.train(&["model.d_model=32", "--out", "other"]).done();
    let theirs = checkpoint(&place.path("other"), 12).join("optimizer.bpk");
    std::fs::copy(theirs, folder.join("optimizer.bpk")).unwrap();
    assert_unsound(&place, &["run"], &["optimizer.bpk tensors", "[8192], not [4096]"]);
}

#[test]
fn verify_takes_states_parts_and_official_weights() {
    let place = Place::trained();
    let words = [
        "generate",
        "run",
        "--prompt",
        "Hugo",
        "--max-tokens",
        "2",
        "--state-out",
        "a.state",
    ];
    place.dragon(&words).done();
    place.dragon(&["verify", "a.state"]).done();
    flip_a_byte(&place.path("a.state"));
    assert_unsound(&place, &["a.state"], &["container", "blake3"]);

    place
        .dragon(&["export", "run", "--output", "out/m.bpk", "--parts-mib", "1"])
        .done();
    place.dragon(&["verify", "out/m.bpk.parts.json", "--deep"]).done();
    let part = "out/m.bpk.part-00000.bpk";
    let (code, report) = verify(&place, &[part]);
    assert_eq!((code, &report["part"]), (Some(0), &true.into()), "{report}");
    let alone = place.dragon(&["verify", part]).done().stdout;
    assert!(alone.contains("part 1 of 1, not a model"), "{alone}");
    assert!(
        alone.lines().last().unwrap().contains("only one part of a model"),
        "{alone}"
    );
    assert_eq!(verify(&place, &[part, "--strict"]).0, Some(3));
    flip_a_byte(&place.path(part));
    assert_unsound(
        &place,
        &["out/m.bpk.parts.json"],
        &["part-00000.bpk hash", "sha256"],
    );
    std::fs::remove_file(place.path(part)).unwrap();
    assert_unsound(&place, &["out/m.bpk.parts.json"], &["part-00000.bpk hash"]);

    place.dragon(&["convert", "run", "w.safetensors"]).done();
    place
        .dragon(&["verify", "w.safetensors", "--deep", "--strict"])
        .done();
    flip_a_byte(&place.path("w.safetensors"));
    assert_unsound(&place, &["w.safetensors"], &["container", "sha256"]);
    place.write("text.bpk", "Once upon a time.");
    assert_unsound(&place, &["text.bpk"], &["container"]);
}

#[test]
fn diff_ends_with_1_where_models_differ_and_says_where() {
    let place = Place::trained();
    place.dragon(&["diff", "run", "run"]).done();
    place
        .train(&["training.seed=9", "model.dropout=0.3", "--out", "other"])
        .done();
    let answer = place.dragon(&["diff", "run", "other"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stdout.ends_with("different\n"), "{}", answer.stdout);
    for part in [
        "dropout",
        "0.3",
        "encoder",
        "values differ",
        "tokenizer.json  the same",
    ] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
    let report = place.dragon(&["diff", "run", "other", "--json"]).json();
    assert_eq!(report["difference"]["config"][0]["key"], "dropout");
    let encoder = &report["difference"]["tensors"][3];
    assert_eq!(
        (&encoder["name"], &encoder["change"]),
        (&"encoder".into(), &"values".into())
    );
    assert!(encoder["relative"].as_f64().unwrap() > 0.1, "{encoder}");
    place.dragon(&["diff", "run", "nowhere"]).refused(1, &["nowhere"]);
}

#[test]
fn weights_without_a_configuration_are_looked_at_all_the_same() {
    let place = Place::trained();
    place.dragon(&["convert", "run", "w.safetensors"]).done();
    let bytes = std::fs::read(place.path("w.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            let value = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_string(), value)
        })
        .collect();
    let write = |name: &str, tensors: &BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)>| {
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap();
            (name.clone(), view)
        });
        place.write(name, safetensors::serialize(views, None).unwrap());
    };
    write("bare.safetensors", &tensors);
    let (code, report) = verify(&place, &["bare.safetensors"]);
    assert_eq!((code, &report["warnings"]), (Some(0), &1.into()), "{report}");

    let head = tensors["lm_head"].clone();
    tensors.get_mut("lm_head").unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    write("nan.safetensors", &tensors);
    assert_unsound(&place, &["nan.safetensors"], &["`lm_head`", "not finite"]);

    let mut turned = head.clone();
    turned.1.reverse();
    tensors.insert("lm_head".into(), turned);
    write("turned.safetensors", &tensors);
    assert_unsound(&place, &["turned.safetensors"], &["`lm_head`", "ask for"]);

    tensors.remove("lm_head");
    write("less.safetensors", &tensors);
    assert_unsound(&place, &["less.safetensors"], &["not a model", "`lm_head`"]);

    write(
        "none.safetensors",
        &BTreeMap::from([("logits".to_string(), head)]),
    );
    assert_unsound(&place, &["none.safetensors"], &["logits"]);
    write("empty.safetensors", &BTreeMap::new());
    assert_unsound(&place, &["empty.safetensors"], &["not a model"]);
    if let Some(folder) = fixtures("tiny") {
        assert_unsound(
            &place,
            &[&text(folder.join("expected.safetensors"))],
            &["tensors"],
        );
    }
}

#[test]
fn a_configuration_that_contradicts_a_model_is_refused_whatever_the_model_is_in() {
    let place = Place::trained();
    place
        .dragon(&["export", "run", "--output", "a.bpk", "--parts-mib", "1"])
        .done();
    let write = |levels: u32| {
        let sizes = r#""n_embd":16,"n_head":4,"mlp_internal_dim_multiplier":4,"vocab_size":256"#;
        place.write("mc.json", format!(r#"{{"n_layer":{levels},{sizes}}}"#));
    };
    let convert = |from| {
        let words = ["convert", from, "b.bpk", "--force", "--model-config", "mc.json"];
        place.dragon(&words)
    };
    let models = ["run", "a.bpk", "a.bpk.parts.json", "run/checkpoint/step-000012"];
    for model in models {
        write(2);
        convert(model).done();
        write(3);
        convert(model).refused(3, &["n_levels", "--model-config"]);
        place
            .dragon(&["info", model, "--model-config", "mc.json"])
            .refused(3, &["n_levels"]);
    }
    place
        .dragon(&["diff", "run", "a.bpk", "--model-config", "mc.json"])
        .done();
}
