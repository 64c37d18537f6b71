//! Mamba-3 (arXiv:2603.15569): states that turn, a trapezoidal rule for the writes, no convolution.
//!
//! ```text
//! [z, x, b, c, step, rate, share, turn] = v in_proj               D -> 2 E + 2 G S + 3 H + R
//! b, c    = b / rms(b) b_gain + b_bias, and c likewise            norms of a group, biases of a head
//! step    = softplus(step + dt_bias), alpha = exp(-step max(softplus(rate), a_floor)), share = sigmoid(share)
//! h_t     = alpha turned_back(h_t-1 + (1 - share) step b_t-1 (outer) x_t-1) + share step b_t (outer) x_t
//! read    = (c h + skip x) silu(z) out_proj                       E -> D
//! ```
//!
//! States in pairs are the parts of complex numbers. `turned_back` turns the first R pairs of each head by `-pi tanh(turn) step`. It is
//! computed as the paper says: b and c of a window are turned by their angles from the window's begin, and only differences of angles matter. So the
//! memory needs no angles: after a window it is turned back to angle 0. The trapezoidal rule weighs a write by the step of its token and
//! of the next one, so that what a token writes for later tokens has the weight `share step + (1 - share') step'`, with those of the next.
//!
//! Memory, `[H, S + 1, P + 1]`: the states of a head, the last x as another row, the last b as another column.
//!
//! It is the form with one input and one output a head: `mimo_rank` of the public implementation is 1.

use super::super::weights::learnt;
use super::super::{Kind, MixerWeights, Recurrence, Sizes, Window};
use super::mamba2::split;
use super::{CHUNK, Steps, by_heads, columns, of, of_heads, projection, rms_norm, sizes, within};
use crate::config::ConfigError;
use crate::seed::Rng;
use crate::shapes::TensorShape;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::{StateSpace, silu_gate, state_space};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::num::Saturating;

/// Keys of `mamba3`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mamba3Config {
    /// States of a channel (S).
    pub d_state: usize,
    /// Inner channels (E) as a multiple of the model width.
    pub expand: usize,
    /// Channels of a head (P), a divisor of the inner channels.
    pub headdim: usize,
    /// Groups of heads that share the directions of writes and reads before their biases (G), a divisor of the heads.
    pub ngroups: usize,
    /// Share of the states that turn, above 0 and at most 1.
    pub rope_fraction: f64,
    /// Smallest step at the start of training.
    pub dt_min: f64,
    /// Largest step at the start of training.
    pub dt_max: f64,
    /// Least step at the start of training, whatever `dt_min` is.
    pub dt_init_floor: f64,
    /// Least rate of decay.
    pub a_floor: f64,
    /// Whether the channels of a head are normed before the gate.
    pub is_outproj_norm: bool,
    /// Constant that norms add to the mean square.
    pub norm_eps: f64,
}

impl Default for Mamba3Config {
    fn default() -> Self {
        Self {
            d_state: 16,
            expand: 2,
            headdim: 128,
            ngroups: 1,
            rope_fraction: 0.5,
            dt_min: 1e-3,
            dt_max: 0.1,
            dt_init_floor: 1e-4,
            a_floor: 1e-4,
            is_outproj_norm: false,
            norm_eps: 1e-5,
        }
    }
}

impl Mamba3Config {
    fn inner(&self, width: usize) -> usize {
        self.expand.saturating_mul(width)
    }

    fn heads(&self, width: usize) -> usize {
        self.inner(width) / self.headdim
    }

    /// Pairs of states that turn (R).
    fn turns(&self) -> usize {
        (self.d_state as f64 * self.rope_fraction) as usize / 2
    }

    /// Columns of the input's map: z and x; what the tokens choose.
    fn mapped(&self, width: usize) -> [usize; 2] {
        let chosen = 2 * self.ngroups * self.d_state + 3 * self.heads(width) + self.turns();
        [2 * self.inner(width), chosen]
    }

    fn steps(&self) -> Steps {
        Steps {
            least: self.dt_min,
            most: self.dt_max,
            floor: self.dt_init_floor,
        }
    }
}

