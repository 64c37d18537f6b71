//! `export_burnpack`: a checkpoint's model as one file.

use crate::support::{Answer, Place, flip_a_byte};

fn export(place: &Place, arguments: &[&str]) -> Answer {
    Answer::of(place.program("export_burnpack").args(arguments))
}

/// What the model at this place writes, without its settings.
pub(crate) fn text_of(place: &Place, model: &str) -> String {
    let arguments = [
        "generate",
        model,
        "--prompt",
        "Hugo",
        "--temperature",
        "0",
        "--max-tokens",
        "30",
    ];
    place.dragon(&arguments).done().stdout
}

#[test]
fn the_file_alone_writes_what_the_run_writes() {
    let place = Place::trained();
    export(
        &place,
        &[
            "--family",
            "language",
            "--checkpoint",
            "run",
            "--output",
            "out/model.bpk",
        ],
    )
    .done();
    let text = text_of(&place, "run");
    std::fs::rename(place.path("out/model.bpk"), place.path("alone.bpk")).unwrap();
    std::fs::remove_dir_all(place.path("run")).unwrap();
    assert_eq!(text_of(&place, "alone.bpk"), text);
    let info = place.dragon(&["info", "alone.bpk", "--json"]).done().json();
    assert_eq!(
        (&info["parameters"], &info["info"]["step"]),
        (&11264.into(), &12.into())
    );
}

