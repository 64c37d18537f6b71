//! The operations and their definitions against plain sums over the list of edges, in f64.

use super::tests::{Case, FORMS};
use super::*;
use crate::testing::{close, values};
use burn::tensor::Device;

/// Sums in f64, edge by edge, from the list of edges alone.
struct Plain {
    case: Case,
    edges: Vec<(usize, usize)>,
    q: Vec<f32>,
    keys: Vec<f32>,
    v: Vec<f32>,
    rho: Vec<f32>,
    gates: Option<Vec<f32>>,
    lambda: Vec<f64>,
}

impl Plain {
    fn new(case: Case) -> Self {
        let inputs = case.inputs(&Device::flex());
        let slopes = inputs.slopes.map_or_else(|| vec![0.0; case.heads], values);
        Self {
            edges: inputs.edges.adjacency.edges().collect(),
            q: values(inputs.q),
            keys: values(inputs.keys),
            v: values(inputs.v),
            rho: values(inputs.rho),
            gates: inputs.edges.gates.map(values),
            lambda: slopes.iter().map(|slope| (-f64::from(*slope)).exp()).collect(),
            case,
        }
    }

    fn q(&self, b: usize, h: usize, s: usize, n: usize) -> f64 {
        f64::from(self.q[((b * self.case.heads + h) * self.case.readers + s) * self.case.neurons + n])
    }

    fn key(&self, b: usize, h: usize, t: usize, n: usize) -> f64 {
        f64::from(self.keys[((b * self.case.heads + h) * self.case.targets + t) * self.case.neurons + n])
    }

    fn value(&self, b: usize, h: usize, p: usize, d: usize) -> f64 {
        let h = if self.case.value_heads == 1 { 0 } else { h };
        let places = self.case.readers.max(self.case.targets);
        f64::from(self.v[((b * self.case.value_heads + h) * places + p) * self.case.width + d])
    }

    fn rho_at(&self, b: usize, h: usize, t: usize, n: usize, d: usize) -> usize {
        let Case {
            heads,
            targets,
            neurons,
            width,
            ..
        } = self.case;
        (((b * heads + h) * targets + t) * neurons + n) * width + d
    }

    /// The weight of an edge in a sum over what one of its ends (0 reader, 1 target) has.
    fn weight(&self, b: usize, edge: usize, end: usize) -> f64 {
        let (reader, target) = self.edges[edge];
        let terms = self.edges.iter().filter(|(s, _)| *s == reader).count() as f64;
        let incoming = self.edges.iter().filter(|(_, t)| *t == target).count() as f64;
        let row = if self.case.gates == 1 { 0 } else { b };
        let gate = self
            .gates
            .as_ref()
            .map_or(1.0, |gates| gates[row * self.edges.len() + edge]);
        f64::from(gate)
            / match self.case.normalisation {
                Normalisation::Sum => 1.0,
                Normalisation::Mean => [terms, incoming][end],
                Normalisation::Symmetric => (terms * incoming).sqrt(),
            }
    }

    /// Adds to what the reader of each edge reads, `[B, H, S, D]`.
    fn reads(&self, term: impl Fn([usize; 4], usize) -> f64) -> Vec<f32> {
        let Case {
            lanes,
            heads,
            readers,
            width,
            ..
        } = self.case;
        let mut read = vec![0.0; lanes * heads * readers * width];
        for (b, h) in (0..lanes).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            for (edge, &(s, t)) in self.edges.iter().enumerate() {
                let weight = self.weight(b, edge, 0);
                for d in 0..width {
                    read[((b * heads + h) * readers + s) * width + d] += weight * term([b, h, s, t], d);
                }
            }
        }
        read.into_iter().map(|read| read as f32).collect()
    }

    fn read(&self) -> Vec<f32> {
        let neurons = 0..self.case.neurons;
        self.reads(|[b, h, s, t], d| {
            let rho = |n| f64::from(self.rho[self.rho_at(b, h, t, n, d)]);
            neurons.clone().map(|n| self.q(b, h, s, n) * rho(n)).sum()
        })
    }

    fn recall(&self) -> Vec<f32> {
        let neurons = 0..self.case.neurons;
        self.reads(|[b, h, s, t], d| {
            let score: f64 = neurons
                .clone()
                .map(|n| self.q(b, h, s, n) * self.key(b, h, t, n))
                .sum();
            self.lambda[h] * score * self.value(b, h, t, d)
        })
    }

    fn write(&self) -> Vec<f32> {
        let Case {
            lanes,
            heads,
            neurons,
            width,
            ..
        } = self.case;
        let mut rho: Vec<f64> = self.rho.iter().map(|rho| f64::from(*rho)).collect();
        let per_head = rho.len() / lanes / heads;
        let fade = |rho: &mut Vec<f64>| {
            for (at, rho) in rho.iter_mut().enumerate() {
                *rho *= self.lambda[at / per_head % heads];
            }
        };
        if self.case.order == WriteOrder::DecayThenWrite {
            fade(&mut rho);
        }
        for (b, h) in (0..lanes).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            for (edge, &(s, t)) in self.edges.iter().enumerate() {
                let weight = self.weight(b, edge, 1);
                for (n, d) in (0..neurons).flat_map(|n| (0..width).map(move |d| (n, d))) {
                    rho[self.rho_at(b, h, t, n, d)] += weight * self.q(b, h, s, n) * self.value(b, h, s, d);
                }
            }
        }
        if self.case.order == WriteOrder::WriteThenDecay {
            fade(&mut rho);
        }
        rho.into_iter().map(|rho| rho as f32).collect()
    }
}

#[test]
fn values_are_the_sums_over_the_edges() {
    for case in Case::all() {
        let (plain, inputs) = (Plain::new(case), case.inputs(&Device::flex()));
        let expected = [plain.read(), plain.write(), plain.recall()];
        let forms = [&FORMS[0], &FORMS[1], &FORMS[3]];
        for ((name, fast, slow), expected) in forms.into_iter().zip(expected) {
            for form in [fast, slow] {
                close(&format!("{name} of {case:?}"), &values(form(&inputs)), &expected);
            }
        }
    }
}
