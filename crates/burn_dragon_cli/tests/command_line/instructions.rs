//! The limit on the processor's instructions that the environment may set.

use crate::support::{Answer, Place};

#[test]
fn a_limit_that_is_none_is_refused_and_one_that_is_gives_a_result() {
    let place = Place::trained();
    let eval = |limit: &str| {
        let mut command = place.program("dragon");
        command.args(["eval", "run", "--json"]);
        Answer::of(command.env("BURN_DRAGON_INSTRUCTIONS", limit))
    };
    for wrong in ["avx3", "", "AVX2"] {
        let names = "expected one of portable, avx2, avx512, amx";
        eval(wrong).refused(2, &["BURN_DRAGON_INSTRUCTIONS", wrong, names]);
    }
    let bits = |limit| eval(limit).done().json()["bits_per_byte"].as_f64().unwrap();
    let (narrow, wide) = (bits("portable"), bits("amx"));
    assert!((narrow - wide).abs() < 1e-3 * wide, "{narrow} {wide}");
}
