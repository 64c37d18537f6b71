//! Turns of a chat, which can be taken back.

use super::text::Text;
use crate::exit::Usage;
use burn_dragon::api::core::FreeMemory;
use burn_dragon::api::language::LanguageModel;
use burn_dragon_train::api::expert::bytes;
use std::collections::VecDeque;
use std::fmt;

/// Most bytes of memories that are kept for turns, unless one memory is larger.
const ROOM: u64 = 512 << 20;

/// Most turns that are kept.
const MOST: u64 = 100;

/// Change of the memory: a line with its answer, or a command.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The line as it was typed.
    pub(super) line: String,
    /// The model's answer; `None` for a command.
    pub(super) answer: Option<String>,
    /// Number of tokens read after it.
    pub(super) tokens: u64,
}

/// Turns so far, newest last. The memories before the newest of them are kept: a turn that is taken back leaves the
/// bits of a chat without it.
#[derive(Debug)]
pub(super) struct Turns {
    depth: Depth,
    turns: Vec<Turn>,
    /// Texts before the last turns.
    before: VecDeque<Text>,
}

/// Number of turns that can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    turns: usize,
    /// Bytes of a memory.
    each: u64,
}

impl Depth {
    /// Depth for a model: as many memories as fit in [`ROOM`] and in half of the free memory.
    pub(super) fn of(model: &LanguageModel, memories: u64) -> Self {
        let each = model
            .dragon
            .config()
            .cost()
            .state_bytes()
            .saturating_mul(memories);
        Self::within(each, FreeMemory::of_this_machine().free())
    }

    fn within(each: u64, free: u64) -> Self {
        let room = ROOM.max(each).min(free / 2);
        let turns = usize::try_from((room / each.max(1)).min(MOST)).unwrap_or(0);
        Self { turns, each }
    }

    /// Whether no turn can be taken back.
    pub(super) fn is_none(self) -> bool {
        self.turns == 0
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = bytes(self.each);
        match self.turns {
            0 => write!(
                f,
                "no turn can be taken back: there is too little free memory for a second memory of {each}"
            ),
            1 => write!(f, "/undo takes back the last turn (a memory of {each} is kept)"),
            turns => write!(
                f,
                "/undo takes back up to {turns} turns (a memory of {each} is kept for each)"
            ),
        }
    }
}

impl Turns {
    pub(super) fn new(depth: Depth) -> Self {
        Self {
            depth,
            turns: Vec::new(),
            before: VecDeque::new(),
        }
    }

    pub(super) fn depth(&self) -> Depth {
        self.depth
    }

    /// The turns, oldest first.
    pub(super) fn all(&self) -> &[Turn] {
        &self.turns
    }

    /// Copy of a text, to be kept before it changes; `None` if no turn can be taken back.
    pub(super) fn copy_of(&self, text: &Text) -> Option<Text> {
        (!self.depth.is_none()).then(|| text.clone())
    }

    /// Adds a turn, and keeps the text before it. The oldest kept text makes room.
    pub(super) fn push(&mut self, turn: Turn, before: Option<Text>) {
        self.turns.push(turn);
        self.before.extend(before);
        while self.before.len() > self.depth.turns {
            self.before.pop_front();
        }
    }

    /// Takes back the last turn and returns it with the text before it.
    pub(super) fn undo(&mut self) -> Result<(Turn, Text), Usage> {
        if self.turns.is_empty() {
            return Err(Usage("there is no turn to take back".into()));
        }
        let Some(before) = self.before.pop_back() else {
            return Err(Usage(format!("no earlier memory is kept: {}", self.depth)));
        };
        match self.turns.pop() {
            Some(turn) => Ok((turn, before)),
            None => unreachable!("a text is kept only for a turn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_turns_take_is_bounded() {
        for (each, free, turns) in [
            (1 << 20, 1 << 40, 100),
            (200 << 20, 1 << 40, 2),
            (1 << 30, 1 << 40, 1),
            (1 << 30, 1 << 31, 1),
            (1 << 30, (1 << 31) - 2, 0),
            (200 << 20, 500 << 20, 1),
        ] {
            let depth = Depth::within(each, free);
            assert_eq!(depth.turns, turns, "{each} {free}");
            assert!(depth.turns as u64 * each <= ROOM.max(each));
            assert_eq!(depth.is_none(), turns == 0);
        }
        assert!(
            Depth::within(200 << 20, 1 << 40)
                .to_string()
                .contains("up to 2 turns (a memory of 210 MB")
        );
    }
}
