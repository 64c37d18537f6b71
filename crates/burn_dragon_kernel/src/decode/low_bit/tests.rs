//! The step in whole numbers against the definition with quantisers in f64, and what must not change its bits.

use super::*;
use crate::decode::Decode;
use crate::decode::reference::{Inputs, State, step_with};
use crate::decode::simd::{Isa, Kernel, Simd};
use crate::decode::tests::{Draws, Model, bits, random_sizes};
use crate::decode::weights::Weights;
use crate::low_bit::{LowBitFormat, hadamard};
use std::cell::Cell;
use std::sync::Arc;

const FORMATS: [LowBitFormat; 3] = [LowBitFormat::Ternary, LowBitFormat::Sign, LowBitFormat::Int8];
const GROUPS: [ScaleGroups; 3] = [ScaleGroups::All, ScaleGroups::Head, ScaleGroups::Neurons];

/// `[H, D, N]` as rows `[H, N, D]`.
fn transposed(matrix: &[f32], [heads, rows, columns]: [usize; 3]) -> Vec<f32> {
    let place = |i: usize| {
        let (head, n, d) = (i / (rows * columns), i / rows % columns, i % rows);
        (head * rows + d) * columns + n
    };
    (0..heads * rows * columns).map(|i| matrix[place(i)]).collect()
}

/// A model, its form in whole numbers, and the same with its matrices multiplied out again.
struct Quantised {
    low_bit: LowBit,
    weights: Arc<Weights>,
    dequantised: Model,
}

impl Quantised {
    /// Each matrix has a format of its own or none, and each input may be quantised or not.
    fn new(mut model: Model, formats: [Option<(LowBitFormat, ScaleGroups)>; 3], inputs: LowBit) -> Self {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = model.sizes;
        let quantise = |matrix: &[f32], format: Option<(LowBitFormat, ScaleGroups)>| {
            let (format, groups) = format?;
            Some(LowBitMatrix::quantise(
                matrix,
                [heads, neurons, width],
                format,
                groups,
            ))
        };
        let rows = |matrix: &[f32]| transposed(matrix, [heads, width, neurons]);
        let low_bit = LowBit {
            decoder_x: quantise(&rows(&model.matrices[1]), formats[0]),
            decoder_y: quantise(&rows(&model.matrices[2]), formats[1]),
            encoder: quantise(&model.matrices[3], formats[2]),
            ..inputs
        };
        // Slices that are not used may be empty.
        let whole = [&low_bit.decoder_x, &low_bit.decoder_y, &low_bit.encoder];
        let mut parameters = model.parameters();
        let slices = [
            &mut parameters.decoder_x,
            &mut parameters.decoder_y,
            &mut parameters.encoder,
        ];
        slices
            .into_iter()
            .zip(whole)
            .filter(|(_, whole)| whole.is_some())
            .for_each(|(slice, _)| *slice = &[]);
        let weights = Arc::new(Weights::low_bit(&parameters, low_bit.clone(), Precision::F32));
        let columns = |matrix: &LowBitMatrix| transposed(&matrix.dequantised(), [heads, neurons, width]);
        if let Some(matrix) = &low_bit.decoder_x {
            model.matrices[1] = columns(matrix);
        }
        if let Some(matrix) = &low_bit.decoder_y {
            model.matrices[2] = columns(matrix);
        }
        if let Some(matrix) = &low_bit.encoder {
            model.matrices[3] = matrix.dequantised();
        }
        Self {
            low_bit,
            weights,
            dequantised: model,
        }
    }

    /// A step of the definition. Also returns how near a number was to a tie at the least, in whole numbers: nearer than
    /// rounding in f32, the definition does not say what it becomes.
    fn step(&self, state: &mut State, tokens: &[u32]) -> (Vec<f64>, f64) {
        let margin = Cell::new(f64::INFINITY);
        let row = |input: Option<RowInput>| {
            let margin = &margin;
            move |row: &[f64]| input.map_or(row.to_vec(), |input| quantised_row(row, input, margin))
        };
        let sizes = self.dequantised.sizes;
        let y = |y: &[f64]| match self.low_bit.y {
            None => y.to_vec(),
            Some(input) => quantised_neurons(y, input, sizes, &margin),
        };
        let inputs = Inputs {
            v: &row(self.low_bit.v),
            a: &row(self.low_bit.a),
            y: &y,
        };
        let logits = step_with(&self.dequantised.parameters(), &inputs, state, tokens);
        (logits, margin.get())
    }
}

