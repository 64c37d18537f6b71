//! State of a chat: its memory, its turns and named copies.

use super::super::live::Pulse;
use super::super::prompt::{self, Extent};
use super::command::{Command, help};
use super::mode::{Joining, rest_of};
use super::text::Text;
use super::trained::TrainedLength;
use super::turns::{Depth, Turn, Turns};
use crate::args::ChatMode;
use crate::exit::Usage;
use burn_dragon::api::checkpoint::StoredPrecision;
use burn_dragon::api::expert::checkpoint::shortened_to;
use burn_dragon::api::expert::core::derive;
use burn_dragon::api::language::{
    ContextStrategy, Generation, GenerationConfig, Generator, LanguageModel, Prefix,
};
use burn_dragon_train::api::Interrupt;
use burn_dragon_train::api::expert::results;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Whether the chat continues; if not, how far its last line was read, if not completely.
type Next = anyhow::Result<ControlFlow<Option<Extent>>>;

/// Settings of a chat that were typed.
#[derive(Debug)]
pub(super) struct Settings {
    /// Settings of the generation. Without a stop text the mode says where an answer ends.
    pub(super) generation: GenerationConfig,
    /// How a line joins the text: one that the model has.
    pub(super) mode: ChatMode,
    /// Precision of a saved memory.
    pub(super) precision: StoredPrecision,
    /// Whether an interruption stops the answer and not the chat.
    pub(super) resumes: bool,
}

pub(super) struct Session<'a> {
    model: &'a LanguageModel,
    settings: Settings,
    text: Text,
    turns: Turns,
    forks: BTreeMap<String, Text>,
    trained: TrainedLength,
}

impl<'a> Session<'a> {
    pub(super) fn new(model: &'a LanguageModel, settings: Settings, reading: Prefix) -> Self {
        let memories = match reading.strategy() {
            ContextStrategy::Infinite {} => 1,
            ContextStrategy::Sliding { .. } => 2,
        };
        let session = Self {
            model,
            settings,
            text: Text::of(reading),
            turns: Turns::new(Depth::of(model, memories)),
            forks: BTreeMap::new(),
            trained: TrainedLength::of(model),
        };
        session.note_other_mode();
        session
    }

    /// The memory.
    pub(super) fn reading(&self) -> &Prefix {
        &self.text.reading
    }

    /// How a line joins the text.
    pub(super) fn mode(&self) -> ChatMode {
        self.settings.mode
    }

    /// Number of turns that can be taken back.
    pub(super) fn depth(&self) -> Depth {
        self.turns.depth()
    }

    /// Text that a line adds to the text so far: the one place where a turn is made.
    fn turn(&self, line: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.joining()?.turn(line, self.text.end)
    }

