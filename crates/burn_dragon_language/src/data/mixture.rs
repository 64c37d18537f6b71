//! Mixtures of sources: documents of several sources in the proportion of their weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SourceConfig;
use super::note::Note;
use super::stream::{DocumentStream, SourceStream};
use crate::error::LanguageError;

/// Mixture of sources: the keys of `[dataset]` where `type = "mixture"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixtureConfig {
    /// The sources, with their weights. Sources of files only.
    pub sources: Vec<WeightedSource>,
}

/// Source of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeightedSource {
    /// Weight of its bytes among those of all sources.
    pub weight: f64,
    /// The source. Its keys are in the same table.
    #[serde(flatten)]
    pub source: SourceConfig,
}

impl MixtureConfig {
    pub(super) fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |reason: String| {
            Err(LanguageError::Config {
                key: "sources",
                reason,
            })
        };
        if self.sources.is_empty() {
            return refuse("is empty, but a mixture needs a source".into());
        }
        for (at, part) in self.sources.iter().enumerate() {
            if !(part.weight.is_finite() && part.weight > 0.0) {
                return refuse(format!(
                    "gives source {} the weight {}, not one above 0",
                    at + 1,
                    part.weight
                ));
            }
            if !part.source.is_of_files() || matches!(part.source, SourceConfig::Mixture(_)) {
                return refuse(format!(
                    "has as source {} one that is not of files of text: text, records, hugging_face, tiny_shakespeare \
                     and wikitext2 can be mixed",
                    at + 1
                ));
            }
            part.source.validate()?;
        }
        Ok(())
    }
}

/// Documents of a mixture. The next one is of the source whose bytes so far are the least for its weight; of equals, of
/// the first. The mixture ends with the first source that ends, so that the proportions hold to the end.
pub(super) struct Mixture<'a> {
    parts: Vec<Part<'a>>,
    ended: Option<usize>,
}

struct Part<'a> {
    weight: f64,
    documents: DocumentStream<'a>,
    bytes: u64,
}

impl<'a> Mixture<'a> {
    pub(super) fn new(parts: &'a [(f64, SourceStream)]) -> Self {
        let part = |(weight, part): &'a (f64, SourceStream)| Part {
            weight: *weight,
            documents: part.documents(),
            bytes: 0,
        };
        Self {
            parts: parts.iter().map(part).collect(),
            ended: None,
        }
    }

    /// Note about what was read of each source.
    pub(super) fn note(&self) -> Note {
        Note::Mixed {
            bytes: self.parts.iter().map(|part| part.bytes).collect(),
            ended: self.ended.unwrap_or_default(),
        }
    }
}

