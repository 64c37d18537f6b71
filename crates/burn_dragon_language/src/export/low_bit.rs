//! Language models with low-bit matrices in files: whole numbers and scales in the place of floats.
//!
//! | tensor | stored as |
//! |---|---|
//! | a matrix that is quantised, by its name | whole numbers `[H, N, D]`, a neuron a row |
//! | the name and `.scales` | a float for each group of rows |
//! | every other | floats |
//!
//! The configuration then says `quant.packed`: the numbers stand for the weights as they are.

use super::{of_checked, read_config};
use burn::tensor::{Device, TensorData};
use burn_dragon_checkpoint::api::{Codes, ModelFile, StoredConfig, StoredTensor, TensorSpec};
use burn_dragon_core::api::low_bit::{LowBit, LowBitMatrix, Packing, ScaleGroups, Target, WeightFormat};
use burn_dragon_core::api::{Dragon, DragonConfig, TensorShape};
use std::path::Path;

/// Name of the tensor with the scales of a matrix.
fn scales_of(target: Target) -> String {
    format!("{}.scales", target.name())
}

/// What is quantised in a packed model, and the shape of its matrices, `[H, N, D]`; `None` if it is not packed.
fn packed_parts(config: &DragonConfig) -> Option<(Vec<Target>, LowBit, [usize; 3])> {
    let low_bit = config.trunk().low_bit().filter(|low_bit| low_bit.is_packed)?;
    let is_quantised = |target: &Target| low_bit.format(*target) != WeightFormat::Fp16;
    let targets = Target::ALL.into_iter().filter(is_quantised).collect();
    let shape = [config.n_heads, config.neurons_per_head(), config.d_model];
    Some((targets, low_bit, shape))
}

/// Tensors of a model file.
pub(super) fn specs(config: &DragonConfig) -> Vec<TensorSpec> {
    let packed = packed_parts(config);
    let of = |name: &str, shape: &[usize]| {
        if let Some((targets, low_bit, rows)) = &packed
            && let Some(target) = targets.iter().find(|target| target.name() == name)
        {
            let scales = low_bit.weight_grouping.rows().count(rows[0], rows[1]);
            return vec![
                TensorSpec::whole(name, *rows),
                TensorSpec::float(scales_of(*target), [scales]),
            ];
        }
        vec![TensorSpec::float(name, shape)]
    };
    let tensors = config.tensors();
    tensors
        .iter()
        .flat_map(|tensor| of(&tensor.name, &tensor.shape))
        .collect()
}

/// The model with its low-bit matrices in whole numbers.
pub(super) fn packed(file: ModelFile, packing: Packing) -> Result<ModelFile, String> {
    let mut config = read_config(file.config.value())?;
    let Some(low_bit) = config.trunk().low_bit() else {
        return Err(
            "its matrices are not quantised, and rounding those of a model that was not trained for it destroys it; train one \
             with a table [model.quant], as in config/language/low_bit/b158.toml"
                .into(),
        );
    };
    let mut file = unpacked(file)?;
    let matrices = of_floats(file.clone(), &config)?.trunk.low_bit_matrices();
    for (target, matrix) in matrices.map_err(|error| error.to_string())? {
        let packing = match low_bit.format(target) {
            WeightFormat::Int8 => Packing::Bytes,
            WeightFormat::Sign1 => Packing::Signs,
            WeightFormat::Ternary158 | WeightFormat::Packed2 | WeightFormat::Fp16 => packing,
        };
        check_numbers(target, low_bit.format(target), &matrix)?;
        let (scales, shape) = (matrix.scales().to_vec(), matrix.shape());
        let codes = Codes::whole(&matrix.numbers(), packing, &shape, &scales_of(target))?;
        let count = scales.len();
        let scales = StoredTensor::float(TensorData::new(scales, [count]))?;
        file.tensors
            .insert(target.name().into(), StoredTensor::Codes(codes));
        file.tensors.insert(scales_of(target), scales);
    }
    if let Some(quant) = &mut config.quant {
        quant.packed = true;
    }
    file.config = StoredConfig::of(&config)?;
    Ok(file)
}

