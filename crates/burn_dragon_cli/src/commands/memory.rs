//! Memory files of the verbs that generate text.

use super::live::Pulse;
use super::prompt::Extent;
use crate::args::MemoryArgs;
use crate::exit::Usage;
use anyhow::bail;
use burn_dragon::api::language::{Generator, Prefix};
use burn_dragon_train::api::Interrupt;
use std::path::Path;

/// Prefix to continue: the memory in `--state-in`, or an empty one. Checks now that `--state-out` can be written.
pub(super) fn open(generator: &Generator<'_>, args: &MemoryArgs) -> anyhow::Result<Prefix> {
    if let Some(path) = &args.state_out {
        writable(path)?;
    }
    let Some(path) = &args.state_in else {
        return Ok(generator.begin());
    };
    let pulse = Pulse::named(format!("reading {}", path.display()));
    let reading = generator.load(path)?;
    drop(pulse);
    tell!("memory {}, {} tokens", path.display(), reading.tokens());
    Ok(reading)
}

/// Saves the memory to `--state-out`, if given.
pub(super) fn close(generator: &Generator<'_>, args: &MemoryArgs, reading: &Prefix) -> anyhow::Result<()> {
    let Some(path) = &args.state_out else {
        return Ok(());
    };
    let pulse = Pulse::named(format!("saving {}", path.display()));
    generator.save(reading, path, args.state_precision.unwrap_or_default())?;
    drop(pulse);
    tell!(
        "memory of {} tokens saved to {}",
        reading.tokens(),
        path.display()
    );
    Ok(())
}

/// Reports how to continue a text whose reading was interrupted.
pub(super) fn broken_off(args: &MemoryArgs, what: &str, Extent { read, of }: Extent) {
    let Some(path) = &args.state_out else { return };
    let path = path.display();
    tell!(
        "interrupted: {read} of the {of} tokens of the {what} were read; --state-in {path} continues with the next one"
    );
}

/// Handles Ctrl-C if there is something to save.
pub(super) fn interrupt(args: &MemoryArgs) -> anyhow::Result<Interrupt> {
    Ok(match args.state_out {
        Some(_) => Interrupt::install()?,
        None => Interrupt::none(),
    })
}

fn writable(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.file_name().is_none() || path.is_dir() {
        return Err(Usage(format!("--state-out {} is a folder; name a file", path.display())).into());
    }
    match folder {
        Some(folder) if !folder.is_dir() => {
            bail!(
                "cannot write {}: there is no folder {}",
                path.display(),
                folder.display()
            )
        }
        _ => Ok(()),
    }
}
