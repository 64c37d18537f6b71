//! The forward pass of a level on a GPU.

use super::fading::Which;
use super::{Place, Prepared, Read, activity, factor_type, scores, width};
use crate::backend::level::{LevelOn, LevelRun, MemoryOn};
use crate::gpu::array::{cast, contiguous, empty, entries, shaped, swapped, zeros};
use crate::gpu::product::{product, transposed};
use crate::norm::cube::norm;
use crate::reach::Reach;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::CubeElement;

/// Data that the gradient of a level needs.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(super) prepared: Prepared,
    /// Window by window.
    pub(super) reads: Vec<Read>,
    /// The memory before the stream, `[B, H, N, D]`.
    pub(super) rho: Option<CubeTensor>,
    /// Whether the memory after the stream is part of the output, behind u, and the one before it a parent in the
    /// graph.
    pub(super) passes: bool,
}

/// A level on a GPU.
pub(crate) fn level(
    input: LevelOn<CubeBackend>,
    memory: MemoryOn<CubeBackend>,
    keep: bool,
) -> LevelRun<CubeBackend, Kept> {
    let dtype = factor_type(&input.half);
    level_in(dtype, input, memory, keep)
}

/// A level whose products have factors of a type.
pub(super) fn level_in(
    dtype: DType,
    input: LevelOn<CubeBackend>,
    memory: MemoryOn<CubeBackend>,
    keep: bool,
) -> LevelRun<CubeBackend, Kept> {
    let prepared = Prepared::level(input, dtype);
    let (before, passes) = match memory {
        MemoryOn::None => (None, false),
        MemoryOn::Extended(rho) | MemoryOn::Constant(rho) => (Some(contiguous(rho)), false),
        MemoryOn::Passed(rho) => (Some(contiguous(rho)), true),
    };
    let rho = keep.then(|| before.clone()).flatten();
    let Forward {
        u,
        reads,
        memory,
        active,
    } = forward(&prepared, before, keep);
    let (u, memory) = match (passes, memory) {
        (true, Some(memory)) => (behind(&u, &memory), None),
        (_, memory) => (u, memory),
    };
    LevelRun {
        u,
        memory,
        active,
        kept: keep.then_some(Kept {
            prepared,
            reads,
            rho,
            passes,
        }),
    }
}

/// Two arrays of f32, one behind the other.
fn behind(one: &CubeTensor, other: &CubeTensor) -> CubeTensor {
    let (first, second) = (entries(one), entries(other));
    let both = empty(one, [first + second], DType::F32);
    for (part, size, offset) in [(one, first, 0), (other, second, first)] {
        let block = width::Block {
            size,
            stride: 0,
            offset,
        };
        block.copy(part, &both, true);
    }
    both
}

/// Output of the forward pass.
struct Forward {
    u: CubeTensor, // [B, 1, T, D]
    reads: Vec<Read>,
    memory: Option<CubeTensor>, // [B, H, N, D]
    active: [u64; 2],
}

/// Window by window; the memory before the stream, if there is one, becomes that after it.
fn forward(prepared: &Prepared, mut memory: Option<CubeTensor>, keep: bool) -> Forward {
    let carried = memory.is_some();
    let places = prepared.places();
    let last = places.len() - 1;
    let u = empty(&prepared.v, prepared.sizes.stream(), DType::F32);
    let (mut reads, mut counts) = (Vec::new(), Vec::new());
    for (index, place) in places.enumerate() {
        let [v, factors] = prepared.stream(&place);
        let drive = prepared.drive(&factors, &place);
        let q = prepared.queries(&drive, &place);
        let write = carried || index < last;
        let (rows, scores) = match prepared.reach {
            Reach::Causal if !keep && place.tokens.len() == 1 => (
                prepared.read_alone(&q, [&v, &factors], &mut memory, write, &place),
                None,
            ),
            Reach::Causal => prepared.read(&q, [&v, &factors], &mut memory, write, &place),
            Reach::Full => prepared.read_whole(&q, &factors, &mut memory, &place),
        };
        drop(q);
        let normed = norm(rows, prepared.eps);
        let part = prepared.speak(&drive, &normed.a, &mut counts, &place);
        width::put(&part, &u, &place);
        if keep {
            reads.push(Read { normed, scores });
        }
    }
    Forward {
        u,
        reads,
        memory: memory.filter(|_| carried),
        active: active(counts),
    }
}

/// The sums of `[rows, 2]` counts, read back.
pub(super) fn active(counts: Vec<CubeTensor>) -> [u64; 2] {
    let mut sums = [0; 2];
    for counts in counts {
        let bytes = counts.client.read_one_unchecked(counts.handle.clone());
        for pair in u32::from_bytes(&bytes)[..entries(&counts)].chunks_exact(2) {
            sums[0] += u64::from(pair[0]);
            sums[1] += u64::from(pair[1]);
        }
    }
    sums
}