/// Model of a file without packed tensors.
fn of_floats(file: ModelFile, config: &DragonConfig) -> Result<Dragon, String> {
    for TensorShape { name, shape } in config.tensors() {
        let given = file.tensors.get(&name).map(StoredTensor::shape);
        if given.as_deref() != Some(&shape) {
            return Err(format!(
                "tensor `{name}` has the shape {given:?}, expected {shape:?}"
            ));
        }
    }
    of_checked(file, config, Path::new("the model"), &Device::flex()).map_err(|error| error.to_string())
}

/// The model with floats in the place of whole numbers; any other as it is.
pub(super) fn unpacked(mut file: ModelFile) -> Result<ModelFile, String> {
    if !file
        .tensors
        .values()
        .any(|tensor| matches!(tensor, StoredTensor::Codes(_)))
    {
        return Ok(file);
    }
    let config = read_config(file.config.value())?;
    let Some((targets, low_bit, shape)) = packed_parts(&config) else {
        return Err("it has packed tensors, but its configuration has no `quant.packed`".into());
    };
    for target in targets {
        let (Some(StoredTensor::Codes(codes)), Some(scales)) = (
            file.tensors.remove(target.name()),
            file.tensors.remove(&scales_of(target)),
        ) else {
            return Err(format!("`{}` or its scales are not there", target.name()));
        };
        let scales = scales.floats().map(|scales| scales.iter::<f32>().collect());
        let scales = scales.ok_or_else(|| format!("the scales of `{}` are no floats", target.name()))?;
        let groups = low_bit.weight_grouping.rows();
        let matrix = LowBitMatrix::new(&codes.numbers(), shape, groups, scales)
            .map_err(|error| format!("`{}`: {error}", target.name()))?;
        check_numbers(target, low_bit.format(target), &matrix)?;
        let floats = StoredTensor::float(tensor_of(target, &matrix))?;
        file.tensors.insert(target.name().into(), floats);
    }
    Ok(file)
}

/// Checks that the numbers of a matrix are those that its format gives: the largest of each group that is not all 0 is the
/// largest of the format. From these a decoder finds numbers and scales in the floats again.
fn check_numbers(target: Target, format: WeightFormat, matrix: &LowBitMatrix) -> Result<(), String> {
    let largest: u8 = match format {
        WeightFormat::Int8 => 127,
        WeightFormat::Sign1 | WeightFormat::Ternary158 | WeightFormat::Packed2 | WeightFormat::Fp16 => 1,
    };
    let ([heads, neurons, width], numbers) = (matrix.shape(), matrix.numbers());
    let of_head = match matrix.groups() {
        ScaleGroups::All => heads * neurons,
        ScaleGroups::Head => neurons,
        ScaleGroups::Neurons => ScaleGroups::NEURONS,
    };
    let parts = match matrix.groups() {
        ScaleGroups::All => numbers.len(),
        ScaleGroups::Head | ScaleGroups::Neurons => neurons * width,
    };
    let mut groups = numbers
        .chunks(parts)
        .flat_map(|part| part.chunks(of_head * width));
    let most = |group: &[i8]| group.iter().map(|number| number.unsigned_abs()).max();
    match groups.find_map(|group| most(group).filter(|most| *most != 0 && *most != largest)) {
        None => Ok(()),
        Some(most) => Err(format!(
            "the largest number of a group of `{}` is {most}, but {largest} in matrices that are quantised as {}",
            target.name(),
            format.name()
        )),
    }
}

/// A matrix as the tensor of a trunk: decoders `[H, D, N]`, the encoder `[H*N, D]`.
fn tensor_of(target: Target, matrix: &LowBitMatrix) -> TensorData {
    let ([heads, neurons, width], rows) = (matrix.shape(), matrix.dequantised());
    if target == Target::Encoder {
        return TensorData::new(rows, [heads * neurons, width]);
    }
    let mut turned: Vec<f32> = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(neurons * width) {
        for d in 0..width {
            turned.extend(head.iter().skip(d).step_by(width));
        }
    }
    TensorData::new(turned, [heads, width, neurons])
}
