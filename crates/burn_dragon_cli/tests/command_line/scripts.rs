//! The scripts find what cargo built, wherever it was told to build.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_path_buf()
}

/// A bash without what cargo has set for this test.
fn bash(folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command.current_dir(folder).arg("-c");
    for name in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "DRAGON",
    ] {
        command.env_remove(name);
    }
    command
}

fn told(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

#[test]
fn a_program_is_where_cargo_was_told_to_build() {
    let (root, elsewhere) = (root(), tempfile::tempdir().unwrap());
    let here = elsewhere.path().canonicalize().unwrap();
    let script = format!(
        "source {0}/scripts/target.sh; cd {0}; released dragon",
        root.display()
    );
    let released = |name: &str, value: &str| told(bash(&here).arg(&script).env(name, value));
    let default = told(bash(&here).arg(&script));
    assert!(default.ends_with("/release/dragon"), "{default}");
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
        assert_eq!(
            released(name, "/somewhere/else"),
            "/somewhere/else/release/dragon"
        );
        assert_eq!(
            released(name, "builds"),
            here.join("builds/release/dragon").to_str().unwrap()
        );
    }
    let nowhere = bash(&here)
        .arg(&script)
        .env("CARGO_TARGET_DIR", "")
        .output()
        .unwrap(); // which cargo refuses
    assert!(
        !nowhere.status.success() && nowhere.stdout.is_empty(),
        "{nowhere:?}"
    );
}

#[test]
fn a_storm_kills_the_program_that_was_built_elsewhere() {
    let (root, elsewhere) = (root(), tempfile::tempdir().unwrap());
    let here = elsewhere.path().canonicalize().unwrap();
    let program = here.join("builds/release/dragon");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    // In place of the programs that a script runs: files that can be run, and say what they were given.
    for path in [&program, &here.join("python3")] {
        std::fs::write(path, "#!/bin/sh\necho \"$@\"\n").unwrap();
        told(Command::new("chmod").arg("+x").arg(path));
    }
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    for target in ["builds", program.ancestors().nth(2).unwrap().to_str().unwrap()] {
        let script = format!("{}/scripts/kill_storm.sh 3 7", root.display());
        let said = told(
            bash(&here)
                .arg(script)
                .env("PATH", &path)
                .env("CARGO_TARGET_DIR", target),
        );
        assert_eq!(
            said,
            format!("scripts/kill_storm.py {} 3 7 adamw", program.display())
        );
    }
}

#[test]
fn no_script_thinks_that_it_knows_the_folder() {
    let scripts = std::fs::read_dir(root().join("scripts")).unwrap();
    let mut paths: Vec<PathBuf> = scripts.map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join(".ci/run"));
    for path in paths.iter().filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(path).unwrap();
        for known in ["target/release", "target/debug"] {
            assert!(!text.contains(known), "{}: {known}", path.display());
        }
        if path.extension().is_none_or(|ending| ending == "sh") {
            told(Command::new("bash").arg("-n").arg(path));
        }
    }
}
