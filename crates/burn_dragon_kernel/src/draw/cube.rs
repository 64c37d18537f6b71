//! The draw on a GPU: one launch, a cube for each lane, in f32.
//!
//! Nothing is sorted. A running sum over the tokens, likeliest first, passes a number at one token; it is found digit by
//! digit of the tokens' places in that order: the bits of the logit, then the id. A digit has 3 bits: each round sums the
//! tokens of 8 digits. top-k is where the count reaches k, top-p where the sum reaches its share, and the draw is where
//! it passes a random share of what is left.

use crate::gpu::array::UNITS;
use crate::gpu::reduce::{largest_of_units, room, sum_of_units};
use cubecl::prelude::*;

/// Token in place of one where a logit, or what was computed from it, is not finite.
pub(crate) const NOTHING: u32 = u32::MAX;

/// Entries of a lane's tape before its tokens.
pub(crate) const HEAD: usize = 3;

/// Largest vocabulary: ids are compared in f32.
pub(crate) const MOST_TOKENS: usize = 1 << 24;

/// Rounds of 3 bits for the 32 bits of a logit.
const ROUNDS: u32 = 11;

/// Digits of a round.
const DIGITS: usize = 8;

/// Rounds of 3 bits for the ids of a vocabulary.
pub(crate) fn id_rounds(vocab: usize) -> u32 {
    let bits = usize::BITS - vocab.saturating_sub(1).leading_zeros();
    bits.div_ceil(3)
}

/// Settings of a launch. The tape of a lane begins with its place and its limit (`decode/cube`).
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(crate) struct Rule {
    vocab: usize,
    lanes: usize,
    /// Entries of a lane's tape, and uniform numbers of a lane.
    stride: usize,
    uniforms: usize,
    temperature: f32,
    top_k: f32,
    top_p: f32,
    penalty: f32,
    /// Token that ends a lane; [`NOTHING`] for none.
    end: u32,
    id_rounds: u32,
}

/// What of the settings is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Steps {
    pub(crate) greedy: bool,
    pub(crate) top_k: bool,
    pub(crate) top_p: bool,
    pub(crate) penalises: bool,
}

/// A logit after the penalty.
#[cube]
fn penalised(logit: f32, seen: u32, penalty: f32) -> f32 {
    let mut value = logit;
    let was_seen = seen != 0u32;
    if was_seen {
        if logit > 0.0f32 {
            value = logit / penalty;
        } else {
            value = logit * penalty;
        }
    }
    value
}

/// Entry `i` of the logits after the penalty.
#[cube]
fn logit_at(logits: &[f32], seen: &[u32], i: usize, penalty: f32, #[comptime] penalises: bool) -> f32 {
    let mut value = logits[i];
    if comptime!(penalises) {
        value = penalised(value, seen[i], penalty);
    }
    value
}

/// A number's place in the order of all numbers.
#[cube]
fn order(value: f32) -> u32 {
    let bits = u32::reinterpret(value);
    let mut order = bits | 0x8000_0000u32;
    if bits >= 0x8000_0000u32 {
        order = bits ^ 0xFFFF_FFFFu32;
    }
    order
}

/// 1 for what is infinite or not a number, else 0.
#[cube]
fn not_finite(value: f32) -> f32 {
    let mut count = 0.0f32;
    if (u32::reinterpret(value) & 0x7F80_0000u32) == 0x7F80_0000u32 {
        count = 1.0f32;
    }
    count
}

/// Whether a token is as likely as the last one of the cut, or likelier.
#[cube]
fn is_within(order: u32, id: u32, cut: &Shared<[u32]>) -> bool {
    order > cut[0] || (order == cut[0] && id <= cut[1])
}

/// The sum of the weights of the tokens within the cut.
#[cube]
fn sum_within(
    logits: &[f32],
    seen: &[u32],
    first: usize,
    rule: &Rule,
    top: f32,
    cut: &Shared<[u32]>,
    room: &mut Shared<[f32]>,
    #[comptime] penalises: bool,
) -> f32 {
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < rule.vocab {
        let logit = logit_at(logits, seen, first + i, rule.penalty, penalises);
        if is_within(order(logit), i as u32, cut) {
            sum += ((logit - top) / rule.temperature).exp();
        }
        i += comptime!(UNITS as usize);
    }
    sum_of_units(sum, room)
}

