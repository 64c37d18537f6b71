//! The program's name, as the user typed it.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Command that starts `dragon` as this process was started: `dragon`, `target/release/dragon`, or `cargo run ... --`.
///
/// A hint with it can be pasted into the same shell. The programs `train`, `infer` and `export_burnpack` lie beside
/// `dragon`, and a program that is none of these knows only its name.
pub fn dragon() -> String {
    let typed = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let by_cargo = env::var_os("CARGO_PKG_NAME").is_some_and(|package| package == PACKAGE);
    spelt(&typed, by_cargo)
}

const PACKAGE: &str = "burn_dragon_cli";

/// Programs of the package.
const PROGRAMS: [&str; 4] = [DRAGON, "train", "infer", "export_burnpack"];

const DRAGON: &str = "dragon";

fn spelt(typed: &Path, by_cargo: bool) -> String {
    let stem = typed.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    if !PROGRAMS.contains(&stem) {
        return DRAGON.into();
    }
    if by_cargo {
        let release = typed.parent().is_some_and(|folder| folder.ends_with("release"));
        let profile = if release { " --release" } else { "" };
        return format!("cargo run{profile} -p {PACKAGE} --");
    }
    let ending = typed.extension().and_then(OsStr::to_str);
    let name = ending.map_or(DRAGON.into(), |ending| format!("{DRAGON}.{ending}"));
    quoted(&typed.with_file_name(name).display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:~+@%".contains(c);
    match word.chars().all(plain) {
        true => word.into(),
        false => format!("\"{word}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_program_as_it_was_typed() {
        for (typed, by_cargo, expected) in [
            ("dragon", false, "dragon"),
            ("./target/release/dragon", false, "./target/release/dragon"),
            ("/usr/local/bin/train", false, "/usr/local/bin/dragon"),
            ("dragon.exe", false, "dragon.exe"),
            ("my tools/dragon", false, "\"my tools/dragon\""),
            (
                "target/release/dragon",
                true,
                "cargo run --release -p burn_dragon_cli --",
            ),
            ("target/debug/train", true, "cargo run -p burn_dragon_cli --"),
            ("target/debug/deps/some_test-0123", true, "dragon"),
            ("", false, "dragon"),
        ] {
            assert_eq!(spelt(Path::new(typed), by_cargo), expected, "{typed}");
        }
    }
}
