//! Files of training: beside the model in a checkpoint, and in the run folder.

use super::config::LanguageConfig;
use super::family::Language;
use super::streams;
use crate::export::LANGUAGE;
use crate::tokenizer::TokenizerConfig;
use burn_dragon_checkpoint::api::{Companion, CompanionTensor, Layout, ModelKind, RunWords};
use burn_dragon_core::api::DragonConfig;
use burn_dragon_train::api::{expert, run_config};
use serde_json::json;
use std::path::Path;

/// Companion files of a model: those of the trainer, and the memories of lanes carried from step to step.
pub(crate) fn companions(config: &DragonConfig) -> Vec<Companion> {
    let tensors = LANGUAGE.tensors(&json!(config)).unwrap_or_default();
    let mut companions = expert::companions(&tensors);
    let memory = config.trunk().memory();
    let shape = [memory.heads, memory.keys, memory.width];
    let rho = |level| CompanionTensor::of_lanes(streams::name(level), &shape);
    companions.push(Companion {
        file: streams::FILE,
        absent: None,
        layouts: vec![Layout {
            format: streams::FORMAT,
            tensors: (0..config.n_levels).map(rho).collect(),
        }],
    });
    companions
}

/// Description of the training, from a run folder.
pub(crate) fn run_words(folder: &Path) -> Option<RunWords> {
    let config = run_config::<Language>(folder).ok()?;
    let batches = format!(
        "Batches of {} windows of {} tokens, seed {}",
        config.training.batch_size, config.sequence.block_size, config.training.seed
    );
    Some(RunWords {
        data: config.dataset.in_words(),
        config: public(&config),
        lines: vec![batches],
    })
}

/// Configuration of a run without its folders: the names of the files identify the data well enough.
fn public(config: &LanguageConfig) -> Option<String> {
    let mut config = config.clone();
    let dataset = &mut config.dataset;
    dataset.cache_dir = None;
    if let TokenizerConfig::Bpe { path: Some(path), .. } = &mut dataset.tokenizer {
        *path = name_of(path);
    }
    let own = dataset.validation.as_deref_mut();
    for source in [Some(&mut dataset.source), own].into_iter().flatten() {
        for part in source.parts_mut() {
            for path in part.paths_mut().into_iter().flatten() {
                *path = name_of(path);
            }
        }
    }
    burn_dragon_train::api::config_text::<Language>(&config).ok()
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_given_away_without_the_folders_of_this_machine() {
        for (text, names) in [
            (
                "[dataset]\ntype = \"text\"\npaths = [\"/home/me/secret/books.txt\", \"b/*.md\"]\n\
                 [dataset.validation]\ntype = \"text\"\npaths = [\"/home/me/secret/held.txt\"]\n",
                &["books.txt", "*.md", "held.txt"][..],
            ),
            (
                "[dataset]\ntype = \"embedded\"\n[dataset.tokenizer]\ntype = \"bpe\"\npath = \"/home/me/secret/t.json\"\n",
                &["path = \"t.json\""],
            ),
            (
                "[dataset]\ntype = \"embedded\"\n\
                 [dataset.validation]\ntype = \"text\"\npaths = [\"/home/me/secret/held.txt\", \"b/..\"]\n",
                &["held.txt"],
            ),
        ] {
            let config = toml::from_str(&format!("{text}[model]\nd_model = 8\n")).unwrap();
            let public = public(&config).unwrap();
            for name in names.iter().chain(&["d_model = 8"]) {
                assert!(public.contains(name), "{public}");
            }
            assert!(!public.contains("secret") && !public.contains("b/"), "{public}");
        }
    }
}
