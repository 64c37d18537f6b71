//! The commit of the sources, for `run.json`: `BURN_DRAGON_COMMIT`, or nothing where it is not known.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(commit) = of_repository().or_else(of_package) {
        println!("cargo:rustc-env=BURN_DRAGON_COMMIT={commit}");
    }
}

/// Commit of the repository that has this file, with `+changes` if files of the crates differ from it.
fn of_repository() -> Option<String> {
    let crates = Path::new("..")
        .join("burn_dragon_train")
        .exists()
        .then_some("..")?;
    let head = git(&["rev-parse", "HEAD"])?;
    for place in ["HEAD", "logs/HEAD"] {
        println!(
            "cargo:rerun-if-changed={}",
            git(&["rev-parse", "--git-path", place])?
        );
    }
    println!("cargo:rerun-if-changed={crates}");
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", crates])?;
    let mark = if changes.is_empty() { "" } else { "+changes" };
    Some(format!("{head}{mark}"))
}

/// Commit that cargo wrote into a package.
fn of_package() -> Option<String> {
    println!("cargo:rerun-if-changed=.cargo_vcs_info.json");
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    commit
        .chars()
        .all(|c| c.is_ascii_hexdigit())
        .then(|| commit.to_string())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}
