//! Gradient of a level on a GPU; the equations are those of the processor's `backward.rs`, a window at a time.

use super::fading::Which;
use super::forward::Kept;
use super::{Place, Prepared, Read, activity, scores, width};
use crate::causal_read::Credit;
use crate::gpu::array::{cast, contiguous, empty, entries, shaped, zeros};
use crate::gpu::product::{product, transposed};
use crate::norm::cube::norm_back;
use crate::reach::Reach;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// The gradients of the weights, summed over windows.
#[derive(Debug, Default)]
pub(super) struct OfWeights {
    decoder_x: Option<CubeTensor>,
    decoder_y: Option<CubeTensor>,
    encoder: Option<CubeTensor>,
}

fn sum(into: &mut Option<CubeTensor>, part: CubeTensor) {
    match into {
        None => *into = Some(part),
        Some(into) => width::add(into, part),
    }
}

impl OfWeights {
    /// The gradients of decoder_x, decoder_y and encoder.
    pub(super) fn all(self) -> [CubeTensor; 3] {
        [self.decoder_x, self.decoder_y, self.encoder]
            .map(|gradient| gradient.unwrap_or_else(|| unreachable!("a stream has a window")))
    }

    /// The gradient of decoder_x.
    pub(super) fn of_x(self) -> CubeTensor {
        self.decoder_x
            .unwrap_or_else(|| unreachable!("a stream has a window"))
    }
}

/// A window on the way back.
pub(super) struct Back<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) place: &'a Place,
    pub(super) v: CubeTensor,       // [1, B, C, D], f32
    pub(super) factors: CubeTensor, // the same, in the type of the factors
    pub(super) drive: CubeTensor,   // [H, B C, N]
}

/// Gradients that pass a window's memories.
struct Memories {
    /// The memory before the window, `[B, H, N, D]`; none where it is empty.
    before: Option<CubeTensor>,
    /// The gradient of the memory after it; none where nothing reads that.
    after: Option<CubeTensor>,
    /// Whether the gradient of the memory before it is needed.
    asks: bool,
}

/// The gradients of a level: of v, decoder_x, decoder_y, encoder, of the memory where gradients pass it, and of the
/// slopes.
pub(crate) fn level_back(kept: &Kept, d: CubeTensor) -> Vec<CubeTensor> {
    let prepared = &kept.prepared;
    let (du, mut later) = gradients(kept, contiguous(d));
    let mut befores = prepared.memories(kept.rho.clone());
    let dv = empty(&prepared.v, prepared.sizes.stream(), DType::F32);
    let slopes = zeros(&prepared.v, [prepared.sizes.heads]);
    let mut weights = OfWeights::default();
    for (index, place) in prepared.places().enumerate().rev() {
        let back = Back::new(prepared, &place);
        let memories = Memories {
            before: befores.pop().flatten(),
            after: later.take(),
            asks: prepared.remembers_back() && (index > 0 || kept.passes),
        };
        let read = &kept.reads[index];
        let du = width::window(&du, &place);
        let (dx, dr) = back.through_gate(&read.normed.a, du, &mut weights, |da| {
            norm_back(read.normed.clone(), da)
        });
        let (dq, felt, before) = match prepared.reach {
            Reach::Causal => back.through_read(read, dr, memories, &slopes),
            Reach::Full => back.through_whole_read(dr, memories),
        };
        later = before;
        back.turn_back(dq, &dx);
        let of_x = back.through_x(dx, &mut weights);
        width::put_sum([Some(of_x), felt], &dv, &place);
    }
    let mut all = vec![dv];
    all.extend(weights.all());
    if kept.passes {
        all.push(later.unwrap_or_else(|| zeros(&prepared.v, prepared.sizes.memory())));
    }
    all.push(slopes);
    all
}

/// The gradient of u, `[B, 1, T, D]`, and that of the memory after the stream, where gradients pass it.
fn gradients(kept: &Kept, d: CubeTensor) -> (CubeTensor, Option<CubeTensor>) {
    let sizes = kept.prepared.sizes;
    if !kept.passes {
        return (shaped(d, sizes.stream()), None);
    }
    let (u, memory) = (
        empty(&d, sizes.stream(), DType::F32),
        empty(&d, sizes.memory(), DType::F32),
    );
    let first = entries(&u);
    for (part, offset) in [(&u, 0), (&memory, first)] {
        let block = width::Block {
            size: entries(part),
            stride: 0,
            offset,
        };
        block.copy(&d, part, false);
    }
    (u, Some(memory))
}

