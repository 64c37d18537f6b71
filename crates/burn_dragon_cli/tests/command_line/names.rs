//! What files are called: an export by its stem, a checkpoint by the file that points at it.

use crate::support::{Answer, Place};

/// Both doors to an export.
fn exports(place: &Place, output: &str, more: &[&str]) -> [Answer; 2] {
    let dragon = place.dragon(&[&["export", "run", "--output", output, "--force"], more].concat());
    let mut program = place.program("export_burnpack");
    program
        .args(["--checkpoint", "run", "--output", output, "--force"])
        .args(more);
    [dragon, Answer::of(&mut program)]
}

#[test]
fn an_export_that_is_called_by_its_stem_gets_the_ending() {
    let place = Place::trained();
    for (output, file) in [
        ("NAME", "NAME.bpk"),
        ("model.v1", "model.v1.bpk"),
        ("v1.2/model", "v1.2/model.bpk"),
        ("model.", "model..bpk"),
        ("there.bpk", "there.bpk"),
        ("..hidden", "..hidden.bpk"),
    ] {
        for answer in exports(&place, output, &["--json"]) {
            let answer = answer.done();
            assert_eq!(answer.json()["file"], file);
            assert!(
                answer.stdout.contains(&format!("{file}: step 12")),
                "{}",
                answer.stdout
            );
        }
        assert!(place.path(file).is_file() && (output == file || !place.path(output).exists()));
        place.dragon(&["info", file]).done();
    }
}

#[test]
fn parts_and_what_is_there_already_go_by_the_whole_name() {
    let place = Place::trained();
    let json = place
        .dragon(&["export", "run", "--output", "m", "--parts-mib", "1", "--json"])
        .done()
        .json();
    assert_eq!(
        (&json["file"], &json["manifest"]),
        (&"m.bpk".into(), &"m.bpk.parts.json".into())
    );
    assert!(place.path("m.bpk.parts.json").is_file());
    place.dragon(&["info", "m.bpk.parts.json"]).done();
    place
        .dragon(&["export", "run", "--output", "m"])
        .refused(1, &["m.bpk", "there already"]);
    place.write("n", "mine");
    place.dragon(&["export", "run", "--output", "n"]).done();
    assert_eq!(std::fs::read(place.path("n")).unwrap(), b"mine");
}

#[test]
fn an_output_that_is_no_name_of_an_export_is_refused_with_one_that_is() {
    let place = Place::trained();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (output, says) in [
        ("folder", "folder/model.bpk"),
        ("folder/", "folder/model.bpk"),
        ("new/", "new/model.bpk"),
        (".", "model.bpk"),
        ("..", "model.bpk"),
        (".bpk", "NAME.bpk"),
        ("a.safetensors", "dragon convert"),
        ("a.SafeTensors", "dragon convert"),
        ("a.pt", "NAME.bpk"),
        ("m.bpk.parts.json", "NAME.bpk"),
        ("", "--output"),
    ] {
        for answer in exports(&place, output, &[]) {
            answer.refused(2, &[says]);
        }
    }
    assert_eq!(place.names(), ["folder", "run"]);
}

#[test]
fn what_points_at_a_checkpoint_is_a_model_for_every_verb() {
    let place = Place::trained();
    let best = std::fs::read_to_string(place.path("run/checkpoint/best")).unwrap();
    let whole = place.dragon(&["info", "run", "--json"]).done().json();
    place.write("tale.txt", "Mira hid the red key under the mill.\n".repeat(40));
    for model in [
        "run/checkpoint/last",
        "run/checkpoint/best",
        "run/checkpoint",
        "run/checkpoint/step-000012",
    ] {
        let info = place.dragon(&["info", model, "--json"]).done().json();
        let expected = match model.ends_with("best") {
            true => format!("run/checkpoint/{}/model.bpk", best.trim()),
            false => "run/checkpoint/step-000012/model.bpk".into(),
        };
        assert_eq!(info["file"], expected.as_str());
        for arguments in [
            &["eval", model][..],
            &["eval", model, "tale.txt"],
            &["generate", model, "--max-tokens", "2"],
            &["inspect", model],
            &["verify", model],
            &["diff", model, model],
            &["convert", model, "converted.bpk", "--force"],
            &["export", model, "--output", "exported", "--force"],
            &["export", model, "--force"],
        ] {
            place.dragon(arguments).done();
        }
        // It is in its run: what the run says counts.
        assert!(place.path("run/deploy/model.bpk").is_file());
        std::fs::remove_dir_all(place.path("run/deploy")).unwrap();
        let mut program = place.program("infer");
        Answer::of(program.args(["--checkpoint", model, "--max-tokens", "2"])).done();
        let resume = place.dragon(&["train", "--resume", model]);
        resume.refused(1, &["part of the run run", "--resume run"]);
    }
    assert_eq!(whole["file"], "run/checkpoint/step-000012/model.bpk");
    let eval = |model| place.dragon(&["eval", model, "--json"]).done().json();
    assert_eq!(eval("run/checkpoint/last"), eval("run"));
}

#[test]
fn a_model_may_be_called_as_a_pointer_is() {
    let place = Place::trained();
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("best"),
    )
    .unwrap();
    place.dragon(&["info", "best"]).done();
}

#[test]
fn a_pointer_to_nothing_says_so() {
    let place = Place::trained();
    place.write("run/checkpoint/last", "step-000099\n");
    place
        .dragon(&["info", "run/checkpoint/last"])
        .refused(3, &["step-000099", "does not exist"]);
    place.write("run/checkpoint/last", "../../etc\n");
    place
        .dragon(&["info", "run/checkpoint/last"])
        .refused(3, &["plain folder name"]);
}

#[test]
fn a_choice_among_checkpoints_is_refused_where_there_is_one_model() {
    let place = Place::trained();
    place.dragon(&["export", "run", "--output", "one"]).done();
    let models = ["one.bpk", "run/checkpoint/last", "run/checkpoint/step-000012"];
    for model in models {
        for choice in [&["--step", "10"][..], &["--best"]] {
            for verb in [&["info", model][..], &["generate", model, "--max-tokens", "1"]] {
                let answer = place.dragon(&[verb, choice].concat());
                answer.refused(1, &[model, "was asked for, but this is a single model"]);
            }
        }
    }
    for model in ["run", "run/checkpoint"] {
        place.dragon(&["info", model, "--step", "10"]).done();
    }
}
