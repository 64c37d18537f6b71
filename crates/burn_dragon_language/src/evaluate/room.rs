//! Check of free memory before a text is read.

use super::{WindowMemory, WindowReading};
use burn::tensor::Device;
use burn_dragon_core::api::{Dragon, FreeMemory, MemoryError, Need};

/// Number of memories alive per stream at once: the one before a window and the one after it.
const CARRIED: usize = 2;

/// Refuses to read documents side by side if there is too little memory. The longest document predicts `predictions`
/// tokens.
pub(super) fn check(
    dragon: &Dragon,
    reading: WindowReading,
    lanes: usize,
    predictions: usize,
) -> Result<(), MemoryError> {
    let memories = match reading.memory {
        WindowMemory::Reset => 0,
        WindowMemory::Carried => CARRIED,
        WindowMemory::Sliding { .. } => CARRIED + 1,
    };
    let window = (lanes, predictions.min(reading.block_size));
    check_on(FreeMemory::of_this_machine(), dragon, window, memories * lanes)
}

fn check_on(
    memory: FreeMemory,
    dragon: &Dragon,
    (lanes, tokens): (usize, usize),
    memories: usize,
) -> Result<(), MemoryError> {
    if dragon.device().inner() != Device::flex() {
        return Ok(()); // the free memory of other devices is not known
    }
    let cost = dragon.config().cost();
    let carried = cost.state_bytes().saturating_mul(memories as u64);
    let need = Need::of("the evaluation")
        .with("weights and windows", cost.reading_bytes(lanes, tokens))
        .with("memories", carried);
    memory.check(&need, || {
        let bytes = |tokens: u64| cost.reading_bytes(lanes, tokens as usize).saturating_add(carried);
        match memory.largest(tokens as u64, bytes) {
            Some(fits) => format!("windows of {fits} tokens fit (--block-size, training.block_size)"),
            None => "no window fits beside the model; try a smaller training.batch_size".into(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::dragon;
    use super::*;

    #[test]
    fn windows_that_do_not_fit_are_refused_with_those_that_do() {
        let dragon = dragon();
        let bytes = |tokens| dragon.config().cost().reading_bytes(4, tokens);
        let memory = FreeMemory::of(bytes(1000));
        check_on(memory, &dragon, (4, 1000), 0).unwrap();
        let error = check_on(memory, &dragon, (4, 1_000_000), 0)
            .unwrap_err()
            .to_string();
        let said: usize = error
            .split("windows of ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            bytes(said) <= bytes(1000) && bytes(said + 1) > bytes(1000),
            "{error}"
        );
        // Memories take room too.
        let error = check_on(memory, &dragon, (4, 1000), 100).unwrap_err().to_string();
        assert!(error.contains("memories"), "{error}");
        let error = check_on(FreeMemory::of(10), &dragon, (4, 1), 0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no window fits"), "{error}");
    }
}
