//! The backward pass of one head of one lane in one window; `level/backward.rs` has the equations.

use super::block::{Gated, Lines, Sums, Turned, activate_back, gate_back, mirror};
use super::{Fused, Room};
use crate::backend::level::Sizes;
use crate::buffer::Line;
use crate::causal_read::Credit;
use crate::level::backward::Values;
use crate::level::between::Around;
use crate::level::gradients::HeadGradients;
use crate::level::head::Head;
use crate::level::read::Read;
use crate::level::scratch::Scratch;
use crate::matrix::native::bf16::{Blocks, Products};
use crate::matrix::{Block, Matrix, PANEL, Packed, Packing, Side};
use std::ops::Range;

/// Blocks whose products with a factor follow each other: its panel is read from the second-level cache once for all of them,
/// and their sums still fit the first-level cache.
const GROUP: usize = 2;

/// Room for the sums of a group of blocks, and for the lines of one.
#[derive(Default)]
struct Group {
    sums: [Sums; GROUP],
    lines: Lines,
}

/// Factors of the width that a window's products share, packed.
#[derive(Clone, Copy)]
struct Sides<'a> {
    v: Packed<'a>,
    a: Packed<'a>,
    du: Packed<'a>,
}

/// Gradients from du to da, and to x through the gate; q for [`through_read`], with the forms that memories need if
/// there are any.
pub(super) fn through_gate<B: Blocks>(
    fused: &Fused<'_>,
    scratch: &mut Scratch,
    read: &Read,
    du: &[f32],
    memories: bool,
    part: &mut HeadGradients<'_>,
) {
    let Fused { head, weights } = *fused;
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let a = &read.a[..tokens * width];
    let room = &mut scratch.fused;
    room.begin_back(head, memories);
    room.a_turned.left(head.precision, head.wide(a).transposed());
    let sides = Sides {
        v: scratch.v.left.left(head.precision, head.wide(head.v)).packed(),
        a: scratch.a.left.left(head.precision, head.wide(a)).packed(),
        du: scratch.du.left.left(head.precision, head.wide(du)).packed(),
    };
    let du = scratch.du.right.right(head.precision, head.wide(du)).packed();
    let da = scratch.da.sized(tokens * width);
    let products = Products::<B>::new();
    let mut group = Group::default();
    for tile in head.sizes.fused_tiles() {
        room.gate_back(&products, fused, sides, &tile, memories, &mut group);
        products.multiply(
            &mut part.encoder[head.sizes.rows_of(&tile)],
            width,
            room.encoded.packed(),
            du,
            part.is_begun,
        );
        products.multiply(
            &mut part.decoder_y[tile.start..],
            neurons,
            room.a_turned.packed(),
            room.right.packed(),
            part.is_begun,
        );
        products.multiply(
            da,
            width,
            room.left.packed(),
            weights.out_y.packed().part(&tile),
            tile.start > 0,
        );
    }
}

