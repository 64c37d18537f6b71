//! The tokens of a part through the heads of its partition, and back.

use super::product::{Rows, Vector, add_product, add_turned_product, product, turned_product};
use super::weights::{Head, Packed, Shape, add_unpadded};
use crate::norm::cpu::{norm_row, norm_row_back};
use crate::simd::{LANES, vectorized};

/// Rows of the tokens of a part, and what is computed of them for one head.
pub(super) struct Part {
    /// Tokens by D.
    v: Vec<Vector>,
    /// Tokens by D.
    u: Vec<Vector>,
    /// Tokens by N.
    x: Vec<Vector>,
    /// Memory of the part, N by D.
    rho: Vec<Vector>,
    /// Normed read, tokens by D.
    a: Vec<Vector>,
    /// One over the deviation of each read.
    scales: Vec<f32>,
    /// `relu(a decoder_y)`, tokens by N.
    gate: Vec<Vector>,
    /// Tokens by N.
    y: Vec<Vector>,
    /// Memory by its columns, D by N.
    rho_turned: Vec<Vector>,
    dv: Vec<Vector>,
    da: Vec<Vector>,
    dx: Vec<Vector>,
    dy: Vec<Vector>,
}

impl Part {
    pub(super) fn new(packed: &Packed) -> Self {
        let (shape, tokens) = (packed.shape, packed.most_tokens);
        let rows = |rows: usize, vectors: usize| vec![[0.0; LANES]; rows * vectors];
        let of_width = || rows(tokens, shape.wide);
        let of_neurons = || rows(tokens, shape.long);
        Self {
            v: of_width(),
            u: of_width(),
            x: of_neurons(),
            rho: rows(shape.neurons, shape.wide),
            a: of_width(),
            scales: vec![0.0; tokens],
            gate: of_neurons(),
            y: of_neurons(),
            rho_turned: rows(shape.width, shape.long),
            dv: of_width(),
            da: of_width(),
            dx: of_neurons(),
            dy: of_neurons(),
        }
    }

    /// Up to y, for the tokens in v.
    #[inline(always)]
    fn listen(&mut self, head: &Head, tokens: usize, shape: Shape, eps: f32) {
        let Shape {
            width,
            neurons,
            wide,
            long,
        } = shape;
        let (v, x) = (&self.v[..tokens * wide], &mut self.x[..tokens * long]);
        product(x, Rows::new(v, wide), &head.decoder_x, long, width);
        rectify(x);
        turned_product(&mut self.rho, Rows::new(x, long), v, wide, tokens);
        let a = &mut self.a[..tokens * wide];
        product(a, Rows::new(x, long), &self.rho, wide, neurons);
        for (a, scale) in a.chunks_exact_mut(wide).zip(&mut self.scales) {
            *scale = norm_row(&mut a.as_flattened_mut()[..width], eps);
        }
        let gate = &mut self.gate[..tokens * long];
        product(gate, Rows::new(a, wide), &head.decoder_y, long, width);
        rectify(gate);
        for ((y, x), gate) in self.y.iter_mut().zip(&self.x).zip(&self.gate) {
            for lane in 0..LANES {
                y[lane] = gate[lane] * x[lane];
            }
        }
    }
}

/// Not `max`, which would lose a NaN.
#[inline(always)]
fn rectify(vectors: &mut [Vector]) {
    for entry in vectors.as_flattened_mut() {
        *entry = if *entry < 0.0 { 0.0 } else { *entry };
    }
}

/// The rows of tokens, one after another, in padded rows.
#[inline(always)]
fn gather(tokens: &[u32], shape: Shape, from: &[f32], into: &mut [Vector]) {
    for (&token, into) in tokens.iter().zip(into.chunks_exact_mut(shape.wide)) {
        let first = token as usize * shape.width;
        into.as_flattened_mut()[..shape.width].copy_from_slice(&from[first..first + shape.width]);
    }
}

/// Rows added to those of tokens.
#[inline(always)]
fn scatter(tokens: &[u32], shape: Shape, from: &[Vector], into: &mut [f32]) {
    for (&token, from) in tokens.iter().zip(from.chunks_exact(shape.wide)) {
        let first = token as usize * shape.width;
        let into = &mut into[first..first + shape.width];
        into.iter_mut()
            .zip(from.as_flattened())
            .for_each(|(into, from)| *into += from);
    }
}

/// A lane's stream, the gradient of its contribution, and the gradients that are summed from it.
pub(super) struct Back<'a> {
    pub(super) v: &'a [f32],
    pub(super) d: &'a [f32],
    pub(super) dv: &'a mut [f32],
    pub(super) gradients: &'a mut Gradients,
}

vectorized! {
    /// Adds the contribution of a part to that of the lane.
    forward(packed: &Packed, part: &mut Part, tokens: &[u32], kind: usize, v: &[f32], u: &mut [f32]) {
        let (shape, count) = (packed.shape, tokens.len());
        gather(tokens, shape, v, &mut part.v);
        part.u.fill([0.0; LANES]);
        for head in &packed.heads[packed.heads_of(kind)] {
            part.listen(head, count, shape, packed.eps);
            let y = Rows::new(&part.y, shape.long);
            add_product(&mut part.u[..count * shape.wide], y, &head.encoder, shape.wide, shape.neurons);
        }
        scatter(tokens, shape, &part.u, u);
    }

    /// Adds the gradients of a part to those of the lane.
    backward(packed: &Packed, part: &mut Part, tokens: &[u32], kind: usize, lane: &mut Back<'_>) {
        let (shape, count) = (packed.shape, tokens.len());
        gather(tokens, shape, lane.v, &mut part.v);
        gather(tokens, shape, lane.d, &mut part.u);
        part.dv.fill([0.0; LANES]);
        for head in packed.heads_of(kind) {
            part.listen(&packed.heads[head], count, shape, packed.eps);
            through(part, &packed.heads[head], count, shape, &mut lane.gradients.heads[head]);
        }
        scatter(tokens, shape, &part.dv, lane.dv);
    }
}

