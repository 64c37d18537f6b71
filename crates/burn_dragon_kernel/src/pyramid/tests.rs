//! The products against the definition, and what is true of a pyramid.

use super::*;
use crate::local_grid::Grid;
use crate::testing::{close, numbers, values};
use burn::tensor::{Device, TensorData};

const LANES: usize = 2;
const HEADS: usize = 3;
const WIDTH: usize = 5;

/// Neurons of the banks.
const NEURONS: [usize; 3] = [4, 3, 6];

fn shapes() -> [Pyramid; 4] {
    let of = |height, width, stride, hubs| Pyramid {
        patches: Grid::new(height, width),
        stride,
        hubs,
    };
    [of(4, 6, 2, 3), of(5, 7, 3, 1), of(3, 2, 1, 2), of(2, 3, 4, 2)]
}

fn input(pyramid: Pyramid, gated: bool, shared: bool, device: &Device) -> PyramidInput {
    let (places, cells, hubs) = (pyramid.patches.places(), pyramid.coarse().places(), pyramid.hubs);
    let of = |tokens, size, seed| numbers([LANES, HEADS, tokens, size], seed, 2.0, device);
    let bank = |count, size, seed| numbers([LANES, HEADS, count, size, WIDTH], seed, 2.0, device);
    let heads = if shared { 1 } else { HEADS };
    let [patch, coarse, hub] = NEURONS;
    PyramidInput {
        pyramid,
        memory: PyramidMemory {
            patch: bank(places, patch, 1),
            coarse: bank(cells, coarse, 2),
            hub: bank(hubs, hub, 3),
        },
        queries: PyramidQueries {
            patch_patch: of(places, patch, 4).clamp_min(0.0),
            patch_coarse: of(places, coarse, 5),
            patch_hub: of(places, hub, 6),
            coarse_coarse: of(cells, coarse, 7).clamp_min(0.0),
            coarse_hub: of(cells, hub, 8),
        },
        values: OfTokens {
            patch: numbers([LANES, heads, places, WIDTH], 9, 2.0, device),
            coarse: numbers([LANES, heads, cells, WIDTH], 10, 2.0, device),
        },
        gates: gated.then(|| OfTokens {
            patch: numbers([LANES, heads, places, hubs], 11, 2.0, device),
            coarse: numbers([LANES, heads, cells, hubs], 12, 2.0, device),
        }),
        near_patch: Neighbourhood::moore(1),
        near_cell: Neighbourhood::von_neumann(1).without_itself().mean(),
        reads: Links::all(),
        writes: Links::all(),
        decay: PyramidDecay {
            patch: Some(decay(0.1, device)),
            coarse: Some(decay(0.3, device)),
            hub: Some(decay(0.0, device)),
        },
        order: WriteOrder::DecayThenWrite,
    }
}

fn decay(least: f32, device: &Device) -> Decay {
    let slopes: Vec<f32> = (0..HEADS).map(|head| least + 0.2 * head as f32).collect();
    Decay::new(Tensor::from_data(TensorData::new(slopes, [HEADS]), device))
}

/// All links on both sides, every link alone, every link left out, with both orders, gated or not.
fn variants(pyramid: Pyramid, device: &Device) -> Vec<PyramidInput> {
    let full = |gated| input(pyramid, gated, gated, device);
    let mut variants = vec![
        full(true),
        full(false),
        PyramidInput {
            order: WriteOrder::WriteThenDecay,
            ..full(true)
        },
        PyramidInput {
            decay: PyramidDecay::default(),
            ..full(false)
        },
    ];
    for link in Link::ALL {
        variants.push(PyramidInput {
            reads: Links::none().with(link),
            writes: Links::all().without(link),
            ..full(false)
        });
        variants.push(PyramidInput {
            reads: Links::all().without(link),
            writes: Links::none().with(link),
            ..full(true)
        });
    }
    variants
}

type Step = fn(PyramidInput) -> PyramidOutput;