impl Kind for Mamba3Config {
    fn name(&self) -> &'static str {
        "mamba3"
    }

    fn validate(&self, Sizes { width, .. }: Sizes) -> Result<(), ConfigError> {
        sizes([
            ("mixer.d_state", self.d_state),
            ("mixer.expand", self.expand),
            ("mixer.headdim", self.headdim),
            ("mixer.ngroups", self.ngroups),
        ])?;
        split(self.inner(width), self.headdim, self.ngroups)?;
        let (turning, floor, eps) = (self.rope_fraction, self.a_floor, self.norm_eps);
        within(
            "mixer.rope_fraction",
            turning,
            turning <= 1.0 && Self::turns(self) > 0,
            "a share of at most 1 of mixer.d_state, of at least one pair of states",
        )?;
        within("mixer.a_floor", floor, floor >= 0.0, "a number of at least 0")?;
        within("mixer.norm_eps", eps, eps > 0.0, "a number above 0")?;
        self.steps().validate()
    }

    fn turns(&self) -> bool {
        false
    }

    fn tensors(&self, Sizes { width, .. }: Sizes) -> Vec<TensorShape> {
        let (inner, heads, states) = (self.inner(width), self.heads(width), self.d_state);
        let mut tensors = vec![
            TensorShape::new("mixer.in_proj", [width, self.mapped(width).iter().sum()]),
            TensorShape::new("mixer.dt_bias", [heads]),
            TensorShape::new("mixer.b_gain", [states]),
            TensorShape::new("mixer.c_gain", [states]),
            TensorShape::new("mixer.b_bias", [heads, states]),
            TensorShape::new("mixer.c_bias", [heads, states]),
            TensorShape::new("mixer.skip", [heads]),
            TensorShape::new("mixer.out_proj", [inner, width]),
        ];
        if self.is_outproj_norm {
            tensors.push(TensorShape::new("mixer.norm_gain", [inner]));
        }
        tensors
    }

    fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
        Some(match field {
            "dt_bias" => self.steps().biases(shape[0], rng),
            "b_gain" | "c_gain" | "b_bias" | "c_bias" | "skip" | "norm_gain" => {
                vec![1.0; shape.iter().product()]
            }
            _ => projection(shape[0], shape, rng),
        })
    }

    fn memory(&self, Sizes { width, .. }: Sizes) -> [usize; 3] {
        [self.heads(width), self.d_state + 1, self.headdim + 1]
    }

    fn flops(&self, Sizes { width, .. }: Sizes) -> Saturating<u64> {
        let [streams, chosen] = self.mapped(width).map(of);
        let inner = of(self.inner(width));
        of(2) * of(width) * (streams + chosen + inner) + of(4) * inner * of(self.d_state)
    }

    fn kept(&self, Sizes { width, .. }: Sizes, tokens: usize) -> Saturating<u64> {
        let (inner, heads, chunk) = (
            of(self.inner(width)),
            of(self.heads(width)),
            of(tokens.min(CHUNK)),
        );
        let memories = inner * of(self.d_state) * of(4) / chunk.max(of(1));
        of(12) * inner + of(6) * heads * chunk + of(24) * heads * of(self.d_state) + memories
    }

    fn recurrence(&self, weights: &MixerWeights, _eps: f64) -> Box<dyn Recurrence> {
        Box::new(Block {
            config: *self,
            in_proj: learnt("in_proj", weights.in_proj.as_ref()),
            dt_bias: learnt("dt_bias", weights.dt_bias.as_ref()),
            b: Direction {
                gain: learnt("b_gain", weights.b_gain.as_ref()),
                bias: learnt("b_bias", weights.b_bias.as_ref()),
            },
            c: Direction {
                gain: learnt("c_gain", weights.c_gain.as_ref()),
                bias: learnt("c_bias", weights.c_bias.as_ref()),
            },
            skip: learnt("skip", weights.skip.as_ref()),
            norm_gain: (self.is_outproj_norm).then(|| learnt("norm_gain", weights.norm_gain.as_ref())),
            out_proj: learnt("out_proj", weights.out_proj.as_ref()),
        })
    }
}

/// The block, with its weights.
#[derive(Debug)]
struct Block {
    config: Mamba3Config,
    in_proj: Tensor<2>,
    dt_bias: Tensor<1>,
    b: Direction,
    c: Direction,
    skip: Tensor<1>,
    norm_gain: Option<Tensor<1>>,
    out_proj: Tensor<2>,
}

