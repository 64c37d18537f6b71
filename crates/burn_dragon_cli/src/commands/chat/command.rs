//! Lines of a chat: text for the model, or a command.

use crate::args::ChatMode;
use crate::exit::Usage;
use clap::ValueEnum;
use std::path::Path;

/// Help text in a mode.
pub(super) fn help(mode: ChatMode) -> String {
    let text = match mode {
        ChatMode::Continue | ChatMode::Lines => {
            "Lines and answers are one text, which the model remembers. It is not trained to follow instructions."
        }
        ChatMode::Messages => {
            "Lines and answers are the messages of one conversation, which the model remembers."
        }
    };
    format!("{text}\n{COMMANDS}")
}

/// Help text of modes and commands.
const COMMANDS: &str = "\
In the mode `continue` a line is added as it is, and the model goes on to the end of a sentence; an empty line lets it go
on. In the mode `lines` a line ends with a newline, and so does the answer. In the mode `messages`, of a model that was
trained on conversations, a line is a message, and so is the answer; an empty line is not sent. --stop and --max-tokens end
an answer too.
  /mode NAME    change the mode: continue, lines or messages
  /undo         take back the last line and its answer, or the last /load, /reset or /fork
  /history      show the lines and answers so far
  /save FILE    save the memory to a file (the mode is not part of it)
  /load FILE    continue from the memory in a file
  /fork NAME    save a copy of the memory under a name; if the name exists, go back to that copy
  /fork         list the copies
  /reset        forget the whole text
  /seed S       use another seed: the same line after the same text gets another answer
  /help         show this help
  /quit         end the chat, as Ctrl-D does
A line that begins with // goes to the model with one slash. On a terminal the arrow keys recall lines, and Ctrl-C clears
the line or stops the answer.";

/// Content of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Text for the model.
    Text(&'a [u8]),
    /// Command for the program.
    Command(Command<'a>),
}

/// Commands of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    Quit,
    Reset,
    Undo,
    History,
    Mode(Option<ChatMode>),
    Seed(u64),
    Save(&'a Path),
    Load(&'a Path),
    Fork(Option<&'a str>),
}

/// Parses a line.
pub(super) fn parse(line: &[u8]) -> Result<Said<'_>, Usage> {
    if line.starts_with(b"//") {
        return Ok(Said::Text(&line[1..]));
    }
    if !line.starts_with(b"/") {
        return Ok(Said::Text(line));
    }
    let line = std::str::from_utf8(line).map_err(|_| {
        Usage("a command must be UTF-8; to send a line with a slash to the model, begin it with //".into())
    })?;
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let file = || match rest {
        "" => Err(Usage(format!("{word} needs a file, as in {word} memory.state"))),
        file => Ok(Path::new(file)),
    };
    let alone = |command| match rest {
        "" => Ok(command),
        rest => Err(Usage(format!("{word} stands alone, but `{rest}` follows it"))),
    };
    Ok(Said::Command(match word {
        "/help" => alone(Command::Help)?,
        "/quit" => alone(Command::Quit)?,
        "/reset" => alone(Command::Reset)?,
        "/undo" => alone(Command::Undo)?,
        "/history" => alone(Command::History)?,
        "/mode" => Command::Mode(mode(rest)?),
        "/seed" => Command::Seed(rest.parse().map_err(|_| {
            Usage(format!(
                "{word} needs a whole number, 0 or more, as in {word} 7, not `{rest}`"
            ))
        })?),
        "/save" => Command::Save(file()?),
        "/load" => Command::Load(file()?),
        "/fork" => Command::Fork(Some(rest).filter(|name| !name.is_empty())),
        _ => {
            let text = format!(
                "there is no command {word}; /help lists the commands, and // sends a line with one slash to the model"
            );
            return Err(Usage(text));
        }
    }))
}

fn mode(name: &str) -> Result<Option<ChatMode>, Usage> {
    if name.is_empty() {
        return Ok(None);
    }
    let mode = ChatMode::from_str(name, false);
    mode.map(Some).map_err(|_| {
        Usage(format!(
            "/mode is `continue`, `lines` or `messages`, not `{name}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_text() {
        let command = |line: &'static str| parse(line.as_bytes()).unwrap();
        for text in ["Hugo", "", " /help", "a / b"] {
            assert_eq!(command(text), Said::Text(text.as_bytes()));
        }
        assert_eq!(command("//home is where"), Said::Text(b"/home is where"));
        assert_eq!(parse(b"\xff\xfe"), Ok(Said::Text(b"\xff\xfe")));
        for (line, expected) in [
            ("/help", Command::Help),
            ("/quit ", Command::Quit),
            ("/reset", Command::Reset),
            (
                "/save  my memory.state ",
                Command::Save(Path::new("my memory.state")),
            ),
            ("/load a.state", Command::Load(Path::new("a.state"))),
            ("/seed 7", Command::Seed(7)),
            ("/undo", Command::Undo),
            ("/history", Command::History),
            ("/mode", Command::Mode(None)),
            ("/mode  lines", Command::Mode(Some(ChatMode::Lines))),
            ("/fork", Command::Fork(None)),
            ("/fork before", Command::Fork(Some("before"))),
        ] {
            assert_eq!(command(line), Said::Command(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_answered_with_what_is() {
        for (line, says) in [
            (&b"/sav x"[..], "/help"),
            (b"/save", "/save memory.state"),
            (b"/reset now", "`now`"),
            (b"/seed", "/seed 7"),
            (b"/seed -1", "`-1`"),
            (b"/undo 2", "`2`"),
            (b"/mode poem", "not `poem`"),
            (b"/\xff", "UTF-8"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
