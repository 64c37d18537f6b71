//! Document: a text, in parts of which some have no loss.

use std::ops::Deref;

/// Text of a document. Its parts are encoded one by one, so that no token crosses an edge between two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    text: Vec<u8>,
    /// Parts in order; none if the text is one part that counts.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Number of bytes of the text up to its end.
    end: usize,
    /// Whether its tokens have a loss.
    counts: bool,
}

impl Document {
    /// Document of these parts, each with whether its tokens have a loss.
    pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a [u8], bool)>) -> Self {
        let mut document = Self::default();
        for (text, counts) in parts {
            document.text.extend_from_slice(text);
            let end = document.text.len();
            document.parts.push(Part { end, counts });
        }
        document
    }

    /// The text alone.
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// Whether the text has parts that are encoded apart.
    pub(super) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether a part of the text has no loss.
    pub fn is_masked(&self) -> bool {
        self.parts.iter().any(|part| !part.counts)
    }

    /// Parts of the text, and whether the tokens of each have a loss.
    pub fn parts(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let whole = Part {
            end: self.text.len(),
            counts: true,
        };
        let parts = match self.parts.is_empty() {
            true => vec![whole],
            false => self.parts.clone(),
        };
        let mut start = 0;
        parts.into_iter().map(move |part| {
            let text = &self.text[start..part.end];
            start = part.end;
            (text, part.counts)
        })
    }

    /// Splits the document: what begins at byte `at` is returned.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let text = self.text.split_off(at);
        let after = self.parts.iter().filter(|part| part.end > at);
        let after = after.map(|part| Part {
            end: part.end - at,
            ..*part
        });
        let second = Self {
            text,
            parts: after.collect(),
        };
        let mut start = 0;
        self.parts.retain_mut(|part| {
            let begins = start;
            start = part.end;
            part.end = part.end.min(at);
            begins < at
        });
        second
    }
}

impl Deref for Document {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.text
    }
}

impl From<Vec<u8>> for Document {
    fn from(text: Vec<u8>) -> Self {
        Self {
            text,
            parts: Vec::new(),
        }
    }
}

impl PartialEq<Vec<u8>> for Document {
    fn eq(&self, text: &Vec<u8>) -> bool {
        self.text == *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(document: &Document) -> Vec<(String, bool)> {
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        document
            .parts()
            .map(|(part, counts)| (text(part), counts))
            .collect()
    }

    #[test]
    fn a_text_without_parts_is_one_that_counts() {
        let document = Document::from(b"abc".to_vec());
        assert_eq!(parts(&document), [("abc".to_string(), true)]);
        assert!(!document.is_masked());
    }

    #[test]
    fn parts_are_divided_where_the_text_is() {
        let whole = [("ab", false), ("cde", true), ("f", false)];
        for at in 0..=6 {
            let mut first = Document::of_parts(whole.map(|(text, counts)| (text.as_bytes(), counts)));
            let second = first.split_off(at);
            let mut bytes = Vec::new();
            for (text, counts) in parts(&first).into_iter().chain(parts(&second)) {
                bytes.extend(text.bytes().map(|byte| (byte, counts)));
            }
            let expected = whole.iter();
            let expected = expected.flat_map(|(text, counts)| text.bytes().map(move |byte| (byte, *counts)));
            assert_eq!((first.len(), second.len()), (at, 6 - at));
            assert_eq!(bytes, expected.collect::<Vec<_>>(), "{at}");
        }
    }
}