/// Gradients of a head from that of its contribution, which is in `part.u`.
#[inline(always)]
fn through(part: &mut Part, head: &Head, tokens: usize, shape: Shape, gradient: &mut HeadGradient) {
    let Shape {
        width,
        neurons,
        wide,
        long,
    } = shape;
    let (of_width, of_neurons) = (tokens * wide, tokens * long);
    let (v, du) = (&part.v[..of_width], &part.u[..of_width]);
    let (x, a, y) = (&part.x[..of_neurons], &part.a[..of_width], &part.y[..of_neurons]);
    let (dx, dy) = (&mut part.dx[..of_neurons], &mut part.dy[..of_neurons]);
    let (da, dv) = (&mut part.da[..of_width], &mut part.dv[..of_width]);
    let (v_rows, x_rows) = (Rows::new(v, wide), Rows::new(x, long));

    // u = y encoder;  y = gate * x
    add_turned_product(&mut gradient.encoder, Rows::new(y, long), du, wide, tokens);
    product(dy, Rows::new(du, wide), &head.encoder_turned, long, width);
    for ((dx, dy), (x, gate)) in dx.iter_mut().zip(dy.iter_mut()).zip(x.iter().zip(&part.gate)) {
        for lane in 0..LANES {
            dx[lane] = dy[lane] * gate[lane];
            dy[lane] = if gate[lane] > 0.0 { dy[lane] * x[lane] } else { 0.0 };
        }
    }
    // gate = relu(a decoder_y);  a = norm(x rho)
    add_turned_product(&mut gradient.decoder_y, Rows::new(a, wide), dy, long, tokens);
    product(da, Rows::new(dy, long), &head.decoder_y_turned, wide, neurons);
    for ((da, a), scale) in da
        .chunks_exact_mut(wide)
        .zip(a.chunks_exact(wide))
        .zip(&part.scales)
    {
        norm_row_back(
            &mut da.as_flattened_mut()[..width],
            &a.as_flattened()[..width],
            *scale,
        );
    }
    // The read of rho, and the write of x (outer) v into it.
    let da_rows = Rows::new(da, wide);
    turned_product(&mut part.rho_turned, v_rows, x, long, tokens);
    add_product(dx, da_rows, &part.rho_turned, long, width);
    turned_product(&mut part.rho_turned, da_rows, x, long, tokens);
    add_product(dx, v_rows, &part.rho_turned, long, width);
    turned_product(&mut part.rho, x_rows, da, wide, tokens);
    add_product(dv, x_rows, &part.rho, wide, neurons);
    // x = relu(v decoder_x)
    for (dx, x) in dx.iter_mut().zip(x) {
        for lane in 0..LANES {
            dx[lane] = if x[lane] > 0.0 { dx[lane] } else { 0.0 };
        }
    }
    add_turned_product(&mut gradient.decoder_x, v_rows, dx, long, tokens);
    add_product(dv, Rows::new(dx, long), &head.decoder_x_turned, wide, neurons);
}

/// Gradients of the weights in a lane.
pub(super) struct Gradients {
    heads: Vec<HeadGradient>,
}

/// Gradients of the weights of a head, in padded rows.
struct HeadGradient {
    /// D rows of N.
    decoder_x: Vec<Vector>,
    /// D rows of N.
    decoder_y: Vec<Vector>,
    /// N rows of D.
    encoder: Vec<Vector>,
}

impl Gradients {
    pub(super) fn new(packed: &Packed) -> Self {
        let shape = packed.shape;
        let of_head = |_: &Head| HeadGradient {
            decoder_x: vec![[0.0; LANES]; shape.width * shape.long],
            decoder_y: vec![[0.0; LANES]; shape.width * shape.long],
            encoder: vec![[0.0; LANES]; shape.neurons * shape.wide],
        };
        Self {
            heads: packed.heads.iter().map(of_head).collect(),
        }
    }

    /// The sums over the lanes, in their order: of decoder_x, decoder_y and the encoder.
    pub(super) fn sum(lanes: Vec<Self>, packed: &Packed) -> [Vec<f32>; 3] {
        let Shape { width, neurons, .. } = packed.shape;
        let size = width * neurons;
        let [mut decoder_x, mut decoder_y, mut encoder] =
            [(); 3].map(|()| vec![0.0; packed.heads.len() * size]);
        for lane in lanes {
            for (head, gradient) in lane.heads.into_iter().enumerate() {
                let own = head * size..(head + 1) * size;
                add_unpadded(&gradient.decoder_x, neurons, &mut decoder_x[own.clone()]);
                add_unpadded(&gradient.decoder_y, neurons, &mut decoder_y[own.clone()]);
                add_unpadded(&gradient.encoder, width, &mut encoder[own]);
            }
        }
        [decoder_x, decoder_y, encoder]
    }
}
