//! Windows: tokens of a lane that are read together, cut so that no window has a reset inside.

use crate::backend::level::Sizes;
use crate::retention::Resets;
use std::ops::Range;

/// Number of tokens in a window of a stream of `tokens`: all of them, or fewer if that is less work.
///
/// Windows have the same length, but the last one may be shorter. With a `carried` memory, each token reads and writes
/// it anyway, so windows always reduce the work.
///
/// By operation count, windows reduce the work beyond 4 widths, the more the shorter they are. As measured (forward and
/// backward), one window takes the same time as several at about 350, 510 and 850 tokens, for widths 64, 128 and 256.
/// Windows of about 170, 220 and 380 tokens are the fastest: products of shorter ones are slower, and memories are read
/// and written once a window. Windows of half or twice that length take 5 to 10 % more time.
pub fn chunk_length(tokens: usize, width: usize, carried: bool) -> usize {
    let break_even = 192 + 5 * width / 2;
    let window = 128 + width;
    if tokens <= window || (!carried && tokens <= break_even) {
        return tokens.max(1);
    }
    tokens.div_ceil(tokens.div_ceil(window))
}

/// Number of tokens of the windows that a GPU cuts a stream into: all where that is less work than memories between
/// windows.
pub fn gpu_chunk_length(tokens: usize, width: usize) -> usize {
    if tokens <= (4 * width).max(512) {
        return tokens.max(1);
    }
    tokens.div_ceil(tokens.div_ceil((2 * width).max(512)))
}

/// Memory before a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// An empty memory.
    Empty,
    /// The memory that was given with the stream.
    Carried,
    /// The memory after the window before it.
    Earlier,
}

/// Tokens of a lane that are read in the parallel form, with the memory before and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) tokens: Range<usize>,
    pub(super) before: Before,
    /// Whether the memory after it is ever read.
    pub(super) writes: bool,
}

/// The windows of each lane, or of all, where they are the same.
#[derive(Clone, Debug)]
pub(super) struct Windows(Vec<Vec<Window>>);

impl Windows {
    /// Windows of at most `chunk` tokens, or of the number with the least work; `carried` is whether a memory is
    /// carried.
    pub(super) fn new(sizes: Sizes, resets: &Resets, chunk: Option<usize>, carried: bool) -> Self {
        let lanes = if resets.is_empty() { 1 } else { sizes.lanes };
        let of_lane = |lane| {
            let pieces = resets.pieces(lane, sizes.tokens);
            let kept = carried && resets.of_lane(lane).first() != Some(&0);
            let windows = pieces.flat_map(|piece| {
                let read = kept && piece.start == 0;
                let write = carried && piece.end == sizes.tokens;
                let chunk = chunk.unwrap_or_else(|| chunk_length(piece.len(), sizes.width, read || write));
                let end = piece.end;
                piece.clone().step_by(chunk).map(move |start| Window {
                    tokens: start..end.min(start + chunk),
                    before: match (start > piece.start, read) {
                        (true, _) => Before::Earlier,
                        (false, true) => Before::Carried,
                        (false, false) => Before::Empty,
                    },
                    writes: start + chunk < end || write,
                })
            });
            windows.collect()
        };
        Self((0..lanes).map(of_lane).collect())
    }

    /// The windows of a lane.
    pub(super) fn of_lane(&self, lane: usize) -> &[Window] {
        &self.0[lane.min(self.0.len() - 1)]
    }

    /// Tokens of the longest window.
    pub(super) fn longest(&self) -> usize {
        self.0
            .iter()
            .flatten()
            .map(|window| window.tokens.len())
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(lanes: usize, tokens: usize) -> Sizes {
        Sizes {
            lanes,
            heads: 1,
            tokens,
            neurons: 2,
            width: 16,
        }
    }

    #[test]
    fn windows_cover_a_lane_and_end_at_its_resets() {
        let resets = Resets::new(vec![vec![], vec![0], vec![5, 6], vec![19]]);
        for (chunk, carried) in [(1, false), (3, true), (4, false), (100, true), (100, false)] {
            let windows = Windows::new(sizes(4, 20), &resets, Some(chunk), carried);
            for lane in 0..4 {
                let (mut end, windows) = (0, windows.of_lane(lane));
                for (index, window) in windows.iter().enumerate() {
                    let start = window.tokens.start;
                    assert_eq!(start, end);
                    let is_reset = resets.of_lane(lane).contains(&start);
                    let before = match (is_reset, index) {
                        (true, _) => Before::Empty,
                        (false, 0) if carried => Before::Carried,
                        (false, 0) => Before::Empty,
                        (false, _) => Before::Earlier,
                    };
                    assert_eq!(window.before, before);
                    let next = windows.get(index + 1).map(|next| next.before);
                    let read = next.map_or(carried, |before| before == Before::Earlier);
                    assert_eq!(window.writes, read);
                    assert!((1..=chunk).contains(&window.tokens.len()));
                    assert!(
                        !resets
                            .of_lane(lane)
                            .iter()
                            .any(|r| (start + 1..window.tokens.end).contains(r))
                    );
                    end = window.tokens.end;
                }
                assert_eq!(end, 20);
            }
        }
    }

    #[test]
    fn a_document_is_read_in_the_windows_it_would_have_alone() {
        let resets = Resets::new(vec![vec![700]]);
        let packed = Windows::new(sizes(1, 3000), &resets, None, false);
        let alone = |tokens, start: usize| {
            let windows = Windows::new(sizes(1, tokens), &Resets::default(), None, false);
            let shifted = windows.of_lane(0).iter().map(|window| Window {
                tokens: window.tokens.start + start..window.tokens.end + start,
                ..window.clone()
            });
            shifted.collect::<Vec<_>>()
        };
        assert_eq!(packed.of_lane(0), [alone(700, 0), alone(2300, 700)].concat());
    }
}
