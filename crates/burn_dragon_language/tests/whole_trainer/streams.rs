//! Documents on lanes (docs/architecture.md, section 6): a lane reads every so-manieth document of a row of epochs, one
//! after the other, and what it remembers goes on from step to step.

use crate::data::{Order, Row, Text};
use crate::model::{Memory, Model};
use crate::randomness::{derive, permute};
use crate::settings::{Settings, Streaming};
use crate::tape::Matrix;

/// Where a lane is.
#[derive(Clone, Debug)]
struct Lane {
    /// The document in the row of all epochs, and how much of it was read.
    turn: u64,
    offset: usize,
    /// Tokens of a context that are taken to have passed where a document begins.
    stagger: usize,
}

/// Lanes, and what their rows remember.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    streaming: Streaming,
    settings: Settings,
    lanes: Vec<Lane>,
    fresh: Option<Order>,
    /// Of the lanes whose memory goes on, then of those that begin anew.
    pub(crate) memories: Vec<Memory<Matrix>>,
    /// The position of the next token, of all rows.
    pub(crate) clock: usize,
}

impl Streams {
    pub(crate) fn new(streaming: &Streaming, settings: &Settings, text: &Text) -> Self {
        let rows = settings.batch_size;
        let persistent = ((streaming.persistent * rows as f64 + 1e-9) as usize).max(1);
        let lane = |index: usize| Lane {
            turn: index as u64,
            offset: 0,
            stagger: streaming.max_context.unwrap_or(0) * index / persistent,
        };
        let fresh = rows - persistent;
        let batches = settings.steps * settings.accumulate as u64;
        let order = || {
            let length = settings.block_size * streaming.unroll;
            Order::new(text, length, settings, batches * fresh as u64)
        };
        Self {
            streaming: streaming.clone(),
            settings: settings.clone(),
            lanes: (0..persistent).map(lane).collect(),
            fresh: (fresh > 0).then(order),
            memories: vec![Model::no_memory(&settings.shape); rows],
            clock: 0,
        }
    }

    /// The windows of a batch, one after the other; lanes move on.
    pub(crate) fn batch(&mut self, index: u64, text: &Text) -> Vec<Vec<Row>> {
        let length = self.settings.block_size;
        let (persistent, fresh) = (self.lanes.len(), self.settings.batch_size - self.lanes.len());
        let mut windows = Vec::new();
        for place in 0..self.streaming.unroll {
            let mut rows: Vec<Row> = (0..persistent)
                .map(|lane| self.next(lane, length, text))
                .collect();
            if let Some(order) = &self.fresh {
                let first = index * fresh as u64;
                rows.extend((first..first + fresh as u64).map(|row| {
                    let start = order.window(row).start + place * length;
                    let resets = if place == 0 { vec![0] } else { Vec::new() };
                    text.row(start..start + length, resets)
                }));
            }
            windows.push(rows);
        }
        windows
    }

    /// The next tokens of a lane. Memory is emptied where a document begins, and wherever a context is full.
    fn next(&mut self, lane: usize, length: usize, text: &Text) -> Row {
        let documents: Vec<usize> = (0..text.starts.len()).collect();
        let ends: Vec<usize> = text
            .starts
            .iter()
            .skip(1)
            .copied()
            .chain([text.ids.len()])
            .collect();
        let (count, lanes) = (documents.len() as u64, self.lanes.len() as u64);
        let Lane {
            turn,
            offset,
            stagger,
        } = &mut self.lanes[lane];
        let mut row = Row {
            inputs: Vec::new(),
            targets: Vec::new(),
            resets: Vec::new(),
        };
        while row.inputs.len() < length {
            let (epoch, place) = (*turn / count, *turn % count);
            let document = match self.streaming.in_order {
                true => place,
                false => permute(place, count, derive(self.settings.seed, "stream.order", epoch, 0)),
            } as usize;
            let at = text.starts[document] + *offset;
            let full = self
                .streaming
                .max_context
                .is_some_and(|most| (*offset + *stagger).is_multiple_of(most));
            if *offset == 0 || full {
                row.resets.push(row.inputs.len());
            }
            row.inputs.push(text.ids[at]);
            row.targets.push(text.ids[at + 1]);
            *offset += 1;
            if at + 2 == ends[document] {
                (*turn, *offset) = (*turn + lanes, 0);
            }
        }
        row
    }
}