impl Prepared {
    /// Whether gradients of memories are needed: for keys and values, or for slopes.
    fn remembers_back(&self) -> bool {
        self.credit == Credit::Full || self.learns_slopes
    }

    /// The memory before each window; none where it is empty.
    fn memories(&self, mut rho: Option<CubeTensor>) -> Vec<Option<CubeTensor>> {
        let mut befores = Vec::with_capacity(self.windows.len());
        let last = self.windows.len() - 1;
        for (index, place) in self.places().enumerate() {
            befores.push(rho.clone());
            if index < last {
                let [v, factors] = self.stream(&place);
                let q = self.queries(&self.drive(&factors, &place), &place);
                self.write(&q, [&v, &factors], &mut rho, &place);
            }
        }
        befores
    }
}

impl<'a> Back<'a> {
    pub(super) fn new(prepared: &'a Prepared, place: &'a Place) -> Self {
        let [v, factors] = prepared.stream(place);
        let drive = prepared.drive(&factors, place);
        Self {
            prepared,
            place,
            v,
            factors,
            drive,
        }
    }

    /// From the gradient of u, `[1, B, C, D]`, to that of x through the gate, `[H, B C, N]`, and that of the normed
    /// read, through its norm: `[H, B, C, D]`.
    pub(super) fn through_gate(
        &self,
        a: &CubeTensor,
        du: CubeTensor,
        weights: &mut OfWeights,
        norm_back: impl FnOnce(CubeTensor) -> CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        let (prepared, place) = (self.prepared, self.place);
        let sizes = prepared.sizes;
        let of = &prepared.weights;
        let a = place.in_rows(cast(a.clone(), prepared.dtype));
        let gate = product(a.clone(), of.decoder_y.clone(), prepared.dtype);
        let rows = [sizes.lanes * place.tokens.len(), sizes.width];
        let du = shaped(cast(du, prepared.dtype), rows);
        let dz = product(du.clone(), transposed(of.encoder.clone()), prepared.dtype); // [B C, H N]
        let dx = activity::gate_back(&self.drive, &gate, &dz, prepared.dropout.as_ref(), place);
        let (y, dg) = (dz, gate);
        sum(&mut weights.encoder, product(transposed(y), du, DType::F32));
        sum(
            &mut weights.decoder_y,
            product(transposed(a), dg.clone(), DType::F32),
        );
        let da = product(dg, transposed(of.decoder_y.clone()), DType::F32);
        (dx, norm_back(shaped(da, place.of_heads())))
    }

    /// From the gradient of the read to that of q, to that of the values, `[H, B, C, D]`, and to that of the memory
    /// before the window.
    fn through_read(
        &self,
        read: &Read,
        dr: CubeTensor,
        memories: Memories,
        slopes: &CubeTensor,
    ) -> (CubeTensor, Option<CubeTensor>, Option<CubeTensor>) {
        let (prepared, place) = (self.prepared, self.place);
        let (dtype, fading) = (prepared.dtype, &prepared.fading);
        let Some(scores) = &read.scores else {
            unreachable!("a causal read has scores");
        };
        let credited = prepared.credit == Credit::Full;
        let q = prepared.queries(&self.drive, place);
        let of_read = cast(dr.clone(), dtype);
        let gradient = scores::lower(&of_read, &self.factors, DType::F32, place); // [H, B, C, C]
        if prepared.learns_slopes {
            width::subtract_sums(slopes, scores::slope_of_rows(scores, &gradient, place));
        }
        let both = scores::mirror(&gradient, fading, credited, dtype, place);
        let dq = product(both, q.clone(), dtype);
        let felt = credited.then(|| scores::read_back(scores, &of_read, place));
        let before = self.through_memories(&q, &dr, (&dq, felt.as_ref()), memories, slopes);
        (dq, felt, before)
    }