/// Norm of a direction, and what is added to it.
#[derive(Debug)]
struct Direction {
    /// `[S]`.
    gain: Tensor<1>,
    /// `[H, S]`.
    bias: Tensor<2>,
}

impl Direction {
    /// The direction of each head, `[B, T, H, S]`, from those of groups, `[B, T, G, S]`.
    fn of(&self, groups: Tensor<4>, eps: f64) -> Tensor<4> {
        let heads = self.bias.dims()[0];
        let normed = rms_norm(groups, eps) * self.gain.clone().unsqueeze();
        of_heads(normed, heads) + self.bias.clone().unsqueeze()
    }
}

/// What the tokens choose.
struct Chosen {
    /// Directions of writes and reads, `[B, H, T, S]`.
    b: Tensor<4>,
    c: Tensor<4>,
    /// Logarithms of alpha, `[B, H, T]`.
    log_decay: Tensor<3>,
    /// Weight of a token's write for the token itself, `share step`, `[B, H, T]`.
    own: Tensor<3>,
    /// Weight that a token gives to the write before it, `(1 - share) step`, `[B, H, T]`.
    previous: Tensor<3>,
    /// Angles from the window's begin, `[B, H, T, R]`.
    angles: Tensor<4>,
}

/// Memory of the heads.
struct Carried {
    /// States, `[B, H, S, P]`.
    h: Tensor<4>,
    /// The last direction of writes, `[B, H, S, 1]`.
    b: Tensor<4>,
    /// The last x, `[B, H, 1, P]`.
    x: Tensor<4>,
}

impl Recurrence for Block {
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>) {
        let Window {
            v, memory, resets, ..
        } = window;
        let ([lanes, _, tokens, width], [heads]) = (v.dims(), self.dt_bias.dims());
        let carried = Carried::from(memory);
        let (inner, headdim) = (heads * self.config.headdim, self.config.headdim);

        let rows: Tensor<2> = v.reshape([lanes * tokens, width]);
        let map = |first, count| rows.clone().matmul(columns(&self.in_proj, first, count));
        let z = map(0, inner);
        let x = by_heads(map(inner, inner).reshape([lanes, tokens, heads, headdim]));
        let [streams, count] = self.config.mapped(width);
        let chosen = self.chosen(&map(streams, count).reshape([lanes, tokens, count]));

        // A write counts for later tokens with the weight that the next token gives it, too: none yet for the last.
        let first = chosen.previous.clone().narrow(2, 0, 1).unsqueeze_dim::<4>(3);
        let weights = chosen.own.clone() + shifted(&chosen.previous);
        let before = carried.h + carried.b * carried.x * first;
        let (read, h) = state_space(StateSpace {
            c: turned(chosen.c.clone(), &chosen.angles),
            b: turned(chosen.b.clone(), &chosen.angles),
            x: x.clone() * weights.unsqueeze_dim(3),
            log_decay: chosen.log_decay,
            memory: before,
            resets: resets.clone(),
        });
        let own = (chosen.b.clone() * chosen.c).sum_dim(3) * chosen.own.unsqueeze_dim(3)
            + self.skip.clone().reshape([1, heads, 1, 1]);
        let y = by_heads(read + x.clone() * own); // [B, T, H, P]
        let read =
            silu_gate(self.normed(y).reshape([lanes * tokens, inner]), z).matmul(self.out_proj.clone());

        let last = |all: Tensor<4>| all.narrow(2, tokens - 1, 1);
        let carried = Carried {
            h: turned(h.swap_dims(2, 3), &last(chosen.angles).neg()).swap_dims(2, 3),
            b: last(chosen.b).swap_dims(2, 3),
            x: last(x),
        };
        (read.reshape([lanes, 1, tokens, width]), carried.into())
    }
}