impl Iterator for Mixture<'_> {
    type Item = Result<Vec<u8>, LanguageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended.is_some() {
            return None;
        }
        let share = |part: &Part<'_>| part.bytes as f64 / part.weight;
        let least = |a: &usize, b: &usize| share(&self.parts[*a]).total_cmp(&share(&self.parts[*b]));
        let next = (0..self.parts.len()).min_by(least)?;
        let part = &mut self.parts[next];
        match part.documents.next() {
            Some(Ok(document)) => {
                part.bytes += document.len() as u64;
                Some(Ok(document))
            }
            Some(error) => {
                self.ended = Some(next);
                Some(error)
            }
            None => {
                self.ended = Some(next);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Corpus, DatasetConfig, SplitKind, TextConfig};

    fn part(weight: f64, path: &str) -> WeightedSource {
        WeightedSource {
            weight,
            source: SourceConfig::Text(TextConfig {
                paths: vec![path.into()],
                document_separator: Some("\n".into()),
            }),
        }
    }

    fn load(sources: Vec<WeightedSource>) -> Result<Corpus, LanguageError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, line, count) in [
            ("a.txt", "aaa\n", 300),
            ("b.txt", "bbbbbbb\n", 50),
            ("c.txt", "c\n", 1000),
        ] {
            std::fs::write(folder.path().join(name), line.repeat(count)).unwrap();
        }
        let config = DatasetConfig {
            source: SourceConfig::Mixture(MixtureConfig { sources }),
            ..DatasetConfig::default()
        };
        let memory = Corpus::load(&config, folder.path(), None)?;
        let cached = DatasetConfig {
            cache_dir: Some("cache".into()),
            ..config
        };
        let cached = Corpus::load(&cached, folder.path(), None)?;
        assert_eq!(
            (&cached.train, &cached.validation),
            (&memory.train, &memory.validation)
        );
        Ok(memory)
    }

    #[test]
    fn documents_come_in_the_proportion_of_the_weights() {
        let corpus = load(vec![part(3.0, "a.txt"), part(1.0, "b.txt")]).unwrap();
        assert!(matches!(corpus.split, SplitKind::AtDocument { .. }));
        let text: Vec<u32> = corpus.train.ids.pieces().flat_map(|ids| ids.to_vec()).collect();
        let count = |ids: &[u32], of: u8| ids.iter().filter(|&&id| id == u32::from(of)).count() as f64;
        // 3 of 4 bytes are of a.txt all the way, the line ends too.
        for part in text.chunks_exact(160) {
            let (a, b) = (count(part, b'a') * 4.0 / 3.0, count(part, b'b') * 8.0 / 7.0);
            assert!((a / (a + b) - 0.75).abs() < 0.06, "{a} and {b}");
        }
        // a.txt has 1200 bytes and ends first: 400 of b.txt.
        let note = corpus
            .notes
            .iter()
            .find(|note| matches!(note, Note::Mixed { .. }))
            .unwrap();
        let text = note.to_string();
        assert!(text.contains("source") && text.contains("bytes"), "{text}");
        let Note::Mixed { bytes, ended } = note else {
            unreachable!()
        };
        assert!(*ended < 2 && bytes[0].abs_diff(3 * bytes[1]) <= 24, "{bytes:?}");
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        let refused = |sources| {
            let error = load(sources).unwrap_err();
            assert!(
                matches!(error, LanguageError::Config { key: "sources", .. }),
                "{error}"
            );
        };
        refused(Vec::new());
        refused(vec![part(0.0, "a.txt")]);
        refused(vec![part(f64::NAN, "a.txt")]);
        let tales = SourceConfig::default();
        refused(vec![
            part(1.0, "a.txt"),
            WeightedSource {
                weight: 1.0,
                source: tales,
            },
        ]);
        let inner = MixtureConfig {
            sources: vec![part(1.0, "a.txt")],
        };
        let inner = SourceConfig::Mixture(inner);
        refused(vec![WeightedSource {
            weight: 1.0,
            source: inner,
        }]);
    }

    #[test]
    fn the_table_reads_and_writes_itself_and_refuses_other_keys() {
        let text = "type = 'mixture'\n[[sources]]\nweight = 2\ntype = 'text'\npaths = ['a']\n\
                    [[sources]]\nweight = 0.5\ntype = 'records'\npaths = ['b.jsonl']\ntemplate = '{a}'";
        let config: DatasetConfig = toml::from_str(text).unwrap();
        let SourceConfig::Mixture(mixture) = &config.source else {
            panic!("{config:?}")
        };
        assert_eq!((mixture.sources[0].weight, mixture.sources[1].weight), (2.0, 0.5));
        assert_eq!(
            toml::from_str::<DatasetConfig>(&toml::to_string(&config).unwrap()).unwrap(),
            config
        );
        let error = toml::from_str::<DatasetConfig>(&text.replace("template", "templat"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("templat"), "{error}");
    }

    #[test]
    fn ready_tables_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/language/datasets");
        let Ok(files) = std::fs::read_dir(folder) else {
            return; // a packed crate has no such folder
        };
        for file in files {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            #[derive(serde::Deserialize)]
            struct Tables {
                dataset: DatasetConfig,
            }
            let tables: Tables =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            tables.dataset.validate().unwrap();
            let again = toml::to_string(&tables.dataset).unwrap();
            assert_eq!(
                toml::from_str::<DatasetConfig>(&again).unwrap(),
                tables.dataset,
                "{}",
                path.display()
            );
        }
    }
}
