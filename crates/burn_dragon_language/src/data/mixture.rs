//! Mixtures of sources: documents of several sources in the proportion of their weights.

use serde::{Deserialize, Serialize};

use super::SourceConfig;
use super::note::Note;
use super::stream::{DocumentStream, SourceStream};
use crate::error::LanguageError;

/// Mixture of sources: the keys of `[dataset]` where `type = "mixture"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureConfig {
    /// The sources, with their weights. Sources of files only.
    pub sources: Vec<WeightedSource>,
}

/// Source of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