/// From da through the norm, the read and the rotation to v and to the memories.
pub(super) fn through_read<B: Blocks>(
    fused: &Fused<'_>,
    scratch: &mut Scratch,
    read: &Read,
    around: Around<'_, '_>,
    dv: &mut [f32],
    part: &mut HeadGradients<'_>,
) {
    let Fused { head, weights } = *fused;
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let dr = scratch.da.sized(tokens * width);
    head.norm_back(dr, &read.a, &read.scale);
    let room = &mut scratch.fused;
    let sides = [
        scratch.a.left.left(head.precision, head.wide(dr)).packed(),
        room.v_keys
            .right(head.precision, head.wide(head.v).transposed())
            .packed(),
    ];
    outer_of_reads::<B>(head, sides, &mut scratch.factor);
    let asked = (around.before.is_some() || around.ask).then(|| {
        let asked = head.asked(dr, &mut scratch.early);
        scratch.du.share(head.precision, asked, width)
    });
    let through = Through {
        both: scratch.factor.packed(),
        asked: asked.map(|asked| asked.left.packed()),
        written: match head.powers {
            None => scratch.v.left.packed(),
            Some(_) => head.faded(&mut scratch.late).left.packed(),
        },
    };
    let mut values = Values::begin(head, &mut scratch.felt, &read.scores, dr, dv);
    room.v_turned.left(head.precision, head.wide(head.v).transposed());
    let products = Products::<B>::new();
    let mut dq = Block::default();
    for tile in head.sizes.fused_tiles() {
        room.activate_back(&products, head, &around, &tile, through, &mut dq);
        products.multiply(
            &mut part.decoder_x[tile.start..],
            neurons,
            room.v_turned.packed(),
            room.right.packed(),
            part.is_begun,
        );
        products.multiply(
            values.stream,
            width,
            room.left.packed(),
            weights.out_x.packed().part(&tile),
            true,
        );
    }
    let all = 0..neurons;
    if let Some(rows) = around.later.rows(&all, width) {
        products.multiply(values.through_memory(), width, room.q_left.packed(), rows, true);
    }
    if let Some(asked) = asked.filter(|_| around.ask) {
        let q = room.q_turned.packed();
        around.later.write_by(head, &all, |rows, add| {
            products.multiply(rows, width, q, asked.right, add)
        });
    }
    drop(products);
    around.passed();
    values.end(head, &read.scores, dr);
}

/// Packs matrix M of `level/backward.rs`, `dr v^T` below the diagonal, decayed, and above it the same transposed if keys are
/// credited, from the packed dr and the packed v transposed.
fn outer_of_reads<B: Blocks>(head: &Head<'_>, sides: [Packed<'_>; 2], into: &mut Packing) {
    let tokens = head.sizes.tokens;
    into.begin(Side::Left, tokens, tokens);
    let (products, credits_keys) = (Products::<B>::new(), head.credit == Credit::Full);
    let (mut block, mut mirrored) = (Block::default(), [Line::ZERO; PANEL]);
    for t in (0..tokens).step_by(PANEL) {
        for s in (0..=t).step_by(PANEL) {
            products.block(sides, [t, s], &mut block, false);
            head.fade_block(&mut block, [t, s]);
            // SAFETY: there are products in bf16, so the processor has what they and this ask for.
            unsafe {
                mirror(
                    &block,
                    t == s,
                    into.step_mut(t, s),
                    credits_keys.then_some(&mut mirrored),
                )
            };
            if t != s {
                into.step_mut(s, t).copy_from_slice(&mirrored);
            }
        }
    }
}

/// Left factors of the gradient of q: of q within the window, of the memory before it, and of the one after it.
#[derive(Clone, Copy)]
struct Through<'a> {
    both: Packed<'a>,
    asked: Option<Packed<'a>>,
    written: Packed<'a>,
}

/// Memories around a window that are not empty.
#[derive(Clone, Copy)]
struct Memories {
    before: bool,
    later: bool,
}

impl Room {
    /// Packs a tile of the gradient of x.
    fn activate_back<B: Blocks>(
        &mut self,
        products: &Products<B>,
        head: &Head<'_>,
        around: &Around<'_, '_>,
        tile: &Range<usize>,
        through: Through<'_>,
        dq: &mut Block,
    ) {
        let memories = self.turn_memories(head, around, tile);
        self.left.begin(Side::Left, head.sizes.tokens, tile.len());
        self.right.begin(Side::Right, tile.len(), head.sizes.tokens);
        for [t, n] in head.sizes.blocks_of(tile) {
            let in_tile = n - tile.start;
            products.block([through.both, self.q_keys.packed()], [t, n], dq, false);
            if let Some(asked) = through.asked.filter(|_| memories.before) {
                products.block([asked, self.before.packed()], [t, in_tile], dq, true);
            }
            if memories.later {
                products.block([through.written, self.later.packed()], [t, in_tile], dq, true);
            }
            let into = [self.left.step_mut(t, in_tile), self.right.step_mut(in_tile, t)];
            let (through_gate, active) = (self.dx.step(t, n), self.active.of([t, n]));
            // SAFETY: there are products in bf16, so the processor has what they and this ask for.
            unsafe { activate_back(dq, head.block_angles([t, n]), through_gate, active, into) };
        }
    }