impl Prepared {
    /// What the tokens of a window read of each other and of the memory, `[H, B, C, D]`, and their masked scores. They
    /// write to the memory after that.
    fn read(
        &self,
        q: &CubeTensor,
        [v, factors]: [&CubeTensor; 2],
        memory: &mut Option<CubeTensor>,
        write: bool,
        place: &Place,
    ) -> (CubeTensor, Option<CubeTensor>) {
        let scores = scores::lower(q, q, self.dtype, place);
        scores::mask(&scores, &self.fading, place);
        let rows = scores::read(&scores, factors, place);
        if let Some(rho) = &*memory {
            width::add(&rows, self.recalled(q, rho, place));
        }
        if write {
            self.write(q, [v, factors], memory, place);
        }
        (rows, Some(scores))
    }

    /// What one token reads: the memory alone. It writes to the memory after that.
    fn read_alone(
        &self,
        q: &CubeTensor,
        [v, factors]: [&CubeTensor; 2],
        memory: &mut Option<CubeTensor>,
        write: bool,
        place: &Place,
    ) -> CubeTensor {
        let rows = match &*memory {
            Some(rho) => self.recalled(q, rho, place),
            None => zeros(v, place.of_heads()),
        };
        if write {
            self.write(q, [v, factors], memory, place);
        }
        rows
    }

    /// What the tokens read of the memory before the window, faded: `[H, B, C, D]`.
    pub(super) fn recalled(&self, q: &CubeTensor, rho: &CubeTensor, place: &Place) -> CubeTensor {
        let rows = product(q.clone(), self.by_heads(rho), DType::F32);
        match self.fading.keeps_all() {
            true => rows,
            false => self.fading.fade(&rows, Which::Recalled, place),
        }
    }

    /// The memory after a window in place of that before it.
    pub(super) fn write(
        &self,
        q: &CubeTensor,
        [v, factors]: [&CubeTensor; 2],
        memory: &mut Option<CubeTensor>,
        place: &Place,
    ) {
        let late = self.written(v, factors, place);
        let written = product(transposed(q.clone()), late, DType::F32); // [H, B, N, D]
        let before = memory.take().unwrap_or_else(|| zeros(v, self.sizes.memory()));
        *memory = Some(self.fading.extend(before, written, place));
    }

    /// The stream as the memory after the window keeps it, `[H or 1, B, C, D]`, in the type of the factors.
    pub(super) fn written(&self, v: &CubeTensor, factors: &CubeTensor, place: &Place) -> CubeTensor {
        match self.fading.keeps_all() {
            true => factors.clone(),
            false => cast(self.fading.fade(v, Which::Written, place), self.dtype),
        }
    }

    /// A memory, `[B, H, N, D]`, as a factor of `[H, B, N, D]`.
    pub(super) fn by_heads(&self, memory: &CubeTensor) -> CubeTensor {
        swapped(cast(memory.clone(), self.dtype), [0, 1])
    }

    /// What all tokens of a window write, `[H, B, N, D]`, together with the memory before it, as a factor; it is the
    /// memory after it as well.
    pub(super) fn written_whole(
        &self,
        q: &CubeTensor,
        factors: &CubeTensor,
        memory: &mut Option<CubeTensor>,
        place: &Place,
    ) -> CubeTensor {
        let written = product(transposed(q.clone()), factors.clone(), DType::F32);
        let Some(before) = memory.take() else {
            return cast(written, self.dtype);
        };
        let after = self.fading.extend(before, written, place);
        let whole = self.by_heads(&after);
        *memory = Some(after);
        whole
    }

    /// What the tokens read where all read all.
    fn read_whole(
        &self,
        q: &CubeTensor,
        factors: &CubeTensor,
        memory: &mut Option<CubeTensor>,
        place: &Place,
    ) -> (CubeTensor, Option<CubeTensor>) {
        let whole = self.written_whole(q, factors, memory, place);
        (product(q.clone(), whole, DType::F32), None)
    }

    /// The contribution of a window, `[B C, D]`, from the normed read.
    pub(super) fn speak(
        &self,
        drive: &CubeTensor,
        a: &CubeTensor,
        counts: &mut Vec<CubeTensor>,
        place: &Place,
    ) -> CubeTensor {
        let a = place.in_rows(cast(a.clone(), self.dtype));
        let gate = product(a, self.weights.decoder_y.clone(), self.dtype);
        if self.count {
            counts.push(activity::count(drive, &gate, place));
        }
        let y = activity::gate(drive, gate, self.dropout.as_ref(), place);
        product(
            y,
            shaped(self.weights.encoder.clone(), self.sizes.encoder()),
            DType::F32,
        )
    }
}
