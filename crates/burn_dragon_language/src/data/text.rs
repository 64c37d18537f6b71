//! Reading of a file into documents: unpacked, without a byte order mark, cut while it is read.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::{Foreign, SAMPLE, unmarked};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::error::LanguageError;

/// Number of bytes read at once.
const PIECE: usize = 1 << 20;

/// The SHA-256 of a text.
pub(super) type TextHash = [u8; 32];

/// Content of one file.
#[derive(Debug)]
pub(super) struct Text {
    /// Documents in order. None is blank.
    pub(super) documents: Vec<Vec<u8>>,
    /// Number of times that the separator occurs.
    pub(super) cuts: usize,
    /// Hash of the whole text, unpacked and without a byte order mark.
    pub(super) hash: TextHash,
}

/// Document separator as bytes.
#[derive(Debug, Clone)]
pub(super) struct Separator {
    bytes: Vec<u8>,
    /// Number of its bytes that stay with the document before: all, if it is white space.
    kept: usize,
}

impl Separator {
    pub(super) fn new(separator: &str) -> Self {
        let bytes = separator.as_bytes().to_vec();
        let blank = bytes.trim_ascii().is_empty();
        Self {
            kept: if blank { bytes.len() } else { 0 },
            bytes,
        }
    }
}

/// Reads a file into documents; it is unpacked if its name ends in `.gz`. At most the bytes of one read are held twice,
/// except while the buffer of a document grows.
///
/// # Errors
/// [`LanguageError::Read`], [`LanguageError::BadGzip`], [`LanguageError::Encoding`].
pub(super) fn read(path: &Path, separator: Option<&Separator>) -> Result<Text, LanguageError> {
    let mut reading = open(path, separator)?;
    let documents = reading.by_ref().collect::<Result<_, _>>()?;
    let (cuts, hash) = reading.finish();
    Ok(Text {
        documents,
        cuts,
        hash,
    })
}

/// Opens a file to read its documents one by one.
///
/// # Errors
/// [`LanguageError::Read`].
pub(super) fn open<'a>(path: &Path, separator: Option<&'a Separator>) -> Result<Reading<'a>, LanguageError> {
    let unread = |source| LanguageError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(unread)?;
    let packed = path
        .extension()
        .is_some_and(|name| name.eq_ignore_ascii_case("gz"));
    let length = match packed {
        true => 0,
        false => file.metadata().map_or(0, |metadata| metadata.len()),
    };
    Ok(Reading {
        path: path.into(),
        packed,
        source: match packed {
            true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
            false => Box::new(file),
        },
        cutter: Cutter::new(separator, usize::try_from(length).unwrap_or(0)),
        piece: Vec::new(),
        ready: VecDeque::new(),
        state: State::Begun,
    })
}

/// Documents of a file, read one by one. None is blank.
pub(super) struct Reading<'a> {
    path: PathBuf,
    packed: bool,
    source: Box<dyn Read>,
    cutter: Cutter<'a>,
    piece: Vec<u8>,
    /// Documents that were cut off and not yet taken.
    ready: VecDeque<Vec<u8>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Sampled,
    Ended,
}

