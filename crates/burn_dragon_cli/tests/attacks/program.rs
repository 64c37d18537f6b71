//! The program refuses the same files with exit code 3, a configuration with 2, and one line that begins with `error:`.

use crate::doors::Door;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a person would come to open such a file.
fn arguments(door: Door, path: &Path) -> Vec<String> {
    let file = path.to_str().unwrap().to_string();
    let beside = |name: &str| path.with_file_name(name).to_str().unwrap().to_string();
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    match door {
        Door::Burnpack | Door::Model => words(&["info", &file]),
        Door::State => words(&["state", "info", &file]),
        Door::Safetensors | Door::Pickle => words(&["info", &file, "--model-config", &beside("config.json")]),
        Door::Manifest => words(&["info", path.parent().unwrap().to_str().unwrap()]),
        Door::Parts => words(&["info", &file]),
        Door::Config => words(&["train", "-c", &file, "--dry-run"]),
        Door::Tokenizer => Vec::new(), // read in a run folder, see command_line/
    }
}

#[test]
fn the_program_refuses_each_with_its_exit_code() {
    let mut refused = 0;
    for door in Door::ALL {
        let attacks = crate::all().into_iter().filter(|attack| attack.door == door);
        for attack in attacks.filter(|attack| attack.bytes.len() < 4096).step_by(6) {
            let folder = crate::doors::folder();
            let path = door.lay(folder.path(), attack.class, &attack.bytes);
            let arguments = arguments(door, &path);
            if arguments.is_empty() {
                continue;
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_dragon"));
            command
                .args(&arguments)
                .current_dir(folder.path())
                .stdin(Stdio::null());
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            let code = match door {
                Door::Config => 2,
                _ => 3,
            };
            let name = format!("{door:?}/{}", attack.class);
            assert_eq!(output.status.code(), Some(code), "{name}: {errors}");
            assert!(
                errors.lines().any(|line| line.starts_with("error:")) && !errors.contains("panicked"),
                "{name}: {errors}"
            );
            refused += 1;
        }
    }
    println!("{refused} files refused by the program");
    assert!(refused >= 30);
}