fn outputs(output: PyramidOutput) -> Vec<(&'static str, Vec<f32>)> {
    let PyramidMemory { patch, coarse, hub } = output.memory;
    let reads = [("patch read", output.patch), ("coarse read", output.coarse)];
    let reads = reads
        .into_iter()
        .filter_map(|(name, read)| Some((name, values(read?))));
    let memories = [("patch", patch), ("coarse", coarse), ("hub", hub)];
    reads
        .chain(memories.map(|(name, rho)| (name, values(rho))))
        .collect()
}

#[test]
fn values_are_those_of_the_definition() {
    for shape in shapes() {
        for input in variants(shape, &Device::flex()) {
            let (fast, slow) = (
                outputs(pyramid(input.clone())),
                outputs(reference::pyramid(input)),
            );
            assert_eq!(fast.len(), slow.len());
            for ((name, fast), (_, slow)) in fast.iter().zip(&slow) {
                close(name, fast, slow);
            }
        }
    }
}

/// The gradient of every input, where every output counts in the loss.
fn gradients(input: &PyramidInput, step: Step) -> Vec<Vec<f32>> {
    let mut input = input.clone();
    let mut leaves: Vec<Tensor<1>> = Vec::new();
    for tensor in input.tokens() {
        let leaf: Tensor<1> = tensor.clone().flatten::<1>(0, 3).detach().require_grad();
        *tensor = leaf.clone().reshape(tensor.dims());
        leaves.push(leaf);
    }
    let PyramidMemory { patch, coarse, hub } = &mut input.memory;
    for rho in [patch, coarse, hub] {
        let leaf: Tensor<1> = rho.clone().flatten::<1>(0, 4).detach().require_grad();
        *rho = leaf.clone().reshape(rho.dims());
        leaves.push(leaf);
    }
    let PyramidDecay { patch, coarse, hub } = &mut input.decay;
    for decay in [patch, coarse, hub].into_iter().flatten() {
        let leaf = decay.slopes().clone().detach().require_grad();
        *decay = Decay::new(leaf.clone());
        leaves.push(leaf);
    }
    let PyramidOutput {
        patch,
        coarse,
        memory,
    } = step(input);
    let flat = |tensor: Tensor<4>| tensor.flatten::<1>(0, 3);
    let reads = [patch, coarse].into_iter().flatten().map(flat);
    let memories = [memory.patch, memory.coarse, memory.hub].map(|rho| rho.flatten::<1>(0, 4));
    let weighted = |(seed, output): (usize, Tensor<1>)| {
        let weights = numbers([output.dims()[0]], 20 + seed as u64, 1.0, &output.device());
        output * weights
    };
    let terms = reads.chain(memories).enumerate().map(weighted);
    // Without a sum, for which a GPU would try out many kernels.
    let found = Tensor::cat(terms.collect(), 0).backward();
    let zeros = |leaf: &Tensor<1>| vec![0.0; leaf.dims()[0]];
    leaves
        .iter()
        .map(|leaf| leaf.grad(&found).map_or_else(|| zeros(leaf), values))
        .collect()
}

#[test]
fn gradients_are_those_of_the_definition() {
    for shape in shapes() {
        for input in variants(shape, &Device::flex().autodiff()) {
            let (fast, slow) = (gradients(&input, pyramid), gradients(&input, reference::pyramid));
            assert_eq!(fast.len(), slow.len());
            for (index, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
                close(&format!("gradient {index} of {shape:?}"), fast, slow);
            }
        }
    }
}