impl Reading<'_> {
    /// Reads a piece, or notices the end.
    fn advance(&mut self) -> Result<(), LanguageError> {
        let first = self.state == State::Begun;
        let size = if first { SAMPLE } else { PIECE };
        self.piece.clear();
        let read = self
            .source
            .by_ref()
            .take(size as u64)
            .read_to_end(&mut self.piece);
        let read = read.map_err(|source| self.broken(source))?;
        if first {
            if let Some(encoding) = Foreign::of(&self.piece) {
                return Err(LanguageError::Encoding {
                    path: self.path.clone(),
                    encoding,
                });
            }
            self.cutter.add(unmarked(&self.piece));
            self.state = State::Sampled;
        } else if read == 0 {
            self.cutter.end();
            self.state = State::Ended;
        } else {
            self.cutter.add(&self.piece);
        }
        let documents = self.cutter.documents.drain(..);
        self.ready
            .extend(documents.filter(|document| !document.trim_ascii().is_empty()));
        Ok(())
    }

    fn broken(&self, source: std::io::Error) -> LanguageError {
        let path = self.path.clone();
        match self.packed {
            true => LanguageError::BadGzip { path, source },
            false => LanguageError::Read { path, source },
        }
    }

    /// Number of separators, and hash of the whole text. All documents must have been taken.
    pub(super) fn finish(self) -> (usize, TextHash) {
        (self.cutter.cuts, self.cutter.hash.finalize().into())
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<Vec<u8>, LanguageError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && self.state != State::Ended {
            if let Err(error) = self.advance() {
                self.state = State::Ended;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Cuts a text into documents while it is read.
struct Cutter<'a> {
    separator: Option<&'a Separator>,
    /// Text after the last cut.
    rest: Vec<u8>,
    /// Number of its bytes in which no separator begins.
    searched: usize,
    documents: Vec<Vec<u8>>,
    cuts: usize,
    hash: Sha256,
}

impl<'a> Cutter<'a> {
    /// Creates a cutter for a text of about `length` bytes.
    fn new(separator: Option<&'a Separator>, length: usize) -> Self {
        let mut rest = Vec::new();
        if separator.is_none() {
            let _ = rest.try_reserve_exact(length); // it grows otherwise
        }
        Self {
            separator,
            rest,
            searched: 0,
            documents: Vec::new(),
            cuts: 0,
            hash: Sha256::new(),
        }
    }

    fn add(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.rest.extend_from_slice(piece);
        let Some(separator) = self.separator else { return };
        let length = separator.bytes.len();
        let mut start = 0;
        while let Some(step) = find(&self.rest[self.searched..], &separator.bytes) {
            let at = self.searched + step;
            self.cuts += 1;
            if start == 0 && at > PIECE {
                // So long a document is given away, not copied; what was read beyond it is short.
                let beyond = self.rest.split_off(at + length);
                self.rest.truncate(at + separator.kept);
                self.documents.push(std::mem::replace(&mut self.rest, beyond));
                self.searched = 0;
                continue;
            }
            self.documents
                .push(self.rest[start..at + separator.kept].to_vec());
            start = at + length;
            self.searched = start;
        }
        // The first bytes of a separator may be the last of a piece.
        self.searched = self.searched.max((self.rest.len() + 1).saturating_sub(length)) - start;
        self.rest.drain(..start);
    }

    /// What is left is the last document.
    fn end(&mut self) {
        self.documents.push(std::mem::take(&mut self.rest));
    }
}

/// Number of occurrences of a part in a text, without overlap.
pub(super) fn count(text: &[u8], part: &[u8]) -> usize {
    let (mut from, mut times) = (0, 0);
    while let Some(step) = find(&text[from..], part) {
        from += step + part.len();
        times += 1;
    }
    times
}

/// Position of a part in a text.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    // Most positions are ruled out by the first byte alone.
    let first = *part.first()?;
    let mut from = 0;
    while let Some(step) = text[from..].iter().position(|&byte| byte == first) {
        from += step;
        if text[from..].starts_with(part) {
            return Some(from);
        }
        from += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_in_pieces(text: &[u8], separator: &str, piece: usize) -> (Vec<Vec<u8>>, usize, TextHash) {
        let separator = Separator::new(separator);
        let mut cutter = Cutter::new(Some(&separator), 0);
        text.chunks(piece).for_each(|piece| cutter.add(piece));
        cutter.end();
        let documents = cutter.documents.into_iter();
        let documents = documents.filter(|document| !document.trim_ascii().is_empty());
        (documents.collect(), cutter.cuts, cutter.hash.finalize().into())
    }

    #[test]
    fn a_text_is_cut_the_same_whatever_the_pieces_it_comes_in() {
        let text = b"\n\none\n\n\ntwo\n--\n--three\n-\n--\n\n".repeat(3);
        for separator in ["\n\n", "\n--\n", "\n", "-", "\n--\n--", "zz"] {
            let whole = cut_in_pieces(&text, separator, text.len());
            assert_eq!(whole.1, count(&text, separator.as_bytes()), "{separator:?}");
            for piece in 1..9 {
                assert_eq!(
                    cut_in_pieces(&text, separator, piece),
                    whole,
                    "{separator:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn a_text_longer_than_what_is_read_at_once_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let line = b"The dragon went up the hill and down again. ";
        let mut text = line.repeat(2 * PIECE / line.len());
        let middle = PIECE + SAMPLE - 1; // a separator that begins in one piece and ends in the next
        text[middle..middle + 3].copy_from_slice(b"<|>");
        std::fs::write(&path, &text).unwrap();
        let whole = read(&path, None).unwrap();
        assert!(whole.documents == [text.clone()]);
        let halves = read(&path, Some(&Separator::new("<|>"))).unwrap();
        assert!(halves.documents == [text[..middle].to_vec(), text[middle + 3..].to_vec()]);
        assert_eq!((halves.cuts, halves.hash), (1, whole.hash));
    }
}