    /// Packs the rows of a tile of the memories around a window, as factors from the width to neurons.
    fn turn_memories(&mut self, head: &Head<'_>, around: &Around<'_, '_>, tile: &Range<usize>) -> Memories {
        let width = head.sizes.width;
        let before = around
            .before
            .map(|before| Matrix::new(head.rows(before, tile), tile.len(), width, width));
        let later = around
            .later
            .rows(tile, width)
            .filter(|_| head.credit == Credit::Full);
        if let Some(rows) = before {
            self.before.right(head.precision, rows.transposed());
        }
        if let Some(rows) = later {
            self.later.right(head.precision, rows.transposed());
        }
        Memories {
            before: before.is_some(),
            later: later.is_some(),
        }
    }

    /// Packs a tile of y, of its gate's gradient and of what [`through_read`] needs.
    fn gate_back<B: Blocks>(
        &mut self,
        products: &Products<B>,
        Fused { head, weights }: &Fused<'_>,
        sides: Sides<'_>,
        tile: &Range<usize>,
        memories: bool,
        Group { sums: group, lines }: &mut Group,
    ) {
        let (tokens, count) = (head.sizes.tokens, tile.len());
        self.left.begin(Side::Left, tokens, count);
        self.right.begin(Side::Right, count, tokens);
        self.encoded.begin(Side::Left, count, tokens);
        let first_of_groups = (0..tokens).step_by(GROUP * PANEL);
        for (n, first) in tile
            .clone()
            .step_by(PANEL)
            .flat_map(|n| first_of_groups.clone().map(move |t| (n, t)))
        {
            let places = (first..tokens).step_by(PANEL).map(|t| [t, n]).take(GROUP);
            for (place, sums) in places.clone().zip(&mut *group) {
                products.block([sides.v, weights.in_x.packed()], place, &mut sums.x, false);
            }
            for (place, sums) in places.clone().zip(&mut *group) {
                products.block([sides.a, weights.in_y.packed()], place, &mut sums.gate, false);
            }
            for (place, sums) in places.clone().zip(&mut *group) {
                let sides = [sides.du, weights.in_encoder.packed()];
                products.block(sides, place, &mut sums.dy, false);
            }
            for (place, sums) in places.zip(&*group) {
                self.gate_block_back(head, sums, place, tile.start, memories, lines);
            }
        }
    }

    /// Packs a block of the tile that begins at a neuron.
    #[inline]
    fn gate_block_back(
        &mut self,
        head: &Head<'_>,
        sums: &Sums,
        [t, n]: [usize; 2],
        first: usize,
        memories: bool,
        lines: &mut Lines,
    ) {
        let mut columns = [0; PANEL];
        let dropout = head.block_dropout([t, n], &mut columns);
        let into = Gated {
            active: self.active.of([t, n]),
            dx: self.dx.step_mut(t, n),
            y: self.encoded.step_mut(n - first, t),
            gate_rows: self.left.step_mut(t, n - first),
            gate_pairs: self.right.step_mut(n - first, t),
        };
        let q = Turned {
            rows: memories.then(|| self.q_left.step_mut(t, n)),
            keys: None,
            pairs: Some(self.q_keys.step_mut(n, t)),
            neurons: memories.then(|| self.q_turned.step_mut(n, t)),
        };
        // SAFETY: there are products in bf16, so the processor has what they and this ask for.
        unsafe { gate_back(sums, head.block_angles([t, n]), dropout, into, q, lines) };
    }

    fn begin_back(&mut self, head: &Head<'_>, memories: bool) {
        let Sizes { tokens, neurons, .. } = head.sizes;
        self.active.begin(tokens, neurons);
        self.dx.begin(Side::Left, tokens, neurons);
        self.q_keys.begin(Side::Right, neurons, tokens);
        if memories {
            self.q_left.begin(Side::Left, tokens, neurons);
            self.q_turned.begin(Side::Left, neurons, tokens);
        }
    }
}
