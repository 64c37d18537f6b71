//! Documents on lanes (docs/architecture.md, section 6): a lane reads every so-manieth document of a row of epochs, one
//! after the other, and what it remembers goes on from step to step.

use crate::data::{Order, Row, Text};
use crate::model::{Memory, Model};
use crate::randomness::{derive, permute};
use crate::settings::{Settings, Streaming};
use crate::tape::Matrix;

/// Lanes, and what their rows remember.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    seed: u64,
    streaming: Streaming,
    scales: Vec<Scale>,
    lanes: Vec<Lane>,
    /// Of the lanes, then of the rows that begin anew in every step.
    pub(crate) memories: Vec<Memory<Matrix>>,
    /// The position of the next token of each.
    pub(crate) clocks: Vec<usize>,
}

/// The steps of one window length.
#[derive(Clone, Debug)]
struct Scale {
    length: usize,
    weight: u64,
    /// Rows whose memory goes on, and rows that begin anew.
    persistent: usize,
    fresh: usize,
    /// What the latter read: all windows of a step in one piece.
    order: Option<Order>,
}

/// Where a lane is.
#[derive(Clone, Debug)]
struct Lane {
    /// The document in the row of all epochs, and how much of it was read.
    turn: u64,
    offset: usize,
    /// Tokens of a context that are taken to have passed where a document begins.
    stagger: usize,
}

/// The windows of a step, one after the other, and which memories their rows have.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub(crate) memories: Vec<usize>,
    pub(crate) rows: Vec<Vec<Row>>,
}

impl Streams {
    pub(crate) fn new(streaming: &Streaming, settings: &Settings, text: &Text) -> Self {
        let tokens = settings.batch_size * settings.block_size;
        let persistent = |rows: usize| ((streaming.persistent * rows as f64 + 1e-9) as usize).max(1);
        let mixture = match streaming.scales {
            [] => &[(settings.block_size, 1)],
            scales => scales,
        };
        let weights: u64 = mixture.iter().map(|(_, weight)| weight).sum();
        let batches = settings.steps * settings.accumulate as u64;
        let scales = mixture.iter().map(|&(length, weight)| {
            let rows = tokens / length;
            let fresh = rows - persistent(rows);
            let run = (batches * weight).div_ceil(weights) * fresh as u64;
            let order = || Order::new(text, length * streaming.unroll, settings, run);
            Scale {
                length,
                weight,
                persistent: persistent(rows),
                fresh,
                order: (fresh > 0).then(order),
            }
        });
        let scales: Vec<Scale> = scales.collect();
        let lanes = scales.iter().map(|scale| scale.persistent).max().unwrap_or(0);
        let rows = lanes + scales.iter().map(|scale| scale.fresh).max().unwrap_or(0);
        let lane = |index: usize| Lane {
            turn: index as u64,
            offset: 0,
            stagger: streaming.max_context.unwrap_or(0) * index / lanes,
        };
        Self {
            seed: settings.seed,
            streaming: streaming.clone(),
            scales,
            lanes: (0..lanes).map(lane).collect(),
            memories: vec![Model::no_memory(&settings.shape); rows],
            clocks: vec![0; rows],
        }
    }

    /// The windows of batch `index`; the lanes that are in it move on.
    pub(crate) fn batch(&mut self, index: u64, text: &Text) -> Windows {
        let (scale, visit) = self.scale(index);
        let pool = self.lanes.len();
        // The steps of a scale go round the lanes.
        let first = visit as usize * scale.persistent;
        let mut lanes: Vec<usize> = (first..first + scale.persistent)
            .map(|lane| lane % pool)
            .collect();
        lanes.sort_unstable();
        let windows = (0..self.streaming.unroll).map(|place| {
            let mut rows: Vec<Row> = lanes
                .iter()
                .map(|&lane| self.next(lane, scale.length, text))
                .collect();
            let first = visit * scale.fresh as u64;
            for window in first..first + scale.fresh as u64 {
                let start = scale.order.as_ref().map_or(0, |order| order.window(window).start);
                let start = start + place * scale.length;
                let resets = if place == 0 { vec![0] } else { Vec::new() };
                rows.push(text.row(start..start + scale.length, resets));
            }
            rows
        });
        Windows {
            rows: windows.collect(),
            memories: lanes.into_iter().chain(pool..pool + scale.fresh).collect(),
        }
    }

    /// The window length of a batch, and which number it has among those of its length. Batches come in blocks of as many
    /// as the weights sum to, each with every scale as often as its weight says, shuffled.
    fn scale(&self, index: u64) -> (Scale, u64) {
        let block: u64 = self.scales.iter().map(|scale| scale.weight).sum();
        let (turn, place) = (index / block, index % block);
        let mut rank = permute(place, block, derive(self.seed, "stream.scale", turn, 0));
        for scale in &self.scales {
            if rank < scale.weight {
                return (scale.clone(), turn * scale.weight + rank);
            }
            rank -= scale.weight;
        }
        unreachable!("a rank is below the sum of the weights")
    }

    /// The next tokens of a lane. Memory is emptied where a document begins, and wherever a context is full.
    fn next(&mut self, lane: usize, length: usize, text: &Text) -> Row {
        let (count, lanes) = (text.starts.len() as u64, self.lanes.len() as u64);
        let mut row = Row::default();
        let lane = &mut self.lanes[lane];
        while row.inputs.len() < length {
            let (epoch, place) = (lane.turn / count, lane.turn % count);
            let key = derive(self.seed, "stream.order", epoch, 0);
            let document = if self.streaming.in_order {
                place
            } else {
                permute(place, count, key)
            } as usize;
            let start = text.starts[document];
            let end = text.starts.get(document + 1).copied().unwrap_or(text.ids.len());
            let in_context = lane.offset + lane.stagger;
            let is_full = |most: usize| in_context.is_multiple_of(most);
            if lane.offset == 0 || self.streaming.max_context.is_some_and(is_full) {
                row.resets.push(row.inputs.len());
            }
            row.inputs.push(text.ids[start + lane.offset]);
            row.targets.push(text.ids[start + lane.offset + 1]);
            lane.offset += 1;
            if start + lane.offset == end - 1 {
                (lane.turn, lane.offset) = (lane.turn + lanes, 0);
            }
        }
        row
    }
}
