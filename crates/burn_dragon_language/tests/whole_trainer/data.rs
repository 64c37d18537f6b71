//! Text as tokens, and which of them are seen when (docs/architecture.md, sections 5 and 8).

use crate::randomness::{derive, permute};
use crate::settings::{Settings, Windows};
use std::ops::Range;

/// Ids of `<pad>`, `<bos>`, `<eos>` and `<unk>` come first.
const SPECIALS: usize = 4;
const END_OF_TEXT: usize = 2;

/// Documents as tokens.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) ids: Vec<usize>,
    /// Where each document starts.
    pub(crate) starts: Vec<usize>,
    /// Bytes that each id stands for.
    pub(crate) byte_len: Vec<usize>,
}

/// One window of one row of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) inputs: Vec<usize>,
    /// The token after each.
    pub(crate) targets: Vec<usize>,
    /// Inputs before which memory is emptied.
    pub(crate) resets: Vec<usize>,
}

impl Text {
    /// A token a character, in the order in which the training text has them; each document is closed.
    pub(crate) fn new(documents: &[String], training: &[String]) -> Self {
        let mut symbols: Vec<char> = Vec::new();
        for symbol in training.iter().flat_map(|document| document.chars()) {
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
        let id = |symbol: char| {
            let known = symbols.iter().position(|&known| known == symbol);
            SPECIALS + known.unwrap_or_else(|| panic!("{symbol:?} is in no training text"))
        };
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for document in documents {
            starts.push(ids.len());
            ids.extend(document.chars().map(id));
            ids.push(END_OF_TEXT);
        }
        let lengths = symbols.iter().map(|symbol| symbol.len_utf8());
        Self {
            ids,
            starts,
            byte_len: [0; SPECIALS].into_iter().chain(lengths).collect(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.iter().map(|&id| self.byte_len[id]).sum()
    }

    /// A window of so many inputs and their targets.
    pub(crate) fn row(&self, inputs: Range<usize>, resets: Vec<usize>) -> Row {
        Row {
            inputs: self.ids[inputs.clone()].to_vec(),
            targets: self.ids[inputs.start + 1..inputs.end + 1].to_vec(),
            resets,
        }
    }

    /// The ids of each document.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &[usize]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.ids.len()]);
        let ranges = self.starts.iter().zip(ends);
        ranges.map(|(&start, end)| &self.ids[start..end])
    }

    /// From the start of one window to that of the next: a document that starts within its length, the last of them, or
    /// else where it ends.
    fn next_start(&self, start: usize, length: usize, windows: Windows) -> usize {
        let mut within = self
            .starts
            .iter()
            .filter(|&&at| at > start && at <= start + length);
        match windows {
            Windows::Anywhere => start + length,
            Windows::Document | Windows::InOrder => within.next_back().copied().unwrap_or(start + length),
        }
    }

    /// What an evaluation reads where each window begins with an empty memory: windows of so many inputs, and the target of
    /// the last. Every token but a document's first is predicted once. At most so many windows, spread evenly.
    pub(crate) fn windows(&self, length: usize, most: usize) -> Vec<&[usize]> {
        let mut all = Vec::new();
        for document in self.documents() {
            let predicted = document.len() - 1;
            for start in (0..predicted).step_by(length) {
                all.push(&document[start..=predicted.min(start + length)]);
            }
        }
        let chosen = most.min(all.len());
        (0..chosen).map(|i| all[i * all.len() / chosen]).collect()
    }

    /// What an evaluation reads where memory is carried: the documents, as far as so many tokens are predicted.
    pub(crate) fn leading(&self, most: usize) -> Vec<&[usize]> {
        let (mut left, mut all) = (most, Vec::new());
        for document in self.documents() {
            let predicted = left.min(document.len() - 1);
            left -= predicted;
            if predicted > 0 {
                all.push(&document[..=predicted]);
            }
        }
        all
    }
}

/// The windows of a training run, of `length` inputs each.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    windows: Windows,
    length: usize,
    seed: u64,
    /// Where windows start, unless they start anywhere.
    starts: Vec<usize>,
    /// In an epoch.
    pub(crate) count: u64,
    /// In the run.
    run: u64,
    tokens: usize,
}

impl Order {
    /// The windows over a text, of a run that sees so many: each once in an epoch.
    pub(crate) fn new(text: &Text, length: usize, settings: &Settings, run: u64) -> Self {
        let (mut starts, mut start) = (Vec::new(), 0);
        let last = text.ids.len() - length - 1;
        while start < last {
            starts.push(start);
            start = text.next_start(start, length, settings.windows);
        }
        starts.push(last); // so that the last token is predicted too
        let count = match settings.windows {
            // Shifted by as much as length - 1, they still have to reach the end.
            Windows::Anywhere => 1 + (last + length - 1).div_ceil(length) as u64,
            Windows::Document | Windows::InOrder => starts.len() as u64,
        };
        Self {
            windows: settings.windows,
            length,
            seed: settings.seed,
            starts,
            count,
            run,
            tokens: text.ids.len(),
        }
    }

    /// The inputs of window `index` of the run: a keyed permutation of the windows of an epoch.
    pub(crate) fn window(&self, index: u64) -> Range<usize> {
        let (epoch, place) = (index / self.count, index % self.count);
        let shuffled = || permute(place, self.count, derive(self.seed, "window.order", epoch, 0)) as usize;
        let start = match self.windows {
            Windows::Anywhere => {
                let shift = derive(self.seed, "window.shift", epoch, 0) as usize % self.length;
                let start = (shuffled() * self.length).saturating_sub(shift);
                start.min(self.tokens - self.length - 1)
            }
            Windows::Document => self.starts[shuffled()],
            Windows::InOrder if self.run < self.count => {
                self.starts[(index % self.run * self.count / self.run) as usize]
            }
            Windows::InOrder => self.starts[place as usize],
        };
        start..start + self.length
    }
}
