//! Use of memories in a pass, and the order of writes and reads in a step.

use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Use of the memories in a pass: the trained one, and ablations.
///
/// It concerns memories that are carried from step to step, those of the cellular and of the pyramid backbone. The dense
/// backbone carries none: each of its steps writes what it reads, so there `ResetEachStep` is the same as `Carried`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryUse {
    /// Memories are carried from step to step and from frame to frame, as in training.
    #[default]
    Carried,
    /// Memories are emptied once, before the read of this step of the state, counted from 1: it reads nothing.
    WipedAt(usize),
    /// Memories are emptied before each step. With `read_then_write` every read is then empty.
    ResetEachStep,
    /// Nothing is written: every read is empty.
    NeverWritten,
}

/// Order of the writes and reads of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Places write, then read what all have written, in this step too.
    #[default]
    WriteThenRead,
    /// Places read the memories of before the step, then write. The first step of an empty memory reads nothing. The order
    /// of the public implementation.
    ReadThenWrite,
}

/// The memories in a step.
pub(super) trait Turn {
    /// What was read.
    type Read;

    /// Empties all memories.
    fn empty(&mut self) -> Result<(), VisionError>;

    /// Decays all memories over the time of the step, and writes into them.
    fn write(&mut self) -> Result<(), VisionError>;

    /// Reads.
    fn read(&mut self) -> Result<Self::Read, VisionError>;
}

impl MemoryUse {
    /// Takes a turn, that of step number `step` of the state, counted from 1.
    pub(super) fn take<T: Turn>(
        self,
        order: Order,
        step: usize,
        turn: &mut T,
    ) -> Result<T::Read, VisionError> {
        let writes = self != Self::NeverWritten;
        if self == Self::ResetEachStep {
            turn.empty()?;
        }
        if order == Order::WriteThenRead && writes {
            turn.write()?;
        }
        if self == Self::WipedAt(step) {
            turn.empty()?;
        }
        let read = turn.read()?;
        if order == Order::ReadThenWrite && writes {
            turn.write()?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory that is the number of writes in it.
    struct Count(usize);

    impl Turn for Count {
        type Read = usize;

        fn empty(&mut self) -> Result<(), VisionError> {
            self.0 = 0;
            Ok(())
        }

        fn write(&mut self) -> Result<(), VisionError> {
            self.0 += 1;
            Ok(())
        }

        fn read(&mut self) -> Result<usize, VisionError> {
            Ok(self.0)
        }
    }

    #[test]
    fn a_read_finds_the_writes_since_memories_were_emptied() {
        let reads = |memory: MemoryUse, order| {
            let mut count = Count(0);
            [1, 2, 3, 4].map(|step| memory.take(order, step, &mut count).unwrap())
        };
        let (ours, theirs) = (Order::WriteThenRead, Order::ReadThenWrite);
        assert_eq!(reads(MemoryUse::Carried, ours), [1, 2, 3, 4]);
        assert_eq!(reads(MemoryUse::Carried, theirs), [0, 1, 2, 3]);
        assert_eq!(reads(MemoryUse::WipedAt(3), ours), [1, 2, 0, 1]);
        assert_eq!(reads(MemoryUse::WipedAt(3), theirs), [0, 1, 0, 1]);
        assert_eq!(reads(MemoryUse::ResetEachStep, ours), [1; 4]);
        assert_eq!(reads(MemoryUse::ResetEachStep, theirs), [0; 4]);
        for order in [ours, theirs] {
            assert_eq!(reads(MemoryUse::NeverWritten, order), [0; 4]);
        }
    }
}
