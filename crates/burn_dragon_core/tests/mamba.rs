//! Mamba blocks in a level against their equations, number by number.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn_dragon_core::api::expert::snapshot;
use burn_dragon_core::api::{Dragon, DragonConfig, Pass, Positions};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use subject::{TOKENS, of, same, stream, values};

type Rows = Vec<Vec<f64>>;

/// What each token reads of a stream.
type Definition = fn(&Weights, &Rows) -> Rows;

/// Weights of a trunk: a shape and numbers for each name.
struct Weights(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Weights {
    fn of(&self, name: &str) -> &[f64] {
        &self.0[name].1
    }

    fn mixer(&self, name: &str) -> &[f64] {
        self.of(&format!("mixer.{name}"))
    }

    /// A row times a matrix of the mixer.
    fn map(&self, name: &str, row: &[f64]) -> Vec<f64> {
        product(row, self.mixer(name))
    }

    /// Number of taps of the convolution.
    fn taps(&self) -> usize {
        self.0["mixer.conv"].0[0]
    }

    /// SiLU of the convolution of the tokens up to the last of these rows.
    fn convolved(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let (channels, taps) = (rows[0].len(), self.taps());
        let bias = self.0.get("mixer.conv_bias");
        let sum = |channel: usize| {
            let known = (0..taps.min(rows.len())).map(|back| {
                let tap = self.mixer("conv")[(taps - 1 - back) * channels + channel];
                tap * rows[rows.len() - 1 - back][channel]
            });
            bias.map_or(0.0, |bias| bias.1[channel]) + known.sum::<f64>()
        };
        (0..channels).map(|channel| silu(sum(channel))).collect()
    }
}

fn product(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    let columns = matrix.len() / row.len();
    let entry = |column: usize| {
        let terms = row
            .iter()
            .enumerate()
            .map(|(index, x)| x * matrix[index * columns + column]);
        terms.sum()
    };
    (0..columns).map(entry).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

fn softplus(x: f64) -> f64 {
    x.exp().ln_1p()
}

/// A row over the root of its mean square.
fn over_rms(row: &[f64]) -> Vec<f64> {
    let scale = (dot(row, row) / row.len() as f64 + 1e-5).sqrt();
    row.iter().map(|x| x / scale).collect()
}

/// `mamba1` with 3 states.
fn mamba1(w: &Weights, v: &Rows) -> Rows {
    let inner = w.mixer("skip").len();
    let rank = w.mixer("dt_proj").len() / inner;
    let states = w.mixer("log_rates").len() / inner;
    let (mut inputs, mut h) = (Rows::new(), vec![vec![0.0; states]; inner]);
    let of_token = |row: &Vec<f64>| {
        let mapped = w.map("in_proj", row);
        let (x, z) = mapped.split_at(inner);
        inputs.push(x.to_vec());
        let x = w.convolved(&inputs);
        let chosen = w.map("x_proj", &x);
        let (low, directions) = chosen.split_at(rank);
        let (b, c) = directions.split_at(states);
        let steps = w.map("dt_proj", low);
        let y: Vec<f64> = (0..inner)
            .map(|e| {
                let step = softplus(steps[e] + w.mixer("dt_bias")[e]);
                for (s, h) in h[e].iter_mut().enumerate() {
                    let rate = w.mixer("log_rates")[s * inner + e].exp();
                    *h = (-step * rate).exp() * *h + step * x[e] * b[s];
                }
                (dot(&h[e], c) + w.mixer("skip")[e] * x[e]) * silu(z[e])
            })
            .collect();
        w.map("out_proj", &y)
    };
    v.iter().map(of_token).collect()
}

/// `mamba2` with 2 groups of 4 states.
fn mamba2(w: &Weights, v: &Rows) -> Rows {
    let (inner, heads, groups, states) = (w.mixer("norm_gain").len(), w.mixer("skip").len(), 2, 4);
    let (width, directions) = (inner / heads, 2 * groups * states);
    let (mut inputs, mut h) = (Rows::new(), vec![vec![0.0; states]; inner]);
    let of_token = |row: &Vec<f64>| {
        let mapped = w.map("in_proj", row);
        let (z, rest) = mapped.split_at(inner);
        let (convolved, steps) = rest.split_at(inner + directions);
        inputs.push(convolved.to_vec());
        let convolved = w.convolved(&inputs);
        let (x, both) = convolved.split_at(inner);
        let (b, c) = both.split_at(directions / 2);
        let y: Vec<f64> = (0..inner)
            .map(|e| {
                let head = e / width;
                let group = head / (heads / groups);
                let [b, c] = [b, c].map(|all| &all[group * states..(group + 1) * states]);
                let step = softplus(steps[head] + w.mixer("dt_bias")[head]);
                let decay = (-step * w.mixer("log_rate")[head].exp()).exp();
                for (h, b) in h[e].iter_mut().zip(b) {
                    *h = decay * *h + step * x[e] * b;
                }
                (dot(&h[e], c) + w.mixer("skip")[head] * x[e]) * silu(z[e])
            })
            .collect();
        let normed = y.chunks(inner / groups).flat_map(over_rms);
        let normed: Vec<f64> = normed
            .zip(w.mixer("norm_gain"))
            .map(|(y, gain)| y * gain)
            .collect();
        w.map("out_proj", &normed)
    };
    v.iter().map(of_token).collect()
}

/// `mamba3` with 1 group of 6 states, 4 of which turn, and the trapezoidal rule as it is written: the states before a token take
/// half a write of the last token, turn and fade with it, and take a write of this token.
fn mamba3(w: &Weights, v: &Rows) -> Rows {
    let (heads, states, pairs) = (w.mixer("skip").len(), 6, 2);
    let inner = w.mixer("out_proj").len() / v[0].len();
    let width = inner / heads;
    let mut h = vec![vec![0.0; states]; inner];
    let mut last: Option<(Rows, Vec<f64>)> = None;
    let of_token = |row: &Vec<f64>| {
        let mapped = w.map("in_proj", row);
        let (z, rest) = mapped.split_at(inner);
        let (x, rest) = rest.split_at(inner);
        let (b, rest) = rest.split_at(states);
        let (c, rest) = rest.split_at(states);
        let direction = |name: &str, of: &[f64], head: usize| -> Vec<f64> {
            let bias = &w.mixer(&format!("{name}_bias"))[head * states..(head + 1) * states];
            let gained = over_rms(of).into_iter().zip(w.mixer(&format!("{name}_gain")));
            gained
                .zip(bias)
                .map(|((x, gain), bias)| x * gain + bias)
                .collect()
        };
        let of_heads: Rows = (0..heads).map(|head| direction("b", b, head)).collect();
        let mut y = vec![0.0; inner];
        for (e, y) in y.iter_mut().enumerate() {
            let head = e / width;
            let step = softplus(rest[head] + w.mixer("dt_bias")[head]);
            let decay = (-step * softplus(rest[heads + head]).max(1e-4)).exp();
            let share = sigmoid(rest[2 * heads + head]);
            if let Some((b, x)) = &last {
                for (h, b) in h[e].iter_mut().zip(&b[head]) {
                    *h += (1.0 - share) * step * b * x[e];
                }
            }
            for pair in 0..pairs {
                let (sin, cos) = (-PI * rest[3 * heads + pair].tanh() * step).sin_cos();
                let (real, imaginary) = (h[e][2 * pair], h[e][2 * pair + 1]);
                h[e][2 * pair] = real * cos - imaginary * sin;
                h[e][2 * pair + 1] = real * sin + imaginary * cos;
            }
            for (h, b) in h[e].iter_mut().zip(&of_heads[head]) {
                *h = decay * *h + share * step * b * x[e];
            }
            let read = dot(&h[e], &direction("c", c, head)) + w.mixer("skip")[head] * x[e];
            *y = read * silu(z[e]);
        }
        last = Some((of_heads, x.to_vec()));
        w.map("out_proj", &y)
    };
    v.iter().map(of_token).collect()
}

/// A row without its mean, over its standard deviation.
fn normed(row: &[f64], eps: f64) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let row: Vec<f64> = row.iter().map(|x| x - mean).collect();
    let scale = (dot(&row, &row) / row.len() as f64 + eps).sqrt();
    row.iter().map(|x| x / scale).collect()
}

/// Output of a level of a token, from what it read.
fn level(w: &Weights, config: &DragonConfig, v: &[f64], read: &[f64]) -> Vec<f64> {
    let (heads, width) = (config.n_heads, config.d_model);
    let neurons = config.n_neurons / heads;
    let (a, size) = (normed(read, config.norm_eps), width * neurons);
    let mut y = Vec::new();
    for head in 0..heads {
        let of_head = |name| &w.of(name)[head * size..(head + 1) * size];
        let x = product(v, of_head("decoder_x"));
        let answer = product(&a, of_head("decoder_y"));
        y.extend(x.iter().zip(answer).map(|(x, y)| x.max(0.0) * y.max(0.0)));
    }
    let u = normed(&product(&y, w.of("encoder")), config.norm_eps);
    let sum: Vec<f64> = v.iter().zip(u).map(|(v, u)| v + u).collect();
    normed(&sum, config.norm_eps)
}

#[test]
fn blocks_are_their_equations() {
    let kinds: [(&str, Definition); 3] = [
        (r#"{"type":"mamba1","d_state":3,"dt_max":2.0}"#, mamba1),
        (
            r#"{"type":"mamba2","d_state":4,"headdim":4,"ngroups":2,"d_conv":3}"#,
            mamba2,
        ),
        (
            r#"{"type":"mamba3","d_state":6,"headdim":8,"rope_fraction":0.7,"dt_max":2.0}"#,
            mamba3,
        ),
    ];
    for (mixer, definition) in kinds {
        let config = DragonConfig {
            mixer: serde_json::from_str(mixer).unwrap(),
            positions: Positions::None,
            n_levels: 1,
            ..subject::config()
        };
        let trunk = subject::trunk(&config.trunk());
        let numbers = snapshot(&trunk).into_iter();
        let weights = Weights(
            numbers
                .map(|(name, data)| (name, (data.shape().to_vec(), values(data))))
                .collect(),
        );
        let v = stream(trunk.config(), 1, 3);
        let rows: Rows = of(v.clone())
            .chunks(config.d_model)
            .map(<[f64]>::to_vec)
            .collect();
        let reads = definition(&weights, &rows);
        assert_eq!(reads.len(), TOKENS);
        let expected: Vec<f64> = rows
            .iter()
            .zip(&reads)
            .flat_map(|(v, read)| level(&weights, &config, v, read))
            .collect();
        same(&of(trunk.forward(v, Pass::default())), &expected, 1e-10);
    }
}

#[test]
fn keys_without_meaning_are_refused_by_name() {
    for (mixer, key) in [
        (r#"{"type":"mamba1","d_state":0}"#, "model.mixer.d_state"),
        (r#"{"type":"mamba1","d_conv":100000}"#, "model.mixer.d_conv"),
        (r#"{"type":"mamba1","dt_rank":0}"#, "model.mixer.dt_rank"),
        (r#"{"type":"mamba1","dt_max":1e-4}"#, "model.mixer.dt_max"),
        (r#"{"type":"mamba1","dt_scale":0.0}"#, "model.mixer.dt_scale"),
        (r#"{"type":"mamba2","headdim":5}"#, "model.mixer.headdim"),
        (
            r#"{"type":"mamba2","headdim":8,"ngroups":3}"#,
            "model.mixer.ngroups",
        ),
        (
            r#"{"type":"mamba2","headdim":8,"a_init_max":0.5}"#,
            "model.mixer.a_init_max",
        ),
        (
            r#"{"type":"mamba3","headdim":8,"rope_fraction":1.5}"#,
            "model.mixer.rope_fraction",
        ),
        (
            r#"{"type":"mamba3","headdim":8,"d_state":1}"#,
            "model.mixer.rope_fraction",
        ),
        (
            r#"{"type":"mamba3","headdim":8,"norm_eps":0.0}"#,
            "model.mixer.norm_eps",
        ),
    ] {
        let config = DragonConfig {
            mixer: serde_json::from_str(mixer).unwrap(),
            positions: Positions::None,
            ..subject::config()
        };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
        let rotary = DragonConfig {
            positions: Positions::Rotary,
            ..config
        };
        let error = rotary.validate().unwrap_err().to_string();
        assert!(error.contains("model.positions"), "{error}");
    }
    for unknown in [
        r#"{"type":"mamba1","headdim":8}"#,
        r#"{"type":"mamba3","d_conv":4}"#,
    ] {
        assert!(serde_json::from_str::<burn_dragon_core::api::Mixer>(unknown).is_err());
    }
}

#[test]
fn a_model_of_each_kind_starts_with_the_steps_and_rates_of_the_papers() {
    for (mixer, count) in [
        (r#"{"type":"mamba1"}"#, 32),
        (r#"{"type":"mamba2","headdim":2}"#, 16),
        (r#"{"type":"mamba3","headdim":2}"#, 16),
    ] {
        let config = DragonConfig {
            mixer: serde_json::from_str(mixer).unwrap(),
            positions: Positions::None,
            ..subject::config()
        };
        let dragon = Dragon::new(&config, 7, &burn::tensor::Device::flex()).unwrap();
        let mut numbers = snapshot(&dragon);
        let mut of = |name: &str| numbers.remove(&format!("mixer.{name}")).map(values);
        let steps: Vec<f64> = of("dt_bias").unwrap().into_iter().map(softplus).collect();
        assert_eq!(steps.len(), count);
        assert!(
            steps.iter().all(|step| (0.99e-3..0.101).contains(step)),
            "{steps:?}"
        );
        assert!(steps.iter().any(|step| *step < 0.01) && steps.iter().any(|step| *step > 0.01));
        if let Some(rates) = of("log_rates") {
            let rate = |index: usize| (index / 32 + 1) as f64;
            let all = rates.iter().enumerate();
            all.for_each(|(index, log)| assert!((log.exp() - rate(index)).abs() < 1e-4));
        }
        if let Some(rates) = of("log_rate") {
            assert!(
                rates.iter().all(|log| (0.99..16.1).contains(&log.exp())),
                "{rates:?}"
            );
        }
    }
}