    /// Adds what passes the memories around a window to the gradients of q and of the values, if those are credited, and
    /// gives that of the memory before it.
    fn through_memories(
        &self,
        q: &CubeTensor,
        dr: &CubeTensor,
        (dq, felt): (&CubeTensor, Option<&CubeTensor>),
        memories: Memories,
        slopes: &CubeTensor,
    ) -> Option<CubeTensor> {
        let (prepared, place) = (self.prepared, self.place);
        let (dtype, fading) = (prepared.dtype, &prepared.fading);
        let Memories { before, after, asks } = memories;
        let early = || match fading.keeps_all() {
            true => cast(dr.clone(), dtype),
            false => cast(fading.fade(dr, Which::Recalled, place), dtype),
        };
        let early = (before.is_some() || asks).then(early);
        if let (Some(before), Some(early)) = (&before, &early) {
            let of_query = product(early.clone(), transposed(prepared.by_heads(before)), dtype);
            width::add(dq, of_query);
            if prepared.learns_slopes {
                let recalled = prepared.recalled(q, before, place);
                width::subtract_sums(slopes, width::weighted_dots(&recalled, dr, false, place));
            }
        }
        if let Some(after) = &after {
            if felt.is_some() {
                let late = prepared.written(&self.v, &self.factors, place);
                width::add(dq, product(late, transposed(prepared.by_heads(after)), dtype));
            }
            let mut of_values = product(q.clone(), prepared.by_heads(after), DType::F32);
            if !fading.keeps_all() {
                of_values = fading.fade(&of_values, Which::Written, place);
            }
            if prepared.learns_slopes {
                width::subtract_sums(slopes, width::weighted_dots(&of_values, &self.v, true, place));
                if let Some(before) = &before {
                    width::subtract_sums(slopes, width::memory_dots(before, after, fading, place));
                }
            }
            if let Some(felt) = felt {
                width::add(felt, of_values);
            }
        }
        let early = early.filter(|_| asks)?;
        let asked = product(transposed(q.clone()), early, DType::F32); // [H, B, N, D]
        let after = after.unwrap_or_else(|| zeros(dr, prepared.sizes.memory()));
        Some(fading.extend(after, asked, place))
    }

    /// [`through_read`](Self::through_read) where all tokens read all.
    ///
    /// With `S = rho + q^T v`, the read is `q S`. The gradient of S is `R = q^T dr` plus that of the memory after the
    /// window. Then `dq = dr S^T + v R^T`, the gradient of the values is `q R`, and R is the gradient of rho.
    fn through_whole_read(
        &self,
        dr: CubeTensor,
        memories: Memories,
    ) -> (CubeTensor, Option<CubeTensor>, Option<CubeTensor>) {
        let (prepared, place) = (self.prepared, self.place);
        let dtype = prepared.dtype;
        let q = prepared.queries(&self.drive, place);
        let dr = cast(dr, dtype);
        let mut memory = memories.before;
        let whole = prepared.written_whole(&q, &self.factors, &mut memory, place);
        let dq = product(dr.clone(), transposed(whole), dtype);
        if prepared.credit == Credit::Queries {
            return (dq, None, None);
        }
        let asked = product(transposed(q.clone()), dr, DType::F32); // [H, B, N, D]
        let mut before = memories.after;
        let felt = match before.take() {
            None => cast(asked, dtype),
            Some(after) => {
                let sum = prepared.fading.extend(after, asked, place);
                let felt = prepared.by_heads(&sum);
                before = Some(sum);
                felt
            }
        };
        width::add(
            &dq,
            product(self.factors.clone(), transposed(felt.clone()), dtype),
        );
        (dq, Some(product(q, felt, DType::F32)), before)
    }

    /// Adds the gradient of q, turned back, to that of x, and keeps it where x is positive.
    fn turn_back(&self, dq: CubeTensor, dx: &CubeTensor) {
        let Some(angles) = &self.prepared.angles else {
            unreachable!("a whole level has angles");
        };
        activity::rotate_back(&self.drive, dq, dx, angles, self.place);
    }

    /// From the gradient of the drive to that of v, head by head, `[H, B, C, D]`.
    pub(super) fn through_x(&self, dx: CubeTensor, weights: &mut OfWeights) -> CubeTensor {
        let v = self.place.in_rows(self.factors.clone()); // [1, B C, D]
        sum(
            &mut weights.decoder_x,
            product(transposed(v), dx.clone(), DType::F32),
        );
        let decoder_x = transposed(self.prepared.weights.decoder_x.clone());
        shaped(product(dx, decoder_x, DType::F32), self.place.of_heads())
    }
}