/// The whole number of x, which is noted if it is near a tie within the range.
fn whole(x: f64, [least, most]: [f64; 2], margin: &Cell<f64>) -> f64 {
    if x > least && x < most {
        margin.set(margin.get().min(((x - x.floor()) - 0.5).abs()));
    }
    x.round_ties_even().clamp(least, most)
}

fn quantised_row(row: &[f64], input: RowInput, margin: &Cell<f64>) -> Vec<f64> {
    let mut row = row.to_vec();
    if input.hadamard {
        // By its matrix: the sign of an entry is the parity of the ones that both indices have.
        let sign = |i: usize, j: usize| [1.0, -1.0][(i & j).count_ones() as usize % 2];
        let entry = |i: usize| row.iter().enumerate().map(|(j, x)| sign(i, j) * x).sum::<f64>();
        row = (0..row.len())
            .map(|i| entry(i) / (row.len() as f64).sqrt())
            .collect();
    }
    let size = match input.groups {
        InputGroups::Row => row.len(),
        InputGroups::Width => 64,
    };
    row.chunks(size)
        .flat_map(|group| {
            let most = group.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            let mean = group.iter().map(|x| x.abs()).sum::<f64>() / group.len() as f64;
            let (s, range) = match input.levels {
                Levels::Int8 => (127.0 / most.max(1e-5), [-128.0, 127.0]),
                Levels::Int4 => (7f64.sqrt() / mean.max(1e-5), [-8.0, 7.0]),
            };
            group.iter().map(move |x| whole(x * s, range, margin) / s)
        })
        .collect()
}

fn quantised_neurons(y: &[f64], input: NeuronInput, sizes: Sizes, margin: &Cell<f64>) -> Vec<f64> {
    let (head, levels) = (sizes.neurons, f64::from(input.levels));
    let groups: Vec<&[f64]> = match input.groups {
        ScaleGroups::All => vec![y],
        ScaleGroups::Head => y.chunks(head).collect(),
        ScaleGroups::Neurons => y.chunks(head).flat_map(|head| head.chunks(64)).collect(),
    };
    groups
        .into_iter()
        .flat_map(|group| {
            let most = group.iter().fold(0.0, |most: f64, y| most.max(*y));
            let s = levels / most.max(1e-5);
            group.iter().map(move |y| whole(y * s, [0.0, levels], margin) / s)
        })
        .collect()
}

fn error(fast: &[f32], slow: &[f64]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let off = length(&mut fast.iter().zip(slow).map(|(a, b)| f64::from(*a) - b));
    off / length(&mut slow.iter().copied()).max(1e-30)
}

fn random_inputs(draws: &mut Draws, sizes: Sizes) -> LowBit {
    let row = |draws: &mut Draws| {
        (draws.below(4) > 0).then(|| RowInput {
            levels: [Levels::Int8, Levels::Int4][draws.below(2)],
            groups: [InputGroups::Row, InputGroups::Width][draws.below(2)],
            hadamard: sizes.width.is_power_of_two() && draws.below(2) == 0,
        })
    };
    LowBit {
        v: row(draws),
        a: row(draws),
        y: (draws.below(4) > 0).then(|| NeuronInput {
            levels: [255, 127, 7][draws.below(3)],
            groups: GROUPS[draws.below(3)],
        }),
        ..LowBit::default()
    }
}

fn random_formats(draws: &mut Draws) -> [Option<(LowBitFormat, ScaleGroups)>; 3] {
    [0; 3].map(|_| (draws.below(5) > 0).then(|| (FORMATS[draws.below(3)], GROUPS[draws.below(3)])))
}

