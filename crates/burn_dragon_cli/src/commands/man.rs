//! `dragon man`: manual pages.

use crate::args::ManArgs;
use anyhow::Context;
use burn_dragon_train::api::expert::results;
use clap::Command;
use clap_mangen::Man;
use std::path::Path;
use std::process::ExitCode;

/// Prints the page of `command`, or writes a page of each verb into a folder.
///
/// # Errors
/// If the folder or a page cannot be written.
pub fn run(args: &ManArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    command.build(); // verbs get their whole name: dragon-train
    let Some(folder) = &args.out else {
        results::write(&page(command)?);
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let verbs = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .cloned();
    let pages: Vec<Command> = std::iter::once(command.clone()).chain(verbs).collect();
    for command in pages {
        let name = command
            .get_display_name()
            .unwrap_or(command.get_name())
            .to_string();
        write(&folder.join(format!("{name}.1")), command)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, command: Command) -> anyhow::Result<()> {
    let bytes = page(command)?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    show!("{}", path.display());
    Ok(())
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Man::new(command)
        .render(&mut bytes)
        .context("cannot write a manual page")?;
    Ok(bytes)
}
