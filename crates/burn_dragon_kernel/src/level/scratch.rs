//! Buffers that one thread uses again and again.

use super::fused;
use super::pattern::Pattern;
use super::shared::Room;
use crate::buffer::Buffer;
use crate::matrix::Packing;
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs with this thread's buffers.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(work)
}

/// Buffers of one head of one lane, used again and again by one thread.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) x: Buffer,     // [T, N], tile by tile
    pub(super) dx: Buffer,    // [T, N], tile by tile
    pub(super) q: Buffer,     // a tile
    pub(super) y: Buffer,     // a tile
    pub(super) gate: Buffer,  // a tile
    pub(super) tile: Buffer,  // a tile
    pub(super) da: Buffer,    // [T, D]
    pub(super) both: Buffer,  // [T, T]
    pub(super) early: Buffer, // [T, D], what decays with the distance from a window's start
    pub(super) felt: Buffer,  // [T, D], what values feel
    pub(super) v: Room,
    pub(super) late: Room, // v as it is left after a window, where it decays
    pub(super) a: Room,
    pub(super) du: Room,
    pub(super) factor: Packing,
    pub(super) fired: Pattern, // of a tile of x
    pub(super) kept: Pattern,  // of a tile of y
    pub(super) rho: Buffer,    // [N, D]
    pub(super) before: Buffer, // [windows with an earlier one, N, D], the memory before each
    pub(super) later: Buffer,  // [N, D], what later windows ask for
    pub(super) fused: fused::Room,
}