#[test]
fn without_an_output_the_file_goes_into_the_run() {
    let place = Place::new();
    place.train(&[]).done();
    let answer = export(&place, &[]).done();
    assert!(
        answer.stdout.contains("runs/latest/deploy/model.bpk"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("step 12, 11264 parameters"),
        "{}",
        answer.stdout
    );
    place.dragon(&["info", "runs/latest/deploy/model.bpk"]).done();
}

#[test]
fn the_step_asked_for_is_the_one_that_is_written() {
    let place = Place::trained();
    export(
        &place,
        &["--checkpoint", "run", "--epoch", "10", "--output", "early.bpk"],
    )
    .done();
    let info = place.dragon(&["info", "early.bpk", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 10);
}

#[test]
fn a_damaged_checkpoint_is_not_exported() {
    let place = Place::trained();
    flip_a_byte(&place.path("run/checkpoint/step-000012/model.bpk"));
    export(&place, &["--checkpoint", "run", "--output", "out.bpk"]).refused(3, &["model.bpk", "blake3"]);
    assert!(!place.path("out.bpk").exists());
}

#[test]
fn a_model_outside_a_run_needs_an_output() {
    let place = Place::trained();
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("copy.bpk"),
    )
    .unwrap();
    export(&place, &["--checkpoint", "copy.bpk"]).refused(2, &["--output FILE"]);
}

#[test]
fn a_family_that_does_not_exist_is_refused_with_those_that_do() {
    let place = Place::new();
    let answer = export(&place, &["--family", "poetry"]).refused(2, &["poetry", "language"]);
    assert!(!answer.stderr.contains("export-burnpack"), "{}", answer.stderr);
}

#[test]
fn a_family_that_is_not_here_yet_says_so() {
    let place = Place::new();
    let family = "multimodal-vl-jepa";
    export(&place, &["--family", family]).refused(2, &[family, "does not have", "it has language"]);
    export(&place, &["--family", "poetry"])
        .refused(2, &["poetry", "vision-encoder", "multimodal-vl-jepa", "sudoku"]);
}

#[test]
fn the_documented_command_writes_parts() {
    let place = Place::trained();
    std::fs::create_dir_all(place.path("runs/language")).unwrap();
    std::fs::rename(place.path("run"), place.path("runs/language/first")).unwrap();
    let checkpoint = [
        "--family",
        "language",
        "--checkpoint",
        "runs/language/first/checkpoint",
        "--epoch",
        "12",
    ];
    let config = ["-c", "runs/language/first/config.toml", "--parts-mib", "64"];
    export(&place, &[&checkpoint[..], &config].concat()).done();
    let deployed = place.path("runs/language/first/deploy");
    for name in [
        "model.bpk",
        "model.bpk.parts.json",
        "model.bpk.part-00000.bpk",
        #[cfg(feature = "web")]
        "model.bpk.page.json",
    ] {
        assert!(deployed.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_family_is_refused() {
    let place = Place::trained();
    let arguments = ["--family", "sudoku", "--checkpoint", "run", "--output", "out.bpk"];
    export(&place, &arguments).refused(2, &["family `language`, not `sudoku`", "--family language"]);
    assert!(!place.path("out.bpk").exists());
}

#[test]
fn a_configuration_of_another_model_is_refused() {
    let place = Place::trained();
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    place.write("other.toml", config.replace("d_model = 16", "d_model = 32"));
    let arguments = ["--checkpoint", "run", "--output", "out.bpk", "-c"];
    let difference = "d_model is 16 in the model, but 32 in the configuration";
    export(&place, &[&arguments[..], &["other.toml"]].concat()).refused(2, &["model.bpk", difference]);
    assert!(!place.path("out.bpk").exists());
    export(&place, &[&arguments[..], &["run/config.toml"]].concat()).done();
}

/// `dragon export` with these arguments.
fn dragon_export(place: &Place, arguments: &[&str]) -> Answer {
    place.dragon(&[&["export"], arguments].concat())
}

#[test]
fn a_model_in_parts_writes_what_the_whole_writes() {
    let place = Place::trained();
    let arguments = ["run", "--output", "out/model.bpk", "--parts-mib", "1", "--json"];
    let summary = dragon_export(&place, &arguments).done().json();
    assert_eq!((&summary["parts"], &summary["step"]), (&1.into(), &12.into()));
    let text = text_of(&place, "run");
    assert_eq!(text_of(&place, "out/model.bpk.parts.json"), text);
    // Where only the parts are, the name of the whole means them.
    std::fs::remove_file(place.path("out/model.bpk")).unwrap();
    assert_eq!(text_of(&place, "out/model.bpk"), text);
    flip_a_byte(&place.path("out/model.bpk.part-00000.bpk"));
    place
        .dragon(&["info", "out/model.bpk"])
        .refused(3, &["part-00000", "blake3"]);
}

#[test]
fn half_precision_is_half_the_file_and_a_model_of_its_own() {
    let place = Place::trained();
    let bytes = |precision: &str| {
        let output = format!("{precision}.bpk");
        let arguments = ["run", "--output", &output, "--precision", precision, "--json"];
        let summary = dragon_export(&place, &arguments).done().json();
        text_of(&place, &output);
        (summary["bytes"].as_u64().unwrap(), summary["model"].clone())
    };
    let (whole, half, brief) = (bytes("f32"), bytes("f16"), bytes("bf16"));
    assert!(
        half.0 < whole.0 * 6 / 10 && half.0 == brief.0,
        "{whole:?} {half:?}"
    );
    assert!(half.1 != whole.1 && half.1 != brief.1);
    dragon_export(&place, &["run", "--output", "a.bpk", "--precision", "int8"]).refused(2, &["int8", "bf16"]);
}

#[test]
fn parts_are_overwritten_only_when_asked() {
    let place = Place::trained();
    let arguments = ["run", "--output", "model.bpk", "--parts-mib", "1"];
    dragon_export(&place, &arguments).done();
    let before = std::fs::read(place.path("model.bpk")).unwrap();
    dragon_export(&place, &arguments).refused(1, &["model.bpk", "--overwrite-parts"]);
    assert_eq!(std::fs::read(place.path("model.bpk")).unwrap(), before);
    dragon_export(&place, &[&arguments[..], &["--overwrite-parts"]].concat()).done();
    assert_eq!(std::fs::read(place.path("model.bpk")).unwrap(), before);
}

#[test]
fn an_export_says_where_it_comes_from_and_keeps_saying_it() {
    let place = Place::trained();
    dragon_export(&place, &["run", "--output", "a.bpk", "--license", "CC0-1.0"]).done();
    dragon_export(&place, &["a.bpk", "--output", "b.bpk", "--precision", "bf16"]).done();
    let provenance = |file: &str| {
        let info = place.dragon(&["info", file, "--json"]).done().json();
        info["info"]["provenance"].clone()
    };
    let expected = serde_json::json!({
        "run": "run",
        "data": "tales made from a seed, in which facts are recalled",
        "license": "CC0-1.0",
    });
    assert_eq!(
        (provenance("a.bpk"), provenance("b.bpk")),
        (expected.clone(), expected)
    );
    let told = place.dragon(&["info", "b.bpk"]).done().stdout;
    for line in [
        "licence           CC0-1.0",
        "data              tales made from a seed",
    ] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn an_export_takes_no_other_files_place() {
    let place = Place::trained();
    let config = std::fs::read(place.path("run/config.toml")).unwrap();
    dragon_export(&place, &["run", "--output", "run/config.toml"]).refused(2, &["NAME.bpk", "config.toml"]);
    assert_eq!(std::fs::read(place.path("run/config.toml")).unwrap(), config);
    let inside = "run/checkpoint/step-000012/model.bpk";
    let before = std::fs::read(place.path(inside)).unwrap();
    let arguments = [
        "run",
        "--precision",
        "f16",
        "--output",
        inside,
        "--overwrite-parts",
    ];
    dragon_export(&place, &arguments).refused(1, &["in a checkpoint"]);
    assert_eq!(std::fs::read(place.path(inside)).unwrap(), before);
    dragon_export(&place, &["run", "--output", "a.bpk"]).done();
    dragon_export(&place, &["run", "--output", "a.bpk"]).refused(1, &["a.bpk", "there already"]);
    dragon_export(&place, &["run", "--output", "a.bpk", "--force"]).done();
    dragon_export(&place, &["run", "--output", "a.safetensors"]).refused(2, &["dragon convert"]);
}

#[test]
fn the_folder_of_an_export_is_a_model() {
    let place = Place::trained();
    dragon_export(&place, &["run"]).done();
    assert_eq!(text_of(&place, "run/deploy"), text_of(&place, "run"));
}