/// Moves the cut to the token at which the running sum over those within it passes `target`: their count and at least,
/// or their weights, and at least or more.
#[cube]
fn find(
    logits: &[f32],
    seen: &[u32],
    first: usize,
    rule: &Rule,
    top: f32,
    target: f32,
    cut: &mut Shared<[u32]>,
    bins: &mut Shared<[f32]>,
    room: &mut Shared<[f32]>,
    #[comptime] counts: bool,
    #[comptime] at_least: bool,
    #[comptime] penalises: bool,
) {
    let unit = UNIT_POS as usize;
    let mut found = 0u32; // bits of the logit
    let mut found_id = 0u32;
    let mut before = 0.0f32;
    let mut round = 0u32.runtime();
    while round < comptime!(ROUNDS).runtime() + rule.id_rounds {
        let is_of_order = round < comptime!(ROUNDS).runtime();
        let mut shift = 3u32 * (comptime!(ROUNDS - 1).runtime() - round);
        if !is_of_order {
            shift = 3u32 * (comptime!(ROUNDS - 1).runtime() + rule.id_rounds - round);
        }
        #[unroll]
        for digit in 0..comptime!(DIGITS) {
            bins[comptime!(digit * UNITS as usize) + unit] = 0.0f32;
        }
        let mut i = UNIT_POS as usize;
        while i < rule.vocab {
            let logit = logit_at(logits, seen, first + i, rule.penalty, penalises);
            let (order, id) = (order(logit), i as u32);
            let mut same = ((order >> shift) >> 3u32) == ((found >> shift) >> 3u32);
            let mut digit = (order >> shift) & 7u32;
            if !is_of_order {
                same = order == found && ((id >> shift) >> 3u32) == ((found_id >> shift) >> 3u32);
                digit = 7u32 - ((id >> shift) & 7u32);
            }
            if same && is_within(order, id, &*cut) {
                let mut share = 1.0f32;
                if comptime!(!counts) {
                    share = ((logit - top) / rule.temperature).exp();
                }
                bins[digit as usize * comptime!(UNITS as usize) + unit] += share;
            }
            i += comptime!(UNITS as usize);
        }
        sum_bins(bins, room);
        let mut running = before;
        let mut chosen = 8u32;
        let mut last = 0u32;
        let mut before_last = before;
        #[unroll]
        for step in 0..comptime!(DIGITS) {
            let sum = bins[comptime!(DIGITS - 1 - step)];
            if chosen == 8u32 && sum > 0.0f32 {
                last = comptime!((DIGITS - 1 - step) as u32).runtime();
                before_last = running;
                let mut passes = running + sum > target;
                if comptime!(at_least) {
                    passes = running + sum >= target;
                }
                if passes {
                    chosen = last;
                } else {
                    running += sum;
                }
            }
        }
        // Where rounding left a crumb, it is the last.
        before = before_last;
        if is_of_order {
            found = found | (last << shift);
        } else {
            found_id = found_id | ((7u32 - last) << shift);
        }
        sync_cube();
        round += 1u32;
    }
    if unit == 0 {
        cut[0] = found;
        cut[1] = found_id;
    }
    sync_cube();
}

/// The sums of all units' bins, in the first eight.
#[cube]
fn sum_bins(bins: &mut Shared<[f32]>, room: &mut Shared<[f32]>) {
    let unit = UNIT_POS as usize;
    sync_cube();
    let group = comptime!(UNITS as usize / DIGITS);
    let start = (unit / group) * comptime!(UNITS as usize) + unit % group;
    let mut sum = 0.0f32;
    #[unroll]
    for piece in 0..comptime!(DIGITS) {
        sum += bins[start + comptime!(piece * UNITS as usize / DIGITS)];
    }
    room[unit] = sum;
    sync_cube();
    if unit < comptime!(DIGITS) {
        let mut sum = 0.0f32;
        for piece in 0..group {
            sum += room[unit * group + piece];
        }
        bins[unit] = sum;
    }
    sync_cube();
}

/// The first token whose logit is the largest.
#[cube]
fn first_of_the_largest(
    logits: &[f32],
    seen: &[u32],
    first: usize,
    rule: &Rule,
    top: f32,
    room: &mut Shared<[f32]>,
    #[comptime] penalises: bool,
) -> u32 {
    let mut before = -(rule.vocab as f32);
    let mut i = UNIT_POS as usize;
    while i < rule.vocab {
        let is_top = logit_at(logits, seen, first + i, rule.penalty, penalises) == top;
        if is_top && -(i as f32) > before {
            before = -(i as f32);
        }
        i += comptime!(UNITS as usize);
    }
    (-largest_of_units(before, room)) as u32
}

