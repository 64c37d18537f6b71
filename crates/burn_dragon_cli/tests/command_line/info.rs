//! `dragon info`: what a model is, wherever it lies.

use crate::support::{Place, fixtures, text};

#[test]
fn a_model_is_the_same_by_every_name_it_has() {
    let place = Place::trained();
    let info = |model: &str| {
        let mut info = place.dragon(&["info", model, "--json"]).done().json();
        info.as_object_mut().unwrap().remove("file");
        info
    };
    let run = info("run");
    for name in [
        "run/checkpoint",
        "run/checkpoint/step-000012",
        "run/checkpoint/step-000012/model.bpk",
    ] {
        assert_eq!(info(name), run, "{name}");
    }
}

#[test]
fn parameters_and_cost_follow_from_the_shape() {
    let place = Place::trained();
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    let (vocab, width, neurons) = (256, 16, 64);
    assert_eq!(info["parameters"], 2 * vocab * width + 3 * width * neurons);
    assert_eq!(info["state_bytes"], 4 * 2 * neurons * width); // a matrix n x D a level, f32
    assert_eq!(
        (&info["config"]["n_levels"], &info["info"]["step"]),
        (&2.into(), &12.into())
    );
    assert_eq!(
        (&info["info"]["tokens"], &info["tokenizer"]["type"]),
        (&(12 * 64).into(), &"byte".into())
    );
    assert_eq!(
        (&info["family"], &info["info"]["family"]),
        (&"language".into(), &"language".into())
    );
    assert_eq!(info["info"]["units"], info["info"]["tokens"]);
    let person = place.dragon(&["info", "run"]).done().stdout;
    for part in [
        "11,264",
        "family            language",
        "768 tokens",
        "2 levels",
        "width 16",
        "64 neurons",
        "12 steps",
    ] {
        assert!(person.contains(part), "`{part}` is not in: {person}");
    }
}

#[test]
fn official_weights_are_described_with_their_configuration() {
    let Some(folder) = fixtures("small") else { return };
    let [weights, meta] = ["weights.safetensors", "meta.json"].map(|file| text(folder.join(file)));
    let info = Place::new()
        .dragon(&["info", &weights, "--model-config", &meta, "--json"])
        .done()
        .json();
    assert_eq!(info["parameters"], 2 * 256 * 64 + 3 * 64 * 1024);
}

#[test]
fn official_weights_without_a_configuration_are_refused_with_the_flag_to_give_it() {
    let Some(folder) = fixtures("small") else { return };
    let weights = text(folder.join("weights.safetensors"));
    for verb in ["info", "eval", "generate"] {
        Place::new()
            .dragon(&[verb, &weights])
            .refused(2, &["weights.safetensors", "--model-config FILE.json"]);
    }
}

#[test]
fn official_weights_of_another_shape_are_refused_with_both_shapes() {
    let (Some(tiny), Some(small)) = (fixtures("tiny"), fixtures("small")) else {
        return;
    };
    let (weights, meta) = (
        text(tiny.join("weights.safetensors")),
        text(small.join("meta.json")),
    );
    let answer = Place::new().dragon(&["info", &weights, "--model-config", &meta]);
    answer.refused(3, &["shape", "[", "64", "32"]);
}

/// A full disk is an error, never a panic.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_shown_is_said() {
    let place = Place::trained();
    for arguments in [
        &["info", "run"][..],
        &["eval", "run"],
        &["train", "--print-config"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place
            .program("dragon")
            .args(arguments)
            .stdout(full)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("cannot write the result") && !said.contains("panicked"),
            "{said}"
        );
    }
}
