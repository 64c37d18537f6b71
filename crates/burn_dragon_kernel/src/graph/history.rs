//! Memories of places as the writes that they consist of: the factored form of the read.

use super::{Edges, PlaceDecay, WriteOrder, graph_recall, place_write};
use burn::tensor::Tensor;

/// Memories of places that were empty, as the writes into them. A memory is never formed.
///
/// [`read`](Self::read) equals [`graph_read`](super::graph_read) of the memories after [`place_write`](super::place_write)
/// of the same writes, in values and gradients. With W writes, E edges, N neurons and a value of D, it takes `E W (N + D)`
/// operations and `P W (N + D)` numbers, where the memories take `E N D` and `P N D`. It is the form for a few steps, and
/// for their gradients.
#[derive(Clone, Debug)]
pub struct History {
    writes: Vec<Write>,
    width: usize,
    decay: PlaceDecay,
}

/// A write of all places.
#[derive(Clone, Debug)]
struct Write {
    /// `[B, H, P, N]`.
    keys: Tensor<4>,
    /// `[B, 1 or H, P, D]`.
    values: Tensor<4>,
    /// Decays since, as a number of writes.
    age: f64,
}

impl History {
    /// Empty memories for values of `width` numbers.
    pub fn empty(width: usize, decay: PlaceDecay) -> Self {
        Self {
            writes: Vec::new(),
            width,
            decay,
        }
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Each place writes `q (outer) v` into its own memory, which decays once.
    ///
    /// # Shapes
    /// - `q`: `[B, H, P, N]`
    /// - `v`: `[B, 1, P, D]` or `[B, H, P, D]`
    ///
    /// # Panics
    /// As [`write_over`](Self::write_over).
    pub fn write(&mut self, q: Tensor<4>, v: Tensor<4>) {
        self.write_over(q, v, 1.0);
    }

    /// The same, where the memory decays as over `time` writes: over 0, it does not.
    ///
    /// # Panics
    /// If the shapes do not fit together or differ from those of the writes before; if `time` is negative or not finite.
    pub fn write_over(&mut self, q: Tensor<4>, v: Tensor<4>, time: f64) {
        let [lanes, heads, places, _] = q.dims();
        let of_values = if v.dims()[1] == 1 { 1 } else { heads };
        let expected = [lanes, of_values, places, self.width];
        crate::assert_shape("a write", "v", v.dims(), expected);
        self.decay.check("a write", heads);
        if let Some(first) = self.writes.first() {
            crate::assert_shape("a write", "q", q.dims(), first.keys.dims());
        }
        assert!(
            time >= 0.0 && time.is_finite(),
            "a write: decay over {time}, expected a finite time of at least 0"
        );
        self.writes.iter_mut().for_each(|write| write.age += time);
        let age = match self.decay.order {
            WriteOrder::DecayThenWrite => 0.0,
            WriteOrder::WriteThenDecay => time,
        };
        self.writes.push(Write {
            keys: q,
            values: v,
            age,
        });
    }

    /// What each reader reads in the memories of the places that it has edges to; zeros if nothing was written.
    ///
    /// # Shapes
    /// - `q`: `[B, H, S, N]`
    /// - output: `[B, H, S, D]`
    ///
    /// # Panics
    /// If the shapes do not fit together.
    pub fn read(&self, q: Tensor<4>, edges: &Edges) -> Tensor<4> {
        let reads = self.writes.iter().map(|write| {
            let decay = self.decay.over(write.age);
            graph_recall(q.clone(), write.keys.clone(), write.values.clone(), edges, &decay)
        });
        reads.reduce(|sum, read| sum + read).unwrap_or_else(|| {
            let [lanes, heads, readers, _] = q.dims();
            Tensor::zeros([lanes, heads, readers, self.width], (&q.device(), q.dtype()))
        })
    }

    /// The same writes with their keys and values changed, such as [detached](Tensor::detach) or on other lanes.
    pub fn map(mut self, mut change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        for write in &mut self.writes {
            write.keys = change(write.keys.clone());
            write.values = change(write.values.clone());
        }
        self
    }

    /// The memories that the writes make, `[B, H, P, N, D]`; `None` if nothing was written.
    pub fn memories(&self) -> Option<Tensor<5>> {
        let [lanes, heads, places, neurons] = self.writes.first()?.keys.dims();
        let (shape, first) = ([lanes, heads, places, neurons, self.width], &self.writes[0].keys);
        let empty = Tensor::zeros(shape, (&first.device(), first.dtype()));
        let kept = |time| PlaceDecay {
            order: WriteOrder::DecayThenWrite,
            ..self.decay.over(time)
        };
        let mut before = self.writes[0].age;
        let rho = self.writes.iter().fold(empty, |rho, write| {
            let since = before - write.age;
            before = write.age;
            place_write(write.keys.clone(), write.values.clone(), rho, &kept(since))
        });
        Some(match kept(before).factors() {
            None => rho,
            Some(factors) => rho * factors.reshape([1, heads, 1, 1, 1]),
        })
    }
}