/// Draws a token of each lane whose place is below its limit, writes it behind that place, and moves the place.
#[cube(launch)]
pub(crate) fn draw_tokens(
    logits: &[f32],
    uniforms: &[f32],
    seen: &mut [u32],
    tape: &mut [u32],
    rule: Rule,
    #[comptime] steps: Steps,
) {
    let lane = CUBE_POS;
    if lane >= rule.lanes {
        terminate!();
    }
    let mut room = room();
    let (first, start) = (lane * rule.vocab, lane * rule.stride);
    let (place, limit) = (tape[start], tape[start + 1]);
    let mut top = logit_at(logits, &*seen, first, rule.penalty, steps.penalises);
    let mut wrong = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < rule.vocab {
        let logit = logit_at(logits, &*seen, first + i, rule.penalty, steps.penalises);
        wrong += not_finite(logits[first + i]) + not_finite(logit);
        if logit > top {
            top = logit;
        }
        i += comptime!(UNITS as usize);
    }
    wrong = sum_of_units(wrong, &mut room);
    top = largest_of_units(top, &mut room);
    let mut number = lane * rule.uniforms;
    if place < limit {
        number += place as usize;
    }
    let uniform = uniforms[number];
    let mut token = chosen(logits, &*seen, first, &rule, top, uniform, &mut room, steps);
    if UNIT_POS == 0 && place < limit {
        if wrong > 0.0f32 {
            token = comptime!(NOTHING).runtime();
        } else if comptime!(steps.penalises) {
            seen[first + token as usize] = 1u32;
        }
        tape[start + comptime!(HEAD + 1) + place as usize] = token;
        tape[start] = place + 1u32;
        if token == rule.end || wrong > 0.0f32 {
            tape[start + 1] = place + 1u32;
        }
    }
}

/// The token that is drawn, if all is finite.
#[cube]
fn chosen(
    logits: &[f32],
    seen: &[u32],
    first: usize,
    rule: &Rule,
    top: f32,
    uniform: f32,
    room: &mut Shared<[f32]>,
    #[comptime] steps: Steps,
) -> u32 {
    if comptime!(steps.greedy) {
        first_of_the_largest(logits, seen, first, rule, top, room, steps.penalises)
    } else {
        draw_by(logits, seen, first, rule, top, uniform, room, steps)
    }
}

/// The token at which the running sum of the weights passes a share of it.
#[cube]
fn draw_by(
    logits: &[f32],
    seen: &[u32],
    first: usize,
    rule: &Rule,
    top: f32,
    uniform: f32,
    room: &mut Shared<[f32]>,
    #[comptime] steps: Steps,
) -> u32 {
    let mut bins = Shared::<[f32]>::new_slice(comptime!(DIGITS * UNITS as usize));
    let mut cut = Shared::<[u32]>::new_slice(2usize);
    if UNIT_POS == 0 {
        cut[0] = 0u32;
        cut[1] = 0xFFFF_FFFFu32;
    }
    sync_cube();
    let penalises = comptime!(steps.penalises);
    if comptime!(steps.top_k) {
        find(
            logits, seen, first, rule, top, rule.top_k, &mut cut, &mut bins, room, true, true, penalises,
        );
    }
    if comptime!(steps.top_p) {
        let target = rule.top_p * sum_within(logits, seen, first, rule, top, &cut, room, penalises);
        find(
            logits, seen, first, rule, top, target, &mut cut, &mut bins, room, false, true, penalises,
        );
    }
    let target = uniform * sum_within(logits, seen, first, rule, top, &cut, room, penalises);
    find(
        logits, seen, first, rule, top, target, &mut cut, &mut bins, room, false, false, penalises,
    );
    cut[1]
}

impl Rule {
    /// Settings of a draw for a launch.
    pub(crate) fn of(draw: &super::Draw, sizes: Sizes) -> (RuleLaunch, Steps) {
        let steps = Steps {
            greedy: draw.temperature == 0.0,
            top_k: draw.top_k.is_some_and(|k| k < sizes.vocab),
            top_p: draw.top_p.is_some_and(|p| p < 1.0),
            penalises: draw.penalty.is_some(),
        };
        let rule = RuleLaunch::new(
            sizes.vocab,
            sizes.lanes,
            sizes.stride,
            sizes.uniforms,
            draw.temperature as f32,
            draw.top_k.unwrap_or(0) as f32,
            draw.top_p.unwrap_or(1.0) as f32,
            draw.penalty.unwrap_or(1.0) as f32,
            sizes.end.unwrap_or(NOTHING),
            id_rounds(sizes.vocab),
        );
        (rule, steps)
    }
}

/// Sizes of a launch, and the token that ends a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) vocab: usize,
    pub(crate) lanes: usize,
    pub(crate) stride: usize,
    pub(crate) uniforms: usize,
    pub(crate) end: Option<u32>,
}
