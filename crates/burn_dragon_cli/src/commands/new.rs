//! `dragon new`: a folder for models of one's own data.

use crate::args::NewArgs;
use crate::exit::Usage;
use crate::families::{self, Entry};
use crate::own_data::OwnData;
use anyhow::Context;
use burn_dragon_train::api::expert::dragon_as_typed;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the folder exists, there is no such family or preset, or the disk refuses.
pub fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let family = families::named(Some(&args.family))?;
    let folder = &args.folder;
    let config = config(family, args.preset.as_deref())?;
    if folder.exists() {
        let text = format!("{} exists already; give another name", folder.display());
        return Err(Usage(text).into());
    }
    let own = family.own;
    make(
        folder,
        own,
        &[("config.toml", config), ("README.md", readme(own))],
    )?;
    let (shown, dragon) = (folder.display(), dragon_as_typed());
    show!("{shown}/config.toml  the configuration, with comments");
    show!("{shown}/README.md    the commands");
    show!("\nPut {} into {shown}/{}, then:\n", own.what, own.path);
    show!("  cd {shown}\n  {dragon} train config.toml");
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder with its files.
fn make(folder: &Path, own: OwnData, files: &[(&str, String)]) -> anyhow::Result<()> {
    let made = |path: &Path| format!("cannot create {}", path.display());
    fs::create_dir_all(folder).with_context(|| made(folder))?;
    if own.path.ends_with('/') {
        let data = folder.join(own.path);
        fs::create_dir(&data).with_context(|| made(&data))?;
    }
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| made(&path))?;
    }
    Ok(())
}

/// Configuration of a project: that of a preset, or of the default run, with the data of the project.
fn config(family: &Entry, preset: Option<&str>) -> Result<String, Usage> {
    let smallest = open_presets(family).next();
    let (name, text) = match preset.or(smallest) {
        Some(name) => (format!("preset `{name}`"), open_preset(family, name)?),
        None => ("default run".into(), family.base.text),
    };
    let title = format!(
        "# Configuration of this project, from the {name} of the family `{}`. It extends no other file: a key that is not\n\
         # here has its default. `dragon config show config.toml` shows all values, `dragon config doc` all keys.\n\n\
         family = \"{}\"\n\n{}\n",
        family.name, family.name, family.own.table
    );
    Ok(title + without_data(text).trim_start())
}

/// Names of the presets without data of their own, from the smallest one.
fn open_presets(family: &Entry) -> impl Iterator<Item = &'static str> {
    let open = family.presets.iter().filter(|preset| !has_data(preset.text));
    open.map(|preset| preset.name)
}

/// Text of a preset without data of its own.
fn open_preset(family: &Entry, name: &str) -> Result<&'static str, Usage> {
    let open: Vec<&str> = open_presets(family).collect();
    let instead = match open.is_empty() {
        true => "leave --preset out".into(),
        false => open.join(", "),
    };
    match family.presets.iter().find(|preset| preset.name == name) {
        Some(preset) if has_data(preset.text) => Err(Usage(format!(
            "the preset `{name}` has data of its own: `dragon train --preset {name}`; for your own data: {instead}"
        ))),
        Some(preset) => Ok(preset.text),
        None if family.presets.is_empty() => Err(Usage(format!(
            "the family `{}` has no presets; leave --preset out",
            family.name
        ))),
        None => Err(Usage(format!(
            "unknown preset `{name}`; for your own data: {instead}"
        ))),
    }
}

fn has_data(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "[dataset]")
}

/// Tables of a configuration without its title, `family` and the tables of its data.
fn without_data(text: &str) -> String {
    let mut kept = String::new();
    let mut keeps = false; // the title
    for line in text.lines() {
        if line.starts_with('[') {
            keeps = !line.starts_with("[dataset]") && !line.starts_with("[dataset.");
        }
        if keeps {
            kept += &format!("{line}\n");
        }
    }
    kept
}

/// Commands of the project.
fn readme(own: OwnData) -> String {
    let mut text = format!(
        "# A Dragon Hatchling model\n\nPut {} into `{}`. `config.toml` sets the model and its training. All commands run in \
         this folder.\n\n",
        own.what, own.path
    );
    let block = |title: &str, commands: &[&str]| {
        let lines: Vec<String> = commands.iter().map(|words| format!("dragon {words}\n")).collect();
        format!("{title}\n\n```sh\n{}```\n\n", lines.concat())
    };
    text += &block(
        "Check the configuration, look at the cost of a run, and train:",
        &[
            "config check config.toml",
            "train config.toml --dry-run",
            "train config.toml --out runs/first",
        ],
    );
    text += &block(
        "Look at the run: all runs of the folder, and a page with curves and samples:",
        &["runs", "report runs/latest"],
    );
    for (title, words) in own.uses {
        text += &block(&format!("With the trained model, {title}:"), &[words]);
    }
    text += &block(
        "Change a setting, train again, and compare the runs:",
        &[
            "train config.toml training.batch_size=4 --out runs/smaller_batch",
            "compare runs/first runs/smaller_batch",
        ],
    );
    text + "`dragon train --resume runs/latest` goes on with an interrupted run.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon::api::train::Layers;

    #[test]
    fn every_open_preset_and_default_run_gives_a_project_that_checks() {
        for family in families::all() {
            let open = family.presets.iter().filter(|preset| !has_data(preset.text));
            for preset in open.map(|preset| Some(preset.name)).chain([None]) {
                let text = config(family, preset).unwrap();
                let layers = Layers::new().embedded("config.toml", &text).unwrap();
                let faults = (family.check)(layers);
                assert!(faults.is_empty(), "{preset:?}: {faults:?}\n{text}");
                assert_eq!(text.matches("[dataset]").count(), 1, "{text}");
                assert!(text.contains(family.own.path));
            }
        }
    }

    #[test]
    fn a_preset_with_data_or_of_no_name_is_refused_with_those_that_fit() {
        let language = families::named(Some("language")).unwrap();
        let said = |name| config(language, Some(name)).unwrap_err().to_string();
        assert!(said("wikitext2").contains("dragon train --preset wikitext2"));
        assert!(said("smal").contains("tiny, small, base, large"));
        let sudoku = families::named(Some("sudoku")).unwrap();
        let said = config(sudoku, Some("small")).unwrap_err().to_string();
        assert!(said.contains("has no presets"), "{said}");
    }
}
