//! Matrices of the levels before training: `decoder_x` and `decoder_y`, `[H, D, N]`, and `encoder`, `[H*N, D]`.
//!
//! An entry is `residual * gain of the neuron * factor of the topology * w`, with w of the distribution.

use super::config::{Gains, InitKind, LogNormal, Modular, Residual, Topology};
use super::orthogonal;
use crate::config::TrunkConfig;
use crate::seed::{Rng, derive};

/// A matrix between the width and the neurons of all heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    heads: usize,
    width: usize,
    neurons: usize,
    /// Whether neurons are rows.
    is_encoder: bool,
}

impl Matrix {
    /// A decoder of a trunk.
    pub(super) fn decoder(trunk: &TrunkConfig) -> Self {
        Self {
            heads: trunk.n_heads,
            width: trunk.d_model,
            neurons: trunk.neurons_per_head(),
            is_encoder: false,
        }
    }

    /// The matrix of this name; `None` for other tensors.
    pub(super) fn named(name: &str, trunk: &TrunkConfig) -> Option<Self> {
        let is_encoder = match name {
            "decoder_x" | "decoder_y" => false,
            "encoder" => true,
            _ => return None,
        };
        Some(Self {
            is_encoder,
            ..Self::decoder(trunk)
        })
    }

    /// Root mean square of its entries that is expected.
    pub(super) fn size(&self, trunk: &TrunkConfig) -> f64 {
        let topology = trunk
            .init
            .topology
            .map_or(1.0, |Topology::Modular(modular)| self.size_of(&modular));
        self.std(trunk) * topology
    }

    /// Standard deviation of an entry, without gains and topology.
    fn std(&self, trunk: &TrunkConfig) -> f64 {
        let (d, n) = (self.width as f64, (self.heads * self.neurons) as f64);
        let std = match (trunk.init.kind, self.is_encoder) {
            (InitKind::Normal | InitKind::SemiOrthogonal, _) => trunk.init_std,
            (InitKind::NearCritical, _) => trunk.init_std.min(1.0 / (d + n).sqrt()),
            (InitKind::HeGlorot, false) => (2.0 / d).sqrt(),
            (InitKind::HeGlorot, true) => (2.0 / (d + n)).sqrt(),
        };
        match trunk.init.residual {
            Residual::None => std,
            Residual::DepthScaled => std / (trunk.n_levels as f64).sqrt(),
        }
    }

    /// Values, a function of the seed and the name.
    pub(super) fn drawn(&self, trunk: &TrunkConfig, seed: u64, name: &str) -> Vec<f32> {
        let std = self.std(trunk);
        let mut values = match trunk.init.kind {
            InitKind::SemiOrthogonal => self.orthogonal(std, seed, name),
            _ => super::normal(
                std,
                derive(seed, name, 0, 0),
                self.heads * self.neurons * self.width,
            ),
        };
        if let Some(Gains::LogNormal(gains)) = trunk.init.gains {
            let gains = gains.drawn(
                derive(seed, &format!("{name}.gains"), 0, 0),
                self.heads * self.neurons,
            );
            self.scale(&mut values, |head, _, neuron| gains[head * self.neurons + neuron]);
        }
        if let Some(Topology::Modular(modular)) = trunk.init.topology {
            let bridges: Vec<Vec<bool>> = (0..self.heads)
                .map(|head| modular.bridges(derive(seed, "bridges", 0, head as u64), self.neurons))
                .collect();
            self.scale(&mut values, |head, d, neuron| match bridges[head][neuron] {
                true => modular.bridge,
                false => self.factor(&modular, d, neuron),
            });
        }
        values
    }

    fn entry(&self, head: usize, d: usize, neuron: usize) -> usize {
        match self.is_encoder {
            true => (head * self.neurons + neuron) * self.width + d,
            false => (head * self.width + d) * self.neurons + neuron,
        }
    }

    /// Multiplies each entry by a factor of its head, dimension and neuron.
    fn scale(&self, values: &mut [f32], factor: impl Fn(usize, usize, usize) -> f64) {
        for head in 0..self.heads {
            for d in 0..self.width {
                for neuron in 0..self.neurons {
                    let value = &mut values[self.entry(head, d, neuron)];
                    *value = (f64::from(*value) * factor(head, d, neuron)) as f32;
                }
            }
        }
    }

    /// Blocks of heads with orthonormal rows or columns, so scaled that entries have the size `std`.
    fn orthogonal(&self, std: f64, seed: u64, name: &str) -> Vec<f32> {
        let mut values = vec![0.0; self.heads * self.neurons * self.width];
        let (short, long) = (self.width.min(self.neurons), self.width.max(self.neurons));
        for head in 0..self.heads {
            let vectors = orthogonal::vectors(derive(seed, name, 0, head as u64), short, long);
            for (row, vector) in vectors.chunks_exact(long).enumerate() {
                for (column, value) in vector.iter().enumerate() {
                    let (d, neuron) = match self.width <= self.neurons {
                        true => (row, column),
                        false => (column, row),
                    };
                    values[self.entry(head, d, neuron)] = (value * std * (long as f64).sqrt()) as f32;
                }
            }
        }
        values
    }

    /// Factor of an entry whose neuron is no bridge.
    fn factor(&self, modular: &Modular, d: usize, neuron: usize) -> f64 {
        let communities = modular.communities;
        match d * communities / self.width == neuron * communities / self.neurons {
            true => modular.within,
            false => modular.between,
        }
    }

    /// Root mean square of the factors.
    fn size_of(&self, modular: &Modular) -> f64 {
        let c = modular.communities;
        let of = |size: usize, community: usize| {
            (0..size).filter(|place| place * c / size == community).count() as f64 / size as f64
        };
        let within: f64 = (0..c).map(|c| of(self.width, c) * of(self.neurons, c)).sum();
        let others = within * modular.within.powi(2) + (1.0 - within) * modular.between.powi(2);
        let bridges = modular.bridge_count(self.neurons) as f64 / self.neurons as f64;
        ((1.0 - bridges) * others + bridges * modular.bridge.powi(2)).sqrt()
    }
}

impl LogNormal {
    /// So many gains; their root mean square is 1.
    pub(super) fn drawn(&self, seed: u64, count: usize) -> Vec<f64> {
        let mut rng = Rng::new(seed);
        let gains: Vec<f64> = (0..count)
            .map(|_| (self.sigma * rng.normal()).exp().min(self.most))
            .collect();
        let squares: f64 = gains.iter().map(|gain| gain * gain).sum();
        let size = (squares / count as f64).sqrt();
        gains.into_iter().map(|gain| gain / size).collect()
    }
}

impl Modular {
    /// Number of bridges among the neurons of a head.
    fn bridge_count(&self, neurons: usize) -> usize {
        (self.bridge_fraction * neurons as f64).round() as usize
    }

    /// Which neurons of a head are bridges: a draw without replacement.
    pub(super) fn bridges(&self, seed: u64, neurons: usize) -> Vec<bool> {
        let mut rng = Rng::new(seed);
        let mut order: Vec<usize> = (0..neurons).collect();
        let mut bridges = vec![false; neurons];
        for first in 0..self.bridge_count(neurons) {
            order.swap(first, first + rng.below(neurons - first));
            bridges[order[first]] = true;
        }
        bridges
    }
}
