//! State of a chat: its memory and named copies.

use super::super::prompt::{self, Extent};
use super::command::{Command, HELP};
use burn_dragon::api::checkpoint::StoredPrecision;
use burn_dragon::api::expert::core::derive;
use burn_dragon::api::language::{GenerationConfig, Generator, LanguageModel, Prefix};
use burn_dragon_train::api::Interrupt;
use burn_dragon_train::api::expert::results;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Whether the chat continues; if not, how far its last line was read, if not completely.
type Next = anyhow::Result<ControlFlow<Option<Extent>>>;

pub(super) struct Session<'a> {
    model: &'a LanguageModel,
    config: GenerationConfig,
    precision: StoredPrecision,
    reading: Prefix,
    forks: BTreeMap<String, Prefix>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        model: &'a LanguageModel,
        config: GenerationConfig,
        reading: Prefix,
        precision: StoredPrecision,
    ) -> Self {
        Self {
            model,
            config,
            precision,
            reading,
            forks: BTreeMap::new(),
        }
    }

    /// The memory.
    pub(super) fn reading(&self) -> &Prefix {
        &self.reading
    }

    /// Adds a line and shows the model's continuation. It is a function of the seed and the text so far.
    pub(super) fn answer(&mut self, line: &[u8], interrupt: &Interrupt) -> Next {
        let tokens = self.model.tokenizer.encode(&[line, b"\n"].concat())?;
        let extent = prompt::read(&mut self.reading, &tokens, interrupt)?;
        if !extent.is_whole() {
            return Ok(ControlFlow::Break(Some(extent)));
        }
        // Each position in the text has a seed of its own. Otherwise all answers would draw the same numbers.
        let seed = derive(self.config.seed, "chat", self.reading.tokens(), 0);
        let config = GenerationConfig {
            seed,
            ..self.config.clone()
        };
        let generator = Generator::new(&self.model.dragon, self.model.tokenizer.clone(), &config)?;
        let mut heard = true;
        let generation = generator.go_on(&mut self.reading, |piece| {
            heard = results::write(piece.as_bytes());
            if heard && !interrupt.requested() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        self.end_line(generation.token_ids.last())?;
        heard = results::write(b"\n") && heard;
        Ok(if heard {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(None)
        })
    }

    /// Ends the model's text with a newline, also if it was interrupted.
    fn end_line(&mut self, last: Option<&u32>) -> anyhow::Result<()> {
        let tokenizer = &self.model.tokenizer;
        let Some(&last) = last else { return Ok(()) };
        if !tokenizer.token_bytes(last)?.ends_with(b"\n") {
            self.reading.read(&tokenizer.encode(b"\n")?)?;
        }
        Ok(())
    }

    /// Runs a command and reports it on standard error.
    pub(super) fn obey(&mut self, command: Command<'_>) -> Next {
        match command {
            Command::Quit => return Ok(ControlFlow::Break(None)),
            Command::Help => tell!("{HELP}"),
            Command::Reset => {
                self.reading = self.reading.fresh();
                tell!("memory emptied");
            }
            Command::Seed(seed) => {
                self.config.seed = seed;
                tell!("answers now use seed {seed}");
            }
            Command::Save(path) => self.save(path)?,
            Command::Load(path) => self.load(path)?,
            Command::Fork(None) => self.list(),
            Command::Fork(Some(name)) => self.fork(name),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn generator(&self) -> anyhow::Result<Generator<'_>> {
        let tokenizer = self.model.tokenizer.clone();
        Ok(Generator::new(&self.model.dragon, tokenizer, &self.config)?)
    }

    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let reading = &self.reading;
        self.generator()?.save(reading, path, self.precision)?;
        tell!(
            "memory of {} tokens saved to {}",
            reading.tokens(),
            path.display()
        );
        Ok(())
    }

    fn load(&mut self, path: &Path) -> anyhow::Result<()> {
        let reading = self.generator()?.load(path)?;
        tell!("memory {}, {} tokens", path.display(), reading.tokens());
        if reading.strategy() != self.reading.strategy() {
            tell!(
                "note: the memory was read with another context than that of the chat; the chat now uses the context of the memory"
            );
        }
        self.reading = reading;
        Ok(())
    }

    fn fork(&mut self, name: &str) {
        if let Some(fork) = self.forks.get(name) {
            self.reading = fork.clone();
            tell!("back at {name}, {} tokens", self.reading.tokens());
        } else {
            self.forks.insert(name.to_string(), self.reading.clone());
            tell!("kept as {name}, {} tokens", self.reading.tokens());
        }
    }

    fn list(&self) {
        if self.forks.is_empty() {
            tell!("no copies yet; /fork NAME saves one");
        }
        for (name, fork) in &self.forks {
            tell!("{name}, {} tokens", fork.tokens());
        }
    }
}