    fn joining(&self) -> Result<Joining<'a>, Usage> {
        self.settings.mode.joining(self.model)
    }

    /// Adds a line and shows the model's continuation. It is a function of the seed and the text so far. A line that
    /// ends with an error is taken back.
    pub(super) fn answer(&mut self, line: &[u8], interrupt: &Interrupt) -> Next {
        let before = self.turns.copy_of(&self.text);
        match self.speak(line, interrupt) {
            Ok(Spoken::Answer { answer, heard }) => {
                self.note_length();
                let turn = self.done(&String::from_utf8_lossy(line), Some(answer));
                self.turns.push(turn, before);
                Ok(match heard {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(None),
                })
            }
            Ok(Spoken::BrokenOff(_)) if self.settings.resumes => {
                match before {
                    Some(before) => {
                        self.text = before;
                        tell!("interrupted: the line was not read");
                    }
                    None => {
                        tell!("interrupted: a part of the line was read, since no second memory has room");
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Ok(Spoken::BrokenOff(extent)) => Ok(ControlFlow::Break(Some(extent))),
            Err(error) => {
                if let Some(before) = before {
                    self.text = before;
                }
                Err(error)
            }
        }
    }

    fn speak(&mut self, line: &[u8], interrupt: &Interrupt) -> anyhow::Result<Spoken> {
        let added = self.turn(line)?;
        let tokens = self.model.tokenizer.encode(&added)?;
        let extent = prompt::read(&mut self.text.reading, &tokens, interrupt)?;
        if !extent.is_whole() {
            return Ok(Spoken::BrokenOff(extent));
        }
        self.text.end = self.text.end.then(&added);
        // Each position in the text has a seed of its own. Otherwise all answers would draw the same numbers.
        let seed = derive(
            self.settings.generation.seed,
            "chat",
            self.text.reading.tokens(),
            0,
        );
        let config = GenerationConfig {
            seed,
            ..self.generation()?
        };
        let generator = Generator::of(self.model, &config)?;
        let mut heard = true;
        let generation = generator.go_on(&mut self.text.reading, |piece| {
            heard = results::write(piece.as_bytes());
            if heard && !interrupt.requested() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        let stop = self.end_answer(&generation)?;
        heard = results::write(format!("{stop}\n").as_bytes()) && heard;
        let answer = generation.text + &stop;
        Ok(Spoken::Answer { answer, heard })
    }

    /// Settings of the generation, with the stop texts of the mode unless others were given.
    fn generation(&self) -> Result<GenerationConfig, Usage> {
        let mut config = self.settings.generation.clone();
        if config.stop.is_empty() {
            config.stop = self.joining()?.stops();
        }
        Ok(config)
    }

    /// Ends the model's text, also if it was interrupted: a line with a newline, a message with the end of its template.
    /// Returns the part of a stop text that belongs to the answer, which the generation does not show: the end of a
    /// sentence.
    fn end_answer(&mut self, generation: &Generation) -> anyhow::Result<String> {
        let tokenizer = &self.model.tokenizer;
        let mut read = generation.token_ids.as_slice();
        if let (Some(last), Some(end)) = (read.last(), tokenizer.end_of_text())
            && *last == end
        {
            read = &read[..read.len() - 1];
        }
        let joining = self.joining()?;
        match read.last() {
            Some(last) => self.text.end = self.text.end.then(&tokenizer.token_bytes(*last)?),
            None if joining.ends_nothing() => {}
            None => return Ok(String::new()),
        }
        let whole = tokenizer.decode(read)?;
        if let Some(end) = joining.end() {
            let rest = rest_of(&end, &whole).as_bytes();
            self.text.reading.read(&tokenizer.encode(rest)?)?;
            self.text.end = self.text.end.then(rest);
            return Ok(String::new());
        }
        let stop = whole.strip_prefix(&generation.text).unwrap_or_default();
        Ok(stop.trim_end_matches('\n').to_string())
    }

    /// A turn that is done.
    fn done(&self, line: &str, answer: Option<String>) -> Turn {
        Turn {
            line: line.into(),
            answer,
            tokens: self.text.reading.tokens(),
        }
    }

    /// Warns once about a text beyond those of the training.
    fn note_length(&mut self) {
        if let Some(warning) = self.trained.warning(&self.text.reading) {
            tell!("{warning}");
        }
    }

    /// Runs a command and reports it on standard error.
    pub(super) fn obey(&mut self, command: Command<'_>) -> Next {
        match command {
            Command::Quit => return Ok(ControlFlow::Break(None)),
            Command::Help => tell!("{}\n{}", help(self.settings.mode), self.turns.depth()),
            Command::Reset => {
                self.replace("/reset", Text::of(self.text.reading.fresh()));
                tell!("memory emptied");
            }
            Command::Undo => self.undo()?,
            Command::History => self.history(),
            Command::Mode(mode) => self.change(mode)?,
            Command::Seed(seed) => {
                self.settings.generation.seed = seed;
                tell!("answers now use seed {seed}");
            }
            Command::Save(path) => self.save(path)?,
            Command::Load(path) => self.load(path)?,
            Command::Fork(None) => self.list(),
            Command::Fork(Some(name)) => self.fork(name),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Replaces the text, which can be taken back as a turn.
    fn replace(&mut self, line: &str, text: Text) {
        let before = self.turns.copy_of(&self.text);
        self.text = text;
        let turn = self.done(line, None);
        self.turns.push(turn, before);
    }

    fn undo(&mut self) -> anyhow::Result<()> {
        let (turn, before) = self.turns.undo()?;
        self.text = before;
        let tokens = self.text.reading.tokens();
        tell!(
            "took back `{}`; the memory has {tokens} tokens",
            shortened_to(40, &turn.line)
        );
        Ok(())
    }

    fn history(&self) {
        if self.turns.all().is_empty() {
            tell!("no turns yet");
        }
        for turn in self.turns.all() {
            tell!("{:>7} tokens  > {}", turn.tokens, turn.line);
            if let Some(answer) = &turn.answer {
                tell!("{:>14}    {answer}", "");
            }
        }
    }

    fn change(&mut self, mode: Option<ChatMode>) -> Result<(), Usage> {
        let mode = mode.unwrap_or(self.settings.mode);
        mode.joining(self.model)?;
        self.settings.mode = mode;
        tell!("{}", in_words(mode));
        Ok(())
    }

    fn generator<'b>(&'b self, config: &'b GenerationConfig) -> anyhow::Result<Generator<'b>> {
        Ok(Generator::of(self.model, config)?)
    }

    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let pulse = Pulse::named(format!("saving {}", path.display()));
        let reading = &self.text.reading;
        let generator = self.generator(&self.settings.generation)?;
        generator.save(reading, path, self.settings.precision)?;
        drop(pulse);
        tell!(
            "memory of {} tokens saved to {}",
            reading.tokens(),
            path.display()
        );
        Ok(())
    }

    fn load(&mut self, path: &Path) -> anyhow::Result<()> {
        let pulse = Pulse::named(format!("reading {}", path.display()));
        let reading = self.generator(&self.settings.generation)?.load(path)?;
        drop(pulse);
        tell!("memory {}, {} tokens", path.display(), reading.tokens());
        if reading.strategy() != self.text.reading.strategy() {
            tell!(
                "note: the memory was read with another context than that of the chat; the chat now uses the context of the memory"
            );
        }
        self.replace(&format!("/load {}", path.display()), Text::of(reading));
        self.note_other_mode();
        self.note_length();
        Ok(())
    }

    /// Notes that a memory from a file was written in another mode, as far as its tokens show.
    fn note_other_mode(&self) {
        let reading = &self.text.reading;
        let tokenizer = &self.model.tokenizer;
        let newline = tokenizer.encode(b"\n").unwrap_or_default();
        if newline.is_empty() || !tokenizer.unknown(b"\n", &newline).is_empty() {
            return; // an alphabet without lines
        }
        let has_lines = newline.iter().any(|id| reading.seen().contains(id));
        match (self.settings.mode, has_lines) {
            _ if reading.tokens() == 0 => {}
            (ChatMode::Continue, true) => {
                tell!("note: the memory has lines; /mode lines continues it as lines");
            }
            (ChatMode::Lines, false) => {
                tell!(
                    "note: the memory has no line that ended; /mode continue continues it without newlines"
                );
            }
            _ => {}
        }
    }

    fn fork(&mut self, name: &str) {
        if let Some(fork) = self.forks.get(name) {
            self.replace(&format!("/fork {name}"), fork.clone());
            tell!("back at {name}, {} tokens", self.text.reading.tokens());
        } else {
            self.forks.insert(name.to_string(), self.text.clone());
            tell!("kept as {name}, {} tokens", self.text.reading.tokens());
        }
    }

    fn list(&self) {
        if self.forks.is_empty() {
            tell!("no copies yet; /fork NAME saves one");
        }
        for (name, fork) in &self.forks {
            tell!("{name}, {} tokens", fork.reading.tokens());
        }
    }
}

/// Result of a line.
enum Spoken {
    /// The model answered; `heard` is whether it could be shown.
    Answer { answer: String, heard: bool },
    /// The line was not read completely.
    BrokenOff(Extent),
}

/// A mode as a sentence.
pub(super) fn in_words(mode: ChatMode) -> &'static str {
    match mode {
        ChatMode::Continue => "mode continue: the model continues your line; an empty line lets it go on",
        ChatMode::Lines => "mode lines: your line ends with a newline, and so does the answer",
        ChatMode::Messages => "mode messages: your line is a message, and so is the answer",
    }
}
