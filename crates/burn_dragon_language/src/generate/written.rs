//! Generated text, and the part of it that may be shown.

use crate::error::LanguageError;
use crate::tokenizer::StreamDecoder;

/// Text generated so far. Text that may be the beginning of a stop text is held back.
pub(super) struct Written<'a> {
    decoder: Option<StreamDecoder>,
    stops: &'a [String],
    pub(super) text: String,
    shown: usize,
    pub(super) stopped: bool,
}

impl<'a> Written<'a> {
    pub(super) fn new(decoder: StreamDecoder, stops: &'a [String]) -> Self {
        Self {
            decoder: Some(decoder),
            stops,
            text: String::new(),
            shown: 0,
            stopped: false,
        }
    }

    /// Text that became certain with this token.
    pub(super) fn push(&mut self, id: u32) -> Result<String, LanguageError> {
        let piece = match &mut self.decoder {
            Some(decoder) => decoder.push(id)?,
            None => String::new(),
        };
        // A stop text can begin at most its own length before the new piece.
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        self.text.push_str(&piece);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.text[from..].find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.text.truncate(from + at);
            self.stopped = true;
        }
        let certain = if self.stopped {
            self.text.len()
        } else {
            self.certain()
        };
        Ok(self.show_to(certain))
    }

    /// Length of the text that cannot be part of a stop text.
    fn certain(&self) -> usize {
        let held = self.stops.iter().flat_map(|stop| {
            let prefixes = stop
                .char_indices()
                .map(|(at, _)| &stop[..at])
                .filter(|prefix| !prefix.is_empty());
            prefixes
                .filter(|prefix| self.text.ends_with(*prefix))
                .map(str::len)
        });
        self.text.len() - held.max().unwrap_or(0)
    }

    fn show_to(&mut self, end: usize) -> String {
        let from = self.shown.min(end);
        self.shown = self.shown.max(end);
        self.text[from..end].to_string()
    }

    pub(super) fn finish(&mut self) -> String {
        if !self.stopped
            && let Some(decoder) = self.decoder.take()
        {
            self.text.push_str(&decoder.finish());
        }
        self.show_to(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::ByteTokenizer;
    use std::sync::Arc;

    #[test]
    fn a_stop_text_ends_it_and_no_part_of_it_is_shown() {
        let stops = vec!["END".to_string()];
        let mut written = Written::new(StreamDecoder::new(Arc::new(ByteTokenizer)), &stops);
        let mut shown = String::new();
        for byte in b"an EN EEND tail" {
            shown.push_str(&written.push(u32::from(*byte)).unwrap());
            if written.stopped {
                break;
            }
        }
        shown.push_str(&written.finish());
        assert_eq!((shown.as_str(), written.text.as_str()), ("an EN E", "an EN E"));
    }
}