/// What one patch writes to its cell is read by the patches of the same region and by no others.
#[test]
fn a_patch_reads_what_its_own_region_wrote() {
    let device = Device::flex();
    let shape = Pyramid {
        patches: Grid::new(5, 6),
        stride: 2,
        hubs: 1,
    };
    let only = Links::none().with(Link::PatchCoarse);
    for writer in 0..30 {
        let mut input = input(shape, false, true, &device);
        input.memory.coarse = input.memory.coarse.zeros_like();
        input.queries.patch_coarse = input.queries.patch_coarse.ones_like();
        let mut values_of = vec![0.0; LANES * 30 * WIDTH];
        values_of
            .iter_mut()
            .skip(writer * WIDTH)
            .take(WIDTH)
            .for_each(|v| *v = 1.0);
        input.values.patch = Tensor::from_data(TensorData::new(values_of, [LANES, 1, 30, WIDTH]), &device);
        input.writes = only;
        input.reads = only;
        let memory = pyramid(input.clone()).memory;
        let read = values(pyramid(PyramidInput { memory, ..input }).patch.unwrap());
        for reader in 0..30 {
            let region = |patch: usize| (patch / 6 / 2, patch % 6 / 2);
            let expected = if region(reader) == region(writer) {
                NEURONS[1] as f32
            } else {
                0.0
            };
            assert_eq!(
                read[reader * WIDTH],
                expected,
                "{reader} reads what {writer} wrote"
            );
        }
    }
}

/// Without gates all hubs hold the same: their number changes no read.
#[test]
fn hubs_without_gates_are_one_hub() {
    let device = Device::flex();
    let hubs = Links::none().with(Link::PatchHub).with(Link::CoarseHub);
    let read = |count: usize| {
        let shape = Pyramid {
            hubs: count,
            ..shapes()[0]
        };
        let mut input = input(shape, false, true, &device);
        input.memory.hub = input.memory.hub.zeros_like();
        (input.reads, input.writes) = (hubs, hubs);
        let memory = pyramid(input.clone()).memory;
        let total = values(memory.hub.clone().sum_dim(2));
        (
            total,
            values(pyramid(PyramidInput { memory, ..input }).patch.unwrap()),
        )
    };
    let ((total, one), (same, three)) = (read(1), read(3));
    close("what the hubs hold together", &same, &total);
    let third: Vec<f32> = one.iter().map(|read| read / 3.0).collect();
    close("read", &three, &third);
}

#[test]
fn a_bank_that_is_a_constant_stays_one() {
    let device = Device::flex().autodiff();
    let mut input = input(shapes()[0], true, true, &device);
    input.queries.patch_patch = input.queries.patch_patch.require_grad();
    input.memory.coarse = input.memory.coarse.inner();
    let memory = pyramid(input).memory;
    assert!(memory.patch.is_autodiff() && memory.hub.is_autodiff());
    assert!(!memory.coarse.is_autodiff());
}

#[test]
#[should_panic(expected = "pyramid: patch_coarse has shape [2, 3, 24, 4], expected [2, 3, 24, 3]")]
fn queries_of_another_bank_are_refused() {
    let mut input = input(shapes()[0], false, true, &Device::flex());
    input.queries.patch_coarse = input.queries.patch_patch.clone();
    pyramid(input);
}

/// On a GPU the local parts are kernels. The other links are products of the library, for which it tries out kernels for
/// minutes on a software device: they are left out.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu {
    use super::*;
    use crate::gpu::tests::{device, near};

    const TOLERANCE: f64 = 1e-5;

    fn local(device: &Device) -> PyramidInput {
        let links = Links::none().with(Link::PatchPatch).with(Link::CoarseCoarse);
        let mut input = input(shapes()[1], false, true, &device.clone().autodiff());
        (input.reads, input.writes) = (links, links);
        input.decay.hub = None;
        input
    }

    #[test]
    fn local_parts_on_a_gpu_are_those_of_the_definition() {
        let Some(device) = device() else { return };
        let (here, there) = (local(&device), local(&Device::flex()));
        let expected = gradients(&there, reference::pyramid);
        for (index, (found, expected)) in gradients(&here, pyramid).iter().zip(&expected).enumerate() {
            near(&format!("gradient {index}"), found, expected, TOLERANCE);
        }
        let expected = outputs(reference::pyramid(there));
        for ((name, found), (_, expected)) in outputs(pyramid(here)).iter().zip(&expected) {
            near(name, found, expected, TOLERANCE);
        }
    }
}
