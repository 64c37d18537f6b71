//! Real text, where it is: `DRAGON_DATA_DIR` names the folder; elsewhere the tests print that they skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn_dragon_language::api::expert::SplitKind;
use burn_dragon_language::api::{Corpus, DatasetConfig, SourceConfig, TextConfig, WindowStart};
use std::path::{Path, PathBuf};

fn data(file: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("DRAGON_DATA_DIR") else {
        println!("skipped: DRAGON_DATA_DIR is not set, so {file} was not read");
        return None;
    };
    Some(PathBuf::from(root).join(file))
}

#[test]
fn tiny_shakespeare_is_split_once_at_a_line_end_near_the_ratio() {
    let Some(path) = data("tinyshakespeare/input.txt") else {
        return;
    };
    let text = TextConfig {
        paths: vec![path.to_string_lossy().into_owned()],
        document_separator: None,
    };
    let config = DatasetConfig {
        source: SourceConfig::Text(text),
        windows: WindowStart::Anywhere,
        ..DatasetConfig::default()
    };
    let corpus = Corpus::load(&config, Path::new("."), None).unwrap();
    assert_eq!(corpus.train.len() + corpus.validation.len(), 1_115_394);
    let share = corpus.train.len() as f64 / 1_115_394.0;
    assert!((share - 0.9).abs() < 1e-4, "{share}");
    assert!(matches!(
        corpus.split,
        SplitKind::InsideDocument {
            at_line_end: true,
            ..
        }
    ));
    assert_eq!(corpus.train.ids.at(corpus.train.len() - 1), u32::from(b'\n'));
}