impl Block {
    /// What the tokens choose, from the columns of the input's map that follow z and x, `[B, T, _]`.
    fn chosen(&self, all: &Tensor<3>) -> Chosen {
        let ([lanes, tokens, _], [heads]) = (all.dims(), self.dt_bias.dims());
        let (groups, states, eps) = (self.config.ngroups, self.config.d_state, self.config.norm_eps);
        let directions = groups * states;
        let direction = |first| {
            let one = all.clone().narrow(2, first, directions);
            one.reshape([lanes, tokens, groups, states])
        };
        let number = |index: usize| all.clone().narrow(2, 2 * directions + index * heads, heads); // [B, T, H]
        let steps = activation::softplus(number(0) + self.dt_bias.clone().unsqueeze(), 1.0);
        let rates = activation::softplus(number(1), 1.0).clamp_min(self.config.a_floor);
        let shares = activation::sigmoid(number(2));
        let own = shares * steps.clone();
        let turns = all
            .clone()
            .narrow(2, 2 * directions + 3 * heads, self.config.turns());
        let turns = (turns.tanh() * PI).unsqueeze_dim::<4>(2) * steps.clone().unsqueeze_dim(3); // [B, T, H, R]
        Chosen {
            b: by_heads(self.b.of(direction(0), eps)),
            c: by_heads(self.c.of(direction(directions), eps)),
            log_decay: (rates * steps.clone()).neg().swap_dims(1, 2),
            previous: (steps - own.clone()).swap_dims(1, 2),
            own: own.swap_dims(1, 2),
            angles: by_heads(turns.cumsum(1)),
        }
    }

    /// The channels of each head over the root of their mean square, times the gain, if there is one.
    fn normed(&self, y: Tensor<4>) -> Tensor<4> {
        let Some(gain) = &self.norm_gain else { return y };
        let [_, _, heads, headdim] = y.dims();
        rms_norm(y, self.config.norm_eps) * gain.clone().reshape([1, 1, heads, headdim])
    }
}

/// For each token the number of the next one, 0 for the last, `[B, H, T]`.
fn shifted(all: &Tensor<3>) -> Tensor<3> {
    let [lanes, heads, tokens] = all.dims();
    let none = Tensor::zeros([lanes, heads, 1], (&all.device(), all.dtype()));
    match tokens {
        1 => none,
        _ => Tensor::cat(vec![all.clone().narrow(2, 1, tokens - 1), none], 2),
    }
}

/// Pairs of the last axis turned by the angles, `[B, H, T, R]`; those behind the first R pairs stay.
fn turned(all: Tensor<4>, angles: &Tensor<4>) -> Tensor<4> {
    let ([lanes, heads, tokens, states], pairs) = (all.dims(), angles.dims()[3]);
    let shape = [lanes, heads, tokens, pairs, 2];
    let pair: Tensor<5> = all.clone().narrow(3, 0, 2 * pairs).reshape(shape);
    let (even, odd) = (pair.clone().narrow(4, 0, 1), pair.narrow(4, 1, 1));
    let (cos, sin) = (
        angles.clone().cos().unsqueeze_dim(4),
        angles.clone().sin().unsqueeze_dim(4),
    );
    let turned = [
        even.clone() * cos.clone() - odd.clone() * sin.clone(),
        even * sin + odd * cos,
    ];
    let turned = Tensor::cat(turned.into(), 4).reshape([lanes, heads, tokens, 2 * pairs]);
    match states - 2 * pairs {
        0 => turned,
        rest => Tensor::cat(vec![turned, all.narrow(3, 2 * pairs, rest)], 3),
    }
}

impl From<Tensor<4>> for Carried {
    fn from(memory: Tensor<4>) -> Self {
        let [_, _, rows, columns] = memory.dims();
        let (states, headdim) = (rows - 1, columns - 1);
        Self {
            h: memory.clone().narrow(2, 0, states).narrow(3, 0, headdim),
            b: memory.clone().narrow(2, 0, states).narrow(3, headdim, 1),
            x: memory.narrow(2, states, 1).narrow(3, 0, headdim),
        }
    }
}

impl From<Carried> for Tensor<4> {
    fn from(Carried { h, b, x }: Carried) -> Self {
        let [lanes, heads, ..] = h.dims();
        let corner = Self::zeros([lanes, heads, 1, 1], (&h.device(), h.dtype()));
        let rows = [vec![h, b], vec![x, corner]].map(|row| Self::cat(row, 3));
        Self::cat(rows.into(), 2)
    }
}
