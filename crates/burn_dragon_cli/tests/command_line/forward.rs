//! `dragon forward`: the logits, through every form of the model.

use crate::support::{Place, fixtures, tensor, text, write_i32};
use std::path::Path;

fn logits(path: &Path) -> (Vec<usize>, Vec<f32>) {
    tensor(path, "logits", f32::from_le_bytes)
}

#[track_caller]
fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest <= tolerance, "{largest}");
}

/// Writes lanes of text, a token a byte.
fn write_lanes(place: &Place, name: &str, lanes: [&[u8; 12]; 2]) {
    let tokens: Vec<i32> = lanes.into_iter().flatten().map(|&byte| i32::from(byte)).collect();
    write_i32(&place.path(name), "tokens", &tokens, [2, 12]);
}

#[test]
fn all_forms_give_one_set_of_logits() {
    let place = Place::remembering();
    write_lanes(&place, "tokens.safetensors", [b"Hugo and Mir", b"The old hill"]);
    let forward = |form: &[&str]| {
        let arguments = [
            "forward",
            "run",
            "tokens.safetensors",
            "--out",
            "out.safetensors",
            "--form",
        ];
        place.dragon(&[&arguments, form].concat()).done();
        logits(&place.path("out.safetensors"))
    };
    let (shape, parallel) = forward(&["parallel"]);
    assert_eq!(shape, [2, 12, 256]);
    assert!(
        parallel.iter().any(|logit| logit.abs() > 0.5),
        "there is nothing to compare"
    );
    for form in [
        &["recurrent"][..],
        &["chunked"],
        &["chunked", "--chunk", "1"],
        &["chunked", "--chunk", "5"], // the last piece is shorter
        &["chunked", "--chunk", "12"],
    ] {
        let (other_shape, other) = forward(form);
        assert_eq!(other_shape, shape);
        assert_close(&parallel, &other, 1e-4);
    }
}

#[test]
fn a_chunk_of_nothing_and_a_chunk_of_another_form_are_refused() {
    let place = Place::trained();
    let forward = ["forward", "run", "tokens.safetensors", "--out", "out.safetensors"];
    for (form, says) in [("chunked", "--chunk 0"), ("recurrent", "--form chunked")] {
        let form = ["--form", form, "--chunk", "0"];
        place.dragon(&[&forward[..], &form].concat()).refused(2, &[says]);
    }
}

#[test]
fn what_comes_later_does_not_change_what_came_before() {
    let place = Place::trained();
    write_lanes(&place, "tokens.safetensors", [b"Hugo and Mir", b"The old hill"]);
    write_lanes(&place, "other.safetensors", [b"Hugo is late", b"The oldest o"]);
    let run = |tokens: &str| {
        place
            .dragon(&["forward", "run", tokens, "--out", "out.safetensors"])
            .done();
        logits(&place.path("out.safetensors")).1
    };
    let (a, b) = (run("tokens.safetensors"), run("other.safetensors"));
    let position = |lane: usize, at: usize| (lane * 12 + at) * 256..(lane * 12 + at + 1) * 256;
    for (lane, same) in [(0, 5), (1, 7)] {
        for at in 0..same {
            assert_close(&a[position(lane, at)], &b[position(lane, at)], 1e-6);
        }
        assert_ne!(a[position(lane, same)], b[position(lane, same)]);
    }
}

#[test]
fn tokens_that_are_foreign_are_refused_by_name() {
    let place = Place::trained();
    write_i32(&place.path("large.safetensors"), "tokens", &[1, 256], [1, 2]);
    write_i32(&place.path("negative.safetensors"), "tokens", &[1, -1], [1, 2]);
    write_i32(&place.path("named.safetensors"), "ids", &[1, 2], [1, 2]);
    write_i32(&place.path("empty.safetensors"), "tokens", &[], [1, 0]);
    place.write("text.safetensors", "1 2 3");
    for (file, says) in [
        ("large", &["token 256", "vocabulary of 256"][..]),
        ("negative", &["token -1", "vocabulary of 256"]),
        ("named", &["no tensor `tokens`"]),
        ("empty", &["empty"]),
        ("text", &[]),
    ] {
        let file = format!("{file}.safetensors");
        let answer = place.dragon(&["forward", "run", &file, "--out", "out.safetensors"]);
        answer.refused(3, &[&[file.as_str()], says].concat());
    }
    let missing = place.dragon(&[
        "forward",
        "run",
        "nowhere.safetensors",
        "--out",
        "out.safetensors",
    ]);
    missing.refused(1, &["nowhere.safetensors"]);
    assert!(!place.path("out.safetensors").exists());
}

#[test]
fn tokens_of_another_type_are_refused_with_what_is_expected() {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    let place = Place::trained();
    for (dtype, shape, bytes) in [
        (Dtype::I64, vec![1, 2], [0; 16].as_slice()),
        (Dtype::I32, vec![2], &[0; 8]),
    ] {
        let view = TensorView::new(dtype, shape, bytes).unwrap();
        place.write(
            "tokens.safetensors",
            safetensors::serialize([("tokens", view)], None).unwrap(),
        );
        let answer = place.dragon(&["forward", "run", "tokens.safetensors", "--out", "out.safetensors"]);
        answer.refused(
            3,
            &["tokens.safetensors", &format!("{dtype:?}"), "expected I32 [B, T]"],
        );
    }
}

#[test]
fn official_weights_give_the_official_logits() {
    for name in ["tiny", "small", "paper_init"] {
        let Some(folder) = fixtures(name) else { continue };
        let place = Place::new();
        let [weights, meta, expected] =
            ["weights.safetensors", "meta.json", "expected.safetensors"].map(|file| text(folder.join(file)));
        let (shape, official) = logits(&folder.join("expected.safetensors"));
        for form in ["parallel", "chunked", "recurrent"] {
            let model = ["forward", weights.as_str(), "--model-config", &meta];
            let rest = [expected.as_str(), "--form", form, "--out", "out.safetensors"];
            place.dragon(&[&model[..], &rest].concat()).done();
            let (ours_shape, ours) = logits(&place.path("out.safetensors"));
            assert_eq!(ours_shape, shape, "{name}");
            assert_close(&ours, &official, 1e-4);
        }
    }
}
