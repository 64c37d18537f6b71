//! What the fuzzers found worth keeping, through the same doors, on any compiler.

use burn_dragon_testing::doors;
use std::fs;
use std::path::Path;
use std::time::Instant;

#[test]
fn every_file_of_the_corpus_is_answered() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (name, door) in doors::ALL {
        let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            target.contains(&format!("doors::{name}(")),
            "{name} has no target"
        );
        let files = crate::table::files(&fuzz.join("corpus").join(name), "");
        assert!(!files.is_empty(), "{name} has no corpus");
        let start = Instant::now();
        let taken = files.values().filter(|bytes| door(bytes).is_ok()).count();
        assert!(
            taken > 0 || name == "safetensors" || name == "pickle",
            "{name}: nothing is taken"
        );
        println!(
            "{name}: {} files, {taken} taken, {:?}",
            files.len(),
            start.elapsed()
        );
    }
    for attack in crate::all() {
        for (_, door) in doors::ALL {
            if attack.bytes.len() <= 4096 {
                let _ = door(&attack.bytes);
            }
        }
    }
}