/// Steps of both from the same random memory.
fn check(quantised: &Quantised, lanes: usize, isa: Isa, draws: &mut Draws) -> [usize; 2] {
    let sizes = quantised.dequantised.sizes;
    let mut slow = State::new(&quantised.dequantised.parameters(), lanes);
    for rho in &mut slow.rho {
        *rho = draws.numbers(rho.len(), 0.0).into_iter().map(f64::from).collect();
    }
    let mut fast = Decode::with(quantised.weights.clone(), lanes, Precision::F32, isa);
    for (level, rho) in slow.rho.iter().enumerate() {
        fast.restore(level, &rho.iter().map(|&v| v as f32).collect::<Vec<_>>());
    }
    for step in 0..3 {
        let tokens: Vec<u32> = (0..lanes).map(|_| draws.below(sizes.vocab) as u32).collect();
        let (expected, margin) = quantised.step(&mut slow, &tokens);
        let logits = fast.step(&tokens);
        if margin < 2e-5 {
            return [step, 1];
        }
        let off = error(logits, &expected);
        assert!(
            off < 2e-6,
            "{sizes:?}, {lanes} lanes, {isa:?}, step {step}: off by {off:e}\n{:?} {:?} {:?}, nearest tie {margin:e}",
            quantised.low_bit.v,
            quantised.low_bit.a,
            quantised.low_bit.y
        );
        for (level, rho) in slow.rho.iter().enumerate() {
            let off = error(&fast.memory(level), rho);
            assert!(off < 2e-6, "{sizes:?}, {isa:?}: memory {level} is off by {off:e}");
        }
    }
    [3, 0]
}

#[test]
fn a_step_is_that_of_the_definition_for_any_format_group_shape_and_density() {
    let mut draws = Draws(30);
    let kinds = Isa::all();
    let mut counts = [0; 2];
    for case in 0..400 {
        let mut sizes = random_sizes(&mut draws);
        sizes.vocab += 8; // a single logit may be near zero, and its relative error large
        sizes.width = sizes.width.max(8); // the norm of two numbers is a sign, whose error may be of any size
        if case % 3 == 0 {
            sizes.width = 8 << draws.below(6);
            sizes.neurons *= 2;
        }
        let (formats, inputs) = (random_formats(&mut draws), random_inputs(&mut draws, sizes));
        // Signs of a row of zeros are all the same: its product with a normed row is 0, and in f32 any small number.
        let has_signs = formats
            .iter()
            .flatten()
            .any(|(format, _)| *format == LowBitFormat::Sign);
        let silent = if has_signs { 0.0 } else { [0.0, 0.5, 0.9][case % 3] };
        let model = Model::new(sizes, silent, &mut draws);
        let quantised = Quantised::new(model, formats, inputs);
        let count = check(
            &quantised,
            1 + draws.below(3),
            kinds[case % kinds.len()],
            &mut draws,
        );
        counts = [counts[0] + count[0], counts[1] + count[1]];
    }
    let [compared, near_ties] = counts;
    assert!(
        compared > 800 && near_ties < 120,
        "{compared} steps were compared; {near_ties} runs came too near a tie"
    );
}

/// A form like that of b1.58: ternary, int8 rows, and y of 255 levels.
fn published(groups: ScaleGroups) -> ([Option<(LowBitFormat, ScaleGroups)>; 3], LowBit) {
    let row = RowInput {
        levels: Levels::Int8,
        groups: InputGroups::Row,
        hadamard: false,
    };
    let inputs = LowBit {
        v: Some(row),
        a: Some(row),
        y: Some(NeuronInput { levels: 255, groups }),
        ..LowBit::default()
    };
    ([Some((LowBitFormat::Ternary, groups)); 3], inputs)
}

/// Sizes of several chunks.
const SEVERAL_CHUNKS: Sizes = Sizes {
    levels: 3,
    heads: 3,
    neurons: 600,
    width: 320,
    vocab: 77,
};

#[test]
fn heads_of_several_chunks_are_put_together() {
    let mut draws = Draws(31);
    for groups in GROUPS {
        let model = Model::new(SEVERAL_CHUNKS, 0.5, &mut draws);
        let (formats, inputs) = published(groups);
        let quantised = Quantised::new(model, formats, inputs);
        for isa in Isa::all() {
            check(&quantised, 2, isa, &mut draws);
        }
    }
}

