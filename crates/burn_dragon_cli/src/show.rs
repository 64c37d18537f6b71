//! What reaches standard output.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// `println!`, but for what becomes of a failure: see [`line`].
macro_rules! show {
    ($($words:tt)*) => { $crate::show::line(format_args!($($words)*)) };
}

/// Writes a line. A closed pipe is the reader's choice and ends the program, done; whatever else fails is an error that
/// ends it.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("error: cannot write the result: {error}");
    std::process::exit(1);
}
