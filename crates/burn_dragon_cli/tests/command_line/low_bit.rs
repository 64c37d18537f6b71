//! Low-bit models: trained, packed, and the same in every file.

use crate::export::text_of;
use crate::support::Place;

const QUANT: &str = "model.quant={ protocol = \"bitnet_b158\", target_modules = [\"decoder_x\", \"decoder_y\", \"encoder\"] }";

fn trained() -> Place {
    let place = Place::new();
    place.train(&[QUANT, "--out", "run"]).done();
    place
}

#[test]
fn a_packed_model_is_small_and_writes_what_the_run_writes_in_every_form() {
    let place = trained();
    let text = text_of(&place, "run");
    let size = |name: &str| std::fs::metadata(place.path(name)).unwrap().len();
    place.dragon(&["export", "run", "--output", "plain.bpk"]).done();
    for (form, name) in [("--low-bit", "two.bpk"), ("--low-bit=base_three", "three.bpk")] {
        let arguments = [
            "export",
            "run",
            "--output",
            name,
            form,
            "--precision",
            "f16",
            "--parts-mib",
            "1",
            "--json",
        ];
        let said = place.dragon(&arguments).done().json();
        assert_eq!(said["parameters"], 11264);
        place.dragon(&["verify", name]).done();
        assert!(size(name) < size("plain.bpk") / 2);
        let info = place.dragon(&["info", name]).done().stdout;
        assert!(info.contains("ternary158"), "{info}");
    }
    assert!(size("three.bpk") <= size("two.bpk"));
    // f16 rounds the embedding and the readout, which is another model.
    place
        .dragon(&["export", "run", "--output", "packed.bpk", "--low-bit"])
        .done();
    assert_eq!(text_of(&place, "packed.bpk"), text);
    place.dragon(&["diff", "two.bpk", "three.bpk"]).done();
    place
        .dragon(&[
            "export_bitnet_artifact",
            "--checkpoint",
            "run",
            "--output",
            "artifact.bpk",
        ])
        .done();
    place.dragon(&["diff", "artifact.bpk", "packed.bpk"]).done();
}

#[test]
fn what_cannot_be_packed_or_trained_is_refused_with_what_to_do() {
    let place = Place::trained();
    let arguments = ["export", "run", "--output", "m.bpk", "--low-bit"];
    place
        .dragon(&arguments)
        .refused(2, &["not quantised", "[model.quant]"]);
    assert!(!place.path("m.bpk").exists());
    let packed = "model.quant={ protocol = \"bitnet_b158\", target_modules = [\"encoder\"], packed = true }";
    place
        .train(&[packed, "--out", "other"])
        .refused(2, &["model.quant.packed"]);
}