#[test]
fn the_bits_depend_neither_on_the_number_of_threads_nor_on_what_other_lanes_read() {
    for (groups, memory) in GROUPS
        .into_iter()
        .zip([Precision::F32, Precision::Bf16, Precision::F32])
    {
        let (formats, inputs) = published(groups);
        let model = Model::new(SEVERAL_CHUNKS, 0.4, &mut Draws(32));
        let weights = Quantised::new(model, formats, inputs).weights;
        let mut alone = Decode::new(weights.clone(), 1, memory);
        alone.limit_threads(1);
        let mut helped = Decode::new(weights.clone(), 1, memory);
        helped.limit_threads(usize::MAX);
        let mut beside = Decode::new(weights, 2, memory);
        for step in 0..60 {
            let token = step * 13 % 77;
            let expected = bits(alone.step(&[token]));
            assert_eq!(bits(helped.step(&[token])), expected, "step {step}");
            assert_eq!(bits(&beside.step(&[5, token])[77..]), expected, "step {step}");
            assert_eq!(bits(helped.clone().logits()), expected);
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn processors_with_fused_multiply_add_give_the_same_bits() {
    let mut draws = Draws(33);
    for case in 0..30 {
        let sizes = random_sizes(&mut draws);
        let (formats, inputs) = (random_formats(&mut draws), random_inputs(&mut draws, sizes));
        let weights = Quantised::new(Model::new(sizes, 0.4, &mut draws), formats, inputs).weights;
        let fused = Isa::all()
            .into_iter()
            .filter(|isa| !matches!(isa, Isa::Portable(_)));
        let logits: Vec<_> = fused
            .map(|isa| {
                let mut decode = Decode::with(weights.clone(), 1, Precision::F32, isa);
                let step = |token: u32| bits(decode.step(&[token % sizes.vocab as u32]));
                (0..10).map(step).collect::<Vec<_>>()
            })
            .collect();
        assert!(logits.windows(2).all(|pair| pair[0] == pair[1]), "case {case}");
    }
}

/// Where nothing is quantised, the step is the plain one, bit for bit.
#[test]
fn a_model_without_whole_numbers_is_decoded_as_a_plain_one() {
    let mut draws = Draws(34);
    for precision in [Precision::F32, Precision::Bf16] {
        let model = Model::new(random_sizes(&mut draws), 0.5, &mut draws);
        let plain = Weights::new(&model.parameters(), precision);
        let low_bit = Weights::low_bit(&model.parameters(), LowBit::default(), precision);
        assert_eq!(low_bit.precision(), precision);
        let [mut plain, mut low_bit] =
            [plain, low_bit].map(|weights| Decode::new(Arc::new(weights), 1, Precision::F32));
        for _ in 0..20 {
            let token = [draws.below(model.sizes.vocab) as u32];
            assert_eq!(bits(plain.step(&token)), bits(low_bit.step(&token)));
        }
    }
}

#[test]
fn the_transform_of_rows_is_that_of_its_matrix() {
    let mut row = Draws(35).numbers(64, 0.0);
    let margin = Cell::new(f64::INFINITY);
    let input = RowInput {
        levels: Levels::Int8,
        groups: InputGroups::Row,
        hadamard: true,
    };
    let numbers: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
    let expected = quantised_row(&numbers, input, &margin);
    hadamard(&mut row);
    assert!(error(&row, &expected) < 0.01);
}

#[test]
fn the_widest_rows_of_the_largest_bytes_do_not_overflow() {
    let sizes = Sizes {
        levels: 1,
        heads: 1,
        neurons: 2,
        width: WIDEST,
        vocab: 2,
    };
    let model = Model::new(sizes, 0.0, &mut Draws(36));
    let largest = vec![127; 2 * WIDEST];
    let matrix = LowBitMatrix::new(&largest, [1, 2, WIDEST], ScaleGroups::All, vec![1.0]);
    let (_, inputs) = published(ScaleGroups::All);
    let low_bit = LowBit {
        decoder_x: Some(matrix.unwrap()),
        ..inputs
    };
    let weights = Weights::low_bit(&model.parameters(), low_bit, Precision::F32);
    let mut inputs = WholeInputs::new(&weights, 1);
    inputs
        .v
        .quantise(Isa::best(), &vec![Line([-1.0; LINE]); WIDEST / LINE]);
    let matrices = weights.matrices.low_bit().unwrap();
    let Projection::Whole(matrix) = &matrices.decoder_x else {
        panic!("decoder_x is in whole numbers");
    };
    for isa in Isa::all() {
        let product = isa.run(Product(matrix, &inputs));
        let expected = -127.0 * WIDEST as f32;
        assert!(
            (product / expected - 1.0).abs() < 1e-6,
            "{isa:?}: {product}, expected {expected}"
        );
    }
}

/// Product of the first neuron with the stream.
struct Product<'a>(&'a LowBitMatrix, &'a WholeInputs);

impl Kernel for Product<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut line = Line::default();
        let products = self.1.v.row(0).products(simd, self.0, [0; LINE]);
        simd.store(&mut line, products);
        line.0[0]
    }
}
