//! Identity of a run's text: hashes by which a resumed run recognises it.

use crate::data::{Corpus, Tokens};
use crate::error::LanguageError;
use crate::model::LanguageModel;
use burn_dragon_checkpoint::api::expert::sha256_of_pieces;
use burn_dragon_train::api::{ChangedPart, DataHash, DataHashes, ResumePoint};

impl Tokens {
    /// Hash of the tokens as a model reads them: ids, starts of documents and, if not all have a loss, those that have.
    pub fn hash(&self) -> DataHash {
        let counts = [self.len(), self.starts.len()].map(|count| count as u64);
        let numbers = counts
            .into_iter()
            .chain(self.starts.iter().map(|&start| start as u64));
        let numbers: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        let ids = self.ids.pieces();
        let ids = ids.map(|ids| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>());
        let counted = self.counted.iter().flat_map(|counted| counted.ranges());
        let counted = counted.flat_map(|range| [range.start as u64, range.end as u64]);
        let counted: Vec<u8> = counted.flat_map(u64::to_le_bytes).collect();
        let [tokens, documents] = counts;
        DataHash {
            sha256: sha256_of_pieces(std::iter::once(numbers).chain(ids).chain([counted])),
            sizes: [
                ("tokens".to_string(), tokens),
                ("documents".to_string(), documents),
            ]
            .into(),
        }
    }
}

impl Corpus {
    /// Hashes of both parts. A resumed run compares them with those of its checkpoint.
    pub fn hashes(&self) -> DataHashes {
        DataHashes {
            training: self.train.hash(),
            validation: self.validation.hash(),
        }
    }
}

impl LanguageModel {
    /// Difference between the validation text `now` and the one that a checkpoint was evaluated on; `None` if they are
    /// equal. Figures on different texts are not comparable.
    ///
    /// # Errors
    /// If the checkpoint does not have the hash of its validation text.
    pub fn changed_validation(&self, now: &Tokens) -> Result<Option<ChangedPart>, LanguageError> {
        let resume_point = ResumePoint::beside(&self.file)?;
        Ok(resume_point.and_then(|resume_point| resume_point.identity.changed_validation(&now.hash())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Document, Documents};
    use crate::tokenizer::ByteTokenizer;

    #[test]
    fn the_hash_of_a_text_is_of_its_ids_and_of_where_documents_start() {
        let hash = |ids: Vec<u32>, starts: Vec<usize>| {
            let bytes = ids.len();
            Tokens {
                ids: ids.into(),
                starts,
                bytes,
                ..Tokens::default()
            }
            .hash()
        };
        let short = hash(vec![1, 2], vec![0, 1]);
        // By another implementation: of 2, 2, 0, 1 as 64 bits each, then 1, 2 as 32.
        assert_eq!(
            short.sha256,
            "7d215c2d9586f6f1afed4ccf14ccc1a46086666f4f022c5d5e947327a104f53f"
        );
        assert_eq!((short.sizes["tokens"], short.sizes["documents"]), (2, 2));
        let text = |last| (0..50_000).chain([last]).collect::<Vec<u32>>();
        let whole = hash(text(7), vec![0, 100]);
        assert_eq!(whole, hash(text(7), vec![0, 100]));
        for other in [
            hash(text(8), vec![0, 100]),
            hash(text(7), vec![0, 101]),
            hash(text(7), vec![0]),
        ] {
            assert_ne!(whole.sha256, other.sha256);
        }
        let of_parts = |counts: [bool; 2]| {
            let parts = [b"ab", b"cd"].map(|text| &text[..]).into_iter().zip(counts);
            let documents = Documents::of(vec![Document::of_parts(parts)]);
            Tokens::encode(&documents, &ByteTokenizer).unwrap().hash()
        };
        let masks = [[true, true], [true, false], [false, true]].map(of_parts);
        assert!(masks[0] != masks[1] && masks[1] != masks[2] && masks[0] != masks[2]);
        let plain = Tokens::encode(&Documents::new(vec![b"abcd".to_vec()]), &ByteTokenizer).unwrap();
        assert_eq!(plain.hash(), masks[0]);
    }
}
