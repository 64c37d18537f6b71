//! `dragon forward`: logits of given tokens, so that another program can compare.

use super::{backend, load};
use crate::args::{Form, ForwardArgs};
use crate::exit::{BadInput, Usage};
use anyhow::Context;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon::api::core::{Dragon, FreeMemory, MemoryError, Need};
use burn_dragon_train::api::expert::write_atomic;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model or the tokens cannot be read, or the logits not written.
pub fn run(args: &ForwardArgs) -> anyhow::Result<ExitCode> {
    let chunk = chunk(args.form, args.chunk)?;
    let selected = backend(args.model.backend.backend)?;
    let model = load(&args.model.place, &selected)?;
    let tokens = read_tokens(&args.tokens, model.dragon.config().vocab_size, &selected.device)?;
    room_for(&model.dragon, tokens.dims(), chunk)?;
    let logits = match chunk {
        None => model.dragon.forward(tokens),
        Some(chunk) => in_chunks(&model.dragon, &tokens, chunk)?,
    };
    write_logits(&args.out, logits)?;
    Ok(ExitCode::SUCCESS)
}

/// Number of tokens that are read at once with carried state; `None` for all at once without state.
fn chunk(form: Form, asked: Option<usize>) -> Result<Option<usize>, Usage> {
    match (form, asked) {
        (Form::Chunked, Some(0)) => Err(Usage("--chunk 0: expected at least 1".into())),
        (Form::Chunked, asked) => Ok(Some(asked.unwrap_or(64))),
        (_, Some(_)) => Err(Usage("--chunk needs --form chunked".into())),
        (Form::Parallel, None) => Ok(None),
        (Form::Recurrent, None) => Ok(Some(1)),
    }
}

/// Refuses logits and memories that this machine has too little memory for. Logits are held as values, as bytes and in
/// the file.
fn room_for(dragon: &Dragon, [lanes, length]: [usize; 2], chunk: Option<usize>) -> Result<(), MemoryError> {
    let (config, cost) = (dragon.config(), dragon.config().cost());
    let rows = (lanes as u64).saturating_mul(length as u64);
    let logits = rows
        .saturating_mul(config.vocab_size as u64)
        .saturating_mul(3 * 4);
    let memories = chunk.map_or(0, |_| cost.state_bytes().saturating_mul(2 * lanes as u64));
    let need = Need::of("this forward pass")
        .with(
            "model and windows",
            cost.reading_bytes(lanes, chunk.unwrap_or(length).min(length)),
        )
        .with("logits", logits)
        .with("memories", memories);
    let way_out = || format!("give fewer tokens than {lanes} x {length} at once, or use a smaller --chunk");
    FreeMemory::of_this_machine().check(&need, way_out)
}

fn in_chunks(dragon: &Dragon, tokens: &Tensor<2, Int>, chunk: usize) -> anyhow::Result<Tensor<3>> {
    let [lanes, length] = tokens.dims();
    let (mut state, mut logits) = (dragon.empty_state(lanes), Vec::new());
    for at in (0..length).step_by(chunk) {
        let piece = tokens.clone().narrow(1, at, chunk.min(length - at));
        let (rows, next) = dragon.forward_with_state(piece, state)?;
        logits.push(rows);
        state = next;
    }
    Ok(Tensor::cat(logits, 1))
}

/// Reads the tensor `tokens`, i32 `[B, T]`, with all ids in the vocabulary.
fn read_tokens(path: &Path, vocab_size: usize, device: &Device) -> anyhow::Result<Tensor<2, Int>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bad = |reason: String| BadInput(format!("{}: {reason}", path.display()));
    let file = SafeTensors::deserialize(&bytes).map_err(|error| bad(error.to_string()))?;
    let view = file
        .tensor("tokens")
        .map_err(|_| bad("it has no tensor `tokens`".into()))?;
    let (&[lanes, length], Dtype::I32) = (view.shape(), view.dtype()) else {
        let reason = format!(
            "`tokens` is {:?} {:?}, expected I32 [B, T]",
            view.dtype(),
            view.shape()
        );
        return Err(bad(reason).into());
    };
    if lanes == 0 || length == 0 {
        return Err(bad(format!("`tokens` is empty: [{lanes}, {length}]")).into());
    }
    let ids: Vec<i32> = view
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|four| i32::from_le_bytes(*four))
        .collect();
    let outside = |id: &&i32| usize::try_from(**id).map_or(true, |id| id >= vocab_size);
    if let Some(id) = ids.iter().find(outside) {
        return Err(bad(format!("token {id} is outside the vocabulary of {vocab_size}")).into());
    }
    Ok(Tensor::from_data(TensorData::new(ids, [lanes, length]), device))
}

fn write_logits(path: &Path, logits: Tensor<3>) -> anyhow::Result<()> {
    let shape = logits.dims().to_vec();
    let values: Vec<f32> = logits
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .context("logits are not f32")?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape, &bytes)?;
    let file = safetensors::serialize([("logits", view)], None)?;
    Ok(write_atomic(path, &file)?)
}
